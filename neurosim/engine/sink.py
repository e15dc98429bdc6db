"""Where a run's records go: the protocol that the engine writes to and the API fills with a trace writer.

The engine knows nothing of files. It declares tables, appends rows to them, writes single arrays, and hands
over checkpoints; a :class:`NullSink` takes everything and keeps nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Column:
    """One column of a table: a dataset ``[rows, *shape]`` in the trace."""

    name: str
    unit: str
    long_name: str
    dtype: str = "f8"
    shape: tuple[int, ...] = ()


@dataclass(frozen=True)
class Table:
    """A group of datasets that grow together, such as ``/training`` or ``/spikes/hidden``."""

    path: str
    columns: tuple[Column, ...]
    attributes: Mapping[str, Any]


class Sink(Protocol):
    """What the engine needs of a recorder."""

    def declare(self, table: Table) -> None:
        """Make a table, or find it again when a run is resumed."""

    def append(self, path: str, rows: Mapping[str, npt.ArrayLike]) -> None:
        """Add rows to a declared table: one array ``[rows, *shape]`` per column."""

    def write(self, path: str, value: npt.ArrayLike | str | list[str], unit: str, long_name: str) -> None:
        """Write one whole dataset (an array, or a list of names), replacing an older one."""

    def checkpoint(self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
        """Keep everything that is needed to go on bit for bit (``meta`` is JSON)."""

    def flush(self) -> None:
        """Put all that was appended where a crash cannot reach it."""


class NullSink:
    """Takes everything, keeps nothing."""

    def declare(self, table: Table) -> None:
        """Ignore the table."""

    def append(self, path: str, rows: Mapping[str, npt.ArrayLike]) -> None:
        """Ignore the rows."""

    def write(self, path: str, value: npt.ArrayLike | str | list[str], unit: str, long_name: str) -> None:
        """Ignore the dataset."""

    def checkpoint(self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
        """Ignore the checkpoint."""

    def flush(self) -> None:
        """Nothing to do."""
