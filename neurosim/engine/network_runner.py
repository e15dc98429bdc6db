"""Drives the kernel of a hand-driven network: many ticks in one call, in one thread or in several.

Threads split the neurons into blocks that follow one another. A block takes its own synapses, in the order of all
others, so that every sum is the same, bit for bit, however many threads there are. The blocks wait for one another in
every tick, inside the kernel (``network_kernel``).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

from neurosim.engine import network_kernel as layout
from neurosim.engine import network_timing, program
from neurosim.engine.network_state import Memory
from neurosim.kernels import deliver
from neurosim.kernels import mesh as loops

_REGISTERS_AT = -2
"""Where the registers stand among the kernel's arguments."""


class Runner:
    """The compiled kernel of one network, and the threads that it runs in."""

    def __init__(self, source: str, modules: tuple[str, ...], threads: int, ranked: bool) -> None:
        self.source, self.modules, self.threads, self.ranked = source, modules, threads, ranked
        self._module: ModuleType | None = None
        self._pool: ThreadPoolExecutor | None = None

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
            self._module.burst(*memory.arguments(), 0)

    def call(self, memory: Memory, ticks: int) -> int:
        """Take up to ``ticks`` ticks and say how many: no more than the memory has room for.

        Who fired then stands in ``memory.spikes``, and in ``memory.past`` who did in the last ticks.
        """
        assert self._module is not None
        ticks = min(ticks, memory.moved.shape[0])
        memory.progress[:] = 0
        pool = self._threads()
        if pool is None:
            return int(self._module.burst(*memory.arguments(), ticks))
        # Blocks wait for one another, so all of them must start. A Ctrl-C reaches the main thread, and that only waits.
        work = pool.submit(self._in_blocks, memory, ticks, pool)
        try:
            return work.result()
        except KeyboardInterrupt:
            work.result()
            raise

    def _threads(self) -> ThreadPoolExecutor | None:
        if self.threads > 1 and self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads + 1, thread_name_prefix="neurosim")
        return self._pool

    def _in_blocks(self, memory: Memory, ticks: int, pool: ThreadPoolExecutor) -> int:
        """Every block in a thread of its own; then their spikes, tick by tick one after another."""
        assert self._module is not None
        burst = self._module.burst
        given = [memory.arguments(block) for block in range(memory.blocks)]
        others = [pool.submit(lambda own: burst(*own, ticks), own) for own in given[1:]]
        done = int(burst(*given[0], ticks))
        for other in others:
            other.result()
        loops.gather(
            done, memory.all_spikes, memory.all_rank, memory.all_first, memory.all_moved, memory.home, memory.spikes,
            memory.rank, memory.tick_first, memory.moved,
        )  # fmt: skip
        if done:
            deliver.remember(memory.past, memory.past_first, memory.spikes, memory.tick_first, done)
            registers = layout.REGISTERS.index("SATURATED")
            cut = sum(int(arguments[_REGISTERS_AT][registers]) for arguments in given)
            memory.set("SATURATED", memory.get("SATURATED") + cut)
            memory.set("TICK", memory.get("TICK") + done)  # last: now the ticks are taken
        return done
