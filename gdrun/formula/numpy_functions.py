"""Functions of the table that numpy lacks, without SciPy. Their values are arrays, converted as the table says."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from gdrun.errors import FormulaError

from .failures import check_count, check_size

Array = Any

# Conversions.


def number(x: Array) -> np.ndarray:
    """Return x as float64 or complex128; booleans and integers become floats."""
    array = np.asarray(x)
    if array.dtype.kind == "c":
        return array.astype(np.complex128, copy=False)
    if array.dtype.kind not in "biuf":
        raise FormulaError(f"an array of {array.dtype} is not numeric")
    return array.astype(np.float64, copy=False)


def real(x: Array) -> np.ndarray:
    """Return x as float64; refuse complex numbers."""
    array = number(x)
    if array.dtype.kind == "c":
        raise TypeError("needs real numbers, not complex ones")
    return array


def truth(x: Array) -> np.ndarray:
    """Return x as booleans: true where it is not 0."""
    array = np.asarray(x)
    return array if array.dtype.kind == "b" else number(array) != 0


def whole(x: Array) -> np.ndarray:
    """Return x as int64; refuse fractions."""
    array = np.asarray(x)
    if array.dtype.kind in "iu":
        return array.astype(np.int64, copy=False)
    array = real(array)
    if not np.all(np.isfinite(array)) or np.any(array != np.floor(array)) or np.any(np.abs(array) > 2**53):
        raise FormulaError("an index must be a whole number")
    return array.astype(np.int64)


# Mathematics and activations.

erf = np.vectorize(math.erf, otypes=[np.float64])
erfc = np.vectorize(math.erfc, otypes=[np.float64])


def _erfinv_at(value: float) -> float:
    if not -1 < value < 1:
        return math.copysign(math.inf, value) if abs(value) == 1 else math.nan
    x = NormalDist().inv_cdf((1 + value) / 2) / math.sqrt(2)
    # (1 + value) / 2 has lost digits near 0; one Newton step brings them back.
    return x - (math.erf(x) - value) * math.sqrt(math.pi) / 2 * math.exp(x * x)


erfinv = np.vectorize(_erfinv_at, otypes=[np.float64])

# B_{2k} / 2k for k = 1, 2, ...: the asymptotic series of digamma.
_DIGAMMA_SERIES = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 5 / 660, -691 / 32760, 1 / 12, -3617 / 8160)


def _lgamma_at(value: float) -> float:
    if math.isnan(value):
        return math.nan
    if math.isinf(value) or (value <= 0 and value == math.floor(value)):
        return math.inf
    return math.lgamma(value) if abs(value) < 1e305 else math.inf


lgamma = np.vectorize(_lgamma_at, otypes=[np.float64])


def digamma(x: Array) -> Array:
    """The derivative of lgamma, float64 of any shape; nan at 0, -1, -2, ...

    Reflection to the right half, recurrence up to 8, then the asymptotic series: about 1e-15 relative to max(1, |psi|)
    (Abramowitz and Stegun 6.3.5, 6.3.7, 6.3.18).
    """
    x = np.asarray(x, np.float64)
    with np.errstate(all="ignore"):
        pole = (x <= 0) & (x == np.floor(x))
        left = x < 0.5
        z = np.where(left, 1 - x, x)
        shift = np.zeros_like(z)
        for _ in range(8):
            low = z < 8
            shift = np.where(low, shift - 1 / z, shift)
            z = np.where(low, z + 1, z)
        inverse_square = 1 / (z * z)
        series = np.zeros_like(z)
        for coefficient in reversed(_DIGAMMA_SERIES):
            series = inverse_square * (coefficient + series)
        value = shift + np.log(z) - 0.5 / z - series
        reflected = value - np.pi / np.tan(np.pi * np.where(pole, 0.25, x))
        return np.where(pole, np.nan, np.where(left, reflected, value))


def sigmoid(x: Array) -> Array:
    """1 / (1 + exp(-x)) without overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small))


def softplus(x: Array) -> Array:
    """log(1 + exp(x)) without overflow."""
    return np.logaddexp(x, 0.0)


def gelu(x: Array, approximate: bool = False) -> Array:
    """x * Phi(x), or its tanh approximation (Hendrycks and Gimpel 2016)."""
    if approximate:
        return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * erfc(-x / math.sqrt(2))


def logsumexp(x: Array, axis: Any = None, keepdims: bool = False) -> Array:
    """log(sum(exp(x))) without overflow."""
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    total = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return total if keepdims else np.squeeze(total, axis=axis) if axis is not None else total.reshape(())


def reciprocal(x: Array) -> Array:
    return 1 / x  # np.reciprocal has other digits for complex numbers


def rsqrt(x: Array) -> Array:
    return 1 / np.sqrt(x)


def squared_difference(a: Array, b: Array) -> Array:
    return np.square(a - b)


def clip(x: Array, low: Array, high: Array) -> Array:
    return np.minimum(np.maximum(x, low), high)


def clip_by_norm(x: Array, clip_norm: Array, axis: Any = None) -> Array:
    return x * clip_norm / np.maximum(norm(x, axis=axis, keepdims=True), clip_norm)


def clip_by_global_norm(values: Sequence[Array], clip_norm: Array) -> tuple[Array, ...]:
    arrays, bound = [number(value) for value in values], number(clip_norm)
    scale = bound / np.maximum(np.sqrt(sum(np.sum(np.abs(array) ** 2) for array in arrays)), bound)
    return tuple(array * scale for array in arrays)


def where(condition: Array, a: Array, b: Array) -> Array:
    parts = truth(condition), number(a), number(b)
    check_size(np.broadcast_shapes(*(part.shape for part in parts)), "the result")
    return np.where(*parts)


def complex_(a: Array, b: Array) -> Array:
    return a + 1j * b


def xlogy(a: Array, b: Array) -> Array:
    return np.where(a == 0, 0.0, a * np.log(np.where(a == 0, 1.0, b)))


def divide_no_nan(a: Array, b: Array) -> Array:
    return np.where(b == 0, 0.0, a / np.where(b == 0, 1.0, b))


def softmax(x: Array, axis: int = -1) -> Array:
    return np.exp(log_softmax(x, axis))


def log_softmax(x: Array, axis: int = -1) -> Array:
    return x - logsumexp(x, axis=axis, keepdims=True)


def softmax_cross_entropy(labels: Array, logits: Array) -> Array:
    return -np.sum(labels * log_softmax(logits), axis=-1)


def sigmoid_cross_entropy(labels: Array, logits: Array) -> Array:
    return np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-np.abs(logits)))


def log_sigmoid(x: Array) -> Array:
    return -softplus(-x)


def softsign(x: Array) -> Array:
    return x / (1 + np.abs(x))


def relu(x: Array) -> Array:
    return np.maximum(x, 0.0)


def relu6(x: Array) -> Array:
    return np.clip(x, 0.0, 6.0)


def leaky_relu(x: Array, alpha: float = 0.2) -> Array:
    return np.where(x > 0, x, alpha * x)


def elu(x: Array) -> Array:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0.0)))


def selu(x: Array) -> Array:
    """Scaled so that mean and variance keep (Klambauer et al. 2017, appendix)."""
    scale, alpha = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717
    return scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0)))


def silu(x: Array) -> Array:
    return x * sigmoid(x)


def mish(x: Array) -> Array:
    return x * np.tanh(softplus(x))


def hard_sigmoid(x: Array) -> Array:
    return np.clip(x + 3, 0.0, 6.0) / 6


# Linear algebra and shapes.


def matvec(a: Array, b: Array) -> Array:
    return np.matmul(a, b[..., None])[..., 0]


def trace(x: Array) -> Array:
    return np.trace(x, axis1=-2, axis2=-1)


def diag_part(x: Array) -> Array:
    return np.diagonal(x, axis1=-2, axis2=-1)


def svdvals(x: Array) -> Array:
    return np.linalg.svd(x, compute_uv=False)


def reshape(x: Array, shape: Sequence[int]) -> Array:
    return np.reshape(x, tuple(shape))


def length(x: Array) -> int:
    return np.asarray(x).shape[0]


def size(x: Array) -> int:
    return np.asarray(x).size


def einsum(*operands: Array, subscripts: str) -> Array:
    check_einsum(subscripts, [np.shape(operand) for operand in operands])
    return np.einsum(subscripts, *operands, optimize=True)


def check_einsum(subscripts: str, shapes: Sequence[Sequence[int]]) -> None:
    """Refuse subscripts that do not fit the shapes, or whose result would be absurdly large.

    Raises:
        ValueError: with the reason. FormulaError: for the size.
    """
    indices, arrow, result = subscripts.replace(" ", "").partition("->")
    groups = indices.split(",")
    if not arrow or len(set(result)) < len(result) or not set(result) <= set("".join(groups)) or "." in subscripts:
        raise ValueError("write all indices and the result's: 'ij,jk->ik'")
    if len(groups) != len(shapes):
        raise ValueError(f"{len(groups)} groups of indices for {len(shapes)} arrays")
    sizes: dict[str, int] = {}
    for group, shape in zip(groups, shapes, strict=True):
        if len(group) != len(shape):
            raise ValueError(f"'{group}' stands for an array with {len(shape)} axes")
        for letter, length in zip(group, shape, strict=True):
            if sizes.setdefault(letter, length) != length:
                raise ValueError(f"'{letter}' is {sizes[letter]} and {length} long")
    check_size([sizes[letter] for letter in result], "einsum")


def conv1d(x: Array, filters: Array, stride: int = 1, same: bool = False) -> Array:
    return convolved(x, filters, 3, stride, same, np.pad)


def conv2d(x: Array, filters: Array, stride: int = 1, same: bool = False) -> Array:
    return convolved(x, filters, 4, stride, same, np.pad)


def convolved(x: Any, filters: Any, axes: int, stride: int, same: bool, padded: Callable[..., Any]) -> Any:
    """Return the convolution of arrays or tensors, (B, L..., C) by (K..., C, O), as Keras defines it (no flip).

    Both have `axes` axes. A sum of products of slices, one a position of the filter: it has derivatives of any order,
    in XLA and in lanes too.
    """
    if len(x.shape) != axes or len(filters.shape) != axes:
        raise ValueError(f"needs x of {axes} axes and filters of {axes}")
    lengths, widths = tuple(x.shape)[1:-1], tuple(filters.shape)[:-2]
    if stride < 1 or tuple(x.shape)[-1] != tuple(filters.shape)[-2]:
        raise ValueError(f"{x.shape[-1]} channels meet filters of {filters.shape[-2]}; the stride is at least 1")
    if same:
        missing = [max((-(-n // stride) - 1) * stride + k - n, 0) for n, k in zip(lengths, widths, strict=True)]
        x = padded(x, [(0, 0), *((total // 2, total - total // 2) for total in missing), (0, 0)])
        lengths = tuple(x.shape)[1:-1]
    counts = [(n - k) // stride + 1 for n, k in zip(lengths, widths, strict=True)]
    if min(counts) < 1:
        raise ValueError("the filters are longer than x")
    check_size([int(x.shape[0] or 1), *counts, int(filters.shape[-1])], "the convolution")
    total: Any = None
    for place in np.ndindex(*widths):
        ends = (slice(k, k + (count - 1) * stride + 1, stride) for k, count in zip(place, counts, strict=True))
        part = x[(slice(None), *ends)] @ filters[place]
        total = part if total is None else total + part
    return total


def solve(a: Array, b: Array) -> Array:
    return np.linalg.solve(a, b[..., None])[..., 0] if b.ndim == 1 else np.linalg.solve(a, b)


def triangular_solve(a: Array, b: Array, lower: bool = True, adjoint: bool = False) -> Array:
    a = np.tril(a) if lower else np.triu(a)
    return solve(np.conj(np.swapaxes(a, -1, -2)) if adjoint else a, b)


def norm(x: Array, ord: float = 2, axis: Any = None, keepdims: bool = False) -> Array:
    size = np.abs(x)
    if ord == 2:
        return np.sqrt(np.sum(size * size, axis=axis, keepdims=keepdims))
    return np.sum(size**ord, axis=axis, keepdims=keepdims) ** (1 / ord)


def logdet(x: Array) -> Array:
    lower = np.linalg.cholesky(x)
    return 2 * np.sum(np.log(np.real(np.diagonal(lower, axis1=-2, axis2=-1))), axis=-1)


def matmul(a: Array, b: Array) -> Array:
    if not a.ndim or not b.ndim:
        raise ValueError("a single number is no matrix; use *")
    if a.shape[-1] != (rows := b.shape[max(b.ndim - 2, 0)]):
        raise ValueError(f"{a.shape[-1]} columns meet {rows} rows")
    check_count(a.size / max(a.shape[-1], 1) * (b.size / rows if b.size else 0), "the product")
    return np.matmul(a, b)


def dot(a: Array, b: Array) -> Array:
    if a.ndim == 0 or b.ndim == 0:
        return np.multiply(a, b)
    return matmul(a, b) if a.ndim <= 2 and b.ndim <= 2 else tensordot(a, np.moveaxis(b, max(b.ndim - 2, 0), 0), 1)


def tensordot(a: Array, b: Array, num: int = 2) -> Array:
    if not 0 <= num <= min(a.ndim, b.ndim):
        raise ValueError(f"cannot sum over {num} axes")
    check_size(a.shape[: a.ndim - num] + b.shape[num:], "the product")
    return np.tensordot(a, b, num)


def cross(a: Array, b: Array) -> Array:
    left, right = np.broadcast_arrays(a, b)
    return np.cross(left, right)


def outer(a: Array, b: Array) -> Array:
    check_count(float(a.size) * b.size, "outer")
    return np.outer(a, b)


def diag(x: Array) -> Array:
    if x.ndim == 1:
        check_count(float(x.size) ** 2, "diag")
    return np.diag(x)


def eye(num: int) -> Array:
    check_count(float(num) ** 2, "eye")
    return np.eye(num)


def stack(values: Sequence[Array], axis: int = 0) -> Array:
    arrays = [number(value) for value in values]
    check_count(sum(array.size for array in arrays), "stack")
    return np.stack(arrays, axis)


def concat(values: Sequence[Array], axis: int = 0) -> Array:
    arrays = [number(value) for value in values]
    check_count(sum(array.size for array in arrays), "concat")
    return np.concatenate(arrays, axis)


def tile(x: Array, reps: Sequence[int]) -> Array:
    check_count(float(x.size) * math.prod(float(rep) for rep in reps), "tile")
    return np.tile(x, reps)


def repeat(x: Array, repeats: int, axis: int | None = None) -> Array:
    check_count(float(x.size) * repeats, "repeat")
    return np.repeat(x, repeats, axis)


def gather(x: Array, indices: Array, axis: int = 0) -> Array:
    return np.take(number(x), whole(indices), axis=axis)


def one_hot(indices: Array, depth: int) -> Array:
    indices = whole(indices)
    check_count(float(indices.size) * depth, "one_hot")
    return (indices[..., None] == np.arange(depth)).astype(np.float64)


def sort(x: Array, axis: int = -1, descending: bool = False) -> Array:
    result = np.sort(x, axis=axis)
    return np.flip(result, axis) if descending else result


def pad(x: Array, width: Sequence[int], axis: int | None = None) -> Array:
    widths = padding(width, axis, x.ndim)
    check_size([size + before + after for size, (before, after) in zip(x.shape, widths, strict=True)], "pad")
    return np.pad(x, widths)


def padding(width: Sequence[int], axis: int | None, rank: int) -> list[tuple[int, int]]:
    """Return how many zeros `pad` puts before and after along each axis.

    Raises:
        FormulaError: the width is neither one count nor two, or one is negative, or there is no such axis.
    """
    if not 1 <= len(width) <= 2 or min(width) < 0:
        raise FormulaError("the width of pad is a count of zeros, or [before, after]")
    if axis is not None and not -rank <= axis < rank:
        raise FormulaError(f"there is no axis {axis}, the array has {rank}")
    return [(width[0], width[-1]) if axis is None or axis % rank == place else (0, 0) for place in range(rank)]


def argsort(x: Array, axis: int = -1, descending: bool = False) -> Array:
    return np.argsort(-x if descending else x, axis=axis, kind="stable")


def zeros(shape: Sequence[int]) -> Array:
    check_size(shape, "zeros")
    return np.zeros(tuple(shape))


def ones(shape: Sequence[int]) -> Array:
    check_size(shape, "ones")
    return np.ones(tuple(shape))


def full(shape: Sequence[int], value: Array) -> Array:
    check_size(shape, "full")
    return np.broadcast_to(number(value), tuple(shape)).copy()


def broadcast_to(x: Array, shape: Sequence[int]) -> Array:
    check_size(shape, "broadcast_to")
    return np.broadcast_to(x, tuple(shape)).copy()


def _single(x: Array) -> float:
    array = real(x)
    if array.size != 1:
        raise FormulaError("needs single numbers as its ends")
    return float(array.reshape(()))


def range_(start: Array, stop: Array = None, step: Array = 1.0) -> Array:
    first, last = (0.0, _single(start)) if stop is None else (_single(start), _single(stop))
    stride = _single(step)
    if stride == 0 or not all(map(math.isfinite, (first, last, stride))):
        raise FormulaError("range needs finite ends and a step that is not 0")
    check_count((last - first) / stride, "range")
    return np.arange(first, last, stride)


def linspace(start: Array, stop: Array, num: int = 50) -> Array:
    check_count(float(num) * max(start.size, stop.size), "linspace")
    return np.linspace(start, stop, num)


def logspace(start: Array, stop: Array, num: int = 50, base: float = 10.0) -> Array:
    return np.power(base, linspace(start, stop, num))


def kron(a: Array, b: Array) -> Array:
    check_count(float(a.size) * b.size, "kron")
    if a.ndim != 2 or b.ndim != 2:
        raise ValueError("needs two matrices")
    return np.kron(a, b)


def l2_normalize(x: Array, axis: Any = None) -> Array:
    return x / np.sqrt(np.maximum(np.sum(x * x, axis=axis, keepdims=True), 1e-12))
