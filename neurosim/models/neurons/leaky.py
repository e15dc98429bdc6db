"""Leaky integrate-and-fire: the membrane forgets exponentially.

    v[n] = lambda v[n-1] + I[n],   lambda = exp(-tick_s / tau_mem_s),        a spike when v[n] >= threshold

v           membrane, in units of the weights
I           input that arrived in the tick, same units; it is not leaked in the tick in which it arrives
lambda      leak, dimensionless, 0..1
tau_mem_s   membrane time constant, s
tick_s      duration of one tick, s (from the chip)
threshold   units of v

f-I curve (constant I, hard reset to 0, no refractory time). From v = 0 the membrane after n ticks is
I (1 - lambda^n) / (1 - lambda), so the neuron fires only if I > threshold (1 - lambda), and then every

    n = ceil( ln(1 - threshold (1 - lambda) / I) / ln(lambda) )   ticks,

and n + r ticks with refractory_ticks = r.

Source: R. B. Stein, A theoretical analysis of neuronal variability, Biophys. J. 5, 173 (1965); exact discretisation for
input that jumps once per tick: S. Rotter, M. Diesmann, Biol. Cybern. 81, 381 (1999).
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from neurosim.models.neurons.base import SpikingParameters
from neurosim.registry import register
from neurosim.units import Seconds


@register("spiking", "lif")
class LeakyIntegrateAndFire(SpikingParameters):
    """A neuron with an exponential leak."""

    model: Literal["lif"] = "lif"
    tau_mem_s: Seconds = Field(default=20e-3, gt=0.0, description="membrane time constant")

    def leak(self, tick_s: float) -> float:
        """lambda = exp(-tick_s / tau_mem_s)."""
        return math.exp(-tick_s / self.tau_mem_s)


def integrate(v: float, current: float, leak: float) -> float:
    """lambda v + I."""
    return v * leak + current
