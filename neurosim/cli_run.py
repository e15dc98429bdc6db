"""``neurosim run``: start, resume, follow, and hand over the result."""

from __future__ import annotations

import _thread
import os
import shlex
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from neurosim import api, cli_experiments, cli_plan, cli_summary
from neurosim.cli_out import count, note, plain, put, put_json
from neurosim.cli_progress import Watch
from neurosim.errors import DivergenceError, InputError
from neurosim.spec import load

INTERRUPTED = 130
RETRY_S = 0.05


@dataclass(frozen=True)
class Request:
    """What stands on the command line."""

    scenario: str | None
    chip: str | None
    settings: tuple[str, ...]
    ideal: bool
    seed: int | None
    output: Path | None
    force: bool
    mode: Literal["burst", "event"]
    host_loop: bool
    record: tuple[str, ...]
    dry_run: bool
    resume: Path | None
    as_json: bool
    quiet: bool

    def overrides(self) -> dict[str, Any]:
        """The settings by key path; raises InputError listing all that cannot be read."""
        return parse_settings(self.settings)


def parse_settings(settings: tuple[str, ...]) -> dict[str, Any]:
    """Every ``--set`` by key path; raises InputError listing all that cannot be read."""
    found: dict[str, Any] = {}
    problems: list[str] = []
    for text in settings:
        try:
            key, value = load.parse_override(text)
        except InputError as error:
            problems += error.problems
            continue
        if key == "chip":
            problems.append(f"--set {text!r}: another chip is chosen with --chip; --set chip.KEY=VALUE changes one")
        elif key in found:
            problems.append(f"--set {text!r}: {key} is set twice")
        found[key] = value
    if problems:
        raise InputError(problems)
    return found


def run(wanted: Request) -> int:
    """Do what was asked; returns the exit code."""
    if wanted.resume is not None:
        _check_resume(wanted)
    elif wanted.scenario is None:
        raise InputError(
            "which scenario? For example: neurosim run quickstart (all: neurosim scenario list), "
            "or go on with an interrupted run: neurosim run --resume RUN.h5"
        )
    elif load.is_experiment(load.load_scenario_table(wanted.scenario)):
        return _experiment(wanted, wanted.scenario)
    if wanted.dry_run:
        return _dry_run(wanted, wanted.scenario or "")
    return _train(wanted)


def _experiment(wanted: Request, name: str) -> int:
    """Run a scenario that drives a network by hand."""
    alien = {
        "--ideal": wanted.ideal, "--host-loop": wanted.host_loop, "--dry-run": wanted.dry_run,
        "--record": bool(wanted.record), "--mode event": wanted.mode == "event",
    }  # fmt: skip
    if any(alien.values()):
        given = ", ".join(option for option, there in alien.items() if there)
        raise InputError(f"{given}: {name} is an experiment, which knows --chip, --set, --seed, -o and --force")
    return cli_experiments.run(
        name, chip=wanted.chip, overrides=wanted.overrides(), seed=wanted.seed, output=wanted.output,
        force=wanted.force, as_json=wanted.as_json, quiet=wanted.quiet,
    )  # fmt: skip


def _dry_run(wanted: Request, name: str) -> int:
    """Show what the run would be, and leave no trace of having looked."""
    _, scenario = api.load_scenario(
        name, chip=wanted.chip, overrides=wanted.overrides(), seed=wanted.seed, ideal=wanted.ideal,
        host_loop=wanted.host_loop, record=wanted.record,
    )  # fmt: skip
    if wanted.output is not None:
        check_output(wanted.output, wanted.force)
    plan = cli_plan.plan(Path(name).stem, api.build(scenario, wanted.quiet))
    if wanted.as_json:
        put_json(plan)
    else:
        cli_plan.show(plan)
    return 0


def check_output(path: Path, may_exist: bool) -> None:
    """Raise InputError where a trace at ``path`` would be refused, before anything is touched."""
    if path.is_dir():
        raise InputError("is a folder; name a file for the trace, such as run.h5", str(path))
    if not path.parent.is_dir():
        what = "a part of the path is not a folder" if path.parent.exists() else "the folder does not exist"
        raise InputError(f"cannot write: {what}", str(path))
    if not os.access(path.parent, os.W_OK):
        raise InputError("cannot write: no permission to write here", str(path))
    if path.exists() and not may_exist:
        raise InputError("exists already; choose another name, or replace it with --force", str(path))


def _check_resume(wanted: Request) -> None:
    given = {
        "SCENARIO": wanted.scenario is not None,
        "--chip": wanted.chip is not None,
        "--set": bool(wanted.settings),
        "--ideal": wanted.ideal,
        "--seed": wanted.seed is not None,
        "--host-loop": wanted.host_loop,
        "--record": bool(wanted.record),
        "--dry-run": wanted.dry_run,
    }
    odd = [name for name, is_there in given.items() if is_there]
    if odd:
        raise InputError(f"--resume goes on with the run exactly as it was; leave out {', '.join(odd)}")


def _train(wanted: Request) -> int:
    if wanted.output is not None:
        check_output(wanted.output, wanted.force or wanted.resume is not None)
    watch = Watch(wanted.quiet)
    done = followed(watch, lambda: _begin(wanted, watch))
    if done is None:
        return INTERRUPTED
    if wanted.as_json:
        put_json(done.summary)
    else:
        put(cli_summary.title_of(done.summary, done.status), cli_summary.table_of(done.summary, watch.target))
        plain(f"\nnext: neurosim report {shlex.quote(str(done.trace))}")
    if done.status == "interrupted":
        note(_how_to_go_on(watch, done.trace))
        return INTERRUPTED
    return 0


def followed(watch: Watch, begin: Callable[[], api.Run]) -> api.Run | None:
    """A run with progress on stderr; None where it was interrupted before it could end in order (and says so)."""
    try:
        with _stoppable(watch), watch:
            return begin()
    except DivergenceError as error:
        where = f"\nthe trace up to there: {watch.trace}" if watch.trace is not None else ""
        raise DivergenceError(f"{error}{where}") from None
    except KeyboardInterrupt:
        note(_how_to_go_on(watch, watch.trace))
        return None


def _begin(wanted: Request, watch: Watch) -> api.Run:
    if wanted.resume is not None:
        return api.resume(
            wanted.resume, output=wanted.output, force=wanted.force, mode=wanted.mode, progress=watch,
            quiet=wanted.quiet,
        )  # fmt: skip
    assert wanted.scenario is not None
    return api.run(
        wanted.scenario, chip=wanted.chip, seed=wanted.seed, overrides=wanted.overrides(), ideal=wanted.ideal,
        host_loop=wanted.host_loop, output=wanted.output, record=wanted.record or True, force=wanted.force,
        mode=wanted.mode, progress=watch, quiet=wanted.quiet,
    )  # fmt: skip


def _how_to_go_on(watch: Watch, trace: Path | None) -> str:
    if watch.control is None or trace is None:
        return "interrupted before the run began; nothing was written"
    at = f"step {count(watch.control.machine.step)} of {count(watch.control.schedule.steps)}"
    return f"interrupted at {at}; go on with: neurosim run --resume {shlex.quote(str(trace))}"


@contextmanager
def _stoppable(watch: Watch) -> Iterator[None]:
    """Ctrl-C and SIGTERM stop at once while the kernel compiles; the run itself then has handlers of its own."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        watch.stop_requested = True  # in case somebody swallows the exception: the first burst is then the last
        if _in_callback(frame):
            threading.Timer(RETRY_S, _thread.interrupt_main, (number,)).start()
        else:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_callback(frame: FrameType | None) -> bool:
    """Whether LLVM is calling Python just now: an exception there would be printed and forgotten."""
    while frame is not None:
        if frame.f_code.co_name.startswith("_raw_object_cache"):
            return True
        frame = frame.f_back
    return False
