"""One digital MGD step against its floor and against PyTorch, interleaved in one run.

784-100-10, batch 1, tau_theta = 1, ideal devices, one thread: a baseline inference, a perturbed one, and an update of
all 79,510 weights. The floor is one plain float32 forward pass over the same weights (compiled by numba, random input,
no silent pixels). The peer is the same algorithm in PyTorch eager (``pip install .[bench]``); without it only the floor
is measured.

Bytes of a step, at least: weights read twice (baseline and perturbed pass share one read), words read twice, weights
written once: 4 x 318 kB read + 318 kB written, against 318 kB for the plain pass.

    python bench/mgd_step.py [--pairs 30]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from neurosim import api
from neurosim.kernels.wrap import kernel

SCENARIO = {
    "chip": "nist-hw2",
    "network": {
        "layers": [
            {"type": "dense", "name": "hidden", "size": 100, "neuron": "relu"},
            {"type": "dense", "name": "output", "size": 10, "neuron": "linear"},
        ]
    },
    "task": {"data": "fashion-mnist-small", "cost": "mse"},
    "training": {"model": "mgd", "norm_mag": 0.1, "learning_rate": 0.01},
    "stop": {"steps": 1000},
    "seed": 0,
}


@kernel
def plain_forward(w1: np.ndarray, w2: np.ndarray, x: np.ndarray, h: np.ndarray, y: np.ndarray, times: int) -> None:
    """The floor: two matrix-vector products with a rectifier between, nothing else."""
    for _ in range(times):
        h[:] = 0.0
        for i in range(w1.shape[0]):
            for j in range(w1.shape[1]):
                h[j] += x[i] * w1[i, j]
        y[:] = 0.0
        for i in range(w2.shape[0]):
            a = max(h[i], np.float32(0.0))
            for j in range(w2.shape[1]):
                y[j] += a * w2[i, j]


def seconds(work: Callable[[], object], times: int) -> float:
    """Seconds of one unit of work that does ``times`` things."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) / times


def torch_step() -> Callable[[int], None] | None:
    """The peer: flat weights, one Bernoulli draw, two forward passes, one update."""
    try:
        import torch
    except ImportError:
        return None
    torch.set_num_threads(1)
    torch.manual_seed(0)
    inputs, hidden, outputs, amplitude, rate = 784, 100, 10, 1e-3, 1e-6
    size = inputs * hidden + hidden + hidden * outputs + outputs
    theta, x, target = torch.randn(size) * 0.05, torch.rand(inputs), torch.tensor([3])

    def cost(vector: torch.Tensor) -> torch.Tensor:
        first = inputs * hidden
        w1, b1 = vector[:first].view(hidden, inputs), vector[first : first + hidden]
        rest = vector[first + hidden :]
        w2, b2 = rest[: hidden * outputs].view(outputs, hidden), rest[hidden * outputs :]
        return torch.nn.functional.cross_entropy((w2 @ torch.relu(w1 @ x + b1) + b2)[None], target)

    def run(steps: int) -> None:
        with torch.no_grad():
            for _ in range(steps):
                c0 = cost(theta)
                s = torch.empty(size).bernoulli_(0.5).mul_(2 * amplitude).sub_(amplitude)
                theta.sub_((cost(theta + s) - c0) / amplitude / amplitude * rate * s)

    return run


def measure(pairs: int) -> dict[str, float]:
    """Medians of interleaved timings, and ratios pair by pair."""
    _, scenario = api.load_scenario(SCENARIO)
    machine = api.build(scenario)
    machine.data.train_x[:] = np.random.default_rng(0).random(machine.data.train_x.shape)
    machine.arrays["train_x"][:] = machine.data.train_x.reshape(-1)
    machine.burst(64)
    rng = np.random.default_rng(1)
    w1, w2 = (rng.standard_normal(shape).astype(np.float32) for shape in ((784, 100), (100, 10)))
    x, h, y = rng.random(784).astype(np.float32), np.zeros(100, np.float32), np.zeros(10, np.float32)
    plain_forward(w1, w2, x, h, y, 10)
    peer = torch_step()
    if peer is not None:
        peer(50)
    rows = []
    for _ in range(pairs):
        floor = seconds(lambda: plain_forward(w1, w2, x, h, y, 500), 500)
        ours = seconds(lambda: machine.burst(320), 320)
        other = seconds(lambda: peer(50), 50) if peer is not None else float("nan")
        rows.append((floor, ours, other))
    floor, ours, other = (statistics.median(row[k] for row in rows) for k in range(3))
    return {
        "plain_forward_us": floor * 1e6,
        "step_us": ours * 1e6,
        "torch_step_us": other * 1e6,
        "step_over_forward": statistics.median(row[1] / row[0] for row in rows),
        "steps_over_torch": statistics.median(row[2] / row[1] for row in rows),
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=30)
    result = measure(parser.parse_args().pairs)
    for name, value in result.items():
        print(f"{name:20s} {value:10.2f}")
    print("bars: step_over_forward at most 6 (goal 3); steps_over_torch at least 15 (goal 40)")


if __name__ == "__main__":
    main()
