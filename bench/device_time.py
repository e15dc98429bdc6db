"""What laws of time and noise of reads cost a training step: one thread, medians of interleaved CPU times.

The step of fashion-mnist-mlp-mgd on devices with their laws over that on the same devices with the laws switched off;
also with ``elapse_period_s`` of 100 steps.

    python bench/device_time.py [--repeats 9] [--steps 100]
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

from neurosim import api
from neurosim.engine import registers
from neurosim.engine.machine import Machine

PERIOD = registers.SETTINGS_FLOAT.index("ELAPSE_PERIOD_S")
LINEAR: dict[str, Any] = {"dw_min": 0.005, "gamma_up": 0.05, "gamma_down": 0.05, "dw_min_std": 0.3, "dw_min_dtod": 0.1}
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "leak": ({"model": "linear-step", **LINEAR}, {"model": "capacitor", **LINEAR}),
    "leak and walk": (
        {"model": "linear-step", **LINEAR}, {"model": "capacitor", **LINEAR, "diffusion_per_sqrt_s": 1e-3},
    ),
    "telegraph, reads": (
        {"model": "stochastic-mtj"}, {"model": "stochastic-mtj", "flip_rate_Hz": 100.0, "read_std": 0.01},
    ),
    "retention, reads": (
        {"model": "sonos", "dw_min": 0.005, "retention_scale": 0.0, "read_noise_scale": 0.0},
        {"model": "sonos", "dw_min": 0.005},
    ),
    "drift, reads": ({"model": "pcm", "drift_scale": 0.0, "read_noise_scale": 0.0}, {"model": "pcm"}),
}  # fmt: skip


def machine(device: dict[str, Any]) -> Machine:
    """A compiled machine whose devices are these; phase-change cells in pairs."""
    settings: dict[str, Any] = {"chip.synapse.device": device, "task.data": "fashion-mnist-small", "task.n_test": 50}
    if device["model"] == "pcm":
        settings["chip.synapse.pair"] = "one-sided"
    scenario = api.load_scenario("fashion-mnist-mlp-mgd", overrides=settings)[1]
    built = Machine(scenario, api.load_dataset(scenario))
    built.burst(1)
    return built


def costs(case: str, steps: int, repeats: int) -> tuple[float, float, float]:
    """Microseconds of a step without the laws, and the cost of the laws, every step and every 100 steps."""
    without, every, lumps = machine(CASES[case][0]), machine(CASES[case][1]), machine(CASES[case][1])
    lumps.burst(50)
    lumps.arrays["pf"][PERIOD] = 2e-15 * lumps.ledger().time_fs
    rows = []
    for _ in range(repeats):
        row = []
        for built in (without, every, lumps):
            start = time.process_time()
            built.burst(steps)
            row.append((time.process_time() - start) / steps)
        rows.append(row)
    ratios = [statistics.median(row[k] / row[0] for row in rows) for k in (1, 2)]
    return 1e6 * statistics.median(row[0] for row in rows), ratios[0], ratios[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--steps", type=int, default=100)
    arguments = parser.parse_args()
    print(f"{'laws':20} {'us a step without':>18} {'every step':>11} {'every 100':>10}")
    for case in CASES:
        without, every, lumps = costs(case, arguments.steps, arguments.repeats)
        print(f"{case:20} {without:18.0f} {every:11.2f} {lumps:10.2f}", flush=True)


if __name__ == "__main__":
    main()
