"""What event-driven random back-propagation adds to a machine: its times in ticks, its arrays, and what it asks for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from neurosim.chip.layers import LayerPlan, NetworkPlan
from neurosim.kernels import random
from neurosim.kernels.erbp import ALWAYS
from neurosim.models.neurons.erbp_lif import ErrorDrivenLeakyIntegrateAndFire
from neurosim.spec.scenario import Scenario
from neurosim.training.erbp import EventDrivenRandomBackprop

if TYPE_CHECKING:
    from neurosim.data import Dataset

Arrays = dict[str, np.ndarray]

SETTINGS = (
    "RATE", "PIXEL_THRESHOLD", "PIXEL_GAIN", "DATA_REST", "BURN_IN", "LABEL_PERIOD", "TRANSMISSION", "OUTPUT_FEEDBACK",
    "ERROR_WEIGHT", "ERROR_THRESHOLD", "ANNEAL_STEPS", "STEP", "W_MIN", "W_MAX", "NOISY",
    "SHARED_RATE",
)  # fmt: skip
"""Names of the numbers in the array ``erbp``, in their order."""


@dataclass(frozen=True)
class Times:
    """Durations in whole ticks."""

    sample: int
    burn_in: int
    test: int
    label_period: int
    data_rest: int


def times(scenario: Scenario) -> Times:
    """The trainer's seconds in ticks of the chip, rounded; what must last is at least one tick."""
    trainer, tick_s = _trainer(scenario), scenario.chip.timing.tick_s

    def ticks(seconds: float, least: int = 1) -> int:
        return max(least, round(seconds / tick_s)) if tick_s > 0.0 else least

    return Times(
        ticks(trainer.sample_s), ticks(trainer.burn_in_s, 0), ticks(trainer.test_s), ticks(trainer.label_period_s),
        ticks(trainer.data_refractory_s),
    )  # fmt: skip


def _trainer(scenario: Scenario) -> EventDrivenRandomBackprop:
    trainer = scenario.training
    assert isinstance(trainer, EventDrivenRandomBackprop)
    return trainer


def problems(scenario: Scenario, plan: NetworkPlan, data: Dataset) -> list[str]:
    """What this training cannot do, each with its key path."""
    out = []
    for layer in plan.layers:
        if layer.type not in ("dense", "conv2d"):
            out.append(f"network.layers.{layer.name}.type: erbp learns dense layers and conv2d, not {layer.type}")
        elif not isinstance(layer.neuron, ErrorDrivenLeakyIntegrateAndFire):
            model = layer.neuron.model if layer.neuron else ""
            out.append(f"network.layers.{layer.name}.neuron: erbp needs erbp-lif, which has a dendrite; not {model!r}")
    device = scenario.chip.synapse.device.model
    if device not in ("ideal", "quantized"):
        out.append(f"chip.synapse.device: erbp adds to weights in memory, ideal or quantized ones, not {device!r}")
    if scenario.chip.synapse.technology != "digital":
        out.append("chip.synapse.technology: the counts of erbp are those of digital cores; use a digital chip")
    timing = scenario.chip.timing
    if timing.model != "clocked":
        out.append(f"chip.timing.model = {timing.model!r}: erbp needs ticks of a given length; use clocked")
    if data.classes != data.n_out or data.n_out < 2:
        out.append("task.data: erbp compares one prediction neuron for each class with a label, so it needs classes")
    return out


def build(scenario: Scenario, plan: NetworkPlan, arrays: Arrays, dtype: np.dtype) -> Arrays:
    """The arrays beyond those of every machine (``arrays``)."""
    trainer, when = _trainer(scenario), times(scenario)
    N, classes, tick_s = plan.activations, plan.output.n, scenario.chip.timing.tick_s
    device = scenario.chip.synapse.device
    exact = device.model == "ideal"
    values = {
        "RATE": trainer.rate_Hz * tick_s, "PIXEL_THRESHOLD": trainer.pixel_threshold,
        "PIXEL_GAIN": trainer.pixel_scale / trainer.pixel_width, "DATA_REST": when.data_rest, "BURN_IN": when.burn_in,
        "LABEL_PERIOD": when.label_period, "TRANSMISSION": round(trainer.transmission * ALWAYS),
        "OUTPUT_FEEDBACK": trainer.output_feedback, "ERROR_WEIGHT": trainer.error_weight,
        "ERROR_THRESHOLD": trainer.error_threshold, "ANNEAL_STEPS": trainer.anneal_steps,
        "SHARED_RATE": trainer.shared_rate,
        "STEP": 0.0 if exact else device.step_size, "W_MIN": device.w_min, "W_MAX": device.w_max,  # type: ignore[attr-defined]
    }  # fmt: skip
    syn_keep, dendrite_keep, noise, boxcar = (np.zeros(N) for _ in range(4))
    for layer in plan.layers:
        neuron, span = layer.neuron, slice(layer.act, layer.act + layer.n)
        assert isinstance(neuron, ErrorDrivenLeakyIntegrateAndFire)
        syn_keep[span] = math.exp(-tick_s / neuron.tau_syn_s)
        dendrite_keep[span] = math.exp(-tick_s / neuron.tau_dendrite_s)
        noise[span] = neuron.noise_std
        boxcar[span] = trainer.boxcar if layer.index == 0 or trainer.boxcar_deep is None else trainer.boxcar_deep
    values["NOISY"] = float(noise.any())
    longest = max(when.sample, when.test)
    free = arrays["free"] if arrays["free"].size == plan.parameters else (arrays["scale_up"] != 0.0).astype(np.uint8)
    return {
        "erbp": np.array([values[name] for name in SETTINGS], np.float64),
        "syn_keep": syn_keep.astype(dtype),
        "dendrite_keep": dendrite_keep.astype(dtype),
        "noise_std": noise.astype(dtype),
        "boxcar": boxcar.astype(dtype),
        "feedback": feedback(scenario, plan).astype(dtype),
        "synaptic": np.zeros(N, dtype),
        "dendrite": np.zeros(N, dtype),
        "change_by": np.zeros(N, dtype),
        "error": np.zeros(2 * classes, dtype),
        "error_fired": np.zeros(2 * classes, np.int64),
        "input_spikes": np.zeros((longest, plan.n_in), np.uint32),
        "input_spike_count": np.zeros(longest, np.int64),
        "halves": np.zeros(max(_words(layer) for layer in plan.layers), np.uint32),
        "pending": np.zeros(max(layer.weights if layer.type == "conv2d" else 1 for layer in plan.layers), dtype),
        "early": np.zeros((2, when.test), np.int64),
        "free": free,
    }


def _words(layer: LayerPlan) -> int:
    """Random words for the synapses of one input, two to a word; a convolution counts changes behind them."""
    return layer.n if layer.type == "dense" else (layer.weight_shape[0] ** 2 + 1) * ((layer.columns + 1) // 2)


def first_synapses(plan: NetworkPlan) -> list[int]:
    """Number of the first synapse of each layer: their draws must not meet. A convolution's aliases all count.

    In a network of dense layers it is where their weights start.
    """
    first, out = 0, []
    for layer in plan.layers:
        out.append(first)
        aliases = layer.n_in * layer.weight_shape[0] ** 2 if layer.type == "conv2d" else layer.rows
        first += (aliases + 1) * layer.columns
    return out


def feedback(scenario: Scenario, plan: NetworkPlan) -> np.ndarray:
    """The fixed random weights G [classes, hidden neurons]: a pure function of the seed, mean over classes 0."""
    classes, hidden = plan.output.n, plan.output.act
    xi = np.empty(classes * hidden)
    random.uniforms(xi, scenario.seed, random.STREAM_FEEDBACK, 0, 0, 0)
    weights = 2.0 * xi.reshape(classes, hidden) - 1.0
    for layer in plan.layers[:-1]:
        span = slice(layer.act, layer.act + layer.n)
        weights[:, span] *= _trainer(scenario).feedback_scale * math.sqrt(7.0 / (classes + layer.n))
    return weights - weights.mean(axis=0) if hidden else np.zeros((classes, 1))
