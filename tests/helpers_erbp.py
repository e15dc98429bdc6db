"""Tests of event-driven random back-propagation: small networks, and the laws that all of its forms obey."""

from __future__ import annotations

from typing import Any

import numpy as np
from helpers_laws import Table, merged, plain

from neurosim import api
from neurosim.data import Dataset
from neurosim.engine.control import Control
from neurosim.engine.machine import Machine
from neurosim.engine.sink import NullSink
from neurosim.spec.scenario import Scenario


def network(layers: list[Table], init: Table, training: Table, *more: Table) -> Scenario:
    """A network on real-valued weights with ticks of 1 ms; ``more``: tables that change or add to its keys."""
    table: Table = {
        "chip": {"name": "nsat", "synapse": {"device": "ideal"}, "timing": {"tick_s": 1e-3}},
        "network": {"init": init, "layers": layers},
        "task": {"data": "xor", "cost": "mse", "shuffle": False},
        "training": {"model": "erbp", "test_s": 0.03, **training},
        "seed": 3,
    }
    for extra in more:
        table = merged(table, extra)
    return api.load_scenario(table)[1]


def _finish(machine: Machine, **how: Any) -> dict[str, Any]:
    control = Control(machine, NullSink(), **how)
    control.begin()
    assert control.run() == "complete"
    return control.summary()


def one_result(made: Scenario, data: Dataset, stop: int) -> Machine:
    """Bit for bit: event by event, many samples in one call, and resumed after ``stop`` of them. Stuck weights stay.

    Returns the machine at the end of its run.
    """
    machine = plain(Machine(made, data))
    start = np.array(machine.arrays["theta"])
    summary = _finish(machine)
    moved = machine.arrays["theta"] != start
    assert moved.any()
    if made.chip.synapse.stuck_fraction > 0.0:
        free = machine.arrays["free"] == 1
        assert 0.5 < free.mean() < 0.9
        assert not moved[~free].any()
    first, second = plain(Machine(made, data)), plain(Machine(made, data))
    first.burst(stop)
    second.restore(first.checkpoint(), first.totals)
    _finish(second)
    assert second.totals == machine.totals
    np.testing.assert_array_equal(second.arrays["theta"], machine.arrays["theta"])
    for how in ({"mode": "event"}, {"burst_steps": 1}, {"burst_steps": 7}):
        other = plain(Machine(made, data))
        assert _finish(other, **how) == summary
        for name, arena in machine.arenas.items():
            np.testing.assert_array_equal(arena.view(np.uint8), other.arenas[name].view(np.uint8), err_msg=name)
    return machine


def only_looks(machine: Machine, images: int) -> None:
    """An evaluation leaves weights and counts, and its last tick is its accuracy."""
    machine.burst(5)
    theta, totals = np.array(machine.arrays["theta"]), dict(machine.totals)
    accuracy, _ = machine.evaluate(images)
    np.testing.assert_array_equal(machine.arrays["theta"], theta)
    machine.collect()
    assert machine.totals == totals
    right, events = machine.arrays["early"]
    assert right.size == 30
    assert right[-1] / images == accuracy
    assert (np.diff(events) >= 0).all()
    assert events[-1] > 0


def learns_clothes(name: str, training: Table, accuracy: float, errors: float) -> None:
    """4,000 images by a shipped scenario, the rate falling to 0: well above chance, and fewer error spikes at the end.

    ``errors``: at most that share of the first 500 samples' in the last 500.
    """
    overrides = {
        "task.data": "fashion-mnist-small", "task.n_test": 500, "stop.steps": 4000, "training.anneal_steps": 4000,
        "training.test_s": 0.1, **training,
    }  # fmt: skip
    _, made = api.load_scenario(name, overrides=overrides)
    machine = Machine(made, api.load_dataset(made))
    machine.burst(500)
    early = machine.totals["ERRORS"]
    machine.burst(3000)
    before = machine.totals["ERRORS"]
    machine.burst(500)
    assert machine.totals["ERRORS"] - before < errors * early
    assert machine.evaluate(500)[0] > accuracy
