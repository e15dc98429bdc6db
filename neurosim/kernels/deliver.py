"""Spikes reach their synapses: the loops of hand-driven networks that move the most memory.

A row is what one neuron's spike reaches: targets ``target[first[i]:first[i + 1]]`` and their weights. Where the targets
of a row follow one another (a dense connection), the row is added as a vector; the order of every sum stays that of
the spikes. Targets and weights are of any type: 16-bit targets halve what must be read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim.kernels.prefetch import AHEAD, LINE_B, RUN, prefetch
from neurosim.kernels.random import draw_bits
from neurosim.kernels.wrap import kernel

Array = npt.NDArray[Any]
Words = npt.NDArray[np.uint32]
Rows = npt.NDArray[np.uint64]

ONE = np.uint64(1)
LINE = np.uint64(LINE_B)
LONGEST = np.uint64(RUN)


@kernel
def ask_ahead(spikes: Words, k: int, high: int, first: Rows, target: Array, weight: Array) -> None:
    """Ask for the memory of the rows that come next."""
    if k + 2 * AHEAD < high:
        prefetch(first, spikes[k + 2 * AHEAD])
    if k + AHEAD < high:
        i = np.uint64(spikes[k + AHEAD])
        s = first[i]
        stop = min(first[i + ONE], s + LONGEST)
        for ask in range(s, stop, LINE // np.uint64(weight.itemsize)):
            prefetch(target, ask)
            prefetch(weight, ask)


@kernel
def is_run(start: np.uint64, stop: np.uint64, target: Array) -> bool:
    """Whether the targets of a row, which ascend and are distinct, follow one another."""
    return bool(stop > start and np.uint64(target[stop - ONE]) - np.uint64(target[start]) == stop - ONE - start)


@kernel
def add_row(start: np.uint64, stop: np.uint64, target: Array, weight: Array, into: Array) -> None:
    """``into[target[s]] += weight[s]``, s from ``start`` to ``stop`` - 1."""
    for s in range(start, stop):
        into[np.uint64(target[s])] += weight[s]


@kernel
def add_runs(spikes: Words, k: int, high: int, first: Rows, target: Array, weight: Array, into: Array) -> int:
    """Add the row of ``spikes[k]``, a run, and with it the three that follow if they are runs onto the same targets.

    One pass over the targets adds the four, in the order of the spikes. Returns how many rows were added.
    """
    i = np.uint64(spikes[k])
    a = first[i]
    size, low = first[i + ONE] - a, np.uint64(target[a])
    run = into[low : low + size]
    row = weight[a : a + size]
    if k + 4 <= high:
        j1, j2, j3 = np.uint64(spikes[k + 1]), np.uint64(spikes[k + 2]), np.uint64(spikes[k + 3])
        b, c, d = first[j1], first[j2], first[j3]
        if (
            first[j1 + ONE] - b == size and first[j2 + ONE] - c == size and first[j3 + ONE] - d == size
            and np.uint64(target[b]) == low and np.uint64(target[c]) == low and np.uint64(target[d]) == low
            and is_run(b, b + size, target) and is_run(c, c + size, target) and is_run(d, d + size, target)
        ):  # fmt: skip
            row_b, row_c, row_d = weight[b : b + size], weight[c : c + size], weight[d : d + size]
            for q in range(run.size):
                run[q] = (((run[q] + row[q]) + row_b[q]) + row_c[q]) + row_d[q]
            return 4
    for q in range(run.size):
        run[q] += row[q]
    return 1


@kernel(cache=True)
def scatter(
    spikes: Words, low: int, high: int, first: Rows, target: Array, weight: Array, ascending: bool, into: Array
) -> None:
    """Add the rows of ``spikes[low:high]`` to ``into``, one after another.

    ``ascending``: the targets of every row ascend and are distinct, so that its ends tell whether it is a run.
    """
    k = low
    while k < high:
        i = np.uint64(spikes[k])
        if ascending and is_run(first[i], first[i + ONE], target):
            k += add_runs(spikes, k, high, first, target, weight, into)
            continue
        ask_ahead(spikes, k, high, first, target, weight)
        add_row(first[i], first[i + ONE], target, weight, into)
        k += 1


@kernel(cache=True)
def scatter_counting(
    spikes: Words, low: int, high: int, first: Rows, target: Array, weight: Array, into: Array, events: Array
) -> None:
    """`scatter`, and how many synapses reached each neuron."""
    for k in range(low, high):
        ask_ahead(spikes, k, high, first, target, weight)
        i = np.uint64(spikes[k])
        for s in range(first[i], first[i + ONE]):
            j = np.uint64(target[s])
            into[j] += weight[s]
            events[j] += 1


@kernel(cache=True)
def scatter_some(
    spikes: Words, low: int, high: int, first: Rows, target: Array, weight: Array, into: Array, events: Array,
    number: Words, bound: np.uint64, key: int,
) -> None:  # fmt: skip
    """`scatter` over synapses that drop what comes: each transmits where its own 32 random bits are below ``bound``.

    ``number[s]``: the synapse's number, as it was connected; ``events``: counted where it is not empty.
    """
    for k in range(low, high):
        i = np.uint64(spikes[k])
        for s in range(first[i], first[i + ONE]):
            if np.uint64(draw_bits(key, number[s])) < bound:
                j = np.uint64(target[s])
                into[j] += weight[s]
                if events.size > 0:
                    events[j] += 1


@kernel(cache=True)
def drive(
    low: np.uint64, high: np.uint64, key: int, above: Words, weight: Array, into: Array, words: Words, numbers: Array
) -> int:
    """Poisson events onto the neurons ``low`` to ``high`` - 1, and how many came.

    A neuron gets n events, the number of bounds in ``above`` that its 32 random bits reach, of ``weight[0]`` each.
    ``words``, ``numbers``: room for as many neurons.
    """
    size = np.int64(high - low)
    for k in range(size):
        words[k] = draw_bits(key, low + np.uint64(k))
        numbers[k] = 0
    for m in range(above.size):
        bound = above[m]
        for k in range(size):
            numbers[k] += words[k] >= bound
    total = 0
    each = weight[0]
    run = into[low:high]
    for k in range(size):
        came = run[k] + each * numbers[k]
        run[k] = came if numbers[k] > 0 else run[k]  # what got nothing keeps its sign of zero (network_kernel)
        total += numbers[k]
    return total


@kernel(cache=True)
def remember(
    past: Words, past_first: npt.NDArray[np.int64], spikes: Words, tick_first: npt.NDArray[np.int64], ticks: int
) -> None:
    """Keep the spikes of the last D ticks, D = ``past_first.size`` - 1, once ``ticks`` more have been taken.

    Spikes of the k-th of them are ``past[past_first[k]:past_first[k + 1]]``, the last tick's at k = D - 1.
    """
    delays = past_first.size - 1
    kept = max(delays - ticks, 0)
    low = past_first[delays - kept]
    count = past_first[delays] - low
    for k in range(count):
        past[k] = past[low + k]
    for k in range(kept + 1):
        past_first[k] = past_first[delays - kept + k] - low
    fresh = min(ticks, delays)
    begin = tick_first[ticks - fresh]
    for k in range(tick_first[ticks] - begin):
        past[count + k] = spikes[begin + k]
    for k in range(fresh):
        past_first[kept + k + 1] = count + tick_first[ticks - fresh + k + 1] - begin
