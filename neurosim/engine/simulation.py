"""The machine driven by hand: a network on a virtual chip, tick by tick, with its time and its energy.

The tick is the engine's (docs/network.md): spikes of the last tick reach their synapses, membranes advance, thresholds
decide, spikes set out. What this machine leaves out is training: whoever drives it reads states and sets weights
between runs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from neurosim import models, registry
from neurosim.accounting import Band, Bill, Ledger, PriceTable, bill, price_table
from neurosim.chip import assign, cores, faults, nsat_places
from neurosim.chip.mesh import Mesh
from neurosim.chip.population import Integers, Network, Population
from neurosim.chip.utilisation import Mapping as MappingReport
from neurosim.engine import (
    network_checks,
    network_faults,
    network_kernel,
    network_plasticity,
    network_state,
    nsat_network,
)
from neurosim.engine.handles import Handles
from neurosim.engine.network_account import Account, Books, Recording
from neurosim.engine.network_meter import Learning, NetworkMeter
from neurosim.engine.network_output import Block, Output, TickTimes, listed
from neurosim.engine.network_runner import Runner
from neurosim.engine.network_spikes import Fired, Span
from neurosim.errors import InputError
from neurosim.models.neurons.given import InputParameters
from neurosim.spec import load
from neurosim.spec.chip import Chip
from neurosim.spec.chip import ideal as without_imperfections
from neurosim.spec.geometry import Faults

Events = Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]]
"""For populations of input neurons (tick, neuron) of their spikes."""

CALL_S = 0.1
"""Host time that one kernel call aims at: Python sees a Ctrl-C when it returns."""

SLOW_S = (50e-9, 5e-9)
"""More than a neuron and a synapse take in a tick, for the first call, when nothing has been timed yet."""


class Simulation(Handles):
    """A network on a chip. It takes what it needs from both: later changes to them have no effect.

    ``chip``: a shipped name, a path, or a ``Chip``. ``timing``: how long a tick lasts, ``clocked``
    (``chip.timing.tick_s``), ``simple`` (as long as its slowest core), ``detailed`` (messages get in one another's
    way) or ``event`` (every message a simpy process), default the chip's own. ``mapping``: how neurons that the network
    does not place get their cores, ``fill``, ``round-robin`` or ``traffic`` (docs/mapping.md). ``seed``: of everything
    that is random from tick to tick; mismatch has the chip's own. ``ideal``: every imperfection off. ``record``:
    populations whose spikes are kept. ``dtype``: of membranes and weights. ``overrides``: ``{"chip.key.path": value}``
    over the chip file. ``prices``: ``low`` or ``high`` takes that end of every latency. ``threads``: on how many cores
    of this computer to run; the result is the same, bit for bit.

    Raises InputError listing all that is wrong, CapabilityError for neurons that the chip has not, CapacityError
    saying how much is missing.
    """

    def __init__(
        self,
        chip: str | Path | Chip,
        network: Network,
        *,
        timing: str | None = None,
        mapping: str = "fill",
        seed: int = 0,
        ideal: bool = False,
        record: str | Iterable[str | Population] = (),
        dtype: str = "float32",
        overrides: Mapping[str, Any] | None = None,
        prices: Band = "nominal",
        threads: int = 1,
    ) -> None:
        models.load_builtin()
        described = network_checks.chip_of(chip, overrides)
        self.chip = without_imperfections(described) if ideal else described
        self.timing = self.chip.timing.model if timing is None else timing
        self.seed = seed
        self.network = network.copy()
        self._populations = {population.name: population for population in network.populations}
        self._connections = {(each.source.name, each.target.name): each for each in network.connections}
        network_checks.check(self.chip, network, self.timing, seed, dtype, prices, threads)
        self._record = self._names(record)
        self._first = cores.offsets(network)
        self._wiring = cores.wire(network)
        self._mesh = faults.mesh(self.chip)
        integer = nsat_places.wanted(network)
        places = nsat_places.Places(network, self._wiring, self.chip, self._mesh) if integer else None
        self._places = places
        core = (
            places.assign(mapping) if places else assign.assign(network, self._wiring, self.chip, self._mesh, mapping)
        )
        axons = cores.route(core, self._wiring, self._mesh)
        self._mapping = mapping
        has_inputs = np.bincount(self._wiring.target, minlength=network.neurons) > 0
        table = price_table(self.chip, np.unique(core).size)
        self._prices = table
        alive = places.layout.of_neuron >= 0 if places else None
        meter = NetworkMeter(
            self.chip, _latencies(table, prices), core, axons, self._mesh, has_inputs, self.timing, alive,
            Learning.of(self._wiring, core),
        )  # fmt: skip
        meter.check()
        self._interval: tuple[Band, Band] = ("low", "high") if prices == "nominal" else (prices, prices)
        self._pace = _first_pace(network) if self.timing in ("clocked", "simple") else 1
        self._nsat = nsat_network.build(network, self._wiring, meter, seed) if integer else None
        if self._nsat is not None:
            self._build_integer(self._nsat, meter, threads)
        else:
            self._build(meter, seed, dtype, threads)
        self._strike()

    def _build_integer(self, memory: nsat_network.NsatMemory, meter: NetworkMeter, threads: int) -> None:
        """The machine of a network of integer neurons: other arrays under the same names."""
        self._memory = cast(network_state.Memory, memory)
        self._devices = cast(network_state.Devices, nsat_network.NsatDevices(memory))
        self._runner = cast(Runner, nsat_network.NsatRunner(threads))
        self._account: Account = nsat_network.NsatAccount(self._bands(meter))
        self._faults: network_faults.NetworkFaults = nsat_network.NsatFaults(self.chip, self._wiring)

    def _build(self, meter: NetworkMeter, seed: int, dtype: str, threads: int) -> None:
        """The machine of all other networks."""
        network = self.network
        self._devices = network_state.Devices(self.chip, self._wiring)
        kinds = network_kernel.kinds_of([population.parameters for population in network.populations])
        self._memory = network_state.build(
            network, self._wiring, meter, self._devices, kinds, seed=seed, dtype=dtype, threads=threads
        )
        extras = network_kernel.Extras(
            ranked=meter.ranked,
            membrane_noise=self.chip.neuron.membrane_noise_std > 0.0,
            read_noise=self.chip.synapse.read_noise_std > 0.0,
            receptors=self._memory.F.shape[0] - len(network_kernel.FLOATS) + 1,
            drops=any(group.transmission < 1.0 for group in self._wiring.groups),
            driven=bool(network.drives),
            rules=network_plasticity.rules_of(network),
        )
        source, modules = network_kernel.compose(kinds, extras)
        self._runner = Runner(source, modules, threads, meter.ranked)
        self._account = Account(self._bands(meter))
        self._faults = network_faults.NetworkFaults(self.chip, self._wiring)

    # running

    def run(
        self,
        ticks: int,
        *,
        record: str | Iterable[str | Population] | None = None,
        record_timing: bool = False,
        on_block: Callable[[Block], None] | None = None,
        events: Events | None = None,
    ) -> Output:
        """Take ``ticks`` ticks. ``record`` replaces, for this run, what the simulation was built with.

        ``events``: for populations of input neurons the spikes that they make, ``{"src": (tick, neuron)}``, ticks
        counted from the first tick of this run.

        ``record_timing``: keep the time and the counts of every tick, by core (``Output.timing``). ``on_block`` takes
        what is recorded block by block, about every 0.1 s, in place of the Output, so that memory does not grow.

        Ctrl-C stops between two ticks: KeyboardInterrupt is raised, and the simulation stands where it stopped.
        """
        if isinstance(ticks, bool) or not isinstance(ticks, (int, np.integer)) or ticks < 0:
            raise InputError(f"ticks = {ticks!r}: must be a whole number of at least 0")
        names = self._record if record is None else self._names(record)
        account, memory = self._account, self._memory
        account.settle(memory, Recording(), self._runner.spread)  # what an interrupted run may have left
        account.count()
        recording = Recording(self._watched(names), record_timing, on_block is not None, [self.tick])
        self._give(events or {}, int(ticks))
        self._runner.prepare(memory)
        before, started = account.books, time.perf_counter()
        due = started  # the first block at once, the others when there is something to tell
        try:
            while (left := before.tick + int(ticks) - self.tick) > 0:
                self._strike()
                self._call(min(left, self._faults.until(self.tick)), recording)
                if on_block is not None and time.perf_counter() >= due:
                    on_block(self._block(recording, names, before))
                    due = time.perf_counter() + CALL_S
        finally:
            account.settle(memory, recording, self._runner.spread)
            if on_block is not None and account.books.tick > recording.handed_over[-1]:
                on_block(self._block(recording, names, before))
            account.count()
        done = _since(account.books.ledger, before.ledger)
        return Output(
            first_tick=before.tick,
            ticks=int(ticks),
            ledger=done,
            bill=bill(done, self._prices),
            counts_by_core=self._counts_since(before),
            spikes=listed(self._fired(recording, names, before.tick)),
            host_time_s=time.perf_counter() - started,
            faults=tuple(self._faults.struck),
            messages_lost=account.books.lost - before.lost,
            timing=TickTimes.join(list(recording.times.values())) if recording.times else None,
        )

    def _give(self, events: Events, ticks: int) -> None:
        """Hand the kernel what input neurons are to do, tick by tick and then by neuron; raises InputError."""
        problems: list[str] = []
        lists = [np.zeros((2, 0), np.int64)]
        for name, (tick, neuron) in events.items():
            population = self._populations.get(name)
            if population is None or not isinstance(population.parameters, InputParameters):
                inputs = [p.name for p in self._populations.values() if isinstance(p.parameters, InputParameters)]
                problems.append(registry.unknown(name, inputs, "population of input neurons"))
                continue
            pair = [np.asarray(each) for each in (tick, neuron)]
            problems += network_checks.event_problems(name, population.size, ticks, *pair)
            lists.append(np.stack([pair[0], pair[1] + self._first[name]]) if not problems else lists[0])
        if problems:
            raise InputError(problems, "events")
        every = np.concatenate(lists, axis=1)
        size = max(self._memory.home.size, 1)
        order = every[0] * size + every[1]
        if (np.diff(order) <= 0).any():
            every = np.stack(np.divmod(np.sort(order), size))
            twice = np.flatnonzero((np.diff(every, axis=1) == 0).all(axis=0))
            if twice.size:
                raise InputError(f"an input neuron is to fire twice in tick {int(every[0, twice[0]])}", "events")
        memory = self._memory
        memory.given = every[1].astype(np.uint32)
        memory.given_first = np.searchsorted(every[0], np.arange(ticks + 1)) if every.size else np.zeros(1, np.int64)
        memory.set("GIVEN_TICK", self.tick)

    def _call(self, ticks: int, recording: Recording) -> None:
        """One call of the kernel, as many ticks as take ``CALL_S``; how many never changes a bit of what they do."""
        started = time.perf_counter()
        done = self._runner.call(self._memory, min(ticks, self._pace))
        self._account.settle(self._memory, recording, self._runner.spread)
        took = time.perf_counter() - started
        self._pace = max(1, min(8 * self._pace, int(done * CALL_S / max(took, 1e-6))))

    def _block(self, recording: Recording, names: tuple[str, ...], before: Books) -> Block:
        """What was recorded since the last block, and what the run comes to until now."""
        self._account.count()
        books = self._account.books
        times = TickTimes.join(list(recording.times.values())) if recording.times else None
        lengths = np.concatenate(list(recording.tick_fs.values())) if recording.tick_fs else None
        first_tick = recording.handed_over[-1]
        fired = self._fired(recording, names, first_tick)
        for kept in (recording.times, recording.tick_fs, recording.fired):
            kept.clear()
        recording.handed_over[-1] = books.tick
        return Block(
            first_tick=first_tick,
            ticks=books.tick - first_tick,
            ledger=_since(books.ledger, before.ledger),
            counts_by_core=self._counts_since(before),
            fired=fired,
            tick_fs=lengths,
            timing=times,
        )

    def fail(
        self,
        *,
        dead_cores: Iterable[int | str] = (),
        dead_links: Iterable[str] = (),
        dead_synapse_fraction: float = 0.0,
    ) -> None:
        """Break something by hand, from the next tick on: cores or ranges of them, links, a fraction of all synapses.

        Written as in ``chip.faults`` (docs/faults.md); raises InputError for what the chip has not.
        """
        given = {
            "tick": self.tick, "dead_cores": [str(each) for each in dead_cores], "dead_links": list(dead_links),
            "dead_synapse_fraction": dead_synapse_fraction,
        }  # fmt: skip
        fault = load.validate(Faults, given, "fail")
        if fault.dead_synapse_fraction > 0.0 and self._account.meter.learning is not None:
            raise InputError("dead_synapse_fraction: dead synapses are for weights that stay, and some of these learn")
        strike = faults.read_fault(fault, self._faults.next_number(), self.chip.geometry)
        self._faults.add(strike)
        self._strike()

    def _strike(self) -> None:
        """Let the faults strike that are due before the next tick."""
        if self._faults.until(self.tick) > 0:
            return
        parts = network_faults.Parts(self._mesh, self._wiring, self._account.meter)
        after = self._faults.strike(self.tick, parts, self._memory, self._devices)
        if after.meter is not parts.meter:
            self._account.reroute(self._bands(after.meter))
        self._mesh, self._wiring = after.mesh, after.wiring

    def _bands(self, meter: NetworkMeter) -> tuple[NetworkMeter, NetworkMeter, NetworkMeter]:
        """The meter, and with low and high latencies."""
        low, high = (replace(meter, prices=_latencies(self._prices, band)) for band in self._interval)
        return meter, low, high

    def _watched(self, names: tuple[str, ...]) -> tuple[Span, ...]:
        """These populations by the numbers of their neurons."""
        spans = {name: self._span(name) for name in names}
        return tuple(Span(name, span.start, span.stop) for name, span in spans.items())

    def _counts_since(self, before: Books) -> dict[str, Integers]:
        """Counts of all cores since then."""
        now, then = self._account.books.counts, before.counts
        return self._on_chip({name: count - then.get(name, 0) for name, count in now.items()})

    def _fired(self, recording: Recording, names: tuple[str, ...], first_tick: int) -> dict[str, Fired]:
        """Recorded spikes by population."""
        calls = list(recording.fired.values())
        sizes = {name: self._populations[name].size for name in names}
        return {name: Fired.join([call[name] for call in calls], first_tick, size) for name, size in sizes.items()}

    # looking and setting

    @property
    def tick(self) -> int:
        """Ticks taken since the simulation was built."""
        return self._memory.get("TICK")

    @property
    def ledger(self) -> Ledger:
        """Counts and time since the simulation was built."""
        return self._counted.ledger

    @property
    def bill(self) -> Bill:
        """Time and energy since the simulation was built."""
        return bill(self._counted.ledger, self._prices)

    @property
    def counts_by_core(self) -> dict[str, Integers]:
        """Every countable but ``barrier`` for each core of the chip, since the simulation was built."""
        return self._on_chip(self._counted.counts)

    @property
    def _counted(self) -> Books:
        """The books, an interrupted run included."""
        self._account.settle(self._memory, Recording(), self._runner.spread)
        self._account.count()
        return self._account.books

    @property
    def cores_in_use(self) -> Integers:
        """The cores that hold neurons, ascending."""
        return self._account.meter.cores.copy()

    @property
    def prices(self) -> PriceTable:
        """What everything costs."""
        return self._prices

    @property
    def mesh(self) -> Mesh:
        """The mesh that messages cross, as it is now."""
        return self._mesh

    def link_loads(self) -> Integers:
        """Messages that left each tile of the joined mesh since the simulation was built, also those to dead cores.

        ``[y, x, direction]``, directions east, west, north, south.
        """
        assert self._counted
        return self._account.link_loads().reshape(self._mesh.height, self._mesh.width, 4)

    @property
    def needs_compiling(self) -> bool:
        """Whether the first run will compile (some seconds) instead of loading from the cache."""
        return self._runner.needs_compiling

    @property
    def faults_struck(self) -> tuple[faults.Strike, ...]:
        """Faults so far, those of fabrication among them."""
        return tuple(self._faults.struck)

    @property
    def mapping(self) -> MappingReport:
        """How full the cores are, and what one spike of each neuron sends over the mesh."""
        if self._places is not None:
            return self._places.report(self._mapping, self._account.meter.core, self._account.meter.axons)
        return assign.report(
            self._mapping, self._account.meter.core, self._wiring, self.chip, self._account.meter.axons
        )

    def cores(self, population: Population | str) -> Integers:
        """The core of each neuron."""
        return self._account.meter.core[self._span(self._name(population))].copy()

    def _on_chip(self, counts: Mapping[str, Integers]) -> dict[str, Integers]:
        """Counts of the cores in use as counts of all cores."""
        whole = {name: np.zeros(self.chip.geometry.all_cores, np.int64) for name in counts}
        for name, count in counts.items():
            whole[name][self._account.meter.cores] = count
        return whole


def _first_pace(network: Network) -> int:
    """Ticks of the first call: no more than ``CALL_S``, should every neuron fire in each of them."""
    return max(1, int(CALL_S / (SLOW_S[0] * network.neurons + SLOW_S[1] * network.synapses)))


def _latencies(table: PriceTable, band: Band) -> PriceTable:
    """The table with one end of every latency; energies stay as they are."""
    other = table.at(band)
    return replace(table, latency_fs=other.latency_fs, latency_s=other.latency_s)


def _since(now: Ledger, before: Ledger) -> Ledger:
    """What has come on top."""
    return Ledger(
        {name: count - before.counts[name] for name, count in now.counts.items()},
        {name: fs - before.phase_time_fs[name] for name, fs in now.phase_time_fs.items()},
        now.time_low_fs - before.time_low_fs,
        now.time_high_fs - before.time_high_fs,
    )
