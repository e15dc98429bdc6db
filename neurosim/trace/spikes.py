"""Spikes in a trace: one small number a spike, and beside them the ticks in which something fired.

``/spikes/POPULATION/neuron`` holds who fired, tick after tick, in one, two or four bytes; ``/spikes/POPULATION/when``
has one row for each tick with spikes: the tick, and how many there were. Whoever reads the table sees the columns
``tick`` and ``neuron``. Neurons in one or two bytes are compressed only where there is less than one spike in a tick:
elsewhere it would halve them, and take about as long as the network takes for a spike and all its synapses.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from neurosim.engine.network_spikes import Fired, small
from neurosim.engine.sink import Column, Table
from neurosim.errors import TraceError
from neurosim.trace import guard, layout
from neurosim.trace.datasets import checked, follow
from neurosim.trace.tables import TableView

_TICK = Column("tick", "tick", "tick in which neurons fired, from the simulation's first", "i8")


SEEN_TICKS = 512
"""After so many ticks, or the first flush, it is decided whether a population is sparse."""


def tables(name: str, neurons: int, first: Sequence[Fired] = ()) -> tuple[Table, Table]:
    """What is declared for a population: its spikes, and their ticks.

    ``first``: its first ticks. Where less than one neuron fires in a tick the neurons are compressed, which then
    costs little beside the ticks themselves.
    """
    path = layout.EVENT_STREAMS + name
    ticks, spikes = (sum(getattr(part, what).size for part in first) for what in ("counts", "neuron"))
    neuron = Column("neuron", "1", "number of the neuron in its population", np.dtype(small(neurons)).str[1:])
    count = Column("spikes", "1", "spikes in this tick", "u4")
    return (
        Table(path, (neuron,), {"long_name": f"spikes of {name}", "neurons": neurons, layout.PACKED: spikes < ticks}),
        Table(f"{path}/{layout.WHEN}", (_TICK, count), {"long_name": f"ticks in which neurons of {name} fired"}),
    )


def rows(name: str, fired: Fired) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """The rows of both tables."""
    path = layout.EVENT_STREAMS + name
    busy = np.flatnonzero(fired.counts)
    counts = fired.counts[busy].astype(np.uint32)
    when: dict[str, npt.NDArray[Any]] = {"tick": fired.first_tick + busy, "spikes": counts}
    return {path: {"neuron": fired.neuron}, f"{path}/{layout.WHEN}": when}


class SpikesView(TableView):
    """Spikes as a table with the columns ``tick`` and ``neuron``, one row a spike."""

    def __init__(self, group: Any, path: Path) -> None:
        super().__init__(group, path)
        self._when = {}
        with guard.reading(path, self.name):
            for name in ("tick", "spikes"):
                dataset = follow(group, f"{layout.WHEN}/{name}", path)
                if not isinstance(dataset, h5py.Dataset) or dataset.ndim != 1 or dataset.dtype.kind not in "iu":
                    raise TraceError(f"{path}: {self.name} does not say when its neurons fired")
                self._when[name] = checked(dataset, path)
        self._datasets = {"tick": self._when["tick"], **self._datasets}

    def read(self, column: str, start: int = 0, stop: int | None = None) -> np.ndarray:
        """Rows ``start`` to ``stop`` of a column; negative numbers count from the end."""
        values = super().read(column, start, stop) if column != "tick" else self._ticks(start, stop)
        return values.astype(np.int64) if values.dtype.kind == "u" else values

    def _ticks(self, start: int, stop: int | None) -> np.ndarray:
        first, last, _ = slice(start, stop).indices(self._rows)
        if last <= first:
            return np.zeros(0, np.int64)
        ends = self._ends
        low, high = np.searchsorted(ends, first, "right"), np.searchsorted(ends, last, "left") + 1
        with guard.reading(self._path, f"{self.name}/tick"):
            tick = np.asarray(self._when["tick"][low:high])
        borders = np.clip(ends[low:high], first, last)
        return np.repeat(tick, np.diff(borders, prepend=first))

    @cached_property
    def _ends(self) -> npt.NDArray[np.int64]:
        """How many spikes there are up to the end of each tick that has any."""
        with guard.reading(self._path, f"{self.name}/{layout.WHEN}"):
            counts = np.asarray(self._when["spikes"][()]).astype(np.int64)
        ends = np.cumsum(counts)
        if (counts < 0).any() or (int(ends[-1]) if ends.size else 0) != self._rows:
            raise TraceError(f"{self._path}: {self.name}: its ticks do not hold as many spikes as there are neurons")
        return ends
