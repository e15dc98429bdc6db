"""Escape-rate neuron (SRM0): fires at random, the more likely the higher its membrane.

    v[n+1] = v[n] - alpha v[n] + I[n]
    rho    = rate_Hz exp((v - threshold) / width)
    a spike in a tick with probability 1 - exp(-rho tick_s), then v goes on

v, threshold, width   in units of the weights;   I   input that arrived in the tick, and the bias
alpha     1 - exp(-tick_s / tau_mem_s); with tau_mem_s = 0 the membrane is the input itself
rho       instantaneous rate, Hz

Rate at constant v and refractory time r: 1 / (r + 1/rho), in the limit of short ticks.

Source: W. Gerstner, W. Kistler, Spiking Neuron Models, Cambridge University Press (2002), chapter 5; as input neurons
of E. Neftci et al., Front. Neurosci. 11, 324 (2017).
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from neurosim.models.neurons.dynamic import DynamicParameters
from neurosim.registry import register
from neurosim.units import Hertz, Seconds

STATES = ("v",)
RECEPTORS = ("current",)
RANDOM = True


@register("dynamic", "escape-rate")
class EscapeRate(DynamicParameters):
    """A neuron that fires at random."""

    model: Literal["escape-rate"] = "escape-rate"
    tau_mem_s: Seconds = Field(default=0.0, ge=0.0, description="membrane time constant; 0: v is the input itself")
    rate_Hz: Hertz = Field(default=100.0, gt=0.0, description="rate at threshold")
    threshold: float = Field(default=0.0, description="v at which it fires with rate_Hz")
    width: float = Field(default=0.05, gt=0.0, description="v by which the rate grows e-fold")

    def coefficients(self, tick_s: float) -> tuple[float, ...]:
        """(alpha, rate x tick, threshold, width)."""
        alpha = 1.0 if self.tau_mem_s == 0.0 else -math.expm1(-tick_s / self.tau_mem_s)
        return alpha, self.rate_Hz * tick_s, self.threshold, self.width

    def start(self) -> tuple[float, ...]:
        """At 0."""
        return (0.0,)


def integrate(v: float, current: float, alpha: float, rate: float, threshold: float, width: float) -> tuple[float]:
    """v - alpha v + I."""
    return (v - alpha * v + current,)


def fires(u: float, v: float, alpha: float, rate: float, threshold: float, width: float) -> bool:
    """u < 1 - exp(-rho tick), the exponent cut where the neuron fires for certain."""
    return u < -math.expm1(-rate * math.exp(min((v - threshold) / width, 50.0)))


def reset(v: float, alpha: float, rate: float, threshold: float, width: float) -> tuple[float]:
    """Nothing is reset."""
    return (v,)
