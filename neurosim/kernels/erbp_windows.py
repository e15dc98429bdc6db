"""Inner loops of event-driven random back-propagation through a convolution: one kernel, looked up by many neurons.

A spike at input (y, x, c) reaches every window that holds it: with offset (u, v) in the window of output (oy, ox),
where y = oy stride + u and x = ox stride + v, the row ``w[u, v, c]`` of all maps is added to the currents of (oy, ox).
Maps are last, so a row is contiguous. Each such row is a row of synapses of its own (an alias of the stored weights):
it transmits or drops on its own, and its change is added to the stored weights with that of all other aliases.

Changes are gathered in ``pending`` and written at the end of the tick, so that all spikes of a tick meet the same
weights and their order does not matter: dw[u, v, c, o] = sum over spikes and windows of rate u(oy, ox, o), gated.
"""

from __future__ import annotations

import math

import numpy as np

from neurosim.kernels.erbp import ALWAYS, HALF, LOWER, UPPER, Floats, Integers, Words
from neurosim.kernels.random import draw_bits, uniform
from neurosim.kernels.wrap import kernel


@kernel
def first_window(position: int, size: int, stride: int) -> int:
    """The first window along an axis that holds an input at ``position``; windows start every ``stride``."""
    return max(0, (position - size + stride) // stride)


@kernel
def last_window(position: int, stride: int, outputs: int) -> int:
    """The last of them; before the first where a border is left over."""
    return min(position // stride, outputs - 1)


@kernel
def _add(row: Floats, current: Floats) -> None:
    for j in range(row.shape[0]):
        current[j] += row[j]


@kernel
def _add_learn(row: Floats, current: Floats, change: Floats, pending: Floats) -> int:
    zero = row.dtype.type(0.0)
    written = np.int32(0)
    for j in range(row.shape[0]):
        current[j] += row[j]
        pending[j] += change[j]
        written += np.int32(change[j] != zero)
    return int(written)


@kernel
def transmit_windows(
    w: Floats, fired: Integers, count: int, columns: int, stride: int, current: Floats, change: Floats,
    pending: Floats, learning: bool,
) -> tuple[int, int]:  # fmt: skip
    """Spikes of ``fired[:count]`` reach w [size, size, channels, maps]; with ``learning`` its changes are gathered.

    ``current``, ``change`` [rows, columns, maps] of the outputs, ``pending`` like w; ``columns`` of the inputs. Returns
    rows of synapses reached, and synapses changed.
    """
    size, channels = w.shape[0], w.shape[2]
    driven, written = 0, 0
    for k in range(count):
        place, c = fired[k] // channels, fired[k] % channels
        y, x = place // columns, place % columns
        for oy in range(first_window(y, size, stride), last_window(y, stride, current.shape[0]) + 1):
            u = y - oy * stride
            for ox in range(first_window(x, size, stride), last_window(x, stride, current.shape[1]) + 1):
                v = x - ox * stride
                driven += 1
                if learning:
                    written += _add_learn(w[u, v, c], current[oy, ox], change[oy, ox], pending[u, v, c])
                else:
                    _add(w[u, v, c], current[oy, ox])
    return driven, written


@kernel
def drop_windows(
    w: Floats, fired: Integers, count: int, columns: int, stride: int, current: Floats, change: Floats,
    pending: Floats, learning: bool, words: Words, key: np.int64, first: int, limit: int,
) -> tuple[int, int]:  # fmt: skip
    """`transmit_windows` through synapses that each transmit with probability ``limit`` / 65536.

    The words of input i are the elements from ``first + i size^2 ceil(maps / 2)`` of the key, offset by offset, two
    maps to a word: map j and map j + ceil(maps / 2). ``words`` has room for an input's, and ceil(maps / 2) counters.
    """
    size, channels, maps, across = w.shape[0], w.shape[2], w.shape[3], current.shape[1]
    half = (maps + 1) // 2
    most = np.int32(limit)
    zero = w.dtype.type(0.0)
    stored, gathered = w.reshape(w.size), pending.reshape(w.size)
    currents, changes = current.reshape(current.size), change.reshape(current.size)
    changed = words[size * size * half :]  # counted word by word, so that no sum runs across a row
    driven, written = 0, 0
    for j in range(half):
        changed[j] = 0
    for k in range(count):
        place, c = fired[k] // channels, fired[k] % channels
        y, x = place // columns, place % columns
        start = first + fired[k] * (size * size * half)
        for e in range(size * size * half):
            words[e] = draw_bits(key, start + e)
        for oy in range(first_window(y, size, stride), last_window(y, stride, current.shape[0]) + 1):
            u = y - oy * stride
            for ox in range(first_window(x, size, stride), last_window(x, stride, across) + 1):
                tap = u * size + x - ox * stride
                r, o, d = (tap * channels + c) * maps, (oy * across + ox) * maps, tap * half
                row, out, drawn = stored[r : r + maps], currents[o : o + maps], words[d : d + half]
                driven += 1
                if learning:  # loops stand here, and not in functions of their own: rows are too short for calls
                    by, to = changes[o : o + maps], gathered[r : r + maps]
                    for j in range(maps // 2):
                        low, high = np.int32(drawn[j] & HALF) < most, np.int32(drawn[j] >> UPPER) < most
                        one = by[j] if low else zero
                        other = by[half + j] if high else zero
                        out[j] += row[j] if low else zero
                        out[half + j] += row[half + j] if high else zero
                        to[j] += one
                        to[half + j] += other
                        changed[j] += np.uint32(one != zero) + np.uint32(other != zero)
                else:
                    for j in range(maps // 2):
                        out[j] += row[j] if np.int32(drawn[j] & HALF) < most else zero
                        out[half + j] += row[half + j] if np.int32(drawn[j] >> UPPER) < most else zero
                j = half - 1
                if maps % 2 == 1 and np.int32(drawn[j] & HALF) < most:  # an odd map has a word of its own
                    out[j] += row[j]
                    if learning:
                        to[j] += by[j]
                        changed[j] += np.uint32(by[j] != zero)
    for j in range(half):
        written += int(changed[j])
    return driven, written


@kernel
def round_windows(
    w: Floats, free: Words, fired: Integers, count: int, columns: int, stride: int, current: Floats, change: Floats,
    pending: Floats, key: np.int64, first: int, limit: int, rounding_key: np.int64, step: float,
) -> tuple[int, int]:  # fmt: skip
    """The general case: stuck weights (``free`` 0) stay, and with ``step`` > 0 every alias's change is whole steps.

    A change of x steps becomes floor(x + U(0, 1)) of them, alias by alias: unbiased. The draws of transmission are
    those of `drop_windows`.
    """
    size, channels, maps = w.shape[0], w.shape[2], w.shape[3]
    half = (maps + 1) // 2
    driven, written = 0, 0
    for k in range(count):
        place, c = fired[k] // channels, fired[k] % channels
        y, x = place // columns, place % columns
        for oy in range(first_window(y, size, stride), last_window(y, stride, current.shape[0]) + 1):
            u = y - oy * stride
            for ox in range(first_window(x, size, stride), last_window(x, stride, current.shape[1]) + 1):
                v = x - ox * stride
                driven += 1
                alias = fired[k] * (size * size) + u * size + v
                for j in range(maps):
                    if limit < ALWAYS:
                        word = draw_bits(key, first + alias * half + (j if j < half else j - half))
                        if int((word >> (LOWER if j < half else UPPER)) & HALF) >= limit:
                            continue
                    current[oy, ox, j] += w[u, v, c, j]
                    wanted = change[oy, ox, j]
                    if wanted == 0.0 or free[u, v, c, j] == 0:
                        continue
                    if step > 0.0:
                        pulses = math.floor(wanted / step + uniform(rounding_key, first + alias * maps + j))
                        if pulses == 0:
                            continue
                        wanted = step * pulses
                    pending[u, v, c, j] += wanted
                    written += 1
    return driven, written


@kernel
def write_windows(w: Floats, pending: Floats, step: float, w_min: float, w_max: float) -> None:
    """What the aliases of a tick have gathered goes into the stored weights; flat arrays.

    With ``step`` > 0 weights are levels ``w_min + n step`` up to ``w_max``.
    """
    zero = w.dtype.type(0.0)
    if step > 0.0:
        for e in range(w.shape[0]):
            if pending[e] != zero:
                level = math.floor((w[e] - w_min) / step + 0.5) + math.floor(pending[e] / step + 0.5)
                w[e] = min(max(w_min + level * step, w_min), w_max)
                pending[e] = zero
        return
    for e in range(w.shape[0]):
        w[e] += pending[e]
        pending[e] = zero
