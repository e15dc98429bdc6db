"""What threads that work on one network say to one another: how far they are.

A thread writes its spikes, then how far it is; another one that sees that number sees the spikes as well (release and
acquire). In plain Python these are plain reads and writes.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

LINE = 8
"""64-bit numbers that lie together in memory: one thread's number stands that far from the next one's."""


def publish(array: Any, index: int, value: int) -> None:
    """``array[index] = value`` (64-bit integers, contiguous), after everything that was written before."""
    array[index] = value


def look(array: Any, index: int) -> Any:
    """``array[index]``, before everything that is read after."""
    return array[index]


def give_way() -> None:
    """Let another thread have the processor."""


def _address(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    return builder.gep(context.make_array(kind)(context, builder, array).data, [index])


def _store(typing: Any, array: Any, index: Any, value: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _address(context, builder, signature.args[0], arguments[0], arguments[1])
        builder.store_atomic(arguments[2], address, "release", 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.int64), generate


def _load(typing: Any, array: Any, index: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = _address(context, builder, signature.args[0], arguments[0], arguments[1])
        return builder.load_atomic(address, "acquire", 8)

    return types.int64(array, types.intp), generate


def _yield(typing: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        function = builder.module.globals.get("sched_yield")
        if function is None:
            function = ir.Function(builder.module, ir.FunctionType(ir.IntType(32), []), "sched_yield")
        builder.call(function, [])
        return context.get_dummy_value()

    return types.void(), generate


_publish: Any = intrinsic(_store)
_look: Any = intrinsic(_load)
_give_way: Any = intrinsic(_yield)


@overload(publish)
def _compiled_publish(array: Any, index: int, value: int) -> Any:
    def write(array: Any, index: int, value: int) -> None:
        _publish(array, index, value)

    return write


@overload(look)
def _compiled_look(array: Any, index: int) -> Any:
    def read(array: Any, index: int) -> Any:
        return _look(array, index)

    return read


@overload(give_way)
def _compiled_give_way() -> Any:
    def give() -> None:
        _give_way()

    return give
