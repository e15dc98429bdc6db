"""Counter-based random numbers: every number is a pure function of (seed, stream, element, step, inference, tick).

Nothing here has a state, so nothing depends on who draws first, on how many numbers somebody else drew, on the length
of a burst, on threads, or on whether a run was stopped and resumed. Two stages make it cheap in loops over elements:

1. ``key = stream_key(seed, stream, step, inference, tick)``, once outside the loop: Philox4x32 of the counter words
   with the seed as key [1]; 63 bits of its output are the *stream key*: k0 its lower 32 bits, k1 the 31 above.
2. ``draw_bits(key, element)``, in the loop: two rounds of a 32-bit avalanche mixer with the key injected before each,

       x = A(element xor k0),   word = B(x + k1)

   where A is ``lowbias32`` [2] and B the finaliser of MurmurHash3 [3], each two 32-bit multiplications. Only 32-bit
   operations occur, which vectorise on any x86-64 or arm64. For one key the words of distinct elements are distinct.

Everything else is built on these words: uniforms in (0, 1), standard normals from a table of the inverse normal
distribution function that is refined octave by octave into the tail, signs 32 to a word, whole numbers, permutations.

Keys and seeds stay below 2^63, so that they are the same type, int64, in a kernel, in numpy and on the way from one
kernel through Python to the next. Integers are cast at the entrance of each function, so that signed and unsigned
arguments mix freely (numba turns int64 + uint64 into a float); products are formed in 64 bits and cut to 32, so that
the plain Python form (``.py_func``) wraps without a warning. Nothing of the maths library is called after import, hence
the same bits on every IEEE 754 machine.

Elements count modulo 2^32, steps and ticks modulo 2^40, streams and inferences modulo 2^24.

[1] J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, Parallel random numbers: as easy as 1, 2, 3, SC'11, 2011.
    Seven rounds are the fewest that pass BigCrush there; the mixer of stage 2 comes on top.
[2] C. Wellons, hash-prospector (public domain), constants 0x7feb352d, 0x846ca68b, shifts 16, 15, 16.
[3] A. Appleby, MurmurHash3 fmix32 (public domain), constants 0x85ebca6b, 0xc2b2ae35, shifts 16, 13, 16.
"""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from neurosim.kernels.wrap import kernel

RNG_VERSION: Final = 1
"""Number of this generator; stands in every trace as ``rng_version`` and rises when any bit of any stream changes."""

# Who draws. A number, once given, is never given again: a stream's numbers are its own. Models from outside take theirs
# from STREAM_USER on.
STREAM_MISMATCH_DEVICE: Final = 1
STREAM_MISMATCH_NEURON: Final = 2
STREAM_PERTURBATION: Final = 3
STREAM_PERMUTATION: Final = 4
STREAM_COST_NOISE: Final = 5
STREAM_READ_NOISE: Final = 6
STREAM_WRITE_NOISE: Final = 7
STREAM_ROUNDING: Final = 8
STREAM_MEMBRANE_NOISE: Final = 9
STREAM_ENCODER: Final = 10
STREAM_SHUFFLE: Final = 11
STREAM_INIT: Final = 12
STREAM_DELTA_NOISE: Final = 13
STREAM_ORTHOGONAL: Final = 14
STREAM_FAULT: Final = 15
STREAM_STUCK: Final = 16
STREAM_BROADCAST_NOISE: Final = 17
STREAM_AMPLITUDE: Final = 18
STREAM_FEEDBACK: Final = 19
STREAM_TRANSMISSION: Final = 20
STREAM_DRIVE: Final = 21
STREAM_ELAPSE: Final = 22
STREAM_DEAD_LINE: Final = 23
STREAM_INPUT_NOISE: Final = 24
STREAM_OUTPUT_NOISE: Final = 25
STREAM_USER: Final = 0x10000

Integer: TypeAlias = int | np.integer
"""Any whole number that fits in 64 bits."""

_LOW32: Final = np.uint64(0xFFFFFFFF)
_LOW24: Final = np.uint64(0xFFFFFF)
_LOW8: Final = np.uint64(0xFF)
_1: Final = np.uint64(1)
_32: Final = np.uint64(32)

# --- stage 1: the key of a stream at a moment -------------------------------------------------------------------------

_PHILOX_ROUNDS: Final = 7
_PHILOX_M0: Final = np.uint64(0xD2511F53)
_PHILOX_M1: Final = np.uint64(0xCD9E8D57)
_PHILOX_W0: Final = np.uint64(0x9E3779B9)
_PHILOX_W1: Final = np.uint64(0xBB67AE85)


@kernel
def philox(
    counter: tuple[np.uint64, np.uint64, np.uint64, np.uint64], key: tuple[np.uint64, np.uint64], rounds: int
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    """Philox4x32 [1]: four counter words and two key words, each below 2^32 in a uint64, to four random words.

    One round: (c0, c1, c2, c3) <- (hi(M1 c2) xor c1 xor k0, lo(M1 c2), hi(M0 c0) xor c3 xor k1, lo(M0 c0)), and the key
    moves on by (W0, W1).
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(rounds):
        product0 = _PHILOX_M0 * c0
        product1 = _PHILOX_M1 * c2
        c0 = (product1 >> _32) ^ c1 ^ k0
        c1 = product1 & _LOW32
        c2 = (product0 >> _32) ^ c3 ^ k1
        c3 = product0 & _LOW32
        k0 = (k0 + _PHILOX_W0) & _LOW32
        k1 = (k1 + _PHILOX_W1) & _LOW32
    return c0, c1, c2, c3


@kernel
def stream_key(seed: Integer, stream: Integer, step: Integer, inference: Integer, tick: Integer) -> np.int64:
    """The 63-bit key of a stream at one moment; compute it outside the loop over elements.

    The counter is (step, tick, inference | step >> 32, stream | tick >> 32), its top bytes holding the upper parts of
    step and tick, so distinct moments and streams are distinct counters.
    """
    seed_ = np.uint64(seed)
    step_ = np.uint64(step)
    tick_ = np.uint64(tick)
    c0 = step_ & _LOW32
    c1 = tick_ & _LOW32
    c2 = (np.uint64(inference) & _LOW24) | (((step_ >> _32) & _LOW8) << np.uint64(24))
    c3 = (np.uint64(stream) & _LOW24) | (((tick_ >> _32) & _LOW8) << np.uint64(24))
    out0, out1, _, _ = philox((c0, c1, c2, c3), (seed_ & _LOW32, seed_ >> _32), _PHILOX_ROUNDS)
    return np.int64(out0 | ((out1 >> _1) << _32))


# --- stage 2: the words of the elements -------------------------------------------------------------------------------

_A1: Final = np.uint64(0x7FEB352D)
_A2: Final = np.uint64(0x846CA68B)
_B1: Final = np.uint64(0x85EBCA6B)
_B2: Final = np.uint64(0xC2B2AE35)
_GOLDEN: Final = np.uint64(0x9E3779B9)
_13: Final = np.uint32(13)
_15: Final = np.uint32(15)
_16: Final = np.uint32(16)


@kernel
def _mix_a(x: np.uint32) -> np.uint32:
    """``lowbias32`` [2]: a bijection of the 32-bit words; every input bit flips every output bit half the time."""
    x = np.uint32(x ^ (x >> _16))
    x = np.uint32(x * _A1)
    x = np.uint32(x ^ (x >> _15))
    x = np.uint32(x * _A2)
    return np.uint32(x ^ (x >> _16))


@kernel
def _mix_b(x: np.uint32) -> np.uint32:
    """``fmix32`` [3], the same with other constants."""
    x = np.uint32(x ^ (x >> _16))
    x = np.uint32(x * _B1)
    x = np.uint32(x ^ (x >> _13))
    x = np.uint32(x * _B2)
    return np.uint32(x ^ (x >> _16))


@kernel
def _spread(key: np.uint64, element: Integer) -> np.uint32:
    """x = A(element xor k0)."""
    return _mix_a(np.uint32((np.uint64(element) ^ key) & _LOW32))


@kernel
def draw_bits(key: Integer, element: Integer) -> np.uint32:
    """32 random bits: B(A(element xor k0) + k1)."""
    key_ = np.uint64(key)
    x = _spread(key_, element)
    return _mix_b(np.uint32((x + (key_ >> _32)) & _LOW32))


@kernel
def draw_more_bits(key: Integer, element: Integer) -> np.uint32:
    """32 further bits of the same draw, independent of ``draw_bits``: A((A(element xor k0) xor golden) + k1)."""
    key_ = np.uint64(key)
    x = _spread(key_, element)
    return _mix_a(np.uint32(((x ^ _GOLDEN) + (key_ >> _32)) & _LOW32))


@kernel
def sub_key(key: Integer, index: Integer) -> np.int64:
    """A key below a key, for one dimension more than a moment has (the pulse of a pulse train, the try of a retry)."""
    inner = np.uint64(key) ^ _GOLDEN
    high = np.uint64(draw_more_bits(inner, index)) >> _1
    return np.int64(np.uint64(draw_bits(inner, index)) | (high << _32))


@kernel
def hash32(seed: Integer, stream: Integer, element: Integer, block: Integer) -> np.uint32:
    """32 random bits of (seed, stream, element, block) in one call: ``draw_bits`` with the block as step."""
    return draw_bits(stream_key(seed, stream, block, 0, 0), element)


# --- uniforms ---------------------------------------------------------------------------------------------------------

_2_POW_M32: Final = 2.0**-32
_2_POW_M52: Final = 2.0**-52
_2_POW_20: Final = 2.0**20
_2_POW_21: Final = 2.0**21


@kernel
def uniform(key: Integer, element: Integer) -> float:
    """u = (word + 1/2) / 2^32: strictly inside (0, 1), mean exactly 1/2, as float64."""
    return (np.float64(draw_bits(key, element)) + 0.5) * _2_POW_M32


@kernel
def uniform_fine(key: Integer, element: Integer) -> float:
    """The same with 52 bits: u = (m + 1/2) / 2^52, every value exact; ``uniform`` is within 2^-32 of it."""
    high = np.float64(draw_bits(key, element))
    low = np.float64(draw_more_bits(key, element) >> np.uint32(12))
    return (high * _2_POW_20 + low + 0.5) * _2_POW_M52


@kernel
def below(key: Integer, element: Integer, n: Integer) -> np.int64:
    """A whole number in 0..n-1, 1 <= n < 2^32: floor(w n / 2^64) with a 64-bit word w; relative bias below n / 2^64."""
    n_ = np.uint64(n)
    high = np.uint64(draw_bits(key, element))
    low = np.uint64(draw_more_bits(key, element))
    return np.int64((high * n_ + ((low * n_) >> _32)) >> _32)


# --- normals ----------------------------------------------------------------------------------------------------------


def normal_quantile(p: float) -> float:
    """The inverse of the standard normal distribution function, relative accuracy about 1e-16 for 1e-300 < p < 1.

    Algorithm PPND16 of M. J. Wichura, Algorithm AS 241: the percentage points of the normal distribution, Applied
    Statistics 37 (1988) 477-484: rational approximations of degree 7/7 in q^2 for |q| = |p - 1/2| <= 0.425 and in
    r = sqrt(-ln min(p, 1 - p)) outside.
    """
    q = p - 0.5
    if abs(q) <= 0.425:
        return q * _rational(_CENTRE, 0.180625 - q * q)
    r = math.sqrt(-math.log(p if q < 0.0 else 1.0 - p))
    x = _rational(_MIDDLE, r - 1.6) if r <= 5.0 else _rational(_FAR, r - 5.0)
    return -x if q < 0.0 else x


def _rational(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: float) -> float:
    numerator, denominator = 0.0, 0.0
    for a in reversed(coefficients[0]):
        numerator = numerator * x + a
    for b in reversed(coefficients[1]):
        denominator = denominator * x + b
    return numerator / denominator


_CENTRE: Final = (
    (3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
     4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
    (1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
     2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
)  # fmt: skip
_MIDDLE: Final = (
    (1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
     1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
    (1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
     1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9),
)  # fmt: skip
_FAR: Final = (
    (6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
     2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7),
    (1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
     7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15),
)  # fmt: skip

_SPLIT: Final = 5  # 2^5 cells per octave of the tail probability
_OCTAVES: Final = 53  # p from 2^-54 to 1/2


def _tail_table() -> NDArray[np.float64]:
    """Cubics for x(p) = -quantile(p), 2^-54 <= p < 1/2: row (octave, cell), columns the coefficients of 1, t, t^2, t^3.

    Each octave of p is cut into 32 equal cells; within one, t runs from 0 to 1 and the cubic takes the values and the
    slopes dx/dp = -sqrt(2 pi) exp(x^2 / 2) of the exact function at both ends; it stays within 6e-9 of that function.
    Rounding the coefficients to multiples of 2^-40 hides the last bit of the maths library, which differs by system.
    """
    cells = 1 << _SPLIT
    table = np.empty((_OCTAVES * cells, 4), dtype=np.float64)
    for octave in range(_OCTAVES):
        width = 2.0 ** (octave - 54 - _SPLIT)
        for cell in range(cells):
            p = (cells + cell) * width
            x0, x1 = -normal_quantile(p), -normal_quantile(p + width)
            slope0 = -width * math.sqrt(2.0 * math.pi) * math.exp(0.5 * x0 * x0)
            slope1 = -width * math.sqrt(2.0 * math.pi) * math.exp(0.5 * x1 * x1)
            rise = x1 - x0
            cubic = (x0, slope0, 3.0 * rise - 2.0 * slope0 - slope1, slope0 + slope1 - 2.0 * rise)
            for power in range(4):
                table[octave * cells + cell, power] = round(cubic[power] * 2.0**40) * 2.0**-40
    return table


_TAIL: Final = _tail_table()
_CELL_SHIFT: Final = np.uint64(52 - _SPLIT)
_FIRST_CELL: Final = np.uint64(1022 << _SPLIT)  # of 0.5, the smallest argument
_SPLIT_BITS: Final = np.uint64(_SPLIT)
_MANTISSA: Final = np.uint64((1 << 52) - 1)
_ONE: Final = np.uint64(1023 << 52)  # the bits of 1.0
_SIGN_BIT: Final = np.uint32(0x80000000)
_LOW31: Final = np.uint32(0x7FFFFFFF)
_11: Final = np.uint32(11)


@kernel
def _tail_value(y: float) -> float:
    """-quantile(y / 2^53), 1/2 <= y < 2^52: the bits of y name the cell (exponent, upper mantissa), the rest is t."""
    bits = np.float64(y).view(np.uint64)
    cell = np.int64((bits >> _CELL_SHIFT) - _FIRST_CELL)
    t = np.uint64(((bits << _SPLIT_BITS) & _MANTISSA) | _ONE).view(np.float64) - 1.0
    return float(_TAIL[cell, 0] + t * (_TAIL[cell, 1] + t * (_TAIL[cell, 2] + t * _TAIL[cell, 3])))


@kernel
def normal(key: Integer, element: Integer) -> float:
    """A standard normal: x = +-quantile((m + 1/2) / 2^53), one random bit for the sign and 52 for m, so |x| <= 8.3.

    The table's cells halve with every octave of the tail, so the tail is as exact as the centre (``_tail_table``) and
    there is no branch to a slower formula, which would keep loops from being vectorised.
    """
    word = draw_bits(key, element)
    high = np.float64(word & _LOW31)
    low = np.float64(draw_more_bits(key, element) >> _11)
    x = _tail_value(high * _2_POW_21 + low + 0.5)
    return x if word & _SIGN_BIT else -x


@kernel(cache=True)
def uniforms(
    out: NDArray[np.floating], seed: Integer, stream: Integer, step: Integer, inference: Integer, tick: Integer
) -> None:
    """out[i] = ``uniform`` of element i. In a float32 array the largest values round to 1."""
    key = stream_key(seed, stream, step, inference, tick)
    for i in range(out.shape[0]):
        out[i] = uniform(key, i)


@kernel(cache=True)
def normals(
    out: NDArray[np.floating], seed: Integer, stream: Integer, step: Integer, inference: Integer, tick: Integer
) -> None:
    """out[i] = ``normal`` of element i."""
    key = stream_key(seed, stream, step, inference, tick)
    for i in range(out.shape[0]):
        out[i] = normal(key, i)


# --- signs ------------------------------------------------------------------------------------------------------------


@kernel
def sign_word(seed: Integer, stream: Integer, element: Integer, block: Integer) -> np.uint32:
    """The signs of one element in the 32 perturbations 32 block .. 32 block + 31: ``hash32``, one bit each."""
    return hash32(seed, stream, element, block)


@kernel
def sign_of(word: np.uint32, n: Integer) -> np.float32:
    """+1 or -1, by bit (n mod 32) of the sign word of block n div 32 (float32, so that it widens no product)."""
    bit = (np.uint64(word) >> (np.uint64(n) & np.uint64(31))) & np.uint64(1)
    return np.float32(1.0) if bit else np.float32(-1.0)


@kernel(cache=True)
def fill_sign_words(words: NDArray[np.uint32], seed: Integer, stream: Integer, block: Integer) -> None:
    """words[i] = ``sign_word`` of element i: the signs of 32 perturbations of every element."""
    key = stream_key(seed, stream, block, 0, 0)
    for i in range(words.shape[0]):
        words[i] = draw_bits(key, i)


# --- permutations -----------------------------------------------------------------------------------------------------

_SMALL: Final = 64  # up to here a permutation is exactly uniform
_FEISTEL_ROUNDS: Final = 10
_ROUND_BITS: Final = 17  # halves of the Feistel network are below 2^17, so round << 17 | half is one element each


@kernel
def shuffled(seed: Integer, stream: Integer, epoch: Integer, n: Integer, i: Integer) -> np.int64:
    """The i-th of 0..n-1 in the random order of an epoch: a bijection for every epoch, without memory; n < 2^32.

    Up to 64 elements it is the Fisher-Yates shuffle, exactly uniform over all n! orders, of which only position i is
    followed: swap k exchanges places k and j_k <= k, for k = n-1, ..., 1; read backwards from place i this is

        at <- j_i,   then for k = i+1, ..., n-1:  at <- k if at = j_k

    Above, a numeric Feistel network (J. Black, P. Rogaway, Ciphers with arbitrary finite domains, CT-RSA 2002) on pairs
    (l, r) with l < a, r < b, a b >= n, which walks on while it lands at n or above:

        l <- (l + F(r)) mod a,   r <- (r + G(l)) mod b,   alternating for ten rounds, F and G drawn from the stream.
    """
    key = stream_key(seed, stream, epoch, 0, 0)
    return _place(key, np.int64(n), np.int64(i))


@kernel
def _place(key: np.int64, n: np.int64, i: np.int64) -> np.int64:
    return _followed(key, n, i) if n <= _SMALL else _walked(key, n, i)


@kernel
def _followed(key: np.int64, n: np.int64, i: np.int64) -> np.int64:
    at = below(key, i, i + 1)
    for k in range(i + 1, n):
        if below(key, k, k + 1) == at:
            at = np.int64(k)
    return at


@kernel
def _walked(key: np.int64, n: np.int64, i: np.int64) -> np.int64:
    a = np.int64(math.sqrt(n - 1.0)) + 1  # a a >= n > (a-1)(a-1) for n < 2^32, where the root is exact enough
    b = (n + a - 1) // a
    at = i
    while True:
        right = at // a
        left = at - right * a
        for turn in range(0, _FEISTEL_ROUNDS, 2):
            left += np.int64((np.uint64(draw_bits(key, (turn << _ROUND_BITS) + right)) * np.uint64(a)) >> _32)
            if left >= a:
                left -= a
            right += np.int64((np.uint64(draw_bits(key, ((turn + 1) << _ROUND_BITS) + left)) * np.uint64(b)) >> _32)
            if right >= b:
                right -= b
        at = right * a + left
        if at < n:
            return at


@kernel(cache=True)
def permutation(seed: Integer, stream: Integer, epoch: Integer, n: int) -> NDArray[np.int64]:
    """The whole order of an epoch: element i is ``shuffled(seed, stream, epoch, n, i)``."""
    key = stream_key(seed, stream, epoch, 0, 0)
    order = np.empty(n, dtype=np.int64)
    for i in range(n):
        order[i] = _place(key, np.int64(n), np.int64(i))
    return order
