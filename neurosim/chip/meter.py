"""From what the kernels tallied to countables and time: the machine's own arithmetic, in exact integers.

Kernels tally a few events (inferences, active inputs per layer, spikes, pulses, writes ...). Everything that the
hardware does for each of them is a fixed integer multiple, known from the network's shapes and its placement, so counts
and femtoseconds are linear in the tally: they add up over any partition of a run and can be priced again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from neurosim.accounting import ACTIONS, Ledger, PriceTable, require_prices
from neurosim.chip import faults
from neurosim.chip.barrier import barrier_fs
from neurosim.chip.layers import LayerPlan, NetworkPlan
from neurosim.chip.mapper import Placement
from neurosim.chip.mesh import HOPS, Mesh
from neurosim.spec.chip import Chip
from neurosim.spec.countables import CONDUCTANCE_UNIT, UNITS
from neurosim.units import femtoseconds

Tally = Mapping[str, int]
Add = Callable[[str, int], None]


@dataclass(frozen=True)
class Workload:
    """What a run asks of the machine, beyond its shapes."""

    space: str
    """weight, node or none."""
    mechanism: str
    per_number: int
    """Parameters that one perturbation number changes: all, or one for a sequential code."""
    window: int
    """Ticks per inference."""
    host_writes: bool
    """Weights are written by the host, not by pulses of the chip's own."""
    write_scheme: str
    activity_writes: int
    """Writes of each input's activity register per clean inference."""
    domains: int = 1
    """Astrocytes that measure the cost at the same time."""
    delta_words: int = 0
    """Words of a delta-vector that a step broadcasts."""
    probes_per_broadcast: int = 1
    """Perturbed inferences that make one C~."""
    backward: bool = False
    """The chip itself propagates errors back, one transposed pass for each clean inference."""
    outer_products: int = 0
    """Weights that each of those passes accumulates a gradient for, before it is written."""
    held_input: bool = False
    """Constant input currents: converted once per window and held."""
    error_neurons: int = 0
    """Neurons that compare predictions with labels (erbp); such a network has no biases."""


@dataclass(frozen=True)
class Meter:
    """Turns tallies into a ledger for one network on one chip."""

    chip: Chip
    plan: NetworkPlan
    placement: Placement
    prices: PriceTable
    workload: Workload

    @property
    def pair(self) -> int:
        """Conductance of one differential pair, in units of g_max / 2^16."""
        synapse = self.chip.synapse
        if synapse.g_max_S == 0.0:
            return 0
        return int((1.0 + synapse.g_min_S / synapse.g_max_S) * CONDUCTANCE_UNIT + 0.5)

    def ledger(self, tally: Tally) -> Ledger:
        """Counts and time of everything tallied, with the time at low and at high latencies."""
        phases = self.phases(tally)
        total = sum(phases.values())
        low, high = (
            sum(meter.phases({**tally, "BUSY": tally.get(f"BUSY_{band}", 0)}).values())
            for band, meter in zip(("LOW", "HIGH"), self._bands, strict=True)
        )
        return Ledger(self.counts(tally), phases, min(low, total), max(high, total))

    @cached_property
    def _bands(self) -> tuple[Meter, Meter]:
        """The same machine at the low and at the high ends of its latencies."""
        return replace(self, prices=self.prices.at("low")), replace(self, prices=self.prices.at("high"))

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
            out |= {"weight_pulse": pulses, "weight_pulse_conductance": pulses * self.pair}
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

    @property
    def digital(self) -> bool:
        """Whether weights are words of a memory."""
        return self.chip.synapse.technology == "digital"

    @property
    def paced(self) -> bool:
        """Whether a tick lasts as long as its slowest core is busy, rather than ``timing.tick_s``."""
        return self.plan.spiking and self.chip.timing.model == "simple"

    def pace(self) -> NDArray[np.int64]:
        """Femtoseconds that the kernel adds up: rows band by band and core by core, three columns for each layer.

        Bands are nominal, low and high latencies. Columns: ``idle``, a tick of the layer's neurons there, all of them
        updated; ``fired``, a spike of the layer, its neurons taken as equally active; ``received``, a spike that
        reaches the layer, its rows taken as equally active. Zeros where ticks are clocked.
        """
        if not self.paced:
            return np.zeros((1, 1), np.int64)
        rows = 3 * self._cores.size
        return np.stack([meter._pace() for meter in (self, *self._bands)]).reshape(rows, -1)

    def _pace(self) -> NDArray[np.int64]:
        out = np.zeros((self._cores.size, len(self.plan.layers), 3), np.int64)
        for layer in self.plan.trainable:
            tiles = [tile for tile in self.placement.tiles if tile.layer == layer.index]
            neurons, after = sum(tile.neurons for tile in tiles), self._after(layer)
            sent = 0 if after is None else self.placement.destinations(after.index) * self._latency("message")
            events = layer.positions * layer.rows / layer.n_in  # synapses of one input in each column
            for tile in tiles:
                at = int(np.searchsorted(self._cores, tile.core))
                share = tile.neurons / neurons
                row_share = tile.rows / (layer.rows + 1)
                visit = self._latency("neuron_visited") + self._latency("neuron_updated")
                look_up = tile.columns * events * (self._latency("synaptic_event") + self._dendrite_fs)
                out[at, layer.index] += np.array([
                    round(layer.n * share * visit), round(share * (self._latency("neuron_fired") + sent)),
                    round(row_share * (self._latency("message_received") + look_up)),
                ])  # fmt: skip
        return out

    @property
    def _dendrite_fs(self) -> int:
        return self._latency("dendrite_updated") if self.prices.is_priced("dendrite_updated") else 0

    @cached_property
    def _broadcast(self) -> dict[str, int]:
        """Messages and hops of one broadcast word, where it goes over the mesh: one message to each core in use."""
        if self.chip.astrocyte.broadcast == "bus":
            return {}
        cores = self._cores
        hops = self._mesh.hops(np.full(cores.size, self.chip.astrocyte.core), cores).sum(axis=0)
        out = {"message": cores.size, "message_received": cores.size}
        return out | {name: int(count) for name, count in zip(HOPS, hops, strict=True) if count}

    @cached_property
    def _mesh(self) -> Mesh:
        return faults.mesh(self.chip)

    @cached_property
    def _cores(self) -> NDArray[np.int64]:
        """Cores in use."""
        return np.unique([tile.core for tile in self.placement.tiles])

    def _error_words(self, tally: Tally) -> int:
        """Output errors that the cost unit hands to the last layer, where the chip itself propagates them back."""
        return tally["CLEAN"] * self.plan.output.n if self.workload.backward else 0

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
        if not self.digital:
            add("cell_read", rows * columns)
            add("cell_read_conductance", tally[f"CONDUCTANCE_{layer.index}"] * columns if self.pair else 0)
            first = layer is self.plan.trainable[0]
            if first or at_columns:  # a row is driven in every array that it stands in
                add("dac_conversion", blocks * (active // work.window if work.held_input and first else active))
            if at_columns:
                add("adc_conversion", ticks * columns * layer.positions * cuts)
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
            add("cell_read", reads * layer.rows * layer.columns)
            add("cell_read_conductance", reads * layer.rows * layer.columns * self.pair)
            add("dac_conversion", reads * layer.columns * self.placement.row_cuts[layer.index])
            add("adc_conversion", reads * layer.rows * self.placement.column_cuts(layer.index))
        errors = samples * layer.n_in  # to the layer before, the same way back
        add("message", errors)
        add("message_received", errors)
        links = self.placement.links[self.plan.trainable.index(layer) - 1]
        for name, way_back in zip(HOPS, (1, 0, 3, 2, 4), strict=True):
            add(name, errors * links[way_back])

    def _after(self, layer: LayerPlan) -> LayerPlan | None:
        later = [other for other in self.plan.trainable if other.index > layer.index]
        return later[0] if later else None

    def phases(self, tally: Tally) -> dict[str, int]:
        """Femtoseconds of every phase; the parts add up to the chip's time."""
        work = self.workload
        inferences = tally["CLEAN"] + tally["PERTURBED"]
        path = self.path()
        out = {
            "host_link": self._loads(tally["SAMPLES"], self.plan.n_in + self.plan.output.n),
            "perturbation": tally["PERTURBED"] * femtoseconds(self.chip.perturbation.settling_s)
            * (self.workload.space != "none") + self._probing(tally),
            "compute": inferences * path["compute"] + (tally["BUSY"] if self.paced else 0),
            "settling": inferences * path["settling"],
            "backward": tally["CLEAN"] * self._backward_fs() if work.backward else 0,
            "cost_readout": tally["COSTS"] // work.domains * path["cost_readout"],
            "broadcast": (tally["BROADCASTS"] // work.domains + tally["DELTA_WORDS"] + self._error_words(tally))
            * self._broadcast_fs,
            "write": self._write(tally) + self._learning(tally),
            "barrier": inferences * self.workload.window * barrier_fs(self.chip, self.prices, self._cores),
        }  # fmt: skip
        if self.workload.mechanism == "host" and self.workload.space == "weight":
            words = 2 * tally["PERTURBED"] * self.workload.per_number
            out["host_link"] += words * self._latency("host_weight_written")
        if self.workload.mechanism == "write":
            out["perturbation"] += tally["PERTURBATION_SLOTS"] * self._pulse_fs()
        if self.chip.astrocyte.cost_unit == "host":
            out["host_link"] += self._loads(tally["COSTS"], self.plan.output.n)
        return self._periods(out, tally["PERTURBED"])

    def _periods(self, out: dict[str, int], perturbed: int) -> dict[str, int]:
        """The idle rest of the perturbation periods; when pipelined, everything but writes hides behind them."""
        period = perturbed * femtoseconds(self.chip.timing.perturbation_period_s)
        if self.chip.timing.pipelined:
            busy = sum(time for name, time in out.items() if name != "write")
            if busy <= period:
                return {"tau_p": period, "write": out["write"]}
            return out
        one = self.path()
        probes = self.workload.probes_per_broadcast
        path = probes * (sum(one.values()) + femtoseconds(self.chip.perturbation.settling_s)) + self._broadcast_fs
        idle = probes * femtoseconds(self.chip.timing.perturbation_period_s) - path
        return {**out, "tau_p": perturbed // probes * max(0, idle)}

    def path(self) -> dict[str, int]:
        """Femtoseconds of one inference along its path: converters and ticks, settling, cost read-out."""
        chip, plan = self.chip, self.plan
        at_columns = chip.periphery.adc_at == "columns" and not self.digital
        compute = 0 if self.digital else self._latency("dac_conversion")
        settling = 0
        if plan.spiking and not self.paced:
            compute += self.workload.window * femtoseconds(chip.timing.tick_s)
        for layer in plan.trainable:
            serial = layer.positions if layer.mapping == "serial" else 1
            if self.digital:
                compute += 0 if plan.spiking else self._digital_fs(layer)
                continue
            if plan.spiking:  # a serial convolution may need longer than a tick for all its positions
                over = serial * femtoseconds(chip.synapse.read_time_s) - femtoseconds(chip.timing.tick_s)
                compute += self.workload.window * max(0, over) if serial > 1 and not self.paced else 0
            else:
                settling += serial * femtoseconds(chip.timing.settling_s + chip.synapse.read_time_s)
            if at_columns:
                rounds = self._rounds(self._widest(layer)) * serial * (self.workload.window if plan.spiking else 1)
                compute += rounds * self._latency("adc_conversion")
                compute += 0 if layer is plan.trainable[0] else self._latency("dac_conversion")
        readout = self._latency("cost_evaluated")
        if not at_columns and not self.digital and chip.astrocyte.cost_unit != "analog-mse":
            readout += self._rounds(plan.output.n) * self._latency("adc_conversion")
        return {"compute": compute, "settling": settling, "cost_readout": readout}

    def _widest(self, layer: LayerPlan) -> int:
        """Columns of the widest part of a layer's array: every core has converters of its own."""
        return max(tile.columns for tile in self.placement.arrays(layer.index))

    def _rounds(self, conversions: int) -> int:
        """Times that a core's converters work one after another."""
        return -(-conversions // self.chip.periphery.adcs_per_core)

    def _digital_fs(self, layer: LayerPlan) -> int:
        """One layer of numbers on digital cores, all inputs active: the core with most of it paces the layer."""
        most = self._largest_share(layer)
        events = layer.positions * (layer.rows + 1) * layer.columns
        moved = -(-round(8 * self.chip.geometry.synapse_B) * events // 8) * self._latency("byte_moved")
        work = events * self._latency("synaptic_event") + moved + layer.n * self._latency("neuron_updated")
        path = 0 if self._after(layer) is None else self._latency("message") + self._latency("message_received")
        return int(work * most) + path

    def _probing(self, tally: Tally) -> int:
        """Drawing and applying perturbations: cores side by side; a digital one goes through its own, one by one."""
        work = self.workload
        if work.space == "none" or work.mechanism == "host":
            return 0
        injected = work.space == "node" and work.mechanism == "node"
        apply = self._latency("node_injection" if injected else "perturbation_applied") * (work.mechanism != "write")
        if not self.digital:  # every weight, or neuron, has a generator and an element of its own
            return tally["PERTURBED"] * (self._latency("perturbation_drawn") + apply)
        numbers = work.per_number if work.space == "weight" else 1
        applied = tally["APPLICATIONS"] if injected else tally["PERTURBED"] * (
            work.per_number if work.space == "weight" else self.plan.parameters)  # fmt: skip
        drawn = tally["DRAWS"] * numbers * self._latency("perturbation_drawn")
        return int((drawn + applied * apply) * self._fullest)

    def _learning(self, tally: Tally) -> int:
        """Perturbations replayed, gradients accumulated, activities stored; side by side as in ``_probing``.

        What the astrocyte writes into its delta memory takes no time of the cores, which go on meanwhile.
        """
        work, parameters = self.workload, self.plan.parameters
        replayed = tally["REPLAYS"] // parameters * work.per_number
        accumulated = tally["ACCUMULATIONS"] + tally["CLEAN"] * work.outer_products
        inputs = sum(layer.n_in for layer in self.plan.trainable)
        stored = (work.activity_writes + work.backward) * tally["CLEAN"] * inputs
        counts = {"perturbation_replayed": replayed, "gradient_accumulated": accumulated, "activity_stored": stored}
        if self.digital:
            return int(sum(count * self._latency(name) for name, count in counts.items()) * self._fullest)
        each = {"perturbation_replayed": work.per_number, "gradient_accumulated": parameters, "activity_stored": inputs}
        return sum(-(-count // each[name]) * self._latency(name) for name, count in counts.items())

    @cached_property
    def _fullest(self) -> Fraction:
        """The part of all weights that the core with most of them holds."""
        held: dict[int, int] = {}
        for tile in self.placement.tiles:
            held[tile.core] = held.get(tile.core, 0) + tile.rows * tile.columns
        return Fraction(max(held.values()), sum(held.values()))

    def _largest_share(self, layer: LayerPlan) -> Fraction:
        """The part of a layer's array that the core with most of it holds."""
        held: dict[int, int] = {}
        for tile in self.placement.tiles:
            if tile.layer == layer.index:
                held[tile.core] = held.get(tile.core, 0) + tile.rows * tile.columns
        return Fraction(max(held.values()), sum(held.values()))

    def _backward_fs(self) -> int:
        """The transposed pass of one sample, layer after layer."""
        if self.digital:
            return sum(self._digital_fs(layer) for layer in self.plan.trainable[1:])
        chip, total = self.chip, 0
        once = femtoseconds(chip.timing.settling_s + chip.synapse.read_time_s) + self._latency("dac_conversion")
        for layer in self.plan.trainable:
            if chip.periphery.adc_at == "outputs" and layer is not self.plan.output:
                total += self._rounds(self._most_neurons(layer)) * self._latency("adc_conversion")
            if layer is not self.plan.trainable[0]:
                serial = layer.positions if layer.mapping == "serial" else 1
                tallest = max(tile.rows for tile in self.placement.arrays(layer.index))
                rows = min(tallest, layer.rows)  # the bias row is not read backwards
                total += serial * (once + self._rounds(rows) * self._latency("adc_conversion"))
        return total

    def _most_neurons(self, layer: LayerPlan) -> int:
        """Neurons of a layer on the core that holds most of them."""
        held: dict[int, int] = {}
        for tile in self.placement.tiles:
            if tile.layer == layer.index:
                held[tile.core] = held.get(tile.core, 0) + tile.neurons
        return max(held.values())

    @cached_property
    def _broadcast_fs(self) -> int:
        """One broadcast word: over the mesh its messages leave one after another, and the farthest arrives last."""
        word = self._latency("broadcast_word")
        if self.chip.astrocyte.broadcast == "bus":
            return word
        cores = self._cores
        hops = self._mesh.hops(np.full(cores.size, self.chip.astrocyte.core), cores)
        farthest = int((hops @ np.array([self._latency(name) for name in HOPS])).max())
        return word + cores.size * self._latency("message") + farthest + self._latency("message_received")

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

    def step_s(self, slots: tuple[int, ...], loads: bool, tau_theta: int) -> float:
        """Nominal duration of one step, with one pulse slot per write, and no spikes where they pace the ticks."""
        tally = dict.fromkeys(_NEEDED, 0)
        if self.paced:
            tally["BUSY"] = len(slots) * self.workload.window * int(self._pace()[:, :, 0].sum(axis=1).max())
        tally["CLEAN"] = sum(1 for sign in slots if sign == 0)
        tally["PERTURBED"] = len(slots) - tally["CLEAN"]
        tally["COSTS"] = len(slots) * self.workload.domains
        probes = -(-tally["PERTURBED"] // self.workload.probes_per_broadcast)
        tally["BROADCASTS"] = max(1, probes) if self.workload.space != "none" else 0
        tally["SAMPLES"] = int(loads)
        tally["DELTA_WORDS"] = self.workload.delta_words
        tally["WRITE_SLOTS"] = int(tau_theta == 1)
        return sum(self.phases(tally).values()) * 1e-15

    def used(self, trainer_writes: bool) -> list[str]:
        """Countables that the run will use for certain: they need prices before it starts."""
        tally = dict.fromkeys(_NEEDED, 1)
        tally |= {
            f"{name}_{layer.index}": 1 for layer in self.plan.layers for name in ("ACTIVE", "CONDUCTANCE", "FIRED")
        }
        tally |= {"REPLAYS": self.plan.parameters * int(self.workload.space == "weight")}
        if self.workload.space == "none":
            tally |= {"PERTURBED": 0, "BROADCASTS": 0, "DRAWS": 0, "APPLICATIONS": 0}
        tally |= {"DELTA_WORDS": 0, "DELTA_WRITES": 0, "ACCUMULATIONS": 0, "PULSES": int(trainer_writes)}
        for layer in self.plan.layers:
            if not layer.spiking:
                tally[f"FIRED_{layer.index}"] = 0
        return list(self.counts(tally))

    def _loads(self, times: int, words: int) -> int:
        width = self.chip.timing.host_link_words
        return times * -(-words // width) * self._latency("sample_word_loaded")

    def _write(self, tally: Tally) -> int:
        if self.workload.host_writes:
            return tally["WRITTEN"] * self._latency("host_weight_written")
        if self.workload.error_neurons:  # synapses learn as their spikes arrive, within the ticks
            return 0
        if self.digital:  # every core's engine works through its own weights
            return int(tally["WRITTEN"] * self._latency("synapse_updated") * self._fullest)
        return tally["WRITE_SLOTS"] * self._pulse_fs()

    def _pulse_fs(self) -> int:
        return max(femtoseconds(self.chip.synapse.pulse_time_s), self._latency("weight_pulse"))

    def _latency(self, name: str) -> int:
        return int(self.prices.latency_fs[self.prices.index(name)])


_BY_NEURON = (*UNITS["soma"], *UNITS["axon_out"], *UNITS["mesh"])
_NEEDED = (
    "CLEAN", "PERTURBED", "SAMPLES", "COSTS", "BROADCASTS", "DELTA_WORDS", "DELTA_WRITES", "ACCUMULATIONS", "REPLAYS",
    "PULSES", "PERTURBATION_PULSES", "PERTURBATION_SLOTS", "DRAWS", "APPLICATIONS", "WRITTEN", "WRITE_SLOTS", "BUSY",
    "ERRORS", "COMPARED", "FEEDBACK",
)  # fmt: skip


def check_prices(meter: Meter, trainer_writes: bool) -> None:
    """Raise InputError for countables in use without a price: never a silent zero."""
    require_prices(meter.used(trainer_writes), meter.prices)
