"""Loops over weight devices: pulses, time, reads, writing.

The composer (``neurosim.devices.compose``) copies their source into a kernel for one device model, where ``mean_step``,
``step_spread``, ``random_step``, ``after``, ``wander`` and ``read_std`` are that model's own and the constants say
which of them there are. What stands here is the simplest form, for reading and for testing the loops as plain Python.

Every normal and uniform is a pure function of (key, device), so nothing depends on the order in which devices come.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from neurosim.kernels.random import normal, sub_key
from neurosim.kernels.wrap import kernel

Array = npt.NDArray[Any]
Integer: TypeAlias = int | np.integer[Any]
Boolean: TypeAlias = bool | np.bool_
Float: TypeAlias = float | np.floating[Any]


class Bank(NamedTuple):
    """The frozen values of all devices, float32 [device], and the model's numbers and table.

    The numbers are a tuple, so that loops keep them in registers: in an array they could change with every store.
    """

    scale_up: Array
    scale_down: Array
    w_min: Array
    w_max: Array
    own: Array
    """[name, device]"""
    numbers: tuple[float, ...]
    table: Array


NOISY: bool = True
"""Whether pulses have noise of their own."""
JUMPS: bool = False
"""Whether the model draws its whole step."""
WRITE_NOISE: int = 0
"""0: none, 1: stored, 2: apparent."""
AGES: bool = False
"""Whether time since the last pulse changes what is stored."""
REBASES: bool = False
"""Whether chance acts on what age has left: ageing is memoryless."""
FORGOTTEN: float = 0.001
"""Relative change by age that is more than rounding would lose."""
COUNTS: bool = True
"""Whether pulses are counted for each device."""
HEATS: bool = False
"""Whether conductances are summed for the energy of pulses."""

UNIT: float = 65536.0
"""Conductances are summed in units of the range / 65536."""

LONGEST_TRAIN: int = 1000
"""Pulses that writing with verification sends at most between two reads."""
FULL: float = 0.75
OTHER: float = 0.25
"""A pair of cells that only grow is refreshed where its larger cell is above the first, its smaller above the second,
as parts of the nominal range."""


@kernel
def mean_step(w: Float, up: Boolean, e: Integer, bank: Bank) -> float:
    """Mean change by one pulse: here a constant step."""
    dw: float = bank.scale_up[e] if up else -bank.scale_down[e]
    return dw


@kernel
def step_spread(w: Float, dw: float, up: Boolean, e: Integer, bank: Bank) -> float:
    """Standard deviation of one pulse's noise: here a tenth of the step."""
    return abs(dw) * 0.1


@kernel
def random_step(w: Float, up: Boolean, e: Integer, key: Integer, bank: Bank) -> float:
    """The whole change by one pulse."""
    return mean_step(w, up, e, bank)


@kernel
def after(w: float, age_s: float, e: Integer, bank: Bank) -> float:
    """What ``w`` has become ``age_s`` after it was stored."""
    return w


@kernel
def wander(w: float, dt_s: float, e: Integer, key: Integer, bank: Bank) -> float:
    """What ``dt_s`` of chance make of ``w``."""
    return w


@kernel
def read_std(w: Float, stored: float, age_s: float, e: Integer, bank: Bank) -> float:
    """Standard deviation of one read."""
    return 0.0


@kernel
def write_std(w: Float, e: Integer, bank: Bank) -> float:
    """Standard deviation of a weight that was written with verification."""
    return 0.0


@kernel
def pulsed(
    w: Float, up: Boolean, e: Integer, key: Integer, write_noise: float, write_key: Integer, bank: Bank
) -> float:
    """``w`` after one pulse, within the device's bounds."""
    if JUMPS:
        dw = random_step(w, up, e, key, bank)
    else:
        dw = mean_step(w, up, e, bank)
        if NOISY:
            dw += step_spread(w, dw, up, e, bank) * normal(key, e)
    if WRITE_NOISE == 1:
        dw += write_noise * normal(write_key, e)
    held: float = min(max(w + dw, bank.w_min[e]), bank.w_max[e])
    return held


@kernel
def conductance(w: Float, low: Float, per_range: float) -> np.int64:
    """w's place in the nominal range, in units of 1/65536."""
    return np.int64(np.int32(min(max((w - low) * per_range, 0.0), 1.0) * UNIT + 0.5))


@kernel
def correction(error: float, tolerance: float, step_size: float) -> int:
    """Pulses (signed) that writing with verification sends next: none within the tolerance, else as many as the error
    is nominal steps, at least 1."""
    if abs(error) <= tolerance:
        return 0
    number = int(min(max(abs(error) / step_size, 1.0), LONGEST_TRAIN))
    return number if error > 0.0 else -number


@kernel(cache=True)
def corrections(error: Array, tolerance: float, step_size: float, number: Array) -> None:
    """`correction` of many devices."""
    for e in range(error.shape[0]):
        number[e] = correction(error[e], tolerance, step_size)


@kernel(cache=True)
def pulse(
    w: Array, shown: Array, since: Array, count: Array, number: Array, now_s: float, write_noise: float,
    low: Float, per_range: float, key: Integer, write_key: Integer, left: Array, tally: Array, bank: Bank,
) -> int:  # fmt: skip
    """Send ``number[e]`` pulses to every device e, up where positive; returns the largest number for one device.

    The p-th pulse of every device has the key (key, p), so that passes over all devices (which vectorise) and over a
    list of the few that want more give the same numbers. Adds to ``tally``: up and down pulses, and the sums of
    conductances (before + after) of both.
    """
    size = w.shape[0]
    ups, downs, heat_up, heat_down = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    most = np.int64(0)
    waiting = 0
    first, first_write = sub_key(key, 0), sub_key(write_key, 0)
    for e in range(size):
        n = np.int64(number[e])
        free = (bank.scale_up[e] != 0.0) | (bank.scale_down[e] != 0.0)
        hit = (n != 0) & free
        up = n > 0
        old = after(w[e], now_s - since[e], e, bank) if AGES else w[e]
        new = pulsed(old, up, e, first, write_noise, first_write, bank)
        held = w.dtype.type(new)
        w[e] = held if hit else w[e]
        if AGES:
            since[e] = now_s if hit else since[e]
        if COUNTS:
            count[e] += np.uint32(abs(n) if free else 0)
        ups += np.int64(hit & up)
        downs += np.int64(hit & (not up))
        if HEATS:
            both = conductance(old, low, per_range) + conductance(w[e], low, per_range) if hit else np.int64(0)
            heat_up += both if up else np.int64(0)
            heat_down += np.int64(0) if up else both
        most = max(most, abs(n) if free else np.int64(0))
    if most > 1:
        for e in range(size):
            if abs(np.int64(number[e])) > 1 and (bank.scale_up[e] != 0.0 or bank.scale_down[e] != 0.0):
                left[waiting] = e
                waiting += 1
    p = 1
    while waiting > 0:
        again, again_write = sub_key(key, p), sub_key(write_key, p)
        kept = 0
        for k in range(waiting):
            e = int(left[k])
            n = np.int64(number[e])
            up = n > 0
            old = w[e]
            w[e] = pulsed(old, up, e, again, write_noise, again_write, bank)
            if HEATS:
                both = conductance(old, low, per_range) + conductance(w[e], low, per_range)
                heat_up += both if up else np.int64(0)
                heat_down += np.int64(0) if up else both
            ups += np.int64(up)
            downs += np.int64(not up)
            if abs(n) > p + 1:
                left[kept] = e
                kept += 1
        waiting = kept
        p += 1
    if WRITE_NOISE == 2:
        again_write = sub_key(write_key, 1)
        for e in range(size):
            if number[e] != 0 and (bank.scale_up[e] != 0.0 or bank.scale_down[e] != 0.0):
                shown[e] = w[e] + write_noise * normal(again_write, e)
    tally[0] += ups
    tally[1] += downs
    tally[2] += heat_up
    tally[3] += heat_down
    return int(most)


@kernel(cache=True)
def present(w: Array, shown: Array, since: Array, now_s: float, out: Array, bank: Bank) -> None:
    """What every device holds now, as a read without noise would see it."""
    source = shown if WRITE_NOISE == 2 else w
    for e in range(w.shape[0]):
        out[e] = after(source[e], now_s - since[e], e, bank) if AGES else source[e]


@kernel(cache=True)
def read(w: Array, shown: Array, since: Array, now_s: float, out: Array, key: Integer, bank: Bank) -> None:
    """One read of every device, each with its own noise."""
    source = shown if WRITE_NOISE == 2 else w
    for e in range(w.shape[0]):
        age_s = now_s - since[e] if AGES else now_s
        value = after(source[e], age_s, e, bank) if AGES else source[e]
        out[e] = value + read_std(value, source[e], age_s, e, bank) * normal(key, e)


@kernel(cache=True)
def read_columns(
    w: Array, shown: Array, since: Array, now_s: float, x: Array, rows: int, columns: int,
    out: Array, variance: Array, noisy: bool, key: Integer, bank: Bank,
) -> None:  # fmt: skip
    """``out_j = sum_i x_i w_ij``, and the noise of the column's reads in one draw of their exact variance.

    The noises of single reads are independent normals, so their weighted sum is a normal of variance
    ``sum_i x_i^2 std_ij^2``: one draw for each column instead of one for each device, and the same distribution.
    ``variance`` is float32: six digits are plenty for it, and half the memory traffic.
    """
    source = shown if WRITE_NOISE == 2 else w
    for j in range(columns):
        out[j] = 0.0
        variance[j] = 0.0
    for i in range(rows):
        xi = x[i]
        squared = np.float32(xi * xi)
        if xi != 0.0:
            for j in range(columns):
                e = i * columns + j
                age_s = now_s - since[e] if AGES else now_s
                value = after(source[e], age_s, e, bank) if AGES else source[e]
                out[j] += xi * value
                if noisy:
                    std = np.float32(read_std(value, source[e], age_s, e, bank))
                    variance[j] += squared * std * std
    if noisy:
        for j in range(columns):
            out[j] += np.sqrt(np.float64(variance[j])) * normal(key, j)


@kernel(cache=True)
def drift(
    w: Array, shown: Array, since: Array, now_s: float, dt_s: float, key: Integer, bank: Bank
) -> None:
    """Chance acts on every device for the ``dt_s`` before ``now_s``.

    Where ageing is memoryless, what chance adds must age from its own time on: the device is taken as written anew,
    once it has aged by more than rounding would lose.
    """
    for e in range(w.shape[0]):
        if bank.scale_up[e] == 0.0 and bank.scale_down[e] == 0.0:
            continue
        old = w[e]
        if REBASES:
            left = after(old, now_s - since[e], e, bank)
            if old == 0.0 or abs(left - old) > abs(old) * FORGOTTEN:
                old = w.dtype.type(left)
                if WRITE_NOISE == 2:
                    shown[e] = after(shown[e], now_s - since[e], e, bank)
                since[e] = now_s
        walked = min(max(wander(old, dt_s, e, key, bank), bank.w_min[e]), bank.w_max[e])
        if WRITE_NOISE == 2:
            shown[e] += walked - old
        w[e] = walked


@kernel(cache=True)
def written(w: Array, shown: Array, since: Array, target: Array, now_s: float, key: Integer, bank: Bank) -> None:
    """Every device holds its target, with what error writing with verification leaves."""
    for e in range(w.shape[0]):
        if bank.scale_up[e] != 0.0 or bank.scale_down[e] != 0.0:
            value = target[e] + write_std(target[e], e, bank) * normal(key, e)
            w[e] = min(max(value, bank.w_min[e]), bank.w_max[e])
            if WRITE_NOISE == 2:
                shown[e] = w[e]
            if AGES:
                since[e] = now_s
