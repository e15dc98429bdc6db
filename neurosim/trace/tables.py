"""Views of the tables of a trace: columns as NumPy arrays, read when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from neurosim.errors import TraceError
from neurosim.trace import attributes, guard
from neurosim.trace.datasets import checked, follow, texts_of

COLUMNS = "columns"
"""The attribute of a group that makes it a table: the names of its columns, in order."""
ORDER = "order"
"""When a table was declared: HDF5 itself would list tables by name, and layers have an order."""


def column_problem(dataset: Any, dtype: np.dtype[Any], shape: tuple[int, ...]) -> str:
    """Why a dataset found in a file cannot be the declared column; empty where it can."""
    if dataset.dtype != dtype:
        return f"holds {dataset.dtype}, declared is {dtype}"
    if dataset.shape[1:] != shape:
        return f"rows have the shape {dataset.shape[1:]}, declared is {shape}"
    return ""


class TableView:
    """A table: ``view["cost"]`` or ``view.cost`` is a column, ``len(view)`` the number of rows."""

    def __init__(self, group: Any, path: Path) -> None:
        self._group = group
        self._path = path
        with guard.reading(path, self.name):
            names = attributes.plain(group.attrs[COLUMNS], path, self.name)
            self._datasets = {name: checked(follow(group, name, path), path) for name in names}
            self._rows = min((dataset.shape[0] for dataset in self._datasets.values()), default=0)

    @property
    def name(self) -> str:
        """Its path in the file."""
        return str(self._group.name)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, in order."""
        return tuple(self._datasets)

    @property
    def attributes(self) -> dict[str, Any]:
        """What was said about the table when it was declared."""
        with guard.reading(self._path, self.name):
            return {
                str(key): attributes.plain(value, self._path, self.name)
                for key, value in self._group.attrs.items()
                if key not in (COLUMNS, ORDER)
            }

    def unit(self, column: str) -> str:
        """The unit of a column: ``1`` where it has none."""
        return self._described(column, "unit", "1")

    def long_name(self, column: str) -> str:
        """What a column holds, in words."""
        return self._described(column, "long_name", column)

    def shape(self, column: str) -> tuple[int, ...]:
        """The shape of one row of a column."""
        return tuple(int(size) for size in self._dataset(column).shape[1:])

    def read(self, column: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Rows ``start`` to ``stop`` of a column, without reading the others; negative numbers count from the end."""
        first, last, _ = slice(start, stop).indices(self._rows)
        with guard.reading(self._path, f"{self.name}/{column}"):
            return np.asarray(self._dataset(column)[first : max(first, last)])

    def row(self, index: int) -> dict[str, np.ndarray]:
        """One row: every column's value; ``-1`` is the last."""
        where = range(self._rows)[index]
        return {column: self.read(column, where, where + 1)[0] for column in self.columns}

    def __getitem__(self, column: str) -> np.ndarray:
        if column not in self._datasets:
            raise KeyError(f"{self.name} has no column {column!r} (columns: {', '.join(self.columns)})")
        return self.read(column)

    def __getattr__(self, column: str) -> np.ndarray:
        if not column.startswith("_") and column in self._datasets:
            return self.read(column)
        raise AttributeError(f"{type(self).__name__} has neither an attribute nor a column {column!r}")

    def __contains__(self, column: object) -> bool:
        return column in self._datasets

    def __iter__(self) -> Iterator[str]:
        return iter(self._datasets)

    def __len__(self) -> int:
        return int(self._rows)

    def __repr__(self) -> str:
        return f"<{self.name}: {len(self)} rows of {', '.join(self.columns)}>"

    def _dataset(self, column: str) -> Any:
        if column not in self._datasets:
            raise KeyError(f"{self.name} has no column {column!r} (columns: {', '.join(self.columns)})")
        return self._datasets[column]

    def _described(self, column: str, key: str, default: str) -> str:
        dataset = self._dataset(column)
        with guard.reading(self._path, f"{self.name}/{column}"):
            return str(attributes.plain(dataset.attrs[key], self._path, column)) if key in dataset.attrs else default


class LedgerView(TableView):
    """The ledger: each row holds the sums from the start of the run."""

    @property
    def actions(self) -> tuple[str, ...]:
        """What the columns ``counts`` and ``energy_J`` count, in order."""
        return self._names("action")

    @property
    def phases(self) -> tuple[str, ...]:
        """What the columns of ``phase_time_s`` stand for, in order."""
        return self._names("phase")

    @property
    def prices(self) -> dict[str, dict[str, Any]]:
        """For each action: ``energy_J``, ``low_J``, ``high_J``, ``kind``, ``source`` (those that the trace holds)."""
        with guard.reading(self._path, f"{self.name}/price"):
            group = follow(self._group, "price", self._path)
            if group is None:
                return {}
            columns: dict[str, list[Any]] = {}
            for key in group:
                dataset = checked(follow(group, key, self._path), self._path)
                columns[str(key)] = texts_of(dataset) if dataset.dtype.kind in "SO" else dataset[...].tolist()
            return {
                action: {key: values[index] for key, values in columns.items() if index < len(values)}
                for index, action in enumerate(self.actions)
            }

    def total(self, column: str) -> np.ndarray:
        """A column's sum over the run, which is its last row; zeros where nothing was recorded."""
        if len(self) == 0:
            return np.zeros(self.shape(column))
        return np.asarray(self.read(column, -1)[0])

    def _names(self, name: str) -> tuple[str, ...]:
        with guard.reading(self._path, f"{self.name}/{name}"):
            dataset = follow(self._group, name, self._path)
            return () if dataset is None else tuple(texts_of(checked(dataset, self._path)))


class Layers(Mapping[str, TableView]):
    """The tables of one kind, by layer: ``trace.weights["hidden"]``."""

    def __init__(self, name: str, tables: Mapping[str, TableView]) -> None:
        self._name = name
        self._tables = dict(tables)

    def __getitem__(self, layer: str) -> TableView:
        if layer not in self._tables:
            raise KeyError(f"{self._name} has no layer {layer!r} (layers: {', '.join(self._tables) or 'none'})")
        return self._tables[layer]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def __repr__(self) -> str:
        return f"<{self._name}: {', '.join(self._tables) or 'none'}>"


def missing(path: Path, name: str, known: list[str]) -> TraceError:
    """What a user reads who asks for a table that was not recorded."""
    return TraceError(f"{path}: has no table {name} (tables: {', '.join(known) or 'none'})")
