"""Datasets: one function, :func:`load`, and one type, :class:`Dataset`.

``load("fashion-mnist-small")`` needs neither network nor files; ``available()`` lists every name. Importing this
package touches no network, no file and nothing heavier than numpy. See ``docs/data.md``.
"""

from __future__ import annotations

from neurosim.data import cifar, idx, letters, logic, npz, small  # noqa: F401  (importing a family registers its names)
from neurosim.data.catalog import available, load
from neurosim.data.dataset import Dataset
from neurosim.data.progress import Progress, silent
from neurosim.data.search import cache_folder

__all__ = ["Dataset", "Progress", "available", "cache_folder", "load", "silent"]
