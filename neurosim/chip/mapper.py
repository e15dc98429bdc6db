"""Placing a trained network on a chip's cores, in order, with capacity checks.

A layer's weight array ``(rows + bias row) x columns`` is cut into tiles that fit one core's synapse array; a core may
hold tiles of several layers while its rows, neurons, synapses and memory last. A replicated convolution places one
array per position. Cores that were dead when the chip was made are passed over. Where cores differ, arrays are cut to
what most of them hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from neurosim.chip import faults
from neurosim.chip.layers import LayerPlan, NetworkPlan
from neurosim.chip.mesh import Mesh
from neurosim.chip.population import Integers
from neurosim.chip.utilisation import RESOURCES, UNLIMITED, Capacities, Utilisation
from neurosim.errors import CapacityError
from neurosim.spec.chip import Chip


@dataclass(frozen=True)
class Tile:
    """A part of one layer's weight array on one core, and the neurons that stand with it."""

    layer: int
    core: int
    rows: int
    """The bias row counts as one, after the others; 0: neurons only."""
    columns: int
    copy: int = 0
    """Which of a layer's arrays."""
    first_row: int = 0
    first_column: int = 0
    first_neuron: int = 0
    """Of the neurons that belong to these columns, position after position."""
    neurons: int = 0


@dataclass(frozen=True)
class Placement:
    """Which core holds what."""

    tiles: tuple[Tile, ...]
    cores_used: int
    row_cuts: dict[int, int]
    """Per layer: parts that its inputs are cut into; each neuron's sum is put together from that many cores."""
    hops: tuple[tuple[int, int], ...]
    """Per layer boundary: tiles along x and along y from the first core of one layer to that of the next."""
    links: tuple[tuple[int, ...], ...] = ()
    """Per layer boundary: links that a message crosses there, in the order of ``mesh.HOPS``."""
    utilisation: Utilisation | None = field(default=None, compare=False)
    """How full every core of the chip is."""

    def arrays(self, layer: int) -> list[Tile]:
        """The parts of a layer's weight array; tiles that hold neurons only are left out."""
        return [tile for tile in self.tiles if tile.layer == layer and tile.rows > 0]

    def column_cuts(self, layer: int) -> int:
        """Parts that the columns of ``layer`` are cut into: arrays in which each of its rows stands."""
        return len({tile.first_column for tile in self.arrays(layer)})

    def destinations(self, layer: int) -> int:
        """Cores in which a row of ``layer`` stands (the most of any): a neuron before it sends one message to each."""
        arrays = self.arrays(layer)
        rows = {tile.first_row for tile in arrays}
        return max(len({tile.core for tile in arrays if tile.first_row == row}) for row in rows)

    def parameters_on(self, plan: NetworkPlan, cores: set[int]) -> npt.NDArray[np.bool_]:
        """Which entries of ``theta`` stand on one of ``cores``."""
        there = np.zeros(plan.parameters, np.bool_)
        for tile in self.tiles:
            if tile.core in cores and tile.rows > 0:
                layer = plan.layers[tile.layer]
                start = layer.theta + tile.copy * layer.shared
                array = there[start : start + layer.shared].reshape(layer.rows + 1, layer.columns)
                array[tile.first_row : tile.first_row + tile.rows, _columns(tile)] = True
        return there

    def neurons_on(self, plan: NetworkPlan, cores: set[int]) -> npt.NDArray[np.bool_]:
        """Which entries of the activation vector are neurons that stand on one of ``cores``."""
        there = np.zeros(plan.activations, np.bool_)
        for tile in self.tiles:
            if tile.core in cores and tile.neurons > 0:
                layer = plan.layers[tile.layer]
                maps = there[layer.act : layer.act + layer.n].reshape(-1, layer.columns)  # [position, column]
                if layer.mapping == "replicated":
                    maps = maps[tile.copy : tile.copy + 1]
                number = np.arange(tile.first_neuron, tile.first_neuron + tile.neurons)
                position, column = np.divmod(number, tile.columns)
                maps[position, tile.first_column + column] = True
        return there


def _columns(tile: Tile) -> slice:
    return slice(tile.first_column, tile.first_column + tile.columns)


@dataclass
class _Core:
    number: int
    used: dict[str, int] = field(default_factory=lambda: dict.fromkeys(RESOURCES, 0))


def place(plan: NetworkPlan, chip: Chip) -> Placement:
    """Fill the cores in order.

    Raises CapacityError saying what is missing, and by how much; InputError for faults that the chip cannot have.
    """
    faults.check(chip)
    capacities = Capacities.of(chip)
    problems = [problem for layer in plan.trainable for problem in _impossible(layer, capacities)]
    if problems:
        raise CapacityError(problems)
    opened: list[_Core] = []
    coming = _cores(capacities)
    tiles: list[Tile] = []
    for layer in plan.trainable:
        for piece in _cut(layer, capacities):
            core = next((core for core in opened if _fits(core, piece, capacities)), None)
            while core is None:
                opened.append(_Core(next(coming)))
                core = opened[-1] if _fits(opened[-1], piece, capacities) else None
            tiles.append(_put(piece, core, capacities))
    used = sorted({tile.core for tile in tiles})
    if used[-1] >= capacities.cores:
        raise CapacityError(_missing(plan, capacities, used))
    utilisation = _utilisation(plan, tiles, capacities)
    overfull = capacities.overfull(utilisation.used)
    if overfull:
        raise CapacityError([*overfull, "way out: a smaller network, or another chip"])
    cuts = {layer.index: -(-(layer.rows + 1) // _height(layer, capacities)) for layer in plan.trainable}
    mesh = faults.mesh(chip)
    return Placement(tuple(tiles), len(used), cuts, *_ways(tiles, plan, mesh), utilisation)


def _cores(capacities: Capacities) -> Iterator[int]:
    """Living cores in order, then numbers of cores that the chip has not."""
    yield from np.flatnonzero(capacities.limits["neurons"] + capacities.limits["synapses"] > 0).tolist()
    number = capacities.cores
    while True:
        yield number
        number += 1


def _limits(core: int, capacities: Capacities) -> dict[str, int]:
    """What a core holds; one that the chip has not holds what most do."""
    return capacities.core(core) if core < capacities.cores else capacities.typical


def _needs(tile: Tile) -> dict[str, int]:
    return {"neurons": tile.neurons, "inputs": tile.rows, "synapses": tile.rows * tile.columns if tile.rows else 0}


def _fits(core: _Core, tile: Tile, capacities: Capacities) -> bool:
    limits = _limits(core.number, capacities)
    total = {name: core.used[name] + need for name, need in _needs(tile).items()}
    total["memory_B"] = _memory_B(total["neurons"], total["synapses"], capacities)
    return all(amount <= limits[name] for name, amount in total.items())


def _memory_B(neurons: int, synapses: int, capacities: Capacities) -> int:
    return int(np.ceil(neurons * capacities.neuron_B + synapses * capacities.synapse_B))


def _put(piece: Tile, core: _Core, capacities: Capacities) -> Tile:
    for name, need in _needs(piece).items():
        core.used[name] += need
    return Tile(
        piece.layer, core.number, piece.rows, piece.columns, piece.copy, piece.first_row, piece.first_column,
        piece.first_neuron, piece.neurons,
    )  # fmt: skip


def _height(layer: LayerPlan, capacities: Capacities) -> int:
    """Rows of one tile: what a core takes, if need be so few that one column with its neuron fits its memory."""
    rows = min(layer.rows + 1, capacities.typical["inputs"], capacities.typical["synapses"])
    if capacities.synapse_B > 0.0:
        rows = min(rows, int((capacities.typical["memory_B"] - capacities.neuron_B) // capacities.synapse_B))
    return rows


def _neurons(capacities: Capacities) -> int:
    """Neurons of one tile."""
    neurons = capacities.typical["neurons"]
    if capacities.neuron_B > 0.0:
        neurons = min(neurons, int(capacities.typical["memory_B"] // capacities.neuron_B))
    return neurons


def _impossible(layer: LayerPlan, capacities: Capacities) -> list[str]:
    """Why not even one column of a layer fits a core."""
    if _neurons(capacities) < 1 or _height(layer, capacities) < 1:
        return [
            f"network.layers.{layer.name}: a core of chip {capacities.chip} cannot hold one neuron with one synapse "
            f"({', '.join(f'{name} {limit}' for name, limit in capacities.typical.items() if limit < UNLIMITED)})"
        ]
    return []


def _cut(layer: LayerPlan, capacities: Capacities) -> list[Tile]:
    """The tiles of a layer, without their cores."""
    height, most = _height(layer, capacities), _neurons(capacities)
    total_rows = layer.rows + 1
    positions = 1 if layer.mapping == "replicated" else layer.positions
    widest = _width(height, capacities)
    pieces: list[Tile] = []
    for copy in range(layer.copies):
        for row in range(0, total_rows, height):
            rows = min(height, total_rows - row)
            for column in range(0, layer.columns, widest):
                columns = min(widest, layer.columns - column)
                neurons = columns * positions if row == 0 else 0
                here = min(neurons, _beside(rows, columns, capacities))
                pieces.append(Tile(layer.index, -1, rows, columns, copy, row, column, 0, here))
                while here < neurons:  # a serial convolution's maps spread over further cores
                    more = min(neurons - here, most)
                    pieces.append(Tile(layer.index, -1, 0, columns, copy, 0, column, here, more))
                    here += more
    return pieces


def _beside(rows: int, columns: int, capacities: Capacities) -> int:
    """Neurons that fit beside an array of that size."""
    most = capacities.typical["neurons"]
    if capacities.neuron_B > 0.0:
        left = capacities.typical["memory_B"] - rows * columns * capacities.synapse_B
        most = min(most, int(left // capacities.neuron_B))
    return most


def _width(rows: int, capacities: Capacities) -> int:
    """Columns of one tile, each with a neuron."""
    limits = capacities.typical
    widest = min(limits["neurons"], max(1, limits["synapses"] // rows))
    column_B = rows * capacities.synapse_B + capacities.neuron_B
    if column_B > 0.0:
        widest = min(widest, int(limits["memory_B"] // column_B))
    return max(1, widest)


def _missing(plan: NetworkPlan, capacities: Capacities, used: list[int]) -> list[str]:
    living = int((capacities.limits["neurons"] + capacities.limits["synapses"] > 0).sum())
    missing = sum(core >= capacities.cores for core in used)
    synapses = sum(layer.parameters for layer in plan.trainable)
    sums = {name: sum(capacities.limits[name].tolist()) for name in ("neurons", "synapses")}
    dead = int(capacities.dead.sum())
    return [
        f"chip {capacities.chip} is too small for the network: {living + missing} cores are needed, it has {living}"
        f"{f' that are not dead ({dead} are)' if dead else ''} ({missing} missing)",
        f"neurons: {plan.neurons} needed, {sums['neurons']} there; synapses: {synapses} needed, {sums['synapses']} "
        "there" + _memory_text(plan.neurons, synapses, capacities),
        "way out: a smaller network, another chip, or --set chip.geometry.cores=N",
    ]


def _memory_text(neurons: int, synapses: int, capacities: Capacities) -> str:
    limit = capacities.limits["memory_B"]
    if (limit == UNLIMITED).any():
        return ""
    return f"; bytes of memory: {_memory_B(neurons, synapses, capacities)} needed, {sum(limit.tolist())} there"


def _utilisation(plan: NetworkPlan, tiles: list[Tile], capacities: Capacities) -> Utilisation:
    """What each core holds."""
    used = {name: np.zeros(capacities.cores, np.int64) for name in RESOURCES}
    layers = [layer.index for layer in plan.trainable]
    after = dict(pairwise(layers))
    holders: dict[int, set[int]] = {
        index: {tile.core for tile in tiles if tile.layer == index and tile.rows > 0} for index in layers
    }
    for tile in tiles:
        for name, need in _needs(tile).items():
            used[name][tile.core] += need
        if tile.layer in after:
            used["axons_out"][tile.core] += tile.neurons * len(holders[after[tile.layer]])
    used["memory_B"] = capacities.memory_B(used["neurons"], used["synapses"])
    return Utilisation(capacities, used)


def _ways(
    tiles: list[Tile], plan: NetworkPlan, mesh: Mesh
) -> tuple[tuple[tuple[int, int], ...], tuple[tuple[int, ...], ...]]:
    """(tiles along x and y, links of each kind) from the first core of every layer to that of the next."""
    first = {layer.index: next(tile.core for tile in tiles if tile.layer == layer.index) for layer in plan.trainable}
    cores = [first[layer.index] for layer in plan.trainable]
    pairs = list(pairwise(cores))
    straight = tuple((int(mesh.x[b] - mesh.x[a]), int(mesh.y[b] - mesh.y[a])) for a, b in pairs)
    ends: Integers = np.array(pairs, np.int64).reshape(-1, 2)
    return straight, tuple(tuple(row) for row in mesh.hops(ends[:, 0], ends[:, 1]).tolist())
