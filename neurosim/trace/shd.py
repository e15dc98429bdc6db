"""Spikes in the HDF5 layout of the Spiking Heidelberg Digits and Speech Commands (https://compneuro.net).

B. Cramer, Y. Stradmann, J. Schemmel, F. Zenke, The Heidelberg spiking data sets for the systematic evaluation of
spiking neural networks, IEEE Transactions on Neural Networks and Learning Systems 33 (2022) 2744-2757.

    /spikes/times    one list of seconds per recording         /labels          the class of each recording
    /spikes/units    one list of channels per recording        /extra/speaker   who spoke, where it is there

It stands in this package because only this package knows HDF5.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from neurosim.data.events import Events, Integers, listed, open_file, shape_problems
from neurosim.errors import InputError, TraceError
from neurosim.trace.datasets import follow

CHANNELS = 700
"""Channels of the cochlea of SHD and SSC."""
MOST_LABELS = 10_000
LATEST_S = 1e6
"""No recording is longer; what claims to be is not in seconds."""
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_PACKED = {b"\x1f\x8b": "gunzip", b"PK": "unzip"}


class ShdFile:
    """An open file: ``len``, ``labels``, ``file[i]`` -> :class:`Events`. Close it, or use it in a ``with``.

    Spikes of a recording are sorted by time; times are rounded to whole microseconds (the sets hold float16, no finer
    than 0.5 ms from 0.5 s on). One recording is in memory at a time.
    """

    def __init__(self, path: str | os.PathLike[str], channels: int = CHANNELS) -> None:
        self.path = Path(path)
        where = str(self.path)
        problems = shape_problems((channels,))
        if problems:
            raise InputError(f"channels = {channels!r}: must be a whole number of at least 1", where)
        self.shape: tuple[int, ...] = (int(channels),)
        stream, size = open_file(self.path)
        with stream:
            head = stream.read(8)
        if head != _SIGNATURE:
            way = next((f"; {tool} it first" for start, tool in _PACKED.items() if head.startswith(start)), "")
            found = head.hex(" ") or "nothing"
            raise InputError(
                f"byte 0: not an HDF5 file: it starts with {found}, not with {_SIGNATURE.hex(' ')}{way}", where
            )
        try:
            self._file = h5py.File(self.path, "r")
        except OSError as error:
            raise InputError(f"is cut short or damaged ({size} bytes): {error}", where) from None
        try:
            self._times, self._units, self.labels, self.speaker = self._checked()
        except BaseException:
            self._file.close()
            raise

    @property
    def classes(self) -> int:
        """One more than the largest label."""
        return int(self.labels.max()) + 1 if self.labels.size else 0

    def __len__(self) -> int:
        return int(self.labels.size)

    def __getitem__(self, index: int) -> Events:
        """One recording; raises :class:`InputError` that says which spike is wrong."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.path} has {len(self)} recordings")
        number = int(index) % len(self)
        where = f"{self.path}: recording {number}"
        try:
            time = np.asarray(self._times[number], np.float64)
            given = np.asarray(self._units[number])
        except (OSError, RuntimeError, MemoryError, ValueError) as error:
            raise InputError(f"is damaged: {error}", where) from None
        if time.shape != given.shape:
            raise InputError(f"has {time.size} times and {given.size} units", where)
        unit = given.astype(np.int64)
        top = self.shape[0]

        def tell(i: int) -> str:
            return f"spike {i}"

        with np.errstate(invalid="ignore"):
            off = ~((time >= 0.0) & (time <= LATEST_S))
        problems = listed(off, tell, lambda i: f"time {time[i]:g} s is not a number from 0 to {LATEST_S:g}")
        problems += listed((unit < 0) | (unit >= top), tell, lambda i: f"unit {unit[i]} is outside 0..{top - 1}")
        if problems:
            raise InputError(problems, where)
        order = np.argsort(time, kind="stable")
        time_us = np.rint(time[order] * 1e6).astype(np.int64)
        return Events(time_us, unit[order], None, self.shape, 0, f"SHD recording {number}, from {self.path}")

    def close(self) -> None:
        """Close the file; nothing can be read from then on."""
        self._file.close()

    def __enter__(self) -> ShdFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _checked(self) -> tuple[Any, Any, Integers, Integers | None]:
        """times, units, labels, speaker; everything that is wrong with the layout in one error."""
        problems: list[str] = []
        times = self._ragged("spikes/times", "f", problems)
        units = self._ragged("spikes/units", "iu", problems)
        labels = self._whole("labels", problems, needed=True)
        speaker = self._whole("extra/speaker", problems, needed=False)
        count = len(times) if times is not None else None
        for name, found in (("spikes/units", units), ("labels", labels), ("extra/speaker", speaker)):
            if found is not None and count is not None and len(found) != count:
                problems.append(f"{name} has {len(found)} entries, spikes/times has {count}")
        if labels is not None and labels.size:
            problems += listed((labels < 0) | (labels >= MOST_LABELS), lambda i: f"labels, entry {i}",
                               lambda i: f"class {labels[i]} is outside 0..{MOST_LABELS - 1}")  # fmt: skip
        if problems:
            raise InputError(problems, str(self.path))
        assert labels is not None  # or there would be a problem
        return times, units, labels, speaker

    def _dataset(self, name: str, problems: list[str], needed: bool) -> Any:
        """The dataset, if it is one and its data lie in this file."""
        try:
            found = follow(self._file, name, self.path)
        except TraceError:
            problems.append(f"{name} is a link to elsewhere, which is not followed")
            return None
        except (OSError, RuntimeError, KeyError) as error:
            problems.append(f"{name} is damaged: {error}")
            return None
        if found is None:
            if needed:
                there = ", ".join(sorted(str(key) for key in self._file)[:20]) or "nothing"
                problems.append(f"{name} is missing (the file has: {there})")
            return None
        if not isinstance(found, h5py.Dataset):
            problems.append(f"{name} is a group, expected a dataset")
        elif found.is_virtual or found.external:
            problems.append(f"{name} takes its data from another file, which is not followed")
        elif found.ndim != 1:
            problems.append(f"{name} has shape {found.shape}, expected one entry per recording")
        else:
            return found
        return None

    def _ragged(self, name: str, kinds: str, problems: list[str]) -> Any:
        """A dataset of one list per recording."""
        found = self._dataset(name, problems, needed=True)
        if found is None:
            return None
        inner = h5py.check_vlen_dtype(found.dtype)
        if not isinstance(inner, np.dtype) or inner.kind not in kinds:
            wanted = "real" if kinds == "f" else "whole"
            problems.append(
                f"{name} has type {found.dtype if inner is None else inner}, expected a list of {wanted} numbers each"
            )
            return None
        return found

    def _whole(self, name: str, problems: list[str], needed: bool) -> Integers | None:
        """A dataset of one whole number per recording, in memory."""
        found = self._dataset(name, problems, needed)
        if found is None:
            return None
        if found.dtype.kind not in "iu":
            problems.append(f"{name} has type {found.dtype}, expected whole numbers")
            return None
        if found.nbytes > max(1 << 24, 1100 * os.path.getsize(self.path)):
            problems.append(f"{name} claims {found.nbytes} bytes, which the file cannot hold")
            return None
        try:
            return np.asarray(found[()]).astype(np.int64)
        except (OSError, RuntimeError) as error:
            problems.append(f"{name} is damaged: {error}")
            return None


def open_shd(path: str | os.PathLike[str], channels: int = CHANNELS) -> ShdFile:
    """Open a file of SHD, SSC or the same layout; ``channels``: units lie in 0..channels-1.

    Raises :class:`InputError` with everything that is wrong with the layout; spikes are checked when they are read.
    """
    return ShdFile(path, channels)
