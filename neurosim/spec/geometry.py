"""Where things are on a chip, and what of them is broken: cores, tiles, mesh, several chips; faults."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from neurosim.registry import Parameters


class CoreRange(Parameters):
    """Cores that differ from the rest: ``cores = "0..15"`` with capacities of their own."""

    cores: str = Field(description="a core or a range of cores of one chip, both ends included: 7, or 0..15")
    neurons: int | None = Field(default=None, ge=0, description="in place of neurons_per_core")
    inputs: int | None = Field(default=None, ge=0, description="in place of inputs_per_core")
    synapses: int | None = Field(default=None, ge=0, description="in place of synapses_per_core")

    @field_validator("cores", mode="before")
    @classmethod
    def _text(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @property
    def span(self) -> range:
        """The cores; raises ValueError where ``cores`` is not a range."""
        return core_span(self.cores)


def core_span(text: str) -> range:
    """``"7"`` or ``"0..15"`` (both ends included) as a range; raises ValueError."""
    low, dots, high = text.partition("..")
    if not low.strip().isdigit() or (dots and not high.strip().isdigit()):
        raise ValueError(f"{text!r}: write a core such as 7, or a range such as 0..15")
    first, last = int(low), int(high) if dots else int(low)
    if last < first:
        raise ValueError(f"{text!r}: the range ends before it begins")
    return range(first, last + 1)


def link_ends(text: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """``"0,0-1,0"`` as the (x, y) of its two tiles; raises ValueError where they are not neighbours."""
    numbers = re.fullmatch(r"\s*(\d+)\s*,\s*(\d+)\s*-\s*(\d+)\s*,\s*(\d+)\s*", text)
    if numbers is None:
        raise ValueError(f"{text!r}: write the x,y of two neighbouring tiles, such as 0,0-1,0")
    x, y, to_x, to_y = (int(number) for number in numbers.groups())
    if abs(to_x - x) + abs(to_y - y) != 1:
        raise ValueError(f"{text!r}: the two tiles are no neighbours, so no link joins them")
    return (x, y), (to_x, to_y)


class Geometry(Parameters):
    """Tiles of cores on a mesh, what one core holds, and how many chips stand side by side.

    Core k of a chip lies on tile k div ``cores_per_tile``; tiles are numbered row by row or column by column. Chips
    stand in rows of ``chip_columns``, so that their meshes join into one; core numbers run through chip after chip.
    """

    cores: int = Field(ge=1, description="cores of one chip")
    neurons_per_core: int = Field(ge=1, description="neurons that one core holds")
    inputs_per_core: int = Field(ge=1, description="rows of the synapse array, the bias row included (axons in)")
    synapses_per_core: int | None = Field(default=None, ge=1, description="default: inputs x neurons (a crossbar)")
    axons_out_per_core: int | None = Field(
        default=None, ge=1, description="pairs of a neuron and a core that it sends to"
    )
    memory_B_per_core: int | None = Field(default=None, ge=1, description="memory that weights and states share")
    synapse_B: float = Field(default=0.0, ge=0.0, description="bytes of memory that one synapse takes")
    neuron_B: float = Field(default=0.0, ge=0.0, description="bytes of memory that one neuron takes")
    cores_per_tile: int = Field(default=1, ge=1, description="cores behind one router of the mesh")
    mesh_width: int = Field(default=1, ge=1, description="tiles of one chip from west to east")
    mesh_height: int | None = Field(default=None, ge=1, description="tiles from north to south; default: as needed")
    tile_order: Literal["rows", "columns"] = Field(
        default="rows", description="tile = y x mesh_width + x (rows), or x x mesh_height + y (columns)"
    )
    link_buffer: int = Field(default=16, ge=1, description="messages that one link holds")
    chips: int = Field(default=1, ge=1, le=65536, description="chips of this kind, side by side")
    chip_columns: int | None = Field(default=None, ge=1, description="chips from west to east; default: all in a row")
    ranges: tuple[CoreRange, ...] = Field(default=(), description="cores with capacities of their own")

    @model_validator(mode="after")
    def _consistent(self) -> Geometry:
        problems = []
        if self.tiles > self.mesh_width * self.height:
            problems.append(
                f"{self.cores} cores, {self.cores_per_tile} on a tile, are {self.tiles} tiles; the mesh has "
                f"{self.mesh_width} x {self.height} = {self.mesh_width * self.height}"
            )
        owner: dict[int, int] = {}
        for k, part in enumerate(self.ranges):
            try:
                span = part.span
            except ValueError as error:
                problems.append(f"ranges.{k}.cores = {error}")
                continue
            if span.stop > self.cores:
                problems.append(
                    f"ranges.{k}.cores = {part.cores!r}: core {span.stop - 1} is out of range; there are cores 0 to "
                    f"{self.cores - 1}"
                )
                continue
            twice = next((core for core in span if core in owner), None)
            if twice is not None:
                problems.append(f"ranges.{k}.cores = {part.cores!r}: core {twice} stands in ranges.{owner[twice]} too")
            owner |= dict.fromkeys(span, k)
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def synapses(self) -> int:
        """Synapses that one core can hold, ranges left out."""
        return self.synapses_per_core or self.inputs_per_core * self.neurons_per_core

    @property
    def tiles(self) -> int:
        """Tiles of one chip."""
        return -(-self.cores // self.cores_per_tile)

    @property
    def height(self) -> int:
        """Tiles of one chip from north to south."""
        return self.mesh_height or -(-self.tiles // self.mesh_width)

    @property
    def columns(self) -> int:
        """Chips from west to east."""
        return min(self.chip_columns or self.chips, self.chips)

    @property
    def all_cores(self) -> int:
        """Cores of all chips."""
        return self.cores * self.chips

    @property
    def joined(self) -> tuple[int, int]:
        """Tiles of the joined mesh of all chips: from west to east, from north to south."""
        return self.mesh_width * self.columns, self.height * -(-self.chips // self.columns)


class Faults(Parameters):
    """What is broken: from fabrication on, or from ``tick`` on."""

    tick: int = Field(default=0, ge=0, description="0: broken when the chip was made")
    dead_cores: tuple[str, ...] = Field(default=(), description="cores or ranges: 3, 8..11; they hold nothing")
    dead_links: tuple[str, ...] = Field(
        default=(), description="links of the mesh between neighbouring tiles, both directions: 0,0-1,0 (x,y-x,y)"
    )
    dead_synapse_fraction: float = Field(
        default=0.0, ge=0.0, le=1.0, description="synapses, drawn with the fabrication seed, that carry nothing"
    )

    @field_validator("dead_cores", mode="before")
    @classmethod
    def _texts(cls, value: object) -> object:
        return tuple(str(each) for each in value) if isinstance(value, list | tuple) else value


def dead_from_fabrication(faults: tuple[Faults, ...]) -> set[int]:
    """Cores that never worked."""
    spans = [core_span(text) for fault in faults if fault.tick == 0 for text in fault.dead_cores]
    return {core for span in spans for core in span}


def fault_problems(fault: Faults, geometry: Geometry) -> list[str]:
    """Dead cores and links that the chip has not."""
    problems = []
    for k, text in enumerate(fault.dead_cores):
        try:
            span = core_span(text)
        except ValueError as error:
            problems.append(f"dead_cores.{k} = {error}")
            continue
        if span.stop > geometry.all_cores:
            problems.append(
                f"dead_cores.{k} = {text!r}: core {span.stop - 1} is out of range; there are cores 0 to "
                f"{geometry.all_cores - 1}"
            )
    width, height = geometry.joined
    for k, text in enumerate(fault.dead_links):
        try:
            ends = link_ends(text)
        except ValueError as error:
            problems.append(f"dead_links.{k} = {error}")
            continue
        if any(x >= width or y >= height for x, y in ends):
            problems.append(f"dead_links.{k} = {text!r}: the mesh has {width} x {height} tiles, counted from 0,0")
    return problems
