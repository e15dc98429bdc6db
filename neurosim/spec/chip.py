"""The chip file: geometry, capabilities, devices, timing and prices, as frozen pydantic models.

Lengths of time are in seconds, energies in joules; every number that is a price carries its source and kind.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from neurosim import registry
from neurosim.registry import ModelParameters, Parameters
from neurosim.spec.countables import COUNTABLES
from neurosim.units import Joules, Seconds, Siemens, Volts, Watts

Mechanism = Literal["write", "side-element", "read-adder", "node", "host"]
WriteScheme = Literal["cell", "row", "rank1", "element"]
Rounding = Literal["stochastic", "carry", "nearest", "threshold"]
CostUnit = Literal["analog-mse", "digital", "host"]
Difference = Literal["baseline", "two-sided", "two-noisy", "high-pass"]
Kind = Literal["measured", "published", "simulated", "derived", "assumed"]

NonNegative = Field(default=0.0, ge=0.0)
Fraction = Field(default=0.0, ge=0.0, le=1.0)


class Price(Parameters):
    """What one countable costs: energy in J, latency in s, with source, kind and, where assumed, low and high."""

    energy_J: Joules = Field(ge=0.0)
    latency_s: Seconds = NonNegative
    source: str
    kind: Kind
    low_J: Joules | None = Field(default=None, ge=0.0)
    high_J: Joules | None = Field(default=None, ge=0.0)

    @model_validator(mode="after")
    def _interval(self) -> Price:
        if self.kind == "assumed" and (self.low_J is None or self.high_J is None):
            raise ValueError("an assumed price needs low_J and high_J")
        if (self.low_J is not None and self.low_J > self.energy_J) or (
            self.high_J is not None and self.high_J < self.energy_J
        ):
            raise ValueError("must hold low_J <= energy_J <= high_J")
        return self


class StaticPower(Parameters):
    """Power that flows whether or not anything happens, in W, with source and kind."""

    power_W: Watts = Field(ge=0.0)
    source: str
    kind: Kind
    low_W: Watts | None = Field(default=None, ge=0.0)
    high_W: Watts | None = Field(default=None, ge=0.0)

    @model_validator(mode="after")
    def _interval(self) -> StaticPower:
        if self.kind == "assumed" and (self.low_W is None or self.high_W is None):
            raise ValueError("assumed static power needs low_W and high_W")
        return self


class Geometry(Parameters):
    """How many cores, and what one core holds."""

    cores: int = Field(ge=1)
    neurons_per_core: int = Field(ge=1)
    inputs_per_core: int = Field(ge=1, description="rows of the synapse array, the bias row included")
    synapses_per_core: int | None = Field(default=None, ge=1, description="default: inputs x neurons (a crossbar)")
    mesh_width: int = Field(default=1, ge=1, description="cores stand on a mesh of this width, row by row")

    @property
    def synapses(self) -> int:
        """Weight devices in one core."""
        return self.synapses_per_core or self.inputs_per_core * self.neurons_per_core


class Capabilities(Parameters):
    """What the hardware can do; a training that needs an absent one is an error with two ways out."""

    neurons: tuple[str, ...] = Field(description="models of the neurons that a core can hold")
    perturbation_mechanisms: tuple[Mechanism, ...] = ()
    codes: tuple[str, ...] = Field(default=(), description="perturbation codes its generators can draw")
    write_schemes: tuple[WriteScheme, ...] = ()
    update_rounding: tuple[Rounding, ...] = ("stochastic", "nearest", "threshold", "carry")
    cost_units: tuple[CostUnit, ...] = ()
    differences: tuple[Difference, ...] = ()
    gradient_integrators: bool = Field(default=False, description="tau_theta above tau_p, momentum, Adam")
    delta_memory: bool = Field(default=False, description="the astrocyte keeps a delta-vector per class")
    delay_matching: bool = Field(default=False, description="a late C~ multiplies the perturbation of its own time")
    replayable_encoder: bool = Field(default=False, description="inferences of one step see the same input spikes")


def _device(value: Any) -> ModelParameters:
    return registry.validated("device", value)


class Synapse(Parameters):
    """The weight cell: a balanced differential pair g± = (g_max + g_min)/2 ± w/(2 w_max) (g_max - g_min).

    The pair's sum is constant, so V^2 t (g+ + g-) of reads and pulses is an exact integer multiple of a unit.
    """

    device: Annotated[SerializeAsAny[ModelParameters], BeforeValidator(_device)]
    read_noise_std: float = Field(default=0.0, ge=0.0, description="per weight and inference, in weight units")
    stuck_fraction: float = Field(default=0.0, ge=0.0, le=1.0, description="devices frozen at their first value")
    g_max_S: Siemens = Field(default=0.0, ge=0.0)
    g_min_S: Siemens = NonNegative
    read_voltage_V: Volts = NonNegative
    read_time_s: Seconds = NonNegative
    pulse_voltage_V: Volts = NonNegative
    pulse_time_s: Seconds = NonNegative
    source: str = "none"
    kind: Kind = "assumed"
    energy_low_factor: float | None = Field(
        default=None, gt=0.0, le=1.0, description="low energy of reads and pulses; default 0.1 if assumed, else 1"
    )
    energy_high_factor: float | None = Field(
        default=None, ge=1.0, description="high energy of reads and pulses; default 10 if assumed, else 1"
    )
    write_scheme: WriteScheme = "element"
    update_rounding: Rounding = "stochastic"


class NeuronHardware(Parameters):
    """Mismatch (frozen, ``_dtod``) and noise (``_std``) of the neurons, relative unless said otherwise."""

    scale_dtod: float = NonNegative
    slope_dtod: float = NonNegative
    x_offset_dtod: float = Field(default=0.0, ge=0.0, description="in units of the pre-activation")
    y_offset_dtod: float = Field(default=0.0, ge=0.0, description="in units of the activation")
    threshold_dtod: float = NonNegative
    leak_dtod: float = NonNegative
    gain_dtod: float = NonNegative
    membrane_noise_std: float = Field(default=0.0, ge=0.0, description="per tick, in units of the threshold")


class Periphery(Parameters):
    """Converters at the edges of a core: bits 0 means not quantised."""

    dac_bits: int = Field(default=0, ge=0, le=24)
    adc_bits: int = Field(default=0, ge=0, le=24)
    adc_range: float = Field(default=1.0, gt=0.0, description="outputs are clipped to +- this value")
    adc_at: Literal["outputs", "columns"] = Field(default="outputs", description="digitise cost inputs, or each column")
    adcs_per_core: int = Field(default=1, ge=1)


class PerturbationHardware(Parameters):
    """The generators: frozen amplitude mismatch (applied against assumed), settling, and the digital step."""

    amplitude_dtod: float = NonNegative
    settling_s: Seconds = NonNegative
    lsb: float = Field(default=0.0, ge=0.0, description="read-adder: smallest perturbation, in weight units")


class AstrocyteHardware(Parameters):
    """The cost unit, the broadcast and the delta memory of a domain."""

    cost_unit: CostUnit = "digital"
    cost_noise_std: float = Field(default=0.0, ge=0.0, description="per measurement, in units of the cost")
    cost_noise_density: float = Field(
        default=0.0, ge=0.0, description="per sqrt(Hz): sigma = density * sqrt(1/(2 measuring time))"
    )
    cost_bits: int = Field(default=0, ge=0, le=24)
    cost_range: float = Field(default=4.0, gt=0.0)
    c_tilde_bits: int = Field(default=0, ge=0, le=24)
    c_tilde_range: float = Field(default=1.0, gt=0.0)
    broadcast_noise_std: float = Field(default=0.0, ge=0.0, description="added to C~ at each core, same for a domain")
    latency_steps: int = Field(default=0, ge=0, le=64, description="steps until a measured C~ reaches the cores")
    tau_hp_steps: float = Field(default=1.6, gt=0.0, description="high-pass on the cost, analog mode")
    delta_bits: int = Field(default=0, ge=0, le=24)
    delta_range: float = Field(default=1.0, gt=0.0, description="delta_bits cover +- this value")
    delta_tau_s: Seconds = Field(default=0.0, ge=0.0, description="leak of the slow states; 0: ideal memory")
    delta_noise_std: float = Field(default=0.0, ge=0.0, description="per write, relative to the change written")


class Timing(Parameters):
    """How long things take that are not a price of their own."""

    model: Literal["clocked"] = "clocked"
    tick_s: Seconds = Field(default=0.0, ge=0.0, description="one tick of a spiking network")
    perturbation_period_s: Seconds = Field(default=0.0, ge=0.0, description="shortest time between perturbations")
    settling_s: Seconds = Field(default=0.0, ge=0.0, description="one analog layer, from inputs to outputs")
    host_link_words: int = Field(default=1, ge=1, description="words the host link moves at once")
    pipelined: bool = Field(
        default=False, description="baselines, loads and the cost read-out hide behind the perturbation period"
    )


class Chip(Parameters):
    """A whole chip, as ``chips/NAME.toml`` describes it."""

    name: str
    summary: str
    hypothetical: bool = False
    fabrication_seed: int = Field(default=0, ge=0, lt=2**63)
    geometry: Geometry
    capabilities: Capabilities
    synapse: Synapse
    neuron: NeuronHardware = NeuronHardware()
    periphery: Periphery = Periphery()
    perturbation: PerturbationHardware = PerturbationHardware()
    astrocyte: AstrocyteHardware = AstrocyteHardware()
    timing: Timing = Timing()
    static: StaticPower
    prices: dict[str, Price] = {}

    @model_validator(mode="after")
    def _known_prices(self) -> Chip:
        problems = [registry.unknown(name, list(COUNTABLES), "price") for name in self.prices if name not in COUNTABLES]
        if self.synapse.write_scheme not in (*self.capabilities.write_schemes, "cell"):
            problems.append(
                f"synapse.write_scheme {self.synapse.write_scheme!r} is not among capabilities.write_schemes "
                f"{list(self.capabilities.write_schemes)}"
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self


def ideal(chip: Chip) -> Chip:
    """The same chip with every imperfection off: ideal devices, no noise, no mismatch, no quantisation."""
    perfect_synapse = chip.synapse.model_copy(
        update={"device": registry.validated("device", "ideal"), "read_noise_std": 0.0, "stuck_fraction": 0.0}
    )
    keep = chip.astrocyte
    return chip.model_copy(
        update={
            "synapse": perfect_synapse,
            "neuron": NeuronHardware(),
            "periphery": chip.periphery.model_copy(update={"dac_bits": 0, "adc_bits": 0}),
            "perturbation": chip.perturbation.model_copy(update={"amplitude_dtod": 0.0}),
            "astrocyte": AstrocyteHardware(
                cost_unit=keep.cost_unit, latency_steps=keep.latency_steps, tau_hp_steps=keep.tau_hp_steps
            ),
        }
    )
