"""Backpropagation: the reference that the chip's own ways of learning are compared with.

``theta -= eta dC/dtheta`` with the exact gradient of the modelled network (its mismatch included), one sample at a
time, averaged over tau_theta steps. The forward pass, the sample loads and the weight writes are charged as they
happen. The rest depends on who computes the gradient:

- software (the default): nothing more is charged to the chip. A reference for accuracy.
- the chip (``on_chip = true``): every sample is charged a transposed pass through the same arrays, its converters,
  the stored activities, and one accumulation per weight. What backpropagation would cost on the same substrate; the
  errors that it works with are exact, so it is a lower bound of what such a chip would need.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from neurosim.registry import register
from neurosim.training.base import StepPlan, Trainer


@register("trainer", "backprop")
class Backprop(Trainer):
    """Exact gradient of analog networks."""

    model: Literal["backprop"] = "backprop"
    on_chip: bool = Field(default=False, description="charge the transposed pass and the outer products to the chip")

    def step_plan(self) -> StepPlan:
        """One clean inference."""
        return StepPlan("none", (0,), "gradient")

    def needs(self) -> dict[str, str]:
        """On the chip: transposed reads, and integrators where a gradient is kept. In software: nothing."""
        if not self.on_chip:
            return {}
        return {**super().needs(), "transpose_read": "training.on_chip = true"}
