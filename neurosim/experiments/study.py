"""An experiment on a chip: run it, and price what it counted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from neurosim import registry
from neurosim.accounting import Bill, Ledger, PriceTable, bill, price_table
from neurosim.experiments.base import Result
from neurosim.spec.scenario import ExperimentScenario
from neurosim.units import femtoseconds


@dataclass(frozen=True)
class Study:
    """What came of an experiment."""

    scenario: ExperimentScenario
    result: Result
    ledger: Ledger
    prices: PriceTable
    bill: Bill

    def summary(self, name: str) -> dict[str, Any]:
        """The result, with the keys of a training run's summary where it has them."""
        chip, claims = self.scenario.chip, self.result.claims
        return {
            "kind": "experiment",
            "scenario": name,
            "experiment": self.scenario.experiment.model,
            "chip": chip.name,
            "hypothetical": chip.hypothetical,
            "seed": self.scenario.seed,
            "holds": all(claim.holds for claim in claims),
            "claims": [
                {"says": claim.says, "measured": claim.measured, "bar": claim.bar, "holds": claim.holds}
                for claim in claims
            ],
            "ticks": self.result.ticks,
            "chip_time_s": self.bill.chip_time_s,
            "energy_J": self.bill.energy_J,
            "energy_low_J": self.bill.energy_low_J,
            "energy_high_J": self.bill.energy_high_J,
            "energy_by_action_J": self.bill.energy_by_action_J,
            "static_energy_J": self.bill.static_energy_J,
            "power_W": self.bill.power_W,
            "assumed_share": self.bill.assumed_share,
            "counts": {action: count for action, count in self.ledger.counts.items() if count},
        }


def study(scenario: ExperimentScenario) -> Study:
    """Run the experiment of ``scenario``; its ticks last ``chip.timing.tick_s``.

    Raises InputError where the chip does not price what the experiment counts.
    """
    chip = scenario.chip
    module = registry.find("experiment", scenario.experiment.model).module
    result: Result = module.run(scenario.experiment, scenario.seed)
    prices = price_table(chip)
    ledger = Ledger(
        {**result.counts, "barrier": result.ticks}, {"compute": result.ticks * femtoseconds(chip.timing.tick_s)}
    )
    return Study(scenario, result, ledger, prices, bill(ledger, prices))
