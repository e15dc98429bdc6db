"""Intervals of joules and seconds: what a run rests on, and what dominates its uncertainty."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurosim import accounting, api
from neurosim.accounting import ACTIONS, PHASES, Ledger, PriceTable, Swing
from neurosim.accounting.tornado import STATIC, TIME
from neurosim.engine.machine import Machine
from neurosim.errors import InputError
from neurosim.spec.load import load_chip
from neurosim.trace import energy_swings, ledger_of, open_trace, prices_of, tallies_of, time_swings

api.load_models()
TABLE = accounting.price_table(load_chip("nist-hw2"))
PRICED = [name for name in ACTIONS if TABLE.is_priced(name)]
COUNTS = st.dictionaries(st.sampled_from(PRICED), st.integers(0, 10**12))
TIMES = st.dictionaries(st.sampled_from(PHASES), st.integers(0, 10**15))


def ledgers(interval: bool = True) -> st.SearchStrategy[Ledger]:
    def spread(counts: dict[str, int], phases: dict[str, int], less: int, more: int) -> Ledger:
        total = sum(phases.values())
        if not interval:
            return Ledger(counts, phases)
        return Ledger(counts, phases, max(0, total - less), total + more)

    return st.builds(spread, COUNTS, TIMES, st.integers(0, 10**15), st.integers(0, 10**15))


def xor(**more: Any) -> dict[str, Any]:
    table: dict[str, Any] = {
        "chip": "nist-hw2",
        "network": {
            "init": {"model": "uniform", "scale": 0.5},
            "layers": [
                {"type": "dense", "name": "hidden", "size": 2, "neuron": "sigmoid"},
                {"type": "dense", "name": "out", "size": 1, "neuron": "sigmoid"},
            ],
        },
        "task": {"data": "xor", "cost": "mse"},
        "training": {"model": "mgd", "norm_mag": 0.05, "learning_rate": 3.0},
        "stop": {"steps": 600},
        "seed": 1,
    }
    return table | more


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    done = api.run(xor(), output=tmp_path_factory.mktemp("trust") / "run.h5", record="timing")
    assert done.trace is not None
    return done.trace, done.summary


# bands of a price table


@pytest.mark.parametrize("band", ["low", "high"])
def test_a_table_at_one_end_has_every_price_latency_and_static_power_there(band: Any) -> None:
    chip = load_chip("nist-hw2")
    table = TABLE.at(band)
    for name, price in chip.prices.items():
        index = table.index(name)
        joules = price.low_J if band == "low" else price.high_J
        seconds = price.low_s if band == "low" else price.high_s
        assert table.energy_J[index] == (price.energy_J if joules is None else joules)
        assert table.latency_fs[index] == round((price.latency_s if seconds is None else seconds) * 1e15)
        assert table.latency_s[index] == pytest.approx(table.latency_fs[index] * 1e-15)
    assert table.static.power_W == (chip.static.low_W if band == "low" else chip.static.high_W)
    assert TABLE.at("nominal") is TABLE


def test_all_chips_hold_low_below_value_below_high() -> None:
    for name in ("nist-hw1", "nist-hw2", "nist-hw3", "analog-if", "analog-if-adc"):
        table = accounting.price_table(load_chip(name))
        assert (table.low_fs <= table.latency_fs).all()
        assert (table.latency_fs <= table.high_fs).all()
        there = table.priced
        assert (table.low_J[there] <= table.energy_J[there]).all()
        assert (table.energy_J[there] <= table.high_J[there]).all()


# the interval of a ledger


def test_a_ledger_without_an_interval_has_none() -> None:
    ledger = Ledger({}, {"write": 5})
    assert (ledger.time_low_fs, ledger.time_high_fs) == (5, 5)


@pytest.mark.parametrize(("low", "high"), [(6, 9), (3, 4), (-2, 5)])
def test_an_interval_that_does_not_hold_the_time_is_refused(low: int, high: int) -> None:
    with pytest.raises(ValueError, match="must hold 5 fs"):
        Ledger({}, {"write": 5}, low, high)


@given(ledgers(), ledgers())
def test_intervals_of_time_add_up(one: Ledger, other: Ledger) -> None:
    both = one + other
    assert both.time_low_fs == one.time_low_fs + other.time_low_fs
    assert both.time_high_fs == one.time_high_fs + other.time_high_fs


@given(ledgers())
def test_the_interval_of_the_energy_takes_the_shortest_and_the_longest_time(ledger: Ledger) -> None:
    low, high = accounting.energy_interval(ledger, TABLE)
    bill = accounting.bill(ledger, TABLE)
    assert bill.chip_time_low_s <= bill.chip_time_s <= bill.chip_time_high_s
    for value, time_fs, band in ((low, ledger.time_low_fs, "low"), (high, ledger.time_high_fs, "high")):
        there = Ledger(ledger.counts, {"write": time_fs})
        assert value == accounting.energy_J(there, TABLE.at(band))  # type: ignore[arg-type]


@given(st.lists(ledgers(), min_size=1, max_size=4))
def test_rows_with_intervals_cost_what_ledgers_cost(several: list[Ledger]) -> None:
    counts = np.array([[ledger.counts[name] for name in ACTIONS] for ledger in several], dtype=np.int64)
    low, high = accounting.intervals_J(
        counts, [one.time_fs for one in several], TABLE,
        low_fs=[one.time_low_fs for one in several], high_fs=[one.time_high_fs for one in several],
    )  # fmt: skip
    assert list(zip(low, high, strict=True)) == [accounting.energy_interval(one, TABLE) for one in several]


# the tornado


def alone(table: PriceTable, name: str, band: str) -> PriceTable:
    """The table with one price, or the static power, at one end."""
    if name == STATIC:
        return replace(table, static=table.at(band).static)  # type: ignore[arg-type]
    energy = table.energy_J.copy()
    energy[table.index(name)] = table.at(band).energy_J[table.index(name)]  # type: ignore[arg-type]
    return replace(table, energy_J=energy)


@given(ledgers())
def test_a_swing_is_the_total_with_that_price_alone_at_its_end(ledger: Ledger) -> None:
    total = accounting.energy_J(ledger, TABLE)
    swings = {swing.name: swing for swing in accounting.tornado(ledger, TABLE)}
    swings.pop(TIME, None)
    for name in (*(name for name, count in ledger.counts.items() if count), STATIC):
        swing = swings.get(name, Swing(name, 0.0, 0.0))
        assert total + swing.low == pytest.approx(accounting.energy_J(ledger, alone(TABLE, name, "low")), rel=1e-12)
        assert total + swing.high == pytest.approx(accounting.energy_J(ledger, alone(TABLE, name, "high")), rel=1e-12)
    assert swings.keys() <= {*ledger.counts, STATIC}


@given(ledgers(interval=False))
def test_the_swings_add_up_to_the_interval(ledger: Ledger) -> None:
    total, (low, high) = accounting.energy_J(ledger, TABLE), accounting.energy_interval(ledger, TABLE)
    swings = accounting.tornado(ledger, TABLE)
    assert math.fsum([total, *(swing.low for swing in swings)]) == pytest.approx(low, rel=1e-12, abs=1e-30)
    assert math.fsum([total, *(swing.high for swing in swings)]) == pytest.approx(high, rel=1e-12, abs=1e-30)


@given(ledgers())
def test_the_widest_comes_first_and_what_does_not_move_is_left_out(ledger: Ledger) -> None:
    widths = [swing.width for swing in accounting.tornado(ledger, TABLE)]
    assert widths == sorted(widths, reverse=True)
    assert all(width > 0.0 for width in widths)


def test_an_unpriced_count_has_no_swing_but_an_error() -> None:
    bare = replace(TABLE, priced=np.zeros(len(ACTIONS), np.bool_))
    with pytest.raises(InputError, match="message without a price"):
        accounting.tornado(Ledger({"message": 1}), bare)


def test_time_swings_are_those_of_one_latency_each() -> None:
    """Two latencies in a row, one hidden below a third: T = 7 a + 2 b + max(0, c - a)."""
    a, b, c = (TABLE.index(name) for name in ("dac_conversion", "sample_word_loaded", "cost_evaluated"))

    def time_fs(table: PriceTable) -> int:
        fs = table.latency_fs
        return int(7 * fs[a] + 2 * fs[b] + max(0, fs[c] - fs[a]))

    swings = {swing.name: swing for swing in accounting.time_tornado(time_fs, TABLE)}
    for name in ("dac_conversion", "sample_word_loaded", "cost_evaluated"):
        for low, column in ((True, TABLE.low_fs), (False, TABLE.high_fs)):
            moved = time_fs(TABLE.with_latency(name, int(column[TABLE.index(name)]))) - time_fs(TABLE)
            got = swings[name].low if low else swings[name].high
            assert got == pytest.approx(moved * 1e-15, rel=1e-12)
    assert set(swings) == {"dac_conversion", "sample_word_loaded", "cost_evaluated"}


# a machine's time


@pytest.mark.parametrize(
    ("difference", "each"),
    [
        ("baseline", {"CLEAN": 1, "PERTURBED": 1, "COSTS": 2}),
        ("two-sided", {"CLEAN": 0, "PERTURBED": 2, "COSTS": 2}),
    ],
)
def test_the_time_of_a_run_lies_in_its_interval(difference: str, each: dict[str, int]) -> None:
    training = {"model": "mgd", "norm_mag": 0.05, "learning_rate": 3.0, "difference": difference}
    machine = api.build(api.load_scenario(xor(training=training))[1])
    step = {"SAMPLES": 1, "BROADCASTS": 1, "DRAWS": 1, "WRITE_SLOTS": 1, "PULSES": 9, "REPLAYS": 9, **each}
    machine.totals |= {name: 50 * count for name, count in step.items()}
    ledger = machine.ledger()
    assert 0 < ledger.time_low_fs < ledger.time_fs < ledger.time_high_fs
    assert at_end(machine, "low") == ledger.time_low_fs
    assert at_end(machine, "high") == ledger.time_high_fs


def at_end(machine: Machine, band: str) -> int:
    """The run's time on a chip whose latencies are those ends."""
    prices = machine.meter.prices.at(band)  # type: ignore[arg-type]
    return sum(replace(machine.meter, prices=prices).phases(machine.totals).values())


def test_the_time_interval_by_hand() -> None:
    """One clean and one perturbed inference a step; the perturbed one ends in an idle rest that shrinks as it grows."""
    machine = api.build(api.load_scenario(xor())[1])
    tally = {**dict.fromkeys(machine.names, 0), "CLEAN": 1}
    slow = machine.meter.ledger(tally).time_high_fs
    chip = machine.scenario.chip
    dac = chip.prices["dac_conversion"].high_s
    settle = 2 * (chip.timing.settling_s + chip.synapse.read_time_s)  # two layers, and no price: no interval
    assert dac is not None
    assert slow == round((dac + settle) * 1e15)


# traces


def test_counts_in_a_trace_times_the_prices_of_its_chip_give_its_joules(trained: tuple[Path, dict[str, Any]]) -> None:
    with open_trace(trained[0]) as trace:
        prices = accounting.price_table(load_chip("nist-hw2"))
        ledger = trace.ledger
        for row in range(len(ledger)):
            counts, energy = ledger.row(row)["counts"], ledger.row(row)["energy_J"]
            for k, name in enumerate(ledger.actions):
                joules = int(counts[k]) * prices.energy_J[prices.index(name)] if counts[k] else 0.0
                assert energy[k] == pytest.approx(joules, rel=1e-12)
        total = math.fsum([*ledger.total("energy_J"), float(ledger.total("static_energy_J"))])
        assert total == pytest.approx(trained[1]["energy_J"], rel=1e-12)


def test_a_trace_gives_back_the_ledger_and_the_prices_to_the_last_bit(trained: tuple[Path, dict[str, Any]]) -> None:
    machine = api.build(api.load_scenario(xor())[1])
    machine.burst(600)
    mine = machine.meter.prices
    with open_trace(trained[0]) as trace:
        assert ledger_of(trace) == machine.ledger()
        prices = prices_of(trace)
        for field in ("energy_J", "low_J", "high_J", "latency_fs", "low_fs", "high_fs", "priced", "assumed"):
            assert np.array_equal(getattr(prices, field), getattr(mine, field), equal_nan=field.endswith("_J"))
        assert (prices.kind, prices.source, prices.chip) == (mine.kind, mine.source, mine.chip)
        for key in ("power_W", "low_W", "high_W"):
            assert getattr(prices.static, key) == getattr(mine.static, key)
        assert energy_swings(trace) == accounting.tornado(machine.ledger(), mine)
        assert tallies_of(trace) == {**machine.totals, "RECORDED": 0}


def test_the_summary_has_the_interval_of_the_time_and_its_swings(trained: tuple[Path, dict[str, Any]]) -> None:
    summary = trained[1]
    low, high = (sum(summary["time_by_phase_fs"].values()), *summary["time_interval_fs"])[1:]
    assert (summary["chip_time_low_s"], summary["chip_time_high_s"]) == (low / 1e15, high / 1e15)
    with open_trace(trained[0]) as trace:
        swings = time_swings(trace)
        last = trace.eval.row(-1)
    assert {swing.name: [swing.low, swing.high] for swing in swings} == summary["time_swing_s"]
    # every latency of this chip adds to the time, none hides: the moves add up to the interval
    assert summary["chip_time_s"] + sum(swing.low for swing in swings) == pytest.approx(low / 1e15, rel=1e-9)
    assert (last["time_low_s"], last["time_high_s"]) == (low / 1e15, high / 1e15)
    assert (last["energy_low_J"], last["energy_high_J"]) == (summary["energy_low_J"], summary["energy_high_J"])


def test_recording_timing_adds_the_tallies_of_every_row(trained: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    plain = api.run(xor(), output=tmp_path / "plain.h5")
    assert plain.trace is not None
    assert "tallies" not in plain.summary
    with open_trace(plain.trace) as without, open_trace(trained[0]) as trace:
        assert not without.has_table("/timing")
        assert tallies_of(without) is None
        names, rows = trace.texts("/timing/name"), trace.table("/timing")
        assert (rows["tick"] == trace.ledger["tick"]).all()
        machine = api.build(api.load_scenario(xor())[1])
        for k in (0, len(rows) - 1):  # the ledger is a pure function of its tallies
            ledger = machine.meter.ledger(dict(zip(names, rows.read("tally", k, k + 1)[0].tolist(), strict=True)))
            assert [ledger.counts[name] for name in ACTIONS] == trace.ledger.read("counts", k, k + 1)[0].tolist()
            assert accounting.time_s(ledger) == trace.ledger.read("time_s", k, k + 1)[0]
