"""CIFAR-10 in its binary version (https://www.cs.toronto.edu/~kriz/cifar.html; Krizhevsky, technical report 2009).

A batch is 10,000 records of one label byte and 3072 pixel bytes: 1024 red, 1024 green, 1024 blue, each row by row.
Read from the six .bin files or straight from cifar-10-binary.tar.gz: nothing is ever extracted to disk.
"""

from __future__ import annotations

import gzip
import hashlib
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neurosim.data import search
from neurosim.data.catalog import Request, register
from neurosim.data.dataset import Bytes, Dataset, check_labels, from_images
from neurosim.errors import DataError

CLASSES = 10
SIDE = 32  # pixels
RECORD = 1 + 3 * SIDE * SIDE  # bytes


@dataclass(frozen=True)
class CifarSet:
    """The published files. ``batches``: (name, MD5), the test batch last; ``records`` in each."""

    records: int
    batches: tuple[tuple[str, str], ...]
    archive: str
    archive_md5: str
    archive_max_bytes: int
    urls: tuple[str, ...]

    @property
    def batch_bytes(self) -> int:
        """Bytes of one batch."""
        return self.records * RECORD


CIFAR10 = CifarSet(
    records=10_000,
    batches=(
        ("data_batch_1.bin", "5dd7e06a14cb22eb9f671a540d1b7c25"),
        ("data_batch_2.bin", "5ea93a67294ea407fff1d09f752e9692"),
        ("data_batch_3.bin", "942cd6a4bcdd0dd3c604fbe906cb4421"),
        ("data_batch_4.bin", "ae636b3ba5c66a11e91e8cb52e771fcb"),
        ("data_batch_5.bin", "53f37980c15c3d472c316c40844f3f0d"),
        ("test_batch.bin", "803d5f7f4d78ea53de84dbe85f74fb6d"),
    ),
    archive="cifar-10-binary.tar.gz",
    archive_md5="c32a1d4ab5d03f1284b67883e8d87530",
    archive_max_bytes=200_000_000,  # 170,052,171 as published
    urls=("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
)
ADVICE = (
    "put cifar-10-binary.tar.gz, or its six .bin files, into DIR/cifar-10 and set NEUROSIM_DATA=DIR",
    "use fashion-mnist-small, which comes with neurosim",
)


def parse_cifar(raw: bytes, records: int, where: str) -> tuple[Bytes, Bytes]:
    """Bytes of one batch -> (pixels uint8[records, 32, 32, 3], labels uint8[records]), views of ``raw``."""
    if len(raw) != records * RECORD:
        fault = "cut short" if len(raw) < records * RECORD else "too long"
        raise DataError(
            f"{where}: {fault}: {records} records of {RECORD} bytes are {records * RECORD}, read {len(raw)}"
        )
    table = np.frombuffer(raw, np.uint8).reshape(records, RECORD)
    labels = table[:, 0]
    check_labels(labels, CLASSES, where)
    # the file is channel-first, everything in neurosim is channel-last
    return table[:, 1:].reshape(records, 3, SIDE, SIDE).transpose(0, 2, 3, 1), labels


def _check(raw: bytes, batch: tuple[str, str], where: str) -> tuple[Bytes, Bytes]:
    parsed = parse_cifar(raw, CIFAR10.records, where)
    digest = search.md5(raw)
    if digest != batch[1]:
        raise DataError(f"{where}: damaged or altered: its MD5 is {digest}, expected {batch[1]}")
    return parsed


def read_any(path: Path) -> list[tuple[Bytes, Bytes]]:
    """All batches, the test batch last, from the archive at ``path`` or from the folder in which the file stands."""
    if path.name.endswith(".bin"):
        batches = []
        for batch in CIFAR10.batches:
            file = path.with_name(batch[0])
            if not file.is_file():
                raise DataError(f"{file} is missing")
            batches.append(_check(search.read_bounded(file, CIFAR10.batch_bytes), batch, str(file)))
        return batches
    return read_archive(path)


def read_archive(path: Path) -> list[tuple[Bytes, Bytes]]:
    """All batches from cifar-10-binary.tar.gz, the test batch last.

    The archive's own MD5 is checked before its structure is looked at, so tarfile never sees a stranger's archive;
    and of its members only plain files with an expected name and exactly the expected size are read, into memory.
    """
    with open(path, "rb") as stream:
        digest = hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if digest != CIFAR10.archive_md5:
        raise DataError(
            f"{path}: not the published archive: its MD5 is {digest}, expected {CIFAR10.archive_md5} "
            "(one packed anew is fine once unpacked into its .bin files)"
        )
    expected = {name: (name, md5) for name, md5 in CIFAR10.batches}
    read: dict[str, tuple[Bytes, Bytes]] = {}
    try:
        with tarfile.open(path, "r:gz") as tar:
            for member in tar:
                name = member.name.rpartition("/")[2]
                stream_in = tar.extractfile(member) if member.isfile() and name in expected else None
                if stream_in is None or member.size != CIFAR10.batch_bytes:
                    continue
                read[name] = _check(stream_in.read(), expected[name], f"{path}: {member.name}")
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: the archive is corrupt ({error})") from error
    missing = [name for name in expected if name not in read]
    if missing:
        raise DataError(f"{path}: the archive has no proper {', '.join(missing)}")
    return [read[name] for name in expected]


@register("cifar-10", "CIFAR-10, 50,000 + 10,000 colour images of animals and vehicles, 32x32x3, 10 classes")
def load_cifar(request: Request) -> Dataset:
    """CIFAR-10, in the order of the files."""
    sizes = request.sizes(CIFAR10.records * (len(CIFAR10.batches) - 1), CIFAR10.records)
    wanted = search.Wanted(
        dataset="cifar-10",
        what=f"cifar-10: {CIFAR10.archive}",
        subfolders=("cifar-10", "cifar-10-batches-bin", "cifar-10/cifar-10-batches-bin", ""),
        names=(CIFAR10.batches[0][0], CIFAR10.archive),
        accept=read_any,
        urls=CIFAR10.urls,
        saved_as=CIFAR10.archive,
        max_bytes=CIFAR10.archive_max_bytes,
        advice=ADVICE,
    )
    batches, origin = search.obtain(wanted, request.folder, request.progress)
    # only as many batches as needed: all five as one array are 150 MB
    used = batches[: -(-sizes[0] // CIFAR10.records)]
    pixels = np.concatenate([batch[0] for batch in used])
    labels = np.concatenate([batch[1] for batch in used])
    title = "CIFAR-10 (Krizhevsky 2009; no formal licence)"
    return from_images("cifar-10", (pixels, labels), batches[-1], sizes, CLASSES, f"{title}, from {origin}")
