"""XOR and n-bit parity: every input pattern once, one 0/1 output. Training set and test set are the same.

The classic small tasks of on-chip learning, used for multiplexed gradient descent (McCaughan et al. 2023): a network
without a hidden layer cannot learn them.
"""

from __future__ import annotations

import numpy as np

from neurosim.data.catalog import Option, Request, register
from neurosim.data.dataset import Dataset, Floats, Labels


def patterns(bits: int) -> tuple[Floats, Labels]:
    """All 2^bits patterns in counting order, the first input the highest bit.

    Returns (inputs float32[2^bits, bits] of 0 and 1, parity int64[2^bits]: 1 where the number of ones is odd).
    """
    numbers = np.arange(1 << bits, dtype=np.int64)
    inputs = (numbers[:, None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.ascontiguousarray(inputs, np.float32), inputs.sum(axis=1) & 1


def _build(request: Request, bits: int, source: str) -> Dataset:
    x, y = patterns(bits)
    n_train, n_test = request.sizes(len(x), len(x))
    t = y[:, None].astype(np.float32)
    return Dataset(
        name=request.name,
        train_x=x[:n_train].copy(),
        train_y=y[:n_train].copy(),
        train_t=t[:n_train].copy(),
        test_x=x[:n_test].copy(),  # a copy, so that changing one set cannot change the other
        test_y=y[:n_test].copy(),
        test_t=t[:n_test].copy(),
        classes=2,
        shape=(bits,),
        source=source,
    )


@register("xor", "exclusive or of two inputs: 4 patterns, one 0/1 output, training set = test set")
def load_xor(request: Request) -> Dataset:
    """The four patterns 00, 01, 10, 11."""
    return _build(request, 2, "generated: all 4 patterns of XOR")


@register(
    "parity",
    "parity of n inputs (option bits): 2^n patterns, one 0/1 output, training set = test set",
    bits=Option(default=4, low=1, high=16, about="number of inputs"),
)
def load_parity(request: Request) -> Dataset:
    """All patterns of ``bits`` inputs; 1 where the number of ones is odd."""
    bits = int(request.options["bits"])
    return _build(request, bits, f"generated: all {1 << bits} patterns of {bits}-bit parity")
