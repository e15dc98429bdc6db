"""Four networks beside Brian2 2.9.0 in C++ standalone mode: same equations and ticks, one thread, simulation loop only.

(a) the balanced network of Vogels and Abbott, 4,000 neurons with exponential currents, 0.1 ms a tick
(b) Brunel's network, 12,500 neurons, 15.6 million synapses with a delay of 1.5 ms, each neuron with Poisson input
(c) 784-500-10, every weight its own, driven by given spikes, 1 ms a tick
(d) 1,000 Poisson inputs onto 100 neurons through synapses that learn by spike timing, 1 ms a tick

Brian2 needs a Python of its own (``pip install 'brian2==2.9.0' 'numpy<2.4' setuptools``, and g++): ``_brian.py`` writes
and compiles a C++ project for each case there, and the compiled program is run again for every round. Ours runs in a
process of its own too, on one core of a chip that is large enough, and counts everything that it always counts. The
two take turns; a round's figures are CPU-seconds of the two loops, and what counts is the median of their ratios.
Networks, starts and Poisson input are drawn anew in every round, on either side.

``--statistics`` compares spikes instead: rates, variation of intervals and correlations of pairs, of several networks
each. Without ``--brian-python`` ours runs alone, beside figures that were measured on another day.

    python bench/network_brian.py [--brian-python PYTHON] [--cases a b c d] [--rounds 5] [--statistics] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Balanced:
    """(a) T. P. Vogels, L. F. Abbott, J. Neurosci. 25, 10786 (2005); current-based, as in Brette et al. (2007)."""

    neurons: int = 4000
    excitatory: int = 3200
    probability: float = 0.02
    tau_mem_s: float = 20e-3
    tau_e_s: float = 5e-3
    tau_i_s: float = 10e-3
    threshold_mV: float = -50.0
    reset_mV: float = -60.0
    rest_mV: float = -49.0
    w_e_mV: float = 1.62
    w_i_mV: float = -9.0
    refractory_s: float = 5e-3
    delay_ticks: int = 1
    tick_s: float = 1e-4
    run_s: float = 1.0


@dataclass(frozen=True)
class Brunel:
    """(b) N. Brunel, J. Comput. Neurosci. 8, 183 (2000), asynchronous irregular: g = 5, twice the threshold rate."""

    neurons: int = 12500
    excitatory: int = 10000
    probability: float = 0.1
    tau_mem_s: float = 20e-3
    threshold_mV: float = 20.0
    reset_mV: float = 10.0
    w_e_mV: float = 0.1
    w_i_mV: float = -0.5
    refractory_s: float = 2e-3
    outside: int = 1000
    outside_Hz: float = 20e3
    """Of all ``outside`` inputs of a neuron together."""
    delay_ticks: int = 15
    tick_s: float = 1e-4
    run_s: float = 1.0


@dataclass(frozen=True)
class Classifier:
    """(c) two layers without learning; every pixel fires in one tick of twenty."""

    ticks: int = 1000
    probability: float = 0.05
    tau_mem_s: float = 20e-3
    tick_s: float = 1e-3


@dataclass(frozen=True)
class Learning:
    """(d) S. Song, K. D. Miller, L. F. Abbott, Nat. Neurosci. 3, 919 (2000), with current-based neurons."""

    inputs: int = 1000
    neurons: int = 100
    rate_Hz: float = 15.0
    tau_mem_s: float = 20e-3
    tau_syn_s: float = 5e-3
    tau_plus_s: float = 20e-3
    tau_minus_s: float = 20e-3
    threshold: float = 15.0
    w_max: float = 0.6
    a_plus: float = 0.006
    a_minus: float = 0.0063
    tick_s: float = 1e-3
    run_s: float = 10.0


BALANCED, BRUNEL, CLASSIFIER, STDP = Balanced(), Brunel(), Classifier(), Learning()

BARS = {"a": (1.2, 1.8), "b": (1.5, 2.25), "c": (2.5, 3.75), "d": (8.0, 12.0)}
"""How many times as fast as Brian2 ours is to be, and the goal."""

REFERENCE = {"a": 0.0603, "b": 5.18, "c": 0.0224, "d": 0.522}
"""CPU-seconds of Brian2's loop on a 2-core EPYC (Genoa class), best of three, where it does not run beside ours."""


def classifier_input() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(weights [784, 500], weights [500, 10], spikes [tick, pixel]) of (c): the same on both sides."""
    rng = np.random.default_rng(1)
    hidden = rng.normal(0.0016, 0.01, (784, 500)).astype(np.float32)
    output = rng.normal(0.004, 0.02, (500, 10)).astype(np.float32)
    return hidden, output, rng.random((CLASSIFIER.ticks, 784)) < CLASSIFIER.probability


# ours


def pairs(rng: np.random.Generator, sources: int, targets: int, probability: float) -> tuple[np.ndarray, np.ndarray]:
    """Every pair with the same probability: (pre, post)."""
    pre = np.repeat(np.arange(sources), rng.binomial(targets, probability, sources))
    post = np.concatenate([
        rng.choice(targets, count, replace=False, shuffle=False) for count in np.bincount(pre, minlength=sources)
    ])  # fmt: skip
    return pre, post


def one_core(ns: Any, net: Any, tick_s: float, **more: Any) -> Any:
    """A simulation on one core that holds all of it."""
    size = {"cores": 1, "mesh_width": 1, "mesh_height": 1, "neurons_per_core": 1 << 16, "inputs_per_core": 1 << 16,
            "synapses_per_core": 1 << 25}  # fmt: skip
    overrides: dict[str, Any] = {f"chip.geometry.{name}": value for name, value in size.items()}
    overrides["chip.timing.tick_s"] = tick_s
    overrides["chip.capabilities.neurons"] = ["lif", "lif-exponential", "lif-delta", "poisson"]
    return ns.Simulation("spinnaker2", net, timing="clocked", ideal=True, overrides=overrides, **more)


def balanced(ns: Any, seed: int) -> tuple[Any, int, dict[str, Any]]:
    """(a)."""
    of, rng, net = BALANCED, np.random.default_rng(seed), ns.Network()
    like = {"model": "lif-exponential", "tau_mem_s": of.tau_mem_s, "tau_e_s": of.tau_e_s, "tau_i_s": of.tau_i_s,
            "v_rest": of.rest_mV, "threshold": of.threshold_mV, "v_reset": of.reset_mV,
            "refractory_ticks": round(of.refractory_s / of.tick_s) - 1}  # fmt: skip
    sizes = {"e": of.excitatory, "i": of.neurons - of.excitatory}
    cells = {name: net.add_population(name, size, **like) for name, size in sizes.items()}
    for source, weight, receptor in (("e", of.w_e_mV, "excitatory"), ("i", of.w_i_mV, "inhibitory")):
        for target in "ei":
            pre, post = pairs(rng, sizes[source], sizes[target], of.probability)
            net.connect(cells[source], cells[target], pre=pre, post=post, weights=weight, receptor=receptor,
                        delay_ticks=of.delay_ticks)  # fmt: skip
    sim = one_core(ns, net, of.tick_s, seed=seed)
    for name, size in sizes.items():
        sim.set_state(name, "v", rng.uniform(of.reset_mV, of.threshold_mV, size))
    return sim, round(of.run_s / of.tick_s), {"record": tuple("ei")}


def brunel(ns: Any, seed: int) -> tuple[Any, int, dict[str, Any]]:
    """(b); Brian adds what arrives after it looked at the threshold: here it comes a tick later, having leaked once.

    So does what is lost at rest, and the reset that a neuron sets out from has leaked once.
    """
    of, rng, net = BRUNEL, np.random.default_rng(seed), ns.Network()
    leak = np.exp(-of.tick_s / of.tau_mem_s)
    like = {"model": "lif-delta", "tau_mem_s": of.tau_mem_s, "threshold": of.threshold_mV,
            "v_reset": of.reset_mV * leak, "refractory_ticks": round(of.refractory_s / of.tick_s)}  # fmt: skip
    sizes = {"e": of.excitatory, "i": of.neurons - of.excitatory}
    cells = {name: net.add_population(name, size, **like) for name, size in sizes.items()}
    for source, weight in (("e", of.w_e_mV), ("i", of.w_i_mV)):
        for target in "ei":
            pre, post = pairs(rng, sizes[source], sizes[target], of.probability)
            net.connect(cells[source], cells[target], pre=pre, post=post, weights=weight * leak,
                        delay_ticks=of.delay_ticks + 1)  # fmt: skip
    for name in "ei":
        net.add_drive(name, rate_Hz=of.outside_Hz, weight=of.w_e_mV * leak)
    return one_core(ns, net, of.tick_s, seed=seed), round(of.run_s / of.tick_s), {"record": tuple("ei")}


def classifier(ns: Any, seed: int) -> tuple[Any, int, dict[str, Any]]:
    """(c); as in Brian, what arrives leaks once before the threshold sees it, and is lost in the tick of a spike."""
    hidden, output, spikes = classifier_input()
    net, leak = ns.Network(), np.exp(-CLASSIFIER.tick_s / CLASSIFIER.tau_mem_s)
    like = {"model": "lif", "tau_mem_s": CLASSIFIER.tau_mem_s, "threshold": 1.0, "reset": "hard", "refractory_ticks": 1}
    net.add_population("pixels", 784, model="input")
    net.add_population("hidden", 500, **like)
    net.add_population("output", 10, **like)
    net.connect("pixels", "hidden", weights=hidden * leak)
    net.connect("hidden", "output", weights=output * leak)
    sim = one_core(ns, net, CLASSIFIER.tick_s, seed=seed)
    return sim, CLASSIFIER.ticks, {"record": ("hidden", "output"), "events": {"pixels": np.nonzero(spikes)}}


def stdp(ns: Any, seed: int) -> tuple[Any, int, dict[str, Any]]:
    """(d)."""
    of, rng, net = STDP, np.random.default_rng(seed), ns.Network()
    net.add_population("inputs", of.inputs, model="poisson", bias=of.rate_Hz)
    net.add_population("cells", of.neurons, model="lif-exponential", tau_mem_s=of.tau_mem_s, tau_e_s=of.tau_syn_s,
                       threshold=of.threshold)  # fmt: skip
    rule = ns.Stdp(a_plus=of.a_plus, a_minus=of.a_minus, tau_plus_s=of.tau_plus_s, tau_minus_s=of.tau_minus_s,
                   w_min=0.0, w_max=of.w_max)  # fmt: skip
    net.connect("inputs", "cells", weights=rng.uniform(0.0, of.w_max, (of.inputs, of.neurons)), plasticity=rule)
    return one_core(ns, net, of.tick_s, seed=seed), round(of.run_s / of.tick_s), {"record": ("cells",)}


OURS = {"a": balanced, "b": brunel, "c": classifier, "d": stdp}


def ours(case: str, seed: int, record: str | None = None) -> dict[str, float]:
    """CPU and wall seconds of the loop, and what happened; runs in a fresh process."""
    import neurosim as ns

    sim, ticks, more = OURS[case](ns, seed)
    names = more.pop("record")
    sim.run(1)  # loads all kernels
    wall, cpu = time.perf_counter(), time.process_time()
    out = sim.run(ticks, record=names if record else (), **more)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    if record:
        spikes = [out.spikes[name] for name in names]
        starts = np.cumsum([0] + [sim.network.population(name).size for name in names])
        neuron = np.concatenate([each.neuron + start for each, start in zip(spikes, starts, strict=False)])
        np.savez(record, tick=np.concatenate([each.tick for each in spikes]), neuron=neuron)
    counts, given = out.counts, sum(len(tick) for tick, _ in more.get("events", {}).values())
    return {"cpu_s": cpu, "wall_s": wall, "spikes": counts["neuron_fired"] - given, "events": counts["synaptic_event"],
            "changes": counts.get("synapse_updated", 0)}  # fmt: skip


def fresh(case: str, seed: int, record: Path | None = None) -> dict[str, float]:
    """Ours in a process of its own."""
    command = [sys.executable, __file__, "--alone", case, "--seed", str(seed)]
    command += ["--record", str(record)] if record else []
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return result


# Brian2


def build(python: str, case: str, folder: Path, record: bool = False) -> None:
    """Have Brian write and compile its program for a case."""
    command = [python, str(Path(__file__).with_name("_brian.py")), case, str(folder), *(["record"] if record else [])]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"Brian2 could not build {case}:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


def run_brian(folder: Path) -> dict[str, float]:
    """Run the compiled program once more."""
    times = folder / "times.txt"
    times.unlink(missing_ok=True)
    subprocess.run(["./main"], cwd=folder, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    (wall, cpu), (wall_end, cpu_end) = np.loadtxt(times)
    found = {"cpu_s": float(cpu_end - cpu), "wall_s": float(wall_end - wall)}
    for name in ("spikes", "output", "inputs"):
        for count in (folder / "results").glob(f"_array_{name}_N_*"):
            found["spikes"] = found.get("spikes", 0.0) + float(np.fromfile(count, np.int32)[0])
    return found


def brian_spikes(folder: Path, tick_s: float) -> tuple[np.ndarray, np.ndarray]:
    """(tick, neuron) of the last run."""
    (neuron,) = (folder / "results").glob("_dynamic_array_spikes_i_*")
    (seconds,) = (folder / "results").glob("_dynamic_array_spikes_t_*")
    return np.round(np.fromfile(seconds, np.float64) / tick_s).astype(np.int64), np.fromfile(neuron, np.int32)


# speed


def speed(case: str, rounds: int, python: str | None) -> dict[str, Any]:
    """Medians of one case."""
    with tempfile.TemporaryDirectory() as folder:
        if python:
            build(python, case, Path(folder))
            run_brian(Path(folder))
        fresh(case, 0)  # compiles
        mine, other = [], []
        for k in range(rounds):
            mine.append(fresh(case, k))
            if python:
                other.append(run_brian(Path(folder)))
    figures: dict[str, Any] = {
        "ours_cpu_s": statistics.median(each["cpu_s"] for each in mine),
        "ours_spikes": statistics.median(each["spikes"] for each in mine),
        "ours_events": statistics.median(each["events"] for each in mine),
        "bar": BARS[case][0], "goal": BARS[case][1], "rounds": rounds, "beside": bool(python),
    }  # fmt: skip
    if not python:
        return figures | {"brian_cpu_s": REFERENCE[case], "ratio": REFERENCE[case] / figures["ours_cpu_s"]}
    ratios = [b["cpu_s"] / a["cpu_s"] for a, b in zip(mine, other, strict=True)]
    return figures | {
        "brian_cpu_s": statistics.median(each["cpu_s"] for each in other),
        "brian_spikes": statistics.median(each["spikes"] for each in other),
        "ratio": statistics.median(ratios), "ratio_low": min(ratios), "ratio_high": max(ratios),
    }  # fmt: skip


# statistics


def irregularity(tick: np.ndarray, neuron: np.ndarray, fewest: int = 5) -> float:
    """Mean over neurons of standard deviation over mean of the intervals between their spikes."""
    order = np.lexsort((tick, neuron))
    who, gap = neuron[order], np.diff(tick[order]).astype(float)
    same = who[1:] == who[:-1]
    who, gap = who[1:][same], gap[same]
    count = np.bincount(who)
    enough = np.flatnonzero(count >= fewest)
    mean = np.bincount(who, gap)[enough] / count[enough]
    square = np.bincount(who, gap**2)[enough] / count[enough]
    return float(np.mean(np.sqrt(np.maximum(square - mean**2, 0.0)) / mean))


def correlation(tick: np.ndarray, neuron: np.ndarray, ticks: int, tick_s: float, chosen: int = 500) -> float:
    """Mean correlation of the spike counts of pairs, in bins of 5 ms, among the first ``chosen`` neurons."""
    wide = round(5e-3 / tick_s)
    counts = np.zeros((chosen, ticks // wide))
    own = (neuron < chosen) & (tick < wide * counts.shape[1])
    np.add.at(counts, (neuron[own], tick[own] // wide), 1.0)
    counts = counts[counts.std(axis=1) > 0.0]
    r = np.corrcoef(counts)
    return float((r.sum() - len(r)) / (len(r) * (len(r) - 1)))


def described(tick: np.ndarray, neuron: np.ndarray, of: Balanced | Brunel, skip_s: float = 0.1) -> dict[str, float]:
    """Rate, irregularity and correlation once the start has died away."""
    skip, ticks = round(skip_s / of.tick_s), round(of.run_s / of.tick_s)
    late = tick >= skip
    tick, neuron = tick[late] - skip, neuron[late]
    rest_s = of.run_s - skip_s
    excitatory = int(np.sum(neuron < of.excitatory))
    return {
        "rate_Hz": tick.size / of.neurons / rest_s,
        "excitatory_Hz": excitatory / of.excitatory / rest_s,
        "inhibitory_Hz": (tick.size - excitatory) / (of.neurons - of.excitatory) / rest_s,
        "cv": irregularity(tick, neuron),
        "correlation": correlation(tick, neuron, ticks - skip, of.tick_s),
    }


def statistics_of(case: str, rounds: int, python: str | None) -> dict[str, Any]:
    """Mean and spread over networks of either side, and how far they are apart in standard errors."""
    of: Balanced | Brunel = {"a": BALANCED, "b": BRUNEL}[case]
    mine, other = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if python:
            build(python, case, folder / "brian", record=True)
        for k in range(rounds):
            fresh(case, k, folder / "ours.npz")
            with np.load(folder / "ours.npz") as kept:
                mine.append(described(kept["tick"], kept["neuron"], of))
            if python:
                run_brian(folder / "brian")
                other.append(described(*brian_spikes(folder / "brian", of.tick_s), of))
    return {name: compared([each[name] for each in mine], [each[name] for each in other]) for name in mine[0]}


def compared(mine: list[float], other: list[float]) -> dict[str, float]:
    """Means, standard deviations over networks, and the difference of the means in standard errors."""
    figures = {"ours": float(np.mean(mine)), "ours_std": float(np.std(mine, ddof=1))}
    if other:
        error = np.sqrt((np.var(mine, ddof=1) + np.var(other, ddof=1)) / len(mine))
        figures |= {"brian": float(np.mean(other)), "brian_std": float(np.std(other, ddof=1)),
                    "apart": float((np.mean(mine) - np.mean(other)) / error)}  # fmt: skip
    return figures


# figures


def tell_speed(found: dict[str, dict[str, Any]]) -> None:
    """A table as in docs/benchmarks.md."""
    print("| | Brian2, CPU s | ours, CPU s | ratio (lowest to highest) | bar | goal | spikes, Brian2 | ours |")
    print("|---|---|---|---|---|---|---|---|")
    for case, each in found.items():
        spread = f" ({each['ratio_low']:.2f} to {each['ratio_high']:.2f})" if each["beside"] else " (another day)"
        times = [f"{each['brian_cpu_s']:.4g}", f"{each['ours_cpu_s']:.4g}", f"**{each['ratio']:.2f}**{spread}"]
        theirs = f"{each['brian_spikes']:.0f}" if each["beside"] else ""
        row = [f"({case})", *times, each["bar"], each["goal"], theirs, f"{each['ours_spikes']:.0f}"]
        print("|", " | ".join(str(cell) for cell in row), "|")


def tell_statistics(found: dict[str, dict[str, Any]]) -> None:
    """A table as in docs/benchmarks.md."""
    print("| | Brian2: mean (spread) | ours: mean (spread) | apart, standard errors |")
    print("|---|---|---|---|")
    for case, rows in found.items():
        for name, each in rows.items():
            other = f"{each['brian']:.4g} ({each['brian_std']:.2g})" if "brian" in each else ""
            apart = f"{each['apart']:.1f}" if "apart" in each else ""
            print(f"| ({case}) {name} | {other} | {each['ours']:.4g} ({each['ours_std']:.2g}) | {apart} |")


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brian-python", help="a Python that has brian2==2.9.0")
    parser.add_argument("--cases", nargs="+", default=list(OURS), choices=list(OURS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--statistics", action="store_true")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--alone", choices=list(OURS), help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--record", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.alone:
        print(json.dumps(ours(given.alone, given.seed, given.record)))
        return
    if not given.brian_python:
        print("no --brian-python: Brian2's figures are those of another day, and the ratios no more than a hint\n")
    found: dict[str, Any] = {}
    for case in given.cases:
        if given.statistics and case in "ab":
            found[case] = statistics_of(case, given.rounds, given.brian_python)
        elif not given.statistics:
            found[case] = speed(case, given.rounds, given.brian_python)
    (tell_statistics if given.statistics else tell_speed)(found)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
