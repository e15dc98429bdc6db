"""Two slots that are written in turn, each with a sequence number and a checksum over everything in it.

A slot that was being written when the process died does not match its checksum, and the other one still stands.
A slot: attributes ``sequence`` and ``sha256``; ``header`` (JSON as bytes: the list of arrays, the lengths of all
tables at that moment, the engine's ``meta``); ``arrays/NAME``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from neurosim.errors import TraceError
from neurosim.trace import attributes, guard
from neurosim.trace.datasets import checked, follow

GROUP = "/checkpoint"
SLOTS = 2
_HEADER_CHUNK = 4096


@dataclass(frozen=True)
class Checkpoint:
    """Everything that a run needs to go on."""

    sequence: int
    arrays: dict[str, np.ndarray]
    meta: dict[str, Any]
    lengths: dict[str, int]


def save(file: Any, sequence: int, arrays: Mapping[str, np.ndarray], meta: Mapping[str, Any],
         lengths: Mapping[str, int]) -> None:  # fmt: skip
    """Write checkpoint number ``sequence`` into its slot; the other slot is not touched."""
    kept = {name: _storable(name, array) for name, array in arrays.items()}
    header = attributes.to_json(
        {
            "arrays": [[name, array.dtype.str, list(array.shape)] for name, array in kept.items()],
            "lengths": dict(lengths),
            "meta": dict(meta),
        }
    ).encode()
    slot = file.require_group(f"{GROUP}/{sequence % SLOTS}")
    slot.attrs["sequence"] = -1  # not a checkpoint until everything is in place
    folder = slot.require_group("arrays")
    for name in [name for name in _names(folder) if name not in kept]:
        del folder[name]
    for name, array in kept.items():
        _put(folder, name, array)
    if "header" not in slot:
        slot.create_dataset("header", shape=(0,), maxshape=(None,), dtype="u1", chunks=(_HEADER_CHUNK,))
    slot["header"].resize((len(header),))
    slot["header"][...] = np.frombuffer(header, dtype=np.uint8)
    slot.attrs["sha256"] = _digest(sequence, header, kept)
    slot.attrs["sequence"] = sequence


def load(file: Any, path: Path) -> Checkpoint:
    """The newest checkpoint that is whole."""
    groups = [follow(file, f"{GROUP}/{slot}", path) for slot in range(SLOTS)]
    found = [_read(group, path) for group in groups if group is not None]
    whole = [checkpoint for checkpoint in found if checkpoint is not None]
    if whole:
        return max(whole, key=lambda checkpoint: checkpoint.sequence)
    if found:
        raise TraceError(f"{path}: no checkpoint in it is whole, so the run cannot go on from here")
    raise TraceError(f"{path}: holds no checkpoint (the run ended before its first), so it cannot be resumed")


def _storable(name: str, array: np.ndarray) -> np.ndarray:
    out = np.asarray(array)
    if out.dtype.kind not in "biufc":
        raise TraceError(f"checkpoint array {name!r} has the type {out.dtype}; only numbers can be kept")
    return np.asarray(out, order="C")


def _names(folder: Any) -> list[str]:
    names: list[str] = []
    folder.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return names


def _put(folder: Any, name: str, array: np.ndarray) -> None:
    """Overwrite in place where the shape allows: nothing moves in the file."""
    old = folder.get(name)
    if isinstance(old, h5py.Dataset) and old.shape == array.shape and old.dtype == array.dtype:
        old[...] = array
        return
    if old is not None:
        del folder[name]
    folder.create_dataset(name, data=array)


def _read(group: Any, path: Path) -> Checkpoint | None:
    """A slot's checkpoint, or None where it is damaged."""
    try:
        with guard.reading(path, GROUP):
            sequence = int(group.attrs["sequence"])
            if sequence < 0:
                return None
            header = checked(follow(group, "header", path), path)[...].astype(np.uint8).tobytes()
            content = json.loads(header)
            arrays: dict[str, np.ndarray] = {}
            for name, dtype, shape in content["arrays"]:
                data = checked(follow(group, f"arrays/{name}", path), path)
                arrays[name] = np.asarray(data[...], dtype=np.dtype(dtype)).reshape(shape)
            if group.attrs["sha256"] != _digest(sequence, header, arrays):
                return None
            return Checkpoint(sequence, arrays, content["meta"], {key: int(n) for key, n in content["lengths"].items()})
    except TraceError:
        return None


def _digest(sequence: int, header: bytes, arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256(f"{sequence}\n".encode())
    digest.update(header)
    for array in arrays.values():
        digest.update(np.ascontiguousarray(array).data if array.size else b"")
    return digest.hexdigest()
