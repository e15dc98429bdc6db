"""Laws of accounting: the parts sum to the total, counts by hand, seconds by hand, and the published chip times."""

from __future__ import annotations

import math

import numpy as np
import pytest
from helpers_laws import Table, classes_of, dense, merged, plain, samples, scenario

from neurosim import accounting, api
from neurosim.data import Dataset
from neurosim.engine.machine import Machine

XOR_LAYERS = [dense("hidden", 2, "sigmoid"), dense("out", 1, "sigmoid")]
G_MAX, G_MIN = 10e-6, 1e-6  # nist-hw2's cell


def xor(**training: object) -> Machine:
    """XOR on nist-hw2 exactly as shipped: baseline and perturbed inference, all weights written every step."""
    table: Table = {
        "chip": "nist-hw2",
        "network": {"init": {"model": "uniform", "scale": 0.5}, "layers": XOR_LAYERS},
        "task": {"data": "xor", "cost": "mse", "shuffle": False},
        "training": {"model": "mgd", "norm_mag": 0.05, "learning_rate": 1.0, **training},
        "stop": {"steps": 1000},
        "seed": 1,
    }
    return plain(api.build(api.load_scenario(table)[1]))


def one_step(machine: Machine) -> tuple[dict[str, int], dict[str, int]]:
    """(counts, femtoseconds by phase) of the fourth step, whose sample is (1, 1) -> 0."""
    machine.burst(3)
    before = machine.ledger()
    machine.burst(1)
    after = machine.ledger()
    counts = {name: count - before.counts[name] for name, count in after.counts.items() if count - before.counts[name]}
    times = {name: fs - before.phase_time_fs[name] for name, fs in after.phase_time_fs.items()}
    return counts, {name: fs for name, fs in times.items() if fs}


def pair() -> int:
    """Conductance of one differential pair, in g_max / 2^16."""
    return math.floor((1 + G_MIN / G_MAX) * 65536 + 0.5)


def test_counts_of_one_xor_step_by_hand() -> None:
    """Two inferences of 2-2-1 on the input (1, 1), nine weights; everything that the hardware does, counted on paper."""
    machine = xor()
    machine.burst(3)
    theta = np.array(machine.arrays["theta"], np.float64)
    counts, _ = one_step(xor())
    hidden = []
    for slot in (0, 1):
        again = xor()
        again.burst(4)
        hidden.append(np.array(again.arrays["act"][slot][:2], np.float64))
    assert theta.size == 9
    columns, inferences = 2, 2
    first = inferences * (1 + 2) * pair() * columns  # the bias row and two inputs of 1, in both columns
    second = sum(pair() + sum(math.floor(float(a) ** 2 * 1.1 * 65536 + 0.5) for a in both) for both in hidden)
    assert counts.pop("cell_read_conductance") == pytest.approx(first + second, abs=2)
    assert counts == {
        "cell_read": inferences * ((2 + 1) * 2 + (2 + 1) * 1),
        "synaptic_event": inferences * ((2 + 1) * 2 + (2 + 1) * 1),
        "neuron_updated": inferences * 3,
        "dac_conversion": inferences * 2,
        "sample_word_loaded": 3,
        "cost_evaluated": 2,
        "broadcast_word": 1,
        "barrier": 2,
        "perturbation_drawn": 9,
        "perturbation_applied": 9,
        "perturbation_replayed": 9,
        "weight_pulse": 9,
        "weight_pulse_conductance": 9 * pair(),
    }


def test_silent_inputs_are_not_driven() -> None:
    """The input (0, 0) costs no converter and reads the bias row alone."""
    machine = xor()
    machine.burst(1)
    counts = machine.ledger().counts
    assert counts["dac_conversion"] == 0
    assert counts["cell_read"] == 2 * (1 * 2 + (2 + 1) * 1)


def test_time_of_one_xor_step_by_hand() -> None:
    """nist-hw2 without pipelining, in femtoseconds: load, probe, two inferences, cost, broadcast, write, idle rest."""
    _, times = one_step(xor())
    ns = 10**6
    inference = {"compute": ns // 2, "settling": 2 * (ns // 2 + ns), "cost_readout": ns}
    assert times == {
        "host_link": ns,  # three words, sixteen at once
        "perturbation": ns // 2,
        **{name: 2 * fs for name, fs in inference.items()},
        "broadcast": ns // 2,
        "write": 10 * ns,
        "tau_p": 10 * ns - sum(inference.values()) - ns // 2 - ns // 2,
    }


def test_energy_of_one_xor_step_by_hand() -> None:
    """Counts times the chip file's prices, V^2 t sum(g) for reads and pulses, and static power times time."""
    machine = xor()
    machine.burst(4)
    ledger, chip = machine.ledger(), machine.scenario.chip
    counts = dict(ledger.counts)
    joules = [chip.static.power_W * ledger.time_fs * 1e-15]
    joules.append(counts.pop("cell_read_conductance") * 0.1**2 * 1e-9 * G_MAX / 65536)
    joules.append(counts.pop("weight_pulse_conductance") * 1.0**2 * 10e-9 * G_MAX / 65536)
    joules += [count * chip.prices[name].energy_J for name, count in counts.items() if count]
    bill = accounting.bill(ledger, machine.meter.prices)
    assert bill.energy_J == pytest.approx(sum(joules), rel=1e-12)
    assert 36 * 1.1 * G_MAX * 1.0**2 * 10e-9 == pytest.approx(joules[2], rel=1e-4), "36 pulses of V^2 t (g+ + g-)"


@pytest.mark.parametrize("chip", ["nist-hw1", "nist-hw2", "nist-hw3", "analog-if", "analog-if-adc"])
def test_energy_parts_sum_to_the_total(chip: str) -> None:
    """E = P_static T + sum n_i e_i, to the last bit (fsum), time = sum of its phases, and the interval holds the value."""
    table = merged({}, {
        "chip": chip,
        "network": {"layers": [dense("hidden", 3, "sigmoid"), dense("out", 1, "sigmoid")]},
        "task": {"data": "xor", "cost": "mse"},
        "training": {"model": "mgd", "norm_mag": 0.05, "learning_rate": 1.0},
        "stop": {"steps": 1000},
    })  # fmt: skip
    machine = plain(api.build(api.load_scenario(table)[1]))
    machine.burst(7)
    ledger = machine.ledger()
    bill = accounting.bill(ledger, machine.meter.prices)
    assert bill.energy_J == math.fsum([bill.static_energy_J, *bill.energy_by_action_J.values()])
    assert set(bill.energy_by_action_J) == {name for name, count in ledger.counts.items() if count}
    assert bill.chip_time_s == sum(ledger.phase_time_fs.values()) / 1e15
    assert sum(bill.time_share.values()) == pytest.approx(1.0)
    assert bill.energy_low_J <= bill.energy_J <= bill.energy_high_J
    assert bill.bound_by == max(ledger.phase_time_fs, key=lambda name: ledger.phase_time_fs[name])


def test_counts_add_up_over_any_partition() -> None:
    """Whoever stops in between gets the same integers."""
    whole, parts = xor(), xor()
    whole.burst(23)
    for steps in (1, 9, 2, 11):
        parts.burst(steps)
    assert whole.ledger() == parts.ledger()
    assert whole.totals == parts.totals


def test_windows_and_baselines_are_charged_as_they_happen() -> None:
    """tau_x = tau_theta = 4: one baseline, one load and one write in four steps, but four perturbed inferences."""
    machine = xor(tau_x=4, tau_theta=4)
    machine.burst(8)
    counts = machine.ledger().counts
    assert (machine.totals["CLEAN"], machine.totals["PERTURBED"]) == (2, 8)
    assert counts["sample_word_loaded"] == 2 * 3
    assert counts["cost_evaluated"] == 10
    assert counts["broadcast_word"] == 8
    assert counts["gradient_accumulated"] == 8 * 9
    assert counts["weight_pulse"] == 2 * 9
    assert machine.totals["UPDATES"] == 2


@pytest.mark.parametrize(("tau_theta", "writes"), [(1, 8), (9, 8)])
def test_one_parameter_at_a_time_costs_one(tau_theta: int, writes: int) -> None:
    """Coordinate descent draws, applies and writes one weight a step; a whole pass before the write accumulates one each.

    XOR's first sample is (0, 0): four of the nine weights see no input there. C~ is 0 then and nothing is written.
    """
    machine = xor(code="sequential", tau_theta=tau_theta)
    machine.burst(9)
    counts = machine.ledger().counts
    assert counts["perturbation_drawn"] == counts["perturbation_applied"] == counts["perturbation_replayed"] == 9
    assert counts["gradient_accumulated"] == (0 if tau_theta == 1 else 9)
    assert 4 <= counts["weight_pulse"] <= 9
    assert counts["weight_pulse"] == machine.totals["WRITTEN"]


def test_counts_of_a_convolution_by_hand() -> None:
    """3 x 3 on 5 x 5 in one channel, two out: nine positions, each reading nine inputs and the bias in two columns."""
    layers: list[Table] = [{"type": "conv2d", "name": "c", "channels": 2, "kernel": 3, "neuron": "tanh"}]
    x = np.ones((1, 5, 5, 1))
    x[0, 0, 0] = 0.0  # in one window
    x[0, 2, 2] = 0.0  # in all nine
    machine = plain(Machine(scenario(layers, {"tau_theta": 1, "norm_mag": 0.01}), samples(x, np.zeros((1, 18)))))
    machine.burst(1)
    counts = machine.ledger().counts
    driven = 9 * 9 - 1 - 9
    assert counts["cell_read"] == counts["synaptic_event"] == 2 * (driven + 9) * 2
    assert counts["dac_conversion"] == 2 * driven
    assert counts["cell_read_conductance"] == 2 * (driven + 9) * 2 * pair()
    assert counts["neuron_updated"] == 2 * 18
    assert counts["perturbation_drawn"] == counts["weight_pulse"] == 20


# --- node probes --------------------------------------------------------------------------------------------------


def labelled() -> Dataset:
    return classes_of(np.random.default_rng(61).uniform(0.1, 1.0, size=(4, 5)), [0, 1, 1, 0], 2)


@pytest.mark.parametrize(("mechanisms", "injected"), [(["node", "side-element"], True), (["side-element"], False)])
def test_rank_one_probes_are_charged_as_the_chip_applies_them(mechanisms: list[str], injected: bool) -> None:
    """N injections where the chip has injectors; synapse by synapse where it has not. Every probe draws N numbers."""
    layers = [dense("h", 4, "tanh"), dense("o", 2, "linear")]
    chip = {"capabilities": {"perturbation_mechanisms": mechanisms}}
    machine = plain(Machine(scenario(layers, {"model": "node", "tau_theta": 1}, chip=chip), labelled()))
    machine.burst(3)
    counts = machine.ledger().counts
    size = (5 + 1) * 4 + (4 + 1) * 2
    assert counts["node_injection"] == (3 * 6 if injected else 0)
    assert counts["perturbation_applied"] == (0 if injected else 3 * size)
    assert counts["perturbation_drawn"] == 3 * 6
    assert counts["activity_stored"] == 3 * (5 + 4)
    assert counts["weight_pulse"] == 3 * size
    assert counts["sample_word_loaded"] == 3 * (5 + 2)
    assert counts["cost_evaluated"] == 6


def test_delta_memory_is_charged() -> None:
    """separate: three inferences; two slopes and one delta-vector over the broadcast, one memory entry per node."""
    layers = [dense("h", 4, "tanh"), dense("o", 2, "linear")]
    training = {"model": "delta-mgd", "probes": "separate", "tau_theta": 1, "learning_rate": 1e-3}
    machine = plain(Machine(scenario(layers, training), labelled()))
    machine.burst(5)
    counts = machine.ledger().counts
    assert (machine.totals["CLEAN"], machine.totals["PERTURBED"]) == (5, 10)
    assert counts["cost_evaluated"] == 15
    assert counts["broadcast_word"] == 5 * (2 + 6)
    assert counts["delta_written"] == 5 * 6
    assert counts["node_injection"] == 10 * 6


# --- seconds ------------------------------------------------------------------------------------------------------

CIFAR: list[Table] = [
    {"type": "conv2d", "name": "c1", "channels": 16, "kernel": 3, "neuron": "relu", "mapping": "replicated"},
    {"type": "maxpool", "name": "p1", "size": 2},
    {"type": "conv2d", "name": "c2", "channels": 32, "kernel": 3, "neuron": "relu", "mapping": "replicated"},
    {"type": "maxpool", "name": "p2", "size": 2},
    {"type": "conv2d", "name": "c3", "channels": 64, "kernel": 3, "neuron": "relu", "mapping": "replicated"},
    {"type": "maxpool", "name": "p3", "size": 2},
    dense("o", 10, "linear"),
]
"""The CIFAR-10 network of the MGD paper, every position with its own array, so that all settle at once."""


def published(chip: str, pipelined: bool, difference: str, layers: list[Table], shape: tuple[int, ...]) -> Machine:
    table: Table = {
        "chip": {"name": chip, "timing": {"pipelined": pipelined}, "geometry": {"cores": 100_000, "mesh_width": 300}},
        "network": {"layers": layers},
        "task": {"data": "xor", "cost": "mse"},
        "training": {"model": "mgd", "learning_rate": 1.0, "difference": difference, "tau_x": 2},
        "stop": {"steps": 20_000_000},
    }
    data = samples(np.zeros((1, *shape)), np.zeros((1, 10)), [0], 10)
    return Machine(api.load_scenario(table)[1], data)


def totals(machine: Machine, steps: int, every: int, baseline: bool) -> dict[str, int]:
    """What ``steps`` steps tally, by hand: one perturbed inference each; a load and a write every ``every`` steps."""
    tally, size = dict.fromkeys(machine.names, 0), machine.plan.parameters
    clean, writes = steps if baseline else 0, steps // every
    return tally | {
        "STEPS": steps, "SAMPLES": writes, "CLEAN": clean, "PERTURBED": steps, "DRAWS": steps, "COSTS": steps + clean,
        "BROADCASTS": steps, "UPDATES": writes, "REPLAYS": steps * size, "WRITTEN": writes * size,
        "PULSES": writes * size, "WRITE_SLOTS": writes if baseline else 0,
    }  # fmt: skip


@pytest.mark.parametrize(("chip", "seconds"), [("nist-hw1", 5.6 * 3600), ("nist-hw2", 200e-3), ("nist-hw3", 4e-3)])
def test_2e7_steps_on_the_three_nist_chips(chip: str, seconds: float) -> None:
    """One inference a step and nothing else limiting: N tau_p = 5.6 h, 200 ms, 4 ms, for 10 neurons and for a large net.

    The chips that train on the chip run the paper's convolutions, all positions at once; the one with its host in the loop a
    perceptron with about as many weights (it sends every copy of a weight over its link). The honest account (baselines, a
    load and a write every step) is longer, and says by how much.
    """
    steps = 20_000_000
    small, perceptron = [dense("o", 10, "linear")], [dense("h", 33, "relu"), dense("o", 10, "linear")]
    large = (perceptron, (784,)) if chip == "nist-hw1" else (CIFAR, (32, 32, 3))
    for layers, shape in ((small, (16,)), large):
        machine = published(chip, True, "high-pass", layers, shape)
        ledger = machine.meter.ledger(totals(machine, steps, every=1000, baseline=False))
        assert accounting.time_s(ledger) == pytest.approx(seconds, rel=0.01)
        assert accounting.bound_by(ledger)[0] == "tau_p"
    honest = published(chip, False, "baseline", small, (16,))
    ledger = honest.meter.ledger(totals(honest, steps, every=1, baseline=True))
    period = honest.scenario.chip.timing.perturbation_period_s
    times = ledger.phase_time_fs
    assert accounting.time_s(ledger) > steps * period * 1.01
    assert times["host_link"] > 0
    assert times["write"] > 0


def test_a_period_shorter_than_the_path_is_not_believed() -> None:
    """Where the inference takes longer than tau_p, pipelining cannot hide it: T = N max(tau_p, path)."""
    machine = published("nist-hw2", True, "high-pass", [dense("o", 10, "linear")], (16,))
    chip = machine.scenario.chip
    steps = 1000
    tally = totals(machine, steps, every=1000, baseline=False)
    busy = sum(fs for name, fs in machine.meter.phases(tally).items() if name != "write")
    assert busy == steps * 10 * 10**6
    slow = chip.model_copy(update={"timing": chip.timing.model_copy(update={"settling_s": 1e-6})})
    meter = type(machine.meter)(slow, machine.plan, machine.placement, machine.meter.prices, machine.meter.workload)
    assert sum(meter.phases(tally).values()) > steps * 10**9
