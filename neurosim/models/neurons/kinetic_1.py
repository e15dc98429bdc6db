"""Leaky integrate-and-fire with a first-order kinetic synapse: input is a current that decays.

    v[n+1] = v[n] - alpha v[n] + i[n]
    i[n+1] = i[n] - a_1 i[n] + I[n]
    a spike when v >= threshold, then v <- v_reset

v, i      membrane and synaptic current, in units of the weights
I         input that arrived in the tick, and the bias
alpha     1 - exp(-tick_s / tau_mem_s),   a_1 = 1 - exp(-tick_s / tau_syn_s)

A single event of weight w at rest moves the membrane by w (e^{-n a} - e^{-n b})-like, peaking after some ticks.
f-I curve (constant I): i settles at I/a_1, so the neuron fires only if I > alpha a_1 threshold.

Source: E. Neftci's linear neuron models of the NSAT work, G. Detorakis et al., Front. Neurosci. 12, 583 (2018).
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from neurosim.models.neurons.dynamic import DynamicParameters
from neurosim.registry import register
from neurosim.units import Seconds

STATES = ("v", "i")
RECEPTORS = ("current",)


@register("dynamic", "lif-kinetic-1")
class FirstOrderKinetic(DynamicParameters):
    """A leaky neuron whose synapses have a time constant."""

    model: Literal["lif-kinetic-1"] = "lif-kinetic-1"
    tau_mem_s: Seconds = Field(default=20e-3, gt=0.0, description="membrane time constant")
    tau_syn_s: Seconds = Field(default=5e-3, gt=0.0, description="time constant of the synaptic current")
    threshold: float = Field(default=1.0, description="a spike when v >= threshold")
    v_reset: float = Field(default=0.0, description="v after a spike")

    def coefficients(self, tick_s: float) -> tuple[float, ...]:
        """(alpha, a_1, threshold, v_reset)."""
        alpha, a_1 = (-math.expm1(-tick_s / tau) for tau in (self.tau_mem_s, self.tau_syn_s))
        return alpha, a_1, self.threshold, self.v_reset

    def start(self) -> tuple[float, ...]:
        """At rest."""
        return 0.0, 0.0


def integrate(
    v: float, i: float, current: float, alpha: float, a_1: float, threshold: float, v_reset: float
) -> tuple[float, float]:
    """v - alpha v + i; i - a_1 i + I."""
    return v - alpha * v + i, i - a_1 * i + current


def fires(v: float, i: float, alpha: float, a_1: float, threshold: float, v_reset: float) -> bool:
    """v >= threshold."""
    return v >= threshold


def reset(v: float, i: float, alpha: float, a_1: float, threshold: float, v_reset: float) -> tuple[float, float]:
    """v <- v_reset."""
    return v_reset, i
