"""Linear neuron: the sum itself, as an output layer before a softmax or a squared error needs it.

    a = z,        da/dz = 1

z, a   pre-activation and activation, dimensionless

Source: B. Widrow, M. E. Hoff, Adaptive switching circuits, IRE WESCON (1960).
"""

from __future__ import annotations

from typing import Literal

from neurosim.models.constants import ONE
from neurosim.registry import ModelParameters, register


@register("rate", "linear")
class Linear(ModelParameters):
    """The sum as it is; no parameters of its own."""

    model: Literal["linear"] = "linear"


def activate(z: float) -> float:
    """a = z."""
    return z


def derivative(z: float, a: float) -> float:
    """da/dz = 1."""
    return ONE
