"""The report of a sweep: one HTML page that needs nothing else, and the same figures as PNG files beside it."""

from __future__ import annotations

import base64
import datetime
import math
from pathlib import Path
from typing import Any

import jinja2

from neurosim._version import __version__
from neurosim.errors import InputError
from neurosim.report.figures import Picture
from neurosim.report.html import _TEMPLATES, _beside
from neurosim.report.sweep_figures import KINDS, draw_all
from neurosim.trace.sweep_effects import Effect, effects, pareto, places, where
from neurosim.trace.sweep_reader import Sweep, SweepAxis, SweepPoint, open_sweep
from neurosim.units import show

MOST_POINTS, MOST_FAILURES = 2000, 100


def write_sweep_report(path: Path | str, html_path: Path | str | None = None, force: bool = True) -> Path:
    """Write the report of the sweep at ``path``; returns the page's path.

    The page goes to ``html_path``, or beside the sweep under its name; its figures go to ``NAME_figures/`` beside it.
    With ``force`` false an existing page is left alone. Raises InputError where the page cannot be written.
    """
    sweep = open_sweep(path)
    page = Path(html_path) if html_path is not None else _beside(sweep.path)
    if page.is_dir():
        raise InputError("is a folder; name a file for the report, such as report.html", str(page))
    if page.exists() and not force:
        raise InputError("exists already; choose another name, or replace it with --force", str(page))
    pictures, missing = draw_all(sweep)
    text = render(sweep, pictures, missing)
    try:
        folder = page.with_name(f"{page.stem}_figures")
        folder.mkdir(exist_ok=True)
        for kind in KINDS:
            (folder / f"{kind.name}.png").unlink(missing_ok=True)
        for picture in pictures:
            (folder / f"{picture.name}.png").write_bytes(picture.png)
        unfinished = page.with_name(page.name + ".part")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(page)
    except OSError as error:
        raise InputError(f"cannot write the report: {error.strerror or error}", str(page)) from None
    return page


def render(sweep: Sweep, pictures: list[Picture], missing: list[tuple[str, str]]) -> str:
    """The page as text. Everything from the file is escaped; the page loads nothing and runs nothing."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    found = effects(sweep)
    failed = sweep.failed
    return environment.get_template("sweep.html").render(
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
        failures=[
            {"number": point.number, "place": where(sweep, point.number), "repeat": point.repeat, "error": point.error}
            for point in failed[:MOST_FAILURES]
        ],
        more_failures=max(0, len(failed) - MOST_FAILURES),
        points=[_point(sweep, point) for point in sweep.points[:MOST_POINTS]],
        more_points=max(0, len(sweep.points) - MOST_POINTS),
        pictures=[(picture, base64.b64encode(picture.png).decode("ascii")) for picture in pictures],
        missing=missing,
        scenario=sweep.config.get("scenario", ""),
        attributes=list(sweep.attributes.items()),
        version=__version__,
        today=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )  # fmt: skip


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
        "number": point.number, "place": [str(value) for value in point.coordinates.values()], "repeat": point.repeat,
        "seed": point.seed, "accuracy": _percent(told.get("accuracy")), "time": _quantity(told.get("chip_time_s"), "s"),
        "energy": _quantity(told.get("energy_J"), "J"), "status": point.error or point.status,
    }  # fmt: skip


def _percent(value: Any) -> str:
    return f"{100.0 * value:.2f} %" if isinstance(value, int | float) and math.isfinite(value) else "-"


def _quantity(value: Any, unit: str) -> str:
    return show(float(value), unit) if isinstance(value, int | float) and math.isfinite(value) else "-"
