"""Laws of the random streams: frozen bits, the distributions, independence along every counter, and the same bits in
every surrounding. All counters are fixed, so a statistical bound either holds for ever or shows a change."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special, stats

from neurosim.kernels import random as rng
from neurosim.kernels.wrap import Kernel, kernel, svml_in_use

SEED = 20260
STREAM = rng.STREAM_WRITE_NOISE
LOW32 = 0xFFFFFFFF

GOLDEN_KEY = 3045985899964581067
GOLDEN_WORDS = [3505285678, 1397490356, 1553774881, 2114593657]
GOLDEN_UNIFORMS = ["0x1.42f3cfb800000p-4", "0x1.8b2e51f200000p-2", "0x1.7e6c29dc00000p-3"]
GOLDEN_NORMALS = ["-0x1.69b25f8414110p+0", "-0x1.28ee61bc45fd0p-2", "-0x1.c7afa464e043cp-1"]
GOLDEN_TABLE = "195ecb51b91a8cc8b51db750dbfa17293e6ef53d70db9a78ffc962f4b52f8065"
GOLDEN_ORDER = [5, 4, 2, 8, 1, 7, 3, 9, 0, 6]
GOLDEN_LONG_ORDER = [55695, 56048, 14360, 2611, 25734]

# --- the generator written a second time, in Python integers, from the equations of docs/randomness.md ----------------


def philox_plain(counter: list[int], key: list[int], rounds: int) -> list[int]:
    c, (k0, k1) = list(counter), key
    for _ in range(rounds):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k0, p1 & LOW32, (p0 >> 32) ^ c[3] ^ k1, p0 & LOW32]
        k0, k1 = (k0 + 0x9E3779B9) & LOW32, (k1 + 0xBB67AE85) & LOW32
    return c


def key_plain(seed: int, stream: int, step: int, inference: int, tick: int) -> int:
    counter = [step & LOW32, tick & LOW32, inference | (step >> 32) << 24, stream | (tick >> 32) << 24]
    out = philox_plain(counter, [seed & LOW32, seed >> 32], 7)
    return out[0] | out[1] >> 1 << 32


def mix_plain(x: int, shifts: tuple[int, int, int], factors: tuple[int, int]) -> int:
    x ^= x >> shifts[0]
    x = (x * factors[0]) & LOW32
    x ^= x >> shifts[1]
    x = (x * factors[1]) & LOW32
    return x ^ (x >> shifts[2])


def lowbias32(x: int) -> int:
    return mix_plain(x, (16, 15, 16), (0x7FEB352D, 0x846CA68B))


def fmix32(x: int) -> int:
    return mix_plain(x, (16, 13, 16), (0x85EBCA6B, 0xC2B2AE35))


def words_plain(key: int, element: int) -> tuple[int, int]:
    x = lowbias32((element ^ key) & LOW32)
    return fmix32((x + (key >> 32)) & LOW32), lowbias32(((x ^ 0x9E3779B9) + (key >> 32)) & LOW32)


COUNTERS = [
    (0, 0, 0, 0, 0),
    (1, 2, 3, 4, 5),
    (SEED, STREAM, 10**9, 1, 7),
    (2**63 - 1, 2**24 - 1, 2**40 - 1, 2**24 - 1, 2**40 - 1),
    (123456789012345, rng.STREAM_USER, 2**33 + 5, 60_000, 2**34 + 9),
]


@pytest.mark.parametrize(
    ("rounds", "counter", "key", "expected"),
    [  # the known answers published with Random123 (file kat_vectors)
        (7, "00000000 00000000 00000000 00000000", "00000000 00000000", "5f6fb709 0d893f64 4f121f81 4f730a48"),
        (7, "ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "5207ddc2 45165e59 4d8ee751 8c52f662"),
        (7, "243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "4dfccaba 190a87f0 c47362ba b6b5242a"),
        (10, "00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        (10, "243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
    ],
)
def test_philox_gives_the_published_answers(rounds: int, counter: str, key: str, expected: str) -> None:
    c0, c1, c2, c3 = (np.uint64(int(word, 16)) for word in counter.split())
    k0, k1 = (np.uint64(int(word, 16)) for word in key.split())
    answer = [int(word, 16) for word in expected.split()]
    assert [int(word) for word in rng.philox((c0, c1, c2, c3), (k0, k1), rounds)] == answer
    assert philox_plain([int(c0), int(c1), int(c2), int(c3)], [int(k0), int(k1)], rounds) == answer


@pytest.mark.parametrize("counter", COUNTERS)
def test_words_follow_the_documented_equations(counter: tuple[int, int, int, int, int]) -> None:
    key = int(rng.stream_key(*counter))
    assert key == key_plain(*counter) < 2**63
    for element in (0, 1, 2, 1000, 2**31, 2**32 - 1):
        word, more = words_plain(key, element)
        assert (int(rng.draw_bits(key, element)), int(rng.draw_more_bits(key, element))) == (word, more)
        assert rng.uniform(key, element) == (word + 0.5) / 2.0**32
        assert rng.uniform_fine(key, element) == (word * 2**20 + (more >> 12) + 0.5) / 2.0**52
        assert rng.below(key, element, 1000) == ((word << 32 | more) * 1000) >> 64


def test_frozen_bits() -> None:
    """Any change here is a new RNG_VERSION: old traces could no longer be repeated."""
    assert rng.RNG_VERSION == 1
    assert int(rng.stream_key(1, 2, 3, 4, 5)) == GOLDEN_KEY
    assert [int(rng.hash32(SEED, STREAM, element, 9)) for element in range(4)] == GOLDEN_WORDS
    key = rng.stream_key(SEED, STREAM, 3, 1, 2)
    assert [float(rng.uniform(key, element)).hex() for element in range(3)] == GOLDEN_UNIFORMS
    assert [float(rng.normal(key, element)).hex() for element in range(3)] == GOLDEN_NORMALS
    assert hashlib.sha256(rng._TAIL.astype("<f8").tobytes()).hexdigest() == GOLDEN_TABLE
    assert rng.permutation(SEED, rng.STREAM_SHUFFLE, 1, 10).tolist() == GOLDEN_ORDER
    assert rng.permutation(SEED, rng.STREAM_SHUFFLE, 1, 60_000)[:5].tolist() == GOLDEN_LONG_ORDER


def test_stream_numbers_are_their_own() -> None:
    numbers = [value for name, value in vars(rng).items() if name.startswith("STREAM_")]
    assert len(set(numbers)) == len(numbers)
    assert all(0 < number <= rng.STREAM_USER < 2**24 for number in numbers)


# --- the same bits everywhere -----------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("counter", COUNTERS)
def test_kernel_equals_plain_python(counter: tuple[int, int, int, int, int]) -> None:
    key = rng.stream_key(*counter)
    assert rng.stream_key.py_func(*counter) == key
    functions: list[Kernel[..., object]] = [rng.draw_bits, rng.draw_more_bits, rng.sub_key, rng.uniform]
    for function in [*functions, rng.uniform_fine, rng.normal]:
        for element in (0, 3, 2**32 - 1):
            assert function(key, element) == function.py_func(key, element)
            assert function(int(key), np.int64(element)) == function(key, np.uint32(element))
    assert rng.below(key, 5, 77) == rng.below.py_func(key, 5, 77)
    seed, stream, step = counter[:3]
    assert rng.shuffled(seed, stream, step, 9, 4) == rng.shuffled.py_func(seed, stream, step, 9, 4)
    assert rng.sign_word(seed, stream, 4, step) == rng.sign_word.py_func(seed, stream, 4, step)


def test_same_bits_without_the_compiler_and_at_any_vector_width() -> None:
    code = (
        "import numpy as np; from neurosim.kernels import random as r;"
        "x = np.empty(101); r.normals(x, 2**63 - 1, 7, 6, 5, 4); w = np.empty(101, np.uint32);"
        "r.fill_sign_words(w, 3, 2, 1); o = r.permutation(3, 2, 1, 70);"
        "print([v.hex() for v in x.tolist()], w.tolist(), o.tolist())"
    )
    surroundings: list[dict[str, str]] = [
        {"NUMBA_DISABLE_JIT": "0"},
        {"NUMBA_DISABLE_JIT": "1"},
        {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},  # no wider vectors than the architecture guarantees
    ]
    outputs = set()
    for surrounding in surroundings:
        environment = {**os.environ, **surrounding, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-W", "error", "-c", code]
        outputs.add(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
    assert len(outputs) == 1


@kernel
def _normals_backwards(out: NDArray[np.float64], key: int, every: int) -> None:
    for i in range(out.shape[0] - 1, -1, -every):
        if i % 3 != 5:  # a branch and a stride, so that this loop is compiled unlike the one in normals
            out[i] = rng.normal(key, i)


def test_same_bits_in_any_loop_any_chunk_any_thread() -> None:
    n = 10_007
    together = np.empty(n)
    rng.normals(together, SEED, STREAM, 5, 1, 2)
    key = rng.stream_key(SEED, STREAM, 5, 1, 2)
    backwards = np.empty(n)
    _normals_backwards(backwards, int(key), 1)
    alone = np.array([rng.normal(key, i) for i in range(n)])
    single = np.empty(n, dtype=np.float32)
    rng.normals(single, SEED, STREAM, 5, 1, 2)
    assert np.array_equal(together, backwards)
    assert np.array_equal(together, alone)
    assert np.array_equal(together.astype(np.float32), single)

    def block(length: int) -> NDArray[np.float64]:
        out = np.empty(length)
        rng.normals(out, SEED, STREAM, 5, 1, 2)
        return out

    with ThreadPoolExecutor(4) as pool:
        for part in pool.map(block, range(1, 200, 7)):
            assert np.array_equal(part, together[: part.size])


def test_vector_helpers_match_the_scalars() -> None:
    words, uniforms = np.empty(1000, dtype=np.uint32), np.empty(1000)
    rng.fill_sign_words(words, SEED, rng.STREAM_PERTURBATION, 12)
    rng.uniforms(uniforms, SEED, STREAM, 3, 2, 1)
    key = rng.stream_key(SEED, STREAM, 3, 2, 1)
    for i in range(1000):
        assert words[i] == rng.sign_word(SEED, rng.STREAM_PERTURBATION, i, 12)
        assert words[i] == rng.hash32(SEED, rng.STREAM_PERTURBATION, i, 12)
        assert uniforms[i] == rng.uniform(key, i)
    for n in (12 * 32, 12 * 32 + 1, 12 * 32 + 31):
        assert rng.sign_of(words[7], n) == (1.0 if (int(words[7]) >> (n % 32)) & 1 else -1.0)


# --- words ------------------------------------------------------------------------------------------------------------


@kernel
def _words_along(out: NDArray[np.uint32], axis: int, element: int) -> None:
    """out[i]: the words along one counter, all others fixed: 0 element, 1 step, 2 inference, 3 tick, 4 stream, 5 seed,
    6 sub-key."""
    for i in range(out.shape[0]):
        if axis == 0:
            out[i] = rng.draw_bits(rng.stream_key(20260, 3, 0, 0, 0), i)
        elif axis == 1:
            out[i] = rng.draw_bits(rng.stream_key(20260, 3, i, 0, 0), element)
        elif axis == 2:
            out[i] = rng.draw_bits(rng.stream_key(20260, 3, 0, i, 0), element)
        elif axis == 3:
            out[i] = rng.draw_bits(rng.stream_key(20260, 3, 0, 0, i), element)
        elif axis == 4:
            out[i] = rng.draw_bits(rng.stream_key(20260, i, 0, 0, 0), element)
        elif axis == 5:
            out[i] = rng.draw_bits(rng.stream_key(i, 3, 0, 0, 0), element)
        else:
            out[i] = rng.draw_bits(rng.sub_key(rng.stream_key(20260, 3, 0, 0, 0), i), element)


def _words(axis: int, n: int = 1 << 18, element: int = 0) -> NDArray[np.uint32]:
    out = np.empty(n, dtype=np.uint32)
    _words_along(out, axis, element)
    return out


def _bits(words: NDArray[np.uint32]) -> NDArray[np.float32]:
    """Rows of 32 numbers +-1."""
    bits = np.unpackbits(words.view(np.uint8).reshape(-1, 4), axis=1, bitorder="little")
    return bits.astype(np.float32) * np.float32(2.0) - np.float32(1.0)


AXES = range(7)


@pytest.mark.parametrize("axis", AXES)
def test_every_byte_is_uniform(axis: int) -> None:
    words = _words(axis)
    for shift in (0, 8, 16, 24):
        assert stats.chisquare(np.bincount((words >> shift) & 0xFF, minlength=256)).pvalue > 1e-4


@kernel
def _disagreements(first: NDArray[np.uint32], second: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """[r, b]: how often bit b of one word differs from bit (b + r) mod 32 of the other."""
    counts = np.zeros((32, 32), dtype=np.uint32)
    for r in range(32):
        for i in range(first.shape[0]):
            word = np.uint64(second[i])
            turned = np.uint32(((word >> np.uint64(r)) | (word << np.uint64(32 - r))) & np.uint64(0xFFFFFFFF))
            differ = np.uint32(turned ^ first[i])
            for b in range(32):
                counts[r, b] += np.uint32((differ >> np.uint32(b)) & np.uint32(1))
    return counts


def _correlations(first: NDArray[np.uint32], second: NDArray[np.uint32]) -> NDArray[np.float64]:
    """The correlation of every bit of one with every bit of the other word, in standard deviations."""
    n = first.size
    z: NDArray[np.float64] = (n - 2.0 * _disagreements(first, second)) / n**0.5
    return z


@pytest.mark.parametrize("axis", AXES)
def test_bits_are_balanced_and_independent(axis: int) -> None:
    """Bit balance, every pair of bits within a word, and every bit with every bit of its neighbours 1, 2, 3, 32 on."""
    words = _words(axis)
    balance = _correlations(words, np.zeros_like(words))[0]
    assert abs(balance).max() < 5.0
    within = _correlations(words, words)
    assert np.all(within[0] == words.size**0.5)
    assert abs(within[1:]).max() < 5.0
    for lag in (1, 2, 3, 32):
        z = _correlations(words[:-lag], words[lag:])
        assert abs(z).max() < 5.0
        assert abs((z**2).sum() - z.size) < 5.0 * (2.0 * z.size) ** 0.5


@pytest.mark.parametrize("axis", AXES)
def test_neighbours_fill_the_plane(axis: int) -> None:
    """Upper bytes and lower bytes of consecutive words, as pairs, are uniform over the 2^16 cells."""
    words = _words(axis, 1 << 20)
    for shift in (24, 0):
        byte = (words >> shift) & 0xFF
        assert stats.chisquare(np.bincount(byte[:-1] * 256 + byte[1:], minlength=1 << 16)).pvalue > 1e-4


@pytest.mark.parametrize("axis", [1, 2, 3, 4, 5, 6])
def test_words_collide_as_often_as_chance_has_it(axis: int) -> None:
    words = np.sort(_words(axis, 1 << 21, element=3))
    expected = 2.0**42 / 2.0**33
    assert abs(np.count_nonzero(np.diff(words) == 0) - expected) < 5.0 * expected**0.5


def test_words_of_one_key_are_distinct() -> None:
    assert np.unique(_words(0, 1 << 20)).size == 1 << 20


@kernel
def _second_words(out: NDArray[np.uint32]) -> None:
    key = rng.stream_key(20260, 3, 0, 0, 0)
    for i in range(out.shape[0]):
        out[i] = rng.draw_more_bits(key, i)


def test_both_words_of_a_draw_are_independent() -> None:
    first, second = _words(0), np.empty(1 << 18, dtype=np.uint32)
    _second_words(second)
    for lag in (0, 1, 2):
        z = _correlations(first[lag:], second[: second.size - lag])
        assert abs(z).max() < 5.0
        assert abs((z**2).sum() - z.size) < 5.0 * (2.0 * z.size) ** 0.5


def test_every_counter_matters() -> None:
    base = (SEED, STREAM, 3, 1, 2)
    keys = {int(rng.stream_key(*base))}
    for position in range(5):
        for change in (1, 2, 256, 65536):
            other = list(base)
            other[position] += change
            keys.add(int(rng.stream_key(*other)))
    for position in (0, 2, 4):  # beyond 32 bits
        other = list(base)
        other[position] += 2**32
        keys.add(int(rng.stream_key(*other)))
    keys.add(int(rng.sub_key(rng.stream_key(*base), 0)))
    assert len(keys) == 1 + 5 * 4 + 3 + 1


def test_signs_of_elements_are_orthogonal_over_perturbations() -> None:
    """Sum over n of s_i(n) s_j(n), all pairs i < j: mean 0, variance N; no pair stands out."""
    elements, blocks = 256, 1024
    words = np.empty((blocks, elements), dtype=np.uint32)
    for block in range(blocks):
        rng.fill_sign_words(words[block], SEED, rng.STREAM_PERTURBATION, block)
    signs = _bits(words.reshape(-1)).reshape(blocks, elements, 32).transpose(0, 2, 1).reshape(-1, elements)
    z = (signs.T @ signs)[np.triu_indices(elements, 1)] / signs.shape[0] ** 0.5
    assert abs(z).max() < 5.5
    assert abs((z**2).sum() - z.size) < 5.0 * (2.0 * z.size) ** 0.5


# --- uniforms and whole numbers ---------------------------------------------------------------------------------------


def test_uniform() -> None:
    u = np.empty(1 << 20)
    rng.uniforms(u, SEED, STREAM, 0, 0, 0)
    assert 0.0 < u.min() and u.max() < 1.0
    assert stats.kstest(u, "uniform").pvalue > 1e-3
    assert abs(u.mean() - 0.5) < 4.0 * (1.0 / 12.0 / u.size) ** 0.5
    key = rng.stream_key(SEED, STREAM, 0, 0, 0)
    assert max(abs(rng.uniform_fine(key, i) - u[i]) for i in range(2000)) <= 2.0**-32


def test_below() -> None:
    key = rng.stream_key(SEED, STREAM, 0, 0, 0)
    numbers = np.array([rng.below(key, i, 7) for i in range(70_000)])
    assert stats.chisquare(np.bincount(numbers, minlength=7)).pvalue > 1e-3
    assert {int(rng.below(key, i, 1)) for i in range(100)} == {0}
    large = [int(rng.below(key, i, 2**32 - 1)) for i in range(1000)]
    assert 0 <= min(large) and 2**31 < max(large) < 2**32 - 1


# --- normals ----------------------------------------------------------------------------------------------------------


def test_quantile_is_exact() -> None:
    p = np.concatenate([np.linspace(0.001, 0.999, 999), 2.0 ** -np.arange(2.0, 900.0)])
    ours = np.array([rng.normal_quantile(float(value)) for value in p])
    assert np.allclose(ours, special.ndtri(p), rtol=4e-15, atol=4e-15)


def test_table_follows_the_quantile_into_the_tail() -> None:
    generator = np.random.default_rng(1)
    y = np.concatenate([2.0 ** generator.uniform(-1.0, 52.0, 20_000), 2.0 ** np.arange(-1.0, 52.0), [2.0**52 - 0.5]])
    ours = np.array([rng._tail_value(float(value)) for value in y])
    assert abs(ours + special.ndtri(y * 2.0**-53)).max() < 6e-9
    assert ours.max() == pytest.approx(8.2923610758)
    assert np.all(np.diff(ours[np.argsort(y)]) <= 0.0)


def test_normal_is_the_quantile_of_its_words() -> None:
    key = int(rng.stream_key(SEED, STREAM, 1, 2, 3))
    for element in range(200):
        word, more = words_plain(key, element)
        p = ((word & 0x7FFFFFFF) * 2**21 + (more >> 11) + 0.5) / 2.0**53
        expected = -float(special.ndtri(p)) * (1.0 if word >> 31 else -1.0)
        assert rng.normal(key, element) == pytest.approx(expected, abs=6e-9)


def test_normal_distribution() -> None:
    x = np.empty(1 << 20)
    rng.normals(x, SEED, STREAM, 0, 0, 0)
    assert stats.kstest(x, "norm").pvalue > 1e-3
    assert np.unique(x).size == x.size
    for lag in (1, 2, 3, 8, 16, 64, 1024):
        assert abs((x[:-lag] * x[lag:]).sum()) < 4.5 * (x.size - lag) ** 0.5
        assert abs(((x[:-lag] ** 2 - 1.0) * (x[lag:] ** 2 - 1.0)).sum()) < 4.5 * (4.0 * (x.size - lag)) ** 0.5


@pytest.mark.parametrize("position", range(5))
def test_normals_of_neighbouring_moments_and_streams_are_uncorrelated(position: int) -> None:
    n = 1 << 18
    base = [SEED, STREAM, 0, 0, 0]
    reference, other = np.empty(n), np.empty(n)
    rng.normals(reference, base[0], base[1], base[2], base[3], base[4])
    for change in (1, 2, 3, 64):
        moved = list(base)
        moved[position] += change
        rng.normals(other, moved[0], moved[1], moved[2], moved[3], moved[4])
        assert abs((reference * other).sum()) < 4.5 * n**0.5
        assert abs(((reference**2 - 1.0) * (other**2 - 1.0)).sum()) < 4.5 * (4.0 * n) ** 0.5


@kernel
def _moments(steps: int, elements: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Sums of x, x^2, x^3, x^4 and the counts of |x| beyond 3, 4 and 5 over steps x elements normals."""
    sums = np.zeros(4)
    beyond = np.zeros(3, dtype=np.int64)
    x = np.empty(elements)
    for step in range(steps):
        rng.normals(x, 20260, 7, step, 0, 0)
        for i in range(elements):
            square = x[i] * x[i]
            sums[0] += x[i]
            sums[1] += square
            sums[2] += square * x[i]
            sums[3] += square * square
            if square > 9.0:
                beyond[0] += 1
                beyond[1] += square > 16.0
                beyond[2] += square > 25.0
    return sums, beyond


def test_mean_moments_and_tails_of_sixty_million_normals() -> None:
    steps, elements = 6000, 10_000
    n = steps * elements
    sums, beyond = _moments(steps, elements)
    exact = [(0.0, 1.0), (1.0, 2.0), (0.0, 15.0), (3.0, 96.0)]  # mean and variance of x^k
    for total, (mean, variance) in zip(sums, exact, strict=True):
        assert abs(total - n * mean) < 4.0 * (n * variance) ** 0.5
    for count, sigma in zip(beyond, (3.0, 4.0, 5.0), strict=True):
        expected = n * 2.0 * stats.norm.sf(sigma)  # at five sigma 34
        assert stats.poisson.ppf(1e-4, expected) <= count <= stats.poisson.isf(1e-4, expected)


# --- permutations -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 3, 10, 63, 64, 65, 66, 81, 82, 100, 1000, 4096, 10_007, 60_000])
def test_permutation_is_a_bijection_and_equals_shuffled(n: int) -> None:
    for epoch in (0, 1, 2**33):
        order = rng.permutation(SEED, rng.STREAM_SHUFFLE, epoch, n)
        assert np.array_equal(np.sort(order), np.arange(n))
        for i in {0, n // 3, n - 1}:
            assert rng.shuffled(SEED, rng.STREAM_SHUFFLE, epoch, n, i) == order[i]


def test_shuffled_serves_sets_far_too_large_to_store() -> None:
    n = 2**32 - 5
    places = [int(rng.shuffled(SEED, rng.STREAM_SHUFFLE, 0, n, i)) for i in range(n - 3000, n)]
    assert len(set(places)) == 3000
    assert 0 <= min(places) and max(places) < n
    assert stats.kstest(np.array(places) / n, "uniform").pvalue > 1e-3


@kernel
def _order_counts(n: int, epochs: int) -> NDArray[np.int64]:
    counts = np.zeros(n**n, dtype=np.int64)
    for epoch in range(epochs):
        order = rng.permutation(20260, 11, epoch, n)
        number = 0
        for i in range(n):
            number = number * n + order[i]
        counts[number] += 1
    return counts


@pytest.mark.parametrize(("n", "orders"), [(2, 2), (4, 24), (5, 120)])
def test_small_orders_are_equally_frequent(n: int, orders: int) -> None:
    counts = _order_counts(n, 100_000)
    assert np.count_nonzero(counts) == orders
    assert stats.chisquare(counts[counts > 0]).pvalue > 1e-3


@kernel
def _place_counts(n: int, epochs: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """How often place i holds value v, and how often value v is followed by value w."""
    places = np.zeros((n, n), dtype=np.int64)
    follows = np.zeros((n, n), dtype=np.int64)
    for epoch in range(epochs):
        order = rng.permutation(20260, 11, epoch, n)
        for i in range(n):
            places[i, order[i]] += 1
            if i + 1 < n:
                follows[order[i], order[i + 1]] += 1
    return places, follows


@pytest.mark.parametrize("n", [8, 64, 65, 100])
def test_places_and_neighbours_are_uniform(n: int) -> None:
    epochs = 20_000
    places, follows = _place_counts(n, epochs)
    expected = epochs / n
    assert stats.chi2.sf(((places - expected) ** 2 / expected).sum(), (n - 1) ** 2) > 1e-3
    pairs = follows[~np.eye(n, dtype=bool)]
    assert stats.chisquare(pairs).pvalue > 1e-3


# --- the wrapper ------------------------------------------------------------------------------------------------------


@kernel
def _sum(values: NDArray[np.float32]) -> np.floating:
    total = np.float32(0.0)
    for value in values:
        total += value
    return total


def test_kernel_keeps_the_order_of_a_sum() -> None:
    values = (1.0 / np.arange(1.0, 20_001.0)).astype(np.float32)
    assert _sum(values) == _sum.py_func(values)
    assert _sum(values) != values.sum()  # numpy adds pairwise: the order is visible in the last bits


def test_kernel_in_its_three_forms() -> None:
    def double(x: float) -> float:
        """Twice x."""
        return 2.0 * x / 1.0

    for compiled in (kernel(double), kernel()(double), kernel(cache=False)(double)):
        assert compiled(1.5) == compiled.py_func(1.5) == 3.0
        assert compiled.py_func is double
        assert compiled.__doc__ == "Twice x."


def test_kernel_divides_like_an_array() -> None:
    def ratio(a: float, b: float) -> float:
        return a / b

    assert kernel(ratio)(1.0, 0.0) == float("inf")


def test_no_svml() -> None:
    assert not svml_in_use()


def test_bounds_are_checked_on_request() -> None:
    code = (
        "import numpy as np; from neurosim.kernels.wrap import kernel\n"
        "def at(a, i):\n    return a[i]\n"
        "try:\n    kernel(at)(np.zeros(3), 5); print('unchecked')\n"
        "except IndexError:\n    print('checked')"
    )
    for flag, expected in (("1", "checked"), ("0", "unchecked")):
        environment = {**os.environ, "NEUROSIM_BOUNDSCHECK": flag, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        assert done.stdout.strip() == expected
