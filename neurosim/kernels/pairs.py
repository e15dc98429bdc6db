"""Conductance of reads where a weight is two cells that only step up: every row of an array conducts what its cells do.

``rows``: the conductance of all cells of each row, the bias row last, in units of g_max / 2^16.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim.kernels.wrap import kernel

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]


@kernel
def conducted(voltage: float, row: int) -> int:
    """``v^2 g`` of one row, in whole units; relative voltages are clipped to 1."""
    v = min(abs(float(voltage)), 1.0)
    return int(v * v * row + 0.5)


@kernel
def conductance_rows(x: Floats, rows: Integers) -> int:
    """Conductance read by inputs ``x`` in all columns together, the bias row at full voltage."""
    total: int = int(rows[x.shape[0]])
    for i in range(x.shape[0]):
        total += conducted(x[i], rows[i])
    return total


@kernel
def conductance_row_windows(x: Floats, size: int, rows: Integers) -> int:
    """`conductance_rows` over all positions of a convolution with ``size`` x ``size`` windows."""
    height, width, channels = x.shape
    total: int = int(rows[size * size * channels]) * (height - size + 1) * (width - size + 1)
    for i in range(height - size + 1):
        for j in range(width - size + 1):
            for di in range(size):
                for dj in range(size):
                    for c in range(channels):
                        if x[i + di, j + dj, c] != 0.0:
                            total += conducted(x[i + di, j + dj, c], rows[(di * size + dj) * channels + c])
    return total


@kernel
def conductance_fired(fired: Integers, count: int, rows: Integers) -> int:
    """Conductance read by spikes."""
    total = 0
    for k in range(count):
        total += int(rows[fired[k]])
    return total


@kernel
def conductance_fired_windows(
    fired: Integers, count: int, height: int, width: int, channels: int, size: int, rows: Integers
) -> int:
    """`conductance_fired` of a convolution: a spike drives a row of every window that holds it."""
    total = 0
    for k in range(count):
        place, c = fired[k] // channels, fired[k] % channels
        i, j = place // width, place % width
        for di in range(max(0, i - (height - size)), min(size - 1, i) + 1):
            for dj in range(max(0, j - (width - size)), min(size - 1, j) + 1):
                total += int(rows[(di * size + dj) * channels + c])
    return total
