r"""Floating gate or SONOS transistor: charge in a trap layer, written step by step, that spreads over days.

    dw = +scale_up   (w_max_i - w) / (w_max_i - w_min_i)   (erase pulse)
    dw = -scale_down (w - w_min_i) / (w_max_i - w_min_i)   (program pulse)
    retention:  I(t) = I + sqrt(sigma(t)^2 - sigma(0)^2) xi_i,   sigma(t) = A(t) (1 - e^(-I / B(t))),   xi_i frozen
    one read:            std = 12.58037 nA (1 - e^(-I / 215.36557 nA)) read_noise_scale
    write-and-verify:    std = sigma(0)

w, dw   weight units;  I = i_max_nA (w - w_min) / (w_max - w_min), nominal bounds
A, B    nA: 19.887, 176.31 at once; 25.591, 186.86 after 1 d; 28.728, 193.57 (2 d); 31.043, 198.90 (3 d);
        33.762, 204.77 (4 d); 34.579, 207.34 (5 d); linear in between, constant after; the mean does not drift here

Source: T. P. Xiao et al., An accurate, error-tolerant, and energy-efficient neural network inference engine based on
SONOS analog memory, IEEE Trans. Circuits Syst. I 69, 1480 (2022), with the numbers of CrossSim's ``SONOS`` devices. The
steps are those of a self-limiting charge (assumed): the source programs with verification only.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from neurosim.models.devices.base import FIRST_OWN_DRAW, DeviceArrays, DeviceParameters, Normals
from neurosim.registry import register

EXACT = False

A_NA = (19.887, 25.591, 28.728, 31.043, 33.762, 34.579)
"""Heights of sigma after 0 to 5 days."""
B_NA = (176.31, 186.86, 193.57, 198.90, 204.77, 207.34)
"""Currents of sigma after 0 to 5 days."""


@register("device", "sonos")
class Sonos(DeviceParameters):
    """A charge-trap transistor."""

    model: Literal["sonos"] = "sonos"
    w_min: float = Field(default=-1.0, le=0.0, description="lower bound, in weight units: no current")
    i_max_nA: float = Field(default=1600.0, gt=0.0, description="current at w_max")
    retention_scale: float = Field(default=1.0, ge=0.0, description="factor on the spread over days; 0: none")
    read_noise_scale: float = Field(default=1.0, ge=0.0, description="factor on the noise of reads; 0: none")

    @property
    def low(self) -> float:
        """The nominal lower bound."""
        return self.w_min

    @property
    def nA(self) -> float:
        """Current per unit of weight."""
        return self.i_max_nA / (self.w_max - self.w_min)

    @property
    def switched_off(self) -> tuple[str, ...]:
        """Retention, noise of reads, where their factor is 0."""
        off = (("aged", self.retention_scale), ("read_spread", self.read_noise_scale))
        return tuple(name for name, scale in off if scale == 0.0)

    def own(self, devices: DeviceArrays, normals: Normals) -> tuple[DeviceArrays, dict[str, NDArray[np.floating]]]:
        """Where the device's charge spreads to."""
        return devices, {"retention_xi": normals(FIRST_OWN_DRAW)}

    def table(self) -> NDArray[np.float64]:
        """A of the days, then B."""
        return np.array([*A_NA, *B_NA])


def step(w: float, up: bool, scale_up: float, scale_down: float, w_min: float, w_max: float) -> float:
    """Mean change by one pulse."""
    return scale_up * (w_max - w) / (w_max - w_min) if up else -scale_down * (w - w_min) / (w_max - w_min)


def aged(
    w: float, age_s: float, low: float, nA: float, retention_xi: float, retention_scale: float,
    table: NDArray[np.float64],
) -> float:  # fmt: skip
    """The weight ``age_s`` after its last pulse."""
    current = max((w - low) * nA, 0.0)
    day = min(age_s / 86400.0, 5.0)
    k = min(int(day), 4)
    height = table[k] + (day - k) * (table[k + 1] - table[k])
    width = table[6 + k] + (day - k) * (table[7 + k] - table[6 + k])
    first = table[0] * (1.0 - math.exp(-current / table[6]))
    now = height * (1.0 - math.exp(-current / width))
    moved = math.sqrt(max(now * now - first * first, 0.0))
    return w + retention_scale * moved * retention_xi / nA


def read_spread(w: float, low: float, nA: float, read_noise_scale: float) -> float:
    """Noise of one read."""
    return read_noise_scale * 12.58037 * (1.0 - math.exp(-max((w - low) * nA, 0.0) / 215.36557)) / nA


def write_spread(w: float, low: float, nA: float, table: NDArray[np.float64]) -> float:
    """What is left of a weight's error after writing with verification."""
    return float(table[0] * (1.0 - math.exp(-max((w - low) * nA, 0.0) / table[6])) / nA)
