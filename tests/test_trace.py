"""The trace: what is written is read back, also after a crash, and nothing else is."""

from __future__ import annotations

import csv
import errno
import io
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from neurosim.engine.sink import Column, Sink, Table
from neurosim.errors import InputError, TraceError
from neurosim.trace import Trace, TraceWriter, open_trace, to_csv
from neurosim.trace.staged import StagedFile

ACTIONS = ("neuron_updated", "synaptic_event", "cell_read_conductance", "weight_pulse", "node_injection",
           "broadcast_word", "cost_evaluated", "sample_word_loaded", "dac_conversion")  # fmt: skip
PHASES = ("present", "perturb", "integrate", "measure", "broadcast", "learn")
PRICES_J = np.array([2.3e-12, 0.4e-12, 1.1e-17, 5e-12, 0.2e-12, 3e-12, 9e-12, 1e-12, 0.0])
KINDS = ["published", "published", "derived", "assumed", "assumed", "assumed", "assumed", "published", "measured"]
LAYERS = {"hidden": (784, 24), "output": (24, 10)}
CLASSES = 10
POWER_W = 1.5e-3


def table(path: str, *columns: tuple[Any, ...], **attributes: Any) -> Table:
    """A table from short tuples: name, unit, long name, dtype, shape."""
    return Table(path, tuple(Column(*column) for column in columns), attributes)


def clock(*extra: tuple[Any, ...]) -> tuple[tuple[Any, ...], ...]:
    """The columns that say when something was recorded."""
    return (("step", "1", "steps done", "i8"), ("tick", "1", "ticks done", "i8"),
            ("inferences", "1", "inferences done", "i8"), *extra)  # fmt: skip


def declare_all(sink: Sink) -> None:
    """Every table that a run can have."""
    n = len(ACTIONS)
    sink.declare(table("/training", *clock(
        ("updates", "1", "weight updates done", "i8"), ("time_s", "s", "chip time"), ("energy_J", "J", "energy"),
        ("cost", "1", "cost"), ("c_tilde", "1", "held cost difference"),
        ("zero_share", "1", "share of probes with C~ = 0"), ("dead_share", "1", "share of probes in the dead zone"),
    )))  # fmt: skip
    sink.declare(table("/eval", *clock(
        ("time_s", "s", "chip time"), ("energy_J", "J", "energy"), ("energy_low_J", "J", "energy, low prices"),
        ("energy_high_J", "J", "energy, high prices"), ("accuracy", "1", "test accuracy"), ("cost", "1", "test cost"),
    )))  # fmt: skip
    sink.declare(table("/ledger", ("tick", "1", "ticks done", "i8"), ("time_s", "s", "chip time"),
        ("counts", "1", "counts", "i8", (n,)), ("energy_J", "J", "energy", "f8", (n,)),
        ("energy_low_J", "J", "energy, low", "f8", (n,)), ("energy_high_J", "J", "energy, high", "f8", (n,)),
        ("static_energy_J", "J", "static energy"), ("phase_time_s", "s", "time by phase", "f8", (len(PHASES),)),
    ))  # fmt: skip
    for layer, shape in LAYERS.items():
        sink.declare(table(f"/weights/{layer}", ("tick", "1", "ticks done", "i8"),
                           ("value", "1", "weights", "f4", shape), layer_kind="dense"))  # fmt: skip
        sink.declare(table(f"/spikes/{layer}", ("tick", "1", "tick", "i8"), ("neuron", "1", "neuron", "i4"),
                           ("sample", "1", "test sample", "i4"), neurons=shape[1], window=16))  # fmt: skip
        sink.declare(table(f"/astrocyte/delta/{layer}", ("tick", "1", "ticks done", "i8"),
                           ("value", "1", "delta-vectors", "f8", (CLASSES, shape[1]))))  # fmt: skip
    sink.declare(table("/agreement", ("step", "1", "steps done", "i8"),
                       *((layer, "1", f"share of equal signs, {layer}") for layer in LAYERS)))  # fmt: skip


def write_all(sink: Sink, rows: int = 24, step_s: float = 1e-6) -> None:
    """A run's worth of numbers that look like a run's."""
    rng = np.random.default_rng(3)
    steps = np.linspace(0, 30_000, rows).astype(np.int64)
    time_s = step_s * steps
    progress = 1.0 - np.exp(-steps / 6000.0)
    counts = np.outer(steps, [34, 19000, 8_000_000, 4, 24, 12, 2, 794, 784])
    energy = counts * PRICES_J
    spread = np.array([1.0 if kind != "assumed" else 4.0 for kind in KINDS])
    static = POWER_W * time_s
    total, low, high = (part.sum(axis=1) + static for part in (energy, energy / spread, energy * spread))
    when = {"step": steps, "tick": steps * 16, "inferences": steps * 3}
    sink.append("/training", {**when, "updates": steps, "time_s": time_s, "energy_J": total,
                "cost": 0.9 - 0.7 * progress + 0.05 * rng.normal(size=rows), "c_tilde": 0.01 * rng.normal(size=rows),
                "zero_share": 0.05 + 0.2 * progress, "dead_share": 0.01 + 0.1 * progress})  # fmt: skip
    sink.append("/eval", {**when, "time_s": time_s, "energy_J": total, "energy_low_J": low, "energy_high_J": high,
                          "accuracy": 0.1 + 0.65 * progress, "cost": 0.9 - 0.7 * progress})  # fmt: skip
    shares = np.array([0.05, 0.02, 0.5, 0.1, 0.08, 0.25])
    sink.append("/ledger", {
        "tick": steps * 16, "time_s": time_s, "counts": counts, "energy_J": energy,
        "energy_low_J": energy / spread, "energy_high_J": energy * spread, "static_energy_J": static,
        "phase_time_s": np.outer(time_s, shares)})  # fmt: skip
    image = np.exp(-((np.arange(784).reshape(28, 28) % 28 - 14) ** 2) / 60.0).reshape(-1, 1)
    for layer, (n_in, n_out) in LAYERS.items():
        first = rng.normal(scale=0.1, size=(1, n_in, n_out)).astype("f4")
        learned = first + (image if n_in == 784 else 0.3) * rng.normal(scale=0.2, size=(1, 1, n_out)).astype("f4")
        sink.append(f"/weights/{layer}", {"tick": [0], "value": first})
        sink.append(f"/weights/{layer}", {"tick": [480_000], "value": learned.astype("f4")})
        ticks = np.sort(rng.integers(0, 320, 900))
        sink.append(f"/spikes/{layer}", {"tick": ticks, "neuron": rng.integers(0, n_out, 900), "sample": ticks // 16})
        goal = rng.normal(scale=0.2, size=(CLASSES, n_out))
        delta = progress[:, None, None] * goal + 0.03 * rng.normal(size=(rows, CLASSES, n_out))
        sink.append(f"/astrocyte/delta/{layer}", {"tick": steps * 16, "value": delta})
    sink.append("/agreement", {"step": steps, "hidden": 0.5 + 0.3 * progress, "output": 0.5 + 0.45 * progress})


def write_names(sink: Sink, **config: str) -> None:
    """Names, prices and texts beside the tables."""
    assumed = np.array([kind == "assumed" for kind in KINDS])
    sink.write("/ledger/action", list(ACTIONS), "1", "countables")
    sink.write("/ledger/phase", list(PHASES), "1", "phases of a tick")
    sink.write("/ledger/price/energy_J", PRICES_J, "J", "energy of one")
    sink.write("/ledger/price/low_J", np.where(assumed, PRICES_J / 4, PRICES_J), "J", "low")
    sink.write("/ledger/price/high_J", np.where(assumed, PRICES_J * 4, PRICES_J), "J", "high")
    sink.write("/ledger/price/kind", KINDS, "1", "kind")
    sink.write("/ledger/price/source", [f"reference/chips.md, row {n}" for n in range(len(ACTIONS))], "1", "source")
    sink.write("/config/chip", config.get("chip", 'name = "analog-if"\nsummary = "integrating neurons"\n'), "1", "chip")
    sink.write("/config/scenario", config.get("scenario", '# δ-MGD\nchip = "analog-if"\n'), "1", "scenario")


def summary_of(**changes: Any) -> dict[str, Any]:
    """A summary as the engine gives it."""
    energies = 30_000 * np.array([34, 19000, 8_000_000, 4, 24, 12, 2, 794, 784]) * PRICES_J
    spread = np.array([1.0 if kind != "assumed" else 4.0 for kind in KINDS])
    static, time_s = POWER_W * 0.03, 0.03
    return {
        "scenario": "quickstart", "chip": "analog-if", "seed": 7, "accuracy": 0.7456, "cost": 0.205, "ticks": 480_000,
        "steps": 30_000, "inferences": 90_000, "samples": 30_000, "updates": 30_000, "devices_written": 19_056,
        "weight_pulses": 120_000, "chip_time_s": time_s, "energy_J": float(energies.sum() + static),
        "energy_low_J": float((energies / spread).sum() + static),
        "energy_high_J": float((energies * spread).sum() + static),
        "energy_by_action_J": {name: float(value) for name, value in zip(ACTIONS, energies, strict=True)},
        "static_energy_J": static, "power_W": float(energies.sum() + static) / time_s,
        "assumed_share": float(energies[spread > 1].sum() / (energies.sum() + static)),
        "bound_by": "settling", "time_by_phase_s": dict(zip(PHASES, [0.0015, 0.0006, 0.015, 0.003, 0.0024, 0.0075],
                                                             strict=True)),
        "to_target": {"accuracy": 0.7, "steps": 15_652, "inferences": 46_956, "chip_time_s": 0.01565,
                      "energy_J": 0.000158, "weight_pulses": 62_608},
        "zero_c_tilde_share": 0.21, "dead_zone_share": 0.1, "hypothetical": True,
        "host": {"time_s": 12.3, "trace": "run.h5", "versions": {"numpy": np.__version__}}, **changes,
    }  # fmt: skip


def write_run(path: Path, summary: Mapping[str, Any] | None = None, **config: str) -> Path:
    """A complete synthetic run."""
    writer = TraceWriter.create(path, force=False, attributes={"seed": 7, "rng_version": 1})
    declare_all(writer)
    write_names(writer, **config)
    write_all(writer)
    return writer.close("complete", summary_of() if summary is None else summary)


CURVE = table("/training", ("step", "1", "step", "i8"), ("cost", "1", "cost", "f8"))


def curve_writer(path: Path, **options: Any) -> TraceWriter:
    """A new trace with one small table."""
    writer = TraceWriter.create(path, force=options.pop("force", False), attributes={"seed": 1, **options})
    writer.declare(CURVE)
    return writer


def add_steps(writer: TraceWriter, start: int, stop: int) -> None:
    """Rows ``start`` to ``stop`` of the small table."""
    for step in range(start, stop):
        writer.append("/training", {"step": [step], "cost": [step / 8]})


def in_another_process(code: str) -> str:
    """What a piece of Python prints."""
    command = [sys.executable, "-c", textwrap.dedent(code)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (told.returncode, told.stderr) == (0, "")
    return told.stdout


def kept_steps(path: Path) -> TraceWriter:
    """A new trace with ten rows and a checkpoint after them."""
    writer = curve_writer(path)
    add_steps(writer, 0, 10)
    writer.checkpoint({"x": np.arange(5) + 1}, {"step": 10})
    return writer


def tree(path: Path) -> dict[str, Any]:
    """Every dataset of a file outside the checkpoints."""
    out: dict[str, Any] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("checkpoint"):
            out[name] = item[()].tolist()

    with h5py.File(path, "r") as file:
        file.visititems(visit)
    return out


class TestRoundTrip:
    def test_tables_come_back(self, tmp_path: Path) -> None:
        path = write_run(tmp_path / "run.h5")
        assert path == tmp_path / "run.h5"
        assert [item.name for item in tmp_path.iterdir()] == ["run.h5"]
        with open_trace(path) as trace:
            assert trace.status == "complete"
            assert trace.attributes["seed"] == 7
            assert trace.attributes["format"] == "neurosim-trace"
            assert trace.attributes["format_version"] == 1
            assert {"neurosim", "numpy", "numba", "h5py", "python", "rng_version"} <= trace.attributes.keys()
            assert len(trace.training) == len(trace.eval) == len(trace.ledger) == 24
            assert trace.training.columns[0] == "step"
            np.testing.assert_array_equal(trace.training.step, trace.training["step"])
            assert trace.training.unit("energy_J") == "J"
            assert trace.eval.long_name("accuracy") == "test accuracy"
            assert list(trace.weights) == ["hidden", "output"]
            assert trace.weights["hidden"].value.shape == (2, 784, 24)
            assert trace.weights["hidden"].value.dtype == np.float32
            assert trace.weights["hidden"].attributes == {"layer_kind": "dense"}
            assert trace.weights["hidden"].row(-1)["tick"] == 480_000
            assert len(trace.spikes["hidden"].tick) == 900
            assert trace.spikes["hidden"].neuron.dtype == np.int32
            assert trace.delta["output"].shape("value") == (10, 10)
            assert trace.agreement.read("hidden", -1).shape == (1,)
            assert trace.ledger.actions == ACTIONS
            assert trace.ledger.phases == PHASES
            assert trace.ledger.prices["weight_pulse"]["kind"] == "assumed"
            assert trace.ledger.total("counts")[0] == 34 * 30_000
            assert trace.config["scenario"] == '# δ-MGD\nchip = "analog-if"\n'
            assert "/astrocyte/delta/hidden" in trace.tables
            assert "complete" in repr(trace)
            assert "24 rows" in repr(trace.training)
        assert "closed" in repr(trace)
        with pytest.raises(TraceError, match="closed"):
            trace.table("/training")

    def test_layers_keep_the_order_of_the_network(self, tmp_path: Path) -> None:
        names = ["second", "conv10", "conv9", "a"]
        writer = TraceWriter.create(tmp_path / "run.h5", force=False, attributes={})
        for name in names:
            writer.declare(table(f"/weights/{name}", ("tick", "1", "tick", "i8")))
        with open_trace(writer.close("complete", {})) as trace:
            assert list(trace.weights) == names

    def test_every_dataset_says_its_unit_and_name(self, tmp_path: Path) -> None:
        bare: list[str] = []
        with h5py.File(write_run(tmp_path / "run.h5"), "r") as file:
            file.visititems(
                lambda name, item: bare.append(name)
                if isinstance(item, h5py.Dataset) and not {"unit", "long_name"} <= item.attrs.keys()
                else None
            )
        assert bare == []

    def test_event_streams_are_packed(self, tmp_path: Path) -> None:
        with h5py.File(write_run(tmp_path / "run.h5"), "r") as file:
            tick = file["spikes/hidden/tick"]
            assert (tick.chunks, tick.compression, tick.compression_opts, tick.shuffle) == ((16384,), "gzip", 1, True)
            assert file["training/step"].compression is None
            assert file.id.get_create_plist().get_version()[0] == 0  # the superblock that survives a kill

    def test_summary_comes_back(self, tmp_path: Path) -> None:
        summary = summary_of(
            to_target=None, nothing={}, empty_list=[], names=["a", "µ"], mixed=[1, None, "x"], big=2**70,
            deep={"a": {"b": None}}, nan=float("nan"), text="", flags=[True, False], table=[{"a": 1}],
        )  # fmt: skip
        path = write_run(tmp_path / "run.h5", summary)
        with open_trace(path) as trace:
            found = dict(trace.summary)
        assert np.isnan(found.pop("nan"))
        del summary["nan"]
        assert found == summary
        for key, value in summary.items():
            assert type(found[key]) is type(value), key

    def test_numpy_values_become_plain(self, tmp_path: Path) -> None:
        path = write_run(tmp_path / "run.h5", {"n": np.int64(3), "x": np.float32(0.5), "a": np.arange(3)})
        with open_trace(path) as trace:
            assert trace.summary == {"n": 3, "x": 0.5, "a": [0, 1, 2]}

    def test_rows_are_copied_and_written_in_blocks(self, tmp_path: Path) -> None:
        writer = curve_writer(tmp_path / "run.h5")
        step, cost = np.zeros(1, np.int64), np.zeros(1)
        for n in range(200_000 // 8):
            step[0], cost[0] = n, n / 8
            writer.append("/training", {"step": step, "cost": cost})
        writer.append("/training", {"step": [], "cost": []})
        with open_trace(writer.close("complete", {})) as trace:
            np.testing.assert_array_equal(trace.training.step, np.arange(25_000))
            np.testing.assert_array_equal(trace.training.cost, np.arange(25_000) / 8)

    def test_write_replaces(self, tmp_path: Path) -> None:
        writer = curve_writer(tmp_path / "run.h5")
        writer.write("/ledger/action", ["a", "bcd"], "1", "actions")
        writer.write("/ledger/action", ["äöü", ""], "1", "actions")
        writer.write("/x", np.arange(6).reshape(2, 3), "V", "volts")
        writer.write("/long", "x" * 200_000, "1", "more than an attribute can hold")
        with open_trace(writer.close("complete", {})) as trace:
            assert trace.texts("/ledger/action") == ["äöü", ""]
            assert trace.array("/x").shape == (2, 3)
            assert len(trace.text("/long")) == 200_000

    @pytest.mark.parametrize(
        ("rows", "match"),
        [
            ({"step": [1]}, "cost"),
            ({"step": [1], "cost": [1.0], "cst": [1.0]}, "cst"),
            ({"step": [1, 2], "cost": [1.0]}, "differ in length"),
            ({"step": [1.5], "cost": [1.0]}, "float64 does not fit into int64"),
            ({"step": [[1]], "cost": [1.0]}, "declared was"),
            ({"step": 1, "cost": 1.0}, "declared was"),
        ],
    )
    def test_wrong_rows_are_refused(self, tmp_path: Path, rows: Any, match: str) -> None:
        with curve_writer(tmp_path / "run.h5") as writer, pytest.raises(TraceError, match=match):
            writer.append("/training", rows)

    def test_undeclared_and_twice_declared_tables_are_refused(self, tmp_path: Path) -> None:
        with curve_writer(tmp_path / "run.h5") as writer:
            with pytest.raises(TraceError, match=r"/evil was not declared \(declared: /training\)"):
                writer.append("/evil", {})
            with pytest.raises(TraceError, match="twice"):
                writer.declare(CURVE)

    def test_missing_things_are_said_to_be_missing(self, tmp_path: Path) -> None:
        with open_trace(curve_writer(tmp_path / "run.h5").close("failed", {})) as trace:
            with pytest.raises(TraceError, match=r"has no table /eval \(tables: /training\)"):
                _ = trace.eval
            with pytest.raises(KeyError, match="no layer 'hidden'"):
                _ = trace.weights["hidden"]
            assert trace.weights.get("hidden") is None
            with pytest.raises(KeyError, match="no column 'acc'"):
                _ = trace.training["acc"]
            with pytest.raises(AttributeError, match="acc"):
                _ = trace.training.acc
            with pytest.raises(TraceError, match="no dataset /x"):
                trace.array("/x")
            with pytest.raises(TraceError, match="holds no checkpoint"):
                trace.checkpoint()


class TestFiles:
    def test_existing_output_needs_force(self, tmp_path: Path) -> None:
        path = curve_writer(tmp_path / "run.h5").close("complete", {"n": 1})
        with pytest.raises(InputError, match="--force"):
            curve_writer(path)
        writer = curve_writer(path, force=True)
        with open_trace(path) as trace:
            assert trace.summary == {"n": 1}  # the old one stands until the new one is done
        writer.close("complete", {"n": 2})
        with open_trace(path) as trace:
            assert trace.summary == {"n": 2}

    def test_left_part_needs_force(self, tmp_path: Path) -> None:
        curve_writer(tmp_path / "run.h5").abandon()
        with pytest.raises(InputError, match=r"--resume .*run\.h5\.part.*--force"):
            curve_writer(tmp_path / "run.h5")
        curve_writer(tmp_path / "run.h5", force=True).close("complete", {})

    def test_part_names_the_same_trace(self, tmp_path: Path) -> None:
        writer = curve_writer(tmp_path / "run.h5.part")
        assert writer.path == tmp_path / "run.h5.part"
        assert writer.close("interrupted", {}) == tmp_path / "run.h5"
        assert writer.path == tmp_path / "run.h5"

    @pytest.mark.parametrize("name", ["missing/run.h5", "file/run.h5", "folder", "x" * 300])
    def test_impossible_paths(self, tmp_path: Path, name: str) -> None:
        (tmp_path / "file").write_text("")
        (tmp_path / "folder").mkdir()
        with pytest.raises(InputError, match=r"folder|too long"):
            curve_writer(tmp_path / name)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_unwritable_folder(self, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        with pytest.raises(InputError, match="permission"):
            curve_writer(tmp_path / "run.h5")

    def test_unwritable_folder_as_the_system_tells_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: Any, **__: Any) -> None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        monkeypatch.setattr("neurosim.trace.staged.os.open", refuse)
        with pytest.raises(InputError, match="permission"):
            curve_writer(tmp_path / "run.h5")

    def test_a_name_taken_meanwhile_is_not_overwritten(self, tmp_path: Path) -> None:
        writer = curve_writer(tmp_path / "run.h5")
        (tmp_path / "run.h5").write_text("someone else's")
        with pytest.raises(TraceError, match="appeared"):
            writer.close("complete", {})
        assert (tmp_path / "run.h5").read_text() == "someone else's"
        assert open_trace(tmp_path / "run.h5.part").status == "complete"

    def test_two_writers(self, tmp_path: Path) -> None:
        with curve_writer(tmp_path / "run.h5"):
            code = f"""
                from pathlib import Path
                from neurosim.errors import InputError
                from neurosim.trace import TraceWriter
                try:
                    TraceWriter.create(Path({str(tmp_path / "run.h5")!r}), force=True, attributes={{}})
                except InputError as error:
                    print(error)
                """
            assert "another run is writing it" in in_another_process(code)

    def test_reading_while_the_run_goes_on(self, tmp_path: Path) -> None:
        with curve_writer(tmp_path / "run.h5") as writer:
            add_steps(writer, 0, 10)
            writer.flush()
            with open_trace(tmp_path / "run.h5") as trace:
                assert trace.path.name == "run.h5.part"
                assert trace.status == "running"
                assert trace.summary == {}
                assert len(trace.training) == 10
            code = f"""
                from neurosim.trace import open_trace
                print(len(open_trace({str(tmp_path / "run.h5")!r}).training))
                """
            assert in_another_process(code) == "10\n"

    def test_closing_as_running_keeps_the_part(self, tmp_path: Path) -> None:
        assert curve_writer(tmp_path / "run.h5").close("running").name == "run.h5.part"


class TestCheckpoints:
    def arrays(self, n: int) -> dict[str, np.ndarray]:
        return {
            "weights/hidden": np.full((3, 4), n, np.float32), "weights/output": np.arange(n + 1),
            "flags": np.array([True, False]), "none": np.zeros((0, 3)), "t": np.array(n, np.uint64),
            "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3) + n),
        }  # fmt: skip

    def save(self, path: Path, n: int) -> Path:
        with curve_writer(path) as writer:
            for number in range(n):
                add_steps(writer, number * 5, number * 5 + 5)
                writer.checkpoint(self.arrays(number), {"n": number, "ints": [2**80], "x": np.float64(0.1)})
        return path.with_name(path.name + ".part")

    @pytest.mark.parametrize("n", [1, 2, 5])
    def test_newest_comes_back(self, tmp_path: Path, n: int) -> None:
        with open_trace(self.save(tmp_path / "run.h5", n)) as trace:
            arrays, meta = trace.checkpoint()
            assert trace.load_checkpoint().lengths == {"/training": 5 * n}
        assert meta == {"n": n - 1, "ints": [2**80], "x": 0.1}
        expected = self.arrays(n - 1)
        assert arrays.keys() == expected.keys()
        for name, array in expected.items():
            np.testing.assert_array_equal(arrays[name], array)
            assert arrays[name].dtype == array.dtype

    @pytest.mark.parametrize("harm", ["array", "header", "sequence", "unfinished", "array-gone", "slot-emptied"])
    def test_damaged_slot_gives_way_to_the_other(self, tmp_path: Path, harm: str) -> None:
        path = self.save(tmp_path / "run.h5", 4)
        with h5py.File(path, "r+") as file:
            slot = file["checkpoint/0"]  # holds number 4
            assert slot.attrs["sequence"] == 4
            if harm == "array":
                slot["arrays/weights/hidden"][1, 1] += 1
            elif harm == "header":
                slot["header"][5] ^= 1
            elif harm == "sequence":
                slot.attrs["sequence"] = 40
            elif harm == "unfinished":
                slot.attrs["sequence"] = -1
            elif harm == "array-gone":
                del slot["arrays/flags"]
            else:
                for name in [*slot]:
                    del slot[name]
                for name in [*slot.attrs]:
                    del slot.attrs[name]
        with open_trace(path) as trace:
            assert trace.checkpoint()[1]["n"] == 2
        with TraceWriter.resume(path) as writer:
            assert writer.last_checkpoint is not None
            assert writer.last_checkpoint.meta["n"] == 2
            writer.declare(CURVE)
            add_steps(writer, 15, 20)
            writer.checkpoint(self.arrays(3), {"n": 33})
        with open_trace(path) as trace:
            assert trace.checkpoint()[1] == {"n": 33}
            with h5py.File(path, "r") as file:
                assert sorted(int(slot.attrs["sequence"]) for slot in file["checkpoint"].values()) == [3, 4]

    def test_both_damaged(self, tmp_path: Path) -> None:
        path = self.save(tmp_path / "run.h5", 3)
        with h5py.File(path, "r+") as file:
            for slot in file["checkpoint"].values():
                slot["arrays/weights/hidden"][0, 0] += 1
        with open_trace(path) as trace, pytest.raises(TraceError, match="no checkpoint in it is whole"):
            trace.checkpoint()
        with pytest.raises(TraceError, match="no checkpoint in it is whole"):
            TraceWriter.resume(path)

    def test_objects_are_refused(self, tmp_path: Path) -> None:
        with curve_writer(tmp_path / "run.h5") as writer:
            with pytest.raises(TraceError, match="only numbers"):
                writer.checkpoint({"x": np.array([{}], dtype=object)}, {})
            with pytest.raises(TypeError, match="cannot be kept"):
                writer.checkpoint({}, {"x": object()})
            writer.checkpoint(self.arrays(0), {"fine": True})

    def test_space_is_used_again(self, tmp_path: Path) -> None:
        sizes = []
        for n in (2, 20):
            writer = curve_writer(tmp_path / f"{n}.h5")
            for number in range(n):
                writer.checkpoint({"w": np.zeros(100_000)}, {"n": number})
            sizes.append(writer.close("complete", {}).stat().st_size)
        assert 1_600_000 < sizes[0] < 1_700_000
        assert sizes[1] < sizes[0] + 50_000


class TestResume:
    def run(self, path: Path, stop: int, *, end: str) -> Path:
        """Rows 0 to ``stop``, with a checkpoint every 10."""
        writer = curve_writer(path)
        self.go_on(writer, 0, stop)
        if end == "killed":
            writer.flush()
            writer.abandon()
            return writer.path
        return writer.close("interrupted" if end == "interrupted" else "complete", {"rows": stop})

    def go_on(self, writer: TraceWriter, start: int, stop: int) -> None:
        for step in range(start, stop):
            add_steps(writer, step, step + 1)
            if (step + 1) % 10 == 0:
                writer.checkpoint({"state": np.array([step])}, {"step": step + 1})

    @pytest.mark.parametrize("end", ["interrupted", "killed"])
    @pytest.mark.parametrize("copy", [False, True])
    def test_same_rows_as_without_a_break(self, tmp_path: Path, end: str, copy: bool) -> None:
        whole = self.run(tmp_path / "whole.h5", 60, end="complete")
        broken = self.run(tmp_path / "broken.h5", 37, end=end)
        before = broken.read_bytes()
        out = tmp_path / "out.h5" if copy else None
        writer = TraceWriter.resume(tmp_path / "broken.h5", out)
        assert writer.last_checkpoint is not None
        assert writer.last_checkpoint.meta == {"step": 30}
        assert open_trace(writer.path).status == "running"
        assert (tmp_path / "broken.h5").exists() == (copy and end == "interrupted")
        writer.declare(CURVE)
        self.go_on(writer, 30, 60)
        final = writer.close("complete", {"rows": 60})
        assert tree(final) == tree(whole)
        with open_trace(final) as trace:
            assert trace.status == "complete"
            assert trace.summary == {"rows": 60}
        if copy:
            assert broken.read_bytes() == before
            assert final == out
        else:
            assert [item.name for item in tmp_path.iterdir() if item.name.startswith("broken")] == ["broken.h5"]

    def test_tables_younger_than_the_checkpoint_are_emptied(self, tmp_path: Path) -> None:
        writer = curve_writer(tmp_path / "run.h5")
        writer.checkpoint({}, {})
        late = table("/eval", ("accuracy", "1", "accuracy"))
        writer.declare(late)
        writer.append("/eval", {"accuracy": [0.5]})
        writer.close("interrupted", {})
        with TraceWriter.resume(tmp_path / "run.h5") as writer:
            writer.declare(late)
            writer.declare(CURVE)
            writer.append("/eval", {"accuracy": [0.25]})
            writer.close("complete", {})
        with open_trace(tmp_path / "run.h5") as trace:
            assert trace.eval.accuracy.tolist() == [0.25]

    def test_refusals_touch_nothing(self, tmp_path: Path) -> None:
        complete = self.run(tmp_path / "complete.h5", 20, end="complete")
        with pytest.raises(InputError, match="nothing to resume"):
            TraceWriter.resume(complete)
        early = curve_writer(tmp_path / "early.h5").close("interrupted", {})
        with pytest.raises(TraceError, match="holds no checkpoint"):
            TraceWriter.resume(early)
        broken = self.run(tmp_path / "broken.h5", 15, end="interrupted")
        with pytest.raises(InputError, match=r"exists already.*--force"):
            TraceWriter.resume(broken, complete)
        with pytest.raises(InputError, match="leave -o away"):
            TraceWriter.resume(broken, broken)
        with pytest.raises(InputError, match="folder does not exist"):
            TraceWriter.resume(broken, tmp_path / "no" / "out.h5")
        with pytest.raises(InputError, match="no such file"):
            TraceWriter.resume(tmp_path / "absent.h5")
        curve_writer(tmp_path / "broken.h5", force=True).abandon()
        with pytest.raises(InputError, match="lies beside"):
            TraceWriter.resume(broken)
        (tmp_path / "broken.h5.part").unlink()
        with open_trace(broken), pytest.raises(InputError, match="has it open"):
            TraceWriter.resume(broken)
        assert sorted(item.name for item in tmp_path.iterdir()) == ["broken.h5", "complete.h5", "early.h5"]
        TraceWriter.resume(broken, complete, force=True).close("complete", {"n": 1})
        with open_trace(complete) as trace:
            assert trace.summary == {"n": 1}

    def test_other_columns_are_refused(self, tmp_path: Path) -> None:
        self.run(tmp_path / "run.h5", 15, end="interrupted")
        with TraceWriter.resume(tmp_path / "run.h5") as writer, pytest.raises(TraceError, match="holds float64"):
            writer.declare(table("/training", ("step", "1", "step", "i8"), ("cost", "1", "cost", "f4")))

    def test_lost_rows_are_noticed(self, tmp_path: Path) -> None:
        path = self.run(tmp_path / "run.h5", 15, end="interrupted")
        with h5py.File(path, "r+") as file:
            file["training/cost"].resize(7, axis=0)
        with pytest.raises(TraceError, match="lost rows"):
            TraceWriter.resume(path)


APPENDING = """
    import sys
    import numpy as np
    from neurosim.engine.sink import Column, Table
    from neurosim.trace import TraceWriter

    writer = TraceWriter.create(sys.argv[1], force=True, attributes={"seed": 1})
    writer.declare(Table("/training", (Column("step", "1", "step", "i8"), Column("cost", "1", "cost")), {}))
    writer.declare(Table("/spikes/hidden", (Column("tick", "1", "tick", "i8"), Column("neuron", "1", "n", "i4")), {}))
    writer.declare(Table("/weights/hidden", (Column("value", "1", "weights", "f4", (50, 20)),), {}))
    block = 0
    while True:
        step = np.arange(block * 50, block * 50 + 50)
        writer.append("/training", {"step": step, "cost": step / 8})
        tick = np.arange(block * 3000, block * 3000 + 3000)
        writer.append("/spikes/hidden", {"tick": tick, "neuron": tick * 7919 % 1013})
        writer.append("/weights/hidden", {"value": np.full((1, 50, 20), block, "f4")})
        writer.flush()
        block += 1
        if block % 3 == 0:
            writer.checkpoint({"w": np.full(20_000, block)}, {"block": block})
        print(block, flush=True)
"""


def kill_while_appending(path: Path, after_s: float) -> int:
    """Append in another process, kill it with -9; returns the blocks that it reported as flushed."""
    command = [sys.executable, "-c", textwrap.dedent(APPENDING), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(4)]
        time.sleep(after_s)
        process.send_signal(signal.SIGKILL)
        lines += process.stdout.readlines()
    return int([line for line in lines if line.endswith("\n")][-1])


def check_after_kill(path: Path, blocks: int) -> None:
    """All that was flushed is there, and the run can go on from its last checkpoint."""
    with open_trace(path) as trace:
        assert trace.status == "running"
        assert len(trace.training) >= 50 * blocks
        np.testing.assert_array_equal(trace.training.step, np.arange(len(trace.training)))
        spikes = trace.spikes["hidden"]
        assert len(spikes) >= 3000 * blocks
        np.testing.assert_array_equal(spikes.read("tick", 0, 3000 * blocks), np.arange(3000 * blocks))
        np.testing.assert_array_equal(spikes.read("neuron", 0, 3000 * blocks), np.arange(3000 * blocks) * 7919 % 1013)
        assert (trace.weights["hidden"].value[:blocks, 0, 0] == np.arange(blocks)).all()
        arrays, meta = trace.checkpoint()
        assert meta["block"] >= blocks // 3 * 3
        assert (arrays["w"] == meta["block"]).all()
    with TraceWriter.resume(path) as writer:
        writer.flush()
    with open_trace(path) as trace:
        assert len(trace.training) == 50 * meta["block"]
        assert len(trace.spikes["hidden"].tick) == 3000 * meta["block"]


class TestCrashes:
    @pytest.mark.parametrize("after_s", [0.0, 0.013, 0.1])
    def test_killed_while_appending(self, tmp_path: Path, after_s: float) -> None:
        blocks = kill_while_appending(tmp_path / "run.h5", after_s)
        assert [item.name for item in tmp_path.iterdir()] == ["run.h5.part"]
        check_after_kill(tmp_path / "run.h5", blocks)

    @pytest.mark.parametrize("place", range(40))
    def test_every_moment_of_a_commit(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int) -> None:
        """Stopped before any one of the writes to the disk: the file is the old one or the new one, never between."""
        path = tmp_path / "run.h5"
        with kept_steps(path) as writer:
            add_steps(writer, 10, 3000)
            writes = 0

            def put(staged: StagedFile, start: int, data: Any) -> None:
                nonlocal writes
                if writes == place:
                    data = bytes(data)[: len(data) // 2]  # torn, and nothing after it
                if writes <= place:
                    staged._disk.seek(start)
                    staged._disk.write(data)
                writes += 1

            def cut(staged: StagedFile, size: int) -> None:
                if writes <= place:
                    staged._disk.truncate(size)

            with monkeypatch.context() as patch:
                patch.setattr(StagedFile, "_put", put)
                patch.setattr(StagedFile, "_cut", cut)
                writer.checkpoint({"x": np.arange(5)}, {"step": 3000})
        for _ in range(2):  # as it lies there, and brought in order by a writer
            with open_trace(path) as trace:
                rows = len(trace.training)
                assert rows in (10, 3000)
                np.testing.assert_array_equal(trace.training.cost, np.arange(rows) / 8)
                assert trace.checkpoint()[1] == {"step": rows}
            TraceWriter.resume(path).close("running", {})
        if writes <= place:
            assert rows == 3000

    @pytest.mark.parametrize("where", ["flush", "append", "checkpoint", "write", "close", "declare"])
    @pytest.mark.parametrize("write", [0, 1])
    def test_full_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, write: int) -> None:
        """ENOSPC at the new part of the file, or at the journal: the old file stands and can be gone on with."""
        writer = kept_steps(tmp_path / "run.h5")
        many = {"step": np.arange(10, 3_000_000), "cost": np.zeros(2_999_990)}
        calls = {
            "flush": lambda: (add_steps(writer, 10, 3000), writer.flush()),
            "append": lambda: (writer.append("/training", many), writer.append("/training", many)),
            "checkpoint": lambda: writer.checkpoint({"x": np.arange(3)}, {}),
            "write": lambda: (writer.write("/x", np.arange(3), "1", "x"), writer.flush()),
            "declare": lambda: (writer.declare(table("/eval", ("x", "1", "x"))), writer.flush()),
            "close": lambda: writer.close("complete", {"n": 1}),
        }
        done = 0
        put = StagedFile._put

        def full(*given: Any) -> None:
            nonlocal done
            done += 1
            if done > write:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            put(*given)

        with monkeypatch.context() as patch:
            patch.setattr(StagedFile, "_put", full)
            with pytest.raises(TraceError, match=r"the disk is full\. .*--resume .*run\.h5\.part"):
                calls[where]()
        with pytest.raises(TraceError, match="earlier write failed"):
            writer.append("/training", {"step": [1], "cost": [1.0]})
        assert writer.close("failed", {"error": "disk full"}) == tmp_path / "run.h5.part"
        assert [item.name for item in tmp_path.iterdir()] == ["run.h5.part"]
        with TraceWriter.resume(tmp_path / "run.h5") as resumed:
            resumed.declare(CURVE)
            add_steps(resumed, 10, 20)
            resumed.close("complete", {})
        with open_trace(tmp_path / "run.h5") as trace:
            assert trace.training.step.tolist() == [*range(20)]

    def test_real_limit_on_the_file(self, tmp_path: Path) -> None:
        """A limit on the size of files is the full disk that any user can have."""
        code = f"""
            import resource
            import numpy as np
            from neurosim.engine.sink import Column, Table
            from neurosim.errors import TraceError
            from neurosim.trace import TraceWriter

            resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))
            writer = TraceWriter.create({str(tmp_path / "run.h5")!r}, force=False, attributes={{}})
            writer.declare(Table("/training", (Column("cost", "1", "cost"),), {{}}))
            writer.append("/training", {{"cost": np.arange(1000)}})
            writer.checkpoint({{"x": np.arange(5)}}, {{"step": 1}})
            try:
                for _ in range(30):
                    writer.append("/training", {{"cost": np.random.default_rng(1).normal(size=20_000)}})
                    writer.flush()
            except TraceError as error:
                print(error)
            writer.close("failed", {{}})
            """
        assert "the largest allowed file size is reached" in in_another_process(code)
        assert [item.name for item in tmp_path.iterdir()] == ["run.h5.part"]
        with open_trace(tmp_path / "run.h5") as trace:
            assert trace.checkpoint()[1] == {"step": 1}
            assert len(trace.training) >= 161_000

    def test_interrupt_waits_for_hdf5(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        writer = kept_steps(tmp_path / "run.h5")
        put = StagedFile._put

        def interrupted(*given: Any) -> None:
            signal.raise_signal(signal.SIGINT)
            put(*given)

        add_steps(writer, 10, 20)
        with monkeypatch.context() as patch:
            patch.setattr(StagedFile, "_put", interrupted)
            with pytest.raises(KeyboardInterrupt):
                writer.flush()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        with open_trace(writer.close("interrupted", {})) as trace:
            assert len(trace.training) == 20


class TestStagedFile:
    """Against a plain file that is written to at once."""

    def test_random_access(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(11)
        plain = io.BytesIO()
        staged = StagedFile.create(tmp_path / "file")
        for _ in range(3000):
            action = rng.integers(0, 20)
            at, n = int(rng.integers(0, 40_000)), int(rng.integers(0, 9000))
            if action < 9:
                data = rng.bytes(n)
                for file in (plain, staged):
                    file.seek(at)
                    file.write(data)
            elif action < 17:
                plain.seek(at)
                staged.seek(at)
                out = bytearray(n)
                staged.readinto(out)
                assert out == plain.read(n).ljust(n, b"\0")
            elif action == 17:
                size = max(at, len(plain.getvalue()) - 5000)
                grown = plain.getvalue()[:size].ljust(size, b"\0")
                plain = io.BytesIO(grown)
                staged.truncate(size)
            elif action == 18:
                staged.commit(durable=bool(n % 2))
                assert (tmp_path / "file").read_bytes() == plain.getvalue()
            else:
                staged.commit()
                staged.close()
                staged = StagedFile.open(tmp_path / "file")
            assert staged.seek(0, os.SEEK_END) == len(plain.getvalue())
        staged.close()

    def test_nothing_is_written_before_the_commit(self, tmp_path: Path) -> None:
        with StagedFile.create(tmp_path / "file") as staged:
            staged.write(b"abc")
            assert (tmp_path / "file").read_bytes() == b""
            assert staged.waiting == 3


class TestHostileFiles:
    def harmed(self, tmp_path: Path) -> tuple[Path, Any]:
        path = write_run(tmp_path / "run.h5")
        return path, h5py.File(path, "r+")

    @pytest.mark.parametrize("text", [b"not a trace", b"\x89PNG\r\n\x1a\n"])
    def test_not_hdf5(self, tmp_path: Path, text: bytes) -> None:
        (tmp_path / "run.h5").write_bytes(text)
        with pytest.raises(InputError, match="not an HDF5 file"):
            open_trace(tmp_path / "run.h5")

    def test_nothing_there(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"no such file \(nor run.h5.part\)"):
            open_trace(tmp_path / "run.h5")
        with pytest.raises(InputError, match="folder"):
            open_trace(tmp_path)
        (tmp_path / "empty.h5").write_bytes(b"")
        with pytest.raises(TraceError, match="empty"):
            open_trace(tmp_path / "empty.h5")

    def test_not_ours(self, tmp_path: Path) -> None:
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["x"] = 1
        with pytest.raises(InputError, match="no attribute 'format'"):
            open_trace(tmp_path / "a.h5")
        with h5py.File(tmp_path / "a.h5", "r+") as file:
            file.attrs["format"] = "neurosim-sweep"
        with pytest.raises(InputError, match="neurosim-sweep"):
            open_trace(tmp_path / "a.h5")

    @pytest.mark.parametrize("version", [2, 0, "1", None])
    def test_other_version(self, tmp_path: Path, version: Any) -> None:
        path, file = self.harmed(tmp_path)
        with file:
            file.attrs["format_version"] = h5py.Empty("f8") if version is None else version
        with pytest.raises(InputError, match="format version"):
            open_trace(path)

    @pytest.mark.parametrize("keep", [0.02, 0.3, 0.9, 0.999])
    def test_truncated(self, tmp_path: Path, keep: float) -> None:
        path = write_run(tmp_path / "run.h5")
        content = path.read_bytes()
        path.write_bytes(content[: int(len(content) * keep)])
        with pytest.raises(TraceError, match="truncated"):
            open_trace(path)

    def test_damaged(self, tmp_path: Path) -> None:
        """Flipped bytes anywhere are an error of ours or go unnoticed; they are never another exception."""
        path = write_run(tmp_path / "run.h5")
        content = bytearray(path.read_bytes())
        rng = np.random.default_rng(5)
        for _ in range(40):
            harmed = bytearray(content)
            for place in rng.integers(8, 6000, 12):
                harmed[place] ^= 0xFF
            path.write_bytes(harmed)
            try:
                with open_trace(path) as trace:
                    _ = trace.summary, trace.config, repr(trace)
                    for name in trace.tables:
                        view = trace.table(name)
                        _ = [view[column] for column in view.columns]
            except (TraceError, InputError):
                pass

    def test_objects_are_refused(self, tmp_path: Path) -> None:
        path, file = self.harmed(tmp_path)
        with file:
            del file["training/cost"]
            file.create_dataset("training/cost", (3,), dtype=h5py.vlen_dtype(np.uint8))
            del file["config/chip"]
            file["config/chip"] = np.array([file.ref], dtype=h5py.ref_dtype)
            file["summary"].attrs["object"] = file.ref
        with open_trace(path) as trace:
            with pytest.raises(TraceError, match="holds only numbers and text"):
                _ = trace.training
            with pytest.raises(TraceError, match="holds only numbers and text"):
                _ = trace.config
            with pytest.raises(TraceError, match="which no trace holds"):
                _ = trace.summary

    @pytest.mark.parametrize("kind", ["external-link", "soft-link", "external-data", "virtual", "bomb", "no-column"])
    def test_data_from_elsewhere_is_refused(self, tmp_path: Path, kind: str) -> None:
        path, file = self.harmed(tmp_path)
        (tmp_path / "secret").write_bytes(b"secret" * 100)
        with file:
            del file["training/cost"]
            if kind == "external-link":
                file["training/cost"] = h5py.ExternalLink("/nowhere/other.h5", "/x")
            elif kind == "soft-link":
                file["training/cost"] = h5py.SoftLink("/eval/cost")
            elif kind == "external-data":
                file.create_dataset("training/cost", (3,), "f8", external=[(str(tmp_path / "secret"), 0, 24)])
            elif kind == "virtual":
                layout = h5py.VirtualLayout((24,), "f8")
                layout[:] = h5py.VirtualSource("/nowhere/other.h5", "x", (24,))
                file.create_virtual_dataset("training/cost", layout)
            elif kind == "bomb":
                file.create_dataset("training/cost", (10**13,), "f8", chunks=(1024,))
        with open_trace(path) as trace, pytest.raises(TraceError):
            _ = trace.training

    def test_endless_summary(self, tmp_path: Path) -> None:
        path, file = self.harmed(tmp_path)
        with file:
            file["summary/again"] = file["summary"]
            file["training/loop"] = file["/"]
        with open_trace(path) as trace:
            with pytest.raises(TraceError, match="too deep"):
                _ = trace.summary
            assert len(trace.training) == 24


class TestExport:
    def read(self, path: Path) -> list[list[str]]:
        with path.open(newline="", encoding="utf-8") as stream:
            return list(csv.reader(stream))

    def test_every_table_with_units(self, tmp_path: Path) -> None:
        with open_trace(write_run(tmp_path / "run.h5")) as trace:
            files = to_csv(trace, tmp_path / "csv")
            assert sorted(files) == sorted((tmp_path / "csv").iterdir())
            training = self.read(tmp_path / "csv" / "training.csv")
            assert training[0][:5] == ["step [1]", "tick [1]", "inferences [1]", "updates [1]", "time_s [s]"]
            np.testing.assert_array_equal([float(row[4]) for row in training[1:]], trace.training.time_s)
            ledger = self.read(tmp_path / "csv" / "ledger.csv")
            assert {"counts:weight_pulse [1]", "energy_J:weight_pulse [J]", "phase_time_s:learn [s]"} <= {*ledger[0]}
            prices = self.read(tmp_path / "csv" / "ledger_price.csv")
            assert prices[0][0] == "action"
            assert len(prices) == 1 + len(ACTIONS)
            weights = self.read(tmp_path / "csv" / "weights_output.csv")
            assert weights[0][:2] == ["tick [1]", "value[0,0] [1]"]
            wide = self.read(tmp_path / "csv" / "weights_hidden_value.csv")
            assert wide[0] == ["tick [1]", "index_0", "index_1", "value [1]"]
            assert len(wide) == 1 + 2 * 784 * 24
            with pytest.raises(InputError, match="--force"):
                to_csv(trace, tmp_path / "csv")
            to_csv(trace, tmp_path / "csv", force=True)

    def test_unwritable(self, tmp_path: Path) -> None:
        (tmp_path / "csv").write_text("")
        with open_trace(write_run(tmp_path / "run.h5")) as trace, pytest.raises(InputError, match="cannot write"):
            to_csv(trace, tmp_path / "csv")

    def test_names_from_the_file_stay_in_the_folder(self, tmp_path: Path) -> None:
        writer = TraceWriter.create(tmp_path / "run.h5", force=False, attributes={})
        writer.declare(table("/weights/..%2f ..\\=evil", ("x", "1", "x")))
        with open_trace(writer.close("complete", {})) as trace:
            assert to_csv(trace, tmp_path / "csv") == [tmp_path / "csv" / "weights_.._2f_.._evil.csv"]


def test_reading_a_view_of_a_closed_trace_is_our_error(tmp_path: Path) -> None:
    trace: Trace = open_trace(write_run(tmp_path / "run.h5"))
    view = trace.training
    trace.close()
    with pytest.raises(TraceError):
        _ = view.cost
