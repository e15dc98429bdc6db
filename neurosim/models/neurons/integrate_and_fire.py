"""Integrate-and-fire: the membrane sums what arrives and forgets nothing.

    v[n] = v[n-1] + I[n],        a spike when v[n] >= threshold

v           membrane, in units of the weights
I           input that arrived in the tick, same units
threshold   same units

f-I curve (constant 0 <= I <= threshold, v[0] = 0, no refractory time):

    soft reset (v <- v - threshold):   spikes in T ticks = floor(T I / threshold), so the rate is I / threshold per tick
    hard reset (v <- 0):               one spike every ceil(threshold / I) ticks
    refractory_ticks r, hard reset:    one spike every ceil(threshold / I) + r ticks

Source: L. Lapicque, J. Physiol. Pathol. Gen. 9, 620 (1907), without the leak; soft reset and its linear f-I curve:
B. Rueckauer et al., Front. Neurosci. 11, 682 (2017).
"""

from __future__ import annotations

from typing import Literal

from neurosim.models.neurons.base import SpikingParameters
from neurosim.registry import register


@register("spiking", "if")
class IntegrateAndFire(SpikingParameters):
    """A neuron without leak."""

    model: Literal["if"] = "if"

    def leak(self, tick_s: float) -> float:
        """1: nothing is lost."""
        return 1.0


def integrate(v: float, current: float, leak: float) -> float:
    """v + I; the leak is 1 and left out."""
    return v + current
