"""Small searches for learning rates and their kin, so that every method is compared at its own best.

Every combination of the values given (or a random sample of them) is run once (``--first N``: with N seeds); the best
third is run again with three times the seeds, then the best third of that, until all seeds are done. Seeds start at
100, so that the runs which a comparison reports (seeds 0, 1, 2) were not tuned on.

    python bench/tune.py fashion-mnist-mlp-node --ideal --key training.learning_rate --values 0.005 0.01 0.02 0.04
    python bench/tune.py xor-mgd --key training.learning_rate --log 0.3 30 7 --target 1.0 --metric accuracy

``--log LOW HIGH N`` stands for N values spaced evenly on a logarithmic scale. ``--key`` may be repeated, each with its
``--values`` or ``--log``.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from curves import Curve, Method, learn, median, number

from neurosim.spec.load import parse_override

FIRST_SEED = 100


@dataclass
class Candidate:
    """One combination of values and the curves it gave so far."""

    overrides: dict[str, Any]
    curves: list[Curve] = field(default_factory=list)

    def score(self, metric: str, target: float) -> tuple[float, float]:
        """Smaller is better: inferences to the target, ties by accuracy; or accuracy alone."""
        best = -median([curve.best for curve in self.curves])
        if metric == "accuracy":
            return -median([curve.last for curve in self.curves]), best
        return median([curve.reached(target)[1] for curve in self.curves]), best


class _Values(argparse.Action):
    """``--key`` opens a row; ``--values`` and ``--log`` fill the newest one."""

    def __call__(self, parser: argparse.ArgumentParser, space: Any, given: Any, option: str | None = None) -> None:
        rows: list[tuple[str, list[Any]]] = space.rows
        if option == "--key":
            rows.append((given, []))
        elif not rows:
            parser.error(f"{option}: name the key first, with --key")
        elif option == "--log":
            low, high, count = given
            rows[-1][1].extend(float(f"{value:.4g}") for value in np.geomspace(low, high, int(count)))
        else:
            rows[-1][1].extend(parse_override(f"x={text}")[1] for text in given)


def combinations(rows: Sequence[tuple[str, Sequence[Any]]], sample: int, seed: int) -> list[dict[str, Any]]:
    """All combinations of the values, or a random sample of them."""
    keys = [key for key, _ in rows]
    everything = [dict(zip(keys, values, strict=True)) for values in itertools.product(*(row[1] for row in rows))]
    if sample <= 0 or sample >= len(everything):
        return everything
    chosen = np.random.default_rng(seed).choice(len(everything), sample, replace=False)
    return [everything[k] for k in sorted(chosen)]


def rungs(candidates: int, seeds: int, first: int = 1) -> list[tuple[int, int]]:
    """(candidates, seeds) of each round: a third of the candidates with three times the seeds, down to the end."""
    out, done = [], first
    while True:
        out.append((candidates, min(done, seeds)))
        if done >= seeds:
            return out
        candidates, done = max(1, math.ceil(candidates / 3)), done * 3


def search(
    method: Method, choices: Sequence[dict[str, Any]], seeds: int, metric: str, target: float, *, first: int = 1,
    loud: bool = False,
) -> list[Candidate]:
    """Every candidate, best first; those with more seeds before those that fell out earlier."""
    candidates = [Candidate(choice) for choice in choices]
    for count, wanted in rungs(len(candidates), seeds, first):
        for candidate in candidates[:count]:
            for seed in range(len(candidate.curves), wanted):
                changed = Method(
                    method.name, method.scenario, {**method.overrides, **candidate.overrides}, method.steps,
                    method.every, method.ideal,
                )  # fmt: skip
                candidate.curves.append(learn(changed, FIRST_SEED + seed))
            if loud:
                print(line(candidate, target), flush=True)
        candidates.sort(key=lambda one: (-len(one.curves), one.score(metric, target)))
    return candidates


def line(candidate: Candidate, target: float) -> str:
    """One row of the table."""
    values = "  ".join(f"{key.rpartition('.')[2]}={value}" for key, value in candidate.overrides.items())
    there = number(median([curve.reached(target)[1] for curve in candidate.curves]))
    best, last = (median([getattr(curve, name) for curve in candidate.curves]) for name in ("best", "last"))
    return f"{len(candidate.curves):5d} {there:>12s} {best:8.3f} {last:8.3f}  {values}"


def parser() -> argparse.ArgumentParser:
    """The command line."""
    out = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    out.add_argument("scenario")
    out.set_defaults(rows=[])
    out.add_argument("--key", action=_Values, required=True)
    out.add_argument("--values", action=_Values, nargs="+")
    out.add_argument("--log", action=_Values, nargs=3, type=float, metavar=("LOW", "HIGH", "N"))
    out.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="fixed for all candidates")
    out.add_argument("--ideal", action="store_true")
    out.add_argument("--steps", type=int, default=20_000)
    out.add_argument("--every", type=int, default=500, help="steps between evaluations")
    out.add_argument("--seeds", type=int, default=3)
    out.add_argument("--first", type=int, default=1, help="seeds of the first round")
    out.add_argument("--target", type=float, default=0.7)
    out.add_argument("--metric", choices=("inferences", "accuracy"), default="inferences")
    out.add_argument("--sample", type=int, default=0, help="run this many random combinations; 0: all")
    out.add_argument("--top", type=int, default=10, help="rows of the table")
    out.add_argument("--quiet", action="store_true", help="the table only")
    return out


def main() -> None:
    """Search and print the table."""
    given = parser().parse_args()
    fixed = dict(parse_override(text) for text in given.set)
    method = Method("tuned", given.scenario, fixed, given.steps, given.every, given.ideal)
    choices = combinations(given.rows, given.sample, FIRST_SEED)
    head = f"{'seeds':>5s} {'inferences':>12s} {'best':>8s} {'last':>8s}  values"
    print(f"{given.scenario}: {len(choices)} candidates; inferences to accuracy {given.target}\n{head}")
    found = search(method, choices, given.seeds, given.metric, given.target, first=given.first, loud=not given.quiet)
    print(f"\nbest first\n{head}")
    for candidate in found[: given.top]:
        print(line(candidate, given.target))


if __name__ == "__main__":
    main()
