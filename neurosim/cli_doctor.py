"""``neurosim doctor``: does everything work here, and where are things?

What could be broken is imported inside the check that looks at it, so that a broken library is a finding and not the
end of the examination.
"""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path

from neurosim import files
from neurosim._version import __version__
from neurosim.cli_out import put, put_json, table
from neurosim.errors import DataError, NeurosimError

PACKAGES = (
    "numpy", "numba", "llvmlite", "simpy", "h5py", "matplotlib", "pydantic", "scipy", "typer", "rich", "distributed",
)  # fmt: skip
PUBLIC = ("fashion-mnist", "mnist", "cifar-10")


@dataclass(frozen=True)
class Check:
    """One thing looked at: ``state`` is ``ok``, ``wrong`` (something does not work) or ``note``."""

    name: str
    state: str
    found: str


def doctor(as_json: bool) -> int:
    """Look at everything; returns 1 when something does not work."""
    checks = list(_checks())
    if as_json:
        put_json({"checks": [asdict(check) for check in checks]})
    else:
        put(table(("", "", ""), [(check.name, check.state.replace("note", ""), check.found) for check in checks]))
        wrong = [check.name for check in checks if check.state == "wrong"]
        put(f"\nnot in order: {', '.join(wrong)}" if wrong else "\neverything works")
    return 1 if any(check.state == "wrong" for check in checks) else 0


def _checks() -> Iterator[Check]:
    python = f"Python {platform.python_version()} on {platform.platform(terse=True)} ({platform.machine()})"
    yield Check("neurosim", "note", f"{__version__} in {Path(__file__).parent}; {python}")
    yield Check("libraries", "note", ", ".join(f"{name} {_version(name)}" for name in PACKAGES))
    yield _tried("threads", _threads)
    yield _tried("kernel cache", _cache)
    yield _tried("kernel compiler", _compiler)
    yield _tried("traces", _trace)
    yield _tried("chips", _chips)
    yield _tried("scenarios", _scenarios)
    yield _tried("models", _models)
    yield _tried("data: fashion-mnist-small", _embedded)
    yield Check("data: searched", "note", _searched())
    for name in PUBLIC:
        yield Check(f"data: {name}", "note", _public(name))


def _tried(name: str, look: Callable[[], str]) -> Check:
    """A check that works, or says why it does not."""
    try:
        return Check(name, "ok", look())
    except (NeurosimError, OSError) as error:
        return Check(name, "wrong", str(error))
    except Exception as error:  # whatever a broken library raises is what the user wants to know
        return Check(name, "wrong", f"{type(error).__name__}: {error}")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _threads() -> str:
    import numba

    may_use = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{os.cpu_count()} in the machine, {may_use} for this process; numba {numba.get_num_threads()}"


def _cache() -> str:
    from neurosim.engine.program import cache_folder

    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise NeurosimError(f"{folder} cannot be written ({error.strerror}); set NEUROSIM_CACHE to another") from None
    return f"{folder} (writable, {len(list(folder.glob('neurosim_kernel_*.py')))} kernels)"


def _compiler() -> str:
    import numpy as np

    from neurosim.kernels.wrap import kernel, svml_in_use

    def sum_of(values: np.ndarray) -> float:
        total = 0.0
        for value in values:
            total += value
        return total

    started = time.perf_counter()
    got = kernel(sum_of)(np.arange(1000.0))
    spent = time.perf_counter() - started
    if got != 499500.0:
        raise NeurosimError(f"a compiled sum gives {got} and not 499500")
    if svml_in_use():
        raise NeurosimError("numba uses Intel SVML: results may differ from other machines' in the last bits")
    return f"a trivial kernel compiled in {spent:.1f} s, its result is right"


def _trace() -> str:
    from neurosim.engine.sink import Column, Table
    from neurosim.trace import TraceWriter, open_trace

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "doctor.h5"
        writer = TraceWriter.create(path, force=False, attributes={"seed": 0})
        writer.declare(Table("/training", (Column("step", "step", "steps", "i8"),), {}))
        writer.append("/training", {"step": [1, 2, 3]})
        writer.close("complete", {})
        with open_trace(path) as trace:
            if trace.training.step.tolist() != [1, 2, 3]:
                raise NeurosimError("a trace written and read again holds something else")
    return f"an HDF5 trace was written and read again in {tempfile.gettempdir()}"


def _chips() -> str:
    from neurosim import accounting, models
    from neurosim.spec import load

    models.load_builtin()
    names = list(files.shipped("chip"))
    for name in names:
        accounting.price_table(load.load_chip(name))
    return f"{len(names)} shipped, all valid{_search_path('NEUROSIM_CHIP_PATH')}"


def _scenarios() -> str:
    from neurosim import experiments, training
    from neurosim.spec import load

    training.load_builtin()
    experiments.load_builtin()
    names = list(files.shipped("scenario"))
    for name in names:
        table = load.load_scenario_table(name)
        resolve = load.resolve_experiment if load.is_experiment(table) else load.resolve
        resolve(table, where=f"scenario {name}")
    return f"{len(names)} shipped, all valid{_search_path('NEUROSIM_SCENARIO_PATH')}"


def _search_path(variable: str) -> str:
    value = os.environ.get(variable)
    return f"; {variable} = {value}" if value else ""


def _models() -> str:
    from neurosim import registry

    outside = sorted({entry.module for entry in entry_points(group="neurosim.models")})
    number = sum(len(registry.names(kind)) for kind in registry.REQUIRED)
    return f"{number} registered" + (f"; from outside: {', '.join(outside)}" if outside else "")


def _embedded() -> str:
    from neurosim import data

    return data.load("fashion-mnist-small", n_train=1, n_test=1).source


def _searched() -> str:
    """The folders where datasets are looked for, in order."""
    from neurosim.data.search import places

    found = [(place.label, place.root) for place in places(None)[1:]]
    return ", ".join(
        f"{label} {'not set' if root is None else str(root) + ('' if root.is_dir() else ' (no such folder)')}"
        for label, root in found
    )


def _public(name: str) -> str:
    """Where a public dataset is, without asking any mirror."""
    from neurosim import data

    with _offline():
        try:
            return f"here: {data.load(name, n_train=1, n_test=1, progress=data.silent).source}"
        except DataError:
            return "not here; the first run that needs it downloads it"


@contextmanager
def _offline() -> Iterator[None]:
    before = os.environ.get("NEUROSIM_OFFLINE")
    os.environ["NEUROSIM_OFFLINE"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["NEUROSIM_OFFLINE"]
        else:
            os.environ["NEUROSIM_OFFLINE"] = before
