"""Neurons in fixed point beside the same neurons in floating point, and leaky neurons with stochastic input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import neurosim as ns
from neurosim import models, registry
from neurosim.errors import InputError

models.load_builtin()

CELLS: dict[str, tuple[dict[str, Any], float, float]] = {
    "lif-delta": ({}, 0.09, 1.0),
    "lif-exponential": ({}, 0.6, 1.0),
    "lif-kinetic-1": ({}, 0.012, 1.0),
    "lif-kinetic-2": ({}, 0.012, 1.0),
    "lif-dual": ({}, 0.015, 64.0),
    "lif-adaptive": ({}, 0.09, 1.0),
    "mihalas-niebur": ({"a_Hz": 5.0, "A_1": 10.0, "A_2": -0.6}, 2.0, 1.0),
    "izhikevich": ({}, 12.0, 64.0),
    "escape-rate": ({"width": 0.1}, 0.05, 1.0),
}
"""Of every neuron with a membrane: parameters, a current at which it fires, and how large its states are."""
LINEAR = ("lif-delta", "lif-kinetic-1", "lif-kinetic-2", "lif-dual")
TICK_S, TICKS = 2.5e-4, 3000
FINE, COARSE = 2.0**-26, 2.0**-12
GRIDS = (10, 14, 18)


def states_of(model: str) -> tuple[str, ...]:
    names: tuple[str, ...] = registry.find("dynamic", model).module.STATES
    return names


def simulate(net: ns.Network, **options: Any) -> ns.Simulation:
    able = {"chip.capabilities.neurons": ["if", "lif", *registry.names("dynamic")], "chip.timing.tick_s": TICK_S}
    return ns.Simulation("analog-if", net, timing="clocked", ideal=True, dtype="float64", overrides=able, **options)


def exact(model: str, ticks: int, current: Any, **parameters: Any) -> tuple[list[int], tuple[float, ...]]:
    """(ticks of spikes, states at the end) in floating point: the model's file in plain Python."""
    schema: Any = registry.validated("dynamic", {"model": model, **parameters})
    module: Any = registry.find("dynamic", model).module
    states, numbers, spikes = schema.start(), schema.coefficients(TICK_S), []
    for tick in range(ticks):
        inputs = [0.0] * len(module.RECEPTORS)
        inputs[-1 if callable(current) else 0] = current(tick) if callable(current) else current
        states = module.integrate(*states, *inputs, *numbers)
        if module.fires(*states, *numbers):
            spikes.append(tick)
            states = module.reset(*states, *numbers)
    return spikes, states


@pytest.fixture(scope="module")
def built() -> tuple[ns.Simulation, ns.Simulation, dict[str, Any]]:
    """Everything in one network, so that one kernel is compiled: fine and coarse grids, and single events.

    And the coarse grids alone, whose cuts are counted.
    """
    net, few = ns.Network(), ns.Network()
    event = net.add_population("in", 1, model="input")
    few.add_population("in", 1, model="input")
    for model, (parameters, current, scale) in CELLS.items():
        bias = current * np.linspace(1.0, 1.3, 6)
        for form, bits, step in (("fine", 32, FINE), ("coarse", 8, COARSE)):
            for each in (net, few) if form == "coarse" else (net,):
                each.add_population(f"{model} {form}", 6, model=model, bias=bias, **parameters, fixed_bits=bits,
                                    fixed_step=step * scale)  # fmt: skip
    for model in LINEAR:
        receptor = registry.find("dynamic", model).module.RECEPTORS[-1]
        for bits in GRIDS:
            one = net.add_population(f"{model} {bits}", 1, model=model, threshold=1e6, tau_mem_s="2 ms", fixed_bits=32,
                                     fixed_step=2.0 ** (4 - bits))  # fmt: skip
            net.connect(event, one, weights=[[3.0]], receptor=receptor)
    sim, cut = simulate(net), simulate(few)
    cut.run(200)
    names = [population.name for population in net.populations if population.size == 6]
    outs = [sim.run(80, events={"in": ([0], [0])}, record=names)]
    early = {(model, bits): [float(sim.state(f"{model} {bits}", name)[0]) for name in states_of(model)]
             for model in LINEAR for bits in GRIDS}  # fmt: skip
    outs.append(sim.run(TICKS - 80, record=names))
    spikes = {name: tuple(np.concatenate(each) for each in zip(*(out.spikes[name] for out in outs), strict=True))
              for name in names}  # fmt: skip
    return sim, cut, {"early": early, "spikes": spikes}


def test_every_neuron_with_a_membrane_is_here() -> None:
    assert set(CELLS) == set(registry.names("dynamic")) - {"poisson"}  # a rate in Hz is no state to be rounded


@pytest.mark.parametrize("model", CELLS)
def test_a_fine_grid_gives_the_spikes_of_floating_point(model: str, built: Any) -> None:
    """Spike for spike, some of them a tick apart where a membrane touches its threshold; states lie on the grid."""
    sim, _, found = built
    parameters, current, _ = CELLS[model]
    tick, neuron = found["spikes"][f"{model} fine"]
    assert tick.size > 18
    for k, bias in enumerate(current * np.linspace(1.0, 1.3, 6)) if model != "escape-rate" else ():
        spikes, _ = exact(model, TICKS, float(bias), **parameters)
        assert len(spikes) == np.sum(neuron == k) > 3
        assert np.abs(np.array(spikes) - tick[neuron == k]).max() <= 1
    for form, step in (("fine", FINE), ("coarse", COARSE)):
        for name in states_of(model):
            steps = sim.state(f"{model} {form}", name) / (step * CELLS[model][2])
            assert np.array_equal(steps, np.round(steps)), name


@pytest.mark.parametrize("model", LINEAR)
def test_rounding_neither_adds_nor_takes_more_than_half_a_step(model: str, built: Any) -> None:
    """After one event, every state is off by less than what half a step a tick comes to, on any grid."""
    early = built[2]["early"]
    gain = 1.0 / -math.expm1(-TICK_S / 20e-3)  # what a constant error comes to in the slowest state
    _, known = exact(model, 80, lambda tick: 3.0 * (tick == 1), threshold=1e6, tau_mem_s="2 ms")
    for bits in GRIDS:
        for state, rounded in zip(known, early[model, bits], strict=True):
            assert abs(state - rounded) <= 0.5 * 2.0 ** (4 - bits) * 80 * gain


@pytest.mark.parametrize("model", CELLS)
def test_too_few_bits_are_counted_and_cut(model: str, built: Any) -> None:
    """Eight bits of 2^-12 hold 0.031: states are cut to that, after a spike as well."""
    step = COARSE * CELLS[model][2]
    for sim in built[:2]:
        for name in states_of(model):
            assert np.abs(sim.state(f"{model} coarse", name)).max() <= 128 * step
    assert built[1].saturated > 200


@pytest.mark.parametrize(("model", "fixed"), [("lif", False), ("lif-delta", True)])
def test_a_leaky_neuron_with_stochastic_input_has_mean_and_variance_in_closed_form(model: str, fixed: bool) -> None:
    """Each of N synapses brings w with probability p q in a tick: mean N w p q / alpha, variance N w^2 pq (1 - pq) /
    (1 - r^2), r = 1 - alpha."""
    inputs, cells, p, q, w, ticks = 20, 300, 0.6, 0.2, 0.25, 400
    net = ns.Network()
    net.add_population("in", inputs * cells, model="input")
    more: dict[str, Any] = {"fixed_bits": 20, "fixed_step": 2.0**-8} if fixed else {}
    net.add_population("x", cells, model=model, threshold=1e9, tau_mem_s="5 ms", **more)
    net.connect("in", "x", pre=np.arange(inputs * cells), post=np.repeat(np.arange(cells), inputs), weights=w,
                transmission=p)  # fmt: skip
    sim = simulate(net, seed=3)
    tick, neuron = np.nonzero(np.random.default_rng(4).random((ticks, inputs * cells)) < q)
    out = sim.run(ticks, events={"in": (tick, neuron)})
    assert out.counts["synaptic_event"] == tick.size  # a dropped event was looked up all the same
    keep = math.exp(-TICK_S / 5e-3)
    v = sim.state("x", "v").astype(float)
    mean = inputs * w * p * q / (1 - keep)
    variance = inputs * w**2 * p * q * (1 - p * q) / (1 - keep**2)
    assert abs(v.mean() - mean) <= 4 * math.sqrt(variance / cells)
    assert v.var() == pytest.approx(variance, rel=4 * math.sqrt(2 / cells))


def test_bits_that_a_float32_cannot_hold_are_refused() -> None:
    net = ns.Network()
    net.add_population("x", 1, model="lif-delta", fixed_bits=26)
    able = {"chip.capabilities.neurons": ["lif-delta"]}
    with pytest.raises(InputError, match="population 'x': fixed_bits = 26: float32 holds 25 bits"):
        ns.Simulation("analog-if", net, overrides=able, ideal=True)
    ns.Simulation("analog-if", net, overrides=able, ideal=True, dtype="float64")
