"""Figures of weight devices: response to pulses with its band of noise and mismatch, and what a fit leaves."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from neurosim.devices.fit import Fit
from neurosim.devices.population import Devices
from neurosim.devices.presets import Preset
from neurosim.report import style

BAND = 400
"""Devices that a band is taken from."""


def pulses_of(preset: Preset) -> int:
    """Up pulses that make most of the range, at least 10 and at most 12,000."""
    device = Devices(preset, 1, ideal=True, count_pulses=False)
    low, high = (float(each[0]) for each in device.bounds)
    _floor(device)
    total = 0
    for _ in range(14):
        device.pulse(max(total, 10))
        total += max(total, 10)
        if float(device.stored[0]) > low + 0.9 * (high - low) or total >= 12_000:
            break
    return min(total, 12_000)


def _floor(devices: Devices) -> None:
    """All devices at their lower bounds."""
    devices._w[:] = devices._bank.w_min


def plot_response(preset: Preset, axes: Axes, pulses: int | None = None) -> Axes:
    """Up pulses from the lower bound, then as many down: mean, middle 68 % and 95 % of devices, and the nominal one.

    Of binary devices the mean alone.
    """
    number = pulses or pulses_of(preset)
    stride = max(1, number // 100)
    real, nominal = Devices(preset, BAND, seed=1), Devices(preset, 1, ideal=True)
    for each in (real, nominal):
        _floor(each)
    at, rows, line = [0], [real.stored], [float(nominal.stored[0])]
    for way in (1, -1):
        for _ in range(number // stride):
            real.pulse(way * stride)
            nominal.pulse(way * stride)
            at.append(at[-1] + stride)
            rows.append(real.weights)
            line.append(float(nominal.stored[0]))
    values = np.array(rows)
    binary = preset.parameters.grid > 0.0  # two states: their mean says which share has switched
    if not binary:
        low, lower, upper, high = np.percentile(values, (2.5, 16.0, 84.0, 97.5), axis=1)
        axes.fill_between(at, low, high, color=style.SKY, alpha=0.25, linewidth=0.0, label="95 % of devices")
        axes.fill_between(at, lower, upper, color=style.SKY, alpha=0.5, linewidth=0.0, label="68 %")
    axes.plot(at, values.mean(axis=1), color=style.BLUE, label="mean")
    if not binary:
        axes.plot(at, line, color=style.BLACK, linewidth=1.0, linestyle="--", label="without mismatch and noise")
    axes.axvline(at[len(at) // 2], color=style.GREY, linewidth=0.8, linestyle=":")
    axes.set_title(preset.name)
    axes.set_xlabel("pulses (up, then down)")
    axes.set_ylabel("weight (1)")
    return axes


def plot_residual(fit: Fit, axes: Axes) -> Axes:
    """What the chosen curve leaves of held-out steps, against the weight before the step."""
    for way, colour, name in ((True, style.BLUE, "up"), (False, style.VERMILION, "down")):
        at = fit.residual_up == way
        axes.plot(
            fit.residual_w[at], fit.residual[at], ".", markersize=2.5, alpha=0.5, color=colour, label=f"{name} pulses"
        )
    for sign in (-2.0, 2.0):
        label = "2 expected deviations" if sign > 0 else None
        axes.axhline(sign * fit.expected_std, color=style.BLACK, linewidth=1.0, linestyle="--", label=label)
    axes.set_title(f"{fit.preset.name}: held-out steps minus the {fit.curve} curve")
    axes.set_xlabel("weight before the pulse (1)")
    axes.set_ylabel("residual (weight units)")
    axes.legend(loc="best")
    return axes


def write_residual(fit: Fit, path: Path) -> None:
    """`plot_residual` as a file."""
    with mpl.rc_context(style.RC):
        figure = Figure(figsize=(7.0, 4.0), layout="constrained")
        plot_residual(fit, figure.subplots())
        figure.savefig(path, dpi=150)
