r"""One parameter at a time, up and then down: central differences, and the sequential code for analog chips.

    theta~_i(n) = +norm_mag  where n mod 2P = 2 slot_i,    -norm_mag  where n mod 2P = 2 slot_i + 1,    else 0

theta~_i    perturbation of parameter i, weight units
norm_mag    length of the whole perturbation vector, weight units
P           number of parameters
n           number of the perturbation
slot_i      turn of the parameter: a seeded permutation of 0 ... P - 1

The period is 2P. The pair removes the error by curvature that a forward difference has; and under a high-pass on the
cost with tau_hp = 1.6 steps, the tails that a pair leaves in the turns of other parameters nearly cancel: of a kept
fraction alpha = tau_hp / (tau_hp + 1) per step, the next turn sees (1 - alpha)^3 / (3 - alpha) = 2.4 % of the signal,
where single turns see (1 - alpha) = 38 %.

Source: derived here, following the remark on alternate signs in A. McCaughan et al., APL Mach. Learn. 1, 026118 (2023).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neurosim.kernels.random import STREAM_PERMUTATION, permutation
from neurosim.models.perturbations.base import PerturbationParameters
from neurosim.registry import register

BLOCK = 0


@register("perturbation", "sequential-paired")
class SequentialPaired(PerturbationParameters):
    """One at a time, up and down; no parameters of its own."""

    model: Literal["sequential-paired"] = "sequential-paired"


def fill(words: NDArray[np.uint32], seed: int, block: int, s0: float, s1: float) -> None:
    """The turn of every parameter."""
    order = permutation(seed, STREAM_PERMUTATION, block, words.shape[0])
    for i in range(words.shape[0]):
        words[i] = np.uint32(order[i])


def amplitude(size: int, norm_mag: float, s0: float) -> float:
    """norm_mag."""
    return norm_mag


def period(size: int) -> int:
    """One pass of pairs, 2P."""
    return 2 * size


def value(word: np.uint32, n: int, size: int, amplitude: float) -> np.float32:
    """Plus and then minus the amplitude in the parameter's turn, otherwise 0."""
    signed = np.float32(-amplitude if n & 1 else amplitude)
    return signed if word == np.uint32((n >> 1) % size) else np.float32(0.0)
