"""A built machine: composed kernel, arrays, meter and totals, with the calls that the control plane makes on it."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from neurosim.accounting import Ledger, price_table
from neurosim.chip import capabilities
from neurosim.chip.layers import NetworkPlan, plan_network
from neurosim.chip.mapper import Placement, place
from neurosim.chip.meter import Meter, check_prices
from neurosim.chip.workload import Workload
from neurosim.data import Dataset
from neurosim.engine import (
    cells,
    emit_array,
    erbp_integer_state,
    erbp_state,
    link,
    program,
    registers,
    state,
    view_state,
)
from neurosim.engine.compose import PHASES, Composition, compose
from neurosim.engine.device_laws import laws
from neurosim.engine.training_faults import TrainingFaults
from neurosim.errors import InputError
from neurosim.models.devices.base import DeviceParameters
from neurosim.spec.scenario import Scenario
from neurosim.training.backprop import Backprop
from neurosim.training.base import Trainer
from neurosim.training.delta import DeltaMGD
from neurosim.training.erbp import EventDrivenRandomBackprop
from neurosim.training.mgd import MGD

_RI = registers.index(registers.REGISTERS_INT)
_RF = registers.index(registers.REGISTERS_FLOAT)
_WITH_DENDRITE = ("erbp-lif", "erbp-nsat")
"""Neurons that only the trainer erbp knows how to run."""
_PHASE = {name: k for k, name in enumerate((*PHASES, "prepare", "restore", "elapse"))}


class Machine:
    """One virtual chip with a network on it, ready to take steps."""

    def __init__(self, scenario: Scenario, data: Dataset, start: np.ndarray | None = None) -> None:
        trainer = scenario.training
        if not isinstance(trainer, Trainer):
            raise InputError(f"training.model: {trainer.model!r} is not a trainer")
        self.scenario, self.data, self.trainer = scenario, data, trainer
        self.plan: NetworkPlan = plan_network(scenario.network, data.shape, data.n_out)
        self._check(start)
        self.placement: Placement = place(self.plan, scenario.chip)
        emit_array.check(scenario, self.plan, self.placement)
        self.composition: Composition = self._compose()
        self.meter: Meter = self._meter()
        check_prices(self.meter, trainer_writes=not trainer.host_loop)
        self.names = registers.tally_names(len(self.plan.layers))
        self.totals: dict[str, int] = dict.fromkeys(self.names, 0)
        loads = trainer.tau_x == 1
        step_s = self.meter.step_s(self.composition.step.slots, loads, trainer.tau_theta)
        arrays = state.build(scenario, self.composition, data, step_s, start)
        arrays["pace"] = self.meter.pace()
        dtype = np.dtype(scenario.network.dtype)
        arrays |= view_state.build(self.composition, self.meter, self.names, dtype)
        arrays |= emit_array.arrays(scenario, self.plan, self.placement)
        self._fields = link.layout(arrays)
        self.arenas, self.arrays = link.pack(arrays, self._fields, dtype)
        self.source = link.link(self.composition.source, self._fields)
        self._memory = tuple(self.arenas[name] for name in link.ARENAS)
        self._data = tuple(self.arrays[name] for name in link.DATA)
        self._module: ModuleType | None = None
        self.faults = TrainingFaults(scenario.chip)
        self.faults.fabricate(self)
        self.faults.strike(self, 0)

    def _compose(self, *, dead_synapses: bool = False, dead_neurons: bool = False) -> Composition:
        return compose(
            self.scenario, self.plan, max(1, self.data.classes), self.placement,
            dead_synapses=dead_synapses, dead_neurons=dead_neurons,
        )  # fmt: skip

    def recompose(self, *, dead_synapses: bool, dead_neurons: bool) -> None:
        """Go on with a kernel that heeds dead synapses and neurons, on the same memory."""
        self.composition = self._compose(dead_synapses=dead_synapses, dead_neurons=dead_neurons)
        source = link.link(self.composition.source, self._fields)
        if source != self.source:
            self.source, self._module = source, None

    def forget(self) -> None:
        """Weights were changed from outside: what was computed with the old ones no longer holds."""
        self.arrays["ri"][_RI["STALE"]] = self.arrays["ri"][_RI["CURRENTS_STALE"]] = 1
        self.arrays["ri"][_RI["VIEW_STALE"]] = 2  # all of it

    def _check(self, start: np.ndarray | None) -> None:
        trainer, plan = self.trainer, self.plan
        step = trainer.step_plan()
        code = trainer.code.model if isinstance(trainer, MGD) else None
        self.mechanism = capabilities.choose_mechanism(
            self.scenario.chip, step.space, trainer.mechanism, trainer.host_loop
        )
        capabilities.check(
            self.scenario, plan, space=step.space, difference=step.difference, code=code, mechanism=self.mechanism,
            needs=trainer.needs(), host_loop=trainer.host_loop,
        )  # fmt: skip
        device = self.scenario.chip.synapse.device
        problems = cells.problems(self.scenario, plan, self.mechanism)
        problems += emit_array.problems(self.scenario, plan, trainer)
        if isinstance(trainer, EventDrivenRandomBackprop):
            if isinstance(device, DeviceParameters) and laws(device).any:
                problems.append(
                    f'chip.synapse.device.model = "{device.model}": the trainer erbp knows no time and no noise of '
                    "reads; use a device without these laws, or the trainer mgd, node, delta-mgd or backprop"
                )
            form = erbp_integer_state if trainer.arithmetic == "integer" else erbp_state
            problems += form.problems(self.scenario, plan, self.data)
        elif any(layer.neuron is not None and layer.neuron.model in _WITH_DENDRITE for layer in plan.layers):
            problems.append(
                f'training.model = "{trainer.model}": neurons {" and ".join(_WITH_DENDRITE)}, with a dendrite, need '
                "the trainer erbp; use lif"
            )
        elif plan.spiking and step.space == "none":
            problems.append(
                "training.model: backprop needs analog neurons; the gradient of a spike count is not defined"
            )
        problems += [
            f"chip.faults.{k}.dead_links: a trained network keeps the routes it was built with, so links cannot die at "
            f"tick {fault.tick}; use tick = 0"
            for k, fault in enumerate(self.scenario.chip.faults)
            if fault.tick > 0 and fault.dead_links
        ]
        timing = self.scenario.chip.timing
        if plan.spiking and timing.model not in ("clocked", "simple"):
            problems.append(
                f"chip.timing.model = {timing.model!r}: training runs are clocked or simple; "
                "--set chip.timing.model=simple (messages then travel in no time)"
            )
        if plan.spiking and timing.model == "clocked" and timing.tick_s == 0.0:
            problems.append("chip.timing.tick_s = 0: a spiking network needs the length of a tick")
        if isinstance(trainer, MGD):
            problems += self._check_weight_space(trainer)
        if self.scenario.probes.gradient_agreement and plan.spiking:
            problems.append("probes.gradient_agreement: a spiking network has no true gradient to compare with")
        if isinstance(trainer, DeltaMGD):
            problems += [
                f"network.layers.{layer.name}: delta-mgd aims rank-1 probes, which a convolution with shared weights "
                "has not; use trainer node or mgd"
                for layer in plan.trainable
                if layer.type == "conv2d"
            ]
            if self.data.classes == 0:
                problems.append(
                    "task.data: delta-mgd keeps a delta-vector per class, and this data has no class labels"
                )
        if not isinstance(trainer, EventDrivenRandomBackprop):
            problems += [
                f"network.layers.{layer.name}.stride = {layer.stride}: only trainer erbp has strides; use stride = 1"
                for layer in plan.layers
                if layer.stride > 1
            ]
        copied = [layer.name for layer in plan.layers if layer.copies > 1]
        if copied and (plan.spiking or step.space == "node" or (code is not None and code != "random")):
            problems.append(
                f"network.layers.{copied[0]}.mapping: replicated needs analog neurons and the trainer backprop, or mgd "
                'with code "random"; use mapping = "serial"'
            )
        if start is not None and start.size != plan.parameters:
            problems.append(f"network.weights: {start.size} weights for a network of {plan.parameters}")
        if problems:
            raise InputError(problems)

    def _check_weight_space(self, trainer: MGD) -> list[str]:
        problems = []
        if trainer.difference == "high-pass" and trainer.tau_x == 1:
            problems.append(
                "training.tau_x = 1: the high-pass blanks the edge of every new sample, so nothing would be learned; "
                "use a tau_x above 1"
            )
        if trainer.difference == "two-noisy" and trainer.code.model != "random":
            problems.append(
                "training.difference = 'two-noisy': the two perturbations of a step must be independent, which only "
                f"the code 'random' gives (not {trainer.code.model!r})"
            )
        late = self.scenario.chip.astrocyte.latency_steps * trainer.step_plan().numbers_per_period
        if late > 32 * trainer.tau_p and self.scenario.chip.capabilities.delay_matching:
            problems.append(
                f"chip.astrocyte.latency_steps = {self.scenario.chip.astrocyte.latency_steps}: delay matching reaches "
                "back 32 perturbations; use a longer training.tau_p or a shorter latency"
            )
        return problems

    def _meter(self) -> Meter:
        trainer, step = self.trainer, self.composition.step
        one = isinstance(trainer, MGD) and trainer.code.model.startswith("sequential")
        workload = Workload(
            space=step.space,
            mechanism=self.mechanism or "none",
            per_number=1 if one else self.plan.parameters,
            window=self.composition.window,
            probes_per_broadcast=2 if step.difference in ("two-sided", "two-noisy") else 1,
            backward=isinstance(trainer, Backprop) and trainer.on_chip,
            outer_products=self._outer_products(),
            host_writes=trainer.host_loop or self.mechanism == "host",
            domains=len(self.plan.trainable) if self.scenario.network.domains == "layer" else 1,
            delta_words=self.plan.neurons if isinstance(trainer, DeltaMGD) else 0,
            held_input=self.plan.spiking and self.scenario.network.spiking.encoder == "current",
            write_scheme=trainer.write_scheme or self.scenario.chip.synapse.write_scheme,
            activity_writes=self._activity_writes(),
            error_neurons=2 * self.plan.output.n if isinstance(trainer, EventDrivenRandomBackprop) else 0,
        )
        prices = price_table(self.scenario.chip, self.placement.cores_used)
        return Meter(self.scenario.chip, self.plan, self.placement, prices, workload)

    def _outer_products(self) -> int:
        """Weights whose gradient is kept from one sample to the next, where the chip propagates errors back."""
        trainer = self.trainer
        keeps = isinstance(trainer, Backprop) and trainer.on_chip and trainer.tau_theta > 1
        return self.plan.parameters if keeps else 0

    def _activity_writes(self) -> int:
        """Writes of an input's activity register per clean inference: a trace is updated in every tick."""
        if self.composition.step.space != "node":
            return 0
        return self.composition.window if self.scenario.network.spiking.activity == "trace" else 1

    @property
    def module(self) -> ModuleType:
        """The composed kernel, imported (and on first use compiled) when it is first needed."""
        if self._module is None:
            self._module = program.load(self.source, self.composition.modules)
        return self._module

    @property
    def needs_compiling(self) -> bool:
        """Whether the first burst will compile (several seconds) instead of loading from the cache."""
        return not program.is_compiled(self.source, self.composition.modules)

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self.arrays["ri"][_RI["STEP"]])

    @property
    def diverged_at(self) -> int | None:
        """The step whose cost was not finite."""
        value = int(self.arrays["ri"][_RI["DIVERGED"]])
        return value - 1 if value else None

    @property
    def inferences(self) -> int:
        """Inferences done by the chip, all of them."""
        return self.totals["CLEAN"] + self.totals["PERTURBED"]

    def register(self, name: str) -> int:
        """An integer register."""
        return int(self.arrays["ri"][_RI[name]])

    def clear_stale(self) -> None:
        """The baseline cost is known for this sample and these weights."""
        self.arrays["ri"][_RI["STALE"]] = 0

    def refresh(self) -> None:
        """Renew the delta memory of every class by bias-only probes."""
        for label in range(self.arrays["delta"].shape[0]):
            self.module.refresh(*self._memory, *self._data, label)
        self.collect()

    def true_gradient(self, sample: int) -> np.ndarray:
        """The exact gradient at a training sample; not charged. Overwrites nothing that training reads."""
        kept = {name: arena.copy() for name, arena in self.arenas.items()}
        self.module.true_gradient(*self._memory, *self._data, sample)
        gradient = self.arrays["gradient"].copy()
        for name, arena in self.arenas.items():
            arena[...] = kept[name]
        return gradient

    def burst(self, steps: int) -> int:
        """Take up to ``steps`` steps in one call; returns how many were taken (fewer when the cost diverged)."""
        done = int(self.module.burst(*self._memory, *self._data, steps))
        self.collect()
        return done

    def phase(self, name: str, slot: int = 0, tick: int = 0) -> None:
        """Run one phase (event mode)."""
        self.module.phase(*self._memory, *self._data, _PHASE[name], slot, tick)

    def show_test_sample(self, sample: int) -> None:
        """Put a test sample on the inputs."""
        self.module.show(*self._memory, *self._data, sample)

    def collect(self) -> None:
        """Move the kernels' tally into the exact totals."""
        tally = self.arrays["tally"]
        if self.composition.view.laws.clocked:  # what the clock has not taken yet, it still will
            self.arrays["clocked"][: tally.size] -= tally
        for name, count in zip(self.names, tally.tolist(), strict=True):
            self.totals[name] += count
        tally[:] = 0

    def ledger(self) -> Ledger:
        """Counts and time so far."""
        return self.meter.ledger(self.totals)

    def evaluate(self, samples: int, chunk: int = 200) -> tuple[float, float]:
        """(accuracy, mean cost) on the first ``samples`` test samples; not charged to the chip."""
        right, cost = 0, 0.0
        for first in range(0, samples, chunk):
            self.module.evaluate(*self._memory, *self._data, first, min(chunk, samples - first))
            right += int(self.arrays["evaluation"][0])
            cost += float(self.arrays["evaluation"][1])
        return right / samples, cost / samples

    def take_record(self) -> tuple[float, float]:
        """Mean cost and mean |C~| since the last record, and start over."""
        rf, count = self.arrays["rf"], max(1, self.totals["RECORDED"])
        means = float(rf[_RF["COST_SUM"]]) / count, float(rf[_RF["C_TILDE_SUM"]]) / count
        rf[_RF["COST_SUM"]] = rf[_RF["C_TILDE_SUM"]] = 0.0
        self.totals["RECORDED"] = 0
        return means

    def weights(self, layer: str) -> np.ndarray:
        """Copy of a layer's parameters as reads see them now: ``[rows + 1, columns]``, the biases as the last row."""
        plan, view = self.plan.layer(layer), self.composition.view
        if view.renewed:
            self.module.look(*self._memory)
        return self.arrays[view.reads][plan.theta : plan.theta + plan.parameters].reshape(-1, plan.columns).copy()

    def checkpoint(self) -> dict[str, np.ndarray]:
        """The machine's whole memory."""
        return dict(self.arenas)

    def restore(self, arenas: dict[str, np.ndarray], totals: dict[str, int]) -> None:
        """Go back to a checkpoint; raises InputError when it belongs to another machine."""
        for name, arena in self.arenas.items():
            kept = arenas.get(name)
            if kept is None or kept.shape != arena.shape or kept.dtype != arena.dtype:
                raise InputError(f"the checkpoint does not fit this machine: arena {name} differs in size or type")
        for name, arena in self.arenas.items():
            arena[...] = arenas[name]
        self.totals = {name: int(totals.get(name, 0)) for name in self.names}

    def sick_layer(self) -> str:
        """The first layer whose activations are not finite in the last inferences."""
        for layer in self.plan.layers:
            span = self.arrays["act"][:, layer.act : layer.act + layer.n]
            if not np.isfinite(span).all():
                return layer.name
        return self.plan.output.name
