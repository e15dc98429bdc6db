r"""Power-step device: the step is a power of the distance from the bound.

    dw = +scale_up   ((w_max_i - w) / (w_max_i - w_min_i))^gamma_up_i   (up pulse)
    dw = -scale_down ((w - w_min_i) / (w_max_i - w_min_i))^gamma_dn_i   (down pulse)
    r' = pow_up_down + pow_up_down_dtod xi_1
    gamma_up_i = pow_gamma (1 + r' + pow_gamma_dtod xi_2),        gamma_dn_i = pow_gamma (1 - r' + pow_gamma_dtod xi_3)

w, dw                  weight and its change, weight units
scale_up, scale_down   this device's steps at the far bound, weight units
w_min_i, w_max_i       this device's bounds, weight units
gamma                  dimensionless, at least 0; 0: constant step, 1: soft bounds

Source: D. Querlioz, O. Bichler, P. Dollfus, C. Gamrat, Immunity to device variations in a spiking neural network with
memristive nanodevices, IEEE Trans. Nanotechnol. 12, 288 (2013); aihwkit's ``PowStepDevice``.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from neurosim.models.devices.base import FIRST_OWN_DRAW, DeviceArrays, DeviceParameters, Normals
from neurosim.registry import register

EXACT = False


@register("device", "pow-step")
class PowStep(DeviceParameters):
    """A device whose step is a power of what is left to the bound."""

    model: Literal["pow-step"] = "pow-step"
    w_min: float = Field(default=-1.0, le=0.0, description="lower bound, in weight units")
    pow_gamma: float = Field(default=1.0, ge=0.0, description="exponent")
    pow_gamma_dtod: float = Field(default=0.0, ge=0.0, description="mismatch of the exponent, relative")
    pow_up_down: float = Field(default=0.0, ge=-1.0, le=1.0, description="asymmetry of the exponents, relative")
    pow_up_down_dtod: float = Field(default=0.0, ge=0.0, description="mismatch of that asymmetry, relative")

    def own(self, devices: DeviceArrays, normals: Normals) -> tuple[DeviceArrays, dict[str, NDArray[np.floating]]]:
        """gamma_up, gamma_down."""
        shift = self.pow_up_down + self.pow_up_down_dtod * normals(FIRST_OWN_DRAW)
        up = 1.0 + shift + self.pow_gamma_dtod * normals(FIRST_OWN_DRAW + 1)
        down = 1.0 - shift + self.pow_gamma_dtod * normals(FIRST_OWN_DRAW + 2)
        return devices, {"gamma_up": np.abs(self.pow_gamma * up), "gamma_down": np.abs(self.pow_gamma * down)}


def step(
    w: float, up: bool, scale_up: float, scale_down: float, w_min: float, w_max: float,
    gamma_up: float, gamma_down: float,
) -> float:  # fmt: skip
    """Mean change by one pulse."""
    left = max((w_max - w) / (w_max - w_min) if up else (w - w_min) / (w_max - w_min), 0.0)
    share: float = left ** (gamma_up if up else gamma_down)
    return share * (scale_up if up else -scale_down)
