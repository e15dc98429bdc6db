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
from neurosim.engine import network_plasticity
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

REGISTERS = ("SEED", "TICK", "BEGIN", "END", "BLOCK", "GIVEN_TICK", "SATURATED")
"""``R``: whole numbers. BEGIN to END - 1 are the neurons that the call works on, block BLOCK of all. GIVEN_TICK: the
tick that ``given_first`` begins with. SATURATED: states of fixed point that were cut."""

GROUP = ("DELAY", "BOUND", "ASCENDING")
"""Columns of ``groups``: synapses of one delay and one transmission are worked on together. BOUND: a synapse transmits
where its 32 random bits are below it; ASCENDING: whether the targets of each row ascend and are distinct."""

ALWAYS = 1 << 32
"""The BOUND of synapses that transmit every spike."""

DRIVE = ("TO", "ROW", "ABOVE", "ABOVE_END")
"""Columns of ``drives``: population, receptor, and which of the bounds in ``above`` are the drive's."""

NOISE = ("MEMBRANE_NOISE", "READ_NOISE")
"""``D``: standard deviations."""

_NAMES = (FLOATS, INTEGERS, SEGMENT, REGISTERS, GROUP, DRIVE, NOISE)

PATIENCE = 500
"""How often a thread looks whether another one is done before it lets it have the processor."""

CHUNK = 2048
"""Neurons that are updated in one vector loop before those that fired are looked for: they stay in the cache."""

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
        floor = getattr(parameters, "v_min", None)
        return cls(parameters.model, parameters.refractory_ticks > 0, floor is not None)

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


@dataclass(frozen=True)
class Extras:
    """What else the kernel text must know."""

    ranked: bool = False
    """Say of every spike how many neurons of its core, up to its own, were updated in the tick."""
    membrane_noise: bool = False
    read_noise: bool = False
    receptors: int = 1
    """Of the neurons that have most."""
    drops: bool = False
    """Some synapses do not transmit every spike."""
    driven: bool = False
    """Some populations get Poisson events from outside."""
    rules: tuple[str, ...] = ()
    """Rules of plasticity, where synapses learn."""


def compose(kinds: Sequence[Kind], extras: Extras) -> tuple[str, tuple[str, ...]]:
    """(source text, names of the modules that it depends on)."""
    models = {f"neuron_{k}": registry.find(kind.sort, kind.model) for k, kind in enumerate(kinds)}
    hooks = [(hook, k) for k, kind in enumerate(kinds) for hook in HOOKS[kind.sort] if _has(kind, hook)]
    head = [
        f'"""A composed kernel: a hand-driven network of {", ".join(dict.fromkeys(kind.model for kind in kinds))}."""',
        "from __future__ import annotations",
        "import math",
        "import numpy as np",
        "from neurosim.kernels.deliver import drive, remember, scatter, scatter_counting, scatter_some",
        "from neurosim.kernels.random import STREAM_DRIVE, STREAM_ENCODER, STREAM_MEMBRANE_NOISE, STREAM_READ_NOISE",
        "from neurosim.kernels.random import STREAM_TRANSMISSION, normal, stream_key, uniform",
        "from neurosim.kernels.threads import LINE, give_way, look, publish",
        "from neurosim.kernels.wrap import kernel",
        *(f"import {model.module_name} as _{name}" for name, model in models.items()),
        "",
        f"PATIENCE, ALWAYS, CHUNK = {PATIENCE}, {ALWAYS}, np.uint64({CHUNK})",
        *(f"{name} = {k}" for names in _NAMES for k, name in enumerate(names)),
        *(f"{hook}_{k} = kernel(_neuron_{k}.{hook})" for hook, k in hooks),
        *network_plasticity.definitions(extras.rules),
        _WAKE,
        *(_update(k, kind, extras) for k, kind in enumerate(kinds) if kind.sort != "input"),
    ]
    body = "\n".join([
        _deliver(extras),
        network_plasticity.arrivals(extras.rules),
        _DRIVE if extras.driven else "",
        _READ_NOISE if extras.read_noise else "",
        _MEMBRANE_NOISE if extras.membrane_noise else "",
        _SEGMENTS.format(kinds=indent(_branches(kinds, extras), "    ")),
        network_plasticity.changes(extras.rules),
    ])  # fmt: skip
    source = "\n".join(head) + _BURST.format(
        tick=indent(body, "        "), before=network_plasticity.prologue(extras.rules),
        more=network_plasticity.ARGUMENTS if extras.rules else "",
    )  # fmt: skip
    modules = (
        "neurosim.kernels.wrap", "neurosim.kernels.deliver", "neurosim.kernels.prefetch", "neurosim.kernels.random",
        "neurosim.kernels.threads", "neurosim.models.constants", *(model.module_name for model in models.values()),
        *network_plasticity.modules(extras.rules),
    )  # fmt: skip
    return source, modules


def _has(kind: Kind, hook: str) -> bool:
    """Whether the model's file defines a function that it need not define."""
    return hasattr(kind.module, hook)


HOOKS = {"spiking": ("integrate", "fires", "rest"), "dynamic": ("integrate", "fires", "reset", "rest"), "input": ()}
"""Functions of a model's file that the kernel calls."""


_BURST = """

@kernel(cache=True)
def burst(F, N, X, P, segments, groups, first, target, weight, number, drives, above, drive_weight, given_first, given,
          past, past_first, all_spikes, all_rank, all_first, all_moved, all_driven, {more}progress, R, D, ticks):
    # up to ``ticks`` ticks of one block of neurons; fewer when the spikes of all blocks might be too many
    blocks, block = all_spikes.shape[0], R[BLOCK]
    spikes, rank, tick_first = all_spikes[block], all_rank[block], all_first[block]
    moved, driven = all_moved[block], all_driven[block]
    v, current, bias, threshold = F[V], F[CURRENT], F[BIAS], F[THRESHOLD]
    leak, gain, floor = F[LEAK], F[GAIN], F[FLOOR]
    flat = F[CURRENT:].reshape(-1)
    resting, events, was_moved = N[RESTING], N[EVENTS], N[MOVED]
    begin, end = np.uint64(R[BEGIN]), np.uint64(R[END])
    fired = np.zeros(CHUNK, np.uint8)
    eight = fired.view(np.uint64)
    words, numbers = np.zeros(CHUNK, np.uint32), np.zeros(CHUNK, np.uint16)
    count, taken, delays = 0, 0, past_first.size - 1{before}
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
    if blocks == 1:
        remember(past, past_first, spikes, tick_first, taken)
    return taken
"""


def _deliver(extras: Extras) -> str:
    """Spikes of earlier ticks reach their synapses, group by group."""
    into = "current" if extras.receptors == 1 else "flat"
    given = "came, k_low, k_high, first[group], target, weight"
    whole = f"scatter({given}, groups[group, ASCENDING] == 1, {into})"
    if extras.read_noise:
        whole = f"scatter_counting({given}, {into}, events)"
    if extras.drops:
        counted = "events" if extras.read_noise else "events[:0]"
        whole = (
            "if groups[group, BOUND] < ALWAYS:\n"
            "    key = stream_key(R[SEED], STREAM_TRANSMISSION, 0, 0, tick)\n"
            f"    scatter_some({given}, {into}, {counted}, number, np.uint64(groups[group, BOUND]), key)\n"
            f"else:\n    {whole}"
        )
    return _DELIVER.format(whole=indent(whole, "        "))


_DELIVER = """
for group in range(groups.shape[0]):
    since = done - groups[group, DELAY]
    for b in range(blocks if since >= 0 else 1):
        came, k_low, k_high = past, past_first[delays + min(since, -1)], past_first[delays + min(since, -1) + 1]
        if since >= 0:
            came, k_low, k_high = all_spikes[b], all_first[b, since], all_first[b, since + 1]
{whole}"""

_DRIVE = """
driven[done, :] = 0
for e in range(drives.shape[0]):
    key = stream_key(R[SEED], STREAM_DRIVE, e, 0, tick)
    for g in range(segments.shape[0]):
        if segments[g, POPULATION] == drives[e, TO]:
            a, stop = np.uint64(segments[g, LOW]), np.uint64(segments[g, HIGH])
            while a < stop:
                z = min(a + CHUNK, stop)
                driven[done, segments[g, CORE]] += drive(
                    a, z, key, above[drives[e, ABOVE]:drives[e, ABOVE_END]], drive_weight[e:],
                    F[CURRENT + drives[e, ROW]], words, numbers)
                a = z"""

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
    number_of = segments[g, POPULATION]
    moves, sleepers, cut = 0, 0, 0
{kinds}
    busy[core] += moves"""

_WAKE = """

@kernel
def rest_on(low, high, resting):
    for j in range(low, high):
        resting[j] -= resting[j] > 0
"""


def _branches(kinds: Sequence[Kind], extras: Extras) -> str:
    """One branch for each kind."""
    lines = []
    for k, kind in enumerate(kinds):
        work = _input(extras) if kind.sort == "input" else _advance(k, kind, extras)
        lines += [f"{'el' if k else ''}if kind == {k}:", indent(work, "    ")]
    return "\n".join(lines)


def _input(extras: Extras) -> str:
    """Neurons that fire when they are told to; nothing of them is updated."""
    rank = "\n            rank[count] = busy[core]" if extras.ranked else ""
    return f"""at = tick - R[GIVEN_TICK]
if 0 <= at < given_first.shape[0] - 1:
    for s in range(given_first[at], given_first[at + 1]):
        if low <= given[s] < high:
            spikes[count] = given[s]{rank}
            count += 1"""


def _advance(k: int, kind: Kind, extras: Extras) -> str:
    """Neurons of a segment, chunk by chunk: all of them integrate, then those that fire are reset, by number."""
    dynamic = kind.sort == "dynamic"
    lines = [f"p_{m} = P[number_of, {m}]" for m in range(_numbers(kind))] if dynamic else []
    if dynamic and _is_random(kind):
        lines.append("key = stream_key(R[SEED], STREAM_ENCODER, 0, 0, tick)")
    if extras.ranked:
        lines.append("so_far, seen = busy[core], low")
    spike = indent(_spike(k, kind, extras), "            ")
    wake = "\n    if sleepers > 0:\n        rest_on(a, z, resting)" if kind.rests else ""
    cut = "\n    R[SATURATED] += cut" if kind.fixed else ""
    return "\n".join([*lines, f"""a = low
while a < high:
    z = min(a + CHUNK, high)
    new_moves, sleepers, cut = update_{k}(a, z, {", ".join(_arguments(kind, "own"))}, fired)
    moves += new_moves{cut}
    size = z - a
    for q in range(size, (size + np.uint64(7)) & ~np.uint64(7)):
        fired[q] = 0
    for w in range((size + np.uint64(7)) >> np.uint64(3)):
        if eight[w] == 0:
            continue
        for q in range(w << np.uint64(3), (w + np.uint64(1)) << np.uint64(3)):
            if fired[q] == 0:
                continue
            j = a + q
{spike}{wake}
    a = z"""])  # fmt: skip


def _spike(k: int, kind: Kind, extras: Extras) -> str:
    """What happens to neuron j when it fires."""
    lines = ["spikes[count] = j"]
    if extras.ranked:
        moved = "was_moved[seen]" if kind.sort == "spiking" else "1"
        lines += [f"while seen <= j:\n    so_far += {moved}\n    seen += np.uint64(1)", "rank[count] = so_far"]
    lines.append("count += 1")
    if kind.sort == "spiking":
        soft, hard = RESETS["soft"], RESETS["hard"]
        lines.append(f"if reset == {soft}:\n    v[j] -= threshold[j]\nelif reset == {hard}:\n    v[j] = 0.0")
    else:
        states = len(kind.module.STATES)
        numbers = "".join(f", p_{m}" for m in range(_coefficients(kind)))
        into, old = _list("x_{}", states), ", ".join(f"X[{m}, j]" for m in range(states))
        lines.append(f"{into} = reset_{k}({old}{numbers})")
        if kind.fixed:
            lines += _on_grid(kind, "R[SATURATED]")
        lines += [f"X[{m}, j] = x_{m}" for m in range(states)]
    if kind.rests:  # the tick's own count of rest comes below
        lines.append("resting[j] = rest + 1\nsleepers += 1")
    return "\n".join(lines)


def _on_grid(kind: Kind, cut: str) -> list[str]:
    """States x_0, x_1, ... rounded to whole steps and cut to their bits; ``cut`` counts those that were."""
    at, lines = _coefficients(kind), []
    for m in range(len(kind.module.STATES)):
        lines += [
            f"whole = math.floor(x_{m} / p_{at} + 0.5)",
            f"{cut} += (whole > p_{at + 1}) | (whole < -p_{at + 1} - 1.0)",
            f"x_{m} = min(max(whole, -p_{at + 1} - 1.0), p_{at + 1}) * p_{at}",
        ]  # fmt: skip
    return lines


def _list(pattern: str, count: int) -> str:
    """The left side of an assignment of a tuple."""
    return ", ".join(pattern.format(m) for m in range(count)) + ("," if count == 1 else "")


def _arguments(kind: Kind, side: str) -> list[str]:
    """What ``update`` takes between the bounds and ``fired``; ``side``: ``own`` names within it, or in ``burst``."""
    if kind.sort == "spiking":
        return ["v", "current", "bias", "threshold", "leak", "gain", "floor", "resting", "was_moved"]
    states, receptors = len(kind.module.STATES), len(kind.module.RECEPTORS)
    inside = side == "inside"
    arrays = [f"old_{m}" if inside else f"X[{m}]" for m in range(states)]
    arrays += [f"in_{m}" if inside else f"F[CURRENT + {m}]" for m in range(receptors)]
    numbers = [f"p_{m}" for m in range(_numbers(kind))]
    return [*arrays, "bias", "gain", "resting", "was_moved", *numbers, *(["key"] if _is_random(kind) else [])]


def _is_random(kind: Kind) -> bool:
    return bool(getattr(kind.module, "RANDOM", False))


def _coefficients(kind: Kind) -> int:
    """How many numbers the model's functions take besides states and inputs."""
    module = kind.module
    taken: int = module.integrate.__code__.co_argcount
    return taken - len(module.STATES) - len(module.RECEPTORS)


def _numbers(kind: Kind) -> int:
    """The same, and of fixed point the step and the highest whole number."""
    return _coefficients(kind) + 2 * kind.fixed


def _update(k: int, kind: Kind, extras: Extras) -> str:
    """The loop that advances neurons, without a branch, so that it is a vector loop; what it notes of each:

    ``fired``: whether it fires. It counts (neurons that were updated, that rest, states of fixed point that were cut).
    """
    body = _spiking(k, kind, extras) if kind.sort == "spiking" else _dynamic(k, kind, extras)
    return f"""

@kernel
def update_{k}(low, high, {", ".join(_arguments(kind, "inside"))}, fired):
    moves, sleepers, cut = 0, 0, 0
    for j in range(low, high):
{indent(body, "        ")}
    return moves, sleepers, cut
"""


def _spiking(k: int, kind: Kind, extras: Extras) -> str:
    """One membrane; a neuron is updated where an input came, it has a bias or its v is not 0 (and it does not rest)."""
    low = "max({}, floor[j])" if kind.floor else "{}"
    new = f"integrate_{k}(old, gain[j] * (input + bias[j]), leak[j])"
    does = "(bias[j] != 0.0) | (old != 0.0) | (input != 0.0) | (not np.signbit(input))"
    above = f"fires_{k}(new, threshold[j])" if _has(kind, "fires") else "new >= threshold[j]"
    lines = ["input, old = current[j], v[j]", f"new = {low.format(new)}"]
    if kind.rests:
        lines.append("asleep = resting[j] > 0")
        if _has(kind, "rest"):
            lines.append(f"still = {low.format(f'rest_{k}(old, leak[j])')}")
        else:
            lines.append("still = old")
            does = f"(not asleep) & ({does})"
        lines.append("new = still if asleep else new")
        above = f"(not asleep) & ({above})"
    lines += [f"does = {does}", "moves += does"]
    if extras.ranked:
        lines.append("was_moved[j] = does")
    lines += ["v[j] = new", "current[j] = -0.0", f"fired[j - low] = {above}"]
    if kind.rests:
        lines.append("sleepers += asleep")
    return "\n".join(lines)


def _dynamic(k: int, kind: Kind, extras: Extras) -> str:
    """Several states: all neurons are updated in every tick."""
    states, receptors = len(kind.module.STATES), len(kind.module.RECEPTORS)
    numbers = "".join(f", p_{m}" for m in range(_coefficients(kind)))
    into, plain = _list("x_{}", states), ", ".join(f"x_{m}" for m in range(states))
    old = ", ".join(f"old_{m}[j]" for m in range(states))
    inputs = ["gain[j] * (in_0[j] + bias[j])", *(f"gain[j] * in_{m}[j]" for m in range(1, receptors))]
    lines = [f"{into} = integrate_{k}({old}, {', '.join(inputs)}{numbers})"]
    if kind.fixed:
        lines += _on_grid(kind, "cut")
    draw = "uniform(key, j), " if _is_random(kind) else ""
    above = f"fires_{k}({draw}{plain}{numbers})"
    if kind.rests:
        lines.append("asleep = resting[j] > 0")
        above = f"(not asleep) & ({above})"
        if _has(kind, "rest"):
            lines.append(f"{_list('r_{}', states)} = rest_{k}({plain}{numbers})")
            lines += [f"x_{m} = r_{m} if asleep else x_{m}" for m in range(states)]
            lines += _on_grid(kind, "cut") if kind.fixed else []
        lines.append("sleepers += asleep")
    lines += ["moves += 1", f"fired[j - low] = {above}"]
    lines += [f"old_{m}[j] = x_{m}" for m in range(states)] + [f"in_{m}[j] = -0.0" for m in range(receptors)]
    return "\n".join(lines)
