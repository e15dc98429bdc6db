"""What a classification costs by the time it is decided: the rows of ``/early``, read at an error and at the end."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurosim.trace.reader import Trace

ERROR = 0.05
"""The error at which decisions are compared: the source's own."""
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Decision:
    """Test samples shown up to a tick: how well the leading class does, and what its synaptic events came to."""

    error: float
    """Share of the samples whose leading class is wrong."""
    synaptic_events: float
    """Of a sample by then, mean over test samples."""
    energy_J: float
    """These events, priced; nothing else."""
    time_s: float
    ticks: int


def decided(trace: Trace, error: float = ERROR) -> Decision | None:
    """The first tick by which the error is at most ``error``; None where there is none, or no ``/early``."""
    if not trace.has_table("/early"):
        return None
    found = np.flatnonzero(trace.table("/early").accuracy >= 1.0 - error - _ROUNDING)
    return _at(trace, int(found[0])) if found.size else None


def whole(trace: Trace) -> Decision | None:
    """A sample that is shown to its end; None where the trace has no ``/early``."""
    return _at(trace, -1) if trace.has_table("/early") and len(trace.table("/early")) else None


def _at(trace: Trace, index: int) -> Decision:
    row = {name: float(value) for name, value in trace.table("/early").row(index).items()}
    return Decision(1.0 - row["accuracy"], row["synaptic_events"], row["energy_J"], row["time_s"], int(row["tick"]))
