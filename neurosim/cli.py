"""The command line: what each command takes, and how errors become messages and exit codes.

Everything heavy is imported inside the commands, so that asking for help needs neither numpy nor numba. The work
itself is done in the ``cli_*`` modules beside this one.

Exit codes: 0 done; 1 the run failed; 2 the input is wrong; 130 interrupted.
"""

from __future__ import annotations

import io
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from neurosim._version import __version__
from neurosim.errors import NeurosimError

app = typer.Typer(
    name="neurosim",
    help="A simulator of neuromorphic chips that learn on the chip.",
    epilog="Start here: neurosim run quickstart. Exit codes: 0 done, 1 failed, 2 wrong input, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _group(name: str, about: str) -> typer.Typer:
    group = typer.Typer(name=name, help=about, no_args_is_help=True, rich_markup_mode="rich")
    app.add_typer(group)
    return group


chips = _group("chip", "List, show, check and compare chips.")
scenarios = _group("scenario", "List, show and check scenarios.")
devices = _group("device", "List and show weight devices; convert those of others, fit measured ones.")
models = _group("model", "List and show all models: neurons, devices, codes, costs, trainers.")


class Mode(StrEnum):
    """How the clock runs; both give the same bits."""

    BURST = "burst"
    EVENT = "event"


class Design(StrEnum):
    """Which points of the axes a sweep runs."""

    GRID = "grid"
    LHS = "lhs"
    SOBOL = "sobol"
    OAT = "oat"


class Record(StrEnum):
    """What a trace holds beyond the usual."""

    TIMING = "timing"
    SPIKES = "spikes"
    WEIGHTS = "weights"


class Format(StrEnum):
    """What a trace is exported to."""

    CSV = "csv"


Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]
Force = Annotated[bool, typer.Option("--force", help="Replace what is there already.")]
Trace = Annotated[Path, typer.Argument(metavar="FILE.h5", help="A trace.", show_default=False)]
Scenario = Annotated[str, typer.Argument(help="A shipped scenario, or the path of a file.", show_default=False)]
Chip = Annotated[str, typer.Argument(help="A shipped chip, or the path of a file.", show_default=False)]


def main(arguments: list[str] | None = None) -> NoReturn:
    """The entry point; ends with SystemExit."""
    sys.exit(_call(arguments))


def _call(arguments: list[str] | None) -> int:
    """Run one command; every error that a user can cause becomes a message on stderr and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without µ or τ gets a question mark, not a traceback
    try:
        try:
            app(args=arguments, prog_name="neurosim")
        except SystemExit as end:
            sys.stdout.flush()
            return _code(end)
        except NeurosimError as error:
            return _failed(str(error), error.exit_code)
        except KeyboardInterrupt:
            return _failed("interrupted", 130)
        except MemoryError:
            return _failed("not enough memory", 1)
        return 0
    except BrokenPipeError:  # the reader of our output has gone: nothing to say, and nobody to say it to
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _failed(f"{error.filename or 'the system says'}: {error.strerror or error}", 1)


def _code(end: SystemExit) -> int:
    if end.code is None:
        return 0
    return end.code if isinstance(end.code, int) else 1


def _failed(message: str, code: int) -> int:
    typer.secho("error: ", fg="red", bold=True, err=True, nl=False)
    typer.echo(message, err=True)
    return code


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"neurosim {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None:
    pass


@app.command()
def run(
    scenario: Annotated[
        str | None, typer.Argument(help="A shipped scenario, or the path of a file.", show_default=False)
    ] = None,
    chip: Annotated[str | None, typer.Option(help="Another chip: a shipped one, or the path of a file.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY.PATH=VALUE", help="Change one setting; may be given many times."),
    ] = None,
    ideal: Annotated[bool, typer.Option("--ideal", help="Switch off every imperfection of the chip.")] = False,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of everything random but the chip's mismatch.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="RUN.h5", help="The trace; default: the scenario's name.")
    ] = None,
    force: Force = False,
    mode: Annotated[Mode, typer.Option(help="How the clock runs; both give the same bits.")] = Mode.BURST,
    host_loop: Annotated[
        bool, typer.Option("--host-loop", help="Perturb and write through the host link where the chip cannot.")
    ] = False,
    record: Annotated[
        list[Record] | None,
        typer.Option("--record", help="Keep more in the trace: timing (for recost), spikes, weights; many times."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything; predict time, energy and memory; run nothing.")
    ] = False,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN.h5", help="Go on with an interrupted run; takes no SCENARIO.")
    ] = None,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress on stderr.")] = False,
) -> None:
    """Train a network on a virtual chip; the result goes to stdout, everything that happened to one HDF5 file."""
    from neurosim import cli_run

    wanted = cli_run.Request(
        scenario=scenario, chip=chip, settings=tuple(settings or ()), ideal=ideal, seed=seed, output=output,
        force=force, mode=mode.value, host_loop=host_loop, record=tuple(each.value for each in record or ()),
        dry_run=dry_run, resume=resume, as_json=as_json, quiet=quiet,
    )  # fmt: skip
    raise typer.Exit(cli_run.run(wanted))


@app.command()
def sweep(
    scenario: Annotated[
        str | None, typer.Argument(help="A shipped scenario or study, or the path of a file.", show_default=False)
    ] = None,
    axes: Annotated[
        list[str] | None,
        typer.Option(
            "--axis",
            metavar="KEY.PATH=V1,V2,...",
            help="One axis; many times. A range is 0.1..10, log:0.1..10 or int:1..100, five values of it 0.1..10/5.",
        ),
    ] = None,
    design: Annotated[Design | None, typer.Option(help="Which combinations are run; default: grid.")] = None,
    points: Annotated[int | None, typer.Option(min=1, help="How many, of the designs lhs and sobol.")] = None,
    repeats: Annotated[
        int | None, typer.Option(min=1, help="Runs of each point, with the same seeds everywhere; default: 1.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes on this machine; default: one for each processor; 0: none.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="tcp://...", help="A running dask scheduler instead.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the file: finished points are skipped, failed ones run again.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="SWEEP.h5", help="The file; default: NAME-sweep.h5.")
    ] = None,
    force: Force = False,
    chip: Annotated[str | None, typer.Option(help="Another chip: a shipped one, or the path of a file.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY.PATH=VALUE", help="Change one setting at all points; many times."),
    ] = None,
    ideal: Annotated[bool, typer.Option("--ideal", help="Switch off every imperfection of the chip.")] = False,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the first repeat.")] = None,
    host_loop: Annotated[
        bool, typer.Option("--host-loop", help="Perturb and write through the host link where the chip cannot.")
    ] = False,
    same_chip: Annotated[
        bool, typer.Option("--same-chip", help="All repeats on one virtual chip, with the same mismatch.")
    ] = False,
    curves: Annotated[bool, typer.Option("--curves", help="Keep the evaluations of every point.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check all points and print them; predict the time; run nothing.")
    ] = False,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress on stderr.")] = False,
) -> None:
    """Run a scenario or a study at many points, on all processors or a cluster; the results go to one HDF5 file."""
    from neurosim import cli_sweep

    wanted = cli_sweep.Wanted(
        scenario=scenario, axes=tuple(axes or ()), design=design.value if design else None,
        points=points, repeats=repeats, chip=chip, settings=tuple(settings or ()), ideal=ideal, seed=seed,
        host_loop=host_loop, same_chip=same_chip, workers=workers, scheduler=scheduler, output=output, resume=resume,
        force=force, curves=curves, dry_run=dry_run, as_json=as_json, quiet=quiet,
    )  # fmt: skip
    raise typer.Exit(cli_sweep.run(wanted))


@app.command()
def report(
    file: Trace,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="REPORT.html", help="The page; default: beside the trace.")
    ] = None,
    force: Force = False,
) -> None:
    """Write a trace's report: one HTML page that needs nothing else, and its figures as PNG."""
    from neurosim import cli_traces

    cli_traces.report(file, output, force)


@app.command()
def compare(
    files: Annotated[
        list[Path], typer.Argument(metavar="A.h5 B.h5 ...", help="Two or more traces.", show_default=False)
    ],
    published: Annotated[
        str | None,
        typer.Option("--published", metavar="TASK", help="Published energies of a classification beside: mnist."),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option("--figures", metavar="FOLDER", help="Write the figures of the comparison into this folder."),
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Put the results of several runs side by side."""
    from neurosim import cli_traces

    cli_traces.compare(files, as_json, published, figures, force)


@app.command()
def recost(
    file: Trace,
    chip: Annotated[str, typer.Option(help="The chip whose prices to use.", show_default=False)],
    replay: Annotated[bool, typer.Option("--replay", help="Run it again on that chip, and show both.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="RUN.h5", help="Keep the trace of the replay.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("-q", "--quiet", help="No progress on stderr.")] = False,
) -> None:
    """What the work of a run costs on another chip: joules always, seconds where the trace allows."""
    from neurosim import cli_traces

    raise typer.Exit(cli_traces.recost(file, chip, replay, output, force, as_json, quiet))


@app.command()
def export(
    file: Trace,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="Where to.", show_default=False)],
    to: Annotated[Format, typer.Option(help="The format.")] = Format.CSV,
    force: Force = False,
) -> None:
    """Write a trace's tables for other programs, one file each, with units in the headers."""
    from neurosim import cli_traces

    cli_traces.export(file, to.value, output, force)


@app.command()
def doctor(as_json: Json = False) -> None:
    """Check this installation: versions, kernel compiler, cache, traces, data."""
    from neurosim import cli_doctor

    raise typer.Exit(cli_doctor.doctor(as_json))


@chips.command("list")
def chip_list(as_json: Json = False) -> None:
    """All chips that a bare name finds."""
    from neurosim import cli_files

    cli_files.listing(as_json, "chip")


@chips.command("show")
def chip_show(
    chip: Chip,
    toml: Annotated[bool, typer.Option("--toml", help="Print the file itself, to copy and change.")] = False,
    as_json: Json = False,
) -> None:
    """Everything about a chip: what it can do, and every cost with unit, interval, kind and source."""
    from neurosim import cli_chips, cli_files

    if toml:
        cli_files.text("chip", chip)
    else:
        cli_chips.show(chip, as_json)


@chips.command("validate")
def chip_validate(
    names: Annotated[list[str], typer.Argument(metavar="CHIP...", help="Names or paths.", show_default=False)],
) -> None:
    """Check chip files and their price tables; lists every problem at once."""
    from neurosim import cli_chips

    cli_chips.validate(names)


@chips.command("diff")
def chip_diff(first: Chip, second: Chip, as_json: Json = False) -> None:
    """Where two chips differ, defaults included."""
    from neurosim import cli_chips

    cli_chips.diff(first, second, as_json)


@chips.command("schema")
def chip_schema(
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.json", help="Where to; default: standard output.")
    ] = None,
    force: Force = False,
) -> None:
    """The JSON Schema of chip files, for editors that check and complete TOML."""
    from neurosim import cli_chips

    cli_chips.schema(output, force)


@scenarios.command("list")
def scenario_list(as_json: Json = False) -> None:
    """All scenarios that a bare name finds, and the studies: sweeps that ship."""
    from neurosim import cli_files

    cli_files.listing(as_json, "scenario", "study")


@scenarios.command("show")
def scenario_show(
    scenario: Scenario,
    resolved: Annotated[bool, typer.Option("--resolved", help="With its chip and all defaults.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Resolved, as one JSON object.")] = False,
) -> None:
    """A scenario as TOML: the file itself, to copy and change, or all that it comes to."""
    from neurosim import cli_files

    if resolved or as_json:
        cli_files.resolved(scenario, as_json)
    else:
        cli_files.text("scenario", scenario)


@scenarios.command("validate")
def scenario_validate(
    names: Annotated[list[str], typer.Argument(metavar="SCENARIO...", help="Names or paths.", show_default=False)],
) -> None:
    """Check scenario files down to the network's place on the chip, as a run would; runs nothing."""
    from neurosim import cli_plan

    cli_plan.validate(names)


@devices.command("list")
def device_list(as_json: Json = False) -> None:
    """All models of weight devices, and the presets: named parameter sets with their sources."""
    from neurosim import cli_devices

    cli_devices.listing(as_json)


@devices.command("show")
def device_show(
    device: Annotated[str, typer.Argument(help="A model, a preset, or a preset's file.", show_default=False)],
    as_json: Json = False,
) -> None:
    """A model's equation and parameters, or a preset as TOML, to copy and change."""
    from neurosim import cli_devices

    cli_devices.show(device, as_json)


@devices.command("convert")
def device_convert(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Parameters: JSON, TOML, or printed Name(field=value).")],
    origin: Annotated[str, typer.Option("--from", help="Whose they are: aihwkit, crosssim or neurosim.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="PRESET.toml", help="Where to; default: standard output.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Another simulator's device as a preset, with a list of what was dropped."""
    from neurosim import cli_devices

    cli_devices.convert(file, origin, output, force, as_json)


@devices.command("fit")
def device_fit(
    measured: Annotated[Path, typer.Argument(metavar="MEASURED.csv", help="Columns device, pulse, G, V, width.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="PRESET.toml", help="Where to; default: the CSV's name.")
    ] = None,
    replicates: Annotated[int, typer.Option(min=20, max=100_000, help="Bootstrap replicates.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the bootstrap.")] = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """A preset from measured pulse trains: curve, mismatch and noise apart, intervals, a plot of residuals."""
    from neurosim import cli_devices

    cli_devices.fit(measured, output, replicates, seed, force, as_json)


@models.command("list")
def model_list(as_json: Json = False) -> None:
    """All registered models by kind, those of other packages included."""
    from neurosim import cli_models

    cli_models.listing(as_json)


@models.command("show")
def model_show(
    model: Annotated[str, typer.Argument(help="Name of the model.", show_default=False)],
    kind: Annotated[str | None, typer.Option(help="Its kind, where two kinds share the name.")] = None,
    as_json: Json = False,
) -> None:
    """A model's equation and parameters."""
    from neurosim import cli_models

    cli_models.show(model, kind, as_json)
