r"""Table-driven device: the distribution of the step, as measured, at every weight.

    dw = Q_dir(p | x) scale / dw_min,     p uniform,     x = (w - w_min_i) / (w_max_i - w_min_i)

w, dw                w and its change, weight units
Q_dir(p | x)         quantile function of the step of up or down pulses at relative weight x, weight units
scale                this device's scale_up or scale_down: its own size, by mismatch; dw_min is the nominal one

Between weights and between quantiles (over their normal scores) the table is interpolated linearly; in the tails the
last piece goes on. It is given as ``levels`` [x], ``quantiles`` [p], ``up`` and ``down`` [x, p]; or in a file, which is
read once and becomes part of the description: CSV with the columns ``direction,level,quantile,dw`` (direction ``up`` or
``down``), or npz with the four arrays.

Source: G. W. Burr et al., Experimental demonstration and tolerancing of a large-scale neural network, IEEE Trans.
Electron Devices 62, 3498 (2015) (jump tables); S. Agarwal et al., Resistive memory device requirements for a neural
algorithm accelerator, IJCNN (2016) (look-up of the distribution of steps).
"""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from neurosim.models.devices import quantiles as tables
from neurosim.models.devices.base import DeviceParameters
from neurosim.registry import register

EXACT = False

LEVELS = 65
"""Weights of the table that kernels use."""

_SIGMAS = (0.0013499, 0.0227501, 0.1586553, 0.5, 0.8413447, 0.9772499, 0.9986501)
_UP = tuple(1e-3 * (1.0 + 0.3 * z) for z in (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0))


@register("device", "table-step")
class TableStep(DeviceParameters):
    """A device whose steps were measured; the default table is a normal distribution around a constant step."""

    model: Literal["table-step"] = "table-step"
    dw_min: float = Field(default=0.0, ge=0.0, description="0: the table's mean step in the middle")
    w_min: float = Field(default=-1.0, le=0.0, description="lower bound, in weight units")
    levels: tuple[float, ...] = Field(default=(0.0, 1.0), min_length=2, description="relative weights, 0 to 1, rising")
    quantiles: tuple[float, ...] = Field(default=_SIGMAS, min_length=2, description="probabilities, rising")
    up: tuple[tuple[float, ...], ...] = Field(default=(_UP, _UP), description="steps of up pulses [level][quantile]")
    down: tuple[tuple[float, ...], ...] = Field(
        default=(tuple(-value for value in reversed(_UP)),) * 2, description="steps of down pulses, signed"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_file(cls, value: Any) -> Any:
        if isinstance(value, dict) and "file" in value:
            inline = [key for key in ("levels", "quantiles", "up", "down") if key in value]
            if inline:
                raise ValueError(f"file gives {', '.join(inline)} too: give one or the other")
            rest = {key: each for key, each in value.items() if key != "file"}
            return {**rest, **read_table(str(value["file"]))}
        return value

    @model_validator(mode="after")
    def _whole(self) -> TableStep:
        wrong = []
        levels, p = np.array(self.levels), np.array(self.quantiles)
        if (np.diff(levels) <= 0).any() or levels[0] < 0.0 or levels[-1] > 1.0:
            wrong.append("levels must rise within 0..1")
        if (np.diff(p) <= 0).any() or p[0] <= 0.0 or p[-1] >= 1.0:
            wrong.append("quantiles must rise strictly between 0 and 1")
        for name, rows in (("up", self.up), ("down", self.down)):
            if len(rows) != levels.size or any(len(row) != p.size for row in rows):
                wrong.append(f"{name} must hold {levels.size} rows (levels) of {p.size} values (quantiles)")
            elif any((np.diff(row) < 0).any() for row in rows):
                wrong.append(f"{name}: steps must not fall as the quantile rises")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    def _middle(self, rows: tuple[tuple[float, ...], ...]) -> float:
        return float(
            np.interp(0.5, self.levels, tables.mean(tables.at_scores(np.array(self.quantiles), np.array(rows))))
        )

    @property
    def step_size(self) -> float:
        """``dw_min``, or the mean size of up and down steps in the middle."""
        if self.dw_min > 0.0:
            return self.dw_min
        size = 0.5 * (abs(self._middle(self.up)) + abs(self._middle(self.down)))
        return size if size > 0.0 else 1e-3

    @property
    def per_step(self) -> float:
        """1 / step_size."""
        return 1.0 / self.step_size

    def table(self) -> NDArray[np.float64]:
        """Quantiles [direction, level, score] and means [direction, level], up first, flat."""
        at = np.linspace(0.0, 1.0, LEVELS)
        scored = []
        for rows in (self.up, self.down):
            quantiles = tables.at_scores(np.array(self.quantiles), np.array(rows))
            columns = [np.interp(at, self.levels, column) for column in quantiles.T]
            scored.append(np.array(columns).T)
        whole = np.array(scored)
        return np.concatenate([whole.ravel(), tables.mean(whole).ravel()])


def read_table(name: str) -> dict[str, Any]:
    """levels, quantiles, up and down of a table file; raises ValueError saying what is wrong with it."""
    path = Path(name).expanduser()
    if not path.is_file():
        raise ValueError(f"no file {name!r}")
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            missing = [key for key in ("levels", "quantiles", "up", "down") if key not in arrays]
            if missing:
                raise ValueError(f"{name}: no array {', '.join(missing)}")
            return {key: arrays[key].tolist() for key in ("levels", "quantiles", "up", "down")}
    return _read_csv(path)


def _read_csv(path: Path) -> dict[str, Any]:
    found: dict[tuple[str, float, float], float] = {}
    wanted = ("direction", "level", "quantile", "dw")
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        missing = [key for key in wanted if key not in (reader.fieldnames or ())]
        if missing:
            raise ValueError(f"{path}: no column {', '.join(missing)} (wanted: {','.join(wanted)})")
        for number, row in enumerate(reader, 2):
            try:
                key = (row["direction"].strip(), float(row["level"]), float(row["quantile"]))
                value = float(row["dw"])
            except (TypeError, ValueError, AttributeError):
                raise ValueError(f"{path}, line {number}: {row} is not direction, level, quantile, dw") from None
            if key[0] not in ("up", "down"):
                raise ValueError(f"{path}, line {number}: direction must be up or down, not {key[0]!r}")
            if key in found:
                raise ValueError(f"{path}, line {number}: {key} occurs twice")
            found[key] = value
    levels = sorted({level for _, level, _ in found})
    quantiles = sorted({p for _, _, p in found})
    holes = [(d, x, p) for d in ("up", "down") for x in levels for p in quantiles if (d, x, p) not in found]
    if holes or not found:
        raise ValueError(f"{path}: {len(holes)} cells of the table are missing, first {holes[0] if holes else 'all'}")
    rows = {d: [[found[d, x, p] for p in quantiles] for x in levels] for d in ("up", "down")}
    return {"levels": levels, "quantiles": quantiles, **rows}


def step(
    w: float, up: bool, scale_up: float, scale_down: float, w_min: float, w_max: float,
    per_step: float, table: NDArray[np.float64],
) -> float:  # fmt: skip
    """Mean change by one pulse."""
    x = min(max((w - w_min) / (w_max - w_min), 0.0), 1.0) * 64.0
    k = min(int(x), 63)
    at = 4290 + (k if up else 65 + k)
    mean: float = table[at] + (x - k) * (table[at + 1] - table[at])
    return mean * per_step * (scale_up if up else scale_down)


def jump(
    w: float, up: bool, scale_up: float, scale_down: float, w_min: float, w_max: float,
    per_step: float, table: NDArray[np.float64], xi: float,
) -> float:  # fmt: skip
    """The change by one pulse."""
    x = min(max((w - w_min) / (w_max - w_min), 0.0), 1.0) * 64.0
    k = min(int(x), 63)
    s = (xi + 4.0) * 4.0
    m = min(max(int(s), 0), 31)
    at = (k if up else 65 + k) * 33 + m
    low: float = table[at] + (s - m) * (table[at + 1] - table[at])
    high: float = table[at + 33] + (s - m) * (table[at + 34] - table[at + 33])
    return (low + (x - k) * (high - low)) * per_step * (scale_up if up else scale_down)
