"""The window of spike-timing-dependent plasticity, measured pair by pair on NSAT cores.

Claim: for every distance D = t_post - t_pre from -70 to 70 ticks the weight changes by exactly

    dw(D) = sign 2^h m,   h = the height of the segment in which |D| lies, minus |D| >> slope where it is exponential

and by nothing at D = 0 or outside of the window, although synapses are only ever looked up from their presynaptic side,
so that the causal half waits for the next presynaptic event or the end of the window. Three ways of learning are
measured: a piecewise-constant window; one that falls by half every 2^slope ticks, a staircase that lies between an
exponential and twice that; and eligibility traces, read out while the modulator is on for one tick.

One pair is one neuron with two inputs: a plastic synapse without effect on the membrane, and a teacher that makes it
fire one tick later. Nothing is random.

Source: G. Detorakis et al., Front. Neurosci. 12:583 (2018); heights, edges and window of the authors' test.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from neurosim.chip.nsat import LearningGroup, NeuronGroup, NsatCore, off
from neurosim.engine.nsat import NsatSimulation
from neurosim.engine.sink import Column, Table
from neurosim.experiments.base import Claim, ExperimentParameters, Result
from neurosim.registry import register

Integers = npt.NDArray[np.int64]
FORMS = ("constant", "exponential", "trace")


@register("experiment", "stdp-window")
class StdpWindow(ExperimentParameters):
    """Which distances, and what scales the window."""

    model: Literal["stdp-window"] = "stdp-window"
    farthest_ticks: int = Field(default=70, ge=2, le=125, description="distances from minus this to this")
    window_ticks: int = Field(default=64, ge=37, le=255)
    modulator: int = Field(default=64, ge=1, le=64, description="the third factor, the same at all times")


MEMBRANE, PLASTIC, MODULATOR = range(3)
TRACE_DECAY = 15
"""So slow that a trace loses only what the leak that never stops takes: one a tick."""


def rules(parameters: StdpWindow) -> dict[str, LearningGroup]:
    """The learning group of each form."""
    edges = {"causal_edges": (16, 36), "acausal_edges": (16, 36), "window_ticks": parameters.window_ticks}
    return {
        "constant": LearningGroup(causal_heights=(1, 0, -1), acausal_heights=(0, -1, -2), **edges),
        "exponential": LearningGroup(
            exponential=True, causal_heights=(1, 1, 1), acausal_heights=(0, 0, 0), causal_slopes=(4, 4, 4),
            acausal_slopes=(3, 3, 3), **edges,
        ),
        "trace": LearningGroup(
            rule="trace", causal_heights=(13, 12, 11), acausal_heights=(12, 11, 10), trace_shift=TRACE_DECAY,
            rounding_bits=12, **edges,
        ),
    }  # fmt: skip


def expected(rule: LearningGroup, factor: int, distance: int) -> int:
    """What the window says for one pair: the formula of the module, without the machine."""
    half = "causal" if distance > 0 else "acausal"
    ticks = abs(distance)
    if not 0 < ticks < rule.window_ticks:
        return 0
    first, second = getattr(rule, f"{half}_edges")
    part = 0 if ticks < first else 1 if ticks < second else 2
    height = getattr(rule, f"{half}_heights")[part]
    if rule.exponential:
        height -= ticks // 2 ** getattr(rule, f"{half}_slopes")[part]
    return int(getattr(rule, f"{half}_signs")[part] * int(factor * 2.0**height))


def measured(rule: LearningGroup, factor: int, farthest: int) -> tuple[Integers, Integers, dict[str, int], int]:
    """(distances, weight changes, counts, ticks): every distance by a neuron of its own."""
    distances = np.arange(-farthest, farthest + 1)
    neurons = np.arange(distances.size)
    traces = rule.rule == "trace"
    A = off(3)
    A[MEMBRANE][MEMBRANE] = A[PLASTIC][PLASTIC] = 0  # what comes in lasts one tick
    A[MODULATOR][MODULATOR] = 0
    group = NeuronGroup(
        A=A, threshold=100, bias=(0, 0, 0 if traces else factor), modulator=MODULATOR, learning=(-1, 0, -1),
    )  # fmt: skip
    everyone = np.zeros_like(neurons)
    core = NsatCore(
        2 * neurons.size + 1, everyone, (group,), (rule,),
        pre=np.concatenate([neurons, neurons.size + neurons, everyone + 2 * neurons.size]),
        post=np.tile(neurons, 3), state=np.repeat([PLASTIC, MEMBRANE, MODULATOR], neurons.size),
        weights=np.repeat([0, 200, factor], neurons.size),
    )  # fmt: skip
    middle = farthest + 10
    pre = middle - np.minimum(distances, 0)
    post = pre + distances
    events = [(int(tick), 0, int(n)) for n, tick in zip(neurons, pre, strict=True)]
    events += [(int(tick) - 1, 0, int(n) + neurons.size) for n, tick in zip(neurons, post, strict=True)]
    end = int(max(pre.max(), post.max()))
    ticks = end + rule.window_ticks + 5
    if traces:
        events.append((end + 1, 0, 2 * neurons.size))  # the modulator is on in the tick after
    simulation = NsatSimulation([core], causal_timeout_ticks=rule.window_ticks)
    out = simulation.run(ticks, events)
    return distances, simulation.weights(0)[: neurons.size], out.counts, ticks


TABLE = Table(
    "/experiment/window",
    (
        Column("form", "1", "0: constant, 1: exponential, 2: eligibility trace", "i8"),
        Column("distance", "ticks", "post minus pre", "i8"),
        Column("measured", "1", "change of the weight", "i8"),
        Column("expected", "1", "change of the weight that the window says", "i8"),
    ),
    {"long_name": "weight change by the distance of two spikes"},
)


def run(parameters: StdpWindow, seed: int) -> Result:
    """All distances in all forms; nothing is random."""
    claims, counts, ticks = [], dict[str, int](), 0
    columns: dict[str, list[Integers]] = {name: [] for name in ("form", "distance", "measured", "expected")}
    for number, (form, rule) in enumerate(rules(parameters).items()):
        distance, change, found, took = measured(rule, parameters.modulator, parameters.farthest_ticks)
        known = rules(parameters)["constant"] if form == "trace" else rule
        asked = np.array([expected(known, parameters.modulator, int(each)) for each in distance])
        for name, values in zip(columns, (np.full_like(distance, number), distance, change, asked), strict=True):
            columns[name].append(values)
        counts = {name: counts.get(name, 0) + count for name, count in found.items()}
        ticks += took
        wrong = int(np.abs(change - asked).max())
        most = 0 if form != "trace" else _trace_loss(parameters)
        says = f"{form}: largest difference between measured and expected change over {distance.size} distances"
        claims.append(Claim(says, wrong, f"at most {most}", wrong <= most and bool(np.any(asked))))
    return Result(
        tuple(claims), counts, ticks, (TABLE,), {TABLE.path: {k: np.concatenate(v) for k, v in columns.items()}}
    )


def _trace_loss(parameters: StdpWindow) -> int:
    """What rounding and a leak of one a tick may take of w until the modulator comes, whatever the distance."""
    ticks = 2 * parameters.farthest_ticks + parameters.window_ticks
    return -(-ticks * parameters.modulator // 2**12) + 1
