"""Small loops at the edges of an array: rows that are driven with noise, columns that are read slice by slice."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim.kernels.random import normal
from neurosim.kernels.reads import quantised
from neurosim.kernels.wrap import kernel

Floats = npt.NDArray[np.floating[Any]]


@kernel
def drive_rows(x: Floats, driven: Floats, std: float, key: np.uint64) -> None:
    """``driven_i = x_i + std xi_i``; a row that is not driven (x_i = 0) has no noise."""
    for i in range(x.shape[0]):
        driven[i] = x[i] + std * normal(key, i) if x[i] != 0.0 else 0.0


@kernel
def drive_bias(theta: Floats, first: int, stride: int, columns: int, noise: float, z: Floats) -> None:
    """``z_j += noise b_j``: noise of the bias row; biases from ``first``, those of the next position ``stride`` on."""
    for j in range(z.shape[0]):
        z[j] += noise * theta[first + (j // columns) * stride + j % columns]


@kernel
def take_out(z: Floats, y: Floats, share: float) -> None:
    """``z_j -= share y_j``: a slice that is read on its own."""
    for j in range(z.shape[0]):
        z[j] -= share * y[j]


@kernel
def put_in(total: Floats, y: Floats, share: float, bits: int, limit: float) -> None:
    """``total_j += share Q(y_j)``: a slice behind its converter."""
    for j in range(y.shape[0]):
        total[j] += share * quantised(y[j], bits, limit)


@kernel
def first_slice(z: Floats, total: Floats, share: float, bits: int, limit: float) -> None:
    """``z_j = share Q(z_j / share) + total_j``: what is left in z is the most significant slice's."""
    for j in range(z.shape[0]):
        z[j] = share * quantised(z[j] / share, bits, limit) + total[j]
