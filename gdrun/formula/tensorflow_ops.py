"""The function table in TensorFlow: the operations that hand-written TensorFlow code would call, in their digits.

Values are tensors or host values (numbers, numpy arrays). What holds no tensor is computed by numpy in float64; where
a host value meets a tensor it takes the tensor's dtype, as a literal does in TensorFlow code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from gdrun.errors import FormulaError

from . import numpy_ops
from .failures import check_size
from .tensorflow_calculus import derive, run_compiled_loop
from .tensorflow_draws import draw
from .tensorflow_functions import FUNCTIONS, Meeting, is_tensor

_COMPLEX = {tf.float32: tf.complex64, tf.float64: tf.complex128}


def table(dtype: tf.DType | str) -> TensorFlowOps:
    """Return the table for a run in `dtype`, float32 or float64 (and complex64 or complex128 where numbers are)."""
    return TensorFlowOps(tf.as_dtype(dtype))


class TensorFlowOps:
    """What `evaluate` needs to work in TensorFlow: eagerly, in tf.function, under vectorized_map and XLA."""

    errors: tuple[type[Exception], ...] = (
        *numpy_ops.NumpyOps.errors,
        tf.errors.InvalidArgumentError,
        tf.errors.UnimplementedError,
        tf.errors.NotFoundError,
        tf.errors.ResourceExhaustedError,
    )

    def __init__(self, dtype: tf.DType) -> None:
        assert dtype in _COMPLEX, dtype
        self.dtype = dtype
        self.meeting = Meeting(dtype, _COMPLEX[dtype])
        self.numpy = numpy_ops.table()

    @property
    def concrete(self) -> bool:
        """Whether tensors have values now."""
        return bool(tf.executing_eagerly())

    def lift(self, value: Any) -> Any:
        """Accept a value of the scope: a tensor, variable, Keras variable, number or array."""
        if is_tensor(value):
            return value
        if tf.is_tensor(value) or hasattr(value, "__tf_tensor__"):  # a variable of TensorFlow or Keras
            return tf.convert_to_tensor(value)
        return self.numpy.lift(value)

    def is_host(self, value: Any) -> bool:
        """Whether the value is known before the run."""
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
            return self.numpy.call(function, arguments)
        return FUNCTIONS[function](self.meeting, **arguments)

    def operate(self, function: str, *operands: Any) -> Any:
        """Call a function of the table with positional operands."""
        if not any(map(is_tensor, operands)):
            return self.numpy.operate(function, *operands)
        return FUNCTIONS[function](self.meeting, *operands)

    def index(self, value: Any, items: tuple[Any, ...]) -> Any:
        """Return value[items]; items are integers, slices, None, ... or arrays of whole numbers."""
        moving = [position for position, item in enumerate(items) if not _static_index(item)]
        if not is_tensor(value) and not any(is_tensor(items[position]) for position in moving):
            return self.numpy.index(value, items)
        tensor = value if is_tensor(value) else self.meeting.tensor(value)
        if moving and all(np.ndim(items[place]) == 0 for place in moving):
            tensor, items, moving = *self._picked(tensor, items), []
        if not moving:
            return tensor[items]
        if len(moving) == 1 and all(item == slice(None) for item in items[: moving[0]] + items[moving[0] + 1 :]):
            return self._take(tensor, items[moving[0]], moving[0])
        if all(isinstance(item, int) or not _static_index(item) for item in items):
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
            if not _static_index(item):
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
        whole = numpy_ops.whole(indices)
        if length is not None and np.any((whole < -length) | (whole >= length)):
            raise FormulaError(f"an index beyond the {length} entries of its axis")
        return tf.constant(np.where(whole < 0, whole + (length or 0), whole), tf.int32)

    def draw(self, function: str, parameters: list[Any], shape: tuple[int, ...] | None, key: Any) -> Any:
        """Draw numbers of `dtype`; `key` is (seed tensor (2,), site, loop counters). Equal words in every strategy."""
        seed, site, rounds = key
        if seed is None:
            raise FormulaError(f"{function} draws random numbers, which this formula may not")
        tensors = [self.meeting.real(parameter) for parameter in parameters]
        size = shape
        if size is None:
            size = tuple(np.broadcast_shapes(*(tuple(tensor.shape.as_list()) for tensor in tensors)))
        check_size(size, function)
        return draw(function, tensors, tuple(size), self.dtype, seed, site, rounds)

    def derive(self, function: str, value: Any, compute: Callable[[Any], Any]) -> Any:
        """Differentiate what `compute` makes of a watched copy of `value`."""
        return derive(function, self.meeting.number(value), compute)

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
        """Run a long loop as tf.while_loop. `following` is the state after the first round, for shape and dtype."""
        begin, after = self.meeting.meet(state, following)
        return run_compiled_loop(self.meeting, begin, after, rounds, repeat, goes_on, keep_all=keep_all)


def _static_index(value: Any) -> bool:
    return value is None or value is Ellipsis or isinstance(value, slice | int)
