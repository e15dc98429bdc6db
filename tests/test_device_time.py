"""Time is the chip's time: drift, leak, retention, telegraph noise and noise of reads act in training, on its seconds.

Kernels run as plain Python (``helpers_laws.plain``) but for one compiled run through the API.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_laws import FROZEN, RF, RI, Table, Vector, classes_of, dense, merged, plain, samples, scenario, set_weights

import neurosim as ns
from neurosim import api
from neurosim.chip import clock
from neurosim.data import Dataset
from neurosim.engine.control import Control
from neurosim.engine.machine import Machine
from neurosim.engine.sink import NullSink
from neurosim.errors import InputError

LAYERS = [dense("h", 6, "tanh"), dense("o", 3, "sigmoid")]
PERIOD = {"timing": {"perturbation_period_s": 0.25}}
"""A step of the trainers used here lasts as long as its perturbation periods, and a little more."""


def few(inputs: int = 5, classes: int = 3) -> Dataset:
    rng = np.random.default_rng(7)
    return classes_of(np.abs(rng.normal(size=(6, inputs))), rng.integers(0, classes, 6), classes)


def chip(device: Table, **more: Any) -> Table:
    return merged({"synapse": {"device": device}}, more)


def built(device: Table, training: Table | None = None, layers: list[Table] = LAYERS, **more: Any) -> Machine:
    """A plain machine whose weights nothing but time changes, unless ``training`` says otherwise."""
    data = more.pop("data", None) or few()
    asked = {"chip": chip(device, **more.pop("hardware", {})), **more}
    return plain(Machine(scenario(layers, {**FROZEN, **(training or {})}, **asked), data))


def wide(columns: int) -> Table:
    """A layer of many columns with three inputs of 1."""
    data = samples(np.ones((1, 3)), np.zeros((1, columns)))
    return {"layers": [dense("o", columns, "linear")], "data": data}


def clock_fs(machine: Machine) -> int:
    """The chip's time as the kernel counts it."""
    seconds, rest = (int(machine.arrays["ri"][RI[name]]) for name in ("NOW_S", "NOW_FS"))
    return seconds * 10**15 + rest


def seen(machine: Machine) -> Vector:
    """What reads see now, of all layers."""
    return np.concatenate([machine.weights(layer.name).ravel() for layer in machine.plan.trainable])


def finished(machine: Machine, mode: Any = "burst", burst_steps: int | None = None) -> Control:
    control = Control(machine, NullSink(), mode=mode, burst_steps=burst_steps)
    control.begin()
    assert control.run() == "complete"
    return control


def within_4_se(values: Vector, mean: float, std: float) -> None:
    assert abs(float(np.mean(values)) - mean) < 4.0 * std / math.sqrt(values.size)


CAPACITOR: Table = {"model": "capacitor", "tau_leak_s": 2.0, "dw_min": 1e-3}
PCM: Table = {"model": "pcm", "drift_t0_s": 1.0, "read_noise_scale": 0.0}
PAIRS = {"synapse": {"pair": "one-sided", "refresh_every": 0}}


# --- off is off ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "device",
    [
        {"model": "sonos", "retention_scale": 0.0, "read_noise_scale": 0.0},
        {"model": "pcm", "drift_scale": 0.0, "read_noise_scale": 0.0},
        {"model": "stochastic-mtj"},
        {"model": "soft-bounds"},
        {"model": "ideal"},
    ],
)
def test_without_a_law_nothing_of_time_is_in_the_kernel(device: Table) -> None:
    machine = built(device)
    for word in ("renew_view", "def elapse", "NOW_S", "VIEW_STALE", "column_noise"):
        assert word not in machine.source
    assert not {"seen", "since", "clocked", "read_variance"} & machine.arrays.keys()


def test_a_law_too_slow_to_matter_leaves_every_bit() -> None:
    """A capacitor that hardly leaks trains as the cell with its pulses does."""
    training = {"learning_rate": 0.1, "tau_theta": 1, "norm_mag": 0.01}
    leaky, steady = (
        built({"model": model, "dw_min": 1e-3, "dw_min_std": 0.3, **more}, training, stop={"steps": 40})
        for model, more in (("capacitor", {"tau_leak_s": 1e30}), ("linear-step", {}))
    )
    ended = [finished(machine).summary() for machine in (leaky, steady)]
    assert ended[0] == ended[1]
    assert ended[0]["weight_pulses"] > 0
    assert np.array_equal(seen(leaky), seen(steady))


# --- the clock -------------------------------------------------------------------------------------------------------


TRAINERS: dict[str, Table] = {
    "mgd": {"model": "mgd", "tau_theta": 1, "learning_rate": 0.1, "norm_mag": 0.01},
    "two-sided": {"model": "mgd", "tau_theta": 2, "learning_rate": 0.1, "difference": "two-sided"},
    "written": {"model": "mgd", "tau_theta": 1, "learning_rate": 0.1, "mechanism": "write", "norm_mag": 0.05},
    "node": {"model": "node", "tau_theta": 1, "learning_rate": 0.1},
    "delta": {"model": "delta-mgd", "tau_theta": 1, "learning_rate": 0.1, "refresh": "bias", "refresh_every": 5},
    "backprop": {"model": "backprop", "tau_theta": 1, "learning_rate": 0.1},
}
MEMORY = {"capabilities": {"gradient_integrators": True, "differences": ["baseline", "two-sided"]}}
SHORT: Table = {"stop": {"steps": 11}, "probes": {"record_every": 4, "evaluate_every": 6, "evaluate_samples": 3}}
LIF = [dense("h", 4, {"model": "lif", "tau_mem_s": 1e-3}), dense("o", 3, {"model": "lif", "tau_mem_s": 1e-3})]
CONV = [
    {"type": "conv2d", "name": "c", "channels": 2, "kernel": 3, "neuron": "tanh"},
    {"type": "maxpool", "name": "p", "size": 2},
    dense("o", 3, "sigmoid"),
]


def picture() -> Dataset:
    rng = np.random.default_rng(8)
    return classes_of(rng.normal(size=(6, 6, 6, 1)), rng.integers(0, 3, 6), 3)


DEVICES: dict[str, Table] = {
    "capacitor": chip({"model": "capacitor", "tau_leak_s": 1e-4, "dw_min": 1e-3, "diffusion_per_sqrt_s": 1e-2}),
    "sonos": chip({"model": "sonos", "dw_min": 1e-3}),
    "pcm": chip({"model": "pcm", "drift_t0_s": 1e-6}, synapse={"pair": "one-sided"}),
    "telegraph": chip({"model": "stochastic-mtj", "flip_rate_Hz": 1e4, "read_std": 0.05}),
}
CASES = [
    ("mgd", LAYERS, "capacitor"), ("two-sided", LAYERS, "sonos"), ("written", LAYERS, "capacitor"),
    ("node", LAYERS, "pcm"), ("delta", LAYERS, "telegraph"), ("delta", LAYERS, "capacitor"),
    ("backprop", LAYERS, "pcm"), ("mgd", CONV, "sonos"), ("node", CONV, "capacitor"), ("mgd", LIF, "telegraph"),
    ("node", LIF, "pcm"),
]  # fmt: skip


@pytest.mark.parametrize(("trainer", "layers", "device"), CASES)
def test_clock_and_modes(trainer: str, layers: list[Table], device: str) -> None:
    """The kernel's time is the ledger's; event mode and any burst length give the same bits."""
    more: Table = {"network": {"spiking": {"readout_ticks": 4}}} if layers is LIF else {}
    hardware = merged(DEVICES[device], {"timing": {"tick_s": 1e-6}, **MEMORY})
    asked = scenario(layers, TRAINERS[trainer], chip=hardware, **SHORT, **more)
    data = picture() if layers is CONV else few()
    whole = plain(Machine(asked, data))
    summary = finished(whole).summary()
    assert clock_fs(whole) == whole.ledger().time_fs > 0
    for mode, steps in (("event", None), ("burst", 1), ("burst", 3)):
        other = plain(Machine(asked, data))
        assert finished(other, mode, steps).summary() == summary
        for name, arena in whole.arenas.items():
            assert arena.tobytes() == other.arenas[name].tobytes(), (mode, steps, name)


@pytest.mark.parametrize("layers", [LAYERS, LIF], ids=["analog", "spiking"])
@pytest.mark.parametrize("timing", [{"pipelined": True}, {"pipelined": True, "perturbation_period_s": 1e-3},
                                    {"model": "simple"}])  # fmt: skip
def test_the_clock_keeps_the_ledgers_time_on_other_clocks(layers: list[Table], timing: Table) -> None:
    """Time that hides behind perturbation periods, and ticks as long as their slowest core."""
    one = {"energy_J": 1e-12, "low_J": 1e-12, "high_J": 1e-12, "kind": "published", "source": "a test"}
    prices = {name: {**one, "latency_s": latency, "low_s": latency, "high_s": latency}
              for name, latency in (("neuron_updated", 3e-9), ("neuron_fired", 7e-9), ("neuron_visited", 1e-9),
                                    ("synaptic_event", 2e-9), ("message", 5e-9), ("message_received", 4e-9))}  # fmt: skip
    hardware = merged({"timing": {"tick_s": 1e-6, **timing}, "prices": prices}, DEVICES["capacitor"])
    more: Table = {"network": {"spiking": {"readout_ticks": 4}}} if layers is LIF else {}
    machine = plain(Machine(scenario(layers, {**TRAINERS["mgd"], "tau_x": 3}, chip=hardware, **more), few()))
    for steps in (1, 7, 15):
        machine.burst(steps)
        assert clock_fs(machine) == machine.ledger().time_fs


def test_hours_fit_the_clock() -> None:
    """Int64 femtoseconds end at 2.6 hours; the clock goes on."""
    machine = built(CAPACITOR, hardware={"timing": {"perturbation_period_s": 1000.0}})
    machine.burst(30)
    assert clock_fs(machine) == machine.ledger().time_fs > 2**63


def test_rates_are_whole_where_the_meter_is() -> None:
    machine = built(CAPACITOR)
    whole, parts = clock.rates(machine.meter, machine.names)
    none = dict.fromkeys(machine.names, 0)
    assert not parts.any()
    for k, name in enumerate(machine.names):
        assert whole[:2, k].sum() * 360360 == sum(machine.meter.phases({**none, name: 360360}).values())


def test_evaluation_takes_no_chip_time() -> None:
    """Looking changes neither the time nor a bit of what comes after."""
    training = TRAINERS["mgd"]
    watched, alone = (built(DEVICES["sonos"]["synapse"]["device"], training, hardware=PERIOD) for _ in range(2))
    for _ in range(5):
        watched.burst(2)
        before = clock_fs(watched)
        watched.evaluate(6)
        seen(watched)
        assert clock_fs(watched) == before
        alone.burst(2)
        assert np.array_equal(watched.arrays["theta"], alone.arrays["theta"])


# --- ageing ----------------------------------------------------------------------------------------------------------


def test_a_capacitor_leaks_by_the_chips_time() -> None:
    """Every weight is w e^(-t / tau), t the ledger's seconds; leak rates have their mismatch."""
    for mismatch in (0.0, 0.2):
        machine = built({**CAPACITOR, "tau_leak_dtod": mismatch}, hardware=PERIOD)
        first = seen(machine)
        rates = np.array(machine.arrays["device_own"], np.float64).reshape(-1, first.size)[-1]
        for _ in range(3):
            machine.burst(4)
            seconds = machine.ledger().time_fs * 1e-15
            assert seconds > 1.0
            np.testing.assert_allclose(seen(machine), first * np.exp(-seconds * rates), rtol=1e-12)
        assert (np.ptp(rates) > 0.0) == (mismatch > 0.0)


def test_forwards_read_what_is_left() -> None:
    """The cost of a step is that of a network with the leaked weights."""
    machine = built(CAPACITOR, hardware=PERIOD)
    machine.burst(6)
    left = seen(machine)
    accuracy, cost = machine.evaluate(6)
    fresh = built({"model": "linear-step", "dw_min": 1e-3})
    set_weights(fresh, left)
    assert fresh.evaluate(6) == (accuracy, pytest.approx(cost, rel=1e-14))
    assert machine.evaluate(6) == (accuracy, cost)


def test_a_write_begins_a_new_age() -> None:
    """In a run that learns, each weight has leaked since its own last pulse, and steps begin at what was left."""
    machine = built(CAPACITOR, {**TRAINERS["mgd"], "tau_theta": 4}, hardware=merged(PERIOD, MEMORY))
    held = np.array(machine.arrays["theta"])
    since = np.zeros(held.size)
    for _ in range(6):
        before = seen(machine)
        then = clock_fs(machine) * 1e-15
        machine.burst(1)
        theta, now = np.array(machine.arrays["theta"]), clock_fs(machine) * 1e-15
        pulsed = theta != held
        since[pulsed] = then
        pulses = (theta[pulsed] - before[pulsed]) / 1e-3
        np.testing.assert_allclose(pulses, np.rint(pulses), atol=1e-6)
        np.testing.assert_allclose(seen(machine), theta * np.exp(-(now - since) / 2.0), rtol=1e-9)
        held = theta
    assert 0 < np.count_nonzero(since) < since.size or since.all()


def test_drift_exponents_come_back_by_regression() -> None:
    """log w against log t over decades of chip time: the slope is -nu of each device, by Joshi's law."""
    machine = built(PCM, **wide(40), hardware={"timing": {"perturbation_period_s": 1.0}})
    w = np.tile(np.linspace(0.1, 1.9, 40), machine.plan.parameters // 40)
    set_weights(machine, w)
    times, values = [], []
    for steps in (2, 5, 15, 40, 100, 300):
        machine.burst(steps)
        times.append(math.log(machine.ledger().time_fs * 1e-15))
        values.append(np.log(seen(machine)))
    assert times[-1] - times[0] > math.log(100.0)
    slope = np.polyfit(times, np.array(values), 1)[0]
    xi = np.array(machine.arrays["device_own"], np.float64)
    u = np.log(w / 2.0)
    nu = np.abs(np.clip(-0.0155 * u + 0.0244, 0.049, 0.1) + np.clip(-0.0125 * u - 0.0059, 0.008, 0.045) * xi)
    np.testing.assert_allclose(-slope, nu, rtol=1e-9)


def test_both_cells_of_a_pair_drift() -> None:
    machine = built(PCM, hardware=merged(PAIRS, {"timing": {"perturbation_period_s": 10.0}}))
    size = machine.plan.parameters
    first = seen(machine)
    machine.burst(20)
    cells = np.array(machine.arrays["cells"])
    assert np.array_equal(cells[:size] - cells[size:], first)
    assert set(np.sign(first)) == {-1.0, 1.0}
    left = seen(machine) / first
    assert (left < 1.0).all()
    assert (left > math.exp(-0.3 * math.log(machine.ledger().time_fs * 1e-15))).all()


@pytest.mark.parametrize("device", [CAPACITOR, PCM, {"model": "sonos", "read_noise_scale": 0.0}])
def test_a_slow_chip_forgets_more(device: Table) -> None:
    """The same steps on a chip whose layers settle 1,000 times as slowly."""
    moved = []
    for settling in (1e-3, 1.0):
        machine = built(device, **wide(30), hardware={"timing": {"settling_s": settling}})
        set_weights(machine, np.full(machine.plan.parameters, 0.5))
        machine.burst(50)
        moved.append(float(np.sqrt(np.mean((seen(machine) - 0.5) ** 2))))
        assert machine.ledger().time_fs * 1e-15 == pytest.approx(100 * settling, rel=0.01)
    assert moved[1] > 5.0 * moved[0]


def test_what_is_stuck_does_not_age() -> None:
    machine = built(CAPACITOR, hardware=merged(PERIOD, {"synapse": {"stuck_fraction": 0.5}}))
    first = seen(machine)
    machine.burst(8)
    same = seen(machine) == first
    assert 0.2 < np.mean(same) < 0.8
    assert np.array_equal(same, (machine.arrays["scale_up"] == 0.0) & (machine.arrays["scale_down"] == 0.0))


def test_a_dead_synapse_stays_silent() -> None:
    """0 for good, also where 0 is the middle of the range and would spread, and without noise of its reads."""
    fault = [{"dead_synapse_fraction": 0.4, "tick": 0}]
    machine = built({"model": "sonos"}, hardware={**PERIOD, "faults": fault})
    machine.burst(4)
    dead = machine.arrays["theta"] == 0.0
    assert 0.1 < np.mean(dead) < 0.8
    assert not seen(machine)[dead].any()
    assert not machine.arrays["read_variance"][dead].any()
    assert machine.arrays["read_variance"][~dead].all()


# --- chance ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("every_s", [0.0, 1.2])
def test_telegraph_noise_forgets_by_its_flip_rate(every_s: float) -> None:
    """Autocorrelation e^(-2 r t) after any time, whether chance acts every step or in larger lumps."""
    rate, size = 0.05, 4000
    device = {"model": "stochastic-mtj", "flip_rate_Hz": rate}
    machine = built(device, **wide(size // 4), hardware=merged(PERIOD, {"synapse": {"elapse_period_s": every_s}}))
    states, times = [np.sign(seen(machine))], [0.0]
    for _ in range(4):
        machine.burst(10)
        states.append(np.sign(seen(machine)))
        times.append(float(machine.arrays["rf"][RF["ELAPSED_S"]]))  # when chance acted last
        assert 0.0 <= clock_fs(machine) * 1e-15 - times[-1] < max(every_s, 1e-9)
    for a in range(5):
        for b in range(a):
            expected = math.exp(-2.0 * rate * (times[a] - times[b]))
            within_4_se(states[a] * states[b], expected, math.sqrt(1.0 - expected**2))
    assert set(np.unique(states[-1])) == {-1.0, 1.0}


def test_a_walk_under_a_leak_settles() -> None:
    """Diffusion D and leak 1/tau: an Ornstein-Uhlenbeck process, of variance D^2 tau / 2 (1 - e^(-2 t / tau))."""
    device = {"model": "capacitor", "tau_leak_s": 40.0, "diffusion_per_sqrt_s": 0.01, "w_max": 5.0, "w_min": -5.0}
    machine = built(device, **wide(250), hardware={"timing": {"perturbation_period_s": 2.0}})
    set_weights(machine, np.zeros(1000))
    for steps in (10, 40):
        machine.burst(steps)
        seconds = clock_fs(machine) * 1e-15
        std = 0.01 * math.sqrt(20.0 * (1.0 - math.exp(-seconds / 20.0)))
        values = seen(machine) / std
        within_4_se(values, 0.0, 1.0)
        within_4_se(values**2, 1.0, math.sqrt(2.0))
    assert seconds > 80.0


@pytest.mark.parametrize("every_s", [0.5, 30.0])
def test_by_hand_it_settles_too(every_s: float) -> None:
    """The same law for ``ns.Devices``, in short and in long steps, and no leak is lost in float32."""
    device = {"model": "capacitor", "tau_leak_s": 40.0, "diffusion_per_sqrt_s": 0.01, "w_max": 5.0, "w_min": -5.0}
    devices = ns.Devices(device, 20_000, seed=3)
    devices.pulse(200)
    first = float(devices.weights[0])
    assert first == pytest.approx(0.2, rel=1e-5)
    for _ in range(round(60.0 / every_s)):
        devices.elapse(every_s)
    std = 0.01 * math.sqrt(20.0 * (1.0 - math.exp(-3.0)))
    values = devices.weights.astype(np.float64)
    within_4_se(values, first * math.exp(-1.5), 1.02 * std)
    within_4_se((values - values.mean()) ** 2 / std**2, 1.0, 1.02 * math.sqrt(2.0))


# --- noise of reads --------------------------------------------------------------------------------------------------


def columns_of(machine: Machine, layer: int, steps: int) -> Vector:
    """The pre-activations of a layer in each of some steps: [step, column]."""
    plan = machine.plan.layers[layer]
    drawn = []
    for _ in range(steps):
        machine.burst(1)
        drawn.append(np.array(machine.arrays["z"][0, plan.act : plan.act + plan.n]))
    return np.array(drawn)


def assert_normal(scaled: Vector) -> None:
    """Mean 0 and variance 1, each column and step anew."""
    within_4_se(scaled.ravel(), 0.0, 1.0)
    within_4_se(scaled.ravel() ** 2, 1.0, math.sqrt(2.0))
    assert abs(np.mean(scaled[0] * scaled[1])) < 4.0 / math.sqrt(scaled[0].size)


def sonos_std(w: Vector) -> Vector:
    """Noise of one read, in weight units, of cells of 1600 nA between -1 and 1."""
    return 12.58037 * (1.0 - np.exp(-np.maximum((w + 1.0) * 800.0, 0.0) / 215.36557)) / 800.0


SONOS: Table = {"model": "sonos", "retention_scale": 0.0}
TWO = {"model": "mgd", "difference": "two-sided", "norm_mag": 1e-12}
"""Both inferences of a step are perturbed, by next to nothing."""
COSTS = {"capabilities": {"differences": ["two-sided"]}}


def test_a_columns_noise_has_the_exact_variance() -> None:
    """sum_i x_i^2 var_ij, the bias row's x being 1, and the chip's own noise of reads beside it: in one draw."""
    n, inputs = 1500, 4
    x = np.random.default_rng(5).normal(size=(1, inputs)).astype(np.float32)
    data = samples(x, np.zeros((1, n)))
    for common in (0.0, 0.02):
        hardware = merged(COSTS, {"synapse": {"read_noise_std": common}})
        machine = built(SONOS, TWO, [dense("o", n, "linear")], data=data, hardware=hardware)
        w = seen(machine).reshape(inputs + 1, n)
        driven = np.append(x[0].astype(np.float64), 1.0)
        expected = np.sqrt(driven**2 @ (sonos_std(w) ** 2 + common**2))
        assert_normal((columns_of(machine, 0, 4) - driven @ w) / expected)


def test_also_in_a_convolution() -> None:
    """Every position is a read of its own."""
    x = np.random.default_rng(6).normal(size=(1, 24, 24, 1)).astype(np.float32)
    layers: list[Table] = [
        {"type": "conv2d", "name": "c", "channels": 4, "kernel": 3, "neuron": "linear"}, dense("o", 2, "linear")
    ]  # fmt: skip
    machine = built(SONOS, TWO, layers, data=samples(x, np.zeros((1, 2))), hardware=COSTS)
    w, b = np.split(machine.weights("c"), [9])
    windows = np.lib.stride_tricks.sliding_window_view(x[0, :, :, 0].astype(np.float64), (3, 3)).reshape(484, 9)
    expected = np.sqrt(windows**2 @ sonos_std(w) ** 2 + sonos_std(b) ** 2)
    z = columns_of(machine, 0, 4).reshape(4, 484, 4)
    assert_normal((z - windows @ w - b) / expected)


def test_also_of_a_tick_of_spikes() -> None:
    """The rows that spikes drive, and the bias row, each tick anew."""
    n, inputs = 800, 5
    x = np.array([[1.0, 0.0, 1.0, 1.0, 0.0]])
    machine = built(
        SONOS, TWO, [dense("o", n, {"model": "if"})], data=samples(x, np.zeros((1, n))),
        hardware=merged(COSTS, {"timing": {"tick_s": 1e-6}}),
        network={"spiking": {"encoder": "regular", "max_rate": 1.0, "readout_ticks": 4}},
    )  # fmt: skip
    w = seen(machine).reshape(inputs + 1, n)
    driven = np.append(x[0], 1.0)
    machine.phase("present")
    machine.phase("perturb")
    machine.phase("begin", 0)
    currents = []
    for tick in range(4):
        machine.phase("deliver", 0, tick)
        currents.append(np.array(machine.arrays["current"]))
    assert_normal((np.array(currents) - driven @ w) / np.sqrt(driven**2 @ sonos_std(w) ** 2))


def test_noise_of_reads_grows_with_age() -> None:
    """1/f noise of a phase-change pair: both cells' variances, by the time since each was programmed."""
    n = 1200
    device = {"model": "pcm", "drift_scale": 0.0, "read_time_s": 1e-3}
    hardware = merged(PAIRS, merged(COSTS, {"timing": {"perturbation_period_s": 5.0}}))
    machine = built(device, TWO, **wide(n), hardware=hardware)
    w = seen(machine).reshape(4, n)
    columns_of(machine, 0, 3)
    for _ in range(2):
        age = clock_fs(machine) * 1e-15
        q = np.minimum(0.0088 * (np.abs(w) / 2.0) ** -0.65, 0.2)
        std = np.abs(w) * q * math.sqrt(math.log((age + 1e-3) / 2e-3))
        scaled = (columns_of(machine, 0, 1)[0] - w.sum(axis=0)) / np.sqrt((std**2).sum(axis=0))
        within_4_se(scaled, 0.0, 1.0)
        within_4_se(scaled**2, 1.0, math.sqrt(2.0))


# --- time in lumps ---------------------------------------------------------------------------------------------------


def test_between_two_acts_of_time_only_what_is_written_is_seen_anew() -> None:
    every = {"synapse": {"elapse_period_s": 2.0}}
    machine = built(CAPACITOR, hardware=merged(PERIOD, every))
    first, last = seen(machine), 0.0
    for _ in range(30):
        machine.burst(1)
        now = clock_fs(machine) * 1e-15
        last = now if now - last >= 2.0 else last
        np.testing.assert_allclose(seen(machine), first * math.exp(-last / 2.0), rtol=1e-12)
    assert last > 4.0
    quick = built(CAPACITOR, TRAINERS["mgd"], hardware=merged(PERIOD, every))
    quick.burst(4)
    fresh = quick.arrays["since"] == quick.arrays["since"].max()
    assert fresh.any()
    age = clock_fs(quick) * 1e-15 - quick.arrays["since"].max()
    np.testing.assert_allclose(seen(quick)[fresh], quick.arrays["theta"][fresh] * math.exp(-age / 2.0), rtol=1e-12)


# --- through the API -------------------------------------------------------------------------------------------------


LEAKY: Table = {
    "chip": chip({**CAPACITOR, "tau_leak_s": 1e-3, "diffusion_per_sqrt_s": 0.1, "dw_min_std": 0.3}, name="nist-hw2"),
    "network": {"init": {"model": "uniform", "scale": 0.5},
                "layers": [dense("hidden", 2, "sigmoid"), dense("out", 1, "sigmoid")]},
    "task": {"data": "xor", "cost": "mse"},
    "training": {"model": "mgd", "norm_mag": 0.05, "learning_rate": 3.0},
    "stop": {"steps": 900},
    "probes": {"record_every": 100, "evaluate_every": 150, "weights_every": 300},
    "seed": 1,
}  # fmt: skip


def test_resumed_recosted_and_recorded(tmp_path: Path) -> None:
    """Stop and resume bit for bit, never re-timed without a replay, and the trace holds what reads see."""
    whole = api.run(LEAKY, output=tmp_path / "whole.h5", record="timing")

    def stop(control: Control) -> None:
        control.stop_requested = control.machine.step >= 1

    first = api.run(LEAKY, output=tmp_path / "parts.h5", record="timing", progress=stop, burst_steps=137)
    assert (first.status, first.summary["steps"]) == ("interrupted", 100)
    last = api.resume(tmp_path / "parts.h5")
    for result in (whole, last):
        result.summary.pop("host")
    assert last.summary == whole.summary
    assert whole.trace is not None
    assert last.trace is not None
    with api.open_trace(whole.trace) as one, api.open_trace(last.trace) as other:
        for name in one.tables:
            for column in one.table(name).columns:
                assert np.array_equal(one.table(name)[column], other.table(name)[column]), (name, column)
    for trace, to in ((whole.trace, "nist-hw3"), (whole.trace, "nist-hw2")):
        done = api.recost(trace, to)
        assert (done.time == "recorded") == (to == "nist-hw3")
        assert any("what its devices hold depends on time" in why for why in done.why) == (to == "nist-hw3")
        assert done.bill.chip_time_s == whole.summary["chip_time_s"]
    again = api.replay(whole.trace, chip="nist-hw3", output=tmp_path / "replay.h5")
    assert again.summary["chip_time_s"] != whole.summary["chip_time_s"]


def test_a_trainer_without_a_clock_refuses(tmp_path: Path) -> None:
    overrides = {"task.data": "fashion-mnist-small", "chip.synapse.device": "capacitor"}
    with pytest.raises(InputError, match="erbp knows no time"):
        api.build(api.load_scenario("pi-mnist-erbp-100", overrides=overrides)[1])


def test_networks_driven_by_hand_refuse() -> None:
    net = ns.Network()
    a = net.add_population("a", 2, model="if")
    net.connect(a, a, weights=[[0.0, 1.0], [1.0, 0.0]])
    for device, said in (("capacitor", "leak"), ("smtj-telegraph", "telegraph noise and noise of its reads")):
        with pytest.raises(InputError, match=said):
            ns.Simulation("analog-if", net, overrides={"chip.synapse.device": device})
    ns.Simulation("analog-if", net, overrides={"chip.synapse.device": "capacitor"}, ideal=True)
