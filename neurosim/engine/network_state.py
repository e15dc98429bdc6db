"""The memory of a hand-driven network: the arrays that its kernel works on, with the chip's imperfections drawn in.

Mismatch is drawn by the neuron's number and by the synapse's number in order of connection, from the chip's
``fabrication_seed``: placement and the seed of a simulation do not change it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim import registry
from neurosim.chip.cores import Wiring
from neurosim.chip.population import Floats, Integers, Network
from neurosim.engine import network_kernel as layout
from neurosim.engine import network_plasticity
from neurosim.engine.device_laws import Laws, laws
from neurosim.engine.network_kernel import Kind
from neurosim.engine.network_meter import NetworkMeter
from neurosim.engine.network_plasticity import Plastic
from neurosim.errors import InputError
from neurosim.kernels import random
from neurosim.kernels.threads import LINE
from neurosim.models.devices import base as devices
from neurosim.models.neurons.base import SpikingParameters
from neurosim.models.neurons.dynamic import DynamicParameters
from neurosim.spec.chip import Chip

Array = npt.NDArray[Any]

SPIKES = 1 << 18
"""Spikes that one call of the kernel may make, besides those of one tick."""

TICKS = 8192
"""Ticks of one call, at most, ..."""
CELLS = 1 << 18
"""... and ticks x cores in use."""

DRIVE_EVENTS = 200.0
"""Events of a drive in one tick, at most: more are better sent as fewer of a larger weight."""

NEURON_WORK = 8
"""What a neuron costs in a tick, in synapses that lead to it, for sharing out neurons to threads."""


@dataclass(eq=False)
class Memory:
    """What the kernel works on; rows and columns are named in ``network_kernel``."""

    F: Array
    N: npt.NDArray[np.int32]
    X: Array
    """``[state, neuron]`` of neurons with several states."""
    P: npt.NDArray[np.float64]
    """``[population, number]``: their coefficients, and of fixed point the step and the highest whole number."""
    segments: npt.NDArray[np.int64]
    past: npt.NDArray[np.uint32]
    """Who fired in the ticks before, as many as the longest delay: ``past[past_first[k]:past_first[k + 1]]``."""
    past_first: npt.NDArray[np.int64]
    all_spikes: npt.NDArray[np.uint32]
    """``[block, ...]``: what each block of neurons did in the last call, as in ``spikes``, ``rank``, ``tick_first``,
    ``moved``, which are of all of them together; where there is one block, they are the same memory."""
    all_rank: npt.NDArray[np.uint32]
    all_first: npt.NDArray[np.int64]
    all_moved: npt.NDArray[np.int32]
    all_driven: npt.NDArray[np.int32]
    """``[block, tick of the call, core in use]``: events that came from outside; of size 0 where none do."""
    progress: npt.NDArray[np.int64]
    """How many ticks of the call each block has done, one number in each line of memory."""
    home: npt.NDArray[np.uint32]
    """The core in use of every neuron."""
    spikes: npt.NDArray[np.uint32]
    """Who fired in the ticks of the last call, tick after tick."""
    rank: npt.NDArray[np.uint32]
    """For each of them how many neurons of its core, up to its own, had been updated (where spikes are ranked)."""
    tick_first: npt.NDArray[np.int64]
    """Spikes of tick t of the call are ``spikes[tick_first[t]:tick_first[t + 1]]``."""
    moved: npt.NDArray[np.int32]
    """``[tick of the call, core in use]``: neurons updated."""
    R: npt.NDArray[np.int64]
    D: npt.NDArray[np.float64]
    bounds: list[int]
    """Block b, the part of one thread, holds neurons ``bounds[b]`` to ``bounds[b + 1] - 1``."""
    given_first: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(1, np.int64))
    """Input neurons that are told to fire in tick GIVEN_TICK + t are ``given[given_first[t]:given_first[t + 1]]``."""
    given: npt.NDArray[np.uint32] = field(default_factory=lambda: np.zeros(0, np.uint32))
    groups: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((1, len(layout.GROUP)), np.int64))
    first: list[npt.NDArray[np.uint64]] = field(default_factory=list)
    """For each block and group g: synapses of neuron i that lead into it are ``first[b][g, i]`` to
    ``first[b][g, i + 1] - 1``."""
    target: Array = field(default_factory=lambda: np.zeros(0, np.uint32))
    """16 bits where they suffice."""
    weight: Array = field(default_factory=lambda: np.zeros(0))
    """By block, then by group, source and target: the order of ``Wiring`` where there is one of either."""
    number: npt.NDArray[np.uint32] = field(default_factory=lambda: np.zeros(0, np.uint32))
    """Each synapse's number as it was connected (where synapses drop spikes)."""
    drives: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros((0, len(layout.DRIVE)), np.int64))
    above: npt.NDArray[np.uint32] = field(default_factory=lambda: np.zeros(0, np.uint32))
    drive_weight: Array = field(default_factory=lambda: np.zeros(0))
    position: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Where the synapse stands that was connected as number k."""
    plastic: Plastic | None = None
    """What synapses that learn need; their weights stand by target instead of by source."""

    def wire(self, wiring: Wiring, weight: Array) -> None:
        """Take over the synapses of ``wiring``, with weights in its order."""
        groups = len(wiring.groups)
        if self.blocks == 1 and groups == 1 and self.plastic is None:
            self.first, self.position = [wiring.first[None]], wiring.position
            self.target, self.weight = _received(wiring), weight
        else:
            group = np.zeros(1, np.uint16) if wiring.group is None else wiring.group
            part = np.searchsorted(np.array(self.bounds[1:]), wiring.target, side="right") * groups + group
            order = np.argsort(part, kind="stable")
            live = int(wiring.first[-1])  # synapses that nothing reaches stand behind all others
            sizes = np.bincount(part, minlength=self.blocks * groups)
            first = np.zeros((self.blocks * groups, wiring.neurons + 1), np.uint64)
            for p, start in enumerate(np.cumsum(sizes) - sizes):
                source = wiring.source[:live][part[:live] == p]
                first[p, 1:] = np.cumsum(np.bincount(source, minlength=wiring.neurons))
                first[p] += np.uint64(start)
            self.first = list(first.reshape(self.blocks, groups, -1))
            if self.plastic is not None:
                self._by_target(self.plastic, wiring, order)
            place = np.empty(order.size, np.int64)
            place[order] = np.arange(order.size)
            self.position, self.target, self.weight = place[wiring.position], _received(wiring)[order], weight[order]
        if any(group.transmission < 1.0 for group in wiring.groups):
            self.number = np.empty(self.position.size, np.uint32)
            self.number[self.position] = np.arange(self.position.size)
        self.groups = self._groups(wiring)

    def _by_target(self, plastic: Plastic, wiring: Wiring, order: Integers) -> None:
        """Put synapses that learn in the order of ``network_plasticity``: by postsynaptic, then presynaptic neuron."""
        starts, ends = (np.stack([first[:, k] for first in self.first]).astype(np.int64) for k in (0, -1))
        for g in plastic.groups:
            for at, end in zip(starts[:, g], ends[:, g], strict=True):
                own = order[at:end]
                order[at:end] = own[np.lexsort((wiring.source[own], wiring.target[own]))]
        plastic.lay_out(self.bounds, starts, ends, wiring.source[order], wiring.target[order])

    def _groups(self, wiring: Wiring) -> npt.NDArray[np.int64]:
        """``[group, column]`` as ``network_kernel.GROUP`` names them, of synapses that do not learn."""
        climbs = np.ones(self.target.size + 1, np.bool_)  # whether a target lies above the one before
        climbs[1:-1] = self.target[1:] > self.target[:-1]
        rows = []
        for g, group in enumerate(wiring.groups):
            if group.plastic >= 0:  # the last ones
                break
            ascending = True
            for first in self.first:
                starts, ends = first[g, :-1], first[g, 1:]
                inner = climbs[int(starts[0]) : int(ends[-1])].copy()
                inner[(starts[starts < ends] - starts[0]).astype(np.int64)] = True
                ascending &= bool(inner.all())
            rows.append((group.delay_ticks, int(np.ceil(group.transmission * layout.ALWAYS)), ascending))
        return np.array(rows, np.int64).reshape(-1, len(layout.GROUP))

    @property
    def blocks(self) -> int:
        """Blocks of neurons, one for each thread."""
        return len(self.bounds) - 1

    def arguments(self, block: int = 0) -> tuple[Array, ...]:
        """The kernel's arguments but ``ticks``, in its order, for one block (of several: registers are a copy)."""
        segments, registers = self.segments, self.R
        if self.blocks > 1:
            segments, registers = self._part(block), self.R.copy()
            for name, value in (("BEGIN", self.bounds[block]), ("END", self.bounds[block + 1]), ("BLOCK", block),
                                ("SATURATED", 0)):  # fmt: skip
                registers[layout.REGISTERS.index(name)] = value
        learning = () if self.plastic is None else self.plastic.arguments(block)
        return (self.F, self.N, self.X, self.P, segments, self.groups, self.first[block], self.target, self.weight,
                self.number, self.drives, self.above, self.drive_weight, self.given_first, self.given, self.past,
                self.past_first, self.all_spikes, self.all_rank, self.all_first, self.all_moved, self.all_driven,
                *learning, self.progress, registers, self.D)  # fmt: skip

    def _part(self, block: int) -> npt.NDArray[np.int64]:
        """The segments of a block, cut where the block ends."""
        begin, end = self.bounds[block], self.bounds[block + 1]
        low, high = layout.SEGMENT.index("LOW"), layout.SEGMENT.index("HIGH")
        own = self.segments[(self.segments[:, high] > begin) & (self.segments[:, low] < end)]
        own[:, low] = np.maximum(own[:, low], begin)
        own[:, high] = np.minimum(own[:, high], end)
        return own

    def row(self, name: str) -> Array:
        """One row of the neurons' state, as it lies in memory."""
        is_float = name in layout.FLOATS
        row: Array = self.F[layout.FLOATS.index(name)] if is_float else self.N[layout.INTEGERS.index(name)]
        return row

    def get(self, register: str) -> int:
        """A register."""
        return int(self.R[layout.REGISTERS.index(register)])

    def set(self, register: str, value: int) -> None:
        """Set a register."""
        self.R[layout.REGISTERS.index(register)] = value


def device_problems(chip: Chip) -> list[str]:
    """What the devices of a hand-driven network would do that its kernel does not know."""
    parameters = chip.synapse.device
    acting = laws(parameters) if isinstance(parameters, devices.DeviceParameters) else Laws()
    if not acting.any:
        return []
    named = (("drift, leak or retention", acting.ages), ("diffusion or telegraph noise", acting.wanders),
             ("noise of its reads", acting.noisy))  # fmt: skip
    does = " and ".join(name for name, there in named if there)
    return [
        f'chip.synapse.device.model = "{parameters.model}": its {does} would have to act while the network runs, which '
        "only training and ns.Devices do; use ideal=True, or a device without"
    ]


class Devices:
    """The weight devices of all synapses: what they hold when a weight is wanted of them."""

    def __init__(self, chip: Chip, wiring: Wiring) -> None:
        parameters = chip.synapse.device
        if not isinstance(parameters, devices.DeviceParameters):
            raise InputError(f"chip.synapse.device.model: {parameters.model!r} is not a device")
        count = wiring.synapses
        self.parameters = parameters
        exact = bool(getattr(registry.find("device", parameters.model).module, "EXACT", False))
        self.drawn = None if exact else devices.draw(parameters, count, chip.fabrication_seed)
        self.stuck: npt.NDArray[np.bool_] | None = None
        if chip.synapse.stuck_fraction > 0.0:
            u = np.empty(count)
            random.uniforms(u, chip.fabrication_seed, random.STREAM_STUCK, 0, 0, 0)
            self.stuck = u < chip.synapse.stuck_fraction

    def hold(self, wanted: Floats, span: slice) -> Array:
        """What the devices ``span`` hold once ``wanted`` was written with care: within bounds, and on the grid."""
        if self.drawn is None:
            return wanted
        return devices.start(self.parameters, devices.DeviceArrays(*(each[span] for each in self.drawn)), wanted)


def build(
    network: Network, wiring: Wiring, meter: NetworkMeter, held: Devices, kinds: list[Kind], *,
    seed: int, dtype: str, threads: int = 1,
) -> Memory:  # fmt: skip
    """All arrays before the first tick: membranes at 0, nothing on its way."""
    n, cores = network.neurons, meter.cores.size
    ticks = max(1, min(TICKS, CELLS // cores))
    wanted = [held.hold(each.weights, wiring.span[each.source.name, each.target.name]) for each in network.connections]
    weight = wiring.sorted_weights(wanted).astype(dtype)
    weight += 0.0  # a weight of -0.0 would look like no input at all
    bounds = _bounds(wiring, threads)
    spikes = np.zeros((threads, n + SPIKES), np.uint32)
    rank = np.zeros((threads, n + SPIKES if meter.ranked else 1), np.uint32)
    tick_first = np.zeros((threads, ticks + 1), np.int64)
    moved = np.zeros((threads, ticks, cores), np.int32)
    alone = threads == 1
    delays = max(group.delay_ticks for group in wiring.groups)
    driven = (threads, ticks, cores) if network.drives else (threads, 0, 0)
    memory = Memory(
        F=_floats(network, meter.chip, np.dtype(dtype)),
        N=np.zeros((len(layout.INTEGERS), n), np.int32),
        X=_states(network, np.dtype(dtype)),
        P=_coefficients(network, meter.chip.timing.tick_s).astype(dtype),
        segments=_segments(network, meter, kinds),
        past=np.zeros(n * delays, np.uint32),
        past_first=np.zeros(delays + 1, np.int64),
        all_spikes=spikes,
        all_rank=rank,
        all_first=tick_first,
        all_moved=moved,
        all_driven=np.zeros(driven, np.int32),
        progress=np.zeros(LINE * threads, np.int64),
        home=meter.here,
        spikes=spikes[0] if alone else np.zeros_like(spikes[0]),
        rank=rank[0] if alone else np.zeros_like(rank[0]),
        tick_first=tick_first[0] if alone else np.zeros_like(tick_first[0]),
        moved=moved[0] if alone else np.zeros_like(moved[0]),
        R=np.zeros(len(layout.REGISTERS), np.int64),
        D=np.array([meter.chip.neuron.membrane_noise_std, meter.chip.synapse.read_noise_std]),
        bounds=bounds,
    )
    memory.plastic = network_plasticity.build(network, wiring, meter.chip.timing.tick_s, dtype, memory.blocks)
    memory.wire(wiring, weight)
    _drive(memory, network, meter.chip.timing.tick_s, np.dtype(dtype))
    memory.set("SEED", seed)
    memory.set("END", n)
    return memory


def _bounds(wiring: Wiring, threads: int) -> list[int]:
    """Where the neurons are cut into as many blocks as there are threads, each with about as much work."""
    work = np.cumsum(np.bincount(wiring.target, minlength=wiring.neurons) + NEURON_WORK)
    cuts = np.searchsorted(work, work[-1] * np.arange(1, threads) / threads)
    return [0, *(int(cut) for cut in cuts), wiring.neurons]


def _floats(network: Network, chip: Chip, dtype: np.dtype[Any]) -> Array:
    """State and parameters of every neuron, with its mismatch: the same draws as the layers of a trained network."""
    hardware, tick_s = chip.neuron, chip.timing.tick_s
    parts = {name: np.zeros(network.neurons) for name in layout.FLOATS}
    parts["CURRENT"][:] = -0.0  # nothing arrived (network_kernel)
    at = 0
    for population in network.populations:
        span, parameters = slice(at, at + population.size), population.parameters
        at += population.size
        parts["BIAS"][span] = population.bias
        if not isinstance(parameters, SpikingParameters):
            parts["THRESHOLD"][span] = parts["LEAK"][span] = 1.0
            continue
        parts["THRESHOLD"][span] = parameters.threshold
        parts["LEAK"][span] = parameters.leak(tick_s)
        parts["FLOOR"][span] = -np.inf if parameters.v_min is None else parameters.v_min
    parts["THRESHOLD"] *= np.maximum(_mismatch(4, hardware.threshold_dtod, network.neurons, chip), 0.05)
    if hardware.leak_dtod > 0.0:
        rate = -np.log(np.maximum(parts["LEAK"], 1e-300)) * _mismatch(5, hardware.leak_dtod, network.neurons, chip)
        parts["LEAK"] = np.exp(-np.maximum(rate, 0.0))
    parts["GAIN"] = _mismatch(6, hardware.gain_dtod, network.neurons, chip)
    rows = [parts[name] for name in layout.FLOATS]
    more = max(len(layout.receptors_of(population.parameters)) for population in network.populations) - 1
    return np.stack([*rows, *[parts["CURRENT"]] * more]).astype(dtype)


def _received(wiring: Wiring) -> Array:
    """Where what a synapse carries is added up: its neuron, in the row of its receptor."""
    target = wiring.target
    if wiring.receptor is not None:
        target = target + np.uint32(wiring.neurons) * wiring.receptor.astype(np.uint32)
    return target.astype(np.uint16) if int(target.max(initial=0)) < 1 << 16 else target


def _drive(memory: Memory, network: Network, tick_s: float, dtype: np.dtype[Any]) -> None:
    """The Poisson events that come from outside: bounds of 32 random bits, P(more than n events) = 1 - bound / 2^32."""
    rows, bounds, names = [], [np.zeros(0, np.uint32)], [population.name for population in network.populations]
    end = 0
    for drive in network.drives:
        mean = drive.rate_Hz * tick_s
        most = int(mean + 12.0 * np.sqrt(mean) + 24.0)  # beyond, less than 2^-32 is left
        terms = [mean / n for n in range(1, most)]
        each = np.ceil(np.exp(-mean) * np.cumsum(np.cumprod([1.0, *terms])) * layout.ALWAYS)
        bounds.append(each[each < layout.ALWAYS].astype(np.uint32))
        rows.append((names.index(drive.target.name), drive.receptor, end, end + bounds[-1].size))
        end += bounds[-1].size
    memory.drives = np.array(rows, np.int64).reshape(-1, len(layout.DRIVE))
    memory.above = np.concatenate(bounds)
    memory.drive_weight = np.array([drive.weight for drive in network.drives], dtype) + dtype.type(0.0)  # no -0.0


def _states(network: Network, dtype: np.dtype[Any]) -> Array:
    """``X [state, neuron]``, as the models start."""
    kinds = [population.parameters for population in network.populations]
    most = max((len(each.start()) for each in kinds if isinstance(each, DynamicParameters)), default=0)
    states, at = np.zeros((max(most, 1), network.neurons if most else 1)), 0
    for population, parameters in zip(network.populations, kinds, strict=True):
        if isinstance(parameters, DynamicParameters):
            start = np.array(parameters.start())
            states[: start.size, at : at + population.size] = start[:, None]
        at += population.size
    return states.astype(dtype)


def _coefficients(network: Network, tick_s: float) -> npt.NDArray[np.float64]:
    """``P [population, number]``."""
    rows: list[tuple[float, ...]] = []
    for population in network.populations:
        parameters = population.parameters
        if not isinstance(parameters, DynamicParameters):
            rows.append(())
            continue
        fixed = (parameters.fixed_step, 2.0 ** (max(parameters.fixed_bits, 1) - 1) - 1.0)
        rows.append((*parameters.coefficients(tick_s), *fixed))
    out = np.zeros((len(rows), max(1, *(len(row) for row in rows), 1)))
    for k, row in enumerate(rows):
        out[k, : len(row)] = row
    return out


def _mismatch(which: int, std: float, count: int, chip: Chip) -> Floats:
    """Factors about 1, one for each neuron."""
    xi = np.zeros(count)
    if std > 0.0:
        random.normals(xi, chip.fabrication_seed, random.STREAM_MISMATCH_NEURON, which, 0, 0)
    return 1.0 + std * xi


def _segments(network: Network, meter: NetworkMeter, kinds: list[Kind]) -> npt.NDArray[np.int64]:
    """Runs of neurons of one population on one core."""
    rows, at = [], 0
    for number, population in enumerate(network.populations):
        here = meter.here[at : at + population.size]
        starts = np.concatenate([[0], np.flatnonzero(here[1:] != here[:-1]) + 1])
        ends = np.append(starts[1:], population.size)
        parameters = population.parameters
        reset = layout.RESETS[parameters.reset] if isinstance(parameters, SpikingParameters) else 0
        rest = getattr(parameters, "refractory_ticks", 0)
        same = [kinds.index(Kind.of(parameters)), reset, rest, number]
        rows.append(np.column_stack([at + starts, at + ends, here[starts], np.tile(same, (starts.size, 1))]))
        at += population.size
    return np.concatenate(rows).astype(np.int64)
