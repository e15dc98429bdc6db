"""Values as HDF5 attributes and back: numbers, text, flags, lists, None, nested tables as sub-groups.

None is an empty attribute. What HDF5 has no type for (a list of tables, an integer above 64 bits) becomes JSON
text in an attribute whose name ends in `` (json)``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from neurosim.errors import TraceError

_JSON = " (json)"
_DEEPEST = 16


def write(group: Any, values: Mapping[str, Any]) -> None:
    """Set ``values`` on an h5py group; nested mappings become sub-groups."""
    for key, value in values.items():
        _check_key(key)
        if isinstance(value, Mapping):
            write(group.require_group(key), value)
        else:
            _set(group, key, value)


def read(group: Any, path: Path, depth: int = 0) -> dict[str, Any]:
    """The attributes and sub-groups of an h5py group, as plain Python values."""
    if depth > _DEEPEST:
        raise TraceError(f"{path}: {group.name} is nested too deep")
    out: dict[str, Any] = {}
    for key in group.attrs:
        name = str(key)
        value = plain(group.attrs[key], path, f"{group.name}@{name}")
        if name.endswith(_JSON):
            out[name.removesuffix(_JSON)] = json.loads(value)
        else:
            out[name] = value
    for key in group:
        if isinstance(group.get(key, getlink=True), h5py.HardLink) and isinstance(group[key], h5py.Group):
            out[str(key)] = read(group[key], path, depth + 1)
    return out


def plain(value: Any, path: Path, where: str) -> Any:
    """One attribute's value as a plain Python value; refuses types that no trace has."""
    if isinstance(value, h5py.Empty):
        return None
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8")
    array = np.asarray(value)
    if array.dtype.kind in "biuf":
        return array.tolist()
    if array.dtype.kind in "SUO" and all(isinstance(item, str | bytes) for item in array.flat):
        texts = [item.decode("utf-8") if isinstance(item, bytes) else str(item) for item in array.flat]
        return texts if array.ndim else texts[0]
    raise TraceError(f"{path}: {where} has the type {array.dtype}, which no trace holds")


def to_json(value: Any) -> str:
    """JSON text of a value that may hold NumPy numbers and arrays."""
    return json.dumps(value, default=_plain_number, sort_keys=True)


def _plain_number(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} cannot be kept in a trace")


def _check_key(key: str) -> None:
    if not isinstance(key, str) or not key or key == "." or "/" in key or "\0" in key or key.endswith(_JSON):
        raise TraceError(f"{key!r} cannot be the name of a value in a trace")


def _set(group: Any, key: str, value: Any) -> None:
    for old in (key, key + _JSON):
        if old in group.attrs:
            del group.attrs[old]
    if value is None:
        group.attrs[key] = h5py.Empty("f8")
    elif isinstance(value, str | Path):
        group.attrs[key] = _without_nul(str(value))
    elif (array := _native(value)) is not None:
        group.attrs[key] = array
    else:
        group.attrs[key + _JSON] = to_json(value)


def _native(value: Any) -> Any:
    """``value`` as an array that HDF5 has a type for and that reads back the same, or None."""
    if isinstance(value, np.ndarray | np.generic | bool | int | float):
        array = np.asarray(value)
        return array if array.dtype.kind in "biuf" else None
    if not isinstance(value, list | tuple):
        return None
    kinds = {type(item) for item in value}
    if kinds == {str}:
        return np.array([_without_nul(item) for item in value], dtype=h5py.string_dtype())
    if len(kinds) == 1 and kinds <= {bool, int, float}:
        array = np.array(value)
        return array if array.dtype.kind in "biuf" else None
    return None


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise TraceError("text in a trace cannot hold the character NUL")
    return text
