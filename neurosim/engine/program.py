"""Loads a composed kernel: writes its source under a name made of everything that it depends on, and imports it.

The name holds a hash of the composed text, of every contributing module's source, of numba's version and of the CPU;
an edit anywhere gives a new file, so a stale kernel cannot be picked up, and numba's own cache (``cache=True``) makes
the second run load machine code instead of compiling. The files lie in ``$NEUROSIM_CACHE/kernels`` (default
``~/.cache/neurosim/kernels``) and can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType

import llvmlite.binding
import numba

from neurosim.errors import NeurosimError


def cache_folder() -> Path:
    """Where composed kernels are kept."""
    root = os.environ.get("NEUROSIM_CACHE")
    base = Path(root) if root else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "neurosim"
    return base / "kernels"


def fingerprint(source: str, modules: tuple[str, ...]) -> str:
    """Hash of the source text, all contributing modules, numba's version and the CPU."""
    digest = hashlib.sha256(source.encode())
    for name in sorted(_with_helpers(modules)):
        module = sys.modules.get(name) or importlib.import_module(name)
        digest.update(name.encode())
        digest.update(Path(str(module.__file__)).read_bytes())
    for item in (
        numba.__version__,
        llvmlite.binding.get_host_cpu_name(),
        sys.version,
        os.environ.get("NEUROSIM_BOUNDSCHECK", ""),
    ):
        digest.update(item.encode())
    return digest.hexdigest()[:20]


def _with_helpers(names: tuple[str, ...]) -> set[str]:
    """The modules, and those of the same package that they take names from (a model's own helpers)."""
    known: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in known:
            continue
        known.add(name)
        package = name.partition(".")[0]
        for value in vars(sys.modules.get(name) or importlib.import_module(name)).values():
            origin = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
            if isinstance(origin, str) and origin.partition(".")[0] == package and ".kernels." not in origin:
                if origin.startswith("neurosim.") and not origin.startswith("neurosim.models."):
                    continue
                if getattr(sys.modules.get(origin), "__file__", None):
                    waiting.append(origin)
    return known


def is_compiled(source: str, modules: tuple[str, ...]) -> bool:
    """Whether the kernel has been used before on this machine, so that no compilation is to be expected."""
    folder, name = cache_folder(), f"neurosim_kernel_{fingerprint(source, modules)}"
    return (folder / f"{name}.py").is_file() and any((folder / "__pycache__").glob(f"{name}.burst*.nbi"))


def load(source: str, modules: tuple[str, ...]) -> ModuleType:
    """Write (if new) and import the composed kernel; raises NeurosimError where the cache folder cannot be written."""
    name = f"neurosim_kernel_{fingerprint(source, modules)}"
    if name in sys.modules:
        return sys.modules[name]
    folder = cache_folder()
    path = folder / f"{name}.py"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.is_file():
            with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".tmp", delete=False, encoding="utf-8") as file:
                file.write(source)
            Path(file.name).replace(path)  # whole or not at all, even when two runs start at once
    except OSError as error:
        raise NeurosimError(
            f"cannot write compiled kernels to {folder}: {error.strerror}; set NEUROSIM_CACHE to a folder you can write"
        ) from None
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
