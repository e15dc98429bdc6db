"""Against silicon: the bar on the Frady board, no price scored on its own measurement, and a page that tells the truth."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from neurosim import models
from neurosim.accounting import ACTIONS
from neurosim.spec.load import load_chip

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "silicon.md"
GOLDEN = ROOT.parent / "shared" / "golden" / "measured-onchip.json"
UNITS = {"mJ": 1.0, "µJ": 1e3, "nJ": 1e6, "ms": 1.0, "": 1.0}
"""How many of the table's unit are one of the golden file's (mJ, ms)."""


@pytest.fixture(scope="module")
def bench() -> Any:
    """The benchmark's modules, which are scripts beside each other and no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "bench"))
        names = ("silicon", "silicon_activity", "silicon_case", "silicon_counts", "silicon_networks", "silicon_replay")
        models.load_builtin()
        yield {name: importlib.import_module(name) for name in names}


@pytest.fixture(scope="module")
def book(bench: dict[str, ModuleType]) -> Any:
    return bench["silicon_case"].read()


@pytest.fixture(scope="module")
def found(bench: dict[str, ModuleType], book: Any) -> Any:
    return bench["silicon"].predictions(book, [*book.rows, *book.others])


def ratio(book: Any, found: Any, key: str) -> float:
    return float(found[key].nominal / book.case(key).measured)


def test_the_frady_board_is_predicted_within_20_percent(book: Any, found: Any) -> None:
    """23.6 pJ x 708 x 76,800 + 52 pJ x 76,800 x 60 = 1.52 mJ; with 667 to 750 spikes +8.9 to +20.2 %."""
    assert found["frady-energy"].nominal == pytest.approx(1e3 * 76_800 * (708 * 23.6e-12 + 60 * 52e-12), rel=1e-12)
    assert abs(ratio(book, found, "frady-energy") - 1.0) < 0.2
    assert found["frady-energy"].low <= found["frady-energy"].nominal <= found["frady-energy"].high


def test_the_page_says_how_far_the_bar_is_missed_where_all_neurons_are_active(book: Any, found: Any) -> None:
    assert ratio(book, found, "frady-active") == pytest.approx(1.25, abs=0.005)
    page = " ".join(PAGE.read_text(encoding="utf-8").split())
    assert "it is 15 % high by the rule above" in page and "and 25 % high if every neuron is charged as active" in page


def test_the_page_is_what_the_code_computes(bench: dict[str, ModuleType], book: Any) -> None:
    """Regenerate with: python bench/silicon.py --write docs/silicon.md"""
    text = PAGE.read_text(encoding="utf-8")
    assert bench["silicon"].written(text, bench["silicon"].blocks(book)) == text


def test_a_page_without_a_marker_is_refused(bench: dict[str, ModuleType]) -> None:
    with pytest.raises(ValueError, match="no <!-- rows -->"):
        bench["silicon"].written("nothing", {"rows": "table"})


def test_no_price_is_scored_on_the_measurement_that_it_came_from(bench: dict[str, ModuleType], book: Any) -> None:
    """Of every price and static power that a scored row uses, at either end, the source names nothing foreign."""
    counts = bench["silicon_counts"]
    looked = 0
    for case in (*book.rows, *book.others):
        if case.status not in ("predicted", "bracket"):
            continue
        accounts = bench["silicon_case"].accounts(book, case, counts.COUNTS, counts.ADJUST)
        for account in accounts.values():
            happened = [name for name, count in account.ledger.counts.items() if count]
            sources = [account.prices.source[ACTIONS.index(name)] for name in happened]
            if case.figure in ("energy", "power"):
                sources.append(account.prices.static.source)
            for source in sources:
                looked += 1
                assert not [word for word in case.foreign if word in source], f"{case.key}: {source}"
    assert looked > 50
    assert all(book.case(key).foreign for key in ("frady-energy", "renner-infer-energy", "spinnaker-energy"))


def test_figures_that_prices_were_taken_from_are_circular(book: Any, found: Any) -> None:
    """They come out within rounding, which is why they are not scored."""
    for key in ("frady-static", "odin-fast", "truenorth-12", "truenorth-96"):
        assert book.case(key).status == "circular"
        assert ratio(book, found, key) == pytest.approx(1.0, abs=0.005)
    assert "Frady" in load_chip("loihi-davies2018").static.source


def test_points_between_those_of_a_fit(book: Any, found: Any) -> None:
    """Held out when the prices were taken: TrueNorth at 20 Hz, ODIN at a fiftieth of its clock."""
    assert ratio(book, found, "truenorth-20") == pytest.approx(1.0, abs=0.01)
    assert ratio(book, found, "truenorth-merolla") == pytest.approx(1.0, abs=0.03)
    assert ratio(book, found, "odin-slow") == pytest.approx(1.0, abs=0.01)


def test_intervals_hold_nominal_and_brackets_hold_the_measured(book: Any, found: Any) -> None:
    for case in (*book.rows, *book.others):
        each = found[case.key]
        assert (each is None) == (not case.count)
        if each is not None:
            assert each.low <= each.nominal <= each.high, case.key
        if case.status == "bracket":
            assert each.low <= case.measured <= each.high, case.key


def test_every_figure_of_the_yardstick_has_its_row(book: Any) -> None:
    if not GOLDEN.exists():
        pytest.skip("the golden file is not part of the project")
    wanted = {
        (row["system"], key): value
        for row in json.loads(GOLDEN.read_text())["rows"]
        for key, value in row.items()
        if key not in ("system", "network", "accuracy") and value is not None
    }
    assert {(case.system, case.golden) for case in book.rows} == set(wanted)
    for case in book.rows:
        assert case.measured == pytest.approx(wanted[case.system, case.golden] * UNITS[case.unit], rel=1e-12)


def test_inputs_need_intervals_and_sources(bench: dict[str, ModuleType], book: Any) -> None:
    make = bench["silicon_case"].Input
    with pytest.raises(ValueError, match="needs low and high"):
        make(1.0, "spikes", "assumed", "nobody")
    with pytest.raises(ValueError, match="low <= value <= high"):
        make(1.0, "spikes", "published", "somebody", low=2.0)
    assert all(each.source and each.unit for each in book.inputs.values())
    used = {key for case in (*book.rows, *book.others) for key in case.inputs.values()}
    assert used == set(book.inputs)


def test_a_replay_counts_spikes_times_fan_out(bench: dict[str, ModuleType]) -> None:
    networks, chip = bench["silicon_networks"], load_chip("loihi-davies2018")
    for plan in (networks.inference(102, 171), networks.training(100, 160, 52, 6), networks.search_chip(708, 60)):
        ledger = bench["silicon_replay"].replay(chip, plan)
        assert ledger.counts["synaptic_event"] == plan.events
        assert ledger.counts["neuron_visited"] == plan.neurons * len(plan.ticks)
        assert ledger.counts["neuron_fired"] == sum(sum(fires.values()) for fires in plan.ticks)
        assert ledger.counts["barrier"] == len(plan.ticks)
        assert ledger.time_fs > 0


def test_one_chip_replayed_is_a_32nd_of_the_board(bench: dict[str, ModuleType]) -> None:
    plan = bench["silicon_networks"].search_chip(708, 60)
    assert 32 * plan.events == 708 * 76_800


def test_plastic_synapses_of_the_published_network(bench: dict[str, ModuleType]) -> None:
    """Three copies of W1 and W2, two of W2 transposed; the bundles of the plan hold as many."""
    networks = bench["silicon_networks"]
    plan = networks.training(100, 160, 52, 6)
    sizes = plan.sizes
    plastic = [b for b in plan.bundles if b.how == "all" and not b.source.startswith("g")]
    assert sum(bundle.synapses(sizes) for bundle in plastic) == networks.PLASTIC == 500_000
    assert plan.neurons == 2 * 400 + 6 * 400 + 7 * 10 + 12


@pytest.mark.skipif(not os.environ.get("NEUROSIM_DATA"), reason="needs MNIST in NEUROSIM_DATA")
def test_the_inputs_that_mnist_gives(bench: dict[str, ModuleType], book: Any) -> None:
    from neurosim.data import load

    data = load("mnist")
    test, train = (bench["silicon_activity"].lit(images).sum(axis=1) for images in (data.test_x, data.train_x))
    assert round(float(test.mean())) == book.inputs["renner-lit"].value
    assert round(float(train.mean())) == book.inputs["renner-lit-training"].value
