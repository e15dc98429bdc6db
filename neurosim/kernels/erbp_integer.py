"""Inner loops of event-driven random back-propagation in whole numbers: the NSAT tick, laid out for dense layers.

The tick is that of ``neurosim.kernels.nsat`` bit for bit (``tests/test_erbp_integer.py`` runs both), random parts
included: the same keys, the same elements. What differs is the order in memory. All synapses of an input lie in one
row, so that events and learning are loops over neighbours; weights and sums of weights are floats that hold whole
numbers, exact up to 2^24 in float32, because a machine's memory of weights is one of floats.

A random whole number below 2^n is smaller than q exactly where the 32 random bits it comes from are smaller than
2^(32-n) q, and a uniform in (0, 1) times 15 is smaller than p where they are smaller than `blank_limit`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from neurosim.kernels.erbp import Floats, Integers, Words, draw
from neurosim.kernels.random import draw_bits, normal
from neurosim.kernels.wrap import kernel

WORD: Final = 32767
"""States have 16 bits."""


def blank_limit(transmit: int) -> int:
    """The number of 32-bit words for which (word + 1/2) / 2^32 * 15 < transmit in double precision; 2^32 for 15."""
    if transmit >= 15:
        return 1 << 32
    low, high = 0, 1 << 32
    while low < high:
        word = (low + high) // 2
        if (float(word) + 0.5) * 2.0**-32 * 15.0 < transmit:
            low = word + 1
        else:
            high = word
    return low


@kernel
def step_state(x: Integers, arrived: Floats, leak: int, gain: int) -> None:
    """``x <- x - shift(x, -leak) + clip16(shift(arrived, gain))``; ``arrived`` is used up; ``leak`` 0: none."""
    for j in range(x.shape[0]):
        got = int(arrived[j])
        arrived[j] = 0.0
        size = abs(got)
        size = size << gain if gain >= 0 else size >> -gain
        got = min(max(size if got >= 0 else -size, -WORD - 1), WORD)
        held = x[j]
        if leak > 0:
            lost = max(abs(held) >> leak, 1)
            held -= lost if held > 0 else (-lost if held < 0 else 0)
        x[j] = held + got


@kernel
def add_noise(x: Integers, std: int, key: np.int64, first: int) -> None:
    """``x_j += trunc(std xi)``; elements ``first + 2 j``, two states a neuron."""
    for j in range(x.shape[0]):
        x[j] += int(std * normal(key, first + 2 * j))


@kernel
def fire(x: Integers, resting: Integers, threshold: int, refractory: int, hard: bool, fired: Integers) -> int:
    """Neurons at the threshold that do not rest go into ``fired``, as many as are returned; then states are cut.

    With ``hard`` a resting neuron's state is 0; without, a neuron may fire in the tick that ends its rest.
    """
    count = 0
    for j in range(x.shape[0]):
        if resting[j] > 0:
            resting[j] -= 1
            if hard:
                x[j] = 0
        if resting[j] == 0 and x[j] >= threshold:
            fired[count] = j
            count += 1
            resting[j] = refractory
    for j in range(x.shape[0]):
        x[j] = min(max(x[j], -WORD), WORD)
    return count


@kernel
def cut(x: Integers) -> None:
    """States are cut to 16 bits."""
    for j in range(x.shape[0]):
        x[j] = min(max(x[j], -WORD), WORD)


@kernel
def fire_errors(x: Integers, threshold: int, fired: Integers) -> int:
    """Error neurons fire, lose their threshold by it, and never go below 0; ``fired[k]``: 1 where k does."""
    count = 0
    for k in range(x.shape[0]):
        fired[k] = 1 if x[k] >= threshold else 0
        count += fired[k]
        x[k] = min(max(x[k], 0), WORD)
        if fired[k]:
            x[k] = max(x[k] - threshold, 0)
    return count


@kernel
def compare(arrived: Floats, predicted: Integers, count: int, label: int, weight: int) -> int:
    """Prediction spikes, and the label's (``label`` < 0: none), reach the error neurons; returns synapses."""
    classes = arrived.shape[0] // 2
    step = arrived.dtype.type(weight)
    for k in range(count):
        arrived[predicted[k]] -= step
        arrived[classes + predicted[k]] += step
    if label >= 0:
        arrived[label] += step
        arrived[classes + label] -= step
        return 2 * count + 2
    return 2 * count


@kernel
def changes(
    u: Integers, v: Integers, low: int, high: int, rate_shift: int, bits: int, whole: Floats, limit: Words
) -> int:
    """What synapses onto each neuron learn by: shift(u, rate_shift) = 2^bits whole + rest, 0 where its gate is shut.

    ``limit``: words below it round up. Returns how many neurons have a d that is not 0.
    """
    mask = (1 << bits) - 1
    learning = 0
    for j in range(u.shape[0]):
        size = abs(u[j])
        size = size << rate_shift if rate_shift >= 0 else size >> -rate_shift
        d = size if u[j] >= 0 else -size
        d = d if low < v[j] < high else 0
        whole[j] = d >> bits
        limit[j] = np.uint32((d & mask) << (32 - bits))
        learning += d != 0
    return learning


@kernel
def blank_out(
    w: Floats, fired: Integers, count: int, arrived: Floats, words: Words, key: np.int64, first: int, limit: int
) -> None:
    """`transmit` through synapses each of which lets a spike pass where its random word is below ``limit``."""
    n = arrived.shape[0]
    most = np.uint32(limit)
    zero = arrived.dtype.type(0.0)
    drawn = words[:n]
    for k in range(count):
        start = fired[k] * n
        draw(drawn, key, first + start, n)
        row = w[start : start + n]
        for j in range(n):
            arrived[j] += row[j] if drawn[j] < most else zero


@kernel
def learn_row(row: Floats, whole: Floats, limit: Words, words: Words, low: float, high: float) -> int:
    """Rounds, adds and clips a row whose random words stand in ``words``; returns how many changes were not 0."""
    one, zero = row.dtype.type(1.0), row.dtype.type(0.0)
    least, most = row.dtype.type(low), row.dtype.type(high)
    written = np.int32(0)
    for j in range(row.shape[0]):
        change = whole[j] + (one if words[j] < limit[j] else zero)
        row[j] = min(max(row[j] + change, least), most)
        written += np.int32(change != zero)
    return int(written)


@kernel
def learn_rows(
    w: Floats, fired: Integers, count: int, whole: Floats, limit: Words, words: Words, key: np.int64, first: int,
    low: float, high: float,
) -> int:  # fmt: skip
    """Rows of ``fired[:count]`` move by their neurons' changes, rounded at random; returns how many weights moved."""
    n = whole.shape[0]
    written = 0
    for k in range(count):
        start = fired[k] * n
        draw(words[:n], key, first + start, n)
        written += learn_row(w[start : start + n], whole, limit, words[:n], low, high)
    return written


@kernel
def learn_some(
    w: Floats, free: Integers, fired: Integers, count: int, whole: Floats, limit: Words, key: np.int64, first: int,
    low: float, high: float, some: Integers,
) -> int:  # fmt: skip
    """`learn_rows` for few neurons, or with stuck synapses (``free`` 0), which stay: one synapse after another.

    ``some``: room for the numbers of the neurons that have anything to learn. ``free`` may be empty: none is stuck.
    """
    n = whole.shape[0]
    found = 0
    for j in range(n):
        if whole[j] != 0.0 or limit[j] != 0:
            some[found] = j
            found += 1
    written = 0
    for k in range(count):
        start = fired[k] * n
        for m in range(found):
            j = some[m]
            change = whole[j] + (1.0 if draw_bits(key, first + start + j) < limit[j] else 0.0)
            if change == 0.0 or (free.shape[0] > 0 and free[start + j] == 0):
                continue
            w[start + j] = min(max(w[start + j] + change, low), high)
            written += 1
    return written
