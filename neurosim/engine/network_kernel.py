"""Composes the kernel of a hand-driven network: many ticks in one call, for the neuron models that occur in it.

Sizes, numbers and connections are arguments, so networks of the same models share one kernel. What is written into its
text: the models' equations, whether neurons rest after a spike or have a floor, and which noise there is. A tick runs
through the phases deliver, integrate and fire; where spikes go and how long that takes changes nothing in the network,
and is left to ``network_timing``.

Neurons of one population on one core that follow one another are a *segment*, so that counting by core costs nothing
inside the loops. The order of every sum is that of the neurons' numbers, whatever core they stand on, and whatever
block of neurons a thread works on: neither placement nor threads change a bit of a neuron's state.

Every block of neurons runs in a call of its own, in a thread of its own where there are several; each says after every
tick how far it is, and waits for the others before it takes their spikes.

Between ticks the row CURRENT holds -0.0. A sum that starts there is -0.0 only where nothing arrived, since weights are
never -0.0: so the loops see for free which neurons got an input, also one of weight 0 or inputs that cancel out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import indent
from types import ModuleType

from neurosim import registry
from neurosim.chip.population import NeuronParameters
from neurosim.models.neurons.dynamic import DynamicParameters
from neurosim.models.neurons.given import InputParameters

FLOATS = ("V", "BIAS", "THRESHOLD", "LEAK", "GAIN", "FLOOR", "CURRENT")
"""Rows of ``F [row, neuron]``: the state, in the run's float type. CURRENT is what arrives at the first receptor; where
neurons have more of them, a row for each follows, and a synapse's target counts on through the rows."""

INTEGERS = ("RESTING", "EVENTS", "MOVED")
"""Rows of ``N [row, neuron]``: ticks of rest that remain, events in this tick (read noise), whether the neuron was
updated in this tick (where spikes are ranked)."""

SEGMENT = ("LOW", "HIGH", "CORE", "KIND", "RESET", "REST", "POPULATION")
"""Columns of ``segments``: neurons, core in use, kind, reset, refractory ticks, and the row of ``P [population,
number]`` that holds the coefficients of neurons with several states; ``X [state, neuron]`` holds those states."""

REGISTERS = ("SEED", "TICK", "LAST_COUNT", "BEGIN", "END", "BLOCK", "GIVEN_TICK", "SATURATED")
"""``R``: whole numbers. LAST_COUNT: how many neurons fired in the tick before; BEGIN to END - 1 are the neurons that
the call works on, block BLOCK of all. GIVEN_TICK: the tick that
``given_first`` begins with. SATURATED: states of fixed point that were cut."""

NOISE = ("MEMBRANE_NOISE", "READ_NOISE")
"""``D``: standard deviations."""

_NAMES = (FLOATS, INTEGERS, SEGMENT, REGISTERS, NOISE)

PATIENCE = 500
"""How often a thread looks whether another one is done before it lets it have the processor."""

RESETS = {"soft": 0, "hard": 1, "none": 2}


@dataclass(frozen=True)
class Kind:
    """What the kernel text must know of a neuron."""

    model: str
    rests: bool
    floor: bool
    sort: str = "spiking"
    """``spiking`` (one state), ``dynamic`` (several) or ``input`` (fires when it is told to)."""
    fixed: bool = False

    @classmethod
    def of(cls, parameters: NeuronParameters) -> Kind:
        """The kind of neurons with these parameters."""
        if isinstance(parameters, InputParameters):
            return cls(parameters.model, False, False, "input")
        if isinstance(parameters, DynamicParameters):
            return cls(parameters.model, parameters.refractory_ticks > 0, False, "dynamic", parameters.fixed_bits > 0)
        return cls(parameters.model, parameters.refractory_ticks > 0, parameters.v_min is not None)

    @property
    def module(self) -> ModuleType:
        """The module with the model's equations."""
        return registry.find(self.sort, self.model).module


def kinds_of(parameters: Sequence[NeuronParameters]) -> list[Kind]:
    """Distinct kinds, in an order that does not depend on that of the populations."""
    return sorted({Kind.of(item) for item in parameters}, key=lambda k: (k.model, k.rests, k.floor, k.fixed))


def receptors_of(parameters: NeuronParameters) -> tuple[str, ...]:
    """The names of the inputs that synapses may lead to."""
    if not isinstance(parameters, DynamicParameters):
        return ("current",)
    names: tuple[str, ...] = registry.find("dynamic", parameters.model).module.RECEPTORS
    return names


def compose(
    kinds: Sequence[Kind], *, ranked: bool, membrane_noise: bool, read_noise: bool, receptors: int = 1
) -> tuple[str, tuple[str, ...]]:
    """(source text, names of the modules that it depends on).

    ``ranked``: say of every spike how many neurons of its core, up to its own, were updated in the tick.
    """
    models = {f"neuron_{k}": registry.find(kind.sort, kind.model) for k, kind in enumerate(kinds)}
    hooks = [(hook, k) for k, kind in enumerate(kinds) for hook in HOOKS[kind.sort] if _has(kind, hook)]
    head = [
        f'"""A composed kernel: a hand-driven network of {", ".join(dict.fromkeys(kind.model for kind in kinds))}."""',
        "from __future__ import annotations",
        "import math",
        "import numpy as np",
        "from neurosim.kernels.prefetch import AHEAD, LINE_B, RUN, prefetch",
        "from neurosim.kernels.random import STREAM_ENCODER, STREAM_MEMBRANE_NOISE, STREAM_READ_NOISE",
        "from neurosim.kernels.random import normal, stream_key, uniform",
        "from neurosim.kernels.threads import LINE, give_way, look, publish",
        "from neurosim.kernels.wrap import kernel",
        *(f"import {model.module_name} as _{name}" for name, model in models.items()),
        "",
        f"PATIENCE = {PATIENCE}",
        *(f"{name} = {k}" for names in _NAMES for k, name in enumerate(names)),
        *(f"{hook}_{k} = kernel(_neuron_{k}.{hook})" for hook, k in hooks),
    ]
    body = "\n".join([
        _DELIVER.format(
            into="current" if receptors == 1 else "flat", count="\n            events[j] += 1" if read_noise else ""
        ),
        _READ_NOISE if read_noise else "",
        _MEMBRANE_NOISE if membrane_noise else "",
        _SEGMENTS.format(kinds=indent(_branches(kinds, ranked), "    ")),
    ])  # fmt: skip
    source = "\n".join(head) + _BURST.format(tick=indent(body, "        "))
    modules = (
        "neurosim.kernels.wrap", "neurosim.kernels.prefetch", "neurosim.kernels.random", "neurosim.kernels.threads",
        "neurosim.models.constants", *(model.module_name for model in models.values()),
    )  # fmt: skip
    return source, modules


def _has(kind: Kind, hook: str) -> bool:
    """Whether the model's file defines a function that it need not define."""
    return hasattr(kind.module, hook)


HOOKS = {"spiking": ("integrate", "fires", "rest"), "dynamic": ("integrate", "fires", "reset", "rest"), "input": ()}
"""Functions of a model's file that the kernel calls."""


_BURST = """

@kernel(cache=True)
def burst(F, N, X, P, segments, first, target, weight, given_first, given, last, all_spikes, all_rank, all_first,
          all_moved, progress, R, D, ticks):
    # up to ``ticks`` ticks of one block of neurons; fewer when the spikes of all blocks might be too many
    blocks, block = all_spikes.shape[0], R[BLOCK]
    spikes, rank, tick_first, moved = all_spikes[block], all_rank[block], all_first[block], all_moved[block]
    v, current, bias, threshold = F[V], F[CURRENT], F[BIAS], F[THRESHOLD]
    leak, gain, floor = F[LEAK], F[GAIN], F[FLOOR]
    flat = F[CURRENT:].reshape(-1)
    neurons = np.uint64(F.shape[1])
    resting, events, was_moved = N[RESTING], N[EVENTS], N[MOVED]
    begin, end = np.uint64(R[BEGIN]), np.uint64(R[END])
    count, taken = 0, 0
    tick_first[0] = 0
    for done in range(ticks):
        total = F.shape[1]
        for b in range(blocks):
            waited = 0
            while look(progress, LINE * b) < done:
                waited += 1
                if waited > PATIENCE:
                    give_way()
            total += all_first[b, done]
        if total > spikes.shape[0]:
            break
        tick = R[TICK]
        busy = moved[done]
        busy[:] = 0
{tick}
        tick_first[done + 1] = count
        taken = done + 1
        R[TICK] = tick + 1
        publish(progress, LINE * block, taken)
    if blocks == 1 and taken > 0:
        low = tick_first[taken - 1]
        R[LAST_COUNT] = count - low
        for k in range(count - low):
            last[k] = spikes[low + k]
    return taken
"""

_DELIVER = """
# deliver: spikes of the last tick reach their synapses
for b in range(blocks if done > 0 else 1):
    came, low, high = last, 0, R[LAST_COUNT]
    if done > 0:
        came, low, high = all_spikes[b], all_first[b, done - 1], all_first[b, done]
    for k in range(low, high):
        if k + 2 * AHEAD < high:
            prefetch(first, came[k + 2 * AHEAD])
        if k + AHEAD < high:
            i = came[k + AHEAD]
            s = first[i]
            stop = min(first[i + np.uint32(1)], s + np.uint64(RUN))
            for ask in range(s, stop, np.uint64(LINE_B // weight.itemsize)):
                prefetch(target, ask)
                prefetch(weight, ask)
        i = came[k]
        for s in range(first[i], first[i + np.uint32(1)]):
            j = target[s]
            {into}[j] += weight[s]{count}"""

_READ_NOISE = """
# every device that is read adds its own noise: the exact sum for each neuron
key = stream_key(R[SEED], STREAM_READ_NOISE, 0, 0, tick)
for j in range(begin, end):
    if events[j] > 0:
        current[j] += D[READ_NOISE] * math.sqrt(events[j]) * normal(key, j)
        events[j] = 0"""

_MEMBRANE_NOISE = """
key = stream_key(R[SEED], STREAM_MEMBRANE_NOISE, 0, 0, tick)
for j in range(begin, end):
    current[j] += D[MEMBRANE_NOISE] * threshold[j] * normal(key, j)"""

_SEGMENTS = """
# integrate and fire, segment by segment
for g in range(segments.shape[0]):
    low, high = np.uint64(segments[g, LOW]), np.uint64(segments[g, HIGH])
    core, kind, reset, rest = segments[g, CORE], segments[g, KIND], segments[g, RESET], segments[g, REST]
    number = segments[g, POPULATION]
    moves = 0
{kinds}
    busy[core] += moves"""


def _branches(kinds: Sequence[Kind], ranked: bool) -> str:
    """One branch for each kind: all neurons of the segment integrate, then those above their threshold fire."""
    lines = []
    for k, kind in enumerate(kinds):
        work = {"spiking": _spiking, "dynamic": _dynamic, "input": _input}[kind.sort](k, kind, ranked)
        lines += [f"{'el' if k else ''}if kind == {k}:", indent(work, "    ")]
    return "\n".join(lines)


def _spiking(k: int, kind: Kind, ranked: bool) -> str:
    return f"{_integrate(k, kind, ranked)}\n{_fire(k, kind, ranked)}"


def _input(k: int, kind: Kind, ranked: bool) -> str:
    """Neurons that fire when they are told to; nothing of them is updated."""
    rank = "\n        rank[count] = so_far" if ranked else ""
    return f"""{"so_far = busy[core]" if ranked else ""}
at = tick - R[GIVEN_TICK]
if 0 <= at < given_first.shape[0] - 1:
    for s in range(given_first[at], given_first[at + 1]):
        if low <= given[s] < high:
            spikes[count] = given[s]{rank}
            count += 1"""


def _dynamic(k: int, kind: Kind, ranked: bool) -> str:
    """Neurons with several states: all of them are updated in every tick; then those that fire are reset."""
    module = kind.module
    states, receptors = len(module.STATES), len(module.RECEPTORS)
    old = ", ".join(f"X[{m}, j]" for m in range(states))
    numbers = "".join(f", p_{m}" for m in range(_coefficients(kind)))
    inputs = ["gain[j] * (current[j] + bias[j])"]
    inputs += [f"flat[j + np.uint64({m}) * neurons]" for m in range(1, receptors)]
    into = ", ".join(f"x_{m}" for m in range(states))
    comma = "," if states == 1 else ""
    lines = [f"p_{m} = P[number, {m}]" for m in range(_coefficients(kind))]
    if kind.fixed:
        lines += [f"step, most = P[number, {_coefficients(kind)}], P[number, {_coefficients(kind) + 1}]"]
    if ranked:
        lines.append("so_far = busy[core]")
    if getattr(module, "RANDOM", False):
        lines.append("key = stream_key(R[SEED], STREAM_ENCODER, 0, 0, tick)")
    body = [f"{into}{comma} = integrate_{k}({old}, {', '.join(inputs)}{numbers})"]
    body += [f"flat[j + np.uint64({m}) * neurons] = -0.0" for m in range(receptors)]
    if kind.fixed:
        for m in range(states):
            body += [
                f"whole = math.floor(x_{m} / step + 0.5)", "R[SATURATED] += (whole > most) | (whole < -most - 1.0)",
                f"x_{m} = min(max(whole, -most - 1.0), most) * step",
            ]  # fmt: skip
    body.append("moves += 1")
    if ranked:
        body += ["so_far += 1", "was_moved[j] = 1"]
    draw = "uniform(key, j), " if getattr(module, "RANDOM", False) else ""
    fire = f"""if fires_{k}({draw}{into}{numbers}):
    {into}{comma} = reset_{k}({into}{numbers})
    spikes[count] = j{indent(f"{chr(10)}rank[count] = so_far", "    ") if ranked else ""}
    count += 1"""
    if kind.rests:
        hook = f"\n    {into}{comma} = rest_{k}({into}{numbers})" if _has(kind, "rest") else ""
        fire = f"if resting[j] > 0:\n    resting[j] -= 1{hook}\nel{fire}\n    resting[j] = rest"
    body.append(fire)
    body += [f"X[{m}, j] = x_{m}" for m in range(states)]
    return "\n".join([*lines, "for j in range(low, high):", indent("\n".join(body), "    ")])


def _coefficients(kind: Kind) -> int:
    """How many numbers the model's functions take besides states and inputs."""
    module = kind.module
    taken: int = module.integrate.__code__.co_argcount
    return taken - len(module.STATES) - len(module.RECEPTORS)


def _integrate(k: int, kind: Kind, ranked: bool) -> str:
    """Membranes; a neuron is updated where an input came, it has a bias or its v is not 0 (and it does not rest)."""
    value = f"integrate_{k}(old, gain[j] * (input + bias[j]), leak[j])"
    if kind.floor:
        value = f"max({value}, floor[j])"
    awake = f"v[j] = {value}"
    moves = "(bias[j] != 0.0) | (old != 0.0) | (input != 0.0) | (not np.signbit(input))"
    if kind.rests and _has(kind, "rest"):
        resting = f"max(rest_{k}(old, leak[j]), floor[j])" if kind.floor else f"rest_{k}(old, leak[j])"
        awake = f"if resting[j] == 0:\n    {awake}\nelse:\n    v[j] = {resting}"
    elif kind.rests:
        awake = f"if resting[j] == 0:\n    {awake}"
        moves = f"(resting[j] == 0) & ({moves})"
    note = "\nwas_moved[j] = does" if ranked else ""
    work = f"input = current[j]\nold = v[j]\n{awake}\ndoes = {moves}\nmoves += does{note}\ncurrent[j] = -0.0"
    return f"for j in range(low, high):\n{indent(work, '    ')}"


def _fire(k: int, kind: Kind, ranked: bool) -> str:
    above = f"fires_{k}(v[j], threshold[j])" if _has(kind, "fires") else "v[j] >= threshold[j]"
    spike = f"""\
if {above}:
    if reset == {RESETS["soft"]}:
        v[j] -= threshold[j]
    elif reset == {RESETS["hard"]}:
        v[j] = 0.0
    spikes[count] = j{indent(f"{chr(10)}rank[count] = so_far", "    ") if ranked else ""}
    count += 1"""
    if kind.rests:
        spike += "\n    resting[j] = rest"
        spike = f"if resting[j] > 0:\n    resting[j] -= 1\nel{spike}"
    if ranked:
        spike = f"so_far += was_moved[j]\n{spike}"
    return f"{f'so_far = busy[core]{chr(10)}' if ranked else ''}for j in range(low, high):\n{indent(spike, '    ')}"
