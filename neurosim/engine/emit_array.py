"""Source text of what an array makes of its devices between what they hold and what a column reads.

Wires and slices change the weights that reads see, once for every change of the weights (``array_view``). Noise of
rows, noise of columns, and converters of slices act in every inference. All of it is only composed into a run that has
it; its numbers are run-time settings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from neurosim.chip import arrays as chip_arrays
from neurosim.chip import faults
from neurosim.chip.layers import LayerPlan, NetworkPlan
from neurosim.chip.mapper import Placement
from neurosim.errors import InputError
from neurosim.spec.scenario import Scenario
from neurosim.training.base import Trainer
from neurosim.training.erbp import EventDrivenRandomBackprop

_INPUT_NOISE, _OUTPUT_NOISE, _CELL_NOISE = 6, 7, 8
"""Where these stand in ``S.array_numbers``, behind what `chip.arrays.numbers` gives."""


@dataclass(frozen=True)
class Edges:
    """What happens at the edges of a run's arrays, beyond a plain read."""

    noisy_rows: bool = False
    noisy_columns: bool = False
    shares: tuple[float, ...] = (1.0,)
    """What each slice counts for, where every slice has a converter of its own; else one whole."""
    noise_share: float = 1.0
    """The part of a column's noise that its sum, or its first slice, has."""
    cuts: tuple[tuple[int, int], ...] = ()
    """Layers and the arrays that one of their sums is put together from."""

    @property
    def any(self) -> bool:
        """Whether there is any of it."""
        return self.noisy_rows or self.noisy_columns or self.digitised

    @property
    def digitised(self) -> bool:
        """Whether the sum of every slice has a converter of its own."""
        return len(self.shares) > 1


def edges(scenario: Scenario, placement: Placement) -> Edges:
    """The edges of a run's arrays."""
    chip = scenario.chip
    return Edges(
        noisy_rows=chip.periphery.input_noise_std > 0.0,
        noisy_columns=chip.periphery.output_noise_std > 0.0,
        shares=tuple(chip_arrays.shares(chip)) if chip_arrays.digitised_slices(chip) else (1.0,),
        noise_share=chip_arrays.noise_share(chip),
        cuts=tuple(sorted(placement.row_cuts.items())),
    )


def modules(edges: Edges, view: str) -> tuple[str, ...]:
    """Modules of loops that only such a run needs."""
    return (
        *(("neurosim.kernels.array",) if view else ()),
        *(("neurosim.kernels.lines",) if edges.noisy_rows or edges.digitised else ()),
    )


def view(scenario: Scenario, plan: NetworkPlan, placement: Placement) -> str:
    """Source of ``array_view(S)``, which changes ``S.seen`` in place; empty where the array is perfect."""
    if not scenario.chip.array.changes_reads:
        return ""
    return f"""
@kernel
def array_view(S):
    # wires and slices, one array after another
    for k in range({len(chip_arrays.places(plan, placement))}):
        array_seen(S.seen, S.slice_parts, S.array_places[k, 0], S.array_places[k, 1], S.array_places[k, 2],
                   S.array_places[k, 3], S.array_sizes, S.array_numbers, S.array_dead)
"""


def arrays(scenario: Scenario, plan: NetworkPlan, placement: Placement) -> dict[str, np.ndarray]:
    """What a run's memory holds for it."""
    chip, made, at = scenario.chip, dict[str, np.ndarray](), edges(scenario, placement)
    periphery, dtype = chip.periphery, np.dtype(scenario.network.dtype)
    if at.any or chip.array.changes_reads:
        noise = (periphery.input_noise_std, periphery.output_noise_std, chip.synapse.read_noise_std)
        made["array_numbers"] = np.array([*chip_arrays.numbers(chip), *noise])
    if chip.array.changes_reads:
        made["array_places"] = chip_arrays.places(plan, placement)
        made["array_sizes"] = chip_arrays.sizes(chip)
        # marked where synapses die (training_faults); of length 1 where none can
        made["array_dead"] = np.zeros(plan.parameters if faults.kills_synapses(chip) else 1, np.uint32)
        made["slice_parts"] = np.zeros(len(at.shares) * plan.parameters if at.digitised else 1, dtype)
    if at.digitised:
        most = max(layer.n for layer in plan.layers)
        made["slice_sums"], made["slice_total"] = np.zeros(most, dtype), np.zeros(most, dtype)
    if at.noisy_rows:
        made["driven"] = np.zeros(max(layer.n_in for layer in plan.layers), dtype)
    return made


def drive(layer: LayerPlan, flat: str) -> list[str]:
    """``driven``: a layer's inputs (``flat``, text) with the noise of its rows, one draw for each and inference."""
    return [
        f"driven = S.driven[:{layer.n_in}]",
        f"row_key = stream_key(S.pi[PI_SEED], STREAM_INPUT_NOISE, S.ri[RI_MOMENT], slot, {layer.index})",
        f"drive_rows({flat}, driven, S.array_numbers[{_INPUT_NOISE}], row_key)",
        f"bias_noise = S.array_numbers[{_INPUT_NOISE}] * normal(row_key, {layer.n_in})",
    ]


def drive_bias(layer: LayerPlan, name: str, z: str, offset: int = 0) -> str:
    """Noise of a layer's bias row, after its read into ``z``; ``name``, ``offset``: where what was read stands."""
    first = offset + layer.theta + layer.weights
    stride = layer.shared if layer.copies > 1 else 0
    return f"drive_bias(S.{name}, {first}, {stride}, {layer.columns}, bias_noise, {z})"


def column_noise(layer: LayerPlan, at: Edges, z: str, tick: str, share: float, slice_number: int = 0) -> list[str]:
    """Noise of a layer's columns, added to ``z``: every array that a sum is put together from has amplifiers."""
    key = f"stream_key(S.pi[PI_SEED], STREAM_OUTPUT_NOISE, S.ri[RI_MOMENT], slot, {tick})"
    if slice_number:
        key = f"sub_key({key}, {slice_number})"
    cuts = dict(at.cuts)[layer.index]
    return [f"add_noise({z}, S.array_numbers[{_OUTPUT_NOISE}] * {share * cuts**0.5!r}, {key}, {layer.act})"]


def convert_slices(layer: LayerPlan, at: Edges, squares: str, read: Callable[[int, str], list[str]]) -> list[str]:
    """Every slice of a layer behind a converter of its own, shifted and added up in ``z``.

    ``z`` holds the sum of all slices and whatever else came onto the columns, which stays with the first slice.
    ``read``: lines that read slice k into an array of that name.
    """
    convert = "S.pi[PI_ADC_BITS], S.pf[PF_ADC_RANGE]"
    lines = [f"total = S.slice_total[:{layer.n}]", "total[:] = 0.0", f"y = S.slice_sums[:{layer.n}]"]
    for k, share in enumerate(at.shares[1:], 1):
        key = f"sub_key(stream_key(S.pi[PI_SEED], STREAM_READ_NOISE, S.ri[RI_MOMENT], slot, 0), {k})"
        lines += [
            *read(k, "y"),
            f"take_out(z, y, {share!r})",
            f"if S.array_numbers[{_CELL_NOISE}] > 0.0:",
            f"    add_noise(y, S.array_numbers[{_CELL_NOISE}] * math.sqrt(1.0 + {squares}), {key}, {layer.act})",
            *(column_noise(layer, at, "y", "0", 1.0, k) if at.noisy_columns else []),
            f"put_in(total, y, {share!r}, {convert})",
        ]
    return [*lines, f"first_slice(z, total, {at.shares[0]!r}, {convert})"]


def problems(scenario: Scenario, plan: NetworkPlan, trainer: Trainer) -> list[str]:
    """What a run cannot do of its array."""
    chip = scenario.chip
    if isinstance(trainer, EventDrivenRandomBackprop):
        return [
            f"{key}: the trainer erbp reads its weights as they are stored; leave it out, or use the trainer mgd, node "
            "or delta-mgd"
            for key in chip_arrays.in_use(chip)
        ]
    found = []
    if plan.spiking and chip.periphery.input_noise_std > 0.0:
        found.append(
            f"chip.periphery.input_noise_std = {chip.periphery.input_noise_std:g}: spikes drive their rows without "
            "converters; set it to 0"
        )
    if plan.spiking and chip_arrays.digitised_slices(chip):
        found.append(
            f"chip.array.slices = {chip.array.slices}: a spiking network adds its slices up before they are digitised; "
            'use chip.periphery.adc_bits = 0 or adc_at = "outputs", or one slice'
        )
    return found


def check(scenario: Scenario, plan: NetworkPlan, placement: Placement) -> None:
    """Raise InputError where IR drop is to be solved exactly in arrays that are too large for it."""
    if scenario.chip.array.ir_drop != "exact":
        return
    large = {
        plan.layers[tile.layer].name: f"{tile.rows} x {tile.columns}"
        for tile in placement.tiles
        if tile.rows > 0 and chip_arrays.too_large(tile.rows, tile.columns)
    }
    if large:
        raise InputError(
            f'chip.array.ir_drop = "exact": solves arrays of up to {chip_arrays.EXACT_CELLS} cells, and '
            f"{', '.join(f'layer {name} has one of {size}' for name, size in large.items())}; use "
            "--set chip.array.ir_drop=first-order, or smaller cores (chip.geometry.inputs_per_core, neurons_per_core)"
        )
