"""The JSON Schema of chip files, for editors: completion, descriptions and errors while a chip is written.

It is what pydantic says about :class:`neurosim.spec.chip.Chip`, in the shape that TOML has: quantities may be text with
a unit (``"23.6 pJ"``), there is no null, prices are named by countables, and the weight device is one of the registered
models. What one key says about another (intervals that hold their value, ranges that overlap) no schema can say:
``neurosim chip validate`` does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from neurosim import registry
from neurosim.spec.chip import Chip
from neurosim.spec.countables import COUNTABLES
from neurosim.units import PREFIXES, TIME_WORDS

DIALECT = "http://json-schema.org/draft-07/schema#"
"""The youngest that all TOML editors know."""

UNITS = {"s": "s", "J": "J", "W": "W", "V": "V", "S": "S", "Hz": "Hz", "ohm": "Ohm"}
"""Units of quantities that may be text, by the ends of their keys."""

CORES = {"description": "a core or a range of cores", "pattern": r"^\s*[0-9]+(\.\.[0-9]+)?\s*$", "type": "string"}

Table = dict[str, Any]


def chip_schema() -> Table:
    """The schema, with the devices that are registered now; a new dictionary each time."""
    schema: Table = _walk(Chip.model_json_schema(), _fit)
    definitions: Table = schema["$defs"]
    definitions.pop("ModelParameters")
    definitions["Device"] = _devices(definitions)
    definitions["Synapse"]["properties"]["device"]["allOf"] = [{"$ref": "#/$defs/Device"}]
    definitions["CoreRange"]["properties"]["cores"] |= _core_or_range()
    definitions["Faults"]["properties"]["dead_cores"]["items"] = _core_or_range()
    schema["properties"]["prices"] = {
        "additionalProperties": False,
        "description": "what one of each countable costs",
        "properties": {
            name: {"allOf": [{"$ref": "#/$defs/Price"}], "description": said} for name, said in COUNTABLES.items()
        },
        "title": "prices",
        "type": "object",
    }
    return {"$schema": DIALECT, **schema, "title": "neurosim chip"}


def _core_or_range() -> Table:
    """7, "7" or "0..15"."""
    return {"anyOf": [dict(CORES), {"minimum": 0, "type": "integer"}]}


def _walk(node: Any, change: Callable[[Table], Table]) -> Any:
    """``change`` applied to every table, innermost first."""
    if isinstance(node, dict):
        return change({key: _walk(value, change) for key, value in node.items()})
    if isinstance(node, list):
        return [_walk(item, change) for item in node]
    return node


def _fit(node: Table) -> Table:
    """What TOML needs of one table of the schema: no null, quantities as text, titles that are the keys."""
    if isinstance(node.get("anyOf"), list):
        choices = [choice for choice in node["anyOf"] if choice != {"type": "null"}]
        node = {key: value for key, value in node.items() if key != "anyOf"}
        node |= choices[0] if len(choices) == 1 else {"anyOf": choices}
    bounds = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
    node = {bounds.get(key, key) if _is_number(value) else key: value for key, value in node.items()}
    if node.get("default", ...) is None or isinstance(node.get("default"), dict):
        del node["default"]  # a key may be left out; a table's own keys have their defaults
    if "$ref" in node and len(node) > 1:  # whatever stands beside a $ref is not looked at
        node["allOf"] = [{"$ref": node.pop("$ref")}]
    if isinstance(node.get("properties"), dict):
        node["properties"] = {name: _named(name, about) for name, about in node["properties"].items()}
    return node


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _named(name: str, about: Table) -> Table:
    """A key of a table: its name as title, and text where its name carries a unit."""
    unit = UNITS.get(name.rsplit("_", 1)[-1], "") if "_" in name else ""
    about = {**about, "title": name}
    if not unit:
        return about
    if about.get("type") == "array":
        return {**about, "items": _quantity(about["items"], unit)}
    return _quantity(about, unit)


def _quantity(about: Table, unit: str) -> Table:
    """A number, or text with a unit."""
    limits = {key: about.pop(key) for key in ("type", "minimum", "exclusiveMinimum", "maximum") if key in about}
    described = f"{about['description']}, in {unit}" if "description" in about else f"in {unit}"
    text = {"description": f'such as "20 m{unit}"', "pattern": _pattern(unit, "minimum" in limits), "type": "string"}
    return {**about, "anyOf": [limits, text], "description": described}


def _pattern(unit: str, positive: bool) -> str:
    """What ``neurosim.units.parse`` reads, as a regular expression that every dialect knows."""
    sign = r"\+?" if positive else "[-+]?"
    prefixes = "".join(PREFIXES)
    words = f"|{'|'.join(TIME_WORDS)}" if unit == "s" else ""
    return rf"^\s*{sign}([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*([{prefixes}]?{unit}{words})?\s*$"


def _devices(definitions: Table) -> Table:
    """One of the registered devices: by name, or as a table with its parameters."""
    names = registry.names("device")
    presets = registry.presets("device")
    choices: list[Table] = [{"enum": [*names, *presets], "type": "string"}]
    for name in names:
        about: Table = _walk(registry.find("device", name).schema.model_json_schema(), _fit)
        definitions.update(about.pop("$defs", {}))
        about["properties"]["model"] = {"const": name, "description": "name of the model", "title": "model"}
        about["required"] = sorted({*about.get("required", ()), "model"})
        definitions[f"device-{name}"] = about
        choices.append({"$ref": f"#/$defs/device-{name}"})
    if presets:
        model: Table = {"enum": presets, "description": "name of a preset, whose parameters are the defaults"}
        choices.append({"type": "object", "properties": {"model": model}, "required": ["model"]})
    return {"anyOf": choices, "description": "a weight device: its name, or a table with its parameters"}
