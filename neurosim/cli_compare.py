"""``neurosim compare``: runs side by side, at their ends, at equal accuracy and at their targets."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from rich.table import Table

from neurosim.cli_out import accuracy, count, is_number, percent, quantity, table
from neurosim.cli_summary import Summary, chip_name, energies, goal_text, overlap_lines, overlaps, span
from neurosim.data.published import Published
from neurosim.trace import Trace, early
from neurosim.trace import compare as arithmetic
from neurosim.trace.account import prices_of
from neurosim.trace.compare import Reached
from neurosim.trace.early import Decision
from neurosim.trace.operations import Operations, operations
from neurosim.units import show

TOP_ACTIONS = 5

Column = Callable[[Any], str]


@dataclass(frozen=True)
class Level:
    """All runs at one accuracy: ``goals`` names it for each, and None stands for a run that did not get there."""

    title: str
    goals: tuple[float | None, ...]
    runs: tuple[Reached | None, ...]
    order: tuple[tuple[str, str], ...] = ()
    """Pairs (less, more): which of two runs needs less energy whatever the prices that they share are."""

    @property
    def tables(self) -> list[dict[str, Any]]:
        """What was reached, as tables; empty ones for the runs that did not get there."""
        return [asdict(run) if run is not None else {} for run in self.runs]


@dataclass(frozen=True)
class Levels:
    """The runs at the best accuracy that all of them reach, and each at the target of its own ``[stop]``."""

    equal: Level
    target: Level
    trainers: tuple[str, ...]
    tasks: tuple[str, ...] = ()
    """What each run learned: data and cost."""
    operations: tuple[Operations | None, ...] = ()
    """Operations of training by evaluation, of the runs whose trainers have them."""


def levels(names: Sequence[str], traces: Sequence[Trace], summaries: Sequence[Summary]) -> Levels:
    """Find both in the evaluations of the traces."""
    common = arithmetic.best_common_accuracy(traces)
    equal = [arithmetic.reach(trace, common) if common is not None else None for trace in traces]
    goals = [_target(trace, summary) for trace, summary in zip(traces, summaries, strict=True)]
    target = [
        arithmetic.reach(trace, goal) if goal is not None else None for trace, goal in zip(traces, goals, strict=True)
    ]
    return Levels(
        Level("at equal accuracy", (common,) * len(traces), tuple(equal), _order(names, traces, equal)),
        Level("to target", tuple(goals), tuple(target), _order(names, traces, target) if len(set(goals)) == 1 else ()),
        tuple(trainer_of(trace) for trace in traces),
        tuple(task_of(trace) for trace in traces),
        tuple(operations(trace) for trace in traces),
    )


def task_of(trace: Trace) -> str:
    """The data that a run learned."""
    try:
        return str(tomllib.loads(trace.config.get("scenario", "")).get("task", {}).get("data", "-"))
    except tomllib.TOMLDecodeError:
        return "-"


def trainer_of(trace: Trace) -> str:
    """Who trained: the trainer's name, and for backpropagation who computed the gradient."""
    try:
        training = tomllib.loads(trace.config.get("scenario", "")).get("training", {})
    except tomllib.TOMLDecodeError:
        return "-"
    name = str(training.get("model", "-"))
    if name != "backprop":
        return name
    return f"{name} ({'on the chip' if training.get('on_chip') else 'in software, not charged'})"


def _target(trace: Trace, summary: Summary) -> float | None:
    """The accuracy that the run's scenario asks for."""
    reached = summary.get("to_target")
    if isinstance(reached, Mapping) and is_number(reached.get("accuracy")):
        return float(reached["accuracy"])
    try:
        goal = tomllib.loads(trace.config.get("scenario", "")).get("stop", {}).get("accuracy")
    except tomllib.TOMLDecodeError:
        return None
    return float(goal) if is_number(goal) else None


def _order(
    names: Sequence[str], traces: Sequence[Trace], runs: Sequence[Reached | None]
) -> tuple[tuple[str, str], ...]:
    """Which of two runs on one chip's prices needs less energy, wherever in their intervals those prices are."""
    found = []
    for (one, a, mine), (two, b, theirs) in combinations(zip(names, traces, runs, strict=True), 2):
        if mine is None or theirs is None or not arithmetic.shared_prices((a, b)):
            continue
        static = prices_of(a).static
        ends = (static.low_W or 0.0, static.power_W if static.high_W is None else static.high_W)
        low, high = arithmetic.difference(mine, theirs, ends)
        if high < 0.0:
            found.append((one, two))
        elif low > 0.0:
            found.append((two, one))
    return tuple(found)


def as_json(files: Sequence[Path], names: Sequence[str], summaries: Sequence[Summary], found: Levels) -> dict[str, Any]:
    """Everything, for programs."""
    return {
        "runs": [{"file": str(file), **summary} for file, summary in zip(files, summaries, strict=True)],
        "trainers": found.trainers,
        "energy_overlaps": overlaps(names, summaries),
        "time_overlaps": overlaps(names, summaries, "chip_time", "s"),
        "operations": [_operations(run, found.equal.goals[0]) for run in found.operations],
        "equal_accuracy": {"accuracy": found.equal.goals[0], **_level(names, found.equal)},
        "target": {"accuracy": list(found.target.goals), **_level(names, found.target)},
    }


def _operations(run: Operations | None, goal: float | None) -> dict[str, Any] | None:
    """Operations of a training run: at its end, and at the best accuracy that all runs reach."""
    if run is None:
        return None
    there = None if goal is None else run.until(goal)
    return {"kind": run.kind, "per_sample": run.per_sample, "total": float(run.done[-1]), "at_equal_accuracy": there}


def _level(names: Sequence[str], level: Level) -> dict[str, Any]:
    return {
        "runs": [one or None for one in level.tables],
        "energy_overlaps": overlaps(names, level.tables),
        "time_overlaps": overlaps(names, level.tables, "chip_time", "s"),
        "energy_order": level.order,
    }


_LINES: tuple[tuple[str, str, Column], ...] = (
    ("accuracy", "accuracy", accuracy),
    ("cost", "cost", lambda value: f"{value:.4g}"),
    ("steps", "steps", count),
    ("inferences", "inferences", count),
    ("samples", "samples", count),
    ("chip time", "chip_time_s", lambda value: quantity(value, "s")),
    ("energy", "energy_J", lambda value: quantity(value, "J")),
    ("weight pulses", "weight_pulses", count),
    ("power", "power_W", lambda value: quantity(value, "W")),
)
_REACHED: tuple[tuple[str, str, Column], ...] = (
    ("  steps", "steps", count),
    ("  inferences", "inferences", count),
    ("  chip time", "chip_time_s", lambda value: quantity(value, "s")),
    ("  energy", "energy_J", lambda value: quantity(value, "J")),
    ("  weight pulses", "weight_pulses", count),
)
_NO_RATIO = ("accuracy", "cost")


def side_by_side(names: Sequence[str], summaries: Sequence[Summary], found: Levels) -> Table:
    """One column per run; numbers carry their ratio to the first run's."""
    rows: list[tuple[str, ...]] = [
        ("scenario", *(str(summary.get("scenario", "-")) for summary in summaries)),
        ("chip", *(chip_name(summary) for summary in summaries)),
        ("trainer", *found.trainers),
        ("seed", *(str(summary.get("seed", "-")) for summary in summaries)),
    ]
    for label, key, text in _LINES:
        rows.append((label, *_cells([summary.get(key) for summary in summaries], text, key)))
        rows += _spans(key, summaries)
        if key == "energy_J":
            rows.append(("  on assumed prices", *(percent(summary.get("assumed_share")) for summary in summaries)))
    rows.append(("bound by", *(str(summary.get("bound_by", "-")) for summary in summaries)))
    rows.append(("C~ = 0", *(percent(summary.get("zero_c_tilde_share")) for summary in summaries)))
    equal = found.equal
    if any(run is not None for run in equal.runs):
        rows += _reached(f"{equal.title}: {accuracy(equal.goals[0])}", ["" for _ in names], equal, by_action=True)
        goal = equal.goals[0]
        if goal is not None and any(run is not None for run in found.operations):
            rows.append(("  operations of training", *_operation_cells(found.operations, goal)))
    if any(run is not None for run in found.target.runs):
        goals = [goal_text(goal) if is_number(goal) else "-" for goal in found.target.goals]
        rows += _reached("to target: accuracy", goals, found.target, by_action=False)
    return table(("", *names), rows)


def _reached(title: str, cells: Sequence[str], level: Level, by_action: bool) -> list[tuple[str, ...]]:
    """What each run had cost when it got there."""
    rows: list[tuple[str, ...]] = [(title, *cells)]
    reached = level.tables
    for label, key, text in _REACHED:
        rows.append((label, *_cells([one.get(key) for one in reached], text, key)))
        rows += [(f"  {name}", *rest) for name, *rest in _spans(key, reached)]
    if by_action:
        parts = [dict(energies(one)) if one else {} for one in reached]
        top = dict.fromkeys(name for part in parts for name in list(part)[:TOP_ACTIONS])
        for name in sorted(top, key=lambda name: -max(part.get(name, 0.0) for part in parts)):
            rows.append((f"    {name}", *(quantity(part.get(name, 0.0), "J") if part else "-" for part in parts)))
    return rows


def _operation_cells(runs: Sequence[Operations | None], goal: float) -> list[str]:
    """SynOps and MACs until an accuracy, with their ratio to the first run's."""
    done = [None if run is None else run.until(goal) for run in runs]
    cells = []
    for run, each in zip(runs, done, strict=True):
        if run is None or each is None:
            cells.append("-")
            continue
        ratio = f"  (x {each / done[0]:.3g})" if cells and done[0] else ""
        cells.append(f"{show(each, '')} {run.kind}{ratio}")
    return cells


def _spans(key: str, each: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """The row of intervals under a time or an energy, where any of them has a width."""
    if key not in ("chip_time_s", "energy_J"):
        return []
    stem, unit = key.rsplit("_", 1)
    ends = [span(one, stem, unit) for one in each]
    return [("  interval", *ends)] if any(end != "-" for end in ends) else []


def _cells(values: Sequence[Any], text: Column, key: str) -> list[str]:
    first = values[0]
    cells = [text(value) if is_number(value) else "-" for value in values]
    if key in _NO_RATIO or not is_number(first) or first == 0:
        return cells
    ratios = [f"  (x {value / first:.3g})" if is_number(value) and value != first else "" for value in values[1:]]
    return [cells[0], *(cell + ratio for cell, ratio in zip(cells[1:], ratios, strict=True))]


def remarks(names: Sequence[str], summaries: Sequence[Summary], found: Levels) -> list[str]:
    """What can be said of the runs, given how well prices and latencies are known."""
    lines = [*overlap_lines(names, summaries), *_time_lines(names, summaries)]
    if len(set(found.tasks)) > 1:
        each = ", ".join(f"{name}: {task}" for name, task in zip(names, found.tasks, strict=True))
        lines.insert(0, f"these runs learned different things ({each}): equal accuracy is not equal work")
    equal = found.equal
    if not any(run is not None for run in equal.runs):
        return [*lines, "equal accuracy: a run was never evaluated, so there is none to compare at"]
    where = f"at equal accuracy ({accuracy(equal.goals[0])})"
    lines.append(f"{where}: each run at the first evaluation that shows it; the one before is in --json (since_*)")
    pairs = overlaps(names, equal.tables)
    lines += [f"{where}, energy intervals overlap: {one} and {two}" for one, two in pairs]
    lines += [f"{where}, {line}" for line in _time_lines(names, equal.tables)]
    lines += [
        f"{where}, {less} needs less energy than {more} wherever the prices that they share are in their intervals"
        for less, more in equal.order
    ]
    return lines


def _time_lines(names: Sequence[str], each: Sequence[Mapping[str, Any]]) -> list[str]:
    """Runs whose times cannot be told apart."""
    pairs = overlaps(names, each, "chip_time", "s")
    return [f"time intervals overlap: {one} and {two}" for one, two in pairs]


@dataclass(frozen=True)
class Classification:
    """One line of the table of classifications."""

    system: str
    energy_J: float
    error: float | None
    counts: str
    source: str
    kind: str
    """``run``, ``published`` or ``quoted``."""


def classifications(
    names: Sequence[str], traces: Sequence[Trace], published: Sequence[Published]
) -> list[Classification]:
    """What a classification takes: of each run with ``/early``, and as published; least energy first."""
    rows = []
    for name, trace in zip(names, traces, strict=True):
        found = {"decided": early.decided(trace), "whole sample": early.whole(trace)}
        for when, each in found.items():
            if each is not None:
                rows.append(Classification(f"{name}, {when}", each.energy_J, each.error, _events(each), "trace", "run"))
    for row in published:
        kind = "quoted" if row.quoted else "published"
        rows.append(Classification(row.system, row.energy_J, row.error, row.counts, row.source, kind))
    return sorted(rows, key=lambda row: row.energy_J)


def _events(decision: Decision) -> str:
    price = decision.energy_J / decision.synaptic_events if decision.synaptic_events else 0.0
    return (
        f"{count(decision.synaptic_events)} synaptic events at {quantity(price, 'J')}, {quantity(decision.time_s, 's')}"
    )


def classification_table(rows: Sequence[Classification]) -> Table:
    """Energies of a classification, least first."""
    cells = [
        (row.system, f"{row.energy_J * 1e6:,.4g} µJ", "-" if row.error is None else percent(row.error), row.counts)
        for row in rows
    ]
    return table(("energy of a classification", "energy", "error", "what is counted"), cells, right=(1, 2))


def classification_remarks(rows: Sequence[Classification]) -> list[str]:
    """Where published numbers come from, and what they cannot say."""
    sources: dict[str, list[str]] = {}
    for row in rows:
        if row.kind != "run":
            sources.setdefault(row.source, []).append(row.system)
    lines = [f"{'; '.join(systems)}: {source}" for source, systems in sources.items()]
    if any(row.kind == "run" for row in rows):
        lines.append(
            "rows of runs count synaptic events and nothing else: static power, neurons and messages are in the energy "
            "of the run above"
        )
    return lines


def pictures(names: Sequence[str], found: Levels, rows: Sequence[Classification]) -> dict[str, bytes]:
    """Figures by file name: energies of a classification, and error against operations."""
    from neurosim.report import compare as drawing

    out = {}
    if rows:
        bars = [drawing.Bar(row.system, row.energy_J, row.error, row.kind) for row in rows]
        out["classification_energy.png"] = drawing.classification_png(bars)
    runs = {name: run for name, run in zip(names, found.operations, strict=True) if run is not None}
    if runs:
        out["error_by_operations.png"] = drawing.operations_png(runs)
    return out
