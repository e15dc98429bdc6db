"""What a sweep was asked for, and the points that it comes to: all of them resolved and validated before any runs.

Seeds are paired: repeat r of every point has the seed ``seed + r`` and its chip the ``fabrication_seed + r`` (with
``same_chip`` the same virtual chip in every repeat), whatever the axes say, so that a difference between two points of
one repeat is of the axis and not of luck. Repeat 0 is the scenario as it stands.

A point's *address* is the hash of all that its result depends on: the resolved scenario with its seeds, the contents
of the files that it names, and the versions of neurosim and of its random numbers. Points with one address are run
once.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from neurosim import models, training
from neurosim._version import __version__
from neurosim.errors import InputError
from neurosim.kernels.random import RNG_VERSION
from neurosim.spec import load
from neurosim.spec.scenario import Scenario
from neurosim.spec.study import Design
from neurosim.sweeps import designs
from neurosim.sweeps.axes import Axis, label
from neurosim.sweeps.designs import Coordinates

MOST_POINTS = 100_000
CHIP, SEED, FABRICATION_SEED = "chip", "seed", "chip.fabrication_seed"
_LARGEST_SEED = 2**63
_LOOKED_AT = 50
"""Values of each axis that are checked where the axes do not make a design."""
_TRIED = 8
"""Points around which an axis is moved alone, to see whether it does anything."""


@dataclass(frozen=True)
class Request:
    """A sweep as it was asked for."""

    name: str
    """Of the scenario, or of the study."""
    scenario: Mapping[str, Any]
    """Its table."""
    axes: tuple[Axis, ...]
    design: Design = "grid"
    count: int | None = None
    """Points of a design that is drawn."""
    repeats: int = 1
    chip: str | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    ideal: bool = False
    host_loop: bool = False
    same_chip: bool = False
    curves: bool = False

    def as_json(self) -> str:
        """The request as JSON text."""
        return json.dumps({**asdict(self), "axes": [axis.as_table() for axis in self.axes]}, default=str)

    @classmethod
    def from_json(cls, text: str) -> Request:
        """What ``as_json`` wrote."""
        table = json.loads(text)
        return cls(**{**table, "axes": tuple(Axis.from_table(axis) for axis in table["axes"])})


@dataclass(frozen=True)
class Point:
    """One run of a sweep."""

    number: int
    coordinates: Coordinates
    repeat: int
    scenario: dict[str, Any]
    """Resolved, in the types of JSON."""
    address: str
    run: int
    """The number of the first point with this address: the one that is run."""

    @property
    def seed(self) -> int:
        """Of everything random but the chip's mismatch."""
        return int(self.scenario["seed"])

    @property
    def fabrication_seed(self) -> int:
        """Of the chip's mismatch."""
        return int(self.scenario["chip"]["fabrication_seed"])


@dataclass(frozen=True)
class Plan:
    """All points of a sweep, in the order of their numbers."""

    request: Request
    points: tuple[Point, ...]

    @property
    def axes(self) -> tuple[Axis, ...]:
        """The axes of the request."""
        return self.request.axes

    def runs(self) -> list[Point]:
        """The points that are run: the first of every address."""
        return [point for point in self.points if point.run == point.number]

    def cover(self) -> list[Point]:
        """The first point, and one point more for each value of a list that it does not have."""
        seen: set[tuple[int, str]] = set()
        chosen: list[Point] = []
        for point in self.points:
            here = {
                (place, _text(value))
                for place, (axis, value) in enumerate(zip(self.axes, point.coordinates, strict=True))
                if axis.values is not None
            }
            if not chosen or here - seen:
                chosen.append(point)
                seen |= here
        return chosen


def make_plan(request: Request) -> Plan:
    """The points of a request; raises InputError with every problem of its axes and of all its points."""
    models.load_builtin()
    training.load_builtin()
    where = f"sweep of {request.name}"
    problems = _asked(request)
    if not problems:
        size = designs.size(request.axes, request.design, request.count) * request.repeats
        if size > MOST_POINTS:
            problems.append(f"{size:,} points; a sweep takes at most {MOST_POINTS:,} (lhs and sobol need fewer)")
    resolver = _Resolver(request)
    base = resolver.base()  # raises what is wrong with the scenario itself
    if problems:
        raise InputError([*problems, *resolver.problems(_apart(request.axes))], where)
    drawn = designs.coordinates(request.axes, request.design, request.count, base.seed)
    problems = resolver.problems(drawn) or _idle(request, resolver, drawn)
    if base.seed + request.repeats >= _LARGEST_SEED or base.chip.fabrication_seed + request.repeats >= _LARGEST_SEED:
        problems.append("seed: too large for this many repeats")
    if problems:
        raise InputError(problems, where)
    return Plan(request, tuple(_points(request, resolver, drawn)))


def _asked(request: Request) -> list[str]:
    """What is wrong with the request before any point is looked at."""
    found = designs.problems(request.axes, request.design, request.count)
    if request.repeats < 1:
        found.append(f"--repeats {request.repeats}: a point runs once or more often")
    if request.count is not None and request.count < 1:
        found.append(f"--points {request.count}: a design has one point or more")
    if not request.axes and request.repeats < 2:
        found.append("no axes: give at least one --axis KEY.PATH=V1,V2,..., or --repeats for the same point more often")
    names = [axis.title for axis in request.axes if axis.title]
    keys = [*names, *(key for axis in request.axes for key in axis.touched)]
    found += [f"axis {key}: stands in two axes" for key in sorted({key for key in keys if keys.count(key) > 1})]
    found += [f"axis {key}: is also given by --set" for key in keys if key in request.overrides]
    if SEED in keys and request.repeats > 1:
        found.append("axis seed: --repeats sets seeds, too; use one of them")
    if SEED in keys and request.seed is not None:
        found.append("axis seed: --seed sets it, too; use one of them")
    if CHIP in keys and request.chip is not None:
        found.append("axis chip: --chip names one, too; use one of them")
    return found


class _Resolver:
    """Turns coordinates into scenarios, as ``run --set`` would, without reading the chip's file every time."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._where = f"scenario {request.name}"
        # a key that replaces a whole table or its model comes before the keys inside it
        places = [(key.count("."), not key.endswith("model"), key) for axis in request.axes for key in axis.touched]
        self._order = [key for _, _, key in sorted(places)]
        self._tables: dict[str | None, Mapping[str, Any]] = {}
        self._known: dict[str, Scenario | InputError] = {}

    def base(self) -> Scenario:
        """The scenario without axes."""
        request = self._request
        return load.resolve(
            request.scenario, where=self._where, chip=request.chip, overrides=self._overrides({}), seed=request.seed,
            make_ideal=request.ideal,
        )  # fmt: skip

    def at(self, coordinates: Coordinates) -> Scenario:
        """The scenario of a point; raises InputError."""
        key = _text(coordinates)
        if key not in self._known:
            try:
                self._known[key] = self._resolve(coordinates)
            except InputError as error:
                self._known[key] = error
        known = self._known[key]
        if isinstance(known, InputError):
            raise known
        return known

    def problems(self, points: Sequence[Coordinates]) -> list[str]:
        """What is wrong at these points: every problem once, and where it arises unless it does so everywhere."""
        found: dict[str, list[Coordinates]] = {}
        for coordinates in points:
            try:
                self.at(coordinates)
            except InputError as error:
                for problem in error.problems:
                    found.setdefault(problem, []).append(coordinates)
        if not found:
            return []
        for problem in self._alone():  # one wrong key hides what is wrong behind it
            found.setdefault(problem, [*points])
        hints = self._hints()
        return [
            _with_hint(problem, hints) + ("" if len(places) == len(points) else f" ({self._place(places)})")
            for problem, places in found.items()
        ]

    def _alone(self) -> list[str]:
        """What is wrong with the values of a single axis, all others left as they are."""
        found: dict[str, None] = {}
        for axis in self._request.axes:
            for value in axis.ends()[:_LOOKED_AT]:
                together = axis.settings(value)
                # key by key, as an unknown one hides what is wrong with the others; a variant is one whole
                for change in [together] if axis.variants else [{key: value} for key in together]:
                    try:
                        self._changed(change)
                    except InputError as error:
                        found.update(dict.fromkeys(error.problems))
        return list(found)

    def _resolve(self, coordinates: Coordinates) -> Scenario:
        pairs = zip(self._request.axes, coordinates, strict=True)
        return self._changed({key: setting for axis, value in pairs for key, setting in axis.settings(value).items()})

    def _changed(self, changes: dict[str, Any]) -> Scenario:
        changes = dict(changes)
        chip = changes.pop(CHIP, None)
        if chip is not None and not isinstance(chip, str):
            raise InputError(f"chip = {chip!r}: name a shipped chip, or the path of a file")
        ordered = {key: changes[key] for key in self._order if key in changes}
        return load.resolve(
            self._table(chip), where=self._where, overrides=self._overrides(ordered), seed=self._request.seed
            if SEED not in changes else None, make_ideal=self._request.ideal,
        )  # fmt: skip

    def _table(self, chip: str | None) -> Mapping[str, Any]:
        """The scenario's table with the whole table of its chip."""
        if chip not in self._tables:
            table, named = dict(self._request.scenario), chip or self._request.chip
            entry = table.get("chip")
            own = {key: value for key, value in entry.items() if key != "name"} if isinstance(entry, Mapping) else {}
            name = named or (entry.get("name") if isinstance(entry, Mapping) else entry)
            if isinstance(name, str) and not _is_whole(own):
                table["chip"] = load.merge(load.load_chip_table(name), own)
            self._tables[chip] = table
        return self._tables[chip]

    def _overrides(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        host_loop = {"training.host_loop": True} if self._request.host_loop else {}
        return {**self._request.overrides, **host_loop, **changes}

    def _hints(self) -> dict[str, str]:
        """For every key of an axis that the scenario does not have: the key path nearest to it."""
        known = list(dict.fromkeys(_paths(self.base().model_dump(mode="json"))))
        hints = {}
        for axis in self._request.axes:
            for key in axis.touched:
                if key in known or key == CHIP:
                    continue
                last = key.rpartition(".")[2]
                alike = [path for path in known if path.rpartition(".")[2] == last] or known
                near = difflib.get_close_matches(key, alike, n=1) or difflib.get_close_matches(key, known, n=1)
                hints[key] = near[0] if near else ""
        return hints

    def _place(self, places: Sequence[Coordinates]) -> str:
        """Where a problem arises: the values that all its points share, or else its first point."""
        axes = self._request.axes
        first = places[0]
        shared = [
            f"{axis.name} = {label(first[k])}"
            for k, axis in enumerate(axes)
            if len({_text(place[k]) for place in places}) == 1
        ]
        if shared:
            return f"at {', '.join(shared)}"
        at = ", ".join(f"{axis.name} = {label(value)}" for axis, value in zip(axes, first, strict=True))
        return f"at {at} and {len(places) - 1} more"


def _is_whole(table: Mapping[str, Any]) -> bool:
    """Whether a resolved scenario's chip stands here whole (it then needs no file)."""
    return all(key in table for key in ("geometry", "capabilities", "synapse", "static"))


def _apart(axes: Sequence[Axis]) -> list[Coordinates]:
    """The first values of every axis, where the axes do not make a design."""
    if not axes:
        return []
    values = [axis.ends() for axis in axes]
    most = min(_LOOKED_AT, max(len(each) for each in values))
    return [tuple(each[min(k, len(each) - 1)] for each in values) for k in range(most)]


def _idle(request: Request, resolver: _Resolver, drawn: Sequence[Coordinates]) -> list[str]:
    """Axes that select nothing: moved alone, they leave the scenario as it is."""
    found = []
    some = [drawn[round(k * (len(drawn) - 1) / max(1, _TRIED - 1))] for k in range(_TRIED)]
    for place, axis in enumerate(request.axes):
        values = axis.ends()
        if len(values) < 2:
            continue
        moves = False
        for start in dict.fromkeys(_text(point) for point in some):
            point = next(one for one in some if _text(one) == start)
            try:
                scenarios = [resolver.at((*point[:place], value, *point[place + 1 :])) for value in values]
            except InputError:
                continue  # not every combination is a point of this design
            moves = moves or any(scenario != scenarios[0] for scenario in scenarios[1:])
        if not moves:
            why = "; --ideal switches it off" if request.ideal else ""
            said = ", ".join(label(value) for value in values)
            found.append(f"axis {axis.name}: selects nothing: the scenario is the same at {said}{why}")
    return found


def _points(request: Request, resolver: _Resolver, drawn: Sequence[Coordinates]) -> Iterator[Point]:
    """Every point with its repeats; repeats of one place stand together."""
    keys = {key for axis in request.axes for key in axis.touched}
    digests: dict[str, str] = {}
    first: dict[str, int] = {}
    number = 0
    for coordinates in drawn:
        scenario = resolver.at(coordinates)
        table = scenario.model_dump(mode="json", exclude_none=True)
        made = scenario.chip.fabrication_seed
        kept = request.same_chip or FABRICATION_SEED in keys
        for repeat in range(request.repeats):
            chip = {**table["chip"], "fabrication_seed": made + (0 if kept else repeat)}
            resolved = {**table, "chip": chip, "seed": scenario.seed + repeat}
            address = address_of(resolved, digests)
            run = first.setdefault(address, number)
            yield Point(number, coordinates, repeat, resolved, address, run)
            number += 1


def address_of(scenario: Mapping[str, Any], digests: dict[str, str] | None = None) -> str:
    """The content address of a resolved scenario; ``digests`` remembers those of files."""
    digests = {} if digests is None else digests
    named = (scenario["task"].get("data"), scenario["network"].get("weights"))
    files = [_digest(Path(name), digests) for name in named if isinstance(name, str) and Path(name).is_file()]
    whole = {"scenario": scenario, "files": files, "neurosim": __version__, "rng_version": RNG_VERSION}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()


def _digest(path: Path, known: dict[str, str]) -> str:
    if str(path) not in known:
        with path.open("rb") as stream:
            known[str(path)] = hashlib.file_digest(stream, "sha256").hexdigest()
    return known[str(path)]


def _with_hint(problem: str, hints: Mapping[str, str]) -> str:
    """A problem about an unknown key, with the key path that may have been meant."""
    at = problem.split(":", 1)[0].split(" ", 1)[0]
    for key, near in hints.items():
        if near and (key == at or key.startswith(at + ".")) and near != at:
            return f"{problem}; near axis {key}: {near!r}"
    return problem


def _paths(table: Any, prefix: str = "") -> Iterator[str]:
    """All key paths of nested tables; items of lists by name and by number."""
    if isinstance(table, Mapping):
        for key, value in table.items():
            path = f"{prefix}{key}"
            yield path
            yield from _paths(value, path + ".")
    elif isinstance(table, list):
        for number, item in enumerate(table):
            if isinstance(item, Mapping):
                if "name" in item:
                    yield from _paths(item, f"{prefix}{item['name']}.")
                yield from _paths(item, f"{prefix}{number}.")


def _text(value: Any) -> str:
    """A value as text that differs where values differ (0 and 0.0, True and 1)."""
    return json.dumps(value, sort_keys=True, default=str)
