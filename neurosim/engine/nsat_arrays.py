"""The arrays of the NSAT kernels, from descriptions: groups of parameters, rules of learning, synapses by units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neurosim.kernels import nsat as kernels
from neurosim.kernels.words import OFF
from neurosim.models.neurons.nsat import LearningGroup, NeuronGroup

Integers = npt.NDArray[np.int64]

NEVER = -2000
"""The tick of a spike that has not been."""


@dataclass(frozen=True, eq=False)
class Synapses:
    """All synapses, sorted by their units, and the memory that their weights stand in."""

    first: Integers
    """Synapses of unit i are ``first[i]`` to ``first[i + 1] - 1``."""
    post: Integers
    state: Integers
    pointer: Integers
    """Where the weight stands in ``memory``."""
    memory: Integers
    low: int
    high: int
    """Limits of weights."""


def build(
    groups: Sequence[NeuronGroup], learning: Sequence[LearningGroup], group: Integers, start: Integers,
    synapses: Synapses, inputs: int, seed: int, home: Integers | None = None, cores: int = 1,
    timer: int | None = None,
) -> kernels.Core:  # fmt: skip
    """The arrays of a core before its first tick.

    ``group``: of every neuron, -1 for one that has no states. ``start``: ``[neuron, state]``; groups with fewer states
    leave the last ones alone. ``home``: the core that each neuron is counted on, of ``cores``. ``timer``: ticks after
    which the causal half of a pair is written at the latest, by default each rule's window.
    """
    n, states = start.shape
    neuron, unit = np.zeros((n, 5), np.int64), np.zeros((inputs + n, 2), np.int64)
    neuron[:, kernels.GROUP] = group
    neuron[:, kernels.HOME] = 0 if home is None else home
    unit[:, kernels.LAST] = NEVER
    synapse = np.zeros((synapses.post.size, 5), np.int32)  # narrow: reading them is most of the work
    synapse[:, kernels.POST], synapse[:, kernels.STATE] = synapses.post, synapses.state
    synapse[:, kernels.POINTER], synapse[:, kernels.NUMBER] = synapses.pointer, np.arange(synapses.post.size)
    terms, count = _terms(groups)
    kinds = {rule.rule for rule in learning}
    x = start.astype(np.int64)
    return kernels.Core(
        x=x, new=x.copy(), arrived=np.zeros_like(x), neuron=neuron, fired=np.zeros(n, np.int64), unit=unit,
        first=synapses.first.astype(np.int64), synapse=synapse, memory=synapses.memory.astype(np.int64),
        stuck=np.zeros(synapses.memory.size, np.bool_), changed=np.zeros(cores, np.int64), notes=np.zeros(2, np.int64),
        rows=_rows(groups, states),
        groups=np.array([
            (each.threshold, int(each.adaptive_threshold), each.refractory_ticks, each.modulator, terms_, each.states)
            for each, terms_ in zip(groups, count, strict=True)
        ], np.int64).reshape(len(groups), 6),
        terms=terms, rules=_rules(learning, timer), timers=_timers(learning, timer),
        fixed=np.array([synapses.low, synapses.high, bool(kinds - {"trace"}), "trace" in kinds], np.int64),
        seed=seed,
    )  # fmt: skip


_ROWS = ("bias", "noise_std", "reset", "reset_value", "low", "high", "transmit", "gain", "learning")
"""Settings of each state, in the order of the kernels' columns."""


def _rows(groups: Sequence[NeuronGroup], states: int) -> Integers:
    """``[group, setting, state]``; states that a group has not are fixed."""
    out = np.zeros((len(groups), len(_ROWS), states), np.int64)
    out[:, kernels.LEARNING] = -1
    for g, each in enumerate(groups):
        out[g, :, : each.states] = [each.row(name) for name in _ROWS]
    return out


def _terms(groups: Sequence[NeuronGroup]) -> tuple[Integers, Integers]:
    """The entries of A that are not off: ``[group, n, (source, destination, shift, sign)]`` and how many."""
    listed = []
    for each in groups:
        A, sign = np.array(each.A, np.int64), each.signs()
        term, source, destination = np.nonzero(A > OFF)
        at = term, source, destination
        listed.append(np.stack([source, destination, A[at], sign[at]], axis=1))
    out = np.zeros((len(groups), max([1, *(len(each) for each in listed)]), 4), np.int64)
    for n, rows in enumerate(listed):
        out[n, : len(rows)] = rows
    return out, np.array([len(each) for each in listed], np.int64)


def _rules(learning: Sequence[LearningGroup], timer: int | None) -> Integers:
    """A row for each learning group, in the order of the kernels' columns."""
    rows = []
    for rule in learning:
        low, high = rule.gate or (-(2**62), 2**62)
        row = [
            _KINDS[rule.rule], rule.window_ticks, int(rule.exponential), low, high, rule.period_ticks,
            rule.burn_in_ticks, rule.rounding_bits, rule.trace_shift, timer or rule.window_ticks,
        ]  # fmt: skip
        for half in ("causal", "acausal"):
            for name in ("edges", "heights", "signs", "slopes"):
                row += getattr(rule, f"{half}_{name}")
        rows.append(row)
    return np.array(rows, np.int64).reshape(len(rows), kernels.HALVES + 2 * kernels.HALF)


def _timers(learning: Sequence[LearningGroup], timer: int | None) -> npt.NDArray[np.bool_]:
    """For every number of ticks, up to the longest, whether a rule that compares times waits for so many."""
    ends = [timer or rule.window_ticks for rule in learning if rule.rule == "stdp"]
    out = np.zeros(max([0, *ends]) + 1, np.bool_)
    out[ends] = True
    return out


_KINDS = {"stdp": kernels.RULE_STDP, "event": kernels.RULE_EVENT, "trace": kernels.RULE_TRACE}
