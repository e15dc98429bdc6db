"""Who runs the points: this process, a local cluster of worker processes, or any cluster of dask.distributed.

At most a few points for each thread are handed out at a time, and every result is fetched as soon as it is there. A
worker that dies loses the points that it was running and nothing else; dask runs these again elsewhere.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any, Protocol, Self

from neurosim.errors import InputError, NeurosimError

Task = Mapping[str, Any]
Outcome = Mapping[str, Any]
RunPoint = Callable[[Task], Outcome]

AHEAD = 2
"""Points that are handed out for each thread: one that runs and one that waits."""
DEATHS = 3
"""A point whose worker has died this often becomes a failure."""
CONFIG = {
    "distributed.scheduler.allowed-failures": DEATHS,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "5s",
    "distributed.worker.profile.enabled": False,
}
"""Of a local cluster: dask watches itself less often, which leaves the processors to the points."""
CONNECT_S = 10.0
LOOK_EVERY_S = 5.0
STOP_S = 20.0
"""Workers that do not stop in order are killed after a few seconds; this is when nobody waits for them any more."""


class Pool(Protocol):
    """Runs points; used in a ``with`` block."""

    def results(self, run: RunPoint, tasks: Iterable[tuple[int, Task]]) -> Iterator[tuple[int, Outcome]]:
        """(number, outcome) of every task, as they become known."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def pool(workers: int | None, scheduler: str | None) -> Pool:
    """The pool for ``workers`` processes here (0: none, this process itself), or for a running scheduler."""
    if scheduler is not None:
        if workers is not None:
            raise InputError("--workers starts a cluster here, --scheduler joins a running one; use one of them")
        return DaskPool(scheduler, None)
    if workers is not None and workers < 0:
        raise InputError(f"--workers {workers}: 0 runs the points in this process, 1 or more start worker processes")
    return Here() if workers == 0 else DaskPool(None, workers or processors())


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Here:
    """One point after the other, in this process."""

    def results(self, run: RunPoint, tasks: Iterable[tuple[int, Task]]) -> Iterator[tuple[int, Outcome]]:
        """(number, outcome) of every task, in order."""
        for number, task in tasks:
            yield number, run(task)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class DaskPool:
    """Workers of dask.distributed: those of a scheduler's address, or ``workers`` processes of one thread each here."""

    def __init__(self, address: str | None, workers: int | None) -> None:
        self._address = address
        self._workers = workers
        self._client: Any = None
        self._cluster: Any = None
        self._stack = ExitStack()
        self._threads, self._looked_at = workers or 1, 0.0

    def __enter__(self) -> Self:
        distributed = _distributed()
        try:
            if self._address is None:
                self._cluster = self._stack.enter_context(_Quiet(lambda: self._start(distributed)))
            self._client = distributed.Client(self._cluster or self._address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError) as error:
            self._close()
            if self._address is not None:
                raise InputError(f"--scheduler {self._address}: cannot connect ({error})") from None
            raise NeurosimError(f"the workers did not start: {error}") from error
        except BaseException:
            self._close()
            raise
        return self

    def _start(self, distributed: Any) -> Any:
        """A cluster of processes on this machine, which listens to this machine only."""
        if getattr(multiprocessing.current_process(), "_inheriting", False):
            raise InputError(
                "a worker process that starts has reached the sweep again: put the call below "
                "if __name__ == '__main__': as multiprocessing asks of every program"
            )
        return distributed.LocalCluster(
            n_workers=self._workers, threads_per_worker=1, processes=True, memory_limit=0, dashboard_address=None,
            silence_logs=logging.CRITICAL,
        )  # fmt: skip

    def results(self, run: RunPoint, tasks: Iterable[tuple[int, Task]]) -> Iterator[tuple[int, Outcome]]:
        """(number, outcome) of every task, as they become known."""
        distributed = _distributed()
        waiting, session = iter(tasks), uuid.uuid4().hex
        running: dict[Any, int] = {}
        finished = distributed.as_completed(loop=self._client.loop)

        def hand_out() -> None:
            while len(running) < AHEAD * self._count():
                item = next(waiting, None)
                if item is None:
                    return
                number, task = item
                future = self._client.submit(run, task, key=f"neurosim-point-{number}-{session}", pure=False)
                running[future] = number
                finished.add(future)

        hand_out()
        while running:
            future = next(finished)
            number = running.pop(future)
            hand_out()  # before the result is written, so that workers never wait for the disk
            yield number, self._outcome(distributed, future)
            del future

    def _outcome(self, distributed: Any, future: Any) -> Outcome:
        try:
            result: Outcome = future.result()
        except distributed.KilledWorker:
            return {"error": f"WorkerDied: {DEATHS + 1} workers died while they ran this point (out of memory?)"}
        except (distributed.CancelledError, distributed.core.CommClosedError) as error:
            raise NeurosimError(f"the scheduler has gone: {error}") from None
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}
        return result

    def _count(self) -> int:
        """Threads of the cluster, which may grow and shrink; 1 where there is no worker yet."""
        if self._cluster is not None:
            return self._threads
        if time.monotonic() - self._looked_at > LOOK_EVERY_S:
            self._threads = max(1, sum(self._client.nthreads().values()))
            self._looked_at = time.monotonic()
        return self._threads

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        """Let the cluster go; a point that still runs is given up."""
        if self._client is not None:
            with suppress(TimeoutError):
                self._client.close(timeout=STOP_S)
        self._client = None
        self._stack.close()


class _Quiet:
    """A cluster that is started and closed without remarks on stderr (a killed worker is no news to report twice)."""

    def __init__(self, start: Callable[[], Any]) -> None:
        self._start = start
        self._cluster: Any = None

    def __enter__(self) -> Any:
        import dask

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with dask.config.set(CONFIG):
                self._cluster = self._start()
        return self._cluster

    def __exit__(self, *what: object) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with suppress(TimeoutError):
                self._cluster.close(timeout=STOP_S)


def _distributed() -> Any:
    """The package, imported when a cluster is wanted."""
    try:
        import distributed
    except ImportError as error:
        raise NeurosimError(f"sweeps on workers need dask.distributed ({error}); --workers 0 does without") from None
    return distributed
