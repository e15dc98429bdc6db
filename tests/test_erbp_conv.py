"""Event-driven random back-propagation through convolutions: a kernel stored once, learned by all that look it up."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from helpers_erbp import network, one_result
from helpers_laws import Table, classes_of, dense, plain

from neurosim import api
from neurosim.data import Dataset
from neurosim.engine.machine import Machine
from neurosim.errors import InputError
from neurosim.kernels import erbp_windows, random
from neurosim.spec.scenario import Scenario

Vector = npt.NDArray[np.float64]
NEURON: Table = {"model": "erbp-lif"}
SIDE, CLASSES = 6, 3


def conv(name: str, channels: int, kernel: int, stride: int = 1) -> Table:
    return {"type": "conv2d", "name": name, "channels": channels, "kernel": kernel, "stride": stride, "neuron": NEURON}


def taps(rows: int, columns: int, channels: int, size: int, stride: int, maps: int) -> npt.NDArray[np.int64]:
    """Number of the stored weight behind each synapse [input, output] of the equal dense layer; -1: no synapse."""
    down, across = (rows - size) // stride + 1, (columns - size) // stride + 1
    out = np.full((rows * columns * channels, down * across * maps), -1)
    for oy in range(down):
        for ox in range(across):
            for u in range(size):
                for v in range(size):
                    for c in range(channels):
                        i = ((oy * stride + u) * columns + ox * stride + v) * channels + c
                        j = (oy * across + ox) * maps
                        out[i, j : j + maps] = ((u * size + v) * channels + c) * maps + np.arange(maps)
    return out


def images(n: int = 6) -> Dataset:
    """Pixels that fire as fast as they can (1) or never (-20)."""
    rng = np.random.default_rng(5)
    return classes_of(np.where(rng.uniform(size=(n, SIDE, SIDE)) < 0.5, 1.0, -20.0), np.arange(n) % CLASSES, CLASSES)


def small(layers: list[Table], training: Table | None = None, **more: Any) -> Scenario:
    """A network for 6 x 6 pixels, samples of 20 ticks."""
    base = {"learning_rate": 1e-2, "sample_s": 0.02, "burn_in_s": 0.0, "rate_Hz": 300.0, **(training or {})}
    wide = {"network": {"dtype": "float64"}, "stop": {"steps": 12}}
    layers = [*layers, dense("out", CLASSES, NEURON)]
    return network(layers, {"model": "glorot", "scale": 2.0}, base, wide, more)


# --- the loops ------------------------------------------------------------------------------------------------------

SHAPES = [(6, 6, 1, 3, 1, 4), (7, 6, 2, 3, 2, 5), (6, 8, 3, 2, 3, 2), (5, 5, 2, 5, 1, 3), (9, 7, 1, 2, 4, 7)]
"""rows, columns, channels, size, stride, maps; some leave a border over."""


@pytest.mark.parametrize("shape", SHAPES)
def test_stored_weights_get_what_the_tied_synapses_would(shape: tuple[int, ...]) -> None:
    """Currents are those of the dense layer with tied weights; a weight's change is the sum over all its synapses."""
    rows, columns, channels, size, stride, maps = shape
    rng = np.random.default_rng(1)
    table = taps(*shape)
    there = table >= 0
    down, across = (rows - size) // stride + 1, (columns - size) // stride + 1
    w = rng.normal(size=(size, size, channels, maps))
    change = np.where(rng.uniform(size=table.shape[1]) < 0.6, rng.normal(size=table.shape[1]), 0.0)
    fired = np.flatnonzero(rng.uniform(size=table.shape[0]) < 0.4)
    full = np.where(there, w.reshape(-1)[table], 0.0)
    expected, sums = full[fired].sum(axis=0), np.zeros(w.size)
    for i in fired:
        np.add.at(sums, table[i][there[i]], change[there[i]])
    reached, changed = int(there[fired].sum()), int((there[fired] & (change != 0.0)).sum())

    maps_shape = (down, across, maps)
    for learning in (False, True):
        current, pending = np.zeros(maps_shape), np.zeros(w.shape)
        by = change.reshape(maps_shape)
        driven, written = erbp_windows.transmit_windows(
            w, fired, fired.size, columns, stride, current, by, pending, learning
        )
        np.testing.assert_allclose(current.reshape(-1), expected, atol=1e-12)
        np.testing.assert_allclose(pending.reshape(-1), sums * learning, atol=1e-12)
        assert (driven * maps, written) == (reached, changed * learning)


def test_every_alias_drops_on_its_own() -> None:
    """Rows of one stored weight transmit independently, with their probability; what is dropped is not learned."""
    rows = columns = 20
    size, maps, limit, key = 3, 8, 29_491, random.stream_key(2, 20, 0, 0, 0)  # 0.45
    down = rows - size + 1
    w, free = np.ones((size, size, 1, maps)), np.ones((size, size, 1, maps), np.uint8)
    fired, words = np.arange(rows * columns), np.zeros((size * size + 1) * maps // 2, np.uint32)
    change = np.full((down, down, maps), 0.5)
    current, pending = np.zeros((down, down, maps)), np.zeros(w.shape)
    how = (w, fired, fired.size, columns, 1, current, change, pending)
    driven, moved = erbp_windows.drop_windows(*how, True, words, key, 11, limit)
    share, aliases = limit / 65_536, down * down
    assert driven == aliases * size * size
    assert moved == current.sum() == pending.sum() / 0.5
    std = math.sqrt(aliases * share * (1.0 - share))
    assert (np.abs(pending / 0.5 - aliases * share) < 5.0 * std).all()  # each of the 72 weights: a sum over aliases
    assert (pending / 0.5).std() == pytest.approx(std, rel=0.35)  # and they are independent

    again, general, gathered = np.zeros_like(current), np.zeros_like(current), np.zeros_like(pending)
    erbp_windows.drop_windows(w, fired, fired.size, columns, 1, again, change, gathered, False, words, key, 11, limit)
    np.testing.assert_array_equal(again, current)
    assert not gathered.any()
    assert erbp_windows.round_windows(
        w, free, fired, fired.size, columns, 1, general, change, gathered, key, 11, limit, key, 0.0
    ) == (driven, moved)
    np.testing.assert_array_equal(general, current)
    np.testing.assert_array_equal(gathered, pending)


def test_rounding_alias_by_alias_is_unbiased_and_bounded() -> None:
    """A change of -0.3 steps moves 30 % of the aliases by one step each; stuck weights stay; bounds hold."""
    rows, size, maps, step = 22, 3, 6, 0.125
    down = rows - size + 1
    w, free = np.zeros((size, size, 1, maps)), np.ones((size, size, 1, maps), np.uint8)
    free[0] = 0
    fired, key = np.arange(rows * rows), random.stream_key(4, 8, 0, 0, 0)
    pending, change = np.zeros(w.shape), np.full((down, down, maps), -0.3 * step)
    _, moved = erbp_windows.round_windows(
        w, free, fired, fired.size, rows, 1, np.zeros((down, down, maps)), change, pending, key, 0,
        erbp_windows.ALWAYS, key, step,
    )  # fmt: skip
    expected = 0.3 * down * down * free.sum()
    assert moved == pytest.approx(expected, abs=5.0 * math.sqrt(0.7 * expected)) == -pending.sum() / step
    assert not pending[0].any()
    erbp_windows.write_windows(w.reshape(-1), pending.reshape(-1), step, -10.0, 9.875)
    assert not pending.any()
    assert not w[0].any()
    assert (w[1:] == -10.0).all()  # 120 steps of 1/8 are more than the word holds
    odd = np.array([0.25, 0.0])
    erbp_windows.write_windows(odd, np.array([3 * step, -step]), step, -1.0, 0.5)
    np.testing.assert_array_equal(odd, [0.5, -0.125])


# --- the machine ------------------------------------------------------------------------------------------------------


def tied(machine: Machine, layer: int, shape: tuple[int, ...]) -> tuple[npt.NDArray[np.int64], Vector]:
    """The table of `taps`, and the convolution's weights as those of the equal dense layer."""
    table, plan = taps(*shape), machine.plan.layers[layer]
    w = np.array(machine.arrays["theta"][plan.theta : plan.theta + plan.weights])
    return table, np.where(table >= 0, w[table], 0.0)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_equals_the_tied_dense_layer(stride: int) -> None:
    """Same spikes of all layers; and what a sample teaches a stored weight is the sum over the tied synapses."""
    shape = (SIDE, SIDE, 1, 3, stride, 4)
    rate = 1e-9  # so small that what is learned does not change the spikes
    made = small([conv("c", 4, 3, stride)], {"learning_rate": rate})
    machine = plain(Machine(made, images()))
    plan = machine.plan.layers[0]
    table, w = tied(machine, 0, shape)
    other = plain(Machine(small([dense("c", plan.n, NEURON)], {"learning_rate": rate}), images()))
    same = other.plan.layers[0]
    other.arrays["theta"][same.theta : same.theta + same.weights] = w.reshape(-1)
    out, same_out = machine.plan.output, other.plan.output
    span, same_span = (slice(at.theta, at.theta + at.weights) for at in (out, same_out))
    other.arrays["theta"][same_span] = machine.arrays["theta"][span]
    before, dense_before = np.array(machine.arrays["theta"]), np.array(other.arrays["theta"])
    for taken in (machine, other):
        taken.burst(6)
    for name in ("FIRED_0", "FIRED_1", "ACTIVE_1", "ERRORS", "COMPARED", "FEEDBACK"):
        assert machine.totals[name] == other.totals[name] > 0, name
    np.testing.assert_array_equal(machine.arrays["count"], other.arrays["count"])

    change = (np.array(machine.arrays["theta"]) - before)[plan.theta : plan.theta + plan.weights]
    dense_change = (np.array(other.arrays["theta"]) - dense_before)[same.theta : same.theta + same.weights]
    sums = np.zeros(plan.weights)
    there = table >= 0
    np.add.at(sums, table[there], dense_change.reshape(table.shape)[there])
    assert np.abs(sums).max() > 3.0 * rate
    np.testing.assert_allclose(change, sums, rtol=1e-5, atol=1e-3 * rate)
    np.testing.assert_allclose(
        (np.array(machine.arrays["theta"]) - before)[span], (np.array(other.arrays["theta"]) - dense_before)[same_span],
        rtol=1e-5, atol=1e-3 * rate,
    )  # fmt: skip
    # events of the convolution: synapses that are there; the dense layer has the absent ones too
    assert machine.totals["ACTIVE_0"] * plan.columns < other.totals["ACTIVE_0"] * same.columns
    assert machine.totals["WRITTEN"] < other.totals["WRITTEN"]


def test_counts_and_memory_by_hand() -> None:
    """One pixel in the middle reaches nine windows of four maps; one in the corner reaches one. Nine weights a map."""
    x = np.full((1, SIDE, SIDE), -20.0)
    x[0, 2, 2] = x[0, 0, 0] = 1.0
    made = small([conv("c", 4, 3)], {"rate_Hz": 1e9, "learning_rate": 1e-6})
    machine = plain(Machine(made, classes_of(x, np.array([1]), CLASSES)))
    machine.arrays["theta"][:] = 0.0
    machine.burst(1)
    totals, counts, n = machine.totals, machine.ledger().counts, 4 * 4 * 4
    assert totals["ACTIVE_0"] == 5 * (9 + 1)  # spikes in ticks 0, 4, 8, 12, 16
    assert totals["FEEDBACK"] == 3 * (n + 1)  # three error spikes arrive within the sample
    assert totals["WRITTEN"] == 3 * (9 + 1) * 4  # in ticks 8, 12 and 16, every alias
    assert counts["synaptic_event"] == 5 * (9 + 1) * 4 + 2 * 5 + 3 * (n + 1)
    assert counts["synapse_updated"] == totals["WRITTEN"]
    assert counts["neuron_visited"] == 20 * (n + CLASSES + 2 * CLASSES)
    utilisation = machine.placement.utilisation
    assert utilisation is not None
    assert utilisation.used["synapses"].sum() == (9 + 1) * 4 + (n + 1) * CLASSES  # with the rows of biases, unused here
    assert utilisation.used["neurons"].sum() == n + CLASSES
    w = machine.weights("c")[:9]
    assert (np.abs(w) > 0.0).all()  # the pixel in the middle stands at each of the nine places of a window


RANDOM: Table = {"transmission": 0.6, "anneal_steps": 100, "shared_rate": 0.3}
WORDS: Table = {"synapse": {"device": {"model": "quantized", "bits": 8, "w_min": -1.0, "w_max": 1.0}}}


@pytest.mark.parametrize(
    ("training", "chip"),
    [(RANDOM, {}), ({}, WORDS), (RANDOM, {"synapse": {"stuck_fraction": 0.3}})],
)
def test_any_mode_and_burst_gives_the_same_bits(training: Table, chip: Table) -> None:
    """Two convolutions, then dense layers: dropping synapses, words that are rounded, stuck weights. All layers learn."""
    layers = [conv("c1", 3, 3), conv("c2", 4, 2, 2), dense("hidden", 5, NEURON)]
    made = small(layers, training, chip=chip)
    machine = one_result(made, images(), 7)
    moved = machine.arrays["theta"] != Machine(made, images()).arrays["theta"]
    for layer in machine.plan.layers:
        assert moved[layer.theta : layer.theta + layer.weights].any(), layer.name


def test_it_learns() -> None:
    """1,000 images of clothes by the shipped scenario: far above chance (a tenth)."""
    overrides = {
        "task.data": "fashion-mnist-small", "task.n_test": 300, "stop.steps": 1000, "training.anneal_steps": 1000,
        "training.test_s": 0.1,
    }  # fmt: skip
    _, made = api.load_scenario("mnist-perbp-conv", overrides=overrides)
    machine = Machine(made, api.load_dataset(made))
    machine.burst(1000)
    assert machine.evaluate(300)[0] > 0.45


def test_bad_input() -> None:
    """A stride for another trainer, a window larger than its input, pooling: each with its key path."""
    layers = [{**conv("c", 2, 3, 2), "neuron": "relu"}, dense("out", CLASSES, "linear")]
    table = {
        "chip": {"name": "nist-hw2"}, "network": {"layers": layers}, "task": {"data": "xor", "cost": "mse"},
        "training": {"model": "backprop", "learning_rate": 0.1, "on_chip": False}, "stop": {"steps": 1},
    }  # fmt: skip
    other = api.load_scenario(table)[1]
    with pytest.raises(InputError, match=r"network\.layers\.c\.stride = 2"):
        Machine(other, images())
    with pytest.raises(InputError, match="a window of 7 x 7 does not fit"):
        Machine(small([conv("c", 2, 7)]), images())
    with pytest.raises(InputError, match="pooling needs analog neurons"):
        Machine(small([conv("c", 2, 3), {"type": "maxpool", "name": "pool", "size": 2}]), images())
