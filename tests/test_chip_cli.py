"""Chip commands: every cost is shown, every mistake in a chip file is named, and the schema says what the files say."""

from __future__ import annotations

import copy
import importlib
import importlib.util
import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from test_cli import Call, Result

import neurosim as ns
from neurosim import cli_chips, files, models, registry
from neurosim.cli import main
from neurosim.errors import InputError
from neurosim.spec import load
from neurosim.spec.chip import Chip
from neurosim.spec.countables import COUNTABLES, UNITS
from neurosim.spec.schema import chip_schema

models.load_builtin()

SHIPPED = sorted(files.shipped("chip"))
PRICED = {"energy_J": "1 pJ", "latency_s": "2 ns", "source": "made up for this test", "kind": "measured"}
MESHED: dict[str, Any] = {
    "name": "meshed",
    "summary": "two chips of 2 x 2 tiles with two cores each",
    "geometry": {
        "cores": 8, "neurons_per_core": 64, "inputs_per_core": 128, "synapses_per_core": 4096, "axons_out_per_core": 32,
        "memory_B_per_core": 131072, "synapse_B": 1.5, "neuron_B": 8, "cores_per_tile": 2, "mesh_width": 2,
        "tile_order": "columns", "link_buffer": 5, "chips": 2, "ranges": [{"cores": "0..1", "neurons": 16}],
    },
    "capabilities": {"neurons": ["if"]},
    "synapse": {"device": "ideal", "technology": "digital", "write_scheme": "cell"},
    "timing": {"model": "simple", "barrier_tiles": [1, 4], "barrier_s": ["10 ns", "30 ns"]},
    "operating_point": {"voltage_V": 0.75, "clock_Hz": "100 MHz", "process_nm": 14, "note": "at room temperature"},
    "faults": [{"tick": 3, "dead_cores": [1, "4..5"], "dead_links": ["0,0-1,0"], "dead_synapse_fraction": 0.01}],
    "static": {
        "power_W": "10 mW", "core_power_W": "1 mW", "power_gating": True, "kind": "assumed", "low_W": "5 mW",
        "high_W": "20 mW", "core_low_W": "0.5 mW", "core_high_W": "2 mW", "source": "made up for this test",
    },
    "prices": {
        name: dict(PRICED)
        for name in ("neuron_visited", "neuron_updated", "neuron_fired", "synaptic_event", "message", "barrier")
    },
}  # fmt: skip


@pytest.fixture
def neurosim(capfd: pytest.CaptureFixture[str]) -> Call:
    """The command, in this process."""

    def call(*arguments: str | Path) -> Result:
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert isinstance(end.value.code, int)
        assert "Traceback" not in err
        return Result(end.value.code, out, err)

    return call


def meshed(**changes: Any) -> dict[str, Any]:
    """The chip of these tests with other values: ``meshed(**{"geometry.cores": 3})``; None takes a key out."""
    table = copy.deepcopy(MESHED)
    for path, value in changes.items():
        *parents, last = path.split(".")
        here = table
        for part in parents:
            here = here.setdefault(part, {})
        if value is None:
            del here[last]
        else:
            here[last] = value
    return table


@pytest.fixture
def chip_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The chip as ``meshed.toml`` in an empty current folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "meshed.toml"
    path.write_text(tomli_w.dumps(MESHED), encoding="utf-8")
    return path


# show


def test_show_says_how_the_chip_is_built(neurosim: Call, chip_file: Path) -> None:
    shown = neurosim("chip", "show", chip_file)
    assert shown.code == 0
    for said in (
        "8 a chip, 2 chips, 2 in a row",
        "2 x 2 tiles of 2 cores, numbered by columns, together 4 x 2; a link holds 5 messages",
        "64 neurons, 128 inputs, 4,096 synapses, 32 axons out",
        "131,072 B; a synapse takes 1.5 B, a neuron 8 B",
        "750 mV, 100 MHz, 14 nm, at room temperature",
        "10 ns from 1 tile on, 30 ns from 4 tiles on",
        "cores 1, 4..5; links 0,0-1,0; 1 % of the synapses, from tick 3 on",
    ):
        assert said in shown.out
    assert re.search(r"^cores 0..1 +16 neurons$", shown.out, re.MULTILINE)
    assert re.search(r"^of a chip +10 mW +5 mW to 20 mW +assumed +made up", shown.out, re.MULTILINE)
    assert re.search(r"^of a core +1 mW +500 µW to 2 mW +assumed +off where nothing is placed", shown.out, re.MULTILINE)
    assert re.search(r"^at most, 16 cores +36 mW +18 mW to 72 mW", shown.out, re.MULTILINE)


@pytest.mark.parametrize("name", SHIPPED)
def test_show_groups_every_cost_by_unit(neurosim: Call, name: str) -> None:
    shown = neurosim("chip", "show", name).out
    lines = shown[shown.index("cost of one") : shown.index("setting ")].splitlines()
    found: dict[str, list[str]] = {}
    for line in lines[1:]:
        if heading := re.fullmatch(r"(\w[\w ]*):", line):
            found[heading[1].replace(" ", "_")] = []
        elif row := re.match(r"  (\w+) +\S+ [munpfa\u00b5]?J ", line):
            found[[*found][-1]].append(row[1])
    told = neurosim("chip", "show", name, "--json").json
    priced = told["prices"].keys()
    assert found == {unit: [each for each in names if each in priced] for unit, names in UNITS.items()
                     if set(names) & priced}  # fmt: skip
    assert told["units"] == {unit: list(names) for unit, names in UNITS.items()}
    chip = load.load_chip(name)
    assert priced >= chip.prices.keys()
    for action, price in chip.prices.items():
        row = told["prices"][action]
        assert row["energy_J"] == price.energy_J
        assert row["latency_s"] == price.latency_s
        assert (row["low_s"], row["high_s"], row["latency_kind"]) == (price.low_s, price.high_s, price.latency_kind)
        assert row["source"] == " ".join(price.source.split())
        assert row["kind"] == price.kind


def test_show_says_both_intervals_and_both_kinds(neurosim: Call, chip_file: Path) -> None:
    price = {
        "energy_J": "2 pJ", "low_J": "1 pJ", "high_J": "3 pJ", "latency_s": "4 ns", "low_s": "3 ns", "high_s": "9 ns",
        "kind": "published", "latency_kind": "assumed", "source": "a paper",
    }  # fmt: skip
    chip_file.write_text(tomli_w.dumps(meshed(**{"prices.hop_east": price})), encoding="utf-8")
    shown = neurosim("chip", "show", chip_file).out
    row = r"hop_east +2 pJ +1 pJ to 3 pJ +4 ns +3 ns to 9 ns +published; time assumed +a paper"
    assert re.search(row, shown)


# validate


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_chips_are_valid(neurosim: Call, name: str) -> None:
    done = neurosim("chip", "validate", name)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{name}: valid")


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"geometry.cores": 0}, "chip.geometry.cores = 0: input should be greater than or equal to 1"),
    ({"geometry.cores": 9, "geometry.mesh_height": 2}, "chip.geometry: 9 cores, 2 on a tile, are 5 tiles; the mesh has"),
    ({"geometry.mesh_height": 1}, "chip.geometry: 8 cores, 2 on a tile, are 4 tiles; the mesh has 2 x 1 = 2"),
    ({"geometry.ranges": [{"cores": "0..3"}, {"cores": "3..5"}]},
     "chip.geometry.ranges.1.cores = '3..5': core 3 stands in ranges.0 too"),
    ({"geometry.ranges": [{"cores": "6..8"}]},
     "chip.geometry.ranges.0.cores = '6..8': core 8 is out of range; there are cores 0 to 7"),
    ({"geometry.ranges": [{"cores": "5..2"}]}, "chip.geometry.ranges.0.cores = '5..2': the range ends before it begins"),
    ({"geometry.ranges": [{"cores": "two"}]}, "chip.geometry.ranges.0.cores = 'two': write a core such as 7, or a range"),
    ({"geometry.ranges": [{"cores": 1, "nuerons": 3}]},
     "chip.geometry.ranges.0.nuerons: unknown key; did you mean 'neurons'?"),
    ({"faults": [{"dead_cores": [16]}]},
     "chip.faults.0.dead_cores.0 = '16': core 16 is out of range; there are cores 0 to 15"),
    ({"faults": [{}, {"dead_cores": ["3", "x"]}]}, "chip.faults.1.dead_cores.1 = 'x': write a core"),
    ({"faults": [{"dead_links": ["0,0-1,1"]}]}, "chip.faults.0.dead_links.0 = '0,0-1,1': the two tiles are no neighbours"),
    ({"faults": [{"dead_links": ["3,0-4,0"]}]}, "chip.faults.0.dead_links.0 = '3,0-4,0': the mesh has 4 x 2 tiles"),
    ({"faults": [{"dead_links": ["0-1"]}]}, "chip.faults.0.dead_links.0 = '0-1': write the x,y of two neighbouring tiles"),
    ({"faults": [{"dead_synapse_fraction": 1.5}]}, "chip.faults.0.dead_synapse_fraction = 1.5: input should be less"),
    ({"faults": [{"dead_links": ["0,0-1,0", "0,0-0,1"]}]},
     "chip.faults.0.dead_links: tiles 0,0 and 1,0 cannot reach one another: the mesh is disconnected"),
    ({"astrocyte.core": 16}, "chip.astrocyte.core = 16: out of range; there are cores 0 to 15"),
    ({"synapse.write_scheme": "row"}, "chip.synapse.write_scheme = 'row': this chip can only write by cell (capabilities.write_schemes"),
    ({"geometry.neurons_per_core": True}, "chip.geometry.neurons_per_core = True: must be a number, not true or false"),
    ({"timing.barrier_tiles": [True, 4]}, "chip.timing.barrier_tiles.0 = True: must be a number, not true or false"),
    ({"geometry.ranges": [{"cores": "1", "neurons": True}]}, "chip.geometry.ranges.0.neurons = True: must be a number"),
    ({"synapse.device": {"model": "quantized", "bits": True}}, "chip.synapse.device.bits = True: must be a number"),
    ({"capabilities.neurons": []}, "chip.capabilities.neurons = []: name at least one neuron model"),
    ({"capabilities.neurons": ["if", "lfi"]}, "unknown neuron model 'lfi'; did you mean 'lif'?"),
    ({"faults": [{"dead_cores": ["0..7"]}, {"dead_cores": ["8..15"]}]}, "all 16 cores are dead from fabrication on"),
    ({"synapse.device": "idael"}, "unknown device model 'idael'; did you mean 'ideal'?"),
    ({"synapse.read_time_s": "3 W"}, "chip.synapse.read_time_s = '3 W': '3 W' has the unit 'W', but a quantity in s"),
    ({"operating_point.clock_Hz": "fast"}, "chip.operating_point.clock_Hz = 'fast': cannot read 'fast' as a quantity in Hz"),
    ({"timing.barrier_s": ["10 ns"]}, "chip.timing: barrier_tiles and barrier_s must be of one length"),
    ({"timing.barrier_tiles": [4, 1]}, "chip.timing: barrier_tiles and barrier_s must be of one length"),
    ({"timing.barrier_s": ["-1 ns", "1 ns"]}, "a barrier cannot take less than no time"),
    ({"static.power_W": "-1 W"}, "chip.static.power_W = -1.0: input should be greater than or equal to 0"),
    ({"static.low_W": None}, "chip.static: an assumed static power needs low_W and high_W"),
    ({"static.core_high_W": "0.9 mW"}, "chip.static: must hold core_low_W <= core_power_W <= core_high_W"),
    ({"static.source": None}, "chip.static.source: missing"),
    ({"static": None}, "chip.static: missing"),
    ({"prices.message.energy_J": "-1 pJ"}, "chip.prices.message.energy_J = -1e-12: input should be greater than or equal"),
    ({"prices.message.energy_J": "1 pW"}, "chip.prices.message.energy_J = '1 pW': '1 pW' has the unit 'pW', but a quantity"),
    ({"prices.message.energy_J": "1 xJ"}, "'1 xJ' has the unit 'xJ', but a quantity in J is needed"),
    ({"prices.message.energy_J": float("nan")}, "chip.prices.message.energy_J = nan: input should be a finite number"),
    ({"prices.message.energy_J": None}, "chip.prices.message.energy_J: missing"),
    ({"prices.message.latency_s": "-2 ns"}, "chip.prices.message.latency_s = -2e-09: input should be greater than or equal"),
    ({"prices.message.source": ""}, "chip.prices.message.source = '': string should have at least 1 character"),
    ({"prices.message.kind": "guessed"}, "chip.prices.message.kind = 'guessed': input should be 'measured', 'published'"),
    ({"prices.message.kind": "assumed"}, "chip.prices.message: an assumed price needs low_J and high_J"),
    ({"prices.message.latency_kind": "assumed"}, "chip.prices.message: an assumed latency needs low_s and high_s"),
    ({"prices.message.low_J": "2 pJ"}, "chip.prices.message: must hold low_J <= energy_J <= high_J"),
    ({"prices.message.energy": 1}, "chip.prices.message.energy: unknown key; did you mean 'energy_J'?"),
    ({"prices.mesage": dict(PRICED)}, "chip.prices.mesage: unknown price 'mesage'; did you mean 'message'?"),
    ({"prices.message": None}, "chip.prices.message: missing, though capabilities.neurons has spiking neurons"),
    ({"prices.barrier": None}, "chip.prices.barrier: missing, though capabilities.neurons has spiking neurons"),
    ({"prices.hop_east": {"energy_J": 0, "source": "?", "kind": "assumed", "low_J": 0, "high_J": 0}},
     "prices.hop_east.energy_J = 0: an assumed zero hides a cost"),
]  # fmt: skip


def test_every_mistake_at_once(neurosim: Call, chip_file: Path) -> None:
    """A number that is none, a slip that Python takes for a number, and a price that is missing because of a typo."""
    changes = {"geometry.cores": "many", "geometry.inputs_per_core": True, "prices.message": None,
               "prices.mesage": dict(PRICED)}  # fmt: skip
    chip_file.write_text(tomli_w.dumps(meshed(**changes)), encoding="utf-8")
    done = neurosim("chip", "validate", chip_file)
    assert done.code == 2
    for said in ("chip.geometry.cores = 'many'", "chip.geometry.inputs_per_core = True: must be a number",
                 "chip.prices.mesage: unknown price", "chip.prices.message: missing, though"):  # fmt: skip
        assert done.err.count(said) == 1


def test_half_of_the_cores_may_be_dead_later(neurosim: Call, chip_file: Path) -> None:
    chip_file.write_text(tomli_w.dumps(meshed(faults=[{"dead_cores": ["0..15"], "tick": 5}])), encoding="utf-8")
    assert neurosim("chip", "validate", chip_file).code == 0


@pytest.mark.parametrize("name", ["nsat", "analog-if", "loihi-davies2018"])
def test_a_narrow_screen_tears_no_names(neurosim: Call, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = neurosim("chip", "show", name).out
    assert max(len(line) for line in shown.splitlines()) <= 80
    for price in ("synaptic_event", "neuron_visited", "perturbation_applied"):
        assert re.search(rf"^  {price} ", shown, re.MULTILINE)
    assert re.search(r"^source of", shown, re.MULTILINE)


@pytest.mark.parametrize(
    ("changes", "said"), WRONG, ids=lambda value: next(iter(value)) if isinstance(value, dict) else ""
)
def test_wrong_chips(neurosim: Call, chip_file: Path, changes: dict[str, Any], said: str) -> None:
    """Each mistake is named with its key path; nothing is written, and the exit code is 2."""
    chip_file.write_text(tomli_w.dumps(meshed(**{"faults": [], **changes})), encoding="utf-8")
    done = neurosim("chip", "validate", chip_file)
    assert done.code == 2
    assert done.out == ""
    assert said in done.err
    assert [path.name for path in chip_file.parent.iterdir()] == ["meshed.toml"]


def test_all_mistakes_at_once(neurosim: Call, chip_file: Path) -> None:
    """Whatever stands in the way of one check does not hide what another would say."""
    together = [
        {"geometry.ranges": [{"cores": "0..3"}, {"cores": "3..5"}, {"cores": "9"}]}, {"synapse.device": "idael"},
        {"static.power_W": "1 J"}, {"prices.message.energy_J": "-1 pJ"}, {"prices.barrier.kind": "assumed"},
        {"prices.mesage": dict(PRICED)}, {"operating_point.voltage": 1}, {"capabilities.neurons": None},
    ]  # fmt: skip
    changes: dict[str, Any] = {"faults": []}
    for each in together:
        changes |= each
    chip_file.write_text(tomli_w.dumps(meshed(**changes)), encoding="utf-8")
    done = neurosim("chip", "validate", chip_file, "absent.toml")
    assert done.code == 2
    for said in (
        "11 problems", "geometry.ranges.1.cores = '3..5'", "geometry.ranges.2.cores = '9'", "'idael'",
        "static.power_W = '1 J'", "prices.message.energy_J = -1e-12", "prices.barrier: an assumed price",
        "prices.mesage: unknown price", "operating_point.voltage: unknown key; did you mean 'voltage_V'?",
        "capabilities.neurons: missing", 'no chip file "absent.toml"',
    ):  # fmt: skip
        assert said in done.err
    outside = meshed(faults=[{"dead_cores": [99], "dead_links": ["0,0-9,9"]}], **{"prices.message.energy_J": "1 kg"})
    with pytest.raises(InputError) as wrong:
        load.validate(Chip, outside, "chip", root="chip.")
    assert len(wrong.value.problems) == 3


@pytest.mark.parametrize("command", ["show", "validate", "diff"])
@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "chip.name: missing"),
        ("name = ", "not a TOML file"),
        ("\xff\xfe", "not a TOML file"),
        ("name = 3", "chip.name = 3"),
    ],
    ids=["empty", "unfinished", "binary", "number"],
)
def test_files_that_are_no_chips(neurosim: Call, chip_file: Path, command: str, text: str, said: str) -> None:
    chip_file.write_bytes(text.encode("latin-1"))
    more = ["nist-hw1"] if command == "diff" else []
    done = neurosim("chip", command, chip_file, *more)
    assert done.code == 2
    assert said in done.err


# diff


def test_diff_of_ranges_lists_and_prices(neurosim: Call, chip_file: Path) -> None:
    changed = meshed(**{
        "geometry.ranges": [{"cores": "0..1", "neurons": 16, "inputs": 8}, {"cores": 7}],
        "capabilities.neurons": ["if", "lif"],
        "prices.message.energy_J": "3 pJ",
        "prices.barrier.latency_s": "1 ns",
        "prices.barrier.source": "another guess",
        "prices.byte_moved": {"energy_J": "5 pJ", "low_J": "4 pJ", "source": "a memory", "kind": "published"},
        "timing.barrier_s": ["10 ns", "40 ns"],
        "static.power_W": "15 mW",
    })  # fmt: skip
    (chip_file.parent / "other.toml").write_text(tomli_w.dumps(changed), encoding="utf-8")
    shown = neurosim("chip", "diff", chip_file, "other.toml")
    assert shown.code == 0
    for row in (
        r"geometry.ranges.0.inputs +- +8", r"geometry.ranges.1.cores +- +7", r"capabilities.neurons +if +if, lif",
        r"timing.barrier_s +10 ns, 30 ns +10 ns, 40 ns",
        r"static.power_W +10 mW \(5 mW to 20 mW\) +15 mW \(5 mW to 20 mW\) +x 1.5",
        r"prices.message.energy_J +1 pJ +3 pJ +x 3", r"prices.barrier.latency_s +2 ns +1 ns +x 1/2",
        r"prices.byte_moved.energy_J +- +5 pJ", r"prices.barrier.source +made up for this test +another guess",
    ):  # fmt: skip
        assert re.search(row, shown.out), row
    assert "byte_moved.low_J" not in shown.out
    assert "fabrication_seed" not in shown.out
    differences = neurosim("chip", "diff", chip_file, "other.toml", "--json").json["differences"]
    assert differences["prices.message.energy_J"] == [1e-12, 3e-12]
    assert differences["prices.byte_moved.low_J"] == [None, 4e-12]
    assert differences["geometry.ranges.0.inputs"] == [None, 8]


def test_diff_sees_prices_that_follow_from_the_cell(neurosim: Call) -> None:
    differences = neurosim("chip", "diff", "nist-hw1", "nist-hw2", "--json").json["differences"]
    one, other = differences["prices.cell_read_conductance.energy_J"]
    assert 0 < other < one


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [(1.0, 2.0, "x 2"), (2.0, 1.0, "x 1/2"), (1, 5000, "x 5,000"), (1e-12, 1.0, "x 1.0e+12"), (0.0, 1.0, ""),
     (-1.0, -2.0, ""), (True, 2, ""), (None, 1.0, ""), ("a", "b", "")],
)  # fmt: skip
def test_ratio(one: Any, other: Any, said: str) -> None:
    assert cli_chips.ratio("key", one, other) == said
    assert cli_chips.ratio("fabrication_seed", one, other) == ""


# schema


class Checker:
    """As much of JSON Schema as the schema of chips uses; an unknown keyword is an error, not a silent pass."""

    SILENT = frozenset({"title", "description", "default", "$schema", "$defs"})

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema

    def problems(self, value: Any, about: dict[str, Any] | None = None, path: str = "") -> list[str]:
        about = self.schema if about is None else about
        return [line for key, rule in about.items() if key not in self.SILENT
                for line in getattr(self, "_" + key.lstrip("$"))(value, rule, about, path)]  # fmt: skip

    def _ref(self, value: Any, rule: str, about: dict[str, Any], path: str) -> list[str]:
        assert rule.startswith("#/$defs/")
        return self.problems(value, self.schema["$defs"][rule.removeprefix("#/$defs/")], path)

    def _type(self, value: Any, rule: str, about: dict[str, Any], path: str) -> list[str]:
        kinds: dict[str, Any] = {
            "string": str, "number": (int, float), "integer": int, "boolean": bool, "array": list, "object": dict,
        }  # fmt: skip
        fits = isinstance(value, kinds[rule]) and (rule == "boolean" or not isinstance(value, bool))
        return [] if fits else [f"{path}: {value!r} is no {rule}"]

    def _anyOf(self, value: Any, rule: list[Any], about: dict[str, Any], path: str) -> list[str]:
        tried = [self.problems(value, choice, path) for choice in rule]
        return [] if any(not each for each in tried) else [f"{path}: {value!r} fits nothing: {tried}"]

    def _allOf(self, value: Any, rule: list[Any], about: dict[str, Any], path: str) -> list[str]:
        return [line for choice in rule for line in self.problems(value, choice, path)]

    def _enum(self, value: Any, rule: list[Any], about: dict[str, Any], path: str) -> list[str]:
        return [] if value in rule else [f"{path}: {value!r} is none of {rule}"]

    def _const(self, value: Any, rule: Any, about: dict[str, Any], path: str) -> list[str]:
        return self._enum(value, [rule], about, path)

    def _pattern(self, value: Any, rule: str, about: dict[str, Any], path: str) -> list[str]:
        fits = not isinstance(value, str) or re.search(rule, value)
        return [] if fits else [f"{path}: {value!r} does not match {rule}"]

    def _minLength(self, value: Any, rule: int, about: dict[str, Any], path: str) -> list[str]:
        return [f"{path}: too short"] if isinstance(value, str) and len(value) < rule else []

    def _limit(self, value: Any, broken: bool, path: str) -> list[str]:
        return [f"{path}: {value!r} is out of bounds"] if broken else []

    def _minimum(self, value: Any, rule: float, about: dict[str, Any], path: str) -> list[str]:
        return self._limit(value, isinstance(value, int | float) and value < rule, path)

    def _maximum(self, value: Any, rule: float, about: dict[str, Any], path: str) -> list[str]:
        return self._limit(value, isinstance(value, int | float) and value > rule, path)

    def _exclusiveMinimum(self, value: Any, rule: float, about: dict[str, Any], path: str) -> list[str]:
        return self._limit(value, isinstance(value, int | float) and value <= rule, path)

    def _exclusiveMaximum(self, value: Any, rule: float, about: dict[str, Any], path: str) -> list[str]:
        return self._limit(value, isinstance(value, int | float) and value >= rule, path)

    def _properties(self, value: Any, rule: dict[str, Any], about: dict[str, Any], path: str) -> list[str]:
        return [line for key, each in rule.items() if isinstance(value, dict) and key in value
                for line in self.problems(value[key], each, f"{path}.{key}")]  # fmt: skip

    def _required(self, value: Any, rule: list[str], about: dict[str, Any], path: str) -> list[str]:
        return [f"{path}.{key}: missing" for key in rule if isinstance(value, dict) and key not in value]

    def _additionalProperties(self, value: Any, rule: Any, about: dict[str, Any], path: str) -> list[str]:
        assert rule is False
        known = about.get("properties", {})
        return [f"{path}.{key}: unknown" for key in value if key not in known] if isinstance(value, dict) else []

    def _items(self, value: Any, rule: dict[str, Any], about: dict[str, Any], path: str) -> list[str]:
        items = value if isinstance(value, list) else []
        return [line for k, item in enumerate(items) for line in self.problems(item, rule, f"{path}.{k}")]


@pytest.fixture(scope="module")
def checker() -> Checker:
    return Checker(chip_schema())


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_chips_fit_the_schema(checker: Checker, name: str) -> None:
    table = tomllib.loads(files.find("chip", name).read_text(encoding="utf-8"))
    assert checker.problems(table) == []
    if importlib.util.find_spec("jsonschema") is not None:  # a second opinion, where there is one
        jsonschema = importlib.import_module("jsonschema")
        jsonschema.Draft7Validator.check_schema(checker.schema)
        jsonschema.Draft7Validator(checker.schema).validate(table)


def test_the_chip_of_these_tests_fits_too(checker: Checker) -> None:
    assert checker.problems(MESHED) == []
    assert checker.problems(Chip.model_validate(MESHED).model_dump(mode="json", exclude_none=True)) == []


BEYOND_A_SCHEMA = (
    "stands in ranges", "out of range", "no neighbours", "the mesh has", "ends before it begins", "must be of one length",
    "must hold", "needs low", "can only write by", "all 16 cores", "neuron model", "disconnected", "though capabilities", "hides a cost", "dead_links",
    "less than no time", "finite",
)  # fmt: skip
"""What one key says about another; a schema looks at one at a time."""


@pytest.mark.parametrize(
    ("changes", "said"), WRONG, ids=lambda value: next(iter(value)) if isinstance(value, dict) else ""
)
def test_the_schema_finds_what_a_schema_can_find(checker: Checker, changes: dict[str, Any], said: str) -> None:
    if any(text in said for text in BEYOND_A_SCHEMA):
        return
    assert checker.problems(meshed(**changes))


def properties(node: Any, owner: str = "") -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every key that the schema knows: (table, key, what is said)."""
    if isinstance(node, dict):
        for key, about in node.get("properties", {}).items():
            yield owner, key, about
        for key, child in node.items():
            yield from properties(child, key if owner in ("$defs", "properties") or not owner else owner)


def test_every_key_has_a_title_and_a_meaning(checker: Checker) -> None:
    keys = [*properties(checker.schema)]
    assert len(keys) > 150
    bare = [f"{table}.{key}" for table, key, about in keys if not about.get("description")]
    assert bare == [], "describe them in neurosim/spec/chip.py"
    assert checker.schema["properties"]["prices"]["properties"].keys() == COUNTABLES.keys()


def test_text_is_a_quantity_exactly_where_the_chip_reads_it(checker: Checker) -> None:
    """For every quantity of a chip file: what the schema takes as text, the chip takes, with the same unit."""
    tables = {"static": "StaticPower", "operating_point": "OperatingPoint", "synapse": "Synapse", "timing": "Timing",
              "perturbation": "PerturbationHardware", "astrocyte": "AstrocyteHardware"}  # fmt: skip
    seen = 0
    for table, definition in tables.items():
        for key, about in checker.schema["$defs"][definition]["properties"].items():
            unit = key.rsplit("_", 1)[-1]
            as_text = '"20 m' in json.dumps(about)
            table_with = {**MESHED.get(table, {}), key: f"0 {unit}"}
            if key.endswith("_s") and about.get("type") == "array":
                table_with[key] = [f"0 {unit}", f"1 {unit}"]
            if not as_text:
                continue
            seen += 1
            chip = copy.deepcopy({**MESHED, table: table_with})
            chip["static"] |= {"low_W": 0, "core_low_W": 0, "high_W": 1, "core_high_W": 1}
            chip["static"] |= {end: 0 for end in ("high_W", "core_high_W") if end == key}
            if key.startswith(("high", "core_high")):
                chip["static"] |= {"power_W": 0, "core_power_W": 0}
            assert Chip.model_validate(chip)
            assert checker.problems(chip) == []
            if about.get("type") != "array":
                for wrong in ("1 kg", "abc", "1 m"):
                    assert checker.problems({**chip, table: {**table_with, key: wrong}}), (table, key, wrong)
    assert seen >= 18


def test_a_device_is_a_tagged_union(checker: Checker) -> None:
    for name in registry.names("device"):
        assert checker.problems(meshed(**{"synapse.device": name})) == []
        assert checker.problems(meshed(**{"synapse.device": {"model": name}})) == []
        assert checker.problems(meshed(**{"synapse.device": {"model": name, "no_such_parameter": 1}}))
    assert checker.problems(meshed(**{"synapse.device": {"dw_min": 1e-3}}))
    assert checker.problems(meshed(**{"synapse.device": {"model": "soft-bounds", "dw_min": 0}}))


def test_schema_command(neurosim: Call, chip_file: Path) -> None:
    printed = neurosim("chip", "schema")
    assert printed.code == 0
    assert printed.json == json.loads(json.dumps(chip_schema()))
    written = neurosim("chip", "schema", "-o", "chip.schema.json")
    assert (written.code, written.out) == (0, "chip.schema.json\n")
    assert json.loads(Path("chip.schema.json").read_text(encoding="utf-8")) == printed.json
    assert neurosim("chip", "schema", "-o", "chip.schema.json").code == 2
    assert neurosim("chip", "schema", "-o", "chip.schema.json", "--force").code == 0
    for bad in (".", "absent/chip.schema.json"):
        assert neurosim("chip", "schema", "-o", bad).code == 2
    assert sorted(path.name for path in Path().iterdir()) == ["chip.schema.json", "meshed.toml"]


# docs/architecture.md

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "architecture.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def example() -> dict[str, Any]:
    """The chip file of the page."""
    blocks = [tomllib.loads(text) for text in re.findall(r"^```toml\n(.*?)^```", PAGE, re.S | re.M)]
    return next(table for table in blocks if table.get("name") == "two-chips")


def test_the_page_knows_every_key(checker: Checker) -> None:
    written = set(re.findall(r"`\[*([\w.]+)\]*`", PAGE))
    devices = {key for name, about in checker.schema["$defs"].items() if name.startswith("device-")
               for key in about["properties"]}  # fmt: skip
    keys = {key for table, key, _ in properties(checker.schema)} - devices
    assert {key for key in keys - written if f"`{key}`" not in PAGE} <= {"static", "prices", "synapse", "neuron"}
    assert written.issuperset(COUNTABLES)


def test_the_worked_example(neurosim: Call, checker: Checker, example: dict[str, Any], tmp_path: Path) -> None:
    """The file of the page is valid, fits the schema, and a message between its chips costs what the page says."""
    path = tmp_path / "two-chips.toml"
    path.write_text(tomli_w.dumps(example), encoding="utf-8")
    assert neurosim("chip", "validate", path).code == 0
    assert checker.problems(example) == []
    network = ns.Network()
    network.add_population("src", 1, model="if", bias=1.0, threshold=0.5)
    network.add_population("dst", 1, model="if", threshold=1e9)
    network.connect("src", "dst", pre=[0], post=[0], weights=0.0)
    network.place("src", core=0)
    network.place("dst", core=15)
    out = ns.Simulation(str(path), network, timing="clocked").run(10)
    happened = {name: count for name, count in out.counts.items() if count}
    assert happened["hop_east"] == 20
    assert happened["hop_chip"] == happened["hop_south"] == happened["neuron_fired"] == happened["message"] == 10
    assert "hop_west" not in happened
    assert "hop_north" not in happened
    message = 3 + 4 + (2 * 10 + 500 + 20) + 5 + 6
    updates = happened["neuron_updated"]
    events, received = happened["synaptic_event"], happened["message_received"]  # those of the last tick may be to come
    dynamic_J = 1e-12 * (10 * message - (10 - events) * 6 - (10 - received) * 5 + 2 * 10 * 1 + 2 * updates)
    assert out.energy_J - out.static_energy_J == pytest.approx(dynamic_J, rel=1e-12)
    barrier_s = 0.1e-6 + 1e-6  # two tiles in use, on two chips
    assert out.chip_time_s == pytest.approx(10 * (1e-6 + barrier_s), rel=1e-12)
    assert out.static_energy_J == pytest.approx((2e-3 + 2 * 0.1e-3) * out.chip_time_s, rel=1e-12)
