"""How long what was tallied took, phase by phase, in integer femtoseconds."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from neurosim.chip.barrier import barrier_fs
from neurosim.chip.layers import LayerPlan
from neurosim.chip.mesh import HOPS
from neurosim.chip.workload import Metered, Tally
from neurosim.units import femtoseconds


@dataclass(frozen=True)
class Durations(Metered):
    """From a tally to the chip's time."""

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
                one_read = self._rounds(self._widest(layer) * chip.array.slices)
                rounds = one_read * serial * (self.workload.window if plan.spiking else 1)
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
                converted = self._rounds(rows * chip.array.slices)  # slices stand in columns of their own
                total += serial * (once + converted * self._latency("adc_conversion"))
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
        return tally["WRITE_SLOTS"] * self._pulse_fs() + tally["VERIFY_SLOTS"] * self._verify_fs()

    def _verify_fs(self) -> int:
        """One read of cells that stand side by side, and its conversion where there are converters."""
        adc = self._latency("adc_conversion") if self.prices.is_priced("adc_conversion") else 0
        return femtoseconds(self.chip.timing.settling_s + self.chip.synapse.read_time_s) + adc

    def _pulse_fs(self) -> int:
        return max(femtoseconds(self.chip.synapse.pulse_time_s), self._latency("weight_pulse"))
