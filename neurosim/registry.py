"""The one decorator that registers models and their parameter schemas.

A model is one file: a docstring with equation and source, a schema class (its parameters with units and
limits) under ``@register(kind, name)``, and its equations as plain scalar functions in the numba subset, at
module level, under the names that its kind prescribes. Packages outside neurosim do the same and announce
their module through the entry-point group ``neurosim.models``.

Kinds and the functions that a model file must define:

============  ==========================================================================================
kind          functions
============  ==========================================================================================
rate          ``activate(z)``, ``derivative(z, a)``
spiking       ``integrate(v, current, leak)``
dynamic       ``integrate``, ``fires``, ``reset`` and the constants ``STATES``, ``RECEPTORS`` (``neurons/dynamic.py``)
plasticity    ``on_pre``, ``on_post``: a weight after a spike of either side (``plasticity/base.py``)
device        ``step(w, up, scale_up, scale_down, w_min, w_max, ...)``: the mean change by one pulse (``devices/``)
perturbation  ``fill(words, seed, block)``, ``value(word, n, size, amplitude)`` and the constant ``BLOCK``
cost          ``cost(y, target, smoothing)``, ``gradient(y, target, smoothing, out)``, ``residual(c)``
experiment    ``run(parameters, seed)``: drives a network and says whether its claims hold
input         none: neurons that fire when they are told to
integer       none: the schema says what a kernel of whole numbers is to do
trainer       none: the schema says what is perturbed, measured and written
============  ==========================================================================================
"""

from __future__ import annotations

import difflib
import importlib
import sys
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

from neurosim.errors import InputError

REQUIRED = {
    "rate": ("activate", "derivative"),
    "spiking": ("integrate",),
    "input": (),
    "integer": (),
    "dynamic": ("integrate", "fires", "reset", "STATES", "RECEPTORS"),
    "plasticity": ("on_pre", "on_post"),
    "device": ("step",),
    "perturbation": ("fill", "value", "BLOCK"),
    "cost": ("cost", "gradient", "residual"),
    "trainer": (),
    "experiment": ("run",),
}


class Parameters(BaseModel):
    """Base of every description: frozen, unknown keys are errors, numbers must be finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)


class ModelParameters(Parameters):
    """Base of every registered model's schema; ``model`` names the model."""

    model: str


@dataclass(frozen=True)
class Model:
    """A registered model: where its schema and its equations are."""

    kind: str
    name: str
    schema: type[ModelParameters]
    module_name: str

    @property
    def module(self) -> ModuleType:
        """The module that holds the model's equations."""
        return sys.modules[self.module_name]


_MODELS: dict[tuple[str, str], Model] = {}
_STAGES: set[str] = set()
_PRESETS: dict[tuple[str, str], Path] = {}
_Schema = TypeVar("_Schema", bound=type[ModelParameters])


def register(kind: str, name: str) -> Callable[[_Schema], _Schema]:
    """Class decorator: register a schema as the model ``name`` of ``kind``.

    Raises ValueError when the kind is unknown or another module has taken the name.
    """
    if kind not in REQUIRED:
        raise ValueError(f"unknown kind {kind!r}; known: {', '.join(REQUIRED)}")

    def add(schema: _Schema) -> _Schema:
        known = _MODELS.get((kind, name))
        if known is not None and known.module_name != schema.__module__:
            raise ValueError(f"{kind} {name!r} is already registered by {known.module_name}")
        _MODELS[kind, name] = Model(kind, name, schema, schema.__module__)
        return schema

    return add


def add_presets(kind: str, folder: Path) -> None:
    """Let the TOML files of a folder be named like models: each has a table ``[kind]`` with a model and numbers."""
    _PRESETS.update({(kind, path.stem): path for path in sorted(folder.glob("*.toml"))})


def presets(kind: str) -> list[str]:
    """Names of all presets of one kind, sorted."""
    return sorted(name for known, name in _PRESETS if known == kind)


def names(kind: str) -> list[str]:
    """Names of all registered models of one kind, sorted."""
    return sorted(name for known, name in _MODELS if known == kind)


def find(kind: str, name: str) -> Model:
    """The model ``name`` of ``kind``; raises InputError with a near miss."""
    model = _MODELS.get((kind, name))
    if model is None:
        raise InputError(unknown(name, names(kind), f"{kind} model"))
    missing = [item for item in REQUIRED[kind] if not hasattr(model.module, item)]
    if missing:
        raise InputError(f"{kind} model {name!r} ({model.module_name}) does not define {', '.join(missing)}")
    return model


def unknown(value: object, known: list[str], what: str) -> str:
    """One line for an unknown name: what it was, what is allowed, and a near miss where there is one."""
    near = difflib.get_close_matches(str(value), known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown {what} {value!r}{hint} (known: {', '.join(known)})"


def validated(kind: str, value: Any) -> ModelParameters:
    """Parameters of a model of ``kind`` from a name, a table with the key ``model``, or a ready schema.

    Where a preset is named instead of a model, its parameters are the defaults of the table.
    """
    if isinstance(value, ModelParameters):
        return value
    if isinstance(value, str):
        value = {"model": value}
    if not isinstance(value, dict) or not isinstance(value.get("model"), str):
        raise ValueError(f"must be the name of a {kind} model, or a table with the key 'model'")
    name = value["model"]
    if (kind, name) not in _MODELS and presets(kind):
        if (kind, name) not in _PRESETS:
            raise ValueError(unknown(name, [*names(kind), *presets(kind)], f"{kind} model"))
        table = tomllib.loads(_PRESETS[kind, name].read_text(encoding="utf-8"))[kind]
        value = {**table, **{key: each for key, each in value.items() if key != "model"}}
    try:
        schema = find(kind, value["model"]).schema
    except InputError as error:
        raise ValueError(str(error)) from None
    return schema.model_validate(value)


def load_entry_points() -> list[str]:
    """Import every module announced under ``neurosim.models``, after all built-in ones; returns their names."""
    loaded = []
    for entry in entry_points(group="neurosim.models"):
        importlib.import_module(entry.module)
        loaded.append(entry.module)
    _STAGES.add("complete")
    return loaded


def is_complete() -> bool:
    """Whether all models have been imported, so that a name that is not there is wrong."""
    return "complete" in _STAGES
