"""SI quantities as text: ``"20 ms"``, ``"23.6 pJ"``, ``"1e-3"`` become floats in base units.

A quantity's name ends in its unit (``tau_mem_s``, ``energy_J``); TOML may give a plain number in that
unit or text with a prefix. Text that carries another unit than the name's is an error.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator

PREFIXES = {
    "": 0, "a": -18, "f": -15, "p": -12, "n": -9, "u": -6, "µ": -6, "μ": -6, "m": -3, "k": 3, "M": 6, "G": 9, "T": 12,
}  # fmt: skip
"""Powers of ten."""
UNITS = ("s", "J", "W", "V", "A", "S", "F", "Hz", "Ohm", "B", "m2")
TIME_WORDS = {"min": 60.0, "h": 3600.0, "d": 86400.0}
_QUANTITY = re.compile(r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*([A-Za-zµμ0-9]*)\s*\Z")

FEMTOSECONDS = 10**15
"""Femtoseconds in a second: latencies are whole femtoseconds in the ledger."""


def parse(text: str | float, unit: str) -> float:
    """The value of ``text`` in ``unit``; raises ValueError with a way out."""
    if isinstance(text, bool) or not isinstance(text, (str, int, float)):
        raise ValueError(f"must be a number in {unit}, or text such as '20 m{unit}'")
    if not isinstance(text, str):
        return float(text)
    match = _QUANTITY.match(text)
    if match is None:
        raise ValueError(f"cannot read {text!r} as a quantity in {unit}; write a number, or text such as '20 m{unit}'")
    number, suffix = match.groups()
    if not suffix:
        return float(number)
    if unit == "s" and suffix in TIME_WORDS:
        return float(number) * TIME_WORDS[suffix]
    prefix = suffix[: -len(unit)]
    if suffix.endswith(unit) and prefix in PREFIXES:  # in decimals, so that "10 us" and 10e-6 are the same bits
        return float(Decimal(number).scaleb(PREFIXES[prefix]))
    raise ValueError(f"{text!r} has the unit {suffix!r}, but a quantity in {unit} is needed")


def _reader(unit: str) -> BeforeValidator:
    def read(value: Any) -> float:
        return parse(value, unit)

    return BeforeValidator(read)


Seconds = Annotated[float, _reader("s")]
Joules = Annotated[float, _reader("J")]
Watts = Annotated[float, _reader("W")]
Volts = Annotated[float, _reader("V")]
Siemens = Annotated[float, _reader("S")]
Hertz = Annotated[float, _reader("Hz")]
Ohms = Annotated[float, _reader("Ohm")]


def femtoseconds(seconds: float) -> int:
    """Seconds as a whole number of femtoseconds (the ledger's unit), rounded to nearest."""
    return round(seconds * FEMTOSECONDS)


def show(value: float, unit: str) -> str:
    """A value with three digits and an SI prefix, for people: ``1.23 ms``."""
    if value == 0.0 or value != value:  # zero and NaN have no prefix
        return f"{value:g} {unit}"
    if unit == "s" and abs(value) >= 120.0:
        return f"{value / 3600:.3g} h" if abs(value) >= 7200.0 else f"{value / 60:.3g} min"
    for prefix, factor in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0), ("m", 1e-3),
                           ("µ", 1e-6), ("n", 1e-9), ("p", 1e-12), ("f", 1e-15),
                           ("a", 1e-18)):  # fmt: skip
        if abs(value) >= factor * 0.9995:
            return f"{value / factor:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}"
