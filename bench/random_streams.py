"""How fast the random streams are: million draws per second on one thread, median of interleaved runs.

    python bench/random_streams.py [--draws N] [--runs N]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from neurosim.kernels import random as rng
from neurosim.kernels.wrap import kernel

SEED = 1


@kernel
def _keys(count: int) -> np.int64:
    """Keys one after the other, each waiting for the last, as in a clock that needs one key per tick."""
    key = np.int64(0)
    for tick in range(count):
        key = rng.stream_key(1, 2, 3, key & 1, tick)
    return key


@kernel
def _pulse_trains(weights: NDArray[np.float32], pulses: NDArray[np.int64], step: int) -> None:
    """Every device gets its own number of noisy pulses: normals in an inner loop that does not vectorise, the keys of
    the pulses computed beforehand."""
    key = rng.stream_key(1, rng.STREAM_WRITE_NOISE, step, 0, 0)
    keys = np.empty(pulses.max(), dtype=np.int64)
    for pulse in range(keys.shape[0]):
        keys[pulse] = rng.sub_key(key, pulse)
    for i in range(weights.shape[0]):
        for pulse in range(pulses[i]):
            weights[i] += np.float32(0.001) * np.float32(1.0 + 0.3 * rng.normal(keys[pulse], i))


@kernel
def _noisy_read(out: NDArray[np.float32], weights: NDArray[np.float32], tick: int) -> None:
    """out = w (1 + 0.05 xi), one normal per device: the loop vectorises with the draw inside."""
    key = rng.stream_key(1, rng.STREAM_READ_NOISE, 0, 0, tick)
    for i in range(out.shape[0]):
        out[i] = weights[i] * (np.float32(1.0) + np.float32(0.05) * np.float32(rng.normal(key, i)))


@kernel
def _shuffled(order: NDArray[np.int64], epoch: int) -> None:
    for i in range(order.shape[0]):
        order[i] = rng.shuffled(1, rng.STREAM_SHUFFLE, epoch, order.shape[0], i)


def measure(draws: int = 1 << 17, runs: int = 25) -> dict[str, tuple[float, float]]:
    """(million draws per second, nanoseconds each) of every kind of draw."""
    n = draws
    words = np.empty(n, dtype=np.uint32)
    double, single = np.empty(n), np.empty(n, dtype=np.float32)
    weights = np.ones(n, dtype=np.float32)
    pulses = (np.arange(n, dtype=np.int64) * 7) % 5
    order = np.empty(60_000, dtype=np.int64)
    generator = np.random.default_rng(SEED)
    work: dict[str, tuple[int, Callable[[], object]]] = {
        "sign words": (n, lambda: rng.fill_sign_words(words, SEED, 3, 0)),
        "uniforms, float64": (n, lambda: rng.uniforms(double, SEED, 8, 0, 0, 0)),
        "normals, float64": (n, lambda: rng.normals(double, SEED, 7, 0, 0, 0)),
        "normals, float32": (n, lambda: rng.normals(single, SEED, 7, 0, 0, 0)),
        "noisy reads": (n, lambda: _noisy_read(single, weights, 0)),
        "noisy pulses, 0 to 4 a device": (int(pulses.sum()), lambda: _pulse_trains(weights, pulses, 0)),
        "stream keys, one by one": (n, lambda: _keys(n)),
        "shuffled places of 60 000": (order.size, lambda: _shuffled(order, 0)),
        "numpy PCG64 normals, float64": (n, lambda: generator.standard_normal(out=double)),
    }
    for _, call in work.values():
        call()
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(runs):
        for name, (_, call) in work.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    medians = {name: statistics.median(seconds[name]) for name in work}
    return {name: (count / medians[name] / 1e6, medians[name] / count * 1e9) for name, (count, _) in work.items()}


def main() -> None:
    """Time every kind of draw and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=1 << 17, help="draws per call; the default stays in the cache")
    parser.add_argument("--runs", type=int, default=25)
    given = parser.parse_args()
    print(f"{'draw':30s} {'M/s':>8s} {'ns each':>8s}")
    for name, (rate, each) in measure(given.draws, given.runs).items():
        print(f"{name:30s} {rate:8.0f} {each:8.2f}")


if __name__ == "__main__":
    main()
