"""neurosim.data: what the loaded sets look like, and that nothing wrong, damaged or hostile gets through."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import http.client
import http.server
import io
import itertools
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurosim.data import (
    Dataset,
    available,
    cifar,
    download,
    idx,
    letters,
    load,
    logic,
    make_embedded,
    npz,
    progress,
    search,
    silent,
    small,
)
from neurosim.errors import DataError, InputError

Arrays = dict[str, Any]

#: taken before the fixture below clears it: tests on the full sets use it
REAL = os.environ.get("NEUROSIM_DATA")
DEBIAN = search.DEBIAN


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No data anywhere, an empty cache, and a network that fails the test when it is touched."""
    monkeypatch.delenv("NEUROSIM_DATA", raising=False)
    monkeypatch.delenv("NEUROSIM_OFFLINE", raising=False)
    monkeypatch.setenv("NEUROSIM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(search, "DEBIAN", tmp_path / "debian")
    monkeypatch.setattr(download, "open_url", unreachable)


def unreachable(url: str, timeout_s: float) -> http.client.HTTPResponse:
    raise OSError("network is down (test)")


def forbidden(url: str, timeout_s: float) -> http.client.HTTPResponse:
    raise AssertionError(f"asked the network for {url}")


# ---------------------------------------------------------------- small stand-ins for the public sets


def idx_bytes(array: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, bytes]]:
    """Replace the known MNIST and Fashion-MNIST files by sets of 12 + 5 images of 3x2; returns their bytes by name."""
    contents: dict[str, dict[str, bytes]] = {}
    sets: dict[str, idx.IdxSet] = {}
    for seed, (name, known) in enumerate(idx.SETS.items()):
        rng = np.random.default_rng(seed)
        files = []
        contents[name] = {}
        for old, shape in zip(known.files, [(12, 3, 2), (12,), (5, 3, 2), (5,)], strict=True):
            raw = idx_bytes(rng.integers(0, 256 if len(shape) == 3 else 10, shape, np.uint8))
            contents[name][old.name] = raw
            files.append(idx.IdxFile(old.name, shape, hashlib.md5(raw).hexdigest()))
        sets[name] = dataclasses.replace(known, files=(files[0], files[1], files[2], files[3]))
    monkeypatch.setattr(idx, "SETS", sets)
    return contents


def put(folder: Path, files: dict[str, bytes], packed: bool = True) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in files.items():
        (folder / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(raw) if packed else raw)
    return folder


def check_shape(data: Dataset) -> None:
    """What every dataset promises."""
    for x, y, t in ((data.train_x, data.train_y, data.train_t), (data.test_x, data.test_y, data.test_t)):
        assert x.dtype == np.float32
        assert t.dtype == np.float32
        assert x.flags.c_contiguous
        assert t.flags.c_contiguous
        assert x.shape[1:] == data.shape
        assert len(x) == len(t)
        assert t.ndim == 2
        assert x.min() >= 0.0
        assert x.max() <= 1.0
        if y is not None:
            assert y.dtype == np.int64
            assert y.shape == (len(x),)
            assert y.flags.c_contiguous
            if data.n_out > 1:
                assert t.shape[1] == data.classes
                assert (t.sum(axis=1) == 1).all()
                assert (t.argmax(axis=1) == y).all()
                assert set(np.unique(t)) <= {0, 1}
            else:
                assert (t[:, 0] == y).all()
    assert data.n_in == np.prod(data.shape)
    assert data.n_train == len(data.train_x)
    assert data.n_test == len(data.test_x)
    assert data.source


# ---------------------------------------------------------------- names and arguments


def test_every_name_is_listed() -> None:
    expected = {"mnist", "fashion-mnist", "cifar-10", "fashion-mnist-small", "xor", "parity", "nist7x7", ".npz"}
    assert set(available()) == expected
    assert all(available().values())


def test_unknown_name_gives_a_hint() -> None:
    with pytest.raises(InputError, match="Did you mean 'fashion-mnist'") as caught:
        load("fashion_mnist")
    assert caught.value.exit_code == 2
    assert "nist7x7" in str(caught.value)


def test_every_wrong_argument_is_listed() -> None:
    with pytest.raises(InputError) as caught:
        load("parity", n_train=0, n_test=True, options={"bits": 2.5, "depth": 1})
    assert len(caught.value.problems) == 4
    assert "it has: bits" in str(caught.value)


@pytest.mark.parametrize("bits", [0, 17, -1, True, "4", float("nan"), 10**400])
def test_option_out_of_range(bits: object) -> None:
    with pytest.raises(InputError, match=r"options\.bits"):
        load("parity", options={"bits": bits})


@pytest.mark.parametrize("noise", [-0.1, 1.5, float("nan"), float("inf"), "0.1", None])
def test_float_option_out_of_range(noise: object) -> None:
    with pytest.raises(InputError, match=r"options\.noise_std"):
        load("nist7x7", options={"noise_std": noise})


def test_more_samples_than_there_are() -> None:
    with pytest.raises(InputError) as caught:
        load("xor", n_train=5, n_test=6)
    assert len(caught.value.problems) == 2


def test_import_is_light() -> None:
    """numpy and the standard library only, and no network module: checked in a fresh interpreter."""
    code = (
        "import sys, neurosim.data; "
        "print([m for m in ('numba', 'rich', 'h5py', 'pydantic', 'urllib.request', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# ---------------------------------------------------------------- generated sets


def test_xor() -> None:
    data = load("xor")
    check_shape(data)
    assert data.train_x.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert data.train_t.tolist() == [[0], [1], [1], [0]]
    assert data.classes == 2
    assert data.shape == (2,)
    assert data.n_out == 1
    assert np.array_equal(data.train_x, data.test_x)
    assert not np.shares_memory(data.train_x, data.test_x)


@pytest.mark.parametrize("bits", [1, 2, 5])
def test_parity(bits: int) -> None:
    data = load("parity", options={"bits": bits})
    check_shape(data)
    assert data.train_x.tolist() == [list(pattern) for pattern in itertools.product([0, 1], repeat=bits)]
    assert data.train_t[:, 0].tolist() == [sum(p) % 2 for p in itertools.product([0, 1], repeat=bits)]


def test_parity_of_two_is_xor() -> None:
    assert logic.patterns(2)[1].tolist() == [0, 1, 1, 0]


def test_letters_have_the_size_of_the_original() -> None:
    images, labels = letters.all_images(2)
    assert images.shape == (44_136, 49)
    assert np.bincount(labels).tolist() == [11_034] * 4
    clean = letters.clean_images().reshape(4, 9, 1, 49)
    distance = (clean[labels] ^ images[:, None, None]).sum(axis=3).min(axis=1)
    assert distance.max() == 2  # every image is within two flips of its own letter
    _, group = np.unique(np.packbits(images, axis=1), axis=0, return_inverse=True)
    seen = np.zeros((group.max() + 1, 4), bool)
    seen[group.ravel(), labels] = True
    assert (seen.sum(axis=1) > 1).sum() == 54  # drawings that are two letters at once, as docs/data.md says


def test_letters_by_default() -> None:
    data = load("nist7x7")
    check_shape(data)
    assert data.shape == (7, 7, 1)
    assert (data.n_train, data.n_test, data.classes) == (4000, 1000, 4)
    assert data.train_y is not None
    assert np.bincount(data.train_y).min() > 900
    assert "NIST7x7-style" in data.source


def test_letters_are_seeded_and_grow_from_the_front() -> None:
    small_set, large = load("nist7x7", n_train=50, n_test=20), load("nist7x7", n_train=200, n_test=40)
    assert np.array_equal(small_set.train_x, large.train_x[:50])
    assert np.array_equal(small_set.test_x, large.test_x[:20])
    other = load("nist7x7", n_train=50, n_test=20, options={"seed": 1})
    assert not np.array_equal(small_set.train_x, other.train_x)


def test_letters_ignore_and_keep_global_random_state() -> None:
    np.random.seed(1)  # noqa: NPY002  (this test is about the legacy global state)
    before = np.random.get_state(legacy=False)["state"]["key"].copy()  # noqa: NPY002
    first = load("nist7x7", n_train=10, n_test=10)
    assert np.array_equal(before, np.random.get_state(legacy=False)["state"]["key"])  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    assert np.array_equal(first.train_x, load("nist7x7", n_train=10, n_test=10).train_x)


def test_letters_noise() -> None:
    clean = load("nist7x7", options={"noise_std": 0})
    assert set(np.unique(clean.train_x)) == {0.0, 1.0}
    noisy = load("nist7x7", options={"noise_std": 0.1})
    # half of the noise is clipped off at 0 and at 1: the rms of the rest is 0.1 / sqrt(2)
    assert np.sqrt(np.mean((noisy.train_x - clean.train_x) ** 2)) == pytest.approx(0.1 / 2**0.5, rel=0.02)
    assert np.array_equal(noisy.train_y, clean.train_y)  # type: ignore[arg-type]


def test_letters_train_and_test_are_different_draws() -> None:
    data = load("nist7x7", n_train=44_000, n_test=136, options={"noise_std": 0})
    both = np.concatenate([data.train_x, data.test_x]).reshape(-1, 49).astype(bool)
    images, _ = letters.all_images(2)
    as_keys = [np.sort(np.packbits(part, axis=1).view("V7").ravel()) for part in (both, images)]
    assert np.array_equal(as_keys[0].view("u1"), as_keys[1].view("u1"))  # together they are all images, each once
    with pytest.raises(InputError, match="44136"):
        load("nist7x7", n_train=44_136, n_test=1)


def test_letters_without_flips_are_few() -> None:
    data = load("nist7x7", options={"max_flips": 0, "noise_std": 0.0})
    assert data.n_train + data.n_test == 36
    assert data.n_test > 0


# ---------------------------------------------------------------- the embedded subset


def test_embedded_needs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "open_url", forbidden)
    data = load("fashion-mnist-small")
    check_shape(data)
    assert (data.n_train, data.n_test, data.shape, data.classes) == (9000, 1500, (28, 28, 1), 10)
    assert data.train_y is not None
    assert data.test_y is not None
    assert np.bincount(data.train_y).tolist() == [900] * 10
    assert np.bincount(data.test_y).tolist() == [150] * 10
    assert (np.sort(data.train_y.reshape(-1, 10), axis=1) == np.arange(10)).all()  # every cut is balanced
    # mean and deviation of the full set are 0.2860 and 0.3530
    assert data.train_x.mean() == pytest.approx(0.286, abs=0.005)
    assert data.train_x.std() == pytest.approx(0.353, abs=0.005)
    folder = Path(small.__file__).parent / "embedded"
    assert (folder / small.FILE).stat().st_size <= 4_000_000
    assert "Zalando SE" in (folder / "NOTICE").read_text("utf-8")
    assert small.MD5 in (folder / "NOTICE").read_text("utf-8")


def test_embedded_is_cut() -> None:
    data = load("fashion-mnist-small", n_train=20, n_test=10)
    check_shape(data)
    assert data.train_x.shape == (20, 28, 28, 1)
    assert data.test_x.shape == (10, 28, 28, 1)


def test_embedded_is_learnable() -> None:
    """Nearest class mean already gets most of the test images right: labels belong to their images."""
    data = load("fashion-mnist-small")
    x, xt = data.train_x.reshape(-1, 784), data.test_x.reshape(-1, 784)
    means = np.stack([x[data.train_y == label].mean(axis=0) for label in range(10)])
    guess = ((xt[:, None] - means) ** 2).sum(axis=2).argmin(axis=1)
    assert (guess == data.test_y).mean() > 0.6


def test_damaged_installation_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(small, "MD5", "0" * 32)
    with pytest.raises(DataError, match="altered"):
        load("fashion-mnist-small")


def test_choice_is_balanced_and_seeded() -> None:
    labels = np.random.default_rng(3).integers(0, 10, 500).astype(np.uint8)
    index = make_embedded.choose(labels, 7, 1)
    assert len(set(index.tolist())) == 70
    assert (np.sort(labels[index].reshape(7, 10), axis=1) == np.arange(10)).all()
    assert np.array_equal(index, make_embedded.choose(labels, 7, 1))
    assert not np.array_equal(index, make_embedded.choose(labels, 7, 2))


def test_written_subset_is_read_by_numpy(tmp_path: Path) -> None:
    arrays = {"train_x": np.arange(12, dtype=np.uint8).reshape(3, 2, 2)}
    make_embedded.write(arrays, tmp_path / "a.npz")
    make_embedded.write(arrays, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    with np.load(tmp_path / "a.npz", allow_pickle=False) as stored:
        assert np.array_equal(stored["train_x"], arrays["train_x"])


# ---------------------------------------------------------------- the IDX reader


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "not an IDX file"),
        (b"\x00\x00\x08", "not an IDX file"),
        (b"\x00\x01\x08\x01" + bytes(8), "not an IDX file"),
        (b"\x00\x00\x0d\x01" + bytes(8), "not an IDX file"),  # floats
        (b"\x00\x00\x08\x00", "not an IDX file"),
        (b"\x00\x00\x08\xff" + bytes(2000), "not an IDX file"),
        (b"\x00\x00\x08\x03\x00\x00", "inside its header"),
        (b"\x00\x00\x08\x01\x00\x00\x00\x05abcd", "cut short"),
        (b"\x00\x00\x08\x01\x00\x00\x00\x05abcdef", "too long"),
        (b"\x00\x00\x08\x03" + b"\xff" * 12, "cut short"),  # 2^96 bytes promised: must not be allocated
    ],
)
def test_idx_refuses(raw: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        idx.parse_idx(raw, "file")


def test_idx_reads() -> None:
    array = np.arange(24, dtype=np.uint8).reshape(4, 3, 2)
    assert np.array_equal(idx.parse_idx(idx_bytes(array), "file"), array)


def test_tiny_set_end_to_end(tiny: dict[str, dict[str, bytes]], tmp_path: Path) -> None:
    put(tmp_path / "d" / "mnist", tiny["mnist"])
    data = load("mnist", folder=tmp_path / "d")
    check_shape(data)
    assert data.train_x.shape == (12, 3, 2, 1)
    assert data.test_x.shape == (5, 3, 2, 1)
    raw = np.frombuffer(tiny["mnist"]["train-images-idx3-ubyte"][16:], np.uint8)
    assert np.array_equal(data.train_x.ravel(), raw.astype(np.float32) / np.float32(255))
    assert data.train_y is not None
    assert data.train_y.tolist() == list(tiny["mnist"]["train-labels-idx1-ubyte"][8:])
    assert str(tmp_path / "d" / "mnist") in data.source
    cut = load("mnist", folder=tmp_path / "d", n_train=3, n_test=2)
    assert np.array_equal(cut.train_x, data.train_x[:3])
    assert np.array_equal(cut.test_t, data.test_t[:2])


DAMAGE: dict[str, tuple[Callable[[bytes, bytes], bytes], str]] = {
    "corrupt gzip": (lambda packed, raw: packed[:20] + b"\xff\xff\xff\xff" + packed[24:], "corrupt|cut short|damaged"),
    "gzip cut short": (lambda packed, raw: packed[:-12], "cut short"),
    "gzip header only": (lambda packed, raw: packed[:5], "cut short"),
    "not an image file": (lambda packed, raw: b"<html>404</html>", "not an IDX file"),
    "empty": (lambda packed, raw: b"", "not an IDX file"),
    "content cut short": (lambda packed, raw: gzip.compress(raw[:-1]), "cut short"),
    "content too long": (lambda packed, raw: gzip.compress(raw + b"x"), "too long"),
    "one byte altered": (lambda packed, raw: gzip.compress(raw[:-1] + bytes([raw[-1] ^ 1])), "MD5"),
    "other shape": (lambda packed, raw: gzip.compress(idx_bytes(np.zeros((6, 6, 2), np.uint8))), "expected"),
    "gzip bomb": (lambda packed, raw: gzip.compress(raw + bytes(10**7)), "too long"),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_file_in_a_named_folder(kind: str, tiny: dict[str, dict[str, bytes]], tmp_path: Path) -> None:
    damage, message = DAMAGE[kind]
    folder = put(tmp_path / "mnist", tiny["mnist"])
    target = folder / "train-images-idx3-ubyte.gz"
    target.write_bytes(damage(target.read_bytes(), tiny["mnist"]["train-images-idx3-ubyte"]))
    with pytest.raises(DataError, match=message) as caught:
        load("mnist", folder=tmp_path)
    assert str(target) in str(caught.value)
    assert "folder argument" in str(caught.value)


def test_bomb_is_never_held_whole(tmp_path: Path) -> None:
    (tmp_path / "bomb").write_bytes(gzip.compress(bytes(10**7)))
    assert len(search.read_bounded(tmp_path / "bomb", 100)) == 101


def test_label_out_of_range(tiny: dict[str, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = idx_bytes(np.array([3, 10], np.uint8))
    (tmp_path / "labels").write_bytes(raw)
    with pytest.raises(DataError, match=r"label 10 is out of range, labels are 0\.\.9"):
        idx.read_file(tmp_path / "labels", idx.IdxFile("labels", (2,), hashlib.md5(raw).hexdigest()))


# ---------------------------------------------------------------- the search order


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("sub", ["fashion-mnist", "FashionMNIST/raw", ""])
def test_layouts(sub: str, packed: bool, tiny: dict[str, dict[str, bytes]], tmp_path: Path) -> None:
    put(tmp_path / "d" / sub, tiny["fashion-mnist"], packed)
    assert load("fashion-mnist", folder=tmp_path / "d").n_train == 12


def test_gz_name_on_an_unpacked_file(tiny: dict[str, dict[str, bytes]], tmp_path: Path) -> None:
    put(tmp_path, {f"{name}.gz": raw for name, raw in tiny["mnist"].items()}, packed=False)
    assert load("mnist", folder=tmp_path).n_train == 12


def test_order_of_places(tiny: dict[str, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All five routes hold the set; taking away the first each time must bring up the next."""
    monkeypatch.setenv("NEUROSIM_DATA", str(tmp_path / "env"))
    roots = [tmp_path / "folder", tmp_path / "env", tmp_path / "debian", tmp_path / "cache" / "data"]
    for root in roots:
        put(root / "fashion-mnist", tiny["fashion-mnist"])
    monkeypatch.setattr(download, "open_url", forbidden)
    for root in roots:
        assert f"from {root / 'fashion-mnist'}" in load("fashion-mnist", folder=tmp_path / "folder").source
        for file in (root / "fashion-mnist").iterdir():
            file.unlink()
    monkeypatch.setattr(download, "open_url", unreachable)
    with pytest.raises(DataError):
        load("fashion-mnist", folder=tmp_path / "folder")


def test_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert search.cache_folder() == tmp_path / "cache" / "data"
    monkeypatch.delenv("NEUROSIM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert search.cache_folder() == tmp_path / "xdg" / "neurosim" / "data"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for unset in ("", "relative/path"):
        monkeypatch.setenv("XDG_CACHE_HOME", unset)
        assert search.cache_folder() == tmp_path / "home" / ".cache" / "neurosim" / "data"


def test_the_other_mnist_is_recognised(
    tiny: dict[str, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fashion-MNIST lies directly in the folder, under the same file names: not an error, and not taken for MNIST."""
    put(tmp_path / "d", tiny["fashion-mnist"])
    monkeypatch.setenv("NEUROSIM_DATA", str(tmp_path / "d"))
    with pytest.raises(DataError, match="belongs to Fashion-MNIST"):
        load("mnist")
    put(tmp_path / "debian" / "mnist", tiny["mnist"])
    assert "debian" in load("mnist").source


def test_missing_folder_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no folder"):
        load("mnist", folder=tmp_path / "nope")


def test_damaged_file_in_the_environments_folder(
    tiny: dict[str, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "cache" / "data" / "mnist", tiny["mnist"])  # a sound copy elsewhere must not hide the bad one
    put(tmp_path / "env" / "mnist", {**tiny["mnist"], "t10k-labels-idx1-ubyte": b"junk"})
    monkeypatch.setenv("NEUROSIM_DATA", str(tmp_path / "env"))
    with pytest.raises(DataError, match=r"NEUROSIM_DATA: .*t10k-labels"):
        load("mnist")


def test_nowhere_lists_every_place_and_what_helps(tiny: dict[str, dict[str, bytes]], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError) as caught:
        load("fashion-mnist", folder=tmp_path / "empty")
    text = str(caught.value)
    for part in (
        f"folder argument: no train-images-idx3-ubyte.gz or train-images-idx3-ubyte in {tmp_path / 'empty'}",
        "NEUROSIM_DATA: not set",
        f"{tmp_path / 'debian'} is no folder",
        f"cache: {tmp_path / 'cache' / 'data'} is no folder",
        *(f"{mirror}train-images-idx3-ubyte.gz: network is down" for mirror in idx.SETS["fashion-mnist"].mirrors),
        "apt-get install dataset-fashion-mnist",
        "NEUROSIM_DATA=DIR",
        "fashion-mnist-small",
    ):
        assert part in text
    assert caught.value.exit_code == 1
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_offline_asks_nobody(tiny: dict[str, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEUROSIM_OFFLINE", "1")
    monkeypatch.setattr(download, "open_url", forbidden)
    with pytest.raises(DataError, match="NEUROSIM_OFFLINE is set"):
        load("mnist")


def test_cache_that_cannot_be_written(
    tiny: dict[str, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("NEUROSIM_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(download, "open_url", forbidden)
    with pytest.raises(DataError, match="cache cannot be written"):
        load("mnist")


# ---------------------------------------------------------------- downloads, from a server on this machine


class Server:
    """Serves ``files`` (path -> bytes) and counts requests. ``redirect`` sends every request elsewhere."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.redirect: str | None = None
        self.missing_bytes = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                if outer.redirect is not None:
                    self.send_response(302)
                    self.send_header("Location", outer.redirect)
                    self.end_headers()
                elif self.path in outer.files:
                    body = outer.files[self.path]
                    self.send_response(200)
                    self.send_header("Content-Length", str(len(body) + outer.missing_bytes))
                    self.end_headers()
                    self.wfile.write(body)
                else:
                    self.send_error(404)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


REAL_OPEN = download.open_url


@pytest.fixture
def server(tiny: dict[str, dict[str, bytes]], monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A mirror that holds the tiny MNIST, and is the only mirror of it."""
    running = Server()
    running.files = {f"/{name}.gz": gzip.compress(raw) for name, raw in tiny["mnist"].items()}
    monkeypatch.setattr(download, "open_url", REAL_OPEN)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    use_mirrors(monkeypatch, running.base)
    yield running
    running.server.shutdown()
    running.server.server_close()


def use_mirrors(monkeypatch: pytest.MonkeyPatch, *bases: str) -> None:
    monkeypatch.setitem(idx.SETS, "mnist", dataclasses.replace(idx.SETS["mnist"], mirrors=bases))


def test_download_into_the_cache(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    data = load("mnist", progress=lambda what, done, total: seen.append((what, done, total)))
    check_shape(data)
    assert server.base in data.source
    assert len(server.asked) == 4
    cache = tmp_path / "cache" / "data" / "mnist"
    assert sorted(path.name for path in cache.iterdir()) == sorted(path[1:] for path in server.files)
    assert {what for what, _, _ in seen} == {path[1:] for path in server.files}
    assert all(done == total for _, done, total in seen)
    again = load("mnist")
    assert len(server.asked) == 4
    assert str(cache) in again.source
    assert np.array_equal(data.train_x, again.train_x)


def test_second_mirror_takes_over(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    use_mirrors(monkeypatch, server.base + "gone/", server.base)
    assert server.base in load("mnist", progress=silent).source


def test_damaged_cache_is_replaced(server: Server, tmp_path: Path) -> None:
    load("mnist", progress=silent)
    bad = tmp_path / "cache" / "data" / "mnist" / "t10k-images-idx3-ubyte.gz"
    sound = bad.read_bytes()
    bad.write_bytes(sound[: len(sound) // 2])
    load("mnist", progress=silent)
    assert bad.read_bytes() == sound
    assert len(server.asked) == 5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.files.clear(), "404"),
        (lambda s: s.files.update({"/train-images-idx3-ubyte.gz": b"<html>log in first</html>"}), "not an IDX file"),
        (lambda s: s.files.update({"/train-images-idx3-ubyte.gz": bytes(10**6)}), "more than the"),
        (lambda s: setattr(s, "missing_bytes", 7), "connection ended|IncompleteRead|bytes read"),
        (lambda s: setattr(s, "redirect", "ftp://127.0.0.1/x"), "not HTTPS|not allowed"),
        (lambda s: setattr(s, "redirect", "http://example.invalid/x"), "not HTTPS"),
    ],
)
def test_bad_mirror_leaves_no_trace(
    change: Callable[[Server], object], message: str, server: Server, tmp_path: Path
) -> None:
    change(server)
    with pytest.raises(DataError, match=message) as caught:
        load("mnist", progress=silent)
    assert ".part" not in str(caught.value)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_wrong_checksum_from_a_mirror(server: Server, tiny: dict[str, dict[str, bytes]], tmp_path: Path) -> None:
    raw = tiny["mnist"]["train-images-idx3-ubyte"]
    server.files["/train-images-idx3-ubyte.gz"] = gzip.compress(raw[:-1] + bytes([raw[-1] ^ 1]))
    with pytest.raises(DataError, match="MD5"):
        load("mnist", progress=silent)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


@pytest.mark.parametrize("url", ["http://example.com/x", "file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x"])
def test_only_https(url: str) -> None:
    with pytest.raises(DataError, match="not HTTPS"):
        REAL_OPEN(url, 1.0)


def test_every_mirror_is_https() -> None:
    urls = [mirror for known in idx.SETS.values() for mirror in known.mirrors] + list(cifar.CIFAR10.urls)
    assert urls
    assert all(url.startswith("https://") for url in urls)


def test_interrupted_download_leaves_no_trace(
    tiny: dict[str, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(url: str, timeout_s: float) -> http.client.HTTPResponse:
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "open_url", interrupt)
    with pytest.raises(KeyboardInterrupt):
        load("mnist")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_progress_bar_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    with progress.shown(None) as show:
        assert show is silent
    stream = io.StringIO()
    monkeypatch.setattr(stream, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", stream)
    with progress.shown(None) as show:
        assert show is not silent
        show("file.gz", 10, 20)
        show("file.gz", 20, None)
    assert "file.gz" in stream.getvalue()


# ---------------------------------------------------------------- CIFAR-10


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Six batches of 4 records; the archive's MD5 is set by :func:`pack`."""
    rng = np.random.default_rng(0)
    contents = {}
    for name, _ in cifar.CIFAR10.batches:
        table = rng.integers(0, 256, (4, cifar.RECORD), np.uint8)
        table[:, 0] %= 10
        contents[name] = table.tobytes()
    known = tuple((name, hashlib.md5(raw).hexdigest()) for name, raw in contents.items())
    monkeypatch.setattr(cifar, "CIFAR10", dataclasses.replace(cifar.CIFAR10, records=4, batches=known))
    return contents


def pack(members: list[tuple[tarfile.TarInfo, bytes]], path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Write a tar.gz and declare its MD5 to be the published one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        for info, raw in members:
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))
    content = path.read_bytes()
    digest = hashlib.md5(content).hexdigest()
    monkeypatch.setattr(cifar, "CIFAR10", dataclasses.replace(cifar.CIFAR10, archive_md5=digest))
    return content


def members(contents: dict[str, bytes]) -> list[tuple[tarfile.TarInfo, bytes]]:
    return [(tarfile.TarInfo(f"cifar-10-batches-bin/{name}"), raw) for name, raw in contents.items()]


def check_cifar(data: Dataset, batches: dict[str, bytes]) -> None:
    check_shape(data)
    assert data.train_x.shape == (20, 32, 32, 3)
    assert data.test_x.shape == (4, 32, 32, 3)
    record = np.frombuffer(batches["data_batch_2.bin"], np.uint8).reshape(4, -1)[1]
    assert data.train_y is not None
    assert data.train_y[5] == record[0]
    # blue of row 3, column 7: third plane, row by row
    assert data.train_x[5, 3, 7, 2] == np.float32(record[1 + 2 * 1024 + 3 * 32 + 7]) / np.float32(255)


@pytest.mark.parametrize("sub", ["", "cifar-10", "cifar-10-batches-bin"])
def test_cifar_from_bins(sub: str, batches: dict[str, bytes], tmp_path: Path) -> None:
    put(tmp_path / sub, batches, packed=False)
    check_cifar(load("cifar-10", folder=tmp_path), batches)


def test_cifar_uses_only_the_batches_it_needs(batches: dict[str, bytes], tmp_path: Path) -> None:
    put(tmp_path, batches, packed=False)
    full = load("cifar-10", folder=tmp_path)
    for n in (1, 4, 5, 20):
        cut = load("cifar-10", folder=tmp_path, n_train=n, n_test=2)
        assert np.array_equal(cut.train_x, full.train_x[:n])
        assert np.array_equal(cut.test_x, full.test_x[:2])


def test_cifar_from_the_archive(batches: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pack(members(batches), tmp_path / "cifar-10" / cifar.CIFAR10.archive, monkeypatch)
    check_cifar(load("cifar-10", folder=tmp_path), batches)
    assert [path.name for path in (tmp_path / "cifar-10").iterdir()] == [cifar.CIFAR10.archive]  # nothing unpacked


def test_cifar_download(
    batches: dict[str, bytes], server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.files["/c.tar.gz"] = pack(members(batches), tmp_path / "x" / "c.tar.gz", monkeypatch)
    monkeypatch.setattr(cifar, "CIFAR10", dataclasses.replace(cifar.CIFAR10, urls=(server.base + "c.tar.gz",)))
    check_cifar(load("cifar-10", progress=silent), batches)
    assert (tmp_path / "cache" / "data" / "cifar-10" / cifar.CIFAR10.archive).is_file()
    check_cifar(load("cifar-10", progress=silent), batches)
    assert server.asked == ["/c.tar.gz"]


def test_archive_with_another_md5_is_not_opened(
    batches: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / cifar.CIFAR10.archive
    pack(members(batches), path, monkeypatch)
    monkeypatch.setattr(cifar, "CIFAR10", dataclasses.replace(cifar.CIFAR10, archive_md5="0" * 32))
    monkeypatch.setattr(tarfile, "open", lambda *args, **kwargs: pytest.fail("opened an unknown archive"))
    with pytest.raises(DataError, match="not the published archive"):
        load("cifar-10", folder=tmp_path)


def test_hostile_archive_writes_nothing(
    batches: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if the MD5 let it through: links, devices, foreign names and paths are passed over."""
    link = tarfile.TarInfo("cifar-10-batches-bin/test_batch.bin")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    wrong = [(tarfile.TarInfo("../../evil.bin"), b"x"), (link, b""), (tarfile.TarInfo("/abs/data_batch_1.bin"), b"x")]
    without_test = {name: raw for name, raw in batches.items() if name != "test_batch.bin"}
    pack(wrong + members(without_test), tmp_path / "d" / cifar.CIFAR10.archive, monkeypatch)
    with pytest.raises(DataError, match=r"no proper test_batch\.bin"):
        load("cifar-10", folder=tmp_path / "d")
    assert [path.name for path in (tmp_path / "d").iterdir()] == [cifar.CIFAR10.archive]
    assert not list(tmp_path.parent.rglob("evil.bin"))


def test_archive_that_is_no_archive(batches: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / cifar.CIFAR10.archive
    whole = pack(members(batches), path, monkeypatch)
    for content in (b"junk", whole[: len(whole) // 2], gzip.compress(b"junk" * 500)):
        path.write_bytes(content)
        digest = hashlib.md5(content).hexdigest()
        monkeypatch.setattr(cifar, "CIFAR10", dataclasses.replace(cifar.CIFAR10, archive_md5=digest))
        with pytest.raises(DataError, match="archive"):
            load("cifar-10", folder=tmp_path)


def test_cifar_refuses_damage(batches: dict[str, bytes], tmp_path: Path) -> None:
    put(tmp_path, batches, packed=False)
    target = tmp_path / "data_batch_3.bin"
    sound = target.read_bytes()
    for content, message in (
        (sound[:-1], "cut short"),
        (sound + b"x", "too long"),
        (b"\x0b" + sound[1:], "label 11 is out of range"),
        (sound[:-1] + bytes([sound[-1] ^ 1]), "MD5"),
    ):
        target.write_bytes(content)
        with pytest.raises(DataError, match=message):
            load("cifar-10", folder=tmp_path)
    target.unlink()
    with pytest.raises(DataError, match=r"data_batch_3\.bin is missing"):
        load("cifar-10", folder=tmp_path)


# ---------------------------------------------------------------- own data


def own(**changes: object) -> Arrays:
    """Sound own data, with changes; a change to None takes the array away."""
    rng = np.random.default_rng(0)
    arrays: Arrays = {
        "train_x": rng.random((6, 4)),
        "train_y": np.array([0, 1, 2, 0, 1, 2]),
        "test_x": rng.random((3, 4)),
        "test_y": np.array([2, 1, 0]),
    }
    arrays |= changes
    return {key: value for key, value in arrays.items() if value is not None}


def save(path: Path, arrays: Arrays) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def test_own_data(tmp_path: Path) -> None:
    arrays = own(extra=np.array(["ignored"]))
    data = load(save(tmp_path / "mine.npz", arrays))
    check_shape(data)
    assert data.name == "mine"
    assert data.classes == 3
    assert data.shape == (4,)
    assert data.n_out == 3
    assert np.array_equal(data.train_x, arrays["train_x"].astype(np.float32))
    assert str(tmp_path / "mine.npz") in data.source
    cut = load(str(tmp_path / "mine.npz"), n_train=2, n_test=1)
    check_shape(cut)
    assert cut.n_train == 2
    assert cut.n_out == 3  # classes come from the whole file, not from the cut


def test_own_path_is_relative_to_the_folder_then_to_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    save(tmp_path / "a" / "x.npz", own())
    assert load("x.npz", folder=tmp_path / "a").n_train == 6
    monkeypatch.chdir(tmp_path / "a")
    assert load("x.npz", folder=tmp_path).n_train == 6


def test_own_images(tmp_path: Path) -> None:
    pixels = np.arange(6 * 12, dtype=np.uint8).reshape(6, 3, 4)
    data = load(save(tmp_path / "x.npz", own(train_x=np.asfortranarray(pixels), test_x=pixels[:3])))
    check_shape(data)
    assert data.shape == (3, 4, 1)
    assert data.train_x[5, 2, 3, 0] == np.float32(71) / np.float32(255)
    colour = load(save(tmp_path / "y.npz", own(train_x=np.zeros((6, 3, 4, 2)), test_x=np.zeros((3, 3, 4, 2)))))
    assert colour.shape == (3, 4, 2)


def test_own_targets(tmp_path: Path) -> None:
    arrays = own(train_y=np.linspace(0, 1, 12).reshape(6, 2), test_y=np.ones((3, 2), int))
    data = load(save(tmp_path / "x.npz", arrays))
    check_shape(data)
    assert data.train_y is None
    assert data.test_y is None
    assert data.classes == 0
    assert data.n_out == 2
    assert np.array_equal(data.train_t, arrays["train_y"].astype(np.float32))


@pytest.mark.parametrize(
    ("changes", "messages"),
    [
        ({"train_x": None, "test_y": None}, ["train_x is missing", "test_y is missing"]),
        ({"train_x": np.zeros(6), "test_x": np.zeros(3)}, ["train_x has shape (6,)", "test_x has shape (3,)"]),
        ({"train_x": np.zeros((6, 1, 1, 1, 1))}, ["train_x has shape", "samples differ"]),
        (
            {"train_x": np.float32(1), "test_x": np.uint8(200)},
            ["train_x is a single number", "test_x is a single number"],
        ),
        ({"train_x": np.zeros((0, 4))}, ["train_x is empty"]),
        ({"test_x": np.zeros((3, 5))}, ["samples differ in shape"]),
        ({"train_x": np.full((6, 4), np.nan)}, ["train_x has values that are NaN"]),
        ({"train_x": np.full((6, 4), 1e300)}, ["too large for float32"]),
        ({"train_x": np.ones((6, 4), np.uint8)}, ["uint8 with no value above 1"]),
        ({"train_x": np.array([["a"] * 4] * 6)}, ["train_x has type"]),
        ({"train_x": np.zeros((6, 4), complex)}, ["train_x has type"]),
        ({"train_x": np.zeros(6, [("a", "f4")])}, ["train_x has type"]),
        ({"train_y": np.array([0, 1, 2])}, ["train_y has 3 entries, but train_x has 6"]),
        ({"train_y": np.array([0.0, 1, 2, 0, 1, 2])}, ["train_y has type float64"]),
        ({"train_y": np.array([0, -1, 2, 0, 1, 2])}, ["labels -1..2"]),
        ({"train_y": np.array([0, 10**12, 2, 0, 1, 2])}, ["must lie in 0..9999"]),
        ({"train_y": np.zeros(6, int), "test_y": np.zeros(3, int)}, ["only the label 0"]),
        ({"test_y": np.array([0, 1, 3])}, ["test_y has label 3"]),
        ({"train_y": np.zeros((6, 2, 2))}, ["train_y has shape (6, 2, 2)"]),
        ({"train_y": np.zeros((6, 2))}, ["must be alike"]),
        ({"train_y": np.zeros((6, 2)), "test_y": np.zeros((3, 3))}, ["targets differ in width"]),
        ({"train_y": np.full((6, 2), np.inf), "test_y": np.zeros((3, 2))}, ["train_y has values that are NaN"]),
        (
            {"train_x": np.zeros((5, 3)), "train_y": np.full(6, 0.5), "test_y": np.array([-3, 0, 0])},
            ["samples differ", "train_y has 6 entries", "train_y has type", "test_y has labels -3"],
        ),
    ],
)
def test_own_data_that_is_wrong(changes: Arrays, messages: list[str], tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(save(tmp_path / "x.npz", own(**changes)))
    assert len(caught.value.problems) == len(messages), caught.value.problems
    for message in messages:
        assert any(message in problem for problem in caught.value.problems), (message, caught.value.problems)
    assert caught.value.exit_code == 2
    assert "x.npz" in str(caught.value)


class Payload:
    """Unpickling this creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_pickles_are_never_run(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    array = np.array([Payload(mark)] * 6, dtype=object)
    with pytest.raises(InputError, match="Python objects"):
        load(save(tmp_path / "x.npz", own(train_x=array)))
    # a bare pickle under the name of an array, and one instead of the whole file
    with zipfile.ZipFile(tmp_path / "y.npz", "w") as archive:
        for key in npz.KEYS:
            archive.writestr(f"{key}.npy", pickle.dumps(Payload(mark)))
    with pytest.raises(InputError, match=r"is no \.npy array"):
        load(tmp_path / "y.npz")
    (tmp_path / "z.npz").write_bytes(pickle.dumps(Payload(mark)))
    with pytest.raises(InputError, match="not a readable"):
        load(tmp_path / "z.npz")
    assert not mark.exists()
    pickle.loads((tmp_path / "z.npz").read_bytes())  # the payload does work where pickles are run
    assert mark.exists()


def npy(shape: str, body: bytes = b"", descr: str = "'<f4'") -> bytes:
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (npy("(1000000000000000, 4)", bytes(16)), "promises"),  # 16 PB in 100 bytes: must not be allocated
        (npy("(2, 2)", bytes(15)), "promises"),
        (npy("(2, 2)", bytes(17)), "promises"),
        (npy("(-1, 4)"), "is empty|is no .npy array"),
        (npy("__import__('os').getpid()"), "is no .npy array"),
        (npy("(2, 2)", bytes(16), "'|O'"), "Python objects"),
        (b"", "is no .npy array"),
        (b"\x93NUMPY\x09\x00" + bytes(100), "is no .npy array|unsupported"),
    ],
)
def test_forged_headers(member: bytes, message: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        for key in npz.KEYS:
            archive.writestr(f"{key}.npy", member)
    with pytest.raises(InputError, match=message) as caught:
        load(tmp_path / "x.npz")
    assert len(caught.value.problems) == 4


def test_zip_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An LZMA member shrinks far more than any data could; it is refused by its declared size."""
    monkeypatch.setattr(npz, "MIN_LIMIT", 10_000)
    make_embedded.write(own(train_x=np.zeros((6, 2**17))), tmp_path / "x.npz")
    with pytest.raises(InputError, match="too large for the size of the file"):
        load(tmp_path / "x.npz")


def test_broken_zip(tmp_path: Path) -> None:
    sound = save(tmp_path / "x.npz", own()).read_bytes()
    for content in (b"", b"PK\x03\x04", sound[: len(sound) // 2], sound[:60] + b"\x00" * 20 + sound[80:]):
        (tmp_path / "y.npz").write_bytes(content)
        with pytest.raises(InputError):
            load(tmp_path / "y.npz")


def test_absent_npz(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load(tmp_path / "x.npz")


# ---------------------------------------------------------------- the full sets, where this machine has them


def full_folder(name: str) -> Path:
    """The folder to read a full set from; skips the test where there is none."""
    first = "data_batch_1.bin" if name == "cifar-10" else "train-images-idx3-ubyte"
    for root in ([Path(REAL)] if REAL else []) + [DEBIAN]:
        for sub in (name, ""):
            if any((root / sub / file).is_file() for file in (first, f"{first}.gz", "cifar-10-binary.tar.gz")):
                return root
    pytest.skip(f"the full {name} is not here: NEUROSIM_DATA and {DEBIAN} have no such files")


@pytest.mark.parametrize(
    ("name", "mean", "std", "first"),
    # published: torchvision's customary normalisation constants; first labels as in the files' own documentation
    [("mnist", 0.1307, 0.3081, [5, 0, 4, 1, 9]), ("fashion-mnist", 0.2860, 0.3530, [9, 0, 0, 3, 0])],
)
def test_full_idx_sets(name: str, mean: float, std: float, first: list[int]) -> None:
    data = load(name, folder=full_folder(name))
    check_shape(data)
    assert data.train_x.shape == (60_000, 28, 28, 1)
    assert data.test_x.shape == (10_000, 28, 28, 1)
    assert data.train_x.mean(dtype=float) == pytest.approx(mean, abs=1e-4)
    assert data.train_x.std(dtype=float) == pytest.approx(std, abs=1e-4)
    assert data.train_y is not None
    assert data.train_y[:5].tolist() == first


def test_full_cifar() -> None:
    data = load("cifar-10", folder=full_folder("cifar-10"))
    assert data.train_x.shape == (50_000, 32, 32, 3)
    assert data.test_x.shape == (10_000, 32, 32, 3)
    assert data.train_x.mean(axis=(0, 1, 2), dtype=float) == pytest.approx([0.4914, 0.4822, 0.4465], abs=1e-4)
    assert data.train_y is not None
    assert np.bincount(data.train_y).tolist() == [5000] * 10


def test_embedded_comes_from_the_full_set() -> None:
    """Every embedded image is, byte for byte, the one of the full set that its index names."""
    full = load("fashion-mnist", folder=full_folder("fashion-mnist"))
    stored = np.load(Path(small.__file__).parent / "embedded" / small.FILE, allow_pickle=False)
    assert full.train_y is not None
    assert full.test_y is not None
    for part, x, y in (("train", full.train_x, full.train_y), ("test", full.test_x, full.test_y)):
        index = stored[f"{part}_index"]
        assert len(set(index.tolist())) == len(index)
        assert np.array_equal(y[index], stored[f"{part}_y"])
        assert np.array_equal(np.rint(x[index, :, :, 0] * 255).astype(np.uint8), stored[f"{part}_x"])
