"""The function table in TensorFlow: the operations that hand-written TensorFlow code would call, in their digits.

Values are tensors or host values (numbers, numpy arrays). Where a host value meets a tensor it takes the tensor's
dtype, as a literal does in TensorFlow code. What holds no tensor is computed by numpy, each number and each result
rounded to the run's precision: 1 - 0.999 in a float32 run is what float32 scalars give, so that it agrees with
1 - 0.999**step beside it. Counts, shapes and indices are computed in float64, which holds whole numbers to 2**53.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from gdrun.derivatives import is_differentiable, value_and_gradient, value_and_jacobian
from gdrun.errors import FormulaError

from . import numpy_functions, numpy_ops, tensorflow_functions
from .failures import Unconnected, check_size
from .table import TABLE, Function, implementations, split_values
from .tensorflow_draws import categorical, choice, draw
from .tensorflow_functions import Promotion, is_tensor

_COMPLEX = {tf.float32: tf.complex64, tf.float64: tf.complex128}


def _adapted(row: Function, function: Callable[..., Any]) -> Callable[..., Any]:
    """Put the conversion of an entry before its implementation; the result takes a Promotion first."""
    if row.conversion in ("as_is", "power"):
        return function

    def apply(promotion: Promotion, *operands: Any, **options: Any) -> Any:
        values, options = split_values(row, operands, options)
        return function(*_converted(row.conversion, promotion, values), **options)

    return apply


def _converted(conversion: str, promotion: Promotion, values: tuple[Any, ...]) -> Iterable[Any]:
    match conversion:
        case "truth":
            return map(promotion.truth, values)
        case "matrix":
            return promotion.alike(*values)
        case "order" | "equality":
            return promotion.integers(values) or promotion.broadcast(*values)
        case "real" | "finite" if len(values) == 1:
            return map(promotion.real, values)
    return promotion.broadcast(*values)


TENSORFLOW_FUNCTIONS = implementations("tensorflow", {"tf": tf, "": tensorflow_functions}, _adapted)
"""Every function that may be given a tensor, but derivatives and draws."""


def table(dtype: tf.DType | str) -> TensorFlowOps:
    """Return the table for a run in `dtype`, float32 or float64 (and complex64 or complex128 where numbers are)."""
    return TensorFlowOps(tf.as_dtype(dtype))


class TensorFlowOps:
    """The table in TensorFlow, for `evaluate`: eagerly, in tf.function, under vectorized_map and XLA."""

    errors: tuple[type[Exception], ...] = (
        *numpy_ops.NumpyOps.errors,
        tf.errors.InvalidArgumentError,
        tf.errors.UnimplementedError,
        tf.errors.NotFoundError,
        tf.errors.ResourceExhaustedError,
    )

    def __init__(self, dtype: tf.DType, *, exact: bool = False) -> None:
        assert dtype in _COMPLEX, dtype
        self.dtype = dtype
        self.promotion = Promotion(dtype, _COMPLEX[dtype])
        self.numpy = numpy_ops.table()
        self.rounds = dtype != tf.float64 and not exact

    @cached_property
    def exact(self) -> TensorFlowOps:
        """The same table with host values in float64: for counts, shapes and indices."""
        return TensorFlowOps(self.dtype, exact=True)

    @property
    def concrete(self) -> bool:
        """True where tensors have values now."""
        return bool(tf.executing_eagerly())

    def lift(self, value: Any) -> Any:
        """Accept a value of the scope: a tensor, variable, Keras variable, number or array."""
        if is_tensor(value):
            return value
        if tf.is_tensor(value) or hasattr(value, "__tf_tensor__"):  # a variable of TensorFlow or Keras
            return tf.convert_to_tensor(value)
        return self.numpy.lift(value)

    def is_host(self, value: Any) -> bool:
        """Return whether the value is known before the run."""
        return not is_tensor(value)

    def shape(self, value: Any) -> tuple[int | None, ...]:
        """Return the static shape."""
        if not is_tensor(value):
            return np.shape(value)
        return tuple(value.shape.as_list()) if value.shape.rank is not None else (None,)

    def call(self, function: str, arguments: dict[str, Any]) -> Any:
        """Call a function of the table with arguments by name, already in the form of their kinds."""
        parts = arguments.values()
        if not any(is_tensor(part) or (isinstance(part, tuple) and any(map(is_tensor, part))) for part in parts):
            if self.rounds:
                arguments = {name: self._rounded_argument(function, name, part) for name, part in arguments.items()}
            return self._rounded(self.numpy.call(function, arguments))
        return TENSORFLOW_FUNCTIONS[function](self.promotion, **arguments)

    def operate(self, function: str, *operands: Any) -> Any:
        """Call a function of the table with positional operands."""
        if not any(map(is_tensor, operands)):
            return self._rounded(self.numpy.operate(function, *map(self._rounded, operands)))
        return TENSORFLOW_FUNCTIONS[function](self.promotion, *operands)

    def _rounded_argument(self, function: str, name: str, part: Any) -> Any:
        parameter = TABLE[function].parameter(name)
        return self._rounded(part) if parameter is not None and parameter.kind in ("value", "values") else part

    def _rounded(self, value: Any) -> Any:
        """Return a host value, or several, in the run's precision; counts and truth values stay.

        Rounded to float32 after each operation, float64's + - * / and sqrt have the bits of float32's own (Figueroa
        1995: 53 digits are more than twice 24).
        """
        if self.rounds and isinstance(value, tuple):
            return tuple(map(self._rounded, value))
        if not self.rounds or np.asarray(value).dtype.kind not in "fc":
            return value
        return self.promotion.fitted(np.asarray(value))

    def index(self, value: Any, items: tuple[Any, ...]) -> Any:
        """Return value[items]; items are integers, slices, None, ... or arrays of whole numbers."""
        moving = [position for position, item in enumerate(items) if not numpy_ops.is_static_index(item)]
        if not is_tensor(value) and not any(is_tensor(items[position]) for position in moving):
            return self.numpy.index(value, items)
        tensor = value if is_tensor(value) else self.promotion.tensor(value)
        if moving and all(np.ndim(items[place]) == 0 for place in moving):
            tensor, items, moving = *self._picked(tensor, items), []
        if not moving:
            return tensor[items]
        if len(moving) == 1 and all(item == slice(None) for item in items[: moving[0]] + items[moving[0] + 1 :]):
            return self._take(tensor, items[moving[0]], moving[0])
        if all(isinstance(item, int) or not numpy_ops.is_static_index(item) for item in items):
            if len(items) > tensor.shape.rank:
                raise FormulaError(f"{len(items)} indices for an array with {tensor.shape.rank} axes")
            indices = [self._positions(item, tensor.shape[axis]) for axis, item in enumerate(items)]
            shape = tuple(np.broadcast_shapes(*(tuple(np.shape(index)) for index in indices)))
            return tf.gather_nd(tensor, tf.stack([tf.broadcast_to(index, shape) for index in indices], -1))
        raise FormulaError("an index array stands with ':' only, or with other indices only", hint="index in two steps")

    def _picked(self, tensor: Any, items: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
        """Cut the tensor at the single indices that are known in the run only: there, 0 is then the index.

        By gathers, which XLA and vectorized_map take where a slice would need to know its place.
        """
        rest = tensor.shape.rank - sum(item is not None and item is not Ellipsis for item in items)
        axis, cut = 0, []
        for item in items:
            if not numpy_ops.is_static_index(item):
                if axis >= tensor.shape.rank:
                    raise FormulaError(f"an index for axis {axis} of an array with {tensor.shape.rank} axes")
                position = tf.reshape(self._positions(item, tensor.shape[axis]), [1])
                tensor, item = tf.gather(tensor, position, axis=axis), 0
            cut.append(item)
            axis += 0 if item is None else rest if item is Ellipsis else 1
        return tensor, tuple(cut)

    def _take(self, tensor: Any, indices: Any, axis: int) -> Any:
        if axis >= tensor.shape.rank:
            raise FormulaError(f"an index for axis {axis} of an array with {tensor.shape.rank} axes")
        return tf.gather(tensor, self._positions(indices, tensor.shape[axis]), axis=axis)

    def _positions(self, indices: Any, length: int | None) -> Any:
        """Indices as int32, counted from the end where negative."""
        if is_tensor(indices):
            if indices.dtype == tf.bool:
                raise FormulaError("a truth value is no index: the result's shape would change", hint="use where(...)")
            positions = tf.cast(indices, tf.int32)
            return tf.where(positions < 0, positions + (length or 0), positions)
        whole = numpy_functions.whole(indices)
        if length is not None and np.any((whole < -length) | (whole >= length)):
            raise FormulaError(f"an index beyond the {length} entries of its axis")
        return tf.constant(np.where(whole < 0, whole + (length or 0), whole), tf.int32)

    def draw(self, function: str, parameters: list[Any], shape: tuple[int, ...] | None, key: Any) -> Any:
        """Draw numbers of `dtype`; `key` is (seed tensor (2,), site, loop counters). Equal words in every strategy."""
        seed, site, rounds = key
        if seed is None:
            raise FormulaError(f"{function} draws random numbers, which this formula may not")
        if function == "categorical":
            return categorical(self.promotion.real(parameters[0]), *parameters[1:], key=key)
        if function in ("permutation", "choice"):
            return choice(*parameters, dtype=self.dtype, key=key)
        tensors = [self.promotion.real(parameter) for parameter in parameters]
        size = shape
        if size is None:
            size = tuple(np.broadcast_shapes(*(tuple(tensor.shape.as_list()) for tensor in tensors)))
        check_size(size, function)
        return draw(function, tensors, tuple(size), self.dtype, seed, site, rounds)

    def derive(self, function: str, value: Any, compute: Callable[[Any], Any]) -> Any:
        """Differentiate what `compute` makes of a watched copy of `value`."""
        return _derivative(function, self.promotion.number(value), compute)

    def loop(
        self,
        state: Any,
        following: Any,
        rounds: range,
        repeat: Callable[[Any, Any], Any],
        goes_on: Callable[[Any, Any], Any] | None,
        *,
        keep_all: bool,
    ) -> Any:
        """Return the state after `rounds`, each round `state = repeat(state, i)` while `goes_on(state, i)` holds.

        With `keep_all` it is the states after every round, along a new first axis. `following` is the state after the
        first round, for shape and dtype.

        All rounds are run in a tf.while_loop; where the condition has failed, the state is selected instead of
        replaced. `repeat` is then given the loop's first state, so that no overflow beyond the end puts a nan into the
        gradient.
        """
        state, following = self.promotion.broadcast(state, following)
        try:
            begin = tf.broadcast_to(state, following.shape) if state.shape != following.shape else state
        except (ValueError, tf.errors.InvalidArgumentError):
            raise FormulaError(f"the loop changes its shape from {state.shape} to {following.shape}") from None

        def body(round_: tf.Tensor, still: tf.Tensor, current: tf.Tensor, states: Any) -> tuple[Any, ...]:
            if goes_on is None:
                new = repeat(current, round_)
            else:
                still = tf.logical_and(still, tf.reshape(self.promotion.truth(goes_on(current, round_)), ()))
                new = repeat(tf.where(still, current, begin), round_)
            new = tf.cast(self.promotion.number(new), begin.dtype)
            if new.shape != begin.shape:
                if begin.shape.rank is None or len(new.shape) > len(begin.shape):
                    raise FormulaError(f"the loop changes its shape from {begin.shape} to {new.shape}")
                new = tf.broadcast_to(new, begin.shape)
            new = new if goes_on is None else tf.where(still, new, current)
            return round_ + 1, still, new, states.write(round_ - rounds.start, new) if keep_all else states

        # Without lanes and XLA, the loop may end where the condition does.
        ends = self.concrete and not keep_all

        def run() -> Any:
            kept = tf.TensorArray(begin.dtype, len(rounds), element_shape=begin.shape) if keep_all else ()
            _, _, last, states = tf.while_loop(
                lambda round_, still, *_: tf.logical_and(round_ < rounds.stop, still if ends else True),
                body,
                (tf.constant(rounds.start, tf.int32), tf.constant(True), begin, kept),
                maximum_iterations=len(rounds),
            )
            return states.stack() if keep_all else last

        # Eagerly, tf.while_loop would be a loop in Python.
        return tf.function(run, autograph=False)() if self.concrete else run()


def _derivative(function: str, value: tf.Tensor, compute: Callable[[tf.Tensor], Any]) -> tf.Tensor:
    """Return a derivative of `compute` at `value`.

        grad      d(sum of y) / dx                  shape of x
        jacobian  dy_i / dx_j                       shape of y + shape of x
        hessian   d2(sum of y) / dx_i dx_j          shape of x + shape of x

    Args:
        function: "grad", "jacobian" or "hessian". value: x, float or complex.
        compute: called once with a watched copy of x; may open tapes of its own.
    Raises:
        Unconnected: if y, or for a Hessian its gradient, does not depend on x.
    """
    if function == "hessian":
        _, derivative = value_and_jacobian(lambda x: _derivative("grad", x, compute), value)
        reason = "its gradient is constant"
    else:
        differentiate = value_and_jacobian if function == "jacobian" else value_and_gradient
        result, derivative = differentiate(compute, value)
        reason = "stop_gradient, floor, comparisons and the like end the way back"
        if not is_differentiable(result):
            reason = "it is the same whatever the value"
    if derivative is None:
        raise Unconnected(reason)
    return tf.convert_to_tensor(derivative)
