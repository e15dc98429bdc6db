"""Which laws of time and of reads act on a run's devices."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from neurosim import registry
from neurosim.models.devices.base import DeviceParameters


@dataclass(frozen=True)
class Laws:
    """What changes a device, or what is read of it, besides pulses."""

    ages: bool = False
    """What is read depends on the time since the last write (``aged``: drift, leak, retention)."""
    wanders: bool = False
    """Chance changes what is stored as time passes (``elapse``: diffusion, telegraph noise)."""
    noisy: bool = False
    """Reads have noise of the device's own (``read_spread``)."""
    dated: bool = False
    """The time of each device's last write is kept."""
    memoryless: bool = False
    """``aged(aged(w, a), b) = aged(w, a + b)``: what chance adds later can age from then on."""

    @property
    def any(self) -> bool:
        """Whether there is any."""
        return self.ages or self.wanders or self.noisy

    @property
    def clocked(self) -> bool:
        """Whether the kernel has to know the chip's time."""
        return self.ages or self.wanders or self.dated


def laws(parameters: DeviceParameters) -> Laws:
    """The laws of a device's model, without those that its numbers switch off."""
    module = registry.find("device", parameters.model).module
    acting = {
        name for name in ("aged", "elapse", "read_spread")
        if hasattr(module, name) and name not in parameters.switched_off
    }  # fmt: skip
    noise_ages = "read_spread" in acting and "age_s" in inspect.signature(module.read_spread).parameters
    return Laws(
        ages="aged" in acting,
        wanders="elapse" in acting,
        noisy="read_spread" in acting,
        dated="aged" in acting or noise_ages,
        memoryless=bool(getattr(module, "MEMORYLESS", False)),
    )
