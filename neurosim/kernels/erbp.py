"""Inner loops of event-driven random back-propagation: spikes in, current and learning in one pass over a row.

A row of weights is touched only when its input fires. Whether a synapse transmits is decided by 16 random bits, two
synapses to a word: the words of a row are the elements ``first + row ...`` of the tick's key.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim.kernels.random import draw_bits, uniform
from neurosim.kernels.wrap import kernel

Floats = npt.NDArray[np.floating[Any]]
Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint32]

ALWAYS = 65536
"""Transmission of 1, in units of 2^-16."""
HALF = np.uint32(0xFFFF)
LOWER, UPPER = np.uint32(0), np.uint32(16)
"""Where the two numbers of 16 bits stand in a word."""


@kernel
def escape_spikes(
    x: Floats, rate: float, threshold: float, gain: float, rest: int, ticks: int, key: np.int64, spikes: Words,
    counts: Integers,
) -> None:  # fmt: skip
    """Spikes of data neurons for a whole sample: ``spikes[n t : n t + counts[t]]`` fire in tick t, in rising order.

    The wait after a rest of ``rest`` ticks (at least 1 from spike to spike) is geometric: floor(-ln U / rho) ticks with
    ``rho = rate exp(gain (x - threshold))`` spikes a tick. Element of the i-th neuron's k-th wait: 2^16 i + k.
    """
    n = x.shape[0]
    for t in range(ticks):
        counts[t] = 0
    for i in range(n):
        rho = rate * math.exp(gain * (x[i] - threshold))
        if rho <= 0.0:
            continue
        t, k = 0, 0
        while True:
            wait = -math.log(uniform(key, (i << 16) + k)) / rho
            if wait >= ticks - t:
                break
            t += int(wait)
            spikes[n * t + counts[t]] = i
            counts[t] += 1
            t += max(1, rest)
            k += 1
            if t >= ticks:
                break


@kernel
def decay(state: Floats, keep: Floats) -> None:
    """``state_j *= keep_j``."""
    for j in range(state.shape[0]):
        state[j] *= keep[j]


@kernel
def take_current(state: Floats, keep: Floats, arrived: Floats) -> None:
    """``i_j = keep_j i_j + arrived_j``."""
    for j in range(state.shape[0]):
        state[j] = keep[j] * state[j] + arrived[j]


@kernel
def gate(change: Floats, dendrite: Floats, current: Floats, boxcar: Floats, rate: float) -> int:
    """``change_j = rate u_j`` where ``|i_j| < boxcar_j``, else 0; returns how many are not 0."""
    scale = change.dtype.type(rate)
    zero = change.dtype.type(0.0)
    for j in range(change.shape[0]):
        change[j] = scale * dendrite[j] if abs(current[j]) < boxcar[j] else zero
    learning = 0
    for j in range(change.shape[0]):
        learning += change[j] != zero
    return learning


@kernel
def feed_back(fired: Integers, feedback: Floats, output_feedback: float, dendrite: Floats, classes: int) -> int:
    """Error spikes reach the dendrites, those of the outputs last; returns synapses. ``feedback`` [classes * n]."""
    hidden = dendrite.shape[0] - classes
    reached = 0
    for k in range(2 * classes):
        if fired[k] == 0:
            continue
        sign = dendrite.dtype.type(1.0 if k < classes else -1.0)
        c = k if k < classes else k - classes
        row = feedback[c * hidden : (c + 1) * hidden]
        u = dendrite[:hidden]
        for j in range(hidden):
            u[j] += sign * row[j]
        dendrite[hidden + c] += sign * dendrite.dtype.type(output_feedback)
        reached += hidden + 1
    return reached


@kernel
def compare(
    error: Floats, error_fired: Integers, predicted: Integers, count: int, label: int, weight: float, threshold: float
) -> int:
    """Error neurons take prediction spikes and the label's (``label`` < 0: none); returns how many fire."""
    classes = error.shape[0] // 2
    step = error.dtype.type(weight)
    level = error.dtype.type(threshold)
    for k in range(count):
        error[predicted[k]] -= step
        error[classes + predicted[k]] += step
    if label >= 0:
        error[label] += step
        error[classes + label] -= step
    fired = 0
    for k in range(2 * classes):
        error_fired[k] = 0
        if error[k] >= level:
            error[k] -= level
            error_fired[k] = 1
            fired += 1
        error[k] = max(error[k], error.dtype.type(0.0))
    return fired


@kernel
def transmit(w: Floats, fired: Integers, count: int, current: Floats) -> None:
    """Every spike of ``fired[:count]`` adds its row of w [n_in * n_out] to ``current``."""
    n = current.shape[0]
    for k in range(count):
        row = w[fired[k] * n : (fired[k] + 1) * n]
        for j in range(n):
            current[j] += row[j]


@kernel
def transmit_learn(w: Floats, fired: Integers, count: int, current: Floats, change: Floats) -> None:
    """`transmit`, and each row then moves by ``change``."""
    n = current.shape[0]
    for k in range(count):
        row = w[fired[k] * n : (fired[k] + 1) * n]
        for j in range(n):
            held = row[j]
            current[j] += held
            row[j] = held + change[j]


@kernel
def _drop_half(row: Floats, current: Floats, words: Words, shift: np.uint32, limit: np.int32) -> None:
    zero = row.dtype.type(0.0)
    for j in range(row.shape[0]):
        kept = np.int32((words[j] >> shift) & HALF) < limit
        current[j] += row[j] if kept else zero


@kernel
def _drop_half_learn(
    row: Floats, current: Floats, change: Floats, words: Words, shift: np.uint32, limit: np.int32
) -> int:
    zero = row.dtype.type(0.0)
    written = np.int32(0)
    for j in range(row.shape[0]):
        kept = np.int32((words[j] >> shift) & HALF) < limit
        held = row[j]
        step = change[j] if kept else zero
        current[j] += held if kept else zero
        row[j] = held + step
        written += np.int32(step != zero)
    return int(written)


@kernel
def draw(words: Words, key: np.int64, element: int, n: int) -> None:
    """The words of ``key`` from ``element`` on."""
    for j in range(n):
        words[j] = draw_bits(key, element + j)


@kernel
def drop(
    w: Floats, fired: Integers, count: int, current: Floats, words: Words, key: np.int64, first: int, limit: int
) -> None:
    """`transmit` through synapses that each transmit with probability ``limit`` / 65536."""
    n = current.shape[0]
    half = (n + 1) // 2
    most = np.int32(limit)
    for k in range(count):
        start = fired[k] * n
        draw(words, key, first + start, half)
        _drop_half(w[start : start + half], current[:half], words, LOWER, most)
        _drop_half(w[start + half : start + n], current[half:], words, UPPER, most)


@kernel
def drop_learn(
    w: Floats, fired: Integers, count: int, current: Floats, change: Floats, words: Words, key: np.int64, first: int,
    limit: int,
) -> int:  # fmt: skip
    """`drop`, and synapses that transmitted then move by ``change``; returns how many moved."""
    n = current.shape[0]
    half = (n + 1) // 2
    most = np.int32(limit)
    written = 0
    for k in range(count):
        start = fired[k] * n
        draw(words, key, first + start, half)
        written += _drop_half_learn(w[start : start + half], current[:half], change[:half], words, LOWER, most)
        written += _drop_half_learn(w[start + half : start + n], current[half:], change[half:], words, UPPER, most)
    return written


@kernel
def learn_rounded(
    w: Floats, free: Integers, fired: Integers, count: int, current: Floats, change: Floats, key: np.int64, first: int,
    limit: int, rounding_key: np.int64, step: float, w_min: float, w_max: float,
) -> int:  # fmt: skip
    """The general case: stuck synapses (``free`` 0) stay, and with ``step`` > 0 changes are whole steps, within bounds.

    A change of x steps becomes floor(x + U(0, 1)) of them: unbiased. Returns how many synapses moved. With step 0 the
    change is exact. The draws of transmission are those of `drop_learn`.
    """
    n = current.shape[0]
    half = (n + 1) // 2
    written = 0
    for k in range(count):
        start = fired[k] * n
        for j in range(n):
            e = start + j
            if limit < ALWAYS:
                word = draw_bits(key, first + (e if j < half else e - half))
                if int((word >> (LOWER if j < half else UPPER)) & HALF) >= limit:
                    continue
            held = w[e]
            current[j] += held
            wanted = change[j]
            if wanted == 0.0 or free[e] == 0:
                continue
            if step > 0.0:
                pulses = math.floor(wanted / step + uniform(rounding_key, first + e))
                if pulses == 0:
                    continue
                level = math.floor((held - w_min) / step + 0.5) + pulses
                wanted = min(max(w_min + level * step, w_min), w_max) - held
            w[e] = held + wanted
            written += 1
    return written
