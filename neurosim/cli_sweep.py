"""``neurosim sweep``: plan, follow, and hand over what many runs came to."""

from __future__ import annotations

import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from neurosim import api_sweep, cli_run
from neurosim.api_sweep import SweepProgress
from neurosim.cli_out import accuracy, count, note, percent, plain, put, put_json, quantity, table
from neurosim.cli_progress import clock
from neurosim.errors import InputError
from neurosim.spec.study import Design
from neurosim.sweeps import Axis, Plan, Request, make_plan, parse_axis
from neurosim.sweeps.axes import label
from neurosim.trace import layout
from neurosim.trace.sweep_effects import Effect, effects, levels_of, pareto, places
from neurosim.trace.sweep_reader import Sweep

INTERRUPTED = 130
SHOWN = 40
"""Points that a dry run prints; with --json it prints all."""
LINE_EVERY_S = 10.0


@dataclass(frozen=True)
class Wanted:
    """What stands on the command line."""

    scenario: str | None
    axes: tuple[str, ...]
    design: Design | None
    points: int | None
    repeats: int | None
    chip: str | None
    settings: tuple[str, ...]
    ideal: bool
    seed: int | None
    host_loop: bool
    same_chip: bool
    workers: int | None
    scheduler: str | None
    output: Path | None
    resume: bool
    force: bool
    curves: bool
    dry_run: bool
    as_json: bool
    quiet: bool


def run(wanted: Wanted) -> int:
    """Do what was asked; returns the exit code."""
    request = _request(wanted)
    if wanted.dry_run:
        _dry_run(wanted, request)
        return 0
    watch = _Watch(wanted.quiet)
    path = layout.final_of(wanted.output or Path(f"{request.name}-sweep.h5"))
    try:
        with _stoppable(), watch:
            done = api_sweep.carry_out(
                request, workers=wanted.workers, scheduler=wanted.scheduler, output=path, resume=wanted.resume,
                force=wanted.force, progress=watch,
            )  # fmt: skip
    except KeyboardInterrupt:
        state = watch.state
        if state is None:
            note("interrupted before the sweep began; nothing was written")
        else:
            note(f"interrupted at {state.finished} of {state.points} points; go on with: "
                 f"neurosim sweep --resume -o {shlex.quote(str(path))}")  # fmt: skip
        return INTERRUPTED
    if wanted.as_json:
        put_json(as_json(done, watch.state))
    else:
        show(done)
    failed = len(done.failed)
    if failed:
        note(f"{failed} of {len(done.points)} points failed; the first: {done.failed[0].error}")
    return 1 if failed == len(done.points) else 0


def _request(wanted: Wanted) -> Request:
    """The request; raises InputError with every problem of the command line, the axes and all points."""
    if wanted.scenario is None:
        if not wanted.resume or wanted.output is None:
            raise InputError(
                "which scenario? For example: neurosim sweep xor-mgd --axis training.learning_rate=1,3,10 -o lr.h5; or "
                "a study (neurosim scenario list); or go on with a sweep: neurosim sweep --resume -o SWEEP.h5"
            )
        given = {
            "--axis": bool(wanted.axes), "--design": wanted.design is not None, "--points": wanted.points is not None,
            "--repeats": wanted.repeats is not None, "--chip": wanted.chip is not None, "--set": bool(wanted.settings),
            "--ideal": wanted.ideal, "--seed": wanted.seed is not None, "--host-loop": wanted.host_loop,
            "--same-chip": wanted.same_chip, "--curves": wanted.curves,
        }  # fmt: skip
        odd = [name for name, is_there in given.items() if is_there]
        if odd:
            raise InputError(
                f"--resume without a SCENARIO takes everything from the file; leave out {', '.join(odd)}, or name the "
                "scenario and all axes to add points"
            )
        return api_sweep.request_of(wanted.output)
    problems: list[str] = []
    overrides: dict[str, Any] = {}
    try:
        overrides = cli_run.parse_settings(wanted.settings)
    except InputError as error:
        problems += error.problems
    axes: list[Axis] = []
    for text in wanted.axes:
        try:
            axes.append(parse_axis(text))
        except InputError as error:
            problems += error.problems
    return api_sweep.new_request(
        wanted.scenario, axes, problems, design=wanted.design, count=wanted.points, repeats=wanted.repeats,
        chip=wanted.chip, seed=wanted.seed, overrides=overrides, ideal=wanted.ideal, host_loop=wanted.host_loop,
        same_chip=wanted.same_chip, curves=wanted.curves,
    )  # fmt: skip


def _dry_run(wanted: Wanted, request: Request) -> None:
    """Show the points and how long they will take; nothing is written."""
    known: set[str] = set()
    if wanted.output is not None:
        plan, before = api_sweep.prepare(
            request, layout.final_of(wanted.output), resume=wanted.resume, force=wanted.force
        )
        known = {point.address for point in before.done} if before is not None else set()
    else:
        plan = make_plan(request)
    api_sweep.check(plan)
    host = api_sweep.predict(plan, wanted.workers, known)
    rows = [_row(plan, number, known) for number in range(len(plan.points))]
    if wanted.as_json:
        put_json({
            "scenario": request.name, "design": request.design, "repeats": request.repeats,
            "axes": [{**axis.as_table(), "name": axis.name} for axis in plan.axes], "points": rows,
            "runs": len(plan.runs()), "host": host,
        })  # fmt: skip
        return
    names = [axis.name for axis in plan.axes]
    put(f"{request.name}: a dry run of {_many(len(plan.points), 'point')} ({request.design})", "")
    put(table(
        ("point", *names, "repeat", "seed", "fabrication seed", ""),
        [(row["point"], *(_short(row["coordinates"][name]) for name in names), row["repeat"], row["seed"],
          row["fabrication_seed"], row["note"]) for row in rows[:SHOWN]],
        right=(0, *range(1, 1 + len(names) + 3)),
    ))  # fmt: skip
    if len(rows) > SHOWN:
        put(f"... and {len(rows) - SHOWN} more (--json lists all)")
    put("", table(("", ""), [
        ("runs", f"{count(host['runs'])}" + (f", {len(rows) - host['runs']} of the points are there already or the same"
                                             if host["runs"] < len(rows) else "")),
        ("one point", f"{quantity(host['point_low_s'], 's')} to {quantity(host['point_high_s'], 's')} on this computer "
                      f"({host['probed']} of them were tried)"),
        ("all points", f"about {quantity(host['time_s'], 's')} on {_many(host['workers'], 'worker')}"
                       + (f", {host['kernels_to_compile']} kernels to be compiled in it"
                          if host["kernels_to_compile"] else "")),
    ]))  # fmt: skip


def _row(plan: Plan, number: int, known: set[str]) -> dict[str, Any]:
    """One point of a dry run."""
    point = plan.points[number]
    remark = "done" if point.address in known else f"same as {point.run}" if point.run != number else ""
    where = {axis.name: value for axis, value in zip(plan.axes, point.coordinates, strict=True)}
    return {"point": number, "coordinates": where, "repeat": point.repeat, "seed": point.seed,
            "fabrication_seed": point.fabrication_seed, "address": point.address, "note": remark}  # fmt: skip


def as_json(done: Sweep, state: SweepProgress | None) -> dict[str, Any]:
    """The result as one JSON object."""
    return {
        "scenario": done.name, "design": done.design, "repeats": done.repeats, "status": done.status,
        "axes": [{"name": axis.name, "values": axis.values, "low": axis.low, "high": axis.high, "scale": axis.scale}
                 for axis in done.axes],
        "points": [
            {"point": point.number, "coordinates": dict(point.coordinates), "repeat": point.repeat, "seed": point.seed,
             "fabrication_seed": point.fabrication_seed, "address": point.address, "status": point.status,
             "error": point.error, "summary": point.summary, "host_time_s": point.host_time_s}
            for point in done.points
        ],
        "done": len(done.done), "failed": len(done.failed), "skipped": state.skipped if state else 0,
        "effects": [
            {"axis": each.axis.name, "loss": each.loss, "loss_error": each.loss_error, "pairs": each.pairs,
             "best": each.labels[each.best], "worst": each.labels[each.worst], "labels": each.labels,
             "mean": each.mean, "error": each.error, "count": each.count}
            for each in effects(done)
        ],
        "pareto": [place.number for place in pareto(places(done))],
        "host": {"sweep": str(done.path), "neurosim": done.attributes.get("neurosim")},
    }  # fmt: skip


def show(done: Sweep) -> None:
    """The result for people: every value of every axis, then what each axis costs."""
    failed = f", {len(done.failed)} failed" if done.failed else ""
    kind = f"{done.design}, {done.repeats} repeats" if done.repeats > 1 else done.design
    put(f"{done.name}: {len(done.done)} of {_many(len(done.points), 'point')} done{failed} ({kind})", "")
    if done.done:
        found = effects(done)
        if found:
            put(table(("axis", "value", "points", "accuracy", "chip time", "energy", "pulses"), _means(done),
                      right=(2, 3, 4, 5, 6)), "")  # fmt: skip
            put(table(("costs accuracy", "best", "worst", "loss"),
                      [(each.axis.name, each.labels[each.best], each.labels[each.worst], loss_text(each))
                       for each in found]), "")  # fmt: skip
        best = max(places(done), key=lambda place: place.accuracy, default=None)
        if best is not None:
            put(f"best: {accuracy(best.accuracy)} with {quantity(best.energy_J, 'J')} at {best.label}")
    plain(f"sweep: {done.path}")
    plain(f"\nnext: neurosim report {shlex.quote(str(done.path))}")


def loss_text(effect: Effect) -> str:
    """Percentage points with their standard error, and whether they can be told from nothing."""
    if effect.loss_error != effect.loss_error:  # a single pair
        return f"{100.0 * effect.loss:.2f} points (one pair: no error known)"
    sure = "" if effect.certain else ", not to be told from nothing"
    kind = f"{effect.pairs} pairs" if effect.pairs else "unpaired"
    return f"{100.0 * effect.loss:.2f} ± {100.0 * effect.loss_error:.2f} points ({kind}{sure})"


def _means(done: Sweep) -> list[tuple[str, ...]]:
    """Means over the points with each value of each axis."""
    rows: list[tuple[str, ...]] = []
    figures = {key: done.values(key) for key in ("accuracy", "chip_time_s", "energy_J", "weight_pulses")
               if key in done.keys}  # fmt: skip
    for axis in done.axes:
        level, labels, _ = levels_of(done, axis)
        for k, shown in enumerate(labels):
            means = {}
            for key, values in figures.items():
                here = values[(level == k) & np.isfinite(values)]
                means[key] = float(here.mean()) if len(here) else None
            number = sum(1 for point in done.done if level[point.number] == k)
            rows.append((axis.name if k == 0 else "", shown, str(number), accuracy(means.get("accuracy")),
                         quantity(means.get("chip_time_s"), "s"), quantity(means.get("energy_J"), "J"),
                         count(means.get("weight_pulses"))))  # fmt: skip
    return rows


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else label(value)


def _many(number: int, what: str) -> str:
    return f"{count(number)} {what}{'' if number == 1 else 's'}"


class _Watch:
    """Progress on stderr: a bar on a terminal, else a line now and then."""

    def __init__(self, quiet: bool) -> None:
        self.state: SweepProgress | None = None
        self._quiet = quiet
        self._bar: Any = None
        self._task: Any = None
        self._started = self._first_at = 0.0
        self._next_at = 0.0

    def __call__(self, state: SweepProgress) -> None:
        first = self.state is None
        self.state = state
        if self._quiet:
            return
        if first:
            self._begin(state)
        told = self._told(state)
        if self._bar is not None:
            self._bar.update(self._task, completed=state.finished, told=told)
        elif time.monotonic() >= self._next_at:
            if not first:
                note(told)
            self._next_at = time.monotonic() + LINE_EVERY_S

    def _begin(self, state: SweepProgress) -> None:
        self._started = time.monotonic()
        if state.skipped:
            note(f"{_many(state.skipped, 'point')} of {state.points} finished before: skipped")
        if sys.stderr is None or not sys.stderr.isatty() or state.finished == state.points:
            return
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

        columns = (SpinnerColumn(), BarColumn(bar_width=24), TextColumn("{task.fields[told]}", markup=False))
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=4)
        self._task = self._bar.add_task("", total=state.points, told="")
        self._bar.start()

    def _told(self, state: SweepProgress) -> str:
        """``12 of 64 points (19 %), 1 failed, 0:32 left``."""
        told = f"{state.finished} of {_many(state.points, 'point')} ({percent(state.finished / max(1, state.points))})"
        if state.failed:
            told += f", {state.failed} failed"
        ran, now = state.done + state.failed, time.monotonic()
        if ran and not self._first_at:
            self._first_at = now
        if ran and state.finished < state.points:
            # the first point waited for workers and perhaps for a compiler, which says little about the others
            each = (now - self._first_at) / (ran - 1) if ran > 3 else (now - self._started) / ran
            told += f", {clock(each * (state.points - state.finished))} left"
        return told

    def __enter__(self) -> _Watch:
        return self

    def __exit__(self, *what: object) -> None:
        if self._bar is not None:
            self._bar.stop()


@contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM stops as Ctrl-C does; the file is closed and can be gone on with."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
