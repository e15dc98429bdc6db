"""Chips: show, check, compare, and the schema that editors check them by."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from neurosim import accounting, models, registry
from neurosim.accounting import ACTIONS, PriceTable
from neurosim.cli_out import console, interval, plain, put, put_json, quantity, table
from neurosim.errors import InputError
from neurosim.spec import load
from neurosim.spec.chip import Chip
from neurosim.spec.countables import UNITS as UNITS_OF_A_CHIP
from neurosim.spec.geometry import Geometry
from neurosim.units import UNITS

APART = ("name", "summary", "prices", "static")
"""Keys of a chip that are not among its plain settings."""

SPIKING_NEEDS = ("neuron_visited", "neuron_updated", "neuron_fired", "synaptic_event", "message", "barrier")
"""What any network of spiking neurons makes a chip do."""


# show


def show(name: str, as_json: bool) -> None:
    """Everything about one chip."""
    models.load_builtin()
    chip = load.load_chip(name)
    prices = accounting.price_table(chip)
    if as_json:
        by_unit = {unit: list(names) for unit, names in UNITS_OF_A_CHIP.items()}
        priced = {row["action"]: row for row in costs(chip, prices)}
        put_json({**chip.model_dump(mode="json"), "prices": priced, "units": by_unit, "whole": _whole(chip)})
        return
    kind = " (HYPOTHETICAL: it declares what nobody has built)" if chip.hypothetical else ""
    put(f"{chip.name}{kind}: {chip.summary}", "")
    put(table(("", ""), about(chip)), "")
    put(table(("static power", "", "interval", "kind", "source"), _static_rows(chip)), "")
    put(*_cost_table(chip, prices), "")
    settings = flat({key: value for key, value in chip.model_dump(mode="json").items() if key not in APART})
    put(whole_words(table(("setting", "value"), [(key, said(key, value)) for key, value in settings.items()])))
    missing = unpriced(prices)
    if missing:
        put(f"\nno price: {', '.join(missing)} (a run that counts one of them is refused)")
    put(f"\n{int(prices.assumed.sum())} of {int(prices.priced.sum())} prices are assumed")


def about(chip: Chip) -> list[tuple[str, str]]:
    """The chip's build in words: cores, mesh, what a core holds, where the numbers were taken."""
    geometry, timing, point = chip.geometry, chip.timing, chip.operating_point
    chips = "1 chip" if geometry.chips == 1 else f"{geometry.chips} chips, {geometry.columns} in a row"
    rows = [
        ("cores", f"{geometry.cores:,} a chip, {chips}"),
        ("mesh", _mesh(geometry)),
        ("a core holds", _holds(geometry)),
        *((f"cores {part.cores}", _range(part)) for part in geometry.ranges),
        ("memory of a core", _memory(geometry)),
        ("operating point", _point(point.voltage_V, point.clock_Hz, point.process_nm, point.note)),
        ("timing", _timing(chip)),
    ]
    if timing.barrier_tiles:
        steps = zip(timing.barrier_tiles, timing.barrier_s, strict=True)
        said_of = [f"{quantity(s, 's')} from {tiles} tile{'s' * (tiles > 1)} on" for tiles, s in steps]
        rows.append(("barrier", ", ".join(said_of)))
    for fault in chip.faults:
        when = f"from tick {fault.tick} on" if fault.tick else "from fabrication on"
        share = 100.0 * fault.dead_synapse_fraction
        broken = [
            f"cores {', '.join(fault.dead_cores)}" if fault.dead_cores else "",
            f"links {', '.join(fault.dead_links)}" if fault.dead_links else "",
            f"{share:g} % of the synapses" if share else "",
        ]
        rows.append(("dead", f"{'; '.join(part for part in broken if part) or 'nothing'}, {when}"))
    return [(name, value) for name, value in rows if value]


def _mesh(geometry: Geometry) -> str:
    width, height = geometry.joined
    joined = f", together {width} x {height}" if geometry.chips > 1 else ""
    of = "1 core" if geometry.cores_per_tile == 1 else f"{geometry.cores_per_tile} cores"
    return (
        f"{geometry.mesh_width} x {geometry.height} tiles of {of}, numbered by {geometry.tile_order}{joined}; a link "
        f"holds {geometry.link_buffer} messages"
    )


def _holds(geometry: Geometry) -> str:
    parts = [
        f"{geometry.neurons_per_core:,} neurons", f"{geometry.inputs_per_core:,} inputs",
        f"{geometry.synapses:,} synapses" + ("" if geometry.synapses_per_core else " (a crossbar)"),
        f"{geometry.axons_out_per_core:,} axons out" if geometry.axons_out_per_core else "",
    ]  # fmt: skip
    return ", ".join(part for part in parts if part)


def _range(part: Any) -> str:
    own = {"neurons": part.neurons, "inputs": part.inputs, "synapses": part.synapses}
    return ", ".join(f"{value:,} {name}" for name, value in own.items() if value is not None) or "as the others"


def _memory(geometry: Geometry) -> str:
    if geometry.memory_B_per_core is None:
        return ""
    each = f"a synapse takes {geometry.synapse_B:g} B, a neuron {geometry.neuron_B:g} B"
    return f"{geometry.memory_B_per_core:,} B; {each}"


def _point(voltage_V: float | None, clock_Hz: float | None, process_nm: float | None, note: str) -> str:
    parts = [
        "" if voltage_V is None else quantity(voltage_V, "V"), "" if clock_Hz is None else quantity(clock_Hz, "Hz"),
        "" if process_nm is None else f"{process_nm:g} nm", _line(note),
    ]  # fmt: skip
    return ", ".join(part for part in parts if part) or "not said"


def _timing(chip: Chip) -> str:
    timing = chip.timing
    parts: list[str] = [timing.model]
    if timing.tick_s:
        parts.append(f"a tick of {quantity(timing.tick_s, 's')}")
    if timing.perturbation_period_s:
        parts.append(f"perturbations every {quantity(timing.perturbation_period_s, 's')}")
    return ", ".join(parts)


def _whole(chip: Chip) -> dict[str, Any]:
    """What follows from the settings: cores, tiles and static power of all chips."""
    whole, (width, height) = accounting.price_table(chip).static, chip.geometry.joined
    return {
        "cores": chip.geometry.all_cores, "mesh_width": width, "mesh_height": height,
        "neurons": chip.geometry.all_cores * chip.geometry.neurons_per_core,
        "static_power_W": whole.power_W, "static_low_W": whole.low_W, "static_high_W": whole.high_W,
    }  # fmt: skip


def _static_rows(chip: Chip) -> Iterator[tuple[str, ...]]:
    static, whole = chip.static, accounting.price_table(chip).static
    source = _line(static.source)
    yield "of a chip", quantity(static.power_W, "W"), interval(static.low_W, static.high_W, "W"), static.kind, source
    if static.core_power_W:
        span = interval(static.core_low_W, static.core_high_W, "W")
        gated = "off where nothing is placed" if static.power_gating else "all of them always on"
        yield "of a core", quantity(static.core_power_W, "W"), span, static.kind, gated
    if static.core_power_W or chip.geometry.chips > 1:
        cores = f"{chip.geometry.all_cores:,} cores"
        span = interval(whole.low_W, whole.high_W, "W")
        yield f"at most, {cores}", quantity(whole.power_W, "W"), span, "", ""


WIDE = 120
"""Columns that the table of costs needs to have its sources in a column of their own."""


def _cost_table(chip: Chip, prices: PriceTable) -> list[Table | str]:
    """Every price; where the screen is narrow, sources follow below instead of being torn to syllables."""
    names = ("cost of one", "energy", "interval", "latency", "interval", "kind", "source")
    rows = [*_cost_rows(chip, prices)]
    if console().width >= WIDE:
        return [table(names, rows)]
    sources = [(str(row[0]).strip(), str(row[6])) for row in rows if row[6]]
    return [
        whole_words(table(names[:6], [row[:6] for row in rows])),
        "",
        whole_words(table(("source of", ""), sources)),
    ]


def whole_words(made: Table) -> Table:
    """The first column is never broken: it holds names."""
    made.columns[0].no_wrap = True
    return made


def _cost_rows(chip: Chip, prices: PriceTable) -> Iterator[tuple[object, ...]]:
    """Every price, unit by unit."""
    known = {row["action"]: row for row in costs(chip, prices)}
    for unit, names in UNITS_OF_A_CHIP.items():
        found = [known[name] for name in names if name in known]
        if found:
            yield Text(f"{unit.replace('_', ' ')}:", style="bold"), "", "", "", "", "", ""
        for row in found:
            yield (
                f"  {row['action']}", quantity(row["energy_J"], "J"), interval(row["low_J"], row["high_J"], "J"),
                quantity(row["latency_s"], "s") if row["latency_s"] else "",
                interval(row["low_s"], row["high_s"], "s"), _kinds(row), row["source"],
            )  # fmt: skip


def _kinds(row: Mapping[str, Any]) -> str:
    """The kind of the energy, and that of the latency where it is another."""
    other = row["latency_kind"]
    return str(row["kind"]) if other in (None, row["kind"]) or not row["latency_s"] else f"{row['kind']}; time {other}"


def costs(chip: Chip, prices: PriceTable) -> list[dict[str, Any]]:
    """Every price of the table, those that follow from the weight cell included."""
    out = []
    for index, name in enumerate(ACTIONS):
        if not prices.priced[index]:
            continue
        said_of = chip.prices.get(name)
        out.append({
            "action": name, "energy_J": float(prices.energy_J[index]), "low_J": float(prices.low_J[index]),
            "high_J": float(prices.high_J[index]), "latency_s": float(prices.latency_s[index]),
            "low_s": said_of.low_s if said_of else None, "high_s": said_of.high_s if said_of else None,
            "latency_kind": said_of.latency_kind if said_of else None,
            "kind": prices.kind[index], "source": _line(prices.source[index]),
        })  # fmt: skip
    return out


def unpriced(prices: PriceTable) -> list[str]:
    """Countables that the chip says nothing about."""
    return [name for index, name in enumerate(ACTIONS) if not prices.priced[index]]


# validate


def validate(names: Sequence[str]) -> None:
    """Check chip files; raises InputError with the problems of all."""
    models.load_builtin()
    problems: list[str] = []
    for name in names:
        try:
            chip = load.load_chip(name)
            prices = accounting.price_table(chip)
            wrong = missing_costs(chip, prices) + _fault_problems(chip)
        except InputError as error:
            found = [f"{error.where or name}: {problem}" for problem in error.problems]
            problems += [*found, *(f"chip {name}: {problem}" for problem in _missing_beside(name, error.problems))]
            continue
        problems += [f"chip {name}: {problem}" for problem in wrong]
        if not wrong:
            missing = unpriced(prices)
            plain(f"{name}: valid" + (f"; without a price: {', '.join(missing)}" if missing else ""))
    if problems:
        raise InputError(problems)


def missing_costs(chip: Chip, prices: PriceTable) -> list[str]:
    """Countables without a price that a network of the chip's own spiking neurons makes happen in every tick."""
    return _missing(chip.capabilities.neurons, [name for name in SPIKING_NEEDS if prices.is_priced(name)])


def _missing(neurons: Iterable[str], priced: Iterable[str]) -> list[str]:
    """Prices that networks of these neurons need, and that are not there."""
    if not set(neurons) & set(registry.names("spiking")):
        return []
    return [
        f"chip.prices.{name}: missing, though capabilities.neurons has spiking neurons; give energy_J, source and kind"
        for name in SPIKING_NEEDS
        if name not in set(priced)
    ]


def _missing_beside(name: str, problems: Sequence[str]) -> list[str]:
    """Prices that are missing in a file with other faults, so that everything is said at once."""
    try:
        whole = load.load_chip_table(name)
    except InputError:
        return []
    able, prices = whole.get("capabilities"), whole.get("prices", {})
    neurons = able.get("neurons") if isinstance(able, Mapping) else None
    if not isinstance(neurons, list) or not isinstance(prices, Mapping):
        return []
    lines = _missing([each for each in neurons if isinstance(each, str)], prices)
    return [line for line in lines if line not in problems]


def _fault_problems(chip: Chip) -> list[str]:
    """Faults that the chip cannot have: a mesh that falls apart, links where no chip stands."""
    if not chip.faults:
        return []
    from neurosim.chip import faults  # loads the kernel compiler: not needed for most files

    return faults.problems(chip)


# schema


def schema(output: Path | None, force: bool) -> None:
    """The JSON Schema of chip files, to a file or on standard output."""
    from neurosim.spec.schema import chip_schema

    models.load_builtin()
    text = json.dumps(chip_schema(), indent=2, ensure_ascii=False)
    if output is None:
        plain(text)
        return
    if output.is_dir():
        raise InputError("is a folder; name a file for the schema, such as chip.schema.json", str(output))
    if output.exists() and not force:
        raise InputError("exists already; choose another name, or replace it with --force", str(output))
    try:
        output.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write the schema: {error.strerror or error}", str(output)) from None
    plain(str(output))


# diff


def diff(first: str, second: str, as_json: bool) -> None:
    """Where two chips differ."""
    models.load_builtin()
    one, other = (_settings(load.load_chip(name)) for name in (first, second))
    keys = [key for key in dict.fromkeys((*one, *other)) if one.get(key) != other.get(key)]
    if as_json:
        put_json({"differences": {key: [one.get(key), other.get(key)] for key in keys}})
        return
    if not keys:
        plain(f"{first} and {second} are the same")
        return
    words = [key for key in keys if key.endswith(".source") or key in ("name", "summary")]
    rows = [
        (key, _with_interval(key, one), _with_interval(key, other), ratio(key, one.get(key), other.get(key)))
        for key in keys
        if key not in words and not _follows(key, keys, one, other)
    ]
    if rows:
        put(table(("key", first, second, "ratio"), rows, right=(3,)))
    if words:
        put(*([""] if rows else []))
        lines = [(key, said(key, one.get(key)), said(key, other.get(key))) for key in words]
        put(table(("in words", first, second), lines))


def _settings(chip: Chip) -> dict[str, Any]:
    """All settings with their key paths, prices that follow from the weight cell among them."""
    whole = chip.model_dump(mode="json")
    for row in costs(chip, accounting.price_table(chip)):
        if row["action"] not in whole["prices"]:
            own = {key: row[key] for key in ("energy_J", "low_J", "high_J", "kind", "source")}
            whole["prices"][row["action"]] = own
    order = {name: whole["prices"][name] for name in ACTIONS if name in whole["prices"]}
    return flat({**whole, "prices": order})


ENDS = {
    "energy_J": ("low_J", "high_J"), "latency_s": ("low_s", "high_s"), "power_W": ("low_W", "high_W"),
    "core_power_W": ("core_low_W", "core_high_W"),
}  # fmt: skip
"""Values and the keys of their intervals."""


def _with_interval(key: str, settings: Mapping[str, Any]) -> str:
    """A setting for people, with its interval where it has one."""
    head, _, last = key.rpartition(".")
    value = said(key, settings.get(key))
    if last not in ENDS:
        return value
    low, high = (settings.get(f"{head}.{end}") for end in ENDS[last])
    span = interval(low, high, last.rsplit("_", 1)[-1])
    return f"{value} ({span})" if span else value


def _follows(key: str, keys: Sequence[str], one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether a row says no more than another: the ends of an interval; the rest of a price that one has not."""
    head, _, last = key.rpartition(".")
    if any(last in ends and f"{head}.{value}" in keys for value, ends in ENDS.items()):
        return True
    absent = one.get(f"{head}.energy_J") is None or other.get(f"{head}.energy_J") is None
    return head.startswith("prices.") and last != "energy_J" and f"{head}.energy_J" in keys and absent


def ratio(key: str, one: Any, other: Any) -> str:
    """The second over the first, where both are positive numbers that measure something."""
    numbers = [value for value in (one, other) if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < 2 or min(numbers) <= 0.0 or key.endswith("seed"):
        return ""
    times = numbers[1] / numbers[0]
    return f"x {_short(times)}" if times >= 1.0 else f"x 1/{_short(1.0 / times)}"


def _short(number: float) -> str:
    return f"{number:.3g}" if number < 1000.0 else f"{number:,.0f}" if number < 1e6 else f"{number:.1e}"


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as one, with key paths; tables in lists have their place in the list among theirs."""
    out: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            out |= flat(value, f"{prefix}{key}.")
        elif isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            out |= flat({str(index): item for index, item in enumerate(value)}, f"{prefix}{key}.")
        else:
            out[f"{prefix}{key}"] = value
    return out


def said(key: str, value: Any) -> str:
    """A setting for people: with its unit where its name carries one."""
    if value is None:
        return "-"
    if isinstance(value, list | tuple):
        return ", ".join(said(key, item) for item in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    unit = key.rsplit("_", 1)[-1] if "_" in key else ""
    if isinstance(value, int | float) and unit in UNITS and math.isfinite(value):
        return f"{value:g} B" if unit == "B" else quantity(value, unit)
    return f"{value:g}" if isinstance(value, float) else _line(str(value))


def _line(text: str) -> str:
    return " ".join(text.split())
