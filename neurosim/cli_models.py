"""Registered models: which there are, and their equations and parameters."""

from __future__ import annotations

import inspect
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from neurosim import experiments, models, registry, training
from neurosim.cli_out import plain, put, put_json, table
from neurosim.errors import InputError
from neurosim.registry import Model

_LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def listing(as_json: bool, kind: str | None = None) -> None:
    """All models, or those of one kind."""
    found = rows(kind)
    if as_json:
        put_json({"models": found})
        return
    outside = any(not str(row["module"]).startswith("neurosim.") for row in found)
    columns = (*(() if kind else ("kind",)), "name", "about", *(("module",) if outside else ()))
    put(table([column if column != "about" else "" for column in columns],
              [[row[column] for column in columns] for row in found]))  # fmt: skip


def rows(kind: str | None = None) -> list[dict[str, Any]]:
    """All models, or those of one kind: kind, name, first line, module."""
    _load()
    return [
        {"kind": each, "name": name, "about": _about(model), "module": model.module_name}
        for each in ([kind] if kind else registry.REQUIRED)
        for name in registry.names(each)
        for model in [registry.find(each, name)]
    ]


def show(name: str, kind: str | None, as_json: bool) -> None:
    """One model: its text, and what can be set."""
    _load()
    model = _find(name, kind)
    settings = parameters(model)
    if as_json:
        put_json({"kind": model.kind, "name": model.name, "module": model.module_name, "parameters": settings})
        return
    plain(f"{model.kind} {model.name}, from {model.module_name}\n")
    plain(inspect.cleandoc(model.module.__doc__ or "") + "\n")
    put(table(
        ("parameter", "default", "type", "allowed", ""),
        [(row["name"], row["default"], row["type"], row["allowed"], row["about"]) for row in settings],
    ))  # fmt: skip


def _load() -> None:
    models.load_builtin()
    training.load_builtin()
    experiments.load_builtin()


def _find(name: str, kind: str | None) -> Model:
    if kind is not None:
        if kind not in registry.REQUIRED:
            raise InputError(registry.unknown(kind, list(registry.REQUIRED), "kind of model"))
        return registry.find(kind, name)
    kinds = [each for each in registry.REQUIRED if name in registry.names(each)]
    if len(kinds) > 1:
        raise InputError(f"{name!r} is the name of several models; choose with --kind {' or --kind '.join(kinds)}")
    if not kinds:
        known = sorted({known for each in registry.REQUIRED for known in registry.names(each)})
        raise InputError(registry.unknown(name, known, "model"))
    return registry.find(kinds[0], name)


def _about(model: Model) -> str:
    """The first line of the model's file."""
    return (model.module.__doc__ or "").strip().split("\n")[0]


def parameters(model: Model) -> list[dict[str, Any]]:
    """What a user may set, in order."""
    return [
        {
            "name": name, "default": _default(field), "type": _type(field.annotation), "allowed": _allowed(field),
            "about": field.description or "",
        }
        for name, field in model.schema.model_fields.items()
        if name != "model"
    ]  # fmt: skip


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "(required)"
    if isinstance(field.default, float):
        return f"{field.default:g}"
    return "none" if field.default is None else str(field.default)


def _type(annotation: Any) -> str:
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(parts[0])
    if origin is tuple:
        return f"tuple[{', '.join('...' if each is Ellipsis else _type(each) for each in parts)}]"
    if origin in (Union, UnionType):
        return " | ".join("None" if each is NoneType else _type(each) for each in parts)
    name = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    for noise in ("typing.", "Literal", "neurosim.registry.", "NoneType"):
        name = name.replace(noise, "")
    return name


def _allowed(field: FieldInfo) -> str:
    parts = [
        f"{word} {getattr(item, limit):g}"
        for item in field.metadata
        for limit, word in _LIMITS.items()
        if isinstance(getattr(item, limit, None), int | float)
    ]
    return ", ".join(parts)
