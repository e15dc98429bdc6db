"""A mixture-density network of a switching device: trained on samples, exported as a table of quantiles.

The network gives, for a gate current, a mixture of normal distributions of the switching current,

    p(I | gate) = sum_k pi_k(gate) N(I; mu_k(gate), sigma_k(gate))
    P(switch | bias, gate) = sum_k pi_k Phi((bias - mu_k) / sigma_k)

with one hidden layer of tanh units, trained by Adam on the mean negative log-likelihood, in plain numpy, in
standardised units of gate and current. The quantile function Q(p | gate) is found by bisection and kept over normal
scores, which is what the device ``stochastic-switch`` samples by inverse CDF.

Source: C. M. Bishop, Mixture density networks, Aston University NCRG/94/004 (1994); M. Hutchins et al., Sci. Rep.
(2024), s41598-024-56779-8, for its use on the heater cryotron.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from neurosim.devices.presets import Preset, validated
from neurosim.errors import InputError
from neurosim.models.devices.quantiles import SCORES

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Mixture:
    """A trained network: ``probability`` and ``quantiles`` of the switching current in A at gate currents in A."""

    weights: tuple[Floats, ...]
    """Hidden weights [1, hidden] and biases, output weights [hidden, 3 components] and biases."""
    gate: tuple[float, float]
    """Mean and standard deviation of the gates."""
    current: tuple[float, float]
    """Mean and standard deviation of the currents."""

    def components(self, gates_A: Floats) -> tuple[Floats, Floats, Floats]:
        """pi, mu (A), sigma (A), each [gate, component]."""
        x = (np.atleast_1d(gates_A)[:, None] - self.gate[0]) / self.gate[1]
        pi, mu, sigma, _ = _forward(self.weights, x)
        return pi, self.current[0] + self.current[1] * mu, self.current[1] * sigma

    def probability(self, bias_A: Floats, gate_A: Floats) -> Floats:
        """P(switch | bias, gate), element by element."""
        pi, mu, sigma = self.components(gate_A)
        return np.asarray((pi * ndtr((np.atleast_1d(bias_A)[:, None] - mu) / sigma)).sum(axis=1))

    def quantiles(self, gates_A: Floats) -> Floats:
        """Switching currents [gate, score] at the normal scores of ``neurosim.models.devices.quantiles``."""
        pi, mu, sigma = (each[:, None, :] for each in self.components(gates_A))
        wanted = ndtr(SCORES)[None, :]
        low = np.broadcast_to((mu - 12.0 * sigma).min(axis=2), (len(gates_A), SCORES.size)).copy()
        high = np.broadcast_to((mu + 12.0 * sigma).max(axis=2), low.shape).copy()
        for _ in range(80):
            middle = 0.5 * (low + high)
            below = (pi * ndtr((middle[:, :, None] - mu) / sigma)).sum(axis=2) < wanted
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.asarray(0.5 * (low + high))


def _forward(weights: tuple[Floats, ...], x: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    hidden = np.tanh(x @ weights[0] + weights[1])
    out = hidden @ weights[2] + weights[3]
    logit, mu, log_sigma = np.split(out, 3, axis=1)
    pi = np.exp(logit - logit.max(axis=1, keepdims=True))
    pi /= pi.sum(axis=1, keepdims=True)
    return pi, mu, np.exp(np.clip(log_sigma, -7.0, 3.0)), hidden


def train(
    gates_A: Floats, currents_A: Floats, *, components: int = 4, hidden: int = 24, steps: int = 3000,
    batch: int = 1024, rate: float = 1e-2, seed: int = 0,
) -> Mixture:  # fmt: skip
    """Train on samples: ``currents_A[i]`` is a switching current seen at ``gates_A[i]``; raises InputError."""
    gates, currents = np.asarray(gates_A, np.float64).ravel(), np.asarray(currents_A, np.float64).ravel()
    wrong = [] if gates.size == currents.size else [f"{gates.size} gates for {currents.size} currents"]
    wrong += [] if gates.size >= 100 else [f"{gates.size} samples are too few"]
    wrong += [] if np.isfinite(gates).all() and np.isfinite(currents).all() else ["every number must be finite"]
    if not wrong and (gates.std() == 0.0 or currents.std() == 0.0):
        wrong.append("gates and currents must vary")
    if wrong:
        raise InputError(wrong, "samples")
    scale = (float(gates.mean()), float(gates.std())), (float(currents.mean()), float(currents.std()))
    x, y = (gates[:, None] - scale[0][0]) / scale[0][1], (currents[:, None] - scale[1][0]) / scale[1][1]
    rng = np.random.default_rng(seed)
    parameters = [
        rng.normal(size=(1, hidden)), rng.normal(size=hidden), 0.1 * rng.normal(size=(hidden, 3 * components)),
        np.concatenate([np.zeros(components), np.linspace(-1.0, 1.0, components), np.full(components, -1.0)]),
    ]  # fmt: skip
    first = [np.zeros_like(each) for each in parameters]
    second = [np.zeros_like(each) for each in parameters]
    for n in range(1, steps + 1):
        pick = rng.integers(0, len(x), batch)
        speed = rate * 0.5 * (1.0 + np.cos(np.pi * n / steps)) + 1e-5
        for each, gradient, m, v in zip(
            parameters, _gradient(parameters, x[pick], y[pick]), first, second, strict=True
        ):
            m += 0.1 * (gradient - m)
            v += 0.001 * (gradient**2 - v)
            each -= speed * (m / (1.0 - 0.9**n)) / (np.sqrt(v / (1.0 - 0.999**n)) + 1e-8)
    return Mixture(tuple(parameters), *scale)


def _gradient(weights: list[Floats], x: Floats, y: Floats) -> tuple[Floats, ...]:
    """Of the mean negative log-likelihood: with r_k the share of component k in the sample's density,
    d/dlogit = pi - r, d/dmu = -r (y - mu) / sigma^2, d/dlog sigma = -r ((y - mu)^2 / sigma^2 - 1)."""
    pi, mu, sigma, hidden = _forward(tuple(weights), x)
    away = (y - mu) / sigma
    log = np.log(pi + 1e-300) - np.log(sigma) - 0.5 * away**2
    share = np.exp(log - log.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    out = np.concatenate([pi - share, -share * away / sigma, -share * (away**2 - 1.0)], axis=1) / len(x)
    back = (out @ weights[2].T) * (1.0 - hidden**2)
    return x.T @ back, back.sum(axis=0), hidden.T @ out, out.sum(axis=0)


@dataclass(frozen=True)
class Cryotron:
    """A generated reference: a heater cryotron whose gate (heater) lowers and broadens the switching current.

    With the wire's temperature T = T0 + T1 g^1.4 and g = gate / 3 uA (below its critical temperature throughout), the
    switching current is I0 (1 - (T / Tc)^2)^1.5 less a random part: mostly normal, and with a share of ``early`` events
    in a second, lower mode. All numbers are made up, in the range of the published device.
    """

    I0_A: float = 42e-6
    early: float = 0.2

    def _modes(self, gate_A: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        g = np.asarray(gate_A, np.float64) / 3e-6
        mean = self.I0_A * (1.0 - (0.45 + 0.25 * np.maximum(g, 0.0) ** 1.4) ** 2) ** 1.5
        std = 0.35e-6 * (1.0 + 1.5 * g)
        return mean, std, mean - 3.0 * std, 1.6 * std

    def sample(self, gate_A: Floats, rng: np.random.Generator) -> Floats:
        """One switching current at every gate."""
        mean, std, low, wide = self._modes(gate_A)
        second = rng.random(mean.shape) < self.early
        return np.asarray(
            np.where(second, low + wide * rng.normal(size=mean.shape), mean + std * rng.normal(size=mean.shape))
        )

    def probability(self, bias_A: Floats, gate_A: Floats) -> Floats:
        """P(switch | bias, gate), exact."""
        mean, std, low, wide = self._modes(gate_A)
        return np.asarray((1.0 - self.early) * ndtr((bias_A - mean) / std) + self.early * ndtr((bias_A - low) / wide))


def export(
    mixture: Mixture, gates_A: Floats, *, name: str, source: str, up: tuple[float, float], down: tuple[float, float]
) -> Preset:
    """A preset of the device ``stochastic-switch``; ``up`` and ``down`` are (bias, gate) in A of the two pulses."""
    currents = mixture.quantiles(gates_A)
    device = {
        "model": "stochastic-switch", "gates_A": [float(f"{each:.6g}") for each in gates_A],
        "quantiles": [float(f"{each:.10g}") for each in ndtr(SCORES)],
        "currents_A": [[float(f"{each:.6g}") for each in row] for row in currents],
        "up_bias_A": up[0], "up_gate_A": up[1], "down_bias_A": down[0], "down_gate_A": down[1],
    }  # fmt: skip
    about = "Heater cryotron: a switching current by mixture-density network"
    return validated({"name": name, "about": about, "source": source, "kind": "derived", "device": device}, name)
