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

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from neurosim.kernels.random import Integer, below, normal, stream_key, sub_key, uniform
from neurosim.kernels.wrap import kernel

Integers = npt.NDArray[np.int64]

OFF: Final = -16
"""A shift that is no connection."""
WORD: Final = 32767
"""States and sums of synaptic events have 16 bits."""

NONE, SET, ADD, HIGHEST = 0, 1, 2, 3
"""What a spike does to a state: nothing, x = value, x += value, x = max(x, value)."""

RULE_STDP, RULE_EVENT, RULE_TRACE = 1, 2, 3
"""By spike times; at every presynaptic event, whatever the times; by eligibility traces."""

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


class Core(NamedTuple):
    """All arrays of one core. N neurons of S states, M inputs, G groups, R learning groups, K synapses, W weights."""

    x: Integers
    """States [N, S]."""
    new: Integers
    """States as they will be at the end of the tick."""
    arrived: Integers
    """Synaptic events of the tick before, [N, S]."""
    touched: Integers
    """[N]: 1 where an event arrived."""
    resting: Integers
    """[N]: ticks of rest left."""
    fired: Integers
    """[N]: who fires in this tick, at the front."""
    last: Integers
    """[M + N]: tick of the last event of every unit, inputs first."""
    latched: Integers
    """[N]: the modulator at the neuron's last spike."""
    group: Integers
    terms: Integers
    """[G, n, (source, destination, shift, sign)]."""
    term_count: Integers
    """[G]: how many of the terms there are."""
    bias: Integers
    noise: Integers
    """Standard deviation, [G, S]."""
    reset: Integers
    value: Integers
    low: Integers
    high: Integers
    transmit: Integers
    gain: Integers
    threshold: Integers
    adaptive: Integers
    refractory: Integers
    first: Integers
    """[M + N + 1]: where each unit's synapses start."""
    post: Integers
    state: Integers
    pointer: Integers
    memory: Integers
    """Weights [W]."""
    trace: Integers
    """Eligibility [K]."""
    mark: Integers
    """[M + N]: 1 where a unit has an event in this tick."""
    learning: Integers
    """[G, S]: learning group of synapses onto each state."""
    modulator: Integers
    plastic: Integers
    """[R]: RULE_STDP, RULE_EVENT or RULE_TRACE."""
    window: Integers
    edges: Integers
    heights: Integers
    signs: Integers
    slopes: Integers
    gate: Integers
    rounding: Integers
    decay: Integers
    """[R]: the trace falls by 2^-decay of itself a tick."""
    limits: Integers
    flags: Integers
    """(learns by events, has traces)."""
    seed: int


@kernel
def integrate(core: Core, tick: int) -> None:
    """All states of all neurons, from ``x`` into ``new``; ``arrived`` is used up."""
    x, new, arrived = core.x, core.new, core.arrived
    states = x.shape[1]
    key = stream_key(core.seed, _NOISE, 0, 0, tick)
    for j in range(x.shape[0]):
        g = core.group[j]
        for k in range(states):
            new[j, k] = x[j, k] + arrived[j, k] + core.bias[g, k]
            arrived[j, k] = 0
            if core.noise[g, k] > 0:
                new[j, k] += int(core.noise[g, k] * normal(key, j * states + k))
        for n in range(core.term_count[g]):
            new[j, core.terms[g, n, 1]] += core.terms[g, n, 3] * shift(x[j, core.terms[g, n, 0]], core.terms[g, n, 2])


@kernel
def fire(core: Core) -> int:
    """Refractory neurons rest, others fire where state 0 reaches the threshold (state 1 where ``adaptive``); clips.

    Puts the neurons that fire into ``fired`` and returns how many they are. The clip comes after the threshold.
    """
    new = core.new
    count = 0
    for j in range(new.shape[0]):
        g = core.group[j]
        if core.resting[j] > 0:
            if core.reset[g, 0] == SET:
                new[j, 0] = core.value[g, 0]
            core.resting[j] -= 1
        elif new[j, 0] >= (new[j, 1] if core.adaptive[g] else core.threshold[g]):
            core.fired[count] = j
            count += 1
            core.resting[j] = core.refractory[g]
        for k in range(new.shape[1]):
            new[j, k] = min(max(new[j, k], core.low[g, k]), core.high[g, k])
    return count


@kernel
def reset_fired(core: Core, count: int) -> None:
    """What a spike does to the states of its own neuron; clips again."""
    new = core.new
    for n in range(count):
        j = core.fired[n]
        g = core.group[j]
        for k in range(new.shape[1]):
            if core.reset[g, k] == SET:
                new[j, k] = core.value[g, k]
            elif core.reset[g, k] == ADD:
                new[j, k] += core.value[g, k]
            elif core.reset[g, k] == HIGHEST:
                new[j, k] = max(new[j, k], core.value[g, k])
            new[j, k] = min(max(new[j, k], core.low[g, k]), core.high[g, k])


@kernel
def scatter(core: Core, unit: Integer, key: Integer) -> int:
    """An event of a unit reaches its synapses: ``arrived[post, state] += memory[pointer]``.

    ``transmit [group of post, state]``: of 15 events so many get through, drawn for each synapse and tick. Returns the
    number of synapses reached, blanked-out ones included.
    """
    for s in range(core.first[unit], core.first[unit + 1]):
        j, k = core.post[s], core.state[s]
        p = core.transmit[core.group[j], k]
        if p < 15 and uniform(key, s) * 15.0 >= p:
            continue
        core.arrived[j, k] += core.memory[core.pointer[s]]
        core.touched[j] = 1
    return int(core.first[unit + 1] - core.first[unit])


@kernel
def gain(core: Core) -> None:
    """Sums of synaptic events are shifted by the gain of their state and cut to 16 bits."""
    for j in range(core.arrived.shape[0]):
        if core.touched[j]:
            core.touched[j] = 0
            for k in range(core.arrived.shape[1]):
                scaled = shift_learning(core.arrived[j, k], core.gain[core.group[j], k])
                core.arrived[j, k] = min(max(scaled, -WORD - 1), WORD)


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
def segment(core: Core, rule: int, half: int, delta: int) -> tuple[int, int]:
    """``kernel_segment`` of a learning group, causal (0) or acausal (1)."""
    return kernel_segment(
        delta, core.edges[rule, half], core.heights[rule, half], core.signs[rule, half], core.slopes[rule, half],
        core.window[rule, 0], core.window[rule, 1],
    )  # fmt: skip


@kernel
def rounded(change: int, bits: int, key: Integer, element: int) -> int:
    """change / 2^bits, rounded up or down at random so that its mean is exact."""
    if bits == 0:
        return change
    low = change & ((1 << bits) - 1)
    return (change >> bits) + (1 if below(key, element, 1 << bits) < low else 0)


@kernel
def learn(core: Core, unit: int, causal: bool, key: Integer, tick: int) -> int:
    """Weights of the synapses that lead from a unit change: the causal half, or the other. Returns how many.

    Synapses are only looked up from their presynaptic side. *Acausal*: at a presynaptic event, the distance to the last
    postsynaptic spike, and the modulator as it is now. *Causal*: deferred to the next presynaptic event (or to the end
    of the window), the distance of the last postsynaptic spike after the last presynaptic one, and the modulator as it
    was latched at that spike. Only the last postsynaptic spike between two presynaptic ones counts.
    """
    done = 0
    neurons = core.last[core.last.shape[0] - core.x.shape[0] :]
    for s in range(core.first[unit], core.first[unit + 1]):
        j, k = core.post[s], core.state[s]
        rule = core.learning[core.group[j], k]
        if rule < 0 or core.plastic[rule] == RULE_TRACE:
            continue
        factor = core.new[j, core.modulator[core.group[j]]]
        if core.plastic[rule] == RULE_EVENT:
            if causal:
                continue
            height, sign = core.heights[rule, 1, 0], 1
        elif causal:
            factor = core.latched[j]
            height, sign = segment(core, rule, 0, neurons[j] - core.last[unit])
        else:
            height, sign = segment(core, rule, 1, tick - neurons[j])
        if height <= OFF or _shut(core, rule, core.new[j, k], tick):
            continue
        done += 1
        _change(core, s, rule, sign * shift_learning(factor, height), key)
    return done


@kernel
def _shut(core: Core, rule: int, state: int, tick: int) -> bool:
    """Whether a gate keeps a synapse from learning: the state it leads to, or the time within the sample."""
    gate = core.gate[rule]
    return not gate[0] < state < gate[1] or tick % gate[2] < gate[3]


@kernel
def _change(core: Core, s: int, rule: int, change: int, key: Integer) -> None:
    """Adds to a weight, rounded at random where the rule says so, and clips it."""
    p = core.pointer[s]
    total = core.memory[p] + rounded(change, core.rounding[rule], key, s)
    core.memory[p] = min(max(total, core.limits[0]), core.limits[1])


@kernel
def follow_traces(core: Core, key: Integer, tick: int) -> int:
    """Eligibility of all synapses that have a trace, and what the modulator makes of it. Returns how many were written.

        e <- e - shift(e, -decay) + sign 2^height    the latter at spikes of either side, by the time since the other's
        w <- w + e m 2^-rounding                     in every tick in which the modulator m is not 0

    Unlike the deferred rule, every tick looks at every synapse whose trace is not 0.
    """
    first_neuron = core.last.shape[0] - core.x.shape[0]
    done = 0
    for u in range(core.last.shape[0]):
        for s in range(core.first[u], core.first[u + 1]):
            j, k = core.post[s], core.state[s]
            rule = core.learning[core.group[j], k]
            if rule < 0 or core.plastic[rule] != RULE_TRACE:
                continue
            e = core.trace[s]
            if e == 0 and not core.mark[u] and not core.mark[first_neuron + j]:
                continue
            e -= shift(e, -core.decay[rule])
            if core.mark[first_neuron + j] and not core.mark[u]:
                height, sign = segment(core, rule, 0, tick - core.last[u])
                e += sign * _power(height)
            elif core.mark[u]:
                height, sign = segment(core, rule, 1, tick - core.last[first_neuron + j])
                e += sign * _power(height)
            core.trace[s] = min(max(e, -WORD - 1), WORD)
            done += 1
            factor = core.new[j, core.modulator[core.group[j]]]
            if factor != 0 and not _shut(core, rule, core.new[j, k], tick):
                _change(core, s, rule, core.trace[s] * factor, key)
    return done


@kernel
def _power(height: int) -> int:
    """2^height, 0 below 1."""
    return 1 << height if height >= 0 else 0


@kernel
def hear(core: Core, units: Integers, count: int, fired: int, timeout: int, tick: int) -> tuple[int, int]:
    """Events reach their synapses, weights change, fired neurons are reset: the second half of a tick.

    ``units[:count]``: inputs with an event, in ascending order. Returns the synapses reached and the weights changed.
    """
    inputs = core.last.shape[0] - core.x.shape[0]
    key = stream_key(core.seed, _BLANK, 0, 0, tick)
    reached, changed = 0, 0
    for n in range(fired):
        reached += scatter(core, inputs + core.fired[n], key)
    for n in range(count):
        reached += scatter(core, units[n], key)
    if reached:
        gain(core)
    if core.flags[0] or core.flags[1]:
        base = stream_key(core.seed, _ROUND, 0, 0, tick)
        keys = sub_key(base, 0), sub_key(base, 1), sub_key(base, 2)
        mark = core.mark
        mark[:] = 0
        for n in range(count):
            mark[units[n]] = 1
        for n in range(fired):
            mark[inputs + core.fired[n]] = 1
        if core.flags[0]:
            for u in range(mark.shape[0]):
                since = tick - core.last[u]
                if since == timeout or (mark[u] and since < timeout):
                    changed += learn(core, u, True, keys[0], tick)
            for u in range(mark.shape[0]):
                if mark[u]:
                    changed += learn(core, u, False, keys[1], tick)
        if core.flags[1]:
            changed += follow_traces(core, keys[2], tick)
    reset_fired(core, fired)
    for n in range(count):
        core.last[units[n]] = tick
    for n in range(fired):
        j = core.fired[n]
        core.last[inputs + j] = tick
        core.latched[j] = core.new[j, core.modulator[core.group[j]]]
    core.x[:, :] = core.new
    return reached, changed


@kernel(cache=True)
def run(
    core: Core, start: int, ticks: int, first: Integers, units: Integers, timeout: int, spikes: Integers,
    counts: Integers, states: Integers, weights: Integers, every: int,
) -> int:  # fmt: skip
    """``ticks`` ticks after tick ``start`` of a core that waits for no other; returns the number of spikes.

    Inputs ``units[first[n] : first[n + 1]]``, ascending, have an event in tick start + 1 + n. ``spikes [n, (tick,
    neuron)]`` must hold all that may come. ``counts``: fired, synapses reached, weights changed. ``states [ticks, N,
    S]`` and ``weights [m, W]``, the latter in ticks that ``every`` divides, are filled where they have rows.
    """
    total, row = 0, 0
    for n in range(ticks):
        tick = start + 1 + n
        integrate(core, tick)
        fired = fire(core)
        for m in range(fired):
            spikes[total, 0], spikes[total, 1] = tick, core.fired[m]
            total += 1
        reached, changed = hear(core, units[first[n] : first[n + 1]], first[n + 1] - first[n], fired, timeout, tick)
        counts[0] += fired
        counts[1] += reached
        counts[2] += changed
        if states.shape[0]:
            states[n] = core.x
        if weights.shape[0] and tick % every == 0:
            weights[row] = core.memory
            row += 1
    return total


@kernel(cache=True)
def advance(core: Core, tick: int) -> int:
    """The first half of a tick: integrate and fire. Returns how many neurons ``fired``."""
    integrate(core, tick)
    return fire(core)


@kernel(cache=True)
def finish(core: Core, units: Integers, fired: int, timeout: int, tick: int, counts: Integers) -> None:
    """The second half of a tick, where spikes of other cores have come; counts as in ``run``."""
    reached, changed = hear(core, units, units.size, fired, timeout, tick)
    counts[0] += fired
    counts[1] += reached
    counts[2] += changed
