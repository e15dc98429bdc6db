"""Figures of time: what a training run spends its steps on, and who is busy when within one tick."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from neurosim.accounting import PHASE_GROUPS
from neurosim.report import style
from neurosim.trace import Trace
from neurosim.units import show

_MOST_BLOCKS = 400


def group_times(trace: Trace) -> dict[str, np.ndarray]:
    """Seconds that each group of phases took in each block of the ledger; groups that took none are left out."""
    ledger = trace.ledger
    rows = style.thinned(len(ledger), _MOST_BLOCKS)
    phases = {name: column for column, name in enumerate(ledger.phases)}
    whole = ledger["phase_time_s"][rows]
    blocks = np.diff(whole, axis=0, prepend=np.zeros((1, whole.shape[1])))
    out: dict[str, np.ndarray] = {}
    for group, names in PHASE_GROUPS.items():
        columns = [phases[name] for name in names if name in phases]
        out[group] = np.maximum(blocks[:, columns].sum(axis=1), 0.0)
    return {group: seconds for group, seconds in out.items() if seconds.any()}


def plot_learning_shares(trace: Trace, axes: Axes) -> Axes:
    """The share of the chip's time that goes to each group of phases, block by block of the run."""
    groups = group_times(trace)
    seconds = np.array([*groups.values()])
    ends = trace.ledger["time_s"][style.thinned(len(trace.ledger), _MOST_BLOCKS)]
    spent = seconds.sum(axis=0)
    taken = spent > 0.0
    shares = seconds[:, taken] / spent[taken]
    edges = np.concatenate([[0.0], ends[taken]])
    low = np.zeros(shares.shape[1])
    for group, share in zip(groups, shares, strict=True):
        axes.stairs(low + share, edges, baseline=low, fill=True, color=style.GROUP_COLOURS[group], linewidth=0.0)
        low = low + share
    axes.set_ylim(0.0, 1.0)
    axes.set_xlim(0.0, float(edges[-1]))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=None))
    axes.set_ylabel("share of a step (%)")
    style.si_axis(axes, "chip time", "s", float(edges[-1]))
    return axes


def plot_learning_totals(trace: Trace, axes: Axes) -> Axes:
    """The same over the whole run, as one bar: forward pass, communication, learning, waiting."""
    groups = {group: float(seconds.sum()) for group, seconds in group_times(trace).items()}
    total = sum(groups.values())
    left = 0.0
    for group, seconds in groups.items():
        share = seconds / total
        axes.barh(0, share, left=left, height=0.6, color=style.GROUP_COLOURS[group], edgecolor="white", linewidth=1.0,
                  label=f"{style.GROUP_NAMES[group]}: {style.percent(share)}, {show(seconds, 's')}")  # fmt: skip
        left += share
    axes.set_xlim(0.0, 1.0)
    axes.set_axis_off()
    axes.legend(
        loc="upper left", bbox_to_anchor=(0.0, 0.05), ncols=4, fontsize=9.5, handlelength=1.2, columnspacing=1.2
    )
    return axes
