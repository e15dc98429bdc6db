"""Neurons with several states: the equations against published spike times and closed forms."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import neurosim as ns
from neurosim import models, registry
from neurosim.errors import CapabilityError, InputError

models.load_builtin()
NAMES = registry.names("dynamic")


def run(name: str, current: Any, ticks: int, tick_s: float, **parameters: Any) -> tuple[list[int], list[tuple[float, ...]]]:
    """(ticks of spikes, states after each tick) of one neuron in plain Python; ``current(tick)`` into the first input."""
    schema: Any = registry.validated("dynamic", {"model": name, **parameters})
    module: Any = registry.find("dynamic", name).module
    states, numbers = schema.start(), schema.coefficients(tick_s)
    others = (0.0,) * (len(module.RECEPTORS) - 1)
    spikes, kept = [], []
    for tick in range(ticks):
        states = module.integrate(*states, current(tick), *others, *numbers)
        if module.fires(*states, *numbers):
            spikes.append(tick)
            states = module.reset(*states, *numbers)
        kept.append(states)
    return spikes, kept


# Mihalas-Niebur: the twenty patterns. a in 1/s, (A_1, A_2) in V/s, pulses (from ms, to ms, I in V/s), length in ms,
# number of spikes and the first of them in ms: Mihalas and Niebur (2009) as replicated, Euler steps of 0.1 ms.
PATTERNS: dict[str, tuple[float, tuple[float, float], list[tuple[float, float, float]], float, int, list[float]]] = {
    "A tonic": (0, (0, 0), [(0, 200, 1.5)], 200, 9, [21.9, 43.9]),
    "B class 1": (0, (0, 0), [(0, 500, 1 + 1e-6)], 500, 2, [211.1, 484.8]),
    "C adaptation": (5, (0, 0), [(0, 200, 2)], 200, 10, [14.7, 30.2, 46.5, 63.6]),
    "D phasic": (5, (0, 0), [(0, 500, 1.5)], 500, 5, [25.1, 54.0, 87.5, 127.0, 176.0]),
    "E accommodation": (5, (0, 0), [(0, 100, 1.5), (600, 700, 0.5), (700, 800, 1), (800, 900, 1.5)], 1000, 3, [25.1]),
    "F threshold": (5, (0, 0), [(0, 20, 1.5), (200, 225, -1.5), (250, 275, 1.5)], 400, 1, [274.5]),
    "G rebound": (5, (0, 0), [(50, 805, -3.5)], 1000, 1, [853.7]),
    "H class 2": (5, (0, 0), [(0, 300, 2 * (1 + 1e-6))], 300, 8, [0.1, 54.9, 99.4, 138.7]),
    "I integrator": (5, (0, 0), [(0, 20, 1.5), (30, 50, 1.5), (300, 320, 1.5), (340, 360, 1.5)], 400, 1, [49.3]),
    "J bistability": (5, (0, 0), [(0, 100, 1.5), (100, 500, 1.7), (500, 600, 1.5), (600, 1000, 1.7)], 1000, 14, []),
    "K hyperpolarised": (30, (0, 0), [(0, 400, -1)], 400, 3, [132.0, 249.4, 366.8]),
    "L hyperpolarised bursts": (30, (10, -0.6), [(0, 400, -1)], 400, 13, [132.0, 133.6, 135.5]),
    "M tonic bursts": (5, (10, -0.6), [(0, 500, 2)], 500, 24, []),
    "N phasic bursts": (5, (10, -0.6), [(0, 500, 1.5)], 500, 7, [25.1]),
    "O rebound burst": (5, (10, -0.6), [(100, 600, -3.5)], 1000, 8, [651.6]),
    "P mixed": (5, (5, -0.3), [(0, 500, 2)], 500, 19, []),
    "Q after-potentials": (5, (5, -0.3), [(0, 15, 2)], 200, 1, [14.7]),
    "R basal bistability": (0, (8, -0.1), [(0, 10, 5), (100, 110, 5)], 200, 25, []),
    "S preferred frequency": (5, (-3, 0.5), [(0, 5, 5), (10, 15, 4), (400, 405, 5), (450, 455, 4)], 800, 3,
                              [4.6, 404.6, 454.9]),
    "T latency": (-80, (0, 0), [(0, 2, 8)], 50, 1, [15.5]),
}  # fmt: skip


@pytest.mark.parametrize("name", PATTERNS)
def test_mihalas_niebur_pattern(name: str) -> None:
    a, (A_1, A_2), pulses, length, count, first = PATTERNS[name]
    start = {"start_V": -0.03, "start_threshold_V": -0.03} if name.startswith("H") else {}

    def current(tick: int) -> float:
        ms = tick * 0.1 + 1e-9
        return next((volts for low, high, volts in pulses if low <= ms < high), 0.0)

    spikes, _ = run("mihalas-niebur", current, round(length * 10), 1e-4, a_Hz=a, A_1=A_1, A_2=A_2, **start)
    assert len(spikes) == count
    assert [round((tick + 1) * 0.1, 1) for tick in spikes[: len(first)]] == first


def test_kinetic_1_answers_an_event_by_the_difference_of_two_exponentials() -> None:
    """v[n] after one event at tick 0: sum of (1-alpha)^(n-1-k) (1-a)^(k-1) w = w (r^n - q^n)/(r - q) shifted."""
    _, states = run("lif-kinetic-1", lambda tick: float(tick == 0), 60, 1e-3, threshold=1e9, tau_syn_s=5e-3)
    r, q = math.exp(-1 / 20), math.exp(-1 / 5)
    for n in range(1, 60):
        assert states[n][0] == pytest.approx((r**n - q**n) / (r - q), rel=1e-12)


def test_kinetic_1_rheobase() -> None:
    alpha, a_1 = -math.expm1(-1 / 20), -math.expm1(-1 / 5)
    assert run("lif-kinetic-1", lambda _: 0.999 * alpha * a_1, 5000, 1e-3)[0] == []
    assert run("lif-kinetic-1", lambda _: 1.001 * alpha * a_1, 5000, 1e-3)[0]


def test_kinetic_2_carries_the_charge_of_an_event() -> None:
    """Each state passes on what it gets: the sums over all ticks are w/a_2, c w/(a_1 a_2) and that over alpha."""
    schema: Any = registry.validated("dynamic", {"model": "lif-kinetic-2", "gain": 0.7, "threshold": 1e9})
    module: Any = registry.find("dynamic", "lif-kinetic-2").module
    numbers = schema.coefficients(1e-3)
    alpha, a_1, a_2 = numbers[:3]
    states, sums = schema.start(), [0.0, 0.0, 0.0]
    for tick in range(3000):
        states = module.integrate(*states, 0.0, float(tick == 0), *numbers)
        sums = [total + state for total, state in zip(sums, states, strict=True)]
    assert sums == pytest.approx([0.7 / (a_1 * a_2 * alpha), 0.7 / (a_1 * a_2), 1 / a_2], rel=1e-9)


def test_dual_compartment_without_back_coupling_settles_where_currents_balance() -> None:
    _, states = run("lif-dual", lambda _: 0.02, 4000, 1e-3, threshold=1e9, coupling_21_Hz=30.0)
    alpha, a_1 = -math.expm1(-1 / 20), -math.expm1(-1 / 5)
    i = 0.02 / a_1
    u = i / alpha
    assert states[-1] == pytest.approx((0.03 * u / alpha, u, i), rel=1e-6)


def test_adaptive_threshold_slows_down() -> None:
    spikes, states = run("lif-adaptive", lambda _: 0.2, 3000, 1e-3)
    periods = [b - a for a, b in itertools.pairwise(spikes)]
    assert periods[-1] > 1.5 * periods[0]
    assert periods == sorted(periods) or max(abs(a - b) for a, b in itertools.pairwise(periods[20:])) <= 1
    beta = -math.expm1(-1 / 200)
    last = states[-1][1]
    assert last - 1.0 < 0.1 / beta  # it never gains more than it loses


@pytest.mark.parametrize(
    ("name", "a", "b", "c", "d"), [("tonic", 0.02, 0.2, -65.0, 6.0), ("phasic", 0.02, 0.25, -65.0, 6.0)]
)  # fmt: skip
def test_izhikevich_tonic_and_phasic(name: str, a: float, b: float, c: float, d: float) -> None:
    current = {"tonic": 14.0, "phasic": 0.5}[name]
    spikes, _ = run("izhikevich", lambda tick: current if tick >= 400 else 0.0, 4000, 0.25e-3, a=a, b=b, c=c, d=d)
    assert (len(spikes) > 5) if name == "tonic" else (len(spikes) == 1)


def test_escape_rate_probability() -> None:
    module: Any = registry.find("dynamic", "escape-rate").module
    schema: Any = registry.validated("dynamic", {"model": "escape-rate", "rate_Hz": 100.0, "width": 0.1})
    numbers = schema.coefficients(1e-3)
    p = -math.expm1(-0.1 * math.exp(0.05 / 0.1))
    assert module.fires(p * 0.999, 0.05, *numbers)
    assert not module.fires(p * 1.001, 0.05, *numbers)
    assert module.fires(0.999999, 1e6, *numbers)  # far above, without overflow


@pytest.mark.parametrize("name", NAMES)
def test_compiled_equals_plain(name: str) -> None:
    from neurosim.kernels.wrap import kernel

    schema: Any = registry.validated("dynamic", name)
    module: Any = registry.find("dynamic", name).module
    numbers = tuple(float(number) for number in schema.coefficients(1e-3))
    states = tuple(float(state) + 0.25 for state in schema.start())
    inputs = (0.3,) * len(module.RECEPTORS)
    assert len(states) == len(module.STATES)
    assert kernel(module.integrate)(*states, *inputs, *numbers) == module.integrate(*states, *inputs, *numbers)
    assert kernel(module.reset)(*states, *numbers) == module.reset(*states, *numbers)
    draw = (0.5,) if getattr(module, "RANDOM", False) else ()
    assert kernel(module.fires)(*draw, *states, *numbers) == module.fires(*draw, *states, *numbers)


# In a network


ABLE = {"chip.capabilities.neurons": ["if", *NAMES], "chip.timing.tick_s": 1e-4}


def simulate(network: ns.Network, **more: Any) -> ns.Simulation:
    more.setdefault("dtype", "float64")
    return ns.Simulation("analog-if", network, timing="clocked", ideal=True, overrides=ABLE, **more)


def test_all_twenty_patterns_in_one_network() -> None:
    """Pulses are set by hand between runs; the network then does what the equations do on their own."""
    network, times = ns.Network(), {0.0}
    for name, (a, (A_1, A_2), pulses, *_) in PATTERNS.items():
        start = {"start_V": -0.03, "start_threshold_V": -0.03} if name.startswith("H") else {}
        network.add_population(name.split()[0], 1, model="mihalas-niebur", a_Hz=a, A_1=A_1, A_2=A_2, **start)
        times |= {edge for low, high, _ in pulses for edge in (low, high)}
    simulation = simulate(network, record=[name.split()[0] for name in PATTERNS])
    found: dict[str, list[int]] = {name: [] for name in PATTERNS}
    edges = [*sorted(times), 1000.0]
    for now, after in itertools.pairwise(edges):
        for name, (_, _, pulses, *_) in PATTERNS.items():
            level = next((volts for low, high, volts in pulses if low <= now < high), 0.0)
            simulation.set_state(name.split()[0], "bias", level)
        out = simulation.run(round(10 * (after - now)))
        for name in PATTERNS:
            found[name] += out.spikes[name.split()[0]].tick.tolist()
    for name, (_, _, _, length, count, first) in PATTERNS.items():
        ticks = [tick for tick in found[name] if tick < 10 * length]
        assert len(ticks) == count, name
        assert [round((tick + 1) * 0.1, 1) for tick in ticks[: len(first)]] == first, name


def driven(threads: int = 1, core: int = 0) -> tuple[ns.Simulation, ns.Network]:
    network = ns.Network()
    source = network.add_population("source", 40, model="poisson", bias=np.linspace(0, 400, 40))
    target = network.add_population("target", 30, model="lif-kinetic-2", tau_mem_s="5 ms", threshold=0.5)
    rng = np.random.default_rng(1)
    network.connect(source, target, weights=rng.normal(0.05, 0.05, (40, 30)), receptor="synapse")
    network.connect(target, target, weights=-0.02 * np.ones((30, 30)), receptor="direct")
    network.place(source, core)
    network.place(target, core)
    return simulate(network, seed=4, threads=threads, record=("source", "target")), network


def test_threads_and_partitions_give_the_same_bits() -> None:
    one, two, parts = driven()[0], driven(threads=2)[0], driven(core=3)[0]
    a, b = one.run(500), two.run(500)
    ticks = [parts.run(ticks).spikes["target"].tick for ticks in (1, 200, 299)]
    assert a.spikes["target"].tick.size > 50
    assert np.array_equal(a.spikes["target"].neuron, b.spikes["target"].neuron)
    assert np.array_equal(a.spikes["target"].tick, np.concatenate(ticks))
    for state in ("v", "i", "s"):
        assert np.array_equal(one.state("target", state), two.state("target", state))
        assert np.array_equal(one.state("target", state), parts.state("target", state))


def test_poisson_rates() -> None:
    out = driven()[0].run(20_000)
    counts = np.bincount(out.spikes["source"].neuron, minlength=40)
    wanted = np.linspace(0, 400, 40) * 2.0
    assert counts[0] == 0
    assert (np.abs(counts - wanted) <= 4.5 * np.sqrt(wanted * (1 - wanted / 20_000)) + 1e-9).all()
    assert counts.sum() == pytest.approx(wanted.sum(), rel=0.02)


def test_receptors_are_told_apart() -> None:
    """An event into ``synapse`` drives s, one into ``direct`` drives i; nothing else."""
    for receptor, states in (("synapse", (0.0, 0.0, 2.0)), ("direct", (0.0, 2.0, 0.0)), (None, (0.0, 2.0, 0.0))):
        network = ns.Network()
        source = network.add_population("source", 1, model="input")
        target = network.add_population("target", 1, model="lif-kinetic-2", threshold=1e9)
        network.connect(source, target, weights=[[2.0]], receptor=receptor)
        simulation = simulate(network)
        simulation.run(2, events={"source": ([0], [0])})
        assert [float(simulation.state("target", name)[0]) for name in ("v", "i", "s")] == list(states)


def test_input_neurons_fire_when_they_are_told_to() -> None:
    network = ns.Network()
    source = network.add_population("source", 5, model="input")
    target = network.add_population("target", 1, model="if", threshold=2.0)
    network.connect(source, target, weights=np.ones((5, 1)))
    simulation = simulate(network, record=("source", "target"))
    out = simulation.run(10, events={"source": ([7, 3, 3], [0, 4, 1])})
    assert out.spikes["source"].tick.tolist() == [3, 3, 7]
    assert out.spikes["source"].neuron.tolist() == [1, 4, 0]
    assert out.spikes["target"].tick.tolist() == [4]
    assert out.counts["neuron_fired"] == 4 and out.counts["synaptic_event"] == 3
    again = simulation.run(10, events={"source": ([0], [2])})
    assert again.spikes["source"].tick.tolist() == [10]  # ticks of events count from the run's first
    assert simulation.run(10).counts["neuron_fired"] == 0


def test_wrong_events_are_said_at_once() -> None:
    network = ns.Network()
    network.add_population("source", 5, model="input")
    network.add_population("other", 5, model="if")
    simulation = simulate(network)
    with pytest.raises(InputError) as caught:
        simulation.run(10, events={"source": ([10, 3], [0, 9]), "other": ([0], [0])})
    text = str(caught.value)
    assert "ticks lie outside 0 to 9" in text and "neurons lie outside 0 to 4" in text and "'other'" in text
    with pytest.raises(InputError, match="twice in tick 3"):
        simulation.run(10, events={"source": ([3, 3], [1, 1])})
    with pytest.raises(InputError, match="nothing leads to them"):
        network.connect("other", "source", weights=np.ones((5, 5)))
    with pytest.raises(InputError, match="unknown receptor"):
        network.connect("source", "other", weights=np.ones((5, 5)), receptor="inhibitory")


def test_fixed_point_rounds_to_its_grid_and_counts_what_it_cuts() -> None:
    network = ns.Network()
    fixed = {"fixed_bits": 8, "fixed_step": 0.125}
    network.add_population("coarse", 1, model="lif-kinetic-1", bias=0.3, threshold=1e9, **fixed)
    network.add_population("fine", 1, model="lif-kinetic-1", bias=0.3, threshold=1e9)
    simulation = simulate(network)
    simulation.run(6)
    v = float(simulation.state("coarse", "v")[0])
    assert v / 0.125 == round(v / 0.125)
    assert abs(v - float(simulation.state("fine", "v")[0])) < 6 * 6 * 0.0625  # half a step a tick, in v and in i
    assert simulation.saturated == 0
    simulation.run(2000)
    assert float(simulation.state("coarse", "v")[0]) == 127 * 0.125
    assert simulation.saturated > 0


def test_refractory_neurons_go_on_but_do_not_fire() -> None:
    network = ns.Network()
    network.add_population("free", 1, model="izhikevich", bias=20.0)
    network.add_population("tired", 1, model="izhikevich", bias=20.0, refractory_ticks=5000)
    simulation = simulate(network, record=("free", "tired"))
    out = simulation.run(3000)
    assert out.spikes["free"].tick[0] == out.spikes["tired"].tick[0]
    assert out.spikes["tired"].tick.size == 1 < out.spikes["free"].tick.size


def test_a_neuron_that_the_chip_has_not_is_an_error() -> None:
    network = ns.Network()
    network.add_population("mn", 1, model="mihalas-niebur")
    with pytest.raises(CapabilityError, match="mihalas-niebur"):
        ns.Simulation("analog-if", network, ideal=True)
