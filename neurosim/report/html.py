"""The report: one HTML page that needs nothing else, and the same figures as PNG files in a folder beside it."""

from __future__ import annotations

from pathlib import Path

from neurosim.report import facts as words
from neurosim.report import pages
from neurosim.report.account import Account
from neurosim.report.figures import KINDS, draw_all
from neurosim.report.pages import Picture
from neurosim.report.style import percent
from neurosim.trace import Trace, open_trace
from neurosim.units import show


def write_report(trace_path: Path | str, html_path: Path | str | None = None, force: bool = True) -> Path:
    """Write the report of the trace at ``trace_path``; returns the page's path.

    The page goes to ``html_path``, or beside the trace under its name; its figures go to ``NAME_figures/`` beside
    it. With ``force`` false an existing page is left alone.
    """
    with open_trace(trace_path) as trace:
        page = pages.page_of(trace.path, html_path, force)
        pictures, missing = draw_all(trace)
        text = render(trace, pictures, missing)
    pages.write(page, text, pictures, KINDS)
    return page


def render(trace: Trace, pictures: list[Picture], missing: list[tuple[str, str]]) -> str:
    """The page as text."""
    facts = words.gather(trace)
    target, target_rows = words.target_rows(facts)
    return pages.render(
        "report.html",
        pictures,
        facts=facts,
        hypothetical=facts.hypothetical,
        note=facts.note,
        status=trace.status,
        file=trace.path.name,
        sentences=words.sentences(facts),
        key_rows=words.key_rows(facts),
        target=target,
        target_rows=target_rows,
        account=_account_rows(facts.account),
        mismatches=words.mismatches(facts),
        missing=missing,
        config=trace.config,
        summary=[*words.flat(trace.summary)],
        file_kind="trace",
        attributes=[*words.flat(trace.attributes)],
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
