"""What dominates the uncertainty: how far a total moves when one price alone goes to an end of its interval.

Static power, prices and latencies are varied one at a time, the others at their values. The moves are those of the bars
of a tornado plot; they add up to the interval of the total but for static power, where a longer time and a higher power
multiply.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from neurosim.accounting.ledger import Ledger, static_energy_J, static_interval
from neurosim.accounting.prices import ACTIONS, PriceTable, require_prices

STATIC, TIME = "static power", "chip time"
"""Names beside the countables: the static power, and the length of the run at nominal static power."""


class Swing(NamedTuple):
    """How far the total moves (``low`` <= 0 <= ``high``) when ``name`` alone goes to its low and to its high."""

    name: str
    low: float
    high: float

    @property
    def width(self) -> float:
        """From one end to the other."""
        return self.high - self.low


def tornado(ledger: Ledger, table: PriceTable) -> list[Swing]:
    """Moves of the energy in J by countable, static power and chip time, the widest first; those of no width left out.

    n_i (low_i - e_i) and n_i (high_i - e_i); (P_low - P) T and (P_high - P) T; P (T_low - T) and P (T_high - T).
    Raises InputError when a countable that happened has no price.
    """
    used = {name: count for name, count in ledger.counts.items() if count}
    require_prices(used, table)
    energy, low, high = table.energy_J.tolist(), table.low_J.tolist(), table.high_J.tolist()
    swings = [
        Swing(name, used[name] * (low[k] - energy[k]), used[name] * (high[k] - energy[k]))
        for k, name in enumerate(ACTIONS)
        if name in used
    ]
    static = static_energy_J(ledger.time_fs, table.static)
    lowest, highest = static_interval(ledger.time_fs, table.static)
    swings.append(Swing(STATIC, lowest - static, highest - static))
    shortest = static_energy_J(ledger.time_low_fs, table.static)
    longest = static_energy_J(ledger.time_high_fs, table.static)
    swings.append(Swing(TIME, shortest - static, longest - static))
    return widest_first(swings)


def time_tornado(time_fs: Callable[[PriceTable], int], table: PriceTable) -> list[Swing]:
    """Moves of the time in s by latency, the widest first; ``time_fs`` is the run's length at a table's latencies."""
    nominal, swings = time_fs(table), []
    for k, name in enumerate(ACTIONS):
        ends = [int(column[k]) for column in (table.low_fs, table.high_fs)]
        if ends[0] == ends[1]:
            continue
        moves = [(time_fs(table.with_latency(name, end)) - nominal) * 1e-15 for end in ends]
        swings.append(Swing(name, min(0.0, *moves), max(0.0, *moves)))
    return widest_first(swings)


def widest_first(swings: list[Swing]) -> list[Swing]:
    """Those with a width, sorted."""
    return sorted((swing for swing in swings if swing.width > 0.0), key=lambda swing: -swing.width)
