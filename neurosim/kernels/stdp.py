"""Synapses that learn from pairs of spikes: the loops that deliver over them and change them.

Weights of a plastic connection lie by postsynaptic neuron, then by presynaptic neuron. A postsynaptic spike, which
changes all weights that lead to its neuron, is then one vector loop; a presynaptic spike takes one weight from every
row. Where every pair has its synapse (*dense*), each row has ``sources`` weights, and ``w`` begins with that of neuron
``j_low``; otherwise (*sparse*) row j begins at ``row_first[j]``, and ``row_source`` names the presynaptic neurons.

Traces and order are those of ``models.plasticity.base``. Loops with ``on_pre`` or ``on_post`` in them are copied into a
run's kernel, where these two are those of a rule (``engine.network_plasticity``); its numbers come as the tuple ``c``.
What stands here is the simplest rule, for reading and for testing the loops by themselves.

Sums start at what is there, and take presynaptic neurons in the order in which they come: by number.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from neurosim.kernels.wrap import kernel

Array = npt.NDArray[Any]
Words = npt.NDArray[np.uint32]
Rows = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]

FLOOR: Final = np.float32(1e-30)
"""A trace below is 0: 69 time constants after its last spike, and long before arithmetic gets slow."""
_NOTHING: Final = np.float32(0.0)
_SPIKE: Final = np.float32(1.0)
_1: Final = np.uint64(1)


@kernel
def on_pre(w: float, x: float, y: float, a_plus: float, a_minus: float, w_min: float, w_max: float) -> float:
    """Stands for the rule's own."""
    return min(max(w - a_minus * y, w_min), w_max)


@kernel
def on_post(w: float, x: float, y: float, a_plus: float, a_minus: float, w_min: float, w_max: float) -> float:
    """Stands for the rule's own."""
    return min(max(w + a_plus * x, w_min), w_max)


@kernel(cache=True)
def fade(trace: Array, decay: float) -> None:
    """One tick of every trace: ``x <- decay x``."""
    for k in range(trace.size):
        left = trace[k] * decay
        trace[k] = left if left > FLOOR else _NOTHING


@kernel(cache=True)
def note(trace: Array, who: Words, count: int, nearest: bool) -> None:
    """A spike of each of ``who[:count]``: its trace rises by 1, or to 1 (``nearest``)."""
    for k in range(count):
        i = np.uint64(who[k])
        trace[i] = _SPIKE if nearest else trace[i] + _SPIKE


@kernel(cache=True)
def pick(spikes: Words, low: int, high: int, begin: int, size: int, into: Words, count: int) -> int:
    """``size`` neurons from ``begin`` on among ``spikes[low:high]``, counted from there, behind ``into[:count]``."""
    for k in range(low, high):
        i = np.int64(spikes[k]) - begin
        if 0 <= i < size:
            into[count] = np.uint32(i)
            count += 1
    return count


@kernel
def arrive_dense(
    arrived: Words, count: int, sources: int, j_low: int, j_high: int, w: Array, x: Array, y: Array, into: Array, c: Any
) -> None:
    """From ``arrived[:count]`` reach the neurons ``j_low`` to ``j_high`` - 1: ``into[j] += w``; then ``on_pre``."""
    if count == 0:
        return
    for j in range(j_low, j_high):
        row = w[(j - j_low) * sources : (j - j_low + 1) * sources]
        total, trace = into[j], y[j]
        for k in range(count):
            i = np.uint64(arrived[k])
            total += row[i]
            row[i] = on_pre(row[i], x[i], trace, *c)
        into[j] = total


@kernel
def fire_dense(fired: Words, count: int, sources: int, j_low: int, w: Array, x: Array, y: Array, c: Any) -> None:
    """Every weight that leads to a neuron of ``fired[:count]``: ``on_post``."""
    for k in range(count):
        j = np.int64(fired[k])
        row = w[(j - j_low) * sources : (j - j_low + 1) * sources]
        trace = y[j]
        for i in range(row.size):
            row[i] = on_post(row[i], x[i], trace, *c)


@kernel
def arrive_sparse(
    arrived: Words, count: int, out_first: Rows, out_at: Words, out_target: Words, w: Array, x: Array, y: Array,
    into: Array, c: Any,
) -> None:  # fmt: skip
    """`arrive_dense`: synapses of neuron i stand at ``out_at[out_first[i]:out_first[i + 1]]``, targets ascending."""
    for k in range(count):
        i = np.uint64(arrived[k])
        for s in range(out_first[i], out_first[i + _1]):
            j, at = np.uint64(out_target[s]), np.uint64(out_at[s])
            into[j] += w[at]
            w[at] = on_pre(w[at], x[i], y[j], *c)


@kernel
def fire_sparse(
    fired: Words, count: int, row_first: Rows, row_source: Words, w: Array, x: Array, y: Array, c: Any
) -> None:
    """`fire_dense`, over lists."""
    for k in range(count):
        j = np.uint64(fired[k])
        trace = y[j]
        for s in range(row_first[j], row_first[j + _1]):
            w[s] = on_post(w[s], x[np.uint64(row_source[s])], trace, *c)


@kernel(cache=True)
def busiest(
    spikes: Words, tick_first: Integers, first: Integers, core: Integers, synapses: Integers, into: Integers,
    home: Words, changed: Integers, most: Integers,
) -> None:  # fmt: skip
    """``most[t]``: synapses that the spikes of tick t change in the core that changes most of them.

    A spike of neuron i changes ``synapses[e]`` in core ``core[e]``, e from ``first[i]`` to ``first[i + 1]`` - 1, and
    ``into[i]`` in its own. ``changed``: room for one number a core.
    """
    for t in range(most.size):
        changed[:] = 0
        for k in range(tick_first[t], tick_first[t + 1]):
            i = np.int64(spikes[k])
            changed[home[i]] += into[i]
            for e in range(first[i], first[i + 1]):
                changed[core[e]] += synapses[e]
        most[t] = changed.max()
