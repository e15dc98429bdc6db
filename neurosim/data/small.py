"""``fashion-mnist-small``: the part of Fashion-MNIST that comes with neurosim and needs neither network nor files.

Made by ``python -m neurosim.data.make_embedded``; licence and origin in ``embedded/NOTICE``.
"""

from __future__ import annotations

import importlib.resources
import io

from neurosim.data import search
from neurosim.data.catalog import Request, register
from neurosim.data.dataset import Dataset, from_images
from neurosim.data.npz import KEYS, Array, read_npz
from neurosim.errors import DataError, InputError

FILE = "fashion-mnist-small.npz"
CLASSES = 10
#: MD5 over the bytes of train_x, train_y, test_x, test_y, in this order; printed by make_embedded
MD5 = "16acdcd4329c6810f53ba055a56bd81b"


def content_md5(arrays: dict[str, Array]) -> str:
    """MD5 over the bytes of the four arrays, whatever compression they were stored with."""
    return search.md5(b"".join(arrays[key].tobytes() for key in KEYS))


@register("fashion-mnist-small", "9,000 + 1,500 images of Fashion-MNIST, part of neurosim: needs no files, no network")
def load_small(request: Request) -> Dataset:
    """The embedded subset. Its first n samples hold every class equally often, for n a multiple of 10."""
    raw = importlib.resources.files("neurosim.data").joinpath("embedded", FILE).read_bytes()
    try:
        arrays = read_npz(io.BytesIO(raw), len(raw), KEYS, FILE)
    except InputError as error:  # no fault of the user: it is our own file
        raise DataError(f"the installed copy of neurosim is damaged: {error}") from error
    if content_md5(arrays) != MD5:
        raise DataError(f"the installed copy of neurosim is damaged: {FILE} has altered content")
    train_x, train_y, test_x, test_y = (arrays[key] for key in KEYS)
    return from_images(
        request.name,
        (train_x[..., None], train_y),
        (test_x[..., None], test_y),
        request.sizes(len(train_x), len(test_x)),
        CLASSES,
        "subset of Fashion-MNIST (Zalando SE 2017; MIT licence), part of neurosim",
    )
