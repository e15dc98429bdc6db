r"""Piecewise-step device: the step follows measured curves, linear between equally spaced nodes.

    x = (w - w_min_i) / (w_max_i - w_min_i) (nodes - 1)
    dw = +scale_up   lerp(up, x)   (up pulse),        dw = -scale_down lerp(down, x)   (down pulse)

w, dw                  weight and its change, weight units
scale_up, scale_down   this device's steps, weight units
w_min_i, w_max_i       this device's bounds; the nodes are spread over its own range
up, down               relative steps at the nodes, from w_min to w_max (dimensionless, at least 0)

Source: aihwkit's ``PiecewiseStepDevice``; the nodes come from a measurement (``neurosim device fit``).
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from neurosim.models.devices.base import DeviceParameters
from neurosim.registry import register

EXACT = False


@register("device", "piecewise-step")
class PiecewiseStep(DeviceParameters):
    """A device with measured up and down curves."""

    model: Literal["piecewise-step"] = "piecewise-step"
    w_min: float = Field(default=-1.0, le=0.0, description="lower bound, in weight units")
    up: tuple[float, ...] = Field(default=(1.0, 1.0), min_length=2, description="relative up steps from w_min to w_max")
    down: tuple[float, ...] = Field(
        default=(1.0, 1.0), min_length=2, description="relative down steps from w_min to w_max"
    )

    @model_validator(mode="after")
    def _curves(self) -> PiecewiseStep:
        if len(self.up) != len(self.down):
            raise ValueError(f"up has {len(self.up)} nodes and down {len(self.down)}; both curves need the same nodes")
        if min(self.up) < 0.0 or min(self.down) < 0.0:
            raise ValueError("up and down hold relative steps, which cannot be negative")
        return self

    @property
    def nodes(self) -> float:
        """Nodes of each curve."""
        return float(len(self.up))

    def table(self) -> NDArray[np.float64]:
        """up, then down."""
        return np.array([*self.up, *self.down])


def step(
    w: float, up: bool, scale_up: float, scale_down: float, w_min: float, w_max: float,
    nodes: float, table: NDArray[np.float64],
) -> float:  # fmt: skip
    """Mean change by one pulse."""
    last = int(nodes) - 1
    x = min(max((w - w_min) / (w_max - w_min), 0.0), 1.0) * last
    k = min(int(x), last - 1)
    first = k if up else k + last + 1
    share: float = table[first] + (x - k) * (table[first + 1] - table[first])
    return share * (scale_up if up else -scale_down)
