"""The description of NSAT cores: integer neurons, groups of parameters, synapses that point into a weight memory.

Sizes and ranges are those of the hardware: 16-bit states, shifts from -15 to 15 (-16: off), 8 groups of neurons and 8
of learning rules a core, states x neurons of at most 2048 and inputs + neurons of at most 4096 a core. Two things go
beyond it: several shift terms for one coefficient, and a reset to the higher of two values.

Source: G. Detorakis et al., Front. Neurosci. 12:583 (2018), arXiv 1709.10205, and the authors' simulator.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from neurosim.errors import InputError
from neurosim.kernels.words import OFF, WORD
from neurosim.models.neurons.nsat import LearningGroup, NeuronGroup, off, shifts

__all__ = [
    "GROUPS", "OFF", "STATES_PER_CORE", "UNITS_PER_CORE", "LearningGroup", "NeuronGroup", "NsatCore", "off", "shifts",
]  # fmt: skip

Integers = npt.NDArray[np.int64]

STATES_PER_CORE = 2048
UNITS_PER_CORE = 4096
GROUPS = 8
WEIGHT_BITS = 15
"""Weights have at most so many bits and a sign."""


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
        problems: list[str] = []
        for name in ("group", "pre", "post", "state", "weights"):
            setattr(self, name, np.atleast_1d(_whole(name, getattr(self, name), problems)))
        size = np.asarray(self.pre).size
        if self.pointer is None and np.asarray(self.weights).size != size:
            found = np.asarray(self.weights).size
            problems.append(f"weights: there are {found} for {size} synapses; synapses that share need a pointer")
        elif self.pointer is None:
            self.pointer = np.arange(size)
        else:
            self.pointer = _whole("pointer", self.pointer, problems)
        if self.start is not None:
            self.start = _whole("start", self.start, problems)
        problems = problems or self._problems()
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
        if isinstance(self.inputs, bool) or not isinstance(self.inputs, (int, np.integer)) or self.inputs < 0:
            return [f"inputs = {self.inputs!r}: must be a whole number of at least 0"]
        if not isinstance(self.weight_bits, (int, np.integer)) or not 1 <= self.weight_bits <= WEIGHT_BITS:
            return [f"weight_bits = {self.weight_bits!r}: must be a whole number from 1 to {WEIGHT_BITS}"]
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
        low, high = -(2**self.weight_bits), 2**self.weight_bits - 1
        problems += beyond("weights", np.asarray(self.weights), low, high, f"weight_bits = {self.weight_bits}")
        if self.start is not None and np.shape(self.start) != (neurons, states):
            problems.append(f"start: has the shape {np.shape(self.start)}, needed is {(neurons, states)}")
        elif self.start is not None:
            problems += beyond("start", np.asarray(self.start), -WORD - 1, WORD, "states have 16 bits")
        return problems


def _whole(name: str, given: npt.ArrayLike, problems: list[str]) -> Integers:
    """Whole numbers, of whatever type; what is wrong is added to ``problems``."""
    values = np.asarray(given)
    if values.size == 0:
        return values.astype(np.int64)
    if values.dtype.kind not in "iuf" or not np.isfinite(values).all() or (values != np.floor(values)).any():
        problems.append(f"{name}: must be whole numbers")
        return np.zeros(values.shape, np.int64)
    return values.astype(np.int64)


def beyond(name: str, values: npt.NDArray[np.number], low: int, high: int, why: str) -> list[str]:
    """Numbers that lie outside ``low`` to ``high``: how many, the first of them, and ``why``."""
    wrong = values[(values < low) | (values > high)] if values.size else values
    if not wrong.size:
        return []
    return [f"{name}: {wrong.size} of {values.size} lie outside {low} to {high} ({why}), first {wrong[0]:g}"]


def _outside(name: str, values: npt.ArrayLike | None, end: int) -> list[str]:
    """Numbers that are not 0 to end - 1."""
    numbers = np.asarray(values)
    wrong = numbers[(numbers < 0) | (numbers >= end)] if numbers.size else numbers
    return [f"{name}: {int(wrong[0])} is out of range, there are 0 to {end - 1}"] if wrong.size else []
