"""Source text of event-driven random back-propagation in whole numbers: the NSAT tick, many of them a sample.

The order within a tick is that of NSAT: all states advance by what arrived in the tick before (``integrate``), neurons
fire, and their spikes and the inputs' reach synapses, which carry them and learn by the states of this tick (``fire``);
predictions and label reach the error neurons, and error spikes the dendrites (``route``), for the next tick. Nothing is
left for ``deliver``. How a step goes, and testing, are those of the float form.
"""

from __future__ import annotations

from neurosim.chip.layers import LayerPlan, NetworkPlan
from neurosim.engine import erbp_integer_state
from neurosim.engine.emit_erbp_steps import DRAW_INPUTS, TAKE_INPUTS, constants, spikes_into, steps
from neurosim.engine.emit_forward import weights
from neurosim.spec.scenario import Scenario

MODULE = "neurosim.kernels.erbp_integer"
FLOAT_FORM = "neurosim.kernels.erbp"
MODULES = (MODULE, FLOAT_FORM)
LOOPS = (
    "add_noise", "blank_out", "changes", "compare", "cut", "fire_errors", "learn_rows", "learn_some", "step_state",
)  # fmt: skip
FLOAT_LOOPS = ("escape_spikes", "feed_back", "transmit")
"""What the text takes from there; ``fire`` has another name, since a phase is called so."""


def parts(scenario: Scenario, plan: NetworkPlan, exact: bool, dead_synapses: bool) -> list[str]:
    """The text behind the head and ``PRESENT``: all phases, and the entry points. Stuck weights need no other text."""
    return [
        _constants(scenario, plan),
        _BEGIN,
        _integrate(plan),
        _fire(plan),
        _ROUTE,
        *steps(plan, _MEASURE),
    ]


def _constants(scenario: Scenario, plan: NetworkPlan) -> str:
    return "\n".join(
        [
            f"from {MODULE} import {', '.join(LOOPS)}",
            f"from {MODULE} import fire as fire_neurons",
            f"from {FLOAT_FORM} import {', '.join(FLOAT_LOOPS)}",
            *constants(scenario, plan),
            *(f"I_{name} = {k}" for k, name in enumerate(erbp_integer_state.SETTINGS)),
            *(f"R_{name} = {k}" for k, name in enumerate(erbp_integer_state.NEURON)),
            f"MOST_BITS = {erbp_integer_state.MOST_ROUNDING_BITS}",
            "NOISE, BLANK, ROUND = 0, 1, 2  # random streams of an NSAT core",
            "ACAUSAL = 1",
        ]
    )


_BEGIN = f"""
@kernel
def begin(S, slot):
    # silence, the spikes that the data neurons will send, and how finely changes are rounded by now
    S.count[:] = 0
    S.membrane[:] = 0
    S.dendrite[:] = 0
    S.refractory[:] = 0
    S.current[:] = 0.0
    S.dendrite_arrived[:] = 0.0
    S.error[:] = 0
    S.error_arrived[:] = 0.0
    S.error_fired[:] = 0
    S.fired_count[:] = 0
{DRAW_INPUTS}    bits = S.integer[I_ROUNDING_BITS]
    anneal = S.integer[I_ANNEAL_STEPS]
    if anneal > 0:
        # the power of two nearest to what is left of the rate: half of it below three quarters, and so on
        left = 4 * max(anneal - S.ri[RI_STEP], 0)
        part = 3 * anneal
        while bits < MOST_BITS and left < part:
            bits += 1
            left *= 2
    S.integer[I_BITS_NOW] = bits


@kernel
def seed_of(S, slot):
    # of one sample, as a core 0 of NSAT takes it from the simulation's
    return sub_key(stream_key(S.pi[PI_SEED], STREAM_TRANSMISSION, S.ri[RI_MOMENT], slot, 0), 0)


@kernel
def deliver(S, slot, tick):
    pass
"""


def _integrate(plan: NetworkPlan) -> str:
    blocks = ""
    for layer in plan.layers:
        i, span = layer.index, f"{layer.act}:{layer.act + layer.n}"
        blocks += f"""\
    step_state(S.membrane[{span}], S.current[{span}], S.integer_rows[{i}, R_LEAK], S.integer_rows[{i}, R_GAIN])
    if S.integer_rows[{i}, R_NOISE] > 0:
        key = stream_key(seed_of(S, slot), NOISE, 0, 0, tick + 1)
        add_noise(S.membrane[{span}], S.integer_rows[{i}, R_NOISE], key, {2 * layer.act})
    if slot != CLEAN_SLOT:
        step_state(S.dendrite[{span}], S.dendrite_arrived[{span}], S.integer_rows[{i}, R_DENDRITE_LEAK],
                   S.integer_rows[{i}, R_FEEDBACK_GAIN])
        cut(S.dendrite[{span}])
"""
    return f"""
@kernel
def integrate(S, slot, tick):
    # all states, by what arrived in the tick before
{blocks}\
    if slot != CLEAN_SLOT:
        step_state(S.error, S.error_arrived, 0, S.integer[I_ERROR_GAIN])
"""


def _fire(plan: NetworkPlan) -> str:
    fire, hear, reset = "", "", ""
    for layer in plan.layers:
        i, act, end = layer.index, layer.act, layer.act + layer.n
        fire += f"""\
    n = fire_neurons(S.membrane[{act}:{end}], S.refractory[{act}:{end}], S.integer_rows[{i}, R_THRESHOLD],
                     S.integer_rows[{i}, R_REFRACTORY], S.integer_rows[{i}, R_HARD] == 1, S.fired[{act}:{end}])
    for k in range(n):
        S.count[{act} + S.fired[{act} + k]] += 1
    S.fired_count[{i}] = n
    S.tally[T_FIRED_{i}] += n
"""
        hear += _hear(plan, layer)
        reset += f"""\
    if S.integer_rows[{i}, R_HARD] == 1:
        for k in range(S.fired_count[{i}]):
            S.membrane[{act} + S.fired[{act} + k]] = 0
"""
    blanks = " or ".join(f"S.integer_rows[{layer.index}, R_TRANSMIT] < 1 << 32" for layer in plan.layers)
    return f"""
@kernel
def fire(S, slot, tick):
    # thresholds; then all spikes of the tick reach their synapses, which carry and learn; resets
{fire}\
{TAKE_INPUTS}\
    learning = slot != CLEAN_SLOT and tick >= int(S.erbp[E_BURN_IN])
    blank_key = np.int64(0)
    round_key = np.int64(0)
    if learning or {blanks}:
        seed = seed_of(S, slot)
        blank_key = stream_key(seed, BLANK, 0, 0, tick + 1)
        round_key = sub_key(stream_key(seed, ROUND, 0, 0, tick + 1), ACAUSAL)
{hear}\
{reset}"""


def _hear(plan: NetworkPlan, layer: LayerPlan) -> str:
    """One layer's synapses take the spikes of the tick, and learn."""
    fired, count = spikes_into(plan, layer)
    i, span, n = layer.index, f"{layer.act}:{layer.act + layer.n}", layer.n
    w, free = weights(layer)[0], f"S.free[{layer.theta}:{layer.theta + layer.weights}]"
    return f"""\
    spikes = {count}
    first = S.integer_rows[{i}, R_FIRST]
    S.tally[T_ACTIVE_{i}] += spikes
    if S.integer_rows[{i}, R_TRANSMIT] < 1 << 32:
        blank_out({w}, {fired}, spikes, S.current[{span}], S.drawn, blank_key, first, S.integer_rows[{i}, R_TRANSMIT])
    else:
        transmit({w}, {fired}, spikes, S.current[{span}])
    if learning and spikes > 0:
        open_gates = changes(
            S.dendrite[{span}], S.membrane[{span}], S.integer_rows[{i}, R_GATE_LOW], S.integer_rows[{i}, R_GATE_HIGH],
            S.integer[I_RATE_SHIFT], S.integer[I_BITS_NOW], S.whole[{span}], S.round_up[{span}])
        moved = 0
        if S.integer[I_STUCK] == 1 or 0 < open_gates * 8 < {n}:
            moved = learn_some(
                {w}, {free}, {fired}, spikes, S.whole[{span}], S.round_up[{span}], round_key, first,
                float(S.integer[I_W_MIN]), float(S.integer[I_W_MAX]), S.some)
        elif open_gates > 0:
            moved = learn_rows(
                {w}, {fired}, spikes, S.whole[{span}], S.round_up[{span}], S.drawn, round_key, first,
                float(S.integer[I_W_MIN]), float(S.integer[I_W_MAX]))
        S.tally[T_WRITTEN] += moved
        S.tally[T_PULSES] += moved
"""


_ROUTE = """
@kernel
def route(S, slot, tick):
    # predictions and label reach the error neurons, and error spikes the dendrites: both with the next tick
    if slot != CLEAN_SLOT:
        S.tally[T_ERRORS] += fire_errors(S.error, S.integer[I_ERROR_THRESHOLD], S.error_fired)
        S.tally[T_FEEDBACK] += feed_back(
            S.error_fired, S.feedback, S.integer[I_OUTPUT_FEEDBACK], S.dendrite_arrived, N_OUT)
        label = S.ri[RI_LABEL] if (tick + 1) % int(S.erbp[E_LABEL_PERIOD]) == 0 else -1
        S.tally[T_COMPARED] += compare(S.error_arrived, S.fired[OUT:NODES], S.fired_count[OUTPUT_LAYER], label,
                                       S.integer[I_ERROR_WEIGHT])
"""

_MEASURE = """
@kernel
def measure(S, slot):
    # for the record only: the chip learns from error spikes and computes no cost; whole numbers cannot diverge
    S.rf[RF_C_0] = cost_of(S, slot)
"""
