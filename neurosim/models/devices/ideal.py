"""Ideal device: holds any number and takes any change exactly, without pulses, rounding, mismatch or noise.

    w <- w + dw

w, dw   weight and wanted change, weight units

Source: a definition; the yardstick that ``--ideal`` measures real devices against.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from neurosim.models.devices.base import PerfectParameters
from neurosim.registry import register

EXACT = True


@register("device", "ideal")
class Ideal(PerfectParameters):
    """A memory cell without faults; its bounds are so wide that no network meets them."""

    model: Literal["ideal"] = "ideal"
    w_max: float = Field(default=1e9, gt=0.0, description="upper bound, in weight units")
    w_min: float = Field(default=-1e9, le=0.0, description="lower bound, in weight units")


def step(w: float, up: bool, scale_up: float, scale_down: float, w_min: float, w_max: float) -> float:
    """+-dw_min, for whoever sends it pulses all the same."""
    return scale_up if up else -scale_down
