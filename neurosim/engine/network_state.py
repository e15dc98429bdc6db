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
from neurosim.chip.population import Floats, Network
from neurosim.engine import network_kernel as layout
from neurosim.engine.network_kernel import Kind
from neurosim.engine.network_meter import NetworkMeter
from neurosim.errors import InputError
from neurosim.kernels import random
from neurosim.models.devices import base as devices
from neurosim.spec.chip import Chip

Array = npt.NDArray[Any]

SPIKES = 1 << 18
"""Spikes that one call of the kernel may make, besides those of one tick."""

TICKS = 8192
"""Ticks of one call, at most, ..."""
CELLS = 1 << 18
"""... and ticks x cores in use."""

NEURON_WORK = 8
"""What a neuron costs in a tick, in synapses that lead to it, for sharing out neurons to threads."""


@dataclass(eq=False)
class Memory:
    """What the kernel works on; rows and columns are named in ``network_kernel``."""

    F: Array
    N: npt.NDArray[np.int32]
    segments: npt.NDArray[np.int64]
    last: npt.NDArray[np.uint32]
    """Who fired in the tick before; register LAST_COUNT says how many."""
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
    first: list[npt.NDArray[np.uint64]] = field(default_factory=list)
    """For each block: synapses of neuron i that lead into it are ``first[b][i]`` to ``first[b][i + 1] - 1``."""
    target: npt.NDArray[np.uint32] = field(default_factory=lambda: np.zeros(0, np.uint32))
    weight: Array = field(default_factory=lambda: np.zeros(0))
    """By block, then by source, then by target: the order of ``Wiring`` where there is one block."""
    position: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    """Where the synapse stands that was connected as number k."""

    def wire(self, wiring: Wiring, weight: Array) -> None:
        """Take over the synapses of ``wiring``, with weights in its order."""
        if len(self.bounds) == 2:
            self.first, self.position = [wiring.first], wiring.position
            self.target, self.weight = wiring.target, weight
            return
        block = np.searchsorted(np.array(self.bounds[1:]), wiring.target, side="right").astype(np.uint8)
        order = np.argsort(block, kind="stable")
        place = np.empty(order.size, np.int64)
        place[order] = np.arange(order.size)
        live = int(wiring.first[-1])  # synapses that nothing reaches stand behind all others
        self.position, self.target, self.weight = place[wiring.position], wiring.target[order], weight[order]
        self.first = []
        sizes = np.bincount(block, minlength=len(self.bounds) - 1)
        for b, start in enumerate(np.cumsum(sizes) - sizes):
            source = wiring.source[:live][block[:live] == b]
            first = np.full(wiring.neurons + 1, start, np.uint64)
            first[1:] += np.cumsum(np.bincount(source, minlength=wiring.neurons)).astype(np.uint64)
            self.first.append(first)

    @property
    def arguments(self) -> tuple[Array, ...]:
        """The kernel's arguments but ``ticks``, in its order, where one thread does everything."""
        return (self.F, self.N, self.segments, self.first[0], self.target, self.weight, self.last, self.spikes,
                self.rank, self.tick_first, self.moved, self.R, self.D)  # fmt: skip

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
    memory = Memory(
        F=_floats(network, meter.chip, np.dtype(dtype)),
        N=np.zeros((len(layout.INTEGERS), n), np.int32),
        segments=_segments(network, meter, kinds),
        last=np.zeros(n, np.uint32),
        spikes=np.zeros(n + SPIKES, np.uint32),
        rank=np.zeros(n + SPIKES if meter.ranked else 1, np.uint32),
        tick_first=np.zeros(ticks + 1, np.int64),
        moved=np.zeros((ticks, cores), np.int32),
        R=np.zeros(len(layout.REGISTERS), np.int64),
        D=np.array([meter.chip.neuron.membrane_noise_std, meter.chip.synapse.read_noise_std]),
        bounds=_bounds(wiring, threads),
    )
    memory.wire(wiring, weight)
    memory.set("SEED", seed)
    memory.set("END", n)
    memory.set("ALONE", 1)
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
        parts["BIAS"][span] = population.bias
        parts["THRESHOLD"][span] = parameters.threshold
        parts["LEAK"][span] = parameters.leak(tick_s)
        parts["FLOOR"][span] = -np.inf if parameters.v_min is None else parameters.v_min
        at += population.size
    parts["THRESHOLD"] *= np.maximum(_mismatch(4, hardware.threshold_dtod, network.neurons, chip), 0.05)
    if hardware.leak_dtod > 0.0:
        rate = -np.log(np.maximum(parts["LEAK"], 1e-300)) * _mismatch(5, hardware.leak_dtod, network.neurons, chip)
        parts["LEAK"] = np.exp(-np.maximum(rate, 0.0))
    parts["GAIN"] = _mismatch(6, hardware.gain_dtod, network.neurons, chip)
    return np.stack([parts[name] for name in layout.FLOATS]).astype(dtype)


def _mismatch(which: int, std: float, count: int, chip: Chip) -> Floats:
    """Factors about 1, one for each neuron."""
    xi = np.zeros(count)
    if std > 0.0:
        random.normals(xi, chip.fabrication_seed, random.STREAM_MISMATCH_NEURON, which, 0, 0)
    return 1.0 + std * xi


def _segments(network: Network, meter: NetworkMeter, kinds: list[Kind]) -> npt.NDArray[np.int64]:
    """Runs of neurons of one population on one core."""
    rows, at = [], 0
    for population in network.populations:
        here = meter.here[at : at + population.size]
        starts = np.concatenate([[0], np.flatnonzero(here[1:] != here[:-1]) + 1])
        ends = np.append(starts[1:], population.size)
        parameters = population.parameters
        same = [kinds.index(Kind.of(parameters)), layout.RESETS[parameters.reset], parameters.refractory_ticks]
        rows.append(np.column_stack([at + starts, at + ends, here[starts], np.tile(same, (starts.size, 1))]))
        at += population.size
    return np.concatenate(rows).astype(np.int64)
