"""Studies: sweeps as files, the shipped ones, and what the command line changes of them."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w

import neurosim as ns
from neurosim import api_sweep, cli, files
from neurosim.errors import InputError
from neurosim.report import write_sweep_report
from neurosim.spec import load
from neurosim.spec.study import flattened, load_table
from neurosim.sweeps import Request, make_plan, parse_axis
from neurosim.sweeps.axes import variants_of

SHIPPED = sorted(files.shipped("study"))
SMALL: dict[str, Any] = {
    "scenario": "xor-mgd",
    "repeats": 2,
    "overrides": {"stop": {"steps": 300}, "probes.evaluate_every": 100},
    "axes": {
        "cost noise": {"keys": ["chip.astrocyte.cost_noise_std"], "values": [0.0, 0.1]},
        "method": {
            "mgd": {"training": {"model": "mgd", "norm_mag": 0.05, "learning_rate": 3.0}},
            "node": {"training": {"model": "node", "norm_mag": 0.1, "learning_rate": 0.1}},
        },
    },
}
RATE = "training.learning_rate"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def command(here: Path, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """The command in this process: exit code, stdout, stderr."""

    def call(*arguments: str) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main(list(arguments))
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return int(end.value.code or 0), out, err

    return call


def request(study: Any, axes: tuple[str, ...] = (), **more: Any) -> Request:
    return api_sweep.new_request(study, [parse_axis(text) for text in axes], [], **more)


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_study_is_valid(name: str) -> None:
    """All points resolve, and the machines of one point with each value are built."""
    plan = make_plan(request(name))
    assert len(plan.points) >= 10
    if plan.points[0].scenario["task"]["data"].startswith("fashion-mnist"):  # the part that is in the package
        plan = make_plan(request(name, overrides={"task.data": "fashion-mnist-small", "task.n_test": 50}))
    api_sweep.check(plan)
    assert load.summary_line(files.find("study", name)).endswith(".")


def test_what_ships() -> None:
    assert {
        "xor-imperfections", "fashion-mnist-imperfections", "device-comparison", "write-interval", "bits-x-mismatch",
        "drift-slow-fast",
    } <= set(SHIPPED)  # fmt: skip
    assert not set(SHIPPED) & set(files.shipped("scenario"))


def test_a_shipped_study_from_end_to_end(command: Callable[..., tuple[int, str, str]]) -> None:
    code, out, err = command(
        "sweep", "xor-imperfections", "--set", "stop.steps=2000", "--repeats", "2", "--axis", "cost noise=0,0.1", "--axis", "update noise=0,10",
        "--workers", "0", "-o", "xor.h5", "-q",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "12 of 12 points done (oat, 2 repeats)" in out
    done = ns.open_sweep("xor.h5")
    assert done.name == "xor-imperfections"
    assert [axis.name for axis in done.axes] == ["cost noise", "update noise", "activation mismatch"]
    assert done.axes[0].values == (0, 0.1)
    text = write_sweep_report("xor.h5").read_text(encoding="utf-8")
    for part in ("figure-main_effects", "figure-losses", "figure-costs", "figure-pareto", 'id="places"'):
        assert part in text
    assert "figure-heat_maps" not in text and "no two of them meet" in text
    assert command("sweep", "--resume", "-o", "xor.h5", "--workers", "0")[2].startswith("12 points of 12 finished")


def test_points_are_those_of_the_settings_written_out(here: Path) -> None:
    """A titled axis and a variant are the same points as the keys that they stand for."""
    plan = make_plan(request(SMALL))
    assert [point.coordinates for point in plan.points[::2]] == [
        (0.0, "mgd"), (0.0, "node"), (0.1, "mgd"), (0.1, "node")
    ]  # fmt: skip
    for point in plan.points[::2]:
        noise, method = point.coordinates
        overrides = {
            "stop.steps": 300, "probes.evaluate_every": 100, "chip.astrocyte.cost_noise_std": noise,
            **flattened({"training": SMALL["axes"]["method"][method]["training"]}),
        }  # fmt: skip
        (alone,) = make_plan(request("xor-mgd", ("seed=0",), overrides=overrides)).points
        assert alone.address == point.address


def test_study_files_and_their_requests_survive_a_round_trip(here: Path) -> None:
    path = here / "mine.toml"
    path.write_text("# Mine.\n\n" + tomli_w.dumps(SMALL))
    asked = request(str(path))
    assert asked.name == "mine"
    assert Request.from_json(asked.as_json()) == asked
    done = ns.sweep(path, workers=0)
    assert (done.path.name, len(done.done)) == ("mine-sweep.h5", 8)
    assert ns.sweep(resume=True, output="mine-sweep.h5", workers=0).points == done.points


def test_the_example_of_the_documentation() -> None:
    page = (Path(__file__).parents[1] / "docs" / "sweeps.md").read_text(encoding="utf-8")
    (example,) = (block for block in re.findall(r"^```toml\n(.*?)^```", page, re.S | re.M) if "[axes]" in block)
    plan = make_plan(request(tomllib.loads(example), overrides={"task.data": "fashion-mnist-small"}))
    assert len(plan.points) == 3 * 4 * 3 * 2 * 3


def test_the_command_line_adds_and_replaces() -> None:
    asked = request(SMALL, ("cost noise=0.2,0.3", f"{RATE}=1,2"), repeats=1, overrides={"stop.steps": 50})
    assert [(axis.name, axis.touched) for axis in asked.axes] == [
        ("cost noise", ("chip.astrocyte.cost_noise_std",)),
        ("method", ("training.model", "training.norm_mag", RATE)),
        (RATE, (RATE,)),
    ]
    assert asked.axes[0].values == (0.2, 0.3)
    assert (asked.repeats, asked.overrides["stop.steps"], asked.overrides["probes.evaluate_every"]) == (1, 50, 100)
    only = request(SMALL, ("method=node",))
    assert only.axes[1].values == ("node",) and only.repeats == 2
    drawn = {**SMALL, "design": "lhs", "points": 4}
    assert (request(drawn).design, request(drawn).count) == ("lhs", 4)
    assert (request(drawn, design="oat").design, request(drawn, design="oat").count) == ("oat", None)
    assert request({**SMALL, "seed": 5}, seed=0).seed == 0


def test_a_model_comes_before_its_keys() -> None:
    assert list(flattened({"a": {"rate": 1, "model": "x"}, "b.c": 2})) == ["a.model", "a.rate", "b.c"]
    axis = variants_of("method", {"one": {"a": 1}, "two": {"a": 2, "b": 3}})
    assert (axis.keys, axis.touched, axis.settings("two")) == ((), ("a", "b"), {"a": 2, "b": 3})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"axes": {}}, ["axes"]),
        ({"axis": {}}, ["axis: unknown key; did you mean 'axes'?"]),
        ({"repeats": 0, "design": "gird", "curves": 2}, ["repeats = 0", "design = 'gird'", "curves = 2"]),
        ({"axes": {"training": {"tau_theta": [1, 2]}}}, ["axes: training: write a key path in quotes"]),
        ({"axes": {"x": {"a": 1}, "y": 3}}, ["axes: x.a: must be a table of settings", "axes.y = 3"]),
        ({"axes": {"x": {"keys": "a", "value": []}}}, ["x.value: unknown key", "axes.x.keys", "x.values: must"]),
        ({"axes": {RATE: [1, 1], "y": {"keys": ["a.b"], "values": []}}}, ["takes a value twice", "selects nothing"]),
        ({"axes": {"m": {"one": {RATE: -1.0}}, "n": {"two": {"a.b": 1}}}}, [f"{RATE} = -1.0", "unknown root 'a'"]),
        ({"axes": {RATE: [1, 2], "m": {"one": {RATE: 3.0}}}}, [f"axis {RATE}: stands in two axes"]),
        ({"scenario": "xor-mdg"}, ['no scenario or study "xor-mdg"; did you mean "xor-mgd"?']),
        ({"scenario": "xor-imperfections"}, ["is a study"]),
        ({"scenario": "stdp-window"}, ["is an experiment"]),
    ],
)
def test_what_is_wrong_with_a_study(change: dict[str, Any], said: list[str]) -> None:
    with pytest.raises(InputError) as found:
        make_plan(request({**SMALL, **change}))
    for text in said:
        assert text in " ".join(str(found.value).split()), found.value


def test_wrong_axes_over_a_study() -> None:
    problems: list[str] = []
    axes = [parse_axis("method=mgd,nod"), parse_axis("cost nose=1,2")]
    with pytest.raises(InputError) as found:
        api_sweep.new_request(SMALL, axes, problems)
    assert "unknown variant 'nod'; did you mean 'node'?" in str(found.value)
    assert "cost nose" in str(found.value)


def test_commands_that_know_studies(command: Callable[..., tuple[int, str, str]], here: Path) -> None:
    (here / "mine.toml").write_text("# Mine.\n\n" + tomli_w.dumps(SMALL))
    code, out, _ = command("scenario", "list")
    assert code == 0 and "studies" in out and "xor-imperfections" in out
    listed = json.loads(command("scenario", "list", "--json")[1])
    assert {row["name"] for row in listed["studies"]} == set(SHIPPED)
    assert command("scenario", "show", "xor-imperfections")[1].startswith("# What cost noise")
    assert command("scenario", "validate", "mine.toml")[:2] == (
        0, "mine.toml: valid; a study of 8 points over cost noise, method\n"
    )  # fmt: skip
    code, out, err = command("run", "xor-imperfections")
    assert (code, out) == (2, "") and "neurosim sweep xor-imperfections" in err
    code, _, err = command("sweep", "xor-imperfection", "--dry-run")
    assert code == 2 and 'did you mean "xor-imperfections"?' in err


def test_a_folder_of_ones_own(here: Path) -> None:
    folder = here / "scenarios" / "studies"
    folder.mkdir(parents=True)
    (folder / "mine.toml").write_text(tomli_w.dumps(SMALL))
    assert load_table("mine")["scenario"] == "xor-mgd"
