r"""Softmax cross-entropy with label smoothing.

    p_k = exp(y_k) / sum_j exp(y_j),    q_k = (1 - s) t_k + s / K,    C = -sum_k q_k ln p_k,    dC/dy_k = p_k Q - q_k

y_k   output of neuron k, the logit
t_k   target, one-hot or any distribution over the K classes
s     label smoothing, 0..1
Q     sum_k q_k, 1 for a distribution
C     cost of one sample, nat

The outputs should be linear neurons. -ln p_k is computed as m + ln sum_j exp(y_j - m) - y_k with m = max y, so that no
exponential overflows.

Source: C. M. Bishop, Pattern Recognition and Machine Learning (2006), eq. 4.108; label smoothing: C. Szegedy et al.,
Rethinking the Inception architecture, CVPR (2016).
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from neurosim.registry import ModelParameters, register


@register("cost", "cross-entropy")
class CrossEntropy(ModelParameters):
    """Cross-entropy of the softmax of the outputs."""

    model: Literal["cross-entropy"] = "cross-entropy"
    smoothing: float = Field(default=0.0, ge=0.0, le=1.0, description="label smoothing s")


def cost(y: NDArray[np.floating[Any]], target: NDArray[np.floating[Any]], smoothing: float) -> float:
    """C of one sample."""
    size: int = y.shape[0]
    top = np.float64(y[0])
    for k in range(1, size):
        top = max(top, np.float64(y[k]))
    total = 0.0
    for k in range(size):
        total += math.exp(np.float64(y[k]) - top)
    log_total = top + math.log(total)
    result = 0.0
    for k in range(size):
        wanted = (1.0 - smoothing) * np.float64(target[k]) + smoothing / size
        result += wanted * (log_total - np.float64(y[k]))
    return result


def gradient(
    y: NDArray[np.floating[Any]], target: NDArray[np.floating[Any]], smoothing: float, out: NDArray[np.floating[Any]]
) -> None:
    """dC/dy of one sample, into ``out``."""
    size: int = y.shape[0]
    top = np.float64(y[0])
    for k in range(1, size):
        top = max(top, np.float64(y[k]))
    total = 0.0
    mass = 0.0
    for k in range(size):
        total += math.exp(np.float64(y[k]) - top)
        mass += (1.0 - smoothing) * np.float64(target[k]) + smoothing / size
    for k in range(size):
        wanted = (1.0 - smoothing) * np.float64(target[k]) + smoothing / size
        out[k] = mass * math.exp(np.float64(y[k]) - top) / total - wanted


def residual(c: float) -> float:
    """How large the gradient is where the cost is ``c``: exactly |dC/dy| of the right class, 1 - exp(-C), at s = 0."""
    return 1.0 - math.exp(-max(c, 0.0))
