r"""Mean squared error.

    C = (1/K) sum_k (y_k - t_k)^2,        dC/dy_k = (2/K) (y_k - t_k)

y_k, t_k   output and target of the K output neurons, dimensionless
C          cost of one sample

There is no factor 1/2: this is the cost that the published learning rates of multiplexed gradient descent refer to.

Source: A. McCaughan et al., Multiplexed gradient descent, APL Mach. Learn. 1, 026118 (2023).
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurosim.registry import ModelParameters, register


@register("cost", "mse")
class MeanSquaredError(ModelParameters):
    """The mean over the outputs of the squared error."""

    model: Literal["mse"] = "mse"

    @property
    def smoothing(self) -> float:
        """0: targets are taken as they are."""
        return 0.0


def cost(y: NDArray[np.floating[Any]], target: NDArray[np.floating[Any]], smoothing: float) -> float:
    """C of one sample."""
    size: int = y.shape[0]
    total = 0.0
    for k in range(size):
        error = np.float64(y[k]) - np.float64(target[k])
        total += error * error
    return total / size


def gradient(
    y: NDArray[np.floating[Any]], target: NDArray[np.floating[Any]], smoothing: float, out: NDArray[np.floating[Any]]
) -> None:
    """dC/dy of one sample, into ``out``."""
    size: int = y.shape[0]
    for k in range(size):
        out[k] = 2.0 * (np.float64(y[k]) - np.float64(target[k])) / size


def residual(c: float) -> float:
    """How large the gradient is where the cost is ``c``: |dC/dy| grows as the square root of C."""
    return math.sqrt(max(c, 0.0))
