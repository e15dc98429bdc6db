"""What a connection onto integer neurons is given besides weights: the state it leads to, its rule, shared weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from pydantic import ValidationError

from neurosim import registry
from neurosim.models.neurons.nsat import LearningGroup, NeuronGroup
from neurosim.spec.load import explain

Integers = npt.NDArray[np.int64]


def state(target: str, parameters: object, receptor: str | None, number: object, problems: list[str]) -> int | None:
    """The state that synapses lead to, by its number or as ``x0``, ``x1``; what is wrong is added to ``problems``.

    None where the target's neurons are not integer ones: receptors are then for others to read.
    """
    if not isinstance(parameters, NeuronGroup):
        if number is not None:
            problems.append(f"state: {target!r} has receptors; only neurons of model 'nsat' have numbered states")
        return None
    names = [f"x{k}" for k in range(parameters.states)]
    if number is None:
        if receptor is not None and receptor not in names:
            problems.append(registry.unknown(receptor, names, f"state of {target!r}"))
            return 0
        return 0 if receptor is None else names.index(receptor)
    if receptor is not None:
        problems.append("state and receptor: both say where synapses lead; give one of them")
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or not 0 <= number < len(names):
        problems.append(f"state = {number!r}: {target!r} has states 0 to {len(names) - 1}")
        return 0
    return int(number)


def rule(
    target: str, parameters: object, given: object, problems: list[str]
) -> LearningGroup | None:  # fmt: skip
    """The rule that synapses learn by; what is wrong is added to ``problems``."""
    if given is None:
        return None
    if not isinstance(parameters, NeuronGroup):
        problems.append(f"learning: synapses onto {target!r} cannot learn; only those onto model 'nsat' have rules")
        return None
    if isinstance(given, LearningGroup):
        return given
    if not isinstance(given, Mapping):
        problems.append(f"learning = {given!r}: must be a LearningGroup or a table of its parameters")
        return None
    try:
        return LearningGroup.model_validate(dict(given))
    except ValidationError as error:
        problems += [f"learning.{line.removeprefix(': ')}" for line in explain(error, LearningGroup, dict(given))]
        return None


def places(
    target: str, parameters: object, given: npt.ArrayLike | None, shape: tuple[int, ...], words: int,
    problems: list[str],
) -> Integers | None:  # fmt: skip
    """For each synapse which of the ``words`` weights is its own; what is wrong is added to ``problems``."""
    if given is None:
        return None
    if not isinstance(parameters, NeuronGroup):
        problems.append(f"shared: synapses onto {target!r} cannot share weights; only those onto model 'nsat' can")
        return None
    found = np.asarray(given)
    if found.size and found.dtype.kind not in "iu":
        problems.append("shared: must be whole numbers, for each synapse the number of its weight")
        return None
    if found.shape != shape:
        problems.append(f"shared: has the shape {found.shape}, needed is one number for each synapse, {shape}")
        return None
    wrong = found[(found < 0) | (found >= words)] if found.size else found
    if wrong.size:
        problems.append(
            f"shared: {wrong.size} of {found.size} out of range, first {int(wrong.reshape(-1)[0])}; there are weights "
            f"0 to {words - 1}"
        )
        return None
    return found.astype(np.int64).reshape(-1)


def convolution(
    shape: tuple[int, int, int], kernels: tuple[int, int, int, int], stride: int = 1
) -> tuple[Integers, Integers, Integers, tuple[int, int, int]]:
    """The synapses of a convolution without padding: (pre, post, shared, shape of the target).

    ``shape``: (channels, height, width) of the source; ``kernels``: (features, channels, height, width). Neurons are
    numbered ``[channel, y, x]``; weight ``shared`` is that of ``kernels`` read in order. Raises ValueError where the
    kernel does not fit.
    """
    channels, height, width = shape
    features, depth, tall, wide = kernels
    if depth != channels or tall > height or wide > width or stride < 1:
        raise ValueError(f"a kernel of {kernels} with stride {stride} does not fit an input of {shape}")
    rows, columns = (height - tall) // stride + 1, (width - wide) // stride + 1
    f, y, x, c, dy, dx = np.meshgrid(
        *(np.arange(n) for n in (features, rows, columns, channels, tall, wide)), indexing="ij"
    )
    pre = (c * height + y * stride + dy) * width + x * stride + dx
    post = (f * rows + y) * columns + x
    shared = ((f * channels + c) * tall + dy) * wide + dx
    return pre.ravel(), post.ravel(), shared.ravel(), (features, rows, columns)
