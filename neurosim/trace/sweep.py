"""The file of a sweep: its layout, and the writer that grows it (docs/sweeps.md shows the layout).

It is staged as a trace is: what was flushed can be read after any end, and the file has the name ``SWEEP.h5.part``
until it is closed. Every finished run is written once and flushed with what else has come in within a second.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from neurosim._version import __version__
from neurosim.engine.sink import Column, Table
from neurosim.errors import InputError
from neurosim.trace import attributes, guard, layout
from neurosim.trace.staged import StagedFile, check_unlocked
from neurosim.trace.writer import TraceWriter

FORMAT = "neurosim-sweep"
FORMAT_VERSION = 1
DONE, FAILED = 0, 1
FLUSH_S = 1.0

RESULTS = Table(
    "/results",
    (
        Column("run", "1", "number of the point that was run", "i8"),
        Column("status", "1", "0 done, 1 failed", "i1"),
        Column("host_time_s", "s", "host time of the run, on its worker"),
    ),
    {"long_name": "what has finished, in the order in which it did"},
)
CURVE_UNITS = {"time_s": "s", "time_low_s": "s", "time_high_s": "s", "energy_J": "J", "energy_low_J": "J",
               "energy_high_J": "J"}  # fmt: skip


class SweepWriter(TraceWriter):
    """An open sweep file that grows."""

    _flushed_at = 0.0

    @classmethod
    def begin(
        cls, path: Path | str, *, given: Mapping[str, Any], over: Path | None = None, force: bool = False
    ) -> SweepWriter:
        """Start the file ``path.part``; ``over`` is the file of the same sweep that it takes the place of.

        An older file stays whole until `settle`: the new one grows beside it under another name until then.
        """
        part = layout.part_of(Path(path))
        if over is None:
            refuse_existing(path, force)
        fresh = part.with_name(part.name + ".new") if over is not None else part
        try:
            if over is not None:
                check_unlocked(over)
            staged = StagedFile.create(fresh)
        except OSError as error:
            raise guard.refusal(error, fresh) from None
        writer = cls(staged, fresh, new=True, force=force or over is not None)
        with writer._guarded():
            writer._set_root(given)
            writer._commit()
        writer.declare(RESULTS)
        return writer

    def settle(self, path: Path | str) -> None:
        """Take over from the older file: everything is on the disk, and the file gets its unfinished name."""
        part = layout.part_of(Path(path))
        with self._guarded():
            self._drain()
            self._commit(durable=True)
            if self._part != part:
                self._part.replace(part)
                self._part = part

    def texts(self, path: str, values: Sequence[str], long_name: str) -> None:
        """A list of texts; an empty one is left out."""
        if values:
            self.write(path, np.array(values, dtype=object), "1", long_name)

    def result(
        self, run: int, *, host_time_s: float, text: str | None, error: str | None,
        curve: Mapping[str, npt.ArrayLike] | None = None,
    ) -> None:  # fmt: skip
        """One finished run: its summary as JSON ``text``, or its ``error``."""
        if text is not None:
            self.write(f"/runs/{run}/summary", text, "1", "summary as JSON: the keys of neurosim run --json")
        if error is not None:
            self.write(f"/runs/{run}/error", error.replace("\0", " "), "1", "why the run failed")
        for name, values in (curve or {}).items():
            self.write(f"/runs/{run}/curve/{name}", values, CURVE_UNITS.get(name, "1"), f"{name} at evaluations")
        status = FAILED if text is None else DONE
        self.append(RESULTS.path, {"run": [run], "status": np.array([status], np.int8), "host_time_s": [host_time_s]})
        if time.monotonic() - self._flushed_at > FLUSH_S:
            self.flush()
            self._flushed_at = time.monotonic()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """As of a trace, but with the way on of a sweep."""
        try:
            with super()._guarded():
                yield
        except guard.WriteFailed as error:
            way = str(error).replace("neurosim run --resume", "neurosim sweep --resume -o")
            raise guard.WriteFailed(way) from error

    def _set_root(self, given: Mapping[str, Any]) -> None:
        own = {
            "format": FORMAT, "format_version": FORMAT_VERSION, "status": "running", "neurosim": __version__,
            "python": platform.python_version(), "numpy": np.__version__, "h5py": h5py.__version__,
        }  # fmt: skip
        attributes.write(self._file, {**given, **own})


def write_plan(
    writer: SweepWriter, axes: Sequence[Mapping[str, Any]], points: Mapping[str, npt.ArrayLike],
    addresses: Sequence[str],
) -> None:  # fmt: skip
    """The labelled axes, and of every point its place on them, its seeds and its address.

    ``axes``: ``name``, ``keys``, ``values`` (a list, or None of a range), ``low``, ``high``, ``scale``, ``whole``.
    ``points``: ``repeat``, ``seed``, ``fabrication_seed``, ``run`` ``[points]``; ``value`` and ``level``
    ``[points, axes]``: a number (NaN where it is none), and the place in the axis's list (-1 of a range).
    """
    writer.write("/config/axes", json.dumps(list(axes)), "1", "the axes, JSON")
    for number, axis in enumerate(axes):
        values = axis["values"] or []
        writer.write(f"/axes/{number}/name", axis["name"], "1", "key path")
        writer.write(f"/axes/{number}/scale", "list" if values else axis["scale"], "1", "list, linear or log")
        numbers = [number_of(value) for value in values] or [axis["low"], axis["high"]]
        writer.write(f"/axes/{number}/value", np.array(numbers, np.float64), "1", "values; both ends of a range")
        writer.texts(f"/axes/{number}/label", [value if isinstance(value, str) else json.dumps(value)
                                               for value in values], "values as text")  # fmt: skip
    names = {
        "repeat": "which repeat of its place on the axes", "seed": "seed", "fabrication_seed": "seed of the mismatch",
        "run": "number of the point that was run for it", "value": "its number on every axis",
        "level": "its place in the list of every axis",
    }  # fmt: skip
    for name, long_name in names.items():
        writer.write(f"/points/{name}", points[name], "1", long_name)
    writer.texts("/points/address", addresses, "hash of the resolved scenario, its seeds, files and versions")


def number_of(value: Any) -> float:
    """A number, or NaN."""
    return float(value) if isinstance(value, int | float) else float("nan")


def write_values(writer: SweepWriter, values: Mapping[str, np.ndarray]) -> None:
    """Every number of the summaries as one array over the points, NaN where a point has none."""
    for key, array in values.items():
        unit = "J" if key.endswith("_J") else "s" if key.endswith("_s") else "W" if key.endswith("_W") else "1"
        writer.write(f"/values/{key.replace('.', '/')}", array, unit, f"{key} of every point")


def refuse_existing(path: Path | str, force: bool) -> None:
    """Raise InputError where a sweep's file would replace another one."""
    final, part = layout.final_of(Path(path)), layout.part_of(Path(path))
    if final.is_dir():
        raise InputError("is a folder; name a file for the sweep, such as sweep.h5", str(final))
    if force:
        return
    for there in (final, part):
        if there.exists():
            raise InputError(
                "exists already; go on with it, or with more points: --resume; replace it: --force", str(there)
            )
