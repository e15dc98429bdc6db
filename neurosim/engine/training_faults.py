"""Faults of a training machine: dead synapses and dead cores, from fabrication on or from a tick on.

A dead synapse holds 0 for good: no perturbation reaches it and no write changes it. When a core dies, so do the
synapses of all tiles on it, and its neurons: their output is 0. A fault strikes between two steps, before the first
step that begins at its tick or later. Until then the machine computes with the kernel of a machine without faults, so
that every bit before the strike is the same; afterwards with one that heeds dead cells and neurons.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from neurosim.chip import arrays as chip_arrays
from neurosim.chip import faults
from neurosim.chip.faults import Strike
from neurosim.engine import cells
from neurosim.spec.chip import Chip

if TYPE_CHECKING:
    from neurosim.engine.machine import Machine

Mask = npt.NDArray[np.bool_]
_Choice = Callable[[Strike], bool]

NEVER = 1 << 62
SILENT = 1e30
"""Threshold of a dead neuron, which nothing reaches."""


class TrainingFaults:
    """The faults of one machine: those to come, and those that have struck."""

    def __init__(self, chip: Chip) -> None:
        self._coming = list(faults.strikes(chip))
        self.struck: list[Strike] = []

    def fabricate(self, machine: Machine) -> None:
        """Kill the devices that stand on dead lines of their arrays; they were never alive."""
        chip = machine.scenario.chip
        if chip.array.dead_lines:
            places = chip_arrays.places(machine.plan, machine.placement)
            _kill_synapses(machine, chip_arrays.dead(chip, places, machine.plan.parameters))
            self._recompose(machine)

    def until(self, tick: int) -> int:
        """Ticks from ``tick`` on before the next fault strikes."""
        return max(0, self._coming[0].tick - tick) if self._coming else NEVER

    def strike(self, machine: Machine, tick: int) -> None:
        """Let every fault strike that is due at ``tick``."""
        if self.until(tick) > 0:
            return
        due = self._take(lambda strike: strike.tick <= tick)
        for strike in due:
            if strike.dead_synapse_fraction > 0.0:
                seed = machine.scenario.chip.fabrication_seed
                _kill_synapses(machine, faults.dead_synapses(strike, machine.plan.parameters, seed))
            if strike.cores and strike.tick > 0:  # the mapper went around those of fabrication
                cores = set(strike.cores)
                _kill_synapses(machine, machine.placement.parameters_on(machine.plan, cores))
                _kill_neurons(machine, machine.placement.neurons_on(machine.plan, cores))
        self._recompose(machine)

    def restore(self, machine: Machine, numbers: list[int]) -> None:
        """Go back to a checkpoint at which these faults had struck; what they did is in its arrays."""
        self._coming = sorted([*self._coming, *self.struck], key=lambda each: (each.tick, each.number))
        self.struck = []
        self._take(lambda strike: strike.number in numbers)
        self._recompose(machine)

    def _take(self, due: _Choice) -> list[Strike]:
        taken = [strike for strike in self._coming if due(strike)]
        self._coming = [strike for strike in self._coming if not due(strike)]
        self.struck += taken
        return taken

    def _recompose(self, machine: Machine) -> None:
        """The kernel that heeds what is dead by now."""
        cores = any(strike.cores and strike.tick > 0 for strike in self.struck)
        lines = machine.scenario.chip.array.dead_lines
        machine.recompose(
            dead_synapses=cores or lines or any(strike.dead_synapse_fraction > 0.0 for strike in self.struck),
            dead_neurons=cores,
        )


def _kill_synapses(machine: Machine, dead: Mask) -> None:
    arrays = machine.arrays
    arrays["theta"][dead] = 0.0
    for name, value in (("free", 0), ("scale_up", 0.0), ("scale_down", 0.0), ("mismatch", -1.0)):
        if arrays[name].size == dead.size:
            arrays[name][dead] = value
        elif arrays[name].size == 2 * dead.size:  # both cells of one-sided pairs
            arrays[name][np.tile(dead, 2)] = value
    if arrays.get("array_dead", dead[:1]).size == dead.size:
        arrays["array_dead"][dead] = 1
    cells.kill(machine.scenario.chip.synapse, machine.plan, arrays, dead)
    machine.forget()


def _kill_neurons(machine: Machine, dead: Mask) -> None:
    """Analog neurons give 0; spiking ones take no current, keep their membrane and never fire."""
    for name, value in (
        ("node_scale", 0.0), ("node_y_offset", 0.0), ("node_threshold", SILENT), ("node_gain", 0.0), ("node_leak", 1.0),
        ("v", 0.0), ("v_start", 0.0), ("refractory", 0),
    ):  # fmt: skip
        machine.arrays[name][dead] = value
