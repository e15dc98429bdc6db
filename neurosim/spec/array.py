"""The memory array as wires, lines and cells: IR drop, dead lines, stuck cells, bit slicing."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from neurosim.registry import Parameters
from neurosim.spec.hardware import Synapse
from neurosim.units import Ohms

IrDrop = Literal["none", "first-order", "exact"]
MOST_BITS = 24
"""Of a sliced weight: what a float32 holds."""
_UNBOUNDED = 1e6
"""A device whose bounds are wider has no range that conductances, or digits, could stand for."""


class ArrayHardware(Parameters):
    """What stands between the devices of a core and what its columns read; everything is off by default.

    Every core's part of a weight matrix is one array, its bias row the last; positive and negative cells stand in two
    arrays with wires of their own. Equations: docs/arrays.md.
    """

    weight_range: float | None = Field(
        default=None, gt=0.0, description="weight at g_max - g_min, and of all ones; default: the device's wider bound"
    )
    ir_drop: IrDrop = Field(default="none", description="voltage lost along rows and columns")
    row_wire_ohm: Ohms = Field(default=0.0, ge=0.0, description="of a row, from one cell to the next")
    column_wire_ohm: Ohms = Field(default=0.0, ge=0.0, description="of a column, from one cell to the next")
    row_driver_ohm: Ohms = Field(default=0.0, ge=0.0, description="between a row's voltage and its wire")
    column_sense_ohm: Ohms = Field(default=0.0, ge=0.0, description="between a column's wire and virtual ground")
    slices: int = Field(default=1, ge=1, le=MOST_BITS, description="cells (pairs) that hold one weight")
    slice_bits: int = Field(
        default=0, ge=0, le=MOST_BITS, description="bits of each of them, its sign apart; 0: any value (one slice)"
    )
    dead_row_fraction: float = Field(default=0.0, ge=0.0, le=1.0, description="rows that nothing drives")
    dead_column_fraction: float = Field(default=0.0, ge=0.0, le=1.0, description="columns that are not sensed")
    stuck_at_w_max_fraction: float = Field(default=0.0, ge=0.0, le=1.0, description="devices stuck at their w_max")
    stuck_at_w_min_fraction: float = Field(default=0.0, ge=0.0, le=1.0, description="devices stuck at their w_min")
    stuck_at_zero_fraction: float = Field(default=0.0, ge=0.0, le=1.0, description="devices stuck at 0")

    @model_validator(mode="after")
    def _consistent(self) -> ArrayHardware:
        problems = []
        if self.slices > 1 and self.slice_bits == 0:
            problems.append(f"slice_bits = 0: {self.slices} slices hold whole bits; give them at least 1")
        if self.slices * self.slice_bits > MOST_BITS:
            problems.append(
                f"slice_bits = {self.slice_bits}: {self.slices} slices of that are {self.slices * self.slice_bits} "
                f"bits; at most {MOST_BITS} fit a weight"
            )
        if self.stuck > 1.0:
            problems.append(
                f"stuck_at_zero_fraction = {self.stuck_at_zero_fraction:g}: with stuck_at_w_max_fraction and "
                f"stuck_at_w_min_fraction {self.stuck:g} of all devices; at most 1"
            )
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def stuck(self) -> float:
        """The part of all devices that is stuck at a value of the array's."""
        return self.stuck_at_w_max_fraction + self.stuck_at_w_min_fraction + self.stuck_at_zero_fraction

    @property
    def sliced(self) -> bool:
        """Whether weights are rounded to slices."""
        return self.slice_bits > 0

    @property
    def dead_lines(self) -> bool:
        """Whether some rows or columns are dead."""
        return self.dead_row_fraction > 0.0 or self.dead_column_fraction > 0.0

    @property
    def changes_reads(self) -> bool:
        """Whether reads see other weights than the devices hold."""
        return self.ir_drop != "none" or self.sliced

    def full_range(self, synapse: Synapse) -> float:
        """The weight that stands for g_max - g_min and for all ones in its slices; 0 where there is none."""
        if self.weight_range is not None:
            return self.weight_range
        bound = max(getattr(synapse.device, "w_max", 0.0), -getattr(synapse.device, "w_min", 0.0))
        return bound if bound < _UNBOUNDED else 0.0


def array_problems(array: ArrayHardware, synapse: Synapse) -> list[str]:
    """What the array needs of its cells and does not find there."""
    on = [
        name
        for name, there in {
            "ir_drop": array.ir_drop != "none",
            "slice_bits": array.sliced,
            "dead_row_fraction": array.dead_row_fraction > 0.0,
            "dead_column_fraction": array.dead_column_fraction > 0.0,
            "stuck_at_w_max_fraction": array.stuck_at_w_max_fraction > 0.0,
            "stuck_at_w_min_fraction": array.stuck_at_w_min_fraction > 0.0,
            "stuck_at_zero_fraction": array.stuck_at_zero_fraction > 0.0,
        }.items()
        if there
    ]
    if synapse.technology == "digital":
        return [
            f"{name} = {getattr(array, name)!r}: words of a digital memory stand in no array of cells; leave it out, "
            'or use synapse.technology = "analog"'
            for name in on
        ]
    problems = []
    if array.ir_drop != "none" and synapse.g_max_S == 0.0:
        problems.append(
            f'ir_drop = "{array.ir_drop}": cells that do not conduct drop no voltage; give synapse.g_max_S, or use '
            'ir_drop = "none"'
        )
    elif array.ir_drop != "none" and synapse.g_min_S >= synapse.g_max_S:
        problems.append(
            f'ir_drop = "{array.ir_drop}": g_max_S = {synapse.g_max_S:g} must be above g_min_S = {synapse.g_min_S:g}'
        )
    if synapse.pair != "balanced":
        problems += [
            f'{name} = {getattr(array, name)!r}: is known for balanced pairs; use synapse.pair = "balanced"'
            for name in on
            if name in ("ir_drop", "slice_bits")
        ]
    ranged = [name for name in on if name in ("ir_drop", "slice_bits", *_AT_BOUNDS)]
    if ranged and array.full_range(synapse) == 0.0:
        problems.append(
            f"weight_range = none: {', '.join(ranged)} needs the weight that the largest conductance stands for, and "
            f"device {synapse.device.model!r} has no bounds; set it, for example to 1"
        )
    return problems


_AT_BOUNDS = ("stuck_at_w_max_fraction", "stuck_at_w_min_fraction")
