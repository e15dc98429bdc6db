"""Figures of several runs side by side: energy of a classification, and error against the operations of training."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter, NullFormatter, ScalarFormatter

from neurosim.report import style
from neurosim.trace.operations import Operations

_WIDE = 9.0
_LONGEST = 44


@dataclass(frozen=True)
class Bar:
    """One classification: whose, and what it took."""

    label: str
    energy_J: float
    error: float | None
    kind: str
    """``run``: from a trace; ``published``: its source says what it is; ``quoted``: a number without a system."""


_COLOURS = {"run": style.BLUE, "published": style.GREEN, "quoted": "#c9c9c9"}
_NAMES = {"run": "from a trace", "published": "published", "quoted": "quoted, system not known"}


def classification_png(bars: Sequence[Bar]) -> bytes:
    """Energies of a classification as a PNG."""
    with mpl.rc_context(style.RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        figure = Figure(figsize=(_WIDE, 1.3 + 0.36 * max(3, len(bars))), layout="constrained")
        FigureCanvasAgg(figure)
        plot_classification(bars, figure.subplots())
        return _png(figure)


def operations_png(runs: Mapping[str, Operations]) -> bytes:
    """Error against operations as a PNG."""
    with mpl.rc_context(style.RC), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        figure = Figure(figsize=(_WIDE, 4.6), layout="constrained")
        FigureCanvasAgg(figure)
        plot_operations(runs, figure.subplots())
        return _png(figure)


def plot_classification(bars: Sequence[Bar], axes: Axes) -> Axes:
    """A bar for each system, least energy on top, its error beside it."""
    ordered = sorted(bars, key=lambda bar: -bar.energy_J)
    places = np.arange(len(ordered))
    joules = [bar.energy_J for bar in ordered]
    axes.barh(places, joules, height=0.62, color=[_COLOURS[bar.kind] for bar in ordered])
    axes.set_xscale("log")
    axes.set_xlim(min(joules) / 3.0, max(joules) * 60.0)
    for place, bar in enumerate(ordered):
        error = "" if bar.error is None else f", {100.0 * bar.error:.2g} % error"
        axes.text(bar.energy_J * 1.15, place, f"{bar.energy_J * 1e6:,.4g} µJ{error}", va="center", fontsize=10)
    axes.set_yticks(places, [style.plain(bar.label, _LONGEST) for bar in ordered])
    axes.xaxis.set_major_formatter(EngFormatter(unit="J"))
    axes.set_xlabel("energy of a classification (J, logarithmic)")
    axes.grid(visible=False, axis="y")
    kinds = [kind for kind in _NAMES if any(bar.kind == kind for bar in ordered)]
    axes.legend([Patch(color=_COLOURS[kind]) for kind in kinds], [_NAMES[kind] for kind in kinds], loc="upper right")
    return axes


def plot_operations(runs: Mapping[str, Operations], axes: Axes) -> Axes:
    """Test error over the operations that training had taken; synaptic events drawn full, multiplications dashed."""
    lowest, highest = 1.0, 0.0
    for number, (name, run) in enumerate(runs.items()):
        shown = run.done > 0.0
        line = "-" if run.kind == "SynOps" else "--"
        axes.plot(run.done[shown], 100.0 * run.error[shown], line, marker="o", markersize=3.5,
                  color=style.CYCLE[number % len(style.CYCLE)], label=f"{style.plain(name)} ({run.kind})")  # fmt: skip
        if shown.any():
            lowest, highest = min(lowest, float(run.error[shown].min())), max(highest, float(run.error[shown].max()))
    axes.set_xscale("log")
    axes.set_yscale("log")
    if highest > 0.0:
        axes.set_ylim(max(80.0 * lowest, 0.01), 130.0 * highest)
    axes.yaxis.set_major_formatter(ScalarFormatter())
    few = highest < 10.0 * max(lowest, 1e-4)
    axes.yaxis.set_minor_formatter(ScalarFormatter() if few else NullFormatter())
    axes.xaxis.set_major_formatter(EngFormatter())
    axes.set_xlabel("operations of training: SynOps or MACs (logarithmic)")
    axes.set_ylabel("test error (%, logarithmic)")
    axes.grid(visible=True, which="both", alpha=0.5)
    axes.legend(loc="upper right")
    return axes


def _png(figure: Figure) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
