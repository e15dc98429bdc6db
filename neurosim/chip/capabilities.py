"""What a training needs of a chip, and what to do where the chip lacks it."""

from __future__ import annotations

import difflib

from neurosim.chip.layers import NetworkPlan
from neurosim.errors import CapabilityError
from neurosim.spec.chip import Chip
from neurosim.spec.hardware import Mechanism
from neurosim.spec.scenario import Scenario

FITTING: dict[str, tuple[Mechanism, ...]] = {
    "weight": ("side-element", "read-adder", "write", "host"),
    "node": ("node", "side-element", "read-adder"),
    "none": (),
}
"""Mechanisms that can apply a probe of each space, the most natural first."""


def choose_mechanism(chip: Chip, space: str, wanted: Mechanism | None, host_loop: bool) -> Mechanism | None:
    """The perturbation mechanism of a run: the wanted one, or the chip's first that fits; host with ``host_loop``."""
    if wanted is not None:
        return wanted
    there = [name for name in FITTING[space] if name in chip.capabilities.perturbation_mechanisms]
    if there:
        return there[0]
    return "host" if host_loop and space != "none" else None


def check(scenario: Scenario, plan: NetworkPlan, *, space: str, difference: str, code: str | None,
          mechanism: Mechanism | None, needs: dict[str, str], host_loop: bool) -> None:  # fmt: skip
    """Raise CapabilityError listing everything that the chip cannot do for this run, each with a way out."""
    chip = scenario.chip
    able = chip.capabilities
    problems: list[str] = []
    for layer in plan.trainable:
        model = layer.neuron.model if layer.neuron else ""
        if model not in able.neurons:
            problems.append(f"network.layers.{layer.name}.neuron: {model!r} is not among {_list(able.neurons)}")
    if space != "none":
        problems += _perturbing(chip, space, difference, code, mechanism, host_loop)
    for need, setting in needs.items():
        if not getattr(able, need) and not host_loop:
            problems.append(f"{setting}: the chip has no {need}")
    scheme = scenario.training.write_scheme or chip.synapse.write_scheme  # type: ignore[attr-defined]
    if scheme not in (*able.write_schemes, "cell"):
        problems.append(f"training.write_scheme: {scheme!r} is not among {_list(able.write_schemes)}")
    rounding = scenario.training.update_rounding or chip.synapse.update_rounding  # type: ignore[attr-defined]
    if rounding not in able.update_rounding:
        problems.append(f"training.update_rounding: {rounding!r} is not among {_list(able.update_rounding)}")
    if chip.astrocyte.cost_unit not in able.cost_units:
        problems.append(f"chip.astrocyte.cost_unit: {chip.astrocyte.cost_unit!r} is not among {_list(able.cost_units)}")
    if chip.astrocyte.cost_unit == "analog-mse" and scenario.task.cost.model != "mse":
        problems.append(
            f"task.cost: the cost unit analog-mse cannot compute {scenario.task.cost.model!r}; "
            "use task.cost=mse or chip.astrocyte.cost_unit=digital"
        )
    if problems:
        raise CapabilityError([*problems, _ways_out(chip, space, problems, host_loop)], f"chip {chip.name}")


def _perturbing(chip: Chip, space: str, difference: str, code: str | None, mechanism: Mechanism | None,
                host_loop: bool) -> list[str]:  # fmt: skip
    able = chip.capabilities
    problems = []
    if mechanism is None:
        problems.append(
            f"training: no perturbation mechanism fits a probe in {space} space "
            f"(it has {_list(able.perturbation_mechanisms)})"
        )
    elif mechanism not in able.perturbation_mechanisms and not (host_loop and mechanism == "host"):
        problems.append(f"training.mechanism: {mechanism!r} is not among {_list(able.perturbation_mechanisms)}")
    elif mechanism not in FITTING[space] and mechanism != "host":
        problems.append(f"training.mechanism: {mechanism!r} cannot apply a probe in {space} space")
    if code is not None and code not in able.codes and mechanism != "host":
        near = difflib.get_close_matches(code, able.codes, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        problems.append(f"training.code: {code!r} is not among {_list(able.codes)}{hint}")
    if difference not in able.differences and not host_loop:
        problems.append(f"training.difference: {difference!r} is not among {_list(able.differences)}")
    if space == "node" and chip.astrocyte.latency_steps > 0:
        problems.append(
            f"chip.astrocyte.latency_steps = {chip.astrocyte.latency_steps}: node probes wait for their own C~; "
            "set it to 0"
        )
    if space == "node" and mechanism == "host":
        problems.append(
            "training: node probes cannot be applied through the host link; use trainer mgd with --host-loop"
        )
    return problems


def _ways_out(chip: Chip, space: str, problems: list[str], host_loop: bool) -> str:
    neurons = [problem for problem in problems if ".neuron:" in problem]
    if neurons:
        layers = " ".join(f"--set {problem.split(':')[0]}={chip.capabilities.neurons[0]}" for problem in neurons)
        if len(neurons) == len(problems):
            return f"way out: neurons that the chip has, for example {layers}, or another chip"
    if host_loop or chip.name.endswith("-with-perturbation"):
        return "way out: another trainer, another chip, or --set chip.capabilities.KEY=VALUE for what it is to have"
    if space == "none":
        return (
            f"two ways out: training.on_chip=false (the gradient is software's, and not charged), or --chip "
            f"{chip.name}-with-transpose-read (hypothetical, and marked so in every report)"
        )
    more = f"first neurons that the chip has ({layers}), then " if neurons else ""
    return (
        f"{more}two ways out: --host-loop (perturb and write through the host link, priced), or the derived chip "
        f"--chip {chip.name}-with-perturbation (hypothetical, and marked so in every report); "
        "other capabilities can be declared with --set chip.capabilities.KEY=VALUE"
    )


def _list(items: tuple[str, ...]) -> str:
    return ", ".join(items) if items else "(nothing)"
