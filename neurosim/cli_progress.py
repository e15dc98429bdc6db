"""How a run is followed on stderr: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from neurosim.cli_out import accuracy, count, note, quantity

if TYPE_CHECKING:
    from neurosim.engine.control import Control

COMPILING = "compiling the kernel of this network, once, about 20 s"
FIRST_LINE_S, LINE_EVERY_S = 1.0, 10.0
BAR_EVERY_S = 0.25


class Watch:
    """Is called by the run before its kernel is compiled and after every burst."""

    def __init__(self, quiet: bool) -> None:
        self.control: Control | None = None
        self.stop_requested = False
        self._quiet = quiet
        self._display: _Display | None = None

    def __call__(self, control: Control) -> None:
        if self.control is None:
            self.control = control
            self._begin(control)
            return
        if self.stop_requested:
            control.stop_requested = True
        if self._display is not None:
            self._display.update(control)

    @property
    def trace(self) -> Path | None:
        """Where the trace of the run stands now; None where there is none yet."""
        path = getattr(self.control.sink, "path", None) if self.control is not None else None
        return path if isinstance(path, Path) and path.exists() else None

    @property
    def target(self) -> float | None:
        """The accuracy that the scenario asks for."""
        return self.control.machine.scenario.stop.accuracy if self.control is not None else None

    def _begin(self, control: Control) -> None:
        if self._quiet:
            return
        if control.machine.needs_compiling:
            note(COMPILING)
        self._display = _Bar() if sys.stderr is not None and sys.stderr.isatty() else _Lines()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._display is not None:
            self._display.stop()


class _Display(Protocol):
    def update(self, control: Control) -> None: ...

    def stop(self) -> None: ...


class _Pace:
    """How long the rest of a run will take, judged from after its first burst, so that compilation does not count."""

    def __init__(self) -> None:
        self._since: tuple[float, float] | None = None

    def begin(self, control: Control) -> bool:
        """Start the clock; whether it was not running yet."""
        if self._since is not None:
            return False
        self._since = (time.monotonic(), share_done(control))
        return True

    def rest(self, share: float) -> str:
        """How long it will still take, in words; empty while there is nothing to judge by."""
        if self._since is None or share <= self._since[1]:
            return ""
        started, before = self._since
        return f", {clock((time.monotonic() - started) * (1.0 - share) / (share - before))} left"


class _Lines:
    """For a file or a log."""

    def __init__(self) -> None:
        self._pace = _Pace()
        self._next_at = 0.0

    def update(self, control: Control) -> None:
        now = time.monotonic()
        if self._pace.begin(control):
            self._next_at = now + FIRST_LINE_S
        if now < self._next_at:
            return
        self._next_at = now + LINE_EVERY_S
        share = share_done(control)
        steps = f"step {count(control.machine.step)} of {count(control.schedule.steps)}"
        note(f"{steps} ({100.0 * share:.0f} %), {state(control)}{self._pace.rest(share)}")

    def stop(self) -> None:
        """Nothing to clear away."""


class _Bar:
    """For a terminal; it is gone when the run ends, so that the result stands alone."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

        columns = (
            SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(bar_width=24),
            TextColumn("{task.fields[told]}", markup=False),
        )  # fmt: skip
        self._pace = _Pace()
        self._shown_at = 0.0
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True, refresh_per_second=4)
        self._task: Any = self._bar.add_task("getting ready", total=None, told="")
        self._bar.start()

    def update(self, control: Control) -> None:
        self._pace.begin(control)
        now = time.monotonic()
        if now - self._shown_at < BAR_EVERY_S:
            return
        self._shown_at = now
        share = share_done(control)
        told = f"{100.0 * share:.0f} %  {state(control)}{self._pace.rest(share)}"
        steps = f"step {count(control.machine.step)}"
        self._bar.update(self._task, description=steps, total=1.0, completed=share, told=told)

    def stop(self) -> None:
        self._bar.stop()


def share_done(control: Control) -> float:
    """How far the run is, by whichever of its limits comes first."""
    stop = control.machine.scenario.stop
    shares = [control.machine.step / control.schedule.steps]
    if stop.inferences is not None:
        shares.append(control.machine.inferences / stop.inferences)
    if stop.chip_time_s is not None or stop.energy_J is not None:
        bill = control.bill
        shares += [bill.chip_time_s / stop.chip_time_s] if stop.chip_time_s else []
        shares += [bill.energy_J / stop.energy_J] if stop.energy_J else []
    return min(1.0, max(shares))


def state(control: Control) -> str:
    """Accuracy, chip time and joules so far."""
    bill = control.bill
    time_, energy = quantity(bill.chip_time_s, "s"), quantity(bill.energy_J, "J")
    return f"accuracy {accuracy(control.accuracy)}, chip time {time_}, energy {energy}"


def clock(seconds: float) -> str:
    """``0:07``, ``12:30``, ``1:02:03``."""
    whole = round(seconds)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
