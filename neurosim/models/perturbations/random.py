r"""Random signs: every parameter goes up or down by the same amount, at random, each time anew (SPSA, "CDMA").

    theta~_i(n) = (norm_mag / sqrt(P)) s_i(n),        s_i(n) = +1 or -1, independent, fair

theta~_i    perturbation of parameter i, weight units
norm_mag    length of the whole perturbation vector, weight units
P           number of parameters
n           number of the perturbation

s_i(n) is bit n mod 32 of the word hash(seed, stream, i, n div 32): 1 means up. No period; the gradient estimate of tau
perturbations has the relative variance (P - 1) / tau.

Source: J. C. Spall, Multivariate stochastic approximation using a simultaneous perturbation gradient approximation,
IEEE Trans. Autom. Control 37, 332 (1992); A. McCaughan et al., APL Mach. Learn. 1, 026118 (2023).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neurosim.kernels.random import STREAM_PERTURBATION, draw_bits, stream_key
from neurosim.models.perturbations.base import PerturbationParameters
from neurosim.registry import register

BLOCK = 32


@register("perturbation", "random")
class Random(PerturbationParameters):
    """Random signs; no parameters of its own."""

    model: Literal["random"] = "random"


def fill(words: NDArray[np.uint32], seed: int, block: int, s0: float, s1: float) -> None:
    """The signs of 32 perturbations of every parameter."""
    key = stream_key(seed, STREAM_PERTURBATION, block, 0, 0)
    for i in range(words.shape[0]):
        words[i] = draw_bits(key, i)


def amplitude(size: int, norm_mag: float, s0: float) -> float:
    """norm_mag / sqrt(P)."""
    return norm_mag / math.sqrt(size)


def period(size: int) -> int:
    """0: it never begins again."""
    return 0


def value(word: np.uint32, n: int, size: int, amplitude: float) -> np.float32:
    """Minus the amplitude, with its sign bit flipped where bit n mod 32 is 1."""
    flip = np.uint32((word << np.uint32(31 - (n & 31))) & np.uint32(0x80000000))
    return np.uint32(np.float32(-amplitude).view(np.uint32) ^ flip).view(np.float32)
