"""How each row of silicon.toml becomes counts and time; the names that ``count`` and ``adjust`` use there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import silicon_networks as networks
from silicon_case import Count, Values
from silicon_replay import Plan, replay

from neurosim.accounting import Ledger, PriceTable
from neurosim.accounting.prices import Band
from neurosim.spec.chip import Chip
from neurosim.spec.load import load_chip
from neurosim.units import femtoseconds

SEARCH_CHIPS = 32
TRAFFIC = ("message", "message_received", "hop_east", "hop_west", "hop_north", "hop_south")
PLANS: Mapping[str, Callable[..., Plan]] = {
    "inference": networks.inference, "training": networks.training, "search": networks.search_chip,
}  # fmt: skip


@lru_cache(maxsize=32)
def _replayed(chip: str, plan: str, numbers: tuple[int, ...]) -> Ledger:
    return replay(load_chip(chip), PLANS[plan](*numbers))


def replayed(chip: Chip, plan: str, *numbers: float) -> Ledger:
    """The ledger of one period of a plan on a shipped chip; remembered."""
    return _replayed(chip.name, plan, tuple(round(number) for number in numbers))


def time_fs(ledger: Ledger, band: Band) -> int:
    """The time of a ledger, or an end of its interval."""
    return {"low": ledger.time_low_fs, "nominal": ledger.time_fs, "high": ledger.time_high_fs}[band]


def search(chip: Chip, _: PriceTable, given: Values, __: Band) -> Ledger:
    """A query: every spike reaches every pattern, every pattern neuron is updated in every tick."""
    updates = given["patterns"] * given["ticks"]
    counts = {
        "synaptic_event": given["spikes"] * given["patterns"],
        "neuron_visited": updates,
        "neuron_updated": updates * given["active"],
    }
    if given["traffic"]:
        moved = replayed(chip, "search", given["spikes"], given["ticks"]).counts
        counts |= {name: moved[name] * SEARCH_CHIPS * given["traffic"] for name in TRAFFIC}
    return Ledger({name: round(count) for name, count in counts.items()})


def search_tick(chip: Chip, _: PriceTable, given: Values, band: Band) -> Ledger:
    """The mean tick of one chip of the board."""
    ledger = replayed(chip, "search", given["spikes"], given["ticks"])
    return Ledger({}, {"compute": round(time_fs(ledger, band) / given["ticks"])})


def static(_: Chip, __: PriceTable, given: Values, ___: Band) -> Ledger:
    """Nothing happens, for a time; so many chips draw what one draws for that much longer."""
    return Ledger({}, {"compute": femtoseconds(given["time"] * given["chips"])})


def operations(_: Chip, prices: PriceTable, given: Values, __: Band) -> Ledger:
    """Synaptic operations one after another."""
    done = round(given["spikes"] * given["operations"])
    return Ledger({"synaptic_event": done}, {"compute": done * prices.latency("synaptic_event")})


def rate(_: Chip, __: PriceTable, given: Values, ___: Band) -> Ledger:
    """Events and updates at their rates, for ``time`` or a second."""
    seconds = given.get("time", 1.0)
    updates = given.get("updates", 0.0)  # a neuron that is updated was visited
    counts = {"synaptic_event": given["events"], "neuron_visited": updates, "neuron_updated": updates}
    happened = {name: round(each * seconds) for name, each in counts.items()}
    return Ledger(happened, {"compute": femtoseconds(seconds)})


def inference(chip: Chip, prices: PriceTable, given: Values, band: Band) -> Ledger:
    """A sample through the inference network, replayed."""
    return _cores_only(replayed(chip, "inference", given["lit"], given["hidden"]), prices, given, band)


def training(chip: Chip, prices: PriceTable, given: Values, band: Band) -> Ledger:
    """A sample through the training network, replayed; and the learning engines, each one synapse after another.

    Visits: synapses of neurons that fired in the tick, and of the share ``visits`` of the others.
    """
    lit, hidden, box, back = (round(given[name]) for name in ("lit", "hidden", "box", "back"))
    ledger = _cores_only(replayed(chip, "training", lit, hidden, box, back), prices, given, band)
    fired = 3 * lit * 3 * networks.HIDDEN + (3 * hidden + 2 * back) * 3 * networks.OUTPUTS + networks.HIDDEN
    every = 12 * networks.PLASTIC
    # The busiest core holds six neurons of each of the three copies, and of the backward pass.
    fired_there = 3 * lit * 18
    every_there = 12 * (18 * networks.INPUTS + 12 * networks.OUTPUTS)
    visits = [
        round(some + given["visits"] * (all_ - some)) for some, all_ in ((fired, every), (fired_there, every_there))
    ]
    return ledger + Ledger({"synapse_updated": visits[0]}, {"write": visits[1] * prices.latency("synapse_updated")})


def _cores_only(ledger: Ledger, prices: PriceTable, given: Values, band: Band) -> Ledger:
    """The replay's account: of the active updates the share ``active``; spikes injected reach one synapse each."""
    injected = round(given["lit"])
    counts = {name: count for name, count in ledger.counts.items() if count}
    counts["neuron_updated"] = round(counts["neuron_updated"] * given["active"])
    counts["synaptic_event"] += injected
    loading = injected * prices.latency("sample_word_loaded")
    return Ledger(counts, {"compute": time_fs(ledger, band), "host_link": loading})


def odin_slow(chip: Chip) -> Chip:
    """ODIN at 1.3 MHz: the clock's share of its static power is 1.78 µW/MHz."""
    return chip.model_copy(update={"static": chip.static.model_copy(update={"core_power_W": 1.78e-6 * 1.3})})


COUNTS: Mapping[str, Count] = {
    "search": search, "search-tick": search_tick, "static": static, "operations": operations, "rate": rate,
    "inference": inference, "training": training,
}  # fmt: skip
ADJUST: Mapping[str, Callable[[Chip], Chip]] = {"odin-1.3-MHz": odin_slow}
