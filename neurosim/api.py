"""The Python surface: run a scenario, open a trace, drive a network by hand."""

from __future__ import annotations

import contextlib
import functools
import json
import signal
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tomli_w

from neurosim import accounting, models, registry, training
from neurosim._version import __version__
from neurosim.accounting import Bill
from neurosim.chip.population import Network, Population
from neurosim.data import Dataset, silent
from neurosim.data import load as load_data
from neurosim.engine import retime
from neurosim.engine import simulation as by_hand
from neurosim.engine.control import Control
from neurosim.engine.machine import Machine
from neurosim.engine.network_output import Block, Output
from neurosim.engine.schedule import Schedule
from neurosim.engine.sink import NullSink
from neurosim.errors import DivergenceError, InputError, TraceError
from neurosim.kernels.random import RNG_VERSION
from neurosim.models.plasticity.stdp import Stdp
from neurosim.models.plasticity.stdp_soft import SoftStdp
from neurosim.spec import load
from neurosim.spec.chip import Chip
from neurosim.spec.scenario import Scenario
from neurosim.trace import Trace, TraceWriter, ledger_of, open_trace, tallies_of
from neurosim.trace.chip_map import write_chip_map
from neurosim.trace.mapped import map_of_machine
from neurosim.trace.network import recorded

__all__ = [
    "Network", "Recost", "Run", "Simulation", "SoftStdp", "Stdp", "Trace", "open_trace", "recost", "replay", "resume",
    "run",
]  # fmt: skip

Mode = Literal["burst", "event"]
Progress = Callable[[Control], None]

RECORDS = {
    "timing": "the tallies behind the ledger, so that recost can re-time the run on another chip",
    "spikes": "the spikes of all spiking layers on a few test samples",
    "weights": "all weights, as often as the training curve",
}
"""What a trace holds on request (``record``, ``--record``)."""


@dataclass(frozen=True)
class Run:
    """A finished (or interrupted) run."""

    summary: dict[str, Any]
    """The keys of ``neurosim run --json``."""
    trace: Path | None
    """The HDF5 file; None when nothing was recorded."""
    status: str
    """``complete`` or ``interrupted``."""


class Simulation(by_hand.Simulation):
    """A network on a chip, driven by hand (docs/network.md), whose runs can be kept in a trace."""

    def run(
        self,
        ticks: int,
        *,
        record: str | Iterable[str | Population] | None = None,
        record_timing: bool = False,
        on_block: Callable[[Block], None] | None = None,
        events: by_hand.Events | None = None,
        trace: str | Path | None = None,
        by_core: bool = False,
        force: bool = False,
    ) -> Output:
        """Take ``ticks`` ticks; ``record`` and ``record_timing`` replace, for this run, what is kept otherwise.

        ``trace``: an HDF5 file that the run is written to while it goes on (docs/trace.md), spikes included, which are
        then not kept in memory; ``record_timing`` adds a row for each tick, ``by_core`` one column for each core.
        ``force``: replace an older file. ``on_block``: called with what has happened, about ten times a second.
        Ctrl-C stops between two ticks: KeyboardInterrupt is raised, and the simulation stands where it stopped.
        """
        if trace is None:
            if by_core or force:
                raise InputError("by_core and force are about a trace: name one with trace='run.h5'")
            return super().run(ticks, record=record, record_timing=record_timing, on_block=on_block, events=events)
        names = self._record if record is None else self._names(record)
        run = functools.partial(super().run, events=events)
        return recorded(self, run, ticks, trace, record=names, record_timing=record_timing, by_core=by_core,
                        force=force, on_block=on_block)  # fmt: skip


def load_models() -> None:
    """Register every built-in model and those that other packages announce; before any spec is validated."""
    models.load_builtin()
    training.load_builtin()


def load_scenario(
    scenario: str | Path | Mapping[str, Any],
    *,
    chip: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    seed: int | None = None,
    ideal: bool = False,
    host_loop: bool = False,
    record: Iterable[str] = (),
) -> tuple[str, Scenario]:
    """(name, resolved scenario) of a shipped name, a path, or a table; raises InputError listing every problem.

    ``record``: names of RECORDS, recorded beside what the scenario's own probes ask for.
    """
    load_models()
    if isinstance(scenario, Mapping):
        name, table = "scenario", dict(scenario)
    else:
        name, table = Path(str(scenario)).stem, load.load_scenario_table(str(scenario))
    changes = dict(overrides or {})
    if host_loop:
        changes["training.host_loop"] = True
    where = f"scenario {name}"
    problems: list[str] = []
    wanted = _records(record, problems)
    try:
        resolved = load.resolve(table, where=where, chip=chip, overrides=changes, seed=seed, make_ideal=ideal)
    except InputError as error:
        raise type(error)([*problems, *error.problems], error.where) from None
    probes = _probes(resolved, wanted, problems)
    if problems:
        raise InputError(problems, where)
    return name, resolved.model_copy(update={"probes": resolved.probes.model_copy(update=probes)})


def _records(record: Iterable[str], problems: list[str]) -> list[str]:
    """Known names; the others become problems."""
    wanted = [record] if isinstance(record, str) else list(record)
    problems += [registry.unknown(name, list(RECORDS), "record") for name in wanted if name not in RECORDS]
    return [name for name in wanted if name in RECORDS]


def _probes(scenario: Scenario, wanted: list[str], problems: list[str]) -> dict[str, Any]:
    """Settings of the probes that record what is wanted."""
    probes: dict[str, Any] = {}
    if "timing" in wanted:
        probes["timing"] = True
    if "weights" in wanted and scenario.probes.weights_every == 0:
        probes["weights_every"] = Schedule.of(scenario).record
    if "spikes" in wanted:
        known = registry.names("spiking")
        layers = [layer.name for layer in scenario.network.layers if _neuron_model(layer) in known]
        if not layers:
            problems.append("--record spikes: no layer of the network has spiking neurons")
        probes["spikes"] = tuple(dict.fromkeys((*scenario.probes.spikes, *layers)))
    return probes


def _neuron_model(layer: Any) -> str | None:
    return layer.neuron.model if layer.type in ("dense", "conv2d") else None


def load_dataset(scenario: Scenario, quiet: bool = True) -> Dataset:
    """The data of a scenario's task."""
    task = scenario.task
    options: dict[str, object] = {}
    if task.data == "parity":
        options["bits"] = task.bits
    if task.data == "nist7x7":
        options["noise_std"] = task.noise_std
    return load_data(task.data, None, task.n_train, task.n_test, silent if quiet else None, options=options or None)


def build(scenario: Scenario, quiet: bool = True) -> Machine:
    """The virtual chip of a scenario, with the network on it and its data at hand."""
    return Machine(scenario, load_dataset(scenario, quiet), _start_weights(scenario))


def _start_weights(scenario: Scenario) -> np.ndarray | None:
    """The last weights of the trace that ``network.weights`` names."""
    path = scenario.network.weights
    if path is None:
        return None
    with open_trace(path) as trace:
        parts = []
        for layer in scenario.network.layers:
            if layer.type in ("maxpool", "avgpool"):
                continue
            if layer.name not in trace.weights:
                raise InputError(f"network.weights: {path} has no weights of a layer {layer.name!r}")
            parts.append(np.asarray(trace.weights[layer.name].value)[-1].reshape(-1))
    return np.concatenate(parts)


def run(
    scenario: str | Path | Mapping[str, Any],
    *,
    chip: str | None = None,
    seed: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    ideal: bool = False,
    host_loop: bool = False,
    output: str | Path | None = None,
    record: bool | str | Iterable[str] = True,
    force: bool = False,
    mode: Mode = "burst",
    progress: Progress | None = None,
    quiet: bool = True,
    burst_steps: int | None = None,
) -> Run:
    """Train the scenario's network on its chip; returns the summary and the trace.

    ``output``: where the trace goes (default: the scenario's name with a number that is free, in the working folder);
    ``record=False`` keeps no trace; names of RECORDS keep more than usual in it. Raises InputError (and writes
    nothing) when anything asked for is wrong, DivergenceError when the cost stops being finite (the trace is kept).
    """
    more = () if isinstance(record, bool) else record
    name, resolved = load_scenario(
        scenario, chip=chip, overrides=overrides, seed=seed, ideal=ideal, host_loop=host_loop, record=more
    )
    request = _request(scenario, overrides, ideal, host_loop)
    return _run(name, resolved, request, output=output, record=record is not False, force=force, mode=mode,
                progress=progress, quiet=quiet, burst_steps=burst_steps)  # fmt: skip


def _run(
    name: str,
    resolved: Scenario,
    request: str,
    *,
    output: str | Path | None,
    record: bool,
    force: bool,
    mode: Mode,
    progress: Progress | None,
    quiet: bool,
    burst_steps: int | None,
) -> Run:
    """Build the machine, open the trace, run."""
    path = _free_name(name) if output is None else Path(output)
    writer = None
    machine = build(resolved, quiet)
    if record:
        writer = TraceWriter.create(path, force=force, attributes={"scenario": name, **_attributes(resolved)})
        writer.write("/config/chip", tomli_w.dumps(_plain(resolved)["chip"]), "1", "the chip, resolved")
        writer.write("/config/scenario", tomli_w.dumps(_plain(resolved)), "1", "the scenario, resolved")
        writer.write("/config/name", name, "1", "name of the scenario")
        writer.write("/config/request", request, "1", "what was asked for, JSON: the scenario before its chip was read")
    control = Control(machine, writer or NullSink(), mode=mode, progress=progress, burst_steps=burst_steps)
    return _drive(name, control, writer, begin=True)


def _request(
    scenario: str | Path | Mapping[str, Any], overrides: Mapping[str, Any] | None, ideal: bool, host_loop: bool
) -> str:
    """What was asked for, as JSON text, so that it can be asked of another chip."""
    table = dict(scenario) if isinstance(scenario, Mapping) else load.load_scenario_table(str(scenario))
    asked = {"scenario": table, "overrides": dict(overrides or {}), "ideal": ideal, "host_loop": host_loop}
    return json.dumps(asked, default=_as_json)


def _as_json(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def scenario_of(trace: Trace, chip: str | None = None) -> tuple[str, Scenario]:
    """(name, scenario) of a trace, from the text inside it; with ``chip`` on another chip, as ``run --chip`` would.

    What the scenario and ``--set`` changed of their own chip they change of the other one, too. Raises InputError where
    they do not go together, TraceError where the trace does not say what was run.
    """
    load_models()
    config = trace.config
    if "scenario" not in config:
        raise TraceError(f"{trace.path}: holds no scenario")
    where, table = f"trace {trace.path}", tomllib.loads(config["scenario"])
    name = config.get("name", "scenario")
    if chip is None:
        return name, load.resolve(table, where=where)
    asked = json.loads(config["request"]) if "request" in config else {"scenario": {**table, "chip": chip}}
    changes = dict(asked.get("overrides", {}))
    if asked.get("host_loop"):
        changes["training.host_loop"] = True
    theirs = load.resolve(
        asked["scenario"], where=where, chip=chip, overrides=changes, seed=table.get("seed"),
        make_ideal=bool(asked.get("ideal")),
    )  # fmt: skip
    ours = load.resolve(table, where=where)
    return name, theirs.model_copy(update={"probes": ours.probes})


@dataclass(frozen=True)
class Recost:
    """The work of a recorded run at another chip's prices and, where that can be known, in its time."""

    bill: Bill
    chip: Chip
    time: Literal["exact", "recorded"]
    """``exact``: what a run on that chip would take. ``recorded``: what the run took on its own."""
    why: tuple[str, ...]
    """Why the time, and with it what depends on the chip's structure, is the recorded one."""


def recost(trace: str | Path | Trace, chip: str) -> Recost:
    """What the work of a finished run costs on another chip, from its trace.

    Energy is the recorded counts at the other prices. With the tallies of ``record="timing"``, and where the other chip
    would take the same steps, counts and time are those of a run on that chip; `Recost.why` says why not, otherwise.
    Raises InputError listing what is wrong with trace and chip, also for a countable without a price.
    """
    if isinstance(trace, Trace):
        return _recost(trace, chip)
    load_models()
    problems: list[str] = []
    for check in (lambda: open_trace(trace).close(), lambda: load.load_chip(chip)):
        try:
            check()
        except InputError as error:
            problems += [f"{error.where}: {problem}" if error.where else problem for problem in error.problems]
    if problems:
        raise InputError(problems)
    with open_trace(trace) as source:
        return _recost(source, chip)


def _recost(trace: Trace, chip: str) -> Recost:
    """See `recost`."""
    load_models()
    plain, recorded, built = load.load_chip(chip), ledger_of(trace), trace.ledger.attributes
    cores_used = built.get("cores_used")
    try:
        ours, theirs = scenario_of(trace)[1], scenario_of(trace, chip)[1]
    except (InputError, TraceError) as error:
        why = tuple(error.problems) if isinstance(error, InputError) else (str(error),)
        return Recost(accounting.recost(recorded, plain, cores_used), plain, "recorded", why)
    if theirs.chip == ours.chip:
        return Recost(accounting.recost(recorded, ours.chip, cores_used), ours.chip, "exact", ())
    tallies = tallies_of(trace)
    if tallies is None or "input_shape" not in built:
        reasons = retime.seconds_in_physics(ours) or [
            "the trace holds no tallies; record them with run --record timing"
        ]
        return Recost(accounting.recost(recorded, theirs.chip, cores_used), theirs.chip, "recorded", tuple(reasons))
    shape = tuple(int(length) for length in built["input_shape"])
    try:
        done = retime.retime(ours, theirs, retime.stand_in(shape, built["outputs"], built["classes"]), tallies)
    except InputError as error:
        done = retime.Retimed(None, None, tuple(error.problems))
    if done.ledger is None or done.prices is None:
        return Recost(accounting.recost(recorded, theirs.chip, cores_used), theirs.chip, "recorded", done.why_not)
    return Recost(accounting.bill(done.ledger, done.prices), theirs.chip, "exact", ())


def replay(
    trace: str | Path,
    *,
    chip: str | None = None,
    output: str | Path | None = None,
    force: bool = False,
    mode: Mode = "burst",
    progress: Progress | None = None,
    quiet: bool = True,
) -> Run:
    """Run what a trace holds once more, from its own text, on its own or on another chip.

    ``output``: where the new trace goes; None keeps none. Data are read where the scenario says, not from the trace.
    """
    with open_trace(trace) as source:
        name, resolved = scenario_of(source, chip)
        request = source.config.get("request", "{}")
    return _run(name, resolved, request, output=output, record=output is not None, force=force, mode=mode,
                progress=progress, quiet=quiet, burst_steps=None)  # fmt: skip


def resume(
    trace: str | Path,
    *,
    output: str | Path | None = None,
    force: bool = False,
    mode: Mode = "burst",
    progress: Progress | None = None,
    quiet: bool = True,
) -> Run:
    """Go on with an interrupted run from its last checkpoint, bit for bit as if it had never stopped."""
    load_models()
    with open_trace(trace) as source:
        config = source.config
    if "scenario" not in config:
        raise InputError("holds no scenario, so there is no run to go on with", str(trace))
    resolved = load.resolve(tomllib.loads(config["scenario"]), where=f"trace {trace}")
    machine = Machine(resolved, load_dataset(resolved, quiet))  # weights come from the checkpoint
    writer = TraceWriter.resume(trace, output, force=force)
    control = Control(machine, writer, mode=mode, progress=progress)
    kept = writer.last_checkpoint
    assert kept is not None
    control.resume(kept.arrays, kept.meta)
    return _drive(config.get("name", "scenario"), control, writer, begin=False)


def _drive(name: str, control: Control, writer: TraceWriter | None, begin: bool) -> Run:
    """Run to the end, an interrupt or an error, and close the trace with the right status."""
    started = time.monotonic()
    status = "failed"
    try:
        if begin:
            control.checkpoint()  # a run that is stopped while its kernel compiles can be resumed as well
        if control.progress is not None:
            control.progress(control)  # once before anything is compiled
        control.begin()
        if control.mode == "burst":
            control.machine.burst(0)  # compiles here, where Ctrl-C stops at once and not at the end of a burst
        with _interruptible(control):
            status = control.run()
    except DivergenceError:
        _close(name, control, writer, "failed", started)
        raise
    except BaseException as error:
        if writer is not None:
            with contextlib.suppress(Exception):
                writer.close("interrupted" if isinstance(error, KeyboardInterrupt) else "failed", None)
        raise
    return _close(name, control, writer, status, started)


def _close(name: str, control: Control, writer: TraceWriter | None, status: Any, started: float) -> Run:
    summary = {"scenario": name, **control.summary()}
    summary["host"] = {"time_s": time.monotonic() - started, "trace": None, "versions": _versions()}
    path = None
    if writer is not None:
        summary["host"]["trace"] = str(writer.path.with_suffix("") if writer.path.suffix == ".part" else writer.path)
        write_chip_map(writer, map_of_machine(control.machine))
        path = writer.close(status, summary)
        summary["host"]["trace"] = str(path)
    return Run(summary, path, status)


@contextlib.contextmanager
def _interruptible(control: Control) -> Iterator[None]:
    """Ctrl-C and SIGTERM ask the run to stop at the end of its burst; a second Ctrl-C stops at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ask(number: int, frame: Any) -> None:
        if control.stop_requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        control.stop_requested = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _plain(scenario: Scenario) -> dict[str, Any]:
    """The scenario as TOML-ready tables."""
    return scenario.model_dump(mode="json", exclude_none=True)


def _attributes(scenario: Scenario) -> dict[str, Any]:
    return {"seed": scenario.seed, "rng_version": RNG_VERSION, "fabrication_seed": scenario.chip.fabrication_seed}


def _versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("numpy", "numba", "simpy", "h5py")}
    return {"neurosim": __version__, "python": sys.version.split()[0], **packages}


def _free_name(name: str) -> Path:
    """NAME.h5, or NAME-2.h5, NAME-3.h5 ... where that exists."""
    for number in range(1, 100_000):
        path = Path(f"{name}.h5" if number == 1 else f"{name}-{number}.h5")
        if not path.exists() and not path.with_name(path.name + ".part").exists():
            return path
    raise InputError(f"no free name left for {name}.h5; use -o")
