"""The user's own data: one ``.npz`` file with the arrays train_x, train_y, test_x, test_y.

Such a file comes from anywhere, so nothing in it is trusted: no pickle (numpy's object arrays would execute code),
no size believed before it is compared with the bytes that are there, and every fault is listed at once.
"""

from __future__ import annotations

import lzma
import math
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from neurosim.data.catalog import Request, register
from neurosim.data.dataset import Dataset, Floats, Labels, one_hot, unit_scale
from neurosim.errors import InputError

KEYS = ("train_x", "train_y", "test_x", "test_y")
#: deflate cannot shrink data more than 1032 times; a file that claims more is forged or a bomb
MAX_RATIO = 1100
#: bytes that any file may unpack to, however small it is
MIN_LIMIT = 1 << 26
#: targets are one-hot: each class is a column
MAX_CLASSES = 10_000

Array = NDArray[Any]


def read_npz(
    file: Path | IO[bytes], size: int, keys: tuple[str, ...], where: str, *, empty: bool = False
) -> dict[str, Array]:
    """Read the arrays ``keys`` out of a ``.npz`` of ``size`` bytes; an :class:`InputError` lists every fault.

    ``empty``: arrays may hold nothing.
    """
    problems: list[str] = []
    arrays: dict[str, Array] = {}
    try:
        with zipfile.ZipFile(file) as archive:
            members = {info.filename: info for info in archive.infolist()}
            found = sorted(name.removesuffix(".npy") for name in members)
            left = max(MIN_LIMIT, MAX_RATIO * size)
            for key in keys:
                info = members.get(f"{key}.npy")
                if info is None:
                    problems.append(f"{key} is missing (the file has: {', '.join(found[:20]) or 'nothing'})")
                    continue
                left -= info.file_size
                fault = "is too large for the size of the file" if left < 0 else _header_fault(archive, info, empty)
                if fault:
                    problems.append(f"{key} {fault}")
                    continue
                with archive.open(info) as stream:
                    arrays[key] = np.lib.format.read_array(stream, allow_pickle=False)
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, OSError) as error:
        problems.append(f"not a readable .npz file ({error})")
    except (ValueError, RuntimeError, MemoryError) as error:  # numpy: bad values; zipfile: encrypted; too little memory
        problems.append(f"cannot be read ({error or type(error).__name__})")
    if problems:
        raise InputError(problems, where=where)
    return arrays


def _header_fault(archive: zipfile.ZipFile, info: zipfile.ZipInfo, empty: bool) -> str | None:
    """What is wrong with one member, seen from its header alone; memory is only taken after this said None."""
    with archive.open(info) as stream:
        try:
            version = np.lib.format.read_magic(stream)
            if version == (1, 0):
                shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
            elif version == (2, 0):
                shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
            else:
                return f"has the unsupported .npy version {version[0]}.{version[1]}"
        except ValueError as error:
            return f"is no .npy array ({error})"
        if dtype.hasobject:
            return "holds Python objects; reading them would execute code from the file, so it is refused"
        if dtype.kind not in "biuf":
            return f"has type {dtype}, expected numbers"
        if not shape:
            return "is a single number, expected an array"
        if min(shape) < 1 and not empty:
            return f"is empty (shape {shape}): every array needs at least one sample and one value in each"
        expected = stream.tell() + math.prod(shape) * dtype.itemsize
        if expected != info.file_size:
            return f"is damaged: its header {shape} promises {expected} bytes, the file has {info.file_size}"
    return None


@dataclass(frozen=True)
class _Part:
    """One half of an own dataset: inputs float32[n, *shape], and labels int64[n] or else targets float32[n, n_out]."""

    x: Floats
    y: Labels | None
    t: Floats | None


def _floats(key: str, array: Array, problems: list[str]) -> Floats:
    with np.errstate(over="ignore"):  # a float64 beyond float32 becomes inf, and that is reported
        out = np.ascontiguousarray(array, np.float32)
    if not np.isfinite(out).all():
        problems.append(f"{key} has values that are NaN, infinite or too large for float32")
    return out


def _inputs(key: str, array: Array, problems: list[str]) -> Floats:
    """[n, features], [n, height, width] or [n, height, width, channels] -> float32, images with a channel axis."""
    if not 2 <= array.ndim <= 4:
        kinds = "[n, features], [n, height, width] or [n, height, width, channels]"
        problems.append(f"{key} has shape {array.shape}, expected {kinds}")
    if array.dtype != np.uint8:
        out = _floats(key, array, problems)
    elif int(array.max()) > 1:
        out = unit_scale(array)
    else:
        problems.append(
            f"{key} is uint8 with no value above 1; uint8 is read as pixels 0..255 and divided by 255, so save values "
            "that are already 0..1 as float32 or bool"
        )
        out = np.zeros(array.shape, np.float32)
    return out[..., None] if out.ndim == 3 else out


def _answers(key: str, array: Array, n: int, problems: list[str]) -> tuple[Labels | None, Floats | None]:
    """[n] whole numbers -> (labels, None); [n, n_out] numbers -> (None, targets); neither where it is wrong."""
    if array.ndim not in (1, 2):
        problems.append(f"{key} has shape {array.shape}, expected labels [n] or targets [n, n_out]")
        return None, None
    if array.shape[0] != n:
        problems.append(f"{key} has {array.shape[0]} entries, but {key[:-1]}x has {n}")
    if array.ndim == 2:
        return None, _floats(key, array, problems)
    if array.dtype.kind not in "iu":
        problems.append(f"{key} has type {array.dtype}, expected whole class numbers (or targets [n, n_out])")
        return None, None
    low, high = int(array.min()), int(array.max())
    if low < 0 or high >= MAX_CLASSES:
        problems.append(f"{key} has labels {low}..{high}, they must lie in 0..{MAX_CLASSES - 1}")
        return None, None
    return array.astype(np.int64), None


def _mismatches(train: _Part, test: _Part) -> list[str]:
    """Where the two halves do not fit together. A half whose answers were already refused is not compared."""
    problems: list[str] = []
    if train.x.shape[1:] != test.x.shape[1:]:
        problems.append(f"samples differ in shape: train_x {train.x.shape[1:]}, test_x {test.x.shape[1:]}")
    if train.y is not None and test.y is not None:
        top = int(train.y.max())
        if top == 0:
            problems.append("train_y has only the label 0, there must be at least two classes")
        if int(test.y.max()) > top:
            problems.append(f"test_y has label {int(test.y.max())}, but the labels of train_y end at {top}")
    elif train.t is not None and test.t is not None:
        if train.t.shape[1] != test.t.shape[1]:
            problems.append(f"targets differ in width: train_y {train.t.shape[1]}, test_y {test.t.shape[1]}")
    elif (train.y is None) != (test.y is None) and (train.t is None) != (test.t is None):
        problems.append("one of train_y and test_y holds labels, the other targets; they must be alike")
    return problems


def build(arrays: dict[str, Array], request: Request, source: str) -> Dataset:
    """Check the four arrays alone and against each other, and make a :class:`Dataset`; every fault is listed."""
    problems: list[str] = []
    parts = []
    for half in ("train", "test"):
        x = _inputs(f"{half}_x", arrays[f"{half}_x"], problems)
        parts.append(_Part(x, *_answers(f"{half}_y", arrays[f"{half}_y"], len(x), problems)))
    train, test = parts
    problems += _mismatches(train, test)
    if problems:
        raise InputError(problems, where=request.name)
    n_train, n_test = request.sizes(len(train.x), len(test.x))
    train_y = None if train.y is None else train.y[:n_train]
    test_y = None if test.y is None else test.y[:n_test]
    classes = 0 if train.y is None else int(train.y.max()) + 1
    return Dataset(
        name=Path(request.name).stem,
        train_x=train.x[:n_train],
        train_y=train_y,
        train_t=_targets(train_y, train.t, n_train, classes),
        test_x=test.x[:n_test],
        test_y=test_y,
        test_t=_targets(test_y, test.t, n_test, classes),
        classes=classes,
        shape=tuple(int(size) for size in train.x.shape[1:]),
        source=source,
    )


def _targets(labels: Labels | None, targets: Floats | None, n: int, classes: int) -> Floats:
    """The targets that the file gives, else one-hot labels."""
    if targets is not None:
        return targets[:n]
    assert labels is not None  # _answers gives one of the two, or a problem
    return one_hot(labels, classes)


@register(".npz", "own data: a path that ends in .npz")
def load_npz(request: Request) -> Dataset:
    """Own data. A relative path is looked up in the caller's folder first, then in the working directory."""
    path = Path(request.name).expanduser()
    if request.folder is not None and (request.folder / path).is_file():
        path = request.folder / path
    if not path.is_file():
        raise InputError("there is no such file", where=str(path))
    arrays = read_npz(path, path.stat().st_size, KEYS, str(path))
    return build(arrays, request, f"own data, from {path}")
