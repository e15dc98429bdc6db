"""How long ticks take: the timing models of hand-driven networks, over the spikes of one call of the kernel.

``clocked`` needs none of this. ``simple`` and ``detailed`` are loops in ``kernels.mesh``, ``event`` is the simpy model
in ``network_events``. Ticks do not know of one another, so threads share them out.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from neurosim.chip.mesh import HOPS
from neurosim.chip.population import Integers
from neurosim.engine import network_events
from neurosim.engine.network_meter import NetworkMeter
from neurosim.engine.network_output import TickTimes
from neurosim.engine.network_state import Memory
from neurosim.kernels import mesh as loops
from neurosim.kernels import stdp
from neurosim.units import femtoseconds

Spread = Callable[[Callable[[int, int], None], int], None]
"""Runs a function of (first tick, end) over that many ticks, in parts."""


def in_one(work: Callable[[int, int], None], ticks: int) -> None:
    """All ticks in one thread."""
    work(0, ticks)


def in_threads(pool: ThreadPoolExecutor, threads: int) -> Spread:
    """Ticks in as many parts as there are threads."""

    def spread(work: Callable[[int, int], None], ticks: int) -> None:
        ends = [ticks * k // threads for k in range(threads + 1)]
        (low, high), *others = itertools.pairwise(ends)
        futures = [pool.submit(work, *part) for part in others]
        work(low, high)
        for future in futures:
            future.result()

    return spread


@dataclass(frozen=True, eq=False)
class Messages:
    """What the cores sent and received in the ticks of one call, ``[tick, core in use]``, packed (``kernels.mesh``)."""

    sent: npt.NDArray[np.uint64]
    received: npt.NDArray[np.uint64]

    @property
    def reads(self) -> Integers:
        """Ticks in which anything was received, for each core."""
        return np.asarray((self.received != 0).sum(axis=0), np.int64)


class NetworkTiming:
    """The timing model of one network on one chip; built anew when its routes change.

    ``bands``: meters with the latencies to time with: nominal, low and high. Only ``simple`` has an interval; the
    others are bracketed by two more runs (``Simulation(prices=...)``).
    """

    def __init__(self, bands: Sequence[NetworkMeter]) -> None:
        self.meter = meter = bands[0]
        self.latency = np.stack([band.latencies for band in bands])
        updates = np.array([band.latency("synapse_updated") for band in bands], np.int64)
        self.update_fs = updates[:1] if (updates == updates[0]).all() else updates
        self.read_fs = np.stack([band.read_fs() for band in bands])
        if (self.latency == self.latency[0]).all() and (self.read_fs == self.read_fs[0]).all():
            self.latency, self.read_fs = self.latency[:1], self.read_fs[:1]
        self._sent = np.zeros((0, meter.cores.size), np.uint64)
        self._received = np.zeros((0, meter.cores.size), np.uint64)

    @cached_property
    def place(self) -> npt.NDArray[np.uint32]:
        """For every neuron, how many neurons of its core come up to it, itself included."""
        order = np.argsort(self.meter.here, kind="stable")
        start = np.concatenate([[0], np.cumsum(np.bincount(self.meter.here, minlength=self.meter.cores.size))])
        place = np.empty(order.size, np.uint32)
        place[order] = np.arange(order.size) - start[self.meter.here[order]] + 1
        return place

    @cached_property
    def paths(self) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32], Integers, Integers]:
        """(first, links, latency in fs, share of density) of every pair of tiles that messages join."""
        axons = self.meter.axons
        first, links = self.meter.mesh.tile_paths(axons.source_tile, axons.destination_tile)
        return (first.astype(np.uint32), links.astype(np.uint32), self.meter.pair_fs(),
                loops.SHARE // (np.diff(first) + 2))  # fmt: skip

    def messages(self, memory: Memory, ticks: int, spread: Spread = in_one) -> Messages:
        """What was sent and received; the arrays are used again by the next call."""
        if self._sent.shape[0] < ticks:
            self._sent = np.zeros((ticks, self.meter.cores.size), np.uint64)
            self._received = np.zeros_like(self._sent)
        found = Messages(self._sent[:ticks], self._received[:ticks])
        meter = self.meter
        spread(
            lambda low, high: loops.tally(
                memory.spikes, memory.tick_first, low, high, meter.here, meter.messages, meter.axon_first,
                meter.packed, meter.shift, found.sent, found.received,
            ),
            ticks,
        )  # fmt: skip
        if memory.drives.size:  # events in the lower half of the word
            found.received[...] += memory.all_driven[:, :ticks].sum(axis=0).astype(np.uint64)
        return found

    def times(self, memory: Memory, found: Messages, spread: Spread = in_one) -> tuple[Integers, Integers | None]:
        """(time of each tick without its barrier [band, tick], spans [SPANS, tick, core] where known), in fs."""
        learning = self.learning(memory, found.sent.shape[0])
        match self.meter.timing:
            case "simple":
                return self.simple(memory, found, spread) + learning, None
            case "detailed":
                times, spans = self.detailed(memory, found, spread)
            case "event":
                times, spans = self.event(memory, found)
            case _:
                each = femtoseconds(self.meter.chip.timing.tick_s)
                return np.full((1, found.sent.shape[0]), each), None
        if memory.drives.size:
            times = np.maximum(times, self.driven(memory, spans))
        return times[None] + learning[:1], spans

    def driven(self, memory: Memory, spans: Integers) -> Integers:
        """When the last core is done with events from outside, [tick] in fs: it works on them after its messages.

        ``spans`` is brought up to that. A core that got no message reads its array for them.
        """
        events = memory.all_driven[:, : spans.shape[1]].sum(axis=0, dtype=np.int64)
        took = events * self.latency[0, loops.EVENT]
        took += np.where((events > 0) & (spans[loops.LAST] == 0), self.read_fs[0], 0)
        spans[loops.LAST] += took
        return np.asarray(spans[loops.LAST].max(axis=1))

    def learning(self, memory: Memory, ticks: int) -> Integers:
        """Time of changing synapses, ``[band, tick]`` in fs: after all else, until the core with most is done."""
        meter, most = self.meter, np.zeros(ticks, np.int64)
        if meter.learning is None:
            return most[None]
        of = meter.learning
        stdp.busiest(
            memory.spikes, memory.tick_first, of.first, meter.learners, of.synapses, of.into, meter.here,
            np.zeros(meter.cores.size, np.int64), most,
        )  # fmt: skip
        return self.update_fs[:, None] * most

    def simple(self, memory: Memory, found: Messages, spread: Spread = in_one) -> Integers:
        """Time of the slowest core, ``[band, tick]`` in fs."""
        ticks = found.sent.shape[0]
        times = np.zeros((self.latency.shape[0], ticks), np.int64)
        spread(
            lambda low, high: loops.busy(
                self.meter.neurons,
                memory.moved,
                found.sent,
                found.received,
                self.read_fs,
                self.latency,
                low,
                high,
                times,
            ),
            ticks,
        )
        return times

    def detailed(
        self, memory: Memory, found: Messages, spread: Spread = in_one, order: npt.NDArray[np.int32] | None = None
    ) -> tuple[Integers, Integers]:
        """(time until all is sent and processed [tick], spans [SPANS, tick, core]) in fs, messages in contention.

        ``order``: the cores (places among those in use) in the order in which the messages of one tick set out.
        """
        ticks = found.sent.shape[0]
        meter, links = self.meter, 4 * self.meter.mesh.tiles
        times, spans = np.zeros(ticks, np.int64), np.zeros((len(loops.SPANS), ticks, meter.cores.size), np.int64)
        given = np.zeros(0, np.int32) if order is None else order.astype(np.int32)
        spread(
            lambda low, high: loops.contend(
                memory.spikes, memory.rank, memory.tick_first, low, high, meter.here, self.place, meter.neurons,
                memory.moved, found.received, meter.messages, meter.axon_first, meter.packed, meter.shift,
                meter.axons.pair,
                *self.paths, links, meter.chip.geometry.link_buffer, self.latency[0], self.read_fs[0], given, times,
                spans,
            ),
            ticks,
        )  # fmt: skip
        return times, spans

    def event(self, memory: Memory, found: Messages) -> tuple[Integers, Integers]:
        """As `detailed`, every message a simpy process."""
        ticks = found.sent.shape[0]
        times = np.zeros(ticks, np.int64)
        spans = np.zeros((len(loops.SPANS), ticks, self.meter.cores.size), np.int64)
        for t in range(ticks):
            times[t], spans[:, t] = network_events.run_tick(self.plan(memory, t))
        return times, spans

    def plan(self, memory: Memory, t: int) -> network_events.Plan:
        """What every core sends in tick t of the last call, and when."""
        meter, cost, (first, links, _, _) = self.meter, self.latency[0], self.paths
        cores = meter.cores.size
        messages: list[list[network_events.Message]] = [[] for _ in range(cores)]
        wait, seen_place, seen_rank = [0] * cores, [0] * cores, [0] * cores
        for k in range(int(memory.tick_first[t]), int(memory.tick_first[t + 1])):
            i, rank = int(memory.spikes[k]), int(memory.rank[k])
            c, place = int(meter.here[i]), int(self.place[i])
            wait[c] += int((place - seen_place[c]) * cost[loops.VISITED] + (rank - seen_rank[c]) * cost[loops.UPDATED]
                           + cost[loops.FIRED])  # fmt: skip
            seen_place[c], seen_rank[c] = place, rank
            axons = range(int(meter.axon_first[i]), int(meter.axon_first[i + 1]))
            wait[c] += (int(meter.messages[i]) - len(axons)) * int(cost[loops.MESSAGE])
            for a in axons:
                p, synapses = int(meter.axons.pair[a]), int(meter.axons.synapses[a])
                way = tuple(links[first[p] : first[p + 1]].tolist())
                messages[c].append(network_events.Message(
                    wait[c] + int(cost[loops.MESSAGE]), int(meter.there[a]), way,
                    int(cost[loops.RECEIVED] + synapses * cost[loops.EVENT]),
                ))  # fmt: skip
                wait[c] = 0
        rest = [
            wait[c] + int((meter.neurons[c] - seen_place[c]) * cost[loops.VISITED]
                          + (memory.moved[t, c] - seen_rank[c]) * cost[loops.UPDATED])
            for c in range(cores)
        ]  # fmt: skip
        return network_events.Plan(messages, rest, self.read_fs[0], self.link_fs, meter.chip.geometry.link_buffer)

    @cached_property
    def link_fs(self) -> Integers:
        """Latency of every link of the mesh, by number."""
        kinds = self.meter.mesh.kind(np.arange(4 * self.meter.mesh.tiles))
        return np.array([self.meter.latency(name) for name in HOPS], np.int64)[kinds]

    def tick_times(
        self, memory: Memory, first_tick: int, found: Messages, time_fs: Integers, spans: Integers | None
    ) -> TickTimes:
        """All that is known of each tick; copies."""
        cost, ticks = self.latency[0], found.sent.shape[0]
        low = np.uint64(loops.LOW)
        counts = {
            "neuron_updated": memory.moved[:ticks].astype(np.int64),
            "neuron_fired": (found.sent >> loops.SHIFT).astype(np.int64),
            "message": (found.sent & low).astype(np.int64),
            "message_received": (found.received >> loops.SHIFT).astype(np.int64),
            "synaptic_event": (found.received & low).astype(np.int64),
        }
        generation = self.meter.neurons * cost[loops.VISITED] + counts["neuron_updated"] * cost[loops.UPDATED]
        generation += counts["neuron_fired"] * cost[loops.FIRED] + counts["message"] * cost[loops.MESSAGE]
        received = counts["message_received"]
        processing = received * cost[loops.RECEIVED] + counts["synaptic_event"] * cost[loops.EVENT]
        processing += np.where(found.received > 0, self.read_fs[0], 0)
        if spans is None:
            spans = np.stack([generation, np.zeros_like(generation), processing])
        crossed = np.zeros((ticks, len(HOPS)), np.int64)
        loops.hops(memory.spikes, memory.tick_first, self.meter.axons.hops, crossed)
        return TickTimes(
            first_tick=first_tick,
            cores=self.meter.cores,
            time_fs=time_fs + self.meter.barrier_fs,
            barrier_fs=self.meter.barrier_fs,
            hops=crossed,
            counts=counts,
            generation_fs=generation,
            processing_fs=processing,
            sent_fs=spans[loops.SENT],
            first_fs=spans[loops.FIRST],
            last_fs=spans[loops.LAST],
        )
