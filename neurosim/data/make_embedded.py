"""Makes ``embedded/fashion-mnist-small.npz`` out of the full Fashion-MNIST::

    python -m neurosim.data.make_embedded FOLDER [--output FILE]

FOLDER holds the four files, as for ``NEUROSIM_DATA``. The choice is seeded and balanced; the pixels are unchanged.
"""

from __future__ import annotations

import argparse
import sys
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from neurosim.data import idx, search, small
from neurosim.data.dataset import Bytes
from neurosim.data.npz import Array

SEED = 20170828
PER_CLASS = {"train": 900, "test": 150}
MAX_BYTES = 4_000_000


def choose(labels: Bytes, per_class: int, seed: int) -> NDArray[np.uint16]:
    """Indices uint16[per_class * 10] into ``labels``, ordered so that every ten of them have each class once.

    Thus ``n_train`` cuts a balanced subset out of a balanced subset.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(labels.size)
    columns = [order[labels[order] == label][:per_class] for label in range(idx.CLASSES)]
    rows = rng.permuted(np.stack(columns, axis=1), axis=1)  # [per_class, classes], each row in its own random order
    return rows.ravel().astype(np.uint16)


def subset(folder: Path) -> dict[str, Array]:
    """What is embedded: pixels uint8[n, 28, 28], labels uint8[n], and uint16[n], the indices in the full set."""
    known = idx.SETS["fashion-mnist"]
    full = [search.obtain(idx.wanted("fashion-mnist", known, file), folder, None)[0] for file in known.files]
    arrays: dict[str, Array] = {}
    for number, part in enumerate(("train", "test")):
        images, labels = full[2 * number], full[2 * number + 1]
        index = choose(labels, PER_CLASS[part], SEED + number)
        arrays |= {f"{part}_x": images[index], f"{part}_y": labels[index], f"{part}_index": index}
    return arrays


def write(arrays: dict[str, Array], path: Path) -> None:
    """An ``.npz`` that numpy reads, compressed with LZMA (an eighth smaller than deflate) and without a date in it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for key, array in arrays.items():
            info = zipfile.ZipInfo(f"{key}.npy", (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_LZMA
            with archive.open(info, "w") as out:
                np.lib.format.write_array(out, np.ascontiguousarray(array), allow_pickle=False)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Make the embedded subset of Fashion-MNIST.")
    parser.add_argument("folder", type=Path, help="folder with the full Fashion-MNIST")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "embedded" / small.FILE)
    args = parser.parse_args()
    arrays = subset(args.folder)
    write(arrays, args.output)
    size = args.output.stat().st_size
    shapes = ", ".join(f"{key} {array.shape}" for key, array in arrays.items())
    sys.stdout.write(f"{args.output}: {size} bytes; {shapes}\ncontent MD5 {small.content_md5(arrays)}\n")
    if size > MAX_BYTES:
        sys.exit(f"larger than {MAX_BYTES} bytes: choose fewer images")


if __name__ == "__main__":
    main()
