"""Multiplexed gradient descent: perturb weights by a code, broadcast the change of the cost, integrate, write.

Digital (McCaughan et al., APL Mach. Learn. 1, 026118 (2023), doi 10.1063/5.0157645)::

    C~ = C(theta + theta~) - C0
    G_i += C~ theta~_i / norm_mag^2          every step
    theta_i -= eta G_i ;  G_i = 0            every tau_theta steps

norm_mag is the L2 norm of the whole perturbation vector, the same for every code, so E[G] = tau_theta grad / P.
``normalise`` multiplies the estimate ghat = (P/tau) G by sqrt(tau/(tau+P-1)), so that E|update| = eta |grad| whatever
tau_theta and P (scaling paper, arXiv 2501.15403).

Analog: ``C~[n] = a (C~[n-1] + C[n] - C[n-1])`` with ``a = tau_hp/(tau_hp+1)`` (a high-pass; the edge when a new sample
comes is blanked), ``G = (C~ theta~/norm_mag^2 + tau_theta G)/(tau_theta+1)``, and theta moves by ``-eta G`` every step.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from neurosim import registry
from neurosim.registry import ModelParameters, register
from neurosim.training.base import StepPlan, Trainer


def _code(value: Any) -> ModelParameters:
    return registry.validated("perturbation", value)


@register("trainer", "mgd")
class MGD(Trainer):
    """Weight perturbation with a code; the slots of a step follow from ``difference``."""

    model: Literal["mgd"] = "mgd"
    code: Annotated[SerializeAsAny[ModelParameters], BeforeValidator(_code)] = Field(
        default="random", validate_default=True
    )
    difference: Literal["baseline", "two-sided", "two-noisy", "high-pass"] = "baseline"
    tau_p: int = Field(default=1, ge=1, description="steps per perturbation")
    normalise: bool = False

    @model_validator(mode="after")
    def _analog(self) -> MGD:
        if self.difference == "high-pass" and (self.optimizer != "plain" or self.normalise):
            raise ValueError("analog mode (difference = 'high-pass') has no optimiser and no normaliser")
        return self

    def step_plan(self) -> StepPlan:
        """Baseline: clean and perturbed; two-sided: plus and minus; two-noisy: two perturbations; analog: one."""
        slots = {"baseline": (0, 1), "two-sided": (1, -1), "two-noisy": (1, 1), "high-pass": (1,)}[self.difference]
        return StepPlan("weight", slots, self.difference, 2 if self.difference == "two-noisy" else 1)

    def needs(self) -> dict[str, str]:
        """Integrators are needed by analog mode and by windows longer than one perturbation."""
        out = super().needs()
        if self.difference == "high-pass":
            out["gradient_integrators"] = 'training.difference = "high-pass"'
        return out
