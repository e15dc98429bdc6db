"""Read scenario and chip files, apply overrides, and say everything that is wrong with them at once."""

from __future__ import annotations

import difflib
import re
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from neurosim import files, registry
from neurosim.errors import InputError
from neurosim.spec.chip import Chip, ideal
from neurosim.spec.scenario import ExperimentScenario, Scenario

ROOTS = ("chip", "network", "task", "training", "experiment", "probes", "stop", "seed")
_Spec = TypeVar("_Spec", bound=BaseModel)


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; raises InputError with the line when it is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read: {error.strerror or error}", str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not a TOML file: {error}", str(path)) from None


def summary_line(path: Path) -> str:
    """The first comment line of a scenario file: what it shows."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            return line.lstrip("# ").strip()
    return ""


def load_chip_table(name: str) -> dict[str, Any]:
    """The table of a shipped chip, of a chip file, or of a derived chip such as NAME-with-perturbation."""
    for suffix, derive in DERIVED.items():
        if name.endswith(suffix) and name not in files.available("chip"):
            return derive(load_chip_table(name.removesuffix(suffix)))
    return read_toml(files.find("chip", name))


def with_perturbation(table: Mapping[str, Any]) -> dict[str, Any]:
    """A chip with the perturbation and learning hardware that it lacks, marked hypothetical."""
    able = table.get("capabilities", {})

    def all_of(key: str, *more: str) -> list[str]:
        return list(dict.fromkeys([*able.get(key, ()), *more]))

    added = {
        "perturbation_mechanisms": all_of("perturbation_mechanisms", "side-element", "node"),
        "codes": all_of("codes", *registry.names("perturbation")),
        "cost_units": all_of("cost_units", "digital"),
        "differences": all_of("differences", "baseline", "two-sided", "two-noisy", "high-pass"),
        "gradient_integrators": True,
        "delta_memory": True,
        "delay_matching": True,
    }
    derived = _hypothetical(table, "-with-perturbation", added)
    if table.get("astrocyte", {}).get("cost_unit") == "host":  # its cost is the host's, and priced so
        derived = merge(derived, {"astrocyte": {"cost_unit": "digital"}, "prices": {"cost_evaluated": None}})
        derived["prices"]["cost_evaluated"] = dict(_COST_UNIT)
    return derived


_COST_UNIT = {
    "energy_J": "50 pJ", "low_J": "5 pJ", "high_J": "500 pJ", "latency_s": "50 ns", "low_s": "5 ns", "high_s": "500 ns",
    "kind": "assumed",
    "source": "a digital cost unit of ten outputs: table look-ups, multiplications, a logarithm; hypothetical",
}  # fmt: skip


def with_transpose_read(table: Mapping[str, Any]) -> dict[str, Any]:
    """A chip whose arrays are read along their rows too, for backpropagation on it, marked hypothetical."""
    added = {"transpose_read": True, "gradient_integrators": True}
    return _hypothetical(table, "-with-transpose-read", added)


def _hypothetical(table: Mapping[str, Any], suffix: str, added: Mapping[str, Any]) -> dict[str, Any]:
    return merge(table, {"name": f"{table.get('name')}{suffix}", "hypothetical": True, "capabilities": added})


def without_imperfections(table: Mapping[str, Any]) -> dict[str, Any]:
    """A chip with every imperfection off (`spec.chip.ideal`), so that one alone can be set on top."""
    name = f"{table.get('name')}-ideal"
    perfect = ideal(validate(Chip, dict(table), f"chip {table.get('name')}", root="chip."))
    parts = ("synapse", "neuron", "periphery", "array", "perturbation", "astrocyte")
    made = {part: getattr(perfect, part).model_dump(exclude_none=True) for part in parts}
    made["synapse"]["device"] = perfect.synapse.device.model  # by name, so that another device has its own defaults
    summary = f"every imperfection off; otherwise: {table.get('summary')}"
    return {**table, **made, "faults": [], "name": name, "summary": summary, "hypothetical": True}


DERIVED = {
    "-with-perturbation": with_perturbation,
    "-with-transpose-read": with_transpose_read,
    "-ideal": without_imperfections,
}
"""Chips NAME-SUFFIX that have hardware which NAME lacks, or no imperfections."""


def load_chip(name: str) -> Chip:
    """A shipped chip or a chip file, validated."""
    return validate(Chip, load_chip_table(name), f"chip {name}", root="chip.")


def load_scenario_table(name: str) -> dict[str, Any]:
    """The table of a shipped scenario, or of a scenario file; raises InputError where it is a study."""
    table = read_toml(files.find("scenario", name, "study"))
    if is_study(table):
        raise InputError(f"{name} is a study: a sweep over a scenario; run it with: neurosim sweep {name}")
    return table


def resolve(
    table: Mapping[str, Any],
    *,
    where: str,
    chip: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    seed: int | None = None,
    make_ideal: bool = False,
) -> Scenario:
    """The scenario that a table, a chip and overrides describe.

    ``table["chip"]`` is a chip's name, or a table with ``name`` and keys to override in that chip. Raises
    InputError listing every problem with its key path.
    """
    merged = _merged(table, where, chip, overrides, seed)
    scenario = validate(Scenario, merged, where)
    return scenario.model_copy(update={"chip": ideal(scenario.chip)}) if make_ideal else scenario


def is_experiment(table: Mapping[str, Any]) -> bool:
    """Whether a scenario's table drives a network by hand, rather than training one on a task."""
    return "experiment" in table


def is_study(table: Mapping[str, Any]) -> bool:
    """Whether a file's table is that of a sweep over a scenario (`spec.study`) rather than of a scenario."""
    return "axes" in table and not {"network", "experiment"} & set(table)


def resolve_experiment(
    table: Mapping[str, Any],
    *,
    where: str,
    chip: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    seed: int | None = None,
) -> ExperimentScenario:
    """As ``resolve``, for a scenario with the root ``experiment``."""
    return validate(ExperimentScenario, _merged(table, where, chip, overrides, seed), where)


def _merged(
    table: Mapping[str, Any], where: str, chip: str | None, overrides: Mapping[str, Any] | None, seed: int | None
) -> dict[str, Any]:
    """The table with its whole chip in it, and the overrides over all."""
    merged: dict[str, Any] = dict(table)
    chip_entry = merged.get("chip")
    chip_overrides: Mapping[str, Any] = {}
    if isinstance(chip_entry, Mapping):
        chip_overrides = {key: value for key, value in chip_entry.items() if key != "name"}
        chip_entry = chip_entry.get("name")
    name = chip if chip is not None else chip_entry
    if not isinstance(name, str):
        raise InputError('chip: missing; name a shipped chip or a path, for example chip = "analog-if"', where)
    whole = _is_whole_chip(chip_overrides) and chip is None
    merged["chip"] = {"name": name, **chip_overrides} if whole else merge(load_chip_table(name), chip_overrides)
    problems: list[str] = []
    for key, value in (overrides or {}).items():
        try:
            set_key(merged, key, value)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems, where)
    if seed is not None:
        merged["seed"] = seed
    return merged


def _is_whole_chip(table: Mapping[str, Any]) -> bool:
    """A resolved scenario (the text inside a trace) carries its whole chip and needs no chip file."""
    return all(key in table for key in ("geometry", "capabilities", "synapse", "static"))


def merge(base: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` with the keys of ``extra`` over it, table by table.

    A table that names another ``model`` replaces the old one: parameters of one model mean nothing to another.
    """
    out = dict(base)
    for key, value in extra.items():
        old = out.get(key)
        if (
            isinstance(value, Mapping)
            and isinstance(old, Mapping)
            and value.get("model", old.get("model")) == old.get("model")
        ):
            out[key] = merge(old, value)
        else:
            out[key] = value
    return out


def parse_override(text: str) -> tuple[str, Any]:
    """``key.path=value`` as on the command line; the value is TOML, or else plain text."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set {text!r}: write key.path=value, for example training.learning_rate=0.5")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value


def set_key(table: dict[str, Any], path: str, value: Any) -> None:
    """Set ``a.b.c`` in nested tables; ``network.layers.0.size`` and ``network.layers.hidden.size`` reach into lists."""
    *parents, last = path.split(".")
    root = (parents or [last])[0]
    if root not in ROOTS:
        near = difflib.get_close_matches(root, ROOTS, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InputError(f"{path}: unknown root {root!r}{hint} (roots: {', '.join(ROOTS)})")
    here: Any = table
    for part in parents:
        here = _child(here, part, path)
    if isinstance(here, list):
        here[_index(here, last, path)] = value
        return
    if not isinstance(here, dict):
        raise InputError(f"{path}: {parents[-1]!r} is not a table")
    if last == "model" and here.get("model") != value:
        here.clear()
    if isinstance(value, str) and isinstance(here.get(last), Mapping) and "model" in here[last]:
        value = {"model": value}
    here[last] = value


def _child(here: Any, part: str, path: str) -> Any:
    if isinstance(here, list):
        return here[_index(here, part, path)]
    if not isinstance(here, dict):
        raise InputError(f"{path}: there is no table at {part!r}")
    child = here.setdefault(part, {})
    if isinstance(child, str):  # a model given by its bare name
        child = here[part] = {"model": child}
    elif isinstance(child, (tuple, list)):
        child = here[part] = [dict(item) if isinstance(item, Mapping) else item for item in child]
    elif isinstance(child, Mapping):
        child = here[part] = dict(child)
    return child


def _index(items: list[Any], part: str, path: str) -> int:
    names = [str(item.get("name")) if isinstance(item, Mapping) else "" for item in items]
    if part in names:
        return names.index(part)
    if part.isdigit() and int(part) < len(items):
        return int(part)
    raise InputError(f"{path}: no item {part!r} (items: {', '.join(names)}, or 0 to {len(items) - 1})")


def validate(schema: type[_Spec], table: Any, where: str, root: str = "") -> _Spec:
    """``table`` as ``schema``; raises InputError with one line per problem."""
    truths = _truths(schema, table, root)
    try:
        made = schema.model_validate(table)
    except ValidationError as error:
        lines = explain(error, schema, table, root)
        known = tuple(line.partition(" = ")[0] for line in lines)
        raise InputError([*lines, *(line for line in truths if line.partition(" = ")[0] not in known)], where) from None
    if truths:
        raise InputError(truths, where)
    return made


def _truths(schema: type[BaseModel], table: Any, root: str) -> list[str]:
    """True and false where a number belongs: Python takes them for 1 and 0, so that pydantic lets them pass."""
    if not isinstance(table, Mapping):
        return []
    fields = {key: field.annotation for key, field in schema.model_fields.items() if key in table}
    return [line for key, kind in fields.items() for line in _truths_in(kind, table[key], f"{root}{key}")]


def _truths_in(kind: Any, value: Any, path: str) -> list[str]:
    if isinstance(value, bool):
        return [f"{path} = {value}: must be a number, not true or false"] if _is_number(kind) else []
    inner = _unwrap(kind)
    if isinstance(value, (list, tuple)):
        return [line for k, item in enumerate(value) for line in _truths_in(inner, item, f"{path}.{k}")]
    if not isinstance(value, Mapping):
        return []
    if typing.get_origin(kind) is dict:
        return [line for key, item in value.items() for line in _truths_in(inner, item, f"{path}.{key}")]
    if isinstance(inner, list):  # members of a union, told apart by their tag
        tagged = [member for member in inner if isinstance(member, type) and _has_tag(member, value.get("type"))]
        inner = tagged[0] if tagged else None
    if isinstance(inner, type) and issubclass(inner, registry.ModelParameters):
        inner = _schema_of(value)
    return _truths(inner, value, f"{path}.") if isinstance(inner, type) and issubclass(inner, BaseModel) else []


def _is_number(kind: Any) -> bool:
    """Whether a type has numbers and no truth values."""
    parts = [kind] if isinstance(kind, type) else list(kind) if isinstance(kind, list) else [
        part for part in typing.get_args(kind) if part not in (type(None), Ellipsis)
    ]  # fmt: skip
    return bool(parts) and all(
        part in (int, float) or (not isinstance(part, type) and _is_number(part)) for part in parts
    )


def explain(error: ValidationError, schema: type[BaseModel], table: Any, root: str = "") -> list[str]:
    """One line per problem of ``table``: key path, value, what is allowed, and a near miss for unknown keys."""
    lines: list[str] = []
    for item in error.errors(include_url=False):
        owner, loc = _descend(schema, tuple(part for part in item["loc"] if part != "[key]"), table)
        path = (root + ".".join(loc)).rstrip(".")
        if item["type"] == "extra_forbidden":
            allowed = [key for key in owner.model_fields if key != "model"] if owner else []
            near = difflib.get_close_matches(loc[-1], allowed, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            lines.append(f"{path}: unknown key{hint} (allowed: {', '.join(allowed) or 'none'})")
        elif item["type"] == "missing":
            lines.append(f"{path}: missing")
        else:
            message = item["msg"].removeprefix("Value error, ")
            message = message[0].lower() + message[1:] if message[:5] in ("Input", "Strin", "Value") else message
            if item["loc"][-1:] == ("[key]",):
                lines.append(f"{path}: {message}")
            else:
                lines += [_placed(path, item["input"], part) for part in message.splitlines() or [message]]
    return lines


def _placed(path: str, given: Any, message: str) -> str:
    """One problem behind its key path; what is wrong inside a table or list may say where, as ``key = value: why``."""
    if re.match(r"[\w.]+ = ", message):
        return f"{path}.{message}"
    if isinstance(given, Mapping):
        return f"{path}: {message}"
    return f"{path} = {_brief(given)}: {message}"


def _schema_of(table: Any) -> type[BaseModel] | None:
    """The registered schema that a table with the key ``model``, or a bare name, is read with."""
    name = table.get("model") if isinstance(table, Mapping) else table
    for kind in registry.REQUIRED:
        if name in registry.names(kind):
            return registry.find(kind, str(name)).schema
    return None


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _descend(
    schema: type[BaseModel], loc: tuple[int | str, ...], table: Any
) -> tuple[type[BaseModel] | None, list[str]]:
    """The schema that owns the last part of ``loc``, and the path without pydantic's own union tags."""
    owner: type[BaseModel] | None = schema
    current: Any = schema
    path: list[str] = []
    for part in loc:
        if isinstance(current, list):
            tagged = [choice for choice in current if isinstance(choice, type) and _has_tag(choice, part)]
            if tagged:
                current = tagged[0]
                continue
        if current is registry.ModelParameters:
            current = _schema_of(table)
        path.append(str(part))
        table = _item(table, part)
        if isinstance(current, type) and issubclass(current, BaseModel):
            owner = current
            field = current.model_fields.get(str(part))
            current = _unwrap(field.annotation) if field else None
    return owner, path


def _item(table: Any, part: int | str) -> Any:
    """The value at ``part`` of a table or list; None where there is none."""
    if isinstance(table, Mapping):
        return table.get(part)
    if isinstance(table, (list, tuple)) and isinstance(part, int) and part < len(table):
        return table[part]
    return None


def _has_tag(schema: type, part: object) -> bool:
    field = schema.model_fields.get("type") if issubclass(schema, BaseModel) else None
    return field is not None and part in typing.get_args(field.annotation)


def _unwrap(annotation: Any) -> Any:
    """A model class, a list of union members, or whatever a tuple or dict holds of them."""
    origin = typing.get_origin(annotation)
    arguments = [item for item in typing.get_args(annotation) if item not in (type(None), Ellipsis)]
    if origin in (typing.Union, types.UnionType):
        return arguments if len(arguments) > 1 else _unwrap(arguments[0])
    if origin is dict:
        return _unwrap(arguments[1])
    if origin in (tuple, typing.Annotated) and arguments:
        return _unwrap(arguments[0])
    return annotation
