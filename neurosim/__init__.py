"""A simulator of neuromorphic chips that learn on the chip."""

from __future__ import annotations

from neurosim._version import __version__

__all__ = ["__version__"]
