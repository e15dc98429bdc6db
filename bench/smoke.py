"""Every benchmark once, at tiny size, for continuous integration: they run, and their figures make sense.

No bars here: a shared machine of unknown speed decides nothing about them. Figures must be finite, and ratios within a
wide factor of what was measured (docs/benchmarks.md). Needs no data beyond what the package holds.

    python bench/smoke.py
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import delta_mgd
import device_time
import devices
import mgd_step
import network_brian
import quickstart
import random_streams
import trace_spikes
import tune
import xor

SMALL = {"task.data": "fashion-mnist-small"}


class SmokeError(Exception):
    """A benchmark gave a figure that cannot be right."""


def within(figures: Mapping[str, float], limits: Mapping[str, tuple[float, float]]) -> dict[str, float]:
    """The figures that ``limits`` names; raises SmokeError for the first that is not finite or out of them."""
    for name, (low, high) in limits.items():
        value = figures[name]
        if not math.isfinite(value) or not low <= value <= high:
            raise SmokeError(f"{name} = {value:g}, expected {low:g} to {high:g}")
    return {name: figures[name] for name in limits}


def check_device_time() -> dict[str, float]:
    """A training step on capacitors that leak, over one on cells that do not."""
    without, every, lumps = device_time.costs("leak", steps=5, repeats=3)
    figures = {"step_us": without, "every_step": every, "in_lumps": lumps}
    return within(figures, {"step_us": (1.0, 50_000.0), "every_step": (0.3, 20.0), "in_lumps": (0.3, 20.0)})


def check_streams() -> dict[str, float]:
    """Every kind of draw, in nanoseconds each."""
    figures = {name: each for name, (_, each) in random_streams.measure(draws=1 << 12, runs=3).items()}
    return within(figures, dict.fromkeys(figures, (0.001, 1e5)))


def check_step() -> dict[str, float]:
    """One digital MGD step."""
    return within(mgd_step.measure(pairs=3), {"step_us": (1.0, 5000.0), "step_over_forward": (0.5, 100.0)})


def check_xor() -> dict[str, float]:
    """XOR in burst mode."""
    limits = {"steps_per_s": (1e4, 1e8), "recording_ratio": (0.3, 10.0), "recording_s": (-10.0, 10.0)}
    return within(xor.measure(pairs=1, steps=50_000), limits)


def check_delta() -> dict[str, float]:
    """delta-MGD against node perturbation, on the embedded images."""
    methods = [
        replace(method, overrides={**method.overrides, **SMALL, "stop.accuracy": 0.7, "stop.at_accuracy": True})
        for method in (delta_mgd.CHECKED, delta_mgd.MASKED)
    ]
    result = delta_mgd.measure(seeds=1, methods=methods)
    delta_mgd.as_json(result)
    return within(result["ratios"][delta_mgd.CHECKED.name], {"inferences / node": (0.7, 50.0)})


def check_tune() -> dict[str, float]:
    """A search over two learning rates."""
    method = delta_mgd.Method("smoke", "xor-mgd", steps=20_000, every=1000, ideal=False)
    found = tune.search(method, [{"training.learning_rate": rate} for rate in (0.01, 3.0)], 1, "accuracy", 1.0)
    return within({"best": found[0].curves[0].best}, {"best": (0.5, 1.0)})


def check_quickstart() -> dict[str, float]:
    """The first command, shortened."""
    figures = quickstart.measure(firsts=1, repeats=1, helps=1, seeds=0, steps=2000)
    limits = {"first_s": (0.5, 300.0), "second_s": (0.5, 100.0), "help_s": (0.05, 20.0), "accuracy": (0.4, 1.0)}
    return within(figures, {**limits, "help_imports_numba": (0.0, 0.0)})


def check_devices() -> dict[str, float]:
    """Pulses and column reads of small arrays, in million devices a second and over a clean read."""
    shape = (64, 64)
    figures = {device["model"]: devices.pulses(device, shape, 3) for device in (devices.SOFT, devices.EXPONENTIAL)}
    return within(
        {**figures, "lumped": devices.reads(shape, 3)}, {**dict.fromkeys(figures, (1.0, 5000.0)), "lumped": (0.5, 20.0)}
    )


def check_network() -> dict[str, float]:
    """784-500-10 by hand: nothing is random there, so its spikes are known."""
    figures = network_brian.ours("c", 0, None)
    return within(figures, {"spikes": (14555.0, 14555.0), "cpu_s": (1e-4, 10.0)})


def check_traces() -> dict[str, float]:
    """Spikes in a trace are those of a run without, and small."""
    with tempfile.TemporaryDirectory() as folder:
        figures = trace_spikes.measure("layers", 1, Path(folder), 0.05)
    return within(figures, {"bytes_per_spike": (0.5, 6.0), "ratio_spikes": (0.3, 10.0)})


CHECKS: tuple[Callable[[], dict[str, float]], ...] = (
    check_streams, check_step, check_xor, check_delta, check_tune, check_devices, check_network, check_traces,
    check_device_time, check_quickstart,
)  # fmt: skip


def main() -> None:
    """Run every check and say how long it took."""
    for check in CHECKS:
        started = time.perf_counter()
        figures = check()
        told = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        print(f"{check.__name__:18s} {time.perf_counter() - started:5.1f} s  {told}", flush=True)


if __name__ == "__main__":
    main()
