"""The figures of docs/devices.md: every preset's response to up and down pulses with its band of mismatch and noise.

python bench/device_figures.py [--output docs/figures]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from neurosim.devices.presets import preset, shipped
from neurosim.report import style
from neurosim.report.devices import plot_response

BINARY = ("heater-cryotron", "mtj-stt", "smtj-telegraph")
"""Presets with two states: the mean is what share has switched."""
COLUMNS = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("docs/figures"))
    given = parser.parse_args()
    names = list(shipped())
    rows = -(-len(names) // COLUMNS)
    with mpl.rc_context(style.RC):
        figure = Figure(figsize=(3.6 * COLUMNS, 2.7 * rows), layout="constrained")
        grid = figure.subplots(rows, COLUMNS).ravel()
        for name, axes in zip(names, grid, strict=False):
            plot_response(preset(name), axes, pulses=6 if name in BINARY else None)
            if axes is not grid[0]:
                axes.set_xlabel("")
                axes.set_ylabel("")
        for axes in grid[len(names) :]:
            axes.axis("off")
        handles, labels = grid[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4)
        figure.savefig(given.output / "device_presets.png", dpi=110)


if __name__ == "__main__":
    main()
