"""The library of published chips: published numbers, published power laws, and that every chip runs and learns.

Constants below are those of the papers (docs/chips.md), written down a second time and independently of the files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurosim as ns
from neurosim import accounting, files, models
from neurosim.accounting import Ledger
from neurosim.chip.layers import plan_network
from neurosim.chip.mapper import place
from neurosim.errors import CapabilityError, CapacityError
from neurosim.spec.chip import Chip
from neurosim.spec.load import load_chip
from neurosim.spec.scenario import Network
from neurosim.units import FEMTOSECONDS, show

models.load_builtin()

ROOT = Path(__file__).resolve().parent.parent
SPIKING = (
    "loihi-davies2018", "loihi-sanafe", "truenorth", "spinnaker", "spinnaker2", "odin", "tianjic", "seneca", "nsat",
    "mcu-256k", "mcu-1024k",
)  # fmt: skip
RATE = ("tianjic", "seneca", "isaac-reram", "mcu-256k", "mcu-1024k")
PUBLISHED = ("isaac-reram", *SPIKING)
MICROCONTROLLERS = ("mcu-256k", "mcu-1024k")
CHIPS = {name: load_chip(name) for name in PUBLISHED}


def static_W(chip: Chip) -> float:
    return accounting.price_table(chip).static.power_W


def power_W(chip: Chip, rates: dict[str, float]) -> float:
    """Static power and what happens in one second, priced."""
    ledger = Ledger({name: round(rate) for name, rate in rates.items()}, {"compute": FEMTOSECONDS})
    return accounting.bill(ledger, accounting.price_table(chip)).energy_J


def prices(name: str, action: str) -> tuple[float, float]:
    price = CHIPS[name].prices[action]
    return price.energy_J, price.latency_s


# Published numbers


def test_loihi_is_its_makers_table() -> None:
    loihi = "loihi-davies2018"
    assert prices(loihi, "synaptic_event") == pytest.approx((23.6e-12, 3.5e-9))
    assert prices(loihi, "synapse_updated") == pytest.approx((120e-12, 6.1e-9))
    assert prices(loihi, "neuron_visited") == pytest.approx((52e-12, 5.3e-9))  # inactive
    both = np.add(prices(loihi, "neuron_visited"), prices(loihi, "neuron_updated"))
    assert tuple(both) == pytest.approx((81e-12, 8.4e-9))  # active
    assert prices(loihi, "message") == pytest.approx((1.7e-12, 2.1e-9))
    assert prices(loihi, "hop_east") == pytest.approx((3.0e-12, 4.1e-9))
    assert prices(loihi, "hop_north") == pytest.approx((4.0e-12, 6.5e-9))
    timing = CHIPS[loihi].timing
    assert (timing.barrier_tiles[0], timing.barrier_tiles[-1]) == (1, 32)
    assert (timing.barrier_s[0], timing.barrier_s[-1]) == pytest.approx((113e-9, 465e-9))
    assert list(timing.barrier_s) == sorted(timing.barrier_s)
    assert CHIPS[loihi].operating_point.voltage_V == 0.75
    geometry = CHIPS[loihi].geometry
    assert (geometry.cores, geometry.neurons_per_core, geometry.tiles) == (128, 1024, 32)


def test_loihi_adds_no_nanoseconds_to_picojoules() -> None:
    """A widespread preset has 23.6 + 3.5 = 27.1 pJ a synaptic operation, the 3.5 being nanoseconds."""
    assert CHIPS["loihi-davies2018"].prices["synaptic_event"].energy_J < 24e-12


def test_static_power_of_a_loihi_board() -> None:
    """3.34 W of 32 chips: E. P. Frady et al., NICE 2020; prices of the chip carry the voltage, static power a note."""
    assert 32 * static_W(CHIPS["loihi-davies2018"]) == pytest.approx(3.34, rel=0.01)
    assert "voltage" in CHIPS["loihi-davies2018"].static.source


def test_truenorth_is_static_power_and_marginal_energy() -> None:
    """68 mW at 11.58 Hz, 71 mW at 20.07 Hz and 94 mW at 95.93 Hz with 128 synapses a neuron; 20.07 Hz is not fitted."""
    chip = CHIPS["truenorth"]
    neurons = chip.geometry.cores * chip.geometry.neurons_per_core
    for rate, published_W in ((11.58, 68e-3), (20.07, 71e-3), (95.93, 94e-3)):
        assert power_W(chip, {"synaptic_event": neurons * 128 * rate}) == pytest.approx(published_W, rel=0.01)


def test_truenorths_average_is_not_its_marginal_energy() -> None:
    """26 pJ an event is all power over all events at 20 Hz; what one more event costs is a tenth of it."""
    chip = CHIPS["truenorth"]
    events = chip.geometry.cores * chip.geometry.neurons_per_core * 128 * 20.0
    assert power_W(chip, {"synaptic_event": events}) / events == pytest.approx(26e-12, rel=0.02)
    assert chip.prices["synaptic_event"].energy_J == pytest.approx(2.30e-12)


def test_no_chip_is_free() -> None:
    """A peer's preset of TrueNorth has zeros throughout, and says nothing."""
    for name, chip in CHIPS.items():
        table = accounting.price_table(chip)
        read = "cell_read" if chip.synapse.technology == "analog" else "synaptic_event"
        assert table.energy_J[table.index(read)] > 0, name
        if name != "loihi-sanafe":  # which models none, as the tool that it stands for
            assert static_W(chip) > 0, name


def test_odins_power_law() -> None:
    """27.3 uW + 1.78 uW/MHz f + 8.43 pJ r: 477 uW at 75 MHz and 37.5 MSOP/s, which is 12.7 pJ an operation."""
    chip = CHIPS["odin"]
    assert static_W(chip) == pytest.approx(27.3e-6 + 75 * 1.78e-6)
    busy = power_W(chip, {"synaptic_event": 37.5e6})
    assert busy == pytest.approx(477e-6, rel=0.01)
    assert busy / 37.5e6 == pytest.approx(12.7e-12, rel=0.01)
    assert chip.prices["synaptic_event"].latency_s == pytest.approx(2 / 75e6, rel=1e-3)


def test_odin_at_another_clock() -> None:
    """35 uW at 1.3 MHz and 650 kSOP/s, with the clock's share restated as the file says."""
    chip = CHIPS["odin"]
    slow = chip.model_copy(update={"static": chip.static.model_copy(update={"core_power_W": 1.3 * 1.78e-6})})
    assert power_W(slow, {"synaptic_event": 650e3}) == pytest.approx(35e-6, rel=0.01)


def test_tianjic_at_its_peak_is_the_published_average() -> None:
    """617 GSOPS for 0.95 W, 1.54 pJ an operation."""
    chip = CHIPS["tianjic"]
    assert power_W(chip, {"synaptic_event": 617e9}) / 617e9 == pytest.approx(1.54e-12, rel=0.01)
    assert chip.timing.tick_s == pytest.approx(5050 / 300e6, rel=1e-3)


def test_a_spinnaker_chip_with_all_cores_busy_takes_a_watt() -> None:
    """The price of a cycle that its latencies rest on: 1 W less 0.36 W, over 18 cores of 200 MHz."""
    chip = CHIPS["spinnaker"]
    cycle_J = (1.0 - static_W(chip)) / (18 * 200e6)
    for action in ("synaptic_event", "neuron_visited"):
        energy_J, latency_s = prices("spinnaker", action)
        assert energy_J / latency_s == pytest.approx(cycle_J * 200e6, rel=0.02), action


def test_spinnakers_spread_is_in_its_interval() -> None:
    """8 to 43 nJ a synaptic event; the 45 pJ of some tables is a unit error and lies outside."""
    price = CHIPS["spinnaker"].prices["synaptic_event"]
    assert price.low_J is not None
    assert price.high_J is not None
    assert (price.low_J, price.energy_J, price.high_J) == pytest.approx((8e-9, 13.3e-9, 43e-9))


@pytest.mark.parametrize(("name", "energy_J"), [("seneca", 2.8e-12), ("nsat", 20e-12), ("spinnaker2", 450e-12)])
def test_the_one_number_that_is_known(name: str, energy_J: float) -> None:
    assert CHIPS[name].prices["synaptic_event"].energy_J == pytest.approx(energy_J)
    assert CHIPS[name].prices["synaptic_event"].kind != "assumed"


def test_isaac_weights_are_eight_cells_and_sixteen_cycles() -> None:
    chip = CHIPS["isaac-reram"]
    assert chip.prices["cell_read"].energy_J == pytest.approx(8 * 16 * 1.83e-15, rel=0.01)
    assert chip.prices["adc_conversion"].energy_J == pytest.approx(8 * 16 * 1.5625e-12, rel=0.01)
    assert chip.prices["dac_conversion"].energy_J == pytest.approx(16 * 0.39e-12, rel=0.01)
    assert chip.synapse.read_time_s == pytest.approx(16 * 100e-9)
    assert chip.geometry.cores == 168 * 12 * 8
    assert 8 * chip.geometry.neurons_per_core == chip.geometry.inputs_per_core == 128
    converted = chip.geometry.neurons_per_core * chip.prices["adc_conversion"].latency_s
    assert converted == pytest.approx(100e-9)  # the last cycle of 128 columns


@pytest.mark.parametrize("name", MICROCONTROLLERS)
def test_a_microcontroller_cannot_do_better_than_its_clock(name: str) -> None:
    chip = CHIPS[name]
    clock_Hz = chip.operating_point.clock_Hz
    assert clock_Hz is not None
    cycles = chip.prices["synaptic_event"].latency_s * clock_Hz
    assert 1.0 <= cycles <= 5.0
    assert chip.geometry.memory_B_per_core == {"mcu-256k": 256, "mcu-1024k": 1024}[name] * 1024
    assert chip.geometry.synapse_B == 1.0


# What they can hold


def dense(*sizes: int) -> Network:
    layers = [{"type": "dense", "name": f"d{k}", "size": size, "neuron": "relu"} for k, size in enumerate(sizes)]
    return Network.model_validate({"layers": layers})


def test_sram_decides_what_fits_a_microcontroller() -> None:
    fits, large = (plan_network(dense(size, 10), (784,), 10) for size in (100, 400))
    assert place(fits, CHIPS["mcu-256k"]).cores_used == 1
    with pytest.raises(CapacityError, match="mcu-256k"):
        place(large, CHIPS["mcu-256k"])  # 318,010 weights
    assert place(large, CHIPS["mcu-1024k"]).cores_used == 1


# What they can do


def test_published_chips_do_not_perturb_by_themselves() -> None:
    for name, chip in CHIPS.items():
        if name not in MICROCONTROLLERS:
            assert chip.capabilities.perturbation_mechanisms == (), name
            assert chip.capabilities.cost_units == ("host",), name
            assert not chip.hypothetical


def net(model: str) -> ns.Network:
    network = ns.Network()
    source = network.add_population("source", 8, model=model, bias=0.6, threshold=1.0)
    target = network.add_population("target", 8, model=model, threshold=2.0)
    every = np.arange(8)
    network.connect(source, target, pre=every, post=every, weights=0.5)
    return network


@pytest.mark.parametrize("name", SPIKING)
def test_a_small_network_takes_time_and_energy(name: str) -> None:
    chip = CHIPS[name]
    for model in chip.capabilities.neurons:
        if model not in ("if", "lif"):
            continue
        out = ns.Simulation(chip, net(model)).run(20)
        assert out.counts["synaptic_event"] > 0
        assert out.chip_time_s > 0
        assert out.energy_J > out.static_energy_J
        assert out.energy_by_action_J["synaptic_event"] > 0


IF = {"network.layers.hidden.neuron": "if", "network.layers.output.neuron": "if"}


def train(chip: str, steps: int, *, spiking: bool = False, host_loop: bool = False) -> dict[str, Any]:
    overrides = {"stop.steps": steps, **(IF if spiking else {})}
    return dict(ns.run("xor-mgd", chip=chip, overrides=overrides, seed=1, host_loop=host_loop, record=False).summary)


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name not in MICROCONTROLLERS])
def test_without_a_way_out_there_is_no_perturbative_training(name: str) -> None:
    with pytest.raises(CapabilityError, match="--host-loop") as raised:
        train(name, 10, spiking=name not in RATE)
    assert f"{name}-with-perturbation" in str(raised.value)


@pytest.mark.parametrize("name", PUBLISHED)
def test_host_loop_goes_through_the_link(name: str) -> None:
    summary = train(name, 20, spiking=name not in RATE, host_loop=True)
    assert not summary["hypothetical"]
    assert summary["counts"]["host_weight_written"] > 0
    assert summary["energy_by_action_J"]["host_weight_written"] > 0
    assert summary["counts"].get("weight_pulse", 0) == 0
    assert summary["chip_time_s"] > 0


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_derived_chip_is_hypothetical_and_writes_itself(name: str) -> None:
    summary = train(f"{name}-with-perturbation", 20, spiking=name not in RATE)
    assert summary["hypothetical"]
    digital = CHIPS[name].synapse.technology == "digital"
    written = "synapse_updated" if digital else "weight_pulse"
    assert summary["counts"][written] == summary["devices_written"] > 0
    assert summary["counts"]["perturbation_drawn"] > 0
    gone = {"cell_read", "dac_conversion", "adc_conversion", "weight_pulse"} if digital else {"synapse_updated"}
    assert not gone & set(summary["counts"])


@pytest.mark.parametrize(
    "name", ["mcu-256k", "mcu-1024k", "tianjic-with-perturbation", "isaac-reram-with-perturbation"]
)
def test_xor_is_learned(name: str) -> None:
    """Eight bits a weight and stochastic rounding are enough."""
    assert train(name, 40_000)["accuracy"] == 1.0


@pytest.mark.parametrize("name", MICROCONTROLLERS)
def test_a_microcontroller_pays_for_its_memory(name: str) -> None:
    counts = train(name, 20)["counts"]
    geometry = CHIPS[name].geometry
    moved = counts["synaptic_event"] * geometry.synapse_B + 2 * counts["neuron_updated"] * geometry.neuron_B
    assert counts["byte_moved"] == moved


@pytest.mark.parametrize("name", MICROCONTROLLERS)
def test_a_microcontroller_can_backpropagate(name: str) -> None:
    overrides = {
        "stop.steps": 20, "training.model": "backprop", "training.learning_rate": 1.0, "training.on_chip": True,
    }  # fmt: skip
    summary = ns.run("xor-mgd", chip=name, overrides=overrides, record=False).summary
    assert not summary["hypothetical"]
    assert summary["counts"]["synapse_updated"] == summary["devices_written"] > 0


def test_the_docs_show_the_numbers_of_the_files() -> None:
    rows = (ROOT / "docs" / "chips.md").read_text(encoding="utf-8").splitlines()
    for name, chip in CHIPS.items():
        row = next(line for line in rows if line.startswith(f"| `{name}`"))
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[6] == show(static_W(chip), "W"), name
        table = accounting.price_table(chip)
        action = "cell_read" if chip.synapse.technology == "analog" else "synaptic_event"
        assert cells[7].split(",")[0] == show(float(table.energy_J[table.index(action)]), "J"), name
        assert cells[3].replace(",", "") == str(chip.geometry.cores), name


def test_every_chip_of_the_library_is_here() -> None:
    assert set(PUBLISHED) < set(files.shipped("chip"))
