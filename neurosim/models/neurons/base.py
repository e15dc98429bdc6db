"""What all spiking neurons have in common: threshold, reset, refractory time and floor (not a model)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from neurosim.registry import ModelParameters


class SpikingParameters(ModelParameters):
    """The engine's part of a spiking neuron; a model adds how the membrane integrates and leaks."""

    threshold: float = Field(default=1.0, gt=0.0, description="a spike when v >= threshold (units of v)")
    reset: Literal["soft", "hard", "none"] = Field(
        default="soft", description="after a spike: v - threshold (soft), 0 (hard), or v as it is (none)"
    )
    refractory_ticks: int = Field(
        default=0, ge=0, le=65535, description="ticks after a spike in which v does not integrate and cannot fire"
    )
    v_min: float | None = Field(default=None, le=0.0, description="floor of v, before the threshold; none: no floor")

    @model_validator(mode="after")
    def _reset_leaves_floor(self) -> SpikingParameters:
        if self.v_min is not None and self.v_min >= self.threshold:
            raise ValueError("v_min must lie below the threshold")
        return self

    def leak(self, tick_s: float) -> float:
        """What is left of v after one tick of ``tick_s`` seconds, in 0..1."""
        raise NotImplementedError(f"the schema of {self.model!r} must define leak(tick_s)")
