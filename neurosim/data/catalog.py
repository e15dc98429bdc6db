"""The names a user may write as ``task.data``, and :func:`load`.

A family of datasets is one file: it decorates one function with :func:`register`, and ``neurosim/data/__init__.py``
imports it.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from neurosim.data.dataset import Dataset
from neurosim.data.progress import Progress
from neurosim.errors import InputError


@dataclass(frozen=True)
class Option:
    """One number that a generated dataset lets the user choose. ``default`` also fixes the type: int or float."""

    default: int | float
    low: int | float
    high: int | float
    about: str

    def problem(self, value: object) -> str | None:
        """What is wrong with ``value``, or None."""
        whole = isinstance(self.default, int)
        if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
            return f"must be a {'whole ' if whole else ''}number, not {value!r}"
        if not self.low <= value <= self.high:  # also catches NaN
            return f"must lie in {self.low}..{self.high}, not {value!r}"
        return None


@dataclass(frozen=True)
class Request:
    """What the caller of :func:`load` asked for, with the options checked and defaults filled in."""

    name: str
    folder: Path | None
    n_train: int | None
    n_test: int | None
    progress: Progress | None
    options: Mapping[str, int | float] = field(default_factory=dict)

    def sizes(self, train: int, test: int) -> tuple[int, int]:
        """How many samples to keep, given how many there are; asking for more than exist is an error."""
        problems = [
            f"{key} = {wanted}, but {self.name} has only {there} such samples"
            for key, wanted, there in (("n_train", self.n_train, train), ("n_test", self.n_test, test))
            if wanted is not None and wanted > there
        ]
        if problems:
            raise InputError(problems, where=self.name)
        return (train if self.n_train is None else self.n_train, test if self.n_test is None else self.n_test)


Maker = Callable[[Request], Dataset]

#: the one registered name that stands for an ending
NPZ = ".npz"


@dataclass(frozen=True)
class Entry:
    """One registered name."""

    make: Maker
    about: str
    options: Mapping[str, Option]


CATALOG: dict[str, Entry] = {}


def register(name: str, about: str, **options: Option) -> Callable[[Maker], Maker]:
    """Register a function from :class:`Request` to :class:`Dataset` under ``name``."""

    def wrap(make: Maker) -> Maker:
        if name in CATALOG:
            raise ValueError(f"dataset {name!r} is registered twice")
        CATALOG[name] = Entry(make, about, options)
        return make

    return wrap


def available() -> dict[str, str]:
    """Every registered name with one line about it, sorted; ``.npz`` stands for every path that ends so."""
    return {name: CATALOG[name].about for name in sorted(CATALOG)}


def load(
    name: str | os.PathLike[str],
    folder: str | os.PathLike[str] | None = None,
    n_train: int | None = None,
    n_test: int | None = None,
    progress: Progress | None = None,
    *,
    options: Mapping[str, object] | None = None,
) -> Dataset:
    """Load a dataset by name, or from a ``.npz`` file.

    ``name``: one of :func:`available`, or a path that ends in ``.npz``.
    ``folder``: looked in first (for a relative ``.npz`` path: the folder it is relative to).
    ``n_train``, ``n_test``: keep only the first so many samples; for ``nist7x7``, how many to draw.
    ``progress``: called as ``progress(what, bytes_done, bytes_total_or_None)`` during downloads. None shows a bar when
    stderr is a terminal; pass :func:`neurosim.data.silent` for none at all.
    ``options``: numbers of generated sets, such as ``{"bits": 4}`` for parity.

    Raises :class:`InputError` for a wrong name, option or own file, :class:`DataError` where a dataset cannot be
    found, reached or trusted. The same arguments give the same arrays; nothing here draws from a hidden seed.
    """
    key = os.fspath(name)
    given = dict(options or {})
    # a path picks the reader by its ending; every other name must be a registered one
    entry = CATALOG.get(NPZ if key.lower().endswith(NPZ) else key)
    if entry is None:
        raise InputError(_unknown(key))
    problems = [
        f"{label} must be a whole number of at least 1, not {count!r}"
        for label, count in (("n_train", n_train), ("n_test", n_test))
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1)
    ]
    values: dict[str, int | float] = {option: spec.default for option, spec in entry.options.items()}
    for option, value in given.items():
        spec = entry.options.get(option)
        fault = spec.problem(value) if spec else f"is no option of {key} (it has: {', '.join(entry.options) or 'none'})"
        if fault:
            problems.append(f"options.{option} {fault}")
        elif isinstance(value, int | float):
            values[option] = value
    if problems:
        raise InputError(problems, where=key)
    place = None if folder is None else Path(folder).expanduser()
    return entry.make(Request(key, place, n_train, n_test, progress, values))


def _unknown(key: str) -> str:
    names = [name for name in sorted(CATALOG) if name != NPZ]
    near = difflib.get_close_matches(key.lower().replace("_", "-"), names, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"there is no dataset {key!r}.{hint} Known: {', '.join(names)}, or a path that ends in .npz"
