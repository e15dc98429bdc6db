"""The books of a hand-driven network: what its spikes come to, in counts by core, in time, and in what is recorded.

The kernel says who fired; everything else follows from that after each of its calls. What was found stands in one
object that is replaced as a whole, so that a Ctrl-C finds a call counted or not counted, never half.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from neurosim.accounting import Ledger
from neurosim.chip.population import Integers
from neurosim.engine import network_timing
from neurosim.engine.network_meter import Activity, NetworkMeter
from neurosim.engine.network_output import TickTimes
from neurosim.engine.network_spikes import Fired, Span, pick
from neurosim.engine.network_state import Memory
from neurosim.engine.network_timing import NetworkTiming
from neurosim.kernels import mesh as loops
from neurosim.units import femtoseconds


@dataclass(frozen=True, eq=False)
class Recording:
    """What is kept of the ticks of a run, by the first tick of the call that made them."""

    watched: tuple[Span, ...] = ()
    """Populations whose spikes are kept."""
    timing: bool = False
    lengths: bool = False
    handed_over: list[int] = field(default_factory=lambda: [0])
    """Tick up to which blocks were handed over: one number, that changes."""
    fired: dict[int, dict[str, Fired]] = field(default_factory=dict)
    """By population."""
    times: dict[int, TickTimes] = field(default_factory=dict)
    tick_fs: dict[int, Integers] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Books:
    """All that has been counted."""

    tick: int
    counted: int
    """Tick up to which ``counts`` and ``ledger`` go; what follows is of the ticks after it."""
    sent: Integers
    """Spikes by neuron."""
    updated: Integers
    """By core in use, as ``reads``: ticks in which an input arrived (where spikes are routed)."""
    reads: Integers
    driven: Integers
    """Events from outside, by core in use."""
    busy_fs: tuple[int, int, int]
    """Time of the ticks, barriers left out: nominal, at low and at high latencies."""
    counts: Mapping[str, Integers] = field(default_factory=dict)
    ledger: Ledger = field(default_factory=Ledger)
    lost: int = 0
    """Messages that reached no core."""
    loads: Integers | None = None
    """Messages over every link until the routes changed last."""
    routed: Integers | None = None
    """Spikes by neuron between then and ``counted``."""


class Account:
    """Counts and times what the kernel did. ``bands``: the meter, and those with low and with high latencies."""

    def __init__(self, bands: tuple[NetworkMeter, NetworkMeter, NetworkMeter]) -> None:
        self._set(bands)
        neurons, cores = self.meter.core.size, self.meter.cores.size
        nothing = np.zeros(cores, np.int64)
        self.books = Books(0, 0, np.zeros(neurons, np.int64), nothing, nothing, nothing, (0, 0, 0))
        self.count()

    def _set(self, bands: tuple[NetworkMeter, NetworkMeter, NetworkMeter]) -> None:
        self.bands = bands
        self.meter = bands[0]
        self.timing = NetworkTiming(bands)

    def reroute(self, bands: tuple[NetworkMeter, NetworkMeter, NetworkMeter]) -> None:
        """Go on with other routes; what has been counted so far went over those before."""
        self.count()
        loads = self.link_loads()
        self._set(bands)
        self.books = replace(self.books, loads=loads, routed=None)

    def settle(self, memory: Memory, recording: Recording, spread: network_timing.Spread) -> None:
        """Count and time the ticks of the kernel's last call, once."""
        books, meter, tick = self.books, self.meter, memory.get("TICK")
        done = tick - books.tick
        if done == 0:
            return
        sent = books.sent.copy()
        loops.count(memory.spikes, int(memory.tick_first[done]), sent)
        each = femtoseconds(meter.chip.timing.tick_s)
        busy, reads = (done * each,) * 3, books.reads
        if meter.routed or recording.timing:
            found = self.timing.messages(memory, done, spread)
            reads = reads + found.reads
            times, spans = self.timing.times(memory, found, spread)
            if meter.timing != "clocked":
                total = times.sum(axis=1).tolist()
                busy = (total[0], total[1], total[2]) if len(total) == 3 else (total[0],) * 3
            if recording.timing:
                recording.times[books.tick] = self.timing.tick_times(memory, books.tick, found, times[0], spans)
            if recording.lengths:
                recording.tick_fs[books.tick] = times[0] + meter.barrier_fs
        if recording.watched:
            first, neurons = memory.tick_first[: done + 1], books.sent.size
            recording.fired[books.tick] = {
                span.name: pick(memory.spikes, first, books.tick, span, neurons) for span in recording.watched
            }
        self.books = replace(
            books, tick=tick, sent=sent, updated=books.updated + memory.moved[:done].sum(axis=0), reads=reads,
            driven=books.driven + memory.all_driven[:, :done].sum(axis=(0, 1)) if memory.drives.size else books.driven,
            busy_fs=(books.busy_fs[0] + busy[0], books.busy_fs[1] + busy[1], books.busy_fs[2] + busy[2]),
        )  # fmt: skip

    def count(self) -> None:
        """Turn spikes into counts of countables."""
        books, meter = self.books, self.meter
        ticks = books.tick - books.counted
        by_core = meter.counts(Activity(ticks, books.sent, books.updated, books.reads, books.driven))
        counts = {name: books.counts.get(name, 0) + count for name, count in by_core.items()}
        waited = [ticks * band.barrier_fs for band in self.bands]
        nominal, low, high = (busy + wait for busy, wait in zip(books.busy_fs, waited, strict=True))
        happened = {**{name: int(count.sum()) for name, count in by_core.items()}, "barrier": ticks}
        done = Ledger(
            happened, {"compute": books.busy_fs[0], "barrier": waited[0]}, min(low, nominal), max(high, nominal)
        )
        nothing = np.zeros_like(books.updated)
        self.books = replace(
            books, counted=books.tick, sent=np.zeros_like(books.sent), updated=nothing, reads=nothing,
            driven=nothing, busy_fs=(0, 0, 0), counts=counts, ledger=books.ledger + done,
            lost=books.lost + int(books.sent @ meter.axons.lost) if meter.axons.lost is not None else books.lost,
            routed=books.sent if books.routed is None else books.routed + books.sent,
        )  # fmt: skip

    def link_loads(self) -> Integers:
        """Messages over every link, up to the last count."""
        books = self.books
        now = self.meter.link_loads(np.zeros_like(books.sent) if books.routed is None else books.routed)
        return now if books.loads is None else books.loads + now
