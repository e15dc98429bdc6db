"""The figures of a sweep: main effects, losses, heat maps, accuracy against joules, curves."""

from __future__ import annotations

import itertools
import math

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from neurosim.report import style
from neurosim.report.pages import Kind, NotShownError
from neurosim.trace.sweep_effects import Effect, apart, effects, levels_of, mean_over, pareto, places
from neurosim.trace.sweep_reader import Sweep, SweepAxis

_WIDE = 11.0
MOST_PANELS, MOST_PAIRS, MOST_CELLS, MOST_CURVES = 12, 6, 400, 8
WIDE_RANGE = 20.0
"""Energies that differ by more stand on a logarithmic axis."""
_JITTER = 0.03
_LABEL = 34


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _effects(sweep: Sweep) -> list[Effect]:
    found = effects(sweep)
    if not found:
        raise NotShownError("no axis has two values with a finished point")
    return found


def main_effects(sweep: Sweep) -> Figure:
    """One panel for each axis: every point, and the mean at each value."""
    found = {effect.axis.name: effect for effect in _effects(sweep)}
    shown = [found[axis.name] for axis in sweep.axes if axis.name in found][:MOST_PANELS]
    columns = min(3, len(shown))
    rows = -(-len(shown) // columns)
    figure = _figure(_WIDE, 3.6 * rows)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for panel in panels.flat[len(shown) :]:
        panel.set_visible(False)
    for panel, effect in zip(panels.flat, shown, strict=False):
        plot_effect(sweep, effect, panel)
    for row in panels:
        row[0].set_ylabel("accuracy (%)")
    return figure


def plot_effect(sweep: Sweep, effect: Effect, axes: Axes) -> None:
    """Accuracy at the values of one axis: points, mean and standard error."""
    where, ticks, logarithmic = _positions(effect)
    values = np.where(apart(sweep, effect.axis), 100.0 * sweep.values("accuracy"), np.nan)
    level, labels, _ = levels_of(sweep, effect.axis)
    place = dict(zip(effect.labels, where, strict=True))
    if effect.axis.values is None:  # a range: points stand where they are
        x = np.array(sweep.coordinate(effect.axis.name), np.float64)
    else:
        spread = _spread(len(sweep.points), where, logarithmic)
        x = np.array([place.get(labels[k], math.nan) for k in level])
        x = x * spread if logarithmic else x + spread
    axes.plot(x, values, ".", color=style.lighter(style.BLUE, 0.55), markersize=5, zorder=1)
    mean = 100.0 * np.array(effect.mean)
    error = 100.0 * np.nan_to_num(np.array(effect.error))
    axes.errorbar(where, mean, yerr=error, color=style.VERMILION, marker="o", capsize=3, zorder=2)
    if logarithmic:
        axes.set_xscale("log")
    if ticks is not None:
        axes.set_xticks(where, [style.plain(tick, 14) for tick in ticks], rotation=_turned(ticks))
    axes.set_xlabel(style.plain(effect.axis.name, _LABEL))


def _positions(effect: Effect) -> tuple[list[float], list[str] | None, bool]:
    """(where the values stand, their labels where they are no numbers, whether the axis is logarithmic)."""
    numbers = list(effect.centre)
    if effect.axis.values is None:
        return numbers, None, effect.axis.scale == "log"
    if effect.axis.numbers is None or len(numbers) > 8:
        listed = effect.axis.numbers is None
        return ([float(k) for k in range(len(numbers))], list(effect.labels), False) if listed else (
            numbers, None, _wide(numbers))  # fmt: skip
    if _wide(numbers):
        return numbers, None, True
    even = np.ptp(np.diff(sorted(numbers))) < 0.5 * np.ptp(numbers)
    return (numbers, None, False) if even else ([float(k) for k in range(len(numbers))], list(effect.labels), False)


def _wide(numbers: list[float]) -> bool:
    return min(numbers) > 0.0 and max(numbers) / min(numbers) >= 10.0


def _spread(count: int, where: list[float], logarithmic: bool) -> np.ndarray:
    """A little to the side for each point, always the same, so that equal points do not hide each other."""
    side = (np.arange(count) * 0.618034) % 1.0 - 0.5
    if logarithmic:
        return np.asarray(10.0 ** (2.0 * _JITTER * side * math.log10(max(where) / min(where))))
    return np.asarray(2.0 * _JITTER * side * (max(where) - min(where)))


def losses(sweep: Sweep) -> Figure:
    """A bar for each axis: accuracy lost from its best value to its worst."""
    found = _effects(sweep)[:MOST_PANELS]
    figure = _figure(_WIDE, 1.3 + 0.45 * len(found))
    axes = figure.subplots()
    for row, effect in enumerate(found):
        error = effect.loss_error if math.isfinite(effect.loss_error) else 0.0
        axes.barh(row, 100.0 * effect.loss, xerr=100.0 * error, color=style.BLUE if effect.certain else "#b3b3b3",
                  height=0.6, error_kw={"capsize": 3})  # fmt: skip
        told = f"{effect.labels[effect.best]} → {effect.labels[effect.worst]}"
        axes.annotate(style.plain(told, 40), (100.0 * (max(0.0, effect.loss) + error), row), (6, 0),
                      textcoords="offset points", va="center", fontsize=9)  # fmt: skip
    axes.set_yticks(range(len(found)), [style.plain(effect.axis.name, 44) for effect in found])
    axes.invert_yaxis()
    axes.margins(x=0.25)
    axes.set_xlabel("accuracy lost (percentage points); grey: not told from nothing")
    return figure


COSTS = (
    ("accuracy", "accuracy"), ("energy_J", "energy (J)"), ("chip_time_s", "chip time (s)"),
    ("devices_written", "devices written"), ("worst_pulses", "pulses on the worst device"),
)  # fmt: skip
"""What a run gives and costs: a number of the summary, and what it is called."""


def costs(sweep: Sweep) -> Figure:
    """Accuracy, energy, chip time and wear at the values of each axis: a row for each that moves, a column an axis."""
    rows = []
    for key, called in COSTS:
        found = {effect.axis.name: effect for effect in effects(sweep, key)}
        if key == "accuracy" or any(max(effect.mean) > 1.02 * min(effect.mean) for effect in found.values()):
            rows.append((called, found))
    rows = [row for row in rows if row[1]]
    if len(rows) < 2:
        raise NotShownError("energy, chip time and writes are the same everywhere")
    shown = [axis for axis in sweep.axes if axis.name in rows[0][1]][:4]
    figure = _figure(_WIDE if len(shown) > 1 else 0.65 * _WIDE, 0.8 + 2.3 * len(rows))
    panels = figure.subplots(len(rows), len(shown), sharey="row", sharex="col", squeeze=False)
    for panel_row, (called, found) in zip(panels, rows, strict=True):
        for panel, axis in zip(panel_row, shown, strict=True):
            effect = found[axis.name]
            where, ticks, logarithmic = _positions(effect)
            panel.plot(where, effect.mean, "o-", color=style.BLUE)
            if logarithmic:
                panel.set_xscale("log")
            if ticks is not None:
                panel.set_xticks(where, [style.plain(tick, 14) for tick in ticks], rotation=_turned(ticks))
        values = [value for effect in found.values() for value in effect.mean]
        if min(values) > 0.0 and max(values) > WIDE_RANGE * min(values):
            panel_row[0].set_yscale("log")
        if called == "accuracy":
            panel_row[0].yaxis.set_major_formatter(lambda value, _: f"{100.0 * value:g}")
        else:
            panel_row[0].yaxis.set_major_formatter(EngFormatter(sep=""))
        panel_row[0].set_ylabel("accuracy (%)" if called == "accuracy" else called)
    for panel, axis in zip(panels[-1], shown, strict=True):
        panel.set_xlabel(style.plain(axis.name, _LABEL))
    return figure


def _turned(ticks: list[str]) -> float:
    """Degrees by which labels are turned so that they do not run into each other."""
    return 0.0 if len(ticks) <= 4 else 90.0 if len(ticks) > 8 else 30.0


def heat_maps(sweep: Sweep) -> Figure:
    """Mean accuracy over two axes at a time, all others averaged."""
    _effects(sweep)
    if sweep.design == "oat":
        raise NotShownError("the axes move one at a time, so that no two of them meet")
    pairs = [
        (first, second)
        for first, second in itertools.combinations(sweep.axes, 2)
        if len(levels_of(sweep, first)[1]) * len(levels_of(sweep, second)[1]) <= MOST_CELLS
    ][:MOST_PAIRS]
    if not pairs:
        raise NotShownError("it takes two axes" if len(sweep.axes) < 2 else "the axes have too many values")
    maps = [100.0 * mean_over(sweep, "accuracy", first, second) for first, second in pairs]
    known = np.concatenate([each[np.isfinite(each)] for each in maps])
    low, high = float(known.min()), float(known.max())
    norm = Normalize(low, max(high, low + 1e-9))
    columns = min(2, len(pairs))
    rows = -(-len(pairs) // columns)
    tallest = max(each.shape[0] for each in maps)
    figure = _figure(_WIDE if columns > 1 else 0.65 * _WIDE, max(4.2, 0.3 * min(tallest, 25) + 0.8) * rows)
    panels = figure.subplots(rows, columns, squeeze=False)
    for panel in panels.flat[len(pairs) :]:
        panel.set_visible(False)
    for panel, (first, second), each in zip(panels.flat, pairs, maps, strict=False):
        panel.imshow(each, origin="lower", aspect="auto", cmap=style.SEQUENTIAL, norm=norm)
        _name(sweep, panel, first, second)
        if each.size <= 64:
            for (row, column), value in np.ndenumerate(each):
                if math.isfinite(value):
                    dark = value < low + 0.6 * (high - low)
                    panel.text(column, row, f"{value:.1f}", ha="center", va="center", fontsize=9,
                               color="white" if dark else "black")  # fmt: skip
    figure.colorbar(
        ScalarMappable(norm, style.SEQUENTIAL), ax=panels.ravel().tolist(), label="accuracy (%)", shrink=0.9
    )
    return figure


def _name(sweep: Sweep, panel: Axes, first: SweepAxis, second: SweepAxis) -> None:
    for axis, most, ticks, name in (
        (second, 10, panel.set_xticks, panel.set_xlabel),
        (first, 25, panel.set_yticks, panel.set_ylabel),
    ):
        labels = levels_of(sweep, axis)[1]
        every = max(1, -(-len(labels) // most))
        ticks(range(0, len(labels), every), [style.plain(label, 14) for label in labels[::every]])
        name(style.plain(axis.name, _LABEL))
    panel.grid(visible=False)


def pareto_front(sweep: Sweep) -> Figure:
    """Accuracy against joules: every place on the axes, and those that no other beats in both."""
    found = [place for place in places(sweep) if place.energy_J > 0.0]
    if not found:
        raise NotShownError("no finished point has both accuracy and energy")
    front = pareto(found)
    figure = _figure(_WIDE, 5.0)
    axes = figure.subplots()
    axes.plot([place.energy_J for place in found], [100.0 * place.accuracy for place in found], "o",
              color=style.lighter(style.BLUE, 0.4), label="mean over the repeats at one place on the axes")  # fmt: skip
    axes.plot([place.energy_J for place in front], [100.0 * place.accuracy for place in front], "o-",
              color=style.VERMILION, drawstyle="steps-post", label="no other has more for less")  # fmt: skip
    least, most = min(place.energy_J for place in found), max(place.energy_J for place in found)
    if most > WIDE_RANGE * least:
        axes.set_xscale("log")
        style.log_axis(axes, "energy", "J")
    else:
        style.si_axis(axes, "energy", "J", most)
    axes.set_ylabel("accuracy (%)")
    axes.legend(loc="best")
    return figure


def curves(sweep: Sweep) -> Figure:
    """Accuracy while learning: the mean over the points with each value of an axis."""
    kept = [point for point in sweep.done if point.curve is not None and len(point.curve.get("step", ())) > 1]
    if not kept:
        raise NotShownError("the sweep kept no curves (--curves keeps them)")
    axes_shown = [axis for axis in sweep.axes if 2 <= len(levels_of(sweep, axis)[1]) <= MOST_CURVES][:MOST_PANELS]
    if not axes_shown:
        raise NotShownError("no axis has two to eight values")
    columns = min(2, len(axes_shown))
    rows = -(-len(axes_shown) // columns)
    figure = _figure(_WIDE, 3.8 * rows)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for panel in panels.flat[len(axes_shown) :]:
        panel.set_visible(False)
    colours = mpl.colormaps[style.SEQUENTIAL]
    for panel, axis in zip(panels.flat, axes_shown, strict=False):
        level, labels, _ = levels_of(sweep, axis)
        for k, label in enumerate(labels):
            group = [point.curve for point in kept if level[point.number] == k and point.curve is not None]
            if not group:
                continue
            steps = np.unique(np.concatenate([curve["step"] for curve in group]))
            means = np.mean([np.interp(steps, curve["step"], curve["accuracy"]) for curve in group], axis=0)
            panel.plot(steps, 100.0 * means, color=colours(0.9 * k / max(1, len(labels) - 1)),
                       label=style.plain(label, 20))  # fmt: skip
        style.count_axis(panel, "x", "step")
        panel.legend(title=style.plain(axis.name, _LABEL), loc="best")
    for row in panels:
        row[0].set_ylabel("accuracy (%)")
    return figure


KINDS = (
    Kind("losses", "What each axis costs", "Accuracy lost from the best value of an axis to its worst, with the "
          "standard error of the mean.", losses),
    Kind("main_effects", "Main effects", "Accuracy at the values of each axis, over everything else: each run (small "
          "dots), mean and standard error.", main_effects),
    Kind("costs", "Accuracy and what it costs", "Means of accuracy, energy, chip time and wear at the values of each "
         "axis, over everything else; costs that stay the same are left out.", costs),
    Kind("heat_maps", "Two axes at a time", "Mean accuracy over all other axes and repeats; ranges in bins.",
          heat_maps),
    Kind("pareto", "Accuracy against joules", "Further up is better, further left is cheaper.", pareto_front),
    Kind("curves", "While learning", "Mean accuracy over the runs with each value of an axis.", curves),
)  # fmt: skip
