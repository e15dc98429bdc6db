"""How hand-driven networks scale: 1,000 to 100,000 neurons at the same activity and fan-out; two threads against one.

The networks are those of ``bench/network_sanafe.py`` on Loihi's cores, 80 neurons a core, on a mesh as large as that
needs. Cost per tick should grow in proportion to the neurons; what is more is memory that no longer fits in the caches
and, in ``detailed``, messages to more cores over more links.
Threads are timed by the wall clock, in turn with one thread, and must give the same bits.

    python bench/network_scaling.py [--sizes 1000 3000 10000 30000 100000] [--figure docs/figures/network-scaling.png]
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
from network_sanafe import network

import neurosim as ns

PER_CORE, WARM_UP = 80, 100
SECONDS = 1.0
SIZES = (1000, 3000, 10_000, 30_000, 100_000)


def build(neurons: int, timing: str = "simple", threads: int = 1) -> ns.Simulation:
    """The network on a Loihi with enough tiles."""
    of = network(neurons)
    net = ns.Network()
    cells = net.add_population("cells", neurons, model="loihi-lif", bias=of["bias"], threshold=1.0)
    net.connect(cells, cells, pre=of["pre"], post=of["post"], weights=of["weights"])
    net.place(cells, np.arange(neurons) // PER_CORE)
    tiles = -(-neurons // (PER_CORE * 4))
    width = max(8, int(np.ceil(np.sqrt(2 * tiles))))
    geometry = {"cores": tiles * 4, "mesh_width": width, "mesh_height": -(-tiles // width), "tile_order": "rows"}
    overrides = {f"chip.geometry.{name}": value for name, value in geometry.items()}
    return ns.Simulation("loihi-sanafe", net, timing=timing, threads=threads, overrides=overrides)


def cost(sim: ns.Simulation, seconds: float = SECONDS) -> dict[str, float]:
    """CPU-seconds of a tick, of a synaptic event and of a message in steady activity."""
    sim.run(WARM_UP)
    ticks = 8
    while True:
        started = time.process_time()
        out = sim.run(ticks)
        took = time.process_time() - started
        if took > seconds:
            return {"s/tick": took / ticks, "s/event": took / out.counts["synaptic_event"],
                    "s/message": took / out.counts["message"]}  # fmt: skip
        ticks = int(ticks * max(2.0, 1.2 * seconds / max(took, 1e-3)))


def two_threads(neurons: int, rounds: int = 5, ticks: int = 400) -> float:
    """Wall time of one thread over that of two; stops where a bit differs."""
    one, two = build(neurons), build(neurons, threads=2)
    for sim in (one, two):
        sim.run(WARM_UP)
    ratios = []
    for _ in range(rounds):
        seconds = []
        for sim in (one, two):
            started = time.perf_counter()
            sim.run(ticks)
            seconds.append(time.perf_counter() - started)
        ratios.append(seconds[0] / seconds[1])
    if one.ledger != two.ledger or (one.state("cells", "v") != two.state("cells", "v")).any():
        raise SystemExit("two threads gave other bits than one")
    return statistics.median(ratios)


def draw(rows: list[dict[str, float]], path: Path) -> None:
    """CPU time of a tick over neurons, with proportional growth beside it."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    size = np.array([row["neurons"] for row in rows])
    figure, axes = plt.subplots(figsize=(5.5, 3.8), layout="constrained")
    for timing, mark in (("simple", "o-"), ("detailed", "s-")):
        axes.loglog(size, [1e6 * row[f"{timing} s/tick"] for row in rows], mark, label=timing)
        start = 1e6 * rows[0][f"{timing} s/tick"]
        label = "in proportion" if timing == "simple" else None
        axes.loglog(size, start * size / size[0], ":", color="0.6", label=label)
    axes.set_xlabel("neurons (fan-out 100, 3 to 4 % fire in a tick)")
    axes.set_ylabel("CPU time of a tick (µs)")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def measure(sizes: tuple[int, ...] = SIZES, seconds: float = SECONDS) -> list[dict[str, float]]:
    """One row for each size."""
    rows = []
    for neurons in sizes:
        row = {"neurons": float(neurons)}
        for timing in ("simple", "detailed"):
            row |= {f"{timing} {name}": value for name, value in cost(build(neurons, timing), seconds).items()}
        rows.append(row)
        print("  ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)
    return rows


def main() -> None:
    """Print the figures; draw them where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    rows = measure(tuple(given.sizes))
    if given.figure:
        draw(rows, given.figure)
    print(f"two threads against one at {max(given.sizes)} neurons: {two_threads(max(given.sizes)):.2f} x")


if __name__ == "__main__":
    main()
