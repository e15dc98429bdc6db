"""Array non-idealities in training: each alone, all together, the same bits however a run is cut, counts and refusals."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from helpers_laws import RI, Table, classes_of, dense, merged, plain, same_machine, samples, scenario

import neurosim as ns
from neurosim import api, models
from neurosim.chip import arrays
from neurosim.data import Dataset
from neurosim.engine.control import Control
from neurosim.engine.machine import Machine
from neurosim.engine.sink import NullSink
from neurosim.errors import InputError
from neurosim.spec import load
from neurosim.spec.array import ArrayHardware
from neurosim.spec.chip import ideal
from neurosim.spec.scenario import Scenario
from neurosim.spec.schema import chip_schema

models.load_builtin()

CELLS: Table = {"synapse": {"g_max_S": 1e-4, "g_min_S": 1e-5}}
CUT: Table = {
    "geometry": {"cores": 64, "mesh_width": 8, "inputs_per_core": 5, "neurons_per_core": 3, "synapses_per_core": 15}
}
"""Cores of 5 x 3 cells: layers are cut along both axes."""
LAYERS = [dense("hidden", 7, "tanh"), dense("out", 3, "linear")]
SOFT: Table = {"synapse": {"device": {"model": "soft-bounds", "dw_min": 1e-3, "w_max_dtod": 0.2, "w_min_dtod": 0.2}}}
DROP = {"ir_drop": "exact", "row_wire_ohm": 30.0, "column_wire_ohm": 20.0, "row_driver_ohm": 50.0, "weight_range": 1.5}
SLICED = {"slices": 3, "slice_bits": 2, "weight_range": 1.5}
COLUMNS = {"adc_at": "columns", "adc_bits": 5, "adc_range": 4.0}


def data() -> Dataset:
    rng = np.random.default_rng(5)
    return classes_of(rng.uniform(-1.0, 1.0, size=(12, 6)), rng.integers(0, 3, size=12), 3)


def described(chip: Table, layers: list[Table] = LAYERS, training: Table | None = None, **more: Any) -> Scenario:
    table = merged(merged(CELLS, CUT), chip)
    return scenario(layers, training or {}, chip=table, **more)


def machine(
    chip: Table, layers: list[Table] = LAYERS, given: Dataset | None = None, training: Table | None = None
) -> Machine:
    return plain(Machine(described(chip, layers, training), given or data()))


def read(made: Machine, sample: int = 0, moment: int | None = None) -> np.ndarray:
    """Pre-activations of one clean inference of a test sample."""
    made.show_test_sample(sample)
    if moment is not None:
        made.arrays["ri"][RI["MOMENT"]] = moment
    slot = len(made.composition.step.slots)
    for layer in made.plan.layers:
        made.phase("settle", slot, layer.index)
    return made.arrays["z"][slot].copy()


def seen(made: Machine) -> np.ndarray:
    """``theta`` as the array lets it be read: tile by tile, by the public function."""
    theta = np.array(made.arrays["theta"], np.float64)
    out, chip = theta.copy(), made.scenario.chip
    for first, stride, rows, columns in arrays.places(made.plan, made.placement):
        at = first + stride * np.arange(rows)[:, None] + np.arange(columns)
        out[at] = ns.effective_weights(theta[at], chip)
    return out


def forward(made: Machine, theta: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Pre-activations of both layers in numpy."""
    first, second = (theta[k.theta : k.theta + k.parameters].reshape(-1, k.columns) for k in made.plan.layers)
    hidden = np.append(x, 1.0) @ first
    return np.concatenate([hidden, np.append(np.tanh(hidden), 1.0) @ second])


@functools.cache
def perfect() -> Machine:
    made = machine({})
    made.burst(20)
    return made


# --- what reads see ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "array",
    [
        DROP,
        {**DROP, "ir_drop": "first-order", "column_sense_ohm": 40.0},
        {"slice_bits": 3, "weight_range": 1.5},
        {**DROP, **SLICED},
    ],
)
def test_reads_see_what_wires_and_slices_leave(array: Table) -> None:
    made = machine({"array": array})
    assert len(made.placement.arrays(0)) == 6
    expected = forward(made, seen(made), made.data.test_x[4].astype(np.float64))
    np.testing.assert_allclose(read(made, 4), expected, rtol=1e-9, atol=1e-12)
    ideal_sum = forward(made, np.array(made.arrays["theta"]), made.data.test_x[4].astype(np.float64))
    assert np.abs(expected - ideal_sum).max() > 1e-3


@pytest.mark.parametrize("model", ["mgd", "node", "backprop"])
def test_reads_follow_every_write(model: str) -> None:
    training = {"model": model, "tau_theta": 1, "learning_rate": 0.05}
    training |= {"on_chip": False} if model == "backprop" else {"norm_mag": 0.05}
    made = machine({"array": DROP}, training=training)
    before = np.array(made.arrays["theta"])
    for _ in range(3):
        made.burst(4)
        assert not np.array_equal(made.arrays["theta"], before)
        before = np.array(made.arrays["theta"])
        x = made.data.test_x[1].astype(np.float64)
        np.testing.assert_allclose(read(made, 1), forward(made, seen(made), x), rtol=1e-9, atol=1e-12)


def test_wires_act_on_what_time_has_left() -> None:
    leaky: Table = {"synapse": {"device": {"model": "capacitor", "tau_leak_s": 1e-6}}}
    alone, wired = machine(leaky), machine({**leaky, "array": DROP})
    start = np.array(alone.arrays["theta"])
    for made in (alone, wired):
        made.burst(40)
        for layer in ("hidden", "out"):
            made.weights(layer)
    aged = np.array(alone.arrays["seen"])
    assert np.abs(aged / start).max() < 0.9
    for first, stride, rows, columns in arrays.places(wired.plan, wired.placement):
        at = first + stride * np.arange(rows)[:, None] + np.arange(columns)
        expected = ns.effective_weights(aged[at], wired.scenario.chip)
        np.testing.assert_allclose(wired.arrays["seen"][at], expected, rtol=1e-12, atol=1e-15)


def test_a_perturbation_by_writing_is_read_through_the_wires() -> None:
    training = {"norm_mag": 0.05, "mechanism": "write"}
    chip: Table = {"synapse": {"device": {"model": "constant-step", "dw_min": 1e-3}}, "array": DROP}
    made = machine(chip, training=training)
    theta = np.array(made.arrays["theta"])
    made.phase("present")
    made.phase("perturb")
    slot = next(k for k, sign in enumerate(made.composition.step.slots) if sign != 0)
    made.phase("prepare", slot)
    assert not np.array_equal(made.arrays["theta"], theta)
    for layer in made.plan.layers:
        made.phase("settle", slot, layer.index)
    x = np.array(made.arrays["x"])
    np.testing.assert_allclose(made.arrays["z"][slot], forward(made, seen(made), x), rtol=1e-6, atol=1e-7)


def test_the_gradient_is_that_of_the_array_as_it_is_read() -> None:
    made = machine(
        {"array": DROP}, training={"model": "backprop", "on_chip": False, "learning_rate": 1e-300, "tau_theta": 1}
    )
    theta = seen(made)
    x, target = made.data.train_x[0].astype(np.float64), made.data.train_t[0].astype(np.float64)

    def cost(weights: np.ndarray) -> float:
        return float(np.mean((forward(made, weights, x)[-3:] - target) ** 2))

    gradient = made.true_gradient(0)
    for e in (0, 9, 40, 55, 70):
        step = np.zeros(theta.size)
        step[e] = 1e-6
        assert gradient[e] == pytest.approx((cost(theta + step) - cost(theta - step)) / 2e-6, rel=1e-5, abs=1e-9)


def test_a_spiking_network_reads_the_same_weights() -> None:
    layers = [dense("hidden", 4, {"model": "if", "threshold": 1e9})]
    network = {"spiking": {"encoder": "current", "readout_ticks": 1, "washout_ticks": 0}}
    inputs = samples(np.array([[0.2, 0.9, 0.0, 0.6]]), np.zeros((1, 4)))
    chip = {"array": {**DROP, **SLICED}, "timing": {"tick_s": 1e-6}}
    made = plain(Machine(described(chip, layers, network=network), inputs))
    theta = seen(made).reshape(-1, 4)
    made.show_test_sample(0)
    slot = len(made.composition.step.slots)
    made.phase("begin", slot)
    for phase in ("deliver", "integrate"):
        made.phase(phase, slot, 0)
    expected = np.append(inputs.test_x[0].astype(np.float64), 1.0) @ theta
    np.testing.assert_allclose(made.arrays["current"], expected, rtol=1e-9)


# --- slices behind converters -----------------------------------------------------------------------------------------


def quantised(y: np.ndarray, bits: int = 5, limit: float = 4.0) -> np.ndarray:
    lsb = limit / (2 ** (bits - 1) - 1)
    return lsb * np.floor(np.clip(y, -limit, limit) / lsb + 0.5)


def test_every_slice_is_digitised_on_its_own() -> None:
    made = machine({"array": SLICED, "periphery": COLUMNS}, layers=[dense("out", 3, "linear")])
    theta = np.array(made.arrays["theta"], np.float64).reshape(-1, 3)
    x = np.append(made.data.test_x[2].astype(np.float64), 1.0)
    n = np.floor(np.minimum(np.abs(theta) / 1.5, 1.0) * 63 + 0.5).astype(int)
    digits = [np.sign(theta) * ((n >> shift) & 3) / 3 * 1.5 for shift in (4, 2, 0)]
    expected = sum(
        share * quantised(x @ digit) for share, digit in zip((48 / 63, 12 / 63, 3 / 63), digits, strict=True)
    )
    whole = quantised(x @ (np.sign(theta) * n / 63 * 1.5))
    np.testing.assert_allclose(read(made, 2), expected, rtol=1e-12)
    assert np.abs(expected - whole).max() > 0.01


@pytest.mark.parametrize("mapping", ["serial", "replicated"])
def test_slices_of_a_convolution_are_digitised_too(mapping: str) -> None:
    layers: list[Table] = [
        {"type": "conv2d", "name": "maps", "channels": 2, "kernel": 2, "neuron": "linear", "mapping": mapping},
        dense("out", 3, "linear"),
    ]
    rng = np.random.default_rng(8)
    images = classes_of(rng.uniform(size=(6, 3, 3)), rng.integers(0, 3, size=6), 3)
    loose = {"geometry": {"inputs_per_core": 20, "neurons_per_core": 8, "synapses_per_core": 160}}
    fine = {"adc_at": "columns", "adc_bits": 24, "adc_range": 8.0}
    one = machine({**loose, "array": SLICED, "periphery": fine}, layers, images)
    two = machine({**loose, "array": SLICED}, layers, images)
    np.testing.assert_allclose(read(one), read(two), atol=1e-5)
    coarse = machine({**loose, "array": SLICED, "periphery": COLUMNS}, layers, images)
    assert np.abs(read(coarse) - read(two)).max() > 0.01


# --- noise of rows and columns ----------------------------------------------------------------------------------------


def draws(chip: Table, count: int = 3000, layers: list[Table] | None = None) -> tuple[Machine, np.ndarray]:
    made = machine(chip, layers or [dense("out", 3, "linear")])
    made.data.test_x[0, 3] = 0.0
    made = plain(Machine(made.scenario, made.data))
    return made, np.array([read(made, 0, moment) for moment in range(count)])


def test_noise_of_rows_is_that_of_the_driven_ones() -> None:
    """cov(z_j, z_k) = sigma^2 (b_j b_k + sum over driven i of w_ij w_ik), to 5 standard errors."""
    made, z = draws({"periphery": {"input_noise_std": 0.1}})
    theta = np.array(made.arrays["theta"], np.float64).reshape(-1, 3)
    driven = theta[[0, 1, 2, 4, 5, 6]]
    expected = 0.01 * driven.T @ driven
    spread = np.sqrt((np.outer(np.diag(expected), np.diag(expected)) + expected**2) / len(z))
    assert (np.abs(np.cov(z.T) - expected) < 5 * spread).all()
    clean = np.append(made.data.test_x[0].astype(np.float64), 1.0) @ theta
    assert (np.abs(z.mean(axis=0) - clean) < 5 * np.sqrt(np.diag(expected) / len(z))).all()


@pytest.mark.parametrize(("array", "share"), [({}, 1.0), (SLICED, np.linalg.norm([48 / 63, 12 / 63, 3 / 63]))])
def test_noise_of_columns_adds_up_over_cut_rows_and_slices(array: Table, share: float) -> None:
    """Seven rows stand in two arrays of five: two amplifiers for each sum."""
    made, z = draws({"periphery": {"output_noise_std": 0.2}, "array": array})
    expected = 0.04 * 2 * share**2
    covariance = np.cov(z.T)
    error = expected * np.sqrt(2 / len(z))
    assert (np.abs(np.diag(covariance) - expected) < 5 * error).all()
    assert (np.abs(covariance - np.diag(np.diag(covariance))) < 5 * error).all()


def test_noise_of_cells_is_each_slices_own() -> None:
    """Behind fine converters, noise of slices read one by one has the variance of what is added up unconverted."""
    fine = {"adc_at": "columns", "adc_bits": 24, "adc_range": 50.0}
    for periphery in ({}, fine):
        made, z = draws({"periphery": periphery, "array": SLICED, "synapse": {"read_noise_std": 0.1}})
        x = made.data.test_x[0].astype(np.float64)
        expected = 0.01 * (1 + x @ x) * (48**2 + 12**2 + 3**2) / 63**2
        assert (np.abs(z.var(axis=0) - expected) < 5 * expected * np.sqrt(2 / len(z))).all()


def test_spiking_columns_have_noise_in_every_tick() -> None:
    layers = [dense("hidden", 4, {"model": "if", "threshold": 1e9})]
    network = {"spiking": {"encoder": "regular", "readout_ticks": 400, "washout_ticks": 0}}
    inputs = samples(np.zeros((1, 4)), np.zeros((1, 4)))
    chip = {"periphery": {"output_noise_std": 0.2}, "timing": {"tick_s": 1e-6}}
    made = plain(Machine(described(chip, layers, network=network), inputs))
    bias = np.array(made.arrays["theta"])[-4:]
    made.show_test_sample(0)
    slot, currents = len(made.composition.step.slots), []
    made.phase("begin", slot)
    for tick in range(400):
        made.phase("deliver", slot, tick)
        currents.append(np.array(made.arrays["current"]) - bias)
    noise = np.array(currents)
    variance = 0.04 * len({tile.first_row for tile in made.placement.arrays(0)})
    assert np.abs(noise.var(axis=0) / variance - 1).max() < 5 * np.sqrt(2 / 400)


# --- dead lines and stuck devices -------------------------------------------------------------------------------------


def test_dead_lines_are_whole_lines_of_arrays_and_stay_dead() -> None:
    training = {"tau_theta": 1, "norm_mag": 0.05, "learning_rate": 0.5}
    made = machine({"array": {"dead_row_fraction": 0.3, "dead_column_fraction": 0.2}}, training=training)
    start = np.array(machine({}, training=training).arrays["theta"])
    theta = np.array(made.arrays["theta"])
    dead = theta == 0.0
    np.testing.assert_array_equal(theta[~dead], start[~dead])
    rows = columns = 0
    for first, stride, down, across in arrays.places(made.plan, made.placement):
        block = dead[first + stride * np.arange(down)[:, None] + np.arange(across)]
        dead_rows, dead_columns = block.all(axis=1), block.all(axis=0)
        np.testing.assert_array_equal(block, dead_rows[:, None] | dead_columns)
        rows, columns = rows + dead_rows.sum(), columns + dead_columns.sum()
    assert rows > 3
    assert columns > 1
    made.burst(30)
    np.testing.assert_array_equal(np.array(made.arrays["theta"]) == 0.0, dead)
    np.testing.assert_array_equal(np.array(made.arrays["mismatch"])[dead], -1.0)


def test_dead_synapses_carry_nothing_through_wires_either() -> None:
    drop = {"ir_drop": "exact", "row_wire_ohm": 500.0, "column_wire_ohm": 500.0, "weight_range": 2.0}
    made = machine({"array": drop, "faults": [{"dead_synapse_fraction": 0.2}]})
    made.evaluate(1)
    theta, seen = np.array(made.arrays["theta"]), np.array(made.arrays["seen"])
    dead = np.array(made.arrays["array_dead"]) == 1
    np.testing.assert_array_equal(theta[dead], 0.0)
    np.testing.assert_array_equal(seen[dead], 0.0)
    assert 0.1 < dead.mean() < 0.3
    assert (seen[~dead] != theta[~dead]).mean() > 0.9


def test_the_part_of_dead_lines_is_the_fraction_asked_for() -> None:
    chip = load.load_chip("analog-if")
    for axis, key in enumerate(("dead_row_fraction", "dead_column_fraction")):
        array = chip.array.model_copy(update={key: 0.1})
        dead = arrays.dead(chip.model_copy(update={"array": array}), np.array([(0, 600, 500, 600)]), 300_000)
        lines = dead.reshape(500, 600).all(axis=1 - axis)
        assert dead.sum() == lines.sum() * dead.size / lines.size
        assert abs(lines.mean() - 0.1) < 5 * np.sqrt(0.09 / lines.size)


@pytest.mark.parametrize("device", ["ideal", "soft-bounds"])
def test_stuck_devices_stand_at_their_values(device: str) -> None:
    training = {"tau_theta": 1, "norm_mag": 0.05, "learning_rate": 0.5}
    fractions = {
        "stuck_at_w_max_fraction": 0.1,
        "stuck_at_w_min_fraction": 0.2,
        "stuck_at_zero_fraction": 0.15,
        "weight_range": 1.5,
    }
    chip = SOFT if device == "soft-bounds" else {}
    layers = [dense("out", 3, "linear")]
    rng = np.random.default_rng(9)
    wide = classes_of(rng.uniform(size=(6, 400)), rng.integers(0, 3, size=6), 3)
    loose = {"geometry": {"inputs_per_core": 500, "neurons_per_core": 8, "synapses_per_core": 4000}}
    made = machine(merged(merged(chip, loose), {"array": fractions}), layers, wide, training)
    start = np.array(machine(merged(chip, loose), layers, wide, training).arrays["theta"])
    theta = np.array(made.arrays["theta"])
    w_max = np.array(made.arrays["w_max"]) if device == "soft-bounds" else np.full(theta.size, 1.5)
    w_min = np.array(made.arrays["w_min"]) if device == "soft-bounds" else np.full(theta.size, -1.5)
    groups = [(theta == w_max) & (start != w_max), (theta == w_min) & (start != w_min), theta == 0.0]
    for group, fraction in zip(groups, (0.1, 0.2, 0.15), strict=True):
        assert abs(group.mean() - fraction) < 4 * np.sqrt(fraction * (1 - fraction) / theta.size)
    stuck = np.any(groups, axis=0)
    np.testing.assert_array_equal(theta[~stuck], start[~stuck])
    made.burst(20)
    np.testing.assert_array_equal(np.array(made.arrays["theta"])[stuck], theta[stuck])
    assert (np.array(made.arrays["theta"])[~stuck] != theta[~stuck]).mean() > 0.3


# --- each alone, none, all --------------------------------------------------------------------------------------------

SWITCHES: dict[str, Table] = {
    "dac bits": {"periphery": {"dac_bits": 2}},
    "dac range": {"periphery": {"dac_bits": 24, "dac_range": 0.5}},
    "adc bits": {"periphery": {"adc_bits": 3}},
    "adc range": {"periphery": {"adc_bits": 24, "adc_range": 0.2}},
    "column adc": {"periphery": {"adc_bits": 3, "adc_at": "columns"}},
    "input noise": {"periphery": {"input_noise_std": 0.1}},
    "output noise": {"periphery": {"output_noise_std": 0.1}},
    "read noise": {"synapse": {"read_noise_std": 0.05}},
    "first-order ir drop": {"array": {**DROP, "ir_drop": "first-order"}},
    "exact ir drop": {"array": DROP},
    "slices": {"array": SLICED},
    "dead rows": {"array": {"dead_row_fraction": 0.3}},
    "dead columns": {"array": {"dead_column_fraction": 0.3}},
    "stuck at w_max": {"array": {"stuck_at_w_max_fraction": 0.2, "weight_range": 1.5}},
    "stuck at w_min": {"array": {"stuck_at_w_min_fraction": 0.2, "weight_range": 1.5}},
    "stuck at zero": {"array": {"stuck_at_zero_fraction": 0.2}},
}
ALL: Table = {
    "array": {
        **DROP, **SLICED, "dead_row_fraction": 0.1, "dead_column_fraction": 0.05, "stuck_at_w_max_fraction": 0.05,
        "stuck_at_w_min_fraction": 0.05, "stuck_at_zero_fraction": 0.05,
    },
    "periphery": {**COLUMNS, "dac_bits": 6, "dac_range": 0.8, "input_noise_std": 0.02, "output_noise_std": 0.02},
    "synapse": {"read_noise_std": 0.01, **SOFT["synapse"]},
}  # fmt: skip
MISMATCHED: Table = {
    "neuron": {"slope_dtod": 0.1},
    "perturbation": {"amplitude_dtod": 0.1},
    "astrocyte": {"cost_noise_std": 1e-3, "cost_unit": "digital"},
}


@pytest.mark.parametrize("name", SWITCHES)
def test_one_switch_changes_what_is_read_and_no_other_draw(name: str) -> None:
    """Perturbations, mismatch and noise of the cost are bit for bit those of the machine without it."""
    training = {"norm_mag": 0.05}
    one = machine(merged(MISMATCHED, SWITCHES[name]), training=training)
    none = machine(MISMATCHED, training=training)
    one.burst(1)
    none.burst(1)
    assert not np.array_equal(one.arrays["costs"], none.arrays["costs"])
    for drawn in ("words", "node_slope", "scale_up", "w_max", "x", "target"):
        if drawn == "x" and name.startswith("dac"):
            continue
        np.testing.assert_array_equal(one.arrays[drawn], none.arrays[drawn], err_msg=drawn)
    alive = np.array(one.arrays["mismatch"]) != -1.0
    np.testing.assert_array_equal(np.array(one.arrays["mismatch"])[alive], np.array(none.arrays["mismatch"])[alive])
    untouched = "stuck" in name or "dead" in name
    kept = np.array(one.arrays["theta"]) == np.array(none.arrays["theta"])
    assert kept.mean() > 0.5 if untouched else kept.all()


def test_noise_of_the_cost_is_the_same_with_or_without_noise_of_columns() -> None:
    chip = {"astrocyte": {"cost_noise_std": 0.01}}
    quiet, loud = machine(chip), machine(merged(chip, {"periphery": {"output_noise_std": 1e-300}}))
    quiet.burst(3)
    loud.burst(3)
    np.testing.assert_array_equal(quiet.arrays["costs"], loud.arrays["costs"])


def test_everything_off_is_the_machine_without_arrays() -> None:
    """The same kernel, the same memory: wires and ranges that no switch reads change nothing."""
    made = machine({"array": {"row_wire_ohm": 5.0, "weight_range": 2.0}, "periphery": {"dac_range": 3.0}})
    made.burst(20)
    assert made.source == perfect().source
    assert "array_view" not in made.source
    for name, arena in made.arenas.items():
        if name != "D":  # dac_range is among the settings there
            np.testing.assert_array_equal(arena, perfect().arenas[name])
    np.testing.assert_array_equal(made.arrays["rf"], perfect().arrays["rf"])


def test_ideal_turns_all_of_it_off() -> None:
    chip = described(ALL).chip
    assert len(arrays.in_use(chip)) == 9
    perfected = ideal(chip)
    assert arrays.in_use(perfected) == []
    assert (perfected.periphery.dac_bits, perfected.periphery.adc_bits) == (0, 0)
    made = plain(Machine(described(ALL).model_copy(update={"chip": perfected}), data()))
    made.burst(20)
    np.testing.assert_array_equal(made.arrays["act"], perfect().arrays["act"])


@pytest.mark.parametrize("name", ["analog-if", "nist-hw3", "loihi-sanafe"])
def test_a_perfect_twin_is_the_ideal_chip_under_its_own_name(name: str) -> None:
    twin, chip = load.load_chip(f"{name}-ideal"), ideal(load.load_chip(name))
    renamed = {"name": chip.name, "summary": chip.summary, "hypothetical": chip.hypothetical}
    assert twin.hypothetical
    assert twin.model_copy(update=renamed) == chip


def test_a_device_put_on_a_perfect_twin_has_its_own_defaults() -> None:
    chip = described(
        {"name": "analog-if-ideal", "synapse": {"device": {"model": "soft-bounds", "dw_min_std": 0.3}}}
    ).chip
    assert chip.synapse.device.model_dump(exclude_defaults=True) == {"dw_min_std": 0.3}


def test_one_imperfection_alone_is_the_ideal_run_with_it() -> None:
    made = machine({"name": "analog-if-ideal", "array": DROP})
    assert arrays.in_use(made.scenario.chip) == ["chip.array.ir_drop"]
    assert made.scenario.chip.neuron == type(made.scenario.chip.neuron)()
    none = machine({"name": "analog-if-ideal"})
    expected = forward(none, seen(made), made.data.test_x[3].astype(np.float64))
    np.testing.assert_allclose(read(made, 3), expected, rtol=1e-9, atol=1e-12)


def everything() -> Machine:
    training = {"tau_theta": 3, "tau_x": 2, "norm_mag": 0.05, "learning_rate": 1.0}
    resolved = described(ALL, training=training, network={"dtype": "float32"}, task={"shuffle": True})
    probes = resolved.probes.model_copy(update={"record_every": 16, "evaluate_every": 25})
    stop = resolved.stop.model_copy(update={"steps": 60})
    return plain(Machine(resolved.model_copy(update={"probes": probes, "stop": stop}), data()))


def controlled(**how: Any) -> Machine:
    made = everything()
    control = Control(made, NullSink(), **how)
    control.begin()
    assert control.run() == "complete"
    return made


@functools.cache
def whole() -> Machine:
    return controlled()


@pytest.mark.parametrize("how", [{"mode": "event"}, {"burst_steps": 1}, {"burst_steps": 7}])
def test_all_of_it_gives_the_same_bits_however_it_is_run(how: Table) -> None:
    same_machine(controlled(**how), whole())


def test_all_of_it_resumes_as_if_never_stopped() -> None:
    made, kept = everything(), dict[str, Any]()

    class Keep(NullSink):
        def checkpoint(self, arrays: Any, meta: Any) -> None:
            kept["arrays"] = {key: array.copy() for key, array in arrays.items()}
            kept["meta"] = {key: dict(value) if isinstance(value, dict) else value for key, value in meta.items()}

    control = Control(made, Keep(), burst_steps=11)

    def stop(now: Control) -> None:
        now.stop_requested = now.machine.step >= 37

    control.progress = stop
    control.begin()
    assert control.run() == "interrupted"
    again = everything()
    resumed = Control(again, NullSink(), mode="event")
    resumed.resume(kept["arrays"], kept["meta"])
    resumed.begin()
    assert resumed.run() == "complete"
    same_machine(again, whole())


# --- counts -----------------------------------------------------------------------------------------------------------


def test_slices_are_read_and_converted_one_by_one() -> None:
    chip = {"name": "analog-if-adc"}
    machines = []
    for slices in (1, 3):
        array = {"array": {"slices": slices, "slice_bits": 2}}
        made = Machine(scenario(LAYERS, {}, chip={**chip, **array}), data())
        made.totals |= {
            "CLEAN": 2,
            "PERTURBED": 1,
            "ACTIVE_0": 18,
            "ACTIVE_1": 21,
            "CONDUCTANCE_0": 1000,
            "CONDUCTANCE_1": 2000,
        }
        machines.append(made)
    one, three = (made.ledger().counts for made in machines)
    for name in ("cell_read", "cell_read_conductance", "adc_conversion"):
        assert three[name] == 3 * one[name] > 0
    for name in ("dac_conversion", "synaptic_event", "neuron_updated", "weight_pulse"):
        assert three.get(name) == one.get(name)
    chips = machines[0].scenario.chip
    conversion = machines[0].meter.path()["compute"], machines[1].meter.path()["compute"]
    adc = 780_000  # femtoseconds; one converter for the columns of a core
    assert chips.prices["adc_conversion"].latency_s == pytest.approx(adc * 1e-15)
    assert conversion[1] - conversion[0] == 2 * (7 + 3) * adc


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_everything_that_is_wrong_is_said_at_once() -> None:
    wrong = {
        "name": "analog-if",
        "array": {
            "slices": 7,
            "slice_bits": 4,
            "stuck_at_w_max_fraction": 0.7,
            "stuck_at_zero_fraction": 0.7,
            "row_wire_ohm": -1,
        },
        "periphery": {"input_noise_std": -0.1, "dac_range": 0.0},
    }
    with pytest.raises(InputError) as error:
        api.load_scenario({"chip": wrong, "network": {"layers": LAYERS}, "task": {"data": "xor"}, "training": "mgd"})
    text = str(error.value)
    for path in ("chip.array.row_wire_ohm", "chip.periphery.input_noise_std", "chip.periphery.dac_range"):
        assert path in text


@pytest.mark.parametrize(
    ("array", "said"),
    [
        ({"slices": 7, "slice_bits": 4}, ["chip.array.slice_bits = 4: 7 slices of that are 28 bits"]),
        ({"slices": 2}, ["chip.array.slice_bits = 0"]),
        (
            {"stuck_at_w_max_fraction": 0.7, "stuck_at_zero_fraction": 0.7, "slices": 2},
            ["chip.array.stuck_at_zero_fraction = 0.7", "1.4 of all devices", "chip.array.slice_bits = 0"],
        ),
        ({"row_wire": 1.0}, ["chip.array.row_wire", "did you mean 'row_wire_ohm'"]),
        ({"row_wire_ohm": "2 V"}, ["chip.array.row_wire_ohm", "Ohm"]),
    ],
)
def test_an_array_that_cannot_be_is_refused(array: Table, said: list[str]) -> None:
    with pytest.raises(InputError) as error:
        ns.effective_weights(np.ones((2, 2)), "analog-if", {f"chip.array.{key}": value for key, value in array.items()})
    for part in said:
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"chip.array.ir_drop": "exact", "chip.synapse.g_max_S": 0.0}, ["chip.array.ir_drop", "synapse.g_max_S"]),
        ({"chip.array.ir_drop": "exact", "chip.synapse.g_min_S": 1.0}, ["chip.array.ir_drop", "must be above"]),
        (
            {"chip.array.slice_bits": 4, "chip.synapse.device": "ideal"},
            ["chip.array.weight_range", "'ideal' has no bounds"],
        ),
        (
            {"chip.array.ir_drop": "exact", "chip.synapse.pair": "one-sided", "chip.synapse.device": "pcm-gst"},
            ["balanced"],
        ),
    ],
)
def test_an_array_that_does_not_fit_its_cells_is_refused(overrides: Table, said: list[str]) -> None:
    with pytest.raises(InputError) as error:
        ns.effective_weights(np.ones((2, 2)), "analog-if", overrides)
    for part in said:
        assert part in str(error.value)


def test_words_of_a_memory_stand_in_no_array() -> None:
    with pytest.raises(InputError) as error:
        ns.effective_weights(
            np.ones((2, 2)), "loihi-sanafe", {"chip.array.dead_row_fraction": 0.1, "chip.array.slice_bits": 2}
        )
    assert "chip.array.dead_row_fraction" in str(error.value)
    assert "chip.array.slice_bits" in str(error.value)


def test_large_arrays_are_not_solved_exactly() -> None:
    with pytest.raises(InputError, match="first-order"):
        ns.effective_weights(np.ones((200, 100)), "analog-if", {"chip.array.ir_drop": "exact"})
    loose = {"geometry": {"inputs_per_core": 500, "neurons_per_core": 50, "synapses_per_core": 25000}}
    wide = classes_of(np.ones((3, 400)), [0, 1, 2], 3)
    with pytest.raises(InputError, match=r"layer hidden has one of 401 x 30.*first-order"):
        Machine(described({**loose, "array": DROP}, [dense("hidden", 30, "tanh"), dense("out", 3, "linear")]), wide)


@pytest.mark.parametrize("weights", [np.ones(3), np.ones((0, 2)), [[1.0, np.nan]], "no", [[1.0], [1.0, 2.0]]])
def test_weights_must_be_a_matrix(weights: Any) -> None:
    with pytest.raises(InputError, match="weights"):
        ns.effective_weights(weights)


def test_networks_driven_by_hand_refuse_arrays() -> None:
    net = ns.Network()
    net.add_population("a", 2, model="if")
    overrides = {"chip.array.slice_bits": 3, "chip.periphery.output_noise_std": 0.1}
    with pytest.raises(InputError) as error:
        ns.Simulation("analog-if", net, overrides=overrides)
    assert "chip.array.slice_bits" in str(error.value)
    assert "chip.periphery.output_noise_std" in str(error.value)
    ns.Simulation("analog-if", net, overrides=overrides, ideal=True)


def test_spiking_networks_refuse_what_they_do_not_do() -> None:
    layers = [dense("out", 3, {"model": "if"})]
    chip = {"array": SLICED, "periphery": {**COLUMNS, "input_noise_std": 0.1}, "timing": {"tick_s": 1e-6}}
    with pytest.raises(InputError) as error:
        Machine(described(chip, layers), data())
    assert "chip.periphery.input_noise_std" in str(error.value)
    assert "chip.array.slices" in str(error.value)


def test_erbp_refuses_arrays() -> None:
    overrides = {
        "chip.array.dead_row_fraction": 0.1,
        "chip.periphery.output_noise_std": 0.1,
        "chip.synapse.technology": "analog",
    }
    resolved = api.load_scenario("pi-mnist-erbp-100", overrides=overrides)[1]
    inputs = classes_of(np.zeros((10, 784)), np.arange(10), 10)
    with pytest.raises(InputError) as error:
        Machine(resolved, inputs)
    assert "chip.array.dead_row_fraction: the trainer erbp" in str(error.value)
    assert "chip.periphery.output_noise_std" in str(error.value)


def test_the_numbers_of_the_documentation() -> None:
    wires = {"chip.array.row_wire_ohm": "2 Ohm", "chip.array.column_wire_ohm": "2 Ohm"}
    w = np.full((64, 64), 0.5)
    lost = [
        1 - ns.effective_weights(w, "analog-if", {**wires, "chip.array.ir_drop": how})[0, 63] / 0.5
        for how in ("exact", "first-order")
    ]
    assert np.round(lost, 4).tolist() == [0.0443, 0.0442]
    sliced = ns.effective_weights([[0.4, -0.75]], "analog-if", {"chip.array.slices": 2, "chip.array.slice_bits": 2})
    assert (sliced * 15).round(6).tolist() == [[6.0, -11.0]]


def test_without_an_array_weights_come_back() -> None:
    w = np.random.default_rng(1).normal(size=(5, 4))
    np.testing.assert_array_equal(ns.effective_weights(w), w)


def test_the_schema_knows_the_keys() -> None:
    keys = chip_schema()["$defs"]["ArrayHardware"]["properties"]
    assert set(keys) == set(ArrayHardware.model_fields)
    assert "Ohm" in keys["row_wire_ohm"]["description"]
