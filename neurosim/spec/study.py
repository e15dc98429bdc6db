"""The study file: a sweep with a name, which scenario, which axes, how often (docs/sweeps.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from neurosim import files
from neurosim.registry import Parameters
from neurosim.spec import load

Design = Literal["grid", "lhs", "sobol", "oat"]


class Study(Parameters):
    """A sweep as a file: what ``neurosim sweep`` takes on its command line."""

    scenario: str = Field(description="the scenario that is swept: a shipped one, or the path of a file")
    axes: dict[str, Any] = Field(
        min_length=1,
        description="key path = values: a list, or text as behind --axis; title = {keys = [...], values = ...}; or of "
        "named sets of settings: title = {name = {key = setting, ...}, ...}",
    )
    design: Design = Field(default="grid", description="which combinations are run")
    points: int | None = Field(default=None, ge=1, description="how many, of the designs lhs and sobol")
    repeats: int = Field(default=1, ge=1, description="runs of each point, with the same seeds everywhere")
    overrides: dict[str, Any] = Field(default={}, description="settings at all points, as behind --set")
    chip: str | None = Field(default=None, description="another chip than the scenario's")
    seed: int | None = Field(default=None, ge=0, description="seed of the first repeat")
    ideal: bool = Field(default=False, description="every imperfection of the chip off")
    host_loop: bool = Field(default=False, description="perturb and write through the host link where the chip cannot")
    same_chip: bool = Field(default=False, description="all repeats on one virtual chip")
    curves: bool = Field(default=False, description="keep the evaluations of every point")

    @field_validator("axes")
    @classmethod
    def _axes(cls, axes: dict[str, Any]) -> dict[str, Any]:
        problems = []
        for name, values in axes.items():
            if isinstance(values, Mapping):
                problems += [f"{name}{problem}" for problem in _problems(name, values)]
            elif not isinstance(values, str | list):
                problems.append(f"{name} = {values!r}: must be a list of values, text, or a table")
        if problems:
            raise ValueError("\n".join(problems))
        return axes


def has_keys(values: Mapping[str, Any]) -> bool:
    """Whether an axis's table has keys and values, rather than named sets of settings."""
    return "keys" in values


def _problems(name: str, values: Mapping[str, Any]) -> list[str]:
    """What is wrong with the table of an axis."""
    if name in load.ROOTS:
        return [': write a key path in quotes, for example "training.tau_theta" = [1, 10]']
    if has_keys(values):
        keys = values["keys"]
        found = [f".{key}: unknown key (allowed: keys, values)" for key in values if key not in ("keys", "values")]
        if not (isinstance(keys, list) and keys and all(isinstance(key, str) for key in keys)):
            found.append(f".keys = {keys!r}: must be a list of key paths")
        if not isinstance(values.get("values"), str | list):
            found.append(".values: must be a list of values, or text")
        return found
    if not values:
        return [": has no values, so it selects nothing"]
    return [
        f".{each}: must be a table of settings"
        for each, settings in values.items()
        if not (isinstance(settings, Mapping) and settings)
    ]


def load_table(name: str) -> dict[str, Any]:
    """The table of a scenario or of a study: a shipped one, or a file; raises InputError."""
    return load.read_toml(files.find("scenario", name, "study"))


def flattened(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as key paths and values, the model of a table before its other keys."""
    return dict(_leaves(table, prefix))


def _leaves(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in sorted(table.items(), key=lambda item: item[0] != "model"):
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
