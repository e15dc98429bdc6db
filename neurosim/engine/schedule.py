"""When things that are not part of every step happen: recording, evaluation, delta refresh, the end of the run.

All boundaries are multiples of whole numbers of steps, fixed before the run, so that nothing recorded depends on how
long bursts were or on whether the run was stopped and resumed.
"""

from __future__ import annotations

from dataclasses import dataclass

from neurosim.spec.scenario import Scenario
from neurosim.training.delta import DeltaMGD

RECORDS_PER_RUN, EVALUATIONS_PER_RUN = 200, 20


@dataclass(frozen=True)
class Schedule:
    """Intervals in steps; 0 means never."""

    steps: int
    record: int
    evaluate: int
    weights: int
    refresh: int

    @classmethod
    def of(cls, scenario: Scenario) -> Schedule:
        """Intervals as the scenario asks, or chosen from the length of the run."""
        steps, probes, trainer = scenario.stop.steps, scenario.probes, scenario.training
        refresh = trainer.refresh_every if isinstance(trainer, DeltaMGD) and trainer.refresh == "bias" else 0
        return cls(
            steps=steps,
            record=probes.record_every or max(1, -(-steps // RECORDS_PER_RUN)),
            evaluate=probes.evaluate_every or max(1, -(-steps // EVALUATIONS_PER_RUN)),
            weights=probes.weights_every,
            refresh=refresh,
        )

    def next_boundary(self, step: int) -> int:
        """The first step after ``step`` at which something is due."""
        intervals = (self.record, self.evaluate, self.weights, self.refresh)
        return min([self.steps, *((step // every + 1) * every for every in intervals if every)])

    def due(self, every: int, step: int) -> bool:
        """Whether something with this interval is due at ``step`` (the end of the run is always recorded)."""
        return every > 0 and step > 0 and (step % every == 0)
