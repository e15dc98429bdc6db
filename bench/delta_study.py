"""What the astrocyte remembers: the two figures of the founding talk, and how much of a gradient a class can explain.

On ``fashion-mnist-deep-delta`` (784-100-50-10, analog-if, imperfections on):

(a) one class's delta-vector over an epoch, every neuron a row;
(b) the share of neurons whose delta has the sign of the sample's true dC/dbias, against the steps between bias
    refreshes (``refresh = "bias"``, ``probes = "alternate"``), for two numbers of measurements per class; for
    comparison the best that any vector per class could do at the same weights, and what the training's own probes give.

And on the trained networks (deep, and ``fashion-mnist-mlp-delta``): the cosine of each sample's true delta with the
mean of its class, the share of |g|^2 that class vectors explain, and how far exact class vectors alone would lead.

    python bench/delta_study.py [--seeds 2] [--steps 10000] [--only vectors agreement spread alone]

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
from matplotlib.lines import Line2D

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
        axes = figure.subplots(
            len(layers), 1, sharex=True, height_ratios=[max(28, len(rows)) for rows in layers.values()]
        )
        for axis, (name, rows) in zip(axes, layers.items(), strict=True):
            limit = float(np.quantile(np.abs(rows), 0.995))
            drawn = axis.imshow(rows, cmap=style.DIVERGING, vmin=-limit, vmax=limit, aspect="auto", origin="lower",
                                extent=(0, found["steps"], 0, len(rows)), interpolation="nearest")  # fmt: skip
            axis.set_title(f"{name}: {len(rows)} neurons")
            axis.set_yticks(range(0, len(rows) + 1, 25 if len(rows) > 25 else 5))
            axis.grid(visible=False)
            figure.colorbar(drawn, ax=axis, label="δ (nat)", pad=0.01)
        figure.supylabel("neuron (in the order of its last value)", fontsize=11)
        figure.suptitle(f"δ-vector of the class “{NAMES[SHIRT]}” over an epoch")
        style.count_axis(axes[-1], "x", "steps (one sample each)")
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
            axis.set_xticks([40, *INTERVALS], ["probes", "100", "300", "1k", "3k", "10k"], minor=False)
            axis.minorticks_off()
            axis.set_xlabel("steps between refreshes (logarithmic)")
            axis.set_title(f"{measurements} measurements per class")
        axes[0].set_ylabel("signs of δ equal to true dC/dbias (%)")
        axes[0].set_ylim(45, None)
        extra = [
            Line2D([], [], color=style.GREY, linewidth=0.9, label="best vector per class"),
            Line2D([], [], color=style.GREY, marker="o", markerfacecolor="white", markersize=8, linestyle="none",
                   label="memory kept by the training's probes"),
        ]  # fmt: skip
        handles, _ = axes[1].get_legend_handles_labels()
        figure.legend(handles=[*handles, *extra], loc="outside lower center", ncols=5)
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
    ``summed`` (first layer): cosine of the weight gradients summed over all these samples, true and ``scaled``.
    """
    layers = machine.plan.trainable
    g = np.empty((samples, sum(layer.n for layer in layers)))
    spans, first = {}, 0
    for layer in layers:
        spans[layer.name] = slice(first, first + layer.n)
        first += layer.n
    spans["all"] = slice(0, first)
    for i in range(samples):
        gradient = machine.true_gradient(i)
        for layer in layers:
            g[i, spans[layer.name]] = gradient[layer.theta + layer.weights : layer.theta + layer.parameters]
    assert machine.data.train_y is not None
    label = np.asarray(machine.data.train_y[:samples])
    # the true class's output delta is p - 1 = exp(-C) - 1 (about, with output mismatch)
    share = np.clip(-g[np.arange(samples), spans[layers[-1].name].start + label], 0.0, 1.0)
    memory = np.concatenate([machine.arrays["delta"][:, layer.act : layer.act + layer.n] for layer in layers], axis=1)
    out = {}
    for name, span in spans.items():
        part, live = g[:, span], g[:, span] != 0.0
        means = _class_vectors(part, label, np.ones(samples))[label] * live
        aims = _class_vectors(part, label, share)[label] * live
        guess = share[:, None] * aims
        total = (part**2).sum()
        out[name] = {
            "cosine": _cosine(means, part),
            "mean": float(1 - ((part - means) ** 2).sum() / total),
            "scaled": float(1 - ((part - guess) ** 2).sum() / total),
            "along": float(((aims * part).sum(1) ** 2 / np.maximum((aims**2).sum(1), 1e-30)).sum() / total),
            "best_signs": float((np.sign(means) == np.sign(part))[live & (means != 0)].mean()),
            "memory": _cosine(memory[label][:, span] * live, part),
            "live": float(live.sum(1).mean()),
        }
        if span.start == 0 and name != "all":
            x = np.asarray(machine.arrays["train_x"], np.float64).reshape(machine.data.n_train, -1)[:samples]
            true, classes = x.T @ part, x.T @ guess
            out[name]["summed"] = float((true * classes).sum() / np.linalg.norm(true) / np.linalg.norm(classes))
    return {name: {key: round(value, 4) for key, value in values.items()} for name, values in out.items()}


def _class_vectors(g: Any, label: Any, share: Any) -> Any:
    """Per class and neuron, the least-squares m in g = share m over the samples that use the neuron."""
    live = g != 0.0
    vectors = np.zeros((int(label.max()) + 1, g.shape[1]))
    for k in range(len(vectors)):
        own, weight = label == k, share[label == k, None]
        vectors[k] = (weight * g[own]).sum(0) / np.maximum((weight**2 * live[own]).sum(0), 1e-12)
    return vectors


def _cosine(a: Any, b: Any) -> float:
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    known = lengths > 0
    return float(((a * b).sum(1)[known] / lengths[known]).mean()) if known.any() else 0.0


def alone(steps: int, seed: int = 0) -> list[dict[str, Any]]:
    """What a perfect astrocyte could do without measuring: exact gradients, but each sample gets its class's delta.

    784-100-10, relu, plain numpy, noise-free, one sample a step. ``exact``: backpropagation. ``class``: delta is
    replaced by its class's vector (regressed online on the exact ones) on the live neurons; ``scaled``: times the
    sample's own 1 - exp(-C). Each at two learning rates; best and last accuracy.
    """
    _, scenario = api.load_scenario("fashion-mnist-mlp-delta")
    data, rows = api.load_dataset(scenario), []
    x, label = data.train_x.reshape(data.n_train, -1), np.asarray(data.train_y)
    test = data.test_x.reshape(data.n_test, -1)
    for kind in ("exact", "class", "class, scaled"):
        for rate in (0.0015, 0.005):
            curve = _learn_alone(kind, rate, steps, seed, x, label, test, np.asarray(data.test_y))
            rows.append({"delta": kind, "rate": rate, "best": max(curve), "last": curve[-1], "steps": steps})
            print("  ", rows[-1], flush=True)
    return rows


def _learn_alone(
    kind: str, rate: float, steps: int, seed: int, x: Any, label: Any, test: Any, test_label: Any
) -> list[float]:
    random = np.random.default_rng(seed)
    w1 = (random.standard_normal((784, 100)) * 0.5 * np.sqrt(2 / 784)).astype(np.float32)
    w2 = (random.standard_normal((100, 10)) * np.sqrt(2 / 100)).astype(np.float32)
    b1, b2 = np.zeros(100, np.float32), np.zeros(10, np.float32)
    m1, m2 = np.zeros((10, 100), np.float32), np.zeros((10, 10), np.float32)
    order, curve = random.permutation(len(x)), []
    for step in range(steps):
        i = order[step % len(x)]
        k = label[i]
        on = np.flatnonzero(x[i])  # dark pixels change nothing
        xi = np.asarray(x[i][on], np.float32)
        z = xi @ w1[on] + b1
        a = np.maximum(z, 0)
        y = a @ w2 + b2
        p = np.exp(y - y.max())
        p /= p.sum()
        d2 = p.copy()
        d2[k] -= 1
        live = z > 0
        d1 = (w2 @ d2) * live
        if kind != "exact":
            share = np.float32(1 - p[k]) if kind == "class, scaled" else np.float32(1)
            e1, e2 = d1 - share * m1[k] * live, d2 - share * m2[k]
            d1, d2 = share * m1[k] * live, share * m2[k]
            m1[k] += 0.02 * share * e1
            m2[k] += 0.02 * share * e2
        eta = np.float32(rate / (1 + step / 30_000))
        w1[on] -= np.outer(xi, eta * d1)
        b1 -= eta * d1
        w2 -= np.outer(a, eta * d2)
        b2 -= eta * d2
        if (step + 1) % (steps // 20) == 0:
            guess = (np.maximum(test @ w1 + b1, 0) @ w2 + b2).argmax(1)
            curve.append(float((guess == test_label).mean()))
    return curve


def _machine(name: str, overrides: dict[str, Any], seed: int = 0) -> Machine:
    _, scenario = api.load_scenario(name, seed=seed, overrides=overrides)
    return api.build(scenario)


def main() -> None:
    """Measure, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=10_000, help="of each run of the agreement")
    parts = ("vectors", "agreement", "spread", "alone")
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
    if "alone" in given.only:
        kept["alone"] = alone(60_000)
    if "agreement" in kept:
        draw_agreement(kept["agreement"], given.output / "delta_agreement.png")
    file.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
