"""Sweeps from Python: ``ns.sweep`` and ``ns.open_sweep`` (docs/sweeps.md)."""

from __future__ import annotations

import contextlib
import functools
import json
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tomli_w

from neurosim import api
from neurosim._version import __version__
from neurosim.data import Dataset, silent
from neurosim.data import load as load_data
from neurosim.engine.control import Control
from neurosim.engine.forecast import COMPILE_S, forecast
from neurosim.engine.machine import Machine
from neurosim.engine.sink import NullSink, Sink
from neurosim.errors import InputError, NeurosimError
from neurosim.kernels.random import RNG_VERSION
from neurosim.spec import load
from neurosim.spec import study as studies
from neurosim.spec.scenario import Scenario
from neurosim.spec.study import Design, Study
from neurosim.sweeps import Axis, Plan, Point, Request, axis_of, make_plan
from neurosim.sweeps.pool import pool, processors
from neurosim.sweeps.studies import over_study
from neurosim.trace import layout
from neurosim.trace import sweep as files
from neurosim.trace.sweep import SweepWriter
from neurosim.trace.sweep_reader import FINISHED, Sweep, open_sweep

__all__ = ["Sweep", "SweepProgress", "open_sweep", "predict", "request_of", "sweep"]

CURVE = ("step", "inferences", "time_s", "energy_J", "accuracy", "cost")
"""What a kept curve holds of every evaluation."""
PROBED, PROBE_S = 12, 0.3
"""Points that a prediction looks at, and host seconds that it steps each of them."""
START_S, OVERHEAD_S = 4.0, 0.03
"""Of a sweep: until the workers stand, and for each point on top of its run (docs/benchmarks.md)."""
_LOADING = threading.Lock()


@dataclass
class SweepProgress:
    """How far a sweep is."""

    points: int
    """Points to be run in all, without those that are the same as others."""
    skipped: int
    """Of these, finished before."""
    done: int = 0
    failed: int = 0
    last_error: str = ""

    @property
    def finished(self) -> int:
        """Points that need no more work."""
        return self.skipped + self.done + self.failed


Progress = Callable[[SweepProgress], None]
Values = str | Iterable[Any]


def sweep(
    scenario: str | Path | Mapping[str, Any] | None = None,
    axes: Mapping[str, Values] | None = None,
    *,
    design: Design | None = None,
    points: int | None = None,
    repeats: int | None = None,
    chip: str | None = None,
    seed: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    ideal: bool = False,
    host_loop: bool = False,
    same_chip: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    output: str | Path | None = None,
    resume: bool = False,
    force: bool = False,
    curves: bool = False,
    progress: Progress | None = None,
) -> Sweep:
    """Run a scenario at many points; returns the sweep with all results (docs/sweeps.md).

    ``scenario``: one by name, path or table; or a study, to which everything given here is added, and axes of the same
    name replaced. ``axes``: key path -> values, a list or text as on the command line (``"0,0.1"``,
    ``"log:0.1..10"``); ``design``: ``grid`` (default), ``oat``, or ``lhs`` and ``sobol``, of which ``points`` says how
    many. ``repeats``: runs of every point (default 1), with paired seeds. ``workers``:
    processes on this machine (default: one for each processor; 0: this process itself); ``scheduler``: the address of
    a running dask scheduler instead. ``output``: the file, default NAME-sweep.h5; with ``resume`` what it holds already
    is skipped, and without a scenario all else is taken from it. ``curves`` keeps every point's evaluations.

    Raises InputError, before any point runs, with every problem of the request and of all its points. A point that
    fails is a row with its error. Ctrl-C raises KeyboardInterrupt and leaves a file that ``resume`` goes on with.
    """
    if scenario is None:
        if not resume or output is None:
            raise InputError("which scenario? Without one, resume=True takes everything from the file in output")
        request = request_of(output)
        if axes:
            raise InputError("axes need their scenario; without one, everything is taken from the file")
    else:
        problems: list[str] = []
        found: list[Axis] = []
        for name, values in (axes or {}).items():
            try:
                found.append(axis_of(name, values))
            except InputError as error:
                problems += error.problems
        request = new_request(
            scenario, found, problems, design=design, count=points, repeats=repeats, chip=chip, seed=seed,
            overrides=overrides, ideal=ideal, host_loop=host_loop, same_chip=same_chip, curves=curves,
        )  # fmt: skip
    return carry_out(request, workers=workers, scheduler=scheduler, output=output, resume=resume, force=force,
                     progress=progress)  # fmt: skip


def new_request(
    scenario: str | Path | Mapping[str, Any], axes: Iterable[Axis], problems: list[str], **settings: Any
) -> Request:
    """A request for a scenario or a study, by name, path or table.

    Raises InputError, with the ``problems`` found before. What is None or empty in ``settings`` is the study's, or the
    default.
    """
    api.load_models()
    if isinstance(scenario, Mapping):
        name, table = "scenario", dict(scenario)
    else:
        name, table = Path(str(scenario)).stem, studies.load_table(str(scenario))
    axes = list(axes)
    settings = {key: value for key, value in settings.items() if not (value is None or value is False or value == {})}
    if load.is_study(table):
        name = "study" if isinstance(scenario, Mapping) else name
        study = load.validate(Study, table, f"study {name}")
        table = load.load_scenario_table(study.scenario)
        axes, settings = over_study(study, name, axes, settings, problems)
    if load.is_experiment(table):
        raise InputError(
            f"{name} is an experiment: it drives a network by hand and has no accuracy to compare; sweeps are over "
            "scenarios that train a network (neurosim scenario list)"
        )
    settings["overrides"] = dict(settings.get("overrides") or {})
    request = Request(name=name, scenario=table, axes=tuple(axes), **settings)
    if problems:
        try:
            make_plan(request)
        except InputError as error:
            problems += [problem for problem in error.problems if request.axes or not problem.startswith("no axes")]
        raise InputError(problems, f"sweep of {name}")
    return request


def request_of(path: str | Path) -> Request:
    """What the sweep in a file was asked for."""
    config = open_sweep(_newest(path)).config
    if "request" not in config:
        raise InputError("does not say what was asked for; name the scenario and the axes", str(path))
    return Request.from_json(config["request"])


def carry_out(
    request: Request, *, workers: int | None, scheduler: str | None, output: str | Path | None, resume: bool,
    force: bool, progress: Progress | None,
) -> Sweep:  # fmt: skip
    """Plan, check, run what is not there yet, and close the file."""
    path = layout.final_of(Path(output) if output is not None else Path(f"{request.name}-sweep.h5"))
    plan, before = prepare(request, path, resume=resume, force=force)
    crew = pool(workers, scheduler)
    check(plan)
    started = time.monotonic()
    known = _taken(plan, before)
    waiting = [point for point in plan.runs() if point.number not in known]
    state = SweepProgress(len(plan.runs()), len(known))
    with crew if waiting else contextlib.nullcontext():  # workers that do not start leave no file behind
        writer = _begin(plan, path, before, force)
        status: layout.Status = "failed"
        try:
            for run, point in known.items():
                writer.result(run, host_time_s=point.host_time_s or 0.0, text=json.dumps(point.summary), error=None,
                              curve=point.curve)  # fmt: skip
            writer.settle(path)
            if progress is not None:
                progress(state)
            for number, outcome in crew.results(run_point, _tasks(request, waiting)):
                _record(writer, number, outcome, state)
                if progress is not None:
                    progress(state)
            status = "complete"
        except KeyboardInterrupt:
            status = "interrupted"
            raise
        finally:
            _end(writer, status, state, time.monotonic() - started)
    return open_sweep(path)


def prepare(request: Request, path: Path, *, resume: bool, force: bool) -> tuple[Plan, Sweep | None]:
    """The plan, and the file that it goes on from; raises InputError with the problems of both."""
    problems: list[str] = []
    before = None
    try:
        before = _before(path, resume, force)
    except InputError as error:
        problems += [f"{error.where}: {problem}" if error.where else problem for problem in error.problems]
    try:
        plan = make_plan(request)
    except InputError as error:
        if not problems:
            raise
        raise InputError([*error.problems, *problems], error.where) from None
    if before is not None and not problems:
        problems += _strangers(plan, before)
    if problems:
        raise InputError(problems, f"sweep of {request.name}")
    return plan, before


def _before(path: Path, resume: bool, force: bool) -> Sweep | None:
    """The sweep that is gone on with; None where a new file begins."""
    if not path.parent.is_dir():
        raise InputError("cannot write: the folder does not exist", str(path))
    if resume and (path.exists() or layout.part_of(path).exists()):
        return open_sweep(_newest(path))
    files.refuse_existing(path, force)
    return None


def _newest(path: str | Path) -> Path:
    """The unfinished file, which holds all that a finished one beside it does, or else that one."""
    part = layout.part_of(layout.final_of(Path(path)))
    return part if part.exists() else Path(path)


def _strangers(plan: Plan, before: Sweep) -> list[str]:
    """Finished points of the file that the plan does not have, which going on with it would drop."""
    planned = {point.address for point in plan.points}
    lost = [point for point in before.points if point.status == FINISHED and point.address not in planned]
    if not lost:
        return []
    made_by = before.attributes.get("neurosim")
    why = f"; it was made by neurosim {made_by}, this is {__version__}" if made_by != __version__ else ""
    return [
        f"{before.path}: {len(lost)} of its {len(before.done)} finished points are not in this sweep{why}: only "
        "points can be added, so give the axes that it has; or choose another name, or replace it with --force"
    ]


def check(plan: Plan) -> None:
    """Build the machine of one point for each value of each axis; raises InputError with the problems of all."""
    found: dict[str, str] = {}
    for point in plan.cover():
        try:
            build(Scenario.model_validate(point.scenario))
        except InputError as error:
            at = ", ".join(f"{axis.name} = {value}" for axis, value in zip(plan.axes, point.coordinates, strict=True))
            for problem in error.problems:
                found.setdefault(problem, at)
    if found:
        raise InputError([f"{problem} (at {at})" if at else problem for problem, at in found.items()],
                         f"sweep of {plan.request.name}")  # fmt: skip


def build(scenario: Scenario) -> Machine:
    """The machine of a point; data that the last point used, too, are not read again."""
    task = scenario.task
    return Machine(scenario, _data(task.data, task.n_train, task.n_test, task.bits, task.noise_std),
                   api._start_weights(scenario))  # fmt: skip


@functools.lru_cache(maxsize=1)
def _data(name: str, n_train: int | None, n_test: int | None, bits: int, noise_std: float) -> Dataset:
    known: dict[str, dict[str, object]] = {"parity": {"bits": bits}, "nist7x7": {"noise_std": noise_std}}
    options = known.get(name)
    return load_data(name, None, n_train, n_test, silent, options=options)


def _tasks(request: Request, points: Iterable[Point]) -> Iterator[tuple[int, dict[str, Any]]]:
    """What a worker needs to run each point."""
    for point in points:
        yield point.number, {
            "name": request.name, "scenario": point.scenario, "curves": request.curves, "neurosim": __version__,
            "rng_version": RNG_VERSION,
        }  # fmt: skip


def run_point(task: Mapping[str, Any]) -> dict[str, Any]:
    """Run one point, on whatever worker; returns its summary, or the error that ended it."""
    started = time.monotonic()
    out: dict[str, Any] = {"summary": None, "error": None, "curve": None}
    try:
        if (task["neurosim"], task["rng_version"]) != (__version__, RNG_VERSION):
            raise NeurosimError(f"the worker has neurosim {__version__}, the sweep was started by {task['neurosim']}")
        api.load_models()
        scenario = Scenario.model_validate(task["scenario"])
        kept = _Curve()
        sink: Sink = kept if task["curves"] else NullSink()
        control = Control(build(scenario), sink)
        with _LOADING:  # threads of one worker import a kernel one after the other
            control.machine.burst(0)
        done = api._drive(task["name"], control, None, begin=True)
        if done.status == "interrupted":  # Ctrl-C, where points run in the main process
            raise KeyboardInterrupt
        out["summary"] = done.summary
        out["curve"] = kept.columns() if task["curves"] else None
    except Exception as error:
        out["error"] = f"{type(error).__name__}: {error}"
    out["host_time_s"] = time.monotonic() - started
    return out


class _Curve(NullSink):
    """Keeps the evaluations."""

    def __init__(self) -> None:
        self._rows: list[dict[str, float]] = []

    def append(self, path: str, rows: Mapping[str, npt.ArrayLike]) -> None:
        """Keep the rows of ``/eval``."""
        if path == "/eval":
            columns = {name: np.asarray(rows[name]) for name in CURVE}
            self._rows += [{name: column[k].item() for name, column in columns.items()}
                           for k in range(len(columns["step"]))]  # fmt: skip

    def columns(self) -> dict[str, np.ndarray]:
        """Each column as an array."""
        return {name: np.array([row[name] for row in self._rows]) for name in CURVE}


def _begin(plan: Plan, path: Path, before: Sweep | None, force: bool) -> SweepWriter:
    """A new file with the plan in it."""
    request = plan.request
    given = {
        "scenario": request.name, "design": request.design, "repeats": request.repeats, "rng_version": RNG_VERSION,
        "seed": min((point.seed for point in plan.points), default=0), "points": len(plan.points),
    }  # fmt: skip
    writer = SweepWriter.begin(path, given=given, over=None if before is None else before.path, force=force)
    writer.write("/config/name", request.name, "1", "name of the scenario")
    writer.write("/config/request", request.as_json(), "1", "what was asked for, JSON")
    writer.write(
        "/config/scenario", tomli_w.dumps(plan.points[0].scenario), "1", "the first point's scenario, resolved"
    )
    level, value = [], []
    where = [{_text(each): k for k, each in enumerate(axis.values or ())} for axis in plan.axes]
    for point in plan.points:
        pairs = list(zip(plan.axes, point.coordinates, strict=True))
        level.append([known.get(_text(here), -1) for known, (_, here) in zip(where, pairs, strict=True)])
        value.append([files.number_of(here) for _, here in pairs])
    axes, points = len(plan.axes), len(plan.points)
    columns = {name: np.array([getattr(point, name) for point in plan.points], np.int64)
               for name in ("repeat", "seed", "fabrication_seed", "run")}  # fmt: skip
    places = {"level": np.array(level, np.int64).reshape(points, axes),
              "value": np.array(value, np.float64).reshape(points, axes)}  # fmt: skip
    tables = [{**axis.as_table(), "name": axis.name} for axis in plan.axes]
    files.write_plan(writer, tables, {**columns, **places}, [point.address for point in plan.points])
    return writer


def _text(value: Any) -> str:
    """A value as text; 1, 1.0 and True are told apart."""
    return json.dumps(value, sort_keys=True)


def _taken(plan: Plan, before: Sweep | None) -> dict[int, Any]:
    """Finished points of an older file, by the number of the run that they stand for now."""
    if before is None:
        return {}
    known = {point.address: point for point in before.points if point.status == FINISHED}
    wanted = {point.number: known[point.address] for point in plan.runs() if point.address in known}
    if plan.request.curves:  # a point without its curve is run again
        return {number: point for number, point in wanted.items() if point.curve is not None}
    return wanted


def _record(writer: SweepWriter, number: int, outcome: Mapping[str, Any], state: SweepProgress) -> None:
    summary, error = outcome.get("summary"), outcome.get("error")
    text = None if summary is None else json.dumps(summary, default=api._as_json)
    if text is None:
        error = error or "no result"
        state.failed += 1
        state.last_error = str(error)
    else:
        state.done += 1
    writer.result(number, host_time_s=float(outcome.get("host_time_s", 0.0)), text=text, error=error,
                  curve=outcome.get("curve"))  # fmt: skip


def _end(writer: SweepWriter, status: layout.Status, state: SweepProgress, time_s: float) -> None:
    """Close the file; a fault of the disk on the way out of another error is not the news."""
    summary = {"points": state.points, "done": state.done + state.skipped, "failed": state.failed,
               "host_time_s": time_s}  # fmt: skip
    if status == "failed":
        with contextlib.suppress(NeurosimError):
            writer.close(status, summary)
        return
    writer.flush()
    sweep_now = open_sweep(writer.path)
    files.write_values(writer, {key: sweep_now.values(key) for key in sweep_now.keys})
    writer.close(status, summary)


def predict(plan: Plan, workers: int | None, known: Collection[str] = ()) -> dict[str, Any]:
    """Host time that a sweep will take on ``workers`` processes here, from a few of its points.

    ``known``: addresses of points that are finished already.
    """
    runs = [point for point in plan.runs() if point.address not in known]
    alike = [point for point in runs if point.repeat == 0] or runs
    chosen = np.unique(np.linspace(0, len(alike) - 1, min(PROBED, len(alike))).round().astype(int)) if alike else ()
    times: list[float] = [] if alike else [0.0]
    loads, kernels = [0.0], set[str]()
    for index in chosen:
        machine = build(Scenario.model_validate(alike[index].scenario))
        if machine.needs_compiling:
            kernels.add(machine.source)
        seen = forecast(machine, probe_s=PROBE_S)
        times.append(max(0.0, seen.host_time_s - seen.load_s))
        loads.append(seen.load_s)
    used = 1 if workers == 0 else max(1, min(workers or processors(), len(runs)))
    parallel = min(used, processors())
    loading = max(loads) + COMPILE_S * max(0, len(kernels) - 1) / parallel
    total = START_S + loading + len(runs) * (float(np.mean(times)) + OVERHEAD_S) / parallel
    return {
        "time_s": total if runs else 0.0, "point_s": float(np.mean(times)), "point_low_s": float(np.min(times)),
        "point_high_s": float(np.max(times)), "runs": len(runs), "workers": used, "probed": len(chosen),
        "kernels_to_compile": len(kernels),
    }  # fmt: skip
