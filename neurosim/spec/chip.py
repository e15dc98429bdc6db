"""The chip file: geometry, capabilities, devices, timing and prices, as frozen pydantic models.

Lengths of time are in seconds, energies in joules; every number that is a price carries its source and kind.
"""

from __future__ import annotations

from pydantic import Field, ValidationInfo, field_validator

from neurosim import registry
from neurosim.registry import Parameters
from neurosim.spec.array import ArrayHardware, array_problems
from neurosim.spec.geometry import Faults, Geometry, dead_from_fabrication, fault_problems
from neurosim.spec.hardware import (
    AstrocyteHardware,
    Capabilities,
    NeuronHardware,
    OperatingPoint,
    Periphery,
    PerturbationHardware,
    Synapse,
    Timing,
)
from neurosim.spec.prices import Countable, Price, StaticPower


class Chip(Parameters):
    """A whole chip, as ``chips/NAME.toml`` describes it."""

    name: str = Field(description="name of the chip: that of its file")
    summary: str = Field(description="the chip in one line")
    hypothetical: bool = Field(default=False, description="nobody has built it; every report says so")
    fabrication_seed: int = Field(
        default=0, ge=0, lt=2**63, description="of everything frozen: mismatch, dead synapses"
    )
    geometry: Geometry = Field(description="cores, tiles, mesh, what a core holds")
    capabilities: Capabilities = Field(description="what the hardware can do")
    synapse: Synapse = Field(description="the weight cell")
    neuron: NeuronHardware = Field(default=NeuronHardware(), description="mismatch and noise of the neurons")
    periphery: Periphery = Field(default=Periphery(), description="converters at the edges of a core")
    array: ArrayHardware = Field(default=ArrayHardware(), description="wires, lines and slices of a core's array")
    perturbation: PerturbationHardware = Field(default=PerturbationHardware(), description="perturbation generators")
    astrocyte: AstrocyteHardware = Field(default=AstrocyteHardware(), description="cost unit, broadcast, delta memory")
    timing: Timing = Field(default=Timing(), description="how long things take that are no price")
    operating_point: OperatingPoint = Field(default=OperatingPoint(), description="voltage, clock and process")
    faults: tuple[Faults, ...] = Field(default=(), description="what is broken, and from when on")
    static: StaticPower = Field(description="power that flows whatever happens")
    prices: dict[Countable, Price] = Field(default={}, description="what one of each countable costs")

    # What one table says about another is checked field by field, so that it is said beside all other problems.

    @field_validator("synapse")
    @classmethod
    def _known_scheme(cls, synapse: Synapse, info: ValidationInfo) -> Synapse:
        able = info.data.get("capabilities")
        if able is not None and synapse.write_scheme not in (*able.write_schemes, "cell"):
            schemes = list(dict.fromkeys(("cell", *able.write_schemes)))
            raise ValueError(
                f"write_scheme = {synapse.write_scheme!r}: this chip can only write by {' or '.join(schemes)} "
                "(capabilities.write_schemes; cell is always there): choose one of these, or another chip"
            )
        return synapse

    @field_validator("array")
    @classmethod
    def _of_these_cells(cls, array: ArrayHardware, info: ValidationInfo) -> ArrayHardware:
        synapse = info.data.get("synapse")
        problems = array_problems(array, synapse) if synapse is not None else []
        if problems:
            raise ValueError("\n".join(problems))
        return array

    @field_validator("astrocyte")
    @classmethod
    def _on_the_chip(cls, astrocyte: AstrocyteHardware, info: ValidationInfo) -> AstrocyteHardware:
        geometry = info.data.get("geometry")
        if geometry is not None and astrocyte.core >= geometry.all_cores:
            raise ValueError(f"core = {astrocyte.core}: out of range; there are cores 0 to {geometry.all_cores - 1}")
        return astrocyte

    @field_validator("faults")
    @classmethod
    def _of_this_chip(cls, faults: tuple[Faults, ...], info: ValidationInfo) -> tuple[Faults, ...]:
        geometry = info.data.get("geometry")
        if geometry is None:
            return faults
        problems = [f"{k}.{line}" for k, fault in enumerate(faults) for line in fault_problems(fault, geometry)]
        if not problems and len(dead_from_fabrication(faults)) == geometry.all_cores:
            problems = [
                f"dead_cores: all {geometry.all_cores} cores are dead from fabrication on: nothing can be placed"
            ]
        if problems:
            raise ValueError("\n".join(problems))
        return faults


def ideal(chip: Chip) -> Chip:
    """The same chip with every imperfection off: ideal devices, no noise, no mismatch, no quantisation, no faults."""
    perfect_synapse = chip.synapse.model_copy(
        update={
            "device": registry.validated("device", "ideal"), "read_noise_std": 0.0, "stuck_fraction": 0.0,
            "endurance": None, "writing": "open-loop", "verify_tolerance": None, "pair": "balanced",
        }
    )  # fmt: skip
    keep = chip.astrocyte
    return chip.model_copy(
        update={
            "synapse": perfect_synapse,
            "faults": (),
            "neuron": NeuronHardware(),
            "periphery": chip.periphery.model_copy(
                update={"dac_bits": 0, "adc_bits": 0, "input_noise_std": 0.0, "output_noise_std": 0.0}
            ),
            "array": ArrayHardware(),
            "perturbation": chip.perturbation.model_copy(update={"amplitude_dtod": 0.0}),
            "astrocyte": AstrocyteHardware(
                cost_unit=keep.cost_unit, latency_steps=keep.latency_steps, tau_hp_steps=keep.tau_hp_steps
            ),
        }
    )
