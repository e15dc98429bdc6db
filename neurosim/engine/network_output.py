"""What a run of a hand-driven network hands back, at its end or block by block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from neurosim.accounting import Bill, Ledger
from neurosim.chip.faults import Strike
from neurosim.chip.population import Integers
from neurosim.engine.network_spikes import Fired
from neurosim.errors import InputError
from neurosim.units import FEMTOSECONDS, show


class Spikes(NamedTuple):
    """Spikes of one population in the order of their ticks, then of their neurons."""

    tick: Integers
    """Counted from the first tick of the simulation."""
    neuron: Integers


class SpikesByPopulation(dict[str, Spikes]):
    """Spikes of the recorded populations."""

    def __missing__(self, name: str) -> Spikes:
        raise KeyError(f"spikes of {name!r} were not recorded; run with record=({name!r},)")


def listed(fired: Mapping[str, Fired]) -> SpikesByPopulation:
    """Every spike of some populations."""
    return SpikesByPopulation({name: Spikes(*each.listed()) for name, each in fired.items()})


class Interval(NamedTuple):
    """A stretch of one tick, from the start of the tick."""

    core: int | None
    """None: the barrier, in which all cores wait."""
    what: Literal["generation", "processing", "barrier"]
    start_s: float
    end_s: float


@dataclass(frozen=True, eq=False)
class TickTimes:
    """How long every tick took and what its cores were busy with: enough to price and to time it anew."""

    first_tick: int
    cores: Integers
    """Core numbers of the columns: those in use."""
    time_fs: Integers
    """Of each tick, its barrier included."""
    barrier_fs: int
    """Of one barrier, by the tiles in use."""
    hops: Integers
    """``[tick, 5]``: links crossed, in the order of ``chip.mesh.HOPS``."""
    counts: dict[str, Integers]
    """``[tick, core]``: neuron_updated, neuron_fired, message (where it was sent), message_received, synaptic_event."""
    generation_fs: Integers
    """``[tick, core]``: time for neurons and for messages sent."""
    processing_fs: Integers
    """``[tick, core]``: time for messages received."""
    sent_fs: Integers
    """``[tick, core]``, from the start of the tick: when neurons were done and the last message had left."""
    first_fs: Integers
    """When the first message was taken in."""
    last_fs: Integers
    """When the last message was done with."""

    @property
    def ticks(self) -> int:
        """Number of ticks."""
        return self.time_fs.size

    def timeline(self, tick: int) -> list[Interval]:
        """What each core did in one tick, for a Gantt chart; raises InputError for a tick that is not here.

        Generation runs from the start until the last message has left; processing from the first message taken in
        until the last is done with. In ``detailed`` and ``event`` either may hold gaps in which the core waits.
        """
        t = tick - self.first_tick
        if not 0 <= t < self.ticks:
            raise InputError(
                f"tick = {tick}: recorded are ticks {self.first_tick} to {self.first_tick + self.ticks - 1}"
            )
        found = []
        for c, core in enumerate(self.cores.tolist()):
            found.append(Interval(core, "generation", 0.0, int(self.sent_fs[t, c]) / FEMTOSECONDS))
            if self.counts["message_received"][t, c]:
                ends = int(self.first_fs[t, c]) / FEMTOSECONDS, int(self.last_fs[t, c]) / FEMTOSECONDS
                found.append(Interval(core, "processing", *ends))
        end = int(self.time_fs[t])
        found.append(Interval(None, "barrier", (end - self.barrier_fs) / FEMTOSECONDS, end / FEMTOSECONDS))
        return found

    @classmethod
    def join(cls, parts: list[TickTimes]) -> TickTimes:
        """Ticks of several calls, one after another; at least one."""
        first = parts[0]
        if len(parts) == 1:
            return first

        def joined(name: str) -> Integers:
            return np.concatenate([getattr(part, name) for part in parts])

        names = ("time_fs", "hops", "generation_fs", "processing_fs", "sent_fs", "first_fs", "last_fs")
        counts = {name: np.concatenate([part.counts[name] for part in parts]) for name in first.counts}
        whole = {name: joined(name) for name in names}
        return cls(first_tick=first.first_tick, cores=first.cores, barrier_fs=first.barrier_fs, counts=counts, **whole)


@dataclass(frozen=True, eq=False)
class Block:
    """What happened in some ticks of a run, handed to ``on_block`` about every 0.1 s of the run."""

    first_tick: int
    """Of the block."""
    ticks: int
    ledger: Ledger
    """Counts and time from the run's first tick to the end of the block."""
    counts_by_core: dict[str, Integers]
    """As in ``Output``, from the run's first tick to the end of the block."""
    fired: Mapping[str, Fired]
    """Spikes of the block by population, as few bytes as they need."""
    tick_fs: Integers | None
    """Length of each tick of the block, barrier included; None where every tick lasts the same (``clocked``)."""
    timing: TickTimes | None
    """Of the block, with ``record_timing``."""

    @cached_property
    def spikes(self) -> SpikesByPopulation:
        """Of the block: (tick, neuron) by population."""
        return listed(self.fired)


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
    """``spikes["src"]`` -> (tick, neuron), for populations named in ``record``; none where ``on_block`` took them."""
    host_time_s: float
    """Time that the run took on this computer, without compilation."""
    faults: tuple[Strike, ...] = ()
    """Faults that had struck by the end of the run, those of fabrication among them."""
    messages_lost: int = 0
    """Messages that reached no core: it was dead, or no way led there. They are counted as sent."""
    timing: TickTimes | None = None
    """Every tick of the run, with ``record_timing``."""

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
