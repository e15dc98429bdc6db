"""Composes the kernel of a hand-driven network: many ticks in one call, for the neuron models that occur in it.

Sizes, numbers and connections are arguments, so networks of the same models share one kernel. What is written into its
text: the models' equations, whether neurons rest after a spike or have a floor, and which noise there is. A tick runs
through the phases deliver, integrate, fire and account; routing follows from the spikes (``network_meter``).

Neurons of one population on one core that follow one another are a *segment*, so that counting by core costs nothing
inside the loops. The order of every sum is that of the neurons' numbers, whatever core they stand on: placement never
changes a bit of a neuron's state.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import indent

from neurosim import registry
from neurosim.models.neurons.base import SpikingParameters

FLOATS = ("V", "CURRENT", "BIAS", "THRESHOLD", "LEAK", "GAIN", "FLOOR")
"""Rows of ``F [row, neuron]``: the state, in the run's float type."""

INTEGERS = ("FIRED", "SENT", "ARRIVED", "RESTING", "EVENTS", "MESSAGES", "WATCHED")
"""Rows of ``N [row, neuron]``: who fired last (a list), spikes sent and delivered since the last count, ticks of rest
that remain, events in this tick (read noise), messages per spike, whether spikes are recorded."""

CORES = ("UPDATED", "READS", "LAST_READ", "SENDING", "RECEIVING", "IDLE", "READ_TIME")
"""Rows of ``C [row, core in use]``: neurons updated and array reads since the last count, tick of the last read; busy
time of this tick in fs (two rows), time of a tick in which nothing happens, and time of one read of the array."""

SEGMENT = ("LOW", "HIGH", "CORE", "KIND", "RESET", "REST")
"""Columns of ``segments``: neurons, core in use, kind, reset and refractory ticks."""

REGISTERS = ("SEED", "TICK", "FIRED_COUNT", "RECORDED", "WATCHED_COUNT", "BUSY", "T_UPDATED", "T_FIRED", "T_MESSAGE")
"""``R``: whole numbers. BUSY sums the slowest core's time over ticks; T_ are latencies in fs."""

NOISE = ("MEMBRANE_NOISE", "READ_NOISE")
"""``D``: standard deviations."""

_NAMES = (FLOATS, INTEGERS, CORES, SEGMENT, REGISTERS, NOISE)

RESETS = {"soft": 0, "hard": 1, "none": 2}


@dataclass(frozen=True)
class Kind:
    """What the kernel text must know of a neuron."""

    model: str
    rests: bool
    floor: bool

    @classmethod
    def of(cls, parameters: SpikingParameters) -> Kind:
        """The kind of neurons with these parameters."""
        return cls(parameters.model, parameters.refractory_ticks > 0, parameters.v_min is not None)


def kinds_of(parameters: Sequence[SpikingParameters]) -> list[Kind]:
    """Distinct kinds, in an order that does not depend on that of the populations."""
    return sorted({Kind.of(item) for item in parameters}, key=lambda kind: (kind.model, kind.rests, kind.floor))


def compose(
    kinds: Sequence[Kind], *, routed: bool, membrane_noise: bool, read_noise: bool
) -> tuple[str, tuple[str, ...]]:
    """(source text, names of the modules that it depends on). ``routed``: follow spikes to their cores tick by tick."""
    models = {f"neuron_{k}": registry.find("spiking", kind.model) for k, kind in enumerate(kinds)}
    head = [
        f'"""A composed kernel: a hand-driven network of {", ".join(dict.fromkeys(kind.model for kind in kinds))}."""',
        "from __future__ import annotations",
        "import math",
        "import numpy as np",
        "from neurosim.kernels.random import STREAM_MEMBRANE_NOISE, STREAM_READ_NOISE, normal, stream_key",
        "from neurosim.kernels.wrap import kernel",
        *(f"import {model.module_name} as _{name}" for name, model in models.items()),
        "",
        *(f"{name} = {k}" for names in _NAMES for k, name in enumerate(names)),
        *(f"integrate_{k} = kernel(_neuron_{k}.integrate)" for k in range(len(kinds))),
    ]
    body = "\n".join([
        _ROUTE if routed else "",
        _DELIVER.format(count="\n        events[j] += 1" if read_noise else ""),
        _READ_NOISE if read_noise else "",
        _MEMBRANE_NOISE if membrane_noise else "",
        _SEGMENTS.format(
            kinds=indent(_branches(kinds, routed), "    "),
            busy="\n    sending[core] += moved * R[T_UPDATED]" if routed else "",
        ),
        _ACCOUNT if routed else "",
    ])  # fmt: skip
    source = "\n".join(head) + _BURST.format(tick=indent(body, "        "))
    modules = (
        "neurosim.kernels.wrap", "neurosim.kernels.random", "neurosim.models.constants",
        *(model.module_name for model in models.values()),
    )  # fmt: skip
    return source, modules


_BURST = """

@kernel(cache=True)
def burst(F, N, C, segments, first, target, weight, axon_first, axons, record, R, D, ticks):
    # up to ``ticks`` ticks; fewer when the record might overflow
    v, current, bias, threshold = F[V], F[CURRENT], F[BIAS], F[THRESHOLD]
    leak, gain, floor = F[LEAK], F[GAIN], F[FLOOR]
    fired, sent, arrived, resting = N[FIRED], N[SENT], N[ARRIVED], N[RESTING]
    events, messages, watched = N[EVENTS], N[MESSAGES], N[WATCHED]
    updated, reads, last_read, sending, receiving = C[UPDATED], C[READS], C[LAST_READ], C[SENDING], C[RECEIVING]
    idle, read_time = C[IDLE], C[READ_TIME]
    for done in range(ticks):
        if R[RECORDED] + R[WATCHED_COUNT] > record.shape[0]:
            return done
        tick = R[TICK]
{tick}
        R[FIRED_COUNT] = count
        R[TICK] = tick + 1
    return ticks
"""

_DELIVER = """
# deliver: spikes of the last tick reach their synapses
for k in range(R[FIRED_COUNT]):
    i = fired[k]
    arrived[i] += 1
    for s in range(first[i], first[i + 1]):
        j = target[s]
        current[j] += weight[s]{count}"""

_ROUTE = """
# where the spikes of the last tick arrive, and how long that keeps each core busy
for c in range(idle.shape[0]):
    sending[c] = idle[c]
    receiving[c] = 0
for k in range(R[FIRED_COUNT]):
    i = fired[k]
    for a in range(axon_first[i], axon_first[i + 1]):
        c = axons[a, 0]
        receiving[c] += axons[a, 1]
        if last_read[c] != tick:  # all rows of an array are read at once
            last_read[c] = tick
            reads[c] += 1
            receiving[c] += read_time[c]"""

_READ_NOISE = """
# every device that is read adds its own noise: the exact sum for each neuron
key = stream_key(R[SEED], STREAM_READ_NOISE, 0, 0, tick)
for j in range(np.uint64(v.shape[0])):
    if events[j] > 0:
        current[j] += D[READ_NOISE] * math.sqrt(events[j]) * normal(key, j)
        events[j] = 0"""

_MEMBRANE_NOISE = """
key = stream_key(R[SEED], STREAM_MEMBRANE_NOISE, 0, 0, tick)
for j in range(np.uint64(v.shape[0])):
    current[j] += D[MEMBRANE_NOISE] * threshold[j] * normal(key, j)"""

_SEGMENTS = """
# integrate and fire, segment by segment
count = 0
for g in range(segments.shape[0]):
    low, high = np.uint64(segments[g, LOW]), np.uint64(segments[g, HIGH])
    core, kind, reset, rest = segments[g, CORE], segments[g, KIND], segments[g, RESET], segments[g, REST]
    moved = 0
{kinds}
    updated[core] += moved{busy}"""

_ACCOUNT = """
# account: the slowest core ends the tick
slowest = 0
for c in range(idle.shape[0]):
    slowest = max(slowest, sending[c] + receiving[c])
R[BUSY] += slowest"""


def _branches(kinds: Sequence[Kind], routed: bool) -> str:
    """One branch for each kind: all neurons of the segment integrate, then those above their threshold fire."""
    lines = []
    for k, kind in enumerate(kinds):
        work = f"{_integrate(k, kind)}\n{_fire(kind, routed)}"
        lines += [f"{'el' if k else ''}if kind == {k}:", indent(work, "    ")]
    return "\n".join(lines)


def _integrate(k: int, kind: Kind) -> str:
    value = f"integrate_{k}(old, gain[j] * total, leak[j])"
    if kind.floor:
        value = f"max({value}, floor[j])"
    work = f"""\
total = current[j] + bias[j]
old = v[j]
v[j] = {value}
moved += (total != 0.0) | (old != 0.0) | (v[j] != old)"""
    if kind.rests:
        work = f"if resting[j] == 0:\n{indent(work, '    ')}"
    return f"for j in range(low, high):\n{indent(work, '    ')}\n    current[j] = 0.0"


def _fire(kind: Kind, routed: bool) -> str:
    spike = f"""\
if v[j] >= threshold[j]:
    if reset == {RESETS["soft"]}:
        v[j] -= threshold[j]
    elif reset == {RESETS["hard"]}:
        v[j] = 0.0
    fired[count] = j
    count += 1
    sent[j] += 1
    if watched[j] > 0:
        record[R[RECORDED], 0] = tick
        record[R[RECORDED], 1] = j
        R[RECORDED] += 1"""
    if routed:
        spike += "\n    sending[core] += R[T_FIRED] + messages[j] * R[T_MESSAGE]"
    if kind.rests:
        spike += "\n    resting[j] = rest"
        spike = f"if resting[j] > 0:\n    resting[j] -= 1\nel{spike}"
    return f"for j in range(low, high):\n{indent(spike, '    ')}"
