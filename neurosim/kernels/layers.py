"""Inner loops of layers: dense, convolution, pooling, and their transposes. Plain loops over plain arrays.

Weights are ``[input, output]`` and the inner loop runs over outputs: it vectorises without changing the order in
which a sum is taken, so an output has the same bits however the loop was compiled. A silent input is skipped, as
in the hardware: it draws no current and costs nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim.kernels.wrap import kernel

Floats = npt.NDArray[np.floating[Any]]


@kernel
def dense(w: Floats, b: Floats, x: Floats, z: Floats) -> None:
    """``z_j = b_j + sum_i x_i w_ij``; w [n_in * n_out] row by row, b and z [n_out], x [n_in]."""
    n_out = z.shape[0]
    for j in range(n_out):
        z[j] = b[j]
    for i in range(x.shape[0]):
        xi = x[i]
        if xi != 0.0:
            start = i * n_out
            for j in range(n_out):
                z[j] += xi * w[start + j]


@kernel
def conv2d(w: Floats, b: Floats, x: Floats, z: Floats) -> None:
    """``z[y, x, o] = b_o + sum_{u,v,c} x[y+u, x+v, c] w[u, v, c, o]``: stride 1, no padding, channels last."""
    size, _, channels, n_out = w.shape
    for oy in range(z.shape[0]):
        for ox in range(z.shape[1]):
            out = z[oy, ox]
            for o in range(n_out):
                out[o] = b[o]
            for u in range(size):
                for v in range(size):
                    for c in range(channels):
                        xi = x[oy + u, ox + v, c]
                        if xi != 0.0:
                            row = w[u, v, c]
                            for o in range(n_out):
                                out[o] += xi * row[o]


@kernel
def conv2d_replicated(theta: Floats, x: Floats, z: Floats, size: int) -> None:
    """`conv2d` with one copy of weights and biases per position: theta [positions * (size^2 c_in + 1) * c_out]."""
    channels, n_out = x.shape[2], z.shape[2]
    shared = (size * size * channels + 1) * n_out
    for oy in range(z.shape[0]):
        for ox in range(z.shape[1]):
            copy = (oy * z.shape[1] + ox) * shared
            out = z[oy, ox]
            for o in range(n_out):
                out[o] = theta[copy + shared - n_out + o]
            for u in range(size):
                for v in range(size):
                    for c in range(channels):
                        xi = x[oy + u, ox + v, c]
                        if xi != 0.0:
                            row = copy + ((u * size + v) * channels + c) * n_out
                            for o in range(n_out):
                                out[o] += xi * theta[row + o]


@kernel
def tie(vector: npt.NDArray[Any], start: int, shared: int, copies: int) -> None:
    """Give all copies of a replicated array what its first copy holds."""
    for k in range(1, copies):
        for e in range(shared):
            vector[start + k * shared + e] = vector[start + e]


@kernel
def maxpool(x: Floats, z: Floats, size: int) -> None:
    """Largest of each ``size`` x ``size`` window; x and z [rows, columns, channels]."""
    for oy in range(z.shape[0]):
        for ox in range(z.shape[1]):
            for c in range(z.shape[2]):
                best = x[oy * size, ox * size, c]
                for u in range(size):
                    for v in range(size):
                        best = max(best, x[oy * size + u, ox * size + v, c])
                z[oy, ox, c] = best


@kernel
def avgpool(x: Floats, z: Floats, size: int) -> None:
    """Mean of each ``size`` x ``size`` window; x and z [rows, columns, channels]."""
    for oy in range(z.shape[0]):
        for ox in range(z.shape[1]):
            for c in range(z.shape[2]):
                total = 0.0
                for u in range(size):
                    for v in range(size):
                        total += x[oy * size + u, ox * size + v, c]
                z[oy, ox, c] = total / (size * size)


@kernel
def dense_gradient(dz: Floats, x: Floats, gradient_w: Floats, gradient_b: Floats, scale: float) -> None:
    """``g_ij += scale x_i dz_j`` and ``g_j += scale dz_j``: the outer product of a dense layer."""
    n_out = dz.shape[0]
    for i in range(x.shape[0]):
        xi = x[i] * scale
        if xi != 0.0:
            start = i * n_out
            for j in range(n_out):
                gradient_w[start + j] += xi * dz[j]
    for j in range(n_out):
        gradient_b[j] += scale * dz[j]


@kernel
def dense_transpose(w: Floats, dz: Floats, dx: Floats) -> None:
    """``dx_i = sum_j w_ij dz_j``: the transposed read of backpropagation."""
    n_out = dz.shape[0]
    for i in range(dx.shape[0]):
        total = 0.0
        for j in range(n_out):
            total += w[i * n_out + j] * dz[j]
        dx[i] = total


@kernel
def conv2d_gradient(dz: Floats, x: Floats, gradient_w: Floats, gradient_b: Floats, scale: float) -> None:
    """``g[u,v,c,o] += scale sum_{y,x} x[y+u,x+v,c] dz[y,x,o]``: shared weights add up over positions."""
    size, _, channels, n_out = gradient_w.shape
    for oy in range(dz.shape[0]):
        for ox in range(dz.shape[1]):
            row = dz[oy, ox]
            for o in range(n_out):
                gradient_b[o] += scale * row[o]
            for u in range(size):
                for v in range(size):
                    for c in range(channels):
                        xi = x[oy + u, ox + v, c] * scale
                        if xi != 0.0:
                            target = gradient_w[u, v, c]
                            for o in range(n_out):
                                target[o] += xi * row[o]


@kernel
def conv2d_transpose(w: Floats, dz: Floats, dx: Floats) -> None:
    """The gradient of `conv2d` with respect to its input."""
    size, _, channels, n_out = w.shape
    for y in range(dx.shape[0]):
        for x in range(dx.shape[1]):
            for c in range(channels):
                dx[y, x, c] = 0.0
    for oy in range(dz.shape[0]):
        for ox in range(dz.shape[1]):
            for u in range(size):
                for v in range(size):
                    for c in range(channels):
                        total = 0.0
                        for o in range(n_out):
                            total += w[u, v, c, o] * dz[oy, ox, o]
                        dx[oy + u, ox + v, c] += total


@kernel
def maxpool_transpose(x: Floats, z: Floats, dz: Floats, dx: Floats, size: int) -> None:
    """Hand each output's gradient to the first largest input of its window."""
    dx[:] = 0.0
    for oy in range(z.shape[0]):
        for ox in range(z.shape[1]):
            for c in range(z.shape[2]):
                given = False
                for u in range(size):
                    for v in range(size):
                        if not given and x[oy * size + u, ox * size + v, c] == z[oy, ox, c]:
                            dx[oy * size + u, ox * size + v, c] += dz[oy, ox, c]
                            given = True


@kernel
def avgpool_transpose(dz: Floats, dx: Floats, size: int) -> None:
    """Share each output's gradient among its window."""
    dx[:] = 0.0
    for oy in range(dz.shape[0]):
        for ox in range(dz.shape[1]):
            for c in range(dz.shape[2]):
                share = dz[oy, ox, c] / (size * size)
                for u in range(size):
                    for v in range(size):
                        dx[oy * size + u, ox * size + v, c] += share


@kernel
def scatter(w: Floats, fired: npt.NDArray[np.int64], count: int, current: Floats) -> None:
    """Synaptic scatter: every spike of ``fired[:count]`` adds its row of w [n_in * n_out] to ``current``."""
    n_out = current.shape[0]
    for k in range(count):
        start = fired[k] * n_out
        for j in range(n_out):
            current[j] += w[start + j]


@kernel
def scatter_conv2d(
    w: Floats, fired: npt.NDArray[np.int64], count: int, columns: int, channels: int, current: Floats
) -> None:
    """`scatter` for a convolution: a spike at (y, x, c) reaches every output whose window holds it."""
    size, n_out = w.shape[0], w.shape[3]
    for k in range(count):
        c = fired[k] % channels
        x = (fired[k] // channels) % columns
        y = fired[k] // (channels * columns)
        for u in range(size):
            for v in range(size):
                oy, ox = y - u, x - v
                if 0 <= oy < current.shape[0] and 0 <= ox < current.shape[1]:
                    row = w[u, v, c]
                    out = current[oy, ox]
                    for o in range(n_out):
                        out[o] += row[o]
