"""Poisson neurons: each fires at random, with a rate of its own, whatever it did before.

    a spike in a tick with probability  rate tick_s,      rate = bias + what arrived, in Hz

so that the mean rate is exact; a rate above 1 / tick_s fires in every tick.

Source: the Bernoulli approximation of a Poisson process, P. Dayan, L. Abbott, Theoretical Neuroscience (2001), 1.4.
"""

from __future__ import annotations

from typing import Literal

from neurosim.models.neurons.dynamic import DynamicParameters
from neurosim.registry import register

STATES = ("rate",)
RECEPTORS = ("current",)
RANDOM = True


@register("dynamic", "poisson")
class Poisson(DynamicParameters):
    """A population of Poisson neurons; ``bias`` holds their rates in Hz."""

    model: Literal["poisson"] = "poisson"

    def coefficients(self, tick_s: float) -> tuple[float, ...]:
        """(tick_s,)."""
        return (tick_s,)

    def start(self) -> tuple[float, ...]:
        """No rate before the first tick."""
        return (0.0,)


def integrate(rate: float, current: float, tick_s: float) -> tuple[float]:
    """The bias, and what arrived."""
    return (current,)


def fires(u: float, rate: float, tick_s: float) -> bool:
    """u < rate tick_s."""
    return u < rate * tick_s


def reset(rate: float, tick_s: float) -> tuple[float]:
    """Nothing is reset."""
    return (rate,)
