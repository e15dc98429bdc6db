"""The report of a sweep: one HTML page that needs nothing else, and the same figures as PNG files beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from neurosim.report import pages
from neurosim.report.pages import Picture
from neurosim.report.sweep_figures import KINDS
from neurosim.trace.sweep_effects import Effect, effects, pareto, places, together, where
from neurosim.trace.sweep_reader import Sweep, SweepAxis, SweepPoint, open_sweep
from neurosim.units import show

MOST_POINTS, MOST_FAILURES = 2000, 100


def write_sweep_report(path: Path | str, html_path: Path | str | None = None, force: bool = True) -> Path:
    """Write the report of the sweep at ``path``; returns the page's path.

    The page goes to ``html_path``, or beside the sweep under its name; its figures go to ``NAME_figures/`` beside it.
    With ``force`` false an existing page is left alone. Raises InputError where the page cannot be written.
    """
    sweep = open_sweep(path)
    page = pages.page_of(sweep.path, html_path, force)
    pictures, missing = pages.drawn(KINDS, sweep)
    pages.write(page, render(sweep, pictures, missing), pictures, KINDS)
    return page


def render(sweep: Sweep, pictures: list[Picture], missing: list[tuple[str, str]]) -> str:
    """The page as text."""
    found = effects(sweep)
    failed = sweep.failed
    columns = [column for column in PLACE_COLUMNS if column[0] in sweep.keys]
    return pages.render(
        "sweep.html",
        pictures,
        sweep=sweep,
        hypothetical=any((point.summary or {}).get("hypothetical") for point in sweep.done),
        note=_note(sweep),
        sentences=_sentences(sweep, found),
        axes=[(axis.name, _values(axis)) for axis in sweep.axes],
        losses=[_loss(effect) for effect in found],
        front=[
            {"label": place.label, "accuracy": _percent(place.accuracy), "energy": show(place.energy_J, "J"),
             "count": place.count}
            for place in pareto(places(sweep))
        ],
        place_columns=[title for _, title, _ in columns],
        places=_places(sweep, columns),
        failures=[
            {"number": point.number, "place": where(sweep, point.number), "repeat": point.repeat, "error": point.error}
            for point in failed[:MOST_FAILURES]
        ],
        more_failures=max(0, len(failed) - MOST_FAILURES),
        points=[_point(sweep, point) for point in sweep.points[:MOST_POINTS]],
        more_points=max(0, len(sweep.points) - MOST_POINTS),
        missing=missing,
        scenario=sweep.config.get("scenario", ""),
        file_kind="sweep",
        attributes=list(sweep.attributes.items()),
    )  # fmt: skip


def _percent(value: Any) -> str:
    return f"{100.0 * value:.2f} %" if isinstance(value, int | float) and math.isfinite(value) else "-"


def _quantity(value: Any, unit: str) -> str:
    return show(float(value), unit) if isinstance(value, int | float) and math.isfinite(value) else "-"


def _number(value: float) -> str:
    return f"{value:,.0f}" if math.isfinite(value) else "-"


def _shown(value: Any) -> str:
    """A coordinate for people."""
    return f"{value:.6g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)


PLACE_COLUMNS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("accuracy", "Accuracy", _percent),
    ("chip_time_s", "Chip time", partial(_quantity, unit="s")),
    ("energy_J", "Energy", partial(_quantity, unit="J")),
    ("devices_written", "Devices written", _number),
    ("worst_pulses", "Pulses on the worst device", _number),
)
"""Of the table of places: a number of the summary, its title, and how it is shown."""


def _places(sweep: Sweep, columns: Sequence[tuple[str, str, Callable[[float], str]]]) -> list[dict[str, Any]]:
    """Means over the repeats at every place on the axes, the most accurate first."""
    if not columns or columns[0][0] != "accuracy":
        return []
    values = {key: sweep.values(key) for key, _, _ in columns}
    groups = together(sweep, np.isfinite(values["accuracy"]))
    groups.sort(key=lambda numbers: -float(values["accuracy"][numbers].mean()))
    return [
        {
            "place": [_shown(value) for value in sweep.points[numbers[0]].coordinates.values()],
            "values": [show_it(float(values[key][numbers].mean())) for key, _, show_it in columns],
            "count": len(numbers),
        }
        for numbers in groups[:MOST_POINTS]
    ]


def _note(sweep: Sweep) -> str:
    waiting = len(sweep.points) - len(sweep.done) - len(sweep.failed)
    parts = []
    if waiting:
        parts.append(f"The sweep is {sweep.status}: {waiting} of {len(sweep.points)} points have not been run.")
    if sweep.failed:
        parts.append(f"{len(sweep.failed)} points failed; means leave them out, which flatters the values they have.")
    return " ".join(parts)


def _sentences(sweep: Sweep, found: list[Effect]) -> list[str]:
    kinds = {"grid": "all combinations", "oat": "one axis at a time", "lhs": "a Latin hypercube", "sobol": "a Sobol "
             "sequence"}  # fmt: skip
    repeats = f", each with {sweep.repeats} paired seeds" if sweep.repeats > 1 else ""
    out = [f"{len(sweep.done)} runs over {len(sweep.axes)} axes: {kinds.get(sweep.design, sweep.design)}{repeats}."]
    told = [effect for effect in found if effect.certain]
    if told:
        worst = told[0]
        out.append(
            f"{worst.axis.name} costs most: {100.0 * worst.loss:.1f} ± {100.0 * worst.loss_error:.1f} percentage "
            f"points of accuracy from {worst.labels[worst.best]} to {worst.labels[worst.worst]}."
        )
    elif found:
        out.append("No axis changes the accuracy by more than twice the standard error.")
    return out


def _values(axis: SweepAxis) -> str:
    if axis.values is None:
        return f"{axis.low:g} to {axis.high:g}, {axis.scale}"
    return ", ".join(axis.labels)


def _loss(effect: Effect) -> dict[str, Any]:
    known = math.isfinite(effect.loss_error)
    return {
        "axis": effect.axis.name, "best": effect.labels[effect.best], "worst": effect.labels[effect.worst],
        "at_best": _percent(effect.mean[effect.best]), "at_worst": _percent(effect.mean[effect.worst]),
        "loss": f"{100.0 * effect.loss:.2f}", "error": f"{100.0 * effect.loss_error:.2f}" if known else "unknown",
        "pairs": effect.pairs or "none", "certain": ("yes" if effect.certain else "no") if known else "unknown",
    }  # fmt: skip


def _point(sweep: Sweep, point: SweepPoint) -> dict[str, Any]:
    told = point.summary or {}
    return {
        "number": point.number, "place": [_shown(value) for value in point.coordinates.values()],
        "repeat": point.repeat, "seed": point.seed, "accuracy": _percent(told.get("accuracy")),
        "time": _quantity(told.get("chip_time_s"), "s"),
        "energy": _quantity(told.get("energy_J"), "J"), "status": point.error or point.status,
    }  # fmt: skip
