"""The tables that a run records, and one row of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim import accounting
from neurosim.accounting import ACTIONS, PHASES, Bill, Ledger, PriceTable, Swing
from neurosim.engine.cells import Programming
from neurosim.engine.machine import Machine
from neurosim.engine.sink import Column, Sink, Table
from neurosim.spec.prices import StaticPower
from neurosim.training.delta import DeltaMGD
from neurosim.training.erbp import EventDrivenRandomBackprop


def _column(name: str, unit: str, long_name: str, dtype: str = "f8", shape: tuple[int, ...] = ()) -> Column:
    return Column(name, unit, long_name, dtype, shape)


TICK = _column("tick", "tick", "ticks of the chip's algorithmic clock", "i8")
STEP = _column("step", "step", "training steps", "i8")
INFERENCES = _column("inferences", "1", "inferences, baselines and probes included", "i8")
TIME = _column("time_s", "s", "time on the chip's clock")
FAST, SLOW = _column("time_low_s", "s", "time at low latencies"), _column("time_high_s", "s", "time at high latencies")
ENERGY = _column("energy_J", "J", "energy, static included")
LOW, HIGH = _column("energy_low_J", "J", "energy, low end"), _column("energy_high_J", "J", "energy, high end")

TRAINING = Table(
    "/training",
    (STEP, TICK, INFERENCES, _column("updates", "1", "weight writes", "i8"), TIME, ENERGY,
     _column("cost", "1", "mean measured cost since the last row"),
     _column("c_tilde", "1", "mean |C~| since the last row"),
     _column("zero_share", "1", "share of probes with C~ exactly 0"),
     _column("dead_share", "1", "share of probes lost in the dead zone of C~'s converter")),
    {"long_name": "training curve"},
)  # fmt: skip
EVAL = Table(
    "/eval",
    (STEP, TICK, INFERENCES, TIME, FAST, SLOW, ENERGY, LOW, HIGH,
     _column("weight_pulses", "1", "programming pulses", "i8"),
     _column("accuracy", "1", "test accuracy"), _column("cost", "1", "mean test cost")),
    {"long_name": "evaluations on test samples (not charged to the chip)"},
)  # fmt: skip
LEDGER = Table(
    "/ledger",
    (TICK, TIME,
     _column("counts", "1", "countables, cumulative; columns named by /ledger/action", "i8", (len(ACTIONS),)),
     *(_column(f"energy{end}_J", "J", f"energy by action, cumulative{text}", "f8", (len(ACTIONS),))
       for end, text in (("", ""), ("_low", ", low end"), ("_high", ", high end"))),
     _column("static_energy_J", "J", "static energy, cumulative"),
     _column("phase_time_s", "s", "time by phase, cumulative; columns named by /ledger/phase", "f8", (len(PHASES),))),
    {"long_name": "cumulative counts, energy and time"},
)  # fmt: skip

EARLY = Table(
    "/early",
    (TICK, TIME, _column("accuracy", "1", "test accuracy of the class that has fired most by this tick"),
     _column("synaptic_events", "1", "synaptic events of a sample by this tick, mean over test samples"),
     _column("energy_J", "J", "these events, priced; nothing else")),
    {"long_name": "early decisions: the last evaluation, tick by tick"},
)  # fmt: skip

LARGEST = 2**63 - 1
"""Integers of a column end here; what is larger is recorded as this."""


def timing_table(names: tuple[str, ...]) -> Table:
    """The tallies of the kernels at every row of the ledger: what is needed to time the run on another chip."""
    tally = _column("tally", "1", "tallies, cumulative; columns named by /timing/name", "i8", (len(names),))
    return Table("/timing", (TICK, tally), {"long_name": "cumulative tallies of the kernels"})


def declare(machine: Machine, sink: Sink, agreement: bool) -> None:
    """Declare every table of a run, and write the names and prices of the ledger's columns."""
    sink.declare(TRAINING)
    sink.declare(EVAL)
    declare_ledger(sink, machine.meter.prices, _built(machine))
    if machine.scenario.probes.timing:
        sink.declare(timing_table(machine.names))
        sink.write("/timing/name", list(machine.names), "1", "names of the tallies")
    dtype = machine.arrays["theta"].dtype.str[1:]
    classes = len(machine.arrays["delta"])
    for layer in machine.plan.trainable:
        shape = (layer.copies * (layer.rows + 1), layer.columns)
        sink.declare(Table(
            f"/weights/{layer.name}",
            (TICK, _column("value", "1", "weights row by row, biases last", dtype, shape)),
            {"long_name": f"parameters of {layer.name}", "weight_shape": list(layer.weight_shape)},
        ))  # fmt: skip
        if isinstance(machine.trainer, DeltaMGD):
            sink.declare(Table(
                f"/astrocyte/delta/{layer.name}",
                (TICK, _column("value", "1", "delta per class and neuron", dtype, (classes, layer.n))),
                {"long_name": f"delta-vectors of {layer.name}"},
            ))  # fmt: skip
    if agreement:
        columns = [
            _column(layer.name, "1", f"share of equal signs in {layer.name}") for layer in machine.plan.trainable
        ]
        sink.declare(Table("/agreement", (STEP, *columns), {"long_name": "signs of delta against the true gradient"}))


def declare_ledger(sink: Sink, prices: PriceTable, built: Mapping[str, Any]) -> None:
    """Declare the ledger, and write the names and prices of its columns; ``built``: more attributes."""
    sink.declare(replace(LEDGER, attributes={**LEDGER.attributes, **built, **_static(prices.static)}))
    sink.write("/ledger/action", list(ACTIONS), "1", "names of the ledger's columns")
    sink.write("/ledger/phase", list(PHASES), "1", "names of the phases")
    for name, value in (("energy_J", prices.energy_J), ("low_J", prices.low_J), ("high_J", prices.high_J)):
        sink.write(f"/ledger/price/{name}", value, "J", f"price of one count, {name}")
    for name, fs in (("latency_fs", prices.latency_fs), ("low_fs", prices.low_fs), ("high_fs", prices.high_fs)):
        sink.write(f"/ledger/price/{name}", fs, "fs", f"latency of one count, {name}")
    for name, texts in (("kind", [kind or "none" for kind in prices.kind]), ("source", list(prices.source))):
        sink.write(f"/ledger/price/{name}", texts, "1", f"{name} of each price")


def _static(static: StaticPower) -> dict[str, Any]:
    """The static power of all chips and of the cores that were powered."""
    return {
        "static_power_W": static.power_W,
        "static_low_W": static.power_W if static.low_W is None else static.low_W,
        "static_high_W": static.power_W if static.high_W is None else static.high_W,
        "static_kind": static.kind,
        "static_source": static.source,
    }


def _built(machine: Machine) -> dict[str, Any]:
    """Of the built machine, what its scenario's text does not say and a recost needs."""
    data = machine.data
    return {
        "cores_used": machine.placement.cores_used,
        "input_shape": [int(length) for length in data.shape],
        "outputs": data.n_out,
        "classes": data.classes,
        "samples": data.n_train,
    }


def time_swings(machine: Machine) -> list[Swing]:
    """How far the time so far moves with each latency alone; not those that pace the ticks of a spiking network."""

    def time_fs(table: PriceTable) -> int:
        return sum(replace(machine.meter, prices=table).phases(machine.totals).values())

    return accounting.time_tornado(time_fs, machine.meter.prices)


def ticks(machine: Machine) -> int:
    """Ticks of the chip so far."""
    return machine.inferences * machine.composition.window


def record_training(machine: Machine, sink: Sink, bill: Bill, before: dict[str, int]) -> None:
    """One row of the training curve; ``before`` are the totals at the row before."""
    totals = machine.totals
    cost, c_tilde = machine.take_record()
    probes = max(1, totals["PROBES"] - before.get("PROBES", 0))
    sink.append("/training", {
        "step": [machine.step], "tick": [ticks(machine)], "inferences": [machine.inferences],
        "updates": [totals["UPDATES"]], "time_s": [bill.chip_time_s], "energy_J": [bill.energy_J],
        "cost": [cost], "c_tilde": [c_tilde],
        "zero_share": [(totals["ZERO_C_TILDE"] - before.get("ZERO_C_TILDE", 0)) / probes],
        "dead_share": [(totals["DEAD_ZONE"] - before.get("DEAD_ZONE", 0)) / probes],
    })  # fmt: skip


def record_eval(machine: Machine, sink: Sink, bill: Bill, accuracy: float, cost: float) -> None:
    """One row of evaluation."""
    sink.append("/eval", {
        "step": [machine.step], "tick": [ticks(machine)], "inferences": [machine.inferences],
        "time_s": [bill.chip_time_s], "time_low_s": [bill.chip_time_low_s], "time_high_s": [bill.chip_time_high_s],
        "energy_J": [bill.energy_J], "energy_low_J": [bill.energy_low_J],
        "energy_high_J": [bill.energy_high_J], "weight_pulses": [pulses(machine)],
        "accuracy": [accuracy], "cost": [cost],
    })  # fmt: skip


def record_ledger(machine: Machine, sink: Sink, ledger: Ledger) -> None:
    """One row of cumulative counts, priced; and of the tallies behind them, where they are asked for."""
    sink.append("/ledger", ledger_row(ledger, machine.meter.prices, ticks(machine)))
    if machine.scenario.probes.timing:
        tally = [min(machine.totals[name], LARGEST) for name in machine.names]
        sink.append("/timing", {"tick": [ticks(machine)], "tally": np.array([tally], np.int64)})


def ledger_row(ledger: Ledger, table: PriceTable, tick: int) -> dict[str, npt.ArrayLike]:
    """What the columns of the ledger say about everything up to ``tick``."""
    # prices are applied to the exact integers; the column of counts saturates at the largest 64-bit integer
    exact = [ledger.counts[name] for name in ACTIONS]
    counts = np.array([[min(count, LARGEST) for count in exact]], np.int64)

    def priced(price: np.ndarray) -> np.ndarray:
        each = zip(exact, price.tolist(), strict=True)
        return np.array([[count * joules if count else 0.0 for count, joules in each]])

    return {
        "tick": [tick], "time_s": [accounting.time_s(ledger)], "counts": counts,
        "energy_J": priced(table.energy_J), "energy_low_J": priced(table.low_J), "energy_high_J": priced(table.high_J),
        "static_energy_J": [accounting.static_energy_J(ledger.time_fs, table.static)],
        "phase_time_s": [[ledger.phase_time_fs[phase] * 1e-15 for phase in PHASES]],
    }  # fmt: skip


def record_weights(machine: Machine, sink: Sink) -> None:
    """All parameters as they are."""
    for layer in machine.plan.trainable:
        sink.append(f"/weights/{layer.name}", {"tick": [ticks(machine)], "value": machine.weights(layer.name)[None]})


def record_delta(machine: Machine, sink: Sink) -> None:
    """The astrocyte's delta-vectors as they are."""
    for layer in machine.plan.trainable:
        value = machine.arrays["delta"][None, :, layer.act : layer.act + layer.n]
        sink.append(f"/astrocyte/delta/{layer.name}", {"tick": [ticks(machine)], "value": value.copy()})


def record_early(machine: Machine, sink: Sink, samples: int) -> None:
    """How the last evaluation would have gone with less time for each sample; only of networks learned by erbp."""
    if not isinstance(machine.trainer, EventDrivenRandomBackprop):
        return
    right, events = machine.arrays["early"] / samples
    elapsed, prices = np.arange(1, right.size + 1), machine.meter.prices
    energy = events * prices.energy_J[prices.index("synaptic_event")]
    sink.declare(EARLY)
    sink.append("/early", {
        "tick": elapsed, "time_s": elapsed * machine.scenario.chip.timing.tick_s, "accuracy": right,
        "synaptic_events": events, "energy_J": energy,
    })  # fmt: skip


def inference(machine: Machine, samples: int) -> dict[str, Any]:
    """What a test sample of the last evaluation took, for the summary; only of networks learned by erbp."""
    if not isinstance(machine.trainer, EventDrivenRandomBackprop):
        return {}
    ticks_shown = int(machine.arrays["early"].shape[1])
    events = int(machine.arrays["early"][1, -1]) / samples
    seconds = ticks_shown * machine.scenario.chip.timing.tick_s
    return {"inference": {"synaptic_events": events, "time_s": seconds}}


def pulses(machine: Machine) -> int:
    """Programming pulses so far, perturbation by writing included."""
    return machine.totals["PULSES"] + machine.totals["PERTURBATION_PULSES"]


def programming(machine: Machine) -> dict[str, Any]:
    """What writing with verification, refreshes and wear came to, for the summary; only what the run has."""
    does, totals, arrays = Programming.of(machine.scenario), machine.totals, machine.arrays
    out: dict[str, Any] = {}
    if does.counts:
        out["worst_pulses"] = int(arrays["pulses_each"].max())
    if does.wears:
        worn = int(np.count_nonzero(arrays["pulses_each"] >= arrays["lifetime"]))
        out |= {"devices_worn": worn, "devices_worn_share": worn / arrays["pulses_each"].size}
    if does.verifies or does.paired:
        out["verify_reads"] = totals["VERIFY_READS"]
    if does.verifies:
        out["writes_missed"] = totals["MISSED"]
    if does.paired:
        out["pairs_refreshed"] = totals["REFRESHED"]
    return out


def summary(machine: Machine, bill: Bill, accuracy: float | None, cost: float | None, to_target: Any) -> dict[str, Any]:
    """The result of a run, with the names of ``--json`` (all but ``host``)."""
    scenario, totals = machine.scenario, machine.totals
    ledger = machine.ledger()
    tallies = {"tallies": dict(totals)} if scenario.probes.timing else {}
    probes = totals["PROBES"]
    period = scenario.chip.timing.perturbation_period_s
    return {
        "chip": scenario.chip.name,
        "hypothetical": scenario.chip.hypothetical,
        "host_loop": machine.trainer.host_loop,
        "seed": scenario.seed,
        "accuracy": accuracy,
        "cost": cost,
        "ticks": ticks(machine),
        "steps": machine.step,
        "inferences": machine.inferences,
        "samples": totals["SAMPLES"],
        "updates": totals["UPDATES"],
        "devices_written": totals["WRITTEN"],
        "weight_pulses": pulses(machine),
        **programming(machine),
        "chip_time_s": bill.chip_time_s,
        "chip_time_low_s": bill.chip_time_low_s,
        "chip_time_high_s": bill.chip_time_high_s,
        "bare_chip_time_s": totals["STEPS"] * period,
        "energy_J": bill.energy_J,
        "energy_low_J": bill.energy_low_J,
        "energy_high_J": bill.energy_high_J,
        "energy_by_action_J": bill.energy_by_action_J,
        "static_energy_J": bill.static_energy_J,
        "power_W": bill.power_W,
        "assumed_share": bill.assumed_share,
        "bound_by": bill.bound_by,
        "trainer": scenario.training.model,
        "cores_used": machine.placement.cores_used,
        "counts": {name: count for name, count in ledger.counts.items() if count},
        "time_by_phase_fs": {phase: time for phase, time in ledger.phase_time_fs.items() if time},
        "time_interval_fs": [ledger.time_low_fs, ledger.time_high_fs],
        "time_swing_s": {swing.name: [swing.low, swing.high] for swing in time_swings(machine)},
        "time_by_phase_s": {phase: share * bill.chip_time_s for phase, share in bill.time_share.items()},
        "to_target": to_target,
        "zero_c_tilde_share": totals["ZERO_C_TILDE"] / probes if probes else None,
        "dead_zone_share": totals["DEAD_ZONE"] / probes if probes else None,
        **tallies,
    }
