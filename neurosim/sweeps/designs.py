"""Designs: which combinations of the axes' values are run.

``grid`` all of them; ``oat`` (one at a time) the first value of every axis, and from there each axis alone; ``lhs`` a
Latin hypercube and ``sobol`` a scrambled Sobol sequence of ``count`` points (scipy.stats.qmc), drawn with the
scenario's seed. In the last two, ranges are drawn from as they are and lists as if each value had the same width; the
first 64 points of a Sobol design are those of the design of 64.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Sequence
from typing import Any, get_args

import numpy as np

from neurosim.spec.study import Design
from neurosim.sweeps.axes import Axis

DESIGNS: tuple[Design, ...] = get_args(Design)
DRAWN: tuple[Design, ...] = ("lhs", "sobol")
Coordinates = tuple[Any, ...]


def problems(axes: Sequence[Axis], design: Design, count: int | None) -> list[str]:
    """What is wrong with a design, one line each."""
    found = []
    if design in DRAWN:
        if not axes:
            found.append(f"--design {design}: there is no axis to draw from")
        if count is None:
            found.append(f"--design {design}: say how many points, for example --points 64")
        elif design == "sobol" and count & (count - 1):
            below = 1 << (count.bit_length() - 1)
            found.append(f"--points {count}: a Sobol design is balanced at powers of two only: {below} or {2 * below}")
        return found
    if count is not None:
        found.append(f"--points: a {design} design has the points of its axes; --points is for lhs and sobol")
    found += [
        f"axis {axis.name}: a {design} design needs values; write {axis.low:g}..{axis.high:g}/5 for five of the range, "
        "or draw from it with --design lhs"
        for axis in axes
        if axis.values is None
    ]
    return found


def coordinates(axes: Sequence[Axis], design: Design, count: int | None, seed: int) -> list[Coordinates]:
    """The points of a design that has no problems: one value for each axis."""
    if design == "grid":
        return list(itertools.product(*(axis.ends() for axis in axes)))
    if design == "oat":
        base = tuple(axis.ends()[0] for axis in axes)
        moved = [
            (*base[:place], value, *base[place + 1 :])
            for place, axis in enumerate(axes)
            for value in axis.ends()[1:]
        ]  # fmt: skip
        return [base, *moved]
    assert count is not None
    shares = _shares(design, len(axes), count, seed)
    return [tuple(axis.at(float(share)) for axis, share in zip(axes, row, strict=True)) for row in shares]


def size(axes: Sequence[Axis], design: Design, count: int | None) -> int:
    """How many points a design has."""
    lengths = [len(axis.ends()) for axis in axes]
    if design == "grid":
        return int(np.prod(lengths, dtype=object)) if lengths else 1
    if design == "oat":
        return 1 + sum(length - 1 for length in lengths)
    return count or 0


def _shares(design: Design, axes: int, count: int, seed: int) -> np.ndarray:
    """``[count, axes]`` numbers in [0, 1)."""
    from scipy.stats import qmc

    engine = qmc.LatinHypercube if design == "lhs" else qmc.Sobol
    # scipy calls the generator "rng" from 1.15 on and "seed" before
    name = "rng" if "rng" in inspect.signature(engine).parameters else "seed"
    return np.asarray(engine(d=axes, **{name: np.random.default_rng(seed)}).random(count))
