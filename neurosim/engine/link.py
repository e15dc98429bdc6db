"""Resolves the symbolic arrays of a composed source, ``S.name[...]``, to constant offsets in a few flat arenas.

A kernel that takes a hundred arrays is slow to compile and to call, so all of a machine's memory lies in four arenas:
``F`` (floats of the run's type), ``D`` (float64), ``I`` (int64) and ``W`` (uint32). ``S`` in an argument list stands
for the four, ``DATA`` for the dataset's arrays. A checkpoint is the four arenas.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np

ARENAS = ("F", "D", "I", "W")
DATA = ("train_x", "train_t", "train_y", "test_x", "test_t", "test_y", "class_start", "class_order")
_ALIGN = 16
_DOUBLES = (
    "pf",
    "rf",
    "ring",
    "evaluation",
    "coefficient",
    "slope",
    "norms",
    "size",
    "layer_scale",
    "costs",
    "filtered",
    "previous",
    "erbp",
    "device_numbers",
    "device_table",
    "since",
    "clock_parts",
    "verify_target",
    "verify_seen",
)


@dataclass(frozen=True)
class Field:
    """Where one array lies."""

    arena: str
    start: int
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


def layout(arrays: dict[str, np.ndarray]) -> dict[str, Field]:
    """Lay all arrays out in their arenas, each starting at a multiple of 16 elements."""
    ends = dict.fromkeys(ARENAS, 0)
    fields = {}
    for name, array in arrays.items():
        if name in DATA:
            continue
        arena = _arena(name, array)
        fields[name] = Field(arena, ends[arena], array.shape)
        ends[arena] += -(-array.size // _ALIGN) * _ALIGN
    return fields


def _arena(name: str, array: np.ndarray) -> str:
    if name in _DOUBLES:
        return "D"
    if array.dtype == np.uint32:
        return "W"
    return "F" if array.dtype.kind == "f" else "I"


def pack(
    arrays: dict[str, np.ndarray], fields: dict[str, Field], dtype: np.dtype
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Copy all arrays into arenas; returns (arenas, the same arrays as views of them)."""
    kinds = {"F": dtype, "D": np.dtype(np.float64), "I": np.dtype(np.int64), "W": np.dtype(np.uint32)}
    arenas = {}
    for arena, kind in kinds.items():
        end = max((field.start + field.size for field in fields.values() if field.arena == arena), default=0)
        arenas[arena] = np.zeros(max(1, end), kind)
    views = {}
    for name, array in arrays.items():
        if name in DATA:
            views[name] = np.ascontiguousarray(array).reshape(-1)
            continue
        field = fields[name]
        views[name] = arenas[field.arena][field.start : field.start + field.size].reshape(field.shape)
        views[name][...] = array
    return arenas, views


def link(source: str, fields: dict[str, Field]) -> str:
    """Replace every ``S.name`` and ``S.name[...]`` by arena and offset, then ``S`` and ``DATA`` by argument lists."""
    out, position = [], 0
    for match in re.finditer(r"\bS\.(\w+)", source):
        if match.start() < position:  # inside brackets that an outer reference has taken
            continue
        out.append(source[position : match.start()])
        text, position = _reference(source, match, fields)
        out.append(text)
    out.append(source[position:])
    linked = "".join(out)
    linked = re.sub(r"\bS\b(?=[,)])", ", ".join(ARENAS), linked)
    return re.sub(r"\bDATA\b(?=[,)])", ", ".join(DATA), linked)


def _reference(source: str, match: re.Match[str], fields: dict[str, Field]) -> tuple[str, int]:
    """Text for one reference, and where the source goes on behind it."""
    field = fields[match.group(1)]
    end = match.end()
    if end >= len(source) or source[end] != "[":
        return _span(field.arena, str(field.start), f"{field.start + field.size}"), end
    close = _closing(source, end)
    index = link(source[end + 1 : close], fields)
    base: str = str(field.start)
    size = field.size
    if len(field.shape) == 2:
        row, rest = _split(index, ",")
        base, size = _sum(base, f"({row.strip()}) * {field.shape[1]}"), field.shape[1]
        index = rest.strip() if rest is not None else ":"
    first, last = _split(index, ":")
    if last is None:
        return f"{field.arena}[{_sum(base, first.strip())}]", close + 1
    begin = _sum(base, first.strip() or "0")
    finish = _sum(base, last.strip() or str(size))
    return _span(field.arena, begin, finish), close + 1


def _span(arena: str, begin: str, end: str) -> str:
    return f"{arena}[{begin}:{end}]"


def _sum(base: str, offset: str) -> str:
    if base.isdigit() and offset.isdigit():
        return str(int(base) + int(offset))
    return offset if base == "0" else base if offset == "0" else f"{base} + {offset}"


def _closing(text: str, start: int) -> int:
    depth = 0
    for k in range(start, len(text)):
        depth += text[k] in "([{"
        depth -= text[k] in ")]}"
        if depth == 0:
            return k
    raise ValueError(f"unbalanced brackets behind {text[start - 20 : start]!r}")


def _split(text: str, separator: str) -> tuple[str, str | None]:
    """Split at the first ``separator`` outside brackets."""
    depth = 0
    for k, character in enumerate(text):
        depth += character in "([{"
        depth -= character in ")]}"
        if depth == 0 and character == separator:
            return text[:k], text[k + 1 :]
    return text, None
