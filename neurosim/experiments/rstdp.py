"""Reward-modulated plasticity: a neuron learns to answer the one of two input patterns for which it is rewarded.

Claim: some neurons see the same two patterns of input in random order. Half of them are rewarded when they fire for
pattern A and punished when they fire for B, the other half the other way round. Before, they answer both alike; after,
most of their spikes come in their rewarded pattern. With the same rewards in shuffled order, each neuron's own over its
trials, they answer both.

A trial shows a pattern for some ticks; then comes a reward, later than the spikes that earned it. Spike pairs leave an
eligibility trace in each synapse, which the reward, as the third factor, turns into weight:

    de = +2^h (pre before post), -2^h' (post before pre);   e decays;   dw = e m 2^-bits while the reward m lasts

``form = "latched"`` does without traces, as the hardware does: the only memory is the modulator as it was at the
neuron's last spike, so the reward must come while the pattern is still there. It is then given in slices of the trial.

Source: G. Detorakis et al., Front. Neurosci. 12:583 (2018) (neuron and latched rule); traces: E. M. Izhikevich, Cereb.
Cortex 17, 2443 (2007).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from neurosim.chip.nsat import LearningGroup, NeuronGroup, NsatCore
from neurosim.engine.nsat import NsatSimulation
from neurosim.engine.sink import Column, Table
from neurosim.experiments.base import Claim, ExperimentParameters, Floats, Result, added, draws, shifts
from neurosim.kernels.random import STREAM_ENCODER, STREAM_INIT, STREAM_SHUFFLE, permutation
from neurosim.registry import register

Integers = npt.NDArray[np.int64]


@register("experiment", "rstdp")
class RewardModulated(ExperimentParameters):
    """How long it learns, and by which memory."""

    model: Literal["rstdp"] = "rstdp"
    form: Literal["trace", "latched"] = "trace"
    trials: int = Field(default=150, ge=20, description="trials of learning")
    test_trials: int = Field(default=40, ge=4, description="trials without reward, before and after")
    neurons: int = Field(default=16, ge=2, le=64)
    rate: float = Field(default=0.02, gt=0.0, lt=1.0, description="events of an active input in a tick")


INPUTS = 80
SHARED = 20
"""Inputs that are active in both patterns; the others belong to one of them, half each."""
TRIAL_TICKS, REST_TICKS, SLICE_TICKS = 150, 150, 25
V, SYNAPSE, REWARD = range(3)
REWARD_WEIGHT = 100


def neuron() -> NeuronGroup:
    """A leaky membrane behind a first-order synapse, and the reward, which fades within some 60 ticks."""
    return NeuronGroup(
        A=shifts(3, {(V, V): -5, (SYNAPSE, V): 3, (SYNAPSE, SYNAPSE): -5, (REWARD, REWARD): -4}),
        threshold=25000, refractory_ticks=10, noise_std=(1500, 0, 0), modulator=REWARD, learning=(-1, 0, -1),
        low=(-32767, -4000, -32767),
    )  # fmt: skip


def rule(form: str) -> LearningGroup:
    """Causal pairs count; the other way round an eighth of it."""
    edges = {"window_ticks": 64, "causal_edges": (24, 48), "acausal_edges": (24, 48)}
    if form == "trace":
        return LearningGroup(rule="trace", causal_heights=(9, 8, 7), acausal_heights=(6, 5, 4), trace_shift=7,
                             rounding_bits=16, **edges)  # fmt: skip
    return LearningGroup(causal_heights=(6, 5, 4), acausal_heights=(3, 2, 1), rounding_bits=10, **edges)


def core(parameters: RewardModulated, seed: int) -> NsatCore:
    """All inputs onto all neurons, and two inputs of each neuron's own: reward and punishment."""
    n = parameters.neurons
    pre, post = (each.ravel() for each in np.meshgrid(np.arange(INPUTS), np.arange(n), indexing="ij"))
    start = np.floor(10 + 30 * draws(seed, STREAM_INIT, 0, pre.size)).astype(np.int64)
    own = np.arange(n)
    return NsatCore(
        INPUTS + 2 * n, np.zeros(n, np.int64), (neuron(),), (rule(parameters.form),),
        pre=np.concatenate([pre, INPUTS + own, INPUTS + n + own]), post=np.concatenate([post, own, own]),
        state=np.concatenate([np.full(pre.size, SYNAPSE), np.full(2 * n, REWARD)]),
        weights=np.concatenate([start, np.full(n, REWARD_WEIGHT), np.full(n, -REWARD_WEIGHT)]),
    )  # fmt: skip


class Trials:
    """The experiment's world: shows patterns, watches the neurons, gives rewards."""

    def __init__(self, parameters: RewardModulated, seed: int, given: Integers | None = None) -> None:
        """``given``: rewards ``[trial, slice, neuron]`` to be handed out whatever happens; else they are earned."""
        self.parameters, self.seed, self.given = parameters, seed, given
        self.simulation = NsatSimulation([core(parameters, seed)], seed=seed)
        self.wants = np.arange(parameters.neurons) % 2
        self.counts: dict[str, int] = {}
        self.trial = 0
        self.slices = TRIAL_TICKS // SLICE_TICKS if parameters.form == "latched" else 1
        self.rewards: list[Integers] = []
        """Of every trial with reward, ``[slice, neuron]``: 1, -1 or 0."""

    def active(self, pattern: int) -> npt.NDArray[np.bool_]:
        """The inputs of a pattern: the shared ones and its own half of the others."""
        inputs = np.arange(INPUTS)
        return np.asarray((inputs < SHARED) | ((inputs % 2 == pattern) & (inputs >= SHARED)), np.bool_)

    def run(self, trials: int, reward: bool) -> Integers:
        """Spikes ``[trial, neuron]`` with the pattern in a last column."""
        return np.array([self._one(reward) for _ in range(trials)])

    def _one(self, reward: bool) -> Integers:
        p = self.parameters
        self.trial += 1
        pattern = int(draws(self.seed, STREAM_SHUFFLE, self.trial, 1)[0] < 0.5)
        chance = draws(self.seed, STREAM_ENCODER, self.trial, TRIAL_TICKS * INPUTS).reshape(TRIAL_TICKS, INPUTS)
        when, who = np.nonzero((chance < p.rate) & self.active(pattern))
        length = TRIAL_TICKS // self.slices
        fired = np.zeros((self.slices, p.neurons), np.int64)
        earned = np.zeros_like(fired)
        given = self.given[len(self.rewards)] if reward and self.given is not None else None
        for part in range(self.slices):
            now = when // length == part
            ticks = self.simulation.tick + 1 + when[now] % length
            out = self.simulation.run(length, np.stack([ticks, np.zeros_like(ticks), who[now]], axis=1))
            added(self.counts, out.counts)
            fired[part] = np.bincount(out.spikes[0][1], minlength=p.neurons)
            if reward:
                earned[part] = np.where(self.wants == pattern, 1, -1) * (fired[part] > 0)
                self._reward(earned[part] if given is None else given[part], 1 if p.form == "latched" else DELAY_TICKS)
        if reward:
            self.rewards.append(earned)
        added(self.counts, self.simulation.run(REST_TICKS).counts)
        return np.append(fired.sum(axis=0), pattern)

    def _reward(self, signs: Integers, wait: int) -> None:
        """An event for every neuron with a reward, some ticks later."""
        n = np.arange(signs.size)
        inputs = np.where(signs > 0, INPUTS + n, INPUTS + signs.size + n)[signs != 0]
        tick = self.simulation.tick + wait
        added(self.counts, self.simulation.run(wait, [(tick, 0, int(unit)) for unit in inputs]).counts)


DELAY_TICKS = 30
"""From the end of the pattern to the reward, where there are traces."""


def shuffled(rewards: list[Integers], seed: int) -> Integers:
    """Each neuron's rewards in an order of their own over all trials and slices."""
    out = np.array(rewards)
    flat = out.reshape(-1, out.shape[2])
    for neuron in range(flat.shape[1]):
        flat[:, neuron] = flat[permutation(seed, STREAM_SHUFFLE, 1 + neuron, len(flat)), neuron]
    return flat.reshape(out.shape)


def preference(rows: Integers, wants: Integers) -> Floats:
    """By neuron, the share of its spikes that came in its rewarded pattern; half where it never fired."""
    spikes, pattern = rows[:, :-1], rows[:, -1]
    good = np.array(
        [spikes[pattern == want, n].sum() / max((pattern == want).sum(), 1) for n, want in enumerate(wants)]
    )
    bad = np.array([spikes[pattern != want, n].sum() / max((pattern != want).sum(), 1) for n, want in enumerate(wants)])
    total = good + bad
    return np.where(total > 0, good / np.where(total > 0, total, 1.0), 0.5)


TRIALS = Table(
    "/experiment/trials",
    (
        Column("learning", "1", "1: reward follows from the pattern, 0: shuffled", "i8"),
        Column("phase", "1", "0: before, 1: learning, 2: after", "i8"),
        Column("trial", "1", "number of the trial", "i8"),
        Column("rewarded", "1", "mean spikes of neurons whose rewarded pattern was shown"),
        Column("other", "1", "mean spikes of neurons whose other pattern was shown"),
    ),
    {"long_name": "answers to two patterns, trial by trial"},
)
NEURONS = Table(
    "/experiment/neurons",
    (
        Column("learning", "1", "1: reward follows from the pattern, 0: shuffled", "i8"),
        Column("before", "1", "share of spikes in the rewarded pattern"),
        Column("after", "1", "share of spikes in the rewarded pattern"),
    ),
    {"long_name": "preference of every neuron"},
)


def run(parameters: RewardModulated, seed: int) -> Result:
    """Learning, and the same with shuffled reward."""
    counts: dict[str, int] = {}
    trials: list[Floats] = []
    neurons: list[Floats] = []
    means: dict[int, tuple[float, float]] = {}
    spread = 0.0
    ticks = 0
    given = None
    for learning in (1, 0):
        world = Trials(parameters, seed, given)
        parts = [
            world.run(parameters.test_trials, reward=False),
            world.run(parameters.trials, reward=True),
            world.run(parameters.test_trials, reward=False),
        ]
        before, after = preference(parts[0], world.wants), preference(parts[2], world.wants)
        means[learning] = float(before.mean()), float(after.mean())
        spread = 3.0 * float(after.std(ddof=1)) / np.sqrt(after.size) + 0.02
        neurons.append(np.stack([np.full(before.size, learning), before, after], axis=1))
        trial = 0
        for phase, rows in enumerate(parts):
            good = world.wants == rows[:, -1:]
            trials.append(np.stack([
                np.full(len(rows), learning), np.full(len(rows), phase), trial + np.arange(len(rows)),
                _mean(rows[:, :-1], good), _mean(rows[:, :-1], ~good),
            ], axis=1))  # fmt: skip
            trial += len(rows)
        given = shuffled(world.rewards, seed)
        added(counts, world.counts)
        ticks += world.simulation.tick
    claims = (
        Claim("share of spikes in the rewarded pattern before", means[1][0], "0.4 to 0.6", 0.4 <= means[1][0] <= 0.6),
        Claim("share of spikes in the rewarded pattern after", means[1][1], "at least 0.75", means[1][1] >= 0.75),
        Claim("the same with shuffled rewards, after", means[0][1],
              f"0.5, to three standard errors and 0.02: {spread:.2g}", abs(means[0][1] - 0.5) <= spread),
        Claim("what the order of rewards makes of it", means[1][1] - means[0][1], "at least 0.2",
              means[1][1] - means[0][1] >= 0.2),
    )  # fmt: skip
    return Result(claims, counts, ticks, (TRIALS, NEURONS), {
        TRIALS.path: _columns(TRIALS, np.concatenate(trials)),
        NEURONS.path: _columns(NEURONS, np.concatenate(neurons)),
    })  # fmt: skip


def _mean(spikes: Integers, where: npt.NDArray[np.bool_]) -> Floats:
    """Mean over the chosen neurons of each trial."""
    return np.asarray((spikes * where).sum(axis=1) / np.maximum(where.sum(axis=1), 1), np.float64)


def _columns(table: Table, rows: Floats) -> dict[str, npt.NDArray[np.generic]]:
    return {column.name: rows[:, n].astype(column.dtype) for n, column in enumerate(table.columns)}
