"""The ledger: how often each countable happened, how long each phase took, and what that comes to.

E = P_static T + sum n_i e_i. Counts and femtoseconds are exact integers; joules are their price, summed with
``math.fsum``, so the parts that a report shows add up to the total that it shows.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field

from neurosim.accounting.prices import ACTIONS, PriceTable, require_prices
from neurosim.registry import unknown
from neurosim.spec.prices import StaticPower
from neurosim.units import FEMTOSECONDS

PHASES = (
    "host_link",
    "perturbation",
    "compute",
    "settling",
    "backward",
    "cost_readout",
    "broadcast",
    "write",
    "tau_p",
    "barrier",
)
"""What the chip's time goes to; ``tau_p`` is the idle rest of a perturbation period."""

PHASE_GROUPS: dict[str, tuple[str, ...]] = {
    "forward": ("compute", "settling"),
    "communication": ("host_link", "broadcast"),
    "learning": ("perturbation", "backward", "cost_readout", "write"),
    "waiting": ("tau_p", "barrier"),
}
"""What a training run spends its time on, in four words; every phase belongs to one."""


@dataclass(frozen=True)
class Ledger:
    """Exact counts of countables, and time by phase in femtoseconds; names left out are zero.

    ``time_low_fs`` and ``time_high_fs``: the whole time at low and at high latencies; left out, it has no interval.
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    phase_time_fs: Mapping[str, int] = field(default_factory=dict)
    time_low_fs: int = -1
    time_high_fs: int = -1

    def __post_init__(self) -> None:
        object.__setattr__(self, "counts", _complete(self.counts, ACTIONS, "countable"))
        object.__setattr__(self, "phase_time_fs", _complete(self.phase_time_fs, PHASES, "phase"))
        for end in ("time_low_fs", "time_high_fs"):
            given = operator.index(getattr(self, end))
            object.__setattr__(self, end, self.time_fs if given == -1 else given)
        if not 0 <= self.time_low_fs <= self.time_fs <= self.time_high_fs:
            raise ValueError(
                f"the interval of the time, {self.time_low_fs} to {self.time_high_fs} fs, must hold {self.time_fs} fs"
            )

    def __add__(self, other: Ledger) -> Ledger:
        return Ledger(
            {name: count + other.counts[name] for name, count in self.counts.items()},
            {name: time + other.phase_time_fs[name] for name, time in self.phase_time_fs.items()},
            self.time_low_fs + other.time_low_fs,
            self.time_high_fs + other.time_high_fs,
        )

    @property
    def time_fs(self) -> int:
        """Time on the chip's clock: the phases follow one another."""
        return sum(self.phase_time_fs.values())


def _complete(given: Mapping[str, int], names: tuple[str, ...], what: str) -> dict[str, int]:
    """Every name with an exact, non-negative int, in order; raises ValueError or TypeError."""
    for name in given:
        if name not in names:
            raise ValueError(unknown(name, list(names), what))
    # operator.index takes ints and NumPy integers and refuses floats, which would round above 2^53.
    values = {name: operator.index(given.get(name, 0)) for name in names}
    for name, value in values.items():
        if value < 0:
            raise ValueError(f"{what} {name} is negative: {value} (an overflow of a 64-bit counter?)")
    return values


def energy_by_action_J(counts: Mapping[str, int], table: PriceTable) -> dict[str, float]:
    """Joules of every countable that happened, in table order; raises InputError when one has no price."""
    return _priced(counts, table, table.energy_J.tolist())


def _priced(counts: Mapping[str, int], table: PriceTable, each: list[float]) -> dict[str, float]:
    used = {name: count for name, count in counts.items() if count}
    require_prices(used, table)
    return {name: used[name] * each[index] for index, name in enumerate(ACTIONS) if name in used}


def time_s(ledger: Ledger) -> float:
    """Seconds on the chip's clock."""
    return ledger.time_fs / FEMTOSECONDS


def time_interval(ledger: Ledger) -> tuple[float, float]:
    """Lowest and highest seconds: every latency at its low, or at its high, at once."""
    return ledger.time_low_fs / FEMTOSECONDS, ledger.time_high_fs / FEMTOSECONDS


def static_energy_J(time_fs: int, static: StaticPower) -> float:
    """Joules that flow whether or not anything happens."""
    return static.power_W * (time_fs / FEMTOSECONDS)


def static_interval(time_fs: int, static: StaticPower) -> tuple[float, float]:
    """Lowest and highest static energy in J."""
    seconds = time_fs / FEMTOSECONDS
    low = static.power_W if static.low_W is None else static.low_W
    high = static.power_W if static.high_W is None else static.high_W
    return low * seconds, high * seconds


def energy_J(ledger: Ledger, table: PriceTable) -> float:
    """All joules: static and of every countable."""
    parts = energy_by_action_J(ledger.counts, table)
    return math.fsum([static_energy_J(ledger.time_fs, table.static), *parts.values()])


def energy_interval(ledger: Ledger, table: PriceTable) -> tuple[float, float]:
    """Lowest and highest energy in J: every price, latency and static power at its low, or at its high, at once."""
    static_low, _ = static_interval(ledger.time_low_fs, table.static)
    _, static_high = static_interval(ledger.time_high_fs, table.static)
    low = _priced(ledger.counts, table, table.low_J.tolist())
    high = _priced(ledger.counts, table, table.high_J.tolist())
    return math.fsum([static_low, *low.values()]), math.fsum([static_high, *high.values()])


def assumed_share(ledger: Ledger, table: PriceTable) -> float:
    """Share of the joules, static included, that rests on assumed prices; 0 when there are no joules."""
    parts = energy_by_action_J(ledger.counts, table)
    static = static_energy_J(ledger.time_fs, table.static)
    total = math.fsum([static, *parts.values()])
    if total == 0.0:
        return 0.0
    assumed = [joules for name, joules in parts.items() if table.assumed[table.index(name)]]
    return math.fsum([static if table.static.kind == "assumed" else 0.0, *assumed]) / total


def power_W(ledger: Ledger, table: PriceTable) -> float:
    """Mean power: energy over time; 0 when no time passed."""
    return energy_J(ledger, table) / time_s(ledger) if ledger.time_fs else 0.0


def time_by_group(ledger: Ledger) -> dict[str, float]:
    """Share of the time that each of PHASE_GROUPS takes; empty when no time passed."""
    total = ledger.time_fs
    if total == 0:
        return {}
    return {group: sum(ledger.phase_time_fs[name] for name in names) / total for group, names in PHASE_GROUPS.items()}


def bound_by(ledger: Ledger) -> tuple[str, dict[str, float]]:
    """The phase that took most of the time, and every phase's share; ``("none", {})`` when no time passed."""
    total = ledger.time_fs
    if total == 0:
        return "none", {}
    shares = {phase: time / total for phase, time in ledger.phase_time_fs.items()}
    return max(PHASES, key=ledger.phase_time_fs.__getitem__), shares
