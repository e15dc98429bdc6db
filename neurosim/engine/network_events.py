"""The timing model ``event``: every message of a tick is a simpy process, on links and ports with finite buffers.

Cores send as in ``detailed``. What differs is what happens under way:

* the port of a core and every link have places for ``geometry.link_buffer`` messages; a core whose port is full waits;
* a link carries one message at a time, for its latency;
* a message gives its place up when the next link has one for it, or when the core that it reaches takes it in;
* a core takes messages in one at a time, as they come, and works on each for its processing time.

Time is whole femtoseconds. Messages that come at the same time are served in the order of their cores.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import simpy

from neurosim.chip.population import Integers
from neurosim.errors import NeurosimError

Steps = Generator[simpy.Event, Any, None]


@dataclass(frozen=True)
class Message:
    """One message of a core."""

    wait_fs: int
    """Time that its core takes to make it, once the message before has left."""
    destination: int
    links: tuple[int, ...]
    works_fs: int
    """Time that the core which takes it in works on it."""


@dataclass(frozen=True)
class Plan:
    """What the cores do in one tick; cores by their place among those in use."""

    messages: list[list[Message]]
    """By sending core, in the order in which they are sent."""
    rest_fs: list[int]
    """What a core's neurons take after its last message."""
    read_fs: Integers
    """One read of a core's array, once, before its first message."""
    link_fs: Integers
    buffer: int


@dataclass(eq=False)
class Tick:
    """One tick on its way."""

    plan: Plan
    env: simpy.Environment = field(default_factory=simpy.Environment)

    def __post_init__(self) -> None:
        cores = len(self.plan.messages)
        self.ports = [simpy.Resource(self.env, self.plan.buffer) for _ in range(cores)]
        self.inputs = [simpy.Resource(self.env, 1) for _ in range(cores)]
        self.places: dict[int, simpy.Resource] = {}
        self.wires: dict[int, simpy.Resource] = {}
        self.sent, self.first, self.last = [0] * cores, [-1] * cores, [0] * cores
        self.under_way = 0

    def run(self) -> None:
        """Until every message is processed; raises NeurosimError where messages wait for one another in a ring."""
        for core, messages in enumerate(self.plan.messages):
            self.env.process(self._send(core, messages))
        self.env.run()
        if self.under_way:
            raise NeurosimError(
                f"timing = 'event': {self.under_way} messages wait for one another for ever: ways around dead links "
                f"can close a ring, and {self.plan.buffer} places a link are too few; raise geometry.link_buffer, or "
                "use timing='detailed'"
            )

    def _send(self, core: int, messages: list[Message]) -> Steps:
        self.under_way += len(messages)
        for message in messages:
            yield self.env.timeout(message.wait_fs)
            place = self.ports[core].request()
            yield place
            self.env.process(self._travel(core, place, message))
        yield self.env.timeout(self.plan.rest_fs[core])
        self.sent[core] = int(self.env.now)

    def _travel(self, core: int, place: Any, message: Message) -> Steps:
        here = self.ports[core]
        for link in message.links:
            there = self.places.setdefault(link, simpy.Resource(self.env, self.plan.buffer))
            next_place = there.request()
            yield next_place
            here.release(place)
            here, place = there, next_place
            with self.wires.setdefault(link, simpy.Resource(self.env, 1)).request() as turn:
                yield turn
                yield self.env.timeout(int(self.plan.link_fs[link]))
        end = message.destination
        with self.inputs[end].request() as turn:
            yield turn
            here.release(place)
            works = message.works_fs
            if self.first[end] < 0:
                self.first[end] = int(self.env.now)
                works += int(self.plan.read_fs[end])
            yield self.env.timeout(works)
            self.last[end] = int(self.env.now)
        self.under_way -= 1


def run_tick(plan: Plan) -> tuple[int, Integers]:
    """(fs until all is sent and processed, ``[SPANS, core]`` as in ``kernels.mesh``) of one tick."""
    tick = Tick(plan)
    tick.run()
    spans = np.array([tick.sent, [max(first, 0) for first in tick.first], tick.last], np.int64)
    return int(max(spans[0].max(), spans[2].max())), spans
