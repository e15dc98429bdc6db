"""The neuron of event-driven random back-propagation: a leaky soma, a synaptic current, and a dendrite for the error.

    i[n] = exp(-tick_s / tau_syn_s) i[n-1] + sum_k xi_k w_k + noise_std xi         xi_k: transmitted or not
    v[n] = v[n-1] + (1 - exp(-tick_s / tau_mem_s)) (i[n] - v[n-1])                   a spike when v >= threshold, v <- 0
    u[n] = exp(-tick_s / tau_dendrite_s) u[n-1] + sum_e g_e                          error spikes; u does not reach v

i, v, u     synaptic current, membrane, dendrite, all in units of the weights (the source's nA, with 1 nS: V)
w_k, g_e    weights of the inputs that fired in the last tick, and feedback weights of the error neurons that did
noise_std   standard deviation of what is added to i in each tick (the source adds Poisson events of 1 kHz instead)

Only the trainer erbp knows i and u: to every other the neuron is a membrane without them, and they refuse it.

f-I curve (constant i, no noise): a spike every refractory_ticks + n ticks with n the smallest whole number for which
i (1 - exp(-n tick_s / tau_mem_s)) >= threshold; none below i = threshold.

Source: E. Neftci, C. Augustine, S. Paul, G. Detorakis, Event-driven random back-propagation, Front. Neurosci. 11, 324
(2017), table 2: threshold 100 mV at 1 nS, time constants 1, 4 and 5 ms, refractory time 3.9 ms. With ticks of 1 ms
three ticks of rest let the neuron fire at 250 Hz at most, as fast as the data and label neurons.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from neurosim.models.neurons.base import SpikingParameters
from neurosim.registry import register
from neurosim.units import Seconds


@register("spiking", "erbp-lif")
class ErrorDrivenLeakyIntegrateAndFire(SpikingParameters):
    """A leaky neuron with a synaptic current and a dendrite that holds the error."""

    model: Literal["erbp-lif"] = "erbp-lif"
    threshold: float = Field(default=0.1, gt=0.0, description="a spike when v >= threshold (units of the weights)")
    reset: Literal["hard"] = Field(default="hard", description="after a spike v is 0")
    refractory_ticks: int = Field(
        default=3, ge=0, le=65535, description="ticks after a spike in which v does not integrate and cannot fire"
    )
    tau_mem_s: Seconds = Field(default=1e-3, gt=0.0, description="time constant of the membrane")
    tau_syn_s: Seconds = Field(default=4e-3, gt=0.0, description="time constant of the synaptic current")
    tau_dendrite_s: Seconds = Field(default=5e-3, gt=0.0, description="time constant of the dendrite")
    noise_std: float = Field(default=0.0, ge=0.0, description="noise added to the current in each tick")

    def leak(self, tick_s: float) -> float:
        """exp(-tick_s / tau_mem_s)."""
        return math.exp(-tick_s / self.tau_mem_s)


def integrate(v: float, current: float, leak: float) -> float:
    """leak v + (1 - leak) i."""
    return current + leak * (v - current)
