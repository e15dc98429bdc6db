"""Timing models of hand-driven networks: published values, equations by hand, contention, threads, what is recorded."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import neurosim as ns
from neurosim import models
from neurosim.chip.mesh import HOPS
from neurosim.engine import network_account, network_events
from neurosim.engine.network_output import Block
from neurosim.errors import InputError, NeurosimError
from neurosim.spec.chip import Chip

models.load_builtin()

PRICES: dict[str, tuple[float, float]] = {
    "neuron_visited": (51.2, 6.0), "neuron_updated": (21.6, 3.7), "neuron_fired": (69.3, 30.0),
    "synaptic_event": (33.6, 4.7), "message": (111.0, 5.1), "message_received": (1.0, 16.0), "hop_east": (3.0, 4.1),
    "hop_west": (3.5, 4.3), "hop_north": (4.2, 6.5), "hop_south": (4.6, 6.1), "hop_chip": (40.0, 50.0),
    "barrier": (7.0, 600.0),
}  # fmt: skip
GEOMETRY = {"cores": 16, "cores_per_tile": 2, "mesh_width": 4, "neurons_per_core": 200, "inputs_per_core": 5000,
            "synapses_per_core": 10**6, "link_buffer": 3}  # fmt: skip


def price(energy_pJ: float, latency_ns: float) -> dict[str, Any]:
    return {"energy_J": f"{energy_pJ} pJ", "latency_s": f"{latency_ns} ns", "source": "a test", "kind": "published"}


def chip(prices: dict[str, tuple[float, float]] = PRICES, **changes: Any) -> Chip:
    """A digital chip of 4 x 2 tiles with two cores each."""
    table = {
        "name": "toy", "summary": "a chip for tests", "geometry": GEOMETRY,
        "capabilities": {"neurons": ["if", "lif", "loihi-lif"], "write_schemes": ["element"]},
        "synapse": {"device": "ideal"}, "timing": {"tick_s": 1e-6},
        "static": {"power_W": 1e-3, "source": "a test", "kind": "published"},
        "prices": {name: price(*values) for name, values in prices.items()},
    }  # fmt: skip
    return Chip.model_validate(table | changes)


def network(seed: int = 0, size: int = 120, cores: int = 16, synapses: int = 1500) -> ns.Network:
    """Recurrent, of two populations, on cores that hold as they come: some many neurons, some few."""
    rng = np.random.default_rng(seed)
    net = ns.Network()
    net.add_population("a", size, model="if", bias=rng.integers(4, 20, size) / 64)
    net.add_population("b", size // 2, model="loihi-lif", bias=rng.integers(0, 8, size // 2) / 64, decay=0.75)
    for source, target in (("a", "a"), ("a", "b"), ("b", "a")):
        sizes = [size if name == "a" else size // 2 for name in (source, target)]
        net.connect(source, target, pre=rng.integers(0, sizes[0], synapses), post=rng.integers(0, sizes[1], synapses),
                    weights=rng.integers(-6, 9, synapses) / 64)  # fmt: skip
    weight = rng.random(cores) ** 2
    for name, count in (("a", size), ("b", size // 2)):
        net.place(name, rng.choice(cores, count, p=weight / weight.sum()))
    return net


def all_to_all(sources: int, targets: int, cores: tuple[int, int]) -> ns.Network:
    net = ns.Network()
    net.add_population("src", sources, model="loihi-lif", bias=1.0, threshold=0.5)
    net.add_population("dst", targets, model="loihi-lif", threshold=1e9)
    net.connect("src", "dst", weights=np.ones((sources, targets)))
    net.place("src", cores[0])
    net.place("dst", cores[1])
    return net


# Published values: SANA-FE 2.2.9 with its loihi.yaml, per step in steady state (ns, pJ).

GOLDEN = (
    (1, 1, 0, 654.5, 665.5, 359.5), (1, 1, 1, 644.8, 665.5, 359.5), (1, 1, 4, 1044.8, 1072.0, 363.7),
    (1, 1, 16, 1044.8, 1069.6, 362.5), (1, 16, 4, 1155.2, 1155.2, 1959.7), (8, 16, 4, 1729.6, 1780.9, 7524.0),
    (64, 64, 4, 21275.2, 21326.5, 158752.0), (64, 64, 124, 21275.2, 21368.2, 160633.6),
)  # fmt: skip


@pytest.mark.parametrize(("sources", "targets", "there", "simple_ns", "detailed_ns", "energy_pJ"), GOLDEN)
def test_golden_cases(
    sources: int, targets: int, there: int, simple_ns: float, detailed_ns: float, energy_pJ: float
) -> None:
    for timing, expected in (("simple", simple_ns), ("detailed", detailed_ns)):
        sim = ns.Simulation("loihi-sanafe", all_to_all(sources, targets, (0, there)), timing=timing)
        sim.run(1)  # from now on the targets' membranes are not 0, so that they are updated
        out = sim.run(3)
        assert out.chip_time_s == pytest.approx(3 * expected * 1e-9, rel=1e-9)
        assert out.energy_J == pytest.approx(3 * energy_pJ * 1e-12, rel=1e-9)
        assert out.static_energy_J == 0.0


def test_loihi_neuron_as_sana_fe_steps_it() -> None:
    """Membranes in 64ths; what SANA-FE 2.2.9 showed for the same parameters, each neuron fed by one that always fires."""
    cases: list[tuple[dict[str, Any], float, float, list[float]]] = [
        ({}, 0.01, 0.0, [0.64, 0.64, 0.64]),
        ({}, 1.5 / 64, 0.0, [1.5, 2.5, 3.5, 4.5]),
        ({}, -0.025, 0.0, [-1.6, -2.6, -3.6]),
        ({"decay": 0.9}, 0.3, 0.0, [19.2, 36.2, 51.2, 65.2, 77.2, 88.2, 98.2, 107.2]),
        ({"decay": 0.7}, 0.2, 0.2, [12.8, 33.6, 48.6, 59.6, 66.6, 71.6, 75.6, 77.6, 79.6]),
        ({"threshold": 0.5}, 0.5, 0.0, [32, 0, 32, 0, 32]),
        ({"threshold": 0.49}, 0.5, 0.0, [0, 0, 0]),
        ({"threshold": 0.5, "reset": "soft"}, 0.3, 0.0, [19.2, 6.2, 25.2, 12.2, 31.2, 18.2, 5.2]),
        ({"threshold": 0.5, "refractory_ticks": 1}, 0.3, 0.0, [19.2, 0, 0, 19.2, 0, 0, 19.2]),
        ({"threshold": 0.5, "reset": "soft", "refractory_ticks": 1}, 0.4, 0.0, [25.6, 18.6, 18, 11.6, 11, 4.6, 4, 29.6]),
        ({"threshold": 0.5, "reset": "none"}, 0.3, 0.0, [19.2, 38.2, 57.2, 76.2]),
    ]  # fmt: skip
    net = ns.Network()
    driver = net.add_population("driver", 1, model="loihi-lif", bias=1.0, threshold=0.5)
    for k, (parameters, bias, weight, _) in enumerate(cases):
        net.add_population(f"n{k}", 1, model="loihi-lif", bias=bias, **{"threshold": 1e9, **parameters})
        net.connect(driver, f"n{k}", weights=[[weight]])
    for dtype in ("float32", "float64"):
        sim = ns.Simulation(chip(), net, dtype=dtype)
        for tick in range(9):
            sim.run(1)
            for k, (*_, expected) in enumerate(cases):
                if tick < len(expected):
                    assert 64 * sim.state(f"n{k}", "v")[0] == pytest.approx(expected[tick], abs=1e-4), (k, tick)


def test_which_neurons_are_updated() -> None:
    """Those with a bias, those whose membrane is not 0, and those that got an input, even one of no weight."""
    net = ns.Network()
    once = net.add_population("once", 1, model="loihi-lif", bias=1.0, threshold=0.5, refractory_ticks=60000)
    for name, weight, decay, updates in (
        ("zero", 0.0, 1.0, 1), ("minus zero", -0.0, 1.0, 1), ("small", 0.01, 1.0, 2), ("halves", 0.5, 0.5, 7),
        ("kept", 0.5, 1.0, 9), ("cancels", None, 1.0, 1), ("nothing", None, 1.0, 0),
    ):  # fmt: skip
        net.add_population(name, 1, model="loihi-lif", threshold=1e9, decay=decay)
        weights = {"cancels": [0.25, -0.25], "nothing": []}.get(name, [weight])
        pre = np.zeros(len(weights), int)
        net.connect(once, name, pre=pre, post=pre, weights=np.array(weights, float))
        net.place(name, updates)
    net.place(once, 15)
    for dtype in ("float32", "float64"):
        sim = ns.Simulation(chip(), net, dtype=dtype)
        updated = sim.run(10).counts_by_core["neuron_updated"]
        assert updated[15] == 10  # it rests, but has a bias
        np.testing.assert_array_equal(updated[[0, 1, 2, 7, 9]], [0, 3, 2, 7, 9])
        sim.set_weights(once, "zero", [-0.0])
        assert not np.signbit(sim.weights(once, "zero")[0])


# Equations by hand


def by_tick(sim: ns.Simulation, ticks: int) -> list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """(neurons that fired, neurons that were updated) of each tick, over all populations; float64 runs only."""
    size = sim.network.population("a").size
    found = []
    for _ in range(ticks):
        before = np.concatenate([sim.state(name, "v") for name in "ab"])
        bias = np.concatenate([sim.state(name, "bias") for name in "ab"])
        pending = np.zeros(before.size, bool)
        if found:
            for c in sim.network.connections:
                source, target = (size if end.name == "b" else 0 for end in (c.source, c.target))
                pending[target + c.post[np.isin(source + c.pre, found[-1][0])]] = True
        out = sim.run(1, record=("a", "b"))
        fired = np.concatenate([out.spikes["a"].neuron, size + out.spikes["b"].neuron])
        found.append((fired, np.flatnonzero((before != 0.0) | (bias != 0.0) | pending)))
    return found


def messages_of(sim: ns.Simulation) -> dict[int, list[tuple[int, int]]]:
    """(core, synapses there) for each neuron that has synapses."""
    size = sim.network.population("a").size
    core = np.concatenate([sim.cores("a"), sim.cores("b")])
    found: dict[int, dict[int, int]] = {}
    for c in sim.network.connections:
        source, target = (size if end.name == "b" else 0 for end in (c.source, c.target))
        for pre, post in zip(source + c.pre, core[target + c.post], strict=True):
            there = found.setdefault(int(pre), {})
            there[int(post)] = there.get(int(post), 0) + 1
    return {neuron: sorted(there.items()) for neuron, there in found.items()}


def busy(sim: ns.Simulation, fired: Any, updated: Any) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(generation, processing) of each core in ns."""
    core = np.concatenate([sim.cores("a"), sim.cores("b")])
    sends = messages_of(sim)
    cost = {name: latency for name, (_, latency) in PRICES.items()}
    generation, processing = np.zeros(16), np.zeros(16)
    np.add.at(generation, core, cost["neuron_visited"])
    np.add.at(generation, core[updated], cost["neuron_updated"])
    for neuron in fired:
        generation[core[neuron]] += cost["neuron_fired"] + len(sends.get(neuron, [])) * cost["message"]
        for there, synapses in sends.get(neuron, []):
            processing[there] += cost["message_received"] + synapses * cost["synaptic_event"]
    return generation, processing


def test_simple_is_the_slower_of_generation_and_processing() -> None:
    sim = ns.Simulation(chip(), network(), timing="simple", dtype="float64")
    found = by_tick(sim, 25)
    again = ns.Simulation(chip(), network(), timing="simple", dtype="float64")
    timing = again.run(25, record_timing=True).timing
    assert timing is not None
    limits = set()
    for t, (fired, updated) in enumerate(found):
        generation, processing = busy(sim, fired, updated)
        slowest = max(generation.max(), processing.max())
        limits.add(generation.max() > processing.max())
        assert timing.time_fs[t] == round((slowest + 600) * 1e6)
        np.testing.assert_array_equal(timing.generation_fs[t], np.rint(generation[timing.cores] * 1e6).astype(int))
        np.testing.assert_array_equal(timing.processing_fs[t], np.rint(processing[timing.cores] * 1e6).astype(int))
    assert limits == {True, False}  # either happens
    assert again.ledger.time_fs == timing.time_fs.sum()


def contention(sim: ns.Simulation, fired: Any, updated: Any, buffer: int) -> tuple[float, int, int]:
    """(time of a tick in fs, messages that were held back, messages that met others), all of them scanned each time."""
    core = np.concatenate([sim.cores("a"), sim.cores("b")])
    cost = {name: round(latency * 1e6) for name, (_, latency) in PRICES.items()}
    sends, fired, updated = messages_of(sim), set(fired.tolist()), set(updated.tolist())
    queues: dict[int, list[tuple[int, int, int]]] = {}
    rest = {}
    for c in range(16):
        wait = 0
        for neuron in np.flatnonzero(core == c).tolist():
            wait += cost["neuron_visited"] + cost["neuron_updated"] * (neuron in updated)
            if neuron in fired:
                wait += cost["neuron_fired"]
                for there, synapses in sends.get(neuron, []):
                    queues.setdefault(c, []).append((wait + cost["message"], there, synapses))
                    wait = 0
        rest[c] = wait
    left, done = dict.fromkeys(range(16), 0.0), dict.fromkeys(range(16), 0.0)
    under_way: list[tuple[float, set[Any], int, float]] = []  # taken in at, ports and links, hops, processing
    held_back = met_others = 0
    while queues:
        now, c = min((left[c] + queue[0][0], c) for c, queue in queues.items())
        _, there, synapses = queues[c].pop(0)
        if not queues[c]:
            del queues[c]
        under_way = [message for message in under_way if message[0] > now]
        x, y, x1, y1 = (c // 2) % 4, (c // 2) // 4, (there // 2) % 4, (there // 2) // 4
        ways: set[Any] = {("port", c)}
        shortest = 0.0
        for axis, steps in (("x", x1 - x), ("y", y1 - y)):
            direction = {("x", True): "east", ("x", False): "west", ("y", True): "south", ("y", False): "north"}
            for _ in range(abs(steps)):
                name = direction[axis, steps > 0]
                ways.add((x, y, name))
                shortest += cost[f"hop_{name}"]
                x, y = x + (np.sign(steps) if axis == "x" else 0), y + (np.sign(steps) if axis == "y" else 0)
        hops = len(ways) - 1
        density = sum(len(ways & other) / (other_hops + 2) for _, other, other_hops, _ in under_way)
        mean = sum(message[3] for message in under_way) / len(under_way) if under_way else 0.0
        blocked = max(0.0, density - (hops + 1) * buffer) * mean
        held_back += blocked > 0
        met_others += density > 0
        left[c] = now + blocked
        arrives = left[c] + max(shortest, density * mean / (hops + 1))
        works = cost["message_received"] + synapses * cost["synaptic_event"]
        taken = max(done[there], arrives)
        done[there] = taken + works
        under_way.append((taken, ways, hops, works))
    return max(max(left[c] + rest[c] for c in left), *done.values()), held_back, met_others


@pytest.mark.parametrize("buffer", [1, 3, 16])
def test_detailed_equals_a_scan_of_all_messages(buffer: int) -> None:
    where = chip(geometry={**GEOMETRY, "link_buffer": buffer})
    sim = ns.Simulation(where, network(1), timing="detailed", dtype="float64")
    found = by_tick(sim, 14)
    again = ns.Simulation(where, network(1), timing="detailed", dtype="float64")
    timing = again.run(14, record_timing=True).timing
    assert timing is not None
    held = met = 0
    for t, (fired, updated) in enumerate(found):
        expected, blocked, others = contention(sim, fired, updated, buffer)
        held, met = held + blocked, met + others
        assert timing.time_fs[t] == pytest.approx(expected + 600e6, rel=1e-9), t
    assert met > 1000
    assert (held > 0) == (buffer < 16)


def test_nothing_contends_where_messages_are_alone() -> None:
    """One message under way at a time: detailed and event agree with the sum by hand, to the femtosecond."""
    for there in (1, 2, 3, 7, 15):
        x, y = (there // 2) % 4, (there // 2) // 4
        ns_ = 6.0 + 3.7 + 30.0 + 5.1 + x * 4.1 + y * 6.1 + 16.0 + 5 * 4.7
        for timing in ("detailed", "event"):
            sim = ns.Simulation(chip(), all_to_all(1, 5, (0, there)), timing=timing)
            sim.run(1)
            assert sim.run(2).ledger.time_fs == 2 * round((ns_ + 600) * 1e6), (timing, there)


def test_a_message_to_the_next_chip_takes_the_link_between_them() -> None:
    """Tile 0,0 of chip 0 to tile 1,1 of chip 1: three links east, one to the chip, one east and one south."""
    where = chip(geometry={**GEOMETRY, "chips": 2}, timing={"tick_s": 1e-6, "chip_barrier_s": "1 us"})
    there = 16 + 2 * (4 + 1)
    expected = 6.0 + 3.7 + 30.0 + 5.1 + 4 * 4.1 + 50.0 + 6.1 + 16.0 + 4.7 + 600 + 1000
    for timing in ("detailed", "event"):
        sim = ns.Simulation(where, all_to_all(1, 1, (0, there)), timing=timing)
        sim.run(1)
        out = sim.run(3)
        assert out.ledger.time_fs == 3 * round(expected * 1e6)
        assert [out.counts[name] for name in HOPS] == [12, 0, 0, 3, 3]


def test_event_and_detailed_agree_where_ways_do_not_meet() -> None:
    """Four cores send one message each to cores of their own, over links of their own."""
    net = ns.Network()
    net.add_population("src", 4, model="loihi-lif", bias=1.0, threshold=0.5)
    net.add_population("dst", 4, model="loihi-lif", threshold=1e9)
    net.connect("src", "dst", pre=np.arange(4), post=np.arange(4), weights=1.0)
    net.place("src", [0, 2, 4, 6])
    net.place("dst", [8, 10, 12, 14])
    times = []
    for timing in ("detailed", "event"):
        sim = ns.Simulation(chip(), net, timing=timing)
        sim.run(1)
        out = sim.run(1, record_timing=True)
        assert out.timing is not None
        times.append((out.ledger.time_fs, out.timing.sent_fs.tolist(), out.timing.last_fs.tolist()))
    assert times[0] == times[1]


def test_event_by_hand_where_a_link_is_shared() -> None:
    """Two messages of 10 fs each over one link: the second waits for the wire; one place a link holds both back."""

    def plan(buffer: int) -> network_events.Plan:
        message = network_events.Message
        return network_events.Plan(
            [[message(1, 2, (0, 1), 3)], [message(2, 2, (0, 1), 3)], []], [4, 0, 100], np.array([0, 0, 5]),
            np.array([10, 20]), buffer,
        )  # fmt: skip

    time_fs, spans = network_events.run_tick(plan(2))
    # first: 1 sent, 11 link 0, 31 link 1, read 5 and 3 of work: 39; second: 2 sent, 21, 41 (wire free at 31, 51), 54
    assert spans.tolist() == [[5, 2, 100], [0, 0, 31], [0, 0, 54]]
    assert time_fs == 100
    time_fs, spans = network_events.run_tick(plan(1))
    # with one place, the second enters link 0 when the first has gone on to link 1 (11) and link 1 at 31
    assert spans.tolist() == [[5, 2, 100], [0, 0, 31], [0, 0, 54]]
    slow = [[network_events.Message(1, 1, (0,), 50)] * 3, []]
    ends = {}
    for buffer in (1, 2):
        tight = network_events.Plan(slow, [0, 0], np.array([0, 0]), np.array([10]), buffer)
        ends[buffer] = network_events.run_tick(tight)[1]
    # one place: message 3 gets the port when message 2 gets the link, when the core takes message 1 in, at 11
    assert ends[1][0].tolist() == [11, 0]
    assert ends[2][0].tolist() == [3, 0]
    assert ends[1][2].tolist() == ends[2][2].tolist() == [0, 161]


def test_event_says_when_messages_wait_in_a_ring() -> None:
    ring = [[network_events.Message(1, 3 - k, tuple((k + step) % 4 for step in range(3)), 1)] * 3 for k in range(4)]
    plan = network_events.Plan(ring, [0] * 4, np.zeros(4, np.int64), np.full(4, 10), 1)
    with pytest.raises(NeurosimError, match=r"wait for one another for ever.*raise geometry\.link_buffer"):
        network_events.run_tick(plan)


def test_more_room_never_delays_event() -> None:
    times = []
    for buffer in (1, 2, 16):
        sim = ns.Simulation(chip(geometry={**GEOMETRY, "link_buffer": buffer}), network(3), timing="event")
        times.append(sim.run(8).chip_time_s)
    detailed = ns.Simulation(chip(), network(3), timing="detailed").run(8).chip_time_s
    simple = ns.Simulation(chip(), network(3), timing="simple").run(8).chip_time_s
    assert times[0] >= times[1] >= times[2] >= simple
    assert detailed >= simple


# Laws


def test_the_barrier_follows_the_tiles_in_use() -> None:
    timing = {"tick_s": 1e-6, "barrier_tiles": [1, 3, 6], "barrier_s": ["100 ns", "200 ns", "300 ns"],
              "chip_barrier_s": "50 ns"}  # fmt: skip
    for used, expected in ((1, 100), (2, 100), (3, 200), (5, 200), (6, 300), (8, 300), (9, 350)):
        net = ns.Network()
        net.add_population("a", used, model="if")
        net.place("a", 2 * np.arange(used))
        where = chip(timing=timing, geometry={**GEOMETRY, "chips": 2})
        out = ns.Simulation(where, net, timing="simple").run(3)
        assert out.ledger.phase_time_fs["barrier"] == 3 * expected * 10**6
        assert out.counts["barrier"] == 3


def test_a_silent_network_costs_static_power_and_visits() -> None:
    net = ns.Network()
    net.add_population("quiet", 30, model="loihi-lif", decay=0.5)
    net.add_population("away", 30, model="if")
    net.connect("quiet", "away", weights=np.ones((30, 30)))
    for timing in ("simple", "detailed", "event"):
        out = ns.Simulation(chip(), net, timing=timing).run(10)
        assert {name for name, count in out.counts.items() if count} == {"neuron_visited", "barrier"}
        assert out.counts["neuron_visited"] == 600
        assert out.chip_time_s == pytest.approx(10 * (60 * 6.0 + 600) * 1e-9, rel=1e-12)
        static = 1e-3 * out.chip_time_s
        assert out.energy_J == pytest.approx(static + 600 * 51.2e-12 + 10 * 7e-12, rel=1e-12)


@pytest.mark.parametrize("timing", ["simple", "detailed"])
def test_energy_adds_up_over_cores_ticks_and_actions(timing: str) -> None:
    sim = ns.Simulation(chip(), network(4), timing=timing)
    outs = [sim.run(ticks) for ticks in (1, 7, 12)]
    whole = ns.Simulation(chip(), network(4), timing=timing).run(20)
    assert sum((out.ledger for out in outs[1:]), outs[0].ledger) == whole.ledger
    assert sum(out.energy_J for out in outs) == pytest.approx(whole.energy_J, rel=1e-12)
    parts = sum(whole.energy_by_action_J.values()) + whole.static_energy_J
    assert parts == pytest.approx(whole.energy_J, rel=1e-12)
    each = [sum(count[c] * PRICES[name][0] * 1e-12 for name, count in whole.counts_by_core.items()) for c in range(16)]
    by_core = sum(each) + 20 * PRICES["barrier"][0] * 1e-12 + 1e-3 * whole.chip_time_s
    assert by_core == pytest.approx(whole.energy_J, rel=1e-12)


def test_cores_of_a_tile_change_places_without_a_trace() -> None:
    """Nor does any permutation of cores change how often anything but a hop happens."""
    first, second, third = network(5), network(5), network(5)
    rng = np.random.default_rng(0)
    anywhere = rng.permutation(16)
    for name in "ab":
        core = first.placement(name)
        assert core is not None
        second.place(name, core ^ 1)
        third.place(name, anywhere[core])
    outs = {}
    for key, net in (("first", first), ("second", second), ("third", third)):
        outs[key] = ns.Simulation(chip(), net, timing="simple").run(30, record=("a", "b"))
    assert outs["first"].ledger == outs["second"].ledger
    for name in outs["first"].counts:
        assert name in HOPS or outs["first"].counts[name] == outs["third"].counts[name], name
    assert outs["first"].ledger.time_fs == outs["third"].ledger.time_fs
    for name in "ab":
        np.testing.assert_array_equal(outs["first"].spikes[name], outs["third"].spikes[name])


def noisy_chip() -> Chip:
    return chip(
        synapse={"device": {"model": "soft-bounds", "w_max_dtod": 0.1}, "read_noise_std": 0.05, "stuck_fraction": 0.1},
        neuron={"threshold_dtod": 0.1, "leak_dtod": 0.1, "gain_dtod": 0.1, "membrane_noise_std": 0.05},
    )


@pytest.mark.parametrize("timing", ["clocked", "simple", "detailed"])
def test_any_number_of_threads_gives_the_same_bits(timing: str) -> None:
    seen = []
    for threads in (1, 2, 3, 7):
        sim = ns.Simulation(noisy_chip(), network(6), timing=timing, seed=4, threads=threads)
        outs = [sim.run(ticks, record=("a", "b"), record_timing=True) for ticks in (3, 60)]
        seen.append((sim, outs))
    one, outs_one = seen[0]
    assert outs_one[1].counts["neuron_fired"] > 100
    for sim, outs in seen[1:]:
        assert sim.ledger == one.ledger
        for name in "ab":
            np.testing.assert_array_equal(sim.state(name, "v"), one.state(name, "v"))
            for out, other in zip(outs, outs_one, strict=True):
                np.testing.assert_array_equal(out.spikes[name], other.spikes[name])
        np.testing.assert_array_equal(sim.weights("a", "b"), one.weights("a", "b"))
        for out, other in zip(outs, outs_one, strict=True):
            assert out.timing is not None
            assert other.timing is not None
            for field in ("time_fs", "generation_fs", "processing_fs", "sent_fs", "first_fs", "last_fs", "hops"):
                np.testing.assert_array_equal(getattr(out.timing, field), getattr(other.timing, field), field)


def test_threads_read_and_write_the_same_weights() -> None:
    one, two = (ns.Simulation(chip(), network(7), threads=threads) for threads in (1, 2))
    rng = np.random.default_rng(1)
    for _ in range(3):
        weights = rng.normal(0.0, 0.1, one.weights("a", "b").shape)
        for sim in (one, two):
            sim.set_weights("a", "b", weights)
            sim.run(5)
    np.testing.assert_array_equal(one.weights("a", "b"), two.weights("a", "b"))
    np.testing.assert_array_equal(one.state("b", "v"), two.state("b", "v"))


def test_wide_axons_count_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks that do not fit into 32 bits an axon."""
    small = ns.Simulation(chip(), network(16), timing="detailed")
    assert small._account.meter.packed.dtype == np.uint32
    small.run(10)
    monkeypatch.setattr("neurosim.engine.network_meter.NetworkMeter.shift", 40)
    wide = ns.Simulation(chip(), network(16), timing="detailed")
    assert wide._account.meter.packed.dtype == np.uint64
    wide.run(10)
    assert wide.ledger == small.ledger


def test_three_builds_in_one_process_give_the_same_spikes() -> None:
    spikes = []
    for _ in range(3):
        out = ns.Simulation(noisy_chip(), network(8), timing="detailed", seed=2).run(40, record=("a", "b"))
        spikes.append((out.spikes["a"].tick.tolist(), out.spikes["a"].neuron.tolist(), out.ledger))
    assert spikes[0] == spikes[1] == spikes[2]


def test_how_long_a_tick_takes_changes_no_spike() -> None:
    runs = [ns.Simulation(chip(), network(9), timing=timing).run(15, record=("a", "b"))
            for timing in ("clocked", "simple", "detailed", "event")]  # fmt: skip
    for one, other in itertools.pairwise(runs):
        assert one.counts == other.counts
        for name in "ab":
            np.testing.assert_array_equal(one.spikes[name], other.spikes[name])


def test_latencies_have_intervals() -> None:
    prices = {name: price(*values) for name, values in PRICES.items()}
    prices["message_received"] |= {"low_s": "10 ns", "high_s": "40 ns"}
    prices["neuron_visited"] |= {"low_s": "1 ns", "high_s": "9 ns"}
    where = chip().model_copy(update={"prices": chip(prices=PRICES).prices})
    where = Chip.model_validate({**where.model_dump(), "prices": prices})
    times = {}
    for band in ("low", "nominal", "high"):
        out = ns.Simulation(where, network(10), timing="simple", prices=band).run(20)
        times[band] = out.ledger
        assert out.energy_J - out.static_energy_J == pytest.approx(
            ns.Simulation(where, network(10), timing="clocked").run(20).energy_J - 20 * 1.6e-6 * 1e-3, rel=1e-9
        )
    assert times["low"].time_fs < times["nominal"].time_fs < times["high"].time_fs
    assert (times["nominal"].time_low_fs, times["nominal"].time_high_fs) == (
        times["low"].time_fs,
        times["high"].time_fs,
    )
    assert times["low"].time_low_fs == times["low"].time_high_fs == times["low"].time_fs
    low, high = (ns.Simulation(where, network(10), timing="detailed", prices=band).run(5).chip_time_s
                 for band in ("low", "high"))  # fmt: skip
    assert low < high


def test_a_dendrite_is_counted_where_it_is_priced() -> None:
    plain = ns.Simulation(chip(), network(11), timing="simple").run(20)
    assert plain.counts["dendrite_updated"] == 0
    priced = ns.Simulation(chip({**PRICES, "dendrite_updated": (2.0, 10.0)}), network(11), timing="simple").run(20)
    assert priced.counts["dendrite_updated"] == priced.counts["synaptic_event"] == plain.counts["synaptic_event"] > 1000
    assert priced.chip_time_s > plain.chip_time_s
    received = priced.counts_by_core["message_received"]
    assert received.sum() == priced.counts["message"]
    assert (received != priced.counts_by_core["message"]).any()


# What is recorded


@pytest.mark.parametrize("timing", ["clocked", "simple", "detailed"])
def test_recorded_ticks_add_up(timing: str) -> None:
    sim = ns.Simulation(chip(), network(12), timing=timing)
    sim.run(5)
    out = sim.run(30, record_timing=True)
    found = out.timing
    assert found is not None
    assert (found.first_tick, found.ticks) == (5, 30)
    assert found.time_fs.sum() == out.ledger.time_fs
    for name, count in found.counts.items():
        np.testing.assert_array_equal(count.sum(axis=0), out.counts_by_core[name][found.cores], name)
    np.testing.assert_array_equal(found.hops.sum(axis=0), [out.counts[name] for name in HOPS])
    assert sim.run(3).timing is None
    ends = np.maximum(found.sent_fs, found.last_fs).max(axis=1) + found.barrier_fs
    if timing == "clocked":
        assert (found.time_fs == 16 * 10**8).all()
    else:
        np.testing.assert_array_equal(found.time_fs, ends)
        assert (found.sent_fs >= found.generation_fs).all()
        assert (found.last_fs - found.first_fs >= found.processing_fs).all()


def test_timeline_of_a_tick() -> None:
    sim = ns.Simulation("loihi-sanafe", all_to_all(1, 1, (0, 16)), timing="detailed")
    found = sim.run(2, record_timing=True).timing
    assert found is not None
    spans = {(each.core, each.what): (each.start_s, each.end_s) for each in found.timeline(1)}
    assert spans[0, "generation"] == (0.0, pytest.approx(44.8e-9))
    assert spans[16, "generation"] == (0.0, pytest.approx(9.7e-9))
    assert spans[16, "processing"] == (pytest.approx(48.9e-9), pytest.approx(69.6e-9))
    assert spans[None, "barrier"] == (pytest.approx(69.6e-9), pytest.approx(1069.6e-9))
    assert len(spans) == 4
    with pytest.raises(InputError, match="tick = 2: recorded are ticks 0 to 1"):
        found.timeline(2)


@pytest.mark.parametrize("timing", ["clocked", "simple", "detailed"])
def test_blocks_are_the_run_in_parts(timing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ns.Simulation(chip(), network(13), timing=timing)
    whole.run(3)
    out = whole.run(50, record="a", record_timing=True)
    monkeypatch.setattr("neurosim.engine.network_state.TICKS", 8)
    monkeypatch.setattr("neurosim.engine.simulation.CALL_S", 0.0)  # a tick a call, and a block a call
    sim = ns.Simulation(chip(), network(13), timing=timing)
    sim.run(3)
    blocks: list[Block] = []
    last = sim.run(50, record="a", record_timing=True, on_block=blocks.append)
    assert last.ledger == out.ledger == blocks[-1].ledger
    assert len(blocks) >= 7
    assert last.spikes["a"].tick.size == 0
    assert last.timing is None
    assert [block.first_tick for block in blocks] == [
        3,
        *itertools.accumulate((b.ticks for b in blocks[:-1]), initial=3),
    ][1:]
    for k in (0, 1):
        joined = np.concatenate([block.spikes["a"][k] for block in blocks])
        np.testing.assert_array_equal(joined, out.spikes["a"][k])
    assert out.timing is not None
    lengths = [block.tick_fs for block in blocks]
    np.testing.assert_array_equal(np.concatenate([each for each in lengths if each is not None]), out.timing.time_fs)
    for name in out.counts_by_core:
        np.testing.assert_array_equal(blocks[-1].counts_by_core[name], out.counts_by_core[name])
    quick: list[Block] = []
    sim.run(20, on_block=quick.append)
    assert all(block.timing is None for block in quick)
    assert sum(block.ticks for block in quick) == 20


def test_a_ctrl_c_hands_the_last_block_over(monkeypatch: pytest.MonkeyPatch) -> None:
    for threads in (1, 2):
        sim = ns.Simulation(chip(), network(14), timing="simple", threads=threads)
        sim._pace = 1  # ticks of the first call
        settle, blocks = network_account.Account.settle, []
        calls = iter(range(100))

        def interrupted(self: Any, *arguments: Any, settle: Any = settle, calls: Any = calls) -> None:
            if next(calls) == 4:
                raise KeyboardInterrupt  # the kernel has run, its ticks are not in the books
            settle(self, *arguments)

        with monkeypatch.context() as patch:
            patch.setattr(network_account.Account, "settle", interrupted)
            with pytest.raises(KeyboardInterrupt):
                sim.run(4000, record="a", on_block=blocks.append)
        done = sim.tick
        assert 0 < done < 4000
        assert sum(block.ticks for block in blocks) == done
        sim.run(4000 - done)
        whole = ns.Simulation(chip(), network(14), timing="simple")
        out = whole.run(4000, record="a")
        assert sim.ledger == whole.ledger
        np.testing.assert_array_equal(sim.state("b", "v"), whole.state("b", "v"))
        before = out.spikes["a"].tick < done
        joined = np.concatenate([block.spikes["a"].neuron for block in blocks])
        np.testing.assert_array_equal(joined, out.spikes["a"].neuron[before])


def test_link_loads_are_spikes_along_paths() -> None:
    sim = ns.Simulation("loihi-sanafe", all_to_all(2, 3, (0, 4 * (2 * 4 + 3))))  # tile x 2, y 3
    sim.run(10)
    loads = sim.link_loads()
    assert loads.shape == (4, 8, 4)
    expected = np.zeros_like(loads)
    expected[0, 0:2, 0] = 20  # first east, then south
    expected[0:3, 2, 3] = 20
    np.testing.assert_array_equal(loads, expected)
    sim = ns.Simulation(chip(), network(15), timing="detailed")
    out = sim.run(40)
    loads = sim.link_loads()
    assert [int(loads[..., k].sum()) for k in range(4)] == [out.counts[name] for name in HOPS[:4]]
    sim.run(10)
    assert sim.link_loads().sum() > loads.sum()
    np.testing.assert_array_equal(sim.cores_in_use, np.unique(np.concatenate([sim.cores("a"), sim.cores("b")])))


def test_bad_arguments() -> None:
    with pytest.raises(InputError) as error:
        ns.Simulation(chip(), network(), prices="hi", threads=0)  # type: ignore[arg-type]
    text = "\n".join(error.value.problems)
    assert "unknown band of prices 'hi'" in text
    assert "threads = 0: must be a whole number from 1 to 64" in text
