"""Sweeps: axes and designs, paired seeds, the same bits on any workers and after any end, files, effects, reports."""

from __future__ import annotations

import errno
import json
import math
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

import neurosim as ns
from neurosim import api_sweep, cli
from neurosim.api_sweep import SweepProgress, run_point
from neurosim.errors import InputError, TraceError
from neurosim.report import write_sweep_report
from neurosim.sweeps import Axis, Request, axis_of, make_plan, parse_axis
from neurosim.sweeps.designs import coordinates
from neurosim.trace import open_trace
from neurosim.trace.staged import StagedFile
from neurosim.trace.sweep_effects import effects, mean_over, pareto, places
from neurosim.trace.sweep_reader import FAILED, FINISHED, WAITING, Sweep, SweepAxis, SweepPoint, open_sweep

ROOT = Path(__file__).resolve().parent.parent
RATE, MAG = "training.learning_rate", "training.norm_mag"
SHORT = {"stop.steps": 300}
AXES: dict[str, Any] = {RATE: [1.0, 3.0], MAG: [0.02, 0.05, 0.1]}

Make = Callable[..., Sweep]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def small(output: str = "sweep.h5", axes: Any = None, **more: Any) -> Sweep:
    """A sweep of XOR in this process, unless asked otherwise."""
    settings = {"overrides": SHORT, "workers": 0, **more}
    return ns.sweep("xor-mgd", AXES if axes is None else axes, output=output, **settings)


def results(sweep: Sweep) -> list[dict[str, Any]]:
    """What every point came to, without what the host has to do with it."""
    return [{key: value for key, value in (point.summary or {}).items() if key != "host"} for point in sweep.points]


def request(axes: list[str], **more: Any) -> Request:
    settings = {"overrides": SHORT, **more}
    return api_sweep.new_request("xor-mgd", [parse_axis(text) for text in axes], [], **settings)


# Axes


@pytest.mark.parametrize(
    ("text", "keys", "values"),
    [
        ("a.b=1,2.5,x", ("a.b",), (1, 2.5, "x")),
        ("a.b=true, 3", ("a.b",), (True, 3)),
        ('a={model = "q", bits = 4},ideal', ("a",), ({"model": "q", "bits": 4}, "ideal")),
        ("a=[1, 2],[3, 4]", ("a",), ([1, 2], [3, 4])),
        ('a="x,y",z', ("a",), ("x,y", "z")),
        ("a+b.c=0,1", ("a", "b.c"), (0, 1)),
        ("a=20 ms,5 us", ("a",), ("20 ms", "5 us")),
        ("a=../x.npz,../y.npz", ("a",), ("../x.npz", "../y.npz")),
        ("a=0..1/5", ("a",), (0.0, 0.25, 0.5, 0.75, 1.0)),
        ("a=log:0.01..100/5", ("a",), (0.01, pytest.approx(0.1), pytest.approx(1.0), pytest.approx(10.0), 100.0)),
        ("a=int:1..10/4", ("a",), (1, 4, 7, 10)),
    ],
)
def test_axes_as_written(text: str, keys: tuple[str, ...], values: tuple[Any, ...]) -> None:
    axis = parse_axis(text)
    assert (axis.keys, axis.values) == (keys, values)
    assert Axis.from_table(json.loads(json.dumps(axis.as_table()))) == axis


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a.b", "write KEY.PATH=V1,V2"),
        ("a=", "selects nothing"),
        ("a= , ", "selects nothing"),
        ("a=1,2,1", "takes a value twice: 1"),
        ("a=nan,1", "must be finite"),
        ("a=1..0", "from a smaller to a larger"),
        ("a=log:0..1", "begins above zero"),
        ("a=int:0.5..3", "whole numbers"),
        ("a=0..1/1", "from 2 on"),
        ("a=log:1,2", "not a range"),
        ("a+a=1", "doubled"),
    ],
)
def test_axes_that_are_none(text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_axis(text)


def test_values_from_python() -> None:
    assert axis_of("a", np.array([0.5, 1.0])).values == (0.5, 1.0)
    assert axis_of("a", [np.int64(3), "x"]).values == (3, "x")
    assert axis_of("a", "log:1..10").scale == "log"


# Designs


def test_grid_and_one_at_a_time() -> None:
    axes = [axis_of("a", [1, 2]), axis_of("b", "xyz")]
    axes[1] = axis_of("b", ["x", "y", "z"])
    assert len(coordinates(axes, "grid", None, 0)) == 6
    assert coordinates(axes, "oat", None, 0) == [(1, "x"), (2, "x"), (1, "y"), (1, "z")]


def test_latin_hypercube_has_one_point_in_each_slice() -> None:
    axes = [parse_axis("a=0..1"), parse_axis("b=log:0.01..100"), parse_axis("c=p,q"), parse_axis("d=int:1..4")]
    drawn = coordinates(axes, "lhs", 32, 7)
    assert drawn == coordinates(axes, "lhs", 32, 7) != coordinates(axes, "lhs", 32, 8)
    assert sorted(int(32 * point[0]) for point in drawn) == list(range(32))
    assert sorted(int(8 * (math.log10(point[1]) + 2)) for point in drawn) == list(range(32))
    assert sum(point[2] == "p" for point in drawn) == 16
    assert [sum(point[3] == k for point in drawn) for k in (1, 2, 3, 4)] == [8, 8, 8, 8]


def test_sobol_designs_nest() -> None:
    axes = [parse_axis("a=0..1"), parse_axis("b=1..2")]
    drawn = coordinates(axes, "sobol", 16, 0)
    assert drawn[:8] == coordinates(axes, "sobol", 8, 0)
    assert sorted(int(16 * point[0]) for point in drawn) == list(range(16))


# Plans


def test_seeds_are_paired() -> None:
    plan = make_plan(request([f"{RATE}=1,3"], repeats=3, seed=5))
    assert [(point.repeat, point.seed, point.fabrication_seed) for point in plan.points] == 2 * [
        (r, 5 + r, 2 + r) for r in range(3)
    ]
    one_chip = make_plan(request([f"{RATE}=1,3"], repeats=3, same_chip=True))
    assert {point.fabrication_seed for point in one_chip.points} == {2}
    own = make_plan(request(["chip.fabrication_seed=7,8"], repeats=2))
    assert [(point.seed, point.fabrication_seed) for point in own.points] == [(0, 7), (1, 7), (0, 8), (1, 8)]


def test_addresses_are_of_the_content(here: Path) -> None:
    plan, other = make_plan(request([f"{RATE}=1,3"], repeats=2)), make_plan(request([f"{RATE}=3.0,5,1.0"]))
    addresses = [point.address for point in plan.points]
    assert len(set(addresses)) == 4
    assert [point.address for point in other.points][0::2] == [addresses[2], addresses[0]]
    np.savez("own.npz", train_x=np.eye(2), train_y=[0, 1], test_x=np.eye(2), test_y=[0, 1])
    before = make_plan(request(["task.data=own.npz,xor"])).points[0].address
    np.savez("own.npz", train_x=np.ones((2, 2)), train_y=[0, 1], test_x=np.eye(2), test_y=[0, 1])
    assert make_plan(request(["task.data=own.npz,xor"])).points[0].address != before


def test_keys_that_replace_a_table_come_first() -> None:
    plan = make_plan(request([f"{RATE}=0.5", "training.model=node"]))
    assert plan.points[0].scenario["training"]["model"] == "node"
    assert plan.points[0].scenario["training"]["learning_rate"] == 0.5
    chips = make_plan(request(["chip.timing.perturbation_period_s=1e-6,2e-6", "chip=nist-hw2,nist-hw1"]))
    assert [point.scenario["chip"]["name"] for point in chips.points] == 2 * ["nist-hw2", "nist-hw1"]
    assert chips.points[1].scenario["chip"]["timing"]["perturbation_period_s"] == 1e-6


def test_keys_that_move_together() -> None:
    plan = make_plan(request(["network.layers.hidden.size+network.layers.0.size=2,3"]))
    assert plan.points[1].scenario["network"]["layers"][0]["size"] == 3
    plan = make_plan(request(["stop.steps+probes.record_every=100,200"], overrides={}))
    assert [(p.scenario["stop"]["steps"], p.scenario["probes"]["record_every"]) for p in plan.points] == [
        (100, 100), (200, 200)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("axes", "more", "said"),
    [
        (["chip.device.dw_min_dtod=0,1"], {}, ["chip.device: unknown key", "'chip.synapse.device.dw_min_dtod'"]),
        (["training.lerning_rate=1,2"], {}, ["training.lerning_rate: unknown key; did you mean 'learning_rate'?"]),
        (["foo.bar=1", "training.lerning_rate=1"], {}, ["unknown root 'foo'", "training.lerning_rate"]),
        (["network.layers.hiden.size=2,3"], {}, ["no item 'hiden'", "'network.layers.hidden.size'"]),
        (["chip=nist-hw2,nist-hw9"], {}, ['no chip "nist-hw9"', "nist-hw"]),
        ([f"{RATE}=1,-1"], {}, ["training.learning_rate = -1", "at training.learning_rate = -1"]),
        ([f"{RATE}=1,1.0"], {}, ["selects nothing: the scenario is the same at 1, 1.0"]),
        (["chip.astrocyte.cost_noise_std=0,0.1"], {"ideal": True}, ["selects nothing", "--ideal switches it off"]),
        ([f"{RATE}=0..1"], {}, ["a grid design needs values; write 0..1/5"]),
        ([f"{RATE}=0.1..1"], {"design": "lhs"}, ["say how many points"]),
        ([f"{RATE}=0.1..1"], {"design": "sobol", "count": 20}, ["powers of two only: 16 or 32"]),
        ([f"{RATE}=1,2"], {"count": 4}, ["--points is for lhs and sobol"]),
        ([f"{RATE}=1,2", f"{RATE}=3"], {}, ["stands in two axes"]),
        (["stop.steps=1,2"], {}, ["is also given by --set"]),
        (["seed=1,2"], {"repeats": 2}, ["--repeats sets seeds, too"]),
        ([], {}, ["no axes"]),
        ([f"{RATE}=int:1..1000/1000", "seed=int:1..1000/1000"], {}, ["1,000,000 points; a sweep takes at most"]),
    ],
)
def test_what_is_wrong_with_a_plan(axes: list[str], more: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(InputError) as error:
        make_plan(request(axes, **more))
    for part in said:
        assert part in str(error.value)


def test_every_problem_at_once_before_any_point_runs(here: Path) -> None:
    with pytest.raises(InputError) as error:
        small(axes={"training.lerning_rate": [1, 2], "foo.x": "1", RATE: "", MAG: "0..1", "stop.step": [3]})
    assert len(error.value.problems) == 6  # of the range: that it is one, and that its lower end is no amplitude
    with pytest.raises(
        InputError, match=r"no perturbation mechanism fits .*\(at chip = loihi"
    ):  # only a built machine knows
        small(axes={"chip": ["nist-hw2", "loihi-davies2018"]})
    assert list(here.iterdir()) == []


# The same bits


def test_points_are_the_same_as_single_runs(here: Path) -> None:
    sweep = small(repeats=2, curves=True)
    assert sweep.status == "complete"
    assert len(sweep.done) == 12
    for point in sweep.points:
        overrides = {**SHORT, **point.coordinates, "chip.fabrication_seed": point.fabrication_seed}
        alone = ns.run("xor-mgd", overrides=overrides, seed=point.seed, output="one.h5", force=True)
        assert {**alone.summary, "host": 0, "scenario": 0} == {**dict(point.summary or {}), "host": 0, "scenario": 0}
        assert point.curve is not None
        with ns.open_trace("one.h5") as trace:
            assert np.array_equal(trace.eval["cost"], point.curve["cost"])
            assert np.array_equal(trace.eval["step"], point.curve["step"])
    assert len({json.dumps(each, sort_keys=True) for each in results(sweep)}) == 12


def kill_one(number: int) -> Callable[[SweepProgress], None]:
    """Kills a worker process when the first point is done."""
    killed: list[int] = []

    def progress(state: SweepProgress) -> None:
        if state.done >= 1 and not killed:
            workers = [
                child
                for child in psutil.Process().children(recursive=True)
                if any("spawn_main" in part for part in child.cmdline())
            ]
            assert len(workers) == number
            workers[0].send_signal(signal.SIGKILL)
            killed.append(workers[0].pid)

    return progress


@pytest.mark.parametrize(
    ("workers", "kill"),
    [(2, True), pytest.param(1, True, marks=pytest.mark.slow), pytest.param(4, False, marks=pytest.mark.slow)],
)
def test_workers_give_the_same_bits_even_killed(here: Path, workers: int, kill: bool) -> None:
    alone = small("alone.h5", repeats=2)
    states: list[int] = []
    murder = kill_one(workers) if kill else None

    def progress(state: SweepProgress) -> None:
        states.append(state.finished)
        if murder is not None:
            murder(state)

    together = small("together.h5", repeats=2, workers=workers, progress=progress)
    assert together.status == "complete"
    assert results(together) == results(alone)
    assert states == list(range(13))  # no point is lost, and none comes twice
    assert [point.status for point in together.points] == [FINISHED] * 12


def test_points_that_are_the_same_run_once(here: Path) -> None:
    states: list[SweepProgress] = []
    sweep = small(axes={RATE: [1.0, 3.0]}, design="lhs", points=8, progress=states.append)
    assert (states[-1].points, states[-1].done) == (2, 2)
    assert len(sweep.points) == len(sweep.done) == 8
    energy = sweep.values("energy_J")
    for point in sweep.points:
        assert energy[point.number] == energy[point.run]
        assert point.address == sweep.points[point.run].address
    assert len({point.run for point in sweep.points}) == 2


# Ends of all kinds


def test_interrupted_and_resumed(here: Path) -> None:
    whole = small("whole.h5", repeats=2)

    def stop(state: SweepProgress) -> None:
        if state.done == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small("part.h5", repeats=2, progress=stop)
    part = open_sweep("part.h5")
    assert part.status == "interrupted"
    assert [point.status for point in part.points] == [FINISHED] * 5 + [WAITING] * 7
    assert not (here / "part.h5.part").exists()
    last: list[SweepProgress] = []
    done = ns.sweep(output="part.h5", resume=True, workers=0, progress=last.append)
    assert (last[-1].skipped, last[-1].done, done.status) == (5, 7, "complete")
    assert results(done) == results(whole)
    again = small("part.h5", repeats=2, resume=True, progress=last.append)
    assert (last[-1].skipped, last[-1].done) == (12, 0)
    assert results(again) == results(whole)
    assert again.axes == whole.axes


def test_interrupt_in_the_middle_of_a_point(here: Path) -> None:
    def soon(state: SweepProgress) -> None:
        threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()

    with pytest.raises(KeyboardInterrupt):
        small(axes={RATE: [1.0, 3.0]}, overrides={"stop.steps": 500_000_000}, progress=soon)
    sweep = open_sweep("sweep.h5")
    assert (sweep.status, len(sweep.done), len(sweep.failed)) == ("interrupted", 0, 0)


def test_two_sweeps_never_write_one_file(here: Path) -> None:
    refused: list[str] = []

    def again(state: SweepProgress) -> None:
        if state.done == 1:
            for more in ({"resume": True}, {"force": True}, {}):
                with pytest.raises(InputError) as error:
                    small(**more)
                refused.append(str(error.value))

    assert small(progress=again).status == "complete"
    assert "another run is writing it" in refused[0] and "another run is writing it" in refused[1]
    assert "exists already" in refused[2]


def test_full_disk(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = StagedFile.commit

    def full(self: StagedFile, *, durable: bool = False) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def fill(state: SweepProgress) -> None:
        if state.done == 2:
            monkeypatch.setattr(StagedFile, "commit", full)

    monkeypatch.setattr("neurosim.trace.sweep.FLUSH_S", 0.0)
    with pytest.raises(TraceError, match=r"the disk is full.*neurosim sweep --resume -o sweep\.h5\.part"):
        small(progress=fill)
    monkeypatch.setattr(StagedFile, "commit", whole)
    states: list[SweepProgress] = []
    sweep = ns.sweep(output="sweep.h5.part", resume=True, workers=0, progress=states.append)
    assert (states[-1].skipped, len(sweep.done), sweep.path.name) == (2, 6, "sweep.h5")


KILLED = """
import os, signal
from neurosim import api_sweep
from neurosim.trace import sweep as files
files.FLUSH_S = 0.0
def progress(state):
    if state.done == 4:
        os.kill(os.getpid(), signal.SIGKILL)
api_sweep.sweep("xor-mgd", {axes}, overrides={overrides}, repeats=2, workers=0, output="sweep.h5", progress=progress,
                resume=True)
"""


def test_killed_sweep_goes_on(here: Path) -> None:
    script = KILLED.format(axes=AXES, overrides=SHORT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    small(axes={RATE: [1.0]})  # what is gone on with is a finished file of one of the points
    for finished in (5, 9):  # killed while it goes on, too
        done = subprocess.run([sys.executable, "-c", script], env=environment, check=False, timeout=300)
        assert done.returncode == -signal.SIGKILL
        part = open_sweep("sweep.h5.part")
        assert part.status == "running"
        assert len(part.done) == finished
    states: list[SweepProgress] = []
    sweep = small(repeats=2, resume=True, progress=states.append)
    assert (states[-1].skipped, states[-1].done) == (9, 3)
    assert sorted(path.name for path in here.iterdir()) == ["sweep.h5"]
    assert results(sweep) == results(small("whole.h5", repeats=2))


def test_failures_are_rows_and_run_again(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = small(axes={RATE: [1.0, 1e300, 3.0]})
    assert [point.status for point in sweep.points] == [FINISHED, FAILED, FINISHED]
    assert sweep.status == "complete"
    assert sweep.points[1].summary is None
    assert "DivergenceError: the cost is not finite at step" in str(sweep.points[1].error)
    assert np.isnan(sweep.values("accuracy")).tolist() == [False, True, False]
    states: list[SweepProgress] = []
    again = small(axes={RATE: [1.0, 1e300, 3.0]}, resume=True, progress=states.append)
    assert (states[-1].skipped, states[-1].failed) == (2, 1)
    assert results(again) == results(sweep)


def test_more_points_can_be_added_and_none_dropped(here: Path) -> None:
    small(axes={RATE: [1.0, 3.0]})
    states: list[SweepProgress] = []
    more = small(axes={RATE: [0.5, 3.0, 1.0]}, repeats=2, resume=True, progress=states.append)
    assert (states[-1].skipped, states[-1].done) == (2, 4)
    assert results(more) == results(small("fresh.h5", axes={RATE: [0.5, 3.0, 1.0]}, repeats=2))
    kept = (here / "sweep.h5").read_bytes()
    with pytest.raises(InputError, match="4 of its 6 finished points are not in this sweep"):
        small(axes={RATE: [3.0]}, repeats=2, resume=True)
    with pytest.raises(InputError, match="exists already; go on with it, or with more points: --resume"):
        small(axes={RATE: [3.0]})
    assert (here / "sweep.h5").read_bytes() == kept
    assert len(small(axes={RATE: [3.0]}, force=True).points) == 1


def test_another_version_of_a_worker_is_a_failure() -> None:
    task = {"name": "x", "scenario": {}, "curves": False, "neurosim": "0.0.1", "rng_version": 1}
    assert "the sweep was started by 0.0.1" in str(run_point(task)["error"])


def test_scheduler_that_is_not_there_leaves_nothing_behind(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neurosim.sweeps.pool.CONNECT_S", 0.5)
    with pytest.raises(InputError, match=r"--scheduler tcp://127\.0\.0\.1:1: cannot connect"):
        small(workers=None, scheduler="tcp://127.0.0.1:1")
    with pytest.raises(InputError, match="use one of them"):
        small(workers=1, scheduler="tcp://127.0.0.1:1")
    assert list(here.iterdir()) == []


def test_running_cluster(here: Path) -> None:
    import distributed

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, protocol="tcp", dashboard_address=None
        ) as cluster:
            together = small("together.h5", workers=None, scheduler=cluster.scheduler_address, curves=True)
    assert results(together) == results(small("alone.h5"))
    assert all(point.curve is not None for point in together.points)


# Files


def test_file_says_what_it_is(here: Path) -> None:
    import h5py

    sweep = small(axes={RATE: "log:0.1..10", "training.tau_p": "int:1..2", "task.shuffle": [True, False]}, design="lhs",
                  points=4)  # fmt: skip
    with h5py.File("sweep.h5") as file:
        assert (file.attrs["format"], file.attrs["format_version"]) == ("neurosim-sweep", 1)
        assert file["axes/0/name"][()].decode() == RATE
        assert file["axes/2/label"][()].tolist() == [b"true", b"false"]
        assert file["values/accuracy"].shape == (4,)
        assert file["values/energy_J"].attrs["unit"] == "J"
        assert file["values/accuracy"][()].tolist() == sweep.values("accuracy").tolist()
        assert json.loads(file["runs/3/summary"][()]) == dict(sweep.points[3].summary or {})
        value = file["points/value"][()]
    for point in sweep.points:
        assert point.coordinates[RATE] == value[point.number, 0]
        assert point.summary is not None
        assert type(point.coordinates["training.tau_p"]) is int
    with pytest.raises(InputError, match="not a trace of a run"):
        open_trace("sweep.h5")
    ns.run("xor-mgd", overrides=SHORT, output="run.h5")
    with pytest.raises(InputError, match="is the trace of a run, not a sweep"):
        open_sweep("run.h5")
    with pytest.raises(InputError, match="no such file"):
        open_sweep("none.h5")
    (here / "cut.h5").write_bytes((here / "sweep.h5").read_bytes()[:3000])
    with pytest.raises(TraceError):
        open_sweep("cut.h5")
    with pytest.raises(InputError, match="no summary has a number 'acuracy'"):
        sweep.values("acuracy")


def test_tables_for_other_programs(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = small(repeats=2)
    rows = sweep.rows()
    assert len(rows) == 12
    assert rows[3][RATE] == 1.0 and rows[3][MAG] == 0.05 and rows[3]["repeat"] == 1
    assert rows[3]["energy_J"] == sweep.values("energy_J")[3]
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pandas", None)
        patch.setitem(sys.modules, "xarray", None)
        for method in ("pandas", "xarray"):
            with pytest.raises(InputError, match=f"to_{method} needs {method}"):
                getattr(sweep, f"to_{method}")()


def test_pandas_and_xarray(here: Path) -> None:
    pandas, xarray = pytest.importorskip("pandas"), pytest.importorskip("xarray")
    sweep = small(repeats=2)
    table = sweep.to_pandas()
    assert isinstance(table, pandas.DataFrame)
    assert table["accuracy"].tolist() == sweep.values("accuracy").tolist()
    cube = sweep.to_xarray()
    assert isinstance(cube, xarray.Dataset)
    assert dict(cube.sizes) == {RATE: 2, MAG: 3, "repeat": 2}
    assert float(cube["energy_J"].sel({RATE: 3.0, MAG: 0.1}).isel(repeat=1)) == sweep.values("energy_J")[11]


# Effects


def made_up(value: Callable[..., float], axes: dict[str, list[Any]], repeats: int = 3, design: str = "grid") -> Sweep:
    """A sweep whose accuracy is a function of the coordinates and the repeat."""
    listed = [axis_of(name, values) for name, values in axes.items()]
    points = []
    for where in coordinates(listed, design, None, 0):  # type: ignore[arg-type]
        for repeat in range(repeats):
            number = len(points)
            accuracy = value(*where, repeat)
            done = math.isfinite(accuracy)
            told = {"accuracy": accuracy, "energy_J": 1.0 + number} if done else None
            points.append(SweepPoint(number, dict(zip(axes, where, strict=True)), repeat, repeat, 0, str(number), number,
                                     FINISHED if done else FAILED, told, None if done else "no", 0.0, None))  # fmt: skip
    found = tuple(SweepAxis(axis.name, axis.values, 0.0, 0.0, "linear") for axis in listed)
    return Sweep(Path("x.h5"), "complete", {"design": design, "repeats": repeats}, found, tuple(points), {})


def test_effects_are_taken_between_pairs() -> None:
    """Luck of a repeat cancels: accuracy = 0.8 - 0.1 a - 0.02 [b = y] + luck(repeat) has losses 0.2 and 0.02 exactly."""
    luck = [0.03, -0.05, 0.01]
    sweep = made_up(lambda a, b, r: 0.8 - 0.1 * a - 0.02 * (b == "y") + luck[r], {"a": [0, 2, 1], "b": ["y", "x"]})
    first, second = effects(sweep)
    assert (first.axis.name, first.labels[first.best], first.labels[first.worst]) == ("a", "0", "2")
    assert (first.loss, first.pairs) == (pytest.approx(0.2), 6)
    assert first.loss_error == pytest.approx(0.0, abs=1e-12)
    assert (second.axis.name, second.loss, second.pairs) == ("b", pytest.approx(0.02), 9)
    assert first.mean == pytest.approx(tuple(0.8 - 0.01 - 0.1 * a + np.mean(luck) for a in (0, 2, 1)))
    assert first.certain
    assert mean_over(sweep, "accuracy", *sweep.axes)[1].tolist() == pytest.approx(
        [0.58 + np.mean(luck), 0.6 + np.mean(luck)]
    )


def test_errors_of_effects() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(0.0, 0.1, (2, 400))
    sweep = made_up(lambda a, r: 0.5 + noise[a, r], {"a": [0, 1]}, repeats=400)
    (effect,) = effects(sweep)
    assert effect.loss == pytest.approx(abs(float((noise[0] - noise[1]).mean())))
    assert effect.loss_error == pytest.approx(float((noise[0] - noise[1]).std(ddof=1)) / 20.0)
    assert effect.loss_error == pytest.approx(0.1 * math.sqrt(2.0) / 20.0, rel=0.15)


def test_one_at_a_time_compares_with_the_first_point_only() -> None:
    sweep = made_up(lambda a, b, r: 0.9 - 0.1 * a - 0.3 * b, {"a": [0, 1], "b": [0, 1]}, design="oat")
    assert [(effect.axis.name, pytest.approx(effect.loss)) for effect in effects(sweep)] == [("b", 0.3), ("a", 0.1)]


def test_failed_points_leave_no_effect_of_their_own() -> None:
    sweep = made_up(lambda a, r: math.nan if a == 2 else 0.5 + 0.1 * a, {"a": [0, 1, 2]})
    (effect,) = effects(sweep)
    assert effect.labels == ("0", "1") and effect.loss == pytest.approx(0.1)
    assert effects(made_up(lambda a, r: math.nan, {"a": [0, 1]})) == []


def test_pareto_front() -> None:
    """Energy grows with the number of the point: the front is where accuracy reaches a new height."""
    heights = [0.5, 0.4, 0.7, 0.7, 0.6, 0.9]
    sweep = made_up(lambda a, r: heights[a], {"a": list(range(6))}, repeats=1)
    assert [place.number for place in pareto(places(sweep))] == [0, 2, 5]


# Reports and the command


def test_report(here: Path) -> None:
    sweep = small(axes={RATE: [1.0, 3.0, 1e300], "task.shuffle": [True, False]}, repeats=2, curves=True)
    page = write_sweep_report("sweep.h5")
    text = page.read_text(encoding="utf-8")
    assert page.name == "sweep.html"
    assert {path.stem for path in (here / "sweep_figures").iterdir()} == {
        "losses", "main_effects", "heat_maps", "pareto", "curves"
    }  # fmt: skip
    assert "4 points failed" in text and "DivergenceError" in text
    assert 'id="losses"' in text and RATE in text
    assert "<script" not in text
    assert len(sweep.done) == 8
    with pytest.raises(InputError, match="exists already"):
        write_sweep_report("sweep.h5", force=False)


def test_report_of_what_is_unfinished_or_drawn(here: Path) -> None:
    def stop(state: SweepProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        small("none.h5", progress=stop)
    assert "6 of 6 points have not been run" in write_sweep_report("none.h5").read_text(encoding="utf-8")
    small("drawn.h5", axes={RATE: "log:0.1..10", MAG: "0.01..0.1"}, design="sobol", points=8)
    text = write_sweep_report("drawn.h5").read_text(encoding="utf-8")
    assert "0.1 to 10, log" in text and "figure-heat_maps" in text
    small("repeats.h5", axes={}, repeats=2)
    assert "no axis has two values" in write_sweep_report("repeats.h5").read_text(encoding="utf-8")


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """The command in this process: exit code, stdout, stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main(list(arguments))
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return int(end.value.code or 0), out, err

    return call


def test_command(here: Path, command: Callable[..., tuple[int, str, str]]) -> None:
    base = ["sweep", "xor-mgd", "--axis", f"{RATE}=1,3", "--set", "stop.steps=300", "--repeats", "2", "--workers", "0"]
    code, out, err = command(*base, "-o", "s.h5", "-q")
    assert (code, err) == (0, "")
    assert "4 of 4 points done (grid, 2 repeats)" in out
    assert "next: neurosim report s.h5" in out
    code, out, _ = command(*base, "-o", "s.h5", "--resume", "--json", "-q")
    told = json.loads(out)
    assert (code, told["done"], told["skipped"], told["failed"]) == (0, 4, 4, 0)
    assert told["points"][3]["coordinates"] == {RATE: 3} and told["points"][3]["seed"] == 1
    assert told["effects"][0]["axis"] == RATE
    code, out, err = command("sweep", "--resume", "-o", "s.h5", "--workers", "0")
    assert (code, err) == (0, "4 points of 4 finished before: skipped\n")
    assert command("report", "s.h5")[:2] == (0, "s.html\n")
    code, out, err = command("sweep", "xor-mgd", "--axis", f"{RATE}=1e300", "--set", "stop.steps=300", "--workers", "0",
                             "-o", "wild.h5", "-q")  # fmt: skip
    assert (code, "1 of 1 points failed; the first: DivergenceError" in err) == (1, True)


def test_dry_run(here: Path, command: Callable[..., tuple[int, str, str]]) -> None:
    base = [
        "sweep",
        "xor-mgd",
        "--axis",
        f"{RATE}=log:0.1..10/3",
        "--axis",
        f"{MAG}=0.02,0.05",
        "--set",
        "stop.steps=300",
    ]
    code, out, _ = command(*base, "--dry-run")
    assert code == 0
    assert "a dry run of 6 points (grid)" in out and "all points" in out
    code, out, _ = command(*base, "--dry-run", "--json", "--workers", "2")
    told = json.loads(out)
    assert [row["coordinates"][RATE] for row in told["points"]] == pytest.approx([0.1, 0.1, 1, 1, 10, 10])
    assert told["host"]["workers"] == 2 and told["host"]["time_s"] > 0.0
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["xor-mgd"], "no axes"),
        ([], "which scenario?"),
        (["--resume", "-o", "none.h5"], "no such file"),
        (["--resume", "-o", "none.h5", "--axis", "a=1"], "leave out --axis"),
        (["xor-mgd", "--axis", "training.lerning_rate=1,2"], "did you mean 'learning_rate'?"),
        (["stdp-window", "--axis", "seed=1,2"], "is an experiment"),
        (["xor-mgd", "--axis", "seed=1,2", "-o", "no/where.h5"], "the folder does not exist"),
        (["xor-mgd", "--axis", "seed=1,2", "--design", "lsh"], "lsh"),
    ],
)
def test_wrong_input(here: Path, command: Callable[..., tuple[int, str, str]], arguments: list[str], said: str) -> None:
    code, out, err = command("sweep", *arguments)
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())
    assert list(here.iterdir()) == []


def test_help_needs_no_dask(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom neurosim.cli import main\ntry:\n    main(['sweep', '--help'])\nexcept SystemExit:\n    pass\n"
    )
    check = "sys.exit(bool({'dask', 'distributed', 'numpy'} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert (
        subprocess.run(
            [sys.executable, "-c", script + check], env=environment, capture_output=True, check=False
        ).returncode
        == 0
    )
