"""What a study and whoever runs it ask for together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from neurosim.errors import InputError
from neurosim.spec.study import Study, flattened, has_keys
from neurosim.sweeps.axes import Axis, axis_of, titled, variants_of


def over_study(
    study: Study, name: str, axes: Sequence[Axis], settings: Mapping[str, Any], problems: list[str]
) -> tuple[list[Axis], dict[str, Any]]:
    """A study's axes and settings with what else was asked for; adds to ``problems``."""
    merged: dict[str, Axis] = {}
    for key, values in study.axes.items():
        try:
            merged[key] = _axis(key, values)
        except InputError as error:
            problems += [f"study {name}: {problem}" for problem in error.problems]
    for axis in axes:
        there = merged.get(axis.name)
        try:
            merged[axis.name] = axis if there is None else there.with_values(axis)
        except InputError as error:
            problems += error.problems
    given = {
        "design": study.design, "count": study.points, "repeats": study.repeats, "chip": study.chip, "seed": study.seed,
        "ideal": study.ideal, "host_loop": study.host_loop, "same_chip": study.same_chip, "curves": study.curves,
    }  # fmt: skip
    if "design" in settings:  # the study's number of points was meant for its own
        given["count"] = None
    overrides = {**flattened(study.overrides), **settings.get("overrides", {})}
    return list(merged.values()), {**given, **settings, "overrides": overrides}


def _axis(name: str, values: Any) -> Axis:
    """An axis as a study has it."""
    if not isinstance(values, Mapping):
        return axis_of(name, values)
    if has_keys(values):
        return titled(name, values["keys"], values["values"])
    return variants_of(name, {each: flattened(settings) for each, settings in values.items()})
