r"""Sinusoids: every parameter has its own frequency, and finds its gradient by homodyne detection ("FDMA").

    theta~_i(n) = (sqrt(2) norm_mag / sqrt(P)) sin(2 pi (f_i n + phi_i)),        f_i = k_i / T

theta~_i         perturbation of parameter i, weight units
norm_mag         root mean square over n of the length of the perturbation vector, weight units
P                number of parameters
n                number of the perturbation
f_i              cycles per perturbation, P values evenly spaced from f_start to f_stop, in a seeded order
f_start, f_stop  the band, cycles per perturbation
k_i              whole numbers, all different
T                period, perturbations: 16 times the smallest power of two > P
phi_i            phase, cycles: pseudo-random

Over T perturbations, different frequencies are orthogonal. Second derivatives of the cost make sums and differences of
the frequencies; they stay out of the band if f_stop < 2 f_start and (aliased) f_stop < 1/3. P different k_i fit into
the band if f_stop - f_start >= 1/16.

As hardware would do it, each parameter has a 32-bit phase accumulator. The word is its increment 2^32 f_i, and a hash
of the word is the phase that it starts from; so a frequency always has the same phase, and the seed says whose it is.
The sine is an odd polynomial (Taylor to x^11 on a quarter wave, error below 6e-8), the same bits on every machine.

Source: A. McCaughan et al., APL Mach. Learn. 1, 026118 (2023); the band conditions are derived from its equations.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from neurosim.kernels.random import STREAM_PERMUTATION, draw_bits, permutation
from neurosim.models.perturbations.base import PerturbationParameters
from neurosim.registry import register

BLOCK = 0
WIDTH_MIN = 1.0 / 16.0


@register("perturbation", "sinusoidal")
class Sinusoidal(PerturbationParameters):
    """One frequency for each parameter, evenly spaced in a band."""

    model: Literal["sinusoidal"] = "sinusoidal"
    f_start: float = Field(default=0.10, gt=0.0, lt=0.5, description="lowest frequency, cycles per perturbation")
    f_stop: float = Field(default=0.19, gt=0.0, lt=0.5, description="highest frequency, cycles per perturbation")

    @model_validator(mode="after")
    def _band(self) -> Sinusoidal:
        problems = []
        if self.f_stop - self.f_start < WIDTH_MIN:
            problems.append(f"f_stop must be at least f_start + {WIDTH_MIN}")
        if self.f_stop >= 2.0 * self.f_start:
            problems.append("f_stop must be below 2 f_start, or sums of frequencies fall into the band")
        if self.f_stop >= 1.0 / 3.0:
            problems.append("f_stop must be below 1/3, or aliased sums of frequencies fall into the band")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def settings(self) -> tuple[float, float]:
        """(f_start, f_stop)."""
        return (self.f_start, self.f_stop)


def fill(words: NDArray[np.uint32], seed: int, block: int, s0: float, s1: float) -> None:
    """The increment of every parameter's phase accumulator, 2^32 f_i."""
    size = words.shape[0]
    turns = 16
    while turns < 16 * (size + 1):
        turns *= 2
    unit = np.int64(1 << 32) // turns
    lowest = math.ceil(s0 * turns)
    spread = math.floor(s1 * turns) - lowest
    order = permutation(seed, STREAM_PERMUTATION, block, size)
    for i in range(size):
        k = lowest + (order[i] * spread) // max(size - 1, 1)
        words[i] = np.uint32(k * unit)


def amplitude(size: int, norm_mag: float, s0: float) -> float:
    """sqrt(2) norm_mag / sqrt(P)."""
    return math.sqrt(2.0) * norm_mag / math.sqrt(size)


def period(size: int) -> int:
    """T."""
    return 16 << size.bit_length()


def value(word: np.uint32, n: int, size: int, amplitude: float) -> np.float32:
    """The sine of the phase accumulator after n increments."""
    turned = (np.uint64(word) * np.uint64(n & 0xFFFFFFFF)) & np.uint64(0xFFFFFFFF)
    phase = turned + np.uint64(draw_bits(np.uint64(0x9E3779B97F4A7C15), word))
    # sin(2 pi phase / 2^32) = sin(x), folded to x in -pi/2 ... pi/2: it falls off evenly on both sides of its peak
    from_peak = np.uint32((phase + np.uint64(0xC0000000)) & np.uint64(0xFFFFFFFF)).view(np.int32)
    x = np.float32(0.5 * math.pi) - abs(np.float32(from_peak) * np.float32(2.0 * math.pi / 2.0**32))
    y = x * x
    series = np.float32(-1.0 / 39916800.0)
    series = series * y + np.float32(1.0 / 362880.0)
    series = series * y - np.float32(1.0 / 5040.0)
    series = series * y + np.float32(1.0 / 120.0)
    series = series * y - np.float32(1.0 / 6.0)
    return np.float32(amplitude) * (x + x * y * series)
