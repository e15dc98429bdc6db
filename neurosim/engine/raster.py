"""Spikes of a few test samples, tick by tick, once the run is done."""

from __future__ import annotations

import numpy as np

from neurosim.engine.machine import Machine
from neurosim.engine.sink import Column, Sink, Table

SAMPLES = 3


def record_spikes(machine: Machine, sink: Sink) -> None:
    """Run the first test samples once more and write the spikes of the layers in ``probes.spikes`` (not charged)."""
    wanted = machine.scenario.probes.spikes
    if not wanted or not machine.plan.spiking:
        return
    for name in wanted:
        sink.declare(Table(
            f"/spikes/{name}",
            (Column("tick", "tick", "tick within the shown samples, one window after another", "i8"),
             Column("neuron", "1", "neuron of the layer", "i4"), Column("sample", "1", "test sample", "i4")),
            {
                    "long_name": f"spikes of {name} on the first {SAMPLES} test samples",
                    "window": machine.composition.window,
                    "neurons": machine.plan.layer(name).n,
                },
        ))  # fmt: skip
    kept = {name: arena.copy() for name, arena in machine.arenas.items()}
    for sample in range(min(SAMPLES, machine.data.n_test)):
        machine.show_test_sample(sample)
        _window(machine, sink, wanted, sample)
    for name, arena in machine.arenas.items():
        arena[...] = kept[name]


def _window(machine: Machine, sink: Sink, wanted: tuple[str, ...], sample: int) -> None:
    slot = len(machine.composition.step.slots)  # the evaluation's own slot is never perturbed
    machine.phase("begin", slot)
    for tick in range(machine.composition.window):
        for phase in ("deliver", "integrate", "fire", "route"):
            machine.phase(phase, slot, tick)
        for name in wanted:
            layer = machine.plan.layer(name)
            count = int(machine.arrays["fired_count"][layer.index])
            if count:
                sink.append(f"/spikes/{name}", {
                    "tick": np.full(count, sample * machine.composition.window + tick),
                    "neuron": machine.arrays["fired"][layer.act : layer.act + count].copy(),
                    "sample": np.full(count, sample),
                })  # fmt: skip
