"""``neurosim device``: models and presets of weight devices; convert those of others, fit measured ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from neurosim import cli_models, models, registry
from neurosim.cli_out import note, plain, put, put_json, table
from neurosim.devices import convert as conversion
from neurosim.devices import fit as fitting
from neurosim.devices import presets
from neurosim.errors import InputError


def listing(as_json: bool) -> None:
    """All models, and all presets with their models."""
    models.load_builtin()
    found = [
        {"name": each.name, "about": each.about, "kind": each.kind, "model": each.device.model, "source": each.source}
        for each in map(presets.preset, presets.shipped())
    ]
    if as_json:
        put_json({"models": cli_models.rows("device"), "presets": found})
        return
    cli_models.listing(False, kind="device")
    plain("")
    put(
        table(
            ("preset", "model", "numbers", ""),
            [(row["name"], row["model"], row["kind"], row["about"]) for row in found],
        )
    )


def show(name: str, as_json: bool) -> None:
    """A model (equation and parameters), or a preset: a shipped one, or a file."""
    models.load_builtin()
    if name in registry.names("device") or not (name in presets.shipped() or Path(name).is_file()):
        if name not in registry.names("device"):
            raise InputError(
                registry.unknown(name, [*registry.names("device"), *presets.shipped()], "device model or preset")
            )
        cli_models.show(name, "device", as_json)
        return
    made = presets.preset(name)
    if as_json:
        put_json(made.model_dump(mode="json"))
        return
    plain(presets.text(made))


def convert(path: Path, origin: str, output: Path | None, force: bool, as_json: bool) -> None:
    """Another simulator's parameters as a preset; what it does not hold is listed."""
    target = _target(output, path, force)
    made = conversion.convert(conversion.read(path), origin, target.stem if target else path.stem)
    _put(made.preset, target)
    if as_json:
        put_json({"preset": made.preset.model_dump(mode="json"), "dropped": made.dropped, "file": str(target or "")})
        return
    if target is None:
        plain(presets.text(made.preset))
    else:
        plain(str(target))
    for each in made.dropped or ["nothing"]:
        note(f"dropped: {each}")


def fit(path: Path, output: Path | None, replicates: int, seed: int, force: bool, as_json: bool) -> None:
    """A preset from measured pulse trains, and its plot of residuals beside it."""
    from neurosim.report.devices import write_residual

    target = _target(output or Path(f"{path.stem}.toml"), path, force)
    assert target is not None
    models.load_builtin()
    made = fitting.fit(fitting.read(path), target.stem, f"fitted to {path.name}", replicates=replicates, seed=seed)
    figure = target.with_name(f"{target.stem}_residuals.png")
    _put(made.preset, target)
    write_residual(made, figure)
    if as_json:
        put_json({
            "preset": made.preset.model_dump(mode="json"), "curve": made.curve, "values": made.values,
            "interval_95": {key: list(each) for key, each in made.intervals.items()}, "held_out_rms": made.held_out,
            "expected_rms": made.expected_std, "file": str(target), "figure": str(figure),
        })  # fmt: skip
        return
    put(table(("", "value", "95 % interval"), _rows(made), right=(1,)))
    plain("")
    errors = ", ".join(f"{curve} {error:.4g}" for curve, error in made.held_out.items())
    plain(
        f"curve: {made.curve}; error on held-out steps (rms, weight units): {errors}; expected {made.expected_std:.4g}"
    )
    plain(str(target))
    plain(str(figure))


_ABOUT = {
    "dw_min_dtod": "device to device", "up_down_dtod": "device to device", "dw_min_std": "cycle to cycle",
    "read_noise_std": "of a reading",
}  # fmt: skip


def _rows(made: fitting.Fit) -> list[tuple[Any, ...]]:
    return [
        (
            f"{key} ({_ABOUT[key]})" if key in _ABOUT else key,
            f"{value:.4g}",
            "{:.4g} to {:.4g}".format(*made.intervals[key]),
        )
        for key, value in made.values.items()
    ]


def _target(output: Path | None, path: Path, force: bool) -> Path | None:
    if not path.is_file():
        raise InputError(f"no file {str(path)!r}")
    if output is not None and output.exists() and not force:
        raise InputError(f"{output} is there already; --force replaces it")
    return output


def _put(preset: presets.Preset, target: Path | None) -> None:
    if target is None:
        return
    try:
        target.write_text(presets.text(preset), encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}") from None
