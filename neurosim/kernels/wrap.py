"""The one way a function becomes machine code here: ``@kernel``.

Every compiled function of the simulator goes through this wrapper, so that the rules that make two runs give the same
bits stand in one place:

* no ``fastmath``: a sum keeps the order in which it is written, whatever the vector width;
* no SVML: vector versions of ``exp`` or ``log`` round differently from the scalar ones in the loop's remainder, so the
  result would depend on where in an array an element stands;
* no ``parallel``: threads are the caller's business, and never change an order of summation;
* ``error_model="numpy"``: division by zero gives inf or nan, as in an array, and leaves loops free to vectorise;
* bounds checks only on request, by ``NEUROSIM_BOUNDSCHECK=1`` in the environment.

The GIL is released during a call. The plain Python form stays reachable as ``.py_func``.

``cache=True`` keeps the machine code on disk between processes. Numba notices an edit of the file in which the function
stands, not of other files whose functions it calls: use it for functions that call only into their own file or into
files that are frozen (like ``random``); composed kernels are the engine's, which names them by the hash of all sources.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from typing import Any, ParamSpec, Protocol, TypeVar, cast, overload

# Numba looks for SVML while it is imported, so this must stand before the import.
os.environ["NUMBA_DISABLE_INTEL_SVML"] = "1"

import numba

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)

BOUNDSCHECK: bool = os.environ.get("NEUROSIM_BOUNDSCHECK", "0") == "1"
"""Whether compiled functions check every index (slow; for finding a fault). Read once, at import."""


def svml_in_use() -> bool:
    """Whether numba was imported, before this module, in a way that let it link Intel's SVML."""
    return bool(getattr(numba.config, "USING_SVML", False))


if svml_in_use():
    warnings.warn(
        "numba was imported before neurosim and uses Intel SVML: results may differ in the last bits from those of "
        "other machines; import neurosim first or set NUMBA_DISABLE_INTEL_SVML=1",
        RuntimeWarning,
        stacklevel=2,
    )


class Kernel(Protocol[P, R_co]):
    """A compiled function: called like the original, which stays reachable as ``py_func``."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co: ...

    @property
    def py_func(self) -> Callable[P, R_co]:
        """The plain Python form."""
        ...


@overload
def kernel(function: Callable[P, R_co], /) -> Kernel[P, R_co]: ...


@overload
def kernel(*, cache: bool = ...) -> Callable[[Callable[P, R_co]], Kernel[P, R_co]]: ...


def kernel(function: Callable[..., Any] | None = None, /, *, cache: bool = False) -> Any:
    """Compile a function with the rules of this module: ``@kernel``, ``@kernel(cache=True)`` or ``kernel(function)``.

    With ``NUMBA_DISABLE_JIT=1`` the function stays plain Python and still has its ``py_func``.
    """
    if function is None:
        return lambda original: _compile(original, cache)
    return _compile(function, cache)


def _compile(function: Callable[P, R_co], cache: bool) -> Kernel[P, R_co]:
    # Numba's cache does not tell code with bounds checks from code without, so checked code is never cached.
    compiled = numba.njit(
        cache=cache and not BOUNDSCHECK,
        fastmath=False,
        parallel=False,
        nogil=True,
        error_model="numpy",
        boundscheck=BOUNDSCHECK,
    )(function)
    if not hasattr(compiled, "py_func"):  # NUMBA_DISABLE_JIT: njit hands the function back as it is
        compiled.py_func = function
    return cast("Kernel[P, R_co]", compiled)
