"""Writes a trace: the sink that the API gives to the engine.

The file grows as ``RUN.h5.part`` in the earliest HDF5 format and is flushed block by block, so a killed process
leaves a file that opens. It gets its final name when it is closed.
"""

from __future__ import annotations

import importlib.metadata
import platform
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
import numpy.typing as npt

from neurosim._version import __version__
from neurosim.engine.sink import Column, Table
from neurosim.errors import InputError, TraceError
from neurosim.trace import attributes, checkpoints, guard, layout
from neurosim.trace.checkpoints import Checkpoint
from neurosim.trace.datasets import follow, text_array
from neurosim.trace.layout import Status
from neurosim.trace.reader import open_trace
from neurosim.trace.staged import StagedFile, check_unlocked
from neurosim.trace.tables import COLUMNS, ORDER, column_problem

_OPEN, _CLOSED, _RENAMED, _FAILED = "open", "closed", "renamed", "failed"


class _Growing:
    """A table in the file, and the rows that wait to be written to it."""

    def __init__(self, table: Table, columns: dict[str, Any], rows: int) -> None:
        self.table = table
        self.columns = columns
        self.rows = rows
        self._waiting: list[dict[str, np.ndarray]] = []
        self.waiting_bytes = 0

    def add(self, rows: Mapping[str, npt.ArrayLike]) -> None:
        """Keep a copy of ``rows`` (the engine goes on using its arrays)."""
        if rows.keys() != self.columns.keys():
            odd = sorted(rows.keys() ^ self.columns.keys())
            raise TraceError(f"{self.table.path}: columns missing or unknown: {', '.join(odd)}")
        path = self.table.path
        block = {column.name: _column_values(path, column, rows[column.name]) for column in self.table.columns}
        if len({len(values) for values in block.values()}) > 1:
            lengths = {name: len(values) for name, values in block.items()}
            raise TraceError(f"{path}: columns of one append differ in length: {lengths}")
        self._waiting.append(block)
        self.waiting_bytes += sum(values.nbytes for values in block.values())

    def drain(self) -> None:
        """Write what waits. Doing it twice (an interrupt came in between) writes the same rows to the same place."""
        if not self._waiting:
            return
        end = self.rows
        for name, dataset in self.columns.items():
            blocks = [block[name] for block in self._waiting]
            values = np.concatenate(blocks) if len(blocks) > 1 else blocks[0]
            end = self.rows + len(values)
            dataset.resize(end, axis=0)
            if len(values):
                dataset[self.rows : end] = values
        self._waiting, self.rows, self.waiting_bytes = [], end, 0


class TraceWriter:
    """An open trace that grows; see :class:`neurosim.engine.sink.Sink` for what the engine calls."""

    def __init__(
        self, staged: StagedFile, part: Path, *, new: bool, force: bool, last: Checkpoint | None = None
    ) -> None:
        self._staged = staged
        self._part = part
        self._force = force
        self._tables: dict[str, _Growing] = {}
        self._last = last
        self._sequence = last.sequence if last else 0
        self._state = _OPEN
        with guard.writing(part):
            self._file = h5py.File(staged, "w" if new else "r+", libver="earliest")

    @classmethod
    def create(cls, path: Path | str, *, force: bool, attributes: Mapping[str, Any]) -> TraceWriter:
        """Start a new trace; ``attributes`` (seed, rng_version ...) go to the root beside format and versions."""
        path, part = layout.final_of(Path(path)), layout.part_of(Path(path))
        try:
            _refuse_existing(path, part, force)
            staged = StagedFile.create(part)
        except OSError as error:
            raise guard.refusal(error, part) from None
        writer = cls(staged, part, new=True, force=force)
        with writer._guarded():
            writer._set_root(attributes)
            writer._commit()
        return writer

    @classmethod
    def resume(cls, path: Path | str, out: Path | str | None = None, *, force: bool = False) -> TraceWriter:
        """Go on with a trace from its newest checkpoint: rows that came after it are dropped.

        Works in the same file, or in a copy at ``out``. Nothing is touched before everything is known to be right.
        ``last_checkpoint`` holds what the engine needs.
        """
        with open_trace(path) as trace:
            source = trace.path
            if trace.status == "complete":
                raise InputError("is complete: there is nothing to resume", str(source))
            last = trace.load_checkpoint()
            for name, rows in last.lengths.items():
                if rows > 0 and (not trace.has_table(name) or len(trace.table(name)) < rows):
                    raise TraceError(f"{source}: {name} has lost rows since its checkpoint: the file is damaged")
        goal = layout.final_of(source if out is None else Path(out))
        part = layout.part_of(goal)
        try:
            staged = _staged_copy(source, goal, part, force) if out is not None else _staged_in_place(source, part)
        except OSError as error:
            raise guard.refusal(error, part) from None
        writer = cls(staged, part, new=False, force=force or out is None, last=last)
        with writer._guarded():
            _truncate(writer._file, source, last.lengths)
            writer._file.attrs["status"] = "running"
            if "summary" in writer._file:
                del writer._file["summary"]
            writer._commit()
        return writer

    @property
    def path(self) -> Path:
        """Where the trace stands now: ``RUN.h5.part``, or ``RUN.h5`` once it is closed."""
        return layout.final_of(self._part) if self._state == _RENAMED else self._part

    @property
    def last_checkpoint(self) -> Checkpoint | None:
        """The checkpoint that a resumed trace goes on from (``.arrays``, ``.meta``); None for a new trace."""
        return self._last

    def declare(self, table: Table) -> None:
        """Make a table, or find it again when a run is resumed."""
        if table.path in self._tables:
            raise TraceError(f"{table.path} is declared twice")
        with self._guarded():
            group = self._file.require_group(table.path)
            datasets = {column.name: _column_dataset(group, table, column) for column in table.columns}
            lengths = {dataset.shape[0] for dataset in datasets.values()}
            if len(lengths) != 1:
                raise TraceError(f"{self._part}: the columns of {table.path} differ in length")
            own = {COLUMNS: [column.name for column in table.columns], ORDER: len(self._tables)}
            attributes.write(group, {**table.attributes, **own})
            self._tables[table.path] = _Growing(table, datasets, lengths.pop())

    def append(self, path: str, rows: Mapping[str, npt.ArrayLike]) -> None:
        """Add rows to a declared table: one array ``[rows, *shape]`` per column."""
        table = self._tables.get(path)
        if table is None:
            raise TraceError(f"{path} was not declared (declared: {', '.join(self._tables) or 'nothing'})")
        self._check_open()
        table.add(rows)
        if table.waiting_bytes >= layout.BUFFER_BYTES:
            with self._guarded():
                table.drain()
            if self._staged.waiting >= layout.STAGED_BYTES:
                self.flush()

    def write(self, path: str, value: npt.ArrayLike | str, unit: str, long_name: str) -> None:
        """Write one whole dataset (numbers, a text, or a list of texts), replacing an older one."""
        array = np.asarray(value)
        if array.dtype.kind in "UO":
            array = text_array(value if isinstance(value, str) else [str(item) for item in array.reshape(-1)])
        elif array.dtype.kind not in "biufcS":
            raise TraceError(f"{path}: the type {array.dtype} cannot be kept in a trace")
        with self._guarded():
            if path in self._file:
                del self._file[path]
            dataset = self._file.create_dataset(path, data=array)
            dataset.attrs.update({"unit": unit, "long_name": long_name})

    def checkpoint(self, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any]) -> None:
        """Keep everything that is needed to go on bit for bit (``meta`` is JSON), and put it on the disk."""
        with self._guarded():
            self._drain()
            lengths = {path: table.rows for path, table in self._tables.items()}
            checkpoints.save(self._file, self._sequence + 1, arrays, meta, lengths)
            self._sequence += 1
            self._commit(durable=True)

    def flush(self) -> None:
        """Put all that was appended where a crash cannot reach it."""
        with self._guarded():
            self._drain()
            self._commit()

    def close(self, status: Status, summary: Mapping[str, Any] | None = None) -> Path:
        """Write ``/summary`` and the status, and give the file its final name; returns where it stands.

        After a failed write (a full disk) nothing more is written and the file keeps its name ``RUN.h5.part``.
        With the status ``running`` it keeps it as well. Closing twice does nothing.
        """
        if self._state != _OPEN:
            return self.path
        with self._guarded():
            self._drain()
            if "summary" in self._file:
                del self._file["summary"]
            attributes.write(self._file.create_group("summary"), summary or {})
            self._file.attrs["status"] = status
            self._file.close()
            self._staged.commit(durable=True)
            self._shut(_CLOSED)
        final = layout.final_of(self._part)
        if status not in layout.FINISHED:
            return self._part
        if final.exists() and not self._force:
            raise TraceError(f"{final} appeared while the run went on; the trace stays at {self._part}")
        with guard.writing(self._part):
            self._part.replace(final)
        self._state = _RENAMED
        return final

    def abandon(self) -> None:
        """Let go of the file as it was at its last flush, under its name ``RUN.h5.part``."""
        if self._state == _OPEN:
            self._shut(_CLOSED)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abandon()

    def __repr__(self) -> str:
        return f"TraceWriter({str(self.path)!r}, {len(self._tables)} tables)"

    def _check_open(self) -> None:
        if self._state == _FAILED:
            raise TraceError(f"{self._part}: an earlier write failed, nothing more is written")
        if self._state != _OPEN:
            raise TraceError(f"{self._part}: the trace is closed")

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Around everything that writes: after a fault, nothing more is written."""
        self._check_open()
        with guard.uninterrupted():
            try:
                with guard.writing(self._part):
                    yield
            except guard.WriteFailed:
                self._shut(_FAILED)
                raise

    def _drain(self) -> None:
        for table in self._tables.values():
            table.drain()

    def _commit(self, *, durable: bool = False) -> None:
        self._file.flush()
        self._staged.commit(durable=durable)

    def _shut(self, state: str) -> None:
        """Close both files; what HDF5 still wants to write stays in memory and is lost with it."""
        self._state = state
        with suppress(OSError, RuntimeError, ValueError):
            self._file.close()
        self._staged.close()

    def _set_root(self, given: Mapping[str, Any]) -> None:
        own = {
            "format": layout.FORMAT,
            "format_version": layout.FORMAT_VERSION,
            "status": "running",
            "neurosim": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "h5py": h5py.__version__,
            "numba": _version("numba"),
        }
        attributes.write(self._file, {**given, **own})


def _refuse_existing(path: Path, part: Path, force: bool) -> None:
    if path.is_dir():
        raise InputError("is a folder; name a file for the trace, such as run.h5", str(path))
    if force:
        return
    if path.exists():
        raise InputError("exists already; choose another name, or replace it with --force", str(path))
    if part.exists():
        raise InputError(
            f"is left from a run that did not end; go on:  neurosim run --resume {part}  or replace it: --force",
            str(part),
        )


def _staged_copy(source: Path, goal: Path, part: Path, force: bool) -> StagedFile:
    """A copy of the trace to resume, opened."""
    if goal.exists() and goal.samefile(source):
        raise InputError("is the trace to resume; leave -o away to go on in the same file", str(goal))
    _refuse_existing(goal, part, force)
    check_unlocked(source)
    try:
        shutil.copyfile(source, part)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    return StagedFile.open(part)


def _staged_in_place(source: Path, part: Path) -> StagedFile:
    """The trace to resume itself, opened and under its unfinished name again."""
    if part != source and part.exists():
        raise InputError(f"lies beside {source.name}: name the one to resume, and move the other away", str(part))
    staged = StagedFile.open(source)
    if part != source:
        source.rename(part)
    return staged


def _truncate(file: Any, path: Path, lengths: Mapping[str, int]) -> None:
    """Cut every table to what it held at the checkpoint; later ones become empty."""
    found: list[str] = []
    file.visititems(lambda name, item: found.append("/" + name) if COLUMNS in item.attrs else None)
    for table in found:
        for name in file[table].attrs[COLUMNS]:
            dataset = follow(file, f"{table}/{name}", path)
            if dataset is not None and dataset.shape[0] > lengths.get(table, 0):
                dataset.resize(lengths.get(table, 0), axis=0)


def _column_dataset(group: Any, table: Table, column: Column) -> Any:
    path, dtype = table.path, np.dtype(column.dtype)
    if column.name in group:
        dataset = group[column.name]
        problem = column_problem(dataset, dtype, column.shape)
        if problem:
            raise TraceError(f"{path}/{column.name}: {problem}; was the trace made by another version?")
        return dataset
    row_bytes = dtype.itemsize * int(np.prod(column.shape, dtype=np.int64))
    wanted = bool(table.attributes.get(layout.PACKED, False))
    rows = layout.chunk_rows(path, row_bytes, int(table.attributes.get("neurons", 0)), wanted)
    small = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
    packed = small if layout.is_packed(path, dtype.itemsize, wanted) else {}
    dataset = group.create_dataset(
        column.name,
        shape=(0, *column.shape),
        maxshape=(None, *column.shape),
        chunks=(rows, *(max(1, size) for size in column.shape)),
        dtype=dtype,
        **packed,
    )
    dataset.attrs.update({"unit": column.unit, "long_name": column.long_name})
    return dataset


def _column_values(path: str, column: Column, values: npt.ArrayLike) -> np.ndarray:
    array = np.asarray(values)
    dtype = np.dtype(column.dtype)
    if array.size == 0 and array.shape[:1] == (0,):
        return np.empty((0, *column.shape), dtype)
    if array.dtype != dtype and not np.can_cast(array.dtype, dtype, casting="same_kind"):
        raise TraceError(f"{path}/{column.name}: {array.dtype} does not fit into {dtype}")
    if array.shape[1:] != column.shape or array.ndim == 0:
        raise TraceError(f"{path}/{column.name}: rows have the shape {array.shape[1:]}, declared was {column.shape}")
    return array.astype(dtype, copy=True)


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "none"
