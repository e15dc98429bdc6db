"""Composes the kernel of one run: a source file specialised to its network, device, probe and rule.

The file imports the equations of the models it needs, holds every offset and choice as a constant, and defines the
phases of the tick as small functions, ``burst`` (many steps in one call) and ``phase`` (one phase, for event mode).
Both call the same phase functions. Everything that is only a number (rates, noise, seeds) stays a run-time setting,
so that sweeps over numbers compile once.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field, replace
from textwrap import indent

from neurosim import registry
from neurosim.chip.capabilities import choose_mechanism
from neurosim.chip.layers import NetworkPlan
from neurosim.chip.mapper import Placement
from neurosim.engine import (
    emit_erbp,
    emit_erbp_integer,
    emit_forward,
    emit_nodes,
    emit_program,
    emit_spiking,
    emit_step,
    emit_view,
    erbp_state,
    registers,
)
from neurosim.engine.emit_view import View
from neurosim.kernels import composed
from neurosim.models.devices.base import DeviceParameters
from neurosim.registry import Model
from neurosim.spec.hardware import Synapse
from neurosim.spec.scenario import Scenario
from neurosim.training.backprop import Backprop
from neurosim.training.base import StepPlan, Trainer
from neurosim.training.delta import DeltaMGD
from neurosim.training.erbp import EventDrivenRandomBackprop
from neurosim.training.mgd import MGD

KERNEL_MODULES = (
    "neurosim.kernels.wrap", "neurosim.kernels.random", "neurosim.kernels.layers", "neurosim.kernels.reads",
    "neurosim.kernels.learn", "neurosim.kernels.nodes", "neurosim.kernels.composed",
)  # fmt: skip

PHASES = (
    "present", "perturb", "settle", "begin", "deliver", "integrate", "fire", "route", "finish", "measure", "aim",
    "broadcast", "learn", "account",
)  # fmt: skip


@dataclass(frozen=True)
class Composition:
    """The source text of a run's kernel, and what event mode needs to know of it."""

    source: str
    modules: tuple[str, ...]
    """Names of all modules whose source the kernel depends on."""
    plan: NetworkPlan
    step: StepPlan
    window: int
    """Ticks per inference: 1 for analog networks."""
    view: View = field(default_factory=View)
    """What stands between what devices hold and what is read."""


def compose(
    scenario: Scenario,
    plan: NetworkPlan,
    classes: int,
    placement: Placement,
    *,
    dead_synapses: bool = False,
    dead_neurons: bool = False,
) -> Composition:
    """The kernel source for a scenario on its network, as it is laid out and placed.

    ``dead_synapses``, ``dead_neurons``: heed those that faults have killed.
    """
    trainer = scenario.training
    assert isinstance(trainer, Trainer)
    step = trainer.step_plan()
    uses = _models(scenario, plan, trainer)
    spiking = scenario.network.spiking
    window = spiking.washout_ticks + spiking.readout_ticks if plan.spiking else 1
    cores = len({tile.core for tile in placement.tiles})
    paced_cores = cores if scenario.chip.timing.model == "simple" else 0
    exact = bool(uses["device"].module.EXACT) if hasattr(uses["device"].module, "EXACT") else False
    if isinstance(trainer, EventDrivenRandomBackprop):
        window = erbp_state.times(scenario).sample
        form = emit_erbp_integer if trainer.arithmetic == "integer" else emit_erbp
        parts = [
            _head(scenario, plan, step, uses, window, classes, dead_neurons, View()),
            emit_step.PRESENT,
            *form.parts(scenario, plan, exact, dead_synapses),
        ]
        modules = (*KERNEL_MODULES, *form.MODULES, *(model.module_name for model in uses.values()))
        return Composition("\n".join(parts), modules, plan, step, window)
    writes = mechanism(scenario, trainer) == "write"
    device = scenario.chip.synapse.device
    assert isinstance(device, DeviceParameters)
    programs, own_modules = emit_program.program(scenario, plan)
    view = emit_view.of(scenario, plan, placement)
    # a perturbation by writing is in the weights themselves, so reads add none
    forward = replace(step, space="none") if writes else step
    parts = [
        _head(scenario, plan, step, uses, window, classes, dead_neurons, view),
        emit_step.PRESENT,
        emit_spiking.spiking(plan, forward, spiking, paced_cores, view) if plan.spiking else "",
        emit_forward.analog(plan, forward, view) if not plan.spiking else "",
        emit_step.MEASURE,
        emit_step.HEARD,
        "" if exact and not writes else programs,
        emit_step.written(
            emit_program.write_scheme(scenario),
            rank1=_is_rank1(plan, step, trainer, scenario.chip.synapse),
            after=emit_program.after_write(scenario),
        ),
        emit_step.write(plan, exact, view),
        emit_view.source(view, device, pipelined=scenario.chip.timing.pipelined),
        _training(scenario, plan, trainer, step, view, exact=exact, dead=dead_synapses),
        emit_step.ACCOUNT,
        _infer(plan, step, writes),
        emit_nodes.refresh(trainer, view) if isinstance(trainer, DeltaMGD) and trainer.refresh == "bias" else "",
        "" if plan.spiking else _gradient(plan, step, view),
        _entries(plan, step, view),
    ]
    modules = (*KERNEL_MODULES, *(model.module_name for model in uses.values()), *emit_view.modules(view))
    source = "\n".join(part for part in parts if part)
    if own_modules:
        source, modules = emit_program.called_with_state(source), (*modules, *own_modules)
    return Composition(source, modules, plan, step, window, view)


def mechanism(scenario: Scenario, trainer: Trainer) -> str:
    """The perturbation mechanism of a run ("none" where nothing is perturbed)."""
    space = trainer.step_plan().space
    return choose_mechanism(scenario.chip, space, trainer.mechanism, trainer.host_loop) or "none"


def _is_rank1(plan: NetworkPlan, step: StepPlan, trainer: Trainer, synapse: Synapse) -> bool:
    if synapse.writing != "open-loop":  # every device is pulsed by its own error
        return False
    if isinstance(trainer, Backprop):  # error x activity of one sample, written as it comes
        at_once = trainer.tau_theta == 1 and trainer.optimizer == "plain"
        return at_once and all(layer.type == "dense" for layer in plan.trainable)
    return step.space == "node" and not emit_nodes.is_windowed(plan, trainer)


def _models(scenario: Scenario, plan: NetworkPlan, trainer: Trainer) -> dict[str, Model]:
    """Every registered model that the run computes with, by the name that its functions get."""
    uses = {"device": registry.find("device", scenario.chip.synapse.device.model)}
    uses["cost"] = registry.find("cost", scenario.task.cost.model)
    uses["trainer"] = registry.find("trainer", trainer.model)
    if isinstance(trainer, MGD):
        uses["code"] = registry.find("perturbation", trainer.code.model)
    for layer in plan.trainable:
        assert layer.neuron is not None
        uses[f"neuron_{layer.index}"] = registry.find("spiking" if layer.spiking else "rate", layer.neuron.model)
    return uses


def _head(
    scenario: Scenario,
    plan: NetworkPlan,
    step: StepPlan,
    uses: dict[str, Model],
    window: int,
    classes: int,
    dead_neurons: bool,
    view: View,
) -> str:
    """Imports, compiled model functions and constants."""
    trainer, chip = scenario.training, scenario.chip
    assert isinstance(trainer, Trainer)
    lines = [
        f'"""A composed kernel: {" - ".join(str(layer.shape) for layer in plan.layers)}, '
        f'{chip.synapse.device.model} devices, {trainer.model}."""',
        "from __future__ import annotations",
        "import math",
        "import numpy as np",
        "from neurosim.kernels.layers import *",
        "from neurosim.kernels.learn import *",
        "from neurosim.kernels.nodes import *",
        "from neurosim.kernels.reads import *",
        "from neurosim.kernels.random import *",
        *(f"from {module} import *" for module in emit_view.modules(view)),
        "from neurosim.kernels.wrap import kernel",
    ]
    lines += [f"import {model.module_name} as _{key}" for key, model in uses.items()]
    lines += ["", registers.constants(len(plan.layers), viewed=view.acts), ""]
    neuron = chip.neuron
    mismatch = dead_neurons or any((neuron.scale_dtod, neuron.slope_dtod, neuron.x_offset_dtod, neuron.y_offset_dtod))
    one = "np.float32(1.0)" if scenario.network.dtype == "float32" else "1.0"
    lines += [
        f"N_IN = {plan.n_in}",
        f"N_OUT = {plan.output.n}",
        f"OUT = {plan.output.act}",
        f"SIZE = {plan.parameters}",
        f"ROWS = {sum(layer.copies * (layer.rows + 1) for layer in plan.trainable)}",
        f"NODES = {plan.activations}",
        f"NEURONS = {plan.neurons}",
        *_domains(scenario, plan),
        f"RANDOM_ENCODER = {plan.spiking and scenario.network.spiking.encoder == 'poisson'}",
        f"ONE = {one}",
        f"WINDOW = {window}",
        f"WASHOUT = {scenario.network.spiking.washout_ticks if plan.spiking else 0}",
        f"READOUT = {scenario.network.spiking.readout_ticks if plan.spiking else 1}",
        f"RESET_WINDOW = {scenario.network.spiking.washout_ticks == 0}",
        f"MAX_RATE = {scenario.network.spiking.max_rate!r}",
        f"REPLAYABLE = {chip.capabilities.replayable_encoder}",
        f"ACTIVITY_TRACE = {plan.spiking and scenario.network.spiking.activity == 'trace'}",
        f"ADC_COLUMNS = {chip.periphery.adc_at == 'columns'}",
        f"ADC_OUTPUTS = {chip.periphery.adc_at == 'outputs' and chip.astrocyte.cost_unit != 'analog-mse'}",
        f"NEURON_MISMATCH = {mismatch and not plan.spiking}",
        f"SIGNS = {(*(float(sign) for sign in step.slots), 0.0)!r}",
        "",
        "cost = kernel(_cost.cost)",
        "cost_gradient = kernel(_cost.gradient)",
        "residual = kernel(_cost.residual)",
        "device_step = kernel(_device.step)",
        f"CLEAN_SLOT = {len(step.slots)}",
        f"CLASSES = {classes}",
    ]
    for layer in plan.trainable:
        key = f"neuron_{layer.index}"
        functions = ("integrate",) if layer.spiking else ("activate", "derivative")
        lines += [f"{function}_{layer.index} = kernel(_{key}.{function})" for function in functions]
    if "code" in uses:
        lines += ["value = kernel(_code.value)", "fill = kernel(_code.fill)", "BLOCK = _code.BLOCK"]
    return "\n".join(lines) + "\n"


def _domains(scenario: Scenario, plan: NetworkPlan) -> list[str]:
    """Which parameters and nodes each astrocyte's domain holds: all, or one layer with weights each."""
    starts = plan.trainable if scenario.network.domains == "layer" else plan.trainable[:1]
    return [
        f"DOMAINS = {len(starts)}",
        f"PARAMETER_SPANS = {(0, *(layer.theta for layer in starts[1:]), plan.parameters)!r}",
        f"NODE_SPANS = {(0, *(layer.act for layer in starts[1:]), plan.activations)!r}",
    ]


def _training(
    scenario: Scenario, plan: NetworkPlan, trainer: Trainer, step: StepPlan, view: View, *, exact: bool, dead: bool
) -> str:
    """The phases perturb, aim, broadcast and learn of the trainer's space; ``dead``: some synapses are."""
    free = scenario.chip.synapse.stuck_fraction == 0.0 and scenario.chip.array.stuck == 0.0 and not dead
    if step.space == "weight":
        two = step.numbers_per_period == 2
        differ = dead or scenario.chip.perturbation.amplitude_dtod > 0.0
        mismatch = differ and mechanism(scenario, trainer) != "write"
        direct = exact and free and trainer.tau_theta == 1 and trainer.optimizer == "plain"
        text = emit_step.WEIGHT_PERTURBATION.format(
            mismatch=" * (ONE + mismatch[e])" if mismatch else "",
            number="S.ri[RI_NUMBER] + slot" if two else "S.ri[RI_NUMBER]",
            shift="slot" if two else "0",
            per_period=step.numbers_per_period,
            reads=view.reads,
            ties="".join(f"            {line}\n" for line in emit_step.ties(plan, "words")),
        )
        writes = mechanism(scenario, trainer) == "write"
        per_number = "1" if isinstance(trainer, MGD) and trainer.code.model.startswith("sequential") else "SIZE"
        text += _copied("dense_shift", "dense_pair_first", "scatter_shift", "add_code", "low_pass_code")
        return (
            text
            + (emit_step.write_perturbation(emit_program.write_scheme(scenario), view) if writes else "")
            + emit_step.broadcast(step)
            + emit_step.learn_weights(step, exact and free, direct, per_number, view)
        )  # fmt: skip
    if step.space == "none":
        return emit_step.backpropagate(plan, view) + emit_step.commit() + emit_step.LEARN_GRADIENT + _NO_PERTURB
    return emit_nodes.training(scenario, plan, trainer, step, view, exact=exact, stuck=not free)


def _copied(*names: str) -> str:
    """Source of loops that call the run's own tilde or assumed, which stand above them."""
    return "\n\n".join(inspect.getsource(getattr(composed, name).py_func) for name in names)


_NO_PERTURB = """
@kernel
def perturb(S):
    pass
"""


def _look(plan: NetworkPlan) -> str:
    """One inference in slot ``slot``, nothing counted: calls that stand wherever it is needed.

    It is text and not a function of its own, since numba optimises a function again in every caller: flat kernels
    compile several times faster than nested ones.
    """
    if not plan.spiking:
        return "\n".join(f"layer_{layer.index}(S, slot)" for layer in plan.layers)
    return """\
begin(S, slot)
for tick in range(WINDOW):
    deliver(S, slot, tick)
    integrate(S, slot, tick)
    fire(S, slot, tick)
    route(S, slot, tick)
finish(S, slot)"""


def _infer(plan: NetworkPlan, step: StepPlan, writes: bool) -> str:
    """``infer``: one inference and the counts that belong to it."""
    work = _look(plan)
    before, after = _around(step, writes)
    return f"""
@kernel
def prepare(S, slot):
    # counts of one inference, and a perturbation by writing
{indent(before, "    ")}


@kernel
def restore(S, slot):
{indent(after, "    ")}


@kernel
def infer(S, slot):
{indent(before, "    ")}
{indent(work, "    ")}
{indent(after, "    ")}
"""


def _around(step: StepPlan, writes: bool) -> tuple[str, str]:
    before = "if SIGNS[slot] == 0.0:\n    S.tally[T_CLEAN] += 1\nelse:\n    S.tally[T_PERTURBED] += 1"
    if step.space == "weight" and writes:
        before += "\n    write_perturbation(S, slot, SIGNS[slot])"
        return before, "if SIGNS[slot] != 0.0:\n    write_perturbation(S, slot, -SIGNS[slot])"
    return before, "pass"


def _step(step: StepPlan, view: View) -> str:
    """The phases of one training step in their order."""
    lines = ["present(S, DATA)", "perturb(S)"]
    for slot, sign in enumerate(step.slots):
        if sign == 0 and step.difference == "baseline" and step.space == "weight":
            lines += ["if S.ri[RI_STALE] == 1:", f"    infer(S, np.int64({slot}))", f"    measure(S, np.int64({slot}))",
                      "    S.ri[RI_STALE] = 0"]  # fmt: skip
            continue
        if step.space == "node" and sign != 0:
            lines.append(f"aim(S, np.int64({slot}))")
        lines += [f"infer(S, np.int64({slot}))", f"measure(S, np.int64({slot}))"]
    lines += ["broadcast(S)", "if S.ri[RI_DIVERGED] > 0:", "    account(S)", "    return done + 1", "learn(S)",
              "account(S)"]  # fmt: skip
    if view.laws.clocked:
        lines.append("elapse(S)")
    return "\n".join(lines)


def _gradient(plan: NetworkPlan, step: StepPlan, view: View) -> str:
    """``true_gradient``: the exact gradient at the present weights, for comparison (uncharged)."""
    known = "" if step.space == "none" else emit_step.backpropagate(plan, view)
    return f"""{known}
@kernel(cache=True)
def true_gradient(S, DATA, i):
    kept = S.tally.copy()
    load(S, train_x, train_t, i)
    S.gradient[:] = 0.0
    slot = np.int64(CLEAN_SLOT)
{indent(_look(plan), "    ")}
    backpropagate(S, slot, 1.0)
    copy(kept, S.tally)
"""


def _entries(plan: NetworkPlan, step: StepPlan, view: View) -> str:
    """The compiled entry points: ``burst``, ``phase`` and ``evaluate``."""
    state = ("v", "v_start", "refractory", "fired", "fired_count", "input_activity", "live") if plan.spiking else ()
    save = "".join(f"    kept_{name} = S.{name}.copy()\n" for name in state)
    back = "".join(f"    copy(kept_{name}, S.{name})\n" for name in state)
    elapse = "    elif which == 16:\n        elapse(S)\n" if view.laws.clocked else ""
    aim = "    elif which == 10:\n        aim(S, slot)\n" if step.space == "node" else ""
    if plan.spiking:
        window = """\
    elif which == 3:
        begin(S, slot)
    elif which == 4:
        deliver(S, slot, tick)
    elif which == 5:
        integrate(S, slot, tick)
    elif which == 6:
        fire(S, slot, tick)
    elif which == 7:
        route(S, slot, tick)
    elif which == 8:
        finish(S, slot)"""
    else:
        window = """\
    elif which == 2:
        settle_layer(S, slot, tick)"""
    return f"""
@kernel(cache=True)
def burst(S, DATA, steps):
    # many steps; stops early when the cost is no longer finite
    for done in range(steps):
{indent(_step(step, view), "        ")}
    return steps


@kernel(cache=True)
def phase(S, DATA, which, slot, tick):
    # one phase, for event mode
    if which == 0:
        present(S, DATA)
    elif which == 1:
        perturb(S)
{window}
    elif which == 9:
        measure(S, slot)
{aim}    elif which == 11:
        broadcast(S)
    elif which == 12:
        learn(S)
    elif which == 13:
        account(S)
    elif which == 14:
        prepare(S, slot)
    elif which == 15:
        restore(S, slot)
{elapse}

@kernel(cache=True)
def show(S, DATA, i):
    # one test sample on the inputs, for looking at
    load(S, test_x, test_t, i)
    S.ri[RI_MOMENT] = (1 << 38) + i
    S.ri[RI_SHOWN] = S.ri[RI_MOMENT]


@kernel(cache=True)
def evaluate(S, DATA, first, count):
    # clean inferences of test samples; not the chip's work, so the tally is put back
    kept = S.tally.copy()
    slot = np.int64(CLEAN_SLOT)
    moment = S.ri[RI_MOMENT]
    shown = S.ri[RI_SHOWN]
    stale = S.ri[RI_STALE]
{save}    right = 0
    total = 0.0
    for i in range(first, first + count):
        S.ri[RI_MOMENT] = (1 << 38) + i
        S.ri[RI_SHOWN] = S.ri[RI_MOMENT]
        load(S, test_x, test_t, i)
{indent(_look(plan), "        ")}
        total += cost_of(S, slot)
        right += predicted(S.output) == test_y[i]
    # the training sample comes back, with the currents that belong to it
    load(S, train_x, train_t, S.ri[RI_SAMPLE])
    S.ri[RI_MOMENT] = moment
    S.ri[RI_SHOWN] = shown
    S.ri[RI_STALE] = stale
{back}    copy(kept, S.tally)
    S.evaluation[0] = right
    S.evaluation[1] = total
"""
