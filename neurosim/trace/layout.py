"""What the file looks like: format name and version, states, the unfinished file's name, sizes of chunks."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

FORMAT = "neurosim-trace"
FORMAT_VERSION = 1
SIGNATURE = b"\x89HDF\r\n\x1a\n"

Status = Literal["running", "complete", "interrupted", "failed"]
FINISHED: tuple[Status, ...] = ("complete", "interrupted", "failed")
"""A trace that is closed with one of these gets its final name."""

PART = ".part"
EVENT_STREAMS = "/spikes/"
"""Tables below this path hold many short rows: large chunks, shuffled and compressed."""
WHEN = "when"
"""Beside the neurons that fired: in which ticks, and how many in each. A table inside a table."""
EVENT_CHUNK_ROWS = 16 * 1024
PACKED = "packed"
"""The attribute of a stream that is compressed however small its numbers are."""
SPIKES_OF_CHUNK = 16
"""So many spikes of every neuron have room in a chunk that is not compressed, within ``RAW_CHUNK_BYTES``."""
RAW_CHUNK_BYTES = (1024, 64 * 1024)
CHUNK_ROWS = 1024
CHUNK_BYTES = 64 * 1024
BUFFER_BYTES = 1024 * 1024
"""A table's rows wait in memory until there are this many bytes of them, or until a flush."""
STAGED_BYTES = 32 * 1024 * 1024
"""So much waits in memory for the next flush; then there is one."""


def part_of(path: Path) -> Path:
    """Where a trace is written until it is closed."""
    return path if path.name.endswith(PART) else path.with_name(path.name + PART)


def final_of(path: Path) -> Path:
    """The name that a trace gets when it is closed."""
    return path.with_name(path.name.removesuffix(PART)) if path.name.endswith(PART) else path


def is_event_stream(path: str) -> bool:
    """Whether a table holds events."""
    return path.startswith(EVENT_STREAMS)


def is_packed(path: str, item_bytes: int, packed: bool = False) -> bool:
    """Whether a column is compressed: in streams, all but numbers so small that it would not pay."""
    return is_event_stream(path) and (packed or item_bytes > 2)


def is_inside(path: str) -> bool:
    """Whether a table is a part of the one above it."""
    return path.startswith(EVENT_STREAMS) and path.endswith("/" + WHEN) and path.count("/") > 2


def chunk_rows(path: str, row_bytes: int, neurons: int = 0, packed: bool = False) -> int:
    """Rows of one chunk of a column: all of a stream's chunk, or about ``CHUNK_BYTES``.

    ``neurons``: of the population whose spikes a stream holds.
    """
    if is_event_stream(path) and not is_packed(path, row_bytes, packed):
        least, most = RAW_CHUNK_BYTES
        return min(max(least, SPIKES_OF_CHUNK * neurons * row_bytes), most) // row_bytes
    if is_event_stream(path):
        return EVENT_CHUNK_ROWS
    return max(1, min(CHUNK_ROWS, CHUNK_BYTES // max(1, row_bytes)))
