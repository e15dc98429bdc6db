"""delta-MGD against random weight perturbation, node perturbation and backpropagation, each tuned, by inferences.

Fashion-MNIST, 784-100-10, relu, cross-entropy, one sample a step, chip ``analog-if`` with every imperfection off, so
that only the rule differs; then the spiking network of ``quickstart`` with its mismatch and noise. Test accuracy on all
10,000 test images (``quickstart``: its 1,500). An inference is one forward pass: baselines, probes and bias refreshes
all count. Methods take turns, seed by seed; figures are medians of the seeds. The settings come from ``bench/tune.py``
on other seeds (docs/benchmarks.md).

    python bench/delta_mgd.py [--seeds 3] [--scale 1.0] [--only NAME ...]

Writes docs/figures/delta_mgd.json and docs/figures/delta_mgd.png (``--output FOLDER`` puts them elsewhere).
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from curves import Curve, Method, learn, median, number
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from neurosim.report import style

TARGETS = (0.60, 0.70, 0.75)
GOAL = 0.70
FOLDER = Path(__file__).resolve().parent.parent / "docs" / "figures"

QUIET = {"training.norm_mag": 0.01}
"""Probe length in node space where costs carry no noise."""
RANDOM = Method("random weights", "fashion-mnist-mlp-mgd", {"training.norm_mag": 0.28}, steps=500_000, every=5000)
MASKED = Method("node, masked", "fashion-mnist-mlp-node", QUIET, steps=60_000)
UNMASKED = Method(
    "node, unmasked", "fashion-mnist-mlp-node",
    {**QUIET, "training.mask_silent": False, "training.learning_rate": 0.055, "training.decay_steps": 30_000,
     "training.step_limit": 0.63},
    steps=60_000,
)  # fmt: skip
CHECKED = Method(
    "delta, combined 80°", "fashion-mnist-mlp-delta",
    {**QUIET, "training.learning_rate": 0.024, "training.output_scale": 0.07, "training.step_limit": 0.35},
    steps=30_000,
)  # fmt: skip
TRUSTED = Method(
    "delta, combined 90°", "fashion-mnist-mlp-delta",
    {**QUIET, "training.probe_angle": 90, "training.step_limit": 0.15, "training.decay_steps": 20_000},
    steps=30_000,
)  # fmt: skip
SEPARATE = Method(
    "delta, separate", "fashion-mnist-mlp-delta",
    {**QUIET, "training.probes": "separate", "training.scale_by_cost": True, "training.learning_rate": 0.00864,
     "training.decay_steps": 4000, "training.output_scale": 0.12, "training.step_limit": 0.6,
     "training.aligned_rate": 0.8, "training.orthogonal_rate": 15.0, "training.memory_rate": 0.556,
     "training.aligned_memory_rate": 0.0061, "network.init.scale": 1.0, "network.init.last_scale": 1.0},
    steps=30_000,
)  # fmt: skip
ALTERNATE = Method(
    "delta, alternate", "fashion-mnist-mlp-delta",
    {**QUIET, "training.probes": "alternate", "training.learning_rate": 0.0124, "training.decay_steps": 20_000,
     "training.step_limit": 0.3, "training.aligned_rate": 1.0, "training.orthogonal_rate": 11.5,
     "training.memory_rate": 0.43, "training.aligned_memory_rate": 0.006},
    steps=30_000,
)  # fmt: skip
REFRESH = Method(
    "delta, bias refresh", "fashion-mnist-mlp-delta",
    {**QUIET, "training.probes": "alternate", "training.refresh": "bias", "training.learning_rate": 0.0124,
     "training.decay_steps": 20_000, "training.output_scale": 0.18, "training.step_limit": 0.15,
     "training.aligned_rate": 1.0, "training.orthogonal_rate": 11.5, "training.refresh_every": 400,
     "training.refresh_measurements": 10, "training.refresh_blend": 0.5},
    steps=30_000,
)  # fmt: skip
BACKPROP = Method(
    "backpropagation", "fashion-mnist-mlp-delta",
    {"training.model": "backprop", "training.learning_rate": 0.003}, steps=20_000, every=250,
)  # fmt: skip
SPIKING = Method("delta, spiking", "quickstart", steps=20_000, ideal=False)
SPIKING_RANDOM = Method(
    "random, spiking", "quickstart",
    {"training.model": "mgd", "training.norm_mag": 1.5, "training.learning_rate": 0.2}, steps=20_000, ideal=False,
)  # fmt: skip

METHODS = (CHECKED, TRUSTED, SEPARATE, ALTERNATE, REFRESH, MASKED, UNMASKED, RANDOM, BACKPROP, SPIKING, SPIKING_RANDOM)
DELTAS = (CHECKED.name, TRUSTED.name, SEPARATE.name, ALTERNATE.name, REFRESH.name)
NODES = (MASKED.name, UNMASKED.name)
BARS = {"steps / random": (30.0, 60.0), "inferences / random": (20.0, 60.0), "inferences / node": (3.0, 6.0)}
"""(bar, goal): how many times fewer delta-MGD must need to reach 70 %."""

LOOKS = {
    TRUSTED.name: (style.ORANGE, "--"),
    CHECKED.name: (style.VERMILION, "-"),
    SEPARATE.name: (style.PURPLE, "-"),
    ALTERNATE.name: (style.PURPLE, ":"),
    REFRESH.name: (style.PURPLE, "-."),
    MASKED.name: (style.BLUE, "-"),
    UNMASKED.name: (style.SKY, "--"),
    RANDOM.name: (style.BLACK, "-"),
    BACKPROP.name: (style.GREEN, ":"),
    SPIKING.name: (style.VERMILION, "-"),
    SPIKING_RANDOM.name: (style.BLACK, "-"),
}
"""Colour and line style, so that no two methods differ by colour alone."""
PANELS = (
    ("Analog network (relu), no imperfections",
     (BACKPROP.name, TRUSTED.name, CHECKED.name, SEPARATE.name, MASKED.name, REFRESH.name, RANDOM.name)),
    ("Spiking network, mismatch and noise on", (SPIKING.name, SPIKING_RANDOM.name)),
)  # fmt: skip
"""In the order in which the legend lists them."""

Curves = dict[str, list[Curve]]


def run_all(methods: Sequence[Method], seeds: int, scale: float, loud: bool = False) -> Curves:
    """Curves of every method, seed by seed; ``scale`` shortens every run."""
    curves: Curves = {method.name: [] for method in methods}
    for seed in range(seeds):
        for method in methods:
            started = time.perf_counter()
            curve = learn(shortened(method, scale), seed)
            curves[method.name].append(curve)
            if loud:
                inferences = number(curve.reached(GOAL)[1])
                spent = time.perf_counter() - started
                print(f"  seed {seed}  {method.name:24s} {inferences:>9s} inferences to 70 %, "
                      f"best {curve.best:.3f}, {spent:.0f} s", flush=True)  # fmt: skip
    return curves


def shortened(method: Method, scale: float) -> Method:
    """The same method for a fraction of its steps, evaluated a fraction as often apart."""
    steps, every = max(1, int(method.steps * scale)), max(1, int(method.every * min(1.0, scale)))
    return Method(method.name, method.scenario, method.overrides, steps, every, method.ideal)


def reached(curves: Curves) -> dict[str, dict[str, dict[str, float]]]:
    """Median steps and inferences to each target: ``[method][target]["steps"]``."""
    table: dict[str, dict[str, dict[str, float]]] = {}
    for name, runs in curves.items():
        table[name] = {}
        for target in TARGETS:
            there = [curve.reached(target) for curve in runs]
            table[name][f"{target:.2f}"] = {
                "steps": median([steps for steps, _ in there]),
                "inferences": median([inferences for _, inferences in there]),
            }
    return table


def ratios(table: dict[str, dict[str, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """How many times fewer steps and inferences each method in node space needs to 70 %, where there is a baseline.

    Baselines: random weights, and the better of masked and unmasked node perturbation.
    """
    goals = {name: row[f"{GOAL:.2f}"] for name, row in table.items()}
    node = min((goals[name]["inferences"] for name in NODES if name in goals), default=None)
    random = goals.get(RANDOM.name)
    out: dict[str, dict[str, float]] = {}
    for name in (*DELTAS, *NODES):
        if name not in goals:
            continue
        out[name] = {}
        if random is not None:
            out[name]["steps / random"] = times(random["steps"], goals[name]["steps"])
            out[name]["inferences / random"] = times(random["inferences"], goals[name]["inferences"])
        if node is not None:
            out[name]["inferences / node"] = times(node, goals[name]["inferences"])
    return out


def times(other: float, own: float) -> float:
    """``other / own``; not a number where neither was reached."""
    if math.isinf(own):
        return math.nan if math.isinf(other) else 0.0
    return other / own


def equal_inferences(curves: Curves) -> dict[str, float]:
    """Accuracy of the spiking network by delta-MGD and by random weights after the same number of inferences."""
    if not {SPIKING.name, SPIKING_RANDOM.name} <= curves.keys():
        return {}
    pairs = zip(curves[SPIKING.name], curves[SPIKING_RANDOM.name], strict=True)
    shared = [(float(min(a.inferences[-1], b.inferences[-1])), a, b) for a, b in pairs]
    return {
        "inferences": median([count for count, _, _ in shared]),
        SPIKING.name: median([a.at(count) for count, a, _ in shared]),
        SPIKING_RANDOM.name: median([b.at(count) for count, _, b in shared]),
    }


def measure(
    seeds: int = 3, scale: float = 1.0, methods: Sequence[Method] = METHODS, loud: bool = False
) -> dict[str, Any]:
    """Everything that the comparison gives: medians, ratios, and the curves themselves under ``curves``."""
    curves = run_all(methods, seeds, scale, loud)
    table = reached(curves)
    return {
        "seeds": seeds,
        "reached": table,
        "best": {name: median([curve.best for curve in runs]) for name, runs in curves.items()},
        "ratios": ratios(table),
        "spiking_at_equal_inferences": equal_inferences(curves),
        "curves": curves,
    }


def show(result: dict[str, Any]) -> None:
    """Print the tables and how they stand against the bars."""
    print(f"\nmedian of {result['seeds']} seeds: steps (inferences) to test accuracy")
    print(f"{'':26s}" + "".join(f"{100 * target:>20.0f} %" for target in TARGETS) + f"{'best':>10s}")
    for name, row in result["reached"].items():
        cells = "".join(f"{number(cell['steps']):>10s} ({number(cell['inferences']):>9s})" for cell in row.values())
        print(f"{name:26s}{cells}{result['best'][name]:>10.3f}")
    print("\ntimes fewer to 70 % (node: the better of masked and unmasked)")
    print(f"{'':26s}" + "".join(f"{key:>22s}" for key in BARS))
    for name, row in result["ratios"].items():
        print(f"{name:26s}" + "".join(f"{row.get(key, math.nan):>22.1f}" for key in BARS))
    print(f"{'bar (goal)':26s}" + "".join(f"{f'{bar:.0f} ({goal:.0f})':>22s}" for bar, goal in BARS.values()))
    if result["spiking_at_equal_inferences"]:
        same = result["spiking_at_equal_inferences"]
        print(f"\nspiking network after {same['inferences']:,.0f} inferences: delta {same[SPIKING.name]:.3f}, "
              f"random weights {same[SPIKING_RANDOM.name]:.3f}")  # fmt: skip


def as_json(result: dict[str, Any]) -> str:
    """The result as JSON; infinite means never, and is null there."""
    curves = {name: [curve.rows() for curve in runs] for name, runs in result["curves"].items()}
    settings = {
        method.name: {"scenario": method.scenario, "ideal": method.ideal, **method.settings()} for method in METHODS
    }
    whole = {**result, "settings": settings, "curves": curves}
    return json.dumps(_finite(whole), indent=None, separators=(",", ":")) + "\n"


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def draw(curves: Curves, path: Path) -> None:
    """Accuracy against inferences: medians as lines, the range over seeds as bands."""
    with mpl.rc_context(style.RC):
        figure = Figure(figsize=(11.0, 5.2), layout="constrained")
        axes = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        for axis, (title, names) in zip(axes, PANELS, strict=True):
            _panel(axis, title, {name: curves[name] for name in names if curves.get(name)})
        axes[0].set_ylabel("test accuracy (%)")
        figure.savefig(path, dpi=100)


def _panel(axis: Any, title: str, curves: Curves) -> None:
    for name, runs in curves.items():
        colour, line = LOOKS[name]
        inferences, rows = binned(runs)
        low, middle, high = 100.0 * np.quantile(rows, (0.0, 0.5, 1.0), axis=0)
        axis.fill_between(inferences, low, high, color=colour, alpha=0.15, linewidth=0)
        axis.plot(inferences, middle, line, color=colour, label=name)
    axis.axhline(100.0 * GOAL, color=style.GREY, linewidth=1.2, linestyle=(0, (1, 2)))
    axis.set_xscale("log")
    axis.set_ylim(0, 90)
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    axis.set_xlabel("inferences, all counted (logarithmic)")
    axis.set_title(title)
    axis.legend(loc="lower right")


def binned(runs: Sequence[Curve], a_decade: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Inferences, ``a_decade`` places to a decade, and each run's mean accuracy around each; the start is left out."""
    last = min(float(curve.inferences[-1]) for curve in runs)
    seen = np.unique(np.concatenate([curve.inferences for curve in runs]))
    seen = seen[(seen > 0) & (seen <= last)]
    place, bin_of = np.unique(np.round(np.log10(seen) * a_decade), return_inverse=True)
    rows = [np.bincount(bin_of, np.interp(seen, curve.inferences, curve.accuracy)) for curve in runs]
    return 10.0 ** (place / a_decade), np.array(rows) / np.bincount(bin_of)


def main() -> None:
    """Measure, print, write, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="fraction of the steps")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[method.name for method in METHODS])
    parser.add_argument("--output", type=Path, default=FOLDER)
    given = parser.parse_args()
    methods = [method for method in METHODS if not given.only or method.name in given.only]
    result = measure(given.seeds, given.scale, methods, loud=True)
    show(result)
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "delta_mgd.json").write_text(as_json(result), encoding="utf-8")
    draw(result["curves"], given.output / "delta_mgd.png")
    print(f"\nwritten: {given.output}/delta_mgd.json and delta_mgd.png")


if __name__ == "__main__":
    main()
