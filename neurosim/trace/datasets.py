"""Single datasets: which ones may be read, and text as fixed-length UTF-8 (no heap, no objects)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from neurosim.errors import TraceError

_FILTERS = {"gzip", None}
_MOST_COMPRESSED = 1100
"""gzip cannot do better; a dataset that claims more rows than that was made to exhaust the memory."""
_SMALL = 16 * 1024 * 1024


def checked(dataset: Any, path: Path) -> Any:
    """``dataset``, if it is one that a trace can hold: numbers or text, stored inside this file."""
    name = getattr(dataset, "name", "?")
    if not isinstance(dataset, h5py.Dataset):
        raise TraceError(f"{path}: {name} is not a dataset")
    if dataset.is_virtual or dataset.external:
        raise TraceError(f"{path}: {name} takes its data from another file, which no trace does")
    if dataset.dtype.kind not in "biufcS" and h5py.check_string_dtype(dataset.dtype) is None:
        raise TraceError(f"{path}: {name} has the type {dataset.dtype}; a trace holds only numbers and text")
    if dataset.compression not in _FILTERS:
        raise TraceError(f"{path}: {name} is packed in a way that no trace uses ({dataset.compression})")
    if dataset.nbytes > _SMALL + _MOST_COMPRESSED * dataset.id.get_storage_size():
        raise TraceError(f"{path}: {name} claims {dataset.nbytes} bytes, which the file cannot hold")
    return dataset


def follow(file: Any, name: str, path: Path) -> Any:
    """The object at ``name``, or None; links out of the file and soft links are refused before they are followed."""
    here = file
    for part in name.strip("/").split("/"):
        if not isinstance(here, h5py.Group):
            return None
        if not here.id.links.exists(part.encode()):
            return None
        if not isinstance(here.get(part, getlink=True), h5py.HardLink):
            raise TraceError(f"{path}: {name} is a link to elsewhere, which is not followed")
        here = here[part]
    return here


def text_array(value: str | Sequence[str] | np.ndarray) -> np.ndarray:
    """One text or a list of texts, as an array of fixed-length UTF-8."""
    texts = [value] if isinstance(value, str) else [str(item) for item in value]
    raw = [text.encode("utf-8") for text in texts]
    if any(b"\0" in item for item in raw):
        raise TraceError("text in a trace cannot hold the character NUL")
    width = max([1, *(len(item) for item in raw)])
    out = np.array(raw, dtype=h5py.string_dtype("utf-8", width))
    return out.reshape(()) if isinstance(value, str) else out


def texts_of(dataset: Any) -> list[str]:
    """The texts of a string dataset."""
    array = np.atleast_1d(np.asarray(dataset[()]))
    return [item.decode("utf-8") if isinstance(item, bytes) else str(item) for item in array.reshape(-1)]
