"""Zero and one that take the type of what they meet.

A literal ``1.0`` is a float64 to numba, and turns float32 arithmetic into float64. These are integers of the smallest
type, which numba and NumPy alike promote to that of the other operand: float32 stays float32, float64 stays float64.
"""

from __future__ import annotations

from typing import Final, cast

import numpy as np

ZERO: Final = cast("float", np.int8(0))
ONE: Final = cast("float", np.int8(1))
