"""NSAT cores at work: the integer tick, event routing between cores, learning at presynaptic events.

All cores advance together. A spike reaches its own core's synapses, and over routes the inputs of other cores, in the
tick in which it is fired; what it does to states is seen one tick later, wherever it went.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim.chip.nsat import LearningGroup, NeuronGroup, NsatCore
from neurosim.errors import InputError
from neurosim.kernels import nsat as kernels
from neurosim.kernels.random import sub_key

Integers = npt.NDArray[np.int64]
Event = tuple[int, int, int]
NEVER = -2000
"""The tick of a spike that has not been."""


@dataclass(frozen=True, eq=False)
class NsatOutput:
    """What happened in one run."""

    spikes: tuple[tuple[Integers, Integers], ...]
    """For each core, (tick, neuron) in order."""
    states: tuple[Integers | None, ...]
    """For each recorded core ``[tick, neuron, state]``, from the first tick of the run on."""
    counts: dict[str, int]
    """Of all cores: neuron_visited, neuron_updated, neuron_fired, synaptic_event, synapse_updated, message."""


class NsatSimulation:
    """NSAT cores, driven tick by tick.

    ``routes``: for ``(core, neuron)`` the inputs ``(core, input)`` that its spikes are sent to. ``seed``: of noise,
    blank-out and stochastic rounding.
    """

    def __init__(
        self,
        cores: Sequence[NsatCore],
        routes: Mapping[tuple[int, int], Iterable[tuple[int, int]]] | None = None,
        seed: int = 0,
        causal_timeout_ticks: int = 64,
    ) -> None:
        self._cores = [_Core(core, number, seed) for number, core in enumerate(cores)]
        self._timeout = causal_timeout_ticks
        self._routes = _checked(routes or {}, cores)
        self.tick = 0

    def run(self, ticks: int, events: Iterable[Event] = (), record: Iterable[int] = ()) -> NsatOutput:
        """Take ``ticks`` ticks. ``events``: (tick, core, input), ticks counted from the start of the simulation.

        ``record``: cores whose states are kept.
        """
        due = self._due(events)
        kept: dict[int, list[Integers]] = {core: [self._cores[core].x.copy()] for core in record}
        spikes: list[list[tuple[int, int]]] = [[] for _ in self._cores]
        counts = dict.fromkeys(
            ("neuron_visited", "neuron_updated", "neuron_fired", "synaptic_event", "synapse_updated", "message"), 0
        )
        for _ in range(ticks):
            self.tick += 1
            arriving = due.get(self.tick, {})
            external: list[list[int]] = [list(arriving.get(number, ())) for number in range(len(self._cores))]
            for number, core in enumerate(self._cores):
                for neuron in core.advance(self.tick):
                    spikes[number].append((self.tick, int(neuron)))
                    for target, unit in self._routes.get((number, int(neuron)), ()):
                        external[target].append(unit)
                        counts["message"] += 1
                counts["neuron_fired"] += core.count
            for core, units in zip(self._cores, external, strict=True):
                counts["synaptic_event"] += core.hear(np.array(units, np.int64), self.tick, self._timeout)
                counts["neuron_visited"] += core.x.shape[0]
                counts["neuron_updated"] += core.x.shape[0]
                counts["synapse_updated"] += core.take_updates()
            for core_number, rows in kept.items():
                rows.append(self._cores[core_number].x.copy())
        return NsatOutput(
            spikes=tuple(_columns(each) for each in spikes),
            states=tuple(np.array(kept[k]) if k in kept else None for k in range(len(self._cores))),
            counts=counts,
        )

    def _due(self, events: Iterable[Event]) -> dict[int, dict[int, list[int]]]:
        due: dict[int, dict[int, list[int]]] = {}
        problems = []
        for tick, core, unit in events:
            if not 0 <= core < len(self._cores) or not 0 <= unit < self._cores[core].inputs:
                problems.append(f"event at tick {tick}: core {core} has no input {unit}")
            elif tick <= self.tick:
                problems.append(f"event at tick {tick}: the simulation stands at tick {self.tick} already")
            else:
                due.setdefault(int(tick), {}).setdefault(core, []).append(unit)
        if problems:
            raise InputError(problems, "events")
        return due

    def state(self, core: int) -> Integers:
        """A copy of all states of a core, ``[neuron, state]``."""
        return self._cores[core].x.copy()

    def weights(self, core: int) -> Integers:
        """A copy of a core's weight memory."""
        return self._cores[core].memory.copy()


class _Core:
    """The arrays of one core, in the order of the kernels."""

    def __init__(self, core: NsatCore, number: int, seed: int) -> None:
        groups = core.groups
        self.inputs, n, states = core.inputs, core.neurons, core.states
        self.seed = int(sub_key(seed, number))
        self.group = np.asarray(core.group, np.int64)
        self.A = np.array([each.A for each in groups], np.int64)
        self.sign = np.stack([each.signs() for each in groups])
        rows = {name: _rows(groups, name) for name in ("bias", "noise_std", "reset", "reset_value", "low", "high")}
        self.bias, self.noise, self.reset, self.value, self.low, self.high = rows.values()
        self.transmit, self.gain, self.learning = (_rows(groups, name) for name in ("transmit", "gain", "learning"))
        self.threshold = np.array([each.threshold for each in groups])
        self.adaptive = np.array([int(each.adaptive_threshold) for each in groups])
        self.refractory = np.array([each.refractory_ticks for each in groups])
        self.modulator = np.array([each.modulator for each in groups])
        self.x = np.zeros((n, states), np.int64) if core.start is None else np.array(core.start, np.int64)
        self.new, self.arrived = np.zeros_like(self.x), np.zeros_like(self.x)
        self.touched, self.resting, self.latched = (np.zeros(n, np.int64) for _ in range(3))
        self.fired = np.zeros(n, np.int64)
        self.count = 0
        self.last = np.full(core.inputs + n, NEVER, np.int64)
        self._wire(core)
        self.rules: Any = _rules(core.learning)
        self.limits = np.array([-(2**core.weight_bits), 2**core.weight_bits - 1])
        self.updates = np.zeros(1, np.int64)

    def _wire(self, core: NsatCore) -> None:
        pre = np.asarray(core.pre, np.int64)
        order = np.argsort(pre, kind="stable")
        counts = np.bincount(pre, minlength=core.inputs + core.neurons)
        self.first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.post, self.state, self.pointer = (
            np.asarray(each, np.int64)[order] for each in (core.post, core.state, core.pointer)
        )
        self.memory = np.array(core.weights, np.int64)

    def advance(self, tick: int) -> Integers:
        """Integrate and fire; returns the neurons that fire."""
        kernels.integrate(self.x, self.new, self.arrived, self.group, self.A, self.sign, self.bias, self.noise,
                          self.seed, tick)  # fmt: skip
        self.count = kernels.fire(self.new, self.resting, self.fired, self.group, self.threshold, self.adaptive,
                                  self.refractory, self.reset, self.value, self.low, self.high)  # fmt: skip
        return self.fired[: self.count]

    def hear(self, external: Integers, tick: int, timeout: int) -> int:
        """Events reach their synapses, weights change, fired neurons are reset; returns the synapses reached."""
        own = self.fired[: self.count] + self.inputs
        reached = 0
        for units in (own, external):
            reached += kernels.scatter(
                units, units.size, self.first, self.post, self.state, self.pointer, self.memory, self.group,
                self.transmit, self.arrived, self.touched, self.seed, tick,
            )  # fmt: skip
        kernels.gain(self.arrived, self.touched, self.group, self.gain)
        if self.rules:
            self._learn(own, external, tick, timeout)
        kernels.reset_fired(self.new, self.fired, self.count, self.group, self.reset, self.value, self.low, self.high)
        self.last[own] = tick
        self.last[external] = tick
        neurons = self.fired[: self.count]
        self.latched[neurons] = self.new[neurons, self.modulator[self.group[neurons]]]
        self.x[:] = self.new
        return reached

    def _learn(self, own: Integers, external: Integers, tick: int, timeout: int) -> None:
        """Causal halves of units that are due, then acausal halves of those that have an event; inputs first."""
        since = tick - self.last
        due = since == timeout  # the window ends without another presynaptic event
        for units in (external, own):
            due[units] |= since[units] < timeout
        waiting = np.flatnonzero(due)
        for units, causal in ((waiting, True), (np.unique(external), False), (own, False)):
            arguments: Any = (
                units, units.size, causal, self.first, self.post, self.state, self.pointer, self.memory, self.new,
                self.group, self.learning, self.modulator, self.last, self.last[self.inputs :], self.latched,
                *self.rules, self.limits, self.updates, self.seed, tick,
            )  # fmt: skip
            kernels.learn(*arguments)

    def take_updates(self) -> int:
        """Weights changed since the last call."""
        done = int(self.updates[0])
        self.updates[0] = 0
        return done


def _rows(groups: Sequence[NeuronGroup], name: str) -> Integers:
    """One setting of all groups, ``[group, state]``."""
    return np.array([each.row(name) for each in groups], np.int64)


def _rules(learning: Sequence[LearningGroup]) -> tuple[Integers, ...]:
    """The arrays of ``kernels.learn``, by learning group; empty where nothing learns."""
    if not learning:
        return ()

    def both(name: str) -> Integers:
        return np.array([[getattr(rule, f"{half}_{name}") for half in ("causal", "acausal")] for rule in learning])

    return (
        np.array([1 if rule.rule == "stdp" else 2 for rule in learning]),
        np.array([[rule.window_ticks, int(rule.exponential)] for rule in learning]),
        both("edges"), both("heights"), both("signs"), both("slopes"),
        np.array([_gate(rule) for rule in learning]),
        np.array([rule.rounding_bits for rule in learning]),
    )  # fmt: skip


def _gate(rule: LearningGroup) -> list[int]:
    low, high = rule.gate or (-(2**62), 2**62)
    return [low, high, rule.period_ticks, rule.burn_in_ticks]


def _checked(
    routes: Mapping[tuple[int, int], Iterable[tuple[int, int]]], cores: Sequence[NsatCore]
) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Routes with every end known; raises InputError."""
    problems, out = [], {}
    for (core, neuron), ends in routes.items():
        if not 0 <= core < len(cores) or not 0 <= neuron < cores[core].neurons:
            problems.append(f"routes: there is no neuron {neuron} in core {core}")
        out[core, neuron] = list(ends)
        problems += [
            f"routes: core {target} has no input {unit}"
            for target, unit in out[core, neuron]
            if not 0 <= target < len(cores) or not 0 <= unit < cores[target].inputs
        ]
    if problems:
        raise InputError(problems)
    return out


def _columns(pairs: list[tuple[int, int]]) -> tuple[Integers, Integers]:
    table: Any = np.array(pairs, np.int64).reshape(-1, 2)
    return table[:, 0].copy(), table[:, 1].copy()
