"""The figures of a chip in docs/trace.md: a random network on Loihi, one link dead, followed tick by tick.

4,096 neurons with 100 targets each on 103 of 128 cores; ``detailed`` timing. Writes the trace, its report and three of
its figures.

    python bench/chip_figures.py [--output docs/figures]
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np

import neurosim as ns
from neurosim.report import write_report

NEURONS, FAN_OUT, TICKS = 4096, 100, 60
FAULTS = [{"dead_cores": ["120..122"], "dead_links": ["3,1-4,1"]}]
FIGURES = ("floor_plan", "link_load", "tick_timeline")


def network() -> ns.Network:
    """Integrate-and-fire neurons that fire by their bias, 40 to a core."""
    rng = np.random.default_rng(0)
    net = ns.Network()
    net.add_population("all", NEURONS, model="if", bias=rng.uniform(0.02, 0.08, NEURONS), threshold=1.0)
    pre = np.repeat(np.arange(NEURONS), FAN_OUT)
    net.connect("all", "all", pre=pre, post=rng.integers(0, NEURONS, pre.size), weights=0.0)
    net.place("all", core=np.arange(NEURONS) // 40)
    return net


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("docs/figures"))
    given = parser.parse_args()
    sim = ns.Simulation("loihi-sanafe", network(), timing="detailed", overrides={"chip.faults": FAULTS})
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "run.h5"
        sim.run(TICKS, trace=trace, record="all", record_timing=True)
        write_report(trace)
        for name in FIGURES:
            shutil.copy(Path(folder) / "run_figures" / f"{name}.png", given.output / f"chip_{name}.png")


if __name__ == "__main__":
    main()
