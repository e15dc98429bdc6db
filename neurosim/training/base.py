"""What all trainers share: time constants, amplitude, learning rate, optimiser, and the shape of a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from neurosim.registry import ModelParameters
from neurosim.spec.hardware import Mechanism, Rounding, WriteScheme

Space = Literal["weight", "node", "none"]


@dataclass(frozen=True)
class StepPlan:
    """The inferences of one step, in order, and the space in which they are perturbed.

    ``slots``: one entry per inference; 0 is the clean one, +1 and -1 add or subtract the perturbation of that
    inference. ``difference`` says how C~ is made of their costs.
    """

    space: Space
    slots: tuple[int, ...]
    difference: str
    numbers_per_period: int = 1
    """Perturbation numbers used up per tau_p (two-noisy uses two)."""


class Trainer(ModelParameters):
    """Parameters of every trainer. Time constants are whole numbers of steps; one step holds one or more inferences."""

    tau_x: int = Field(default=1, ge=1, description="steps per sample")
    tau_theta: int = Field(default=1, ge=1, description="steps per weight write")
    norm_mag: float = Field(default=0.01, gt=0.0, description="L2 norm of the whole perturbation vector")
    learning_rate: float = Field(gt=0.0)
    decay_steps: int = Field(default=0, ge=0, description="rate = learning_rate/(1 + step/decay_steps); 0: constant")
    optimizer: Literal["plain", "momentum", "adam"] = "plain"
    beta1: float = Field(default=0.9, ge=0.0, lt=1.0)
    beta2: float = Field(default=0.999, ge=0.0, lt=1.0)
    cost_clamp: float | None = Field(default=None, gt=0.0, description="C~ is clamped to +- this value")
    mechanism: Mechanism | None = Field(default=None, description="default: the chip's first that fits")
    host_loop: bool = Field(default=False, description="perturb and write through the host link where the chip cannot")
    write_scheme: WriteScheme | None = Field(default=None, description="default: the chip's")
    update_rounding: Rounding | None = Field(default=None, description="default: the chip's")
    max_pulses: int = Field(default=31, ge=1, description="most pulses on one device in one write")

    def step_plan(self) -> StepPlan:
        """The inferences of one step."""
        raise TypeError(f"{type(self).__name__} does not say what a step is")

    def needs(self) -> dict[str, str]:
        """Capabilities that the training needs, with the setting that asks for each."""
        out = {}
        if self.tau_theta > 1:
            out["gradient_integrators"] = f"training.tau_theta = {self.tau_theta}"
        if self.optimizer != "plain":
            out["gradient_integrators"] = f'training.optimizer = "{self.optimizer}"'
        return out
