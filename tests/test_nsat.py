"""The NSAT core: goldens of the reference, bit for bit, and laws."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from neurosim.chip.nsat import OFF, LearningGroup, NeuronGroup, NsatCore, off
from neurosim.engine.nsat import NsatSimulation
from neurosim.errors import InputError
from neurosim.kernels import nsat as kernels


def shifts(states: int, **given: int) -> list[list[int]]:
    """A shift matrix from ``A10=3``: source 1 into destination 0."""
    A = off(states)
    for name, value in given.items():
        A[int(name[1])][int(name[2])] = value
    return A


def spikes_of(core: NsatCore, ticks: int, events: Any = (), **more: Any) -> list[int]:
    return NsatSimulation([core], **more).run(ticks, events).spikes[0][0].tolist()


LIF = {"A": shifts(1, A00=-1), "bias": (50,), "threshold": 100}


# Shifts


@pytest.mark.parametrize(
    ("x", "a", "dynamics", "learning"),
    [(50, -1, 25, 25), (3, -1, 1, 1), (-3, -1, -1, -1), (1, -5, 1, 0), (-1, -15, -1, 0), (3, 2, 12, 12), (-3, 2, -12, -12),
     (7, OFF, 0, 0), (0, -3, 0, 0), (0, 3, 0, 0)],
)  # fmt: skip
def test_shifts_round_towards_zero_and_a_leak_never_stops(x: int, a: int, dynamics: int, learning: int) -> None:
    assert kernels.shift(x, a) == dynamics
    assert kernels.shift_learning(x, a) == learning


# Goldens


def test_lif_golden_states() -> None:
    out = NsatSimulation([NsatCore(0, [0], (NeuronGroup(**LIF),))]).run(7, record=[0])
    assert out.states[0][:7, 0, 0].tolist() == [0, 50, 75, 88, 94, 97, 99]
    assert out.spikes[0][0].tolist() == [7]


@pytest.mark.parametrize(
    ("rest", "spikes"), [(0, [7, 14, 21, 28]), (5, [7, 19, 31, 43]), (20, [7, 34, 61, 88])]
)  # fmt: skip
def test_lif_golden_period_is_seven_and_the_rest(rest: int, spikes: list[int]) -> None:
    group = NeuronGroup(**LIF, refractory_ticks=rest)
    assert spikes_of(NsatCore(0, [0], (group,)), spikes[-1] + 5) == spikes


@pytest.mark.parametrize(("rest", "period"), [(0, 1), (1, 1), (2, 2), (5, 5)])
@pytest.mark.parametrize("reset", ["none", "add", "max"])
def test_where_no_reset_holds_it_a_neuron_fires_in_the_tick_that_ends_its_rest(
    reset: str, rest: int, period: int
) -> None:
    """The rest is counted down before the threshold is looked at, in one tick: a spike of tick 1 rests until 1 + rest."""
    group = NeuronGroup(A=shifts(1, A00=-1), bias=(150,), threshold=100, refractory_ticks=rest, reset=(reset,))
    assert spikes_of(NsatCore(0, [0], (group,)), 20) == list(range(1, 21, period))


def test_mihalas_niebur_golden() -> None:
    group = NeuronGroup(
        A=shifts(4, A00=-4, A01=-8, A11=-7, A20=0, A22=-2, A30=0, A33=-6), bias=(-250, -10, 0, 0),
        adaptive_threshold=True, reset=("set", "none", "set", "none"), reset_value=(-7000, 0, 0, 0),
    )  # fmt: skip
    core = NsatCore(0, [0], (group,), pre=[0], post=[0], state=[1], weights=[5], start=[[-7000, -5000, 100, 10]])
    out = NsatSimulation([core]).run(499, record=[0])
    assert out.spikes[0][0].tolist() == [16, 38, 63, 92, 126, 172]
    states = out.states[0][:, 0]
    assert states[1].tolist() == [-6703, -4998, 75, 9]
    assert states[10].tolist() == [-5280, -4949, 7, 0]
    assert states[499].tolist() == [-4015, -3350, 0, 0]


def error_core() -> NsatCore:
    group = NeuronGroup(
        A=shifts(1), threshold=1025, reset=("add",), reset_value=(-1025,), low=(0,), gain=(4,)
    )  # fmt: skip
    return NsatCore(2, [0], (group,), pre=[0, 1], post=[0, 0], state=[0, 0], weights=[96, -96])


def test_error_neuron_golden_resets_by_subtraction_and_stops_at_zero() -> None:
    simulation = NsatSimulation([error_core()])
    out = simulation.run(6, events=[(3, 0, 0), (5, 0, 1)], record=[0])
    assert out.spikes[0][0].tolist() == [4]
    assert out.states[0][:, 0, 0].tolist() == [0, 0, 0, 0, 511, 511, 0]


def stdp_core(**rule: Any) -> NsatCore:
    group = NeuronGroup(
        A=shifts(3, A00=-5, A10=3, A11=-5, A22=-6), bias=(0, 0, 10), threshold=2500, refractory_ticks=20, modulator=2,
        learning=(-1, 0, -1),
    )  # fmt: skip
    learning = LearningGroup(causal_heights=(-1, -2, -3), acausal_heights=(-2, -3, -4), **rule)
    return NsatCore(2, [0], (group,), (learning,), pre=[0, 1], post=[0, 0], state=[1, 1], weights=[100, 90])


EVENTS = [(t, 0, 0) for t in range(10, 400, 37)] + [(t, 0, 1) for t in range(13, 400, 29)]


def test_stdp_golden() -> None:
    simulation = NsatSimulation([stdp_core()])
    out = simulation.run(399, EVENTS)
    assert out.spikes[0][0].tolist() == [
        15, 39, 61, 84, 106, 128, 150, 172, 194, 216, 238, 260, 282, 305, 327, 349, 371, 393,
    ]  # fmt: skip
    assert simulation.weights(0).tolist() == [95, 175]
    assert out.counts["synaptic_event"] == len(EVENTS)
    assert out.counts["neuron_fired"] == 18


# Laws


def test_any_partition_of_a_run_gives_the_same_bits() -> None:
    whole, parts = (
        NsatSimulation([stdp_core(rounding_bits=2)], seed=3),
        NsatSimulation([stdp_core(rounding_bits=2)], seed=3),
    )
    one = whole.run(399, EVENTS).spikes[0][0].tolist()
    two = [tick for ticks in (100, 1, 298) for tick in parts.run(
        ticks, [event for event in EVENTS if parts.tick < event[0] <= parts.tick + ticks]).spikes[0][0].tolist()]  # fmt: skip
    assert one == two
    assert np.array_equal(whole.weights(0), parts.weights(0))


def noisy(transmit: int = 15, noise: int = 0) -> NsatCore:
    group = NeuronGroup(A=shifts(1), threshold=32767, noise_std=(noise,), transmit=(transmit,))
    return NsatCore(1, np.zeros(400, int), (group,), pre=np.zeros(400), post=np.arange(400), state=np.zeros(400),
                    weights=np.ones(400))  # fmt: skip


@pytest.mark.parametrize("transmit", [0, 5, 15])
def test_blank_out_lets_so_many_of_fifteen_events_through(transmit: int) -> None:
    simulation = NsatSimulation([noisy(transmit)], seed=1)
    out = simulation.run(51, [(t, 0, 0) for t in range(1, 51)])
    arrived, n = simulation.state(0).sum(), 400 * 50
    p = transmit / 15
    assert abs(arrived - n * p) <= 4 * np.sqrt(n * p * (1 - p))
    assert out.counts["synaptic_event"] == n  # blanked-out ones were looked up all the same


def test_noise_has_the_variance_asked_for_and_differs_from_seed_to_seed() -> None:
    states = []
    for seed in (1, 2):
        simulation = NsatSimulation([noisy(noise=100)], seed=seed)
        simulation.run(25)
        states.append(simulation.state(0)[:, 0])
    assert not np.array_equal(*states)
    assert np.std(states[0]) == pytest.approx(100 * 5, rel=0.15)
    assert abs(np.mean(states[0])) < 4 * 500 / 20


def test_stochastic_rounding_is_unbiased() -> None:
    key = 12345
    values = [kernels.rounded(-5, 3, key, element) for element in range(20_000)]
    assert set(values) == {-1, 0}
    assert np.mean(values) == pytest.approx(-5 / 8, abs=0.02)


@pytest.mark.parametrize(("m", "bits"), [(0, 0), (0, 3), (3, 0), (3, 3), (8, 3), (-3, 3)])
def test_updated_are_weights_whose_rounded_change_is_not_zero(m: int, bits: int) -> None:
    """One event on 400 synapses of weight 0: those that are not 0 afterwards were written, and no other."""
    group = NeuronGroup(A=shifts(2), threshold=32767, modulator=1, learning=(0, -1), start=(0, m))
    rule = LearningGroup(rule="event", acausal_heights=(0, OFF, OFF), rounding_bits=bits)
    every = np.arange(400)
    core = NsatCore(1, 0 * every, (group,), (rule,), pre=0 * every, post=every, state=0 * every, weights=0 * every)
    simulation = NsatSimulation([core], seed=2)
    out = simulation.run(3, [(2, 0, 0)])
    moved = np.count_nonzero(simulation.weights(0))
    assert out.counts["synapse_updated"] == moved
    if m % (1 << bits) == 0:
        assert moved == (400 if m else 0)
    else:
        p = m / (1 << bits) % 1 if m > 0 else -m / (1 << bits)
        assert abs(moved - 400 * p) < 5 * np.sqrt(400 * p * (1 - p))


def test_a_weight_at_its_limit_counts_as_written_where_another_value_is_wanted() -> None:
    group = NeuronGroup(A=shifts(2), threshold=32767, modulator=1, learning=(0, -1), start=(0, 3))
    rule = LearningGroup(rule="event", acausal_heights=(0, OFF, OFF))
    simulation = NsatSimulation([NsatCore(1, [0], (group,), (rule,), pre=[0], post=[0], state=[0], weights=[255])])
    assert simulation.run(5, [(2, 0, 0), (3, 0, 0)]).counts["synapse_updated"] == 2
    assert simulation.weights(0).tolist() == [255]


def taught(m: int) -> dict[str, Any]:
    """State 0 fires by a teacher's event of the tick before, state 1 is what learns, state 2 holds m."""
    return {"A": shifts(3), "threshold": 100, "modulator": 2, "start": (0, 0, m)}


@pytest.mark.parametrize("m", [0, 1])
def test_traces_count_the_weights_that_they_change(m: int) -> None:
    """An event at 3, a spike at 6: e = 16, and leaks by a quarter, at least 1, down to 0. Every tick writes e m."""
    group = NeuronGroup(**taught(m), learning=(-1, 0, -1))
    rule = LearningGroup(rule="trace", causal_heights=(4, 4, 4), trace_shift=2)
    core = NsatCore(2, [0], (group,), (rule,), pre=[0, 1], post=[0, 0], state=[1, 0], weights=[0, 200])
    simulation = NsatSimulation([core])
    out = simulation.run(40, [(3, 0, 0), (5, 0, 1)])
    traces = [16, 12, 9, 7, 6, 5, 4, 3, 2, 1]
    assert simulation.weights(0).tolist() == [m * sum(traces), 200]
    assert out.counts["synapse_updated"] == m * len(traces)


@pytest.mark.parametrize("beside", [12, 30, 40, 900])
def test_a_rule_learns_by_its_own_window_whatever_others_have(beside: int) -> None:
    """An event at 10, spikes at 15 and 30, an event at 50. A window of 12 sees the first spike: it is over at 22.

    Windows of 30 and more see the second spike, the last one before they are over or the next event comes.
    """
    groups = tuple(NeuronGroup(**taught(7), learning=(-1, rule, -1)) for rule in (0, 1))
    rules = tuple(
        LearningGroup(window_ticks=window, causal_edges=(8, 12), acausal_edges=(1, 2), causal_heights=(0, 1, 2),
                      acausal_heights=(OFF, OFF, OFF))
        for window in (12, beside)
    )  # fmt: skip
    core = NsatCore(2, [0, 1], groups, rules, pre=[0, 0, 1, 1], post=[0, 1, 0, 1], state=[1, 1, 0, 0],
                    weights=[0, 0, 200, 200])  # fmt: skip
    simulation = NsatSimulation([core])
    out = simulation.run(21, [(10, 0, 0), (14, 0, 1)])
    assert out.spikes[0][0].tolist() == [15, 15]
    assert simulation.weights(0)[:2].tolist() == [0, 0]
    simulation.run(1)
    assert simulation.weights(0)[0] == 7
    simulation.run(60, [(29, 0, 1), (50, 0, 0)])
    assert simulation.weights(0)[:2].tolist() == [7, 7 if beside == 12 else 28]
    longer = NsatSimulation([core], causal_timeout_ticks=40)  # the original's: one number for all rules
    longer.run(82, [(10, 0, 0), (14, 0, 1), (29, 0, 1), (50, 0, 0)])
    assert longer.weights(0)[0] == 0


def test_two_events_of_one_tick_on_one_input_are_two_that_learn_once() -> None:
    """Each has blank-out of its own: 0, 1 or 2 of them arrive, by the binomial law. Weights change once."""
    n, p = 1024, 5 / 15
    every = np.arange(n)
    group = NeuronGroup(A=shifts(2), threshold=32767, transmit=(5, 15), modulator=1, learning=(0, -1), start=(0, 3))
    rule = LearningGroup(rule="event", acausal_heights=(0, OFF, OFF))
    core = NsatCore(2, 0 * every, (group,), (rule,), pre=0 * every, post=every, state=0 * every, weights=0 * every + 1)
    simulation = NsatSimulation([core], seed=5)
    out = simulation.run(4, [(2, 0, 0), (2, 0, 1), (2, 0, 0)])
    arrived = np.bincount(simulation.state(0)[:, 0], minlength=3)
    for count, share in zip(arrived, ((1 - p) ** 2, 2 * p * (1 - p), p**2), strict=True):
        assert abs(count - n * share) < 5 * np.sqrt(n * share * (1 - share))
    assert out.counts["synaptic_event"] == 2 * n
    assert out.counts["synapse_updated"] == n
    assert set(simulation.weights(0).tolist()) == {1 + 3}


def test_synapses_that_share_a_weight_change_it_together() -> None:
    group = NeuronGroup(A=shifts(2, A11=-1), threshold=32767, modulator=1, learning=(0, -1), bias=(0, 4))
    rule = LearningGroup(rule="event", acausal_heights=(0, OFF, OFF))
    shared = NsatCore(2, [0, 0], (group,), (rule,), pre=[0, 1], post=[0, 1], state=[0, 0], weights=[10], pointer=[0, 0])
    simulation = NsatSimulation([shared])
    simulation.run(20, [(10, 0, 0), (10, 0, 1)])
    apart = NsatSimulation(
        [NsatCore(2, [0, 0], (group,), (rule,), pre=[0, 1], post=[0, 1], state=[0, 0], weights=[10, 10])]
    )
    apart.run(20, [(10, 0, 0), (10, 0, 1)])
    once = int(apart.weights(0)[0]) - 10
    assert once > 0
    assert simulation.weights(0).tolist() == [10 + 2 * once]


def test_a_route_to_another_core_takes_as_long_as_a_synapse_of_its_own() -> None:
    source = NsatCore(0, [0, 0], (NeuronGroup(**LIF),), pre=[0], post=[1], state=[0], weights=[3])
    target = NsatCore(1, [0], (NeuronGroup(A=shifts(1), threshold=32767),), pre=[0], post=[0], state=[0], weights=[3])
    simulation = NsatSimulation([source, target], routes={(0, 0): [(1, 0)]})
    out = simulation.run(9, record=[0, 1])
    fires = int(out.spikes[0][0][0])
    assert fires == 7
    assert out.states[1][fires, 0, 0] == 0 and out.states[1][fires + 1, 0, 0] == 3
    assert out.counts["message"] == 1  # both neurons fire at 7, and one of them has a route
    assert out.states[0][fires + 1, 1, 0] - out.states[0][fires + 1, 0, 0] == 3


def test_several_terms_give_a_coefficient_more_bits() -> None:
    fine = NeuronGroup(A=[shifts(1, A00=-2), shifts(1, A00=-3)], threshold=32767)
    simulation = NsatSimulation([NsatCore(0, [0], (fine,), start=[[800]])])
    assert simulation.run(1, record=[0]).states[0][:, 0, 0].tolist() == [800, 800 - 200 - 100]


def test_a_max_reset_never_lowers_a_state() -> None:
    group = NeuronGroup(A=shifts(2), bias=(50, 0), threshold=100, reset=("set", "max"), reset_value=(0, 20))
    for start, after in ((5, 20), (30, 30)):
        simulation = NsatSimulation([NsatCore(0, [0], (group,), start=[[0, start]])])
        simulation.run(2)
        assert simulation.state(0)[0].tolist() == [0, after]


def test_gates_stop_learning() -> None:
    free = NsatSimulation([stdp_core()])
    shut = NsatSimulation([stdp_core(gate=(-1, 0))])
    early = NsatSimulation([stdp_core(period_ticks=400, burn_in_ticks=400)])
    for simulation in (free, shut, early):
        simulation.run(399, EVENTS)
    assert free.weights(0).tolist() != [100, 90]
    assert shut.weights(0).tolist() == early.weights(0).tolist() == [100, 90]


# Errors


def test_everything_wrong_with_a_core_is_said_at_once() -> None:
    group = NeuronGroup(**LIF)
    with pytest.raises(InputError) as caught:
        NsatCore(1, np.zeros(2049, int), (group,), pre=[5000], post=[0], state=[1], weights=[1])
    text = str(caught.value)
    assert "2049 neurons of 1 states are 2049 states, 1 more than the 2048 of a core" in text
    assert "pre: 5000 is out of range" in text and "state: 1 is out of range" in text


def test_shifts_and_words_have_their_ranges() -> None:
    with pytest.raises(ValidationError, match="greater than or equal to -16"):
        NeuronGroup(A=[[-17]])
    with pytest.raises(ValidationError, match="bias: has 2 entries"):
        NeuronGroup(A=shifts(1), bias=(1, 2))


def test_events_and_routes_to_nowhere_are_errors() -> None:
    with pytest.raises(InputError, match="core 0 has no input 2"):
        NsatSimulation([error_core()]).run(5, [(1, 0, 2)])
    with pytest.raises(InputError, match="core 0 has no input 9"):
        NsatSimulation([error_core()], routes={(0, 0): [(0, 9)]})


def test_numbers_that_do_not_fit_their_words_are_said_at_once() -> None:
    group = NeuronGroup(**LIF)
    with pytest.raises(InputError) as caught:
        NsatCore(1, [0], (group,), pre=[0, 1], post=[0, 0], state=[0, 0], weights=[256, -257], start=[[40_000]])
    text = str(caught.value)
    assert caught.value.exit_code == 2
    assert "weights: 2 of 2 lie outside -256 to 255 (weight_bits = 8), first 256" in text
    assert "start: 1 of 1 lie outside -32768 to 32767" in text
    for wrong, said in (
        ({"weights": [1.5, 0]}, "weights: must be whole numbers"),
        ({"weights": [1, 2, 3]}, "weights: there are 3 for 2 synapses"),
        ({"weights": [1], "pointer": [0, 1]}, "pointer: 1 is out of range"),
        ({"weight_bits": 0}, "weight_bits = 0"),
        ({"start": [[0, 0]]}, r"start: has the shape \(1, 2\), needed is \(1, 1\)"),
        ({"inputs": -1}, "inputs = -1"),
        ({"group": [1]}, "group: 1 is out of range"),
        ({"post": [0]}, "must have one length"),
    ):
        given: dict[str, Any] = {"inputs": 1, "group": [0], "weights": [1, 2], "pre": [0, 1], "post": [0, 0],
                                 "state": [0, 0], **wrong}  # fmt: skip
        with pytest.raises(InputError, match=said):
            NsatCore(groups=(group,), **given)


def test_limits_and_windows_leave_room() -> None:
    with pytest.raises(ValidationError, match="lies above high"):
        NeuronGroup(A=shifts(1), low=(5,), high=(4,))
    with pytest.raises(ValidationError, match="lies outside 0 to 4"):
        NeuronGroup(A=shifts(1), low=(0,), high=(4,), start=(5,))
    for wrong in ({"window_ticks": 1024}, {"gate": (5, 5)}, {"causal_edges": (0, 5)}, {"acausal_slopes": (1, 2, -1)}):
        with pytest.raises(ValidationError):
            LearningGroup(**wrong)  # type: ignore[arg-type]


def test_what_a_run_cannot_do_is_said_at_once() -> None:
    with pytest.raises(InputError) as caught:
        NsatSimulation([error_core()], routes={(1, 0): [(3, 0)]}, seed=-1, causal_timeout_ticks=2000)
    text = str(caught.value)
    for said in ("no neuron 0 in core 1", "core 3 has no input 0", "seed = -1", "causal_timeout_ticks = 2000"):
        assert said in text
    simulation = NsatSimulation([error_core()])
    with pytest.raises(InputError) as caught:
        simulation.run(-1, record=[1], weights_every=-2)
    text = str(caught.value)
    assert "ticks = -1" in text and "there is no core 1" in text and "weights_every = -2" in text
    with pytest.raises(InputError, match="whole numbers"):
        simulation.run(1, [(1, 0)])  # type: ignore[list-item]
    assert simulation.tick == 0
