"""Pulses on populations of weight devices, reads with lumped noise, bytes: one thread, medians, CPU time.

Arbitrary signs, one pulse on every device, mismatch of steps and bounds, cycle noise with exact tails, reproducible.
aihwkit 1.2.0 took 20.3 M devices/s (784x256) and 19.6 M (1024x1024) for arbitrary pulses on soft bounds, and 73 M/s for
one rank-1 pulse on exponential steps, measured on another host with 2 EPYC cores; it did not install here.

    python bench/devices.py [--repeats 9] [--small]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from neurosim.devices.population import Devices

MISMATCH: dict[str, Any] = {
    "w_max_dtod": 0.3, "w_min_dtod": 0.3, "dw_min_dtod": 0.3, "up_down_dtod": 0.01, "dw_min_std": 0.3,
}  # fmt: skip
SOFT = {"model": "soft-bounds", **MISMATCH}
EXPONENTIAL = {"model": "exp-step", "a": -0.5, "b": -0.5, "A_up": -1.18445, "A_down": -0.081404, "gamma_up": 5.0,
               "gamma_down": 5.0, **MISMATCH}  # fmt: skip
ELECTRICAL = {"g_min_S": 1e-6, "g_max_S": 1e-5, "up_V": 1.0, "down_V": 1.0, "up_s": 1e-7, "down_s": 1e-7}
PEER = {"soft-bounds": 20.0, "exp-step": 20.0}
"""Million devices/s of aihwkit 1.2.0 for arbitrary pulses (exponential: assumed, see above)."""


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Median CPU time of a call, after one to compile."""
    call()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return statistics.median(times)


def pulses(device: dict[str, Any], shape: tuple[int, int], repeats: int = 9, **given: Any) -> float:
    """Million devices a second, a pulse of random sign on each."""
    devices = Devices(device, shape, seed=1, **given)
    signs = np.random.default_rng(0).choice(np.array([-1, 1], np.int8), shape)
    return devices.count / seconds(lambda: devices.pulse(signs), repeats) / 1e6


def reads(shape: tuple[int, int], repeats: int = 9) -> float:
    """Time of a read of all columns with lumped noise over that of a clean one."""
    devices = Devices({"model": "stochastic-mtj", "read_std": 0.1}, shape, seed=1)
    x = np.random.default_rng(0).normal(size=shape[0])
    noisy = seconds(lambda: devices.read_columns(x), repeats)
    return noisy / seconds(lambda: devices.read_columns(x, noisy=False), repeats)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--small", action="store_true", help="tiny arrays, for CI")
    given = parser.parse_args()
    for shape in [(64, 64)] if given.small else [(784, 256), (1024, 1024)]:
        print(f"{shape[0]} x {shape[1]}")
        for device in (SOFT, EXPONENTIAL):
            speed = pulses(device, shape, given.repeats)
            print(f"  {device['model']:<12} {speed:6.0f} M devices/s   {speed / PEER[device['model']]:.1f} x 20 M/s")
        print(
            "  soft-bounds, energy summed  "
            f"{pulses(SOFT, shape, given.repeats, electrical=ELECTRICAL):6.0f} M devices/s"
        )
        print(f"  columns read with lumped noise over clean: {reads(shape, given.repeats):.2f}")
    for name, device, options in (
        ("soft-bounds", SOFT, {}), ("soft-bounds, pulses of each device not counted", SOFT, {"count_pulses": False}),
        ("soft-bounds with lifetimes", SOFT, {"endurance": {"median_pulses": 1e6}}),
        ("linear-step", {"model": "linear-step"}, {}),
        ("capacitor", {"model": "capacitor"}, {}), ("reram-es (apparent write noise)", "reram-es", {}),
    ):  # fmt: skip
        made = Devices(device, 64, **options)  # type: ignore[arg-type]
        print(f"  {name}: {made.bytes_per_device:.0f} bytes a device")


if __name__ == "__main__":
    main()
