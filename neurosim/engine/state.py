"""The machine's memory: every array that a composed kernel works on, drawn and filled from the scenario.

All of it together is what a checkpoint keeps. Arrays that a run does not use have length 1.
"""

from __future__ import annotations

import math

import numpy as np

from neurosim import registry
from neurosim.chip import arrays as chip_arrays
from neurosim.chip import faults
from neurosim.chip.layers import NetworkPlan
from neurosim.data import Dataset
from neurosim.engine import cells, erbp_integer_state, erbp_state, registers
from neurosim.engine.compose import Composition, mechanism
from neurosim.errors import InputError
from neurosim.kernels import random
from neurosim.kernels.learn import ROUNDINGS
from neurosim.models.devices import base as devices
from neurosim.spec.scenario import Scenario
from neurosim.training.base import Trainer
from neurosim.training.delta import DeltaMGD
from neurosim.training.erbp import EventDrivenRandomBackprop
from neurosim.training.mgd import MGD
from neurosim.training.node import NodeSpace

Arrays = dict[str, np.ndarray]


def build(
    scenario: Scenario, composition: Composition, data: Dataset, step_s: float, start: np.ndarray | None
) -> Arrays:
    """All arrays of the machine, before the first step. ``start``: weights to begin with instead of drawn ones."""
    plan, trainer = composition.plan, scenario.training
    assert isinstance(trainer, Trainer)
    dtype = np.dtype(scenario.network.dtype)
    P, N = plan.parameters, plan.activations
    slots = len(composition.step.slots) + 1
    weight_space = composition.step.space == "weight"
    node_space = composition.step.space == "node"
    windowed = (
        trainer.tau_theta > 1 or trainer.optimizer != "plain" or any(layer.type == "conv2d" for layer in plan.layers)
    )
    gradient = weight_space or windowed or not plan.spiking or composition.step.space == "none"
    nodes = N if node_space else 1
    classes = max(1, data.classes) if isinstance(trainer, DeltaMGD) else 1

    domains = len(plan.trainable) if scenario.network.domains == "layer" else 1

    arrays: Arrays = {
        "tally": np.zeros(len(registers.tally_names(len(plan.layers))), np.int64),
        "ri": np.zeros(len(registers.REGISTERS_INT), np.int64),
        "rf": np.zeros(len(registers.REGISTERS_FLOAT), np.float64),
        **_dataset(data, dtype),
        "x": np.zeros(plan.n_in, dtype),
        "target": np.zeros(plan.output.n, dtype),
        "output": np.zeros(plan.output.n, dtype),
        "words": np.zeros(P if weight_space else 1, np.uint32),
        "old_words": np.zeros(P if weight_space else 1, np.uint32),
        "gradient": np.zeros(P if gradient else 1, dtype),
        "first_moment": np.zeros(P if trainer.optimizer != "plain" else 1, dtype),
        "second_moment": np.zeros(P if trainer.optimizer == "adam" else 1, dtype),
        "change": np.zeros(P, dtype),
        "perturbed": np.zeros(P if weight_space else 1, dtype),
        "pulse_tally": np.zeros(5, np.int64),
        "act": np.zeros((slots, N), dtype),
        "z": np.zeros((slots, N), dtype),
        "currents": np.zeros(plan.layers[0].n, dtype),
        "shift": np.zeros((2, plan.layers[0].n) if weight_space else (1, 1), dtype),
        "scratch": np.zeros(max(layer.n for layer in plan.layers), dtype),
        "injection": np.zeros((slots, nodes), dtype),
        "direction": np.zeros((slots, nodes), dtype),
        "coefficient": np.zeros(3, np.float64),
        "slope": np.zeros((slots, domains), np.float64),
        "costs": np.zeros((slots, domains), np.float64),
        "filtered": np.zeros(domains, np.float64),
        "previous": np.zeros(domains, np.float64),
        "size": np.ones(slots, np.float64),
        "layer_scale": _layer_scales(plan, trainer),
        "norms": np.ones(len(plan.layers), np.float64),
        "live": np.ones(N, np.int64),
        "delta": np.zeros((classes, nodes), dtype),
        **{
            name: np.zeros(nodes, dtype)
            for name in ("orthogonal", "prior", "estimate", "rates", "sigma", "delta_change")
        },
        "act_gradient": np.zeros(N, dtype),
        "z_gradient": np.zeros(N, dtype),
        "ring": np.zeros((scenario.chip.astrocyte.latency_steps + 1, domains), np.float64),
        "ring_number": np.zeros(scenario.chip.astrocyte.latency_steps + 1, np.int64),
        "evaluation": np.zeros(2, np.float64),
        "v": np.zeros(N, dtype),
        "refractory": np.zeros(N, np.int64),
        "current": np.zeros(N, dtype),
        "count": np.zeros(N, np.int64),
        "trace": np.zeros(N, dtype),
        "v_start": np.zeros(N, dtype),
        "input_activity": np.zeros(plan.n_in if plan.spiking else 1, dtype),
        "fired": np.zeros(N, np.int64),
        "fired_count": np.zeros(len(plan.layers), np.int64),
        "fired_input": np.zeros(plan.n_in, np.int64),
        "input_count": np.zeros(1, np.int64),
    }
    arrays |= _neurons(scenario, plan, dtype)
    arrays |= _devices(scenario, plan, trainer, dtype, start)
    arrays |= _injectors(scenario, plan, composition, dtype)
    if isinstance(trainer, EventDrivenRandomBackprop):
        form = erbp_integer_state if trainer.arithmetic == "integer" else erbp_state
        arrays |= form.build(scenario, plan, arrays, dtype)
    arrays["pi"], arrays["pf"] = settings(scenario, composition, data, step_s)
    arrays["rf"][registers.REGISTERS_FLOAT.index("RATE")] = trainer.learning_rate
    arrays["ri"][registers.REGISTERS_INT.index("VIEW_STALE")] = 2 * int(composition.view.renewed)
    if isinstance(trainer, MGD):
        # codes that are filled once get their words here; others when the first block begins
        code = registry.find("perturbation", trainer.code.model).module
        if code.BLOCK == 0:
            s0, s1 = trainer.code.settings()  # type: ignore[attr-defined]
            code.fill(arrays["words"], scenario.seed, 0, s0, s1)
    return arrays


def _layer_scales(plan: NetworkPlan, trainer: Trainer) -> np.ndarray:
    scales = np.ones(len(plan.layers))
    if isinstance(trainer, NodeSpace):
        wanted = trainer.scales(len(plan.trainable))
        if len(wanted) != len(plan.trainable):
            raise InputError(
                f"training.layer_scales: {len(wanted)} numbers for {len(plan.trainable)} layers with weights"
            )
        for layer, scale in zip(plan.trainable, wanted, strict=True):
            scales[layer.index] = scale
    return scales


def _dataset(data: Dataset, dtype: np.dtype) -> Arrays:
    train_y = data.train_y if data.train_y is not None else np.zeros(data.n_train, np.int64)
    test_y = data.test_y if data.test_y is not None else np.zeros(data.n_test, np.int64)
    order = np.argsort(train_y, kind="stable").astype(np.int64)
    starts = np.searchsorted(train_y[order], np.arange(max(1, data.classes) + 1)).astype(np.int64)
    return {
        "train_x": data.train_x.reshape(data.n_train, -1).astype(dtype),
        "train_t": data.train_t.astype(dtype),
        "train_y": train_y,
        "test_x": data.test_x.reshape(data.n_test, -1).astype(dtype),
        "test_t": data.test_t.astype(dtype),
        "test_y": test_y,
        "class_start": starts,
        "class_order": order,
    }


def initial_weights(scenario: Scenario, plan: NetworkPlan) -> np.ndarray:
    """First weights: a pure function of the training seed. uniform fills biases too; the others leave them zero."""
    init = scenario.network.init
    theta = np.zeros(plan.parameters)
    xi = np.empty(plan.parameters)
    draw = random.uniforms if init.model in ("uniform", "glorot") else random.normals
    draw(xi, scenario.seed, random.STREAM_INIT, 0, 0, 0)
    for layer in plan.trainable:
        weights = slice(layer.theta, layer.theta + layer.weights)  # of the first copy
        everything = slice(layer.theta, layer.theta + layer.shared)
        if init.model == "uniform":  # U(-scale, scale), biases included
            theta[everything] = init.scale * (2.0 * xi[everything] - 1.0)
        elif init.model == "normal":
            theta[weights] = init.scale * xi[weights]
        elif init.model == "glorot":
            patch = layer.rows // layer.in_shape[-1] if layer.type == "conv2d" and len(layer.in_shape) == 3 else 1
            limit = init.scale * math.sqrt(6.0 / (layer.rows + layer.columns * patch))
            theta[weights] = limit * (2.0 * xi[weights] - 1.0)
        else:  # he: N(0, scale sqrt(2 / fan-in))
            theta[weights] = init.scale * math.sqrt(2.0 / layer.rows) * xi[weights]
    for layer in plan.trainable:
        copies = theta[layer.theta : layer.theta + layer.parameters].reshape(layer.copies, layer.shared)
        copies[1:] = copies[0]
    last = plan.output
    theta[last.theta : last.theta + last.parameters] *= init.last_scale
    return theta


def _devices(
    scenario: Scenario, plan: NetworkPlan, trainer: Trainer, dtype: np.dtype, start: np.ndarray | None
) -> Arrays:
    """Device mismatch (from the fabrication seed), stuck devices, and the weights they hold at first."""
    chip, P = scenario.chip, plan.parameters
    parameters = chip.synapse.device
    assert isinstance(parameters, devices.DeviceParameters)
    paired = chip.synapse.pair == "one-sided"
    count = 2 * P if paired else P
    drawn = devices.draw(parameters, count, chip.fabrication_seed)
    wanted = initial_weights(scenario, plan) if start is None else start
    held = devices.start(parameters, drawn, cells.split(parameters, wanted) if paired else wanted)
    exact = getattr(registry.find("device", parameters.model).module, "EXACT", False)
    stored, free = np.array(wanted, np.float64) if exact else held, np.ones(count, np.uint8)
    chip_arrays.stick(chip, stored, free, drawn.w_min, drawn.w_max)
    theta = stored.astype(dtype)
    if paired:
        theta = theta[:P] - theta[P:]
    if chip.synapse.stuck_fraction > 0.0:
        u = np.empty(count)
        random.uniforms(u, chip.fabrication_seed, random.STREAM_STUCK, 0, 0, 0)
        free[u < chip.synapse.stuck_fraction] = 0
    up, down = drawn.scale_up * free, drawn.scale_down * free  # a stuck device takes steps of zero
    if exact and mechanism(scenario, trainer) != "write":
        up, down, low, high = (np.ones(1, dtype) for _ in range(4))
    else:
        low, high = drawn.w_min, drawn.w_max
    rounding = trainer.update_rounding or chip.synapse.update_rounding
    return {
        "theta": theta,
        "free": free if exact else np.ones(1, np.uint8),
        "scale_up": up.astype(dtype),
        "scale_down": down.astype(dtype),
        "w_min": low.astype(dtype),
        "w_max": high.astype(dtype),
        "residual": np.zeros(P if rounding == "carry" else 1, dtype),
        **cells.arrays(scenario, plan, held, dtype),
    }


def _neurons(scenario: Scenario, plan: NetworkPlan, dtype: np.dtype) -> Arrays:
    """Frozen mismatch of every neuron: nominal value times or plus its draw."""
    hardware, chip, N = scenario.chip.neuron, scenario.chip, plan.activations

    def draw(which: int, std: float, mean: float) -> np.ndarray:
        xi = np.zeros(N)
        if std > 0.0:
            random.normals(xi, chip.fabrication_seed, random.STREAM_MISMATCH_NEURON, which, 0, 0)
        return (mean + std * xi).astype(dtype)

    threshold, leak = np.ones(N), np.ones(N)
    for layer in plan.layers:
        span = slice(layer.act, layer.act + layer.n)
        if layer.spiking:
            threshold[span] = layer.neuron.threshold  # type: ignore[union-attr]
            leak[span] = layer.neuron.leak(chip.timing.tick_s)  # type: ignore[union-attr]
    leak_rate = -np.log(np.maximum(leak, 1e-300)) * draw(5, hardware.leak_dtod, 1.0)
    return {
        "node_scale": draw(0, hardware.scale_dtod, 1.0),
        "node_slope": draw(1, hardware.slope_dtod, 1.0),
        "node_x_offset": draw(2, hardware.x_offset_dtod, 0.0),
        "node_y_offset": draw(3, hardware.y_offset_dtod, 0.0),
        "node_threshold": (threshold * np.maximum(draw(4, hardware.threshold_dtod, 1.0), 0.05)).astype(dtype),
        "node_leak": np.exp(-np.maximum(leak_rate, 0.0)).astype(dtype),
        "node_gain": draw(6, hardware.gain_dtod, 1.0),
    }


def _injectors(scenario: Scenario, plan: NetworkPlan, composition: Composition, dtype: np.dtype) -> Arrays:
    """Amplitude mismatch of perturbation generators: per weight, or per injector."""
    std, seed = scenario.chip.perturbation.amplitude_dtod, scenario.chip.fabrication_seed
    arrays: Arrays = {}
    for name, space, size, which in (
        ("mismatch", "weight", plan.parameters, 0),
        ("node_mismatch", "node", plan.activations, 1),
    ):
        here = composition.step.space == space
        # dead synapses take no perturbation: theirs is -1
        xi = np.zeros(size if here and (std > 0.0 or (which == 0 and faults.kills_synapses(scenario.chip))) else 1)
        if here and std > 0.0:
            random.normals(xi, seed, random.STREAM_AMPLITUDE, which, 0, 0)
        arrays[name] = (std * xi).astype(dtype)
    return arrays


def settings(
    scenario: Scenario, composition: Composition, data: Dataset, step_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """The run-time settings (``pi``, ``pf``) of a scenario; ``step_s`` is the nominal duration of a step."""
    chip, trainer, plan = scenario.chip, scenario.training, composition.plan
    assert isinstance(trainer, Trainer)
    astrocyte, P = chip.astrocyte, plan.parameters
    device = chip.synapse.device
    norm_mag, amplitude, scale = trainer.norm_mag, trainer.norm_mag, 1.0
    s0 = s1 = 0.0
    tau_p = 1
    if isinstance(trainer, MGD):
        code = registry.find("perturbation", trainer.code.model).module
        s0, s1 = trainer.code.settings()  # type: ignore[attr-defined]
        amplitude = code.amplitude(plan.shared, norm_mag, s0)
        amplitude, norm_mag = _hardware_amplitude(scenario, trainer, amplitude, norm_mag)
        tau_p = trainer.tau_p
        if trainer.normalise:
            tau = max(1, trainer.tau_theta // trainer.tau_p)
            scale = math.sqrt(tau / (tau + plan.shared - 1.0)) * plan.shared / trainer.tau_theta
    noise = astrocyte.cost_noise_std
    if astrocyte.cost_noise_density > 0.0:
        measuring_s = max(chip.timing.perturbation_period_s, step_s / len(composition.step.slots), 1e-15)
        noise = math.hypot(noise, astrocyte.cost_noise_density * math.sqrt(0.5 / measuring_s))
    pair = 1.0 + chip.synapse.g_min_S / chip.synapse.g_max_S if chip.synapse.g_max_S > 0.0 else 0.0
    delta_keep = math.exp(-step_s / astrocyte.delta_tau_s) if astrocyte.delta_tau_s > 0.0 else 1.0
    rounding = trainer.update_rounding or chip.synapse.update_rounding
    node = trainer if isinstance(trainer, NodeSpace) else None
    delta = trainer if isinstance(trainer, DeltaMGD) else None
    integers = {
        "SEED": scenario.seed, "TAU_X": trainer.tau_x, "TAU_P": tau_p, "TAU_THETA": trainer.tau_theta,
        "N_TRAIN": data.n_train, "N_TEST": data.n_test, "SHUFFLE": int(scenario.task.shuffle),
        "DAC_BITS": chip.periphery.dac_bits, "ADC_BITS": chip.periphery.adc_bits, "COST_BITS": astrocyte.cost_bits,
        "C_TILDE_BITS": astrocyte.c_tilde_bits, "ROUNDING": ROUNDINGS[rounding], "MAX_PULSES": trainer.max_pulses,
        "OPTIMIZER": ("plain", "momentum", "adam").index(trainer.optimizer), "DECAY_STEPS": trainer.decay_steps,
        "LATENCY": astrocyte.latency_steps, "DELAY_MATCHED": int(chip.capabilities.delay_matching),
        "REFRESH_MEASUREMENTS": delta.refresh_measurements if delta else 0, "DELTA_BITS": astrocyte.delta_bits,
        "VERIFY_LIMIT": chip.synapse.verify_limit, "REFRESH_EVERY": chip.synapse.refresh_every,
    }  # fmt: skip
    floats = {
        "NORM_MAG": norm_mag, "SIZE": float(P), "AMPLITUDE": amplitude, "LEARNING_RATE": trainer.learning_rate,
        "BETA1": trainer.beta1, "BETA2": trainer.beta2, "ESTIMATE_SCALE": scale,
        "CLAMP": trainer.cost_clamp or math.inf, "TAU_HP": astrocyte.tau_hp_steps,
        "READ_NOISE": chip.synapse.read_noise_std * chip_arrays.noise_share(chip), "COST_NOISE": noise,
        "BROADCAST_NOISE": astrocyte.broadcast_noise_std, "MEMBRANE_NOISE": chip.neuron.membrane_noise_std,
        "DAC_RANGE": chip.periphery.dac_range, "ADC_RANGE": chip.periphery.adc_range,
        "COST_RANGE": astrocyte.cost_range, "C_TILDE_RANGE": astrocyte.c_tilde_range,
        "SMOOTHING": scenario.task.cost.smoothing,  # type: ignore[attr-defined]
        "STEP_SIZE": device.step_size, "CYCLE_STD": device.dw_min_std,  # type: ignore[attr-defined]
        "WRITE_STD": device.write_noise_std, "S0": s0, "S1": s1, "CELL_PAIR": pair,  # type: ignore[attr-defined]
        "NODE_RATE": delta.aligned_rate if delta else 1.0, "KAPPA": node.step_limit if node else 0.0,
        "PRIOR_RATE": delta.prior_rate if delta else 0.0, "MEMORY_RATE": delta.memory_rate if delta else 0.0,
        "ORTHOGONAL_RATE": delta.orthogonal_rate if delta else 1.0, "DELTA_NOISE": astrocyte.delta_noise_std,
        "PROBE_RMS": (node.probe_rms or 0.0) if node else 0.0,
        "ALIGNED_MEMORY_RATE": delta.aligned_memory_rate if delta else 0.0,
        "REFRESH_BLEND": delta.refresh_blend if delta else 1.0,
        "START_MEMBRANE": scenario.network.spiking.start_membrane, "DELTA_RANGE": astrocyte.delta_range,
        "DELTA_KEEP": delta_keep,
        "TRACE_DECAY": scenario.network.spiking.trace_decay, "ELAPSE_PERIOD_S": chip.synapse.elapse_period_s,
        **cells.settings(chip.synapse),
    }  # fmt: skip
    return (
        np.array([integers[name] for name in registers.SETTINGS_INT], np.int64),
        np.array([floats[name] for name in registers.SETTINGS_FLOAT], np.float64),
    )


def _hardware_amplitude(scenario: Scenario, trainer: MGD, amplitude: float, norm_mag: float) -> tuple[float, float]:
    """The amplitude that the mechanism can apply: whole device steps (write) or whole LSBs (read-adder)."""
    kind = mechanism(scenario, trainer)
    grain = 0.0
    if kind == "write":
        grain = scenario.chip.synapse.device.step_size  # type: ignore[attr-defined]
    elif kind == "read-adder":
        grain = scenario.chip.perturbation.lsb
        if grain <= 0.0:
            raise InputError("chip.perturbation.lsb = 0: a read-adder needs the step of its digital weights")
    if grain == 0.0:
        return amplitude, norm_mag
    rounded = grain * max(1, round(amplitude / grain))
    return rounded, norm_mag * rounded / amplitude
