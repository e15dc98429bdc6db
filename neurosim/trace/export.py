"""A trace's tables as CSV files, with units in the headers."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from neurosim.errors import InputError
from neurosim.trace.reader import Trace
from neurosim.trace.tables import LedgerView, TableView

_WIDEST = 256
"""A column whose rows hold more values than this gets its own file: one line per value, with its indices."""
_BLOCK_ROWS = 8192


def to_csv(trace: Trace, folder: Path | str, *, force: bool = False) -> list[Path]:
    """Write each table as ``folder/NAME.csv``, and the ledger's prices; returns the files."""
    folder = Path(folder)
    plans: dict[Path, Iterator[list[Any]]] = {}
    for name in trace.tables:
        table = trace.ledger if name == "/ledger" else trace.table(name)
        wide = [column for column in table.columns if _width(table, column) > _WIDEST]
        plans[folder / _file_name(name)] = _rows(table, [column for column in table.columns if column not in wide])
        for column in wide:
            plans[folder / _file_name(f"{name}/{column}")] = _values(table, column)
        if isinstance(table, LedgerView) and table.prices:
            plans[folder / _file_name(name + "/price")] = _prices(table)
    existing = [str(path) for path in plans if path.exists()]
    if existing and not force:
        raise InputError([f"{path} exists already; replace it with --force" for path in existing])
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, lines in plans.items():
            with path.open("w", newline="", encoding="utf-8") as stream:
                csv.writer(stream).writerows(lines)
    except OSError as error:
        raise InputError(f"cannot write: {error.strerror or error}", str(folder)) from None
    return list(plans)


def _file_name(table: str) -> str:
    return re.sub(r"[^\w.-]+", "_", table.strip("/")) + ".csv"


def _width(table: TableView, column: str) -> int:
    return int(np.prod(table.shape(column), dtype=np.int64))


def _rows(table: TableView, columns: Sequence[str]) -> Iterator[list[Any]]:
    """One line per row of the table."""
    yield [f"{label} [{table.unit(column)}]" for column in columns for label in _labels(table, column)]
    for start in range(0, len(table), _BLOCK_ROWS):
        blocks = [table.read(column, start, start + _BLOCK_ROWS) for column in columns]
        flat = [values.reshape(len(values), -1) for values in blocks]
        for lines in zip(*flat, strict=True):
            yield [_cell(value) for line in lines for value in line.tolist()]


def _labels(table: TableView, column: str) -> list[str]:
    shape = table.shape(column)
    if not shape:
        return [column]
    names: tuple[str, ...] = ()
    if isinstance(table, LedgerView):
        names = table.phases if column == "phase_time_s" else table.actions
    if shape == (len(names),):
        return [f"{column}:{name}" for name in names]
    return [f"{column}[{','.join(map(str, place))}]" for place in product(*(range(size) for size in shape))]


def _values(table: TableView, column: str) -> Iterator[list[Any]]:
    """One line per value of a column, with its indices; the table's plain columns repeat on each."""
    plain = [name for name in table.columns if not table.shape(name)]
    axes = [f"index_{axis}" for axis in range(len(table.shape(column)))]
    yield [*(f"{name} [{table.unit(name)}]" for name in plain), *axes, f"{column} [{table.unit(column)}]"]
    for index in range(len(table)):
        keys = [table.read(name, index, index + 1)[0].item() for name in plain]
        for place, value in np.ndenumerate(table.read(column, index, index + 1)[0]):
            yield [*keys, *place, value.item()]


def _prices(ledger: LedgerView) -> Iterator[list[Any]]:
    columns = list(dict.fromkeys(key for price in ledger.prices.values() for key in price))
    yield ["action", *(f"{key} [J]" if key.endswith("_J") else key for key in columns)]
    for action, price in ledger.prices.items():
        yield [_cell(action), *(_cell(price.get(key, "")) for key in columns)]


def _cell(value: Any) -> Any:
    """Text that a spreadsheet would take for a formula is marked as text."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return "'" + value if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value
