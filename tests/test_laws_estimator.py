"""Laws of the digital estimator: bias, variance and cosine, cost noise, differences, mismatch, delays, clamp, optimisers.

With ghat = (P/tau) sum C~ theta~ / norm_mag^2 over a window of tau perturbations, a = norm_mag / sqrt(P) the amplitude
of one parameter and g the true gradient (reference/perturbative-training.md, section 4; each derived again where it is
used):

    E ghat = g,      E|ghat - g|^2 / |g|^2 = (P-1)/tau + P (sigma_C^2 + sigma_C0^2) / (tau a^2 |g|^2)
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from helpers_laws import (
    FROZEN,
    PF,
    RF,
    Reference,
    Vector,
    cosine,
    dense,
    estimates,
    plain,
    restart,
    samples,
    scenario,
    set_setting,
    set_weights,
    signs,
    window,
)

from neurosim.data import Dataset
from neurosim.engine.machine import Machine
from neurosim.errors import InputError

WITHIN = 0.03
"""The laws are asked for within 3 %."""

INPUTS = 62
AMPLITUDE = 1e-4 / math.sqrt(INPUTS + 3)


def one_sample(inputs: int, outputs: int, count: int = 1) -> Dataset:
    """Gaussian inputs, targets between 0 and 1."""
    rng = np.random.default_rng(11)
    return samples(rng.normal(size=(count, inputs)), rng.uniform(0.1, 0.9, size=(count, outputs)))


class Bench:
    """A frozen network 62 - 1 (tanh) - 1 (sigmoid) on one sample, P = 65, and its true gradient.

    The gradient of the first layer is the Gaussian input times one number, so that the entries of the whole gradient
    are nearly normal, as the law of sign-only estimates wants them.
    """

    def __init__(self, **more: Any) -> None:
        self.data = one_sample(INPUTS, 1)
        layers = [dense("hidden", 1, "tanh"), dense("out", 1, "sigmoid")]
        self.machine = Machine(scenario(layers, more.pop("training", {}), **more), self.data)
        self.theta = np.random.default_rng(5).uniform(-0.1, 0.1, size=INPUTS + 3)
        self.theta[-2] = 1.0  # the weight between the two neurons
        set_weights(self.machine, self.theta)
        self.reference = Reference(self.machine)
        self.gradient = self.reference.gradient(self.theta, self.data.train_x[0], self.data.train_t[0])
        self.mismatch = np.array(self.machine.arrays["mismatch"], np.float64)

    @property
    def squared(self) -> float:
        """|g|^2."""
        return float(self.gradient @ self.gradient)

    def fresh(self, seed: int, **settings: float) -> Machine:
        """The machine at step 0 with other numbers."""
        restart(self.machine, seed)
        set_weights(self.machine, self.theta)
        for name, value in {"TAU_X": 1, "COST_NOISE": 0.0, "CLAMP": math.inf, "TAU_P": 1, **settings}.items():
            set_setting(self.machine, name, value)
        return self.machine

    def error(self, ghat: Vector) -> float:
        """Mean of |ghat - g|^2 / |g|^2."""
        return float(np.mean(np.sum((ghat - self.gradient) ** 2, axis=1))) / self.squared


@pytest.fixture(scope="module")
def baseline() -> Bench:
    return Bench()


@pytest.fixture(scope="module")
def two_sided() -> Bench:
    """Also with generators whose amplitudes differ; ``mismatch`` is set to zero where it is not the point."""
    return Bench(training={"difference": "two-sided"}, chip={"perturbation": {"amplitude_dtod": 0.3}})


# --- one window ---------------------------------------------------------------------------------------------------


def test_estimate_is_unbiased_and_as_noisy_as_the_law(baseline: Bench) -> None:
    """E ghat = g; E|ghat - g|^2 = |g|^2 (P-1)/tau; E|ghat|^2 = |g|^2 (1 + (P-1)/tau).

    Of C~ s_i = (sum_j g_j s_j) s_i only j = i has a mean, g_i; the others add |g|^2 - g_i^2 to its variance.
    """
    windows, tau, size = 4000, 64, INPUTS + 3
    ghat = estimates(baseline.fresh(seed=2), windows, tau)
    g = baseline.gradient
    assert ghat.mean(axis=0) @ g / baseline.squared == pytest.approx(1.0, rel=WITHIN)
    left_over = np.linalg.norm(ghat.mean(axis=0) - g) / np.linalg.norm(g)
    assert left_over < 1.3 * math.sqrt((size - 1) / (tau * windows))
    assert baseline.error(ghat) == pytest.approx((size - 1) / tau, rel=WITHIN)
    assert np.mean(np.sum(ghat**2, axis=1)) / baseline.squared == pytest.approx(1 + (size - 1) / tau, rel=WITHIN)


@pytest.mark.parametrize(("tau", "windows"), [(16, 2000), (64, 2000), (593, 400)])
def test_cosine_with_the_gradient(baseline: Bench, tau: int, windows: int) -> None:
    """cos ~ sqrt(tau / (tau + P - 1)); 0.95 after 9.26 (P - 1) = 593 perturbations."""
    size = INPUTS + 3
    ghat = estimates(baseline.fresh(seed=3), windows, tau)
    mean = float(np.mean([cosine(row, baseline.gradient) for row in ghat]))
    assert mean == pytest.approx(math.sqrt(tau / (tau + size - 1)), rel=WITHIN)
    if tau == 593:
        assert mean == pytest.approx(0.95, abs=0.01)


@pytest.mark.parametrize("tau", [16, 65, 260])
def test_signs_of_the_estimate(baseline: Bench, tau: int) -> None:
    """sign(ghat): cos = sqrt(2/pi) sqrt(tau/(tau+P)); share of right signs 1/2 + atan(sqrt(tau/P))/pi, 75 % at tau = P.

    For g_i ~ N(0, s^2) the estimate is g_i + n_i with n_i ~ N(0, P s^2/tau).
    """
    size = INPUTS + 3
    ghat = np.sign(estimates(baseline.fresh(seed=4), 2500, tau))
    g = baseline.gradient
    cosines = ghat @ g / np.linalg.norm(g) / math.sqrt(size)
    noise = np.sqrt((baseline.squared - g**2) / tau)
    of_this_gradient = np.array([math.erf(abs(x) / n / math.sqrt(2)) for x, n in zip(g, noise, strict=True)])
    exact = float(np.sum(np.abs(g) * of_this_gradient)) / np.linalg.norm(g) / math.sqrt(size)
    assert cosines.mean() == pytest.approx(exact, rel=WITHIN)
    assert cosines.mean() == pytest.approx(math.sqrt(2 / math.pi * tau / (tau + size)), rel=2 * WITHIN)  # g nearly normal
    right = float(np.mean(ghat == np.sign(g)))
    assert right == pytest.approx(0.5 + 0.5 * of_this_gradient.mean(), rel=WITHIN)
    assert right == pytest.approx(0.5 + math.atan(math.sqrt(tau / size)) / math.pi, rel=2 * WITHIN)


# --- cost noise ---------------------------------------------------------------------------------------------------


def noise_term(bench: Bench, variance: float, tau: int) -> float:
    """P variance / (tau a^2 |g|^2), ``variance`` that of C~."""
    return (INPUTS + 3) * variance / (tau * AMPLITUDE**2 * bench.squared)


@pytest.mark.parametrize("tau_x", [1, 64])
def test_cost_noise_in_both_measurements(baseline: Bench, tau_x: int) -> None:
    """C and C0 are both noisy: P (sigma^2 + sigma^2)/(tau a^2 |g|^2) on top.

    tau_x = 64: C0 is measured once per window and its error is common to all C~; it adds the same variance.
    """
    tau = 64
    sigma = 2.0 * AMPLITUDE * math.sqrt(baseline.squared)
    machine = baseline.fresh(seed=5 + tau_x, COST_NOISE=sigma, TAU_X=tau_x)
    before = machine.totals["CLEAN"]
    ghat = estimates(machine, 4000, tau)
    assert machine.totals["CLEAN"] - before == 4000 * tau // tau_x
    expected = (INPUTS + 2) / tau + noise_term(baseline, 2 * sigma**2, tau)
    assert baseline.error(ghat) == pytest.approx(expected, rel=WITHIN)


def test_two_sided_has_a_quarter_of_the_noise(baseline: Bench, two_sided: Bench) -> None:
    """C~ = (C+ - C-)/2 has the variance sigma^2/2, the baseline's 2 sigma^2: a quarter at equal inferences."""
    tau, sigma = 64, 20.0 * AMPLITUDE * math.sqrt(baseline.squared)
    two_sided.machine.arrays["mismatch"][:] = 0.0
    errors, inferences = [], []
    for bench, variance in ((baseline, 2 * sigma**2), (two_sided, sigma**2 / 2)):
        machine = bench.fresh(seed=7, COST_NOISE=sigma)
        before = machine.inferences
        error = bench.error(estimates(machine, 3000, tau))
        inferences.append(machine.inferences - before)
        assert error == pytest.approx((INPUTS + 2) / tau + noise_term(bench, variance, tau), rel=WITHIN)
        errors.append(error - (INPUTS + 2) / tau)
    assert inferences[0] == inferences[1]
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=2 * WITHIN)


def test_noise_below_the_signal_does_not_matter(baseline: Bench) -> None:
    """sigma_C << a |g| changes the error by less than 1 %."""
    ghat = estimates(baseline.fresh(seed=8, COST_NOISE=0.03 * AMPLITUDE * math.sqrt(baseline.squared)), 3000, 64)
    assert baseline.error(ghat) == pytest.approx((INPUTS + 2) / 64, rel=0.02)


@pytest.mark.parametrize("density", [1e-6, 3e-5])
def test_noise_density_is_larger_for_shorter_measurements(density: float) -> None:
    """sigma = density sqrt(1/(2 tau)) for a measurement of tau seconds, added in squares to the fixed noise."""
    found = []
    for period in (1e-6, 1e-4):
        chip = {
            "astrocyte": {"cost_noise_density": density, "cost_noise_std": 1e-3},
            "timing": {"perturbation_period_s": period},
        }
        machine = Machine(scenario([dense("out", 1, "sigmoid")], {}, chip=chip), one_sample(3, 1))
        found.append(float(machine.arrays["pf"][PF["COST_NOISE"]]))
        assert found[-1] == pytest.approx(math.hypot(1e-3, density * math.sqrt(0.5 / period)), rel=1e-9)
    assert found[0] > found[1]


def test_measured_noise_is_the_noise_asked_for() -> None:
    """The cost of the same inference, over and over: its mean is the cost, its spread cost_noise_std; slots differ."""
    chip = {"astrocyte": {"cost_noise_std": 0.02}}
    machine = plain(Machine(scenario([dense("out", 1, "sigmoid")], {"norm_mag": 1e-9}, chip=chip), one_sample(3, 1)))
    data = one_sample(3, 1)
    true = Reference(machine).cost(np.array(machine.arrays["theta"]), data.train_x[0], data.train_t[0])
    seen = []
    for _ in range(2000):
        machine.burst(1)
        seen.append(np.array(machine.arrays["rf"][[RF["C_0"], RF["C_1"]]]))
    noise = np.array(seen) - true
    assert noise.std() == pytest.approx(0.02, rel=5 / math.sqrt(2 * noise.size))
    assert abs(noise.mean()) < 5 * 0.02 / math.sqrt(noise.size)
    assert abs(np.corrcoef(noise.T)[0, 1]) < 5 / math.sqrt(2000)


def test_steps_in_the_dead_zone_are_counted() -> None:
    """C~ below half a level of its converter is heard as 0: counted, and nothing is learned from it."""
    chip = {"astrocyte": {"c_tilde_bits": 6, "c_tilde_range": 1e-3}}
    data = one_sample(3, 2)
    machine = plain(Machine(scenario([dense("o", 2, "sigmoid")], {"norm_mag": 1e-3}, chip=chip), data))
    level, lost, heard = 1e-3 / 31, 0, np.zeros(machine.plan.parameters)
    for n in range(100):
        machine.burst(1)
        c_tilde = float(machine.arrays["rf"][RF["C_TILDE"]])
        lost += 0.0 < abs(c_tilde) < level / 2
        code = signs(1, heard.size, n) / math.sqrt(heard.size)
        heard += level * math.floor(c_tilde / level + 0.5) * code / 1e-3
    assert 5 < lost < 95
    assert machine.totals["DEAD_ZONE"] == lost
    assert machine.totals["PROBES"] == 100
    np.testing.assert_allclose(machine.arrays["gradient"], heard, rtol=1e-9, atol=1e-12)


# --- mismatch, normaliser -----------------------------------------------------------------------------------------


def test_amplitude_mismatch_scales_the_estimate(two_sided: Bench) -> None:
    """theta~_i (1 + m_i) is applied and theta~_i assumed: E ghat_i = (1 + m_i) g_i."""
    m = two_sided.mismatch
    assert 0.2 < m.std() < 0.4
    two_sided.machine.arrays["mismatch"][:] = m
    steps = 400_000
    ghat = estimates(two_sided.fresh(seed=9), 1, steps)[0]
    g = two_sided.gradient
    spread = math.sqrt(float(np.sum(((1 + m) * g) ** 2)) / steps)
    assert np.abs(ghat - (1 + m) * g).max() < 5 * spread
    assert np.abs(ghat - g).max() > 20 * spread, "the test could not see the mismatch"
    gain = float(((ghat - g) * g) @ (m * g * g)) / float((m * g * g) @ (m * g * g))
    assert gain == pytest.approx(1.0, rel=WITHIN)


@pytest.mark.parametrize("tau", [4, 64, 1000])
def test_normaliser_makes_steps_as_long_as_the_gradient(tau: int, baseline: Bench) -> None:
    """normalise: E|update| = eta |grad| whatever tau_theta; without it the step of G = tau ghat/P is another."""
    bench = baseline
    training = {"normalise": True, "tau_theta": tau, "learning_rate": 1e-7}
    layers = [dense("hidden", 1, "tanh"), dense("out", 1, "sigmoid")]
    machine = Machine(scenario(layers, training), bench.data)
    assert machine.source == bench.machine.source, "only numbers differ, so nothing is compiled again"
    set_weights(machine, bench.theta)
    squares = []
    before = np.array(machine.arrays["theta"])
    for _ in range(200_000 // tau // 4):
        machine.burst(tau)
        after = np.array(machine.arrays["theta"])
        squares.append(float(np.sum((after - before) ** 2)))
        before = after
    assert len(squares) == machine.totals["UPDATES"]
    assert math.sqrt(np.mean(squares)) == pytest.approx(1e-7 * math.sqrt(bench.squared), rel=WITHIN)


# --- a late C~ ----------------------------------------------------------------------------------------------------


def gain(bench: Bench, machine: Machine, steps: int) -> float:
    """Projection of the estimate on the true gradient, in units of it."""
    return float(window(machine, steps) @ bench.gradient) * (INPUTS + 3) / steps / bench.squared


@pytest.mark.parametrize(
    ("latency", "tau_p", "matched", "expected"),
    [
        (0, 1, False, 1.0),
        (1, 1, False, 0.0),
        (5, 1, False, 0.0),
        (4, 4, False, 0.0),  # latency >= tau_p: the code is a new one when C~ comes
        (1, 4, False, 0.75),  # (tau_p - latency) / tau_p of the steps still see the old one
        (1, 1, True, 1.0),
        (15, 1, True, 1.0),
        (5, 4, True, 1.0),
    ],
)
def test_late_costs(baseline: Bench, latency: int, tau_p: int, matched: bool, expected: float) -> None:
    """A C~ that is L steps late meets another code: zero mean gradient unless the chip matches the delay."""
    chip = {"astrocyte": {"latency_steps": latency}, "capabilities": {"delay_matching": matched}}
    layers = [dense("hidden", 1, "tanh"), dense("out", 1, "sigmoid")]
    machine = Machine(scenario(layers, {"tau_p": tau_p}, chip=chip), baseline.data)
    assert machine.source == baseline.machine.source, "only numbers differ, so nothing is compiled again"
    set_weights(machine, baseline.theta)
    assert gain(baseline, machine, 100_000 * tau_p) == pytest.approx(expected, abs=WITHIN)


@pytest.mark.parametrize(
    ("latency", "tau_p", "difference"),
    [(20, 1, "baseline"), (32, 1, "baseline"), (64, 2, "baseline"), (16, 1, "two-noisy"), (33, 1, "baseline"),
     (64, 1, "baseline"), (17, 1, "two-noisy"), (32, 1, "two-noisy")],
)  # fmt: skip
def test_matched_delay_of_many_steps(latency: int, tau_p: int, difference: str) -> None:
    """Delay matching holds over the two blocks of 32 signs that the generators keep; what reaches further is refused."""
    data = one_sample(3, 1)
    chip = {"astrocyte": {"latency_steps": latency}, "capabilities": {"delay_matching": True}}
    asked = scenario([dense("out", 1, "sigmoid")], {"tau_p": tau_p, "difference": difference}, chip=chip)
    if latency * (2 if difference == "two-noisy" else 1) > 32 * tau_p:
        with pytest.raises(InputError, match="latency"):
            Machine(asked, data)
        return
    machine = plain(Machine(asked, data))
    theta = np.array(machine.arrays["theta"])
    reference = Reference(machine)
    steps, size, amplitude = 200, theta.size, 1e-4 / math.sqrt(theta.size)
    expected = np.zeros(size)
    for step in range(steps - latency):
        n = step // tau_p
        if difference == "two-noisy":
            code = [amplitude * signs(1, size, 2 * n + k) for k in (0, 1)]
            c_tilde = _cost(reference, data, theta + code[0]) - _cost(reference, data, theta + code[1])
            expected += c_tilde * 0.5 * (code[0] - code[1]) / 1e-8
        else:
            shift = amplitude * signs(1, size, n)
            expected += (_cost(reference, data, theta + shift) - _cost(reference, data, theta)) * shift / 1e-8
    np.testing.assert_allclose(window(machine, steps), expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


def _cost(reference: Reference, data: Dataset, theta: Vector) -> float:
    return reference.cost(theta, data.train_x[0], data.train_t[0])


# --- the whole loop, written down a second time -------------------------------------------------------------------


def replay(reference: Reference, data: Dataset, theta: Vector, steps: int, training: dict[str, Any]) -> Vector:
    """Digital MGD in numpy from the equations of the paper, on the engine's random signs; returns theta.

    C~ theta~ / norm_mag^2 is summed for tau_theta steps; then plain, momentum or Adam.
    """
    size, norm_mag = theta.size, training["norm_mag"]
    amplitude = norm_mag / math.sqrt(size)
    difference, tau_p = training.get("difference", "baseline"), training.get("tau_p", 1)
    tau_theta, clamp = training["tau_theta"], training.get("cost_clamp", math.inf)
    integral, first, second = np.zeros(size), np.zeros(size), np.zeros(size)
    scale = 1.0
    if training.get("normalise"):
        tau = tau_theta // tau_p
        scale = math.sqrt(tau / (tau + size - 1)) * size / tau_theta
    for step in range(steps):
        i = step // training.get("tau_x", 1) % data.n_train

        def cost(at: Vector, i: int = i) -> float:
            return reference.cost(at, data.train_x[i], data.train_t[i])

        n = step // tau_p
        if difference == "two-noisy":
            shifts = [amplitude * signs(1, size, 2 * n + k) for k in (0, 1)]
            c_tilde = cost(theta + shifts[0]) - cost(theta + shifts[1])
            code = 0.5 * (shifts[0] - shifts[1])
        else:
            code = amplitude * signs(1, size, n)
            minus = cost(theta) if difference == "baseline" else cost(theta - code)
            c_tilde = (cost(theta + code) - minus) * (1.0 if difference == "baseline" else 0.5)
        integral = integral + float(np.clip(c_tilde, -clamp, clamp)) * code / norm_mag**2
        if (step + 1) % tau_theta:
            continue
        decay = training.get("decay_steps", 0)
        rate = training["learning_rate"] * scale / (1.0 + step / decay if decay else 1.0)
        if training.get("optimizer", "plain") == "plain":
            theta = theta - rate * integral
        elif training["optimizer"] == "momentum":
            first = training.get("beta1", 0.9) * first + integral
            theta = theta - rate * first
        else:
            first = 0.9 * first + 0.1 * integral
            second = 0.999 * second + 0.001 * integral**2
            theta = theta - rate * first / (np.sqrt(second) + 1e-8)
        integral = np.zeros(size)
    return theta


LOOPS = {
    "plain, every step": {"tau_theta": 1, "learning_rate": 5.0},
    "windows over samples": {"tau_theta": 6, "tau_x": 2, "tau_p": 3, "learning_rate": 2.0},
    "momentum": {"tau_theta": 2, "optimizer": "momentum", "beta1": 0.8, "learning_rate": 2.0},
    "momentum, every step": {"tau_theta": 1, "optimizer": "momentum", "learning_rate": 0.5},
    "Adam": {"tau_theta": 2, "optimizer": "adam", "learning_rate": 0.05},
    "Adam, two-sided": {"tau_theta": 4, "optimizer": "adam", "learning_rate": 0.05, "difference": "two-sided"},
    "two-noisy": {"tau_theta": 1, "difference": "two-noisy", "learning_rate": 5.0},
    "two-noisy in windows": {"tau_theta": 3, "tau_p": 2, "difference": "two-noisy", "learning_rate": 5.0},
    "clamp": {"tau_theta": 2, "cost_clamp": 0.002, "learning_rate": 5.0},
    "normalised": {"tau_theta": 6, "tau_p": 2, "normalise": True, "learning_rate": 0.5},
    "slower and slower": {"tau_theta": 2, "decay_steps": 10, "learning_rate": 3.0},
}


@pytest.mark.parametrize("name", LOOPS)
def test_training_equals_its_equations(name: str) -> None:
    """48 steps of the engine equal the same steps in numpy: differences, windows, clamp, momentum, Adam, decay."""
    training = {"norm_mag": 0.05, **LOOPS[name]}
    data = one_sample(3, 2, count=4)
    machine = plain(Machine(scenario([dense("h", 3, "tanh"), dense("o", 2, "sigmoid")], training), data))
    theta = np.array(machine.arrays["theta"], np.float64)
    expected = replay(Reference(machine), data, theta, 48, training)
    assert machine.burst(48) == 48
    moved = np.linalg.norm(expected - theta)
    assert moved > 0.01
    np.testing.assert_allclose(machine.arrays["theta"], expected, rtol=0, atol=1e-7 * moved)


DOMAINS: dict[str, dict[str, Any]] = {
    "baseline": {"tau_theta": 1, "learning_rate": 5.0},
    "two-noisy in windows": {"tau_theta": 3, "difference": "two-noisy", "learning_rate": 5.0},
    "high-pass": {"difference": "high-pass", "tau_x": 6, "tau_theta": 3, "learning_rate": 5.0},
    "late": {"tau_theta": 2, "learning_rate": 5.0},
    "node": {"model": "node", "tau_theta": 1, "learning_rate": 0.5, "step_limit": 0.05},
}


@pytest.mark.parametrize("name", DOMAINS)
def test_domains_agree_where_nothing_is_noisy(name: str) -> None:
    """One astrocyte per layer hears the same C~ as one for all: the same training, bit for bit, without noise."""
    ends = []
    for domains in ("one", "layer"):
        late = {"latency_steps": 3} if name == "late" else {}
        chip = {"astrocyte": late, "capabilities": {"delay_matching": True}}
        asked = scenario(
            [dense("h", 3, "tanh"), dense("o", 2, "sigmoid")], {"norm_mag": 0.05, **DOMAINS[name]}, chip=chip,
            network={"domains": domains},
        )  # fmt: skip
        machine = plain(Machine(asked, one_sample(3, 2, count=4)))
        start = np.array(machine.arrays["theta"])
        machine.burst(40)
        ends.append(np.array(machine.arrays["theta"]))
    np.testing.assert_array_equal(ends[0], ends[1])
    assert np.abs(ends[0] - start).max() > 1e-3


def test_every_domain_hears_its_own_noise() -> None:
    """The astrocytes of two layers measure the same inference, each with its own noise."""
    chip = {"astrocyte": {"cost_noise_std": 1.0}}
    layers = [dense("h", 3, "tanh"), dense("o", 2, "sigmoid")]
    asked = scenario(layers, {"norm_mag": 1e-3}, chip=chip, network={"domains": "layer"})
    machine = plain(Machine(asked, one_sample(3, 2)))
    size, split = machine.plan.parameters, machine.plan.layers[1].theta
    heard = []
    for n in range(1500):
        gathered = window(machine, 1)
        code = signs(1, size, n) / math.sqrt(size)
        alike = gathered * code * size * 1e-3
        assert np.ptp(alike[:split]) < 1e-6
        assert np.ptp(alike[split:]) < 1e-6
        heard.append((alike[0], alike[-1]))
    noise = np.array(heard)
    assert noise.std(axis=0) == pytest.approx([math.sqrt(2.0)] * 2, rel=5 / math.sqrt(2 * 1500))
    assert abs(np.corrcoef(noise.T)[0, 1]) < 5 / math.sqrt(1500)


def test_clamp_was_at_work() -> None:
    """The clamp of the loop above lies inside the range of C~ that occurs, or it would test nothing."""
    data = one_sample(3, 2, count=4)
    machine = plain(Machine(scenario([dense("h", 3, "tanh"), dense("o", 2, "sigmoid")], {"norm_mag": 0.05}), data))
    seen = []
    for _ in range(48):
        machine.burst(1)
        seen.append(abs(machine.arrays["rf"][RF["C_TILDE"]]))
    assert min(seen) < 0.002 < max(seen)


def test_two_noisy_is_unbiased() -> None:
    """C~ = C(+theta~1) - C(+theta~2), code (theta~1 - theta~2)/2: E = (E s1 s1' + E s2 s2')/2 g = g, by Monte Carlo of the
    same expression that `test_training_equals_its_equations` finds in the engine, on the engine's own signs."""
    size, pairs = 9, 12_000
    g = np.random.default_rng(0).normal(size=size)
    s = np.array([signs(3, size, n) for n in range(64)])
    assert not np.array_equal(s[0::2], s[1::2]), "the two perturbations of a step differ"
    rng = np.random.default_rng(1)
    u = 0.5 * (rng.choice([-1.0, 1.0], (pairs, size)) - rng.choice([-1.0, 1.0], (pairs, size)))
    ghat = 2.0 * (u @ g)[:, None] * u
    assert float(ghat.mean(axis=0) @ g / (g @ g)) == pytest.approx(1.0, rel=WITHIN)


def test_compiled_loop_equals_plain_python(baseline: Bench) -> None:
    """The composed kernel, compiled, gives the same bits as its source run as plain Python, noise included."""
    chip = {"astrocyte": {"cost_noise_std": 1e-3}}
    layers = [dense("hidden", 1, "tanh"), dense("out", 1, "sigmoid")]
    two = [Machine(scenario(layers, {"tau_theta": 3, "learning_rate": 0.1}, chip=chip), baseline.data) for _ in range(2)]
    assert two[0].source == baseline.machine.source
    plain(two[1])
    for machine in two:
        machine.burst(70)
    for name, arena in two[0].arenas.items():
        np.testing.assert_array_equal(arena, two[1].arenas[name], err_msg=name)
    assert two[0].totals == two[1].totals


def test_frozen_really_freezes(baseline: Bench) -> None:
    """What the laws above rest on: the weights do not move while the estimate is gathered."""
    assert FROZEN["learning_rate"] < 1e-200
    machine = baseline.fresh(seed=12)
    machine.burst(1000)
    np.testing.assert_array_equal(machine.arrays["theta"], baseline.theta)
