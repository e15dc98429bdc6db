r"""Exponential-step device: the step falls off exponentially towards the bounds.

    z = 2 a w / (w_max_i - w_min_i) + b
    dw = +scale_up   max(1 - A_up e^( gamma_up z), 0)   (up pulse)
    dw = -scale_down max(1 - A_dn e^(-gamma_dn z), 0)   (down pulse)
    noise of one pulse: dw_min_std (|dw| + dw_min_std_add + dw_min_std_slope |w|) xi

w, dw, dw_min_std_add         weight units
scale_up, scale_down          this device's steps far from the bounds, weight units
w_min_i, w_max_i              this device's bounds, weight units
a, b, A, gamma                dimensionless shape
dw_min_std_slope              per unit of w

The exponential is (1 + t + t^2/2 + ... + t^8/8!)^256 with t = x/256, which vectorises and has the same bits on every
machine; relative error below 1e-12 for |x| < 20, and x is cut to +-60.

Source: N. Gong et al., Signal and noise extraction from analog memory elements for neuromorphic computing, Nat. Commun.
9, 2102 (2018); aihwkit's ``ExpStepDevice``.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from neurosim.models.devices.base import DeviceParameters
from neurosim.registry import register

EXACT = False

C3, C4, C5, C6, C7, C8 = 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040, 1 / 40320
"""1 / k!: what is left of divisions."""


class ExponentialParameters(DeviceParameters):
    """The shape of exponential steps."""

    w_min: float = Field(default=-1.0, le=0.0, description="lower bound, in weight units")
    a: float = Field(default=1.0, description="stretches the weight")
    b: float = Field(default=0.0, description="shifts the weight")
    A_up: float = Field(default=0.0, description="height of the exponential of up steps; 0: constant steps")
    A_down: float = Field(default=0.0, description="height of the exponential of down steps; 0: constant steps")
    gamma_up: float = Field(default=1.0, description="steepness of up steps")
    gamma_down: float = Field(default=1.0, description="steepness of down steps")
    dw_min_std_add: float = Field(default=0.0, ge=0.0, description="constant part of the noise, in weight units")
    dw_min_std_slope: float = Field(default=0.0, ge=0.0, description="part of the noise that grows with |w|")


@register("device", "exp-step")
class ExpStep(ExponentialParameters):
    """A device whose step falls exponentially."""

    model: Literal["exp-step"] = "exp-step"


def step(
    w: float, up: bool, scale_up: float, scale_down: float, w_min: float, w_max: float,
    a: float, b: float, A_up: float, A_down: float, gamma_up: float, gamma_down: float,
) -> float:  # fmt: skip
    """Mean change by one pulse."""
    z = 2.0 * a * w / (w_max - w_min) + b
    x = gamma_up * z if up else -gamma_down * z
    t = min(max(x, -60.0), 60.0) * 0.00390625
    e = C8
    e = e * t + C7
    e = e * t + C6
    e = e * t + C5
    e = e * t + C4
    e = e * t + C3
    e = e * t + 0.5
    e = e * t + 1.0
    e = e * t + 1.0
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    e *= e
    share = max(1.0 - (A_up if up else A_down) * e, 0.0)
    return share * (scale_up if up else -scale_down)


def spread(w: float, dw: float, dw_min_std: float, dw_min_std_add: float, dw_min_std_slope: float) -> float:
    """Noise of one pulse."""
    return dw_min_std * (abs(dw) + dw_min_std_add + dw_min_std_slope * abs(w))
