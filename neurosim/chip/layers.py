"""A network laid out as flat arrays: which parameters and which activations belong to which layer.

All parameters stand in one vector ``theta`` (per layer: weights ``[input, output]`` row by row, then biases), all
activations in one vector per inference. Offsets are fixed when the machine is built, so that the composed kernels
hold them as constants.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from neurosim import registry
from neurosim.errors import InputError
from neurosim.registry import ModelParameters
from neurosim.spec.scenario import Conv2d, Dense, Network, Pool


@dataclass(frozen=True)
class LayerPlan:
    """One layer: shapes, and where its parameters and activations start."""

    index: int
    name: str
    type: str
    in_shape: tuple[int, ...]
    shape: tuple[int, ...]
    weight_shape: tuple[int, ...]
    theta: int
    """First parameter in ``theta``; weights, then biases."""
    act: int
    """First activation in the activation vector (the network's input stands apart)."""
    neuron: ModelParameters | None
    spiking: bool
    mapping: str = "serial"
    pool: int = 0
    stride: int = 1
    """Inputs from one window of a convolution to the next."""

    @property
    def n_in(self) -> int:
        """Inputs of the layer."""
        return math.prod(self.in_shape)

    @property
    def n(self) -> int:
        """Neurons (or pooled outputs) of the layer."""
        return math.prod(self.shape)

    @property
    def weights(self) -> int:
        """Number of weights, biases not counted."""
        return math.prod(self.weight_shape) if self.weight_shape else 0

    @property
    def copies(self) -> int:
        """Physical copies of the weight array (one per position for a replicated convolution)."""
        return self.positions if self.mapping == "replicated" else 1

    @property
    def columns(self) -> int:
        """Columns of the weight array: outputs that one read gives."""
        return self.weight_shape[-1] if self.weight_shape else 0

    @property
    def rows(self) -> int:
        """Rows of the weight array, the bias row not counted."""
        return self.weights // self.columns if self.columns else 0

    @property
    def shared(self) -> int:
        """Weights and biases of one copy: what is learned."""
        return self.weights + self.columns

    @property
    def parameters(self) -> int:
        """Devices: weights and biases of all copies, one copy after another."""
        return self.shared * self.copies

    @property
    def positions(self) -> int:
        """Output positions of a convolution; 1 for a dense layer."""
        return math.prod(self.shape[:2]) if self.type == "conv2d" else 1

    @property
    def trainable(self) -> bool:
        """Whether the layer has weights."""
        return bool(self.weight_shape)


@dataclass(frozen=True)
class NetworkPlan:
    """All layers, and the sizes of the vectors that hold them."""

    layers: tuple[LayerPlan, ...]
    in_shape: tuple[int, ...]
    spiking: bool

    @property
    def n_in(self) -> int:
        """Inputs of the network."""
        return math.prod(self.in_shape)

    @property
    def parameters(self) -> int:
        """Length of ``theta``: devices, copies included."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def shared(self) -> int:
        """Parameters that are learned: copies of a replicated convolution count once."""
        return sum(layer.shared for layer in self.layers)

    @property
    def activations(self) -> int:
        """Length of one activation vector."""
        return sum(layer.n for layer in self.layers)

    @property
    def neurons(self) -> int:
        """Neurons, pooled outputs not counted."""
        return sum(layer.n for layer in self.layers if layer.trainable)

    @property
    def trainable(self) -> tuple[LayerPlan, ...]:
        """The layers that have weights."""
        return tuple(layer for layer in self.layers if layer.trainable)

    @property
    def output(self) -> LayerPlan:
        """The last layer."""
        return self.layers[-1]

    def layer(self, name: str) -> LayerPlan:
        """The layer of that name; raises InputError with the known ones."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise InputError(registry.unknown(name, [layer.name for layer in self.layers], "layer"))


def plan_network(network: Network, in_shape: tuple[int, ...], n_out: int) -> NetworkPlan:
    """Lay out ``network`` for inputs of ``in_shape`` and ``n_out`` outputs.

    Raises InputError listing every layer that does not fit its input.
    """
    problems: list[str] = []
    layers: list[LayerPlan] = []
    shape, theta, act = in_shape, 0, 0
    for index, spec in enumerate(network.layers):
        path = f"network.layers.{spec.name}"
        out_shape, weight_shape = _shapes(spec, shape, path, problems)
        neuron = None if isinstance(spec, Pool) else spec.neuron
        spiking = neuron is not None and neuron.model in registry.names("spiking")
        layers.append(
            LayerPlan(
                index, spec.name, spec.type, shape, out_shape, weight_shape, theta, act, neuron, spiking,
                mapping=spec.mapping if isinstance(spec, Conv2d) else "serial",
                pool=spec.size if isinstance(spec, Pool) else 0,
                stride=spec.stride if isinstance(spec, Conv2d) else 1,
            )
        )  # fmt: skip
        theta += layers[-1].parameters
        act += layers[-1].n
        shape = out_shape
    spiking_layers = [layer.spiking for layer in layers if layer.trainable]
    if any(spiking_layers) and not all(spiking_layers):
        problems.append("network.layers: spiking and analog neurons cannot stand in one network")
    if any(spiking_layers) and len(spiking_layers) != len(layers):
        problems.append("network.layers: pooling needs analog neurons; a spiking network has none to pool")
    if not problems and layers[-1].n != n_out:
        problems.append(
            f"network.layers.{layers[-1].name}: has {layers[-1].n} outputs, but the task needs {n_out}; "
            f"set its size to {n_out}"
        )
    if problems:
        raise InputError(problems)
    return NetworkPlan(tuple(layers), in_shape, any(spiking_layers))


def _shapes(
    spec: Dense | Conv2d | Pool, shape: tuple[int, ...], path: str, problems: list[str]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Output shape and weight shape of one layer; what does not fit is added to ``problems``."""
    if isinstance(spec, Dense):
        return (spec.size,), (math.prod(shape), spec.size)
    if len(shape) == 2:
        shape = (*shape, 1)
    if len(shape) != 3:
        problems.append(f"{path}: needs an input of rows x columns x channels, but gets {shape}")
        return (1, 1, 1), ()
    rows, columns, channels = shape
    size = spec.kernel if isinstance(spec, Conv2d) else spec.size
    if min(rows, columns) < size:
        problems.append(f"{path}: a window of {size} x {size} does not fit an input of {rows} x {columns}")
        return (1, 1, channels), ()
    if isinstance(spec, Conv2d):
        down, across = ((length - size) // spec.stride + 1 for length in (rows, columns))
        return (down, across, spec.channels), (size, size, channels, spec.channels)
    return (rows // size, columns // size, channels), ()
