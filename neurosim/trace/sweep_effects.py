"""What the axes of a sweep do to a figure of its summaries: main effects, their errors, and the Pareto front.

A *main effect* is the mean over all points with one value of an axis. A change from one value to another is taken
between points that share everything else, the repeat and so the seeds included (*paired*), where the design has such
points; its standard error is then that of the mean of the differences. Where there are none (designs that are drawn),
it is that of two independent means. Ranges are cut into bins with about the same number of points.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurosim.trace.sweep_reader import Sweep, SweepAxis

BINS = 5


@dataclass(frozen=True)
class Effect:
    """One axis against one figure."""

    axis: SweepAxis
    labels: tuple[str, ...]
    """Values, or bins of a range."""
    centre: tuple[float, ...]
    """Where they are drawn: the number, or else their place."""
    mean: tuple[float, ...]
    error: tuple[float, ...]
    """Standard error of each mean; NaN of a single point."""
    count: tuple[int, ...]
    best: int
    worst: int
    loss: float
    """From the best value to the worst, the best being the largest mean."""
    loss_error: float
    """Its standard error; NaN where one pair stands alone."""
    pairs: int
    """Pairs of points that the loss was taken between; 0: it was taken between means."""

    @property
    def certain(self) -> bool:
        """Whether the loss is more than twice its standard error."""
        return math.isfinite(self.loss_error) and self.loss > 2.0 * self.loss_error


@dataclass(frozen=True)
class Place:
    """Points that share their place on all axes: means over the repeats that are done."""

    number: int
    """Of the first point."""
    label: str
    accuracy: float
    energy_J: float
    count: int


def effects(sweep: Sweep, key: str = "accuracy") -> list[Effect]:
    """The effect of every axis on ``key``, the largest loss first; axes on which fewer than two values are done go."""
    if key not in sweep.keys:
        return []
    values = sweep.values(key)
    found = [effect for axis in sweep.axes if (effect := _effect(sweep, axis, values)) is not None]
    return sorted(found, key=lambda effect: -effect.loss)


def levels_of(sweep: Sweep, axis: SweepAxis) -> tuple[np.ndarray, tuple[str, ...], tuple[float, ...]]:
    """(level of every point, labels, centres): a list's values, or the bins of a range."""
    where = sweep.coordinate(axis.name)
    if axis.values is not None:
        place = {json.dumps(value, sort_keys=True): k for k, value in enumerate(axis.values)}
        level = np.array([place[json.dumps(value, sort_keys=True)] for value in where])
        numbers = axis.numbers
        centres = range(len(axis.values)) if numbers is None else numbers.tolist()
        return level, axis.labels, tuple(float(centre) for centre in centres)
    numbers = np.array(where, np.float64)
    bins = max(1, min(BINS, len(np.unique(numbers)) // 3))
    edges = np.quantile(numbers, np.linspace(0.0, 1.0, bins + 1))
    level = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, bins - 1)
    labels = tuple(f"{edges[k]:.3g} to {edges[k + 1]:.3g}" for k in range(bins))
    centres = tuple(float(np.median(numbers[level == k])) if (level == k).any() else math.nan for k in range(bins))
    return level, labels, centres


def _effect(sweep: Sweep, axis: SweepAxis, values: np.ndarray) -> Effect | None:
    level, labels, centres = levels_of(sweep, axis)
    values = np.where(apart(sweep, axis), values, np.nan)
    known = np.isfinite(values)
    there = [k for k in range(len(labels)) if (known & (level == k)).any()]
    if len(there) < 2:
        return None
    groups = [values[known & (level == k)] for k in there]
    means = [float(group.mean()) for group in groups]
    errors = [_error(group) for group in groups]
    best, worst = int(np.argmax(means)), int(np.argmin(means))
    loss, error, pairs = _change(sweep, axis, values, level, there[best], there[worst])
    if not pairs:
        loss, error = means[best] - means[worst], math.hypot(errors[best], errors[worst])
    return Effect(
        axis, tuple(labels[k] for k in there), tuple(centres[k] for k in there), tuple(means), tuple(errors),
        tuple(len(group) for group in groups), best, worst, loss, error, pairs,
    )  # fmt: skip


def apart(sweep: Sweep, axis: SweepAxis) -> np.ndarray:
    """The points that say what an axis does: all, or where one axis moves at a time those at which no other has."""
    out = np.ones(len(sweep.points), np.bool_)
    if sweep.design == "oat":
        for other in sweep.axes:
            if other is not axis and other.values:
                first = json.dumps(other.values[0], sort_keys=True)
                out &= [json.dumps(value, sort_keys=True) == first for value in sweep.coordinate(other.name)]
    return out


def _change(
    sweep: Sweep, axis: SweepAxis, values: np.ndarray, level: np.ndarray, one: int, other: int
) -> tuple[float, float, int]:
    """(mean, its error, number) of the differences between points that differ on this axis alone."""
    if axis.values is None:
        return math.nan, math.nan, 0
    mates: dict[str, dict[int, float]] = {}
    for point, value, here in zip(sweep.points, values.tolist(), level.tolist(), strict=True):
        if math.isfinite(value) and here in (one, other):
            rest = [point.repeat, *(place for name, place in point.coordinates.items() if name != axis.name)]
            mates.setdefault(json.dumps(rest, sort_keys=True), {})[here] = value
    changes = np.array([pair[one] - pair[other] for pair in mates.values() if len(pair) == 2])
    if not len(changes):
        return math.nan, math.nan, 0
    return float(changes.mean()), _error(changes), len(changes)


def _error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else math.nan


def mean_over(sweep: Sweep, key: str, first: SweepAxis, second: SweepAxis) -> np.ndarray:
    """Means of ``key`` ``[values of first, values of second]`` over everything else; NaN where nothing is done."""
    values = sweep.values(key)
    row, rows, _ = levels_of(sweep, first)
    column, columns, _ = levels_of(sweep, second)
    out = np.full((len(rows), len(columns)), np.nan)
    for r in range(len(rows)):
        for c in range(len(columns)):
            here = values[(row == r) & (column == c) & np.isfinite(values)]
            if len(here):
                out[r, c] = here.mean()
    return out


def places(sweep: Sweep, key: str = "energy_J") -> list[Place]:
    """Accuracy against joules (or another cost ``key``) of every place on the axes, means over its repeats."""
    if not {"accuracy", key} <= set(sweep.keys):
        return []
    accuracy, cost = sweep.values("accuracy"), sweep.values(key)
    known = np.isfinite(accuracy) & np.isfinite(cost)
    return [
        Place(numbers[0], where(sweep, numbers[0]), float(accuracy[numbers].mean()), float(cost[numbers].mean()),
              len(numbers))
        for numbers in together(sweep, known)
    ]  # fmt: skip


def together(sweep: Sweep, known: np.ndarray) -> list[list[int]]:
    """The numbers of the ``known`` points, those that share their place on all axes together."""
    found: dict[str, list[int]] = {}
    for point in sweep.points:
        if known[point.number]:
            found.setdefault(json.dumps(list(point.coordinates.values()), sort_keys=True), []).append(point.number)
    return list(found.values())


def pareto(all_places: Sequence[Place]) -> list[Place]:
    """The places that no other beats in both accuracy and joules, from few joules to many."""
    front: list[Place] = []
    for place in sorted(all_places, key=lambda place: (place.energy_J, -place.accuracy)):
        if not front or place.accuracy > front[-1].accuracy:
            front.append(place)
    return front


def where(sweep: Sweep, number: int) -> str:
    """A point's place on the axes, in words."""
    parts = []
    for name, value in sweep.points[number].coordinates.items():
        shown = f"{value:.4g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
        parts.append(f"{name} = {shown}")
    return ", ".join(parts) or "the scenario as it is"
