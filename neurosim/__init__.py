"""A simulator of neuromorphic chips that learn on the chip.

    >>> import neurosim as ns
    >>> sorted(set(ns.__all__) - {"__version__"})
    ['Network', 'Run', 'Simulation', 'Trace', 'open_trace', 'resume', 'run']

Everything is loaded on first use: importing the package, or asking the command line for help, compiles nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from neurosim._version import __version__

if TYPE_CHECKING:
    from neurosim.api import Network, Run, Simulation, Trace, open_trace, resume, run

__all__ = ["Network", "Run", "Simulation", "Trace", "__version__", "open_trace", "resume", "run"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(importlib.import_module("neurosim.api"), name)
    raise AttributeError(f"module 'neurosim' has no attribute {name!r}")
