"""Random draws from a seed tensor: Threefry-2x32 in plain integer operations.

TensorFlow's stateless generators give other numbers under XLA than without it, and `tf.vectorized_map` cannot convert
them. Twenty rounds of adding, rotating and xoring vectorise anywhere: every strategy and every lane gets the same
words, so uniform and bernoulli draws are equal to the bit, normal ones up to the rounding of log and cos.

Source: Salmon et al. 2011, "Parallel Random Numbers: As Easy as 1, 2, 3".
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from .failures import check_size

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA
Words = tuple[tf.Tensor, tf.Tensor]


def threefry(key: Words, counter: Words) -> Words:
    """Encrypt a counter (two uint32 tensors of one shape) with a key (two uint32 scalars), 20 rounds."""
    keys = (key[0], key[1], _xor(_xor(key[0], key[1]), tf.constant(_PARITY, tf.uint32)))
    a, b = counter[0] + keys[0], counter[1] + keys[1]
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            a = a + b
            b = _xor(_rotate(b, rotation), a)
        a = a + keys[(group + 1) % 3]
        b = b + keys[(group + 2) % 3] + tf.constant(group + 1, tf.uint32)
    return a, b


def _xor(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
    return tf.bitwise.bitwise_xor(a, b)


def _rotate(x: tf.Tensor, by: int) -> tf.Tensor:
    left = tf.bitwise.left_shift(x, tf.constant(by, tf.uint32))
    return tf.bitwise.bitwise_or(left, tf.bitwise.right_shift(x, tf.constant(32 - by, tf.uint32)))


def stream(seed: tf.Tensor, site: tf.Tensor, rounds: tuple[tf.Tensor, ...], count: int, blocks: int) -> list[Words]:
    """Return `blocks` times (count,) random words of one call site in one step.

    Args:
        seed: integers (2,), (seed, step); all 64 bits of both count.
        site: of the call, uint32. rounds: counters of the loops around it, uint32.
    """
    wide, mask, half = tf.cast(seed, tf.int64), tf.constant(0xFFFFFFFF, tf.int64), tf.constant(32, tf.int64)
    low = tf.cast(tf.bitwise.bitwise_and(wide, mask), tf.uint32)
    high = tf.cast(tf.bitwise.bitwise_and(tf.bitwise.right_shift(wide, half), mask), tf.uint32)
    key = threefry((low[0], low[1]), (site, _xor(high[0], _rotate(high[1], 16))))
    for counter in rounds:
        key = threefry(key, (counter, tf.constant(1, tf.uint32)))
    numbers = tf.cast(tf.range(count), tf.uint32)
    return [threefry(key, (numbers, tf.fill([count], tf.constant(block, tf.uint32)))) for block in range(blocks)]


# Eagerly, some 200 small operations a draw would take milliseconds, and in a graph each draw would have to trace them
# anew, a second in a game of two networks. Integers have the same bits either way.
_traced_stream = tf.function(stream, autograph=False)


def _uint32(value: Any) -> tf.Tensor:
    return tf.cast(value, tf.uint32) if tf.is_tensor(value) else tf.constant(int(value), tf.uint32)


def _unit(words: Words, dtype: tf.DType, *, half: bool = False) -> tf.Tensor:
    """Numbers in [0, 1) on a grid that `dtype` holds exactly; with `half` in the middle of the cells, so never 0."""
    shift = tf.bitwise.right_shift
    if dtype == tf.float32:
        bits = 23 if half else 24
        grid = tf.cast(shift(words[0], tf.constant(32 - bits, tf.uint32)), dtype)
    else:
        bits = 52 if half else 53
        high = tf.cast(shift(words[0], tf.constant(5 if not half else 6, tf.uint32)), dtype)
        grid = high * 2.0**26 + tf.cast(shift(words[1], tf.constant(6, tf.uint32)), dtype)
    return (grid + 0.5 if half else grid) * tf.constant(2.0**-bits, dtype)


Key = tuple[tf.Tensor, int, tuple[Any, ...]]
"""Seed (2,), call site, counters of the loops around."""


def _words(key: Key, count: int, blocks: int = 1) -> list[Words]:
    seed, site, rounds = key
    counters = tuple(_uint32(counter) for counter in rounds)
    return _traced_stream(seed, _uint32(site), counters, count, blocks)


def categorical(logits: tf.Tensor, n: int | None = None, *, key: Key) -> tf.Tensor:
    """Return indices along the last axis of `logits`, (..., K), by the probabilities softmax(logits): (...,), or
    (..., n), of the logits' dtype.

    The largest of the logits, each with a Gumbel number -log(-log(u)) added.
    """
    *batch, size = logits.shape.as_list()
    shape = (*batch, size) if n is None else (*batch, n, size)
    check_size(shape, "categorical")
    words, *_ = _words(key, math.prod(shape))
    numbers = tf.reshape(_unit(words, logits.dtype, half=True), shape)
    scores = (logits if n is None else logits[..., None, :]) - tf.math.log(-tf.math.log(numbers))
    # Not argmax: XLA takes minutes to compile one of numbers that are drawn. The first of the largest; nan has none.
    largest = tf.reduce_max(scores, axis=-1, keepdims=True)
    places = tf.where(scores == largest, tf.range(size), size - 1)
    return tf.cast(tf.reduce_min(places, axis=-1), logits.dtype)


def choice(n: int, k: int | None = None, *, dtype: tf.DType, key: Key) -> tf.Tensor:
    """Return k different whole numbers below n in random order, (k,) of `dtype`; without k all of them.

    The order that sorts n random numbers of 53 bits, among which two alike are rare.
    """
    check_size((n,), "the numbers to choose from")
    words, *_ = _words(key, n)
    return tf.cast(tf.argsort(_unit(words, tf.float64))[:k], dtype)


def draw(
    function: str,
    parameters: list[tf.Tensor],
    shape: tuple[int, ...],
    dtype: tf.DType,
    seed: tf.Tensor,
    site: int,
    rounds: tuple[Any, ...],
) -> tf.Tensor:
    """Return draws of `shape` and `dtype`; parameters broadcast against it and may be differentiated by.

    uniform is low + (high - low) * u; normal is Box and Muller's loc + scale * sqrt(-2 log u1) * cos(2 pi u2);
    truncated_normal inverts the distribution function between -2 and 2; bernoulli is u < p.
    """
    blocks = 2 if function == "normal" and dtype == tf.float64 else 1  # a float64 needs both words, a float32 one
    words, *others = _words((seed, site, rounds), math.prod(shape), blocks)
    if function == "normal":
        other = others[0] if others else words[::-1]
        radius = tf.sqrt(-2.0 * tf.math.log(_unit(words, dtype, half=True)))
        standard = radius * tf.cos((2 * math.pi) * _unit(other, dtype))
    elif function == "truncated_normal":
        inner = math.erf(math.sqrt(2.0)) * (2.0 * _unit(words, dtype, half=True) - 1.0)
        standard = math.sqrt(2.0) * tf.math.erfinv(inner)
    else:
        standard = _unit(words, dtype)
    standard = tf.reshape(standard, shape)
    if function == "bernoulli":
        return tf.cast(standard < parameters[0], dtype)
    first, second = parameters
    return first + ((second - first) if function == "uniform" else second) * standard
