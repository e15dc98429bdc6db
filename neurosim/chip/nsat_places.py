"""Networks of integer neurons: what they ask of the cores of an NSAT chip, and where they stand.

A core holds 2048 states (four times the neurons that the chip file gives it), every neuron as many as the one with the
most, and parameters for 8 groups of neurons and 8 rules of learning; one group and state has one rule, whichever
synapses lead there. Inputs from outside take no place: they stand where the host link is, on the first living core,
unless they are placed. Weights that synapses share are stored once in every core that uses them, so that those of
synapses that learn cannot be spread over cores.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from neurosim import registry
from neurosim.chip import assign as mapper
from neurosim.chip.cores import Axons, Wiring
from neurosim.chip.mesh import Mesh
from neurosim.chip.nsat import GROUPS, WEIGHT_BITS, beyond
from neurosim.chip.population import Connection, Integers, Network, Population
from neurosim.chip.utilisation import RESOURCES, Capacities, Mapping, Utilisation
from neurosim.errors import CapacityError, InputError
from neurosim.models.neurons.given import InputParameters
from neurosim.models.neurons.nsat import LearningGroup, NeuronGroup
from neurosim.spec.chip import Chip

STATES_PER_NEURON = 4
"""A core has states for as many neurons of four states as the chip file says."""


def wanted(network: Network) -> bool:
    """Whether any population is of integer neurons."""
    return any(isinstance(population.parameters, NeuronGroup) for population in network.populations)


def group_of(population: Population) -> NeuronGroup:
    """The parameters of a population of integer neurons."""
    assert isinstance(population.parameters, NeuronGroup)
    return population.parameters


def rule_of(connection: Connection) -> LearningGroup | None:
    """How the synapses of a connection learn; None: they do not."""
    return connection.learning


def shared_of(connection: Connection) -> Integers | None:
    """For each synapse the place of its weight; None: each has a weight of its own."""
    return connection.shared


def weight_range(chip: Chip) -> tuple[int, int, str]:
    """(lowest and highest weight, what says so): words of the chip's quantised devices, else of 16 bits."""
    device = chip.synapse.device
    bits = getattr(device, "bits", WEIGHT_BITS + 1) if device.model == "quantized" else WEIGHT_BITS + 1
    bits = min(int(bits), WEIGHT_BITS + 1)
    return -(2 ** (bits - 1)), 2 ** (bits - 1) - 1, f"chip.synapse.device: words of {bits} bits"


def problems(chip: Chip, network: Network) -> list[str]:
    """Everything that keeps a network of integer neurons from running on a chip, each with its key path."""
    found = []
    for population in network.populations:
        if not isinstance(population.parameters, (NeuronGroup, InputParameters)):
            found.append(
                f"population {population.name!r}: {population.parameters.model!r} cannot run together with 'nsat'; a "
                "network of integer neurons takes its input from populations of model 'input'"
            )
        elif isinstance(population.parameters, NeuronGroup) and population.parameters.learning:
            found.append(f"population {population.name!r}: learning: is said for connections, connect(learning=...)")
    hardware = chip.neuron.model_dump()
    found += [
        f"chip.neuron.{name} = {value:g}: integer neurons are all alike; use ideal=True"
        for name, value in hardware.items()
        if isinstance(value, float) and name.endswith(("_dtod", "_std")) and value > 0.0
    ]
    if chip.synapse.read_noise_std > 0.0:
        found.append("chip.synapse.read_noise_std: words are read without noise; use ideal=True")
    found += [
        f"drive of {drive.target.name!r}: integer neurons take their events from populations of model 'input'"
        for drive in network.drives
    ]
    low, high, why = weight_range(chip)
    for connection in network.connections:
        name = f"connection {connection.name}"
        if (np.asarray(connection.delay_ticks) != 1).any():
            found.append(f"{name}: delay_ticks: a spike reaches all cores in the next tick, there are no other delays")
        if connection.transmission != 1.0:
            found.append(f"{name}: transmission: is said for states, add_population(transmit=...), in fifteenths")
        found += whole_weights(f"{name}: weights", connection.weights)
        found += beyond(f"connection {connection.name}: weights", connection.weights, low, high, why)
    return found + _clashes(network)


def _clashes(network: Network) -> list[str]:
    """States that synapses with different rules lead to."""
    found, seen = [], dict[tuple[str, int], Connection]()
    for connection in network.connections:
        first = seen.setdefault((connection.target.name, connection.receptor), connection)
        if rule_of(first) != rule_of(connection):
            found.append(
                f"connection {connection.name}: learning: state {connection.receptor} of {connection.target.name!r} "
                f"has one rule for all synapses, and {first.name} has another; lead one of them to another state"
            )
    return found


@dataclass(frozen=True, eq=False)
class Layout:
    """Groups and rules of a network."""

    groups: tuple[NeuronGroup, ...]
    """One for each population of integer neurons, with the rules of its states."""
    rules: tuple[LearningGroup, ...]
    of_neuron: Integers
    """The group of every neuron, -1 for inputs."""

    @classmethod
    def of(cls, network: Network) -> Layout:
        """What the populations and connections of a network come to."""
        rules: list[LearningGroup] = []
        by_state: dict[tuple[str, int], int] = {}
        for connection in network.connections:
            rule = rule_of(connection)
            if rule is not None:
                if rule not in rules:
                    rules.append(rule)
                by_state[connection.target.name, connection.receptor] = rules.index(rule)
        groups: list[NeuronGroup] = []
        numbers = []
        for population in network.populations:
            if not isinstance(population.parameters, NeuronGroup):
                numbers.append(np.full(population.size, -1, np.int64))
                continue
            learning = tuple(by_state.get((population.name, k), -1) for k in range(population.parameters.states))
            group = population.parameters.model_copy(update={"learning": learning})
            numbers.append(np.full(population.size, len(groups), np.int64))
            groups.append(group)
        return cls(tuple(groups), tuple(rules), np.concatenate(numbers) if numbers else np.zeros(0, np.int64))

    @cached_property
    def states(self) -> Integers:
        """States of every neuron."""
        each = np.array([*(group.states for group in self.groups), 0], np.int64)
        return np.asarray(each[self.of_neuron])

    @cached_property
    def kind(self) -> Integers:
        """For every neuron a number of its group, the same for groups that are equal; -1 for inputs."""
        distinct: list[NeuronGroup] = []
        numbers = []
        for group in self.groups:
            plain = group.model_copy(update={"start": ()})
            if plain not in distinct:
                distinct.append(plain)
            numbers.append(distinct.index(plain))
        return np.asarray(np.array([*numbers, -1], np.int64)[self.of_neuron])

    def rules_of(self, group: int) -> set[int]:
        """The rules that a group needs."""
        return {rule for rule in self.groups[group].learning if rule >= 0}


class Places:
    """Finds a core for every neuron of a network of integer neurons."""

    def __init__(self, network: Network, wiring: Wiring, chip: Chip, mesh: Mesh) -> None:
        self.network, self.wiring, self.chip, self.mesh = network, wiring, chip, mesh
        self.layout = Layout.of(network)
        self.plain = Capacities.of(chip)
        self.states = STATES_PER_NEURON * self.plain.limits["neurons"]
        """States that each core holds."""

    def assign(self, mapping: str) -> Integers:
        """The core of every neuron; raises as ``chip.assign.assign`` does."""
        if mapping not in mapper.MAPPINGS:
            raise InputError(registry.unknown(mapping, list(mapper.MAPPINGS), "mapping"))
        core = mapper.placed_by_hand(self.network, self.plain)
        outside = self.layout.of_neuron < 0
        living = np.flatnonzero(~self.plain.dead)
        core[outside & (core < 0)] = int(living[0]) if living.size else 0
        capacities = self._capacities(core)
        found = mapper.too_large(self.network, self.wiring, capacities) or self.overfull(core)
        if found:
            raise CapacityError(found)
        if (core < 0).any():
            many = max(np.unique(self.layout.kind[~outside]).size, len(self.layout.rules)) > GROUPS
            start = self._grouped(core) if many else core
            core = mapper.Mapper(self.network, self.wiring, capacities, self.mesh, start).run(mapping)
            found = self.overfull(core)
            if found:
                raise CapacityError([*found, "way out: placing by hand, a smaller network or another chip"])
        return core

    def _capacities(self, core: Integers) -> Capacities:
        """What the mapper may put where, in neurons: cores with neurons placed by hand as many as they hold already."""
        most = int(self.layout.states.max(initial=1))
        limit = self.states // max(most, 1)
        placed = np.bincount(core[core >= 0], minlength=self.plain.cores)
        outside = np.bincount(core[(core >= 0) & (self.layout.of_neuron < 0)], minlength=self.plain.cores)
        limit = np.maximum(limit + outside, placed)
        limit[self.plain.dead] = 0
        return replace(self.plain, limits={**self.plain.limits, "neurons": limit})

    def _grouped(self, core: Integers) -> Integers:
        """Where there are more groups or rules than one core has: cores filled in order, none with too many."""
        out, limit = core.copy(), self.states // max(int(self.layout.states.max(initial=1)), 1)
        inside = (core >= 0) & (self.layout.of_neuron >= 0)
        taken = np.bincount(core[inside], minlength=self.plain.cores) > 0
        free = iter(np.flatnonzero(~taken & (limit > 0)))
        rules_of = [self.layout.rules_of(group) for group in range(len(self.layout.groups))]
        here, room, kinds, rules = -1, 0, set[int](), set[int]()
        for neuron in np.flatnonzero(core < 0):
            kind, more = int(self.layout.kind[neuron]), rules_of[int(self.layout.of_neuron[neuron])]
            if room == 0 or len(kinds | {kind}) > GROUPS or len(rules | more) > GROUPS:
                here = int(next(free, -1))
                if here < 0:
                    return core  # the mapper says what is missing
                room, kinds, rules = int(limit[here]), set(), set()
            kinds.add(kind)
            rules |= more
            out[neuron], room = here, room - 1
        return out

    def overfull(self, core: Integers) -> list[str]:
        """Each core that holds more than it can: of what, and by how much."""
        found = []
        held = self.held(core)
        for name, what in (("states", "states"), *RESOURCES.items()):
            limit = self.states if name == "states" else self.plain.limits[name]
            if name == "neurons":
                continue
            found += [
                f"core {c} of chip {self.chip.name}: {held[name][c]} {what} for {limit[c]} "
                f"({held[name][c] - limit[c]} too many{', the core is dead' if self.plain.dead[c] else ''})"
                for c in np.flatnonzero(held[name] > limit)
            ]
        return found + self._groups(core) + self._shared(core)

    def held(self, core: Integers) -> dict[str, Integers]:
        """What each core holds; neurons that have no core yet (-1) are not counted, inputs take no place."""
        held = mapper.use(core, self.wiring, self.plain)
        inside = (core >= 0) & (self.layout.of_neuron >= 0)
        held["neurons"] = np.bincount(core[inside], minlength=self.plain.cores)
        held["memory_B"] = self.plain.memory_B(held["neurons"], held["synapses"])
        most = np.zeros(self.plain.cores, np.int64)
        np.maximum.at(most, core[inside], self.layout.states[inside])
        return {**held, "states": held["neurons"] * most}

    def _groups(self, core: Integers) -> list[str]:
        """Cores with more groups or rules than they have parameters for."""
        found = []
        inside = (core >= 0) & (self.layout.of_neuron >= 0)
        for c in np.unique(core[inside]):
            here = inside & (core == c)
            kinds = np.unique(self.layout.kind[here]).size
            rules = set[int]().union(*(self.layout.rules_of(int(g)) for g in np.unique(self.layout.of_neuron[here])))
            for what, count in (("groups of neurons", kinds), ("rules of learning", len(rules))):
                if count > GROUPS:
                    found.append(
                        f"core {c} of chip {self.chip.name}: {count} {what} for {GROUPS} ({count - GROUPS} too many)"
                    )
        return found

    def _shared(self, core: Integers) -> list[str]:
        """Shared weights that learn and are used in more than one core."""
        found, first = [], dict(zip((p.name for p in self.network.populations), self._first(), strict=True))
        for connection in self.network.connections:
            if shared_of(connection) is None or rule_of(connection) is None:
                continue
            where = np.unique(core[first[connection.target.name] + connection.post])
            if where[where >= 0].size > 1:
                found.append(
                    f"connection {connection.name}: shared weights that learn would stand in {where.size} cores, each "
                    f"with a copy of its own; place {connection.target.name!r} on one core"
                )
        return found

    def _first(self) -> list[int]:
        sizes = [population.size for population in self.network.populations]
        return [sum(sizes[:k]) for k in range(len(sizes))]

    def report(self, mapping: str, core: Integers, axons: Axons) -> Mapping:
        """How full the cores are, and what goes over the mesh."""
        held = self.held(core)
        states = held.pop("states")
        most = np.where(held["neurons"] > 0, states // np.maximum(held["neurons"], 1), STATES_PER_NEURON)
        limits = {**self.plain.limits, "neurons": self.states // most}
        return Mapping(mapping, core, Utilisation(replace(self.plain, limits=limits), held), axons.messages, axons.hops)


def states_problems(name: str, values: npt.NDArray[np.number], group: NeuronGroup, state: int) -> list[str]:
    """What is wrong with values of a state that are set by hand."""
    low, high = group.row("low")[state], group.row("high")[state]
    if (np.asarray(values) != np.floor(values)).any():
        return [f"{name}: must be whole numbers"]
    return beyond(name, np.atleast_1d(values), low, high, "the state's low and high")


def whole_weights(name: str, values: npt.NDArray[np.number]) -> list[str]:
    """Weights that are not whole numbers."""
    wrong = np.flatnonzero(np.asarray(values) != np.floor(values))
    return [f"{name}: {wrong.size} of {np.size(values)} are not whole numbers"] if wrong.size else []
