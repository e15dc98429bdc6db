"""Spikes of one population as they are kept and written: how many in each tick, and who, in as few bytes as it takes.

A spike is one, two or four bytes, and a tick four, where a list of (tick, neuron) is sixteen a spike. That keeps
recording cheap beside a network that takes 100 ns for a spike and all its synapses (docs/benchmarks.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from neurosim.chip.population import Integers
from neurosim.kernels import fired as loops


class Span(NamedTuple):
    """A population by the numbers of its neurons."""

    name: str
    low: int
    high: int
    """Not included."""


@dataclass(frozen=True, eq=False)
class Fired:
    """Who fired in some ticks."""

    first_tick: int
    counts: npt.NDArray[np.int32]
    """``[tick]``: spikes in each tick."""
    neuron: npt.NDArray[Any]
    """Numbers in the population, tick after tick; unsigned, as small as the population allows."""

    def listed(self) -> tuple[Integers, Integers]:
        """(tick, neuron) of every spike."""
        ticks = np.arange(self.first_tick, self.first_tick + self.counts.size)
        return np.repeat(ticks, self.counts), self.neuron.astype(np.int64)

    @classmethod
    def join(cls, parts: Sequence[Fired], first_tick: int, neurons: int) -> Fired:
        """Parts that follow one another; ``first_tick`` and ``neurons`` for the case that there are none."""
        if not parts:
            return cls(first_tick, np.zeros(0, np.int32), np.zeros(0, small(neurons)))
        if len(parts) == 1:
            return parts[0]
        counts, neuron = ([getattr(part, name) for part in parts] for name in ("counts", "neuron"))
        return cls(parts[0].first_tick, np.concatenate(counts), np.concatenate(neuron))


def small(neurons: int) -> npt.DTypeLike:
    """The smallest unsigned integer for so many neurons."""
    return np.min_scalar_type(max(0, neurons - 1))


def pick(spikes: npt.NDArray[Any], first: Integers, first_tick: int, span: Span, neurons: int) -> Fired:
    """The spikes of one population, from those of all ``neurons``: ``spikes[first[t]:first[t + 1]]`` in tick t."""
    if span.low == 0 and span.high == neurons:
        return Fired(first_tick, np.diff(first).astype(np.int32), spikes[: int(first[-1])].astype(small(neurons)))
    begin, counts = np.empty(first.size - 1, np.int64), np.empty(first.size - 1, np.int32)
    neuron = np.empty(loops.runs(spikes, first, span.low, span.high, begin, counts), small(span.high - span.low))
    loops.pick(spikes, begin, counts, span.low, neuron)
    return Fired(first_tick, counts, neuron)
