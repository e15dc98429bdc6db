"""What a run will come to, before it is started: chip time, energy, host time, memory.

Where the kernel is compiled already, a *probe* says: the machine takes steps for about a second, and its tallies and
its pace are carried on to the end of the run. Otherwise a *model* says, from the shapes of the network: what every
step tallies for certain, rough shares for what depends on the data (half the neurons of a relu layer are active,
spiking neurons fire in a fifth of the ticks), and nanoseconds per operation on a machine whose speed is measured in a
few milliseconds.

A machine that was probed is used up: build another one for the run.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from neurosim import accounting, registry
from neurosim.accounting import Bill, Ledger
from neurosim.chip.layers import LayerPlan
from neurosim.engine.agreement import sign_agreement
from neurosim.engine.machine import Machine
from neurosim.engine.schedule import Schedule
from neurosim.training.delta import DeltaMGD

PROBE_S = 1.0
"""Host seconds of a probe."""
COMPILE_S, COMPILE_B = 9.0, 130_000_000
"""A composed kernel: 6 to 13 s and about this much memory, on the machine that the speeds were taken on."""
REFERENCE_S = 0.17e-3
"""There, `_speed` measures this."""
OPERATION_S, DEVICE_S, STEP_S, TICK_S = 0.4e-9, 1.5e-9, 0.8e-6, 6e-9
"""There: one multiplication or one weight's perturbation, one device that is pulsed, one step, one neuron's tick."""
ROW_S, SAVE_B_PER_S = 0.7e-3, 150e6
"""There: one row of every table, and checkpoints and weights on their way to the disk."""
RELU_ACTIVE, SPIKE_RATE, PULSED = 0.5, 0.2, 0.3
"""Of the model: active relu neurons, spikes a tick, and pulses for each device of an array that takes small steps."""
MEAN_SQUARE = 0.3
"""Of the model: the squared activation of a hidden neuron."""

Rates = dict[str, float]


@dataclass(frozen=True)
class Pace:
    """What one step, one refresh and one evaluation come to."""

    how: Literal["probe", "model"]
    done: Mapping[str, int]
    """Tallies of the steps that were probed."""
    steps: int
    """How many these were."""
    tally: Rates
    """Tallies of each later step."""
    refresh: Rates
    """Tallies of one refresh of the delta memory."""
    load_s: float
    step_s: float
    refresh_s: float
    evaluation_s: float
    diverged_at: int | None = None


@dataclass(frozen=True)
class Forecast:
    """What a whole run comes to."""

    how: Literal["probe", "model"]
    steps: int
    """Steps that it takes at most: `stop.steps`, or fewer where inferences, chip time or energy end it before."""
    ended_by: str
    """The key of ``[stop]`` that ends it; an accuracy that ends a run is not foreseen."""
    inferences: int
    bill: Bill
    host_time_s: float
    load_s: float
    """The part of it in which the kernel is compiled or loaded."""
    memory_B: int
    """Resident, at the peak."""
    diverged_at: int | None


def forecast(machine: Machine, trace_B: int = 0, *, probe_s: float = PROBE_S) -> Forecast:
    """Predict the run that ``machine`` was built for; it may be used up. ``trace_B``: bytes of its trace."""
    pace = model(machine) if machine.needs_compiling else probe(machine, probe_s)
    schedule = Schedule.of(machine.scenario)
    steps, ended_by = _end(machine, schedule, pace)
    ledger = ledger_after(machine, schedule, pace, steps)
    tally = tally_after(schedule, pace, steps)
    memory = _resident() + min(2 * trace_B, 64_000_000) + (COMPILE_B if pace.how == "model" else 0)
    return Forecast(
        how=pace.how,
        steps=steps,
        ended_by=ended_by,
        inferences=tally["CLEAN"] + tally["PERTURBED"],
        bill=accounting.bill(ledger, machine.meter.prices),
        host_time_s=_host_s(machine, schedule, pace, steps),
        load_s=pace.load_s,
        memory_B=memory,
        diverged_at=pace.diverged_at,
    )


def tally_after(schedule: Schedule, pace: Pace, steps: int) -> dict[str, int]:
    """Tallies after so many steps of a run."""
    later, refreshes = max(0, steps - pace.steps), _refreshes(schedule, steps)
    share = min(1.0, steps / pace.steps) if pace.steps else 1.0
    return {
        name: round(share * pace.done.get(name, 0) + later * rate + refreshes * pace.refresh.get(name, 0.0))
        for name, rate in pace.tally.items()
    }


def ledger_after(machine: Machine, schedule: Schedule, pace: Pace, steps: int) -> Ledger:
    """Counts and time after so many steps of a run."""
    return machine.meter.ledger(tally_after(schedule, pace, steps))


def _refreshes(schedule: Schedule, steps: int) -> int:
    """Refreshes of the delta memory: one before the first step, then one at each interval but the last."""
    return 1 + max(0, -(-steps // schedule.refresh) - 1) if schedule.refresh else 0


def _end(machine: Machine, schedule: Schedule, pace: Pace) -> tuple[int, str]:
    """Steps until the first limit of ``[stop]``, and its key."""
    stop = machine.scenario.stop
    whole = ledger_after(machine, schedule, pace, schedule.steps)
    bill = accounting.bill(whole, machine.meter.prices)
    tally = tally_after(schedule, pace, schedule.steps)
    limits = {
        "inferences": (stop.inferences, tally["CLEAN"] + tally["PERTURBED"]),
        "chip_time_s": (stop.chip_time_s, bill.chip_time_s),
        "energy_J": (stop.energy_J, bill.energy_J),
    }
    shares = {key: limit / total for key, (limit, total) in limits.items() if limit is not None and total > 0}
    first = min(shares, key=shares.__getitem__, default=None)
    if first is None or shares[first] >= 1.0:
        return schedule.steps, "steps"
    return min(schedule.steps, max(1, math.ceil(schedule.steps * shares[first]))), first


def _host_s(machine: Machine, schedule: Schedule, pace: Pace, steps: int) -> float:
    """Seconds on this computer, from the first step to the end, with the kernel's compilation or loading."""
    evaluations, rows = 1 + -(-steps // schedule.evaluate), -(-steps // schedule.record)
    weights = machine.arrays["theta"].nbytes * (2 + (steps // schedule.weights if schedule.weights else 0))
    saved = 2 * sum(arena.nbytes for arena in machine.arenas.values()) + weights
    running = steps * pace.step_s + _refreshes(schedule, steps) * pace.refresh_s + evaluations * pace.evaluation_s
    slow = _speed() / REFERENCE_S
    return pace.load_s + running + slow * ((rows + evaluations) * ROW_S + saved / SAVE_B_PER_S)


def _resident() -> int:
    """The largest memory that this process has had, in bytes; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) * (1 if sys.platform == "darwin" else 1024)


# the probe


def probe(machine: Machine, seconds: float = PROBE_S) -> Pace:
    """Take steps for about ``seconds``; the later half of them says how the run will go on."""
    schedule = Schedule.of(machine.scenario)
    started = time.perf_counter()
    machine.burst(0)
    load_s = time.perf_counter() - started
    refresh, refresh_s = _probe_refresh(machine) if schedule.refresh else ({}, 0.0)
    before, steps, spent = dict(machine.totals), 0, 0.0
    half, half_steps, half_s, size = before, 0, 0.0, 1
    while steps < schedule.steps and spent < seconds and machine.diverged_at is None:
        if spent <= seconds / 2:
            half, half_steps, half_s = dict(machine.totals), steps, spent
        started = time.perf_counter()
        steps += machine.burst(min(size, schedule.steps - steps))
        last = time.perf_counter() - started
        spent += last
        size = size * 2 if last < seconds / 20 else max(1, int(size * seconds / 8 / last))
    late = max(1, steps - half_steps)
    load_evaluation_s, evaluation_s = _probe_evaluation(machine)
    return Pace(
        how="probe",
        done={name: machine.totals[name] - before[name] for name in machine.names},
        steps=steps,
        tally={name: (machine.totals[name] - half[name]) / late for name in machine.names},
        refresh=refresh,
        load_s=load_s + load_evaluation_s,
        step_s=(spent - half_s) / late,
        refresh_s=refresh_s,
        evaluation_s=evaluation_s,
        diverged_at=machine.diverged_at,
    )


def _probe_refresh(machine: Machine) -> tuple[Rates, float]:
    """Tallies and seconds of one refresh; the first one loads its kernel."""
    machine.refresh()
    before, started = dict(machine.totals), time.perf_counter()
    machine.refresh()
    spent = time.perf_counter() - started
    return {name: float(machine.totals[name] - before[name]) for name in machine.names}, spent


def _probe_evaluation(machine: Machine) -> tuple[float, float]:
    """Seconds to load the kernel of an evaluation, and of one evaluation."""
    wanted = min(machine.scenario.probes.evaluate_samples or machine.data.n_test, machine.data.n_test)
    started = time.perf_counter()
    machine.evaluate(1)
    load_s = time.perf_counter() - started
    some, spent = min(20, wanted), 0.0
    while True:
        started = time.perf_counter()
        machine.evaluate(some)
        spent = time.perf_counter() - started
        if spent > 0.1 or some == wanted:
            break
        some = min(wanted, some * 4)
    extra = 0.0
    if machine.scenario.probes.gradient_agreement and isinstance(machine.trainer, DeltaMGD):
        sign_agreement(machine)
        started = time.perf_counter()
        sign_agreement(machine)
        extra = time.perf_counter() - started
    return load_s, spent * wanted / some + extra


# the model


def model(machine: Machine) -> Pace:
    """The same without a compiled kernel: from shapes, data and rough shares."""
    slow = _speed() / REFERENCE_S
    tally, forward = nominal(machine)
    slots = len(machine.composition.step.slots)
    weight = machine.composition.step.space == "weight"
    exact = _exact(machine)
    neurons = sum(layer.n for layer in machine.plan.layers)
    operations = forward * (2.0 if weight else 1.0) + machine.plan.parameters * (2.0 if weight else 1.0)
    step_s = STEP_S + OPERATION_S * operations + slots * machine.composition.window * neurons * TICK_S
    step_s += 0.0 if exact else machine.plan.parameters * DEVICE_S
    wanted = min(machine.scenario.probes.evaluate_samples or machine.data.n_test, machine.data.n_test)
    one_s = OPERATION_S * forward / slots + machine.composition.window * neurons * TICK_S
    schedule = Schedule.of(machine.scenario)
    classes, measurements = machine.arrays["delta"].shape[0], int(getattr(machine.trainer, "refresh_measurements", 0))
    refreshes = classes * max(1, measurements) * neurons if schedule.refresh else 0
    return Pace(
        how="model",
        done={},
        steps=0,
        tally=tally,
        refresh={"CLEAN": float(refreshes), "COSTS": float(refreshes)} if refreshes else {},
        load_s=slow * COMPILE_S,
        step_s=slow * step_s,
        refresh_s=slow * refreshes * one_s,
        evaluation_s=slow * wanted * one_s,
    )


def nominal(machine: Machine) -> tuple[Rates, float]:
    """What a step tallies on average, and its multiplications; see the shares at the head of this module."""
    trainer, step, plan = machine.trainer, machine.composition.step, machine.plan
    tally: Rates = dict.fromkeys(machine.names, 0.0)
    perturbed = float(sum(1 for sign in step.slots if sign != 0))
    stale = 1.0 / min(trainer.tau_x, trainer.tau_theta) if step.space == "weight" else 1.0
    clean = (len(step.slots) - perturbed) * stale
    domains, writes = machine.meter.workload.domains, 1.0 / trainer.tau_theta
    tally |= {
        "STEPS": 1.0, "SAMPLES": 1.0 / trainer.tau_x, "CLEAN": clean, "PERTURBED": perturbed,
        "COSTS": (clean + perturbed) * domains, "PROBES": perturbed, "UPDATES": writes,
        "BROADCASTS": 0.0 if step.space == "none" else (1.0 if step.space == "weight" else perturbed) * domains,
    }  # fmt: skip
    forward, outer = _nominal_layers(machine, tally, clean + perturbed)
    size = float(plan.parameters)
    written = (size if step.space != "node" else outer) * writes
    tally |= {"WRITTEN": written, "PULSES": written * (1.0 if _exact(machine) else PULSED)}
    tally["WRITE_SLOTS"] = _slots(machine, tally["PULSES"] / writes) * writes
    if machine.meter.one_sided:
        tally["PULSE_CONDUCTANCE"] = tally["PULSES"] * machine.meter.pair / 2.0
    if machine.scenario.chip.synapse.writing == "program-verify":  # a read before each round of pulses, and one after
        tally["VERIFY_READS"], tally["VERIFY_SLOTS"] = 2.0 * written, 2.0 * tally["WRITE_SLOTS"]
        tally["VERIFY_CONDUCTANCE"] = tally["VERIFY_READS"] * machine.meter.pair
    if step.space == "weight":
        tally |= {"DRAWS": perturbed / getattr(trainer, "tau_p", 1), "REPLAYS": perturbed * size}
        tally["REPLAYS"] = size if step.difference != "two-noisy" else 2.0 * size
        tally["ACCUMULATIONS"] = machine.meter.workload.per_number if trainer.tau_theta > 1 else 0.0
    elif step.space == "node":
        live = sum(layer.n * _activity(layer, last=layer is plan.output) for layer in plan.trainable)
        tally |= {"DRAWS": live * perturbed, "APPLICATIONS": live * perturbed}
    if isinstance(trainer, DeltaMGD):
        tally |= {"DELTA_WORDS": float(plan.neurons), "DELTA_WRITES": tally["DRAWS"] / max(1.0, perturbed)}
    if step.space != "weight" and trainer.tau_theta > 1:
        tally["ACCUMULATIONS"] = size
    if machine.meter.paced:
        tally["BUSY"], tally["BUSY_LOW"], tally["BUSY_HIGH"] = _busy(machine, tally)
    return tally, forward


def _nominal_layers(machine: Machine, tally: Rates, inferences: float) -> tuple[float, float]:
    """Fill in what layers tally; returns (multiplications of a step, weights that one outer product changes)."""
    plan, window = machine.plan, machine.composition.window
    some = machine.data.train_x[:256].reshape(min(256, machine.data.n_train), -1)
    share, square = float((some != 0.0).mean()), float((some.astype(np.float64) ** 2).mean())
    forward = outer = 0.0
    for layer in plan.layers:
        if not layer.weights:
            continue
        ticks = inferences * (window if layer.spiking else 1)
        read = ticks * layer.positions
        active, currents = share * layer.rows * read, (square * layer.rows + 1.0) * read
        tally[f"ACTIVE_{layer.index}"] = active
        columns = layer.columns if machine.meter.one_sided else 1  # there the tally holds all columns
        tally[f"CONDUCTANCE_{layer.index}"] = currents * machine.meter.pair * columns
        forward += (share * layer.rows + 1.0) * layer.columns * layer.positions * inferences
        here = _activity(layer, last=layer is plan.output)
        outer += (share * layer.rows + 1.0) * layer.columns * (1.0 if layer.spiking else here)
        if layer.spiking:
            tally[f"FIRED_{layer.index}"] = ticks * layer.n * SPIKE_RATE
        share = SPIKE_RATE if layer.spiking else here
        square = SPIKE_RATE if layer.spiking else MEAN_SQUARE * here
    return forward, outer


def _activity(layer: LayerPlan, last: bool) -> float:
    """Share of a layer's neurons that are not silent."""
    return RELU_ACTIVE if not last and layer.neuron is not None and layer.neuron.model == "relu" else 1.0


def _exact(machine: Machine) -> bool:
    """Whether every device takes any value in one pulse."""
    device = machine.scenario.chip.synapse.device
    return bool(getattr(registry.find("device", device.model).module, "EXACT", False))


def _slots(machine: Machine, pulses: float) -> float:
    """Pulse slots of one write."""
    scheme = machine.meter.workload.write_scheme
    if scheme == "cell":
        return pulses
    if scheme == "row" or (scheme == "rank1" and machine.composition.step.space == "weight"):
        return float(sum((layer.rows + 1) * layer.copies for layer in machine.plan.trainable))
    return 1.0


def _busy(machine: Machine, tally: Rates) -> list[float]:
    """Femtoseconds in which the slowest core works, at nominal, low and high latencies."""
    pace = machine.arrays["pace"].astype(np.float64)
    ticks = (tally["CLEAN"] + tally["PERTURBED"]) * machine.composition.window
    sending, receiving, heard = np.zeros(len(pace)), np.zeros(len(pace)), None
    for layer in machine.plan.layers:
        fired = tally[f"FIRED_{layer.index}"] / ticks
        inputs = tally[f"ACTIVE_{layer.index}"] / ticks if heard is None else heard
        sending += pace[:, 3 * layer.index] + fired * pace[:, 3 * layer.index + 1]
        receiving += inputs * pace[:, 3 * layer.index + 2]
        heard = fired
    bands = np.maximum(sending, receiving).reshape(3, -1).max(axis=1)
    return [float(ticks * band) for band in bands]


def _speed() -> float:
    """Seconds of a fixed piece of arithmetic on this computer now, the best of a few."""
    values = np.linspace(0.0, 1.0, 200_000, dtype=np.float32)
    best = math.inf
    for _ in range(5):
        started = time.perf_counter()
        for _ in range(4):
            values = values * np.float32(0.999) + np.float32(0.001)
        best = min(best, time.perf_counter() - started)
    return best
