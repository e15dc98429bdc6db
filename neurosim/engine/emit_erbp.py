"""Source text of event-driven random back-propagation: a step is one sample of many ticks, and learns as it goes.

The phases are those of every spiking machine. What differs: ``begin`` draws the data neurons' spikes of the whole
sample, ``deliver`` brings error spikes to dendrites and then moves current and weights in one pass over the rows of the
inputs that fired, ``route`` lets predictions meet their label in the error neurons. Nothing is learned while testing.
"""

from __future__ import annotations

from textwrap import indent

from neurosim.chip.layers import LayerPlan, NetworkPlan
from neurosim.engine import erbp_state
from neurosim.engine.emit_erbp_steps import DRAW_INPUTS, TAKE_INPUTS, constants, spikes_into, steps
from neurosim.engine.emit_forward import weights
from neurosim.spec.scenario import Scenario

MODULES = ("neurosim.kernels.erbp", "neurosim.kernels.erbp_windows")
LOOPS = (
    "ALWAYS", "compare", "decay", "drop", "drop_learn", "escape_spikes", "feed_back", "gate", "learn_rounded",
    "take_current", "transmit", "transmit_learn",
)  # fmt: skip
WINDOW_LOOPS = ("drop_windows", "round_windows", "transmit_windows", "write_windows")
"""What the text takes from there; the second of them for convolutions."""


def parts(scenario: Scenario, plan: NetworkPlan, exact: bool, dead_synapses: bool) -> list[str]:
    """The text behind the head and ``PRESENT``: all phases, and the entry points.

    ``exact``: the devices hold any number. ``dead_synapses``: some cannot be written.
    """
    general = not exact or dead_synapses or scenario.chip.synapse.stuck_fraction > 0.0
    return [
        _constants(scenario, plan),
        _BEGIN,
        _deliver(plan, general),
        _integrate(plan),
        _fire(plan),
        _ROUTE,
        *steps(plan, _MEASURE),
    ]


def _constants(scenario: Scenario, plan: NetworkPlan) -> str:
    return "\n".join(
        [
            f"from {MODULES[0]} import {', '.join(LOOPS)}",
            f"from {MODULES[1]} import {', '.join(WINDOW_LOOPS)}",
            *constants(scenario, plan),
        ]
    )


_BEGIN = f"""
@kernel
def begin(S, slot):
    # silence, and the spikes that the data neurons will send
    S.count[:] = 0
    S.v[:] = 0.0
    S.refractory[:] = 0
    S.synaptic[:] = 0.0
    S.dendrite[:] = 0.0
    S.error[:] = 0.0
    S.error_fired[:] = 0
    S.fired_count[:] = 0
{DRAW_INPUTS}"""


def _deliver(plan: NetworkPlan, general: bool) -> str:
    lines: list[str] = []
    for layer, first in zip(plan.layers, erbp_state.first_synapses(plan), strict=True):
        lines += _scatter(plan, layer, first, general)
    return f"""
@kernel
def deliver(S, slot, tick):
    # error spikes of the last tick reach dendrites; then spikes reach synapses, which carry them and learn
    decay(S.dendrite, S.dendrite_keep)
    learning = slot != CLEAN_SLOT and tick >= int(S.erbp[E_BURN_IN])
    if slot != CLEAN_SLOT:
        S.tally[T_FEEDBACK] += feed_back(
            S.error_fired, S.feedback, S.erbp[E_OUTPUT_FEEDBACK], S.dendrite, N_OUT)
{TAKE_INPUTS}\
    S.current[:] = 0.0
    limit = int(S.erbp[E_TRANSMISSION])
    key = stream_key(S.pi[PI_SEED], STREAM_TRANSMISSION, S.ri[RI_MOMENT], slot, tick)
    rounding_key = stream_key(S.pi[PI_SEED], STREAM_ROUNDING, S.ri[RI_MOMENT], slot, tick)
{indent(chr(10).join(lines), "    ")}
"""


def _scatter(plan: NetworkPlan, layer: LayerPlan, first: int, general: bool) -> list[str]:
    """One layer's events: three passes for real-valued weights, one for everything else.

    ``first``: number of the layer's first synapse, for the draws.
    """
    fired, count = spikes_into(plan, layer)
    span = f"{layer.act}:{layer.act + layer.n}"
    w, current, change = weights(layer)[0], f"S.current[{span}]", f"S.change_by[{span}]"
    rate = "S.rf[RF_RATE]" if layer.type == "dense" else "S.rf[RF_RATE] * S.erbp[E_SHARED_RATE]"
    head = [
        "moved = 0",
        f"spikes = {count}",
        "open_gates = 0",
        "if learning:",
        f"    open_gates = gate({change}, S.dendrite[{span}], S.synaptic[{span}], S.boxcar[{span}], {rate})",
    ]
    if layer.type == "conv2d":
        return head + _windows(layer, fired, first, general)
    head.append(f"S.tally[T_ACTIVE_{layer.index}] += spikes")
    tail = ["S.tally[T_WRITTEN] += moved", "S.tally[T_PULSES] += moved"]
    plainly = [
        "elif limit < ALWAYS:",
        f"    drop({w}, {fired}, spikes, {current}, S.halves, key, {first}, limit)",
        "else:",
        f"    transmit({w}, {fired}, spikes, {current})",
    ]
    if general:
        free = f"S.free[{layer.theta}:{layer.theta + layer.weights}]"
        return [
            *head,
            "if open_gates > 0:",
            f"    moved = learn_rounded({w}, {free}, {fired}, spikes, {current}, {change}, key, {first}, limit,",
            "        rounding_key, S.erbp[E_STEP], S.erbp[E_W_MIN], S.erbp[E_W_MAX])",
            *plainly,
            *tail,
        ]
    return [
        *head,
        "if open_gates > 0 and limit < ALWAYS:",
        f"    moved = drop_learn({w}, {fired}, spikes, {current}, {change}, S.halves, key, {first}, limit)",
        "elif open_gates > 0:",
        f"    transmit_learn({w}, {fired}, spikes, {current}, {change})",
        "    moved = spikes * open_gates",
        *plainly,
        *tail,
    ]


def _windows(layer: LayerPlan, fired: str, first: int, general: bool) -> list[str]:
    """A convolution's events: every window that holds a spike, and what their synapses learned written at the end."""
    columns, flat = layer.in_shape[1], f"{layer.theta}:{layer.theta + layer.weights}"
    w, pending = weights(layer)[0], f"S.pending[:{layer.weights}]"
    maps = [f"S.{name}[{layer.act}:{layer.act + layer.n}].reshape({layer.shape})" for name in ("current", "change_by")]
    common = (
        f"{fired}, spikes, {columns}, {layer.stride}, {maps[0]}, {maps[1]}, {pending}.reshape({layer.weight_shape})"
    )
    lines = [
        "if limit < ALWAYS:",
        f"    driven, moved = drop_windows({w}, {common}, open_gates > 0, S.halves, key, {first}, limit)",
        "else:",
        f"    driven, moved = transmit_windows({w}, {common}, open_gates > 0)",
    ]
    if general:
        free = f"S.free[{flat}].reshape({layer.weight_shape})"
        lines = [
            "if open_gates > 0:",
            f"    driven, moved = round_windows({w}, {free}, {common}, key, {first}, limit,",
            "        rounding_key, S.erbp[E_STEP])",
            f"el{lines[0]}", *lines[1:],
        ]  # fmt: skip
    return [
        *lines,
        "if moved > 0:",
        f"    write_windows(S.theta[{flat}], {pending}, S.erbp[E_STEP], S.erbp[E_W_MIN], S.erbp[E_W_MAX])",
        f"S.tally[T_ACTIVE_{layer.index}] += driven",
        "S.tally[T_WRITTEN] += moved",
        "S.tally[T_PULSES] += moved",
    ]


def _integrate(plan: NetworkPlan) -> str:
    blocks = "".join(
        f"""\
    for j in range({layer.act}, {layer.act + layer.n}):
        if S.refractory[j] == 0:
            S.v[j] = integrate_{layer.index}(S.v[j], S.node_gain[j] * S.synaptic[j], S.node_leak[j])
"""
        for layer in plan.layers
    )
    return f"""
@kernel
def integrate(S, slot, tick):
    # currents, then membranes; refractory neurons rest, their currents do not
    take_current(S.synaptic, S.syn_keep, S.current)
    if S.erbp[E_NOISY] > 0.0:
        key = stream_key(S.pi[PI_SEED], STREAM_MEMBRANE_NOISE, S.ri[RI_MOMENT], slot, tick)
        for j in range(NODES):
            S.synaptic[j] += S.noise_std[j] * normal(key, j)
{blocks}"""


def _fire(plan: NetworkPlan) -> str:
    blocks = "".join(
        f"""\
    n = 0
    for j in range({layer.act}, {layer.act + layer.n}):
        if S.refractory[j] > 0:
            S.refractory[j] -= 1
        elif S.v[j] >= S.node_threshold[j]:
            S.v[j] = 0.0
            S.refractory[j] = {getattr(layer.neuron, "refractory_ticks", 0)}
            S.fired[{layer.act} + n] = j - {layer.act}
            n += 1
            S.count[j] += 1
    S.fired_count[{layer.index}] = n
    S.tally[T_FIRED_{layer.index}] += n
"""
        for layer in plan.layers
    )
    return f"""
@kernel
def fire(S, slot, tick):
    # thresholds, resets, spikes
{blocks}"""


_ROUTE = """
@kernel
def route(S, slot, tick):
    # predictions and label meet in the error neurons, within the tick; all other spikes arrive with the next
    if slot != CLEAN_SLOT:
        period = int(S.erbp[E_LABEL_PERIOD])
        label = S.ri[RI_LABEL] if (tick + 1) % period == 0 else -1
        n = S.fired_count[OUTPUT_LAYER]
        S.tally[T_COMPARED] += 2 * n + (2 if label >= 0 else 0)
        S.tally[T_ERRORS] += compare(S.error, S.error_fired, S.fired[OUT:NODES], n, label,
                                     S.erbp[E_ERROR_WEIGHT], S.erbp[E_ERROR_THRESHOLD])
"""

_MEASURE = """
@kernel
def measure(S, slot):
    # for the record only: the chip learns from error spikes and computes no cost
    S.rf[RF_C_0] = cost_of(S, slot)
    for j in range(OUT, NODES):
        if not math.isfinite(S.synaptic[j]) and S.ri[RI_DIVERGED] == 0:
            S.ri[RI_DIVERGED] = S.ri[RI_STEP] + 1
"""
