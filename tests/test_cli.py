"""The command line: what it prints, what it refuses and how, and that an interrupted run loses nothing."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer.main

from neurosim import cli, cli_doctor, cli_out, cli_progress, cli_run, cli_summary, files
from neurosim.spec.load import load_chip
from neurosim.trace import open_trace

ROOT = Path(__file__).resolve().parent.parent
XOR = """
# Exclusive or, as small as it gets.
chip = "nist-hw2"
seed = 1
[network]
init = {model = "uniform", scale = 0.5}
[[network.layers]]
type = "dense"
name = "hidden"
size = 2
neuron = "sigmoid"
[[network.layers]]
type = "dense"
name = "out"
size = 1
neuron = "sigmoid"
[task]
data = "xor"
cost = "mse"
[training]
model = "mgd"
norm_mag = 0.05
learning_rate = 3.0
[stop]
steps = 40000
accuracy = 1.0
"""
SUMMARY = {
    "scenario", "chip", "seed", "accuracy", "cost", "ticks", "steps", "inferences", "samples", "updates",
    "devices_written", "weight_pulses", "chip_time_s", "energy_J", "energy_by_action_J", "static_energy_J", "power_W",
    "assumed_share", "bound_by", "to_target", "host",
}  # fmt: skip


class Result(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as exactly one JSON object, in the strict sense."""

        def refuse(text: str) -> None:
            raise AssertionError(f"{text} is not JSON")

        return json.loads(self.out, parse_constant=refuse)


Call = Callable[..., Result]


@pytest.fixture
def neurosim(capfd: pytest.CaptureFixture[str]) -> Call:
    """The command, in this process: fast, and with every code path of the entry point."""

    def call(*arguments: str | Path) -> Result:
        capfd.readouterr()
        with pytest.raises(SystemExit) as end:
            cli.main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert isinstance(end.value.code, int)
        assert "Traceback" not in err
        return Result(end.value.code, out, err)

    return call


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder with ``xor.toml``."""
    (tmp_path / "xor.toml").write_text(XOR, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """One finished run, in a process of its own: its trace and its summary."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "xor.toml").write_text(XOR, encoding="utf-8")
    done = process("run", "xor.toml", "-o", "run.h5", "--json", "-q", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return folder / "run.h5", json.loads(done.stdout)


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "neurosim", *(str(argument) for argument in arguments)]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def process(*arguments: str | Path, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=cwd, env=environment(**more), capture_output=True, text=True, check=False, timeout=300
    )


def without_host(summary: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in summary.items() if key != "host"}


# Help and lists


def test_help_is_fast_and_imports_nothing_heavy(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom neurosim.cli import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit as end:\n    print(*sorted(sys.modules), sep='\\n', file=sys.stderr)\n    raise\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "run" in done.stdout
    loaded = set(done.stderr.split())
    assert not loaded & {"numba", "numpy", "h5py", "matplotlib", "simpy", "pydantic", "neurosim.api"}
    spent = []
    for _ in range(5):  # processor seconds: the other test worker keeps the machine busy
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert process("--help", cwd=tmp_path).returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(spent) <= 0.6


def test_listing_chips_needs_no_numba(tmp_path: Path) -> None:
    script = "import sys\nfrom neurosim.cli import main\ntry:\n    main(['chip', 'list'])\n" + (
        "except SystemExit:\n    sys.exit('numba' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=environment(), check=False).returncode == 0


def test_version(neurosim: Call) -> None:
    assert neurosim("--version").out == f"neurosim {cli.__version__}\n"


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its full name."""

    def walk(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
        for name, found in group.commands.items():
            if hasattr(found, "commands"):
                yield from walk(found, f"{prefix}{name} ")
            else:
                yield f"{prefix}{name}", found

    yield from walk(typer.main.get_command(cli.app), "")


def test_every_command_has_help(neurosim: Call) -> None:
    for name, _ in commands():
        done = neurosim(*name.split(), "--help")
        assert done.code == 0
        assert name in done.out


def test_documentation_names_every_command_and_option() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for name, found in commands():
        assert f"neurosim {name}" in page
        for parameter in found.params:
            longest = max(parameter.opts, key=len)
            if longest.startswith("--") and longest != "--help":
                assert f"`{longest}" in page, f"{name} {longest}"


@pytest.mark.parametrize("kind", ["chip", "scenario"])
def test_lists_of_files(neurosim: Call, workplace: Path, kind: files.Kind) -> None:
    (workplace / f"{kind}s").mkdir()
    (workplace / f"{kind}s" / "broken.toml").write_text("= not TOML", encoding="utf-8")
    found = neurosim(kind, "list", "--json").json[f"{kind}s"]
    assert {row["name"] for row in found} == {"broken", *files.shipped(kind)}
    assert all(row["summary"] for row in found if row["shipped"])
    table = neurosim(kind, "list").out
    assert all(row["name"] in table for row in found)


def test_lists_of_models(neurosim: Call) -> None:
    found = neurosim("model", "list", "--json").json["models"]
    kinds = {"rate", "spiking", "dynamic", "input", "integer", "plasticity", "device", "perturbation", "cost", "trainer", "experiment"}
    assert {row["kind"] for row in found} == kinds
    assert all(row["about"] for row in found)
    devices = neurosim("device", "list", "--json").json["models"]
    assert [row for row in found if row["kind"] == "device"] == devices
    assert "soft-bounds" in neurosim("device", "list").out


def test_model_is_shown_with_equation_and_parameters(neurosim: Call) -> None:
    shown = neurosim("device", "show", "soft-bounds").out
    assert "(1 - w / w_max)" in shown
    assert re.search(r"dw_min +0\.001 +float +above 0 +mean step", shown)
    names = {row["name"] for row in neurosim("model", "show", "mgd", "--json").json["parameters"]}
    assert {"learning_rate", "tau_theta", "code"} <= names
    done = neurosim("device", "show", "softbounds")
    assert done.code == 2
    assert "did you mean 'soft-bounds'?" in done.err


def test_chip_is_shown_with_every_cost(neurosim: Call) -> None:
    shown = neurosim("chip", "show", "nist-hw2")
    assert shown.code == 0
    priced = load_chip("nist-hw2").prices.keys() | {"cell_read_conductance", "weight_pulse_conductance"}
    for name in priced:
        assert re.search(rf"^  {name} +[\d.e-]+ [munpfaµ]?J .* assumed +\w", shown.out, re.MULTILINE)
    assert "1 mW to 100 mW" in shown.out
    assert re.search(r"^timing.perturbation_period_s +10 ns$", shown.out, re.MULTILINE)
    prices = neurosim("chip", "show", "nist-hw2", "--json").json["prices"]
    assert set(prices) == priced
    assert all({"energy_J", "low_J", "high_J", "kind", "source"} <= price.keys() for price in prices.values())


def test_files_are_shown_as_they_stand(neurosim: Call) -> None:
    for kind, name, options in (("chip", "nist-hw2", ["--toml"]), ("scenario", "quickstart", [])):
        text = files.find(kind, name).read_text(encoding="utf-8")  # type: ignore[arg-type]
        assert neurosim(kind, "show", name, *options).out == text


def test_resolved_scenario_is_a_scenario(neurosim: Call, workplace: Path) -> None:
    shown = neurosim("scenario", "show", "xor.toml", "--resolved").out
    (workplace / "whole.toml").write_text(shown, encoding="utf-8")
    assert neurosim("scenario", "show", "whole.toml", "--resolved").out == shown
    assert neurosim("scenario", "show", "xor.toml", "--json").json["chip"]["name"] == "nist-hw2"
    checked = neurosim("scenario", "validate", "xor.toml", "whole.toml")
    assert checked.code == 0
    assert checked.out.count(": valid; 9 parameters on 1 of 256 cores of nist-hw2") == 2


def test_derived_chip_says_what_it_is(neurosim: Call, workplace: Path) -> None:
    name = "nist-hw1-with-perturbation"
    assert "HYPOTHETICAL" in neurosim("chip", "show", name).out
    assert "HYPOTHETICAL" not in neurosim("chip", "show", "nist-hw1").out
    (workplace / "mine.toml").write_text(neurosim("chip", "show", name, "--toml").out, encoding="utf-8")
    assert neurosim("chip", "diff", "mine.toml", name).out == f"mine.toml and {name} are the same\n"
    assert f"xor on {name} (HYPOTHETICAL)" in neurosim("run", "xor.toml", "--dry-run", "--chip", name).out


def test_chip_diff(neurosim: Call) -> None:
    assert neurosim("chip", "diff", "nist-hw1", "nist-hw1").out == "nist-hw1 and nist-hw1 are the same\n"
    differences = neurosim("chip", "diff", "nist-hw1", "nist-hw2", "--json").json["differences"]
    assert differences["timing.perturbation_period_s"] == [1e-3, 1e-8]
    assert "geometry.neurons_per_core" not in differences
    assert re.search(r"timing.perturbation_period_s +1 ms +10 ns", neurosim("chip", "diff", "nist-hw1", "nist-hw2").out)


# Wrong input


def test_chip_validate_lists_everything_at_once(neurosim: Call, workplace: Path) -> None:
    good = files.find("chip", "nist-hw2").read_text(encoding="utf-8")
    wrong = good.replace("mesh_width", "mesh_widht").replace("cores = 256", 'cores = "many"')
    (workplace / "wrong.toml").write_text(wrong, encoding="utf-8")
    free = good.replace("included in neuron_updated", "nothing")
    (workplace / "free.toml").write_text(free, encoding="utf-8")
    done = neurosim("chip", "validate", "wrong.toml", "nist-hw1", "free.toml")
    assert done.code == 2
    assert done.out.startswith("nist-hw1: valid")
    assert done.out.count("\n") == 1
    assert "3 problems" in done.err
    assert "chip.geometry.mesh_widht: unknown key; did you mean 'mesh_width'?" in done.err
    assert "chip.geometry.cores = 'many'" in done.err
    assert "prices.neuron_visited.energy_J = 0: an assumed zero hides a cost" in done.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], ["which scenario?", "neurosim run quickstart"]),
        (["run", "quikstart"], ['no scenario or study "quikstart"; did you mean "quickstart"?']),
        (["run", "xor.toml", "--chip", "nist-hw9"], ['no chip "nist-hw9"; did you mean "nist-hw']),
        (
            ["run", "xor.toml", "--set", "stop.stpes=3", "--set", "training.norm_mag=abc", "--set", "stop.steps=0"],
            [
                "3 problems",
                "stop.stpes: unknown key; did you mean 'steps'?",
                "training.norm_mag = 'abc'",
                "stop.steps = 0: input should be greater than or equal to 1",
            ],
        ),
        (
            ["run", "xor.toml", "--set", "foo", "--set", "chip=nist-hw1", "--set", "seed=1", "--set", "seed=2"],
            ["3 problems", "'foo': write key.path=value", "--chip", "seed is set twice"],
        ),
        (["run", "xor.toml", "--set", "training.learnig_rate=1"], ["unknown key; did you mean 'learning_rate'?"]),
        (["run", "xor.toml", "--set", "trainin.norm_mag=1"], ["unknown root 'trainin'; did you mean 'training'?"]),
        (["run", "xor.toml", "--set", "training.code=rnadom"], ["'rnadom'; did you mean 'random'?"]),
        (["run", "xor.toml", "--set", "task.data=xro"], ["Did you mean 'xor'?"]),
        (
            ["run", "xor.toml", "--set", "chip.geometry.cores=1", "--set", "chip.geometry.neurons_per_core=1"],
            ["3 cores are needed, it has 1 (2 missing)", "way out"],
        ),
        (
            ["run", "xor.toml", "--set", "chip.capabilities.perturbation_mechanisms=[]"],
            ["no perturbation mechanism fits", "two ways out: --host-loop", "nist-hw2-with-perturbation"],
        ),
        (["run", "xor.toml", "-o", "absent/run.h5"], ["absent/run.h5", "the folder does not exist"]),
        (["run", "xor.toml", "-o", "xor.toml/run.h5"], ["a part of the path is not a folder"]),
        (["run", "xor.toml", "-o", "."], ["is a folder"]),
        (["run", "xor.toml", "-o", "xor.toml"], ["xor.toml: exists already", "--force"]),
        (["run", "--resume", "xor.toml", "-o", "."], ["is a folder"]),
        (["run", "xor.toml", "--dry-run", "-o", "xor.toml"], ["xor.toml: exists already", "--force"]),
        (["run", "--resume", "absent.h5"], ["absent.h5: no such file"]),
        (["run", "--resume", "xor.toml"], ["not an HDF5 file"]),
        (["run", "xor.toml", "--resume", "a.h5", "--seed", "1"], ["leave out SCENARIO, --seed"]),
        (["report", "xor.toml"], ["not an HDF5 file"]),
        (["compare", "xor.toml"], ["two traces or more"]),
        (["compare", "xor.toml", "absent.h5"], ["2 problems", "xor.toml: not an HDF5 file", "absent.h5: no such file"]),
        (["recost", "xor.toml", "--chip", "nist-hw1"], ["not an HDF5 file"]),
        (["chip", "show", "analog"], ['did you mean "analog-if"?']),
        (["scenario", "validate", "xor.toml", "absent", "nil"], ['no scenario or study "absent"', 'no scenario or study "nil"']),
        (["scenario", "show", "absent"], ['no scenario or study "absent"']),
        (["model", "show", "mdg"], ["did you mean 'mgd'?"]),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) and value[0].islower() else "",
)
def test_wrong_input(neurosim: Call, workplace: Path, arguments: list[str], said: list[str]) -> None:
    """Everything that is wrong is said at once, in words; exit code 2; nothing is left behind."""
    done = neurosim(*arguments)
    assert done.code == 2
    assert done.err.startswith("error: ")
    for text in said:
        assert text in done.err
    assert "valid" in done.out if arguments[:2] == ["scenario", "validate"] else not done.out
    assert [path.name for path in workplace.iterdir()] == ["xor.toml"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rnu"], "Did you mean 'run'?"),
        (["run", "xor.toml", "--sede", "1"], "--seed"),
        (["run", "xor.toml", "--seed", "-1"], "--seed"),
        (["run", "xor.toml", "--seed", "one"], "--seed"),
        (["run", "xor.toml", "--mode", "slow"], "burst"),
        (["run", "xor.toml", "--record", "spikes"], "--record"),
        (["recost", "run.h5"], "--chip"),
        (["export", "run.h5", "--to", "png", "-o", "x"], "csv"),
    ],
)
def test_wrong_usage(neurosim: Call, workplace: Path, arguments: list[str], said: str) -> None:
    done = neurosim(*arguments)
    assert done.code == 2
    assert said in done.err


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write everywhere")
def test_folder_without_permission(neurosim: Call, workplace: Path) -> None:
    (workplace / "locked").mkdir(mode=0o500)
    for more in ([], ["--dry-run"]):
        done = neurosim("run", "xor.toml", "-o", "locked/run.h5", *more)
        assert done.code == 2
        assert "no permission to write here" in done.err


def test_dry_run_writes_nothing(
    neurosim: Call, workplace: Path, monkeypatch: pytest.MonkeyPatch, trained: tuple[Path, dict[str, Any]]
) -> None:
    monkeypatch.setenv("NEUROSIM_CACHE", str(workplace / "cache"))
    shown = neurosim("run", "xor.toml", "--dry-run", "--chip", "nist-hw3")
    plan = neurosim("run", "xor.toml", "--dry-run", "-o", "run.h5", "--json").json
    assert [path.name for path in workplace.iterdir()] == ["xor.toml"]
    for text in ("xor on nist-hw3", "side-element", "1 of 256 cores", "2 inferences of 1 tick", "will be compiled"):
        assert text in shown.out
    assert plan["network"]["parameters"] == 9
    assert plan["training"]["mechanism"] == "side-element"
    assert plan["training"]["inferences_per_step"] == 2
    assert plan["schedule"]["inferences"] == 80_000
    trace, summary = trained
    assert plan["schedule"]["inferences"] == summary["inferences"]
    assert plan["chip_time"]["run_s"] == pytest.approx(summary["chip_time_s"])
    assert plan["chip_time"]["bare_run_s"] == pytest.approx(summary["bare_chip_time_s"])
    assert 0.7 < plan["trace_B"] / trace.stat().st_size < 1.4


# Results


def test_run_prints_one_json_object(trained: tuple[Path, dict[str, Any]]) -> None:
    trace, summary = trained
    assert summary.keys() >= SUMMARY
    assert summary["accuracy"] == 1.0
    assert summary["to_target"].keys() >= {"steps", "inferences", "chip_time_s", "energy_J", "weight_pulses"}
    assert summary["host"]["trace"] == "run.h5"
    with open_trace(trace) as kept:
        assert kept.status == "complete"
        assert without_host(kept.summary) == without_host(summary)


def test_same_seed_same_summary(neurosim: Call, workplace: Path, trained: tuple[Path, dict[str, Any]]) -> None:
    again = neurosim("run", "xor.toml", "--json", "-q").json
    assert without_host(again) == without_host(trained[1])
    other = neurosim("run", "xor.toml", "--json", "-q", "--seed", "2").json
    assert other["cost"] != again["cost"]
    assert [other["host"]["trace"], again["host"]["trace"]] == ["xor-2.h5", "xor.h5"]


def test_run_prints_a_summary(neurosim: Call, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_progress, "FIRST_LINE_S", 0.0)
    done = neurosim("run", "xor.toml", "-o", "a run.h5", "--ideal")
    assert done.code == 0
    for text in (
        "xor on nist-hw2, seed 1", "accuracy            100.00 %", "steps               40,000", "80,000",
        "1.02 ms (953 µs to 1.22 ms), bound by write 39.2 %", "14.2 µJ (1.71 µJ to 150 µJ), 100 % of it on assumed prices", "static power",
        "probes with C~ = 0", "to 100 %", "a run.h5", "next: neurosim report 'a run.h5'",
    ):  # fmt: skip
        assert text in done.out
    assert re.search(r"(?m)^step [\d,]+ of 40,000 \(\d+ %\), accuracy .*, chip time .*s, energy .*J", done.err)
    again = neurosim("run", "xor.toml", "-o", "a run.h5", "-q")
    assert (again.code, again.out) == (2, "")
    assert neurosim("run", "xor.toml", "-o", "a run.h5", "-q", "--force").err == ""


def test_compilation_is_announced(
    neurosim: Call, workplace: Path, monkeypatch: pytest.MonkeyPatch, trained: tuple[Path, dict[str, Any]]
) -> None:
    from neurosim.engine.machine import Machine

    monkeypatch.setattr(Machine, "needs_compiling", property(lambda self: True))
    assert "compiling the kernel of this network, once" in neurosim("run", "xor.toml").err
    assert neurosim("run", "xor.toml", "-q").err == ""


def test_progress_on_a_terminal(neurosim: Call, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_progress, "BAR_EVERY_S", 0.0)
    terminal = sys.stderr  # rich puts another one in its place
    monkeypatch.setattr(type(terminal), "isatty", lambda self: self is terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    done = neurosim("run", "xor.toml", "--json")
    assert done.code == 0
    assert done.json["accuracy"] == 1.0
    assert re.search(r"step 40,000 .* 100 %  accuracy 100.00 %, chip time 1.02 ms, energy 14.2 µJ", done.err)


def test_target_that_is_not_reached(neurosim: Call, workplace: Path) -> None:
    done = neurosim("run", "xor.toml", "-q", "--set", "stop.steps=2")
    assert re.search(r"to 100 % +not reached", done.out)


def test_divergence(neurosim: Call, workplace: Path, trained: tuple[Path, dict[str, Any]]) -> None:
    done = neurosim("run", "xor.toml", "--set", "training.learning_rate=1e300", "-o", "wild.h5")
    assert (done.code, done.out) == (1, "")
    assert "the cost is not finite at step" in done.err
    assert "layer hidden" in done.err
    assert "lower training.learning_rate" in done.err
    assert "the trace up to there: wild.h5" in done.err
    with open_trace(workplace / "wild.h5") as trace:
        assert trace.status == "failed"


# Interrupts


def wait_for(child: subprocess.Popen[str], text: str) -> str:
    """Read the child's stderr up to a line with the text; the test's own time limit ends a wait in vain."""
    assert child.stderr is not None
    for line in child.stderr:
        if text in line:
            return line
    raise AssertionError(f"ended with {child.wait()} before it said {text!r}")


def start(*arguments: str, cwd: Path, **more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(*arguments), cwd=cwd, env=environment(**more), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_goes_on_bit_for_bit(
    neurosim: Call, workplace: Path, trained: tuple[Path, dict[str, Any]], number: signal.Signals
) -> None:
    """Interrupted in the slow mode, resumed in the fast one: the same result, row by row."""
    with start("run", "xor.toml", "-o", "cut.h5", "--mode", "event", "--json", cwd=workplace) as child:
        wait_for(child, "step ")
        child.send_signal(number)
        out, err = child.communicate(timeout=60)
    assert child.returncode == 130
    done = json.loads(out)["steps"]
    assert 0 < done < 40_000
    assert f"interrupted at step {done:,} of 40,000; go on with: neurosim run --resume cut.h5" in err
    with open_trace(workplace / "cut.h5") as trace:
        assert trace.status == "interrupted"
    copied = neurosim("run", "--resume", "cut.h5", "-o", "copy.h5", "--json", "-q").json
    resumed = neurosim("run", "--resume", "cut.h5", "--json", "-q").json
    assert without_host(resumed) == without_host(trained[1])
    assert without_host(copied) == without_host(trained[1])
    with open_trace(workplace / "cut.h5") as trace, open_trace(trained[0]) as whole:
        assert trace.status == "complete"
        assert trace.tables == whole.tables
        for name in whole.tables:
            for column in whole.table(name).columns:
                assert (trace.table(name)[column] == whole.table(name)[column]).all(), f"{name}/{column}"
    again = neurosim("run", "--resume", "cut.h5")
    assert again.code == 2
    assert "nothing to resume" in again.err


@pytest.mark.parametrize(("number", "wait_s"), [(signal.SIGINT, 0.5), (signal.SIGTERM, 4.0)])
def test_interrupted_while_compiling(
    neurosim: Call, workplace: Path, trained: tuple[Path, dict[str, Any]], number: signal.Signals, wait_s: float
) -> None:
    with start("run", "xor.toml", "-o", "cut.h5", cwd=workplace, NEUROSIM_CACHE=str(workplace / "cache")) as child:
        wait_for(child, "compiling")
        time.sleep(wait_s)
        child.send_signal(number)
        started = time.monotonic()
        out, err = child.communicate(timeout=60)
    assert time.monotonic() - started < 5.0
    assert (child.returncode, out) == (130, "")
    assert err.strip() == "interrupted at step 0 of 40,000; go on with: neurosim run --resume cut.h5"
    assert without_host(neurosim("run", "--resume", "cut.h5", "--json", "-q").json) == without_host(trained[1])


def test_interrupt_inside_a_callback_waits_for_its_end() -> None:
    """LLVM calls Python while it compiles, and an exception in there would be lost."""
    watch, calls = cli_progress.Watch(quiet=True), []

    def _raw_object_cache_notify() -> None:
        signal.raise_signal(signal.SIGTERM)
        calls.append("the callback ended")

    def compile_something() -> None:
        with cli_run._stoppable(watch):
            _raw_object_cache_notify()
            for _ in range(1000):
                time.sleep(0.01)

    with pytest.raises(KeyboardInterrupt):
        compile_something()
    assert calls == ["the callback ended"]
    assert watch.stop_requested


def test_closed_pipe_is_no_error(tmp_path: Path) -> None:
    with subprocess.Popen(
        command("chip", "show", "nist-hw2"), cwd=tmp_path, env=environment(), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.close()
        assert child.stderr.read() == ""
    assert child.returncode == 1


# Traces


def test_report(neurosim: Call, workplace: Path, trained: tuple[Path, dict[str, Any]]) -> None:
    shutil.copy(trained[0], workplace / "run.h5")
    done = neurosim("report", "run.h5")
    assert (done.code, done.out) == (0, "run.html\n")
    assert (workplace / "run.html").read_text(encoding="utf-8").lstrip().startswith("<!DOCTYPE html>")
    again = neurosim("report", "run.h5")
    assert (again.code, again.out) == (2, "")
    assert "--force" in again.err
    assert neurosim("report", "run.h5", "--force", "-o", "run.html").code == 0


def test_compare(neurosim: Call, workplace: Path, trained: tuple[Path, dict[str, Any]]) -> None:
    trace, summary = trained
    assert neurosim("run", "xor.toml", "-q", "--chip", "nist-hw3", "--seed", "2", "-o", "fast.h5").code == 0
    shown = neurosim("compare", trace, "fast.h5")
    assert shown.code == 0
    for text in (
        "nist-hw2",
        "nist-hw3",
        "1.71 µJ to 150 µJ",
        "953 µs to 1.22 ms",
        "weight pulses",
        "at equal accuracy: 100.00 %",
        "to target: accuracy",
        "trainer",
        "mgd",
        "(x ",
    ):
        assert text in shown.out
    assert "energy intervals overlap: run and fast" in shown.out
    both = neurosim("compare", trace, "fast.h5", "--json").json
    assert both["energy_overlaps"] == [["run", "fast"]]
    assert without_host({**both["runs"][0], "file": None}) == without_host({**summary, "file": None})


def test_energy_intervals() -> None:
    def run(low: float | None, high: float | None, chip: str = "a") -> dict[str, Any]:
        return {"energy_low_J": low, "energy_high_J": high, "chip": chip}

    three = [run(1.0, 2.0), run(1.5, 3.0), run(2.5, 4.0)]
    assert cli_summary.overlaps("xyz", three) == [("x", "y"), ("y", "z")]
    assert any("share one chip" in line for line in cli_summary.overlap_lines("xyz", three))
    apart = cli_summary.overlap_lines("xy", [run(1.0, 2.0), run(3.0, 4.0)])
    assert apart[0].startswith("energy intervals do not overlap")
    assert cli_summary.overlap_lines("xy", [run(1.0, 2.0), run(None, None)]) == []


def test_recost(neurosim: Call, trained: tuple[Path, dict[str, Any]]) -> None:
    """On its own chip a run costs what it cost, to the last bit; on another the counts are priced anew."""
    trace, summary = trained
    own = neurosim("recost", trace, "--chip", "nist-hw2", "--json").json
    assert {key: own[key] for key in summary.keys() & own.keys()} == {
        key: summary[key] for key in summary.keys() & own.keys()
    }
    assert own["energy_J"] == summary["energy_J"]
    other = neurosim("recost", trace, "--chip", "nist-hw3", "--json").json
    assert other["chip_time_s"] == summary["chip_time_s"]
    assert other["time"] == "recorded"
    assert other["static_energy_J"] == pytest.approx(10.0 * summary["chip_time_s"])
    shown = neurosim("recost", trace, "--chip", "nist-hw3").out
    assert "nist-hw2 (as run)" in shown
    assert "The time is the recorded one, on nist-hw2" in shown


def test_export(neurosim: Call, workplace: Path, trained: tuple[Path, dict[str, Any]]) -> None:
    done = neurosim("export", trained[0], "--to", "csv", "-o", "tables")
    assert done.code == 0
    listed = [Path(line) for line in done.out.splitlines()]
    assert sorted(listed) == sorted(Path("tables") / path.name for path in (workplace / "tables").iterdir())
    assert (workplace / "tables" / "eval.csv").read_text(encoding="utf-8").startswith("step [step],tick [tick]")
    assert neurosim("export", trained[0], "-o", "tables").code == 2
    assert neurosim("export", trained[0], "-o", "tables", "--force").code == 0


# The rest


def test_doctor(neurosim: Call, workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = neurosim("doctor")
    assert done.code == 0, done.out
    assert "everything works" in done.out
    checks = {check["name"]: check for check in neurosim("doctor", "--json").json["checks"]}
    assert {"libraries", "threads", "kernel cache", "kernel compiler", "traces", "data: mnist"} <= checks.keys()
    (workplace / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("NEUROSIM_CACHE", str(workplace / "file"))
    monkeypatch.setattr(cli_doctor, "_compiler", lambda: 1 / 0)
    broken = neurosim("doctor")
    assert broken.code == 1
    assert "set NEUROSIM_CACHE" in broken.out
    assert "ZeroDivisionError" in broken.out
    assert "not in order: kernel cache, kernel compiler" in broken.out


def test_json_knows_no_nan() -> None:
    import numpy as np

    values = {"a": float("nan"), "b": [float("inf"), np.float32(0.5)], "c": np.arange(2), 4: None, "d": Path("x")}
    assert cli_out.clean(values) == {"a": None, "b": [None, 0.5], "c": [0, 1], "4": None, "d": "x"}


@pytest.mark.parametrize(
    ("share", "text"),
    [(0, "0 %"), (1, "100 %"), (0.9999, "99.9 %"), (0.123, "12.3 %"), (0.00031, "0.031 %"), (None, "-")],
)
def test_only_the_whole_is_100_percent(share: float | None, text: str) -> None:
    assert cli_out.percent(share) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (75, "1:15"), (3723, "1:02:03")])
def test_clock(seconds: float, text: str) -> None:
    assert cli_progress.clock(seconds) == text
