"""From what the kernels tallied to countables and time: the machine's own arithmetic, in exact integers.

Kernels tally a few events (inferences, active inputs per layer, spikes, pulses, writes ...). Everything that the
hardware does for each of them is a fixed integer multiple, known from the network's shapes and its placement, so counts
and femtoseconds are linear in the tally: they add up over any partition of a run and can be priced again.
"""

from __future__ import annotations

from dataclasses import dataclass

from neurosim.accounting import Ledger, require_prices
from neurosim.chip.counts import Counts
from neurosim.chip.durations import Durations
from neurosim.chip.workload import Tally


@dataclass(frozen=True)
class Meter(Counts, Durations):
    """Turns tallies into a ledger for one network on one chip."""

    def ledger(self, tally: Tally) -> Ledger:
        """Counts and time of everything tallied, with the time at low and at high latencies."""
        phases = self.phases(tally)
        total = sum(phases.values())
        low, high = (
            sum(meter.phases({**tally, "BUSY": tally.get(f"BUSY_{band}", 0)}).values())
            for band, meter in zip(("LOW", "HIGH"), self._bands, strict=True)
        )
        return Ledger(self.counts(tally), phases, min(low, total), max(high, total))

    def step_s(self, slots: tuple[int, ...], loads: bool, tau_theta: int) -> float:
        """Nominal duration of one step, with one pulse slot per write, and no spikes where they pace the ticks."""
        tally = dict.fromkeys(_NEEDED, 0)
        if self.paced:
            tally["BUSY"] = len(slots) * self.workload.window * int(self._pace()[:, :, 0].sum(axis=1).max())
        tally["CLEAN"] = sum(1 for sign in slots if sign == 0)
        tally["PERTURBED"] = len(slots) - tally["CLEAN"]
        tally["COSTS"] = len(slots) * self.workload.domains
        probes = -(-tally["PERTURBED"] // self.workload.probes_per_broadcast)
        tally["BROADCASTS"] = max(1, probes) if self.workload.space != "none" else 0
        tally["SAMPLES"] = int(loads)
        tally["DELTA_WORDS"] = self.workload.delta_words
        tally["WRITE_SLOTS"] = int(tau_theta == 1)
        return sum(self.phases(tally).values()) * 1e-15

    def used(self, trainer_writes: bool) -> list[str]:
        """Countables that the run will use for certain: they need prices before it starts."""
        tally = dict.fromkeys(_NEEDED, 1)
        tally |= {
            f"{name}_{layer.index}": 1 for layer in self.plan.layers for name in ("ACTIVE", "CONDUCTANCE", "FIRED")
        }
        tally |= {"REPLAYS": self.plan.parameters * int(self.workload.space == "weight")}
        if self.workload.space == "none":
            tally |= {"PERTURBED": 0, "BROADCASTS": 0, "DRAWS": 0, "APPLICATIONS": 0}
        if self.chip.synapse.writing == "open-loop" and not self.one_sided:
            tally["VERIFY_READS"] = 0
        tally |= {"DELTA_WORDS": 0, "DELTA_WRITES": 0, "ACCUMULATIONS": 0, "PULSES": int(trainer_writes)}
        for layer in self.plan.layers:
            if not layer.spiking:
                tally[f"FIRED_{layer.index}"] = 0
        return list(self.counts(tally))


_NEEDED = (
    "CLEAN", "PERTURBED", "SAMPLES", "COSTS", "BROADCASTS", "DELTA_WORDS", "DELTA_WRITES", "ACCUMULATIONS", "REPLAYS",
    "PULSES", "PERTURBATION_PULSES", "PERTURBATION_SLOTS", "DRAWS", "APPLICATIONS", "WRITTEN", "WRITE_SLOTS", "BUSY",
    "ERRORS", "COMPARED", "FEEDBACK", "VERIFY_READS", "VERIFY_SLOTS", "VERIFY_CONDUCTANCE", "PULSE_CONDUCTANCE",
)  # fmt: skip


def check_prices(meter: Meter, trainer_writes: bool) -> None:
    """Raise InputError for countables in use without a price: never a silent zero."""
    require_prices(meter.used(trainer_writes), meter.prices)
