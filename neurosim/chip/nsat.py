"""The description of NSAT cores: integer neurons, groups of parameters, synapses that point into a weight memory.

Sizes and ranges are those of the hardware: 16-bit states, shifts from -15 to 15 (-16: off), 8 groups of neurons and 8
of learning rules a core, states x neurons of at most 2048 and inputs + neurons of at most 4096 a core. Two things go
beyond it: several shift terms for one coefficient, and a reset to the higher of two values.

Source: G. Detorakis et al., Front. Neurosci. 12:583 (2018), arXiv 1709.10205, and the authors' simulator.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator, model_validator

from neurosim.errors import InputError
from neurosim.kernels import nsat as kernels
from neurosim.registry import Parameters

Integers = npt.NDArray[np.int64]
Shift = Annotated[int, Field(ge=kernels.OFF, le=15)]
Word = Annotated[int, Field(ge=-kernels.WORD - 1, le=kernels.WORD)]
Matrix = tuple[tuple[Shift, ...], ...]
Reset = Literal["none", "set", "add", "max"]

OFF = kernels.OFF
STATES_PER_CORE = 2048
UNITS_PER_CORE = 4096
GROUPS = 8
RESETS: tuple[Reset, ...] = ("none", "set", "add", "max")


def off(states: int) -> list[list[int]]:
    """A shift matrix ``[source][destination]`` in which nothing is connected."""
    return [[OFF] * states for _ in range(states)]


class NeuronGroup(Parameters):
    """Parameters that the neurons of a group share; sequences have one entry for each state.

    ``A [source][destination]``: shifts of the dynamics (-16: off), or several such matrices whose terms add up, so that
    a coefficient may have more than one bit. ``sA``: their signs, by default -1 on the diagonal (a leak) and +1 off it.
    """

    A: tuple[Matrix, ...] = Field(min_length=1)
    sA: tuple[tuple[tuple[Literal[-1, 1], ...], ...], ...] | None = None
    bias: tuple[Word, ...] = ()
    threshold: Word = kernels.WORD
    adaptive_threshold: bool = Field(default=False, description="state 1 is the threshold")
    refractory_ticks: int = Field(default=0, ge=0, le=65535)
    reset: tuple[Reset, ...] = Field(default=(), description="what a spike does to each state; default: sets state 0")
    reset_value: tuple[Word, ...] = ()
    low: tuple[Word, ...] = ()
    high: tuple[Word, ...] = ()
    noise_std: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(), description="Gaussian, cut to a whole number"
    )
    transmit: tuple[Annotated[int, Field(ge=0, le=15)], ...] = Field(
        default=(), description="of 15 synaptic events onto the state so many get through"
    )
    gain: tuple[Shift, ...] = Field(default=(), description="shift of the sum of synaptic events")
    modulator: int = Field(default=0, ge=0, description="the state that modulates learning")
    learning: tuple[Annotated[int, Field(ge=-1)], ...] = Field(
        default=(), description="learning group of synapses onto each state; -1: fixed"
    )

    @field_validator("A", "sA", mode="before")
    @classmethod
    def _one_term(cls, value: object) -> object:
        """One matrix stands for a list of one."""
        depth = np.ndim(value) if value is not None else 3  # type: ignore[arg-type]
        return [value] if depth == 2 else value

    @model_validator(mode="after")
    def _sizes(self) -> NeuronGroup:
        states = self.states
        problems = [f"A: terms must be {states} x {states} matrices"] if not _square(self.A, states) else []
        if self.sA is not None and (len(self.sA) != len(self.A) or not _square(self.sA, states)):
            problems.append("sA: must have the shape of A")
        for name in PER_STATE:
            given = getattr(self, name)
            if given and len(given) != states:
                problems.append(f"{name}: has {len(given)} entries, needed is one for each of {states} states")
        if self.adaptive_threshold and states < 2:
            problems.append("adaptive_threshold: needs a second state")
        if self.modulator >= states:
            problems.append(f"modulator = {self.modulator}: there are states 0 to {states - 1}")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def states(self) -> int:
        """States of one neuron."""
        return len(self.A[0])

    def row(self, name: str) -> list[int]:
        """One number for each state, defaults filled in."""
        given = getattr(self, name)
        if name == "reset":
            given = given or ("set",) + ("none",) * (self.states - 1)
            return [RESETS.index(each) for each in given]
        return list(given or [PER_STATE[name]] * self.states)

    def signs(self) -> Integers:
        """``sA [term, source, destination]``."""
        if self.sA is not None:
            return np.array(self.sA, np.int64)
        return np.tile(1 - 2 * np.eye(self.states, dtype=np.int64), (len(self.A), 1, 1))


PER_STATE = {
    "bias": 0, "reset": 0, "reset_value": 0, "low": -kernels.WORD, "high": kernels.WORD, "noise_std": 0, "transmit": 15,
    "gain": 0, "learning": -1,
}  # fmt: skip
"""Settings with one entry for each state, and their defaults."""


def _square(matrices: tuple[tuple[tuple[int, ...], ...], ...], states: int) -> bool:
    return all(len(matrix) == states and all(len(row) == states for row in matrix) for matrix in matrices)


class LearningGroup(Parameters):
    """How the synapses of a group learn: dw = sign 2^height m, with m the modulator state of the target neuron.

    ``rule = "stdp"``: the height follows from the time between the spikes, in three segments on either side;
    ``"event"``: every presynaptic event changes the weight by ``acausal_heights[0]``, whatever the times;
    ``"trace"``: spike times feed an eligibility trace of each synapse, which the modulator turns into weight in every
    tick: de = sign 2^height at a pair, a leak by ``trace_shift``, dw = e m 2^-rounding_bits. The trace is beyond the
    hardware: it needs memory for each synapse, a multiplication, and a look at synapses from both sides.
    """

    rule: Literal["stdp", "event", "trace"] = "stdp"
    trace_shift: int = Field(default=6, ge=1, le=15, description="a trace falls by 2^-trace_shift of itself a tick")
    window_ticks: int = Field(default=64, ge=1, le=1023)
    exponential: bool = Field(default=False, description="heights fall by one every 2^slope ticks")
    causal_edges: tuple[int, int] = (16, 36)
    causal_heights: tuple[Shift, Shift, Shift] = (1, 0, -1)
    causal_signs: tuple[Literal[-1, 1], Literal[-1, 1], Literal[-1, 1]] = (1, 1, 1)
    causal_slopes: tuple[int, int, int] = (16, 16, 16)
    acausal_edges: tuple[int, int] = (16, 36)
    acausal_heights: tuple[Shift, Shift, Shift] = (1, 0, -1)
    acausal_signs: tuple[Literal[-1, 1], Literal[-1, 1], Literal[-1, 1]] = (-1, -1, -1)
    acausal_slopes: tuple[int, int, int] = (16, 16, 16)
    gate: tuple[int, int] | None = Field(default=None, description="learns only while low < state of the target < high")
    period_ticks: int = Field(default=1, ge=1, description="length of a sample")
    burn_in_ticks: int = Field(
        default=0, ge=0, description="ticks at the start of a sample in which nothing is learned"
    )
    rounding_bits: int = Field(default=0, ge=0, le=16, description="dw / 2^bits, rounded at random")

    @model_validator(mode="after")
    def _edges(self) -> LearningGroup:
        for name in ("causal_edges", "acausal_edges"):
            first, second = getattr(self, name)
            if not 0 < first <= second <= self.window_ticks:
                raise ValueError(f"{name}: must hold 0 < first <= second <= window_ticks = {self.window_ticks}")
        return self


@dataclass(eq=False)
class NsatCore:
    """One core. Units are its inputs, then its neurons; a synapse leads from a unit to a state of a neuron.

    ``pointer``: where each synapse's weight stands in ``memory``; synapses that share a place share the weight, and all
    of them change it. ``weight_bits``: weights lie in -2^bits to 2^bits - 1.
    """

    inputs: int
    group: npt.ArrayLike
    """The group of every neuron."""
    groups: tuple[NeuronGroup, ...]
    learning: tuple[LearningGroup, ...] = ()
    pre: npt.ArrayLike = field(default_factory=list)
    post: npt.ArrayLike = field(default_factory=list)
    state: npt.ArrayLike = field(default_factory=list)
    weights: npt.ArrayLike = field(default_factory=list)
    """The weight memory, or one weight for each synapse where there is no ``pointer``."""
    pointer: npt.ArrayLike | None = None
    start: npt.ArrayLike | None = None
    """States at tick 0, ``[neuron, state]``."""
    weight_bits: int = 8

    def __post_init__(self) -> None:
        self.group = np.atleast_1d(np.asarray(self.group, np.int64))
        for name in ("pre", "post", "state", "weights"):
            setattr(self, name, np.asarray(getattr(self, name), np.int64).reshape(-1))
        assert isinstance(self.pre, np.ndarray)
        self.pointer = np.arange(self.pre.size) if self.pointer is None else np.asarray(self.pointer, np.int64)
        problems = self._problems()
        if problems:
            raise InputError(problems, "nsat core")

    @property
    def neurons(self) -> int:
        """Neurons of the core."""
        return np.asarray(self.group).size

    @property
    def states(self) -> int:
        """States of one neuron."""
        return self.groups[0].states

    def _problems(self) -> list[str]:
        if not self.groups:
            return ["groups: at least one is needed"]
        states, neurons = self.states, self.neurons
        problems = []
        if len(self.groups) > GROUPS or len(self.learning) > GROUPS:
            problems.append(f"{len(self.groups)} groups of neurons and {len(self.learning)} of rules: {GROUPS} at most")
        if len({(each.states, len(each.A)) for each in self.groups}) > 1:
            problems.append("groups: all need the same number of states and of terms in A")
        if states * neurons > STATES_PER_CORE:
            problems.append(
                f"{neurons} neurons of {states} states are {states * neurons} states, "
                f"{states * neurons - STATES_PER_CORE} more than the {STATES_PER_CORE} of a core"
            )
        if neurons + self.inputs > UNITS_PER_CORE:
            problems.append(f"{self.inputs} inputs and {neurons} neurons: a core has {UNITS_PER_CORE} units")
        problems += _outside("group", self.group, len(self.groups))
        problems += _outside("pre", self.pre, self.inputs + neurons)
        problems += _outside("post", self.post, neurons)
        problems += _outside("state", self.state, states)
        problems += _outside("pointer", self.pointer, int(np.asarray(self.weights).size))
        lengths = {np.asarray(each).size for each in (self.pre, self.post, self.state, self.pointer)}
        if len(lengths) > 1:
            problems.append(f"pre, post, state and pointer must have one length, but have {sorted(lengths)}")
        rules = [rule for each in self.groups for rule in each.learning if rule >= len(self.learning)]
        if rules:
            problems.append(f"groups: learning group {rules[0]} is not there; there are {len(self.learning)}")
        if self.start is not None and np.shape(self.start) != (neurons, states):
            problems.append(f"start: has the shape {np.shape(self.start)}, needed is {(neurons, states)}")
        return problems


def _outside(name: str, values: npt.ArrayLike | None, end: int) -> list[str]:
    """Numbers that are not 0 to end - 1."""
    numbers = np.asarray(values)
    wrong = numbers[(numbers < 0) | (numbers >= end)] if numbers.size else numbers
    return [f"{name}: {int(wrong[0])} is out of range, there are 0 to {end - 1}"] if wrong.size else []
