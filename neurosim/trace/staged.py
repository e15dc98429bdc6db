"""The file as HDF5 sees it: the bytes on the disk, with all that was written since the last commit laid over them.

HDF5 updates its own structures piece by piece. A process that is killed in between leaves a file that does not open
(16 of 60, measured with -9 in a busy loop), and after one failed write, on a full disk, HDF5 itself crashes. So it
writes into memory, and :meth:`StagedFile.commit` brings the result to the disk as a whole:

1. what lies beyond the committed end goes straight to its place; nothing on the disk refers to it yet;
2. pages of the older part that changed are appended behind it, as a journal with a checksum at the very end;
3. the same pages go to their places;
4. the journal is cut off.

Killed before 2 is complete, the file is the old one with something behind its end, which HDF5 ignores. Killed later,
the journal is whole, and :func:`recover` lays its pages over the file. A full disk shows in 1 or 2, when the old
file is still untouched.
"""

from __future__ import annotations

import hashlib
import io
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

try:
    import fcntl
except ImportError:  # no advisory locks here
    fcntl = None  # type: ignore[assignment]

_PAGE = 4096
_ENTRY = struct.Struct("<QQ")
_TRAILER = struct.Struct("<QQ32s8s")
_MAGIC = b"NEUROJNL"


class StagedFile(io.RawIOBase):
    """A random-access file in which nothing reaches the disk before :meth:`commit`."""

    def __init__(self, disk: BinaryIO, size: int, pages: dict[int, bytearray] | None = None) -> None:
        super().__init__()
        self._disk = disk
        self._committed = size
        self._end = size
        self._valid = size  # bytes on the disk after this one were cut off since the last commit
        self._new = bytearray()  # bytes from _committed on
        self._pages = pages or {}  # changed pages before _committed
        self._at = 0

    @classmethod
    def create(cls, path: Path) -> StagedFile:
        """An empty file, locked; OSError where another process has it."""
        disk = _open(path, os.O_RDWR | os.O_CREAT)
        disk.truncate(0)
        return cls(disk, 0)

    @classmethod
    def open(cls, path: Path) -> StagedFile:
        """An existing file for writing, locked, brought to its last commit."""
        disk = _open(path, os.O_RDWR)
        staged = cls(disk, disk.seek(0, os.SEEK_END))
        found = _journal(disk)
        if found is not None:
            staged._pages, staged._end = found
            staged._apply()
        return staged

    @property
    def waiting(self) -> int:
        """Bytes that the next commit brings to the disk."""
        return len(self._new) + _PAGE * len(self._pages)

    def commit(self, *, durable: bool = False) -> None:
        """Bring everything to the disk; ``durable`` waits until it is really there, whatever happens to the power."""
        try:
            if self._end > self._committed:
                self._new.extend(bytes(max(0, self._end - self._committed - len(self._new))))
                self._put(self._committed, self._new)
            for number in _page_numbers(self._valid, min(self._end, self._committed)):
                self._page(number)  # cut off and grown again: zeros
            if self._pages:
                self._sync(durable)
                self._write_journal()
                self._sync(durable)
        except OSError:
            self._cut(self._committed)
            raise
        self._apply()
        self._sync(durable)

    def close(self) -> None:
        """Let go of the file; what was not committed is lost."""
        if not self.closed:
            self._disk.close()
        super().close()

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence]
        return self._at

    def truncate(self, size: int | None = None) -> int:
        self._end = self._at if size is None else size
        self._valid = min(self._valid, self._end)
        del self._new[max(0, self._end - self._committed) :]
        for number in [number for number in self._pages if (number + 1) * _PAGE > self._end]:
            kept = max(0, self._end - number * _PAGE)
            page = self._pages[number]
            page[kept:] = bytes(len(page) - min(kept, len(page)))
        return self._end

    def readinto(self, buffer: Any) -> int:
        """Fill the whole buffer; beyond the end there are zeros."""
        out = memoryview(buffer).cast("B")
        start, stop = self._at, self._at + len(out)
        middle = max(start, min(stop, self._committed))
        got = self._fetch(start, out[: middle - start])
        out[got:] = bytes(len(out) - got)
        for number in _page_numbers(start, middle):
            page = self._pages.get(number)
            if page is not None:
                base = number * _PAGE
                low, high = max(start, base), min(middle, base + len(page))
                if high <= low:  # a page from a journal may end where the file then ended
                    continue
                out[low - start : high - start] = page[low - base : high - base]
        fresh = self._new[middle - self._committed : stop - self._committed] if stop > self._committed else b""
        out[middle - start : middle - start + len(fresh)] = fresh
        self._at = stop
        return len(out)

    def write(self, buffer: Any) -> int:
        """Keep the bytes in memory."""
        data = memoryview(buffer).cast("B")
        start, stop = self._at, self._at + len(data)
        middle = max(start, min(stop, self._committed))
        for number in _page_numbers(start, middle):
            page = self._page(number)
            base = number * _PAGE
            low, high = max(start, base), min(middle, base + len(page))
            page[low - base : high - base] = data[low - start : high - start]
        if stop > self._committed:
            low = middle - self._committed
            self._new.extend(bytes(max(0, low - len(self._new))))
            self._new[low : stop - self._committed] = data[middle - start :]
        self._at = stop
        self._end = max(self._end, stop)
        return len(data)

    def _page(self, number: int) -> bytearray:
        if number not in self._pages:
            base = number * _PAGE
            page = bytearray(min(_PAGE, self._committed - base))
            self._fetch(base, memoryview(page))
            self._pages[number] = page
        return self._pages[number]

    def _fetch(self, start: int, out: memoryview) -> int:
        """Read from the disk as much as there is."""
        out = out[: max(0, self._valid - start)]
        self._disk.seek(start)
        got = 0
        while got < len(out):
            n = cast("io.RawIOBase", self._disk).readinto(out[got:])
            if not n:
                break
            got += n
        return got

    def _put(self, start: int, data: bytes | bytearray | memoryview) -> None:
        """Write to the disk, all of it."""
        self._disk.seek(start)
        view = memoryview(data)
        while len(view):
            view = view[self._disk.write(view) :]

    def _cut(self, size: int) -> None:
        self._disk.truncate(size)

    def _write_journal(self) -> None:
        start = max(self._end, self._committed)
        parts: list[bytes | bytearray] = []
        for number, page in self._pages.items():
            parts += [_ENTRY.pack(number * _PAGE, len(page)), page]
        body = b"".join(parts)
        self._put(start, body + _TRAILER.pack(start, self._end, _digest(body, start, self._end), _MAGIC))

    def _apply(self) -> None:
        """Bring the changed pages to their places and cut off what follows the end."""
        for number, page in self._pages.items():
            self._put(number * _PAGE, page)
        self._cut(self._end)
        self._committed = self._valid = self._end
        self._new = bytearray()
        self._pages = {}

    def _sync(self, durable: bool) -> None:
        if durable:
            os.fsync(self._disk.fileno())


def recover(path: Path) -> StagedFile | None:
    """A read-only view of a file whose last commit was cut short after its journal; None for all other files."""
    disk = open(path, "rb", buffering=0)  # noqa: SIM115
    found = _journal(disk)
    if found is None:
        disk.close()
        return None
    pages, end = found
    return StagedFile(disk, end, pages)


def check_unlocked(path: Path) -> None:
    """OSError where another process writes the file."""
    with open(path, "rb") as disk:
        if fcntl is not None:
            fcntl.flock(disk, fcntl.LOCK_SH | fcntl.LOCK_NB)


def _page_numbers(start: int, stop: int) -> Iterator[int]:
    return iter(range(start // _PAGE, -(-stop // _PAGE)) if stop > start else ())


def _open(path: Path, flags: int) -> BinaryIO:
    """Open a file and lock it, so that two runs never write the same one."""
    disk = open(os.open(path, flags, 0o666), "r+b", buffering=0)  # noqa: SIM115
    try:
        if fcntl is not None:
            fcntl.flock(disk, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        disk.close()
        raise
    return cast("BinaryIO", disk)


def _digest(body: bytes, start: int, end: int) -> bytes:
    return hashlib.sha256(body + struct.pack("<QQ", start, end)).digest()


def _journal(disk: Any) -> tuple[dict[int, bytearray], int] | None:
    """Pages and end of the file, if a whole journal stands at its very end."""
    size = disk.seek(0, os.SEEK_END)
    if size < _TRAILER.size:
        return None
    disk.seek(size - _TRAILER.size)
    start, end, digest, magic = _TRAILER.unpack(disk.read(_TRAILER.size))
    if magic != _MAGIC or start > size - _TRAILER.size or end > start:
        return None
    disk.seek(start)
    body = disk.read(size - _TRAILER.size - start)
    if _digest(body, start, end) != digest:
        return None
    pages: dict[int, bytearray] = {}
    at = 0
    while at < len(body):
        offset, length = _ENTRY.unpack_from(body, at)
        at += _ENTRY.size
        if offset % _PAGE or length > _PAGE or offset + length > size or at + length > len(body):
            return None
        pages[offset // _PAGE] = bytearray(body[at : at + length])
        at += length
    return pages, end
