"""Source text of a training step around the inferences: present, perturb, measure, broadcast, learn, account."""

from __future__ import annotations

from textwrap import indent

from neurosim.chip.layers import NetworkPlan
from neurosim.engine.emit_forward import input_view, weights
from neurosim.engine.emit_view import View
from neurosim.training.base import StepPlan

PRESENT = """
@kernel
def load(S, xs, ts, i):
    # one sample over the host link and through the input converters
    bits = S.pi[PI_DAC_BITS]
    if bits > 0:
        for k in range(N_IN):
            S.x[k] = quantised(xs[i * N_IN + k], bits + 1, S.pf[PF_DAC_RANGE])  # a sign and bits of size
    else:
        for k in range(N_IN):
            S.x[k] = xs[i * N_IN + k]
    for k in range(N_OUT):
        S.target[k] = ts[i * N_OUT + k]
    S.ri[RI_STALE] = 1
    S.ri[RI_CURRENTS_STALE] = 1


@kernel
def present(S, DATA):
    step = S.ri[RI_STEP]
    S.ri[RI_MOMENT] = step
    if step % S.pi[PI_TAU_X] == 0:
        sample = step // S.pi[PI_TAU_X]
        n = S.pi[PI_N_TRAIN]
        i = sample % n
        if S.pi[PI_SHUFFLE] == 1:
            i = shuffled(S.pi[PI_SEED], STREAM_SHUFFLE, sample // n, n, i)
        S.ri[RI_SAMPLE] = i
        S.ri[RI_LABEL] = train_y[i]
        S.ri[RI_EDGE] = 1
        S.ri[RI_SHOWN] = step
        load(S, train_x, train_t, i)
        S.tally[T_SAMPLES] += 1
    if RANDOM_ENCODER and not REPLAYABLE:
        S.ri[RI_STALE] = 1  # the same sample comes as other spikes
"""

WEIGHT_PERTURBATION = """
@kernel
def tilde(words, mismatch, e, n):
    # the perturbation that parameter e feels, at unit amplitude
    return value(words[e], n, SIZE, ONE){mismatch}


@kernel
def assumed(words, e, n):
    # the perturbation that the learning rule believes in
    return value(words[e], n, SIZE, ONE)


@kernel
def number(S, slot):
    return {number}


@kernel
def shift_of(slot):
    return {shift}


@kernel
def perturbed(S, first, end, n, amplitude):
    # weights with their perturbation, where an array is read many times (convolutions)
    scale = S.theta.dtype.type(amplitude)
    for e in range(first, end):
        S.perturbed[e] = S.{reads}[e] + scale * tilde(S.words, S.mismatch, e, n)


@kernel
def perturb(S):
    step = S.ri[RI_STEP]
    if step % S.pi[PI_TAU_P] == 0:
        n = (step // S.pi[PI_TAU_P]) * {per_period}
        S.ri[RI_NUMBER] = n
        S.ri[RI_CURRENTS_STALE] = 1
        if BLOCK > 0 and n % BLOCK == 0:
            copy(S.words, S.old_words)
            fill(S.words, S.pi[PI_SEED], n // BLOCK, S.pf[PF_S0], S.pf[PF_S1])
{ties}        S.tally[T_DRAWS] += {per_period}
"""

WRITE_PERTURBATION = """
@kernel
def write_perturbation(S, slot, sign):
    # perturb by programming: one write up, and later one down; it never restores exactly
    n = number(S, slot)
    key = stream_key(S.pi[PI_SEED], STREAM_WRITE_NOISE, S.ri[RI_MOMENT], 2 + 2 * slot + (1 if sign > 0.0 else 0), 0)
    scale = sign * S.pf[PF_AMPLITUDE]
    for e in range(SIZE):
        S.change[e] = scale * tilde(S.words, S.mismatch, e, n)
    S.pulse_tally[0] = 0
    S.pulse_tally[1] = 0
    most = program(
            S.theta, 0, S.change, SIZE, S.scale_up, S.scale_down, S.w_min, S.w_max, S.residual, S.pf[PF_STEP_SIZE],
            S.pf[PF_CYCLE_STD], S.pf[PF_WRITE_STD], NEAREST, 1 << 30, key, key, S.pulse_tally)
    S.tally[T_PERTURBATION_PULSES] += S.pulse_tally[1]
    S.tally[T_PERTURBATION_SLOTS] += {slots}
    S.ri[RI_CURRENTS_STALE] = 1{marked}
    S.ri[RI_STALE] = 1  # the weights are never quite what they were
"""


def write_perturbation(scheme: str, view: View) -> str:
    """``write_perturbation``: pulses up or down, and the slots that the write scheme needs for them."""
    slots = {"cell": "S.pulse_tally[1]", "element": "most"}.get(scheme, "min(S.pulse_tally[1], ROWS * most)")
    return WRITE_PERTURBATION.replace("{slots}", slots).replace("{marked}", view.mark(4))


MEASURE = """
@kernel
def cost_of(S, slot):
    y = S.output
    for j in range(N_OUT):
        y[j] = S.act[slot, OUT + j]
    if ADC_OUTPUTS and S.pi[PI_ADC_BITS] > 0:
        quantise(y, S.pi[PI_ADC_BITS], S.pf[PF_ADC_RANGE])
    return cost(y, S.target, S.pf[PF_SMOOTHING])


@kernel
def measure(S, slot):
    # the astrocyte reads the outputs and computes the cost
    c = cost_of(S, slot)
    if not math.isfinite(c) and S.ri[RI_DIVERGED] == 0:
        S.ri[RI_DIVERGED] = S.ri[RI_STEP] + 1
    key = stream_key(S.pi[PI_SEED], STREAM_COST_NOISE, S.ri[RI_MOMENT], slot, 0)
    for d in range(DOMAINS):  # every domain's astrocyte with a noise and a converter of its own
        noise = S.pf[PF_COST_NOISE] * normal(key, d) if S.pf[PF_COST_NOISE] > 0.0 else 0.0
        S.costs[slot, d] = quantised(c + noise, S.pi[PI_COST_BITS], S.pf[PF_COST_RANGE])
    S.rf[RF_C_0 + slot] = S.costs[slot, 0]
    S.tally[T_COSTS] += DOMAINS
"""

HEARD = """
@kernel
def heard(S, c_tilde, slot, d):
    # what the cores hear of C~: quantised, noisy, clamped
    held = quantised(c_tilde, S.pi[PI_C_TILDE_BITS], S.pf[PF_C_TILDE_RANGE])
    S.tally[T_PROBES] += 1
    if held == 0.0:
        S.tally[T_ZERO_C_TILDE] += 1
        if c_tilde != 0.0:
            S.tally[T_DEAD_ZONE] += 1
    if S.pf[PF_BROADCAST_NOISE] > 0.0:
        key = stream_key(S.pi[PI_SEED], STREAM_BROADCAST_NOISE, S.ri[RI_MOMENT], slot, 0)
        held += S.pf[PF_BROADCAST_NOISE] * normal(key, d)
    S.tally[T_BROADCASTS] += 1
    return min(max(held, -S.pf[PF_CLAMP]), S.pf[PF_CLAMP])
"""

DIFFERENCES = {
    "baseline": "c_tilde = S.costs[1, d] - S.costs[0, d]",
    "two-sided": "c_tilde = 0.5 * (S.costs[0, d] - S.costs[1, d])",
    "two-noisy": "c_tilde = S.costs[0, d] - S.costs[1, d]",
    "high-pass": """\
c = S.costs[0, d]
if S.ri[RI_EDGE] == 1:
    # the edge of a new sample is blanked
    S.previous[d] = c
keep = S.pf[PF_TAU_HP] / (S.pf[PF_TAU_HP] + 1.0)
c_tilde = keep * (S.filtered[d] + c - S.previous[d])
S.previous[d] = c""",
}


def broadcast(step: StepPlan) -> str:
    """C~ from the costs of the step, and its way to the cores (late when the chip says so)."""
    return f"""
@kernel
def broadcast(S):
    late = S.pi[PI_LATENCY]
    here = S.ri[RI_STEP] % (late + 1)
    for d in range(DOMAINS):
{indent(DIFFERENCES[step.difference], "        ")}
        S.filtered[d] = c_tilde
        S.ring[here, d] = heard(S, c_tilde, np.int64(0), d)
    S.ri[RI_EDGE] = 0
    c_tilde = S.filtered[0]
    S.rf[RF_C_TILDE] = c_tilde
    S.ring_number[here] = S.ri[RI_NUMBER]
    S.rf[RF_COST_SUM] += S.rf[RF_C_0]
    S.rf[RF_C_TILDE_SUM] += abs(c_tilde)
    S.tally[T_RECORDED] += 1
"""


def learn_weights(step: StepPlan, exact: bool, direct: bool, per_number: str, view: View) -> str:
    """Weight space: integrate C~ theta~ in every domain, and write when tau_theta says so.

    ``exact``: ideal devices, none stuck. ``direct``: one perturbation a write on such devices; the code itself is
    added to the weights. ``per_number``: parameters that one perturbation touches.
    """
    pairs = [("n", "factor")]
    if step.difference == "two-noisy":
        pairs = [("n", "0.5 * factor"), ("n + 1", "-0.5 * factor")]
    rate = "S.rf[RF_RATE] * S.pf[PF_ESTIMATE_SCALE]"
    if step.difference == "high-pass":
        speed = rate if exact else "0.0"
        each = (
            "low_pass_code(S.gradient[first:last], S.theta[first:last], factor, "
            f"{speed}, S.pi[PI_TAU_THETA], words[first:last], n)"
        )
        then = """\
S.tally[T_UPDATES] += 1
S.tally[T_ACCUMULATIONS] += SIZE
""" + (_CONTINUOUS + view.mark(0) if exact else _CHANGED.replace("{rate}", rate))
    elif direct:
        each = "\n".join(
            f"add_code(S.theta[first:last], -{rate} * {factor}, words[first:last], {n})" for n, factor in pairs
        )
        then = f"""\
S.tally[T_UPDATES] += 1
if moved:
    written(S, {per_number}, {per_number}, {"1" if per_number == "1" else "ROWS"}, 1)
    S.ri[RI_STALE] = 1
    S.ri[RI_CURRENTS_STALE] = 1{view.mark(4)}"""
    else:
        each = "\n".join(f"add_code(S.gradient[first:last], {factor}, words[first:last], {n})" for n, factor in pairs)
        then = f"""\
S.tally[T_ACCUMULATIONS] += {per_number} if S.pi[PI_TAU_THETA] > 1 else 0
if (S.ri[RI_STEP] + 1) % S.pi[PI_TAU_THETA] == 0:
    commit(S)"""
    return (
        ("" if direct else commit())
        + f"""
@kernel
def learn(S):
    step = S.ri[RI_STEP]
    late = S.pi[PI_LATENCY]
    if step < late:
        return
    there = (step - late) % (late + 1)
    n = S.ri[RI_NUMBER]
    if S.pi[PI_DELAY_MATCHED] == 1:
        n = S.ring_number[there]
    words = S.words
    if BLOCK > 0 and n // BLOCK != S.ri[RI_NUMBER] // BLOCK:
        words = S.old_words
    moved = False
    for d in range(DOMAINS):
        first, last = PARAMETER_SPANS[d], PARAMETER_SPANS[d + 1]
        factor = S.ring[there, d] * S.pf[PF_AMPLITUDE] / (S.pf[PF_NORM_MAG] * S.pf[PF_NORM_MAG])
        moved = moved or factor != 0.0
{indent(each, "        ")}
    S.tally[T_REPLAYS] += {len(pairs)} * SIZE
{indent(then, "    ")}
"""
    )


_CHANGED = """\
for e in range(SIZE):
    S.change[e] = -{rate} * S.gradient[e]
write(S)"""

_CONTINUOUS = """\
# weights move continuously: devices are written all the time, and no time is spent on it
S.tally[T_WRITTEN] += SIZE
S.tally[T_PULSES] += SIZE
S.ri[RI_STALE] = 1
S.ri[RI_CURRENTS_STALE] = 1"""


def written(scheme: str, rank1: bool, after: str = "") -> str:
    """``written``: counts of one write, and how many pulse slots it takes in a row; ``after``: what comes next."""
    slots = {"cell": "pulses", "row": "row_slots", "element": "most", "rank1": "most" if rank1 else "row_slots"}[scheme]
    return f"""
@kernel
def written(S, devices, pulses, row_slots, most):
    # write scheme: {scheme}{"" if rank1 or scheme != "rank1" else " (the update is not rank 1: row by row)"}
    S.tally[T_WRITTEN] += devices
    S.tally[T_PULSES] += pulses
    S.tally[T_WRITE_SLOTS] += {slots}
    {after}
"""


def commit() -> str:
    """``commit``: one optimiser step from the integrated gradient, programmed row by row."""
    return """
@kernel
def commit(S):
    optimise(S.gradient, S.first_moment, S.second_moment, S.pf[PF_ESTIMATE_SCALE], S.rf[RF_RATE],
             S.pi[PI_OPTIMIZER], S.pf[PF_BETA1], S.pf[PF_BETA2], S.change)
    S.gradient[:] = 0.0
    if S.pi[PI_OPTIMIZER] > 0:
        S.tally[T_ACCUMULATIONS] += SIZE * S.pi[PI_OPTIMIZER]
    S.tally[T_UPDATES] += 1
    write(S)
"""


def write(plan: NetworkPlan, exact: bool, view: View) -> str:
    """``write``: program every device by ``change``, row by row."""
    if exact:
        body = """\
    devices = 0
    for e in range(SIZE):
        if S.change[e] != 0.0 and S.free[e] == 1:
            S.theta[e] += S.change[e]
            devices += 1
    if devices > 0:
        written(S, devices, devices, ROWS, 1)"""
    else:
        rows = "\n".join(
            f"""\
    for row in range({layer.copies * (layer.rows + 1)}):
        start = {layer.theta} + row * {layer.columns}
        highest = program(
            S.theta, start, S.change[start:start + {layer.columns}], {layer.columns}, S.scale_up, S.scale_down,
            S.w_min, S.w_max, S.residual, S.pf[PF_STEP_SIZE], S.pf[PF_CYCLE_STD], S.pf[PF_WRITE_STD],
            S.pi[PI_ROUNDING], S.pi[PI_MAX_PULSES], rounding_key, noise_key, S.pulse_tally)
        row_slots += highest
        most = max(most, highest)"""
            for layer in plan.trainable
        )
        body = f"""\
    rounding_key = stream_key(S.pi[PI_SEED], STREAM_ROUNDING, S.ri[RI_MOMENT], 0, 0)
    noise_key = stream_key(S.pi[PI_SEED], STREAM_WRITE_NOISE, S.ri[RI_MOMENT], 0, 0)
    S.pulse_tally[0] = 0
    S.pulse_tally[1] = 0
    row_slots = 0
    most = 0
    S.tally[T_ACCUMULATIONS] += SIZE if S.pi[PI_ROUNDING] == CARRY else 0
{rows}
    written(S, S.pulse_tally[0], S.pulse_tally[1], row_slots, most)"""
    return f"""
@kernel
def write(S):
{body}
    S.ri[RI_STALE] = 1
    S.ri[RI_CURRENTS_STALE] = 1{view.mark(4)}
"""


def ties(plan: NetworkPlan, name: str) -> list[str]:
    """Calls that give all copies of replicated arrays what the first copy holds."""
    return [
        f"tie(S.{name}, {layer.theta}, {layer.shared}, {layer.copies})" for layer in plan.trainable if layer.copies > 1
    ]


def backpropagate(plan: NetworkPlan, view: View) -> str:
    """``backpropagate(S, slot, scale)``: add the exact gradient of the last inference to ``gradient``."""
    lines = [
        "for j in range(N_OUT):",
        "    S.output[j] = S.act[slot, OUT + j]",
        f"cost_gradient(S.output, S.target, S.pf[PF_SMOOTHING], S.act_gradient[{plan.output.act}:])",
    ]
    for layer in reversed(plan.layers):
        first, end = layer.act, layer.act + layer.n
        x = input_view(plan, layer)
        if layer.trainable:
            lines += [
                f"for j in range({first}, {end}):",
                "    if NEURON_MISMATCH:",
                f"        slope = derivative_{layer.index}(S.z[slot, j], activate_{layer.index}(S.z[slot, j]))",
                "        slope *= S.node_scale[j] * S.node_slope[j]",
                "    else:",
                f"        slope = derivative_{layer.index}(S.z[slot, j], S.act[slot, j])",
                "    S.z_gradient[j] = S.act_gradient[j] * slope",
            ]
            shape = "" if layer.type == "dense" else f".reshape({layer.shape})"
            dz = f"S.z_gradient[{first}:{end}]{shape}"
            w, b = weights(layer, "gradient")
            lines.append(f"{layer.type}_gradient({dz}, {x}, {w}, {b}, scale)")
            back = f"{layer.type}_transpose({weights(layer, view.reads)[0]}, {dz}, {{dx}})"
        else:
            out = f"S.act_gradient[{first}:{end}].reshape({layer.shape})"
            if layer.type == "maxpool":
                z = f"S.act[slot, {first}:{end}].reshape({layer.shape})"
                back = f"maxpool_transpose({x}, {z}, {out}, {{dx}}, {layer.pool})"
            else:
                back = f"avgpool_transpose({out}, {{dx}}, {layer.pool})"
        if layer.index > 0:
            before = plan.layers[layer.index - 1]
            shape_in = (layer.n_in,) if layer.type == "dense" else layer.in_shape
            dx = f"S.act_gradient[{before.act}:{before.act + before.n}]"
            lines.append(back.format(dx=dx if len(shape_in) == 1 else f"{dx}.reshape({shape_in})"))
    lines += ties(plan, "gradient")
    return f"""
@kernel
def backpropagate(S, slot, scale):
{indent(chr(10).join(lines), "    ")}
"""


LEARN_GRADIENT = """
@kernel
def broadcast(S):
    S.rf[RF_COST_SUM] += S.rf[RF_C_0]
    S.tally[T_RECORDED] += 1


@kernel
def learn(S):
    backpropagate(S, 0, 1.0 / S.pi[PI_TAU_THETA])
    if (S.ri[RI_STEP] + 1) % S.pi[PI_TAU_THETA] == 0:
        commit(S)
"""

ACCOUNT = """
@kernel
def account(S):
    S.tally[T_STEPS] += 1
    step = S.ri[RI_STEP] + 1
    S.ri[RI_STEP] = step
    every = S.pi[PI_DECAY_STEPS]
    if every > 0:
        S.rf[RF_RATE] = S.pf[PF_LEARNING_RATE] / (1.0 + step / every)
"""
