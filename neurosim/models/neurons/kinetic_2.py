"""Leaky integrate-and-fire with a second-order kinetic synapse: the current rises and falls.

    v[n+1] = v[n] - alpha v[n] + i[n]
    i[n+1] = i[n] - a_1 i[n] + c_1 s[n] + bias
    s[n+1] = s[n] - a_2 s[n] + I[n]
    a spike when v >= threshold, then v <- v_reset

v, i, s   membrane, synaptic current, synaptic activation, in units of the weights
I         input that arrived in the tick (``bias`` enters the current i by the receptor ``direct``)
alpha, a_1, a_2   1 - exp(-tick_s / tau) of tau_mem_s, tau_fall_s, tau_rise_s;   c_1 = gain, dimensionless

Source: E. Neftci's linear neuron models of the NSAT work, G. Detorakis et al., Front. Neurosci. 12, 583 (2018).
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from neurosim.models.neurons.dynamic import DynamicParameters
from neurosim.registry import register
from neurosim.units import Seconds

STATES = ("v", "i", "s")
RECEPTORS = ("direct", "synapse")


@register("dynamic", "lif-kinetic-2")
class SecondOrderKinetic(DynamicParameters):
    """A leaky neuron whose synaptic current rises and falls."""

    model: Literal["lif-kinetic-2"] = "lif-kinetic-2"
    tau_mem_s: Seconds = Field(default=20e-3, gt=0.0, description="membrane time constant")
    tau_fall_s: Seconds = Field(default=5e-3, gt=0.0, description="decay of the synaptic current")
    tau_rise_s: Seconds = Field(default=1e-3, gt=0.0, description="decay of the activation that drives it")
    gain: float = Field(default=1.0, description="c_1: current per tick and activation")
    threshold: float = Field(default=1.0, description="a spike when v >= threshold")
    v_reset: float = Field(default=0.0, description="v after a spike")

    def coefficients(self, tick_s: float) -> tuple[float, ...]:
        """(alpha, a_1, a_2, c_1, threshold, v_reset)."""
        alpha, a_1, a_2 = (-math.expm1(-tick_s / tau) for tau in (self.tau_mem_s, self.tau_fall_s, self.tau_rise_s))
        return alpha, a_1, a_2, self.gain, self.threshold, self.v_reset

    def start(self) -> tuple[float, ...]:
        """At rest."""
        return 0.0, 0.0, 0.0


def integrate(
    v: float, i: float, s: float, direct: float, synapse: float, alpha: float, a_1: float, a_2: float, c_1: float,
    threshold: float, v_reset: float,
) -> tuple[float, float, float]:  # fmt: skip
    """v - alpha v + i; i - a_1 i + c_1 s + bias; s - a_2 s + I."""
    return v - alpha * v + i, i - a_1 * i + c_1 * s + direct, s - a_2 * s + synapse


def fires(
    v: float, i: float, s: float, alpha: float, a_1: float, a_2: float, c_1: float, threshold: float, v_reset: float
) -> bool:
    """v >= threshold."""
    return v >= threshold


def reset(
    v: float, i: float, s: float, alpha: float, a_1: float, a_2: float, c_1: float, threshold: float, v_reset: float
) -> tuple[float, float, float]:
    """v <- v_reset."""
    return v_reset, i, s
