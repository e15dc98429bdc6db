"""Codes through the engine over their full period, and backpropagation, against numerically differentiated networks.

Over a full period the gathered G = (steps/P) grad exactly to first order in the amplitude; what curvature adds is
code by code: all of it for `sequential` (the forward finite difference), nothing to second order for
`sequential-paired`, `walsh` over its two passes, and `sinusoidal` in an allowed band.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers_laws import (
    FROZEN,
    Reference,
    Table,
    Vector,
    cosine,
    dense,
    plain,
    samples,
    scenario,
    set_setting,
    set_weights,
    window,
)

from neurosim import registry
from neurosim.data import Dataset
from neurosim.engine.machine import Machine

MLP = [dense("h", 4, "tanh"), dense("o", 2, "sigmoid")]
CNN: list[Table] = [
    {"type": "conv2d", "name": "c1", "channels": 3, "kernel": 3, "neuron": "tanh"},
    {"type": "maxpool", "name": "p1", "size": 2},
    {"type": "conv2d", "name": "c2", "channels": 2, "kernel": 2, "neuron": "sigmoid"},
    {"type": "avgpool", "name": "p2", "size": 2},
    dense("d", 3, "relu"),
    dense("o", 2, "linear"),
]
MISMATCH = {"neuron": {"scale_dtod": 0.2, "slope_dtod": 0.2, "x_offset_dtod": 0.2, "y_offset_dtod": 0.2}}


def vectors() -> Dataset:
    rng = np.random.default_rng(3)
    return samples(rng.normal(size=(3, 3)), rng.uniform(0.1, 0.9, size=(3, 2)))


def images() -> Dataset:
    """9 x 11 pixels in two channels; the second pooling drops a partial border."""
    rng = np.random.default_rng(4)
    return samples(rng.normal(size=(3, 9, 11, 2)), rng.uniform(0.1, 0.9, size=(3, 2)))


NETWORKS = {"dense": (MLP, vectors), "convolution": (CNN, images)}


class Frozen:
    """A machine with frozen weights (as plain Python), and its reference on the first sample."""

    def __init__(self, network: str, training: Table, **more: Any) -> None:
        layers, data = NETWORKS[network]
        self.data = data()
        self.machine = plain(Machine(scenario(layers, {"tau_x": 10**6, **training}, **more), self.data))
        self.size = self.machine.plan.parameters
        self.theta = np.random.default_rng(8).normal(scale=0.7, size=self.size)
        set_weights(self.machine, self.theta)
        self.reference = Reference(self.machine)

    def cost(self, theta: Vector) -> float:
        return self.reference.cost(theta, self.data.train_x[0], self.data.train_t[0])

    def gradient(self, sample: int = 0) -> Vector:
        return self.reference.gradient(self.theta, self.data.train_x[sample], self.data.train_t[sample])

    def per_step(self, steps: int) -> Vector:
        """The estimate of ``steps`` perturbations, as a gradient."""
        return window(self.machine, steps) * self.size / steps


def differences(frozen: Frozen, h: float, paired: bool) -> Vector:
    """Forward (or central) differences with step ``h``, one parameter after another."""
    out = np.empty(frozen.size)
    for e in range(frozen.size):
        shift = np.zeros(frozen.size)
        shift[e] = h
        if paired:
            out[e] = (frozen.cost(frozen.theta + shift) - frozen.cost(frozen.theta - shift)) / (2 * h)
        else:
            out[e] = (frozen.cost(frozen.theta + shift) - frozen.cost(frozen.theta)) / h
    return out


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(("code", "passes"), [("sequential", 1), ("sequential-paired", 2)])
def test_one_pass_of_turns_is_the_finite_difference(network: str, code: str, passes: int) -> None:
    """Sequential: forward difference, error norm_mag/2 d2C/dtheta2; paired: central; both to the last digits."""
    norm_mag = 0.05
    frozen = Frozen(network, {"code": code, "norm_mag": norm_mag})
    estimate = frozen.per_step(passes * frozen.size)
    np.testing.assert_allclose(estimate, differences(frozen, norm_mag, code != "sequential"), rtol=1e-8, atol=1e-9)
    if network == "convolution":  # kinks of the rectifier and of the pooling: no order of convergence
        return
    error = np.abs(estimate - frozen.gradient()).max()
    fine = Frozen(network, {"code": code, "norm_mag": norm_mag / 10})
    shrinks = error / np.abs(fine.per_step(passes * fine.size) - fine.gradient()).max()
    order = 1 if code == "sequential" else 2
    assert shrinks == pytest.approx(10.0**order, rel=0.3)


@pytest.mark.parametrize(
    ("network", "difference", "code"),
    [
        *(("dense", "baseline", code) for code in ("walsh", "sinusoidal", "sequential", "sequential-paired")),
        *(("dense", "two-sided", code) for code in ("walsh", "sinusoidal", "sequential", "sequential-paired")),
        *(("convolution", "baseline", code) for code in ("walsh", "sequential")),
    ],
)
def test_a_full_period_gives_the_gradient(network: str, difference: str, code: str) -> None:
    """Small amplitude: the whole vector, not only its direction."""
    frozen = Frozen(network, {"code": code, "norm_mag": 1e-4, "difference": difference})
    period = registry.find("perturbation", code).module.period(frozen.size)
    gradient = frozen.gradient()
    np.testing.assert_allclose(frozen.per_step(period), gradient, atol=1e-3 * float(np.abs(gradient).max()))


def relative_error(code: str | Table, norm_mag: float, passes: tuple[int, ...]) -> list[float]:
    """|estimate - gradient| / |gradient| after each of the ``passes`` (in perturbations, one after the other)."""
    frozen = Frozen("dense", {"code": code, "norm_mag": norm_mag})
    gradient, total, steps, errors = frozen.gradient(), np.zeros(frozen.size), 0, []
    for length in passes:
        total += frozen.per_step(length) * length
        steps += length
        errors.append(float(np.linalg.norm(total / steps - gradient) / np.linalg.norm(gradient)))
    return errors


def test_walsh_needs_two_passes() -> None:
    """One pass is biased by curvature, linear in the amplitude; the second, all signs flipped, takes it out again.

    Products of two rows are rows: s_j s_k = s_i for some j, k, and H_jk comes into the estimate of g_i.
    """
    passes = (32, 32)  # P = 26
    large, small = relative_error("walsh", 0.3, passes), relative_error("walsh", 0.1, passes)
    assert large[0] > 0.05
    assert large[0] / small[0] == pytest.approx(3.0, rel=0.2)
    assert large[1] < large[0] / 3
    assert large[1] / small[1] == pytest.approx(9.0, rel=0.2), "what is left is of third derivatives"


def test_sinusoids_of_the_allowed_band_see_no_curvature() -> None:
    """f_stop < 2 f_start and f_stop < 1/3: sums, differences and aliases of two frequencies stay out of the band."""
    code = {"model": "sinusoidal", "f_start": 0.1, "f_stop": 0.19}
    period = registry.find("perturbation", "sinusoidal").module.period(26)
    large, small = relative_error(code, 0.3, (period,))[0], relative_error(code, 0.1, (period,))[0]
    assert large < 0.05
    assert large / small == pytest.approx(9.0, rel=0.2), "what is left is of third derivatives"


@pytest.mark.parametrize("code", ["sequential", "walsh"])
def test_amplitude_mismatch_is_exact_for_orthogonal_codes(code: str) -> None:
    """ghat_i = (1 + m_i) g_i, parameter by parameter."""
    frozen = Frozen("dense", {"code": code}, chip={"perturbation": {"amplitude_dtod": 0.3}})
    m = np.array(frozen.machine.arrays["mismatch"], np.float64)
    period = registry.find("perturbation", code).module.period(frozen.size)
    expected = (1 + m) * frozen.gradient()
    np.testing.assert_allclose(frozen.per_step(period), expected, atol=1e-3 * float(np.abs(expected).max()))
    assert np.abs(m).max() > 0.3


def test_codes_do_not_care_how_long_they_are_held() -> None:
    """tau_p = 3: each perturbation counts three times."""
    once, held = (Frozen("dense", {"code": "walsh", "tau_p": tau_p}) for tau_p in (1, 3))
    period = registry.find("perturbation", "walsh").module.period(once.size)
    np.testing.assert_allclose(held.per_step(3 * period), once.per_step(period), rtol=1e-9)


# --- backpropagation ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mismatch", [False, True])
@pytest.mark.parametrize("network", NETWORKS)
def test_exact_gradient_equals_numerical_differentiation(network: str, mismatch: bool) -> None:
    """true_gradient of dense, convolution and pooling layers, with and without neuron mismatch."""
    frozen = Frozen(network, {}, chip=MISMATCH if mismatch else {})
    assert frozen.reference.mismatched == mismatch
    for sample in range(3):
        expected = frozen.gradient(sample)
        assert np.count_nonzero(expected) > 0.8 * frozen.size
        actual = frozen.machine.true_gradient(sample)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-8 * max(1.0, float(np.abs(expected).max())))


def test_exact_gradient_disturbs_nothing() -> None:
    """Asking for it leaves every bit of the machine's memory as it was."""
    frozen = Frozen("dense", {})
    frozen.machine.burst(5)
    before = {name: arena.copy() for name, arena in frozen.machine.arenas.items()}
    frozen.machine.true_gradient(2)
    for name, arena in frozen.machine.arenas.items():
        np.testing.assert_array_equal(arena, before[name])


@pytest.mark.parametrize("mismatch", [False, True])
@pytest.mark.parametrize("network", NETWORKS)
def test_backprop_descends_along_the_mean_gradient(network: str, mismatch: bool) -> None:
    """theta <- theta - eta mean over tau_theta samples of dC/dtheta."""
    training = {"model": "backprop", "tau_theta": 3, "tau_x": 1, "learning_rate": 0.1}
    layers, data = NETWORKS[network]
    dataset = data()
    machine = plain(Machine(scenario(layers, training, chip=MISMATCH if mismatch else {}), dataset))
    reference = Reference(machine)
    theta = np.random.default_rng(8).normal(scale=0.7, size=machine.plan.parameters)
    set_weights(machine, theta)
    for _ in range(2):
        mean = np.mean([reference.gradient(theta, dataset.train_x[i], dataset.train_t[i]) for i in range(3)], axis=0)
        theta = theta - 0.1 * mean
        machine.burst(3)
    np.testing.assert_allclose(machine.arrays["theta"], theta, rtol=0, atol=1e-8)


REPLICATED: dict[str, Table] = {
    "mgd": {"tau_theta": 1},
    "two-noisy": {"tau_theta": 1, "difference": "two-noisy"},
    "windows, Adam": {"tau_theta": 2, "optimizer": "adam"},
    "analog": {"difference": "high-pass", "tau_x": 5, "tau_theta": 4},
    "backprop": {"model": "backprop", "tau_theta": 3},
}


@pytest.mark.parametrize("name", REPLICATED)
def test_replicated_convolutions_learn_as_the_shared_one(name: str) -> None:
    """One array per position, all with the same code: on perfect devices every copy follows the shared weights."""
    rng = np.random.default_rng(2)
    data = samples(rng.normal(size=(3, 4, 5, 2)), rng.normal(size=(3, 24)))
    start, ends = rng.normal(size=18), []
    for mapping in ("serial", "replicated"):
        layer = {"type": "conv2d", "name": "c", "channels": 2, "kernel": 2, "neuron": "tanh", "mapping": mapping}
        training = {"norm_mag": 0.05, "learning_rate": 0.3, **REPLICATED[name]}
        machine = plain(Machine(scenario([layer], training), data))
        set_weights(machine, np.tile(start, machine.plan.parameters // 18))
        machine.burst(30)
        ends.append(np.array(machine.arrays["theta"]).reshape(-1, 18))
    assert (len(ends[0]), len(ends[1])) == (1, 12)
    np.testing.assert_allclose(ends[1], np.tile(ends[0], (12, 1)), rtol=0, atol=1e-12)
    assert np.abs(ends[0] - start).max() > 0.01


# --- what is asked of any code ------------------------------------------------------------------------------------


def test_norm_mag_is_the_length_of_every_code() -> None:
    """The same norm_mag gives the same mean estimate for all codes: grad / P per step (the norm_mag convention)."""
    for code in ("random", "sequential", "walsh", "sinusoidal"):
        frozen = Frozen("dense", {"code": code, "norm_mag": 1e-3})
        steps = registry.find("perturbation", code).module.period(frozen.size) or 3000
        gradient = frozen.gradient()
        projection = float(frozen.per_step(steps) @ gradient / (gradient @ gradient))
        assert projection == pytest.approx(1.0, abs=0.09 if code == "random" else 0.01), code


def test_another_seed_is_another_code_with_the_same_gradient() -> None:
    """Seeds change who has which turn, not what a period says."""
    assert FROZEN["tau_theta"] > 10**6
    one, two = (Frozen("dense", {"code": "walsh"}, seed=seed) for seed in (1, 2))
    set_setting(two.machine, "LEARNING_RATE", 0.0)
    period = registry.find("perturbation", "walsh").module.period(one.size)
    early = [frozen.per_step(5) for frozen in (one, two)]
    assert abs(cosine(early[0], early[1])) < 0.9
    rest = [frozen.per_step(period - 5) * (period - 5) + part * 5 for frozen, part in zip((one, two), early, strict=True)]
    np.testing.assert_allclose(rest[0], rest[1], rtol=1e-3, atol=1e-3 * float(np.abs(rest[0]).max()))
