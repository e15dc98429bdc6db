r"""Stochastic switch: a superconducting strip that switches where its bias exceeds a current drawn anew each time.

    switches if bias > I_sw,     I_sw = Q(p | gate),     p uniform, one for each pulse
    P(switch | bias, gate) = F(bias | gate),   F the inverse of Q in p

w                       w_max_i after an up pulse that switches, w_min_i after a down pulse that does; else as before
bias, gate, I_sw        A; each direction has its own bias and gate (heater) current
Q(p | gate)             quantile function of the switching current

One draw belongs to one event, whatever time steps a circuit takes for it. The table ``currents_A`` [gate][quantile] is
interpolated linearly between gates and over normal scores; ``neurosim.devices.mixture`` trains a mixture-density
network on samples of a device and exports such a table (preset ``heater-cryotron``).

Source: M. Hutchins, S. Alam, D. Rampini, B. Oripov, A. McCaughan, A. Aziz, Machine-learning-driven compact model of
stochastic switching of the heater cryotron, Sci. Rep. (2024), s41598-024-56779-8.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from neurosim.models.devices import quantiles as tables
from neurosim.models.devices.base import DeviceParameters
from neurosim.registry import register

EXACT = False

_Z = (-3.0, -1.0, 0.0, 1.0, 3.0)
_P = (0.0013499, 0.1586553, 0.5, 0.8413447, 0.9986501)


@register("device", "stochastic-switch")
class StochasticSwitch(DeviceParameters):
    """A binary device with a random threshold; the default is a normal threshold that the gate lowers."""

    model: Literal["stochastic-switch"] = "stochastic-switch"
    dw_min: float = Field(default=0.0, ge=0.0, description="0: the whole range, since there are two states")
    w_min: float = Field(default=-1.0, le=0.0, description="the state that down pulses lead to, in weight units")
    gates_A: tuple[float, ...] = Field(
        default=(0.0, 3e-6), min_length=2, description="gate currents of the table, rising"
    )
    quantiles: tuple[float, ...] = Field(default=_P, min_length=2, description="probabilities of the table, rising")
    currents_A: tuple[tuple[float, ...], ...] = Field(
        default=(tuple(30e-6 + 0.5e-6 * z for z in _Z), tuple(15e-6 + 0.5e-6 * z for z in _Z)),
        description="switching currents [gate][quantile]",
    )
    up_bias_A: float = Field(default=22.5e-6, description="bias of an up pulse")
    up_gate_A: float = Field(default=1.5e-6, description="gate current of an up pulse")
    down_bias_A: float = Field(default=22.5e-6, description="bias of a down pulse")
    down_gate_A: float = Field(default=1.5e-6, description="gate current of a down pulse")

    @model_validator(mode="after")
    def _whole(self) -> StochasticSwitch:
        wrong = []
        gates, p = np.array(self.gates_A), np.array(self.quantiles)
        if (np.diff(gates) <= 0).any():
            wrong.append("gates_A must rise")
        if (np.diff(p) <= 0).any() or p[0] <= 0.0 or p[-1] >= 1.0:
            wrong.append("quantiles must rise strictly between 0 and 1")
        if len(self.currents_A) != gates.size or any(len(row) != p.size for row in self.currents_A):
            wrong.append(f"currents_A must hold {gates.size} rows (gates) of {p.size} values (quantiles)")
        elif any((np.diff(row) <= 0).any() for row in self.currents_A):
            wrong.append("currents_A: the switching current must rise with the quantile")
        for name in ("up_gate_A", "down_gate_A"):
            if not gates[0] <= getattr(self, name) <= gates[-1]:
                wrong.append(f"{name} lies outside the table's gates, {gates[0]:g}..{gates[-1]:g} A")
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    @property
    def step_size(self) -> float:
        """The distance of the two states."""
        return self.w_max - self.w_min

    @property
    def grid(self) -> float:
        """The distance of the two states."""
        return self.w_max - self.w_min

    def scored(self, gate_A: float) -> NDArray[np.float64]:
        """Switching currents at one gate, over normal scores."""
        rows = tables.at_scores(np.array(self.quantiles), np.array(self.currents_A))
        return np.array([np.interp(gate_A, self.gates_A, column) for column in rows.T])

    def probability(self, bias_A: float, gate_A: float) -> float:
        """P(switch | bias, gate)."""
        from scipy.special import ndtr

        row = self.scored(gate_A)
        return float(ndtr(tables.interpolated(row, tables.SCORES, np.array([bias_A]))[0]))

    @property
    def p_up(self) -> float:
        """That an up pulse switches."""
        return self.probability(self.up_bias_A, self.up_gate_A)

    @property
    def p_down(self) -> float:
        """That a down pulse switches."""
        return self.probability(self.down_bias_A, self.down_gate_A)

    def table(self) -> NDArray[np.float64]:
        """Switching currents minus bias over normal scores, up first."""
        return np.concatenate(
            [self.scored(self.up_gate_A) - self.up_bias_A, self.scored(self.down_gate_A) - self.down_bias_A]
        )


def step(
    w: float, up: bool, scale_up: float, scale_down: float, w_min: float, w_max: float, p_up: float, p_down: float
) -> float:
    """Mean change by one pulse."""
    return (w_max - w) * p_up if up else (w_min - w) * p_down


def jump(w: float, up: bool, w_min: float, w_max: float, table: NDArray[np.float64], xi: float) -> float:
    """The change by one pulse: the threshold is drawn by inverse CDF, and compared."""
    s = (xi + 4.0) * 4.0
    m = min(max(int(s), 0), 31)
    at = m if up else 33 + m
    over = table[at] + (s - m) * (table[at + 1] - table[at])
    return ((w_max if up else w_min) - w) if over < 0.0 else 0.0
