r"""One parameter at a time: finite differences, or coordinate descent ("TDMA").

    theta~_i(n) = norm_mag  where n mod P = slot_i,  else 0

theta~_i    perturbation of parameter i, weight units
norm_mag    length of the whole perturbation vector, weight units
P           number of parameters
n           number of the perturbation
slot_i      turn of the parameter: a seeded permutation of 0 ... P - 1

The period is P. With weights written every P perturbations this is the forward finite difference, whose error is
norm_mag d2C/dtheta_i^2 / 2; with weights written after each it is coordinate descent.

With ``difference = "high-pass"`` the filter's tail of one turn falls into the next ones, which belong to other
parameters. With alpha = tau_hp / (tau_hp + 1) and rho = mean(g)^2 / mean(g^2) the gain is alpha (1 - rho) and the
cosine with the gradient sqrt((1 - rho)(1 + alpha) / 2): 0.90 for a gradient without a mean at tau_hp = 1.6, 0.84 at
rho = 0.12. Use ``sequential-paired`` there.

Source: A. McCaughan et al., APL Mach. Learn. 1, 026118 (2023).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neurosim.kernels.random import STREAM_PERMUTATION, permutation
from neurosim.models.perturbations.base import PerturbationParameters
from neurosim.registry import register

BLOCK = 0


@register("perturbation", "sequential")
class Sequential(PerturbationParameters):
    """One at a time; no parameters of its own."""

    model: Literal["sequential"] = "sequential"


def fill(words: NDArray[np.uint32], seed: int, block: int, s0: float, s1: float) -> None:
    """The turn of every parameter."""
    order = permutation(seed, STREAM_PERMUTATION, block, words.shape[0])
    for i in range(words.shape[0]):
        words[i] = np.uint32(order[i])


def amplitude(size: int, norm_mag: float, s0: float) -> float:
    """norm_mag."""
    return norm_mag


def period(size: int) -> int:
    """One pass, P."""
    return size


def value(word: np.uint32, n: int, size: int, amplitude: float) -> np.float32:
    """The amplitude in the parameter's turn, otherwise 0."""
    return np.float32(amplitude) if word == np.uint32(n % size) else np.float32(0.0)
