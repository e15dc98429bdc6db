"""Leaky integrate-and-fire whose synapses move the membrane at once, with a rest and a reset of its own.

    v[n] = v_rest + (v[n-1] - v_rest) P + I[n],   P = exp(-tick_s / tau_mem_s),     a spike when v >= threshold,
                                                                                   then v <- v_reset
v, threshold, ...   in the units of the weights
I                   what arrived in the tick, and the bias

While a neuron rests after a spike v stays at v_reset, and what arrives is lost.

f-I curve (constant I, v_rest = v_reset = 0, r refractory ticks): one spike every

    ceil( ln(1 - threshold (1 - P) / I) / ln P ) + r   ticks,     none where I <= threshold (1 - P).

Source: N. Brunel, J. Comput. Neurosci. 8, 183 (2000).
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from neurosim.models.neurons.dynamic import DynamicParameters
from neurosim.registry import register
from neurosim.units import Seconds

STATES = ("v",)
RECEPTORS = ("current",)


@register("dynamic", "lif-delta")
class DeltaSynapses(DynamicParameters):
    """A leaky neuron with synapses without a time constant."""

    model: Literal["lif-delta"] = "lif-delta"
    tau_mem_s: Seconds = Field(default=20e-3, gt=0.0, description="membrane time constant")
    v_rest: float = Field(default=0.0, description="where v settles without input")
    threshold: float = Field(default=1.0, description="a spike when v >= threshold")
    v_reset: float = Field(default=0.0, description="v after a spike")

    @model_validator(mode="after")
    def _reset_below_threshold(self) -> DeltaSynapses:
        if self.v_reset >= self.threshold:
            raise ValueError("v_reset must lie below the threshold")
        return self

    def coefficients(self, tick_s: float) -> tuple[float, ...]:
        """((1 - P) v_rest, P, threshold, v_reset)."""
        keep, towards = math.exp(-tick_s / self.tau_mem_s), -math.expm1(-tick_s / self.tau_mem_s)
        return towards * self.v_rest, keep, self.threshold, self.v_reset

    def start(self) -> tuple[float, ...]:
        """At rest, but not above the threshold."""
        return (self.v_rest if self.v_rest < self.threshold else self.v_reset,)


def integrate(v: float, current: float, base: float, p: float, threshold: float, v_reset: float) -> tuple[float]:
    """v_rest + (v - v_rest) P + I."""
    return (base + v * p + current,)


def fires(v: float, base: float, p: float, threshold: float, v_reset: float) -> bool:
    """v >= threshold."""
    return v >= threshold


def reset(v: float, base: float, p: float, threshold: float, v_reset: float) -> tuple[float]:
    """v <- v_reset."""
    return (v_reset,)


def rest(v: float, base: float, p: float, threshold: float, v_reset: float) -> tuple[float]:
    """v stays at v_reset."""
    return (v_reset,)
