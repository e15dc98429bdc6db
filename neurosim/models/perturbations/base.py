"""What all perturbation codes have in common (not a model)."""

from __future__ import annotations

from neurosim.registry import ModelParameters


class PerturbationParameters(ModelParameters):
    """A code without parameters of its own."""

    def settings(self) -> tuple[float, float]:
        """The parameters as the two numbers (s0, s1) that ``fill`` and ``amplitude`` take."""
        return (0.0, 0.0)
