"""A simulator of neuromorphic chips that learn on the chip.

    >>> import neurosim as ns
    >>> print(*sorted(set(ns.__all__) - {"__version__"}))  # doctest: +NORMALIZE_WHITESPACE
    DevicePair Devices Network Run Simulation SoftStdp Stdp Sweep Trace
    effective_weights open_sweep open_trace resume run sweep

Everything is loaded on first use: importing the package, or asking the command line for help, compiles nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from neurosim._version import __version__

if TYPE_CHECKING:
    from neurosim.api import Network, Run, Simulation, SoftStdp, Stdp, Trace, open_trace, resume, run
    from neurosim.api_sweep import Sweep, open_sweep, sweep
    from neurosim.devices.array import effective_weights
    from neurosim.devices.population import DevicePair, Devices

__all__ = [
    "DevicePair",
    "Devices",
    "Network",
    "Run",
    "Simulation",
    "SoftStdp",
    "Stdp",
    "Sweep",
    "Trace",
    "__version__",
    "effective_weights",
    "open_sweep",
    "open_trace",
    "resume",
    "run",
    "sweep",
]
_SWEEPS = ("Sweep", "open_sweep", "sweep")
_DEVICES = ("DevicePair", "Devices")


def __getattr__(name: str) -> Any:
    if name in __all__:
        home = "neurosim.api_sweep" if name in _SWEEPS else "neurosim.api"
        home = "neurosim.devices.population" if name in _DEVICES else home
        home = "neurosim.devices.array" if name == "effective_weights" else home
        return getattr(importlib.import_module(home), name)
    raise AttributeError(f"module 'neurosim' has no attribute {name!r}")
