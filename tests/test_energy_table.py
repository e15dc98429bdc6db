"""Energy of a classification beside published ones, and error against the operations of training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w

import neurosim as ns
from neurosim import cli
from neurosim.accounting import ACTIONS
from neurosim.chip.layers import plan_network
from neurosim.data.published import load_published, tasks
from neurosim.engine.tables import EARLY, EVAL, LEDGER
from neurosim.errors import InputError
from neurosim.report import write_report
from neurosim.spec import load
from neurosim.trace import TraceWriter
from neurosim.trace.early import decided, whole
from neurosim.trace.operations import macs_of_a_sample, operations

EVENTS_A_SAMPLE = 1000
ERRORS = [0.9, 0.2, 0.06, 0.04]
PNG = b"\x89PNG\r\n"


def scenario(trainer: str) -> str:
    neuron, chip = ("erbp-lif", "nsat") if trainer == "erbp" else ("relu", "analog-if-with-transpose-read")
    layers = [
        {"type": "dense", "name": name, "size": size, "neuron": neuron} for name, size in (("hid", 100), ("out", 10))
    ]
    table = {"chip": {"name": chip}, "network": {"layers": layers}, "task": {"data": "mnist", "cost": "mse"},
             "training": {"model": trainer, "learning_rate": 0.01}, "stop": {"steps": 30}}  # fmt: skip
    return tomli_w.dumps(table)


def made(path: Path, trainer: str, early: bool = True) -> Path:
    """Evaluations at 0, 10, 20 and 30 samples; 1,000 synaptic events a sample; decisions of four ticks at 20 pJ."""
    with TraceWriter.create(path, force=True, attributes={}) as writer:
        built = {"input_shape": [28, 28, 1], "outputs": 10}
        for table in (EVAL, replace(LEDGER, attributes={**LEDGER.attributes, **built})):
            writer.declare(table)
        writer.write("/ledger/action", list(ACTIONS), "1", "names")
        writer.write("/config/scenario", scenario(trainer), "1", "the scenario")
        for samples, error in zip((0, 10, 20, 30), ERRORS, strict=True):
            row: dict[str, Any] = {column.name: [0.0 if column.dtype == "f8" else 0] for column in EVAL.columns}
            row |= {"tick": [10 * samples], "step": [samples], "inferences": [samples], "accuracy": [1.0 - error]}
            writer.append("/eval", row)
        for samples in (15, 30):  # the evaluations lie between the ledger's rows
            ledger = {column.name: np.zeros((1, *column.shape)) for column in LEDGER.columns}
            counts = np.zeros((1, len(ACTIONS)), np.int64)
            counts[0, ACTIONS.index("synaptic_event")] = EVENTS_A_SAMPLE * samples
            writer.append("/ledger", {**ledger, "tick": np.array([10 * samples]), "counts": counts})
        if early:
            writer.declare(EARLY)
            events = np.array([10.0, 400.0, 700.0, 1000.0])
            writer.append("/early", {"tick": np.arange(1, 5), "time_s": 1e-3 * np.arange(1, 5), "energy_J": 20e-12 * events,
                                     "accuracy": 1.0 - np.array(ERRORS), "synaptic_events": events})  # fmt: skip
        return writer.close("complete", {"scenario": "made", "chip": "nsat", "seed": 0})


def test_published_rows_are_sourced() -> None:
    assert "mnist" in tasks()
    rows = load_published("mnist")
    assert all(row.source and row.counts and 0.0 < row.energy_J < 1.0 for row in rows)
    assert [row.energy_J for row in rows] == sorted(row.energy_J for row in rows)
    talk = [row for row in rows if "talk" in row.source]
    assert sorted(round(row.energy_J * 1e6, 6) for row in talk) == [2.0, 4.0, 1265.0, 6000.0]
    assert [row.quoted for row in talk] == [row.energy_J != pytest.approx(2e-6) for row in talk]
    assert all(row.error is not None for row in rows if not row.quoted)


def test_an_unknown_task_says_which_are_known() -> None:
    with pytest.raises(InputError, match=r"'mnits'; did you mean 'mnist'\?"):
        load_published("mnits")


def test_a_decision_is_the_first_tick_at_the_error(tmp_path: Path) -> None:
    with ns.open_trace(made(tmp_path / "a.h5", "erbp")) as trace:
        found, end = decided(trace), whole(trace)
        assert found is not None and end is not None
        assert (found.ticks, found.synaptic_events, found.energy_J) == (4, 1000.0, pytest.approx(20e-9))
        later = decided(trace, 0.1)
        assert later is not None and (later.ticks, later.error, later.energy_J) == (3, pytest.approx(0.06), 1.4e-8)
        assert decided(trace, 0.01) is None
        assert end.ticks == 4
    with ns.open_trace(made(tmp_path / "b.h5", "erbp", early=False)) as trace:
        assert decided(trace) is None and whole(trace) is None


def test_synaptic_events_are_counted_until_each_evaluation(tmp_path: Path) -> None:
    with ns.open_trace(made(tmp_path / "a.h5", "erbp")) as trace:
        run = operations(trace)
        assert run is not None
        assert run.kind == "SynOps"
        assert run.done.tolist() == [0.0, 10_000.0, 20_000.0, 30_000.0]
        assert run.per_sample == EVENTS_A_SAMPLE
        assert run.until(0.94) == 20_000.0 and run.until(0.97) is None


def test_multiplications_of_back_propagation_follow_from_the_layers(tmp_path: Path) -> None:
    with ns.open_trace(made(tmp_path / "a.h5", "backprop")) as trace:
        run = operations(trace)
        assert run is not None
        assert run.kind == "MACs"
        each = 2 * (784 * 100 + 100 * 10) + 100 * 10
        assert run.per_sample == each == 159_800
        assert run.done.tolist() == [0.0, 10.0 * each, 20.0 * each, 30.0 * each]
    with ns.open_trace(ns.run("xor-mgd", output=tmp_path / "x.h5", overrides={"stop.steps": 10}).trace or "") as trace:
        assert operations(trace) is None


def test_multiplications_of_a_convolution() -> None:
    """3 x 3 windows at 26 x 26 places, then 10 neurons; the errors go back through the second layer alone."""
    ns.api.load_models()
    table = load.load_scenario_table("fashion-mnist-cnn-mgd")
    network = load.resolve(table, where="test").network
    plan = plan_network(network, (28, 28, 1), 10)
    conv, *others = [layer.weights * layer.positions for layer in plan.trainable]
    assert plan.trainable[0].positions == int(np.prod(plan.trainable[0].shape[:2])) > 1
    assert macs_of_a_sample(plan) == 2 * conv + 3 * sum(others)


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        cli.main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return int(end.value.code or 0), said.out, said.err


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = made(tmp_path / "spikes.h5", "erbp"), made(tmp_path / "back.h5", "backprop", early=False)
    figures = tmp_path / "figures"
    code, out, _ = call(capsys, "compare", one, two, "--published", "mnist", "--figures", figures)
    assert code == 0
    assert "30 k SynOps" in out and "4.79 M MACs  (x 160)" in out
    assert "spikes, decided" in out and "0.02 µJ" in out and "1,000 synaptic events at 20 pJ, 4 ms" in out
    assert "1,265 µJ" in out and "6,000 µJ" in out and "not known here" in out
    for name in ("classification_energy.png", "error_by_operations.png"):
        assert (figures / name).read_bytes().startswith(PNG)
    code, out, _ = call(capsys, "compare", one, "--published", "mnist", "--json")
    found = json.loads(out)
    assert code == 0 and found["operations"][0] == {"kind": "SynOps", "per_sample": 1000.0, "total": 30_000.0,
                                                    "at_equal_accuracy": 30_000.0}  # fmt: skip
    rows = {row["system"]: row for row in found["classifications"]}
    assert rows["spikes, decided"]["energy_J"] == pytest.approx(20e-9)
    assert sum(row["kind"] == "quoted" for row in rows.values()) == 3


def test_everything_wrong_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = made(tmp_path / "a.h5", "erbp")
    (tmp_path / "error_by_operations.png").write_text("here before")
    code, out, err = call(capsys, "compare", one, tmp_path / "none.h5", "--published", "mnits", "--figures", tmp_path)
    assert (code, out) == (2, "")
    for said in ("did you mean 'mnist'", "none.h5", "error_by_operations.png exists already"):
        assert said in err
    assert (tmp_path / "error_by_operations.png").read_text() == "here before"
    code, _, err = call(capsys, "compare", one)
    assert code == 2 and "one is enough with --published" in err


def test_the_report_draws_early_decisions(tmp_path: Path) -> None:
    page = write_report(made(tmp_path / "a.h5", "erbp"))
    text = page.read_text(encoding="utf-8")
    assert "Under 5 % error after" in text and "1\u202f000 SynOps, 20 nJ, 4 ms" in text
    assert (tmp_path / "a_figures" / "early.png").read_bytes().startswith(PNG)
    text = write_report(made(tmp_path / "b.h5", "erbp", early=False)).read_text(encoding="utf-8")
    assert "Under 5 % error after" not in text
    assert not (tmp_path / "b_figures" / "early.png").exists()
