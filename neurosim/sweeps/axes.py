"""Axes of a sweep: a key path (or several that move together) and the values that it takes.

Study files have two more forms: an axis with a title of its own, and an axis of *variants*, whose values are names that
each stand for several settings at once (a trainer with the rates that suit it).
"""

from __future__ import annotations

import json
import math
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from neurosim import registry
from neurosim.errors import InputError

Scale = Literal["linear", "log"]
HOW = (
    "write KEY.PATH=V1,V2,... or a range KEY.PATH=0.1..10, log:0.1..10, int:1..100, and 0.1..10/5 for five values of it"
)
_OPENING, _CLOSING, _QUOTES = "[{(", "]})", "\"'"
_PREFIXES: dict[str, tuple[Scale, bool]] = {
    "lin": ("linear", False), "log": ("log", False), "int": ("linear", True), "log-int": ("log", True),
}  # fmt: skip


@dataclass(frozen=True)
class Axis:
    """One axis: a list of ``values``, or a range from ``low`` to ``high`` that designs draw from."""

    keys: tuple[str, ...]
    """The key paths that are set, all to the same value; none of an axis of variants."""
    values: tuple[Any, ...] | None
    low: float = 0.0
    high: float = 0.0
    scale: Scale = "linear"
    whole: bool = False
    """Of a range: whole numbers only."""
    title: str = ""
    """Its name, where that is not its key paths."""
    variants: Mapping[str, Mapping[str, Any]] | None = None
    """What each value stands for: key path -> setting."""

    @property
    def touched(self) -> tuple[str, ...]:
        """Every key path that is set somewhere on the axis."""
        if self.variants is None:
            return self.keys
        return tuple(dict.fromkeys(key for settings in self.variants.values() for key in settings))

    def settings(self, value: Any) -> dict[str, Any]:
        """What is set at a value: key path -> value."""
        return dict.fromkeys(self.keys, value) if self.variants is None else dict(self.variants[value])

    def with_values(self, values: Axis) -> Axis:
        """This axis with the values of another one; raises InputError with names that are no variants of it."""
        if self.variants is None:
            return replace(values, keys=self.keys, title=self.title)
        known = list(self.variants)
        names = [label(value) for value in values.values or ("a range",)]
        problems = [f"axis {self.name}: {registry.unknown(name, known, 'variant')}" for name in names
                    if name not in known]  # fmt: skip
        if problems:
            raise InputError(problems)
        return replace(self, values=tuple(names))

    @property
    def name(self) -> str:
        """The title, or the key path; several are joined by ``+``."""
        return self.title or "+".join(self.keys)

    def at(self, share: float) -> Any:
        """The value at ``share`` (0 to 1, 1 excluded) of a range, or the list's value there."""
        if self.values is not None:
            return self.values[min(len(self.values) - 1, int(share * len(self.values)))]
        return _between(self.low, self.high, share, self.scale, self.whole, open_end=True)

    def ends(self) -> tuple[Any, ...]:
        """All values of a list, both ends of a range."""
        if self.values is not None:
            return self.values
        return (round(self.low), round(self.high)) if self.whole else (self.low, self.high)

    def as_table(self) -> dict[str, Any]:
        """The axis in the types of JSON."""
        return {
            "keys": list(self.keys), "values": None if self.values is None else list(self.values), "low": self.low,
            "high": self.high, "scale": self.scale, "whole": self.whole, "title": self.title,
            "variants": self.variants,
        }  # fmt: skip

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Axis:
        """What ``as_table`` wrote."""
        values = table["values"]
        return cls(tuple(table["keys"]), None if values is None else tuple(values), table["low"], table["high"],
                   table["scale"], table["whole"], table.get("title", ""), table.get("variants"))  # fmt: skip


def label(value: Any) -> str:
    """A value for people: text as it is, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def parse_axis(text: str) -> Axis:
    """An axis as on the command line: ``KEY.PATH=V1,V2,...``; raises InputError."""
    keys, equals, values = text.partition("=")
    if not equals or not keys.strip():
        raise InputError(f"--axis {text!r}: {HOW}")
    return axis_of(keys.strip(), values)


def axis_of(name: str, values: str | Iterable[Any]) -> Axis:
    """The axis ``name`` (key paths, joined by ``+``) with values as text or as a list; raises InputError."""
    keys = tuple(key.strip() for key in name.split("+"))
    if not all(keys) or len(set(keys)) < len(keys):
        raise InputError(f"axis {name!r}: names of keys are empty or doubled")
    if not isinstance(values, str):
        return _listed(keys, tuple(_plain(value) for value in values))
    found = _range(keys, values.strip())
    return found if found is not None else _listed(keys, tuple(_value(item) for item in _split(values)))


def titled(title: str, keys: Iterable[str], values: str | Iterable[Any]) -> Axis:
    """An axis with a title of its own; raises InputError."""
    return replace(axis_of("+".join(keys), values), title=title)


def variants_of(title: str, variants: Mapping[str, Mapping[str, Any]]) -> Axis:
    """An axis of variants: name of a value -> key path -> setting."""
    return Axis((), tuple(variants), title=title, variants={name: dict(each) for name, each in variants.items()})


def _listed(keys: tuple[str, ...], values: tuple[Any, ...]) -> Axis:
    name = "+".join(keys)
    if not values:
        raise InputError(f"axis {name}: has no values, so it selects nothing; {HOW}")
    texts = [json.dumps(value, sort_keys=True, default=str) for value in values]
    twice = sorted(text for text, count in Counter(texts).items() if count > 1)
    if twice:
        raise InputError(f"axis {name}: takes a value twice: {', '.join(twice)}")
    bad = [str(value) for value in values if isinstance(value, float) and not math.isfinite(value)]
    if bad:
        raise InputError(f"axis {name}: values must be finite, not {', '.join(bad)}")
    return Axis(keys, values)


def _range(keys: tuple[str, ...], text: str) -> Axis | None:
    """``[PREFIX:]LOW..HIGH[/COUNT]``; None where the text is no range."""
    prefix, colon, rest = text.partition(":")
    scale, whole = _PREFIXES.get(prefix, ("linear", False)) if colon else ("linear", False)
    known = bool(colon) and prefix in _PREFIXES
    body, slash, count = (rest if known else text).partition("/")
    left, _, right = body.partition("..")
    try:
        low, high = float(left), float(right)
    except ValueError:
        if known:
            raise InputError(f"axis {'+'.join(keys)} = {text!r}: not a range; {HOW}") from None
        return None
    problems = []
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        problems.append("a range goes from a smaller to a larger finite number")
    if scale == "log" and low <= 0.0:
        problems.append("a logarithmic range begins above zero")
    if whole and not (low.is_integer() and high.is_integer()):
        problems.append("the ends of a range of whole numbers are whole numbers")
    if slash and not (count.isdigit() and int(count) >= 2):
        problems.append("the number of values behind / is a whole number from 2 on")
    if problems:
        raise InputError([f"axis {'+'.join(keys)} = {text!r}: {problem}" for problem in problems])
    if not slash:
        return Axis(keys, None, low, high, scale, whole)
    steps = int(count) - 1
    values = [_between(low, high, step / steps, scale, whole) for step in range(steps + 1)]
    return _listed(keys, tuple(dict.fromkeys(values)))


def _between(low: float, high: float, share: float, scale: Scale, whole: bool, open_end: bool = False) -> Any:
    """The value at a share of the way; of whole numbers each one gets the same width where the end is open."""
    if share == 0.0 and not whole:
        return low
    if share == 1.0 and not whole:
        return high
    widen = 0.5 if whole and open_end else 0.0
    first, last = low - widen, high + widen
    if scale == "log":
        value = math.exp(math.log(first) + share * (math.log(last) - math.log(first)))
    else:
        value = first + share * (last - first)
    value = min(max(value, low), high)
    return round(value) if whole else value


def _split(text: str) -> list[str]:
    """Parts between commas, where no bracket and no quote is open; empty parts are left out."""
    parts, depth, quote, start = [], 0, "", 0
    for place, sign in enumerate(text):
        if quote:
            quote = "" if sign == quote else quote
        elif sign in _QUOTES:
            quote = sign
        elif sign in _OPENING:
            depth += 1
        elif sign in _CLOSING:
            depth -= 1
        elif sign == "," and depth == 0:
            parts.append(text[start:place])
            start = place + 1
    parts.append(text[start:])
    return [part.strip() for part in parts if part.strip()]


def _value(text: str) -> Any:
    """TOML, or else plain text, as ``--set`` reads it."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _plain(value: Any) -> Any:
    """A value from Python in the types of JSON."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, str | bool | int | float) else str(value)
