"""A population of weight devices, driven by hand: pulses, reads, time, writing; counts and joules.

>>> import numpy as np
>>> from neurosim.devices.population import Devices
>>> devices = Devices({"model": "soft-bounds", "dw_min": 0.1}, 3)
>>> devices.pulse(np.array([1, -1, 0]))
>>> devices.weights.tolist() == np.array([0.1, -0.1, 0.0], np.float32).tolist()
True
>>> devices.pulses
2
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import ValidationError

from neurosim import models, registry
from neurosim.devices import compose
from neurosim.devices.presets import Electrical, Preset, preset, problems
from neurosim.engine import emit_devices
from neurosim.errors import InputError
from neurosim.kernels import devices as loops
from neurosim.kernels import random
from neurosim.kernels.devices import UNIT, Bank
from neurosim.models.devices import base
from neurosim.models.devices.base import DeviceParameters
from neurosim.spec.hardware import Endurance

Float32 = NDArray[np.float32]
_PULSE, _READ, _TIME, _WRITE = 0, 1, 2, 3
"""Which of a device's random numbers: the place of ``inference`` in its stream."""


@dataclass(frozen=True)
class Verified:
    """What writing with verification took."""

    reads: int
    pulses: int
    rounds: int
    missed: int
    """Devices that are not within the tolerance of their target."""


class Devices:
    """``count`` devices of one kind: fabricated once, then pulsed, read, written and left alone.

    ``device``: a preset's name or file, a model's name, or a table with the key ``model``. ``count``: a number, or the
    shape of the arrays that come and go. ``seed``: of noise; ``fabrication_seed`` (default: ``seed``): of mismatch. The
    same calls with the same seeds give the same bits. ``ideal``: the same device without mismatch and noise.

    ``electrical`` and ``endurance`` override what a preset says; without them there are no joules, and no device dies.
    ``count_pulses``: keep the number of pulses of every device (4 bytes each). Raises InputError listing all problems.

    A device takes 20 bytes (weight, two steps, two bounds), 4 to count its pulses, 4 for every further frozen value of
    its model, 8 where its age matters, 4 where write noise is apparent, 4 for a lifetime (`bytes_per_device`).
    """

    def __init__(
        self,
        device: str | Mapping[str, Any] | DeviceParameters | Preset,
        count: int | tuple[int, ...],
        *,
        seed: int = 0,
        fabrication_seed: int | None = None,
        electrical: Electrical | Mapping[str, Any] | None = None,
        endurance: Endurance | Mapping[str, Any] | None = None,
        count_pulses: bool = True,
        ideal: bool = False,
    ) -> None:
        chosen = _preset(device)
        self.parameters = without_imperfections(chosen.parameters) if ideal else chosen.parameters
        self.electrical = _checked(Electrical, electrical, "electrical") or chosen.electrical
        lives = _checked(Endurance, endurance, "endurance") or chosen.endurance
        self.shape = (count,) if isinstance(count, int) else tuple(count)
        self.count = math.prod(self.shape)
        if self.count < 1:
            raise InputError(f"count: {count!r} devices; there must be at least one")
        self.seed = seed
        fabricated = seed if fabrication_seed is None else fabrication_seed
        made = base.fabricate(self.parameters, self.count, fabricated)
        self.frozen = made
        kernel = compose.compose(
            self.parameters, made.names, counts=count_pulses or lives is not None, heats=self.electrical is not None
        )
        self._kernel: Any = kernel.module
        arrays = made.arrays
        up, down, low, high = (np.array(each) for each in arrays)
        named = emit_devices.numbers(self.parameters, kernel.numbers)
        self._bank = Bank(up, down, low, high, made.own, named, self.parameters.table())
        n = self.count
        self._w = base.start(self.parameters, arrays, np.zeros(n))
        self._shown = self._w.copy() if self._kernel.WRITE_NOISE == 2 else np.zeros(1, np.float32)
        self._since = np.zeros(n if self._kernel.AGES else 1, np.float64)
        self._count = np.zeros(n if self._kernel.COUNTS else 1, np.uint32)
        self._left = np.zeros(1, np.uint32)
        self._life = None if lives is None else base.lifetimes(lives.median_pulses, lives.log_std, n, fabricated)
        self._tally = np.zeros(4, np.int64)
        self._events = 0
        self.reads = 0
        self.time_s = 0.0

    def _key(self, which: int) -> int:
        self._events += 1
        return int(random.stream_key(self.seed, random.STREAM_WRITE_NOISE, self._events, which, 0))

    @property
    def weights(self) -> Float32:
        """What the devices hold now, seen without read noise, in weight units."""
        out = np.empty(self.count, np.float32)
        self._kernel.present(self._w, self._shown, self._since, self.time_s, out, self._bank)
        return out.reshape(self.shape)

    @property
    def stored(self) -> Float32:
        """What the devices held after their last pulse, apparent write noise left out."""
        return self._w.reshape(self.shape).copy()

    @property
    def bounds(self) -> tuple[Float32, Float32]:
        """Lower and upper bound of each device."""
        return self._bank.w_min.reshape(self.shape), self._bank.w_max.reshape(self.shape)

    @property
    def conductances_S(self) -> NDArray[np.float64]:
        """What the devices conduct now; raises InputError where nothing electrical is known."""
        known = self._known()
        p = self.parameters
        place = np.clip((self.weights.astype(np.float64) - p.w_min) / (p.w_max - p.w_min), 0.0, 1.0)
        return np.asarray(known.g_min_S + place * (known.g_max_S - known.g_min_S))

    def pulse(self, number: ArrayLike) -> None:
        """Send every device its number of pulses: up where positive, down where negative; one for all, or one each.

        n pulses are n steps, one after the other, each with its own noise, and cut to the device's bounds.
        """
        many = np.asarray(number)
        if many.dtype.kind not in "iu":
            raise InputError(f"pulses come in whole numbers, not {many.dtype}")
        try:
            many = np.ascontiguousarray(np.broadcast_to(many, self.shape)).reshape(-1)
        except ValueError:
            raise InputError(f"pulses of shape {many.shape} for devices of shape {self.shape}") from None
        p = self.parameters
        if self._left.size < self.count and many.size and int(abs(many.astype(np.int64)).max()) > 1:
            self._left = np.zeros(self.count, np.uint32)
        self._kernel.pulse(
            self._w, self._shown, self._since, self._count, many, self.time_s, p.write_noise_std * p.dw_min,
            np.float32(p.w_min), np.float32(1.0 / (p.w_max - p.w_min)), self._key(_PULSE), self._key(_PULSE),
            self._left, self._tally, self._bank,
        )  # fmt: skip
        if self._life is not None:
            self._bury(self._life)

    def _bury(self, life: NDArray[np.uint32]) -> None:
        """Devices past their lifetime take no more steps."""
        dead = self._count >= life
        self._bank.scale_up[dead] = 0.0
        self._bank.scale_down[dead] = 0.0

    def read(self) -> Float32:
        """One read of every device, with its noise."""
        out = np.empty(self.count, np.float32)
        self._kernel.read(self._w, self._shown, self._since, self.time_s, out, self._key(_READ), self._bank)
        self.reads += self.count
        return out.reshape(self.shape)

    def read_columns(self, x: ArrayLike, *, noisy: bool = True) -> NDArray[np.float64]:
        """sum_i x_i w_ij of devices [i, j], the noise of all reads lumped by column: one draw of exact variance."""
        if len(self.shape) != 2:
            raise InputError(f"columns need devices in two dimensions, and these have the shape {self.shape}")
        rows, columns = self.shape
        inputs = np.asarray(x, np.float64)
        if inputs.shape != (rows,):
            raise InputError(f"inputs of shape {inputs.shape} for {rows} rows")
        out, variance = np.zeros(columns), np.zeros(columns, np.float32)
        self._kernel.read_columns(
            self._w, self._shown, self._since, self.time_s, inputs, rows, columns, out, variance, noisy,
            self._key(_READ), self._bank,
        )  # fmt: skip
        self.reads += int(np.count_nonzero(inputs)) * columns
        return out

    def elapse(self, seconds: float) -> None:
        """Time passes on the chip: drift, leak and retention by their laws, diffusion and telegraph noise by chance."""
        if not (seconds >= 0.0 and math.isfinite(seconds)):
            raise InputError(f"time goes forward: {seconds!r} s")
        if hasattr(self._kernel, "_elapse") and seconds > 0.0:
            self._kernel.drift(
                self._w, self._shown, self._since, self.time_s + float(seconds), float(seconds), self._key(_TIME),
                self._bank,
            )  # fmt: skip
        self.time_s += float(seconds)

    def write(self, weights: ArrayLike) -> None:
        """Write weights as a loop of reads and pulses would leave them, by the law of its error, without that loop."""
        wanted = np.ascontiguousarray(np.broadcast_to(np.asarray(weights, np.float32), self.shape)).reshape(-1)
        held = base.start(self.parameters, self.frozen.arrays, wanted)
        self._kernel.written(
            self._w, self._shown, self._since, held, self.time_s, self._key(_WRITE), self._bank
        )  # fmt: skip

    def program(self, weights: ArrayLike, *, tolerance: float, rounds: int = 1000) -> Verified:
        """Write with verification: read, pulse what is off by more than ``tolerance``, until all fit or rounds end.

        Every read and pulse counts. A round sends each device as many pulses as its error is nominal steps, at least 1.
        """
        wanted = np.broadcast_to(np.asarray(weights, np.float64), self.shape)
        before_reads, before_pulses = self.reads, self.pulses
        waiting = np.ones(self.shape, bool)
        turns = 0
        for turns in range(rounds + 1):
            error = wanted - self._read_some(waiting)
            waiting &= np.abs(error) > tolerance
            if not waiting.any() or turns == rounds:
                break
            number = np.zeros(self.count, np.int64)
            wanted_error = np.where(waiting, error, 0.0).reshape(-1)
            loops.corrections(wanted_error, tolerance, self.parameters.step_size, number)
            self.pulse(number.reshape(self.shape))
        return Verified(self.reads - before_reads, self.pulses - before_pulses, turns, int(waiting.sum()))

    def _read_some(self, waiting: NDArray[np.bool_]) -> Float32:
        values = self.read()
        self.reads -= self.count - int(waiting.sum())
        return values

    @property
    def pulses(self) -> int:
        """Pulses sent so far that a device took."""
        return int(self._tally[0] + self._tally[1])

    @property
    def pulses_up(self) -> int:
        """Up pulses among them."""
        return int(self._tally[0])

    @property
    def pulses_down(self) -> int:
        """Down pulses among them."""
        return int(self._tally[1])

    @property
    def pulses_each(self) -> NDArray[np.uint32]:
        """Pulses of every device; raises InputError where they are not counted."""
        if not self._kernel.COUNTS:
            raise InputError("pulses of each device are not counted (count_pulses=False)")
        return self._count.reshape(self.shape).copy()

    @property
    def worst_pulses(self) -> int:
        """Pulses of the device that had most: what endurance is about."""
        return int(self.pulses_each.max())

    @property
    def worn(self) -> int:
        """Devices past their lifetime."""
        return 0 if self._life is None else int(np.count_nonzero(self._count >= self._life))

    def _known(self) -> Electrical:
        if self.electrical is None:
            raise InputError("joules need electrical numbers: a preset that has them, or electrical={'g_min_S': ..., "
                             "'g_max_S': ..., 'up_V': ..., 'down_V': ..., 'up_s': ..., 'down_s': ...}")  # fmt: skip
        return self.electrical

    @property
    def pulse_energy_J(self) -> float:
        """V^2 t (G before + G after) / 2 of all pulses so far."""
        known = self._known()
        unit = (known.g_max_S - known.g_min_S) / UNIT
        up, down, heat_up, heat_down = (float(each) for each in self._tally)
        conducted_up = up * known.g_min_S + 0.5 * unit * heat_up
        conducted_down = down * known.g_min_S + 0.5 * unit * heat_down
        return known.up_V**2 * known.up_s * conducted_up + known.down_V**2 * known.down_s * conducted_down

    @property
    def read_energy_J(self) -> float:
        """V^2 G t of all reads so far, at the middle conductance (reads do not sum conductances)."""
        known = self._known()
        return self.reads * known.read_V**2 * known.read_s * 0.5 * (known.g_min_S + known.g_max_S)

    @property
    def energy_J(self) -> float:
        """Pulses and reads."""
        return self.pulse_energy_J + self.read_energy_J

    @property
    def bytes_per_device(self) -> float:
        """What the arrays of the population take, over its devices."""
        bank = self._bank
        arrays: list[NDArray[Any]] = [self._w, self._shown, self._since, self._count, bank.own]
        arrays += [bank.scale_up, bank.scale_down, bank.w_min, bank.w_max]
        arrays += [] if self._life is None else [self._life]
        return sum(each.nbytes for each in arrays if each.size >= self.count) / self.count


class DevicePair:
    """Weights of both signs from cells that only grow: the difference of two cells, each pulsed up.

    ``device``, ``count``, ``seed`` and the rest as of `Devices`. Up pulses go to the plus cell and down pulses to the
    minus cell; `refresh` melts both cells of a pair and writes their difference into one of them.
    """

    def __init__(self, device: str | Mapping[str, Any], count: int | tuple[int, ...], **given: Any) -> None:
        seed = int(given.pop("seed", 0))
        fabrication = int(given.pop("fabrication_seed", seed) or 0)
        self.plus = Devices(device, count, seed=2 * seed, fabrication_seed=2 * fabrication, **given)
        self.minus = Devices(device, count, seed=2 * seed + 1, fabrication_seed=2 * fabrication + 1, **given)
        self.refreshed = 0

    @property
    def weights(self) -> Float32:
        """Plus minus minus."""
        return self.plus.weights - self.minus.weights

    def read(self) -> Float32:
        """One read of both cells of every weight."""
        return self.plus.read() - self.minus.read()

    def pulse(self, number: ArrayLike) -> None:
        """Up pulses to the plus cells, down pulses to the minus cells (as up pulses)."""
        many = np.asarray(number)
        if many.dtype.kind not in "iu":
            raise InputError(f"pulses come in whole numbers, not {many.dtype}")
        signed = many.astype(np.int64)
        self.plus.pulse(np.maximum(signed, 0))
        self.minus.pulse(np.maximum(-signed, 0))

    def refresh(self, full: float = loops.FULL, other: float = loops.OTHER) -> int:
        """Refresh pairs whose larger cell is above ``full`` and whose smaller is above ``other`` of w_max.

        Both cells take one down pulse, and the larger gets its difference back by up pulses (read, count the steps,
        pulse). Returns how many pairs there were.
        """
        p, m = self.plus.weights, self.minus.weights
        top = self.plus.parameters.w_max
        due = (np.maximum(p, m) > full * top) & (np.minimum(p, m) > other * top)
        if not due.any():
            return 0
        difference = np.where(due, p - m, 0.0)
        self.plus.pulse(np.where(due, -1, 0))
        self.minus.pulse(np.where(due, -1, 0))
        self._grow(self.plus, np.maximum(difference, 0.0), due & (difference > 0))
        self._grow(self.minus, np.maximum(-difference, 0.0), due & (difference < 0))
        self.refreshed += int(due.sum())
        return int(due.sum())

    @staticmethod
    def _grow(cells: Devices, target: NDArray[np.floating], which: NDArray[np.bool_]) -> None:
        for _ in range(1000):
            short = which & (cells.weights < target)
            if not short.any():
                return
            cells.pulse(short.astype(np.int64))

    def elapse(self, seconds: float) -> None:
        """Time passes for both."""
        self.plus.elapse(seconds)
        self.minus.elapse(seconds)

    @property
    def pulses(self) -> int:
        """Pulses of both."""
        return self.plus.pulses + self.minus.pulses

    @property
    def energy_J(self) -> float:
        """Joules of both."""
        return self.plus.energy_J + self.minus.energy_J


def _preset(device: str | Mapping[str, Any] | DeviceParameters | Preset) -> Preset:
    """What a user means by a device."""
    if isinstance(device, Preset):
        return device
    models.load_builtin()
    if isinstance(device, str) and device not in registry.names("device"):
        return preset(device)
    try:
        parameters = registry.validated("device", dict(device) if isinstance(device, Mapping) else device)
    except ValidationError as error:
        raise InputError(problems(error), "device") from None
    except ValueError as error:
        raise InputError(str(error), "device") from None
    return Preset(name=parameters.model, source="given by hand", device=parameters)


def _checked(schema: Any, value: Any, where: str) -> Any:
    if value is None or isinstance(value, schema):
        return value
    try:
        return schema.model_validate(dict(value))
    except ValidationError as error:
        raise InputError(problems(error), where) from None


def without_imperfections(parameters: DeviceParameters) -> DeviceParameters:
    """The same device without mismatch and noise: every ``_dtod`` and ``_std`` is 0; laws of time stay."""
    off = {name: 0.0 for name in type(parameters).model_fields
           if (name.endswith(("_dtod", "_std")) and getattr(parameters, name) != 0.0)}  # fmt: skip
    return parameters.model_copy(update=off)
