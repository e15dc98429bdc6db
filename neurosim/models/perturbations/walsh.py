r"""Walsh codes: orthogonal patterns of signs, after which the estimate is exact instead of right on average.

    theta~_i(n) = (norm_mag / sqrt(P)) (-1)^parity(row_i AND (n mod N)) (-1)^floor(n / N),        N = 2^k > P

theta~_i    perturbation of parameter i, weight units
norm_mag    length of the whole perturbation vector, weight units
P           number of parameters
n           number of the perturbation
N           order of the Sylvester-Hadamard matrix whose element (row, n) is (-1)^parity(row AND n)
row_i       row of the parameter: P of the rows 1 ... N - 1, in a seeded order; row 0 is constant and left out

Over one pass, N perturbations, different rows are orthogonal. A second pass with all signs flipped removes what the
curvature of the cost adds to the first (McCaughan's code does the same), so the period is 2N, and over it the estimate
is exact up to third derivatives. Flipped passes are the rows of the matrix of twice the order that have the next bit
set; so the word is row_i + N, and the sign is the parity of word AND n.

Source: J. J. Sylvester, Phil. Mag. 34, 461 (1867); A. McCaughan et al., APL Mach. Learn. 1, 026118 (2023).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neurosim.kernels.random import STREAM_PERMUTATION, permutation
from neurosim.models.perturbations.base import PerturbationParameters
from neurosim.registry import register

BLOCK = 0


@register("perturbation", "walsh")
class Walsh(PerturbationParameters):
    """Walsh codes; no parameters of its own."""

    model: Literal["walsh"] = "walsh"


def fill(words: NDArray[np.uint32], seed: int, block: int, s0: float, s1: float) -> None:
    """The row of every parameter, with the bit of the flipped passes."""
    order = 1
    while order <= words.shape[0]:
        order *= 2
    rows = permutation(seed, STREAM_PERMUTATION, block, order - 1)
    for i in range(words.shape[0]):
        words[i] = np.uint32(rows[i] + 1 + order)


def amplitude(size: int, norm_mag: float, s0: float) -> float:
    """norm_mag / sqrt(P)."""
    return norm_mag / math.sqrt(size)


def period(size: int) -> int:
    """Two passes, 2N."""
    return 2 << size.bit_length()


def value(word: np.uint32, n: int, size: int, amplitude: float) -> np.float32:
    """The amplitude, with its sign flipped where the parity of word AND n is 1."""
    bits = np.uint32(word & np.uint32(n & 0xFFFFFFFF))
    bits = np.uint32(bits ^ (bits >> np.uint32(16)))
    bits = np.uint32(bits ^ (bits >> np.uint32(8)))
    bits = np.uint32(bits ^ (bits >> np.uint32(4)))
    bits = np.uint32(bits ^ (bits >> np.uint32(2)))
    bits = np.uint32(bits ^ (bits >> np.uint32(1)))
    flip = np.uint32((bits & np.uint32(1)) << np.uint32(31))
    return np.uint32(np.float32(amplitude).view(np.uint32) ^ flip).view(np.float32)
