"""What the astrocyte remembers: the two figures of the founding talk, and how much of a gradient a class can explain.

On ``fashion-mnist-deep-delta`` (784-100-50-10, analog-if with its imperfections on):

(a) one class's delta-vector over an epoch, every neuron a row;
(b) the share of neurons whose delta has the sign of the sample's true dC/dbias, against the steps between bias refreshes
    (``refresh = "bias"``, ``probes = "alternate"``), for two numbers of measurements per class; the best that any vector
    per class could do at the same weights, and what the probes of the training itself give, for comparison.

And on the trained networks (deep, and ``fashion-mnist-mlp-delta``): the cosine of each sample's true delta with the mean
of its class, and the share of |g|^2 that class vectors explain.

    python bench/delta_study.py [--seeds 2] [--steps 10000] [--only vectors agreement spread]

Writes docs/figures/delta_vectors.png, docs/figures/delta_agreement.png and docs/figures/delta_study.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from neurosim import api
from neurosim.engine.machine import Machine
from neurosim.report import style

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "figures"
DEEP = "fashion-mnist-deep-delta"
SHIRT = 6
NAMES = ("T-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "boot")
INTERVALS = (100, 300, 1000, 3000, 10_000)
MEASUREMENTS = (30, 300)
BETWEEN = 173
"""Steps between evaluations: no multiple of a refresh, so that memories of every age are looked at."""
LOOKS = {"hidden1": (style.BLUE, "o", "-"), "hidden2": (style.VERMILION, "s", "--"), "output": (style.BLACK, "^", ":")}


def vectors(steps: int, columns: int = 200) -> dict[str, Any]:
    """The delta-vector of one class along a run: rows are neurons in order of their last value, per layer."""
    machine = _machine(DEEP, {})
    every, seen = max(1, steps // columns), []
    for _ in range(steps // every):
        machine.burst(every)
        seen.append(machine.arrays["delta"][SHIRT].copy())
    history = np.array(seen)
    layers = {}
    for layer in machine.plan.trainable:
        rows = history[:, layer.act : layer.act + layer.n].T
        layers[layer.name] = rows[np.argsort(rows[:, -max(1, columns // 10) :].mean(1), kind="stable")]
    return {"steps": every * len(seen), "layers": layers}


def draw_vectors(found: dict[str, Any], path: Path) -> None:
    """A map per layer: time to the right, neurons up, orange above zero."""
    layers = found["layers"]
    with mpl.rc_context(style.RC):
        figure = Figure(figsize=(9.0, 6.6), layout="constrained")
        axes = figure.subplots(len(layers), 1, sharex=True, height_ratios=[max(16, len(rows)) for rows in layers.values()])
        for axis, (name, rows) in zip(axes, layers.items(), strict=True):
            limit = float(np.quantile(np.abs(rows), 0.995))
            drawn = axis.imshow(rows, cmap=style.DIVERGING, vmin=-limit, vmax=limit, aspect="auto", origin="lower",
                                extent=(0, found["steps"], 0, len(rows)), interpolation="nearest")  # fmt: skip
            axis.set_title(f"{name}: {len(rows)} neurons")
            axis.set_ylabel("neuron (sorted)")
            axis.grid(visible=False)
            figure.colorbar(drawn, ax=axis, label="δ (nat per unit\nof input)", pad=0.01)
        style.count_axis(axes[-1], "x", f"steps (one sample each; an epoch is 60k): class “{NAMES[SHIRT]}”")
        figure.savefig(path, dpi=90)


def agreement(seeds: int, steps: int) -> dict[str, Any]:
    """Mean share of right signs over the second half of each run, per refresh interval; and the references."""
    rows = []
    for measurements in MEASUREMENTS:
        for interval in INTERVALS:
            if interval > steps:
                continue
            settings = {
                "training.probes": "alternate", "training.refresh": "bias", "training.refresh_every": interval,
                "training.refresh_measurements": measurements,
            }  # fmt: skip
            found = [_watched(settings, seed, steps) for seed in range(seeds)]
            rows.append({"measurements": measurements, "interval": interval, **_mean(found)})
            print("  ", rows[-1], flush=True)
    probes = _mean([_watched({}, seed, steps) for seed in range(seeds)])
    machine = _machine(DEEP, {"probes.gradient_agreement": True})
    machine.burst(steps)
    best = {name: values["best_signs"] for name, values in explained(machine, 1000).items()}
    print("   probes", probes, "best", best, flush=True)
    return {"steps": steps, "rows": rows, "probes": probes, "best": best}


def _watched(settings: dict[str, Any], seed: int, steps: int) -> dict[str, float]:
    overrides = {
        **settings, "probes.gradient_agreement": True, "probes.evaluate_every": BETWEEN,
        "probes.evaluate_samples": 1000, "stop.steps": steps,
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        run = api.run(DEEP, overrides=overrides, seed=seed, output=Path(folder) / "run.h5")
        with api.open_trace(run.trace or "") as trace:
            step = np.asarray(trace.agreement["step"])
            late = (step > steps // 2) & (step % BETWEEN == 0)
            found = {name: float(np.asarray(trace.agreement[name])[late].mean()) for name in LOOKS}
            found["accuracy"] = float(np.asarray(trace.eval["accuracy"])[late].mean())
    return {**found, "inferences": float(run.summary["inferences"])}


def _mean(found: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(float(np.mean([one[key] for one in found])), 4) for key in found[0]}


def draw_agreement(found: dict[str, Any], path: Path) -> None:
    """Agreement against the interval: a panel per number of measurements."""
    with mpl.rc_context(style.RC):
        figure = Figure(figsize=(10.0, 4.6), layout="constrained")
        axes = figure.subplots(1, len(MEASUREMENTS), sharey=True)
        for axis, measurements in zip(axes, MEASUREMENTS, strict=True):
            rows = [row for row in found["rows"] if row["measurements"] == measurements]
            for name, (colour, marker, line) in LOOKS.items():
                axis.axhline(100 * found["best"][name], color=colour, linewidth=0.9, linestyle=line, alpha=0.55)
                axis.plot([row["interval"] for row in rows], [100 * row[name] for row in rows], line, marker=marker,
                          color=colour, label=name)  # fmt: skip
                axis.plot([40], [100 * found["probes"][name]], marker=marker, color=colour, markerfacecolor="white",
                          markersize=8, linestyle="none")  # fmt: skip
            axis.set_xscale("log")
            axis.set_xlim(28, 14_000)
            axis.set_xticks([40, *INTERVALS], ["from\nprobes", "100", "300", "1k", "3k", "10k"], minor=False)
            axis.minorticks_off()
            axis.set_xlabel("steps between refreshes (logarithmic)")
            axis.set_title(f"{measurements} measurements per class")
        axes[0].set_ylabel("signs of δ equal to true dC/dbias (%)")
        axes[0].set_ylim(45, None)
        axes[1].legend(loc="best", title="thin lines: best vector\nper class at these weights", title_fontsize=9.5)
        figure.savefig(path, dpi=90)


def spread(name: str, points: tuple[int, ...]) -> list[dict[str, Any]]:
    """What class vectors explain of the true delta, at several states of one run."""
    machine, rows = _machine(name, {"probes.gradient_agreement": True}), []
    for step in (0, *points):
        if step > machine.step:
            machine.burst(step - machine.step)
        accuracy = machine.evaluate(machine.data.n_test)[0]
        rows.append({"scenario": name, "step": step, "accuracy": accuracy, "layers": explained(machine, 3000)})
        print("  ", json.dumps(rows[-1]), flush=True)
    return rows


def explained(machine: Machine, samples: int) -> dict[str, dict[str, float]]:
    """Per layer (and ``all``), over the first training samples; silent neurons count for the samples that use them.

    ``cosine``: mean over samples of the cosine with the class mean, restricted to the sample's live neurons.
    ``mean``: share of |g|^2 that the class means explain, ``1 - sum |g - m|^2/sum |g|^2``. ``scaled``: the same where
    each sample may scale its class vector by its own cost, ``1 - exp(-C)`` (``scale_by_cost``). ``along``: share of
    |g|^2 along the class mean's direction, the scale measured: what an aligned probe can find. ``best_signs``: share of
    right signs of the class mean. ``memory``: cosine with the astrocyte's own vector. ``live``: mean live neurons.
    """
    rows = []
    for i in range(samples):
        gradient = machine.true_gradient(i)
        rows.append(np.concatenate([gradient[l.theta + l.weights : l.theta + l.parameters] for l in machine.plan.trainable]))
    g = np.array(rows, np.float64)
    label = np.asarray(machine.data.train_y[:samples])
    output = machine.plan.output
    own = g[:, -output.n :][np.arange(samples), label]
    share = np.clip(-own, 0.0, 1.0)  # 1 - p of the true class, which is 1 - exp(-C)
    out = {}
    first = 0
    spans = {}
    for layer in machine.plan.trainable:
        spans[layer.name] = slice(first, first + layer.n)
        first += layer.n
    spans["all"] = slice(0, first)
    memory = np.concatenate([machine.arrays["delta"][:, l.act : l.act + l.n] for l in machine.plan.trainable], axis=1)
    for name, span in spans.items():
        part = g[:, span]
        live = part != 0.0
        means = np.stack([part[label == k].mean(0) for k in range(10)])
        scaled = np.stack(
            [(share[label == k, None] * part[label == k]).sum(0) / max((share[label == k] ** 2).sum(), 1e-12) for k in range(10)]
        )
        total = (part**2).sum()
        mean, guess = means[label] * live, share[:, None] * scaled[label] * live
        norms = np.linalg.norm(mean, axis=1) * np.linalg.norm(part, axis=1)
        known = norms > 0
        cosine = (mean * part).sum(1)[known] / norms[known]
        aim = scaled[label] * live
        along = ((aim * part).sum(1) ** 2 / np.maximum((aim**2).sum(1), 1e-30)).sum() / total
        recalled = memory[label][:, span] * live
        lengths = np.linalg.norm(recalled, axis=1) * np.linalg.norm(part, axis=1)
        weights = lengths > 0
        out[name] = {
            "cosine": float(cosine.mean()),
            "mean": float(1 - ((part - mean) ** 2).sum() / total),
            "scaled": float(1 - ((part - guess) ** 2).sum() / total),
            "along": float(along),
            "best_signs": float((np.sign(mean) == np.sign(part))[live & (mean != 0)].mean()),
            "memory": float(((recalled * part).sum(1)[weights] / lengths[weights]).mean()) if weights.any() else 0.0,
            "live": float(live.sum(1).mean()),
        }
    return {name: {key: round(value, 4) for key, value in values.items()} for name, values in out.items()}


def _machine(name: str, overrides: dict[str, Any], seed: int = 0) -> Machine:
    _, scenario = api.load_scenario(name, seed=seed, overrides=overrides)
    return api.build(scenario)


def main() -> None:
    """Measure, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10_000, help="of each run of the agreement")
    parts = ("vectors", "agreement", "spread")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--output", type=Path, default=FOLDER)
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    file = given.output / "delta_study.json"
    kept = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    if "vectors" in given.only:
        draw_vectors(vectors(60_000), given.output / "delta_vectors.png")
    if "spread" in given.only:
        kept["spread"] = spread("fashion-mnist-mlp-delta", (2000, 20_000)) + spread(DEEP, (2000, 60_000))
    if "agreement" in given.only:
        kept["agreement"] = agreement(given.seeds, given.steps)
    if "agreement" in kept:
        draw_agreement(kept["agreement"], given.output / "delta_agreement.png")
    file.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
