"""Small loops around a read: noise, converters, injections, and the counts that energy is priced by."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim.kernels.random import normal
from neurosim.kernels.wrap import kernel

Floats = npt.NDArray[np.floating[Any]]


@kernel
def copy(source: npt.NDArray[Any], target: npt.NDArray[Any]) -> None:
    """``target = source`` (a slice assignment makes numba compile its error message too: four seconds)."""
    for k in range(target.shape[0]):
        target[k] = source[k]


@kernel
def add_noise(z: Floats, std: float, key: np.uint64, first: int) -> None:
    """``z_j += std xi_j``, one normal per column: the exact sum of independent cell noises; elements from ``first``."""
    for j in range(z.shape[0]):
        z[j] += std * normal(key, first + j)


@kernel
def inject(z: Floats, injection: Floats) -> None:
    """``z_j += injection_j``: the current of each neuron's injector."""
    for j in range(z.shape[0]):
        z[j] += injection[j]


@kernel
def quantised(value: float, bits: int, limit: float) -> float:
    """Rounded to ``2^bits - 1`` levels from -limit to limit, zero among them; bits 0 leaves it, and NaN stays NaN."""
    if bits == 0 or math.isnan(value):
        return value
    lsb = limit / max(2.0 ** (bits - 1) - 1.0, 1.0)
    return lsb * math.floor(min(max(value, -limit), limit) / lsb + 0.5)


@kernel
def quantise(z: Floats, bits: int, limit: float) -> None:
    """Round to ``2^bits - 1`` levels from -limit to limit, zero among them, and clip; NaN stays NaN."""
    for j in range(z.shape[0]):
        z[j] = quantised(z[j], bits, limit)


@kernel
def count_active(x: Floats) -> int:
    """Inputs that are not silent."""
    count = 0
    for i in range(x.shape[0]):
        if x[i] != 0.0:
            count += 1
    return count


@kernel
def sum_squares(x: Floats) -> float:
    """``sum_i x_i^2`` in float64."""
    total = 0.0
    for i in range(x.shape[0]):
        total += float(x[i]) * float(x[i])
    return total


@kernel
def conductance(x: Floats, pair: float) -> int:
    """Conductance read per column, in g_max/2^16: ``sum_i rint(x_i^2 (g+ + g-)/g_max 2^16)``, plus the bias row.

    ``pair`` is (g+ + g-)/g_max of a balanced differential pair, the same for every weight; relative input voltages
    are clipped to 1.
    """
    unit = pair * 65536.0
    total = int(unit + 0.5)
    for i in range(x.shape[0]):
        v = min(abs(float(x[i])), 1.0)
        total += int(v * v * unit + 0.5)
    return total


@kernel
def windows(position: int, size: int, outputs: int) -> int:
    """How many windows of ``size`` along one axis hold an input at ``position``."""
    return int(min(position, outputs - 1) - max(0, position - size + 1) + 1)


@kernel
def spike_windows(
    fired: npt.NDArray[np.int64], count: int, rows: int, columns: int, channels: int, size: int
) -> int:
    """Rows driven by spikes at the inputs of a convolution: each spike once per window that holds it."""
    total = 0
    for k in range(count):
        place = fired[k] // channels
        total += windows(place // columns, size, rows - size + 1) * windows(place % columns, size, columns - size + 1)
    return total


@kernel
def count_active_windows(x: Floats, size: int) -> int:
    """Rows driven over all positions of a convolution: every active input once per window that holds it."""
    rows, columns, channels = x.shape
    total = 0
    for i in range(rows):
        for j in range(columns):
            times = windows(i, size, rows - size + 1) * windows(j, size, columns - size + 1)
            for c in range(channels):
                if x[i, j, c] != 0.0:
                    total += times
    return total


@kernel
def conductance_windows(x: Floats, size: int, pair: float) -> int:
    """`conductance` over all positions of a convolution, the bias row read at each."""
    rows, columns, channels = x.shape
    unit = pair * 65536.0
    total: int = int(unit + 0.5) * (rows - size + 1) * (columns - size + 1)
    for i in range(rows):
        for j in range(columns):
            times = windows(i, size, rows - size + 1) * windows(j, size, columns - size + 1)
            for c in range(channels):
                v = min(abs(float(x[i, j, c])), 1.0)
                total += int(v * v * unit + 0.5) * times
    return total
