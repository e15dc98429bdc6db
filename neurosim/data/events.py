"""Events in memory: who fired when, in one recording, and how they become spikes at the inputs of a network.

An event is (time, address, polarity): a pixel of an event camera that saw light rise or fall, a channel of a cochlea. A
spike is (tick, neuron). :class:`AddressMap` says which neuron an address drives, :func:`bin_events` puts events into
ticks. The readers are :mod:`neurosim.data.nmnist`, :mod:`neurosim.data.aedat`, :mod:`neurosim.data.spike_lists` and
:mod:`neurosim.trace.shd`; ``docs/events.md`` shows them all.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurosim.errors import InputError
from neurosim.units import femtoseconds

Integers = NDArray[np.int64]
Polarity = Literal["last", "first", "ignore", "on", "off"]

MOST_LINES = 5
"""Lines that an error gives to one kind of fault; what is left is counted in one more."""
FS_PER_US = 10**9
"""Femtoseconds in a microsecond."""


class SpikeList(NamedTuple):
    """Spikes in the order of their ticks, then of their neurons; no neuron spikes twice in a tick unless told to."""

    tick: Integers
    """int64[n], from 0."""
    neuron: Integers
    """int64[n], from 0."""


@dataclass(frozen=True, eq=False, repr=False)
class Events:
    """The events of one recording, in the order of time.

    ``time_us``: int64[n], whole microseconds from 0, never falling.
    ``address``: int64[n], 0..size-1; of a camera row by row, address = y width + x.
    ``polarity``: int8[n], 1 where light rose (on), 0 where it fell (off); None where events have none.
    ``shape``: (height, width) of a camera, (channels,) of a cochlea; size is their product.
    ``origin_us``: what the recorder's clock showed at time 0.
    ``source``: where the events come from, in words.

    Raises :class:`InputError` with everything that is wrong.
    """

    time_us: Integers
    address: Integers
    polarity: NDArray[np.int8] | None
    shape: tuple[int, ...]
    origin_us: int = 0
    source: str = ""

    def __post_init__(self) -> None:
        problems = shape_problems(self.shape)
        arrays: dict[str, NDArray[Any]] = {"time_us": np.asarray(self.time_us), "address": np.asarray(self.address)}
        if self.polarity is not None:
            arrays["polarity"] = np.asarray(self.polarity)
        for name, array in arrays.items():
            if array.ndim != 1 or (array.size and array.dtype.kind not in "biu"):
                problems.append(f"{name} must be a list of whole numbers, not {array.dtype} of shape {array.shape}")
        if len({array.shape for array in arrays.values()}) > 1:
            sizes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
            problems.append(f"all must be equally long: {sizes}")
        if problems:
            raise InputError(problems, "events")
        for name, array in arrays.items():
            object.__setattr__(self, name, array.astype(np.int8 if name == "polarity" else np.int64, copy=False))

        def tell(i: int) -> str:
            return f"event {i}"

        time, address = self.time_us, self.address
        if time.size:
            problems += listed(time < 0, tell, lambda i: f"time {time[i]} us is before 0")
            problems += backwards(time, tell)
            problems += listed((address < 0) | (address >= self.size), tell,
                               lambda i: f"address {address[i]} is outside 0..{self.size - 1}")  # fmt: skip
        if self.polarity is not None:
            given = arrays["polarity"]
            problems += listed((given != 0) & (given != 1), tell, lambda i: f"polarity {given[i]} is neither 0 nor 1")
        if problems:
            raise InputError(problems, "events")

    def __len__(self) -> int:
        return int(self.time_us.size)

    def __repr__(self) -> str:
        return f"Events({len(self)} events of {self.size} addresses, {self.duration_us / 1e3:g} ms)"

    @property
    def size(self) -> int:
        """Number of addresses."""
        return math.prod(self.shape)

    @property
    def duration_us(self) -> int:
        """Time of the last event, 0 where there is none."""
        return int(self.time_us[-1]) if len(self) else 0

    @property
    def x(self) -> Integers:
        """Column of each event, from the left; of a cochlea its channel."""
        return self.address % self.shape[-1]

    @property
    def y(self) -> Integers:
        """Row of each event, from the top; of a cochlea 0."""
        return self.address // self.shape[-1]


class Recordings(Protocol):
    """A set of labelled recordings, each read when it is asked for: ``recordings[i]``."""

    @property
    def labels(self) -> Integers:
        """int64[n], the class of each recording."""
        ...

    @property
    def classes(self) -> int:
        """Number of classes."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what recorded."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Events: ...


# --- what is wrong, and where -----------------------------------------------------------------------------------------


def listed(bad: NDArray[np.bool_], tell: Callable[[int], str], what: Callable[[int], str]) -> list[str]:
    """``"PLACE: FAULT"`` for the first ``MOST_LINES`` true entries of ``bad``, and a line that counts the others."""
    places = np.flatnonzero(bad)
    lines = [f"{tell(int(i))}: {what(int(i))}" for i in places[:MOST_LINES]]
    if places.size > MOST_LINES:
        lines.append(f"... and {places.size - MOST_LINES} more like the last")
    return lines


def backwards(time: NDArray[Any], tell: Callable[[int], str], last: int | None = None, unit: str = " us") -> list[str]:
    """Where time falls; ``last`` is the time before ``time[0]``."""
    falls = np.zeros(time.size, np.bool_)
    falls[1:] = time[1:] < time[:-1]
    if last is not None and time.size:
        falls[0] = time[0] < last

    def what(i: int) -> str:
        return f"time goes back, from {time[i - 1] if i else last}{unit} to {time[i]}{unit}"

    return listed(falls, tell, what)


def shape_problems(shape: object) -> list[str]:
    """What is wrong with the shape of a recorder."""
    if (
        not isinstance(shape, tuple)
        or not 1 <= len(shape) <= 2
        or any(isinstance(side, bool) or not isinstance(side, (int, np.integer)) or side < 1 for side in shape)
    ):
        return [f"shape = {shape!r}: must be (height, width) or (channels,), whole numbers of at least 1"]
    return []


def open_file(path: Path) -> tuple[IO[bytes], int]:
    """The file for reading, and its bytes; an :class:`InputError` says why it cannot be read."""
    try:
        if path.exists() and not path.is_file():
            raise InputError("is not a file", str(path))
        stream = open(path, "rb")  # noqa: SIM115  (the caller closes it)
    except FileNotFoundError:
        raise InputError("there is no such file", str(path)) from None
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", str(path)) from None
    return stream, os.fstat(stream.fileno()).st_size


def join(blocks: Iterable[Events], shape: tuple[int, ...], source: str, *, sort: bool, polar: bool = True) -> Events:
    """All blocks of a recording as one, its events in the order of time if ``sort`` (stable: equal times stay)."""
    found = list(blocks)
    if not found:
        nothing = np.zeros(0, np.int64)
        return Events(nothing, nothing, np.zeros(0, np.int8) if polar else None, shape, 0, source)
    time = np.concatenate([block.time_us for block in found])
    address = np.concatenate([block.address for block in found])
    polarity = np.concatenate([block.polarity for block in found if block.polarity is not None]) if polar else None
    if sort:
        order = np.argsort(time, kind="stable")
        time, address = time[order], address[order]
        polarity = None if polarity is None else polarity[order]
    return Events(time, address, polarity, shape, found[0].origin_us, source)


# --- addresses to neurons ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class AddressMap:
    """Which neuron an event drives: ``table[address, polarity]``, -1 for none; neurons count from 0 to ``neurons`` - 1.

    Make one with :func:`address_map`, or write any table.
    """

    table: Integers
    """int64[size, 2], the columns off and on."""
    neurons: int

    def __post_init__(self) -> None:
        table = np.asarray(self.table)
        problems = []
        if isinstance(self.neurons, bool) or not isinstance(self.neurons, (int, np.integer)) or self.neurons < 1:
            raise InputError(f"neurons = {self.neurons!r}: must be a whole number of at least 1", "address map")
        if table.ndim != 2 or table.shape[1] != 2 or table.shape[0] < 1 or table.dtype.kind not in "iu":
            problems.append(f"table must be whole numbers [addresses, 2], not {table.dtype} of shape {table.shape}")
        else:
            off = (table < -1) | (table >= self.neurons)
            problems += listed(
                off.ravel(),
                lambda i: f"address {i // 2}, polarity {i % 2}",
                lambda i: f"neuron {table.flat[i]} is outside 0..{self.neurons - 1} (-1: none)",
            )
        if problems:
            raise InputError(problems, "address map")
        object.__setattr__(self, "table", table.astype(np.int64))

    def __call__(self, events: Events) -> Integers:
        """The neuron of each event, -1 for none."""
        if events.size != self.table.shape[0]:
            raise InputError(
                f"is made for {self.table.shape[0]} addresses, the events have {events.size}", "address map"
            )
        polarity: NDArray[Any] | int = 1
        if events.polarity is not None:
            polarity = events.polarity
        elif (self.table[:, 0] != self.table[:, 1]).any():
            fault = "tells polarities apart, and these events have none: use polarity='ignore'"
            raise InputError(fault, "address map")
        neuron: Integers = self.table[events.address, polarity]
        return neuron


def address_map(
    shape: tuple[int, ...],
    polarity: Polarity = "last",
    *,
    crop: tuple[tuple[int, int], ...] | None = None,
    pool: int = 1,
) -> AddressMap:
    """Neurons for the addresses of a recorder of this ``shape``.

    ``polarity``: two neurons per place, neuron = 2 place + polarity (``"last"``, like images with their channel last)
    or neuron = polarity places + place (``"first"``); one neuron for both (``"ignore"``); only ``"on"`` or ``"off"``.
    ``crop``: the part that is kept, (first, end) along each axis, end not included: ((3, 31), (3, 31)) is the middle
    28x28 of 34x34. ``pool``: so many neighbours along each axis share a neuron, and must divide what is kept.

    Places count row by row. Raises :class:`InputError`.
    """
    problems = shape_problems(shape)
    kinds = ("last", "first", "ignore", "on", "off")
    if polarity not in kinds:
        problems.append(f"polarity = {polarity!r}: must be one of {', '.join(kinds)}")
    if isinstance(pool, bool) or not isinstance(pool, int) or pool < 1:
        problems.append(f"pool = {pool!r}: must be a whole number of at least 1")
    if problems:
        raise InputError(problems, "address map")
    spans = tuple((0, side) for side in shape) if crop is None else crop
    if len(spans) != len(shape) or any(len(span) != 2 for span in spans):
        raise InputError(f"crop = {crop!r}: needs one (first, end) for each of the {len(shape)} axes", "address map")
    for (first, end), side in zip(spans, shape, strict=True):
        if not 0 <= first < end <= side:
            problems.append(f"crop ({first}, {end}): must lie in 0..{side} and not be empty")
        elif (end - first) % pool:
            problems.append(f"pool = {pool} does not divide the {end - first} places of an axis; crop it first")
    if problems:
        raise InputError(problems, "address map")
    place = np.zeros((1,) * len(shape), np.int64)
    inside = np.ones((1,) * len(shape), np.bool_)
    places = 1
    for axis, ((first, end), side) in enumerate(zip(spans, shape, strict=True)):
        index = np.arange(side).reshape([-1 if other == axis else 1 for other in range(len(shape))])
        count = (end - first) // pool
        place = place * count + (index - first) // pool
        inside = inside & (index >= first) & (index < end)
        places *= count
    flat = np.where(inside, place, -1).ravel()
    off, on, neurons = {
        "last": (2 * flat, 2 * flat + 1, 2 * places),
        "first": (flat, flat + places, 2 * places),
        "ignore": (flat, flat, places),
        "on": (np.full_like(flat, -1), flat, places),
        "off": (flat, np.full_like(flat, -1), places),
    }[polarity]
    table = np.stack([np.where(flat < 0, -1, off), np.where(flat < 0, -1, on)], axis=1)
    return AddressMap(table, neurons)


# --- time to ticks ----------------------------------------------------------------------------------------------------


def tick_length_fs(tick_s: float) -> int:
    """The length of a tick as whole femtoseconds, the unit of time everywhere in neurosim."""
    if isinstance(tick_s, bool) or not isinstance(tick_s, (int, float, np.floating)) or not 1e-15 <= tick_s <= 1e6:
        raise InputError(f"tick_s = {tick_s!r}: must be a time in seconds, from 1e-15 to 1e6")
    return femtoseconds(float(tick_s))


def ticks_of(time: NDArray[np.int64], unit_fs: int, tick_fs: int) -> Integers:
    """floor(time unit / tick), exact in whole numbers; ``time`` counts units of ``unit_fs`` femtoseconds."""
    common = math.gcd(unit_fs, tick_fs)
    factor, divisor = unit_fs // common, tick_fs // common
    top = max(abs(int(time.max())), abs(int(time.min()))) if time.size else 0
    if top * factor < 2**63 and divisor < 2**63:
        return time * factor // divisor
    return np.array([int(t) * factor // divisor for t in time], np.int64)


def bin_events(
    events: Events,
    tick_s: float,
    neurons: AddressMap | ArrayLike | None = None,
    *,
    start_us: int = 0,
    ticks: int | None = None,
    merge: bool = True,
) -> SpikeList:
    """Events as spikes of input neurons: (tick, neuron), sorted by tick, then by neuron.

    tick = floor((time - start) / tick_s), in exact arithmetic: an event on the border of two ticks is in the later one.

    ``tick_s``: length of a tick in seconds. ``neurons``: an :class:`AddressMap`, or the neuron of each event (-1:
    none); without it the address, and 2 address + polarity where events have a polarity. ``start_us``: where tick 0
    begins; what came before is left out. ``ticks``: what comes in this tick or later is left out. ``merge``: several
    events of a neuron in a tick are one spike; else each stays, as one more entry.

    Raises :class:`InputError`.
    """
    tick_fs = tick_length_fs(tick_s)
    problems = [
        f"{name} = {value!r}: must be a whole number of at least 0"
        for name, value in (("start_us", start_us), ("ticks", ticks))
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 0)
    ]
    if isinstance(neurons, AddressMap):
        unit = neurons(events)
    elif neurons is not None:
        given = np.asarray(neurons)
        if given.shape != (len(events),) or (given.size and given.dtype.kind not in "iu"):
            problems.append(f"neurons must be one whole number for each of the {len(events)} events, not {given.shape}")
        unit = given.astype(np.int64)
    elif events.polarity is None:
        unit = events.address
    else:
        unit = 2 * events.address + events.polarity
    if problems:
        raise InputError(problems, "bin_events")
    tick = ticks_of(events.time_us - start_us, FS_PER_US, tick_fs)
    kept = (tick >= 0) & (unit >= 0)
    if ticks is not None:
        kept &= tick < ticks
    return in_order(tick[kept], unit[kept], merge=merge)


def in_order(tick: Integers, neuron: Integers, *, merge: bool) -> SpikeList:
    """Spikes sorted by tick, then by neuron; equal ones become one if ``merge``."""
    order = np.lexsort((neuron, tick))
    tick, neuron = tick[order], neuron[order]
    if merge and tick.size:
        new = np.ones(tick.size, np.bool_)
        new[1:] = (tick[1:] != tick[:-1]) | (neuron[1:] != neuron[:-1])
        tick, neuron = tick[new], neuron[new]
    return SpikeList(tick, neuron)
