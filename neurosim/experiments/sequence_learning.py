"""A repeated sequence of inputs is learned by a voltage-based rule: the first element then recalls the others.

Claim: groups of neurons, one for each element, are made to fire one after the other by their inputs, again and again.
Plastic synapses lead from every neuron to those of all other groups. Before, input to the first element makes its own
group fire and no other. After, it recalls the whole sequence in order, without further input, and input to an element
in the middle recalls the rest. Where the order was another one in each repetition, nothing is recalled in order.

The rule looks at the presynaptic event alone: what it does to a weight is the modulator m of the target neuron, a state
that follows the target's membrane V and its calcium Ca,

    u = clip(V - 1216, -2, 8),   m = clip(u - Ca/2^7, -8, 8),   dw = 2 m / 4 (rounded at random),   Ca + 1024 a spike

so a synapse grows where the target is just below its threshold of 1408, about to fire, and shrinks where it is far from
it (u = -2) or has fired not long ago (Ca): the order of firing is learned without any spike times. A neuron has five
states: V, u, Ca, m, and the current of its input, which is not plastic.

While the sequence is taught, the plastic synapses learn but do not transmit (blank-out with p = 0), which is what
acetylcholine is thought to do in the hippocampus; otherwise what is half learned would fire the next group too early,
and teach a wrong order. In recall they transmit and nothing is learned.

Source: the authors' voltage-based example for NSAT (five states, thresholds, clips, calcium); rules of this kind: J. M.
Brader, W. Senn, S. Fusi, Neural Comput. 19, 2881 (2007); C. Clopath et al., Nat. Neurosci. 13, 344 (2010); silenced
transmission: M. E. Hasselmo, Curr. Opin. Neurobiol. 16, 710 (2006).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from neurosim.chip.nsat import LearningGroup, NeuronGroup, NsatCore
from neurosim.engine.nsat import NsatSimulation
from neurosim.engine.sink import Column, Table
from neurosim.experiments.base import Claim, ExperimentParameters, Floats, Result, added, shifts
from neurosim.kernels.random import STREAM_SHUFFLE, permutation
from neurosim.registry import register

Integers = npt.NDArray[np.int64]


@register("experiment", "sequence-learning")
class SequenceLearning(ExperimentParameters):
    """How long the sequence is, and how often it comes."""

    model: Literal["sequence-learning"] = "sequence-learning"
    elements: int = Field(default=10, ge=3, le=24)
    neurons: int = Field(default=12, ge=2, le=16, description="of each element")
    repetitions: int = Field(default=60, ge=1)
    step_ticks: int = Field(default=12, ge=8, le=16, description="from one element to the next")


V, NEAR, CALCIUM, MODULATOR, SYNAPSE = range(5)
THRESHOLD, PLASTIC_THRESHOLD = 1408, 1216
TRAIN_TICKS = 60
"""An element's input is an event train of so many ticks, one event a tick; its neurons fire some 48 ticks into it."""
PAUSE_TICKS = 150
"""Between repetitions: every state returns to rest."""
RECALL_TICKS = 100
INPUT_WEIGHT = 94
"""The membrane comes near 16 x 94 = 1504: slowly, so that a group waits just below its threshold for 20 ticks."""


def neuron(teaching: bool) -> NeuronGroup:
    """The five states of the module's docstring."""
    couplings = {
        (V, V): -4, (SYNAPSE, V): 0, (SYNAPSE, SYNAPSE): 0, (CALCIUM, CALCIUM): -5, (V, NEAR): 0, (NEAR, NEAR): 0,
        (NEAR, MODULATOR): 0, (CALCIUM, MODULATOR): -7, (MODULATOR, MODULATOR): 0,
    }  # fmt: skip
    leaks = {(V, V), (SYNAPSE, SYNAPSE), (CALCIUM, CALCIUM), (NEAR, NEAR), (MODULATOR, MODULATOR)}
    negative = leaks | {(CALCIUM, MODULATOR)}
    signs = [[-1 if (source, target) in negative else 1 for target in range(5)] for source in range(5)]
    return NeuronGroup(
        A=shifts(5, couplings), sA=signs, bias=(0, -PLASTIC_THRESHOLD, 0, 0, 0), threshold=THRESHOLD,
        refractory_ticks=30, reset=("set", "none", "add", "none", "set"), reset_value=(0, 0, 1024, 0, 0),
        low=(0, -2, 0, -8, 0), high=(32767, 8, 32767, 8, 32767), modulator=MODULATOR,
        transmit=(0 if teaching else 15, 15, 15, 15, 15), noise_std=(5, 0, 0, 0, 0),
        learning=(0 if teaching else -1, -1, -1, -1, -1),
    )  # fmt: skip


def core(parameters: SequenceLearning, weights: Integers | None = None) -> NsatCore:
    """One input for each neuron; plastic synapses between neurons of different elements. No ``weights``: teaching."""
    n = parameters.elements * parameters.neurons
    pre, post = (each.ravel() for each in np.meshgrid(np.arange(n), np.arange(n), indexing="ij"))
    other = pre // parameters.neurons != post // parameters.neurons
    pre, post = pre[other], post[other]
    own = np.arange(n)
    start = np.concatenate([np.zeros(pre.size, np.int64), np.full(n, INPUT_WEIGHT)])
    return NsatCore(
        n, np.zeros(n, np.int64), (neuron(weights is None),),
        (LearningGroup(rule="event", acausal_heights=(1, 0, 0), rounding_bits=2),),
        pre=np.concatenate([n + pre, own]), post=np.concatenate([post, own]),
        state=np.repeat([V, SYNAPSE], [pre.size, n]), weights=start if weights is None else weights,
    )  # fmt: skip


class Teaching:
    """Presents the elements in an order of its own choice; keeps weights, spikes and counts."""

    def __init__(self, parameters: SequenceLearning, seed: int, ordered: bool) -> None:
        self.parameters, self.seed, self.ordered = parameters, seed, ordered
        self.simulation = NsatSimulation([core(parameters)], seed=seed)
        self.counts: dict[str, int] = {}

    def repeat(self, repetition: int) -> tuple[Integers, Integers]:
        """One presentation of all elements; (tick since its start, neuron) of its spikes."""
        p = self.parameters
        order = np.arange(p.elements)
        if not self.ordered:
            order = np.array(permutation(self.seed, STREAM_SHUFFLE, repetition, p.elements))
        begin = self.simulation.tick
        events = [train(p, int(element), begin + 1 + n * p.step_ticks) for n, element in enumerate(order)]
        out = self.simulation.run(p.step_ticks * p.elements + PAUSE_TICKS, np.concatenate(events))
        added(self.counts, out.counts)
        return out.spikes[0][0] - begin, out.spikes[0][1]

    def weights(self) -> Integers:
        """All weights as they are now."""
        return self.simulation.weights(0)

    def means(self) -> Floats:
        """Mean weight by element, ``[from, to]``."""
        p = self.parameters
        plastic = self.weights()[: -p.elements * p.neurons]
        out = np.zeros((p.elements, p.elements))
        out[~np.eye(p.elements, dtype=bool)] = (
            plastic.reshape(p.elements, p.neurons, p.elements - 1, p.neurons).mean(axis=(1, 3)).ravel()
        )
        return out


def train(parameters: SequenceLearning, element: int, begin: int) -> Integers:
    """The events of one element's inputs, (tick, core, input)."""
    inputs = element * parameters.neurons + np.arange(parameters.neurons)
    ticks, units = np.meshgrid(begin + np.arange(TRAIN_TICKS), inputs, indexing="ij")
    return np.stack([ticks.ravel(), np.zeros(ticks.size, np.int64), units.ravel()], axis=1)


def recall(
    parameters: SequenceLearning, weights: Integers, element: int, seed: int, counts: dict[str, int]
) -> tuple[Integers, Integers]:
    """Input to one element alone; (tick, neuron) of all spikes."""
    simulation = NsatSimulation([core(parameters, weights)], seed=seed)
    out = simulation.run(RECALL_TICKS, train(parameters, element, 1))
    added(counts, out.counts)
    return out.spikes[0]


def in_order(parameters: SequenceLearning, spikes: tuple[Integers, Integers], element: int) -> int:
    """How many elements follow one another, each later than the one before, in at least half of its neurons."""
    ticks, neurons = spikes
    found, last = 0, -1
    for following in range(element, parameters.elements):
        when = ticks[neurons // parameters.neurons == following]
        if 2 * when.size < parameters.neurons or when[0] <= last:
            break
        found, last = found + 1, int(when[0])
    return max(found - 1, 0)


SPIKES = Table(
    "/experiment/spikes",
    (
        Column(
            "phase", "1", "0: taught, first time, 1: taught, last, 2: recall before, 3: after, 4: from the middle", "i8"
        ),
        Column("tick", "ticks", "since the start of the phase", "i8"),
        Column("neuron", "1", "number of the neuron; elements one after the other", "i8"),
    ),
    {"long_name": "spikes of single presentations"},
)
WEIGHTS = Table(
    "/experiment/weights",
    (
        Column("source", "1", "element", "i8"),
        Column("target", "1", "element", "i8"),
        Column("weight", "1", "mean weight after learning"),
        Column("control", "1", "mean weight after as many repetitions in random order"),
    ),
    {"long_name": "mean weights between elements"},
)
COURSE = Table(
    "/experiment/learning",
    (
        Column("repetition", "1", "presentations so far", "i8"),
        Column("next", "1", "mean weight onto the next element"),
        Column("others", "1", "mean weight onto all other elements"),
        Column("recalled", "1", "elements that the first one recalls in order", "i8"),
    ),
    {"long_name": "weights and recall while the sequence is taught"},
)


def run(parameters: SequenceLearning, seed: int) -> Result:
    """Teach the sequence, and as a control as many random ones; recall before, after and from the middle."""
    p = parameters
    n, middle = p.elements, p.elements // 2
    counts: dict[str, int] = {}
    taught, control = Teaching(p, seed, True), Teaching(p, seed, False)
    spikes = {2: recall(p, taught.weights(), 0, seed, counts)}
    follows = np.eye(n, k=1, dtype=bool)
    others = ~follows & ~np.eye(n, dtype=bool)
    course = []
    looks = set(np.linspace(0, p.repetitions, min(p.repetitions, 15) + 1).round().astype(int).tolist())
    for repetition in range(p.repetitions + 1):
        if repetition in looks:
            means = taught.means()
            found = in_order(p, recall(p, taught.weights(), 0, seed, counts), 0)
            course.append((repetition, means[follows].mean(), means[others].mean(), found))
        if repetition == p.repetitions:
            break
        shown = taught.repeat(repetition)
        if repetition in (0, p.repetitions - 1):
            spikes[int(repetition > 0)] = shown
        control.repeat(repetition)
    spikes[3] = recall(p, taught.weights(), 0, seed, counts)
    spikes[4] = recall(p, taught.weights(), middle, seed, counts)
    before, after, rest = (in_order(p, spikes[phase], start) for phase, start in ((2, 0), (3, 0), (4, middle)))
    none = in_order(p, recall(p, control.weights(), 0, seed, counts), 0)
    added(counts, taught.counts)
    added(counts, control.counts)
    claims = (
        Claim("elements that the first one recalls in order, before", before, "0", before == 0),
        Claim("elements that the first one recalls in order, after", after, f"{n - 1}", after == n - 1),
        Claim(
            "elements that the middle one recalls in order, after", rest, f"{n - 1 - middle}", rest == n - 1 - middle
        ),
        Claim("the same from the first one, taught in random orders", none, "at most 1", none <= 1),
    )
    source, target = (each.ravel() for each in np.meshgrid(np.arange(n), np.arange(n), indexing="ij"))
    phases = sorted(spikes)
    recalls = len(course) + 4
    return Result(
        claims, counts, taught.simulation.tick + control.simulation.tick + recalls * RECALL_TICKS,
        (SPIKES, WEIGHTS, COURSE), {
            SPIKES.path: {
                "phase": np.concatenate([np.full(spikes[each][0].size, each) for each in phases]),
                "tick": np.concatenate([spikes[each][0] for each in phases]),
                "neuron": np.concatenate([spikes[each][1] for each in phases]),
            },
            WEIGHTS.path: {
                "source": source, "target": target, "weight": taught.means().ravel(),
                "control": control.means().ravel(),
            },
            COURSE.path: {
                name: np.array(column) for name, column in
                zip(("repetition", "next", "others", "recalled"), zip(*course, strict=True), strict=True)
            },
        },
    )  # fmt: skip
