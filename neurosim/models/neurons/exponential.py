"""Leaky integrate-and-fire with exponentially decaying currents, one excitatory and one inhibitory, integrated exactly.

    tau_mem dv/dt = v_rest - v + g_e + g_i,     tau_e dg_e/dt = -g_e,     tau_i dg_i/dt = -g_i
    a spike of weight w adds w to g_e or g_i;   a spike when v >= threshold, then v <- v_reset

v, g_e, g_i   membrane, and what the currents do to it: all in the units of v_rest (g is current times resistance)
tau_*         time constants, s

Between two ticks the equations are linear, so that one step of them is exact, however long it is:

    v[n]   = v_rest + (v[n-1] - v_rest) P + g_e[n-1] P_e + g_i[n-1] P_i
    g_e[n] = g_e[n-1] Q_e + I_e[n],             g_i[n] = g_i[n-1] Q_i + I_i[n]

    P = exp(-tick_s / tau_mem),   Q = exp(-tick_s / tau),   P_e = (P - Q_e) tau_e / (tau_mem - tau_e),   P_i likewise

and (tick_s / tau_mem) P where the two time constants are equal. What arrives in a tick stands in g at its end, and
moves v from the next tick on; inhibitory weights are negative. The bias goes into g_e, every tick. While a neuron rests
after a spike v stays at v_reset, and the currents go on.

One spike of weight w: v - v_rest = w tau/(tau_mem - tau) (exp(-t/tau_mem) - exp(-t/tau)) after t seconds.
f-I curve (no input, v_rest > threshold, r refractory ticks): one spike every

    ceil( ln((v_rest - threshold) / (v_rest - v_reset)) / ln P ) + r   ticks.

Source: T. P. Vogels, L. F. Abbott, J. Neurosci. 25, 10786 (2005), and R. Brette et al., J. Comput. Neurosci. 23, 349
(2007), benchmark 2 (current-based); exact steps: S. Rotter, M. Diesmann, Biol. Cybern. 81, 381 (1999).
"""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from neurosim.models.neurons.dynamic import DynamicParameters
from neurosim.registry import register
from neurosim.units import Seconds

STATES = ("v", "g_e", "g_i")
RECEPTORS = ("excitatory", "inhibitory")


@register("dynamic", "lif-exponential")
class ExponentialCurrents(DynamicParameters):
    """A leaky neuron with two kinds of synapses, each with a time constant of its own."""

    model: Literal["lif-exponential"] = "lif-exponential"
    tau_mem_s: Seconds = Field(default=20e-3, gt=0.0, description="membrane time constant")
    tau_e_s: Seconds = Field(default=5e-3, gt=0.0, description="time constant of the excitatory current")
    tau_i_s: Seconds = Field(default=10e-3, gt=0.0, description="time constant of the inhibitory current")
    v_rest: float = Field(default=0.0, description="where v settles without input")
    threshold: float = Field(default=1.0, description="a spike when v >= threshold")
    v_reset: float = Field(default=0.0, description="v after a spike")

    @model_validator(mode="after")
    def _reset_below_threshold(self) -> ExponentialCurrents:
        if self.v_reset >= self.threshold:
            raise ValueError("v_reset must lie below the threshold")
        return self

    def coefficients(self, tick_s: float) -> tuple[float, ...]:
        """((1 - P) v_rest, P, P_e, P_i, Q_e, Q_i, threshold, v_reset)."""
        keep, towards = math.exp(-tick_s / self.tau_mem_s), -math.expm1(-tick_s / self.tau_mem_s)
        currents = (self.tau_e_s, self.tau_i_s)
        onto_v = (propagator(tick_s, self.tau_mem_s, tau) for tau in currents)
        decays = (math.exp(-tick_s / tau) for tau in currents)
        return towards * self.v_rest, keep, *onto_v, *decays, self.threshold, self.v_reset

    def start(self) -> tuple[float, ...]:
        """At rest, but not above the threshold."""
        return (self.v_rest if self.v_rest < self.threshold else self.v_reset), 0.0, 0.0


def propagator(tick_s: float, tau_mem_s: float, tau_s: float) -> float:
    """What a current of 1 adds to v in one tick: (P - Q) tau / (tau_mem - tau), without cancellation."""
    rate, other = 1.0 / tau_s, 1.0 / tau_mem_s
    slow, apart = min(rate, other), abs(rate - other)
    lost = tick_s if apart == 0.0 else -math.expm1(-tick_s * apart) / apart
    return other * math.exp(-tick_s * slow) * lost


def integrate(
    v: float, g_e: float, g_i: float, excitatory: float, inhibitory: float,
    base: float, p: float, p_e: float, p_i: float, q_e: float, q_i: float, threshold: float, v_reset: float,
) -> tuple[float, float, float]:  # fmt: skip
    """The exact step of v from the currents at its start; then the currents decay and take what arrived."""
    return base + v * p + g_e * p_e + g_i * p_i, g_e * q_e + excitatory, g_i * q_i + inhibitory


def fires(
    v: float, g_e: float, g_i: float,
    base: float, p: float, p_e: float, p_i: float, q_e: float, q_i: float, threshold: float, v_reset: float,
) -> bool:  # fmt: skip
    """v >= threshold."""
    return v >= threshold


def reset(
    v: float, g_e: float, g_i: float,
    base: float, p: float, p_e: float, p_i: float, q_e: float, q_i: float, threshold: float, v_reset: float,
) -> tuple[float, float, float]:  # fmt: skip
    """v <- v_reset."""
    return v_reset, g_e, g_i


def rest(
    v: float, g_e: float, g_i: float,
    base: float, p: float, p_e: float, p_i: float, q_e: float, q_i: float, threshold: float, v_reset: float,
) -> tuple[float, float, float]:  # fmt: skip
    """v stays at v_reset."""
    return v_reset, g_e, g_i
