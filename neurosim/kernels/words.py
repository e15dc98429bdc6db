"""Constants of integer neurons, apart from their loops: descriptions are checked without a compiler."""

from __future__ import annotations

from typing import Final

OFF: Final = -16
"""A shift that is no connection."""
WORD: Final = 32767
"""States and sums of synaptic events have 16 bits."""
