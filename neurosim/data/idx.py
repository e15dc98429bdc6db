"""MNIST and Fashion-MNIST: four files each in the IDX format.

IDX (http://yann.lecun.com/exdb/mnist/): bytes 0, 0, type (8 = uint8), number of dimensions; one big-endian uint32 per
dimension; then the values, last index fastest. Checksums: MD5 of the uncompressed files, because Debian's gz files
hold the same bytes under another gzip header.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neurosim.data import search
from neurosim.data.catalog import Request, register
from neurosim.data.dataset import Bytes, Dataset, check_labels, from_images
from neurosim.errors import DataError

CLASSES = 10


@dataclass(frozen=True)
class IdxFile:
    """One file: name without .gz, shape of its array, MD5 of its uncompressed bytes."""

    name: str
    shape: tuple[int, ...]
    md5: str

    @property
    def size(self) -> int:
        """Uncompressed bytes."""
        return 4 + 4 * len(self.shape) + math.prod(self.shape)


@dataclass(frozen=True)
class IdxSet:
    """One dataset: files in the order train images, train labels, test images, test labels."""

    title: str
    files: tuple[IdxFile, IdxFile, IdxFile, IdxFile]
    subfolders: tuple[str, ...]
    mirrors: tuple[str, ...]
    advice: tuple[str, ...]


def _files(*md5s: str) -> tuple[IdxFile, IdxFile, IdxFile, IdxFile]:
    return (
        IdxFile("train-images-idx3-ubyte", (60_000, 28, 28), md5s[0]),
        IdxFile("train-labels-idx1-ubyte", (60_000,), md5s[1]),
        IdxFile("t10k-images-idx3-ubyte", (10_000, 28, 28), md5s[2]),
        IdxFile("t10k-labels-idx1-ubyte", (10_000,), md5s[3]),
    )


SETS: dict[str, IdxSet] = {
    "mnist": IdxSet(
        title="MNIST (LeCun, Cortes, Burges 1998; no formal licence)",
        files=_files(
            "6bbc9ace898e44ae57da46a324031adb",
            "a25bea736e30d166cdddb491f175f624",
            "2646ac647ad5339dbf082846283269ea",
            "27ae3e4e09519cfbb04c329615203637",
        ),
        subfolders=("mnist", "MNIST/raw", ""),  # the second is where torchvision puts them
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ),
        advice=(
            "put the four files into DIR/mnist, gzipped or not, and set NEUROSIM_DATA=DIR",
            "use fashion-mnist-small, which comes with neurosim",
        ),
    ),
    "fashion-mnist": IdxSet(
        title="Fashion-MNIST (Zalando SE 2017; MIT licence)",
        files=_files(
            "f4a8712d7a061bf5bd6d2ca38dc4d50a",
            "9018921c3c673c538a1fc5bad174d6f9",
            "8181f5470baa50b63fa0f6fddb340f0a",
            "15d484375f8d13e6eb1aabb0c3f46965",
        ),
        subfolders=("fashion-mnist", "FashionMNIST/raw", ""),
        mirrors=(
            "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ),
        advice=(
            "on Debian or Ubuntu: apt-get install dataset-fashion-mnist",
            "put the four files into DIR/fashion-mnist, gzipped or not, and set NEUROSIM_DATA=DIR",
            "use fashion-mnist-small, which comes with neurosim",
        ),
    ),
}


def parse_idx(raw: bytes, where: str) -> Bytes:
    """Bytes of an IDX file of unsigned bytes -> read-only uint8 array in the shape that its header says.

    Nothing is allocated: the array is a view of ``raw``, and a header that promises another length is an error.
    """
    if len(raw) < 4 or raw[0] or raw[1] or raw[2] != 8 or not 1 <= raw[3] <= 4:
        shown = raw[:4].hex(" ") or "nothing"
        raise DataError(f"{where}: not an IDX file of bytes (it starts with {shown}, not with 00 00 08 and 01..04)")
    start = 4 + 4 * raw[3]
    if len(raw) < start:
        raise DataError(f"{where}: cut short inside its header ({len(raw)} bytes)")
    shape = struct.unpack(f">{raw[3]}I", raw[4:start])
    expected = start + math.prod(shape)
    if len(raw) != expected:
        fault = "cut short" if len(raw) < expected else "too long"
        raise DataError(f"{where}: {fault}: the header {shape} promises {expected} bytes, read {len(raw)}")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def read_file(path: Path, file: IdxFile) -> Bytes:
    """Read one of the known files, gzipped or not, and check all of it: format, shape, MD5, labels."""
    raw = search.read_bounded(path, file.size)
    array = parse_idx(raw, str(path))
    if array.shape != file.shape:
        raise DataError(f"{path}: holds an array {array.shape}, expected {file.shape}")
    digest = search.md5(raw)
    if digest != file.md5:
        for other in SETS.values():
            if digest in (known.md5 for known in other.files):
                raise search.OtherSetError(f"{path}: this file belongs to {other.title}")
        raise DataError(f"{path}: damaged or altered: MD5 of its uncompressed bytes is {digest}, expected {file.md5}")
    if array.ndim == 1:
        check_labels(array, CLASSES, str(path))
    return array


def wanted(name: str, known: IdxSet, file: IdxFile) -> search.Wanted[Bytes]:
    """What :func:`search.obtain` needs to know about one file of a set."""
    return search.Wanted(
        dataset=name,
        what=f"{name}: {file.name}(.gz)",
        subfolders=known.subfolders,
        names=(f"{file.name}.gz", file.name),
        accept=lambda path: read_file(path, file),
        urls=tuple(f"{mirror}{file.name}.gz" for mirror in known.mirrors),
        saved_as=f"{file.name}.gz",
        max_bytes=file.size + 65_536,  # gzip can be a little longer than what it holds, never much
        advice=known.advice,
    )


@register("fashion-mnist", "Fashion-MNIST, 60,000 + 10,000 grey images of clothes, 28x28, 10 classes")
@register("mnist", "MNIST, 60,000 + 10,000 grey images of handwritten digits, 28x28, 10 classes")
def load_idx(request: Request) -> Dataset:
    """MNIST or Fashion-MNIST, in the order of the files."""
    known = SETS[request.name]
    sizes = request.sizes(known.files[0].shape[0], known.files[2].shape[0])
    found = [search.obtain(wanted(request.name, known, file), request.folder, request.progress) for file in known.files]
    train_x, train_y, test_x, test_y = (content for content, _ in found)
    origins = ", ".join(dict.fromkeys(origin for _, origin in found))  # each once, in order
    return from_images(
        request.name,
        (train_x[..., None], train_y),
        (test_x[..., None], test_y),
        sizes,
        CLASSES,
        f"{known.title}, from {origins}",
    )
