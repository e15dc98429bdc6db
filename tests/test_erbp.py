"""Event-driven random back-propagation: counts and weights by hand, its random parts, one result however it is run."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from helpers_erbp import learns_clothes, network, one_result, only_looks
from helpers_laws import Table, classes_of, dense, plain, scenario

from neurosim.data import Dataset
from neurosim.engine import erbp_state
from neurosim.engine.machine import Machine
from neurosim.errors import InputError
from neurosim.kernels import erbp, random
from neurosim.spec.scenario import Scenario

NEURON: Table = {"model": "erbp-lif"}
HIDDEN, CLASSES, BRIGHT, DARK = 5, 3, 4, 2
PIXELS = BRIGHT + DARK


def small(training: Table | None = None, neuron: Table | None = None, **more: Any) -> Scenario:
    """A 6-5-3 network, samples of 20 ticks."""
    chosen = {**NEURON, **(neuron or {})}
    layers = [dense("hidden", HIDDEN, chosen), dense("out", CLASSES, chosen)]
    base = {"learning_rate": 1e-2, "sample_s": 0.02, "burn_in_s": 0.0, **(training or {})}
    wide = {"network": {"dtype": "float64"}, "stop": {"steps": 40}}
    return network(layers, {"model": "glorot", "scale": 3.0}, base, wide, more)


def images(n: int = 9) -> Dataset:
    """Pixels that either fire as fast as they can (1) or never (-20), by class."""
    rng = np.random.default_rng(5)
    x = np.where(rng.uniform(size=(n, PIXELS)) < 0.6, 1.0, -20.0)
    return classes_of(x, np.arange(n) % CLASSES, CLASSES)


def one_image() -> Dataset:
    """Four pixels that fire in ticks 0, 4, 8, 12 and 16, two that do not; class 1."""
    return classes_of(np.array([[1.0] * BRIGHT + [-20.0] * DARK]), np.array([1]), CLASSES)


def of_one_step() -> Machine:
    """One sample on a network without weights: nothing fires but data, label and error neurons."""
    machine = plain(Machine(small({"rate_Hz": 1e9, "learning_rate": 1e-6}), one_image()))
    machine.arrays["theta"][:] = 0.0
    machine.burst(1)
    return machine


# --- by hand ------------------------------------------------------------------------------------------------------


def test_counts_by_hand() -> None:
    """Label spikes in ticks 3, 7, 11, 15, 19 lift the error neuron by 0.09 each: it fires (0.1) in all but the first.

    The spike of tick 19 arrives nowhere, as the sample is over; so three reach the 5 hidden neurons and their own
    output. Data spikes: 4 pixels in 5 ticks, 5 synapses each. They learn when u is not 0: in ticks 8, 12 and 16.
    """
    machine = of_one_step()
    totals, counts = machine.totals, machine.ledger().counts
    assert totals["ACTIVE_0"] == BRIGHT * 5
    assert totals["FIRED_0"] == totals["FIRED_1"] == totals["ACTIVE_1"] == 0
    assert totals["COMPARED"] == 2 * 5
    assert totals["ERRORS"] == 4
    assert totals["FEEDBACK"] == 3 * (HIDDEN + 1)
    assert totals["WRITTEN"] == 3 * BRIGHT * HIDDEN
    assert counts["synaptic_event"] == BRIGHT * 5 * HIDDEN + 2 * 5 + 3 * (HIDDEN + 1)
    assert counts["synapse_updated"] == 3 * BRIGHT * HIDDEN
    assert counts["neuron_fired"] == 4
    assert counts["neuron_visited"] == 20 * (HIDDEN + CLASSES + 2 * CLASSES)
    assert counts["sample_word_loaded"] == PIXELS + CLASSES
    assert counts["cost_evaluated"] == 0


def test_energy_is_counts_times_prices() -> None:
    """20 pJ a synaptic event on the chip nsat, and the clock's 1 ms a tick."""
    machine = of_one_step()
    ledger, prices = machine.ledger(), machine.meter.prices
    assert prices.energy_J[prices.index("synaptic_event")] == 20e-12
    assert sum(ledger.phase_time_fs.values()) == pytest.approx(20e12 + 9 * 40e6)  # 20 ticks, 9 words of 40 ns


def test_weights_by_hand() -> None:
    """u_j = G_j at tick 8, G_j (1 + d^4) at 12, G_j (1 + d^4 + d^8) at 16, with d = exp(-1/5); and each is added."""
    machine = of_one_step()
    g = erbp_state.feedback(machine.scenario, machine.plan)[1]
    d4 = math.exp(-4 / 5)
    expected = 1e-6 * g * (1.0 + (1.0 + d4) + (1.0 + d4 + d4**2))
    w = machine.weights("hidden")
    np.testing.assert_allclose(w[:BRIGHT], np.tile(expected, (BRIGHT, 1)), rtol=1e-12)
    np.testing.assert_array_equal(w[BRIGHT:], 0.0)  # dark pixels, and the biases that such a network has not
    np.testing.assert_array_equal(machine.weights("out"), 0.0)  # no hidden neuron has fired


def test_gate_and_burn_in() -> None:
    """No synapse learns during burn-in, or where the current is outside the boxcar."""
    machine = plain(Machine(small({"rate_Hz": 1e9, "burn_in_s": 0.012}), one_image()))
    machine.arrays["theta"][:] = 0.0
    machine.burst(1)
    assert machine.totals["WRITTEN"] == 2 * BRIGHT * HIDDEN  # ticks 12 and 16
    closed = plain(Machine(small({"rate_Hz": 1e9, "boxcar": 0.05}), one_image()))
    closed.arrays["theta"][:] = 0.0
    closed.weights("hidden")
    closed.arrays["theta"][: PIXELS * HIDDEN] = -1.0  # currents far below the boxcar; nothing fires
    closed.burst(1)
    assert closed.totals["ERRORS"] == 4
    assert closed.totals["WRITTEN"] == 0


def test_boxcar_by_place() -> None:
    """``boxcar`` is the first layer's, ``boxcar_deep`` that of all behind it."""
    layers = [dense(name, n, NEURON) for name, n in (("a", 2), ("b", 4), ("out", CLASSES))]
    for training, expected in (
        ({"boxcar": 0.5}, [0.5] * 9),
        ({"boxcar": 0.5, "boxcar_deep": 2.0}, [0.5] * 2 + [2.0] * 7),
    ):
        machine = Machine(small(training, network={"layers": layers}), images())
        np.testing.assert_array_equal(machine.arrays["boxcar"], expected)


def test_feedback_sums_to_zero() -> None:
    """The mean of G over the classes is taken off; its size is that of the source."""
    machine = Machine(small(), images())
    g = erbp_state.feedback(machine.scenario, machine.plan)
    np.testing.assert_allclose(g.sum(axis=0), 0.0, atol=1e-15)
    assert 0.1 < np.abs(g).max() <= 2.0 * math.sqrt(7.0 / (CLASSES + HIDDEN))


# --- random parts ---------------------------------------------------------------------------------------------------


def test_data_neurons() -> None:
    """Rate 1 / (rest + 1/(e^rho - 1)) spikes a tick, never two within the rest."""
    rest, ticks, n = 4, 4000, 40
    x = np.repeat([0.2, 0.5, 0.6, 1.0], n // 4)
    rate, threshold, gain = 0.1, 0.43, 10.0
    spikes, counts = np.zeros(ticks * n, np.uint32), np.zeros(ticks, np.int64)
    erbp.escape_spikes(x, rate, threshold, gain, rest, ticks, random.stream_key(1, 10, 0, 0, 0), spikes, counts)
    times: list[list[int]] = [[] for _ in range(n)]
    for t in range(ticks):
        for i in spikes[n * t : n * t + counts[t]]:
            times[int(i)].append(t)
    for level in range(4):
        rho = rate * math.exp(gain * (x[level * n // 4] - threshold))
        wait = rest + 1.0 / math.expm1(rho)
        there = [len(times[i]) for i in range(level * n // 4, (level + 1) * n // 4)]
        std = (wait - rest + 1.0) / wait * math.sqrt(ticks / wait / len(there))  # renewal counts, roughly
        assert np.mean(there) == pytest.approx(ticks / wait, abs=5.0 * std + 1.0)
    assert min(np.diff(each).min() for each in times if len(each) > 1) >= rest


@pytest.mark.parametrize("n", [7, 64])
def test_transmission(n: int) -> None:
    """Synapses transmit with their probability, each on its own; what is dropped is not learned; both passes agree."""
    rows, limit, key = 400, 29_491, random.stream_key(2, 20, 0, 0, 0)  # 0.45
    w = np.ones(rows * n)
    fired, words = np.arange(rows), np.zeros(n, np.uint32)
    current, change = np.zeros(n), np.full(n, 0.5)
    moved = erbp.drop_learn(w, fired, rows, current, change, words, key, 11, limit)
    share = 29_491 / 65_536
    assert moved == (w == 1.5).sum() == current.sum()
    assert moved == pytest.approx(rows * n * share, abs=5.0 * math.sqrt(rows * n * share * (1 - share)))
    again, general = np.zeros(n), np.ones(rows * n)
    erbp.drop(np.ones(rows * n), fired, rows, again, words, key, 11, limit)
    np.testing.assert_array_equal(again, current)
    free, third = np.ones(rows * n, np.int64), np.zeros(n)
    assert erbp.learn_rounded(general, free, fired, rows, third, change, key, 11, limit, key, 0.0, 0.0, 0.0) == moved
    np.testing.assert_array_equal(general, w)
    np.testing.assert_array_equal(third, current)


def test_stochastic_rounding_is_unbiased_and_clips() -> None:
    """A change of 0.3 steps moves 30 % of the synapses by one; bounds hold; stuck ones stay."""
    rows, n, step = 500, 20, 0.125
    w, free = np.zeros(rows * n), np.ones(rows * n, np.int64)
    free[::4] = 0
    key = random.stream_key(4, 8, 0, 0, 0)
    args = (np.arange(rows), rows, np.zeros(n), np.full(n, -0.3 * step), key, 0, erbp.ALWAYS, key)
    moved = erbp.learn_rounded(w, free, *args, step, -1.0, 0.875)
    assert set(np.unique(w)) == {-step, 0.0}
    assert not w[free == 0].any()
    expected = 0.3 * (free == 1).sum()
    assert moved == pytest.approx(expected, abs=5.0 * math.sqrt(0.7 * expected))
    for _ in range(60):
        erbp.learn_rounded(w, free, *args[:3], np.full(n, -3.0 * step), *args[4:], step, -1.0, 0.875)
    assert (w[free == 1] == -1.0).all()


# --- one result -----------------------------------------------------------------------------------------------------

RANDOM: Table = {"transmission": 0.6, "anneal_steps": 100}


@pytest.mark.parametrize(
    ("training", "more"),
    [
        (RANDOM, {}),
        ({}, {"chip": {"synapse": {"device": {"model": "quantized", "bits": 8, "w_min": -1.0, "w_max": 1.0}}}}),
        ({}, {"chip": {"synapse": {"stuck_fraction": 0.3}}}),
    ],
)
def test_any_mode_and_burst_gives_the_same_bits(training: Table, more: Table) -> None:
    """With noise; plain and dropping synapses, words that are rounded, and stuck weights."""
    one_result(small(training, {"noise_std": 0.02}, **more), images(), 17)


def test_testing_learns_nothing_and_ends_as_it_reports() -> None:
    """An evaluation leaves weights and counts, and its last tick is its accuracy."""
    only_looks(plain(Machine(small(), images())), 9)


# --- it learns --------------------------------------------------------------------------------------------------------


def test_it_learns() -> None:
    """Clothes: far above chance (a tenth), and fewer error spikes."""
    learns_clothes("pi-mnist-erbp-100", {"training.learning_rate": 3e-3}, accuracy=0.7, errors=0.75)


# --- bad input --------------------------------------------------------------------------------------------------------


def test_every_problem_at_once() -> None:
    """Neurons without a dendrite, devices that are not memory, another clock."""
    made = small(chip={"timing": {"model": "simple"}, "synapse": {"device": "soft-bounds"}})
    with pytest.raises(InputError) as caught:
        Machine(made, images())
    text = "\n".join(caught.value.problems)
    assert "chip.synapse.device" in text
    assert "chip.timing.model" in text


def test_what_does_not_fit_is_refused() -> None:
    """The neuron of erbp with another trainer, another neuron with erbp, and times that cannot be."""
    table = {"model": "backprop", "learning_rate": 0.1}
    layers = [dense("hidden", HIDDEN, NEURON), dense("out", CLASSES, NEURON)]
    chip = {"name": "nsat", "capabilities": {"cost_units": ["host"], "neurons": ["erbp-lif"]}}
    other = scenario(layers, table, chip=chip)
    with pytest.raises(InputError, match="need the trainer erbp"):
        Machine(other, images())
    lif = [dense("hidden", HIDDEN, "lif"), dense("out", CLASSES, "lif")]
    with pytest.raises(InputError, match="has a dendrite"):
        Machine(small(network={"layers": lif}), images())
    with pytest.raises(InputError, match="burn_in_s must be shorter"):
        small({"burn_in_s": 0.02})
    with pytest.raises(InputError, match="a step is a sample"):
        small({"tau_theta": 5})
