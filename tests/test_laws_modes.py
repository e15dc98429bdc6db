"""One result however it is run: event = burst, any burst length, stop and resume, one seed one summary, bit for bit."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_laws import Table, classes_of, dense, merged, plain, same_run, samples, scenario

from neurosim import api
from neurosim.data import Dataset
from neurosim.engine.control import Control
from neurosim.engine.machine import Machine
from neurosim.engine.sink import NullSink
from neurosim.spec.scenario import Scenario

# Everything that draws numbers is on: cost, broadcast, read and membrane noise, pulses, mismatch, a leaking memory.
NOISY: Table = {
    "perturbation": {"amplitude_dtod": 0.1},
    "astrocyte": {"cost_noise_std": 1e-3, "broadcast_noise_std": 1e-4, "c_tilde_bits": 16, "latency_steps": 2},
    "synapse": {"read_noise_std": 1e-3},
    "capabilities": {"delay_matching": True},
}
SMALL = [dense("hidden", 2, "sigmoid"), dense("out", 1, "sigmoid")]
SINGLE: Table = {"dtype": "float32", "init": {"model": "uniform", "scale": 0.5}}


def images() -> Dataset:
    rng = np.random.default_rng(71)
    return classes_of(rng.uniform(size=(12, 6)), rng.integers(0, 3, size=12), 3)


def four() -> Dataset:
    rng = np.random.default_rng(72)
    return samples(rng.normal(size=(4, 2)), rng.uniform(size=(4, 1)), [0, 1, 1, 0], 2)


def weight_space() -> tuple[Scenario, Dataset]:
    """XOR by SPSA, one write a step: the kernel of `test_laws_learning`."""
    training = {"tau_theta": 1, "norm_mag": 0.05, "learning_rate": 3.0}
    return scenario(SMALL, training, network=SINGLE, task={"shuffle": True}), four()


def analog() -> tuple[Scenario, Dataset]:
    """Analog high-pass: the kernel of `test_laws_analog`."""
    training = {"difference": "high-pass", "tau_x": 7, "tau_theta": 5, "tau_p": 2, "norm_mag": 0.05, "learning_rate": 1.0}
    return scenario(SMALL, training, network=SINGLE, task={"shuffle": True}), four()


def spiking_delta() -> tuple[Scenario, Dataset]:
    """delta-MGD on a spiking network on the shipped chip, mismatch, noise and pulses on."""
    neuron = {"model": "if"}
    layers = [dense("hidden", 8, neuron), dense("out", 3, neuron)]
    training = {"model": "delta-mgd", "tau_theta": 1, "learning_rate": 3e-3, "probe_rms": 0.07, "probe_angle": 70.0}
    network = {"dtype": "float32", "spiking": {"readout_ticks": 5}, "init": {"model": "he", "scale": 0.5}}
    table: Table = {
        "chip": {"name": "analog-if", "astrocyte": {"delta_tau_s": "1 ms", "broadcast_noise_std": 1e-4}},
        "network": {"layers": layers, **network},
        "task": {"data": "xor", "cost": "cross-entropy"},
        "training": training,
        "stop": {"steps": 1000},
        "seed": 3,
    }
    return api.load_scenario(table)[1], images()


def noisy_weights() -> tuple[Scenario, Dataset]:
    """Weight space with every imperfection: late C~, mismatch, noisy reads and costs, pulses rounded at random."""
    chip = merged(NOISY, {"synapse": {"device": {"model": "soft-bounds", "dw_min": 1e-3, "dw_min_std": 0.3}}})
    training = {"tau_theta": 3, "tau_x": 2, "tau_p": 2, "norm_mag": 0.05, "learning_rate": 3.0, "difference": "two-noisy"}
    return scenario(SMALL, training, chip=chip, network=SINGLE, task={"shuffle": True}), four()


def held_baseline() -> tuple[Scenario, Dataset]:
    """The baseline is measured when sample or weights change, and otherwise kept."""
    training = {"tau_theta": 12, "tau_x": 4, "norm_mag": 0.05, "learning_rate": 3.0, "optimizer": "momentum"}
    chip = {"astrocyte": {"cost_noise_std": 1e-3}}
    return scenario(SMALL, training, chip=chip, network=SINGLE, task={"shuffle": True}), four()


def biased_refresh() -> tuple[Scenario, Dataset]:
    """delta-MGD with rare bias-only refreshes, three inferences a step, updates in windows."""
    layers = [dense("hidden", 5, "tanh"), dense("out", 3, "linear")]
    training = {
        "model": "delta-mgd", "probes": "separate", "refresh": "bias", "refresh_every": 20, "refresh_measurements": 4,
        "tau_theta": 2, "learning_rate": 1e-3, "norm_mag": 1e-2,
    }  # fmt: skip
    chip = {"astrocyte": {"cost_noise_std": 1e-3, "broadcast_noise_std": 1e-4, "delta_bits": 8}}
    return scenario(layers, training, chip=chip, network={"dtype": "float32"}), images()


COMPILED = {"weight space": weight_space, "analog": analog, "spiking delta": spiking_delta}
INTERPRETED = {"noisy weights": noisy_weights, "held baseline": held_baseline, "bias refreshes": biased_refresh}
"""The same control plane on kernels run as plain Python, so that nothing more is to be compiled."""

STEPS = 60


def build(name: str) -> Machine:
    make = {**COMPILED, **INTERPRETED}[name]
    resolved, data = make()
    changed = resolved.model_copy(
        update={
            "stop": resolved.stop.model_copy(update={"steps": STEPS}),
            "probes": resolved.probes.model_copy(update={"record_every": 16, "evaluate_every": 25}),
        }
    )
    machine = Machine(changed, data)
    return machine if name in COMPILED else plain(machine)


def run(name: str, **how: Any) -> tuple[Machine, Control]:
    machine = build(name)
    control = Control(machine, NullSink(), **how)
    control.begin()
    assert control.run() == "complete"
    return machine, control


@functools.cache
def reference(name: str) -> tuple[Machine, Control]:
    """A case once in burst mode, bursts as long as they like; nobody changes it afterwards."""
    return run(name)


CASES = [*COMPILED, *INTERPRETED]


@pytest.mark.parametrize("name", CASES)
def test_training_moved_something(name: str) -> None:
    """Or the comparisons below would compare nothing."""
    machine = reference(name)[0]
    assert machine.step == STEPS
    start = build(name).arrays["theta"]
    assert (np.array(machine.arrays["theta"]) != start).mean() > 0.5
    assert machine.totals["UPDATES"] >= 5


@pytest.mark.parametrize("name", CASES)
def test_event_mode_gives_the_same_bits(name: str) -> None:
    """Every phase of every tick handed to the control plane, or many steps in one call."""
    same_run(reference(name), run(name, mode="event"))


@pytest.mark.parametrize("steps", [1, 7])
@pytest.mark.parametrize("name", CASES)
def test_any_burst_length_gives_the_same_bits(name: str, steps: int) -> None:
    """A burst is an accident of the host."""
    same_run(reference(name), run(name, burst_steps=steps))


@pytest.mark.parametrize("name", CASES)
def test_resumed_is_as_if_never_stopped(name: str) -> None:
    """Stop in the middle, put the checkpoint into a machine built anew, go on (in the other mode)."""
    machine = build(name)
    kept: dict[str, Any] = {}

    class Keep(NullSink):
        def checkpoint(self, arrays: Any, meta: Any) -> None:
            kept["arrays"] = {key: array.copy() for key, array in arrays.items()}
            kept["meta"] = {key: dict(value) if isinstance(value, dict) else value for key, value in meta.items()}

    control = Control(machine, Keep(), burst_steps=11)

    def stop(now: Control) -> None:
        now.stop_requested = now.machine.step >= 37

    control.progress = stop
    control.begin()
    assert control.run() == "interrupted"
    assert 37 <= machine.step < STEPS
    again = build(name)
    resumed = Control(again, NullSink(), mode="event")
    resumed.resume(kept["arrays"], kept["meta"])
    resumed.begin()
    assert resumed.run() == "complete"
    same_run(reference(name), (again, resumed))


@pytest.mark.parametrize("name", CASES)
def test_looking_does_not_disturb(name: str) -> None:
    """Evaluations and true gradients between steps leave training as it was."""
    machine = build(name)
    control = Control(machine, NullSink(), burst_steps=5)

    def look(now: Control) -> None:
        now.machine.evaluate(3)

    control.progress = look
    control.begin()
    control.run()
    expected = reference(name)[0]
    np.testing.assert_array_equal(machine.arrays["theta"], expected.arrays["theta"])
    assert machine.totals == expected.totals


@pytest.mark.parametrize("name", ["weight space", "spiking delta"])
def test_one_seed_one_summary(name: str) -> None:
    """The same seed gives the same summary again; another one does not, on the same virtual chip."""
    machine, control = run(name)
    assert control.summary() == reference(name)[1].summary()
    make = COMPILED[name]
    resolved, data = make()
    other = Machine(resolved.model_copy(update={"seed": 99}), data)
    other.burst(STEPS)
    assert not np.array_equal(other.arrays["theta"], machine.arrays["theta"])
    for mismatch in ("w_max", "scale_up", "node_threshold", "node_gain"):
        np.testing.assert_array_equal(other.arrays[mismatch], machine.arrays[mismatch])


def test_interrupted_run_resumes_from_its_trace(tmp_path: Path) -> None:
    """The same through files: `api.run` stopped in the middle and `api.resume` give the summary of an uninterrupted run."""
    table: Table = {
        "chip": "nist-hw2",
        "network": {"layers": SMALL, **SINGLE},
        "task": {"data": "xor", "cost": "mse"},
        "training": {"model": "mgd", "norm_mag": 0.05, "learning_rate": 3.0},
        "stop": {"steps": 3000, "accuracy": 0.75},
        "probes": {"record_every": 100, "evaluate_every": 500},
        "seed": 5,
    }
    whole = api.run(table, output=tmp_path / "whole.h5")

    def stop(control: Control) -> None:
        control.stop_requested = control.machine.step >= 1300

    first = api.run(table, output=tmp_path / "part.h5", progress=stop, burst_steps=130)
    assert first.status == "interrupted"
    assert first.trace is not None
    second = api.resume(first.trace, output=tmp_path / "rest.h5")
    assert second.status == "complete"
    for run_ in (whole, second):
        run_.summary.pop("host")
    assert {**second.summary, "scenario": ""} == {**whole.summary, "scenario": ""}
    assert second.trace is not None
    assert whole.trace is not None
    with api.open_trace(whole.trace) as one, api.open_trace(second.trace) as two:
        for layer in ("hidden", "out"):
            np.testing.assert_array_equal(one.weights[layer].value, two.weights[layer].value)
        np.testing.assert_array_equal(np.asarray(one.training.cost), np.asarray(two.training.cost))
        np.testing.assert_array_equal(np.asarray(one.ledger.counts), np.asarray(two.ledger.counts))
