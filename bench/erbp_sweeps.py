"""Precision and faults of event-driven random back-propagation in whole numbers: the figure and tables of its page.

    python bench/erbp_sweeps.py [--samples 10000] [--seeds 2] [--output docs/figures] [--table runs/erbp_sweeps.csv]

Trains 784-100-10 as pi-mnist-erbp-100-nsat does, but on fewer samples, and sweeps one thing at a time:

weight bits   words of 4 to 10 bits, -2^b to 2^b - 1 with b = 3 to 9. The network stays what it is: first weights, the
              gain of their sums and the size of a change scale with 2^b.
stuck         a share of the weights stays at its first value, chosen at random.
blank-out     every synapse drops a share 1 - p/15 of its spikes, with the scenario's noise and without any.

Prints each point and writes erbp_sweeps.png. ``--table`` keeps what was measured, and
with ``--redraw`` the figure is made of that file alone.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from neurosim import api
from neurosim.data import Dataset
from neurosim.engine.machine import Machine
from neurosim.report import style

SCENARIO = "pi-mnist-erbp-100-nsat"
SCALE, ROUNDING, BOUNDARY, GAIN = 777.6, 9, 8, {"hidden": 1, "output": 2}
"""Of the scenario: first weights, rounding bits, the b of its words, and the gains of its layers."""
BITS = (4, 5, 6, 7, 8, 9, 10)
STUCK = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8)
TRANSMIT = (15, 13, 11, 9, 7, 5, 3)
Point = dict[str, Any]


def each_neuron(**settings: object) -> Point:
    """Overrides for the neurons of both layers."""
    return {f"network.layers.{layer}.neuron.{k}": v for layer in ("hidden", "output") for k, v in settings.items()}


def words(bits: int) -> Point:
    """The scenario with words of ``bits`` bits."""
    fewer = BOUNDARY - (bits - 1)
    return {
        "chip.synapse.device": {
            "model": "quantized", "bits": bits, "w_min": -(2 ** (bits - 1)), "w_max": 2 ** (bits - 1) - 1
        },
        "network.init.scale": SCALE * 2.0**-fewer,
        "training.integer.rounding_bits": ROUNDING + fewer,
        **{f"network.layers.{layer}.neuron.gain": gain + fewer for layer, gain in GAIN.items()},
    }  # fmt: skip


def points() -> Iterator[tuple[str, float, Point]]:
    """(sweep, place on its axis, overrides)."""
    for bits in BITS:
        yield "weight bits", bits, words(bits)
    for share in STUCK:
        yield "stuck weights", share, {"chip.synapse.stuck_fraction": share}
    for p in TRANSMIT:
        yield "blank-out, no other noise", 1.0 - p / 15, each_neuron(transmit=p, noise_std=0)
    for p in TRANSMIT:
        yield "blank-out and noise", 1.0 - p / 15, each_neuron(transmit=p)


def error(over: Point, samples: int, tests: int, seed: int, data: Dataset) -> float:
    """Test error after ``samples`` training samples, the rate falling to 0 over them."""
    fixed = {"seed": seed, "training.anneal_steps": samples, "training.test_s": "100 ms"}
    _, scenario = api.load_scenario(SCENARIO, overrides=fixed | over)
    machine = Machine(scenario, data)
    machine.burst(samples)
    return 1.0 - machine.evaluate(tests)[0]


def measure(samples: int, tests: int, seeds: int) -> Iterator[tuple[str, float, int, float]]:
    """(sweep, place, seed, error) of all points."""
    _, scenario = api.load_scenario(SCENARIO)
    data = api.load_dataset(scenario)
    for seed in range(seeds):  # so that a run that is cut off has whole sweeps
        for sweep, place, over in points():
            began = time.process_time()
            found = error(over, samples, tests, seed, data)
            print(
                f"{sweep} {place:g}, seed {seed}: {100 * found:.2f} % ({time.process_time() - began:.0f} s)", flush=True
            )
            yield sweep, place, seed, found


def summarise(rows: list[tuple[str, float, int, float]]) -> dict[str, list[tuple[float, float, float, float]]]:
    """By sweep: (place, mean, least, most) over seeds."""
    out: dict[str, list[tuple[float, float, float, float]]] = {}
    for sweep, place in dict.fromkeys((row[0], row[1]) for row in rows):
        found = [row[3] for row in rows if row[:2] == (sweep, place)]
        out.setdefault(sweep, []).append((place, float(np.mean(found)), min(found), max(found)))
    return out


def draw(found: dict[str, list[tuple[float, float, float, float]]], output: Path) -> None:
    """Three panels, error against what is swept."""
    mpl.use("Agg")
    from matplotlib.figure import Figure  # behind the choice of a backend

    panels = (
        ("weight bits", "bits of a weight"),
        ("stuck weights", "share of weights stuck"),
        ("blank-out", "share of spikes dropped"),
    )
    figure = Figure(figsize=(9.0, 3.2), layout="constrained")
    for axes, (start, label) in zip(figure.subplots(1, 3, sharey=True), panels, strict=True):
        for (sweep, rows), colour in zip(
            ((sweep, rows) for sweep, rows in found.items() if sweep.startswith(start)), style.CYCLE, strict=False
        ):
            x, mean, least, most = np.array(rows).T
            axes.errorbar(
                x,
                100 * mean,
                100 * np.array([mean - least, most - mean]),
                fmt="o-",
                ms=3,
                lw=1,
                color=colour,
                label=sweep,
            )
        axes.set(xlabel=label)
        if start == "blank-out":
            axes.legend(frameon=False)
    highest = max(most for rows in found.values() for *_, most in rows)
    figure.axes[0].set(ylabel="test error (%)", ylim=(0.0, 105.0 * highest))
    output.mkdir(parents=True, exist_ok=True)
    figure.savefig(output / "erbp_sweeps.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--tests", type=int, default=5_000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("docs/figures"))
    parser.add_argument("--table", type=Path)
    parser.add_argument("--redraw", action="store_true")
    given = parser.parse_args()
    if given.redraw:
        if given.table is None:
            parser.error("--redraw needs --table")
        with given.table.open(newline="") as file:
            rows = [(sweep, float(place), int(seed), float(e)) for sweep, place, seed, e in csv.reader(file)]
    else:
        rows = []
        for row in measure(given.samples, given.tests, given.seeds):
            rows.append(row)
            if given.table is not None:
                given.table.parent.mkdir(parents=True, exist_ok=True)
                with given.table.open("a", newline="") as file:
                    csv.writer(file).writerow(row)
    found = summarise(rows)
    for sweep, places in found.items():
        print(f"\n{sweep} | error, % (least to most of the seeds)")
        for place, mean, least, most in places:
            print(f"{place:g} | {100 * mean:.1f} ({100 * least:.1f} to {100 * most:.1f})")
    draw(found, given.output)


if __name__ == "__main__":
    main()
