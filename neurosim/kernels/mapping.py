"""Inner loops of the mapper: neurons onto cores one by one, and cores' contents swapped over the mesh.

``needs[neuron]``: synapses, axons out. ``source[first[i]:first[i + 1]]``: the distinct presynaptic neurons of neuron i.
``limits[resource, core]``: neurons, inputs, synapses, axons out, bytes. ``sizes``: bytes of a synapse and of a neuron.
``used``: neurons, inputs, synapses, axons out of one core.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim.kernels.wrap import kernel

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Stamps = npt.NDArray[np.int32]
Words = npt.NDArray[np.uint64]

TRIES = 64
"""Neurons that may be too large for what is left of a core before it counts as full (``grow``)."""


@kernel(cache=True)
def _room(used: Integers, new: int, need: Integers, limits: Integers, core: int, sizes: Floats) -> bool:
    """Whether one more neuron with ``new`` inputs that the core does not have yet fits on it."""
    if used[0] + 1 > limits[0, core] or used[1] + new > limits[1, core] or used[2] + need[0] > limits[2, core]:
        return False
    if used[3] + need[1] > limits[3, core]:
        return False
    bytes_taken: float = (used[0] + 1) * sizes[1] + (used[2] + need[0]) * sizes[0]
    return bool(bytes_taken <= limits[4, core])


@kernel(cache=True)
def _unseen(i: int, stamp: int, seen: Stamps, first: Integers, source: Stamps) -> int:
    new = 0
    for k in range(first[i], first[i + 1]):
        if seen[source[k]] != stamp:
            new += 1
    return new


@kernel(cache=True)
def _enter(
    i: int, stamp: int, new: int, used: Integers, seen: Stamps, first: Integers, source: Stamps, needs: Integers
) -> None:
    used[0] += 1
    used[1] += new
    used[2] += needs[i, 0]
    used[3] += needs[i, 1]
    for k in range(first[i], first[i + 1]):
        seen[source[k]] = stamp


@kernel(cache=True)
def fill(
    order: Integers, core: Integers, held_first: Integers, held: Integers, first: Integers, source: Stamps,
    needs: Integers, limits: Integers, sizes: Floats,
) -> None:  # fmt: skip
    """Put the neurons of ``order`` on cores 0, 1, 2, ..., on each as many in a row as it still takes.

    ``held[held_first[c]:held_first[c + 1]]``: neurons that stand on core c already. The last column of ``limits``
    stands for all cores that the chip has not: they are filled too, for the caller to see how many are missing.
    """
    cores = limits.shape[1] - 1
    seen = np.full(core.shape[0], -1, np.int32)
    used = np.zeros(4, np.int64)
    here = -1
    for k in range(order.shape[0]):
        i = order[k]
        while True:
            if here >= 0:
                new = _unseen(i, here, seen, first, source)
                if _room(used, new, needs[i], limits, min(here, cores), sizes):
                    break
            here += 1
            used[:] = 0
            if here < cores:
                for h in range(held_first[here], held_first[here + 1]):
                    j = held[h]
                    _enter(j, here, _unseen(j, here, seen, first, source), used, seen, first, source, needs)
        core[i] = here
        _enter(i, here, new, used, seen, first, source, needs)


@kernel(cache=True)
def deal(
    order: Integers, core: Integers, first: Integers, source: Stamps, needs: Integers, limits: Integers, sizes: Floats
) -> int:
    """Deal the neurons of ``order`` out to the cores in turn, to the next that still takes it.

    Returns how many found no place; their ``core`` stays -1. Neurons with a core at the start stand there already.
    """
    cores = limits.shape[1] - 1
    seen = np.zeros((cores, core.shape[0] // 64 + 1), np.uint64)
    used = np.zeros((cores, 4), np.int64)
    for i in range(core.shape[0]):
        if core[i] >= 0:
            _hand(i, core[i], used, seen, first, source, needs)
    lost = 0
    turn = 0
    for k in range(order.shape[0]):
        i = order[k]
        for tried in range(cores):
            c = (turn + tried) % cores
            new = 0
            if used[c, 0] < limits[0, c]:
                for s in range(first[i], first[i + 1]):
                    new += 1 - _bit(seen[c], source[s])
                if _room(used[c], new, needs[i], limits, c, sizes):
                    core[i] = c
                    _hand(i, c, used, seen, first, source, needs)
                    turn = c + 1
                    break
        else:
            lost += 1
    return lost


@kernel(cache=True)
def _bit(words: Words, k: int) -> int:
    return int((words[k >> 6] >> np.uint64(k & 63)) & np.uint64(1))


@kernel(cache=True)
def _hand(i: int, c: int, used: Integers, seen: Words, first: Integers, source: Stamps, needs: Integers) -> None:
    used[c, 0] += 1
    used[c, 2] += needs[i, 0]
    used[c, 3] += needs[i, 1]
    for s in range(first[i], first[i + 1]):
        j = source[s]
        used[c, 1] += 1 - _bit(seen[c], j)
        seen[c, j >> 6] |= np.uint64(1) << np.uint64(j & 63)


@kernel(cache=True)
def grow(
    core: Integers, held_first: Integers, held: Integers, first: Integers, source: Stamps, ahead: Integers,
    target: Stamps, needs: Integers, limits: Integers, sizes: Floats,
) -> int:  # fmt: skip
    """Gather neurons that are connected with one another on the same core, core after core.

    Each core begins with the free neuron that has most connections to all placed ones, and takes in the one with most
    connections to its own, ties to the lower number, until none fits. ``target[ahead[i]:ahead[i + 1]]``: the distinct
    neurons that neuron i sends to. Returns how many neurons found no place. O(synapses log synapses).
    """
    n, cores = core.shape[0], limits.shape[1] - 1
    seen = np.full(n, -1, np.int32)
    refused = np.full(n, -1, np.int32)
    touched = np.full(n, -1, np.int32)
    used = np.zeros(4, np.int64)
    gain = np.zeros(n, np.int64)  # connections to this core
    total = np.zeros(n, np.int64)  # connections to all cores
    heap = np.empty((2, 2 * source.shape[0] + n), np.int64)  # by gain, by total; entries may be out of date
    size = np.zeros(2, np.int64)
    aside = np.empty(TRIES, np.int64)
    free = 0
    for i in range(n):
        free += core[i] < 0
    lowest = 0
    for here in range(cores):
        if free == 0:
            break
        used[:] = 0
        size[0] = 0
        for h in range(held_first[here], held_first[here + 1]):
            i = held[h]
            _enter(i, here, _unseen(i, here, seen, first, source), used, seen, first, source, needs)
            _draw(i, here, core, gain, total, touched, heap, size, first, source, ahead, target)
        tries = kept = 0
        while lowest < n and core[lowest] >= 0:
            lowest += 1
        scan = lowest
        while free > 0 and tries < TRIES and used[0] < limits[0, here]:
            i = -1
            while size[0] > 0 and i < 0:  # most connections to this core
                key = heap[0, 0]
                size[0] = _pop(heap[0], size[0])
                j = n - 1 - key % n
                if core[j] < 0 and refused[j] != here and gain[j] == key // n:
                    i = j
            by_total = i < 0
            while size[1] > 0 and i < 0:  # none: most connections to all
                key = heap[1, 0]
                size[1] = _pop(heap[1], size[1])
                j = n - 1 - key % n
                if core[j] < 0 and total[j] == key // n:
                    i = j
            while i < 0 and scan < n:  # none: the next
                if core[scan] < 0 and refused[scan] != here:
                    i = scan
                scan += 1
            if i < 0:
                break
            new = _unseen(i, here, seen, first, source)
            if refused[i] == here or not _room(used, new, needs[i], limits, here, sizes):
                refused[i] = here
                tries += 1
                if by_total:
                    aside[kept] = i
                    kept += 1
                continue
            core[i] = here
            free -= 1
            _enter(i, here, new, used, seen, first, source, needs)
            _draw(i, here, core, gain, total, touched, heap, size, first, source, ahead, target)
        for k in range(kept):  # those that were taken off the heap and refused stay wanted elsewhere
            i = aside[k]
            if total[i] > 0:
                size[1] = _push(heap[1], size[1], total[i] * n + (n - 1 - i))
    return free


@kernel(cache=True)
def _draw(
    i: int, here: int, core: Integers, gain: Integers, total: Integers, touched: Stamps, heap: Integers,
    size: Integers, first: Integers, source: Stamps, ahead: Integers, target: Stamps,
) -> None:  # fmt: skip
    """Neuron i stands on a core now: its free neighbours are drawn there."""
    n = core.shape[0]
    for side in range(2):
        low = first[i] if side == 0 else ahead[i]
        high = first[i + 1] if side == 0 else ahead[i + 1]
        for k in range(low, high):
            j = source[k] if side == 0 else target[k]
            if core[j] >= 0:
                continue
            total[j] += 1
            gain[j] = gain[j] + 1 if touched[j] == here else 1
            touched[j] = here
            size[0] = _push(heap[0], size[0], gain[j] * n + (n - 1 - j))
            size[1] = _push(heap[1], size[1], total[j] * n + (n - 1 - j))


@kernel(cache=True)
def _push(heap: Integers, size: int, key: int) -> int:
    """Puts a key into a heap with the largest on top."""
    k = size
    while k > 0 and heap[(k - 1) >> 1] < key:
        heap[k] = heap[(k - 1) >> 1]
        k = (k - 1) >> 1
    heap[k] = key
    return size + 1


@kernel(cache=True)
def _pop(heap: Integers, size: int) -> int:
    """Takes out the largest key, ``heap[0]``."""
    size -= 1
    key = heap[size]
    k = 0
    while 2 * k + 1 < size:
        child = 2 * k + 1
        if child + 1 < size and heap[child + 1] > heap[child]:
            child += 1
        if heap[child] <= key:
            break
        heap[k] = heap[child]
        k = child
    heap[k] = key
    return size


@kernel(cache=True)
def swap(
    where: Integers, inside: Integers, movable: npt.NDArray[np.bool_], tile: Integers, distance: npt.NDArray[np.int32],
    near_first: Integers, near: Integers, traffic: Integers, used: Integers, limits: Integers, budget: int,
) -> int:  # fmt: skip
    """Swap the contents of cores as long as that lowers messages x hops; returns by how much.

    ``where[group]``: the core that a group of neurons stands on, ``inside[core]`` the group on it or -1. ``near``, from
    ``near_first[group]`` on: groups that it exchanges ``traffic`` with, both ways together. ``used[resource, group]``
    must fit the new core. ``budget`` bounds the work, so that the result never depends on how fast the host is.
    """
    won, improved = 0, True
    while improved and budget > 0:
        improved = False
        for group in range(where.shape[0]):
            if not movable[where[group]]:
                continue
            for there in range(inside.shape[0]):
                here = where[group]
                other = inside[there]
                if there == here or not movable[there] or tile[there] == tile[here]:
                    continue
                if other >= 0 and other < group:
                    continue  # this pair had its turn
                budget -= 1 + _degree(group, near_first) + _degree(other, near_first)
                delta = _moved(group, other, here, there, where, tile, distance, near_first, near, traffic)
                delta += _moved(other, group, there, here, where, tile, distance, near_first, near, traffic)
                if delta >= 0 or not _fits(group, there, used, limits) or not _fits(other, here, used, limits):
                    continue
                where[group], inside[there], inside[here] = there, group, other
                if other >= 0:
                    where[other] = here
                won -= delta
                improved = True
            if budget <= 0:
                break
    return won


@kernel(cache=True)
def _degree(group: int, near_first: Integers) -> int:
    return near_first[group + 1] - near_first[group] if group >= 0 else 0


@kernel(cache=True)
def _moved(
    group: int, other: int, here: int, there: int, where: Integers, tile: Integers,
    distance: npt.NDArray[np.int32], near_first: Integers, near: Integers, traffic: Integers,
) -> int:  # fmt: skip
    """What moving one group changes; the way between the two that swap stays as long as it was."""
    change = 0
    if group >= 0:
        for k in range(near_first[group], near_first[group + 1]):
            if near[k] != other:
                end = tile[where[near[k]]]
                change += traffic[k] * (distance[tile[there], end] - distance[tile[here], end])
    return change


@kernel(cache=True)
def _fits(group: int, core: int, used: Integers, limits: Integers) -> bool:
    if group >= 0:
        for k in range(used.shape[0]):
            if used[k, group] > limits[k, core]:
                return False
    return True


def as_stamps(values: npt.NDArray[Any]) -> Stamps:
    """Numbers of neurons in the type that the loops take."""
    return values.astype(np.int32)
