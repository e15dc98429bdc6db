"""Connections of a network driven by hand: delays, synapses that drop spikes, Poisson drives, dense and sparse rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats
from test_simulation import ROOMY, TICK_S, toy

from neurosim.chip.population import DELAY_TICKS, Network
from neurosim.engine.simulation import Simulation
from neurosim.errors import InputError

INTEGRATORS: dict[str, Any] = {"model": "if", "threshold": 1e9}


def sources(net: Network, size: int) -> dict[str, Any]:
    """Inputs that fire at random, and when."""
    net.add_population("src", size, model="input")
    tick, neuron = np.nonzero(np.random.default_rng(size).random((60, size)) < 0.3)
    return {"src": (tick, neuron)}


def membranes(sim: Simulation, name: str, ticks: int) -> npt.NDArray[Any]:
    """v after every tick."""
    rows = []
    for _ in range(ticks):
        sim.run(1)
        rows.append(sim.state(name, "v").copy())
    return np.array(rows)


# Delays


@pytest.mark.parametrize("delay", [1, 2, 5, 40])
def test_what_a_spike_brings_arrives_after_the_delay(delay: int) -> None:
    net = Network()
    net.add_population("src", 1, model="input")
    net.add_population("dst", 1, **INTEGRATORS)
    net.connect("src", "dst", weights=[[2.0]], delay_ticks=delay)
    fired = np.array([0, 3, 4])
    sim = Simulation(toy(geometry=ROOMY), net)
    out = sim.run(5, events={"src": (fired, np.zeros(3, np.int64))})
    assert out.counts["synaptic_event"] == 3  # looked up when the spike comes; what they give waits in the core
    seen = [float(sim.state("dst", "v")[0])]
    for _ in range(50):
        sim.run(1)
        seen.append(float(sim.state("dst", "v")[0]))
    now = np.arange(4, 55)
    np.testing.assert_array_equal(seen, 2.0 * (fired[:, None] + delay <= now).sum(axis=0))


def delayed(size: int = 40) -> tuple[Network, dict[str, Any]]:
    """A recurrent network in which every synapse has a delay of its own, up to 9 ticks."""
    rng = np.random.default_rng(7)
    net = Network()
    events = sources(net, size)
    for name in "ab":
        net.add_population(name, size, model="lif", tau_mem_s=20 * TICK_S, refractory_ticks=2, reset="hard")
    for source, target in (("src", "a"), ("a", "b"), ("b", "a"), ("a", "a")):
        delays = rng.integers(1, 10, (size, size))
        net.connect(source, target, weights=rng.normal(0.02, 0.1, (size, size)), delay_ticks=delays, transmission=0.7)
    net.add_drive("b", rate_Hz=0.4 / TICK_S, weight=0.2)
    return net, events


def history(net: Network, events: dict[str, Any], parts: tuple[int, ...], **arguments: Any) -> tuple[Any, Simulation]:
    """Spikes of a and b, by tick and neuron, and the simulation."""
    sim = Simulation(toy(geometry=ROOMY), net, record=("a", "b"), **arguments)
    tick, neuron = events["src"]
    spikes = []
    for part in parts:
        begin = sim.tick
        own = (tick >= begin) & (tick < begin + part)
        out = sim.run(part, events={"src": (tick[own] - begin, neuron[own])})
        spikes += [np.stack([out.spikes[name].tick, out.spikes[name].neuron]) for name in "ab"]
    return [np.concatenate(spikes[k::2], axis=1) for k in (0, 1)], sim


def test_parts_threads_and_placement_change_no_bit_of_delayed_networks() -> None:
    net, events = delayed()
    whole, one = history(net, events, (60,))
    assert whole[0].shape[1] > 50 and whole[1].shape[1] > 50
    placed, _ = delayed()
    rng = np.random.default_rng(0)
    for name in ("src", "a", "b"):
        placed.place(name, rng.integers(0, 6, 40))
    others = [
        history(net, events, (1, 2, 7, 20, 30)), history(net, events, (60,), threads=2),
        history(net, events, (5, 55), threads=3), history(placed, events, (13, 47)),
    ]  # fmt: skip
    for spikes, sim in others:
        for k in (0, 1):
            np.testing.assert_array_equal(spikes[k], whole[k])
        np.testing.assert_array_equal(sim.state("a", "v"), one.state("a", "v"))
        assert sim.ledger.counts["synaptic_event"] == one.ledger.counts["synaptic_event"]


def test_spikes_sent_are_spikes_delivered_and_in_flight() -> None:
    rng = np.random.default_rng(3)
    net = Network()
    tick, neuron = sources(net, 30)["src"]
    net.add_population("dst", 20, **INTEGRATORS)
    delays = rng.integers(1, 13, (30, 20))
    net.connect("src", "dst", weights=np.ones((30, 20)), delay_ticks=delays)
    sim = Simulation(toy(geometry=ROOMY), net)
    sent = 0
    for now in range(60):
        own = tick == now
        sent += sim.run(1, events={"src": (tick[own] * 0, neuron[own])}).counts["synaptic_event"]
        in_flight = sum(int((delays[n] > now - t).sum()) for t, n in zip(tick, neuron, strict=True) if t <= now)
        assert sim.state("dst", "v").sum() == sent - in_flight
    sim.run(12)
    assert sim.state("dst", "v").sum() == sent == tick.size * 20


# Dense and sparse rows


@pytest.mark.parametrize("size", [1, 3, 4, 5, 37])
def test_dense_rows_give_the_bits_of_sparse_ones(size: int) -> None:
    rng = np.random.default_rng(size)
    weights = rng.normal(size=(size, 23))
    found = []
    for dense in (True, False):
        net = Network()
        events = sources(net, size)
        net.add_population("dst", 23, **INTEGRATORS)
        net.add_population("other", 5, **INTEGRATORS)
        if dense:
            net.connect("src", "dst", weights=weights)
        else:  # a gap in every row, filled with a synapse of its own
            pre, post = np.divmod(rng.permutation(size * 23), 23)
            net.connect("src", "dst", pre=pre, post=post, weights=weights[pre, post])
            net.connect("src", "other", pre=np.arange(size), post=np.full(size, 3), weights=1.0)
        sim = Simulation(toy(geometry=ROOMY), net)
        sim.run(60, events=events)
        found.append(sim.state("dst", "v").copy())
    np.testing.assert_array_equal(*found)


def test_rows_of_other_lengths_and_places_take_turns() -> None:
    """Runs onto other targets than the row before, rows of one synapse and rows of none, between whole ones."""
    rng = np.random.default_rng(4)
    mask = np.zeros((16, 12), np.bool_)
    for row, (low, high) in enumerate([(0, 12)] * 5 + [(3, 9), (3, 9), (4, 10), (0, 0), (5, 6)] + [(0, 12)] * 6):
        mask[row, low:high] = True
    net = Network()
    net.add_population("src", 16, model="input")
    net.add_population("dst", 12, **INTEGRATORS)
    weights = rng.normal(size=mask.shape)
    pre, post = np.nonzero(mask)
    net.connect("src", "dst", pre=pre, post=post, weights=weights[mask])
    sim = Simulation(toy(geometry=ROOMY), net, dtype="float64")
    sim.run(2, events={"src": (np.zeros(16, np.int64), np.arange(16))})
    expected = np.zeros(12)
    for row in range(16):
        expected += np.where(mask[row], weights[row], 0.0)
    np.testing.assert_array_equal(sim.state("dst", "v"), expected)


# Synapses that drop spikes


def test_a_synapse_transmits_with_its_probability() -> None:
    def run(transmission: float, seed: int = 0) -> npt.NDArray[Any]:
        net = Network()
        net.add_population("src", 50, model="if", bias=1.0, threshold=0.5, reset="hard")
        net.add_population("dst", 40, **INTEGRATORS)
        net.connect("src", "dst", weights=np.ones((50, 40)), transmission=transmission)
        sim = Simulation(toy(geometry=ROOMY), net, seed=seed, dtype="float64")
        out = sim.run(401)
        assert out.counts["synaptic_event"] == 401 * 2000  # looked up, transmitted or not
        return sim.state("dst", "v").copy()

    np.testing.assert_array_equal(run(1.0), 50 * 400)
    np.testing.assert_array_equal(run(0.0), 0)
    came = run(0.3)
    mean, variance = 50 * 400 * 0.3, 50 * 400 * 0.3 * 0.7
    assert abs(came.sum() - 40 * mean) < 4 * np.sqrt(40 * variance)
    spread = ((came - mean) ** 2).sum() / variance  # chi-squared with 40 degrees of freedom
    assert stats.chi2.cdf(spread, 40) == pytest.approx(0.5, abs=0.499)
    assert (run(0.3, seed=1) != came).any()


def test_what_is_dropped_updates_nobody() -> None:
    net = Network()
    net.add_population("src", 8, model="if", bias=1.0, threshold=0.5, reset="hard")
    net.add_population("dst", 8, **INTEGRATORS)
    net.connect("src", "dst", weights=np.ones((8, 8)), transmission=0.0)
    out = Simulation(toy(geometry=ROOMY), net).run(10)
    assert out.counts["neuron_updated"] == 8 * 10  # the sources


# Drives


def test_a_drive_is_a_poisson_process_for_every_neuron() -> None:
    size, mean = 5000, 2.5  # more neurons than one chunk
    net = Network()
    net.add_population("a", size, **INTEGRATORS)
    net.add_drive("a", rate_Hz=mean / TICK_S, weight=0.5)
    sim = Simulation(toy(geometry={**ROOMY, "cores": 1, "mesh_width": 1, "neurons_per_core": size}), net)
    v = np.concatenate([np.zeros((1, size)), membranes(sim, "a", 40)])
    events = np.diff(v, axis=0) / 0.5
    assert (events == np.round(events)).all()
    top = 9
    seen = np.bincount(np.minimum(events.astype(np.int64), top).reshape(-1), minlength=top + 1)
    chance = np.append(stats.poisson.pmf(np.arange(top), mean), stats.poisson.sf(top - 1, mean))
    assert stats.chisquare(seen, chance * events.size).pvalue > 1e-4
    across = np.corrcoef(events[:-1].reshape(-1), events[1:].reshape(-1))[0, 1]
    beside = np.corrcoef(events[:, :-1].reshape(-1), events[:, 1:].reshape(-1))[0, 1]
    assert max(abs(across), abs(beside)) < 4 / np.sqrt(events.size)
    assert sim.ledger.counts["synaptic_event"] == events.sum()


def test_drives_add_up_count_by_core_and_take_time() -> None:
    net = Network()
    net.add_population("a", 60, **INTEGRATORS)
    net.add_population("b", 60, **INTEGRATORS)
    net.place("a", 0)
    net.place("b", np.repeat([1, 2, 3], 20))
    net.add_drive("a", rate_Hz=3.0 / TICK_S, weight=1.0)
    net.add_drive("a", rate_Hz=1.0 / TICK_S, weight=-1.0)
    net.add_drive("b", rate_Hz=150.0 / TICK_S, weight=1.0)
    sim = Simulation(toy(geometry=ROOMY), net, timing="simple")
    out = sim.run(50, record_timing=True)
    by_core = out.counts_by_core["synaptic_event"]
    assert out.timing is not None
    np.testing.assert_array_equal(by_core[[0, 1, 2, 3]], out.timing.counts["synaptic_event"].sum(axis=0))
    assert by_core[[1, 2, 3]].sum() == sim.state("b", "v").sum()
    assert by_core[0] > sim.state("a", "v").sum() > 0
    slowest = out.timing.counts["synaptic_event"].max(axis=1) * 4.7e-9
    np.testing.assert_allclose(out.timing.time_fs * 1e-15, slowest + 600e-9, rtol=1e-9)


@pytest.mark.parametrize("timing", ["simple", "detailed", "event"])
def test_events_from_outside_take_the_time_of_their_core_in_every_timing_model(timing: str) -> None:
    def run(rate_Hz: float) -> Any:
        net = Network()
        net.add_population("a", 8, model="if", bias=1.0, threshold=0.5, reset="hard")
        net.add_population("b", 8, **INTEGRATORS)
        net.connect("a", "b", weights=np.ones((8, 8)))
        net.place("a", 0)
        net.place("b", 1)
        net.add_drive("b", rate_Hz=rate_Hz, weight=1.0)
        return Simulation(toy(geometry=ROOMY), net, timing=timing).run(30, record_timing=True)

    still, driven = run(0.0), run(150.0 / TICK_S)
    events = driven.timing.counts["synaptic_event"][:, 1] - still.timing.counts["synaptic_event"][:, 1]
    assert (events > 500).all()
    rose = driven.timing.last_fs[:, 1] - still.timing.last_fs[:, 1]
    np.testing.assert_array_equal(rose, events * 4_700_000)  # 4.7 ns each
    np.testing.assert_array_equal(driven.timing.time_fs, driven.timing.last_fs[:, 1] + driven.timing.barrier_fs)


def test_mismatch_of_neurons_with_several_states_is_refused_where_it_would_be_lost() -> None:
    net = Network()
    net.add_population("a", 4, model="izhikevich")
    chip = toy(capabilities={"neurons": ["izhikevich"], "write_schemes": ["element"]},
               neuron={"threshold_dtod": 0.1, "leak_dtod": 0.1, "membrane_noise_std": 0.1, "gain_dtod": 0.1})  # fmt: skip
    with pytest.raises(InputError) as caught:
        Simulation(chip, net)
    for key in ("threshold_dtod", "leak_dtod", "membrane_noise_std"):
        assert f"chip.neuron.{key}" in str(caught.value)
    assert "gain_dtod" not in str(caught.value)
    Simulation(chip, net, ideal=True)


def test_a_neuron_that_got_no_event_is_not_updated() -> None:
    net = Network()
    net.add_population("a", 100, **INTEGRATORS)
    net.add_drive("a", rate_Hz=0.05 / TICK_S, weight=1.0)
    sim = Simulation(toy(geometry=ROOMY), net)
    assert sim.run(1).counts["neuron_updated"] == (sim.state("a", "v") > 0).sum() < 100


# Errors


def test_every_error_of_a_connection_and_a_drive_at_once() -> None:
    net = Network()
    net.add_population("a", 3, model="if")
    net.add_population("src", 3, model="input")
    with pytest.raises(InputError) as caught:
        net.connect("a", "a", weights=np.ones((3, 3)), delay_ticks=0, transmission=1.5)
    text = str(caught.value)
    assert f"delay_ticks: 1 of 1 lie outside 1 to {DELAY_TICKS}, first 0" in text and "transmission = 1.5" in text
    for delay, words in ((np.ones((2, 3), np.int64), "shape"), (1.5, "whole numbers"), (DELAY_TICKS + 1, "outside")):
        with pytest.raises(InputError, match=words):
            net.connect("a", "a", weights=np.ones((3, 3)), delay_ticks=delay)
    assert not net.connections
    for arguments, words in (
        ({"rate_Hz": -1.0, "weight": 1.0}, "at least 0"), ({"rate_Hz": [1.0], "weight": 1.0}, "one number"),
        ({"rate_Hz": float("nan"), "weight": "x"}, "weight: must be numbers"),
        ({"rate_Hz": 1.0, "weight": 1.0, "receptor": "x"}, "receptor"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=words):
            net.add_drive("a", **arguments)
    with pytest.raises(InputError, match="nothing leads to them"):
        net.add_drive("src", rate_Hz=1.0, weight=1.0)
    net.add_drive("a", rate_Hz=300.0 / TICK_S, weight=1.0)
    with pytest.raises(InputError, match="300 events in a tick"):
        Simulation(toy(geometry=ROOMY), net)
