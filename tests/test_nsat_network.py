"""Networks of integer neurons on a chip: goldens through ``ns.Simulation``, laws, capacities, and what bad input gets."""

from __future__ import annotations

import doctest
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurosim as ns
from neurosim.chip.nsat import OFF, LearningGroup, NeuronGroup, NsatCore, off, shifts
from neurosim.chip.nsat_synapses import convolution
from neurosim.engine.nsat import NsatSimulation
from neurosim.errors import CapabilityError, CapacityError, InputError
from neurosim.experiments.stdp_window import expected
from neurosim.report import write_report
from neurosim.trace import ledger_of

WIDE = {"chip.synapse.device.bits": 9}
"""Words of the original simulator, -256 to 255; the chip's have 8 bits."""
SLOW = {
    f"chip.prices.{name}.{key}": value
    for name, latency in (("neuron_visited", 1e-8), ("synaptic_event", 1e-8), ("synapse_updated", 1e-7))
    for key, value in (("latency_s", latency), ("low_s", latency / 10), ("high_s", 10 * latency))
}  # fmt: skip
"""Latencies, so that a tick is as long as what happens in it."""
LIF: dict[str, Any] = {"A": shifts(1, {(0, 0): -1}), "bias": (50,), "threshold": 100}
STDP_EVENTS = np.array([(t - 1, 0) for t in range(10, 400, 37)] + [(t - 1, 1) for t in range(13, 400, 29)])


def simulate(net: ns.Network, **options: Any) -> ns.Simulation:
    options["overrides"] = {**WIDE, **options.pop("overrides", {})}
    return ns.Simulation("nsat", net, **options)


def one(**group: Any) -> ns.Network:
    net = ns.Network()
    net.add_population("x", 1, model="nsat", **group)
    return net


def fired(net: ns.Network, ticks: int, **more: Any) -> list[int]:
    """Ticks counted as in the reference, where the first one is 1."""
    return (simulate(net).run(ticks, record="x", **more).spikes["x"].tick + 1).tolist()


def stdp(**rule: Any) -> ns.Network:
    net = one(
        A=shifts(3, {(0, 0): -5, (1, 0): 3, (1, 1): -5, (2, 2): -6}), bias=(0, 0, 10), threshold=2500,
        refractory_ticks=20, modulator=2,
    )  # fmt: skip
    net.add_population("in", 2, model="input")
    learning = {"causal_heights": (-1, -2, -3), "acausal_heights": (-2, -3, -4), **rule}
    net.connect("in", "x", weights=[[100], [90]], state=1, learning=learning)
    return net


# Goldens


def test_lif_golden() -> None:
    net = one(**LIF)
    sim = simulate(net)
    states = []
    for _ in range(6):
        sim.run(1)
        states.append(int(sim.state("x", "x0")[0]))
    assert states == [50, 75, 88, 94, 97, 99]
    assert fired(net, 30) == [7, 14, 21, 28]
    assert fired(one(**LIF, refractory_ticks=20), 90) == [7, 34, 61, 88]


def test_mihalas_niebur_golden() -> None:
    net = one(
        A=shifts(4, {(0, 0): -4, (0, 1): -8, (1, 1): -7, (2, 0): 0, (2, 2): -2, (3, 0): 0, (3, 3): -6}),
        bias=(-250, -10, 0, 0), adaptive_threshold=True, reset=("set", "none", "set", "none"),
        reset_value=(-7000, 0, 0, 0), start=(-7000, -5000, 100, 10),
    )  # fmt: skip
    net.connect("x", "x", weights=5, pre=[0], post=[0], receptor="x1")
    assert fired(net, 499) == [16, 38, 63, 92, 126, 172]
    sim = simulate(net)
    for ticks, states in ((1, [-6703, -4998, 75, 9]), (9, [-5280, -4949, 7, 0]), (489, [-4015, -3350, 0, 0])):
        sim.run(ticks)
        assert [int(sim.state("x", f"x{k}")[0]) for k in range(4)] == states


def test_error_neuron_golden() -> None:
    net = one(A=off(1), threshold=1025, reset=("add",), reset_value=(-1025,), low=(0,), gain=(4,))
    net.add_population("in", 2, model="input")
    net.connect("in", "x", weights=[[96], [-96]])
    sim = simulate(net, record="x")
    assert sim.run(5, events={"in": ([2, 4], [0, 1])}).spikes["x"].tick.tolist() == [3]
    assert sim.state("x", "x0").tolist() == [511]
    sim.run(1)
    assert sim.state("x", "x0").tolist() == [0]


def test_stdp_golden() -> None:
    sim = simulate(stdp(), record="x")
    out = sim.run(399, events={"in": STDP_EVENTS.T})
    assert (out.spikes["x"].tick + 1).tolist() == [
        15, 39, 61, 84, 106, 128, 150, 172, 194, 216, 238, 260, 282, 305, 327, 349, 371, 393,
    ]  # fmt: skip
    assert sim.weights("in", "x").tolist() == [[95], [175]]


def test_two_cores_are_two_cores_of_the_core_simulation() -> None:
    """The network on two cores, and two cores joined by routes: the same spikes, states and weights."""
    fast: dict[str, Any] = {"A": shifts(1, {(0, 0): -2}), "threshold": 100, "bias": (40,)}
    slow: dict[str, Any] = {
        "A": shifts(2, {(0, 0): -3}), "threshold": 120, "bias": (0, 3), "modulator": 1, "transmit": (15, 15),
    }  # fmt: skip
    rng = np.random.default_rng(1)
    weights = rng.integers(10, 90, (8, 5))
    start = rng.integers(0, 90, (8, 1))
    net = ns.Network()
    net.add_population("a", 8, model="nsat", **fast)
    net.add_population("b", 5, model="nsat", **slow)
    net.connect("a", "b", weights=weights, learning=LearningGroup())
    net.place("a", core=3)
    net.place("b", core=1)
    sim = simulate(net, record=("a", "b"))
    sim.set_state("a", "x0", start[:, 0])
    out = sim.run(400)
    pre, post = (each.ravel() for each in np.meshgrid(np.arange(8), np.arange(5), indexing="ij"))
    second = NsatCore(
        8, np.zeros(5), (NeuronGroup(**slow, learning=(0, -1)),), (LearningGroup(),), pre=pre, post=post,
        state=np.zeros(40), weights=weights.ravel(),
    )  # fmt: skip
    known = NsatSimulation(
        [NsatCore(0, np.zeros(8), (NeuronGroup(**fast),), start=start), second], {(0, n): [(1, n)] for n in range(8)}
    )
    expected = known.run(400)
    for name, (tick, neuron) in zip(("a", "b"), expected.spikes, strict=True):
        assert np.array_equal(out.spikes[name].tick + 1, tick) and np.array_equal(out.spikes[name].neuron, neuron)
        assert tick.size > 10
    assert np.array_equal(sim.weights("a", "b").ravel(), known.weights(1))
    assert not np.array_equal(sim.weights("a", "b"), weights)
    for name in ("message", "synaptic_event", "synapse_updated"):
        assert out.counts[name] == expected.counts[name], name


# The same bits


def everything(seed: int = 0) -> ns.Network:
    """Noise, blank-out, refractory ticks, gates, rounding, traces, shared weights, several terms, all sorts of resets."""
    rng = np.random.default_rng(seed)
    net = ns.Network()
    net.add_population("in", 30, model="input")
    net.add_population(
        "a", 40, model="nsat", A=[shifts(3, {(0, 0): -3, (1, 0): 1, (1, 1): -4}), shifts(3, {(0, 0): -5})],
        threshold=400, noise_std=(30, 0, 0), transmit=(15, 9, 15), refractory_ticks=3, bias=(20, 0, 2), modulator=2,
        reset=("set", "none", "max"), reset_value=(0, 0, 9), high=(32767, 3000, 200), low=(-900, -900, -900),
    )  # fmt: skip
    net.add_population(
        "b", 25, model="nsat", A=shifts(2, {(0, 0): -4, (1, 1): -6}), threshold=300, noise_std=(0, 5), modulator=1,
        gain=(1, 0), reset=("add", "add"), reset_value=(-300, 20),
    )  # fmt: skip
    gated = {"rule": "event", "acausal_heights": (3, OFF, OFF), "gate": (-500, 900), "rounding_bits": 4}
    net.connect("in", "a", weights=rng.integers(-20, 60, (30, 40)), state=1, learning={"rounding_bits": 3})
    net.connect("a", "b", weights=rng.integers(-30, 60, (40, 25)), learning={"period_ticks": 50, "burn_in_ticks": 20,
                                                                            **gated})  # fmt: skip
    net.connect("b", "a", weights=rng.integers(-30, 30, 7), pre=np.arange(25), post=np.arange(25),
                shared=np.arange(25) % 7)  # fmt: skip
    net.connect("b", "b", weights=rng.integers(0, 5, (25, 25)), state=1, learning={"rule": "trace", "rounding_bits": 9})
    return net


def given(ticks: int, seed: int = 0) -> dict[str, Any]:
    tick, neuron = np.nonzero(np.random.default_rng(seed).random((ticks, 30)) < 0.05)
    return {"in": (tick, neuron)}


def outcome(sim: ns.Simulation, parts: tuple[int, ...] = (300,)) -> list[Any]:
    """All bits that a simulation comes to, after runs of some lengths."""
    spikes: dict[str, list[Any]] = {"a": [], "b": []}
    events = given(sum(parts))["in"]
    for ticks in parts:
        now = (events[0] >= sim.tick) & (events[0] < sim.tick + ticks)
        out = sim.run(ticks, record=("a", "b"), events={"in": (events[0][now] - sim.tick, events[1][now])})
        for name, found in spikes.items():
            found.append(np.stack(out.spikes[name]))
    kept = [np.concatenate(found, axis=1) for found in spikes.values()]
    kept += [sim.state(name, f"x{k}") for name, states in (("a", 3), ("b", 2)) for k in range(states)]
    kept += [sim.weights(*pair) for pair in (("in", "a"), ("a", "b"), ("b", "a"), ("b", "b"))]
    return [*kept, sim.saturated]


def same(one_: list[Any], other: list[Any]) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(one_, other, strict=True))


@pytest.fixture(scope="module")
def known() -> list[Any]:
    found = outcome(simulate(everything()))
    assert min(found[0].shape[1], found[1].shape[1]) > 100  # both fire
    weights = [simulate(everything()).weights(*pair) for pair in (("in", "a"), ("a", "b"), ("b", "b"))]
    assert all((np.asarray(found[-5 + k]) != before).mean() > 0.1 for k, before in zip((0, 1, 3), weights, strict=True))
    return found


@pytest.mark.parametrize("parts", [(1, 299), (120, 60, 120)])
def test_runs_in_parts_give_the_same_bits(known: list[Any], parts: tuple[int, ...]) -> None:
    assert same(known, outcome(simulate(everything()), parts))


def test_calls_of_any_length_give_the_same_bits(known: list[Any]) -> None:
    sim = simulate(everything())
    sim._pace = 1
    sim._runner.call, call = (lambda memory, ticks: call(memory, min(ticks, 7))), sim._runner.call  # type: ignore[method-assign]
    assert same(known, outcome(sim))


@pytest.mark.parametrize("where", ["spread", "round-robin", "traffic"])
def test_any_partition_onto_cores_gives_the_same_bits(known: list[Any], where: str) -> None:
    net, rng = everything(), np.random.default_rng(5)
    options: dict[str, Any] = {} if where == "spread" else {"mapping": where}
    if where == "spread":
        for name, size in (("in", 30), ("a", 40), ("b", 25)):
            net.place(name, core=rng.integers(0, 16, size))
    sim = simulate(net, **options)
    assert same(known, outcome(sim))
    assert np.unique(sim.cores("a")).size > (1 if where == "spread" else 0)
    counts = sim.ledger.counts
    assert counts["message"] == counts["message_received"]
    alone = simulate(everything())
    outcome(alone)
    equal = ("neuron_visited", "neuron_fired", "synaptic_event", "synapse_updated")
    assert [counts[name] for name in equal] == [alone.ledger.counts[name] for name in equal]
    if where == "spread":
        assert counts["message"] > 2 * alone.ledger.counts["message"]


@pytest.mark.parametrize("options", [{"threads": 3}, {"timing": "simple"}, {"timing": "detailed"}, {"timing": "event"}])
def test_threads_and_timing_models_give_the_same_bits(known: list[Any], options: dict[str, Any]) -> None:
    if "timing" in options:
        options["overrides"] = SLOW
    assert same(known, outcome(simulate(everything(), **options)))


def test_another_seed_gives_other_bits(known: list[Any]) -> None:
    assert not same(known, outcome(simulate(everything(), seed=1)))


# Counts, time, energy


def test_spikes_sent_are_delivered_or_in_flight() -> None:
    """Neurons that add up what arrives hold what was sent until the tick before; the rest is on its way."""
    net = ns.Network()
    net.add_population("in", 30, model="input")
    net.add_population("sum", 50, model="nsat", A=off(1))
    weights = np.random.default_rng(3).integers(-20, 21, (30, 50))
    net.connect("in", "sum", weights=weights)
    net.place("sum", core=np.arange(50) % 5)
    sim, (tick, neuron) = simulate(net), given(41)["in"]
    out = sim.run(41, events={"in": (tick, neuron)})
    sent = np.zeros((41, 50), np.int64)
    np.add.at(sent, tick, weights[neuron])
    assert np.array_equal(sim.state("sum", "x0"), sent[:40].sum(axis=0))
    assert np.any(sent[40])
    sim.run(1)
    assert np.array_equal(sim.state("sum", "x0"), sent.sum(axis=0))
    assert out.counts["message"] == out.counts["message_received"] == 5 * tick.size
    assert out.counts["synaptic_event"] == 50 * tick.size


def test_counts_of_cores_add_up_and_stand_where_things_happen() -> None:
    net = stdp()
    net.place("x", core=5)
    net.place("in", core=9)
    out = simulate(net).run(399, events={"in": STDP_EVENTS.T})
    for name, each in out.counts_by_core.items():
        assert each.sum() == out.counts[name], name
    found = {name: np.flatnonzero(each).tolist() for name, each in out.counts_by_core.items() if each.any()}
    assert found["neuron_visited"] == found["synaptic_event"] == found["synapse_updated"] == [5]
    assert found["message"] == [9] and found["message_received"] == [5]
    assert out.counts["neuron_visited"] == 399  # inputs are not looked at
    assert out.counts["hop_north"] == out.counts["message"]  # from one row to the next


def test_a_synaptic_operation_costs_20_pJ_and_a_tick_a_tenth_of_a_millisecond() -> None:
    out = simulate(stdp()).run(399, events={"in": STDP_EVENTS.T})
    assert out.energy_by_action_J["synaptic_event"] == pytest.approx(20e-12 * STDP_EVENTS.shape[0])
    assert out.energy_by_action_J["synapse_updated"] == pytest.approx(40e-12 * out.counts["synapse_updated"])
    assert out.chip_time_s == pytest.approx(399e-4)
    parts = out.static_energy_J + sum(out.energy_by_action_J.values())
    assert out.energy_J == pytest.approx(parts)


def test_learning_takes_its_time() -> None:
    """Weights are written after all else, until the core with the most is done: here there is one."""
    still = {**SLOW, "chip.prices.synapse_updated.latency_s": 0.0, "chip.prices.synapse_updated.low_s": 0.0,
             "chip.prices.synapse_updated.high_s": 0.0}  # fmt: skip
    for timing in ("simple", "detailed"):
        runs = [
            simulate(stdp(), timing=timing, overrides=over).run(399, events={"in": STDP_EVENTS.T}, record_timing=True)
            for over in (SLOW, still)
        ]
        learning = [out.ledger.time_fs for out in runs]
        updates = runs[0].counts["synapse_updated"]
        assert learning[0] - learning[1] == updates * 10**8
        if timing == "simple":
            low, high = runs[0].ledger.time_low_fs, runs[0].ledger.time_high_fs
            assert low < learning[0] < high
        assert runs[0].timing is not None
        assert int(runs[0].timing.time_fs.sum()) == runs[0].ledger.time_fs


# Synapses that share, and that learn


def test_a_convolution_is_stored_once() -> None:
    shape, kernel = (2, 6, 6), np.random.default_rng(2).integers(-40, 40, (3, 2, 3, 3))
    pre, post, shared, out_shape = convolution(shape, kernel.shape)
    assert out_shape == (3, 4, 4)
    image = np.random.default_rng(3).random(shape) < 0.4
    net = ns.Network()
    net.add_population("in", 72, model="input")
    net.add_population("features", 48, model="nsat", A=off(1))
    net.connect("in", "features", weights=kernel.ravel(), pre=pre, post=post, shared=shared)
    sim = simulate(net)
    neurons = np.flatnonzero(image)
    sim.run(2, events={"in": (np.zeros_like(neurons), neurons)})
    expected = np.array([
        [[(image[:, y : y + 3, x : x + 3] * kernel[f]).sum() for x in range(4)] for y in range(4)] for f in range(3)
    ])  # fmt: skip
    assert np.array_equal(sim.state("features", "x0").reshape(3, 4, 4), expected)
    assert sim.weights("in", "features").shape == (kernel.size,)
    sim.set_weights("in", "features", 2 * (kernel.ravel() // 2))
    assert np.array_equal(sim.weights("in", "features"), 2 * (kernel.ravel() // 2))
    with pytest.raises(ValueError, match="does not fit"):
        convolution((1, 4, 4), (1, 2, 3, 3))


def alike(count: int, **more: Any) -> ns.Network:
    """Neurons whose modulator is 5, and one input that leads to all of them."""
    net = ns.Network()
    net.add_population("in", 1, model="input")
    net.add_population("x", count, model="nsat", A=off(2), start=(0, 5), modulator=1)
    learning = {"rule": "event", "acausal_heights": (0, OFF, OFF), **more.pop("learning", {})}
    net.connect("in", "x", pre=np.zeros(count, int), post=np.arange(count), learning=learning, **more)
    return net


def test_shared_weights_get_every_aliass_update() -> None:
    sim = simulate(alike(8, weights=[10, 20], shared=[0, 1, 1, 0, 1, 1, 1, 1]))
    sim.run(2, events={"in": ([0], [0])})
    assert sim.weights("in", "x").tolist() == [10 + 2 * 5, 20 + 6 * 5]
    assert sim.ledger.counts["synapse_updated"] == 8


def test_stochastic_rounding_is_unbiased_and_drawn_for_every_synapse() -> None:
    """dw = 5 / 2^3 in each of 400 synapses and 40 events: the mean is 5/8 to four standard errors."""
    sim = simulate(alike(400, weights=0, learning={"rounding_bits": 3}))
    sim.run(41, events={"in": (np.arange(40), np.zeros(40, int))})
    change = sim.weights("in", "x")
    p, n = 5 / 8, 400 * 40
    assert abs(change.sum() - n * p) <= 4 * np.sqrt(n * p * (1 - p))
    assert np.var(change) == pytest.approx(40 * p * (1 - p), rel=0.25)
    assert sim.ledger.counts["synapse_updated"] == change.sum()  # a change is 1, which is written, or 0, which is not
    pool = simulate(alike(400, weights=[0], shared=np.zeros(400, int), learning={"rounding_bits": 3}),
                    overrides={"chip.synapse.device.bits": 16})  # fmt: skip
    pool.run(41, events={"in": (np.arange(40), np.zeros(40, int))})
    assert pool.weights("in", "x").tolist() == [change.sum()]  # one word, and the same draws


def test_weights_are_clipped_to_the_words_of_the_chip() -> None:
    for bits, high in ((8, 127), (9, 255), (4, 7)):
        sim = simulate(alike(1, weights=0), overrides={"chip.synapse.device.bits": bits})
        sim.run(61, events={"in": (np.arange(60), np.zeros(60, int))})
        assert sim.weights("in", "x").tolist() == [high]


@pytest.mark.parametrize(("gate", "learns"), [((-1, 1), True), ((0, 9), False), ((-9, 0), False)])
def test_a_gate_is_open_between_its_ends(gate: tuple[int, int], learns: bool) -> None:
    """The state that the synapse leads to is 0, and a gate's ends do not belong to it."""
    sim = simulate(alike(1, weights=0, learning={"gate": gate}))
    sim.run(2, events={"in": ([0], [0])})
    assert sim.weights("in", "x").tolist() == [5 * learns]


RULES = {
    "constant": LearningGroup(window_ticks=40, causal_edges=(7, 19), acausal_edges=(11, 12), causal_heights=(2, 0, -3),
                              acausal_heights=(1, OFF, -1), causal_signs=(1, -1, 1)),
    "exponential": LearningGroup(window_ticks=50, exponential=True, causal_edges=(9, 30), causal_heights=(3, 2, 1),
                                 causal_slopes=(3, 2, 4), acausal_heights=(2, 2, 2), acausal_slopes=(3, 3, 3)),
}  # fmt: skip


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_the_window_pair_by_pair_on_several_cores(rule: LearningGroup) -> None:
    """One neuron for each distance between its spike and that of its input; the change is the window's, to the unit."""
    distance = np.arange(-60, 61)
    n, m = distance.size, 12
    net = ns.Network()
    net.add_population("in", n, model="input")
    net.add_population("teacher", n, model="input")
    net.add_population("x", n, model="nsat", A=off(3), threshold=100, start=(0, 0, m), modulator=2)
    every = np.arange(n)
    net.connect("in", "x", pre=every, post=every, weights=0, state=1, learning=rule)
    net.connect("teacher", "x", pre=every, post=every, weights=200)
    net.place("x", core=every % 7)
    sim = simulate(net)
    pre = 70 - np.minimum(distance, 0)
    sim.run(300, events={"in": (pre, every), "teacher": (pre + distance - 1, every)})
    assert sim.weights("in", "x").tolist() == [expected(rule, m, int(each)) for each in distance]
    assert np.unique(sim.weights("in", "x")).size >= 5


def test_the_causal_half_takes_the_modulator_of_the_spike_and_the_other_half_that_of_now() -> None:
    """A modulator that falls by a quarter in every tick: 160 at first, and m(t) at tick t."""
    net = ns.Network()
    net.add_population("in", 2, model="input")
    net.add_population("x", 1, model="nsat", A=shifts(3, {(2, 2): -2}), threshold=100, start=(0, 0, 160), modulator=2)
    net.connect("in", "x", pre=[0], post=[0], weights=0, state=1,
                learning={"causal_heights": (0, 0, 0), "acausal_heights": (-1, -1, -1)})  # fmt: skip
    net.add_population("teacher", 1, model="input")
    net.connect("teacher", "x", weights=[[200]])
    sim, m, weight = simulate(net), [], []
    for tick in range(12):
        events = {"in": ([0], [0])} if tick in (3, 9) else {}
        sim.run(1, events={**events, **({"teacher": ([0], [0])} if tick == 4 else {})})
        m.append(int(sim.state("x", "x2")[0]))
        weight.append(int(sim.weights("in", "x")[0]))
    assert m[5] > m[9] > 4  # the neuron fires in tick 5
    assert weight[8] == 0
    assert weight[9] == weight[11] == m[5] - m[9] // 2  # 5 - 3 = 2 ticks before, 9 - 5 = 4 ticks after


@pytest.mark.parametrize("beside", [12, 40, 900])
def test_a_window_of_one_connection_leaves_those_of_others_alone(beside: int) -> None:
    """An event in tick 10, spikes in 15 and 30, an event in 50: a window of 12 sees the first spike, 40 the second."""
    net = ns.Network()
    net.add_population("in", 1, model="input")
    net.add_population("teacher", 1, model="input")
    for name, window in (("x", 12), ("y", beside)):
        net.add_population(name, 1, model="nsat", A=off(3), threshold=100, start=(0, 0, 7), modulator=2)
        rule = {"window_ticks": window, "causal_edges": (8, 12), "causal_heights": (0, 1, 2), "acausal_edges": (1, 2),
                "acausal_heights": (OFF, OFF, OFF)}  # fmt: skip
        net.connect("in", name, pre=[0], post=[0], weights=0, state=1, learning=rule)
        net.connect("teacher", name, weights=[[200]])
    sim = simulate(net)
    sim.run(22, events={"in": ([10], [0]), "teacher": ([14], [0])})
    assert sim.weights("in", "x").tolist() == [0]
    sim.run(1)  # tick 22, in which a window of 12 is over
    assert sim.weights("in", "x").tolist() == [7]
    sim.run(40, events={"in": ([27], [0]), "teacher": ([6], [0])})
    assert sim.weights("in", "x").tolist() == [7]
    assert sim.weights("in", "y").tolist() == [7 if beside == 12 else 28]


def test_nothing_is_learned_at_the_start_of_a_sample() -> None:
    sim = simulate(alike(1, weights=0, learning={"period_ticks": 10, "burn_in_ticks": 4}))
    learned = []
    for tick in range(20):
        before = int(sim.weights("in", "x")[0])
        sim.run(1, events={"in": ([0], [0])})
        learned.append(int(sim.weights("in", "x")[0]) > before)
        assert learned[-1] == (tick % 10 >= 4)


def test_a_population_may_run_over_several_cores_and_groups_over_more() -> None:
    net = ns.Network()
    for k in range(10):
        net.add_population(f"p{k}", 3, model="nsat", **{**LIF, "bias": (50 + k,)})
    net.add_population("big", 1500, model="nsat", **{**LIF, "A": shifts(2, {(0, 0): -1}), "bias": (50, 0)})
    sim = simulate(net)
    out = sim.run(7)
    assert out.counts["neuron_fired"] > 1500
    for core in range(16):
        here = [p.name for p in net.populations if (sim.cores(p) == core).any()]
        assert len(here) <= 8
    assert np.bincount(sim.cores("big")).max() <= 1024
    assert sim.mapping.utilisation.share("neurons").max() <= 1.0
    net.add_population("in", 5000, model="input")  # takes no place
    for k in range(10):
        net.connect("in", f"p{k}", pre=[k], post=[0], weights=1, learning={"window_ticks": 40 + k})
    net.place("p9", core=0)
    sim = simulate(net)
    assert set(sim.cores("in").tolist()) == set(sim.cores("p9").tolist()) == {0}
    assert not any((sim.cores(f"p{k}") == 0).any() for k in range(9))
    assert sim.mapping.utilisation.share("neurons").max() <= 1.0


# Traces and reports


def test_a_trace_holds_the_run(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    out = simulate(stdp(), record="x").run(399, events={"in": STDP_EVENTS.T})
    simulate(stdp(), record="x").run(399, events={"in": STDP_EVENTS.T}, trace=path, record_timing=True, by_core=True)
    with ns.open_trace(path) as trace:
        assert ledger_of(trace) == out.ledger
        assert trace.summary["energy_J"] == out.energy_J
        assert np.array_equal(trace.spikes["x"]["tick"], out.spikes["x"].tick)
        described = tomllib.loads(trace.config["network"])
        assert described["populations"][0]["bias"] == [0, 0, 10]
        assert described["connections"][0]["learning"]["causal_heights"] == [-1, -2, -3]
    page = write_report(path, tmp_path / "run.html").read_text(encoding="utf-8")
    assert "was driven by hand on the chip nsat" in page


# Faults and stuck weights


def test_words_that_are_stuck_are_not_updated() -> None:
    for stuck in (0.0, 0.25, 1.0):
        sim = simulate(alike(400, weights=0), overrides={"chip.synapse.stuck_fraction": stuck})
        out = sim.run(2, events={"in": ([0], [0])})
        assert out.counts["synapse_updated"] == np.count_nonzero(sim.weights("in", "x"))
        assert stuck not in (0.0, 1.0) or out.counts["synapse_updated"] == 400 * (1 - stuck)


def test_stuck_weights_stay() -> None:
    sim = simulate(alike(400, weights=0), overrides={"chip.synapse.stuck_fraction": 0.25})
    sim.run(3, events={"in": ([0, 1], [0, 0])})
    weights = sim.weights("in", "x")
    assert set(weights.tolist()) == {0, 10}
    assert 0.15 < (weights == 0).mean() < 0.35
    sim.set_weights("in", "x", 7)
    assert np.array_equal(sim.weights("in", "x") == 0, weights == 0)


def test_dead_synapses_hold_0_and_dead_cores_are_silent() -> None:
    net = everything()
    net.place("b", core=np.arange(25) % 2)
    net.place("a", core=2)
    sim, whole = simulate(net), simulate(net)
    events = given(200)["in"]
    early = events[0] < 100
    first = {"in": (events[0][early], events[1][early])}
    late = {"in": (events[0][~early] - 100, events[1][~early])}
    before = [each.run(100, record=("a", "b"), events=first) for each in (sim, whole)]
    assert np.array_equal(before[0].spikes["b"], before[1].spikes["b"])
    sim.fail(dead_cores=[1])
    out = sim.run(100, record=("a", "b"), events=late)
    assert out.spikes["b"].neuron.size and not (out.spikes["b"].neuron % 2).any()
    assert out.counts["neuron_visited"] == 100 * (40 + 13)
    assert out.messages_lost > 0
    assert out.counts_by_core["synapse_updated"][1] == 0
    assert out.counts["message"] == out.counts["message_received"] + out.messages_lost
    sim.fail(dead_synapse_fraction=0.5)
    dead = sim.weights("in", "a") == 0
    assert 0.4 < dead.mean() < 0.6
    sim.run(100, events=late)
    assert not sim.weights("in", "a")[dead].any()


# What bad input gets


def problems(call: Any, kind: type[InputError] = InputError) -> str:
    with pytest.raises(kind) as caught:
        call()
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_everything_wrong_with_a_population_is_said_at_once() -> None:
    text = problems(lambda: one(
        A=shifts(2, {(0, 0): 16}), bias=(40_000, 0), threshold=99_999, noise_std=(-1, 0), transmit=(16, 0), states=2,
    ))  # fmt: skip
    for key in ("A.0.0.0", "bias.0", "threshold", "noise_std.0", "transmit.0", "states: unknown key"):
        assert key in text, key
    text = problems(lambda: one(A=off(2), bias=(1,), reset_value=(1, 2, 3), modulator=2, sA=[[1]]))
    for key in ("bias: has 1 entries", "reset_value: has 3 entries", "modulator = 2", "sA: must have the shape of A"):
        assert key in text, key
    text = problems(lambda: one(A=off(2), low=(0, 5), high=(-1, 9), start=(0, 10)))
    assert "low[0] = 0: lies above high[0] = -1" in text and "start[1] = 10: lies outside 5 to 9" in text
    assert "learning: is said for connections" in problems(lambda: simulate(one(A=off(1), learning=(0,))))


def test_everything_wrong_with_a_connection_is_said_at_once() -> None:
    net = one(A=off(2))
    net.add_population("in", 4, model="input")
    text = problems(lambda: net.connect(
        "in", "x", pre=[0, 1, 9], post=[0, 0, 0], weights=[1.0, 2.0], shared=[0, 1, 2], state=2,
        learning={"window_ticks": 5000, "causal_heights": (1, 2, 30), "edges": 3},
    ))  # fmt: skip
    for key in ("pre: 1 of 3 out of range", "shared: 1 of 3 out of range", "state = 2: 'x' has states 0 to 1",
                "learning.window_ticks", "learning.causal_heights.2", "learning.edges: unknown key"):  # fmt: skip
        assert key in text, key
    assert "unknown state of 'x' 'v' (known: x0, x1)" in problems(lambda: net.connect("in", "x", weights=1, receptor="v",
                                                                                       pre=[0], post=[0]))  # fmt: skip
    assert "shared: has the shape (2,)" in problems(
        lambda: net.connect("in", "x", pre=[0], post=[0], weights=[1], shared=[0, 0])
    )
    assert "nothing leads to them" in problems(lambda: net.connect("x", "in", weights=np.zeros((1, 4))))
    plain = ns.Network()
    plain.add_population("y", 2)
    text = problems(
        lambda: plain.connect("y", "y", weights=np.zeros((2, 2)), state=0, learning={}, shared=[[0, 1], [2, 3]])
    )
    assert "only neurons of model 'nsat' have numbered states" in text
    assert "cannot learn" in text and "cannot share" in text


def test_what_a_chip_cannot_hold_or_do_is_said_at_once() -> None:
    net = one(A=off(2))
    net.add_population("in", 2, model="input")
    net.add_population("y", 2, model="nsat", A=off(1))
    net.connect("in", "x", weights=[[128], [-129]], learning={})
    net.connect("y", "x", weights=[[1.5], [0.0]])
    net.connect("in", "y", weights=np.zeros((2, 2)), delay_ticks=2, transmission=0.5)
    text = problems(lambda: ns.Simulation("nsat", net, overrides={"chip.neuron.threshold_dtod": 0.1}))
    for key in (
        "connection in -> x: weights: 2 of 2 lie outside -128 to 127 (chip.synapse.device: words of 8 bits)",
        "connection y -> x: weights: 1 of 2 are not whole numbers",
        "connection y -> x: learning: state 0 of 'x'",
        "connection in -> y: delay_ticks",
        "connection in -> y: transmission",
        "chip.neuron.threshold_dtod",
    ):
        assert key in text, key  # fmt: skip
    net = one(A=off(1))
    net.add_population("lif", 3, model="lif")
    assert "population 'lif': 'lif' cannot run together with 'nsat'" in problems(lambda: simulate(net))
    assert "has no neurons 'nsat'" in problems(
        lambda: ns.Simulation("loihi-davies2018", one(A=off(1))), CapabilityError
    )


def test_capacities_of_a_core() -> None:
    net = ns.Network()
    net.add_population("x", 683, model="nsat", A=off(3))
    net.place("x", core=2)
    assert "core 2 of chip nsat: 2049 states for 2048 (1 too many)" in problems(lambda: simulate(net), CapacityError)
    net = ns.Network()
    net.add_population("in", 9, model="input")
    for k in range(9):
        net.add_population(f"p{k}", 1, model="nsat", A=off(1), bias=(k,))
        net.connect("in", f"p{k}", weights=np.ones((9, 1)), learning={"window_ticks": 64 + k})
        net.place(f"p{k}", core=0)
    text = problems(lambda: simulate(net), CapacityError)
    assert "core 0 of chip nsat: 9 groups of neurons for 8 (1 too many)" in text
    assert "core 0 of chip nsat: 9 rules of learning for 8 (1 too many)" in text
    net = ns.Network()
    net.add_population("x", 20_000, model="nsat", A=off(2))
    assert "too small for the network" in problems(lambda: simulate(net), CapacityError)
    net = alike(4, weights=[0], shared=[0, 0, 0, 0])
    net.place("x", core=[0, 0, 1, 1])
    assert "shared weights that learn would stand in 2 cores" in problems(lambda: simulate(net), CapacityError)
    net.place("x", core=16)
    assert "core 16 is out of range" in problems(lambda: simulate(net))


def test_states_and_weights_set_by_hand_must_fit() -> None:
    sim = simulate(one(A=off(2), low=(0, -5), high=(9, 5)))
    assert "lie outside 0 to 9" in problems(lambda: sim.set_state("x", "x0", 10))
    assert "must be whole numbers" in problems(lambda: sim.set_state("x", "x1", 0.5))
    assert "unknown state" in problems(lambda: sim.state("x", "x2"))
    sim.set_state("x", "x1", -5)
    assert sim.state("x", "x1").tolist() == [-5]
    sim = simulate(alike(3, weights=0))
    assert "lie outside -256 to 255" in problems(lambda: sim.set_weights("in", "x", 256))
    assert "not whole numbers" in problems(lambda: sim.set_weights("in", "x", 0.5))
    assert "outside 0 to" in problems(lambda: sim.run(3, events={"in": ([1], [1])}))


def test_states_that_overflow_are_cut_and_counted() -> None:
    sim = simulate(one(A=shifts(1, {(0, 0): 1}), sA=[[1]], start=(20_000,)))
    sim.run(1)
    assert sim.state("x", "x0").tolist() == [0]  # above the threshold: fired and reset
    assert sim.saturated == 1


def test_the_page_runs_as_it_stands() -> None:
    page = Path(__file__).resolve().parents[1] / "docs" / "nsat.md"
    result = doctest.testfile(str(page), module_relative=False)
    assert result.attempted > 20
    assert result.failed == 0


def test_the_page_names_every_setting() -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "nsat.md").read_text(encoding="utf-8")
    for schema in (NeuronGroup, LearningGroup):
        for name in schema.model_fields:
            assert name == "model" or f"`{name}`" in page, name
