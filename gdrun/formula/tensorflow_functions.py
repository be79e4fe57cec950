"""TensorFlow's implementation of every function of the table but derivatives and draws.

Each takes the Meeting (which brings values to one dtype) and then its arguments, in the table's order and names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from gdrun.errors import FormulaError

from . import numpy_ops
from .failures import check_count, check_size

T = Any


def is_tensor(value: Any) -> bool:
    """Whether a value of a scope is a tensor (variables have been read by then); much faster than tf.is_tensor."""
    return isinstance(value, tf.Tensor)


def _is_complex_host(value: Any) -> bool:
    return type(value) is not float and not is_tensor(value) and np.iscomplexobj(value)


class Meeting:
    """How values of different kinds come to one dtype.

    Floating tensors keep their dtype while they agree, and take the run's where they do not; integer and boolean
    tensors take the run's; host values take the tensors'. One complex value makes all of them complex.
    """

    def __init__(self, dtype: tf.DType, complex_dtype: tf.DType) -> None:
        self.dtype = dtype
        self.complex_dtype = complex_dtype

    def common(self, values: Sequence[T]) -> tf.DType:
        """Return the dtype in which `values` meet."""
        tensors = [value.dtype for value in values if is_tensor(value)]
        if tensors and tensors[0] == self.dtype and len(set(tensors)) == 1 and not any(map(_is_complex_host, values)):
            return self.dtype
        kinds = {dtype for dtype in tensors if dtype.is_floating or dtype.is_complex}
        real = {tf.as_dtype(dtype.real_dtype) for dtype in kinds}
        one = real.pop() if len(real) == 1 else self.dtype
        is_complex = any(dtype.is_complex for dtype in kinds) or any(map(_is_complex_host, values))
        return {tf.float32: tf.complex64, tf.float64: tf.complex128}[one] if is_complex else one

    def meet(self, *values: T) -> tuple[tf.Tensor, ...]:
        """Return `values` as tensors of their common dtype; refuse a broadcast of absurd size."""
        dtype = self.common(values)
        tensors = tuple(self.tensor(value, dtype) for value in values)
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
        array = numpy_ops.number(value)
        target = dtype or (self.complex_dtype if array.dtype.kind == "c" else self.dtype)
        with np.errstate(all="ignore"):
            cast = array.astype(target.as_numpy_dtype)
        if not np.all(np.isfinite(cast) | ~np.isfinite(array)) or (array.ndim == 0 and array != 0 and cast == 0):
            worst = array if array.ndim == 0 else array[np.isfinite(array) & ~np.isfinite(cast)].flat[0]
            raise FormulaError(f"{worst:g} does not fit {target.name}", hint="use precision: float64")
        return tf.constant(cast)

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
            return tf.constant(numpy_ops.truth(value))
        return value if value.dtype == tf.bool else tf.not_equal(value, tf.zeros([], value.dtype))


def _unary(function: Callable[[T], T], *, real: bool = False) -> Callable[..., T]:
    return lambda meeting, x: function(meeting.real(x) if real else meeting.number(x))


def _binary(function: Callable[..., T]) -> Callable[..., T]:
    return lambda meeting, *values, **named: function(*meeting.meet(*values, *named.values()))


def _reduction(function: Callable[..., T], *, of_truth: bool = False) -> Callable[..., T]:
    def reduce(meeting: Meeting, x: T, axis: Any = None, keepdims: bool = False) -> T:
        return function(meeting.truth(x) if of_truth else meeting.number(x), axis=axis, keepdims=keepdims)

    return reduce


def _compare(function: Callable[[T, T], T]) -> Callable[..., T]:
    def compare(meeting: Meeting, a: T, b: T) -> T:
        tensors = [value for value in (a, b) if is_tensor(value)]
        if all(tensor.dtype.is_integer for tensor in tensors):
            # In float64, so that steps beyond 2**24 are still told apart in a float32 run.
            return function(
                *(tf.cast(value, tf.float64) if is_tensor(value) else numpy_ops.number(value) for value in (a, b))
            )
        return function(*meeting.meet(a, b))

    return compare


def _logical(function: Callable[..., T]) -> Callable[..., T]:
    return lambda meeting, *values, **named: function(*(meeting.truth(value) for value in (*values, *named.values())))


def _where(meeting: Meeting, condition: T, a: T, b: T) -> T:
    a, b = meeting.meet(a, b)
    return tf.where(meeting.truth(condition), a, b)


def _clip(meeting: Meeting, x: T, low: T, high: T) -> T:
    x, low, high = meeting.meet(x, low, high)
    return tf.clip_by_value(x, low, high)


def _rank(x: tf.Tensor) -> int:
    if x.shape.rank is None:
        raise FormulaError("the number of axes is not known before the run")
    return int(x.shape.rank)


def _same(meeting: Meeting, *values: T) -> tuple[tf.Tensor, ...]:
    """Bring values to one dtype where their shapes need not broadcast."""
    dtype = meeting.common(values)
    return tuple(meeting.tensor(value, dtype) for value in values)


def _matmul(meeting: Meeting, a: T, b: T) -> T:
    a, b = _same(meeting, a, b)
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


def _dot(meeting: Meeting, a: T, b: T) -> T:
    a, b = _same(meeting, a, b)
    if 0 in (_rank(a), _rank(b)):
        return tf.multiply(a, b)
    return _matmul(meeting, a, b) if _rank(b) <= 2 and _rank(a) <= 2 else tf.tensordot(a, b, [[-1], [_rank(b) - 2]])


def _tensordot(meeting: Meeting, a: T, b: T, num: int = 2) -> T:
    return tf.tensordot(*_same(meeting, a, b), num)


def _outer(meeting: Meeting, a: T, b: T) -> T:
    a, b = (tf.reshape(value, [-1]) for value in _same(meeting, a, b))
    check_count(float(a.shape[0] or 1) * (b.shape[0] or 1), "outer")
    return a[:, None] * b[None, :]


def _kron(meeting: Meeting, a: T, b: T) -> T:
    a, b = _same(meeting, a, b)
    if (_rank(a), _rank(b)) != (2, 2):
        raise ValueError("needs two matrices")
    check_count(float(a.shape.num_elements() or 1) * (b.shape.num_elements() or 1), "kron")
    blocks = a[:, None, :, None] * b[None, :, None, :]
    return tf.reshape(blocks, [a.shape[0] * b.shape[0], a.shape[1] * b.shape[1]])


def _cross(meeting: Meeting, a: T, b: T) -> T:
    a, b = meeting.meet(a, b)
    if a.shape[-1] != 3 or b.shape[-1] != 3:
        raise ValueError("needs vectors of length 3")
    after = [1, 2, 0]
    # By gathers, which broadcast and vectorise; tf.linalg.cross does neither.
    ahead_a, ahead_b = (tf.gather(value, after, axis=-1) for value in (a, b))
    return tf.gather(a * ahead_b - ahead_a * b, after, axis=-1)


def _l2_normalize(meeting: Meeting, x: T, axis: Any = None) -> T:
    return tf.math.l2_normalize(meeting.real(x), axis=list(axis) if isinstance(axis, tuple) else axis)


def _fourier(function: Callable[[T], T]) -> Callable[..., T]:
    def transform(meeting: Meeting, x: T) -> T:
        x = meeting.number(x)
        wide = {tf.float32: tf.complex64, tf.float64: tf.complex128}.get(x.dtype, x.dtype)
        return function(tf.cast(x, wide))

    return transform


def _logaddexp(a: T, b: T) -> T:
    shape = tf.broadcast_static_shape(a.shape, b.shape)
    return tf.reduce_logsumexp(tf.stack([tf.broadcast_to(value, shape) for value in (a, b)]), axis=0)


def _transpose(meeting: Meeting, x: T, axes: Any = None) -> T:
    return tf.transpose(meeting.number(x), axes)


def _solve(meeting: Meeting, a: T, b: T) -> T:
    a, b = _same(meeting, a, b)
    return tf.linalg.solve(a, b[:, None])[:, 0] if _rank(b) == 1 else tf.linalg.solve(a, b)


def _triangular_solve(meeting: Meeting, a: T, b: T, lower: bool = True, adjoint: bool = False) -> T:
    a, b = _same(meeting, a, b)
    right = b[:, None] if _rank(b) == 1 else b
    x = tf.linalg.triangular_solve(a, right, lower=lower, adjoint=adjoint)
    return x[:, 0] if _rank(b) == 1 else x


def _norm(meeting: Meeting, x: T, ord: float = 2, axis: Any = None, keepdims: bool = False) -> T:
    x = meeting.number(x)
    if ord == 2:
        return tf.norm(x, axis=list(axis) if isinstance(axis, tuple) else axis, keepdims=keepdims)
    powers = tf.reduce_sum(tf.abs(x) ** ord, axis=axis, keepdims=keepdims)
    return powers if ord == 1 else powers ** (1 / ord)


def _diag(meeting: Meeting, x: T) -> T:
    x = meeting.number(x)
    if _rank(x) == 1:
        check_count(float(x.shape[0] or 1) ** 2, "diag")
        return tf.linalg.diag(x)
    return tf.linalg.diag_part(x)


def _reshape(meeting: Meeting, x: T, shape: Any) -> T:
    return tf.reshape(meeting.number(x), shape)


def _broadcast_to(meeting: Meeting, x: T, shape: Any) -> T:
    check_size(shape, "broadcast_to")
    return tf.broadcast_to(meeting.number(x), shape)


def _full(meeting: Meeting, shape: Any, value: T) -> T:
    check_size(shape, "full")
    return tf.broadcast_to(meeting.number(value), shape)


def _concat(meeting: Meeting, values: Sequence[T], axis: int = 0) -> T:
    return tf.concat(_of_bounded_size(_same(meeting, *values), "concat"), axis)


def _stack(meeting: Meeting, values: Sequence[T], axis: int = 0) -> T:
    return tf.stack(_of_bounded_size(_same(meeting, *values), "stack"), axis)


def _of_bounded_size(values: Sequence[T], what: str) -> Sequence[T]:
    check_count(sum(value.shape.num_elements() or 0 if value.shape.rank is not None else 0 for value in values), what)
    return values


def _tile(meeting: Meeting, x: T, reps: Any) -> T:
    x = meeting.number(x)
    missing = len(reps) - _rank(x)
    x = x if missing <= 0 else tf.reshape(x, [1] * missing + x.shape.as_list())
    reps = (1,) * -missing + tuple(reps) if missing < 0 else tuple(reps)
    check_size([size * rep for size, rep in zip(x.shape.as_list(), reps, strict=True)], "tile")
    return tf.tile(x, reps)


def _repeat(meeting: Meeting, x: T, repeats: int, axis: int | None = None) -> T:
    x = meeting.number(x)
    check_count(float(np.prod([size or 1 for size in x.shape.as_list()])) * repeats, "repeat")
    return tf.repeat(x, repeats, axis)


def _flip(meeting: Meeting, x: T, axis: Any = None) -> T:
    x = meeting.number(x)
    axes = range(_rank(x)) if axis is None else [axis] if isinstance(axis, int) else axis
    return tf.reverse(x, list(axes))


def _roll(meeting: Meeting, x: T, shift: int, axis: int | None = None) -> T:
    x = meeting.number(x)
    if axis is None:
        return tf.reshape(_roll(meeting, tf.reshape(x, [-1]), shift, 0), x.shape)
    length = x.shape[axis]
    split = -shift % max(length, 1)  # two slices instead of tf.roll, which vectorized_map cannot convert
    return tf.gather(x, tf.constant(np.roll(np.arange(length), -split)), axis=axis)


def _gather(meeting: Meeting, x: T, indices: T, axis: int = 0) -> T:
    positions = tf.cast(indices, tf.int32) if is_tensor(indices) else tf.constant(numpy_ops.whole(indices), tf.int32)
    return tf.gather(meeting.number(x), positions, axis=axis)


def _one_hot(meeting: Meeting, indices: T, depth: int) -> T:
    return tf.one_hot(tf.cast(indices, tf.int32), depth, dtype=meeting.dtype)


def _along(function: Callable[..., T]) -> Callable[..., T]:
    """A running function: over the flattened array where no axis is given, as numpy does."""

    def run(meeting: Meeting, x: T, axis: int | None = None) -> T:
        x = meeting.number(x)
        return function(tf.reshape(x, [-1]), 0) if axis is None else function(x, axis)

    return run


def _argument(function: Callable[..., T]) -> Callable[..., T]:
    def find(meeting: Meeting, x: T, axis: int | None = None) -> T:
        x = meeting.real(x)
        return function(tf.reshape(x, [-1]), 0) if axis is None else function(x, axis)

    return find


def _diff(meeting: Meeting, x: T, axis: int = -1) -> T:
    x = meeting.number(x)
    axis %= _rank(x)
    before: list[Any] = [slice(None)] * axis
    return x[(*before, slice(1, None))] - x[(*before, slice(None, -1))]


def _order(descending: bool) -> str:
    return "DESCENDING" if descending else "ASCENDING"


def _sort(meeting: Meeting, x: T, axis: int = -1, descending: bool = False) -> T:
    """Sorted by gathering: the gradient of tf.sort scatters, which vectorized_map cannot convert."""
    x = meeting.real(x)
    last = _rank(x) - 1
    moved = x if axis in (-1, last) else tf.experimental.numpy.moveaxis(x, axis, -1)
    order = tf.argsort(tf.stop_gradient(moved), -1, _order(descending), stable=True)
    length = moved.shape[-1]
    starts = np.arange(0, moved.shape.num_elements(), max(length, 1), dtype=np.int32)[:, None]
    flat = tf.gather(tf.reshape(moved, [-1]), tf.reshape(tf.reshape(order, [-1, length]) + starts, [-1]))
    result = tf.reshape(flat, moved.shape)
    return result if moved is x else tf.experimental.numpy.moveaxis(result, -1, axis)


def _median(meeting: Meeting, x: T, axis: int | None = None, keepdims: bool = False) -> T:
    x = meeting.real(x)
    rank = _rank(x)
    along = tf.reshape(x, [-1]) if axis is None else x
    place = -1 if axis is None else axis
    length = along.shape[place]
    ordered = _sort(meeting, along, place)
    # Twice the same one where there is one in the middle.
    low, high = (tf.gather(ordered, position, axis=place) for position in ((length - 1) // 2, length // 2))
    middle = (low + high) / 2
    if not keepdims:
        return middle
    return tf.reshape(middle, [1] * rank) if axis is None else tf.expand_dims(middle, axis)


def _pad(meeting: Meeting, x: T, width: Sequence[int], axis: int | None = None) -> T:
    x = meeting.number(x)
    widths = numpy_ops.padding(width, axis, _rank(x))
    check_size([size + sum(ends) for size, ends in zip(x.shape.as_list(), widths, strict=True)], "pad")
    return tf.pad(x, widths)


def _argsort(meeting: Meeting, x: T, axis: int = -1, descending: bool = False) -> T:
    return tf.argsort(meeting.real(x), axis, _order(descending), stable=True)


def _length(meeting: Meeting, x: T) -> int:
    if not x.shape.rank or x.shape[0] is None:
        raise FormulaError("length needs an array whose shape is known")
    return int(x.shape[0])


def _size(meeting: Meeting, x: T) -> int:
    if not x.shape.is_fully_defined():
        raise FormulaError("size needs an array whose shape is known")
    return int(x.shape.num_elements())


def _range(meeting: Meeting, start: T, stop: T = None, step: T = 1.0) -> T:
    raise FormulaError("range needs ends that are known before the run", hint="scale it: a * range(n)")


def _linspace(meeting: Meeting, start: T, stop: T, num: int = 50) -> T:
    start, stop = meeting.meet(start, stop)
    check_count(float(num) * max(start.shape.num_elements() or 1, stop.shape.num_elements() or 1), "linspace")
    return tf.linspace(start, stop, num)


def _logspace(meeting: Meeting, start: T, stop: T, num: int = 50, base: float = 10.0) -> T:
    return base ** _linspace(meeting, start, stop, num)


def _softmax_cross_entropy(meeting: Meeting, labels: T, logits: T) -> T:
    labels, logits = meeting.meet(labels, logits)
    return tf.nn.softmax_cross_entropy_with_logits(labels, logits)


def _sigmoid_cross_entropy(meeting: Meeting, labels: T, logits: T) -> T:
    labels, logits = meeting.meet(labels, logits)
    return tf.nn.sigmoid_cross_entropy_with_logits(labels, logits)


def _with_axis(function: Callable[..., T]) -> Callable[..., T]:
    return lambda meeting, x, axis=-1: function(meeting.real(x), axis=axis)


def _log_to(base: float) -> Callable[[T], T]:
    return lambda x: tf.math.log(x) / tf.constant(np.log(base), x.dtype)


FUNCTIONS: dict[str, Callable[..., T]] = {
    "add": _binary(tf.add), "subtract": _binary(tf.subtract), "multiply": _binary(tf.multiply),
    "divide": _binary(tf.truediv), "divide_no_nan": _binary(tf.math.divide_no_nan), "pow": _binary(tf.pow),
    "mod": _binary(tf.math.floormod), "negative": _unary(tf.negative), "exp": _unary(tf.exp),
    "expm1": _unary(tf.math.expm1), "log": _unary(tf.math.log), "log1p": _unary(tf.math.log1p),
    "log2": _unary(_log_to(2.0), real=True), "log10": _unary(_log_to(10.0), real=True), "sqrt": _unary(tf.sqrt),
    "rsqrt": _unary(tf.math.rsqrt), "square": _unary(tf.square),
    "squared_difference": _binary(tf.math.squared_difference), "reciprocal": _unary(tf.math.reciprocal),
    "abs": _unary(tf.abs), "sign": _unary(tf.sign, real=True), "floor": _unary(tf.floor, real=True),
    "ceil": _unary(tf.math.ceil, real=True), "round": _unary(tf.round, real=True), "sin": _unary(tf.sin),
    "cos": _unary(tf.cos), "tan": _unary(tf.tan), "asin": _unary(tf.asin), "acos": _unary(tf.acos),
    "atan": _unary(tf.atan), "atan2": _binary(tf.atan2), "sinh": _unary(tf.sinh), "cosh": _unary(tf.cosh),
    "tanh": _unary(tf.tanh), "asinh": _unary(tf.asinh), "acosh": _unary(tf.acosh), "atanh": _unary(tf.atanh),
    "minimum": _binary(tf.minimum), "maximum": _binary(tf.maximum), "clip": _clip, "where": _where,
    "xlogy": _binary(tf.math.xlogy), "logaddexp": _binary(_logaddexp),
    "less": _compare(tf.less), "less_equal": _compare(tf.less_equal), "greater": _compare(tf.greater),
    "greater_equal": _compare(tf.greater_equal), "equal": _compare(tf.equal), "not_equal": _compare(tf.not_equal),
    "logical_and": _logical(tf.logical_and), "logical_or": _logical(tf.logical_or),
    "logical_not": _logical(tf.logical_not), "isfinite": _unary(tf.math.is_finite, real=True),
    "isnan": _unary(tf.math.is_nan, real=True),
    "erf": _unary(tf.math.erf, real=True), "erfc": _unary(tf.math.erfc, real=True),
    "erfinv": _unary(tf.math.erfinv, real=True), "fft": _fourier(tf.signal.fft), "ifft": _fourier(tf.signal.ifft),
    "lgamma": _unary(tf.math.lgamma, real=True), "digamma": _unary(tf.math.digamma, real=True),
    "complex": _binary(tf.complex), "real": _unary(tf.math.real), "imag": _unary(tf.math.imag),
    "conj": _unary(tf.math.conj), "angle": _unary(tf.math.angle),
    "sigmoid": _unary(tf.sigmoid, real=True), "log_sigmoid": _unary(tf.math.log_sigmoid, real=True),
    "softplus": _unary(tf.math.softplus, real=True), "softsign": _unary(tf.nn.softsign, real=True),
    "relu": _unary(tf.nn.relu, real=True), "relu6": _unary(tf.nn.relu6, real=True),
    "leaky_relu": lambda meeting, x, alpha=0.2: tf.nn.leaky_relu(meeting.real(x), alpha),
    "elu": _unary(tf.nn.elu, real=True), "selu": _unary(tf.nn.selu, real=True),
    "gelu": lambda meeting, x, approximate=False: tf.nn.gelu(meeting.real(x), approximate),
    "silu": _unary(lambda x: x * tf.sigmoid(x), real=True),
    "mish": _unary(lambda x: x * tf.tanh(tf.math.softplus(x)), real=True),
    "hard_sigmoid": _unary(lambda x: tf.nn.relu6(x + 3.0) / 6.0, real=True), "softmax": _with_axis(tf.nn.softmax),
    "log_softmax": _with_axis(tf.nn.log_softmax), "sigmoid_cross_entropy_with_logits": _sigmoid_cross_entropy,
    "softmax_cross_entropy_with_logits": _softmax_cross_entropy,
    "sum": _reduction(tf.reduce_sum), "mean": _reduction(tf.reduce_mean), "prod": _reduction(tf.reduce_prod),
    "max": _reduction(tf.reduce_max), "min": _reduction(tf.reduce_min), "var": _reduction(tf.math.reduce_variance),
    "std": _reduction(tf.math.reduce_std), "median": _median, "any": _reduction(tf.reduce_any, of_truth=True),
    "all": _reduction(tf.reduce_all, of_truth=True), "logsumexp": _reduction(tf.reduce_logsumexp),
    "argmax": _argument(tf.argmax), "argmin": _argument(tf.argmin),
    "matmul": _matmul, "matvec": lambda meeting, a, b: tf.linalg.matvec(*_same(meeting, a, b)), "dot": _dot,
    "tensordot": _tensordot, "outer": _outer, "kron": _kron, "cross": _cross,
    "l2_normalize": _l2_normalize, "transpose": _transpose, "trace": _unary(tf.linalg.trace),
    "det": _unary(tf.linalg.det), "logdet": _unary(tf.linalg.logdet), "inverse": _unary(tf.linalg.inv),
    "solve": _solve, "triangular_solve": _triangular_solve, "cholesky": _unary(tf.linalg.cholesky),
    "eigvalsh": _unary(tf.linalg.eigvalsh),
    "svdvals": _unary(lambda x: tf.linalg.svd(x, compute_uv=False)),
    "norm": _norm, "diag": _diag, "diag_part": _unary(tf.linalg.diag_part),
    "tril": _unary(lambda x: tf.linalg.band_part(x, -1, 0)), "triu": _unary(lambda x: tf.linalg.band_part(x, 0, -1)),
    "reshape": _reshape, "ravel": _unary(lambda x: tf.reshape(x, [-1])),
    "expand_dims": lambda meeting, x, axis: tf.expand_dims(meeting.number(x), axis),
    "squeeze": lambda meeting, x, axis=None: tf.squeeze(meeting.number(x), axis), "broadcast_to": _broadcast_to,
    "concat": _concat, "stack": _stack, "pad": _pad, "tile": _tile, "repeat": _repeat, "flip": _flip, "roll": _roll,
    "gather": _gather, "one_hot": _one_hot, "cumsum": _along(tf.cumsum), "cumprod": _along(tf.math.cumprod),
    "diff": _diff, "sort": _sort, "argsort": _argsort, "length": _length, "size": _size, "full": _full,
    "zeros_like": _unary(tf.zeros_like), "ones_like": _unary(tf.ones_like), "range": _range, "linspace": _linspace,
    "logspace": _logspace, "stop_gradient": _unary(tf.stop_gradient),
}  # fmt: skip
"""What takes no value that could be a tensor (zeros, ones, eye) is left to numpy."""
