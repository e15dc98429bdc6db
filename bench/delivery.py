"""Synaptic delivery alone: our loop against plain C over the same synapses, the same spikes and the same ticks.

A spike reaches the synapses of its neuron, targets ascending and drawn at random: current[target] += weight. The C is
one loop over the row of each spike (32-bit targets, float32 weights), compiled by gcc with -O3 -march=native; the same
with 16-bit targets stands beside it. Ours is ``kernels.deliver.scatter``, called once a tick, with 16-bit targets as
networks of fewer than 65,536 neurons have them. Sums must be the same, bit for bit. One thread; the three take turns;
CPU time, medians of the ratios. The bar is 1.3 times the time of the C with 32-bit targets.

    python bench/delivery.py [--rounds 15]
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from neurosim.kernels.deliver import scatter
from neurosim.kernels.wrap import kernel

BAR = 1.3

NETWORKS = {
    "Vogels-Abbott": {"neurons": 4000, "fan_out": 80, "spikes": 3, "ticks": 40_000},
    "Brunel": {"neurons": 12500, "fan_out": 1250, "spikes": 47, "ticks": 170},
}
"""About 10 million events each: neurons, synapses of each, spikes in a tick, ticks."""

C = """
#include <stdint.h>
#define SCATTER(NAME, TARGET) \\
void NAME(const int64_t *first, const TARGET *target, const float *weight, const uint32_t *spikes, int64_t per_tick, \\
          int64_t ticks, float *current) { \\
    for (int64_t t = 0; t < ticks; t++) \\
        for (int64_t k = 0; k < per_tick; k++) { \\
            int64_t i = spikes[t * per_tick + k], count = first[i + 1] - first[i]; \\
            const TARGET *to = target + first[i]; \\
            const float *w = weight + first[i]; \\
            for (int64_t s = 0; s < count; s++) current[to[s]] += w[s]; \\
        } \\
}
SCATTER(scatter_32, int32_t)
SCATTER(scatter_16, uint16_t)
"""


@kernel
def ours(first: Any, target: Any, weight: Any, spikes: Any, per_tick: int, ticks: int, current: Any) -> None:
    """As in a network's kernel: a call for every tick."""
    for t in range(ticks):
        scatter(spikes, t * per_tick, (t + 1) * per_tick, first, target, weight, True, current)


def compiled(folder: str) -> ctypes.CDLL:
    """The C as a library; raises where there is no gcc."""
    source, library = Path(folder) / "scatter.c", Path(folder) / "scatter.so"
    source.write_text(C)
    subprocess.run(["gcc", "-O3", "-march=native", "-shared", "-fPIC", "-o", library, source], check=True)
    return ctypes.CDLL(str(library))


def measure(neurons: int, fan_out: int, spikes: int, ticks: int, rounds: int, library: ctypes.CDLL) -> dict[str, float]:
    """Medians for one network: events a second, and our time over that of the C."""
    rng = np.random.default_rng(1)
    rows = [np.sort(rng.choice(neurons, fan_out, replace=False)) for _ in range(neurons)]
    target = np.concatenate(rows).astype(np.int32)
    short, weight = target.astype(np.uint16), rng.random(target.size).astype(np.float32)
    first = np.arange(neurons + 1, dtype=np.int64) * fan_out
    fired = rng.integers(0, neurons, spikes * ticks).astype(np.uint32)

    def in_c(name: str, targets: Any) -> Callable[[Any], None]:
        function = getattr(library, name)
        arrays = [ctypes.c_void_p(each.ctypes.data) for each in (first, targets, weight, fired)]
        sizes = [ctypes.c_int64(spikes), ctypes.c_int64(ticks)]
        return lambda current: function(*arrays, *sizes, ctypes.c_void_p(current.ctypes.data))

    unsigned = first.astype(np.uint64)
    works: dict[str, Callable[[Any], None]] = {
        "C, 32-bit targets": in_c("scatter_32", target),
        "C, 16-bit targets": in_c("scatter_16", short),
        "ours": lambda current: ours(unsigned, short, weight, fired, spikes, ticks, current),
    }
    took: dict[str, list[float]] = {name: [] for name in works}
    for round_ in range(rounds + 1):  # the first one warms up and compiles
        sums = []
        for name, work in works.items():
            current = np.zeros(neurons, np.float32)
            started = time.process_time()
            work(current)
            if round_ > 0:
                took[name].append(time.process_time() - started)
            sums.append(current.tobytes())
        if len(set(sums)) > 1:
            raise SystemExit("sums differ")
    events = spikes * ticks * fan_out
    rates = {name: events / statistics.median(each) / 1e6 for name, each in took.items()}
    figures = {f"{name}, million events a second": rate for name, rate in rates.items()}
    for name in ("C, 32-bit targets", "C, 16-bit targets"):
        ratios = [a / b for a, b in zip(took["ours"], took[name], strict=True)]
        figures[f"time, ours / {name}"] = statistics.median(ratios)
    return figures


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        library = compiled(folder)
        for name, network in NETWORKS.items():
            print(f"{name}: {network['neurons']} neurons, {network['fan_out']} synapses each")
            for what, value in measure(**network, rounds=given.rounds, library=library).items():
                print(f"  {what:44s} {value:10.4g}")
            print(f"  {'bar: at most':44s} {BAR:10.4g}")


if __name__ == "__main__":
    main()
