"""Constant-step device: every pulse changes the weight by the same amount, up to hard bounds.

    dw = +scale_up   (up pulse),        dw = -scale_down   (down pulse),        w_min <= w <= w_max

w, dw                  weight and its change, weight units
scale_up, scale_down   this device's steps (``base``), weight units
w_min, w_max           this device's bounds, weight units

Source: T. Gokmen, Y. Vlasov, Acceleration of deep neural network training with resistive cross-point devices,
Front. Neurosci. 10, 333 (2016); aihwkit's ``ConstantStepDevice``.
"""

from __future__ import annotations

from typing import Literal

from neurosim.models.devices.base import DeviceParameters
from neurosim.registry import register

EXACT = False


@register("device", "constant-step")
class ConstantStep(DeviceParameters):
    """A linear device with hard bounds."""

    model: Literal["constant-step"] = "constant-step"


def step(w: float, up: bool, scale_up: float, scale_down: float, w_min: float, w_max: float) -> float:
    """Mean change by one pulse."""
    return scale_up if up else -scale_down
