"""delta-MGD: an astrocyte remembers, per class, the cost's slope at every neuron, and aims the perturbations by it.

Since dC/dw_ij = delta_j a_i with delta_j = dC/db_j, one number per neuron and class aligns the perturbations of all its
synapses: ``theta~_ij ~ a_i delta_j``, which is a node injection. In probe coordinates (see ``kernels.nodes``) the
astrocyte's memory M of class k predicts the gradient ``h_j = sigma_j s M_kj`` with s a measure of the sample's own cost
(``residual`` of the cost model, or 1). With u = h/|h| and r random signs orthogonal to h, |r| = 1:

``combined`` (two inferences): one probe ``p = cos(phi) u + sin(phi) r`` measures the slope c = C~/norm_mag; what the
memory did not predict is ``e = c - cos(phi) |h|``. The estimate is ``hhat = alpha h + e (k_u cos(phi) u + k_r sin(phi)
r)``: the remembered part sets the step's direction, and the measured surprise corrects step and memory along both. At
phi = 90 degrees the remembered part would be taken on trust, and a memory of the wrong sign never found out.

``separate`` (three inferences): u and r are probed one after the other; ``hhat = k_u c_u u + k_r c_r r``: nothing is
taken on trust, and a stale memory with the wrong sign reverses its own step.

``alternate`` (two inferences): the aligned and the orthogonal probe take turns, a step each, both measured.

Step: ``eta' = min(eta, kappa C / q)`` with q the estimate's expected decrease per unit rate, then
``w_ij -= eta' hhat_j sigma_j a_i / S_l``. Memory: ``M_kj += s e (rho sin(phi) r_j + rho_u cos(phi) u_j) / sigma_j`` on
the same probes (``refresh = "probes"``), or by rare separate measurements of bias-only random probes (``refresh =
"bias"``, the founding talk's way).

Source: O'Loughlin et al., "delta-vector multiplexed gradient descent", NICE 2026 (aim, not formulas: these are derived
here); the memory is one slow leaky state per class and neuron, with the chip's leak, precision and noise.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from neurosim.registry import register
from neurosim.training.base import StepPlan
from neurosim.training.node import NodeSpace


@register("trainer", "delta-mgd")
class DeltaMGD(NodeSpace):
    """Aligned and orthogonal probes; a delta-vector per class."""

    model: Literal["delta-mgd"] = "delta-mgd"
    probes: Literal["combined", "separate", "alternate"] = "combined"
    aligned: Literal["proportional", "sign"] = "proportional"
    probe_angle: float = Field(default=80.0, ge=0.0, le=90.0, description="phi in degrees, combined probes")
    prior_rate: float = Field(default=0.8, ge=0.0, description="alpha: trust in the remembered gradient")
    aligned_rate: float = Field(default=3.0, ge=0.0, description="k_u")
    orthogonal_rate: float = Field(default=12.0, ge=0.0, description="k_r")
    memory_rate: float = Field(default=0.5, ge=0.0, description="rho, along the orthogonal probe")
    aligned_memory_rate: float = Field(default=0.4, ge=0.0, description="rho_u, along the aligned probe")
    scale_by_cost: bool = Field(default=True, description="s = residual of the measured cost; otherwise 1")
    refresh: Literal["probes", "bias"] = "probes"
    refresh_every: int = Field(default=1000, ge=1, description="steps between bias refreshes of all classes")
    refresh_measurements: int = Field(default=100, ge=1, description="bias probes per class and refresh")

    refresh_blend: float = Field(default=1.0, gt=0.0, le=1.0, description="share of the new estimate in a refresh")

    def step_plan(self) -> StepPlan:
        """Clean and one probe, or clean, aligned, orthogonal."""
        return StepPlan("node", (0, 1, 1) if self.probes == "separate" else (0, 1), "baseline")

    def needs(self) -> dict[str, str]:
        """The astrocyte's delta memory."""
        return {**super().needs(), "delta_memory": 'training.model = "delta-mgd"'}
