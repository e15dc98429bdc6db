"""Source text of event-driven random back-propagation: a step is one sample of many ticks, and learns as it goes.

The phases are those of every spiking machine. What differs: ``begin`` draws the data neurons' spikes of the whole
sample, ``deliver`` brings error spikes to dendrites and then moves current and weights in one pass over the rows of the
inputs that fired, ``route`` lets predictions meet their label in the error neurons. Nothing is learned while testing.
"""

from __future__ import annotations

from textwrap import indent

from neurosim.chip.layers import LayerPlan, NetworkPlan
from neurosim.engine import erbp_state
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
        FINISH,
        _MEASURE,
        STEP,
        readings(plan),
        ENTRIES,
    ]


def _constants(scenario: Scenario, plan: NetworkPlan) -> str:
    times = erbp_state.times(scenario)
    return "\n".join(
        [
            f"from {MODULES[0]} import {', '.join(LOOPS)}",
            f"from {MODULES[1]} import {', '.join(WINDOW_LOOPS)}",
            *(f"E_{name} = {k}" for k, name in enumerate(erbp_state.SETTINGS)),
            f"TEST_TICKS = {times.test}",
            f"OUTPUT_LAYER = {plan.output.index}",
        ]
    )


def readings(plan: NetworkPlan) -> str:
    events = " + ".join(f"S.tally[T_ACTIVE_{layer.index}] * {layer.columns}" for layer in plan.layers)
    return f"""
@kernel
def events_so_far(S):
    return {events}


@kernel
def leader(S):
    # the class that fired most, the first of several; -1 while none has fired
    best = -1
    most = 0
    for c in range(N_OUT):
        if S.count[OUT + c] > most:
            best = c
            most = S.count[OUT + c]
    return best
"""


_BEGIN = """
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
    ticks = WINDOW if slot != CLEAN_SLOT else TEST_TICKS
    key = stream_key(S.pi[PI_SEED], STREAM_ENCODER, S.ri[RI_MOMENT], slot, 0)
    escape_spikes(S.x, S.erbp[E_RATE], S.erbp[E_PIXEL_THRESHOLD], S.erbp[E_PIXEL_GAIN], int(S.erbp[E_DATA_REST]), ticks,
                  key, S.input_spikes, S.input_spike_count)
"""


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
    n = S.input_spike_count[tick]
    for k in range(n):
        S.fired_input[k] = S.input_spikes[tick, k]
    S.input_count[0] = n
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
    if layer.index == 0:
        fired, count = "S.fired_input", "S.input_count[0]"
    else:
        before = plan.layers[layer.index - 1]
        fired, count = f"S.fired[{before.act}:{before.act + before.n}]", f"S.fired_count[{before.index}]"
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

FINISH = """
@kernel
def finish(S, slot):
    # activities: hidden neurons in spikes a tick, outputs in the label neuron's rate
    ticks = S.theta.dtype.type(WINDOW if slot != CLEAN_SLOT else TEST_TICKS)
    period = S.theta.dtype.type(S.erbp[E_LABEL_PERIOD])
    for j in range(OUT):
        S.act[slot, j] = S.count[j] / ticks
    for j in range(OUT, NODES):
        S.act[slot, j] = S.count[j] * period / ticks
"""

_MEASURE = """
@kernel
def cost_of(S, slot):
    for j in range(N_OUT):
        S.output[j] = S.act[slot, OUT + j]
    return cost(S.output, S.target, S.pf[PF_SMOOTHING])


@kernel
def measure(S, slot):
    # for the record only: the chip learns from error spikes and computes no cost
    S.rf[RF_C_0] = cost_of(S, slot)
    for j in range(OUT, NODES):
        if not math.isfinite(S.synaptic[j]) and S.ri[RI_DIVERGED] == 0:
            S.ri[RI_DIVERGED] = S.ri[RI_STEP] + 1
"""

STEP = """
@kernel
def perturb(S):
    pass


@kernel
def prepare(S, slot):
    S.tally[T_CLEAN] += 1


@kernel
def broadcast(S):
    S.rf[RF_COST_SUM] += S.rf[RF_C_0]
    S.tally[T_RECORDED] += 1


@kernel
def learn(S):
    # weights have moved with the spikes
    S.tally[T_UPDATES] += 1


@kernel
def account(S):
    S.tally[T_STEPS] += 1
    step = S.ri[RI_STEP] + 1
    S.ri[RI_STEP] = step
    rate = S.pf[PF_LEARNING_RATE]
    if S.pi[PI_DECAY_STEPS] > 0:
        rate /= 1.0 + step / S.pi[PI_DECAY_STEPS]
    if S.erbp[E_ANNEAL_STEPS] > 0.0:
        rate *= max(0.0, 1.0 - step / S.erbp[E_ANNEAL_STEPS])
    S.rf[RF_RATE] = rate
"""


ENTRIES = """
@kernel(cache=True)
def burst(S, DATA, steps):
    # many samples; stops early when a current is no longer finite
    slot = np.int64(0)
    for done in range(steps):
        present(S, DATA)
        prepare(S, slot)
        begin(S, slot)
        for tick in range(WINDOW):
            deliver(S, slot, tick)
            integrate(S, slot, tick)
            fire(S, slot, tick)
            route(S, slot, tick)
        finish(S, slot)
        measure(S, slot)
        broadcast(S)
        if S.ri[RI_DIVERGED] > 0:
            account(S)
            return done + 1
        learn(S)
        account(S)
    return steps


@kernel(cache=True)
def phase(S, DATA, which, slot, tick):
    # one phase, for event mode
    if which == 0:
        present(S, DATA)
    elif which == 3:
        begin(S, slot)
    elif which == 4:
        deliver(S, slot, tick)
    elif which == 5:
        integrate(S, slot, tick)
    elif which == 6:
        fire(S, slot, tick)
    elif which == 7:
        route(S, slot, tick)
    elif which == 8:
        finish(S, slot)
    elif which == 9:
        measure(S, slot)
    elif which == 11:
        broadcast(S)
    elif which == 12:
        learn(S)
    elif which == 13:
        account(S)
    elif which == 14:
        prepare(S, slot)


@kernel(cache=True)
def show(S, DATA, i):
    # one test sample on the inputs, for looking at
    load(S, test_x, test_t, i)
    S.ri[RI_MOMENT] = (1 << 38) + i
    S.ri[RI_SHOWN] = S.ri[RI_MOMENT]


@kernel(cache=True)
def evaluate(S, DATA, first, count):
    # test samples, nothing learned; not the chip's work, so the tally is put back, and kept apart by tick
    kept = S.tally.copy()
    slot = np.int64(CLEAN_SLOT)
    moment, shown = S.ri[RI_MOMENT], S.ri[RI_SHOWN]
    right = 0
    total = 0.0
    if first == 0:
        for tick in range(TEST_TICKS):
            S.early[0, tick] = 0
            S.early[1, tick] = 0
    for i in range(first, first + count):
        S.ri[RI_MOMENT] = (1 << 38) + i
        S.ri[RI_SHOWN] = S.ri[RI_MOMENT]
        load(S, test_x, test_t, i)
        begin(S, slot)
        before = events_so_far(S)
        for tick in range(TEST_TICKS):
            deliver(S, slot, tick)
            integrate(S, slot, tick)
            fire(S, slot, tick)
            S.early[1, tick] += events_so_far(S) - before
            S.early[0, tick] += leader(S) == test_y[i]
        finish(S, slot)
        total += cost_of(S, slot)
        right += leader(S) == test_y[i]
    load(S, train_x, train_t, S.ri[RI_SAMPLE])
    S.ri[RI_MOMENT] = moment
    S.ri[RI_SHOWN] = shown
    copy(kept, S.tally)
    S.evaluation[0] = right
    S.evaluation[1] = total
"""
