"""The report: one HTML page that needs nothing else, and the same figures as PNG files in a folder beside it."""

from __future__ import annotations

import base64
import datetime
from pathlib import Path

import jinja2

from neurosim._version import __version__
from neurosim.errors import InputError
from neurosim.report import facts as words
from neurosim.report.account import Account
from neurosim.report.figures import KINDS, Picture, draw_all
from neurosim.report.style import percent
from neurosim.trace import Trace, open_trace
from neurosim.units import show

_TEMPLATES = Path(__file__).parent / "templates"


def write_report(trace_path: Path | str, html_path: Path | str | None = None, force: bool = True) -> Path:
    """Write the report of the trace at ``trace_path``; returns the page's path.

    The page goes to ``html_path``, or beside the trace under its name; its figures go to ``NAME_figures/`` beside
    it. With ``force`` false an existing page is left alone.
    """
    with open_trace(trace_path) as trace:
        page = Path(html_path) if html_path is not None else _beside(trace.path)
        if page.is_dir():
            raise InputError("is a folder; name a file for the report, such as report.html", str(page))
        if page.exists() and not force:
            raise InputError("exists already; choose another name, or replace it with --force", str(page))
        pictures, missing = draw_all(trace)
        text = render(trace, pictures, missing)
    try:
        _write_figures(page.with_name(f"{page.stem}_figures"), pictures)
        unfinished = page.with_name(page.name + ".part")
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(page)
    except OSError as error:
        raise InputError(f"cannot write the report: {error.strerror or error}", str(page)) from None
    return page


def render(trace: Trace, pictures: list[Picture], missing: list[tuple[str, str]]) -> str:
    """The page as text. Everything from the trace is escaped; the page loads nothing and runs nothing."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    facts = words.gather(trace)
    target, target_rows = words.target_rows(facts)
    return environment.get_template("report.html").render(
        facts=facts,
        status=trace.status,
        file=trace.path.name,
        sentences=words.sentences(facts),
        key_rows=words.key_rows(facts),
        target=target,
        target_rows=target_rows,
        account=_account_rows(facts.account),
        mismatches=words.mismatches(facts),
        pictures=[(picture, base64.b64encode(picture.png).decode("ascii")) for picture in pictures],
        missing=missing,
        config=trace.config,
        summary=[*words.flat(trace.summary)],
        attributes=[*words.flat(trace.attributes)],
        version=__version__,
        today=datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _account_rows(account: Account | None) -> dict[str, object] | None:
    """The account as text: one row per action that happened, and those that never did."""
    if account is None:
        return None
    rows = [
        {
            "action": line.action,
            "count": "" if line.count is None else words.count(line.count),
            "price": "" if line.price_J is None else show(line.price_J, "J"),
            "energy": show(line.energy_J, "J"),
            "interval": f"{show(line.low_J, 'J')} … {show(line.high_J, 'J')}" if line.high_J > line.low_J else "",
            "share": percent(line.share),
            "kind": line.kind,
            "assumed": line.assumed,
            "source": line.source,
        }
        for line in sorted(account.lines, key=lambda line: -line.energy_J)
        if line.count or line.energy_J > 0.0
    ]
    interval = f"{show(account.low_J, 'J')} … {show(account.high_J, 'J')}" if account.high_J > account.low_J else ""
    never = [line.action for line in account.lines if not line.count and line.energy_J == 0.0]
    return {"rows": rows, "energy": show(account.energy_J, "J"), "interval": interval, "never": never}


def _beside(trace_path: Path) -> Path:
    """``run.h5`` and ``run.h5.part`` give ``run.html``."""
    return trace_path.with_name(trace_path.name.removesuffix(".part")).with_suffix(".html")


def _write_figures(folder: Path, pictures: list[Picture]) -> None:
    """Write the figures; those of an earlier report that this one does not have go."""
    folder.mkdir(exist_ok=True)
    for kind in KINDS:
        (folder / f"{kind.name}.png").unlink(missing_ok=True)
    for picture in pictures:
        (folder / f"{picture.name}.png").write_bytes(picture.png)
