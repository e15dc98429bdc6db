"""Laws of writing: rounding to pulses, pulses one after another, their noise, stuck devices, perturbation by writing.

The wanted change is set by backpropagation (its gradient is known exactly) on a net whose weights hardly move, or by MGD.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from helpers_laws import RF, Reference, Table, Vector, dense, plain, samples, scenario, set_weights, window

from neurosim.data import Dataset
from neurosim.engine.machine import Machine

LAYERS = [dense("h", 8, "tanh"), dense("o", 3, "sigmoid")]
STEP = 1e-9
"""One pulse, so small that thousands of them leave the gradient as it is."""


def one_sample(inputs: int = 12, outputs: int = 3) -> Dataset:
    rng = np.random.default_rng(31)
    return samples(rng.normal(size=(1, inputs)), rng.uniform(0.1, 0.9, size=(1, outputs)))


def device(model: str, **settings: float) -> Table:
    """A chip whose weight device is ``model``."""
    return {"synapse": {"device": {"model": model, **settings}}}


class Writer:
    """A machine (as plain Python) trained by backpropagation, whose wanted change of every weight is known."""

    def __init__(self, chip: Table, training: Table | None = None, layers: list[Table] = LAYERS) -> None:
        self.data = one_sample()
        wanted = {"model": "backprop", "tau_theta": 1, "learning_rate": 1.0, **(training or {})}
        self.machine = plain(Machine(scenario(layers, wanted, chip=chip), self.data))
        self.start = np.array(self.machine.arrays["theta"], np.float64)
        self.reference = Reference(self.machine)

    def gradient(self) -> Vector:
        return self.reference.gradient(self.start, self.data.train_x[0], self.data.train_t[0])

    def moved(self) -> Vector:
        return np.array(self.machine.arrays["theta"], np.float64) - self.start

    def want(self, units: float) -> Vector:
        """Set the rate so that the rms wanted change is ``units`` pulses; returns the wanted pulses of every weight."""
        gradient = self.gradient()
        rate = units * STEP / float(np.sqrt(np.mean(gradient**2)))
        self.machine.arrays["rf"][RF["RATE"]] = rate
        return -rate * gradient / STEP


def constant(rounding: str, **more: float) -> Writer:
    chip = device("constant-step", dw_min=STEP, w_max=10.0, w_min=-10.0, **more)
    return Writer({**chip, "synapse": {**chip["synapse"], "update_rounding": rounding}})


# --- rounding -----------------------------------------------------------------------------------------------------


def test_stochastic_rounding_is_unbiased() -> None:
    """E pulses = wanted pulses, each one of the two nearest whole numbers; variance f (1 - f)."""
    writer = constant("stochastic")
    wanted = writer.want(0.7)
    steps, counts = 1200, []
    before = np.zeros(wanted.size)
    for _ in range(steps):
        writer.machine.burst(1)
        total = writer.moved() / STEP
        counts.append(np.rint(total - before))
        before = total
    pulses = np.array(counts)
    assert ((pulses == np.floor(wanted)) | (pulses == np.ceil(wanted))).all()
    fraction = wanted - np.floor(wanted)
    spread = np.sqrt(fraction * (1 - fraction) / steps)
    assert (np.abs(pulses.mean(axis=0) - wanted) < 5 * spread + 1e-9).all()
    gain = float(pulses.mean(axis=0) @ wanted / (wanted @ wanted))
    assert gain == pytest.approx(1.0, rel=0.03)
    assert pulses.var(axis=0).sum() == pytest.approx((fraction * (1 - fraction)).sum(), rel=0.05)
    assert writer.machine.totals["PULSES"] == np.abs(pulses).sum()
    assert writer.machine.totals["WRITTEN"] == np.count_nonzero(pulses)
    assert writer.machine.totals["UPDATES"] == steps


def test_nearest_stalls_below_half_a_step() -> None:
    """Wanted changes below half a pulse are never written, however often they are wanted; above it every time."""
    writer = constant("nearest")
    wanted = writer.want(0.6)
    writer.machine.burst(100)
    pulses = np.rint(writer.moved() / STEP)
    small = np.abs(wanted) < 0.499
    assert 10 < small.sum() < wanted.size - 10
    assert (pulses[small] == 0).all()
    clear = (np.abs(wanted) > 0.501) & (np.abs(np.abs(wanted) % 1.0 - 0.5) > 1e-3)
    np.testing.assert_array_equal(pulses[clear], 100 * np.sign(wanted[clear]) * np.floor(np.abs(wanted[clear]) + 0.5))


def test_carry_keeps_what_is_left_over() -> None:
    """After n writes the device has moved n times the wanted change, to less than one pulse; the rest waits."""
    writer = constant("carry")
    wanted = writer.want(0.3)
    for n in (1, 10, 300):
        writer.machine.burst(n - writer.machine.step)
        pulses = writer.moved() / STEP
        assert (np.abs(pulses - n * wanted) < 1.0 + 1e-3).all()
        np.testing.assert_allclose(writer.machine.arrays["residual"], n * wanted - pulses, atol=1e-3)


def test_threshold_writes_from_one_step_on() -> None:
    """Nothing below one whole step, then the nearest number of steps."""
    writer = constant("threshold")
    wanted = writer.want(1.5)
    writer.machine.burst(50)
    pulses = np.rint(writer.moved() / STEP)
    assert (pulses[np.abs(wanted) < 0.999] == 0).all()
    assert (np.abs(wanted) < 0.999).any()
    clear = (np.abs(wanted) > 1.001) & (np.abs(np.abs(wanted) % 1.0 - 0.5) > 1e-3)
    np.testing.assert_array_equal(pulses[clear], 50 * np.sign(wanted[clear]) * np.floor(np.abs(wanted[clear]) + 0.5))


def test_pulses_are_capped_and_carry_remembers() -> None:
    """max_pulses on one device in one write; with carry the rest is written later."""
    for rounding in ("nearest", "carry"):
        writer = constant(rounding)
        wanted = writer.want(60.0)
        writer.machine.burst(1)
        pulses = np.rint(writer.moved() / STEP)
        assert np.abs(pulses).max() == 31
        many = np.abs(wanted) > 31.5
        assert many.any()
        np.testing.assert_array_equal(pulses[many], 31 * np.sign(wanted[many]))
        if rounding == "carry":
            np.testing.assert_allclose(writer.machine.arrays["residual"], wanted - pulses, atol=0.01)


# --- pulses -------------------------------------------------------------------------------------------------------


def test_n_pulses_are_n_steps_one_after_another() -> None:
    """Soft bounds: n pulses up lead from w to w_max - (w_max - w)(1 - s/w_max)^n, n down likewise; not n times the first."""
    w_max, w_min, step = 0.8, -0.6, 0.02
    chip = device("soft-bounds", dw_min=step, w_max=w_max, w_min=w_min, dw_min_dtod=0.2, up_down_dtod=0.1, w_max_dtod=0.1)
    chip["synapse"]["update_rounding"] = "nearest"
    writer = Writer(chip, {"learning_rate": 3.0})
    arrays = writer.machine.arrays
    wanted = -3.0 * writer.gradient() / step
    pulses = np.clip(np.sign(wanted) * np.floor(np.abs(wanted) + 0.5), -31, 31)
    assert (np.abs(pulses) > 3).sum() > 5
    writer.machine.burst(1)
    up, down, high, low = (np.array(arrays[name], np.float64) for name in ("scale_up", "scale_down", "w_max", "w_min"))
    n = np.abs(pulses)
    rise = high - (high - writer.start) * (1 - up / high) ** n
    fall = low - (low - writer.start) * (1 + down / low) ** n
    clear = np.abs(np.abs(wanted) % 1.0 - 0.5) > 1e-3
    expected = np.where(pulses > 0, rise, np.where(pulses < 0, fall, writer.start))
    np.testing.assert_allclose(arrays["theta"][clear], expected[clear], rtol=1e-6)
    at_once = writer.start + pulses * np.where(pulses > 0, up * (1 - writer.start / high), down * (1 - writer.start / low))
    assert np.abs(at_once - expected).max() > 0.01, "the test could not see the difference"


@pytest.mark.parametrize(("cycle", "written"), [(0.3, 0.0), (0.0, 0.4), (0.3, 0.4)])
def test_noise_of_pulses(cycle: float, written: float) -> None:
    """n pulses: mean n dw_min, variance n dw_min^2 (dw_min_std^2 + write_noise_std^2), normal and independent."""
    writer = constant("nearest", dw_min_std=cycle, write_noise_std=written)
    wanted = writer.want(4.0)
    pulses = np.sign(wanted) * np.floor(np.abs(wanted) + 0.5)
    clear = (pulses != 0) & (np.abs(np.abs(wanted) % 1.0 - 0.5) > 2e-2)
    before, scaled = np.zeros(wanted.size), []
    for _ in range(60):
        writer.machine.burst(1)
        after = writer.moved() / STEP
        scaled.append((after - before - pulses)[clear] / np.sqrt(np.abs(pulses[clear])))
        before = after
    deviations = np.array(scaled)
    sigma = math.hypot(cycle, written)
    count = deviations.size
    assert count > 3000
    assert deviations.std() == pytest.approx(sigma, rel=5 / math.sqrt(2 * count))
    assert abs(deviations.mean()) < 5 * sigma / math.sqrt(count)
    assert np.mean(deviations**4) / np.var(deviations) ** 2 == pytest.approx(3.0, abs=0.4)
    assert abs(np.corrcoef(deviations[:-1].ravel(), deviations[1:].ravel())[0, 1]) < 5 / math.sqrt(count)


def test_devices_have_their_own_steps() -> None:
    """Mismatch of the step: each device moves by its own, in proportion to its pulses."""
    writer = constant("nearest", dw_min_dtod=0.3, up_down=0.5)
    wanted = writer.want(4.0)
    writer.machine.burst(1)
    pulses = np.sign(wanted) * np.floor(np.abs(wanted) + 0.5)
    arrays = writer.machine.arrays
    each = np.where(pulses > 0, arrays["scale_up"], arrays["scale_down"])
    clear = np.abs(np.abs(wanted) % 1.0 - 0.5) > 1e-3
    np.testing.assert_allclose(writer.moved()[clear], (pulses * each)[clear], atol=1e-3 * STEP)
    assert np.array(arrays["scale_up"]).std() / STEP == pytest.approx(0.3, rel=0.25)
    assert np.mean(arrays["scale_down"]) < 0.7 * np.mean(arrays["scale_up"]), "up_down above 0: the down step is smaller"


@pytest.mark.parametrize("scheme", ["cell", "row", "element"])
def test_write_schemes_count_their_slots(scheme: str) -> None:
    """cell: one pulse after another; row: a row's longest train, rows after one another; element: the longest of all."""
    chip = device("constant-step", dw_min=STEP, w_max=10.0, w_min=-10.0)
    chip["synapse"] |= {"update_rounding": "nearest", "write_scheme": scheme}
    writer = Writer(chip)
    writer.want(3.0)
    writer.machine.burst(1)
    pulses = np.abs(np.rint(writer.moved() / STEP))
    longest = []
    for layer in writer.machine.plan.layers:
        block = pulses[layer.theta : layer.theta + layer.parameters].reshape(-1, layer.columns)
        longest += list(block.max(axis=1))
    expected = {"cell": pulses.sum(), "row": sum(longest), "element": max(longest)}[scheme]
    assert writer.machine.totals["WRITE_SLOTS"] == expected


# --- stuck devices ------------------------------------------------------------------------------------------------

TRAININGS: dict[str, Table] = {
    "backprop": {"model": "backprop", "tau_theta": 1, "learning_rate": 3.0},
    "mgd": {"tau_theta": 1, "norm_mag": 1e-2, "learning_rate": 100.0},
    "mgd in windows": {"tau_theta": 5, "norm_mag": 1e-2, "learning_rate": 50.0},
    "high-pass": {"difference": "high-pass", "tau_theta": 5, "tau_x": 50, "norm_mag": 1e-2, "learning_rate": 100.0},
    "node": {"model": "node", "tau_theta": 1, "norm_mag": 1e-2, "learning_rate": 3.0},
    "node in windows": {"model": "node", "tau_theta": 5, "norm_mag": 1e-2, "learning_rate": 3.0},
}
DEVICES: dict[str, dict[str, float]] = {
    "ideal": {},
    "constant-step": {"dw_min": 1e-3, "write_noise_std": 0.2},
    "soft-bounds": {"dw_min": 1e-3, "dw_min_std": 0.2},
    "quantized": {"bits": 6, "w_max": 2.0, "w_min": -2.0},
}


@pytest.mark.parametrize("training", TRAININGS)
@pytest.mark.parametrize("name", DEVICES)
def test_stuck_devices_never_move_and_bounds_hold(name: str, training: str) -> None:
    """A stuck device keeps its first value whoever trains; the others move, and stay within their bounds."""
    chip = device(name, **DEVICES[name])
    chip["synapse"]["stuck_fraction"] = 0.4
    machine = plain(Machine(scenario(LAYERS, TRAININGS[training], chip=chip), one_sample()))
    start = np.array(machine.arrays["theta"], np.float64)
    stuck = (machine.arrays["free"] if name == "ideal" else machine.arrays["scale_up"]) == 0
    assert 0.2 < stuck.mean() < 0.6
    machine.burst(30)
    moved = np.array(machine.arrays["theta"], np.float64) - start
    assert (moved[stuck] == 0.0).all()
    assert (moved[~stuck] != 0.0).mean() > 0.3
    if name != "ideal":
        theta = np.array(machine.arrays["theta"])
        assert (theta <= np.array(machine.arrays["w_max"]) + 1e-6).all()
        assert (theta >= np.array(machine.arrays["w_min"]) - 1e-6).all()


# --- perturbation by writing --------------------------------------------------------------------------------------


def by_writing(norm_mag: float, code: str = "sequential", model: str = "constant-step", **settings: float) -> Machine:
    chip = device(model, **({"dw_min": 1e-5, "w_max": 10.0, "w_min": -10.0} if model == "constant-step" else {}), **settings)
    training = {"code": code, "norm_mag": norm_mag, "mechanism": "write"}
    return plain(Machine(scenario([dense("o", 2, "sigmoid")], training, chip=chip), one_sample(4, 2)))


def gradient_of(machine: Machine) -> Vector:
    data = one_sample(4, 2)
    return Reference(machine).gradient(np.array(machine.arrays["theta"], np.float64), data.train_x[0], data.train_t[0])


def test_writing_restores_exactly_without_noise() -> None:
    """Pulses up, measure, as many down: the weights come back (to rounding), and the estimate is the gradient's."""
    machine = by_writing(1e-4)
    start, gradient = np.array(machine.arrays["theta"]), gradient_of(machine)
    ghat = window(machine, machine.plan.parameters)
    np.testing.assert_allclose(machine.arrays["theta"], start, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ghat, gradient, atol=2e-4 * float(np.abs(gradient).max()) + 1e-4)
    assert machine.totals["PERTURBATION_PULSES"] == machine.plan.parameters * 2 * 10


@pytest.mark.parametrize(("settings", "shift"), [({"dw_min_std": 0.3}, "noise"), ({"up_down": 0.2}, "asymmetry")])
def test_writing_does_not_restore_exactly_on_real_devices(settings: dict[str, float], shift: str) -> None:
    """Noise leaves a random walk of variance 2 n dw^2 std^2 per probe; unequal steps leave a drift of n (up - down)."""
    machine = by_writing(1e-4, **settings)
    start = np.array(machine.arrays["theta"])
    passes, size = 30, machine.plan.parameters
    machine.burst(passes * size)
    moved = np.array(machine.arrays["theta"]) - start
    if shift == "noise":
        expected = 1e-5 * 0.3 * math.sqrt(2 * 10 * passes)
        assert np.sqrt(np.mean(moved**2)) == pytest.approx(expected, rel=0.6)
    else:
        up, down = np.array(machine.arrays["scale_up"]), np.array(machine.arrays["scale_down"])
        np.testing.assert_allclose(moved, passes * 10 * (up - down), rtol=1e-3)


def test_written_perturbation_is_as_long_as_it_is_believed_to_be() -> None:
    """A perturbation of more pulses than one write may hold must not silently come out shorter than assumed."""
    machine = by_writing(1e-3)  # 100 pulses
    gradient = gradient_of(machine)
    ghat = window(machine, machine.plan.parameters)
    np.testing.assert_allclose(ghat, gradient, atol=0.01 * float(np.abs(gradient).max()))


def test_writing_on_ideal_devices_is_exact() -> None:
    """An ideal device has no pulses; perturbing it by writing is the exact perturbation, and exactly undone."""
    machine = by_writing(1e-4, model="ideal")
    start, gradient = np.array(machine.arrays["theta"]), gradient_of(machine)
    ghat = window(machine, machine.plan.parameters)
    np.testing.assert_allclose(machine.arrays["theta"], start, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ghat, gradient, atol=1e-3 * float(np.abs(gradient).max()))


def test_random_codes_by_writing() -> None:
    """The same with all weights written at once; amplitudes are whole steps."""
    machine = by_writing(1e-4 * math.sqrt(10), code="random")
    size = machine.plan.parameters
    assert size == 10
    gradient = gradient_of(machine)
    steps = 3000
    ghat = window(machine, steps) * size / steps
    assert float(ghat @ gradient / (gradient @ gradient)) == pytest.approx(1.0, abs=0.08)


# --- noise of reads -----------------------------------------------------------------------------------------------


def read_noise(layers: list[Table], data: Dataset, **more: Any) -> Vector:
    """Pre-activations of 300 inferences of a net whose weights are zero: pure read noise, [300, nodes]."""
    chip = {"synapse": {"read_noise_std": 0.5}}
    machine = plain(Machine(scenario(layers, {"model": "node", "norm_mag": 1e-12, **more}, chip=chip), data))
    set_weights(machine, np.zeros(machine.plan.parameters))
    seen = []
    for _ in range(300):
        machine.burst(1)
        seen.append(np.array(machine.arrays["z"][0]))
    return np.array(seen)


def test_read_noise_is_the_sum_of_its_cells() -> None:
    """z_j gets sigma sqrt(1 + sum x_i^2): every cell of the column its own noise, weighted with its input, and the bias."""
    data = one_sample(12, 3)
    seen = read_noise([dense("o", 3, "linear")], data)
    expected = 0.5 * math.sqrt(1 + float(np.sum(data.train_x[0].astype(float) ** 2)))
    assert seen.std() == pytest.approx(expected, rel=5 / math.sqrt(2 * seen.size))
    assert abs(seen.mean()) < 5 * expected / math.sqrt(seen.size)
    assert abs(np.corrcoef(seen[:, 0], seen[:, 1])[0, 1]) < 0.3


def test_read_noise_of_a_convolution_is_that_of_its_patches() -> None:
    """Mean over positions of sigma^2 (1 + sum over the window of x^2)."""
    x = np.ones((1, 6, 7, 2))
    seen = read_noise(
        [{"type": "conv2d", "name": "c", "channels": 2, "kernel": 3, "neuron": "linear"}], samples(x, np.zeros((1, 40)))
    )
    assert np.mean(seen**2) == pytest.approx(0.25 * (1 + 9 * 2), rel=0.03)
