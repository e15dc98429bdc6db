"""Spike-timing-dependent plasticity with soft bounds: changes shrink in proportion to the room that is left.

    dw(D) =  a_plus  (w_max - w) exp(-D / tau_plus)     D >= 0, the presynaptic spike arrives first or in the same tick
    dw(D) = -a_minus (w - w_min) exp(D / tau_minus)     D < 0

D          time of the postsynaptic spike minus arrival of the presynaptic one, s
a_*        dimensionless: fractions of the room;   tau_plus, tau_minus: s
x, y       traces, as in ``stdp``

    a presynaptic spike arrives:  w <- w - min(a_minus y, 1) (w - w_min)
    a postsynaptic spike:         w <- w + min(a_plus x, 1) (w_max - w)

Weights settle between the bounds instead of at them: for independent spikes of rates r_x, r_y at about
w_min + (w_max - w_min) a_plus tau_plus / (a_plus tau_plus + a_minus tau_minus).

Source: J. Rubin, D. D. Lee, H. Sompolinsky, Phys. Rev. Lett. 86, 364 (2001), multiplicative; R. Gütig et al.,
J. Neurosci. 23, 3697 (2003), mu = 1.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from neurosim.models.constants import ONE
from neurosim.models.plasticity.base import PlasticityParameters
from neurosim.registry import register


@register("plasticity", "stdp-soft")
class SoftStdp(PlasticityParameters):
    """Pairs of spikes, with soft bounds."""

    model: Literal["stdp-soft"] = "stdp-soft"
    a_plus: float = Field(default=0.01, ge=0.0, le=1.0, description="share of the room above that a pair takes")
    a_minus: float = Field(default=0.0105, ge=0.0, le=1.0, description="share of the room below that a pair takes")

    def coefficients(self, tick_s: float) -> tuple[float, ...]:
        """(a_plus, a_minus, w_min, w_max)."""
        return self.a_plus, self.a_minus, self.w_min, self.w_max


def on_pre(w: float, x: float, y: float, a_plus: float, a_minus: float, w_min: float, w_max: float) -> float:
    """Towards w_min."""
    return min(max(w - min(a_minus * y, ONE) * (w - w_min), w_min), w_max)


def on_post(w: float, x: float, y: float, a_plus: float, a_minus: float, w_min: float, w_max: float) -> float:
    """Towards w_max."""
    return min(max(w + min(a_plus * x, ONE) * (w_max - w), w_min), w_max)
