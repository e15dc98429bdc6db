"""A bill: everything that a ledger comes to on one chip's prices; recost is the same ledger on another chip's."""

from __future__ import annotations

from dataclasses import dataclass

from neurosim.accounting import ledger as arithmetic
from neurosim.accounting.ledger import Ledger
from neurosim.accounting.prices import PriceTable, price_table
from neurosim.spec.chip import Chip


@dataclass(frozen=True)
class Bill:
    """Time and energy of a run, with the names of the summary."""

    chip: str
    chip_time_s: float
    chip_time_low_s: float
    chip_time_high_s: float
    energy_J: float
    energy_low_J: float
    energy_high_J: float
    energy_by_action_J: dict[str, float]
    static_energy_J: float
    power_W: float
    assumed_share: float
    bound_by: str
    time_share: dict[str, float]


def bill(ledger: Ledger, table: PriceTable) -> Bill:
    """What ``ledger`` comes to; raises InputError when a countable that happened has no price."""
    low, high = arithmetic.energy_interval(ledger, table)
    shortest, longest = arithmetic.time_interval(ledger)
    bound, shares = arithmetic.bound_by(ledger)
    return Bill(
        chip=table.chip,
        chip_time_s=arithmetic.time_s(ledger),
        chip_time_low_s=shortest,
        chip_time_high_s=longest,
        energy_J=arithmetic.energy_J(ledger, table),
        energy_low_J=low,
        energy_high_J=high,
        energy_by_action_J=arithmetic.energy_by_action_J(ledger.counts, table),
        static_energy_J=arithmetic.static_energy_J(ledger.time_fs, table.static),
        power_W=arithmetic.power_W(ledger, table),
        assumed_share=arithmetic.assumed_share(ledger, table),
        bound_by=bound,
        time_share=shares,
    )


def recost(ledger: Ledger, chip: Chip, cores_used: int | None = None) -> Bill:
    """The same counts and the same recorded time on the prices of another chip.

    The energy of the counts is exact. The time is the recorded one, and static energy is charged for it; what re-times
    a run is `neurosim.engine.retime`, from the tallies of a trace, and a replay. ``cores_used`` tells how many cores
    draw static power on a chip with power gating.
    """
    return bill(ledger, price_table(chip, cores_used))
