"""All shipped chips: valid, priced as far as they have hardware, every number with its source; the NIST chips' times.

The published chips of the library have their goldens in test_chip_library.py.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import pytest

import neurosim.models.devices
import neurosim.models.neurons
from neurosim import accounting, files, registry
from neurosim.accounting import ACTIONS, Ledger
from neurosim.chip.layers import plan_network
from neurosim.chip.mapper import Placement, place
from neurosim.spec.chip import Chip, ideal
from neurosim.spec.countables import CONDUCTANCE_UNIT, OPTIONAL
from neurosim.spec.load import load_chip, read_toml
from neurosim.spec.scenario import Network
from neurosim.units import FEMTOSECONDS, femtoseconds

for package in (neurosim.models.devices, neurosim.models.neurons):
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")

ROOT = Path(__file__).resolve().parent.parent
NIST = ("nist-hw1", "nist-hw2", "nist-hw3")
OURS = (*NIST, "analog-if", "analog-if-adc")
LIBRARY = (
    "loihi-davies2018", "loihi-sanafe", "truenorth", "spinnaker", "spinnaker2", "odin", "tianjic", "seneca", "nsat",
    "isaac-reram", "mcu-256k", "mcu-1024k",
)  # fmt: skip
SHIPPED = (*OURS, *LIBRARY)
CHIPS = {name: load_chip(str(ROOT / "chips" / f"{name}.toml")) for name in SHIPPED}

# Multiplexed gradient descent on CIFAR-10: A. McCaughan et al., APL Mach. Learn. 1, 026118 (2023), quoted by a survey.
STEPS = 20_000_000
PUBLISHED_S = {"nist-hw1": 5.6 * 3600, "nist-hw2": 0.2, "nist-hw3": 4e-3}
FEWEST_LAYERS, MOST_LAYERS = 2, 4
WEIGHTS = 79_510  # of 784-100-10, the largest network that HW1 has to send in one period


CONVERTERS_AND_CELLS = {
    "dac_conversion", "adc_conversion", "cell_read", "cell_read_conductance", "weight_pulse",
    "weight_pulse_conductance",
}  # fmt: skip
HOPS = {"hop_east", "hop_west", "hop_north", "hop_south"}


def absent(chip: Chip) -> set[str]:
    """Countables of hardware that the chip has not: a price of them would be a number about nothing."""
    digital = chip.synapse.technology == "digital"
    return CONVERTERS_AND_CELLS if digital else {"synapse_updated"}


def may_lack(chip: Chip) -> set[str]:
    """Countables that need no price: absent or optional hardware, and what can never be counted on this chip."""
    geometry = chip.geometry
    out = absent(chip) | set(OPTIONAL)
    if geometry.chips == 1:
        out.add("hop_chip")
    if geometry.tiles * geometry.chips == 1:
        out |= HOPS
    if not set(registry.names("spiking")) & set(chip.capabilities.neurons):
        out.add("neuron_fired")
    return out


@pytest.fixture(params=SHIPPED)
def chip(request: pytest.FixtureRequest) -> Chip:
    return CHIPS[request.param]


@pytest.fixture(params=OURS)
def ours(request: pytest.FixtureRequest) -> Chip:
    """A chip that nobody has built: its energies are estimates throughout."""
    return CHIPS[request.param]


def test_these_are_all_the_shipped_chips() -> None:
    assert set(SHIPPED) == set(files.shipped("chip"))


def test_a_chip_is_named_as_its_file(chip: Chip) -> None:
    assert chip.name in CHIPS
    assert CHIPS[chip.name] is chip
    assert len(chip.summary) <= 110


def test_every_countable_that_the_chip_can_count_is_priced(chip: Chip) -> None:
    missing = accounting.missing_prices(ACTIONS, accounting.price_table(chip))
    assert set(missing) <= may_lack(chip)


def test_hardware_that_is_not_there_has_no_price(chip: Chip) -> None:
    table = accounting.price_table(chip)
    assert [name for name in absent(chip) if table.is_priced(name)] == []


def test_every_number_has_a_source_and_a_kind(chip: Chip) -> None:
    table = accounting.price_table(chip)
    for name, source, kind in zip(ACTIONS, table.source, table.kind, strict=True):
        if table.is_priced(name):
            assert len(source) >= 15, f"prices.{name}.source says nothing"
            assert kind is not None
    assert len(chip.static.source) >= 15
    assert len(chip.synapse.source) >= 15


def test_what_is_assumed_has_an_interval_of_half_a_decade_or_more(chip: Chip) -> None:
    table = accounting.price_table(chip)
    for name, low, energy, high in zip(ACTIONS, table.low_J, table.energy_J, table.high_J, strict=True):
        if table.is_priced(name) and table.assumed[table.index(name)] and energy > 0:
            assert 0 < low < energy <= high, name
            assert 3.5 <= high / low <= 4000, name
    for name, price in chip.prices.items():
        if price.latency_s > 0 and (price.latency_kind or price.kind) == "assumed":
            assert price.low_s is not None, name
            assert price.high_s is not None, name
            assert 0 < price.low_s <= price.latency_s <= price.high_s, name
            assert price.low_s < price.high_s, name
    static = chip.static
    if static.kind == "assumed":
        assert static.low_W is not None
        assert static.high_W is not None
        assert 0 < static.low_W < static.power_W < static.high_W


def test_energies_that_nobody_published_are_called_assumed(ours: Chip) -> None:
    assert ours.static.kind == "assumed"
    for name, price in ours.prices.items():
        if price.kind != "assumed":
            assert "ISAAC" in price.source or "Shafiee" in price.source, name


def test_energies_are_of_this_world(chip: Chip) -> None:
    table = accounting.price_table(chip)
    kT = 1.38e-23 * 300
    for name, low, energy, high in zip(ACTIONS, table.low_J, table.energy_J, table.high_J, strict=True):
        if table.is_priced(name) and energy > 0 and not name.endswith("_conductance"):
            assert low > kT, f"{name} is cheaper than thermal noise"
            assert high <= 1e-3, f"{name} is dearer than a millijoule"


def test_hops_cost_the_same_both_ways(chip: Chip) -> None:
    assert chip.prices.get("hop_east") == chip.prices.get("hop_west")
    assert chip.prices.get("hop_north") == chip.prices.get("hop_south")


def test_a_cell_is_charged_once(chip: Chip) -> None:
    table = accounting.price_table(chip)
    paid = [name for name in ("cell_read", "cell_read_conductance") if table.energy_J[table.index(name)] > 0]
    assert len(paid) == (0 if chip.synapse.technology == "digital" else 1)


def test_a_chip_can_be_made_ideal(chip: Chip) -> None:
    assert ideal(chip).synapse.device.model == "ideal"


def test_a_chip_survives_being_written_and_read(chip: Chip) -> None:
    assert Chip.model_validate(chip.model_dump()) == chip


# Goldens: published numbers


def perturbed_inference_s(chip: Chip, layers: int) -> float:
    """Everything between one perturbation and the next but the idle rest: probe, network, cost, broadcast."""
    cost = chip.prices["cost_evaluated"].latency_s + chip.prices["adc_conversion"].latency_s
    network = chip.prices["dac_conversion"].latency_s + layers * (chip.timing.settling_s + chip.synapse.read_time_s)
    sent = 0.0
    if "host" in chip.capabilities.perturbation_mechanisms:  # set to the probe, and back
        sent = 2 * WEIGHTS / chip.timing.host_link_words * chip.prices["host_weight_written"].latency_s
    return sent + chip.perturbation.settling_s + network + cost + chip.prices["broadcast_word"].latency_s


@pytest.mark.parametrize("name", NIST)
def test_2e7_steps_take_the_published_time(name: str) -> None:
    period_fs = femtoseconds(CHIPS[name].timing.perturbation_period_s)
    assert STEPS * period_fs / FEMTOSECONDS == pytest.approx(PUBLISHED_S[name], rel=0.01)  # 5.56 h is given as 5.6 h
    bare = Ledger({}, {"settling": STEPS * (period_fs // 2), "tau_p": STEPS * (period_fs - period_fs // 2)})
    assert accounting.time_s(bare) == pytest.approx(PUBLISHED_S[name], rel=0.01)


@pytest.mark.parametrize("layers", [FEWEST_LAYERS, MOST_LAYERS])
@pytest.mark.parametrize("name", NIST)
def test_a_perturbed_inference_fits_the_perturbation_period(name: str, layers: int) -> None:
    chip = CHIPS[name]
    needed = perturbed_inference_s(chip, layers)
    assert needed <= chip.timing.perturbation_period_s
    assert needed >= 0.1 * chip.timing.perturbation_period_s  # nor is the period mostly idle


@pytest.mark.parametrize("name", NIST)
def test_the_honest_account_is_not_hidden(name: str) -> None:
    chip = CHIPS[name]
    assert not chip.timing.pipelined
    assert chip.prices["sample_word_loaded"].latency_s > 0
    assert chip.synapse.pulse_time_s > 0


def test_the_papers_mechanisms_are_there() -> None:
    for name in NIST:
        can = CHIPS[name].capabilities
        assert set(can.codes) >= {"random", "sequential", "walsh", "sinusoidal"}
        assert set(can.differences) == {"baseline", "two-sided", "two-noisy", "high-pass"}
        assert set(can.neurons) >= {"sigmoid", "tanh", "relu", "linear"}
        assert can.gradient_integrators
    assert CHIPS["nist-hw1"].capabilities.perturbation_mechanisms == ("host",)
    assert CHIPS["nist-hw2"].capabilities.perturbation_mechanisms == ("side-element", "node")
    assert CHIPS["nist-hw3"].capabilities.perturbation_mechanisms == ("side-element",)


def test_analog_if_reads_and_pulses_as_v_squared_t_g() -> None:
    chip = CHIPS["analog-if"]
    table = accounting.price_table(chip)
    synapse = chip.synapse
    read = synapse.read_voltage_V**2 * synapse.read_time_s * synapse.g_max_S
    pulse = synapse.pulse_voltage_V**2 * synapse.pulse_time_s * synapse.g_max_S
    parts = accounting.energy_by_action_J(
        {"cell_read_conductance": CONDUCTANCE_UNIT, "weight_pulse_conductance": CONDUCTANCE_UNIT}, table
    )
    assert parts["cell_read_conductance"] == pytest.approx(read)
    assert parts["weight_pulse_conductance"] == pytest.approx(pulse)
    assert set(chip.capabilities.neurons) >= {"if", "lif", "sigmoid", "tanh", "relu", "linear"}
    assert chip.synapse.device.model == "soft-bounds"
    assert chip.perturbation.amplitude_dtod > 0


def test_column_converters_are_isaacs() -> None:
    chip = CHIPS["analog-if-adc"]
    assert (chip.periphery.adc_at, chip.periphery.adc_bits) == ("columns", 8)
    assert chip.geometry.neurons_per_core / chip.periphery.adcs_per_core == 128
    assert chip.geometry.inputs_per_core == 128
    assert chip.prices["adc_conversion"].energy_J == pytest.approx(1.56e-12)
    assert chip.prices["adc_conversion"].latency_s == pytest.approx(0.78e-9)
    assert chip.prices["cell_read"].energy_J == pytest.approx(1.83e-15)
    assert chip.prices["dac_conversion"].energy_J == pytest.approx(0.39e-12)
    assert chip.prices["activity_stored"].energy_J == pytest.approx(2.0e-12)
    assert chip.synapse.read_time_s == pytest.approx(100e-9)


# Room for the networks of the papers


def dense(*sizes: int) -> list[dict[str, Any]]:
    return [{"type": "dense", "name": f"d{k}", "size": size, "neuron": "relu"} for k, size in enumerate(sizes)]


def conv(*channels: int, mapping: str) -> list[dict[str, Any]]:
    layers: list[dict[str, Any]] = []
    for k, count in enumerate(channels):
        layers.append(
            {"type": "conv2d", "name": f"c{k}", "channels": count, "kernel": 3, "mapping": mapping, "neuron": "relu"}
        )
        layers.append({"type": "maxpool", "name": f"p{k}"})
    return layers


def placed(chip: Chip, layers: list[dict[str, Any]], in_shape: tuple[int, ...]) -> Placement:
    network = Network.model_validate({"layers": layers})
    return place(plan_network(network, in_shape, layers[-1]["size"]), chip)


def test_the_papers_networks_fit(ours: Chip) -> None:
    assert placed(ours, dense(2, 1), (2,)).cores_used == 1
    assert placed(ours, dense(4, 1), (4,)).cores_used == 1
    assert placed(ours, dense(4, 4), (49,)).cores_used == 1
    placed(ours, dense(100, 10), (784,))
    placed(ours, dense(100, 50, 10), (784,))


@pytest.mark.parametrize("mapping", ["serial", "replicated"])
def test_the_papers_convolutions_fit(ours: Chip, mapping: str) -> None:
    placed(ours, [*conv(16, 32, 32, mapping=mapping), *dense(10)], (28, 28, 1))
    placed(ours, [*conv(16, 32, 64, mapping=mapping), *dense(10)], (32, 32, 3))


# What the files look like


@pytest.mark.parametrize("name", SHIPPED)
def test_a_file_is_for_people(name: str) -> None:
    path = ROOT / "chips" / f"{name}.toml"
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert max(len(line) for line in lines) <= 120
    assert list(read_toml(path)["prices"]) == [action for action in ACTIONS if action in read_toml(path)["prices"]]


def test_every_shipped_chip_has_its_place_in_the_docs() -> None:
    page = (ROOT / "docs" / "chips.md").read_text(encoding="utf-8")
    for name in SHIPPED:
        assert f"`{name}`" in page
