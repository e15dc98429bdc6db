"""What a prediction against silicon is made of: inputs with their sources, a count of what happens, and its bill."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from neurosim.accounting import Bill, Ledger, PriceTable, bill, price_table
from neurosim.accounting.prices import Band
from neurosim.spec.chip import Chip
from neurosim.spec.load import load_chip

Kind = Literal["published", "derived", "assumed"]
Status = Literal["predicted", "bracket", "none", "circular"]
Figure = Literal["dynamic", "energy", "time", "power"]
Values = Mapping[str, float]
Count = Callable[[Chip, PriceTable, Values, Band], Ledger]
"""Counts and time, from a chip, its prices at one end of their intervals, the inputs at the same end, and which end."""

BANDS: tuple[Band, ...] = ("low", "nominal", "high")
SCALE = {"mJ": 1e3, "µJ": 1e6, "nJ": 1e9, "ms": 1e3, "µs": 1e6, "W": 1.0, "mW": 1e3, "µW": 1e6, "": 1.0}
"""How many of a unit are one joule, second or watt."""


@dataclass(frozen=True)
class Input:
    """One number of a description. ``second_hand``: read in somebody else's notes or programme, not in the paper."""

    value: float
    unit: str
    kind: Kind
    source: str
    low: float | None = None
    high: float | None = None
    second_hand: bool = False

    def __post_init__(self) -> None:
        if self.kind == "assumed" and (self.low is None or self.high is None):
            raise ValueError(f"an assumed input needs low and high: {self}")
        if not self.at("low") <= self.value <= self.at("high"):
            raise ValueError(f"must hold low <= value <= high: {self}")

    def at(self, band: Band) -> float:
        """The value, or an end of its interval."""
        end = {"low": self.low, "nominal": self.value, "high": self.high}[band]
        return self.value if end is None else end


@dataclass(frozen=True)
class Case:
    """One published figure, and what is said about it; ``silicon.toml`` says what each status means.

    ``inputs``: by the name that ``count`` knows them by. ``count``, ``adjust``: names in ``silicon_counts``.
    ``figure``: how the bill is read. ``golden``: the key in measured-onchip.json, empty for other figures. ``foreign``:
    words that the source of no price may hold that this case uses, so that none was taken from its own measurement.
    """

    key: str
    system: str
    what: str
    unit: str
    measured: float
    status: Status
    why: str
    chip: str = ""
    count: str = ""
    figure: Figure = "dynamic"
    golden: str = ""
    adjust: str = ""
    inputs: Mapping[str, str] = field(default_factory=dict)
    foreign: tuple[str, ...] = ()


@dataclass(frozen=True)
class Prediction:
    """What a chip's prices come to, in the unit of the case: at nominal inputs, and at the ends of all intervals."""

    low: float
    nominal: float
    high: float

    def ratio(self, measured: float) -> tuple[float, float, float]:
        """Predicted over measured: low, nominal, high."""
        return self.low / measured, self.nominal / measured, self.high / measured


@dataclass(frozen=True)
class Book:
    """All of silicon.toml: the inputs, the rows of measured-onchip.json, and other published figures."""

    inputs: Mapping[str, Input]
    rows: tuple[Case, ...]
    others: tuple[Case, ...]

    def case(self, key: str) -> Case:
        """The case of that key; raises KeyError."""
        return {case.key: case for case in (*self.rows, *self.others)}[key]

    def used(self, case: Case) -> dict[str, Input]:
        """The inputs of a case by the names that its count knows."""
        return {name: self.inputs[key] for name, key in case.inputs.items()}


def read() -> Book:
    """The book of silicon.toml; raises KeyError, TypeError or ValueError where it is not what it should be."""
    table: dict[str, Any] = tomllib.loads(Path(__file__).with_name("silicon.toml").read_text(encoding="utf-8"))
    inputs = {key: Input(**given) for key, given in table["inputs"].items()}
    book = Book(inputs, *(tuple(Case(**given) for given in table[name]) for name in ("rows", "others")))
    for case in (*book.rows, *book.others):
        book.used(case)
    return book


@dataclass(frozen=True)
class Account:
    """One end of a prediction: the prices that were used, what was counted, and the bill."""

    prices: PriceTable
    ledger: Ledger
    paid: Bill


def accounts(
    book: Book, case: Case, counts: Mapping[str, Count], adjust: Mapping[str, Callable[[Chip], Chip]]
) -> dict[Band, Account]:
    """The case through chip file, ledger and bill; empty where there is nothing to predict from.

    Raises InputError when the chip does not price what happens.
    """
    found: dict[Band, Account] = {}
    if case.count:
        chip = load_chip(case.chip)
        if case.adjust:
            chip = adjust[case.adjust](chip)
        for band in BANDS:
            prices = price_table(chip).at(band)
            ledger = counts[case.count](chip, prices, {k: given.at(band) for k, given in book.used(case).items()}, band)
            found[band] = Account(prices, ledger, bill(ledger, prices))
    return found


def predict(
    book: Book, case: Case, counts: Mapping[str, Count], adjust: Mapping[str, Callable[[Chip], Chip]]
) -> Prediction | None:
    """What the accounts come to in the unit of the case; None where there is nothing to predict from."""
    found = accounts(book, case, counts, adjust)
    if not found:
        return None
    return Prediction(*(_read(case.figure, found[band].paid) * SCALE[case.unit] for band in BANDS))


def _read(figure: Figure, paid: Bill) -> float:
    return {
        "dynamic": paid.energy_J - paid.static_energy_J,
        "energy": paid.energy_J,
        "time": paid.chip_time_s,
        "power": paid.power_W,
    }[figure]
