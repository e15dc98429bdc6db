"""The scenario file: the roots chip, network, task, training, probes, stop and seed; or chip, experiment and seed."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from neurosim import registry
from neurosim.registry import ModelParameters, Parameters
from neurosim.spec.chip import Chip
from neurosim.units import Joules, Seconds

NAME = r"^[A-Za-z][A-Za-z0-9_-]*$"


def _neuron(value: Any) -> ModelParameters:
    name = value.get("model") if isinstance(value, dict) else value
    kinds = [kind for kind in ("rate", "spiking") if name in registry.names(kind)]
    if not kinds:
        raise ValueError(registry.unknown(name, registry.names("rate") + registry.names("spiking"), "neuron model"))
    return registry.validated(kinds[0], value)


def _cost(value: Any) -> ModelParameters:
    return registry.validated("cost", value)


def _trainer(value: Any) -> ModelParameters:
    return registry.validated("trainer", value)


Neuron = Annotated[SerializeAsAny[ModelParameters], BeforeValidator(_neuron)]
Cost = Annotated[SerializeAsAny[ModelParameters], BeforeValidator(_cost)]
Trainer = Annotated[SerializeAsAny[ModelParameters], BeforeValidator(_trainer)]


class Dense(Parameters):
    """A fully connected layer: ``z_j = b_j + sum_i x_i w_ij``, then the neuron."""

    type: Literal["dense"]
    name: str = Field(pattern=NAME)
    size: int = Field(ge=1, le=65536)
    neuron: Neuron


class Conv2d(Parameters):
    """A 2-D convolution without padding, shared weights ``[kernel, kernel, in, out]``, channels last.

    ``serial``: one array reads the positions one after another. ``replicated``: one copy of the array per
    position, each with its own mismatch, all reading at once. A ``stride`` above 1 needs the trainer erbp.
    """

    type: Literal["conv2d"]
    name: str = Field(pattern=NAME)
    channels: int = Field(ge=1, le=4096)
    kernel: int = Field(ge=1, le=31)
    stride: int = Field(default=1, ge=1, le=31, description="inputs from one window to the next")
    mapping: Literal["serial", "replicated"] = "serial"
    neuron: Neuron


class Pool(Parameters):
    """Maximum or average over ``size`` x ``size`` windows with the same stride; a partial border is dropped."""

    type: Literal["maxpool", "avgpool"]
    name: str = Field(pattern=NAME)
    size: int = Field(default=2, ge=2, le=16)


Layer = Annotated[Dense | Conv2d | Pool, Field(discriminator="type")]


class Spiking(Parameters):
    """How a spiking network turns one sample into one output: a window of ``readout_ticks``."""

    readout_ticks: int = Field(default=16, ge=1, le=100_000)
    washout_ticks: int = Field(default=0, ge=0, le=100_000, description="ticks before counting; 0: reset instead")
    start_membrane: float = Field(
        default=0.5, ge=0.0, lt=1.0, description="membranes at a reset, in thresholds; 0.5 rounds counts without bias"
    )
    encoder: Literal["current", "poisson", "regular", "latency"] = "current"
    max_rate: float = Field(default=0.5, gt=0.0, le=1.0, description="spikes a tick of an input of value 1")
    readout: Literal["count", "membrane", "count+membrane"] = "count+membrane"
    activity: Literal["count", "trace"] = "count"
    trace_decay: float = Field(default=0.9, ge=0.0, lt=1.0, description="per tick, for activity = 'trace'")


class Init(Parameters):
    """First weights: ``uniform``, ``normal`` or ``glorot``/``he`` (scaled by fan-in), biases zero unless uniform."""

    model: Literal["uniform", "normal", "glorot", "he"] = "he"
    scale: float = Field(default=1.0, gt=0.0)
    last_scale: float = Field(default=1.0, gt=0.0, description="factor on top of it for the last layer")


class Network(Parameters):
    """Layers from input to output."""

    layers: tuple[Layer, ...] = Field(min_length=1)
    dtype: Literal["float32", "float64"] = "float32"
    init: Init = Init()
    weights: str | None = Field(default=None, description="a trace to take the last weights from")
    spiking: Spiking = Spiking()
    placement: Literal["fill"] = "fill"
    domains: Literal["one", "layer"] = Field(
        default="one", description="astrocytes: one, or one per layer with weights, each measuring C itself"
    )

    @model_validator(mode="after")
    def _names(self) -> Network:
        names = [layer.name for layer in self.layers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"layer names must differ; used twice: {', '.join(twice)}")
        if isinstance(self.layers[-1], Pool):
            raise ValueError("the last layer must have neurons (dense or conv2d)")
        return self


class Task(Parameters):
    """What is learned: data, how many samples of it, and the cost."""

    data: str
    n_train: int | None = Field(default=None, ge=1)
    n_test: int | None = Field(default=None, ge=1)
    bits: int = Field(default=4, ge=2, le=16, description="parity: number of input bits")
    noise_std: float = Field(default=0.1, ge=0.0, description="nist7x7: pixel noise")
    cost: Cost
    shuffle: bool = Field(default=True, description="a new seeded order every epoch; otherwise the file's order")


class Probes(Parameters):
    """What is recorded, and how often (in steps; 0: chosen from the length of the run)."""

    record_every: int = Field(default=0, ge=0)
    evaluate_every: int = Field(default=0, ge=0)
    evaluate_samples: int = Field(default=0, ge=0, description="test samples per evaluation; 0: all")
    spikes: tuple[str, ...] = Field(default=(), description="layers whose spikes are recorded at evaluations")
    timing: bool = Field(default=False, description="record the tallies, so that recost can re-time the run")
    weights_every: int = Field(default=0, ge=0, description="0: first and last only")
    gradient_agreement: bool = Field(default=False, description="compare delta signs with the true gradient")
    count_pulses: bool = Field(default=False, description="count the pulses of each device (4 bytes each)")


class Stop(Parameters):
    """When the run ends: whichever comes first."""

    steps: int = Field(ge=1)
    inferences: int | None = Field(default=None, ge=1)
    accuracy: float | None = Field(default=None, gt=0.0, le=1.0, description="the target of `to_target`")
    at_accuracy: bool = Field(default=False, description="stop when the accuracy is reached")
    chip_time_s: Seconds | None = Field(default=None, gt=0.0)
    energy_J: Joules | None = Field(default=None, gt=0.0)


class Scenario(Parameters):
    """A resolved scenario: everything that a run depends on."""

    chip: Chip
    network: Network
    task: Task
    training: Trainer
    probes: Probes = Probes()
    stop: Stop
    seed: int = Field(default=0, ge=0, lt=2**63)


def _experiment(value: Any) -> ModelParameters:
    return registry.validated("experiment", value)


class ExperimentScenario(Parameters):
    """A resolved scenario that drives a network by hand instead of training one on a task."""

    chip: Chip
    experiment: Annotated[SerializeAsAny[ModelParameters], BeforeValidator(_experiment)]
    seed: int = Field(default=0, ge=0, lt=2**63)
