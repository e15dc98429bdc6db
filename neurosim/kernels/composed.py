"""Loops over model equations: perturbed currents, codes added to weights, and the programming of devices.

The composer copies their source into each run's kernel, where ``tilde``, ``assumed`` and ``device_step`` are the run's
own (see ``slots``).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim.kernels.learn import CARRY, whole_pulses
from neurosim.kernels.random import normal
from neurosim.kernels.slots import assumed, device_step, tilde
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


@kernel
def program(
    theta: Floats, start: int, change: Floats, count: int,
    scale_up: Floats, scale_down: Floats, w_min: Floats, w_max: Floats, residual: Floats,
    step_size: float, cycle_std: float, write_std: float, rounding: int, limit: int,
    rounding_key: np.uint64, noise_key: np.uint64, tally: npt.NDArray[np.int64],
) -> int:  # fmt: skip
    """Program ``theta[start:start+count]`` by ``change[:count]``; returns the largest number of pulses on one device.

    n pulses are n sequential steps, each with its own noise: ``dw = step(w) (1 + cycle_std xi) + write_std dw_min
    xi'``, clipped to the device's bounds. ``limit`` caps the pulses per device and write. Adds devices written to
    ``tally[0]`` and pulses to ``tally[1]``.
    """
    most = 0
    size = theta.shape[0]
    for k in range(count):
        e = start + k
        units = change[k] / step_size
        if (units == 0.0 and rounding != CARRY) or (scale_up[e] == 0.0 and scale_down[e] == 0.0):
            continue  # nothing wanted, or a stuck device
        pulses = whole_pulses(units, rounding, residual, e, rounding_key)
        if pulses == 0:
            continue
        up = pulses > 0
        number = min(abs(pulses), limit)
        if rounding == CARRY:
            residual[e] += (abs(pulses) - number) * (1.0 if up else -1.0)
        w = theta[e]
        for p in range(number):
            dw = device_step(w, up, scale_up[e], scale_down[e], w_min[e], w_max[e])
            if cycle_std > 0.0:
                dw *= 1.0 + cycle_std * normal(noise_key, e + 2 * p * size)
            if write_std > 0.0 and dw != 0.0:
                dw += write_std * step_size * normal(noise_key, e + (2 * p + 1) * size)
            w = min(max(w + dw, w_min[e]), w_max[e])
        theta[e] = w
        tally[0] += 1
        tally[1] += number
        most = max(most, number)
    return most
