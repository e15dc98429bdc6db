"""The memory of a hand-driven network: the arrays that its kernel works on, with the chip's imperfections drawn in.

Mismatch is drawn by the neuron's number and by the synapse's number in order of connection, from the chip's
``fabrication_seed``: placement and the seed of a simulation do not change it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
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

RECORD = 1 << 16
"""Spikes that the record holds between two visits of the host, besides those of one tick."""


@dataclass(eq=False)
class Memory:
    """The kernel's arguments, in its order; rows and columns are named in ``network_kernel``."""

    F: Array
    N: npt.NDArray[np.int64]
    C: npt.NDArray[np.int64]
    segments: npt.NDArray[np.int64]
    first: npt.NDArray[np.uint64]
    target: npt.NDArray[np.uint32]
    weight: Array
    axon_first: npt.NDArray[np.int64]
    axons: npt.NDArray[np.int64]
    record: npt.NDArray[np.int64]
    R: npt.NDArray[np.int64]
    D: npt.NDArray[np.float64]

    @property
    def arguments(self) -> tuple[Array, ...]:
        """All arrays."""
        return tuple(getattr(self, field.name) for field in fields(self))

    def row(self, name: str) -> Array:
        """One row of the neurons' state, as it lies in memory."""
        is_float = name in layout.FLOATS
        row: Array = self.F[layout.FLOATS.index(name)] if is_float else self.N[layout.INTEGERS.index(name)]
        return row

    def core_row(self, name: str) -> npt.NDArray[np.int64]:
        """One row of the cores' counters, as it lies in memory."""
        row: npt.NDArray[np.int64] = self.C[layout.CORES.index(name)]
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
    network: Network, wiring: Wiring, meter: NetworkMeter, held: Devices, kinds: list[Kind], seed: int, dtype: str
) -> Memory:
    """All arrays before the first tick: membranes at 0, nothing on its way."""
    neurons = np.zeros((len(layout.INTEGERS), network.neurons), np.int64)
    neurons[layout.INTEGERS.index("MESSAGES")] = meter.axons.messages
    cores = np.zeros((len(layout.CORES), meter.cores.size), np.int64)
    for name, value in (("LAST_READ", -1), ("IDLE", meter.idle_fs()), ("READ_TIME", meter.read_fs())):
        cores[layout.CORES.index(name)] = value
    wanted = [held.hold(each.weights, wiring.span[each.source.name, each.target.name]) for each in network.connections]
    memory = Memory(
        F=_floats(network, meter.chip, np.dtype(dtype)),
        N=neurons,
        C=cores,
        segments=_segments(network, meter, kinds),
        first=wiring.first,
        target=wiring.target,
        weight=wiring.sorted_weights(wanted).astype(dtype),
        axon_first=meter.axons.first,
        axons=axon_rows(meter),
        record=np.zeros((1, 2), np.int64),
        R=np.zeros(len(layout.REGISTERS), np.int64),
        D=np.array([meter.chip.neuron.membrane_noise_std, meter.chip.synapse.read_noise_std]),
    )
    memory.set("SEED", seed)
    for register, name in (("T_UPDATED", "neuron_updated"), ("T_FIRED", "neuron_fired"), ("T_MESSAGE", "message")):
        memory.set(register, meter.latency(name))
    return memory


def axon_rows(meter: NetworkMeter) -> npt.NDArray[np.int64]:
    """For each axon the core in use that it leads to, and how long one spike keeps that busy, in fs."""
    return np.stack([meter.there, meter.axon_fs()], axis=1)


def _floats(network: Network, chip: Chip, dtype: np.dtype[Any]) -> Array:
    """State and parameters of every neuron, with its mismatch: the same draws as the layers of a trained network."""
    hardware, tick_s = chip.neuron, chip.timing.tick_s
    parts = {name: np.zeros(network.neurons) for name in layout.FLOATS}
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
