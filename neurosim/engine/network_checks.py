"""What can be wrong with a hand-driven simulation before it runs: every problem at once, each with a way out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim import registry
from neurosim.accounting import Band
from neurosim.chip import arrays, faults, nsat_places
from neurosim.chip.population import Network, NeuronParameters
from neurosim.engine import cells, network_plasticity, network_state
from neurosim.engine.network_meter import TIMINGS
from neurosim.errors import CapabilityError, InputError
from neurosim.models.neurons.base import SpikingParameters
from neurosim.models.neurons.dynamic import DynamicParameters
from neurosim.spec import load
from neurosim.spec.chip import Chip

DTYPES = ("float32", "float64")
BANDS: tuple[Band, ...] = ("nominal", "low", "high")
FLOAT32_BITS = 25
"""Bits of a fixed-point state, sign included, that a float32 holds exactly."""
THREADS = 64
"""More are refused: a slip of the keyboard, not a computer."""


def chip_of(chip: str | Path | Chip, overrides: Mapping[str, Any] | None) -> Chip:
    """The chip of that name, path or description, with overrides."""
    if isinstance(chip, Chip):
        if not overrides:
            return chip
        tables: dict[str, Any] = {"chip": chip.model_dump()}
    else:
        tables = {"chip": load.load_chip_table(str(chip))}
    wrong = [f"{key}: only keys of the chip can be set here, for example chip.geometry.cores"
             for key in overrides or {} if not key.startswith("chip.")]  # fmt: skip
    if wrong:
        raise InputError(wrong, "overrides")
    for key, value in (overrides or {}).items():
        load.set_key(tables, key, value)
    return load.validate(Chip, tables["chip"], f"chip {tables['chip'].get('name', chip)}", root="chip.")


def _in_seconds(parameters: NeuronParameters) -> bool:
    """Whether neurons do something else when ticks last longer."""
    if isinstance(parameters, DynamicParameters):
        return parameters.coefficients(1.0) != parameters.coefficients(2.0)
    return isinstance(parameters, SpikingParameters) and parameters.leak(1.0) != parameters.leak(2.0)


def event_problems(name: str, size: int, ticks: int, tick: npt.NDArray[Any], neuron: npt.NDArray[Any]) -> list[str]:
    """What is wrong with the events of one population."""
    if tick.ndim != 1 or tick.shape != neuron.shape or {tick.dtype.kind, neuron.dtype.kind} - set("iu"):
        return [f"{name!r}: ticks and neurons must be two lists of whole numbers, of one length"] if tick.size else []
    problems = []
    for what, values, end in (("tick", tick, ticks), ("neuron", neuron, size)):
        wrong = values[(values < 0) | (values >= end)]
        if wrong.size:
            problems.append(
                f"{name!r}: {wrong.size} of {values.size} {what}s lie outside 0 to {end - 1}, first {wrong[0]}"
            )
    return problems


def check(chip: Chip, network: Network, timing: str, seed: int, dtype: str, prices: str, threads: int) -> None:
    """Everything that can be wrong before neurons get their cores, in one error."""
    problems = faults.problems(chip)
    problems += [
        f"{key}: networks driven by hand read their weights as they are stored; leave it out, or use ideal=True"
        for key in arrays.in_use(chip)
    ]
    problems += network_state.device_problems(chip)
    problems += [
        f"{key}: weights of networks driven by hand are set, not pulsed; leave it out, or use ideal=True"
        for key in cells.asked(chip.synapse)
    ]
    if timing not in TIMINGS:
        problems.append(registry.unknown(timing, list(TIMINGS), "timing"))
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)) or not 0 <= seed < 2**63:
        problems.append(f"seed = {seed!r}: must be a whole number from 0 to 2^63 - 1")
    if dtype not in DTYPES:
        problems.append(registry.unknown(dtype, list(DTYPES), "dtype"))
    if prices not in BANDS:
        problems.append(registry.unknown(prices, list(BANDS), "band of prices"))
    if isinstance(threads, bool) or not isinstance(threads, (int, np.integer)) or not 1 <= threads <= THREADS:
        problems.append(f"threads = {threads!r}: must be a whole number from 1 to {THREADS}")
    if not network.populations:
        problems.append("the network has no populations; add one with add_population")
    if nsat_places.wanted(network):
        problems += nsat_places.problems(chip, network)
    problems += [
        f"population {each.name!r}: fixed_bits = {each.parameters.fixed_bits}: float32 holds {FLOAT32_BITS} bits; use "
        "dtype='float64'"
        for each in network.populations
        if dtype == "float32"
        and isinstance(each.parameters, DynamicParameters)
        and each.parameters.fixed_bits > FLOAT32_BITS
    ]
    leaky = [population.name for population in network.populations if _in_seconds(population.parameters)]
    if any(connection.receptor for connection in network.connections) and chip.synapse.read_noise_std > 0.0:
        problems.append("chip.synapse.read_noise_std: noise of reads is for neurons with one receptor; use ideal=True")
    several = [each.name for each in network.populations if isinstance(each.parameters, DynamicParameters)]
    for key in ("threshold_dtod", "leak_dtod", "membrane_noise_std"):
        if several and getattr(chip.neuron, key) > 0.0:
            problems.append(
                f"chip.neuron.{key}: is for neurons with one state, and {several[0]!r} has several; set it to 0, or "
                "use ideal=True"
            )
    if chip.timing.tick_s == 0.0 and (timing == "clocked" or leaky or network.drives):
        reason = f"the leak of {leaky[0]!r}" if leaky else "timing='clocked'"
        reason = reason if timing == "clocked" or leaky else "a drive's rate in Hz"
        problems.append(f"chip.timing.tick_s = 0: {reason} needs the length of a tick")
    for drive in network.drives:
        if (events := drive.rate_Hz * chip.timing.tick_s) > network_state.DRIVE_EVENTS:
            problems.append(
                f"drive of {drive.target.name!r}: {events:.4g} events in a tick of {chip.timing.tick_s:g} s; at most "
                f"{network_state.DRIVE_EVENTS:g} can be sent: lower rate_Hz and raise the weight"
            )
    problems += network_plasticity.problems(network, chip, timing)
    lacking = [
        f"population {population.name!r}: chip {chip.name} has no neurons {population.parameters.model!r} "
        f"(it has {', '.join(chip.capabilities.neurons)})"
        for population in network.populations
        if population.parameters.model not in (*chip.capabilities.neurons, "input")
    ]
    if problems or lacking:
        raise (InputError if problems else CapabilityError)(problems + lacking)
