"""The first command of the README: how long it takes the first time and after that, and what it gives.

``python -m neurosim run quickstart --json`` in fresh processes: with an empty NEUROSIM_CACHE (everything is compiled),
then again with what that run left. ``neurosim --help`` as the median of several, and whether it imports numba. Then
the same network on the same chip, trained by tuned random weight perturbation for the same number of inferences.

    python bench/quickstart.py [--firsts 1] [--repeats 3] [--helps 9] [--no-random]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from curves import learn, median
from delta_mgd import SPIKING_RANDOM

from neurosim import api

BARS = {"first_s": 60.0, "second_s": 20.0, "help_s": 0.6, "accuracy": 0.70}


def command(arguments: Sequence[str], folder: Path, cache: Path) -> tuple[float, str]:
    """(wall seconds, standard output) of one ``python -m neurosim`` in its own process."""
    environment = {**os.environ, "NEUROSIM_CACHE": str(cache)}
    root = Path(__file__).resolve().parent.parent
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(root), environment.get("PYTHONPATH", "")]))
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "neurosim", *arguments], cwd=folder, env=environment, check=True, capture_output=True
    )
    return time.perf_counter() - started, done.stdout.decode()


def quickstart(folder: Path, cache: Path, extra: Sequence[str] = ()) -> tuple[float, dict[str, Any]]:
    """Wall seconds and summary of one run of the command."""
    seconds, text = command(["run", "quickstart", "--json", "--quiet", "--force", "-o", "q.h5", *extra], folder, cache)
    return seconds, json.loads(text)


def timed_help(times: int, folder: Path) -> float:
    """Median seconds of ``neurosim --help``, the files being in the page cache."""
    command(["--help"], folder, folder)
    return statistics.median(command(["--help"], folder, folder)[0] for _ in range(times))


def help_imports_numba(folder: Path) -> bool:
    """Whether asking for help imports numba."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "neurosim", "--help"],
        cwd=folder, env=environment, check=True, capture_output=True,
    )  # fmt: skip
    return any(line.rpartition("|")[2].strip() == "numba" for line in done.stderr.decode().splitlines())


def random_accuracy(inferences: int, seeds: int) -> float:
    """Median accuracy of tuned random weight perturbation after this many inferences on the same chip."""
    changed = type(SPIKING_RANDOM)(
        SPIKING_RANDOM.name, SPIKING_RANDOM.scenario, SPIKING_RANDOM.overrides, inferences // 2,
        max(1, inferences // 20), SPIKING_RANDOM.ideal,
    )  # fmt: skip
    return median([learn(changed, seed).last for seed in range(seeds)])


def measure(
    firsts: int = 1, repeats: int = 3, helps: int = 9, seeds: int = 3, extra: Sequence[str] = (), steps: int = 0
) -> dict[str, float]:
    """Medians; ``seeds`` 0 leaves out random weights; ``extra`` and ``steps`` shorten the run for a smoke test."""
    arguments = [*extra, *(["--set", f"stop.steps={steps}"] if steps else [])]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        first: list[float] = []
        later: list[float] = []
        for k in range(firsts):
            cache = folder / f"cache{k}"
            seconds, summary = quickstart(folder, cache, arguments)
            first.append(seconds)
            for _ in range(repeats):
                seconds, summary = quickstart(folder, cache, arguments)
                later.append(seconds)
        result = {
            "first_s": statistics.median(first),
            "second_s": statistics.median(later),
            "help_s": timed_help(helps, folder),
            "help_imports_numba": float(help_imports_numba(folder)),
            "accuracy": float(summary["accuracy"]),
            "inferences": float(summary["inferences"]),
        }
    if seeds:
        api.load_models()
        result["random_accuracy"] = random_accuracy(int(summary["inferences"]), seeds)
    return result


def show(result: dict[str, float]) -> None:
    """Print the figures and the bars."""
    for name, value in result.items():
        print(f"{name:20s} {value:12,.3f}")
    print("bars: first_s <= 60, second_s <= 20, help_s <= 0.6 without numba, accuracy >= 0.70 and > random_accuracy")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--firsts", type=int, default=1, help="runs with an empty cache")
    parser.add_argument("--repeats", type=int, default=3, help="runs after each of them")
    parser.add_argument("--helps", type=int, default=9)
    parser.add_argument("--no-random", action="store_true")
    given = parser.parse_args()
    show(measure(given.firsts, given.repeats, given.helps, 0 if given.no_random else 3))


if __name__ == "__main__":
    main()
