"""What wires and slices of a memory array make of its weights: IR drop and bit slicing. Plain loops over plain arrays.

Conductances are in units of g_max, resistances in units of 1/g_max.

**The network.** R rows, C columns, a cell of conductance g_ij where row i crosses column j. A row is driven from its
left end through the driver's resistance Rd and one segment r of wire for each cell on the way; a column is read at its
lower end, below the last row, at virtual ground behind the amplifier's resistance Rs and one segment c for each cell on
the way. Kirchhoff's laws for these 2 R C nodes are linear, so the column currents are ``I_j = sum_i T_ij V_i``: the
array computes with T where ideal wires would give g.

**Weights.** A weight is the difference of two such arrays, each with wires of its own:
``g+- = (1 + gmin)/2 +- w/(2 full) (1 - gmin)``, and what is read is ``w_eff = (T+ - T-) full / (1 - gmin)``. A weight
that a pair cannot hold, ``|w| > full (1 + gmin)/(1 - gmin)``, is taken as one cell that does not conduct and one of the
whole difference, so that ideal wires give w for every w.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim.kernels.wrap import kernel

Floats = npt.NDArray[np.floating[Any]]
Doubles = npt.NDArray[np.float64]

NONE, FIRST_ORDER, EXACT = 0, 1, 2
"""How IR drop is computed."""


@kernel
def cell(w: float, full: float, g_min: float, sign: float) -> float:
    """Conductance of the positive (``sign`` 1) or negative (-1) cell of a weight's pair."""
    middle = 0.5 * (1.0 + g_min)
    half = 0.5 * (1.0 - g_min) * w / full
    if abs(half) > middle:
        return max(2.0 * sign * half, 0.0)
    return middle + sign * half


@kernel
def first_order(g: Doubles, t: Doubles, row: float, column: float, driver: float, sense: float) -> None:
    """``t`` [R, C] of cells ``g`` [R, C], to first order in the wires' resistances, in O(R C):

        T_ij = g_ij / (1 + a_ij + b_ij)
        a_ij = sum_k (r (min(j, k) + 1) + Rd) g_ik,     b_ij = sum_m (c (R - max(i, m)) + Rs) g_mj

    a is what row i loses on the way to column j, to all its cells, relative to its voltage; b what the cell's current
    meets on its way out, together with that of its column. Errors are of second order; a single cell is exact.
    """
    rows, columns = g.shape
    below = np.zeros(columns)
    for i in range(rows):  # t: conductance of each column from the top to row i
        for j in range(columns):
            below[j] += g[i, j]
            t[i, j] = below[j]
    loss = np.empty(columns)
    for j in range(columns):
        loss[j] = sense * below[j]
    beyond = np.empty(columns)
    for i in range(rows - 1, -1, -1):
        total = 0.0
        for j in range(columns - 1, -1, -1):  # conductance of row i from column j to its end
            total += g[i, j]
            beyond[j] = total
        lost = driver * total
        for j in range(columns):
            loss[j] += column * t[i, j]
            lost += row * beyond[j]
            t[i, j] = g[i, j] / (1.0 + lost + loss[j])


@kernel
def exact(g: Doubles, t: Doubles, row: float, column: float, driver: float, sense: float) -> None:
    """``t`` [R, C] of cells ``g`` [R, C]: all 2 R C nodes solved, about R C min(R, C) (R + C) operations.

    Rows are taken up one by one from the far end of the columns. What stands above a cut through all columns is a
    network of C ports, ``j = N V - Y v``: the currents j that come down when the rows have voltages V and the cut v. A
    row adds ``A`` to Y and a column n to N (`_row_network`); a segment s of column wire makes of both
    ``(1 + s Y)^-1 Y`` and ``(1 + s Y)^-1 N``. At virtual ground v = 0, and N is T transposed.

    Where there are more columns than rows, the same is done along the rows: by reciprocity, T is that of the array
    seen from its outputs.
    """
    rows, columns = g.shape
    if columns <= rows:
        _eliminate(g, t, row, column, driver, sense)
        return
    turned, answer = np.empty((columns, rows)), np.empty((columns, rows))
    for i in range(rows):
        for j in range(columns):
            turned[columns - 1 - j, rows - 1 - i] = g[i, j]
    _eliminate(turned, answer, column, row, sense, driver)
    for i in range(rows):
        for j in range(columns):
            t[i, j] = answer[columns - 1 - j, rows - 1 - i]


@kernel
def _eliminate(g: Doubles, t: Doubles, row: float, column: float, driver: float, sense: float) -> None:
    """`exact` by ports at the columns."""
    rows, columns = g.shape
    ports = np.zeros((columns, columns + rows))  # Y, then N
    lower = np.zeros((columns, columns))
    for i in range(rows):
        _row_network(g[i], ports, columns + i, row, driver)
        segment = column + (sense if i == rows - 1 else 0.0)
        if segment > 0.0:
            _factor(ports, lower, segment)
            _solve(lower, ports, columns + i + 1)
    for i in range(rows):
        for j in range(columns):
            t[i, j] = ports[j, columns + i]


@kernel
def _row_network(g: Doubles, ports: Doubles, place: int, row: float, driver: float) -> None:
    """Add what one row gives its columns: ``n_k`` into column ``place`` of ``ports``, ``A_kl`` to its first C columns.

    The current of cell k is ``n_k V - sum_l A_kl v_l``. The wire is a ladder: ``seen[j]`` is what conducts from node j
    on, away from the driver.
    """
    columns = g.shape[0]
    seen, u, source = np.empty(columns), np.empty(columns), np.empty(columns + 1)
    for j in range(columns - 1, -1, -1):
        seen[j] = g[j] + (seen[j + 1] / (1.0 + row * seen[j + 1]) if j < columns - 1 else 0.0)
    u[0] = 1.0 / (1.0 + (row + driver) * seen[0])
    for j in range(1, columns):
        u[j] = u[j - 1] / (1.0 + row * seen[j])
    for k in range(columns):
        ports[k, place] = g[k] * u[k]
    for one in range(columns):  # column ``one`` at 1 V, all else grounded
        for j in range(columns):
            source[j] = 0.0
        source[one] = g[one]
        for j in range(one - 1, -1, -1):
            source[j] = source[j + 1] / (1.0 + row * seen[j + 1])
        u[0] = (row + driver) * source[0] / (1.0 + (row + driver) * seen[0])
        for j in range(1, columns):
            u[j] = (u[j - 1] + row * source[j]) / (1.0 + row * seen[j])
        for k in range(columns):
            ports[k, one] -= g[k] * u[k]
        ports[one, one] += g[one]


@kernel
def _factor(ports: Doubles, lower: Doubles, segment: float) -> None:
    """Cholesky's factor of ``1 + segment Y``, Y the first columns of ``ports``: symmetric and positive definite."""
    n = lower.shape[0]
    for i in range(n):
        for j in range(i + 1):
            total = segment * ports[i, j] + (1.0 if i == j else 0.0)
            for k in range(j):
                total -= lower[i, k] * lower[j, k]
            lower[i, j] = math.sqrt(total) if i == j else total / lower[j, j]


@kernel
def _solve(lower: Doubles, b: Doubles, wide: int) -> None:
    """The first ``wide`` columns of b <- (L L^T)^-1 b."""
    n = lower.shape[0]
    for i in range(n):
        for k in range(i):
            factor = lower[i, k]
            for j in range(wide):
                b[i, j] -= factor * b[k, j]
        for j in range(wide):
            b[i, j] /= lower[i, i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            factor = lower[k, i]
            for j in range(wide):
                b[i, j] -= factor * b[k, j]
        for j in range(wide):
            b[i, j] /= lower[i, i]


@kernel
def digit(w: float, full: float, slices: int, bits: int, k: int) -> float:
    """What slice k of a weight holds, the most significant first, -1 to 1 of its cell's range.

    The weight is rounded to a sign and B = slices x bits bits, n = rint(min(|w|/full, 1) (2^B - 1)); slice k holds
    ``bits`` of them.
    """
    most = float((1 << (slices * bits)) - 1)
    n = int(min(abs(w) / full, 1.0) * most + 0.5)
    own = (n >> (bits * (slices - 1 - k))) & ((1 << bits) - 1)
    value = own / float((1 << bits) - 1)
    return -value if w < 0.0 else value


@kernel
def share(slices: int, bits: int, k: int) -> float:
    """c_k: what slice k counts for, ``w = full sum_k c_k digit_k``; the shares of all slices add up to 1."""
    if slices == 1:
        return 1.0
    one = float((1 << bits) - 1)
    return float(1 << (bits * (slices - 1 - k))) * one / float((1 << (slices * bits)) - 1)


@kernel
def noise_share(slices: int, bits: int) -> float:
    """``sqrt(sum_k c_k^2)``: noise of a weight whose slices each have noise of 1, on their own."""
    total = 0.0
    for k in range(slices):
        total += share(slices, bits, k) ** 2
    return math.sqrt(total)


@kernel(cache=True)
def array_seen(
    seen: Floats, parts: Floats, start: int, stride: int, rows: int, columns: int, sizes: npt.NDArray[np.int64],
    numbers: Doubles, dead: npt.NDArray[np.uint32],
) -> None:  # fmt: skip
    """What one array reads instead of its weights ``seen[start + i stride + j]``, in place.

    ``sizes``: slices, bits of each (0: not rounded), how IR drop is computed. ``numbers``: full, gmin, r, c, Rd, Rs.
    ``parts`` [slices x parameters] or shorter: where it is long enough, it gets what each slice alone reads. ``dead``
    [parameters], or of length 1 where there is none: 1 on lines that nothing drives or senses. Cells there go on
    loading the wires that they share with others, but what they read is 0.
    """
    slices, bits, mode = sizes[0], sizes[1], sizes[2]
    full, g_min = numbers[0], numbers[1]
    held = np.empty((rows, columns))
    total = np.zeros((rows, columns))
    plus, minus, g = np.empty((rows, columns)), np.empty((rows, columns)), np.empty((rows, columns))
    keeps = parts.shape[0] >= slices * seen.shape[0]
    for k in range(slices):
        for i in range(rows):
            for j in range(columns):
                w = float(seen[start + i * stride + j])
                held[i, j] = full * digit(w, full, slices, bits, k) if bits > 0 else w
        if mode != NONE:
            for sign in (1.0, -1.0):
                t = plus if sign > 0.0 else minus
                for i in range(rows):
                    for j in range(columns):
                        g[i, j] = cell(held[i, j], full, g_min, sign)
                if mode == EXACT:
                    exact(g, t, numbers[2], numbers[3], numbers[4], numbers[5])
                else:
                    first_order(g, t, numbers[2], numbers[3], numbers[4], numbers[5])
            for i in range(rows):
                for j in range(columns):
                    held[i, j] = (plus[i, j] - minus[i, j]) * full / (1.0 - g_min)
        part = share(slices, bits, k)
        for i in range(rows):
            for j in range(columns):
                if dead.shape[0] > 1 and dead[start + i * stride + j] != 0:
                    held[i, j] = 0.0
                total[i, j] += part * held[i, j]
                if keeps:
                    parts[k * seen.shape[0] + start + i * stride + j] = held[i, j]
    for i in range(rows):
        for j in range(columns):
            seen[start + i * stride + j] = total[i, j]
