"""Hyperbolic tangent.

    a = tanh(z),        da/dz = 1 - a^2

z   pre-activation, dimensionless
a   activation, -1..1

Source: textbook, e.g. C. M. Bishop, Pattern Recognition and Machine Learning (2006), eq. 5.59.
"""

from __future__ import annotations

import math
from typing import Literal

from neurosim.models.constants import ONE
from neurosim.registry import ModelParameters, register


@register("rate", "tanh")
class Tanh(ModelParameters):
    """A hyperbolic tangent; no parameters of its own."""

    model: Literal["tanh"] = "tanh"


def activate(z: float) -> float:
    """a = tanh(z)."""
    return math.tanh(z)


def derivative(z: float, a: float) -> float:
    """da/dz = 1 - a^2."""
    return ONE - a * a
