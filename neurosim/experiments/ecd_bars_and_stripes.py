"""Event-driven contrastive divergence: a restricted Boltzmann machine of stochastic neurons learns bars and stripes.

Claim: a machine of visible neurons (the pixels) and hidden ones, which learns from events alone, stores the patterns it
was shown. With a quarter of the pixels of a pattern left open and the others clamped, it fills in the open ones more
often rightly than before learning; running free, it dreams up more of the patterns than chance would.

Bars and stripes of n x n pixels are the images in which every row, or every column, is of one colour: 2^(n+1) - 2.

A neuron with noise on its membrane that rests for 40 ticks after a spike is a unit of the machine: on for as long as it
rests, with a probability that is a sigmoid of its input. Weights are symmetric because both synapses of a pair point to
the same place in the weight memory. The rule of contrastive divergence, <v h> with the data minus <v h> without, comes
from a window of plasticity that is flat and the same on both sides, with the third factor m as the sign:

    dw = m 2^-bits (rounded at random) for every pair of spikes less than 35 ticks apart;
    m = +1 while data clamp the visible neurons, -1 while they run free, 0 for some time after each change

Biases are learned as well: synapses from an input that fires regularly.

Source: E. Neftci et al., "Event-driven contrastive divergence for spiking neuromorphic systems", Front. Neurosci. 7:272
(2014); leaks, rest, window and 8-bit weights as in its NSAT version. Noise is that of the stochastic sigmoid neuron
instead of blank-out: with a transmission of 7/15 the same learns less well (``transmit``).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from neurosim.chip.nsat import OFF, LearningGroup, NeuronGroup, NsatCore
from neurosim.engine.nsat import NsatSimulation
from neurosim.engine.sink import Column, Table
from neurosim.experiments.base import Claim, ExperimentParameters, Floats, Result, added, draws, shifts
from neurosim.kernels.random import STREAM_INIT, STREAM_SHUFFLE, permutation
from neurosim.registry import register

Integers = npt.NDArray[np.int64]


@register("experiment", "ecd-bars-and-stripes")
class BarsAndStripes(ExperimentParameters):
    """How large the machine is, and how long it learns."""

    model: Literal["ecd-bars-and-stripes"] = "ecd-bars-and-stripes"
    side: int = Field(default=4, ge=2, le=5, description="pixels of a side")
    hidden: int = Field(default=40, ge=2, le=200)
    samples: int = Field(default=1500, ge=1, description="patterns shown")
    phase_ticks: int = Field(default=1000, ge=200, description="of each phase, with the data and without")
    rounding_bits: int = Field(default=5, ge=0, le=12, description="a pair counts 2^-bits; one more in the last third")
    transmit: int = Field(default=15, ge=1, le=15, description="of 15 events between neurons so many get through")
    test_rounds: int = Field(default=4, ge=1, description="completions of every pattern, each with other open pixels")


V, SYNAPSE, PHASE, DATA = range(4)
WINDOW = 35
REST_TICKS = 40
SETTLE_TICKS = 100
"""At the start of a phase, nothing is learned and nothing is read."""
CLAMP_TICKS, BIAS_TICKS = 20, 40
"""Between events of a clamped pixel's input, and of the bias's."""
PLUS, MINUS, BIAS, PIXELS = 0, 1, 2, 3
"""Inputs: phase up, phase down, bias; then one for each pixel that is on, and one for each that is off."""


def patterns(side: int) -> Integers:
    """All bars and stripes, ``[pattern, pixel]``."""
    lines = (np.arange(2**side)[:, None] >> np.arange(side)) & 1
    both = np.concatenate([np.repeat(lines, side, axis=1), np.tile(lines, (1, side))])
    return np.unique(both, axis=0).astype(np.int64)


def neuron(parameters: BarsAndStripes, learns: bool) -> NeuronGroup:
    """A stochastic unit: on half of the time without input; the phase stands in a state that nothing leaks from."""
    return NeuronGroup(
        A=shifts(4, {(V, V): -3, (SYNAPSE, V): 0, (SYNAPSE, SYNAPSE): -5, (DATA, V): 4, (DATA, DATA): -5}),
        threshold=8000, noise_std=(3000, 0, 0, 0), refractory_ticks=REST_TICKS, modulator=PHASE,
        low=(-32767, -32767, -1, -32767), high=(32767, 32767, 1, 32767), gain=(0, 5, 0, 5),
        transmit=(15, parameters.transmit, 15, 15), learning=(-1, 0 if learns else -1, -1, -1),
    )  # fmt: skip


class Machine:
    """The wiring, and what is done with it: learn, complete, dream."""

    def __init__(self, parameters: BarsAndStripes, seed: int) -> None:
        self.parameters, self.seed = parameters, seed
        self.visible, self.hidden = parameters.side**2, parameters.hidden
        self.shown = patterns(parameters.side)
        self.counts: dict[str, int] = {}
        self.ticks = 0
        n, v, h = self.visible + self.hidden, self.visible, self.hidden
        first = PIXELS + 2 * v  # the first neuron's number as a unit
        i, j = (each.ravel() for each in np.meshgrid(np.arange(v), np.arange(h), indexing="ij"))
        own, pixel = np.arange(n), np.arange(v)
        shared = np.arange(v * h)
        parts = [  # (pre, post, state, place in the weight memory)
            (first + i, v + j, SYNAPSE, shared),
            (first + v + j, i, SYNAPSE, shared),
            (np.full(n, BIAS), own, SYNAPSE, v * h + own),
            (np.full(n, PLUS), own, PHASE, np.full(n, v * h + n)),
            (np.full(n, MINUS), own, PHASE, np.full(n, v * h + n + 1)),
            (PIXELS + pixel, pixel, DATA, np.full(v, v * h + n + 2)),
            (PIXELS + v + pixel, pixel, DATA, np.full(v, v * h + n + 3)),
        ]
        self.pre, self.post = (np.concatenate([part[which] for part in parts]) for which in (0, 1))
        self.state = np.concatenate([np.full(part[0].size, part[2]) for part in parts])
        self.pointer = np.concatenate([part[3] for part in parts])
        start = np.round(np.sum([draws(seed, STREAM_INIT, k, v * h) - 0.5 for k in range(12)], axis=0) * 8)
        self.weights = np.concatenate([start, np.zeros(n), [1, -1, 100, -100]]).astype(np.int64)

    def _simulation(self, learns: bool, bits: int, seed: int) -> NsatSimulation:
        rule = LearningGroup(
            window_ticks=WINDOW, causal_edges=(WINDOW, WINDOW), acausal_edges=(WINDOW, WINDOW), rounding_bits=bits,
            causal_heights=(0, OFF, OFF), acausal_heights=(0, OFF, OFF), acausal_signs=(1, 1, 1),
        )  # fmt: skip
        core = NsatCore(
            PIXELS + 2 * self.visible, np.zeros(self.visible + self.hidden, np.int64),
            (neuron(self.parameters, learns),), (rule,), pre=self.pre, post=self.post, state=self.state,
            pointer=self.pointer, weights=self.weights, weight_bits=7,
        )  # fmt: skip
        return NsatSimulation([core], seed=seed, causal_timeout_ticks=WINDOW)

    def _clamp(self, begin: int, ticks: int, pattern: Integers, pixels: Integers) -> Integers:
        """Events that hold some pixels, (tick, core, input)."""
        when = np.arange(begin, begin + ticks, CLAMP_TICKS)
        inputs = np.where(pattern[pixels] > 0, PIXELS + pixels, PIXELS + self.visible + pixels)
        return _events(np.repeat(when, pixels.size), np.tile(inputs, when.size))

    def learn(self, samples: int, bits: int, part: int) -> None:
        """Shows patterns in random order, each in a phase with the data and one without."""
        length = self.parameters.phase_ticks
        simulation = self._simulation(True, bits, self.seed + 1000 * part)
        everything = np.arange(self.visible)
        for at in range(0, samples, len(self.shown)):
            order = permutation(self.seed, STREAM_SHUFFLE, 10_000 * part + at, len(self.shown))[: samples - at]
            begin = simulation.tick + 1
            events = [_events(np.arange(begin, begin + 2 * length * len(order), BIAS_TICKS), np.int64(BIAS))]
            for n, which in enumerate(order):
                start = begin + 2 * length * n
                events.append(self._clamp(start, length, self.shown[which], everything))
                changes = start + np.array([SETTLE_TICKS, length - 1, length + SETTLE_TICKS, 2 * length - 1])
                events.append(_events(changes, np.array([PLUS, MINUS, MINUS, PLUS])))
            out = simulation.run(2 * length * len(order), np.concatenate(events))
            added(self.counts, out.counts)
        self.ticks += simulation.tick
        self.weights = simulation.weights(0)

    def complete(self, seed: int) -> tuple[Floats, Integers, Integers]:
        """(share of time that pixels are on ``[case, pixel]``, patterns, open pixels as 0 and 1), without learning."""
        length = self.parameters.phase_ticks
        rounds = self.parameters.test_rounds
        asked = np.tile(self.shown, (rounds, 1))
        left = max(self.visible // 4, 1)
        open_ = np.zeros_like(asked)
        simulation = self._simulation(False, 0, seed)
        events = [_events(np.arange(1, len(asked) * length, BIAS_TICKS), np.int64(BIAS))]
        for n, pattern in enumerate(asked):
            order = permutation(seed, STREAM_SHUFFLE, n, self.visible)
            open_[n, order[:left]] = 1
            events.append(self._clamp(1 + n * length, length, pattern, np.sort(order[left:])))
        out = simulation.run(len(asked) * length, np.concatenate(events))
        added(self.counts, out.counts)
        self.ticks += simulation.tick
        tick, who = out.spikes[0]
        case, within = (tick - 1) // length, (tick - 1) % length
        kept = (within >= SETTLE_TICKS) & (who < self.visible)
        spikes = np.zeros(asked.shape)
        np.add.at(spikes, (case[kept], who[kept]), 1.0)
        return spikes * (REST_TICKS + 1) / (length - SETTLE_TICKS), asked, open_

    def dream(self, ticks: int, seed: int) -> Integers:
        """States of the visible neurons ``[sample, pixel]``, one every 100 ticks, without any input but the bias."""
        simulation = self._simulation(False, 0, seed)
        out = simulation.run(ticks, _events(np.arange(1, ticks, BIAS_TICKS), np.int64(BIAS)))
        added(self.counts, out.counts)
        self.ticks += simulation.tick
        tick, who = out.spikes[0]
        looks = np.arange(200, ticks, 100)
        states = np.zeros((looks.size, self.visible), np.int64)
        for n, look in enumerate(looks):
            now = who[(tick > look - REST_TICKS - 1) & (tick <= look)]
            states[n, now[now < self.visible]] = 1
        return states


def _events(ticks: Integers, inputs: Integers | np.int64) -> Integers:
    """(tick, core 0, input)."""
    ticks, inputs = np.broadcast_arrays(ticks, inputs)
    return np.stack([ticks, np.zeros_like(ticks), inputs], axis=1).astype(np.int64)


PARTS = 6
"""Looks at what has been learned so far."""

COURSE = Table(
    "/experiment/learning",
    (
        Column("samples", "1", "patterns shown so far", "i8"),
        Column("completed", "1", "share of open pixels filled in rightly"),
        Column("dreamed", "1", "share of free-running states that are a pattern"),
        Column("kinds", "1", "different patterns among them", "i8"),
    ),
    {"long_name": "what the machine can do while it learns"},
)
COMPLETIONS = Table(
    "/experiment/completions",
    (
        Column("learned", "1", "0: before, 1: after", "i8"),
        Column("case", "1", "number of the case", "i8"),
        Column("pixel", "1", "row by row", "i8"),
        Column("asked", "1", "pixel of the pattern", "i8"),
        Column("open", "1", "1: left open, 0: clamped", "i8"),
        Column("on", "1", "share of the time that the neuron is on"),
    ),
    {"long_name": "completions of patterns"},
)
RECEPTIVE = Table(
    "/experiment/weights",
    (
        Column("pixel", "1", "row by row", "i8"),
        Column("hidden", "1", "number of the hidden neuron", "i8"),
        Column("weight", "1", "after learning", "i8"),
    ),
    {"long_name": "weights between pixels and hidden neurons"},
)


def run(parameters: BarsAndStripes, seed: int) -> Result:
    """Learn, and complete and dream before, in between and after."""
    machine = Machine(parameters, seed)
    known = {tuple(pattern) for pattern in machine.shown.tolist()}
    course, cases = [], []
    parts = min(PARTS, parameters.samples)
    sizes = np.diff(np.linspace(0, parameters.samples, parts + 1).round().astype(int))
    done = 0
    for part in range(parts + 1):
        on, asked, open_ = machine.complete(seed + 7)
        right = ((on > 0.5) == asked) & (open_ == 1)
        dreams = [tuple(state) for state in machine.dream(20_000, seed + 8).tolist()]
        found = [state for state in dreams if state in known]
        course.append((done, right.sum() / open_.sum(), len(found) / len(dreams), len(set(found))))
        if part in (0, parts):
            cases.append((on, asked, open_, right.sum(axis=1) == open_.sum(axis=1)))
        if part < parts:
            machine.learn(int(sizes[part]), parameters.rounding_bits + (3 * part >= 2 * parts), part)
            done += int(sizes[part])
    before, after = course[0], course[-1]
    chance = len(known) / 2**machine.visible
    whole = [float(each[3].mean()) for each in cases]
    error = float(np.sqrt(sum(share * (1 - share) / len(each[3]) for share, each in zip(whole, cases, strict=True))))
    gain = (whole[1] - whole[0]) / max(error, 1e-9)
    claims = (
        Claim("open pixels filled in rightly, before", before[1], "at most 0.65", before[1] <= 0.65),
        Claim("open pixels filled in rightly, after", after[1], "at least 0.75", after[1] >= 0.75),
        Claim("patterns completed wholly, after", whole[1], "at least 0.5", whole[1] >= 0.5),
        Claim(f"its rise from {whole[0]:.2g} before, in standard errors", gain, "at least 3", gain >= 3.0),
        Claim(f"free-running states that are a pattern, after (chance: {chance:.2g})", after[2],
              f"at least {3 * chance:.2g}", after[2] >= 3 * chance),
    )  # fmt: skip
    v, h = machine.visible, machine.hidden
    pixel, hidden = (each.ravel() for each in np.meshgrid(np.arange(v), np.arange(h), indexing="ij"))
    return Result(claims, machine.counts, machine.ticks, (COURSE, COMPLETIONS, RECEPTIVE), {
        COURSE.path: {
            name: np.array(column) for name, column in
            zip((each.name for each in COURSE.columns), zip(*course, strict=True), strict=True)
        },
        COMPLETIONS.path: _completions(cases),
        RECEPTIVE.path: {"pixel": pixel, "hidden": hidden, "weight": machine.weights[: v * h]},
    })  # fmt: skip


def _completions(
    cases: list[tuple[Floats, Integers, Integers, npt.NDArray[np.bool_]]],
) -> dict[str, npt.NDArray[np.generic]]:
    """One row for each pixel of each case."""
    out: dict[str, list[npt.NDArray[np.generic]]] = {column.name: [] for column in COMPLETIONS.columns}
    for learned, (on, asked, open_, _) in enumerate(cases):
        case, pixel = (each.ravel() for each in np.meshgrid(*map(np.arange, on.shape), indexing="ij"))
        columns = np.full(case.size, learned), case, pixel, asked.ravel(), open_.ravel(), on.ravel()
        for name, values in zip(out, columns, strict=True):
            out[name].append(values)
    return {name: np.concatenate(parts) for name, parts in out.items()}
