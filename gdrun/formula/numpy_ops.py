"""The function table in numpy: float64 and complex128, numpy's broadcasting, overflow to infinity."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gdrun.errors import FormulaError

from . import special
from .failures import check_count, check_size

Array = Any


def table(random: np.random.Generator | np.random.RandomState | None = None) -> NumpyOps:
    """Return the table. `random` is where draws come from, in the order of evaluation; None refuses them."""
    return NumpyOps(random)


def number(x: Array) -> np.ndarray:
    """Return x as float64 or complex128; booleans and integers become floats."""
    array = np.asarray(x)
    if array.dtype.kind == "c":
        return array.astype(np.complex128, copy=False)
    if array.dtype.kind not in "biuf":
        raise FormulaError(f"an array of {array.dtype} is not numeric")
    return array.astype(np.float64, copy=False)


def _real(x: Array) -> np.ndarray:
    array = number(x)
    if array.dtype.kind == "c":
        raise TypeError("needs real numbers, not complex ones")
    return array


def truth(x: Array) -> np.ndarray:
    """Return x as booleans: true where it is not 0."""
    array = np.asarray(x)
    return array if array.dtype.kind == "b" else number(array) != 0


def _unary(function: Callable[[Array], Array], convert: Callable[[Array], Array] = number) -> Callable[[Array], Array]:
    return lambda x: function(convert(x))


def _binary(function: Callable[..., Array], convert: Callable[[Array], Array] = number) -> Callable[..., Array]:
    def apply(*values: Array, **named: Array) -> Array:
        arrays = [convert(value) for value in (*values, *named.values())]
        check_size(np.broadcast_shapes(*(array.shape for array in arrays)), "the result")
        return function(*arrays)

    return apply


def _reduction(function: Callable[..., Array], convert: Callable[[Array], Array] = number) -> Callable[..., Array]:
    return lambda x, axis=None, keepdims=False: function(convert(x), axis=axis, keepdims=keepdims)


def _pow(a: Array, b: Array) -> Array:
    return np.power(a, b)


def _where(condition: Array, a: Array, b: Array) -> Array:
    return _binary(lambda x, y, c: np.where(c != 0, x, y))(a, b, truth(condition))


def _xlogy(a: Array, b: Array) -> Array:
    return np.where(a == 0, 0.0, a * np.log(np.where(a == 0, 1.0, b)))


def _divide_no_nan(a: Array, b: Array) -> Array:
    return np.where(b == 0, 0.0, a / np.where(b == 0, 1.0, b))


def _softmax(x: Array, axis: int = -1) -> Array:
    return np.exp(_log_softmax(x, axis))


def _log_softmax(x: Array, axis: int = -1) -> Array:
    x = _real(x)
    return x - special.logsumexp(x, axis=axis, keepdims=True)


def _softmax_cross_entropy(labels: Array, logits: Array) -> Array:
    return -np.sum(_real(labels) * _log_softmax(logits), axis=-1)


def _sigmoid_cross_entropy(labels: Array, logits: Array) -> Array:
    return np.maximum(logits, 0) - logits * labels + np.log1p(np.exp(-np.abs(logits)))


def _hermitian_solve(a: Array, b: Array, *, convert: Callable[[Array], Array] = number) -> Array:
    a, b = convert(a), convert(b)
    return np.linalg.solve(a, b[..., None])[..., 0] if b.ndim == 1 else np.linalg.solve(a, b)


def _triangular_solve(a: Array, b: Array, lower: bool = True, adjoint: bool = False) -> Array:
    a = np.tril(number(a)) if lower else np.triu(number(a))
    return _hermitian_solve(np.conj(np.swapaxes(a, -1, -2)) if adjoint else a, b)


def _norm(x: Array, ord: float = 2, axis: Any = None, keepdims: bool = False) -> Array:
    size = np.abs(number(x))
    if ord == 2:
        return np.sqrt(np.sum(size * size, axis=axis, keepdims=keepdims))
    return np.sum(size**ord, axis=axis, keepdims=keepdims) ** (1 / ord)


def _logdet(x: Array) -> Array:
    lower = np.linalg.cholesky(number(x))
    return 2 * np.sum(np.log(np.real(np.diagonal(lower, axis1=-2, axis2=-1))), axis=-1)


def _matmul(a: Array, b: Array) -> Array:
    a, b = number(a), number(b)
    if not a.ndim or not b.ndim:
        raise ValueError("a single number is no matrix; use *")
    if a.shape[-1] != (rows := b.shape[max(b.ndim - 2, 0)]):
        raise ValueError(f"{a.shape[-1]} columns meet {rows} rows")
    check_count(a.size / max(a.shape[-1], 1) * (b.size / rows if b.size else 0), "the product")
    return np.matmul(a, b)


def _dot(a: Array, b: Array) -> Array:
    a, b = number(a), number(b)
    if a.ndim == 0 or b.ndim == 0:
        return NUMPY_FUNCTIONS["multiply"](a, b)
    return _matmul(a, b) if a.ndim <= 2 and b.ndim <= 2 else _tensordot(a, np.moveaxis(b, max(b.ndim - 2, 0), 0), 1)


def _tensordot(a: Array, b: Array, num: int = 2) -> Array:
    a, b = number(a), number(b)
    if not 0 <= num <= min(a.ndim, b.ndim):
        raise ValueError(f"cannot sum over {num} axes")
    check_size(a.shape[: a.ndim - num] + b.shape[num:], "the product")
    return np.tensordot(a, b, num)


def _cross(a: Array, b: Array) -> Array:
    left, right = np.broadcast_arrays(number(a), number(b))
    return np.cross(left, right)


def _outer(a: Array, b: Array) -> Array:
    a, b = number(a), number(b)
    check_count(float(a.size) * b.size, "outer")
    return np.outer(a, b)


def _diag(x: Array) -> Array:
    x = number(x)
    if x.ndim == 1:
        check_count(float(x.size) ** 2, "diag")
    return np.diag(x)


def _eye(num: int) -> Array:
    check_count(float(num) ** 2, "eye")
    return np.eye(num)


def _stack(values: Sequence[Array], axis: int = 0) -> Array:
    arrays = [number(value) for value in values]
    check_count(sum(array.size for array in arrays), "stack")
    return np.stack(arrays, axis)


def _concat(values: Sequence[Array], axis: int = 0) -> Array:
    arrays = [number(value) for value in values]
    check_count(sum(array.size for array in arrays), "concat")
    return np.concatenate(arrays, axis)


def _tile(x: Array, reps: Sequence[int]) -> Array:
    x = number(x)
    check_count(float(x.size) * math.prod(float(rep) for rep in reps), "tile")
    return np.tile(x, reps)


def _repeat(x: Array, repeats: int, axis: int | None = None) -> Array:
    x = number(x)
    check_count(float(x.size) * repeats, "repeat")
    return np.repeat(x, repeats, axis)


def whole(x: Array) -> np.ndarray:
    """Return x as int64; refuse fractions."""
    array = np.asarray(x)
    if array.dtype.kind in "iu":
        return array.astype(np.int64, copy=False)
    array = _real(array)
    if not np.all(np.isfinite(array)) or np.any(array != np.floor(array)) or np.any(np.abs(array) > 2**53):
        raise FormulaError("an index must be a whole number")
    return array.astype(np.int64)


def _gather(x: Array, indices: Array, axis: int = 0) -> Array:
    return np.take(number(x), whole(indices), axis=axis)


def _one_hot(indices: Array, depth: int) -> Array:
    indices = whole(indices)
    check_count(float(indices.size) * depth, "one_hot")
    return (indices[..., None] == np.arange(depth)).astype(np.float64)


def _sort(x: Array, axis: int = -1, descending: bool = False) -> Array:
    result = np.sort(_real(x), axis=axis)
    return np.flip(result, axis) if descending else result


def _pad(x: Array, width: Sequence[int], axis: int | None = None) -> Array:
    x = number(x)
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


def _argsort(x: Array, axis: int = -1, descending: bool = False) -> Array:
    x = _real(x)
    return np.argsort(-x if descending else x, axis=axis, kind="stable")


def _filled(value: float, what: str) -> Callable[[Sequence[int]], Array]:
    def fill(shape: Sequence[int]) -> Array:
        check_size(shape, what)
        return np.full(tuple(shape), value)

    return fill


def _full(shape: Sequence[int], value: Array) -> Array:
    check_size(shape, "full")
    return np.broadcast_to(number(value), tuple(shape)).copy()


def _broadcast_to(x: Array, shape: Sequence[int]) -> Array:
    check_size(shape, "broadcast_to")
    return np.broadcast_to(number(x), tuple(shape)).copy()


def _scalar(x: Array) -> float:
    array = _real(x)
    if array.size != 1:
        raise FormulaError("needs single numbers as its ends")
    return float(array.reshape(()))


def _range(start: Array, stop: Array = None, step: Array = 1.0) -> Array:
    first, last = (0.0, _scalar(start)) if stop is None else (_scalar(start), _scalar(stop))
    stride = _scalar(step)
    if stride == 0 or not all(map(math.isfinite, (first, last, stride))):
        raise FormulaError("range needs finite ends and a step that is not 0")
    check_count((last - first) / stride, "range")
    return np.arange(first, last, stride)


def _linspace(start: Array, stop: Array, num: int = 50) -> Array:
    start, stop = number(start), number(stop)
    check_count(float(num) * max(start.size, stop.size), "linspace")
    return np.linspace(start, stop, num)


def _logspace(start: Array, stop: Array, num: int = 50, base: float = 10.0) -> Array:
    return np.power(base, _linspace(start, stop, num))


def _squeeze(x: Array, axis: Any = None) -> Array:
    return np.squeeze(number(x), axis=axis)


def _static_index(value: Any) -> bool:
    return value is None or value is Ellipsis or isinstance(value, slice | int)


def _kron(a: Array, b: Array) -> Array:
    a, b = number(a), number(b)
    check_count(float(a.size) * b.size, "kron")
    if a.ndim != 2 or b.ndim != 2:
        raise ValueError("needs two matrices")
    return np.kron(a, b)


def _l2_normalize(x: Array, axis: Any = None) -> Array:
    x = _real(x)
    return x / np.sqrt(np.maximum(np.sum(x * x, axis=axis, keepdims=True), 1e-12))


NUMPY_FUNCTIONS: dict[str, Callable[..., Array]] = {
    "add": _binary(np.add), "subtract": _binary(np.subtract), "multiply": _binary(np.multiply),
    "divide": _binary(np.true_divide), "divide_no_nan": _binary(_divide_no_nan), "pow": _binary(_pow),
    "mod": _binary(np.mod, _real), "negative": _unary(np.negative), "exp": _unary(np.exp), "expm1": _unary(np.expm1),
    "log": _unary(np.log), "log1p": _unary(np.log1p), "log2": _unary(np.log2, _real), "log10": _unary(np.log10, _real),
    "sqrt": _unary(np.sqrt), "rsqrt": _unary(lambda x: 1 / np.sqrt(x)), "square": _unary(np.square),
    "squared_difference": _binary(lambda a, b: np.square(a - b), _real), "reciprocal": _unary(lambda x: 1 / x),
    "abs": _unary(np.abs), "sign": _unary(np.sign, _real), "floor": _unary(np.floor, _real),
    "ceil": _unary(np.ceil, _real), "round": _unary(np.rint, _real), "sin": _unary(np.sin), "cos": _unary(np.cos),
    "tan": _unary(np.tan), "asin": _unary(np.arcsin), "acos": _unary(np.arccos), "atan": _unary(np.arctan),
    "atan2": _binary(np.arctan2, _real), "sinh": _unary(np.sinh), "cosh": _unary(np.cosh), "tanh": _unary(np.tanh),
    "asinh": _unary(np.arcsinh), "acosh": _unary(np.arccosh), "atanh": _unary(np.arctanh),
    "minimum": _binary(np.minimum, _real), "maximum": _binary(np.maximum, _real),
    "clip": _binary(lambda x, low, high: np.minimum(np.maximum(x, low), high), _real), "where": _where,
    "xlogy": _binary(_xlogy, _real), "logaddexp": _binary(np.logaddexp, _real),
    "less": _binary(np.less, _real), "less_equal": _binary(np.less_equal, _real), "greater": _binary(np.greater, _real),
    "greater_equal": _binary(np.greater_equal, _real), "equal": _binary(np.equal), "not_equal": _binary(np.not_equal),
    "logical_and": _binary(np.logical_and, truth), "logical_or": _binary(np.logical_or, truth),
    "logical_not": _unary(np.logical_not, truth), "isfinite": _unary(np.isfinite), "isnan": _unary(np.isnan),
    "erf": _unary(special.erf, _real), "erfc": _unary(special.erfc, _real), "lgamma": _unary(special.lgamma, _real),
    "digamma": _unary(special.digamma, _real), "erfinv": _unary(special.erfinv, _real),
    "complex": _binary(lambda a, b: a + 1j * b, _real), "real": _unary(np.real), "imag": _unary(np.imag),
    "conj": _unary(np.conj), "angle": _unary(np.angle), "fft": _unary(np.fft.fft), "ifft": _unary(np.fft.ifft),
    "sigmoid": _unary(special.sigmoid, _real), "log_sigmoid": _unary(lambda x: -special.softplus(-x), _real),
    "softplus": _unary(special.softplus, _real), "softsign": _unary(lambda x: x / (1 + np.abs(x)), _real),
    "relu": _unary(lambda x: np.maximum(x, 0.0), _real), "relu6": _unary(lambda x: np.clip(x, 0.0, 6.0), _real),
    "leaky_relu": lambda x, alpha=0.2: np.where(_real(x) > 0, x, alpha * _real(x)),
    "elu": _unary(lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0.0))), _real),
    "selu": _unary(
        lambda x: special.SELU_SCALE * np.where(x > 0, x, special.SELU_ALPHA * np.expm1(np.minimum(x, 0.0))), _real
    ),
    "gelu": lambda x, approximate=False: special.gelu(_real(x), approximate),
    "silu": _unary(lambda x: x * special.sigmoid(x), _real),
    "mish": _unary(lambda x: x * np.tanh(special.softplus(x)), _real),
    "hard_sigmoid": _unary(lambda x: np.clip(x + 3, 0.0, 6.0) / 6, _real), "softmax": _softmax,
    "log_softmax": _log_softmax, "sigmoid_cross_entropy_with_logits": _binary(_sigmoid_cross_entropy, _real),
    "softmax_cross_entropy_with_logits": _softmax_cross_entropy,
    "sum": _reduction(np.sum), "mean": _reduction(np.mean), "prod": _reduction(np.prod),
    "max": _reduction(np.max, _real), "min": _reduction(np.min, _real), "var": _reduction(np.var),
    "std": _reduction(np.std),
    "median": _reduction(np.median, _real), "any": _reduction(np.any, truth), "all": _reduction(np.all, truth),
    "logsumexp": _reduction(special.logsumexp, _real), "argmax": lambda x, axis=None: np.argmax(_real(x), axis=axis),
    "argmin": lambda x, axis=None: np.argmin(_real(x), axis=axis),
    "matmul": _matmul, "matvec": lambda a, b: np.matmul(number(a), number(b)[..., None])[..., 0],
    "dot": _dot, "tensordot": _tensordot, "outer": _outer, "kron": _kron,
    "cross": _cross, "l2_normalize": _l2_normalize,
    "transpose": lambda x, axes=None: np.transpose(number(x), axes),
    "trace": _unary(lambda x: np.trace(x, axis1=-2, axis2=-1)), "det": _unary(np.linalg.det),
    "logdet": _logdet, "inverse": _unary(np.linalg.inv), "solve": _hermitian_solve,
    "triangular_solve": _triangular_solve, "cholesky": _unary(np.linalg.cholesky),
    "eigvalsh": _unary(np.linalg.eigvalsh),
    "svdvals": _unary(lambda x: np.linalg.svd(x, compute_uv=False)), "norm": _norm, "diag": _diag,
    "diag_part": _unary(lambda x: np.diagonal(x, axis1=-2, axis2=-1)), "tril": _unary(np.tril), "triu": _unary(np.triu),
    "eye": _eye,
    "reshape": lambda x, shape: np.reshape(number(x), tuple(shape)), "ravel": _unary(np.ravel),
    "expand_dims": lambda x, axis: np.expand_dims(number(x), axis), "squeeze": _squeeze, "broadcast_to": _broadcast_to,
    "concat": _concat, "stack": _stack, "pad": _pad, "tile": _tile, "repeat": _repeat,
    "flip": lambda x, axis=None: np.flip(number(x), axis),
    "roll": lambda x, shift, axis=None: np.roll(number(x), shift, axis),
    "gather": _gather, "one_hot": _one_hot, "cumsum": lambda x, axis=None: np.cumsum(number(x), axis),
    "cumprod": lambda x, axis=None: np.cumprod(number(x), axis),
    "diff": lambda x, axis=-1: np.diff(number(x), axis=axis), "sort": _sort, "argsort": _argsort,
    "length": lambda x: np.asarray(x).shape[0], "size": lambda x: np.asarray(x).size,
    "zeros": _filled(0.0, "zeros"), "ones": _filled(1.0, "ones"), "zeros_like": _unary(np.zeros_like),
    "ones_like": _unary(np.ones_like), "full": _full, "range": _range, "linspace": _linspace, "logspace": _logspace,
    "stop_gradient": number,
}  # fmt: skip
"""Every function of the table but derivatives and draws, which NumpyOps answers itself."""


class NumpyOps:
    """What `evaluate` needs to work in numpy. See `table`."""

    concrete = True
    """Values can be looked at while a formula is evaluated, so loops may run in Python."""

    errors: tuple[type[Exception], ...] = (
        ValueError, TypeError, IndexError, OverflowError, ZeroDivisionError, MemoryError, np.linalg.LinAlgError,
    )  # fmt: skip
    """What numpy raises for values that do not fit."""

    def __init__(self, random: np.random.Generator | np.random.RandomState | None = None) -> None:
        self.random = random

    def lift(self, value: Any) -> Any:
        """Accept a value of the scope: a Python number or anything numpy reads as an array of numbers."""
        return value if isinstance(value, float | complex) else _numeric(value)

    def is_host(self, value: Any) -> bool:
        """Whether the value is known before the run; in numpy all are."""
        return True

    def shape(self, value: Any) -> tuple[int | None, ...]:
        """Return the value's shape."""
        return np.shape(value)

    def call(self, function: str, arguments: dict[str, Any]) -> Any:
        """Call a function of the table with arguments by name, already in the form of their kinds."""
        with np.errstate(all="ignore"):
            return NUMPY_FUNCTIONS[function](**arguments)

    def operate(self, function: str, *operands: Any) -> Any:
        """Call a function of the table with positional operands."""
        with np.errstate(all="ignore"):
            return NUMPY_FUNCTIONS[function](*operands)

    def index(self, value: Any, items: tuple[Any, ...]) -> Any:
        """Return value[items]; items are integers, slices, None, ... or arrays of whole numbers."""
        return _numeric(value)[tuple(item if _static_index(item) else whole(item) for item in items)]

    def draw(self, function: str, parameters: list[Any], shape: tuple[int, ...] | None, key: Any) -> np.ndarray:
        """Draw from `random`. Without a shape, the parameters' own; `key` is for TensorFlow."""
        if self.random is None:
            raise FormulaError(f"{function} draws random numbers, which this formula may not")
        values = [_real(parameter) for parameter in parameters]
        size = np.broadcast_shapes(*(value.shape for value in values)) if shape is None else tuple(shape)
        check_size(size, function)
        with np.errstate(all="ignore"):
            return np.asarray(_DRAWS[function](self.random, values, size), np.float64)

    def derive(self, function: str, value: Any, compute: Callable[[Any], Any]) -> Any:
        """Refuse: numpy has no tape."""
        raise FormulaError(
            f"{function} is not available here",
            hint="constants and data are computed before there is a tape; use define:",
        )

    def loop(self, *_: Any, keep_all: bool = False) -> Any:
        """Never asked: numpy's loops run in Python."""
        raise AssertionError("a numpy value can always be looked at")


def _numeric(value: Any) -> np.ndarray:
    array = np.asarray(value)
    return array if array.dtype.kind in "biu" else number(array)


def _truncated_normal(random: Any, values: list[np.ndarray], size: tuple[int, ...]) -> np.ndarray:
    """Standard normals, drawn again where beyond two deviations."""
    draws = np.asarray(random.normal(0.0, 1.0, size))
    while np.any(beyond := np.abs(draws) > 2):
        draws = np.where(beyond, random.normal(0.0, 1.0, size), draws)
    return values[0] + values[1] * draws


# Generator and RandomState both have these methods; RandomState gives the digits of a notebook's np.random.seed.
_DRAWS: dict[str, Callable[[Any, list[np.ndarray], tuple[int, ...]], Any]] = {
    "uniform": lambda random, values, size: random.uniform(values[0], values[1], size),
    "normal": lambda random, values, size: random.normal(values[0], values[1], size),
    "truncated_normal": _truncated_normal,
    "bernoulli": lambda random, values, size: random.random(size) < values[0],
}
