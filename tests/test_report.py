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
from matplotlib.figure import Figure
from test_trace import CLASSES, declare_all, summary_of, table, write_all, write_names, write_run

from neurosim.errors import InputError
from neurosim.report import curves, energy, figures, states, style, write_report
from neurosim.report.account import account_of
from neurosim.trace import Trace, TraceWriter, open_trace

ALL = {kind.name for kind in figures.KINDS}
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
        assert page.images.keys() == ALL - {"learning", "silent_probes", "fields"}

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
                energy.plot_energy_by_action, energy.plot_energy_by_kind, energy.plot_time_by_phase,
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
            for kind in figures.KINDS[1:3]:
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
