"""Loops over model equations: perturbed currents, and codes added to weights.

The composer copies their source into each run's kernel, where ``tilde`` and ``assumed`` are the run's own (see
``slots``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim.kernels.slots import assumed, tilde
from neurosim.kernels.wrap import kernel

Floats = npt.NDArray[np.floating[Any]]
Words = npt.NDArray[np.uint32]


@kernel
def dense_shift(x: Floats, d: Floats, words: Words, mismatch: Floats, offset: int, n_out: int, n: int) -> None:
    """``d_j = b~_j + sum_i x_i w~_ij``: what a weight perturbation adds to the pre-activations.

    ``words[offset:]`` belongs to the layer: weights row by row, then biases.
    """
    n_in = x.shape[0]
    first = offset + n_in * n_out
    for j in range(n_out):
        d[j] = tilde(words, mismatch, first + j, n)
    for i in range(n_in):
        xi = x[i]
        if xi != 0.0:
            start = offset + i * n_out
            for j in range(n_out):
                d[j] += xi * tilde(words, mismatch, start + j, n)


@kernel
def dense_pair_first(
    w: Floats, b: Floats, x: Floats, z: Floats, d: Floats,
    words: Words, mismatch: Floats, offset: int, n: int,
) -> None:  # fmt: skip
    """`dense` and `dense_shift` of one input in one pass over the weights, with the same bits as the two."""
    n_in, n_out = x.shape[0], z.shape[0]
    first = offset + n_in * n_out
    for j in range(n_out):
        z[j] = b[j]
        d[j] = tilde(words, mismatch, first + j, n)
    for i in range(n_in):
        xi = x[i]
        if xi != 0.0:
            row = i * n_out
            start = offset + row
            for j in range(n_out):
                z[j] += xi * w[row + j]
                d[j] += xi * tilde(words, mismatch, start + j, n)


@kernel
def scatter_shift(
    fired: npt.NDArray[np.int64], count: int, current: Floats,
    words: Words, mismatch: Floats, offset: int, n: int,
) -> None:  # fmt: skip
    """`scatter` of the weight perturbation alone."""
    n_out = current.shape[0]
    for k in range(count):
        start = offset + fired[k] * n_out
        for j in range(n_out):
            current[j] += tilde(words, mismatch, start + j, n)


@kernel
def add_code(theta: Floats, factor: float, words: Words, n: int) -> None:
    """``theta_e += factor theta~_e``: exact devices, or a vector of integrators."""
    scale = theta.dtype.type(factor)
    for e in range(theta.shape[0]):
        theta[e] += scale * assumed(words, e, n)


@kernel
def low_pass_code(
    integral: Floats, theta: Floats, factor: float, rate: float, tau: float, words: Words, n: int
) -> None:
    """Analog integrators: ``G = (g + tau G)/(tau + 1)`` with ``g = factor theta~``, then ``theta -= rate G``."""
    keep = theta.dtype.type(tau / (tau + 1.0))
    take = theta.dtype.type(factor / (tau + 1.0))
    speed = theta.dtype.type(rate)
    for e in range(theta.shape[0]):
        integral[e] = take * assumed(words, e, n) + keep * integral[e]
        theta[e] -= speed * integral[e]
