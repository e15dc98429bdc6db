"""Izhikevich's neuron: a quadratic membrane and one recovery variable.

    dv/dt = 0.04 v^2 + 5 v + 140 - u + I
    du/dt = a (b v - u)
    at v >= v_peak:  v <- c,  u <- u + d

v         membrane, mV (the model's own unit);   u recovery variable;   I input, mV/ms
a, b, c, d   as in the paper; time in ms

Integrated by Euler's forward method, one step a tick; the paper steps v twice by 0.5 ms. Ticks of 0.5 ms or less.

Source: E. M. Izhikevich, "Simple model of spiking neurons", IEEE Trans. Neural Netw. 14, 1569 (2003).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from neurosim.models.neurons.dynamic import DynamicParameters
from neurosim.registry import register

STATES = ("v", "u")
RECEPTORS = ("current",)


@register("dynamic", "izhikevich")
class Izhikevich(DynamicParameters):
    """Defaults: regular spiking."""

    model: Literal["izhikevich"] = "izhikevich"
    a: float = Field(default=0.02, description="1/ms")
    b: float = Field(default=0.2, description="how u follows v")
    c: float = Field(default=-65.0, description="mV, after a spike")
    d: float = Field(default=8.0, description="mV/ms, added to u by a spike")
    v_peak: float = Field(default=30.0, description="mV, where a spike is cut off")

    def coefficients(self, tick_s: float) -> tuple[float, ...]:
        """(tick in ms, a, b, c, d, v_peak)."""
        return 1e3 * tick_s, self.a, self.b, self.c, self.d, self.v_peak

    def start(self) -> tuple[float, ...]:
        """v = c, u = b c."""
        return self.c, self.b * self.c


def integrate(
    v: float, u: float, current: float, dt: float, a: float, b: float, c: float, d: float, v_peak: float
) -> tuple[float, float]:
    """One step of Euler's method."""
    return v + dt * (0.04 * v * v + 5.0 * v + 140.0 - u + current), u + dt * a * (b * v - u)


def fires(v: float, u: float, dt: float, a: float, b: float, c: float, d: float, v_peak: float) -> bool:
    """v >= v_peak."""
    return v >= v_peak


def reset(v: float, u: float, dt: float, a: float, b: float, c: float, d: float, v_peak: float) -> tuple[float, float]:
    """v <- c, u <- u + d."""
    return c, u + d
