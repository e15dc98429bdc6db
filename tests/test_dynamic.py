"""Neurons with several states: the equations against published spike times and closed forms."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from neurosim import models, registry

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
