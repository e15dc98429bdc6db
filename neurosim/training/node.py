"""Node perturbation: inject a random current into every neuron, measure the change of the cost, write locally.

With ``sigma_j = S_l^(1/2)``, ``S_l = 1 + |a|^2`` (the local-activation normalisation) and random
signs u, |u| = 1::

    z_j  += norm_mag sigma_j u_j            for one inference
    c     = (C~) / norm_mag                 slope along the probe
    w_ij -= eta c u_j a_i / S_l^(1/2)       and the same with a = 1 for the bias

which is steepest descent along a rank-1 weight perturbation of length norm_mag. Without the normalisation
(``normalise_activity = false``) S_l = 1: ``dW_l = -eta (dC / sigma) eps_l x^T``, classic node perturbation (Dalm et
al., arXiv 2310.00965). ``mask_silent`` leaves out neurons whose activation does not respond (a relu below zero): a
local rule; a spiking neuron is left out when it fires never or in every tick of the window. ``step_limit`` caps the
step at kappa C / c^2: costs are not negative, so a longer one cannot be right. A convolution takes the mean over its
windows for |a|^2, and its shared weights add up over positions in the integrators.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from neurosim.registry import register
from neurosim.training.base import StepPlan, Trainer


class NodeSpace(Trainer):
    """What the trainers that probe in node space share."""

    normalise_activity: bool = True
    mask_silent: bool = True
    probe_rms: float | None = Field(
        default=None, gt=0.0, description="instead of norm_mag: rms of the injected currents over all neurons"
    )
    step_limit: float = Field(default=0.0, ge=0.0, description="kappa; 0: no limit")
    output_scale: float = Field(default=1.0, gt=0.0, description="v of the last layer; the others have 1")
    layer_scales: tuple[float, ...] | None = Field(default=None, description="v of every layer with weights, instead")

    def scales(self, layers: int) -> tuple[float, ...]:
        """v of each layer with weights: the amplitude of its probes, and of its steps, over the first layer's."""
        if self.layer_scales is None:
            return (*(1.0 for _ in range(layers - 1)), self.output_scale)
        return self.layer_scales


@register("trainer", "node")
class Node(NodeSpace):
    """Random node signs, one clean and one perturbed inference a step."""

    model: Literal["node"] = "node"

    def step_plan(self) -> StepPlan:
        """Clean, perturbed."""
        return StepPlan("node", (0, 1), "baseline")
