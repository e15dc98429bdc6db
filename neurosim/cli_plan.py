"""What a run would be: ``run --dry-run`` and ``scenario validate`` build the machine and stop there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from neurosim import api, api_experiment, api_sweep
from neurosim.cli_out import count, interval, plain, put, quantity, size, table
from neurosim.engine import link, tables
from neurosim.engine.forecast import PROBE_S, forecast
from neurosim.engine.machine import Machine
from neurosim.engine.schedule import Schedule
from neurosim.engine.sink import NullSink, Table
from neurosim.errors import InputError
from neurosim.spec import load
from neurosim.spec.study import load_table
from neurosim.sweeps import make_plan
from neurosim.trace import layout
from neurosim.training.base import Trainer
from neurosim.training.delta import DeltaMGD

FILE_OVERHEAD_B = 100_000
"""Of a trace: names, units, prices with their sources, the chip's and the scenario's text."""
HOW = {
    "probe": f"from the first steps, taken for about {PROBE_S:g} s just now",
    "model": "from the network's shapes (rough; from the first steps once the kernel is compiled)",
}
"""How a run was foreseen, in words."""


def validate(names: Sequence[str]) -> None:
    """Build the machine of every scenario, those of a study for all values; raises InputError with all problems."""
    problems: list[str] = []
    for name in names:
        try:
            found = load_table(name)
            if load.is_study(found):
                planned = make_plan(api_sweep.new_request(name, [], []))
                api_sweep.check(planned)
                axes = ", ".join(axis.name for axis in planned.axes)
                plain(f"{name}: valid; a study of {count(len(planned.points))} points over {axes}")
                continue
            if load.is_experiment(found):
                _, experiment = api_experiment.load_experiment(name)
                plain(f"{name}: valid; the experiment {experiment.experiment.model} on {experiment.chip.name}")
                continue
            _, scenario = api.load_scenario(name)
            machine = api.build(scenario, quiet=False)
        except InputError as error:
            problems += [f"{error.where or name}: {problem}" for problem in error.problems]
            continue
        used = f"{machine.placement.cores_used} of {scenario.chip.geometry.all_cores} cores of {scenario.chip.name}"
        plain(f"{name}: valid; {count(machine.plan.parameters)} parameters on {used}")
    if problems:
        raise InputError(problems)


def plan(name: str, machine: Machine) -> dict[str, Any]:
    """All that is known or foreseen before the first step; nothing is compiled or written. Uses up the machine."""
    scenario, step, schedule = machine.scenario, machine.composition.step, Schedule.of(machine.scenario)
    trainer = scenario.training
    assert isinstance(trainer, Trainer)
    needs_compiling, arrays_B, trace_B = machine.needs_compiling, _memory(machine), trace_size(machine, schedule)
    seen = forecast(machine, trace_B)
    bill = seen.bill
    placement, full = machine.placement, machine.placement.utilisation
    assert full is not None
    there = {name: sum(full.capacities.limits[name].tolist()) for name in ("neurons", "synapses")}
    return {
        "scenario": name,
        "chip": scenario.chip.name,
        "hypothetical": scenario.chip.hypothetical,
        "seed": scenario.seed,
        "network": _network(machine),
        "data": {
            "name": machine.data.name, "n_train": machine.data.n_train, "n_test": machine.data.n_test,
            "shape": list(machine.data.shape), "source": machine.data.source,
        },
        "placement": {
            "cores_used": placement.cores_used, "cores": full.capacities.cores, "tiles": len(placement.tiles),
            "neurons": machine.plan.neurons, "neurons_there": there["neurons"],
            "synapses": machine.plan.parameters, "synapses_there": there["synapses"],
        },
        "training": {
            "settings": trainer.model_dump(mode="json", exclude_none=True), "space": step.space,
            "mechanism": machine.mechanism, "difference": step.difference, "inferences_per_step": len(step.slots),
            "ticks_per_inference": machine.composition.window,
        },
        "schedule": {
            "steps": schedule.steps, "inferences": schedule.steps * len(step.slots), "record_every": schedule.record,
            "evaluate_every": schedule.evaluate, "weights_every": schedule.weights, "refresh_every": schedule.refresh,
        },
        "chip_time": {
            "step_s": bill.chip_time_s / seen.steps, "run_s": bill.chip_time_s, "run_low_s": bill.chip_time_low_s,
            "run_high_s": bill.chip_time_high_s,
            "bare_run_s": seen.steps * scenario.chip.timing.perturbation_period_s,
        },
        "energy": {
            "run_J": bill.energy_J, "run_low_J": bill.energy_low_J, "run_high_J": bill.energy_high_J,
            "by_action_J": bill.energy_by_action_J, "static_J": bill.static_energy_J,
        },
        "host": {
            "time_s": seen.host_time_s, "load_s": seen.load_s, "how": seen.how, "memory_B": seen.memory_B,
            "steps": seen.steps, "ended_by": seen.ended_by, "inferences": seen.inferences,
            "diverged_at": seen.diverged_at,
        },
        "memory_B": arrays_B,
        "trace_B": trace_B,
        "needs_compiling": needs_compiling,
    }  # fmt: skip


def _network(machine: Machine) -> dict[str, Any]:
    layers = [
        {
            "name": layer.name, "type": layer.type, "shape": list(layer.shape), "mapping": layer.mapping,
            "neuron": layer.neuron.model if layer.neuron else None, "parameters": layer.parameters,
        }
        for layer in machine.plan.layers
    ]  # fmt: skip
    return {
        "inputs": machine.plan.n_in, "layers": layers, "neurons": machine.plan.neurons,
        "parameters": machine.plan.parameters, "spiking": machine.plan.spiking,
        "dtype": machine.scenario.network.dtype,
    }  # fmt: skip


def _memory(machine: Machine) -> int:
    """Bytes of the machine's arrays, the data among them."""
    arenas = sum(arena.nbytes for arena in machine.arenas.values())
    return arenas + sum(machine.arrays[name].nbytes for name in link.DATA if name in machine.arrays)


class _Declared(NullSink):
    """Remembers the tables that a run declares."""

    def __init__(self) -> None:
        self.tables: list[Table] = []

    def declare(self, table: Table) -> None:
        """Keep the table's description."""
        self.tables.append(table)


def trace_size(machine: Machine, schedule: Schedule) -> int:
    """Bytes of the trace at the end of the run, about; spikes, which nobody can foretell, are left out."""
    sink = _Declared()
    agrees = machine.scenario.probes.gradient_agreement and isinstance(machine.trainer, DeltaMGD)
    tables.declare(machine, sink, agrees)
    # A complete run and one that is checkpointed hold both slots.
    total = FILE_OVERHEAD_B + 2 * sum(arena.nbytes for arena in machine.arenas.values())
    for declared in sink.tables:
        rows = _rows(declared.path, schedule)
        for column in declared.columns:
            row = np.dtype(column.dtype).itemsize * int(np.prod(column.shape, dtype=np.int64))
            chunk = layout.chunk_rows(declared.path, row)
            total += -(-rows // chunk) * chunk * row
    return total


def _rows(path: str, schedule: Schedule) -> int:
    """Rows that a table will have."""
    if path.startswith("/weights/"):
        return 2 + (schedule.steps // schedule.weights if schedule.weights else 0)
    if path in ("/training", "/ledger", "/timing"):
        return -(-schedule.steps // schedule.record)
    return 1 + -(-schedule.steps // schedule.evaluate)


def show(plan: dict[str, Any]) -> None:
    """The plan for people."""
    kind = " (HYPOTHETICAL)" if plan["hypothetical"] else ""
    network, time_, training, place = plan["network"], plan["chip_time"], plan["training"], plan["placement"]
    energy, host = plan["energy"], plan["host"]
    data, schedule, settings = plan["data"], plan["schedule"], plan["training"]["settings"]
    put(f"{plan['scenario']} on {plan['chip']}{kind}, seed {plan['seed']}: a dry run", "")
    put(table(
        ("layer", "type", "neurons", "shape", "neuron", "parameters"),
        [
            (layer["name"], _type(layer), count(np.prod(layer["shape"]).item()), _times(layer["shape"]),
             layer["neuron"] or "", count(layer["parameters"]) if layer["parameters"] else "")
            for layer in network["layers"]
        ],
        right=(2, 5),
    ), "")  # fmt: skip
    mechanism = f" by {training['mechanism']}" if training["mechanism"] else ""
    probe = "no perturbation" if training["space"] == "none" else f"probes in {training['space']} space{mechanism}"
    ticks = training["ticks_per_inference"]
    rows = [
        ("network", f"{count(network['inputs'])} inputs, {count(network['neurons'])} neurons, "
                    f"{count(network['parameters'])} parameters, {network['dtype']}"),
        ("data", f"{data['name']}: {count(data['n_train'])} training, {count(data['n_test'])} test samples of "
                 f"{_times(data['shape'])} ({data['source']})"),
        ("placement", f"{count(place['cores_used'])} of {count(place['cores'])} cores; "
                      f"{count(place['neurons'])} of {count(place['neurons_there'])} neurons, "
                      f"{count(place['synapses'])} of {count(place['synapses_there'])} synapses"),
        ("training", ", ".join(f"{key} {_value(value)}" for key, value in settings.items())),
        ("mechanism", f"{probe}, difference {training['difference']}"),
        ("a step", f"{training['inferences_per_step']} inferences of {ticks} tick{'s' if ticks > 1 else ''}, "
                   f"about {quantity(time_['step_s'], 's')}"),
        ("the run", f"{count(host['steps'])} steps{_ended(host)}, {count(host['inferences'])} inferences"),
        ("  chip time", f"about {quantity(time_['run_s'], 's')}{_span(time_['run_low_s'], time_['run_high_s'], 's')}"),
        ("  bare figure", f"{quantity(time_['bare_run_s'], 's')} (steps x perturbation period)"),
        ("  energy", f"about {quantity(energy['run_J'], 'J')}{_span(energy['run_low_J'], energy['run_high_J'], 'J')}"),
        ("  on this computer", f"about {quantity(host['time_s'], 's')}, {HOW[host['how']]}"),
        ("recorded", f"every {count(schedule['record_every'])} steps; accuracy every "
                     f"{count(schedule['evaluate_every'])} steps"),
        ("memory", f"about {size(host['memory_B'])} at the peak, {size(plan['memory_B'])} of it arrays"),
        ("trace", f"about {size(plan['trace_B'])}, spikes not counted"),
        ("kernel", "will be compiled first, about 20 s" if plan["needs_compiling"] else "compiled already"),
    ]  # fmt: skip
    if host["diverged_at"] is not None:
        rows.append(
            ("WARNING", f"the cost is not finite at step {count(host['diverged_at'])}: lower the learning rate")
        )
    put(table(("", ""), rows))


def _ended(host: dict[str, Any]) -> str:
    return "" if host["ended_by"] == "steps" else f" (stop.{host['ended_by']} ends it)"


def _span(low: float, high: float, unit: str) -> str:
    """An interval behind a value, where there is one."""
    ends = interval(low, high, unit)
    return f" ({ends})" if ends else ""


def _type(layer: dict[str, Any]) -> str:
    return f"{layer['type']} {layer['mapping']}" if layer["type"] == "conv2d" else str(layer["type"])


def _times(shape: Sequence[int]) -> str:
    return " x ".join(str(length) for length in shape)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        rest = {key: item for key, item in value.items() if key != "model"}
        return str(value.get("model", "")) + (f" {rest}" if rest else "")
    return f"{value:g}" if isinstance(value, float) else str(value)
