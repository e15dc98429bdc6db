r"""Magnetic tunnel junction: two states, switched by chance, and by heat alone if the barrier is low.

    pulse towards the other state:  P = 1 - exp(-(pulse_s / tau0_s) exp(-delta (1 - overdrive)))
    pulse towards the same state:   nothing
    left alone:                     flips as a random telegraph, P(flip in dt) = (1 - e^(-2 r dt)) / 2
    one read:                       std = read_std

w                     w_max_i (parallel) or w_min_i (antiparallel), weight units; nothing in between
delta                 barrier over kT;  overdrive  pulse voltage over the critical one (each direction its own)
tau0_s, pulse_s       s
r = flip_rate_Hz      flips per second from either state: autocorrelation e^(-2 r dt), relaxation time 1 / (2 r)
read_std              weight units

Source: Z. Li, S. Zhang, Thermally assisted magnetization reversal in the presence of a spin-transfer torque, Phys. Rev.
B 69, 134416 (2004) (switching). The telegraph of the preset ``smtj-telegraph`` is fitted to a superparamagnetic
junction's recording by J. Koenders et al. (Zenodo 15222667, 200 kHz): levels 0.042092 +- 0.0059316, noise 0.00090841,
flip probability 0.0809 a sample.
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field

from neurosim.models.devices.base import DeviceParameters
from neurosim.registry import register
from neurosim.units import Hertz, Seconds

EXACT = False


@register("device", "stochastic-mtj")
class StochasticMTJ(DeviceParameters):
    """A binary device that switches by chance."""

    model: Literal["stochastic-mtj"] = "stochastic-mtj"
    dw_min: float = Field(default=0.0, ge=0.0, description="0: the whole range, since there are two states")
    w_min: float = Field(default=-1.0, le=0.0, description="the antiparallel state, in weight units")
    delta: float = Field(default=40.0, gt=0.0, description="energy barrier over kT")
    tau0_s: Seconds = Field(default=1e-9, gt=0.0, description="attempt time")
    pulse_s: Seconds = Field(default=10e-9, gt=0.0, description="length of a pulse")
    overdrive_up: float = Field(default=0.95, ge=0.0, description="up pulse over its critical voltage")
    overdrive_down: float = Field(default=0.95, ge=0.0, description="down pulse over its critical voltage")
    flip_rate_Hz: Hertz = Field(default=0.0, ge=0.0, description="thermal flips per second, from either state")
    read_std: float = Field(default=0.0, ge=0.0, description="noise of one read, in weight units")

    @property
    def step_size(self) -> float:
        """The distance of the two states."""
        return self.w_max - self.w_min

    @property
    def grid(self) -> float:
        """The distance of the two states."""
        return self.w_max - self.w_min

    @property
    def switched_off(self) -> tuple[str, ...]:
        """Telegraph noise, noise of reads, where there is none."""
        off = (("elapse", self.flip_rate_Hz), ("read_spread", self.read_std))
        return tuple(name for name, size in off if size == 0.0)

    def probability(self, up: bool) -> float:
        """That one pulse switches a device of the other state."""
        rate = math.exp(-self.delta * (1.0 - (self.overdrive_up if up else self.overdrive_down)))
        return -math.expm1(-self.pulse_s / self.tau0_s * rate)

    @property
    def p_up(self) -> float:
        """That an up pulse switches."""
        return self.probability(True)

    @property
    def p_down(self) -> float:
        """That a down pulse switches."""
        return self.probability(False)


def step(
    w: float, up: bool, scale_up: float, scale_down: float, w_min: float, w_max: float, p_up: float, p_down: float
) -> float:
    """Mean change by one pulse."""
    return (w_max - w) * p_up if up else (w_min - w) * p_down


def jump(w: float, up: bool, w_min: float, w_max: float, p_up: float, p_down: float, u: float) -> float:
    """The change by one pulse: all or nothing."""
    target = w_max if up else w_min
    return (target - w) if u < (p_up if up else p_down) else 0.0


def elapse(w: float, dt_s: float, u: float, w_min: float, w_max: float, flip_rate_Hz: float) -> float:
    """The state after ``dt_s`` of heat."""
    if u >= 0.5 * (1.0 - math.exp(-2.0 * flip_rate_Hz * dt_s)):
        return w
    return w_min if w > 0.5 * (w_min + w_max) else w_max


def read_spread(read_std: float) -> float:
    """Noise of one read."""
    return read_std
