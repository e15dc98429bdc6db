"""Runs side by side at equal accuracy."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurosim import accounting, api, cli
from neurosim.accounting import ACTIONS, Ledger
from neurosim.engine.sink import Table
from neurosim.engine.tables import EVAL, LEDGER
from neurosim.spec.load import load_chip
from neurosim.trace import Trace, TraceWriter, open_trace
from neurosim.trace.compare import Reached, best_common_accuracy, by_action, difference, reach, shared_prices

Settings = dict[str, Any]
api.load_models()
TABLE = accounting.price_table(load_chip("nist-hw2"))
PRICED = [name for name in ACTIONS if TABLE.is_priced(name)]


def made(path: Path, accuracies: list[float], ticks: list[int], record: list[int]) -> Path:
    """A trace with those evaluations; every tick costs 2 messages and 1 us, and ledger rows stand at ``record``."""
    with TraceWriter.create(path, force=True, attributes={}) as writer:
        for table in (EVAL, LEDGER):
            writer.declare(Table(table.path, table.columns, table.attributes))
        writer.write("/ledger/action", list(ACTIONS), "1", "names")
        for accuracy, tick in zip(accuracies, ticks, strict=True):
            row = {column.name: [0.0 if column.dtype == "f8" else 0] for column in EVAL.columns}
            row |= {
                "tick": [tick], "step": [tick], "inferences": [tick], "time_s": [tick * 1e-6],
                "time_low_s": [tick * 0.5e-6], "time_high_s": [tick * 2e-6], "energy_J": [tick * 3.0],
                "energy_low_J": [tick * 1.0], "energy_high_J": [tick * 9.0], "accuracy": [accuracy],
            }  # fmt: skip
            writer.append("/eval", row)
        k = ACTIONS.index("message")
        for tick in record:
            ledger = {column.name: np.zeros((1, *column.shape)) for column in LEDGER.columns}
            ledger["tick"], ledger["counts"] = np.array([tick]), np.zeros((1, len(ACTIONS)), np.int64)
            ledger["energy_J"][0, k] = 2.0 * tick
            writer.append("/ledger", ledger)
        return writer.close("complete", {})


def test_an_accuracy_is_reached_at_the_first_evaluation_that_shows_it(tmp_path: Path) -> None:
    path = made(tmp_path / "a.h5", [0.1, 0.5, 0.4, 0.8], [0, 10, 20, 30], [10, 20, 30])
    with open_trace(path) as trace:
        found = reach(trace, 0.45)
        assert found is not None
        assert (found.accuracy, found.steps, found.since_steps) == (0.5, 10, 0)
        assert (found.chip_time_s, found.chip_time_low_s, found.chip_time_high_s) == pytest.approx((10e-6, 5e-6, 20e-6))
        later = reach(trace, 0.6)
        assert later is not None
        assert (later.steps, later.since_steps, later.since_energy_J) == (30, 20, 60.0)
        assert reach(trace, 0.81) is None
        first = reach(trace, 0.05)
        assert first is not None
        assert (first.steps, first.since_steps, first.energy_by_action_J) == (0, 0, {})


@pytest.mark.parametrize(("record", "tick", "joules"), [([10, 20], 10, 20.0), ([8, 24], 12, 24.0), ([30], 15, 30.0)])
def test_joules_by_action_are_interpolated_between_rows_of_the_ledger(
    tmp_path: Path, record: list[int], tick: int, joules: float
) -> None:
    with open_trace(made(tmp_path / "a.h5", [0.1], [0], record)) as trace:
        assert by_action(trace, "energy_J", tick) == {"message": pytest.approx(joules)}
        assert by_action(trace, "energy_J", 0) == {}


def test_the_best_common_accuracy_is_that_of_the_worst_run(tmp_path: Path) -> None:
    paths = [
        made(tmp_path / "a.h5", [0.1, 0.9, 0.7], [0, 1, 2], [1]),
        made(tmp_path / "b.h5", [0.2, 0.6, 0.8], [0, 1, 2], [1]),
        made(tmp_path / "none.h5", [], [], []),
    ]
    traces = [open_trace(path) for path in paths]
    try:
        assert best_common_accuracy(traces[:2]) == 0.8
        assert best_common_accuracy(traces) is None
    finally:
        for trace in traces:
            trace.close()


# energies of runs that share their prices


def reached(ledger: Ledger) -> Reached:
    """A run that came to that ledger."""
    bill, counts = accounting.bill(ledger, TABLE), ledger.counts
    low, high = (accounting.energy_by_action_J(counts, TABLE.at(band)) for band in ("low", "high"))  # type: ignore[arg-type]
    return Reached(
        0.5, 1, 1, bill.chip_time_s, bill.chip_time_low_s, bill.chip_time_high_s, bill.energy_J, bill.energy_low_J,
        bill.energy_high_J, 0, 0, 0.0, 0.0, bill.energy_by_action_J, bill.static_energy_J, low, high,
    )  # fmt: skip


LEDGERS = st.builds(
    Ledger,
    st.dictionaries(st.sampled_from(PRICED), st.integers(0, 10**9)),
    st.builds(dict, write=st.integers(0, 10**12)),
)


@given(LEDGERS, LEDGERS, st.lists(st.floats(0.0, 1.0), min_size=len(ACTIONS) + 1, max_size=len(ACTIONS) + 1))
def test_the_difference_lies_in_its_bounds_for_all_shared_prices(one: Ledger, other: Ledger, at: list[float]) -> None:
    static = TABLE.static
    assert static.low_W is not None and static.high_W is not None
    low, high = difference(reached(one), reached(other), (static.low_W, static.high_W))
    energy = TABLE.low_J + np.array(at[:-1]) * (TABLE.high_J - TABLE.low_J)
    power = static.low_W + at[-1] * (static.high_W - static.low_W)
    somewhere = replace(TABLE, energy_J=energy, static=static.model_copy(update={"power_W": power}))
    value = accounting.energy_J(one, somewhere) - accounting.energy_J(other, somewhere)
    slack = 1e-9 * (abs(low) + abs(high) + accounting.energy_interval(one + other, TABLE)[1])
    assert low - slack <= value <= high + slack


def test_a_run_that_does_less_of_everything_needs_less_whatever_the_prices() -> None:
    few, many = (
        Ledger({"message": 5, "cell_read": 1}, {"write": 7}),
        Ledger({"message": 9, "cell_read": 1}, {"write": 8}),
    )
    assert difference(reached(few), reached(many), (1e-3, 1e-1))[1] < 0.0
    mixed = Ledger({"message": 1}, {"write": 10**12})
    low, high = difference(reached(few), reached(mixed), (0.0, 1e-1))
    assert low < 0.0 < high


# the command


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
        "stop": {"steps": 9000, "accuracy": 0.75},
        "seed": 1,
    }
    return table | more


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """MGD, the same with a quarter of the evaluations, and the same on another chip."""
    folder = tmp_path_factory.mktemp("compare")
    runs = {
        "mgd": xor(),
        "coarse": xor(probes={"evaluate_every": 2250}),
        "fast": xor(chip="nist-hw3"),
    }
    return [Path(str(api.run(table, output=folder / f"{name}.h5").trace)) for name, table in runs.items()]


def test_shared_prices(three: list[Path]) -> None:
    def same(*which: int) -> bool:
        traces: list[Trace] = [open_trace(three[k]) for k in which]
        try:
            return shared_prices(traces)
        finally:
            for trace in traces:
                trace.close()

    assert same(0, 1)
    assert not same(0, 2)


def test_the_command_compares_at_equal_accuracy(three: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    def call(*arguments: str | Path) -> str:
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main([str(argument) for argument in arguments])
        assert end.value.code == 0
        return capsys.readouterr().out

    found = json.loads(call("compare", *three, "--json"))
    equal = found["equal_accuracy"]
    mine, coarse, fast = equal["runs"]
    assert found["trainers"] == ["mgd", "mgd", "mgd"]
    assert mine["accuracy"] >= equal["accuracy"]
    assert mine["steps"] <= coarse["steps"]
    assert mine["steps"] == fast["steps"]  # the same physics, another clock
    assert fast["chip_time_s"] < mine["chip_time_s"]
    assert equal["energy_order"] == ([["mgd", "coarse"]] if mine["steps"] < coarse["steps"] else [])
    assert ["mgd", "coarse"] in equal["energy_overlaps"]
    assert found["time_overlaps"] == [["mgd", "coarse"]]
    parts = sum(mine["energy_by_action_J"].values()) + mine["static_energy_J"]
    assert parts == pytest.approx(mine["energy_J"], rel=1e-12)
    shown = call("compare", *three)
    for text in ("at equal accuracy", "to target: accuracy", "time intervals overlap: mgd and coarse", "trainer"):
        assert text in shown


def test_backpropagation_is_a_column_that_says_who_pays(
    three: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from neurosim.cli_compare import trainer_of

    base = {"model": "backprop", "learning_rate": 0.5}
    for on_chip, chip, said in (
        (True, "nist-hw2-with-transpose-read", "backprop (on the chip)"),
        (False, "nist-hw2", "backprop (in software, not charged)"),
    ):
        with TraceWriter.create(tmp_path / f"{on_chip}.h5", force=True, attributes={}) as writer:
            _, scenario = api.load_scenario(xor(chip=chip, training={**base, "on_chip": on_chip}))
            writer.write("/config/scenario", api.tomli_w.dumps(api._plain(scenario)), "1", "text")
            writer.close("complete", {})
        with open_trace(tmp_path / f"{on_chip}.h5") as trace:
            assert trainer_of(trace) == said
