"""The version, in one place: the build reads it from here, and so do traces (a checkout has no installed metadata)."""

from __future__ import annotations

__version__ = "0.1.0"
