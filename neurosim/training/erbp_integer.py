"""What the integer form of event-driven random back-propagation is told beyond the float one: whole numbers and shifts.

Per presynaptic event, gate open and burn-in over:    w <- clip(w + round2(shift(U, rate_shift), rounding_bits))
round2(d, n) = floor(d / 2^n) + (1 with probability (d mod 2^n) / 2^n)                       unbiased, and n random bits
shift(x, a) = x 2^a, rounded towards zero

Error neurons, two for each class: E+ <- max(0, E+ + 2^error_gain error_weight (label - prediction)), E- the same with
-; where E >= error_threshold a spike, and E <- max(0, E - error_threshold). Their spikes change U: that of their own
prediction neuron by +-output_feedback, those of hidden neurons by +-G.

G [classes, hidden]: whole numbers whose sum over the classes is 0: for each hidden neuron the sum of
``feedback_shuffles`` random arrangements of as many +1 as -1 (a fifth of the classes each, at least one) among zeros.

Source: G. Detorakis et al., Front. Neurosci. 12, 583 (2018), and the authors' simulator.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from neurosim.registry import Parameters

Shift = Annotated[int, Field(ge=-15, le=15)]
Weight = Annotated[int, Field(ge=-32768, le=32767)]


class IntegerForm(Parameters):
    """Whole-number settings of the trainer erbp where ``arithmetic = "integer"``."""

    rate_shift: Shift = Field(default=-3, description="a change is U 2^rate_shift, before rounding")
    rounding_bits: int = Field(default=9, ge=0, le=16, description="a change is divided by 2^bits, rounded at random")
    error_weight: int = Field(default=57, ge=1, le=32767, description="a label or prediction spike on an error neuron")
    error_gain: Shift = Field(default=4, description="shift of the sum of those")
    error_threshold: int = Field(
        default=1025, ge=1, le=32767, description="of the error neurons, which lose it by a spike"
    )
    output_feedback: Weight = Field(default=37, description="an error spike on its own prediction neuron")
    feedback_shuffles: int = Field(default=3000, ge=1, le=100_000, description="arrangements that add up to G")
