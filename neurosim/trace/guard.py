"""Faults of the file system and of HDF5, said as neurosim's own errors."""

from __future__ import annotations

import errno
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from neurosim.errors import InputError, NeurosimError, TraceError

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the largest allowed file size is reached",
}
_REFUSED = {
    errno.ENOENT: "the folder does not exist",
    errno.ENOTDIR: "a part of the path is not a folder",
    errno.EACCES: "no permission to write here",
    errno.EPERM: "no permission to write here",
    errno.EROFS: "the file system is read-only",
    errno.EISDIR: "is a folder",
    errno.ENAMETOOLONG: "the name is too long",
}
_LOCKED = (errno.EAGAIN, errno.EWOULDBLOCK)
_FAULTS = (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError)


class WriteFailed(TraceError):
    """The file could not be written; nothing more must be written to it."""


def is_locked(error: BaseException) -> bool:
    """Whether a fault means that someone else has the file."""
    return getattr(error, "errno", None) in _LOCKED or "unable to lock file" in str(error)


def refusal(error: OSError, path: Path) -> InputError:
    """Why a file cannot be made or opened for writing."""
    if is_locked(error):
        return InputError("another run is writing it, or a program (perhaps this one) has it open", str(path))
    return InputError(f"cannot write: {_known(error) or error.strerror or error}", str(path))


def _known(error: BaseException) -> str:
    return {**_FULL, **_REFUSED}.get(getattr(error, "errno", None) or 0, "")


@contextmanager
def writing(part: Path) -> Iterator[None]:
    """Turn what goes wrong while writing into WriteFailed."""
    try:
        yield
    except NeurosimError:
        raise
    except (OSError, RuntimeError, MemoryError) as error:
        why = _known(error) or f"cannot write the trace: {error}"
        raise WriteFailed(
            f"{part}: {why}. The run stops here; this file holds what was recorded until its last flush. "
            f"With the fault removed (room on the disk ...), go on with  neurosim run --resume {part}"
        ) from error


@contextmanager
def reading(path: Path, what: str = "") -> Iterator[None]:
    """Turn what goes wrong while reading into TraceError: the file is damaged or not what it claims to be."""
    try:
        yield
    except NeurosimError:
        raise
    except _FAULTS as error:
        place = f"{path}: {what}" if what else str(path)
        raise TraceError(f"{place}: cannot be read, the file is damaged ({_first_line(error)})") from error


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Keep back Ctrl-C and SIGTERM: an exception in the middle of HDF5's own bookkeeping would spoil it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kept: list[tuple[int, FrameType | None]] = []
    handlers: dict[int, Any] = {}
    for number in (int(signal.SIGINT), int(signal.SIGTERM)):
        handler = signal.getsignal(number)
        if callable(handler):
            handlers[number] = handler
            signal.signal(number, lambda got, frame: kept.append((got, frame)))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for got, frame in kept:
        handlers[got](got, frame)


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0] if text else type(error).__name__
