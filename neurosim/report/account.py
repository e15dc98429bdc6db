"""The energy account of a trace: counts, prices, joules, sources, line by line."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from neurosim.trace import Trace

STATIC = "static power"
ASSUMED = "assumed"


@dataclass(frozen=True)
class Line:
    """One action: how often, at what price, from which source, and what it cost."""

    action: str
    energy_J: float
    low_J: float
    high_J: float
    count: int | None = None
    price_J: float | None = None
    kind: str = ""
    source: str = ""
    share: float = 0.0

    @property
    def assumed(self) -> bool:
        """Whether the price rests on an assumption."""
        return self.kind == ASSUMED

    @property
    def adds_up(self) -> bool:
        """Whether count x price is the energy (true where one of them is not known)."""
        if self.count is None or self.price_J is None:
            return True
        return math.isclose(self.count * self.price_J, self.energy_J, rel_tol=1e-6, abs_tol=1e-21)


@dataclass(frozen=True)
class Account:
    """All lines, and their sum."""

    lines: tuple[Line, ...]

    @property
    def energy_J(self) -> float:
        """The sum of all lines."""
        return math.fsum(line.energy_J for line in self.lines)

    @property
    def low_J(self) -> float:
        """The sum at the low ends of the intervals."""
        return math.fsum(line.low_J for line in self.lines)

    @property
    def high_J(self) -> float:
        """The sum at the high ends of the intervals."""
        return math.fsum(line.high_J for line in self.lines)

    @property
    def used(self) -> tuple[Line, ...]:
        """Lines that cost something, the dearest first."""
        return tuple(sorted((line for line in self.lines if line.energy_J > 0.0), key=lambda line: -line.energy_J))

    @property
    def by_kind(self) -> dict[str, float]:
        """Energy by the kind of its price; '' where a trace does not say."""
        out: dict[str, float] = {}
        for line in self.lines:
            out[line.kind] = out.get(line.kind, 0.0) + line.energy_J
        return out

    @property
    def assumed_share(self) -> float:
        """The part of the energy that rests on assumed prices."""
        return self.by_kind.get(ASSUMED, 0.0) / self.energy_J if self.energy_J > 0.0 else 0.0


def account_of(trace: Trace) -> Account | None:
    """The account from the ledger's last row; None where there is no ledger."""
    if not trace.has_table("/ledger"):
        return None
    ledger = trace.ledger
    energy = ledger.total("energy_J")
    low = ledger.total("energy_low_J") if "energy_low_J" in ledger else energy
    high = ledger.total("energy_high_J") if "energy_high_J" in ledger else energy
    counts = ledger.total("counts") if "counts" in ledger else None
    prices = ledger.prices
    lines = []
    for index, action in enumerate(ledger.actions[: len(energy)]):
        price = prices.get(action, {})
        lines.append(
            Line(
                action,
                float(energy[index]),
                float(low[index]),
                float(high[index]),
                count=None if counts is None else int(counts[index]),
                price_J=_finite(price.get("energy_J")),
                kind=str(price.get("kind", "")),
                source=str(price.get("source", "")),
            )
        )
    if "static_energy_J" in ledger:
        lines.append(_static(trace, float(ledger.total("static_energy_J")), lines))
    total = math.fsum(line.energy_J for line in lines)
    return Account(tuple(replace(line, share=line.energy_J / total if total > 0.0 else 0.0) for line in lines))


def chip_of(trace: Trace) -> Mapping[str, Any]:
    """The chip's table from the text inside the trace; empty where it cannot be read."""
    try:
        return tomllib.loads(trace.config.get("chip", ""))
    except tomllib.TOMLDecodeError:
        return {}


def _finite(value: Any) -> float | None:
    """A price, or None where an action has none."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _static(trace: Trace, energy_J: float, others: list[Line]) -> Line:
    """Static power is no countable: its source and interval stand beside the ledger, or else in the chip's text.

    Where there is a summary, its interval is what the others leave of that: low power in the shortest time to high
    power in the longest.
    """
    said = trace.ledger.attributes
    if "static_power_W" in said:  # of all chips and of the cores that were powered
        said = {key.removeprefix("static_"): value for key, value in said.items() if key.startswith("static_")}
    else:
        static = chip_of(trace).get("static")
        said = dict(static) if isinstance(static, Mapping) else {}

    def scaled(key: str) -> float:
        power, bound = said.get("power_W"), said.get(key)
        if isinstance(power, int | float) and power > 0.0 and isinstance(bound, int | float):
            return energy_J * bound / power
        return energy_J

    def left(key: str, name: str, otherwise: float) -> float:
        whole = trace.summary.get(key) if trace.summary else None
        if not isinstance(whole, int | float):
            return otherwise
        rest = float(whole) - math.fsum(getattr(line, name) for line in others)
        return otherwise if math.isclose(rest, otherwise, rel_tol=1e-6) else rest

    return Line(
        STATIC,
        energy_J,
        min(energy_J, max(0.0, left("energy_low_J", "low_J", scaled("low_W")))),
        max(energy_J, left("energy_high_J", "high_J", scaled("high_W"))),
        kind=str(said.get("kind", "")),
        source=str(said.get("source", "")),
    )
