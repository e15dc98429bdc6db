"""Faults of a machine driven by hand: what a strike does to its memory, its wiring and its routes.

A fault strikes between two ticks. On a dead core neurons neither advance nor fire, and nothing reaches its synapses;
around a dead link messages take another way, or are lost where there is none; a dead synapse holds 0 for good. Up to
the strike nothing differs from the machine without the fault: every bit is the same.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from neurosim.chip import cores, faults
from neurosim.chip.cores import Wiring
from neurosim.chip.faults import Strike
from neurosim.chip.mesh import Mesh
from neurosim.engine import network_kernel as layout
from neurosim.engine.network_meter import Learning, NetworkMeter
from neurosim.engine.network_state import Devices, Memory
from neurosim.spec.chip import Chip

NEVER = 1 << 62


@dataclass(frozen=True, eq=False)
class Parts:
    """What of a machine a strike replaces; memory and devices it changes in place."""

    mesh: Mesh
    wiring: Wiring
    meter: NetworkMeter


class NetworkFaults:
    """The faults of one machine: those to come, and those that have struck."""

    def __init__(self, chip: Chip, wiring: Wiring) -> None:
        self.chip = chip
        self._whole = wiring
        self._coming = list(faults.strikes(chip))
        self._by_hand = len(chip.faults)
        self.struck: list[Strike] = []

    def until(self, tick: int) -> int:
        """Ticks from ``tick`` on before the next fault strikes."""
        return max(0, self._coming[0].tick - tick) if self._coming else NEVER

    def next_number(self) -> int:
        """The number of a fault that is struck by hand."""
        return self._by_hand + sum(strike.number >= self._by_hand for strike in (*self.struck, *self._coming))

    def add(self, strike: Strike) -> None:
        """One more fault to come."""
        self._coming = sorted([*self._coming, strike], key=lambda each: each.tick)

    def strike(self, tick: int, parts: Parts, memory: Memory, devices: Devices) -> Parts:
        """Let every fault strike that is due at ``tick``."""
        due = [strike for strike in self._coming if strike.tick <= tick]
        self._coming = self._coming[len(due) :]
        self.struck += due
        for strike in due:
            self._kill_synapses(strike, parts.wiring, memory, devices)
        # what was broken from fabrication on, the machine was built around
        new = [strike for strike in due if strike.tick > 0 or strike.number >= self._by_hand]
        return self._cut(parts, memory) if any(strike.cores or strike.links for strike in new) else parts

    def _kill_synapses(self, strike: Strike, wiring: Wiring, memory: Memory, devices: Devices) -> None:
        """Dead synapses hold 0, and count as stuck from now on. Synapses are numbered as they were connected."""
        dead = faults.dead_synapses(strike, wiring.synapses, self.chip.fabrication_seed)
        if dead.any():
            memory.weight[memory.position[dead]] = 0.0
            devices.stuck = dead if devices.stuck is None else devices.stuck | dead

    def _cut(self, parts: Parts, memory: Memory) -> Parts:
        """Dead cores and links so far: new routes, and synapses that nothing reaches are set aside."""
        dead = np.zeros(self.chip.geometry.all_cores, np.bool_)
        dead[[core for strike in self.struck for core in strike.cores]] = True
        mesh = Mesh.of(self.chip.geometry, [link for strike in self.struck for link in strike.links])
        core, whole = parts.meter.core, self._whole
        axons, arrives = cores.route_around(core, whole, mesh, dead)
        alive = ~dead[core]
        meter = replace(parts.meter, axons=axons, mesh=mesh, alive=alive, has_inputs=parts.meter.has_inputs & alive)
        wiring = self._set_aside(arrives, memory)
        meter = replace(meter, learning=Learning.of(wiring, core))
        there = meter.cores[memory.segments[:, layout.SEGMENT.index("CORE")]]
        memory.segments = memory.segments[~dead[there]]
        return Parts(mesh, wiring, meter)

    def _set_aside(self, arrives: npt.NDArray[np.bool_], memory: Memory) -> Wiring:
        """Synapses that spikes still reach come first in the memory, by source and target; the others stand behind."""
        whole = self._whole
        live, lost = np.flatnonzero(arrives), np.flatnonzero(~arrives)
        order = np.concatenate([live, lost])
        place = np.empty(order.size, np.int64)
        place[order] = np.arange(order.size)
        position = place[whole.position]
        weight = np.empty_like(memory.weight)
        weight[position] = memory.weight[memory.position]
        first = np.zeros(whole.neurons + 1, np.uint64)
        first[1:] = np.cumsum(np.bincount(whole.source[live], minlength=whole.neurons))
        cut = replace(
            whole, first=first, source=whole.source[order], target=whole.target[order], position=position,
            receptor=None if whole.receptor is None else whole.receptor[order],
            group=None if whole.group is None else whole.group[order],
        )  # fmt: skip
        memory.wire(cut, weight)
        return cut
