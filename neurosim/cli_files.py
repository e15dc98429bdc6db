"""Chip and scenario files: which there are, and what stands in them."""

from __future__ import annotations

import tomllib
from pathlib import Path

import tomli_w

from neurosim import experiments, files, models, training
from neurosim.cli_out import clean, plain, put, put_json, table
from neurosim.errors import InputError
from neurosim.files import Kind
from neurosim.spec import load


def listing(kind: Kind, as_json: bool) -> None:
    """Every file that a bare name finds, with a line about it."""
    shipped = set(files.shipped(kind).values())
    rows = [
        {"name": name, "summary": _about(kind, path), "path": str(path), "shipped": path in shipped}
        for name, path in files.available(kind).items()
    ]
    if as_json:
        put_json({f"{kind}s": rows})
        return
    where = [("" if row["shipped"] else str(row["path"])) for row in rows]
    headers = (kind, "", "file") if any(where) else (kind, "")
    put(table(headers, [(row["name"], row["summary"], *([place] if any(where) else []))
                        for row, place in zip(rows, where, strict=True)]))  # fmt: skip


def _about(kind: Kind, path: Path) -> str:
    """One line about a file, also about one that is not in order."""
    try:
        if kind == "scenario":
            return load.summary_line(path)
        return str(tomllib.loads(path.read_text(encoding="utf-8")).get("summary", ""))
    except (OSError, ValueError) as error:
        return f"cannot be read: {str(error).splitlines()[0]}"


def text(kind: Kind, name: str) -> None:
    """The file as it stands; of a derived chip, which has none, the file that it would be."""
    if kind == "chip" and name.endswith(tuple(load.DERIVED)) and name not in files.available("chip"):
        plain(tomli_w.dumps(load.load_chip_table(name)).rstrip("\n"))
        return
    path = files.find(kind, name)
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
