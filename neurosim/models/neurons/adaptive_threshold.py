"""Leaky integrate-and-fire with a threshold that jumps with every spike and decays.

    v[n+1]     = v[n] - alpha v[n] + I[n]
    theta[n+1] = theta[n] - beta (theta[n] - threshold)
    a spike when v >= theta, then v <- v_reset and theta <- theta + jump

v, theta  membrane and threshold, in units of the weights
I         input that arrived in the tick, and the bias
alpha     1 - exp(-tick_s / tau_mem_s),   beta = 1 - exp(-tick_s / tau_threshold_s)

Rate at constant I: it falls from spike to spike towards the point at which theta gains in a period what it loses.

Source: M. J. Chacron, K. Pakdaman, A. Longtin, Neural Comput. 15, 253 (2003); G. Bellec et al., NeurIPS 2018 (LSNN).
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from neurosim.models.neurons.dynamic import DynamicParameters
from neurosim.registry import register
from neurosim.units import Seconds

STATES = ("v", "theta")
RECEPTORS = ("current",)


@register("dynamic", "lif-adaptive")
class AdaptiveThreshold(DynamicParameters):
    """A neuron that tires."""

    model: Literal["lif-adaptive"] = "lif-adaptive"
    tau_mem_s: Seconds = Field(default=20e-3, gt=0.0, description="membrane time constant")
    tau_threshold_s: Seconds = Field(default=200e-3, gt=0.0, description="time constant of the threshold")
    threshold: float = Field(default=1.0, gt=0.0, description="the threshold at rest")
    jump: float = Field(default=0.1, ge=0.0, description="what a spike adds to it")
    v_reset: float = Field(default=0.0, description="v after a spike")

    def coefficients(self, tick_s: float) -> tuple[float, ...]:
        """(alpha, beta, threshold, jump, v_reset)."""
        alpha, beta = (-math.expm1(-tick_s / tau) for tau in (self.tau_mem_s, self.tau_threshold_s))
        return alpha, beta, self.threshold, self.jump, self.v_reset

    def start(self) -> tuple[float, ...]:
        """At rest."""
        return 0.0, self.threshold


def integrate(
    v: float, theta: float, current: float, alpha: float, beta: float, threshold: float, jump: float, v_reset: float
) -> tuple[float, float]:
    """v - alpha v + I; theta - beta (theta - threshold)."""
    return v - alpha * v + current, theta - beta * (theta - threshold)


def fires(v: float, theta: float, alpha: float, beta: float, threshold: float, jump: float, v_reset: float) -> bool:
    """v >= theta."""
    return v >= theta


def reset(
    v: float, theta: float, alpha: float, beta: float, threshold: float, jump: float, v_reset: float
) -> tuple[float, float]:
    """v <- v_reset; theta <- theta + jump."""
    return v_reset, theta + jump
