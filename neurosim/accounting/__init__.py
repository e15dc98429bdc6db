"""Counts x prices -> joules: the price table of a chip, and the ledger's arithmetic. Pure functions."""

from neurosim.accounting.bill import Bill, bill, recost
from neurosim.accounting.ledger import (
    PHASE_GROUPS,
    PHASES,
    Ledger,
    assumed_share,
    bound_by,
    energy_by_action_J,
    energy_interval,
    energy_J,
    power_W,
    static_energy_J,
    static_interval,
    time_by_group,
    time_interval,
    time_s,
)
from neurosim.accounting.prices import ACTIONS, Band, PriceTable, missing_prices, price_table, require_prices
from neurosim.accounting.rows import energies_J, intervals_J, totals_J
from neurosim.accounting.tornado import Swing, time_tornado, tornado

__all__ = [
    "ACTIONS",
    "PHASES",
    "PHASE_GROUPS",
    "Band",
    "Bill",
    "Ledger",
    "PriceTable",
    "Swing",
    "assumed_share",
    "bill",
    "bound_by",
    "energies_J",
    "energy_J",
    "energy_by_action_J",
    "energy_interval",
    "intervals_J",
    "missing_prices",
    "power_W",
    "price_table",
    "recost",
    "require_prices",
    "static_energy_J",
    "static_interval",
    "time_by_group",
    "time_interval",
    "time_s",
    "time_tornado",
    "tornado",
    "totals_J",
]
