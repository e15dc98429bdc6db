"""Experiments: networks driven by hand that show what a neuron or a rule of learning does, one file each."""

from __future__ import annotations

import importlib
import pkgutil


def load_builtin() -> None:
    """Import every experiment of the package, so that it is registered."""
    for found in pkgutil.iter_modules(__path__, prefix=f"{__name__}."):
        importlib.import_module(found.name)
