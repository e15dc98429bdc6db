"""Femtoseconds of one of each tally: what a kernel adds up to know the chip's time while it runs.

The meter's phases are linear in the tallies but for a rounding up, and for time that hides behind the perturbation
period where the chip is pipelined; there the kernel keeps the account (``neurosim.engine.emit_view``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from neurosim.chip.meter import Meter
from neurosim.units import femtoseconds

MANY = 10**40
"""So many of a tally that rounding its time to femtoseconds says nothing any more about one."""


def rates(meter: Meter, tallies: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """``[3, tally]``: femtoseconds of everything but writes, of writes, and of perturbation periods to hide behind.

    Whole ones, and the parts of one that are left. The third row is zero where the chip is not ``pipelined``.
    """
    period = femtoseconds(meter.chip.timing.perturbation_period_s)
    pipelined = meter.chip.timing.pipelined
    if pipelined:
        bare = meter.chip.timing.model_copy(update={"pipelined": False, "perturbation_period_s": 0.0})
        meter = replace(meter, chip=meter.chip.model_copy(update={"timing": bare}))
    whole, part = np.zeros((3, len(tallies)), np.int64), np.zeros((3, len(tallies)))
    none = dict.fromkeys(tallies, 0)
    for k, name in enumerate(tallies):
        phases = meter.phases({**none, name: MANY})
        writing = phases["write"]
        for row, time in enumerate((sum(phases.values()) - writing, writing)):
            rate = Fraction(time, MANY).limit_denominator(MANY // 10**20)
            whole[row, k] = math.floor(rate)
            part[row, k] = rate - math.floor(rate)
        whole[2, k] = period if pipelined and name == "PERTURBED" else 0
    return whole, part
