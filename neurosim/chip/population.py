"""The description of a network that is driven by hand: populations, connections, and where neurons are to stand.

Nothing here knows of a chip. ``engine.simulation`` builds the machine from it, and copies what it needs, so that one
description serves many simulations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from neurosim import models, registry
from neurosim.chip import nsat_synapses
from neurosim.errors import InputError
from neurosim.models.neurons.base import SpikingParameters
from neurosim.models.neurons.dynamic import DynamicParameters
from neurosim.models.neurons.given import InputParameters
from neurosim.models.neurons.nsat import LearningGroup, NeuronGroup
from neurosim.models.plasticity.base import PlasticityParameters
from neurosim.spec.load import explain

NeuronParameters: TypeAlias = SpikingParameters | DynamicParameters | InputParameters | NeuronGroup
Integers: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Population:
    """Neurons of one model with the same parameters; ``bias`` is a constant current per tick, one number each."""

    name: str
    size: int
    parameters: NeuronParameters
    bias: Floats

    def __len__(self) -> int:
        return self.size

    def __repr__(self) -> str:
        return f"Population({self.name!r}, {self.size}, model={self.parameters.model!r})"


@dataclass(frozen=True, eq=False)
class Connection:
    """Synapses from one population to another: synapse k leads from neuron ``pre[k]`` to neuron ``post[k]``."""

    source: Population
    target: Population
    pre: Integers
    post: Integers
    weights: Floats
    """One number for each synapse, in the order of ``pre`` and ``post``."""
    receptor: int
    """Which of the target's receptors they lead to."""
    delay_ticks: Integers
    """Ticks from a spike to its arrival: one number for all synapses, or one each."""
    transmission: float
    """Probability that a synapse transmits a spike, each on its own."""
    shape: tuple[int, ...]
    """The shape in which weights are given and handed back: ``(pre, post)`` of a matrix, or the length of the lists."""
    learning: LearningGroup | None = None
    """How synapses onto integer neurons learn; None: they do not."""
    shared: Integers | None = None
    """For each synapse the place of its weight in ``weights``; None: each has a weight of its own."""
    plasticity: PlasticityParameters | None = None
    """How weights change with pairs of spikes; None: they do not."""

    @property
    def name(self) -> str:
        """How messages call it."""
        return f"{self.source.name} -> {self.target.name}"

    def __len__(self) -> int:
        return self.pre.size

    def __repr__(self) -> str:
        return f"Connection({self.name!r}, {len(self)} synapses)"

    def read_weights(self, weights: object) -> Floats:
        """``weights`` (one for all, or of ``shape``) as one finite number for each synapse; raises InputError."""
        values, problems = read_numbers(weights, f"weights of {self.name}")
        if values is not None and values.shape not in ((), self.shape):
            problems.append(f"weights of {self.name}: have the shape {values.shape}, needed is {self.shape}")
        if values is not None and self.plasticity is not None:
            problems += _outside(values, self.plasticity, f"weights of {self.name}")
        if values is None or problems:
            raise InputError(problems)
        return np.broadcast_to(values, self.shape).reshape(-1)


@dataclass(frozen=True, eq=False)
class Drive:
    """Poisson events from outside the chip: every neuron of a population gets its own."""

    target: Population
    rate_Hz: float
    weight: float
    receptor: int


class Network:
    """Populations of spiking neurons, connections between them, and the cores that they are placed on by hand.

    Every call checks what it is given and raises InputError listing all that is wrong with it. Populations are named
    by their object or by their name.
    """

    def __init__(self) -> None:
        models.load_builtin()
        self._populations: dict[str, Population] = {}
        self._connections: dict[tuple[str, str], Connection] = {}
        self._drives: list[Drive] = []
        self._cores: dict[str, Integers] = {}

    @property
    def populations(self) -> tuple[Population, ...]:
        """All populations, in the order in which they were added."""
        return tuple(self._populations.values())

    @property
    def connections(self) -> tuple[Connection, ...]:
        """All connections, in the order in which they were made."""
        return tuple(self._connections.values())

    @property
    def drives(self) -> tuple[Drive, ...]:
        """All Poisson drives, in the order in which they were added."""
        return tuple(self._drives)

    def copy(self) -> Network:
        """The network as it is now: what is added to either later, the other does not have."""
        other = Network()
        other._populations, other._connections = dict(self._populations), dict(self._connections)
        other._cores, other._drives = dict(self._cores), list(self._drives)
        return other

    @property
    def neurons(self) -> int:
        """Neurons of all populations."""
        return sum(population.size for population in self.populations)

    @property
    def synapses(self) -> int:
        """Synapses of all connections."""
        return sum(len(connection) for connection in self.connections)

    def placement(self, population: Population | str) -> Integers | None:
        """The core of each neuron where ``place`` has given one; None: the mapper is free to choose."""
        return self._cores.get(self.population(population).name)

    def add_population(
        self, name: str, size: int, *, model: str = "if", bias: float | npt.ArrayLike = 0.0, **parameters: Any
    ) -> Population:
        """Add ``size`` neurons of a spiking ``model``.

        ``bias``: a constant current per tick, one number for all or one each. Other keywords are the model's own
        parameters (``threshold``, ``reset``, ``refractory_ticks``, ``v_min``, ``tau_mem_s``, ...; docs/models.md).
        Model ``nsat``: ``bias`` is one whole number for each state, as its other parameters (docs/nsat.md).
        """
        if model == "nsat":
            plain = isinstance(bias, (int, float)) and bias == 0.0
            parameters, bias = (parameters if plain else {**parameters, "bias": bias}), 0.0
        problems = self._name_problems(name)
        count = _whole(size)
        if count is None or count < 1:
            problems.append(f"size = {size!r}: must be a whole number of at least 1")
            count = None
        currents, bad = read_numbers(bias, "bias")
        problems += bad
        if currents is not None and count is not None and currents.shape not in ((), (count,)):
            problems.append(f"bias: has the shape {currents.shape}, needed is one number or ({count},)")
        read = _parameters(model, parameters)
        if isinstance(read, list):
            problems += read
        if problems or count is None or currents is None or isinstance(read, list):
            raise InputError(problems, f"population {name!r}")
        population = Population(name, count, read, np.broadcast_to(currents, (count,)).copy())
        self._populations[name] = population
        return population

    def _name_problems(self, name: object) -> list[str]:
        if not isinstance(name, str) or not name.strip() or "/" in name:
            return [f"name = {name!r}: must be a text without '/' that is not empty"]
        return [f"name = {name!r}: there is such a population already"] if name in self._populations else []

    def connect(
        self,
        source: Population | str,
        target: Population | str,
        *,
        weights: float | npt.ArrayLike,
        pre: npt.ArrayLike | None = None,
        post: npt.ArrayLike | None = None,
        receptor: str | None = None,
        delay_ticks: int | npt.ArrayLike = 1,
        transmission: float = 1.0,
        state: int | None = None,
        learning: LearningGroup | Mapping[str, object] | None = None,
        shared: npt.ArrayLike | None = None,
        plasticity: PlasticityParameters | Mapping[str, object] | str | None = None,
    ) -> Connection:
        """Connect two populations; what a spike of tick t brings, arrives in tick t + ``delay_ticks``.

        Sparse: ``pre`` and ``post`` name the two neurons of each synapse, ``weights`` is one number each or one for
        all. Dense: ``weights[pre, post]`` alone; every entry is a synapse, zeros too. A population may connect to
        itself, and two populations at most once in each direction. ``receptor``: where the synapses lead to, for target
        neurons that have more than one (default: the first). ``delay_ticks``: 1 to DELAY_TICKS, one number for all or
        of the shape of the weights. ``transmission``: the probability that a synapse transmits a spike; every synapse
        draws for every spike on its own, and what it drops is lost (blank-out). ``plasticity``: how weights change with
        pairs of spikes, a rule such as ``ns.Stdp(...)``, the name of one or a table (docs/network.md); such a
        connection has one delay for all, and transmits always.

        Onto neurons of model ``nsat`` (docs/nsat.md): ``state``, the number of the state that synapses lead to;
        ``learning``, how they learn; ``shared``, for each synapse which of ``weights`` is its own, so that a kernel of
        a convolution is stored once.
        """
        problems: list[str] = []
        ends = [self._known(end, problems) for end in (source, target)]
        source_, target_ = ends
        if source_ is None or target_ is None:
            raise InputError(problems, "connect")
        where = f"connection {source_.name} -> {target_.name}"
        if (source_.name, target_.name) in self._connections:
            problems.append("is there already; join the lists, or change its weights with Simulation.set_weights")
        if pre is None and post is None:
            shape: tuple[int, ...] = (source_.size, target_.size)
            before, after = np.divmod(np.arange(source_.size * target_.size, dtype=np.int64), target_.size)
        else:
            before, after = _pairs(pre, post, source_, target_, problems)
            shape = (before.size,)
        values, bad = read_numbers(weights, "weights")
        problems += bad
        place = _receptor(receptor, target_, problems, state)
        rule = nsat_synapses.rule(target_.name, target_.parameters, learning, problems)
        words = np.size(values) if values is not None else 0
        aliases = nsat_synapses.places(target_.name, target_.parameters, shared, shape, words, problems)
        dense = pre is None and post is None
        if shared is not None and values is not None and values.ndim != 1:
            problems.append(f"weights: have the shape {values.shape}, needed is a list that ``shared`` points into")
        if values is not None and shared is None and values.shape != shape and (values.ndim > 0 or dense):
            needed = f"[pre, post] = {shape}, or pre and post" if dense else f"one number or {shape}"
            problems.append(f"weights: have the shape {values.shape}, needed is {needed}")
        delays, bad = _delays(delay_ticks, shape)
        problems += bad
        if isinstance(transmission, bool) or not isinstance(transmission, (int, float)) or not 0 <= transmission <= 1:
            problems.append(f"transmission = {transmission!r}: must be a probability from 0 to 1")
        learns = _rule(plasticity, target_, problems)
        if learns is not None and values is not None and delays is not None:
            problems += _outside(values, learns, "weights")
            problems += _unlike(delays, transmission)
        if problems or values is None or delays is None:
            raise InputError(problems, where)
        whole = values.shape if aliases is not None else shape
        held = np.broadcast_to(values, whole).reshape(-1).copy()
        connection = Connection(
            source_, target_, before, after, held, place, delays, float(transmission), whole, rule, aliases, learns
        )
        self._connections[source_.name, target_.name] = connection
        return connection

    def add_drive(
        self, target: Population | str, *, rate_Hz: float, weight: float, receptor: str | None = None
    ) -> Drive:
        """Drive every neuron of a population with Poisson events of its own, from outside the chip.

        In each tick a neuron gets n events of ``weight``, n ~ Poisson(rate_Hz tick_s), as ``rate_Hz`` / r sources of
        rate r would send. A population may have several drives.
        """
        problems: list[str] = []
        target_ = self._known(target, problems)
        if target_ is None:
            raise InputError(problems, "add_drive")
        place = _receptor(receptor, target_, problems)
        for name, value in (("rate_Hz", rate_Hz), ("weight", weight)):
            numbers, bad = read_numbers(value, name)
            problems += bad or ([f"{name}: must be one number"] if numbers is not None and numbers.ndim else [])
        if not problems and rate_Hz < 0.0:
            problems.append(f"rate_Hz = {rate_Hz}: must be at least 0")
        if problems:
            raise InputError(problems, f"drive of {target_.name!r}")
        drive = Drive(target_, float(rate_Hz), float(weight), place)
        self._drives.append(drive)
        return drive

    def place(self, population: Population | str, core: int | npt.ArrayLike) -> None:
        """Put a population on a core, or each of its neurons on its own (``core`` one number per neuron).

        Cores count from 0; whether the chip has them is checked when a simulation is built. A later call replaces an
        earlier one.
        """
        here = self.population(population)
        cores, problems = _indices(core, "core")
        if cores is not None and cores.shape not in ((), (here.size,)):
            problems.append(f"core: has the shape {cores.shape}, needed is one number or ({here.size},)")
        if cores is not None and cores.size and cores.min() < 0:
            problems.append(f"core: {int(cores.min())} is negative; cores count from 0")
        if problems or cores is None:
            raise InputError(problems, f"place {here.name!r}")
        self._cores[here.name] = np.broadcast_to(cores, (here.size,)).copy()

    def population(self, which: Population | str) -> Population:
        """The population of that name; raises InputError with a near miss."""
        problems: list[str] = []
        found = self._known(which, problems)
        if found is None:
            raise InputError(problems)
        return found

    def connection(self, source: Population | str, target: Population | str) -> Connection:
        """The connection between two populations; raises InputError with the known ones."""
        key = (self.population(source).name, self.population(target).name)
        if key not in self._connections:
            known = ", ".join(connection.name for connection in self.connections) or "none"
            raise InputError(f"no connection {key[0]} -> {key[1]} (known: {known})")
        return self._connections[key]

    def _known(self, which: Population | str, problems: list[str]) -> Population | None:
        name = which.name if isinstance(which, Population) else which
        found = self._populations.get(name) if isinstance(name, str) else None
        if found is None:
            problems.append(registry.unknown(name, list(self._populations), "population"))
        elif isinstance(which, Population) and found is not which:
            problems.append(f"population {name!r} belongs to another network")
            return None
        return found


DELAY_TICKS = 1023
"""The longest delay of a synapse."""

KINDS = ("spiking", "dynamic", "input", "integer")
"""Kinds of neurons that a population may be of."""


def _receptor(name: str | None, target: Population, problems: list[str], state: int | None = None) -> int:
    """The number of a receptor of ``target``; what is wrong is added to ``problems``."""
    parameters = target.parameters
    found = nsat_synapses.state(target.name, parameters, name, state, problems)
    if found is not None:
        return found
    if isinstance(parameters, InputParameters):
        problems.append(f"{target.name!r} are input neurons: nothing leads to them")
        return 0
    names: tuple[str, ...] = ("current",)
    if isinstance(parameters, DynamicParameters):
        names = registry.find("dynamic", parameters.model).module.RECEPTORS
    if name is not None and name not in names:
        problems.append(registry.unknown(name, list(names), f"receptor of {parameters.model!r}"))
        return 0
    return 0 if name is None else names.index(name)


def _delays(given: object, shape: tuple[int, ...]) -> tuple[Integers | None, list[str]]:
    """Delays as one number or one for each synapse, and what is wrong with them."""
    delays, problems = _indices(given, "delay_ticks")
    if delays is None:
        return None, problems
    if delays.shape not in ((), shape):
        return None, [f"delay_ticks: have the shape {delays.shape}, needed is one number or {shape}"]
    wrong = delays[(delays < 1) | (delays > DELAY_TICKS)]
    if wrong.size:
        return None, [f"delay_ticks: {wrong.size} of {delays.size} lie outside 1 to {DELAY_TICKS}, first {wrong[0]}"]
    return delays.reshape(-1) if delays.ndim else delays, []


def _rule(given: object, target: Population, problems: list[str]) -> PlasticityParameters | None:
    """A rule of plasticity; what is wrong is added to ``problems``."""
    if given is None:
        return None
    if isinstance(target.parameters, NeuronGroup):
        problems.append(f"plasticity: {target.name!r} are integer neurons; how synapses onto them learn is learning")
        return None
    if isinstance(given, PlasticityParameters):
        return given
    table = {"model": given} if isinstance(given, str) else given
    if not isinstance(table, Mapping) or not isinstance(table.get("model"), str):
        problems.append(f"plasticity = {given!r}: must be a rule, the name of one, or a table with the key 'model'")
        return None
    table = dict(table)
    try:
        schema = registry.find("plasticity", table["model"]).schema
        rule = schema.model_validate(table)
    except InputError as error:
        problems += [f"plasticity: {problem}" for problem in error.problems]
        return None
    except ValidationError as error:
        problems += [f"plasticity.{problem}" for problem in explain(error, schema, table)]
        return None
    if not isinstance(rule, PlasticityParameters):
        problems.append(f"plasticity: the schema of {table['model']!r} must derive from PlasticityParameters")
        return None
    return rule


def _outside(values: Floats, rule: PlasticityParameters, what: str) -> list[str]:
    """Weights that a rule cannot hold."""
    wrong = int(np.sum((values < rule.w_min) | (values > rule.w_max)))
    bounds = f"w_min = {rule.w_min:g} to w_max = {rule.w_max:g}"
    return [f"{what}: {wrong} of {values.size} lie outside {bounds}"] if wrong else []


def _unlike(delays: Integers, transmission: object) -> list[str]:
    """What synapses that learn cannot do."""
    problems = [] if np.unique(delays).size <= 1 else ["delay_ticks: synapses that learn have one delay for all"]
    if transmission != 1:
        problems.append(f"transmission = {transmission!r}: synapses that learn have 1")
    return problems


def _parameters(model: object, given: dict[str, Any]) -> NeuronParameters | list[str]:
    """The validated parameters of a spiking model, or what is wrong with them."""
    known = {name: kind for kind in reversed(KINDS) for name in registry.names(kind)}
    try:
        if model not in known:
            raise InputError(registry.unknown(model, sorted(known), "spiking model"))
        schema = registry.find(known[str(model)], str(model)).schema
    except InputError as error:
        return error.problems
    if not issubclass(schema, (SpikingParameters, DynamicParameters, InputParameters, NeuronGroup)):
        return [f"model {model!r}: its schema must derive from neurosim.models.neurons.base.SpikingParameters"]
    try:
        return schema.model_validate({"model": model, **given})
    except ValidationError as error:
        return explain(error, schema, given)


def _pairs(
    pre: npt.ArrayLike | None, post: npt.ArrayLike | None, source: Population, target: Population, problems: list[str]
) -> tuple[Integers, Integers]:
    """The two neurons of each synapse; what is wrong is added to ``problems``."""
    lists: list[Integers] = []
    for name, given, population in (("pre", pre, source), ("post", post, target)):
        if given is None:
            problems.append(f"{name}: missing; give both pre and post, or neither and a weight matrix")
            continue
        indices, bad = _indices(given, name)
        if indices is not None and indices.ndim != 1:
            bad.append(f"{name}: must be a list, but has the shape {indices.shape}")
        elif indices is not None:
            outside = np.flatnonzero((indices < 0) | (indices >= population.size))
            if outside.size:
                bad.append(
                    f"{name}: {outside.size} of {indices.size} out of range, first {name}[{outside[0]}] = "
                    f"{indices[outside[0]]}; {population.name!r} has neurons 0 to {population.size - 1}"
                )
            lists.append(indices)
        problems += bad
    if len(lists) == 2 and lists[0].size != lists[1].size:
        problems.append(f"pre and post: {lists[0].size} and {lists[1].size} entries, but each synapse has both")
    return (lists[0], lists[1]) if len(lists) == 2 else (np.zeros(0, np.int64), np.zeros(0, np.int64))


def read_numbers(given: object, what: str) -> tuple[Floats | None, list[str]]:
    """``given`` as finite float64 numbers of whatever shape, and what is wrong with it."""
    try:
        values = np.asarray(given)
        if values.dtype.kind not in "iuf":
            raise ValueError
        values = values.astype(np.float64)
    except (TypeError, ValueError):
        return None, [f"{what}: must be numbers, but are {_brief(given)}"]
    wrong = np.flatnonzero(~np.isfinite(values))
    if wrong.size:
        at = [int(k) for k in np.unravel_index(wrong[0], values.shape)]
        first = f"first {at} = " if at else ""
        return values, [f"{what}: {wrong.size} of {values.size} not finite, {first}{values.reshape(-1)[wrong[0]]}"]
    return values, []


def _indices(given: object, what: str) -> tuple[Integers | None, list[str]]:
    """``given`` as whole numbers of whatever shape, and what is wrong with it."""
    try:
        values = np.asarray(given)
        if values.size == 0:
            return values.astype(np.int64), []
        if values.dtype.kind not in "iu":
            raise ValueError
        return values.astype(np.int64), []
    except (TypeError, ValueError):
        return None, [f"{what}: must be whole numbers, but are {_brief(given)}"]


def _whole(value: object) -> int | None:
    return int(value) if isinstance(value, (int, np.integer)) and not isinstance(value, bool) else None


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
