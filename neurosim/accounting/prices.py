"""The price table of a chip: what each countable costs, in the order of COUNTABLES.

A chip file prices most countables one by one. Two follow from the weight cell: a count of ``cell_read_conductance``
or ``weight_pulse_conductance`` is g_max / 2^16, so it costs V^2 t g_max / 2^16 (Joule heating of the cell).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import InputError
from neurosim.registry import unknown
from neurosim.spec.chip import Chip
from neurosim.spec.countables import CONDUCTANCE_UNIT, COUNTABLES
from neurosim.spec.hardware import Synapse
from neurosim.spec.prices import Kind, Price, StaticPower
from neurosim.units import FEMTOSECONDS, femtoseconds

ACTIONS = tuple(COUNTABLES)
"""The countables in the order of every table, ledger row and trace column."""

ASSUMED_SPAN = (0.1, 10.0)
"""Interval of a cell energy that is assumed, as factors, where the chip file names none: a decade each way."""

Band = Literal["low", "nominal", "high"]
"""Which end of every interval is taken; ``nominal`` is the value itself."""

_INDEX = {name: index for index, name in enumerate(ACTIONS)}
_INCLUDED = re.compile(r"included in (\w+)")


@dataclass(frozen=True, eq=False)
class PriceTable:
    """Prices of one chip as arrays over ACTIONS; where ``priced`` is False energies are NaN and latencies zero."""

    chip: str
    energy_J: NDArray[np.float64]
    low_J: NDArray[np.float64]
    high_J: NDArray[np.float64]
    latency_s: NDArray[np.float64]
    latency_fs: NDArray[np.int64]
    low_fs: NDArray[np.int64]
    high_fs: NDArray[np.int64]
    priced: NDArray[np.bool_]
    assumed: NDArray[np.bool_]
    kind: tuple[Kind | None, ...]
    source: tuple[str, ...]
    static: StaticPower

    def index(self, name: str) -> int:
        """Where the countable stands in the arrays; raises InputError with a near miss."""
        if name not in _INDEX:
            raise InputError(unknown(name, list(ACTIONS), "countable"))
        return _INDEX[name]

    def is_priced(self, name: str) -> bool:
        """Whether the chip says what this countable costs."""
        return bool(self.priced[self.index(name)])

    def latency(self, name: str) -> int:
        """Latency of one ``name`` in femtoseconds; raises InputError when it has no price."""
        require_prices([name], self)
        return int(self.latency_fs[self.index(name)])

    def at(self, band: Band) -> PriceTable:
        """The table with the low or the high end of every price, latency and static power as its value.

        The intervals stay as they are, so a table may be taken to another end again.
        """
        if band == "nominal":
            return self
        low = band == "low"
        fs = self.low_fs if low else self.high_fs
        power = self.static.low_W if low else self.static.high_W
        return replace(
            self,
            energy_J=self.low_J if low else self.high_J,
            latency_fs=fs,
            latency_s=fs / FEMTOSECONDS,
            static=self.static.model_copy(update={"power_W": _or(power, self.static.power_W)}),
        )

    def with_latency(self, name: str, latency_fs: int) -> PriceTable:
        """The table with one other latency."""
        fs = self.latency_fs.copy()
        fs[self.index(name)] = latency_fs
        return replace(self, latency_fs=fs, latency_s=fs / FEMTOSECONDS)


def static_power(chip: Chip, cores_used: int | None = None) -> StaticPower:
    """What all chips draw: P = chips x power_W + cores that are powered x core_power_W.

    Cores are all powered, unless ``power_gating`` says that only the ``cores_used`` are (None: not known, all).
    """
    static, geometry = chip.static, chip.geometry
    cores = geometry.all_cores if cores_used is None or not static.power_gating else cores_used

    def total(chip_W: float | None, core_W: float | None) -> float:
        return geometry.chips * _or(chip_W, static.power_W) + cores * _or(core_W, static.core_power_W)

    return static.model_copy(update={
        "power_W": total(None, None), "core_power_W": 0.0, "low_W": total(static.low_W, static.core_low_W),
        "high_W": total(static.high_W, static.core_high_W),
    })  # fmt: skip


def price_table(chip: Chip, cores_used: int | None = None) -> PriceTable:
    """All prices of ``chip``; raises InputError when a zero price hides a cost that is merely unknown.

    ``cores_used`` tells how many cores draw static power on a chip with power gating.
    """
    prices = {**_cell_prices(chip.synapse), **chip.prices}
    problems = [line for name, price in prices.items() for line in _zero_problem(name, price, prices, chip.static)]
    if problems:
        raise InputError(problems, f"chip {chip.name}")
    row = [prices.get(name) for name in ACTIONS]
    return PriceTable(
        chip=chip.name,
        energy_J=_floats(None if price is None else price.energy_J for price in row),
        low_J=_floats(None if price is None else _or(price.low_J, price.energy_J) for price in row),
        high_J=_floats(None if price is None else _or(price.high_J, price.energy_J) for price in row),
        latency_s=_floats(0.0 if price is None else price.latency_s for price in row),
        latency_fs=_femtoseconds(0.0 if price is None else price.latency_s for price in row),
        low_fs=_femtoseconds(0.0 if price is None else _or(price.low_s, price.latency_s) for price in row),
        high_fs=_femtoseconds(0.0 if price is None else _or(price.high_s, price.latency_s) for price in row),
        priced=np.array([price is not None for price in row]),
        assumed=np.array([price is not None and price.kind == "assumed" for price in row]),
        kind=tuple(None if price is None else price.kind for price in row),
        source=tuple("" if price is None else price.source for price in row),
        static=static_power(chip, cores_used),
    )


def missing_prices(counts_used: Iterable[str], table: PriceTable) -> list[str]:
    """Those of the countables that the chip does not price, in table order."""
    used = set(counts_used)
    for name in used:
        table.index(name)
    return [name for name in ACTIONS if name in used and not table.is_priced(name)]


def require_prices(counts_used: Iterable[str], table: PriceTable) -> None:
    """Raise InputError, one line per countable, when one in use has no price."""
    missing = missing_prices(counts_used, table)
    if missing:
        raise InputError([_how_to_price(name, table.chip) for name in missing])


def _how_to_price(name: str, chip: str) -> str:
    line = f"chip {chip} uses the countable {name} without a price: add [prices.{name}] with energy_J, source and kind"
    if name.endswith("_conductance"):
        cell = "read" if name == "cell_read_conductance" else "pulse"
        line += f", or give synapse.g_max_S, synapse.{cell}_voltage_V and synapse.{cell}_time_s"
    return line


def _cell_prices(synapse: Synapse) -> dict[str, Price]:
    """Prices per unit of conductance; a cell without voltage, time or conductance has none."""
    derived = {
        "cell_read_conductance": ("read", synapse.read_voltage_V, synapse.read_time_s),
        "weight_pulse_conductance": ("pulse", synapse.pulse_voltage_V, synapse.pulse_time_s),
    }
    return {
        name: _cell_price(synapse, word, voltage, time)
        for name, (word, voltage, time) in derived.items()
        if voltage * voltage * time * synapse.g_max_S > 0.0
    }


def _cell_price(synapse: Synapse, word: str, voltage_V: float, time_s: float) -> Price:
    energy = voltage_V * voltage_V * time_s * synapse.g_max_S / CONDUCTANCE_UNIT
    span = ASSUMED_SPAN if synapse.kind == "assumed" else (1.0, 1.0)
    return Price(
        energy_J=energy,
        source=f"{word}_voltage_V^2 x {word}_time_s x g_max_S / 2^16 of the weight cell ({synapse.source})",
        kind=synapse.kind,
        low_J=energy * _or(synapse.energy_low_factor, span[0]),
        high_J=energy * _or(synapse.energy_high_factor, span[1]),
    )


def _zero_problem(name: str, price: Price, prices: dict[str, Price], static: StaticPower) -> list[str]:
    """A zero is fine when someone found it to be zero, or when the cost is charged under another name."""
    if price.energy_J > 0.0 or price.kind != "assumed":
        return []
    where = f"prices.{name}.energy_J = 0"
    included = _INCLUDED.search(price.source)
    if included is None:
        return [f"{where}: an assumed zero hides a cost; give a number, or say in its source 'included in COUNTABLE'"]
    target = included.group(1)
    if target == "static":
        paid = static.power_W > 0.0 or static.core_power_W > 0.0
    elif target in COUNTABLES:
        paid = target in prices and prices[target].energy_J > 0.0
    else:
        return [f"{where}: 'included in {target}': {unknown(target, [*ACTIONS, 'static'], 'countable')}"]
    return [] if paid else [f"{where}: its source says 'included in {target}', which costs nothing itself"]


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def _floats(values: Iterable[float | None]) -> NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def _femtoseconds(values: Iterable[float]) -> NDArray[np.int64]:
    return np.array([femtoseconds(value) for value in values], dtype=np.int64)
