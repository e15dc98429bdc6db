"""Laws of spiking inference: f-I curves in a window, encoders, read-outs, and the whole network written a second time."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from helpers_laws import (
    RF,
    RI,
    Table,
    Vector,
    classes_of,
    dense,
    plain,
    samples,
    scenario,
    set_weights,
    signs,
    slopes,
)

from neurosim.data import Dataset
from neurosim.engine.machine import Machine

TICK_S = 1e-3
CHIP: Table = {"timing": {"tick_s": TICK_S}}


def spiking(layers: list[Table], data: Dataset, settings: Table, training: Table | None = None, **more: Any) -> Machine:
    """A plain machine with spiking neurons and no noise."""
    wanted = {"model": "node", "norm_mag": 1e-9, "tau_theta": 1, **(training or {})}
    chip = {**CHIP, **more.pop("chip", {})}
    return plain(Machine(scenario(layers, wanted, chip=chip, network={"spiking": settings}, **more), data))


def run_window(machine: Machine, slot: int = 0) -> tuple[Vector, list[set[int]]]:
    """One inference of the present sample: (outputs of all layers, which nodes fired in every tick)."""
    plan, fired = machine.plan, []
    machine.phase("begin", slot)
    for tick in range(machine.composition.window):
        for name in ("deliver", "integrate", "fire", "route"):
            machine.phase(name, slot, tick)
        now: set[int] = set()
        for layer in plan.layers:
            count = int(machine.arrays["fired_count"][layer.index])
            now |= {layer.act + int(j) for j in machine.arrays["fired"][layer.act : layer.act + count]}
        fired.append(now)
    machine.phase("finish", slot)
    return np.array(machine.arrays["act"][slot], np.float64), fired


def driven(neuron: Table, currents: Vector, ticks: int, start: float = 0.0, **settings: Any) -> tuple[Machine, Vector, Vector]:
    """Single neurons driven by constant currents (their biases): (machine, spikes in the window, outputs)."""
    chip = settings.pop("chip", {})
    window = {"readout_ticks": ticks, "start_membrane": start, **settings}
    machine = spiking([dense("o", currents.size, neuron)], samples(np.zeros((1, 2)), np.zeros((1, currents.size))), window,
                      chip=chip)  # fmt: skip
    theta = np.zeros(machine.plan.parameters)
    theta[2 * currents.size :] = currents
    set_weights(machine, theta)
    machine.phase("present")
    outputs, fired = run_window(machine)
    counts = np.array([sum(j in now for now in fired) for j in range(currents.size)], np.float64)
    np.testing.assert_array_equal(machine.arrays["count"], counts)
    return machine, counts, outputs


# --- f-I curves ---------------------------------------------------------------------------------------------------

CURRENTS = np.array([-0.3, 0.0, 0.013, 0.1 + 1e-9, 0.24, 1 / 3 + 1e-9, 0.5, 0.77, 0.999])


@pytest.mark.parametrize(("start", "ticks"), [(0.0, 40), (0.5, 40), (0.5, 7)])
def test_soft_reset_counts_linearly(start: float, ticks: int) -> None:
    """floor(start + T I/theta) spikes; at start = 1/2 that is T I/theta rounded. count + membrane is I/theta itself."""
    threshold = 1.7
    machine, counts, outputs = driven({"model": "if", "threshold": threshold}, CURRENTS * threshold, ticks, start)
    np.testing.assert_array_equal(counts, np.maximum(np.floor(start + ticks * CURRENTS + 1e-9), 0))
    np.testing.assert_allclose(outputs, CURRENTS, atol=1e-12)
    assert machine.totals["FIRED_0"] == 0  # not collected yet
    machine.collect()
    assert machine.totals["FIRED_0"] == counts.sum()


@pytest.mark.parametrize("refractory", [0, 1, 3])
def test_hard_reset_fires_periodically(refractory: int) -> None:
    """One spike every ceil(theta / I) + r ticks."""
    ticks, neuron = 60, {"model": "if", "threshold": 1.0, "reset": "hard", "refractory_ticks": refractory}
    currents = np.array([0.05, 0.101, 0.3, 0.45, 0.7, 1.5])
    _, counts, _ = driven(neuron, currents, ticks)
    period = np.ceil(1.0 / currents - 1e-9) + refractory
    np.testing.assert_array_equal(counts, np.floor((ticks + refractory) / period))


def test_leaky_neuron_fires_by_its_closed_form() -> None:
    """lif, hard reset: every ceil(ln(1 - theta (1-lambda)/I)/ln lambda) ticks, and never below theta (1 - lambda)."""
    tau, threshold, ticks = 8e-3, 1.2, 200
    keep = math.exp(-TICK_S / tau)
    currents = threshold * (1 - keep) * np.array([0.5, 0.99, 1.01, 1.3, 2.0, 4.0])
    neuron = {"model": "lif", "threshold": threshold, "reset": "hard", "tau_mem_s": tau}
    _, counts, _ = driven(neuron, currents, ticks)
    ratio = 1 - threshold * (1 - keep) / currents[2:]
    period = np.ceil(np.log(ratio) / math.log(keep))
    np.testing.assert_array_equal(counts, [0, 0, *np.floor(ticks / period)])


def test_hidden_layer_in_its_network() -> None:
    """Inputs as constant currents: the hidden activities are round(T z/theta)/T of the weighted sums, in 0..1."""
    rng = np.random.default_rng(51)
    data = samples(rng.uniform(size=(1, 9)), np.zeros((1, 2)))
    neuron = {"model": "if", "threshold": 1.0}
    machine = spiking([dense("h", 30, neuron), dense("o", 2, neuron)], data, {"readout_ticks": 25})
    theta = rng.normal(scale=0.5, size=machine.plan.parameters)
    set_weights(machine, theta)
    machine.phase("present")
    outputs, _ = run_window(machine)
    z = data.train_x[0].astype(np.float64) @ theta[:270].reshape(9, 30) + theta[270:300]
    assert (z < 0).any()
    assert (z > 1).any()
    np.testing.assert_allclose(outputs[:30], np.clip(np.floor(25 * z + 0.5), 0, 25) / 25, atol=1e-12)


def test_mismatch_bends_the_curve_of_each_neuron() -> None:
    """Threshold and gain: the graded rate is gain_j I / theta_j; leak: the time constant of each."""
    chip = {"neuron": {"threshold_dtod": 0.2, "gain_dtod": 0.2}}
    currents = np.full(40, 0.4)
    machine, _, outputs = driven({"model": "if"}, currents, 50, 0.5, chip=chip)
    arrays = machine.arrays
    np.testing.assert_allclose(outputs, np.array(arrays["node_gain"]) * 0.4 / np.array(arrays["node_threshold"]), rtol=1e-9)
    assert outputs.std() / outputs.mean() == pytest.approx(math.hypot(0.2, 0.2), rel=0.4)
    leaky, _, _ = driven({"model": "lif", "tau_mem_s": 5e-3}, currents, 3, chip={"neuron": {"leak_dtod": 0.2}})
    rate = -np.log(np.array(leaky.arrays["node_leak"])) * 5e-3 / TICK_S
    assert rate.mean() == pytest.approx(1.0, abs=0.12)
    assert rate.std() == pytest.approx(0.2, rel=0.4)


def test_membrane_noise_adds_up() -> None:
    """Per tick sigma theta: the membrane of an undriven neuron after T ticks has the variance T (sigma theta)^2."""
    chip = {"neuron": {"membrane_noise_std": 0.01}}
    threshold, ticks, count = 2.0, 30, 2000
    machine, counts, _ = driven({"model": "if", "threshold": threshold}, np.zeros(count), ticks, 0.5, chip=chip)
    assert counts.sum() == 0
    v = np.array(machine.arrays["v"])
    assert v.mean() == pytest.approx(1.0, abs=5 * 0.02 * math.sqrt(ticks / count))
    assert v.std() == pytest.approx(0.02 * math.sqrt(ticks), rel=5 / math.sqrt(2 * count))


def test_floor_of_the_membrane() -> None:
    """v never falls below v_min, so that a neuron held down answers at once when it is driven again."""
    machine, _, _ = driven({"model": "if", "v_min": -0.2}, np.array([-1.0, -0.01]), 10)
    np.testing.assert_allclose(machine.arrays["v"], [-0.2, -0.1], atol=1e-12)


# --- encoders -----------------------------------------------------------------------------------------------------


def encoded(encoder: str, x: Vector, ticks: int, max_rate: float, **more: Any) -> Machine:
    neuron = {"model": "if"}
    settings = {"encoder": encoder, "readout_ticks": ticks, "max_rate": max_rate}
    data = classes_of(np.tile(x, (2, 1)), [0, 1], 2)
    return spiking([dense("o", 2, neuron)], data, settings, **more)


def input_spikes(machine: Machine, slot: int) -> Vector:
    """Which inputs fired in which tick of one window, [ticks, inputs]."""
    out = np.zeros((machine.composition.window, machine.plan.n_in))
    for tick in range(machine.composition.window):
        machine.phase("deliver", slot, tick)
        count = int(machine.arrays["input_count"][0])
        out[tick, machine.arrays["fired_input"][:count]] = 1
    return out


def test_poisson_encoder_has_its_rates() -> None:
    """An input of value x fires in a tick with probability x max_rate, independently of everything else."""
    x = np.array([0.0, 0.1, 0.4, 0.8, 1.0])
    machine = encoded("poisson", x, 2500, 0.6)
    machine.phase("present")
    train = input_spikes(machine, 0)
    p = x * 0.6
    np.testing.assert_array_less(np.abs(train.mean(axis=0) - p), 5 * np.sqrt(p * (1 - p) / 2500) + 1e-12)
    assert train[:, 0].sum() == 0
    lag = np.mean(train[1:, 2] * train[:-1, 2]) - p[2] ** 2
    assert abs(lag) < 5 * p[2] / math.sqrt(2500)
    across = np.mean(train[:, 2] * train[:, 3]) - p[2] * p[3]
    assert abs(across) < 5 * math.sqrt(p[2] * p[3] / 2500)


@pytest.mark.parametrize("replayable", [True, False])
def test_poisson_trains_within_a_step(replayable: bool) -> None:
    """Both inferences of a step see the same spikes only where the chip can replay its encoder; steps never do."""
    machine = encoded("poisson", np.full(6, 0.5), 40, 1.0, chip={**CHIP, "capabilities": {"replayable_encoder": replayable}})
    machine.phase("present")
    first, second = input_spikes(machine, 0), input_spikes(machine, 1)
    assert np.array_equal(first, second) == replayable
    machine.arrays["ri"][RI["STEP"]] += 1
    machine.phase("present")
    assert not np.array_equal(first, input_spikes(machine, 0))


def test_regular_encoder_is_evenly_spaced() -> None:
    """floor(T x max_rate) spikes in T ticks, distances of 1/(x max_rate) rounded up or down."""
    x = np.array([0.0, 0.13, 0.4, 0.77, 1.0])
    machine = encoded("regular", x, 200, 0.5)
    machine.phase("present")
    train = input_spikes(machine, 0)
    np.testing.assert_array_equal(train.sum(axis=0), np.floor(200 * x.astype(np.float32).astype(float) * 0.5 + 1e-9))
    for i in range(1, 5):
        gaps = np.diff(np.flatnonzero(train[:, i]))
        assert set(gaps) <= {math.floor(2 / x[i] + 1e-6), math.ceil(2 / x[i] - 1e-6)}


def test_latency_encoder_fires_once_and_earlier_for_more() -> None:
    """One spike in tick round((1 - x)(T - 1)); none for a silent input."""
    x = np.array([0.0, 0.25, 0.5, 0.9, 1.0])
    machine = encoded("latency", x, 21, 0.5)
    machine.phase("present")
    train = input_spikes(machine, 0)
    np.testing.assert_array_equal(train.sum(axis=0), [0, 1, 1, 1, 1])
    np.testing.assert_array_equal(np.argmax(train[:, 1:], axis=0), [15, 10, 2, 0])


# --- read-outs ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("readout", ["count", "membrane", "count+membrane"])
def test_readouts(readout: str) -> None:
    """count/T, (v/theta - start)/T, and their sum: with a soft reset the charge that came in."""
    ticks, start = 9, 0.5
    currents = np.array([-0.2, 0.15, 0.4, 0.93])
    machine, counts, outputs = driven({"model": "if", "threshold": 2.0}, 2.0 * currents, ticks, start, readout=readout)
    rest = np.array(machine.arrays["v"]) / 2.0 - start
    expected = {"count": counts, "membrane": rest, "count+membrane": counts + rest}[readout] / ticks
    np.testing.assert_allclose(outputs, expected, atol=1e-12)
    if readout == "count+membrane":
        np.testing.assert_allclose(outputs, currents, atol=1e-12)


def test_washout_is_not_counted() -> None:
    """With a wash-out nothing is reset; spikes before its end do not count, those after it do."""
    currents = np.array([0.2, 0.5])
    machine, _, _ = _washed(currents, 6, 20)
    np.testing.assert_allclose(machine.arrays["count"], 20 * currents, atol=1.0)
    _, fired = run_window(machine)
    after = [sum(j in now for now in fired[6:]) for j in range(2)]
    before = [sum(j in now for now in fired[:6]) for j in range(2)]
    np.testing.assert_array_equal(machine.arrays["count"], after)
    assert sum(before) > 0


def _washed(currents: Vector, washout: int, ticks: int) -> tuple[Machine, Vector, list[set[int]]]:
    settings = {"readout_ticks": ticks, "washout_ticks": washout, "readout": "count"}
    machine = spiking([dense("o", currents.size, {"model": "if"})], samples(np.zeros((1, 2)), np.zeros((1, 2))), settings)
    theta = np.zeros(machine.plan.parameters)
    theta[2 * currents.size :] = currents
    set_weights(machine, theta)
    machine.phase("present")
    assert machine.composition.window == washout + ticks
    outputs, fired = run_window(machine)
    return machine, outputs, fired


def test_activity_as_a_filtered_trace() -> None:
    """activity = trace: (1 - d) sum d^(age) over the hidden neuron's spikes, d once a tick."""
    data = samples(np.zeros((1, 2)), np.zeros((1, 2)))
    settings = {"readout_ticks": 12, "activity": "trace", "trace_decay": 0.8}
    machine = spiking([dense("h", 3, {"model": "if"}), dense("o", 2, {"model": "if"})], data, settings)
    theta = np.zeros(machine.plan.parameters)
    theta[6:9] = [0.3, 0.5, 0.9]
    set_weights(machine, theta)
    machine.phase("present")
    outputs, fired = run_window(machine)
    for j in range(3):
        ages = [11 - tick for tick, now in enumerate(fired) if j in now]
        assert outputs[j] == pytest.approx(0.2 * sum(0.8**age for age in ages))


# --- the whole network --------------------------------------------------------------------------------------------


class Layer:
    """Numpy's own layer: weights as a matrix [inputs, neurons], whatever kind it is in the engine."""

    def __init__(self, matrix: Vector, bias: Vector, neuron: Table) -> None:
        self.matrix, self.bias, self.neuron = matrix, bias, neuron


def matrices(machine: Machine, theta: Vector) -> list[Layer]:
    """Dense matrices of dense and convolution layers."""
    out = []
    for layer in machine.plan.layers:
        w = theta[layer.theta : layer.theta + layer.weights].reshape(layer.weight_shape)
        b = theta[layer.theta + layer.weights : layer.theta + layer.parameters]
        assert layer.neuron is not None
        neuron = layer.neuron.model_dump()
        if layer.type == "dense":
            out.append(Layer(w, b, neuron))
            continue
        shape = layer.in_shape if len(layer.in_shape) == 3 else (*layer.in_shape, 1)
        matrix = np.zeros((*shape, *layer.shape))
        for y in range(layer.shape[0]):
            for x in range(layer.shape[1]):
                matrix[y : y + w.shape[0], x : x + w.shape[1], :, y, x, :] = w
        out.append(Layer(matrix.reshape(layer.n_in, layer.n), np.tile(b, layer.positions), neuron))
    return out


def simulate(layers: list[Layer], trains: Vector | None, x: Vector, ticks: int, injection: Vector | None = None) -> Vector:
    """count/T of hidden layers and count + membrane of the output, start 1/2; spikes arrive one tick later.

    ``trains``: input spikes [ticks, inputs], or None for the inputs as constant currents.
    """
    sizes = [layer.bias.size for layer in layers]
    ends = np.cumsum(sizes)[:-1]
    extra = np.split(np.zeros(sum(sizes)) if injection is None else injection, ends)
    v = [0.5 * layer.neuron["threshold"] * np.ones(n) for layer, n in zip(layers, sizes, strict=True)]
    rest = [np.zeros(n, int) for n in sizes]
    fired = [np.zeros(n) for n in sizes]
    counts = [np.zeros(n) for n in sizes]
    for tick in range(ticks):
        arriving = [x if trains is None else trains[tick], *fired[:-1]]
        currents = [a @ layer.matrix + layer.bias + e for a, layer, e in zip(arriving, layers, extra, strict=True)]
        fired = []
        for k, layer in enumerate(layers):
            settings = layer.neuron
            keep = math.exp(-TICK_S / settings["tau_mem_s"]) if settings["model"] == "lif" else 1.0
            resting = rest[k] > 0
            v[k] = np.where(resting, v[k], keep * v[k] + currents[k])
            spikes = ~resting & (v[k] >= settings["threshold"])
            rest[k] = np.where(resting, rest[k] - 1, np.where(spikes, settings["refractory_ticks"], 0))
            reset = {"soft": v[k] - settings["threshold"], "hard": np.zeros(sizes[k]), "none": v[k]}[settings["reset"]]
            v[k] = np.where(spikes, reset, v[k])
            counts[k] += spikes
            fired.append(spikes.astype(float))
    activities = [count / ticks for count in counts]
    activities[-1] = (counts[-1] + v[-1] / layers[-1].neuron["threshold"] - 0.5) / ticks
    return np.concatenate(activities)


IF: Table = {"model": "if", "threshold": 0.9}
LIF: Table = {"model": "lif", "threshold": 0.7, "tau_mem_s": 6e-3, "reset": "hard", "refractory_ticks": 1}
DENSE = [dense("h1", 12, IF), dense("h2", 8, LIF), dense("o", 3, IF)]
CONV: list[Table] = [
    {"type": "conv2d", "name": "c1", "channels": 2, "kernel": 2, "neuron": IF},
    {"type": "conv2d", "name": "c2", "channels": 3, "kernel": 3, "neuron": LIF},
    dense("o", 3, IF),
]


def picture(shape: tuple[int, ...]) -> Dataset:
    rng = np.random.default_rng(52)
    return classes_of(rng.uniform(size=(1, *shape)), [2], 3)


def network(kind: str, encoder: str, training: Table | None = None, **more: Any) -> tuple[Machine, Vector, Dataset]:
    layers, shape = {"dense": (DENSE, (7,)), "convolution": (CONV, (5, 6, 2))}[kind]
    data = picture(shape)
    settings = {"encoder": encoder, "readout_ticks": 30, "max_rate": 0.8}
    machine = spiking(layers, data, settings, training, **more)
    theta = np.random.default_rng(53).normal(scale=0.35, size=machine.plan.parameters) + 0.05
    set_weights(machine, theta)
    return machine, theta, data


def trains(data: Dataset, encoder: str, ticks: int) -> Vector | None:
    if encoder == "current":
        return None
    x = data.train_x[0].astype(np.float64).reshape(-1)
    edges = np.floor(np.arange(ticks + 1)[:, None] * x * 0.8)
    return (edges[1:] > edges[:-1]).astype(float)


@pytest.mark.parametrize("encoder", ["current", "regular"])
@pytest.mark.parametrize("kind", ["dense", "convolution"])
def test_a_window_equals_its_equations(kind: str, encoder: str) -> None:
    """Deliver, integrate, fire, one tick from layer to layer: every neuron's spikes, in numpy."""
    machine, theta, data = network(kind, encoder)
    machine.phase("present")
    outputs, _ = run_window(machine)
    x = data.train_x[0].astype(np.float64).reshape(-1)
    expected = simulate(matrices(machine, theta), trains(data, encoder, 30), x, 30)
    assert 0.05 < np.mean(expected[: -machine.plan.output.n] > 0)
    np.testing.assert_allclose(outputs, expected, atol=1e-9)


@pytest.mark.parametrize("encoder", ["current", "regular"])
@pytest.mark.parametrize("kind", ["dense", "convolution"])
def test_weight_probes_of_spiking_networks(kind: str, encoder: str) -> None:
    """The perturbed inference is the network with weights theta + theta~, biases included; the other one with theta."""
    norm_mag = 2.0
    machine, theta, data = network(kind, encoder, {"model": "mgd", "norm_mag": norm_mag, "learning_rate": 1e-300})
    machine.burst(1)
    x = data.train_x[0].astype(np.float64).reshape(-1)
    shift = norm_mag / math.sqrt(theta.size) * signs(1, theta.size, 0)
    costs = []
    for slot, at in enumerate((theta, theta + shift)):
        expected = simulate(matrices(machine, at), trains(data, encoder, 30), x, 30)
        np.testing.assert_allclose(machine.arrays["act"][slot], expected, atol=1e-9)
        costs.append(float(np.mean((expected[-3:] - data.train_t[0]) ** 2)))
    assert machine.arrays["rf"][RF["C_TILDE"]] == pytest.approx(costs[1] - costs[0])
    assert abs(costs[1] - costs[0]) > 1e-3


def test_injected_currents_flow_in_every_tick() -> None:
    """A node probe is a constant current for the whole window; silent and saturated neurons get none."""
    machine, theta, data = network("dense", "current", {"norm_mag": 0.3, "learning_rate": 1e-300})
    machine.burst(1)
    x = data.train_x[0].astype(np.float64).reshape(-1)
    injection = np.array(machine.arrays["injection"][1], np.float64)
    expected = simulate(matrices(machine, theta), None, x, 30, injection)
    np.testing.assert_allclose(machine.arrays["act"][1], expected, atol=1e-9)
    clean = simulate(matrices(machine, theta), None, x, 30)
    np.testing.assert_allclose(machine.arrays["act"][0], clean, atol=1e-9)
    hidden = clean[:20]
    np.testing.assert_array_equal(injection[:20] != 0.0, (hidden > 0.0) & (hidden < 1.0))
    assert (injection[20:] != 0.0).all()
    assert (hidden == 0.0).any()


def test_an_aligned_write_uses_the_activity_of_the_window() -> None:
    """w_ij -= eta c u_j a_i/sqrt(S): a_i is the hidden neuron's spikes per tick, the input's its current."""
    machine, theta, data = network("dense", "current", {"norm_mag": 0.3, "learning_rate": 0.01})
    machine.burst(1)
    arrays = machine.arrays
    acts = np.array(arrays["act"][0], np.float64)
    inputs = [data.train_x[0].astype(np.float64), acts[:12], acts[12:20]]
    slope, u = float(slopes(machine)[1]), np.array(arrays["direction"][1], np.float64)
    assert slope != 0.0
    for layer, a in zip(machine.plan.layers, inputs, strict=True):
        part = u[layer.act : layer.act + layer.n] / math.sqrt(1 + float(a @ a))
        change = -0.01 * slope * np.outer(np.append(a, 1.0), part)
        moved = np.array(arrays["theta"]) - theta
        block = moved[layer.theta : layer.theta + layer.parameters].reshape(-1, layer.n)
        np.testing.assert_allclose(block, change, atol=1e-12)


def test_column_converters_act_on_spiking_networks() -> None:
    """Where every column is digitised (adc_at = columns), the converter's bits bend what a neuron integrates."""
    chip = {**CHIP, "periphery": {"adc_at": "columns", "adc_bits": 3, "adc_range": 1.0}}
    currents = np.array([0.05, 0.31, 0.52, 0.87])
    _, _, outputs = driven({"model": "if"}, currents, 30, 0.5, chip=chip)
    lsb = 1.0 / 3  # seven levels, zero among them
    np.testing.assert_allclose(outputs, lsb * np.floor(currents / lsb + 0.5), atol=1e-9)


@pytest.mark.parametrize("encoder", ["current", "regular"])
def test_spiking_convolutions_are_charged_for_every_window(encoder: str) -> None:
    """A spike (or a driven input) reaches all windows that hold it, and the bias is read at every position and tick."""
    machine, theta, data = network("convolution", encoder)
    machine.phase("present")
    _, fired = run_window(machine)
    machine.collect()
    first, second = machine.plan.layers[:2]
    counts = machine.ledger().counts

    def windows(shape: tuple[int, ...], size: int, flat: int) -> int:
        rows, columns, channels = shape
        y, x = flat // (channels * columns), flat // channels % columns
        along = [min(at, n - size) - max(0, at - size + 1) + 1 for at, n in ((y, rows), (x, columns))]
        return along[0] * along[1]

    spikes = [(j - first.act) for now in fired[:-1] for j in now if j < first.n]
    reads = [sum(windows(second.in_shape, 3, j) for j in spikes) + 30 * second.positions]
    inputs = np.flatnonzero(data.train_x[0].reshape(-1))
    if encoder == "current":
        reads.append(30 * (sum(windows(first.in_shape, 2, int(i)) for i in inputs) + first.positions))
    else:
        train = trains(data, encoder, 30)
        assert train is not None
        reads.append(sum(windows(first.in_shape, 2, int(i)) for row in train for i in np.flatnonzero(row)) + 30 * first.positions)
    output = machine.plan.output
    last = [(j - second.act) for now in fired[:-1] for j in now if second.act <= j < output.act]
    expected = reads[0] * second.columns + reads[1] * first.columns + (len(last) + 30) * output.n
    assert machine.totals["CLEAN"] == 0
    machine.totals["CLEAN"] = 1  # the phases above are one inference, counted by nobody
    counts = machine.ledger().counts
    assert counts["synaptic_event"] == expected
