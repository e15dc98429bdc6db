"""The mapper: capacities of cores, the ways to fill them, and what the reports say; networks by hand and trained ones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neurosim as ns
from neurosim import models
from neurosim.chip import assign, cores, faults
from neurosim.chip.layers import NetworkPlan, plan_network
from neurosim.chip.mapper import Placement, place
from neurosim.chip.utilisation import RESOURCES, Capacities
from neurosim.errors import CapacityError, InputError
from neurosim.spec import load
from neurosim.spec.chip import Chip
from neurosim.spec.scenario import Network

models.load_builtin()

GEOMETRY = {"cores": 16, "mesh_width": 4, "neurons_per_core": 8, "inputs_per_core": 1000, "synapses_per_core": 10**6}


def chip(geometry: dict[str, Any] | None = None, faulty: list[dict[str, Any]] | None = None) -> Chip:
    table = load.load_chip_table("analog-if")
    table["geometry"] = {**GEOMETRY, **(geometry or {})}
    table["faults"] = faulty or []
    table.setdefault("astrocyte", {})["core"] = 0
    return load.validate(Chip, table, "chip")


def ring(n: int, fan: int = 4, reach: int = 3, seed: int = 0) -> ns.Network:
    """Neurons on a ring, each with synapses to near ones, numbered in a random order."""
    rng = np.random.default_rng(seed)
    pre = np.repeat(np.arange(n), fan)
    post = (pre + rng.choice([-1, 1], pre.size) * rng.integers(1, reach + 1, pre.size)) % n
    name = rng.permutation(n)
    net = ns.Network()
    net.add_population("a", n, bias=rng.uniform(0.1, 0.4, n))
    net.connect("a", "a", pre=name[pre], post=name[post], weights=0.1)
    return net


def mapped(net: ns.Network, on: Chip, mapping: str = "fill") -> np.ndarray:
    return assign.assign(net, cores.wire(net), on, faults.mesh(on), mapping)


def traffic(net: ns.Network, on: Chip, mapping: str) -> int:
    wiring, core = cores.wire(net), mapped(net, on, mapping)
    return assign.report(mapping, core, wiring, on, cores.route(core, wiring, faults.mesh(on))).traffic


def counted(net: ns.Network, core: np.ndarray, count: int) -> dict[str, list[int]]:
    """What every core holds, counted one synapse at a time."""
    held = {name: [0] * count for name in ("neurons", "inputs", "synapses", "axons_out")}
    for c in core.tolist():
        held["neurons"][c] += 1
    rows, axons = set(), set()
    for connection in net.connections:
        for i, j in zip(connection.pre.tolist(), connection.post.tolist(), strict=True):
            held["synapses"][core[j]] += 1
            rows.add((i, int(core[j])))
            axons.add((i, int(core[j])))
    for _, c in rows:
        held["inputs"][c] += 1
    for i, _ in axons:
        held["axons_out"][core[i]] += 1
    return held


LIMITS = st.fixed_dictionaries({
    "neurons_per_core": st.integers(3, 9), "inputs_per_core": st.integers(8, 30), "synapses_per_core": st.integers(12, 60),
})  # fmt: skip


@pytest.mark.parametrize("mapping", assign.MAPPINGS)
@given(LIMITS, st.integers(0, 2**20))
@settings(max_examples=25, deadline=None)
def test_no_core_holds_more_than_it_can(mapping: str, limits: dict[str, int], seed: int) -> None:
    net, on = ring(40, seed=seed), chip({**limits, "cores": 30, "axons_out_per_core": 60})
    try:
        core = mapped(net, on, mapping)
    except CapacityError:
        return
    held = counted(net, core, 30)
    for name, used in assign.use(core, cores.wire(net), Capacities.of(on)).items():
        if name in held:
            assert used.tolist() == held[name], name
    for name, limit in (
        ("neurons", limits["neurons_per_core"]), ("inputs", limits["inputs_per_core"]),
        ("synapses", limits["synapses_per_core"]), ("axons_out", 60),
    ):  # fmt: skip
        assert max(held[name]) <= limit


def test_fill_goes_in_order() -> None:
    """The first core that does not take the next neuron is full: an independent filler gives the same."""
    net = ring(60, fan=6, reach=20)
    limits = {"neurons_per_core": 8, "inputs_per_core": 28, "synapses_per_core": 40}
    core = mapped(net, chip(limits))
    connection = net.connections[0]
    inputs = [set(connection.pre[connection.post == j].tolist()) for j in range(60)]
    synapses = [int((connection.post == j).sum()) for j in range(60)]
    expected, here, rows, held, count = [], 0, set(), 0, 0
    for j in range(60):
        if count + 1 > 8 or len(rows | inputs[j]) > 28 or held + synapses[j] > 40:
            here, rows, held, count = here + 1, set(), 0, 0
        rows, held, count = rows | inputs[j], held + synapses[j], count + 1
        expected.append(here)
    assert core.tolist() == expected
    assert core.max() > 7  # not just neurons were scarce


def test_round_robin_deals_out() -> None:
    net = ring(40)
    assert mapped(net, chip(), "round-robin").tolist() == [k % 16 for k in range(40)]
    broken = chip(faulty=[{"dead_cores": ["0", "3..5"]}])
    living = [k for k in range(16) if k not in (0, 3, 4, 5)]
    assert mapped(net, broken, "round-robin").tolist() == [living[k % 12] for k in range(40)]
    net.place("a", np.zeros(40, int) + np.arange(40) // 8)
    assert mapped(net, chip(), "round-robin").tolist() == (np.arange(40) // 8).tolist()


def test_traffic_lowers_hops_on_a_shuffled_local_network() -> None:
    net, on = ring(1000, fan=10, reach=10), chip({"cores": 128, "mesh_width": 16, "neurons_per_core": 10})
    filled, better = traffic(net, on, "fill"), traffic(net, on, "traffic")
    assert better < filled / 10, (filled, better)
    np.testing.assert_array_equal(mapped(net, on, "traffic"), mapped(net, on, "traffic"))


@given(st.integers(0, 2**20), st.booleans())
@settings(max_examples=15, deadline=None)
def test_traffic_is_never_worse_than_fill(seed: int, local: bool) -> None:
    net, on = ring(50, reach=3 if local else 25, seed=seed), chip({"ranges": [{"cores": "2..4", "neurons": 3}]})
    assert traffic(net, on, "traffic") <= traffic(net, on, "fill")


def test_traffic_leaves_what_was_placed_by_hand() -> None:
    net = ring(60)
    net.add_population("b", 6)
    net.connect("b", "a", pre=np.arange(6), post=np.arange(6), weights=1.0)
    net.place("b", [9, 9, 2, 2, 15, 15])
    core = mapped(net, chip(), "traffic")
    assert core[60:].tolist() == [9, 9, 2, 2, 15, 15]
    assert max(counted(net, core, 16)["neurons"]) <= 8


def test_dead_cores_hold_nothing_and_the_hand_may_not_use_them() -> None:
    on, net = chip(faulty=[{"dead_cores": ["1", "4..6"]}]), ring(60)
    for mapping in assign.MAPPINGS:
        assert not np.isin(mapped(net, on, mapping), [1, 4, 5, 6]).any()
    net.place("a", 5)
    with pytest.raises(InputError, match="place 'a': core 5 of chip analog-if is dead"):
        mapped(net, on)


def test_ranges_have_capacities_of_their_own() -> None:
    parts = [{"cores": "0..1", "neurons": 0}, {"cores": "3", "neurons": 20}]
    core = mapped(ring(30), chip({"ranges": parts}))
    np.testing.assert_array_equal(np.bincount(core), [0, 0, 8, 20, 2])
    two = mapped(ring(40), chip({"ranges": parts, "cores": 4, "chips": 2}))  # of every chip
    np.testing.assert_array_equal(np.bincount(two), [0, 0, 8, 20, 0, 0, 8, 4])
    capacities = Capacities.of(chip({"ranges": [{"cores": "2", "neurons": 4, "inputs": 5}], "synapses_per_core": None}))
    assert capacities.core(2)["synapses"] == 20
    assert capacities.core(3)["synapses"] == 8000


def test_memory_is_shared_by_weights_and_states() -> None:
    """10 neurons of 4 B with 2 synapses of 1.5 B each on cores of 22 B: three a core."""
    net = ns.Network()
    net.add_population("a", 10)
    net.connect("a", "a", pre=np.arange(20) // 2, post=(np.arange(20) * 3 + np.arange(20) // 10) % 10, weights=1.0)
    assert np.bincount(net.connections[0].post).tolist() == [2] * 10
    on = chip({"memory_B_per_core": 22, "synapse_B": 1.5, "neuron_B": 4.0})
    assert np.bincount(mapped(net, on)).tolist() == [3, 3, 3, 1]
    net.place("a", 2)
    with pytest.raises(CapacityError, match=r"core 2 of chip analog-if: 70 bytes of memory for 22 \(48 too many\)"):
        mapped(net, on)
    with pytest.raises(CapacityError, match=r"10 of its neurons have more bytes of memory .* has 7 for 6 \(1 too many"):
        mapped(net, chip({"memory_B_per_core": 6, "synapse_B": 1.5, "neuron_B": 4.0}))


def test_axons_out_are_kept_to() -> None:
    """Each neuron of 'a' sends to both cores of 'b'; a core may send 8 axons, so it holds 4 of them instead of 8."""
    net = ns.Network()
    net.add_population("a", 16)
    net.add_population("b", 12)
    net.connect("a", "b", weights=np.ones((16, 12)))
    net.place("b", [14] * 6 + [15] * 6)
    assert np.bincount(mapped(net, chip())[:16]).tolist() == [8, 8]
    assert np.bincount(mapped(net, chip({"axons_out_per_core": 8}))[:16]).tolist() == [4, 4, 4, 4]
    net.place("a", 0)
    with pytest.raises(CapacityError, match=r"core 0 .*: 32 axons out .* for 8 \(24 too many\)"):
        mapped(net, chip({"axons_out_per_core": 8, "neurons_per_core": 16}))


def test_what_does_not_fit() -> None:
    with pytest.raises(CapacityError, match=r"17 cores are needed, it has 16 \(1 missing\); 2 neurons found no place"):
        mapped(ring(130), chip())
    with pytest.raises(CapacityError, match=r"it has 14 that are not dead \(2 are\) \(1 missing\); 2 neurons found no"):
        mapped(ring(114), chip(faulty=[{"dead_cores": ["3", "9"]}]))
    with pytest.raises(CapacityError, match="5 neurons found no place"):
        mapped(ring(133), chip(), "round-robin")
    with pytest.raises(InputError, match=r"unknown mapping 'trafic'; did you mean 'traffic'\?"):
        mapped(ring(10), chip(), "trafic")
    net = ring(10)
    net.place("a", 16)
    with pytest.raises(InputError, match="core 16 is out of range; chip analog-if has cores 0 to 15"):
        mapped(net, chip())


def test_permuting_cores_leaves_totals_unchanged() -> None:
    """On a mesh without direction to its prices: the same network mirrored, and with tiles of equal distance swapped."""
    net = ring(60, reach=20)
    home = np.arange(60) // 8
    mirrored = np.arange(16).reshape(4, 4)[::-1, ::-1].reshape(-1)
    outputs = []
    for placed in (home, mirrored[home]):
        net.place("a", placed)
        outputs.append(ns.Simulation(chip(), net, dtype="float64").run(50))
    one, two = outputs
    assert one.chip_time_s == two.chip_time_s
    hops = ("hop_east", "hop_west", "hop_north", "hop_south")
    assert sum(one.counts[name] for name in hops) == sum(two.counts[name] for name in hops) > 0
    assert one.counts["hop_east"] == two.counts["hop_west"]
    for name, count in one.counts.items():
        if name not in hops:
            assert count == two.counts[name], name
    one_by_core, two_by_core = one.counts_by_core["synaptic_event"], two.counts_by_core["synaptic_event"]
    np.testing.assert_array_equal(one_by_core, two_by_core[mirrored])


def test_the_report_agrees_with_the_run() -> None:
    net, on = ring(60, reach=20), chip()
    for mapping in assign.MAPPINGS:
        sim = ns.Simulation(on, net, mapping=mapping)
        report, out = sim.mapping, sim.run(40)
        fired = np.zeros(60, np.int64)
        sim = ns.Simulation(on, net, mapping=mapping, record="a")
        np.add.at(fired, sim.run(40).spikes["a"].neuron, 1)
        assert fired.sum() == out.counts["neuron_fired"] > 0
        assert (fired * report.messages).sum() == out.counts["message"]
        for k, name in enumerate(("hop_east", "hop_west", "hop_north", "hop_south")):
            assert (fired * report.hops[:, k]).sum() == out.counts[name]
        np.testing.assert_array_equal(report.core, sim.cores("a"))
        assert report.utilisation.cores_used == np.unique(report.core).size
        assert report.traffic == report.hops.sum()
        assert report.hops_per_message == pytest.approx(report.traffic / report.messages.sum())
        share = report.utilisation.share("neurons")
        np.testing.assert_allclose(share, np.bincount(report.core, minlength=16) / 8)
        for part in (f"{report.utilisation.cores_used} of 16 cores", "neurons: 60 in all", f"mapping {mapping}"):
            assert part in report.text()


# Trained networks


def plan(*sizes: int, inputs: int) -> NetworkPlan:
    layers = [{"type": "dense", "name": f"d{k}", "size": n, "neuron": "relu"} for k, n in enumerate(sizes)]
    return plan_network(Network.model_validate({"layers": layers}), (inputs,), sizes[-1])


def convolution(mapping: str, size: int = 8) -> NetworkPlan:
    layers = [
        {"type": "conv2d", "name": "c", "channels": 5, "kernel": 3, "mapping": mapping, "neuron": "relu"},
        {"type": "dense", "name": "d", "size": 3, "neuron": "relu"},
    ]
    return plan_network(Network.model_validate({"layers": layers}), (size, size, 1), 3)


CROSSBAR = {"cores": 40, "neurons_per_core": 8, "inputs_per_core": 10, "synapses_per_core": None}


def everything_once(placed: Placement, laid_out: NetworkPlan) -> None:
    """Every device and every neuron stands on exactly one core."""
    used = sorted({tile.core for tile in placed.tiles})
    devices = np.sum([placed.parameters_on(laid_out, {core}) for core in used], axis=0)
    np.testing.assert_array_equal(devices, np.ones(laid_out.parameters))
    neurons = np.sum([placed.neurons_on(laid_out, {core}) for core in used], axis=0)
    expected = np.zeros(laid_out.activations)
    for layer in laid_out.trainable:
        expected[layer.act : layer.act + layer.n] = 1
    np.testing.assert_array_equal(neurons, expected)
    assert placed.utilisation is not None
    held = placed.utilisation.used
    for core in used:
        assert held["synapses"][core] == placed.parameters_on(laid_out, {core}).sum()
        assert held["neurons"][core] == placed.neurons_on(laid_out, {core}).sum()
    for name in RESOURCES:
        assert (held[name] <= placed.utilisation.capacities.limits[name]).all()


@pytest.mark.parametrize("extra", [
    {}, {"ranges": [{"cores": "0..3", "neurons": 3}, {"cores": "9", "neurons": 30, "inputs": 30}]},
    {"memory_B_per_core": 100, "synapse_B": 2.0, "neuron_B": 9.0}, {"cores_per_tile": 4, "chips": 2, "cores": 20},
])  # fmt: skip
def test_every_device_and_neuron_stands_once(extra: dict[str, Any]) -> None:
    on = chip({**CROSSBAR, **extra, "mesh_width": 5})
    for laid_out in (plan(13, 4, inputs=23), convolution("serial", 6)):
        everything_once(place(laid_out, on), laid_out)
    everything_once(place(convolution("replicated", 4), on), convolution("replicated", 4))


def test_a_trained_network_passes_dead_cores_over() -> None:
    laid_out, on = plan(13, 4, inputs=23), chip({**CROSSBAR, "mesh_width": 8})
    whole = place(laid_out, on)
    broken = place(laid_out, chip({**CROSSBAR, "mesh_width": 8}, [{"dead_cores": ["0", "2..4"]}]))
    living = [core for core in range(40) if core not in (0, 2, 3, 4)]
    assert [living[tile.core] for tile in whole.tiles] == [tile.core for tile in broken.tiles]
    later = place(laid_out, chip({**CROSSBAR, "mesh_width": 8}, [{"tick": 1, "dead_cores": ["0"]}]))
    assert later.tiles == whole.tiles  # it still works when the network is placed
    with pytest.raises(CapacityError, match=r"7 cores are needed, it has 6 that are not dead \(34 are\) \(1 missing\)"):
        place(laid_out, chip({**CROSSBAR, "mesh_width": 8}, [{"dead_cores": ["0..6", "13..39"]}]))


def test_ways_between_layers_cross_chips_and_go_around_dead_links() -> None:
    laid_out = plan(8, 8, inputs=9)  # one core each
    near = place(laid_out, chip({**CROSSBAR, "mesh_width": 8}))
    assert [tile.core for tile in near.tiles] == [0, 1]
    assert (near.hops, near.links) == (((1, 0),), ((1, 0, 0, 0, 0),))
    over = place(laid_out, chip({**CROSSBAR, "cores": 1, "chips": 2, "mesh_width": 1}))
    assert (over.hops, over.links) == (((1, 0),), ((0, 0, 0, 0, 1),))
    around = place(laid_out, chip({**CROSSBAR, "mesh_width": 8}, [{"dead_links": ["0,0-1,0"]}]))
    assert around.links == ((1, 0, 1, 1, 0),)
    together = place(laid_out, chip({**CROSSBAR, "mesh_width": 8, "cores_per_tile": 4}))
    assert together.links == ((0, 0, 0, 0, 0),)


def test_what_a_trained_network_lacks() -> None:
    with pytest.raises(CapacityError, match=r"7 cores are needed, it has 5 \(2 missing\)"):
        place(plan(13, 4, inputs=23), chip({**CROSSBAR, "cores": 5}))
    with pytest.raises(CapacityError, match=r"network.layers.d0: a core .* cannot hold one neuron with one synapse"):
        place(plan(3, inputs=2), chip({**CROSSBAR, "memory_B_per_core": 3, "synapse_B": 2.0, "neuron_B": 2.0}))
    with pytest.raises(CapacityError, match=r"core 0 of chip analog-if: 16 axons out .* for 12 \(4 too many\)"):
        place(plan(8, 9, inputs=9), chip({**CROSSBAR, "axons_out_per_core": 12}))


def test_bytes_are_what_a_microcontroller_runs_out_of() -> None:
    small = {"cores": 1, "neurons_per_core": 10**6, "inputs_per_core": 10**6, "synapses_per_core": 10**9}
    memory = {"synapse_B": 1.0, "neuron_B": 4.0}
    laid_out = plan(50, 10, inputs=100)  # 5,560 weights and biases, 60 neurons: 5,800 bytes
    placed = place(laid_out, chip({**small, **memory, "memory_B_per_core": 5800}))
    assert placed.utilisation is not None
    assert placed.utilisation.used["memory_B"].tolist() == [5800]
    with pytest.raises(CapacityError, match=r"bytes of memory: 5800 needed, 5799 there"):
        place(laid_out, chip({**small, **memory, "memory_B_per_core": 5799}))
