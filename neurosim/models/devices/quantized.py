"""Quantised device: a digital memory word; one pulse is one least significant bit.

    LSB = (w_max - w_min) / (2^bits - 1),        w = w_min + k LSB,   k = 0 .. 2^bits - 1,        k <- k +- 1

w, w_min, w_max, LSB   weight units
bits                   width of the word

The 2^bits levels include both bounds. With w_min = -w_max zero lies between two levels; a two's complement word that
holds zero has w_max = -w_min (1 - 2^(1 - bits)), for example bits = 8, w_min = -128, w_max = 127. Devices start on the
grid, and ``step`` leads from level to level, so that rounding errors of many steps do not add up.

Source: a definition; on-chip learning with few bits: M. Davies et al., Loihi, IEEE Micro 38, 82 (2018).
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from neurosim.models.devices.base import PerfectParameters
from neurosim.registry import register

EXACT = False


@register("device", "quantized")
class Quantized(PerfectParameters):
    """A digital weight word."""

    model: Literal["quantized"] = "quantized"
    bits: int = Field(default=8, ge=1, le=20, description="width of the weight word")
    dw_min: float = Field(default=0.0, ge=0.0, description="0: the LSB, which bounds and bits settle")

    @model_validator(mode="after")
    def _step_is_lsb(self) -> Quantized:
        if self.dw_min != 0.0 and not math.isclose(self.dw_min, self.step_size, rel_tol=1e-6):
            raise ValueError(f"dw_min follows from bits and bounds ({self.step_size:g}) and cannot be chosen")
        return self

    @property
    def step_size(self) -> float:
        """The LSB."""
        return (self.w_max - self.w_min) / float(2**self.bits - 1)

    @property
    def grid(self) -> float:
        """The LSB."""
        return self.step_size


def step(w: float, up: bool, scale_up: float, scale_down: float, w_min: float, w_max: float) -> float:
    """From the level nearest to w to the next one, up or down."""
    level = math.floor((w - w_min) / scale_up + 0.5)
    return w_min + (level + 1 if up else level - 1) * scale_up - w
