"""Converting the devices of other simulators, fitting measured ones, devices in training, and their commands."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers_laws import dense, plain, samples, scenario
from scipy import stats
from typer.testing import CliRunner

from neurosim import models
from neurosim.cli import app
from neurosim.devices import fit as fitting
from neurosim.devices.convert import convert, curvature, printed
from neurosim.devices.population import Devices
from neurosim.devices.presets import preset
from neurosim.engine.machine import Machine
from neurosim.errors import InputError

models.load_builtin()
Table = dict[str, Any]


def moved(made: Any, w: float, way: int) -> float:
    """One pulse at w, without mismatch and noise."""
    p = made.parameters.model_dump() | {"write_noise_std": 0.0}
    devices = Devices({**{k: (0.0 if k.endswith(("_dtod", "_std")) else v) for k, v in p.items()}}, 1)
    devices._w[:] = w
    devices.pulse(way)
    return float(devices.stored[0]) - float(np.float32(w))


# --- converting -------------------------------------------------------------------------------------------------------

QUIET = {"dw_min_dtod": 0.0, "dw_min_std": 0.0, "up_down_dtod": 0.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0}
ORIGINALS: dict[str, tuple[Table, Any]] = {
    # what the other simulator's documentation says one pulse does, at weight w
    "ConstantStepDevice": ({"dw_min": 0.01, "up_down": 0.2}, lambda w, up: 0.01 if up else -0.008),
    "LinearStepDevice": (
        {"dw_min": 0.01, "gamma_up": 0.3, "gamma_down": 0.6, "gamma_up_dtod": 0.0, "gamma_down_dtod": 0.0, "w_max": 0.8, "w_min": -0.7},
        lambda w, up: 0.01 * (1 - 0.3 * w / 0.8) if up else -0.01 * (1 + 0.6 * w / 0.7),
    ),
    "SoftBoundsDevice": ({"dw_min": 0.01, "w_max": 0.8, "w_min": -0.7}, lambda w, up: 0.01 * (1 - w / 0.8) if up else -0.01 * (1 + w / 0.7)),
    "SoftBoundsReferenceDevice": (
        {"dw_min": 0.01, "reference_mean": 0.1, "reference_std": 0.0, "mult_noise": False},
        lambda w, up: 0.01 * (1 - (w + 0.1) / 0.6) if up else -0.01 * (1 + (w + 0.1) / 0.6),
    ),
    "ExpStepDevice": (
        {"dw_min": 0.01, "w_max": 1.0, "w_min": -1.0},
        lambda w, up: 0.01 * max(1 - 0.00081 * math.exp(12.44625 * (0.244 * w + 0.2425)), 0) if up
        else -0.01 * max(1 - 0.36833 * math.exp(-12.78785 * (0.244 * w + 0.2425)), 0),
    ),
    "PowStepDevice": (
        {"dw_min": 0.01, "pow_gamma": 1.5, "pow_gamma_dtod": 0.0},
        lambda w, up: 0.01 * ((0.6 - w) / 1.2) ** 1.5 if up else -0.01 * ((w + 0.6) / 1.2) ** 1.5,
    ),
    "PiecewiseStepDevice": (
        {"dw_min": 0.01, "piecewise_up": [2.0, 1.0], "piecewise_down": [0.5, 1.5]},
        lambda w, up: 0.01 * (2 - (w + 0.6) / 1.2) if up else -0.01 * (0.5 + (w + 0.6) / 1.2),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ORIGINALS)
def test_aihwkit_means_are_kept(name: str) -> None:
    fields, step = ORIGINALS[name]
    made = convert({"class": name, **QUIET, **fields}, "aihwkit", "x")
    assert made.dropped == []
    for w in (-0.3, 0.0, 0.25):
        for way in (1, -1):
            assert moved(made.preset, w, way) == pytest.approx(step(float(np.float32(w)), way > 0), rel=3e-5, abs=6e-8)


def test_aihwkit_presets_are_the_shipped_ones() -> None:
    """The published fields of a preset class, converted, are the preset file."""
    fields = {"class": "ExpStepDevice", "dw_min": 0.00135, "up_down": 0.259359, "w_max": 1.0, "w_min": -1.0, "a": -0.5, "b": -0.5,
              "gamma_up": 5.0, "gamma_down": 5.0, "A_up": -1.18445, "A_down": -0.081404, "dw_min_dtod": 0.2, "up_down_dtod": 0.05,
              "dw_min_std": 5.0, "write_noise_std": 75.0}  # fmt: skip
    assert convert(fields, "aihwkit", "x").preset.device == preset("reram-es").device


def test_what_is_dropped_is_listed() -> None:
    made = convert(
        printed("SoftBoundsDevice(dw_min=0.01, lifetime=1e6, corrupt_devices_prob=0.1, reset_std=0.01)"), "aihwkit", "x"
    )
    assert [line.split(" ")[0] for line in made.dropped] == ["lifetime", "corrupt_devices_prob"]
    with pytest.raises(InputError, match="did you mean 'dw_min_std'"):
        convert({"class": "SoftBoundsDevice", "dw_min_stdd": 0.1}, "aihwkit", "x")
    with pytest.raises(InputError, match="did you mean 'ExpStepDevice'"):
        convert({"class": "ExpStepsDevice"}, "aihwkit", "x")


def test_neurosim_curves_are_kept() -> None:
    """G(P) = B (1 - e^(-P/A)) + Gmin upwards and its mirror downwards, at every pulse; V^2 G t from its voltages."""
    pulses, a_up, a_down = 40, 0.6, 0.3
    given = {"Gmax": 1e-5, "Gmin": 1e-6, "P_LTP": pulses, "P_LTD": pulses, "A_LTP": a_up, "A_LTD": a_down,
             "V_LTP": 3.2, "V_LTD": -2.8, "t_LTP": 3e-4, "t_LTD": 3e-4}  # fmt: skip
    made = convert(given, "neurosim", "x")
    assert made.dropped == []
    devices = Devices(made.preset, 1)
    devices._w[:] = -1.0
    p = np.arange(pulses + 1)
    up, down = (1 - np.exp(-p / (a * pulses)) for a in (a_up, a_down))
    ltp = 1e-6 + 9e-6 * up / up[-1]
    ltd = 1e-5 - 9e-6 * down / down[-1]
    found = [devices.conductances_S[0]]
    for way in (1, -1):
        for _ in range(pulses):
            devices.pulse(way)
            found.append(devices.conductances_S[0])
    np.testing.assert_allclose(found, [*ltp, *ltd[1:]], rtol=2e-5)
    expected = 3.2**2 * 3e-4 * (ltp[1:] + ltp[:-1]).sum() / 2 + 2.8**2 * 3e-4 * (ltd[1:] + ltd[:-1]).sum() / 2
    assert devices.pulse_energy_J == pytest.approx(expected, rel=1e-3)
    assert curvature(1.0) == pytest.approx(1.2517, rel=0.015)
    noisy = Devices(convert({**given, "sigma_c2c": 0.035}, "neurosim", "x").preset, 100_000)
    noisy.pulse(1)
    assert noisy.stored.std() == pytest.approx(2 * 0.035, rel=0.01)


def test_crosssim_updates_are_kept() -> None:
    """Analytic: (w0 + wmin - w)(1 - e^(-alpha dW)); tables: the quantiles as given."""
    made = convert({"alpha": 2.0, "pulse": 0.01, "sigma": 0.1}, "crosssim", "x")
    assert len(made.dropped) == 1
    w0 = 2.0 / (1 - math.exp(-2.0))
    assert moved(made.preset, 0.3, 1) == pytest.approx((w0 - 1 - 0.3) * (1 - math.exp(-0.02)), rel=1e-4)
    p = stats.norm.cdf([-2, 0, 2]).tolist()
    table = {"G": [1e-6, 3e-6], "CDF": p, "up": [[0, 1e-8, 2e-8]] * 2, "down": [[-2e-8, -1e-8, 0]] * 2}
    devices = Devices(convert(table, "crosssim", "x").preset, 200_000)
    devices.pulse(1)
    assert devices.stored.mean() == pytest.approx(0.01, rel=0.01)
    assert devices.stored.std() == pytest.approx(0.005, rel=0.01)
    with pytest.raises(InputError, match="neither alpha"):
        convert({"beta": 1}, "crosssim", "x")


# --- fitting ----------------------------------------------------------------------------------------------------------

TRUTH = {"model": "linear-step", "dw_min": 0.02, "up_down": -0.2, "gamma_up": 0.5, "gamma_down": 0.3, "dw_min_std": 0.4,
         "dw_min_dtod": 0.2, "up_down_dtod": 0.08}  # fmt: skip


def trains(
    device: Table, count: int, *, seed: int, read: float = 0.0, per: int = 40, cycles: int = 3
) -> dict[str, Any]:
    """Pulse trains of a generated population: up and down in turn, [pulse; number, G, V, width] by device."""
    devices, rng = Devices(device, count, seed=seed), np.random.default_rng(seed)
    held = [devices.stored]
    volts = [0.0]
    for way in (1, -1) * cycles:
        for _ in range(per):
            devices.pulse(way)
            held.append(devices.stored)
            volts.append(1.2 * way)
    w = np.array(held, np.float64) + read * rng.normal(size=(len(held), count))
    rows = np.stack([np.broadcast_to(np.arange(len(held))[:, None], w.shape), 5.5e-6 + 4.5e-6 * w,
                     np.broadcast_to(np.array(volts)[:, None], w.shape), np.full(w.shape, 1e-7)], axis=2)  # fmt: skip
    return {str(k): rows[:, k] for k in range(count)}


def truth_of(found: fitting.Measured, key: str) -> float:
    """TRUTH in the weights of the measurement, whose range is what was seen: w = (w' - shift) / stretch."""
    low, high = ((g - 5.5e-6) / 4.5e-6 for g in (found.g_min_S, found.g_max_S))
    shift, stretch = 0.5 * (low + high), 0.5 * (high - low)
    up, down = 0.8 * 0.02 * (1 - 0.5 * shift), 0.02 * (1 + 0.3 * shift)
    return {
        "dw_min": max(up, down) / stretch, "up_down": up / down - 1.0, "gamma_up": 0.8 * 0.02 * 0.5 * stretch / up,
        "gamma_down": 0.02 * 0.3 * stretch / down, "dw_min_std": 0.4, "dw_min_dtod": 0.2, "read_noise_std": 0.004 / stretch,
    }[key]  # fmt: skip


def test_fit_recovers_what_the_devices_are() -> None:
    """Curve, mismatch, cycle noise and noise of the reading, apart; intervals hold most of them; held-out error as expected."""
    found = fitting.measured(trains(TRUTH, 60, seed=3, read=0.004, per=30), "x")
    made = fitting.fit(found, "x", "generated", replicates=60)
    assert made.curve == "linear"
    for key, rel in (("dw_min", 0.1), ("dw_min_std", 0.08), ("dw_min_dtod", 0.3), ("read_noise_std", 0.1)):
        assert made.values[key] == pytest.approx(truth_of(found, key), rel=rel), key
    assert made.values["up_down"] == pytest.approx(truth_of(found, "up_down"), abs=0.06)
    inside = [made.intervals[key][0] <= truth_of(found, key) <= made.intervals[key][1]
              for key in ("dw_min", "up_down", "gamma_up", "gamma_down", "dw_min_std", "dw_min_dtod", "read_noise_std")]  # fmt: skip
    assert sum(inside) >= 5
    assert np.sqrt(np.mean(made.residual**2)) == pytest.approx(made.expected_std, rel=0.15)
    assert made.preset.electrical is not None and made.preset.electrical.up_V == pytest.approx(1.2)


def test_fit_chooses_the_curve() -> None:
    flat = fitting.measured(trains({"model": "constant-step", "dw_min": 0.015, "dw_min_std": 0.5}, 20, seed=1), "x")
    assert fitting.fit(flat, "x", "s", replicates=20).curve == "constant"
    bent = {
        "model": "piecewise-step",
        "dw_min": 0.02,
        "dw_min_std": 0.3,
        "up": (0.3, 2.0, 0.3),
        "down": (0.3, 2.0, 0.3),
    }
    found = fitting.measured(trains(bent, 20, seed=1, per=150, cycles=1), "x")
    made = fitting.fit(found, "x", "s", replicates=20)
    assert made.curve == "piecewise" and made.preset.device.model == "piecewise-step"
    assert Devices(made.preset, 10).bounds[1][0] == 1.0


def test_fit_without_mismatch_finds_none() -> None:
    """Noise alone must not be taken for differences between devices."""
    same = fitting.measured(trains({**TRUTH, "dw_min_dtod": 0.0, "up_down_dtod": 0.0}, 30, seed=2), "x")
    made = fitting.fit(same, "x", "s", replicates=20)
    assert made.values["dw_min_dtod"] < 0.05 and made.values["up_down_dtod"] < 0.05


def write_csv(path: Path, found: dict[str, Any]) -> Path:
    lines = ["device,pulse,G,V,width"]
    lines += [
        f"{name},{int(row[0])},{row[1]:.9g},{row[2]:g},{row[3]:g}" for name, train in found.items() for row in train
    ]
    path.write_text("\n".join(lines))
    return path


def test_measurements_that_are_wrong_are_named_by_line(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_text("device,pulse,G,V\n1,0,1e-6,0\n")
    with pytest.raises(InputError, match="no column width"):
        fitting.read(path)
    path.write_text("device,pulse,G,V,width\na,0,1e-6,0,1\na,1,x,1,1\na,2,-1e-6,1,1\n")
    with pytest.raises(InputError) as caught:
        fitting.read(path)
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["line 3", "line 4"]
    path.write_text("device,pulse,G,V,width\na,0,1e-6,0,1\na,0,2e-6,1,1\n")
    with pytest.raises(InputError, match=r"occurs twice"):
        fitting.read(path)
    one_way = {"a": np.array([[k, 1e-6 + 1e-8 * k, 1.0, 1e-7] for k in range(100)])}
    with pytest.raises(InputError, match="one sign only"):
        fitting.read(write_csv(path, one_way))


# --- commands ---------------------------------------------------------------------------------------------------------


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["device", *arguments])


def test_list_and_show_have_presets() -> None:
    found = json.loads(run("list", "--json").stdout)
    assert {"reram-es", "pcm-gst", "heater-cryotron"} <= {row["name"] for row in found["presets"]}
    assert {"soft-bounds", "vteam"} <= {row["name"] for row in found["models"]}
    shown = run("show", "ecram-mo").stdout
    assert "dw_min = 0.00028214" in shown and "IEDM (2019)" in shown
    assert json.loads(run("show", "ecram-mo", "--json").stdout)["device"]["gamma_down"] == 0.7342


def test_convert_and_fit_commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("d.txt").write_text("SoftBoundsDevice(dw_min=0.01, diffusion=0.1)")
    done = run("convert", "d.txt", "--from", "aihwkit", "-o", "mine.toml")
    assert done.exit_code == 0 and "diffusion = 0.1" in done.output
    assert Devices("mine.toml", 3).parameters.dw_min == 0.01
    again = run("convert", "d.txt", "--from", "aihwkit", "-o", "mine.toml")
    assert again.exit_code == 2 or isinstance(again.exception, InputError)
    write_csv(Path("m.csv"), trains(TRUTH, 8, seed=1, per=20, cycles=2))
    done = run("fit", "m.csv", "-o", "fitted.toml", "--replicates", "20", "--json")
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert Path(report["figure"]).stat().st_size > 5000
    assert Devices("fitted.toml", 3).electrical is not None
    assert set(report["interval_95"]) == set(report["values"])


# --- training ---------------------------------------------------------------------------------------------------------

LAYERS = [dense("h", 6, "tanh"), dense("o", 2, "sigmoid")]


def machine(device: Any, rounding: str = "nearest", **training: Any) -> Machine:
    rng = np.random.default_rng(0)
    data = samples(rng.normal(size=(3, 4)), rng.uniform(0.1, 0.9, size=(3, 2)))
    wanted = {"model": "backprop", "tau_theta": 1, "learning_rate": 0.5, **training}
    return plain(
        Machine(scenario(LAYERS, wanted, chip={"synapse": {"device": device, "update_rounding": rounding}}), data)
    )


def test_training_takes_the_same_steps_as_the_model() -> None:
    """One write of a noiseless exponential device: every weight moves by its model's step, times its pulses."""
    device = {"model": "reram-es", "dw_min": 1e-4, "dw_min_std": 0.0, "write_noise_std": 0.0, "dw_min_dtod": 0.2,
              "w_max": 5.0, "w_min": -5.0, "w_max_dtod": 0.0, "w_min_dtod": 0.0}  # fmt: skip
    made = machine(device)
    before = np.array(made.arrays["theta"], np.float64)
    made.burst(1)
    moved_by = np.array(made.arrays["theta"], np.float64) - before
    assert made.totals["PULSES"] > 30
    module = __import__("neurosim.models.devices.exp_step", fromlist=["step"])
    arrays = {key: np.array(made.arrays[key], np.float64) for key in ("scale_up", "scale_down", "w_min", "w_max")}
    total = 0
    for e in range(before.size):
        way, w = moved_by[e] > 0, before[e]
        for _ in range(100_000):
            if abs(w - before[e]) >= abs(moved_by[e]) - 1e-9:
                break
            w += module.step(w, way, *(arrays[key][e] for key in arrays), -0.5, -0.5, -1.18445, -0.081404, 5.0, 5.0)
            total += 1
        assert w - before[e] == pytest.approx(moved_by[e], abs=2e-6)
    assert total == made.totals["PULSES"]


@pytest.mark.parametrize(
    "name",
    [
        "reram-es",
        "reram-om",
        "ecram-mo",
        "hzo-fefet",
        "mtj-stt",
        "heater-cryotron",
        "vteam-memtorch",
        "table-step",
        "pow-step",
    ],
)
def test_presets_train_within_their_bounds(name: str) -> None:
    made = machine({"model": name}, "stochastic", learning_rate=5.0)
    made.burst(20)
    stored = "device_hidden" if name in ("reram-es", "reram-om") else "theta"
    theta = np.array(made.arrays[stored])
    assert np.isfinite(theta).all() and made.totals["PULSES"] > 0
    assert (theta <= np.array(made.arrays["w_max"]) + 1e-6).all() and (
        theta >= np.array(made.arrays["w_min"]) - 1e-6
    ).all()


def test_apparent_write_noise_in_training_is_not_stored() -> None:
    made = machine(
        {"model": "constant-step", "dw_min": 1e-5, "write_noise_std": 1000.0, "write_noise": "apparent"},
        learning_rate=0.1,
    )
    start = np.array(made.arrays["device_hidden"])
    made.burst(5)
    apparent, hidden = np.array(made.arrays["theta"]), np.array(made.arrays["device_hidden"])
    assert (apparent - hidden).std() == pytest.approx(1e-2, rel=0.5)
    np.testing.assert_allclose((hidden - start) / 1e-5, np.rint((hidden - start) / 1e-5), atol=0.02)


def test_time_can_be_switched_off() -> None:
    made = machine(
        {"model": "sonos", "dw_min": 1e-3, "retention_scale": 0.0, "read_noise_scale": 0.0}, learning_rate=5.0
    )
    made.burst(3)
    assert made.totals["PULSES"] > 0


def test_a_preset_is_a_device_of_a_chip() -> None:
    with pytest.raises((InputError, ValueError), match="did you mean 'reram-es'"):
        machine("reram-ess")
    assert (
        machine({"model": "reram-sb", "dw_min_std": 0.0}).scenario.chip.synapse.device.model == "soft-bounds-reference"
    )
