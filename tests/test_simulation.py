"""The machine driven by hand: laws of neurons, conservation, counts, time and energy by hand, bits, errors."""

from __future__ import annotations

import doctest
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import neurosim
from neurosim import models
from neurosim.chip.population import Network
from neurosim.engine import program
from neurosim.engine.simulation import Simulation
from neurosim.errors import CapabilityError, CapacityError, InputError
from neurosim.spec.chip import Chip

models.load_builtin()
ROOT = Path(__file__).parent.parent
TICK_S = 1e-6

# Energies in pJ and latencies in ns after SANA-FE's Loihi (reference/chips.md 2.1), with one core on each tile.
PRICES = {
    "neuron_visited": (51.2, 6.0),
    "neuron_updated": (21.6, 3.7),
    "neuron_fired": (69.3, 30.0),
    "synaptic_event": (33.6, 4.7),
    "message": (111.0, 5.1),
    "message_received": (0.0, 16.0),
    "hop_east": (3.0, 4.1),
    "hop_west": (3.0, 4.1),
    "hop_north": (4.2, 6.5),
    "hop_south": (4.2, 6.5),
    "barrier": (0.0, 600.0),
}


def toy(*, device: Any = "ideal", prices: dict[str, tuple[float, float]] = PRICES, **changes: Any) -> Chip:
    """A digital chip of 3 x 2 cores; ``changes`` replace whole tables."""
    return Chip.model_validate(
        {
            "name": "toy",
            "summary": "a chip for tests",
            "geometry": {
                "cores": 6, "mesh_width": 3, "neurons_per_core": 8, "inputs_per_core": 16, "synapses_per_core": 64,
            },
            "capabilities": {"neurons": ["if", "lif"], "write_schemes": ["element"]},
            "synapse": {"device": device},
            "timing": {"tick_s": TICK_S},
            "static": {"power_W": 1e-3, "source": "a test", "kind": "published"},
            "prices": {name: price(*values) for name, values in prices.items()},
        }
        | changes
    )  # fmt: skip


def price(energy_pJ: float, latency_ns: float) -> dict[str, Any]:
    return {"energy_J": f"{energy_pJ} pJ", "latency_s": f"{latency_ns} ns", "source": "a table", "kind": "published"}


def chain(sources: int = 1, targets: int = 1, cores: tuple[int, int] = (0, 1), **parameters: Any) -> Network:
    """Sources that fire every tick, all to all onto targets that never fire."""
    net = Network()
    net.add_population("src", sources, model="if", bias=1.0, threshold=0.5, reset="hard")
    net.add_population("dst", targets, model="if", threshold=1e9, **parameters)
    net.connect("src", "dst", weights=np.ones((sources, targets)))
    net.place("src", cores[0])
    net.place("dst", cores[1])
    return net


def random_network(seed: int, size: int = 40) -> Network:
    """Two populations, recurrent and both ways, every kind of neuron; 64ths are exact in float32."""
    rng = np.random.default_rng(seed)
    net = Network()
    net.add_population("a", size, model="if", bias=rng.integers(0, 30, size) / 64, refractory_ticks=1, v_min=-0.5)
    net.add_population("b", size, model="lif", tau_mem_s=20 * TICK_S, bias=0.125, reset="hard")
    for source, target in (("a", "a"), ("a", "b"), ("b", "a")):
        at = np.flatnonzero(rng.random(size * size) < 0.2)
        rng.shuffle(at)
        net.connect(source, target, pre=at // size, post=at % size, weights=rng.integers(-16, 24, at.size) / 64)
    net.place("a", rng.integers(0, 6, size))
    net.place("b", rng.integers(0, 6, size))
    return net


ROOMY = {"cores": 6, "mesh_width": 3, "neurons_per_core": 100, "inputs_per_core": 1000, "synapses_per_core": 10**6}


# Laws of the neurons


def test_f_i_curves_of_if_and_lif() -> None:
    current = np.arange(1, 65) / 64  # exact in binary
    leak, threshold, rest, ticks = math.exp(-1 / 20), 2.0, 3, 1000
    net = Network()
    net.add_population("soft", 64, model="if", bias=current, threshold=threshold)
    net.add_population("hard", 64, model="if", bias=current, threshold=threshold, reset="hard")
    net.add_population("rest", 64, model="if", bias=current, threshold=threshold, reset="hard", refractory_ticks=rest)
    net.add_population("lif", 64, model="lif", bias=current, threshold=threshold, reset="hard", tau_mem_s=20 * TICK_S)
    net.add_population("late", 64, model="lif", bias=current, threshold=threshold, reset="hard", tau_mem_s=20 * TICK_S,
                       refractory_ticks=rest)  # fmt: skip
    net.add_population("none", 64, model="if", bias=current, threshold=threshold, reset="none")
    geometry = {**ROOMY, "neurons_per_core": 1000}
    sim = Simulation(toy(geometry=geometry), net, dtype="float64", record=[p.name for p in net.populations])
    spikes = sim.run(ticks).spikes

    def fired(name: str) -> npt.NDArray[np.int64]:
        return np.bincount(spikes[name].neuron, minlength=64)

    np.testing.assert_array_equal(fired("soft"), np.floor(ticks * current / threshold))
    to_threshold = np.ceil(threshold / current)
    np.testing.assert_array_equal(fired("hard"), ticks // to_threshold)
    np.testing.assert_array_equal(fired("rest"), (ticks + rest) // (to_threshold + rest))
    fires = current > threshold * (1 - leak)
    period = np.ceil(np.log(1 - threshold * (1 - leak) / current[fires]) / math.log(leak))
    np.testing.assert_array_equal(fired("lif")[fires], ticks // period)
    np.testing.assert_array_equal(fired("late")[fires], (ticks + rest) // (period + rest))
    assert not fired("lif")[~fires].any()
    assert (~fires).any()
    np.testing.assert_array_equal(fired("none"), ticks - to_threshold + 1)  # above the threshold for good


def test_floor_is_kept_and_no_spike_comes_from_below() -> None:
    net = Network()
    net.add_population("low", 2, model="if", bias=[-1.0, -0.25], v_min=-0.5)
    sim = Simulation(toy(), net)
    sim.run(10)
    np.testing.assert_array_equal(sim.state("low", "v"), [-0.5, -0.5])


def test_a_recurrent_network_equals_its_equations() -> None:
    net = random_network(6)
    sim = Simulation(toy(geometry=ROOMY), net, dtype="float64", record=("a", "b"))
    spikes = sim.run(80).spikes
    w = np.zeros((80, 80))
    for c in net.connections:
        w[c.pre + 40 * (c.source.name == "b"), c.post + 40 * (c.target.name == "b")] = c.weights
    bias = np.concatenate([population.bias for population in net.populations])
    is_a, leak = np.arange(80) < 40, math.exp(-1 / 20)
    v, rest, fired = np.zeros(80), np.zeros(80, int), np.zeros(80, bool)
    for tick in range(80):
        total = bias + fired @ w
        awake = rest == 0
        new = np.where(is_a, np.maximum(v + total, -0.5), leak * v + total)
        v = np.where(awake, new, v)
        fired = awake & (v >= 1.0)
        v = np.where(fired, np.where(is_a, v - 1.0, 0.0), v)
        rest = np.where(fired & is_a, 1, np.maximum(rest - 1, 0))
        for name, own in (("a", fired[:40]), ("b", fired[40:])):
            np.testing.assert_array_equal(spikes[name].neuron[spikes[name].tick == tick], np.flatnonzero(own))
    np.testing.assert_array_equal(np.concatenate([sim.state("a", "v"), sim.state("b", "v")]), v)
    assert min(spikes[name].tick.size for name in "ab") > 100


# Conservation and counts


def test_spikes_times_fan_out_are_the_synaptic_events_of_their_tick() -> None:
    net = random_network(0)
    sim = Simulation(toy(geometry=ROOMY), net, record=("a", "b"))
    fan_out = {name: np.zeros(40, int) for name in "ab"}
    for connection in net.connections:
        fan_out[connection.source.name] += np.bincount(connection.pre, minlength=40)
    total = 0
    for _ in range(30):
        out = sim.run(1)
        expected = sum(int(fan_out[name][out.spikes[name].neuron].sum()) for name in "ab")
        assert out.counts["synaptic_event"] == expected
        total += expected
        assert out.counts["neuron_fired"] == sum(out.spikes[name].neuron.size for name in "ab")
        assert out.counts["message_received"] == out.counts["message"]
    assert total > 1000
    assert sim.ledger.counts["synaptic_event"] == total


def test_counts_by_core_follow_from_spikes_and_placement() -> None:
    net = random_network(1)
    sim = Simulation(toy(geometry=ROOMY), net, record=("a", "b"))
    assert not any(by_core.any() for by_core in sim.counts_by_core.values())
    out = sim.run(50)
    assert set(out.counts_by_core) == set(sim.counts_by_core)
    for name, by_core in out.counts_by_core.items():
        assert by_core.shape == (6,)
        assert by_core.sum() == out.counts[name], name
    core = {name: sim.cores(name) for name in "ab"}
    hand = {name: np.zeros(6, int) for name in ("neuron_fired", "message", "message_received", "synaptic_event",
                                                "neuron_visited", "hop_east", "hop_west", "hop_north", "hop_south",
                                                "hop_chip")}  # fmt: skip
    for name in "ab":
        np.add.at(hand["neuron_visited"], core[name], 50)
        for neuron in out.spikes[name].neuron:
            home = core[name][neuron]
            hand["neuron_fired"][home] += 1
            targets = np.concatenate([core[c.target.name][c.post[c.pre == neuron]]
                                      for c in net.connections if c.source.name == name])  # fmt: skip
            for there in np.unique(targets):
                hand["message"][home] += 1
                hand["message_received"][there] += 1
                across, down = there % 3 - home % 3, there // 3 - home // 3
                hand["hop_east" if across > 0 else "hop_west"][home] += abs(across)
                hand["hop_south" if down > 0 else "hop_north"][home] += abs(down)
            np.add.at(hand["synaptic_event"], targets, 1)
    for name, by_core in hand.items():
        np.testing.assert_array_equal(out.counts_by_core[name], by_core, name)


def test_hops_by_hand_on_a_small_mesh() -> None:
    #   0 1 2
    #   3 4 5
    for home, there, east, west, north, south in ((0, 5, 2, 0, 0, 1), (5, 0, 0, 2, 1, 0), (4, 4, 0, 0, 0, 0),
                                                  (2, 3, 0, 2, 0, 1), (3, 1, 1, 0, 1, 0)):  # fmt: skip
        counts = Simulation(toy(), chain(cores=(home, there))).run(10).counts
        found = [counts[f"hop_{direction}"] for direction in ("east", "west", "north", "south")]
        assert found == [10 * east, 10 * west, 10 * north, 10 * south]
        assert counts["message"] == 10


def test_neurons_at_rest_are_visited_but_not_updated() -> None:
    net = Network()
    net.add_population("silent", 3, model="lif", tau_mem_s=TICK_S)
    net.add_population("resting", 1, model="if", bias=1.0, refractory_ticks=4, reset="hard")
    counts = Simulation(toy(), net).run(10).counts
    assert counts["neuron_visited"] == 40
    assert counts["neuron_updated"] == counts["neuron_fired"] == 2  # the resting one, in ticks 0 and 5
    assert counts["synaptic_event"] == counts["message"] == 0


def test_a_crossbar_counts_its_reads_and_columns_are_converted_when_inputs_arrive() -> None:
    net = chain(3, 5)
    counts = Simulation("analog-if", net, ideal=True).run(11).counts
    assert counts["synaptic_event"] == counts["cell_read"] == 15 * 11
    assert counts["cell_read_conductance"] == 15 * 11 * round(1.1 * 2**16)  # g+ + g- = g_max + g_min
    assert counts["dac_conversion"] == counts["adc_conversion"] == 0
    columns = {"chip.periphery.adc_at": "columns"}
    counts = Simulation("analog-if", net, ideal=True, overrides=columns).run(11).counts
    assert (counts["dac_conversion"], counts["adc_conversion"]) == (3 * 11, 5 * 11)


# Time and energy


@pytest.mark.parametrize(
    ("there", "core_ns", "energy_pJ"),
    [(0, 2 * 9.7 + 30 + 5.1, 359.5), (1, 9.7 + 30 + 5.1, 362.5), (3, 9.7 + 30 + 5.1, 363.7)],
)
def test_time_and_energy_of_one_source_and_one_target(there: int, core_ns: float, energy_pJ: float) -> None:
    """Per tick and in steady state; the energies are those of SANA-FE's golden cases."""
    sim = Simulation(toy(), chain(cores=(0, there)), timing="simple")
    sim.run(1)
    out = sim.run(100)
    assert out.chip_time_s == pytest.approx(100 * (core_ns + 600) * 1e-9, rel=1e-12)
    dynamic = sum(out.energy_by_action_J.values())
    assert dynamic == pytest.approx(100 * energy_pJ * 1e-12, rel=1e-12)
    assert out.static_energy_J == pytest.approx(1e-3 * out.chip_time_s, rel=1e-12)
    assert out.energy_J == pytest.approx(dynamic + out.static_energy_J, rel=1e-12)
    assert out.bill.time_share["barrier"] == pytest.approx(600 / (core_ns + 600))


def test_the_slowest_core_ends_a_tick() -> None:
    sim = Simulation(toy(), chain(8, 4, cores=(2, 3)), timing="simple")
    first, second = sim.run(1), sim.run(1)
    sending = 8 * (6.0 + 3.7 + 30.0 + 5.1)
    receiving = 8 * 16.0 + 32 * 4.7  # beside its neurons, not after them
    assert sending > receiving > 4 * (6.0 + 3.7)
    assert [first.ledger.time_fs, second.ledger.time_fs] == [round((sending + 600) * 1e6)] * 2
    slow = Simulation(toy(prices=PRICES | {"synaptic_event": (33.6, 47.0)}), chain(8, 4, cores=(2, 3)), timing="simple")
    assert slow.run(1).ledger.time_fs == round((8 * 16.0 + 32 * 47.0 + 600) * 1e6)
    sim.set_state("src", "bias", 0.0)
    assert sim.run(1).ledger.time_fs == round((8 * 6.0 + 600) * 1e6)  # 8 visits against 4 visits and updates


def test_a_clocked_tick_lasts_its_time_and_the_barrier() -> None:
    out = Simulation(toy(), chain(), timing="clocked").run(7)
    assert out.ledger.phase_time_fs["compute"] == 7 * 10**9
    assert out.ledger.phase_time_fs["barrier"] == 7 * 600 * 10**6
    assert Simulation(toy(), chain()).timing == "clocked"


# The same bits


def noisy(seed: int = 3, net: Network | None = None, *, timing: str = "simple", **arguments: Any) -> Simulation:
    """Every imperfection on, times and routes followed."""
    chip = toy(
        geometry=ROOMY,
        synapse={
            "device": {"model": "soft-bounds", "w_max_dtod": 0.1, "w_min_dtod": 0.1}, "read_noise_std": 0.05,
            "stuck_fraction": 0.25,
        },
        neuron={"threshold_dtod": 0.1, "leak_dtod": 0.1, "gain_dtod": 0.1, "membrane_noise_std": 0.1},
    )  # fmt: skip
    return Simulation(chip, net or random_network(2), timing=timing, seed=seed, **arguments)


def memory(sim: Simulation) -> dict[str, npt.NDArray[Any]]:
    """Copies of the kernel's arguments by name."""
    names = (
        "F", "N", "X", "P", "segments", "groups", "first", "target", "weight", "number", "drives", "above",
        "drive_weight", "given_first", "given", "past", "past_first", "spikes", "rank", "tick_first", "moved", "driven",
        "progress", "R", "D",
    )  # fmt: skip
    return {name: array.copy() for name, array in zip(names, sim._memory.arguments(), strict=True)}


def test_split_runs_equal_one_run_bit_for_bit() -> None:
    whole, split, other = noisy(), noisy(), noisy(seed=4)
    one = whole.run(1000, record=("a", "b"))
    parts = [split.run(ticks, record=("a", "b")) for ticks in (400, 0, 1, 599)]
    other.run(1000)
    for name in "ab":
        for k in (0, 1):
            np.testing.assert_array_equal(one.spikes[name][k], np.concatenate([part.spikes[name][k] for part in parts]))
        np.testing.assert_array_equal(whole.state(name, "v"), split.state(name, "v"))
        assert (whole.state(name, "v") != other.state(name, "v")).any()
    assert whole.ledger == split.ledger == sum((part.ledger for part in parts[1:]), parts[0].ledger)
    assert whole.bill == split.bill
    assert [part.first_tick for part in parts] == [0, 400, 400, 401]
    for name, by_core in whole.counts_by_core.items():
        np.testing.assert_array_equal(by_core, split.counts_by_core[name])


def test_placement_changes_counts_but_never_a_spike() -> None:
    spread, heap = random_network(5), random_network(5)
    heap.place("a", 2)
    heap.place("b", 4)
    sims = [noisy(net=net, record="b") for net in (spread, heap)]
    outs = [sim.run(200) for sim in sims]
    np.testing.assert_array_equal(outs[0].spikes["b"], outs[1].spikes["b"])
    np.testing.assert_array_equal(sims[0].state("a", "v"), sims[1].state("a", "v"))
    assert outs[0].counts["synaptic_event"] == outs[1].counts["synaptic_event"]
    assert outs[0].counts["message"] > outs[1].counts["message"]


def test_the_kernel_equals_its_plain_python_form() -> None:
    for timing in ("simple", "detailed"):
        sim = noisy(timing=timing)
        sim.run(5)
        plain, compiled = memory(sim), memory(sim)
        burst = program.load(sim._runner.source, sim._runner.modules).burst
        assert burst(*compiled.values(), 12) == burst.py_func(*plain.values(), 12) == 12
        for name, array in compiled.items():
            np.testing.assert_array_equal(array, plain[name], name)
        assert compiled["tick_first"][0, 12] > 50
        assert compiled["rank"].any() == (timing == "detailed")


def test_a_call_may_fill_its_room_in_the_middle_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neurosim.engine.network_state.SPIKES", 3)
    tick, neuron = Simulation(toy(), chain(4, 1), record="src").run(50).spikes["src"]
    np.testing.assert_array_equal(tick, np.repeat(np.arange(50), 4))
    np.testing.assert_array_equal(neuron, np.tile(np.arange(4), 50))


def test_an_interrupted_run_can_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, broken = Simulation(toy(), chain(), record="src"), Simulation(toy(), chain(), record="src")
    whole.run(100)
    broken._pace = 1  # ticks of the first call; the next takes eight times as many
    calls = iter([0.0] * 6)  # the clock is looked at before and after every call, and stops the third

    def clock() -> float:
        try:
            return next(calls)
        except StopIteration:
            raise KeyboardInterrupt from None

    with monkeypatch.context() as patch:
        patch.setattr("neurosim.engine.simulation.time.perf_counter", clock)
        with pytest.raises(KeyboardInterrupt):
            broken.run(100)
    assert 0 < broken.tick < 100
    out = broken.run(100 - broken.tick)
    assert out.spikes["src"].tick[0] == out.first_tick
    assert broken.ledger == whole.ledger
    np.testing.assert_array_equal(broken.state("dst", "v"), whole.state("dst", "v"))


# Weights and states


def test_set_weights_takes_effect_at_the_next_tick_and_changes_nothing_else() -> None:
    net = Network()
    net.add_population("src", 2, bias=1.0, threshold=0.5, reset="hard")
    net.add_population("dst", 3, threshold=1e9)
    w = np.arange(6.0).reshape(2, 3)
    net.connect("src", "dst", weights=w)
    sim = Simulation(toy(), net)
    np.testing.assert_array_equal(sim.weights("src", "dst"), w)
    sim.run(2)  # the spikes of tick 0 arrived in tick 1, those of tick 1 are on their way
    before = sim.state("dst", "v")
    np.testing.assert_array_equal(before, w.sum(axis=0))
    kept, ledger = memory(sim), sim.ledger
    sim.set_weights("src", "dst", 10 * w)
    for name, array in memory(sim).items():
        assert name == "weight" or np.array_equal(array, kept[name]), name
    assert sim.ledger == ledger
    sim.run(1)
    np.testing.assert_array_equal(sim.state("dst", "v"), before + 10 * w.sum(axis=0))


def test_lists_keep_their_order_and_parallel_synapses_add_up() -> None:
    net = Network()
    net.add_population("src", 2, bias=1.0, threshold=0.5)
    net.add_population("dst", 2, threshold=1e9)
    net.connect("src", "dst", pre=[1, 0, 1, 1], post=[0, 1, 1, 0], weights=[1.0, 2.0, 4.0, 8.0])
    sim = Simulation(toy(), net)
    np.testing.assert_array_equal(sim.weights("src", "dst"), [1.0, 2.0, 4.0, 8.0])
    out = sim.run(2)
    np.testing.assert_array_equal(sim.state("dst", "v"), [9.0, 6.0])
    assert out.counts["synaptic_event"] == 8
    assert out.counts["message"] == 4
    sim.set_weights("src", "dst", [16.0, 0.0, 0.0, 32.0])
    sim.run(1)
    np.testing.assert_array_equal(sim.state("dst", "v"), [57.0, 6.0])


def test_weights_are_what_the_devices_can_hold() -> None:
    net = Network()
    net.add_population("a", 1)
    net.connect("a", "a", weights=[[0.4]])
    grid = Simulation(toy(device={"model": "quantized", "bits": 2, "w_min": -1.0, "w_max": 1.0}), net)
    assert grid.weights("a", "a") == pytest.approx(1 / 3)
    net = Network()
    net.add_population("a", 40)
    net.connect("a", "a", weights=np.linspace(-3, 3, 1600).reshape(40, 40))
    sim = Simulation("analog-if", net)
    held = sim.weights("a", "a")
    assert 1.0 < held.max() < 1.6  # bounds with a mismatch of 10 %
    assert -1.6 < held.min() < -1.0
    middle = abs(net.connections[0].weights.reshape(40, 40)) < 0.5
    np.testing.assert_array_equal(held[middle], net.connections[0].weights.reshape(40, 40)[middle].astype(np.float32))
    ideal = Simulation("analog-if", net, ideal=True)
    assert ideal.weights("a", "a").max() == 3.0
    assert ideal.state("a", "threshold").std() == ideal.state("a", "gain").std() == 0.0
    assert 0.03 < sim.state("a", "threshold").std() < 0.07
    np.testing.assert_array_equal(Simulation("analog-if", net, seed=9).weights("a", "a"), held)  # the same chip


def test_stuck_devices_keep_what_they_were_built_with() -> None:
    sim = noisy()
    first = sim.weights("a", "b")
    sim.set_weights("a", "b", 0.0)
    stuck = sim.weights("a", "b") != 0.0
    np.testing.assert_array_equal(sim.weights("a", "b")[stuck], first[stuck])
    assert 0.15 < stuck.mean() < 0.35


def test_states_can_be_set() -> None:
    sim = Simulation(toy(), chain(2, 2))
    sim.set_state("dst", "v", [3.0, 4.0])
    sim.set_state("src", "bias", 0.0)
    sim.run(3)
    np.testing.assert_array_equal(sim.state("dst", "v"), [3.0, 4.0])
    with pytest.raises(InputError, match=r"unknown state to set 'b1as'; did you mean 'bias'\?"):
        sim.set_state("src", "b1as", 0.0)
    with pytest.raises(InputError, match=r"shape \(3,\), needed is one number or \(2,\)"):
        sim.set_state("src", "bias", [1.0, 2.0, 3.0])


# Placement


def test_what_is_not_placed_fills_the_cores_in_order() -> None:
    net = Network()
    for name, size in (("a", 5), ("b", 12), ("c", 3)):
        net.add_population(name, size)
    net.place("c", [0, 1, 1])
    sim = Simulation(toy(), net)
    np.testing.assert_array_equal(sim.cores("a"), [0] * 5)
    np.testing.assert_array_equal(sim.cores("b"), [0] * 2 + [1] * 6 + [2] * 4)
    np.testing.assert_array_equal(sim.cores("c"), [0, 1, 1])


def test_filling_heeds_inputs_and_synapses() -> None:
    net = Network()
    net.add_population("src", 12)
    net.add_population("dst", 12)
    net.place("src", np.arange(12) // 8)
    pre, post = np.arange(12), np.arange(12)
    net.connect("src", "dst", pre=pre, post=post, weights=1.0)  # one input each
    geometry = {"cores": 6, "neurons_per_core": 8, "inputs_per_core": 3, "synapses_per_core": 64}
    np.testing.assert_array_equal(Simulation(toy(geometry=geometry), net).cores("dst"), np.arange(12) // 3 + 1)
    geometry = {"cores": 6, "neurons_per_core": 8, "inputs_per_core": 30, "synapses_per_core": 5}
    np.testing.assert_array_equal(Simulation(toy(geometry=geometry), net).cores("dst"), [1] * 4 + [2] * 5 + [3] * 3)


def test_what_does_not_fit_says_how_much_is_missing() -> None:
    net = Network()
    net.add_population("a", 10)
    net.place("a", 3)
    with pytest.raises(CapacityError, match=r"core 3 of chip toy: 10 neurons for 8 \(2 too many\)"):
        Simulation(toy(), net)
    net = Network()
    net.add_population("a", 50)
    with pytest.raises(CapacityError, match=r"7 cores are needed, it has 6 \(1 missing\); 2 neurons found no place"):
        Simulation(toy(), net)
    net = Network()
    net.add_population("a", 20)
    net.add_population("b", 4)
    net.connect("a", "b", weights=np.ones((20, 4)))
    net.place("b", 0)
    with pytest.raises(CapacityError, match=r"4 of its .* more distinct presynaptic neurons than .* 20 for 16 \(4 too"):
        Simulation(toy(), net)
    geometry = {"cores": 6, "neurons_per_core": 8, "inputs_per_core": 20, "synapses_per_core": 70}
    with pytest.raises(CapacityError, match=r"core 0 of chip toy: 80 synapses for 70 \(10 too many\)"):
        Simulation(toy(geometry=geometry), net)


# What bad input gets


def problems(error: pytest.ExceptionInfo[InputError]) -> str:
    return "\n".join(error.value.problems)


def test_every_problem_of_a_population_at_once() -> None:
    net = Network()
    net.add_population("a", 2)
    with pytest.raises(InputError) as error:
        net.add_population("a", 0, model="lif", treshold=-1.0, tau_mem_s="-1 ms", bias=[1.0, math.nan])
    text = problems(error)
    for part in ("there is such a population already", "size = 0", "did you mean 'threshold'?", "tau_mem_s",
                 "bias: 1 of 2 not finite"):  # fmt: skip
        assert part in text, text
    with pytest.raises(InputError, match=r"unknown spiking model 'lief'; did you mean 'lif'\?"):
        net.add_population("b", 2, model="lief")
    assert len(net.populations) == 1


def test_every_problem_of_a_connection_at_once() -> None:
    net = Network()
    net.add_population("src", 3)
    net.add_population("dst", 2)
    with pytest.raises(InputError) as error:
        net.connect("src", "dst", pre=[0, 3, -1], post=[0, 1, 2, 5], weights=[1.0, math.nan])
    text = problems(error)
    for part in ("pre: 2 of 3 out of range, first pre[1] = 3; 'src' has neurons 0 to 2", "post: 2 of 4 out of range",
                 "3 and 4 entries", "weights: 1 of 2 not finite", "shape (2,), needed is one number or (3,)"):
        assert part in text, text
    with pytest.raises(InputError) as error:
        net.connect("scr", "dts", weights=1.0)
    assert "did you mean 'src'?" in problems(error)
    assert "did you mean 'dst'?" in problems(error)
    with pytest.raises(InputError, match=r"needed is \[pre, post\] = \(3, 2\)"):
        net.connect("src", "dst", weights=np.ones((2, 3)))
    with pytest.raises(InputError, match="pre: must be whole numbers"):
        net.connect("src", "dst", pre=[0.5], post=[0], weights=1.0)
    with pytest.raises(InputError, match="post: missing"):
        net.connect("src", "dst", pre=[0], weights=1.0)
    with pytest.raises(InputError, match="another network"):
        net.connect(Network().add_population("src", 3), "dst", weights=1.0)
    assert not net.connections
    net.connect("src", "dst", weights=np.ones((3, 2)))
    with pytest.raises(InputError, match="is there already"):
        net.connect("src", "dst", weights=np.ones((3, 2)))


def test_bad_placement() -> None:
    net = Network()
    net.add_population("a", 3)
    for core, message in (([0, 1], "needed is one number or \\(3,\\)"), (-1, "negative"), (0.5, "whole numbers")):
        with pytest.raises(InputError, match=message):
            net.place("a", core)
    net.place("a", 6)
    with pytest.raises(InputError, match="core 6 is out of range; chip toy has cores 0 to 5"):
        Simulation(toy(), net)


def test_every_problem_of_a_simulation_at_once() -> None:
    net = chain()
    with pytest.raises(InputError) as error:
        Simulation(toy(timing={}), net, timing="detailled", seed=-1, dtype="float16")
    text = problems(error)
    for part in ("unknown timing 'detailled'", "(known: clocked, simple, detailed, event)", "seed = -1", "unknown dtype 'float16'"):
        assert part in text, text
    with pytest.raises(InputError, match=r"chip\.timing\.tick_s = 0"):
        Simulation(toy(timing={}), net)
    assert Simulation(toy(timing={}), net, timing="simple").run(3).counts["neuron_fired"] == 3  # no leak needs it
    with pytest.raises(InputError, match="no populations"):
        Simulation(toy(), Network())
    with pytest.raises(InputError, match=r"(?s)tick_s = 0.*chip nist-hw2 has no neurons 'if'"):
        Simulation("nist-hw2", net)
    with pytest.raises(CapabilityError, match="chip toy has no neurons 'if'"):
        Simulation(toy(capabilities={"neurons": ["lif"], "write_schemes": ["element"]}), net)
    with pytest.raises(InputError, match="did you mean \"analog-if\""):
        Simulation("analog-fi", net)
    with pytest.raises(InputError, match=r"unknown population 'scr'; did you mean 'src'\?"):
        Simulation(toy(), net, record="scr")
    with pytest.raises(InputError, match="only keys of the chip"):
        Simulation("analog-if", net, overrides={"training.learning_rate": 1.0})
    with pytest.raises(InputError, match="gives no latency_s for neuron_visited"):
        Simulation("analog-if", net, timing="simple")


def test_an_unpriced_countable_is_an_error_before_the_first_tick() -> None:
    prices = {name: price for name, price in PRICES.items() if name not in ("message", "hop_east")}
    with pytest.raises(InputError) as error:
        Simulation(toy(prices=prices), chain())
    assert len(error.value.problems) == 2
    Simulation(toy(prices=prices | {"message": (1.0, 1.0)}), chain(cores=(1, 0)))  # westwards only


def test_a_crossbar_has_one_device_for_each_pair() -> None:
    net = Network()
    net.add_population("a", 3)
    net.connect("a", "a", pre=[0, 2, 2], post=[1, 1, 1], weights=1.0)
    with pytest.raises(CapacityError, match=r"connection a -> a: 1 synapses repeat a pair .* for example \(2, 1\)"):
        Simulation("analog-if", net)


def test_what_a_simulation_does_not_know() -> None:
    sim = Simulation(toy(), chain(), record="src")
    with pytest.raises(InputError, match=r"unknown population 'dts'; did you mean 'dst'\?"):
        sim.state("dts", "v")
    with pytest.raises(InputError, match="unknown state 'w'"):
        sim.state("dst", "w")
    with pytest.raises(InputError, match=r"no connection dst -> src \(known: src -> dst\)"):
        sim.weights("dst", "src")
    with pytest.raises(InputError, match=r"shape \(2, 2\), needed is \(1, 1\)"):
        sim.set_weights("src", "dst", np.ones((2, 2)))
    with pytest.raises(InputError, match="1 of 1 not finite"):
        sim.set_weights("src", "dst", math.inf)
    with pytest.raises(InputError, match="ticks = -1"):
        sim.run(-1)
    with pytest.raises(KeyError, match="spikes of 'dst' were not recorded"):
        sim.run(1).spikes["dst"]


# The page


def test_the_page_runs_as_it_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neurosim, "Network", Network, raising=False)
    monkeypatch.setattr(neurosim, "Simulation", Simulation, raising=False)
    result = doctest.testfile(str(ROOT / "docs" / "network.md"), module_relative=False)
    assert result.attempted > 10
    assert result.failed == 0
