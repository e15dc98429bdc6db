"""Messages of a hand-driven network, tick by tick: what cores send and receive, and how long that takes.

How long a tick takes changes nothing in the network, so these loops run after the neurons', over the spikes of many
ticks; ticks do not know of one another, and threads may share them out. Counts are whole numbers, times whole
femtoseconds; only inside `contend` are they floats, since congestion divides.

An axon is one entry per neuron and core that holds synapses of it, packed into one word: ``core << shift | synapses``,
the core by its place among the cores in use; words of 32 bits where they suffice, since reading them is most of the
work. A tally of one core and tick is packed alike, into 64 bits: ``messages << 40 | synapses``.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from neurosim.kernels.prefetch import AHEAD, LINE_B, RUN, prefetch
from neurosim.kernels.wrap import kernel

Words = npt.NDArray[np.uint64]
Packed = npt.NDArray[np.uint32] | npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
Small = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]

SHIFT = np.uint64(40)
LOW = np.uint64((1 << 40) - 1)
ONE = np.uint64(1 << 40)

LATENCIES = ("VISITED", "UPDATED", "FIRED", "MESSAGE", "RECEIVED", "EVENT")
"""Columns of ``latency [band, what]``: fs that each keeps a core busy. EVENT holds all that a synapse does."""
VISITED, UPDATED, FIRED, MESSAGE, RECEIVED, EVENT = range(len(LATENCIES))

SPANS = ("SENT", "FIRST", "LAST")
"""Rows of ``spans [what, tick, core]`` in fs: when a core's last message left (and its last neuron was done), when it
took its first message in, and when it was done with its last."""
SENT, FIRST, LAST = range(len(SPANS))

SHARE = np.int64(1 << 40)
"""A message adds ``1 / (hops + 2)`` to the density of a link; densities are whole numbers in units of 2^-40, so that
what is added and taken away again leaves nothing behind."""


@kernel(cache=True)
def tally(
    spikes: npt.NDArray[np.uint32], first: Integers, low: int, high: int, home: npt.NDArray[np.uint32],
    messages: npt.NDArray[np.uint32], axon_first: npt.NDArray[np.uint32], axons: Packed, shift: int,
    sent: Words, received: Words,
) -> None:  # fmt: skip
    """What each core sends and receives in ticks ``low`` to ``high - 1``.

    ``spikes[first[t]:first[t + 1]]``: neurons that fired in tick t; ``messages[i]``: what one spike of neuron i sends,
    axons of dead cores included. ``sent [tick, core]`` becomes ``spikes << 40 |
    messages``, ``received [tick, core]`` becomes ``messages << 40 | synapses``.
    """
    high_bits, synapses = np.uint64(shift), np.uint64((1 << shift) - 1)
    for t in range(low, high):
        out, into = sent[t], received[t]
        out[:] = np.uint64(0)
        into[:] = np.uint64(0)
        for k in range(first[t], first[t + 1]):
            if k + AHEAD < first[t + 1]:
                i = spikes[k + AHEAD]
                start = np.uint64(axon_first[i])
                stop = min(np.uint64(axon_first[i + np.uint32(1)]), start + np.uint64(RUN))
                for ask in range(start, stop, np.uint64(LINE_B // axons.itemsize)):
                    prefetch(axons, ask)
            i = spikes[k]
            begin, end = axon_first[i], axon_first[i + np.uint32(1)]
            out[home[i]] += ONE + np.uint64(messages[i])
            for a in range(np.uint64(begin), np.uint64(end)):
                axon = np.uint64(axons[a])
                into[axon >> high_bits] += (axon & synapses) + ONE


@kernel(cache=True)
def busy(
    neurons: Integers, moved: Small, sent: Words, received: Words, read_fs: Integers, latency: Integers,
    low: int, high: int, ticks_fs: Integers,
) -> None:  # fmt: skip
    """How long the slowest core is busy in each tick: ``ticks_fs [band, tick]``, for each row of ``latency``.

    A core's neurons and its messages go on side by side: t = max(max_core generation, max_core processing), with

        generation = neurons t_visited + updated t_updated + fired t_fired + sent t_message
        processing = received t_received + synapses t_event + (one read of its array, ``read_fs [band, core]``, where
                     anything was received)
    """
    for t in range(low, high):
        for band in range(latency.shape[0]):
            cost = latency[band]
            slowest = np.int64(0)
            for c in range(neurons.shape[0]):
                out, into = sent[t, c], received[t, c]
                generation = (neurons[c] * cost[VISITED] + moved[t, c] * cost[UPDATED]
                              + np.int64(out >> SHIFT) * cost[FIRED] + np.int64(out & LOW) * cost[MESSAGE])  # fmt: skip
                messages = np.int64(into >> SHIFT)
                processing = messages * cost[RECEIVED] + np.int64(into & LOW) * cost[EVENT]
                if into > 0:
                    processing += read_fs[band, c]
                slowest = max(slowest, generation, processing)
            ticks_fs[band, t] = slowest


@kernel(cache=True)
def arrivals(
    spikes: Integers, axon_first: npt.NDArray[np.uint32], axons: Packed, shift: int, messages: Integers,
    synapses: Integers,
) -> None:  # fmt: skip
    """Adds messages and synaptic events to the cores that they reach, for ``spikes[i]`` spikes of every neuron i."""
    for i in range(spikes.shape[0]):
        times = spikes[i]
        if times > 0:
            for a in range(np.uint64(axon_first[i]), np.uint64(axon_first[i + 1])):
                axon = np.uint64(axons[a])
                core = axon >> np.uint64(shift)
                messages[core] += times
                synapses[core] += times * np.int64(axon & np.uint64((1 << shift) - 1))


@kernel(cache=True)
def by_pair(spikes: Integers, axon_first: npt.NDArray[np.uint32], pair: Small, messages: Integers) -> None:
    """Adds messages to the pairs of tiles that they join, for ``spikes[i]`` spikes of every neuron i."""
    for i in range(spikes.shape[0]):
        if spikes[i] > 0:
            for a in range(np.uint64(axon_first[i]), np.uint64(axon_first[i + 1])):
                messages[pair[a]] += spikes[i]


@kernel(cache=True)
def count(spikes: npt.NDArray[np.uint32], total: int, sent: Integers) -> None:
    """Adds one to ``sent[i]`` for every spike of neuron i among the first ``total``."""
    for k in range(total):
        sent[spikes[k]] += 1


@kernel(cache=True)
def gather(
    ticks: int, all_spikes: npt.NDArray[np.uint32], all_rank: npt.NDArray[np.uint32], all_first: Integers,
    all_moved: Small, home: npt.NDArray[np.uint32], spikes: npt.NDArray[np.uint32], rank: npt.NDArray[np.uint32],
    first: Integers, moved: Small,
) -> None:  # fmt: skip
    """What blocks of neurons did, ``[block, ...]``, as if it had been one: in the order of neurons within each tick."""
    count = 0
    ranked = all_rank.shape[1] > 1
    first[0] = 0
    for t in range(ticks):
        moved[t] = 0
        for b in range(all_spikes.shape[0]):
            for k in range(all_first[b, t], all_first[b, t + 1]):
                spikes[count] = all_spikes[b, k]
                if ranked:
                    rank[count] = all_rank[b, k] + np.uint32(moved[t, home[spikes[count]]])
                count += 1
            for c in range(moved.shape[1]):
                moved[t, c] += all_moved[b, t, c]
        first[t + 1] = count


@kernel(cache=True)
def hops(spikes: npt.NDArray[np.uint32], first: Integers, crossed: Integers, total: Integers) -> None:
    """Links that the messages of each tick cross: ``total [tick, direction]`` from ``crossed [neuron, direction]``."""
    for t in range(total.shape[0]):
        total[t] = 0
        for k in range(first[t], first[t + 1]):
            for direction in range(total.shape[1]):
                total[t, direction] += crossed[spikes[k], direction]


@kernel(cache=True)
def _raise_leaf(keys: Floats, names: Small, leaf: int | np.int64, key: float, size: int) -> None:
    """Set a leaf of a winner tree: ``keys[node]`` is the smallest key below, ``names[node]`` the first leaf with it.

    Leaves stand at ``size + leaf``, the root at 1.
    """
    node = size + leaf
    name = np.int32(leaf)
    keys[node] = key
    while node > 1:
        other = keys[node ^ 1]
        wins = key < other if node & 1 else key <= other  # of two that are equal the left one wins
        key = key if wins else other
        name = name if wins else names[node ^ 1]
        node >>= 1
        keys[node] = key
        names[node] = name


@kernel(cache=True)
def contend(
    spikes: npt.NDArray[np.uint32], rank: npt.NDArray[np.uint32], first: Integers, low: int, high: int,
    home: npt.NDArray[np.uint32], place: npt.NDArray[np.uint32], neurons: Integers, moved: Small, received: Words,
    messages: npt.NDArray[np.uint32], axon_first: npt.NDArray[np.uint32], axons: Packed, shift: int,
    pair: Small,
    path_first: npt.NDArray[np.uint32], path: npt.NDArray[np.uint32], pair_fs: Integers, share: Integers,
    links: int, buffer: int,
    latency: Integers, read_fs: Integers, order: Small, ticks_fs: Integers, spans: Integers,
) -> None:  # fmt: skip
    """How long each tick takes where messages get in one another's way (docs/network.md, `detailed`).

    Every core sends its messages one after another, as its neurons come: a message leaves ``t_message`` after the one
    before, and the first of a neuron also after all neurons since the last spike of its core. Over all cores, messages
    set out in the order of their times (ties: by core). Of those that are on their way, each adds 1 / (hops + 2) to
    the density of the port of its core and of every link that it crosses; R is their mean processing time. A message
    that meets densities that sum up to d, over hops + 1 ports and links with room for ``buffer`` messages each,

        leaves  max(0, d - (hops + 1) buffer) R  later, and the messages after it in its core as well,
        is on its way for  max(sum of its links' latencies, d R / (hops + 1)),
        is taken in when the core that it reaches is done with what came before, and counts as on its way until then.

    ``place[i]``: neurons of i's core up to i; ``rank[k]``: how many of them had been updated in the tick. ``pair[a]``:
    the pair of tiles that an axon joins; ``path[path_first[p]:path_first[p + 1]]`` its links, ``pair_fs[p]`` their
    latencies, ``share[p]`` SHARE / (hops + 2). ``order``: cores in the order in which messages are to set out, for one
    tick, in place of that of their times (empty: none). ``ticks_fs[tick]`` and ``spans [SPANS, tick, core]`` are filled
    in.
    """
    cores = neurons.shape[0]
    size = 1
    while size < cores:
        size *= 2
    t_visited, t_updated, t_fired = latency[VISITED], latency[UPDATED], latency[FIRED]
    t_message, t_received, t_event = latency[MESSAGE], latency[RECEIVED], latency[EVENT]
    send_key, send_name = np.full(2 * size, np.inf), np.zeros(2 * size, np.int32)
    take_key, take_name = np.full(2 * size, np.inf), np.zeros(2 * size, np.int32)
    for leaf in range(size):
        for names in (send_name, take_name):
            node = size + leaf
            names[node] = leaf
    for node in range(size - 1, 0, -1):
        send_name[node], take_name[node] = send_name[2 * node], take_name[2 * node]
    density = np.zeros(links + cores, np.int64)
    here = np.zeros(cores + 1, np.int64)  # spikes of each core: own[here[c]:here[c + 1]]
    now_spike, now_axon, end_axon = np.zeros(cores, np.int64), np.zeros(cores, np.int64), np.zeros(cores, np.int64)
    seen_place, seen_rank = np.zeros(cores, np.int64), np.zeros(cores, np.int64)
    left, done = np.zeros(cores), np.zeros(cores)  # when the last message left, when the last one was processed
    base, head, tail = np.zeros(cores, np.int64), np.zeros(cores, np.int64), np.zeros(cores, np.int64)
    most = np.int64(0)
    for t in range(low, high):
        most = max(most, first[t + 1] - first[t])
    own = np.zeros(most, np.int64)
    room = np.int64(0)
    when, long, way = np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.int64)
    for t in range(low, high):
        # spikes by core, and room for the messages of each core
        here[:] = 0
        for k in range(first[t], first[t + 1]):
            here[home[spikes[k]] + 1] += 1
        total = np.int64(0)
        for c in range(cores):
            here[c + 1] += here[c]
            now_spike[c] = here[c]
            base[c] = head[c] = tail[c] = total
            total += np.int64(received[t, c] >> SHIFT)
        if total > room:
            room = 2 * total
            when, long, way = np.zeros(room), np.zeros(room, np.int64), np.zeros(room, np.int64)
        for k in range(first[t], first[t + 1]):
            at = home[spikes[k]]
            own[now_spike[at]] = k
            now_spike[at] += 1
        for c in range(cores):
            now_spike[c], now_axon[c], end_axon[c] = here[c], 0, 0
            seen_place[c] = seen_rank[c] = 0
            left[c] = done[c] = 0.0
            spans[FIRST, t, c] = spans[LAST, t, c] = 0
        for c in range(cores):
            gap = np.int64(0)
            while now_axon[c] == end_axon[c] and now_spike[c] < here[c + 1]:
                k = own[now_spike[c]]
                i = spikes[k]
                now_spike[c] += 1
                gap += (place[i] - seen_place[c]) * t_visited + (rank[k] - seen_rank[c]) * t_updated + t_fired
                seen_place[c], seen_rank[c] = place[i], rank[k]
                now_axon[c], end_axon[c] = axon_first[i], axon_first[i + 1]
                gap += (np.int64(messages[i]) - (end_axon[c] - now_axon[c])) * t_message  # lost before they set out
            left[c] = gap
            if now_axon[c] < end_axon[c]:
                _raise_leaf(send_key, send_name, c, float(gap + t_message), size)
        flying, flying_fs = np.int64(0), np.int64(0)
        for m in range(total):
            src = np.int64(order[m]) if order.shape[0] > 0 else np.int64(send_name[1])
            now = send_key[size + src]
            while take_key[1] <= now:  # what has been taken in by now is on its way no more
                d = np.int64(take_name[1])
                e = head[d]
                p = way[e] >> 20
                density[links + (way[e] & 0xFFFFF)] -= share[p]
                for s in range(np.uint64(path_first[p]), np.uint64(path_first[p + 1])):
                    density[path[s]] -= share[p]
                flying -= 1
                flying_fs -= long[e]
                head[d] = e + 1
                _raise_leaf(take_key, take_name, d, when[e + 1] if e + 1 < tail[d] else np.inf, size)
            a = now_axon[src]
            axon, p = np.uint64(axons[a]), np.int64(pair[a])
            d = np.int64(axon >> np.uint64(shift))
            hops = np.int64(path_first[p + 1] - path_first[p])
            along = density[links + src]
            density[links + src] += share[p]
            for s in range(np.uint64(path_first[p]), np.uint64(path_first[p + 1])):
                along += density[path[s]]
                density[path[s]] += share[p]
            met = along / float(SHARE)
            mean = flying_fs / float(flying) if flying > 0 else 0.0
            leaves = now + max(0.0, met - (hops + 1.0) * buffer) * mean
            arrives = leaves + max(float(pair_fs[p]), met * mean / (hops + 1.0))
            taken = max(done[d], arrives)
            works = t_received + np.int64(axon & np.uint64((1 << shift) - 1)) * t_event
            if tail[d] == base[d]:
                works += read_fs[d]  # all rows of an array are read at once, when the first is driven
                spans[FIRST, t, d] = np.int64(math.floor(taken + 0.5))
            done[d] = taken + works
            e = tail[d]
            when[e], long[e], way[e] = taken, works, p << 20 | src
            tail[d] = e + 1
            flying += 1
            flying_fs += works
            if head[d] == e:
                _raise_leaf(take_key, take_name, d, taken, size)
            # the next message of the core
            gap = np.int64(0)
            now_axon[src] = a + 1
            while now_axon[src] == end_axon[src] and now_spike[src] < here[src + 1]:
                k = own[now_spike[src]]
                i = spikes[k]
                now_spike[src] += 1
                gap += (place[i] - seen_place[src]) * t_visited + (rank[k] - seen_rank[src]) * t_updated + t_fired
                seen_place[src], seen_rank[src] = place[i], rank[k]
                now_axon[src], end_axon[src] = axon_first[i], axon_first[i + 1]
                gap += (np.int64(messages[i]) - (end_axon[src] - now_axon[src])) * t_message  # lost before they set out
            left[src] = leaves + gap
            _raise_leaf(
                send_key, send_name, src, left[src] + t_message if now_axon[src] < end_axon[src] else np.inf, size
            )
        last = 0.0
        for c in range(cores):
            left[c] += (neurons[c] - seen_place[c]) * t_visited + (moved[t, c] - seen_rank[c]) * t_updated
            spans[SENT, t, c] = np.int64(math.floor(left[c] + 0.5))
            spans[LAST, t, c] = np.int64(math.floor(done[c] + 0.5))
            last = max(last, left[c], done[c])
            # what is still on its way arrives before the tick ends
            for e in range(head[c], tail[c]):
                p = way[e] >> 20
                density[links + (way[e] & 0xFFFFF)] -= share[p]
                for s in range(np.uint64(path_first[p]), np.uint64(path_first[p + 1])):
                    density[path[s]] -= share[p]
            if head[c] < tail[c]:
                _raise_leaf(take_key, take_name, c, np.inf, size)
        ticks_fs[t] = np.int64(math.floor(last + 0.5))
