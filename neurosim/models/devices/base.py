r"""What all weight devices have in common: parameters, mismatch, and noise (not a model).

**Mismatch** is drawn once, when the chip is fabricated, with independent standard normals xi for each device:

    w_max_i      = w_max (1 + w_max_dtod xi_1)
    w_min_i      = w_min (1 + w_min_dtod xi_2)
    gain_i       = 1 + dw_min_dtod xi_3
    r_i          = up_down_dtod xi_4
    scale_up_i   = | dw_min (gain_i + r_i + min(up_down, 0)) |
    scale_down_i = | dw_min (gain_i - r_i - max(up_down, 0)) |

Bounds that come out in the wrong order are swapped, and then w_max_i = |w_max_i|, w_min_i = -|w_min_i|.

**Noise** comes with every pulse. With xi, xi' standard normals,

    dw = step(w, ...) (1 + dw_min_std xi) + write_noise_std dw_min xi',        w <- clip(w + dw, w_min_i, w_max_i)

n pulses are n such steps, one after the other, each with its own noise.

w, w_min, w_max, dw_min         weight units (dimensionless; the chip file maps them to conductances)
dw_min_dtod, w_*_dtod, up_down* relative; dw_min_std in units of the step itself, write_noise_std in units of dw_min
_dtod, _std                     device to device (frozen), pulse to pulse

With ``dw_min_dtod_log_normal`` the gain is exp(dw_min_dtod xi_3). With ``write_noise = "apparent"`` the write noise is
not stored: w keeps its value, and what is read is w + write_noise_std dw_min xi', drawn anew by every pulse.

What a model file may define beyond ``step``, and how it names its arguments, stands in ``docs/devices.md``; the names
of its further frozen values (``own``) and tables are here.

Source: T. Gokmen, Y. Vlasov, Front. Neurosci. 10, 333 (2016); M. J. Rasch et al., A flexible and fast PyTorch toolkit
for simulating training and inference on analog crossbar arrays, AICAS (2021), whose conventions these are, with one
difference: there write noise is always added to what is read and not to what is stored; here, unless asked for
("apparent"), it is stored, and accumulates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from neurosim.registry import ModelParameters

Normals: TypeAlias = Callable[[int], NDArray[np.float64]]
"""Standard normals of all devices, one per device, for the number of a draw: 0 to 3 are the common mismatch's; models
take theirs from FIRST_OWN_DRAW on."""

FIRST_OWN_DRAW = 8


class DeviceParameters(ModelParameters):
    """Nominal values, mismatch and noise of a weight device; all imperfections are off by default."""

    dw_min: float = Field(default=1e-3, gt=0.0, description="mean step of one pulse at w = 0, in weight units")
    dw_min_dtod: float = Field(default=0.0, ge=0.0, description="mismatch of the step, relative")
    dw_min_std: float = Field(default=0.0, ge=0.0, description="noise of each step, relative to the step")
    up_down: float = Field(
        default=0.0, ge=-1.0, le=1.0, description="asymmetry: below 0 the up step is smaller, above 0 the down step"
    )
    up_down_dtod: float = Field(default=0.0, ge=0.0, description="mismatch of the asymmetry, relative to dw_min")
    w_max: float = Field(default=1.0, gt=0.0, description="upper bound, in weight units")
    w_min: float = Field(default=-1.0, le=0.0, description="lower bound, in weight units")
    w_max_dtod: float = Field(default=0.0, ge=0.0, description="mismatch of the upper bound, relative")
    w_min_dtod: float = Field(default=0.0, ge=0.0, description="mismatch of the lower bound, relative")
    write_noise_std: float = Field(default=0.0, ge=0.0, description="added with every pulse, in units of dw_min")
    write_noise: Literal["accumulates", "apparent"] = Field(
        default="accumulates", description="whether write noise is stored, or only in what is read until the next pulse"
    )
    dw_min_dtod_log_normal: bool = Field(default=False, description="mismatch of the step is log-normal")

    @property
    def step_size(self) -> float:
        """The nominal step of one pulse: what a wanted change is divided by to get a number of pulses."""
        return self.dw_min

    @property
    def grid(self) -> float:
        """Distance of the levels that the device can hold, counted from w_min; 0: every value."""
        return 0.0

    @property
    def switched_off(self) -> tuple[str, ...]:
        """Which of the model's functions ``aged``, ``elapse`` and ``read_spread`` these numbers make do nothing."""
        return ()

    def own(self, devices: DeviceArrays, normals: Normals) -> tuple[DeviceArrays, dict[str, NDArray[np.floating]]]:
        """The model's further frozen values of every device, by name, and the common ones as it wants them."""
        return devices, {}

    def table(self) -> NDArray[np.float64]:
        """What the model's functions get as ``table``: measured curves, quantiles."""
        return np.zeros(1)


IMPERFECTIONS = ("dw_min_dtod", "dw_min_std", "up_down", "up_down_dtod", "w_max_dtod", "w_min_dtod", "write_noise_std")


class PerfectParameters(DeviceParameters):
    """Base of devices that are digital or ideal: every imperfection must stay off."""

    @model_validator(mode="after")
    def _perfect(self) -> PerfectParameters:
        wrong = [name for name in IMPERFECTIONS if getattr(self, name) != 0.0]
        if wrong:
            raise ValueError(f"device {self.model!r} has no {', '.join(wrong)}; use 'constant-step' or 'soft-bounds'")
        return self


class DeviceArrays(NamedTuple):
    """The frozen parameters of every device, float32."""

    scale_up: NDArray[np.float32]
    scale_down: NDArray[np.float32]
    w_min: NDArray[np.float32]
    w_max: NDArray[np.float32]


class Fabricated(NamedTuple):
    """What mismatch has made of the devices."""

    arrays: DeviceArrays
    names: tuple[str, ...]
    """The model's further frozen values."""
    own: NDArray[np.float32]
    """[name, device]"""


def draw(parameters: DeviceParameters, count: int, seed: int) -> DeviceArrays:
    """The common frozen parameters of ``count`` devices: `fabricate` without the model's own."""
    return fabricate(parameters, count, seed).arrays


def fabricate(parameters: DeviceParameters, count: int, seed: int) -> Fabricated:
    """Fabricate ``count`` devices; ``seed`` is the chip's fabrication seed, and device i depends on it and i alone."""
    from neurosim.kernels import random  # compiled code: not needed to check a chip file

    def normals(which: int) -> NDArray[np.float64]:
        xi = np.empty(count, dtype=np.float64)
        random.normals(xi, seed, random.STREAM_MISMATCH_DEVICE, which, 0, 0)
        return xi

    w_max = parameters.w_max * (1.0 + parameters.w_max_dtod * normals(0))
    w_min = parameters.w_min * (1.0 + parameters.w_min_dtod * normals(1))
    spread = parameters.dw_min_dtod * normals(2)
    gain = np.exp(spread) if parameters.dw_min_dtod_log_normal else 1.0 + spread
    r = parameters.up_down_dtod * normals(3)
    scale_up = parameters.step_size * np.abs(gain + r + min(parameters.up_down, 0.0))
    scale_down = parameters.step_size * np.abs(gain - r - max(parameters.up_down, 0.0))
    above, below = np.abs(np.maximum(w_max, w_min)), -np.abs(np.minimum(w_max, w_min))
    if parameters.w_min < 0.0:  # no division by zero in soft bounds
        below = np.minimum(below, -float(np.finfo(np.float32).tiny))
    above = np.maximum(above, float(np.finfo(np.float32).tiny))
    as_float32 = [np.asarray(values, dtype=np.float32) for values in (scale_up, scale_down, below, above)]
    arrays, own = parameters.own(DeviceArrays(*as_float32), normals)
    frozen = np.empty((len(own), count), np.float32)
    for row, values in enumerate(own.values()):
        frozen[row] = values
    return Fabricated(arrays, tuple(own), frozen)


def start(parameters: DeviceParameters, devices: DeviceArrays, weights: NDArray[np.floating]) -> NDArray[np.float32]:
    """What the devices hold after wanted first weights were written with care: within bounds, and on the grid."""
    held = np.asarray(weights, dtype=np.float64)
    if parameters.grid > 0.0:
        held = devices.w_min + np.rint((held - devices.w_min) / parameters.grid) * parameters.grid
    return np.clip(held, devices.w_min, devices.w_max).astype(np.float32)


def lifetimes(median_pulses: float, log_std: float, count: int, seed: int) -> NDArray[np.uint32]:
    """Pulses until each of ``count`` devices is stuck: ``median exp(log_std xi)``, rounded up, drawn with the
    fabrication seed; at least 1 and at most 2^32 - 1."""
    from neurosim.kernels import random  # compiled code: not needed to check a chip file

    xi = np.empty(count, dtype=np.float64)
    random.normals(xi, seed, random.STREAM_MISMATCH_DEVICE, FIRST_OWN_DRAW - 1, 0, 0)
    drawn = np.ceil(median_pulses * np.exp(log_std * xi))
    return np.clip(drawn, 1.0, 2.0**32 - 1.0).astype(np.uint32)


def noisy(dw: float, std: float, xi: float) -> float:
    """A step with its own noise: dw (1 + std xi)."""
    return dw + dw * std * xi


def bounded(w: float, w_min: float, w_max: float) -> float:
    """w, cut to w_min..w_max."""
    return min(max(w, w_min), w_max)
