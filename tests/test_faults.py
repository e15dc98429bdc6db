"""Faults: dead cores, links and synapses, from fabrication on or from a tick on, by hand and in training."""

from __future__ import annotations

import functools
import math
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_laws import Table, classes_of, dense, merged, same_run, samples, scenario

import neurosim as ns
from neurosim import api, models
from neurosim.chip import faults
from neurosim.data import Dataset
from neurosim.engine import program
from neurosim.engine.control import Control
from neurosim.engine.machine import Machine
from neurosim.engine.sink import NullSink
from neurosim.errors import InputError
from neurosim.spec import load
from neurosim.spec.chip import Chip
from neurosim.spec.scenario import Scenario

models.load_builtin()

N, SYNAPSES, STRIKE, END = 60, 900, 20, 45
GEOMETRY = {"cores": 6, "mesh_width": 3, "neurons_per_core": 20, "inputs_per_core": 1000, "synapses_per_core": 10**6}
HOPS = ("hop_east", "hop_west", "hop_north", "hop_south")


COUNTED = ("neuron_visited", "neuron_updated", "neuron_fired", "synaptic_event", "message", "message_received", *HOPS)
PRICES = dict.fromkeys(COUNTED, (1.0, 1.0))
PRICES["barrier"] = (0.0, 100.0)


def chip(*faulty: Table, **geometry: Any) -> Chip:
    """A digital chip of 3 x 2 cores, one on each tile."""
    table = {
        "name": "toy",
        "summary": "a chip for tests",
        "geometry": {**GEOMETRY, **geometry},
        "capabilities": {"neurons": ["if"], "write_schemes": ["element"]},
        "synapse": {"device": "ideal"},
        "timing": {"tick_s": 1e-6},
        "static": {"power_W": 1e-3, "source": "a test", "kind": "published"},
        "prices": {
            name: {"energy_J": f"{energy} pJ", "latency_s": f"{latency} ns", "source": "a test", "kind": "published"}
            for name, (energy, latency) in PRICES.items()
        },
        "faults": list(faulty),
    }
    return load.validate(Chip, table, "chip")


def network() -> ns.Network:
    rng = np.random.default_rng(5)
    net = ns.Network()
    net.add_population("a", N, bias=rng.uniform(0.1, 0.4, N))
    net.connect("a", "a", pre=rng.integers(0, N, SYNAPSES), post=rng.integers(0, N, SYNAPSES),
                weights=rng.normal(0.0, 0.15, SYNAPSES))  # fmt: skip
    net.place("a", np.arange(N) // 10)
    return net


class Seen:
    """A run in parts, as one."""

    def __init__(self, sim: ns.Simulation, parts: tuple[int, ...] = (END,)) -> None:
        outputs = [sim.run(ticks, record="a") for ticks in parts]
        self.sim, self.outputs = sim, outputs
        self.tick = np.concatenate([out.spikes["a"].tick for out in outputs])
        self.neuron = np.concatenate([out.spikes["a"].neuron for out in outputs])
        self.lost = sum(out.messages_lost for out in outputs)
        self.counts = sim.ledger.counts

    def spikes(self, low: int = 0, high: int = END) -> list[tuple[int, int]]:
        inside = (self.tick >= low) & (self.tick < high)
        return list(zip(self.tick[inside].tolist(), self.neuron[inside].tolist(), strict=True))


def run(*faulty: Table, parts: tuple[int, ...] = (END,), timing: str = "clocked") -> Seen:
    return Seen(ns.Simulation(chip(*faulty), network(), dtype="float64", timing=timing), parts)


@functools.cache
def whole(timing: str = "clocked") -> Seen:
    """Without faults."""
    return run(timing=timing)


KINDS: dict[str, Table] = {
    "core": {"dead_cores": ["2"]},
    "cores and links": {"dead_cores": ["0", "4..5"], "dead_links": ["1,0-2,0"]},
    "a link with a way around": {"dead_links": ["0,0-1,0"]},
    "a tile cut off": {"dead_links": ["0,0-1,0", "0,0-0,1"]},
    "synapses": {"dead_synapse_fraction": 0.3},
}

# Driven by hand


@pytest.mark.parametrize("timing", ["clocked", "simple"])
@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_nothing_changes_before_the_strike(kind: Table, timing: str) -> None:
    """Bit for bit, counts and time too; and any partition of the run gives the same."""
    struck = run({"tick": STRIKE, **kind}, timing=timing)
    assert struck.spikes(0, STRIKE) == whole(timing).spikes(0, STRIKE) != []
    before = ns.Simulation(chip(), network(), dtype="float64", timing=timing)
    coming = ns.Simulation(chip({"tick": STRIKE, **kind}), network(), dtype="float64", timing=timing)
    one, two = before.run(STRIKE), coming.run(STRIKE)
    assert one.ledger == two.ledger
    assert (two.faults, two.messages_lost) == ((), 0)
    np.testing.assert_array_equal(before.state("a", "v"), coming.state("a", "v"))
    for parts in ((STRIKE, END - STRIKE), (7, 13, 1, END - 21), (STRIKE + 1, END - STRIKE - 1)):
        again = run({"tick": STRIKE, **kind}, parts=parts, timing=timing)
        assert again.spikes() == struck.spikes()
        assert again.sim.ledger == struck.sim.ledger
        assert again.lost == struck.lost
        np.testing.assert_array_equal(again.sim.state("a", "v"), struck.sim.state("a", "v"))


def test_neurons_of_a_dead_core_neither_fire_nor_count() -> None:
    """The same as silencing them by hand: their spikes, and those of all others."""
    struck = run({"tick": STRIKE, "dead_cores": ["2"]})
    gone = np.arange(20, 30)
    assert not np.isin(struck.neuron[struck.tick >= STRIKE], gone).any()
    assert np.isin(whole().neuron[whole().tick >= STRIKE], gone).sum() > 10
    sim = ns.Simulation(chip(), network(), dtype="float64", record="a")
    first = sim.run(STRIKE)
    v, bias = sim.state("a", "v"), sim.state("a", "bias")
    v[gone], bias[gone] = -1e9, 0.0
    sim.set_state("a", "v", v)
    sim.set_state("a", "bias", bias)
    rest = sim.run(END - STRIKE)
    silenced = list(zip(np.r_[first.spikes["a"].tick, rest.spikes["a"].tick].tolist(),
                        np.r_[first.spikes["a"].neuron, rest.spikes["a"].neuron].tolist(), strict=True))  # fmt: skip
    assert struck.spikes() == silenced
    alive = np.setdiff1d(np.arange(N), gone)
    np.testing.assert_array_equal(struck.sim.state("a", "v")[alive], sim.state("a", "v")[alive])
    # living neurons are visited in every tick, dead ones until the strike; messages are sent all the same
    assert struck.counts["neuron_visited"] == END * N - (END - STRIKE) * 10
    assert struck.counts["message"] == sim.ledger.counts["message"]
    assert [struck.counts[name] for name in HOPS] == [sim.ledger.counts[name] for name in HOPS]
    events, all_events = struck.sim.counts_by_core["synaptic_event"], sim.counts_by_core["synaptic_event"]
    others = np.arange(6) != 2
    np.testing.assert_array_equal(events[others], all_events[others])
    assert 0 < events[2] < all_events[2]
    assert struck.lost > 0


def test_lost_messages_are_counted() -> None:
    """One neuron spikes in ticks 9, 19, 29, ...; it sends to three cores, one of which dies before tick 15."""
    net = ns.Network()
    net.add_population("src", 1, bias=0.1, threshold=0.999, reset="hard")
    net.add_population("dst", 3, threshold=1e9)
    net.connect("src", "dst", pre=[0, 0, 0], post=[0, 1, 2], weights=1.0)
    net.place("src", 0)
    net.place("dst", [1, 2, 5])
    for fault, arrived, hops in (
        ({"dead_cores": ["2"]}, [5, 1, 5], 5 * (1 + 2 + 3)),  # sent, carried as far as the core, lost there
        ({"dead_links": ["1,0-2,0", "2,0-2,1"]}, [5, 1, 5], 5 * (1 + 3) + 1 * 2),  # tile 2,0 is cut off
        ({"dead_links": ["0,0-1,0"]}, [5, 5, 5], 1 * (1 + 2 + 3) + 4 * (3 + 4 + 3)),  # all go the long way
        ({"dead_synapse_fraction": 1.0}, [1, 1, 1], 5 * (1 + 2 + 3)),
    ):
        sim = ns.Simulation(chip({"tick": 15, **fault}), net, dtype="float64")
        out = sim.run(55)
        assert out.counts["neuron_fired"] == 5
        assert out.counts["message"] == 15
        assert sim.state("dst", "v").tolist() == arrived, fault
        assert sum(out.counts[name] for name in HOPS) == hops, fault
        lost = sum(5 - count for count in arrived) if "dead_synapse_fraction" not in fault else 0
        assert out.messages_lost == lost
        assert out.counts["synaptic_event"] == 15 - lost
        assert [strike.described()["tick"] for strike in out.faults] == [15]


def test_a_way_around_changes_hops_alone() -> None:
    struck = run({"tick": STRIKE, "dead_links": ["0,0-1,0"]})
    assert struck.spikes() == whole().spikes()
    assert struck.lost == 0
    changed = {name for name, count in struck.counts.items() if count != whole().counts[name]}
    assert changed
    assert changed <= set(HOPS)
    assert sum(struck.counts[name] for name in HOPS) > sum(whole().counts[name] for name in HOPS)


def test_from_fabrication_on_links_are_gone_around_too() -> None:
    built, struck = run({"dead_links": ["0,0-1,0"]}), run({"tick": 1, "dead_links": ["0,0-1,0"]})
    assert built.spikes() == whole().spikes()
    quiet = {name: built.counts[name] - struck.counts[name] for name in HOPS}
    assert whole().tick.min() > 0  # no message was sent before tick 1, so the two are one
    assert not any(quiet.values())
    assert [strike.tick for strike in built.outputs[0].faults] == [0]


def test_dead_synapses_are_a_fraction_drawn_with_the_fabrication_seed() -> None:
    sim = ns.Simulation(chip({"dead_synapse_fraction": 0.3}), network(), dtype="float64")
    dead = sim.weights("a", "a") == 0.0
    assert abs(dead.mean() - 0.3) < 4 * math.sqrt(0.3 * 0.7 / SYNAPSES)
    sim.set_weights("a", "a", 1.0)
    np.testing.assert_array_equal(sim.weights("a", "a") == 0.0, dead)  # cannot be written
    assert (sim.weights("a", "a")[~dead] == 1.0).all()
    later = ns.Simulation(chip({"tick": 3, "dead_synapse_fraction": 0.3}), network(), dtype="float64", seed=9)
    assert (later.weights("a", "a") != 0.0).all()
    later.run(4)
    np.testing.assert_array_equal(later.weights("a", "a") == 0.0, dead)  # the same ones, whenever they die
    other = chip({"dead_synapse_fraction": 0.3}).model_copy(update={"fabrication_seed": 77})
    assert (dead != (ns.Simulation(other, network()).weights("a", "a") == 0.0)).any()
    two = ns.Simulation(chip({"dead_synapse_fraction": 0.3}, {"dead_synapse_fraction": 0.3}), network())
    assert abs((two.weights("a", "a") == 0.0).mean() - 0.51) < 4 * math.sqrt(0.51 * 0.49 / SYNAPSES)


def test_the_fraction_holds_for_many() -> None:
    for number in range(3):
        strike = faults.Strike(number, 0, (), (), 0.07)
        share = faults.dead_synapses(strike, 200_000, 1).mean()
        assert abs(share - 0.07) < 4 * math.sqrt(0.07 * 0.93 / 200_000)
    assert not faults.dead_synapses(faults.Strike(0, 0, (), (), 0.0), 1000, 1).any()
    assert faults.dead_synapses(faults.Strike(0, 0, (), (), 1.0), 1000, 1).all()


def test_weights_stay_with_their_synapses() -> None:
    """Also those that nothing reaches any more can be read and written."""
    sim = ns.Simulation(chip({"tick": 2, "dead_cores": ["1"], "dead_links": ["1,0-2,0"]}), network(), dtype="float64")
    before = sim.weights("a", "a")
    sim.run(5)
    np.testing.assert_array_equal(sim.weights("a", "a"), before)
    wanted = np.linspace(-1.0, 1.0, SYNAPSES)
    sim.set_weights("a", "a", wanted)
    np.testing.assert_array_equal(sim.weights("a", "a"), wanted)


def test_breaking_things_by_hand() -> None:
    """As if the chip file had said so."""
    sim = ns.Simulation(chip(), network(), dtype="float64", record="a")
    first = sim.run(STRIKE)
    sim.fail(dead_cores=[2], dead_links=["0,0-1,0"], dead_synapse_fraction=0.1)
    rest = sim.run(END - STRIKE)
    by_file = run({"tick": STRIKE, "dead_cores": ["2"], "dead_links": ["0,0-1,0"], "dead_synapse_fraction": 0.1})
    spikes = list(zip(np.r_[first.spikes["a"].tick, rest.spikes["a"].tick].tolist(),
                      np.r_[first.spikes["a"].neuron, rest.spikes["a"].neuron].tolist(), strict=True))  # fmt: skip
    assert spikes == by_file.spikes()
    assert sim.ledger == by_file.sim.ledger
    sim.fail(dead_cores=["0", "3..4"])
    assert [strike.number for strike in sim.run(1).faults] == [0, 1]
    early = ns.Simulation(chip(), network(), dtype="float64", record="a")
    early.fail(dead_cores=["2"])  # before the first tick, on a network that stands there already
    assert not np.isin(early.run(END).spikes["a"].neuron, np.arange(20, 30)).any()
    for bad, message in (
        ({"dead_cores": [6]}, "core 6 is out of range; there are cores 0 to 5"),
        ({"dead_links": ["0,0-2,0"]}, "not neighbours"),
        ({"dead_synapse_fraction": 1.5}, "dead_synapse_fraction = 1.5"),
    ):
        with pytest.raises(InputError, match=message):
            sim.fail(**bad)


# What bad input gets


def test_every_bad_fault_is_listed_with_its_key_path() -> None:
    table = chip().model_dump()
    table["faults"] = [
        {"dead_cores": ["6", "2..1", "x"]},
        {"dead_links": ["0,0-2,0", "0,0-9,0"], "dead_cores": ["4..8"]},
    ]
    with pytest.raises(InputError) as error:
        load.validate(Chip, table, "chip", root="chip.")
    text = str(error.value)
    for part in ("chip.faults.0", "chip.faults.1", "core 6 is out of range", "'2..1'", "core 8 is out of range"):
        assert part in text, text


def test_a_disconnected_mesh_is_an_error_where_cores_live_on_both_sides() -> None:
    cut = {"dead_links": ["0,0-1,0", "0,0-0,1"]}
    path = r"chip.faults.1.dead_links: tiles 0,0 and 1,0 cannot reach one another: the mesh is disconnected"
    with pytest.raises(InputError, match=path):
        ns.Simulation(load_unchecked({"dead_cores": ["3"]}, cut), network())
    alone = load_unchecked({"dead_cores": ["0"]}, cut)  # nobody lives in the corner that is cut off
    net = network()
    net.place("a", 1 + np.arange(N) // 12)
    assert ns.Simulation(alone, net).run(5).ticks == 5


def load_unchecked(*faulty: Table) -> Chip:
    """A chip whose faults nobody has checked against its mesh."""
    return chip().model_copy(update={"faults": tuple(load.validate(faults.Faults, each, "") for each in faulty)})


# In training

SMALL = [dense("hidden", 6, "sigmoid"), dense("out", 2, "sigmoid")]
FLOAT: Table = {"dtype": "float32", "init": {"model": "uniform", "scale": 0.5}}
STEPS, TICK = 60, 41
ARRAYS = {"cores": 12, "mesh_width": 4, "neurons_per_core": 3, "inputs_per_core": 8, "synapses_per_core": None}
"""Three cores a layer of 6, so that a dead core takes a part of it."""


def four() -> Dataset:
    rng = np.random.default_rng(72)
    return samples(rng.normal(size=(4, 3)), rng.uniform(size=(4, 2)), [0, 1, 1, 0], 2)


def images() -> Dataset:
    rng = np.random.default_rng(71)
    return classes_of(rng.uniform(size=(12, 6)), rng.integers(0, 3, size=12), 3)


def exact(**chip_: Any) -> tuple[Scenario, Dataset]:
    """Ideal devices, one write a step: the code itself is added to the weights."""
    training = {"tau_theta": 1, "norm_mag": 0.05, "learning_rate": 3.0}
    return scenario(SMALL, training, chip={"geometry": ARRAYS, **chip_}, network=FLOAT), four()


def pulsed(**chip_: Any) -> tuple[Scenario, Dataset]:
    """Devices that are pulsed, with noise; two perturbations a step."""
    device = {"model": "soft-bounds", "dw_min": 1e-3, "dw_min_std": 0.3}
    training = {"tau_theta": 3, "tau_p": 2, "norm_mag": 0.05, "learning_rate": 3.0, "difference": "two-noisy"}
    noisy = {"geometry": ARRAYS, "synapse": {"device": device, "read_noise_std": 1e-3}}
    return scenario(SMALL, training, chip=merged(noisy, chip_), network=FLOAT), four()


def high_pass(**chip_: Any) -> tuple[Scenario, Dataset]:
    """Analog training, whose weights move all the time."""
    training = {
        "difference": "high-pass",
        "tau_x": 7,
        "tau_theta": 5,
        "tau_p": 2,
        "norm_mag": 0.05,
        "learning_rate": 1.0,
    }
    return scenario(SMALL, training, chip={"geometry": ARRAYS, **chip_}, network=FLOAT), four()


def spiking_delta(**chip_: Any) -> tuple[Scenario, Dataset]:
    """delta-MGD on a spiking network, mismatch, noise and pulses on: five ticks an inference."""
    layers = [dense("hidden", 8, {"model": "if"}), dense("out", 3, {"model": "if"})]
    table: Table = {
        "chip": merged({"name": "analog-if", "geometry": {**ARRAYS, "neurons_per_core": 4}}, chip_),
        "network": {"layers": layers, "dtype": "float32", "spiking": {"readout_ticks": 5}, "init": {"model": "he"}},
        "task": {"data": "xor", "cost": "cross-entropy"},
        "training": {"model": "delta-mgd", "tau_theta": 1, "learning_rate": 3e-3, "probe_rms": 0.07},
        "stop": {"steps": 1000},
        "seed": 3,
    }
    return api.load_scenario(table)[1], images()


CASES = {"exact": exact, "pulsed": pulsed, "high-pass": high_pass, "spiking delta": spiking_delta}
DEATHS: dict[str, Table] = {"core": {"dead_cores": ["1"]}, "synapses": {"dead_synapse_fraction": 0.25}}


@pytest.fixture(autouse=True)
def plain_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Composed kernels run as plain Python (their loops stay compiled), so that none needs to be compiled."""
    compiled = program.load

    def load_plain(source: str, modules: tuple[str, ...]) -> types.ModuleType:
        if "hand-driven" in source.split("\n", 2)[0]:
            return compiled(source, modules)
        return as_plain(source)

    monkeypatch.setattr(program, "load", load_plain)


@functools.cache
def as_plain(source: str) -> types.ModuleType:
    text = source.replace(
        "from neurosim.kernels.wrap import kernel",
        "kernel = lambda function=None, cache=False: function if function else (lambda inner: inner)",
    )
    module = types.ModuleType(f"plain_kernel_{abs(hash(source))}")
    sys.modules[module.__name__] = module
    exec(compile(text, module.__name__, "exec"), module.__dict__)
    return module


def machine(case: str, *faulty: Table) -> Machine:
    resolved, data = CASES[case](faults=list(faulty))
    update = {
        "stop": resolved.stop.model_copy(update={"steps": STEPS}),
        "probes": resolved.probes.model_copy(update={"record_every": 16, "evaluate_every": 25}),
    }
    return Machine(resolved.model_copy(update=update), data)


def trained(case: str, *faulty: Table, **how: Any) -> tuple[Machine, Control]:
    built = machine(case, *faulty)
    control = Control(built, NullSink(), **how)
    control.begin()
    assert control.run() == "complete"
    return built, control


def tick_of(case: str) -> int:
    """In the middle of the run, and not at a boundary of the schedule."""
    return TICK * (10 if case == "spiking delta" else 1)


@functools.cache
def reference(case: str, death: str) -> tuple[Machine, Control]:
    return trained(case, {"tick": tick_of(case), **DEATHS[death]})


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize("case", CASES)
def test_training_is_the_same_until_the_strike(case: str, death: str) -> None:
    """Bit for bit, while the strike changes what comes after it."""

    def watch(built: Machine) -> list[tuple[int, bytes]]:
        seen: list[tuple[int, bytes]] = []
        control = Control(built, NullSink(), burst_steps=1)
        control.progress = lambda now: seen.append((now.machine.inferences, now.machine.arrays["theta"].tobytes()))
        control.begin()
        control.run()
        return seen

    one, two = watch(machine(case)), watch(machine(case, {"tick": tick_of(case), **DEATHS[death]}))
    window = machine(case).composition.window
    early = [k for k, (inferences, _) in enumerate(one) if inferences * window < tick_of(case)]
    assert len(early) >= 5
    assert [one[k] for k in early] == [two[k] for k in early]
    assert one[-1][1] != two[-1][1]


@pytest.mark.parametrize("death", DEATHS)
@pytest.mark.parametrize("case", CASES)
def test_any_mode_any_burst_and_resuming_give_the_same_bits(case: str, death: str) -> None:
    fault = {"tick": tick_of(case), **DEATHS[death]}
    same_run(reference(case, death), trained(case, fault, mode="event"))
    same_run(reference(case, death), trained(case, fault, burst_steps=7))
    for at in (5, 44):  # before the strike and after it
        built = machine(case, fault)
        kept: dict[str, Any] = {}

        class Keep(NullSink):
            def checkpoint(self, arrays: Any, meta: Any) -> None:
                kept["arrays"] = {key: array.copy() for key, array in arrays.items()}  # noqa: B023
                kept["meta"] = {key: dict(value) if isinstance(value, dict) else value for key, value in meta.items()}  # noqa: B023

        control = Control(built, Keep(), burst_steps=1)
        control.progress = lambda now: setattr(now, "stop_requested", now.machine.step >= at)  # noqa: B023
        control.begin()
        assert control.run() == "interrupted"
        assert built.step == at
        again = machine(case, fault)
        resumed = Control(again, NullSink())
        resumed.resume(kept["arrays"], kept["meta"])
        resumed.begin()
        assert resumed.run() == "complete"
        same_run(reference(case, death), (again, resumed))


@pytest.mark.parametrize("case", CASES)
def test_dead_synapses_hold_zero_and_cannot_be_written(case: str) -> None:
    built, control = reference(case, "synapses")
    drawn = faults.dead_synapses(
        faults.Strike(0, tick_of(case), (), (), 0.25), built.plan.parameters, built.scenario.chip.fabrication_seed
    )
    theta = np.asarray(built.arrays["theta"])
    assert drawn.sum() > 3
    assert (theta[drawn] == 0.0).all()
    assert (theta[~drawn] != 0.0).mean() > 0.9
    assert control.summary()["faults"] == [
        {"number": 0, "tick": tick_of(case), "dead_cores": [], "dead_links": [], "dead_synapse_fraction": 0.25}
    ]
    made = machine(case, {"dead_synapse_fraction": 0.25})
    assert (made.arrays["theta"][drawn] == 0.0).all()  # the same ones from fabrication on
    assert [strike.number for strike in made.faults.struck] == [0]


@pytest.mark.parametrize("case", CASES)
def test_a_dead_core_takes_its_synapses_and_silences_its_neurons(case: str) -> None:
    built, _ = reference(case, "core")
    synapses = built.placement.parameters_on(built.plan, {1})
    neurons = built.placement.neurons_on(built.plan, {1})
    assert 0 < synapses.sum() < built.plan.parameters
    assert 0 < neurons.sum() < built.plan.neurons
    assert (built.arrays["theta"][synapses] == 0.0).all()
    assert (built.arrays["act"][:, neurons] == 0.0).all()
    assert (built.arrays["act"][:, ~neurons] != 0.0).any()


@pytest.mark.parametrize("case", ["exact", "pulsed", "high-pass"])
def test_no_perturbation_reaches_a_dead_synapse(case: str) -> None:
    """With all synapses dead, every inference costs the same, so nothing is learned from."""
    built, _ = trained(case, {"dead_synapse_fraction": 1.0})
    assert (built.arrays["theta"] == 0.0).all()
    if case == "pulsed":
        return  # its reads are noisy all the same
    assert built.totals["ZERO_C_TILDE"] == built.totals["PROBES"] or case == "high-pass"
    z = np.asarray(built.arrays["z"])
    assert (z == 0.0).all()


def test_from_fabrication_on_dead_cores_are_passed_over() -> None:
    built, control = trained("exact", {"dead_cores": ["1"]})
    assert 1 not in {tile.core for tile in built.placement.tiles}
    without, _ = trained("exact")
    np.testing.assert_array_equal(built.arrays["theta"], without.arrays["theta"])
    assert [fault["number"] for fault in control.summary()["faults"]] == [0]


def test_links_cannot_die_in_training() -> None:
    with pytest.raises(InputError, match=r"chip.faults.0.dead_links: .* cannot die at tick 5; use tick = 0"):
        machine("exact", {"tick": 5, "dead_links": ["0,0-1,0"]})


def test_a_run_through_files(tmp_path: Path) -> None:
    """The summary says what struck, and a run that goes on from its trace strikes as if never stopped."""
    table: Table = {
        "chip": {"name": "nist-hw2", "geometry": ARRAYS, "faults": [{"tick": 90, "dead_cores": ["1"]}, {"tick": 9000}]},
        "network": {"layers": [*SMALL[:1], dense("out", 1, "sigmoid")], **FLOAT},
        "task": {"data": "xor", "cost": "mse"},
        "training": {"model": "mgd", "norm_mag": 0.05, "learning_rate": 3.0},
        "stop": {"steps": 100},
        "probes": {"record_every": 10, "evaluate_every": 50},
    }
    whole_run = api.run(table, output=tmp_path / "whole.h5")
    assert [fault["tick"] for fault in whole_run.summary["faults"]] == [90]

    def stop(control: Control) -> None:
        control.stop_requested = control.machine.step >= 70

    first = api.run(table, output=tmp_path / "part.h5", progress=stop, burst_steps=10)
    assert first.status == "interrupted"
    assert first.trace is not None
    second = api.resume(first.trace, output=tmp_path / "rest.h5")
    for each in (whole_run, second):
        each.summary.pop("host")
    assert {**second.summary, "scenario": ""} == {**whole_run.summary, "scenario": ""}


def test_link_loads_and_hops_agree_when_messages_go_astray() -> None:
    """Messages to a dead core cross their links, and are lost there."""
    rng = np.random.default_rng(5)
    network = ns.Network()
    population = network.add_population("p", 300, model="loihi-lif", bias=0.3, threshold=1.0)
    pre, post = rng.integers(0, 300, (2, 3000))
    network.connect(population, population, pre=pre, post=post, weights=0.01)
    network.place(population, np.arange(300) % 60)
    simulation = ns.Simulation("loihi-sanafe", network, timing="simple")
    simulation.run(20)
    simulation.fail(dead_cores=[8, 41])
    out = simulation.run(30)
    assert out.messages_lost > 0
    hops = sum(simulation.ledger.counts[name] for name in HOPS)
    assert simulation.link_loads().sum() == hops > 0


def test_a_tile_that_is_cut_off_loses_messages_in_every_timing_model() -> None:
    for timing in ("simple", "detailed", "event"):
        network = ns.Network()
        source = network.add_population("s", 4, model="loihi-lif", bias=1.0, threshold=0.5)
        target = network.add_population("t", 4, model="loihi-lif", threshold=1e9)
        network.connect(source, target, weights=np.ones((4, 4)))
        network.place(source, 0)
        network.place(target, 20)
        simulation = ns.Simulation("loihi-sanafe", network, timing=timing)
        simulation.run(3)
        simulation.fail(dead_links=["0,0-1,0", "0,0-0,1"])
        out = simulation.run(3)
        assert out.messages_lost == 12, timing
        assert simulation.link_loads().sum() == sum(simulation.ledger.counts[name] for name in HOPS)
