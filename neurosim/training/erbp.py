"""Event-driven random back-propagation (eRBP), and with unreliable synapses peRBP.

A spiking network learns online from spikes alone. Every sample is shown for ``sample_s``. Data neurons fire at the rate
of their pixel, a label neuron at a fixed rate; two error neurons for each class compare it with the prediction, and
their spikes reach the dendrites u of all neurons below through fixed random weights G. A synapse is looked at, and
changed, only when its input fires:

    data neuron i     fires in a tick with probability 1 - exp(-rho_i tick_s), then rests for data_refractory_s;
                      rho_i = rate_Hz exp((x_i - pixel_threshold) pixel_scale / pixel_width)
    label neuron      fires every label_period_s
    error neurons c   e+_c <- max(0, e+_c + w_L (label spike of c - prediction spike of c)),   e-_c the same with -
                      a spike where e >= error_threshold, and e <- e - error_threshold
    dendrites         u_j <- u_j + sum_c G_cj (spike of e+_c - spike of e-_c)         hidden neurons
                      u_c <- u_c + w_E (spike of e+_c - spike of e-_c)                prediction neuron c
    synapse i -> j    when i fires, with probability ``transmission``: i_j <- i_j + w_ij (in the next tick), and
                      w_ij <- w_ij + learning_rate u_j  where  |i_j| < boxcar  and  burn_in_s of the sample are over

G is uniform in +-feedback_scale sqrt(7 / (classes + neurons)), its mean over the classes taken off. The prediction is
the class whose neuron fired most. With ``transmission`` = 1 and noise on the currents (``noise_std`` of the neuron)
this is the source's eRBP+, with additive noise: eRBP for short. With ``transmission`` < 1 every synapse drops spikes on
its own, and what is dropped is not learned either: its eRBP x, with multiplicative noise: peRBP (p: probabilistic).

A convolution stores each weight once, and all synapses that look it up move it, at ``shared_rate`` times the rate:
w <- w + shared_rate learning_rate sum u_j over spikes and windows, written at the end of the tick.

States are reset between samples. Weights are real numbers on ``ideal`` devices; on ``quantized`` ones every change is
rounded stochastically to whole steps of the word: w <- clip(w + LSB floor(learning_rate u / LSB + U(0, 1))).

u, w, i         units of the weights (the source's nA); the rest as named, in s, Hz, or without unit

Source: E. Neftci, C. Augustine, S. Paul, G. Detorakis, Front. Neurosci. 11, 324 (2017), equations and table 2; the
times and rates there are the defaults here, except that a sample lasts 100 ms (there 250 ms, 50 ms of them burn-in).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from neurosim.registry import register
from neurosim.training.base import StepPlan, Trainer
from neurosim.training.erbp_integer import IntegerForm
from neurosim.units import Hertz, Seconds


@register("trainer", "erbp")
class EventDrivenRandomBackprop(Trainer):
    """Learning at every transmitted spike, from an error that comes back through fixed random weights."""

    model: Literal["erbp"] = "erbp"
    learning_rate: float = Field(default=1.5e-3, gt=0.0, description="eta: change of a weight for u = 1")
    anneal_steps: int = Field(default=0, ge=0, description="rate falls linearly to 0 over these steps; 0: it does not")
    transmission: float = Field(
        default=1.0, ge=0.0, le=1.0, description="probability that a synapse transmits (in 1/65536); below 1: peRBP"
    )
    sample_s: Seconds = Field(default=0.1, gt=0.0, description="how long a training sample is shown")
    burn_in_s: Seconds = Field(default=0.02, ge=0.0, description="of it, how long nothing is learned")
    test_s: Seconds = Field(default=0.25, gt=0.0, description="how long a test sample is shown")
    shared_rate: float = Field(
        default=1.0, ge=0.0, description="factor on the rate of a convolution, whose weights take it from every window"
    )
    boxcar: float = Field(default=1.15, gt=0.0, description="learn where |i| is below")
    boxcar_deep: float | None = Field(
        default=None, gt=0.0, description="the same behind the first layer; none: as there"
    )
    feedback_scale: float = Field(default=1.0, ge=0.0, description="factor on the random feedback weights G")
    output_feedback: float = Field(default=0.09, description="w_E: an error spike on its own prediction neuron")
    error_weight: float = Field(default=0.09, gt=0.0, description="w_L: a label or prediction spike on an error neuron")
    error_threshold: float = Field(default=0.1, gt=0.0, description="of the error neurons")
    label_period_s: Seconds = Field(default=4e-3, gt=0.0, description="between two spikes of the label neuron")
    rate_Hz: Hertz = Field(default=100.0, ge=0.0, description="rho_0: rate of a data neuron at its threshold")
    pixel_threshold: float = Field(default=0.43, description="pixel at which a data neuron fires at rate_Hz")
    pixel_scale: float = Field(default=0.5, ge=0.0, description="current of a pixel of 1")
    pixel_width: float = Field(default=0.05, gt=0.0, description="current that makes a data neuron e times as fast")
    data_refractory_s: Seconds = Field(
        default=4e-3, ge=0.0, description="least time between two spikes of a data neuron"
    )
    arithmetic: Literal["float", "integer"] = Field(
        default="float", description="real numbers, or whole ones and shifts as on NSAT (docs/erbp-integer.md)"
    )
    integer: IntegerForm = Field(default_factory=IntegerForm, description="settings where arithmetic is integer")

    @model_validator(mode="after")
    def _fits(self) -> EventDrivenRandomBackprop:
        problems = []
        if self.burn_in_s >= self.sample_s:
            problems.append("burn_in_s must be shorter than sample_s")
        if self.tau_x != 1 or self.tau_theta != 1:
            problems.append("a step is a sample, and weights are written at every spike: tau_x = tau_theta = 1")
        if self.optimizer != "plain":
            problems.append('every spike writes at once: optimizer = "plain"')
        problems += self._of_the_other_form()
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _of_the_other_form(self) -> list[str]:
        """Settings that the chosen arithmetic does not read."""
        fields = type(self).model_fields
        if self.arithmetic == "float":
            return ['integer: needs arithmetic = "integer"'] if self.integer != IntegerForm() else []
        changed = [name for name in _FLOAT_ONLY if getattr(self, name) != fields[name].default]
        return [f'{name}: means nothing with arithmetic = "integer"; see {_FLOAT_ONLY[name]}' for name in changed]

    def step_plan(self) -> StepPlan:
        """One inference, in which everything is learned."""
        return StepPlan("none", (0,), "none")


_FLOAT_ONLY = {
    "learning_rate": "integer.rate_shift and integer.rounding_bits", "transmission": "transmit of the neurons",
    "boxcar": "gate_low and gate_high of the neurons", "boxcar_deep": "gate_low and gate_high of the neurons",
    "feedback_scale": "integer.feedback_shuffles", "output_feedback": "integer.output_feedback",
    "shared_rate": "integer.rate_shift and integer.rounding_bits", "error_weight": "integer.error_weight",
    "error_threshold": "integer.error_threshold",
}  # fmt: skip
"""Settings of real numbers, and what stands for them in whole ones."""
