"""The mesh that carries messages: where every core stands, and which links a message crosses.

The meshes of all chips join into one. A router stands at every place of it, also where a chip has no tile left for it.
A message goes first along x, then along y, and y grows southwards. A link from one chip to the next counts as
``hop_chip`` in place of a hop of the mesh. Links number ``4 tile + direction``, ``tile = y width + x``, directions in
the order east, west, north, south.

Where links are dead, or a chip of the last row is missing, a message goes a shortest way around: in every tile on to
the first of east, west, north and south that lies closer to its end. On a whole mesh that is the way first along x.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from neurosim.chip.population import Integers
from neurosim.errors import InputError
from neurosim.kernels import detours
from neurosim.spec.geometry import Geometry

HOPS = ("hop_east", "hop_west", "hop_north", "hop_south", "hop_chip")
"""The order in which hops are counted."""

Place = tuple[int, int]

_STEPS = ((1, 0), (-1, 0), (0, -1), (0, 1))


@dataclass(frozen=True, eq=False)
class Mesh:
    """Tiles of all chips. Cores, tiles and links go by number, in arrays."""

    width: int
    """Tiles from west to east, all chips together."""
    height: int
    chip_width: int
    chip_height: int
    x: Integers
    """Of the tile of every core."""
    y: Integers
    closed: npt.NDArray[np.bool_]
    """For each link number, whether there is no such link: at the edge, dead, or of a chip that is not there."""
    broken: bool
    """Whether messages may have to leave the way first along x, then along y."""

    @classmethod
    def of(cls, geometry: Geometry, dead_links: Iterable[str] = ()) -> Mesh:
        """The mesh of ``geometry``, without ``dead_links`` such as ``"0,0-1,0"``; raises InputError for bad ones."""
        width, height = geometry.mesh_width * geometry.columns, geometry.height * -(-geometry.chips // geometry.columns)
        x, y = _places(geometry)
        closed = _edges(width, height)
        missing = _missing_tiles(geometry, width, height)
        mesh = cls(width, height, geometry.mesh_width, geometry.height, x, y, closed, False)
        problems, broken = [], bool(missing.size)
        for tile in missing:
            for direction in range(4):
                mesh._close(int(tile) * 4 + direction)
        for text in dead_links:
            try:
                mesh._close(mesh.link(text))
                broken = True
            except ValueError as error:
                problems.append(f"dead_links: {error}")
        if problems:
            raise InputError(problems)
        return cls(width, height, geometry.mesh_width, geometry.height, x, y, closed, broken)

    def _close(self, link: int) -> None:
        """Take a link out, in both directions."""
        if not self.closed[link]:
            self.closed[link] = self.closed[self._back(link)] = True

    def _back(self, link: int) -> int:
        _, there = self.ends(np.array([link]))
        return int(there[0]) * 4 + (link % 4 ^ 1)

    # numbers

    @cached_property
    def tile(self) -> Integers:
        """The tile of every core."""
        return self.y * self.width + self.x

    @property
    def tiles(self) -> int:
        """Places of the mesh."""
        return self.width * self.height

    def place(self, tile: int) -> Place:
        """(x, y) of a tile."""
        return tile % self.width, tile // self.width

    def ends(self, links: Integers) -> tuple[Integers, Integers]:
        """The tile that each link leaves, and the tile that it leads to."""
        here, direction = np.divmod(links, 4)
        return here, here + np.array([1, -1, -self.width, self.width])[direction]

    def kind(self, links: Integers) -> Integers:
        """Where each link is counted: an index into ``HOPS``."""
        here, direction = np.divmod(links, 4)
        x, y = here % self.width, here // self.width
        w, h = self.chip_width, self.chip_height
        crosses = np.choose(direction, (x % w == w - 1, x % w == 0, y % h == 0, y % h == h - 1))
        return np.where(crosses, 4, direction)

    def link(self, text: str) -> int:
        """The number of ``"x,y-x,y"``, from the first tile to the second; raises ValueError where it is no link."""
        try:
            ends = [tuple(int(number) for number in end.split(",")) for end in text.split("-")]
            (x0, y0), (x1, y1) = ends
        except ValueError:
            raise ValueError(f"{text!r}: write two tiles as x,y-x,y, for example 0,0-1,0") from None
        for x, y in ((x0, y0), (x1, y1)):
            if not (0 <= x < self.width and 0 <= y < self.height):
                raise ValueError(
                    f"{text!r}: there is no tile {x},{y}; x runs from 0 to {self.width - 1}, y from 0 to "
                    f"{self.height - 1}"
                )
        if (x1 - x0, y1 - y0) not in _STEPS:
            raise ValueError(f"{text!r}: tiles {x0},{y0} and {x1},{y1} are not neighbours, so no link joins them")
        return (y0 * self.width + x0) * 4 + _STEPS.index((x1 - x0, y1 - y0))

    # ways

    def hops(self, source_cores: Integers, destination_cores: Integers) -> Integers:
        """Links that a message crosses between two cores, ``[pair, 5]`` in the order of ``HOPS``.

        Raises InputError naming two tiles that cannot reach one another.
        """
        return self.tile_hops(self.tile[source_cores], self.tile[destination_cores])

    def paths(self, source_cores: Integers, destination_cores: Integers) -> tuple[Integers, Integers]:
        """(first, links): the links that a message crosses from core to core are ``links[first[k]:first[k + 1]]``.

        Raises InputError naming two tiles that cannot reach one another.
        """
        return self.tile_paths(self.tile[source_cores], self.tile[destination_cores])

    def tile_hops(self, source: Integers, destination: Integers) -> Integers:
        """As ``hops``, between tiles."""
        if self.broken:
            first, links = self.tile_paths(source, destination)
            pair = np.repeat(np.arange(source.size), np.diff(first))
            counted = np.bincount(pair * len(HOPS) + self.kind(links), minlength=source.size * len(HOPS))
            return counted.astype(np.int64).reshape(source.size, len(HOPS))
        hops = np.empty((source.size, len(HOPS)), np.int64)
        x0, y0, x1, y1 = source % self.width, source // self.width, destination % self.width, destination // self.width
        over_x = x1 // self.chip_width - x0 // self.chip_width
        over_y = y1 // self.chip_height - y0 // self.chip_height
        east, south = x1 - x0 - over_x, y1 - y0 - over_y
        for k, links in enumerate((east, -east, -south, south)):
            hops[:, k] = np.maximum(links, 0)
        hops[:, 4] = np.abs(over_x) + np.abs(over_y)
        return hops

    def tile_paths(self, source: Integers, destination: Integers) -> tuple[Integers, Integers]:
        """As ``paths``, between tiles; give every pair once, and memory stays small."""
        return self._around(source, destination) if self.broken else self._straight(source, destination)

    def reaches(self, source: Integers, destination: Integers) -> npt.NDArray[np.bool_]:
        """Which pairs of tiles are joined by a way."""
        if not self.broken:
            return np.ones(source.size, np.bool_)
        return self._lengths(source, destination)[1:] >= 0

    def distances(self, tiles: Integers) -> npt.NDArray[np.int32]:
        """Links between each two of ``tiles``; where no way leads, more than any way is long."""
        if not self.broken:
            x, y = (tiles % self.width).astype(np.int32), (tiles // self.width).astype(np.int32)
            apart: npt.NDArray[np.int32] = np.abs(x[:, None] - x) + np.abs(y[:, None] - y)
            return apart
        lengths = self._lengths(np.repeat(tiles, tiles.size), np.tile(tiles, tiles.size))[1:]
        return np.where(lengths < 0, self.tiles, lengths).reshape(tiles.size, tiles.size).astype(np.int32)

    def _straight(self, source: Integers, destination: Integers) -> tuple[Integers, Integers]:
        x0, y0 = source % self.width, source // self.width
        right, down = destination % self.width - x0, destination // self.width - y0
        across = np.abs(right)
        first = np.concatenate([[0], np.cumsum(across + np.abs(down))])
        pair = np.repeat(np.arange(source.size), np.diff(first))
        step = np.arange(first[-1]) - first[pair]
        x = x0[pair] + np.sign(right)[pair] * np.minimum(step, across[pair])
        y = y0[pair] + np.sign(down)[pair] * np.maximum(step - across[pair], 0)
        along_x, along_y = np.where(right > 0, 0, 1)[pair], np.where(down < 0, 2, 3)[pair]
        direction = np.where(step < across[pair], along_x, along_y)
        return first, (y * self.width + x) * 4 + direction

    def _lengths(self, source: Integers, destination: Integers) -> Integers:
        """A 0, then the links that each pair crosses; -1 where there is no way."""
        lengths = np.zeros(source.size + 1, np.int64)
        self._walk(source, destination, lengths, np.zeros(0, np.int64))
        return lengths

    def _around(self, source: Integers, destination: Integers) -> tuple[Integers, Integers]:
        lengths = self._lengths(source, destination)
        lost = np.flatnonzero(lengths < 0)
        if lost.size:
            raise InputError(self.no_way(int(source[lost[0] - 1]), int(destination[lost[0] - 1])))
        first = np.cumsum(lengths)
        links = np.zeros(first[-1], np.int64)
        if links.size:
            self._walk(source, destination, first, links)
        return first, links

    def _walk(self, source: Integers, destination: Integers, first: Integers, links: Integers) -> None:
        order = np.argsort(destination, kind="stable")
        source, destination = source.astype(np.int64), destination.astype(np.int64)
        detours.walk(source, destination, order, self.width, self.closed, *detours.room(self.tiles), first, links)

    def no_way(self, source: int, destination: int) -> str:
        """Says that two tiles cannot reach one another."""
        (x0, y0), (x1, y1) = self.place(source), self.place(destination)
        return f"tiles {x0},{y0} and {x1},{y1} cannot reach one another: the mesh is disconnected"


def _places(geometry: Geometry) -> tuple[Integers, Integers]:
    """x and y of the tile of every core, chip after chip."""
    chip, core = np.divmod(np.arange(geometry.all_cores, dtype=np.int64), geometry.cores)
    tile = core // geometry.cores_per_tile
    if geometry.tile_order == "rows":
        y, x = np.divmod(tile, geometry.mesh_width)
    else:
        x, y = np.divmod(tile, geometry.height)
    row, column = np.divmod(chip, geometry.columns)
    return x + column * geometry.mesh_width, y + row * geometry.height


def _edges(width: int, height: int) -> npt.NDArray[np.bool_]:
    """Links that would lead off the mesh."""
    closed = np.zeros((height, width, 4), np.bool_)
    closed[:, -1, 0] = closed[:, 0, 1] = closed[0, :, 2] = closed[-1, :, 3] = True
    return closed.reshape(-1)


def _missing_tiles(geometry: Geometry, width: int, height: int) -> Integers:
    """Places where a chip of the last row is missing."""
    absent = -geometry.chips % geometry.columns
    rows = np.arange(height - geometry.height, height, dtype=np.int64)
    columns = np.arange(width - absent * geometry.mesh_width, width, dtype=np.int64)
    return (rows[:, None] * width + columns).reshape(-1) if absent else np.zeros(0, np.int64)
