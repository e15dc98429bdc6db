"""A sweep of 64 short points: how much two workers gain over one, and what a point costs on top of its run.

Every round runs the same sweep on one worker and on two, in turn, each with a cluster of its own; the kernel is
compiled before. Times begin with the first point of every worker, when all have long imported everything, and end with
the last: start-up (a few seconds, whatever the sweep) stands apart. ``overhead_s`` is what the worker's time comes to
beyond the runs themselves: (seconds x workers - host time of the runs) / points. A machine with other work to do gives
two processes less than twice the time of one: ``machine`` is the same ratio for bare processes that only calculate.
``main_cpu_s`` is the processor time of the main process (scheduler, writing) for each point, which two workers on two
processors have to share with it: it limits the speedup to ``2 / (1 + main_cpu_s / point_cpu_s)``, whatever else the
machine does.

    python bench/sweep.py [--rounds 3] [--points 64] [--steps 500000]
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path

import neurosim as ns
from neurosim.api_sweep import SweepProgress

RATE = "training.learning_rate"
BARS = {"speedup": 1.8, "overhead_s": 0.2}
LOOPS = 20_000_000


def sweep_seconds(workers: int, points: int, steps: int, folder: Path) -> dict[str, float]:
    """One sweep: seconds from its first finished point to its last, before it, and what each point cost."""
    seen: list[tuple[int, float, float]] = []
    started = time.perf_counter()

    def progress(state: SweepProgress) -> None:
        seen.append((state.done, time.perf_counter(), time.process_time()))

    done = ns.sweep(
        "xor-mgd", {RATE: f"0.5..3.5/{points}"}, overrides={"stop.steps": steps}, workers=workers,
        output=folder / f"{workers}.h5", force=True, progress=progress,
    )  # fmt: skip
    first = next(item for item in seen if item[0] >= workers)  # every worker has loaded the kernel by then
    last = seen[-1]
    spent, number = last[1] - first[1], last[0] - first[0]
    times = sorted(point.host_time_s or 0.0 for point in done.points)
    runs = statistics.fmean(times[:-workers])  # without each worker's first, which loads the kernel
    return {"s": spent / number * points, "start_s": first[1] - started, "run_s": runs,
            "overhead_s": spent * workers / number - runs, "main_cpu_s": (last[2] - first[2]) / number}  # fmt: skip


def point_cpu_seconds(steps: int) -> float:
    """Processor time of one point in this process, loaded and warm: the median of five."""
    times = []
    for _ in range(6):
        started = time.process_time()
        ns.run("xor-mgd", overrides={"stop.steps": steps}, record=False)
        times.append(time.process_time() - started)
    return statistics.median(times[1:])


def burn(loops: int) -> int:
    """Something to calculate."""
    total = 0
    for k in range(loops):
        total += k & 3
    return total


def machine_ratio() -> float:
    """What this machine gives two processes over one, just now."""
    context = multiprocessing.get_context("spawn")
    times = {}
    for workers in (1, 2):
        with context.Pool(workers) as pool:
            pool.map(burn, [1000] * workers)
            started = time.perf_counter()
            pool.map(burn, [LOOPS // 2] * 2, chunksize=1)
            times[workers] = time.perf_counter() - started
    return times[1] / times[2]


def measure(rounds: int = 3, points: int = 64, steps: int = 500_000) -> dict[str, float]:
    """Medians of interleaved rounds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ns.run("xor-mgd", overrides={"stop.steps": 1000}, record=False)  # compiles
        rows = []
        for k in range(rounds):
            machine = machine_ratio()
            found = {}
            for workers in (1, 2) if k % 2 == 0 else (2, 1):
                found[workers] = sweep_seconds(workers, points, steps, folder)
            rows.append((found[1], found[2], machine))
    point_cpu_s, main_cpu_s = point_cpu_seconds(steps), statistics.median(two["main_cpu_s"] for _, two, _ in rows)
    ratios = [one["s"] / two["s"] for one, two, _ in rows]
    return {
        "speedup": statistics.median(ratios),
        "best_speedup": max(ratios),
        "machine": statistics.median(machine for _, _, machine in rows),
        "overhead_s": statistics.median(one["overhead_s"] for one, _, _ in rows),
        "overhead_two_s": statistics.median(two["overhead_s"] for _, two, _ in rows),
        "main_cpu_s": main_cpu_s,
        "point_cpu_s": point_cpu_s,
        "limit": 2.0 / (1.0 + main_cpu_s / point_cpu_s),
        "point_s": statistics.median(one["run_s"] for one, _, _ in rows),
        "start_s": statistics.median(two["start_s"] for _, two, _ in rows),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--points", type=int, default=64)
    parser.add_argument("--steps", type=int, default=500_000)
    given = parser.parse_args()
    for name, value in measure(given.rounds, given.points, given.steps).items():
        bar = f"  (bar {BARS[name]})" if name in BARS else ""
        print(f"{name:16} {value:8.3f}{bar}")


if __name__ == "__main__":
    main()
