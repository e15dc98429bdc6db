"""From what the kernels tallied to countables and time: the machine's own arithmetic, in exact integers.

Kernels tally a few events (inferences, active inputs per layer, spikes, pulses, writes ...). Everything that the
hardware does for each of them is a fixed integer multiple, known from the network's shapes and its placement, so counts
and femtoseconds are linear in the tally: they add up over any partition of a run and can be priced again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from neurosim.accounting import Ledger, PriceTable, require_prices
from neurosim.chip.layers import LayerPlan, NetworkPlan
from neurosim.chip.mapper import Placement
from neurosim.spec.chip import Chip
from neurosim.spec.countables import CONDUCTANCE_UNIT
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
    held_input: bool = False
    """Constant input currents: converted once per window and held."""


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
        """Counts and time of everything tallied."""
        return Ledger(self.counts(tally), self.phases(tally))

    def counts(self, tally: Tally) -> dict[str, int]:
        """How often each countable happened."""
        work, plan = self.workload, self.plan
        inferences = tally["CLEAN"] + tally["PERTURBED"]
        out: dict[str, int] = {}

        def add(name: str, count: int) -> None:
            out[name] = out.get(name, 0) + count

        for layer in plan.trainable:
            self._layer(layer, tally, inferences, add)
        add("sample_word_loaded", tally["SAMPLES"] * (plan.n_in + plan.output.n))
        add("cost_evaluated", tally["COSTS"])
        add("broadcast_word", tally["BROADCASTS"] + tally["DELTA_WORDS"])
        add("delta_written", tally["DELTA_WRITES"])
        add("gradient_accumulated", tally["ACCUMULATIONS"])
        add("perturbation_replayed", tally["REPLAYS"] // plan.parameters * work.per_number)
        add("barrier", inferences * work.window)
        add("weight_pulse", tally["PULSES"] + tally["PERTURBATION_PULSES"])
        add("weight_pulse_conductance", (tally["PULSES"] + tally["PERTURBATION_PULSES"]) * self.pair)
        if work.space == "weight":
            add("perturbation_drawn", tally["DRAWS"] * work.per_number)
            if work.mechanism == "host":
                add("host_weight_written", 2 * tally["PERTURBED"] * work.per_number)
            elif work.mechanism != "write":
                add("perturbation_applied", tally["PERTURBED"] * work.per_number)
        elif work.space == "node":
            add("perturbation_drawn", tally["DRAWS"])
            if work.mechanism == "node":
                add("node_injection", tally["APPLICATIONS"])
            else:  # no injectors: the rank-1 probe is applied synapse by synapse
                add("perturbation_applied", tally["PERTURBED"] * plan.parameters)
        add("activity_stored", work.activity_writes * tally["CLEAN"] * sum(layer.n_in for layer in plan.trainable))
        if work.host_writes:
            add("host_weight_written", tally["WRITTEN"])
            out["weight_pulse"] = out["weight_pulse_conductance"] = 0
        if self.chip.astrocyte.cost_unit == "host":
            add("sample_word_loaded", tally["COSTS"] * plan.output.n)
        return {name: count for name, count in out.items() if count and (name not in _CELL or self.pair)}

    def _layer(self, layer: LayerPlan, tally: Tally, inferences: int, add: Add) -> None:
        work, periphery = self.workload, self.chip.periphery
        ticks = inferences * work.window
        active, columns = tally[f"ACTIVE_{layer.index}"], layer.columns
        bias = ticks * layer.positions
        add("cell_read", (active + bias) * columns)
        add("synaptic_event", (active + bias) * columns)
        add("cell_read_conductance", tally[f"CONDUCTANCE_{layer.index}"] * columns)
        add("neuron_updated", ticks * layer.n)
        if layer.spiking:
            add("neuron_visited", ticks * layer.n)
        at_columns = periphery.adc_at == "columns"
        if layer.index == 0 or at_columns:
            add("dac_conversion", active // work.window if work.held_input and layer.index == 0 else active)
        if at_columns:
            add("adc_conversion", ticks * columns * layer.positions * self.placement.row_cuts[layer.index])
        elif layer.index == self.plan.output.index and self.chip.astrocyte.cost_unit != "analog-mse":
            add("adc_conversion", inferences * layer.n)
        after = self._after(layer)
        fired = tally[f"FIRED_{layer.index}"]
        add("neuron_fired", fired)
        packets = fired if layer.spiking else (inferences * layer.n if at_columns and after is not None else 0)
        if after is not None and packets:
            destinations = self.placement.destinations(after.index)
            across, down = self._hops(layer)
            add("message", packets * destinations)
            add("hop_east" if across > 0 else "hop_west", packets * destinations * abs(across))
            add("hop_south" if down > 0 else "hop_north", packets * destinations * abs(down))

    def _after(self, layer: LayerPlan) -> LayerPlan | None:
        later = [other for other in self.plan.trainable if other.index > layer.index]
        return later[0] if later else None

    def _hops(self, layer: LayerPlan) -> tuple[int, int]:
        return self.placement.hops[self.plan.trainable.index(layer)]

    def phases(self, tally: Tally) -> dict[str, int]:
        """Femtoseconds of every phase; the parts add up to the chip's time."""
        work = self.workload
        inferences = tally["CLEAN"] + tally["PERTURBED"]
        path = self.path()
        out = {
            "host_link": self._loads(tally["SAMPLES"], self.plan.n_in + self.plan.output.n),
            "perturbation": tally["PERTURBED"] * femtoseconds(self.chip.perturbation.settling_s)
            * (self.workload.space != "none"),
            "compute": inferences * path["compute"],
            "settling": inferences * path["settling"],
            "cost_readout": tally["COSTS"] // work.domains * path["cost_readout"],
            "broadcast": (tally["BROADCASTS"] // work.domains + tally["DELTA_WORDS"]) * self._latency("broadcast_word"),
            "write": self._write(tally),
            "barrier": inferences * self.workload.window * self._latency("barrier"),
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
        path = sum(one.values()) + femtoseconds(self.chip.perturbation.settling_s) + self._latency("broadcast_word")
        idle = femtoseconds(self.chip.timing.perturbation_period_s) - path
        return {**out, "tau_p": perturbed * max(0, idle)}

    def path(self) -> dict[str, int]:
        """Femtoseconds of one inference along its path: converters and ticks, settling, cost read-out."""
        chip, plan = self.chip, self.plan
        at_columns = chip.periphery.adc_at == "columns"
        adcs = chip.periphery.adcs_per_core
        compute = self._latency("dac_conversion")
        settling = 0
        if plan.spiking:
            compute += self.workload.window * femtoseconds(chip.timing.tick_s)
        for layer in plan.trainable:
            serial = layer.positions if layer.mapping == "serial" else 1
            if plan.spiking:  # a serial convolution may need longer than a tick for all its positions
                over = serial * femtoseconds(chip.synapse.read_time_s) - femtoseconds(chip.timing.tick_s)
                compute += self.workload.window * max(0, over) if serial > 1 else 0
            else:
                settling += serial * femtoseconds(chip.timing.settling_s + chip.synapse.read_time_s)
            if at_columns:
                rounds = -(-layer.columns // adcs) * serial * (self.workload.window if plan.spiking else 1)
                compute += rounds * self._latency("adc_conversion")
                compute += 0 if layer.index == 0 else self._latency("dac_conversion")
        readout = self._latency("cost_evaluated")
        if not at_columns and chip.astrocyte.cost_unit != "analog-mse":
            readout += -(-plan.output.n // adcs) * self._latency("adc_conversion")
        return {"compute": compute, "settling": settling, "cost_readout": readout}

    def step_s(self, slots: tuple[int, ...], loads: bool, tau_theta: int) -> float:
        """Nominal duration of one step, with one pulse slot per write."""
        tally = dict.fromkeys(_NEEDED, 0)
        tally["CLEAN"] = sum(1 for sign in slots if sign == 0)
        tally["PERTURBED"] = len(slots) - tally["CLEAN"]
        tally["COSTS"] = len(slots) * self.workload.domains
        tally["BROADCASTS"] = max(1, tally["PERTURBED"]) if self.workload.space != "none" else 0
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
        return tally["WRITE_SLOTS"] * self._pulse_fs()

    def _pulse_fs(self) -> int:
        return max(femtoseconds(self.chip.synapse.pulse_time_s), self._latency("weight_pulse"))

    def _latency(self, name: str) -> int:
        return int(self.prices.latency_fs[self.prices.index(name)])


_CELL = ("cell_read_conductance", "weight_pulse_conductance")
_NEEDED = (
    "CLEAN", "PERTURBED", "SAMPLES", "COSTS", "BROADCASTS", "DELTA_WORDS", "DELTA_WRITES", "ACCUMULATIONS", "REPLAYS",
    "PULSES", "PERTURBATION_PULSES", "PERTURBATION_SLOTS", "DRAWS", "APPLICATIONS", "WRITTEN", "WRITE_SLOTS",
)  # fmt: skip


def check_prices(meter: Meter, trainer_writes: bool) -> None:
    """Raise InputError for countables in use without a price: never a silent zero."""
    require_prices(meter.used(trainer_writes), meter.prices)
