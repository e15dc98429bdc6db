"""From the spikes of a hand-driven network to countables by core, and the latencies that its timing models add up.

Where a spike goes is fixed once neurons have their cores, so everything but updates and array reads follows from how
often each neuron fired: whole numbers, exact for any partition of a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from neurosim.accounting import PriceTable, require_prices
from neurosim.chip.barrier import barrier_fs
from neurosim.chip.cores import Axons, Wiring, tallied
from neurosim.chip.mesh import HOPS, Mesh
from neurosim.chip.population import Integers
from neurosim.errors import InputError
from neurosim.kernels import mesh as loops
from neurosim.spec.chip import Chip
from neurosim.spec.countables import CONDUCTANCE_UNIT
from neurosim.units import femtoseconds

ByCore = dict[str, Integers]

TIMINGS = ("clocked", "simple", "detailed", "event")


@dataclass(frozen=True, eq=False)
class Activity:
    """What happened in some ticks."""

    ticks: int
    sent: Integers
    """Spikes by neuron."""
    updated: Integers
    """Updates by core in use."""
    reads: Integers
    """Ticks by core in use in which an input arrived (counted where ``NetworkMeter.routed``)."""
    driven: Integers
    """Events from outside, by core in use."""


@dataclass(frozen=True, eq=False)
class Learning:
    """Synapses that spikes change: every spike its own as it arrives, and those that lead to its neuron."""

    first: Integers
    """Entries of neuron i are ``first[i]`` to ``first[i + 1] - 1``: one for each core with such synapses of it."""
    core: Integers
    synapses: Integers
    into: Integers
    """Such synapses that lead to each neuron."""

    @classmethod
    def of(cls, wiring: Wiring, core: Integers) -> Learning | None:
        """From the synapses that spikes reach; None where none of them learns."""
        learns = [group.plastic >= 0 for group in wiring.groups]
        if not any(learns):
            return None
        live = int(wiring.first[-1])
        which = np.full(live, learns[0]) if wiring.group is None else np.array(learns)[wiring.group[:live]]
        source, target = wiring.source[:live][which].astype(np.int64), wiring.target[:live][which]
        cores = int(core.max()) + 1
        keys, synapses = tallied(source * cores + core[target])
        source, where = np.divmod(keys, cores)
        first = np.searchsorted(source, np.arange(wiring.neurons + 1)).astype(np.int64)
        return cls(first, where, synapses, np.bincount(target, minlength=wiring.neurons))


@dataclass(frozen=True, eq=False)
class NetworkMeter:
    """Prices and routes of one network on one chip."""

    chip: Chip
    prices: PriceTable
    core: Integers
    """The core of every neuron."""
    axons: Axons
    mesh: Mesh
    has_inputs: npt.NDArray[np.bool_]
    """Whether a synapse leads to the neuron, that is, whether its column is read."""
    timing: str
    alive: npt.NDArray[np.bool_] | None = None
    """Whether the neuron's core still works; None: all do."""
    learning: Learning | None = None
    """Synapses that spikes change; None: there are none."""

    @cached_property
    def cores(self) -> Integers:
        """Cores in use; where arrays run over cores, they run over these."""
        return np.unique(self.core)

    @cached_property
    def here(self) -> npt.NDArray[np.uint32]:
        """For every neuron, where its core stands in ``cores``."""
        return np.searchsorted(self.cores, self.core).astype(np.uint32)

    @cached_property
    def there(self) -> npt.NDArray[np.uint32]:
        """For every axon, where its core stands in ``cores``."""
        place = np.zeros(int(self.cores[-1]) + 1, np.uint32)
        place[self.cores] = np.arange(self.cores.size)
        return place[self.axons.core]

    @cached_property
    def learners(self) -> Integers:
        """For every entry of ``learning``, where its core stands in ``cores``."""
        assert self.learning is not None
        return np.searchsorted(self.cores, self.learning.core).astype(np.int64)

    @cached_property
    def axon_first(self) -> npt.NDArray[np.uint32]:
        """Axons of neuron i are ``axon_first[i]`` to ``axon_first[i + 1] - 1``."""
        return self.axons.first.astype(np.uint32)

    @cached_property
    def shift(self) -> int:
        """Where in the word of an axon its core stands: above the bits that its synapses need."""
        bits = int(self.axons.synapses.max(initial=0)).bit_length()
        return bits if bits + int(self.cores.size - 1).bit_length() <= 32 else int(loops.SHIFT)

    @cached_property
    def packed(self) -> loops.Packed:
        """Every axon in one word: ``core << shift | synapses`` (``kernels.mesh``)."""
        if self.shift == loops.SHIFT:
            return (self.there.astype(np.uint64) << loops.SHIFT) | self.axons.synapses.astype(np.uint64)
        return (self.there << np.uint32(self.shift)) | self.axons.synapses.astype(np.uint32)

    @cached_property
    def neurons(self) -> Integers:
        """Neurons of each core that still works."""
        here = self.here if self.alive is None else self.here[self.alive]
        return np.bincount(here, minlength=self.cores.size)

    @cached_property
    def messages(self) -> npt.NDArray[np.uint32]:
        """Messages that one spike of each neuron makes, those that are lost on their way among them."""
        return self.axons.messages.astype(np.uint32)

    @property
    def cells(self) -> bool:
        """Whether synapses are weight cells that a read current flows through."""
        return self.chip.synapse.g_max_S > 0.0 or self.prices.is_priced("cell_read")

    @property
    def columns_converted(self) -> bool:
        """Whether inputs are converted to levels and columns to numbers."""
        return self.cells and self.chip.periphery.adc_at == "columns"

    @property
    def dendrites(self) -> bool:
        """Whether an input passes a dendrite of its own: a unit that a chip has only where it prices it."""
        return self.prices.is_priced("dendrite_updated")

    @property
    def ranked(self) -> bool:
        """Whether times of single spikes within their tick are needed."""
        return self.timing in ("detailed", "event")

    @property
    def routed(self) -> bool:
        """Whether spikes must be followed to their cores tick by tick."""
        return self.timing != "clocked" or self.columns_converted

    @property
    def _pair(self) -> int:
        """Conductance of one differential pair, in units of g_max / 2^16."""
        synapse = self.chip.synapse
        if synapse.g_max_S == 0.0:
            return 0
        return int((1.0 + synapse.g_min_S / synapse.g_max_S) * CONDUCTANCE_UNIT + 0.5)

    def counts(self, done: Activity) -> ByCore:
        """How often each countable happened in each core in use; messages sent and hops in the core that sends."""
        received, events = np.zeros(self.cores.size, np.int64), np.zeros(self.cores.size, np.int64)
        loops.arrivals(done.sent, self.axon_first, self.packed, self.shift, received, events)
        events += done.driven
        counts = {
            "neuron_visited": self.neurons * done.ticks,
            "neuron_updated": done.updated.astype(np.int64),
            "neuron_fired": self._by_home(done.sent),
            "synaptic_event": events,
            "message": self._by_home(done.sent * self.axons.messages),
            "message_received": received,
        }
        if self.dendrites:
            counts["dendrite_updated"] = events.copy()
        for k, name in enumerate(HOPS):
            counts[name] = self._by_home(done.sent * self.axons.hops[:, k])
        if self.columns_converted:
            counts["dac_conversion"] = received.copy()
            counts["adc_conversion"] = self._by_home(self.has_inputs.astype(np.int64)) * done.reads
        if self.cells:
            counts["cell_read"] = events.copy()
        if self._pair:
            counts["cell_read_conductance"] = events * self._pair
        if self.learning is not None:
            counts["synapse_updated"] = self._by_home(done.sent * self.learning.into)
            changed = np.repeat(done.sent, np.diff(self.learning.first)) * self.learning.synapses
            np.add.at(counts["synapse_updated"], self.learners, changed)
        return counts

    def _by_home(self, each: Integers) -> Integers:
        """Sums over the neurons of each core."""
        total = np.zeros(self.cores.size, np.int64)
        np.add.at(total, self.here, each)
        return total

    def link_loads(self, sent: Integers) -> Integers:
        """Messages over every link of the mesh (numbers as in ``chip.mesh``), for ``sent[i]`` spikes of neuron i."""
        messages = np.zeros(self.axons.source_tile.size, np.int64)
        loops.by_pair(sent, self.axon_first, self.axons.pair, messages)
        if self.axons.astray is not None:
            neuron, pair = self.axons.astray
            np.add.at(messages, pair, sent[neuron])
        first, links = self.mesh.tile_paths(self.axons.source_tile, self.axons.destination_tile)
        loads = np.zeros(4 * self.mesh.tiles, np.int64)
        np.add.at(loads, links, np.repeat(messages, np.diff(first)))
        return loads

    # latencies, in femtoseconds

    def latency(self, name: str) -> int:
        """Latency of one countable; 0 where the chip does not price it."""
        return int(self.prices.latency_fs[self.prices.index(name)])

    @property
    def barrier_fs(self) -> int:
        """Time of one barrier, by the tiles and chips in use."""
        return barrier_fs(self.chip, self.prices, self.cores)

    @property
    def latencies(self) -> Integers:
        """What keeps a core busy, in the order of ``kernels.mesh.LATENCIES``."""
        event = self.latency("synaptic_event") + self.cells * self.latency("cell_read")
        event += self.dendrites * self.latency("dendrite_updated")
        names = ("neuron_visited", "neuron_updated", "neuron_fired", "message", "message_received")
        return np.array([*(self.latency(name) for name in names), event], np.int64)

    def read_fs(self) -> Integers:
        """Time of one read of each core's array: all rows at once, converters in turn."""
        if not self.cells:
            return np.zeros(self.cores.size, np.int64)
        chip = self.chip
        once = femtoseconds(chip.timing.settling_s + chip.synapse.read_time_s)
        if not self.columns_converted:
            return np.full(self.cores.size, once)
        rounds = -(-self._by_home(self.has_inputs.astype(np.int64)) // chip.periphery.adcs_per_core)
        return once + self.latency("dac_conversion") + rounds * self.latency("adc_conversion")

    def pair_fs(self) -> Integers:
        """Time of the links that each pair of tiles is apart."""
        return self.axons.pair_hops @ np.array([self.latency(name) for name in HOPS], np.int64)

    def check(self) -> None:
        """Raise InputError where time or energy would be a silent zero."""
        used = [name for name, count in self.counts(self._everything()).items() if count.any()]
        require_prices([*used, "barrier"], self.prices)
        paces = ("neuron_visited", "neuron_updated")
        if self.timing != "clocked" and not any(self.latency(name) for name in paces) and not self.barrier_fs:
            raise InputError(
                f"timing = {self.timing!r}: chip {self.chip.name} gives no latency_s for {', '.join(paces)}, barrier, "
                "so that a tick without spikes would take no time; give prices.neuron_visited.latency_s, or use "
                "timing='clocked'"
            )

    def _everything(self) -> Activity:
        """One of each thing that can happen."""
        once, here = np.ones_like(self.core), np.ones_like(self.cores)
        return Activity(1, once, here, here, here)
