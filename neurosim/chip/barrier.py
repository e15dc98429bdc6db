"""How long all cores wait for one another: by the number of tiles and of chips in use."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from neurosim.accounting import PriceTable
from neurosim.spec.chip import Chip
from neurosim.units import femtoseconds


def barrier_fs(chip: Chip, prices: PriceTable, cores: npt.NDArray[np.int64]) -> int:
    """Femtoseconds of one barrier among ``cores``.

    The entry of ``timing.barrier_s`` with the most tiles that are no more than those in use (the first, where all have
    more); without a table the latency of ``barrier``. ``chip_barrier_s`` comes on top where several chips are in use.
    """
    timing, geometry = chip.timing, chip.geometry
    chips, core = np.divmod(cores, geometry.cores)
    extra = femtoseconds(timing.chip_barrier_s) if np.unique(chips).size > 1 else 0
    if not timing.barrier_tiles:
        return int(prices.latency_fs[prices.index("barrier")]) + extra
    tiles = np.unique(chips * geometry.tiles + core // geometry.cores_per_tile).size
    row = max(0, int(np.searchsorted(timing.barrier_tiles, tiles, side="right")) - 1)
    return femtoseconds(timing.barrier_s[row]) + extra
