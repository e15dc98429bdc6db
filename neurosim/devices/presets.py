"""Named parameter sets of weight devices, with their sources: TOML files that come with the package.

A preset file holds ``name``, ``about``, ``source`` and ``kind`` (``published``: the numbers stand in the source;
``derived``: computed from numbers that do; ``assumed``), the table ``[device]`` (a model and its parameters), and,
where known, ``[electrical]`` (conductances and pulses, for joules) and ``[endurance]`` (lifetime in pulses).
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BeforeValidator, Field, SerializeAsAny, ValidationError, model_validator

from neurosim import models, registry
from neurosim.errors import InputError
from neurosim.models.devices.base import DeviceParameters
from neurosim.registry import ModelParameters, Parameters
from neurosim.spec.hardware import Endurance
from neurosim.units import Seconds, Siemens, Volts

FOLDER = Path(models.__file__).parent / "devices" / "presets"


class Electrical(Parameters):
    """What a device conducts, and the pulses that program and read it: E = V^2 G t of every pulse and read.

    The weight's place between the nominal bounds is the conductance's place between ``g_min_S`` and ``g_max_S``; a
    pulse costs V^2 t (G before + G after) / 2.
    """

    g_min_S: Siemens = Field(ge=0.0, description="conductance at w_min")
    g_max_S: Siemens = Field(gt=0.0, description="conductance at w_max")
    up_V: Volts = Field(description="voltage of an up pulse")
    down_V: Volts = Field(description="voltage of a down pulse")
    up_s: Seconds = Field(gt=0.0, description="length of an up pulse")
    down_s: Seconds = Field(gt=0.0, description="length of a down pulse")
    read_V: Volts = Field(default=0.1, description="voltage of a read")
    read_s: Seconds = Field(default=10e-9, gt=0.0, description="length of a read")
    note: str = Field(default="", description="where these numbers come from")

    @model_validator(mode="after")
    def _order(self) -> Electrical:
        if self.g_max_S <= self.g_min_S:
            raise ValueError(f"g_max_S ({self.g_max_S:g} S) must be above g_min_S ({self.g_min_S:g} S)")
        return self


def _device(value: Any) -> ModelParameters:
    return registry.validated("device", value)


class Preset(Parameters):
    """A device with a name and a source."""

    name: str = Field(description="what it is called by")
    about: str = Field(default="", description="one line")
    source: str = Field(description="where the numbers come from")
    kind: Literal["published", "derived", "assumed"] = Field(default="assumed", description="what the numbers are")
    device: Annotated[SerializeAsAny[ModelParameters], BeforeValidator(_device)] = Field(
        description="model and numbers"
    )
    electrical: Electrical | None = Field(default=None, description="conductances and pulses")
    endurance: Endurance | None = Field(default=None, description="lifetime in pulses")
    fit: dict[str, Any] | None = Field(default=None, description="what a fit found: intervals, errors on held-out data")

    @property
    def parameters(self) -> DeviceParameters:
        """The device's parameters."""
        assert isinstance(self.device, DeviceParameters)
        return self.device


def shipped() -> dict[str, Path]:
    """The presets that come with neurosim, by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}


def preset(name: str) -> Preset:
    """A shipped preset, or the preset in the file ``name``; raises InputError with every problem."""
    models.load_builtin()
    known = shipped()
    path = known.get(name, Path(name).expanduser())
    if name not in known and not path.is_file():
        raise InputError(registry.unknown(name, list(known), "device preset"))
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not a TOML file: {error}", str(path)) from None
    return validated(table, str(path))


def validated(table: dict[str, Any], where: str) -> Preset:
    """A preset from its table; raises InputError with every problem and its key path."""
    try:
        return Preset.model_validate(table)
    except ValidationError as error:
        raise InputError(problems(error), where) from None


def text(preset: Preset) -> str:
    """The preset as a TOML file; what has its default value is left out."""
    table = preset.model_dump(mode="json", exclude_defaults=True)
    table["kind"] = preset.kind
    table["device"] = {"model": preset.device.model, **preset.device.model_dump(mode="json", exclude_defaults=True)}
    return tomli_w.dumps(table)


def problems(error: ValidationError) -> list[str]:
    """One line for each fault, with its key path."""
    return [
        f"{'.'.join(str(part) for part in each['loc']) or 'table'}: {each['msg'].removeprefix('Value error, ')}"
        for each in error.errors()
    ]
