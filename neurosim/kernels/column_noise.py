"""Noise of a device's own reads, one normal for each column: the exact sum of independent normals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim.kernels.random import normal
from neurosim.kernels.wrap import kernel

Floats = npt.NDArray[np.floating[Any]]


@kernel
def square(x: Floats, out: Floats) -> None:
    """``out = x^2``: with variances in place of weights, a forward of it sums the variances of a column's reads."""
    for i in range(x.shape[0]):
        out[i] = x[i] * x[i]


@kernel
def add_column_noise(z: Floats, variance: Floats, common: float, key: np.uint64, first: int) -> None:
    """``z_j += sqrt(variance_j + common) xi_j``; ``common``: the variance that all columns share."""
    for j in range(z.shape[0]):
        z[j] += math.sqrt(variance[j] + common) * normal(key, first + j)
