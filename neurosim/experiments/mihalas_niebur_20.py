"""The twenty firing patterns of Mihalas and Niebur, in floating point and in integers on NSAT cores.

Claim: one linear neuron with two currents of its own and a threshold that moves shows all twenty kinds of firing; each
pattern has the number of spikes and the spike times of the published settings, as a replication gives them with Euler
steps of 0.1 ms. ``form = "integer"``: so do NSAT cores, whose only arithmetic is adding and shifting 16-bit integers.

How a pattern gets into integers. Membrane and threshold count from the resting potential, 400 units to the millivolt;
currents have 1,600 units to the mV/ms. A tick is 0.25 to 0.625 ms. A coefficient is a sum of two or three signed
powers of two. The input stands in a fifth state, which an event raises at the start of a pulse and lowers at its end. A
shifted value is cut towards zero, and a leak never stops: both shift the balance of currents by up to a unit a term,
so inputs are scaled by up to 5 % for each pattern; the factors stand in ``INTEGER``.

Class 1 (B) fires arbitrarily slowly just above its smallest current, and is the hard one: with cut shifts a membrane
comes near its target by at least one unit a tick, so that the longest interval is about (1/G)(1 + ln I) for a current
of I units a tick: 148 ms for the 1,000 units that 16 bits leave room for, not 274. No other tick, scale or number of
terms that was tried gave more than 150. What does is a current finer than a unit: an event that adds 1 in a share q of
the ticks only. The last units of the approach then take 1/q ticks each, the interval is (1/G)(1/q + ln I), and the rate
goes to 0 with q, as it does in class 1.

Source: S. Mihalas, E. Niebur, Neural Comput. 21, 704 (2009); spike times of a replication (tests/test_dynamic.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from neurosim.chip.nsat import OFF, NeuronGroup, NsatCore
from neurosim.engine.nsat import NsatSimulation
from neurosim.engine.sink import Column, Table
from neurosim.experiments.base import Claim, ExperimentParameters, Result
from neurosim.models.neurons import mihalas_niebur as model
from neurosim.registry import register

Floats = npt.NDArray[np.float64]


@register("experiment", "mihalas-niebur-20")
class MihalasNieburTwenty(ExperimentParameters):
    """In which arithmetic."""

    model: Literal["mihalas-niebur-20"] = "mihalas-niebur-20"
    form: Literal["float", "integer"] = "float"


@dataclass(frozen=True)
class Pattern:
    """One of the twenty: settings of the neuron, input, and the spikes that are known of it."""

    letter: str
    name: str
    a_Hz: float
    A: tuple[float, float]
    """What a spike adds to each of its own currents, V/s."""
    pulses: tuple[tuple[float, float, float], ...]
    """(from ms, to ms, V/s)."""
    length_ms: float
    spikes: int
    first_ms: tuple[float, ...]
    """Spike times of the replication, as many as are known."""
    start_V: float = -70e-3
    start_threshold_V: float = -50e-3


def _pattern(letter: str, name: str, a: float, A: tuple[float, float], *rest: object, **start: float) -> Pattern:
    return Pattern(letter, name, a, A, *rest, **start)  # type: ignore[arg-type]


NO = (0.0, 0.0)
BURST = (10.0, -0.6)
MIXED = (5.0, -0.3)
PATTERNS = (
    _pattern("A", "tonic spiking", 0, NO, ((0, 200, 1.5),), 200, 9, (21.9, 43.9)),
    _pattern("B", "class 1", 0, NO, ((0, 500, 1 + 1e-6),), 500, 2, (211.1, 484.8)),
    _pattern("C", "spike frequency adaptation", 5, NO, ((0, 200, 2),), 200, 10, (14.7, 30.2, 46.5, 63.6)),
    _pattern("D", "phasic spiking", 5, NO, ((0, 500, 1.5),), 500, 5, (25.1, 54.0, 87.5, 127.0, 176.0)),
    _pattern("E", "accommodation", 5, NO, ((0, 100, 1.5), (600, 700, 0.5), (700, 800, 1), (800, 900, 1.5)), 1000, 3,
             (25.1,)),
    _pattern("F", "threshold variability", 5, NO, ((0, 20, 1.5), (200, 225, -1.5), (250, 275, 1.5)), 400, 1, (274.5,)),
    _pattern("G", "rebound spike", 5, NO, ((50, 805, -3.5),), 1000, 1, (853.7,)),
    _pattern("H", "class 2", 5, NO, ((0, 300, 2 * (1 + 1e-6)),), 300, 8, (0.1, 54.9, 99.4, 138.7), start_V=-30e-3,
             start_threshold_V=-30e-3),
    _pattern("I", "integrator", 5, NO, ((0, 20, 1.5), (30, 50, 1.5), (300, 320, 1.5), (340, 360, 1.5)), 400, 1,
             (49.3,)),
    _pattern("J", "input bistability", 5, NO, ((0, 100, 1.5), (100, 500, 1.7), (500, 600, 1.5), (600, 1000, 1.7)), 1000,
             14, ()),
    _pattern("K", "hyperpolarised spiking", 30, NO, ((0, 400, -1),), 400, 3, (132.0, 249.4, 366.8)),
    _pattern("L", "hyperpolarised bursting", 30, BURST, ((0, 400, -1),), 400, 13, (132.0, 133.6, 135.5)),
    _pattern("M", "tonic bursting", 5, BURST, ((0, 500, 2),), 500, 24, ()),
    _pattern("N", "phasic bursting", 5, BURST, ((0, 500, 1.5),), 500, 7, (25.1,)),
    _pattern("O", "rebound burst", 5, BURST, ((100, 600, -3.5),), 1000, 8, (651.6,)),
    _pattern("P", "mixed mode", 5, MIXED, ((0, 500, 2),), 500, 19, ()),
    _pattern("Q", "after-potentials", 5, MIXED, ((0, 15, 2),), 200, 1, (14.7,)),
    _pattern("R", "basal bistability", 0, (8.0, -0.1), ((0, 10, 5), (100, 110, 5)), 200, 25, ()),
    _pattern("S", "preferred frequency", 5, (-3.0, 0.5), ((0, 5, 5), (10, 15, 4), (400, 405, 5), (450, 455, 4)), 800, 3,
             (4.6, 404.6, 454.9)),
    _pattern("T", "spike latency", -80, NO, ((0, 2, 8),), 50, 1, (15.5,)),
)  # fmt: skip
"""The paper's twenty, in its order."""


@dataclass(frozen=True)
class Fixed:
    """How a pattern is put into integers."""

    tick_ms: float
    scale: int
    """Units of membrane and threshold, 1/mV."""
    terms: int
    """Powers of two that a coefficient may have."""
    factor: float
    """What the input is scaled by."""


INTEGER = {
    "A": Fixed(0.5, 400, 3, 1.0), "C": Fixed(0.5, 400, 2, 0.99), "D": Fixed(0.5, 400, 3, 1.02),
    "E": Fixed(0.5, 400, 2, 0.97), "F": Fixed(0.5, 400, 2, 1.03), "G": Fixed(0.5, 400, 2, 1.0),
    "H": Fixed(0.25, 400, 3, 1.02), "I": Fixed(0.5, 400, 2, 0.98), "J": Fixed(0.5, 400, 3, 1.02),
    "K": Fixed(0.5, 400, 2, 0.95), "L": Fixed(0.5, 400, 3, 1.0), "M": Fixed(0.5, 400, 3, 1.01),
    "N": Fixed(0.5, 400, 3, 1.0), "O": Fixed(0.5, 400, 2, 1.0), "P": Fixed(0.5, 440, 3, 1.03),
    "Q": Fixed(0.5, 400, 2, 1.0), "R": Fixed(0.25, 400, 3, 1.02), "S": Fixed(0.5, 400, 2, 1.0),
    "T": Fixed(0.5, 440, 2, 0.99), "B": Fixed(0.625, 1600, 2, 1.0),
}  # fmt: skip
"""Found by search: the coarsest of 0.5 and 0.25 ms, 2 or 3 terms, factors of at most 5 %; B as the module says."""

CURRENT_SCALE = 1600
"""Units of currents, ms/mV."""
MOST_TERMS = 3
TOLERANCE = 0.05
"""Of integer spike times, against floating point."""


@dataclass(frozen=True, eq=False)
class Course:
    """One pattern as it went."""

    spikes_ms: Floats
    time_ms: Floats
    v_mV: Floats
    threshold_mV: Floats


def current(pattern: Pattern, ms: float) -> float:
    """The input, V/s."""
    return next((volts for low, high, volts in pattern.pulses if low <= ms < high), 0.0)


# Floating point


def float_course(pattern: Pattern) -> Course:
    """Euler steps of 0.1 ms; states are kept every fifth step."""
    tick_ms = 0.1
    neuron = model.MihalasNiebur(
        a_Hz=pattern.a_Hz, A_1=pattern.A[0], A_2=pattern.A[1], start_V=pattern.start_V,
        start_threshold_V=pattern.start_threshold_V,
    )  # fmt: skip
    numbers = neuron.coefficients(tick_ms * 1e-3)
    states: tuple[float, ...] = neuron.start()
    spikes, kept = [], [(0.0, *states[:2])]
    for n in range(round(pattern.length_ms / tick_ms)):
        states = model.integrate(*states, current(pattern, n * tick_ms + 1e-9), *numbers)  # type: ignore[call-arg]
        if model.fires(*states, *numbers):
            spikes.append((n + 1) * tick_ms)
            states = model.reset(*states, *numbers)
        if (n + 1) % 5 == 0:
            kept.append(((n + 1) * tick_ms, *states[:2]))
    time, v, threshold = np.array(kept).T
    return Course(np.array(spikes), time, 1e3 * v, 1e3 * threshold)


# Integers


def powers(coefficient: float, most: int) -> list[tuple[int, int]]:
    """(sign, exponent) of at most so many signed powers of two whose sum comes near a coefficient, greatest first."""
    out: list[tuple[int, int]] = []
    left = coefficient
    choices = [(sign, exponent) for sign in (1, -1) for exponent in range(-15, 4)]
    for _ in range(most):
        best = min(choices, key=lambda choice: abs(left - choice[0] * 2.0 ** choice[1]))
        if abs(left - best[0] * 2.0 ** best[1]) >= abs(left):
            break
        out.append(best)
        left -= best[0] * 2.0 ** best[1]
    return out


V, THRESHOLD, I_1, I_2, INPUT = range(5)


def group_of(pattern: Pattern, fixed: Fixed) -> NeuronGroup:
    """The integer neuron of a pattern: membrane, threshold, two currents of its own, and the input held in a state."""
    dt, scale = fixed.tick_ms, fixed.scale
    own = dt * scale / CURRENT_SCALE
    couplings = {
        (V, V): -0.05 * dt, (THRESHOLD, THRESHOLD): -0.01 * dt, (V, THRESHOLD): pattern.a_Hz * 1e-3 * dt,
        (I_1, I_1): -0.2 * dt, (I_2, I_2): -0.02 * dt, (I_1, V): own, (I_2, V): own, (INPUT, V): 1.0,
    }  # fmt: skip
    moves = pattern.a_Hz != 0.0  # else the threshold rests where it starts, at its own target
    couplings[THRESHOLD, THRESHOLD] *= moves
    A = np.full((MOST_TERMS, 5, 5), OFF)
    signs = np.ones((MOST_TERMS, 5, 5), int)
    for at, coefficient in couplings.items():
        for term, (sign, exponent) in enumerate(powers(coefficient, fixed.terms) if coefficient else []):
            A[term][at], signs[term][at] = exponent, sign
    return NeuronGroup(
        A=A.tolist(), sA=signs.tolist(), adaptive_threshold=True,
        bias=(0, round(0.01 * dt * 20 * scale) * moves, 0, 0, 0),
        reset=("set", "max", "set", "add", "none"),
        reset_value=(0, 10 * scale, *(round(A * CURRENT_SCALE) for A in pattern.A), 0),
    )  # fmt: skip


def start_of(pattern: Pattern, fixed: Fixed) -> list[int]:
    """States at tick 0."""
    v, threshold = (
        round((level + 70e-3) * 1e3 * fixed.scale) for level in (pattern.start_V, pattern.start_threshold_V)
    )
    held = round(current(pattern, 0.0) * fixed.factor * fixed.tick_ms * fixed.scale)
    own = round(0.01 * CURRENT_SCALE), round(0.001 * CURRENT_SCALE)
    if pattern.letter == "B":
        return [v, threshold, 0, 0, held - 1]  # the events of ``fractions`` stand for the rest
    return [v, threshold, *own, held]


LONGEST_WEIGHT = 255
"""Of 9-bit weights; a step of the input is put together from as many synapses as it needs."""


def steps_of(pattern: Pattern, fixed: Fixed) -> list[tuple[int, int]]:
    """(tick, change of the held input) at the edges of pulses after the first tick."""
    edges = sorted({edge for low, high, _ in pattern.pulses for edge in (low, high)} - {0.0})
    scale = fixed.factor * fixed.tick_ms * fixed.scale
    out, before = [], round(current(pattern, 0.0) * scale)
    for edge in edges:
        tick = math.ceil(edge / fixed.tick_ms - 1e-6)
        now = round(current(pattern, tick * fixed.tick_ms + 1e-9) * scale)
        if now != before and edge < pattern.length_ms:
            out.append((tick - 1, now - before))  # an event reaches a state one tick later
        before = now
    return out


def fractions(pattern: Pattern, fixed: Fixed, share: float = 0.155) -> list[int]:
    """Ticks in which class 1 gets one unit more: a share of them, and what the initial current I_2 leaves of it."""
    ticks, left = [], 0.0
    for tick in range(round(pattern.length_ms / fixed.tick_ms)):
        left += share + 3.0 * math.exp(-0.02 * tick * fixed.tick_ms)
        ticks += [tick] * int(left)
        left -= int(left)
    return [tick for tick in ticks if tick > 0]


def integer_courses() -> tuple[list[Course], dict[str, int], int]:
    """All patterns on three cores, one group of parameters each; the counts, and the ticks that it took."""
    cores, events = [], []
    for number, at in enumerate(range(0, len(PATTERNS), 8)):
        held = PATTERNS[at : at + 8]
        post: list[int] = []
        pre: list[int] = []
        state: list[int] = []
        weights: list[int] = []
        inputs = 0
        for neuron, pattern in enumerate(held):
            fixed = INTEGER[pattern.letter]
            for tick, change in steps_of(pattern, fixed):
                parts = math.ceil(abs(change) / LONGEST_WEIGHT)
                pre += [inputs] * parts
                post += [neuron] * parts
                state += [INPUT] * parts
                weights += [change // parts + (n < change % parts) for n in range(parts)]
                events.append((tick, number, inputs))
                inputs += 1
            if pattern.letter == "B":
                pre, post, state, weights = [*pre, inputs], [*post, neuron], [*state, V], [*weights, 1]
                events += [(tick, number, inputs) for tick in fractions(pattern, fixed)]
                inputs += 1
        cores.append(NsatCore(
            inputs, np.arange(len(held)), tuple(group_of(each, INTEGER[each.letter]) for each in held), pre=pre,
            post=post, state=state, weights=weights, start=[start_of(each, INTEGER[each.letter]) for each in held],
        ))  # fmt: skip
    ticks = max(round(each.length_ms / INTEGER[each.letter].tick_ms) for each in PATTERNS)
    out = NsatSimulation(cores).run(ticks, events, record=range(len(cores)))
    courses = []
    for n, pattern in enumerate(PATTERNS):
        fixed = INTEGER[pattern.letter]
        when, who = out.spikes[n // 8]
        states = out.states[n // 8]
        assert states is not None
        last = round(pattern.length_ms / fixed.tick_ms)
        spikes = fixed.tick_ms * when[(who == n % 8) & (when <= last)].astype(np.float64)
        levels = states[: last + 1, n % 8, :2].astype(np.float64) / fixed.scale - 70.0
        courses.append(Course(spikes, np.arange(last + 1.0) * fixed.tick_ms, levels[:, 0], levels[:, 1]))
    return courses, out.counts, ticks


# The experiment

COURSES = Table(
    "/experiment/courses",
    (
        Column("pattern", "1", "number of the pattern, 0 to 19", "i8"),
        Column("time_s", "s", "biological time"),
        Column("v_V", "V", "membrane potential"),
        Column("threshold_V", "V", "threshold"),
        Column("input", "V/s", "input current over the capacitance"),
    ),
    {"long_name": "courses of the twenty patterns"},
)
SPIKES = Table(
    "/experiment/spikes",
    (Column("pattern", "1", "number of the pattern, 0 to 19", "i8"), Column("time_s", "s", "biological time")),
    {"long_name": "spikes of the twenty patterns"},
)


def run(parameters: MihalasNieburTwenty, seed: int) -> Result:
    """All patterns; nothing in them is random."""
    reference = [float_course(pattern) for pattern in PATTERNS]
    if parameters.form == "float":
        courses = reference
        steps = sum(round(each.length_ms / 0.1) for each in PATTERNS)
        fired = sum(each.spikes_ms.size for each in courses)
        counts = {"neuron_visited": steps, "neuron_updated": steps, "neuron_fired": fired}
        ticks = round(max(each.length_ms for each in PATTERNS) / 0.1)
        claims = [_published(pattern, course) for pattern, course in zip(PATTERNS, courses, strict=True)]
    else:
        courses, counts, ticks = integer_courses()
        claims = [_near(*each) for each in zip(PATTERNS, courses, reference, strict=True)]
    return Result(tuple(claims), counts, ticks, (COURSES, SPIKES), {
        COURSES.path: _joined(courses, lambda n, course: {
            "time_s": 1e-3 * course.time_ms, "v_V": 1e-3 * course.v_mV, "threshold_V": 1e-3 * course.threshold_mV,
            "input": np.array([current(PATTERNS[n], ms + 1e-9) for ms in course.time_ms]),
        }),
        SPIKES.path: _joined(courses, lambda _, course: {"time_s": 1e-3 * course.spikes_ms}),
    })  # fmt: skip


def _joined(courses: list[Course], columns: Callable[[int, Course], dict[str, Floats]]) -> dict[str, Floats]:
    """Rows of all patterns, one after the other, with the pattern's number."""
    parts = [columns(n, course) for n, course in enumerate(courses)]
    sizes = [each["time_s"].size for each in parts]
    out = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    return {"pattern": np.repeat(np.arange(len(courses)), sizes), **out}


def _published(pattern: Pattern, course: Course) -> Claim:
    """Spikes as many as published, and the first of them at the published times to 0.1 ms."""
    found, known = course.spikes_ms, np.array(pattern.first_ms)
    same = found.size == pattern.spikes and bool(np.all(np.round(found[: known.size], 1) == known))
    times = f", the first at {', '.join(f'{ms:g}' for ms in known)} ms" if known.size else ""
    return Claim(f"{pattern.letter} {pattern.name}: spikes", found.size, f"{pattern.spikes}{times}", same)


def _near(pattern: Pattern, course: Course, reference: Course) -> Claim:
    """As many spikes as in floating point, every one within 5 % of its time (of 10 ms, before that)."""
    found, asked = course.spikes_ms, reference.spikes_ms
    says = f"{pattern.letter} {pattern.name}: largest relative difference of spike times"
    bar = f"{asked.size} spikes, at most {TOLERANCE:g}"
    if found.size != asked.size:
        return Claim(f"{says} ({found.size} spikes)", math.inf, bar, False)
    worst = float(np.max(np.abs(found - asked) / np.maximum(10.0, asked)))
    return Claim(says, worst, bar, worst <= TOLERANCE)
