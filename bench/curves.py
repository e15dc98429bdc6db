"""What the comparisons share: run a method, read its learning curve from the trace, find where it reaches a target."""

from __future__ import annotations

import math
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from neurosim import api
from neurosim.errors import DivergenceError


@dataclass(frozen=True)
class Method:
    """One way to train: a scenario, what is changed in it, how long it runs and how often it is evaluated."""

    name: str
    scenario: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    steps: int = 20_000
    every: int = 500
    ideal: bool = True

    def settings(self) -> dict[str, Any]:
        """Overrides as `api.run` takes them, in the order in which they apply."""
        return {**self.overrides, "stop.steps": self.steps, "probes.evaluate_every": self.every}


@dataclass(frozen=True)
class Curve:
    """Test accuracy along one run; ``inferences`` counts every forward pass of the chip, probes and refreshes too."""

    steps: np.ndarray
    inferences: np.ndarray
    accuracy: np.ndarray

    def reached(self, target: float) -> tuple[float, float]:
        """(steps, inferences) at the first evaluation with at least this accuracy; infinite where there is none."""
        there = np.flatnonzero(self.accuracy >= target)
        if there.size == 0:
            return math.inf, math.inf
        return float(self.steps[there[0]]), float(self.inferences[there[0]])

    def at(self, inferences: float) -> float:
        """Accuracy at the last evaluation within this many inferences."""
        return float(self.accuracy[np.flatnonzero(self.inferences <= inferences)[-1]])

    @property
    def best(self) -> float:
        """The highest accuracy of all evaluations."""
        return float(self.accuracy.max())

    @property
    def last(self) -> float:
        """The accuracy at the end; 0 for a run that diverged."""
        return float(self.accuracy[-1])

    def rows(self) -> list[list[float]]:
        """[steps, inferences, accuracy] of each evaluation, ready for JSON."""
        columns = (self.steps.tolist(), self.inferences.tolist(), self.accuracy.tolist())
        return [list(row) for row in zip(*columns, strict=True)]


def learn(method: Method, seed: int) -> Curve:
    """Train once and return the curve; a run whose cost stops being finite ends with accuracy 0."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.h5"
        diverged = False
        try:
            run = api.run(
                method.scenario, overrides=method.settings(), seed=seed, ideal=method.ideal, output=path, record=True
            )
            if run.status == "interrupted":  # a run ends cleanly on Ctrl-C and SIGTERM; so must what called it
                raise KeyboardInterrupt
        except DivergenceError:
            diverged = True
        with api.open_trace(path) as trace:
            table = trace.eval
            steps, inferences, accuracy = (np.asarray(table[name]) for name in ("step", "inferences", "accuracy"))
    if diverged:
        steps, inferences = np.append(steps, steps[-1] + 1), np.append(inferences, inferences[-1] + 1)
        accuracy = np.append(accuracy, 0.0)
    return Curve(steps, inferences, accuracy)


def median(values: Sequence[float]) -> float:
    """The median, infinite where most runs never got there."""
    return float(statistics.median(values))


def number(value: float) -> str:
    """A count as a short text: ``8,000``, or a dash where the target was never reached."""
    return f"{value:,.0f}" if math.isfinite(value) else "–"
