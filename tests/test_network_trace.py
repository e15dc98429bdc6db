"""Traces of networks driven by hand: nothing is lost, nothing is double, and whoever reads one sees what the run said."""

from __future__ import annotations

import csv
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neurosim as ns
from neurosim import accounting
from neurosim.accounting import ACTIONS
from neurosim.errors import InputError, TraceError
from neurosim.report import write_report
from neurosim.spec.load import load_chip
from neurosim.trace import ledger_of, to_csv
from neurosim.trace.chip_map import read_chip_map, read_timeline
from neurosim.trace.network import BY_CORE, PER_TICK

CHIP = "loihi-sanafe"
TICKS = 300
RECORD = ("src", "dst")


def network(size: int = 256, fan_out: int = 20, seed: int = 0) -> ns.Network:
    """A random network on a few cores: ``src`` fires by its bias and drives ``dst``."""
    rng = np.random.default_rng(seed)
    net = ns.Network()
    net.add_population("src", size, model="if", bias=rng.uniform(0.02, 0.08, size), threshold=1.0)
    net.add_population("dst", size, model="if", threshold=0.2)
    pre = np.repeat(np.arange(size), fan_out)
    post = rng.integers(0, size, pre.size)
    net.connect("src", "dst", pre=pre, post=post, weights=0.01)
    net.place("src", core=np.arange(size) % 5)
    net.place("dst", core=20 + np.arange(size) % 9)
    return net


def simulation(**options: Any) -> ns.Simulation:
    return ns.Simulation(CHIP, network(), **{"timing": "simple", "record": RECORD, **options})


@pytest.fixture(scope="module")
def out() -> Any:
    """The same run, not traced."""
    return simulation().run(TICKS)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with everything that a trace can hold."""
    path = tmp_path_factory.mktemp("network") / "run.h5"
    done = simulation().run(TICKS, trace=path, record_timing=True, by_core=True)
    assert done.ticks == TICKS
    return path


@pytest.fixture
def trace(path: Path) -> Any:
    with ns.open_trace(path) as opened:
        yield opened


class TestSameAsTheRun:
    def test_what_kind_of_trace_it_is(self, trace: ns.Trace) -> None:
        assert trace.status == "complete"
        assert trace.attributes["format"] == "neurosim-trace"
        assert trace.attributes["kind"] == "network"
        assert trace.path.name == "run.h5"
        assert not list(trace.path.parent.glob("*.part"))
        chip = tomllib.loads(trace.config["chip"])
        assert chip["name"] == CHIP
        described = tomllib.loads(trace.config["network"])
        assert [table["name"] for table in described["populations"]] == ["src", "dst"]
        assert described["connections"] == [{"source": "src", "target": "dst", "synapses": 256 * 20}]

    def test_the_ledger_is_the_runs(self, trace: ns.Trace, out: Any) -> None:
        """Last row and summary hold exactly what the run came to, counts and femtoseconds as whole numbers."""
        assert ledger_of(trace) == out.ledger
        assert trace.ledger.total("counts").tolist() == [out.counts[name] for name in ACTIONS]
        summary = trace.summary
        assert summary["energy_J"] == out.energy_J
        assert summary["chip_time_s"] == out.chip_time_s
        assert summary["energy_by_action_J"] == pytest.approx(out.energy_by_action_J, rel=1e-15)
        assert summary["ticks"] == TICKS
        assert summary["neurons"] == 512
        whole = float(trace.ledger.total("energy_J").sum()) + float(trace.ledger.total("static_energy_J"))
        assert whole == pytest.approx(out.energy_J, rel=1e-12)
        assert (np.diff(trace.ledger["tick"]) > 0).all()
        assert int(trace.ledger["tick"][-1]) == TICKS

    def test_every_spike_once_and_in_order(self, trace: ns.Trace, out: Any) -> None:
        for name in RECORD:
            assert np.array_equal(trace.spikes[name]["tick"], out.spikes[name].tick)
            assert np.array_equal(trace.spikes[name]["neuron"], out.spikes[name].neuron)
        total = sum(len(trace.spikes[name]) for name in RECORD)
        assert total == out.counts["neuron_fired"]

    def test_recost_to_the_same_chip_is_the_identity(self, trace: ns.Trace, out: Any) -> None:
        bill = accounting.recost(ledger_of(trace), load_chip(CHIP))
        assert bill.energy_J == out.energy_J

    def test_only_what_is_asked_for(self, tmp_path: Path) -> None:
        sim = simulation(record=())
        sim.run(20, trace=tmp_path / "few.h5", record="dst")
        with ns.open_trace(tmp_path / "few.h5") as trace:
            assert trace.tables == ("/ledger", "/spikes/dst")
            assert read_timeline(trace) is None
            assert read_chip_map(trace) is not None


class TestTicks:
    def test_ticks_add_up_to_the_ledger(self, trace: ns.Trace, out: Any) -> None:
        """Counts, times and joules of single ticks: their sums are the run's."""
        ticks = trace.table("/ticks")
        assert len(ticks) == TICKS
        assert np.array_equal(ticks["tick"], np.arange(TICKS))
        assert tuple(trace.texts("/ticks/action")) == PER_TICK
        sums = ticks["counts"].sum(axis=0)
        for name, total in zip(PER_TICK, sums.tolist(), strict=True):
            assert total == out.counts[name], name
        assert int(ticks["time_fs"].sum()) == out.ledger.time_fs
        assert float(ticks["energy_J"].sum()) == pytest.approx(out.energy_J, rel=1e-12)

    @pytest.mark.parametrize("timing", ["clocked", "detailed", "event"])
    def test_every_timing_model(self, tmp_path: Path, timing: str) -> None:
        overrides = {"chip.timing.tick_s": "1 us"}
        sim = simulation(timing=timing, overrides=overrides)
        done = sim.run(40, trace=tmp_path / "run.h5", record_timing=True)
        with ns.open_trace(tmp_path / "run.h5") as trace:
            ticks = trace.table("/ticks")
            assert int(ticks["time_fs"].sum()) == done.ledger.time_fs
            assert float(ticks["energy_J"].sum()) == pytest.approx(done.energy_J, rel=1e-12)
            timeline = read_timeline(trace)
            assert timeline is not None
            assert timeline.end_s.max() == pytest.approx(float(ticks["time_fs"][timeline.tick]) * 1e-15, rel=1e-9)

    def test_converters_are_not_followed_tick_by_tick(self, tmp_path: Path) -> None:
        """Energy that a trace cannot tell tick by tick is not a number, rather than too little."""
        net = ns.Network()
        net.add_population("src", 4, model="if", bias=1.0, threshold=2.0)
        net.add_population("dst", 4, model="if", threshold=4.0)
        net.connect("src", "dst", pre=[0, 1, 2], post=[1, 2, 3], weights=1.0)
        sim = ns.Simulation("analog-if-adc", net, timing="clocked")
        done = sim.run(20, trace=tmp_path / "run.h5", record_timing=True)
        assert done.counts["adc_conversion"] > 0
        with ns.open_trace(tmp_path / "run.h5") as trace:
            joules = trace.table("/ticks")["energy_J"]
            assert np.isnan(joules).any()
            assert np.nansum(joules) < done.energy_J

    def test_cores_add_up_to_ticks(self, trace: ns.Trace) -> None:
        ticks, cores = trace.table("/ticks"), trace.table("/ticks/core")
        numbers = trace.array("/ticks/core/number")
        assert numbers.tolist() == [*range(5), *range(20, 29)]
        for name in BY_CORE:
            assert np.array_equal(cores[name].sum(axis=1), ticks["counts"][:, PER_TICK.index(name)]), name

    def test_the_slowest_core_ends_the_tick(self, trace: ns.Trace) -> None:
        """In the simple model a tick lasts as long as its busiest core, and a barrier."""
        ticks, cores = trace.table("/ticks"), trace.table("/ticks/core")
        slowest = np.maximum(cores["generation_fs"], cores["processing_fs"]).max(axis=1)
        both = (cores["generation_fs"] + cores["processing_fs"]).max(axis=1)
        barrier = ticks["time_fs"] - slowest
        assert (barrier == barrier[0]).all() or (ticks["time_fs"] - both == (ticks["time_fs"] - both)[0]).all()

    def test_timeline_is_that_of_the_longest_tick(self, trace: ns.Trace) -> None:
        timeline, ticks = read_timeline(trace), trace.table("/ticks")
        assert timeline is not None
        longest = int(ticks["time_fs"].argmax())
        assert timeline.tick == longest
        assert timeline.end_s.max() == pytest.approx(float(ticks["time_fs"][longest]) * 1e-15, rel=1e-9)
        assert "barrier" in timeline.what
        assert set(timeline.core[timeline.core >= 0]) <= {*range(5), *range(20, 29)}


class TestPlaces:
    def test_cores(self, trace: ns.Trace, out: Any) -> None:
        """Each core has its counts; with static energy they add up to the run."""
        found = read_chip_map(trace)
        assert found is not None
        cores = found.cores
        assert cores.core.tolist() == [*range(5), *range(20, 29)]
        for k, name in enumerate(ACTIONS):
            if name != "barrier":
                assert int(cores.counts[:, k].sum()) == out.counts[name], name
        barrier = out.energy_by_action_J.get("barrier", 0.0)
        assert cores.energy_J.sum() + out.static_energy_J + barrier == pytest.approx(out.energy_J, rel=1e-12)
        assert cores.neurons.sum() == 512
        assert cores.synapses.sum() == 256 * 20
        assert ((cores.utilisation > 0.0) & (cores.utilisation <= 1.0)).all()

    def test_links_carry_what_was_counted_as_hops(self, trace: ns.Trace, out: Any) -> None:
        found = read_chip_map(trace)
        assert found is not None
        assert found.links is not None
        links = found.links
        ways = {"hop_east": (1, 0), "hop_west": (-1, 0), "hop_north": (0, -1), "hop_south": (0, 1)}
        for name, (dx, dy) in ways.items():
            there = (links.to_x - links.x == dx) & (links.to_y - links.y == dy)
            assert int(links.messages[there].sum()) == out.counts[name], name

    def test_faults_that_struck_are_drawn(self, tmp_path: Path) -> None:
        """Scheduled ones and those by hand, of this run; ticks add up all the same."""
        later = [
            {"tick": 30, "dead_cores": [21]},
            {"tick": 60, "dead_links": ["0,1-1,1"]},
            {"tick": 999, "dead_cores": [3]},
        ]
        sim = simulation(overrides={"chip.faults": later})
        sim.run(40)
        sim.fail(dead_cores=[22])
        done = sim.run(60, trace=tmp_path / "run.h5", record_timing=True, by_core=True)
        with ns.open_trace(tmp_path / "run.h5") as trace:
            found = read_chip_map(trace)
            assert found is not None
            assert found.links is not None
            assert found.mesh.dead.tolist() == [21, 22]
            dead = found.links.dead > 0
            ends = zip(
                found.links.x[dead], found.links.y[dead], found.links.to_x[dead], found.links.to_y[dead], strict=True
            )
            assert sorted(ends) == [(0, 1, 1, 1), (1, 1, 0, 1)]
            assert [fault["tick"] for fault in trace.summary["faults"]] == [30, 40, 60]
            assert float(trace.table("/ticks")["energy_J"].sum()) == pytest.approx(done.energy_J, rel=1e-12)


class TestReaders:
    def test_report(self, path: Path, tmp_path: Path) -> None:
        page = write_report(path, tmp_path / "run.html").read_text(encoding="utf-8")
        for name in ("floor_plan", "link_load", "tick_timeline", "energy_by_unit", "spikes"):
            assert f'id="figure-{name}"' in page
        assert "was driven by hand on the chip loihi-sanafe" in page
        assert "every row is its count times its price" in page

    def test_export(self, trace: ns.Trace, tmp_path: Path) -> None:
        files = {file.name: file for file in to_csv(trace, tmp_path)}
        assert {"ledger.csv", "ticks.csv", "spikes_src.csv", "spikes_dst.csv"} <= files.keys()
        with files["spikes_src.csv"].open(newline="") as stream:
            assert sum(1 for _ in csv.reader(stream)) == len(trace.spikes["src"]) + 1

    def test_a_trace_is_not_a_training_run(self, path: Path) -> None:
        with pytest.raises((TraceError, InputError)):
            ns.resume(path)


class TestBlocks:
    def test_two_runs_two_traces(self, tmp_path: Path, out: Any) -> None:
        """Each trace holds its own run, and ticks go on counting."""
        sim = simulation()
        for part, ticks in enumerate((100, 200)):
            sim.run(ticks, trace=tmp_path / f"{part}.h5", record_timing=True)
        counts, joules, spikes = 0, 0.0, []
        for part in range(2):
            with ns.open_trace(tmp_path / f"{part}.h5") as trace:
                counts += trace.summary["counts"]["neuron_fired"]
                joules += trace.summary["energy_J"]
                spikes.append(trace.spikes["dst"]["tick"])
                assert trace.table("/ticks")["tick"][0] == (0, 100)[part]
                assert trace.summary["first_tick"] == (0, 100)[part]
                found = read_chip_map(trace)
                assert found is not None
                assert found.links is not None
                hops = sum(trace.summary["counts"].get(f"hop_{way}", 0) for way in ("east", "west", "north", "south"))
                assert int(found.links.messages.sum()) == hops
        assert counts == out.counts["neuron_fired"]
        assert joules == pytest.approx(out.energy_J, rel=1e-12)
        assert np.array_equal(np.concatenate(spikes), out.spikes["dst"].tick)

    def test_tracing_changes_nothing(self, tmp_path: Path, out: Any) -> None:
        sim, plain = simulation(), simulation()
        traced = sim.run(TICKS, trace=tmp_path / "run.h5")
        plain.run(TICKS)
        assert traced.ledger == out.ledger
        assert np.array_equal(sim.state("dst", "v"), plain.state("dst", "v"))

    def test_a_block_is_seen_by_both(self, tmp_path: Path) -> None:
        seen: list[Any] = []
        simulation().run(50, trace=tmp_path / "run.h5", on_block=seen.append)
        assert sum(block.ticks for block in seen) == 50

    def test_interrupted(self, tmp_path: Path) -> None:
        """Ctrl-C keeps everything up to there, under the final name, with the right status."""
        sim = simulation()

        def stop(block: Any) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            sim.run(10**6, trace=tmp_path / "run.h5", on_block=stop)
        with ns.open_trace(tmp_path / "run.h5") as trace:
            assert trace.status == "interrupted"
            assert trace.summary["ticks"] == sim.tick > 0
            assert trace.ledger["tick"][-1] == sim.tick
            assert trace.summary["counts"]["neuron_visited"] == 512 * sim.tick

    def test_memory_does_not_grow_with_the_run(self, tmp_path: Path) -> None:
        """Spikes go to the file and are not kept."""
        done = simulation().run(TICKS, trace=tmp_path / "run.h5")
        assert not any(spikes.tick.size for spikes in done.spikes.values())


class TestRefused:
    @pytest.mark.parametrize(
        ("arguments", "options", "said"),
        [
            ((-1,), {}, "ticks = -1"),
            (("ten",), {}, "ticks = 'ten'"),
            ((10,), {"record": "nobody"}, "unknown population 'nobody'"),
        ],
    )
    def test_nothing_is_written(self, tmp_path: Path, arguments: Any, options: Any, said: str) -> None:
        with pytest.raises(InputError, match=said):
            simulation().run(*arguments, trace=tmp_path / "run.h5", **options)
        assert [*tmp_path.iterdir()] == []

    def test_an_older_trace_stays(self, tmp_path: Path) -> None:
        file = tmp_path / "run.h5"
        file.write_text("mine")
        sim = simulation()
        with pytest.raises(InputError, match="exists already"):
            sim.run(10, trace=file)
        assert file.read_text() == "mine"
        assert sim.tick == 0
        sim.run(10, trace=file, force=True)
        with ns.open_trace(file) as trace:
            assert trace.summary["ticks"] == 10

    def test_options_without_a_trace(self) -> None:
        with pytest.raises(InputError, match="name one with trace="):
            simulation().run(10, by_core=True)
