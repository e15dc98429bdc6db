"""Laws of learning on the chip's clock: what broadcasts, transposed passes and digital cores cost, counted by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers_laws import Table, dense, merged

from neurosim import accounting, api
from neurosim.accounting import ACTIONS, PHASE_GROUPS, PHASES
from neurosim.engine.machine import Machine
from neurosim.errors import CapabilityError
from neurosim.spec.countables import UNITS

LAYERS = [dense("hidden", 3, "sigmoid"), dense("out", 1, "sigmoid")]
MESH = {
    "geometry": {"cores": 9, "neurons_per_core": 2, "inputs_per_core": 3, "mesh_width": 3},
    "astrocyte": {"broadcast": "mesh", "core": 0},
}
"""Cores so small that 2-3-1 takes four of them: two halves of hidden, and two of out, whose five rows need two."""


def build(chip: str | Table = "nist-hw2", *, training: Table | None = None) -> Machine:
    table: Table = {
        "chip": chip,
        "network": {"init": {"model": "uniform", "scale": 0.5}, "layers": LAYERS},
        "task": {"data": "xor", "cost": "mse", "shuffle": False},
        "training": training or {"model": "mgd", "norm_mag": 0.05, "learning_rate": 1.0},
        "stop": {"steps": 1000},
        "seed": 1,
    }
    return api.build(api.load_scenario(table)[1])


BACKPROP = {"model": "backprop", "learning_rate": 0.5, "on_chip": True}


def counted(machine: Machine, **tally: int) -> dict[str, int]:
    return machine.meter.counts({**dict.fromkeys(machine.names, 0), **tally})


def test_a_broadcast_over_the_mesh_is_a_message_to_each_core_in_use() -> None:
    machine = build(chip={"name": "nist-hw2", **MESH})
    cores = sorted({tile.core for tile in machine.placement.tiles})
    assert cores == [0, 1, 2, 3]
    counts = counted(machine, BROADCASTS=7)
    # cores 0, 1, 2 lie in the first row of three, core 3 below core 0
    assert counts == {"broadcast_word": 7, "message": 28, "message_received": 28, "hop_east": 7 * (1 + 2), "hop_south": 7}


def test_a_bus_needs_no_messages() -> None:
    machine = build(chip={"name": "nist-hw2", "geometry": MESH["geometry"]})
    assert counted(machine, BROADCASTS=7) == {"broadcast_word": 7}


def test_time_of_a_broadcast_over_the_mesh() -> None:
    machine = build(chip={"name": "nist-hw2", **MESH})
    tally = {**dict.fromkeys(machine.names, 0), "BROADCASTS": 1}
    chip = machine.scenario.chip
    word, hop = chip.prices["broadcast_word"].latency_s, chip.prices["hop_east"].latency_s
    # four messages without latency, the farthest core is two hops away
    assert machine.meter.phases(tally)["broadcast"] == round((word + 2 * hop) * 1e15)


def test_backpropagation_on_the_chip_by_hand() -> None:
    """One sample through 2-3-1: errors go back through the output layer's 3 weights, every weight is accumulated."""
    machine = build("nist-hw2-with-transpose-read", training={**BACKPROP, "tau_theta": 4})
    software = build(training={"model": "backprop", "learning_rate": 0.5, "tau_theta": 4})
    one = {"CLEAN": 1, "ACTIVE_0": 2, "ACTIVE_1": 3}
    whole, forward = counted(machine, **one), counted(software, **one)
    extra = {name: count - forward.get(name, 0) for name, count in whole.items() if count != forward.get(name, 0)}
    pair = machine.meter.pair
    assert extra == {
        "broadcast_word": 1,  # the output's error
        "activity_stored": 2 + 3,
        "adc_conversion": 3 + 3,  # hidden activities, and the three rows of the transposed read
        "dac_conversion": 1,
        "neuron_updated": 4,  # error x slope
        "message": 3, "message_received": 3,  # the hidden neurons' errors
        "synaptic_event": 3, "cell_read": 3, "cell_read_conductance": 3 * pair,
        "gradient_accumulated": 13,
    }  # fmt: skip


def test_time_of_a_transposed_pass() -> None:
    machine = build("nist-hw2-with-transpose-read", training=BACKPROP)
    chip = machine.scenario.chip
    adc, dac = chip.prices["adc_conversion"].latency_s, chip.prices["dac_conversion"].latency_s
    read = chip.timing.settling_s + chip.synapse.read_time_s
    tally = {**dict.fromkeys(machine.names, 0), "CLEAN": 5}
    # both layers fit the 16 converters of a core at once
    assert machine.meter.phases(tally)["backward"] == 5 * round((adc + dac + read + adc) * 1e15)


def test_backpropagation_on_a_chip_that_cannot_read_backwards_is_an_error_with_two_ways_out() -> None:
    with pytest.raises(CapabilityError, match="transpose_read") as caught:
        build(training=BACKPROP)
    assert "on_chip=false" in str(caught.value) and "nist-hw2-with-transpose-read" in str(caught.value)


def test_the_derived_chip_is_hypothetical() -> None:
    assert build("nist-hw2-with-transpose-read", training=BACKPROP).scenario.chip.hypothetical


def digital() -> Table:
    price = {"energy_J": "2 pJ", "low_J": "1 pJ", "high_J": "3 pJ", "latency_s": "1 ns", "low_s": "1 ns", "high_s": "1 ns",
             "kind": "published", "source": "made up for this test"}  # fmt: skip
    used = ("cell_read", "synaptic_event", "neuron_updated", "message", "message_received", "synapse_updated", "byte_moved")
    synapse = {"technology": "digital", "g_max_S": 0.0, "read_voltage_V": 0.0, "pulse_voltage_V": 0.0}
    geometry = {"cores": 4, "neurons_per_core": 8, "inputs_per_core": 8, "synapse_B": 0.5, "neuron_B": 2.0}
    prices = dict.fromkeys(used, price)
    return {"name": "nist-hw2", "synapse": synapse, "geometry": geometry, "prices": prices,
            "astrocyte": {"cost_unit": "digital"}}  # fmt: skip


def test_digital_cores_have_no_converters_no_currents_and_no_pulses() -> None:
    machine = build(chip=digital())
    counts = counted(machine, CLEAN=1, ACTIVE_0=2, ACTIVE_1=3, PULSES=40, WRITTEN=13)
    assert counts == {
        "synaptic_event": 3 * 3 + 4 * 1,  # biases are inputs that are always on
        "neuron_updated": 4,
        "message": 3, "message_received": 3,  # hidden neurons' numbers
        "byte_moved": (4 * 9 + 2 * 16 * 3) // 8 + (4 * 4 + 2 * 16 * 1) // 8,
        "synapse_updated": 13,
        "barrier": 1,
    }  # fmt: skip


def test_time_of_an_inference_on_digital_cores_is_that_of_their_work() -> None:
    machine = build(chip=digital())
    ns = 10**6
    layer_0 = 9 + 5 + 3  # events, bytes (4.5 rounded up), neurons
    layer_1 = 4 + 2 + 1
    assert machine.meter.path()["compute"] == (layer_0 + 2 + layer_1) * ns  # and one message between them
    assert machine.meter.path()["settling"] == 0


def test_a_chip_that_is_not_event_driven_multiplies_zeros_too() -> None:
    chip = digital()
    sparse, full = build(chip=chip), build(chip=merged(chip, {"capabilities": {"event_driven": False}}))
    assert counted(sparse, CLEAN=3)["synaptic_event"] == 3 * (3 + 1)
    assert counted(full, CLEAN=3)["synaptic_event"] == 3 * (9 + 4)


@pytest.mark.parametrize("chip", ["nist-hw2", {"name": "nist-hw2", **MESH}])
def test_cores_add_up_to_what_the_layers_did(chip: str | Table) -> None:
    machine = build(chip)
    tally = {**dict.fromkeys(machine.names, 0), "CLEAN": 11, "PERTURBED": 13, "ACTIVE_0": 29, "ACTIVE_1": 70}
    cores, counts = machine.meter.by_core(tally)
    assert cores.tolist() == sorted({tile.core for tile in machine.placement.tiles})
    layers = machine.meter.layer_counts(tally)
    for k, name in enumerate(ACTIONS):
        assert counts[:, k].sum() == pytest.approx(sum(layer.get(name, 0) for layer in layers), rel=1e-12)


def test_every_phase_is_in_one_group_and_shares_add_up() -> None:
    grouped = [phase for phases in PHASE_GROUPS.values() for phase in phases]
    assert sorted(grouped) == sorted(PHASES)
    ledger = accounting.Ledger({}, {name: 3 + k for k, name in enumerate(PHASES)})
    shares = accounting.time_by_group(ledger)
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["learning"] == pytest.approx(
        sum(ledger.phase_time_fs[name] for name in ("perturbation", "backward", "cost_readout", "write")) / ledger.time_fs
    )


def test_backpropagation_learns_the_same_whoever_pays() -> None:
    on_chip = build("nist-hw2-with-transpose-read", training=BACKPROP)
    software = build(training={"model": "backprop", "learning_rate": 0.5})
    for machine in (on_chip, software):
        machine.burst(50)
    assert np.array_equal(on_chip.arrays["theta"], software.arrays["theta"])
    mine, theirs = (accounting.energy_J(machine.ledger(), machine.meter.prices) for machine in (on_chip, software))
    assert mine > theirs


def paced(*costs: str, **timing: object) -> Machine:
    """A spiking 4-6-2 network on one core, in whose ticks only ``costs`` take time: 1 ns each."""
    names = ("neuron_visited", "neuron_updated", "neuron_fired", "synaptic_event", "message", "message_received")
    price = {"energy_J": "1 pJ", "low_J": "1 pJ", "high_J": "1 pJ", "kind": "assumed", "source": "made up for this test"}
    slow = {**price, "latency_s": "1 ns", "low_s": "0.5 ns", "high_s": "3 ns"}
    fast = {**price, "latency_s": 0.0, "low_s": 0.0, "high_s": 0.0}
    chip = {
        "name": "analog-if",
        "timing": {"model": "simple", "settling_s": 0.0, **timing},
        "prices": {name: slow if name in costs else fast for name in names},
    }
    table: Table = {
        "chip": chip,
        "network": {"spiking": {"readout_ticks": 20}, "layers": [dense("hidden", 6, "if"), dense("out", 4, "if")]},
        "task": {"data": "nist7x7", "cost": "cross-entropy"},
        "training": {"model": "node", "learning_rate": 0.01, "norm_mag": 0.1},
        "stop": {"steps": 100},
        "seed": 3,
    }
    machine = api.build(api.load_scenario(table)[1])
    machine.burst(20)
    return machine


def test_a_paced_tick_takes_the_visits_of_the_neurons_that_stand_on_the_core() -> None:
    machine = paced("neuron_visited")
    ticks = 20 * machine.inferences
    assert machine.totals["BUSY"] == ticks * 10 * 10**6
    assert (machine.totals["BUSY_LOW"], machine.totals["BUSY_HIGH"]) == (ticks * 5 * 10**6, ticks * 30 * 10**6)


def test_a_paced_tick_takes_its_spikes() -> None:
    machine = paced("neuron_fired")
    spikes = machine.totals["FIRED_0"] + machine.totals["FIRED_1"]
    assert spikes > 100
    assert machine.totals["BUSY"] == spikes * 10**6


def test_a_paced_tick_takes_the_synapses_that_its_spikes_reach() -> None:
    machine = paced("synaptic_event")
    inputs, spikes = machine.totals["ACTIVE_0"] * 6, machine.totals["FIRED_0"] * 4
    assert machine.totals["BUSY"] == pytest.approx((inputs + spikes) * 10**6, rel=1e-6)  # rounded to 1 fs a spike


def test_sending_and_receiving_overlap_in_a_paced_tick() -> None:
    both = paced("neuron_visited", "synaptic_event").totals["BUSY"]
    one, other = paced("neuron_visited").totals["BUSY"], paced("synaptic_event").totals["BUSY"]
    assert max(one, other) <= both < one + other


def test_a_paced_run_lasts_its_ticks_and_the_barriers() -> None:
    machine = paced("neuron_visited", barrier_tiles=(1, 2), barrier_s=("7 ns", "9 ns"))
    phases = machine.ledger().phase_time_fs
    ticks = 20 * machine.inferences
    assert phases["barrier"] == ticks * 7 * 10**6  # one tile is in use
    clocked = paced("neuron_visited", model="clocked", barrier_tiles=(1, 2), barrier_s=("7 ns", "9 ns"))
    tick_fs = round(clocked.scenario.chip.timing.tick_s * 1e15)
    assert phases["compute"] - machine.totals["BUSY"] == clocked.ledger().phase_time_fs["compute"] - ticks * tick_fs
    assert clocked.totals["BUSY"] == 0


def wide(chip: Table) -> Machine:
    """2-8-4 on cores of three rows and three columns: arrays cut both ways."""
    geometry = {"cores": 60, "neurons_per_core": 3, "inputs_per_core": 3, "mesh_width": 10}
    table: Table = {
        "chip": merged(chip, {"geometry": geometry}),
        "network": {"init": {"model": "uniform", "scale": 0.5},
                    "layers": [dense("hidden", 8, "sigmoid"), dense("out", 1, "sigmoid")]},
        "task": {"data": "xor", "cost": "mse", "shuffle": False},
        "training": {"model": "mgd", "norm_mag": 0.05, "learning_rate": 1.0},
        "stop": {"steps": 1000},
    }  # fmt: skip
    return api.build(api.load_scenario(table)[1])


def test_a_row_is_driven_in_every_array_that_it_stands_in_and_cores_convert_side_by_side() -> None:
    machine = wide({"name": "nist-hw2", "periphery": {"adc_at": "columns", "adcs_per_core": 1}})
    counts = counted(machine, CLEAN=1, ACTIVE_0=2, ACTIVE_1=8)
    # hidden: 2 + 1 rows in one cut, 8 columns in three; out: 8 + 1 rows in three cuts
    assert counts["dac_conversion"] == 2 * 3 + 8 * 1
    assert counts["adc_conversion"] == 8 + 3
    assert counts["message"] == 8 * 1 + 2  # hidden neurons to the core of their row, and two parts of the output's sum
    adc, dac = (machine.scenario.chip.prices[name].latency_s for name in ("adc_conversion", "dac_conversion"))
    assert machine.meter.path()["compute"] == round((dac + 3 * adc + dac + 1 * adc) * 1e15)  # three columns a core


HIDDEN = ("delta_written",)
"""Countables whose latency passes beside everything else: the astrocyte writes its memory while cores go on."""


@pytest.mark.parametrize(
    ("chip", "training"),
    [
        ("mcu-256k-with-perturbation", {"model": "mgd", "norm_mag": 0.05, "learning_rate": 0.5, "tau_theta": 4}),
        ("mcu-256k-with-perturbation", {"model": "node", "norm_mag": 0.05, "learning_rate": 0.5}),
        ("nist-hw2", {"model": "mgd", "norm_mag": 0.05, "learning_rate": 0.5, "tau_theta": 4}),
        ("nist-hw2", {"model": "node", "norm_mag": 0.05, "learning_rate": 0.5}),
        ("nist-hw2-with-transpose-read", {"model": "backprop", "learning_rate": 0.5, "on_chip": True, "tau_theta": 4}),
    ],
)
def test_every_latency_of_what_happened_is_in_the_time(chip: str, training: Table) -> None:
    """A microsecond more for any countable of learning, conversion or messages makes the run longer."""
    table: Table = {"name": chip, "astrocyte": {"cost_unit": "digital"}, "timing": {"perturbation_period_s": 0.0}}
    base = build(table, training=training)
    base.burst(8)
    ledger = base.ledger()
    parts = ("perturbation", "plasticity", "converter", "astrocyte")
    checked = [name for unit in parts for name in UNITS[unit] if ledger.counts[name] and not name.endswith("_conductance")]
    assert len(checked) >= 4
    for name in checked:
        slow = base.meter.prices.latency_fs.copy()
        slow[ACTIONS.index(name)] += 10**9
        meter = replace(base.meter, prices=replace(base.meter.prices, latency_fs=slow))
        longer = sum(meter.phases(base.totals).values()) - ledger.time_fs
        assert longer >= 10**9 or name in HIDDEN, name


def test_neurons_pace_the_core_on_which_they_stand() -> None:
    """20 inputs in cores of 11 rows: two cores hold the synapses of 8 neurons, the first one the neurons."""
    table: Table = {
        "chip": {
            "name": "analog-if", "timing": {"model": "simple", "settling_s": 0.0},
            "geometry": {"cores": 8, "neurons_per_core": 16, "inputs_per_core": 25, "mesh_width": 4},
        },
        "network": {"spiking": {"readout_ticks": 5}, "layers": [dense("hidden", 8, "if"), dense("out", 4, "if")]},
        "task": {"data": "nist7x7", "cost": "cross-entropy"},
        "training": {"model": "node", "learning_rate": 0.01, "norm_mag": 0.1},
        "stop": {"steps": 10},
    }  # fmt: skip
    machine = api.build(api.load_scenario(table)[1])
    price = {"latency_fs": machine.meter.prices.latency_fs.copy()}
    price["latency_fs"][ACTIONS.index("neuron_visited")] = 1000
    meter = replace(machine.meter, prices=replace(machine.meter.prices, **price))
    cores = sorted({tile.core for tile in machine.placement.tiles})
    idle = meter._pace()[:, 0, 0]
    held = [sum(tile.neurons for tile in machine.placement.tiles if tile.core == core and tile.layer == 0) for core in cores]
    assert sum(held) == 8 and held.count(0) >= 1
    assert idle.tolist() == [1000 * neurons for neurons in held]
