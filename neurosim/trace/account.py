"""From a trace to the ledger and the prices that were used: what it takes to price and compare a run again."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim import accounting
from neurosim.accounting import ACTIONS, Ledger, PriceTable, Swing
from neurosim.errors import TraceError
from neurosim.spec.prices import StaticPower
from neurosim.trace.reader import Trace
from neurosim.units import FEMTOSECONDS


def ledger_of(trace: Trace) -> Ledger:
    """Counts and time of the whole run: the exact integers of the summary, or the last row of a run that has not ended.

    Raises TraceError where there are no rows, or a count that this version does not know.
    """
    summary = trace.summary
    if "counts" in summary and "time_by_phase_fs" in summary:
        counts, phases = summary["counts"], summary["time_by_phase_fs"]
        interval = summary.get("time_interval_fs")
    else:
        table = trace.ledger
        if len(table) == 0:
            raise TraceError(f"{trace.path}: the ledger has no rows yet (status {trace.status})")
        last = table.row(-1)
        counts = dict(zip(table.actions, last["counts"].tolist(), strict=True))
        seconds = dict(zip(table.phases, last["phase_time_s"].tolist(), strict=True))
        phases = {name: round(value * FEMTOSECONDS) for name, value in seconds.items()}
        interval = None
    try:
        return Ledger(counts, phases, *(interval or ()))
    except (ValueError, TypeError) as error:
        raise TraceError(f"{trace.path}: the ledger cannot be priced again: {error}") from None


def prices_of(trace: Trace) -> PriceTable:
    """The prices that the run was charged with, as the trace holds them; no chip file is needed."""
    prices, known = trace.ledger.prices, trace.ledger.attributes

    def column(key: str, default: float) -> NDArray[np.float64]:
        return np.array([float(prices.get(name, {}).get(key, default)) for name in ACTIONS])

    energy, fs = column("energy_J", np.nan), column("latency_fs", 0.0).astype(np.int64)
    kinds = [str(prices.get(name, {}).get("kind", "none")) for name in ACTIONS]
    config = _config(trace)
    return PriceTable(
        chip=str(config.get("name", "the run's own chip")),
        energy_J=energy,
        low_J=column("low_J", np.nan),
        high_J=column("high_J", np.nan),
        latency_s=fs / FEMTOSECONDS,
        latency_fs=fs,
        low_fs=column("low_fs", 0.0).astype(np.int64),
        high_fs=column("high_fs", 0.0).astype(np.int64),
        priced=~np.isnan(energy),
        assumed=np.array([kind == "assumed" for kind in kinds]),
        kind=tuple(None if kind == "none" else kind for kind in kinds),  # type: ignore[misc]  # as they were written
        source=tuple(str(prices.get(name, {}).get("source", "")) for name in ACTIONS),
        static=_static(known, config),
    )


def _config(trace: Trace) -> Mapping[str, Any]:
    """The chip's text as tables; empty where it cannot be read."""
    try:
        return tomllib.loads(trace.config.get("chip", ""))
    except tomllib.TOMLDecodeError:
        return {}


def _static(known: Mapping[str, Any], config: Mapping[str, Any]) -> StaticPower:
    """The static power of all chips and cores that were powered."""
    said = config.get("static")
    table = dict(said) if isinstance(said, Mapping) else {"power_W": 0.0, "source": "not recorded", "kind": "assumed"}
    if "static_power_W" in known:
        table |= {key: known[f"static_{key}"] for key in ("power_W", "low_W", "high_W")} | {"core_power_W": 0.0}
    table = {"low_W": table["power_W"], "high_W": table["power_W"], **table}
    return StaticPower.model_validate(table)


def energy_swings(trace: Trace) -> list[Swing]:
    """How far the energy of the run in J moves with each price alone, the widest first; empty without a ledger."""
    if not trace.has_table("/ledger") or (not trace.summary and len(trace.ledger) == 0):
        return []
    return accounting.tornado(ledger_of(trace), prices_of(trace))


def time_swings(trace: Trace) -> list[Swing]:
    """How far the time of the run in s moves with each latency alone, the widest first; empty where not recorded."""
    told = trace.summary.get("time_swing_s")
    if not isinstance(told, Mapping):
        return []
    swings = [Swing(str(name), float(ends[0]), float(ends[1])) for name, ends in told.items()]
    return sorted(swings, key=lambda swing: -swing.width)


def tallies_of(trace: Trace) -> dict[str, int] | None:
    """The tallies of the whole run, where it was recorded with timing; else None."""
    if isinstance(trace.summary.get("tallies"), Mapping):
        return {str(name): int(count) for name, count in trace.summary["tallies"].items()}
    if not trace.has_table("/timing") or len(trace.table("/timing")) == 0:
        return None
    last = trace.table("/timing").row(-1)["tally"]
    return dict(zip(trace.texts("/timing/name"), last.tolist(), strict=True))
