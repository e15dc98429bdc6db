"""Experiments from Python: ``run_experiment``."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomli_w

from neurosim import experiments, models
from neurosim.engine import tables
from neurosim.experiments.study import Study, study
from neurosim.kernels.random import RNG_VERSION
from neurosim.spec import load
from neurosim.spec.scenario import ExperimentScenario
from neurosim.trace import TraceWriter


def load_experiment(
    scenario: str | Path | Mapping[str, Any],
    *,
    chip: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    seed: int | None = None,
) -> tuple[str, ExperimentScenario]:
    """(name, resolved scenario) of a shipped name, a path, or a table; raises InputError listing every problem."""
    models.load_builtin()
    experiments.load_builtin()
    if isinstance(scenario, Mapping):
        name, table = "experiment", dict(scenario)
    else:
        name, table = Path(str(scenario)).stem, load.load_scenario_table(str(scenario))
    where = f"scenario {name}"
    return name, load.resolve_experiment(table, where=where, chip=chip, overrides=overrides, seed=seed)


def run_experiment(
    scenario: str | Path | Mapping[str, Any],
    *,
    chip: str | None = None,
    seed: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    output: str | Path | None = None,
    force: bool = False,
) -> tuple[dict[str, Any], Study]:
    """Run an experiment; returns (summary, study) and, with ``output``, writes a trace of it.

    Raises InputError, before anything is run, for a scenario that is wrong or an ``output`` that may not be written.
    """
    name, resolved = load_experiment(scenario, chip=chip, overrides=overrides, seed=seed)
    started = time.perf_counter()
    if output is None:
        done = study(resolved)
        summary = done.summary(name)
        summary["host"] = {"time_s": time.perf_counter() - started, "trace": None}
        return summary, done
    attributes = {"kind": "experiment", "scenario": name, "seed": resolved.seed, "rng_version": RNG_VERSION}
    writer = TraceWriter.create(output, force=force, attributes=attributes)
    try:
        text = resolved.model_dump(mode="json", exclude_none=True)
        writer.write("/config/chip", tomli_w.dumps(text["chip"]), "1", "the chip, resolved")
        writer.write("/config/scenario", tomli_w.dumps(text), "1", "the scenario, resolved")
        writer.write("/config/name", name, "1", "name of the scenario")
        done = study(resolved)
        tables.declare_ledger(writer, done.prices, {"cores_used": 1})
        writer.append("/ledger", tables.ledger_row(done.ledger, done.prices, done.result.ticks))
        for table in done.result.tables:
            writer.declare(table)
            writer.append(table.path, dict(done.result.rows[table.path]))
        summary = done.summary(name)
        summary["host"] = {"time_s": time.perf_counter() - started, "trace": str(output)}
        writer.close("complete", summary)
    except BaseException:
        path = writer.path
        writer.abandon()
        path.unlink(missing_ok=True)
        raise
    return summary, done
