"""The figure of docs/arrays.md: weight lost along the wires of a 64 x 64 array, first-order against exact.

python bench/array_figures.py [--output docs/figures]     draw it
python bench/array_figures.py --cost                      milliseconds that one look through the wires takes
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

import neurosim as ns
from neurosim.kernels import array as loops
from neurosim.report import style

SIZE = 64
WEIGHT = 0.5
G_MAX_S, G_MIN_S = 100e-6, 10e-6
WIRE_OHM = 0.35
"""From cell to cell: the default of aihwkit's IR drop."""


def loss(how: str, wire_ohm: float, weights: np.ndarray) -> np.ndarray:
    """1 - w_eff / w of every cell."""
    changed = {
        "chip.synapse.g_max_S": G_MAX_S,
        "chip.synapse.g_min_S": G_MIN_S,
        "chip.array.ir_drop": how,
        "chip.array.row_wire_ohm": wire_ohm,
        "chip.array.column_wire_ohm": wire_ohm,
    }
    return 1.0 - ns.effective_weights(weights, "analog-if", changed) / weights


def draw(output: Path) -> None:
    """Loss over the array, along its diagonal for several wires, and the first-order error against the wires."""
    weights = np.full((SIZE, SIZE), WEIGHT)
    with mpl.rc_context(style.RC):
        figure = Figure(figsize=(12.5, 3.9), layout="constrained")
        over, along, error = figure.subplots(1, 3)
        image = over.imshow(100 * loss("exact", WIRE_OHM, weights), cmap=style.SEQUENTIAL)
        over.grid(visible=False)
        over.set(
            title=f"Lost at {WIRE_OHM:g} Ω a cell", xlabel="column (rows are driven at 0)", ylabel="row (read below 63)"
        )
        figure.colorbar(image, ax=over, label="weight lost (%)")
        cells = np.arange(SIZE)
        for wire, colour in zip((0.1, WIRE_OHM, 1.0, 3.0), style.CYCLE, strict=False):
            for how, line in (("exact", "-"), ("first-order", "--")):
                lost = loss(how, wire, weights)[0]
                along.plot(cells, 100 * lost, line, color=colour, label=f"{wire:g} Ω" if how == "exact" else None)
        along.plot([], [], "--", color=style.GREY, label="first-order")
        along.set(title="Along the row that is farthest", xlabel="column", ylabel="weight lost (%)")
        along.set_ylim(0, 100)
        along.legend(title="wire, from cell to cell", ncols=2)
        wires = np.geomspace(0.01, 10.0, 13)
        random = np.random.default_rng(1).uniform(-1.0, 1.0, size=(SIZE, SIZE))
        for name, matrix, colour in (("all equal", weights, style.BLUE), ("uniform, -1 to 1", random, style.VERMILION)):
            drop, wrong = [], []
            for wire in wires:
                exact, first = (loss(how, wire, matrix) * matrix for how in ("exact", "first-order"))
                drop.append(np.abs(exact).max())
                wrong.append(np.abs(first - exact).max())
            error.loglog(wires, drop, color=colour, label=f"drop, {name}")
            error.loglog(wires, wrong, "--", color=colour, label="error of first order")
        error.set(title="Largest change of a weight", xlabel="wire, from cell to cell (Ω)", ylabel="weight units")
        error.legend()
        figure.savefig(output / "array_ir_drop.png", dpi=110)


def measure(rows: int, columns: int, mode: int, runs: int = 9) -> float:
    """Median of the CPU seconds that one array takes when its weights have changed."""
    weights = np.random.default_rng(1).uniform(-1.0, 1.0, size=rows * columns).astype(np.float32)
    sizes, numbers = np.array([1, 0, mode]), np.array([1.0, 0.1, 1e-5, 1e-5, 0.0, 0.0])
    spent = []
    for _ in range(runs + 1):
        seen = weights.copy()
        started = time.process_time()
        loops.array_seen(seen, np.zeros(1, np.float32), 0, columns, rows, columns, sizes, numbers)
        spent.append(time.process_time() - started)
    return float(np.median(spent[1:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path("docs/figures"))
    parser.add_argument("--cost", action="store_true")
    given = parser.parse_args()
    if not given.cost:
        draw(given.output)
        return
    for rows, columns in ((33, 32), (65, 64), (65, 128), (785, 256)):
        first = measure(rows, columns, loops.FIRST_ORDER)
        line = f"{rows} x {columns}: first-order {1e3 * first:.3g} ms ({1e9 * first / rows / columns:.3g} ns a weight)"
        if rows * columns <= 8320:
            line += f", exact {1e3 * measure(rows, columns, loops.EXACT):.3g} ms"
        print(line)


if __name__ == "__main__":
    main()
