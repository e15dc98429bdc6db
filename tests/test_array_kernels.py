"""IR drop and bit slicing: hand-solved arrays, a sparse nodal analysis, orders of error, digits of weights."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import spsolve

from neurosim.kernels import array

NONE_DEAD = np.zeros(1, np.uint32)


def nodal(g: np.ndarray, row: float, column: float, driver: float, sense: float) -> np.ndarray:
    """T by Kirchhoff's current law at each of the 2 R C nodes: the textbook way, and a sparse solver."""
    R, C = g.shape
    size = 2 * R * C
    matrix = sparse.lil_matrix((size, size))
    inputs = np.zeros((size, R))

    def join(a: int, b: int | None, conductance: float) -> None:
        matrix[a, a] += conductance
        if b is not None:
            matrix[b, b] += conductance
            matrix[a, b] -= conductance
            matrix[b, a] -= conductance

    for i in range(R):
        for j in range(C):
            u, v = i * C + j, R * C + i * C + j
            join(u, v, g[i, j])
            if j == 0:
                join(u, None, 1.0 / (row + driver))
                inputs[u, i] = 1.0 / (row + driver)
            else:
                join(u, u - 1, 1.0 / row)
            join(v, v + C if i < R - 1 else None, 1.0 / (column if i < R - 1 else column + sense))
    voltages = spsolve(matrix.tocsc(), inputs).reshape(size, R)
    return voltages[size - C :].T / (column + sense)


def solved(how: str, g: np.ndarray, *wires: float) -> np.ndarray:
    t = np.empty_like(g)
    getattr(array, how)(g, t, *wires)
    return t


def cells(rows: int, columns: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.1, 1.0, size=(rows, columns))


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (6, 4), (4, 6), (9, 9)])
@pytest.mark.parametrize("wires", [(0.05, 0.02, 0.0, 0.0), (0.02, 0.05, 0.3, 0.1), (1.0, 2.0, 5.0, 3.0)])
def test_the_exact_solver_agrees_with_nodal_analysis(shape: tuple[int, int], wires: tuple[float, ...]) -> None:
    g = cells(*shape)
    np.testing.assert_allclose(solved("exact", g, *wires), nodal(g, *wires), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("how", ["exact", "first_order"])
def test_a_single_cell_is_a_series_of_resistors(how: str) -> None:
    g, r, c, rd, rs = 0.7, 0.3, 0.2, 0.5, 0.4
    assert solved(how, np.array([[g]]), r, c, rd, rs)[0, 0] == pytest.approx(
        1.0 / (1.0 / g + r + c + rd + rs), rel=1e-15
    )


def test_two_cells_of_a_row_share_its_first_segment() -> None:
    # 1 x 2, ideal columns: the second cell and its segment in series, beside the first, behind a segment
    g1, g2, r = 0.8, 0.5, 0.25
    second = 1.0 / (r + 1.0 / g2)
    at_first = 1.0 / (1.0 + r * (g1 + second))
    t = solved("exact", np.array([[g1, g2]]), r, 0.0, 0.0, 0.0)
    np.testing.assert_allclose(t, [[g1 * at_first, second * at_first]], rtol=1e-14)


def test_two_cells_of_a_column_meet_above_its_last_segment() -> None:
    # 2 x 1, ideal rows: the upper cell and its segment in series, the lower one, both above the last segment
    g1, g2, c = 0.8, 0.5, 0.25
    upper = 1.0 / (c + 1.0 / g1)
    out = 1.0 / (1.0 + c * (upper + g2))
    t = solved("exact", np.array([[g1], [g2]]), 0.0, c, 0.0, 0.0)
    np.testing.assert_allclose(t, [[upper * out], [g2 * out]], rtol=1e-14)


def test_first_order_sums_are_those_of_the_formula() -> None:
    g, (r, c, rd, rs) = cells(5, 7), (0.01, 0.02, 0.03, 0.04)
    t = solved("first_order", g, r, c, rd, rs)
    for i in range(5):
        for j in range(7):
            a = sum((r * (min(j, k) + 1) + rd) * g[i, k] for k in range(7))
            b = sum((c * (5 - max(i, m)) + rs) * g[m, j] for m in range(5))
            assert t[i, j] == pytest.approx(g[i, j] / (1.0 + a + b), rel=1e-13)


@pytest.mark.parametrize("scale", [(1, 0, 0, 0), (0, 1, 0, 0), (1, 2, 0, 0), (1, 1, 3, 2), (0, 0, 1, 1)])
def test_first_order_errors_fall_with_the_square_of_the_resistance(scale: tuple[int, ...]) -> None:
    g = cells(12, 10)
    errors = []
    for r in (2e-4, 1e-4, 0.5e-4):
        wires = [r * each for each in scale]
        errors.append(np.abs(solved("first_order", g, *wires) - solved("exact", g, *wires)).max())
        assert errors[-1] < 0.1 * np.abs(solved("exact", g, *wires) - g).max()
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.05)
    assert errors[1] / errors[2] == pytest.approx(4.0, rel=0.03)


@pytest.mark.parametrize("terminal", [(0.0, 0.0, 0.2, 0.0), (0.0, 0.0, 0.0, 0.2)])
def test_one_terminal_resistance_alone_is_a_voltage_divider(terminal: tuple[float, ...]) -> None:
    g = cells(6, 5)
    load = g.sum(axis=1, keepdims=True) if terminal[2] else g.sum(axis=0, keepdims=True)
    for how in ("exact", "first_order"):
        np.testing.assert_allclose(solved(how, g, *terminal), g / (1.0 + 0.2 * load), rtol=1e-13)


@pytest.mark.parametrize("how", ["exact", "first_order"])
def test_wires_without_resistance_lose_nothing(how: str) -> None:
    g = cells(6, 8)
    np.testing.assert_array_equal(solved(how, g, 0.0, 0.0, 0.0, 0.0), g)


def test_reciprocity_drives_and_senses_may_change_places() -> None:
    g, (r, c, rd, rs) = cells(6, 4), (0.1, 0.2, 0.3, 0.4)
    turned = solved("exact", np.ascontiguousarray(g[::-1, ::-1].T), c, r, rs, rd)
    np.testing.assert_allclose(turned[::-1, ::-1].T, solved("exact", g, r, c, rd, rs), rtol=1e-12)


def test_what_goes_around_a_cell_that_does_not_conduct_is_of_second_order() -> None:
    g = cells(5, 5)
    g[2, 3] = 0.0
    around = [solved("exact", g, r, r, 0.0, 0.0)[2, 3] for r in (2e-4, 1e-4)]
    assert around[0] / around[1] == pytest.approx(4.0, rel=0.02)
    assert solved("first_order", g, 1e-4, 1e-4, 0.0, 0.0)[2, 3] == 0.0


def test_pairs_give_their_weight_back_and_never_conduct_less_than_nothing() -> None:
    for w in (-9.0, -1.5, -1.0, -0.3, 0.0, 0.2, 1.5, 4.0):
        plus, minus = (array.cell(w, 1.5, 0.1, sign) for sign in (1.0, -1.0))
        assert min(plus, minus) >= 0.0
        assert (plus - minus) * 1.5 / 0.9 == pytest.approx(w, abs=1e-15)
    assert [array.cell(1.5, 1.5, 0.1, sign) for sign in (1.0, -1.0)] == pytest.approx([1.0, 0.1])


@pytest.mark.parametrize(("slices", "bits"), [(1, 1), (1, 6), (4, 1), (2, 3), (3, 4), (8, 2)])
def test_slices_add_up_to_the_rounded_weight(slices: int, bits: int) -> None:
    full, most = 0.8, 2 ** (slices * bits) - 1
    shares = [array.share(slices, bits, k) for k in range(slices)]
    assert sum(shares) == pytest.approx(1.0, rel=1e-14)
    assert shares == sorted(shares, reverse=True)
    assert array.noise_share(slices, bits) == pytest.approx(np.linalg.norm(shares), rel=1e-14)
    for w in np.random.default_rng(2).uniform(-1.0, 1.0, size=200):
        digits = [array.digit(w, full, slices, bits, k) for k in range(slices)]
        levels = np.abs(digits) * (2**bits - 1)
        np.testing.assert_allclose(levels, np.rint(levels), atol=1e-12)
        clipped = np.clip(w, -full, full)
        total = full * sum(c * d for c, d in zip(shares, digits, strict=True))
        assert total == pytest.approx(
            np.sign(clipped) * np.floor(abs(clipped) / full * most + 0.5) * full / most, abs=1e-14
        )


def seen(
    w: np.ndarray, sizes: tuple[int, int, int], numbers: tuple[float, ...], parts: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    flat, held = w.reshape(-1).copy(), np.zeros(parts)
    array.array_seen(flat, held, 0, w.shape[1], *w.shape, np.array(sizes), np.array(numbers), NONE_DEAD)
    return flat.reshape(w.shape), held


def test_a_weight_matrix_is_read_through_two_arrays() -> None:
    w = np.random.default_rng(3).uniform(-1.0, 1.0, size=(7, 5))
    wires = (0.01, 0.02, 0.03, 0.04)
    g_min = 0.1
    pair = [0.5 * (1 + g_min) + sign * 0.5 * (1 - g_min) * w for sign in (1, -1)]
    expected = (nodal(pair[0], *wires) - nodal(pair[1], *wires)) / (1 - g_min)
    np.testing.assert_allclose(seen(w, (1, 0, array.EXACT), (1.0, g_min, *wires))[0], expected, rtol=1e-10, atol=1e-13)


def test_only_the_tile_that_is_meant_changes() -> None:
    w = np.arange(40.0).reshape(8, 5) / 40.0
    flat = w.reshape(-1).copy()
    array.array_seen(flat, np.zeros(1), 6, 5, 3, 2, np.array([1, 3, array.NONE]), np.ones(6), NONE_DEAD)
    got = flat.reshape(8, 5)
    inside = np.zeros((8, 5), bool)
    inside[1:4, 1:3] = True
    np.testing.assert_array_equal(got[~inside], w[~inside])
    np.testing.assert_allclose(got[inside], np.floor(w[inside] * 7 + 0.5) / 7, atol=1e-15)


def test_parts_are_what_each_slice_alone_reads() -> None:
    w = np.random.default_rng(4).uniform(-1.0, 1.0, size=(6, 5))
    wires = (0.01, 0.02, 0.0, 0.0)
    whole, parts = seen(w, (3, 2, array.EXACT), (1.0, 0.1, *wires), parts=90)
    each = parts.reshape(3, 6, 5)
    for k in range(3):
        alone = np.array([[array.digit(x, 1.0, 3, 2, k) for x in line] for line in w])
        np.testing.assert_array_equal(each[k], seen(alone, (1, 0, array.EXACT), (1.0, 0.1, *wires))[0])
    np.testing.assert_allclose(whole, sum(array.share(3, 2, k) * each[k] for k in range(3)), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("mode", [array.FIRST_ORDER, array.EXACT])
def test_a_dead_line_reads_nothing_though_its_cells_load_the_wires(mode: int) -> None:
    w = np.full((6, 5), 0.5)
    dead = np.zeros((6, 5), np.uint32)
    dead[2, :], dead[:, 3] = 1, 1
    w[dead == 1] = 0.0
    numbers, sizes = np.array([1.0, 0.1, 2e-3, 2e-3, 0.0, 0.0]), np.array([1, 0, mode])
    alive, cut = w.reshape(-1).copy(), w.reshape(-1).copy()
    array.array_seen(alive, np.zeros(1), 0, 5, 6, 5, sizes, numbers, NONE_DEAD)
    array.array_seen(cut, np.zeros(1), 0, 5, 6, 5, sizes, numbers, dead.reshape(-1))
    assert abs(alive.reshape(6, 5)[dead == 1]).max() > 1e-4
    assert (cut.reshape(6, 5)[dead == 1] == 0.0).all()
    np.testing.assert_array_equal(cut.reshape(6, 5)[dead == 0], alive.reshape(6, 5)[dead == 0])
