"""The synapses of a hand-driven network by neuron, and which way its spikes go once neurons have their cores.

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
from neurosim.chip.population import Floats, Integers, Network

Words = npt.NDArray[np.uint32]

DIRECTIONS = HOPS


@dataclass(frozen=True)
class Group:
    """What synapses have in common that are worked on together."""

    plastic: int = -1
    """The number of the connection, where its synapses learn: a group of its own; -1: they do not."""
    delay_ticks: int = 1
    transmission: float = 1.0


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
    receptor: npt.NDArray[np.uint8] | None = None
    """The receptor that each synapse leads to; None: the first of all."""
    groups: tuple[Group, ...] = (Group(),)
    group: npt.NDArray[np.uint16] | None = None
    """Which of ``groups`` each synapse belongs to; None: to the first and only one."""

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
    lost: Integers | None = None
    """Messages of each neuron's spike that reach no core, once faults have struck; their axons are not listed."""
    lost_hops: Integers | None = None
    """``[neuron, 5]``: links that those cross on their way to a core that is dead."""
    astray: tuple[Integers, npt.NDArray[np.int32]] | None = None
    """(neuron, pair of tiles) of each message that goes to a dead core."""

    @cached_property
    def hops(self) -> Integers:
        """``[neuron, 5]``: links that one spike of a neuron crosses, all its messages together."""
        total = np.empty((self.first.size - 1, len(HOPS)), np.int64)
        for k in range(len(HOPS)):
            so_far = np.concatenate([[0], np.cumsum(self.pair_hops[self.pair, k])])
            total[:, k] = so_far[self.first[1:]] - so_far[self.first[:-1]]
        return total if self.lost_hops is None else total + self.lost_hops

    @property
    def arriving(self) -> Integers:
        """Messages of one spike of each neuron that reach their core: its axons."""
        return np.diff(self.first)

    @property
    def messages(self) -> Integers:
        """Messages that one spike of each neuron makes, lost ones too."""
        return self.arriving if self.lost is None else self.arriving + self.lost


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
    receptor = None
    if any(connection.receptor for connection in network.connections):
        each = [np.full(len(connection), connection.receptor, np.uint8) for connection in network.connections]
        receptor = np.concatenate(each)[order]
    pre, post = source[order].astype(np.uint32), target[order].astype(np.uint32)
    groups, group = _grouped(network)
    return Wiring(n, first, pre, post, position, span, receptor, groups, None if group is None else group[order])


def _grouped(network: Network) -> tuple[tuple[Group, ...], npt.NDArray[np.uint16] | None]:
    """Groups by plasticity, delay and transmission, and the group of every synapse in order of connection.

    Those that do not learn come first.
    """
    learns = [-1 if each.plasticity is None else k for k, each in enumerate(network.connections)]
    kinds = {
        (plastic, int(delay), each.transmission)
        for plastic, each in zip(learns, network.connections, strict=True)
        for delay in (np.unique(each.delay_ticks) if len(each) else ())
    }
    groups = tuple(Group(*kind) for kind in sorted(kinds)) or (Group(),)
    if len(groups) == 1:
        return groups, None
    place = {(group.plastic, group.delay_ticks, group.transmission): k for k, group in enumerate(groups)}
    parts = []
    for plastic, each in zip(learns, network.connections, strict=True):
        delays, which = np.unique(np.broadcast_to(each.delay_ticks, each.pre.shape), return_inverse=True)
        number = np.array([place[plastic, int(delay), each.transmission] for delay in delays], np.uint16)
        parts.append(number[which] if number.size else np.zeros(0, np.uint16))
    return groups, np.concatenate(parts)


def route(core: Integers, wiring: Wiring, mesh: Mesh) -> Axons:
    """Messages and hops of every neuron's spikes, by neuron and then by core; raises InputError where no way leads."""
    n = wiring.neurons
    cores = int(core.max()) + 1
    keys, synapses = tallied(wiring.source.astype(np.int64) * cores + core[wiring.target])
    source, destination = np.divmod(keys, cores)
    first = np.searchsorted(source, np.arange(n + 1))
    pairs, pair = _numbered(mesh.tile[core[source]] * mesh.tiles + mesh.tile[destination], mesh.tiles**2)
    ends = np.divmod(pairs, mesh.tiles)
    return Axons(first.astype(np.int64), destination, synapses, pair, *ends, mesh.tile_hops(*ends))


def route_around(
    core: Integers, wiring: Wiring, mesh: Mesh, dead: npt.NDArray[np.bool_]
) -> tuple[Axons, npt.NDArray[np.bool_]]:
    """(routes, which synapses spikes still reach) on a broken mesh with ``dead`` cores.

    A message to a dead core goes its way and is lost there; one that has no way is sent and lost at once.
    """
    n, cores = wiring.neurons, int(core.max()) + 1
    keys = wiring.source.astype(np.int64) * cores + core[wiring.target]
    axons, synapses = tallied(keys)
    source, destination = np.divmod(axons, cores)
    tiles = mesh.tile[core[source]] * mesh.tiles + mesh.tile[destination]
    pairs, pair = _numbered(tiles, mesh.tiles**2)
    ends = np.divmod(pairs, mesh.tiles)
    way = mesh.reaches(*ends)
    goes = way[pair]
    pair = (np.cumsum(way) - 1).astype(np.int32)[pair]  # only pairs that a way joins are numbered
    ends = (ends[0][way], ends[1][way])
    hops = mesh.tile_hops(*ends)
    arrives = goes & ~dead[destination]  # what left a core before it died goes its way
    astray = goes & ~arrives
    lost_hops = np.stack([np.bincount(source[astray], hops[pair[astray], k], n) for k in range(len(HOPS))], axis=1)
    routes = Axons(
        np.searchsorted(source[arrives], np.arange(n + 1)).astype(np.int64), destination[arrives], synapses[arrives],
        pair[arrives], *ends, hops, np.bincount(source[~arrives], minlength=n), lost_hops.astype(np.int64),
        (source[astray], pair[astray]),
    )  # fmt: skip
    return routes, arrives[np.searchsorted(axons, keys)]


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


def tallied(keys: Integers) -> tuple[Integers, Integers]:
    """Distinct keys, ascending, and how often each occurs: faster than ``np.unique`` where keys are nearly sorted."""
    keys = np.sort(keys, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])[: keys.size])
    return keys[starts], np.diff(starts, append=keys.size)
