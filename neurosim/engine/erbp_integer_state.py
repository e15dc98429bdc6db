"""The integer form of event-driven random back-propagation: its arrays, its feedback weights, and what it asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neurosim.chip.layers import LayerPlan, NetworkPlan
from neurosim.engine import erbp_state
from neurosim.kernels import random
from neurosim.kernels.erbp_integer import blank_limit
from neurosim.models.neurons.erbp_nsat import IntegerErrorDrivenNeuron
from neurosim.spec.scenario import Scenario
from neurosim.training.erbp import EventDrivenRandomBackprop

if TYPE_CHECKING:
    from neurosim.data import Dataset

Arrays = dict[str, np.ndarray]

NEURON = (
    "LEAK", "DENDRITE_LEAK", "GAIN", "FEEDBACK_GAIN", "THRESHOLD", "REFRACTORY", "HARD", "NOISE", "TRANSMIT",
    "GATE_LOW", "GATE_HIGH", "FIRST",
)  # fmt: skip
"""Whole numbers of each layer, the columns of the array ``integer_rows``. FIRST: the layer's first synapse."""
SETTINGS = (
    "RATE_SHIFT", "ROUNDING_BITS", "ERROR_WEIGHT", "ERROR_GAIN", "ERROR_THRESHOLD", "OUTPUT_FEEDBACK", "ANNEAL_STEPS",
    "W_MIN", "W_MAX", "STUCK", "BITS_NOW",
)  # fmt: skip
"""Whole numbers of the whole network, the array ``integer``. BITS_NOW: rounding bits of this sample."""
MOST_ROUNDING_BITS = 16


def _trainer(scenario: Scenario) -> EventDrivenRandomBackprop:
    trainer = scenario.training
    assert isinstance(trainer, EventDrivenRandomBackprop)
    return trainer


def problems(scenario: Scenario, plan: NetworkPlan, data: Dataset) -> list[str]:
    """What this training cannot do, each with its key path."""
    out = []
    for layer in plan.layers:
        if layer.type != "dense":
            out.append(f"network.layers.{layer.name}.type: erbp in whole numbers learns dense layers, not {layer.type}")
        elif not isinstance(layer.neuron, IntegerErrorDrivenNeuron):
            model = layer.neuron.model if layer.neuron else ""
            out.append(
                f'network.layers.{layer.name}.neuron: erbp with arithmetic = "integer" needs erbp-nsat; not {model!r}'
            )
    device = scenario.chip.synapse.device
    if device.model != "quantized":
        out.append(
            f"chip.synapse.device: whole numbers need a memory of words, not {device.model!r}; "
            '{model = "quantized", bits = 9, w_min = -256, w_max = 255}'
        )
    else:
        half = 2 ** (device.bits - 1)  # type: ignore[attr-defined]
        if (device.w_min, device.w_max) != (-half, half - 1):  # type: ignore[attr-defined]
            out.append(
                f"chip.synapse.device: words of {device.bits} bits hold the whole numbers {-half} to {half - 1} in "  # type: ignore[attr-defined]
                f"this form, so w_min = {-half} and w_max = {half - 1}"
            )
        exact = 2 ** (24 if scenario.network.dtype == "float32" else 53)
        most = max((layer.n_in for layer in plan.layers), default=0)
        if most * half > exact:
            out.append(
                f"chip.synapse.device.bits = {device.bits}: sums of {most} such weights pass 2^24, where float32 stops "  # type: ignore[attr-defined]
                "to hold every whole number; use fewer bits"
            )
    if scenario.chip.synapse.technology != "digital":
        out.append("chip.synapse.technology: the counts of erbp are those of digital cores; use a digital chip")
    hardware = scenario.chip.neuron
    if hardware.threshold_dtod or hardware.leak_dtod or hardware.gain_dtod:
        out.append("chip.neuron: whole-number neurons are all alike; mismatch of threshold, leak and gain must be 0")
    timing = scenario.chip.timing
    if timing.model != "clocked":
        out.append(f"chip.timing.model = {timing.model!r}: erbp needs ticks of a given length; use clocked")
    if data.classes != data.n_out or data.n_out < 2:
        out.append("task.data: erbp compares one prediction neuron for each class with a label, so it needs classes")
    return out


def first_synapse(plan: NetworkPlan, layer: LayerPlan) -> int:
    """Number of the layer's first synapse on one core: those of inputs, of labels, then of neurons, layer by layer.

    Every label and every prediction neuron has two, onto its error neurons.
    """
    before = sum(other.weights for other in plan.layers[: layer.index])
    return before + (2 * plan.output.n if layer.index else 0)


def sample_seed(seed: int, moment: int, slot: int) -> int:
    """The seed of all random parts of one sample: an `NsatSimulation` with it draws the same numbers."""
    return int(random.stream_key(seed, random.STREAM_TRANSMISSION, moment, slot, 0))


def build(scenario: Scenario, plan: NetworkPlan, arrays: Arrays, dtype: np.dtype) -> Arrays:
    """The arrays beyond those of every machine (``arrays``)."""
    trainer, when = _trainer(scenario), erbp_state.times(scenario)
    form, N, classes, tick_s = trainer.integer, plan.activations, plan.output.n, scenario.chip.timing.tick_s
    device = scenario.chip.synapse.device
    encoder = {
        "RATE": trainer.rate_Hz * tick_s, "PIXEL_THRESHOLD": trainer.pixel_threshold,
        "PIXEL_GAIN": trainer.pixel_scale / trainer.pixel_width, "DATA_REST": when.data_rest, "BURN_IN": when.burn_in,
        "LABEL_PERIOD": when.label_period,
    }  # fmt: skip
    stuck = arrays["scale_up"] == 0.0 if arrays["scale_up"].size == plan.parameters else np.zeros(plan.parameters, bool)
    values = {
        "RATE_SHIFT": form.rate_shift, "ROUNDING_BITS": form.rounding_bits, "ERROR_WEIGHT": form.error_weight,
        "ERROR_GAIN": form.error_gain, "ERROR_THRESHOLD": form.error_threshold, "OUTPUT_FEEDBACK": form.output_feedback,
        "ANNEAL_STEPS": trainer.anneal_steps, "W_MIN": int(device.w_min), "W_MAX": int(device.w_max),  # type: ignore[attr-defined]
        "STUCK": int(stuck.any()), "BITS_NOW": form.rounding_bits,
    }  # fmt: skip
    longest = max(when.sample, when.test)
    return {
        "erbp": np.array([encoder.get(name, 0.0) for name in erbp_state.SETTINGS], np.float64),
        "integer": np.array([values[name] for name in SETTINGS], np.int64),
        "integer_rows": np.array([_row(plan, layer) for layer in plan.layers], np.int64),
        "membrane": np.zeros(N, np.int64),
        "dendrite": np.zeros(N, np.int64),
        "dendrite_arrived": np.zeros(N, dtype),
        "feedback": feedback(scenario, plan).astype(dtype),
        "whole": np.zeros(N, dtype),
        "round_up": np.zeros(N, np.uint32),
        "drawn": np.zeros(max(layer.n for layer in plan.layers), np.uint32),
        "some": np.zeros(max(layer.n for layer in plan.layers), np.int64),
        "error": np.zeros(2 * classes, np.int64),
        "error_arrived": np.zeros(2 * classes, dtype),
        "error_fired": np.zeros(2 * classes, np.int64),
        "input_spikes": np.zeros((longest, plan.n_in), np.uint32),
        "input_spike_count": np.zeros(longest, np.int64),
        "early": np.zeros((2, when.test), np.int64),
        "free": (~stuck).astype(np.uint8),
    }


def _row(plan: NetworkPlan, layer: LayerPlan) -> list[int]:
    neuron = layer.neuron
    assert isinstance(neuron, IntegerErrorDrivenNeuron)
    values = {
        "LEAK": -neuron.membrane_shift, "DENDRITE_LEAK": -neuron.dendrite_shift, "GAIN": neuron.gain,
        "FEEDBACK_GAIN": neuron.feedback_gain, "THRESHOLD": int(neuron.threshold),
        "REFRACTORY": neuron.refractory_ticks, "HARD": int(neuron.reset == "hard"), "NOISE": neuron.noise_std,
        "TRANSMIT": blank_limit(neuron.transmit), "GATE_LOW": neuron.gate_low, "GATE_HIGH": neuron.gate_high,
        "FIRST": first_synapse(plan, layer),
    }  # fmt: skip
    return [values[name] for name in NEURON]


def feedback(scenario: Scenario, plan: NetworkPlan) -> np.ndarray:
    """The fixed random weights G [classes, hidden neurons], whole numbers whose sum over the classes is 0.

    A pure function of the seed. Standard deviation: sqrt(2 n k / classes) for n shuffles of k ones of either sign.
    """
    classes, hidden = plan.output.n, plan.output.act
    if not hidden:
        return np.zeros((classes, 1))
    shuffles, ones = _trainer(scenario).integer.feedback_shuffles, max(1, classes // 5)
    out = np.zeros((classes, hidden))
    xi = np.empty(shuffles * classes)
    for j in range(hidden):
        random.uniforms(xi, scenario.seed, random.STREAM_FEEDBACK, j + 1, 0, 0)
        order = np.argsort(xi.reshape(shuffles, classes), axis=1)
        out[:, j] += np.bincount(order[:, :ones].ravel(), minlength=classes)
        out[:, j] -= np.bincount(order[:, ones : 2 * ones].ravel(), minlength=classes)
    return out
