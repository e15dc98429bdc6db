"""Chip, scenario and study files: which there are, and what stands in them."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import tomli_w

from neurosim import experiments, files, models, training
from neurosim.cli_out import clean, plain, put, put_json, table
from neurosim.errors import InputError
from neurosim.files import Kind
from neurosim.spec import load

PLURAL: dict[Kind, str] = {"chip": "chips", "scenario": "scenarios", "study": "studies"}


def listing(as_json: bool, *kinds: Kind) -> None:
    """Every file of these kinds that a bare name finds, with a line about it."""
    rows = {kind: _rows(kind) for kind in kinds}
    if as_json:
        put_json({PLURAL[kind]: rows[kind] for kind in kinds})
        return
    for number, kind in enumerate(kinds):
        if number and rows[kind]:
            put(f"\n{PLURAL[kind]}: neurosim sweep NAME", "")
        if rows[kind] or not number:
            _put(kind, rows[kind])


def _rows(kind: Kind) -> list[dict[str, Any]]:
    shipped = set(files.shipped(kind).values())
    return [
        {"name": name, "summary": _about(kind, path), "path": str(path), "shipped": path in shipped}
        for name, path in files.available(kind).items()
    ]


def _put(kind: Kind, rows: list[dict[str, Any]]) -> None:
    where = [("" if row["shipped"] else str(row["path"])) for row in rows]
    headers = (kind, "", "file") if any(where) else (kind, "")
    put(table(headers, [(row["name"], row["summary"], *([place] if any(where) else []))
                        for row, place in zip(rows, where, strict=True)]))  # fmt: skip


def _about(kind: Kind, path: Path) -> str:
    """One line about a file, also about one that is not in order."""
    try:
        if kind != "chip":
            return load.summary_line(path)
        return str(tomllib.loads(path.read_text(encoding="utf-8")).get("summary", ""))
    except (OSError, ValueError) as error:
        return f"cannot be read: {str(error).splitlines()[0]}"


def text(kind: Kind, name: str) -> None:
    """The file as it stands; of a derived chip, which has none, the file that it would be."""
    if kind == "chip" and name.endswith(tuple(load.DERIVED)) and name not in files.available("chip"):
        models.load_builtin()
        plain(tomli_w.dumps(load.load_chip_table(name)).rstrip("\n"))
        return
    path = files.find(kind, name, "study") if kind == "scenario" else files.find(kind, name)
    try:
        plain(path.read_text(encoding="utf-8").rstrip("\n"))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read: {error}", str(path)) from None


def resolved(name: str, as_json: bool) -> None:
    """A scenario with its chip and all defaults."""
    models.load_builtin()
    training.load_builtin()
    experiments.load_builtin()
    table = load.load_scenario_table(name)
    resolve = load.resolve_experiment if load.is_experiment(table) else load.resolve
    whole = resolve(table, where=f"scenario {name}").model_dump(mode="json", exclude_none=True)
    if as_json:
        put_json({"name": Path(name).stem, **clean(whole)})
    else:
        plain(tomli_w.dumps(whole).rstrip("\n"))
