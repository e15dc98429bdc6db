"""What a run asks of a machine, and the machine that it asks it of: what counts and durations are both made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from neurosim.accounting import PriceTable
from neurosim.chip import faults
from neurosim.chip.layers import LayerPlan, NetworkPlan
from neurosim.chip.mapper import Placement
from neurosim.chip.mesh import Mesh
from neurosim.spec.chip import Chip

Tally = Mapping[str, int]
"""What the kernels counted, by the names of ``engine/registers.py``."""


@dataclass(frozen=True)
class Workload:
    """What a run asks of the machine, beyond its shapes."""

    space: str
    """weight, node or none."""
    mechanism: str
    per_number: int
    """Parameters that one perturbation number changes: all, or one for a sequential code."""
    window: int
    """Ticks per inference."""
    host_writes: bool
    """Weights are written by the host, not by pulses of the chip's own."""
    write_scheme: str
    activity_writes: int
    """Writes of each input's activity register per clean inference."""
    domains: int = 1
    """Astrocytes that measure the cost at the same time."""
    delta_words: int = 0
    """Words of a delta-vector that a step broadcasts."""
    probes_per_broadcast: int = 1
    """Perturbed inferences that make one C~."""
    backward: bool = False
    """The chip itself propagates errors back, one transposed pass for each clean inference."""
    outer_products: int = 0
    """Weights that each of those passes accumulates a gradient for, before it is written."""
    held_input: bool = False
    """Constant input currents: converted once per window and held."""
    error_neurons: int = 0
    """Neurons that compare predictions with labels (erbp); such a network has no biases."""


@dataclass(frozen=True)
class Metered:
    """One network on one chip, and the prices of what it does there."""

    chip: Chip
    plan: NetworkPlan
    placement: Placement
    prices: PriceTable
    workload: Workload

    @cached_property
    def _bands(self) -> tuple[Self, Self]:
        """The same machine at the low and at the high ends of its latencies."""
        return replace(self, prices=self.prices.at("low")), replace(self, prices=self.prices.at("high"))

    @property
    def digital(self) -> bool:
        """Whether weights are words of a memory."""
        return self.chip.synapse.technology == "digital"

    @property
    def one_sided(self) -> bool:
        """Whether a weight is two cells that only step up: their conductances are tallied cell by cell."""
        return self.chip.synapse.pair == "one-sided"

    @property
    def paced(self) -> bool:
        """Whether a tick lasts as long as its slowest core is busy, rather than ``timing.tick_s``."""
        return self.plan.spiking and self.chip.timing.model == "simple"

    @cached_property
    def _mesh(self) -> Mesh:
        return faults.mesh(self.chip)

    @cached_property
    def _cores(self) -> NDArray[np.int64]:
        """Cores in use."""
        return np.unique([tile.core for tile in self.placement.tiles])

    def _error_words(self, tally: Tally) -> int:
        """Output errors that the cost unit hands to the last layer, where the chip itself propagates them back."""
        return tally["CLEAN"] * self.plan.output.n if self.workload.backward else 0

    def _after(self, layer: LayerPlan) -> LayerPlan | None:
        later = [other for other in self.plan.trainable if other.index > layer.index]
        return later[0] if later else None

    def _latency(self, name: str) -> int:
        return int(self.prices.latency_fs[self.prices.index(name)])
