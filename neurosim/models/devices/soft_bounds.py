"""Soft-bounds device: the step shrinks linearly to zero as the weight nears its bound.

    dw = +scale_up   (1 - w / w_max)   (up pulse)
    dw = -scale_down (1 - w / w_min)   (down pulse)

w, dw                  weight and its change, weight units
scale_up, scale_down   this device's steps at w = 0, weight units
w_min, w_max           this device's bounds, weight units

n up pulses from w = 0 give w(n) = w_max (1 - (1 - scale_up / w_max)^n), and likewise downwards; up and down pulses in
turn drive the weight to the symmetry point w* = (scale_up - scale_down) / (scale_up / w_max - scale_down / w_min).

Source: S. Fusi, L. F. Abbott, Limits on the memory storage capacity of bounded synapses, Nat. Neurosci. 10, 485 (2007);
aihwkit's ``SoftBoundsDevice``.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from neurosim.models.devices.base import DeviceParameters
from neurosim.registry import register

EXACT = False


@register("device", "soft-bounds")
class SoftBounds(DeviceParameters):
    """A saturating device, as most resistive memories are."""

    model: Literal["soft-bounds"] = "soft-bounds"
    w_min: float = Field(default=-1.0, lt=0.0, description="lower bound, in weight units; the step vanishes there")


def step(w: float, up: bool, scale_up: float, scale_down: float, w_min: float, w_max: float) -> float:
    """Mean change by one pulse."""
    return scale_up * (w_max - w) / w_max if up else -scale_down * (w_min - w) / w_min
