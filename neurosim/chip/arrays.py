"""The arrays that a placed network stands in: their places in ``theta``, dead lines, stuck cells, converters.

Every core's part of a layer's weights, the bias row the last row of the last part, is one array with wires of its own.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from neurosim.chip.layers import NetworkPlan
from neurosim.chip.mapper import Placement
from neurosim.kernels import array as loops
from neurosim.kernels import random
from neurosim.spec.chip import Chip

EXACT_CELLS = 8320
"""Largest array, 65 rows x 128 columns, whose IR drop is solved exactly: 30 ms each time that its weights change."""
_STUCK_AT = 1
"""The draw of devices that are stuck at a value; 0 is of those that are stuck at their first one."""
Places = npt.NDArray[np.int64]


def places(plan: NetworkPlan, placement: Placement) -> Places:
    """One line for each array: its first entry of ``theta``, entries from row to row, rows, columns."""
    lines = []
    for tile in placement.tiles:
        if tile.rows > 0:
            layer = plan.layers[tile.layer]
            first = layer.theta + tile.copy * layer.shared + tile.first_row * layer.columns + tile.first_column
            lines.append((first, layer.columns, tile.rows, tile.columns))
    return np.array(lines, np.int64)


def dead(chip: Chip, where: Places, parameters: int) -> npt.NDArray[np.bool_]:
    """Which of ``parameters`` devices, in arrays at ``where``, stand on a dead line.

    A row is dead where ``u < dead_row_fraction``, u uniform, a pure function of the fabrication seed and of the row's
    first device; columns alike.
    """
    there = np.zeros(parameters, np.bool_)
    fractions = (chip.array.dead_row_fraction, chip.array.dead_column_fraction)
    for axis, fraction in enumerate(fractions):
        if fraction == 0.0:
            continue
        u = np.empty(parameters)
        random.uniforms(u, chip.fabrication_seed, random.STREAM_DEAD_LINE, axis, 0, 0)
        for first, stride, rows, columns in where:
            if axis == 0:
                for i in np.flatnonzero(u[first : first + rows * stride : stride] < fraction):
                    there[first + i * stride : first + i * stride + columns] = True
            else:
                for j in np.flatnonzero(u[first : first + columns] < fraction):
                    there[first + j : first + j + (rows - 1) * stride + 1 : stride] = True
    return there


def stick(
    chip: Chip,
    held: npt.NDArray[np.floating],
    free: npt.NDArray[np.uint8],
    w_min: npt.NDArray[np.float32],
    w_max: npt.NDArray[np.float32],
) -> None:
    """Put stuck devices at their values in ``held`` and out of ``free``; drawn with the fabrication seed.

    A device without bounds is stuck at the ends of ``chip.array.weight_range``.
    """
    array = chip.array
    if array.stuck == 0.0:
        return
    full = array.full_range(chip.synapse)
    u = np.empty(held.size)
    random.uniforms(u, chip.fabrication_seed, random.STREAM_STUCK, _STUCK_AT, 0, 0)
    start = 0.0
    for fraction, values in (
        (array.stuck_at_w_max_fraction, np.minimum(w_max, full) if _unbounded(chip) else w_max),
        (array.stuck_at_w_min_fraction, np.maximum(w_min, -full) if _unbounded(chip) else w_min),
        (array.stuck_at_zero_fraction, np.zeros_like(w_max)),
    ):
        here = (u >= start) & (u < start + fraction)
        held[here] = values[here]
        free[here] = 0
        start += fraction


def _unbounded(chip: Chip) -> bool:
    return chip.array.model_copy(update={"weight_range": None}).full_range(chip.synapse) == 0.0


def digitised_slices(chip: Chip) -> bool:
    """Whether the sum of every slice has a converter of its own."""
    return chip.array.slices > 1 and chip.periphery.adc_at == "columns" and chip.periphery.adc_bits > 0


def shares(chip: Chip) -> list[float]:
    """What each slice counts for in a weight, the most significant first; they add up to 1."""
    array = chip.array
    return [loops.share(array.slices, array.slice_bits, k) for k in range(array.slices)]


def noise_share(chip: Chip) -> float:
    """How much of the noise of one cell, or one column, a sum has: that of its first slice, or of all on their own."""
    return shares(chip)[0] if digitised_slices(chip) else loops.noise_share(chip.array.slices, chip.array.slice_bits)


def sizes(chip: Chip) -> npt.NDArray[np.int64]:
    """Whole numbers that `kernels.array.array_seen` takes: slices, bits of each, how IR drop is computed."""
    modes = {"none": loops.NONE, "first-order": loops.FIRST_ORDER, "exact": loops.EXACT}
    return np.array([chip.array.slices, chip.array.slice_bits, modes[chip.array.ir_drop]], np.int64)


def numbers(chip: Chip) -> npt.NDArray[np.float64]:
    """Numbers that `kernels.array.array_seen` takes: weight range, g_min, wires, terminals, all relative to g_max."""
    array, g_max, g_min = chip.array, chip.synapse.g_max_S, chip.synapse.g_min_S
    ohms = (array.row_wire_ohm, array.column_wire_ohm, array.row_driver_ohm, array.column_sense_ohm)
    return np.array(
        [array.full_range(chip.synapse), g_min / g_max if g_max > 0.0 else 0.0, *(ohm * g_max for ohm in ohms)]
    )


def too_large(rows: int, columns: int) -> bool:
    """Whether an array's IR drop is not solved exactly."""
    return rows * columns > EXACT_CELLS


def in_use(chip: Chip) -> list[str]:
    """Key paths of everything that is on of the array, and of noise at its edges."""
    array, periphery = chip.array, chip.periphery
    on = {
        "chip.array.ir_drop": array.ir_drop != "none",
        "chip.array.slice_bits": array.sliced,
        "chip.array.dead_row_fraction": array.dead_row_fraction > 0.0,
        "chip.array.dead_column_fraction": array.dead_column_fraction > 0.0,
        "chip.array.stuck_at_w_max_fraction": array.stuck_at_w_max_fraction > 0.0,
        "chip.array.stuck_at_w_min_fraction": array.stuck_at_w_min_fraction > 0.0,
        "chip.array.stuck_at_zero_fraction": array.stuck_at_zero_fraction > 0.0,
        "chip.periphery.input_noise_std": periphery.input_noise_std > 0.0,
        "chip.periphery.output_noise_std": periphery.output_noise_std > 0.0,
    }
    return [key for key, there in on.items() if there]
