"""Neurons that fire when they are told to: the way for spikes from outside into a network.

They have no state and cost no update; a spike of theirs is a spike like any other. ``Simulation.run(events=...)`` says
who fires when.

Source: none; it is a way to give input.
"""

from __future__ import annotations

from typing import Literal

from neurosim.registry import ModelParameters, register


@register("input", "input")
class InputParameters(ModelParameters):
    """A population without dynamics."""

    model: Literal["input"] = "input"
