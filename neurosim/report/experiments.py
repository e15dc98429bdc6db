"""Figures of experiments: one function each, from the columns of the experiment's tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

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
        strength = courses["input"][rows].copy()
        strength[-1] = strength[-2]  # a pulse that ends with the record
        lower.plot(
            [-0.02 * ms[-1], *ms],
            [0.0, *strength],
            color=style.BLACK,
            linewidth=1.0,
            drawstyle="steps-post",
            label="input",
        )
        upper.set_ylim(bottom, top + 0.45 * (top - bottom))
        upper.set_title(f"{pattern.letter}  {pattern.name}", fontsize=8.5)
        span = max(float(np.ptp(strength)), 0.5)
        lower.set_ylim(min(strength.min(), 0.0) - 0.2 * span, max(strength.max(), 0.0) + 0.2 * span)
        for axes in (upper, lower):
            axes.set_xlim(-0.02 * ms[-1], ms[-1])
            axes.grid(visible=False)
            axes.spines[["left", "bottom"]].set_visible(False)
            axes.set_xticks([])
        upper.set_yticks([-70, -50], ["−70", "−50"], fontsize=7)
        upper.tick_params(pad=1, length=2)
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
    axes.text(
        length - 0.5 * nice, -0.2, f"{nice} ms", transform=axes.get_xaxis_transform(), ha="center", va="top", fontsize=8
    )


def rstdp(tables: Tables) -> Figure:
    """Answers to both patterns trial by trial, with reward and with shuffled reward, and every neuron's preference."""
    trials, neurons = tables["/experiment/trials"], tables["/experiment/neurons"]
    figure = _figure(11.0, 4.2)
    panels = figure.subplots(1, 3, width_ratios=(3, 3, 2))
    highest = 0.0
    for axes, learning, title in zip(panels[:2], (1, 0), ("rewarded", "control: rewards shuffled"), strict=True):
        rows = trials["learning"] == learning
        phase = trials["phase"][rows]
        for column, colour, label in (
            ("rewarded", style.BLUE, "its rewarded pattern"),
            ("other", style.VERMILION, "the other"),
        ):
            smooth = _running(trials[column][rows], 15)
            highest = max(highest, float(smooth.max()))
            axes.plot(trials["trial"][rows], smooth, color=colour, label=label)
        begin, end = np.flatnonzero(phase == 1)[[0, -1]]
        axes.axvspan(begin, end, color=style.GREY, alpha=0.12, linewidth=0, label="learning")
        axes.set_title(title)
        axes.set_xlabel("trial")
        axes.legend(loc="upper left")
    for axes in panels[:2]:
        axes.set_ylim(0, 1.45 * highest)
    panels[0].set_ylabel("spikes per neuron and trial")
    last = panels[2]
    for n, (learning, name) in enumerate(((1, "rewarded"), (0, "shuffled"))):
        rows = neurons["learning"] == learning
        before, after = neurons["before"][rows], neurons["after"][rows]
        at = 3 * n + np.array([0, 1])
        last.plot(at, [before, after], color=style.GREY, linewidth=0.7)
        last.plot(np.full(before.size, at[0]), before, "o", color=style.SKY, markersize=4)
        last.plot(np.full(after.size, at[1]), after, "o", color=style.BLUE, markersize=4)
        last.text(at.mean(), 1.04, name, ha="center")
    last.axhline(0.5, color=style.BLACK, linewidth=0.8, linestyle="--")
    last.set_xticks([0, 1, 3, 4], ["before", "after"] * 2, rotation=30)
    last.set_ylim(0, 1.12)
    last.set_xlim(-0.7, 4.7)
    last.set_ylabel("share of spikes in the rewarded pattern")
    return figure


def _running(values: npt.NDArray[Any], length: int) -> npt.NDArray[Any]:
    """Mean over so many values around each, fewer at the ends."""
    ones = np.ones(length)
    return np.convolve(values, ones, "same") / np.convolve(np.ones(values.size), ones, "same")


def sequence_learning(tables: Tables) -> Figure:
    """Teaching, recall before and after, the weights that were learned, and how they grew."""
    spikes, weights, course = (tables[f"/experiment/{name}"] for name in ("spikes", "weights", "learning"))
    elements = int(weights["source"].max()) + 1
    neurons = int(spikes["neuron"].max()) + 1
    figure = _figure(11.0, 7.4)
    grid = figure.add_gridspec(2, 1)
    upper, lower = grid[0], grid[1]
    rasters = upper.subgridspec(1, 4, wspace=0.05)
    titles = {0: "taught, first time", 2: "recall before", 3: "recall after", 4: "from the middle"}
    for n, (phase, title) in enumerate(titles.items()):
        axes = figure.add_subplot(rasters[n])
        rows = spikes["phase"] == phase
        neuron = spikes["neuron"][rows]
        element = neuron * elements // neurons
        axes.scatter(spikes["tick"][rows], neuron, s=6, c=[style.CYCLE[e % len(style.CYCLE)] for e in element])
        axes.set_ylim(-1, neurons)
        axes.set_yticks(np.arange(0, neurons, neurons // elements), [])
        if phase != 0:
            axes.set_xlim(20, 80)
        axes.set_title(title)
        axes.set_xlabel("tick")
        if n == 0:
            axes.set_ylabel(f"neurons of {elements} elements")
    row = lower.subgridspec(1, 3, width_ratios=(1, 1, 1.3))
    largest = float(max(np.abs(weights["weight"]).max(), np.abs(weights["control"]).max()))
    for n, (column, title) in enumerate((("weight", "weights after"), ("control", "after random orders"))):
        axes = figure.add_subplot(row[n])
        image = axes.imshow(
            weights[column].reshape(elements, elements), cmap=style.DIVERGING, vmin=-largest, vmax=largest
        )
        axes.set_title(title)
        axes.set_xlabel("to element")
        axes.set_ylabel("from element")
        axes.grid(visible=False)
        figure.colorbar(image, ax=axes, shrink=0.8)
    axes = figure.add_subplot(row[2])
    axes.plot(course["repetition"], course["next"], color=style.BLUE, label="onto the next element")
    axes.plot(course["repetition"], course["others"], color=style.GREY, label="onto others")
    axes.set_xlabel("presentations")
    axes.set_ylabel("mean weight")
    axes.set_title("learning")
    right = axes.twinx()
    right.step(
        course["repetition"],
        course["recalled"],
        "o-",
        where="post",
        color=style.VERMILION,
        markersize=4,
        label="recalled",
    )
    right.set_ylabel("elements recalled in order", color=style.VERMILION)
    right.set_ylim(-0.3, elements)
    right.grid(visible=False)
    axes.legend(loc="upper left")
    return figure


def ecd_bars_and_stripes(tables: Tables) -> Figure:
    """Completions before and after, how both measures rise, and what hidden neurons stand for."""
    course, cases, weights = (tables[f"/experiment/{name}"] for name in ("learning", "completions", "weights"))
    pixels = int(weights["pixel"].max()) + 1
    side = round(pixels**0.5)
    figure = _figure(11.0, 7.6)
    grid = figure.add_gridspec(2, 1, height_ratios=(1.0, 1.25))
    upper, lower = grid[0], grid[1]
    _cases(figure.add_subplot(upper), cases, side)
    row = lower.subgridspec(1, 2, width_ratios=(1.25, 1.0))
    axes = figure.add_subplot(row[0])
    axes.plot(course["samples"], course["completed"], "o-", color=style.BLUE, label="open pixels filled in rightly")
    axes.plot(course["samples"], course["dreamed"], "s--", color=style.VERMILION, label="dreams that are a pattern")
    axes.axhline(0.5, color=style.BLUE, linewidth=0.9, linestyle=":")
    axes.axhline((2 ** (side + 1) - 2) / 2**pixels, color=style.VERMILION, linewidth=0.9, linestyle=":")
    axes.set_ylim(-0.02, 1.3)
    axes.set_yticks(np.arange(0.0, 1.01, 0.2))
    axes.set_xlabel("patterns shown")
    axes.set_ylabel("share (dotted: chance)")
    axes.set_title("learning")
    axes.legend(loc="upper left", fontsize=9)
    axes = figure.add_subplot(row[1])
    fields = weights["weight"].reshape(pixels, -1).T.reshape(-1, side, side).astype(float)
    largest = float(np.abs(fields).max())
    image = axes.imshow(
        _mosaic(fields, round((1.2 * len(fields)) ** 0.5)), cmap=style.DIVERGING, vmin=-largest, vmax=largest
    )
    figure.colorbar(image, ax=axes, shrink=0.8)
    axes.set_title("weights of the hidden neurons")
    _bare(axes)
    return figure


def _mosaic(images: npt.NDArray[Any], columns: int) -> npt.NDArray[Any]:
    """Square images side by side, one empty pixel between them."""
    side = images.shape[1]
    rows = -(-len(images) // columns)
    out = np.full((rows * (side + 1) - 1, columns * (side + 1) - 1), np.nan)
    for n, image in enumerate(images):
        y, x = (n // columns) * (side + 1), (n % columns) * (side + 1)
        out[y : y + side, x : x + side] = image
    return out


def _bare(axes: Any) -> None:
    """No frame, no ticks, no grid."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _cases(axes: Any, cases: Mapping[str, npt.NDArray[Any]], side: int) -> None:
    """One row each: what was shown (open pixels orange), and how often each pixel was on, before and after learning."""
    kinds = 2 ** (side + 1) - 2
    chosen = np.unique(np.linspace(1, kinds - 2, min(kinds - 2, 14)).round().astype(int))
    rows = [("shown", 0, "asked"), ("before", 0, "on"), ("after", 1, "on")]
    images = np.array([
        cases[column][(cases["learned"] == learned) & (cases["case"] == n)].astype(float).reshape(side, side)
        for _, learned, column in rows for n in chosen
    ])  # fmt: skip
    axes.imshow(_mosaic(images, chosen.size), cmap="gray_r", vmin=0.0, vmax=1.0)
    for r, (name, _, _) in enumerate(rows):
        axes.text(-1.2, r * (side + 1) + side / 2 - 0.5, name, ha="right", va="center")
        for at, n in enumerate(chosen):
            corner = at * (side + 1) - 0.5, r * (side + 1) - 0.5
            axes.add_patch(Rectangle(corner, side, side, fill=False, edgecolor=style.GREY, linewidth=0.8))
            mine = (cases["learned"] == 0) & (cases["case"] == n) & (cases["open"] == 1)
            for pixel in cases["pixel"][mine]:
                place = corner[0] + pixel % side, corner[1] + pixel // side
                filled = style.lighter(style.ORANGE, 0.4) if r == 0 else "none"
                axes.add_patch(Rectangle(place, 1.0, 1.0, facecolor=filled, edgecolor=style.ORANGE, linewidth=1.6))
    axes.set_title("open pixels (orange) filled in by the machine")
    axes.set_xlim(-1.0, chosen.size * (side + 1) - 0.9)
    axes.set_ylim(3 * (side + 1) - 1.2, -0.8)
    _bare(axes)


FIGURES: dict[str, Callable[[Tables], Figure]] = {
    "stdp-window": stdp_window,
    "mihalas-niebur-20": mihalas_niebur_20,
    "rstdp": rstdp,
    "sequence-learning": sequence_learning,
    "ecd-bars-and-stripes": ecd_bars_and_stripes,
}
"""By name of the experiment."""
