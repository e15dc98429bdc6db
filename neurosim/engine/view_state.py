"""The memory behind what reads see: times of writes, the chip's clock, variances of reads (``emit_view``)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurosim.chip import clock
from neurosim.chip.meter import Meter
from neurosim.engine.compose import Composition


def build(composition: Composition, meter: Meter, tallies: Sequence[str], dtype: np.dtype) -> dict[str, np.ndarray]:
    """The arrays that this run needs, before the first step; every device was written at time 0."""
    view, plan, arrays = composition.view, composition.plan, dict[str, np.ndarray]()
    if view.laws.dated:
        arrays["since"] = np.zeros(plan.parameters * (2 if view.paired else 1))
    if view.laws.clocked:
        arrays["clock_rates"], arrays["clock_parts"] = clock.rates(meter, tallies)
        arrays["clocked"] = np.zeros(len(tallies) + 1, np.int64)
    if view.reads == "seen":
        arrays["seen"] = np.zeros(plan.parameters, dtype)
    if view.noisy:
        arrays["read_variance"] = np.zeros(plan.parameters, dtype)
        arrays["column_variance"] = np.zeros(plan.activations, dtype)
        arrays["squares"] = np.zeros(max(layer.n_in for layer in plan.layers), dtype)
    return arrays
