"""Figures of what the chip holds: spikes, weights, δ-vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from neurosim.report import style
from neurosim.trace import TableView, Trace

_MOST_SPIKES = 6000
_MOST_SAMPLES = 8
_MOST_WEIGHTS = 2_000_000
FIELDS = 8
"""So many receptive fields are shown."""


def plot_raster(trace: Trace, axes: Axes, layer: str) -> Axes:
    """Spikes of a layer in the last recorded samples; a line stands where a new sample begins."""
    table = trace.spikes[layer]
    tick, neuron, begins = _last_samples(table)
    for place in begins:
        axes.axvline(place, color=style.ORANGE, linewidth=1.0, zorder=0.5)
    size = float(np.clip(900.0 / max(1, _height(table, neuron)), 4.0, 60.0))
    axes.scatter(tick, neuron, s=size, marker="|", color=style.BLACK, linewidths=1.0)
    axes.set_ylim(-1.0, _height(table, neuron))
    axes.set_ylabel("neuron (index)")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(lambda value, _: f"{int(value)}")
    axes.set_xlabel("time (ticks)")
    axes.set_title(style.plain(layer))
    axes.grid(visible=False)
    return axes


def _last_samples(table: TableView) -> tuple[np.ndarray, np.ndarray, list[float]]:
    """Ticks and neurons of the last spikes, and the times at which a new sample begins among them."""
    start = max(0, len(table) - _MOST_SPIKES)
    tick, neuron = table.read("tick", start), table.read("neuron", start)
    if "sample" not in table or not len(tick):
        return tick, neuron, []
    sample = table.read("sample", start)
    begins = np.flatnonzero(np.diff(sample, prepend=sample[0] - 1))[-_MOST_SAMPLES:]
    tick, neuron, begins = tick[begins[0] :], neuron[begins[0] :], begins - begins[0]
    window = table.attributes.get("window")
    if isinstance(window, int) and window > 0:  # samples follow each other in windows of this many ticks
        return (
            tick,
            neuron,
            [float(place) - 0.5 for place in range(window, int(tick[-1]) + 1, window) if place > tick[0]],
        )
    return tick, neuron, [float(tick[place - 1] + tick[place]) / 2 for place in begins[1:]]


def plot_weight_histogram(trace: Trace, axes: Axes, layer: str) -> Axes:
    """Weights of a layer before and after."""
    table = trace.weights[layer]
    rows = [(0, "before", style.ORANGE, "--")] + ([(-1, "after", style.BLUE, "-")] if len(table) > 1 else [])
    values = [_finite(table.read("value", row, None if row == -1 else row + 1)) for row, *_ in rows]
    low, high = min(value.min() for value in values), max(value.max() for value in values)
    bins = int(np.clip(2.0 * math.sqrt(len(values[0])), 10, 60))
    edges = np.linspace(low, high if high > low else low + 1.0, bins + 1)
    for (_, label, colour, line), value in zip(rows, values, strict=True):
        axes.hist(value, bins=list(edges), histtype="step", color=colour, linestyle=line, linewidth=1.8, label=label)
    style.count_axis(axes, "y", "weights (count)")
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.set_xlabel("weight (1)")
    axes.set_title(style.plain(layer))
    return axes


def image_side(shape: Sequence[int]) -> tuple[int, int] | None:
    """Side and channels of the image that a layer's ``[inputs, neurons]`` looks at; None where it is no image.

    Images are rows x columns x channels; a convolution looks at a patch.
    """
    if len(shape) != 2:
        return None
    for inputs in (shape[0], shape[0] - 1):  # perhaps with a row of biases
        for channels in (1, 3):
            side = math.isqrt(max(0, inputs) // channels)
            if side >= 4 and side * side * channels == inputs:
                return side, channels
    return None


def receptive_fields(table: TableView) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which neurons changed most, and their weights as images before and after."""
    found = image_side(table.shape("value"))
    if found is None:
        raise ValueError(f"{table.name} does not look at an image")
    side, channels = found
    before, after = (table.read("value", row, stop)[0].astype(float) for row, stop in ((0, 1), (len(table) - 1, None)))
    chosen = np.sort(np.argsort(-np.linalg.norm(np.nan_to_num(after - before), axis=0), kind="stable")[:FIELDS])
    images = [weights[: side * side * channels, chosen].T.reshape(len(chosen), side, side, channels).mean(axis=3)
              for weights in (before, after)]  # fmt: skip
    return chosen, images[0], images[1]


def plot_receptive_field(image: np.ndarray, axes: Axes, limit: float, title: str) -> AxesImage:
    """The weights of one neuron, laid out as the image that it looks at."""
    drawn = axes.imshow(image, cmap=style.DIVERGING, vmin=-limit, vmax=limit, interpolation="nearest")
    axes.set_title(title, fontsize=10, fontweight="normal")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return drawn


def plot_delta(trace: Trace, axes: Axes, layer: str) -> AxesImage:
    """The δ-vectors of a layer at the end: classes x neurons."""
    value = np.nan_to_num(trace.delta[layer].read("value", -1)[0])
    drawn = _heat(axes, value, (-0.5, value.shape[1] - 0.5, value.shape[0] - 0.5, -0.5))
    axes.set_xlabel("neuron (index)")
    axes.set_ylabel("class (index)")
    axes.xaxis.set_major_locator(MaxNLocator(10, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(10, integer=True))
    axes.set_title(style.plain(layer))
    return drawn


def plot_delta_history(trace: Trace, axes: Axes, layer: str) -> AxesImage:
    """The δ-vector of one class (the strongest one at the end) over the run."""
    table = trace.delta[layer]
    rows = style.thinned(len(table), 400)
    last = np.nan_to_num(table.read("value", -1)[0])
    chosen = int(np.argmax(np.linalg.norm(last, axis=1)))
    history = np.stack([np.nan_to_num(table.read("value", row, row + 1)[0, chosen]) for row in rows.tolist()])
    ticks = table["tick"][rows].astype(float)
    drawn = _heat(axes, history.T, (ticks[0], max(ticks[-1], ticks[0] + 1.0), history.shape[1] - 0.5, -0.5),
                  at=ticks)  # fmt: skip
    axes.set_ylabel("neuron (index)")
    axes.yaxis.set_major_locator(MaxNLocator(8, integer=True))
    style.count_axis(axes, "x", "time (ticks)")
    axes.set_title(f"{style.plain(layer)}, class {chosen}")
    return drawn


def _heat(axes: Axes, value: np.ndarray, extent: tuple[float, float, float, float],
          at: np.ndarray | None = None) -> AxesImage:  # fmt: skip
    """A heat map around zero; columns stand where ``at`` says (taken as even where that is not given)."""
    if at is not None and len(at) > 1:
        even = np.linspace(at[0], at[-1], max(2 * len(at), 200))
        value = value[:, np.abs(at[None, :] - even[:, None]).argmin(axis=1)]
    limit = float(np.quantile(np.abs(value), 0.995)) or float(np.abs(value).max()) or 1.0
    drawn = axes.imshow(value, cmap=style.DIVERGING, vmin=-limit, vmax=limit, aspect="auto", extent=extent,
                        interpolation="nearest")  # fmt: skip
    axes.grid(visible=False)
    return drawn


def _height(table: TableView, neuron: np.ndarray) -> int:
    told = table.attributes.get("neurons")
    return int(told) if isinstance(told, int) else int(neuron.max(initial=0)) + 1


def _finite(value: np.ndarray) -> np.ndarray:
    flat = value.reshape(-1)
    flat = flat[:: max(1, len(flat) // _MOST_WEIGHTS)]
    flat = flat[np.isfinite(flat)].astype(float)
    return flat if len(flat) else np.zeros(1)
