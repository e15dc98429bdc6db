"""Spikes in traces of hand-driven networks: few bytes, nothing lost, and no way to be fooled by the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import neurosim as ns
from neurosim.engine.network_spikes import Fired, Span, pick, small
from neurosim.errors import TraceError
from neurosim.trace import layout, spikes
from neurosim.trace.writer import TraceWriter

ROOM = {f"chip.geometry.{name}": 200_000_000 for name in ("neurons_per_core", "inputs_per_core", "synapses_per_core")}


def network(neurons: int, rate_Hz: float) -> ns.Simulation:
    """Poisson neurons onto others that never fire."""
    rng = np.random.default_rng(0)
    net = ns.Network()
    net.add_population("src", neurons, model="poisson", bias=rate_Hz)
    net.add_population("dst", 100, model="if", threshold=1e9)
    net.connect("src", "dst", pre=np.arange(neurons), post=rng.integers(0, 100, neurons), weights=0.01)
    overrides = {**ROOM, "chip.timing.tick_s": "1 ms"}
    return ns.Simulation("nsat", net, timing="clocked", ideal=True, overrides=overrides, record=("src", "dst"))


@pytest.mark.parametrize(
    ("neurons", "rate_Hz", "ticks", "dtype"),
    [(200, 50.0, 5000, "u1"), (4000, 30.0, 500, "u2"), (1000, 0.1, 400_000, "u2"), (70_000, 5.0, 120, "u4")],
)
def test_a_spike_takes_at_most_three_bytes(
    tmp_path: Path, neurons: int, rate_Hz: float, ticks: int, dtype: str
) -> None:
    """Dense and sparse ticks, small and large populations: all bytes below ``/spikes``."""
    path = tmp_path / "spikes.h5"
    network(neurons, rate_Hz).run(ticks, trace=path)
    with ns.open_trace(path) as trace:
        fired = trace.summary["counts"]["neuron_fired"]
        assert len(trace.spikes["src"]) == fired
    assert fired > 30_000
    with h5py.File(path) as file:
        assert file["/spikes/src/neuron"].dtype == np.dtype(dtype)
        sizes = []
        file["/spikes"].visititems(
            lambda _, item: sizes.append(item.id.get_storage_size()) if hasattr(item, "dtype") else None
        )
    assert 0 < sum(sizes) <= 3.0 * fired


def test_what_is_read_is_what_the_run_gives(tmp_path: Path) -> None:
    path = tmp_path / "run.h5"
    out = network(300, 40.0).run(500)
    network(300, 40.0).run(500, trace=path)
    with ns.open_trace(path) as trace:
        table = trace.spikes["src"]
        assert table.columns == ("tick", "neuron") == tuple(table)
        assert trace.tables.count("/spikes/src") == 1
        assert not any(name.endswith(layout.WHEN) for name in trace.tables)
        tick, neuron = out.spikes["src"]
        assert table.tick.dtype == table.neuron.dtype == np.int64
        np.testing.assert_array_equal(table.tick, tick)
        np.testing.assert_array_equal(table["neuron"], neuron)
        for start, stop in ((0, 0), (0, 1), (5, 900), (-40, None), (-40, -3), (7, 10**9), (10**9, None)):
            np.testing.assert_array_equal(table.read("tick", start, stop), tick[start:stop])
            np.testing.assert_array_equal(table.read("neuron", start, stop), neuron[start:stop])
        assert table.row(-1) == {"tick": tick[-1], "neuron": neuron[-1]}
        assert len(trace.spikes["dst"]) == 0 == trace.spikes["dst"].tick.size


def written(path: Path, fired: list[Fired], neurons: int = 100) -> Path:
    """A trace with nothing but spikes."""
    with TraceWriter.create(path, force=True, attributes={"kind": "network"}) as writer:
        for table in spikes.tables("src", neurons):
            writer.declare(table)
        for each in fired:
            for name, rows in spikes.rows("src", each).items():
                writer.append(name, rows)
        return writer.close("complete", {})


def test_ticks_without_spikes_take_no_room(tmp_path: Path) -> None:
    counts = np.zeros(1_000_000, np.int32)
    counts[[7, 999_999]] = 2, 1
    path = written(tmp_path / "a.h5", [Fired(10, counts, np.array([3, 5, 99], np.uint8))])
    assert path.stat().st_size < 40_000
    with ns.open_trace(path) as trace:
        assert trace.spikes["src"].tick.tolist() == [17, 17, 1_000_009]
        assert trace.spikes["src"].neuron.tolist() == [3, 5, 99]


@pytest.mark.parametrize("counts", [[2, 2], [2], [0, 1], [2**32 - 1, 1]])
def test_ticks_that_do_not_fit_the_neurons_are_refused(tmp_path: Path, counts: list[int]) -> None:
    """Three spikes in the file; what a forged table of ticks claims is checked before memory is taken for it."""
    path = written(tmp_path / "a.h5", [Fired(0, np.array([1, 2], np.int32), np.array([0, 1, 2], np.uint8))])
    with h5py.File(path, "r+") as file:
        for name, values in (("spikes", counts), ("tick", range(len(counts)))):
            file[f"/spikes/src/when/{name}"].resize(len(counts), axis=0)
            file[f"/spikes/src/when/{name}"][:] = np.array(list(values))
    with ns.open_trace(path) as trace, pytest.raises(TraceError, match="as many spikes"):
        _ = trace.spikes["src"].tick


def test_a_trace_without_its_ticks_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "a.h5", [Fired(0, np.array([1], np.int32), np.array([0], np.uint8))])
    with h5py.File(path, "r+") as file:
        del file["/spikes/src/when/tick"]
    with ns.open_trace(path) as trace, pytest.raises(TraceError, match="when its neurons fired"):
        _ = trace.spikes["src"]


def test_lists_of_single_spikes_are_read_as_before(tmp_path: Path) -> None:
    """Spikes of trained networks, and of traces made before: one row a spike, with its tick."""
    ns.run("xor-mgd", output=tmp_path / "a.h5", overrides={"stop.steps": 10})
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        group = file.create_group("/spikes/old")
        group["tick"], group["neuron"] = np.arange(4), np.arange(4, dtype="i4")
        group.attrs["columns"] = ["tick", "neuron"]
    with ns.open_trace(tmp_path / "a.h5") as trace:
        assert trace.spikes["old"].tick.tolist() == [0, 1, 2, 3]


def random_spikes(seed: int) -> tuple[Any, Any]:
    """Spikes of 500 neurons in 60 ticks, ascending in each."""
    rng = np.random.default_rng(seed)
    each = [np.flatnonzero(rng.random(500) < share) for share in rng.choice([0.0, 0.01, 0.5], 60)]
    first = np.concatenate([[0], np.cumsum([ids.size for ids in each])])
    return np.concatenate(each).astype(np.uint32), first


@pytest.mark.parametrize("span", [(0, 500), (0, 1), (499, 500), (100, 356), (100, 357), (200, 200)])
def test_a_population_is_picked_out_of_all(span: tuple[int, int]) -> None:
    """Against a mask over the list of all spikes."""
    low, high = span
    for seed in range(3):
        ids, first = random_spikes(seed)
        tick = np.repeat(np.arange(60), np.diff(first)) + 1000
        own = (ids >= low) & (ids < high)
        found = pick(ids, first, 1000, Span("x", low, high), 500)
        assert found.neuron.dtype == small(high - low)
        got_tick, got_neuron = found.listed()
        np.testing.assert_array_equal(got_tick, tick[own])
        np.testing.assert_array_equal(got_neuron, ids[own].astype(np.int64) - low)
    assert [np.dtype(small(size)).itemsize for size in (1, 256, 257, 65_536, 65_537)] == [1, 1, 2, 2, 4]


def test_parts_are_joined() -> None:
    parts = [Fired(5, np.array([1, 0], np.int32), np.array([4], np.uint8)),
             Fired(7, np.array([2], np.int32), np.array([1, 2], np.uint8))]  # fmt: skip
    tick, neuron = Fired.join(parts, 0, 10).listed()
    assert tick.tolist() == [5, 7, 7] and neuron.tolist() == [4, 1, 2]
    assert Fired.join([], 3, 1000).neuron.dtype == np.uint16
