"""Experiments: their claims hold, their figures can be drawn; and what they ask of NSAT cores."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from neurosim import experiments, registry
from neurosim.chip.nsat import OFF, LearningGroup, NeuronGroup, NsatCore
from neurosim.engine.nsat import NsatSimulation
from neurosim.errors import InputError
from neurosim.experiments import mihalas_niebur_20, stdp_window
from neurosim.experiments.base import Result, shifts
from neurosim.report.experiments import FIGURES, draw

experiments.load_builtin()

SHORT: dict[str, dict[str, Any]] = {
    "stdp-window": {},
    "mihalas-niebur-20": {"form": "integer"},
    "rstdp": {},
    "sequence-learning": {"elements": 6},
    "ecd-bars-and-stripes": {"side": 3, "hidden": 24, "samples": 420},
}
"""Settings with which every experiment's claims hold within seconds."""


def run(name: str, seed: int = 0, **settings: Any) -> Result:
    model = registry.find("experiment", name)
    result: Result = model.module.run(model.schema(model=name, **settings), seed)
    return result


@pytest.mark.parametrize("name", SHORT)
def test_claims_hold_and_the_figure_can_be_drawn(name: str) -> None:
    result = run(name, **SHORT[name])
    assert [(claim.says, claim.measured) for claim in result.claims if not claim.holds] == []
    assert result.ticks > 0 and all(count >= 0 for count in result.counts.values())
    for table in result.tables:
        rows = result.rows[table.path]
        assert {column.name for column in table.columns} == set(rows)
        assert len({len(values) for values in rows.values()}) == 1
    figure = draw(name, result.rows)
    figure.draw_without_rendering()  # type: ignore[no-untyped-call]


def test_every_experiment_has_a_figure_and_is_tested() -> None:
    assert set(SHORT) == set(FIGURES)
    assert set(SHORT) <= set(registry.names("experiment"))


def test_mihalas_niebur_in_floating_point() -> None:
    assert all(claim.holds for claim in run("mihalas-niebur-20").claims)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", ["rstdp", "sequence-learning", "ecd-bars-and-stripes"])
def test_claims_hold_for_other_seeds(name: str, seed: int) -> None:
    assert all(claim.holds for claim in run(name, seed, **SHORT[name]).claims)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "settings"), [("ecd-bars-and-stripes", {}), ("rstdp", {"form": "latched"})])
def test_claims_hold_at_full_length(name: str, settings: dict[str, Any]) -> None:
    assert all(claim.holds for claim in run(name, **settings).claims)


def test_the_same_seed_gives_the_same_bits() -> None:
    one, two, other = (run("rstdp", seed, trials=20, test_trials=4, neurons=4) for seed in (5, 5, 6))
    path = "/experiment/trials"
    assert all(np.array_equal(one.rows[path][name], two.rows[path][name]) for name in one.rows[path])
    assert any(not np.array_equal(one.rows[path][name], other.rows[path][name]) for name in one.rows[path])


# The window


def test_the_window_is_what_the_reference_prints() -> None:
    """Heights (1, 0, -1) with edges 16, 36, 64: 2 m, m, m/2; acausal (0, -1, -2): -m, -m/2, -m/4."""
    rule = stdp_window.rules(stdp_window.StdpWindow())["constant"]
    asked = {
        1: 128,
        15: 128,
        16: 64,
        35: 64,
        36: 32,
        63: 32,
        64: 0,
        0: 0,
        -1: -64,
        -15: -64,
        -16: -32,
        -36: -16,
        -63: -16,
        -64: 0,
    }
    assert {distance: stdp_window.expected(rule, 64, distance) for distance in asked} == asked


def test_the_staircase_lies_between_an_exponential_and_twice_that() -> None:
    rule = stdp_window.rules(stdp_window.StdpWindow())["exponential"]
    for distance in range(1, 64):
        ratio = stdp_window.expected(rule, 64, distance) / (2 * 64 * 2.0 ** (-distance / 16))
        assert 1.0 <= ratio < 2.0


# Mihalas and Niebur


@pytest.mark.parametrize("coefficient", [0.025, -0.005, 0.1, 0.0031, -0.04])
def test_powers_of_two_come_near_a_coefficient(coefficient: float) -> None:
    errors = [
        abs(
            sum(sign * 2.0**exponent for sign, exponent in mihalas_niebur_20.powers(coefficient, most)) / coefficient
            - 1
        )
        for most in (1, 2, 3, 4)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] <= 1 / 3 + 1e-9 and errors[3] < 0.02


@pytest.mark.parametrize("share", [0.2, 0.1, 0.05, 0.025])
def test_class_1_in_integers_fires_as_slowly_as_asked(share: float) -> None:
    """The interval is (1/G)(1/q + ln I): 1/G = 32 ticks, I = 1000 units; each of the last 32 units takes 1/q ticks."""
    pattern = next(each for each in mihalas_niebur_20.PATTERNS if each.letter == "B")
    fixed = mihalas_niebur_20.INTEGER["B"]
    start = mihalas_niebur_20.start_of(pattern, fixed)
    core = NsatCore(
        1, [0], (mihalas_niebur_20.group_of(pattern, fixed),), pre=[0], post=[0], state=[0], weights=[1], start=[start]
    )
    ticks = 6000
    events = [(tick, 0, 0) for tick in range(1, ticks) if int(tick * share) > int((tick - 1) * share)]
    when = NsatSimulation([core]).run(ticks, events).spikes[0][0]
    assert np.diff(when).mean() == pytest.approx(32 * (1 / share + math.log(1000)), rel=0.04)


def test_no_event_no_spike_for_class_1() -> None:
    pattern = next(each for each in mihalas_niebur_20.PATTERNS if each.letter == "B")
    fixed = mihalas_niebur_20.INTEGER["B"]
    core = NsatCore(
        0, [0], (mihalas_niebur_20.group_of(pattern, fixed),), start=[mihalas_niebur_20.start_of(pattern, fixed)]
    )
    out = NsatSimulation([core]).run(6000, record=[0])
    assert out.counts["neuron_fired"] == 0
    states = out.states[0]
    assert states is not None and states[-1, 0, 0] >= 0.998 * states[-1, 0, 1]  # one unit of current below is enough


# NSAT cores: eligibility traces, weights over time, cores that send to each other


def traced(decay: int = 3, bits: int = 0) -> NsatCore:
    """A neuron with a plastic synapse (input 0), a teacher (1) and a modulator (2), each lasting one tick."""
    group = NeuronGroup(
        A=shifts(3, {(0, 0): 0, (1, 1): 0, (2, 2): 0}), threshold=100, modulator=2, learning=(-1, 0, -1)
    )  # fmt: skip
    rule = LearningGroup(
        rule="trace", causal_heights=(6, 5, 4), acausal_heights=(5, 4, 3), trace_shift=decay, rounding_bits=bits
    )
    return NsatCore(3, [0], (group,), (rule,), pre=[0, 1, 2], post=[0, 0, 0], state=[1, 0, 2], weights=[0, 200, 1])


def test_a_trace_rises_at_the_pair_decays_and_waits_for_the_modulator() -> None:
    simulation = NsatSimulation([traced()])
    simulation.run(15, [(10, 0, 0), (14, 0, 1)])  # the teacher's event fires the neuron at 15: 5 ticks after the input
    assert simulation.traces(0).tolist() == [64, 0, 0]
    assert simulation.weights(0)[0] == 0
    simulation.run(3, [(18, 0, 2)])
    assert simulation.traces(0)[0] == 43  # 64 - 8 - 7 - 6: an eighth each time, cut
    assert simulation.weights(0)[0] == 0
    simulation.run(1)
    assert simulation.weights(0)[0] == simulation.traces(0)[0] == 38
    simulation.run(100)
    assert simulation.traces(0)[0] == 0 and simulation.weights(0)[0] == 38


def test_a_trace_falls_where_the_input_comes_after_the_spike() -> None:
    simulation = NsatSimulation([traced()])
    simulation.run(21, [(9, 0, 1), (20, 0, 0), (20, 0, 2)])
    assert simulation.weights(0)[0] == simulation.traces(0)[0] == -28  # -32, and one tick of leak


def test_the_size_of_the_spike_buffer_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    events = [(tick, 0, unit) for tick in range(5, 300, 7) for unit in (0, 1, 2)]
    outs = []
    for size in (1 << 18, 7):
        monkeypatch.setattr("neurosim.engine.nsat._SPIKES", size)
        outs.append(NsatSimulation([traced(bits=3)], seed=2).run(300, events, record=[0], weights_every=10))
    assert outs[0].counts == outs[1].counts and outs[0].counts["neuron_fired"] > 20
    assert np.array_equal(outs[0].spikes[0], outs[1].spikes[0])
    assert np.array_equal(outs[0].weights[0], outs[1].weights[0])  # type: ignore[arg-type]
    assert np.array_equal(outs[0].states[0], outs[1].states[0])  # type: ignore[arg-type]


def test_weights_are_kept_in_the_ticks_asked_for_whatever_the_partition() -> None:
    events = [(tick, 0, unit) for tick in range(5, 300, 7) for unit in (0, 1)] + [
        (tick, 0, 2) for tick in range(8, 300, 11)
    ]
    whole = NsatSimulation([traced(bits=3)], seed=2).run(300, events, weights_every=25)
    parts = NsatSimulation([traced(bits=3)], seed=2)
    outs = []
    for ticks in (60, 15, 225):
        now = [event for event in events if parts.tick < event[0] <= parts.tick + ticks]
        outs.append(parts.run(ticks, now, weights_every=25))
    assert whole.weight_ticks.tolist() == list(range(25, 301, 25))
    assert np.concatenate([out.weight_ticks for out in outs]).tolist() == whole.weight_ticks.tolist()
    kept = [out.weights[0] for out in outs]
    assert whole.weights[0] is not None and len(np.unique(whole.weights[0][:, 0])) > 3
    assert np.array_equal(np.concatenate([each for each in kept if each is not None]), whole.weights[0])


def test_cores_in_a_row_and_cores_in_a_ring_give_the_same_bits() -> None:
    """A route back that is never used makes all cores take every tick together; without it each takes all at once."""
    fast = NeuronGroup(A=shifts(1, {(0, 0): -2}), threshold=100, noise_std=(40,), bias=(20,))
    learning = NeuronGroup(
        A=shifts(2, {(0, 0): -3}),
        threshold=300,
        noise_std=(20, 0),
        bias=(0, 3),
        modulator=1,
        learning=(0, -1),
        transmit=(10, 15),
    )
    pre, post = (each.ravel() for each in np.meshgrid(np.arange(8), np.arange(4)))

    def cores() -> list[NsatCore]:
        second = NsatCore(
            8, [0, 0, 0, 0, 0], (learning,), (LearningGroup(rounding_bits=1),), pre=pre, post=post,
            state=np.zeros_like(pre), weights=np.full(pre.size, 60),
        )  # fmt: skip
        return [NsatCore(1, np.zeros(8, int), (fast,)), second]

    forward = {(0, n): [(1, n)] for n in range(8)}
    simulations = [
        NsatSimulation(cores(), forward, seed=4), NsatSimulation(cores(), {**forward, (1, 4): [(0, 0)]}, seed=4)
    ]  # fmt: skip
    outs = [each.run(400, record=[1]) for each in simulations]
    assert outs[0].counts == {**outs[1].counts, "message": outs[0].counts["message"]}
    assert outs[0].counts["message"] > 100 and outs[0].counts["synapse_updated"] > 100
    for core in (0, 1):
        assert all(np.array_equal(a, b) for a, b in zip(outs[0].spikes[core], outs[1].spikes[core], strict=True))
    assert np.array_equal(simulations[0].weights(1), simulations[1].weights(1))
    assert np.array_equal(outs[0].states[1], outs[1].states[1])  # type: ignore[arg-type]


def test_weights_can_be_set_within_their_range() -> None:
    simulation = NsatSimulation([traced()])
    simulation.set_weights(0, [5, 200, 1])
    assert simulation.weights(0).tolist() == [5, 200, 1]
    with pytest.raises(InputError, match="allowed is -256 to 255"):
        simulation.set_weights(0, [5, 256, 1])
    with pytest.raises(InputError, match="have the shape"):
        simulation.set_weights(0, [5])


def test_a_closed_segment_changes_nothing() -> None:
    group = NeuronGroup(A=shifts(2, {(0, 0): 0}), threshold=100, bias=(0, 4), modulator=1, learning=(0, -1))
    rule = LearningGroup(causal_heights=(OFF, OFF, OFF), acausal_heights=(OFF, OFF, OFF))
    core = NsatCore(1, [0], (group,), (rule,), pre=[0], post=[0], state=[0], weights=[150])
    simulation = NsatSimulation([core])
    out = simulation.run(200, [(tick, 0, 0) for tick in range(5, 200, 9)])
    assert out.counts["neuron_fired"] > 10
    assert simulation.weights(0).tolist() == [150] and out.counts["synapse_updated"] == 0
