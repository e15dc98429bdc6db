"""Figures of learning: accuracy and cost, silent probes, agreement of signs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter, PercentFormatter, ScalarFormatter

from neurosim.report import style
from neurosim.trace import TableView, Trace, early
from neurosim.units import show

AGAINST = {
    "inferences": ("inferences", "1"),
    "time_s": ("chip time", "s"),
    "energy_J": ("energy", "J"),
}
_MOST_POINTS = 3000
_MOST_WHISKERS = 60
_WIDE_INTERVAL = 3.0
"""An interval wider than this, from low to high, is shown on a logarithmic axis."""


def plot_accuracy(trace: Trace, axes: Axes, against: str = "inferences") -> Axes:
    """Test accuracy against ``inferences``, ``time_s`` or ``energy_J``, and where the target was first reached."""
    table = trace.eval
    x, y = table[against], table["accuracy"]
    _whiskers(axes, table, against, y)
    axes.plot(x, y, color=style.BLUE, marker=_marker(len(x)), markersize=3.5, label="test")
    _target(trace, axes, against)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0, symbol=None))
    axes.set_ylabel("test accuracy (%)")
    axes.set_ylim(0.0, 1.03)
    return _against(axes, against)


def plot_cost(trace: Trace, axes: Axes, against: str = "inferences") -> Axes:
    """Test cost, and the cost at the recorded steps of the training, against the same three."""
    if trace.has_table("/training") and {against, "cost"} <= {*trace.training.columns}:
        rows = style.thinned(len(trace.training), _MOST_POINTS)
        axes.plot(trace.training[against][rows], trace.training["cost"][rows], color=style.ORANGE, linestyle="none",
                  marker=".", markersize=3.0, alpha=0.6, label="training, single steps", zorder=1.5)  # fmt: skip
    if trace.has_table("/eval") and {against, "cost"} <= {*trace.eval.columns}:
        x, y = trace.eval[against], trace.eval["cost"]
        _whiskers(axes, trace.eval, against, y)
        axes.plot(x, y, color=style.BLUE, marker=_marker(len(x)), markersize=3.5, label="test")
    axes.set_ylabel("cost (1)")
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    return _against(axes, against)


def plot_silent_probes(trace: Trace, axes: Axes) -> Axes:
    """The share of probes that taught nothing: C̃ = 0, or lost in the dead zone of a quantiser."""
    table = trace.training
    rows = style.thinned(len(table), _MOST_POINTS)
    names = {"zero_share": (r"$\tilde{C}$ = 0", style.BLUE, "-"), "dead_share": ("dead zone", style.VERMILION, "--")}
    for column, (label, colour, line) in names.items():
        if column in table:
            axes.plot(table["inferences"][rows], table[column][rows], color=colour, linestyle=line, label=label)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=None))
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("share of probes (%)")
    axes.legend(loc="best")
    return _against(axes, "inferences")


def plot_agreement(trace: Trace, axes: Axes) -> Axes:
    """How many signs of the δ-vectors equal those of the true gradient, layer by layer."""
    table = trace.agreement
    rows = style.thinned(len(table), _MOST_POINTS)
    lines = ("-", "--", "-.", ":")
    for number, layer in enumerate(name for name in table.columns if name != "step"):
        axes.plot(table["step"][rows], table[layer][rows], color=style.CYCLE[number % len(style.CYCLE)],
                  linestyle=lines[number % len(lines)], label=style.plain(layer))  # fmt: skip
    axes.axhline(0.5, color=style.GREY, linestyle=":", linewidth=1.2, label="chance")
    axes.set_ylim(0.0, 1.0)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=None))
    axes.set_ylabel("equal signs (%)")
    axes.set_xlim(left=0.0)
    style.count_axis(axes, "x", "steps")
    axes.legend(loc="lower right")
    return axes


def plot_early(trace: Trace, axes: Axes, against: str) -> Axes:
    """Test error of the class that leads, against ``synaptic_events`` or ``energy_J`` spent on a sample."""
    table = trace.table("/early")
    x, error = table[against], 100.0 * (1.0 - table.accuracy)
    shown = x > 0.0
    axes.plot(x[shown], error[shown], color=style.BLUE)
    found = early.decided(trace)
    axes.axhline(100.0 * early.ERROR, color=style.GREY, linestyle=":", linewidth=1.2)
    unit, label = (
        ("J", "energy of its synaptic events") if against == "energy_J" else ("", "synaptic events of a sample")
    )
    if found is not None:
        spent = getattr(found, against)
        axes.plot([spent], [100.0 * found.error], marker="*", markersize=13, color=style.VERMILION, linestyle="none",
                  label=f"at most {100.0 * early.ERROR:g} % after {show(spent, unit).strip()}", zorder=4)  # fmt: skip
        axes.legend(loc="upper right")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(min(4.0, 80.0 * float((1.0 - table.accuracy).min()) or 4.0), 100.0)
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel("test error (%, logarithmic)")
    style.log_axis(axes, label, unit or "1")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0)))
    axes.xaxis.set_major_formatter(EngFormatter(unit=unit))
    return axes


def _against(axes: Axes, against: str) -> Axes:
    label, unit = AGAINST[against]
    if axes.get_xscale() == "log":
        style.log_axis(axes, label, unit)
        return axes
    axes.set_xlim(left=0.0)
    if unit == "1":
        style.count_axis(axes, "x", label)
    else:
        style.si_axis(axes, label, unit, axes.get_xlim()[1])
    return axes


def _marker(points: int) -> str:
    """Points are marked where there are few."""
    return "o" if points <= _MOST_WHISKERS else ""


def _whiskers(axes: Axes, table: TableView, against: str, y: np.ndarray) -> None:
    """The interval of the energy, where prices are assumed."""
    low, high = "energy_low_J", "energy_high_J"
    if against != "energy_J" or not {low, high} <= {*table.columns}:
        return
    rows = style.thinned(len(table), _MOST_WHISKERS)
    least, most = table[low], table[high]
    if len(table) and least[-1] > 0.0 and most[-1] / least[-1] > _WIDE_INTERVAL:
        axes.set_xscale("log", nonpositive="mask")
    axes.hlines(y[rows], least[rows], most[rows], color=style.SKY, linewidth=2.2, alpha=0.6,
                label="interval (assumed prices)", zorder=1.8)  # fmt: skip


def _target(trace: Trace, axes: Axes, against: str) -> None:
    target: Any = trace.summary.get("to_target")
    if not isinstance(target, Mapping) or not isinstance(target.get("accuracy"), float):
        return
    reached = target.get({"time_s": "chip_time_s"}.get(against, against))
    axes.axhline(target["accuracy"], color=style.GREY, linestyle=":", linewidth=1.2, label="target")
    if isinstance(reached, int | float):
        axes.plot([reached], [target["accuracy"]], marker="*", markersize=13, color=style.VERMILION,
                  linestyle="none", label="target first reached", zorder=4)  # fmt: skip
