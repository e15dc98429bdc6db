"""What a report says in words: the summary, or what can be gathered from the tables where a run has not ended."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from neurosim.report.account import Account, account_of, chip_of
from neurosim.report.style import percent
from neurosim.trace import Trace, early
from neurosim.units import show

_NOTES = {
    "running": "This run has not ended: it goes on, or was killed. The page shows what was recorded so far.",
    "interrupted": "This run was interrupted. The page shows what was recorded; neurosim run --resume goes on with it.",
    "failed": "This run failed. The page shows what was recorded before.",
}


@dataclass(frozen=True)
class Facts:
    """The numbers of a run; None where a trace does not hold them."""

    values: Mapping[str, Any]
    account: Account | None
    note: str

    def get(self, key: str, default: Any = None) -> Any:
        """A key of the summary, or None."""
        return self.values.get(key, default)

    @property
    def hypothetical(self) -> bool:
        """Whether the chip says of itself that it does not exist."""
        return bool(self.values.get("hypothetical"))


def gather(trace: Trace) -> Facts:
    """The summary of a finished run, completed from the tables."""
    account = account_of(trace)
    values: dict[str, Any] = {**_from_tables(trace, account), **trace.summary, **_early(trace)}
    status = trace.status
    note = "" if status == "complete" else _NOTES.get(status, f"The status of this trace is {status!r}.")
    return Facts(values, account, note)


def _early(trace: Trace) -> dict[str, Any]:
    """What a decision costs, in words; only of traces that follow decisions tick by tick."""
    whole = early.whole(trace)
    if whole is None:
        return {}
    found = early.decided(trace)
    missed = f"never: {accuracy(whole.error)} after {_spent(whole)}"
    return {"decision": missed if found is None else _spent(found), "classification": _spent(whole)}


def _spent(each: early.Decision) -> str:
    return f"{count(each.synaptic_events)} SynOps, {show(each.energy_J, 'J')}, {show(each.time_s, 's')}"


def _from_tables(trace: Trace, account: Account | None) -> dict[str, Any]:
    chip = chip_of(trace)
    out: dict[str, Any] = {
        "chip": chip.get("name"),
        "hypothetical": chip.get("hypothetical", False),
        "scenario": trace.attributes.get("scenario"),
        "seed": trace.attributes.get("seed"),
    }
    wanted = {
        "/training": {"step": "steps", "tick": "ticks", "inferences": "inferences", "updates": "updates",
                      "time_s": "chip_time_s", "energy_J": "energy_J", "zero_share": "zero_c_tilde_share",
                      "dead_share": "dead_zone_share"},
        "/eval": {"accuracy": "accuracy", "cost": "cost"},
    }  # fmt: skip
    for name, columns in wanted.items():
        if trace.has_table(name) and len(trace.table(name)):
            table = trace.table(name)
            out.update({key: table.read(column, -1)[0].item() for column, key in columns.items() if column in table})
    if account is not None and account.energy_J > 0.0:
        out.update(energy_J=account.energy_J, energy_low_J=account.low_J, energy_high_J=account.high_J,
                   assumed_share=account.assumed_share)  # fmt: skip
    if _number(out.get("energy_J")) and _number(out.get("chip_time_s")) and out["chip_time_s"] > 0.0:
        out["power_W"] = out["energy_J"] / out["chip_time_s"]
    return out


def sentences(facts: Facts) -> list[str]:
    """The run in plain words."""
    return [
        text for text in (_who(facts), _how_well(facts), _how_dear(facts), _what_bounds(facts), _silence(facts)) if text
    ]


def _who(facts: Facts) -> str:
    chip = f"the chip {facts.get('chip')}" if facts.get("chip") else "a chip without a name"
    kind = " (a HYPOTHETICAL chip: nobody has built it)" if facts.hypothetical else ""
    seed = f", seed {facts.get('seed')}" if facts.get("seed") is not None else ""
    if facts.get("kind") == "network":
        size = f" of {count(facts.get('neurons'))} neurons and {count(facts.get('synapses'))} synapses"
        return f"A network{size} was driven by hand on {chip}{kind}{seed}."
    return f"Scenario {facts.get('scenario') or 'without a name'} was trained on {chip}{kind}{seed}."


def _how_well(facts: Facts) -> str:
    if facts.get("kind") == "network":
        counts = facts.get("counts")
        spikes = count(counts.get("neuron_fired", 0) if isinstance(counts, Mapping) else None)
        return f"In {count(facts.get('ticks'))} ticks ({facts.get('timing')} timing) its neurons fired {spikes} times."
    effort = f"{count(facts.get('steps'))} steps ({count(facts.get('inferences'))} inferences)"
    if _number(facts.get("accuracy")):
        cost = f" at a cost of {facts.get('cost'):.4g}" if _number(facts.get("cost")) else ""
        return f"After {effort} it gets {accuracy(facts.get('accuracy'))} of the test samples right{cost}."
    if _number(facts.get("cost")):
        return f"After {effort} its cost is {facts.get('cost'):.4g}."
    return f"It ran for {effort}; no accuracy was recorded." if _number(facts.get("steps")) else ""


def _how_dear(facts: Facts) -> str:
    if not _number(facts.get("energy_J")):
        return ""
    time = f"takes {chip_time(facts)} and " if _number(facts.get("chip_time_s")) else ""
    power = f", {show(facts.get('power_W'), 'W')} on average" if _number(facts.get("power_W")) else ""
    share = facts.get("assumed_share")
    rest = f"; {percent(share)} of the energy rests on assumed prices" if _number(share) and share > 0.0 else ""
    return f"On the chip that {time}costs {energy(facts)}{power}{rest}."


def _what_bounds(facts: Facts) -> str:
    bound = facts.get("bound_by")
    what = "tick" if facts.get("kind") == "network" else "step"
    return f"What bounds the length of a {what} is: {bound}." if isinstance(bound, str) and bound else ""


def _silence(facts: Facts) -> str:
    zero, dead = facts.get("zero_c_tilde_share"), facts.get("dead_zone_share")
    parts = [f"{percent(zero)} of the probes gave C̃ = 0"] if _number(zero) else []
    parts += [f"{percent(dead)} fell into the dead zone of a converter"] if _number(dead) else []
    return " and ".join(parts) + ", and taught nothing." if parts else ""


def key_rows(facts: Facts) -> list[tuple[str, str]]:
    """The summary's numbers, one to a line."""
    chip = f"{_text(facts.get('chip'))}{' (HYPOTHETICAL)' if facts.hypothetical else ''}"
    rows = [
        ("Scenario", _text(facts.get("scenario"))),
        ("Chip", chip),
        ("Seed", _text(facts.get("seed"))),
        ("Test accuracy", accuracy(facts.get("accuracy"))),
        ("Test cost", f"{facts.get('cost'):.4g}" if _number(facts.get("cost")) else "–"),
        ("Steps", count(facts.get("steps"))),
        ("Inferences", count(facts.get("inferences"))),
        ("Samples", count(facts.get("samples"))),
        ("Ticks", count(facts.get("ticks"))),
        ("Updates", count(facts.get("updates"))),
        ("Devices written", count(facts.get("devices_written"))),
        ("Weight pulses", count(facts.get("weight_pulses"))),
        ("Reads of verification and refresh", count(facts.get("verify_reads"))),
        ("Writes that missed their tolerance", count(facts.get("writes_missed"))),
        ("Pairs refreshed", count(facts.get("pairs_refreshed"))),
        ("Pulses of the worst device", count(facts.get("worst_pulses"))),
        ("Devices worn out", _worn(facts)),
        ("Neurons", count(facts.get("neurons"))),
        ("Synapses", count(facts.get("synapses"))),
        ("Cores in use", count(facts.get("cores_used"))),
        ("Timing model", _text(facts.get("timing"))),
        ("Chip time", chip_time(facts)),
        ("Energy", energy(facts)),
        ("Static part", _quantity(facts.get("static_energy_J"), "J")),
        ("Power", _quantity(facts.get("power_W"), "W")),
        ("Assumed share", _share(facts.get("assumed_share"))),
        ("Bound by", _text(facts.get("bound_by"))),
        (f"Under {100.0 * early.ERROR:g} % error after", _text(facts.get("decision"))),
        ("A test sample shown to its end", _text(facts.get("classification"))),
        ("Probes with C̃ = 0", _share(facts.get("zero_c_tilde_share"))),
        ("Probes in the dead zone", _share(facts.get("dead_zone_share"))),
    ]
    return [(name, value) for name, value in rows if value != "–"]


def target_rows(facts: Facts) -> tuple[str, list[tuple[str, str]]]:
    """When the accuracy of ``[stop]`` was first reached: a heading and its numbers."""
    target = facts.get("to_target")
    if not isinstance(target, Mapping) or not _number(target.get("accuracy")):
        return "", []
    rows = [
        ("Steps", count(target.get("steps"))),
        ("Inferences", count(target.get("inferences"))),
        ("Chip time", _quantity(target.get("chip_time_s"), "s")),
        ("Energy", _quantity(target.get("energy_J"), "J")),
        ("Weight pulses", count(target.get("weight_pulses"))),
    ]
    reached = [(name, value) for name, value in rows if value != "–"]
    goal = accuracy(target["accuracy"])
    return (f"{goal} was first reached after", reached) if reached else (f"{goal} was never reached", [])


def mismatches(facts: Facts) -> list[str]:
    """Where the ledger's rows do not add up to the summary: the report says so itself."""
    account = facts.account
    if account is None:
        return []
    out = [
        f"{line.action}: {line.count} × {line.price_J:g} J is not {line.energy_J:g} J"
        for line in account.lines
        if not line.adds_up
    ]
    told = facts.get("energy_J")
    if _number(told) and not math.isclose(told, account.energy_J, rel_tol=1e-6, abs_tol=1e-21):
        out.append(f"the lines add up to {show(account.energy_J, 'J')}, the summary says {show(told, 'J')}")
    told = facts.get("assumed_share")
    if _number(told) and not math.isclose(told, account.assumed_share, rel_tol=1e-6, abs_tol=1e-9):
        out.append(f"{percent(account.assumed_share)} of the lines are assumed, the summary says {percent(told)}")
    return out


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Every key of the summary with its value, nested ones with dots."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", repr(value) if isinstance(value, float) else _text(value)


def count(value: Any) -> str:
    """A whole number with thin spaces between thousands."""
    return f"{int(value):,}".replace(",", "\u202f") if _number(value) else "–"


def accuracy(value: Any) -> str:
    """An accuracy in percent."""
    return f"{100.0 * value:.2f} %" if _number(value) else "–"


def energy(facts: Facts) -> str:
    """Energy, with its interval where prices are assumed."""
    value, low, high = (facts.get(key) for key in ("energy_J", "energy_low_J", "energy_high_J"))
    if not _number(value):
        return "–"
    span = f" (between {show(low, 'J')} and {show(high, 'J')})" if _number(low) and _number(high) and high > low else ""
    return show(value, "J") + span


def chip_time(facts: Facts) -> str:
    """Time on the chip, with its interval where latencies have one."""
    value, low, high = (facts.get(key) for key in ("chip_time_s", "chip_time_low_s", "chip_time_high_s"))
    if not _number(value):
        return "–"
    span = f" (between {show(low, 's')} and {show(high, 's')})" if _number(low) and _number(high) and high > low else ""
    return show(value, "s") + span


def _quantity(value: Any, unit: str) -> str:
    return show(value, unit) if _number(value) else "–"


def _worn(facts: Facts) -> str:
    share = facts.get("devices_worn_share")
    return f"{count(facts.get('devices_worn'))} ({percent(share)})" if _number(share) else "–"


def _share(value: Any) -> str:
    return percent(value) if _number(value) else "–"


def _text(value: Any) -> str:
    return "–" if value is None else str(value)


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
