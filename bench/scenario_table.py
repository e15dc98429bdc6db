"""The table of docs/scenarios.md: every shipped scenario over a few seeds, and what each gave.

    python bench/scenario_table.py [NAME ...] [--seeds 3] [--set KEY=VALUE ...] [--json FILE]

One line per run as it ends, then a Markdown row per scenario: median over the seeds, with the range of the accuracy.
``--json FILE`` appends one JSON object per run. Host times are those of whole runs, after a first one that compiles.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neurosim import api

SCENARIOS = (
    "quickstart", "xor-mgd", "parity4-mgd", "nist7x7-mgd", "fashion-mnist-mlp-delta", "fashion-mnist-mlp-node",
    "fashion-mnist-mlp-mgd", "fashion-mnist-deep-delta", "fashion-mnist-cnn-mgd",
)  # fmt: skip
HEAD = (
    "| scenario | accuracy (range) | steps | inferences | chip time | energy (interval) | inferences to target | "
    "host time |\n|---|---|---|---|---|---|---|---|"
)


def one(name: str, seed: int, overrides: dict[str, Any]) -> dict[str, Any]:
    """Run a scenario once; its summary, with the curve of the accuracy and the host seconds without compilation."""
    _, scenario = api.load_scenario(name, seed=seed, overrides=overrides)
    api.build(scenario).burst(0)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run = api.run(name, seed=seed, overrides=overrides, output=Path(folder) / "run.h5")
        spent = time.perf_counter() - started
        if run.status != "complete":
            raise KeyboardInterrupt
        with api.open_trace(run.trace or "") as trace:
            curve = {key: np.asarray(trace.eval[key]).tolist() for key in ("step", "inferences", "accuracy")}
    return {**run.summary, "curve": curve, "host_s": spent}


def row(name: str, runs: Sequence[dict[str, Any]]) -> str:
    """A Markdown row: medians, and the range of the accuracy."""
    accuracy = sorted(run["accuracy"] for run in runs)
    middle = {
        key: statistics.median(run[key] for run in runs)
        for key in ("steps", "inferences", "chip_time_s", "energy_J", "energy_low_J", "energy_high_J", "host_s")
    }
    reached = [run["to_target"]["inferences"] if run["to_target"] else float("inf") for run in runs]
    target = statistics.median(reached) if reached else float("inf")
    hypothetical = " (h)" if runs[0]["hypothetical"] else ""
    return (
        f"| `{name}`{hypothetical} | {statistics.median(accuracy):.3f} ({accuracy[0]:.3f} to {accuracy[-1]:.3f}) | "
        f"{middle['steps']:,.0f} | {middle['inferences']:,.0f} | {si(middle['chip_time_s'], 's')} | "
        f"{si(middle['energy_J'], 'J')} ({si(middle['energy_low_J'], 'J')} to {si(middle['energy_high_J'], 'J')}) | "
        f"{'never' if target == float('inf') else f'{target:,.0f}'} | {middle['host_s']:.3g} s |"
    )


def si(value: float, unit: str) -> str:
    """A quantity with three digits and a prefix."""
    for factor, prefix in ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"), (1e-12, "p")):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}"


def main() -> None:
    """Run, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SCENARIOS)} (default: all)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    overrides: dict[str, Any] = {}
    for text in given.set:
        key, _, value = text.partition("=")
        try:
            overrides[key] = tomllib.loads(f"x = {value}")["x"]
        except tomllib.TOMLDecodeError:
            overrides[key] = value
    rows = []
    for name in given.names or SCENARIOS:
        runs = []
        for seed in range(given.seeds):
            runs.append(one(name, seed, overrides))
            last = runs[-1]
            best = max(last["curve"]["accuracy"])
            target = last["to_target"]["inferences"] if last["to_target"] else "never"
            print(f"  {name} seed {seed}: {last['accuracy']:.4f}, best {best:.4f}, target at {target} inferences, "
                  f"{last['host_s']:.1f} s", flush=True)  # fmt: skip
            if given.json:
                with given.json.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(last) + "\n")
        rows.append(row(name, runs))
    print(HEAD, *rows, sep="\n")


if __name__ == "__main__":
    main()
