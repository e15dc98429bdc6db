r"""Capacitor: nearly linear steps, and a charge that leaks away.

    dw as in ``linear-step`` (current sources that fill and empty it)
    leak:       w(t) = w e^(-t / tau_i),   tau_i = tau_leak_s |1 + tau_leak_dtod xi|, t the time since the last pulse
    diffusion:  w <- w + diffusion sqrt(dt) xi; with the leak an Ornstein-Uhlenbeck process, in dt of standard deviation
                diffusion sqrt(tau_i / 2 (1 - e^(-2 dt / tau_i)))

w, dw        weight units; 0 is the resting charge
tau_leak_s   s;  diffusion_per_sqrt_s  weight units per sqrt(s)

Leak acts on the chip's seconds: a chip that takes ten times as long for a step forgets ten times as much between two.

Source: Y. Li et al., Capacitor-based cross-point array for analog neural network with record symmetry and linearity,
VLSI Technology (2018); aihwkit's ``CapacitorPresetDevice``, whose decay is per mini-batch instead.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from neurosim.models.devices import linear_step
from neurosim.models.devices.base import FIRST_OWN_DRAW, DeviceArrays, Normals
from neurosim.models.devices.linear_step import LinearParameters
from neurosim.registry import register
from neurosim.units import Seconds

EXACT = False
MEMORYLESS = True
"""What has leaked until now does not matter for how the rest leaks."""

step = linear_step.step
spread = linear_step.spread


@register("device", "capacitor")
class Capacitor(LinearParameters):
    """A leaky cell."""

    model: Literal["capacitor"] = "capacitor"
    tau_leak_s: Seconds = Field(default=1.0, gt=0.0, description="time constant of the leak")
    tau_leak_dtod: float = Field(default=0.0, ge=0.0, description="mismatch of that time, relative")
    diffusion_per_sqrt_s: float = Field(default=0.0, ge=0.0, description="random walk, weight units per root second")

    @property
    def switched_off(self) -> tuple[str, ...]:
        """No walk without diffusion."""
        return ("elapse",) if self.diffusion_per_sqrt_s == 0.0 else ()

    def own(self, devices: DeviceArrays, normals: Normals) -> tuple[DeviceArrays, dict[str, NDArray[np.floating]]]:
        """Slopes of the steps, and the rate of the leak."""
        devices, slopes = super().own(devices, normals)
        tau = self.tau_leak_s * np.abs(1.0 + self.tau_leak_dtod * normals(FIRST_OWN_DRAW + 2))
        return devices, {**slopes, "leak_per_s": 1.0 / np.maximum(tau, 1e-3 * self.tau_leak_s)}


def aged(w: float, age_s: float, leak_per_s: float) -> float:
    """The weight ``age_s`` after its last pulse."""
    return w * math.exp(-age_s * leak_per_s)


def elapse(w: float, dt_s: float, xi: float, diffusion_per_sqrt_s: float, leak_per_s: float) -> float:
    """What is left, after ``dt_s``, of the random walk of that time."""
    return w + diffusion_per_sqrt_s * math.sqrt(-math.expm1(-2.0 * leak_per_s * dt_s) / (2.0 * leak_per_s)) * xi
