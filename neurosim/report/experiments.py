"""Figures of experiments: one function each, from the columns of the experiment's tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from neurosim.experiments.mihalas_niebur_20 import PATTERNS
from neurosim.report import style

Tables = Mapping[str, Mapping[str, npt.NDArray[Any]]]
"""For each table's path, its columns."""


def draw(name: str, tables: Tables) -> Figure:
    """The figure of an experiment; raises KeyError for a name that has none or a table that is missing."""
    with mpl.rc_context(style.RC):
        return FIGURES[name](tables)


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def stdp_window(tables: Tables) -> Figure:
    """Measured changes as points on the windows that were asked for, one panel for each way of learning."""
    table = tables["/experiment/window"]
    figure = _figure(11.0, 3.9)
    names = ("piecewise constant", "exponential by shifts", "eligibility trace")
    for form, (axes, name) in enumerate(zip(figure.subplots(1, 3, sharey=True), names, strict=True)):
        rows = table["form"] == form
        distance, change = table["distance"][rows], table["measured"][rows]
        axes.axhline(0.0, color=style.GREY, linewidth=0.8)
        axes.axvline(0.0, color=style.GREY, linewidth=0.8)
        axes.plot(distance, table["expected"][rows], color=style.SKY, drawstyle="steps-mid", label="window")
        if form == 1:
            _smooth(axes, distance, change)
        axes.plot(distance, change, ".", color=style.BLUE, markersize=3.5, label="measured")
        axes.set_title(name)
        axes.set_xlabel("t_post − t_pre (ticks)")
        if form == 0:
            axes.set_ylabel("change of the weight")
        axes.legend(loc="lower right")
    return figure


def _smooth(axes: Any, distance: npt.NDArray[Any], change: npt.NDArray[Any]) -> None:
    """The exponential through the starts of the steps of a staircase."""
    for side in (1, -1):
        on = (side * distance > 0) & (change != 0)
        far, size = np.abs(distance[on]), np.abs(change[on]).astype(float)
        order = np.argsort(far)
        far, size = far[order], size[order]
        starts = np.flatnonzero(np.diff(size)) + 1
        if starts.size < 2:
            continue
        slope, offset = np.polyfit(far[starts], np.log(size[starts]), 1)
        smooth = np.linspace(far[0], far[-1], 100)
        label = "exponential" if side == 1 else None
        change_sign = np.sign(change[on][0])
        axes.plot(side * smooth, change_sign * np.exp(offset + slope * smooth), "--", color=style.VERMILION,
                  linewidth=1.2, label=label)  # fmt: skip


def mihalas_niebur_20(tables: Tables) -> Figure:
    """Twenty panels in the paper's order: membrane with spikes, threshold, and the input below."""
    courses, spikes = tables["/experiment/courses"], tables["/experiment/spikes"]
    figure = _figure(11.0, 11.5)
    grid = figure.add_gridspec(5, 4, wspace=0.06, hspace=0.05)
    for n, pattern in enumerate(PATTERNS):
        inner = grid[n // 4, n % 4].subgridspec(2, 1, height_ratios=(4, 1), hspace=0.0)
        upper, lower = figure.add_subplot(inner[0]), figure.add_subplot(inner[1])
        rows = courses["pattern"] == n
        ms, v, threshold = 1e3 * courses["time_s"][rows], 1e3 * courses["v_V"][rows], 1e3 * courses["threshold_V"][rows]
        fired = 1e3 * spikes["time_s"][spikes["pattern"] == n]
        bottom, top = min(v.min(), -75.0) - 3.0, max(threshold.max(), v.max(), -45.0) + 2.0
        upper.vlines(fired, v_at(ms, v, fired), top + 0.35 * (top - bottom), color=style.BLUE, linewidth=0.9)
        upper.plot(ms, v, color=style.BLUE, linewidth=1.0, label="membrane and spikes")
        upper.plot(ms, threshold, "--", color=style.VERMILION, linewidth=0.9, label="threshold")
        lower.plot(ms, courses["input"][rows], color=style.BLACK, linewidth=1.0, drawstyle="steps-post", label="input")
        upper.set_ylim(bottom, top + 0.45 * (top - bottom))
        upper.set_title(f"{pattern.letter}  {pattern.name}", fontsize=9.5)
        strength = courses["input"][rows]
        span = max(float(np.ptp(strength)), 0.5)
        lower.set_ylim(min(strength.min(), 0.0) - 0.2 * span, max(strength.max(), 0.0) + 0.2 * span)
        for axes in (upper, lower):
            axes.set_xlim(ms[0] - 0.01 * ms[-1], ms[-1])
            axes.grid(visible=False)
            axes.spines[["left", "bottom"]].set_visible(False)
            axes.set_xticks([])
        upper.set_yticks([-70, -50], ["−70", "−50"] if n % 4 == 0 else ["", ""], fontsize=8)
        lower.set_yticks([])
        if n % 4 == 0:
            upper.set_ylabel("mV", fontsize=8)
        _bar(lower, float(ms[-1]))
    handles = [line for axes in figure.axes[:2] for line in axes.get_legend_handles_labels()[0]]
    handles = [each for each in handles if each.get_label() in ("membrane and spikes", "threshold", "input")]
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    return figure


def v_at(ms: npt.NDArray[Any], v: npt.NDArray[Any], when: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The membrane at the last record before each of the times."""
    return v[np.maximum(np.searchsorted(ms, when - 1e-9) - 1, 0)] if when.size else when


def _bar(axes: Any, length: float) -> None:
    """A scale bar below a panel, about a quarter as long."""
    nice = next(bar for bar in (200, 100, 50, 20, 10, 5) if bar <= 0.3 * length)
    axes.plot([length - nice, length], [-0.12, -0.12], color=style.BLACK, linewidth=2.0, clip_on=False,
              transform=axes.get_xaxis_transform(), solid_capstyle="butt")  # fmt: skip
    axes.text(length - 0.5 * nice, -0.2, f"{nice} ms", transform=axes.get_xaxis_transform(), ha="center", va="top", fontsize=8)


FIGURES: dict[str, Callable[[Tables], Figure]] = {
    "stdp-window": stdp_window,
    "mihalas-niebur-20": mihalas_niebur_20,
}
"""By name of the experiment."""
