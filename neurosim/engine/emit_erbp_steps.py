"""Source text that both forms of event-driven random back-propagation share: how a sample comes in and a step goes.

What the two do in a tick differs (`emit_erbp`, `emit_erbp_integer`). Their inputs, readings, testing and entry points
do not, and stand here.
"""

from __future__ import annotations

from neurosim.chip.layers import LayerPlan, NetworkPlan
from neurosim.engine import erbp_state
from neurosim.spec.scenario import Scenario


def constants(scenario: Scenario, plan: NetworkPlan) -> list[str]:
    """Lines that name the numbers of the array ``erbp`` and of the plan."""
    return [
        *(f"E_{name} = {k}" for k, name in enumerate(erbp_state.SETTINGS)),
        f"TEST_TICKS = {erbp_state.times(scenario).test}",
        f"OUTPUT_LAYER = {plan.output.index}",
    ]


def spikes_into(plan: NetworkPlan, layer: LayerPlan) -> tuple[str, str]:
    """Names of the list of inputs of a layer that fired, and of its length."""
    if layer.index == 0:
        return "S.fired_input", "S.input_count[0]"
    before = plan.layers[layer.index - 1]
    return f"S.fired[{before.act}:{before.act + before.n}]", f"S.fired_count[{before.index}]"


def steps(plan: NetworkPlan, measure: str) -> list[str]:
    """The text behind the phases of a tick; ``measure`` is the form's own."""
    return [_FINISH, _COST_OF, measure, _STEP, _readings(plan), _ENTRIES]


def _readings(plan: NetworkPlan) -> str:
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


DRAW_INPUTS = """\
    ticks = WINDOW if slot != CLEAN_SLOT else TEST_TICKS
    key = stream_key(S.pi[PI_SEED], STREAM_ENCODER, S.ri[RI_MOMENT], slot, 0)
    escape_spikes(S.x, S.erbp[E_RATE], S.erbp[E_PIXEL_THRESHOLD], S.erbp[E_PIXEL_GAIN], int(S.erbp[E_DATA_REST]), ticks,
                  key, S.input_spikes, S.input_spike_count)
"""
"""In ``begin``: the spikes that the data neurons will send in the sample."""

TAKE_INPUTS = """\
    n = S.input_spike_count[tick]
    for k in range(n):
        S.fired_input[k] = S.input_spikes[tick, k]
    S.input_count[0] = n
"""
"""In a tick: those of it."""

_COST_OF = """
@kernel
def cost_of(S, slot):
    for j in range(N_OUT):
        S.output[j] = S.act[slot, OUT + j]
    return cost(S.output, S.target, S.pf[PF_SMOOTHING])
"""

_FINISH = """
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

_STEP = """
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


_ENTRIES = """
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
