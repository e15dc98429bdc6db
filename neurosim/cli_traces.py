"""Commands that read traces: report, compare, recost, export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from neurosim import api, cli_compare, cli_run, cli_summary
from neurosim.api import Recost
from neurosim.cli_out import accuracy, note, percent, plain, put, put_json, quantity, table
from neurosim.cli_progress import Watch
from neurosim.data.published import Published, load_published
from neurosim.errors import InputError, TraceError
from neurosim.trace import Trace, open_trace, to_csv
from neurosim.trace.sweep_reader import is_sweep

SHOWN_SHARE = 0.001
"""Actions below this share of the energy, on both chips, are left out of a recost's table."""


def report(file: Path, output: Path | None, force: bool) -> None:
    """Write the report and say where it is."""
    from neurosim.report import write_report, write_sweep_report

    write = write_sweep_report if is_sweep(file) else write_report
    plain(str(write(file, output, force=force)))


def export(file: Path, to: str, folder: Path, force: bool) -> None:
    """Write the tables and list the files."""
    assert to == "csv"
    with open_trace(file) as trace:
        for path in to_csv(trace, folder, force=force):
            plain(str(path))


def compare(
    files: Sequence[Path], as_json: bool, published: str | None = None, figures: Path | None = None, force: bool = False
) -> None:
    """Summaries side by side, at the end of each run and at the best accuracy that all of them reach.

    ``published``: a task whose published energies of a classification stand beside those of the runs. ``figures``: a
    folder for the figures.
    """
    if len(files) < 2 and published is None:
        raise InputError(
            "compare needs two traces or more: neurosim compare A.h5 B.h5  (one is enough with --published TASK)"
        )
    names, summaries, problems = _labels(files), [], []
    beside: Sequence[Published] = ()
    if published is not None:
        try:
            beside = load_published(published)
        except InputError as error:
            problems += [f"--published: {problem}" for problem in error.problems]
    problems += _figure_problems(figures, force)
    with ExitStack() as stack:
        traces = []
        for file in files:
            try:
                trace = stack.enter_context(open_trace(file))
                summaries.append(summary_of(trace))
                traces.append(trace)
            except InputError as error:
                problems += [f"{error.where or file}: {problem}" for problem in error.problems]
        if problems:
            raise InputError(problems)
        levels = cli_compare.levels(names, traces, summaries)
        rows = cli_compare.classifications(names, traces, beside)
    drawn = {} if figures is None else cli_compare.pictures(names, levels, rows)
    if as_json:
        out = cli_compare.as_json(files, names, summaries, levels)
        put_json({**out, "classifications": [asdict(row) for row in rows]})
    else:
        put(cli_compare.side_by_side(names, summaries, levels))
        if len(files) > 1:
            for line in ["", *cli_compare.remarks(names, summaries, levels)]:
                put(line)
        if rows:
            put("", cli_compare.classification_table(rows), "")
            for line in cli_compare.classification_remarks(rows):
                put(line)
    if figures is not None:
        _write_figures(figures, drawn)


FIGURES = ("classification_energy.png", "error_by_operations.png")


def _figure_problems(folder: Path | None, force: bool) -> list[str]:
    """Why figures cannot go to a folder."""
    if folder is None:
        return []
    if folder.exists() and not folder.is_dir():
        return [f"--figures {folder}: is a file; name a folder"]
    there = [folder / name for name in FIGURES if (folder / name).exists()]
    return [] if force else [f"{path} exists already; replace it with --force" for path in there]


def _write_figures(folder: Path, drawn: Mapping[str, bytes]) -> None:
    """Write the figures and say where they are."""
    if not drawn:
        note("no figure: none of these runs counts operations of training or holds early decisions")
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, png in drawn.items():
            (folder / name).write_bytes(png)
            note(str(folder / name))
    except OSError as error:
        raise InputError(f"cannot write: {error.strerror or error}", str(folder)) from None


def _labels(files: Sequence[Path]) -> list[str]:
    """Short names that differ."""
    for label in (lambda file: file.stem, lambda file: str(Path(file.parent.name) / file.name), str):
        names = [label(file) for file in files]
        if len(set(names)) == len(names):
            return names
    return [f"{number}: {file}" for number, file in enumerate(files, 1)]


def summary_of(trace: Trace) -> dict[str, Any]:
    """The summary; of a run that has not ended, what its last evaluation says."""
    if trace.summary:
        return trace.summary
    if not trace.has_table("/eval") or len(trace.eval) == 0:
        raise TraceError(f"{trace.path}: nothing to compare yet (status {trace.status})")
    row = {column: value.item() for column, value in trace.eval.row(-1).items()}
    renamed = {"step": "steps", "tick": "ticks", "time_s": "chip_time_s", "time_low_s": "chip_time_low_s",
               "time_high_s": "chip_time_high_s"}  # fmt: skip
    known = {renamed.get(column, column): value for column, value in row.items()}
    config = trace.config.get("name", "?")
    return {"scenario": f"{config} ({trace.status})", "chip": None,
            "seed": trace.attributes.get("seed"), **known}  # fmt: skip


def recost(file: Path, chip: str, replay: bool, output: Path | None, force: bool, as_json: bool, quiet: bool) -> int:
    """The work of a run at another chip's prices, beside what it came to on its own; returns the exit code."""
    problems: list[str] = []
    if output is not None:
        if not replay:
            problems.append("-o names the trace of a replay; add --replay")
        else:
            try:
                cli_run.check_output(output, force)
            except InputError as error:
                problems += [f"{error.where}: {problem}" for problem in error.problems]
    problems += _replay_problems(file) if replay else []
    try:
        done = api.recost(file, chip)
    except InputError as error:
        if not problems:
            raise
        at = f"{error.where}: " if error.where else ""
        raise InputError([*problems, *(f"{at}{problem}" for problem in error.problems)]) from None
    if problems:
        raise InputError(problems)
    with open_trace(file) as trace:
        before = summary_of(trace)
    run = None
    if replay:
        watch = Watch(quiet)
        run = cli_run.followed(
            watch, lambda: api.replay(file, chip=chip, output=output, force=force, progress=watch, quiet=quiet)
        )
        if run is None:
            return cli_run.INTERRUPTED
    remark = _remark(done, before.get("chip") or "the run's own chip")
    if as_json:
        out = {
            "trace": str(file), "scenario": before.get("scenario"), "recorded_chip": before.get("chip"),
            "recorded_chip_time_s": before.get("chip_time_s"), "hypothetical": done.chip.hypothetical,
            "time": done.time, "why": list(done.why), "remark": remark, **asdict(done.bill),
        }  # fmt: skip
        put_json(out if run is None else {**out, "replay": run.summary})
    else:
        put(_recosted(before, done, None if run is None else run.summary))
        put(f"\n{remark}")
    if run is not None and run.status == "interrupted":
        note("the replay was interrupted: its column shows how far it came")
        return cli_run.INTERRUPTED
    return 0


def _replay_problems(file: Path) -> list[str]:
    """Why a trace cannot be run again; a file that cannot be read is recost's business."""
    try:
        with open_trace(file) as trace:
            if "scenario" in trace.config:
                return []
            by_hand = trace.attributes.get("kind") == "network"
    except (InputError, TraceError):
        return []
    if by_hand:
        return [
            f"--replay: {file} is of a network driven by hand, whose synapses no trace holds; run it again from Python "
            "with ns.Simulation on that chip, or leave --replay away for the energy of its counts"
        ]
    return [f"--replay: {file} holds no scenario to run again; leave --replay away for the energy of its counts"]


def _remark(done: Recost, recorded_on: str) -> str:
    if done.time == "exact":
        return f"Energy and time are exact: {done.bill.chip} would take the same steps."
    reasons = "; ".join(done.why)
    return (
        "The counts are those of the run, so their energy is exact. The time is the recorded one, on "
        f"{recorded_on}, and static energy is charged for it: how long {done.bill.chip} would take, and what it would "
        f"count, only a run on it can say (--replay): {reasons}."
    )


def _recosted(before: dict[str, Any], done: Recost, replayed: dict[str, Any] | None) -> Any:
    """A line per cost, a column per chip."""
    mark = " (HYPOTHETICAL)" if done.chip.hypothetical else ""
    new = asdict(done.bill)
    columns = {f"{cli_summary.chip_name(before)} (as run)": before, f"{done.bill.chip}{mark}": new}
    if replayed is not None:
        columns[f"{done.bill.chip}{mark}, replayed"] = replayed
    each = list(columns.values())
    totals = [float(one.get("energy_J") or 0.0) for one in each]
    parts = [dict(cli_summary.energies(one)) for one in each]
    rows: list[tuple[str, ...]] = [
        ("energy (static power for the chip time below)", *(quantity(total, "J") for total in totals)),
        ("  interval", *(cli_summary.span(one, "energy", "J") for one in each)),
        ("  on assumed prices", *(percent(one.get("assumed_share")) for one in each)),
    ]
    names = {name for part in parts for name in part}
    for name in sorted(names, key=lambda name: (-max(part.get(name, 0.0) for part in parts), name)):
        joules = [part.get(name, 0.0) for part in parts]
        if any(part > SHOWN_SHARE * total for part, total in zip(joules, totals, strict=True)):
            rows.append((f"  {name}", *(_part(part, total) for part, total in zip(joules, totals, strict=True))))
    time = "chip time" if done.time == "exact" else "chip time, recorded"
    rows += [
        ("power", *(quantity(one.get("power_W"), "W") for one in each)),
        (time, *(quantity(one.get("chip_time_s"), "s") for one in each)),
        ("  interval", *(cli_summary.span(one, "chip_time", "s") for one in each)),
    ]
    if replayed is not None:
        rows.append(("accuracy", *(accuracy(one.get("accuracy")) for one in each)))
    return table(("", *columns), rows)


def _part(joules: float, total: float) -> str:
    return f"{quantity(joules, 'J')} ({percent(joules / total if total else 0.0)})"
