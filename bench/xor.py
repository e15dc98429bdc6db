"""XOR in burst mode: training steps per second, and what recording the curve and the ledger costs.

2-2-1, 9 parameters: the whole machine fits in the first cache, so a step is bound by operations, not bytes. Two
inferences of 6 multiply-adds and 3 sigmoids each, 9 random signs, 9 updates, a cost twice, and the ledger's counters
come to about 250 operations and 6 exponentials: some 150 ns at 3 GHz, hence at most about 6 million steps a second.

The cost of recording is the ratio of the same run with and without a trace, at the default intervals (200 rows of curve
and ledger, 20 evaluations), in pairs whose order alternates; host time from reading the scenario to the closed file.
Nearly all of it does not depend on the length of the run, so the seconds stand beside the ratio, and the run as it is
shipped (40,000 steps, over in a tenth of a second) is measured too. A run without a trace still prices its ledger at
every row; ``bookkeeping_ratio`` compares the recorded run with bare bursts, which do not.

    python bench/xor.py [--pairs 15] [--steps 3000000]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from neurosim import api

SCENARIO = "xor-mgd"
SHIPPED = 40_000
BARS = {"steps_per_s": 1e6, "recording_ratio": 1.10}


def burst_seconds(steps: int) -> float:
    """Seconds of one burst on a machine that is already built and compiled."""
    _, scenario = api.load_scenario(SCENARIO, overrides={"stop.steps": max(steps, 1000)})
    machine = api.build(scenario)
    machine.burst(64)
    started = time.perf_counter()
    machine.burst(steps)
    return time.perf_counter() - started


def run_seconds(steps: int, record: bool, folder: Path) -> float:
    """Seconds of a whole run: build, train, and with ``record`` write the trace."""
    started = time.perf_counter()
    api.run(SCENARIO, overrides={"stop.steps": steps}, output=folder / "xor.h5", force=True, record=record)
    return time.perf_counter() - started


def pair(steps: int, first: bool, folder: Path) -> tuple[float, float]:
    """(with, without recording), the one that ``first`` says before the other."""
    seconds = {record: run_seconds(steps, record, folder) for record in (first, not first)}
    return seconds[True], seconds[False]


def measure(pairs: int = 15, steps: int = 3_000_000) -> dict[str, float]:
    """Medians of interleaved runs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pair(SHIPPED, True, folder)
        rows = [
            (burst_seconds(steps), *pair(steps, k % 2 == 0, folder), *pair(SHIPPED, k % 2 == 0, folder))
            for k in range(pairs)
        ]
    bursts, recorded, bare, short_recorded, short_bare = zip(*rows, strict=True)
    return {
        "steps_per_s": steps / statistics.median(bursts),
        "best_steps_per_s": steps / min(bursts),
        "recorded_steps_per_s": steps / statistics.median(recorded),
        "recording_ratio": _median_ratio(recorded, bare),
        "recording_s": statistics.median(a - b for a, b in zip(recorded, bare, strict=True)),
        "bookkeeping_ratio": _median_ratio(recorded, bursts),
        "shipped_recording_ratio": _median_ratio(short_recorded, short_bare),
        "shipped_recording_s": statistics.median(a - b for a, b in zip(short_recorded, short_bare, strict=True)),
    }


def _median_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def show(result: dict[str, float]) -> None:
    """Print the figures and the bars."""
    for name, value in result.items():
        print(f"{name:24s} {value:14,.3f}")
    print(f"bars: steps_per_s at least {BARS['steps_per_s']:,.0f}; recording_ratio at most {BARS['recording_ratio']}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--steps", type=int, default=3_000_000)
    given = parser.parse_args()
    show(measure(given.pairs, given.steps))


if __name__ == "__main__":
    main()
