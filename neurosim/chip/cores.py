"""Which core holds which neuron of a hand-driven network, and which way its spikes go.

Neurons keep one number all along: population after population, in the order in which they were added. A core holds a
neuron together with the synapses that lead to it; every distinct presynaptic neuron takes one input (row) there. A
spike goes as one message to every core that holds synapses of its neuron, over the links of ``chip.mesh``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from neurosim.chip.mesh import HOPS, Mesh
from neurosim.chip.population import Connection, Floats, Integers, Network
from neurosim.errors import CapacityError, InputError
from neurosim.spec.chip import Geometry

Words = npt.NDArray[np.uint32]

DIRECTIONS = HOPS


@dataclass(frozen=True, eq=False)
class Wiring:
    """All synapses of a network by their presynaptic neuron, then by their target."""

    neurons: int
    first: npt.NDArray[np.uint64]
    """Synapses of neuron i are ``first[i]`` to ``first[i + 1] - 1``."""
    source: Words
    target: Words
    position: npt.NDArray[np.int64]
    """Where the synapse stands that was connected as number k: connection after connection, each in its own order."""
    span: dict[tuple[str, str], slice]
    """Which k belong to which connection."""

    @property
    def synapses(self) -> int:
        """Number of synapses."""
        return self.target.size

    def sorted_weights(self, weights: list[Floats]) -> Floats:
        """Weights of all connections in the order of the wiring."""
        held = np.empty(self.synapses)
        held[self.position] = np.concatenate(weights) if weights else np.zeros(0)
        return held


@dataclass(frozen=True, eq=False)
class Axons:
    """One entry for each core that a neuron's spikes go to."""

    first: npt.NDArray[np.int64]
    """Axons of neuron i are ``first[i]`` to ``first[i + 1] - 1``."""
    core: Integers
    synapses: Integers
    """Synapses of the neuron in that core."""
    pair: npt.NDArray[np.int32]
    """Which pair of tiles each axon joins: an index into the arrays that follow."""
    source_tile: Integers
    """Of each distinct pair of tiles, by number of the pair."""
    destination_tile: Integers
    pair_hops: Integers
    """``[pair, 5]``: links that one message crosses, in the order of ``mesh.HOPS``."""

    @cached_property
    def hops(self) -> Integers:
        """``[neuron, 5]``: links that one spike of a neuron crosses, all its messages together."""
        total = np.empty((self.first.size - 1, len(HOPS)), np.int64)
        for k in range(len(HOPS)):
            so_far = np.concatenate([[0], np.cumsum(self.pair_hops[self.pair, k])])
            total[:, k] = so_far[self.first[1:]] - so_far[self.first[:-1]]
        return total

    @property
    def messages(self) -> Integers:
        """Messages that one spike of each neuron makes."""
        return np.diff(self.first)


def offsets(network: Network) -> dict[str, int]:
    """The number of each population's first neuron."""
    ends = np.cumsum([0, *(population.size for population in network.populations)])
    return {population.name: int(end) for population, end in zip(network.populations, ends, strict=False)}


def wire(network: Network) -> Wiring:
    """Sort all synapses of ``network`` by presynaptic neuron and target; parallel ones keep their order."""
    at, n = offsets(network), network.neurons
    span, sources, targets, end = {}, [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
    for connection in network.connections:
        sources.append(connection.pre + at[connection.source.name])
        targets.append(connection.post + at[connection.target.name])
        span[connection.source.name, connection.target.name] = slice(end, end + len(connection))
        end += len(connection)
    source, target = np.concatenate(sources), np.concatenate(targets)
    order = np.argsort(source * n + target, kind="stable")
    position = np.empty(end, np.int64)
    position[order] = np.arange(end)
    first = np.zeros(n + 1, np.uint64)
    first[1:] = np.cumsum(np.bincount(source, minlength=n))
    return Wiring(n, first, source[order].astype(np.uint32), target[order].astype(np.uint32), position, span)


def assign(network: Network, wiring: Wiring, geometry: Geometry, chip: str) -> Integers:
    """The core of every neuron: by hand where the network says so, the rest filled in order.

    Raises InputError for cores that the chip has not, CapacityError saying what is missing where it does not fit.
    """
    core = np.full(network.neurons, -1, np.int64)
    at = offsets(network)
    problems = []
    for population in network.populations:
        placed = network.placement(population)
        if placed is None:
            continue
        if placed.max() >= geometry.cores:
            problems.append(
                f"place {population.name!r}: core {int(placed.max())} is out of range; chip {chip} has cores 0 to "
                f"{geometry.cores - 1}"
            )
        core[at[population.name] : at[population.name] + population.size] = placed
    if problems:
        raise InputError(problems)
    problems = _crossings(network, wiring, geometry, chip) + _fan_in(network, wiring, geometry, chip)
    if not problems:
        problems = _overfull(core, wiring, geometry, chip)
    if problems:
        raise CapacityError(problems)
    free = [population for population in network.populations if network.placement(population) is None]
    if free:
        _Filler(core, wiring, geometry).fill([(at[population.name], population.size) for population in free])
        needed = int(core.max()) + 1
        if needed > geometry.cores:
            raise CapacityError(_missing(core, wiring, geometry, chip))
    return core


def route(core: Integers, wiring: Wiring, mesh: Mesh) -> Axons:
    """Messages and hops of every neuron's spikes, by neuron and then by core; raises InputError where no way leads."""
    n = wiring.neurons
    cores = int(core.max()) + 1
    keys, synapses = _tallied(wiring.source.astype(np.int64) * cores + core[wiring.target])
    source, destination = np.divmod(keys, cores)
    first = np.searchsorted(source, np.arange(n + 1))
    pairs, pair = _numbered(mesh.tile[core[source]] * mesh.tiles + mesh.tile[destination], mesh.tiles**2)
    ends = np.divmod(pairs, mesh.tiles)
    return Axons(first.astype(np.int64), destination, synapses, pair, *ends, mesh.tile_hops(*ends))


def _numbered(keys: Integers, bound: int) -> tuple[Integers, npt.NDArray[np.int32]]:
    """Distinct keys below ``bound``, ascending, and for each key its number among them."""
    if bound > 1 << 22:
        distinct, number = np.unique(keys, return_inverse=True)
        return distinct, number.astype(np.int32)
    there = np.zeros(bound, np.bool_)
    there[keys] = True
    distinct = np.flatnonzero(there)
    numbers = np.zeros(bound, np.int32)
    numbers[distinct] = np.arange(distinct.size)
    return distinct, numbers[keys]


def _tallied(keys: Integers) -> tuple[Integers, Integers]:
    """Distinct keys, ascending, and how often each occurs: faster than ``np.unique`` where keys are nearly sorted."""
    keys = np.sort(keys, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])[: keys.size])
    return keys[starts], np.diff(starts, append=keys.size)


def _crossings(network: Network, wiring: Wiring, geometry: Geometry, chip: str) -> list[str]:
    """A crossbar has one device for each pair of neurons."""
    if geometry.synapses_per_core is not None:
        return []
    key = wiring.source.astype(np.int64) * wiring.neurons + wiring.target
    twice = np.flatnonzero(key[1:] == key[:-1])
    if not twice.size:
        return []
    connection, k = _synapse(network, wiring, int(twice[0]))
    pair = (int(connection.pre[k]), int(connection.post[k]))
    return [
        f"connection {connection.name}: {twice.size} synapses repeat a pair (pre, post), for example {pair}; the "
        f"crossbars of chip {chip} have one device for each pair: add their weights up"
    ]


def _fan_in(network: Network, wiring: Wiring, geometry: Geometry, chip: str) -> list[str]:
    """Neurons that no core can hold."""
    synapses = np.bincount(wiring.target, minlength=wiring.neurons)
    inputs = np.bincount(wiring.target[_distinct(wiring)], minlength=wiring.neurons)
    at, problems = offsets(network), []
    for what, used, there in (
        ("distinct presynaptic neurons", inputs, geometry.inputs_per_core), ("synapses", synapses, geometry.synapses)
    ):  # fmt: skip
        for population in network.populations:
            most = used[at[population.name] : at[population.name] + population.size]
            if most.max() > there:
                problems.append(
                    f"population {population.name!r}: {int((most > there).sum())} of its neurons have more {what} than "
                    f"a core of chip {chip} takes; neuron {int(most.argmax())} has {int(most.max())} for {there} "
                    f"({int(most.max()) - there} too many)"
                )
    return problems


def _distinct(wiring: Wiring) -> npt.NDArray[np.bool_]:
    """Which synapses are the first of their pair."""
    first = np.ones(wiring.synapses, np.bool_)
    first[1:] = (wiring.source[1:] != wiring.source[:-1]) | (wiring.target[1:] != wiring.target[:-1])
    return first


def _overfull(core: Integers, wiring: Wiring, geometry: Geometry, chip: str) -> list[str]:
    """Cores that hold more than they can, neurons that are still free (core -1) not counted."""
    problems = []
    for what, used, there in _usage(core, wiring, geometry):
        problems += [
            f"core {c} of chip {chip}: {used[c]} {what} for {there} ({used[c] - there} too many)"
            for c in np.flatnonzero(used > there)
        ]
    return problems


def _usage(core: Integers, wiring: Wiring, geometry: Geometry) -> list[tuple[str, Integers, int]]:
    """(what, how much of it each core holds, how much a core can hold)."""
    cores = int(core.max(initial=-1)) + 1
    home = core[wiring.target]
    held = home >= 0
    source = wiring.source[held].astype(np.int64)
    rows = _tallied(source * max(cores, 1) + home[held])[0] % max(cores, 1)
    return [
        ("neurons", np.bincount(core[core >= 0], minlength=cores), geometry.neurons_per_core),
        ("distinct presynaptic neurons", np.bincount(rows, minlength=cores), geometry.inputs_per_core),
        ("synapses", np.bincount(home[held], minlength=cores), geometry.synapses),
    ]


def _missing(core: Integers, wiring: Wiring, geometry: Geometry, chip: str) -> list[str]:
    needed = int(core.max()) + 1
    return [
        f"chip {chip} is too small for the network: {needed} cores are needed, it has {geometry.cores} "
        f"({needed - geometry.cores} missing); {int((core >= geometry.cores).sum())} neurons found no place",
        f"neurons: {core.size} needed, {geometry.cores * geometry.neurons_per_core} there; synapses: {wiring.synapses} "
        f"needed, {geometry.cores * geometry.synapses} there; {geometry.inputs_per_core} inputs a core",
        "way out: a smaller network, another chip, placing by hand so that neurons of one core share their inputs, or "
        'overrides={"chip.geometry.cores": N}',
    ]


def _synapse(network: Network, wiring: Wiring, position: int) -> tuple[Connection, int]:
    """The connection and the number in it of the synapse that stands at ``position``."""
    k = int(np.flatnonzero(wiring.position == position)[0])
    name = next(name for name, span in wiring.span.items() if span.start <= k < span.stop)
    return network.connection(*name), k - wiring.span[name].start


class _Filler:
    """Puts neurons on cores in order, on each as many in a row as it still takes."""

    def __init__(self, core: Integers, wiring: Wiring, geometry: Geometry) -> None:
        self.core, self.geometry = core, geometry
        order = np.argsort(wiring.target, kind="stable")
        self.source = wiring.source[order]
        self.first = np.concatenate([[0], np.cumsum(np.bincount(wiring.target, minlength=wiring.neurons))])
        by_hand = np.flatnonzero(core >= 0)
        self.by_hand = {int(c): by_hand[core[by_hand] == c] for c in np.unique(core[by_hand])}

    def fill(self, blocks: list[tuple[int, int]]) -> None:
        """Place blocks of (first neuron, size); goes on past the last core, for the caller to see what is missing."""
        self._enter(0)
        for first, size in blocks:
            at, end = first, first + size
            while at < end:
                take = self._most(at, end)
                self._put(at, at + take)
                at += take
                if at < end:
                    self._enter(self.here + 1)

    def _enter(self, core: int) -> None:
        """Start on a core, with what was put there by hand."""
        self.here = core
        self.neurons = self.synapses = 0
        self.inputs = np.zeros(self.core.size, np.bool_)
        for neuron in self.by_hand.get(core, []):
            self._put(neuron, neuron + 1)

    def _put(self, low: int, high: int) -> None:
        self.core[low:high] = self.here
        self.neurons += high - low
        self.synapses += int(self.first[high] - self.first[low])
        self.inputs[self.source[self.first[low] : self.first[high]]] = True

    def _most(self, low: int, end: int) -> int:
        """How many of the neurons from ``low`` on fit; their needs grow with their number, so bisection finds it."""
        fits, too_many = 0, min(end - low, self.geometry.neurons_per_core - self.neurons) + 1
        step = too_many - 1  # all that the core has neurons for, as a first try
        while too_many - fits > 1:
            if self._fits(low, low + step):
                fits = step
            else:
                too_many = step
            step = (fits + too_many) // 2
        return fits

    def _fits(self, low: int, high: int) -> bool:
        span = slice(self.first[low], self.first[high])
        if self.synapses + span.stop - span.start > self.geometry.synapses:
            return False
        inputs = self.inputs.copy()
        inputs[self.source[span]] = True
        return int(inputs.sum()) <= self.geometry.inputs_per_core
