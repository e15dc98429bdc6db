"""f-I curves: how often a neuron fires at a constant input, against the closed form that its file gives.

Runs in the machine (``ns.Network``), in float64; where there is no closed form, against the differential equation
solved by another method. All neurons stand in one network, so that one kernel is compiled for all of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.integrate import solve_ivp

import neurosim as ns
from neurosim.models.neurons.exponential import propagator

TICK_S, TICKS, SETTLED = 1e-4, 20_000, 4000
Floats = npt.NDArray[np.float64]

TAU_S = 20e-3
DECAY, TOWARDS = math.exp(-TICK_S / TAU_S), -math.expm1(-TICK_S / TAU_S)
LEVELS = np.array([0.5, 0.97, 1.03, 1.2, 1.5, 3.0, 10.0, 30.0])
"""Where the membrane would settle, in thresholds above its rest."""

A_SYN = -math.expm1(-TICK_S / 5e-3)
DUAL = {"tau_mem_s": TAU_S, "tau_dendrite_s": 10e-3, "tau_syn_s": 5e-3}
UNSTABLE_V = (0.02 - 5.0) / 0.08
UNSTABLE_I = -(0.04 * UNSTABLE_V**2 + 4.8 * UNSTABLE_V + 140.0)


@dataclass(frozen=True)
class Cells:
    """A population: one input each."""

    model: str
    bias: Floats
    parameters: dict[str, Any] = field(default_factory=dict)
    start: dict[str, float] = field(default_factory=dict)


ABOVE_MV = {"v_rest": -60.0, "v_reset": -60.0, "threshold": -50.0}
CELLS = {
    "soft": Cells("if", np.arange(1, 64) / 64.0),
    "hard": Cells("if", np.array([0.013, 0.11, 0.3, 0.49, 0.7, 1.5]), {"reset": "hard", "refractory_ticks": 7}),
    "leaky": Cells("lif", TOWARDS * LEVELS, {"reset": "hard", "refractory_ticks": 20}),
    "loihi": Cells("loihi-lif", np.array([0.01, 0.017, 0.1, 0.25, 0.3, 0.77, 1.0, 1.2])),
    "delta": Cells("lif-delta", 10.0 * TOWARDS * LEVELS, {**ABOVE_MV, "refractory_ticks": 20}),
    "exponential": Cells(
        "lif-exponential", 10.0 * TOWARDS * LEVELS * A_SYN / propagator(TICK_S, TAU_S, 5e-3),
        {**ABOVE_MV, "refractory_ticks": 49},
    ),
    **{
        f"exponential at {level}": Cells(
            "lif-exponential", np.zeros(1), {**ABOVE_MV, "v_rest": level, "refractory_ticks": 49}
        )
        for level in (-49.9, -49.0, -40.0)
    },
    "kinetic 1": Cells("lif-kinetic-1", TOWARDS * LEVELS * A_SYN, {"tau_syn_s": 5e-3}),
    "kinetic 2": Cells("lif-kinetic-2", TOWARDS * LEVELS * A_SYN, {"tau_fall_s": 5e-3}),
    "dual": Cells(
        "lif-dual", TOWARDS * LEVELS / (30.0 * TICK_S) * A_SYN * -math.expm1(-TICK_S / 10e-3),
        {**DUAL, "coupling_21_Hz": 30.0},
    ),
    "adaptive": Cells("lif-adaptive", TOWARDS * LEVELS, {"jump": 0.3, "tau_threshold_s": 100e-3}),
    "mihalas-niebur": Cells("mihalas-niebur", LEVELS),
    "izhikevich": Cells("izhikevich", np.array([5.0, 8.0, 12.0, 20.0, 40.0])),
    "izhikevich at the edge": Cells(
        "izhikevich", UNSTABLE_I + np.array([-0.05, 0.05]), {}, {"v": UNSTABLE_V - 0.5, "u": 0.2 * UNSTABLE_V - 0.1}
    ),
    "poisson": Cells("poisson", np.repeat([10.0, 50.0, 200.0], 200)),
    "escape": Cells(
        "escape-rate", 0.05 * np.repeat([-1.0, 0.0, 1.0, 2.0], 200), {"width": 0.05, "refractory_ticks": 50}
    ),
}  # fmt: skip


@cache
def trains() -> dict[str, list[npt.NDArray[np.int64]]]:
    """The ticks of the spikes of every neuron."""
    net = ns.Network()
    for name, cells in CELLS.items():
        net.add_population(name, cells.bias.size, model=cells.model, bias=cells.bias, **cells.parameters)
    able = {"chip.capabilities.neurons": sorted({cells.model for cells in CELLS.values()}), "chip.timing.tick_s": TICK_S,
            "chip.geometry.neurons_per_core": 4096}  # fmt: skip
    sim = ns.Simulation("analog-if", net, timing="clocked", ideal=True, dtype="float64", overrides=able)
    for name, cells in CELLS.items():
        for state, value in cells.start.items():
            sim.set_state(name, state, value)
    spikes = sim.run(TICKS, record=list(CELLS)).spikes
    return {
        name: [spikes[name].tick[spikes[name].neuron == k] for k in range(cells.bias.size)]
        for name, cells in CELLS.items()
    }


def intervals(name: str) -> list[set[int]]:
    """Distinct intervals of each neuron of a population once it has settled; empty where it is silent."""
    return [set(np.diff(each[each >= SETTLED]).tolist()) for each in trains()[name]]


def leaky_period(level: float, decay: float) -> int | None:
    """Ticks until v <- decay v + (1 - decay) level reaches 1 from 0; None: never."""
    if level <= 1.0:
        return None
    exact = math.log((level - 1.0) / level) / math.log(decay)
    assert abs(exact - round(exact)) > 1e-6  # rounding would decide
    return math.ceil(exact)


def agree(name: str, periods: list[int | None], rest: int = 0) -> None:
    """Regular spikes at the expected periods, and silence where none is expected; both must occur."""
    assert None in periods and len({each for each in periods if each}) > 3
    assert intervals(name) == [set() if period is None else {period + rest} for period in periods]


# --- one state -------------------------------------------------------------------------------------------------------


def test_without_leak_soft_reset_the_rate_is_linear() -> None:
    for each, current in zip(trains()["soft"], CELLS["soft"].bias, strict=True):
        assert each.size == math.floor(TICKS * current)


def test_without_leak_hard_reset() -> None:
    assert intervals("hard") == [{math.ceil(1.0 / current) + 7} for current in CELLS["hard"].bias]


def test_leaky() -> None:
    agree("leaky", [leaky_period(level, DECAY) for level in LEVELS], rest=20)


def test_loihi_cuts_what_it_keeps() -> None:
    for found, current in zip(intervals("loihi"), CELLS["loihi"].bias, strict=True):
        step = math.floor(64 * current) / 64
        period = None if step == 0.0 else 1 if current > 1.0 else math.floor((1.0 - current) / step) + 2
        assert found == (set() if period is None else {period})


# --- several states --------------------------------------------------------------------------------------------------


def test_delta_synapses_lose_what_comes_at_rest() -> None:
    agree("delta", [leaky_period(level, DECAY) for level in LEVELS], rest=20)


def test_exponential_currents_settle() -> None:
    """A constant input holds g_e at bias / (1 - Q), which moves v by P_e times that in every tick."""
    agree("exponential", [leaky_period(level, DECAY) for level in LEVELS], rest=49)


def test_exponential_currents_fire_without_input_where_rest_lies_above_the_threshold() -> None:
    for level in (-49.9, -49.0, -40.0):
        period = math.ceil(math.log((level + 50.0) / (level + 60.0)) / -(TICK_S / TAU_S))
        assert intervals(f"exponential at {level}") == [{period + 49}]


@pytest.mark.parametrize("name", ["kinetic 1", "kinetic 2", "dual"])
def test_currents_that_settle_and_are_not_reset(name: str) -> None:
    """The current settles at bias / a_1, the dendrite of ``lif-dual`` at that over alpha_u."""
    agree(name, [leaky_period(level, DECAY) for level in LEVELS])


def test_adaptive_threshold_settles_where_a_period_loses_what_a_spike_adds() -> None:
    """At a steady period T the threshold is 1 + jump r^T/(1 - r^T) before a spike, and v has just got there."""
    r = math.exp(-TICK_S / 100e-3)
    assert intervals("adaptive")[:2] == [set(), set()]
    for level, train in zip(LEVELS[2:], trains()["adaptive"][2:], strict=True):
        late = np.diff(train)[-5:]
        first, last = (
            level * (1.0 - DECAY**ticks) - 1.0 - 0.3 * r**ticks / (1.0 - r**ticks)
            for ticks in (late.min() - 1.5, late.max() + 0.5)
        )
        assert late.max() - late.min() <= 2
        assert first < 0.0 < last  # a spike comes at the first whole tick past the root


def test_mihalas_niebur_without_its_currents_is_a_leaky_neuron() -> None:
    """a = 0: the threshold stays, and Euler's steps are v <- (1 - dt G) v + dt I; G = 50/s, 20 mV to go."""
    agree("mihalas-niebur", [leaky_period(level, 1.0 - TICK_S * 50.0) for level in LEVELS])


def test_izhikevich_begins_where_its_rest_turns_unstable() -> None:
    """Rest ends where the slope of the membrane's equation is a: v = (a - 5)/0.08, and I puts the rest there."""
    assert pytest.approx(3.7975) == UNSTABLE_I
    quiet, busy = trains()["izhikevich at the edge"]
    assert quiet.size == 0
    assert busy.size > 5


def test_izhikevich_against_another_solver() -> None:
    """Rates of the settled neuron against the differential equation, solved with error control from spike to spike."""

    def peak(t: float, y: Floats) -> float:
        return float(y[0] - 30.0)

    peak.terminal = True  # type: ignore[attr-defined]
    for current, train in zip(CELLS["izhikevich"].bias, trains()["izhikevich"], strict=True):
        at, state, times = 0.0, np.array([-65.0, -13.0]), []
        while len(times) < 20:
            done = solve_ivp(
                lambda t, y, i=current: (0.04 * y[0] ** 2 + 5 * y[0] + 140 - y[1] + i, 0.02 * (0.2 * y[0] - y[1])),
                (at, at + 1000.0), state, events=peak, rtol=1e-6, atol=1e-8,
            )  # fmt: skip
            assert done.status == 1
            at, state = float(done.t[-1]), np.array([-65.0, done.y[1, -1] + 8.0])
            times.append(at)
        theirs, own = np.diff(times)[-5:].mean(), np.diff(train)[-5:].mean() * 1e3 * TICK_S
        assert own == pytest.approx(theirs, rel=0.02)


# --- at random -------------------------------------------------------------------------------------------------------


def test_poisson_rate_and_irregularity() -> None:
    """n spikes of a rate r in T seconds have mean and variance r T (1 - r tick): five standard deviations."""
    counts = np.array([each.size for each in trains()["poisson"]]).reshape(3, 200)
    for rate, own in zip((10.0, 50.0, 200.0), counts, strict=True):
        mean = rate * TICKS * TICK_S
        assert abs(own.mean() - mean) < 5 * math.sqrt(mean / 200)
        assert own.var(ddof=1) / (mean * (1 - rate * TICK_S)) == pytest.approx(1.0, abs=5 * math.sqrt(2 / 199))


def test_escape_rate_grows_by_e_for_every_width() -> None:
    """At a constant v the intervals are geometric: mean rest + 1/p ticks with p = 1 - exp(-rho tick)."""
    rest = 50
    for level, own in zip((-1.0, 0.0, 1.0, 2.0), np.split(np.arange(800), 4), strict=True):
        cells = [trains()["escape"][k] for k in own]
        p = -math.expm1(-100.0 * math.exp(level) * TICK_S)
        mean, std = rest + 1 / p, math.sqrt(1 - p) / p
        counts = np.array([train.size for train in cells])
        error = math.sqrt(TICKS * std**2 / mean**3 / 200)  # renewal theory
        assert abs(counts.mean() - TICKS / mean) < 5 * error + 0.5  # and the first interval has no rest
        assert min(np.diff(train).min() for train in cells) > rest
