"""Functions of the table that TensorFlow lacks, or has without a gradient, XLA kernel or converter for lanes.

Their values are tensors, converted as the table says; `Promotion` converts them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.eager import record

from gdrun.errors import FormulaError

from . import numpy_functions
from .failures import check_count, check_size

T = Any


def is_tensor(value: Any) -> bool:
    """Return whether a value of a scope is a tensor (variables were read before); much faster than tf.is_tensor."""
    return isinstance(value, tf.Tensor)


def _is_complex_host(value: Any) -> bool:
    return type(value) is not float and not is_tensor(value) and np.iscomplexobj(value)


class Promotion:
    """Values of different kinds -> tensors of one dtype.

    Floating tensors keep their dtype while they agree, and take the run's where they do not; integer and boolean
    tensors take the run's; host values take the tensors'. One complex value makes all of them complex.
    """

    def __init__(self, dtype: tf.DType, complex_dtype: tf.DType) -> None:
        self.dtype = dtype
        self.complex_dtype = complex_dtype

    def common(self, values: Sequence[T]) -> tf.DType:
        """Return the dtype that `values` have in common."""
        tensors = [value.dtype for value in values if is_tensor(value)]
        if tensors and tensors[0] == self.dtype and len(set(tensors)) == 1 and not any(map(_is_complex_host, values)):
            return self.dtype
        kinds = {dtype for dtype in tensors if dtype.is_floating or dtype.is_complex}
        real = {tf.as_dtype(dtype.real_dtype) for dtype in kinds}
        dtype = real.pop() if len(real) == 1 else self.dtype
        is_complex = any(dtype.is_complex for dtype in kinds) or any(map(_is_complex_host, values))
        return {tf.float32: tf.complex64, tf.float64: tf.complex128}[dtype] if is_complex else dtype

    def alike(self, *values: T) -> tuple[tf.Tensor, ...]:
        """Return `values` as tensors of their common dtype; their shapes need not broadcast."""
        dtype = self.common(values)
        return tuple(self.tensor(value, dtype) for value in values)

    def broadcast(self, *values: T) -> tuple[tf.Tensor, ...]:
        """Return `values` as tensors of their common dtype; refuse a broadcast of absurd size."""
        tensors = self.alike(*values)
        shapes = {tensor.shape for tensor in tensors if tensor.shape.rank != 0}
        if len(shapes) < 2:
            return tensors
        shape = shapes.pop()
        for other in shapes:
            shape = tf.broadcast_static_shape(shape, other)
        if shape.rank is not None:
            check_size(shape.as_list(), "the result")
        return tensors

    def tensor(self, value: T, dtype: tf.DType | None = None) -> tf.Tensor:
        """Return `value` as a tensor of `dtype` (default: the run's, or complex where it is)."""
        if is_tensor(value):
            return value if dtype is None or value.dtype == dtype else tf.cast(value, dtype)
        return tf.constant(self.fitted(numpy_functions.number(value), dtype))

    def fitted(self, array: np.ndarray, dtype: tf.DType | None = None) -> np.ndarray:
        """Return floating or complex numbers in `dtype`, as `tensor`; refuse what becomes 0 or infinite there."""
        target = dtype or (self.complex_dtype if array.dtype.kind == "c" else self.dtype)
        with np.errstate(all="ignore"):
            cast = array.astype(target.as_numpy_dtype)
        if not np.all(np.isfinite(cast) | ~np.isfinite(array)) or (array.ndim == 0 and array != 0 and cast == 0):
            worst = array if array.ndim == 0 else array[np.isfinite(array) & ~np.isfinite(cast)].flat[0]
            raise FormulaError(f"{worst:g} does not fit {target.name}", hint="use precision: float64")
        return cast

    def number(self, value: T) -> tf.Tensor:
        """Return `value` as a floating or complex tensor."""
        return self.tensor(value, self.common([value]))

    def real(self, value: T) -> tf.Tensor:
        """Return `value` as a floating tensor; refuse a complex one."""
        tensor = self.number(value)
        if tensor.dtype.is_complex:
            raise TypeError("needs real numbers, not complex ones")
        return tensor

    def truth(self, value: T) -> tf.Tensor:
        """Return `value` as booleans: true where it is not 0."""
        if not is_tensor(value):
            return tf.constant(numpy_functions.truth(value))
        return value if value.dtype == tf.bool else tf.not_equal(value, tf.zeros([], value.dtype))

    def integers(self, values: Sequence[T]) -> tuple[T, ...] | None:
        """Return whole numbers and host values in float64; None where a tensor holds other numbers.

        So steps beyond 2**24 stay apart from their neighbours in a float32 run.
        """
        if not all(value.dtype.is_integer for value in values if is_tensor(value)):
            return None
        return tuple(tf.cast(v, tf.float64) if is_tensor(v) else numpy_functions.number(v) for v in values)


def pow(promotion: Promotion, a: T, b: T) -> T:
    base, exponent = promotion.broadcast(a, b)
    if is_tensor(b) or np.shape(b) or b != 2 or not base.dtype.is_floating:
        return tf.pow(base, exponent)
    # TensorFlow's gradient of a square computes x ** 1, which has the bits of x and takes 5 to 15 times as long as all
    # else in it. Not by tf.custom_gradient, which keeps each graph that it was traced in for as long as the process.
    with record.stop_recording():
        square = tf.pow(base, exponent)
    record.record_operation("Pow", [square], [base], lambda upstream: [upstream * exponent * base])
    return square


def where(promotion: Promotion, condition: T, a: T, b: T) -> T:
    a, b = promotion.broadcast(a, b)
    return tf.where(promotion.truth(condition), a, b)


def clip_by_norm(x: T, clip_norm: T, axis: Any = None) -> T:
    return tf.clip_by_norm(x, clip_norm, list(axis) if isinstance(axis, tuple) else axis)


def clip_by_global_norm(promotion: Promotion, values: Sequence[T], clip_norm: T) -> tuple[T, ...]:
    *tensors, bound = promotion.alike(*values, clip_norm)
    # Not by tf.linalg.global_norm: vectorized_map cannot convert its L2Loss.
    together = tf.norm(tf.stack([tf.norm(tensor) for tensor in tensors]))
    return tuple(tf.clip_by_global_norm(tensors, bound, together)[0])


def _rank(x: tf.Tensor) -> int:
    if x.shape.rank is None:
        raise FormulaError("the number of axes is not known before the run")
    return int(x.shape.rank)


def matmul(a: T, b: T) -> T:
    ranks = _rank(a), _rank(b)
    if 0 in ranks:
        raise ValueError("a single number is no matrix; use *")
    if a.shape[-1] is not None and (rows := b.shape[max(ranks[1] - 2, 0)]) is not None and a.shape[-1] != rows:
        raise ValueError(f"{a.shape[-1]} columns meet {rows} rows")
    match ranks:
        case (1, 1):
            return tf.tensordot(a, b, 1)
        case (_, 1):
            return tf.linalg.matvec(a, b)
        case (1, _):
            return tf.squeeze(tf.matmul(a[None, :], b), -2)
    return tf.matmul(a, b)


def dot(a: T, b: T) -> T:
    if 0 in (_rank(a), _rank(b)):
        return tf.multiply(a, b)
    return matmul(a, b) if _rank(b) <= 2 and _rank(a) <= 2 else tf.tensordot(a, b, [[-1], [_rank(b) - 2]])


def tensordot(a: T, b: T, num: int = 2) -> T:
    return tf.tensordot(a, b, num)


def einsum(*operands: T, subscripts: str) -> T:
    numpy_functions.check_einsum(subscripts, [operand.shape.as_list() for operand in operands])
    return tf.einsum(subscripts, *operands)


def conv1d(x: T, filters: T, stride: int = 1, same: bool = False) -> T:
    return numpy_functions.convolved(x, filters, 3, stride, same, tf.pad)


def conv2d(x: T, filters: T, stride: int = 1, same: bool = False) -> T:
    return numpy_functions.convolved(x, filters, 4, stride, same, tf.pad)


def outer(a: T, b: T) -> T:
    a, b = (tf.reshape(value, [-1]) for value in (a, b))
    check_count(float(a.shape[0] or 1) * (b.shape[0] or 1), "outer")
    return a[:, None] * b[None, :]


def kron(a: T, b: T) -> T:
    if (_rank(a), _rank(b)) != (2, 2):
        raise ValueError("needs two matrices")
    check_count(float(a.shape.num_elements() or 1) * (b.shape.num_elements() or 1), "kron")
    blocks = a[:, None, :, None] * b[None, :, None, :]
    return tf.reshape(blocks, [a.shape[0] * b.shape[0], a.shape[1] * b.shape[1]])


def cross(a: T, b: T) -> T:
    if a.shape[-1] != 3 or b.shape[-1] != 3:
        raise ValueError("needs vectors of length 3")
    after = [1, 2, 0]
    # By gathers, which broadcast and vectorise; tf.linalg.cross does neither.
    ahead_a, ahead_b = (tf.gather(value, after, axis=-1) for value in (a, b))
    return tf.gather(a * ahead_b - ahead_a * b, after, axis=-1)


def l2_normalize(x: T, axis: Any = None) -> T:
    return tf.math.l2_normalize(x, axis=list(axis) if isinstance(axis, tuple) else axis)


def _as_complex(x: T) -> T:
    return tf.cast(x, {tf.float32: tf.complex64, tf.float64: tf.complex128}.get(x.dtype, x.dtype))


def fft(x: T) -> T:
    return tf.signal.fft(_as_complex(x))


def ifft(x: T) -> T:
    return tf.signal.ifft(_as_complex(x))


def logaddexp(a: T, b: T) -> T:
    shape = tf.broadcast_static_shape(a.shape, b.shape)
    return tf.reduce_logsumexp(tf.stack([tf.broadcast_to(value, shape) for value in (a, b)]), axis=0)


def transpose(x: T, axes: Any = None) -> T:
    return tf.transpose(x, axes)


def solve(a: T, b: T) -> T:
    return tf.linalg.solve(a, b[:, None])[:, 0] if _rank(b) == 1 else tf.linalg.solve(a, b)


def triangular_solve(a: T, b: T, lower: bool = True, adjoint: bool = False) -> T:
    right = b[:, None] if _rank(b) == 1 else b
    x = tf.linalg.triangular_solve(a, right, lower=lower, adjoint=adjoint)
    return x[:, 0] if _rank(b) == 1 else x


def norm(x: T, ord: float = 2, axis: Any = None, keepdims: bool = False) -> T:
    if ord == 2:
        return tf.norm(x, axis=list(axis) if isinstance(axis, tuple) else axis, keepdims=keepdims)
    powers = tf.reduce_sum(tf.abs(x) ** ord, axis=axis, keepdims=keepdims)
    return powers if ord == 1 else powers ** (1 / ord)


def diag(x: T) -> T:
    if _rank(x) == 1:
        check_count(float(x.shape[0] or 1) ** 2, "diag")
        return tf.linalg.diag(x)
    return tf.linalg.diag_part(x)


def broadcast_to(x: T, shape: Any) -> T:
    check_size(shape, "broadcast_to")
    return tf.broadcast_to(x, shape)


def full(promotion: Promotion, shape: Any, value: T) -> T:
    check_size(shape, "full")
    return tf.broadcast_to(promotion.number(value), shape)


def concat(promotion: Promotion, values: Sequence[T], axis: int = 0) -> T:
    return tf.concat(_of_bounded_size(promotion.alike(*values), "concat"), axis)


def stack(promotion: Promotion, values: Sequence[T], axis: int = 0) -> T:
    return tf.stack(_of_bounded_size(promotion.alike(*values), "stack"), axis)


def _of_bounded_size(values: Sequence[T], what: str) -> Sequence[T]:
    check_count(sum(value.shape.num_elements() or 0 if value.shape.rank is not None else 0 for value in values), what)
    return values


def tile(x: T, reps: Any) -> T:
    missing = len(reps) - _rank(x)
    x = x if missing <= 0 else tf.reshape(x, [1] * missing + x.shape.as_list())
    reps = (1,) * -missing + tuple(reps) if missing < 0 else tuple(reps)
    check_size([size * rep for size, rep in zip(x.shape.as_list(), reps, strict=True)], "tile")
    return tf.tile(x, reps)


def repeat(x: T, repeats: int, axis: int | None = None) -> T:
    check_count(float(np.prod([size or 1 for size in x.shape.as_list()])) * repeats, "repeat")
    return tf.repeat(x, repeats, axis)


def flip(x: T, axis: Any = None) -> T:
    axes = range(_rank(x)) if axis is None else [axis] if isinstance(axis, int) else axis
    return tf.reverse(x, list(axes))


def roll(x: T, shift: int, axis: int | None = None) -> T:
    if axis is None:
        return tf.reshape(roll(tf.reshape(x, [-1]), shift, 0), x.shape)
    length = x.shape[axis]
    split = -shift % max(length, 1)  # two slices instead of tf.roll, which vectorized_map cannot convert
    return tf.gather(x, tf.constant(np.roll(np.arange(length), -split)), axis=axis)


def gather(promotion: Promotion, x: T, indices: T, axis: int = 0) -> T:
    positions = (
        tf.cast(indices, tf.int32) if is_tensor(indices) else tf.constant(numpy_functions.whole(indices), tf.int32)
    )
    return tf.gather(promotion.number(x), positions, axis=axis)


def one_hot(promotion: Promotion, indices: T, depth: int) -> T:
    return tf.one_hot(tf.cast(indices, tf.int32), depth, dtype=promotion.dtype)


def _along(function: Callable[..., T]) -> Callable[..., T]:
    """Make a function of one axis work on the flattened array where no axis is given, as numpy does."""
    return lambda x, axis=None: function(tf.reshape(x, [-1]), 0) if axis is None else function(x, axis)


cumsum, cumprod, argmax, argmin = map(_along, (tf.cumsum, tf.math.cumprod, tf.argmax, tf.argmin))


def diff(x: T, axis: int = -1) -> T:
    axis %= _rank(x)
    before: list[Any] = [slice(None)] * axis
    return x[(*before, slice(1, None))] - x[(*before, slice(None, -1))]


def _order(descending: bool) -> str:
    return "DESCENDING" if descending else "ASCENDING"


def sort(x: T, axis: int = -1, descending: bool = False) -> T:
    """Sorted by gathering: the gradient of tf.sort scatters, which vectorized_map cannot convert."""
    last = _rank(x) - 1
    moved = x if axis in (-1, last) else tf.experimental.numpy.moveaxis(x, axis, -1)
    order = tf.argsort(tf.stop_gradient(moved), -1, _order(descending), stable=True)
    length = moved.shape[-1]
    starts = np.arange(0, moved.shape.num_elements(), max(length, 1), dtype=np.int32)[:, None]
    flat = tf.gather(tf.reshape(moved, [-1]), tf.reshape(tf.reshape(order, [-1, length]) + starts, [-1]))
    result = tf.reshape(flat, moved.shape)
    return result if moved is x else tf.experimental.numpy.moveaxis(result, -1, axis)


def median(x: T, axis: int | None = None, keepdims: bool = False) -> T:
    rank = _rank(x)
    along = tf.reshape(x, [-1]) if axis is None else x
    place = -1 if axis is None else axis
    length = along.shape[place]
    ordered = sort(along, place)
    # Twice the same one where there is one in the middle.
    low, high = (tf.gather(ordered, position, axis=place) for position in ((length - 1) // 2, length // 2))
    middle = (low + high) / 2
    if not keepdims:
        return middle
    return tf.reshape(middle, [1] * rank) if axis is None else tf.expand_dims(middle, axis)


def pad(x: T, width: Sequence[int], axis: int | None = None) -> T:
    widths = numpy_functions.padding(width, axis, _rank(x))
    check_size([size + sum(ends) for size, ends in zip(x.shape.as_list(), widths, strict=True)], "pad")
    return tf.pad(x, widths)


def argsort(x: T, axis: int = -1, descending: bool = False) -> T:
    return tf.argsort(x, axis, _order(descending), stable=True)


def length(promotion: Promotion, x: T) -> int:
    if not x.shape.rank or x.shape[0] is None:
        raise FormulaError("length needs an array whose shape is known")
    return int(x.shape[0])


def size(promotion: Promotion, x: T) -> int:
    if not x.shape.is_fully_defined():
        raise FormulaError("size needs an array whose shape is known")
    return int(x.shape.num_elements())


def range_(promotion: Promotion, start: T, stop: T = None, step: T = 1.0) -> T:
    raise FormulaError("range needs ends that are known before the run", hint="scale it: a * range(n)")


def linspace(start: T, stop: T, num: int = 50) -> T:
    check_count(float(num) * max(start.shape.num_elements() or 1, stop.shape.num_elements() or 1), "linspace")
    return tf.linspace(start, stop, num)


def logspace(start: T, stop: T, num: int = 50, base: float = 10.0) -> T:
    return base ** linspace(start, stop, num)


def log2(x: T) -> T:
    return tf.math.log(x) / tf.constant(np.log(2.0), x.dtype)


def log10(x: T) -> T:
    return tf.math.log(x) / tf.constant(np.log(10.0), x.dtype)


def silu(x: T) -> T:
    return x * tf.sigmoid(x)


def mish(x: T) -> T:
    return x * tf.tanh(tf.math.softplus(x))


def hard_sigmoid(x: T) -> T:
    return tf.nn.relu6(x + 3.0) / 6.0


def svdvals(x: T) -> T:
    return tf.linalg.svd(x, compute_uv=False)


def tril(x: T) -> T:
    return tf.linalg.band_part(x, -1, 0)


def triu(x: T) -> T:
    return tf.linalg.band_part(x, 0, -1)


def ravel(x: T) -> T:
    return tf.reshape(x, [-1])
