"""The integer tick of a neural and synaptic array transceiver (NSAT): shifts in place of multiplications.

One neuron has S integer states; state 0 is the one that fires. A tick of one neuron reads

    x_k <- clip( x_k + sum_l s_lk shift(x_l, A_lk) + acc_k + b_k + noise_k )

where ``acc`` are the synaptic events of the tick before, noise is cut to a whole number before it is added, and a shift
by a negative number rounds towards zero but never gives 0 for an x that is not 0: a leak takes at least 1 a tick, so
that states really decay. Everything is an integer; random parts are counter-based, so the number of threads or calls
never changes a bit.

Source: G. Detorakis et al., "Neural and Synaptic Array Transceiver: A Brain-Inspired Computing Framework for Embedded
Learning", Front. Neurosci. 12:583 (2018), arXiv 1709.10205; the order within a tick is that of the authors' simulator.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from neurosim.kernels.random import Integer, below, normal, stream_key, sub_key, uniform
from neurosim.kernels.words import OFF, WORD
from neurosim.kernels.wrap import kernel

Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint32]

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


# Columns of the arrays of a core: few arrays with many columns keep the kernels' arguments, and compiling them, short.
GROUP, TOUCHED, RESTING, LATCHED, HOME = range(5)
"""Of ``neuron``: its group (-1: it has no states and only passes events on), 1 where an event arrived, ticks of rest
left, the modulator at its last spike, the core that it is counted on."""
LAST, MARK = range(2)
"""Of ``unit``: the tick of its last event, 1 where it has one in this tick."""
POST, STATE, POINTER, TRACE, NUMBER = range(5)
"""Of ``synapse``: neuron and state that it leads to, place of its weight, eligibility, the number that it draws by."""
BIAS, NOISE, RESET, VALUE, LOW, HIGH, TRANSMIT, GAIN, LEARNING = range(9)
"""Of ``rows``: settings of each state."""
THRESHOLD, ADAPTIVE, REFRACTORY, MODULATOR, TERMS, STATES = range(6)
"""Of ``groups``: settings of all states together; TERMS: how many of the ``terms`` there are, STATES: how many of the
states are in use."""
KIND, WINDOW, EXPONENTIAL, GATE_LOW, GATE_HIGH, PERIOD, BURN_IN, ROUNDING, DECAY, TIMER, HALVES = range(11)
"""Of ``rules``; TIMER: ticks after which a causal half is written at the latest. From HALVES on, for each half: two
edges, three heights, three signs, three slopes."""
HALF = 11
LOWEST, HIGHEST_WEIGHT, BY_EVENTS, BY_TRACES = range(4)
"""Of ``fixed``: limits of weights; whether any rule learns by events, or by traces."""
CUT, TICK = range(2)
"""Of ``notes``: how many states and sums of events did not fit into 16 bits; the tick that comes next."""


class Core(NamedTuple):
    """All arrays of one core. N neurons of S states, M inputs, G groups, R learning groups, K synapses, W weights."""

    x: Integers
    """States [N, S]."""
    new: Integers
    """States as they will be at the end of the tick, [N, S]."""
    arrived: Integers
    """Synaptic events of the tick before, [N, S]."""
    neuron: Integers
    """[N, GROUP to HOME]."""
    fired: Integers
    """[N]: who fires in this tick, at the front."""
    unit: Integers
    """[M + N, LAST to MARK], inputs first."""
    first: Integers
    """[M + N + 1]: where each unit's synapses start."""
    synapse: npt.NDArray[np.int32]
    """[K, POST to NUMBER], in the order of their units."""
    memory: Integers
    """Weights [W]."""
    stuck: npt.NDArray[np.bool_]
    """[W]: weights that never change."""
    changed: Integers
    """[C]: weights changed in this tick, by the core of the neuron that they lead to."""
    notes: Integers
    """[CUT to TICK]"""
    rows: Integers
    """[G, BIAS to LEARNING, S]."""
    groups: Integers
    """[G, THRESHOLD to STATES]."""
    terms: Integers
    """[G, n, (source, destination, shift, sign)]."""
    rules: Integers
    """[R, KIND to the end of both halves]."""
    timers: npt.NDArray[np.bool_]
    """[longest TIMER of the rules that compare times + 1]: whether any of them is so long."""
    fixed: Integers
    """[LOWEST to BY_TRACES]."""
    seed: int


@kernel
def integrate(core: Core, tick: int) -> None:
    """All states of all neurons, from ``x`` into ``new``; ``arrived`` is used up."""
    x, new, arrived = core.x, core.new, core.arrived
    states = x.shape[1]
    key = stream_key(core.seed, _NOISE, 0, 0, tick)
    for j in range(x.shape[0]):
        g = core.neuron[j, GROUP]
        if g < 0:
            continue
        for k in range(core.groups[g, STATES]):
            new[j, k] = x[j, k] + arrived[j, k] + core.rows[g, BIAS, k]
            arrived[j, k] = 0
            if core.rows[g, NOISE, k] > 0:
                new[j, k] += int(core.rows[g, NOISE, k] * normal(key, j * states + k))
        for n in range(core.groups[g, TERMS]):
            new[j, core.terms[g, n, 1]] += core.terms[g, n, 3] * shift(x[j, core.terms[g, n, 0]], core.terms[g, n, 2])


@kernel
def fire(core: Core) -> int:
    """Refractory neurons rest, others fire where state 0 reaches the threshold (state 1 where ``adaptive``); clips.

    In the tick that ends its rest a neuron is looked at already: where state 0 is not held by a reset that sets it, it
    may fire then. Puts the neurons that fire into ``fired`` and returns how many. The clip comes after the threshold.
    """
    new = core.new
    count = 0
    for j in range(new.shape[0]):
        g = core.neuron[j, GROUP]
        if g < 0:
            continue
        if core.neuron[j, RESTING] > 0:
            if core.rows[g, RESET, 0] == SET:
                new[j, 0] = core.rows[g, VALUE, 0]
            core.neuron[j, RESTING] -= 1
        threshold = new[j, 1] if core.groups[g, ADAPTIVE] else core.groups[g, THRESHOLD]
        if core.neuron[j, RESTING] == 0 and new[j, 0] >= threshold:
            core.fired[count] = j
            count += 1
            core.neuron[j, RESTING] = core.groups[g, REFRACTORY]
        for k in range(core.groups[g, STATES]):
            if not -WORD - 1 <= new[j, k] <= WORD:
                core.notes[CUT] += 1
            new[j, k] = min(max(new[j, k], core.rows[g, LOW, k]), core.rows[g, HIGH, k])
    return count


@kernel
def reset_fired(core: Core, count: int) -> None:
    """What a spike does to the states of its own neuron; clips again."""
    new = core.new
    for n in range(count):
        j = core.fired[n]
        g = core.neuron[j, GROUP]
        for k in range(core.groups[g, STATES]):
            if core.rows[g, RESET, k] == SET:
                new[j, k] = core.rows[g, VALUE, k]
            elif core.rows[g, RESET, k] == ADD:
                new[j, k] += core.rows[g, VALUE, k]
            elif core.rows[g, RESET, k] == HIGHEST:
                new[j, k] = max(new[j, k], core.rows[g, VALUE, k])
            new[j, k] = min(max(new[j, k], core.rows[g, LOW, k]), core.rows[g, HIGH, k])


@kernel
def scatter(core: Core, unit: Integer, key: Integer) -> int:
    """An event of a unit reaches its synapses: ``arrived[post, state] += memory[pointer]``.

    ``transmit [group of post, state]``: of 15 events so many get through, drawn for each synapse and tick. Returns the
    number of synapses reached, blanked-out ones included.
    """
    for s in range(np.uint64(core.first[unit]), np.uint64(core.first[unit + 1])):  # unsigned: no index from behind
        j, k = np.uint64(core.synapse[s, POST]), np.uint64(core.synapse[s, STATE])
        p = core.rows[np.uint64(core.neuron[j, GROUP]), TRANSMIT, k]
        if p < 15 and uniform(key, core.synapse[s, NUMBER]) * 15.0 >= p:
            continue
        core.arrived[j, k] += core.memory[np.uint64(core.synapse[s, POINTER])]
        core.neuron[j, TOUCHED] = 1
    return int(core.first[unit + 1] - core.first[unit])


@kernel
def gain(core: Core) -> None:
    """Sums of synaptic events are shifted by the gain of their state and cut to 16 bits."""
    for j in range(core.arrived.shape[0]):
        if core.neuron[j, TOUCHED]:
            core.neuron[j, TOUCHED] = 0
            for k in range(core.arrived.shape[1]):
                scaled = shift_learning(core.arrived[j, k], core.rows[core.neuron[j, GROUP], GAIN, k])
                if not -WORD - 1 <= scaled <= WORD:
                    core.notes[CUT] += 1
                core.arrived[j, k] = min(max(scaled, -WORD - 1), WORD)


@kernel
def segment(core: Core, rule: int, half: int, delta: int) -> tuple[int, int]:
    """(shift, sign) of a learning group's window at ``delta`` > 0 ticks, causal (0) or acausal (1); OFF outside of it.

    Three segments: up to the first edge, up to the second, up to the window's end. Exponential: the shift falls by one
    for every 2^slope ticks more.
    """
    if delta <= 0 or delta >= core.rules[rule, WINDOW]:
        return OFF, 1
    at = HALVES + HALF * half
    part = 0 if delta < core.rules[rule, at] else (1 if delta < core.rules[rule, at + 1] else 2)
    height = core.rules[rule, at + 2 + part]
    if core.rules[rule, EXPONENTIAL] and height > OFF:
        height = max(height - (delta >> core.rules[rule, at + 8 + part]), OFF)
    return height, core.rules[rule, at + 5 + part]


@kernel
def rounded(change: int, bits: int, key: Integer, element: int) -> int:
    """change / 2^bits, rounded up or down at random so that its mean is exact."""
    if bits == 0:
        return change
    low = change & ((1 << bits) - 1)
    return (change >> bits) + (1 if below(key, element, 1 << bits) < low else 0)


@kernel
def learn(core: Core, unit: int, causal: bool, key: Integer, tick: int) -> None:
    """Weights of the synapses that lead from a unit change: the causal half, or the other.

    Synapses are only looked up from their presynaptic side. *Acausal*: at a presynaptic event, the distance to the last
    postsynaptic spike, and the modulator as it is now. *Causal*: deferred to the next presynaptic event (or until the
    rule's timer is over), the distance of the last postsynaptic spike after the last presynaptic one, and the modulator
    as it was latched at that spike. Only the last postsynaptic spike between two presynaptic ones counts.
    """
    since, event = tick - core.unit[unit, LAST], core.unit[unit, MARK]
    first_neuron = core.unit.shape[0] - core.x.shape[0]
    for s in range(np.uint64(core.first[unit]), np.uint64(core.first[unit + 1])):
        j, k = np.uint64(core.synapse[s, POST]), np.uint64(core.synapse[s, STATE])
        group = np.uint64(core.neuron[j, GROUP])
        rule = core.rows[group, LEARNING, k]
        if rule < 0 or core.rules[rule, KIND] == RULE_TRACE:
            continue
        factor = core.new[j, core.groups[group, MODULATOR]]
        if core.rules[rule, KIND] == RULE_EVENT:
            if causal:
                continue
            height, sign = core.rules[rule, HALVES + HALF + 2], 1
        elif causal:
            timer = core.rules[rule, TIMER]
            if since > timer or (since < timer and not event):
                continue
            factor = core.neuron[j, LATCHED]
            height, sign = segment(core, rule, 0, core.unit[first_neuron + np.int64(j), LAST] - core.unit[unit, LAST])
        else:
            height, sign = segment(core, rule, 1, tick - core.unit[first_neuron + np.int64(j), LAST])
        if height <= OFF or _shut(core, rule, core.new[j, k], tick):
            continue
        core.changed[core.neuron[j, HOME]] += _change(core, s, rule, sign * shift_learning(factor, height), key)


@kernel
def _shut(core: Core, rule: int, state: int, tick: int) -> bool:
    """Whether a gate keeps a synapse from learning: the state it leads to, or the time within the sample."""
    rules = core.rules
    return not rules[rule, GATE_LOW] < state < rules[rule, GATE_HIGH] or (
        tick % rules[rule, PERIOD] < rules[rule, BURN_IN]
    )


@kernel
def _change(core: Core, s: int, rule: int, change: int, key: Integer) -> int:
    """Adds to a weight, rounded at random where the rule says so, and clips it; stuck ones stay.

    Returns 1 where a weight is written: where it is not stuck, and what is left of the change by rounding is not 0.
    """
    p = core.synapse[s, POINTER]
    if change == 0 or core.stuck[p]:
        return 0
    step = rounded(change, core.rules[rule, ROUNDING], key, core.synapse[s, NUMBER])
    if step == 0:
        return 0
    core.memory[p] = min(max(core.memory[p] + step, core.fixed[LOWEST]), core.fixed[HIGHEST_WEIGHT])
    return 1


@kernel
def follow_traces(core: Core, key: Integer, tick: int) -> None:
    """Eligibility of all synapses that have a trace, and what the modulator makes of it.

        e <- e - shift(e, -decay) + sign 2^height    the latter at spikes of either side, by the time since the other's
        w <- w + e m 2^-rounding                     in every tick in which the modulator m is not 0

    Unlike the deferred rule, every tick looks at every synapse whose trace is not 0.
    """
    first_neuron = core.unit.shape[0] - core.x.shape[0]
    for u in range(core.unit.shape[0]):
        for s in range(core.first[u], core.first[u + 1]):
            j, k = core.synapse[s, POST], core.synapse[s, STATE]
            rule = core.rows[core.neuron[j, GROUP], LEARNING, k]
            if rule < 0 or core.rules[rule, KIND] != RULE_TRACE:
                continue
            e = core.synapse[s, TRACE]
            if e == 0 and not core.unit[u, MARK] and not core.unit[first_neuron + j, MARK]:
                continue
            e -= shift(e, -core.rules[rule, DECAY])
            if core.unit[first_neuron + j, MARK] and not core.unit[u, MARK]:
                height, sign = segment(core, rule, 0, tick - core.unit[u, LAST])
                e += sign * _power(height)
            elif core.unit[u, MARK]:
                height, sign = segment(core, rule, 1, tick - core.unit[first_neuron + j, LAST])
                e += sign * _power(height)
            core.synapse[s, TRACE] = min(max(e, -WORD - 1), WORD)
            factor = core.new[j, core.groups[core.neuron[j, GROUP], MODULATOR]]
            if factor != 0 and not _shut(core, rule, core.new[j, k], tick):
                core.changed[core.neuron[j, HOME]] += _change(core, s, rule, core.synapse[s, TRACE] * factor, key)


@kernel
def _power(height: int) -> int:
    """2^height, 0 below 1."""
    return 1 << height if height >= 0 else 0


@kernel
def hear(core: Core, units: Integers, count: int, fired: int, tick: int) -> int:
    """Events reach their synapses, weights change, fired neurons are reset: the second half of a tick.

    ``units[:count]``: inputs with an event, in ascending order. One that stands there more than once has as many
    events, each with blank-out of its own; it learns once. Returns the synapses reached; the weights changed stand in
    ``core.changed``.
    """
    inputs = core.unit.shape[0] - core.x.shape[0]
    key = stream_key(core.seed, _BLANK, 0, 0, tick)
    reached, before = 0, 0
    core.changed[:] = 0
    for n in range(fired + count):  # one call of a kernel is one copy of it: calls in two places compile twice as long
        before = before + 1 if n > fired and units[n - fired] == units[n - fired - 1] else 0
        own = key if before == 0 else sub_key(key, before)
        reached += scatter(core, inputs + core.fired[n] if n < fired else units[n - fired], own)
    if reached:
        gain(core)
    if core.fixed[BY_EVENTS] or core.fixed[BY_TRACES]:
        base = stream_key(core.seed, _ROUND, 0, 0, tick)
        keys = sub_key(base, 0), sub_key(base, 1), sub_key(base, 2)
        core.unit[:, MARK] = 0
        for n in range(count):
            core.unit[units[n], MARK] = 1
        for n in range(fired):
            core.unit[inputs + core.fired[n], MARK] = 1
        if core.fixed[BY_EVENTS]:
            for half in range(2):
                for u in range(core.unit.shape[0]):
                    since = tick - core.unit[u, LAST]
                    over = half == 0 and since < core.timers.shape[0] and core.timers[since]
                    if over or (core.unit[u, MARK] and (half == 1 or since < core.timers.shape[0])):
                        learn(core, u, half == 0, keys[half], tick)
        if core.fixed[BY_TRACES]:
            follow_traces(core, keys[2], tick)
    reset_fired(core, fired)
    for n in range(count):
        core.unit[units[n], LAST] = tick
    for n in range(fired):
        j = core.fired[n]
        core.unit[inputs + j, LAST] = tick
        core.neuron[j, LATCHED] = core.new[j, core.groups[core.neuron[j, GROUP], MODULATOR]]
    core.x[:, :] = core.new
    return reached


@kernel(cache=True)
def run(
    core: Core, start: int, ticks: int, first: Integers, units: Integers, heard: bool, spikes: Words,
    tick_first: Integers, counts: Integers, changed: npt.NDArray[np.int32], states: Integers, weights: Integers,
    every: int,
) -> int:  # fmt: skip
    """Up to ``ticks`` ticks of a core that waits for no other, the first of them ``start``; returns how many.

    Inputs ``units[first[n] : first[n + 1]]``, ascending, have an event in tick start + n. Neurons that fire in it are
    ``spikes[tick_first[n] : tick_first[n + 1]]``, ascending, with the inputs among them where ``heard``; the call ends
    early where the next tick's might not fit. ``counts``: fired, synapses reached, weights changed. ``changed [ticks,
    C]``, ``states [ticks, N, S]`` and ``weights [m, W]``, the latter in ticks that ``every`` divides, are filled where
    they have rows.
    """
    total, row = 0, 0
    tick_first[0] = 0
    most = core.unit.shape[0] if heard else core.x.shape[0]
    for n in range(ticks):
        if total + most > spikes.shape[0]:
            return n
        tick = start + n
        integrate(core, tick)
        fired = fire(core)
        m, given = 0, first[n] if heard else first[n + 1]
        while m < fired or given < first[n + 1]:
            if given == first[n + 1] or (m < fired and core.fired[m] < units[given]):
                spikes[total] = core.fired[m]
                m += 1
            else:
                spikes[total] = units[given]
                given += 1
            total += 1
        tick_first[n + 1] = total
        counts[0] += fired
        counts[1] += hear(core, units[first[n] : first[n + 1]], first[n + 1] - first[n], fired, tick)
        counts[2] += core.changed.sum()
        if changed.shape[0]:
            changed[n] = core.changed
        if states.shape[0]:
            states[n] = core.x
        if weights.shape[0] and tick % every == 0:
            weights[row] = core.memory
            row += 1
        core.notes[TICK] = tick + 1
    return ticks


@kernel(cache=True)
def advance(core: Core, tick: int) -> int:
    """The first half of a tick: integrate and fire. Returns how many neurons ``fired``."""
    integrate(core, tick)
    return fire(core)


@kernel(cache=True)
def finish(core: Core, units: Integers, fired: int, tick: int, counts: Integers) -> None:
    """The second half of a tick, where spikes of other cores have come; counts as in ``run``."""
    counts[0] += fired
    counts[1] += hear(core, units, units.size, fired, tick)
    counts[2] += core.changed.sum()
