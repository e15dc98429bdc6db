"""Functions that the composed kernel of a run puts in: the perturbation code of that run.

Numba cannot keep a kernel on disk that takes functions as arguments, so loops over model equations call these names,
and the composer copies such a loop's source next to the run's own definitions. What stands here is the simplest
form, for reading and for testing the loops as plain Python.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim.kernels.wrap import kernel

Floats = npt.NDArray[np.floating[Any]]
Words = npt.NDArray[np.uint32]


@kernel
def tilde(words: Words, mismatch: Floats, e: int, n: int) -> float:
    """The perturbation that parameter ``e`` feels at number ``n``, at unit amplitude: here bit n mod 32 as a sign."""
    return 1.0 if (words[e] >> np.uint32(n & 31)) & np.uint32(1) else -1.0


@kernel
def assumed(words: Words, e: int, n: int) -> float:
    """The perturbation that the learning rule believes in (the code, without mismatch)."""
    return 1.0 if (words[e] >> np.uint32(n & 31)) & np.uint32(1) else -1.0
