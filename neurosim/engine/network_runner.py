"""Drives the kernel of a hand-driven network: many ticks in one call, or each tick shared out to threads.

Threads split the neurons into blocks that follow one another. A block takes its own synapses, in the order of all
others, so that every sum is the same, bit for bit, however many threads there are.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import numpy as np

from neurosim.engine import network_kernel as layout
from neurosim.engine import network_timing, program
from neurosim.engine.network_state import Array, Memory


class Runner:
    """The compiled kernel of one network, and the threads that it runs in."""

    def __init__(self, source: str, modules: tuple[str, ...], threads: int, ranked: bool) -> None:
        self.source, self.modules, self.threads, self.ranked = source, modules, threads, ranked
        self._module: ModuleType | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._stop = False

    @property
    def needs_compiling(self) -> bool:
        """Whether the first run will compile (some seconds) instead of loading from the cache."""
        return not program.is_compiled(self.source, self.modules)

    @property
    def spread(self) -> network_timing.Spread:
        """How ticks are shared out to the threads."""
        pool = self._threads()
        return network_timing.in_one if pool is None else network_timing.in_threads(pool, self.threads)

    def prepare(self, memory: Memory) -> None:
        """Load or compile the kernel."""
        if self._module is None:
            self._module = program.load(self.source, self.modules)
            self._module.burst(*memory.arguments, 0)

    def call(self, memory: Memory, ticks: int) -> int:
        """Take up to ``ticks`` ticks and say how many: no more than the memory has room for.

        Who fired then stands in ``memory.spikes``, and in ``memory.last`` who did in the last tick.
        """
        assert self._module is not None
        ticks = min(ticks, memory.moved.shape[0])
        pool = self._threads()
        if pool is None:
            return int(self._module.burst(*memory.arguments, ticks))
        # A Ctrl-C reaches the main thread, which waits; the others stop between two ticks.
        self._stop = False
        work = pool.submit(self._in_blocks, memory, ticks, pool)
        try:
            return work.result()
        except KeyboardInterrupt:
            self._stop = True
            work.result()
            raise

    def _threads(self) -> ThreadPoolExecutor | None:
        if self.threads > 1 and self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads + 1, thread_name_prefix="neurosim")
        return self._pool

    def _in_blocks(self, memory: Memory, ticks: int, pool: ThreadPoolExecutor) -> int:
        """Tick by tick: every block in a thread of its own, then their spikes one after another."""
        blocks = [_Part(memory, b, self.ranked) for b in range(len(memory.bounds) - 1)]
        count, n = 0, memory.last.size
        for done in range(ticks):
            if self._stop or count + n > memory.spikes.size:
                return done
            others = [pool.submit(self._one, part) for part in blocks[1:]]
            self._one(blocks[0])
            for other in others:
                other.result()
            moved = memory.moved[done]
            moved[:] = 0
            start = count
            for part in blocks:
                fired = int(part.tick_first[1])
                memory.spikes[count : count + fired] = part.spikes[:fired]
                if self.ranked:
                    ranks = part.rank[:fired]
                    memory.rank[count : count + fired] = ranks + moved[part.core[part.spikes[:fired] - part.begin]]
                count += fired
                moved += part.moved[0]
            memory.tick_first[done + 1] = count
            memory.last[: count - start] = memory.spikes[start:count]
            for part in blocks:
                part.registers[layout.REGISTERS.index("LAST_COUNT")] = count - start
            memory.set("LAST_COUNT", count - start)
            memory.set("TICK", memory.get("TICK") + 1)  # last: the tick is taken
        return ticks

    def _one(self, part: _Part) -> None:
        assert self._module is not None
        self._module.burst(*part.arguments, 1)


class _Part:
    """What one thread works with: its neurons and synapses, and room for its own spikes."""

    def __init__(self, memory: Memory, block: int, ranked: bool) -> None:
        self.begin, end = memory.bounds[block], memory.bounds[block + 1]
        size = end - self.begin
        low, high = layout.SEGMENT.index("LOW"), layout.SEGMENT.index("HIGH")
        segments = memory.segments[(memory.segments[:, high] > self.begin) & (memory.segments[:, low] < end)]
        segments[:, low] = np.maximum(segments[:, low], self.begin)
        segments[:, high] = np.minimum(segments[:, high], end)
        owner = np.searchsorted(segments[:, low], np.arange(self.begin, end), side="right") - 1
        self.core = segments[owner, layout.SEGMENT.index("CORE")]
        self.registers = memory.R.copy()
        for name, value in (("BEGIN", self.begin), ("END", end), ("ALONE", 0)):
            self.registers[layout.REGISTERS.index(name)] = value
        self.spikes = np.zeros(size, np.uint32)
        self.rank = np.zeros(size if ranked else 1, np.uint32)
        self.tick_first, self.moved = np.zeros(2, np.int64), np.zeros((1, memory.moved.shape[1]), np.int32)
        self.arguments: tuple[Array | Any, ...] = (
            memory.F, memory.N, memory.X, memory.P, segments, memory.first[block], memory.target, memory.weight,
            memory.given_first, memory.given, memory.last, self.spikes, self.rank, self.tick_first, self.moved,
            self.registers, memory.D,
        )  # fmt: skip
