"""How often each countable happened: fixed multiples of what the kernels tallied, known from shapes and placement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from neurosim.accounting import ACTIONS
from neurosim.chip.layers import LayerPlan
from neurosim.chip.mesh import HOPS
from neurosim.chip.workload import Metered, Tally
from neurosim.spec.countables import CONDUCTANCE_UNIT, UNITS

Add = Callable[[str, int], None]


@dataclass(frozen=True)
class Counts(Metered):
    """From a tally to countables, in exact integers."""

    @property
    def pair(self) -> int:
        """Conductance of one differential pair, in units of g_max / 2^16; of a one-sided one the mean of its range."""
        synapse = self.chip.synapse
        if synapse.g_max_S == 0.0:
            return 0
        return int((1.0 + synapse.g_min_S / synapse.g_max_S) * CONDUCTANCE_UNIT + 0.5)

    def counts(self, tally: Tally) -> dict[str, int]:
        """How often each countable happened."""
        out: dict[str, int] = {}
        for part in (*self.layer_counts(tally), self._chip_counts(tally)):
            for name, count in part.items():
                out[name] = out.get(name, 0) + count
        return out

    def layer_counts(self, tally: Tally) -> list[dict[str, int]]:
        """What the cores of each trainable layer did, in their order; weight writes are not told apart by layer."""
        return [self._layer(layer, tally) for layer in self.plan.trainable]

    def _chip_counts(self, tally: Tally) -> dict[str, int]:
        """What is not one layer's: host, astrocyte, perturbation, plasticity."""
        work, plan = self.workload, self.plan
        inferences = tally["CLEAN"] + tally["PERTURBED"]
        words = tally["BROADCASTS"] + tally["DELTA_WORDS"] + self._error_words(tally)
        pulses = tally["PULSES"] + tally["PERTURBATION_PULSES"]
        written = tally["WRITTEN"] + tally["PERTURBATION_PULSES"]
        out = {
            "sample_word_loaded": tally["SAMPLES"] * (plan.n_in + plan.output.n),
            "cost_evaluated": tally["COSTS"],
            "broadcast_word": words,
            "delta_written": tally["DELTA_WRITES"],
            "gradient_accumulated": tally["ACCUMULATIONS"] + tally["CLEAN"] * work.outer_products,
            "perturbation_replayed": tally["REPLAYS"] // plan.parameters * work.per_number,
            "barrier": inferences * work.window,
            "activity_stored": work.activity_writes * tally["CLEAN"] * sum(layer.n_in for layer in plan.trainable),
        }
        if work.host_writes:
            out["host_weight_written"] = tally["WRITTEN"]
        elif self.digital:
            out["synapse_updated"] = written
        else:
            conducted = tally["PULSE_CONDUCTANCE"] if self.one_sided else pulses * self.pair
            out |= {"weight_pulse": pulses, "weight_pulse_conductance": conducted if self.pair else 0}
            out |= self._verified(tally)
        if work.space == "weight":
            out["perturbation_drawn"] = tally["DRAWS"] * work.per_number
            if work.mechanism == "host":
                restored = 2 * tally["PERTURBED"] * work.per_number
                out["host_weight_written"] = out.get("host_weight_written", 0) + restored
            elif work.mechanism != "write":
                out["perturbation_applied"] = tally["PERTURBED"] * work.per_number
        elif work.space == "node":
            out["perturbation_drawn"] = tally["DRAWS"]
            if work.mechanism == "node":
                out["node_injection"] = tally["APPLICATIONS"]
            else:  # no injectors: the rank-1 probe is applied synapse by synapse
                out["perturbation_applied"] = tally["PERTURBED"] * plan.parameters
        if self.chip.astrocyte.cost_unit == "host":
            out["sample_word_loaded"] += tally["COSTS"] * plan.output.n
        for name, count in self._broadcast.items():
            out[name] = words * count
        for name, count in self._errors(tally).items():
            out[name] = out.get(name, 0) + count
        return {name: count for name, count in out.items() if count}

    def _verified(self, tally: Tally) -> dict[str, int]:
        """Reads that verify writes, and those of a refresh: cell by cell, digitised where there are converters."""
        reads = tally["VERIFY_READS"]
        conducted = tally["VERIFY_CONDUCTANCE"] if self.one_sided else reads * self.pair
        out = {"cell_read": reads, "cell_read_conductance": conducted if self.pair else 0}
        return out | ({"adc_conversion": reads} if self.prices.is_priced("adc_conversion") else {})

    def _errors(self, tally: Tally) -> dict[str, int]:
        """What error neurons did: they share the output layer's core, and send their spikes to all cores in use."""
        if not self.workload.error_neurons:
            return {}
        visits = (tally["CLEAN"] + tally["PERTURBED"]) * self.workload.window * self.workload.error_neurons
        cores, fired = self._cores, tally["ERRORS"]
        home = next(tile.core for tile in self.placement.tiles if tile.layer == self.plan.output.index)
        hops = self._mesh.hops(np.full(cores.size, home), cores).sum(axis=0)
        out = {
            "neuron_visited": visits, "neuron_updated": visits, "neuron_fired": fired,
            "synaptic_event": tally["COMPARED"] + tally["FEEDBACK"],
            "message": fired * cores.size, "message_received": fired * cores.size,
        }  # fmt: skip
        return out | {name: fired * int(count) for name, count in zip(HOPS, hops, strict=True) if count}

    @cached_property
    def _broadcast(self) -> dict[str, int]:
        """Messages and hops of one broadcast word, where it goes over the mesh: one message to each core in use."""
        if self.chip.astrocyte.broadcast == "bus":
            return {}
        cores = self._cores
        hops = self._mesh.hops(np.full(cores.size, self.chip.astrocyte.core), cores).sum(axis=0)
        out = {"message": cores.size, "message_received": cores.size}
        return out | {name: int(count) for name, count in zip(HOPS, hops, strict=True) if count}

    def _layer(self, layer: LayerPlan, tally: Tally) -> dict[str, int]:
        """One layer's inferences; with ``workload.backward`` the transposed pass of each clean one as well."""
        work, periphery, out = self.workload, self.chip.periphery, dict[str, int]()

        def add(name: str, count: int) -> None:
            if count:
                out[name] = out.get(name, 0) + count

        inferences = tally["CLEAN"] + tally["PERTURBED"]
        ticks = inferences * work.window
        columns, active = layer.columns, tally[f"ACTIVE_{layer.index}"]
        if not self.chip.capabilities.event_driven:  # zeros are multiplied like any other number
            active = ticks * layer.positions * layer.rows
        # the bias row is always active; digital spiking neurons hold their bias themselves
        biased = not work.error_neurons and not (self.digital and layer.spiking)
        rows = active + ticks * layer.positions * biased
        add("synaptic_event", rows * columns)
        add("neuron_updated", ticks * layer.n)
        if layer.spiking:
            add("neuron_visited", ticks * layer.n)
        at_columns = periphery.adc_at == "columns" and not self.digital
        cuts, blocks = self.placement.row_cuts[layer.index], self.placement.column_cuts(layer.index)
        slices = self.chip.array.slices  # every slice is a cell that is read, and a column that is digitised
        if not self.digital:
            add("cell_read", rows * columns * slices)
            conducted = tally[f"CONDUCTANCE_{layer.index}"] * (1 if self.one_sided else columns * slices)
            add("cell_read_conductance", conducted if self.pair else 0)
            first = layer is self.plan.trainable[0]
            if first or at_columns:  # a row is driven in every array that it stands in
                add("dac_conversion", blocks * (active // work.window if work.held_input and first else active))
            if at_columns:
                add("adc_conversion", ticks * columns * layer.positions * cuts * slices)
            elif layer.index == self.plan.output.index and self.chip.astrocyte.cost_unit != "analog-mse":
                add("adc_conversion", inferences * layer.n)
        after = self._after(layer)
        fired = tally[f"FIRED_{layer.index}"]
        add("neuron_fired", fired)
        as_numbers = (at_columns or self.digital) and after is not None
        packets = fired if layer.spiking else inferences * layer.n * as_numbers
        if at_columns or self.digital:  # parts of a neuron's sum go from core to core
            sums = ticks * layer.positions * columns * (cuts - 1)
            add("message", sums)
            add("message_received", sums)
        if after is not None and packets:
            messages = packets * self.placement.destinations(after.index)
            add("message", messages)
            add("message_received", messages)
            for name, links in zip(HOPS, self.placement.links[self.plan.trainable.index(layer)], strict=True):
                add(name, messages * links)
        if work.backward:
            self._backward(layer, tally["CLEAN"], add)
        if self.prices.is_priced("byte_moved"):
            geometry = self.chip.geometry
            bits = round(8 * geometry.synapse_B) * out.get("synaptic_event", 0)
            add("byte_moved", (bits + 2 * round(8 * geometry.neuron_B) * out.get("neuron_updated", 0)) // 8)
        if self.prices.is_priced("dendrite_updated"):
            add("dendrite_updated", out.get("synaptic_event", 0))
        return out

    def _backward(self, layer: LayerPlan, samples: int, add: Add) -> None:
        """Errors go back through the same array, read along its rows; errors x activities are the gradient.

        Errors are numbers: they drive the columns through converters, and every row is digitised. The read is charged
        as one of all cells at full voltage.
        """
        first = layer is self.plan.trainable[0]
        reads = samples * layer.positions
        add("neuron_updated", samples * layer.n)  # error x slope
        add("activity_stored", samples * layer.n_in)
        if not self.digital and self.chip.periphery.adc_at == "outputs" and layer is not self.plan.output:
            add("adc_conversion", samples * layer.n)  # activities, as numbers
        if first:
            return
        add("synaptic_event", reads * layer.rows * layer.columns)
        if not self.digital:  # a column is driven in every array that it stands in, and so is a row digitised
            slices = self.chip.array.slices
            add("cell_read", reads * layer.rows * layer.columns * slices)
            add("cell_read_conductance", reads * layer.rows * layer.columns * slices * self.pair)
            add("dac_conversion", reads * layer.columns * slices * self.placement.row_cuts[layer.index])
            add("adc_conversion", reads * layer.rows * slices * self.placement.column_cuts(layer.index))
        errors = samples * layer.n_in  # to the layer before, the same way back
        add("message", errors)
        add("message_received", errors)
        links = self.placement.links[self.plan.trainable.index(layer) - 1]
        for name, way_back in zip(HOPS, (1, 0, 3, 2, 4), strict=True):
            add(name, errors * links[way_back])

    def by_core(self, tally: Tally) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """(cores in use, counts ``[core, action]`` in the order of ACTIONS) of what the layers' cores did.

        A layer is tallied as a whole, so its counts are spread over its cores: by the neurons that they hold where
        neurons act, by the synapses elsewhere. Host, astrocyte and weight writes stand in no core.
        """
        cores, out = self._cores, np.zeros((self._cores.size, len(ACTIONS)))
        for layer, counts in zip(self.plan.trainable, self.layer_counts(tally), strict=True):
            tiles = [tile for tile in self.placement.tiles if tile.layer == layer.index]
            there = np.searchsorted(cores, [tile.core for tile in tiles])
            neurons = np.array([float(tile.neurons) for tile in tiles])
            synapses = np.array([float(tile.rows * tile.columns) for tile in tiles])
            for name, count in counts.items():
                share = neurons / neurons.sum() if name in _BY_NEURON else synapses / synapses.sum()
                np.add.at(out[:, ACTIONS.index(name)], there, count * share)
        return cores, out


_BY_NEURON = (*UNITS["soma"], *UNITS["axon_out"], *UNITS["mesh"])
