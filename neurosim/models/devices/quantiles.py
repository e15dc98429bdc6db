"""Tables of quantile functions over normal scores, for devices that are sampled by inverse CDF (not a model).

A quantile Q(p) is kept at equally spaced normal scores z, p = Phi(z), so that a draw needs one standard normal xi and a
linear interpolation, Q = lerp(z = xi), and a normal distribution is a straight line. Beyond the table's ends, z = -4
and 4, the last piece goes on: tails are extrapolated, never cut off.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

SCORES: Final = np.linspace(-4.0, 4.0, 33)
"""Normal scores of the table's columns."""

_DENSE: Final = np.linspace(-8.0, 8.0, 6401)
_WEIGHT: Final = np.exp(-0.5 * _DENSE**2) / np.exp(-0.5 * _DENSE**2).sum()


def scores(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """z = Phi^-1(p)."""
    from scipy.special import ndtri

    return np.asarray(ndtri(probabilities), np.float64)


def at_scores(probabilities: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quantiles ``values`` [..., p] at ``probabilities``, carried over to SCORES."""
    return interpolated(scores(probabilities), values, SCORES)


def interpolated(
    x: NDArray[np.float64], values: NDArray[np.float64], wanted: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Linear interpolation along the last axis; beyond the ends the last piece goes on."""
    k = np.clip(np.searchsorted(x, wanted, side="right") - 1, 0, x.size - 2)
    t = (wanted - x[k]) / (x[k + 1] - x[k])
    return np.asarray(values[..., k] + t * (values[..., k + 1] - values[..., k]))


def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of the distributions [..., score] as they are sampled."""
    return np.asarray(interpolated(SCORES, values, _DENSE) @ _WEIGHT)


def of_samples(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """The table row of a sample: its quantiles inside, and the pieces at the ends fitted to the outer tenths."""
    ordered = np.sort(samples)
    p = (np.arange(ordered.size) + 0.5) / ordered.size
    z = scores(p)
    inside = np.interp(SCORES, z, ordered)
    for end in (-1, 1):
        outer = SCORES * end > z[-1] if end > 0 else z[0] > SCORES
        tail = z * end > 1.2816 if end > 0 else z < -1.2816
        if outer.any() and tail.sum() >= 2:
            slope, height = np.polyfit(z[tail], ordered[tail], 1)
            edge = z[-1] if end > 0 else z[0]
            start = ordered[-1] if end > 0 else ordered[0]
            inside[outer] = start + max(slope, 0.0) * (SCORES[outer] - edge)
            del height
    return np.maximum.accumulate(inside)
