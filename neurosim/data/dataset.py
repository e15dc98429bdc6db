"""What every dataset looks like once it is loaded, and the few helpers that build one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurosim.errors import DataError

Floats = NDArray[np.float32]
Labels = NDArray[np.int64]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)  # eq=False: comparing arrays with == has no single truth value
class Dataset:
    """Training and test samples in memory. All arrays are C-contiguous; nothing here has a unit.

    ``train_x``, ``test_x``: float32[n, *shape], inputs, pixels scaled to 0..1, images channel-last.
    ``train_y``, ``test_y``: int64[n], class numbers 0..classes-1; None where only targets exist.
    ``train_t``, ``test_t``: float32[n, n_out], what the outputs should be. One-hot for classification
    (n_out = classes); a single 0/1 output for XOR and parity (n_out = 1, classes = 2).
    ``classes``: number of classes, 0 where only targets exist.
    ``shape``: shape of one sample, (28, 28, 1) for an image, (2,) for XOR.
    ``source``: where the numbers come from, in words, for reports.
    """

    name: str
    train_x: Floats
    train_y: Labels | None
    train_t: Floats
    test_x: Floats
    test_y: Labels | None
    test_t: Floats
    classes: int
    shape: tuple[int, ...]
    source: str

    @property
    def n_in(self) -> int:
        """Inputs of one sample when it is flattened: the product of ``shape``."""
        return math.prod(self.shape)

    @property
    def n_out(self) -> int:
        """Outputs that a network for this task has."""
        return int(self.train_t.shape[1])

    @property
    def n_train(self) -> int:
        """Training samples."""
        return int(self.train_x.shape[0])

    @property
    def n_test(self) -> int:
        """Test samples."""
        return int(self.test_x.shape[0])


def one_hot(labels: Labels, classes: int) -> Floats:
    """int64[n] -> float32[n, classes]: 1 at the label, 0 elsewhere."""
    out = np.zeros((labels.size, classes), np.float32)
    out[np.arange(labels.size), labels] = 1.0
    return out


def unit_scale(pixels: Bytes) -> Floats:
    """uint8 of any shape, 0..255 -> float32 of the same shape, 0..1."""
    out = np.array(pixels, dtype=np.float32, order="C")
    out /= np.float32(255.0)
    return out


def check_labels(labels: NDArray[np.uint8] | Labels, classes: int, where: str) -> None:
    """Raise a :class:`DataError` unless every label lies in 0..classes-1."""
    if labels.size and (int(labels.min()) < 0 or int(labels.max()) >= classes):
        worst = int(labels.min()) if int(labels.min()) < 0 else int(labels.max())
        raise DataError(f"{where}: label {worst} is out of range, labels are 0..{classes - 1}")


def from_images(
    name: str,
    train: tuple[Bytes, Bytes],
    test: tuple[Bytes, Bytes],
    sizes: tuple[int, int],
    classes: int,
    source: str,
) -> Dataset:
    """Build a classification set of images from bytes.

    ``train``, ``test``: (pixels uint8[n, height, width, channels], labels uint8[n]).
    ``sizes``: how many of the first samples to keep of each; cut before the conversion to float32, which is 4 times
    as large.
    """
    train_y, test_y = (part[1][:size].astype(np.int64) for part, size in zip((train, test), sizes, strict=True))
    return Dataset(
        name=name,
        train_x=unit_scale(train[0][: sizes[0]]),
        train_y=train_y,
        train_t=one_hot(train_y, classes),
        test_x=unit_scale(test[0][: sizes[1]]),
        test_y=test_y,
        test_t=one_hot(test_y, classes),
        classes=classes,
        shape=tuple(int(size) for size in train[0].shape[1:]),
        source=source,
    )
