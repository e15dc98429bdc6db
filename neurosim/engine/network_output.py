"""What a run of a hand-driven network hands back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from neurosim.accounting import Bill, Ledger
from neurosim.chip.faults import Strike
from neurosim.chip.population import Integers
from neurosim.units import show


class Spikes(NamedTuple):
    """Spikes of one population in the order of their ticks, then of their neurons."""

    tick: Integers
    """Counted from the first tick of the simulation."""
    neuron: Integers


class SpikesByPopulation(dict[str, Spikes]):
    """Spikes of the recorded populations."""

    def __missing__(self, name: str) -> Spikes:
        raise KeyError(f"spikes of {name!r} were not recorded; run with record=({name!r},)")


@dataclass(frozen=True, eq=False, repr=False)
class Output:
    """What happened in one run, nothing of the runs before."""

    first_tick: int
    ticks: int
    ledger: Ledger
    """Exact counts, and time by phase in femtoseconds."""
    bill: Bill
    """All that the ledger comes to: energy with its interval, power, share that rests on assumed prices, ..."""
    counts_by_core: dict[str, Integers]
    """Every countable but ``barrier`` for each core of the chip; messages and hops stand where they were sent."""
    spikes: SpikesByPopulation
    """``spikes["src"]`` -> (tick, neuron), for populations named in ``record``."""
    host_time_s: float
    """Time that the run took on this computer, without compilation."""
    faults: tuple[Strike, ...] = ()
    """Faults that had struck by the end of the run, those of fabrication among them."""
    messages_lost: int = 0
    """Messages that reached no core: it was dead, or no way led there. They are counted as sent."""

    def __repr__(self) -> str:
        took, cost = show(self.chip_time_s, "s"), show(self.energy_J, "J")
        return f"Output({self.ticks} ticks, {self.counts['neuron_fired']} spikes, {took} on the chip, {cost})"

    @property
    def chip_time_s(self) -> float:
        """Time on the chip's clock."""
        return self.bill.chip_time_s

    @property
    def energy_J(self) -> float:
        """All joules, static power included."""
        return self.bill.energy_J

    @property
    def static_energy_J(self) -> float:
        """Joules that would have flowed in that time anyway."""
        return self.bill.static_energy_J

    @property
    def energy_by_action_J(self) -> dict[str, float]:
        """Joules of every countable that happened; with ``static_energy_J`` they add up to ``energy_J``."""
        return self.bill.energy_by_action_J

    @property
    def counts(self) -> Mapping[str, int]:
        """How often each countable happened, on the whole chip."""
        return self.ledger.counts
