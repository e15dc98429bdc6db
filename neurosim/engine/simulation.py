"""The machine driven by hand: a network on a virtual chip, tick by tick, with its time and its energy.

The tick is the engine's (docs/network.md): spikes of the last tick reach their synapses, membranes advance, thresholds
decide, spikes set out. What this machine leaves out is training: whoever drives it reads states and sets weights
between runs.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim import models, registry
from neurosim.accounting import Bill, Ledger, bill, price_table
from neurosim.chip import assign, cores, faults
from neurosim.chip.population import Connection, Integers, Network, Population, read_numbers
from neurosim.chip.utilisation import Mapping as MappingReport
from neurosim.engine import network_faults, network_kernel, network_state, program
from neurosim.engine.network_meter import Activity, ByCore, NetworkMeter
from neurosim.engine.network_output import Output, Spikes, SpikesByPopulation
from neurosim.errors import CapabilityError, InputError
from neurosim.spec import load
from neurosim.spec.chip import Chip, Faults
from neurosim.spec.chip import ideal as without_imperfections
from neurosim.units import femtoseconds

TIMINGS = ("clocked", "simple")
DTYPES = ("float32", "float64")

STATES = {"v": "V", "bias": "BIAS", "threshold": "THRESHOLD", "leak": "LEAK", "gain": "GAIN", "refractory": "RESTING"}
"""What ``Simulation.state`` shows, and the row of the kernel's memory that holds it."""
SETTABLE = ("v", "bias")

CALL_S = 0.1
"""Host time that one kernel call aims at: Python sees a Ctrl-C when it returns."""


class Simulation:
    """A network on a chip. It takes what it needs from both: later changes to them have no effect.

    ``chip``: a shipped name, a path, or a ``Chip``. ``timing``: ``clocked`` (a tick lasts ``chip.timing.tick_s``) or
    ``simple`` (as long as its slowest core), default the chip's own. ``mapping``: how neurons that the network does not
    place get their cores, ``fill``, ``round-robin`` or ``traffic`` (docs/mapping.md). ``seed``: of everything that is
    random from tick to tick; mismatch has the chip's own. ``ideal``: every imperfection off. ``record``: populations
    whose spikes are kept. ``overrides``: ``{"chip.key.path": value}`` over the chip file.

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
    ) -> None:
        models.load_builtin()
        described = _chip(chip, overrides)
        self.chip = without_imperfections(described) if ideal else described
        self.timing = self.chip.timing.model if timing is None else timing
        self.seed = seed
        self._populations = {population.name: population for population in network.populations}
        self._connections = {(each.source.name, each.target.name): each for each in network.connections}
        _check(self.chip, network, self.timing, seed, dtype)
        self._record = self._names(record)
        self._first = cores.offsets(network)
        self._wiring = cores.wire(network)
        self._mesh = faults.mesh(self.chip)
        core = assign.assign(network, self._wiring, self.chip, self._mesh, mapping)
        axons = cores.route(core, self._wiring, self._mesh)
        self._mapping = mapping
        has_inputs = np.bincount(self._wiring.target, minlength=network.neurons) > 0
        self._meter = NetworkMeter(self.chip, price_table(self.chip), core, axons, has_inputs, self.timing)
        self._meter.check()
        self._devices = network_state.Devices(self.chip, self._wiring)
        kinds = network_kernel.kinds_of([population.parameters for population in network.populations])
        self._memory = network_state.build(network, self._wiring, self._meter, self._devices, kinds, seed, dtype)
        self._source, self._modules = network_kernel.compose(
            kinds,
            routed=self._meter.routed,
            membrane_noise=self.chip.neuron.membrane_noise_std > 0.0,
            read_noise=self.chip.synapse.read_noise_std > 0.0,
        )
        self._module: ModuleType | None = None
        self._pace = 1
        self._counts: ByCore = {}
        self._ledger = Ledger()
        self._lost = 0
        self._count(0)
        self._faults = network_faults.NetworkFaults(self.chip, self._wiring)
        self._strike()

    # running

    def run(self, ticks: int, *, record: str | Iterable[str | Population] | None = None) -> Output:
        """Take ``ticks`` ticks. ``record`` replaces, for this run, what the simulation was built with.

        Ctrl-C stops between two ticks: KeyboardInterrupt is raised, and the simulation stands where it stopped.
        """
        if isinstance(ticks, bool) or not isinstance(ticks, (int, np.integer)) or ticks < 0:
            raise InputError(f"ticks = {ticks!r}: must be a whole number of at least 0")
        names = self._record if record is None else self._names(record)
        burst = self._prepare(names)
        first, ledger, counts, lost = self.tick, self._ledger, self._counts, self._lost
        started = time.perf_counter()
        spikes: list[npt.NDArray[np.int64]] = []
        while (left := first + int(ticks) - self.tick) > 0:
            self._strike()
            before = self.tick
            try:
                self._burst(burst, min(left, self._faults.until(before)), spikes)
            finally:
                self._count(self.tick - before)
        done = Ledger(
            {name: count - ledger.counts[name] for name, count in self._ledger.counts.items()},
            {name: fs - ledger.phase_time_fs[name] for name, fs in self._ledger.phase_time_fs.items()},
        )
        return Output(
            first_tick=first,
            ticks=int(ticks),
            ledger=done,
            bill=bill(done, self._meter.prices),
            counts_by_core=self._on_chip({name: count - counts.get(name, 0) for name, count in self._counts.items()}),
            spikes=self._split(spikes, names),
            host_time_s=time.perf_counter() - started,
            faults=tuple(self._faults.struck),
            messages_lost=self._lost - lost,
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
        strike = faults.read_fault(fault, self._faults.next_number(), self.chip.geometry)
        self._faults.add(strike)
        self._strike()

    def _strike(self) -> None:
        """Let the faults strike that are due before the next tick."""
        if self._faults.until(self.tick) > 0:
            return
        parts = network_faults.Parts(self._mesh, self._wiring, self._meter)
        parts = self._faults.strike(self.tick, parts, self._memory, self._devices)
        self._mesh, self._wiring, self._meter = parts.mesh, parts.wiring, parts.meter

    def _prepare(self, names: tuple[str, ...]) -> Any:
        """The compiled kernel, and room for the spikes that are to be recorded."""
        memory = self._memory
        watched = memory.row("WATCHED")
        watched[:] = 0
        for name in names:
            watched[self._span(name)] = 1
        count = int(watched.sum())
        memory.set("WATCHED_COUNT", count)
        memory.set("RECORDED", 0)  # what an interrupted run may have left
        memory.record = np.zeros((count + network_state.RECORD if count else 1, 2), np.int64)
        if self._module is None:
            self._module = program.load(self._source, self._modules)
        burst = self._module.burst
        burst(*memory.arguments, 0)  # compiles, where it must
        return burst

    def _burst(self, burst: Any, ticks: int, spikes: list[npt.NDArray[np.int64]]) -> None:
        """Many ticks per call, as many as take ``CALL_S``; how many never changes a bit of what they do."""
        memory, left = self._memory, ticks
        while left:
            started = time.perf_counter()
            done = int(burst(*memory.arguments, min(left, self._pace)))
            took = time.perf_counter() - started
            left -= done
            self._pace = max(1, min(8 * self._pace, int(done * CALL_S / max(took, 1e-6))))
            recorded = memory.get("RECORDED")
            if recorded:
                spikes.append(memory.record[:recorded].copy())
                memory.set("RECORDED", 0)

    def _count(self, ticks: int) -> None:
        """Move what the kernel counted in ``ticks`` ticks into the totals."""
        memory, meter = self._memory, self._meter
        counted = [memory.row("SENT"), memory.row("ARRIVED"), memory.core_row("UPDATED"), memory.core_row("READS")]
        sent, arrived, updated, reads = counted
        by_core = meter.counts(Activity(ticks, sent, arrived, updated, reads))
        self._counts = {name: self._counts.get(name, 0) + count for name, count in by_core.items()}
        busy = memory.get("BUSY") if self.timing == "simple" else ticks * femtoseconds(self.chip.timing.tick_s)
        self._ledger += Ledger(
            {**{name: int(count.sum()) for name, count in by_core.items()}, "barrier": ticks},
            {"compute": busy, "barrier": ticks * meter.latency("barrier")},
        )
        self._lost += network_faults.lost(arrived, meter)
        for row in counted:
            row[:] = 0
        memory.set("BUSY", 0)

    def _split(self, chunks: list[npt.NDArray[np.int64]], names: tuple[str, ...]) -> SpikesByPopulation:
        """Recorded spikes by population."""
        every = np.concatenate(chunks) if chunks else np.zeros((0, 2), np.int64)
        split = SpikesByPopulation()
        for name in names:
            span = self._span(name)
            own = every[(every[:, 1] >= span.start) & (every[:, 1] < span.stop)]
            split[name] = Spikes(own[:, 0].copy(), own[:, 1] - span.start)
        return split

    # looking and setting

    @property
    def tick(self) -> int:
        """Ticks taken since the simulation was built."""
        return self._memory.get("TICK")

    @property
    def ledger(self) -> Ledger:
        """Counts and time since the simulation was built."""
        return self._ledger

    @property
    def bill(self) -> Bill:
        """Time and energy since the simulation was built."""
        return bill(self._ledger, self._meter.prices)

    @property
    def counts_by_core(self) -> dict[str, Integers]:
        """Every countable but ``barrier`` for each core of the chip, since the simulation was built."""
        return self._on_chip(self._counts)

    @property
    def needs_compiling(self) -> bool:
        """Whether the first run will compile (some seconds) instead of loading from the cache."""
        return not program.is_compiled(self._source, self._modules)

    @property
    def mapping(self) -> MappingReport:
        """How full the cores are, and what one spike of each neuron sends over the mesh."""
        return assign.report(self._mapping, self._meter.core, self._wiring, self.chip, self._meter.axons)

    def cores(self, population: Population | str) -> Integers:
        """The core of each neuron."""
        return self._meter.core[self._span(self._name(population))].copy()

    def state(self, population: Population | str, name: str) -> npt.NDArray[Any]:
        """A copy of one state or parameter of each neuron: v, bias, threshold, leak, gain or refractory."""
        span = self._span(self._name(population))
        if name not in STATES:
            raise InputError(registry.unknown(name, list(STATES), "state"))
        return self._memory.row(STATES[name])[span].copy()

    def set_state(self, population: Population | str, name: str, values: npt.ArrayLike) -> None:
        """Set ``v`` or ``bias`` by hand, one number for all or one each, from the next tick on; costs nothing."""
        key = self._name(population)
        if name not in SETTABLE:
            raise InputError(registry.unknown(name, list(SETTABLE), "state to set"))
        given, problems = read_numbers(values, f"{name} of {key!r}")
        size = self._populations[key].size
        if given is not None and given.shape not in ((), (size,)):
            problems.append(f"{name} of {key!r}: has the shape {given.shape}, needed is one number or ({size},)")
        if given is None or problems:
            raise InputError(problems)
        self._memory.row(STATES[name])[self._span(key)] = given

    def weights(self, source: Population | str, target: Population | str) -> npt.NDArray[Any]:
        """What the devices of a connection hold, in the shape in which it was made (read noise left out)."""
        connection = self._connection(source, target)
        return self._memory.weight[self._positions(connection)].reshape(connection.shape)

    def set_weights(self, source: Population | str, target: Population | str, weights: float | npt.ArrayLike) -> None:
        """Write weights by hand (one for all, or of the connection's shape), in force from the next tick on.

        Devices take what they can hold: values are cut to their bounds and rounded to their grid, and stuck devices
        stay as they are. Nothing is counted; what writing costs a chip that learns is the trainers' account.
        """
        connection = self._connection(source, target)
        span = self._wiring.span[connection.source.name, connection.target.name]
        positions = self._positions(connection)
        held = self._devices.hold(connection.read_weights(weights), span)
        if self._devices.stuck is not None:
            held = np.where(self._devices.stuck[span], self._memory.weight[positions], held)
        self._memory.weight[positions] = held

    def _positions(self, connection: Connection) -> Integers:
        return self._wiring.position[self._wiring.span[connection.source.name, connection.target.name]]

    def _connection(self, source: Population | str, target: Population | str) -> Connection:
        key = (self._name(source), self._name(target))
        if key not in self._connections:
            known = ", ".join(connection.name for connection in self._connections.values()) or "none"
            raise InputError(f"no connection {key[0]} -> {key[1]} (known: {known})")
        return self._connections[key]

    def _name(self, population: Population | str) -> str:
        name = population.name if isinstance(population, Population) else population
        if name not in self._populations:
            raise InputError(registry.unknown(name, list(self._populations), "population"))
        return name

    def _names(self, record: str | Iterable[str | Population]) -> tuple[str, ...]:
        given = [record] if isinstance(record, (str, Population)) else list(record)
        names = [item.name if isinstance(item, Population) else item for item in given]
        problems = [registry.unknown(name, list(self._populations), "population") for name in names
                    if name not in self._populations]  # fmt: skip
        if problems:
            raise InputError(problems, "record")
        return tuple(dict.fromkeys(names))

    def _span(self, name: str) -> slice:
        return slice(self._first[name], self._first[name] + self._populations[name].size)

    def _on_chip(self, counts: Mapping[str, Integers]) -> dict[str, Integers]:
        """Counts of the cores in use as counts of all cores."""
        whole = {name: np.zeros(self.chip.geometry.all_cores, np.int64) for name in counts}
        for name, count in counts.items():
            whole[name][self._meter.cores] = count
        return whole


def _chip(chip: str | Path | Chip, overrides: Mapping[str, Any] | None) -> Chip:
    """The chip of that name, path or description, with overrides."""
    if isinstance(chip, Chip):
        if not overrides:
            return chip
        tables: dict[str, Any] = {"chip": chip.model_dump()}
    else:
        tables = {"chip": load.load_chip_table(str(chip))}
    wrong = [f"{key}: only keys of the chip can be set here, for example chip.geometry.cores"
             for key in overrides or {} if not key.startswith("chip.")]  # fmt: skip
    if wrong:
        raise InputError(wrong, "overrides")
    for key, value in (overrides or {}).items():
        load.set_key(tables, key, value)
    return load.validate(Chip, tables["chip"], f"chip {tables['chip'].get('name', chip)}", root="chip.")


def _check(chip: Chip, network: Network, timing: str, seed: int, dtype: str) -> None:
    """Everything that can be wrong before neurons get their cores, in one error."""
    problems = faults.problems(chip)
    if timing not in TIMINGS:
        problems.append(registry.unknown(timing, list(TIMINGS), "timing"))
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**63:
        problems.append(f"seed = {seed!r}: must be a whole number from 0 to 2^63 - 1")
    if dtype not in DTYPES:
        problems.append(registry.unknown(dtype, list(DTYPES), "dtype"))
    if not network.populations:
        problems.append("the network has no populations; add one with add_population")
    leaky = [population.name for population in network.populations if population.parameters.leak(1.0) != 1.0]
    if chip.timing.tick_s == 0.0 and (timing == "clocked" or leaky):
        reason = f"the leak of {leaky[0]!r}" if leaky else "timing='clocked'"
        problems.append(f"chip.timing.tick_s = 0: {reason} needs the length of a tick")
    lacking = [
        f"population {population.name!r}: chip {chip.name} has no neurons {population.parameters.model!r} "
        f"(it has {', '.join(chip.capabilities.neurons)})"
        for population in network.populations
        if population.parameters.model not in chip.capabilities.neurons
    ]
    if problems or lacking:
        raise (InputError if problems else CapabilityError)(problems + lacking)
