"""AEDAT4, the recordings of iniVation's event cameras, through the library of its makers, dv-processing (Apache 2.0).

An optional extra: ``pip install 'neurosim-chips[events]'``. The library reads compressed binary packets in C++; a file
that is damaged in the wrong place makes it crash. So it works in a process of its own
(:mod:`neurosim.data.aedat_worker`), which sends plain numbers: a crash there is an error message here.
"""

from __future__ import annotations

import importlib.util
import json
import os
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from neurosim.data.aedat_worker import FAILED, RECORD
from neurosim.data.events import Events, backwards, join, listed, open_file
from neurosim.errors import InputError

LIBRARY = "dv_processing"
INSTALL = "pip install 'neurosim-chips[events]' (or pip install dv-processing)"
MAGIC = b"#!AER-DAT4.0\r\n"
MOST_HEADER = 1 << 24
"""Bytes; it names the streams, and has a few kilobytes."""
BLOCK = 1 << 16
"""Events that are taken over at a time."""


def read_aedat4(path: str | os.PathLike[str], *, stream: str = "events", sort: bool = False) -> Events:
    """The events of one recording. Time 0 is its first event; ``origin_us`` is that event's time on the camera's clock.

    ``stream``: the name of the stream of events in the file. ``sort``: put events in the order of time, instead of
    refusing a file whose time goes back; time 0 is then the earliest event.

    Raises :class:`InputError` for a library that is not there and for a file that cannot be read, with the event where
    it is wrong.
    """
    found = list(aedat4_blocks(path, stream=stream, ordered=not sort))
    source = f"AEDAT4 recording, from {path}"
    if not found:
        raise InputError(f"stream {stream!r} holds no events", str(path))
    if sort:
        origin = min(block.origin_us for block in found)
        found = [
            Events(block.time_us + (block.origin_us - origin), block.address, block.polarity, block.shape, origin)
            for block in found
        ]
    return join(found, found[0].shape, source, sort=sort)


def aedat4_blocks(
    path: str | os.PathLike[str], *, stream: str = "events", ordered: bool = True, block: int = BLOCK
) -> Iterator[Events]:
    """The same recording in blocks of at most ``block`` events, for files of any length in little memory.

    ``ordered``: time that goes back is an error, and all blocks have the same origin; where it is none, each block is
    sorted by itself and has an origin of its own.
    """
    if isinstance(block, bool) or not isinstance(block, int) or block < 1:
        raise InputError(f"block = {block!r}: must be a whole number of at least 1", str(path))
    return _blocks(Path(path), stream, ordered, block)


def _blocks(path: Path, stream: str, ordered: bool, block: int) -> Iterator[Events]:
    file, size = open_file(path)
    with file:
        head = file.read(len(MAGIC))
        cut = _cut(file, size) if head == MAGIC else None
    if head != MAGIC:
        if head.startswith(b"#!AER-DAT") and not MAGIC.startswith(head):
            fault = f"is AEDAT {head[9:12].decode('ascii', 'replace')}; only AEDAT 4.0 can be read"
        else:
            found = head.hex(" ") or "nothing"
            fault = f"byte 0: not an AEDAT4 file: it starts with {found}, not with {MAGIC.hex(' ')} (#!AER-DAT4.0)"
        raise InputError(fault, str(path))
    if cut:
        raise InputError(cut, str(path))
    if importlib.util.find_spec(LIBRARY) is None:
        raise InputError(f"reading AEDAT4 needs the library dv-processing: {INSTALL}", str(path))
    shape: tuple[int, int] | None = None
    origin, last, done = 0, None, 0
    with tempfile.TemporaryFile() as said:
        worker = _start(path, stream, said)
        assert worker.stdout is not None  # a pipe, see _start
        try:
            shape = _shape(worker.stdout.readline(200))
            while shape is not None and (raw := worker.stdout.read(block * RECORD.itemsize)):
                entries = np.frombuffer(raw, RECORD, count=len(raw) // RECORD.itemsize)
                if not entries.size:
                    break
                problems, events = _decode(entries, done, shape, origin if done and ordered else None, last, ordered)
                if events is None:
                    raise InputError([*problems, f"read no further than event {done + entries.size}"], str(path))
                last, origin = int(entries["time"][-1]), events.origin_us
                done += entries.size
                yield events
            code = worker.wait()
        finally:
            worker.kill()
            worker.wait()
            worker.stdout.close()
        if code or shape is None:
            raise InputError(_why(code, said, done, size), str(path))


def _cut(file: IO[bytes], size: int) -> str | None:
    """Whether the file ends where its parts do; the library passes over a last packet that is not all there.

    After the magic: the header (its length, then a FlatBuffer), packets (stream, length, content), and a table of the
    packets at the position that the header gives, or none if that is -1.
    """
    start = len(MAGIC)
    (length,) = struct.unpack("<I", file.read(4).ljust(4, b"\0"))
    at = start + 4 + length
    if at > size or not length:
        return (
            f"byte {start}: cut short inside its header: it needs {length} bytes, {max(0, size - start - 4)} are there"
        )
    if length > MOST_HEADER:
        return f"byte {start}: a header of {length} bytes; the file is damaged"
    try:
        end = _table_position(file.read(length))
    except struct.error:
        return f"byte {start + 4}: the header is damaged"
    if end < 0:
        end = size
    elif not at <= end <= size:
        return f"byte {start + 4}: cut short or damaged: the header puts a table at byte {end} of {size}"
    while at < end:
        file.seek(at)
        content = int.from_bytes(file.read(8)[4:], "little", signed=True)
        if content < 0:
            return f"byte {at}: a packet of {content} bytes; the file is damaged"
        if at + 8 + content > end:
            return f"byte {at}: cut short: a packet needs {8 + content} bytes, {end - at} are there"
        at += 8 + content
    return None


def _table_position(header: bytes) -> int:
    """``dataTablePosition`` of the header: field 1 of a FlatBuffer's root table; -1 where it is left out."""
    (root,) = struct.unpack_from("<I", header, 0)
    (back,) = struct.unpack_from("<i", header, root)
    fields = root - back
    if fields < 0:
        raise struct.error
    (width,) = struct.unpack_from("<H", header, fields)
    (offset,) = struct.unpack_from("<H", header, fields + 6) if width >= 8 else (0,)
    return int(struct.unpack_from("<q", header, root + offset)[0]) if offset else -1


def _start(path: Path, stream: str, said: IO[bytes]) -> subprocess.Popen[bytes]:
    """The worker, which imports what this process would (-P: and nothing from the folder that it is started in)."""
    home = str(Path(__file__).resolve().parents[2])
    paths = os.pathsep.join([*(entry for entry in sys.path if entry), home])
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "neurosim.data.aedat_worker", os.fspath(path.absolute()), stream],
        env={**os.environ, "PYTHONPATH": paths},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=said,
    )


def _shape(line: bytes) -> tuple[int, int] | None:
    """(height, width) as the worker's first line says, None where it said nothing."""
    try:
        height, width = json.loads(line)
    except ValueError:
        return None
    return (height, width)


def _decode(
    entries: NDArray[Any], done: int, shape: tuple[int, int], origin: int | None, last: int | None, ordered: bool
) -> tuple[list[str], Events | None]:
    """One block: its problems, or its events; ``origin`` None: the first of it."""
    time, x, y, on = (entries[name].astype(np.int64) for name in ("time", "x", "y", "on"))

    def tell(i: int) -> str:
        return f"event {done + i}"

    height, width = shape
    outside = (x < 0) | (x >= width) | (y < 0) | (y >= height)
    problems = listed(outside, tell, lambda i: f"x = {x[i]}, y = {y[i]} is outside {width}x{height}")
    problems += listed((time < 0) | (time >= 2**62), tell, lambda i: f"time {time[i]} us is outside 0..2^62")
    if ordered:
        problems += backwards(time, tell, last)
    if problems:
        return problems, None
    address, polarity = y * width + x, (on != 0).astype(np.int8)
    if not ordered:
        order = np.argsort(time, kind="stable")
        time, address, polarity = time[order], address[order], polarity[order]
    start = int(time[0]) if origin is None else origin
    return [], Events(time - start, address, polarity, shape, start)


def _why(code: int, said: IO[bytes], done: int, size: int) -> str:
    """What to say when the worker did not come to an end."""
    said.seek(max(0, said.seek(0, os.SEEK_END) - 20_000))
    lines = [line for line in said.read().decode("utf-8", "replace").splitlines() if line.startswith(FAILED)]
    after = f" (after event {done - 1}, file of {size} bytes)" if done else f" (file of {size} bytes)"
    if lines:
        return lines[-1].removeprefix(FAILED).strip()[:300] + after
    if code < 0:
        return f"the file is damaged: dv-processing crashed on it, signal {-code}" + after
    return f"dv-processing could not read it (exit code {code})" + after
