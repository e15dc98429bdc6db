"""Where things happened on the chip: what each core holds and spent, and how many messages each link carried.

Whole datasets below ``/chip``, written once at the end of a run (docs/trace.md has the layout). Rows run over the cores
in use in ``/chip/core``, over all cores in ``/chip/mesh``, over the links of the joined mesh in ``/chip/link``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim.engine.sink import Sink
from neurosim.errors import TraceError
from neurosim.trace.reader import Trace

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_CORE = {
    "core": ("1", "number of a core in use"),
    "tile_x": ("1", "its tile, counted from the west of the joined mesh"),
    "tile_y": ("1", "its tile, counted from the north of the joined mesh"),
    "neurons": ("1", "neurons that it holds"),
    "synapses": ("1", "synapses that it holds"),
    "inputs": ("1", "inputs (axons in) that it holds"),
    "utilisation": ("1", "how full it is, by what it is fullest of"),
    "energy_J": ("J", "energy of everything counted in it, static energy left out"),
    "counts": ("1", "countables in it; columns named by /ledger/action"),
}
_MESH = {
    "tile_x": ("1", "tile of every core of all chips, from the west"),
    "tile_y": ("1", "tile of every core of all chips, from the north"),
    "size": ("1", "tiles of the joined mesh: width, height"),
    "chip_size": ("1", "tiles of one chip: width, height"),
    "dead": ("1", "numbers of the dead cores"),
}
_LINK = {
    "x": ("1", "tile that the link leaves, from the west"),
    "y": ("1", "tile that the link leaves, from the north"),
    "to_x": ("1", "tile that the link leads to, from the west"),
    "to_y": ("1", "tile that the link leads to, from the north"),
    "messages": ("1", "messages that crossed it"),
    "dead": ("1", "1 where the link is dead"),
}


@dataclass(frozen=True, eq=False)
class CoreMap:
    """One entry per core in use; energies in J."""

    core: Integers
    tile_x: Integers
    tile_y: Integers
    neurons: Integers
    synapses: Integers
    inputs: Integers
    utilisation: Floats
    """How full each core is: the largest of its shares of what it has only so much of."""
    energy_J: Floats
    counts: npt.NDArray[Any]
    """``[core, action]`` in the order of ACTIONS; whole numbers where the machine counts core by core."""


@dataclass(frozen=True, eq=False)
class MeshMap:
    """Where every core of all chips stands."""

    tile_x: Integers
    tile_y: Integers
    size: Integers
    chip_size: Integers
    dead: Integers


@dataclass(frozen=True, eq=False)
class LinkMap:
    """One entry per directed link."""

    x: Integers
    y: Integers
    to_x: Integers
    to_y: Integers
    messages: Integers
    dead: Integers


@dataclass(frozen=True, eq=False)
class ChipMap:
    """All that there is to draw a chip."""

    cores: CoreMap
    mesh: MeshMap
    links: LinkMap | None = None


def write_chip_map(sink: Sink, chip_map: ChipMap | None) -> None:
    """Put a chip's map below ``/chip``, in place of an older one; without a map, nothing."""
    if chip_map is None:
        return
    parts: list[tuple[str, Any, dict[str, tuple[str, str]]]] = [
        ("core", chip_map.cores, _CORE), ("mesh", chip_map.mesh, _MESH),
    ]  # fmt: skip
    if chip_map.links is not None:
        parts.append(("link", chip_map.links, _LINK))
    for name, part, columns in parts:
        for column, (unit, long_name) in columns.items():
            sink.write(f"/chip/{name}/{column}", getattr(part, column), unit, long_name)


def read_chip_map(trace: Trace) -> ChipMap | None:
    """The map that a trace holds; None where it holds none. Raises TraceError where its parts do not fit together."""
    if not _has(trace, "/chip/core/core") or not _has(trace, "/chip/mesh/size"):
        return None
    cores = CoreMap(**{name: trace.array(f"/chip/core/{name}") for name in _CORE})
    mesh = MeshMap(**{name: trace.array(f"/chip/mesh/{name}") for name in _MESH})
    links = None
    if _has(trace, "/chip/link/messages"):
        links = LinkMap(**{name: trace.array(f"/chip/link/{name}") for name in _LINK})
    found = ChipMap(cores, mesh, links)
    _check(trace, found)
    return found


@dataclass(frozen=True, eq=False)
class TickTimeline:
    """Who was busy when within one tick; times in s from its beginning."""

    tick: int
    core: Integers
    """-1 for the chip as a whole."""
    what: tuple[str, ...]
    start_s: Floats
    end_s: Floats


def read_timeline(trace: Trace) -> TickTimeline | None:
    """The tick whose timeline a trace holds, the longest of its run; None where it holds none."""
    if not _has(trace, "/timeline/core"):
        return None
    core, start, end = (trace.array(f"/timeline/{name}") for name in ("core", "start_s", "end_s"))
    what = tuple(trace.texts("/timeline/what"))
    if len({core.shape, start.shape, end.shape, (len(what),)}) != 1:
        raise TraceError(f"{trace.path}: the datasets of /timeline differ in length")
    if not (np.isfinite(start).all() and np.isfinite(end).all() and (start <= end).all() and (start >= 0.0).all()):
        raise TraceError(f"{trace.path}: /timeline has intervals that end before they begin")
    return TickTimeline(int(trace.array("/timeline/tick")), core.astype(np.int64), what, start, end)


def _has(trace: Trace, name: str) -> bool:
    try:
        trace.array(name)
    except TraceError:
        return False
    return True


def _check(trace: Trace, found: ChipMap) -> None:
    """Lengths and places that a damaged or made-up file might have wrong."""
    mesh = found.mesh
    parts = [(found.cores, [name for name in _CORE if name != "counts"]), (mesh, ["tile_x", "tile_y"])]
    if found.links is not None:
        parts.append((found.links, [*_LINK]))
    for part, names in parts:
        if len({getattr(part, name).shape for name in names}) != 1 or getattr(part, names[0]).ndim != 1:
            raise TraceError(f"{trace.path}: the datasets of /chip differ in length")
    if mesh.size.shape != (2,) or mesh.chip_size.shape != (2,) or min(*mesh.size, *mesh.chip_size) < 1:
        raise TraceError(f"{trace.path}: /chip/mesh has no size")
    width, height = int(mesh.size[0]), int(mesh.size[1])
    if width * height > _MOST_TILES or mesh.tile_x.size > _MOST_TILES:
        raise TraceError(f"{trace.path}: /chip/mesh is larger than any chip: {width} x {height} tiles")
    places = [(found.cores.tile_x, found.cores.tile_y), (mesh.tile_x, mesh.tile_y)]
    if found.links is not None:
        places += [(found.links.x, found.links.y), (found.links.to_x, found.links.to_y)]
    for x, y in places:
        if x.size and (min(x.min(), y.min()) < 0 or x.max() >= width or y.max() >= height):
            raise TraceError(f"{trace.path}: /chip has tiles outside its mesh of {width} x {height}")
    for numbers in (found.cores.core, mesh.dead):
        if numbers.size and (numbers.min() < 0 or numbers.max() >= mesh.tile_x.size):
            raise TraceError(f"{trace.path}: /chip has cores that its mesh has not")


_MOST_TILES = 1 << 22
