"""The physics, one file per model: neurons, devices, perturbation codes and costs.

A new model is one new file in one of the sub-packages, or anywhere outside (``docs/models.md`` shows how); nothing
lists the models, ``load_builtin`` finds them.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from neurosim import registry


def load_builtin() -> list[str]:
    """Import every file of the sub-packages and every announced module from outside; returns their names."""
    loaded = []
    for found in pkgutil.walk_packages(__path__, prefix=f"{__name__}."):
        importlib.import_module(found.name)
        loaded.append(found.name)
    registry.add_presets("device", Path(__file__).parent / "devices" / "presets")
    return loaded + registry.load_entry_points()
