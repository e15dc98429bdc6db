r"""Soft-bounds device read against a reference: weight 0 is where the reference stands, not where the steps are equal.

    h = w + r_i                                  (what the cell holds; r_i what its reference cell holds)
    dw = +scale_up   (1 - h / w_max_i)           (up pulse)
    dw = -scale_down (1 - h / w_min_i)           (down pulse),        w_min_i <= h <= w_max_i

w, dw, h, r            weight units
scale_up, scale_down   this device's steps at h = 0
w_min_i, w_max_i       this device's bounds of h; those of w are shifted by -r_i

reference = "zero":             r_i = reference_mean + reference_std xi
reference = "symmetry-point":   r_i = h*_i + reference_mean + reference_std xi,
    h* = (scale_up - scale_down) / (scale_up / w_max - scale_down / w_min), where up and down steps are equal
noise = "relative":  dw (1 + dw_min_std xi);   noise = "constant":  dw + scale dw_min_std xi.

Source: aihwkit's ``SoftBoundsReferenceDevice``; N. Gong, M. J. Rasch et al., Deep learning acceleration in 14 nm CMOS
compatible ReRAM array: device, material and algorithm co-optimization, IEDM (2022).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from neurosim.models.devices.base import FIRST_OWN_DRAW, DeviceArrays, DeviceParameters, Normals
from neurosim.registry import register

EXACT = False


@register("device", "soft-bounds-reference")
class SoftBoundsReference(DeviceParameters):
    """A saturating device beside a reference device."""

    model: Literal["soft-bounds-reference"] = "soft-bounds-reference"
    w_min: float = Field(default=-1.0, lt=0.0, description="lower bound of what the cell holds, in weight units")
    reference: Literal["zero", "symmetry-point"] = Field(
        default="zero", description="what the reference cell is set to"
    )
    reference_mean: float = Field(default=0.0, description="offset of the reference, in weight units")
    reference_std: float = Field(default=0.0, ge=0.0, description="mismatch of the reference, in weight units")
    noise: Literal["relative", "constant"] = Field(
        default="relative", description="noise in proportion to the step, or to the step at h = 0"
    )

    @property
    def constant_noise(self) -> float:
        """1 where noise does not depend on w."""
        return float(self.noise == "constant")

    def own(self, devices: DeviceArrays, normals: Normals) -> tuple[DeviceArrays, dict[str, NDArray[np.floating]]]:
        """Each device's reference; the bounds become those of w."""
        up, down, low, high = (np.asarray(each, np.float64) for each in devices)
        r = self.reference_mean + self.reference_std * normals(FIRST_OWN_DRAW)
        if self.reference == "symmetry-point":
            fall = up / high - down / low
            r = r + np.divide(up - down, fall, out=np.zeros_like(up), where=fall > 0.0)
        r = np.clip(r, low, high)
        shifted = devices._replace(w_min=(low - r).astype(np.float32), w_max=(high - r).astype(np.float32))
        return shifted, {"bound_up": high, "bound_down": low}


def step(
    w: float, up: bool, scale_up: float, scale_down: float, w_min: float, w_max: float,
    bound_up: float, bound_down: float,
) -> float:  # fmt: skip
    """Mean change by one pulse: 1 - h / bound is (bound of w - w) / bound of h."""
    return scale_up * (w_max - w) / bound_up if up else -scale_down * (w_min - w) / bound_down


def spread(dw: float, up: bool, scale_up: float, scale_down: float, dw_min_std: float, constant_noise: float) -> float:
    """Noise of one pulse."""
    return dw_min_std * (abs(dw) * (1.0 - constant_noise) + (scale_up if up else scale_down) * constant_noise)
