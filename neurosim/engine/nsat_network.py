"""Networks of integer neurons at work: what ``Simulation`` drives where populations are of model ``nsat``.

All neurons of a network are one flat core of ``kernels.nsat``, inputs among them as units without states, in the order
of their numbers. Spikes take one tick to wherever they go, so that the cores on which neurons stand change counts,
times and energies, but never a bit of a state or a weight. Random parts are drawn by the number of the neuron and of
the synapse.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim.accounting import Ledger, require_prices
from neurosim.chip import cores as routes
from neurosim.chip.cores import Wiring
from neurosim.chip.mesh import Mesh
from neurosim.chip.nsat import beyond
from neurosim.chip.nsat_places import Layout, group_of, shared_of, states_problems, weight_range, whole_weights
from neurosim.chip.population import Connection, Integers, Network, Population
from neurosim.engine import network_timing, nsat_arrays
from neurosim.engine.network_account import Account, Recording
from neurosim.engine.network_faults import NetworkFaults, Parts
from neurosim.engine.network_meter import NetworkMeter
from neurosim.engine.network_timing import NetworkTiming
from neurosim.errors import InputError
from neurosim.kernels import nsat as kernels
from neurosim.kernels import random
from neurosim.spec.chip import Chip

Array = npt.NDArray[Any]

SPIKES = 1 << 18
"""Spikes that one call of the kernel may make, besides those of one tick."""
TICKS = 8192
"""Ticks of one call, at most, ..."""
CELLS = 1 << 18
"""... and ticks x cores in use."""


@dataclass(eq=False)
class NsatMemory:
    """The arrays of one network, with what the books of a network driven by hand ask for (``network_state.Memory``)."""

    core: kernels.Core
    words: dict[tuple[str, str], slice]
    """Where in the weight memory the weights of each connection stand."""
    position: Integers
    """Where the weight of the synapse stands that was connected as number k."""
    home: npt.NDArray[np.uint32]
    """The core in use of every neuron."""
    updates: npt.NDArray[np.int32]
    """``[tick of the call, core in use]``: weights changed."""
    moved: npt.NDArray[np.int32]
    """``[tick, core in use]``: neurons updated, in every tick the same."""
    spikes: npt.NDArray[np.uint32]
    tick_first: Integers
    order: npt.NDArray[np.uint32]
    """For every neuron, how many neurons with states its core has up to it."""
    given_tick: int = 0
    """The tick that ``given_first`` begins with."""
    given: npt.NDArray[np.uint32] = field(default_factory=lambda: np.zeros(0, np.uint32))
    given_first: Integers = field(default_factory=lambda: np.zeros(1, np.int64))
    drives: Integers = field(default_factory=lambda: np.zeros((0, 4), np.int64))

    @property
    def weight(self) -> Integers:
        """The weight memory."""
        return self.core.memory

    def get(self, register: str) -> int:
        """A register: TICK, GIVEN_TICK or SATURATED."""
        match register:
            case "TICK":
                return int(self.core.notes[kernels.TICK])
            case "SATURATED":
                return int(self.core.notes[kernels.CUT])
        return self.given_tick

    def set(self, register: str, value: int) -> None:
        """Set GIVEN_TICK; the others are the kernel's."""
        assert register == "GIVEN_TICK"
        self.given_tick = int(value)

    @property
    def rank(self) -> npt.NDArray[np.uint32]:
        """For each spike of the last call how many neurons of its core, up to its own, had been updated."""
        return self.order[self.spikes[: self.tick_first.max()]]

    def row(self, name: str) -> Integers:
        """One state (``x0``, ``x1``, ...) or ``refractory`` of all neurons, as it lies in memory."""
        if name == "refractory":
            return self.core.neuron[:, kernels.RESTING]
        return self.core.x[:, int(name[1:])]

    def set_state(self, population: Population, name: str, span: slice, values: npt.NDArray[np.number]) -> None:
        """Set a state by hand; raises InputError for what does not fit into it."""
        state = int(name[1:])
        problems = states_problems(f"{name} of {population.name!r}", values, group_of(population), state)
        if problems:
            raise InputError(problems)
        self.core.x[span, state] = values.astype(np.int64)

    def weights(self, connection: Connection) -> Integers:
        """The weights of a connection, in the shape in which they were given."""
        held = self.core.memory[self.words[connection.source.name, connection.target.name]]
        return held.reshape(connection.shape).copy()

    def set_weights(self, connection: Connection, weights: npt.NDArray[np.number], chip: Chip) -> None:
        """Write the weights of a connection; stuck ones stay. Raises InputError for what does not fit."""
        name = f"weights of {connection.name}"
        problems = whole_weights(name, weights) + beyond(name, weights, *weight_range(chip))
        if problems:
            raise InputError(problems)
        words = self.words[connection.source.name, connection.target.name]
        stuck, held = self.core.stuck[words], self.core.memory[words]
        self.core.memory[words] = np.where(stuck, held, weights.astype(np.int64))


def state_names(population: Population) -> list[str]:
    """The states of a population as ``Simulation.state`` calls them."""
    return [f"x{k}" for k in range(group_of(population).states)]


def build(network: Network, wiring: Wiring, meter: NetworkMeter, seed: int) -> NsatMemory:
    """All arrays before the first tick; raises InputError where learning has no price.

    ``meter.alive``: neurons that are looked at in every tick, so all but inputs.
    """
    layout = Layout.of(network)
    if layout.rules:
        require_prices(["synapse_updated"], meter.prices)
    memory, words, position = _weights(network, wiring)
    pointer = np.empty(wiring.synapses, np.int64)
    pointer[wiring.position] = position
    state = np.zeros(wiring.synapses, np.int64) if wiring.receptor is None else wiring.receptor.astype(np.int64)
    low, high, _ = weight_range(meter.chip)
    synapses = nsat_arrays.Synapses(
        wiring.first.astype(np.int64), wiring.target.astype(np.int64), state, pointer, memory, low, high
    )
    cores = meter.cores.size
    arrays = nsat_arrays.build(
        layout.groups, layout.rules, layout.of_neuron, _start(network, layout), synapses, 0,
        int(random.sub_key(seed, 0)), home=meter.here.astype(np.int64), cores=cores,
    )  # fmt: skip
    if meter.chip.synapse.stuck_fraction > 0.0:
        arrays.stuck[:] = _stuck(meter.chip, memory.size)
    ticks = max(1, min(TICKS, CELLS // cores))
    return NsatMemory(
        core=arrays, words=words, position=position, home=meter.here,
        updates=np.zeros((ticks, cores), np.int32), moved=np.tile(meter.neurons.astype(np.int32), (ticks, 1)),
        spikes=np.zeros(network.neurons + SPIKES, np.uint32), tick_first=np.zeros(ticks + 1, np.int64),
        order=_order(meter.here, layout.of_neuron >= 0),
    )  # fmt: skip


def _weights(network: Network, wiring: Wiring) -> tuple[Integers, dict[tuple[str, str], slice], Integers]:
    """(all weights, those of each connection, the place of each synapse's weight in order of connection)."""
    words, parts, places, end = {}, [np.zeros(0)], [np.zeros(0, np.int64)], 0
    for connection in network.connections:
        shared = shared_of(connection)
        size = connection.weights.size
        words[connection.source.name, connection.target.name] = slice(end, end + size)
        parts.append(connection.weights)
        places.append(end + (np.arange(size) if shared is None else shared))
        end += size
    return np.concatenate(parts).astype(np.int64), words, np.concatenate(places)


def _start(network: Network, layout: Layout) -> Integers:
    """``[neuron, state]`` before the first tick."""
    out = np.zeros((network.neurons, max([1, *(group.states for group in layout.groups)])), np.int64)
    for g, group in enumerate(layout.groups):
        out[layout.of_neuron == g, : group.states] = group.row("start")
    return out


def _order(here: npt.NDArray[np.uint32], inside: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint32]:
    """For every neuron, how many neurons with states its core has up to it."""
    order = np.argsort(here, kind="stable")
    counted = np.cumsum(inside[order])
    first = np.searchsorted(here[order], here[order])
    before = np.where(first > 0, counted[first - 1], 0)
    out = np.empty(order.size, np.uint32)
    out[order] = counted - before
    return out


def _stuck(chip: Chip, count: int) -> npt.NDArray[np.bool_]:
    """Which words of the weight memory never change, drawn from the chip's fabrication seed."""
    u = np.empty(count)
    random.uniforms(u, chip.fabrication_seed, random.STREAM_STUCK, 0, 0, 0)
    return np.asarray(u < chip.synapse.stuck_fraction, np.bool_)


class NsatRunner:
    """Drives the kernel, many ticks in one call; with ``network_runner.Runner``'s interface.

    The neurons run in one thread, since weights that learn may be shared by all of them; times and counts are worked
    out in as many as there are.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool: ThreadPoolExecutor | None = None

    @property
    def needs_compiling(self) -> bool:
        """Whether the kernel has yet to be loaded or compiled in this process."""
        return not getattr(kernels.run, "signatures", ())

    @property
    def spread(self) -> network_timing.Spread:
        """How ticks are shared out to the threads."""
        if self.threads == 1:
            return network_timing.in_one
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="neurosim")
        return network_timing.in_threads(self._pool, self.threads)

    def prepare(self, memory: NsatMemory) -> None:
        """Load or compile the kernel."""
        self._ticks(memory, 0)

    def call(self, memory: NsatMemory, ticks: int) -> int:
        """Take up to ``ticks`` ticks and say how many; who fired then stands in ``memory.spikes``."""
        return self._ticks(memory, min(ticks, memory.moved.shape[0]))

    def _ticks(self, memory: NsatMemory, ticks: int) -> int:
        start = memory.get("TICK")
        at = start - memory.get("GIVEN_TICK") + np.arange(ticks + 1)
        first = memory.given_first[np.clip(at, 0, memory.given_first.size - 1)].astype(np.int64)
        return int(kernels.run(
            memory.core, start, ticks, first, memory.given.astype(np.int64), True, memory.spikes, memory.tick_first,
            np.zeros(3, np.int64), memory.updates, np.zeros((0, 1, 1), np.int64),
            np.zeros((0, 1), np.int64), 1,
        ))  # fmt: skip


class NsatTiming(NetworkTiming):
    """Times of networks of integer neurons."""

    @cached_property
    def place(self) -> npt.NDArray[np.uint32]:
        """For every neuron, how many neurons with states its core has up to it."""
        alive = self.meter.alive
        return _order(self.meter.here, np.ones(self.meter.here.size, np.bool_) if alive is None else alive)

    def learning(self, memory: Any, ticks: int) -> Integers:
        """Time of writing weights, ``[band, tick]`` in fs: after all else, until the core with most is done."""
        most = memory.updates[:ticks].max(axis=1).astype(np.int64)
        return np.asarray(self.update_fs[:, None] * most, np.int64)


class NsatAccount(Account):
    """The books of a network of integer neurons: weights that changed are counted as well."""

    def __init__(self, bands: tuple[NetworkMeter, NetworkMeter, NetworkMeter]) -> None:
        self._written = 0, np.zeros(bands[0].cores.size, np.int64)
        """(tick, weights changed up to it, by core in use): replaced as a whole, as the books are."""
        super().__init__(bands)

    def _set(self, bands: tuple[NetworkMeter, NetworkMeter, NetworkMeter]) -> None:
        super()._set(bands)
        self.timing = NsatTiming(bands)

    def settle(self, memory: Any, recording: Recording, spread: network_timing.Spread) -> None:
        """As that of all networks."""
        seen, written = self._written
        tick = memory.get("TICK")
        if tick > seen:
            self._written = tick, written + memory.updates[: tick - seen].sum(axis=0)
        super().settle(memory, recording, spread)

    def count(self) -> None:
        """As that of all networks, and the weights that were written."""
        super().count()
        books, (_, written) = self.books, self._written
        more = int(written.sum()) - books.ledger.counts["synapse_updated"]
        self.books = replace(
            books,
            counts={**books.counts, "synapse_updated": written},
            ledger=books.ledger + Ledger({"synapse_updated": more}),
        )


class NsatDevices:
    """The words of the weight memory as faults see them: which synapses are stuck, by number of connection."""

    def __init__(self, memory: NsatMemory) -> None:
        self._memory = memory

    @property
    def stuck(self) -> npt.NDArray[np.bool_]:
        """Of every synapse, whether its weight never changes."""
        return self._memory.core.stuck[self._memory.position]

    @stuck.setter
    def stuck(self, dead: npt.NDArray[np.bool_]) -> None:
        self._memory.core.stuck[self._memory.position[dead]] = True


class NsatFaults(NetworkFaults):
    """Faults of a network of integer neurons: as those of all networks, on other arrays."""

    def _cut(self, parts: Parts, memory: Any) -> Parts:
        """Neurons of dead cores stop, synapses that no message reaches go."""
        whole = self._whole
        dead = np.zeros(self.chip.geometry.all_cores, np.bool_)
        dead[[core for strike in self.struck for core in strike.cores]] = True
        mesh = Mesh.of(self.chip.geometry, [link for strike in self.struck for link in strike.links])
        core = parts.meter.core
        axons, arrives = routes.route_around(core, whole, mesh, dead)
        arrays: kernels.Core = memory.core
        inside = np.ones(core.size, np.bool_) if parts.meter.alive is None else parts.meter.alive
        arrays.neuron[dead[core], kernels.GROUP] = -1
        meter = replace(parts.meter, axons=axons, mesh=mesh, alive=inside & ~dead[core])
        kept = arrays.synapse[arrives[arrays.synapse[:, kernels.NUMBER]]]
        fan_out = np.bincount(whole.source[kept[:, kernels.NUMBER]], minlength=whole.neurons)
        memory.core = arrays._replace(synapse=kept, first=np.concatenate([[0], np.cumsum(fan_out)]).astype(np.int64))
        memory.moved[:], memory.order = meter.neurons, _order(meter.here, inside & ~dead[core])
        return Parts(mesh, parts.wiring, meter)
