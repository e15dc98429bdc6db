r"""A preset from measured pulse trains: mean steps, mismatch and noise apart, with bootstrap intervals.

The file has the columns ``device, pulse, G, V, width``: after pulse number ``pulse`` of voltage ``V`` (V) and length
``width`` (s) the device ``device`` conducted ``G`` (S). Rows of one device are one train, in the order of ``pulse``; a
row with V = 0 is a reading without a pulse. Which sign of V raises the conductance is found from the data.

w = -1 is the smallest conductance and w = 1 the largest. With k_d,up = gain_d + r_d and k_d,down = gain_d - r_d a
device's own size of steps, and f the mean curve of a direction, a step is

    dw = +- k_d f(w) (1 + dw_min_std xi) + read noise after - read noise before

1. f is the least-squares curve of all devices: constant, linear (model ``linear-step``), or piecewise linear with seven
   nodes (``piecewise-step``): the simplest whose squared error on held-out steps is not above the best one's by more
   than two standard errors of their difference (over devices, or blocks of 20 steps).
2. Each device's k follows by least squares; the variance of k over devices less the variance of its estimate is
   mismatch (device to device): dw_min_dtod from the common part of k_up and k_down, up_down_dtod from their difference.
3. What is left of each step is noise (cycle to cycle) and the reading's: successive steps share a reading, so that
   their covariance is -read noise^2; this much, twice, is taken off the variance.
4. Held out: every third device, or the last third of each train where there are fewer than six devices. Intervals:
   devices (or, below six, blocks of 20 pulses) are drawn with replacement, and everything is fitted again.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.devices.presets import Preset, validated
from neurosim.errors import InputError

Floats = NDArray[np.float64]
COLUMNS = ("device", "pulse", "G", "V", "width")
NODES = 7
BLOCK = 20
CURVES = ("constant", "linear", "piecewise")


@dataclass(frozen=True)
class Steps:
    """All measured steps, in weights: one entry for every pulse."""

    device: NDArray[np.int64]
    before: Floats
    dw: Floats
    up: NDArray[np.bool_]
    follows: NDArray[np.bool_]
    """Whether the entry before is the pulse before, of the same device."""

    def taken(self, which: NDArray[Any]) -> Steps:
        """Some of them, in this order; an entry follows another only where both were neighbours."""
        index = np.arange(self.dw.size)[which] if which.dtype == bool else which
        neighbours = np.concatenate([[False], np.diff(index) == 1]) if index.size else np.zeros(0, bool)
        follows = self.follows[index] & neighbours
        return Steps(self.device[index], self.before[index], self.dw[index], self.up[index], follows)


@dataclass(frozen=True)
class Measured:
    """A file of pulse trains."""

    steps: Steps
    g_min_S: float
    g_max_S: float
    voltage: dict[bool, float]
    width: dict[bool, float]
    devices: int


@dataclass(frozen=True)
class Fit:
    """What a fit found."""

    preset: Preset
    curve: str
    values: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    """95 % of the bootstrap, by name."""
    held_out: dict[str, float]
    """Error of each curve on what was held out, rms in weights."""
    residual_w: Floats
    """Weights of held-out steps, and what the chosen curve left of those, for the plot."""
    residual: Floats
    residual_up: NDArray[np.bool_]
    expected_std: float
    """What noise and mismatch of the fit let one expect of these residuals (rms)."""


def read(path: Path) -> Measured:
    """The trains of a CSV file; raises InputError with every fault and its line."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file, skipinitialspace=True)
            names = reader.fieldnames or []
            missing = [name for name in COLUMNS if name not in names]
            if missing:
                raise InputError(
                    f"no column {', '.join(missing)} (wanted: {', '.join(COLUMNS)}; found: {', '.join(names)})",
                    str(path),
                )
            rows = list(reader)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from None
    wrong: list[str] = []
    trains: dict[str, list[tuple[float, ...]]] = {}
    for line, row in enumerate(rows, 2):
        try:
            values = tuple(float(row[name]) for name in COLUMNS[1:])
        except (TypeError, ValueError):
            wrong.append(f"line {line}: pulse, G, V and width must be numbers: {dict(row)}")
            continue
        if not np.isfinite(values).all() or values[1] <= 0.0 or values[3] < 0.0:
            wrong.append(f"line {line}: G must be above 0, width at least 0, and all finite")
            continue
        trains.setdefault(str(row["device"]).strip(), []).append(values)
    if wrong:
        more = [f"and {len(wrong) - 20} lines more"] if len(wrong) > 20 else []
        raise InputError(wrong[:20] + more, str(path))
    return measured({name: np.array(sorted(train)) for name, train in trains.items()}, str(path))


def measured(trains: dict[str, Floats], where: str) -> Measured:
    """Trains [pulse; number, G, V, width] by device; raises InputError."""
    wrong = [f"device {name}: pulse {int(train[k, 0])} occurs twice" for name, train in trains.items()
             for k in np.flatnonzero(np.diff(train[:, 0]) == 0)[:1]]  # fmt: skip
    pulses = sum(int(np.count_nonzero(train[1:, 2])) for train in trains.values())
    if pulses < 50:
        wrong.append(f"{pulses} pulses that follow a reading are too few: at least 50")
    if wrong:
        raise InputError(wrong, where)
    every = np.concatenate([train[:, 1] for train in trains.values()])
    low, high = float(every.min()), float(every.max())
    if high <= low:
        raise InputError("the conductance never changes", where)
    parts: list[tuple[Any, ...]] = []
    for number, train in enumerate(trains.values()):
        w = 2.0 * (train[:, 1] - low) / (high - low) - 1.0
        pulse = train[1:, 2] != 0.0
        follows = np.concatenate([[False], pulse[1:] & pulse[:-1]])[pulse]
        parts.append(
            (
                np.full(int(pulse.sum()), number),
                w[:-1][pulse],
                np.diff(w)[pulse],
                train[1:, 2][pulse],
                train[1:, 3][pulse],
                follows,
            )
        )
    device, before, dw, volts, width, follows = (np.concatenate(each) for each in zip(*parts, strict=True))
    positive = volts > 0.0
    if positive.all() or not positive.any():
        raise InputError("pulses of one sign only: up and down steps are both needed", where)
    rises = np.median(dw[positive]) + dw[positive].mean() >= np.median(dw[~positive]) + dw[~positive].mean()
    up = positive if rises else ~positive
    return Measured(
        Steps(device, before, dw, up, follows), low, high,
        {way: float(np.median(volts[up == way])) for way in (True, False)},
        {way: float(np.median(width[up == way])) for way in (True, False)}, len(trains),
    )  # fmt: skip


def _basis(curve: str, w: Floats) -> Floats:
    """Columns whose weighted sum is the mean step."""
    if curve == "constant":
        return np.ones((w.size, 1))
    if curve == "linear":
        return np.column_stack([np.ones(w.size), w])
    x = np.clip((w + 1.0) / 2.0 * (NODES - 1), 0.0, NODES - 1.0)
    return np.asarray(np.maximum(1.0 - np.abs(x[:, None] - np.arange(NODES)), 0.0))


def _curves(curve: str, steps: Steps) -> dict[bool, Floats]:
    """Coefficients of both directions, down as a size (positive), by least squares."""
    found = {}
    for way in (True, False):
        at = steps.up == way
        a = _basis(curve, steps.before[at])
        y = steps.dw[at] if way else -steps.dw[at]
        ridge = 1e-9 * a.shape[0] * np.eye(a.shape[1])  # nodes that no pulse has seen stay at 0 instead of anywhere
        found[way] = np.linalg.solve(a.T @ a + ridge, a.T @ y)
    return found


def _mean(curve: str, curves: dict[bool, Floats], steps: Steps) -> Floats:
    """The mean step of every entry, as a size."""
    out = np.empty(steps.dw.size)
    for way in (True, False):
        at = steps.up == way
        out[at] = np.maximum(_basis(curve, steps.before[at]) @ curves[way], 0.0)
    return out


def _variation(steps: Steps, mean: Floats) -> dict[str, float]:
    """Mismatch and noise apart (see the top of this file)."""
    size = np.where(steps.up, steps.dw, -steps.dw)
    k: dict[bool, Floats] = {}
    error: dict[bool, Floats] = {}
    number = int(steps.device.max()) + 1
    left = size - mean
    own = np.empty(size.size)
    for way in (True, False):
        at = steps.up == way
        weight = np.bincount(steps.device[at], mean[at] ** 2, number)
        with np.errstate(divide="ignore", invalid="ignore"):
            k[way] = np.bincount(steps.device[at], mean[at] * size[at], number) / weight
        own[at] = k[way][steps.device[at]] * mean[at]
        left[at] = size[at] - own[at]
        squares = np.bincount(steps.device[at], (left[at] * mean[at]) ** 2, number)
        with np.errstate(divide="ignore", invalid="ignore"):
            error[way] = squares / weight**2
    signed = np.where(steps.up, left, -left)
    pairs = np.flatnonzero(steps.follows)
    shared = float(np.mean(signed[pairs] * signed[pairs - 1])) if pairs.size > 20 else 0.0
    read = max(-shared, 0.0)
    noise = max(float(np.mean(left**2)) - 2.0 * read, 0.0)
    relative = np.sqrt(noise / max(float(np.mean(own**2)), 1e-300))
    both = np.isfinite(k[True]) & np.isfinite(k[False])
    gain = gap = 0.0
    if both.sum() > 2:
        up, down = k[True][both], k[False][both]
        blur = 0.25 * float((error[True][both] + error[False][both]).mean())
        gain = float(np.var(0.5 * (up + down), ddof=1)) - blur
        gap = float(np.var(0.5 * (up - down), ddof=1)) - blur
    return {
        "dw_min_std": float(relative), "dw_min_dtod": float(np.sqrt(max(gain, 0.0))),
        "up_down_dtod": float(np.sqrt(max(gap, 0.0))), "read_noise_std": float(np.sqrt(read)),
        "residual_std": float(np.sqrt(np.mean(left**2))),
    }  # fmt: skip


def _values(curve: str, steps: Steps) -> dict[str, float]:
    """All parameters of the curve, and its variation."""
    curves = _curves(curve, steps)
    values: dict[str, float] = {}
    if curve == "piecewise":
        up, down = (float(np.mean(np.maximum(curves[way], 0.0))) for way in (True, False))
        values |= {f"up_{k}": float(max(each, 0.0)) / max(up, 1e-300) for k, each in enumerate(curves[True])}
        values |= {f"down_{k}": float(max(each, 0.0)) / max(down, 1e-300) for k, each in enumerate(curves[False])}
    else:
        up, down = float(curves[True][0]), float(curves[False][0])
        if curve == "linear":  # scale (1 - gamma w) up, scale (1 + gamma w) down
            values |= {
                "gamma_up": max(-float(curves[True][1]) / up, 0.0),
                "gamma_down": max(float(curves[False][1]) / down, 0.0),
            }
    size = max(up, down)
    values |= {"dw_min": size, "up_down": up / down - 1.0 if up < down else 1.0 - down / up}
    return values | _variation(steps, _mean(curve, curves, steps))


def fit(found: Measured, name: str, source: str, *, replicates: int = 200, seed: int = 0) -> Fit:
    """Fit a preset; raises InputError where the steps have no size (the pulses did nothing on average)."""
    steps = found.steps
    rng = np.random.default_rng(seed)
    if found.devices >= 6:
        held = steps.device % 3 == 2
    else:
        order = np.concatenate([np.arange(n) / n for n in np.bincount(steps.device) if n])
        held = order >= 2.0 / 3.0
    train, test = steps.taken(~held), steps.taken(held)
    size = np.where(test.up, test.dw, -test.dw)
    squares = {curve: (size - _mean(curve, _curves(curve, train), test)) ** 2 for curve in CURVES}
    errors = {curve: float(np.sqrt(np.mean(squares[curve]))) for curve in CURVES}
    chosen = _chosen(squares, test.device if found.devices >= 6 else np.arange(size.size) // BLOCK)
    coefficients = _curves("constant", steps)
    if min(float(coefficients[way][0]) for way in (True, False)) <= 0.0:
        raise InputError("up pulses do not raise, or down pulses do not lower the conductance on average")
    values = _values(chosen, steps)
    sampled = [_values(chosen, _resampled(steps, found.devices, rng)) for _ in range(replicates)]
    intervals = {
        key: (
            float(np.percentile([each[key] for each in sampled], 2.5)),
            float(np.percentile([each[key] for each in sampled], 97.5)),
        )
        for key in values
    }
    left = size - _mean(chosen, _curves(chosen, train), test)
    spread = _variation(train, _mean(chosen, _curves(chosen, train), train))
    mismatch = spread["dw_min_dtod"] ** 2 + spread["up_down_dtod"] ** 2 if found.devices >= 6 else 0.0
    mean = _mean(chosen, _curves(chosen, train), test)
    expected = float(np.sqrt(spread["residual_std"] ** 2 + mismatch * np.mean(mean**2)))
    return Fit(
        _preset(found, name, source, chosen, values, intervals, errors), chosen, values, intervals, errors, test.before,
        np.where(test.up, left, -left), test.up, expected,
    )  # fmt: skip


def _chosen(squares: dict[str, Floats], group: NDArray[np.int64]) -> str:
    """The simplest curve that is not clearly worse than the best."""
    best = min(CURVES, key=lambda curve: float(np.mean(squares[curve])))
    names, number = np.unique(group, return_inverse=True)
    for curve in CURVES:
        more = np.bincount(number, squares[curve] - squares[best]) / np.bincount(number)
        if curve == best or more.mean() <= 2.0 * more.std(ddof=1) / np.sqrt(names.size):
            return curve
    return best


def _resampled(steps: Steps, devices: int, rng: np.random.Generator) -> Steps:
    """Devices, or blocks of pulses, drawn with replacement; a device drawn twice is two devices."""
    if devices >= 6:
        groups = [np.flatnonzero(steps.device == number) for number in range(devices)]
    else:
        groups = [group for number in range(devices) for group in _blocks(np.flatnonzero(steps.device == number))]
    drawn = rng.integers(0, len(groups), len(groups))
    made = steps.taken(np.concatenate([groups[k] for k in drawn]))
    if devices < 6:
        return made
    names = np.concatenate([np.full(groups[k].size, n) for n, k in enumerate(drawn)])
    return Steps(names, made.before, made.dw, made.up, made.follows)


def _blocks(index: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return [index[k : k + BLOCK] for k in range(0, index.size, BLOCK)]


def _preset(
    found: Measured, name: str, source: str, curve: str, values: dict[str, float],
    intervals: dict[str, tuple[float, float]],
    errors: dict[str, float],
) -> Preset:  # fmt: skip
    short: Callable[[float], float] = lambda value: float(f"{value:.6g}")  # noqa: E731
    common = {key: short(values[key]) for key in ("dw_min", "up_down", "dw_min_std", "dw_min_dtod", "up_down_dtod")}
    device: dict[str, Any] = {"w_max": 1.0, "w_min": -1.0, **common}
    if curve == "piecewise":
        device |= {"model": "piecewise-step", "up": [short(values[f"up_{k}"]) for k in range(NODES)],
                   "down": [short(values[f"down_{k}"]) for k in range(NODES)]}  # fmt: skip
    elif curve == "linear":
        device |= {
            "model": "linear-step",
            "gamma_up": short(values["gamma_up"]),
            "gamma_down": short(values["gamma_down"]),
        }
    else:
        device |= {"model": "constant-step"}
    report = {
        "curve": curve, "devices": found.devices, "steps": int(found.steps.dw.size),
        "read_noise_std": short(values["read_noise_std"]),
        "held_out_rms": {key: short(each) for key, each in errors.items()},
        "interval_95": {key: [short(low), short(high)] for key, (low, high) in intervals.items()},
    }  # fmt: skip
    electrical = {
        "g_min_S": found.g_min_S, "g_max_S": found.g_max_S, "up_V": found.voltage[True], "down_V": found.voltage[False],
        "up_s": found.width[True], "down_s": found.width[False], "note": "medians of the measurement",
    }  # fmt: skip
    about = f"fitted to {found.steps.dw.size} pulses on {found.devices} devices"
    table = {"name": name, "about": about, "source": source,
             "kind": "derived", "device": device, "fit": report}  # fmt: skip
    if min(found.width.values()) > 0.0:
        table["electrical"] = electrical
    return validated(table, name)
