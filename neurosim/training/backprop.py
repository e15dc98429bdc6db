"""Backpropagation in software: the reference that the chip's own training is compared with.

``theta -= eta dC/dtheta`` with the exact gradient of the modelled network (its mismatch included), one sample at a
time, averaged over tau_theta steps. Nothing of the transposed pass is charged to the chip: it is a reference, not a
capability; the forward pass, the sample loads and the weight writes are charged as they happen.
"""

from __future__ import annotations

from typing import Literal

from neurosim.registry import register
from neurosim.training.base import StepPlan, Trainer


@register("trainer", "backprop")
class Backprop(Trainer):
    """Exact gradient of analog networks."""

    model: Literal["backprop"] = "backprop"

    def step_plan(self) -> StepPlan:
        """One clean inference."""
        return StepPlan("none", (0,), "gradient")

    def needs(self) -> dict[str, str]:
        """Nothing: the gradient is computed in software."""
        return {}
