"""Composes the kernel of one device model: its equations, called with the arguments that they name.

A model's functions know their arguments by name. The composer writes one small function around each of them, which
takes those arguments from the devices' frozen values, the model's numbers or the random stream, and copies the loops of
``neurosim.kernels.devices`` below. Numbers stay run-time values, so two devices of one model share a kernel.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from types import ModuleType

from neurosim import registry
from neurosim.engine import emit_devices, program
from neurosim.kernels import devices as loops
from neurosim.models.devices.base import DeviceParameters

KERNELS = ("pulse", "present", "read", "read_columns", "drift", "written")


@dataclass(frozen=True)
class Composed:
    """A device model's kernel, and the numbers that its functions name, in their order."""

    module: ModuleType
    numbers: tuple[str, ...]


def compose(parameters: DeviceParameters, own: tuple[str, ...], *, counts: bool, heats: bool) -> Composed:
    """The kernel of a device model; ``counts``: pulses of each device, ``heats``: conductances for the energy."""
    model = registry.find("device", parameters.model)
    made = emit_devices.equations(parameters, own)
    has = model.module.__dict__
    head = [
        f'"""A composed kernel: a population of {parameters.model} devices."""',
        "from __future__ import annotations",
        "from typing import Any",
        "import numpy as np",
        "from neurosim.kernels.devices import FORGOTTEN, UNIT, Array, Bank",
        "from neurosim.kernels.random import normal, sub_key, uniform",
        "from neurosim.kernels.wrap import kernel",
        f"import {model.module_name} as _device",
        "",
        f"NOISY = {'spread' in has or parameters.dw_min_std > 0.0}",
        f"JUMPS = {'jump' in has}",
        f"WRITE_NOISE = {emit_devices.write_noise(parameters)}",
        f"AGES = {'aged' in has or 'read_spread' in has}",
        f"REBASES = {'aged' in has and getattr(model.module, 'MEMORYLESS', False)}",
        f"COUNTS = {counts}",
        f"HEATS = {heats}",
    ]
    copied = [inspect.getsource(getattr(loops, name).py_func) for name in ("pulsed", "conductance", *KERNELS)]
    source = "\n".join(head) + "\n\n\n" + made.source + "\n\n\n" + "\n\n".join(copied)
    modules = ("neurosim.kernels.wrap", "neurosim.kernels.random", "neurosim.kernels.devices", model.module_name)
    return Composed(program.load(source, modules), made.numbers)
