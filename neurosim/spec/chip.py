"""The chip file: geometry, capabilities, devices, timing and prices, as frozen pydantic models.

Lengths of time are in seconds, energies in joules; every number that is a price carries its source and kind.
"""

from __future__ import annotations

import itertools
import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationInfo,
    field_validator,
    model_validator,
)

from neurosim import registry
from neurosim.registry import ModelParameters, Parameters
from neurosim.spec.countables import COUNTABLES
from neurosim.units import Hertz, Joules, Seconds, Siemens, Volts, Watts

Mechanism = Literal["write", "side-element", "read-adder", "node", "host"]
WriteScheme = Literal["cell", "row", "rank1", "element"]
Rounding = Literal["stochastic", "carry", "nearest", "threshold"]
CostUnit = Literal["analog-mse", "digital", "host"]
Difference = Literal["baseline", "two-sided", "two-noisy", "high-pass"]
Kind = Literal["measured", "published", "simulated", "derived", "assumed"]


class Price(Parameters):
    """What one countable costs: energy in J, latency in s, with source, kind and, where assumed, low and high."""

    energy_J: Joules = Field(ge=0.0, description="energy of one")
    latency_s: Seconds = Field(default=0.0, ge=0.0, description="time that one keeps its unit busy")
    source: str = Field(min_length=1, description="where the number comes from")
    kind: Kind = Field(description="what the number is; assumed ones need an interval")
    low_J: Joules | None = Field(default=None, ge=0.0, description="lowest plausible energy")
    high_J: Joules | None = Field(default=None, ge=0.0, description="highest plausible energy")
    latency_kind: Kind | None = Field(default=None, description="kind of latency_s where it is not that of energy_J")
    low_s: Seconds | None = Field(default=None, ge=0.0, description="lowest plausible latency")
    high_s: Seconds | None = Field(default=None, ge=0.0, description="highest plausible latency")

    @model_validator(mode="after")
    def _intervals(self) -> Price:
        problems = _interval(
            "price", self.kind, self.energy_J, self.low_J, self.high_J, ("low_J", "energy_J", "high_J")
        )
        if self.latency_s > 0.0 or self.low_s is not None or self.high_s is not None:
            kind = self.latency_kind or self.kind
            names = ("low_s", "latency_s", "high_s")
            problems += _interval("latency", kind, self.latency_s, self.low_s, self.high_s, names)
        if problems:
            raise ValueError("\n".join(problems))
        return self


def _interval(
    what: str, kind: Kind, value: float, low: float | None, high: float | None, names: tuple[str, str, str]
) -> list[str]:
    """What is wrong with an interval: missing where the value is assumed, or not around it."""
    if kind == "assumed" and (low is None or high is None):
        return [f"an assumed {what} needs {names[0]} and {names[2]}"]
    if (low is not None and low > value) or (high is not None and high < value):
        return [f"must hold {' <= '.join(names)}"]
    return []


class StaticPower(Parameters):
    """Power that flows whether or not anything happens, in W, with source and kind.

    A chip draws ``power_W`` + ``core_power_W`` x cores; with ``power_gating`` only the cores in use draw theirs.
    """

    power_W: Watts = Field(ge=0.0, description="of each chip, whatever its cores do")
    core_power_W: Watts = Field(default=0.0, ge=0.0, description="of each core that is powered, on top of power_W")
    power_gating: bool = Field(default=False, description="cores that hold nothing are switched off")
    source: str = Field(min_length=1, description="where the numbers come from")
    kind: Kind = Field(description="what the numbers are; assumed ones need intervals")
    low_W: Watts | None = Field(default=None, ge=0.0, description="lowest plausible power_W")
    high_W: Watts | None = Field(default=None, ge=0.0, description="highest plausible power_W")
    core_low_W: Watts | None = Field(default=None, ge=0.0, description="lowest plausible core_power_W")
    core_high_W: Watts | None = Field(default=None, ge=0.0, description="highest plausible core_power_W")

    @model_validator(mode="after")
    def _intervals(self) -> StaticPower:
        problems = _interval("static power", self.kind, self.power_W, self.low_W, self.high_W,
                             ("low_W", "power_W", "high_W"))  # fmt: skip
        if self.core_power_W > 0.0:
            names = ("core_low_W", "core_power_W", "core_high_W")
            problems += _interval("static power of a core", self.kind, self.core_power_W, self.core_low_W,
                                  self.core_high_W, names)  # fmt: skip
        if problems:
            raise ValueError("\n".join(problems))
        return self


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


class OperatingPoint(Parameters):
    """At which voltage, clock and process the numbers of the file were taken."""

    voltage_V: Volts | None = Field(default=None, ge=0.0, description="supply voltage")
    clock_Hz: Hertz | None = Field(default=None, ge=0.0, description="clock of the cores")
    process_nm: float | None = Field(default=None, gt=0.0, description="technology node, in nm")
    note: str = Field(default="", description="temperature, mode, board, whatever else matters")


NEURON_KINDS = ("rate", "spiking", "dynamic", "integer", "input")
"""Kinds of models that are neurons."""


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


def _device(value: Any) -> ModelParameters:
    return registry.validated("device", value)


class Synapse(Parameters):
    """The weight cell: a balanced differential pair g± = (g_max + g_min)/2 ± w/(2 w_max) (g_max - g_min).

    The pair's sum is constant, so V^2 t (g+ + g-) of reads and pulses is an exact integer multiple of a unit.
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
    """Converters at the edges of a core: bits 0 means not quantised."""

    dac_bits: int = Field(default=0, ge=0, le=24, description="of the input converters")
    adc_bits: int = Field(default=0, ge=0, le=24, description="of the output converters")
    adc_range: float = Field(default=1.0, gt=0.0, description="outputs are clipped to +- this value")
    adc_at: Literal["outputs", "columns"] = Field(default="outputs", description="digitise cost inputs, or each column")
    adcs_per_core: int = Field(default=1, ge=1, description="converters that share a core's columns")


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


def _countable(name: str) -> str:
    if name not in COUNTABLES:
        raise ValueError(registry.unknown(name, list(COUNTABLES), "price"))
    return name


Countable = Annotated[str, AfterValidator(_countable)]
"""The name of a countable, as a key of ``prices``."""


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
        problems = [f"{k}.{line}" for k, fault in enumerate(faults) for line in _fault_problems(fault, geometry)]
        if not problems and len(_dead_from_fabrication(faults)) == geometry.all_cores:
            problems = [
                f"dead_cores: all {geometry.all_cores} cores are dead from fabrication on: nothing can be placed"
            ]
        if problems:
            raise ValueError("\n".join(problems))
        return faults


def _dead_from_fabrication(faults: tuple[Faults, ...]) -> set[int]:
    """Cores that never worked."""
    spans = [core_span(text) for fault in faults if fault.tick == 0 for text in fault.dead_cores]
    return {core for span in spans for core in span}


def _fault_problems(fault: Faults, geometry: Geometry) -> list[str]:
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


def ideal(chip: Chip) -> Chip:
    """The same chip with every imperfection off: ideal devices, no noise, no mismatch, no quantisation, no faults."""
    perfect_synapse = chip.synapse.model_copy(
        update={"device": registry.validated("device", "ideal"), "read_noise_std": 0.0, "stuck_fraction": 0.0}
    )
    keep = chip.astrocyte
    return chip.model_copy(
        update={
            "synapse": perfect_synapse,
            "faults": (),
            "neuron": NeuronHardware(),
            "periphery": chip.periphery.model_copy(update={"dac_bits": 0, "adc_bits": 0}),
            "perturbation": chip.perturbation.model_copy(update={"amplitude_dtod": 0.0}),
            "astrocyte": AstrocyteHardware(
                cost_unit=keep.cost_unit, latency_steps=keep.latency_steps, tau_hp_steps=keep.tau_hp_steps
            ),
        }
    )
