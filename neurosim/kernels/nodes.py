"""Inner loops of probes in node space: directions, orthogonal random signs, and the astrocyte's delta memory.

A probe in node space is a vector ``u`` over all nodes with ``|u| = 1``. Node j of layer l gets the injected current
``norm_mag sigma_j u_j`` with ``sigma_j = S_l^(1/2) v_l``; to first order this is the weight perturbation
``theta~_ij = norm_mag (v_l / S_l^(1/2)) a_i u_j`` (bias: a = 1), whose norm is ``norm_mag v_l |u|``, since the squared
length of (1, a) is ``S_l = 1 + |a|^2``. ``v_l`` is 1 for hidden layers and ``output_scale`` for the last.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim.kernels.random import draw_bits, normal, uniform
from neurosim.kernels.wrap import kernel

Floats = npt.NDArray[np.floating[Any]]


@kernel
def predicted(y: Floats) -> int:
    """Class of an output vector: the largest output, or for a single output whether it is above 1/2."""
    if y.shape[0] == 1:
        return 1 if y[0] > 0.5 else 0
    best = 0
    for j in range(1, y.shape[0]):
        if y[j] > y[best]:
            best = j
    return best


@kernel
def prior(sigma: Floats, memory: Floats, share: float, sign_only: bool, h: Floats) -> float:
    """The remembered gradient in probe coordinates, ``h_j = share sigma_j M_j``; returns its length.

    ``sign_only`` keeps the signs of M and spreads the length evenly over the nodes that M knows.
    """
    n = sigma.shape[0]
    squares = 0.0
    known = 0
    for j in range(n):
        h[j] = share * sigma[j] * memory[j]
        squares += h[j] * h[j]
        known += h[j] != 0.0
    if sign_only and known > 0:
        level = math.sqrt(squares / known)
        for j in range(n):
            if h[j] != 0.0:
                h[j] = math.copysign(level, h[j])
    return math.sqrt(squares)


@kernel
def random_direction(sigma: Floats, key: np.uint64, u: Floats) -> None:
    """Random signs on every node that can be perturbed (sigma > 0), scaled to length 1."""
    count = 0
    for j in range(sigma.shape[0]):
        u[j] = 0.0
        if sigma[j] > 0.0:
            u[j] = 1.0 if draw_bits(key, j) & np.uint32(1) else -1.0
            count += 1
    if count > 0:
        scale = 1.0 / math.sqrt(count)
        for j in range(sigma.shape[0]):
            u[j] *= scale


@kernel
def orthogonalise(u: Floats, h: Floats, length: float) -> None:
    """Take the part along ``h`` out of ``u`` and scale what is left to length 1."""
    if length <= 0.0:
        return
    along = 0.0
    for j in range(u.shape[0]):
        along += u[j] * h[j]
    along /= length * length
    squares = 0.0
    for j in range(u.shape[0]):
        u[j] -= along * h[j]
        squares += u[j] * u[j]
    scale = 1.0 / math.sqrt(squares) if squares > 1e-10 else 0.0  # what is left of one or two nodes is rounding
    for j in range(u.shape[0]):
        u[j] *= scale


@kernel
def remember(
    memory: Floats, change: Floats, bits: int, limit: float, noise: float,
    key: np.uint64, sigma: Floats,
) -> int:  # fmt: skip
    """Write ``M_j += change_j`` on perturbed nodes, with the memory's noise and precision; returns the writes.

    ``bits`` > 0: levels ``2 limit/(2^bits - 1)`` apart, rounded stochastically, clipped to ``+-limit``; ``noise``: a
    normal of that size relative to the change is added.
    """
    writes = 0
    lsb = 2.0 * limit / (2.0**bits - 1.0) if bits > 0 else 0.0
    for j in range(memory.shape[0]):
        if sigma[j] <= 0.0:
            continue
        value = memory[j] + change[j]
        if noise > 0.0:
            value += noise * change[j] * normal(key, j)
        if bits > 0:
            value = lsb * math.floor(value / lsb + uniform(key, memory.shape[0] + j))
            value = min(max(value, -limit), limit)
        memory[j] = value
        writes += 1
    return writes
