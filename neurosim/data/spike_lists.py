"""Spike lists: a text or CSV file with two columns, or a ``.npz`` with two arrays.

One column is ``neuron``, the other the time: ``tick``, ``time_s``, ``time_ms`` or ``time_us``. In text a first line
names them, in either order; units in brackets behind a name are skipped, so the tables that ``neurosim export`` writes
can be read. Columns are parted by commas, semicolons, tabs or blanks; ``#`` begins a comment.
"""

from __future__ import annotations

import math
import os
import re
import zipfile
from array import array
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.data.events import (
    MOST_LINES,
    Integers,
    SpikeList,
    backwards,
    in_order,
    listed,
    open_file,
    tick_length_fs,
    ticks_of,
)
from neurosim.data.npz import read_npz
from neurosim.errors import InputError

TIMES_FS = {"time_s": 10**15, "time_ms": 10**12, "time_us": 10**9}
"""Femtoseconds in the unit of each column of times."""
COLUMNS = ("tick", *TIMES_FS)
LINE_CHARACTERS = 4096
"""No line of a spike list is longer; a file without line ends must not fill the memory."""
_MOST_FS = 2**63 - 1


def read_spikes(
    path: str | os.PathLike[str],
    *,
    neurons: int | None = None,
    tick_s: float | None = None,
    columns: Sequence[str] | None = None,
    sort: bool = False,
) -> SpikeList:
    """A spike list as (tick, neuron), sorted by tick, then by neuron; a neuron's second spike in a tick is dropped.

    ``neurons``: size of the population, for the check that every neuron lies in 0..neurons-1. ``tick_s``: length of a
    tick in seconds, needed where the file holds times: tick = floor(time / tick_s), times rounded to femtoseconds.
    ``columns``: names for a text file without a first line that gives them, such as ``("neuron", "tick")``.
    ``sort``: accept a list that is not in the order of time.

    Raises :class:`InputError` with everything that is wrong, each with its line (text) or entry (``.npz``).
    """
    file = Path(path)
    where = str(file)
    problems = []
    if neurons is not None and (isinstance(neurons, bool) or not isinstance(neurons, (int, np.integer)) or neurons < 1):
        problems.append(f"neurons = {neurons!r}: must be a whole number of at least 1")
    if columns is not None:
        problems += _names_problems([str(name) for name in columns], "columns")
    if problems:
        raise InputError(problems, where)
    tick_fs = None if tick_s is None else tick_length_fs(tick_s)
    if file.suffix.lower() == ".npz":
        kind, time, neuron, lines = _from_npz(file)
    else:
        kind, time, neuron, lines = _from_text(file, None if columns is None else [str(name) for name in columns])

    def tell(i: int) -> str:
        return f"entry {i}" if lines is None else f"line {lines[i]}"

    if kind in TIMES_FS:
        if tick_fs is None:
            raise InputError(f"holds times ({kind}): say how long a tick is, for example tick_s=1e-3", where)
        scale = float(TIMES_FS[kind])
        wrong = ~np.isfinite(time) | (np.abs(time) * scale >= _MOST_FS)
        problems += listed(wrong, tell, lambda i: f"{kind} {time[i]:g} is no time below 2^63 fs (2.5 hours)")
        time = np.where(wrong, 0.0, time)
    problems += listed(time < 0, tell, lambda i: f"{kind} {time[i]} is before 0")
    top = np.iinfo(np.int64).max if neurons is None else int(neurons) - 1
    reach = "is before 0" if neurons is None else f"is outside 0..{top}"
    problems += listed((neuron < 0) | (neuron > top), tell, lambda i: f"neuron {neuron[i]} {reach}")
    if not sort:
        late = backwards(time, tell, unit="")
        problems += [*late, "sort=True accepts a list in any order"] if late else []
    if problems:
        raise InputError(problems, where)
    if kind in TIMES_FS:
        assert tick_fs is not None  # asked for above
        tick = ticks_of(np.rint(time * float(TIMES_FS[kind])).astype(np.int64), 1, tick_fs)
    else:
        tick = time
    return in_order(tick, neuron, merge=True)


def _names_problems(names: list[str], what: str) -> list[str]:
    timed = [name for name in names if name in COLUMNS]
    if len(names) == 2 and "neuron" in names and len(timed) == 1:
        return []
    return [f"{what}: needs neuron and one of {', '.join(COLUMNS)}, found {', '.join(names) or 'nothing'}"]


_Read = tuple[str, NDArray[Any], Integers, Integers | None]
"""(name of the column of times, times, neurons, line of each spike or None)."""


# --- npz --------------------------------------------------------------------------------------------------------------


def _from_npz(file: Path) -> _Read:
    stream, size = open_file(file)
    with stream:
        try:
            with zipfile.ZipFile(stream) as archive:
                there = [name.removesuffix(".npy") for name in archive.namelist()]
        except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError):
            there = []  # read_npz says what is wrong with it
        timed = [name for name in COLUMNS if name in there]
        if len(timed) > 1:
            raise InputError(f"has {' and '.join(timed)}, only one may say when", str(file))
        kind = timed[0] if timed else "tick"
        stream.seek(0)
        arrays = read_npz(stream, size, (kind, "neuron"), str(file), empty=True)
    problems = []
    for name, found in arrays.items():
        if found.ndim != 1:
            problems.append(f"{name} has shape {found.shape}, expected [spikes]")
        kinds = "iuf" if name in TIMES_FS else "iu"
        if found.dtype.kind not in kinds:
            problems.append(
                f"{name} has type {found.dtype}, expected {'numbers' if name in TIMES_FS else 'whole numbers'}"
            )
        elif found.dtype.kind == "u" and found.size and int(found.max()) >= 2**63:
            problems.append(f"{name} has a value of 2^63 or more")
    if not problems and len(arrays[kind]) != len(arrays["neuron"]):
        problems.append(f"{kind} has {len(arrays[kind])} entries, neuron {len(arrays['neuron'])}")
    if problems:
        raise InputError(problems, str(file))
    time = arrays[kind].astype(np.float64 if kind in TIMES_FS else np.int64)
    return kind, time, arrays["neuron"].astype(np.int64), None


# --- text -------------------------------------------------------------------------------------------------------------

_WHOLE = re.compile(r"[+-]?[0-9]+\Z")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?\Z")
_WORD = re.compile(r"[A-Za-z_]")


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """(number, text) of every line that says something."""
    stream, _ = open_file(file)
    with stream:
        number = 0
        while raw := stream.readline(LINE_CHARACTERS + 1):
            number += 1
            if len(raw) > LINE_CHARACTERS:
                raise InputError(
                    f"line {number}: longer than {LINE_CHARACTERS} characters; this is no spike list", str(file)
                )
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8", errors="replace").partition("#")[0].strip()
            if text:
                yield number, text


def _cells(text: str) -> list[str]:
    for separator in ",;\t":
        if separator in text:
            return [cell.strip() for cell in text.split(separator)]
    return text.split()


def _from_text(file: Path, names: list[str] | None) -> _Read:
    problems: list[str] = []
    faults = 0
    times: array[Any] | None = None
    neurons, lines = array("q"), array("q")
    kind, at_time, at_neuron = "tick", 0, 1
    for number, text in _lines(file):
        cells = _cells(text)
        if times is None:
            heading = _WORD.match(cells[0].strip('"')) is not None
            if heading or names is None:
                found = [re.sub(r"\s*\[.*\Z", "", cell.strip('"')) for cell in cells] if heading else []
                fault = _names_problems(found, f"line {number}")
                if fault and not heading:
                    fault = [
                        f"line {number}: a first line must name the columns, such as 'tick,neuron' (or give columns=)"
                    ]
                if not fault and names is not None and found != names:
                    fault = [f"line {number}: names {', '.join(found)}, but columns says {', '.join(names)}"]
                if fault:
                    raise InputError(fault, str(file))
                names = found
            assert names is not None  # given, or just read
            kind = next(name for name in names if name in COLUMNS)
            at_time, at_neuron = names.index(kind), names.index("neuron")
            times = array("d" if kind in TIMES_FS else "q")
            if heading:
                continue
        fault_here = _add(cells, times, neurons, kind, at_time, at_neuron)
        if fault_here is None:
            lines.append(number)
            continue
        faults += 1
        if faults <= MOST_LINES:
            problems.append(f"line {number}: {fault_here}")
    if times is None and names is None:
        problems.append("holds nothing, not even the names of the columns")
    if faults > MOST_LINES:
        problems.append(f"... and {faults - MOST_LINES} more lines that cannot be read")
    if problems:
        raise InputError(problems, str(file))
    time = np.zeros(0, np.int64) if times is None else np.array(times)
    return kind, time, np.array(neurons, np.int64), np.array(lines, np.int64)


def _add(
    cells: list[str], times: array[Any], neurons: array[int], kind: str, at_time: int, at_neuron: int
) -> str | None:
    """Append one spike, or say why not."""
    if len(cells) != 2:
        return f"has {len(cells)} columns, expected 2"
    time, neuron = cells[at_time], cells[at_neuron]
    whole = kind not in TIMES_FS
    if not (_WHOLE if whole else _NUMBER).match(time):
        return f"{kind} {time[:40]!r} is not a {'whole ' if whole else ''}number"
    if not _WHOLE.match(neuron):
        return f"neuron {neuron[:40]!r} is not a whole number"
    if len(neuron) > 20 or (whole and len(time) > 20):
        return "a number is too large"
    number = int(neuron)
    value = int(time) if whole else float(time)
    if abs(number) >= 2**63 or (whole and abs(value) >= 2**63) or not math.isfinite(value):
        return "a number is too large"
    times.append(value)
    neurons.append(number)
    return None
