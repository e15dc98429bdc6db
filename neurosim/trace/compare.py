"""Runs side by side at equal accuracy: what each had cost when an evaluation first reached it.

An accuracy is *reached* at the first evaluation that shows it; the true crossing lies between that evaluation and the
one before, and both are given. Energy by action at that moment comes from the rows of the ledger, interpolated
linearly between two rows where none was written at that tick.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from neurosim.accounting import ACTIONS
from neurosim.trace.account import prices_of
from neurosim.trace.reader import Trace

Interval = tuple[float, float]


@dataclass(frozen=True)
class Reached:
    """A run at its first evaluation with at least ``accuracy``; ``since_*`` are the evaluation before it."""

    accuracy: float
    steps: int
    inferences: int
    chip_time_s: float
    chip_time_low_s: float
    chip_time_high_s: float
    energy_J: float
    energy_low_J: float
    energy_high_J: float
    weight_pulses: int
    since_steps: int
    since_chip_time_s: float
    since_energy_J: float
    energy_by_action_J: dict[str, float]
    static_energy_J: float
    low_by_action_J: dict[str, float]
    high_by_action_J: dict[str, float]


def best_accuracy(trace: Trace) -> float | None:
    """The highest accuracy of any evaluation; None where there is none."""
    if not trace.has_table("/eval") or len(trace.eval) == 0:
        return None
    return float(trace.eval.accuracy.max())


def best_common_accuracy(traces: Sequence[Trace]) -> float | None:
    """The highest accuracy that all runs reach; None where one of them was never evaluated."""
    best = [best_accuracy(trace) for trace in traces]
    known = [accuracy for accuracy in best if accuracy is not None]
    return min(known) if len(known) == len(traces) and known else None


def reach(trace: Trace, accuracy: float) -> Reached | None:
    """The first evaluation with at least ``accuracy``; None where there is none."""
    if not trace.has_table("/eval"):
        return None
    table = trace.eval
    found = np.flatnonzero(table.accuracy >= accuracy)
    if found.size == 0:
        return None
    k = int(found[0])
    row, before = table.row(k), table.row(max(0, k - 1))
    value = {name: item.item() for name, item in row.items()}
    tick = int(value["tick"])
    energy = by_action(trace, "energy_J", tick)
    return Reached(
        accuracy=float(value["accuracy"]),
        steps=int(value["step"]),
        inferences=int(value["inferences"]),
        chip_time_s=value["time_s"],
        chip_time_low_s=value.get("time_low_s", value["time_s"]),
        chip_time_high_s=value.get("time_high_s", value["time_s"]),
        energy_J=value["energy_J"],
        energy_low_J=value.get("energy_low_J", value["energy_J"]),
        energy_high_J=value.get("energy_high_J", value["energy_J"]),
        weight_pulses=int(value.get("weight_pulses", 0)),
        since_steps=int(before["step"]),
        since_chip_time_s=float(before["time_s"]),
        since_energy_J=float(before["energy_J"]),
        energy_by_action_J=energy,
        static_energy_J=max(0.0, float(value["energy_J"]) - sum(energy.values())),
        low_by_action_J=by_action(trace, "energy_low_J", tick),
        high_by_action_J=by_action(trace, "energy_high_J", tick),
    )


def by_action(trace: Trace, column: str, tick: int) -> dict[str, float]:
    """Joules by action at ``tick``, those of zero left out; nothing has happened at tick 0."""
    return {name: joules for name, joules in at_tick(trace, column, tick).items() if joules > 0.0}


def at_tick(trace: Trace, column: str, tick: int) -> dict[str, float]:
    """A column of the ledger by action at ``tick``, linear between its rows."""
    if not trace.has_table("/ledger"):
        return {}
    ledger = trace.ledger
    if column not in ledger or len(ledger) == 0:
        return {}
    ticks = np.concatenate([[0], ledger["tick"]])
    k = min(int(np.searchsorted(ticks, tick)), len(ticks) - 1)
    after = ledger.read(column, max(0, k - 1), max(0, k - 1) + 1)[0]
    before = ledger.read(column, k - 2, k - 1)[0] if k >= 2 else np.zeros_like(after)
    width = float(ticks[k] - ticks[k - 1]) if k else 0.0
    share = (tick - float(ticks[k - 1])) / width if width > 0.0 else 0.0
    values = before + min(1.0, max(0.0, share)) * (after - before)
    return {name: float(value) for name, value in zip(ledger.actions, values, strict=True)}


def shared_prices(traces: Sequence[Trace]) -> bool:
    """Whether all runs were charged with the same prices and static power."""
    tables = [prices_of(trace) for trace in traces if trace.has_table("/ledger")]
    if len(tables) < len(traces):
        return False
    first = tables[0]
    return all(
        np.array_equal(first.energy_J, other.energy_J, equal_nan=True)
        and np.array_equal(first.low_J, other.low_J, equal_nan=True)
        and np.array_equal(first.high_J, other.high_J, equal_nan=True)
        and np.array_equal(first.latency_fs, other.latency_fs)
        and (first.static.power_W, first.static.low_W, first.static.high_W)
        == (other.static.power_W, other.static.low_W, other.static.high_W)
        for other in tables[1:]
    )


def difference(one: Reached, other: Reached, static_W: Interval) -> Interval:
    """Bounds in J of ``one`` - ``other`` for every choice of the prices that both share.

    Both are charged with the same price, so per action the difference is n e with one n, and lies between its ends.
    Static power is charged for the difference of the times with all latencies at their values, low or high ends.
    """
    ends = []
    for name in ACTIONS:
        low = one.low_by_action_J.get(name, 0.0) - other.low_by_action_J.get(name, 0.0)
        high = one.high_by_action_J.get(name, 0.0) - other.high_by_action_J.get(name, 0.0)
        ends.append((min(low, high), max(low, high)))
    times = [
        one.chip_time_s - other.chip_time_s,
        one.chip_time_low_s - other.chip_time_low_s,
        one.chip_time_high_s - other.chip_time_high_s,
    ]
    static = [power * time for power in static_W for time in times]
    return sum(low for low, _ in ends) + min(static), sum(high for _, high in ends) + max(static)


def overlapping(spans: Mapping[str, Interval]) -> list[tuple[str, str]]:
    """Pairs of names whose intervals overlap."""
    names = list(spans)
    return [
        (one, two)
        for k, one in enumerate(names)
        for two in names[k + 1 :]
        if max(spans[one][0], spans[two][0]) <= min(spans[one][1], spans[two][1])
    ]
