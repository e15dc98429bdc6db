"""How long, and how dear, the work of a recorded run would be on another chip: from its tallies, without a replay.

Counts and seconds follow from the kernels' tallies by whole numbers (`neurosim.chip.meter`), so they can be worked out
again for another chip: its latencies, its prices, its placement of the network. That is exact as long as the tallies
themselves would be the same there. They would be if the two machines are one: the same compiled source and, before
the first step, the same memory, bit for bit (settings, weights, mismatch, noise). What a machine does is a function of
these and of the data. Two settings may differ where nothing reads them: delay matching without a delay, and the
conductance of cells on a chip whose cells carry no current.

A run whose physics depends on how long things take is never timed again: a replay is the only way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from neurosim.accounting import Ledger, PriceTable
from neurosim.data import Dataset
from neurosim.engine import registers, tables
from neurosim.engine.device_laws import laws
from neurosim.engine.machine import Machine
from neurosim.models.devices.base import DeviceParameters
from neurosim.spec.scenario import Scenario
from neurosim.training.delta import DeltaMGD

PHYSICAL = (
    "synapse",
    "neuron",
    "periphery",
    "array",
    "perturbation",
    "astrocyte",
    "timing.tick_s",
    "capabilities.delay_matching",
    "faults",
)
"""Settings of a chip that can change what happens on it, not only what it costs; for naming what differs."""
COSTS = (
    "source", "kind", "_factor", "_voltage_V", "read_time_s", "pulse_time_s", "settling_s", "adcs_per_core",
    "astrocyte.broadcast", "astrocyte.core", "technology",
)  # fmt: skip
"""Ends of those paths among them that change costs alone."""

_DELAY_MATCHED = registers.SETTINGS_INT.index("DELAY_MATCHED")
_CELL_PAIR = registers.SETTINGS_FLOAT.index("CELL_PAIR")


@dataclass(frozen=True)
class Retimed:
    """The work of a run on another chip, or why it takes a replay to know."""

    ledger: Ledger | None
    prices: PriceTable | None
    why_not: tuple[str, ...] = ()


def seconds_in_physics(scenario: Scenario) -> list[str]:
    """Why what happens in this run depends on how long things take; empty where it does not."""
    astrocyte, reasons = scenario.chip.astrocyte, []
    if astrocyte.delta_tau_s > 0.0 and isinstance(scenario.training, DeltaMGD):
        reasons.append("chip.astrocyte.delta_tau_s: the delta memory leaks with time")
    if astrocyte.cost_noise_density > 0.0:
        reasons.append("chip.astrocyte.cost_noise_density: the noise of the cost depends on the measuring time")
    device = scenario.chip.synapse.device
    if isinstance(device, DeviceParameters) and laws(device).clocked:
        reasons.append(f'chip.synapse.device.model = "{device.model}": what its devices hold depends on time')
    return reasons


def stand_in(shape: tuple[int, ...], outputs: int, classes: int) -> Dataset:
    """One sample of zeros: enough to build a machine that takes no step."""
    x, t, y = np.zeros((1, *shape), np.float32), np.zeros((1, outputs), np.float32), np.zeros(1, np.int64)
    labels = y if classes else None
    return Dataset("none", x, labels, t, x, labels, t, classes, shape, "a stand-in without data")


def retime(ours: Scenario, theirs: Scenario, data: Dataset, tallies: Mapping[str, int]) -> Retimed:
    """What ``tallies`` of a run of ``ours`` come to on the chip of ``theirs`` (its other roots must be the same).

    ``data`` has the shape of the run's own (`stand_in`). Raises InputError where the scenario cannot run on that chip.
    """
    reasons = seconds_in_physics(ours) or seconds_in_physics(theirs)
    if reasons:
        return Retimed(None, None, tuple(reasons))
    large = [name for name, count in tallies.items() if count >= tables.LARGEST]
    if large:
        return Retimed(None, None, tuple(f"tally {name}: too large to have been recorded" for name in large))
    here, there = Machine(ours, data), Machine(theirs, data)
    if tallies.keys() != there.totals.keys():
        odd = sorted(tallies.keys() ^ there.totals.keys())
        return Retimed(None, None, (f"the trace counts other things than this version: {', '.join(odd)}",))
    paced = here.scenario.chip.timing.model != "clocked" or there.scenario.chip.timing.model != "clocked"
    if not _same(here, there):
        return Retimed(None, None, tuple(_differences(ours, theirs, here.plan.spiking and paced)))
    there.totals = dict(tallies)
    return Retimed(there.ledger(), there.meter.prices)


def _same(here: Machine, there: Machine) -> bool:
    """Whether both would take the same steps: one source, one memory (but for settings that nothing reads)."""
    if here.scenario.chip.astrocyte.latency_steps == there.scenario.chip.astrocyte.latency_steps == 0:
        there.arrays["pi"][_DELAY_MATCHED] = here.arrays["pi"][_DELAY_MATCHED]
    if there.meter.pair == 0:
        there.arrays["pf"][_CELL_PAIR] = here.arrays["pf"][_CELL_PAIR]
    # faults that strike later stand neither in the source nor in the memory
    return (
        here.scenario.chip.faults == there.scenario.chip.faults
        and here.source == there.source
        and all(np.array_equal(arena, there.arenas[name], equal_nan=True) for name, arena in here.arenas.items())
    )


def _differences(ours: Scenario, theirs: Scenario, paced: bool) -> list[str]:
    """Physical settings in which the chips differ, by key path."""
    mine, other = (_flat(scenario.chip.model_dump(mode="json")) for scenario in (ours, theirs))
    latent = ours.chip.astrocyte.latency_steps or theirs.chip.astrocyte.latency_steps
    unread = () if latent else ("capabilities.delay_matching",)
    paths = [
        f"chip.{path}: {mine.get(path)} as run, {other.get(path)} there"
        for path in dict.fromkeys((*mine, *other))
        if mine.get(path) != other.get(path) and path.startswith(PHYSICAL) and not path.endswith((*COSTS, *unread))
    ]
    if paced and not paths:
        return ["chip.timing.model: the slowest core ends each tick, and single ticks are not recorded"]
    return paths or ["chip.fabrication_seed: other devices have other mismatch"]


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Nested tables by key path."""
    if not isinstance(value, Mapping):
        return {path: value}
    return {
        below: item
        for key, inner in value.items()
        for below, item in _flat(inner, f"{path}.{key}" if path else str(key)).items()
    }
