"""Laws of analog mode: the high-pass on the cost, its gains and its crosstalk, and the low-pass integrators.

With alpha = tau_hp / (tau_hp + 1) the filter is C~[n] = alpha (C~[n-1] + C[n] - C[n-1]); a jump of the cost by d is seen as
alpha d, alpha^2 d, ... in this and the following steps.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from helpers_laws import (
    RF,
    Reference,
    Vector,
    cosine,
    dense,
    plain,
    restart,
    samples,
    scenario,
    set_setting,
    set_weights,
    signs,
)

from neurosim.data import Dataset
from neurosim.engine.machine import Machine
from neurosim.errors import InputError

SMALL = [dense("hidden", 2, "sigmoid"), dense("out", 1, "sigmoid")]
HOLD = {"difference": "high-pass", "tau_x": 10**9}


def four_samples() -> Dataset:
    """Like XOR in shape (so that the compiled kernel is the one of `test_laws_modes`), with inputs that are not zero."""
    rng = np.random.default_rng(7)
    return samples(rng.normal(size=(4, 2)), rng.uniform(size=(4, 1)), [0, 1, 1, 0], 2)


class Analog:
    """A compiled high-pass machine, float32 as on the chip, with frozen weights on one sample."""

    def __init__(self) -> None:
        data = four_samples()
        training = {**HOLD, "norm_mag": 0.02}
        self.machine = Machine(scenario(SMALL, training, network={"dtype": "float32"}), data)
        self.theta = np.array(self.machine.arrays["theta"], np.float64)
        reference = Reference(self.machine)
        self.gradient = reference.gradient(self.theta, data.train_x[0], data.train_t[0])

    def estimate(self, seed: int, steps: int, **settings: float) -> Vector:
        """Mean of C~ theta~ / norm_mag^2, times P: a gradient times the gain of the mode."""
        machine = self.machine
        restart(machine, seed)
        set_weights(machine, self.theta)
        for name, value in {"TAU_X": 10**9, "TAU_P": 1, "TAU_HP": 1.6, **settings}.items():
            set_setting(machine, name, value)
        machine.burst(steps)
        tau_theta = int(machine.scenario.training.tau_theta)  # type: ignore[attr-defined]
        return np.array(machine.arrays["gradient"], np.float64) * (tau_theta + 1) * machine.plan.parameters / steps

    def gain(self, ghat: Vector) -> float:
        return float(ghat @ self.gradient / (self.gradient @ self.gradient))


@pytest.fixture(scope="module")
def analog() -> Analog:
    return Analog()


@pytest.mark.parametrize(("tau_hp", "m"), [(1.6, 1), (1.6, 2), (1.6, 10), (5.0, 1), (5.0, 10), (0.5, 3)])
def test_gain_of_held_random_codes(analog: Analog, tau_hp: float, m: int) -> None:
    """A code held m steps: alpha (1 - alpha^m) / ((1 - alpha) m); fresh ones (m = 1): alpha (.615, .159 at tau_hp 1.6).

    When the code changes the cost jumps by g (theta~ - old theta~), of which the old part and all older tails are
    uncorrelated with the new code; the mean over the hold of alpha^k, k = 1 ... m, is left.
    """
    alpha = tau_hp / (tau_hp + 1.0)
    expected = alpha * (1 - alpha**m) / ((1 - alpha) * m)
    ghat = analog.estimate(seed=3, steps=300_000 * m, TAU_P=m, TAU_HP=tau_hp)
    assert analog.gain(ghat) == pytest.approx(expected, rel=0.03)
    assert cosine(ghat, analog.gradient) > 0.995
    if tau_hp == 1.6 and m in (1, 10):
        assert expected == pytest.approx({1: 0.615, 10: 0.159}[m], abs=5e-4)


def test_every_new_sample_blanks_its_edge(analog: Analog) -> None:
    """C[n-1] := C[n] when the sample changes: the code of that step is not seen in that step, the tail stays.

    With a new sample every second step the jump of the odd steps alone is left, and in the even ones the tail of it, which
    is uncorrelated: half the gain alpha, of the mean gradient over the samples of the odd steps.
    """
    machine, data = analog.machine, four_samples()
    ghat = analog.estimate(seed=4, steps=400_000, TAU_X=2)
    reference = Reference(machine)
    mean = np.mean([reference.gradient(analog.theta, x, t) for x, t in zip(data.train_x, data.train_t, strict=True)], axis=0)
    alpha = 1.6 / 2.6
    assert float(ghat @ mean / (mean @ mean)) == pytest.approx(alpha / 2, rel=0.03)


@pytest.mark.parametrize("count", [4, 1])
def test_a_new_sample_every_step_is_refused(count: int) -> None:
    """tau_x = 1 blanks every step: nothing could ever be learned, so it must not pass silently.

    With a single sample nothing changes from step to step, and training must work or be refused as well.
    """
    everything = four_samples()
    data = samples(everything.train_x[:count], everything.train_t[:count])
    training = {"difference": "high-pass", "tau_x": 1, "learning_rate": 1.0, "tau_theta": 2, "norm_mag": 0.05}
    if count > 1:
        with pytest.raises(InputError, match="tau_x"):
            Machine(scenario(SMALL, training), data)
        return
    try:
        machine = plain(Machine(scenario(SMALL, training), data))
    except InputError:
        return
    start = np.array(machine.arrays["theta"])
    machine.burst(20)
    assert (np.array(machine.arrays["theta"]) != start).any()


# --- sequential codes in analog mode ------------------------------------------------------------------------------


def filtered(costs: Vector, tau_hp: float) -> Vector:
    """The high-pass of a sequence of costs; the first is an edge."""
    alpha = tau_hp / (tau_hp + 1.0)
    out, c_tilde, before = np.empty(costs.size), 0.0, float(costs[0])
    for n, c in enumerate(costs):
        c_tilde = alpha * (c_tilde + float(c) - before)
        before = float(c)
        out[n] = c_tilde
    return out


def linear_bench(inputs: int, norm_mag: float, **training: Any) -> tuple[Machine, Vector]:
    """One linear neuron whose inputs have a mean: rho = mean^2 / mean square of the gradient is about 0.12.

    mse of one output is e^2, and e (theta~ x) 2 its change: linear in theta~ for a small norm_mag.
    """
    rng = np.random.default_rng(2)
    x = rng.normal(size=inputs)
    x += 0.37 - x.mean()
    data = samples(x[None], [[0.3]])
    machine = plain(Machine(scenario([dense("out", 1, "linear")], {**HOLD, "norm_mag": norm_mag, **training}), data))
    theta = rng.normal(size=inputs + 1) / math.sqrt(inputs)
    set_weights(machine, theta)
    return machine, Reference(machine).gradient(theta, data.train_x[0], data.train_t[0])


@pytest.mark.parametrize(("code", "passes_each"), [("sequential", 1), ("sequential-paired", 2)])
def test_crosstalk_of_turns(code: str, passes_each: int) -> None:
    """Neighbouring turns leak into each other through the high-pass: the whole estimate is predicted, entry by entry."""
    inputs, norm_mag = 250, 1e-7
    machine, gradient = linear_bench(inputs, norm_mag, code=code)
    size = inputs + 1
    order = np.argsort(np.array(machine.arrays["words"]))  # who has turn 0, 1, ...
    turns = np.concatenate([order] * 3)
    sequence = np.repeat(turns, passes_each)
    sign = np.ones(sequence.size)
    if passes_each == 2:
        sign[1::2] = -1.0
    heard = filtered(norm_mag * sign * gradient[sequence], 1.6)
    expected = np.zeros(size)
    np.add.at(expected, sequence, heard * sign * norm_mag / norm_mag**2)
    machine.burst(sequence.size)
    tau_theta = int(machine.scenario.training.tau_theta)  # type: ignore[attr-defined]
    actual = np.array(machine.arrays["gradient"], np.float64) * (tau_theta + 1)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-4 * float(np.abs(expected).max()))

    ghat = actual * size / sequence.size
    gain = float(ghat @ gradient / (gradient @ gradient))
    alpha = 1.6 / 2.6
    if code == "sequential-paired":
        assert cosine(ghat, gradient) > 0.99
        return
    # In the mean over orders: ghat = alpha (g_n - (1-alpha) sum_k alpha^(k-1) g_(n-k)), so the gain is alpha (1 - rho) and
    # the cosine sqrt((1 - rho) (1 + alpha)/2) with rho = mean(g)^2/mean(g^2): .90 for a gradient without a mean.
    rho = float(gradient.mean() ** 2 / np.mean(gradient**2))
    assert gain == pytest.approx(alpha * (1 - rho), abs=0.03)
    assert cosine(ghat, gradient) == pytest.approx(math.sqrt((1 - rho) * (1 + alpha) / 2), abs=0.03)
    assert gain == pytest.approx(0.54, abs=0.03), "the figure of the reference, at its rho of .12"
    assert cosine(ghat, gradient) == pytest.approx(0.84, abs=0.03)


# --- the loop -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tau_theta", "tau_p", "tau_x"), [(1, 1, 7), (10, 1, 5), (40, 3, 20)])
def test_analog_training_equals_its_equations(tau_theta: int, tau_p: int, tau_x: int) -> None:
    """High-pass, homodyne product, G = (C~ theta~/norm_mag^2 + tau_theta G)/(tau_theta + 1), and theta -= eta G every step."""
    norm_mag, rate, tau_hp = 0.1, 20.0, 2.5
    training = {
        "difference": "high-pass", "norm_mag": norm_mag, "learning_rate": rate,
        "tau_theta": tau_theta, "tau_p": tau_p, "tau_x": tau_x,
    }  # fmt: skip
    data = four_samples()
    machine = plain(Machine(scenario(SMALL, training, chip={"astrocyte": {"tau_hp_steps": tau_hp}}), data))
    theta = np.array(machine.arrays["theta"], np.float64)
    start, size, reference = theta.copy(), theta.size, Reference(machine)
    alpha = tau_hp / (tau_hp + 1)
    integral, c_tilde, before = np.zeros(size), 0.0, 0.0
    for step in range(60):
        i = step // tau_x % 4
        code = norm_mag / math.sqrt(size) * signs(1, size, step // tau_p)
        c = reference.cost(theta + code, data.train_x[i], data.train_t[i])
        if step % tau_x == 0:
            before = c
        c_tilde = alpha * (c_tilde + c - before)
        before = c
        integral = (c_tilde * code / norm_mag**2 + tau_theta * integral) / (tau_theta + 1)
        theta = theta - rate * integral
    machine.burst(60)
    assert machine.arrays["rf"][RF["C_TILDE"]] == pytest.approx(c_tilde, rel=1e-6)
    moved = float(np.abs(theta - start).max())
    assert moved > 0.05
    np.testing.assert_allclose(machine.arrays["theta"], theta, rtol=0, atol=1e-6 * moved)
    np.testing.assert_allclose(machine.arrays["gradient"], integral, rtol=1e-6)


def test_one_inference_a_step(analog: Analog) -> None:
    """Analog mode needs no baseline."""
    before = dict(analog.machine.totals)
    analog.estimate(seed=5, steps=100)
    assert analog.machine.totals["PERTURBED"] - before["PERTURBED"] == 100
    assert analog.machine.totals["CLEAN"] == before["CLEAN"] == 0
