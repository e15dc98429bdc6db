"""How well the astrocyte's delta-vectors agree with the true gradient: a figure for the researcher, not the chip."""

from __future__ import annotations

import numpy as np

from neurosim.engine.machine import Machine
from neurosim.engine.sink import Sink

SAMPLES = 50


def sign_agreement(machine: Machine) -> dict[str, float]:
    """Per layer, the share of neurons whose delta has the sign of the true dC/dbias, over the first training samples.

    Neurons whose true delta is zero (silent ones) are left out.
    """
    equal = {layer.name: [0, 0] for layer in machine.plan.trainable}
    for sample in range(min(SAMPLES, machine.data.n_train)):
        gradient = machine.true_gradient(sample)
        label = int(machine.data.train_y[sample]) if machine.data.train_y is not None else 0
        for layer in machine.plan.trainable:
            true = gradient[layer.theta + layer.weights : layer.theta + layer.parameters]
            guess = machine.arrays["delta"][label, layer.act : layer.act + layer.n]
            live = (true != 0.0) & (guess != 0.0)
            equal[layer.name][0] += int(np.sum(np.sign(true[live]) == np.sign(guess[live])))
            equal[layer.name][1] += int(np.sum(live))
    return {name: right / total if total else 0.5 for name, (right, total) in equal.items()}


def record_agreement(machine: Machine, sink: Sink) -> None:
    """One row of sign agreement."""
    shares = sign_agreement(machine)
    sink.append("/agreement", {"step": [machine.step], **{name: [share] for name, share in shares.items()}})
