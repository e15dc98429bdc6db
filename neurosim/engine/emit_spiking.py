"""Source text of a spiking inference: a window of ticks, each with the phases deliver, integrate, fire and route.

Spikes of one tick reach their synapses in the next, so a layer sees its input one tick late. Static currents (the
bias, an injected current, and a first layer driven by constant input currents) are summed once per window and held.
"""

from __future__ import annotations

from textwrap import indent

from neurosim.chip.layers import LayerPlan, NetworkPlan
from neurosim.engine import cells, emit_array
from neurosim.engine.emit_forward import (
    conducted,
    first_currents,
    input_view,
    patch_share,
    read_noise,
    rows_of,
    variance,
    weights,
)
from neurosim.engine.emit_view import View
from neurosim.spec.scenario import Spiking
from neurosim.training.base import StepPlan


def spiking(plan: NetworkPlan, step: StepPlan, settings: Spiking, paced_cores: int, view: View) -> str:
    """``begin``, ``deliver``, ``integrate``, ``fire``, ``route`` and ``finish``: one inference of a spiking network."""
    direct = settings.encoder == "current"
    return "\n".join(
        [
            first_currents(plan, step, view) if direct else "",
            _begin(plan, step, settings, view),
            _encode(plan, settings),
            _deliver(plan, step, settings, view),
            _integrate(plan),
            _fire(plan),
            _route(plan, settings, paced_cores),
            _finish(plan, settings),
        ]
    )


def _static(plan: NetworkPlan, layer: LayerPlan, step: StepPlan, direct: bool, view: View) -> list[str]:
    """Currents that a layer gets in every tick of the window, into ``z``."""
    first, end = layer.act, layer.act + layer.n
    lines = [f"z = S.z[slot, {first}:{end}]"]
    if layer.index == 0 and direct and layer.type == "dense":
        lines += ["currents(S)", "copy(S.currents, z)"]
        if step.space == "weight":
            lines += ["if SIGNS[slot] != 0.0:", "    d = S.shift[shift_of(slot)]",
                      "    sign = S.theta.dtype.type(SIGNS[slot] * S.pf[PF_AMPLITUDE])",
                      "    for j in range(z.size):", "        z[j] += sign * d[j]"]  # fmt: skip
        lines += ["S.tally[T_ACTIVE_0] += S.ri[RI_ACTIVE_FIRST] * WINDOW",
                  "S.tally[T_CONDUCTANCE_0] += S.ri[RI_CONDUCTANCE_FIRST] * WINDOW"]  # fmt: skip
    elif layer.index == 0 and direct:
        lines += _static_convolution(plan, layer, step, view)
    else:
        bias = layer.theta + layer.weights
        lines += [f"bias = S.{view.reads}[{bias}:{bias + layer.columns}]", "for j in range(z.size):",
                  f"    z[j] = bias[j % {layer.columns}]"]  # fmt: skip
        if step.space == "weight":
            lines += ["if SIGNS[slot] != 0.0:",
                      "    sign = S.theta.dtype.type(SIGNS[slot] * S.pf[PF_AMPLITUDE])",
                      "    for j in range(z.size):",
                      f"        e = {bias} + j % {layer.columns}",
                      "        z[j] += sign * tilde(S.words, S.mismatch, e, number(S, slot))"]  # fmt: skip
        unit = "int(S.pf[PF_CELL_PAIR] * 65536.0 + 0.5)"
        if view.paired:
            unit = f"S.row_conductance[{cells.first_row(plan, layer.index) + layer.rows}]"
        lines += [
            "if S.pf[PF_CELL_PAIR] > 0.0:",
            f"    unit = {unit}",
            f"    S.tally[T_CONDUCTANCE_{layer.index}] += unit * {layer.positions} * WINDOW",
        ]
    if step.space == "node":
        lines += ["if SIGNS[slot] != 0.0:", f"    inject(z, S.injection[slot, {first}:{end}])"]
    return lines


def _static_convolution(plan: NetworkPlan, layer: LayerPlan, step: StepPlan, view: View) -> list[str]:
    """A first convolution driven by constant currents: read once, held for the window, charged every tick."""
    shape, size = layer.shape, layer.weight_shape[0]
    lines = [f"x = {input_view(plan, layer)}", f"map = z.reshape({shape})"]
    w, b = weights(layer, view.reads)
    if step.space == "weight":
        end = layer.theta + layer.parameters
        w_probe, b_probe = weights(layer, "perturbed")
        lines += ["if SIGNS[slot] != 0.0:",
                  f"    perturbed(S, {layer.theta}, {end}, number(S, slot), SIGNS[slot] * S.pf[PF_AMPLITUDE])",
                  f"    conv2d({w_probe}, {b_probe}, x, map)",
                  "else:", f"    conv2d({w}, {b}, x, map)"]  # fmt: skip
    else:
        lines.append(f"conv2d({w}, {b}, x, map)")
    if view.noisy:
        lines += variance(plan, layer)
    return [*lines, f"S.tally[T_ACTIVE_0] += count_active_windows(x, {size}) * WINDOW",
            "S.rf[RF_SQUARES_FIRST] = sum_squares(S.x)",
            "if S.pf[PF_CELL_PAIR] > 0.0:",
            f"    S.tally[T_CONDUCTANCE_0] += {conducted(plan, layer, 'x', view)} * WINDOW"]  # fmt: skip


def _begin(plan: NetworkPlan, step: StepPlan, settings: Spiking, view: View) -> str:
    lines: list[str] = view.first
    for layer in plan.layers:
        lines += _static(plan, layer, step, settings.encoder == "current", view)
    activity = "copy(S.x, S.input_activity)" if settings.encoder == "current" else "S.input_activity[:] = 0.0"
    return f"""
@kernel
def begin(S, slot):
    S.count[:] = 0
    S.trace[:] = 0.0
    if slot == 0:
        {activity}
    if RESET_WINDOW:
        for j in range(NODES):
            S.v[j] = S.pf[PF_START_MEMBRANE] * S.node_threshold[j]
            S.v_start[j] = S.v[j]
        S.refractory[:] = 0
        S.fired_count[:] = 0
{indent(chr(10).join(lines), "    ")}
"""


def _encode(plan: NetworkPlan, settings: Spiking) -> str:
    """Input spikes of one tick, as the list ``S.fired_input[:S.input_count[0]]``."""
    moment = "S.ri[RI_MOMENT]"
    if settings.encoder == "current":
        return ""
    if settings.encoder == "poisson":
        moment = "S.ri[RI_SHOWN] if REPLAYABLE else S.ri[RI_MOMENT]"
        inference = "0 if REPLAYABLE else slot"
        rule = "uniform(key, i) < S.x[i] * MAX_RATE"
        key = f"key = stream_key(S.pi[PI_SEED], STREAM_ENCODER, {moment}, {inference}, tick)"
    elif settings.encoder == "regular":
        rule = "math.floor((tick + 1) * S.x[i] * MAX_RATE) > math.floor(tick * S.x[i] * MAX_RATE)"
        key = ""
    else:  # latency: one spike, the earlier the larger the input
        rule = "S.x[i] > 0.0 and tick == int((1.0 - min(S.x[i], 1.0)) * (WINDOW - 1) + 0.5)"
        key = ""
    return f"""
@kernel
def encode(S, slot, tick):
    # input spikes of this tick: {settings.encoder}
    {key}
    n = 0
    for i in range({plan.n_in}):
        if {rule}:
            S.fired_input[n] = i
            n += 1
            if slot == 0 and tick >= WASHOUT:
                S.input_activity[i] += ONE / READOUT
    S.input_count[0] = n
"""


def _deliver(plan: NetworkPlan, step: StepPlan, settings: Spiking, view: View) -> str:
    lines, at = list[str](), view.edges
    if settings.encoder != "current":
        lines.append("encode(S, slot, tick)")
    for layer in plan.layers:
        first, end = layer.act, layer.act + layer.n
        lines += [f"current = S.current[{first}:{end}]", f"copy(S.z[slot, {first}:{end}], current)"]
        if layer.index == 0 and settings.encoder == "current":
            squares = "S.rf[RF_SQUARES_FIRST]"
        else:
            lines += _scatter(plan, layer, step, view)
            squares = "float(spikes)"
        if layer.type == "conv2d":
            squares = f"{patch_share(layer)} * {squares}"
        lines += [
            *read_noise(layer, squares, "current", "tick", view),
            *(emit_array.column_noise(layer, at, "current", "tick", at.noise_share) if at.noisy_columns else []),
            "if ADC_COLUMNS and S.pi[PI_ADC_BITS] > 0:",
            "    quantise(current, S.pi[PI_ADC_BITS], S.pf[PF_ADC_RANGE])",
        ]
    return f"""
@kernel
def deliver(S, slot, tick):
    # events of the last tick reach their synapses; silent inputs cost nothing
{indent(chr(10).join(lines), "    ")}
"""


def _scatter(plan: NetworkPlan, layer: LayerPlan, step: StepPlan, view: View) -> list[str]:
    if layer.index == 0:
        fired, count = "S.fired_input", "S.input_count[0]"
    else:
        before = plan.layers[layer.index - 1]
        fired, count = f"S.fired[{before.act}:{before.act + before.n}]", f"S.fired_count[{before.index}]"
    w, _ = weights(layer, view.reads)
    driven = "spikes"
    shape = layer.in_shape if len(layer.in_shape) == 3 else (*layer.in_shape, 1)
    if layer.type == "conv2d":
        driven = f"spike_windows({fired}, spikes, {shape[0]}, {shape[1]}, {shape[2]}, {layer.weight_shape[0]})"
    reads = "driven * int(S.pf[PF_CELL_PAIR] * 65536.0 + 0.5)"
    if view.paired and layer.type == "conv2d":
        place = f"{shape[0]}, {shape[1]}, {shape[2]}, {layer.weight_shape[0]}"
        reads = f"conductance_fired_windows({fired}, spikes, {place}, {rows_of(plan, layer)})"
    elif view.paired:
        reads = f"conductance_fired({fired}, spikes, {rows_of(plan, layer)})"
    lines = [
        f"spikes = {count}",
        f"driven = {driven}",
        f"S.tally[T_ACTIVE_{layer.index}] += driven",
        "if S.pf[PF_CELL_PAIR] > 0.0:",
        f"    S.tally[T_CONDUCTANCE_{layer.index}] += {reads}",
    ]
    if view.noisy:
        lines += _scattered_variance(layer, fired, shape)
    if layer.type == "conv2d":
        call = f"scatter_conv2d({{w}}, {fired}, spikes, {shape[1]}, {shape[2]}, current.reshape({layer.shape}))"
        if step.space == "weight":
            end = layer.theta + layer.parameters
            lines += ["if SIGNS[slot] != 0.0:",
                      f"    perturbed(S, {layer.theta}, {end}, number(S, slot), SIGNS[slot] * S.pf[PF_AMPLITUDE])",
                      "    " + call.format(w=weights(layer, "perturbed")[0]),
                      "else:", "    " + call.format(w=w)]  # fmt: skip
        else:
            lines.append(call.format(w=w))
        return lines
    lines.append(f"scatter({w}, {fired}, spikes, current)")
    if step.space == "weight":
        lines += [
            "if SIGNS[slot] != 0.0 and spikes > 0:",
            f"    d = S.scratch[:{layer.n}]",
            "    d[:] = 0.0",
            f"    scatter_shift({fired}, spikes, d, S.words, S.mismatch, {layer.theta}, number(S, slot))",
            "    sign = S.theta.dtype.type(SIGNS[slot] * S.pf[PF_AMPLITUDE])",
            "    for j in range(d.size):",
            "        current[j] += sign * d[j]",
        ]
    return lines


def _scattered_variance(layer: LayerPlan, fired: str, shape: tuple[int, ...]) -> list[str]:
    """Variances of a tick's reads: of the rows that spikes drive, and of the bias row."""
    w, b = weights(layer, "read_variance")
    span = f"S.column_variance[{layer.act}:{layer.act + layer.n}]"
    scattered = f"scatter({w}, {fired}, spikes, spread)"
    if layer.type == "conv2d":
        scattered = f"scatter_conv2d({w}, {fired}, spikes, {shape[1]}, {shape[2]}, spread.reshape({layer.shape}))"
    return [f"spread = {span}", f"own = {b}", "for j in range(spread.size):",
            f"    spread[j] = own[j % {layer.columns}]", scattered]  # fmt: skip


def _integrate(plan: NetworkPlan) -> str:
    blocks = []
    for layer in plan.layers:
        floor = getattr(layer.neuron, "v_min", None)
        floor_line = f"\n            v = max(v, {floor!r})" if floor is not None else ""
        blocks.append(_integrate_block(layer, floor_line))
    return f"""
@kernel
def integrate(S, slot, tick):
    # membranes advance; refractory neurons rest
    noise = S.pf[PF_MEMBRANE_NOISE]
    if noise > 0.0:
        key = stream_key(S.pi[PI_SEED], STREAM_MEMBRANE_NOISE, S.ri[RI_MOMENT], slot, tick)
        for j in range({plan.activations}):
            S.current[j] += noise * S.node_threshold[j] * normal(key, j)
{"".join(blocks)}"""


def _integrate_block(layer: LayerPlan, floor_line: str) -> str:
    return f"""\
    for j in range({layer.act}, {layer.act + layer.n}):
        if S.refractory[j] == 0:
            v = integrate_{layer.index}(S.v[j], S.node_gain[j] * S.current[j], S.node_leak[j]){floor_line}
            S.v[j] = v
"""


def _fire(plan: NetworkPlan) -> str:
    blocks = []
    for layer in plan.layers:
        reset = {"soft": "S.v[j] - S.node_threshold[j]", "hard": "0.0", "none": "S.v[j]"}[
            getattr(layer.neuron, "reset", "soft")
        ]
        refractory = getattr(layer.neuron, "refractory_ticks", 0)
        blocks.append(f"""\
    n = 0
    for j in range({layer.act}, {layer.act + layer.n}):
        if S.refractory[j] > 0:
            S.refractory[j] -= 1
        elif S.v[j] >= S.node_threshold[j]:
            S.v[j] = {reset}
            S.refractory[j] = {refractory}
            S.fired[{layer.act} + n] = j - {layer.act}
            n += 1
            if tick >= WASHOUT:
                S.count[j] += 1
            S.trace[j] += 1.0
    S.fired_count[{layer.index}] = n
    S.tally[T_FIRED_{layer.index}] += n
""")
    return f"""
@kernel
def fire(S, slot, tick):
    # thresholds, resets, spikes; an activity trace decays once a tick
    if ACTIVITY_TRACE:
        keep = S.pf[PF_TRACE_DECAY]
        for j in range({plan.activations}):
            S.trace[j] *= keep
{"".join(blocks)}\
    if tick == WASHOUT - 1:
        copy(S.v, S.v_start)
"""


def _route(plan: NetworkPlan, settings: Spiking, paced_cores: int) -> str:
    head = """
@kernel
def route(S, slot, tick):
    # spikes become messages; they are counted from the spikes and the placement, and arrive with the next tick
"""
    if paced_cores == 0:
        return head + "    pass\n"
    # what comes from outside reaches layer 0 without a core that sends it; held currents are read in every tick
    heard = "S.ri[RI_ACTIVE_FIRST]" if settings.encoder == "current" else "S.input_count[0]"
    lines = []
    for layer in plan.layers:
        lines += [
            f"sending += S.pace[row, {3 * layer.index}]",
            f"sending += S.fired_count[{layer.index}] * S.pace[row, {3 * layer.index + 1}]",
            f"receiving += {heard} * S.pace[row, {3 * layer.index + 2}]",
        ]
        heard = f"S.fired_count[{layer.index}]"
    return (
        head
        + f"""\
    # the slowest core ends the tick: the longer of what it sends and what it receives
    for band in range(3):
        slowest = 0
        for row in range({paced_cores} * band, {paced_cores} * (band + 1)):
            sending = 0
            receiving = 0
{indent(chr(10).join(lines), "            ")}
            slowest = max(slowest, sending, receiving)
        S.tally[T_BUSY + band] += slowest
"""
    )


def _finish(plan: NetworkPlan, settings: Spiking) -> str:
    output = plan.output
    activity = "S.count[j] / ticks"
    if settings.activity == "trace":
        activity = "(1.0 - S.pf[PF_TRACE_DECAY]) * S.trace[j]"
    graded = {
        "count": "S.count[j] / ticks",
        "membrane": "(S.v[j] - S.v_start[j]) / (S.node_threshold[j] * ticks)",
        "count+membrane": "(S.count[j] + (S.v[j] - S.v_start[j]) / S.node_threshold[j]) / ticks",
    }[settings.readout]
    return f"""
@kernel
def finish(S, slot):
    # activities of the window, per tick; the output is read as {settings.readout}
    ticks = S.theta.dtype.type(READOUT)
    if slot == 0:
        # silent and saturated neurons do not respond to a small current: node probes leave them out
        for j in range(NODES):
            S.live[j] = 0 < S.count[j] < READOUT
    for j in range({output.act}):
        S.act[slot, j] = {activity}
    for j in range({output.act}, {output.act + output.n}):
        S.act[slot, j] = {graded}
"""
