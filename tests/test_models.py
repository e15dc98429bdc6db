"""Laws of the models: closed forms, statistics, orthogonality; and compiled code that equals its plain form."""

from __future__ import annotations

import functools
import importlib.util
import math
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from numba import typeof
from pydantic import ValidationError
from scipy import stats

from neurosim import models, registry
from neurosim.kernels import random
from neurosim.kernels.wrap import kernel as _compile
from neurosim.models.devices import base
from neurosim.models.perturbations import sinusoidal

Array = npt.NDArray[Any]
models.load_builtin()
BUILTIN = {kind: registry.names(kind) for kind in ("rate", "spiking", "dynamic", "device", "perturbation", "cost")}
ROOT = Path(__file__).parent.parent


@functools.cache
def kernel(function: Callable[..., Any]) -> Any:
    """Each function is compiled once for all tests."""
    return _compile(function)


def module(kind: str, name: str) -> ModuleType:
    return registry.find(kind, name).module


def parameters(kind: str, model: str, **values: Any) -> Any:
    return registry.validated(kind, {"model": model, **values})


def result_is_float32(function: Callable[..., Any], *arguments: Any) -> bool:
    """Whether the compiled function keeps float32 (a call from Python cannot tell: it gets a Python float)."""
    compiled = kernel(function)
    compiled(*arguments)
    types = tuple(typeof(argument) for argument in arguments)
    return str(compiled.overloads[types].signature.return_type) == "float32"


# --- all of them ------------------------------------------------------------------------------------------------------


def test_every_model_of_the_design_is_there() -> None:
    assert BUILTIN == {
        "rate": ["linear", "relu", "sigmoid", "tanh"],
        "spiking": ["erbp-lif", "erbp-nsat", "if", "lif", "loihi-lif"],
        "dynamic": [
            "escape-rate", "izhikevich", "lif-adaptive", "lif-delta", "lif-dual", "lif-exponential", "lif-kinetic-1",
            "lif-kinetic-2", "mihalas-niebur", "poisson",
        ],
        "device": [
            "capacitor", "constant-step", "exp-step", "ideal", "linear-step", "pcm", "piecewise-step", "pow-step",
            "quantized", "soft-bounds", "soft-bounds-reference", "sonos", "stochastic-mtj", "stochastic-switch",
            "table-step", "vteam",
        ],
        "perturbation": ["random", "sequential", "sequential-paired", "sinusoidal", "walsh"],
        "cost": ["cross-entropy", "mse"],
    }


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in BUILTIN for name in BUILTIN[kind]])
def test_model_file_is_complete(kind: str, name: str) -> None:
    model = registry.find(kind, name)
    text = model.module.__doc__ or ""
    assert "Source:" in text
    schema = registry.validated(kind, name)
    assert schema.model == name
    assert registry.validated(kind, schema.model_dump()) == schema, "a resolved file must be readable again"
    with pytest.raises(ValidationError, match="sizzle"):
        registry.validated(kind, {"model": name, "sizzle": 1})
    for field_name, field in model.schema.model_fields.items():
        assert field_name == "model" or field.description


def test_models_load_without_compiler() -> None:
    """Checking a chip file must not cost the import of numba; only the perturbation codes need it."""
    code = (
        "import sys, pkgutil, importlib, neurosim.models as m\n"
        "for part in ('neurons', 'devices', 'costs'):\n"
        "    for found in pkgutil.iter_modules([m.__path__[0] + '/' + part]):\n"
        "        importlib.import_module(f'neurosim.models.{part}.{found.name}')\n"
        "sys.exit('numba' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


# --- rate neurons -----------------------------------------------------------------------------------------------------

Z = [-1000.0, -30.0, -2.5, -0.1, 0.0, 0.1, 1.0, 3.0, 30.0, 1000.0]


@pytest.mark.parametrize("name", BUILTIN["rate"])
def test_rate_neuron_compiled_equals_plain(name: str) -> None:
    neuron = module("rate", name)
    activate, derivative = kernel(neuron.activate), kernel(neuron.derivative)
    for z in Z:
        a = neuron.activate(z)
        assert activate(z) == pytest.approx(a, rel=1e-14, abs=1e-300)
        assert derivative(z, a) == pytest.approx(neuron.derivative(z, a), rel=1e-14, abs=1e-300)
        assert math.isfinite(a)
    assert result_is_float32(neuron.activate, np.float32(0.3))
    assert result_is_float32(lambda x, z, a: x * derivative(z, a), np.float32(2.0), np.float32(0.3), np.float32(0.5))


@pytest.mark.parametrize("name", BUILTIN["rate"])
def test_derivative_is_the_slope(name: str) -> None:
    neuron = module("rate", name)
    h = 1e-6
    for z in (-3.0, -0.7, 0.2, 1.9):
        slope = (neuron.activate(z + h) - neuron.activate(z - h)) / (2 * h)
        assert neuron.derivative(z, neuron.activate(z)) == pytest.approx(slope, rel=1e-8, abs=1e-9)


def test_rate_neurons_at_known_points() -> None:
    assert module("rate", "sigmoid").activate(math.log(3.0)) == pytest.approx(0.75, rel=1e-15)
    assert module("rate", "tanh").activate(math.log(3.0)) == pytest.approx(0.8, rel=1e-15)
    assert [float(module("rate", "relu").activate(z)) for z in (-2.0, 0.0, 2.0)] == [0.0, 0.0, 2.0]
    assert math.isnan(module("rate", "relu").activate(math.nan))
    assert module("rate", "linear").activate(-2.0) == -2.0


# --- spiking neurons --------------------------------------------------------------------------------------------------


def spike_ticks(neuron: Any, current: float, ticks: int, tick_s: float) -> list[int]:
    """The engine's part for one neuron: floor, threshold, reset, refractory ticks."""
    integrate = module("spiking", neuron.model).integrate
    leak, v, waiting, spikes = neuron.leak(tick_s), 0.0, 0, []
    for tick in range(1, ticks + 1):
        if waiting:
            waiting -= 1
            continue
        v = integrate(v, current, leak)
        if v >= neuron.threshold:
            spikes.append(tick)
            v = v - neuron.threshold if neuron.reset == "soft" else 0.0
            waiting = neuron.refractory_ticks
    return spikes


@pytest.mark.parametrize("current", [0.03125, 0.25, 0.40625, 0.875, 1.0])  # exact in binary
@pytest.mark.parametrize("threshold", [1.0, 1.5])
def test_if_soft_reset_counts_linearly(current: float, threshold: float) -> None:
    neuron = parameters("spiking", "if", threshold=threshold)
    for ticks in (1, 7, 100, 333):
        assert len(spike_ticks(neuron, current, ticks, 1e-3)) == math.floor(ticks * current / threshold)


@pytest.mark.parametrize("refractory", [0, 3])
def test_hard_reset_periods(refractory: int) -> None:
    for current in (0.08, 0.11, 0.3, 0.77):
        perfect = parameters("spiking", "if", reset="hard", refractory_ticks=refractory)
        leaky = parameters("spiking", "lif", reset="hard", refractory_ticks=refractory, tau_mem_s="20 ms")
        decay = leaky.leak(1e-3)
        period = math.ceil(math.log(1 - leaky.threshold * (1 - decay) / current) / math.log(decay))
        for neuron, expected in ((perfect, math.ceil(1 / current)), (leaky, period)):
            ticks = spike_ticks(neuron, current, 400, 1e-3)
            assert ticks[0] == expected
            assert set(np.diff(ticks)) == {expected + refractory}


def test_lif_below_rheobase_never_fires() -> None:
    neuron = parameters("spiking", "lif", tau_mem_s=20e-3)
    assert neuron.leak(20e-3) == pytest.approx(math.exp(-1), rel=1e-15)
    rheobase = neuron.threshold * (1 - neuron.leak(1e-3))
    assert spike_ticks(neuron, rheobase * 0.999, 5000, 1e-3) == []
    assert spike_ticks(neuron, rheobase * 1.001, 5000, 1e-3)


@pytest.mark.parametrize("name", BUILTIN["spiking"])
def test_integrate_compiled_equals_plain(name: str) -> None:
    integrate = module("spiking", name).integrate
    assert kernel(integrate)(0.3, 0.2, 0.9) == integrate(0.3, 0.2, 0.9)
    assert result_is_float32(integrate, np.float32(0.3), np.float32(0.2), np.float32(0.9))


def test_spiking_parameters_are_checked() -> None:
    for wrong in ({"threshold": 0.0}, {"refractory_ticks": -1}, {"v_min": 0.5}, {"reset": "gentle"}):
        with pytest.raises(ValidationError):
            parameters("spiking", "if", **wrong)
    with pytest.raises(ValidationError, match="tau_mem_s"):
        parameters("spiking", "lif", tau_mem_s="20 mV")


# --- devices ----------------------------------------------------------------------------------------------------------

PULSED = {"dw_min": 0.01, "w_max": 0.8, "w_min": -0.5}


@pytest.mark.parametrize("name", ["constant-step", "ideal", "quantized", "soft-bounds"])  # others: test_devices.py
def test_step_compiled_equals_plain(name: str) -> None:
    device = module("device", name)
    compiled = kernel(device.step)
    for w in (-0.31, 0.0, 0.25):
        for up in (True, False):
            arguments = (w, up, 0.01, 0.02, -0.5, 0.8)
            assert compiled(*arguments) == pytest.approx(device.step(*arguments), rel=1e-12)
            assert (device.step(*arguments) > 0) == up
    assert isinstance(device.EXACT, bool)
    assert (name == "ideal") == device.EXACT


@pytest.mark.parametrize("name", ["constant-step", "soft-bounds"])
def test_step_keeps_float32(name: str) -> None:
    single = [np.float32(value) for value in (0.01, 0.02, -0.5, 0.8)]
    assert result_is_float32(module("device", name).step, np.float32(0.1), True, *single)


def test_constant_step_counts_and_stops_at_the_bound() -> None:
    step = module("device", "constant-step").step
    w = 0.0
    for _ in range(50):
        w = base.bounded(w + step(w, True, 0.01, 0.02, -0.5, 0.8), -0.5, 0.8)
    assert w == pytest.approx(0.5, rel=1e-12)
    for _ in range(100):
        w = base.bounded(w + step(w, False, 0.01, 0.02, -0.5, 0.8), -0.5, 0.8)
    assert w == -0.5


@pytest.mark.parametrize("n", [1, 10, 137, 3000])
def test_soft_bounds_saturate_by_the_closed_form(n: int) -> None:
    step = module("device", "soft-bounds").step
    up, down, w_min, w_max = 0.01, 0.02, -0.5, 0.8
    high = low = 0.0
    for _ in range(n):
        high += step(high, True, up, down, w_min, w_max)
        low += step(low, False, up, down, w_min, w_max)
    assert high == pytest.approx(w_max * (1 - (1 - up / w_max) ** n), rel=1e-12)
    assert low == pytest.approx(w_min * (1 - (1 + down / w_min) ** n), rel=1e-12)
    assert w_min <= low < high <= w_max


def test_soft_bounds_symmetry_point() -> None:
    step = module("device", "soft-bounds").step
    up, down, w_min, w_max = 0.001, 0.002, -0.5, 0.8
    w = 0.3
    for _ in range(5000):
        w += step(w, True, up, down, w_min, w_max)
        w += step(w, False, up, down, w_min, w_max)
    assert w == pytest.approx((up - down) / (up / w_max - down / w_min), abs=max(up, down))


def test_quantized_stays_on_its_grid() -> None:
    device = parameters("device", "quantized", bits=5, w_max=0.7, w_min=-0.3)
    lsb = 1.0 / 31
    assert device.step_size == device.grid == pytest.approx(lsb)
    held = base.draw(device, 1, seed=3)
    assert held.scale_up[0] == held.scale_down[0] == np.float32(lsb)
    levels = np.float32(-0.3) + np.arange(32) * lsb
    w = base.start(device, held, np.array([0.123]))[0]
    assert w == pytest.approx(levels[np.argmin(abs(levels - 0.123))], abs=1e-7)
    step = kernel(module("device", "quantized").step)
    generator = np.random.default_rng(1)
    level = round((float(w) + 0.3) / lsb)
    for up in generator.random(5000) < 0.5:
        w = np.float32(w + step(w, bool(up), held.scale_up[0], held.scale_down[0], held.w_min[0], held.w_max[0]))
        w = min(max(w, held.w_min[0]), held.w_max[0])
        level = min(max(level + (1 if up else -1), 0), 31)
        assert w == pytest.approx(levels[level], abs=2e-7), "the rounding of many steps must not add up"


def test_quantized_word_can_hold_zero() -> None:
    device = parameters("device", "quantized", bits=8, w_max=127.0, w_min=-128.0)
    assert device.step_size == 1.0
    held = base.start(device, base.draw(device, 3, 0), np.array([0.0, 0.4, 300.0]))
    assert held.tolist() == [0.0, 0.0, 127.0]
    with pytest.raises(ValidationError, match="dw_min follows"):
        parameters("device", "quantized", bits=8, dw_min=0.1)


@pytest.mark.parametrize("name", ["ideal", "quantized"])
def test_perfect_devices_refuse_imperfections(name: str) -> None:
    with pytest.raises(ValidationError, match=r"has no dw_min_dtod, dw_min_std; use 'constant-step'"):
        parameters("device", name, dw_min_dtod=0.3, dw_min_std=0.1)


@pytest.mark.parametrize("name", ["constant-step", "soft-bounds"])
def test_device_parameters_are_checked(name: str) -> None:
    for wrong in ({"dw_min": 0.0}, {"dw_min_std": -0.1}, {"w_max": 0.0}, {"w_min": 0.1}, {"up_down": 1.5}):
        with pytest.raises(ValidationError):
            parameters("device", name, **wrong)


def within_chi2(values: Array, std: float) -> bool:
    """Whether a sample's standard deviation is one that happens (two-sided, 1e-6) if the true one is ``std``."""
    degrees = len(values) - 1
    ratio = degrees * np.var(values, ddof=1) / std**2
    return bool(stats.chi2.ppf(5e-7, degrees) < ratio < stats.chi2.ppf(1 - 5e-7, degrees))


def test_mismatch_statistics() -> None:
    count = 20_000
    device = parameters(
        "device", "soft-bounds", **PULSED, dw_min_dtod=0.1, up_down_dtod=0.05, w_max_dtod=0.08, w_min_dtod=0.06
    )
    drawn = base.draw(device, count, seed=11)
    assert all(values.dtype == np.float32 and values.shape == (count,) for values in drawn)
    up, down, w_min, w_max = (values.astype(np.float64) for values in drawn)
    gain, r = (up + down) / (2 * 0.01), (up - down) / (2 * 0.01)
    for values, mean, std in ((w_max, 0.8, 0.064), (w_min, -0.5, 0.03), (gain, 1.0, 0.1), (r, 0.0, 0.05)):
        assert within_chi2(values, std)
        assert abs(values.mean() - mean) < 5 * std / math.sqrt(count)
    correlations = np.corrcoef([w_max, w_min, gain, r]) - np.eye(4)
    assert abs(correlations).max() < 5 / math.sqrt(count), "the four are independent"


def test_mismatch_belongs_to_the_device() -> None:
    device = parameters("device", "constant-step", **PULSED, dw_min_dtod=0.3, w_max_dtod=0.3)
    few, many, other = (base.draw(device, *of) for of in ((5, 1), (50, 1), (50, 2)))
    for a, b in zip(few, many, strict=True):
        assert (a == b[:5]).all(), "device i does not depend on how many there are"
    assert (many.scale_up != other.scale_up).all()
    assert (many.w_min == np.float32(-0.5)).all()


@pytest.mark.parametrize(("up_down", "up", "down"), [(0.25, 1.0, 0.75), (-0.25, 0.75, 1.0), (0.0, 1.0, 1.0)])
def test_asymmetry_shrinks_one_side(up_down: float, up: float, down: float) -> None:
    drawn = base.draw(parameters("device", "constant-step", dw_min=0.01, up_down=up_down), 3, 0)
    assert drawn.scale_up == pytest.approx(0.01 * up, rel=1e-6)
    assert drawn.scale_down == pytest.approx(0.01 * down, rel=1e-6)


def test_wild_mismatch_leaves_usable_devices() -> None:
    drawn = base.draw(parameters("device", "soft-bounds", dw_min_dtod=2.0, w_max_dtod=2.0, w_min_dtod=2.0), 10_000, 4)
    assert (drawn.scale_up >= 0).all()
    assert (drawn.scale_down >= 0).all()
    assert (drawn.w_min < 0).all()
    assert (drawn.w_max > 0).all()
    step = kernel(module("device", "soft-bounds").step)
    for up, down, w_min, w_max in zip(*(values[:200] for values in drawn), strict=True):
        w = np.float32(0.0)
        for _ in range(3):
            w = base.bounded(w + step(w, True, up, down, w_min, w_max), w_min, w_max)
        assert w_min <= w <= w_max


def test_step_noise_statistics() -> None:
    pulses, std = 20_000, 0.3
    xi = np.empty(pulses)
    random.normals(xi, 5, random.STREAM_WRITE_NOISE, 0, 0, 0)
    noisy = kernel(base.noisy)
    dw = np.array([noisy(0.01, std, x) for x in xi])
    assert within_chi2(dw, 0.01 * std)
    assert abs(dw.mean() - 0.01) < 5 * 0.01 * std / math.sqrt(pulses)
    assert base.noisy(0.01, std, 0.0) == 0.01
    assert base.bounded(2.0, -1.0, 1.5) == kernel(base.bounded)(2.0, -1.0, 1.5) == 1.5


# --- perturbation codes -----------------------------------------------------------------------------------------------

CODES = BUILTIN["perturbation"]
PERIODIC = [name for name in CODES if name != "random"]
NORM_MAG = 0.1


_TABLES: dict[str, Any] = {}


def table(name: str, size: int, count: int, seed: int = 7) -> Array:
    """theta~ as an array [perturbation, parameter], filled and read as the engine does it, by compiled code."""
    code = module("perturbation", name)
    s0, s1 = parameters("perturbation", name).settings()
    if name not in _TABLES:
        value = kernel(code.value)

        @kernel
        def read(words: Array, first: int, size: int, amplitude: float, out: Array) -> None:
            for row in range(out.shape[0]):
                for i in range(size):
                    out[row, i] = value(words[i], first + row, size, amplitude)

        _TABLES[name] = (kernel(code.fill), read)
    fill, read = _TABLES[name]
    words = np.zeros(size, dtype=np.uint32)
    out = np.empty((count, size), dtype=np.float64)
    block = code.BLOCK or count
    for first in range(0, count, block):
        fill(words, seed, first // block, s0, s1)
        read(words, first, size, code.amplitude(size, NORM_MAG, s0), out[first : first + block])
    return out


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize("size", [1, 2, 9, 31, 32, 100])
def test_code_compiled_equals_plain(name: str, size: int) -> None:
    code = module("perturbation", name)
    s0, s1 = parameters("perturbation", name).settings()
    amplitude = code.amplitude(size, NORM_MAG, s0)
    for block in (0, 3) if code.BLOCK else (0,):
        words, compiled_words = np.zeros(size, np.uint32), np.zeros(size, np.uint32)
        code.fill(words, 5, block, s0, s1)
        kernel(code.fill)(compiled_words, 5, block, s0, s1)
        assert (words == compiled_words).all()
        value = kernel(code.value)
        for n in (block * 32, block * 32 + 1, block * 32 + 31, 12_345, 2**40 - 1):
            plain = np.array([code.value(word, n, size, amplitude) for word in words])
            assert plain.dtype == np.float32
            assert [value(word, n, size, amplitude) for word in words] == plain.tolist()
    assert result_is_float32(code.value, words[0], 5, size, amplitude)
    assert kernel(code.value)(words[0], np.int64(5), np.int64(size), np.float32(amplitude)) == value(
        words[0], 5, size, amplitude
    )


@pytest.mark.parametrize("name", CODES)
def test_length_of_the_perturbation(name: str) -> None:
    """norm_mag is the length of the perturbation: always, for signs and single turns; rms for sinusoids."""
    size = 25
    code = module("perturbation", name)
    lengths = np.sqrt((table(name, size, code.period(size) or 320) ** 2).sum(axis=1))
    if name == "sinusoidal":
        assert np.sqrt((lengths**2).mean()) == pytest.approx(NORM_MAG, rel=1e-6)
        assert lengths.max() < 2 * NORM_MAG, "the phases must not add up to a peak"
    else:
        assert lengths == pytest.approx(NORM_MAG, rel=1e-6)


@pytest.mark.parametrize("name", PERIODIC)
@pytest.mark.parametrize("size", [1, 9, 63, 64, 100])
def test_codes_are_orthogonal_over_a_period(name: str, size: int) -> None:
    period = module("perturbation", name).period(size)
    theta = table(name, size, 2 * period)
    assert theta[period:] == pytest.approx(theta[:period], abs=2e-8), "it begins again after a period"
    gram = theta[:period].T @ theta[:period] / period * size / NORM_MAG**2
    assert gram == pytest.approx(np.eye(size), abs=1e-6)
    if name != "sequential":
        assert theta[:period].sum(axis=0) == pytest.approx(0.0, abs=1e-6 * period), "no constant part"


@pytest.mark.parametrize("size", [9, 64])
def test_walsh_flips_every_pass(size: int) -> None:
    period = module("perturbation", "walsh").period(size)
    order = period // 2
    assert order > size
    assert order // 2 <= size
    theta = table("walsh", size, period)
    assert (theta[order:] == -theta[:order]).all()
    assert theta[:order].T @ theta[:order] == pytest.approx(np.eye(size) * NORM_MAG**2 / size * order, abs=1e-6)


@pytest.mark.parametrize("name", PERIODIC)
def test_seeds_give_other_orders_of_the_same_code(name: str) -> None:
    size = 40
    period = module("perturbation", name).period(size)
    a, b = table(name, size, period, seed=1), table(name, size, period, seed=2)
    assert (a != b).any()
    if name != "walsh":  # walsh also takes other rows
        assert sorted(map(tuple, a.T.tolist())) == sorted(map(tuple, b.T.tolist()))


def test_random_signs_are_those_of_the_random_streams() -> None:
    theta = table("random", 6, 96)
    for n in range(96):
        for i in range(6):
            word = random.sign_word(7, random.STREAM_PERTURBATION, i, n // 32)
            assert theta[n, i] == pytest.approx(random.sign_of(word, n) * NORM_MAG / math.sqrt(6), rel=1e-6)


def quadratic(size: int) -> tuple[Array, Array]:
    """Gradient and Hessian of a test cost with strong curvature."""
    generator = np.random.default_rng(2)
    gradient = generator.normal(size=size)
    root = generator.normal(size=(size, size))
    return gradient, 10.0 * (root + root.T)


def estimate(theta: Array, gradient: Array, hessian: Array) -> Array:
    """P <C~ theta~> / norm_mag^2, which should be the gradient."""
    c_tilde = theta @ gradient + 0.5 * np.einsum("ni,ij,nj->n", theta, hessian, theta)
    result: Array = theta.T @ c_tilde / len(theta) * theta.shape[1] / NORM_MAG**2
    return result


@pytest.mark.parametrize("name", ["walsh", "sinusoidal", "sequential-paired"])
@pytest.mark.parametrize("size", [9, 50])
def test_a_period_gives_the_gradient_whatever_the_curvature(name: str, size: int) -> None:
    gradient, hessian = quadratic(size)
    theta = table(name, size, module("perturbation", name).period(size))
    assert estimate(theta, gradient, hessian) == pytest.approx(gradient, abs=2e-5)


def test_sequential_period_is_the_forward_difference() -> None:
    gradient, hessian = quadratic(9)
    expected = gradient + 0.5 * NORM_MAG * np.diag(hessian)
    assert estimate(table("sequential", 9, 9), gradient, hessian) == pytest.approx(expected, abs=1e-6)


def test_one_walsh_pass_is_biased_by_curvature() -> None:
    """Why the period is two passes."""
    gradient, hessian = quadratic(50)
    theta = table("walsh", 50, module("perturbation", "walsh").period(50) // 2)
    error = np.linalg.norm(estimate(theta, gradient, hessian) - gradient) / np.linalg.norm(gradient)
    assert error > 0.3


@pytest.mark.parametrize("band", [(0.01, 0.16), (0.26, 0.41)])
def test_wrong_bands_are_refused_and_would_be_biased(
    band: tuple[float, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValidationError, match="fall into the band"):
        parameters("perturbation", "sinusoidal", f_start=band[0], f_stop=band[1])
    monkeypatch.setattr(sinusoidal.Sinusoidal, "settings", lambda self: band)
    gradient, hessian = quadratic(50)
    theta = table("sinusoidal", 50, sinusoidal.period(50))
    error = np.linalg.norm(estimate(theta, gradient, hessian) - gradient) / np.linalg.norm(gradient)
    assert error > 0.05


def test_narrow_band_is_refused() -> None:
    with pytest.raises(ValidationError, match="at least"):
        parameters("perturbation", "sinusoidal", f_start=0.12, f_stop=0.15)
    narrowest = parameters("perturbation", "sinusoidal", f_start=0.15, f_stop=0.15 + 1 / 16)
    for size in (*range(1, 70), 1023, 1024, 14_378):
        words = np.zeros(size, np.uint32)
        sinusoidal.fill(words, 0, 0, *narrowest.settings()) if size < 70 else kernel(sinusoidal.fill)(
            words, 0, 0, *narrowest.settings()
        )
        frequencies = words / 2**32
        assert len(np.unique(words)) == size, "all different"
        assert 0.15 <= frequencies.min() <= frequencies.max() <= 0.15 + 1 / 16
        assert (words % (2**32 // sinusoidal.period(size)) == 0).all(), "whole turns in a period"


def test_random_signs_give_the_gradient_on_average() -> None:
    """Mean within 3 %, and the error of a window of tau is (P - 1) / tau, as the theory says."""
    size, windows, tau = 20, 200, 320
    gradient, _ = quadratic(size)
    theta = table("random", size, windows * tau)
    estimates = np.array([estimate(part, gradient, np.zeros((size, size))) for part in np.split(theta, windows)])
    assert np.linalg.norm(estimates.mean(axis=0) - gradient) < 0.03 * np.linalg.norm(gradient)
    errors = ((estimates - gradient) ** 2).sum(axis=1) / (gradient**2).sum()
    assert errors.mean() == pytest.approx((size - 1) / tau, rel=5 * errors.std() / errors.mean() / math.sqrt(windows))


@pytest.mark.parametrize(("name", "low", "high"), [("sequential", 0.7, 0.9), ("sequential-paired", 0.99, 1.0)])
def test_turns_under_a_high_pass(name: str, low: float, high: float) -> None:
    """On an analog chip single turns leak into each other, pairs do not."""
    size = 200
    alpha = 1.6 / 2.6
    gradient = np.random.default_rng(3).normal(size=size)
    period = module("perturbation", name).period(size)
    theta = table(name, size, 2 * period)
    filtered, before, result = 0.0, 0.0, np.zeros(size)
    for n, row in enumerate(theta):
        cost = float(row @ gradient)
        filtered = alpha * (filtered + cost - before)
        before = cost
        if n >= period:
            result += filtered * row
    cosine = result @ gradient / np.linalg.norm(result) / np.linalg.norm(gradient)
    assert low < cosine <= high


def test_perturbed_pass_runs_near_memory_speed() -> None:
    """The random code must vectorise: it doubles the bytes that a pass reads, and may cost little more than that."""
    value = kernel(module("perturbation", "random").value)

    @kernel
    def plain(z: Array, x: Array, w: Array) -> None:
        for i in range(w.shape[0]):
            for j in range(w.shape[1]):
                z[j] += x[i] * w[i, j]

    @kernel
    def perturbed(z: Array, x: Array, w: Array, words: Array, n: int, size: int, amplitude: float) -> None:
        for i in range(w.shape[0]):
            for j in range(w.shape[1]):
                z[j] += x[i] * (w[i, j] + value(words[i, j], n, size, amplitude))

    generator = np.random.default_rng(0)
    x, w = generator.random(784, dtype=np.float32), generator.random((784, 100), dtype=np.float32)
    z, words = np.zeros(100, np.float32), generator.integers(0, 2**32, (784, 100), np.uint32)
    plain_s, perturbed_s = [], []
    for _ in range(200):
        start = time.perf_counter()
        plain(z, x, w)
        middle = time.perf_counter()
        perturbed(z, x, w, words, 5, w.size, 1e-3)
        plain_s.append(middle - start)
        perturbed_s.append(time.perf_counter() - middle)
    assert min(perturbed_s) < 6.0 * min(plain_s)  # measured: 1.8


# --- costs ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BUILTIN["cost"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_cost_compiled_equals_plain(name: str, smoothing: float, dtype: Any) -> None:
    model = module("cost", name)
    y, target = np.array([0.3, -1.2, 2.5], dtype), np.array([0.0, 1.0, 0.0], dtype)
    plain, compiled = np.zeros(3), np.zeros(3)
    assert kernel(model.cost)(y, target, smoothing) == pytest.approx(model.cost(y, target, smoothing), rel=1e-14)
    model.gradient(y, target, smoothing, plain)
    kernel(model.gradient)(y, target, smoothing, compiled)
    assert compiled == pytest.approx(plain, rel=1e-13)
    assert not result_is_float32(model.cost, y, target, smoothing)


@pytest.mark.parametrize("name", BUILTIN["cost"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("target", [[0.0, 1.0, 0.0, 0.0], [0.2, 0.3, 0.1, 0.4], [1.0, 1.0, 0.0, 0.0]])
def test_cost_gradient_is_the_slope(name: str, smoothing: float, target: list[float]) -> None:
    model = module("cost", name)
    y, wanted, out = np.array([0.3, -1.2, 2.5, 0.0]), np.array(target), np.zeros(4)
    model.gradient(y, wanted, smoothing, out)
    h = 1e-6
    for k in range(4):
        shift = np.eye(4)[k] * h
        slope = (model.cost(y + shift, wanted, smoothing) - model.cost(y - shift, wanted, smoothing)) / (2 * h)
        assert out[k] == pytest.approx(slope, rel=1e-7, abs=1e-9)


def test_costs_at_known_points() -> None:
    mse, entropy = module("cost", "mse"), module("cost", "cross-entropy")
    one_hot = np.array([0.0, 1.0])
    assert mse.cost(np.array([1.0, 0.5]), one_hot, 0.0) == 0.625  # the mean, without a factor 1/2
    assert parameters("cost", "mse").smoothing == 0.0
    assert entropy.cost(np.zeros(10), np.eye(10)[3], 0.0) == pytest.approx(math.log(10), rel=1e-14)
    assert entropy.cost(np.array([0.0, math.log(3.0)]), one_hot, 0.0) == pytest.approx(math.log(4 / 3), rel=1e-14)
    assert entropy.cost(np.array([1e4, -1e4]), one_hot, 0.0) == 2e4, "no overflow"
    smoothed = np.array([0.05, 0.95])
    y = np.array([0.4, 1.1])
    assert entropy.cost(y, one_hot, 0.1) == pytest.approx(entropy.cost(y, smoothed, 0.0), rel=1e-14)


# --- the page ---------------------------------------------------------------------------------------------------------


def test_example_of_the_page_is_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/models.md shows a whole model file; it must work as it stands, outside the package."""
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(\"\"\"Softplus.*?)```", page, re.DOTALL)
    file = tmp_path / "softplus.py"
    file.write_text(example, encoding="utf-8")
    monkeypatch.setattr(registry, "_MODELS", dict(registry._MODELS))
    spec = importlib.util.spec_from_file_location("softplus_of_the_page", file)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, loaded)
    spec.loader.exec_module(loaded)
    neuron = registry.find("rate", "softplus").module
    assert registry.validated("rate", "softplus").model == "softplus"
    assert kernel(neuron.activate)(0.0) == pytest.approx(math.log(2.0))
    slope = (neuron.activate(0.3 + 1e-6) - neuron.activate(0.3 - 1e-6)) / 2e-6
    assert kernel(neuron.derivative)(0.3, neuron.activate(0.3)) == pytest.approx(slope, rel=1e-8)


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind in BUILTIN for name in BUILTIN[kind]])
def test_page_describes_every_model(kind: str, name: str) -> None:
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    section = page.split(f"`{name}`", 1)
    assert len(section) == 2
    for field in registry.find(kind, name).schema.model_fields:
        assert field == "model" or f"`{field}`" in page
