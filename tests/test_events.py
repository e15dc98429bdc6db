"""Event input: what the formats say byte by byte, exact time, addresses, encoders, and bad files that say what is wrong."""

from __future__ import annotations

import itertools
import struct
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurosim.data.aedat import aedat4_blocks, read_aedat4
from neurosim.data.events import AddressMap, Events, address_map, bin_events
from neurosim.data.nmnist import nmnist_blocks, open_nmnist, read_nmnist
from neurosim.data.spike_lists import read_spikes
from neurosim.errors import DataError, InputError
from neurosim.kernels import random as streams
from neurosim.kernels.encoders import encode_poisson, encode_regular
from neurosim.trace.shd import open_shd

Raw = tuple[int, int, int, int]
"""x, y, polarity, time in us"""


def problems_of(call: Callable[[], object]) -> list[str]:
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.exit_code == 2
    return caught.value.problems


def same(one: Any, other: Any) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


# ---------------------------------------------------------------- events in memory


def test_events_check_themselves() -> None:
    events = Events(np.array([0, 5, 5]), np.array([0, 7, 3]), np.array([1, 0, 1]), (2, 4))
    assert (len(events), events.size, events.duration_us) == (3, 8, 5)
    assert events.x.tolist() == [0, 3, 3] and events.y.tolist() == [0, 1, 0]
    wrong = problems_of(lambda: Events(np.array([4, 3, -1]), np.array([0, 8, -2]), np.array([0, 2, 300]), (2, 4)))
    assert wrong == [
        "event 2: time -1 us is before 0",
        "event 1: time goes back, from 4 us to 3 us",
        "event 2: time goes back, from 3 us to -1 us",
        "event 1: address 8 is outside 0..7",
        "event 2: address -2 is outside 0..7",
        "event 1: polarity 2 is neither 0 nor 1",
        "event 2: polarity 300 is neither 0 nor 1",
    ]
    assert "equally long" in problems_of(lambda: Events(np.zeros(2, int), np.zeros(3, int), None, (5,)))[0]
    assert "whole numbers" in problems_of(lambda: Events(np.zeros(2), np.zeros(2, int), None, (5,)))[0]
    for shape in ((), (0,), (2, 2, 2), (True,), [3]):
        assert "shape" in problems_of(lambda shape=shape: Events(np.zeros(0, int), np.zeros(0, int), None, shape))[0]


def test_a_long_list_of_faults_is_cut() -> None:
    lines = problems_of(lambda: Events(np.arange(100), np.full(100, 9), None, (5,)))
    assert len(lines) == 6 and lines[-1] == "... and 95 more like the last"


# ---------------------------------------------------------------- N-MNIST: 40 bits an event


def word(x: int, y: int, polarity: int, time: int) -> bytes:
    """bits 39-32 x, 31-24 y, 23 polarity, 22-0 time, as the page of the set says."""
    return (x << 32 | y << 24 | polarity << 23 | time).to_bytes(5, "big")


def put(folder: Path, *events: Raw, name: str = "00002.bin", tail: bytes = b"") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(b"".join(word(*event) for event in events) + tail)
    return path


def listing(events: Events) -> list[Raw]:
    assert events.polarity is not None
    columns = (events.x, events.y, events.polarity, events.time_us)
    return list(zip(*(column.tolist() for column in columns), strict=True))


def test_nmnist_bytes_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "one.bin"
    path.write_bytes(bytes.fromhex("0a 21 80 02 8e  21 00 04 bf 87  00 00 ff ff ff"))
    assert listing(read_nmnist(path)) == [(10, 33, 1, 654), (33, 0, 0, 311175), (0, 0, 1, 2**23 - 1)]
    events = read_nmnist(path)
    assert events.shape == (34, 34) and events.origin_us == 0 and "one.bin" in events.source


event_lists = st.lists(
    st.tuples(st.integers(0, 33), st.integers(0, 33), st.integers(0, 1), st.integers(0, 2**23 - 1)), max_size=40
)


@given(event_lists, st.integers(1, 7))
@settings(max_examples=60)
def test_nmnist_gives_back_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, raw: list[Raw], block: int
) -> None:
    path = put(tmp_path_factory.mktemp("n"), *sorted(raw, key=lambda event: event[3]))
    expected = sorted(raw, key=lambda event: event[3])
    assert listing(read_nmnist(path)) == expected
    blocks = list(nmnist_blocks(path, block=block))
    assert all(0 < len(part) <= block for part in blocks)
    assert [event for part in blocks for event in listing(part)] == expected


def test_nmnist_overflow_adds_8192_us_each(tmp_path: Path) -> None:
    over = (7, 240, 1, 5)
    path = put(tmp_path, (1, 2, 0, 8000), over, (3, 4, 1, 10), over, over, (5, 6, 0, 3))
    expected = [(1, 2, 0, 8000), (3, 4, 1, 8192 + 10), (5, 6, 0, 3 * 8192 + 3)]
    assert listing(read_nmnist(path)) == expected
    for block in range(1, 7):  # the clock goes on from block to block, also through one that holds overflows alone
        assert [event for part in nmnist_blocks(path, block=block) for event in listing(part)] == expected


def test_nmnist_lists_every_fault_with_its_byte(tmp_path: Path) -> None:
    path = put(tmp_path, (0, 0, 0, 10), (34, 0, 0, 11), (0, 35, 1, 9), (1, 1, 1, 12), tail=b"\1\2\3")
    assert problems_of(lambda: read_nmnist(path)) == [
        "byte 20: cut short: 23 bytes are 4 events of 5 bytes and 3 more",
        "byte 5 (event 1): x = 34, y = 0 is outside 34x34",
        "byte 10 (event 2): x = 0, y = 35 is outside 34x34",
        "byte 10 (event 2): time goes back, from 11 us to 9 us",
    ]
    with pytest.raises(InputError, match=str(path)):
        read_nmnist(path)


def test_nmnist_faults_between_blocks(tmp_path: Path) -> None:
    path = put(tmp_path, (0, 0, 0, 10), (0, 0, 0, 20), (0, 0, 0, 19), (0, 0, 0, 30), (0, 0, 0, 5))
    blocks = nmnist_blocks(path, block=2)
    assert listing(next(blocks)) == [(0, 0, 0, 10), (0, 0, 0, 20)]
    assert problems_of(lambda: next(blocks)) == [
        "byte 10 (event 2): time goes back, from 20 us to 19 us",
        "read no further than byte 20 of 25",
    ]
    assert [time for *_, time in listing(read_nmnist(path, sort=True))] == [5, 10, 19, 20, 30]


def test_nmnist_sort_keeps_the_order_of_equal_times(tmp_path: Path) -> None:
    path = put(tmp_path, (5, 0, 0, 7), (1, 0, 1, 3), (2, 0, 0, 7), (3, 0, 1, 3))
    assert [x for x, *_ in listing(read_nmnist(path, sort=True))] == [1, 3, 5, 2]


def test_nmnist_other_sensors_and_nonsense(tmp_path: Path) -> None:
    path = put(tmp_path, (200, 100, 1, 4))
    assert listing(read_nmnist(path, shape=(180, 240))) == [(200, 100, 1, 4)]
    assert "8 bits" in problems_of(lambda: read_nmnist(path, shape=(241, 34)))[0]
    assert "shape" in problems_of(lambda: read_nmnist(path, shape=(0, 34)))[0]
    assert "block" in problems_of(lambda: nmnist_blocks(path, block=0))[0]
    assert problems_of(lambda: read_nmnist(tmp_path / "none.bin")) == ["there is no such file"]
    assert problems_of(lambda: read_nmnist(tmp_path)) == ["is not a file"]
    (tmp_path / "empty.bin").write_bytes(b"")
    assert len(read_nmnist(tmp_path / "empty.bin")) == 0


@given(st.binary(max_size=60))
@settings(max_examples=100)
def test_nmnist_any_bytes_are_events_or_an_error(tmp_path_factory: pytest.TempPathFactory, raw: bytes) -> None:
    path = tmp_path_factory.mktemp("f") / "any.bin"
    path.write_bytes(raw)
    sound = len(raw) % 5 == 0 and all(
        (x < 34 and y < 34) or y == 240 for x, y in zip(raw[::5], raw[1::5], strict=False)
    )
    if sound:
        assert len(read_nmnist(path, sort=True)) == sum(y != 240 for y in raw[1::5])
    else:
        assert all(line.startswith("byte ") for line in problems_of(lambda: read_nmnist(path, sort=True)))


def test_nmnist_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for label in range(10):
        (tmp_path / "n-mnist" / "Train" / str(label)).mkdir(parents=True)
    put(tmp_path / "n-mnist" / "Train" / "7", (1, 1, 1, 9), name="00010.bin")
    put(tmp_path / "n-mnist" / "Train" / "3", (2, 2, 0, 8), name="00002.bin")
    recordings = open_nmnist(tmp_path)
    assert (len(recordings), recordings.classes, recordings.labels.tolist()) == (2, 10, [3, 7])
    assert listing(recordings[0]) == [(2, 2, 0, 8)]
    monkeypatch.setenv("NEUROSIM_DATA", str(tmp_path))
    assert len(open_nmnist()) == 2
    with pytest.raises(DataError, match="Looked for"):
        open_nmnist(part="test")
    assert "part" in problems_of(lambda: open_nmnist(part="valid"))[0]  # type: ignore[arg-type]
    (tmp_path / "n-mnist" / "Train" / "3" / "x.bin").touch()
    (tmp_path / "n-mnist" / "Train" / "9").rmdir()
    assert len(problems_of(open_nmnist)) == 2


# ---------------------------------------------------------------- AEDAT4


def info(width: int, height: int) -> str:
    """The configuration tree in the header of an AEDAT4 file with one stream of events."""
    attributes = {"compression": "NONE", "originalModuleName": "test", "originalOutputName": "events",
                  "typeDescription": "events", "typeIdentifier": "EVTS"}  # fmt: skip
    lines = "".join(f'<attr key="{key}" type="string">{value}</attr>' for key, value in attributes.items())
    pixels = "".join(
        f'<attr key="{key}" type="int">{value}</attr>' for key, value in (("sizeX", width), ("sizeY", height))
    )
    source = '<attr key="source" type="string">DVX_1</attr>'
    return (
        '<dv version="2.0"><node name="outInfo" path="/outInfo/"><node name="0" path="/outInfo/0/">'
        f'{lines}<node name="info" path="/outInfo/0/info/">{pixels}{source}</node></node></node></dv>'
    )


def aedat4(*packets: list[Raw], width: int = 8, height: int = 6, table: int | None = None) -> bytes:
    """Uncompressed AEDAT4: magic, size-prefixed FlatBuffer IOHE, then per packet (stream, size) and a FlatBuffer EVTS.

    A FlatBuffer here is: size, offset of the table, identifier, the table's list of field offsets, the table.
    """
    text = info(width, height).encode()
    text += bytes(4 - len(text) % 4)  # ends with a zero, and in step
    length = len(text.rstrip(b"\0"))
    # fields of IOHeader: compression (absent: none), position of the data table (absent: -1), text
    if table is None:
        body = struct.pack("<I4sHHHHHHiII", 20, b"IOHE", 10, 8, 0, 0, 4, 0, 12, 4, length) + text
    else:
        body = struct.pack("<I4sHHHHHHiIqI", 20, b"IOHE", 10, 16, 0, 8, 4, 0, 12, 12, table, length) + text
    raw = b"#!AER-DAT4.0\r\n" + struct.pack("<I", len(body)) + body
    for events in packets:
        body = struct.pack("<I4sHHHHiII", 16, b"EVTS", 0, 6, 8, 4, 6, 4, len(events))
        body += b"".join(struct.pack("<qhhB3x", time, x, y, on) for x, y, on, time in events)
        raw += struct.pack("<ii", 0, len(body) + 4) + struct.pack("<I", len(body)) + body
    return raw


PACKETS = ([(0, 0, 1, 10**15), (7, 5, 0, 10**15 + 3)], [(1, 2, 1, 10**15 + 3), (3, 4, 0, 10**15 + 900)])


def write(path: Path, raw: bytes) -> Path:
    path.write_bytes(raw)
    return path


def test_aedat4_with_its_library(tmp_path: Path) -> None:
    pytest.importorskip("dv_processing")
    path = write(tmp_path / "a.aedat4", aedat4(*PACKETS))
    events = read_aedat4(path)
    assert (events.shape, events.origin_us) == ((6, 8), 10**15)
    assert listing(events) == [(0, 0, 1, 0), (7, 5, 0, 3), (1, 2, 1, 3), (3, 4, 0, 900)]
    assert "no stream of events 'other' (it has: events)" in problems_of(lambda: read_aedat4(path, stream="other"))[0]
    crooked = aedat4([(0, 0, 1, 5), (8, 0, 1, 4)])
    assert problems_of(lambda: read_aedat4(write(path, crooked)))[:2] == [
        "event 1: x = 8, y = 0 is outside 8x6",
        "event 1: time goes back, from 5 us to 4 us",
    ]


FAKE = """
import os, signal, sys
import numpy as np
print("a library that talks")
KIND = {kind!r}
PACKETS = {packets!r}

class Batch:
    def __init__(self, events):
        self.events = events
    def numpy(self):
        out = np.zeros(len(self.events), [("timestamp", "<i8"), ("x", "<i2"), ("y", "<i2"), ("polarity", "i1")])
        for i, (x, y, on, time) in enumerate(self.events):
            out[i] = (time, x, y, on)
        return out

class MonoCameraRecording:
    def __init__(self, path):
        if KIND == "refuses":
            raise RuntimeError("/x.hpp(3): f() Error info: FileDataTable set but not present,\\n truncated/corrupt file.\\nStacktrace: 0x1")
        self.left = list(PACKETS)
    def getStreamNames(self):
        return ["frames", "events"]
    def isStreamOfEventType(self, name):
        return name == "events"
    def getEventResolution(self, name):
        return (8, 6)
    def getNextEventBatch(self, name):
        print("noise")
        if not self.left:
            if KIND == "crashes":
                os.kill(os.getpid(), signal.SIGSEGV)
            return None
        return Batch(self.left.pop(0))

class io:
    MonoCameraRecording = MonoCameraRecording
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Put a stand-in for the library in front of every other; returns a file for it."""

    def make(*packets: list[Raw], kind: str = "reads") -> Path:
        folder = tmp_path / "library"
        folder.mkdir(exist_ok=True)
        (folder / "dv_processing.py").write_text(FAKE.format(kind=kind, packets=list(packets)))
        monkeypatch.syspath_prepend(folder)
        return write(tmp_path / "f.aedat4", aedat4(*PACKETS))

    return make


def test_aedat4_batches_become_one_recording(fake: Callable[..., Path]) -> None:
    events = read_aedat4(fake(*PACKETS))
    assert (events.shape, events.origin_us) == ((6, 8), 10**15)
    assert listing(events) == [(0, 0, 1, 0), (7, 5, 0, 3), (1, 2, 1, 3), (3, 4, 0, 900)]
    blocks = list(aedat4_blocks(fake(*PACKETS), block=3))
    assert [len(block) for block in blocks] == [3, 1] and {block.origin_us for block in blocks} == {10**15}
    assert [event for block in blocks for event in listing(block)] == listing(events)


def test_aedat4_sort(fake: Callable[..., Path]) -> None:
    path = fake([(0, 0, 1, 50), (1, 0, 1, 40)], [(2, 0, 0, 30), (3, 0, 1, 60)])
    assert problems_of(lambda: read_aedat4(path))[0] == "event 1: time goes back, from 50 us to 40 us"
    events = read_aedat4(path, sort=True)
    assert events.origin_us == 30 and listing(events) == [(2, 0, 0, 0), (1, 0, 1, 10), (0, 0, 1, 20), (3, 0, 1, 30)]


def test_aedat4_faults(fake: Callable[..., Path], tmp_path: Path) -> None:
    path = fake([(0, 0, 1, 5)] * 3, [(-1, 0, 1, 5), (0, 6, 1, -7)])
    assert problems_of(lambda: read_aedat4(path)) == [
        "event 3: x = -1, y = 0 is outside 8x6",
        "event 4: x = 0, y = 6 is outside 8x6",
        "event 4: time -7 us is outside 0..2^62",
        "event 4: time goes back, from 5 us to -7 us",
        "read no further than event 5",
    ]
    assert "holds no events" in problems_of(lambda: read_aedat4(fake()))[0]
    assert "no stream of events 'x' (it has: events)" in problems_of(lambda: read_aedat4(path, stream="x"))[0]
    refused = problems_of(lambda: read_aedat4(fake(kind="refuses")))
    reason = "FileDataTable set but not present, truncated/corrupt file. (file of 742 bytes)"
    assert refused == [f"damaged, or no recording that dv-processing can read: {reason}"]
    for raw, words in ((b"", "nothing"), (b"\x89HDF\r\n\x1a\n", "89 48"), (b"#!AER-DAT3.1\r\n", "is AEDAT 3.1")):
        assert words in problems_of(lambda raw=raw: read_aedat4(write(tmp_path / "no.aedat4", raw)))[0]


def test_aedat4_cut_short_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen before the library is asked, which would leave out the last packet without a word."""
    monkeypatch.setitem(sys.modules, "dv_processing", None)
    raw = aedat4(*PACKETS)
    ends = {len(raw) - 144, len(raw) - 72, len(raw)}  # where a packet ends, nothing tells that more should follow
    for size in range(len(raw) + 1):
        (fault,) = problems_of(lambda size=size: read_aedat4(write(tmp_path / "a.aedat4", raw[:size])))
        assert ("pip install" in fault) == (size in ends), size
        assert size in ends or fault.startswith("byte ")
    size = len(aedat4(*PACKETS, table=0))
    for position, rest, words in ((size, b"", "pip install"), (size, b"table", "pip install"), (-1, b"", "pip install"),
                                  (size - 72, b"", "pip install"), (size - 73, b"", "a packet needs 72 bytes, 71 are"),
                                  (size + 1, b"", f"table at byte {size + 1} of {size}"), (3, b"", "at byte 3 of")):  # fmt: skip
        path = write(tmp_path / "a.aedat4", aedat4(*PACKETS, table=position) + rest)
        assert words in problems_of(lambda path=path: read_aedat4(path))[0]


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_aedat4_crash_of_the_library_is_an_error(fake: Callable[..., Path]) -> None:
    path = fake(*PACKETS, kind="crashes")
    (fault,) = problems_of(lambda: read_aedat4(path))
    assert "dv-processing crashed on it, signal 11" in fault


def test_aedat4_says_how_to_get_its_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dv_processing", None)
    path = write(tmp_path / "a.aedat4", aedat4(*PACKETS))
    assert "pip install 'neurosim-chips[events]'" in problems_of(lambda: read_aedat4(path))[0]


# ---------------------------------------------------------------- SHD


def shd(path: Path, times: list[Any], units: list[Any], labels: Any, **change: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, lists, kind in (
            ("times", times, change.get("time", "f2")),
            ("units", units, change.get("unit", "u2")),
        ):
            spikes = file.create_dataset(f"spikes/{name}", (len(lists),), h5py.vlen_dtype(np.dtype(kind)))
            for i, values in enumerate(lists):
                spikes[i] = np.asarray(values, kind)
        if labels is not None:
            file["labels"] = labels
        if "speaker" in change:
            file["extra/speaker"] = change["speaker"]
    return path


def test_shd_reads_what_the_layout_says(tmp_path: Path) -> None:
    path = shd(
        tmp_path / "a.h5",
        [[0.25, 0.125, 0.25], [], [0.5]],
        [[699, 3, 0], [], [7]],
        np.array([3, 0, 19], "u2"),
        speaker=[1, 2, 4],
    )
    with open_shd(path) as recordings:
        assert (len(recordings), recordings.classes, recordings.shape) == (3, 20, (700,))
        assert recordings.labels.tolist() == [3, 0, 19]
        assert recordings.speaker is not None and recordings.speaker.tolist() == [1, 2, 4]
        first = recordings[0]
        assert first.time_us.tolist() == [125_000, 250_000, 250_000] and first.address.tolist() == [3, 699, 0]
        assert first.polarity is None and len(recordings[1]) == 0
        assert recordings[-1].address.tolist() == [7]
        assert [len(events) for events in recordings] == [3, 0, 1]  # IndexError ends a loop
    # float16 holds 0.1 as 0.0999755859375
    with open_shd(shd(tmp_path / "b.h5", [[0.1]], [[0]], [0])) as recordings:
        assert recordings[0].time_us.tolist() == [99976] and recordings.speaker is None


def test_shd_spikes_that_are_wrong(tmp_path: Path) -> None:
    times = [[0.5, np.nan, -0.25, np.inf], [0.5, 0.5]]
    with open_shd(shd(tmp_path / "a.h5", times, [[0, 1, 700, 2], [1]], [0, 1])) as recordings:
        assert problems_of(lambda: recordings[0]) == [
            "spike 1: time nan s is not a number from 0 to 1e+06",
            "spike 2: time -0.25 s is not a number from 0 to 1e+06",
            "spike 3: time inf s is not a number from 0 to 1e+06",
            "spike 2: unit 700 is outside 0..699",
        ]
        assert problems_of(lambda: recordings[1]) == ["has 2 times and 1 units"]
    with open_shd(tmp_path / "a.h5", channels=701) as recordings:
        assert len(problems_of(lambda: recordings[0])) == 3


def test_shd_wrong_layouts(tmp_path: Path) -> None:
    path = shd(tmp_path / "a.h5", [[1], [2]], [[0.5]], None, time="i8", unit="f4")
    assert problems_of(lambda: open_shd(path)) == [
        "spikes/times has type int64, expected a list of real numbers each",
        "spikes/units has type float32, expected a list of whole numbers each",
        "labels is missing (the file has: spikes)",
    ]
    path = shd(tmp_path / "b.h5", [[0.5], [1.0]], [[1]], [0, -1, 2], speaker=[0.5, 1.5])
    assert problems_of(lambda: open_shd(path)) == [
        "extra/speaker has type float64, expected whole numbers",
        "spikes/units has 1 entries, spikes/times has 2",
        "labels has 3 entries, spikes/times has 2",
        "labels, entry 1: class -1 is outside 0..9999",
    ]
    with h5py.File(path, "w") as file:
        file["spikes/times"] = h5py.ExternalLink("/etc/passwd", "/x")
        file["spikes/units"] = np.zeros((2, 2), int)
        file.create_group("labels")
    assert problems_of(lambda: open_shd(path)) == [
        "spikes/times is a link to elsewhere, which is not followed",
        "spikes/units has shape (2, 2), expected one entry per recording",
        "labels is a group, expected a dataset",
    ]
    with h5py.File(path, "w") as file:
        file.create_dataset("labels", (10**12,), "i8", chunks=(1000,))  # claims 8 TB, stores nothing
    assert "claims 8000000000000 bytes" in "".join(problems_of(lambda: open_shd(path)))


def test_shd_files_that_are_none(tmp_path: Path) -> None:
    path = shd(tmp_path / "a.h5", [[0.5]], [[1]], [0])
    raw = path.read_bytes()
    assert "cut short or damaged" in problems_of(lambda: open_shd(write(path, raw[:-100])))[0]
    assert "gunzip it first" in problems_of(lambda: open_shd(write(path, b"\x1f\x8b\x08")))[0]
    assert "unzip it first" in problems_of(lambda: open_shd(write(path, b"PK\3\4")))[0]
    assert "starts with nothing" in problems_of(lambda: open_shd(write(path, b"")))[0]
    assert problems_of(lambda: open_shd(tmp_path / "none.h5")) == ["there is no such file"]
    assert "channels" in problems_of(lambda: open_shd(path, channels=0))[0]


def test_shd_damage_never_escapes(tmp_path: Path) -> None:
    """Bytes changed anywhere: recordings, or an InputError."""
    path = shd(tmp_path / "a.h5", [[0.5, 0.75], [1.0]], [[1, 2], [3]], [0, 1])
    raw = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(raw)
        for place in rng.integers(8, len(raw), 3):
            damaged[place] = rng.integers(256)
        write(path, bytes(damaged))
        try:
            with open_shd(path) as recordings:
                for i in range(min(len(recordings), 3)):
                    assert recordings[i].shape == (700,)
        except InputError:
            pass


# ---------------------------------------------------------------- spike lists


def text(tmp_path: Path, content: str) -> Path:
    path = tmp_path / "spikes.csv"
    path.write_text(content, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "content",
    [
        "tick,neuron\n0,3\n2,1\n2,5\n",
        "neuron;tick\n3;0\n5;2\n1;2\n",
        "# made by hand\n\n tick\tneuron\n0\t3   # the first\n2\t5\n2\t1\n2\t1\n",
        '\ufeff"tick [tick]","neuron"\r\n0,3\r\n2,1\r\n2,5\r\n',
        "tick neuron\n0 3\n+2 1\n2   5",
    ],
)
def test_spike_list_as_text(tmp_path: Path, content: str) -> None:
    spikes = read_spikes(text(tmp_path, content), neurons=6)
    assert spikes.tick.tolist() == [0, 2, 2] and spikes.neuron.tolist() == [3, 1, 5]
    assert spikes.tick.dtype == spikes.neuron.dtype == np.int64


@pytest.mark.parametrize(("name", "scale"), [("time_s", 1), ("time_ms", 1e3), ("time_us", 1e6)])
def test_spike_list_of_times(tmp_path: Path, name: str, scale: float) -> None:
    """0.57 / 0.01 is 56.99... in floats; time is counted in whole femtoseconds."""
    times = [0.0, 0.0099999, 0.01, 0.29, 0.57, 1.13]
    path = text(tmp_path, f"{name},neuron\n" + "".join(f"{time * scale!r},{i}\n" for i, time in enumerate(times)))
    assert read_spikes(path, tick_s=0.01).tick.tolist() == [0, 0, 1, 29, 57, 113]
    assert "tick_s=" in problems_of(lambda: read_spikes(path))[0]
    np.savez(tmp_path / "s.npz", **{name: np.array(times) * scale, "neuron": np.arange(6)})
    assert read_spikes(tmp_path / "s.npz", tick_s=0.01).tick.tolist() == [0, 0, 1, 29, 57, 113]


def test_spike_list_without_names(tmp_path: Path) -> None:
    path = text(tmp_path, "3 0\n1 2\n")
    assert read_spikes(path, columns=("neuron", "tick")).neuron.tolist() == [3, 1]
    assert "line 1: a first line must name the columns" in problems_of(lambda: read_spikes(path))[0]
    assert "columns: needs neuron" in problems_of(lambda: read_spikes(path, columns=("a", "tick")))[0]
    named = text(tmp_path, "tick,neuron\n1,2\n")
    assert "but columns says" in problems_of(lambda: read_spikes(named, columns=("neuron", "tick")))[0]
    assert len(read_spikes(text(tmp_path, "tick,neuron\n")).tick) == 0
    assert "holds nothing" in problems_of(lambda: read_spikes(text(tmp_path, "# nothing\n")))[0]
    assert "line 2: needs neuron and one of" in problems_of(lambda: read_spikes(text(tmp_path, "\ntick,unit\n")))[0]


def test_spike_list_lists_every_line_that_is_wrong(tmp_path: Path) -> None:
    path = text(tmp_path, "tick,neuron\n1,2\n1.5,2\n3\n4,x\n5,6,7\n1_0,2\n,2\n99999999999999999999,1\n")
    assert problems_of(lambda: read_spikes(path)) == [
        "line 3: tick '1.5' is not a whole number",
        "line 4: has 1 columns, expected 2",
        "line 5: neuron 'x' is not a whole number",
        "line 6: has 3 columns, expected 2",
        "line 7: tick '1_0' is not a whole number",
        "... and 2 more lines that cannot be read",
    ]
    path = text(tmp_path, "tick,neuron\n\n5,9\n4,-1\n-1,2\n")
    assert problems_of(lambda: read_spikes(path, neurons=9)) == [
        "line 5: tick -1 is before 0",
        "line 3: neuron 9 is outside 0..8",
        "line 4: neuron -1 is outside 0..8",
        "line 4: time goes back, from 5 to 4",
        "line 5: time goes back, from 4 to -1",
        "sort=True accepts a list in any order",
    ]
    for time in ("nan", "inf", "1e400", "1e5"):
        path = text(tmp_path, f"time_s,neuron\n{time},0\n")
        assert "line 2" in problems_of(lambda path=path: read_spikes(path, tick_s=1e-3))[0]
    assert read_spikes(text(tmp_path, "tick,neuron\n5,9\n4,1\n"), sort=True).tick.tolist() == [4, 5]


def test_spike_list_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "zeros").write_bytes(bytes(100_000))
    assert "line 1: longer than 4096" in problems_of(lambda: read_spikes(tmp_path / "zeros"))[0]
    (tmp_path / "bytes").write_bytes(b"tick,neuron\n\xff\xfe,1\n")
    assert "line 2" in problems_of(lambda: read_spikes(tmp_path / "bytes"))[0]
    assert problems_of(lambda: read_spikes(tmp_path / "none.txt")) == ["there is no such file"]
    assert "neurons" in problems_of(lambda: read_spikes(tmp_path / "zeros", neurons=0))[0]
    assert "tick_s" in problems_of(lambda: read_spikes(tmp_path / "zeros", tick_s=0.0))[0]


def test_spike_list_npz(tmp_path: Path) -> None:
    path = tmp_path / "s.npz"

    def faults(**arrays: Any) -> str:
        np.savez(path, **arrays)
        return " | ".join(problems_of(lambda: read_spikes(path, neurons=5)))

    np.savez(path, tick=np.array([0, 4, 4], "u1"), neuron=np.array([4, 3, 1], "i2"))
    assert same(read_spikes(path), ([0, 4, 4], [4, 1, 3]))
    assert "neuron is missing" in faults(tick=[1])
    assert "tick is missing" in faults(neuron=[1])
    assert "tick and time_s" in faults(tick=[1], time_s=[0.1], neuron=[1])
    assert "tick has type float64" in faults(tick=[1.0], neuron=[1])
    assert "shape (1, 1)" in faults(tick=[[1]], neuron=[1])
    assert "tick has 2 entries, neuron 1" in faults(tick=[1, 2], neuron=[1])
    assert "entry 1: neuron 5 is outside 0..4" in faults(tick=[1, 2], neuron=[1, 5])
    assert "2^63" in faults(tick=np.array([2**63], "u8"), neuron=[1])
    assert "Python objects" in faults(tick=np.array([None]), neuron=[1])
    path.write_bytes(b"PK\3\4 no zip")
    assert "not a readable .npz" in problems_of(lambda: read_spikes(path))[0]


# ---------------------------------------------------------------- addresses and ticks


def dense(shape: tuple[int, int]) -> Events:
    """Every address with both polarities once, in an order of its own."""
    size = shape[0] * shape[1]
    order = np.random.default_rng(1).permutation(2 * size)
    return Events(np.arange(2 * size), order // 2, order % 2, shape)


@pytest.mark.parametrize(("crop", "pool"), [(None, 1), (None, 2), (((2, 8), (1, 7)), 1), (((2, 8), (1, 7)), 3)])
def test_address_map_numbers_neurons_like_an_array(crop: tuple[tuple[int, int], ...] | None, pool: int) -> None:
    """An image of counts, cropped and summed over blocks, is the histogram of the mapped neurons."""
    shape = (10, 8)
    events = dense(shape)
    weight = np.random.default_rng(2).integers(1, 100, len(events))  # tells pixels apart
    image = np.zeros((*shape, 2), np.int64)
    np.add.at(image, (events.y, events.x, events.polarity), weight)
    (top, bottom), (left, right) = crop or ((0, 10), (0, 8))
    part = image[top:bottom, left:right]
    part = part.reshape((bottom - top) // pool, pool, (right - left) // pool, pool, 2).sum((1, 3))
    for polarity, expected in (
        ("last", part.ravel()),
        ("first", part.transpose(2, 0, 1).ravel()),
        ("ignore", part.sum(2).ravel()),
        ("on", part[..., 1].ravel()),
        ("off", part[..., 0].ravel()),
    ):
        neurons = address_map(shape, polarity, crop=crop, pool=pool)  # type: ignore[arg-type]
        unit = neurons(events)
        assert neurons.neurons == expected.size
        assert np.array_equal(np.bincount(unit[unit >= 0], weight[unit >= 0], neurons.neurons), expected)


def test_address_map_of_channels_and_bad_ones() -> None:
    cochlea = Events(np.arange(4), np.array([0, 4, 5, 699]), None, (700,))
    assert address_map((700,), "ignore", pool=5)(cochlea).tolist() == [0, 0, 1, 139]
    assert "these events have none" in problems_of(lambda: address_map((700,))(cochlea))[0]
    assert "made for 8 addresses" in problems_of(lambda: address_map((8,), "ignore")(cochlea))[0]
    assert len(problems_of(lambda: address_map((0,), "both", pool=0))) == 3  # type: ignore[arg-type]
    assert "does not divide the 34" in problems_of(lambda: address_map((34, 34), pool=3))[0]
    assert "must lie in 0..34" in problems_of(lambda: address_map((34, 34), crop=((0, 35), (0, 34))))[0]
    assert "2 axes" in problems_of(lambda: address_map((34, 34), crop=((0, 34),)))[0]
    assert problems_of(lambda: AddressMap(np.array([[0, 2], [-2, 1]]), 2)) == [
        "address 0, polarity 1: neuron 2 is outside 0..1 (-1: none)",
        "address 1, polarity 0: neuron -2 is outside 0..1 (-1: none)",
    ]
    assert "must be whole numbers" in problems_of(lambda: AddressMap(np.zeros(3, int), 2))[0]


tick_lengths = st.sampled_from(
    ["0.001", "1e-4", "0.0007", "3e-6", "1e-15", "0.1", "1.7", "3.3333e-5", "2.000000001e-3"]
)


@given(st.lists(st.integers(0, 2**50), min_size=1, max_size=20), tick_lengths, st.integers(0, 5000))
def test_ticks_are_exact(times: list[int], tick: str, start: int) -> None:
    """floor((t - start) / tick) in rational numbers."""
    times = sorted(times)
    if any(Fraction(time) * 10**9 // (Fraction(tick) * 10**15) >= 2**63 for time in times):
        return
    events = Events(np.array(times), np.arange(len(times)), None, (len(times),))
    got = bin_events(events, float(tick), start_us=start)
    expected = [
        (int(Fraction(time - start, 10**6) // Fraction(tick)), i) for i, time in enumerate(times) if time >= start
    ]
    assert list(zip(got.tick.tolist(), got.neuron.tolist(), strict=True)) == sorted(expected)


def test_bin_events_merges_cuts_and_maps() -> None:
    events = Events(
        np.array([0, 100, 999, 1000, 2500, 2501]), np.array([3, 1, 3, 3, 0, 0]), np.array([1, 0, 1, 1, 0, 1]), (2, 2)
    )
    assert same(bin_events(events, 1e-3), ([0, 0, 1, 2, 2], [2, 7, 7, 0, 1]))
    assert same(bin_events(events, 1e-3, merge=False), ([0, 0, 0, 1, 2, 2], [2, 7, 7, 7, 0, 1]))
    assert same(bin_events(events, 1e-3, ticks=2, start_us=100), ([0, 0], [2, 7]))
    assert same(bin_events(events, 1e-3, address_map((2, 2), "on")), ([0, 1, 2], [3, 3, 0]))
    assert same(bin_events(events, 1e-3, np.array([-1, -1, 9, 9, -1, -1])), ([0, 1], [9, 9]))
    for tick_s in (0.0, -1.0, float("nan"), True, "1 ms"):
        assert "tick_s" in problems_of(lambda tick_s=tick_s: bin_events(events, tick_s))[0]
    assert len(problems_of(lambda: bin_events(events, 1e-3, [1.5], ticks=-1, start_us=True))) == 3
    nothing = Events(np.zeros(0, int), np.zeros(0, int), None, (3,))
    assert bin_events(nothing, 1e-3).tick.size == 0


# ---------------------------------------------------------------- encoders


def raster(spikes: Any, ticks: int, neurons: int) -> Any:
    out = np.zeros((ticks, neurons), np.int64)
    np.add.at(out, (spikes.tick, spikes.neuron), 1)
    return out


def joined(*parts: Any) -> tuple[Any, Any]:
    return tuple(np.concatenate(column) for column in zip(*parts, strict=True))  # type: ignore[return-value]


def test_poisson_is_a_draw_against_the_rate() -> None:
    """The definition, drawn with the stream's own uniforms: spike where u < rate tick."""
    rates, tick_s, u = np.linspace(0.0, 1000.0, 50), 1e-3, np.empty(53)
    got = raster(encode_poisson(rates, 40, tick_s, seed=7, sample=3, first_element=3), 40, 50)
    for tick in range(40):
        streams.uniforms(u, 7, streams.STREAM_ENCODER, 3, 0, tick)
        assert np.array_equal(got[tick], u[3:] < rates * tick_s)
    assert not got[:, 0].any() and got[:, -1].all()


def test_poisson_does_not_depend_on_cuts_or_company(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = np.linspace(10.0, 400.0, 30)
    whole = encode_poisson(rates, 100, 1e-3, seed=1)
    parts = [encode_poisson(rates, n, 1e-3, seed=1, first_tick=start) for start, n in ((0, 40), (40, 1), (41, 59))]
    assert same(whole, joined(*parts))
    assert same(encode_poisson(np.broadcast_to(rates, (100, 30)), 100, 1e-3, seed=1), whole)
    some = encode_poisson(rates[10:], 100, 1e-3, seed=1, first_element=10)
    mask = whole.neuron >= 10
    assert same(some, (whole.tick[mask], whole.neuron[mask] - 10))
    monkeypatch.setattr("neurosim.kernels.encoders.CHUNK_DRAWS", 64)
    assert same(encode_poisson(rates, 100, 1e-3, seed=1), whole)
    for other in ({"seed": 2}, {"seed": 1, "sample": 1}):
        assert encode_poisson(rates, 100, 1e-3, **other).tick.tolist() != whole.tick.tolist()


def test_poisson_statistics() -> None:
    """Rate exact, counts binomial, intervals geometric, neurons and neighbouring ticks uncorrelated: all within 5 sigma."""
    ticks, neurons, p = 4000, 200, 0.05
    got = raster(encode_poisson(np.full(neurons, 50.0), ticks, 1e-3, seed=11), ticks, neurons)
    n = ticks * neurons
    assert abs(got.sum() - n * p) < 5 * np.sqrt(n * p * (1 - p))
    counts = got.sum(0)
    variance = ticks * p * (1 - p)
    assert abs(counts.var(ddof=1) / variance - 1) < 5 * np.sqrt(2 / (neurons - 1))
    both = (got[1:] * got[:-1]).sum()
    assert abs(both - (n - neurons) * p * p) < 5 * np.sqrt(n * p * p)
    side = (got[:, 1:] * got[:, :-1]).sum()
    assert abs(side - (n - ticks) * p * p) < 5 * np.sqrt(n * p * p)
    gaps = np.concatenate([np.diff(np.flatnonzero(column)) for column in got.T])
    assert abs(gaps.mean() - 1 / p) < 0.05 / p
    assert abs((gaps == 1).mean() - p) < 5 * np.sqrt(p / gaps.size)


def test_poisson_rates_that_change() -> None:
    rates = np.zeros((30, 4))
    rates[10:20, 2] = 1000.0
    assert same(encode_poisson(rates, 30, 1e-3, seed=0), (np.arange(10, 20), np.full(10, 2)))


@given(st.lists(st.floats(0.0, 1000.0), min_size=1, max_size=8), st.integers(0, 300))
@settings(max_examples=40)
def test_regular_spikes_are_evenly_spaced(rates: list[float], ticks: int) -> None:
    """floor(n p) spikes in n ticks, in intervals of floor(1/p) or ceil(1/p) ticks."""
    got = raster(encode_regular(rates, ticks, 1e-3), ticks, len(rates))
    for column, rate in zip(got.T, rates, strict=True):
        p = Fraction(-int(np.floor(-rate * 1e-3 * 2**32)), 2**32)  # rounded up
        expected = [int(p * (k + 1) // 1 - p * k // 1) for k in range(ticks)]
        assert column.tolist() == expected
        if p:
            gaps = set(np.diff(np.flatnonzero(column)).tolist())
            assert gaps <= {int(1 / p), -int(-1 / p // 1)}


def test_regular_times_by_hand() -> None:
    assert encode_regular([100.0], 40, 1e-3).tick.tolist() == [9, 19, 29, 39]
    assert encode_regular([200.0], 1000, 1e-3).tick.size == 200
    assert encode_regular([100.0], 40, 1e-3, phase=0.5).tick.tolist() == [4, 14, 24, 34]
    assert same(encode_regular([250.0, 500.0], 5, 1e-3, phase=[0.75, 0.0]), ([0, 1, 3, 4], [0, 1, 1, 0]))
    far = encode_regular([123.0, 7.0], 1000, 1e-3, phase="random", seed=5, first_tick=2**40)
    assert abs(far.tick.size - 130) <= 2 and far.tick.min() >= 2**40


def test_regular_does_not_depend_on_cuts_and_phases_are_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = np.full(2000, 20.0)
    whole = encode_regular(rates, 100, 1e-3, phase="random", seed=3)
    parts = [
        encode_regular(rates, n, 1e-3, phase="random", seed=3, first_tick=start) for start, n in ((0, 33), (33, 67))
    ]
    assert same(whole, joined(*parts))
    monkeypatch.setattr("neurosim.kernels.encoders.CHUNK_DRAWS", 5000)
    assert same(encode_regular(rates, 100, 1e-3, phase="random", seed=3), whole)
    assert whole.tick.size == 4000  # 2 spikes each, whatever the phase
    share = np.bincount(whole.tick % 50, minlength=50) / 80
    assert (abs(share - 1) < 5 / np.sqrt(40)).all()
    other = encode_regular(rates, 100, 1e-3, phase="random", seed=3, sample=1)
    assert not np.array_equal(other.neuron, whole.neuron)


def test_encoders_list_what_is_wrong() -> None:
    assert (
        "rates_Hz[1] = 1001: must lie in 0..1000" in problems_of(lambda: encode_poisson([5, 1001], 5, 1e-3, seed=0))[0]
    )
    for bad in ([-1.0], [float("nan")], [[1.0, float("inf")]]):
        assert "must lie in" in problems_of(lambda bad=bad: encode_poisson(bad, 1, 1e-3, seed=0))[0]
    for bad in ("fast", [], 5.0, [True], np.zeros((2, 2, 2)), [[1.0], [2.0, 3.0]]):
        assert "rates_Hz" in problems_of(lambda bad=bad: encode_poisson(bad, 2, 1e-3, seed=0))[0]
    assert len(problems_of(lambda: encode_poisson([5.0], -1, 1e-3, seed=True, sample=-1))) == 3
    assert "rows" in problems_of(lambda: encode_poisson(np.ones((3, 2)), 4, 1e-3, seed=0))[0]
    assert "tick_s" in problems_of(lambda: encode_poisson([5.0], 1, 0.0, seed=0))[0]
    for phase in (1.0, -0.1, float("nan"), [0.1, 0.2], "even", None):
        assert "phase" in problems_of(lambda phase=phase: encode_regular([5.0], 1, 1e-3, phase=phase))[0]
    assert "needs a seed" in problems_of(lambda: encode_regular([5.0], 1, 1e-3, phase="random"))[0]
    assert encode_poisson([5.0], 0, 1e-3, seed=0).tick.size == 0


def test_a_recording_becomes_input_spikes(tmp_path: Path) -> None:
    """File -> events -> 28x28 in the middle -> ticks of 1 ms: what a hand count gives."""
    path = put(tmp_path, (3, 3, 1, 100), (2, 3, 1, 200), (30, 30, 0, 999), (30, 30, 0, 1000), (30, 30, 0, 1500))
    spikes = bin_events(read_nmnist(path), 1e-3, address_map((34, 34), crop=((3, 31), (3, 31))))
    assert same(spikes, ([0, 0, 1], [1, 2 * (28 * 28 - 1), 2 * (28 * 28 - 1)]))
    assert all(a <= b for a, b in itertools.pairwise(spikes.tick))
