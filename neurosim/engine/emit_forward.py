"""Source text of an analog inference: one function per layer, then the whole network.

An analog network settles layer by layer inside one tick. The currents of a first dense layer depend on the input, the
weights and the perturbation alone; they are computed when one of these has changed and reused by the other inferences
of the step (each is charged all the same).
"""

from __future__ import annotations

from textwrap import indent

from neurosim.chip.layers import LayerPlan, NetworkPlan
from neurosim.engine import cells, emit_array
from neurosim.engine.emit_view import View
from neurosim.training.base import StepPlan


def array(name: str, start: int, shape: tuple[int, ...]) -> str:
    """Text of a view of a flat array."""
    size = 1
    for n in shape:
        size *= n
    view = f"S.{name}[{start}:{start + size}]"
    return view if len(shape) == 1 else f"{view}.reshape({shape})"


def act_view(layer: LayerPlan, name: str = "act") -> str:
    """Text of a layer's outputs in inference ``slot``."""
    view = f"S.{name}[slot, {layer.act}:{layer.act + layer.n}]"
    return view if len(layer.shape) == 1 else f"{view}.reshape({layer.shape})"


def input_view(plan: NetworkPlan, layer: LayerPlan) -> str:
    """Text of a layer's inputs in inference ``slot``, flat for dense layers, with channels for the others."""
    shape = layer.in_shape if len(layer.in_shape) != 2 else (*layer.in_shape, 1)
    if layer.type == "dense":
        shape = (layer.n_in,)
    if layer.index == 0:
        return "S.x" if len(shape) == 1 else f"S.x.reshape({shape})"
    before = plan.layers[layer.index - 1]
    view = f"S.act[slot, {before.act}:{before.act + before.n}]"
    return view if len(shape) == 1 else f"{view}.reshape({shape})"


def weights(layer: LayerPlan, name: str = "theta", offset: int = 0) -> tuple[str, str]:
    """Texts of a layer's weights (flat for dense layers) and biases, ``offset`` entries into an array."""
    shape = layer.weight_shape if layer.type == "conv2d" else (layer.weights,)
    return (
        array(name, offset + layer.theta, shape),
        array(name, offset + layer.theta + layer.weights, (layer.columns,)),
    )


def is_held(layer: LayerPlan, view: View) -> bool:
    """Whether the layer's currents are computed once and reused: a first dense layer, without noise of its rows."""
    return layer.type == "dense" and layer.index == 0 and not view.edges.noisy_rows


def first_currents(plan: NetworkPlan, step: StepPlan, view: View) -> str:
    """``currents(S)``: noiseless currents of a first dense layer, and their shift by the weight perturbation."""
    layer = plan.layers[0]
    if layer.type != "dense":
        return ""
    w, b = weights(layer, view.reads)
    if step.space == "weight":
        work = f"""\
dense_pair_first({w}, {b}, S.x, S.currents, S.shift[0], S.words, S.mismatch, {layer.theta}, number(S, np.int64(0)))"""
        if step.numbers_per_period == 2:
            work += f"""
dense_shift(S.x, S.shift[1], S.words, S.mismatch, {layer.theta}, {layer.n}, number(S, np.int64(1)))"""
    else:
        work = f"dense({w}, {b}, S.x, S.currents)"
    if view.noisy:
        work += "\n" + "\n".join(variance(plan, layer))
    return f"""
@kernel
def currents(S):
    if S.ri[RI_CURRENTS_STALE] == 0:
        return
    S.ri[RI_CURRENTS_STALE] = 0
{indent(work, "    ")}
    S.ri[RI_ACTIVE_FIRST] = count_active(S.x)
    S.rf[RF_SQUARES_FIRST] = sum_squares(S.x)
    if S.pf[PF_CELL_PAIR] > 0.0:
        S.ri[RI_CONDUCTANCE_FIRST] = {conducted(plan, layer, "S.x", view)}
"""


def analog(plan: NetworkPlan, step: StepPlan, view: View) -> str:
    """All layer functions."""
    parts = [first_currents(plan, step, view)]
    parts += [_layer(plan, layer, step, view) if layer.trainable else _pool(plan, layer, view) for layer in plan.layers]
    branches = "\n".join(f"    if k == {layer.index}:\n        layer_{layer.index}(S, slot)" for layer in plan.layers)
    parts.append(f"""
@kernel
def settle_layer(S, slot, k):
    # one layer at a time, for event mode
{branches}
""")
    return "\n".join(parts)


def variance(plan: NetworkPlan, layer: LayerPlan) -> list[str]:
    """``v``: the variances of what a layer's columns read, ``sum_i x_i^2 var_ij``."""
    span = f"S.column_variance[{layer.act}:{layer.act + layer.n}]"
    if layer.index == 0:
        flat = "S.x"
    else:
        before = plan.layers[layer.index - 1]
        flat = f"S.act[slot, {before.act}:{before.act + before.n}]"
    squares = f"S.squares[:{layer.n_in}]"
    lines = [f"square({flat}, {squares})"]
    if layer.type == "dense":
        w, b = weights(layer, "read_variance")
        return [*lines, f"dense({w}, {b}, {squares}, {span})"]
    shape = layer.in_shape if len(layer.in_shape) == 3 else (*layer.in_shape, 1)
    return [*lines, _convolve(layer, "read_variance", f"{squares}.reshape({shape})", f"{span}.reshape({layer.shape})")]


def _pool(plan: NetworkPlan, layer: LayerPlan, view: View) -> str:
    renew = f"{view.first[0]}\n    " if view.renewed and layer.index == 0 else ""
    return f"""
@kernel
def layer_{layer.index}(S, slot):
    # {layer.name}: {layer.type} {layer.pool} x {layer.pool}
    {renew}{layer.type}({input_view(plan, layer)}, {act_view(layer)}, {layer.pool})
"""


def _layer(plan: NetworkPlan, layer: LayerPlan, step: StepPlan, view: View) -> str:
    w, b = weights(layer, view.reads)
    z = act_view(layer, "z")
    x = input_view(plan, layer)
    flat_z = f"S.z[slot, {layer.act}:{layer.act + layer.n}]"
    lines = view.first if layer.index == 0 else []
    held, noisy = is_held(layer, view), view.edges.noisy_rows
    bias_noise = [emit_array.drive_bias(layer, view.reads, flat_z)] if noisy else []
    if held:
        read = "S.x"
        lines += ["currents(S)", f"z = {flat_z}", "copy(S.currents, z)"]
        if step.space == "weight":
            lines += [*_add_shift("S.shift[shift_of(slot)]"), ""]
        squares = "S.rf[RF_SQUARES_FIRST]"
        lines += [f"S.tally[T_ACTIVE_{layer.index}] += S.ri[RI_ACTIVE_FIRST]",
                  f"S.tally[T_CONDUCTANCE_{layer.index}] += S.ri[RI_CONDUCTANCE_FIRST]"]  # fmt: skip
    elif layer.type == "dense":
        read = "driven" if noisy else "x"
        drive = emit_array.drive(layer, "x") if noisy else []
        lines += [f"x = {x}", *drive, f"z = {flat_z}", f"dense({w}, {b}, {read}, z)", *bias_noise]
        if step.space == "weight":
            lines += ["if SIGNS[slot] != 0.0:", "    d = S.scratch[:" + str(layer.n) + "]",
                      f"    dense_shift({read}, d, S.words, S.mismatch, {layer.theta}, {layer.n}, number(S, slot))",
                      *indent("\n".join(_add_shift("d")), "    ").split("\n")]  # fmt: skip
        squares = f"sum_squares({read})"
        lines += _count(plan, layer, "x", view)
    else:
        shape = layer.in_shape if len(layer.in_shape) == 3 else (*layer.in_shape, 1)
        read = f"driven.reshape({shape})" if noisy else "x"
        lines += [f"x = {x}", *(emit_array.drive(layer, "x.reshape(x.size)") if noisy else []), f"z = {z}"]
        if step.space == "weight":
            end = layer.theta + layer.parameters
            lines += [
                "if SIGNS[slot] != 0.0:",
                f"    perturbed(S, {layer.theta}, {end}, number(S, slot), SIGNS[slot] * S.pf[PF_AMPLITUDE])",
                f"    {_convolve(layer, 'perturbed', read)}",
                "else:",
                f"    {_convolve(layer, view.reads, read)}",
            ]
        else:
            lines += [_convolve(layer, view.reads, read)]
        size = layer.weight_shape[0]
        lines += [
            *bias_noise,
            f"S.tally[T_ACTIVE_{layer.index}] += count_active_windows(x, {size})",
            "if S.pf[PF_CELL_PAIR] > 0.0:",
            f"    S.tally[T_CONDUCTANCE_{layer.index}] += {conducted(plan, layer, 'x', view)}",
        ]
        flat = "driven" if noisy else "x.reshape(x.size)"
        squares = f"{patch_share(layer)} * sum_squares({flat})"
    if view.noisy and not held:
        lines += variance(plan, layer)
    lines += _finish(plan, layer, step, squares, read, view)
    body = indent("\n".join(lines), "    ")
    return f"""
@kernel
def layer_{layer.index}(S, slot):
    # {layer.name}: {layer.type} {layer.in_shape} -> {layer.shape}, {layer.neuron.model if layer.neuron else ""}
{body}
"""


def patch_share(layer: LayerPlan) -> float:
    """Share of a map that one window of a convolution sees: read noise takes the mean over windows."""
    return layer.weight_shape[0] ** 2 / (layer.in_shape[0] * layer.in_shape[1])


def _convolve(layer: LayerPlan, name: str, x: str = "x", z: str = "z", offset: int = 0) -> str:
    if layer.mapping == "replicated":
        everything = array(name, offset + layer.theta, (layer.parameters,))
        return f"conv2d_replicated({everything}, {x}, {z}, {layer.weight_shape[0]})"
    w, b = weights(layer, name, offset)
    return f"conv2d({w}, {b}, {x}, {z})"


def _add_shift(name: str) -> list[str]:
    return [f"d = {name}", "sign = S.theta.dtype.type(SIGNS[slot] * S.pf[PF_AMPLITUDE])", "if sign != 0.0:",
            "    for j in range(z.size):", "        z[j] += sign * d[j]"]  # fmt: skip


def rows_of(plan: NetworkPlan, layer: LayerPlan) -> str:
    """Text of the conductances of a layer's rows, where cells are tallied one by one."""
    first = cells.first_row(plan, layer.index)
    return f"S.row_conductance[{first}:{first + layer.rows + 1}]"


def conducted(plan: NetworkPlan, layer: LayerPlan, x: str, view: View) -> str:
    """Text of the conductance that one read with inputs ``x`` sees: of a column, or of all where cells differ."""
    if layer.type == "conv2d":
        size = layer.weight_shape[0]
        if view.paired:
            return f"conductance_row_windows({x}, {size}, {rows_of(plan, layer)})"
        return f"conductance_windows({x}, {size}, S.pf[PF_CELL_PAIR])"
    return f"conductance_rows({x}, {rows_of(plan, layer)})" if view.paired else f"conductance({x}, S.pf[PF_CELL_PAIR])"


def _count(plan: NetworkPlan, layer: LayerPlan, x: str, view: View) -> list[str]:
    return [
        f"S.tally[T_ACTIVE_{layer.index}] += count_active({x})",
        "if S.pf[PF_CELL_PAIR] > 0.0:",
        f"    S.tally[T_CONDUCTANCE_{layer.index}] += {conducted(plan, layer, x, view)}",
    ]


def read_noise(layer: LayerPlan, squares: str, z: str, tick: str, view: View) -> list[str]:
    """Noise of a layer's reads, added to ``z`` in one draw for each column."""
    key = f"stream_key(S.pi[PI_SEED], STREAM_READ_NOISE, S.ri[RI_MOMENT], slot, {tick})"
    if view.noisy:
        return [
            f"add_column_noise({z}, S.column_variance[{layer.act}:{layer.act + layer.n}],",
            f"                 S.pf[PF_READ_NOISE] * S.pf[PF_READ_NOISE] * (1.0 + {squares}),",
            f"                 {key}, {layer.act})",
        ]
    return [
        "if S.pf[PF_READ_NOISE] > 0.0:",
        f"    add_noise({z}, S.pf[PF_READ_NOISE] * math.sqrt(1.0 + {squares}),",
        f"              {key}, {layer.act})",
    ]


def _read_slice(plan: NetworkPlan, layer: LayerPlan, k: int, x: str, y: str, view: View) -> list[str]:
    """One slice of a layer's weights, read into ``y``."""
    offset = k * plan.parameters
    bias = [emit_array.drive_bias(layer, "slice_parts", y, offset)] if view.edges.noisy_rows else []
    if layer.type == "conv2d":
        return [_convolve(layer, "slice_parts", x, f"{y}.reshape({layer.shape})", offset), *bias]
    w, b = weights(layer, "slice_parts", offset)
    return [f"dense({w}, {b}, {x}, {y})", *bias]


def _finish(plan: NetworkPlan, layer: LayerPlan, step: StepPlan, squares: str, x: str, view: View) -> list[str]:
    """Noise of cells and columns, injection, column converters, then the neuron with its mismatch; ``x``: inputs."""
    at, first, end = view.edges, layer.act, layer.act + layer.n
    k = layer.index
    lines = [
        f"z = S.z[slot, {first}:{end}]",
        f"a = S.act[slot, {first}:{end}]",
        *read_noise(layer, squares, "z", "0", view),
        *(emit_array.column_noise(layer, at, "z", "0", at.noise_share) if at.noisy_columns else []),
    ]
    if step.space == "node":
        lines += ["if SIGNS[slot] != 0.0:", f"    inject(z, S.injection[slot, {first}:{end}])"]
    if at.digitised:
        lines += emit_array.convert_slices(layer, at, squares, lambda k, y: _read_slice(plan, layer, k, x, y, view))
    else:
        lines += [
            "if ADC_COLUMNS and S.pi[PI_ADC_BITS] > 0:",
            "    quantise(z, S.pi[PI_ADC_BITS], S.pf[PF_ADC_RANGE])",
        ]
    lines += [
        "if NEURON_MISMATCH:",
        f"    scale = S.node_scale[{first}:{end}]",
        f"    slope = S.node_slope[{first}:{end}]",
        f"    x_offset = S.node_x_offset[{first}:{end}]",
        f"    y_offset = S.node_y_offset[{first}:{end}]",
        "    for j in range(z.size):",
        "        z[j] = slope[j] * (z[j] - x_offset[j])",
        f"        a[j] = scale[j] * activate_{k}(z[j]) + y_offset[j]",
        "else:",
        "    for j in range(z.size):",
        f"        a[j] = activate_{k}(z[j])",
    ]
    return lines
