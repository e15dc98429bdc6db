"""Against silicon: what published activity on the shipped chips comes to, beside what was measured.

    python bench/silicon.py [ROW ...]        the tables, as Markdown; with names, those rows with their inputs
    python bench/silicon.py --write FILE     write the tables into FILE, between its markers (docs/silicon.md)

Nothing is fitted: activity goes through a chip file's prices, a ledger and its bill, or through ``ns.Simulation`` where
the network is published. ``silicon.toml`` holds every input with its source.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import silicon_case
from silicon_case import Book, Case, Input, Prediction
from silicon_counts import ADJUST, COUNTS

from neurosim import models

HEAD = "| system | figure | predicted | interval | measured | predicted / measured |\n|---|---|---|---|---|---|"


def predictions(book: Book, cases: Sequence[Case]) -> dict[str, Prediction | None]:
    """By key; None for rows that cannot be predicted."""
    models.load_builtin()
    return {case.key: silicon_case.predict(book, case, COUNTS, ADJUST) for case in cases}


def number(value: float) -> str:
    """Three digits."""
    return f"{float(f'{value:.3g}'):,.15g}"


def row(case: Case, found: Prediction | None) -> str:
    """One line of the table; what it claims depends on how much of the activity is published."""
    return f"| {case.system} | {case.what} | {' | '.join(_cells(case, found))} |"


def _cells(case: Case, found: Prediction | None) -> tuple[str, str, str, str]:
    measured = f"{number(case.measured)} {case.unit}".rstrip()
    if found is None:
        return "–", "–", measured, "not predicted"
    middle, interval = (
        f"{number(found.nominal)} {case.unit}",
        f"{number(found.low)} to {number(found.high)} {case.unit}",
    )
    low, ratio, high = (number(each) for each in found.ratio(case.measured))
    return {
        "predicted": (middle, interval, measured, f"**{ratio}**"),
        "bracket": ("–", interval, measured, f"{low} to {high}"),
        "circular": (middle, interval, measured, f"{ratio}, not scored"),
        "none": ("–", f"at least {number(found.low)} {case.unit}", measured, "not predicted"),
    }[case.status]


def table(book: Book, cases: Sequence[Case]) -> str:
    """Predicted and measured of each case."""
    found = predictions(book, cases)
    return "\n".join([HEAD, *(row(case, found[case.key]) for case in cases)])


def reasons(cases: Sequence[Case]) -> str:
    """Why each is off, or not predicted."""
    return "\n".join(f"- **{case.system}, {case.what}**: {case.why}." for case in cases)


def inputs(book: Book, cases: Sequence[Case]) -> str:
    """Every input that the cases use, once, with its source."""
    keys = dict.fromkeys(key for case in cases for key in case.inputs.values())
    lines = ["| input | value | kind | source |", "|---|---|---|---|"]
    for key in keys:
        given = book.inputs[key]
        hand = " (second-hand)" if given.second_hand else ""
        lines.append(f"| {key} | {_span(given)} | {given.kind} | {given.source}{hand} |")
    return "\n".join(lines)


def _span(given: Input) -> str:
    ends = f" ({number(given.at('low'))} to {number(given.at('high'))})"
    return f"{given.value:,.15g}{ends if given.at('low') < given.at('high') else ''} {given.unit}"


def blocks(book: Book) -> dict[str, str]:
    """What ``--write`` puts between ``<!-- NAME -->`` and ``<!-- end -->``."""
    return {
        "rows": table(book, book.rows),
        "reasons": reasons(book.rows),
        "others": table(book, book.others),
        "other-reasons": reasons(book.others),
        "inputs": inputs(book, [*book.rows, *book.others]),
    }


def written(text: str, found: dict[str, str]) -> str:
    """The page with every block in its place; raises ValueError where a marker is missing."""
    for name, block in found.items():
        pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.S)
        if not pattern.search(text):
            raise ValueError(f"no <!-- {name} --> ... <!-- end --> in the page")
        text = pattern.sub(_placer(block), text)
    return text


def _placer(block: str) -> Callable[[re.Match[str]], str]:
    return lambda match: f"{match[1]}\n{block}\n\n{match[2]}"


def main() -> None:
    """Print, or write."""
    book = silicon_case.read()
    known = [case.key for case in (*book.rows, *book.others)]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="ROW", help=f"of {', '.join(known)}")
    parser.add_argument("--write", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in known]
    if unknown:
        parser.error(f"no such row: {', '.join(unknown)}")
    if arguments.write:
        page = written(arguments.write.read_text(encoding="utf-8"), blocks(book))
        arguments.write.write_text(page, encoding="utf-8")
    elif arguments.names:
        chosen = [book.case(name) for name in arguments.names]
        print(f"{table(book, chosen)}\n\n{reasons(chosen)}\n\n{inputs(book, chosen)}")
    else:
        print(f"{table(book, book.rows)}\n\n{table(book, book.others)}")


if __name__ == "__main__":
    main()
