"""The process that reads AEDAT4 for :mod:`neurosim.data.aedat`: ``python -m neurosim.data.aedat_worker FILE STREAM``.

To stdout: one line with [height, width], then one ``RECORD`` per event. What fails goes to stderr after ``FAILED``.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from typing import IO, Any

import numpy as np

RECORD = np.dtype([("time", "<i8"), ("x", "<i2"), ("y", "<i2"), ("on", "u1")])
FAILED = "neurosim-aedat: "


def send(path: str, stream: str, out: IO[bytes]) -> str | None:
    """Write the events of ``stream`` to ``out``, batch by batch; returns what is wrong, or None."""
    library: Any = importlib.import_module("dv_processing")
    recording = library.io.MonoCameraRecording(path)
    names = [str(name) for name in recording.getStreamNames()]
    kinds = [name for name in names if recording.isStreamOfEventType(name)]
    if stream not in kinds:
        return f"has no stream of events {stream!r} (it has: {', '.join(kinds) or 'none'})"
    resolution = recording.getEventResolution(stream)
    if resolution is None:
        return f"does not say how many pixels stream {stream!r} has"
    width, height = (int(side) for side in resolution)
    if not (1 <= width < 2**15 and 1 <= height < 2**15):
        return f"claims a camera of {width}x{height} pixels"
    out.write(json.dumps([height, width]).encode() + b"\n")
    while (batch := recording.getNextEventBatch(stream)) is not None:
        found = batch.numpy()
        records = np.empty(len(found), RECORD)
        for ours, theirs in (("time", "timestamp"), ("x", "x"), ("y", "y"), ("on", "polarity")):
            records[ours] = found[theirs]
        out.write(records.tobytes())
    out.flush()
    return None


def _short(error: Exception) -> str:
    """What the library says, without the place in its sources and the stack that it adds."""
    text = str(error).partition("Stacktrace")[0]
    return (text.rpartition("Error info:")[2] or text).strip() or type(error).__name__


def main(arguments: list[str]) -> int:
    """Exit code 0 when all was sent."""
    path, stream = arguments
    # what the library prints must not come between the events
    with os.fdopen(os.dup(1), "wb") as out:
        os.dup2(2, 1)
        try:
            fault = send(path, stream, out)
        except BrokenPipeError:  # nobody listens any more
            os._exit(1)
        except Exception as error:  # the library raises whatever its C++ does
            fault = f"damaged, or no recording that dv-processing can read: {_short(error)}"
    if fault:
        sys.stderr.write(f"{FAILED}{' '.join(fault.split())}\n")
    return 1 if fault else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
