"""Ask for memory before it is needed.

What a spike reaches lies in runs of a few hundred bytes at places that no hardware can guess, so the loops over
synapses and axons wait for memory more than they add. Asking for the run of a later spike while an earlier one is
worked on halves their time. It changes no result: in plain Python it does nothing.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

LINE_B = 64
"""Bytes that come at once."""

AHEAD = 2
"""How many spikes ahead of its use a run is asked for."""

RUN = 1024
"""Entries of a run that are asked for, at most: the hardware sees by itself how a long one goes on."""


def prefetch(array: Any, index: int) -> None:
    """Ask for the line of memory that holds ``array[index]`` (one-dimensional, contiguous); any index is allowed."""


def _instruction(typing: Any, array: Any, index: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
        address = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        shape = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        call = builder.module.declare_intrinsic("llvm.prefetch", [byte], shape)
        builder.call(call, [address, word(0), word(3), word(1)])  # to read, to keep in all caches, data
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


_prefetch: Any = intrinsic(_instruction)


@overload(prefetch, inline="always")
def _compiled(array: Any, index: int) -> Any:
    def ask(array: Any, index: int) -> None:
        _prefetch(array, index)

    return ask
