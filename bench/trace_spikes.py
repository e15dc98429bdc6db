"""Spikes in a trace: bytes of disk and host time for each, for networks of four kinds.

* *balanced*: 4,000 leaky neurons with decaying currents, 80 random targets each (four in five excite), ticks of 0.1 ms;
  some 20 spikes a second and neuron, as in the network of Vogels and Abbott (2005).
* *layers*: 784 Poisson neurons at 50 Hz onto 500 leaky ones onto 10, dense, ticks of 1 ms.
* *busy*: 4,096 of Loihi's neurons with 100 random targets each, of which 4 % fire in a tick.
* *sparse*: 20,000 Poisson neurons at 2 Hz with 100 random targets each, ticks of 0.1 ms: most ticks hold few spikes.

Bytes are those that the closed file has more than one without spikes. Host time is CPU time of the whole process from
the call of ``run`` to its end, opening and closing of the file included: without anything recorded, with a trace that
holds no spikes, and with a trace of the spikes of all populations. The three take turns; medians of the ratios of each
round. What was read back must be the spikes that a run without a trace gives, bit for bit.

    python bench/trace_spikes.py [--rounds 7] [--json] [--figure docs/figures/trace_spikes.png]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import neurosim as ns

TARGETS = {"bytes": 3.0, "ratio": 1.10}
SECONDS = 3.0
"""CPU time of one run, at least."""

Built = tuple[ns.Simulation, int]
"""The simulation, and ticks to try."""


def fan(rng: np.random.Generator, neurons: int, targets: int) -> dict[str, np.ndarray]:
    """Random targets of each neuron."""
    return {"pre": np.repeat(np.arange(neurons), targets), "post": rng.integers(0, neurons, neurons * targets)}


def build(net: ns.Network, tick_s: float, chip: str = "nsat", neurons_per_core: int = 4096) -> ns.Simulation:
    """On a chip with room, every population recorded."""
    room = {"neurons_per_core": neurons_per_core, "inputs_per_core": 100_000, "synapses_per_core": 100_000_000}
    overrides = {f"chip.geometry.{name}": value for name, value in room.items()} if chip == "nsat" else {}
    overrides |= {"chip.timing.tick_s": tick_s}
    names = tuple(population.name for population in net.populations)
    return ns.Simulation(chip, net, timing="clocked", ideal=True, overrides=overrides, record=names)


def balanced(neurons: int = 4000) -> Built:
    """Excitation and inhibition; a bias keeps the membranes just above threshold."""
    rng = np.random.default_rng(1)
    net = ns.Network()
    bias = 11.0 * (1 - np.exp(-0.1 / 20)) * (1 - np.exp(-0.1 / 5))  # settles at 11, above the threshold
    cells = net.add_population("cells", neurons, model="lif-kinetic-1", tau_mem_s=20e-3, tau_syn_s=5e-3,
                               threshold=10.0, bias=bias)  # fmt: skip
    pairs = fan(rng, neurons, neurons // 50)
    net.connect(cells, cells, **pairs, weights=np.where(pairs["pre"] < neurons * 4 // 5, 0.008, -0.09))
    sim = build(net, 1e-4)
    sim.set_state("cells", "v", rng.uniform(0.0, 10.0, neurons))
    return sim, 2000


def layers(hidden: int = 500) -> Built:
    """A feed-forward network with random input."""
    rng = np.random.default_rng(1)
    net = ns.Network()
    net.add_population("src", 784, model="poisson", bias=50.0)
    net.add_population("hid", hidden, model="lif", tau_mem_s=20e-3)
    net.add_population("out", 10, model="lif", tau_mem_s=20e-3)
    net.connect("src", "hid", weights=rng.normal(0.0016, 0.01, (784, hidden)))
    net.connect("hid", "out", weights=rng.normal(0.004, 0.02, (hidden, 10)))
    return build(net, 1e-3), 2000


def busy(neurons: int = 4096) -> Built:
    """Many spikes in every tick."""
    rng = np.random.default_rng(1)
    net = ns.Network()
    cells = net.add_population("cells", neurons, model="loihi-lif", bias=rng.uniform(0.02, 0.08, neurons))
    net.connect(cells, cells, **fan(rng, neurons, 100), weights=rng.normal(0.0, 0.01, neurons * 100))
    return build(net, 1e-3, "loihi-sanafe"), 1000


def sparse(neurons: int = 20_000) -> Built:
    """Few spikes in a tick."""
    rng = np.random.default_rng(1)
    net = ns.Network()
    cells = net.add_population("cells", neurons, model="poisson", bias=2.0)
    sink = net.add_population("sink", neurons, model="lif", tau_mem_s=20e-3, threshold=1e9)
    net.connect(cells, sink, **fan(rng, neurons, 100), weights=0.01)
    return build(net, 1e-4), 2000


NETWORKS: dict[str, Callable[[], Built]] = {"balanced": balanced, "layers": layers, "busy": busy, "sparse": sparse}


def stored(path: Path) -> tuple[int, int]:
    """(spikes, bytes of the file less those of the same trace without spikes)."""
    with ns.open_trace(path) as trace:
        return sum(len(table) for table in trace.spikes.values()), path.stat().st_size


def check(sim: ns.Simulation, make: Callable[[], Built], folder: Path) -> None:
    """The spikes of a trace are those of a run without; stops where they are not."""
    ticks = 200
    kept, path = sim.run(ticks).spikes, folder / "check.h5"
    again, _ = make()
    again.run(ticks, trace=path, force=True)
    with ns.open_trace(path) as trace:
        for name, (tick, neuron) in kept.items():
            table = trace.spikes[name]
            if not (np.array_equal(table.tick, tick) and np.array_equal(table.neuron, neuron)):
                raise SystemExit(f"{name}: the trace holds other spikes than the run")


def measure(name: str, rounds: int, folder: Path, seconds: float = SECONDS) -> dict[str, float]:
    """One network: bytes per spike, and host times over that of a run without a trace."""
    make = NETWORKS[name]
    sim, ticks = make()
    check(sim, make, folder)
    path = folder / f"{name}.h5"
    ways: dict[str, dict[str, Any]] = {
        "none": {"record": ()}, "ledger": {"record": (), "trace": path, "force": True},
        "spikes": {"trace": path, "force": True},
    }  # fmt: skip

    def once(way: str) -> float:
        started = time.process_time()
        sim.run(ticks, **ways[way])
        return time.process_time() - started

    sim.run(ticks, record=())  # past what the start was like
    ticks = int(ticks * max(1.0, 1.1 * seconds / once("none")))
    took: dict[str, list[float]] = {way: [] for way in ways}
    sizes = {}
    for number in range(rounds):
        for way in ways if number % 2 == 0 else reversed(ways):
            took[way].append(once(way))
            if way != "none":
                sizes[way] = stored(path)
    spikes = sizes["spikes"][0]
    ratio = {way: float(statistics.median(np.divide(took[way], took["none"]))) for way in ("ledger", "spikes")}
    over = float(statistics.median(np.divide(took["spikes"], took["ledger"])))
    bytes_each = (sizes["spikes"][1] - sizes["ledger"][1]) / spikes
    base = statistics.median(took["none"])
    extra = float(statistics.median(np.subtract(took["spikes"], took["none"])))
    return {"ticks": ticks, "spikes": spikes, "spikes_per_tick": spikes / ticks, "bytes_per_spike": bytes_each,
            "none_us_per_tick": base / ticks * 1e6, "none_ns_per_spike": base / spikes * 1e9,
            "extra_ns_per_spike": extra / spikes * 1e9, "ratio_ledger": ratio["ledger"],
            "ratio_spikes": ratio["spikes"], "ratio_spikes_over_ledger": over}  # fmt: skip


def draw(found: dict[str, dict[str, float]], path: Path) -> None:
    """Bytes of a spike, and host time over that of a run without a trace."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from neurosim.report import style

    figure = Figure(figsize=(8.0, 3.0), layout="constrained")
    FigureCanvasAgg(figure)
    size, host = figure.subplots(1, 2)
    places = np.arange(len(found))
    size.bar(places, [each["bytes_per_spike"] for each in found.values()], color=style.BLUE, width=0.6)
    size.axhline(TARGETS["bytes"], color=style.GREY, ls=":")
    size.set(ylabel="bytes a spike in the file", ylim=(0.0, 3.4))
    for shift, key, label, colour in ((-0.2, "ratio_ledger", "trace without spikes", style.SKY),
                                      (0.2, "ratio_spikes", "trace of all spikes", style.BLUE)):  # fmt: skip
        more = [100.0 * (each[key] - 1.0) for each in found.values()]
        host.bar(places + shift, more, color=colour, width=0.38, label=label)
    host.axhline(100.0 * (TARGETS["ratio"] - 1.0), color=style.GREY, ls=":")
    host.set(ylabel="host time more than without (%)")
    host.legend(frameon=False)
    for axes in (size, host):
        axes.set_xticks(places, list(found))
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in given.networks:
            found[name] = measure(name, given.rounds, Path(folder))
            if not given.json:
                print(name, {key: round(value, 3) for key, value in found[name].items()}, flush=True)
    if given.json:
        print(json.dumps(found))
    if given.figure:
        draw(found, given.figure)


if __name__ == "__main__":
    main()
