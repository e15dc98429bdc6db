"""Recost: the same chip is the identity, another one is what a run on it would be, and what cannot be known is said."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import h5py
import pytest
import tomli_w

from neurosim import accounting, api, cli, files
from neurosim.engine import retime
from neurosim.errors import InputError, TraceError
from neurosim.spec import load
from neurosim.trace import open_trace

Table = dict[str, Any]
BILL = ("chip_time_s", "chip_time_low_s", "chip_time_high_s", "energy_J", "energy_low_J", "energy_high_J",
        "energy_by_action_J", "static_energy_J", "power_W", "assumed_share", "bound_by")  # fmt: skip


def xor(**more: Any) -> Table:
    table: Table = {
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
        "stop": {"steps": 600},
        "seed": 1,
    }
    return table | more


def run(folder: Path, *, record: Any = "timing", **more: Any) -> tuple[Path, Table]:
    done = api.run(xor(**more), output=folder / "run.h5", record=record, force=True)
    assert done.trace is not None
    return done.trace, done.summary


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Table]:
    return run(tmp_path_factory.mktemp("recost"))


def chip_file(folder: Path, base: str, **changes: Any) -> str:
    """A chip file: ``base`` with other values at key paths (``__`` for a dot)."""
    table = load.load_chip_table(base)
    for path, value in changes.items():
        *parents, last = path.split("__")
        here = table
        for part in parents:
            here = here.setdefault(part, {})
        here[last] = value
    path = folder / "other.toml"
    path.write_text(tomli_w.dumps(table | {"name": "other"}), encoding="utf-8")
    return str(path)


def assert_same_bits(bill: accounting.Bill, summary: Table) -> None:
    for key in BILL:
        assert getattr(bill, key) == summary[key], key


# the same chip


def test_recost_to_the_same_chip_is_the_identity(trained: tuple[Path, Table]) -> None:
    done = api.recost(trained[0], "nist-hw2")
    assert (done.time, done.why) == ("exact", ())
    assert_same_bits(done.bill, trained[1])


def test_also_without_tallies_and_where_the_ledger_ends_before_the_run(tmp_path: Path) -> None:
    """A run that stops at its accuracy ends between two rows of the ledger; the summary holds the exact counts."""
    stop = {"steps": 9000, "accuracy": 0.75, "at_accuracy": True}
    probes = {"evaluate_every": 700, "record_every": 1000}
    trace, summary = run(tmp_path, record=True, stop=stop, probes=probes)
    assert summary["steps"] % 700 == 0
    assert summary["steps"] < 9000
    assert_same_bits(api.recost(trace, "nist-hw2").bill, summary)


def test_also_when_femtoseconds_do_not_fit_a_double(tmp_path: Path) -> None:
    """More than nine seconds are more femtoseconds than a double counts one by one."""
    settings = {"name": "nist-hw2", "timing": {"perturbation_period_s": 0.0234567890123}, "prices": {}}
    trace, summary = run(tmp_path, chip=settings)
    assert summary["chip_time_s"] > 9.1
    assert_same_bits(api.recost(trace, "nist-hw2").bill, summary)


def test_also_with_settings_of_the_scenario_and_of_the_command_line(tmp_path: Path) -> None:
    done = api.run(
        xor(chip={"name": "nist-hw2", "static": {"power_W": 0.05}}), output=tmp_path / "run.h5",
        overrides={"chip.prices.dac_conversion.energy_J": 3e-12}, ideal=True,
    )  # fmt: skip
    assert done.trace is not None
    again = api.recost(done.trace, "nist-hw2")
    assert again.time == "exact"
    assert_same_bits(again.bill, done.summary)


def test_also_of_a_run_whose_physics_depends_on_seconds(tmp_path: Path) -> None:
    noisy = {"name": "nist-hw2", "astrocyte": {"cost_noise_density": 1e-9}}
    trace, summary = run(tmp_path, chip=noisy)
    assert_same_bits(api.recost(trace, "nist-hw2").bill, summary)


def test_power_gating_goes_by_the_cores_that_were_used(tmp_path: Path) -> None:
    """Cores so small that 2-2-1 takes three of them; only those draw power."""
    static = {"power_W": 1e-3, "core_power_W": 1e-3, "power_gating": True, "kind": "published", "source": "a test"}
    chip = chip_file(
        tmp_path, "nist-hw2", geometry__neurons_per_core=1, geometry__inputs_per_core=4, static=static
    )  # fmt: skip
    trace, summary = run(tmp_path, chip=chip)
    assert summary["cores_used"] == 3
    assert summary["static_energy_J"] == pytest.approx(4e-3 * summary["chip_time_s"], rel=1e-12)
    assert_same_bits(api.recost(trace, chip).bill, summary)
    roomy = chip_file(tmp_path, "nist-hw2", static=static)  # there the network needs one core
    done = api.recost(trace, roomy)
    assert done.time == "exact"
    assert done.bill.static_energy_J == pytest.approx(2e-3 * done.bill.chip_time_s, rel=1e-12)


# another chip, exactly


@pytest.mark.parametrize("chip", ["nist-hw3", "nist-hw2-with-transpose-read"])
def test_recost_to_a_chip_that_takes_the_same_steps_is_a_run_on_it(trained: tuple[Path, Table], chip: str) -> None:
    done = api.recost(trained[0], chip)
    assert (done.time, done.why) == ("exact", ())
    there = api.replay(trained[0], chip=chip)
    assert_same_bits(done.bill, there.summary)
    assert there.summary["accuracy"] == trained[1]["accuracy"]
    assert there.trace is None


def test_other_latencies_prices_and_cores_are_followed(trained: tuple[Path, Table], tmp_path: Path) -> None:
    other = chip_file(
        tmp_path, "nist-hw2", geometry__neurons_per_core=1, geometry__inputs_per_core=4, geometry__cores=4,
        geometry__mesh_width=2, astrocyte__broadcast="mesh", timing__settling_s=3e-9,
        prices__sample_word_loaded__latency_s=7e-9, prices__sample_word_loaded__high_s=1e-8,
        prices__weight_pulse__energy_J=1e-13,
    )  # fmt: skip
    done = api.recost(trained[0], other)
    assert done.time == "exact"
    assert done.bill.energy_by_action_J["message"] > 0.0  # there the layers stand on different cores
    assert_same_bits(done.bill, api.replay(trained[0], chip=other).summary)


# another chip, and what cannot be known


def test_without_tallies_the_time_is_the_recorded_one(tmp_path: Path) -> None:
    trace, summary = run(tmp_path, record=True)
    done = api.recost(trace, "nist-hw3")
    assert done.time == "recorded"
    assert "--record timing" in done.why[0]
    assert done.bill.chip_time_s == summary["chip_time_s"]
    table = accounting.price_table(load.load_chip("nist-hw3"))
    assert done.bill.energy_by_action_J == accounting.energy_by_action_J(summary["counts"], table)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"synapse__read_noise_std": 0.01}, "chip.synapse.read_noise_std: 0.0 as run, 0.01 there"),
        ({"astrocyte__cost_noise_std": 0.01}, "chip.astrocyte.cost_noise_std"),
        ({"periphery__dac_bits": 4}, "chip.periphery.dac_bits"),
        ({"synapse__device": "soft-bounds"}, "chip.synapse.device"),
        ({"astrocyte__cost_noise_density": 1e-9}, "depends on the measuring time"),
    ],
)
def test_another_physics_is_never_timed_without_a_replay(
    trained: tuple[Path, Table], tmp_path: Path, changes: Table, said: str
) -> None:
    done = api.recost(trained[0], chip_file(tmp_path, "nist-hw2", **changes))
    assert done.time == "recorded"
    assert any(said in why for why in done.why), done.why
    assert done.bill.chip_time_s == trained[1]["chip_time_s"]
    assert done.bill.energy_by_action_J == trained[1]["energy_by_action_J"]


def test_other_devices_have_other_mismatch(tmp_path: Path) -> None:
    uneven = {"name": "nist-hw2", "perturbation": {"amplitude_dtod": 0.1}}
    ours = api.load_scenario(xor(chip=uneven))[1]
    data, tallies = retime.stand_in((2,), 1, 2), dict.fromkeys(api.build(ours).names, 7)
    for changes, why in (
        ({"static__power_W": 0.02}, ()),
        ({"fabrication_seed": 77}, ("chip.fabrication_seed: other devices have other mismatch",)),
    ):
        other = chip_file(tmp_path, "nist-hw2", perturbation__amplitude_dtod=0.1, **changes)
        theirs = api.load_scenario(xor(), chip=other)[1]
        assert retime.retime(ours, theirs, data, tallies).why_not == why


def test_a_tally_that_was_cut_off_is_not_timed() -> None:
    ours = api.load_scenario(xor())[1]
    tallies = dict.fromkeys(api.build(ours).names, 7) | {"CONDUCTANCE_0": 2**63 - 1}
    done = retime.retime(ours, api.load_scenario(xor(), chip="nist-hw3")[1], retime.stand_in((2,), 1, 2), tallies)
    assert done.ledger is None
    assert "CONDUCTANCE_0" in done.why_not[0]


def test_a_run_whose_physics_depends_on_seconds_is_never_timed_again(tmp_path: Path) -> None:
    trace, summary = run(tmp_path, chip={"name": "nist-hw2", "astrocyte": {"cost_noise_density": 1e-9}})
    done = api.recost(trace, chip_file(tmp_path, "nist-hw2", static__power_W=0.02))
    assert done.time == "recorded"
    assert "cost_noise_density" in done.why[0]
    assert done.bill.chip_time_s == summary["chip_time_s"]


def test_a_chip_on_which_the_scenario_cannot_run_still_prices_its_counts(
    trained: tuple[Path, Table], tmp_path: Path
) -> None:
    small = chip_file(tmp_path, "nist-hw2", geometry__cores=1, geometry__neurons_per_core=1)
    done = api.recost(trained[0], small)
    assert done.time == "recorded"
    assert any("missing" in why or "cores" in why for why in done.why)


def test_a_count_without_a_price_is_an_error(trained: tuple[Path, Table], tmp_path: Path) -> None:
    table = load.load_chip_table("nist-hw2")
    del table["prices"]["weight_pulse"]
    path = tmp_path / "poor.toml"
    path.write_text(tomli_w.dumps(table), encoding="utf-8")
    with pytest.raises(InputError, match="weight_pulse without a price"):
        api.recost(trained[0], str(path))


def test_a_run_that_did_not_end_is_priced_up_to_its_last_row(trained: tuple[Path, Table], tmp_path: Path) -> None:
    def fail(control: Any) -> None:
        if control.machine.step >= 300:
            raise RuntimeError("stop here")

    with pytest.raises(RuntimeError, match="stop here"):
        api.run(xor(), output=tmp_path / "cut.h5", record="timing", progress=fail, burst_steps=1)
    for chip in ("nist-hw2", "nist-hw3"):
        done = api.recost(tmp_path / "cut.h5", chip)
        assert done.time == "exact"
        whole = api.recost(trained[0], chip)
        with open_trace(tmp_path / "cut.h5") as trace:
            share = int(trace.ledger["tick"][-1]) / trained[1]["ticks"]
        assert 0.4 < share < 0.6
        assert done.bill.chip_time_s == pytest.approx(share * whole.bill.chip_time_s, rel=0.02)


def test_a_trace_of_an_older_version_falls_back_on_its_text(trained: tuple[Path, Table], tmp_path: Path) -> None:
    old = tmp_path / "old.h5"
    shutil.copy(trained[0], old)
    with h5py.File(old, "r+") as file:
        del file["config/request"]
        for key in ("counts", "time_by_phase_fs", "tallies"):
            del file["summary"][key]
    done = api.recost(old, "nist-hw3")
    assert done.time == "exact"
    assert done.bill == api.recost(trained[0], "nist-hw3").bill
    with h5py.File(old, "r+") as file:
        del file["config/scenario"]
    done = api.recost(old, "nist-hw3")
    assert done.time == "recorded"
    assert "holds no scenario" in done.why[0]
    with pytest.raises(TraceError, match="holds no scenario"):
        api.replay(old)


def test_nothing_more_to_record_is_no_reason_to_keep_no_trace(tmp_path: Path) -> None:
    assert api.run(xor(stop={"steps": 1}), output=tmp_path / "run.h5", record=()).trace == tmp_path / "run.h5"
    assert api.run(xor(stop={"steps": 1}), output=tmp_path / "none.h5", record=False).trace is None
    with pytest.raises(InputError, match="unknown record 'timng'; did you mean 'timing'"):
        api.run(xor(), output=tmp_path / "none.h5", record=("timng",))
    assert not (tmp_path / "none.h5").exists()


# replay


def test_a_replay_of_the_same_chip_is_the_run(trained: tuple[Path, Table], tmp_path: Path) -> None:
    again = api.replay(trained[0], output=tmp_path / "again.h5")
    assert {**again.summary, "host": None} == {**trained[1], "host": None}
    assert again.trace == tmp_path / "again.h5"
    assert_same_bits(
        api.recost(tmp_path / "again.h5", "nist-hw3").bill, asdict(api.recost(trained[0], "nist-hw3").bill)
    )


# the command


@pytest.fixture
def neurosim(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: str | Path) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert isinstance(end.value.code, int)
        return end.value.code, out, err

    return call


def test_the_command_shows_recost_and_replay_side_by_side(
    neurosim: Callable[..., tuple[int, str, str]], trained: tuple[Path, Table], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    code, out, _ = neurosim("recost", trained[0], "--chip", "nist-hw3")
    assert code == 0
    assert "Energy and time are exact: nist-hw3 would take the same steps." in out
    code, out, _ = neurosim("recost", trained[0], "--chip", "nist-hw3", "--replay", "--json", "-q")
    both = json.loads(out)
    assert code == 0
    assert (both["time"], both["why"], both["recorded_chip"]) == ("exact", [], "nist-hw2")
    assert both["recorded_chip_time_s"] == trained[1]["chip_time_s"]
    for key in BILL:
        assert both[key] == both["replay"][key], key
    assert list(tmp_path.iterdir()) == []  # nothing is kept unless -o says so
    code, out, _ = neurosim("recost", trained[0], "--chip", "nist-hw3", "--replay", "-o", "there.h5", "-q")
    assert code == 0
    assert "nist-hw3, replayed" in out
    with open_trace(tmp_path / "there.h5") as trace:
        assert trace.summary["chip"] == "nist-hw3"


def test_everything_that_is_wrong_is_said_at_once(
    neurosim: Callable[..., tuple[int, str, str]], trained: tuple[Path, Table], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    code, out, err = neurosim("recost", "absent.h5", "--chip", "nist-hw9", "-o", "x.h5")
    assert (code, out) == (2, "")
    for text in ("3 problems", "add --replay", "absent.h5: no such file", 'no chip "nist-hw9"'):
        assert text in err
    code, _, err = neurosim("recost", trained[0], "--chip", "nist-hw3", "--replay", "-o", "no/x.h5")
    assert code == 2
    assert "no/x.h5: cannot write: the folder does not exist" in err
    assert list(tmp_path.iterdir()) == []


def test_every_shipped_chip_that_prices_the_counts_of_xor_can_be_recost_to(trained: tuple[Path, Table]) -> None:
    for chip in files.shipped("chip"):
        table = accounting.price_table(load.load_chip(chip))
        if accounting.missing_prices(trained[1]["counts"], table):
            with pytest.raises(InputError, match="without a price"):
                api.recost(trained[0], chip)
            continue
        done = api.recost(trained[0], chip)
        assert done.bill.energy_low_J <= done.bill.energy_J <= done.bill.energy_high_J
        assert done.time == "exact" or done.why
