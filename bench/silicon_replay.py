"""Published networks, replayed on a chip: who fires when is given, the machine counts what that costs.

A replay forces spikes: before each tick the membranes of the neurons that are to fire are set above their threshold,
those of all others to rest. Weights are far too small to make anybody else fire. Synaptic events, messages, hops,
neuron visits and the length of every tick are then the machine's own, for the placement given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

import neurosim as ns
from neurosim.accounting import Ledger
from neurosim.spec.chip import Chip

Integers = NDArray[np.int64]
Fires = Mapping[str, int]
"""Of one tick: how many neurons of each layer fire, spread evenly over it."""

WEIGHT = 2.0**-20
"""Of every synapse of a replay."""


@dataclass(frozen=True)
class Layer:
    """Neurons of one name, ``per_core`` of them on each core from ``first_core`` on."""

    name: str
    size: int
    first_core: int
    per_core: int

    @property
    def cores(self) -> Integers:
        """The core of each neuron."""
        return self.first_core + np.arange(self.size) // self.per_core


@dataclass(frozen=True)
class Bundle:
    """Synapses from one layer to another: ``all`` to all, or ``one`` to one; ``times`` of them for each pair."""

    source: str
    target: str
    how: str = "all"
    times: int = 1

    def synapses(self, sizes: Mapping[str, int]) -> int:
        """How many there are."""
        return self.times * sizes[self.target] * (1 if self.how == "one" else sizes[self.source])


@dataclass(frozen=True)
class Plan:
    """A network and what it does in one period of its schedule."""

    layers: Sequence[Layer]
    bundles: Sequence[Bundle]
    ticks: Sequence[Fires]

    @property
    def sizes(self) -> dict[str, int]:
        """Neurons of each layer."""
        return {layer.name: layer.size for layer in self.layers}

    @property
    def neurons(self) -> int:
        """Of all layers."""
        return sum(layer.size for layer in self.layers)

    @property
    def events(self) -> int:
        """Synaptic events of one period: spikes times fan-out."""
        sizes, fan_out = self.sizes, dict.fromkeys(self.sizes, 0)
        for bundle in self.bundles:
            fan_out[bundle.source] += bundle.synapses(sizes) // sizes[bundle.source]
        return sum(count * fan_out[name] for tick in self.ticks for name, count in tick.items())


def replay(chip: Chip, plan: Plan) -> Ledger:
    """Counts and time (model ``simple``) of one period, after one that fills the pipeline."""
    simulation = ns.Simulation(chip, _network(chip, plan), timing="simple", ideal=True)
    before = simulation.ledger
    for period in range(2):
        before = simulation.ledger if period else before
        for fires in plan.ticks:
            for layer in plan.layers:
                simulation.set_state(layer.name, "v", np.where(_chosen(layer.size, fires.get(layer.name, 0)), 2.0, 0.0))
            simulation.run(1)
    after = simulation.ledger
    return Ledger(
        {name: count - before.counts[name] for name, count in after.counts.items()},
        {name: time - before.phase_time_fs[name] for name, time in after.phase_time_fs.items()},
        after.time_low_fs - before.time_low_fs,
        after.time_high_fs - before.time_high_fs,
    )


def _network(chip: Chip, plan: Plan) -> ns.Network:
    model = next(name for name in ("if", "lif", "loihi-lif") if name in chip.capabilities.neurons)
    network, sizes = ns.Network(), plan.sizes
    for layer in plan.layers:
        network.add_population(layer.name, layer.size, model=model, threshold=1.0)
        network.place(layer.name, core=layer.cores)
    for source, target in dict.fromkeys((bundle.source, bundle.target) for bundle in plan.bundles):
        pairs = [_pairs(bundle, sizes) for bundle in plan.bundles if (bundle.source, bundle.target) == (source, target)]
        pre, post = (np.concatenate([pair[k] for pair in pairs]) for k in (0, 1))
        network.connect(source, target, pre=pre, post=post, weights=WEIGHT)
    return network


def _pairs(bundle: Bundle, sizes: Mapping[str, int]) -> tuple[Integers, Integers]:
    source, target = np.arange(sizes[bundle.source]), np.arange(sizes[bundle.target])
    one = (source, source) if bundle.how == "one" else (np.repeat(source, len(target)), np.tile(target, len(source)))
    return np.tile(one[0], bundle.times), np.tile(one[1], bundle.times)


def _chosen(size: int, count: int) -> NDArray[Any]:
    """``count`` of ``size`` neurons, spread evenly."""
    chosen = np.zeros(size, dtype=bool)
    chosen[np.arange(count) * size // max(count, 1)] = True
    return chosen
