"""Commands that read traces: report, compare, recost, export."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from neurosim import accounting, cli_summary, models
from neurosim.accounting import Bill, Ledger
from neurosim.cli_out import interval, percent, plain, put, put_json, quantity, table
from neurosim.errors import InputError, TraceError
from neurosim.spec import load
from neurosim.trace import Trace, open_trace, to_csv
from neurosim.units import FEMTOSECONDS

SHOWN_SHARE = 0.001
"""Actions below this share of the energy, on both chips, are left out of a recost's table."""


def report(file: Path, output: Path | None, force: bool) -> None:
    """Write the report and say where it is."""
    from neurosim.report import write_report

    plain(str(write_report(file, output, force=force)))


def export(file: Path, to: str, folder: Path, force: bool) -> None:
    """Write the tables and list the files."""
    assert to == "csv"
    with open_trace(file) as trace:
        for path in to_csv(trace, folder, force=force):
            plain(str(path))


def compare(files: Sequence[Path], as_json: bool) -> None:
    """Summaries side by side."""
    if len(files) < 2:
        raise InputError("compare needs two traces or more: neurosim compare A.h5 B.h5")
    names, summaries, problems = _labels(files), [], []
    for file in files:
        try:
            with open_trace(file) as trace:
                summaries.append(summary_of(trace))
        except InputError as error:
            problems += [f"{error.where or file}: {problem}" for problem in error.problems]
    if problems:
        raise InputError(problems)
    if as_json:
        pairs = cli_summary.overlaps(names, summaries)
        runs = [{"file": str(file), **summary} for file, summary in zip(files, summaries, strict=True)]
        put_json({"runs": runs, "energy_overlaps": pairs})
        return
    put(cli_summary.side_by_side(names, summaries))
    for line in ["", *cli_summary.overlap_lines(names, summaries)]:
        put(line)


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
    renamed = {"step": "steps", "tick": "ticks", "time_s": "chip_time_s"}
    known = {renamed.get(column, column): value for column, value in row.items()}
    config = trace.config.get("name", "?")
    return {"scenario": f"{config} ({trace.status})", "chip": None, "seed": trace.attributes.get("seed"), **known}


def recost(file: Path, chip: str, as_json: bool) -> None:
    """The counts of a run on another chip's prices, beside what they came to on its own."""
    models.load_builtin()
    other = load.load_chip(chip)
    with open_trace(file) as trace:
        ledger, before = ledger_of(trace), summary_of(trace)
    bill = accounting.recost(ledger, other)
    recorded_on = before.get("chip") or "the run's own chip"
    remark = (
        f"The counts are those of the run, so the energy is exact. The time is the recorded one, on {recorded_on}: how "
        f"long {bill.chip} would take, and what it would count, only a run on it can say."
    )
    if as_json:
        put_json({
            "trace": str(file), "scenario": before.get("scenario"), "recorded_chip": before.get("chip"),
            "hypothetical": other.hypothetical, "time": "recorded", "remark": remark, **asdict(bill),
        })  # fmt: skip
        return
    put(_recosted(before, bill, other.hypothetical))
    put(f"\n{remark}")


def ledger_of(trace: Trace) -> Ledger:
    """Counts and time at the last row of the ledger, which is cumulative."""
    table_ = trace.ledger
    if len(table_) == 0:
        raise TraceError(f"{trace.path}: the ledger has no rows yet (status {trace.status})")
    last = table_.row(-1)
    counts = dict(zip(table_.actions, last["counts"].tolist(), strict=True))
    phases = dict(zip(table_.phases, last["phase_time_s"].tolist(), strict=True))
    try:
        return Ledger(counts, {name: round(seconds * FEMTOSECONDS) for name, seconds in phases.items()})
    except (ValueError, TypeError) as error:
        raise TraceError(f"{trace.path}: the ledger cannot be priced again: {error}") from None


def _recosted(before: dict[str, Any], bill: Bill, hypothetical: bool) -> Any:
    own = dict(cli_summary.energies(before))
    new = dict(cli_summary.energies(asdict(bill)))
    own_total, new_total = float(before.get("energy_J") or 0.0), bill.energy_J
    rows = [
        ("energy", quantity(own_total, "J"), quantity(new_total, "J")),
        ("  interval", interval(before.get("energy_low_J"), before.get("energy_high_J"), "J") or "-",
         interval(bill.energy_low_J, bill.energy_high_J, "J") or "-"),
        ("  on assumed prices", percent(before.get("assumed_share")), percent(bill.assumed_share)),
    ]  # fmt: skip
    for name in sorted({*own, *new}, key=lambda name: -max(own.get(name, 0.0), new.get(name, 0.0))):
        mine, theirs = own.get(name, 0.0), new.get(name, 0.0)
        if mine > SHOWN_SHARE * own_total or theirs > SHOWN_SHARE * new_total:
            rows.append((f"  {name}", _part(mine, own_total), _part(theirs, new_total)))
    rows += [
        ("power", quantity(before.get("power_W"), "W"), quantity(bill.power_W, "W")),
        ("chip time, recorded", quantity(before.get("chip_time_s"), "s"), quantity(bill.chip_time_s, "s")),
    ]
    chip = f"{bill.chip}{' (HYPOTHETICAL)' if hypothetical else ''}"
    return table(("", f"{cli_summary.chip_name(before)} (as run)", chip), rows)


def _part(joules: float, total: float) -> str:
    return f"{quantity(joules, 'J')} ({percent(joules / total if total else 0.0)})"
