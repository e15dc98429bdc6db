"""A run's result as a small table, and what can be said of intervals that overlap."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from rich.table import Table

from neurosim.cli_out import accuracy, count, interval, is_number, percent, quantity, table

TOP_ACTIONS = 5
TOP_PHASES = 3
STATIC = "static power"

Summary = Mapping[str, Any]


def table_of(summary: Summary, target: float | None = None) -> Table:
    """The result of one run, one line each; ``target`` is the accuracy that it should reach."""
    return table(("", ""), _rows(summary, target))


def title_of(summary: Summary, status: str) -> str:
    """Which run it is, and whether it came to its end."""
    title = f"{summary['scenario']} on {chip_name(summary)}, seed {summary['seed']}"
    return title if status == "complete" else f"{title}: {status}"


def chip_name(summary: Summary) -> str:
    """The chip; one that nobody has built says so."""
    remarks = " (HYPOTHETICAL)" if summary.get("hypothetical") else ""
    return f"{summary.get('chip')}{remarks}{' (host loop)' if summary.get('host_loop') else ''}"


def energies(summary: Summary) -> list[tuple[str, float]]:
    """Joules of every action and of static power, the dearest first."""
    parts: dict[str, float] = {STATIC: summary.get("static_energy_J") or 0.0}
    parts.update(summary.get("energy_by_action_J") or {})
    return sorted(((name, joules) for name, joules in parts.items() if joules > 0.0), key=lambda item: -item[1])


def span(summary: Summary, stem: str, unit: str) -> str:
    """The interval of ``energy`` in J or of ``chip_time`` in s; ``-`` where it has no width."""
    return interval(summary.get(f"{stem}_low_{unit}"), summary.get(f"{stem}_high_{unit}"), unit) or "-"


def with_span(summary: Summary, stem: str, unit: str) -> str:
    """``energy`` or ``chip_time`` with its interval, where it has one."""
    ends = span(summary, stem, unit)
    return quantity(summary.get(f"{stem}_{unit}"), unit) + (f" ({ends})" if ends != "-" else "")


def to_target(reached: Any) -> str:
    """What it took to reach the accuracy of ``[stop]``."""
    if not isinstance(reached, Mapping) or not is_number(reached.get("steps")):
        return "-"
    parts = (
        f"{count(reached.get('steps'))} steps", f"{count(reached.get('inferences'))} inferences",
        quantity(reached.get("chip_time_s"), "s"), quantity(reached.get("energy_J"), "J"),
        f"{count(reached.get('weight_pulses'))} pulses",
    )  # fmt: skip
    return ", ".join(parts)


def _rows(summary: Summary, target: float | None) -> list[tuple[str, str]]:
    total = summary.get("energy_J") or 0.0
    cost = f"  (cost {summary['cost']:.4g})" if is_number(summary.get("cost")) else ""
    rows = [
        ("accuracy", accuracy(summary.get("accuracy")) + cost),
        ("steps", f"{count(summary['steps'])}  ({count(summary['samples'])} samples)"),
        ("inferences", count(summary["inferences"])),
        ("updates", f"{count(summary['updates'])}  ({count(summary['devices_written'])} devices written, "
                    f"{count(summary['weight_pulses'])} pulses)"),
        *_programming(summary),
        ("chip time", f"{with_span(summary, 'chip_time', 's')}, bound by {_bounds(summary)}"),
        ("energy", f"{with_span(summary, 'energy', 'J')}, {percent(summary['assumed_share'])} of it on assumed prices"),
    ]  # fmt: skip
    shown = energies(summary)[:TOP_ACTIONS]
    rows += [("", f"{percent(joules / total):>8}  {quantity(joules, 'J'):>9}  {name}") for name, joules in shown]
    rows.append(("power", quantity(summary["power_W"], "W")))
    if is_number(summary.get("zero_c_tilde_share")):
        dead = summary.get("dead_zone_share")
        lost = f", {percent(dead)} lost in the converter's dead zone" if is_number(dead) and dead > 0.0 else ""
        rows.append(("probes with C~ = 0", percent(summary["zero_c_tilde_share"]) + lost))
    reached = summary.get("to_target")
    goal = reached.get("accuracy") if isinstance(reached, Mapping) else target
    if is_number(goal):
        rows.append((f"to {goal_text(goal)}", to_target(reached) if reached else "not reached"))
    host = summary.get("host") or {}
    if host.get("trace"):
        rows.append(("trace", str(host["trace"])))
    return rows


def _programming(summary: Summary) -> list[tuple[str, str]]:
    """Reads of verification, refreshes and wear, of runs that have them."""
    rows = []
    if is_number(summary.get("verify_reads")):
        missed = summary.get("writes_missed")
        parts = [f"{count(summary['verify_reads'])} reads"]
        parts += [f"{count(missed)} writes missed their tolerance"] if is_number(missed) else []
        refreshed = summary.get("pairs_refreshed")
        parts += [f"{count(refreshed)} pairs refreshed"] if is_number(refreshed) else []
        rows.append(("programming", ", ".join(parts)))
    if is_number(summary.get("worst_pulses")):
        worn, share = summary.get("devices_worn"), summary.get("devices_worn_share")
        lost = f", {count(worn)} devices worn out ({percent(share)})" if is_number(worn) else ""
        rows.append(("worst device", f"{count(summary['worst_pulses'])} pulses{lost}"))
    return rows


def goal_text(value: Any) -> str:
    """An accuracy to be reached: ``90 %``."""
    return f"{100.0 * value:g} %"


def _bounds(summary: Summary) -> str:
    """What the chip's time goes to, the longest first."""
    total, phases = summary["chip_time_s"], summary.get("time_by_phase_s") or {}
    longest = sorted(phases.items(), key=lambda item: -item[1])[:TOP_PHASES]
    shares = [f"{name} {percent(seconds / total)}" for name, seconds in longest if total > 0.0 and seconds > 0.0]
    return ", ".join(shares) or str(summary["bound_by"])


def overlaps(
    names: Sequence[str], summaries: Sequence[Summary], stem: str = "energy", unit: str = "J"
) -> list[tuple[str, str]]:
    """Pairs of runs whose intervals overlap: the prices (or latencies) do not say which of the two needs less."""
    spans = {name: _span(summary, stem, unit) for name, summary in zip(names, summaries, strict=True)}
    known = {name: span for name, span in spans.items() if span is not None}
    return [
        (one, other) for (one, a), (other, b) in combinations(known.items(), 2) if max(a[0], b[0]) <= min(a[1], b[1])
    ]


def _span(summary: Summary, stem: str = "energy", unit: str = "J") -> tuple[float, float] | None:
    low, high = summary.get(f"{stem}_low_{unit}"), summary.get(f"{stem}_high_{unit}")
    return (float(low), float(high)) if is_number(low) and is_number(high) else None


def overlap_lines(names: Sequence[str], summaries: Sequence[Summary]) -> list[str]:
    """What can be said of the runs' energies, given how well the prices are known."""
    pairs = overlaps(names, summaries)
    if not pairs:
        if any(_span(summary) is None for summary in summaries):
            return []
        return ["energy intervals do not overlap: the order holds wherever in them the assumed prices are"]
    lines = [f"energy intervals overlap: {shlex.quote(one)} and {shlex.quote(other)}" for one, other in pairs]
    chips = {summary.get("chip") for summary in summaries}
    rest = (
        "(these runs share one chip and its prices, so the ends of their intervals move together)"
        if len(chips) == 1
        else "(which of them needs less energy depends on assumed prices)"
    )
    return [*lines, rest]
