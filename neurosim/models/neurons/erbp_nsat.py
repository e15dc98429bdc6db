"""The integer neuron of event-driven random back-propagation: two states, leaks by shifts, a whole-number threshold.

    V <- V - shift(V, membrane_shift) + clip16(2^gain sum_k xi_k w_k) + trunc(noise_std xi)    fires if V >= threshold
    U <- U - shift(U, dendrite_shift) + clip16(2^feedback_gain sum_e g_e)                      the error; not seen by V
    shift(x, a) = sign(x) max(1, floor(|x| 2^a))                                                0 for x = 0

V, U        membrane and dendrite, 16-bit whole numbers, cut to +-32767 in every tick
w_k, g_e    whole-number weights of the inputs, and of the error neurons, that fired in the last tick
xi_k        1 with probability transmit/15 (blank-out), else 0; xi: standard normal

After a spike V goes on as it is (``reset = "none"``) or is 0 (``"hard"``); the neuron rests for ``refractory_ticks``,
in which V integrates (``none``; in the last of them it may fire) or stays 0 (``hard``). Synapses onto V learn only
while gate_low < V < gate_high.

Only the trainer erbp with ``arithmetic = "integer"`` knows both states; every other refuses the neuron.

f-I curve (constant V >= threshold, reset none): a spike every max(1, refractory_ticks) ticks; none below.

Source: G. Detorakis et al., Front. Neurosci. 12, 583 (2018), and the authors' simulator, whose event-driven random
back-propagation has shifts of -7 and -6, threshold 500, gains 3 and 4 and 39 ticks of rest at 0.1 ms a tick; the
defaults here are for ticks of 1 ms.
"""

from __future__ import annotations

from typing import Annotated, Literal, cast

import numpy as np
from pydantic import Field, model_validator

from neurosim.models.neurons.base import SpikingParameters
from neurosim.registry import register

Leak = Annotated[int, Field(ge=-15, le=-1)]
Gain = Annotated[int, Field(ge=-15, le=15)]
LEAST = cast("float", np.int8(1))
"""Of the smallest type, so that float32 stays float32 (``models.constants``)."""


@register("spiking", "erbp-nsat")
class IntegerErrorDrivenNeuron(SpikingParameters):
    """An integer neuron with a membrane and a dendrite that holds the error."""

    model: Literal["erbp-nsat"] = "erbp-nsat"
    threshold: float = Field(
        default=144.0, gt=0.0, le=32767.0, description="a spike when V >= threshold, a whole number"
    )
    reset: Literal["none", "hard"] = Field(default="none", description="after a spike: V as it is (none), or 0 (hard)")
    refractory_ticks: int = Field(
        default=4, ge=0, le=65535, description="the soonest next spike, in ticks (none); ticks for which V is 0 (hard)"
    )
    membrane_shift: Leak = Field(default=-2, description="V loses 2^shift of itself a tick, at least 1")
    dendrite_shift: Leak = Field(default=-3, description="U loses 2^shift of itself a tick, at least 1")
    gain: Gain = Field(default=2, description="shift of the sum of synaptic events on V")
    feedback_gain: Gain = Field(default=4, description="shift of the sum of error events on U")
    transmit: int = Field(default=15, ge=0, le=15, description="of 15 synaptic events on V so many get through")
    noise_std: int = Field(
        default=0, ge=0, le=32767, description="Gaussian noise on V in each tick, cut to whole numbers"
    )
    gate_low: int = Field(default=-1500, ge=-32768, le=32767, description="synapses onto V learn above")
    gate_high: int = Field(default=1500, ge=-32768, le=32767, description="and below")

    @model_validator(mode="after")
    def _whole(self) -> IntegerErrorDrivenNeuron:
        problems = []
        if self.threshold != int(self.threshold):
            problems.append(f"threshold = {self.threshold:g}: must be a whole number")
        if self.v_min is not None:
            problems.append("v_min: this neuron has the limits of its 16 bits; leave it out")
        if self.gate_low >= self.gate_high:
            problems.append("gate_low must lie below gate_high")
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def leak(self, tick_s: float) -> float:
        """1 - 2^membrane_shift: it belongs to a tick, however long that lasts."""
        return 1.0 - 2.0**self.membrane_shift


def integrate(v: float, current: float, leak: float) -> float:
    """V - sign(V) max(1, floor(|V| (1 - leak))) + what arrived; for whole numbers."""
    lost: float = max(np.floor(abs(v) * (LEAST - leak)), LEAST)
    new: float = v + current - lost * np.sign(v)
    return new
