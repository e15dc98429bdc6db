"""Populations of weight devices: every step equation against its closed form, time, reads, joules, presets."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from neurosim import models, registry
from neurosim.devices.mixture import Cryotron, export, train
from neurosim.devices.population import DevicePair, Devices
from neurosim.devices.presets import preset, shipped, text, validated
from neurosim.errors import InputError
from neurosim.models.devices import base

Array = npt.NDArray[Any]
Table = dict[str, Any]
models.load_builtin()
MILLION = 1_000_000
STATIC: dict[str, tuple[Table, float, Callable[[float, bool], float], Callable[[float, float], float]]] = {
    # name: table, weight, closed form of the mean step, closed form of the noise's standard deviation of (w, dw)
    "constant-step": (
        {"model": "constant-step", "dw_min": 1e-3, "dw_min_std": 0.4, "up_down": 0.5}, 0.3,
        lambda w, up: 1e-3 if up else -0.5e-3, lambda w, dw: 0.4 * abs(dw),
    ),
    "soft-bounds": (
        {"model": "soft-bounds", "dw_min": 1e-3, "dw_min_std": 2.0, "w_max": 0.8, "w_min": -0.5}, 0.3,
        lambda w, up: 1e-3 * (1 - w / 0.8) if up else -1e-3 * (1 + w / 0.5), lambda w, dw: 2.0 * abs(dw),
    ),
    "linear-step": (
        {"model": "linear-step", "dw_min": 1e-3, "dw_min_std": 0.5, "gamma_up": 0.3, "gamma_down": 0.7, "noise": "constant"}, 0.4,
        lambda w, up: 1e-3 * (1 - 0.3 * w) if up else -1e-3 * (1 + 0.7 * w), lambda w, dw: 0.5e-3,
    ),
    "soft-bounds-reference": (
        {"model": "soft-bounds-reference", "dw_min": 1e-3, "dw_min_std": 0.5, "reference_mean": 0.2}, 0.1,
        lambda w, up: 1e-3 * (1 - (w + 0.2)) if up else -1e-3 * (1 + w + 0.2), lambda w, dw: 0.5 * abs(dw),
    ),
    "exp-step": (
        {"model": "exp-step", "dw_min": 1e-3, "dw_min_std": 0.5, "a": -0.5, "b": -0.5, "A_up": -1.18, "A_down": -0.08,
         "gamma_up": 5.0, "gamma_down": 5.0, "dw_min_std_add": 1e-3, "dw_min_std_slope": 2e-3}, 0.4,
        lambda w, up: 1e-3 * (1 + 1.18 * math.exp(5 * (-0.5 * w - 0.5))) if up else -1e-3 * (1 + 0.08 * math.exp(-5 * (-0.5 * w - 0.5))),
        lambda w, dw: 0.5 * (abs(dw) + 1e-3 + 2e-3 * abs(w)),
    ),
    "pow-step": (
        {"model": "pow-step", "dw_min": 1e-3, "dw_min_std": 0.5, "pow_gamma": 1.7, "pow_up_down": 0.2}, 0.4,
        lambda w, up: 1e-3 * (0.5 * (1 - w)) ** (1.7 * 1.2) if up else -1e-3 * (0.5 * (w + 1)) ** (1.7 * 0.8), lambda w, dw: 0.5 * abs(dw),
    ),
    "piecewise-step": (
        {"model": "piecewise-step", "dw_min": 1e-3, "dw_min_std": 0.5, "up": (2.0, 1.0, 0.4), "down": (0.1, 1.0, 3.0)}, 0.5,
        lambda w, up: 1e-3 * 0.7 if up else -1e-3 * 2.0, lambda w, dw: 0.5 * abs(dw),
    ),
    "sonos": (
        {"model": "sonos", "dw_min": 1e-3, "dw_min_std": 0.5}, 0.4,
        lambda w, up: 1e-3 * 0.3 if up else -1e-3 * 0.7, lambda w, dw: 0.5 * abs(dw),
    ),
    "capacitor": (
        {"model": "capacitor", "dw_min": 1e-3, "dw_min_std": 0.5, "gamma_up": 0.1}, 0.4,
        lambda w, up: 1e-3 * (1 - 0.04) if up else -1e-3, lambda w, dw: 0.5 * abs(dw),
    ),
    "pcm": (
        {"model": "pcm", "dw_min": 1e-3, "dw_min_std": 0.5, "dw_min_std_add": 1e-3}, 0.4,
        lambda w, up: 1e-3 * (1 + 27.235 * math.exp(2.5 * -0.4)) if up else -0.4, lambda w, dw: 0.5 * (abs(dw) + 1e-3) if dw > 0 else 0.0,
    ),
    "vteam": (
        {"model": "vteam", "dw_min_std": 0.1}, -0.6,
        lambda w, up: _vteam(w, up), lambda w, dw: 0.1 * abs(dw),
    ),
    "table-step": (
        {"model": "table-step", "dw_min": 1e-3}, 0.0,
        lambda w, up: 1e-3 if up else -1e-3, lambda w, dw: 0.3e-3,
    ),
}  # fmt: skip


def _vteam(w: float, up: bool) -> float:
    """Conductance to boundary, the boundary moves 0.01 up or (0.1/0.02 - 1) 5e-4 15 ns / 3 nm down, and back."""
    x = (1 / (1 / 1000 + 0.5 * (w + 1) * (1 / 50 - 1 / 1000)) - 50) / 950
    x += -10 * 0.5**3 * 24e-12 / 3e-9 if up else 5e-4 * 4 * 15e-9 / 3e-9
    return -1 + 2 * (1 / (50 + 950 * x) - 1 / 1000) / (1 / 50 - 1 / 1000) - w


def put(devices: Devices, w: float) -> None:
    """All devices at w exactly, whatever writing would leave."""
    devices._w[:] = w
    if devices._shown.size == devices.count:
        devices._shown[:] = w


@pytest.mark.parametrize("up", [True, False])
@pytest.mark.parametrize("name", STATIC)
def test_step_has_its_mean_and_variance(name: str, up: bool) -> None:
    """A million pulses: mean and variance within four standard errors of the closed form."""
    table, w, mean, noise = STATIC[name]
    devices = Devices(table, MILLION, seed=11)
    put(devices, w)
    devices.pulse(1 if up else -1)
    moved = devices.stored.astype(np.float64) - np.float32(w)
    dw = mean(float(np.float32(w)), up)
    std = noise(w, dw)
    rounding = 6e-8
    assert abs(moved.mean() - dw) < 4 * std / 1e3 + rounding
    if std > 1e-12:
        assert abs(moved.std() - std) < 4 * std / math.sqrt(2e6) + rounding
        if name != "table-step":
            assert abs(stats.kurtosis(moved)) < 0.05


def test_tails_beyond_five_sigma_are_there() -> None:
    """Four million pulses: as many beyond 4, 4.5 and 5 standard deviations as a normal has, within four standard errors."""
    devices = Devices(
        {"model": "constant-step", "dw_min": 1e-4, "dw_min_std": 1.0, "w_max": 1e3, "w_min": -1e3}, 4 * MILLION
    )
    devices.pulse(1)
    xi = np.abs(devices.stored.astype(np.float64) / 1e-4 - 1.0)
    for sigma in (4.0, 4.5, 5.0):
        expected = 8 * MILLION * stats.norm.sf(sigma)
        assert abs(np.count_nonzero(xi > sigma) - expected) < 4 * math.sqrt(expected)
    assert xi.max() > 5.0
    assert np.unique(xi).size > 0.4 * xi.size


def test_table_extrapolates_its_tails() -> None:
    """A normal distribution is a straight line over normal scores, also beyond the table's last quantile."""
    devices = Devices({"model": "table-step", "dw_min": 1e-3}, 4 * MILLION)
    devices.pulse(1)
    xi = (devices.stored.astype(np.float64) - 1e-3) / 0.3e-3
    expected = 4 * MILLION * stats.norm.sf(4.5)
    assert abs(np.count_nonzero(xi > 4.5) - expected) < 4 * math.sqrt(expected) + 1


def test_pulses_are_steps_one_after_another() -> None:
    """n pulses at once end where n calls of one pulse end, on average and in spread; none crosses a bound."""
    table = {"model": "soft-bounds", "dw_min": 0.02, "dw_min_std": 0.3, "w_max_dtod": 0.2, "dw_min_dtod": 0.2}
    at_once, singly = (Devices(table, 200_000, seed=seed, fabrication_seed=1) for seed in (1, 2))
    at_once.pulse(30)
    for _ in range(30):
        singly.pulse(1)
    expected = singly._bank.w_max * (1 - (1 - singly._bank.scale_up / singly._bank.w_max) ** 30.0)
    for devices in (at_once, singly):
        error = devices.weights - expected
        assert abs(error.mean()) < 4 * error.std() / math.sqrt(devices.count)
        assert (devices.weights <= devices.bounds[1]).all() and (devices.weights >= devices.bounds[0]).all()
        assert devices.pulses == 30 * devices.count and devices.worst_pulses == 30
    assert at_once.weights.std() == pytest.approx(singly.weights.std(), rel=0.02)
    assert np.corrcoef(at_once.weights - expected, singly.weights - expected)[0, 1] < 4 / math.sqrt(200_000)


def test_mixed_numbers_equal_single_devices() -> None:
    """Whatever the others get, a device of a population takes the same steps; the order of passes does not show."""
    table = {"model": "soft-bounds", "dw_min": 0.02, "dw_min_std": 0.5, "w_max_dtod": 0.2, "dw_min_dtod": 0.2}
    number = np.random.default_rng(3).integers(-4, 6, 5000)
    mixed, alone = Devices(table, 5000, seed=5), Devices(table, 5000, seed=5)
    mixed.pulse(number)
    alone.pulse(np.where(np.arange(5000) == 17, number, 0))
    assert number[17] != 0 and mixed.weights[17] == alone.weights[17]
    again = Devices(table, 5000, seed=5)
    again.pulse(number.astype(np.int8))
    np.testing.assert_array_equal(again.weights, mixed.weights)
    assert mixed.pulses_up == number[number > 0].sum() and mixed.pulses_down == -number[number < 0].sum()


@pytest.mark.parametrize("name", sorted(set(STATIC) | {"stochastic-mtj", "stochastic-switch"}))
def test_bounds_are_never_crossed(name: str) -> None:
    """Random pulse trains with large steps, noise and mismatch: always within the device's own bounds."""
    table: Table = {"dw_min": 0.1} if name not in ("stochastic-mtj", "stochastic-switch", "vteam") else {}
    noise: Table = {"dw_min_std": 1.0, "w_max_dtod": 0.3, "w_min_dtod": 0.3, "dw_min_dtod": 0.3}
    noise |= {"write_noise_std": 1.0} if name == "soft-bounds" else {}  # stored noise is a kernel of its own
    devices = Devices({"model": name, **table, **noise}, 2000, seed=1)
    rng = np.random.default_rng(0)
    for _ in range(30):
        devices.pulse(rng.integers(-6, 7, 2000))
        w = devices.stored
        assert (w >= devices.bounds[0]).all() and (w <= devices.bounds[1]).all() and np.isfinite(w).all()


@pytest.mark.parametrize("name", ["soft-bounds", "soft-bounds-reference"])
def test_symmetry_point(name: str) -> None:
    """Up and down in turn lead to w*; with the reference at the symmetry point, to 0."""
    table = {
        "model": name,
        "dw_min": 5e-3,
        "up_down": 0.4,
        "dw_min_dtod": 0.1,
        "w_max_dtod": 0.1,
        "w_min_dtod": 0.1,
        "up_down_dtod": 0.05,
    }
    if name == "soft-bounds-reference":
        table["reference"] = "symmetry-point"
    devices = Devices(table, 500, seed=3)
    for _ in range(1500):
        devices.pulse(1)
        devices.pulse(-1)
    up, down, low, high = (np.asarray(each, np.float64) for each in devices._bank[:4])
    expected = (up - down) / (up / high - down / low) if name == "soft-bounds" else np.zeros(500)
    assert np.abs(devices.weights - expected).max() < 0.02
    if name == "soft-bounds":
        assert np.abs(expected).mean() > 0.05


def test_write_noise_apparent_is_not_stored() -> None:
    """What is read differs by write_noise_std dw_min, drawn anew by each pulse; what is stored makes its plain steps."""
    table = {"model": "constant-step", "dw_min": 1e-3, "write_noise_std": 20.0, "write_noise": "apparent"}
    devices = Devices(table, 200_000)
    devices.pulse(3)
    assert np.abs(devices.stored - 3e-3).max() < 1e-8
    first = devices.weights - devices.stored
    assert first.std() == pytest.approx(0.02, rel=4 / math.sqrt(4e5))
    np.testing.assert_array_equal(devices.weights - devices.stored, first)
    devices.pulse(np.where(np.arange(200_000) % 2, 1, 0))
    second = devices.weights - devices.stored
    assert (second[::2] == first[::2]).all()
    assert abs(np.corrcoef(second[1::2], first[1::2])[0, 1]) < 4 / math.sqrt(1e5)


# --- time -------------------------------------------------------------------------------------------------------------


def test_pcm_drift_exponent_by_regression() -> None:
    """log w against log t: slope -nu, mean clip(-0.0155 ln u + 0.0244, 0.049, 0.1) and its spread over devices."""
    devices = Devices({"model": "pcm", "read_noise_scale": 0.0}, 40_000, seed=2)
    put(devices, 1.0)  # u = 0.5
    times, logs, now = [20.0, 1e2, 1e3, 1e4, 1e5, 1e6], [], 0.0
    for t in times:
        devices.elapse(t - now)
        now = t
        logs.append(np.log(devices.weights.astype(np.float64)))
    x = np.log(times)
    slopes = ((x - x.mean())[:, None] * np.array(logs)).sum(0) / ((x - x.mean()) ** 2).sum()
    u = math.log(0.5)
    mean, std = min(max(-0.0155 * u + 0.0244, 0.049), 0.1), min(max(-0.0125 * u - 0.0059, 0.008), 0.045)
    assert -slopes.mean() == pytest.approx(mean, abs=4 * std / 200 + 1e-5)
    assert slopes.std() == pytest.approx(std, rel=0.03)


def test_time_in_pieces_is_the_same_time() -> None:
    """Deterministic laws of time depend on what has passed, not on how often somebody looked."""
    for name in ("pcm", "capacitor", "sonos"):
        whole, pieces = (Devices({"model": name}, 500, seed=4) for _ in range(2))
        for devices in (whole, pieces):
            put(devices, 0.7)
        whole.elapse(1000.0)
        for _ in range(10):
            pieces.elapse(100.0)
        np.testing.assert_allclose(whole.weights, pieces.weights, rtol=1e-6)
        assert (whole.weights != np.float32(0.7)).any()


def test_a_pulse_takes_the_aged_weight_as_it_is() -> None:
    """A capacitor leaks, is pulsed, and leaks from there: w = (w0 e^(-t/tau) + dw) e^(-t'/tau)."""
    devices = Devices({"model": "capacitor", "dw_min": 0.1, "tau_leak_s": 2.0}, 1)
    put(devices, 0.5)
    devices.elapse(1.0)
    devices.pulse(1)
    devices.elapse(3.0)
    assert devices.weights[0] == pytest.approx((0.5 * math.exp(-0.5) + 0.1) * math.exp(-1.5), rel=1e-6)


def test_a_slow_chip_forgets_more() -> None:
    """The same pulses with ten times the seconds between them leave less on a capacitor."""
    left = []
    for seconds in (0.01, 0.1):
        devices = Devices({"model": "capacitor", "dw_min": 1e-2}, 1)
        for _ in range(50):
            devices.pulse(1)
            devices.elapse(seconds)
        left.append(float(devices.weights[0]))
    assert left[1] < 0.3 * left[0]


def test_leak_and_diffusion_from_zero_are_an_ornstein_uhlenbeck_process() -> None:
    tau, diffusion, count = 1.0, 0.1, 20_000
    devices = Devices({"model": "capacitor", "tau_leak_s": tau, "diffusion_per_sqrt_s": diffusion}, count, seed=2)
    for elapsed in (1.0, 2.0):
        devices.elapse(1.0)
        wanted = 0.5 * diffusion**2 * tau * (1.0 - math.exp(-2.0 * elapsed / tau))
        assert np.asarray(devices.weights, np.float64).var() == pytest.approx(wanted, rel=4 * math.sqrt(2 / count))


def test_diffusion_grows_with_the_root_of_time() -> None:
    devices = Devices({"model": "capacitor", "tau_leak_s": 1e9, "diffusion_per_sqrt_s": 1e-3}, 100_000)
    for _ in range(10):
        devices.elapse(10.0)
    assert devices.weights.std() == pytest.approx(1e-2, rel=4 / math.sqrt(2e5))


def test_sonos_spreads_over_days() -> None:
    """After d days the current differs by sqrt(sigma(d)^2 - sigma(0)^2): 2 days at 800 nA."""
    devices = Devices({"model": "sonos"}, 100_000, seed=1)
    put(devices, 0.0)
    devices.elapse(2 * 86400.0)
    now, first = 28.728 * (1 - math.exp(-800 / 193.57)), 19.887 * (1 - math.exp(-800 / 176.31))
    assert devices.weights.std() * 800 == pytest.approx(math.sqrt(now**2 - first**2), rel=4 / math.sqrt(2e5))


def test_pcm_read_noise() -> None:
    """One read: std |g| Q sqrt(ln((t + t_read) / (2 t_read))), Q = min(0.0088 u^-0.65, 0.2)."""
    devices = Devices({"model": "pcm", "drift_scale": 0.0}, 200_000)
    put(devices, 1.0)
    devices.elapse(10.0)
    q = 0.0088 * 0.5**-0.65
    expected = q * math.sqrt(math.log((10.0 + 250e-9) / 500e-9))
    assert (devices.read() - 1.0).std() == pytest.approx(expected, rel=4 / math.sqrt(4e5))


def test_telegraph_autocorrelation() -> None:
    """The preset of the recorded junction: e^(-2 r t); a flip in 0.0809 of its samples of 5 us; noise as recorded."""
    devices = Devices("smtj-telegraph", 20_000, seed=6)
    put(devices, 1.0)
    devices.elapse(1.0)
    states = []
    for _ in range(40):
        states.append(devices.stored.astype(np.float64))
        devices.elapse(5e-6)
    s = np.array(states)
    assert set(np.unique(s)) == {-1.0, 1.0}
    assert abs(s[0].mean()) < 4 / math.sqrt(20_000)
    for lag in (1, 2, 5):
        found = (s[:-lag] * s[lag:]).mean()
        expected = (1 - 2 * 0.0809) ** lag
        assert found == pytest.approx(expected, abs=4 * math.sqrt((1 + 2 * 0.72) * 20 / s[lag:].size))
    noise = devices.read() - devices.stored
    assert noise.std() * 5.9316e-3 == pytest.approx(9.0841e-4, rel=4 / math.sqrt(4e4))


def test_mtj_switches_with_its_probability() -> None:
    devices = Devices({"model": "stochastic-mtj"}, MILLION)
    put(devices, -1.0)
    devices.pulse(1)
    p = 1 - math.exp(-10.0 * math.exp(-40 * 0.05))
    assert np.mean(devices.stored > 0) == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / MILLION))
    before = devices.stored
    devices.pulse(np.where(before > 0, 1, 0))
    np.testing.assert_array_equal(devices.stored, before)


# --- energy, endurance, writing -----------------------------------------------------------------------------------------

ELECTRICAL = {"g_min_S": 1e-6, "g_max_S": 1e-5, "up_V": 1.0, "down_V": -2.0, "up_s": 1e-7, "down_s": 5e-8}


def test_energy_is_v_squared_g_t() -> None:
    """The sum over pulses of V^2 t (G before + G after) / 2, followed device by device."""
    devices = Devices({"model": "constant-step", "dw_min": 0.05, "dw_min_std": 0.3}, 300, electrical=ELECTRICAL)
    rng, expected = np.random.default_rng(2), 0.0
    for _ in range(20):
        before = devices.conductances_S
        up = rng.random(300) < 0.6
        devices.pulse(np.where(up, 1, -1))
        both = before + devices.conductances_S
        expected += 0.5 * (both[up].sum() * 1e-7 + both[~up].sum() * 4.0 * 5e-8)
    assert devices.pulse_energy_J == pytest.approx(expected, rel=1e-4)
    devices.read()
    assert devices.energy_J == pytest.approx(devices.pulse_energy_J + 300 * 0.01 * 10e-9 * 5.5e-6)


def test_endurance_is_counted_and_devices_die() -> None:
    """Log-normal lifetimes: the share of dead after n pulses is its distribution function; the dead stay as they are."""
    devices = Devices(
        {"model": "constant-step", "dw_min": 1e-6}, 20_000, endurance={"median_pulses": 100, "log_std": 0.5}
    )
    for n in (50, 50, 100):
        devices.pulse(n)
        total = devices.worst_pulses
        p = stats.norm.cdf(math.log(total / 100) / 0.5)
        assert devices.worn / 20_000 == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / 20_000))
    dead = devices._bank.scale_up == 0.0
    before = devices.weights
    devices.pulse(-10)
    assert (devices.weights == before)[dead].all() and (devices.weights < before)[~dead].all()


def test_program_verify_counts_every_read_and_pulse() -> None:
    devices = Devices({"model": "soft-bounds", "dw_min": 0.02, "dw_min_std": 0.3, "dw_min_dtod": 0.2}, 2000)
    target = np.random.default_rng(1).uniform(-0.7, 0.7, 2000)
    done = devices.program(target, tolerance=0.02)
    assert done.missed == 0 and np.abs(devices.weights - target).max() <= 0.02
    assert done.pulses == devices.pulses > 2000 and done.reads == devices.reads > 2000
    stuck = Devices({"model": "constant-step", "dw_min": 0.5}, 3).program([0.1, 0.2, 0.6], tolerance=0.01, rounds=5)
    assert stuck.missed == 3 and stuck.rounds == 5


def test_lumped_column_noise_has_the_exact_variance() -> None:
    """sum_i x_i (w_ij + noise_ij) read cell by cell and by column: the same mean and the same variance."""
    devices = Devices({"model": "stochastic-mtj", "read_std": 0.3}, (40, 5000))
    x = np.random.default_rng(0).normal(size=40)
    lumped = devices.read_columns(x) - devices.read_columns(x, noisy=False)
    single = x @ devices.read().astype(np.float64) - devices.read_columns(x, noisy=False)
    expected = 0.3 * math.sqrt(float(x @ x))
    for noise in (lumped, single):
        assert noise.std() == pytest.approx(expected, rel=4 / math.sqrt(1e4))
        assert abs(noise.mean()) < 4 * expected / math.sqrt(5000)


def test_pair_holds_both_signs_and_is_refreshed() -> None:
    pair = DevicePair({"model": "pcm", "drift_scale": 0.0}, 200)
    rng = np.random.default_rng(0)
    for _ in range(60):
        pair.pulse(rng.choice([-1, 1], 200))
    before, high = pair.weights, pair.plus.weights
    assert before.min() < -0.01 < 0.01 < before.max()
    count = pair.refresh(full=0.3, other=0.25)
    assert count > 100 and pair.refreshed == count
    assert pair.plus.weights.mean() < 0.5 * high.mean()
    assert np.abs(pair.weights - before).max() < 0.29, "a molten cell's first step is 0.01 (1 + 27.235) long"


# --- presets ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", shipped())
def test_preset_is_whole_and_written_back(name: str) -> None:
    """Every shipped file validates, says where its numbers come from, and survives being written."""
    made = preset(name)
    assert made.name == name and len(made.source) > 20 and made.about
    import tomllib

    assert validated(tomllib.loads(text(made)), name) == made


TABULATED = {  # dw_min, up_down, w_max, w_min, up and down step at w = 0, in units of dw_min
    "reram-es": (
        0.00135,
        0.259359,
        1.0,
        -1.0,
        1 + 1.18445 * math.exp(-2.5),
        (1 - 0.259359) * (1 + 0.081404 * math.exp(2.5)),
    ),
    "reram-sb": (0.002, 0.0, 1.25, -0.75, 1.0, 1.0),
    "capacitor-cmos": (0.005, 0.0, 1.0, -1.0, 1.0, 1.0),
    "ecram-li": (0.002, 0.0, 1.1724, -0.8276, 1.0, 1.0),
    "ecram-mo": (2.8214e-4, 0.0, 1.1714, -0.8286, 1.0, 1.0),
    "idealized": (0.0002, 0.0, 1.0, -1.0, 1.0, 1.0),
    "gokmen-vlasov": (0.0016, 0.0, 1.0, -1.0, 1.0, 1.0),
    "reram-om": (0.0949, 0.0, 1.0, -1.0, 1.0, 1.0),
    "reram-hfo2": (0.4622, 0.0, 1.0, -1.0, 1.0, 1.0),
}


@pytest.mark.parametrize("name", TABULATED)
def test_presets_respond_as_tabulated(name: str) -> None:
    """Without mismatch and noise: bounds, and one pulse up and down from w = 0."""
    dw_min, up_down, w_max, w_min, up, down = TABULATED[name]
    devices = Devices(name, 2, ideal=True)
    p = devices.parameters
    assert (p.dw_min, p.up_down) == (dw_min, up_down)
    assert devices.bounds[0][0] == np.float32(w_min) and devices.bounds[1][0] == np.float32(w_max)
    devices.parameters = p.model_copy(update={"write_noise_std": 0.0})
    devices.pulse(np.array([1, -1]))
    np.testing.assert_allclose(devices.stored, [up * dw_min, -down * dw_min], rtol=2e-6)


@pytest.mark.parametrize("name", ["reram-es", "reram-om", "ecram-mo"])
def test_presets_have_their_mismatch_and_noise(name: str) -> None:
    """Spread of steps over devices (log-normal where it is), and noise of a pulse in units of dw_min."""
    p = preset(name).parameters
    devices = Devices(name, 200_000, seed=8)
    up = devices._bank.scale_up.astype(np.float64) / p.dw_min
    if p.dw_min_dtod_log_normal:
        assert np.log(up).std() == pytest.approx(p.dw_min_dtod, rel=0.02)
        assert np.median(up) == pytest.approx(1.0, rel=0.02)
    else:
        assert up.std() == pytest.approx(math.hypot(p.dw_min_dtod, p.up_down_dtod), rel=0.02)
    plain = Devices({**p.model_dump(), "dw_min_dtod": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0,
                     **({"reference_std": 0.0} if name == "reram-om" else {})}, 200_000)  # fmt: skip
    plain.pulse(1)
    moved = plain.stored / p.dw_min
    size = moved.mean() if name == "reram-es" else 1.0
    assert moved.std() == pytest.approx(p.dw_min_std * size, rel=0.02)


def test_mixture_density_network_within_its_bar() -> None:
    """Trained on samples of a generated cryotron at 13 gates; held-out bias points at 12 others: at most 0.82 %."""
    reference, rng = Cryotron(), np.random.default_rng(5)
    gates = np.linspace(0.0, 3e-6, 13)
    at = np.repeat(gates, 2000)
    network = train(at, reference.sample(at, rng), steps=1500)
    held = np.repeat(0.5 * (gates[1:] + gates[:-1]), 31)
    mean, std, _, _ = reference._modes(held)
    bias = mean + np.tile(np.linspace(-8.0, 3.5, 31), 12) * std
    exact = reference.probability(bias, held)
    assert exact.min() < 0.01 and exact.max() > 0.99
    assert np.abs(network.probability(bias, held) - exact).mean() < 0.0082
    made = export(
        network,
        np.linspace(0.0, 3e-6, 97),
        name="made",
        source="a generated reference",
        up=(float(bias[20]), float(held[20])),
        down=(1.0, 0.0),
    )
    devices = Devices(made, MILLION)
    put(devices, -1.0)
    devices.pulse(1)
    expected = float(network.probability(bias[20:21], held[20:21])[0])
    assert np.mean(devices.stored > 0) == pytest.approx(expected, abs=0.001 + 4 * 0.5 / 1e3)


def test_shipped_cryotron_is_the_reference() -> None:
    """The exported table of the preset: switching probability on points between its gates."""
    made: Any = preset("heater-cryotron").parameters
    reference = Cryotron()
    held = np.repeat(np.linspace(0.06e-6, 2.94e-6, 23), 5)
    mean, std, _, _ = reference._modes(held)
    bias = mean + np.tile([-6.0, -2.0, -0.5, 0.5, 2.0], 23) * std
    errors = [
        abs(made.probability(b, g) - p) for b, g, p in zip(bias, held, reference.probability(bias, held), strict=True)
    ]
    assert np.mean(errors) < 0.0082


# --- what users may ask, and get wrong ---------------------------------------------------------------------------------


def test_bytes_per_device() -> None:
    assert Devices("soft-bounds", 1000).bytes_per_device == 24
    assert Devices("soft-bounds", 1000, count_pulses=False).bytes_per_device == 20
    assert Devices("capacitor", 1000).bytes_per_device == 24 + 12 + 8


def test_fabrication_is_apart_from_noise() -> None:
    table = {"model": "soft-bounds", "dw_min_dtod": 0.3, "dw_min_std": 0.3}
    one, other = (Devices(table, 100, seed=seed, fabrication_seed=7) for seed in (1, 2))
    np.testing.assert_array_equal(one._bank.scale_up, other._bank.scale_up)
    one.pulse(1)
    other.pulse(1)
    assert (one.weights != other.weights).all()


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("reram-ess", "did you mean 'reram-es'"),
        ({"model": "softbounds"}, "did you mean 'soft-bounds'"),
        ({"model": "soft-bounds", "dw_min": -1, "w_min": 2}, "dw_min"),
        ({"model": "piecewise-step", "up": [1, 2], "down": [1, 2, 3]}, "same nodes"),
        ({"model": "table-step", "file": "nowhere.csv"}, "no file"),
        ({"model": "vteam", "up_V": -0.1}, "does not pass v_on"),
        ({"model": "stochastic-switch", "up_gate_A": 1.0}, "outside the table"),
    ],
)
def test_what_is_wrong_is_said(device: Any, said: str) -> None:
    with pytest.raises(InputError, match=said.replace("(", r"\(")) as caught:
        Devices(device, 3)
    if isinstance(device, dict) and "dw_min" in device:
        assert len(caught.value.problems) == 2


def test_wrong_calls() -> None:
    devices = Devices("soft-bounds", 4)
    for call, said in (
        (lambda: devices.pulse(np.array([0.5])), "whole numbers"), (lambda: devices.pulse([1, 2, 3]), "shape"),
        (lambda: devices.elapse(-1.0), "forward"), (lambda: devices.energy_J, "electrical"),
        (lambda: Devices("soft-bounds", 0), "at least one"), (lambda: devices.read_columns([1.0]), "two dimensions"),
        (lambda: Devices("soft-bounds", 4, electrical={**ELECTRICAL, "g_max_S": 1e-9}), "above g_min_S"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=said):
            call()


def test_table_file_becomes_part_of_the_description(tmp_path: Any) -> None:
    """CSV and npz give the same device as the table written out; holes and nonsense are named with their line."""
    p = [0.0227501, 0.5, 0.9772499]
    rows = {"up": [[0.0, 1e-3, 3e-3], [0.0, 5e-4, 1e-3]], "down": [[-1e-3, -5e-4, 0.0], [-3e-3, -1e-3, 0.0]]}
    lines = ["direction,level,quantile,dw"]
    lines += [f"{d},{x},{q},{rows[d][i][j]}" for d in rows for i, x in enumerate((0.0, 1.0)) for j, q in enumerate(p)]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    np.savez(tmp_path / "t.npz", levels=[0.0, 1.0], quantiles=p, **rows)
    inline = registry.validated("device", {"model": "table-step", "levels": [0.0, 1.0], "quantiles": p, **rows})
    for name in ("t.csv", "t.npz"):
        assert registry.validated("device", {"model": "table-step", "file": str(tmp_path / name)}) == inline
    (tmp_path / "hole.csv").write_text("\n".join(lines[:-1]))
    (tmp_path / "bad.csv").write_text("\n".join([*lines[:3], "up,x,0.5,1"]))
    for name, said in (("hole.csv", "1 cells of the table are missing"), ("bad.csv", "line 4")):
        with pytest.raises(ValueError, match=said):
            registry.validated("device", {"model": "table-step", "file": str(tmp_path / name)})


def test_a_model_from_outside_with_everything() -> None:
    """One new file: own frozen values, numbers, a law of time, noise of reads; nothing else changes."""
    import sys
    import types

    code = '''"""A model.

Source: a test.
"""
import math
from typing import Literal
import numpy as np
from pydantic import Field
from neurosim.models.devices.base import FIRST_OWN_DRAW, DeviceParameters
from neurosim.registry import register
EXACT = False

@register("device", "test-outside")
class Outside(DeviceParameters):
    model: Literal["test-outside"] = "test-outside"
    power: float = Field(default=2.0)
    def own(self, devices, normals):
        return devices, {"gain": 1.0 + 0.5 * np.tanh(normals(FIRST_OWN_DRAW))}

def step(w, up, scale_up, gain, power):
    return scale_up * gain * power if up else -scale_up

def aged(w, age_s, power):
    return w / (1.0 + age_s) ** power

def read_spread(w):
    return 0.1 * abs(w)
'''
    module = types.ModuleType("outside_device")
    path = __file__.replace("test_devices.py", "")
    module.__file__ = __file__
    sys.modules["outside_device"] = module
    del path
    try:
        exec(compile(code, "outside_device", "exec"), module.__dict__)
        devices = Devices({"model": "test-outside", "dw_min": 0.01}, 1000, seed=1)
        devices.pulse(1)
        gain = devices.frozen.own[0]
        np.testing.assert_allclose(devices.weights, 0.02 * gain, rtol=1e-6)
        devices.elapse(1.0)
        np.testing.assert_allclose(devices.weights, 0.005 * gain, rtol=1e-6)
        assert devices.read().std() > 0.0
        module.step = lambda w, up, nonsense: 0.0  # type: ignore[attr-defined]
        with pytest.raises(InputError, match="names 'nonsense'"):
            Devices({"model": "test-outside"}, 10)
    finally:
        del sys.modules["outside_device"]
        registry._MODELS.pop(("device", "test-outside"), None)


def test_log_normal_mismatch_leaves_the_plain_one_alone() -> None:
    """The draws of the common mismatch are those of earlier versions."""
    plain = base.draw(registry.validated("device", {"model": "soft-bounds", "dw_min_dtod": 0.3}), 5, 3)  # type: ignore[arg-type]
    log = base.draw(
        registry.validated("device", {"model": "soft-bounds", "dw_min_dtod": 0.3, "dw_min_dtod_log_normal": True}), 5, 3
    )  # type: ignore[arg-type]
    np.testing.assert_allclose(np.log(log.scale_up / 1e-3), plain.scale_up / 1e-3 - 1.0, atol=1e-6)
