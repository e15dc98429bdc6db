"""Loops over who fired: spikes of the neurons in one range of numbers, tick by tick, as small numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim.kernels.wrap import kernel

Integers = npt.NDArray[np.int64]


@kernel(cache=True)
def _place(spikes: npt.NDArray[Any], low: int, high: int, number: int) -> int:
    """Of ``spikes[low:high]``, ascending, the first that is not below ``number``."""
    while low < high:
        middle = (low + high) // 2
        if np.int64(spikes[middle]) < number:
            low = middle + 1
        else:
            high = middle
    return low


@kernel(cache=True)
def runs(
    spikes: npt.NDArray[Any], first: Integers, low: int, high: int, begin: Integers, counts: npt.NDArray[np.int32]
) -> int:
    """Where the spikes of neurons ``low`` to ``high`` (not included) stand among ``spikes[first[t]:first[t + 1]]``.

    Spikes of a tick are in the order of their neurons. ``begin[t]``: the first of them in tick t; ``counts[t]``: how
    many. Returns how many there are in all ticks.
    """
    total = 0
    for t in range(counts.shape[0]):
        begin[t] = _place(spikes, first[t], first[t + 1], low)
        counts[t] = _place(spikes, begin[t], first[t + 1], high) - begin[t]
        total += counts[t]
    return total


@kernel(cache=True)
def pick(
    spikes: npt.NDArray[Any], begin: Integers, counts: npt.NDArray[np.int32], low: int, neuron: npt.NDArray[Any]
) -> None:
    """Copies ``counts[t]`` spikes from ``begin[t]`` on, for each tick, as numbers from ``low`` on."""
    to, less = 0, np.uint32(low)
    for t in range(counts.shape[0]):
        n = int(counts[t])
        kept, put = spikes[begin[t] : begin[t] + n], neuron[to : to + n]  # slices, so that the loop is one of vectors
        for k in range(n):
            put[k] = np.uint32(kept[k]) - less
        to += n
