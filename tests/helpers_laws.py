"""What the tests of laws share: small scenarios, networks written down a second time in numpy, and plain machines.

Nothing here asks the engine what is right: the reference network knows the layout of ``theta`` (per layer the weights
``[input, output]`` row by row, then the biases) and otherwise computes on its own, in float64.
"""

from __future__ import annotations

import copy
import sys
import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim import api
from neurosim.data import Dataset
from neurosim.data.dataset import one_hot
from neurosim.engine import registers
from neurosim.engine.control import Control
from neurosim.engine.machine import Machine
from neurosim.kernels import random
from neurosim.spec.scenario import Scenario

Vector = npt.NDArray[np.float64]
Table = dict[str, Any]

RI = registers.index(registers.REGISTERS_INT)
RF = registers.index(registers.REGISTERS_FLOAT)
PI = registers.index(registers.SETTINGS_INT)
PF = registers.index(registers.SETTINGS_FLOAT)

FROZEN = {"learning_rate": 1e-300, "tau_theta": 1_000_000_000}
"""Training settings that keep the weights where they are, while ``gradient`` adds up the estimate."""

ABLE = {
    "neurons": ["if", "lif", "sigmoid", "tanh", "relu", "linear"],
    "perturbation_mechanisms": ["side-element", "node", "write"],
    "write_schemes": ["element", "row", "cell", "rank1"],
    "cost_units": ["digital", "analog-mse"],
    "delta_memory": True,
    "delay_matching": False,
}
"""Capabilities that let one chip do everything asked for here."""


def merged(base: Mapping[str, Any], extra: Mapping[str, Any]) -> Table:
    """``base`` with ``extra`` over it, table by table."""
    out = copy.deepcopy(dict(base))
    for key, value in extra.items():
        both = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        out[key] = merged(out[key], value) if both else copy.deepcopy(value)
    return out


def dense(name: str, size: int, neuron: str | Table) -> Table:
    """A dense layer of a scenario."""
    return {"type": "dense", "name": name, "size": size, "neuron": neuron}


def scenario(layers: list[Table], training: Table, **more: Any) -> Scenario:
    """A scenario on an ideal chip that can do everything; ``more`` holds further tables, merged over the defaults."""
    base: Table = {
        "chip": {"name": "nist-hw2", "capabilities": ABLE},
        "network": {"dtype": "float64", "init": {"model": "uniform", "scale": 1.0}, "layers": layers},
        "task": {"data": "xor", "cost": "mse", "shuffle": False},
        "training": {"model": "mgd", "norm_mag": 1e-4, **FROZEN, **training},
        "stop": {"steps": 1_000_000},
        "seed": 1,
    }
    return api.load_scenario(merged(base, more))[1]


def samples(x: npt.ArrayLike, target: npt.ArrayLike, labels: npt.ArrayLike | None = None, classes: int = 0) -> Dataset:
    """A dataset of the given training samples (and the same for testing); ``x`` [n, *shape], ``target`` [n, n_out]."""
    inputs, wanted = np.asarray(x, np.float32), np.asarray(target, np.float32)
    y = None if labels is None else np.asarray(labels, np.int64)
    return Dataset("made", inputs, y, wanted, inputs.copy(), y, wanted.copy(), classes, inputs.shape[1:], "made here")


def classes_of(x: npt.ArrayLike, labels: npt.ArrayLike, classes: int) -> Dataset:
    """A dataset with class labels, targets one-hot."""
    y = np.asarray(labels, np.int64)
    return samples(x, one_hot(y, classes), y, classes)


def plain(machine: Machine) -> Machine:
    """The same machine with its composed kernel run as plain Python: nothing to compile, a few hundred steps a second.

    The loops of ``neurosim.kernels`` stay compiled (``test_kernels_loops`` compares them with their plain form).
    """
    source = machine.source.replace(
        "from neurosim.kernels.wrap import kernel",
        "kernel = lambda function=None, cache=False: function if function else (lambda inner: inner)",
    )
    module = types.ModuleType("plain_kernel")
    sys.modules[module.__name__] = module
    exec(compile(source, "plain_kernel", "exec"), module.__dict__)
    machine._module = module
    return machine


def same_machine(one: Machine, two: Machine) -> None:
    """All memory, all counts and the ledger are equal, bit for bit."""
    for name, arena in one.arenas.items():
        np.testing.assert_array_equal(arena.view(np.uint8), two.arenas[name].view(np.uint8), err_msg=f"arena {name}")
    assert one.totals == two.totals
    assert one.ledger() == two.ledger()


def same_run(one: tuple[Machine, Control], two: tuple[Machine, Control]) -> None:
    """The machines of two runs are equal, bit for bit, and so are the summaries."""
    same_machine(one[0], two[0])
    assert one[1].summary() == two[1].summary()


def set_weights(machine: Machine, theta: npt.ArrayLike) -> None:
    """Put weights in; everything computed from the old ones is stale."""
    machine.arrays["theta"][:] = theta
    machine.forget()


def set_setting(machine: Machine, name: str, value: float) -> None:
    """Change a run-time setting (a number) of a built machine, so that a sweep over it compiles nothing."""
    if name in PI:
        machine.arrays["pi"][PI[name]] = int(value)
    else:
        machine.arrays["pf"][PF[name]] = value


def restart(machine: Machine, seed: int) -> None:
    """Back to step 0 with another seed; weights and registers of learning are the caller's."""
    machine.arrays["ri"][:] = 0
    machine.arrays["rf"][:] = 0.0
    machine.arrays["rf"][RF["RATE"]] = machine.arrays["pf"][PF["LEARNING_RATE"]]
    machine.arrays["gradient"][:] = 0.0
    set_setting(machine, "SEED", seed)


def window(machine: Machine, steps: int) -> Vector:
    """Take ``steps`` steps and hand out what the integrators gathered in them, then empty the integrators."""
    assert machine.burst(steps) == steps
    gathered = np.array(machine.arrays["gradient"], np.float64)
    machine.arrays["gradient"][:] = 0.0
    return gathered


def estimates(machine: Machine, windows: int, tau: int) -> Vector:
    """``windows`` gradient estimates ghat = (P/tau) G, each from ``tau`` steps: [windows, P]."""
    size = machine.plan.parameters
    return np.array([window(machine, tau) for _ in range(windows)]) * size / tau


def signs(seed: int, size: int, n: int) -> Vector:
    """The random code's signs of perturbation ``n``: bit n mod 32 of each parameter's word of block n div 32."""
    key = random.stream_key(seed, random.STREAM_PERTURBATION, n // 32, 0, 0)
    words = np.array([random.draw_bits(key, element) for element in range(size)], np.uint64)
    return np.where((words >> np.uint64(n % 32)) & np.uint64(1), 1.0, -1.0)


def slopes(machine: Machine) -> Vector:
    """The slope of the cost along the probe of each inference of the last step, as the first domain heard it."""
    measured = np.array(machine.arrays["slope"], np.float64)
    return measured.reshape(len(machine.composition.step.slots) + 1, -1)[: len(machine.composition.step.slots), 0]


FUNCTIONS: dict[str, Callable[[Vector], Vector]] = {
    "sigmoid": lambda z: 1.0 / (1.0 + np.exp(-z)),
    "tanh": np.tanh,
    "relu": lambda z: np.maximum(z, 0.0),
    "linear": lambda z: z,
}


class Reference:
    """A network of dense, convolution and pooling layers in numpy, with the four-parameter neuron mismatch."""

    def __init__(self, machine: Machine) -> None:
        self.plan = machine.plan
        self.arrays = machine.arrays
        self.mismatched = "NEURON_MISMATCH = True" in machine.source

    def outputs(self, theta: Vector, x: npt.ArrayLike, injection: Vector | None = None) -> Vector:
        """All layers' activations after one another; ``injection`` [nodes] is added to the pre-activations."""
        a = np.asarray(x, np.float64)
        everything = []
        for layer in self.plan.layers:
            a = a.reshape(layer.in_shape if len(layer.in_shape) != 2 else (*layer.in_shape, 1))
            if not layer.trainable:
                a = self._pooled(a, layer.pool, layer.type)
            else:
                w = theta[layer.theta : layer.theta + layer.weights].reshape(layer.weight_shape)
                b = theta[layer.theta + layer.weights : layer.theta + layer.parameters]
                z = a.reshape(-1) @ w + b if layer.type == "dense" else self._convolved(a, w) + b
                assert layer.neuron is not None
                a = self._fired(z, layer.neuron.model, slice(layer.act, layer.act + layer.n), injection)
            everything.append(a.reshape(-1))
        return np.concatenate(everything)

    def _fired(self, z: Vector, neuron: str, span: slice, injection: Vector | None) -> Vector:
        flat = z.reshape(-1).copy()
        if injection is not None:
            flat += injection[span]
        function = FUNCTIONS[neuron]
        if not self.mismatched:
            return function(flat).reshape(z.shape)
        names = ("node_scale", "node_slope", "node_x_offset", "node_y_offset")
        scale, slope, x0, y0 = (np.asarray(self.arrays[name][span], np.float64) for name in names)
        return (scale * function(slope * (flat - x0)) + y0).reshape(z.shape)

    @staticmethod
    def _convolved(x: Vector, w: Vector) -> Vector:
        patches = np.lib.stride_tricks.sliding_window_view(x, w.shape[:2], axis=(0, 1))
        return np.asarray(np.einsum("yxcuv,uvco->yxo", patches, w))

    @staticmethod
    def _pooled(x: Vector, size: int, kind: str) -> Vector:
        rows, columns = x.shape[0] // size, x.shape[1] // size
        blocks = x[: rows * size, : columns * size].reshape(rows, size, columns, size, -1)
        return np.asarray(blocks.max(axis=(1, 3)) if kind == "maxpool" else blocks.mean(axis=(1, 3)))

    def cost(self, theta: Vector, x: npt.ArrayLike, target: npt.ArrayLike, injection: Vector | None = None) -> float:
        """Mean squared error of the output layer (the factor is 1/K, without 1/2)."""
        y = self.outputs(theta, x, injection)[-self.plan.output.n :]
        return float(np.mean((y - np.asarray(target, np.float64)) ** 2))

    def gradient(self, theta: Vector, x: npt.ArrayLike, target: npt.ArrayLike, step: float = 1e-5) -> Vector:
        """dC/dtheta by central differences, error O(step^2)."""
        out = np.empty(theta.size)
        for e in range(theta.size):
            shift = np.zeros(theta.size)
            shift[e] = step
            out[e] = (self.cost(theta + shift, x, target) - self.cost(theta - shift, x, target)) / (2.0 * step)
        return out


def cosine(a: Vector, b: Vector) -> float:
    """Cosine between two vectors."""
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
