"""Spike-timing-dependent plasticity, additive: a pair of spikes changes the weight by an exponential of its distance.

    dw(D) =  a_plus  exp(-D / tau_plus)     D >= 0, the presynaptic spike arrives first or in the same tick
    dw(D) = -a_minus exp(D / tau_minus)     D < 0                             w cut to w_min ... w_max after every spike

D          time of the postsynaptic spike minus arrival of the presynaptic one (its spike and the delay), s
w, a_*     in the units of the weights;   tau_plus, tau_minus: s
x, y       traces: sums over earlier spikes of exp(-age / tau), so that all pairs are counted at two numbers a neuron

    a presynaptic spike arrives:  w <- max(w - a_minus y, w_min)
    a postsynaptic spike:         w <- min(w + a_plus x, w_max)

Either is cut to both bounds, so that negative amplitudes (anti-Hebbian) are allowed.

Source: S. Song, K. D. Miller, L. F. Abbott, Nat. Neurosci. 3, 919 (2000); traces: A. Morrison, M. Diesmann,
W. Gerstner, Biol. Cybern. 98, 459 (2008).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from neurosim.models.plasticity.base import PlasticityParameters
from neurosim.registry import register


@register("plasticity", "stdp")
class Stdp(PlasticityParameters):
    """Pairs of spikes, with hard bounds."""

    model: Literal["stdp"] = "stdp"
    a_plus: float = Field(default=0.01, description="change by a pair at distance 0, the presynaptic spike first")
    a_minus: float = Field(default=0.0105, description="what a pair the other way round takes, at distance 0")

    def coefficients(self, tick_s: float) -> tuple[float, ...]:
        """(a_plus, a_minus, w_min, w_max)."""
        return self.a_plus, self.a_minus, self.w_min, self.w_max


def on_pre(w: float, x: float, y: float, a_plus: float, a_minus: float, w_min: float, w_max: float) -> float:
    """w - a_minus y, within bounds."""
    return min(max(w - a_minus * y, w_min), w_max)


def on_post(w: float, x: float, y: float, a_plus: float, a_minus: float, w_min: float, w_max: float) -> float:
    """w + a_plus x, within bounds."""
    return min(max(w + a_plus * x, w_min), w_max)
