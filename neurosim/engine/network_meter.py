"""From the spikes of a hand-driven network to countables by core, and the latencies that its kernel adds up.

Where a spike goes is fixed once neurons have their cores, so everything but updates and array reads follows from how
often each neuron fired and how often its spikes were delivered: whole numbers, exact for any partition of a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from neurosim.accounting import PriceTable, require_prices
from neurosim.chip.cores import DIRECTIONS, Axons
from neurosim.chip.population import Integers
from neurosim.errors import InputError
from neurosim.spec.chip import Chip
from neurosim.spec.countables import CONDUCTANCE_UNIT
from neurosim.units import femtoseconds

ByCore = dict[str, Integers]


@dataclass(frozen=True, eq=False)
class Activity:
    """What the kernel counted in some ticks."""

    ticks: int
    sent: Integers
    """Spikes by neuron."""
    arrived: Integers
    """Spikes by neuron that reached their synapses: those of the ticks before."""
    updated: Integers
    """Updates by core in use."""
    reads: Integers
    """Ticks by core in use in which an input arrived (counted where ``NetworkMeter.routed``)."""


@dataclass(frozen=True, eq=False)
class NetworkMeter:
    """Prices and routes of one network on one chip."""

    chip: Chip
    prices: PriceTable
    core: Integers
    """The core of every neuron."""
    axons: Axons
    has_inputs: np.ndarray
    """Whether a synapse leads to the neuron, that is, whether its column is read."""
    timing: str
    alive: np.ndarray | None = None
    """Whether the neuron's core still works; None: all do."""

    @cached_property
    def cores(self) -> Integers:
        """Cores in use; where arrays run over cores, they run over these."""
        return np.unique(self.core)

    @cached_property
    def here(self) -> Integers:
        """For every neuron, where its core stands in ``cores``."""
        return np.searchsorted(self.cores, self.core)

    @cached_property
    def there(self) -> Integers:
        """For every axon, where its core stands in ``cores``."""
        return np.searchsorted(self.cores, self.axons.core)

    @property
    def cells(self) -> bool:
        """Whether synapses are weight cells that a read current flows through."""
        return self.chip.synapse.g_max_S > 0.0 or self.prices.is_priced("cell_read")

    @property
    def columns_converted(self) -> bool:
        """Whether inputs are converted to levels and columns to numbers."""
        return self.cells and self.chip.periphery.adc_at == "columns"

    @property
    def routed(self) -> bool:
        """Whether the kernel must follow spikes to their cores tick by tick."""
        return self.timing == "simple" or self.columns_converted

    @property
    def _pair(self) -> int:
        """Conductance of one differential pair, in units of g_max / 2^16."""
        synapse = self.chip.synapse
        if synapse.g_max_S == 0.0:
            return 0
        return int((1.0 + synapse.g_min_S / synapse.g_max_S) * CONDUCTANCE_UNIT + 0.5)

    def counts(self, done: Activity) -> ByCore:
        """How often each countable happened in each core in use; messages and hops in the core that sends."""
        neurons, columns = self._neurons(), self._by_home(self.has_inputs.astype(np.int64))
        events, rows = self._arrivals(done.arrived)
        counts = {
            "neuron_visited": neurons * done.ticks,
            "neuron_updated": done.updated.copy(),
            "neuron_fired": self._by_home(done.sent),
            "synaptic_event": events,
            "message": self._by_home(done.sent * self.axons.messages),
        }
        for k, name in enumerate(DIRECTIONS):
            counts[name] = self._by_home(done.sent * self.axons.hops[:, k])
        if self.columns_converted:
            counts["dac_conversion"] = rows
            counts["adc_conversion"] = columns * done.reads
        if self.cells:
            counts["cell_read"] = events.copy()
        if self._pair:
            counts["cell_read_conductance"] = events * self._pair
        return counts

    def _neurons(self) -> Integers:
        """Neurons of each core that still works."""
        return self._by_home(np.ones_like(self.core) if self.alive is None else self.alive.astype(np.int64))

    def _by_home(self, each: Integers) -> Integers:
        """Sums over the neurons of each core."""
        total = np.zeros(self.cores.size, np.int64)
        np.add.at(total, self.here, each)
        return total

    def _arrivals(self, arrived: Integers) -> tuple[Integers, Integers]:
        """(synapses reached, rows driven) in each core."""
        senders = np.flatnonzero(arrived)
        first, number = self.axons.first[senders], self.axons.arriving[senders]
        each = np.repeat(first - np.cumsum(number) + number, number) + np.arange(number.sum())  # their axons, in a row
        times, there = np.repeat(arrived[senders], number), self.there[each]
        events, rows = np.zeros(self.cores.size, np.int64), np.zeros(self.cores.size, np.int64)
        np.add.at(events, there, times * self.axons.synapses[each])
        np.add.at(rows, there, times)
        return events, rows

    # latencies, in femtoseconds

    def latency(self, name: str) -> int:
        """Latency of one countable; 0 where the chip does not price it."""
        return int(self.prices.latency_fs[self.prices.index(name)])

    def idle_fs(self) -> Integers:
        """Time of a tick in which nothing happens, for each core."""
        return self._neurons() * self.latency("neuron_visited")

    def axon_fs(self) -> Integers:
        """Time that one spike keeps the core busy which it reaches, for each axon."""
        return self.axons.synapses * (self.latency("synaptic_event") + self.cells * self.latency("cell_read"))

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

    def check(self) -> None:
        """Raise InputError where time or energy would be a silent zero."""
        used = [name for name, count in self.counts(self._everything()).items() if count.any()]
        require_prices([*used, "barrier"], self.prices)
        paces = ("neuron_visited", "neuron_updated", "barrier")
        if self.timing == "simple" and not any(self.latency(name) for name in paces):
            raise InputError(
                f"timing = 'simple': chip {self.chip.name} gives no latency_s for {', '.join(paces)}, so that a tick "
                "without spikes would take no time; give prices.neuron_visited.latency_s, or use timing='clocked'"
            )

    def _everything(self) -> Activity:
        """One of each thing that can happen."""
        once, here = np.ones_like(self.core), np.ones_like(self.cores)
        return Activity(1, once, once, here, here)
