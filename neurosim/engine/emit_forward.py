"""Source text of an analog inference: one function per layer, then the whole network.

An analog network settles layer by layer inside one tick. The currents of a first dense layer depend on the input, the
weights and the perturbation alone; they are computed when one of these has changed and reused by the other inferences
of the step (each is charged all the same).
"""

from __future__ import annotations

from textwrap import indent

from neurosim.chip.layers import LayerPlan, NetworkPlan
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


def weights(layer: LayerPlan, name: str = "theta") -> tuple[str, str]:
    """Texts of a layer's weights (flat for dense layers) and biases."""
    shape = layer.weight_shape if layer.type == "conv2d" else (layer.weights,)
    return (
        array(name, layer.theta, shape),
        array(name, layer.theta + layer.weights, (layer.columns,)),
    )


def first_currents(plan: NetworkPlan, step: StepPlan) -> str:
    """``currents(S)``: noiseless currents of a first dense layer, and their shift by the weight perturbation."""
    layer = plan.layers[0]
    if layer.type != "dense":
        return ""
    w, b = weights(layer)
    if step.space == "weight":
        work = f"""\
dense_pair_first({w}, {b}, S.x, S.currents, S.shift[0], S.words, S.mismatch, {layer.theta}, number(S, np.int64(0)))"""
        if step.numbers_per_period == 2:
            work += f"""
dense_shift(S.x, S.shift[1], S.words, S.mismatch, {layer.theta}, {layer.n}, number(S, np.int64(1)))"""
    else:
        work = f"dense({w}, {b}, S.x, S.currents)"
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
        S.ri[RI_CONDUCTANCE_FIRST] = conductance(S.x, S.pf[PF_CELL_PAIR])
"""


def analog(plan: NetworkPlan, step: StepPlan) -> str:
    """All layer functions."""
    parts = [first_currents(plan, step)]
    parts += [_pool(plan, layer) if not layer.trainable else _layer(plan, layer, step) for layer in plan.layers]
    branches = "\n".join(f"    if k == {layer.index}:\n        layer_{layer.index}(S, slot)" for layer in plan.layers)
    parts.append(f"""
@kernel
def settle_layer(S, slot, k):
    # one layer at a time, for event mode
{branches}
""")
    return "\n".join(parts)


def _pool(plan: NetworkPlan, layer: LayerPlan) -> str:
    return f"""
@kernel
def layer_{layer.index}(S, slot):
    # {layer.name}: {layer.type} {layer.pool} x {layer.pool}
    {layer.type}({input_view(plan, layer)}, {act_view(layer)}, {layer.pool})
"""


def _layer(plan: NetworkPlan, layer: LayerPlan, step: StepPlan) -> str:
    w, b = weights(layer)
    z = act_view(layer, "z")
    x = input_view(plan, layer)
    flat_z = f"S.z[slot, {layer.act}:{layer.act + layer.n}]"
    lines = []
    if layer.type == "dense" and layer.index == 0:
        lines += ["currents(S)", f"z = {flat_z}", "copy(S.currents, z)"]
        if step.space == "weight":
            lines += [*_add_shift("S.shift[shift_of(slot)]"), ""]
        squares = "S.rf[RF_SQUARES_FIRST]"
        lines += [f"S.tally[T_ACTIVE_{layer.index}] += S.ri[RI_ACTIVE_FIRST]",
                  f"S.tally[T_CONDUCTANCE_{layer.index}] += S.ri[RI_CONDUCTANCE_FIRST]"]  # fmt: skip
    elif layer.type == "dense":
        lines += [f"x = {x}", f"z = {flat_z}", f"dense({w}, {b}, x, z)"]
        if step.space == "weight":
            lines += ["if SIGNS[slot] != 0.0:", "    d = S.scratch[:" + str(layer.n) + "]",
                      f"    dense_shift(x, d, S.words, S.mismatch, {layer.theta}, {layer.n}, number(S, slot))",
                      *indent("\n".join(_add_shift("d")), "    ").split("\n")]  # fmt: skip
        squares = "sum_squares(x)"
        lines += _count(layer, "x")
    else:
        lines += [f"x = {x}", f"z = {z}"]
        if step.space == "weight":
            end = layer.theta + layer.parameters
            lines += [
                "if SIGNS[slot] != 0.0:",
                f"    perturbed(S, {layer.theta}, {end}, number(S, slot), SIGNS[slot] * S.pf[PF_AMPLITUDE])",
                f"    {_convolve(layer, 'perturbed')}",
                "else:",
                f"    {_convolve(layer, 'theta')}",
            ]
        else:
            lines += [_convolve(layer, "theta")]
        size = layer.weight_shape[0]
        lines += [
            f"S.tally[T_ACTIVE_{layer.index}] += count_active_windows(x, {size})",
            "if S.pf[PF_CELL_PAIR] > 0.0:",
            f"    S.tally[T_CONDUCTANCE_{layer.index}] += conductance_windows(x, {size}, S.pf[PF_CELL_PAIR])",
        ]
        squares = f"{patch_share(layer)} * sum_squares(x.reshape(x.size))"
    lines += _finish(layer, step, squares)
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


def _convolve(layer: LayerPlan, name: str) -> str:
    if layer.mapping == "replicated":
        everything = array(name, layer.theta, (layer.parameters,))
        return f"conv2d_replicated({everything}, x, z, {layer.weight_shape[0]})"
    w, b = weights(layer, name)
    return f"conv2d({w}, {b}, x, z)"


def _add_shift(name: str) -> list[str]:
    return [f"d = {name}", "sign = S.theta.dtype.type(SIGNS[slot] * S.pf[PF_AMPLITUDE])", "if sign != 0.0:",
            "    for j in range(z.size):", "        z[j] += sign * d[j]"]  # fmt: skip


def _count(layer: LayerPlan, x: str) -> list[str]:
    return [
        f"S.tally[T_ACTIVE_{layer.index}] += count_active({x})",
        "if S.pf[PF_CELL_PAIR] > 0.0:",
        f"    S.tally[T_CONDUCTANCE_{layer.index}] += conductance({x}, S.pf[PF_CELL_PAIR])",
    ]


def _finish(layer: LayerPlan, step: StepPlan, squares: str) -> list[str]:
    """Read noise, injection, column converters, then the neuron with its mismatch."""
    first, end = layer.act, layer.act + layer.n
    k = layer.index
    lines = [
        f"z = S.z[slot, {first}:{end}]",
        f"a = S.act[slot, {first}:{end}]",
        "if S.pf[PF_READ_NOISE] > 0.0:",
        f"    add_noise(z, S.pf[PF_READ_NOISE] * math.sqrt(1.0 + {squares}),",
        f"              stream_key(S.pi[PI_SEED], STREAM_READ_NOISE, S.ri[RI_MOMENT], slot, 0), {first})",
    ]
    if step.space == "node":
        lines += ["if SIGNS[slot] != 0.0:", f"    inject(z, S.injection[slot, {first}:{end}])"]
    lines += [
        "if ADC_COLUMNS and S.pi[PI_ADC_BITS] > 0:",
        "    quantise(z, S.pi[PI_ADC_BITS], S.pf[PF_ADC_RANGE])",
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
