"""What every core can hold, and how full it is: the same rules for networks driven by hand and for trained ones.

A core holds neurons, inputs (rows of its array: distinct presynaptic neurons), synapses, axons out (pairs of one of
its neurons and a core that it sends to), and bytes of a memory that weights and states share. Dead cores hold nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from neurosim.chip import faults
from neurosim.chip.population import Floats, Integers
from neurosim.spec.chip import Chip
from neurosim.spec.geometry import Geometry

RESOURCES = {
    "neurons": "neurons",
    "inputs": "distinct presynaptic neurons",
    "synapses": "synapses",
    "axons_out": "axons out (pairs of a neuron and a core that it sends to)",
    "memory_B": "bytes of memory",
}
"""What a core has only so much of, and how messages call it."""

UNLIMITED = np.iinfo(np.int64).max
"""What stands for a limit that there is not."""

Amounts = dict[str, Integers]


@dataclass(frozen=True, eq=False)
class Capacities:
    """What each core holds at most: ``limits[resource][core]``, cores of all chips."""

    chip: str
    limits: Amounts
    synapse_B: float
    neuron_B: float
    dead: npt.NDArray[np.bool_]
    """Cores that were dead when the chip was made."""

    @classmethod
    def of(cls, chip: Chip) -> Capacities:
        """The capacities of all cores; those of ``chip.geometry.ranges`` have their own, dead ones none."""
        geometry = chip.geometry
        limits = {name: np.tile(limit, geometry.chips) for name, limit in _one_chip(geometry).items()}
        dead = faults.dead_cores(chip)
        for limit in limits.values():
            limit[dead] = 0
        return cls(chip.name, limits, geometry.synapse_B, geometry.neuron_B, dead)

    @property
    def cores(self) -> int:
        """Cores of all chips."""
        return self.dead.size

    def core(self, core: int) -> dict[str, int]:
        """The limits of one core."""
        return {name: int(limit[core]) for name, limit in self.limits.items()}

    @cached_property
    def typical(self) -> dict[str, int]:
        """The limits that most living cores have (of several the first): what larger parts are cut to."""
        table = np.stack([self.limits[name] for name in RESOURCES], axis=1)[~self.dead]
        if not table.size:
            return dict.fromkeys(RESOURCES, 0)
        kinds, first, number = np.unique(table, axis=0, return_index=True, return_counts=True)
        best = max(range(len(kinds)), key=lambda k: (number[k], -first[k]))
        return {name: int(limit) for name, limit in zip(RESOURCES, kinds[best], strict=True)}

    @cached_property
    def largest(self) -> dict[str, int]:
        """The most that any core holds, resource by resource."""
        return {name: int(limit.max()) for name, limit in self.limits.items()}

    def memory_B(self, neurons: Integers, synapses: Integers) -> Integers:
        """Bytes that neurons and synapses take, part bytes counted as whole ones."""
        return np.ceil(neurons * self.neuron_B + synapses * self.synapse_B).astype(np.int64)

    def overfull(self, used: Amounts) -> list[str]:
        """Each core that holds more than it can: of what, and by how much."""
        problems = []
        for name, what in RESOURCES.items():
            limit = self.limits[name]
            problems += [
                f"core {c} of chip {self.chip}: {used[name][c]} {what} for {limit[c]} "
                f"({used[name][c] - limit[c]} too many{', the core is dead' if self.dead[c] else ''})"
                for c in np.flatnonzero(used[name] > limit)
            ]
        return problems


def _one_chip(geometry: Geometry) -> Amounts:
    """Limits of the cores of one chip."""
    whole = np.ones(geometry.cores, np.int64)
    limits = {
        "neurons": whole * geometry.neurons_per_core,
        "inputs": whole * geometry.inputs_per_core,
        "synapses": whole * geometry.synapses,
        "axons_out": whole * (geometry.axons_out_per_core or UNLIMITED),
        "memory_B": whole * (geometry.memory_B_per_core or UNLIMITED),
    }
    for part in geometry.ranges:
        span = slice(part.span.start, part.span.stop)
        for name in ("neurons", "inputs"):
            own = getattr(part, name)
            if own is not None:
                limits[name][span] = own
        if part.synapses is not None:
            limits["synapses"][span] = part.synapses
        elif geometry.synapses_per_core is None:  # a crossbar of its own size
            limits["synapses"][span] = limits["inputs"][span] * limits["neurons"][span]
    return limits


@dataclass(frozen=True, eq=False)
class Utilisation:
    """What each core holds of what it can: ``used[resource][core]``, cores of all chips."""

    capacities: Capacities
    used: Amounts

    @property
    def cores_used(self) -> int:
        """Cores that hold neurons or synapses."""
        return int(np.count_nonzero(self.used["neurons"] + self.used["synapses"]))

    def share(self, resource: str) -> Floats:
        """Used part of a resource in each core; 0 where there is no limit, or nothing of it."""
        limit = self.capacities.limits[resource]
        limited = (limit > 0) & (limit < UNLIMITED)
        return np.where(limited, self.used[resource] / np.maximum(limit, 1), 0.0)

    def text(self) -> str:
        """A few lines: cores in use, and how full the fullest core is of each resource."""
        dead = int(self.capacities.dead.sum())
        lines = [
            f"{self.cores_used} of {self.capacities.cores} cores of {self.capacities.chip} in use"
            + (f", {dead} dead" if dead else "")
        ]
        for name, what in RESOURCES.items():
            used, limit = self.used[name], self.capacities.limits[name]
            if (limit[~self.capacities.dead] == UNLIMITED).all():
                continue
            share = self.share(name)
            core = int(share.argmax())
            lines.append(f"{what}: {used.sum()} in all; at most {used[core]} of {limit[core]} (core {core})")
        return "\n".join(lines)


@dataclass(frozen=True, eq=False)
class Mapping:
    """Where the neurons of a network stand, how full that makes the cores, and what one spike sends over the mesh."""

    strategy: str
    core: Integers
    """The core of every neuron."""
    utilisation: Utilisation
    messages: Integers
    """Messages that one spike of each neuron makes."""
    hops: Integers
    """``[neuron, 5]``: links that they cross, in the order of ``mesh.HOPS``."""

    @property
    def messages_per_spike(self) -> float:
        """Mean over the neurons."""
        return float(self.messages.mean())

    @property
    def hops_per_message(self) -> float:
        """Mean over all messages, if every neuron spikes as often."""
        return float(self.hops.sum() / max(1, int(self.messages.sum())))

    @property
    def traffic(self) -> int:
        """Messages x hops if every neuron spikes once: what ``traffic`` keeps low."""
        return int(self.hops.sum())

    def text(self) -> str:
        """The report in words."""
        return (
            f"{self.utilisation.text()}\n{self.messages_per_spike:.4g} messages a spike, {self.hops_per_message:.4g} "
            f"hops a message; {self.traffic} hops if every neuron spikes once (mapping {self.strategy})"
        )
