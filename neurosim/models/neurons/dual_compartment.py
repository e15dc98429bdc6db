"""Dual-compartment integrate-and-fire: a dendrite and a soma that pull on one another.

    v[n+1] = v[n] - alpha v[n] + alpha_21 u[n]                        soma
    u[n+1] = u[n] - alpha_u u[n] + alpha_12 v[n] + i[n]               dendrite
    i[n+1] = i[n] - a_1 i[n] + I[n]                                   synaptic current
    a spike when v >= threshold, then v <- v_reset

v, u, i   soma, dendrite, synaptic current, in units of the weights
I         input that arrived in the tick, and the bias
alpha, alpha_u, a_1   1 - exp(-tick_s / tau) of tau_mem_s, tau_dendrite_s, tau_syn_s
alpha_21, alpha_12    coupling_21_Hz tick_s and coupling_12_Hz tick_s

Source: E. Neftci's linear neuron models of the NSAT work, G. Detorakis et al., Front. Neurosci. 12, 583 (2018).
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from neurosim.models.neurons.dynamic import DynamicParameters
from neurosim.registry import register
from neurosim.units import Hertz, Seconds

STATES = ("v", "u", "i")
RECEPTORS = ("current",)


@register("dynamic", "lif-dual")
class DualCompartment(DynamicParameters):
    """A soma that fires, driven by its dendrite."""

    model: Literal["lif-dual"] = "lif-dual"
    tau_mem_s: Seconds = Field(default=20e-3, gt=0.0, description="time constant of the soma")
    tau_dendrite_s: Seconds = Field(default=20e-3, gt=0.0, description="time constant of the dendrite")
    tau_syn_s: Seconds = Field(default=5e-3, gt=0.0, description="time constant of the synaptic current")
    coupling_21_Hz: Hertz = Field(default=50.0, ge=0.0, description="from the dendrite into the soma")
    coupling_12_Hz: Hertz = Field(default=0.0, ge=0.0, description="from the soma into the dendrite")
    threshold: float = Field(default=1.0, description="a spike when v >= threshold")
    v_reset: float = Field(default=0.0, description="v after a spike")

    def coefficients(self, tick_s: float) -> tuple[float, ...]:
        """(alpha, alpha_u, a_1, alpha_21, alpha_12, threshold, v_reset)."""
        taus = (self.tau_mem_s, self.tau_dendrite_s, self.tau_syn_s)
        alpha, alpha_u, a_1 = (-math.expm1(-tick_s / tau) for tau in taus)
        couplings = self.coupling_21_Hz * tick_s, self.coupling_12_Hz * tick_s
        return alpha, alpha_u, a_1, *couplings, self.threshold, self.v_reset

    def start(self) -> tuple[float, ...]:
        """At rest."""
        return 0.0, 0.0, 0.0


def integrate(
    v: float, u: float, i: float, current: float, alpha: float, alpha_u: float, a_1: float, alpha_21: float,
    alpha_12: float, threshold: float, v_reset: float,
) -> tuple[float, float, float]:  # fmt: skip
    """v - alpha v + alpha_21 u; u - alpha_u u + alpha_12 v + i; i - a_1 i + I."""
    return v - alpha * v + alpha_21 * u, u - alpha_u * u + alpha_12 * v + i, i - a_1 * i + current


def fires(
    v: float, u: float, i: float, alpha: float, alpha_u: float, a_1: float, alpha_21: float, alpha_12: float,
    threshold: float, v_reset: float,
) -> bool:  # fmt: skip
    """v >= threshold."""
    return v >= threshold


def reset(
    v: float, u: float, i: float, alpha: float, alpha_u: float, a_1: float, alpha_21: float, alpha_12: float,
    threshold: float, v_reset: float,
) -> tuple[float, float, float]:  # fmt: skip
    """v <- v_reset; the dendrite keeps what it has."""
    return v_reset, u, i
