"""The trainers: what is perturbed, what is measured, when weights are written. One file per trainer."""

from __future__ import annotations

import importlib
import pkgutil


def load_builtin() -> None:
    """Import every trainer file, so that its schema is registered."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
