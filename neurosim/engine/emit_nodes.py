"""Source text of training in node space: aim a probe, hear its slope, write rank-1 updates, keep the delta memory."""

from __future__ import annotations

import math
from textwrap import indent

from neurosim.chip.layers import LayerPlan, NetworkPlan
from neurosim.engine import emit_step
from neurosim.engine.emit_forward import input_view as read_view
from neurosim.engine.emit_forward import weights
from neurosim.engine.emit_view import View
from neurosim.spec.scenario import Scenario
from neurosim.training.base import StepPlan, Trainer
from neurosim.training.delta import DeltaMGD
from neurosim.training.node import NodeSpace


def training(
    scenario: Scenario, plan: NetworkPlan, trainer: Trainer, step: StepPlan, view: View, *, exact: bool, stuck: bool
) -> str:
    """perturb, aim, broadcast, learn (and refresh) for the node and delta trainers; ``stuck``: some devices are."""
    assert isinstance(trainer, NodeSpace)
    windowed = is_windowed(plan, trainer)
    parts = [
        _NO_DRAW,
        _sigma(plan, trainer),
        _apply(scenario),
        _deposit(plan, exact, windowed, stuck, view),
        emit_step.commit() if windowed else "",
        _aim_delta(trainer) if isinstance(trainer, DeltaMGD) else _AIM_NODE,
        _broadcast(step),
        _learn_delta(trainer, windowed) if isinstance(trainer, DeltaMGD) else _learn_node(windowed),
    ]
    return "\n".join(part for part in parts if part)


def is_windowed(plan: NetworkPlan, trainer: Trainer) -> bool:
    """Whether updates pass through integrators: a shared-weight convolution adds up over its positions there too."""
    shared = any(layer.type == "conv2d" for layer in plan.layers)
    return trainer.tau_theta > 1 or trainer.optimizer != "plain" or shared


def input_view(plan: NetworkPlan, layer: LayerPlan) -> str:
    """The activities of a layer's inputs as the learning rule knows them: spike counts where inputs are spikes."""
    if layer.index == 0 and plan.spiking:
        shape = layer.in_shape if len(layer.in_shape) != 2 else (*layer.in_shape, 1)
        return "S.input_activity" if layer.type == "dense" else f"S.input_activity.reshape({shape})"
    return read_view(plan, layer)


_NO_DRAW = """
@kernel
def perturb(S):
    # node probes are drawn inside the step, once the clean inference is known
    pass
"""


def _sigma(plan: NetworkPlan, trainer: NodeSpace) -> str:
    """``prepare_nodes``: squared lengths of the local activities, and sigma of every node that can be perturbed."""
    lines = ["slot = np.int64(0)"]
    for layer in plan.trainable:
        x = input_view(plan, layer)
        if not trainer.normalise_activity:
            norm = "1.0"
        elif layer.type == "dense":
            norm = f"1.0 + sum_squares({x})"
        else:
            patch = layer.weight_shape[0] * layer.weight_shape[1]
            norm = f"1.0 + {patch} * sum_squares({x}.reshape({layer.n_in})) / {layer.in_shape[0] * layer.in_shape[1]}"
        last = layer.index == plan.output.index
        if last or not trainer.mask_silent:
            alive = "True"
        elif layer.spiking:
            alive = "S.live[j] > 0"
        else:
            alive = f"derivative_{layer.index}(S.z[slot, j], S.act[slot, j]) != 0.0"
        lines += [
            f"# {layer.name}",
            f"S.norms[{layer.index}] = {norm}",
            f"sigma = math.sqrt(S.norms[{layer.index}]) * S.layer_scale[{layer.index}]",
            f"for j in range({layer.act}, {layer.act + layer.n}):",
            f"    S.sigma[j] = sigma if {alive} else 0.0",
        ]
    return f"""
@kernel
def prepare_nodes(S):
{indent(chr(10).join(lines), "    ")}
"""


def _apply(scenario: Scenario) -> str:
    """``apply_probe``: the injected currents of a direction, with each injector's own gain."""
    gain = " * (ONE + S.node_mismatch[j])" if scenario.chip.perturbation.amplitude_dtod > 0.0 else ""
    return f"""
@kernel
def apply_probe(S, slot):
    size = S.pf[PF_NORM_MAG]
    if S.pf[PF_PROBE_RMS] > 0.0:
        squares = 0.0
        for j in range(NODES):
            squares += (S.sigma[j] * S.direction[slot, j]) ** 2
        if squares > 0.0:
            size = S.pf[PF_PROBE_RMS] * math.sqrt(NODES / squares)
    S.size[slot] = size
    count = 0
    for j in range(NODES):
        S.injection[slot, j] = size * S.sigma[j] * S.direction[slot, j]{gain}
        count += S.sigma[j] > 0.0
    S.tally[T_APPLICATIONS] += count
    S.tally[T_DRAWS] += count
"""


def _deposit(plan: NetworkPlan, exact: bool, windowed: bool, stuck: bool, view: View) -> str:
    """``deposit``: write (or integrate) ``w_ij += a_i rate_j`` with ``rate_j = estimate_j sigma_j / S_l``."""
    lines = ["slot = np.int64(0)"]
    if not exact and not windowed:
        lines += [
            "rounding_key = stream_key(S.pi[PI_SEED], STREAM_ROUNDING, S.ri[RI_MOMENT], 0, 0)",
            "noise_key = stream_key(S.pi[PI_SEED], STREAM_WRITE_NOISE, S.ri[RI_MOMENT], 0, 0)",
            "S.pulse_tally[0] = 0",
            "S.pulse_tally[1] = 0",
        ]
    lines += ["row_slots = 0", "most = 0", "devices = 0"]
    for layer in plan.trainable:
        first, end = layer.act, layer.act + layer.n
        lines += [
            f"rate = S.rates[{first}:{end}]",
            f"for j in range({layer.n}):",
            f"    rate[j] = factor * S.estimate[{first} + j] * S.sigma[{first} + j] / S.norms[{layer.index}]",
        ]
        if layer.type == "conv2d":
            w, b = weights(layer, "gradient")
            x = input_view(plan, layer)
            lines.append(f"conv2d_gradient(rate.reshape({layer.shape}), {x}, {w}, {b}, -1.0)")
        elif windowed:
            w, b = weights(layer, "gradient")
            lines.append(f"dense_gradient(rate, {input_view(plan, layer)}, {w}, {b}, -1.0)")
        elif exact:
            w, b = weights(layer)
            lines += [
                f"x = {input_view(plan, layer)}",
                f"rank1_add_free({w}, {b}, x, rate, {', '.join(weights(layer, 'free'))})"
                if stuck
                else f"rank1_add({w}, {b}, x, rate)",
                "active = count_active(x) + 1",
                "row_slots += active",
                "devices += active * count_active(rate)",
                "most = 1",
            ]
        else:
            lines += _program_rows(plan, layer)
    if not windowed:
        counts = "devices, devices, row_slots, most" if exact else "S.pulse_tally[0], S.pulse_tally[1], row_slots, most"
        lines += [f"written(S, {counts})", "S.tally[T_UPDATES] += 1",
                  f"S.ri[RI_CURRENTS_STALE] = 1{view.mark(0)}"]  # fmt: skip
    else:
        lines += [
            "S.tally[T_ACCUMULATIONS] += SIZE",
            "if (S.ri[RI_STEP] + 1) % S.pi[PI_TAU_THETA] == 0:",
            "    commit(S)",
        ]
    return f"""
@kernel
def deposit(S, factor):
{indent(chr(10).join(lines), "    ")}
"""


def _program_rows(plan: NetworkPlan, layer: LayerPlan) -> list[str]:
    def row(start: str) -> list[str]:
        return [
            f"highest = program(S.theta, {start}, S.change, {layer.n}, S.scale_up, S.scale_down, S.w_min, S.w_max,",
            "                  S.residual, S.pf[PF_STEP_SIZE], S.pf[PF_CYCLE_STD], S.pf[PF_WRITE_STD],",
            "                  S.pi[PI_ROUNDING], S.pi[PI_MAX_PULSES], rounding_key, noise_key,",
            "                  S.pulse_tally)",
            "row_slots += highest",
            "most = max(most, highest)",
            f"S.tally[T_ACCUMULATIONS] += {layer.n} if S.pi[PI_ROUNDING] == CARRY else 0",
        ]

    return [
        f"x = {input_view(plan, layer)}",
        f"for i in range({layer.n_in}):",
        "    xi = x[i]",
        "    if xi != 0.0:",
        f"        for j in range({layer.n}):",
        "            S.change[j] = xi * rate[j]",
        *("        " + line for line in row(f"{layer.theta} + i * {layer.n}")),
        f"for j in range({layer.n}):",
        "    S.change[j] = rate[j]",
        *row(str(layer.theta + layer.weights)),
    ]


_AIM_NODE = """
@kernel
def aim(S, slot):
    prepare_nodes(S)
    key = stream_key(S.pi[PI_SEED], STREAM_PERTURBATION, S.ri[RI_MOMENT], slot, 0)
    random_direction(S.sigma, key, S.direction[slot])
    apply_probe(S, slot)
"""


def _aim_delta(trainer: DeltaMGD) -> str:
    angle = math.radians(trainer.probe_angle)
    along, across = (1.0, 0.0) if trainer.probe_angle == 0.0 else (math.cos(angle), math.sin(angle))
    if trainer.probe_angle == 90.0:
        along, across = 0.0, 1.0
    if trainer.probes == "combined":
        mix = f"""\
    along, across = {along!r}, {across!r}
    if length <= 0.0:
        along, across = 0.0, 1.0
    S.coefficient[0] = length
    S.coefficient[1] = along
    S.coefficient[2] = across
    for j in range(NODES):
        S.direction[slot, j] = across * S.orthogonal[j]
    if along > 0.0:
        for j in range(NODES):
            S.direction[slot, j] += along * S.prior[j] / length"""
    else:
        turn = "slot == 1" if trainer.probes == "separate" else "S.ri[RI_STEP] % 2 == 0"
        mix = f"""\
    S.coefficient[0] = length
    S.coefficient[1] = 1.0 if {turn} and length > 0.0 else 0.0
    if S.coefficient[1] > 0.0:
        for j in range(NODES):
            S.direction[slot, j] = S.prior[j] / length
    else:
        copy(S.orthogonal, S.direction[slot])"""
    share = _share(trainer)
    return f"""
@kernel
def aim(S, slot):
    prepare_nodes(S)
    share = {share}
    length = prior(S.sigma, S.delta[S.ri[RI_LABEL]], share, {trainer.aligned == "sign"}, S.prior)
    key = stream_key(S.pi[PI_SEED], STREAM_ORTHOGONAL, S.ri[RI_MOMENT], slot, 0)
    random_direction(S.sigma, key, S.orthogonal)
    orthogonalise(S.orthogonal, S.prior, length)
{mix}
    apply_probe(S, slot)
    if slot == 1:
        S.tally[T_DELTA_WORDS] += NEURONS
"""


def _broadcast(step: StepPlan) -> str:
    heard = "\n".join(
        f"        c_tilde = heard(S, S.costs[{slot}, d] - S.costs[0, d], np.int64({slot}), d)\n"
        f"        S.slope[{slot}, d] = c_tilde / S.size[{slot}]"
        for slot in range(1, len(step.slots))
    )
    return f"""
@kernel
def broadcast(S):
    for d in range(DOMAINS):
{heard}
    S.rf[RF_C_TILDE] = S.rf[RF_C_1] - S.rf[RF_C_0]
    S.rf[RF_COST_SUM] += S.rf[RF_C_0]
    S.rf[RF_C_TILDE_SUM] += abs(S.rf[RF_C_TILDE])
    S.tally[T_RECORDED] += 1
"""


REFRESH = """
@kernel(cache=True)
def refresh(S, DATA, label):
    # bias-only probes of samples of one class renew its delta-vector; every inference is counted
    S.tally[T_REFRESHES] += 1
    moment = S.ri[RI_MOMENT]
    first, last = class_start[label], class_start[label + 1]
    for j in range(NODES):
        S.delta_change[j] = 0.0
    count = S.pi[PI_REFRESH_MEASUREMENTS]
    shares = 0.0
    for m in range(count):
        S.ri[RI_MOMENT] = (1 << 37) + (S.ri[RI_STEP] * CLASSES + label) * count + m
        if first < last:
            key = stream_key(S.pi[PI_SEED], STREAM_SHUFFLE, S.ri[RI_MOMENT], 1, 0)
            load(S, train_x, train_t, class_order[first + below(key, 0, last - first)])
        S.tally[T_SAMPLES] += 1
        infer(S, np.int64(0))
        measure(S, np.int64(0))
        prepare_nodes(S)
        key = stream_key(S.pi[PI_SEED], STREAM_PERTURBATION, S.ri[RI_MOMENT], 0, 0)
        random_direction(S.sigma, key, S.direction[1])
        apply_probe(S, np.int64(1))
        infer(S, np.int64(1))
        measure(S, np.int64(1))
        for d in range(DOMAINS):
            S.slope[1, d] = heard(S, S.costs[1, d] - S.costs[0, d], np.int64(1), d) / S.size[1]
        # regression on the share: what is remembered is delta per unit of share, as aim reads it
        share = SHARE
        shares += share * share
        live = 0
        for j in range(NODES):
            live += S.sigma[j] > 0.0
        for d in range(DOMAINS):
            for j in range(NODE_SPANS[d], NODE_SPANS[d + 1]):
                if S.sigma[j] > 0.0:
                    S.delta_change[j] += S.slope[1, d] * S.direction[1, j] * live * share / S.sigma[j]
    blend = S.pf[PF_REFRESH_BLEND]
    for j in range(NODES):
        S.delta[label, j] *= 1.0 - blend
        S.delta_change[j] *= blend / max(shares, 1e-12)
        S.sigma[j] = 1.0
    key = stream_key(S.pi[PI_SEED], STREAM_DELTA_NOISE, S.ri[RI_MOMENT], 1, 0)
    S.tally[T_DELTA_WRITES] += remember(S.delta[label], S.delta_change, S.pi[PI_DELTA_BITS], S.pf[PF_DELTA_RANGE],
                                        S.pf[PF_DELTA_NOISE], key, S.sigma)
    for j in range(NODES):
        S.sigma[j] = 0.0
        for k in range(CLASSES):  # every class's states leak while one is measured
            S.delta[k, j] *= S.pf[PF_DELTA_KEEP] ** count
    load(S, train_x, train_t, S.ri[RI_SAMPLE])
    S.tally[T_SAMPLES] += 1
    S.ri[RI_MOMENT] = moment
"""


def refresh(trainer: DeltaMGD, view: View) -> str:
    """The entry point that renews one class's delta-vector by bias-only probes."""
    passes = "    elapse(S)\n" if view.laws.clocked else ""
    return REFRESH.replace("SHARE", _share(trainer)) + passes


def _share(trainer: DeltaMGD) -> str:
    return "residual(S.costs[0, 0])" if trainer.scale_by_cost else "1.0"


_LIMIT = """\
    factor = S.rf[RF_RATE]
    limit = S.pf[PF_KAPPA] * max(S.costs[0, d], 0.0)
    if S.pf[PF_KAPPA] > 0.0 and factor * decrease > limit:
        factor = limit / decrease
    for j in range(NODE_SPANS[d], NODE_SPANS[d + 1]):
        S.estimate[j] *= factor"""


def _learn_node(windowed: bool) -> str:
    return f"""
@kernel
def learn(S):
    for d in range(DOMAINS):
        c = S.slope[1, d]
        decrease = c * c
        for j in range(NODE_SPANS[d], NODE_SPANS[d + 1]):
            S.estimate[j] = c * S.direction[1, j]
{indent(_LIMIT, "    ")}
    deposit(S, -1.0{" / S.rf[RF_RATE]" if windowed else ""})
"""


def _learn_delta(trainer: DeltaMGD, windowed: bool) -> str:
    if trainer.probes == "combined":
        estimate = """\
    length, along = S.coefficient[0], S.coefficient[1]
    surprise = S.slope[1, d] - along * length
    ku, kr = S.pf[PF_NODE_RATE], S.pf[PF_ORTHOGONAL_RATE]
    alpha = S.pf[PF_PRIOR_RATE]
    unit = 1.0 / length if length > 0.0 else 0.0
    aligned = alpha * length + surprise * ku * along
    across = surprise * kr * S.coefficient[2]
    for j in range(NODE_SPANS[d], NODE_SPANS[d + 1]):
        S.estimate[j] = (aligned * unit) * S.prior[j] + across * S.orthogonal[j]
    decrease = alpha * length * length + (ku * along * along + kr * S.coefficient[2] ** 2) * surprise * surprise"""
        memory = """\
along_u = S.pf[PF_ALIGNED_MEMORY_RATE] * along * unit * S.prior[j]
            across_r = S.pf[PF_MEMORY_RATE] * S.coefficient[2] * S.orthogonal[j]
            S.delta_change[j] = share * surprise * (along_u + across_r) / S.sigma[j]"""
    else:
        heard = """\
    cu = S.slope[1, d] if length > 0.0 else 0.0
    cr = S.slope[2, d]"""
        if trainer.probes == "alternate":
            heard = """\
    aligned_turn = S.coefficient[1] > 0.0
    cu = S.slope[1, d] if aligned_turn else 0.0
    cr = 0.0 if aligned_turn else S.slope[1, d]"""
        estimate = f"""\
    length = S.coefficient[0]
    unit = 1.0 / length if length > 0.0 else 0.0
{heard}
    ku, kr = S.pf[PF_NODE_RATE], S.pf[PF_ORTHOGONAL_RATE]
    for j in range(NODE_SPANS[d], NODE_SPANS[d + 1]):
        S.estimate[j] = ku * cu * unit * S.prior[j] + kr * cr * S.orthogonal[j]
    decrease = ku * cu * cu + kr * cr * cr
    news = cu - length if cu != 0.0 else 0.0"""
        memory = """\
along_u = S.pf[PF_ALIGNED_MEMORY_RATE] * news * unit * S.prior[j]
            S.delta_change[j] = share * (along_u + S.pf[PF_MEMORY_RATE] * cr * S.orthogonal[j]) / S.sigma[j]"""
    share = _share(trainer)
    keep = change = ""
    if trainer.refresh == "probes":
        change = f"""\
    share = {share}
    for j in range(NODE_SPANS[d], NODE_SPANS[d + 1]):
        S.delta_change[j] = 0.0
        if S.sigma[j] > 0.0:
            {memory}"""
        keep = """\
    key = stream_key(S.pi[PI_SEED], STREAM_DELTA_NOISE, S.ri[RI_MOMENT], 0, 0)
    S.tally[T_DELTA_WRITES] += remember(S.delta[S.ri[RI_LABEL]], S.delta_change, S.pi[PI_DELTA_BITS],
                                        S.pf[PF_DELTA_RANGE], S.pf[PF_DELTA_NOISE], key, S.sigma)"""
    return f"""
@kernel
def learn(S):
    for d in range(DOMAINS):
{indent(estimate, "    ")}
{indent(_LIMIT, "    ")}
{indent(change, "    ")}
    deposit(S, -1.0{" / S.rf[RF_RATE]" if windowed else ""})
{keep}
    if S.pf[PF_DELTA_KEEP] < 1.0:
        # the slow states leak by the time that the step took
        for k in range(CLASSES):
            for j in range(NODES):
                S.delta[k, j] *= S.pf[PF_DELTA_KEEP]
"""
