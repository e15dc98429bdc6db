"""Published energies of a classification, shipped with their sources, for ``neurosim compare --published``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from typing import Any

from neurosim import registry, units
from neurosim.errors import InputError

_FILE = "published-energies.toml"


@dataclass(frozen=True)
class Published:
    """One system's energy of one classification, as its source prints it."""

    system: str
    energy_J: float
    error: float | None
    """Test error (a share of 1); None where the source does not say."""
    counts: str
    """What is in the energy, as far as is known."""
    source: str
    quoted: bool
    """The number stands in its source, but what it belongs to is not known here."""


def tasks() -> tuple[str, ...]:
    """Tasks that published energies are known for."""
    return tuple(_tables())


def load_published(task: str) -> tuple[Published, ...]:
    """The rows of a task, least energy first; raises InputError for a task that is not known."""
    tables = _tables()
    if task not in tables:
        raise InputError(registry.unknown(task, list(tables), "task with published energies"))
    rows = [_row(row) for row in tables[task]]
    return tuple(sorted(rows, key=lambda row: row.energy_J))


def _tables() -> dict[str, list[dict[str, Any]]]:
    text = resources.files("neurosim.data").joinpath("embedded", _FILE).read_text(encoding="utf-8")
    return tomllib.loads(text)


def _row(row: dict[str, Any]) -> Published:
    error = row.get("error")
    return Published(
        system=row["system"],
        energy_J=units.parse(row["energy"], "J"),
        error=None if error is None else error / 100.0,
        counts=row["counts"],
        source=row["source"],
        quoted=row.get("quoted", False),
    )
