"""The engine as a user meets it: resume, divergence, models from outside, edited models, errors all at once."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurosim import api
from neurosim.engine.control import Control
from neurosim.errors import CapabilityError, CapacityError, DivergenceError, InputError

XOR: dict[str, Any] = {
    "chip": "nist-hw2",
    "network": {
        "layers": [
            {"type": "dense", "name": "hidden", "size": 2, "neuron": "sigmoid"},
            {"type": "dense", "name": "output", "size": 1, "neuron": "sigmoid"},
        ],
        "init": {"model": "uniform", "scale": 0.5},
    },
    "task": {"data": "xor", "cost": "mse"},
    "training": {"model": "mgd", "norm_mag": 0.05, "learning_rate": 3.0},
    "stop": {"steps": 4000, "accuracy": 1.0},
    "probes": {"record_every": 500, "evaluate_every": 1000},
    "seed": 3,
}


def with_changes(**changes: Any) -> dict[str, Any]:
    """XOR with some roots replaced or merged."""
    table = copy.deepcopy(XOR)
    for root, value in changes.items():
        table[root] = {**table[root], **value} if isinstance(value, dict) and isinstance(table[root], dict) else value
    return table


def test_resumed_run_equals_uninterrupted(tmp_path: Path) -> None:
    """Stopped twice at odd steps and resumed: the same summary, the same rows, the same weights."""

    def stop_after(steps: int) -> Any:
        def progress(control: Control) -> None:
            control.stop_requested = control.machine.step >= steps

        return progress

    whole = api.run(XOR, output=tmp_path / "whole.h5")
    first = api.run(XOR, output=tmp_path / "parts.h5", progress=stop_after(1), burst_steps=137)
    assert first.status == "interrupted"
    assert first.summary["steps"] == 137
    second = api.resume(tmp_path / "parts.h5", output=tmp_path / "more.h5", progress=stop_after(1))
    assert second.status == "interrupted"
    last = api.resume(tmp_path / "more.h5")
    assert last.status == "complete"
    assert whole.trace is not None
    assert last.trace is not None
    for result in (whole, last):
        result.summary.pop("host")
    assert last.summary == whole.summary
    with api.open_trace(whole.trace) as one, api.open_trace(last.trace) as other:
        assert one.tables == other.tables
        for name in one.tables:
            for column in one.table(name).columns:
                assert np.array_equal(one.table(name)[column], other.table(name)[column]), (name, column)


def test_divergence_stops_and_keeps_the_trace(tmp_path: Path) -> None:
    """A learning rate far too high: an error with the step, the layer and advice, and a trace marked failed."""
    table = with_changes(training={"learning_rate": 1e30, "norm_mag": 5.0})
    table["network"]["layers"] = [{**layer, "neuron": "linear"} for layer in table["network"]["layers"]]
    with pytest.raises(DivergenceError, match=r"step \d+ \(layer \w+\); lower training.learning_rate"):
        api.run(table, output=tmp_path / "bad.h5")
    with api.open_trace(tmp_path / "bad.h5") as trace:
        assert trace.status == "failed"


def test_a_chip_too_small_says_how_much_is_missing() -> None:
    """784-100-10 on a chip of one core of 16 x 16."""
    table = with_changes(
        chip={"name": "nist-hw2", "geometry": {"cores": 1, "neurons_per_core": 1, "inputs_per_core": 3}}
    )
    table["network"]["layers"] = [{**table["network"]["layers"][0], "size": 30}, table["network"]["layers"][1]]
    with pytest.raises(CapacityError, match=r"cores are needed, it has 1"):
        api.build(api.load_scenario(table)[1])


def test_an_absent_capability_names_two_ways_out() -> None:
    """delta-MGD on a chip without delta memory."""
    table = with_changes(training={"model": "delta-mgd", "learning_rate": 0.1})
    with pytest.raises(CapabilityError, match=r"delta_memory") as refused:
        api.build(api.load_scenario(table)[1])
    assert "--host-loop" in str(refused.value)
    assert "nist-hw2-with-perturbation" in str(refused.value)
    derived = api.build(api.load_scenario(table, chip="nist-hw2-with-perturbation")[1])
    assert derived.scenario.chip.hypothetical
    assert derived.mechanism == "node"


def test_every_error_of_a_scenario_at_once() -> None:
    """Each with its key path, the value, what is allowed, and a near miss."""
    table = with_changes(training={"learnin_rate": 1.0, "tau_p": 0, "code": "rando"}, stop={"steps": "many"})
    table["network"]["layers"][0]["neuron"] = "sigmod"
    with pytest.raises(InputError) as refused:
        api.load_scenario(table)
    text = str(refused.value)
    for part in (
        "training.learnin_rate: unknown key; did you mean 'learning_rate'?",
        "training.tau_p = 0",
        "training.code = 'rando'",
        "did you mean 'random'?",
        "stop.steps = 'many'",
        "network.layers.0.neuron = 'sigmod'",
        "did you mean 'sigmoid'?",
    ):
        assert part in text


def test_ideal_switches_every_imperfection_off() -> None:
    """A chip with everything wrong trains exactly as the ideal one does."""
    noisy = {
        "name": "nist-hw2",
        "synapse": {"read_noise_std": 0.1, "stuck_fraction": 0.5},
        "neuron": {"scale_dtod": 0.3, "x_offset_dtod": 0.3},
        "perturbation": {"amplitude_dtod": 0.3},
        "astrocyte": {"cost_noise_std": 0.1, "cost_bits": 4},
        "periphery": {"dac_bits": 2, "adc_bits": 3},
    }
    clean = api.run(XOR, record=False, overrides={"stop.steps": 50}).summary
    ideal = api.run({**XOR, "chip": noisy}, record=False, ideal=True, overrides={"stop.steps": 50}).summary
    assert ideal["cost"] == clean["cost"]


PLUGIN = '''
"""Softsign: a = z / (1 + |z|), times a gain that the test edits."""
from typing import Literal
from neurosim.registry import ModelParameters, register

@register("rate", "softsign")
class Softsign(ModelParameters):
    """A rate neuron from outside."""
    model: Literal["softsign"] = "softsign"

def activate(z: float) -> float:
    """Squashed."""
    return GAIN * z / (1.0 + abs(z))

def derivative(z: float, a: float) -> float:
    """Slope."""
    return GAIN / (1.0 + abs(z)) ** 2
'''

DRIVER = """
import json, sys
from neurosim import api
table = json.loads(sys.argv[1])
scenario = api.load_scenario(table)[1]
machine = api.build(scenario)
needed = machine.needs_compiling
machine.burst(50)
print(json.dumps({"compiled": needed, "theta": machine.arrays["theta"].tolist()}))
"""


@pytest.mark.filterwarnings("ignore")
def test_a_model_from_an_entry_point_is_cached_and_an_edit_is_noticed(tmp_path: Path) -> None:
    """First run compiles, second loads; after an edit the result changes without clearing anything."""
    import json

    info = tmp_path / "outside-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: outside\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[neurosim.models]\nsoftsign = outside_model\n")
    table = with_changes()
    table["network"]["layers"] = [{**layer, "neuron": "softsign"} for layer in table["network"]["layers"]]
    table["chip"] = {"name": "nist-hw2", "capabilities": {"neurons": ["softsign"]}}
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(api.__file__).parents[1])]),
        "NEUROSIM_CACHE": str(tmp_path / "cache"),
    }

    def run(gain: str) -> dict[str, Any]:
        (tmp_path / "outside_model.py").write_text(textwrap.dedent(PLUGIN).replace("GAIN", gain))
        out = subprocess.run(
            [sys.executable, "-c", DRIVER, json.dumps(table)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert out.returncode == 0, out.stderr
        return dict(json.loads(out.stdout))

    first, second, edited = run("1.5"), run("1.5"), run("1.25")
    assert (first["compiled"], second["compiled"], edited["compiled"]) == (True, False, True)
    assert first["theta"] == second["theta"]
    assert first["theta"] != edited["theta"]


def test_domains_with_quiet_astrocytes_equal_one_and_noisy_ones_do_not() -> None:
    """One astrocyte per layer hears the same cost: without noise the same weights, with noise others; all is charged."""

    def trained(domains: str, noise: float) -> Any:
        table = with_changes(chip={"name": "nist-hw2", "astrocyte": {"cost_noise_std": noise}})
        machine = api.build(api.load_scenario(table, overrides={"network.domains": domains})[1])
        machine.burst(200)
        return machine

    one, two = trained("one", 0.0), trained("layer", 0.0)
    assert np.array_equal(one.arrays["theta"], two.arrays["theta"])
    assert two.totals["BROADCASTS"] == 2 * one.totals["BROADCASTS"]
    assert two.ledger().phase_time_fs == one.ledger().phase_time_fs
    assert not np.array_equal(trained("one", 0.01).arrays["theta"], trained("layer", 0.01).arrays["theta"])
