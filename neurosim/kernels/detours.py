"""Shortest ways on a mesh of which some links are closed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim.kernels.wrap import kernel

Integers = npt.NDArray[np.int64]


@kernel(cache=True)
def walk(
    source: Integers,
    destination: Integers,
    by_destination: Integers,
    width: int,
    closed: npt.NDArray[np.bool_],
    distance: npt.NDArray[np.int32],
    queue: npt.NDArray[np.int32],
    first: Integers,
    links: Integers,
) -> None:
    """Walk every pair of tiles, always on to the first of east, west, north and south that lies closer to the end.

    ``by_destination``: the pairs, those of one destination in a row. ``closed[4 tile + direction]``: the link leads
    nowhere. With an empty ``links``, ``first[pair + 1]`` becomes the number of links crossed, or -1 where there is no
    way; otherwise ``links[first[pair]...]`` become their numbers. ``distance`` and ``queue`` (one entry per tile) are
    room to work in. A breadth-first search from each destination: O(tiles) for each, O(links) for each pair.
    """
    tiles = distance.shape[0]
    end = np.int64(-1)
    for k in range(by_destination.shape[0]):
        pair = by_destination[k]
        if destination[pair] != end:
            end = destination[pair]
            for tile in range(tiles):
                distance[tile] = tiles
            distance[end] = 0
            queue[0] = end
            head, tail = 0, 1
            while head < tail:
                tile = queue[head]
                head += 1
                for direction in range(4):
                    # links are closed in both directions at once, so that the way back is the way there
                    if closed[4 * tile + direction]:
                        continue
                    beside = _beside(tile, direction, width)
                    if distance[beside] == tiles:
                        distance[beside] = distance[tile] + 1
                        queue[tail] = beside
                        tail += 1
        tile = source[pair]
        if links.shape[0] == 0:
            first[pair + 1] = distance[tile] if distance[tile] < tiles else -1
            continue
        at = first[pair]
        if distance[tile] == tiles:
            continue
        while tile != end:
            for direction in range(4):
                if closed[4 * tile + direction]:
                    continue
                beside = _beside(tile, direction, width)
                if distance[beside] < distance[tile]:
                    links[at] = 4 * tile + direction
                    at += 1
                    tile = beside
                    break


@kernel(cache=True)
def _beside(tile: int, direction: int, width: int) -> int:
    """The neighbouring tile to the east, west, north or south."""
    if direction == 0:
        return tile + 1
    if direction == 1:
        return tile - 1
    if direction == 2:
        return tile - width
    return tile + width


def room(tiles: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """``distance`` and ``queue`` for ``walk``."""
    return np.empty(tiles, np.int32), np.empty(tiles, np.int32)
