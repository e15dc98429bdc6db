"""The generalised integrate-and-fire neuron of Mihalas and Niebur: linear, and yet of twenty kinds.

    dI_k/dt   = -k_k I_k,  k = 1, 2
    dv/dt     = I + I_1 + I_2 - G (v - E_L)
    dtheta/dt = a (v - E_L) - b (theta - theta_inf)
    at v >= theta:  I_k <- R_k I_k + A_k,   v <- v_r,   theta <- max(theta_r, theta)

v, theta, E_L, v_r, theta_r, theta_inf   V
I, I_1, I_2, A_1, A_2   currents over the capacitance, V/s: input (bias and events) and two of the neuron's own
k_1, k_2, G, a, b       rates (G: leak conductance over the capacitance), Hz;   R_1, R_2 dimensionless

Integrated by Euler's forward method, one step a tick; the parameters' own time scale asks for ticks of 0.1 ms. The
max of the threshold is needed for hyperpolarised spiking and bursting: with a plain theta <- theta_r they fire always.

Source: S. Mihalas, E. Niebur, "A generalized linear integrate-and-fire neural model produces diverse spiking
behaviors", Neural Comput. 21, 704 (2009).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from neurosim.models.neurons.dynamic import DynamicParameters
from neurosim.registry import register
from neurosim.units import Hertz, Volts

STATES = ("v", "theta", "i_1", "i_2")
RECEPTORS = ("current",)


@register("dynamic", "mihalas-niebur")
class MihalasNiebur(DynamicParameters):
    """Defaults: tonic spiking, the first of the paper's twenty."""

    model: Literal["mihalas-niebur"] = "mihalas-niebur"
    rest_V: Volts = Field(default=-70e-3, description="E_L")
    reset_V: Volts = Field(default=-70e-3, description="v_r")
    threshold_reset_V: Volts = Field(default=-60e-3, description="theta_r")
    threshold_inf_V: Volts = Field(default=-50e-3, description="theta_inf")
    k_1_Hz: Hertz = Field(default=200.0, ge=0.0, description="decay of i_1")
    k_2_Hz: Hertz = Field(default=20.0, ge=0.0, description="decay of i_2")
    leak_Hz: Hertz = Field(default=50.0, ge=0.0, description="G over the capacitance")
    a_Hz: Hertz = Field(default=0.0, description="how the threshold follows the membrane; may be negative")
    b_Hz: Hertz = Field(default=10.0, ge=0.0, description="how the threshold returns")
    R_1: float = Field(default=0.0, description="what a spike leaves of i_1")
    R_2: float = Field(default=1.0, description="what a spike leaves of i_2")
    A_1: float = Field(default=0.0, description="V/s, what a spike adds to i_1")
    A_2: float = Field(default=0.0, description="V/s, what a spike adds to i_2")
    start_V: Volts = Field(default=-70e-3, description="v before the first tick")
    start_threshold_V: Volts = Field(default=-50e-3, description="theta before the first tick")
    start_i_1: float = Field(default=0.01, description="V/s")
    start_i_2: float = Field(default=0.001, description="V/s")

    def coefficients(self, tick_s: float) -> tuple[float, ...]:
        """(tick_s, G, a, b, k_1, k_2, E_L, theta_inf, v_r, theta_r, R_1, R_2, A_1, A_2)."""
        rates = self.leak_Hz, self.a_Hz, self.b_Hz, self.k_1_Hz, self.k_2_Hz
        levels = self.rest_V, self.threshold_inf_V, self.reset_V, self.threshold_reset_V
        return tick_s, *rates, *levels, self.R_1, self.R_2, self.A_1, self.A_2

    def start(self) -> tuple[float, ...]:
        """As given."""
        return self.start_V, self.start_threshold_V, self.start_i_1, self.start_i_2


def integrate(
    v: float, theta: float, i_1: float, i_2: float, current: float, dt: float, G: float, a: float, b: float, k_1: float,
    k_2: float, E_L: float, theta_inf: float, v_r: float, theta_r: float, R_1: float, R_2: float, A_1: float,
    A_2: float,
) -> tuple[float, float, float, float]:  # fmt: skip
    """One step of Euler's method."""
    return (
        v + dt * (current + i_1 + i_2 - G * (v - E_L)),
        theta + dt * (a * (v - E_L) - b * (theta - theta_inf)),
        i_1 - dt * k_1 * i_1,
        i_2 - dt * k_2 * i_2,
    )


def fires(
    v: float, theta: float, i_1: float, i_2: float, dt: float, G: float, a: float, b: float, k_1: float, k_2: float,
    E_L: float, theta_inf: float, v_r: float, theta_r: float, R_1: float, R_2: float, A_1: float, A_2: float,
) -> bool:  # fmt: skip
    """v >= theta."""
    return v >= theta


def reset(
    v: float, theta: float, i_1: float, i_2: float, dt: float, G: float, a: float, b: float, k_1: float, k_2: float,
    E_L: float, theta_inf: float, v_r: float, theta_r: float, R_1: float, R_2: float, A_1: float, A_2: float,
) -> tuple[float, float, float, float]:  # fmt: skip
    """v <- v_r, theta <- max(theta_r, theta), I_k <- R_k I_k + A_k."""
    return v_r, max(theta_r, theta), R_1 * i_1 + A_1, R_2 * i_2 + A_2
