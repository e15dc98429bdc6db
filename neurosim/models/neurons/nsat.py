"""Integer neuron of an NSAT core: 16-bit states that are shifted and added in every tick, and how its synapses learn.

One neuron has S whole-number states x_0 .. x_(S-1); x_0 is the one that fires. A tick reads

    x_k <- clip( x_k + sum_l s_lk shift(x_l, A_lk) + gain_k(sum of w xi) + b_k + int(sigma_k N(0, 1)) )
    a spike when x_0 >= threshold (or x_1, where ``adaptive_threshold``), then each state is set, added to or raised

shift(x, a)  x 2^a, cut towards zero, for a < 0 never zero where x is not (a leak takes 1 a tick or more); a = -16: off
A, s         ``A[source][destination]`` and ``sA``, several such terms where a coefficient needs more than one bit
w, xi        weights of the synapses that got an event, and 1 with probability ``transmit``/15 each, else 0

A synapse learns when its presynaptic side has an event (``LearningGroup``), from spike times, or from a state m of its
neuron alone:

    stdp    dw = s shift(m, h(post - pre))     three steps h a side, or a staircase that halves every 2^slope ticks
    event   dw = shift(m, h)                   at every presynaptic event
    trace   de = s 2^h(post - pre), e decays,  dw = e m in every tick

each divided by 2^rounding_bits, rounded at random so that the mean is exact, clipped, and only while gates are open.

Source: G. Detorakis et al., "Neural and Synaptic Array Transceiver: A Brain-Inspired Computing Framework for Embedded
Learning", Front. Neurosci. 12:583 (2018), arXiv 1709.10205; details of the tick: the authors' public simulator. Several
terms for a coefficient, resets to the higher of two values, and traces go beyond it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, field_validator, model_validator

from neurosim.kernels.words import OFF, WORD
from neurosim.registry import ModelParameters, Parameters, register

Integers = npt.NDArray[np.int64]
Shift = Annotated[int, Field(ge=OFF, le=15)]
Word = Annotated[int, Field(ge=-WORD - 1, le=WORD)]
Matrix = tuple[tuple[Shift, ...], ...]
Reset = Literal["none", "set", "add", "max"]
Sign = Literal[-1, 1]
Slope = Annotated[int, Field(ge=0, le=16)]

RESETS: tuple[Reset, ...] = ("none", "set", "add", "max")
WINDOW = 1023
"""Ticks that a window of plasticity lasts at most: counters have 10 bits."""


def off(states: int) -> list[list[int]]:
    """A shift matrix ``[source][destination]`` in which nothing is connected."""
    return [[OFF] * states for _ in range(states)]


def shifts(states: int, couplings: Mapping[tuple[int, int], int]) -> list[list[int]]:
    """A shift matrix from ``{(source, destination): shift}``; all else is off."""
    A = off(states)
    for (source, destination), exponent in couplings.items():
        A[source][destination] = exponent
    return A


@register("integer", "nsat")
class NeuronGroup(ModelParameters):
    """Parameters that the neurons of a group share; sequences have one entry for each state.

    ``A [source][destination]``: shifts of the dynamics (-16: off), or several such matrices whose terms add up, so that
    a coefficient may have more than one bit. ``sA``: their signs, by default -1 on the diagonal (a leak) and +1 off it.
    """

    model: Literal["nsat"] = "nsat"
    A: tuple[Matrix, ...] = Field(
        default=(((OFF,),),), min_length=1, description="shifts [source][destination] of the dynamics; -16: off"
    )
    sA: tuple[tuple[tuple[Sign, ...], ...], ...] | None = Field(
        default=None, description="their signs; default: -1 on the diagonal, 1 elsewhere"
    )
    bias: tuple[Word, ...] = Field(default=(), description="added to each state in every tick")
    threshold: Word = Field(default=WORD, description="a spike when state 0 reaches it")
    adaptive_threshold: bool = Field(default=False, description="state 1 is the threshold")
    refractory_ticks: int = Field(
        default=0, ge=0, le=65535, description="ticks of rest after a spike; it may fire in the last one, unless set"
    )
    reset: tuple[Reset, ...] = Field(default=(), description="what a spike does to each state; default: sets state 0")
    reset_value: tuple[Word, ...] = Field(default=(), description="the value that each is set to, or that is added")
    low: tuple[Word, ...] = Field(default=(), description="the lowest value of each state")
    high: tuple[Word, ...] = Field(default=(), description="the highest value of each state")
    noise_std: tuple[Annotated[int, Field(ge=0, le=WORD)], ...] = Field(
        default=(), description="Gaussian, cut to a whole number before it is added"
    )
    transmit: tuple[Annotated[int, Field(ge=0, le=15)], ...] = Field(
        default=(), description="of 15 synaptic events onto the state so many get through"
    )
    gain: tuple[Shift, ...] = Field(default=(), description="shift of the sum of synaptic events")
    modulator: int = Field(default=0, ge=0, description="the state that modulates learning")
    learning: tuple[Annotated[int, Field(ge=-1)], ...] = Field(
        default=(), description="learning group of synapses onto each state; -1: fixed"
    )
    start: tuple[Word, ...] = Field(default=(), description="states before the first tick")

    @field_validator("A", "sA", mode="before")
    @classmethod
    def _one_term(cls, value: object) -> object:
        """One matrix stands for a list of one; arrays are as good as lists."""
        plain = value.tolist() if isinstance(value, np.ndarray) else value
        depth, inner = 0, plain
        while isinstance(inner, (list, tuple, np.ndarray)) and len(inner):
            depth, inner = depth + 1, inner[0]
        return [plain] if depth == 2 else plain

    @field_validator("*", mode="before")
    @classmethod
    def _plain(cls, value: object) -> object:
        """Arrays and their numbers are as good as lists and numbers."""
        return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value

    @model_validator(mode="after")
    def _sizes(self) -> NeuronGroup:
        states = self.states
        problems = [f"A: terms must be {states} x {states} matrices"] if not _square(self.A, states) else []
        if not states:
            problems.append("A: a neuron needs at least one state")
        if self.sA is not None and (len(self.sA) != len(self.A) or not _square(self.sA, states)):
            problems.append(f"sA: must have the shape of A, {len(self.A)} x {states} x {states}")
        for name in PER_STATE:
            given = getattr(self, name)
            if given and len(given) != states:
                problems.append(f"{name}: has {len(given)} entries, needed is one for each of {states} states")
        if self.adaptive_threshold and states < 2:
            problems.append("adaptive_threshold: needs a second state")
        if self.modulator >= states:
            problems.append(f"modulator = {self.modulator}: there are states 0 to {states - 1}")
        if not problems:
            problems = self._ranges()
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _ranges(self) -> list[str]:
        """States whose limits leave no room, or that start outside of them."""
        low, high = self.row("low"), self.row("high")
        problems = [
            f"low[{k}] = {low[k]}: lies above high[{k}] = {high[k]}" for k in range(self.states) if low[k] > high[k]
        ]
        problems += [
            f"start[{k}] = {value}: lies outside {low[k]} to {high[k]}"
            for k, value in enumerate(self.start)
            if low[k] <= high[k] and not low[k] <= value <= high[k]
        ]
        return problems

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
    "bias": 0, "reset": 0, "reset_value": 0, "low": -WORD, "high": WORD, "noise_std": 0, "transmit": 15,
    "gain": 0, "learning": -1, "start": 0,
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
    window_ticks: int = Field(default=64, ge=1, le=WINDOW, description="pairs further apart do not count")
    exponential: bool = Field(default=False, description="heights fall by one every 2^slope ticks")
    causal_edges: tuple[int, int] = (16, 36)
    causal_heights: tuple[Shift, Shift, Shift] = (1, 0, -1)
    causal_signs: tuple[Sign, Sign, Sign] = (1, 1, 1)
    causal_slopes: tuple[Slope, Slope, Slope] = (16, 16, 16)
    acausal_edges: tuple[int, int] = (16, 36)
    acausal_heights: tuple[Shift, Shift, Shift] = (1, 0, -1)
    acausal_signs: tuple[Sign, Sign, Sign] = (-1, -1, -1)
    acausal_slopes: tuple[Slope, Slope, Slope] = (16, 16, 16)
    gate: tuple[int, int] | None = Field(default=None, description="learns only while low < state of the target < high")
    period_ticks: int = Field(default=1, ge=1, description="length of a sample")
    burn_in_ticks: int = Field(
        default=0, ge=0, description="ticks at the start of a sample in which nothing is learned"
    )
    rounding_bits: int = Field(default=0, ge=0, le=16, description="dw / 2^bits, rounded at random")

    @model_validator(mode="after")
    def _edges(self) -> LearningGroup:
        problems = []
        for name in ("causal_edges", "acausal_edges"):
            first, second = getattr(self, name)
            if not 0 < first <= second <= self.window_ticks:
                problems.append(f"{name}: must hold 0 < first <= second <= window_ticks = {self.window_ticks}")
        if self.gate is not None and self.gate[0] >= self.gate[1]:
            problems.append(f"gate: {self.gate[0]} must lie below {self.gate[1]}")
        if problems:
            raise ValueError("\n".join(problems))
        return self


def described(rule: LearningGroup) -> dict[str, Any]:
    """What of a rule differs from its defaults, and its kind."""
    return {"rule": rule.rule, **rule.model_dump(exclude_defaults=True)}
