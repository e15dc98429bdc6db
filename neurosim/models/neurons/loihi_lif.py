"""Loihi's leaky integrate-and-fire neuron: what is kept of the membrane is cut to steps of 1/64.

    v[n] = trunc(64 decay v[n-1]) / 64 + I[n],        a spike when v[n] > threshold

v           membrane, in units of the weights
I           input that arrived in the tick and the neuron's bias, same units; it is cut only when it is kept
trunc       towards zero
decay       what is left of v after one tick, dimensionless, 0..1; a property of the algorithm, not of seconds
threshold   units of v; v must exceed it

After a spike v becomes v - threshold (soft reset) or 0 (hard reset, the default). A neuron that rests
(refractory_ticks) takes no input, but its membrane goes on decaying:  v[n] = trunc(64 decay v[n-1]) / 64.

f-I curve (decay = 1, hard reset, no refractory time): with a constant I the kept part of v grows by
s = floor(64 I)/64 per tick and the first tick keeps all of I, so that the neuron fires every
floor((threshold - I)/s) + 2 ticks while I <= threshold, in every tick above, and never where s = 0 and I <= threshold.

Source: M. Davies et al., IEEE Micro 38(1), 82 (2018), for the neuron; steps of 1/64, the order of decay, input and
threshold and what counts as an update are as in SANA-FE 2.2.9 (J. A. Boyle et al., IEEE TCAD 44(8), 3165 (2025)), found
by running it. Its ``refractory_delay`` d is ``refractory_ticks`` = d - 1 here.
"""

from __future__ import annotations

from typing import Final, Literal, cast

import numpy as np
from pydantic import Field

from neurosim.models.neurons.base import SpikingParameters
from neurosim.registry import register

STEPS: Final = cast("float", np.int8(64))
"""Steps to a unit of v: of the smallest type, so that float32 stays float32 (``models.constants``)."""


@register("spiking", "loihi-lif")
class LoihiLeakyIntegrateAndFire(SpikingParameters):
    """Loihi's neuron, with a membrane of whole 64ths."""

    model: Literal["loihi-lif"] = "loihi-lif"
    decay: float = Field(default=1.0, ge=0.0, le=1.0, description="what is left of v after one tick; 1: no leak")
    reset: Literal["soft", "hard", "none"] = Field(
        default="hard", description="after a spike: v - threshold (soft), 0 (hard), or v as it is (none)"
    )

    def leak(self, tick_s: float) -> float:
        """The decay: it belongs to a tick, however long that lasts."""
        return self.decay


def integrate(v: float, current: float, leak: float) -> float:
    """trunc(64 decay v)/64 + I."""
    kept: float = np.trunc(v * leak * STEPS) / STEPS
    return kept + current


def fires(v: float, threshold: float) -> bool:
    """v > threshold."""
    return v > threshold


def rest(v: float, leak: float) -> float:
    """trunc(64 decay v)/64: a neuron that rests takes no input."""
    kept: float = np.trunc(v * leak * STEPS) / STEPS
    return kept
