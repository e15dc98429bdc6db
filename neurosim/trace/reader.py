"""Reads a trace, finished or not. Nothing in the file is ever executed: no pickles, no objects, no links out."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np

from neurosim.errors import InputError, TraceError
from neurosim.trace import attributes, checkpoints, guard, layout
from neurosim.trace.checkpoints import Checkpoint
from neurosim.trace.datasets import checked, follow, texts_of
from neurosim.trace.spikes import SpikesView
from neurosim.trace.staged import StagedFile, recover
from neurosim.trace.tables import COLUMNS, ORDER, Layers, LedgerView, TableView, missing

_DEEPEST = 8


def open_trace(path: Path | str) -> Trace:
    """Open the trace at ``path``; where a run has not ended, its ``path.part`` is found as well."""
    found = _find(Path(path))
    _check_signature(found)
    try:
        staged = recover(found)
        file = _open_file(found) if staged is None else h5py.File(staged, "r")
    except OSError as error:
        raise _unreadable(found, error) from None
    trace = Trace(file, found, staged)
    try:
        _check_format(file, found)
    except BaseException:
        trace.close()
        raise
    return trace


def _open_file(path: Path) -> Any:
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if not guard.is_locked(error):
            raise
        return h5py.File(path, "r", locking=False)  # another process writes it: look at what it has flushed


class Trace:
    """A trace that is open for reading; close it, or use it in a ``with`` block."""

    def __init__(self, file: Any, path: Path, staged: StagedFile | None = None) -> None:
        self._file = file
        self._staged = staged
        self.path = path

    @cached_property
    def attributes(self) -> dict[str, Any]:
        """The root's attributes: format, versions, seed ..."""
        with guard.reading(self.path):
            return {str(key): attributes.plain(value, self.path, f"@{key}") for key, value in self._open.attrs.items()}

    @property
    def status(self) -> str:
        """``running`` (or killed), ``complete``, ``interrupted`` or ``failed``."""
        return str(self.attributes.get("status", "running"))

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The keys of ``neurosim run --json``; empty while the run goes on."""
        with guard.reading(self.path, "/summary"):
            group = follow(self._open, "summary", self.path)
            return attributes.read(group, self.path) if isinstance(group, h5py.Group) else {}

    @cached_property
    def config(self) -> dict[str, str]:
        """TOML text of the ``chip`` and the ``scenario``, as resolved."""
        with guard.reading(self.path, "/config"):
            group = follow(self._open, "config", self.path)
            names = [str(name) for name in group] if isinstance(group, h5py.Group) else []
        return {name: self.text(f"/config/{name}") for name in names}

    @property
    def training(self) -> TableView:
        """The training curve."""
        return self.table("/training")

    @property
    def eval(self) -> TableView:
        """Accuracy and cost on the test samples."""
        return self.table("/eval")

    @property
    def ledger(self) -> LedgerView:
        """Counts, energy and time, by action."""
        return LedgerView(self._group("/ledger"), self.path)

    @property
    def agreement(self) -> TableView:
        """Share of δ signs that equal the true gradient's, by layer."""
        return self.table("/agreement")

    @property
    def spikes(self) -> Layers:
        """Spikes by layer: ``tick``, ``neuron``, ``sample``."""
        return self._layers("/spikes")

    @property
    def weights(self) -> Layers:
        """Weights by layer: ``tick``, ``value``."""
        return self._layers("/weights")

    @property
    def delta(self) -> Layers:
        """δ-vectors by layer: ``tick``, ``value[classes, neurons]``."""
        return self._layers("/astrocyte/delta")

    @cached_property
    def tables(self) -> tuple[str, ...]:
        """Paths of all tables, in the order in which they were declared."""
        with guard.reading(self.path):
            found = sorted(_tables_below(self._open, ""))
            return tuple(name for _, name in found if not layout.is_inside(name))

    def has_table(self, name: str) -> bool:
        """Whether there is a table at this path."""
        with guard.reading(self.path, name):
            group = follow(self._open, name, self.path)
            return isinstance(group, h5py.Group) and COLUMNS in group.attrs

    def table(self, name: str) -> TableView:
        """The table at this path, such as ``/training``."""
        group = self._group(name)
        if name.startswith(layout.EVENT_STREAMS) and layout.WHEN in group:
            return SpikesView(group, self.path)
        return TableView(group, self.path)

    def array(self, name: str) -> np.ndarray:
        """A single dataset of numbers."""
        with guard.reading(self.path, name):
            return np.asarray(self._dataset(name)[()])

    def text(self, name: str) -> str:
        """A single text."""
        return "\n".join(self.texts(name))

    def texts(self, name: str) -> list[str]:
        """A list of texts."""
        with guard.reading(self.path, name):
            return texts_of(self._dataset(name))

    def checkpoint(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Arrays and meta of the newest whole checkpoint; TraceError where there is none."""
        found = self.load_checkpoint()
        return found.arrays, found.meta

    def load_checkpoint(self) -> Checkpoint:
        """The newest whole checkpoint, with the lengths of the tables at its time."""
        return checkpoints.load(self._open, self.path)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._staged is not None:
            self._staged.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        if self._file is None:
            return f"<Trace {self.path.name}: closed>"
        told = self.summary
        what = f"{told['scenario']} on {told['chip']}" if {"scenario", "chip"} <= told.keys() else "no summary"
        rows = ", ".join(f"{name} ({len(self.table(name))})" for name in self.tables)
        seed = self.attributes.get("seed", "?")
        return f"<Trace {self.path.name}: {self.status}, {what}, seed {seed}; {rows or 'no tables'}>"

    @property
    def _open(self) -> Any:
        if self._file is None:
            raise TraceError(f"{self.path}: the trace is closed")
        return self._file

    def _group(self, name: str) -> Any:
        if not self.has_table(name):
            raise missing(self.path, name, list(self.tables))
        return follow(self._open, name, self.path)

    def _dataset(self, name: str) -> Any:
        found = follow(self._open, name, self.path)
        if found is None:
            raise TraceError(f"{self.path}: has no dataset {name}")
        return checked(found, self.path)

    def _layers(self, folder: str) -> Layers:
        below = [name for name in self.tables if name.startswith(folder + "/")]
        return Layers(folder, {name.removeprefix(folder + "/"): self.table(name) for name in below})


def _find(path: Path) -> Path:
    part = layout.part_of(path)
    try:
        for candidate in (path, part):
            if candidate.is_dir():
                raise InputError("is a folder; name a trace file", str(candidate))
            if candidate.exists():
                return candidate
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", str(path)) from None
    raise InputError(f"no such file (nor {part.name})", str(path))


def _check_signature(path: Path) -> None:
    try:
        with path.open("rb") as stream:
            head = stream.read(len(layout.SIGNATURE))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", str(path)) from None
    if not head:
        raise TraceError(f"{path}: the file is empty (the run was killed before it wrote anything)")
    if head != layout.SIGNATURE:
        raise InputError("not an HDF5 file, so not a trace", str(path))


def _unreadable(path: Path, error: OSError) -> TraceError:
    """Why HDF5 cannot open a file that begins like one of its own."""
    text = str(error)
    if "truncated file" in text:
        return TraceError(f"{path}: the file is truncated: its end is missing (a copy that broke off?)")
    return TraceError(f"{path}: the file is damaged and cannot be opened ({text})")


def _check_format(file: Any, path: Path) -> None:
    with guard.reading(path):
        name = attributes.plain(file.attrs["format"], path, "@format") if "format" in file.attrs else None
        version = attributes.plain(file.attrs.get("format_version", "none"), path, "@format_version")
    if name != layout.FORMAT:
        what = f"its format is {name!r}" if name else "it has no attribute 'format'"
        raise InputError(f"an HDF5 file, but not a trace of a run ({what}, not {layout.FORMAT!r})", str(path))
    if version != layout.FORMAT_VERSION:
        raise InputError(
            f"has format version {version!r}; this neurosim reads version {layout.FORMAT_VERSION} "
            f"(written by neurosim {attributes.plain(file.attrs.get('neurosim', '?'), path, '@neurosim')})",
            str(path),
        )


def _tables_below(group: Any, prefix: str, depth: int = 0) -> Iterator[tuple[int, str]]:
    """Order and path of tables; checkpoints and links are not looked into."""
    for key in group:
        name = f"{prefix}/{key}"
        if name == checkpoints.GROUP or not isinstance(group.get(key, getlink=True), h5py.HardLink):
            continue
        child = group[key]
        if isinstance(child, h5py.Group) and depth < _DEEPEST:
            if COLUMNS in child.attrs:
                yield int(child.attrs.get(ORDER, -1)), name
            yield from _tables_below(child, name, depth + 1)
