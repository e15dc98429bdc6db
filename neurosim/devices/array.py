"""What an array makes of a matrix of weights, without a network: for looking at wires, slices and dead lines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim import models
from neurosim.chip import arrays
from neurosim.engine.network_checks import chip_of
from neurosim.errors import InputError
from neurosim.kernels import array as loops
from neurosim.models.devices.base import DeviceParameters, draw
from neurosim.spec.chip import Chip

Matrix = npt.NDArray[np.float64]


def effective_weights(
    weights: npt.ArrayLike, chip: str | Path | Chip = "analog-if", overrides: Mapping[str, Any] | None = None
) -> Matrix:
    """The weights that the columns of one array read instead of ``weights`` [rows, columns], in the same units.

    The array is that of ``chip`` (a shipped name, a path or a ``Chip``) with ``overrides``, ``{"chip.array.ir_drop":
    "exact", "chip.array.row_wire_ohm": 2.0}``: stuck devices and dead lines drawn with its fabrication seed, slices,
    IR drop (docs/arrays.md). Row 0 is the farthest from where columns are read, column 0 the nearest to where rows are
    driven. A network's array has its biases as the last row. With everything of ``chip.array`` off it gives the weights
    back.

    Raises InputError for weights that are no finite matrix, for a chip that is not right, and for an array that is too
    large for the exact solver.
    """
    models.load_builtin()
    described = chip_of(chip, overrides)
    given = _matrix(weights)
    rows, columns = given.shape
    array = described.array
    if array.ir_drop == "exact" and arrays.too_large(rows, columns):
        raise InputError(
            f'chip.array.ir_drop = "exact": solves arrays of up to {arrays.EXACT_CELLS} cells, and this one is '
            f'{rows} x {columns}; use "first-order"'
        )
    seen, place = given.reshape(-1).copy(), np.array([(0, columns, rows, columns)], np.int64)
    device = described.synapse.device
    assert isinstance(device, DeviceParameters)
    made = draw(device, seen.size, described.fabrication_seed)
    arrays.stick(described, seen, np.ones(seen.size, np.uint8), made.w_min, made.w_max)
    dead = arrays.dead(described, place, seen.size)
    seen[dead] = 0.0
    if array.changes_reads:
        unused = np.zeros(1)
        sizes, numbers = arrays.sizes(described), arrays.numbers(described)
        loops.array_seen(seen, unused, 0, columns, rows, columns, sizes, numbers, dead.astype(np.uint32))
    return seen.reshape(rows, columns)


def _matrix(weights: npt.ArrayLike) -> Matrix:
    try:
        given = np.asarray(weights, np.float64)
    except (TypeError, ValueError):
        raise InputError("weights: must be a matrix of numbers, [rows, columns]") from None
    if given.ndim != 2 or given.size == 0:
        raise InputError(f"weights: have the shape {given.shape}, needed is a matrix [rows, columns]")
    if not np.isfinite(given).all():
        raise InputError("weights: must be finite numbers")
    return given
