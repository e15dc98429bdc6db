"""Figures of the account: energy by action, what rests on assumptions, time by phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from neurosim.accounting import Swing
from neurosim.report import style
from neurosim.report.account import ASSUMED, STATIC, Account, Line, account_of
from neurosim.spec.countables import UNITS
from neurosim.trace import Trace
from neurosim.units import show

_UNKNOWN = "not said"
_BAR = 0.66
_WIDE = 6.0
"""A bar that ends this many times beyond the nominal total needs a logarithmic axis."""


def plot_energy_by_action(trace: Trace, axes: Axes) -> Axes:
    """Where the joules went, static power included; whiskers from low to high prices, assumed prices hatched."""
    account = _account(trace)
    lines = account.used
    place = np.arange(len(lines))[::-1]
    for y, line in zip(place, lines, strict=True):
        colour = style.KIND_COLOURS.get(line.kind, style.GREY)
        axes.barh(y, line.energy_J, height=_BAR, color=colour, hatch=style.ASSUMED_HATCH if line.assumed else None)
        if line.high_J > line.low_J:
            axes.errorbar(line.energy_J, y, xerr=[[line.energy_J - line.low_J], [line.high_J - line.energy_J]],
                          color=style.BLACK, capsize=4, linewidth=1.3)  # fmt: skip
        text = f"{show(line.energy_J, 'J')}, {style.percent(line.share)}"
        _beside_bar(axes, text, max(line.energy_J, line.high_J), y)
    axes.set_yticks(place, [style.plain(line.action.replace("_", " ")) for line in lines])
    axes.grid(visible=False, axis="y")
    widest = max((max(line.energy_J, line.high_J) for line in lines), default=1.0)
    axes.set_xlim(0.0, widest * 1.25)
    style.si_axis(axes, "energy", "J", widest)
    kinds = [line.kind for line in lines]
    found = [kind for kind in dict.fromkeys((*style.KIND_COLOURS, *kinds)) if kind in kinds]
    names = [f"price {style.plain(kind)}" if kind else f"source {_UNKNOWN}" for kind in found]
    axes.legend([_patch(kind) for kind in found], names, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=len(found))
    return axes


def plot_energy_by_unit(trace: Trace, axes: Axes) -> Axes:
    """Joules by unit of the chip; a bar is stacked of its unit's actions, the dearest first, named where they fit."""
    account = _account(trace)
    units = energy_by_unit(account)
    place = np.arange(len(units))[::-1]
    widest = max((sum(line.energy_J for line in lines) for lines in units.values()), default=1.0)
    for y, (unit, lines) in zip(place, units.items(), strict=True):
        left, total = 0.0, sum(line.energy_J for line in lines)
        for number, line in enumerate(lines):
            colour = style.lighter(style.UNIT_COLOURS.get(unit, style.GREY), 0.22 * min(number, 3))
            axes.barh(y, line.energy_J, left=left, height=_BAR, color=colour, edgecolor="white", linewidth=1.0)
            left += line.energy_J
        names = ", ".join(line.action.replace("_", " ") for line in lines[:2] if line.energy_J > 0.005 * total)
        more = f" and {len(lines) - 2} more" if len(lines) > 2 else ""
        said = "" if unit in (STATIC, names) else f": {names}{more}"
        _beside_bar(axes, f"{show(total, 'J')}, {style.percent(total / account.energy_J)}{style.plain(said, 60)}",
                    total, y)  # fmt: skip
    axes.set_yticks(place, [style.plain(unit.replace("_", " ")) for unit in units])
    axes.grid(visible=False, axis="y")
    axes.set_xlim(0.0, widest * 1.75)
    style.si_axis(axes, "energy", "J", widest)
    return axes


def energy_by_unit(account: Account) -> dict[str, list[Line]]:
    """What each unit of the chip cost, line by line, the dearest first; static power is a unit of its own."""
    unit_of = {action: unit for unit, actions in UNITS.items() for action in actions}
    units: dict[str, list[Line]] = {}
    for line in account.used:
        units.setdefault(unit_of.get(line.action, line.action), []).append(line)
    return dict(sorted(units.items(), key=lambda item: -sum(line.energy_J for line in item[1])))


def plot_tornado(swings: Sequence[Swing], nominal: float, unit: str, axes: Axes, most: int = 12) -> Axes:
    """How far a total moves when one price or latency alone goes to its low or high; the widest ``most`` at the top."""
    chosen = list(swings[:most])
    place = np.arange(len(chosen))[::-1]
    ends = np.array([[nominal + swing.low, nominal + swing.high] for swing in chosen])
    wide = len(chosen) > 0 and float(ends.max()) > _WIDE * nominal
    if wide:
        axes.set_xscale("log")
    for y, swing in zip(place, chosen, strict=True):
        axes.barh(y, swing.low, left=nominal, height=_BAR, color=style.BLUE)
        axes.barh(y, swing.high, left=nominal, height=_BAR, color=style.VERMILION)
        text = f"{show(nominal + swing.low, unit)} to {show(nominal + swing.high, unit)}"
        _beside_bar(axes, text, nominal + swing.high, y)
    axes.axvline(nominal, color=style.BLACK, linewidth=1.2)
    axes.set_yticks(place, [style.plain(swing.name.replace("_", " ")) for swing in chosen])
    axes.grid(visible=False, axis="y")
    word = {"J": "energy", "s": "chip time"}[unit]
    low, high = float(ends.min()), float(ends.max())
    if wide:
        axes.set_xlim(max(low, high * 1e-6) / 1.1, high * (high / max(low, high * 1e-6)) ** 0.4)
        style.log_axis(axes, word, unit)
    else:
        pad = high - low
        axes.set_xlim(max(0.0, low - 0.05 * pad), high + 0.45 * pad)
        style.si_axis(axes, word, unit, high)
    keys = [Patch(color=style.BLUE), Patch(color=style.VERMILION), Line2D([], [], color=style.BLACK, linewidth=1.2)]
    names = ["at its low", "at its high", f"all as they are: {show(nominal, unit)}"]
    axes.legend(keys, names, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3)
    return axes


def plot_energy_by_kind(trace: Trace, axes: Axes) -> Axes:
    """What share of the energy rests on measured, published, simulated, derived and assumed prices."""
    account = _account(trace)
    shares = {kind: energy / account.energy_J for kind, energy in account.by_kind.items() if energy > 0.0}
    order = [kind for kind in (*style.KIND_COLOURS, *shares) if kind in shares]
    left = 0.0
    for kind in dict.fromkeys(order):
        axes.barh(0, shares[kind], left=left, height=0.5, color=style.KIND_COLOURS.get(kind, style.GREY),
                  hatch=style.ASSUMED_HATCH if kind == ASSUMED else None, edgecolor="white")  # fmt: skip
        left += shares[kind]
    names = [f"{style.plain(kind or _UNKNOWN)}: {style.percent(shares[kind])}" for kind in dict.fromkeys(order)]
    axes.legend([_patch(kind) for kind in dict.fromkeys(order)], names, loc="upper center",
                bbox_to_anchor=(0.5, -0.35), ncols=len(names))  # fmt: skip
    axes.set_yticks([])
    axes.set_ylim(-0.3, 0.3)
    axes.set_xlim(0.0, 1.0)
    axes.grid(visible=False)
    axes.spines["left"].set_visible(False)
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}")
    axes.set_xlabel("share of the energy (%)")
    return axes


def plot_time_by_phase(trace: Trace, axes: Axes) -> Axes:
    """Where the chip's time went, phase by phase of the tick."""
    shares = {name: seconds for name, seconds in phase_times(trace).items() if seconds > 0.0}
    total = sum(shares.values())
    place = np.arange(len(shares))[::-1]
    axes.barh(place, [*shares.values()], height=_BAR, color=style.GREEN)
    for y, value in zip(place, shares.values(), strict=True):
        text = f"{show(value, 's')}, {style.percent(value / total if total else 0.0)}"
        _beside_bar(axes, text, value, y)
    axes.set_yticks(place, [style.plain(name.replace("_", " ")) for name in shares])
    axes.grid(visible=False, axis="y")
    longest = max([*shares.values(), 0.0]) or 1.0
    axes.set_xlim(0.0, longest * 1.2)
    style.si_axis(axes, "chip time", "s", longest)
    return axes


def phase_times(trace: Trace) -> dict[str, float]:
    """Seconds by phase: from the ledger, or else from the summary."""
    if trace.has_table("/ledger") and "phase_time_s" in trace.ledger:
        totals = trace.ledger.total("phase_time_s")
        return {name: float(value) for name, value in zip(trace.ledger.phases, totals, strict=False)}
    told = trace.summary.get("time_by_phase_s")
    return {str(name): float(value) for name, value in told.items()} if isinstance(told, Mapping) else {}


def _account(trace: Trace) -> Account:
    account = account_of(trace)
    return account if account is not None else Account(())


def _beside_bar(axes: Axes, text: str, x: float, y: float) -> None:
    axes.annotate(text, (x, y), xytext=(6, 0), textcoords="offset points", va="center", fontsize=10)


def _patch(kind: str) -> Patch:
    return Patch(facecolor=style.KIND_COLOURS.get(kind, style.GREY),
                 hatch=style.ASSUMED_HATCH if kind == ASSUMED else None, edgecolor="white")  # fmt: skip
