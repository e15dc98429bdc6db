"""Placing a network on a chip's cores, in order, with capacity checks.

A layer's weight array ``(rows + bias row) x columns`` is cut into tiles that fit one core's synapse array; a core may
hold tiles of several layers while its rows, neurons and synapses last. A replicated convolution places one array per
position.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from neurosim.chip.layers import LayerPlan, NetworkPlan
from neurosim.errors import CapacityError
from neurosim.spec.chip import Geometry


@dataclass(frozen=True)
class Tile:
    """A part of one layer's weight array on one core."""

    layer: int
    core: int
    rows: int
    columns: int


@dataclass(frozen=True)
class Placement:
    """Which core holds what."""

    tiles: tuple[Tile, ...]
    cores_used: int
    row_cuts: dict[int, int]
    """Per layer: parts that its inputs are cut into; each neuron's sum is put together from that many cores."""
    hops: tuple[tuple[int, int], ...]
    """Per layer boundary: hops along x and along y from the first core of one layer to that of the next."""

    def destinations(self, layer: int) -> int:
        """Cores that hold a part of ``layer``: a neuron before it sends one message to each."""
        return len({tile.core for tile in self.tiles if tile.layer == layer and tile.rows > 0})


@dataclass
class _Room:
    rows: int
    neurons: int
    synapses: int


def place(plan: NetworkPlan, geometry: Geometry, chip: str) -> Placement:
    """Fill the cores in order; raises CapacityError saying what is missing."""
    rooms: list[_Room] = []
    tiles: list[Tile] = []
    for layer in plan.trainable:
        for rows, columns, neurons in _cut(layer, geometry):
            core = next((k for k, room in enumerate(rooms) if _fits(room, rows, columns, neurons)), None)
            if core is None:
                rooms.append(_Room(geometry.inputs_per_core, geometry.neurons_per_core, geometry.synapses))
                core = len(rooms) - 1
            room = rooms[core]
            room.rows -= rows
            room.neurons -= neurons
            room.synapses -= rows * columns
            tiles.append(Tile(layer.index, core, rows, columns))
    if len(rooms) > geometry.cores:
        raise CapacityError(_missing(plan, geometry, len(rooms), chip))
    cuts = {layer.index: -(-(layer.rows + 1) // geometry.inputs_per_core) for layer in plan.trainable}
    return Placement(tuple(tiles), len(rooms), cuts, _hops(tiles, plan, geometry))


def _fits(room: _Room, rows: int, columns: int, neurons: int) -> bool:
    return rows <= room.rows and neurons <= room.neurons and rows * columns <= room.synapses


def _cut(layer: LayerPlan, geometry: Geometry) -> list[tuple[int, int, int]]:
    """(rows, columns, neurons) of each tile of a layer's array."""
    total_rows = layer.rows + 1
    widest = min(geometry.neurons_per_core, max(1, geometry.synapses // min(total_rows, geometry.inputs_per_core)))
    pieces: list[tuple[int, int, int]] = []
    positions = 1 if layer.mapping == "replicated" else layer.positions
    for _ in range(layer.copies):
        for row in range(0, total_rows, geometry.inputs_per_core):
            rows = min(geometry.inputs_per_core, total_rows - row)
            for column in range(0, layer.columns, widest):
                columns = min(widest, layer.columns - column)
                neurons = columns * positions if row == 0 else 0
                pieces.append((rows, columns, min(neurons, geometry.neurons_per_core)))
                neurons -= geometry.neurons_per_core
                while neurons > 0:  # a serial convolution's maps spread over further cores
                    pieces.append((0, 0, min(neurons, geometry.neurons_per_core)))
                    neurons -= geometry.neurons_per_core
    return pieces


def _missing(plan: NetworkPlan, geometry: Geometry, needed: int, chip: str) -> list[str]:
    synapses = sum(layer.parameters * layer.copies for layer in plan.trainable)
    return [
        f"chip {chip} is too small for the network: {needed} cores are needed, it has {geometry.cores} "
        f"({needed - geometry.cores} missing)",
        f"neurons: {plan.neurons} needed, {geometry.cores * geometry.neurons_per_core} there; "
        f"synapses: {synapses} needed, {geometry.cores * geometry.synapses} there",
        "way out: a smaller network, another chip, or --set chip.geometry.cores=N",
    ]


def _hops(tiles: list[Tile], plan: NetworkPlan, geometry: Geometry) -> tuple[tuple[int, int], ...]:
    first = {layer.index: next(tile.core for tile in tiles if tile.layer == layer.index) for layer in plan.trainable}
    cores = [first[layer.index] for layer in plan.trainable]
    width = geometry.mesh_width
    return tuple((b % width - a % width, b // width - a // width) for a, b in pairwise(cores))
