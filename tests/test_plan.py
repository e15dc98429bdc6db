"""What a dry run predicts, against the run itself: within a factor of two."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from neurosim import api, cli_plan
from neurosim.engine import forecast as engine
from neurosim.engine.forecast import Forecast, forecast
from neurosim.engine.machine import Machine
from neurosim.engine.schedule import Schedule

ROOT = Path(__file__).resolve().parent.parent
Settings = dict[str, Any]


def xor(**more: Any) -> Settings:
    table: Settings = {
        "chip": "nist-hw2",
        "network": {
            "init": {"model": "uniform", "scale": 0.5},
            "layers": [
                {"type": "dense", "name": "hidden", "size": 2, "neuron": "sigmoid"},
                {"type": "dense", "name": "out", "size": 1, "neuron": "sigmoid"},
            ],
        },
        "task": {"data": "xor", "cost": "mse"},
        "training": {"model": "mgd", "norm_mag": 0.05, "learning_rate": 3.0},
        "stop": {"steps": 2_000_000},
        "seed": 1,
    }
    return table | more


def machine_of(table: Settings | str, **more: Any) -> Machine:
    return api.build(api.load_scenario(table, **more)[1])


def ready(table: Settings | str, **more: Any) -> Machine:
    """A machine whose kernel has been compiled before."""
    machine = machine_of(table, **more)
    machine.burst(0)
    return machine_of(table, **more)


def seen(machine: Machine, probe_s: float = 0.2) -> Forecast:
    return forecast(machine, cli_plan.trace_size(machine, Schedule.of(machine.scenario)), probe_s=probe_s)


# the probe


def test_a_probe_foresees_a_longer_run(tmp_path: Path) -> None:
    """Chip time and energy closely, host time within a factor of two: in one of three tries, the machine may be busy."""
    found = seen(ready(xor()))
    assert found.how == "probe"
    assert found.steps == 2_000_000
    ratios = []
    for _ in range(3):
        done = api.run(xor(), output=tmp_path / "run.h5", force=True)
        ratios.append(seen(machine_of(xor())).host_time_s / done.summary["host"]["time_s"])
        if 0.5 < ratios[-1] < 2.0:
            break
    assert any(0.5 < ratio < 2.0 for ratio in ratios), ratios
    assert found.inferences == done.summary["inferences"]
    assert found.bill.chip_time_s == pytest.approx(done.summary["chip_time_s"], rel=0.05)
    assert found.bill.energy_J == pytest.approx(done.summary["energy_J"], rel=0.05)
    assert found.bill.energy_low_J == pytest.approx(done.summary["energy_low_J"], rel=0.05)
    trace_B = cli_plan.trace_size(machine_of(xor()), Schedule.of(machine_of(xor()).scenario))
    assert 0.5 < trace_B / (tmp_path / "run.h5").stat().st_size < 2.0


def test_a_probe_that_reaches_the_end_is_exact() -> None:
    table = xor(stop={"steps": 1000})
    found = seen(ready(table))
    done = api.run(table, record=False)
    for key in ("chip_time_s", "energy_J", "energy_high_J", "chip_time_high_s", "energy_by_action_J"):
        assert getattr(found.bill, key) == done.summary[key], key


@pytest.mark.parametrize(
    ("stop", "ended_by"),
    [({"inferences": 50_000}, "inferences"), ({"chip_time_s": 7e-4}, "chip_time_s"), ({"energy_J": 9e-6}, "energy_J")],
)
def test_limits_of_stop_end_a_run_before_its_steps(stop: Settings, ended_by: str) -> None:
    table = xor(stop={"steps": 2_000_000, **stop}, probes={"record_every": 500, "evaluate_every": 500})
    found = seen(ready(table), probe_s=0.05)
    done = api.run(table, record=False)
    assert found.ended_by == ended_by
    assert found.steps == pytest.approx(done.summary["steps"], rel=0.05)


def test_a_run_that_will_diverge_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    training = {"model": "mgd", "norm_mag": 0.05, "learning_rate": 1e300}
    machine = ready(xor(training=training))
    plan = cli_plan.plan("xor", machine)
    assert plan["host"]["diverged_at"] is not None
    cli_plan.show(plan)
    assert "the cost is not finite at step" in capsys.readouterr().out


def test_the_timing_table_counts_into_the_size_of_the_trace() -> None:
    plain, timed = machine_of(xor()), machine_of(xor(), record="timing")
    more = cli_plan.trace_size(timed, Schedule.of(timed.scenario)) - cli_plan.trace_size(
        plain, Schedule.of(plain.scenario)
    )
    assert more >= 200 * 8 * len(timed.names)  # 200 rows


# the model


@pytest.mark.parametrize(
    "scenario",
    ["xor-mgd", "quickstart", *(pytest.param(name, marks=pytest.mark.slow) for name in ("parity4-mgd", "nist7x7-mgd"))],
)
def test_the_model_tallies_what_a_machine_tallies(scenario: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a kernel: chip time and energy within a factor of two of what the kernel counts in its first steps."""
    overrides = {"stop.steps": 300}
    machine = machine_of(scenario, overrides=overrides)
    monkeypatch.setattr(Machine, "needs_compiling", property(lambda self: True))
    found = seen(machine)
    assert found.how == "model"
    done = api.run(scenario, overrides=overrides, record=False)
    assert 0.5 < found.bill.chip_time_s / done.summary["chip_time_s"] < 2.0
    assert 0.5 < found.bill.energy_J / done.summary["energy_J"] < 2.0
    assert found.inferences == pytest.approx(done.summary["inferences"], rel=0.1)


TRAINERS: list[Settings] = [
    {"model": "mgd", "norm_mag": 0.05, "learning_rate": 1.0, "difference": "two-sided", "tau_x": 2},
    {"model": "mgd", "norm_mag": 0.05, "learning_rate": 1.0, "difference": "two-noisy", "tau_theta": 4},
    {"model": "mgd", "norm_mag": 0.05, "learning_rate": 1.0, "difference": "high-pass", "tau_x": 4},
    {"model": "mgd", "norm_mag": 0.05, "learning_rate": 1.0, "code": "sequential", "tau_theta": 9},
    {"model": "node", "norm_mag": 0.05, "learning_rate": 0.1},
    {"model": "backprop", "learning_rate": 0.5},
]


@pytest.mark.parametrize("training", TRAINERS, ids=lambda each: "-".join(str(value) for value in each.values()))
def test_the_model_knows_every_trainer(training: Settings) -> None:
    """Of any trainer, the model foresees a time no shorter than its inferences, and an energy with an interval."""
    machine = machine_of(xor(training=training))
    tally, forward = engine.nominal(machine)
    assert tally.keys() == dict.fromkeys(machine.names).keys()
    assert forward > 0.0
    assert tally["CLEAN"] + tally["PERTURBED"] <= len(machine.composition.step.slots)
    assert tally["PERTURBED"] == sum(1 for sign in machine.composition.step.slots if sign)
    ledger = engine.ledger_after(machine, Schedule.of(machine.scenario), engine.model(machine), 1000)
    assert ledger.time_fs > 0
    assert ledger.counts["weight_pulse"] == pytest.approx(1000 * tally["WRITTEN"], rel=0.01)


# the command, as a law


LAWS = [("xor-mgd", 40_000), ("nist7x7-mgd", 300_000), ("quickstart", 8_000)]


@pytest.mark.slow
@pytest.mark.parametrize(("scenario", "steps"), LAWS)
def test_a_dry_run_is_right_within_a_factor_of_two(scenario: str, steps: int, tmp_path: Path) -> None:
    """Memory, file size, chip time, energy and host time of shipped scenarios, each in a process of its own."""

    def call(*more: str) -> tuple[Any, int]:
        command = [
            sys.executable,
            "-m",
            "neurosim",
            "run",
            scenario,
            "--set",
            f"stop.steps={steps}",
            "--json",
            "-q",
            *more,
        ]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            out = child.stdout.read()
            _, status, used = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        assert child.returncode == 0
        return json.loads(out), used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)

    call("-o", "first.h5")  # compiles
    plan, _ = call("--dry-run")
    done, memory_B = call("-o", "run.h5")
    assert plan["host"]["how"] == "probe"
    ratios = {
        "chip time": plan["chip_time"]["run_s"] / done["chip_time_s"],
        "energy": plan["energy"]["run_J"] / done["energy_J"],
        "host time": plan["host"]["time_s"] / done["host"]["time_s"],
        "memory": plan["host"]["memory_B"] / memory_B,
        "file": plan["trace_B"] / (tmp_path / "run.h5").stat().st_size,
    }
    assert all(0.5 <= ratio <= 2.0 for ratio in ratios.values()), ratios
