"""What all experiments have in common: a network driven by hand that shows one thing, and says whether it does.

An experiment is one file: a docstring that says what is claimed, a schema under ``@register("experiment", name)``, and

* ``run(parameters, seed) -> Result``: drive the network; no files, no figures, no clock of the host
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from neurosim.chip.nsat import off
from neurosim.engine.sink import Table
from neurosim.kernels import random
from neurosim.registry import ModelParameters

Floats = npt.NDArray[np.float64]


class ExperimentParameters(ModelParameters):
    """Base of every experiment's schema."""


@dataclass(frozen=True)
class Claim:
    """One thing that the experiment is to show."""

    says: str
    """In one sentence."""
    measured: float
    bar: str
    """What was asked for, such as ``"at least 0.9"``."""
    holds: bool


@dataclass(frozen=True)
class Result:
    """What an experiment hands back."""

    claims: tuple[Claim, ...]
    counts: Mapping[str, int]
    """Countables of the whole experiment, for the chip's bill."""
    ticks: int
    tables: tuple[Table, ...] = ()
    rows: Mapping[str, Mapping[str, npt.NDArray[np.generic]]] = field(default_factory=dict)
    """For each table's path, its columns."""


def draws(seed: int, stream: int, step: int, size: int) -> Floats:
    """Uniform numbers in (0, 1): a pure function of seed, stream and step."""
    out = np.empty(size)
    random.uniforms(out, seed, stream, step, 0, 0)
    return out


def shifts(states: int, couplings: Mapping[tuple[int, int], int]) -> list[list[int]]:
    """A shift matrix from ``{(source, destination): shift}``; all else is off."""
    A = off(states)
    for (source, destination), exponent in couplings.items():
        A[source][destination] = exponent
    return A


def added(counts: dict[str, int], more: Mapping[str, int]) -> None:
    """Adds the counts of one run to those of all before."""
    for name, count in more.items():
        counts[name] = counts.get(name, 0) + count
