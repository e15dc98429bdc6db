"""What a chip file says things cost: prices of countables and static power, each with source, kind and interval."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from neurosim import registry
from neurosim.registry import Parameters
from neurosim.spec.countables import COUNTABLES
from neurosim.units import Joules, Seconds, Watts

Kind = Literal["measured", "published", "simulated", "derived", "assumed"]


class Price(Parameters):
    """What one countable costs: energy in J, latency in s, with source, kind and, where assumed, low and high."""

    energy_J: Joules = Field(ge=0.0, description="energy of one")
    latency_s: Seconds = Field(default=0.0, ge=0.0, description="time that one keeps its unit busy")
    source: str = Field(min_length=1, description="where the number comes from")
    kind: Kind = Field(description="what the number is; assumed ones need an interval")
    low_J: Joules | None = Field(default=None, ge=0.0, description="lowest plausible energy")
    high_J: Joules | None = Field(default=None, ge=0.0, description="highest plausible energy")
    latency_kind: Kind | None = Field(default=None, description="kind of latency_s where it is not that of energy_J")
    low_s: Seconds | None = Field(default=None, ge=0.0, description="lowest plausible latency")
    high_s: Seconds | None = Field(default=None, ge=0.0, description="highest plausible latency")

    @model_validator(mode="after")
    def _intervals(self) -> Price:
        problems = _interval(
            "price", self.kind, self.energy_J, self.low_J, self.high_J, ("low_J", "energy_J", "high_J")
        )
        if self.latency_s > 0.0 or self.low_s is not None or self.high_s is not None:
            kind = self.latency_kind or self.kind
            names = ("low_s", "latency_s", "high_s")
            problems += _interval("latency", kind, self.latency_s, self.low_s, self.high_s, names)
        if problems:
            raise ValueError("\n".join(problems))
        return self


def _interval(
    what: str, kind: Kind, value: float, low: float | None, high: float | None, names: tuple[str, str, str]
) -> list[str]:
    """What is wrong with an interval: missing where the value is assumed, or not around it."""
    if kind == "assumed" and (low is None or high is None):
        return [f"an assumed {what} needs {names[0]} and {names[2]}"]
    if (low is not None and low > value) or (high is not None and high < value):
        return [f"must hold {' <= '.join(names)}"]
    return []


class StaticPower(Parameters):
    """Power that flows whether or not anything happens, in W, with source and kind.

    A chip draws ``power_W`` + ``core_power_W`` x cores; with ``power_gating`` only the cores in use draw theirs.
    """

    power_W: Watts = Field(ge=0.0, description="of each chip, whatever its cores do")
    core_power_W: Watts = Field(default=0.0, ge=0.0, description="of each core that is powered, on top of power_W")
    power_gating: bool = Field(default=False, description="cores that hold nothing are switched off")
    source: str = Field(min_length=1, description="where the numbers come from")
    kind: Kind = Field(description="what the numbers are; assumed ones need intervals")
    low_W: Watts | None = Field(default=None, ge=0.0, description="lowest plausible power_W")
    high_W: Watts | None = Field(default=None, ge=0.0, description="highest plausible power_W")
    core_low_W: Watts | None = Field(default=None, ge=0.0, description="lowest plausible core_power_W")
    core_high_W: Watts | None = Field(default=None, ge=0.0, description="highest plausible core_power_W")

    @model_validator(mode="after")
    def _intervals(self) -> StaticPower:
        problems = _interval("static power", self.kind, self.power_W, self.low_W, self.high_W,
                             ("low_W", "power_W", "high_W"))  # fmt: skip
        if self.core_power_W > 0.0:
            names = ("core_low_W", "core_power_W", "core_high_W")
            problems += _interval("static power of a core", self.kind, self.core_power_W, self.core_low_W,
                                  self.core_high_W, names)  # fmt: skip
        if problems:
            raise ValueError("\n".join(problems))
        return self


def _countable(name: str) -> str:
    if name not in COUNTABLES:
        raise ValueError(registry.unknown(name, list(COUNTABLES), "price"))
    return name


Countable = Annotated[str, AfterValidator(_countable)]
"""The name of a countable, as a key of ``prices``."""
