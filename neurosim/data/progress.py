"""Telling the user how far a download is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

#: called as progress(what, bytes_done, bytes_total); bytes_total is None where the server does not say
Progress = Callable[[str, int, int | None], None]


def silent(what: str, done: int, total: int | None) -> None:
    """A progress callback that shows nothing."""


@contextmanager
def shown(progress: Progress | None) -> Iterator[Progress]:
    """The caller's callback; without one, a bar on stderr if that is a terminal, else silence."""
    if progress is not None:
        yield progress
    elif sys.stderr is None or not sys.stderr.isatty():
        yield silent
    else:
        with _bar() as bar:
            yield bar


@contextmanager
def _bar() -> Iterator[Progress]:
    """A progress bar on stderr. rich is imported only here, because ``import neurosim.data`` must stay light."""
    try:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn
        from rich.progress import Progress as RichProgress
    except ImportError:
        yield silent
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as rich:
        task = rich.add_task("download", total=None)
        yield lambda what, done, total: rich.update(task, description=what, completed=done, total=total)
