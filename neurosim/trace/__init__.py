"""The HDF5 file of a run: the only room that knows h5py.

:class:`TraceWriter` is the engine's sink, :func:`open_trace` reads what it wrote, :func:`to_csv` hands the
tables to other programs. docs/trace.md shows the layout.
"""

from __future__ import annotations

from neurosim.trace.account import energy_swings, ledger_of, prices_of, tallies_of, time_swings
from neurosim.trace.export import to_csv
from neurosim.trace.reader import Trace, open_trace
from neurosim.trace.tables import LedgerView, TableView
from neurosim.trace.writer import TraceWriter

__all__ = [
    "LedgerView",
    "TableView",
    "Trace",
    "TraceWriter",
    "energy_swings",
    "ledger_of",
    "open_trace",
    "prices_of",
    "tallies_of",
    "time_swings",
    "to_csv",
]
