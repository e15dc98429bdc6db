"""The mapper of networks that are driven by hand: which core holds which neuron.

Neurons that were placed by hand stay where they are. The others come, by ``mapping``,

* ``fill``: in the order of their numbers onto cores 0, 1, 2, ..., on each as many in a row as it still takes;
* ``round-robin``: dealt out to all living cores in turn, to the next that still takes them;
* ``traffic``: so that few messages go few hops. Neurons that are connected are gathered on the same core
  (``kernels.mapping.grow``), then the contents of cores are swapped as long as that lowers messages x hops, each
  neuron taken to spike as often. It is never worse than ``fill``, and draws no random numbers.

No core takes more neurons, inputs, synapses, axons out or memory than it has; dead cores take nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from neurosim import registry
from neurosim.chip import cores
from neurosim.chip.cores import Wiring
from neurosim.chip.mesh import Mesh
from neurosim.chip.population import Connection, Integers, Network
from neurosim.chip.utilisation import RESOURCES, Amounts, Capacities, Mapping, Utilisation
from neurosim.errors import CapacityError, InputError
from neurosim.kernels import mapping as loops
from neurosim.spec.chip import Chip

_Place = Callable[[Integers], Integers]

MAPPINGS = ("fill", "round-robin", "traffic")

SWAPS = 300_000_000
"""Work that ``traffic`` may spend on swaps, in looks at one tie between two cores: two or three seconds at most."""

ROUNDS = 8
"""How often the mapper tries to keep to ``axons_out_per_core``, whose use is known only when all neurons stand."""


def assign(network: Network, wiring: Wiring, chip: Chip, mesh: Mesh, mapping: str = "fill") -> Integers:
    """The core of every neuron.

    Raises InputError for an unknown ``mapping`` and for cores that the chip has not, CapacityError saying what is
    missing, where and by how much, where the network does not fit.
    """
    if mapping not in MAPPINGS:
        raise InputError(registry.unknown(mapping, list(MAPPINGS), "mapping"))
    capacities = Capacities.of(chip)
    core = placed_by_hand(network, capacities)
    problems = _crossings(network, wiring, chip) + too_large(network, wiring, capacities)
    if not problems and (core >= 0).any():
        problems = capacities.overfull(use(core, wiring, capacities))
    if problems:
        raise CapacityError(problems)
    if (core >= 0).all():
        return core
    core = Mapper(network, wiring, capacities, mesh, core).run(mapping)
    problems = capacities.overfull(use(core, wiring, capacities))
    if problems:
        raise CapacityError([*problems, "way out: placing by hand, another mapping, a smaller network or another chip"])
    return core


def use(core: Integers, wiring: Wiring, capacities: Capacities) -> Amounts:
    """What each core holds; neurons that have no core yet (-1) are not counted."""
    count = max(capacities.cores, int(core.max(initial=-1)) + 1)
    keys = wiring.source.astype(np.int64) * (count + 1) + core[wiring.target]
    if (core < 0).any():
        keys = keys[core[wiring.target] >= 0]
    pairs, number = cores.tallied(keys)  # of a neuron and a core that holds synapses of it
    sender, home = core[pairs // (count + 1)], pairs % (count + 1)
    neurons = np.bincount(core[core >= 0], minlength=count)
    synapses = np.bincount(home, number, count).astype(np.int64)
    return {
        "neurons": neurons,
        "inputs": np.bincount(home, minlength=count),
        "synapses": synapses,
        "axons_out": np.bincount(sender[sender >= 0], minlength=count),
        "memory_B": capacities.memory_B(neurons, synapses),
    }


def report(mapping: str, core: Integers, wiring: Wiring, chip: Chip, axons: cores.Axons) -> Mapping:
    """How full the cores are, and what goes over the mesh."""
    capacities = Capacities.of(chip)
    return Mapping(mapping, core, Utilisation(capacities, use(core, wiring, capacities)), axons.messages, axons.hops)


def placed_by_hand(network: Network, capacities: Capacities) -> Integers:
    """Cores as ``Network.place`` gave them, -1 elsewhere."""
    core, at, problems = np.full(network.neurons, -1, np.int64), cores.offsets(network), []
    for population in network.populations:
        placed = network.placement(population)
        if placed is None:
            continue
        if placed.max() >= capacities.cores:
            problems.append(
                f"place {population.name!r}: core {int(placed.max())} is out of range; chip {capacities.chip} has "
                f"cores 0 to {capacities.cores - 1}"
            )
            continue
        dead = np.unique(placed[capacities.dead[placed]])
        if dead.size:
            problems.append(f"place {population.name!r}: core {int(dead[0])} of chip {capacities.chip} is dead")
        core[at[population.name] : at[population.name] + population.size] = placed
    if problems:
        raise InputError(problems)
    return core


def _crossings(network: Network, wiring: Wiring, chip: Chip) -> list[str]:
    """A crossbar has one device for each pair of neurons."""
    if chip.geometry.synapses_per_core is not None:
        return []
    twice = np.flatnonzero(~_distinct(wiring))
    if not twice.size:
        return []
    connection, k = _synapse(network, wiring, int(twice[0]) - 1)
    pair = (int(connection.pre[k]), int(connection.post[k]))
    return [
        f"connection {connection.name}: {twice.size} synapses repeat a pair (pre, post), for example {pair}; the "
        f"crossbars of chip {chip.name} have one device for each pair: add their weights up"
    ]


def _distinct(wiring: Wiring) -> npt.NDArray[np.bool_]:
    """Which synapses are the first of their pair."""
    first = np.ones(wiring.synapses, np.bool_)
    first[1:] = (wiring.source[1:] != wiring.source[:-1]) | (wiring.target[1:] != wiring.target[:-1])
    return first


def _synapse(network: Network, wiring: Wiring, position: int) -> tuple[Connection, int]:
    """The connection and the number in it of the synapse that stands at ``position``."""
    k = int(np.flatnonzero(wiring.position == position)[0])
    name = next(name for name, span in wiring.span.items() if span.start <= k < span.stop)
    return network.connection(*name), k - wiring.span[name].start


def too_large(network: Network, wiring: Wiring, capacities: Capacities) -> list[str]:
    """Neurons that no core can hold."""
    synapses = np.bincount(wiring.target, minlength=wiring.neurons)
    needs = {
        "inputs": np.bincount(wiring.target[_distinct(wiring)], minlength=wiring.neurons),
        "synapses": synapses,
        "memory_B": capacities.memory_B(np.ones_like(synapses), synapses),
    }
    if capacities.largest["neurons"] == 0:
        return [f"chip {capacities.chip} has no core that can hold neurons"]
    at, problems = cores.offsets(network), []
    for name, each in needs.items():
        there = capacities.largest[name]
        for population in network.populations:
            most = each[at[population.name] : at[population.name] + population.size]
            if most.max() > there:
                problems.append(
                    f"population {population.name!r}: {int((most > there).sum())} of its neurons have more "
                    f"{RESOURCES[name]} than a core of chip {capacities.chip} takes; neuron {int(most.argmax())} has "
                    f"{int(most.max())} for {there} ({int(most.max()) - there} too many)"
                )
    return problems


@dataclass(eq=False)
class Mapper:
    """The arrays that the strategies work on."""

    network: Network
    wiring: Wiring
    capacities: Capacities
    mesh: Mesh
    by_hand: Integers

    def run(self, mapping: str) -> Integers:
        """The core of every neuron; raises CapacityError where it does not fit."""
        if mapping == "round-robin":
            return self._within_axons(self._deal)
        filled: Integers | CapacityError
        try:
            filled = self._within_axons(self._fill)
        except CapacityError as error:
            filled = error
        if mapping == "traffic":
            gathered = self._best(filled)
            if gathered is not None:
                return gathered
        if isinstance(filled, CapacityError):
            raise filled
        return filled

    # what the loops take

    @cached_property
    def free(self) -> Integers:
        """Neurons without a core, population after population."""
        return np.flatnonzero(self.by_hand < 0)

    @cached_property
    def _pairs(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        first = _distinct(self.wiring)
        return loops.as_stamps(self.wiring.source[first]), loops.as_stamps(self.wiring.target[first])

    @cached_property
    def inputs(self) -> tuple[Integers, npt.NDArray[np.int32]]:
        """(first, source): the distinct presynaptic neurons of each neuron."""
        source, target = self._pairs
        return _starts(target, self.wiring.neurons), source[np.argsort(target, kind="stable")]

    @cached_property
    def outputs(self) -> tuple[Integers, npt.NDArray[np.int32]]:
        """(first, target): the distinct neurons that each neuron sends to."""
        source, target = self._pairs
        return _starts(source, self.wiring.neurons), target

    @cached_property
    def held(self) -> tuple[Integers, Integers]:
        """(first, neuron): neurons that stand on each core by hand."""
        placed = np.flatnonzero(self.by_hand >= 0)
        order = np.argsort(self.by_hand[placed], kind="stable")
        return _starts(self.by_hand[placed], self.capacities.cores), placed[order]

    @cached_property
    def limits(self) -> Integers:
        """``[resource, core]``; the last column stands for cores that the chip has not."""
        table = [np.append(self.capacities.limits[name], self.capacities.largest[name]) for name in RESOURCES]
        return np.stack(table)

    @property
    def _sizes(self) -> npt.NDArray[np.float64]:
        return np.array([self.capacities.synapse_B, self.capacities.neuron_B])

    # the strategies

    def _within_axons(self, place: _Place) -> Integers:
        """``place`` with each neuron's axons out as they were the time before, until the cores can send them all."""
        needs = np.zeros((self.wiring.neurons, 2), np.int64)
        needs[:, 0] = np.bincount(self.wiring.target, minlength=self.wiring.neurons)
        limit = self.limits[list(RESOURCES).index("axons_out"), :-1]
        core = place(needs)
        for _ in range(ROUNDS):
            if (use(core, self.wiring, self.capacities)["axons_out"] <= limit).all():
                break
            again = np.maximum(needs[:, 1], self._axons(core))
            if (again == needs[:, 1]).all() or (again > limit.max()).any():
                break
            needs[:, 1] = again
            core = place(needs)
        return core

    def _axons(self, core: Integers) -> Integers:
        """Cores that each neuron sends to."""
        count = int(core.max()) + 1
        pairs, _ = cores.tallied(self.wiring.source.astype(np.int64) * count + core[self.wiring.target])
        return np.bincount(pairs // count, minlength=self.wiring.neurons)

    def _fill(self, needs: Integers) -> Integers:
        core = self.by_hand.copy()
        loops.fill(self.free, core, *self.held, *self.inputs, needs, self.limits, self._sizes)
        if core.max() >= self.capacities.cores:
            raise CapacityError(self._missing(core))
        return core

    def _deal(self, needs: Integers) -> Integers:
        core = self.by_hand.copy()
        lost = loops.deal(self.free, core, *self.inputs, needs, self.limits, self._sizes)
        if lost:
            raise CapacityError([
                f"chip {self.capacities.chip} is too small for the network: {lost} neurons found no place",
                *self._sums(),
            ])  # fmt: skip
        return core

    def _best(self, filled: Integers | CapacityError) -> Integers | None:
        """The better of gathering and ``filled``, then swapped; None where gathering did not fit either."""
        found = [] if isinstance(filled, CapacityError) else [filled]
        with contextlib.suppress(CapacityError):
            found.append(self._within_axons(self._grow))
        if not found:
            return None
        start = min(found, key=self._traffic)
        return min((self._swap(core) for core in (start, *self._snake(start))), key=self._traffic)

    def _grow(self, needs: Integers) -> Integers:
        core = self.by_hand.copy()
        lost = loops.grow(core, *self.held, *self.inputs, *self.outputs, needs, self.limits, self._sizes)
        if lost:
            raise CapacityError(f"{lost} neurons found no place")
        return core

    def _traffic(self, core: Integers) -> int:
        return int(cores.route(core, self.wiring, self.mesh).hops.sum())

    def _snake(self, core: Integers) -> list[Integers]:
        """The contents of cores in the same order, but along rows of tiles from west to east and back in turn.

        Another start for the swaps: neighbours in the order stay neighbours at the ends of rows. None where some core
        is too small for what it would get.
        """
        movable = self.limits[0, :-1] > 0
        movable[self.by_hand[self.by_hand >= 0]] = False
        y, x = self.mesh.y[movable], self.mesh.x[movable]
        along = np.flatnonzero(movable)[np.lexsort((np.where(y % 2 == 0, x, -x), y))]
        old = np.unique(core)
        old = old[movable[old]]
        new = np.arange(self.capacities.cores)
        new[old] = along[: old.size]
        held = use(core, self.wiring, self.capacities)
        if any((held[name][old] > self.capacities.limits[name][new[old]]).any() for name in RESOURCES):
            return []
        return [new[core]]

    def _swap(self, core: Integers) -> Integers:
        """The contents of whole cores exchanged, so that those that talk to one another stand close together."""
        axons = cores.route(core, self.wiring, self.mesh)
        groups, group = np.unique(core, return_inverse=True)
        home = np.repeat(group, axons.messages)
        away = np.searchsorted(groups, axons.core)
        pairs, number = cores.tallied(np.minimum(home, away) * groups.size + np.maximum(home, away))
        one, two = np.divmod(pairs, groups.size)
        other = one != two
        one, two, number = one[other], two[other], number[other]
        ends = np.concatenate([one, two])
        order = np.argsort(ends, kind="stable")
        movable = ~self.capacities.dead
        movable[self.by_hand[self.by_hand >= 0]] = False
        inside = np.full(self.capacities.cores, -1, np.int64)
        inside[groups] = np.arange(groups.size)
        where, held = groups.copy(), use(core, self.wiring, self.capacities)
        loops.swap(
            where, inside, movable, *self._distances(), _starts(ends, groups.size),
            np.concatenate([two, one])[order], np.concatenate([number, number])[order],
            np.stack([held[name][groups] for name in RESOURCES]), self.limits[:, :-1], SWAPS,
        )  # fmt: skip
        return where[group]

    def _distances(self) -> tuple[Integers, npt.NDArray[np.int32]]:
        """(place of each core's tile, hops between places)."""
        tiles, tile = np.unique(self.mesh.tile, return_inverse=True)
        return tile.astype(np.int64), self.mesh.distances(tiles)

    # what is missing

    def _missing(self, core: Integers) -> list[str]:
        there = int((self.limits[0, :-1] > 0).sum())
        needed = int(core.max()) + 1 - self.capacities.cores
        dead = int(self.capacities.dead.sum())
        return [
            f"chip {self.capacities.chip} is too small for the network: {there + needed} cores are needed, it has "
            f"{there}{f' that are not dead ({dead} are)' if dead else ''} ({needed} missing); "
            f"{int((core >= self.capacities.cores).sum())} neurons found no place",
            *self._sums(),
        ]

    def _sums(self) -> list[str]:
        sums = {name: sum(self.limits[k, :-1].tolist()) for k, name in enumerate(RESOURCES)}
        return [
            f"neurons: {self.wiring.neurons} needed, {sums['neurons']} there; synapses: {self.wiring.synapses} needed, "
            f"{sums['synapses']} there; {self.capacities.largest['inputs']} inputs a core",
            "way out: a smaller network, another chip, placing by hand so that neurons of one core share their inputs, "
            'or overrides={"chip.geometry.cores": N}',
        ]


def _starts(numbers: npt.NDArray[np.integer], count: int) -> Integers:
    """Where each of ``count`` numbers starts once ``numbers`` are sorted, and where the last ends."""
    return np.concatenate([[0], np.cumsum(np.bincount(numbers, minlength=count))]).astype(np.int64)
