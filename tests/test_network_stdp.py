"""Synapses of ``ns.Network`` that learn: the window pair by pair, the order of things, bounds, counts, the same bits."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import neurosim as ns
from neurosim.errors import InputError
from neurosim.kernels import stdp
from neurosim.models.plasticity import stdp as additive
from neurosim.models.plasticity import stdp_soft as soft

TICK_S = 1e-3
CHIP: dict[str, Any] = {
    "chip.capabilities.neurons": ["if", "lif", "poisson"], "chip.timing.tick_s": TICK_S,
    "chip.geometry.cores": 4, "chip.geometry.mesh_width": 4, "chip.geometry.mesh_height": 1,
    "chip.geometry.cores_per_tile": 1, "chip.geometry.neurons_per_core": 4096, "chip.geometry.inputs_per_core": 4096,
    "chip.geometry.synapses_per_core": 1 << 20,
}  # fmt: skip
RULE = ns.Stdp(a_plus=0.01, a_minus=0.012, tau_plus_s=17e-3, tau_minus_s=34e-3, w_min=0.0, w_max=1.0)
TOLD = {"kind": "published", "source": "this test"}
Array = npt.NDArray[Any]


def simulate(net: ns.Network, **more: Any) -> ns.Simulation:
    return ns.Simulation(
        "spinnaker2", net, ideal=True, overrides=CHIP, **{"timing": "clocked", "dtype": "float64", **more}
    )


def pair(
    rule: ns.Stdp | ns.SoftStdp,
    pre: list[int],
    post: list[int],
    weight: float = 0.5,
    delay: int = 1,
    sparse: bool = False,
) -> float:
    """The weight after these spikes of two neurons that fire only when they are told to (by a teacher, a tick later)."""
    net = ns.Network()
    net.add_population("src", 1, model="input")
    net.add_population("teacher", 1, model="input")
    net.add_population("dst", 1, model="if", threshold=100.0, reset="hard")
    lists: dict[str, Any] = {"pre": [0], "post": [0]} if sparse else {}
    net.connect(
        "src", "dst", weights=np.array([weight]) if sparse else [[weight]], delay_ticks=delay, plasticity=rule, **lists
    )
    net.connect("teacher", "dst", weights=[[1000.0]])
    sim = simulate(net)
    last = max([*pre, *post]) + delay + 2
    given = {"src": (np.array(pre), np.zeros(len(pre), int)), "teacher": (np.array(post) - 1, np.zeros(len(post), int))}
    out = sim.run(last, events=given, record="dst")
    assert out.spikes["dst"].tick.tolist() == sorted(post)
    return float(sim.weights("src", "dst").reshape(-1)[0])


# --- the window ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [1, 4])
def test_window_pair_by_pair_is_the_kernel(delay: int) -> None:
    """dw(D) for every distance from -60 to 60 ticks, D counted from the arrival; all pairs in one network."""
    distances = np.arange(-60, 61)
    n = distances.size
    net = ns.Network()
    for name in ("src", "teacher"):
        net.add_population(name, n, model="input")
    net.add_population("dst", n, model="if", threshold=100.0, reset="hard")
    every = np.arange(n)
    net.connect("src", "dst", pre=every, post=every, weights=0.5, delay_ticks=delay, plasticity=RULE)
    net.connect("teacher", "dst", pre=every, post=every, weights=1000.0)
    sim = simulate(net)
    arrival = np.full(n, 100)
    sim.run(200, events={"src": (arrival - delay, every), "teacher": (arrival + distances - 1, every)})
    seconds = distances * TICK_S
    expected = np.where(distances >= 0, 0.01 * np.exp(-seconds / 17e-3), -0.012 * np.exp(seconds / 34e-3))
    np.testing.assert_allclose(sim.weights("src", "dst") - 0.5, expected, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(("pairing", "pre", "post"), [("all", 3, 3), ("nearest", 3, 3), ("all", 1, 4)])
def test_all_pairs_or_the_nearest(pairing: str, pre: int, post: int, sparse: bool) -> None:
    """Trains against the sum over pairs, written out spike by spike."""
    rng = np.random.default_rng(pre + post)
    arrive, fire = (np.sort(rng.choice(np.arange(5, 60), count, replace=False)) for count in (pre, post))
    rule = RULE.model_copy(update={"pairing": pairing})
    weight = 0.5
    for tick, side in sorted([(int(t), 0) for t in arrive] + [(int(t), 1) for t in fire]):
        if side == 0:
            ages = [tick - int(t) for t in fire if t < tick]
            weight -= 0.012 * sum(math.exp(-age * TICK_S / 34e-3) for age in _chosen(ages, pairing))
        else:
            ages = [tick - int(t) for t in arrive if t <= tick]
            weight += 0.01 * sum(math.exp(-age * TICK_S / 17e-3) for age in _chosen(ages, pairing))
    found = pair(rule, (arrive - 1).tolist(), fire.tolist(), sparse=sparse)
    assert found == pytest.approx(weight, rel=1e-12)
    assert found != 0.5


def _chosen(ages: list[int], pairing: str) -> list[int]:
    return ages if pairing == "all" else [min(ages)] if ages else []


def test_spikes_of_one_tick_count_as_pre_before_post() -> None:
    assert pair(RULE, [10], [11]) == pytest.approx(0.51, rel=1e-12)  # it arrives in tick 11
    assert pair(RULE, [11], [11]) == pytest.approx(0.5 - 0.012 * math.exp(-1 / 34), rel=1e-12)


def test_soft_bounds_take_a_share_of_the_room() -> None:
    rule = ns.SoftStdp(a_plus=0.3, a_minus=0.2, w_min=-1.0, w_max=3.0)
    assert pair(rule, [10], [11], weight=1.0) == pytest.approx(1.0 + 0.3 * 2.0, rel=1e-12)
    assert pair(rule, [11], [11], weight=1.0) == pytest.approx(1.0 - 0.2 * math.exp(-1 / 20) * 2.0, rel=1e-12)


def test_a_spike_delivers_the_weight_before_its_own_change() -> None:
    """The neuron fired in tick 11; what arrives in 12 adds the weight as it was, and then the weight falls."""
    net = ns.Network()
    net.add_population("src", 1, model="input")
    net.add_population("teacher", 1, model="input")
    net.add_population("dst", 1, model="if", threshold=100.0, reset="hard")
    net.connect("src", "dst", weights=[[0.5]], plasticity=RULE)
    net.connect("teacher", "dst", weights=[[1000.0]])
    sim = simulate(net)
    sim.run(13, events={"src": ([11], [0]), "teacher": ([10], [0])})
    assert sim.state("dst", "v")[0] == 0.5
    assert sim.weights("src", "dst")[0, 0] == pytest.approx(0.5 - 0.012 * math.exp(-1 / 34))


# --- networks --------------------------------------------------------------------------------------------------------


def recurrent(
    sparse: bool = False, rule: Any = RULE, seed: int = 3, cores: Array | int | None = None, **more: Any
) -> ns.Simulation:
    """60 Poisson inputs onto 40 neurons, and those onto themselves, both learning; one connection that does not."""
    rng = np.random.default_rng(seed)
    net = ns.Network()
    net.add_population("src", 60, model="poisson", bias=40.0)
    net.add_population("dst", 40, model="lif", threshold=2.0, reset="hard", bias=0.05)
    net.add_population("out", 20, model="lif", threshold=1.0, reset="hard")
    dense = rng.uniform(0.0, 0.6, (60, 40))
    if sparse:
        pre, post = np.divmod(np.random.default_rng(9).permutation(dense.size), 40)
        net.connect("src", "dst", pre=pre, post=post, weights=dense[pre, post], plasticity=rule)
    else:
        net.connect("src", "dst", weights=dense, plasticity=rule)
    pre, post = np.nonzero(rng.random((40, 40)) < 0.3)
    net.connect("dst", "dst", pre=pre, post=post, weights=0.1, delay_ticks=3, plasticity=rule)
    net.connect("dst", "out", weights=rng.uniform(0.0, 0.2, (40, 20)))
    if cores is not None:
        net.place("dst", cores)
    return simulate(net, **more)


def state(sim: ns.Simulation) -> tuple[bytes, ...]:
    """Every bit of what was learned and of the membranes."""
    weights = [sim.weights(*ends) for ends in (("src", "dst"), ("dst", "dst"))]
    return tuple(each.tobytes() for each in (*weights, sim.state("dst", "v"), sim.state("out", "v")))


@pytest.fixture(scope="module")
def whole() -> dict[str, Any]:
    """The run that others are held against, for each float type."""
    found = {}
    for dtype in ("float32", "float64"):
        sim = recurrent(dtype=dtype)
        out = sim.run(600, record=["src", "dst"])
        found[dtype] = (state(sim), dict(out.counts), out, sim)
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_bits_split_into_calls(whole: dict[str, Any], dtype: str) -> None:
    sim = recurrent(dtype=dtype)
    counts: dict[str, int] = {}
    for ticks in (1, 2, 7, 90, 250, 250):
        for name, count in sim.run(ticks).counts.items():
            counts[name] = counts.get(name, 0) + count
    assert state(sim) == whole[dtype][0]
    assert counts == whole[dtype][1]


@pytest.mark.parametrize("threads", [2, 3])
def test_same_bits_for_any_number_of_threads(whole: dict[str, Any], threads: int) -> None:
    sim = recurrent(dtype="float32", threads=threads)
    out = sim.run(600)
    assert state(sim) == whole["float32"][0]
    assert dict(out.counts) == whole["float32"][1]


def test_same_bits_wherever_neurons_stand(whole: dict[str, Any]) -> None:
    sim = recurrent(dtype="float32", cores=np.arange(40) % 3 + 1, threads=2)
    sim.run(600)
    assert state(sim) == whole["float32"][0]


def test_lists_give_the_bits_of_the_matrix(whole: dict[str, Any]) -> None:
    """A connection of all pairs, given as lists in random order, takes the sparse loops."""
    sim = recurrent(sparse=True, dtype="float32")
    out = sim.run(600)
    matrix = np.zeros((60, 40), np.float32)
    pre, post = np.divmod(np.random.default_rng(9).permutation(2400), 40)
    matrix[pre, post] = sim.weights("src", "dst")
    assert sim._memory.plastic.tables[0][0, stdp_column("DENSE")] == 1  # sorted by neuron, all pairs are there
    assert out.counts["synapse_updated"] == whole["float32"][1]["synapse_updated"]
    assert matrix.tobytes() == whole["float32"][0][0]
    assert state(sim)[1:] == whole["float32"][0][1:]


def stdp_column(name: str) -> int:
    from neurosim.engine.network_plasticity import TABLE

    return TABLE.index(name)


def test_weights_move_and_stay_within_bounds() -> None:
    rule = RULE.model_copy(update={"a_plus": 0.05, "a_minus": 0.03, "w_min": 0.05, "w_max": 0.62})
    rng = np.random.default_rng(0)
    net = ns.Network()
    net.add_population("src", 60, model="poisson", bias=40.0)
    net.add_population("dst", 40, model="lif", threshold=2.0, reset="hard")
    before = rng.uniform(0.05, 0.62, (60, 40))
    net.connect("src", "dst", weights=before, plasticity=rule)
    sim = simulate(net, dtype="float32")
    for _ in range(5):
        sim.run(100)
        weights = sim.weights("src", "dst")
        assert weights.min() >= np.float32(0.05) and weights.max() <= np.float32(0.62)
    assert np.isclose(weights, 0.05).any() and np.isclose(weights, 0.62).any()
    assert np.mean(np.abs(weights - before) > 1e-3) > 0.9


def test_the_loops_are_those_of_plain_python(whole: dict[str, Any]) -> None:
    """The whole network again in NumPy, spike by spike, from the spikes that the machine recorded."""
    _, _, out, sim = whole["float64"]
    rng = np.random.default_rng(3)
    w = rng.uniform(0.0, 0.6, (60, 40))
    x, y = np.zeros(60), np.zeros(40)
    for tick in range(600):
        x *= math.exp(-TICK_S / 17e-3)
        y *= math.exp(-TICK_S / 34e-3)
        arrived = out.spikes["src"].neuron[out.spikes["src"].tick == tick - 1]
        w[arrived] = np.clip(w[arrived] - 0.012 * y, 0.0, 1.0)
        x[arrived] += 1.0
        fired = out.spikes["dst"].neuron[out.spikes["dst"].tick == tick]
        w[:, fired] = np.clip(w[:, fired] + 0.01 * x[:, None], 0.0, 1.0)
        y[fired] += 1.0
    np.testing.assert_allclose(sim.weights("src", "dst"), w, rtol=1e-10)


def test_every_change_is_counted_and_priced(whole: dict[str, Any]) -> None:
    _, counts, out, sim = whole["float64"]
    synapses = sim.weights("dst", "dst").size
    into = np.bincount(sim.network.connection("dst", "dst").post, minlength=40)
    out_of = np.bincount(sim.network.connection("dst", "dst").pre, minlength=40)
    assert into.sum() == synapses
    fired = np.bincount(out.spikes["dst"].neuron, minlength=40)
    expected = out.spikes["src"].tick.size * 40 + int(fired @ (60 + into + out_of))
    assert counts["synapse_updated"] == expected
    price = sim.prices.energy_J[sim.prices.index("synapse_updated")]
    assert out.energy_by_action_J["synapse_updated"] == pytest.approx(expected * price, rel=1e-12)
    assert price > 0.0


def test_learning_takes_its_time_after_all_else() -> None:
    """``simple``: every tick is longer by the changes of the busiest core; what happens is the same."""
    times, states = [], []
    for latency in ("0 ns", "3 ns"):
        rng = np.random.default_rng(3)
        net = ns.Network()
        net.add_population("src", 30, model="poisson", bias=40.0)
        net.add_population("dst", 20, model="lif", threshold=1.0, reset="hard")
        net.connect("src", "dst", weights=rng.uniform(0.0, 0.6, (30, 20)), plasticity=RULE)
        net.place("src", 0)
        net.place("dst", np.arange(20) % 2 + 1)
        sim = ns.Simulation(
            "spinnaker2", net, ideal=True, timing="simple",
            overrides={**CHIP, "chip.prices.synapse_updated": {"energy_J": 1e-12, "latency_s": latency, **TOLD}},
        )  # fmt: skip
        out = sim.run(200, record=["src", "dst"], record_timing=True)
        times.append(out.timing.time_fs)
        states.append((sim.weights("src", "dst").tobytes(), out.spikes["dst"].tick.tobytes()))
    assert states[0] == states[1]
    changes = np.zeros((200, 2), np.int64)
    np.add.at(changes, out.spikes["src"].tick, 10)
    np.add.at(changes, (out.spikes["dst"].tick, out.spikes["dst"].neuron % 2), 30)
    assert changes.max() > 30
    np.testing.assert_array_equal(times[1] - times[0], 3_000_000 * changes.max(axis=1))


def test_spikes_lost_at_a_dead_core_change_nothing() -> None:
    sim = recurrent(dtype="float32", cores=np.repeat([1, 2], 20))
    sim.run(100)
    sim.fail(dead_cores=[2])
    before = sim.weights("src", "dst")
    counts = sim.run(200).counts
    after = sim.weights("src", "dst")
    np.testing.assert_array_equal(before[:, 20:], after[:, 20:])
    assert (before[:, :20] != after[:, :20]).mean() > 0.9
    assert counts["synapse_updated"] > 0
    again = recurrent(dtype="float32", cores=np.repeat([1, 2], 20), threads=2)
    again.run(60)
    again.run(40)
    again.fail(dead_cores=[2])
    again.run(200)
    assert state(again) == state(sim)


def test_weights_can_be_set_between_runs() -> None:
    sim = recurrent(dtype="float32")
    sim.run(50)
    wanted = np.full((60, 40), 0.25)
    sim.set_weights("src", "dst", wanted)
    np.testing.assert_array_equal(sim.weights("src", "dst"), wanted.astype(np.float32))
    sim.run(50)
    assert (sim.weights("src", "dst") != np.float32(0.25)).any()
    with pytest.raises(InputError, match="lie outside w_min = 0 to w_max = 1"):
        sim.set_weights("src", "dst", 1.5)


def test_learning_finds_inputs_that_fire_together() -> None:
    """Half of the inputs share their spikes; the neuron comes to listen to those (Song, Miller and Abbott, 2000)."""
    rng = np.random.default_rng(5)
    ticks, n = 20_000, 100
    common = rng.random(ticks) < 0.02
    fires = rng.random((ticks, n)) < 0.02
    fires[:, : n // 2] = np.where(rng.random((ticks, n // 2)) < 0.5, common[:, None], fires[:, : n // 2])
    net = ns.Network()
    net.add_population("src", n, model="input")
    net.add_population("dst", 1, model="lif", threshold=2.0, reset="hard", tau_mem_s=20e-3)
    rule = ns.Stdp(a_plus=0.005, a_minus=0.0065, w_max=0.2)
    net.connect("src", "dst", weights=np.full((n, 1), 0.1), plasticity=rule)
    sim = simulate(net)
    sim.run(ticks, events={"src": np.nonzero(fires)})
    weights = sim.weights("src", "dst")[:, 0]
    assert weights[: n // 2].mean() > 0.15
    assert weights[n // 2 :].mean() < 0.05


# --- the rules and loops by themselves -------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [additive, soft])
def test_rules_stay_in_float32_and_within_bounds(rule: Any) -> None:
    from neurosim.kernels.wrap import kernel

    numbers = tuple(np.float32(each) for each in (0.3, 0.4, -0.5, 0.75))
    for hook, w, x, y in itertools.product(
        ("on_pre", "on_post"), (-0.5, 0.1, 0.75), (0.0, 1.5, 30.0), (0.0, 0.7, 30.0)
    ):
        compiled = kernel(getattr(rule, hook))
        found = compiled(np.float32(w), np.float32(x), np.float32(y), *numbers)
        assert -0.5 <= found <= 0.75
        assert found == pytest.approx(getattr(rule, hook)(w, x, y, 0.3, 0.4, -0.5, 0.75), rel=1e-6)
        (signature,) = compiled.nopython_signatures  # type: ignore[attr-defined]
        assert str(signature.return_type) == "float32"


def test_a_trace_that_has_faded_is_nothing() -> None:
    trace = np.array([1.0, 1e-30, 2e-30], np.float32)
    stdp.fade(trace, np.float32(0.75))
    assert trace.tolist() == [0.75, 0.0, np.float32(1.5e-30)]


def test_sparse_loops_are_the_dense_ones() -> None:
    """All pairs, once as rows and once as lists."""
    rng = np.random.default_rng(1)
    n, m = 37, 11
    c = tuple(np.float32(each) for each in (0.1, 0.12, 0.0, 1.0))
    w = rng.random((m, n)).astype(np.float32)
    rows = np.arange(m + 1, dtype=np.uint64) * np.uint64(n)
    outs = np.arange(n + 1, dtype=np.uint64) * np.uint64(m)
    target = np.tile(np.arange(m, dtype=np.uint32), n)
    at = target * np.uint32(n) + np.repeat(np.arange(n, dtype=np.uint32), m)
    source = np.tile(np.arange(n, dtype=np.uint32), m)
    results = []
    for sparse in (False, True):
        held, onto = w.reshape(-1).copy(), np.full(m, -0.0, np.float32)
        x, y = (np.linspace(0.0, 2.0, size).astype(np.float32) for size in (n, m))
        arrived, fired = np.array([3, 7, 8, 30], np.uint32), np.array([0, 4, 10], np.uint32)
        if sparse:
            stdp.arrive_sparse(arrived, 4, outs, at, target, held, x, y, onto, c)
            stdp.fire_sparse(fired, 3, rows, source, held, x, y, c)
        else:
            stdp.arrive_dense(arrived, 4, n, 0, m, held, x, y, onto, c)
            stdp.fire_dense(fired, 3, n, 0, held, x, y, c)
        results.append((held.tobytes(), onto.tobytes()))
    assert results[0] == results[1]


# --- bad input -------------------------------------------------------------------------------------------------------


def test_everything_wrong_is_told_at_once() -> None:
    net = ns.Network()
    net.add_population("src", 3, model="input")
    net.add_population("dst", 2, model="if")
    with pytest.raises(InputError) as told:
        net.connect("src", "dst", weights=np.full((3, 2), 2.0), plasticity="stdp", transmission=0.5,
                    delay_ticks=[[1, 2], [1, 1], [1, 1]])  # fmt: skip
    text = str(told.value)
    for part in ("6 of 6 lie outside", "one delay for all", "transmission = 0.5"):
        assert part in text
    for given, part in (
        ("stpd", "did you mean 'stdp'"),
        ({"model": "stdp", "tau_plus_s": -1.0}, "tau_plus_s"),
        ({"model": "stdp", "w_min": 1.0, "w_max": 0.5}, "w_min must lie below w_max"),
        ({"a_plus": 1.0}, "key 'model'"),
        (7, "plasticity = 7"),
    ):
        with pytest.raises(InputError, match=part):
            net.connect("src", "dst", weights=0.5 * np.ones((3, 2)), plasticity=given)  # type: ignore[arg-type]
    assert net.connections == ()


def test_a_table_is_a_rule() -> None:
    net = ns.Network()
    net.add_population("src", 3, model="input")
    net.add_population("dst", 2, model="if")
    connection = net.connect(
        "src", "dst", weights=0.5 * np.ones((3, 2)), plasticity={"model": "stdp", "tau_plus_s": "10 ms"}
    )
    assert connection.plasticity == ns.Stdp(tau_plus_s=0.01)


def test_devices_that_spikes_cannot_change_are_refused() -> None:
    net = ns.Network()
    net.add_population("src", 3, model="input")
    net.add_population("dst", 2, model="if")
    net.connect("src", "dst", weights=0.5 * np.ones((3, 2)), plasticity="stdp")
    with pytest.raises(InputError, match="use ideal=True"):
        ns.Simulation("spinnaker2", net, timing="clocked", overrides=CHIP)
    sim = simulate(net)
    with pytest.raises(InputError, match="dead_synapse_fraction"):
        sim.fail(dead_synapse_fraction=0.1)
