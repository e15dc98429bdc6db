"""Event-driven random back-propagation in whole numbers: the NSAT tick bit for bit, one result however it is run."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from helpers_erbp import learns_clothes, network, one_result, only_looks
from helpers_laws import RI, Table, classes_of, dense, plain

from neurosim import api
from neurosim.chip.nsat import OFF, LearningGroup, NeuronGroup, NsatCore
from neurosim.data import Dataset
from neurosim.engine import erbp_integer_state
from neurosim.engine.machine import Machine
from neurosim.engine.nsat import NsatSimulation
from neurosim.errors import InputError
from neurosim.kernels import erbp_integer, random
from neurosim.spec.scenario import Scenario

CLASSES, PIXELS, TICKS, BURN_IN, PERIOD = 5, 7, 60, 6, 4
WORDS = {"model": "quantized", "bits": 9, "w_min": -256, "w_max": 255}
NEURON: Table = {"model": "erbp-nsat", "threshold": 60, "gain": 2, "gate_low": -150, "gate_high": 220}


def small(
    hidden: tuple[int, ...] = (6,), neuron: Table | None = None, integer: Table | None = None, **more: Any
) -> Scenario:
    """A 7-6-5 network (or deeper), samples of 60 ticks; errors are large enough to move weights by whole steps."""
    chosen = {**NEURON, **(neuron or {})}
    layers = [dense(f"hidden{k}", n, chosen) for k, n in enumerate(hidden)] + [dense("out", CLASSES, chosen)]
    form = {"rate_shift": -3, "rounding_bits": 5, "feedback_shuffles": 200, **(integer or {})}
    training = {"arithmetic": "integer", "sample_s": 1e-3 * TICKS, "burn_in_s": 1e-3 * BURN_IN, "integer": form}
    words = {"chip": {"synapse": {"device": WORDS}}, "stop": {"steps": 30}}
    return network(layers, {"model": "uniform", "scale": 30.0}, training, words, more)


def images(n: int = 9) -> Dataset:
    """Pixels at several rates, by class."""
    x = np.random.default_rng(5).uniform(0.3, 0.9, (n, PIXELS))
    return classes_of(x, np.arange(n) % CLASSES, CLASSES)


# --- the NSAT tick ------------------------------------------------------------------------------------------------------


def as_core(machine: Machine) -> NsatCore:
    """The machine's network with its weights of now, on one core of NSAT: pixels and labels are its inputs."""
    plan, scenario = machine.plan, machine.scenario
    form, G = scenario.training.integer, erbp_integer_state.feedback(scenario, plan).astype(int)
    labels, neurons, errors = PIXELS, PIXELS + CLASSES, PIXELS + CLASSES + plan.activations
    groups, rules, group, synapses = [], [], [], []
    for layer in plan.layers:
        neuron = layer.neuron
        reset = ("set" if neuron.reset == "hard" else "none", "none")
        groups.append(
            NeuronGroup(
                A=[[neuron.membrane_shift, OFF], [OFF, neuron.dendrite_shift]],
                threshold=int(neuron.threshold),
                reset=reset,
                refractory_ticks=neuron.refractory_ticks,
                noise_std=(neuron.noise_std, 0),
                transmit=(neuron.transmit, 15),
                gain=(neuron.gain, neuron.feedback_gain),
                modulator=1,
                learning=(layer.index, -1),
            )
        )
        rules.append(
            LearningGroup(
                rule="event",
                acausal_heights=(form.rate_shift, OFF, OFF),
                gate=(neuron.gate_low, neuron.gate_high),
                period_ticks=10_000,
                burn_in_ticks=BURN_IN + 1,
                rounding_bits=int(machine.arrays["integer"][-1]),
            )
        )
        group += [layer.index] * layer.n
        first = 0 if layer.index == 0 else neurons + plan.layers[layer.index - 1].act
        w = machine.weights(layer.name)[:-1].astype(int)
        synapses += [(first + i, layer.act + j, 0, w[i, j]) for i in range(layer.n_in) for j in range(layer.n)]
    groups.append(
        NeuronGroup(
            A=[[OFF, OFF], [OFF, OFF]],
            threshold=form.error_threshold,
            reset=("add", "none"),
            low=(0, -32767),
            reset_value=(-form.error_threshold, 0),
            gain=(form.error_gain, 0),
        )
    )
    group += [len(plan.layers)] * 2 * CLASSES
    for c in range(CLASSES):
        for unit, w in ((labels + c, form.error_weight), (neurons + plan.output.act + c, -form.error_weight)):
            synapses += [(unit, plan.activations + c, 0, w), (unit, plan.activations + CLASSES + c, 0, -w)]
        for k, sign in ((c, 1), (CLASSES + c, -1)):
            synapses += [(errors + k, j, 1, sign * G[c, j]) for j in range(plan.output.act)]
            synapses += [(errors + k, plan.output.act + c, 1, sign * form.output_feedback)]
    synapses.sort(key=lambda one: one[0])  # stable: as numbered by `first_synapse`
    pre, post, state, weights = np.array(synapses).T
    return NsatCore(PIXELS + CLASSES, group, tuple(groups), tuple(rules), pre, post, state, weights)


CASES = {
    "nothing random": {"integer": {"rounding_bits": 0, "rate_shift": -8}},
    "rounding": {},
    "hard reset": {"neuron": {"reset": "hard"}},
    "noise": {"neuron": {"noise_std": 25}},
    "blank-out": {"neuron": {"transmit": 9}},
    "deep, all of it": {"hidden": (6, 4), "neuron": {"transmit": 11, "noise_std": 15, "refractory_ticks": 2}},
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_nsat_bit_for_bit(case: str) -> None:
    """Three samples, one after another: spikes, counts, both states and all weights equal those of an NSAT core."""
    made = small(**CASES[case])
    machine = plain(Machine(made, images()))
    plan, moved, fired = machine.plan, 0, 0
    for _ in range(3):
        core, before = as_core(machine), dict(machine.totals)
        machine.burst(1)
        arrays = machine.arrays
        slots, moment = 0, int(arrays["ri"][RI["MOMENT"]])
        label = int(arrays["ri"][RI["LABEL"]])
        events = [(t, 0, PIXELS + label) for t in range(PERIOD, TICKS + 1, PERIOD)]
        for t in range(TICKS):
            events += [(t + 1, 0, int(i)) for i in arrays["input_spikes"][t, : arrays["input_spike_count"][t]]]
        seed = erbp_integer_state.sample_seed(made.seed, moment, slots)
        simulation = NsatSimulation([core], seed=seed)
        out = simulation.run(TICKS, events)
        _, neuron = out.spikes[0]
        counts = {name: machine.totals[name] - before[name] for name in machine.totals}
        for layer in plan.layers:
            span = slice(layer.act, layer.act + layer.n)
            assert counts[f"FIRED_{layer.index}"] == ((neuron >= span.start) & (neuron < span.stop)).sum()
        assert counts["ERRORS"] == (neuron >= plan.activations).sum() > 0
        np.testing.assert_array_equal(
            arrays["count"], np.bincount(neuron, minlength=plan.activations)[: plan.activations]
        )
        np.testing.assert_array_equal(arrays["membrane"], simulation.state(0)[: plan.activations, 0])
        np.testing.assert_array_equal(arrays["dendrite"], simulation.state(0)[: plan.activations, 1])
        np.testing.assert_array_equal(arrays["error"], simulation.state(0)[plan.activations :, 0])
        after = as_core(machine)
        np.testing.assert_array_equal(after.weights, simulation.weights(0))
        reached = sum(counts[f"ACTIVE_{layer.index}"] * layer.n for layer in plan.layers)
        assert reached + counts["COMPARED"] + counts["FEEDBACK"] == out.counts["synaptic_event"]
        assert counts["WRITTEN"] == out.counts["synapse_updated"]
        moved += int((after.weights != core.weights).sum())
        fired += out.counts["neuron_fired"]
    assert moved > 50
    assert fired > 50


@pytest.mark.parametrize(("hard", "rest", "period"), [
    (False, 0, 1), (False, 1, 1), (False, 4, 4), (True, 0, 1), (True, 1, 2), (True, 4, 5),
])  # fmt: skip
def test_a_spike_every_so_many_ticks(hard: bool, rest: int, period: int) -> None:
    """V = 150 in every tick, the threshold is 100: the rest ends in the tick of the next spike, unless V is held at 0."""
    x, resting, fired, ticks = np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(1, np.int64), []
    for tick in range(1, 21):
        x[0] = 150
        if erbp_integer.fire(x, resting, 100, rest, hard, fired):
            ticks.append(tick)
    assert ticks == list(range(1, 21, period))


def test_a_wrong_shift_is_noticed() -> None:
    """The comparison above can fail: a core whose leak is one shift off ends elsewhere."""
    machine = plain(Machine(small(), images()))
    core = as_core(machine)
    machine.burst(1)
    arrays = machine.arrays
    events = [
        (t + 1, 0, int(i)) for t in range(TICKS) for i in arrays["input_spikes"][t, : arrays["input_spike_count"][t]]
    ]
    slower = core.groups[0].model_copy(update={"A": (((-3, OFF), (OFF, -2)),)})
    right, wrong = (
        NsatSimulation([NsatCore(core.inputs, core.group, groups, (), core.pre, core.post, core.state, core.weights)])
        for groups in (without_learning(core.groups), without_learning((slower, *core.groups[1:])))
    )
    for simulation in (right, wrong):
        simulation.run(10, [event for event in events if event[0] <= 10])
    assert not np.array_equal(right.state(0), wrong.state(0))


def without_learning(groups: tuple[NeuronGroup, ...]) -> tuple[NeuronGroup, ...]:
    return tuple(group.model_copy(update={"learning": ()}) for group in groups)


# --- random parts -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", range(1, 15))
def test_blank_out_is_a_limit_on_words(p: int) -> None:
    """(word + 1/2) / 2^32 * 15 < p holds for the words below the limit and for no other; the limit is p/15 of all."""
    limit = erbp_integer.blank_limit(p)
    assert abs(limit / 2**32 - p / 15) < 1e-9
    assert (float(limit - 1) + 0.5) * 2.0**-32 * 15.0 < p <= (float(limit) + 0.5) * 2.0**-32 * 15.0


def test_blank_out_keeps_all_or_none() -> None:
    """15 of 15 is no blank-out at all, 0 of 15 lets nothing pass."""
    assert erbp_integer.blank_limit(15) == 2**32
    w, current, words = np.ones(40, np.float32), np.zeros(8, np.float32), np.zeros(8, np.uint32)
    erbp_integer.blank_out(w, np.arange(5), 5, current, words, 77, 0, erbp_integer.blank_limit(0))
    assert not current.any()


def test_changes_are_rounded_without_bias_and_clipped() -> None:
    """d = 5 steps of 2^-4 moves 5 of 16 weights by one, d = -5 by minus one; both loops agree; stuck weights stay."""
    rows, n, bits = 800, 10, 4
    u, v = np.array([5] * 5 + [-5] * 5), np.zeros(n, np.int64)
    v[4] = 100  # the gate of one neuron is shut
    whole, limit = np.zeros(n, np.float32), np.zeros(n, np.uint32)
    assert erbp_integer.changes(u, v, -50, 50, 0, bits, whole, limit) == n - 1
    assert whole.tolist() == [0.0] * 5 + [-1.0] * 5
    w, key, fired = np.zeros(rows * n, np.float32), random.stream_key(1, 2, 0, 0, 0), np.arange(rows)
    moved = erbp_integer.learn_rows(w, fired, rows, whole, limit, np.zeros(n, np.uint32), key, 3, -256.0, 255.0)
    assert moved == np.abs(w).sum()
    table = w.reshape(rows, n)
    p = 5 / 16
    assert table[:, :4].mean() == pytest.approx(p, abs=5.0 * math.sqrt(p * (1 - p) / (4 * rows)))
    assert table[:, 5:].mean() == pytest.approx(-p, abs=5.0 * math.sqrt(p * (1 - p) / (5 * rows)))
    assert not table[:, 4].any()
    again, free = np.zeros(rows * n, np.float32), np.ones(rows * n, np.int64)
    some, none = np.zeros(n, np.int64), np.zeros(0, np.int64)
    assert erbp_integer.learn_some(again, none, fired, rows, whole, limit, key, 3, -256.0, 255.0, some) == moved
    np.testing.assert_array_equal(again, w)
    free[::3] = 0
    erbp_integer.learn_some(again, free, fired, rows, whole, limit, random.sub_key(key, 1), 3, -1.0, 1.0, some)
    np.testing.assert_array_equal(again[::3], w[::3])
    assert set(np.unique(again)) == {-1.0, 0.0, 1.0}
    assert not np.array_equal(again, w)


def test_feedback_is_whole_and_sums_to_zero() -> None:
    """Each shuffle puts two +1 and two -1 on ten classes: standard deviation sqrt(0.4 n) for n of them."""
    _, made = api.load_scenario("pi-mnist-erbp-100-nsat", overrides={"training.integer.feedback_shuffles": 500})
    digits = classes_of(np.zeros((10, 4)), np.arange(10), 10)
    g = erbp_integer_state.feedback(made, Machine(made, digits).plan)
    assert g.shape == (10, 100)
    np.testing.assert_array_equal(g, np.round(g))
    np.testing.assert_array_equal(g.sum(axis=0), 0.0)
    assert g.std() == pytest.approx(math.sqrt(0.4 * 500), rel=0.1)


def test_rate_falls_in_halves() -> None:
    """Rounding bits rise by one at each half of what is left of the rate, nearest in value, up to 16."""
    machine = plain(Machine(small(training={"anneal_steps": 32}, integer={"rounding_bits": 12}), images()))
    bits = []
    for _ in range(33):
        machine.burst(1)
        bits.append(int(machine.arrays["integer"][-1]))
    assert bits == [12] * 9 + [13] * 12 + [14] * 6 + [15] * 3 + [16] * 3


# --- one result ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{}, {"chip": {"synapse": {"stuck_fraction": 0.3}}}])
def test_any_mode_and_burst_gives_the_same_bits(more: Table) -> None:
    """With blank-out, noise and a falling rate; and with stuck weights."""
    made = small(neuron={"transmit": 11, "noise_std": 9}, training={"anneal_steps": 30}, **more)
    one_result(made, images(), 17)


def test_testing_learns_nothing() -> None:
    """An evaluation leaves weights and counts, and has no errors to feed back."""
    machine = plain(Machine(small(), images()))
    only_looks(machine, 9)
    assert not machine.arrays["dendrite"].any()


def test_weights_are_words() -> None:
    """Three bits are -4 to 3; every weight stays a whole number among them."""
    narrow = {"model": "quantized", "bits": 3, "w_min": -4, "w_max": 3}
    machine = plain(Machine(small(chip={"synapse": {"device": narrow}}, network={"init": {"scale": 3.0}}), images()))
    machine.burst(15)
    held = set(np.unique(machine.weights("hidden0")[:-1]))
    assert {-4.0, 3.0} <= held <= set(range(-4, 4))


# --- it learns ----------------------------------------------------------------------------------------------------------


def test_it_learns() -> None:
    """Clothes: far above chance (a tenth), and fewer error spikes."""
    learns_clothes("pi-mnist-erbp-100-nsat", {}, accuracy=0.65, errors=0.8)


# --- bad input ----------------------------------------------------------------------------------------------------------


def test_every_problem_at_once() -> None:
    """Real-valued weights, another clock, neurons of the other form, and words whose sums float32 cannot hold."""
    with pytest.raises(InputError) as caught:
        Machine(small(chip={"timing": {"model": "simple"}, "synapse": {"device": "ideal"}}), images())
    text = "\n".join(caught.value.problems)
    assert "memory of words" in text
    assert "chip.timing.model" in text
    other = [dense("hidden0", 6, "erbp-lif"), dense("out", CLASSES, NEURON)]
    with pytest.raises(InputError, match="needs erbp-nsat"):
        Machine(small(network={"layers": other}), images())
    with pytest.raises(InputError, match="w_min = -8 and w_max = 7"):
        Machine(small(chip={"synapse": {"device": {"bits": 4, "w_min": -7.0, "w_max": 7.0}}}), images())
    wide = {"bits": 20, "w_min": -(2**19), "w_max": 2**19 - 1}
    pictures = classes_of(np.zeros((CLASSES, 40)), np.arange(CLASSES), CLASSES)
    with pytest.raises(InputError, match="pass 2\\^24"):
        Machine(small(chip={"synapse": {"device": wide}}), pictures)


def test_settings_of_the_other_form_are_refused() -> None:
    """What the chosen arithmetic does not read must not be set; whole numbers are whole."""
    with pytest.raises(InputError) as caught:
        small(training={"boxcar": 0.5, "learning_rate": 0.1})
    text = "\n".join(caught.value.problems)
    assert "boxcar: means nothing" in text
    assert "learning_rate: means nothing" in text
    with pytest.raises(InputError, match='needs arithmetic = "integer"'):
        small(training={"arithmetic": "float"})
    with pytest.raises(InputError, match="whole number"):
        small(neuron={"threshold": 60.5})
    with pytest.raises(InputError, match="gate_low must lie below"):
        small(neuron={"gate_low": 1200})
