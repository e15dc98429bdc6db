"""How many neurons of the 400-400-10 network fire: the derived inputs of the spiking-backpropagation rows.

    python bench/silicon_activity.py         needs MNIST; some ten seconds

The network and its rule, as its authors publish them (github.com/lanl/spikingBackprop, numpy_simulation.py), in our
words: inputs are bits, images cropped to 20 x 20 and cut at half the range. A neuron fires where its sum exceeds 512;
weights are whole numbers within 254 of zero. The slope of the activation is 1 where the sum lies between 0 and 1023,
else 0. An output that is wrong, and whose slope is not zero, sends its sign d back; W2 changes by 2 d h. A hidden
neuron with slope 1 whose sum of d W2 is not zero takes its sign; W1 changes by 2 sign x. One sample after another, in
random order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurosim.data import load

THRESHOLD, LIMIT, STEP = 512.0, 254.0, 2.0
Bits = NDArray[np.bool_]
Floats = NDArray[np.float64]


def lit(images: NDArray[Any]) -> Bits:
    """Images [n, 28, 28, 1] in 0..1 as input bits [n, 400]: cropped by 4 on all sides, on above 127 of 255."""
    return images[:, 4:24, 4:24, 0].reshape(len(images), 400) > 127.5 / 255.0


def first_weights(rng: np.random.Generator, rows: int, columns: int) -> Floats:
    """Normal, of variance 2 / (rows + columns) in units of 1024; cut at 240, whole and even."""
    drawn = np.clip(rng.standard_normal((rows, columns)) * np.sqrt(2.0 / (rows + columns)) * 1024.0, -240.0, 240.0)
    even: Floats = np.trunc(drawn / 2.0) * 2.0
    return even


def slope(total: Floats) -> Bits:
    """Where the activation rises: between silence and the highest value."""
    return (total > 0.0) & (total <= 2.0 * THRESHOLD - 1.0)


def measure(epochs: int = 2, watched: int = 10_000, seed: int = 43) -> dict[str, float]:
    """Mean numbers of neurons that fire: in training (last samples of each epoch), and on all test images."""
    data = load("mnist")
    train, test, labels = lit(data.train_x), lit(data.test_x), data.train_y
    assert labels is not None
    assert data.test_y is not None
    rng = np.random.default_rng(seed)
    w1, w2 = first_weights(rng, 400, 400), first_weights(rng, 400, 10)
    seen: list[tuple[int, int, int]] = []
    for _ in range(epochs):
        for k, sample in enumerate(rng.permutation(len(train))):
            back, hidden, box = _step(w1, w2, np.flatnonzero(train[sample]), int(labels[sample]))
            if k >= len(train) - watched:
                seen.append((hidden, box, back))
    hidden_test = test @ w1 > THRESHOLD
    right = ((hidden_test @ w2).argmax(axis=1) == data.test_y).mean()
    low, high = np.percentile(test.sum(axis=1), [5, 95])
    hidden_train, box_train, back_train = np.mean(seen, axis=0)
    return {
        "lit": float(test.sum(axis=1).mean()), "lit_5": float(low), "lit_95": float(high),
        "lit_training": float(train.sum(axis=1).mean()), "hidden": float(hidden_test.sum(axis=1).mean()),
        "hidden_training": float(hidden_train), "box": float(box_train), "back": float(back_train),
        "accuracy": float(right),
    }  # fmt: skip


def _step(w1: Floats, w2: Floats, on: NDArray[np.int64], label: int) -> tuple[int, int, int]:
    """One sample, weights changed in place: neurons that the error reaches, that fire, and whose slope is 1."""
    total = w1[on].sum(axis=0)
    fired, rises = np.flatnonzero(total > THRESHOLD), slope(total)
    out = w2[fired].sum(axis=0)
    error = -(out > THRESHOLD).astype(np.float64)
    error[label] += 1.0
    error[~slope(out)] = 0.0
    if not error.any():
        return 0, fired.size, int(rises.sum())
    w2[fired] = np.clip(w2[fired] + STEP * error, -LIMIT, LIMIT)
    sign = np.sign(w2 @ error) * rises
    reached = np.flatnonzero(sign)
    w1[np.ix_(on, reached)] = np.clip(w1[np.ix_(on, reached)] + STEP * sign[reached], -LIMIT, LIMIT)
    return reached.size, fired.size, int(rises.sum())


if __name__ == "__main__":
    for name, value in measure().items():
        print(f"{name:16s} {value:.3f}")
