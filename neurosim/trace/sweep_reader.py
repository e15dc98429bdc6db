"""Reads the file of a sweep, finished or not, into memory."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from neurosim.errors import InputError, TraceError
from neurosim.trace import attributes, guard, layout, reader
from neurosim.trace.datasets import follow
from neurosim.trace.reader import Trace
from neurosim.trace.staged import recover
from neurosim.trace.sweep import DONE, FORMAT, FORMAT_VERSION

WAITING, FINISHED, FAILED = "waiting", "done", "failed"


@dataclass(frozen=True)
class SweepAxis:
    """One axis: key path, and its values, or the ends of a range."""

    name: str
    values: tuple[Any, ...] | None
    low: float
    high: float
    scale: str

    @property
    def labels(self) -> tuple[str, ...]:
        """The values of a list as text."""
        return tuple(value if isinstance(value, str) else json.dumps(value) for value in self.values or ())

    @property
    def numbers(self) -> np.ndarray | None:
        """The values of a list, where all of them are numbers."""
        values = self.values or ()
        if not values or not all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
            return None
        return np.array(values, np.float64)


@dataclass(frozen=True)
class SweepPoint:
    """One point: where it stands, its seeds, and what became of it."""

    number: int
    coordinates: Mapping[str, Any]
    repeat: int
    seed: int
    fabrication_seed: int
    address: str
    run: int
    """The number of the point that was run for it (itself, unless two points are the same)."""
    status: str
    """``done``, ``failed`` or ``waiting``."""
    summary: Mapping[str, Any] | None
    """The keys of ``neurosim run --json``."""
    error: str | None
    host_time_s: float | None
    curve: Mapping[str, np.ndarray] | None
    """The evaluations, where they were kept: step, time_s, energy_J, accuracy, cost ..."""


@dataclass(frozen=True)
class Sweep:
    """A sweep and its results, all in memory."""

    path: Path
    status: str
    """``running`` (or killed), ``complete``, ``interrupted`` or ``failed``."""
    attributes: Mapping[str, Any]
    axes: tuple[SweepAxis, ...]
    points: tuple[SweepPoint, ...]
    config: Mapping[str, str]

    @property
    def name(self) -> str:
        """The scenario's name."""
        return str(self.attributes.get("scenario", "?"))

    @property
    def design(self) -> str:
        """``grid``, ``lhs``, ``sobol`` or ``oat``."""
        return str(self.attributes.get("design", "grid"))

    @property
    def repeats(self) -> int:
        """How often every place on the axes is run."""
        return int(self.attributes.get("repeats", 1))

    @property
    def done(self) -> tuple[SweepPoint, ...]:
        """The points that have a result."""
        return tuple(point for point in self.points if point.summary is not None)

    @property
    def failed(self) -> tuple[SweepPoint, ...]:
        """The points that failed."""
        return tuple(point for point in self.points if point.status == FAILED)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Names of all numbers of the summaries; those of nested tables with dots."""
        found: dict[str, None] = {}
        for point in self.points:
            found.update(dict.fromkeys(key for key, value in flat(point.summary or {}) if _is_number(value)))
        return tuple(key for key in found if not key.startswith("host."))

    def values(self, key: str) -> np.ndarray:
        """One number of every point's summary, such as ``accuracy`` or ``to_target.energy_J``; NaN where it has none.

        Raises InputError where no summary has it.
        """
        if key not in self.keys:
            raise InputError(f"no summary has a number {key!r} (numbers: {', '.join(self.keys) or 'none'})")
        return np.array([_number(point.summary, key) for point in self.points], np.float64)

    def coordinate(self, axis: int | str) -> list[Any]:
        """The value of every point on an axis."""
        name = self.axes[axis].name if isinstance(axis, int) else axis
        return [point.coordinates[name] for point in self.points]

    def rows(self) -> list[dict[str, Any]]:
        """A table with one row for each point: coordinates, seeds, status, error, and all of the summary but host."""
        rows = []
        for point in self.points:
            told = {key: value for key, value in flat(point.summary or {}) if not key.startswith("host.")}
            told.pop("seed", None)
            where = {name: value if _is_plain(value) else json.dumps(value)
                     for name, value in point.coordinates.items()}  # fmt: skip
            rows.append({
                "point": point.number, **where, "repeat": point.repeat, "seed": point.seed,
                "fabrication_seed": point.fabrication_seed, "status": point.status, "error": point.error,
                "host_time_s": point.host_time_s, **{key: told[key] for key in told if key not in where},
            })  # fmt: skip
        return rows

    def to_pandas(self) -> Any:
        """`rows` as a pandas DataFrame; InputError where pandas is not installed."""
        pandas = _optional("pandas", "to_pandas")
        return pandas.DataFrame.from_records(self.rows(), index="point")

    def to_xarray(self) -> Any:
        """The numbers of the summaries as an xarray Dataset; InputError where xarray is not installed.

        A grid has one dimension for each axis, and ``repeat``; other designs have the dimension ``point``, with the
        axes as its coordinates.
        """
        xarray = _optional("xarray", "to_xarray")
        told = {"scenario": self.name, "design": self.design, "status": self.status}
        if self.design == "grid":
            shape = (*(len(axis.values or ()) for axis in self.axes), self.repeats)
            names = (*(axis.name for axis in self.axes), "repeat")
            where = {axis.name: _column(list(axis.values or ())) for axis in self.axes}
            data: dict[str, Any] = {
                key: (names, self.values(key).reshape(shape)) for key in self.keys if key not in names
            }
            return xarray.Dataset(data, {**where, "repeat": np.arange(self.repeats)}, told)
        along: dict[str, Any] = {axis.name: ("point", _column(self.coordinate(axis.name))) for axis in self.axes}
        repeat = ("point", np.array([point.repeat for point in self.points]))
        data = {key: ("point", self.values(key)) for key in self.keys if key not in along}
        numbers = np.arange(len(self.points))
        return xarray.Dataset(data, {"point": numbers, **along, "repeat": repeat}, told)

    def __repr__(self) -> str:
        told = f"{len(self.done)} of {len(self.points)} points done, {len(self.failed)} failed"
        axes = ", ".join(axis.name for axis in self.axes) or "no axes"
        return f"<Sweep {self.path.name}: {self.status}, {self.name} over {axes} ({self.design}); {told}>"


def is_sweep(path: Path | str) -> bool:
    """Whether a file (or its unfinished form) is a sweep's; whatever else is wrong with it is for others to say."""
    for candidate in (layout.final_of(Path(path)), layout.part_of(Path(path))):
        if candidate.is_file():
            try:
                with h5py.File(candidate, "r", locking=False) as file:
                    return bool(attributes.plain(file.attrs.get("format", ""), candidate, "@format") == FORMAT)
            except (OSError, TraceError):
                return False
    return False


def open_sweep(path: Path | str) -> Sweep:
    """Read the sweep at ``path``; where it has not ended, its ``path.part`` is found as well.

    Raises InputError for a file that is none, TraceError for one that is damaged.
    """
    found = reader._find(Path(path))
    reader._check_signature(found)
    try:
        staged = recover(found)
        file = reader._open_file(found) if staged is None else h5py.File(staged, "r")
    except OSError as error:
        raise reader._unreadable(found, error) from None
    with Trace(file, found, staged) as trace:
        _check_format(trace)
        with guard.reading(found):
            return _read(trace, file)


def _check_format(trace: Trace) -> None:
    name, version = trace.attributes.get("format"), trace.attributes.get("format_version")
    if name == layout.FORMAT:
        raise InputError("is the trace of a run, not a sweep", str(trace.path))
    if name != FORMAT:
        raise InputError(f"an HDF5 file, but not a sweep (its format is {name!r}, not {FORMAT!r})", str(trace.path))
    if version != FORMAT_VERSION:
        raise InputError(
            f"has format version {version!r}; this neurosim reads version {FORMAT_VERSION} (written by neurosim "
            f"{trace.attributes.get('neurosim', '?')})", str(trace.path)
        )  # fmt: skip


def _read(trace: Trace, file: Any) -> Sweep:
    tables = json.loads(trace.text("/config/axes"))
    axes = tuple(
        SweepAxis(table["name"], None if table["values"] is None else tuple(table["values"]), table["low"],
                  table["high"], table["scale"])
        for table in tables
    )  # fmt: skip
    whole = [table["whole"] for table in tables]
    column = {name: trace.array(f"/points/{name}") for name in
              ("repeat", "seed", "fabrication_seed", "run", "value", "level")}  # fmt: skip
    addresses = trace.texts("/points/address")
    finished = _finished(trace)
    runs = {run: _result(trace, file, run, status, time_s) for run, (status, time_s) in finished.items()}
    points = []
    for number, address in enumerate(addresses):
        where = {}
        for place, axis in enumerate(axes):
            if axis.values is not None:
                where[axis.name] = axis.values[int(column["level"][number, place])]
            else:
                value = float(column["value"][number, place])
                where[axis.name] = round(value) if whole[place] else value
        run = int(column["run"][number])
        points.append(SweepPoint(
            number=number, coordinates=where, repeat=int(column["repeat"][number]), seed=int(column["seed"][number]),
            fabrication_seed=int(column["fabrication_seed"][number]), address=address, run=run,
            **runs.get(run, {"status": WAITING, "summary": None, "error": None, "host_time_s": None, "curve": None}),
        ))  # fmt: skip
    return Sweep(trace.path, trace.status, dict(trace.attributes), axes, tuple(points), dict(trace.config))


def _finished(trace: Trace) -> dict[int, tuple[int, float]]:
    """Status and host time of every run that has finished; the last word counts."""
    if not trace.has_table("/results"):
        return {}
    table = trace.table("/results")
    rows = zip(table["run"].tolist(), table["status"].tolist(), table["host_time_s"].tolist(), strict=True)
    return {int(run): (int(status), float(time_s)) for run, status, time_s in rows}


def _result(trace: Trace, file: Any, run: int, status: int, time_s: float) -> dict[str, Any]:
    here = f"/runs/{run}"
    if status != DONE:
        return {"status": FAILED, "summary": None, "error": trace.text(f"{here}/error"), "host_time_s": time_s,
                "curve": None}  # fmt: skip
    group = follow(file, f"{here}/curve", trace.path)
    curve = {str(name): trace.array(f"{here}/curve/{name}") for name in group} if group is not None else None
    summary = json.loads(trace.text(f"{here}/summary"))
    return {"status": FINISHED, "summary": summary, "error": None, "host_time_s": time_s, "curve": curve}


def flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of nested tables, their names joined by dots; lists are left out."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        elif _is_plain(value):
            yield f"{prefix}{key}", value


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, str | bool | int | float)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(summary: Mapping[str, Any] | None, key: str) -> float:
    value: Any = summary
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return float(value) if _is_number(value) else float("nan")


def _column(values: list[Any]) -> np.ndarray:
    """Values as an array: numbers, or text."""
    if all(_is_number(value) for value in values):
        return np.array(values)
    return np.array([value if isinstance(value, str) else json.dumps(value) for value in values], dtype=object)


def _optional(package: str, method: str) -> Any:
    try:
        return importlib.import_module(package)
    except ImportError:
        raise InputError(f"{method} needs {package}, which is not installed: pip install {package}") from None
