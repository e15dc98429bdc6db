"""The Python surface: run a scenario, open a trace, drive a network by hand."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tomli_w

from neurosim import models, training
from neurosim._version import __version__
from neurosim.chip.population import Network
from neurosim.data import Dataset, silent
from neurosim.data import load as load_data
from neurosim.engine.control import Control
from neurosim.engine.machine import Machine
from neurosim.engine.simulation import Simulation
from neurosim.engine.sink import NullSink
from neurosim.errors import DivergenceError, InputError
from neurosim.kernels.random import RNG_VERSION
from neurosim.spec import load
from neurosim.spec.scenario import Scenario
from neurosim.trace import Trace, TraceWriter, open_trace

__all__ = ["Network", "Run", "Simulation", "Trace", "open_trace", "resume", "run"]

Mode = Literal["burst", "event"]
Progress = Callable[[Control], None]


@dataclass(frozen=True)
class Run:
    """A finished (or interrupted) run."""

    summary: dict[str, Any]
    """The keys of ``neurosim run --json``."""
    trace: Path | None
    """The HDF5 file; None when nothing was recorded."""
    status: str
    """``complete`` or ``interrupted``."""


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
) -> tuple[str, Scenario]:
    """(name, resolved scenario) of a shipped name, a path, or a table; raises InputError listing every problem."""
    load_models()
    if isinstance(scenario, Mapping):
        name, table = "scenario", dict(scenario)
    else:
        name, table = Path(str(scenario)).stem, load.load_scenario_table(str(scenario))
    changes = dict(overrides or {})
    if host_loop:
        changes["training.host_loop"] = True
    return name, load.resolve(
        table, where=f"scenario {name}", chip=chip, overrides=changes, seed=seed, make_ideal=ideal
    )


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
    record: bool = True,
    force: bool = False,
    mode: Mode = "burst",
    progress: Progress | None = None,
    quiet: bool = True,
    burst_steps: int | None = None,
) -> Run:
    """Train the scenario's network on its chip; returns the summary and the trace.

    ``output``: where the trace goes (default: the scenario's name with a number that is free, in the working folder);
    ``record=False`` keeps no trace. Raises InputError (and writes nothing) when anything asked for is wrong,
    DivergenceError when the cost stops being finite (the trace is kept).
    """
    name, resolved = load_scenario(
        scenario, chip=chip, overrides=overrides, seed=seed, ideal=ideal, host_loop=host_loop
    )
    path = _free_name(name) if output is None else Path(output)
    writer = None
    machine = build(resolved, quiet)
    if record:
        writer = TraceWriter.create(path, force=force, attributes={"scenario": name, **_attributes(resolved)})
        writer.write("/config/chip", tomli_w.dumps(_plain(resolved)["chip"]), "1", "the chip, resolved")
        writer.write("/config/scenario", tomli_w.dumps(_plain(resolved)), "1", "the scenario, resolved")
        writer.write("/config/name", name, "1", "name of the scenario")
    control = Control(machine, writer or NullSink(), mode=mode, progress=progress, burst_steps=burst_steps)
    return _drive(name, control, writer, begin=True)


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
