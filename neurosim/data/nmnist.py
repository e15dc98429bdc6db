"""Recordings in the 40-bit format of N-MNIST and N-Caltech101 (https://www.garrickorchard.com/datasets/n-mnist).

G. Orchard, A. Jayawant, G. Cohen, N. Thakor, Converting static image datasets to spiking neuromorphic datasets using
saccades, Frontiers in Neuroscience 9:437 (2015). A file has no header; an event is five bytes, most significant first:

    bits 39-32 x    31-24 y    23 polarity (1: on)    22-0 time in microseconds

An entry with y = 240, one row below the sensor (ATIS, 240 rows), is no event: the recorder's clock ran over, and
2^13 us are added to the time of everything that follows. The page does not mention it; the authors' own reader does it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neurosim.data.events import Events, Integers, backwards, join, listed, open_file, shape_problems
from neurosim.errors import DataError, InputError

SHAPE = (34, 34)
"""Height and width of a recording of N-MNIST."""
EVENT = 5
"""Bytes of an event."""
OVERFLOW_Y = 240
OVERFLOW_US = 2**13
BLOCK = 1 << 16
"""Events that are decoded at a time."""
CLASSES = 10
_FOLDERS = ("n-mnist", "N-MNIST", "NMNIST", "nmnist", "")


def read_nmnist(path: str | os.PathLike[str], *, shape: tuple[int, int] = SHAPE, sort: bool = False) -> Events:
    """One recording. ``shape`` = (height, width): (34, 34) for N-MNIST, up to (240, 256) for others of the format.

    ``sort``: put events in the order of time, instead of refusing a file whose time goes back.

    Raises :class:`InputError` that lists what is wrong, with the byte where it stands.
    """
    blocks = nmnist_blocks(path, shape=shape, ordered=not sort)
    return join(blocks, shape, f"N-MNIST recording, from {path}", sort=sort)


def nmnist_blocks(
    path: str | os.PathLike[str], *, shape: tuple[int, int] = SHAPE, ordered: bool = True, block: int = BLOCK
) -> Iterator[Events]:
    """The same recording in blocks of at most ``block`` entries, for files of any length in little memory.

    ``ordered``: time that goes back is an error; where it is none, each block is sorted by itself. A block is checked
    when it is read, so a fault far into the file shows late.
    """
    name = str(path)
    problems = shape_problems(shape)
    if not problems and (len(shape) != 2 or shape[0] > OVERFLOW_Y or shape[1] > 256):
        problems.append(f"shape = {shape}: this format has 8 bits for x and rows 0..{OVERFLOW_Y - 1}")
    if isinstance(block, bool) or not isinstance(block, int) or block < 1:
        problems.append(f"block = {block!r}: must be a whole number of at least 1")
    if problems:
        raise InputError(problems, name)
    return _blocks(Path(path), shape, ordered, block)


def _blocks(path: Path, shape: tuple[int, int], ordered: bool, block: int) -> Iterator[Events]:
    stream, size = open_file(path)
    with stream:
        added, last, start = 0, None, 0
        # a cut file is refused before the first event of it is handed out
        cut = []
        if size % EVENT:
            whole = size // EVENT
            what = f"cut short: {size} bytes are {whole} events of {EVENT} bytes and {size % EVENT} more"
            cut = [f"byte {whole * EVENT}: {what}"]
        while True:
            raw = stream.read(block * EVENT)
            entries = np.frombuffer(raw, np.uint8, count=len(raw) // EVENT * EVENT).reshape(-1, EVENT)
            problems, events, added, last = _decode(entries, start, shape, added, last, ordered)
            if cut or problems:
                more = [f"read no further than byte {start + len(raw)} of {size}"] if start + len(raw) < size else []
                raise InputError(cut + problems + more, str(path))
            if not len(raw):
                return
            start += len(raw)
            if events is not None:
                yield events


def _decode(
    entries: NDArray[np.uint8], start: int, shape: tuple[int, int], added: int, last: int | None, ordered: bool
) -> tuple[list[str], Events | None, int, int | None]:
    """One block: its problems, its events, the time added so far by overflows, and the time of its last event."""
    wide = entries.astype(np.int64)
    over = wide[:, 1] == OVERFLOW_Y
    extra = added + OVERFLOW_US * np.cumsum(over)
    place = np.flatnonzero(~over)
    x, y, third = (wide[place, column] for column in range(3))
    time = ((third & 127) << 16 | wide[place, 3] << 8 | wide[place, 4]) + extra[place]
    added = int(extra[-1]) if extra.size else added

    def tell(i: int) -> str:
        byte = start + EVENT * int(place[i])
        return f"byte {byte} (event {byte // EVENT})"

    height, width = shape
    problems = listed(
        (x >= width) | (y >= height), tell, lambda i: f"x = {x[i]}, y = {y[i]} is outside {width}x{height}"
    )
    if ordered:
        problems += backwards(time, tell, last)
    if problems or not place.size:
        return problems, None, added, last
    last = int(time[-1])
    address, polarity = y * width + x, (third >> 7).astype(np.int8)
    if not ordered:
        order = np.argsort(time, kind="stable")
        time, address, polarity = time[order], address[order], polarity[order]
    return [], Events(time, address, polarity, shape), added, last


@dataclass(frozen=True, eq=False)
class NMnist:
    """N-MNIST on disk: ``recordings[i]`` reads one. In the order of the file numbers, which is that of MNIST."""

    paths: tuple[Path, ...]
    labels: Integers
    """int64[n], 0..9."""
    classes: int = CLASSES
    shape: tuple[int, int] = SHAPE

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Events:
        return read_nmnist(self.paths[index], shape=self.shape)


def open_nmnist(folder: str | os.PathLike[str] | None = None, part: Literal["train", "test"] = "train") -> NMnist:
    """Find N-MNIST as its authors pack it, ``Train/0/00002.bin``, and list its files; nothing is read yet.

    ``folder`` is looked in first, then ``NEUROSIM_DATA``; below them n-mnist/, N-MNIST/, NMNIST/, nmnist/ and the
    folder itself. The set is not downloaded: it comes as zip files of 1.1 GB that one unpacks oneself (CC BY-SA 4.0).

    Raises :class:`InputError` for a wrong argument and for stray files, :class:`DataError` where the set is not found.
    """
    if part not in ("train", "test"):
        raise InputError(f"part = {part!r}: must be 'train' or 'test'", "n-mnist")
    env = os.environ.get("NEUROSIM_DATA")
    roots = [Path(folder).expanduser()] if folder is not None else []
    roots += [Path(env).expanduser()] if env else []
    tried = []
    for root in roots:
        for below in _FOLDERS:
            place = root / below / part.capitalize()
            if os.path.isdir(place):
                return _listed(place)
            tried.append(str(place))
    lines = ["n-mnist: the recordings were found nowhere. Looked for:"]
    lines += [f"  - {place}" for place in tried or ["nothing: no folder was given, and NEUROSIM_DATA is not set"]]
    lines += ["What helps: get Train.zip and Test.zip from https://www.garrickorchard.com/datasets/n-mnist,",
              "unpack them into DIR/n-mnist, and set NEUROSIM_DATA=DIR"]  # fmt: skip
    raise DataError("\n".join(lines))


def _listed(place: Path) -> NMnist:
    found, problems = [], []
    for label in range(CLASSES):
        folder = place / str(label)
        if not folder.is_dir():
            problems.append(f"there is no folder {label}")
            continue
        for entry in os.scandir(folder):
            stem = entry.name.removesuffix(".bin")
            if entry.name.endswith(".bin") and stem.isascii() and stem.isdigit() and len(stem) <= 9:
                found.append((int(stem), label, folder / entry.name))
            elif not entry.name.startswith("."):
                problems.append(f"{label}/{entry.name} is no recording (they are named by a number and .bin)")
    if not problems and not found:
        problems.append("holds no recordings")
    if problems:
        raise InputError(problems[:20], str(place))
    found.sort()
    return NMnist(tuple(path for _, _, path in found), np.array([label for _, label, _ in found], np.int64))
