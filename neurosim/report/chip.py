"""Figures of the chip itself: floor plans with one value per core, and how many messages each link carried."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.ticker import EngFormatter, FixedLocator, FuncFormatter, PercentFormatter

from neurosim.report import style
from neurosim.trace.chip_map import ChipMap, Floats, LinkMap, MeshMap

_MOST_NUMBERS = 11
"""Cores on a row of the drawing up to which their numbers can be read."""
_MOST_BORDERS = 32
"""Tiles on a side up to which the borders between them are drawn."""
_MOST_BOXES = 24
"""Tiles on a side up to which tiles and the heads of arrows are drawn between links."""
_WIDE_RANGE = 300.0
"""A largest value this many times the median is shown on a logarithmic scale."""
_EMPTY, _ABSENT = "#e9e9e9", "#ffffff"


@dataclass(frozen=True)
class Grid:
    """The raster of a floor plan: a tile is ``across`` x ``down`` cells, one for each of its cores."""

    width: int
    height: int
    across: int
    down: int
    row: np.ndarray
    column: np.ndarray
    """The cell of every core of all chips."""

    @property
    def shape(self) -> tuple[int, int]:
        """Cells from north to south and from west to east."""
        return self.height * self.down, self.width * self.across

    def image(self, cores: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Values in their cells, NaN elsewhere."""
        out = np.full(self.shape, np.nan)
        out[self.row[cores], self.column[cores]] = values
        return out

    def box(self, core: int) -> tuple[float, float, float, float]:
        """x, y, width and height of a core's cell, in tiles."""
        return (
            float(self.column[core]) / self.across - 0.5, float(self.row[core]) / self.down - 0.5, 1.0 / self.across,
            1.0 / self.down,
        )  # fmt: skip


def grid_of(mesh: MeshMap) -> Grid:
    """Where every core is drawn: cores of one tile side by side, in as square a block as they fit."""
    width, height = int(mesh.size[0]), int(mesh.size[1])
    tile = mesh.tile_y * width + mesh.tile_x
    order = np.argsort(tile, kind="stable")
    starts = np.searchsorted(tile[order], tile[order], side="left")
    place = np.empty(tile.size, np.int64)
    place[order] = np.arange(tile.size) - starts  # the how-manieth core of its tile
    most = int(place.max(initial=0)) + 1
    across = math.ceil(math.sqrt(most))
    down = -(-most // across)
    return Grid(
        width, height, across, down, mesh.tile_y * down + place // across, mesh.tile_x * across + place % across
    )


def plot_floor_plan(chip_map: ChipMap, axes: Axes, values: Floats, title: str, *, log: bool = False) -> AxesImage:
    """One value per core in use as a heat map on the joined mesh; idle cores are grey, dead ones hatched."""
    mesh, grid = chip_map.mesh, grid_of(chip_map.mesh)
    there = np.zeros(grid.shape)
    there[grid.row, grid.column] = 1.0
    extent = (-0.5, grid.width - 0.5, grid.height - 0.5, -0.5)
    background = np.where(there[..., None] > 0, _rgb(_EMPTY), _rgb(_ABSENT))
    axes.imshow(background, extent=extent, interpolation="nearest", aspect="equal")
    image = np.ma.masked_invalid(grid.image(chip_map.cores.core, values))
    norm = LogNorm(*_positive(values)) if log else Normalize(0.0, float(values.max(initial=0.0)) or 1.0)
    drawn = axes.imshow(image, extent=extent, interpolation="nearest", aspect="equal", cmap=style.SEQUENTIAL, norm=norm)
    _borders(axes, mesh, grid)
    _dead_cores(axes, mesh, grid)
    _numbers(axes, chip_map, grid, values, norm)
    _places(axes, mesh, title)
    return drawn


def plot_energy_by_core(chip_map: ChipMap, axes: Axes) -> None:
    """Energy of each core, static energy left out."""
    values = chip_map.cores.energy_J
    log = _is_wide(values)
    drawn = plot_floor_plan(chip_map, axes, values, "Energy by core", log=log)
    largest = float(values.max(initial=0.0))
    factor, unit = style.scale(largest, "J") if largest > 0.0 else (1.0, "J")
    bar = _bar(axes, drawn, f"energy of a core ({'logarithmic' if log else unit})")
    bar.set_major_formatter(EngFormatter("J") if log else FuncFormatter(lambda value, _: f"{value / factor:.3g}"))


def plot_utilisation(chip_map: ChipMap, axes: Axes) -> None:
    """How full each core is, by what it is fullest of: neurons, synapses or inputs."""
    drawn = plot_floor_plan(chip_map, axes, chip_map.cores.utilisation, "Utilisation by core")
    drawn.set_norm(Normalize(0.0, max(1.0, float(chip_map.cores.utilisation.max(initial=0.0)))))
    bar = _bar(axes, drawn, "used of a core (%)")
    bar.set_major_formatter(PercentFormatter(1.0, symbol=None))


def _bar(axes: Axes, drawn: ScalarMappable, label: str) -> Axis:
    """A colour bar as high as the plan; returns its axis."""
    figure = axes.get_figure()
    assert figure is not None
    bar = figure.colorbar(drawn, ax=axes, label=label, fraction=0.05, pad=0.02, aspect=24, panchor=False)
    return bar.ax.yaxis


def _rgb(colour: str) -> list[float]:
    return [int(colour[k : k + 2], 16) / 255.0 for k in (1, 3, 5)]


def _is_wide(values: np.ndarray) -> bool:
    """Whether a few values would leave the others all of one colour."""
    positive = values[values > 0.0]
    return positive.size > 2 and float(positive.max() / np.median(positive)) > _WIDE_RANGE


def _positive(values: np.ndarray) -> tuple[float, float]:
    positive = values[values > 0.0]
    low, high = (float(positive.min()), float(positive.max())) if positive.size else (0.1, 1.0)
    return low, high if high > low else 10.0 * low


def _borders(axes: Axes, mesh: MeshMap, grid: Grid) -> None:
    """Thin lines between cores and tiles where there is room for them, thick ones between chips."""
    width, height = grid.width, grid.height
    if max(width, height) <= _MOST_BORDERS:
        if grid.across * grid.down > 1 and max(grid.shape) <= 2 * _MOST_BORDERS:
            _rules(axes, grid, 1.0 / grid.across, 1.0 / grid.down, color="white", linewidth=0.5)
        _rules(axes, grid, 1.0, 1.0, color="white", linewidth=1.8)
    if width > mesh.chip_size[0] or height > mesh.chip_size[1]:
        _rules(axes, grid, float(mesh.chip_size[0]), float(mesh.chip_size[1]), color=style.BLACK, linewidth=1.6)


def _rules(axes: Axes, grid: Grid, dx: float, dy: float, *, color: str, linewidth: float) -> None:
    columns = np.arange(0.0, grid.width + dx / 2, dx) - 0.5
    rows = np.arange(0.0, grid.height + dy / 2, dy) - 0.5
    left, right, top, bottom = -0.5, grid.width - 0.5, -0.5, grid.height - 0.5
    lines = [[(x, top), (x, bottom)] for x in columns] + [[(left, y), (right, y)] for y in rows]
    axes.add_collection(LineCollection(lines, colors=color, linewidths=linewidth))


def _dead_cores(axes: Axes, mesh: MeshMap, grid: Grid) -> None:
    """A cross through each dead core."""
    if mesh.dead.size == 0:
        return
    boxes = [grid.box(int(core)) for core in mesh.dead]
    white = [Rectangle((x, y), width, height) for x, y, width, height in boxes]
    axes.add_collection(PatchCollection(white, facecolor="white", edgecolor=style.VERMILION, linewidth=0.8))
    crosses = [line for x, y, width, height in boxes
               for line in ([(x, y), (x + width, y + height)], [(x, y + height), (x + width, y)])]  # fmt: skip
    axes.add_collection(
        LineCollection(crosses, colors=style.VERMILION, linewidths=1.0 if max(grid.shape) < 40 else 0.6)
    )
    key = Line2D([], [], linestyle="none", marker="x", color=style.VERMILION, label="dead core")
    axes.legend(handles=[key], loc="lower right", bbox_to_anchor=(1.0, 1.0), borderpad=0.0, handletextpad=0.2)


def _numbers(axes: Axes, chip_map: ChipMap, grid: Grid, values: Floats, norm: Normalize) -> None:
    """The number of each core in use, where few enough to read."""
    cells = max(grid.shape)
    if cells > _MOST_NUMBERS:
        return
    size = 10.5
    for core, value in zip(chip_map.cores.core.tolist(), values.tolist(), strict=True):
        x, y, width, height = grid.box(core)
        dark = float(np.ma.filled(norm(value), 0.0)) < 0.55
        axes.text(x + width / 2, y + height / 2, str(core), ha="center", va="center", fontsize=size,
                  color="white" if dark else style.BLACK)  # fmt: skip


def _places(axes: Axes, mesh: MeshMap, title: str) -> None:
    axes.grid(visible=False)
    axes.set_title(title)
    axes.set_xlabel("tile x")
    axes.set_ylabel("tile y")
    axes.set_xlim(-0.5, float(mesh.size[0]) - 0.5)
    axes.set_ylim(float(mesh.size[1]) - 0.5, -0.5)
    for axis, tiles in zip((axes.xaxis, axes.yaxis), mesh.size.tolist(), strict=True):
        axis.set_major_locator(FixedLocator(range(0, tiles, _tick_step(tiles))))
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def _tick_step(tiles: int) -> int:
    """A power of two that leaves at most eight labels or so."""
    return 1 << max(0, (tiles - 1) // 8).bit_length()


def plot_link_load(chip_map: ChipMap, axes: Axes) -> None:
    """Messages that crossed each link; the two directions of a link lie side by side, traffic keeps to the right."""
    links, mesh = chip_map.links, chip_map.mesh
    assert links is not None
    shape = (int(mesh.size[1]), int(mesh.size[0]))
    tiles = np.zeros(shape)
    tiles[mesh.tile_y, mesh.tile_x] = 1.0
    crowded = max(shape) > _MOST_BOXES
    side = 0.0 if crowded else 0.52
    boxes = [Rectangle((x - side / 2, y - side / 2), side, side) for y, x in np.argwhere(tiles > 0).tolist()]
    axes.add_collection(PatchCollection(boxes, facecolor=_EMPTY, edgecolor="none"))
    busy = links.messages > 0
    largest = int(links.messages.max(initial=0))
    log = _is_wide(links.messages.astype(float))
    norm = LogNorm(1, max(2, largest)) if log else Normalize(0.0, largest or 1.0)
    _lines(axes, links, ~busy & (links.dead == 0), side, lambda _: 0.5, colors="#c9c9c9")
    room = min(7.0, 150.0 / max(shape))
    load = np.asarray(norm(links.messages.astype(float)).filled(0.0) if log else links.messages / (largest or 1.0))
    thin = room if crowded else 0.6
    drawn = _lines(axes, links, busy, side, lambda chosen: np.maximum(thin, room * load[chosen]), cmap=style.TRAFFIC,
                   norm=norm)  # fmt: skip
    drawn.set_array(links.messages[busy])
    _arrows(axes, links, busy, side, max(shape))
    _dead_links(axes, links)
    if mesh.size[0] > mesh.chip_size[0] or mesh.size[1] > mesh.chip_size[1]:
        grid = grid_of(mesh)
        _rules(axes, grid, float(mesh.chip_size[0]), float(mesh.chip_size[1]), color=style.GREY, linewidth=1.0)
    _places(axes, mesh, "Messages by link")
    axes.set_aspect("equal")
    bar = _bar(axes, drawn, f"messages (count{', logarithmic' if log else ''})")
    bar.set_major_formatter(EngFormatter(sep=""))


def _ends(links: LinkMap, chosen: np.ndarray, side: float) -> np.ndarray:
    """``[link, end, (x, y)]``: lines between the boxes of two tiles, a little to the right of the way they lead."""
    start = np.stack([links.x[chosen], links.y[chosen]], axis=1).astype(float)
    way = np.stack([links.to_x[chosen], links.to_y[chosen]], axis=1) - start
    right = np.stack([-way[:, 1], way[:, 0]], axis=1) * (0.14 if side else 0.2)  # y grows downwards
    return np.stack([start + way * side / 2 + right, start + way * (1.0 - side / 2) + right], axis=1)


def _lines(axes: Axes, links: LinkMap, chosen: np.ndarray, side: float,
           width: Callable[[np.ndarray], np.ndarray | float], **look: object) -> LineCollection:  # fmt: skip
    lines = LineCollection(list(_ends(links, chosen, side)), linewidths=width(chosen), capstyle="butt", **look)  # type: ignore[arg-type]
    axes.add_collection(lines)
    return lines


def _arrows(axes: Axes, links: LinkMap, chosen: np.ndarray, side: float, cells: int) -> None:
    """Heads that say which way, where there is room for them."""
    if cells > _MOST_BOXES:
        return
    ends = _ends(links, chosen, side)
    way = ends[:, 1] - ends[:, 0]
    markers = np.select([way[:, 0] > 0.01, way[:, 0] < -0.01, way[:, 1] < 0], [">", "<", "^"], "v")
    for sign in np.unique(markers):
        here = ends[markers == sign, 1]
        axes.plot(here[:, 0], here[:, 1], linestyle="none", marker=str(sign), markersize=min(6.0, 60.0 / cells),
                  color=style.BLACK, zorder=3)  # fmt: skip


def _dead_links(axes: Axes, links: LinkMap) -> None:
    dead = links.dead > 0
    if not dead.any():
        return
    x, y = (links.x[dead] + links.to_x[dead]) / 2, (links.y[dead] + links.to_y[dead]) / 2
    axes.plot(x, y, linestyle="none", marker="x", markersize=9, markeredgewidth=2.2, color=style.VERMILION, zorder=4,
              label="dead link")  # fmt: skip
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), borderpad=0.0, handletextpad=0.2)
