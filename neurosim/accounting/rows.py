"""Prices for whole tables: rows of cumulative counts ``[rows, actions]``, as the trace holds them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from neurosim.accounting.ledger import static_energy_J, static_interval
from neurosim.accounting.prices import ACTIONS, PriceTable, require_prices

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


def energies_J(counts: Counts, table: PriceTable, names: Sequence[str] = ACTIONS) -> Floats:
    """Joules of each count; ``names`` are the columns. Raises InputError when a column in use has no price."""
    return _priced(counts, table, table.energy_J, names)


def totals_J(
    counts: Counts, time_fs: Sequence[int] | Counts, table: PriceTable, names: Sequence[str] = ACTIONS
) -> Floats:
    """Joules of each row, static energy included: the same bits as `energy_J` of a ledger with these counts."""
    static = [static_energy_J(int(time), table.static) for time in time_fs]
    return _sums(static, energies_J(counts, table, names))


def intervals_J(
    counts: Counts,
    time_fs: Sequence[int] | Counts,
    table: PriceTable,
    names: Sequence[str] = ACTIONS,
    *,
    low_fs: Sequence[int] | Counts | None = None,
    high_fs: Sequence[int] | Counts | None = None,
) -> tuple[Floats, Floats]:
    """Lowest and highest joules of each row, static energy included; ``low_fs``, ``high_fs``: the times' intervals."""
    shortest, longest = time_fs if low_fs is None else low_fs, time_fs if high_fs is None else high_fs
    lowest = [static_interval(int(time), table.static)[0] for time in shortest]
    highest = [static_interval(int(time), table.static)[1] for time in longest]
    low = _sums(lowest, _priced(counts, table, table.low_J, names))
    high = _sums(highest, _priced(counts, table, table.high_J, names))
    return low, high


def _priced(counts: Counts, table: PriceTable, each: Floats, names: Sequence[str]) -> Floats:
    used = (counts != 0).any(axis=0)
    require_prices([name for name, happened in zip(names, used, strict=True) if happened], table)
    price = each[[table.index(name) for name in names]]
    # A column that never happened needs no price.
    return counts.astype(np.float64) * np.where(used, price, 0.0)


def _sums(static: list[float], parts: Floats) -> Floats:
    rows = zip(static, parts.tolist(), strict=True)
    return np.array([math.fsum([base, *row]) for base, row in rows], dtype=np.float64)
