"""Counts x prices -> joules: the ledger's laws, and what an unpriced countable gets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import neurosim.models.devices.ideal  # noqa: F401  (registers the device that the chip below names)
from neurosim import accounting
from neurosim.accounting import ACTIONS, PHASES, Ledger
from neurosim.errors import InputError
from neurosim.spec.chip import Chip
from neurosim.spec.countables import CONDUCTANCE_UNIT

ADC = {"energy_J": "1.56 pJ", "latency_s": "0.78 ns", "source": "a simulation", "kind": "simulated"}
FIRED = {"energy_J": "100 fJ", "low_J": "10 fJ", "high_J": "1 pJ", "source": "C V^2", "kind": "assumed"}
MESSAGE = {"energy_J": "3 pJ", "low_J": "2 pJ", "high_J": "5 pJ", "source": "a table", "kind": "published"}
CELL = {"g_max_S": "5 uS", "read_voltage_V": "0.2 V", "read_time_s": "20 ns", "source": "a cell"}
STATIC = {"power_W": "1 mW", "low_W": "0.1 mW", "high_W": "10 mW", "source": "leakage", "kind": "assumed"}


def make_chip(
    *, prices: Mapping[str, Any] | None = None, synapse: Mapping[str, Any] = CELL, static: Mapping[str, Any] = STATIC
) -> Chip:
    return Chip.model_validate(
        {
            "name": "toy",
            "summary": "a chip for tests",
            "geometry": {"cores": 1, "neurons_per_core": 4, "inputs_per_core": 4},
            "capabilities": {"neurons": ["relu"], "write_schemes": ["element"]},
            "synapse": {"device": "ideal", **synapse},
            "static": static,
            "prices": {"adc_conversion": ADC, "neuron_fired": FIRED, "message": MESSAGE} if prices is None else prices,
        }
    )


TABLE = accounting.price_table(make_chip())
PRICED = [name for name in ACTIONS if TABLE.is_priced(name)]
COUNTS = st.dictionaries(st.sampled_from(PRICED), st.integers(0, 10**18))
TIMES = st.dictionaries(st.sampled_from(PHASES), st.integers(0, 10**18))
LEDGERS = st.builds(Ledger, COUNTS, TIMES)


# Prices


def test_prices_stand_in_the_order_of_the_countables() -> None:
    assert PRICED == ["neuron_fired", "message", "adc_conversion", "cell_read_conductance"]
    index = ACTIONS.index("adc_conversion")
    assert TABLE.energy_J[index] == 1.56e-12
    assert TABLE.kind[index] == "simulated"
    assert TABLE.source[index] == "a simulation"
    assert np.isnan(TABLE.energy_J[~TABLE.priced]).all()


def test_a_cell_costs_v_squared_t_g() -> None:
    index = ACTIONS.index("cell_read_conductance")
    assert TABLE.energy_J[index] * CONDUCTANCE_UNIT == pytest.approx(0.2**2 * 20e-9 * 5e-6, rel=1e-15)
    assert TABLE.kind[index] == "assumed"
    assert "a cell" in TABLE.source[index]
    assert TABLE.low_J[index] == pytest.approx(0.1 * TABLE.energy_J[index])
    assert TABLE.high_J[index] == pytest.approx(10 * TABLE.energy_J[index])
    assert not TABLE.is_priced("weight_pulse_conductance")  # no pulse voltage: unpriced, not zero


def test_the_interval_of_a_cell_can_be_given() -> None:
    table = accounting.price_table(make_chip(synapse={**CELL, "energy_low_factor": 0.5, "energy_high_factor": 3.0}))
    index = ACTIONS.index("cell_read_conductance")
    assert table.low_J[index] == pytest.approx(0.5 * table.energy_J[index])
    assert table.high_J[index] == pytest.approx(3.0 * table.energy_J[index])


def test_a_cell_that_is_not_assumed_has_no_interval() -> None:
    table = accounting.price_table(make_chip(synapse={**CELL, "kind": "measured"}))
    index = ACTIONS.index("cell_read_conductance")
    assert table.low_J[index] == table.energy_J[index] == table.high_J[index]


def test_an_explicit_price_replaces_the_derived_one() -> None:
    table = accounting.price_table(make_chip(prices={"cell_read_conductance": {**ADC, "energy_J": 7e-18}}))
    assert table.energy_J[ACTIONS.index("cell_read_conductance")] == 7e-18


def test_latencies_are_whole_femtoseconds() -> None:
    assert TABLE.latency("adc_conversion") == 780_000
    assert TABLE.latency_fs.dtype == np.int64
    with pytest.raises(InputError, match=r"barrier without a price"):
        TABLE.latency("barrier")


ZERO = {"energy_J": 0, "low_J": 0, "high_J": 0, "kind": "assumed"}


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("free", "hides a cost"),
        ("included in barrier", "costs nothing itself"),
        ("included in cell_reed", "did you mean 'cell_read'"),
        ("included in cell_read", "costs nothing itself"),
    ],
)
def test_an_assumed_zero_must_say_where_its_cost_went(source: str, problem: str) -> None:
    chip = make_chip(prices={"cell_read": {**ZERO, "source": source}})
    with pytest.raises(InputError, match=problem) as error:
        accounting.price_table(chip)
    assert "prices.cell_read" in str(error.value)


@pytest.mark.parametrize(
    "price",
    [
        {**ZERO, "source": "included in cell_read_conductance"},
        {**ZERO, "source": "included in static: always on"},
        {"energy_J": 0, "kind": "published", "source": "a table that gives 0"},
    ],
)
def test_a_zero_with_a_reason_is_a_price(price: dict[str, Any]) -> None:
    table = accounting.price_table(make_chip(prices={"cell_read": price}))
    assert accounting.energy_by_action_J({"cell_read": 5}, table) == {"cell_read": 0.0}


def test_included_in_static_needs_static_power() -> None:
    chip = make_chip(
        prices={"cell_read": {**ZERO, "source": "included in static"}}, static={**STATIC, "power_W": 0, "low_W": 0}
    )
    with pytest.raises(InputError, match="costs nothing itself"):
        accounting.price_table(chip)


# Unpriced is an error, never a zero


def test_unpriced_countables_are_named_with_a_way_out() -> None:
    assert accounting.missing_prices(["barrier", "message", "weight_pulse_conductance"], TABLE) == [
        "weight_pulse_conductance",
        "barrier",
    ]
    with pytest.raises(InputError) as error:
        accounting.require_prices(["barrier", "weight_pulse_conductance"], TABLE)
    assert error.value.problems == [
        "chip toy uses the countable weight_pulse_conductance without a price: add [prices.weight_pulse_conductance] "
        "with energy_J, source and kind, or give synapse.g_max_S, synapse.pulse_voltage_V and synapse.pulse_time_s",
        "chip toy uses the countable barrier without a price: add [prices.barrier] with energy_J, source and kind",
    ]
    accounting.require_prices(PRICED, TABLE)


def test_nothing_prices_an_unpriced_count() -> None:
    ledger = Ledger({"barrier": 1})
    for price in (accounting.energy_J, accounting.energy_interval, accounting.assumed_share, accounting.bill):
        with pytest.raises(InputError, match="barrier without a price"):
            price(ledger, TABLE)
    with pytest.raises(InputError, match="barrier without a price"):
        accounting.totals_J(np.array([[0, 1]]), [0], TABLE, ["message", "barrier"])
    assert accounting.energy_J(Ledger({"barrier": 0}), TABLE) == 0.0


def test_an_unknown_countable_is_an_error() -> None:
    with pytest.raises(InputError, match="did you mean 'message'"):
        accounting.missing_prices(["mesage"], TABLE)
    with pytest.raises(ValueError, match="did you mean 'message'"):
        Ledger({"mesage": 1})
    with pytest.raises(ValueError, match="unknown phase"):
        Ledger({}, {"coffee": 1})


# The ledger


def test_a_ledger_holds_exact_integers() -> None:
    ledger = Ledger({"message": 2**70, "adc_conversion": np.int64(3)}, {"write": 2**70})  # type: ignore[dict-item]
    assert ledger.counts["message"] == 2**70
    assert type(ledger.counts["adc_conversion"]) is int
    assert (ledger + ledger).time_fs == 2**71
    assert list(ledger.counts) == list(ACTIONS)
    assert list(ledger.phase_time_fs) == list(PHASES)


def test_a_ledger_refuses_floats_and_negative_counts() -> None:
    with pytest.raises(TypeError):
        Ledger({"message": 1.5})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="negative"):
        Ledger({"message": -1})


@given(LEDGERS)
def test_the_parts_sum_to_the_total(ledger: Ledger) -> None:
    parts = accounting.energy_by_action_J(ledger.counts, TABLE)
    static = accounting.static_energy_J(ledger.time_fs, TABLE.static)
    assert math.fsum([static, *parts.values()]) == accounting.energy_J(ledger, TABLE)


@given(LEDGERS, LEDGERS)
def test_energy_is_additive_over_splits(first: Ledger, second: Ledger) -> None:
    whole = first + second
    assert whole.time_fs == first.time_fs + second.time_fs
    parts = accounting.energy_J(first, TABLE) + accounting.energy_J(second, TABLE)
    assert accounting.energy_J(whole, TABLE) == pytest.approx(parts, rel=1e-14)


@given(LEDGERS, st.integers(-20, 20))
def test_repricing_is_linear(ledger: Ledger, power: int) -> None:
    factor = 2.0**power  # exact in floating point
    prices = {
        name: {"energy_J": float(TABLE.energy_J[TABLE.index(name)]) * factor, "source": "x", "kind": "derived"}
        for name in PRICED
    }
    dearer = make_chip(prices=prices, static={**STATIC, "power_W": 1e-3 * factor, "low_W": 0, "high_W": 1e9})
    assert accounting.recost(ledger, dearer).energy_J == factor * accounting.energy_J(ledger, TABLE)


@given(LEDGERS)
def test_the_interval_holds_the_value(ledger: Ledger) -> None:
    low, high = accounting.energy_interval(ledger, TABLE)
    assert low <= accounting.energy_J(ledger, TABLE) <= high


def test_the_interval_uses_every_price() -> None:
    ledger = Ledger({"neuron_fired": 10, "message": 10, "adc_conversion": 10}, {"compute": 10**15})
    low, high = accounting.energy_interval(ledger, TABLE)
    assert low == pytest.approx(1e-4 + 10 * (1e-14 + 2e-12 + 1.56e-12), rel=1e-14)
    assert high == pytest.approx(1e-2 + 10 * (1e-12 + 5e-12 + 1.56e-12), rel=1e-14)


def test_the_assumed_share_counts_joules_and_static_power() -> None:
    dynamic = Ledger({"neuron_fired": 30, "message": 1})  # 3 pJ assumed, 3 pJ published
    assert accounting.assumed_share(dynamic, TABLE) == pytest.approx(0.5, rel=1e-14)
    with_static = Ledger({"message": 1}, {"settling": 10**6})  # 3 pJ published, 1 pJ static (1 mW for 1 ns)
    assert accounting.assumed_share(with_static, TABLE) == pytest.approx(0.25, rel=1e-14)
    assert accounting.assumed_share(Ledger(), TABLE) == 0.0
    assert accounting.assumed_share(Ledger({"adc_conversion": 1}), TABLE) == 0.0


@given(LEDGERS)
def test_the_assumed_share_is_a_share(ledger: Ledger) -> None:
    assert 0.0 <= accounting.assumed_share(ledger, TABLE) <= 1.0


def test_time_power_and_what_binds() -> None:
    ledger = Ledger({"message": 10**6}, {"write": 3 * 10**14, "tau_p": 7 * 10**14})
    assert accounting.time_s(ledger) == 1.0
    assert accounting.power_W(ledger, TABLE) == accounting.energy_J(ledger, TABLE) == pytest.approx(1e-3 + 3e-6)
    name, shares = accounting.bound_by(ledger)
    assert name == "tau_p"
    assert shares["write"] == 0.3
    assert math.fsum(shares.values()) == 1.0
    assert accounting.bound_by(Ledger()) == ("none", {})
    assert accounting.power_W(Ledger({"message": 1}), TABLE) == 0.0


def test_equal_phases_are_bound_by_the_first() -> None:
    assert accounting.bound_by(Ledger({}, {"barrier": 5, "compute": 5}))[0] == "compute"


def test_recost_keeps_counts_and_time_and_changes_prices() -> None:
    ledger = Ledger({"adc_conversion": 1000, "cell_read_conductance": 2**16}, {"settling": 10**9})
    other = make_chip(
        prices={"adc_conversion": {**ADC, "energy_J": "10 pJ"}}, synapse={**CELL, "read_voltage_V": "0.4 V"}
    )
    before, after = accounting.bill(ledger, TABLE), accounting.recost(ledger, other)
    assert after.chip_time_s == before.chip_time_s == 1e-6
    assert after.energy_by_action_J["adc_conversion"] == pytest.approx(1e-8)
    assert after.energy_by_action_J["cell_read_conductance"] == pytest.approx(
        4 * before.energy_by_action_J["cell_read_conductance"]
    )
    with pytest.raises(InputError, match="adc_conversion without a price"):
        accounting.recost(ledger, make_chip(prices={}))


# Rows of the trace


@given(st.lists(LEDGERS, min_size=1, max_size=5))
def test_rows_cost_what_ledgers_cost_bit_for_bit(ledgers: list[Ledger]) -> None:
    counts = np.array([[ledger.counts[name] for name in ACTIONS] for ledger in ledgers], dtype=np.int64)
    times = [ledger.time_fs for ledger in ledgers]
    assert accounting.totals_J(counts, times, TABLE).tolist() == [accounting.energy_J(one, TABLE) for one in ledgers]
    low, high = accounting.intervals_J(counts, times, TABLE)
    assert list(zip(low, high, strict=True)) == [accounting.energy_interval(one, TABLE) for one in ledgers]
    energies = accounting.energies_J(counts, TABLE)
    for row, ledger in zip(energies, ledgers, strict=True):
        happened = {name: joules for name, joules in zip(ACTIONS, row, strict=True) if ledger.counts[name]}
        assert happened == accounting.energy_by_action_J(ledger.counts, TABLE)


def test_rows_take_the_columns_of_a_trace() -> None:
    counts = np.array([[1, 0], [2, 1]])
    energies = accounting.energies_J(counts, TABLE, ["message", "adc_conversion"])
    assert energies.tolist() == [[3e-12, 0.0], [6e-12, 1.56e-12]]
    assert accounting.totals_J(counts, np.array([0, 10**6]), TABLE, ["message", "adc_conversion"]) == pytest.approx(
        [3e-12, 6e-12 + 1.56e-12 + 1e-12]
    )
    assert accounting.energies_J(np.zeros((0, 2), dtype=np.int64), TABLE, ["message", "barrier"]).shape == (0, 2)
