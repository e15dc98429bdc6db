"""Logistic sigmoid.

    a = 1 / (1 + exp(-z)),        da/dz = a (1 - a)

z   pre-activation, dimensionless
a   activation, 0..1

Source: A. McCaughan et al., Multiplexed gradient descent, APL Mach. Learn. 1, 026118 (2023), the neuron of the XOR and
parity networks; the equation is the textbook's.
"""

from __future__ import annotations

import math
from typing import Literal

from neurosim.models.constants import ONE, ZERO
from neurosim.registry import ModelParameters, register


@register("rate", "sigmoid")
class Sigmoid(ModelParameters):
    """A logistic sigmoid; no parameters of its own."""

    model: Literal["sigmoid"] = "sigmoid"


def activate(z: float) -> float:
    """a = 1 / (1 + exp(-z)), written so that exp never overflows."""
    decay = math.exp(-abs(z))
    return (ONE if z >= ZERO else decay) / (ONE + decay)


def derivative(z: float, a: float) -> float:
    """da/dz = a (1 - a)."""
    return a * (ONE - a)
