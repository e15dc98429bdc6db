"""NIST7x7-style letters: N, I, S and T on a grid of 7x7 pixels.

The set used for multiplexed gradient descent (McCaughan et al. 2023, network 49-4-4) is not public; this one is made
here and its numbers must not be compared with published ones digit for digit. What is recalled of the original is
its size, 44,136 images. That number equals 4 letters x 9 positions x 1226 ways to flip at most two of 49 pixels
(1 + 49 + 1176), and so we build it like that: a 5x5 letter at one of 3x3 positions, then up to two flipped pixels.
Whether the original was made this way is our inference, the shapes of the letters are our own, and the Gaussian noise
on top is an addition.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from neurosim.data.catalog import Option, Request, register
from neurosim.data.dataset import Dataset, Floats, Labels, one_hot
from neurosim.errors import InputError

SIDE = 7  # pixels
GLYPH = 5  # pixels
SHIFTS = SIDE - GLYPH + 1  # positions along one axis
LETTERS = {
    "N": ("#...#", "##..#", "#.#.#", "#..##", "#...#"),
    "I": ("#####", "..#..", "..#..", "..#..", "#####"),
    "S": (".####", "#....", ".###.", "....#", "####."),
    "T": ("#####", "..#..", "..#..", "..#..", "..#.."),
}
#: drawn when the caller does not say how many
N_TRAIN, N_TEST = 4000, 1000


def clean_images() -> NDArray[np.bool_]:
    """bool[4 letters, 9 positions, 49 pixels]: every letter at every position, without any noise."""
    out = np.zeros((len(LETTERS), SHIFTS, SHIFTS, SIDE, SIDE), np.bool_)
    for letter, rows in enumerate(LETTERS.values()):
        glyph = np.array([[pixel == "#" for pixel in row] for row in rows])
        for dy, dx in itertools.product(range(SHIFTS), repeat=2):
            out[letter, dy, dx, dy : dy + GLYPH, dx : dx + GLYPH] = glyph
    return out.reshape(len(LETTERS), SHIFTS * SHIFTS, SIDE * SIDE)


def all_images(max_flips: int) -> tuple[NDArray[np.bool_], Labels]:
    """Every image with at most ``max_flips`` flipped pixels: (bool[n, 49], labels int64[n]); n = 44,136 for two."""
    masks = [
        np.isin(np.arange(SIDE * SIDE), pixels)
        for flips in range(max_flips + 1)
        for pixels in itertools.combinations(range(SIDE * SIDE), flips)
    ]
    images = clean_images()[:, :, None, :] ^ np.array(masks)
    per_letter = images.shape[1] * images.shape[2]
    return images.reshape(-1, SIDE * SIDE), np.repeat(np.arange(len(LETTERS), dtype=np.int64), per_letter)


def _noisy(images: NDArray[np.bool_], noise_std: float, seed: int, part: int) -> Floats:
    """bool[n, 49] -> float32[n, 7, 7, 1] with Gaussian noise, clipped to 0..1. ``part`` keeps train and test apart."""
    rng = np.random.default_rng([seed, part])
    noise = rng.standard_normal(images.shape, dtype=np.float32)  # drawn even for std 0: one path, one stream
    out = np.clip(images.astype(np.float32) + np.float32(noise_std) * noise, 0.0, 1.0)
    return np.ascontiguousarray(out.reshape(-1, SIDE, SIDE, 1), np.float32)


@register(
    "nist7x7",
    "NIST7x7-style: letters N, I, S, T on 7x7 pixels, shifted, with flipped pixels and noise (generated)",
    noise_std=Option(default=0.1, low=0.0, high=1.0, about="standard deviation of the noise on a pixel, pixels 0..1"),
    max_flips=Option(default=2, low=0, high=2, about="pixels flipped at most"),
    seed=Option(default=0, low=0, high=2**63 - 1, about="seed of the choice and of the noise"),
)
def load_letters(request: Request) -> Dataset:
    """Draw ``n_train`` + ``n_test`` different images out of all. A larger set begins with the smaller one."""
    seed, flips = int(request.options["seed"]), int(request.options["max_flips"])
    noise_std = float(request.options["noise_std"])
    images, labels = all_images(flips)
    n_train, n_test = request.n_train, request.n_test
    if n_train is None:  # with few flips there are fewer images than the default
        n_train = min(N_TRAIN, (len(images) * 4) // 5 if n_test is None else max(1, len(images) - n_test))
    if n_test is None:
        n_test = max(1, min(N_TEST, len(images) - n_train))
    if n_train + n_test > len(images):
        raise InputError(
            f"n_train + n_test = {n_train + n_test}, but there are only {len(images)} images with at most {flips} "
            "flipped pixels",
            where=request.name,
        )
    order = np.random.default_rng([seed, 0]).permutation(len(images))
    train, test = order[:n_train], order[::-1][:n_test]  # from both ends: no image is in both
    return Dataset(
        name=request.name,
        train_x=_noisy(images[train], noise_std, seed, 1),
        train_y=labels[train],
        train_t=one_hot(labels[train], len(LETTERS)),
        test_x=_noisy(images[test], noise_std, seed, 2),
        test_y=labels[test],
        test_t=one_hot(labels[test], len(LETTERS)),
        classes=len(LETTERS),
        shape=(SIDE, SIDE, 1),
        source=f"generated: NIST7x7-style letters, max_flips {flips}, noise_std {noise_std}, seed {seed}",
    )
