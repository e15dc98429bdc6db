"""The weight cells of a run: how many stand for a weight, what is kept of each, and what cannot be programmed.

A *cell* is one device. A weight has one (a balanced pair moves as one device does) or, with ``pair = "one-sided"``,
two: cell e grows weight e, cell P + e shrinks it, and ``theta`` holds the difference of what the two store.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurosim import registry
from neurosim.chip.layers import NetworkPlan
from neurosim.engine import emit_devices
from neurosim.kernels import devices as loops
from neurosim.models.devices import base
from neurosim.models.devices.base import DeviceParameters
from neurosim.spec.hardware import Synapse
from neurosim.spec.scenario import Scenario
from neurosim.training.backprop import Backprop
from neurosim.training.base import Trainer
from neurosim.training.erbp import EventDrivenRandomBackprop


@dataclass(frozen=True)
class Programming:
    """What programming a run's devices has to do beyond steps."""

    counts: bool
    """Pulses of each cell are counted."""
    wears: bool
    """Cells have lifetimes."""
    verifies: bool
    paired: bool

    @classmethod
    def of(cls, scenario: Scenario) -> Programming:
        """What a scenario asks for."""
        synapse = scenario.chip.synapse
        wears = synapse.endurance is not None
        return cls(
            counts=wears or scenario.probes.count_pulses,
            wears=wears,
            verifies=synapse.writing == "program-verify",
            paired=synapse.pair == "one-sided",
        )

    @property
    def any(self) -> bool:
        """Whether there is any of it."""
        return self.counts or self.verifies or self.paired

    @property
    def cells(self) -> int:
        """Cells of one weight."""
        return 2 if self.paired else 1


def grain(synapse: Synapse) -> float:
    """What a wanted change is divided by: a nominal step, or where a verified write is coarser, the width it leaves."""
    parameters = synapse.device
    assert isinstance(parameters, DeviceParameters)
    return max(parameters.step_size, 2.0 * tolerance(synapse))


def tolerance(synapse: Synapse) -> float:
    """The error that a verified write leaves; 0 where nothing is verified."""
    if synapse.writing == "open-loop":
        return 0.0
    if synapse.verify_tolerance is not None:
        return synapse.verify_tolerance
    parameters = synapse.device
    assert isinstance(parameters, DeviceParameters)
    return 0.5 * parameters.step_size


def weight_range(synapse: Synapse) -> tuple[float, float]:
    """Nominal bounds of a weight."""
    parameters = synapse.device
    assert isinstance(parameters, DeviceParameters)
    if synapse.pair == "one-sided":
        span = parameters.w_max - parameters.w_min
        return -span, span
    return parameters.w_min, parameters.w_max


def asked(synapse: Synapse) -> list[str]:
    """The keys of a weight cell that ask for more than pulses sent unseen to devices that last."""
    keys = {
        "chip.synapse.endurance": synapse.endurance is not None,
        'chip.synapse.writing = "program-verify"': synapse.writing == "program-verify",
        'chip.synapse.pair = "one-sided"': synapse.pair == "one-sided",
    }
    return [key for key, there in keys.items() if there]


def problems(scenario: Scenario, plan: NetworkPlan, mechanism: str | None) -> list[str]:
    """What cannot be programmed that way."""
    does, trainer, synapse = Programming.of(scenario), scenario.training, scenario.chip.synapse
    assert isinstance(trainer, Trainer)
    if not does.any:
        return []
    names = asked(synapse)
    if scenario.probes.count_pulses:
        names.append("probes.count_pulses")
    out = []
    if getattr(registry.find("device", synapse.device.model).module, "EXACT", False):
        out += [f'{name}: device "{synapse.device.model}" is written exactly, without pulses; choose another '
                "chip.synapse.device, such as soft-bounds" for name in names]  # fmt: skip
    if synapse.technology == "digital" and scenario.probes.count_pulses:
        out.append("probes.count_pulses: words of a digital memory take no programming pulses")
    if isinstance(trainer, EventDrivenRandomBackprop):
        out += [f"{name}: trainer erbp writes weights as their spikes arrive, and not by pulses of a device; use "
                "another trainer" for name in names]  # fmt: skip
    for name in (name for name in names if "=" in name):
        if mechanism == "write":
            out.append(f"{name}: a perturbation that is written is a pulse there and one back; use another "
                       "training.mechanism")  # fmt: skip
        if trainer.host_loop or mechanism == "host":
            out.append(f"{name}: weights that come through the host link are set, not pulsed; leave host_loop out")
    if does.paired:
        out += [f'network.layers.{layer.name}.mapping = "replicated": its copies cannot be one-sided pairs; use serial'
                for layer in plan.trainable if layer.copies > 1]  # fmt: skip
        if isinstance(trainer, Backprop) and trainer.on_chip:
            out.append('training.on_chip: what a transposed read of one-sided pairs costs is not known; use pair = '
                       '"balanced"')  # fmt: skip
    return out


# --- settings and memory ----------------------------------------------------------------------------------------------


def settings(synapse: Synapse) -> dict[str, float]:
    """Run-time numbers of programming, by their names in ``registers``."""
    parameters = synapse.device
    assert isinstance(parameters, DeviceParameters)
    low, high = weight_range(synapse)
    conducts = synapse.pair == "one-sided" and synapse.g_max_S > 0.0
    return {
        "VERIFY_TOLERANCE": tolerance(synapse),
        "VERIFY_GRAIN": grain(synapse),
        "W_LOW": low,
        "W_HIGH": high,
        "CELL_LOW": parameters.w_min,
        "CELL_PER_RANGE": 1.0 / (parameters.w_max - parameters.w_min),
        "CELL_FLOOR": synapse.g_min_S / synapse.g_max_S if conducts else 0.0,
    }


def split(parameters: DeviceParameters, weights: np.ndarray) -> np.ndarray:
    """What the cells of one-sided pairs hold for these weights: the plus cells, then the minus cells."""
    return parameters.w_min + np.concatenate([np.maximum(weights, 0.0), np.maximum(-weights, 0.0)])


def arrays(scenario: Scenario, plan: NetworkPlan, held: np.ndarray, dtype: np.dtype) -> dict[str, np.ndarray]:
    """What a run's memory holds for programming beyond the weights and the common frozen values of its cells.

    ``held``: what the cells store at first.
    """
    chip = scenario.chip
    synapse, does = chip.synapse, Programming.of(scenario)
    parameters = synapse.device
    assert isinstance(parameters, DeviceParameters)
    out: dict[str, np.ndarray] = {}
    if not emit_devices.is_plain(parameters) or does.any:
        made = base.fabricate(parameters, held.size, chip.fabrication_seed)
        named = emit_devices.equations(parameters, made.names).numbers
        hidden = emit_devices.write_noise(parameters) == 2
        out |= {
            "device_own": made.own.reshape(-1) if made.own.size else np.zeros(1, np.float32),
            "device_numbers": np.array(emit_devices.numbers(parameters, named)),
            "device_table": parameters.table(),
            "device_hidden": held.copy() if hidden else np.zeros(1, np.float32),
        }
    if does.counts:
        out["pulses_each"] = np.zeros(held.size, np.uint32)
    if synapse.endurance is not None:
        lives = synapse.endurance
        out["lifetime"] = base.lifetimes(lives.median_pulses, lives.log_std, held.size, chip.fabrication_seed)
    if does.verifies:
        widest = max(layer.columns for layer in plan.trainable)
        out |= {"verify_target": np.zeros(widest), "verify_seen": np.zeros(widest)}
        out["verify_sent"] = np.zeros(widest, np.int64)
    if does.paired:
        out |= {"cells": held.astype(dtype), "row_conductance": np.zeros(_rows(plan), np.int64)}
        out["row_conductance"][:] = row_conductances(synapse, plan, out["cells"])
    return out


def _rows(plan: NetworkPlan) -> int:
    return sum(layer.copies * (layer.rows + 1) for layer in plan.trainable)


def row_conductances(synapse: Synapse, plan: NetworkPlan, cells: np.ndarray) -> np.ndarray:
    """Conductance of all cells of each row, bias rows included, in units of g_max / 2^16; zeros where none is known."""
    if synapse.g_max_S == 0.0:
        return np.zeros(_rows(plan), np.int64)
    parameters = synapse.device
    assert isinstance(parameters, DeviceParameters)
    floor = synapse.g_min_S / synapse.g_max_S
    low, high = np.float64(parameters.w_min), np.float64(parameters.w_max)
    place = np.clip((cells.astype(np.float64) - low) * (1.0 / (high - low)), 0.0, 1.0)
    each = np.floor((floor + (1.0 - floor) * place) * loops.UNIT + 0.5).astype(np.int64)
    both = each[: each.size // 2] + each[each.size // 2 :]
    rows = [both[layer.theta : layer.theta + layer.parameters].reshape(-1, layer.columns).sum(axis=1)
            for layer in plan.trainable]  # fmt: skip
    return np.concatenate(rows)


def first_row(plan: NetworkPlan, index: int) -> int:
    """Where a layer's rows begin among ``row_conductance``."""
    return sum(layer.copies * (layer.rows + 1) for layer in plan.trainable if layer.index < index)


def kill(synapse: Synapse, plan: NetworkPlan, arrays: dict[str, np.ndarray], dead: np.ndarray) -> None:
    """Both cells of dead weights are empty from now on."""
    if "cells" not in arrays:
        return
    parameters = synapse.device
    assert isinstance(parameters, DeviceParameters)
    arrays["cells"][np.tile(dead, 2)] = parameters.w_min
    arrays["row_conductance"][:] = row_conductances(synapse, plan, arrays["cells"])
