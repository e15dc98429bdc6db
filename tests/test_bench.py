"""The benchmarks' own arithmetic: where a curve reaches a target, ratios, searches; not the figures they give."""

from __future__ import annotations

import importlib
import json
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from neurosim import api

BENCH = Path(__file__).resolve().parent.parent / "bench"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """The benchmark modules, which are scripts beside each other and no package."""
    monkeypatch.syspath_prepend(str(BENCH))
    return {name: importlib.import_module(name) for name in ("curves", "delta_mgd", "tune", "smoke")}


def curve(bench: dict[str, ModuleType], accuracy: list[float], inferences_a_step: int = 2, every: int = 100) -> object:
    steps = np.arange(len(accuracy)) * every
    return bench["curves"].Curve(steps, steps * inferences_a_step, np.array(accuracy))


def test_a_target_is_reached_at_the_first_evaluation_that_has_it(bench: dict[str, ModuleType]) -> None:
    one = curve(bench, [0.1, 0.6, 0.71, 0.69, 0.72])
    assert one.reached(0.7) == (200.0, 400.0)
    assert one.reached(0.9) == (math.inf, math.inf)
    assert one.at(599) == 0.71
    assert (one.best, one.last) == (0.72, 0.72)


def test_median_is_infinite_where_most_runs_never_get_there(bench: dict[str, ModuleType]) -> None:
    curves = bench["curves"]
    assert curves.median([1.0, math.inf, 3.0]) == 3.0
    assert curves.number(curves.median([1.0, math.inf, math.inf])) == "–"
    assert curves.number(8000.0) == "8,000"


def test_ratios_take_the_better_node_baseline(bench: dict[str, ModuleType]) -> None:
    delta = bench["delta_mgd"]
    curves = {
        delta.CHECKED.name: [curve(bench, [0.1, 0.7])],
        delta.MASKED.name: [curve(bench, [0.1, 0.2, 0.2, 0.2, 0.7])],
        delta.UNMASKED.name: [curve(bench, [0.1, 0.2, 0.2, 0.7])],
        delta.RANDOM.name: [curve(bench, [0.1] * 50 + [0.7])],
    }
    found = delta.ratios(delta.reached(curves))
    assert found[delta.CHECKED.name] == {"steps / random": 50.0, "inferences / random": 50.0, "inferences / node": 3.0}
    assert found[delta.MASKED.name]["inferences / node"] == 0.75


def test_ratios_of_what_was_never_reached(bench: dict[str, ModuleType]) -> None:
    times = bench["delta_mgd"].times
    assert times(math.inf, 5.0) == math.inf
    assert times(5.0, math.inf) == 0.0
    assert math.isnan(times(math.inf, math.inf))


def test_results_are_json_with_null_for_never(bench: dict[str, ModuleType], tmp_path: Path) -> None:
    delta = bench["delta_mgd"]
    curves = {delta.CHECKED.name: [curve(bench, [0.1, 0.5])], delta.SPIKING.name: [curve(bench, [0.1, 0.5, 0.6])]}
    result = {"reached": delta.reached(curves), "curves": curves}
    read = json.loads(delta.as_json(result))
    assert read["reached"][delta.CHECKED.name]["0.70"] == {"steps": None, "inferences": None}
    assert read["curves"][delta.SPIKING.name] == [[[0, 0, 0.1], [100, 200, 0.5], [200, 400, 0.6]]]
    delta.draw(curves, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 10_000


def test_curves_are_averaged_in_bins_of_equal_width_on_a_logarithmic_axis(bench: dict[str, ModuleType]) -> None:
    runs = [curve(bench, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5], every=500), curve(bench, [0.0, 0.3], every=2000)]
    inferences, rows = bench["delta_mgd"].binned(runs, a_decade=2)
    assert inferences == pytest.approx([1000.0, 10**3.5])
    assert rows == pytest.approx(np.array([[0.1, 0.3], [0.075, 0.225]]))


def test_every_method_resolves(bench: dict[str, ModuleType]) -> None:
    for method in bench["delta_mgd"].METHODS:
        _, scenario = api.load_scenario(method.scenario, overrides=method.settings(), ideal=method.ideal)
        assert scenario.stop.steps == method.steps


def test_shorter_runs_keep_the_settings(bench: dict[str, ModuleType]) -> None:
    delta = bench["delta_mgd"]
    short = delta.shortened(delta.RANDOM, 0.01)
    assert (short.steps, short.every) == (delta.RANDOM.steps // 100, delta.RANDOM.every // 100)
    assert short.overrides == delta.RANDOM.overrides


def test_search_narrows_as_seeds_grow(bench: dict[str, ModuleType]) -> None:
    rungs = bench["tune"].rungs
    assert rungs(16, 3) == [(16, 1), (6, 3)]
    assert rungs(5, 1) == [(5, 1)]
    assert rungs(12, 9, 3) == [(12, 3), (4, 9)]
    assert rungs(10, 5) == [(10, 1), (4, 3), (2, 5)]


def test_keys_take_values_and_logarithmic_ranges(bench: dict[str, ModuleType]) -> None:
    tune = bench["tune"]
    rate = ["--key", "training.learning_rate", "--log", "0.1", "10", "3"]
    given = tune.parser().parse_args(["xor-mgd", *rate, "--key", "training.model", "--values", "mgd", "node"])
    assert given.rows == [("training.learning_rate", [0.1, 1.0, 10.0]), ("training.model", ["mgd", "node"])]
    assert len(tune.combinations(given.rows, 0, 0)) == 6
    some = tune.combinations(given.rows, 4, 0)
    assert len(some) == 4 == len({json.dumps(choice) for choice in some})
    assert some == tune.combinations(given.rows, 4, 0)


def test_candidates_are_ranked_by_inferences_then_accuracy(bench: dict[str, ModuleType]) -> None:
    tune = bench["tune"]
    quick = tune.Candidate({"a": 1}, [curve(bench, [0.1, 0.7])])
    slow = tune.Candidate({"a": 2}, [curve(bench, [0.1, 0.2, 0.8])])
    never = tune.Candidate({"a": 3}, [curve(bench, [0.1, 0.2, 0.6])])
    order = sorted([never, slow, quick], key=lambda one: one.score("inferences", 0.7))
    assert order == [quick, slow, never]
    assert sorted([quick, slow, never], key=lambda one: one.score("accuracy", 0.7))[0] is slow


def test_smoke_refuses_figures_that_cannot_be_right(bench: dict[str, ModuleType]) -> None:
    smoke = bench["smoke"]
    assert smoke.within({"a": 1.0, "b": math.nan}, {"a": (0.0, 2.0)}) == {"a": 1.0}
    with pytest.raises(smoke.SmokeError, match="a = nan"):
        smoke.within({"a": math.nan}, {"a": (0.0, 2.0)})
    with pytest.raises(smoke.SmokeError, match="expected 0 to 2"):
        smoke.within({"a": 3.0}, {"a": (0.0, 2.0)})
