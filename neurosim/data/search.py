"""Where files of public datasets are looked for, and in which order.

1. the folder given by the caller      2. the folder in the environment variable ``NEUROSIM_DATA``
3. Debian's ``/usr/share/datasets``    4. the cache        5. public mirrors (:mod:`neurosim.data.download`)

A file counts only once its content passed the check of its family (format, sizes, MD5), so every route gives the
same bytes. A wrong file in a folder that the user named is an error; a wrong one elsewhere is noted and passed over.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from neurosim.data.progress import Progress
from neurosim.errors import DataError, InputError

T = TypeVar("T")

#: Debian and Ubuntu put the files of the package dataset-fashion-mnist into DEBIAN/fashion-mnist
DEBIAN = Path("/usr/share/datasets")


class OtherSetError(DataError):
    """A sound file, but of another dataset that uses the same file names (MNIST and Fashion-MNIST do)."""


@dataclass(frozen=True)
class Wanted(Generic[T]):
    """One thing to find. ``accept`` turns a path into its content or raises :class:`DataError`.

    ``dataset``: its folder in the cache. ``what``: in words, for messages. ``subfolders``: below a place, in this
    order. ``names``: file names that may hold it. ``urls``: mirrors of ``saved_as``, each at most ``max_bytes`` long.
    ``advice``: what a user can do when nothing is found.
    """

    dataset: str
    what: str
    subfolders: tuple[str, ...]
    names: tuple[str, ...]
    accept: Callable[[Path], T]
    urls: tuple[str, ...]
    saved_as: str
    max_bytes: int
    advice: tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """A folder to look in. ``named``: the user named it, so a wrong file there is an error."""

    label: str
    root: Path | None
    named: bool = False


def cache_folder() -> Path:
    """``$NEUROSIM_CACHE/data``, else ``$XDG_CACHE_HOME/neurosim/data``, else ``~/.cache/neurosim/data``."""
    own = os.environ.get("NEUROSIM_CACHE")
    if own:
        return Path(own).expanduser() / "data"
    xdg = Path(os.environ.get("XDG_CACHE_HOME") or "")
    # the XDG specification says that a relative path counts as unset
    return (xdg if xdg.is_absolute() else Path.home() / ".cache") / "neurosim" / "data"


def places(folder: Path | None) -> list[Place]:
    """The folders to look in, in order; ``root`` is None where the user did not set one."""
    env = os.environ.get("NEUROSIM_DATA")
    return [
        Place("folder argument", folder, named=True),
        Place("NEUROSIM_DATA", Path(env).expanduser() if env else None, named=True),
        Place("Debian's datasets", DEBIAN),
        Place("cache", cache_folder()),
    ]


def obtain(wanted: Wanted[T], folder: Path | None, progress: Progress | None) -> tuple[T, str]:
    """Find ``wanted``, downloading it as the last resort. Returns (content, where it came from)."""
    # not at the top: urllib.request takes longer to import than all the rest of this package
    from neurosim.data import download

    if folder is not None and not folder.is_dir():
        raise InputError(f"there is no folder {folder}", where=wanted.dataset)
    tried: list[str] = []
    for place in places(folder):
        if place.root is None:
            tried.append(f"{place.label}: not set")
            continue
        found = False
        for path in _candidates(wanted, place.root):
            found = True
            try:
                return wanted.accept(path), str(path.parent)
            except OtherSetError as error:
                tried.append(f"{place.label}: {error}")
            except (DataError, OSError) as error:
                if place.named:
                    raise DataError(f"{place.label}: {error}") from error
                tried.append(f"{place.label}: {error}")
        if not found:
            tried.append(f"{place.label}: {_absent(wanted, place.root)}")
    target = cache_folder() / wanted.dataset / wanted.saved_as
    content = download.fetch(wanted.urls, target, wanted.max_bytes, wanted.accept, progress, tried)
    if content is None:
        lines = [f"{wanted.what} was found nowhere. Tried:", *(f"  - {line}" for line in tried), "What helps:"]
        raise DataError("\n".join(lines + [f"  - {line}" for line in wanted.advice]))
    return content[0], content[1]


def _candidates(wanted: Wanted[T], root: Path) -> Iterator[Path]:
    for sub in wanted.subfolders:
        for name in wanted.names:
            path = root / sub / name
            if os.path.isfile(path):  # unlike Path.is_file, False (not PermissionError) below an unreadable folder
                yield path


def _absent(wanted: Wanted[T], root: Path) -> str:
    if not os.path.isdir(root):
        return f"{root} is no folder"
    folders = " or ".join(str(root / sub) for sub in wanted.subfolders)
    return f"no {' or '.join(wanted.names)} in {folders}"


def read_bounded(path: Path, size: int) -> bytes:
    """The file's bytes, gunzipped if it is gzip, and never more than ``size`` + 1 of them.

    The one byte above ``size`` lets the caller see that a file is too long without ever holding all of it: a small gz
    can expand a thousandfold.
    """
    try:
        with open(path, "rb") as raw:
            # by content, not by name: some browsers unpack a download and keep its .gz
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if not packed:
                return raw.read(size + 1)
            with gzip.GzipFile(fileobj=raw) as stream:
                return stream.read(size + 1)
    except EOFError as error:
        raise DataError(f"{path}: the gzip stream is cut short") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: the gzip stream is corrupt ({error})") from error


def md5(content: bytes | memoryview) -> str:
    """MD5 in hex; the published checksums are MD5, and it guards against damage, not against forgery."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
