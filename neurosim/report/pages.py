"""What all reports have in common: kinds of figures and how they are drawn, and the page and the folder they go to."""

from __future__ import annotations

import base64
import datetime
import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import jinja2
import matplotlib as mpl
from matplotlib.figure import Figure

from neurosim._version import __version__
from neurosim.errors import InputError
from neurosim.report import style

Subject = TypeVar("Subject")
Missing = list[tuple[str, str]]
_TEMPLATES = Path(__file__).parent / "templates"


class NotShownError(Exception):
    """Why there is nothing to draw for a figure."""


@dataclass(frozen=True)
class Picture:
    """A drawn figure."""

    name: str
    title: str
    caption: str
    png: bytes


@dataclass(frozen=True)
class Kind(Generic[Subject]):
    """A figure that can be drawn of a subject (a trace, a sweep); ``draw`` raises NotShownError where it cannot."""

    name: str
    title: str
    caption: str
    draw: Callable[[Subject], Figure]


def drawn(kinds: Sequence[Kind[Subject]], subject: Subject) -> tuple[list[Picture], Missing]:
    """Every figure that the subject has data for, and for the others: title and reason."""
    pictures: list[Picture] = []
    missing: Missing = []
    with mpl.rc_context(style.RC), warnings.catch_warnings():
        # A name may hold signs that the font lacks: a box is drawn for them.
        warnings.filterwarnings("ignore", message="Glyph")
        for kind in kinds:
            try:
                png = png_of(kind.draw(subject))
            except NotShownError as why:
                missing.append((kind.title, str(why)))
            else:
                pictures.append(Picture(kind.name, kind.title, kind.caption, png))
    return pictures, missing


def png_of(figure: Figure) -> bytes:
    """The figure as a PNG file."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def page_of(source: Path, html_path: Path | str | None, force: bool) -> Path:
    """Where the report of ``source`` goes: ``run.h5`` and ``run.h5.part`` give ``run.html``, unless a path is given.

    Raises InputError where that is a folder, or exists and ``force`` is false.
    """
    beside = source.with_name(source.name.removesuffix(".part")).with_suffix(".html")
    page = Path(html_path) if html_path is not None else beside
    if page.is_dir():
        raise InputError("is a folder; name a file for the report, such as report.html", str(page))
    if page.exists() and not force:
        raise InputError("exists already; choose another name, or replace it with --force", str(page))
    return page


def render(template: str, pictures: Sequence[Picture], **told: Any) -> str:
    """A page as text. Everything that is told is escaped; the page loads nothing and runs nothing."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    return environment.get_template(template).render(
        pictures=[(picture, base64.b64encode(picture.png).decode("ascii")) for picture in pictures],
        version=__version__,
        today=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        **told,
    )


def write(page: Path, text: str, pictures: Sequence[Picture], kinds: Sequence[Kind[Any]]) -> None:
    """Write the page, and its figures into ``NAME_figures/`` beside it; figures of an earlier report go."""
    try:
        folder = page.with_name(f"{page.stem}_figures")
        folder.mkdir(exist_ok=True)
        for kind in kinds:
            (folder / f"{kind.name}.png").unlink(missing_ok=True)
        for picture in pictures:
            (folder / f"{picture.name}.png").write_bytes(picture.png)
        unfinished = page.with_name(page.name + ".part")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(page)
    except OSError as error:
        raise InputError(f"cannot write the report: {error.strerror or error}", str(page)) from None
