"""``neurosim run`` of a scenario that is an experiment: its claims, and what it cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neurosim import api_experiment
from neurosim.cli_out import count, interval, note, put, put_json, quantity, table
from neurosim.errors import InputError


def run(
    scenario: str,
    *,
    chip: str | None,
    overrides: dict[str, Any],
    seed: int | None,
    output: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> int:
    """Run the experiment; 0 where all claims hold, 1 where one does not."""
    path = output or Path(f"{Path(scenario).stem}.h5")
    if path.exists() and not force:
        raise InputError(f"{path} exists; --force replaces it, -o names another")
    summary, _ = api_experiment.run_experiment(
        scenario, chip=chip, seed=seed, overrides=overrides, output=path, force=force
    )
    if as_json:
        put_json(summary)
    else:
        show(summary)
        if not quiet:
            note(f"next: neurosim report {path}")
    return 0 if summary["holds"] else 1


def show(summary: dict[str, Any]) -> None:
    """The claims, one a line, and what the experiment cost."""
    kind = " (HYPOTHETICAL)" if summary["hypothetical"] else ""
    put(f"{summary['scenario']} on {summary['chip']}{kind}, seed {summary['seed']}: an experiment", "")
    put(table(
        ("claim", "measured", "asked for", ""),
        [(claim["says"], f"{claim['measured']:.4g}", claim["bar"], "holds" if claim["holds"] else "FAILS")
         for claim in summary["claims"]],
    ), "")  # fmt: skip
    span = interval(summary["energy_low_J"], summary["energy_high_J"], "J")
    rows = [
        ("ticks", count(summary["ticks"])),
        ("chip time", quantity(summary["chip_time_s"], "s")),
        ("energy", quantity(summary["energy_J"], "J") + (f" ({span})" if span else "")),
        ("trace", str(summary["host"]["trace"])),
    ]
    put(table(("", ""), rows))
