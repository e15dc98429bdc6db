"""The report: what the page says, that it needs nothing else, and that its figures can be read."""

from __future__ import annotations

import base64
import html.parser
import itertools
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from test_trace import CLASSES, declare_all, summary_of, table, write_all, write_names, write_run

from neurosim import models
from neurosim.accounting import ACTIONS, PHASE_GROUPS, PHASES, Ledger, Swing, price_table
from neurosim.chip.mesh import Mesh
from neurosim.engine.tables import declare_ledger, ledger_row
from neurosim.errors import InputError, TraceError
from neurosim.report import chip, curves, energy, figures, states, style, timeline, write_report
from neurosim.report.account import account_of
from neurosim.spec.geometry import Geometry
from neurosim.spec.load import load_chip
from neurosim.trace import Trace, TraceWriter, open_trace
from neurosim.trace.chip_map import (
    ChipMap,
    CoreMap,
    MeshMap,
    TickTimeline,
    read_chip_map,
    read_timeline,
    write_chip_map,
)
from neurosim.trace.mapped import link_map

models.load_builtin()

CHIP_FIGURES = {"floor_plan", "link_load", "tick_timeline", "tornado"}
"""What needs a built machine: its places, its links, its own price table."""
ALL = {kind.name for kind in figures.KINDS} - CHIP_FIGURES - {"early"}
"""Early decisions are drawn in test_energy_table.py."""
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>$\\frac{$ {{ 7*7 }}"
CHIP = 'name = "analog-if"\nhypothetical = true\n[static]\npower_W = 1.5e-3\nsource = "a guess"\nkind = "published"\n'


class Page(html.parser.HTMLParser):
    """The tags and the text of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.feed(self.source)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def images(self) -> dict[str, bytes]:
        """Embedded figures by name."""
        found = [attributes for tag, attributes in self.tags if tag == "img"]
        return {
            item["id"].removeprefix("figure-"): base64.b64decode(item["src"].removeprefix("data:image/png;base64,"))
            for item in found
        }


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run on a hypothetical chip."""
    return write_run(tmp_path_factory.mktemp("run") / "run.h5", chip=CHIP)


@pytest.fixture(scope="module")
def report(run: Path) -> Path:
    """Its report."""
    return write_report(run)


@pytest.fixture
def trace(run: Path) -> Any:
    with open_trace(run) as opened:
        yield opened


def small_run(path: Path, status: Any = "complete", **attributes: Any) -> Path:
    """A trace with little in it."""
    writer = TraceWriter.create(path, force=False, attributes={"seed": 3, **attributes})
    writer.declare(table("/training", ("step", "1", "s", "i8"), ("inferences", "1", "i", "i8"), ("cost", "1", "c")))
    writer.append("/training", {"step": [1, 2], "inferences": [2, 4], "cost": [0.5, 0.4]})
    return writer.close(status, {})


class TestPage:
    def test_everything_is_there(self, report: Path) -> None:
        page = Page(report)
        assert report.name == "run.html"
        assert page.images.keys() == ALL
        folder = report.with_name("run_figures")
        assert {path.stem: path.read_bytes() for path in folder.iterdir()} == page.images
        assert all(data.startswith(b"\x89PNG") and len(data) > 5000 for data in page.images.values())
        assert sorted(path.name for path in report.parent.iterdir()) == ["run.h5", "run.html", "run_figures"]

    def test_it_says_in_words_what_happened(self, report: Path) -> None:
        text = Page(report).text
        for said in (
            "Scenario quickstart was trained on the chip analog-if (a HYPOTHETICAL chip: nobody has built it), seed 7.",
            "After 30 000 steps (90 000 inferences) it gets 74.56 % of the test samples right",
            "On the chip that takes 30 ms and costs 304 µJ (between 302 µJ and 311 µJ), 10.1 mW on average",
            "0.78 % of the energy rests on assumed prices",
            "What bounds the length of a step is: settling.",
            "21 % of the probes gave C̃ = 0 and 10 % fell into the dead zone of a converter",
            "70.00 % was first reached after: Steps 15 652 Inferences 46 956",
        ):
            assert said in text

    def test_a_number_can_be_traced(self, report: Path) -> None:
        text = Page(report).text
        assert "weight_pulse 120 000 5 pJ 600 nJ 150 nJ … 2.4 µJ 0.2 % assumed reference/chips.md, row 3" in text
        assert "static power 45 µJ 14.8 % published a guess" in text
        assert "Sum 304 µJ 302 µJ … 311 µJ" in text
        assert "every row is its count times its price" in text
        assert 'name = "analog-if"' in text
        assert "dac_conversion 23 520 000 0 J 0 J" in text

    def test_it_needs_nothing_else(self, report: Path) -> None:
        page = Page(report)
        assert not {"script", "iframe", "object", "embed", "base", "form"} & {tag for tag, _ in page.tags}
        for _, attributes in page.tags:
            assert not [name for name in attributes if name.startswith("on")]
            for name in ("src", "href", "action", "srcset"):
                assert attributes.get(name, "data:").startswith("data:")
        assert not re.search(r"url\(|@import|https?:", page.source)
        assert "default-src 'none'" in page.source
        assert all(attributes["alt"] for tag, attributes in page.tags if tag == "img")

    def test_names_are_only_text(self, tmp_path: Path) -> None:
        """Scripts, templates and mathematics in names, layers, sources and configuration stay what they are: text."""
        writer = TraceWriter.create(tmp_path / "run.h5", force=False, attributes={"seed": EVIL})
        layer = EVIL.replace("/", "|")
        columns = (("tick", "1", "t", "i8"), ("value", EVIL, EVIL, "f4", (4, 3)))
        writer.declare(table(f"/weights/{layer}", *columns))
        writer.declare(table(f"/astrocyte/delta/{layer}", *columns))
        writer.declare(table("/agreement", ("step", "1", "s", "i8"), (layer, "1", EVIL)))
        writer.declare(table(f"/spikes/{layer}", ("tick", "1", "t", "i8"), ("neuron", "1", "n", "i4")))
        writer.declare(table("/ledger", ("tick", "1", "t", "i8"), ("counts", "1", "c", "i8", (2,)),
                             ("energy_J", "J", "e", "f8", (2,)), ("phase_time_s", "s", "p", "f8", (1,))))  # fmt: skip
        writer.append("/ledger", {"tick": [1], "counts": [[1, 2]], "energy_J": [[1.0, 2.0]], "phase_time_s": [[1.0]]})
        for path in (f"/weights/{layer}", f"/astrocyte/delta/{layer}"):
            writer.append(path, {"tick": [1, 2], "value": np.ones((2, 4, 3))})
        writer.append("/agreement", {"step": [1], layer: [0.5]})
        writer.append(f"/spikes/{layer}", {"tick": [1, 2], "neuron": [0, 1]})
        for name in ("action", "price/kind", "price/source"):
            writer.write(f"/ledger/{name}", [EVIL, "漢字 \u202e\x07"], "1", EVIL)
        writer.write("/ledger/phase", [EVIL], "1", EVIL)
        writer.write("/config/chip", f"</pre>{EVIL}", "1", EVIL)
        writer.write(f"/config/{layer}", EVIL, "1", EVIL)
        keys = {"scenario": EVIL, "chip": EVIL, "seed": EVIL, "bound_by": EVIL, "host": {layer: EVIL}}
        page = Page(write_report(writer.close("complete", keys)))
        assert not {"script", "iframe"} & {tag for tag, _ in page.tags}
        assert len([tag for tag, _ in page.tags if tag == "img"]) == len(page.images)
        assert not [1 for _, attributes in page.tags for name in attributes if name.startswith("on")]
        assert "{{ 7*7 }}" in page.text
        assert page.images.keys() == ALL - {"learning", "silent_probes", "fields", "learning_timeline"}

    def test_what_does_not_add_up_is_said(self, tmp_path: Path) -> None:
        text = Page(write_report(write_run(tmp_path / "run.h5", summary_of(energy_J=1e-4)))).text
        assert "These numbers do not add up: the lines add up to 304 µJ, the summary says 100 µJ" in text


class TestPartialTraces:
    def test_almost_nothing(self, tmp_path: Path) -> None:
        page = Page(write_report(small_run(tmp_path / "run.h5", scenario="xor-mgd")))
        assert page.images == {}
        assert "Accuracy and cost: the trace has no table /eval." in page.text
        assert "holds no ledger" in page.text
        assert "Scenario xor-mgd was trained on a chip without a name, seed 3." in page.text
        assert "It ran for 2 steps (4 inferences); no accuracy was recorded." in page.text

    @pytest.mark.parametrize("status", ["interrupted", "failed"])
    def test_interrupted(self, tmp_path: Path, status: str) -> None:
        text = Page(write_report(small_run(tmp_path / "run.h5", status))).text
        assert f"This run {'was ' * (status == 'interrupted')}{status}." in text

    def test_killed(self, tmp_path: Path) -> None:
        """All tables, no summary, no clean end: the numbers come from the tables."""
        with TraceWriter.create(tmp_path / "run.h5", force=False, attributes={"seed": 3}) as writer:
            declare_all(writer)
            write_names(writer, chip=CHIP)
            writer.flush()
            report = write_report(tmp_path / "run.h5")  # declared, but still empty
            assert Page(report).images == {}
            write_all(writer)
            writer.flush()
        report = write_report(tmp_path / "run.h5.part")
        page = Page(report)
        assert report.name == "run.html"
        assert page.images.keys() == ALL
        assert "This run has not ended" in page.text
        assert "After 30 000 steps (90 000 inferences) it gets 74.56 % of the test samples right" in page.text
        assert "costs 304 µJ (between 302 µJ and 311 µJ), 10.1 mW on average" in page.text

    def test_nothing_at_all(self, tmp_path: Path) -> None:
        TraceWriter.create(tmp_path / "run.h5", force=False, attributes={}).abandon()
        assert "Scenario without a name" in Page(write_report(tmp_path / "run.h5")).text

    def test_target_not_reached_and_no_accuracy(self, tmp_path: Path) -> None:
        never = {"accuracy": 0.9, "steps": None, "inferences": None, "chip_time_s": None, "energy_J": None,
                 "weight_pulses": None}  # fmt: skip
        run = small_run(tmp_path / "run.h5")
        with TraceWriter.create(run, force=True, attributes={}) as writer:
            writer.close("complete", {"to_target": never, "accuracy": None, "cost": float("nan"), "steps": 5})
        text = Page(write_report(run)).text
        assert "90.00 % was never reached." in text
        assert "It ran for 5 steps" in text

    def test_diverged(self, tmp_path: Path) -> None:
        writer = TraceWriter.create(tmp_path / "run.h5", force=False, attributes={})
        declare_all(writer)
        nothing = float("nan")
        columns = {column: [0, 1] for column in ("step", "tick", "inferences", "updates")}
        training = ("time_s", "energy_J", "cost", "c_tilde", "zero_share", "dead_share")
        writer.append("/training", columns | {column: [nothing, nothing] for column in training})
        del columns["updates"]
        evaluated = ("time_s", "energy_J", "energy_low_J", "energy_high_J", "accuracy", "cost")
        writer.append("/eval", columns | {column: [0.5, nothing] for column in evaluated})
        writer.append("/weights/hidden", {"tick": [1], "value": np.full((1, 784, 24), nothing)})
        writer.append("/astrocyte/delta/hidden", {"tick": [1, 1], "value": np.full((2, CLASSES, 24), nothing)})
        page = Page(write_report(writer.close("failed", {})))
        assert {"learning", "weights", "delta", "delta_history", "fields"} <= page.images.keys()


class TestFiles:
    def test_existing_page(self, tmp_path: Path) -> None:
        run = small_run(tmp_path / "run.h5")
        page = write_report(run, tmp_path / "out.html", force=False)
        with pytest.raises(InputError, match="--force"):
            write_report(run, page, force=False)
        (tmp_path / "out_figures" / "learning.png").write_text("of an older report")
        (tmp_path / "out_figures" / "mine.png").write_text("of the user")
        write_report(run, page)
        assert [path.name for path in (tmp_path / "out_figures").iterdir()] == ["mine.png"]

    def test_impossible_places(self, tmp_path: Path) -> None:
        run = small_run(tmp_path / "run.h5")
        with pytest.raises(InputError, match="cannot write the report"):
            write_report(run, tmp_path / "no" / "out.html")
        with pytest.raises(InputError, match="is a folder"):
            write_report(run, tmp_path)
        with pytest.raises(InputError, match="no such file"):
            write_report(tmp_path / "absent.h5")


class TestFigures:
    def test_plots_draw_where_they_are_told(self, trace: Trace) -> None:
        with mpl.rc_context(style.RC):
            for plot in (
                curves.plot_accuracy, curves.plot_cost, curves.plot_silent_probes, curves.plot_agreement,
                energy.plot_energy_by_action, energy.plot_energy_by_kind, energy.plot_energy_by_unit,
                energy.plot_time_by_phase, timeline.plot_learning_shares, timeline.plot_learning_totals,
            ):  # fmt: skip
                axes = Figure().subplots()
                assert plot(trace, axes) is axes
                assert axes.has_data()
            for against, unit in (("inferences", "inferences"), ("time_s", "(ms)"), ("energy_J", "(µJ)")):
                assert unit in curves.plot_accuracy(trace, Figure().subplots(), against).get_xlabel()
            assert "index" in states.plot_raster(trace, Figure().subplots(), "hidden").get_ylabel()

    @pytest.mark.parametrize("step_s", [1e-6, 2.5e3, 2e-13])
    def test_labels_can_be_read(self, tmp_path: Path, step_s: float) -> None:
        """No label is small, cut off, or runs into its neighbour; every axis says what it shows and its unit."""
        writer = TraceWriter.create(tmp_path / "run.h5", force=False, attributes={})
        declare_all(writer)
        write_names(writer, chip=CHIP)
        write_all(writer, step_s=step_s)
        with open_trace(writer.close("complete", {})) as trace, mpl.rc_context(style.RC):
            for kind in figures.KINDS:
                if kind.name in ALL:
                    check_legible(kind.name, kind.draw(trace))

    def test_wide_intervals_make_a_logarithmic_axis(self, tmp_path: Path) -> None:
        writer = TraceWriter.create(tmp_path / "run.h5", force=False, attributes={})
        names = ("inferences", "energy_J", "energy_low_J", "energy_high_J", "accuracy", "cost")
        writer.declare(table("/eval", *((name, "1", name) for name in names)))
        at = np.linspace(0.0, 1.0, 40)
        columns = (at * 1e5, at * 1e-3, at * 2e-4, at * 8e-3, at, 1.0 - at)
        writer.append("/eval", dict(zip(names, columns, strict=True)))
        with open_trace(writer.close("complete", {})) as trace, mpl.rc_context(style.RC):
            figure = figures.KINDS[0].draw(trace)
            check_legible("learning", figure)
            assert [axes.get_xscale() for axes in figure.axes] == ["linear", "log"] * 2
            assert figure.axes[1].get_xlim()[0] > 0.0

    def test_many_layers(self, tmp_path: Path) -> None:
        writer = TraceWriter.create(tmp_path / "run.h5", force=False, attributes={})
        for number in range(8):
            columns = (("tick", "1", "t", "i8"), ("value", "1", "w", "f4", (26, 8)))
            writer.declare(table(f"/weights/layer{number}", *columns))
            value = np.random.default_rng(number).normal(size=(2, 26, 8))
            writer.append(f"/weights/layer{number}", {"tick": [0, 1], "value": value})
        with open_trace(writer.close("complete", {})) as trace, mpl.rc_context(style.RC):
            drawn = {kind.name: kind.draw(trace) for kind in figures.KINDS if kind.name in ("weights", "fields")}
            for name, figure in drawn.items():
                check_legible(name, figure)
            assert drawn["weights"].get_suptitle() == "2 more layers are not shown"
            assert [axes.get_title(loc="left") for axes in drawn["weights"].axes] == [f"layer{n}" for n in range(6)]

    def test_many_actions_with_long_names(self, tmp_path: Path) -> None:
        n = 30
        writer = TraceWriter.create(tmp_path / "run.h5", force=False, attributes={})
        writer.declare(table("/ledger", ("tick", "1", "t", "i8"), ("counts", "1", "c", "i8", (n,)),
                             ("energy_J", "J", "e", "f8", (n,))))  # fmt: skip
        writer.write("/ledger/action", [f"a_very_long_name_of_an_action_{i}" for i in range(n)], "1", "a")
        writer.append("/ledger", {"tick": [1], "counts": [[1] * n], "energy_J": [10.0 ** -np.arange(n)]})
        with open_trace(writer.close("complete", {})) as trace, mpl.rc_context(style.RC):
            for kind in figures.KINDS[1:4]:
                check_legible(kind.name, kind.draw(trace))

    def test_account(self, trace: Trace) -> None:
        account = account_of(trace)
        assert account is not None
        assert account.energy_J == pytest.approx(trace.summary["energy_J"], rel=1e-12)
        assert account.low_J == pytest.approx(trace.summary["energy_low_J"], rel=1e-12)
        assert account.high_J == pytest.approx(trace.summary["energy_high_J"], rel=1e-12)
        assert sum(line.share for line in account.lines) == pytest.approx(1.0)
        assert all(line.adds_up for line in account.lines)

    @pytest.mark.parametrize(
        ("shape", "side"),
        [((784, 10), (28, 1)), ((785, 10), (28, 1)), ((3072, 5), (32, 3)), ((10, 5), None), ((9, 2), None),
         ((5, 5, 1, 8), None), ((2, 2), None)],
    )  # fmt: skip
    def test_images_are_recognised(self, shape: tuple[int, ...], side: tuple[int, int] | None) -> None:
        assert states.image_side(shape) == side

    def test_colours_differ_in_brightness_or_hatching(self) -> None:
        """Kinds of prices can be told apart without colour: assumed ones are hatched."""
        assert len({*style.CYCLE}) == len(style.CYCLE)
        assert len({*style.KIND_COLOURS.values()}) == len(style.KIND_COLOURS)


CHIPS: dict[str, tuple[dict[str, Any], int, tuple[int, ...], tuple[str, ...]]] = {
    "one core": ({"cores": 1}, 1, (), ()),
    "two of eight": ({"cores": 8, "mesh_width": 4}, 2, (), ()),
    "Loihi": ({"cores": 128, "cores_per_tile": 4, "mesh_width": 8, "mesh_height": 4, "tile_order": "columns"}, 90,
              (5, 6, 77), ("0,0-1,0", "3,2-3,3")),
    "4096 cores": ({"cores": 4096, "mesh_width": 64}, 3000, (100, 101), ()),
    "six chips": ({"cores": 32, "mesh_width": 4, "cores_per_tile": 2, "chips": 6, "chip_columns": 3}, 150, (1,), ()),
    "a row": ({"cores": 48, "mesh_width": 48}, 30, (), ()),
    "a column": ({"cores": 60, "mesh_width": 2}, 30, (), ()),
}  # fmt: skip
"""Geometry, cores in use, dead cores, dead links."""


def chip_map(name: str) -> ChipMap:
    """A chip on which every core in use sends to some others."""
    given, used, dead, dead_links = CHIPS[name]
    rng = np.random.default_rng(len(name))
    geometry = Geometry(neurons_per_core=64, inputs_per_core=128, **given)
    mesh = Mesh.of(geometry, dead_links)
    cores = np.sort(rng.choice([c for c in range(geometry.all_cores) if c not in dead], used, replace=False))
    neurons, inputs = rng.integers(1, 65, used), rng.integers(1, 129, used)
    pairs = np.unique(mesh.tile[rng.choice(cores, (2, 500))], axis=1)
    first, links = mesh.tile_paths(pairs[0], pairs[1])
    sent = np.repeat(rng.integers(1, 100, pairs.shape[1]), np.diff(first))
    messages = np.bincount(links, weights=sent, minlength=4 * mesh.tiles).astype(np.int64)
    places = CoreMap(
        cores, mesh.x[cores], mesh.y[cores], neurons, neurons * inputs, inputs, np.maximum(neurons / 64, inputs / 128),
        rng.gamma(2.0, 1e-9, used), np.zeros((used, len(ACTIONS)), np.int64),
    )  # fmt: skip
    size, chip_size = np.array([mesh.width, mesh.height]), np.array([mesh.chip_width, mesh.chip_height])
    return ChipMap(
        places, MeshMap(mesh.x, mesh.y, size, chip_size, np.array(dead, np.int64)), link_map(mesh, messages, dead_links)
    )


def tick_of(cores: int, *, overlap: bool = False) -> TickTimeline:
    """A tick in which ``cores`` cores generate, then receive (or both at once), and wait for a barrier."""
    rng = np.random.default_rng(cores)
    ready, busy = rng.uniform(2e-7, 1e-6, (2, cores))
    begin = ready * 0.5 if overlap else ready
    end = float((begin + busy).max())
    number = np.arange(cores)
    return TickTimeline(
        17, np.concatenate([number, number, [-1, -1]]),
        ("generation",) * cores + ("processing",) * cores + ("mesh", "barrier"),
        np.concatenate([np.zeros(cores), begin, [1e-7, end]]), np.concatenate([ready, begin + busy, [end, end + 5e-7]]),
    )  # fmt: skip


class TestChip:
    @pytest.mark.parametrize("name", CHIPS)
    def test_labels_can_be_read(self, name: str) -> None:
        drawn = chip_map(name)
        with mpl.rc_context(style.RC):
            check_legible(name, figures.floor_plan_figure(drawn))
            if drawn.links is not None and drawn.links.messages.any():
                check_legible(name, figures.link_figure(drawn))

    @pytest.mark.parametrize("name", CHIPS)
    def test_every_core_has_a_place_of_its_own(self, name: str) -> None:
        """The heat map holds each core's value once, in the cell of its tile, and nothing else."""
        drawn = chip_map(name)
        grid = chip.grid_of(drawn.mesh)
        cells = grid.row * grid.shape[1] + grid.column
        assert np.unique(cells).size == cells.size == drawn.mesh.tile_x.size
        assert np.array_equal(grid.column // grid.across, drawn.mesh.tile_x)
        assert np.array_equal(grid.row // grid.down, drawn.mesh.tile_y)
        image = grid.image(drawn.cores.core, drawn.cores.energy_J)
        assert np.nansum(image) == pytest.approx(drawn.cores.energy_J.sum(), rel=1e-12)
        assert np.isfinite(image).sum() == drawn.cores.core.size
        with mpl.rc_context(style.RC):
            axes = Figure().subplots()
            shown = chip.plot_floor_plan(drawn, axes, drawn.cores.energy_J, "energy")
        assert np.ma.sum(shown.get_array()) == pytest.approx(drawn.cores.energy_J.sum(), rel=1e-12)
        for core in drawn.mesh.dead:
            x, y, width, height = grid.box(int(core))
            assert round(x + width / 2) == drawn.mesh.tile_x[core]
            assert round(y + height / 2) == drawn.mesh.tile_y[core]

    def test_links_lie_beside_one_another(self) -> None:
        """Both directions of a link are drawn apart, each on the right of its way, between its two tiles."""
        links = chip_map("Loihi").links
        assert links is not None
        ends = chip._ends(links, np.ones(links.x.size, np.bool_), 0.5)
        assert np.unique(ends.round(6).reshape(len(ends), -1), axis=0).shape[0] == links.x.size
        for link in range(0, links.x.size, 7):
            (x, y), (to_x, to_y) = ends[link]
            way = np.array([links.to_x[link] - links.x[link], links.to_y[link] - links.y[link]])
            aside = np.array([(x + to_x) / 2, (y + to_y) / 2]) - [
                (links.x[link] + links.to_x[link]) / 2, (links.y[link] + links.to_y[link]) / 2,
            ]  # fmt: skip
            assert np.cross(np.append(way, 0), np.append(aside, 0))[2] > 0  # y grows downwards

    def test_a_dead_link_carries_nothing(self) -> None:
        links = chip_map("Loihi").links
        assert links is not None
        assert links.dead.sum() == 4  # two links, two directions
        assert not links.messages[links.dead > 0].any()

    @pytest.mark.parametrize("cores", [1, 3, 24, 4096])
    @pytest.mark.parametrize("overlap", [False, True])
    def test_tick(self, cores: int, overlap: bool) -> None:
        """The slowest core stands at the top; rows that are left out are counted."""
        found = tick_of(cores, overlap=overlap)
        with mpl.rc_context(style.RC):
            figure = figures.tick_figure(found)
            check_legible("tick", figure)
        axes = figure.axes[0]
        own = found.core >= 0
        slowest = found.core[own][found.end_s[own].argmax()]
        labels = [label.get_text() for label in axes.get_yticklabels()]
        assert labels[0].startswith(f"core {slowest}")
        assert labels[-2:] == ["mesh", "barrier"]
        assert len(labels) == min(cores, 24) + 2
        assert (f"{cores - 24} faster cores" in axes.get_title(loc="right")) == (cores > 24)
        bars = [patch for patch in axes.patches if patch.get_width() > 0]
        assert len(bars) == 2 * min(cores, 24) + 2
        assert max(patch.get_x() + patch.get_width() for patch in bars) == pytest.approx(found.end_s.max())

    def test_map_comes_back_from_a_trace(self, tmp_path: Path) -> None:
        written = chip_map("six chips")
        writer = TraceWriter.create(tmp_path / "run.h5", force=False, attributes={})
        declare_ledger(writer, price_table(load_chip("analog-if")), {"cores_used": 150})
        write_chip_map(writer, written)
        write_chip_map(writer, written)  # in place of the first
        with open_trace(writer.close("complete", {"energy_J": 1.0})) as trace:
            read = read_chip_map(trace)
            assert read is not None
            assert read.links is not None
            for part in ("cores", "mesh", "links"):
                for column, values in vars(getattr(written, part)).items():
                    assert np.array_equal(getattr(getattr(read, part), column), values), (part, column)
        page = Page(write_report(tmp_path / "run.h5"))
        assert {"floor_plan", "link_load"} <= page.images.keys()
        assert read_timeline_of(tmp_path / "run.h5") is None

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("/chip/core/tile_x", [999] * 150), ("/chip/core/core", [999] * 150), ("/chip/core/tile_y", [0]),
            ("/chip/mesh/size", [0, 3]), ("/chip/mesh/size", [10**9, 10**9]), ("/chip/mesh/dead", [-1]),
            ("/chip/link/to_x", [3]), ("/chip/mesh/chip_size", [4]),
        ],
    )  # fmt: skip
    def test_maps_that_make_no_sense(self, tmp_path: Path, name: str, value: list[int]) -> None:
        """They are said to be so, and the rest of the page is written."""
        writer = TraceWriter.create(tmp_path / "run.h5", force=False, attributes={})
        write_chip_map(writer, chip_map("six chips"))
        writer.write(name, np.array(value), "1", "made up")
        with open_trace(writer.close("complete", {})) as trace, pytest.raises(TraceError, match="/chip"):
            read_chip_map(trace)
        page = Page(write_report(tmp_path / "run.h5"))
        assert not CHIP_FIGURES & page.images.keys()
        assert re.search(r"The chip's cores: (the datasets of )?/chip", page.text)

    def test_tornado(self) -> None:
        """Bars run from the total at the low to the total at the high price, the widest at the top."""
        swings = [Swing("message", -1e-6, 3e-6), Swing("static power", -5e-7, 5e-7), Swing("barrier", 0.0, 2e-7)]
        with mpl.rc_context(style.RC):
            figure = Figure(figsize=(11, 3), layout="constrained")
            FigureCanvasAgg(figure)
            axes = energy.plot_tornado(swings, 4e-6, "J", figure.subplots())
            check_legible("tornado", figure)
            spans = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in axes.patches]
            ends = [(min(*low, *high), max(*low, *high)) for low, high in zip(spans[::2], spans[1::2], strict=True)]
            assert ends == [pytest.approx((4e-6 + swing.low, 4e-6 + swing.high)) for swing in swings]
            wide = energy.plot_tornado([Swing("message", -1e-6, 1e-3)], 4e-6, "J", Figure().subplots())
            assert wide.get_xscale() == "log"

    def test_energy_by_unit_is_all_of_it(self, trace: Trace) -> None:
        account = account_of(trace)
        assert account is not None
        units = energy.energy_by_unit(account)
        sums = [sum(line.energy_J for line in lines) for lines in units.values()]
        assert sum(sums) == pytest.approx(account.energy_J, rel=1e-12)
        assert sums == sorted(sums, reverse=True)

    def test_learning_shares_are_the_ledgers(self, tmp_path: Path) -> None:
        """Forward pass, communication, learning and waiting: the phases' own times, every second once."""
        writer = TraceWriter.create(tmp_path / "run.h5", force=False, attributes={})
        declare_ledger(writer, price_table(load_chip("analog-if")), {})
        ledger = Ledger()
        for block in range(1, 4):
            ledger += Ledger({}, {phase: 10**9 * (k + block) for k, phase in enumerate(PHASES)})
            writer.append("/ledger", ledger_row(ledger, price_table(load_chip("analog-if")), block))
        with open_trace(writer.close("complete", {})) as trace:
            groups = timeline.group_times(trace)
            whole = timeline.plot_learning_shares(trace, Figure().subplots())
        assert groups.keys() == PHASE_GROUPS.keys()
        for group, phases in PHASE_GROUPS.items():
            wanted = [1e-6 * sum(PHASES.index(phase) + block for phase in phases) for block in range(1, 4)]
            assert groups[group] == pytest.approx(wanted, rel=1e-9)
        assert sum(seconds.sum() for seconds in groups.values()) == pytest.approx(ledger.time_fs * 1e-15)
        assert whole.get_ylim() == (0.0, 1.0)


def read_timeline_of(path: Path) -> TickTimeline | None:
    with open_trace(path) as trace:
        return read_timeline(trace)


def check_legible(name: str, figure: Figure) -> None:
    """Assert that the texts of a figure are large enough, inside it, and apart from each other."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    frame = figure.bbox.padded(1.5)
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            ticks = [tick.label1 for tick in axis.get_major_ticks() if tick.label1.get_visible()]
            shown = [label for label in ticks if label.get_text() and tick_is_inside(axes, label)]
            boxes = [label.get_window_extent(renderer) for label in shown]
            for label, box in zip(shown, boxes, strict=True):
                assert label.get_fontsize() >= 10.0, (name, label)
                assert frame.containsx(box.x0), (name, label)
                assert frame.containsx(box.x1), (name, label)
            for index, (one, two) in enumerate(itertools.pairwise(boxes)):
                assert not one.overlaps(two), (name, shown[index].get_text(), shown[index + 1].get_text())
        for text in (axes.title, axes.xaxis.label, axes.yaxis.label, *axes.texts):
            if text.get_text():
                box = text.get_window_extent(renderer)
                assert frame.containsx(box.x0), (name, text.get_text())
                assert frame.containsx(box.x1), (name, text.get_text())
                assert text.get_fontsize() >= 10.0, (name, text.get_text())
    drawn = [axes for axes in figure.axes if axes.axison]
    assert any(axes.get_xlabel() or axes.get_ylabel() for axes in drawn), name


def tick_is_inside(axes: Axes, label: Any) -> bool:
    """Whether a tick label belongs to a place that is shown."""
    low, high = sorted(axes.get_xlim())
    bottom, top = sorted(axes.get_ylim())
    x, y = label.get_position()
    return bool(low <= x <= high or x in (0, 1)) and bool(bottom <= y <= top or y in (0, 1))


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SIZES = """<script>addEventListener("load", () => { console.log("the console is heard");
document.body.insertAdjacentHTML("beforeend", [...document.images].map((image) =>
  `<i data-figure="${image.id}" data-width="${image.naturalWidth}" data-shown="${image.width}"></i>`).join(""));
document.body.dataset.overflow = document.documentElement.scrollWidth - innerWidth; })</script>"""


def browse(page: Path, profile: Path) -> tuple[str, list[str]]:
    """Open a page in headless Chromium: its document, and the lines of its console."""
    if CHROMIUM is None:
        if os.environ.get("NEUROSIM_REQUIRE_BROWSER") == "1":
            pytest.fail("NEUROSIM_REQUIRE_BROWSER=1, but there is no Chromium")
        pytest.skip("no Chromium here (NEUROSIM_REQUIRE_BROWSER=1 makes this a failure)")
    quiet = ["--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=1200,1600",
             "--enable-logging=stderr", "--v=0", f"--user-data-dir={profile}"]  # fmt: skip
    if os.geteuid() == 0:
        quiet.append("--no-sandbox")
    done = subprocess.run(
        [CHROMIUM, *quiet, "--dump-dom", page.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.browser
def test_in_a_browser(report: Path, tmp_path: Path) -> None:
    document, console = browse(report, tmp_path / "profile")
    assert "</html>" in document
    assert console == []
    # The page forbids scripts; a copy of it that allows one measures what is shown.
    copy = tmp_path / "copy.html"
    source = re.sub(r"<meta http-equiv=[^>]*>", "", report.read_text(encoding="utf-8"))
    copy.write_text(source.replace("</body>", SIZES + "</body>"), encoding="utf-8")
    document, console = browse(copy, tmp_path / "profile2")
    assert [line for line in console if "the console is heard" in line], "the test would not notice a message"
    assert len(console) == 1
    widths = re.findall(r'data-figure="figure-(\w+)" data-width="(\d+)" data-shown="(\d+)"', document)
    assert {name for name, _, _ in widths} == ALL
    assert all(int(natural) > 1000 and int(shown) > 500 for _, natural, shown in widths)
    assert int(re.findall(r'data-overflow="(-?\d+)"', document)[0]) <= 0
