"""Figures and the HTML report of a trace: the only room that knows matplotlib."""

from __future__ import annotations

from neurosim.report.html import write_report
from neurosim.report.sweep import write_sweep_report

__all__ = ["write_report", "write_sweep_report"]
