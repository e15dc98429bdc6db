"""The figures and the table of docs/erbp.md, from the traces of finished runs.

    python -m neurosim run pi-mnist-erbp-100 -o runs/erbp-100.h5     # and the other sizes
    python bench/erbp_figures.py runs/*.h5 [--output docs/figures]

Writes erbp_error.png (test error by epoch) and erbp_early.png (error against the synaptic events spent on a sample),
and prints a row of the table for each run.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
import numpy as np

import neurosim as ns
from neurosim.report import style

EPOCH = 60_000
LEVELS = (0.05, 0.04)
"""Errors whose price is printed."""


def row(trace: ns.Trace) -> str:
    """One run in numbers: errors, synaptic events of a sample, energy of training and of a classification."""
    summary, rows = trace.summary, trace.table("/early")
    error, events, energy = 1.0 - rows.accuracy, rows.synaptic_events, rows.energy_J
    counts, samples = summary["counts"], summary["samples"]
    early = []
    for level in LEVELS:
        there = np.flatnonzero(error <= level)
        early.append(f"{events[there[0]] / 1e3:.0f} k, {energy[there[0]] * 1e6:.2f} uJ" if there.size else "never")
    last = 100.0 * (1.0 - trace.table("/eval").accuracy)
    return " | ".join([
        trace.path.stem, f"{last[-1]:.2f} (best {last.min():.2f})", f"{samples / EPOCH:g}",
        f"{counts['synaptic_event'] / samples / 1e3:.0f} k", f"{counts['synapse_updated'] / samples / 1e3:.0f} k",
        f"{counts['synaptic_event'] / samples * 20e-6:.2f} uJ", f"{summary['energy_J'] / samples * 1e6:.0f} uJ",
        f"{events[-1] / 1e3:.0f} k", *early,
    ])  # fmt: skip


def _size(path: Path) -> str:
    """What runs of one architecture have in common in their names: they share a colour."""
    return path.stem.replace("perbp", "erbp")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traces", type=Path, nargs="+")
    parser.add_argument("--output", type=Path, default=Path("docs/figures"))
    given = parser.parse_args()
    mpl.use("Agg")
    from matplotlib.figure import Figure  # behind the choice of a backend

    error, early = Figure(figsize=(6.0, 3.6), layout="constrained"), Figure(figsize=(6.0, 3.6), layout="constrained")
    by_epoch, by_events = error.subplots(), early.subplots()
    print("run | error, % | epochs | events/sample | writes/sample | events, energy | all, energy | events/test | "
          + " | ".join(f"to {100 * level:g} %" for level in LEVELS))  # fmt: skip
    sizes = list(dict.fromkeys(_size(path) for path in given.traces))
    for path in given.traces:
        colour = style.CYCLE[sizes.index(_size(path)) % len(style.CYCLE)]
        line = "--" if "perbp" in path.stem else "-"  # unreliable synapses
        with ns.open_trace(path) as trace:
            print(row(trace))
            evaluations, decisions = trace.table("/eval"), trace.table("/early")
            by_epoch.plot(
                evaluations.step / EPOCH,
                100.0 * (1.0 - evaluations.accuracy),
                f"o{line}",
                ms=3,
                color=colour,
                label=path.stem,
            )
            by_events.plot(
                decisions.synaptic_events, 100.0 * (1.0 - decisions.accuracy), line, color=colour, label=path.stem
            )
    by_epoch.set(xlabel="epochs", ylabel="test error (%)", ylim=(2.0, 8.0))
    by_events.set(xlabel="synaptic events spent on a sample", ylabel="test error (%)", xscale="log", ylim=(2.0, 30.0))
    by_events.axhline(5.0, color=style.GREY, lw=0.8, ls=":")
    for axes in (by_epoch, by_events):
        axes.legend(frameon=False, fontsize="small")
    given.output.mkdir(parents=True, exist_ok=True)
    error.savefig(given.output / "erbp_error.png", dpi=120)
    early.savefig(given.output / "erbp_early.png", dpi=120)


if __name__ == "__main__":
    main()
