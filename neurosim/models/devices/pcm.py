r"""Phase-change memory cell: partial crystallisation step by step, abrupt melting, drift, and 1/f noise.

    up pulse (SET):      the exponential step of ``exp-step`` with its noise
    down pulse (RESET):  dw = -w (the cell melts)
    drift:               w(t) = w (t / t0)^-nu_i for t > t0, t the time since the cell was last programmed
                         nu_i = |mu(u) + sigma(u) xi|,    mu = clip(-0.0155 ln u + 0.0244, 0.049, 0.1),
                         sigma = clip(-0.0125 ln u - 0.0059, 0.008, 0.045),    u = w / w_max as programmed
    one read:            std = w(t) Q sqrt(ln((t + t_read) / (2 t_read))),    Q = min(0.0088 u^-0.65, 0.2)
    write-and-verify:    std = (0.26348 + 1.9650 u - 1.1731 u^2) uS, at a largest conductance of 25 uS

w, dw       weight units; w_max is the largest conductance (25 uS in the measurements)
t, t0       s; t0 is drift_t0_s, t_read is read_time_s
nu          drift exponent (dimensionless); xi is drawn once for each device

A cell can only grow step by step. Weights of both signs are a pair, the difference of two cells, each pulsed up, and
refreshed when both are high (``ns.DevicePair``).

Source: S. R. Nandakumar et al., Mixed-precision deep learning based on computational memory, Front. Neurosci. 14, 406
(2020) (pulses); V. Joshi et al., Accurate deep neural network inference using computational phase-change memory, Nat.
Commun. 11, 2473 (2020), and aihwkit's ``PCMLikeNoiseModel`` (drift, reads, writing).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from neurosim.models.devices.base import FIRST_OWN_DRAW, DeviceArrays, Normals
from neurosim.models.devices.exp_step import ExponentialParameters
from neurosim.registry import register
from neurosim.units import Seconds

EXACT = False


@register("device", "pcm")
class PhaseChange(ExponentialParameters):
    """A phase-change cell; the shape is aihwkit's ``PCMPresetDevice``, without its mismatch."""

    model: Literal["pcm"] = "pcm"
    dw_min: float = Field(default=0.01, gt=0.0, description="mean step of one pulse at w = 0, in weight units")
    w_max: float = Field(default=2.0, gt=0.0, description="upper bound, in weight units")
    w_min: float = Field(default=0.0, ge=0.0, le=0.0, description="a molten cell")
    a: float = Field(default=-1.0, description="stretches the weight")
    A_up: float = Field(default=-27.235, description="height of the exponential of up steps")
    A_down: float = Field(default=-2.235, description="not used: down pulses melt")
    gamma_up: float = Field(default=2.5, description="steepness of up steps")
    gamma_down: float = Field(default=2.5, description="not used: down pulses melt")
    drift_t0_s: Seconds = Field(default=20.0, gt=0.0, description="time after programming at which drift begins")
    drift_scale: float = Field(default=1.0, ge=0.0, description="factor on the drift exponent; 0: no drift")
    read_time_s: Seconds = Field(default=250e-9, gt=0.0, description="that a read takes (1/f noise)")
    read_noise_scale: float = Field(default=1.0, ge=0.0, description="factor on the noise of reads; 0: none")

    @property
    def switched_off(self) -> tuple[str, ...]:
        """Drift, noise of reads, where their factor is 0."""
        off = (("aged", self.drift_scale), ("read_spread", self.read_noise_scale))
        return tuple(name for name, scale in off if scale == 0.0)

    def own(self, devices: DeviceArrays, normals: Normals) -> tuple[DeviceArrays, dict[str, NDArray[np.floating]]]:
        """The device's place in the distribution of drift exponents."""
        return devices, {"nu_xi": normals(FIRST_OWN_DRAW)}


def step(
    w: float, up: bool, scale_up: float, w_min: float, w_max: float, a: float, b: float, A_up: float, gamma_up: float,
) -> float:  # fmt: skip
    """Mean change by one pulse."""
    z = 2.0 * a * w / (w_max - w_min) + b
    return scale_up * max(1.0 - A_up * math.exp(gamma_up * z), 0.0) if up else -w


def spread(w: float, dw: float, up: bool, dw_min_std: float, dw_min_std_add: float, dw_min_std_slope: float) -> float:
    """Noise of one up pulse; a molten cell is molten."""
    return dw_min_std * (abs(dw) + dw_min_std_add + dw_min_std_slope * abs(w)) if up else 0.0


def aged(w: float, age_s: float, w_max: float, nu_xi: float, drift_t0_s: float, drift_scale: float) -> float:
    """The weight ``age_s`` after programming."""
    if age_s <= drift_t0_s or w <= 0.0:
        return w
    u = math.log(max(w / w_max, 1e-9))
    mean = min(max(-0.0155 * u + 0.0244, 0.049), 0.1)
    std = min(max(-0.0125 * u - 0.0059, 0.008), 0.045)
    return w * math.exp(-drift_scale * abs(mean + std * nu_xi) * math.log(age_s / drift_t0_s))


def read_spread(
    w: float, stored: float, age_s: float, w_max: float, read_time_s: float, read_noise_scale: float
) -> float:
    """Noise of one read."""
    span = (age_s + read_time_s) / (2.0 * read_time_s)
    if span <= 1.0 or stored <= 0.0:
        return 0.0
    q: float = min(0.0088 * max(stored / w_max, 1e-9) ** -0.65, 0.2)
    return read_noise_scale * abs(w) * q * math.sqrt(math.log(span))


def write_spread(w: float, w_max: float) -> float:
    """What is left of a weight's error after writing with verification."""
    u = min(max(w / w_max, 0.0), 1.0)
    return w_max * (0.26348 + u * (1.9650 - 1.1731 * u)) / 25.0
