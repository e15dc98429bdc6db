"""Figures of time: what a training run spends its steps on, and who is busy when within one tick."""

from __future__ import annotations

import itertools

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from neurosim.accounting import PHASE_GROUPS
from neurosim.report import style
from neurosim.trace import Trace
from neurosim.trace.chip_map import TickTimeline
from neurosim.units import show

_MOST_BLOCKS = 400
_MOST_CORES = 24
_BAR = 0.7


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


def plot_tick_timeline(timeline: TickTimeline, axes: Axes) -> Axes:
    """A Gantt chart of one tick: what each core, the mesh and the barrier do; the slowest cores at the top."""
    rows, left_out = _rows(timeline)
    place = {row: len(rows) - 1 - k for k, row in enumerate(rows)}
    kinds = [kind for kind in (*style.BUSY_COLOURS, *timeline.what) if kind in timeline.what]
    lanes = _lanes(timeline)
    for row, what, start, end in _intervals(timeline):
        if row in place:
            colour, own = style.BUSY_COLOURS.get(what, style.GREY), lanes.get(row, [what])
            height = _BAR / len(own)
            y = place[row] + _BAR / 2 - height * (own.index(what) + 0.5)
            axes.barh(y, end - start, left=start, height=height, color=colour, edgecolor="white", linewidth=0.4)
    last = float(timeline.end_s.max(initial=0.0)) or 1.0
    slowest = next((row for row in rows if row.startswith("core ")), None)
    names = [f"{row} (slowest)" if row == slowest and len(rows) > 1 else row for row in rows]
    axes.set_yticks([place[row] for row in rows], names)
    for label, row in zip(axes.get_yticklabels(), rows, strict=True):
        label.set_fontweight("bold" if row == slowest else "normal")
    axes.set_ylim(-0.6, len(rows) - 0.4)
    axes.set_xlim(0.0, last * 1.02)
    axes.grid(visible=False, axis="y")
    style.si_axis(axes, f"time within tick {timeline.tick}", "s", last)
    keys = [Patch(color=style.BUSY_COLOURS.get(kind, style.GREY)) for kind in dict.fromkeys(kinds)]
    said = [style.plain(style.BUSY_NAMES.get(kind, kind)) for kind in dict.fromkeys(kinds)]
    axes.legend(keys, said, loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=4)
    if left_out:
        axes.set_title(f"{left_out} faster cores are not shown", fontsize=10, fontweight="normal", loc="right")
    return axes


def timeline_rows(timeline: TickTimeline) -> int:
    """How many rows the chart has."""
    return len(_rows(timeline)[0])


def _intervals(timeline: TickTimeline) -> list[tuple[str, str, float, float]]:
    """(row, what, start, end): a core's own row, or one for what the whole chip does."""
    own = [f"core {core}" if core >= 0 else style.plain(what) for core, what in
           zip(timeline.core.tolist(), timeline.what, strict=True)]  # fmt: skip
    return [*zip(own, timeline.what, timeline.start_s.tolist(), timeline.end_s.tolist(), strict=True)]


def _lanes(timeline: TickTimeline) -> dict[str, list[str]]:
    """Rows in which something begins before something else has ended: what lies above what."""
    rows: dict[str, list[tuple[float, float, str]]] = {}
    for row, what, start, end in _intervals(timeline):
        rows.setdefault(row, []).append((start, end, what))
    return {
        row: list(dict.fromkeys(what for _, _, what in parts))
        for row, parts in rows.items()
        if any(later[0] < earlier[1] * (1.0 - 1e-9) for earlier, later in itertools.pairwise(sorted(parts)))
    }


def _rows(timeline: TickTimeline) -> tuple[list[str], int]:
    """The slowest cores, then the chip's own rows; and how many cores are left out."""
    ends: dict[str, float] = {}
    for row, _, _, end in _intervals(timeline):
        ends[row] = max(ends.get(row, 0.0), end)
    cores = sorted((row for row in ends if row.startswith("core ")), key=lambda row: (-ends[row], int(row.split()[1])))
    shared = [row for row in ends if not row.startswith("core ")]
    return cores[:_MOST_CORES] + shared, max(0, len(cores) - _MOST_CORES)
