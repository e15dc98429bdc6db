"""Every loop of `neurosim.kernels` equals its plain Python form, and the equation in its docstring, on small cases.

Plain and compiled get the same arguments; scalars are numpy's, because a Python float next to a float32 would be float32
in plain numpy and float64 in numba. In float64 both must have the same bits; in float32, where Python rounds some
intermediate sums that the machine keeps in float64, a few units of the last place are allowed.
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from neurosim.kernels import composed, layers, learn, nodes, pairs, random, reads, slots

MODULES = (layers, reads, learn, nodes, composed, slots, pairs)
Case = tuple[Any, ...]
Maker = Callable[[np.random.Generator, type], Case]

KEY = random.stream_key(7, 9, 11, 0, 0)
OTHER = random.stream_key(8, 9, 11, 0, 0)


def names(module: ModuleType) -> list[str]:
    """The kernels that a module defines itself."""
    return [
        name
        for name, value in vars(module).items()
        if hasattr(value, "py_func") and value.py_func.__module__ == module.__name__
    ]


def sparse(rng: np.random.Generator, kind: type, *shape: int) -> np.ndarray:
    """Normal numbers, a third of them exactly 0: silent inputs take another path."""
    values = rng.normal(size=shape)
    values[rng.uniform(size=shape) < 0.33] = 0.0
    return values.astype(kind)


def dense(rng: np.random.Generator, kind: type, *shape: int) -> np.ndarray:
    return rng.normal(size=shape).astype(kind)


def words(rng: np.random.Generator, count: int) -> np.ndarray:
    return rng.integers(0, 2**32, size=count, dtype=np.uint32)


def fired(rng: np.random.Generator, n: int) -> tuple[np.ndarray, int]:
    spikes = np.flatnonzero(rng.uniform(size=n) < 0.5).astype(np.int64)
    return np.concatenate([spikes, np.zeros(n - spikes.size, np.int64)]), int(spikes.size)


def _pooled(rng: np.random.Generator, kind: type) -> Case:
    x = dense(rng, kind, 7, 6, 2)
    x[2:4, 2:4] = 1.5  # ties: the first largest takes the gradient
    blocks = x[:6, :6].reshape(3, 2, 3, 2, 2)
    return x, blocks.max(axis=(1, 3)).astype(kind), dense(rng, kind, 3, 3, 2), np.ones_like(x), 2


def _sigma(rng: np.random.Generator, kind: type, n: int = 9) -> np.ndarray:
    sigma = np.abs(dense(rng, kind, n)) + kind(0.1)
    sigma[[2, 5]] = 0
    return sigma


CASES: dict[str, list[Maker]] = {
    "dense": [lambda g, k: (dense(g, k, 30), dense(g, k, 5), sparse(g, k, 6), np.empty(5, k))],
    "conv2d": [
        lambda g, k: (dense(g, k, 3, 3, 2, 4), dense(g, k, 4), sparse(g, k, 6, 5, 2), np.empty((4, 3, 4), k)),
    ],
    "conv2d_replicated": [
        lambda g, k: (dense(g, k, 12 * (2 * 2 * 3 * 2 + 2)), sparse(g, k, 5, 4, 3), np.empty((4, 3, 2), k), 2),
    ],
    "tie": [lambda g, k: (dense(g, k, 40), 5, 7, 4), lambda g, k: (words(g, 40), 5, 7, 4)],
    "maxpool": [lambda g, k: (dense(g, k, 7, 6, 2), np.empty((3, 3, 2), k), 2)],
    "avgpool": [lambda g, k: (dense(g, k, 7, 6, 2), np.empty((2, 2, 2), k), 3)],
    "dense_gradient": [
        lambda g, k: (dense(g, k, 5), sparse(g, k, 6), dense(g, k, 30), dense(g, k, 5), np.float64(-0.7)),
    ],
    "dense_transpose": [lambda g, k: (dense(g, k, 30), dense(g, k, 5), np.empty(6, k))],
    "conv2d_gradient": [
        lambda g, k: (
            dense(g, k, 4, 3, 4), sparse(g, k, 6, 5, 2), dense(g, k, 3, 3, 2, 4), dense(g, k, 4), np.float64(0.3),
        ),
    ],
    "conv2d_transpose": [lambda g, k: (dense(g, k, 3, 3, 2, 4), dense(g, k, 4, 3, 4), np.empty((6, 5, 2), k))],
    "maxpool_transpose": [_pooled],
    "avgpool_transpose": [lambda g, k: (dense(g, k, 3, 3, 2), np.empty((7, 6, 2), k), 2)],
    "scatter": [lambda g, k: (dense(g, k, 30), *fired(g, 6), dense(g, k, 5))],
    "scatter_conv2d": [lambda g, k: (dense(g, k, 3, 3, 2, 4), *fired(g, 60), 5, 2, dense(g, k, 4, 3, 4))],
    "copy": [lambda g, k: (dense(g, k, 6), np.zeros(6, k))],
    "add_noise": [lambda g, k: (dense(g, k, 6), np.float64(0.3), KEY, 4)],
    "inject": [lambda g, k: (dense(g, k, 6), dense(g, k, 6))],
    "quantise": [lambda g, k: (dense(g, k, 20), 4, np.float64(0.8))],
    "quantised": [
        lambda g, k: (np.float64(g.normal()), 5, np.float64(0.8)),
        lambda g, k: (np.float64(g.normal()), 0, np.float64(0.8)),
    ],
    "count_active": [lambda g, k: (sparse(g, k, 20),)],
    "sum_squares": [lambda g, k: (sparse(g, k, 20),)],
    "conductance": [lambda g, k: (sparse(g, k, 20), np.float64(1.1))],
    "windows": [lambda g, k: (int(g.integers(0, 7)), 3, 5)],
    "spike_windows": [lambda g, k: (*fired(g, 60), 6, 5, 2, 3)],
    "count_active_windows": [lambda g, k: (sparse(g, k, 6, 5, 2), 3)],
    "conductance_windows": [lambda g, k: (sparse(g, k, 6, 5, 2), 3, np.float64(1.1))],
    "rank1_add": [lambda g, k: (dense(g, k, 30), dense(g, k, 5), sparse(g, k, 6), dense(g, k, 5))],
    "rank1_add_free": [
        lambda g, k: (
            dense(g, k, 30), dense(g, k, 5), sparse(g, k, 6), dense(g, k, 5), g.integers(0, 2, 30), g.integers(0, 2, 5),
        ),
    ],
    "optimise": [
        lambda g, k, kind=kind: (
            dense(g, k, 8), dense(g, k, 8), np.abs(dense(g, k, 8)), np.float64(1.7), np.float64(0.3), kind,
            np.float64(0.9), np.float64(0.99), np.empty(8, k),
        )
        for kind in (0, 1, 2)
    ],
    "whole_pulses": [
        lambda g, k, rounding=rounding: (np.float64(g.normal(scale=2)), rounding, dense(g, k, 5), 3, KEY)
        for rounding in learn.ROUNDINGS.values()
    ],
    "predicted": [
        lambda g, k: (dense(g, k, 5),), lambda g, k: (np.array([0.6], k),), lambda g, k: (np.array([0.5], k),),
    ],
    "prior": [
        lambda g, k, sign=sign: (_sigma(g, k), dense(g, k, 9), np.float64(0.6), sign, np.empty(9, k))
        for sign in (False, True)
    ],
    "random_direction": [lambda g, k: (_sigma(g, k), KEY, np.empty(9, k))],
    "orthogonalise": [
        lambda g, k: (dense(g, k, 9), dense(g, k, 9), np.float64(2.5)),
        lambda g, k: (dense(g, k, 9), np.zeros(9, k), np.float64(0.0)),
    ],
    "remember": [
        lambda g, k, bits=bits, noise=noise: (
            dense(g, k, 9), dense(g, k, 9), bits, np.float64(1.5), np.float64(noise), KEY, _sigma(g, k),
        )
        for bits, noise in ((0, 0.0), (5, 0.2))
    ],
    "dense_shift": [lambda g, k: (sparse(g, k, 6), np.empty(5, k), words(g, 40), np.zeros(1, k), 3, 5, 77)],
    "dense_pair_first": [
        lambda g, k: (
            dense(g, k, 30), dense(g, k, 5), sparse(g, k, 6), np.empty(5, k), np.empty(5, k), words(g, 40), np.zeros(1, k),
            3, 77,
        ),
    ],
    "scatter_shift": [lambda g, k: (*fired(g, 6), dense(g, k, 5), words(g, 40), np.zeros(1, k), 3, 77)],
    "add_code": [lambda g, k: (dense(g, k, 9), np.float64(0.3), words(g, 9), 5)],
    "low_pass_code": [
        lambda g, k: (dense(g, k, 9), dense(g, k, 9), np.float64(0.3), np.float64(0.2), np.float64(7.0), words(g, 9), 5),
    ],
    "conducted": [lambda g, k: (k(g.normal()), 40_000)],
    "conductance_rows": [lambda g, k: (sparse(g, k, 6), g.integers(0, 65536, 7))],
    "conductance_row_windows": [lambda g, k: (sparse(g, k, 5, 4, 2), 3, g.integers(0, 65536, 19))],
    "conductance_fired": [lambda g, k: (*fired(g, 6), g.integers(0, 65536, 6))],
    "conductance_fired_windows": [lambda g, k: (*fired(g, 40), 5, 4, 2, 3, g.integers(0, 65536, 19))],
    "tilde": [lambda g, k: (words(g, 9), np.zeros(1, k), 4, 37)],
    "assumed": [lambda g, k: (words(g, 9), 4, 37)],
}  # fmt: skip

SINGLE = ("dense", "conv2d", "optimise", "rank1_add", "prior", "low_pass_code", "quantise")
"""Also compared in float32: the loops whose scalars are float64 next to arrays of the run's type."""


def kernels() -> dict[str, Any]:
    return {name: getattr(module, name) for module in MODULES for name in names(module)}


def test_every_loop_has_a_case() -> None:
    """A kernel without a case here is a kernel that nobody compared."""
    assert sorted(kernels()) == sorted(CASES)


def run(function: Callable[..., Any], arguments: Case) -> tuple[Any, Case]:
    """The result and what became of the arguments."""
    mine = copy.deepcopy(arguments)
    with np.errstate(all="ignore"):
        return function(*mine), mine


@pytest.mark.parametrize(("name", "kind"), [(name, np.float64) for name in CASES] + [(name, np.float32) for name in SINGLE])
def test_compiled_equals_plain(name: str, kind: type) -> None:
    """Same result, same writes into the arguments, for random arguments."""
    function = kernels()[name]
    for which, make in enumerate(CASES[name]):
        for seed in range(3):
            arguments = make(np.random.default_rng([seed, which]), kind)
            compiled, plain = run(function, arguments), run(function.py_func, arguments)
            exact = kind is np.float64
            _compare(compiled[0], plain[0], exact, f"{name}, result")
            for k, (one, two) in enumerate(zip(compiled[1], plain[1], strict=True)):
                if isinstance(one, np.ndarray):
                    _compare(one, two, exact, f"{name}, argument {k}: {list(inspect.signature(function.py_func).parameters)[k]}")


def _compare(one: Any, two: Any, exact: bool, where: str) -> None:
    if one is None or two is None:
        assert one is two, where
    elif exact or np.asarray(one).dtype.kind in "iub":
        np.testing.assert_array_equal(one, two, err_msg=where)
    else:
        np.testing.assert_allclose(one, two, rtol=3e-6, atol=3e-7, err_msg=where)


# --- and the equations --------------------------------------------------------------------------------------------

RNG = np.random.default_rng(5)


def test_dense_and_its_transposes() -> None:
    w, b, x, dz = (RNG.normal(size=shape) for shape in ((6, 5), 5, 6, 5))
    z, dx = np.empty(5), np.empty(6)
    layers.dense(w.reshape(-1), b, x, z)
    np.testing.assert_allclose(z, x @ w + b)
    layers.dense_transpose(w.reshape(-1), dz, dx)
    np.testing.assert_allclose(dx, w @ dz)
    gw, gb = np.zeros(30), np.zeros(5)
    layers.dense_gradient(dz, x, gw, gb, 0.5)
    np.testing.assert_allclose(gw.reshape(6, 5), 0.5 * np.outer(x, dz))
    np.testing.assert_allclose(gb, 0.5 * dz)


def test_convolution_and_its_transposes() -> None:
    """``<dz, conv(x)> = <conv^T dz, x> = <gradient, w>``: transposes of one bilinear form."""
    w, x, dz = (RNG.normal(size=shape) for shape in ((3, 3, 2, 4), (6, 5, 2), (4, 3, 4)))
    z, dx, gw, gb = np.empty((4, 3, 4)), np.empty((6, 5, 2)), np.zeros((3, 3, 2, 4)), np.zeros(4)
    layers.conv2d(w, np.zeros(4), x, z)
    patches = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(0, 1))
    np.testing.assert_allclose(z, np.einsum("yxcuv,uvco->yxo", patches, w))
    layers.conv2d_transpose(w, dz, dx)
    layers.conv2d_gradient(dz, x, gw, gb, 1.0)
    form = float((dz * z).sum())
    assert (dx * x).sum() == pytest.approx(form)
    assert (gw * w).sum() == pytest.approx(form)
    np.testing.assert_allclose(gb, dz.sum(axis=(0, 1)))


def test_pooling_and_its_transposes() -> None:
    """max: the gradient goes to the first of the largest inputs, once; mean: shared evenly. Borders get nothing."""
    x = np.zeros((5, 4, 1))
    x[0, 1] = x[1, 0] = 3.0  # a tie
    x[2, 3] = -1.0
    x[3, 3] = 2.0
    z, dx = np.empty((2, 2, 1)), np.full((5, 4, 1), 9.0)
    layers.maxpool(x, z, 2)
    np.testing.assert_array_equal(z[..., 0], [[3.0, 0.0], [0.0, 2.0]])
    dz = np.array([[1.0, 2.0], [4.0, 8.0]])[..., None]
    layers.maxpool_transpose(x, z, dz, dx, 2)
    expected = np.zeros((5, 4))
    expected[0, 1], expected[0, 2], expected[2, 0], expected[3, 3] = 1.0, 2.0, 4.0, 8.0
    np.testing.assert_array_equal(dx[..., 0], expected)
    layers.avgpool(x, z, 2)
    np.testing.assert_allclose(z[..., 0], [[1.5, 0.0], [0.0, 0.25]])
    layers.avgpool_transpose(dz, dx, 2)
    np.testing.assert_allclose(dx[:4, :, 0], np.kron(dz[..., 0], np.full((2, 2), 0.25)))
    assert not dx[4].any()


def test_replicated_copies_are_the_shared_array() -> None:
    """With equal copies the replicated convolution is the shared one."""
    w, b, x = (RNG.normal(size=shape) for shape in ((2, 2, 3, 2), 2, (5, 4, 3)))
    one = np.concatenate([w.reshape(-1), b])
    shared, replicated, copies = np.empty((4, 3, 2)), np.empty((4, 3, 2)), np.zeros(12 * one.size)
    copies[: one.size] = one
    layers.tie(copies, 0, one.size, 12)
    np.testing.assert_array_equal(copies.reshape(12, -1), np.tile(one, (12, 1)))
    layers.conv2d(w, b, x, shared)
    layers.conv2d_replicated(copies, x, replicated, 2)
    np.testing.assert_array_equal(replicated, shared)


def test_spikes_are_inputs_of_one() -> None:
    """Scatter of a list of spikes is the dense (or convolved) product with a 0/1 vector; shifts likewise."""
    w, (spikes, count) = RNG.normal(size=(6, 5)), fired(RNG, 6)
    x = np.zeros(6)
    x[spikes[:count]] = 1
    current = np.zeros(5)
    layers.scatter(w.reshape(-1), spikes, count, current)
    np.testing.assert_allclose(current, x @ w)
    kernel, (spikes, count) = RNG.normal(size=(3, 3, 2, 4)), fired(RNG, 60)
    image, z, map_ = np.zeros(60), np.empty((4, 3, 4)), np.zeros((4, 3, 4))
    image[spikes[:count]] = 1
    layers.conv2d(kernel, np.zeros(4), image.reshape(6, 5, 2), z)
    layers.scatter_conv2d(kernel, spikes, count, 5, 2, map_)
    np.testing.assert_allclose(map_, z)
    assert reads.spike_windows(spikes, count, 6, 5, 2, 3) == reads.count_active_windows(image.reshape(6, 5, 2), 3)


def test_pair_is_both_loops_bit_for_bit() -> None:
    """One pass over weights and code gives the bits of the two passes."""
    w, b, x = RNG.normal(size=30), RNG.normal(size=5), sparse(RNG, np.float64, 6)
    code, none = words(RNG, 40), np.zeros(1)
    z, d, z2, d2 = (np.empty(5) for _ in range(4))
    composed.dense_pair_first(w, b, x, z, d, code, none, 3, 77)
    layers.dense(w, b, x, z2)
    composed.dense_shift(x, d2, code, none, 3, 5, 77)
    np.testing.assert_array_equal(z, z2)
    np.testing.assert_array_equal(d, d2)


def test_conductance_counts_squares() -> None:
    """sum x^2 in units of 2^-16, clipped at 1, plus one bias row; over windows, each input as often as it is read."""
    x = np.array([0.0, 0.5, -0.25, 3.0])
    assert reads.conductance(x, 1.0) == 65536 * (1 + 1) + 16384 + 4096
    image = np.zeros((5, 5, 1))
    image[0, 0] = image[2, 2] = 1.0
    assert reads.conductance_windows(image, 3, 1.0) == 65536 * (9 + 1 + 9)
    assert reads.count_active_windows(image, 3) == 1 + 9


@pytest.mark.parametrize("bits", [2, 3, 8])
def test_converter_levels(bits: int) -> None:
    """2^bits - 1 levels from -limit to limit, zero among them; to the nearest, clipped: never more than half a step off."""
    limit, lsb = 0.8, 0.8 / (2 ** (bits - 1) - 1)
    seen = set()
    for value in np.linspace(-1.2, 1.2, 4001):
        out = reads.quantised(float(value), bits, limit)
        inside = min(max(float(value), -limit), limit)
        assert abs(out - inside) <= lsb / 2 + 1e-12
        assert out / lsb == pytest.approx(round(out / lsb), abs=1e-9)
        seen.add(round(out / lsb))
    assert len(seen) == 2**bits - 1
    assert 0 in seen
    z = np.array([0.3, -0.7])
    reads.quantise(z, bits, limit)
    np.testing.assert_allclose(z, [reads.quantised(0.3, bits, limit), reads.quantised(-0.7, bits, limit)])
    assert math.isnan(reads.quantised(math.nan, bits, limit)), "a diverged network must be noticed"


def test_rounding_to_pulses() -> None:
    """nearest, threshold and carry at known points; stochastic between floor and ceiling."""
    residual = np.zeros(1)
    nearest = {0.49: 0, 0.51: 1, -0.51: -1, 2.4: 2}
    for units, pulses in nearest.items():
        assert learn.whole_pulses(units, learn.NEAREST, residual, 0, KEY) == pulses
    for units, pulses in {0.99: 0, -0.99: 0, 1.0: 1, 1.6: 2, -1.2: -1}.items():
        assert learn.whole_pulses(units, learn.THRESHOLD, residual, 0, KEY) == pulses
    total = 0
    for _ in range(100):
        total += learn.whole_pulses(0.37, learn.CARRY, residual, 0, KEY)
    assert total + residual[0] == pytest.approx(37.0)
    assert abs(residual[0]) < 1
    drawn = [learn.whole_pulses(1.3, learn.STOCHASTIC, residual, e, KEY) for e in range(4000)]
    assert set(drawn) == {1, 2}
    assert np.mean(drawn) == pytest.approx(1.3, abs=5 * math.sqrt(0.21 / 4000))


def test_directions_have_length_one() -> None:
    sigma, u = _sigma(RNG, np.float64), np.empty(9)
    nodes.random_direction(sigma, KEY, u)
    assert (u[sigma == 0] == 0).all()
    np.testing.assert_allclose(np.abs(u[sigma > 0]), 1 / math.sqrt(7))
    h = np.where(sigma > 0, RNG.normal(size=9), 0.0)
    nodes.orthogonalise(u, h, float(np.linalg.norm(h)))
    assert abs(u @ h) < 1e-12
    assert np.linalg.norm(u) == pytest.approx(1.0)


def test_optimisers() -> None:
    """Plain, momentum and Adam (without bias correction), one step on paper; the gradient is scaled before."""
    g, change = np.array([1.0]), np.empty(1)
    first, second = np.array([1.0]), np.array([4.0])
    learn.optimise(g, first, second, 2.0, 0.1, 0, 0.9, 0.99, change)
    assert change[0] == pytest.approx(-0.2)
    learn.optimise(g, first, second, 2.0, 0.1, 1, 0.9, 0.99, change)
    assert (first[0], change[0]) == pytest.approx((2.9, -0.29))
    first[0] = 1.0
    learn.optimise(g, first, second, 2.0, 0.1, 2, 0.9, 0.99, change)
    assert (first[0], second[0]) == pytest.approx((1.1, 4.0))
    assert change[0] == pytest.approx(-0.1 * 1.1 / 2.0)
