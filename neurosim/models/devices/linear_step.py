r"""Linear-step device: the step falls linearly with the weight.

    slope_up = 1 - gamma_up_i w / w_max_i,        dw = +scale_up   slope_up   (up pulse)
    slope_dn = 1 - gamma_dn_i w / w_min_i,        dw = -scale_down slope_dn   (down pulse)
    gamma_up_i = |gamma_up + gamma_up_dtod xi|,   gamma_dn_i likewise

w, dw                  weight and its change, weight units
scale_up, scale_down   this device's steps at w = 0, weight units
w_min, w_max           this device's bounds, weight units
gamma_up, gamma_down   share of the step that is lost at the bound (dimensionless); 0: constant step, 1: soft bounds

noise = "relative":  dw (1 + dw_min_std xi);   noise = "constant":  dw + scale dw_min_std xi.
reference_bound = "mean": the slope refers to the nominal w_max and w_min instead of the device's own.

n up pulses from w = 0 give w(n) = w_max/gamma (1 - (1 - gamma scale_up / w_max)^n), up to the bound.

Source: T. Gokmen, Y. Vlasov, Front. Neurosci. 10, 333 (2016); aihwkit's ``LinearStepDevice``.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from neurosim.models.devices.base import FIRST_OWN_DRAW, DeviceArrays, DeviceParameters, Normals
from neurosim.registry import register

EXACT = False


class LinearParameters(DeviceParameters):
    """What linear steps have beyond a constant one."""

    w_min: float = Field(default=-1.0, lt=0.0, description="lower bound, in weight units")
    gamma_up: float = Field(default=0.0, ge=0.0, description="share of the up step that is lost at w_max")
    gamma_down: float = Field(default=0.0, ge=0.0, description="share of the down step that is lost at w_min")
    gamma_up_dtod: float = Field(default=0.0, ge=0.0, description="mismatch of gamma_up, absolute")
    gamma_down_dtod: float = Field(default=0.0, ge=0.0, description="mismatch of gamma_down, absolute")
    noise: Literal["relative", "constant"] = Field(
        default="relative", description="noise in proportion to the step, or to the step at w = 0"
    )
    reference_bound: Literal["own", "mean"] = Field(
        default="own", description="the slope refers to the device's own bounds, or to the nominal ones"
    )

    @property
    def constant_noise(self) -> float:
        """1 where noise does not depend on w."""
        return float(self.noise == "constant")

    def own(self, devices: DeviceArrays, normals: Normals) -> tuple[DeviceArrays, dict[str, NDArray[np.floating]]]:
        """slope_up, slope_down: gamma over the bound that it refers to, so that dw = scale (1 - slope w)."""
        gamma_up = np.abs(self.gamma_up + self.gamma_up_dtod * normals(FIRST_OWN_DRAW))
        gamma_down = np.abs(self.gamma_down + self.gamma_down_dtod * normals(FIRST_OWN_DRAW + 1))
        own = self.reference_bound == "own"
        return devices, {
            "slope_up": gamma_up / (devices.w_max if own else self.w_max),
            "slope_down": gamma_down / (devices.w_min if own else self.w_min),
        }


@register("device", "linear-step")
class LinearStep(LinearParameters):
    """A device whose step depends linearly on its weight."""

    model: Literal["linear-step"] = "linear-step"


def step(w: float, up: bool, scale_up: float, scale_down: float, slope_up: float, slope_down: float) -> float:
    """Mean change by one pulse."""
    return scale_up * (1.0 - slope_up * w) if up else -scale_down * (1.0 - slope_down * w)


def spread(dw: float, up: bool, scale_up: float, scale_down: float, dw_min_std: float, constant_noise: float) -> float:
    """Noise of one pulse."""
    return dw_min_std * (abs(dw) * (1.0 - constant_noise) + (scale_up if up else scale_down) * constant_noise)
