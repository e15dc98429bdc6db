"""Calls a device model's functions by the names of their arguments.

A model's functions know their arguments by name (docs/devices.md). `equations` writes one small function around each of
them, which takes those arguments from the devices' frozen values, the model's numbers or the random stream. Training
uses it for every model that has more than the common six arguments or noise of its own; populations of devices
(``neurosim.devices``) for all.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from neurosim import registry
from neurosim.engine.device_laws import laws
from neurosim.errors import InputError
from neurosim.models.devices.base import DeviceParameters

MODULE = "neurosim.kernels.devices"
FROZEN = ("scale_up", "scale_down", "w_min", "w_max")
COMMON = ("w", "up", *FROZEN)
"""The arguments of a step that needs nothing of its own."""

FUNCTIONS = {
    "step": ("mean_step", "w, up, e, bank", ("w", "up")),
    "spread": ("step_spread", "w, dw, up, e, bank", ("w", "dw", "up")),
    "jump": ("random_step", "w, up, e, key, bank", ("w", "up", "xi", "u")),
    "aged": ("after", "w, age_s, e, bank", ("w", "age_s")),
    "elapse": ("wander", "w, dt_s, e, key, bank", ("w", "dt_s", "xi", "u")),
    "read_spread": ("read_std", "w, stored, age_s, e, bank", ("w", "stored", "age_s")),
    "write_spread": ("write_std", "w, e, bank", ("w",)),
}
"""Functions of a model file: what the loops call them, with which arguments, and which of those a model may name."""

DRAWS = {"xi": "normal(key, e)", "u": "uniform(key, e)"}
_OTHERWISE = {
    "step_spread": "abs(dw) * bank.numbers[-1]",  # the last number is always dw_min_std
    "random_step": "0.0", "after": "w", "wander": "w", "read_std": "0.0", "write_std": "0.0",
}  # fmt: skip


@dataclass(frozen=True)
class Equations:
    """The functions around a model's equations, as source text, and the numbers that they name."""

    source: str
    numbers: tuple[str, ...]


def equations(parameters: DeviceParameters, own: tuple[str, ...], own_value: str = "bank.own[{k}, e]") -> Equations:
    """Source of ``mean_step`` and the others for a model that is imported as ``_device``.

    ``own``: the model's own frozen values; ``own_value``: how the k-th of device e is written. Raises InputError when
    a function names what neither the contract nor the parameters know.
    """
    model = registry.find("device", parameters.model)
    numbers: list[str] = []
    parts: list[str] = []
    wrong: list[str] = []
    for name, (called, arguments, given) in FUNCTIONS.items():
        function = getattr(model.module, name, None)
        if function is None:
            parts.append(f"@kernel\ndef {called}({arguments}):\n    return {_OTHERWISE[called]}")
            continue
        taken = []
        for argument in inspect.signature(function).parameters:
            if argument in given:
                taken.append(DRAWS.get(argument, argument))
            elif argument in FROZEN:
                taken.append(f"bank.{argument}[e]")
            elif argument in own:
                taken.append(own_value.format(k=own.index(argument)))
            elif argument == "table":
                taken.append("bank.table")
            elif isinstance(getattr(parameters, argument, None), int | float):
                if argument not in numbers:
                    numbers.append(argument)
                taken.append(f"bank.numbers[{numbers.index(argument)}]")
            else:
                wrong.append(f"device {parameters.model!r}: {name} names {argument!r}, neither an argument of the "
                             f"contract ({', '.join((*given, *FROZEN))}, table), nor frozen ({', '.join(own)}), "
                             "nor a number among its parameters")  # fmt: skip
        if DRAWS["xi"] in taken and DRAWS["u"] in taken:
            wrong.append(
                f"device {parameters.model!r}: {name} names xi and u, which are the same random bits; take one"
            )
        parts.append(f"_{name} = kernel(_device.{name})\n\n\n@kernel\ndef {called}({arguments}):\n"
                     f"    return _{name}({', '.join(taken)})")  # fmt: skip
    if wrong:
        raise InputError(wrong)
    return Equations("\n\n\n".join(parts), tuple(numbers))


def numbers(parameters: DeviceParameters, names: tuple[str, ...]) -> tuple[float, ...]:
    """The values of the numbers that a model names, and dw_min_std at the end."""
    return (*(float(getattr(parameters, name)) for name in names), parameters.dw_min_std)


def write_noise(parameters: DeviceParameters) -> int:
    """0: none, 1: it is stored, 2: it is only in what is read."""
    return {"accumulates": 1, "apparent": 2}[parameters.write_noise] if parameters.write_noise_std > 0.0 else 0


def is_plain(parameters: DeviceParameters) -> bool:
    """Whether the common loop (``neurosim.kernels.composed.program``) can program the device."""
    module = registry.find("device", parameters.model).module
    names = tuple(inspect.signature(module.step).parameters)
    return (
        names == COMMON
        and write_noise(parameters) < 2
        and not hasattr(module, "spread")
        and not hasattr(module, "jump")
        and not laws(parameters).any
    )
