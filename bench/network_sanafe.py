"""Random networks on Loihi beside SANA-FE 2.2.9: same network, same constants, same ticks, CPU-seconds.

SANA-FE (``pip install sanafe==2.2.9``) is under the GPL and is used from outside only. Networks: Loihi's neurons
without leak, threshold 1, biases of 0.02 to 0.08, every neuron to 100 others drawn at random, weights of about 0.01;
64 neurons a core (4,096 neurons) or 80 (10,240). All numbers are multiples of 2^-12, so that either simulator's
arithmetic is exact. After 100 ticks, in which the start dies away, about 4 % of the neurons fire in a tick.

Each simulator gets a process of its own for every round, the two in turn; medians over rounds. Time and energy of the
ticks that both take must be equal to 1e-9 (``simple``), or to 1 % in time and 1e-9 in energy (``detailed``: messages
that set out at the same moment are ordered otherwise); otherwise the benchmark stops.

    python bench/network_sanafe.py [--rounds 3] [--sizes 4096 10240]
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

CASES: dict[int, dict[str, int]] = {
    1024: {"neurons_per_core": 64, "simple": 200, "detailed": 100},
    4096: {"neurons_per_core": 64, "simple": 60, "detailed": 30},
    10240: {"neurons_per_core": 80, "simple": 30, "detailed": 15},
}
"""Neurons of each core, and ticks that SANA-FE is timed for."""
WARM_UP, FAN_OUT = 100, 100
OURS_S = 1.5
"""CPU-seconds that ours is timed for, at least."""
BARS = {"simple": 100.0, "detailed": 15.0, "traced": 2.0, "memory_MB": 300.0, "build_s": 0.5, "set_weights_ms": 1.0}


def network(neurons: int, seed: int = 1, fan_out: int = FAN_OUT) -> dict[str, np.ndarray]:
    """Biases, synapses and weights."""
    rng = np.random.default_rng(seed)
    post = np.empty((neurons, fan_out), np.int32)
    for row in post:
        row[:] = rng.choice(neurons, fan_out, replace=False)
    return {
        "bias": np.round(rng.uniform(0.02, 0.08, neurons) * 4096) / 4096,
        "pre": np.repeat(np.arange(neurons, dtype=np.int32), fan_out),
        "post": post.reshape(-1),
        "weights": np.round(rng.standard_normal(post.size, np.float32) * 41) / 4096,
    }


def ours(path: str, neurons: int) -> dict[str, Any]:
    """Both timing models, with and without a trace; runs in a fresh process."""
    import neurosim as ns

    net_of = np.load(path)

    def build(timing: str) -> ns.Simulation:
        net = ns.Network()
        cells = net.add_population("cells", neurons, model="loihi-lif", bias=net_of["bias"], threshold=1.0)
        net.connect(cells, cells, pre=net_of["pre"], post=net_of["post"], weights=net_of["weights"])
        net.place(cells, np.arange(neurons) // CASES[neurons]["neurons_per_core"])
        return ns.Simulation("loihi-sanafe", net, timing=timing)

    found: dict[str, Any] = {}
    sim = build("simple")
    sim.run(WARM_UP)
    found["memory_MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    started = time.process_time()
    build("simple")
    found["build_s"] = time.process_time() - started
    for timing in ("simple", "detailed"):
        sim = build(timing)
        sim.run(WARM_UP)
        out = sim.run(CASES[neurons][timing])
        found[timing] = {"time_s": out.chip_time_s, "energy_J": out.energy_J, "fired": out.counts["neuron_fired"]}
        sim.run(20)
        ticks = 64
        while True:
            started = time.process_time()
            out = sim.run(ticks)
            took = time.process_time() - started
            if took > OURS_S:
                break
            ticks = int(ticks * max(2.0, 1.2 * OURS_S / max(took, 1e-3)))
        found[timing] |= {"ticks_per_s": ticks / took, "events_per_s": out.counts["synaptic_event"] / took,
                          "firing": out.counts["neuron_fired"] / ticks / neurons}  # fmt: skip
        if timing == "simple":
            with tempfile.TemporaryDirectory() as folder:
                started = time.process_time()
                sim.run(ticks, record="cells", record_timing=True, trace=Path(folder) / "run.h5")
                found["traced"] = (time.process_time() - started) / took
    return found


def theirs(path: str, neurons: int) -> dict[str, Any]:
    """SANA-FE; runs in a fresh process."""
    import sanafe

    net_of = np.load(path)
    started = time.process_time()
    arch, net = sanafe.load_loihi(), sanafe.Network()
    cells = net.create_neuron_group(
        "cells", neurons, model_attributes={"threshold": 1.0, "leak_decay": 1.0, "reset": 0.0},
        default_synapse_hw_name="loihi_sparse_synapse", default_dendrite_hw_name="loihi_dendrites",
        soma_hw_name="loihi_lif",
    )  # fmt: skip
    for i, neuron in enumerate(cells.neurons):
        core = i // CASES[neurons]["neurons_per_core"]
        neuron.set_attributes(model_attributes={"bias": float(net_of["bias"][i])})
        neuron.map_to_core(arch.tiles[core // 4].cores[core % 4])
    pairs = list(zip(net_of["pre"].tolist(), net_of["post"].tolist(), strict=True))
    cells.connect_neurons_sparse(cells, {"weight": net_of["weights"].tolist()}, pairs)
    chip = sanafe.SpikingChip(arch)
    chip.load(net)
    found: dict[str, Any] = {"build_s": time.process_time() - started}
    done = 0
    for timing in ("simple", "detailed"):
        chip.sim(WARM_UP - done, timing_model="simple", processing_threads=1)
        ticks = CASES[neurons][timing]
        started = time.process_time()
        out = chip.sim(ticks, timing_model=timing, processing_threads=1)
        took = time.process_time() - started
        found[timing] = {"time_s": out["sim_time"], "energy_J": out["energy"]["total"], "fired": out["neurons_fired"],
                         "ticks_per_s": ticks / took}  # fmt: skip
        chip.reset()
    found["memory_MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    return found


def set_weights_ms(synapses: int = 102_400) -> float:
    """Median CPU-milliseconds that changing all weights of 1,024 x 100 synapses takes."""
    import neurosim as ns

    rng = np.random.default_rng(2)
    net = ns.Network()
    for name in ("a", "b"):
        net.add_population(name, 1024, model="loihi-lif")
    post = np.concatenate([rng.choice(1024, 100, replace=False) for _ in range(1024)])
    net.connect("a", "b", pre=np.repeat(np.arange(1024), 100), post=post, weights=1.0)
    sim, weights, seconds = ns.Simulation("loihi-sanafe", net), rng.random(synapses), []
    for _ in range(25):
        started = time.process_time()
        sim.set_weights("a", "b", weights)
        seconds.append(time.process_time() - started)
    return 1e3 * statistics.median(seconds)


def fresh(who: str, path: Path, neurons: int) -> dict[str, Any]:
    """One of the two in a process of its own."""
    command = [sys.executable, __file__, "--alone", who, "--net", str(path), "--sizes", str(neurons)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def check(mine: dict[str, Any], other: dict[str, Any]) -> None:
    """Both did the same work and say so."""
    for timing, bound in (("simple", 1e-9), ("detailed", 1e-2)):
        a, b = mine[timing], other[timing]
        if a["fired"] != b["fired"]:
            raise SystemExit(f"{timing}: {a['fired']} spikes against {b['fired']}")
        for name, limit in (("time_s", bound), ("energy_J", 1e-9)):
            if abs(a[name] / b[name] - 1.0) > limit:
                raise SystemExit(f"{timing}: {name} {a[name]!r} against {b[name]!r}")


def measure(neurons: int, rounds: int) -> dict[str, float]:
    """Medians for one network."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.npz"
        np.savez(path, **network(neurons))
        fresh("ours", path, neurons)  # compiles
        pairs = []
        for k in range(rounds):
            order = ("ours", "theirs") if k % 2 == 0 else ("theirs", "ours")
            found = {who: fresh(who, path, neurons) for who in order}
            check(found["ours"], found["theirs"])
            pairs.append((found["ours"], found["theirs"]))
    figures: dict[str, float] = {}
    for timing in ("simple", "detailed"):
        a = [mine[timing]["ticks_per_s"] for mine, _ in pairs]
        b = [other[timing]["ticks_per_s"] for _, other in pairs]
        apart = (abs(mine[timing]["time_s"] / other[timing]["time_s"] - 1.0) for mine, other in pairs)
        figures |= {f"{timing} ticks/s": statistics.median(a), f"{timing} ticks/s, SANA-FE": statistics.median(b),
                    f"{timing} ratio": statistics.median(x / y for x, y in zip(a, b, strict=True)),
                    f"{timing} events/s": statistics.median(mine[timing]["events_per_s"] for mine, _ in pairs),
                    f"{timing} largest difference in time": max(apart)}  # fmt: skip
    figures["firing"] = pairs[0][0]["simple"]["firing"]
    figures["traced / not traced"] = statistics.median(mine["traced"] for mine, _ in pairs)
    for name in ("memory_MB", "build_s"):
        figures[name] = statistics.median(mine[name] for mine, _ in pairs)
        figures[f"{name}, SANA-FE"] = statistics.median(other[name] for _, other in pairs)
    return figures


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", type=int, nargs="+", default=[4096, 10240], choices=sorted(CASES))
    parser.add_argument("--alone", choices=("ours", "theirs"), help=argparse.SUPPRESS)
    parser.add_argument("--net", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.alone:
        print(json.dumps((ours if given.alone == "ours" else theirs)(given.net, given.sizes[0])))
        return
    for neurons in given.sizes:
        print(f"{neurons} neurons, {neurons * FAN_OUT} synapses")
        for name, value in measure(neurons, given.rounds).items():
            print(f"  {name:42s} {value:12.5g}")
    print(f"set_weights of 102,400 synapses: {set_weights_ms():.3f} ms")


if __name__ == "__main__":
    main()
