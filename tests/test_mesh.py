"""The mesh: where cores stand, and which links a message crosses, with and without dead links."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurosim.chip.mesh import HOPS, Mesh
from neurosim.errors import InputError
from neurosim.spec.geometry import Geometry


def geometry(**keys: Any) -> Geometry:
    return Geometry(**{"cores": 12, "neurons_per_core": 4, "inputs_per_core": 4, "mesh_width": 4, **keys})


SHAPES = {
    "one chip": geometry(),
    "tiles of two cores, column by column": geometry(cores=24, cores_per_tile=2, tile_order="columns", mesh_height=3),
    "six chips": geometry(chips=6, chip_columns=3),
    "a tile short": geometry(cores=10),
}


def every_pair(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of cores."""
    source, destination = np.divmod(np.arange(mesh.tile.size**2), mesh.tile.size)
    return source, destination


def walked(mesh: Mesh, source: np.ndarray, destination: np.ndarray) -> np.ndarray:
    """Links of every path, after checking that it leads from link to link from one core's tile to the other's."""
    first, links = mesh.paths(source, destination)
    here, there = mesh.ends(links)
    lengths = np.diff(first)
    assert not mesh.closed[links].any()
    some = lengths > 0
    np.testing.assert_array_equal(here[first[:-1][some]], mesh.tile[source[some]])
    np.testing.assert_array_equal(there[first[1:][some] - 1], mesh.tile[destination[some]])
    np.testing.assert_array_equal(mesh.tile[source[~some]], mesh.tile[destination[~some]])
    inside = np.setdiff1d(np.arange(links.size), first)  # all links but the first of each path
    np.testing.assert_array_equal(here[inside], there[inside - 1])
    return lengths


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_ways_are_as_long_as_the_distance_and_go_first_along_x(shape: Geometry) -> None:
    mesh = Mesh.of(shape)
    source, destination = every_pair(mesh)
    distance = np.abs(mesh.x[source] - mesh.x[destination]) + np.abs(mesh.y[source] - mesh.y[destination])
    hops = mesh.hops(source, destination)
    np.testing.assert_array_equal(hops.sum(axis=1), distance)
    np.testing.assert_array_equal(walked(mesh, source, destination), distance)
    first, links = mesh.paths(source, destination)
    pair = np.repeat(np.arange(source.size), np.diff(first))
    counted = np.zeros_like(hops)
    np.add.at(counted, (pair, mesh.kind(links)), 1)
    np.testing.assert_array_equal(counted, hops)
    turns = (pair[1:] == pair[:-1]) & (links[:-1] % 4 >= 2) & (links[1:] % 4 < 2)
    assert not turns.any()  # never back from y to x


def test_directions_and_crossings_by_hand() -> None:
    mesh = Mesh.of(geometry(chips=2))  # two chips of 4 x 3 tiles side by side
    assert (mesh.width, mesh.height) == (8, 3)
    last = 12 + 4 * 2 + 3  # the far corner of the second chip
    there = dict(zip(HOPS, mesh.hops(np.array([0]), np.array([last]))[0].tolist(), strict=True))
    back = dict(zip(HOPS, mesh.hops(np.array([last]), np.array([0]))[0].tolist(), strict=True))
    assert there == {"hop_east": 6, "hop_west": 0, "hop_north": 0, "hop_south": 2, "hop_chip": 1}
    assert back == {"hop_east": 0, "hop_west": 6, "hop_north": 2, "hop_south": 0, "hop_chip": 1}
    assert mesh.hops(np.array([5]), np.array([5])).sum() == 0


def test_cores_of_one_tile_need_no_link() -> None:
    mesh = Mesh.of(geometry(cores=16, cores_per_tile=4, mesh_width=2, tile_order="columns"))
    np.testing.assert_array_equal(mesh.tile, np.repeat([0, 2, 1, 3], 4))
    assert mesh.hops(np.array([0, 0]), np.array([3, 4])).tolist() == [[0] * 5, [0, 0, 0, 1, 0]]


def breadth_first(mesh: Mesh, dead: set[frozenset[int]], start: int) -> dict[int, int]:
    """Shortest distances, found another way than by the kernel."""
    distance, queue = {start: 0}, deque([start])
    while queue:
        tile = queue.popleft()
        x, y = mesh.place(tile)
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            if 0 <= x + dx < mesh.width and 0 <= y + dy < mesh.height:
                beside = tile + dx + dy * mesh.width
                if frozenset((tile, beside)) not in dead and beside not in distance:
                    distance[beside] = distance[tile] + 1
                    queue.append(beside)
    return distance


@given(st.sets(st.integers(0, 16), max_size=6))
@settings(max_examples=30, deadline=None)
def test_detours_are_shortest_ways(broken: set[int]) -> None:
    """17 links of a 4 x 3 mesh, some of them dead."""
    across = [(x, y, x + 1, y) for y in range(3) for x in range(3)]
    down = [(x, y, x, y + 1) for y in range(2) for x in range(4)]
    links = [(across + down)[k] for k in sorted(broken)]
    mesh = Mesh.of(geometry(), [f"{a},{b}-{c},{d}" for a, b, c, d in links])
    dead = {frozenset((b * 4 + a, d * 4 + c)) for a, b, c, d in links}
    for tile in range(12):
        distance = breadth_first(mesh, dead, tile)
        others = np.arange(12)
        reached = mesh.reaches(np.full(12, tile), others)
        np.testing.assert_array_equal(np.flatnonzero(reached), sorted(distance))
        here = others[reached]
        lengths = walked(mesh, np.full(here.size, tile), here)
        np.testing.assert_array_equal(lengths, [distance[k] for k in here])
        np.testing.assert_array_equal(mesh.hops(np.full(here.size, tile), here).sum(axis=1), lengths)


def test_a_way_that_no_dead_link_crosses_stays_as_it_was() -> None:
    whole, broken = Mesh.of(geometry()), Mesh.of(geometry(), ["0,0-1,0"])
    source, destination = every_pair(whole)
    first, links = whole.paths(source, destination)
    pair = np.repeat(np.arange(source.size), np.diff(first))
    hit = np.unique(pair[broken.closed[links]])
    assert hit.size
    untouched = np.setdiff1d(np.arange(source.size), hit)
    for a, b in zip(
        whole.paths(source[untouched], destination[untouched]),
        broken.paths(source[untouched], destination[untouched]),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)
    assert (broken.hops(source[hit], destination[hit]).sum(axis=1) >= np.diff(first)[hit]).all()
    # the straight way of length 1 becomes one of length 3
    assert broken.hops(np.array([0]), np.array([1])).tolist() == [[1, 0, 1, 1, 0]]


def test_messages_go_around_a_missing_chip() -> None:
    mesh = Mesh.of(geometry(chips=5, chip_columns=2))  # the sixth chip is not there
    source, destination = every_pair(mesh)
    walked(mesh, source, destination)
    last, right = 12 * 4, 12 * 3 + 3  # bottom left chip, and a corner of the chip above the gap
    assert mesh.hops(np.array([last]), np.array([right])).sum() == 7 + 3  # as long as the straight way, y first


def test_what_is_cut_off_is_said_by_name() -> None:
    mesh = Mesh.of(geometry(), ["0,0-1,0", "0,0-0,1"])
    with pytest.raises(InputError, match=r"tiles 0,0 and 2,1 cannot reach one another: the mesh is disconnected"):
        mesh.hops(np.array([0]), np.array([6]))
    assert mesh.hops(np.array([1, 0]), np.array([6, 0])).sum() == 2  # the others are not concerned


def test_bad_links_are_all_listed() -> None:
    with pytest.raises(InputError) as error:
        Mesh.of(geometry(), ["0,0-1,2", "0,0-0,9", "0;0-0,1", "0,0-1,0"])
    text = "\n".join(error.value.problems)
    assert len(error.value.problems) == 3
    for part in (
        "1,2 are not neighbours",
        "no tile 0,9; x runs from 0 to 3, y from 0 to 2",
        "write two tiles as x,y-x,y",
    ):
        assert part in text, text


def test_distances_are_the_lengths_of_the_ways() -> None:
    for mesh in (Mesh.of(geometry(chips=2)), Mesh.of(geometry(), ["1,1-2,1", "1,0-2,0"])):
        tiles = np.unique(mesh.tile)
        a, b = np.divmod(np.arange(tiles.size**2), tiles.size)
        expected = mesh.tile_hops(tiles[a], tiles[b]).sum(axis=1).reshape(tiles.size, tiles.size)
        np.testing.assert_array_equal(mesh.distances(tiles), expected)
