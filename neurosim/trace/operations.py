"""Operations that training took, evaluation by evaluation: synaptic events, or multiplications of back-propagation.

    SynOps   synaptic events that were counted up to the evaluation (forward, feedback and error neurons)
    MACs     samples x (forward + backward + update),  by layer, with m = weights x positions of a layer:
             forward  sum of m       backward  sum of m without the first layer       update  sum of m

A dense layer has one position, a convolution as many as its output has pixels. MACs follow from the sizes of the layers
and are no count of the chip; biases, activation functions and the cost are left out. An operation of one kind is not an
operation of the other: a SynOp here adds a weight and compares twice, a MAC multiplies and adds.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from neurosim import models, training
from neurosim.chip.layers import NetworkPlan, plan_network
from neurosim.errors import InputError
from neurosim.spec import load
from neurosim.trace.compare import at_tick
from neurosim.trace.reader import Trace


@dataclass(frozen=True)
class Operations:
    """Operations of training at each evaluation of a run."""

    kind: Literal["SynOps", "MACs"]
    done: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]
    samples: npt.NDArray[np.int64]

    @property
    def error(self) -> npt.NDArray[np.float64]:
        """Share of the test samples that were wrong."""
        return 1.0 - self.accuracy

    @property
    def per_sample(self) -> float:
        """Mean over the run."""
        return float(self.done[-1]) / max(1, int(self.samples[-1]))

    def until(self, accuracy: float) -> float | None:
        """Operations at the first evaluation with at least this accuracy; None where there is none."""
        found = np.flatnonzero(self.accuracy >= accuracy)
        return float(self.done[found[0]]) if found.size else None


def operations(trace: Trace) -> Operations | None:
    """Operations of training by evaluation; None for trainers that neither count SynOps nor multiply backwards."""
    if not trace.has_table("/eval") or len(trace.eval) == 0:
        return None
    name = _trainer(trace)
    if name == "backprop":
        macs = _macs(trace)
        if macs is None:
            return None
        samples = trace.eval.inferences
        return Operations("MACs", samples * float(macs), trace.eval.accuracy, samples)
    if name.startswith("erbp"):
        each = [at_tick(trace, "counts", int(tick)).get("synaptic_event", 0.0) for tick in trace.eval.tick]
        return Operations("SynOps", np.array(each), trace.eval.accuracy, trace.eval.inferences)
    return None


def macs_of_a_sample(plan: NetworkPlan) -> int:
    """Multiplications of one sample of back-propagation."""
    each = [layer.weights * layer.positions for layer in plan.trainable]
    return 2 * sum(each) + sum(each[1:])


def _trainer(trace: Trace) -> str:
    try:
        return str(tomllib.loads(trace.config.get("scenario", "")).get("training", {}).get("model", ""))
    except tomllib.TOMLDecodeError:
        return ""


def _macs(trace: Trace) -> int | None:
    """From the scenario and the shape of the data, as the trace holds them."""
    built = trace.ledger.attributes if trace.has_table("/ledger") else {}
    if "input_shape" not in built or "outputs" not in built:
        return None
    models.load_builtin()
    training.load_builtin()
    shape = tuple(int(length) for length in np.atleast_1d(built["input_shape"]))
    try:
        scenario = load.resolve(tomllib.loads(trace.config["scenario"]), where=f"trace {trace.path}")
        return macs_of_a_sample(plan_network(scenario.network, shape, int(built["outputs"])))
    except (InputError, KeyError, tomllib.TOMLDecodeError):  # of another version, or damaged
        return None
