"""What all commands print with: tables on stdout, remarks on stderr, JSON without NaN, numbers for people."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeGuard

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from neurosim.units import show

PIPE_WIDTH = 160
"""Columns of a table that goes to a file or another program, unless COLUMNS says otherwise."""

Rows = Iterable[Sequence[object]]


def console() -> Console:
    """Standard output; rich finds out whether it is a terminal and how wide."""
    width = None if sys.stdout.isatty() or os.environ.get("COLUMNS") else PIPE_WIDTH
    return Console(width=width, highlight=False, markup=False, soft_wrap=False)


def table(headers: Sequence[str], rows: Rows, *, right: Sequence[int] = ()) -> Table:
    """A table without lines; ``right`` are the columns of numbers. Text is shown as it is, brackets and all."""
    out = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_header=any(headers))
    for index, header in enumerate(headers):
        out.add_column(header, justify="right" if index in right else "left", overflow="fold")
    for row in rows:
        out.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    return out


def put(*items: object) -> None:
    """Print on standard output; wraps at words where a line is too long."""
    out = console()
    if out.is_terminal:
        for item in items:
            out.print(item)
        return
    with out.capture() as got:
        for item in items:
            out.print(item)
    typer.echo("\n".join(line.rstrip() for line in got.get().splitlines()))  # without the blanks that fill columns


def plain(text: str) -> None:
    """Print a line on standard output exactly as it is: paths and files."""
    typer.echo(text)


def note(text: str) -> None:
    """Print a line on stderr; a reader who has gone is no reason to stop."""
    try:
        typer.echo(text, err=True)
    except OSError:
        return


def put_json(value: Any) -> None:
    """Print one JSON object; numbers that JSON does not know (NaN, infinity) become null."""
    typer.echo(json.dumps(clean(value), indent=2, allow_nan=False))


def clean(value: Any) -> Any:
    """``value`` in the types of JSON."""
    if isinstance(value, Mapping):
        return {str(key): clean(item) for key, item in value.items()}
    if isinstance(value, str | bool | int) or value is None:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if hasattr(value, "tolist"):  # NumPy's numbers and arrays
        return clean(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [clean(item) for item in value]
    return str(value)


def is_number(value: Any) -> TypeGuard[float]:
    """Whether there is a finite number to show."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def count(value: Any) -> str:
    """A whole number with commas between thousands."""
    return f"{int(value):,}" if is_number(value) else "-"


def percent(value: Any) -> str:
    """A share: ``12.3 %``; small ones keep two digits, and only all of it is ``100 %``."""
    if not is_number(value):
        return "-"
    share = 100.0 * value
    if share in (0.0, 100.0):
        return f"{share:g} %"
    if abs(share) < 1.0:
        return f"{share:.2g} %"
    return f"{min(share, 99.9):.1f} %" if share < 100.0 else f"{share:.1f} %"


def accuracy(value: Any) -> str:
    """An accuracy in percent."""
    return f"{100.0 * value:.2f} %" if is_number(value) else "-"


def quantity(value: Any, unit: str) -> str:
    """A value with its unit and an SI prefix."""
    return show(float(value), unit) if is_number(value) else "-"


def interval(low: Any, high: Any, unit: str) -> str:
    """``1 mJ to 3 mJ``; empty where there is no width."""
    if not (is_number(low) and is_number(high)) or high <= low:
        return ""
    return f"{show(float(low), unit)} to {show(float(high), unit)}"


def size(octets: int) -> str:
    """Bytes for people."""
    return show(float(octets), "B") if octets >= 1000 else f"{octets} B"
