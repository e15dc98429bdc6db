"""The map of a chip that has run: from the built machine, or from a simulation driven by hand, to ``/chip``.

Apart from :mod:`neurosim.trace.chip_map`, because a machine needs the kernel compiler and a reader does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim.accounting import PriceTable
from neurosim.chip import faults
from neurosim.chip.faults import Strike
from neurosim.chip.mesh import Mesh
from neurosim.chip.utilisation import RESOURCES, Utilisation
from neurosim.engine.machine import Machine
from neurosim.trace.chip_map import ChipMap, CoreMap, Integers, LinkMap, MeshMap


def mesh_map(mesh: Mesh, struck: Iterable[Strike]) -> MeshMap:
    """Where the cores of a chip stand, and which of them are dead."""
    dead = sorted({core for strike in struck for core in strike.cores})
    return MeshMap(
        mesh.x, mesh.y, np.array([mesh.width, mesh.height]), np.array([mesh.chip_width, mesh.chip_height]),
        np.array(dead, np.int64),
    )  # fmt: skip


def link_map(mesh: Mesh, messages: Integers, dead_links: Iterable[str] = ()) -> LinkMap:
    """Messages by link number, for all links that lead somewhere."""
    whole = np.arange(4 * mesh.tiles)
    x, y, direction = whole // 4 % mesh.width, whole // 4 // mesh.width, whole % 4
    to_x, to_y = x + np.array([1, -1, 0, 0])[direction], y + np.array([0, 0, -1, 1])[direction]
    inside = (to_x >= 0) & (to_x < mesh.width) & (to_y >= 0) & (to_y < mesh.height)
    dead = np.zeros(whole.size, np.int64)
    for text in dead_links:
        ends = text.split("-")
        for link in (mesh.link(text), mesh.link("-".join(reversed(ends)))):
            dead[link] = 1
    keep = inside & (~mesh.closed | (dead > 0))
    return LinkMap(x[keep], y[keep], to_x[keep], to_y[keep], messages[keep], dead[keep])


def core_map(mesh: Mesh, held: Utilisation, cores: Integers, counts: npt.NDArray[Any], prices: PriceTable) -> CoreMap:
    """The cores in use, ``counts[core in use, action]``; E = sum of counts x prices, static energy is no core's own."""
    price = np.where(prices.priced, prices.energy_J, 0.0)
    shares = np.array([held.share(resource)[cores] for resource in RESOURCES])
    return CoreMap(
        cores, mesh.x[cores], mesh.y[cores], held.used["neurons"][cores], held.used["synapses"][cores],
        held.used["inputs"][cores], shares.max(axis=0), np.asarray(counts @ price, dtype=np.float64), counts,
    )  # fmt: skip


def map_of_machine(machine: Machine) -> ChipMap | None:
    """The map of a training run as it stands; counts of a layer are spread over its cores (``Meter.by_core``).

    None where a placement was made by hand and does not say what it uses.
    """
    chip, held = machine.scenario.chip, machine.placement.utilisation
    if held is None:
        return None
    mesh = faults.mesh(chip)
    cores, counts = machine.meter.by_core(machine.totals)
    return ChipMap(core_map(mesh, held, cores, counts, machine.meter.prices), mesh_map(mesh, machine.faults.struck))
