"""Laws of probes in node space: rank-1 weight probes and injections, the estimate's mean, the delta memory.

A probe u over all nodes, |u| = 1, injects norm_mag sigma_j u_j with sigma_j = v_l sqrt(S_l), S_l = 1 + |a|^2. To first order
that is the weight perturbation theta~_ij = norm_mag v_l/sqrt(S_l) a_i u_j (a = 1 for the bias), since sum_i a_i theta~_ij
= norm_mag v_l/sqrt(S_l) (1 + |a|^2) u_j.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers_laws import (
    RF,
    Reference,
    Table,
    Vector,
    classes_of,
    cosine,
    dense,
    plain,
    restart,
    samples,
    scenario,
    set_weights,
    slopes,
)

from neurosim import accounting
from neurosim.data import Dataset
from neurosim.engine.machine import Machine

LAYERS = [dense("h1", 4, "tanh"), dense("h2", 3, "sigmoid"), dense("o", 2, "linear")]


def one_sample() -> Dataset:
    rng = np.random.default_rng(21)
    return classes_of(rng.normal(size=(1, 5)), [1], 2)


class Nodes:
    """A frozen machine with a node-space trainer, and the slopes of the cost at its nodes in numpy."""

    def __init__(self, training: Table, data: Dataset | None = None, layers: list[Table] = LAYERS, **more: Table) -> None:
        self.data = data or one_sample()
        wanted = {"model": "node", "norm_mag": 1e-4, "tau_theta": 1, **training}
        self.machine = plain(Machine(scenario(layers, wanted, **more), self.data))
        rng = np.random.default_rng(22)
        self.theta = rng.normal(scale=0.6, size=self.machine.plan.parameters)
        set_weights(self.machine, self.theta)
        self.reference = Reference(self.machine)
        self.nodes = self.machine.plan.activations

    def cost(self, injection: Vector | None = None, theta: Vector | None = None, sample: int = 0) -> float:
        at = self.theta if theta is None else theta
        return self.reference.cost(at, self.data.train_x[sample], self.data.train_t[sample], injection)

    def delta(self, sample: int = 0) -> Vector:
        """dC/dz_j of every node, by central differences: the same as dC/db_j."""
        out = np.empty(self.nodes)
        for j in range(self.nodes):
            kick = np.zeros(self.nodes)
            kick[j] = 1e-5
            out[j] = (self.cost(kick, sample=sample) - self.cost(-kick, sample=sample)) / 2e-5
        return out

    def inputs(self) -> list[Vector]:
        """What every layer gets."""
        acts = self.reference.outputs(self.theta, self.data.train_x[0])
        ends = [layer.act + layer.n for layer in self.machine.plan.layers]
        return [np.asarray(self.data.train_x[0], np.float64).reshape(-1), *np.split(acts, ends)[:-2]]

    def sigma(self, scales: tuple[float, ...] = (1.0, 1.0, 1.0)) -> Vector:
        """sigma_j = v_l sqrt(1 + |a|^2)."""
        parts = [
            np.full(layer.n, scale * math.sqrt(1.0 + float(a @ a)))
            for layer, a, scale in zip(self.machine.plan.layers, self.inputs(), scales, strict=True)
        ]
        return np.concatenate(parts)

    def rank1(self, u: Vector, sizes: Vector) -> Vector:
        """The weight vector with a_i u_j sizes_j / sqrt(S_l), sizes = norm_mag v_l per node."""
        out = np.zeros(self.theta.size)
        for layer, a in zip(self.machine.plan.layers, self.inputs(), strict=True):
            span = slice(layer.act, layer.act + layer.n)
            with_bias = np.append(a, 1.0)
            block = np.outer(with_bias, u[span] * sizes[span] / math.sqrt(1.0 + float(a @ a)))
            out[layer.theta : layer.theta + layer.parameters] = block.reshape(-1)
        return out


def test_one_probe_two_ways() -> None:
    """A rank-1 probe of the weights, computed here, and the chip's node injection give the same C~ to first order."""
    ratios = []
    for norm_mag in (0.02, 0.002):
        nodes = Nodes({"norm_mag": norm_mag, "learning_rate": 1e-300})
        nodes.machine.burst(1)
        arrays = nodes.machine.arrays
        u = np.array(arrays["direction"][1], np.float64)
        assert np.linalg.norm(u) == pytest.approx(1.0)
        injected = float(arrays["rf"][RF["C_1"]] - arrays["rf"][RF["C_0"]])
        np.testing.assert_allclose(arrays["injection"][1], norm_mag * nodes.sigma() * u, rtol=1e-10)
        assert injected == pytest.approx(nodes.cost(norm_mag * nodes.sigma() * u) - nodes.cost(), rel=1e-6)
        shift = nodes.rank1(u, np.full(nodes.nodes, norm_mag))
        assert np.linalg.norm(shift) == pytest.approx(norm_mag)
        as_weights = nodes.cost(theta=nodes.theta + shift) - nodes.cost()
        ratios.append(abs(as_weights / injected - 1.0))
    assert ratios[1] < 2e-3
    assert ratios[0] / ratios[1] == pytest.approx(10.0, rel=0.5), "what differs is of second order"


@pytest.mark.parametrize("normalise", [True, False])
def test_update_is_the_measured_slope_along_the_probe(normalise: bool) -> None:
    """w_ij -= eta c u_j a_i / sqrt(S_l) and the bias with a = 1: steepest descent along the rank-1 probe."""
    rate, norm_mag, scale = 0.3, 1e-3, 0.5
    training = {
        "norm_mag": norm_mag, "learning_rate": rate, "normalise_activity": normalise, "output_scale": scale,
    }  # fmt: skip
    nodes = Nodes(training)
    nodes.machine.burst(1)
    u = np.array(nodes.machine.arrays["direction"][1], np.float64)
    v = np.where(np.arange(nodes.nodes) < 7, 1.0, scale)
    if normalise:
        sigma = nodes.sigma((1.0, 1.0, scale))
        shape = nodes.rank1(u, v)
    else:
        sigma = v
        shape = np.zeros(nodes.theta.size)
        for layer, a in zip(nodes.machine.plan.layers, nodes.inputs(), strict=True):
            span = slice(layer.act, layer.act + layer.n)
            block = np.outer(np.append(a, 1.0), u[span] * v[span])
            shape[layer.theta : layer.theta + layer.parameters] = block.reshape(-1)
    slope = (nodes.cost(norm_mag * sigma * u) - nodes.cost()) / norm_mag
    np.testing.assert_allclose(nodes.machine.arrays["theta"], nodes.theta - rate * slope * shape, rtol=0, atol=1e-9)


def test_windows_add_up_the_same_estimates() -> None:
    """tau_theta = 3 sums three estimates at frozen weights and writes them together."""
    single = Nodes({"learning_rate": 1e-6})
    steps = []
    for step in range(3):
        set_weights(single.machine, single.theta)
        single.machine.burst(1)
        assert single.machine.step == step + 1
        steps.append(np.array(single.machine.arrays["theta"]) - single.theta)
    windowed = Nodes({"learning_rate": 1e-6, "tau_theta": 3})
    windowed.machine.burst(3)
    moved = np.array(windowed.machine.arrays["theta"]) - windowed.theta
    np.testing.assert_allclose(moved, sum(steps), rtol=1e-6, atol=1e-6 * float(np.abs(moved).max()))


@pytest.mark.parametrize("mismatch", [0.0, 0.4])
def test_mean_estimate_is_the_gradient(mismatch: float) -> None:
    """E c u_j = h_j / N with h_j = sigma_j dC/dz_j; injectors with gain 1 + m_j: (1 + m_j) h_j / N.

    Over many perturbations, as for weights: E|N c u - h|^2 / |h|^2 = (N - 1)/tau.
    """
    rate, tau = 1e-9, 3000
    nodes = Nodes({"learning_rate": rate}, chip={"perturbation": {"amplitude_dtod": mismatch}})
    machine, gathered = nodes.machine, np.empty(nodes.nodes)
    machine.burst(tau)
    moved = (np.array(machine.arrays["theta"]) - nodes.theta) / -rate
    for layer in machine.plan.layers:  # a bias moves by -eta hhat_j sigma_j / S_l = -eta hhat_j / sigma_j (v = 1)
        span = slice(layer.act, layer.act + layer.n)
        gathered[span] = moved[layer.theta + layer.weights : layer.theta + layer.parameters] * nodes.sigma()[span]
    m = np.zeros(nodes.nodes)
    if mismatch:
        m = np.array(machine.arrays["node_mismatch"], np.float64)
        assert np.abs(m).max() > 0.3
    h = nodes.sigma() * nodes.delta() * (1 + m)
    error = np.linalg.norm(nodes.nodes * gathered / tau - h) / np.linalg.norm(h)
    assert error < 1.8 * math.sqrt((nodes.nodes - 1) / tau)
    if mismatch:
        blind = nodes.sigma() * nodes.delta()
        assert np.linalg.norm(h - blind) / np.linalg.norm(h) > 2 * error


def test_convolutions_learn_along_the_gradient() -> None:
    """Shared weights add up over positions: E of the update, in probe coordinates, has the gradient's direction."""
    layers: list[Table] = [
        {"type": "conv2d", "name": "c", "channels": 2, "kernel": 2, "neuron": "tanh"},
        dense("o", 2, "linear"),
    ]
    data = classes_of(np.random.default_rng(1).normal(size=(1, 4, 4, 1)), [0], 2)
    nodes = Nodes({"learning_rate": 1e-9}, data, layers)
    start = np.array(nodes.machine.arrays["theta"])
    nodes.machine.burst(3000)
    moved = np.array(nodes.machine.arrays["theta"]) - start
    gradient = nodes.reference.gradient(nodes.theta, data.train_x[0], data.train_t[0])
    for layer in nodes.machine.plan.layers:
        part = slice(layer.theta, layer.theta + layer.parameters)
        assert cosine(-moved[part], gradient[part]) > 0.95, layer.name


def test_step_limit() -> None:
    """eta' = min(eta, kappa C / c^2): with eta far too large the predicted decrease eta' c^2 is kappa C."""
    kappa = 0.05
    moves = {}
    for limit in (0.0, kappa):
        nodes = Nodes({"learning_rate": 1e6, "step_limit": limit})
        nodes.machine.burst(1)
        moves[limit] = np.linalg.norm(np.array(nodes.machine.arrays["theta"]) - nodes.theta)
        slope = slopes(nodes.machine)[1]
    # |update| = eta |c|, as the rank-1 probe has length 1
    assert moves[0.0] == pytest.approx(1e6 * abs(slope), rel=1e-6)
    assert moves[kappa] == pytest.approx(kappa * nodes.cost() / abs(slope), rel=1e-6)
    small = Nodes({"learning_rate": 1e-6, "step_limit": kappa})
    small.machine.burst(1)
    assert np.linalg.norm(np.array(small.machine.arrays["theta"]) - small.theta) == pytest.approx(1e-6 * abs(slope), rel=1e-6)


def test_silent_neurons_are_left_out() -> None:
    """mask_silent: a rectifier below zero gets no current and no update; the others share the probe's length."""
    layers = [dense("h", 6, "relu"), dense("o", 2, "linear")]
    nodes = Nodes({"learning_rate": 1.0}, layers=layers)
    nodes.machine.burst(1)
    silent = nodes.reference.outputs(nodes.theta, nodes.data.train_x[0])[:6] == 0.0
    assert 0 < silent.sum() < 6
    u = np.array(nodes.machine.arrays["direction"][1])
    assert (u[:6][silent] == 0.0).all()
    np.testing.assert_allclose(np.abs(u[u != 0.0]), 1.0 / math.sqrt(8 - silent.sum()))
    first = nodes.machine.plan.layers[0]
    moved = (np.array(nodes.machine.arrays["theta"]) - nodes.theta)[: first.parameters].reshape(-1, 6)
    assert (moved[:, silent] == 0.0).all()
    assert (moved[:, ~silent] != 0.0).all()


# --- the delta memory ---------------------------------------------------------------------------------------------

DELTA: Table = {"model": "delta-mgd", "scale_by_cost": False, "norm_mag": 1e-4, "tau_theta": 1}
FIXED: Table = {**DELTA, "learning_rate": 1e-300}


@pytest.mark.parametrize("scaled", [False, True])
def test_refresh_measures_the_slopes_of_the_biases(scaled: bool) -> None:
    """Bias-only probes: E N c u_j / sigma_j = dC/db_j, for every class from that class's own samples.

    With scale_by_cost the memory holds the slope per unit of s = residual(C0), so that s M is the slope again.
    """
    data = classes_of(np.random.default_rng(2).normal(size=(2, 5)), [0, 1], 2)
    count = 1500
    nodes = Nodes({**FIXED, "refresh": "bias", "refresh_measurements": count, "scale_by_cost": scaled}, data)
    nodes.machine.burst(1)
    before = dict(nodes.machine.totals)
    nodes.machine.refresh()
    assert nodes.machine.totals["CLEAN"] - before["CLEAN"] == 2 * count, "every inference is counted"
    assert nodes.machine.totals["PERTURBED"] - before["PERTURBED"] == 2 * count
    for label in (0, 1):
        share = math.sqrt(nodes.cost(sample=label)) if scaled else 1.0
        expected, memory = nodes.delta(label), share * np.array(nodes.machine.arrays["delta"][label], np.float64)
        assert np.linalg.norm(memory - expected) / np.linalg.norm(expected) < 2.5 * math.sqrt((nodes.nodes - 1) / count)
        assert cosine(memory, nodes.delta(1 - label)) < 0.9


@pytest.mark.parametrize("probes", ["combined", "separate", "alternate"])
def test_memory_turns_towards_the_true_slopes(probes: str) -> None:
    """Fed by the probes alone, the delta-vector of a class takes the direction of dC/db (ideal memory, frozen weights)."""
    nodes = Nodes({**FIXED, "probes": probes, "probe_angle": 60.0, "memory_rate": 0.3, "aligned_memory_rate": 0.1})
    nodes.machine.burst(1200)
    memory = np.array(nodes.machine.arrays["delta"][1], np.float64)
    assert cosine(nodes.sigma() * memory, nodes.sigma() * nodes.delta()) > 0.97
    assert not nodes.machine.arrays["delta"][0].any(), "the other class was never shown"


def test_aligned_probe_measures_the_slope_along_the_memory() -> None:
    """separate: u = h/|h| with h_j = sigma_j M_j, r orthogonal to it; both slopes are directional derivatives."""
    nodes = Nodes({**FIXED, "probes": "separate"})
    delta = nodes.delta()
    rng = np.random.default_rng(3)
    memory = delta + rng.normal(size=nodes.nodes) * np.abs(delta)
    nodes.machine.arrays["delta"][1] = memory
    nodes.machine.burst(1)
    h = nodes.sigma() * memory
    u, r = (np.array(nodes.machine.arrays["direction"][k], np.float64) for k in (1, 2))
    np.testing.assert_allclose(u, h / np.linalg.norm(h), rtol=1e-9)
    assert abs(float(u @ r)) < 1e-12
    assert np.linalg.norm(r) == pytest.approx(1.0)
    gradient = nodes.sigma() * delta
    np.testing.assert_allclose(slopes(nodes.machine)[1:], [u @ gradient, r @ gradient], rtol=1e-2, atol=1e-3 * np.linalg.norm(gradient))


def test_sign_only_memory_keeps_signs_and_length() -> None:
    """aligned = sign: all known nodes get the same share, with the memory's signs."""
    nodes = Nodes({**FIXED, "probes": "separate", "aligned": "sign"})
    memory = np.array([0.5, -0.1, 0.0, 0.3, -2.0, 0.1, 0.1, -0.4, 0.6])
    nodes.machine.arrays["delta"][1] = memory
    nodes.machine.burst(1)
    u = np.array(nodes.machine.arrays["direction"][1])
    np.testing.assert_allclose(u, np.sign(memory) / math.sqrt(8), rtol=1e-9)


def test_a_wrong_memory_reverses_its_own_step() -> None:
    """The measured slope scales and corrects the aligned step: descent even if every sign of the memory is wrong."""
    for sign in (1.0, -1.0):
        nodes = Nodes({**DELTA, "learning_rate": 1e-2, "probes": "separate", "memory_rate": 0.0, "orthogonal_rate": 0.0})
        nodes.machine.arrays["delta"][1] = sign * nodes.delta()
        nodes.machine.burst(1)
        assert nodes.cost(theta=np.array(nodes.machine.arrays["theta"])) < nodes.cost()


def test_one_step_of_the_combined_rule() -> None:
    """hhat = alpha h + e (k_u cos(phi) u + k_r sin(phi) r) with e = c - cos(phi)|h|, and the memory learns along both.

    M += s e (rho sin(phi) r + rho_u cos(phi) u)/sigma, s = residual(C0).
    """
    rate, phi = 1e-3, math.radians(40.0)
    training = {
        **DELTA, "learning_rate": rate, "scale_by_cost": True, "probe_angle": 40.0, "prior_rate": 0.7,
        "aligned_rate": 1.3, "orthogonal_rate": 2.1, "memory_rate": 0.4, "aligned_memory_rate": 0.2,
    }  # fmt: skip
    nodes = Nodes(training)
    memory = np.random.default_rng(9).normal(size=nodes.nodes)
    nodes.machine.arrays["delta"][1] = memory
    nodes.machine.burst(1)
    arrays, sigma = nodes.machine.arrays, nodes.sigma()
    share = math.sqrt(nodes.cost())  # |dC/dy| of a squared error grows as the root of the cost
    h = sigma * share * memory
    length = float(np.linalg.norm(h))
    u, r = h / length, np.array(arrays["orthogonal"], np.float64)
    probe = math.cos(phi) * u + math.sin(phi) * r
    np.testing.assert_allclose(arrays["direction"][1], probe, atol=1e-9)
    c = (nodes.cost(1e-4 * sigma * probe) - nodes.cost()) / 1e-4
    e = c - math.cos(phi) * length
    estimate = 0.7 * h + e * (1.3 * math.cos(phi) * u + 2.1 * math.sin(phi) * r)
    expected = nodes.theta - rate * nodes.rank1(estimate, np.ones(nodes.nodes))
    np.testing.assert_allclose(arrays["theta"], expected, rtol=0, atol=1e-8)
    change = share * e * (0.4 * math.sin(phi) * r + 0.2 * math.cos(phi) * u) / sigma
    np.testing.assert_allclose(arrays["delta"][1], memory + change, rtol=1e-6, atol=1e-7)


def test_memory_leaks_with_its_time_constant() -> None:
    """delta_tau_s: what is left of an untouched class is exp(-t/tau), t the time on the chip's clock."""
    tau = 1e-6
    nodes = Nodes(FIXED, chip={"astrocyte": {"delta_tau_s": tau}})
    nodes.machine.arrays["delta"][0] = 1.0
    nodes.machine.burst(20)
    left = np.array(nodes.machine.arrays["delta"][0])
    assert left.std() < 1e-12
    elapsed = accounting.time_s(nodes.machine.ledger())
    assert elapsed > 0.3 * tau
    assert -math.log(left[0]) == pytest.approx(elapsed / tau, rel=0.02)


def test_memory_leaks_during_refreshes_too() -> None:
    """A refresh takes its time on the chip's clock, in which what is remembered of every class leaks."""
    tau, data = 1e-5, classes_of(np.random.default_rng(2).normal(size=(4, 5)), [0, 1, 2, 3], 4)
    training = {**FIXED, "refresh": "bias", "refresh_measurements": 25, "refresh_blend": 1e-15}
    layers = [dense("h", 3, "tanh"), dense("o", 4, "linear")]
    nodes = Nodes(training, data, layers, chip={"astrocyte": {"delta_tau_s": tau}})
    nodes.machine.arrays["delta"][:] = 1.0
    nodes.machine.refresh()
    elapsed = accounting.time_s(nodes.machine.ledger())
    assert elapsed > 0.1 * tau
    left = np.array(nodes.machine.arrays["delta"])
    assert np.ptp(left) < 0.3 * (1.0 - left.mean()), "every class leaks, whoever is being refreshed"
    assert 0.5 < -math.log(left.mean()) / (elapsed / tau) < 2.0


@pytest.mark.parametrize("bits", [3, 6])
def test_memory_of_few_bits_is_unbiased(bits: int) -> None:
    """Stochastic rounding to 2^bits levels over +-delta_range: right on average, always on a level, never outside."""
    chip = {"astrocyte": {"delta_bits": bits, "delta_range": 2.0}}
    data = samples(np.zeros((1, 5)), [[0.0, 0.0]], [1], 2)
    nodes = Nodes({**FIXED, "memory_rate": 0.0, "aligned_memory_rate": 0.0}, data, chip=chip)
    machine = nodes.machine
    totals, lsb, wanted = np.zeros(nodes.nodes), 4.0 / (2**bits - 1), 0.37
    rounds = 2000
    for seed in range(rounds):
        restart(machine, seed)
        machine.arrays["delta"][1] = wanted
        machine.burst(1)
        held = np.array(machine.arrays["delta"][1])
        np.testing.assert_allclose(held / lsb, np.rint(held / lsb), atol=1e-6)
        totals += held
    assert np.abs(held).max() <= 2.0 + 1e-9
    spread = 0.5 * lsb / math.sqrt(rounds * nodes.nodes)
    assert totals.mean() / rounds == pytest.approx(wanted, abs=6 * spread + 1e-3)


def test_both_probes_of_a_step_have_their_own_broadcast_noise() -> None:
    """What the cores hear of two C~ in one step carries two independent noises."""
    nodes = Nodes({**FIXED, "probes": "separate"}, chip={"astrocyte": {"broadcast_noise_std": 1.0}})
    heard = []
    for _ in range(200):
        nodes.machine.burst(1)
        heard.append(slopes(nodes.machine)[1:])
    assert abs(np.corrcoef(np.array(heard)[1:].T)[0, 1]) < 0.3
