r"""VTEAM memristor: a boundary moves at a speed that depends on the voltage, and the weight is the conductance.

    dx/dt = k_off (V / v_off - 1)^a_off   for V > v_off > 0       dx/dt = k_on (V / v_on - 1)^a_on   for V < v_on < 0
    R(x) = r_on + (r_off - r_on) x,   0 <= x <= 1,   G = 1 / R,   g = (G - G(1)) / (G(0) - G(1))
    w = w_min_i + (w_max_i - w_min_i) g

    up pulse:    x <- x - dx_up,    dx_up   = |k_on (up_V / v_on - 1)^a_on| up_s / thickness_m
    down pulse:  x <- x + dx_down,  dx_down = k_off (down_V / v_off - 1)^a_off down_s / thickness_m

x                    position of the boundary over the thickness (dimensionless)
k_on, k_off          m/s;  v_on, v_off, up_V, down_V  V;  up_s, down_s  s;  r_on, r_off  Ohm
w, dw                weight units; each device's dx are scaled by its scale_up / dw_min and scale_down / dw_min

Linear in x, the step in w is not: at low resistance a pulse moves the conductance most. There is no window function, so
n pulses from x0 lead to x0 - n dx_up, exactly. dw_min only names the step that a wanted change is divided by.

Source: S. Kvatinsky, M. Ramadan, E. G. Friedman, A. Kolodny, VTEAM: a general model for voltage-controlled memristors,
IEEE Trans. Circuits Syst. II 62, 786 (2015); parameters as in MemTorch (C. Lammie et al., Neurocomputing 485, 124
(2022)); the pulses are chosen for about a hundred steps over the range.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from neurosim.models.devices.base import DeviceParameters
from neurosim.registry import register
from neurosim.units import Seconds, Volts

EXACT = False


@register("device", "vteam")
class Vteam(DeviceParameters):
    """A voltage-threshold memristor."""

    model: Literal["vteam"] = "vteam"
    dw_min: float = Field(default=0.02, gt=0.0, description="step that a wanted change is divided by, in weight units")
    w_min: float = Field(default=-1.0, le=0.0, description="lower bound, in weight units: r_off")
    r_on_Ohm: float = Field(default=50.0, gt=0.0, description="smallest resistance")
    r_off_Ohm: float = Field(default=1000.0, gt=0.0, description="largest resistance")
    thickness_m: float = Field(default=3e-9, gt=0.0, description="that the boundary crosses")
    k_on: float = Field(default=-10.0, lt=0.0, description="speed of the boundary towards r_on, m/s")
    k_off: float = Field(default=5e-4, gt=0.0, description="speed of the boundary towards r_off, m/s")
    a_on: float = Field(default=3.0, gt=0.0, description="exponent of that speed")
    a_off: float = Field(default=1.0, gt=0.0, description="exponent of that speed")
    v_on: Volts = Field(default=-0.2, lt=0.0, description="threshold towards r_on")
    v_off: Volts = Field(default=0.02, gt=0.0, description="threshold towards r_off")
    up_V: Volts = Field(default=-0.3, lt=0.0, description="up pulse")
    up_s: Seconds = Field(default=24e-12, gt=0.0, description="length of the up pulse")
    down_V: Volts = Field(default=0.1, gt=0.0, description="down pulse")
    down_s: Seconds = Field(default=15e-9, gt=0.0, description="length of the down pulse")

    @model_validator(mode="after")
    def _above_threshold(self) -> Vteam:
        if self.up_V >= self.v_on:
            raise ValueError(f"up_V ({self.up_V:g} V) does not pass v_on ({self.v_on:g} V): up pulses would do nothing")
        if self.down_V <= self.v_off:
            raise ValueError(f"down_V ({self.down_V:g} V) does not pass v_off ({self.v_off:g} V): nothing would happen")
        if self.r_off_Ohm <= self.r_on_Ohm:
            raise ValueError("r_off_Ohm must be above r_on_Ohm")
        return self

    @property
    def dx_up(self) -> float:
        """What one up pulse moves the boundary by, over the thickness, for each unit of scale_up."""
        speed: float = abs(self.k_on) * (self.up_V / self.v_on - 1.0) ** self.a_on
        return speed * self.up_s / self.thickness_m / self.dw_min

    @property
    def dx_down(self) -> float:
        """The same of one down pulse."""
        speed: float = self.k_off * (self.down_V / self.v_off - 1.0) ** self.a_off
        return speed * self.down_s / self.thickness_m / self.dw_min

    @property
    def ratio(self) -> float:
        """r_off / r_on."""
        return self.r_off_Ohm / self.r_on_Ohm


def step(
    w: float, up: bool, scale_up: float, scale_down: float, w_min: float, w_max: float,
    dx_up: float, dx_down: float, ratio: float,
) -> float:  # fmt: skip
    """Mean change by one pulse: conductance to boundary, the boundary moves, and back."""
    g = min(max((w - w_min) / (w_max - w_min), 0.0), 1.0)
    x = (ratio / (1.0 + g * (ratio - 1.0)) - 1.0) / (ratio - 1.0)
    x = min(max(x - scale_up * dx_up if up else x + scale_down * dx_down, 0.0), 1.0)
    g = (ratio / (1.0 + (ratio - 1.0) * x) - 1.0) / (ratio - 1.0)
    return w_min + (w_max - w_min) * g - w
