"""Rectified linear unit.

    a = max(z, 0),        da/dz = 1 where z > 0, else 0

z   pre-activation, dimensionless
a   activation, >= 0

Source: V. Nair, G. E. Hinton, Rectified linear units improve restricted Boltzmann machines, ICML (2010).
"""

from __future__ import annotations

from typing import Literal

from neurosim.models.constants import ONE, ZERO
from neurosim.registry import ModelParameters, register


@register("rate", "relu")
class Relu(ModelParameters):
    """A rectifier; no parameters of its own."""

    model: Literal["relu"] = "relu"


def activate(z: float) -> float:
    """a = max(z, 0); a NaN stays one, so that a diverged network is noticed."""
    return ZERO if z <= ZERO else z


def derivative(z: float, a: float) -> float:
    """da/dz; 0 at z = 0."""
    return ONE if z > ZERO else ZERO
