"""The integer tick of a neural and synaptic array transceiver (NSAT): shifts in place of multiplications.

One neuron has S integer states; state 0 is the one that fires. A tick of one neuron reads

    x_k <- clip( x_k + sum_l s_lk shift(x_l, A_lk) + acc_k + b_k + noise_k )

where ``acc`` are the synaptic events of the tick before, and a shift by a negative number rounds towards zero but never
gives 0 for an x that is not 0: a leak takes at least 1 a tick, so that states really decay. Everything is an integer;
random parts are counter-based, so the number of threads or calls never changes a bit.

Source: G. Detorakis et al., "Neural and Synaptic Array Transceiver: A Brain-Inspired Computing Framework for Embedded
Learning", Front. Neurosci. 12:583 (2018), arXiv 1709.10205; the order within a tick is that of the authors' simulator.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from neurosim.kernels.random import below, normal, stream_key, sub_key, uniform
from neurosim.kernels.wrap import kernel

Integers = npt.NDArray[np.int64]

OFF: Final = -16
"""A shift that is no connection."""
WORD: Final = 32767
"""States and sums of synaptic events have 16 bits."""

NONE, SET, ADD, HIGHEST = 0, 1, 2, 3
"""What a spike does to a state: nothing, x = value, x += value, x = max(x, value)."""

_NOISE, _BLANK, _ROUND = 0, 1, 2


@kernel
def shift(x: int, a: int) -> int:
    """x 2^a of the dynamics, rounded towards zero, but never to zero where x is not zero; 0 for a = -16 (off)."""
    if a <= OFF or x == 0:
        return 0
    if a >= 0:
        return x << a
    y = max(abs(x) >> -a, 1)
    return y if x > 0 else -y


@kernel
def shift_learning(x: int, a: int) -> int:
    """x 2^a of gains and learning, rounded towards zero; 0 for a = -16 (off)."""
    if a <= OFF:
        return 0
    if a >= 0:
        return x << a
    y = abs(x) >> -a
    return y if x >= 0 else -y


@kernel(cache=True)
def integrate(
    x: Integers, new: Integers, arrived: Integers, group: Integers, A: Integers, sign: Integers, bias: Integers,
    noise: Integers, seed: int, tick: int,
) -> None:  # fmt: skip
    """All states of all neurons, ``[neuron, state]``, from ``x`` into ``new``.

    ``A``, ``sign`` ``[group, term, source, destination]``, ``bias``, ``noise`` (standard deviation) ``[group, state]``.
    """
    states, terms = x.shape[1], A.shape[1]
    key = stream_key(seed, _NOISE, 0, 0, tick)
    for j in range(x.shape[0]):
        g = group[j]
        for k in range(states):
            total = x[j, k] + arrived[j, k] + bias[g, k]
            for term in range(terms):
                for l in range(states):  # noqa: E741
                    a = A[g, term, l, k]
                    if a > OFF:
                        total += sign[g, term, l, k] * shift(x[j, l], a)
            if noise[g, k] > 0:
                total += int(noise[g, k] * normal(key, j * states + k))
            new[j, k] = total
            arrived[j, k] = 0


@kernel(cache=True)
def fire(
    new: Integers, resting: Integers, fired: Integers, group: Integers, threshold: Integers, adaptive: Integers,
    refractory: Integers, reset: Integers, value: Integers, low: Integers, high: Integers,
) -> int:  # fmt: skip
    """Refractory neurons rest, others fire where state 0 reaches the threshold (state 1 where ``adaptive``); clips.

    Puts the neurons that fire into ``fired`` and returns how many they are. The clip comes after the threshold.
    """
    count = 0
    for j in range(new.shape[0]):
        g = group[j]
        if resting[j] > 0:
            if reset[g, 0] == SET:
                new[j, 0] = value[g, 0]
            resting[j] -= 1
        elif new[j, 0] >= (new[j, 1] if adaptive[g] else threshold[g]):
            fired[count] = j
            count += 1
            resting[j] = refractory[g]
        for k in range(new.shape[1]):
            new[j, k] = min(max(new[j, k], low[g, k]), high[g, k])
    return count


@kernel(cache=True)
def reset_fired(
    new: Integers, fired: Integers, count: int, group: Integers, reset: Integers, value: Integers, low: Integers,
    high: Integers,
) -> None:  # fmt: skip
    """What a spike does to the states of its own neuron; clips again."""
    for n in range(count):
        j = fired[n]
        g = group[j]
        for k in range(new.shape[1]):
            if reset[g, k] == SET:
                new[j, k] = value[g, k]
            elif reset[g, k] == ADD:
                new[j, k] += value[g, k]
            elif reset[g, k] == HIGHEST:
                new[j, k] = max(new[j, k], value[g, k])
            new[j, k] = min(max(new[j, k], low[g, k]), high[g, k])


@kernel(cache=True)
def scatter(
    units: Integers, count: int, first: Integers, post: Integers, state: Integers, pointer: Integers, memory: Integers,
    group: Integers, transmit: Integers, arrived: Integers, touched: Integers, seed: int, tick: int,
) -> int:  # fmt: skip
    """Events of ``units[:count]`` reach their synapses: ``arrived[post, state] += memory[pointer]``.

    ``transmit [group of post, state]``: of 15 events so many get through, drawn for each synapse and tick. Returns the
    number of synapses reached, blanked-out ones included.
    """
    key = stream_key(seed, _BLANK, 0, 0, tick)
    reached = 0
    for n in range(count):
        u = units[n]
        for s in range(first[u], first[u + 1]):
            p = transmit[group[post[s]], state[s]]
            reached += 1
            if p < 15 and uniform(key, s) * 15.0 >= p:
                continue
            arrived[post[s], state[s]] += memory[pointer[s]]
            touched[post[s]] = 1
    return reached


@kernel(cache=True)
def gain(arrived: Integers, touched: Integers, group: Integers, weight_gain: Integers) -> None:
    """Sums of synaptic events are shifted by the gain of their state and cut to 16 bits."""
    for j in range(arrived.shape[0]):
        if touched[j]:
            touched[j] = 0
            for k in range(arrived.shape[1]):
                scaled = shift_learning(arrived[j, k], weight_gain[group[j], k])
                arrived[j, k] = min(max(scaled, -WORD - 1), WORD)


@kernel
def kernel_segment(delta: int, edges: Integers, heights: Integers, signs: Integers, slopes: Integers, window: int,
                   exponential: int) -> tuple[int, int]:  # fmt: skip
    """(shift, sign) of the piecewise-constant window at ``delta`` > 0 ticks; OFF outside of it.

    Three segments: up to ``edges[0]``, up to ``edges[1]``, up to ``window``. ``exponential``: the shift falls by one
    for every 2^slope ticks more.
    """
    if delta <= 0 or delta >= window:
        return OFF, 1
    part = 0 if delta < edges[0] else (1 if delta < edges[1] else 2)
    height = heights[part]
    if exponential and height > OFF:
        height = max(height - (delta >> slopes[part]), OFF)
    return height, signs[part]


@kernel
def rounded(change: int, bits: int, key: int, element: int) -> int:
    """change / 2^bits, rounded up or down at random so that its mean is exact."""
    if bits == 0:
        return change
    low = change & ((1 << bits) - 1)
    return (change >> bits) + (1 if below(key, element, 1 << bits) < low else 0)


@kernel(cache=True)
def learn(
    units: Integers, count: int, causal: bool, first: Integers, post: Integers, state: Integers, pointer: Integers,
    memory: Integers, new: Integers, group: Integers, learning: Integers, modulator: Integers, last_pre: Integers,
    last_post: Integers, latched: Integers, plastic: Integers, window: Integers, edges: Integers, heights: Integers,
    signs: Integers, slopes: Integers, gate: Integers, rounding: Integers, limits: Integers,
    updates: Integers, seed: int, tick: int,
) -> None:  # fmt: skip
    """Weights of the synapses that lead from ``units[:count]`` change: the causal half, or the other.

    Synapses are only looked up from their presynaptic side. *Acausal*: at a presynaptic event, the distance to the last
    postsynaptic spike, and the modulator as it is now. *Causal*: deferred to the next presynaptic event (or to the end
    of the window), the distance of the last postsynaptic spike after the last presynaptic one, and the modulator as it
    was latched at that spike. Only the last postsynaptic spike between two presynaptic ones counts.

    A synapse's learning group is ``learning[group of post, state]`` (-1: fixed). By learning group: ``plastic`` (1: by
    spike times; 2: every presynaptic event, whatever the times), ``window`` (ticks, exponential), ``edges [group,
    half, 2]``, ``heights``, ``signs``, ``slopes`` ``[group, half, 3]``, ``gate`` (lowest, highest, period,
    burn-in), ``rounding`` (bits). ``limits``: lowest and highest weight; ``updates``: counts them.
    """
    half = 0 if causal else 1
    key = int(sub_key(stream_key(seed, _ROUND, 0, 0, tick), half))
    for n in range(count):
        u = units[n]
        for s in range(first[u], first[u + 1]):
            j, k = post[s], state[s]
            rule = learning[group[j], k]
            if rule < 0:
                continue
            factor = new[j, modulator[group[j]]]
            if plastic[rule] == 2:
                if causal:
                    continue
                height, sign = heights[rule, 1, 0], 1
            elif causal:
                delta = last_post[j] - last_pre[u]
                factor = latched[j]
                height, sign = kernel_segment(delta, edges[rule, 0], heights[rule, 0], signs[rule, 0], slopes[rule, 0],
                                              window[rule, 0], window[rule, 1])  # fmt: skip
            else:
                delta = tick - last_post[j]
                height, sign = kernel_segment(delta, edges[rule, 1], heights[rule, 1], signs[rule, 1], slopes[rule, 1],
                                              window[rule, 0], window[rule, 1])  # fmt: skip
            if height <= OFF:
                continue
            if not gate[rule, 0] < new[j, k] < gate[rule, 1] or tick % gate[rule, 2] < gate[rule, 3]:
                continue
            updates[0] += 1
            change = rounded(sign * shift_learning(factor, height), int(rounding[rule]), key, s)
            memory[pointer[s]] = min(max(memory[pointer[s]] + change, limits[0]), limits[1])
