"""What all rules of plasticity have in common (not a model): pairs of spikes, remembered by traces.

A file of kind ``plasticity`` holds, besides its schema,

* ``on_pre(w, x, y, *coefficients) -> w``: the weight after a presynaptic spike has arrived
* ``on_post(w, x, y, *coefficients) -> w``: the weight after a postsynaptic spike

and the schema gives ``coefficients(tick_s)``. x is the trace of the presynaptic neuron, y that of the postsynaptic one,
both without the spike at hand. A trace falls by ``exp(-tick_s / tau)`` in every tick and rises by 1 with every spike
(``pairing = "all"``: every pair counts), or to 1 (``"nearest"``: a spike sees the last one of the other side only). One
that has fallen below 1e-30 is 0.

In each tick the engine lets all traces fall; then every presynaptic spike that arrives changes the weights of its
synapses (``on_pre``) and raises x; then, once neurons have fired, every postsynaptic spike changes the weights that
lead to its neuron (``on_post``) and raises y. So a presynaptic spike that arrives in the tick in which the
postsynaptic neuron fires comes before it. What a spike delivers is the weight before its own change.

Equations are scalar and without branches (``min``, ``max``, arithmetic): loops over synapses then run as vectors.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from neurosim.registry import ModelParameters
from neurosim.units import Seconds


class PlasticityParameters(ModelParameters):
    """The engine's part of a rule: two traces, and bounds of the weights."""

    tau_plus_s: Seconds = Field(default=20e-3, gt=0.0, description="how long x remembers a presynaptic spike")
    tau_minus_s: Seconds = Field(default=20e-3, gt=0.0, description="how long y remembers a postsynaptic spike")
    w_min: float = Field(default=0.0, description="lowest weight")
    w_max: float = Field(default=1.0, description="highest weight")
    pairing: Literal["all", "nearest"] = Field(default="all", description="which pairs of spikes count")

    @model_validator(mode="after")
    def _room(self) -> PlasticityParameters:
        if self.w_min >= self.w_max:
            raise ValueError("w_min must lie below w_max")
        return self

    def decays(self, tick_s: float) -> tuple[float, float]:
        """What is left of x and y after one tick of ``tick_s`` seconds."""
        return math.exp(-tick_s / self.tau_plus_s), math.exp(-tick_s / self.tau_minus_s)

    def coefficients(self, tick_s: float) -> tuple[float, ...]:
        """The numbers that ``on_pre`` and ``on_post`` take, for ticks of ``tick_s`` seconds."""
        raise NotImplementedError(f"the schema of {self.model!r} must define coefficients(tick_s)")
