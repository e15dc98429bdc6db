"""The trace of a network driven by hand: the same file as a training run's, written block by block while it runs.

A :class:`NetworkTrace` takes the blocks that ``Simulation.run(on_block=...)`` hands over: spikes, about ten rows of the
ledger a second, and on request one row per tick. Nothing of a run is kept in memory but its last half second, so a run
may be as long as the disk is large. docs/trace.md has the layout.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tomli_w

from neurosim import accounting
from neurosim.accounting import ACTIONS, Bill, Ledger, PriceTable
from neurosim.chip.mesh import HOPS
from neurosim.engine import tables
from neurosim.engine.network_output import Block, Interval, Output, TickTimes
from neurosim.engine.network_spikes import Fired
from neurosim.engine.simulation import Simulation
from neurosim.engine.sink import Column, Table
from neurosim.errors import InputError
from neurosim.kernels.random import RNG_VERSION
from neurosim.trace import spikes
from neurosim.trace.chip_map import ChipMap, Integers, write_chip_map
from neurosim.trace.layout import Status
from neurosim.trace.mapped import core_map, link_map, mesh_map
from neurosim.trace.writer import TraceWriter

KIND = "network"
"""The root attribute ``kind`` of these traces; those of training runs have none."""

SCENARIO = "hand-driven network"
"""What stands in the summary where a training run has its scenario."""

ROW_S, FLUSH_S = 0.1, 0.5
"""Host time between two rows of the ledger, and between two moments at which all that was written reaches the disk."""

BY_CORE = ("neuron_updated", "neuron_fired", "message", "message_received", "synaptic_event")
"""Countables that are followed tick by tick in each core."""

PER_TICK = ("neuron_visited", *BY_CORE, *HOPS)
"""Countables of the rows of ``/ticks``; ``barrier`` happens once in each."""

PER_EVENT = ("cell_read", "cell_read_conductance", "dendrite_updated", "byte_moved")
"""Countables of which each synaptic event makes a whole number, where it makes any."""


class NetworkTrace:
    """An open trace that a simulation's blocks go to; ``close`` or ``discard`` it.

    ``record``: populations whose spikes are written. ``ticks``: one row for each tick, where blocks hold their timing.
    ``by_core``: one column for each core in use as well.
    """

    def __init__(
        self,
        path: str | Path,
        simulation: Simulation,
        *,
        record: tuple[str, ...],
        ticks: bool,
        by_core: bool,
        force: bool,
    ) -> None:
        self._simulation, self._record = simulation, record
        self._ticks, self._by_core = ticks, by_core
        self._cores = np.asarray(simulation.cores_in_use)
        self._sizes = {population.name: population.size for population in simulation.network.populations}
        self._first_tick = simulation.tick
        self._links_before = simulation.link_loads()
        self._before = self._ledger = Ledger()
        self._counts: Mapping[str, Integers] = {}
        self._longest = -1
        self._tick = self._row_tick = simulation.tick
        self._row_due, self._flush_due = 0.0, time.perf_counter() + FLUSH_S
        self._early: dict[str, list[Fired]] = {}
        self._spikes_declared = False
        self._timeline: tuple[int, list[Interval]] | None = None
        attributes = {
            "kind": KIND, "scenario": SCENARIO, "seed": simulation.seed, "rng_version": RNG_VERSION,
            "fabrication_seed": simulation.chip.fabrication_seed,
        }  # fmt: skip
        self.writer = TraceWriter.create(path, force=force, attributes=attributes)
        self._declare()

    @property
    def prices(self) -> PriceTable:
        """What the run is charged with."""
        return self._simulation.prices

    def _declare(self) -> None:
        simulation, sink = self._simulation, self.writer
        sink.write("/config/chip", tomli_w.dumps(_plain(simulation.chip)), "1", "the chip, resolved")
        sink.write("/config/network", tomli_w.dumps(described(simulation)), "1", "the network, without its synapses")
        sink.write("/config/name", SCENARIO, "1", "what was run")
        tables.declare_ledger(sink, self.prices, {"cores_used": self._cores.size})
        if self._ticks:
            sink.declare(_TICKS)
            sink.write("/ticks/action", list(PER_TICK), "1", "names of the columns of counts")
        if self._by_core:
            sink.declare(_by_core_table(self._cores.size))
            sink.write("/ticks/core/number", self._cores, "1", "core numbers of the columns")
        sink.flush()

    def block(self, block: Block) -> None:
        """Take what happened in some ticks."""
        for name in self._record:
            self._early.setdefault(name, []).append(block.fired[name])
        if self._spikes_declared:
            self._write_spikes()
        self._before, self._ledger, self._counts = self._ledger, block.ledger, block.counts_by_core
        self._tick = block.first_tick + block.ticks
        if block.timing is not None and block.timing.ticks:
            self._follow(block.timing)
        now = time.perf_counter()
        if now >= self._row_due:
            self._row()
            self._row_due = now + ROW_S
        if self._tick - self._first_tick >= spikes.SEEN_TICKS:
            self._write_spikes()
        if now >= self._flush_due:
            self._write_spikes()
            self.writer.flush()
            self._flush_due = time.perf_counter() + FLUSH_S

    def _write_spikes(self) -> None:
        """Append what waits; how it is stored follows from the first ticks of the run."""
        if not self._spikes_declared:
            self._spikes_declared = True
            for name in self._record:
                for table in spikes.tables(name, self._sizes[name], self._early.get(name, ())):
                    self.writer.declare(table)
        for name, parts in self._early.items():
            for fired in parts:
                for path, rows in spikes.rows(name, fired).items():
                    self.writer.append(path, rows)
        self._early = {}

    def _row(self) -> None:
        """What the run has come to, once."""
        if self._tick > self._row_tick:
            self.writer.append("/ledger", tables.ledger_row(self._ledger, self.prices, self._tick))
            self._row_tick = self._tick

    def _follow(self, timing: TickTimes) -> None:
        """One row for each tick of a block, and the longest tick so far."""
        number = np.arange(timing.first_tick, timing.first_tick + timing.ticks)
        length = np.asarray(timing.time_fs)
        if self._ticks:
            counts = self._tick_counts(timing)
            columns = np.stack([counts[name] for name in PER_TICK], axis=1)
            energy = self._tick_energy_J(counts, length)
            self.writer.append("/ticks", {"tick": number, "time_fs": length, "counts": columns, "energy_J": energy})
        if self._by_core:
            self.writer.append("/ticks/core", {"tick": number, **self._by_core_columns(timing)})
        longest = int(length.argmax())
        if int(length[longest]) > self._longest:
            self._longest = int(length[longest])
            tick = timing.first_tick + longest
            self._timeline = (tick, timing.timeline(tick))

    def _by_core_columns(self, timing: TickTimes) -> dict[str, npt.NDArray[Any]]:
        """What each core did in each tick; the cores of a block are some of those at the beginning."""
        there = np.searchsorted(self._cores, timing.cores)
        whole = {name: timing.counts[name] for name in BY_CORE}
        whole |= {"generation_fs": timing.generation_fs, "processing_fs": timing.processing_fs}
        out = {}
        for name, values in whole.items():
            out[name] = np.zeros((timing.ticks, self._cores.size), np.int64 if name.endswith("_fs") else np.int32)
            out[name][:, there] = values
        return out

    def _tick_counts(self, timing: TickTimes) -> dict[str, Integers]:
        """Countables of the whole chip, tick by tick."""
        counts = {name: np.asarray(timing.counts[name].sum(axis=1)) for name in BY_CORE}
        visits = self._ledger.counts["neuron_visited"] - self._before.counts["neuron_visited"]
        counts["neuron_visited"] = np.full(timing.ticks, visits // timing.ticks)
        return counts | {name: timing.hops[:, k] for k, name in enumerate(HOPS)}

    def _tick_energy_J(self, counts: Mapping[str, Integers], length_fs: Integers) -> npt.NDArray[np.float64]:
        """Energy of each tick, static energy included; NaN where a countable that costs is not followed by tick."""
        prices = self.prices
        energy = np.asarray(prices.static.power_W * (length_fs * 1e-15), dtype=np.float64)
        happened = {name: count - self._before.counts[name] for name, count in self._ledger.counts.items()}
        followed = {**counts, "barrier": np.ones(length_fs.size, np.int64)}
        sums = int(counts["synaptic_event"].sum())
        for name in PER_EVENT:
            if sums and happened[name] and happened[name] % sums == 0:
                followed[name] = counts["synaptic_event"] * (happened[name] // sums)
        for name, count in happened.items():
            price = float(prices.energy_J[prices.index(name)])
            if not count or price == 0.0:
                continue
            if name not in followed or int(followed[name].sum()) != count:
                return np.full(length_fs.size, np.nan)
            energy = energy + followed[name] * price
        return energy

    def close(self, status: Status, host_time_s: float) -> Path:
        """Write where things happened, the summary and the status; returns the trace's path."""
        self._row()
        self._write_spikes()
        if self._counts:
            write_chip_map(self.writer, self._chip_map())
        if self._timeline is not None:
            self._write_timeline(*self._timeline)
        return self.writer.close(status, self.summary(host_time_s))

    def discard(self) -> None:
        """Leave no file behind: for a run that was refused before its first tick."""
        path = self.writer.path
        self.writer.abandon()
        path.unlink(missing_ok=True)

    def _chip_map(self) -> ChipMap:
        simulation = self._simulation
        counts = np.zeros((self._cores.size, len(ACTIONS)), np.int64)
        for name, each in self._counts.items():
            counts[:, ACTIONS.index(name)] = each[self._cores]
        held, mesh = simulation.mapping.utilisation, simulation.mesh
        loads = (simulation.link_loads() - self._links_before).reshape(-1)
        struck = simulation.faults_struck
        dead = [link for strike in struck for link in strike.links]
        return ChipMap(
            core_map(mesh, held, self._cores, counts, self.prices), mesh_map(mesh, struck),
            link_map(mesh, loads, dead),
        )  # fmt: skip

    def _write_timeline(self, tick: int, intervals: list[Interval]) -> None:
        sink = self.writer
        sink.write("/timeline/tick", tick, "tick", "the longest tick of the run, which the intervals are of")
        cores = np.array([-1 if each.core is None else each.core for each in intervals], np.int64)
        sink.write("/timeline/core", cores, "1", "the core; -1 for the chip as a whole")
        sink.write("/timeline/what", [each.what for each in intervals], "1", "what it is busy with")
        for name in ("start_s", "end_s"):
            values = np.array([getattr(each, name) for each in intervals], np.float64)
            sink.write(f"/timeline/{name}", values, "s", f"{name.removesuffix('_s')}, from the beginning of the tick")

    def summary(self, host_time_s: float) -> dict[str, Any]:
        """What the run came to, with the keys of a training run's summary where it has them."""
        simulation, ledger = self._simulation, self._ledger
        bill: Bill = accounting.bill(ledger, self.prices)
        phases = {phase: fs for phase, fs in ledger.phase_time_fs.items() if fs}
        return {
            "kind": KIND,
            "scenario": SCENARIO,
            "chip": simulation.chip.name,
            "hypothetical": simulation.chip.hypothetical,
            "seed": simulation.seed,
            "timing": simulation.timing,
            "ticks": simulation.tick - self._first_tick,
            "first_tick": self._first_tick,
            "neurons": sum(self._sizes.values()),
            "synapses": sum(len(connection) for connection in simulation.network.connections),
            "chip_time_s": bill.chip_time_s,
            "chip_time_low_s": bill.chip_time_low_s,
            "chip_time_high_s": bill.chip_time_high_s,
            "energy_J": bill.energy_J,
            "energy_low_J": bill.energy_low_J,
            "energy_high_J": bill.energy_high_J,
            "energy_by_action_J": bill.energy_by_action_J,
            "static_energy_J": bill.static_energy_J,
            "power_W": bill.power_W,
            "assumed_share": bill.assumed_share,
            "bound_by": bill.bound_by,
            "cores_used": self._cores.size,
            "counts": {name: count for name, count in ledger.counts.items() if count},
            "time_by_phase_fs": phases,
            "time_interval_fs": [ledger.time_low_fs, ledger.time_high_fs],
            "time_by_phase_s": {phase: fs * 1e-15 for phase, fs in phases.items()},
            "faults": [strike.described() for strike in simulation.faults_struck],
            "host": {"time_s": host_time_s, "trace": str(self.writer.path)},
        }


_TICKS = Table(
    "/ticks",
    (
        Column("tick", "tick", "the tick, from the simulation's first", "i8"),
        Column("time_fs", "fs", "how long it lasted", "i8"),
        Column("counts", "1", "countables in this tick; columns named by /ticks/action", "i8", (len(PER_TICK),)),
        Column("energy_J", "J", "energy of this tick, static included; NaN where not everything is followed by tick"),
    ),
    {"long_name": "one row per tick"},
)


def _by_core_table(cores: int) -> Table:
    columns = [Column("tick", "tick", "the tick, from the simulation's first", "i8")]
    columns += [Column(name, "1", f"{name} in each core", "i4", (cores,)) for name in BY_CORE]
    columns += [
        Column("generation_fs", "fs", "time that each core spent on its neurons and on sending", "i8", (cores,)),
        Column("processing_fs", "fs", "time that each core spent on what it received", "i8", (cores,)),
    ]
    return Table("/ticks/core", tuple(columns), {"long_name": "one row per tick, one column per core in use"})


def recorded(
    simulation: Simulation,
    run: Callable[..., Output],
    ticks: int,
    path: str | Path,
    *,
    record: tuple[str, ...],
    record_timing: bool,
    by_core: bool,
    force: bool,
    on_block: Callable[[Block], None] | None,
) -> Output:
    """Call ``run`` with its blocks going to a trace at ``path`` (and to ``on_block``); returns what it returns.

    A run that is refused leaves no file; one that is interrupted, or fails, leaves everything up to there.
    """
    trace = NetworkTrace(path, simulation, record=record, ticks=record_timing, by_core=by_core, force=force)
    started, blocks = time.perf_counter(), 0

    def take(block: Block) -> None:
        nonlocal blocks
        blocks += 1
        trace.block(block)
        if on_block is not None:
            on_block(block)

    def spent() -> float:
        return time.perf_counter() - started

    try:
        out = run(ticks, record=record, record_timing=record_timing or by_core, on_block=take)
    except BaseException as error:
        if isinstance(error, InputError) and not blocks:
            trace.discard()
        else:
            with contextlib.suppress(Exception):
                trace.close("interrupted" if isinstance(error, KeyboardInterrupt) else "failed", spent())
        raise
    trace.close("complete", spent())
    return out


def described(simulation: Simulation) -> dict[str, Any]:
    """Populations and connections as TOML-ready tables; synapse lists and weights are left out."""
    populations, connections = [], []
    for population in simulation.network.populations:
        bias = population.bias
        same = bool((bias == bias[0]).all())
        parameters = population.parameters.model_dump(mode="json", exclude_none=True)
        table = {"name": population.name, "size": population.size, **parameters}
        if "bias" in parameters:  # integer neurons, which have one for each state
            populations.append(table)
            continue
        populations.append({**table, "bias": float(bias[0]) if same else "one for each neuron"})
    for connection in simulation.network.connections:
        table = {"source": connection.source.name, "target": connection.target.name, "synapses": len(connection)}
        if connection.learning is not None:
            table["learning"] = connection.learning.model_dump(mode="json", exclude_none=True)
        if connection.plasticity is not None:
            table["plasticity"] = connection.plasticity.model_dump(mode="json")
        connections.append(table)
    return {
        "timing": simulation.timing,
        "seed": simulation.seed,
        "populations": populations,
        "connections": connections,
    }


def _plain(chip: Any) -> dict[str, Any]:
    """The chip as TOML-ready tables."""
    table: dict[str, Any] = chip.model_dump(mode="json", exclude_none=True)
    return table
