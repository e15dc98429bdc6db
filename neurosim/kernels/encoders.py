"""Encoders: input spikes from rates. Every spike is a pure function of (seed, sample, tick, neuron).

They stand here and not with the data, because random numbers do (``STREAM_ENCODER``; docs/randomness.md). A neuron's
rate r is held as p = r tick_s, its spikes per tick, as a multiple of 2^-32.

Poisson:  the neuron spikes in tick k where u(k) < p, u drawn anew each tick: a Bernoulli process, whose mean rate is r
          exactly (p rounded down to 2^-32); a Poisson process in the limit of short ticks, with at most a spike a tick.
Regular:  the neuron spikes in tick k where floor((k+1) p + phase) > floor(k p + phase), in whole numbers: intervals
          of 1/p ticks, rounded to neighbours where that is not whole (p rounded up, so that n intervals fit).
"""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.data.events import SpikeList
from neurosim.errors import InputError
from neurosim.kernels.random import STREAM_ENCODER, Integer, draw_bits, stream_key
from neurosim.kernels.wrap import kernel

ONE: Final = 1 << 32
"""p = 1, a spike in every tick."""
CHUNK_DRAWS: Final = 1 << 20
"""Neurons times ticks in one call of a kernel; bounds the memory, changes no bit."""

_LOW32: Final = np.uint64(0xFFFFFFFF)
_ONE: Final = np.uint64(1 << 32)


@kernel
def poisson_fires(key: Integer, element: Integer, p: np.uint64) -> bool:
    """Whether a Poisson neuron spikes: ``key`` of (seed, STREAM_ENCODER, sample, 0, tick), ``p`` in 0..2^32."""
    return bool(np.uint64(draw_bits(key, element)) < p)


@kernel
def regular_fires(tick: Integer, p: np.uint64, phase: np.uint64) -> bool:
    """Whether a regular neuron spikes; ``p`` in 0..2^32, ``phase`` below 2^32."""
    return bool(((np.uint64(tick) * p + phase) & _LOW32) + p >= _ONE)


@kernel(cache=True)
def fill_poisson(
    tick: NDArray[np.int64],
    neuron: NDArray[np.int64],
    p: NDArray[np.uint64],
    seed: Integer,
    sample: Integer,
    first_tick: Integer,
    first_element: Integer,
) -> int:
    """Write the spikes of p[ticks, neurons] into ``tick`` and ``neuron``, which have room for all; returns how many."""
    found = 0
    for k in range(p.shape[0]):
        now = np.int64(first_tick) + k
        key = stream_key(seed, STREAM_ENCODER, sample, 0, now)
        for i in range(p.shape[1]):
            tick[found] = now
            neuron[found] = i
            found += poisson_fires(key, np.int64(first_element) + i, p[k, i])
    return found


@kernel(cache=True)
def fill_regular(
    tick: NDArray[np.int64],
    neuron: NDArray[np.int64],
    p: NDArray[np.uint64],
    phase: NDArray[np.uint64],
    first_tick: Integer,
    ticks: Integer,
) -> int:
    """The same for regular neurons p[neurons], phase[neurons]."""
    found = 0
    for k in range(ticks):
        now = np.int64(first_tick) + k
        for i in range(p.shape[0]):
            tick[found] = now
            neuron[found] = i
            found += regular_fires(now, p[i], phase[i])
    return found


@kernel(cache=True)
def fill_phases(phase: NDArray[np.uint64], seed: Integer, sample: Integer, first_element: Integer) -> None:
    """Random phases; inference 1 keeps them apart from the draws of the Poisson encoder."""
    key = stream_key(seed, STREAM_ENCODER, sample, 1, 0)
    for i in range(phase.shape[0]):
        phase[i] = np.uint64(draw_bits(key, np.int64(first_element) + i))


def encode_poisson(
    rates_Hz: ArrayLike,
    ticks: int,
    tick_s: float,
    *,
    seed: int,
    sample: int = 0,
    first_tick: int = 0,
    first_element: int = 0,
) -> SpikeList:
    """Poisson spikes of neurons with these rates, in the ticks ``first_tick`` .. ``first_tick + ticks - 1``.

    ``rates_Hz``: [neurons], or [ticks, neurons] for rates that change; 0 <= rate tick_s <= 1. ``sample``: which
    presentation; another one has other spikes. ``first_element``: the number of the first neuron within the stream, so
    that two populations of one run do not share their draws.

    The ticks 0..999 are the ticks 0..399 followed by the ticks 400..999, bit for bit.

    Raises :class:`InputError`.
    """
    p, problems = _per_tick(rates_Hz, tick_s, np.floor)
    problems += _wholes(ticks=ticks, seed=seed, sample=sample, first_tick=first_tick, first_element=first_element)
    if p is not None and not problems and p.ndim == 2 and p.shape[0] != ticks:
        problems.append(f"rates_Hz has {p.shape[0]} rows, and ticks = {ticks}")
    if p is None or problems:
        raise InputError(problems, "encode_poisson")
    neurons = p.shape[-1]
    chunk = max(1, CHUNK_DRAWS // max(1, neurons))
    rows = np.broadcast_to(p, (min(chunk, ticks), neurons)).copy() if p.ndim == 1 else p
    found = []
    for start in range(0, ticks, chunk):
        count = min(chunk, ticks - start)
        part = rows[:count] if p.ndim == 1 else np.ascontiguousarray(rows[start : start + count])
        room = np.empty((2, count * neurons + 1), np.int64)  # one more: the kernel writes first, then counts
        used = fill_poisson(room[0], room[1], part, seed, sample, first_tick + start, first_element)
        found.append(room[:, :used].copy())
    return _joined(found)


def encode_regular(
    rates_Hz: ArrayLike,
    ticks: int,
    tick_s: float,
    *,
    phase: ArrayLike | Literal["random"] = 0.0,
    seed: int | None = None,
    sample: int = 0,
    first_tick: int = 0,
    first_element: int = 0,
) -> SpikeList:
    """Regular spikes of neurons with these rates, in the ticks ``first_tick`` .. ``first_tick + ticks - 1``.

    ``rates_Hz``: [neurons], 0 <= rate tick_s <= 1. ``phase``: how much of its first interval a neuron has behind it at
    tick 0, 0 <= phase < 1, one number or [neurons]; ``"random"`` draws it from ``seed``, ``sample`` and
    ``first_element`` + neuron. With phase 0 the first spike ends the first interval: tick 9 at 100 Hz and 1 ms.

    Raises :class:`InputError`.
    """
    p, problems = _per_tick(rates_Hz, tick_s, np.ceil)
    random = isinstance(phase, str)
    problems += _wholes(ticks=ticks, sample=sample, first_tick=first_tick, first_element=first_element)
    if p is not None and p.ndim != 1:
        problems.append(f"rates_Hz has shape {p.shape}, expected [neurons]")
    if random:
        if phase != "random":
            problems.append(f"phase = {phase!r}: must be numbers, or 'random'")
        problems += ["phase='random' needs a seed"] if seed is None else _wholes(seed=seed)
    given = np.zeros(1)
    if not random:
        given, more = _numbers("phase", phase)
        problems += more
        if not more and not ((given >= 0.0) & (given < 1.0)).all():
            problems.append("phase must be at least 0 and below 1")
        if p is not None and given.shape not in ((), p.shape):
            problems.append(f"phase has shape {given.shape}, expected one number or {p.shape}")
    if p is None or problems:
        raise InputError(problems, "encode_regular")
    phases = np.empty(p.shape, np.uint64)
    if random:
        fill_phases(phases, seed or 0, sample, first_element)
    else:
        phases[:] = np.floor(given * ONE).astype(np.uint64)
    chunk = max(1, CHUNK_DRAWS // max(1, p.size))
    found = []
    for start in range(0, ticks, chunk):
        count = min(chunk, ticks - start)
        room = np.empty((2, count * p.size + 1), np.int64)
        used = fill_regular(room[0], room[1], p, phases, first_tick + start, count)
        found.append(room[:, :used].copy())
    return _joined(found)


def _joined(found: list[NDArray[np.int64]]) -> SpikeList:
    if not found:
        return SpikeList(np.zeros(0, np.int64), np.zeros(0, np.int64))
    every = np.concatenate(found, axis=1)
    return SpikeList(every[0], every[1])


def _numbers(name: str, values: ArrayLike) -> tuple[NDArray[np.float64], list[str]]:
    try:
        given = np.asarray(values)
        if given.dtype.kind not in "iuf":
            raise ValueError
        return given.astype(np.float64), []
    except (TypeError, ValueError):
        return np.zeros(0), [f"{name} must be numbers"]


def _per_tick(rates_Hz: ArrayLike, tick_s: float, rounded: np.ufunc) -> tuple[NDArray[np.uint64] | None, list[str]]:
    """p = rate tick_s in units of 2^-32."""
    rates, problems = _numbers("rates_Hz", rates_Hz)
    if not problems and (rates.ndim not in (1, 2) or rates.shape[-1] == 0):
        problems.append(f"rates_Hz has shape {rates.shape}, expected [neurons] or [ticks, neurons]")
    if isinstance(tick_s, bool) or not isinstance(tick_s, (int, float, np.floating)) or not 0.0 < tick_s < np.inf:
        problems.append(f"tick_s = {tick_s!r}: must be a time in seconds, above 0")
    if problems:
        return None, problems
    p = rates * float(tick_s)
    wrong = ~((p >= 0.0) & (p <= 1.0))  # NaN too
    if wrong.any():
        at = np.unravel_index(int(np.argmax(wrong)), rates.shape)
        place = ", ".join(str(int(index)) for index in at)
        most = 1.0 / float(tick_s)
        return None, [f"rates_Hz[{place}] = {rates[at]:g}: must lie in 0..{most:g}, at most one spike a tick "
                      f"({int(wrong.sum())} such rates)"]  # fmt: skip
    return np.minimum(rounded(p * ONE), ONE).astype(np.uint64), []


def _wholes(**values: object) -> list[str]:
    return [
        f"{name} = {value!r}: must be a whole number from 0 to 2^63 - 1"
        for name, value in values.items()
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not 0 <= value < 2**63
    ]
