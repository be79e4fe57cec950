"""Least squares by orthogonalisation, as loops over columns that compile under XLA and under vectorized_map.

TensorFlow's own QR has no rule for vectorized_map, and its solvers raise an exception for singular matrices where a
training step needs an outcome: here what cannot be solved comes out as nan.

Shape letters: N rows, P columns.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf


class Factors(NamedTuple):
    """A matrix as Q R."""

    q: tf.Tensor
    """(N, P), orthonormal columns."""
    r: tf.Tensor
    """(P, P), upper triangular."""


def factor(matrix: tf.Tensor) -> Factors:
    """Return the factors of `matrix`, (N, P), by modified Gram-Schmidt."""
    num_columns = matrix.shape[1]
    columns = tf.range(num_columns)

    def orthogonalise(k: tf.Tensor, rest: tf.Tensor, r: tf.Tensor) -> tuple[tf.Tensor, ...]:
        column = tf.gather(rest, k, axis=1)
        norm = tf.sqrt(tf.reduce_sum(column * column))
        unit = column / norm
        row = tf.where(columns > k, tf.linalg.matvec(rest, unit, transpose_a=True), tf.zeros_like(r[0]))
        rest = tf.where((columns == k)[None, :], unit[:, None], rest - unit[:, None] * row[None, :])
        row = tf.where(columns == k, norm, row)
        return k + 1, rest, tf.where((columns == k)[:, None], row[None, :], r)

    start = (tf.constant(0), matrix, tf.zeros([num_columns, num_columns], matrix.dtype))
    _, q, r = tf.while_loop(lambda k, *_: k < num_columns, orthogonalise, start, maximum_iterations=num_columns)
    return Factors(q, r)


def solve(factors: Factors, right: tf.Tensor) -> tf.Tensor:
    """Return the x, (P,), that makes |Q R x - right| smallest.

    Args:
        right: (N,), or shorter where the rest is zero.

    Taking the columns out of `right` one after the other, instead of multiplying by all of Q at once, makes this as
    stable as Householder's method though Q is not orthogonal to the last digit.
    Source: Björck 1967, "Solving linear least squares problems by Gram-Schmidt orthogonalization".
    """
    num_rows, num_columns = factors.q.shape
    columns = tf.range(num_columns)
    right = tf.pad(right, [[0, num_rows - right.shape[0]]])

    def project(k: tf.Tensor, rest: tf.Tensor, c: tf.Tensor) -> tuple[tf.Tensor, ...]:
        unit = tf.gather(factors.q, k, axis=1)
        share = tf.reduce_sum(unit * rest)
        return k + 1, rest - share * unit, tf.where(columns == k, share, c)

    def substitute(k: tf.Tensor, x: tf.Tensor) -> tuple[tf.Tensor, ...]:
        row = tf.gather(factors.r, k, axis=0)
        known = tf.reduce_sum(tf.where(columns > k, row * x, tf.zeros_like(x)))
        return k - 1, tf.where(columns == k, (tf.gather(c, k) - known) / tf.gather(row, k), x)

    blank = tf.zeros([num_columns], right.dtype)
    start = (tf.constant(0), right, blank)
    _, _, c = tf.while_loop(lambda k, *_: k < num_columns, project, start, maximum_iterations=num_columns)
    last = (tf.constant(num_columns - 1), blank)
    _, x = tf.while_loop(lambda k, _: k >= 0, substitute, last, maximum_iterations=num_columns)
    return x
