"""How figures look: colours that colour-blind readers can tell apart, legible labels, SI prefixes on axes."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator

from neurosim.units import PREFIXES

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
"""Okabe and Ito's palette."""
CYCLE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK)
DIVERGING = "PuOr_r"
"""For values around zero: orange and purple differ for every kind of colour vision."""
SEQUENTIAL = "viridis"
"""For values from zero up: even in brightness, and told apart by colour-blind readers."""
GREY = "#6b6b6b"

KIND_COLOURS = {"measured": GREEN, "published": BLUE, "simulated": SKY, "derived": PURPLE, "assumed": ORANGE}
ASSUMED_HATCH = "///"
UNIT_COLOURS = {
    "axon_in": SKY, "synapse": BLUE, "dendrite": SKY, "soma": GREEN, "axon_out": SKY, "mesh": PURPLE,
    "converter": YELLOW, "plasticity": VERMILION, "perturbation": ORANGE, "astrocyte": ORANGE, "host": GREY,
    "clock": GREY, "static power": GREY,
}  # fmt: skip
GROUP_COLOURS = {"forward": BLUE, "communication": PURPLE, "learning": VERMILION, "waiting": "#c9c9c9"}
"""What a training run spends its time on (``accounting.PHASE_GROUPS``)."""
BUSY_COLOURS = {"generation": GREEN, "processing": BLUE, "mesh": PURPLE, "barrier": "#b3b3b3"}
"""What a core, the mesh or the whole chip is busy with within a tick."""
BUSY_NAMES = {"generation": "neurons and sending", "processing": "receiving", "mesh": "messages on the mesh"}
GROUP_NAMES = {group: group for group in GROUP_COLOURS} | {"forward": "forward pass"}

TRAFFIC = ListedColormap(mpl.colormaps["viridis_r"](np.linspace(0.18, 1.0, 256)), name="traffic")
"""For thin lines on white: the more, the darker."""

RC: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 11.0,
    "axes.titlesize": 12.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 11.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.8,
    "hatch.linewidth": 1.0,
    "hatch.color": "white",
    "legend.frameon": False,
    "legend.fontsize": 10.0,
    "lines.linewidth": 1.8,
    "xtick.labelsize": 10.0,
    "ytick.labelsize": 10.0,
    "figure.dpi": 100.0,
    "savefig.dpi": 150.0,
    "savefig.facecolor": "white",
}

_LONGEST = 28


def plain(text: object, longest: int = _LONGEST) -> str:
    """A name from a file as a label: no mathematics, no line breaks, not too long."""
    clean = " ".join("".join(sign if sign.isprintable() else " " for sign in str(text)).split())
    short = clean if len(clean) <= longest else clean[: longest - 1] + "…"
    return short.replace("\\", "/").replace("$", r"\$")


def count_axis(axes: Axes, which: str, label: str) -> None:
    """Whole numbers, with k and M for thousands and millions."""
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 2.5, 5, 10]))
    axis.set_major_formatter(EngFormatter(sep=""))
    axis.set_label_text(label)


def si_axis(axes: Axes, label: str, unit: str, largest: float) -> None:
    """An x axis in the unit, with the prefix that suits its largest value: ticks are short, the label says the unit."""
    factor, name = scale(largest, unit)
    axes.xaxis.set_major_locator(_RoundTicks(factor))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value / factor:.6g}")
    axes.set_xlabel(f"{label} ({name})")


def log_axis(axes: Axes, label: str, unit: str) -> None:
    """A logarithmic x axis whose ticks carry the unit."""
    axes.xaxis.set_major_locator(LogLocator(numticks=5))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(EngFormatter(unit=unit))
    axes.set_xlabel(f"{label} ({unit}, logarithmic)")


class _RoundTicks(MaxNLocator):
    """Ticks that are round in the prefixed unit."""

    def __init__(self, factor: float) -> None:
        super().__init__(nbins=6, steps=[1, 2, 2.5, 5, 10])
        self._factor = factor

    def tick_values(self, vmin: float, vmax: float) -> Any:
        """Places of the ticks in the plain unit."""
        return np.asarray(super().tick_values(vmin / self._factor, vmax / self._factor)) * self._factor


def scale(largest: float, unit: str) -> tuple[float, str]:
    """The prefix that suits a largest value: what to divide by, and the prefixed unit."""
    if unit == "s" and largest >= 300.0:
        return (3600.0, "h") if largest >= 7200.0 else (60.0, "min")
    fitting = [(10.0**power, prefix) for prefix, power in PREFIXES.items() if prefix not in "uμ" or not prefix]
    below = [pair for pair in fitting if pair[0] <= abs(largest)] or [min(fitting)]
    factor, prefix = max(below) if largest else (1.0, "")
    return factor, prefix + unit


def lighter(colour: str, share: float) -> tuple[float, float, float]:
    """A colour mixed with white."""
    red, green, blue = to_rgb(colour)
    return red + (1.0 - red) * share, green + (1.0 - green) * share, blue + (1.0 - blue) * share


def percent(value: float) -> str:
    """A share as text: ``12 %``, ``0.03 %``, ``< 0.01 %``."""
    if value == 0.0:
        return "0 %"
    if 0.0 < value < 1e-4:
        return "< 0.01 %"
    return f"{100.0 * value:.2g} %" if value < 0.1 else f"{100.0 * value:.3g} %"


def thinned(rows: int, most: int) -> np.ndarray:
    """Indices of at most ``most`` rows, evenly spread, the first and the last among them."""
    if rows <= most:
        return np.arange(rows)
    return np.unique(np.linspace(0, rows - 1, most).round().astype(np.int64))
