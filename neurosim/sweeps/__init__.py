"""Sweeps: axes and designs, the points that they come to, and the workers that run them (docs/sweeps.md).

What a point is run with is handed in by the API, so that this package knows no experiment from the inside. It is
called ``sweeps`` because ``neurosim.sweep`` is the function that users call.
"""

from __future__ import annotations

from neurosim.sweeps.axes import Axis, axis_of, parse_axis
from neurosim.sweeps.designs import DESIGNS
from neurosim.sweeps.plan import Plan, Point, Request, make_plan

__all__ = ["DESIGNS", "Axis", "Plan", "Point", "Request", "axis_of", "make_plan", "parse_axis"]
