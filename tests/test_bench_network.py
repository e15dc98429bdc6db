"""The statistics that ``bench/network_brian.py`` compares, on spikes whose statistics are known."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

BENCH = Path(__file__).resolve().parent.parent / "bench"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("network_brian")


def poisson(neurons: int, ticks: int, p: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return np.nonzero(np.random.default_rng(seed).random((ticks, neurons)) < p)


def test_poisson_spikes_are_irregular_and_uncorrelated(bench: ModuleType) -> None:
    """Intervals of a Bernoulli process have the variation sqrt(1 - p), and a little less in short trains."""
    tick, neuron = poisson(50, 200_000, 0.01)
    assert bench.irregularity(tick, neuron) == pytest.approx(np.sqrt(0.99), abs=0.01)
    tick, neuron = poisson(500, 10_000, 0.01)
    assert abs(bench.correlation(tick, neuron, 10_000, 1e-4)) < 1e-3


def test_regular_spikes_have_no_variation(bench: ModuleType) -> None:
    tick = np.repeat(np.arange(0, 1000, 10), 30)
    assert bench.irregularity(tick, np.tile(np.arange(30), 100)) == pytest.approx(0.0, abs=1e-9)


def test_common_spikes_are_correlated(bench: ModuleType) -> None:
    """Half of each neuron's spikes are those of all: counts of two neurons share half of their variance."""
    tick, neuron = poisson(200, 20_000, 0.01, seed=1)
    common = np.random.default_rng(2).random(20_000) < 0.01
    shared = np.flatnonzero(common)
    tick = np.concatenate([tick, np.repeat(shared, 200)])
    neuron = np.concatenate([neuron, np.tile(np.arange(200), shared.size)])
    assert bench.correlation(tick, neuron, 20_000, 1e-4, chosen=200) == pytest.approx(0.5, abs=0.06)


def test_neurons_with_few_spikes_are_left_out(bench: ModuleType) -> None:
    tick, neuron = np.array([0, 10, 20, 30, 40, 50, 60, 3, 4, 500]), np.array([0] * 7 + [1] * 3)
    assert bench.irregularity(tick, neuron) == 0.0


def test_means_are_compared_in_standard_errors(bench: ModuleType) -> None:
    found = bench.compared([1.0, 2.0, 3.0], [3.0, 4.0, 5.0])
    assert found["apart"] == pytest.approx(-2.0 / np.sqrt(2.0 / 3.0))
    assert (found["ours"], found["brian"]) == (2.0, 4.0)
    assert set(bench.compared([1.0, 2.0], [])) == {"ours", "ours_std"}


def test_pairs_are_distinct_and_as_many_as_expected(bench: ModuleType) -> None:
    pre, post = bench.pairs(np.random.default_rng(0), 400, 300, 0.1)
    assert len(set(zip(pre.tolist(), post.tolist(), strict=True))) == pre.size
    assert abs(pre.size - 12_000) < 5 * np.sqrt(12_000 * 0.9)


def test_both_sides_see_the_same_classifier(bench: ModuleType) -> None:
    first, second = bench.classifier_input(), bench.classifier_input()
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    assert (first[0].shape, first[1].shape, first[2].shape) == ((784, 500), (500, 10), (1000, 784))
