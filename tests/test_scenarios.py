"""Every shipped scenario: event mode gives the same bits as burst mode, and so does any burst length."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from neurosim import api, files
from neurosim.engine.control import Control
from neurosim.engine.machine import Machine
from neurosim.engine.sink import NullSink
from neurosim.spec import load

STEPS = 12
SMALL = {"stop.steps": STEPS, "probes.record_every": 5, "probes.evaluate_every": 7, "probes.evaluate_samples": 20}


def finished(
    machine: Machine, mode: Any, burst_steps: int | None = None
) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Memory and summary after a short run."""
    control = Control(machine, NullSink(), mode=mode, burst_steps=burst_steps)
    control.begin()
    assert control.run() == "complete"
    return {name: arena.copy() for name, arena in machine.arenas.items()}, control.summary()


TRAINING = sorted(name for name in files.shipped("scenario") if not load.is_experiment(load.load_scenario_table(name)))


SIZES = ("-200", "-500", "-500-500", "-200-nsat", "-500-nsat", "-200-200-nsat", "-500-500-nsat")
"""Ends of the names of scenarios that differ from another one in the sizes of their layers alone."""
LARGER = [
    name
    for name in TRAINING
    if "rbp" in name and name.removeprefix("pi-mnist-erbp").removeprefix("pi-mnist-perbp") in SIZES
]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in LARGER else []) for name in TRAINING]
)
def test_modes_give_the_same_bits(name: str) -> None:
    """Weights, states, registers, counts, energies and durations, bit for bit."""
    table = api.load.load_scenario_table(name)
    small = dict(SMALL)
    if table["task"]["data"] in ("mnist", "fashion-mnist"):
        small["task.data"] = "fashion-mnist-small"
        small["task.n_test"] = 50
    _, scenario = api.load_scenario(name, overrides=small)
    data = api.load_dataset(scenario)
    memory, summary = finished(Machine(scenario, data), "burst")
    for mode, burst_steps in (("event", None), ("burst", 1), ("burst", 5)):
        other, other_summary = finished(Machine(scenario, data), mode, burst_steps)
        assert other_summary == summary
        for arena, values in memory.items():
            assert values.tobytes() == other[arena].tobytes(), (mode, burst_steps, arena)
