"""What the parts of a chip can do and how imperfect they are: cells, neurons, converters, astrocyte, timing."""

from __future__ import annotations

import itertools
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, field_validator, model_validator

from neurosim import registry
from neurosim.registry import ModelParameters, Parameters
from neurosim.spec.prices import Kind
from neurosim.units import Hertz, Seconds, Siemens, Volts

Mechanism = Literal["write", "side-element", "read-adder", "node", "host"]
WriteScheme = Literal["cell", "row", "rank1", "element"]
Rounding = Literal["stochastic", "carry", "nearest", "threshold"]
CostUnit = Literal["analog-mse", "digital", "host"]
Difference = Literal["baseline", "two-sided", "two-noisy", "high-pass"]
NEURON_KINDS = ("rate", "spiking", "dynamic", "integer", "input")
"""Kinds of models that are neurons."""


class OperatingPoint(Parameters):
    """At which voltage, clock and process the numbers of the file were taken."""

    voltage_V: Volts | None = Field(default=None, ge=0.0, description="supply voltage")
    clock_Hz: Hertz | None = Field(default=None, ge=0.0, description="clock of the cores")
    process_nm: float | None = Field(default=None, gt=0.0, description="technology node, in nm")
    temperature_K: float | None = Field(
        default=None, gt=0.0, description="a note: no number of the file is scaled with it (docs/arrays.md)"
    )
    note: str = Field(default="", description="mode, board, whatever else matters")


class Capabilities(Parameters):
    """What the hardware can do; a training that needs an absent one is an error with two ways out."""

    neurons: tuple[str, ...] = Field(description="models of the neurons that a core can hold")
    perturbation_mechanisms: tuple[Mechanism, ...] = Field(
        default=(), description="how its weights or nodes can be perturbed"
    )
    codes: tuple[str, ...] = Field(default=(), description="perturbation codes its generators can draw")
    write_schemes: tuple[WriteScheme, ...] = Field(
        default=(), description="how many weights one programming pulse reaches"
    )
    update_rounding: tuple[Rounding, ...] = Field(
        default=("stochastic", "nearest", "threshold", "carry"), description="how a change becomes whole pulses"
    )
    cost_units: tuple[CostUnit, ...] = Field(default=(), description="who can compute the cost")
    differences: tuple[Difference, ...] = Field(default=(), description="which differences of costs it can form")
    gradient_integrators: bool = Field(default=False, description="tau_theta above tau_p, momentum, Adam")
    delta_memory: bool = Field(default=False, description="the astrocyte keeps a delta-vector per class")
    delay_matching: bool = Field(default=False, description="a late C~ multiplies the perturbation of its own time")
    transpose_read: bool = Field(
        default=False, description="arrays are read along their rows too: errors propagate back"
    )
    event_driven: bool = Field(default=True, description="inputs that are zero cost nothing")
    replayable_encoder: bool = Field(default=False, description="inferences of one step see the same input spikes")

    @field_validator("neurons")
    @classmethod
    def _known_neurons(cls, neurons: tuple[str, ...]) -> tuple[str, ...]:
        if not neurons:
            raise ValueError("name at least one neuron model (neurosim model list shows them)")
        known = (
            sorted({name for kind in NEURON_KINDS for name in registry.names(kind)}) if registry.is_complete() else []
        )
        problems = [registry.unknown(name, known, "neuron model") for name in neurons if known and name not in known]
        if problems:
            raise ValueError("\n".join(problems))
        return neurons


class Endurance(Parameters):
    """How many pulses devices live: log-normal, ``exp(ln median + log_std xi)``; then they are stuck."""

    median_pulses: float = Field(gt=0.0, description="that half of the devices live to see")
    log_std: float = Field(default=0.0, ge=0.0, description="standard deviation of the lifetime's natural logarithm")
    note: str = Field(default="", description="where these numbers come from")


def _device(value: Any) -> ModelParameters:
    return registry.validated("device", value)


class Synapse(Parameters):
    """The weight cell: two devices that conduct, and a weight that is their difference.

    ``pair = "balanced"``: g± = (g_max + g_min)/2 ± w/(2 w_max) (g_max - g_min), both moved by every pulse. Their sum is
    constant, so V^2 t (g+ + g-) of reads and pulses is an exact integer multiple of a unit. ``"one-sided"``: two
    devices that only step up, w = w+ - w-, each with g = g_min + (w± - w_min)/(w_max - w_min) (g_max - g_min).
    """

    technology: Literal["analog", "digital"] = Field(
        default="analog",
        description="cells that conduct and are pulsed, or words of a memory (no converters or pulses)",
    )
    device: Annotated[SerializeAsAny[ModelParameters], BeforeValidator(_device)] = Field(
        description="what one weight is stored in: the name of a model, or a table with the key model"
    )
    read_noise_std: float = Field(default=0.0, ge=0.0, description="per weight and inference, in weight units")
    stuck_fraction: float = Field(default=0.0, ge=0.0, le=1.0, description="devices frozen at their first value")
    elapse_period_s: Seconds = Field(
        default=0.0, ge=0.0, description="chip time from one act of time on the devices to the next; 0: every step"
    )
    g_max_S: Siemens = Field(default=0.0, ge=0.0, description="largest conductance; 0: no cells that conduct")
    g_min_S: Siemens = Field(default=0.0, ge=0.0, description="smallest conductance")
    read_voltage_V: Volts = Field(default=0.0, ge=0.0, description="across a cell that is read")
    read_time_s: Seconds = Field(default=0.0, ge=0.0, description="that a cell conducts when it is read")
    pulse_voltage_V: Volts = Field(default=0.0, ge=0.0, description="across a cell that is programmed")
    pulse_time_s: Seconds = Field(default=0.0, ge=0.0, description="length of a programming pulse")
    source: str = Field(default="none", description="where the cell's numbers come from")
    kind: Kind = Field(default="assumed", description="what the cell's numbers are")
    energy_low_factor: float | None = Field(
        default=None, gt=0.0, le=1.0, description="low energy of reads and pulses; default 0.1 if assumed, else 1"
    )
    energy_high_factor: float | None = Field(
        default=None, ge=1.0, description="high energy of reads and pulses; default 10 if assumed, else 1"
    )
    write_scheme: WriteScheme = Field(default="element", description="the scheme in use")
    update_rounding: Rounding = Field(default="stochastic", description="the rounding in use")
    endurance: Endurance | None = Field(default=None, description="lifetimes in pulses; none: no device wears out")
    writing: Literal["open-loop", "program-verify"] = Field(
        default="open-loop", description="pulses are sent unseen, or devices are read and pulsed until they fit"
    )
    verify_tolerance: float | None = Field(
        default=None, gt=0.0, description="program-verify: error that is left, in weight units; default half a step"
    )
    verify_limit: int = Field(
        default=100, ge=1, le=100_000, description="program-verify: rounds of pulses and reads that a write may take"
    )
    pair: Literal["balanced", "one-sided"] = Field(
        default="balanced", description="both devices move against each other, or each only steps up (PCM)"
    )
    refresh_every: int = Field(
        default=100, ge=0, description="one-sided: writes from one refresh of full pairs to the next; 0: none"
    )

    @model_validator(mode="after")
    def _programming(self) -> Synapse:
        problems = []
        if self.technology == "digital":
            given = {"endurance": self.endurance is not None, "writing": self.writing != "open-loop",
                     "pair": self.pair != "balanced"}  # fmt: skip
            problems += [
                f"{name}: words of a digital memory take no programming pulses; leave it out, or use "
                'technology = "analog"'
                for name, there in given.items()
                if there
            ]
        if self.verify_tolerance is not None and self.writing != "program-verify":
            problems.append('verify_tolerance: needs writing = "program-verify"')
        if problems:
            raise ValueError("\n".join(problems))
        return self


class NeuronHardware(Parameters):
    """Mismatch (frozen, ``_dtod``) and noise (``_std``) of the neurons, relative unless said otherwise."""

    scale_dtod: float = Field(default=0.0, ge=0.0, description="mismatch of the activation's height, relative")
    slope_dtod: float = Field(default=0.0, ge=0.0, description="mismatch of the activation's slope, relative")
    x_offset_dtod: float = Field(default=0.0, ge=0.0, description="in units of the pre-activation")
    y_offset_dtod: float = Field(default=0.0, ge=0.0, description="in units of the activation")
    threshold_dtod: float = Field(default=0.0, ge=0.0, description="mismatch of thresholds, relative")
    leak_dtod: float = Field(default=0.0, ge=0.0, description="mismatch of leak rates, relative")
    gain_dtod: float = Field(default=0.0, ge=0.0, description="mismatch of input gains, relative")
    membrane_noise_std: float = Field(default=0.0, ge=0.0, description="per tick, in units of the threshold")


class Periphery(Parameters):
    """Converters and amplifiers at the edges of a core: bits 0 means not quantised, and not clipped."""

    dac_bits: int = Field(default=0, ge=0, le=24, description="of the input converters")
    dac_range: float = Field(default=1.0, gt=0.0, description="inputs are clipped to +- this value")
    adc_bits: int = Field(default=0, ge=0, le=24, description="of the output converters")
    adc_range: float = Field(default=1.0, gt=0.0, description="outputs are clipped to +- this value")
    adc_at: Literal["outputs", "columns"] = Field(default="outputs", description="digitise cost inputs, or each column")
    adcs_per_core: int = Field(default=1, ge=1, description="converters that share a core's columns")
    input_noise_std: float = Field(
        default=0.0, ge=0.0, description="of every driven row, per inference, in units of the input"
    )
    output_noise_std: float = Field(
        default=0.0, ge=0.0, description="of every column, per inference (spiking: tick), in units of its sum"
    )


class PerturbationHardware(Parameters):
    """The generators: frozen amplitude mismatch (applied against assumed), settling, and the digital step."""

    amplitude_dtod: float = Field(default=0.0, ge=0.0, description="mismatch of the amplitude, relative")
    settling_s: Seconds = Field(default=0.0, ge=0.0, description="until a new perturbation stands")
    lsb: float = Field(default=0.0, ge=0.0, description="read-adder: smallest perturbation, in weight units")


class AstrocyteHardware(Parameters):
    """The cost unit, the broadcast and the delta memory of a domain."""

    cost_unit: CostUnit = Field(default="digital", description="who computes the cost")
    broadcast: Literal["bus", "mesh"] = Field(
        default="bus", description="a bus that all cores hear, or one message to each core in use over the mesh"
    )
    core: int = Field(default=0, ge=0, description="where it sits on the mesh")
    cost_noise_std: float = Field(default=0.0, ge=0.0, description="per measurement, in units of the cost")
    cost_noise_density: float = Field(
        default=0.0, ge=0.0, description="per sqrt(Hz): sigma = density * sqrt(1/(2 measuring time))"
    )
    cost_bits: int = Field(default=0, ge=0, le=24, description="of the measured cost; 0: not quantised")
    cost_range: float = Field(default=4.0, gt=0.0, description="cost_bits cover +- this value")
    c_tilde_bits: int = Field(default=0, ge=0, le=24, description="of the difference C~; 0: not quantised")
    c_tilde_range: float = Field(default=1.0, gt=0.0, description="c_tilde_bits cover +- this value")
    broadcast_noise_std: float = Field(default=0.0, ge=0.0, description="added to C~ at each core, same for a domain")
    latency_steps: int = Field(default=0, ge=0, le=64, description="steps until a measured C~ reaches the cores")
    tau_hp_steps: float = Field(default=1.6, gt=0.0, description="high-pass on the cost, analog mode")
    delta_bits: int = Field(default=0, ge=0, le=24, description="of the delta memory; 0: not quantised")
    delta_range: float = Field(default=1.0, gt=0.0, description="delta_bits cover +- this value")
    delta_tau_s: Seconds = Field(default=0.0, ge=0.0, description="leak of the slow states; 0: ideal memory")
    delta_noise_std: float = Field(default=0.0, ge=0.0, description="per write, relative to the change written")


class Timing(Parameters):
    """How long things take that are not a price of their own."""

    model: Literal["clocked", "simple", "detailed", "event"] = Field(
        default="clocked", description="of hand-driven networks; trained networks are clocked"
    )
    tick_s: Seconds = Field(default=0.0, ge=0.0, description="one tick of a spiking network")
    perturbation_period_s: Seconds = Field(default=0.0, ge=0.0, description="shortest time between perturbations")
    settling_s: Seconds = Field(default=0.0, ge=0.0, description="one analog layer, from inputs to outputs")
    host_link_words: int = Field(default=1, ge=1, description="words the host link moves at once")
    pipelined: bool = Field(
        default=False, description="baselines, loads and the cost read-out hide behind the perturbation period"
    )
    barrier_tiles: tuple[int, ...] = Field(default=(), description="tiles in use, ascending, of the table barrier_s")
    barrier_s: tuple[Seconds, ...] = Field(
        default=(), description="a barrier over that many tiles or more; in place of prices.barrier.latency_s"
    )
    chip_barrier_s: Seconds = Field(default=0.0, ge=0.0, description="more of it where several chips are in use")

    @model_validator(mode="after")
    def _barrier(self) -> Timing:
        rising = all(a < b for a, b in itertools.pairwise(self.barrier_tiles))
        if len(self.barrier_tiles) != len(self.barrier_s) or not rising or any(t < 1 for t in self.barrier_tiles):
            raise ValueError(
                "barrier_tiles and barrier_s must be of one length, barrier_tiles ascending from 1 or more"
            )
        if any(latency < 0.0 for latency in self.barrier_s):
            raise ValueError("barrier_s: a barrier cannot take less than no time")
        return self
