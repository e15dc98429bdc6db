"""Inner loops of learning: optimisers, rank-1 updates, and rounding to pulses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim.kernels.random import uniform
from neurosim.kernels.wrap import kernel

Floats = npt.NDArray[np.floating[Any]]

STOCHASTIC, CARRY, NEAREST, THRESHOLD = 0, 1, 2, 3
ROUNDINGS = {"stochastic": STOCHASTIC, "carry": CARRY, "nearest": NEAREST, "threshold": THRESHOLD}


@kernel
def rank1_add(w: Floats, b: Floats, x: Floats, r: Floats) -> None:
    """``w_ij += x_i r_j`` and ``b_j += r_j``; silent inputs write nothing."""
    n_out = r.shape[0]
    for i in range(x.shape[0]):
        xi = x[i]
        if xi != 0.0:
            start = i * n_out
            for j in range(n_out):
                w[start + j] += xi * r[j]
    for j in range(n_out):
        b[j] += r[j]


@kernel
def rank1_add_free(
    w: Floats, b: Floats, x: Floats, r: Floats, free_w: npt.NDArray[np.int64], free_b: npt.NDArray[np.int64]
) -> None:
    """`rank1_add` where ``free`` is 1; stuck devices (0) keep what they hold."""
    n_out = r.shape[0]
    for i in range(x.shape[0]):
        xi = x[i]
        if xi != 0.0:
            start = i * n_out
            for j in range(n_out):
                if free_w[start + j] == 1:
                    w[start + j] += xi * r[j]
    for j in range(n_out):
        if free_b[j] == 1:
            b[j] += r[j]


@kernel
def optimise(
    gradient: Floats, first: Floats, second: Floats, scale: float, rate: float, kind: int, beta1: float, beta2: float,
    change: Floats,
) -> None:
    """``change`` = the step of plain (0), momentum (1) or Adam (2) descent along ``g = scale gradient``.

    momentum: ``M = beta1 M + g``, step ``-rate M``. Adam without bias correction (as in the scaling paper):
    ``M = beta1 M + (1-beta1) g``, ``V = beta2 V + (1-beta2) g^2``, step ``-rate M/(sqrt(V) + 1e-8)``.
    """
    for e in range(gradient.shape[0]):
        g = scale * gradient[e]
        if kind == 0:
            change[e] = -rate * g
        elif kind == 1:
            first[e] = beta1 * first[e] + g
            change[e] = -rate * first[e]
        else:
            first[e] = beta1 * first[e] + (1.0 - beta1) * g
            second[e] = beta2 * second[e] + (1.0 - beta2) * g * g
            change[e] = -rate * first[e] / (math.sqrt(second[e]) + 1e-8)


@kernel
def whole_pulses(units: float, rounding: int, residual: Floats, e: int, key: np.uint64) -> int:
    """How many pulses (signed) a wished change of ``units`` steps becomes.

    stochastic: unbiased; carry: the rest waits in ``residual``; nearest: stalls below half a step; threshold:
    written to the nearest step only when it is at least one step.
    """
    if rounding == STOCHASTIC:
        return math.floor(units + uniform(key, e))
    if rounding == CARRY:
        total = units + residual[e]
        pulses = int(total)
        residual[e] = total - pulses
        return pulses
    if rounding == THRESHOLD and abs(units) < 1.0:
        return 0
    return math.floor(units + 0.5)
