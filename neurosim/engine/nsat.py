"""NSAT cores at work: the integer tick, event routing between cores, learning at presynaptic events.

A spike reaches its own core's synapses, and over routes the inputs of other cores, in the tick in which it is fired;
what it does to states is seen one tick later, wherever it went. Cores among which nothing is sent back take all their
ticks in one call of a kernel, one core after the other; cores that send to each other take every tick together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from neurosim.chip.nsat import NsatCore
from neurosim.engine.nsat_arrays import Synapses, build
from neurosim.errors import InputError
from neurosim.kernels import nsat as kernels
from neurosim.kernels.random import sub_key
from neurosim.models.neurons.nsat import WINDOW

Integers = npt.NDArray[np.int64]
Event = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class NsatOutput:
    """What happened in one run."""

    spikes: tuple[tuple[Integers, Integers], ...]
    """For each core, (tick, neuron) in order."""
    states: tuple[Integers | None, ...]
    """For each recorded core ``[tick, neuron, state]``, from the first tick of the run on."""
    counts: dict[str, int]
    """Of all cores: neuron_visited, neuron_updated, neuron_fired, synaptic_event, synapse_updated, message."""
    weights: tuple[Integers | None, ...] = ()
    """For each core ``[row, place in its memory]``, where asked for."""
    weight_ticks: Integers = field(default_factory=lambda: np.zeros(0, np.int64))
    """The tick of each row of weights."""


class NsatSimulation:
    """NSAT cores, driven tick by tick.

    ``routes``: for ``(core, neuron)`` the inputs ``(core, input)`` that its spikes are sent to. ``seed``: of noise,
    blank-out and stochastic rounding. ``causal_timeout_ticks``: ticks after which the causal half of a pair is written
    at the latest, one number for all rules as in the original simulator; by default each rule's window. Raises
    InputError listing all that is wrong.
    """

    def __init__(
        self,
        cores: Sequence[NsatCore],
        routes: Mapping[tuple[int, int], Iterable[tuple[int, int]]] | None = None,
        seed: int = 0,
        causal_timeout_ticks: int | None = None,
    ) -> None:
        self._routes = _checked(routes or {}, cores, seed, causal_timeout_ticks)
        self._cores = [
            _arrays(core, int(sub_key(seed, number)), causal_timeout_ticks) for number, core in enumerate(cores)
        ]
        self._order = _order(self._routes, len(cores))
        self.tick = 0

    def run(
        self, ticks: int, events: Iterable[Event] | npt.ArrayLike = (), record: Iterable[int] = (),
        weights_every: int = 0,
    ) -> NsatOutput:  # fmt: skip
        """Take ``ticks`` ticks. ``events``: (tick, core, input), ticks counted from the start of the simulation.

        ``record``: cores whose states are kept. ``weights_every``: keep all weights in ticks that it divides. Raises
        InputError for events to inputs that are not there, or in the past.
        """
        record = list(record)
        self._check(ticks, record, weights_every)
        due = self._due(events)
        parts = [_Part(core, ticks, self.tick, number in set(record), weights_every)
                 for number, core in enumerate(self._cores)]  # fmt: skip
        messages = 0
        if self._order is None:
            messages = self._together(ticks, due, parts)
        else:
            for number in self._order:
                parts[number].run(due[number])
                for target, more in self._sent(number, parts[number].found()).items():
                    due[target] = np.concatenate([due[target], more])
                    messages += len(more)
        self.tick += ticks
        fired, reached, changed = (sum(int(part.counts[n]) for part in parts) for n in range(3))
        visits = ticks * sum(core.x.shape[0] for core in self._cores)
        return NsatOutput(
            spikes=tuple(_columns(part.found()) for part in parts),
            states=tuple(part.all_states() for part in parts),
            counts={
                "neuron_visited": visits, "neuron_updated": visits, "neuron_fired": fired,
                "synaptic_event": reached, "synapse_updated": changed, "message": messages,
            },
            weights=tuple(part.weights if weights_every else None for part in parts),
            weight_ticks=parts[0].rows() if parts else np.zeros(0, np.int64),
        )  # fmt: skip

    def _together(self, ticks: int, due: list[Integers], parts: list[_Part]) -> int:
        """Cores that send to each other take every tick together; returns the messages between them."""
        messages = 0
        events = [_by_tick(each, self.tick, ticks) for each in due]
        for n in range(ticks):
            tick = self.tick + 1 + n
            heard: list[list[int]] = [list(units[first[n] : first[n + 1]]) for first, units in events]
            for number, part in enumerate(parts):
                for neuron in part.advance(tick):
                    for target, unit in self._routes.get((number, neuron), ()):
                        heard[target].append(unit)
                        messages += 1
            for part, inputs in zip(parts, heard, strict=True):
                part.finish(np.array(sorted(inputs), np.int64), tick, n)
        return messages

    def _sent(self, number: int, spikes: Integers) -> dict[int, Integers]:
        """What a core's spikes send to others: by target, (tick, input)."""
        out: dict[int, list[Integers]] = {}
        for (core, neuron), ends in self._routes.items():
            if core != number or not ends:
                continue
            when = spikes[spikes[:, 1] == neuron, 0]
            for target, unit in ends:
                out.setdefault(target, []).append(np.stack([when, np.full_like(when, unit)], axis=1))
        return {target: np.concatenate(rows) for target, rows in out.items()}

    def _check(self, ticks: int, record: list[int], weights_every: int) -> None:
        """Raise InputError for what ``run`` cannot do."""
        problems = [
            f"{name} = {value!r}: must be a whole number of at least 0"
            for name, value in (("ticks", ticks), ("weights_every", weights_every))
            if not _whole(value, 0)
        ]
        problems += [
            f"record: there is no core {core!r}, there are cores 0 to {len(self._cores) - 1}"
            for core in record
            if not _whole(core, 0, len(self._cores) - 1)
        ]
        if problems:
            raise InputError(problems, "run")

    def _due(self, events: Iterable[Event] | npt.ArrayLike) -> list[Integers]:
        """By core, (tick, input) of all events."""
        given = np.array(events if isinstance(events, np.ndarray) else list(events))  # type: ignore[arg-type]
        if given.size and (given.dtype.kind not in "iu" or given.ndim != 2 or given.shape[1] != 3):
            raise InputError("events: must be whole numbers (tick, core, input)")
        table = given.reshape(-1, 3).astype(np.int64)
        inputs = np.array([core.unit.shape[0] - core.x.shape[0] for core in self._cores])
        known = (table[:, 1] >= 0) & (table[:, 1] < len(inputs))
        known[known] &= (table[known, 2] >= 0) & (table[known, 2] < inputs[table[known, 1]])
        problems = [f"event at tick {tick}: core {core} has no input {unit}" for tick, core, unit in table[~known]]
        problems += [
            f"event at tick {tick}: the simulation stands at tick {self.tick} already"
            for tick in table[known & (table[:, 0] <= self.tick), 0]
        ]
        if problems:
            raise InputError(problems, "events")
        return [table[table[:, 1] == number][:, [0, 2]] for number in range(len(inputs))]

    def state(self, core: int) -> Integers:
        """A copy of all states of a core, ``[neuron, state]``."""
        return self._cores[core].x.copy()

    def weights(self, core: int) -> Integers:
        """A copy of a core's weight memory."""
        return self._cores[core].memory.copy()

    def traces(self, core: int) -> Integers:
        """A copy of the eligibility of a core's synapses, in the order of their units."""
        return self._cores[core].synapse[:, kernels.TRACE].astype(np.int64)

    def set_weights(self, core: int, weights: npt.ArrayLike) -> None:
        """Write a core's whole weight memory; raises InputError where its shape differs or a weight is out of range."""
        arrays = self._cores[core]
        new = np.asarray(weights, np.int64)
        low, high = arrays.fixed[:2]
        if new.shape != arrays.memory.shape:
            raise InputError(f"weights: have the shape {new.shape}, needed is {arrays.memory.shape}")
        if new.size and not low <= new.min() <= new.max() <= high:
            raise InputError(f"weights: lie in {new.min()} to {new.max()}, allowed is {low} to {high}")
        arrays.memory[:] = new


class _Part:
    """What one core does in one call of ``run``, and what is kept of it."""

    def __init__(self, core: kernels.Core, ticks: int, start: int, record: bool, every: int) -> None:
        self.core, self.ticks, self.start, self.every = core, ticks, start, every
        self.counts = np.zeros(3, np.int64)
        self.first_state = core.x.copy()
        self.states = np.zeros((ticks if record else 0, *core.x.shape), np.int64)
        self.weights = np.zeros((self.rows().size, core.memory.size), np.int64)
        self.spikes: list[Integers] = []
        self.records = record

    def rows(self) -> Integers:
        """Ticks in which weights are kept."""
        after = np.arange(self.start + 1, self.start + self.ticks + 1)
        return after[after % self.every == 0] if self.every else after[:0]

    def found(self) -> Integers:
        """All spikes, ``[n, (tick, neuron)]``."""
        return np.concatenate(self.spikes) if self.spikes else np.zeros((0, 2), np.int64)

    def all_states(self) -> Integers | None:
        """States from the first tick on, before it included."""
        return np.concatenate([self.first_state[None], self.states]) if self.records else None

    def run(self, events: Integers) -> None:
        """All ticks, in stretches whose spikes fit a buffer."""
        first, units = _by_tick(events, self.start, self.ticks)
        most = max(_SPIKES // max(self.core.x.shape[0], 1), 1)
        buffer = np.zeros(min(most, self.ticks) * self.core.x.shape[0], np.uint32)
        tick_first, nothing = np.zeros(min(most, self.ticks) + 1, np.int64), np.zeros((0, 1), np.int32)
        row = 0
        for at in range(0, self.ticks, most):
            length, start = min(most, self.ticks - at), self.start + 1 + at
            rows = int(((start + np.arange(length)) % self.every == 0).sum()) if self.every else 0
            kernels.run(
                self.core, start, length, first[at : at + length + 1], units, False, buffer, tick_first,
                self.counts, nothing, self.states[at : at + length], self.weights[row : row + rows],
                max(self.every, 1),
            )  # fmt: skip
            row += rows
            tick = np.repeat(np.arange(start, start + length), np.diff(tick_first[: length + 1]))
            self.spikes.append(np.stack([tick, buffer[: tick.size].astype(np.int64)], axis=1))

    def advance(self, tick: int) -> list[int]:
        """The first half of one tick; returns the neurons that fire."""
        self.fired = kernels.advance(self.core, tick)
        neurons = self.core.fired[: self.fired].copy()
        self.spikes.append(np.stack([np.full_like(neurons, tick), neurons], axis=1))
        return [int(neuron) for neuron in neurons]

    def finish(self, units: Integers, tick: int, n: int) -> None:
        """The second half."""
        kernels.finish(self.core, units, self.fired, tick, self.counts)
        if self.records:
            self.states[n] = self.core.x
        if self.every and tick % self.every == 0:
            self.weights[np.searchsorted(self.rows(), tick)] = self.core.memory


_SPIKES = 1 << 18
"""Spikes that one call of a kernel may hand back."""


def _by_tick(events: Integers, start: int, ticks: int) -> tuple[Integers, Integers]:
    """(where each tick's inputs start, the inputs) of events ``[n, (tick, input)]``, inputs ascending within a tick."""
    within = events[events[:, 0] <= start + ticks]
    within = within[np.lexsort((within[:, 1], within[:, 0]))]
    first = np.searchsorted(within[:, 0], np.arange(start + 1, start + ticks + 2))
    return first.astype(np.int64), np.ascontiguousarray(within[:, 1])


def _order(routes: Mapping[tuple[int, int], list[tuple[int, int]]], cores: int) -> list[int] | None:
    """An order of cores in which nothing is sent back, so that each can take all ticks at once; None: there is none."""
    behind = {(source, target) for (source, _), ends in routes.items() for target, _ in ends}
    order: list[int] = []
    left = set(range(cores))
    while left:
        ready = sorted(core for core in left if not any(t == core and s in left for s, t in behind))
        if not ready:
            return None
        order += ready
        left -= set(ready)
    return order


def _arrays(core: NsatCore, seed: int, timer: int | None) -> kernels.Core:
    """The arrays of the kernels."""
    n, pre = core.neurons, np.asarray(core.pre, np.int64)
    order = np.argsort(pre, kind="stable")
    post, state, pointer = (np.asarray(each, np.int64)[order] for each in (core.post, core.state, core.pointer))
    first = np.concatenate([[0], np.cumsum(np.bincount(pre, minlength=core.inputs + n))])
    low, high = -(2**core.weight_bits), 2**core.weight_bits - 1
    synapses = Synapses(first, post, state, pointer, np.asarray(core.weights, np.int64), low, high)
    group = np.asarray(core.group, np.int64)
    begin = np.array([each.row("start") for each in core.groups], np.int64)[group]
    start = begin if core.start is None else np.asarray(core.start, np.int64)
    return build(core.groups, core.learning, group, start, synapses, core.inputs, seed, timer=timer)


def _whole(value: object, low: int, high: int = 2**62) -> bool:
    """Whether it is a whole number from ``low`` to ``high``."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and low <= int(value) <= high


def _checked(
    routes: Mapping[tuple[int, int], Iterable[tuple[int, int]]],
    cores: Sequence[NsatCore],
    seed: int,
    timeout: int | None,
) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Routes with every end known; raises InputError, for other arguments as well."""
    problems, out = [], {}
    if not cores:
        problems.append("cores: there must be at least one")
    if not _whole(seed, 0, 2**63 - 1):
        problems.append(f"seed = {seed!r}: must be a whole number from 0 to 2^63 - 1")
    if timeout is not None and not _whole(timeout, 1, WINDOW):
        problems.append(f"causal_timeout_ticks = {timeout!r}: must be a whole number from 1 to {WINDOW}")
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


def _columns(table: Integers) -> tuple[Integers, Integers]:
    return table[:, 0].copy(), table[:, 1].copy()
