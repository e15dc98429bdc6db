"""What all neurons with several states have in common (not a model).

A file of kind ``dynamic`` holds, besides its schema,

* ``STATES``: the names of its states, ``RECEPTORS``: the names of the inputs that synapses may lead to
* ``integrate(*states, *inputs, *coefficients) -> states``: one tick; an input is what arrived in the tick, and the
  first one holds the neuron's bias as well
* ``fires(*states, *coefficients) -> bool``, and ``reset(*states, *coefficients) -> states`` after a spike
* where it has ``RANDOM = True``, ``fires`` takes a uniform number in [0, 1) before everything else

and the schema gives ``coefficients(tick_s)`` and the states to ``start`` from. Equations are in discrete time, the new
states from the old ones throughout. The engine does the refractory ticks (states go on, the neuron cannot fire; what
the file calls ``rest(*states, *coefficients)``, where it has one, is done in each of them) and the fixed point.
"""

from __future__ import annotations

from pydantic import Field, model_validator

from neurosim.registry import ModelParameters


class DynamicParameters(ModelParameters):
    """The engine's part of a neuron with several states."""

    refractory_ticks: int = Field(default=0, ge=0, le=65535, description="ticks after a spike in which it cannot fire")
    fixed_bits: int = Field(default=0, ge=0, le=32, description="bits of each state, sign included; 0: floating point")
    fixed_step: float = Field(default=1.0, gt=0.0, description="one unit of a fixed-point state")

    @model_validator(mode="after")
    def _two_bits(self) -> DynamicParameters:
        if self.fixed_bits == 1:
            raise ValueError("fixed_bits: a signed state needs 2 bits or more")
        return self

    def coefficients(self, tick_s: float) -> tuple[float, ...]:
        """The numbers that ``integrate``, ``fires`` and ``reset`` take, for ticks of ``tick_s`` seconds."""
        raise NotImplementedError(f"the schema of {self.model!r} must define coefficients(tick_s)")

    def start(self) -> tuple[float, ...]:
        """The states before the first tick."""
        raise NotImplementedError(f"the schema of {self.model!r} must define start()")
