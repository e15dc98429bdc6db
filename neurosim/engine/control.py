"""The control plane: simpy processes that drive a machine, in burst or event mode, with the same bits.

simpy's clock is an integer number of ticks. In burst mode the cores run many steps in one call and meet the other
processes at the schedule's boundaries only. In event mode every phase of every tick is handed over between host,
cores and astrocyte. Both call the same compiled phases on the same memory in the same order.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any, Literal

import simpy

from neurosim import accounting
from neurosim.accounting import Bill
from neurosim.engine import tables
from neurosim.engine.agreement import record_agreement
from neurosim.engine.machine import Machine
from neurosim.engine.raster import record_spikes
from neurosim.engine.schedule import Schedule
from neurosim.engine.sink import Sink
from neurosim.errors import DivergenceError
from neurosim.training.delta import DeltaMGD

Process = Generator[simpy.Event, Any, Any]
Progress = Callable[["Control"], None]

BURST_S = 0.2
"""Host seconds that one burst aims at; below the promised 0.25 s, so that an interrupt is soon seen."""
CHECKPOINT_S = 30.0
"""Host seconds between checkpoints (they do not change results, so the host's clock may decide)."""


@dataclass
class Control:
    """One run: the machine, where its records go, and what has been seen so far."""

    machine: Machine
    sink: Sink
    mode: Literal["burst", "event"] = "burst"
    progress: Progress | None = None
    burst_steps: int | None = None
    """Fixed burst length, for tests; None adapts to the host."""
    accuracy: float | None = None
    cost: float | None = None
    to_target: dict[str, Any] | None = None
    stop_requested: bool = False
    _before: dict[str, int] = field(default_factory=dict)
    _pace: float = 0.0
    _saved_at: float = 0.0
    _evaluated_at: int = -1

    def __post_init__(self) -> None:
        self.schedule = Schedule.of(self.machine.scenario)
        self.env = simpy.Environment(initial_time=tables.ticks(self.machine))
        self._saved_at = time.monotonic()

    @property
    def bill(self) -> Bill:
        """What the run has come to so far."""
        return accounting.bill(self.machine.ledger(), self.machine.meter.prices)

    def begin(self) -> None:
        """Declare the tables; a run that starts from nothing records its first weights and accuracy."""
        tables.declare(self.machine, self.sink, self._agrees)
        if self.machine.step == 0:
            tables.record_weights(self.machine, self.sink)
            self._evaluate()

    @property
    def _agrees(self) -> bool:
        return self.machine.scenario.probes.gradient_agreement and isinstance(self.machine.trainer, DeltaMGD)

    def run(self) -> str:
        """Run to the end; returns ``complete`` or ``interrupted``; DivergenceError on a cost that is not finite."""
        done = self.env.process(self._cores())
        self.env.run(until=done)
        status = str(done.value)
        self.machine.collect()
        if status == "complete":
            self._finish()
        self.checkpoint()
        return status

    def _cores(self) -> Process:
        """The data plane between boundaries, and the rendezvous with the other processes at each."""
        machine, schedule = self.machine, self.schedule
        while machine.step < schedule.steps:
            if machine.step == 0 and schedule.refresh:
                yield self.env.process(self._astrocyte_refresh())
            before = tables.ticks(machine)
            machine.faults.strike(machine, before)
            if self.mode == "event":
                yield self.env.process(self._event_step())
            else:
                self._burst(min(schedule.next_boundary(machine.step) - machine.step, self._unbroken_steps()))
                yield self.env.timeout(tables.ticks(machine) - before)
            if machine.diverged_at is not None:
                self._diverged()
            if self._at_boundary():
                yield self.env.process(self._recorder())
                yield self.env.process(self._host())
                if schedule.due(schedule.refresh, machine.step) and machine.step < schedule.steps:
                    yield self.env.process(self._astrocyte_refresh())
                if self._stops():
                    return "complete"
            if self.progress is not None:
                self.progress(self)
            if self.stop_requested:
                return "interrupted"
            if time.monotonic() - self._saved_at > CHECKPOINT_S:
                self.checkpoint()
        return "complete"

    def _at_boundary(self) -> bool:
        machine, schedule = self.machine, self.schedule
        intervals = (schedule.record, schedule.evaluate, schedule.weights, schedule.refresh)
        return machine.step == schedule.steps or any(schedule.due(every, machine.step) for every in intervals)

    def _unbroken_steps(self) -> int:
        """Steps that surely begin before the next fault strikes."""
        longest = len(self.machine.composition.step.slots) * self.machine.composition.window
        return max(1, self.machine.faults.until(tables.ticks(self.machine)) // longest)

    def _burst(self, most: int) -> None:
        """One call of the composed kernel, of about BURST_S on this host."""
        steps = self.burst_steps or (max(1, int(BURST_S / self._pace)) if self._pace else 1)
        steps = min(most, steps)
        started = time.monotonic()
        self.machine.burst(steps)
        spent = time.monotonic() - started
        # the first call holds compilation or loading and says nothing about pace
        self._pace = spent / steps if self._pace or steps > 1 else 2e-3

    def _event_step(self) -> Process:
        """One step with every phase handed over: host link, cores, astrocyte."""
        machine, env = self.machine, self.env
        sample, outputs, heard = env.event(), env.event(), env.event()
        step = machine.composition.step

        def host_link() -> Process:
            machine.phase("present")
            sample.succeed()
            yield env.timeout(0)

        def cores() -> Process:
            yield sample
            machine.phase("perturb")
            for slot, sign in enumerate(step.slots):
                clean_is_known = sign == 0 and step.space == "weight" and machine.register("STALE") == 0
                if clean_is_known:
                    continue
                if step.space == "node" and sign != 0:
                    machine.phase("aim", slot)
                yield env.process(self._event_inference(slot))
                measured = env.event()
                outputs_ready[slot].succeed(measured)
                yield measured
            outputs.succeed()
            yield heard
            machine.phase("learn")

        def astrocyte() -> Process:
            while not outputs.triggered:
                waiting = [event for event in outputs_ready if not event.processed]
                happened = yield env.any_of([*waiting, outputs])
                for slot, event in enumerate(outputs_ready):
                    if event in happened:
                        machine.phase("measure", slot)
                        if step.slots[slot] == 0 and step.space == "weight":
                            machine.clear_stale()
                        happened[event].succeed()
            machine.phase("broadcast")
            machine.collect()
            if machine.diverged_at is None:
                heard.succeed()

        outputs_ready = [env.event() for _ in step.slots]
        work = env.process(cores())
        env.process(host_link())
        listening = env.process(astrocyte())
        yield listening
        if machine.diverged_at is None:
            yield work
        machine.phase("account")
        if machine.diverged_at is None:
            machine.phase("elapse")
        machine.collect()

    def _event_inference(self, slot: int) -> Process:
        """One inference, phase by phase and tick by tick."""
        machine = self.machine
        machine.phase("prepare", slot)
        if not machine.plan.spiking:
            for layer in machine.plan.layers:
                machine.phase("settle", slot, layer.index)
            yield self.env.timeout(1)
        else:
            machine.phase("begin", slot)
            for tick in range(machine.composition.window):
                for name in ("deliver", "integrate", "fire", "route"):
                    machine.phase(name, slot, tick)
                yield self.env.timeout(1)
            machine.phase("finish", slot)
        machine.phase("restore", slot)

    def _astrocyte_refresh(self) -> Process:
        """Rare bias-only measurements that renew the delta memory, class by class."""
        before = tables.ticks(self.machine)
        self.machine.refresh()
        yield self.env.timeout(tables.ticks(self.machine) - before)

    def _recorder(self) -> Process:
        machine, schedule = self.machine, self.schedule
        last = machine.step == schedule.steps
        if schedule.due(schedule.record, machine.step) or last:
            tables.record_training(machine, self.sink, self.bill, self._before)
            tables.record_ledger(machine, self.sink, machine.ledger())
            self._before = dict(machine.totals)
        if schedule.due(schedule.weights, machine.step) and not last:
            tables.record_weights(machine, self.sink)
        yield self.env.timeout(0)

    def _host(self) -> Process:
        machine, schedule = self.machine, self.schedule
        if schedule.due(schedule.evaluate, machine.step) or machine.step == schedule.steps:
            self._evaluate()
        yield self.env.timeout(0)

    @property
    def _samples_tested(self) -> int:
        data = self.machine.data
        return min(self.machine.scenario.probes.evaluate_samples or data.n_test, data.n_test)

    def _evaluate(self) -> None:
        machine = self.machine
        if self._evaluated_at == machine.step:
            return
        self.accuracy, self.cost = machine.evaluate(self._samples_tested)
        self._evaluated_at = machine.step
        bill = self.bill
        tables.record_eval(machine, self.sink, bill, self.accuracy, self.cost)
        if isinstance(machine.trainer, DeltaMGD):
            tables.record_delta(machine, self.sink)
        if self._agrees:
            record_agreement(machine, self.sink)
        target = machine.scenario.stop.accuracy
        if target is not None and self.to_target is None and self.accuracy >= target:
            self.to_target = {
                "accuracy": target, "steps": machine.step, "inferences": machine.inferences,
                "chip_time_s": bill.chip_time_s, "energy_J": bill.energy_J, "weight_pulses": tables.pulses(machine),
            }  # fmt: skip

    def _stops(self) -> bool:
        stop, machine = self.machine.scenario.stop, self.machine
        if stop.at_accuracy and self.to_target is not None:
            return True
        if stop.inferences is not None and machine.inferences >= stop.inferences:
            return True
        if stop.chip_time_s is None and stop.energy_J is None:
            return False
        bill = self.bill
        return (stop.chip_time_s is not None and bill.chip_time_s >= stop.chip_time_s) or (
            stop.energy_J is not None and bill.energy_J >= stop.energy_J
        )

    def _finish(self) -> None:
        """The end of a complete run: last accuracy, last weights, a spike raster where it is asked for."""
        self._evaluate()
        tables.record_weights(self.machine, self.sink)
        record_spikes(self.machine, self.sink)
        tables.record_early(self.machine, self.sink, self._samples_tested)

    def _diverged(self) -> None:
        self.machine.collect()
        self.checkpoint()
        raise DivergenceError(
            f"the cost is not finite at step {self.machine.diverged_at} (layer {self.machine.sick_layer()}); "
            "lower training.learning_rate, or set training.cost_clamp or training.step_limit"
        )

    def checkpoint(self) -> None:
        """Hand everything to the sink that is needed to go on bit for bit."""
        self.sink.checkpoint(self.machine.checkpoint(), {
            "totals": self.machine.totals, "before": self._before, "to_target": self.to_target,
            "accuracy": self.accuracy, "cost": self.cost, "evaluated_at": self._evaluated_at,
            "struck": [strike.number for strike in self.machine.faults.struck],
        })  # fmt: skip
        self._saved_at = time.monotonic()

    def resume(self, arenas: dict[str, Any], meta: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.machine.restore(arenas, meta["totals"])
        self.machine.faults.restore(self.machine, meta.get("struck", []))
        self._before = dict(meta["before"])
        self.to_target, self.accuracy, self.cost = meta["to_target"], meta["accuracy"], meta["cost"]
        self._evaluated_at = int(meta["evaluated_at"])
        self.env = simpy.Environment(initial_time=tables.ticks(self.machine))

    def summary(self) -> dict[str, Any]:
        """The result so far."""
        result = tables.summary(self.machine, self.bill, self.accuracy, self.cost, self.to_target)
        tested = tables.inference(self.machine, self._samples_tested)
        return result | tested | {"faults": [strike.described() for strike in self.machine.faults.struck]}
