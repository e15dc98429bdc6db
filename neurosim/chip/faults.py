"""What is broken on a chip, and from when on: dead cores, dead links and dead synapses, checked against its geometry.

A fault with ``tick = 0`` was there when the chip was made: the mapper avoids its cores, messages go around its links.
One with a later tick strikes before that tick begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from neurosim.chip.mesh import Mesh
from neurosim.chip.population import Integers
from neurosim.errors import InputError
from neurosim.kernels import random
from neurosim.spec.chip import Chip
from neurosim.spec.geometry import Faults, Geometry, core_span


@dataclass(frozen=True)
class Strike:
    """One fault, read against the geometry of its chip."""

    number: int
    """Where it stands in ``chip.faults``; those struck by hand count on from there."""
    tick: int
    cores: tuple[int, ...]
    """Of all chips."""
    links: tuple[str, ...]
    dead_synapse_fraction: float

    def described(self) -> dict[str, object]:
        """As a summary shows it."""
        return {
            "number": self.number, "tick": self.tick, "dead_cores": list(self.cores), "dead_links": list(self.links),
            "dead_synapse_fraction": self.dead_synapse_fraction,
        }  # fmt: skip


def problems(chip: Chip, root: str = "chip.") -> list[str]:
    """Everything that is wrong with the faults of a chip, each with its key path."""
    found: list[str] = []
    geometry = chip.geometry
    for k, fault in enumerate(chip.faults):
        found += _core_problems(fault, geometry, f"{root}faults.{k}.dead_cores")
        found += _link_problems(fault, geometry, f"{root}faults.{k}.dead_links")
    if not found:
        found += _disconnected(chip, root)
    return found


def check(chip: Chip) -> None:
    """Raise InputError listing everything that is wrong with the faults of a chip."""
    found = problems(chip)
    if found:
        raise InputError(found, f"chip {chip.name}")


def strikes(chip: Chip) -> tuple[Strike, ...]:
    """All faults by tick, then by number."""
    read = [read_fault(fault, k, chip.geometry) for k, fault in enumerate(chip.faults)]
    return tuple(sorted(read, key=lambda strike: strike.tick))


def read_fault(fault: Faults, number: int, geometry: Geometry) -> Strike:
    """One fault as a strike; raises InputError for cores and links that the chip has not."""
    where = f"faults.{number}"
    found = _core_problems(fault, geometry, f"{where}.dead_cores")
    found += _link_problems(fault, geometry, f"{where}.dead_links")
    if found:
        raise InputError(found)
    cores = sorted({core for text in fault.dead_cores for core in core_span(text)})
    return Strike(number, fault.tick, tuple(cores), fault.dead_links, fault.dead_synapse_fraction)


def dead_cores(chip: Chip, tick: int = 0) -> npt.NDArray[np.bool_]:
    """Which cores, of all chips, are dead in ``tick``; of cores that the chip has not there is nothing to say."""
    dead = np.zeros(chip.geometry.all_cores, np.bool_)
    for fault in chip.faults:
        if fault.tick <= tick:
            for text in fault.dead_cores:
                span = core_span(text)
                dead[span.start : span.stop] = True
    return dead


def dead_links(chip: Chip, tick: int = 0) -> tuple[str, ...]:
    """The links that are dead in ``tick``."""
    return tuple(link for fault in chip.faults if fault.tick <= tick for link in fault.dead_links)


def mesh(chip: Chip, tick: int = 0) -> Mesh:
    """The mesh as it is in ``tick``."""
    return Mesh.of(chip.geometry, dead_links(chip, tick))


def dead_synapses(strike: Strike, synapses: int, fabrication_seed: int) -> npt.NDArray[np.bool_]:
    """Which synapses die: synapse k where ``u_k < dead_synapse_fraction``, u uniform, a pure function of seed, number
    of the fault and k."""
    if strike.dead_synapse_fraction == 0.0:
        return np.zeros(synapses, np.bool_)
    u = np.empty(synapses)
    random.uniforms(u, fabrication_seed, random.STREAM_FAULT, strike.number, 0, 0)
    return u < strike.dead_synapse_fraction


def kills_synapses(chip: Chip) -> bool:
    """Whether synapses are dead, or will be, that a network stands on."""
    struck = any(fault.dead_synapse_fraction > 0.0 or (fault.tick > 0 and fault.dead_cores) for fault in chip.faults)
    return struck or chip.array.dead_lines


def _core_problems(fault: Faults, geometry: Geometry, path: str) -> list[str]:
    found = []
    for k, text in enumerate(fault.dead_cores):
        try:
            span = core_span(text)
        except ValueError as error:
            found.append(f"{path}.{k} = {error}")
            continue
        if span.stop > geometry.all_cores:
            found.append(
                f"{path}.{k} = {text!r}: core {span.stop - 1} is out of range; there are cores 0 to "
                f"{geometry.all_cores - 1}"
            )
    return found


def _link_problems(fault: Faults, geometry: Geometry, path: str) -> list[str]:
    if not fault.dead_links:
        return []
    found, whole = [], Mesh.of(geometry)
    for k, text in enumerate(fault.dead_links):
        try:
            link = whole.link(text)
        except ValueError as error:
            found.append(f"{path}.{k} = {error}")
            continue
        if whole.closed[link]:
            found.append(f"{path}.{k} = {text!r}: no chip stands there, so there is no such link")
    return found


def _disconnected(chip: Chip, root: str) -> list[str]:
    """Living cores that cannot reach one another on the mesh as it was made."""
    alive = np.flatnonzero(~dead_cores(chip))
    links: list[str] = []
    for k, fault in enumerate(chip.faults):
        if fault.tick > 0 or not fault.dead_links:
            continue
        links += fault.dead_links
        apart = _apart(Mesh.of(chip.geometry, links), alive)
        if apart is not None:
            return [f"{root}faults.{k}.dead_links: {apart}"]
    return []


def _apart(of: Mesh, cores: Integers | Sequence[int]) -> str | None:
    """Two tiles with ``cores`` that cannot reach one another, in words."""
    tiles = np.unique(of.tile[cores])
    if not tiles.size:
        return None
    first = np.full_like(tiles, tiles[0])
    lost = np.flatnonzero(~of.reaches(tiles, first))
    return of.no_way(int(tiles[0]), int(tiles[lost[0]])) if lost.size else None
