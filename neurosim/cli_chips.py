"""Chips: show, check, compare."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from neurosim import accounting, models
from neurosim.accounting import ACTIONS, PriceTable
from neurosim.cli_out import interval, plain, put, put_json, quantity, table
from neurosim.errors import InputError
from neurosim.spec import load
from neurosim.spec.chip import Chip
from neurosim.units import UNITS

APART = ("name", "summary", "prices", "static")
"""Keys of a chip that are not among its plain settings."""


def show(name: str, as_json: bool) -> None:
    """Everything about one chip."""
    models.load_builtin()
    chip = load.load_chip(name)
    prices = accounting.price_table(chip)
    if as_json:
        put_json({**chip.model_dump(mode="json"), "prices": {row["action"]: row for row in costs(prices)}})
        return
    kind = " (HYPOTHETICAL: it declares what nobody has built)" if chip.hypothetical else ""
    put(f"{chip.name}{kind}: {chip.summary}", "")
    settings = flat({key: value for key, value in chip.model_dump(mode="json").items() if key not in APART})
    put(table(("setting", "value"), [(key, said(key, value)) for key, value in settings.items()]), "")
    put(table(
        ("cost of one", "energy", "interval", "latency", "kind", "source"),
        [
            (row["action"], quantity(row["energy_J"], "J"), interval(row["low_J"], row["high_J"], "J"),
             quantity(row["latency_s"], "s") if row["latency_s"] else "", row["kind"], row["source"])
            for row in costs(prices)
        ],
    ), "")  # fmt: skip
    static = chip.static
    span = interval(static.low_W, static.high_W, "W")
    row = (quantity(static.power_W, "W"), span, static.kind, _line(static.source))
    put(table(("static power", "interval", "kind", "source"), [row]))
    missing = unpriced(prices)
    if missing:
        put(f"\nno price: {', '.join(missing)} (a run that counts one of them is refused)")
    put(f"\n{int(prices.assumed.sum())} of {int(prices.priced.sum())} prices are assumed")


def costs(prices: PriceTable) -> list[dict[str, Any]]:
    """Every price of the table, those that follow from the weight cell included."""
    return [
        {
            "action": name, "energy_J": float(prices.energy_J[index]), "low_J": float(prices.low_J[index]),
            "high_J": float(prices.high_J[index]), "latency_s": float(prices.latency_s[index]),
            "kind": prices.kind[index], "source": _line(prices.source[index]),
        }
        for index, name in enumerate(ACTIONS)
        if prices.priced[index]
    ]  # fmt: skip


def unpriced(prices: PriceTable) -> list[str]:
    """Countables that the chip says nothing about."""
    return [name for index, name in enumerate(ACTIONS) if not prices.priced[index]]


def validate(names: Sequence[str]) -> None:
    """Check chip files; raises InputError with the problems of all."""
    models.load_builtin()
    problems: list[str] = []
    for name in names:
        try:
            missing = unpriced(accounting.price_table(load.load_chip(name)))
        except InputError as error:
            problems += [f"{error.where or name}: {problem}" for problem in error.problems]
            continue
        plain(f"{name}: valid" + (f"; without a price: {', '.join(missing)}" if missing else ""))
    if problems:
        raise InputError(problems)


def diff(first: str, second: str, as_json: bool) -> None:
    """Where two chips differ."""
    models.load_builtin()
    one, other = (_settings(load.load_chip(name)) for name in (first, second))
    keys = [key for key in dict.fromkeys((*one, *other)) if one.get(key) != other.get(key)]
    if as_json:
        put_json({"differences": {key: [one.get(key), other.get(key)] for key in keys}})
        return
    if not keys:
        plain(f"{first} and {second} are the same")
        return
    put(table(("key", first, second), [(key, said(key, one.get(key)), said(key, other.get(key))) for key in keys]))


def _settings(chip: Chip) -> dict[str, Any]:
    return flat(chip.model_dump(mode="json"))


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as one, with key paths."""
    out: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            out |= flat(value, f"{prefix}{key}.")
        else:
            out[f"{prefix}{key}"] = value
    return out


def said(key: str, value: Any) -> str:
    """A setting for people: with its unit where its name carries one."""
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    unit = key.rsplit("_", 1)[-1] if "_" in key else ""
    if isinstance(value, int | float) and unit in UNITS and math.isfinite(value):
        return quantity(value, unit)
    return f"{value:g}" if isinstance(value, float) else _line(str(value))


def _line(text: str) -> str:
    return " ".join(text.split())
