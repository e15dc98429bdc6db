"""All figures that a trace can give: what each needs, what it shows, and how its panels are laid out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from neurosim.accounting import Swing
from neurosim.errors import TraceError
from neurosim.report import chip, curves, energy, experiments, states, timeline
from neurosim.report.account import account_of
from neurosim.report.pages import Kind, Missing, NotShownError, Picture, drawn
from neurosim.trace import TableView, Trace, energy_swings, time_swings
from neurosim.trace.chip_map import ChipMap, TickTimeline, read_chip_map, read_timeline

_WIDE = 11.0
_MOST_LAYERS = 6


def draw_all(trace: Trace) -> tuple[list[Picture], Missing]:
    """Every figure that the trace has data for, and for the others: title and reason."""
    pictures, missing = drawn(KINDS, trace)
    name = str(trace.summary.get("experiment", ""))
    if name in experiments.FIGURES:
        pictures[:0] = drawn((_experiment(name),), trace)[0]
    return pictures, missing


def _figure(width: float, height: float, left_out: int = 0) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    if left_out:
        figure.suptitle(f"{left_out} more layers are not shown", fontsize=10)
    return figure


def _need(trace: Trace, table: str, *columns: str, rows: int = 1) -> None:
    """Raise NotShownError where a table is missing, too short, or lacks columns."""
    if not trace.has_table(table):
        raise NotShownError(f"the trace has no table {table}")
    view = trace.table(table)
    lacking = [column for column in columns if column not in view]
    if lacking:
        raise NotShownError(f"{table} has no column {', '.join(lacking)}")
    if len(view) < rows:
        raise NotShownError(f"{table} has no rows" if len(view) == 0 else f"{table} has only {len(view)} rows")


def floor_plan_figure(chip_map: ChipMap) -> Figure:
    """Energy and utilisation of every core, side by side or one above the other, as the mesh is shaped."""
    width, height = (int(value) for value in chip_map.mesh.size)
    beside = width <= 2.2 * height
    panel = 0.45 * _WIDE if beside else 0.85 * _WIDE
    tall = min(max(panel * 0.86 * height / width, 1.2), 7.0) + 1.1
    figure = _figure(_WIDE, tall if beside else 2 * tall)
    left, right = figure.subplots(1, 2) if beside else figure.subplots(2, 1)
    chip.plot_energy_by_core(chip_map, left)
    chip.plot_utilisation(chip_map, right)
    return figure


def link_figure(chip_map: ChipMap) -> Figure:
    """Messages by link of the mesh."""
    width, height = (int(value) for value in chip_map.mesh.size)
    figure = _figure(_WIDE, min(max(0.8 * _WIDE * height / width, 1.6), 8.0) + 0.9)
    chip.plot_link_load(chip_map, figure.subplots())
    return figure


def _experiment(name: str) -> Kind[Trace]:
    """What an experiment showed."""

    def draw(trace: Trace) -> Figure:
        tables = {path: dict(_columns(trace.table(path))) for path in trace.tables if path != "/ledger"}
        return experiments.FIGURES[name](tables)

    caption = "docs/experiments.md says what to see in it."
    return Kind("experiment", "What the experiment showed", caption, draw)


def _columns(table: TableView) -> Iterator[tuple[str, np.ndarray]]:
    for column in table.columns:
        yield column, np.asarray(table[column])


def _learning(trace: Trace) -> Figure:
    _need(trace, "/eval", "inferences", "accuracy", "cost")
    against = [name for name in curves.AGAINST if name in trace.eval]
    figure = _figure(_WIDE, 6.4)
    axes = figure.subplots(2, len(against), sharey="row", squeeze=False)
    for column, name in enumerate(against):
        curves.plot_accuracy(trace, axes[0][column], name)
        curves.plot_cost(trace, axes[1][column], name)
        axes[0][column].set_xlabel("")
        for row in (0, 1):
            if column > 0:
                axes[row][column].set_ylabel("")
        limits = np.array([axes[row][column].get_xlim() for row in (0, 1)])
        for row in (0, 1):
            axes[row][column].set_xlim(limits.min(), limits.max())
    _shared_legend(figure, axes[0][-1], axes[1][-1])
    return figure


def _shared_legend(figure: Figure, *panels: Axes) -> None:
    entries: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        entries.update(zip(labels, handles, strict=True))
    figure.legend([*entries.values()], [*entries], loc="outside lower center", ncols=min(6, len(entries)))


def _energy_by_action(trace: Trace) -> Figure:
    lines = _energy_lines(trace)
    figure = _figure(_WIDE, 1.4 + 0.42 * max(3, lines))
    energy.plot_energy_by_action(trace, figure.subplots())
    return figure


def _energy_by_unit(trace: Trace) -> Figure:
    _energy_lines(trace)
    account = account_of(trace)
    assert account is not None
    figure = _figure(_WIDE, 1.1 + 0.42 * max(3, len(energy.energy_by_unit(account))))
    energy.plot_energy_by_unit(trace, figure.subplots())
    return figure


def _learning_timeline(trace: Trace) -> Figure:
    _need(trace, "/ledger", "phase_time_s", "time_s")
    if not trace.has_table("/training"):
        raise NotShownError("nothing was trained")
    if not timeline.group_times(trace):
        raise NotShownError("the ledger does not say how long the phases took")
    figure = _figure(_WIDE, 3.9)
    bar, shares = figure.subplots(2, 1, height_ratios=(0.16, 1.0))
    timeline.plot_learning_totals(trace, bar)
    timeline.plot_learning_shares(trace, shares)
    return figure


def _tornado(trace: Trace) -> Figure:
    summary = trace.summary
    panels: list[tuple[list[Swing], float, str]] = []
    try:
        joules, seconds = energy_swings(trace), time_swings(trace)
    except (TraceError, ValueError, KeyError, TypeError):  # a trace of another version, or a damaged one
        raise NotShownError("the ledger of this trace cannot be priced again") from None
    for swings, key, unit in ((joules, "energy_J", "J"), (seconds, "chip_time_s", "s")):
        if swings and isinstance(summary.get(key), float) and summary[key] > 0.0:
            panels.append((swings, summary[key], unit))
    if not panels:
        raise NotShownError("no price or latency of this run has an interval, or the run has not ended")
    rows = [min(len(swings), 12) for swings, _, _ in panels]
    figure = _figure(_WIDE, 1.3 * len(panels) + 0.4 * sum(max(2, number) for number in rows))
    subplots = figure.subplots(len(panels), 1, squeeze=False, height_ratios=[max(2, number) for number in rows])
    for axes, (swings, nominal, unit) in zip(subplots[:, 0], panels, strict=True):
        energy.plot_tornado(swings, nominal, unit, axes)
    return figure


def _chip_map(trace: Trace) -> ChipMap:
    try:
        found = read_chip_map(trace)
    except TraceError as error:
        raise NotShownError(str(error).removeprefix(f"{trace.path}: ")) from None
    if found is None or found.cores.core.size == 0:
        raise NotShownError("the trace does not say what each core did")
    return found


def _floor_plan(trace: Trace) -> Figure:
    return floor_plan_figure(_chip_map(trace))


def tick_figure(found: TickTimeline) -> Figure:
    """Who is busy when within one tick."""
    figure = _figure(_WIDE, 1.2 + 0.3 * max(3, timeline.timeline_rows(found)))
    timeline.plot_tick_timeline(found, figure.subplots())
    return figure


def _tick(trace: Trace) -> Figure:
    try:
        found = read_timeline(trace)
    except TraceError as error:
        raise NotShownError(str(error).removeprefix(f"{trace.path}: ")) from None
    if found is None or found.core.size == 0:
        raise NotShownError("no tick was followed core by core (run a network with record_timing=True)")
    return tick_figure(found)


def _link_load(trace: Trace) -> Figure:
    found = _chip_map(trace)
    if found.links is None:
        raise NotShownError("the trace does not say what each link carried")
    if not found.links.messages.any():
        raise NotShownError("no message crossed a link of the mesh")
    return link_figure(found)


def _energy_by_kind(trace: Trace) -> Figure:
    _energy_lines(trace)
    figure = _figure(_WIDE, 1.9)
    energy.plot_energy_by_kind(trace, figure.subplots())
    return figure


def _energy_lines(trace: Trace) -> int:
    _need(trace, "/ledger", "energy_J")
    account = account_of(trace)
    if account is None or not account.used:
        raise NotShownError("the ledger holds no energy")
    return len(account.used)


def _time_by_phase(trace: Trace) -> Figure:
    times = energy.phase_times(trace)
    if not any(value > 0.0 for value in times.values()):
        raise NotShownError("the trace does not say how long the phases took")
    figure = _figure(_WIDE, 1.2 + 0.38 * max(3, len(times)))
    energy.plot_time_by_phase(trace, figure.subplots())
    return figure


def _silent_probes(trace: Trace) -> Figure:
    _need(trace, "/training", "inferences", "zero_share")
    figure = _figure(_WIDE, 3.4)
    curves.plot_silent_probes(trace, figure.subplots())
    return figure


def _agreement(trace: Trace) -> Figure:
    _need(trace, "/agreement", "step")
    figure = _figure(_WIDE, 3.8)
    curves.plot_agreement(trace, figure.subplots())
    return figure


def _early(trace: Trace) -> Figure:
    if not trace.has_table("/early"):
        raise NotShownError("decisions were not followed tick by tick (networks learned by erbp only)")
    _need(trace, "/early", "accuracy", "synaptic_events", "energy_J", rows=2)
    figure = _figure(_WIDE, 3.9)
    left, right = figure.subplots(1, 2, sharey=True)
    curves.plot_early(trace, left, "synaptic_events")
    curves.plot_early(trace, right, "energy_J")
    right.set_ylabel("")
    return figure


def _raster(trace: Trace) -> Figure:
    layers, left_out = _filled(trace.spikes)
    if not layers:
        raise NotShownError("no spikes were recorded")
    figure = _figure(_WIDE, 0.6 + 2.6 * len(layers), left_out)
    for axes, layer in zip(figure.subplots(len(layers), 1, sharex=True, squeeze=False)[:, 0], layers, strict=True):
        states.plot_raster(trace, axes, layer)
        axes.label_outer()
    return figure


def _weights(trace: Trace) -> Figure:
    layers, left_out = _filled(trace.weights)
    if not layers:
        raise NotShownError("no weights were recorded")
    columns = min(3, len(layers))
    rows = -(-len(layers) // columns)
    figure = _figure(_WIDE, 0.5 + 3.0 * rows, left_out)
    panels = [*figure.subplots(rows, columns, squeeze=False).flat]
    for axes, layer in zip(panels, layers, strict=False):
        states.plot_weight_histogram(trace, axes, layer)
    for axes in panels[len(layers) :]:
        axes.set_axis_off()
    _shared_legend(figure, panels[0])
    return figure


def _fields(trace: Trace) -> Figure:
    tables = [table for table in trace.weights.values() if len(table) > 0]
    if not tables or states.image_side(tables[0].shape("value")) is None:
        raise NotShownError("the first layer does not look at a square image")
    chosen, before, after = states.receptive_fields(tables[0])
    limit = float(np.quantile(np.abs(np.nan_to_num(np.stack([before, after]))), 0.998)) or 1.0
    figure = _figure(_WIDE, 2.7)
    panels = figure.subplots(2, max(2, len(chosen)), squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    for place, neuron in enumerate(chosen.tolist()):
        for row, images in enumerate((before, after)):
            axes = panels[row][place]
            axes.set_axis_on()
            drawn = states.plot_receptive_field(images[place], axes, limit, f"neuron {neuron}" if row == 0 else "")
    panels[0][0].set_ylabel("before")
    panels[1][0].set_ylabel("after")
    figure.colorbar(drawn, ax=panels, label="weight (1)", shrink=0.9)
    return figure


def _delta(trace: Trace) -> Figure:
    layers, left_out = _delta_layers(trace, rows=1)
    figure = _figure(_WIDE, 0.5 + 3.0 * len(layers), left_out)
    for axes, layer in zip(figure.subplots(len(layers), 1, squeeze=False)[:, 0], layers, strict=True):
        figure.colorbar(states.plot_delta(trace, axes, layer), ax=axes, label="δ = ∂C/∂bias (1)", extend="both")
    return figure


def _delta_history(trace: Trace) -> Figure:
    layers, left_out = _delta_layers(trace, rows=2)
    figure = _figure(_WIDE, 0.5 + 2.8 * len(layers), left_out)
    for axes, layer in zip(figure.subplots(len(layers), 1, squeeze=False)[:, 0], layers, strict=True):
        figure.colorbar(states.plot_delta_history(trace, axes, layer), ax=axes, label="δ = ∂C/∂bias (1)", extend="both")
    return figure


def _delta_layers(trace: Trace, rows: int) -> tuple[list[str], int]:
    if not _filled(trace.delta)[0]:
        raise NotShownError("no δ-vectors were recorded")
    layers, left_out = _filled({name: table for name, table in trace.delta.items() if len(table) >= rows})
    if not layers:
        raise NotShownError("the δ-vectors were recorded only once")
    return layers, left_out


def _filled(tables: Mapping[str, TableView]) -> tuple[list[str], int]:
    """The first layers that have rows, and how many more there are."""
    names = [name for name, table in tables.items() if len(table) > 0]
    return names[:_MOST_LAYERS], max(0, len(names) - _MOST_LAYERS)


KINDS = (
    Kind(
        "learning",
        "Accuracy and cost",
        "Test accuracy (top) and cost (bottom) against inferences, the chip's own time and energy. Every inference of "
        "the training is counted. Light bars: the energy's interval where prices are assumed.",
        _learning,
    ),
    Kind(
        "energy_by_action",
        "Energy by action",
        "Count times price for everything the chip did. Hatched bars rest on assumed prices; whiskers run from the low "
        "to the high price.",
        _energy_by_action,
    ),
    Kind(
        "energy_by_kind",
        "What the energy rests on",
        "Share of the energy by the kind of its price; the hatched part rests on assumed prices.",
        _energy_by_kind,
    ),
    Kind(
        "energy_by_unit",
        "Energy by unit",
        "The same joules by the unit of the chip that spent them; a bar is made of its unit's actions, dearest first.",
        _energy_by_unit,
    ),
    Kind(
        "tornado",
        "What the uncertainty rests on",
        "How far the energy (and the time, where latencies have intervals) moves when one price alone goes to its low "
        "or to its high, everything else as it is. The widest come first.",
        _tornado,
    ),
    Kind("time_by_phase", "Time by phase", "Where the chip's time went.", _time_by_phase),
    Kind(
        "learning_timeline",
        "What a step is spent on",
        "Share of the chip's time that goes to the forward pass (compute, settling), communication (host link, "
        "broadcast), learning (perturbation, errors sent back, cost read-out, writing) and waiting (the rest of the "
        "perturbation period, barriers), over the run.",
        _learning_timeline,
    ),
    Kind(
        "floor_plan",
        "The chip's cores",
        "Every core in its place on the joined mesh: its energy, static energy left out, and how full it is by what it "
        "is fullest of (neurons, synapses or inputs). Grey: nothing is placed there. What host, astrocyte and weight "
        "writes spend stands in no core.",
        _floor_plan,
    ),
    Kind(
        "link_load",
        "Traffic on the mesh",
        "Messages that crossed each link between neighbouring tiles, in either direction: of the two lines between "
        "them each keeps to the right of its way. Thin grey lines: never used.",
        _link_load,
    ),
    Kind(
        "tick_timeline",
        "The longest tick",
        "Who is busy when in the longest tick of the run: each core with its neurons and what it sends, then with what "
        "it receives, until the barrier. The slowest core is the one that the others wait for.",
        _tick,
    ),
    Kind(
        "silent_probes",
        "Probes that taught nothing",
        "Share of probes whose cost difference was exactly zero, and of those in the dead zone of a converter.",
        _silent_probes,
    ),
    Kind(
        "early",
        "Early decisions",
        "Test error of the class that leads by then, against what a sample has cost: synaptic events, and their energy "
        "(nothing else is in it). Dotted: 5 % error.",
        _early,
    ),
    Kind("spikes", "Spikes", "Spikes in the last recorded samples; orange lines stand between samples.", _raster),
    Kind("weights", "Weights before and after", "Distribution of the weights, layer by layer.", _weights),
    Kind(
        "fields",
        "Receptive fields before and after",
        "Weights of the neurons of the first layer that changed most, laid out as the image that they look at.",
        _fields,
    ),
    Kind(
        "delta",
        "δ-vectors",
        "What the astrocyte remembers at the end: for each class, how the cost changes with each neuron's bias.",
        _delta,
    ),
    Kind(
        "delta_history",
        "One class's δ-vector over the run",
        "The class with the strongest δ-vector at the end, from the first recording to the last.",
        _delta_history,
    ),
    Kind(
        "agreement",
        "Agreement of signs with the true gradient",
        "Share of the entries of the δ-vectors whose sign is that of the true gradient.",
        _agreement,
    ),
)
