"""What holds for every test: no display, no network, no settings of the user's own, kernels compiled once."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis

# The environment rather than fixtures, because tests also start neurosim in processes of its own.
os.environ["MPLBACKEND"] = "Agg"
os.environ.pop("COLUMNS", None)  # test workers set it, and tables would wrap by it
os.environ["NEUROSIM_OFFLINE"] = "1"
os.environ.pop("NEUROSIM_CHIP_PATH", None)
os.environ.pop("NEUROSIM_SCENARIO_PATH", None)

# A generic kernel takes seconds to compile and a fraction of one to load. Its file is named by the hash of all sources
# that it is made of, so nothing stale is ever loaded, and the folder may serve all processes of a test run and the next
# run as well.
os.environ.setdefault("NEUROSIM_CACHE", str(Path(__file__).resolve().parent.parent / ".cache"))

# The same examples on every run, and no deadline: the first one may compile a kernel.
hypothesis.settings.register_profile("neurosim", derandomize=True, deadline=None)
hypothesis.settings.load_profile("neurosim")
