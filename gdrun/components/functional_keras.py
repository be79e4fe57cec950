"""Keras's optimizers as pure functions: state in, state out, no variable anywhere.

A Keras optimizer is written against variables: it creates slots for its moments, reads them, and assigns to them and
to the model's variables. `functional(keras_class)` derives a class whose slots are `Slot`s, boxes that hold a tensor
for the duration of one call. The optimizer's own code runs unchanged, so its digits are Keras's; what remains in the
boxes afterwards is the new state. The classes rest on Keras's internals; tests compare every optimizer with eager
Keras, so that a new version cannot change one silently.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import keras
import tensorflow as tf
from keras import initializers
from keras.src import backend
from keras.src.backend.tensorflow.optimizer import TFOptimizer
from keras.src.optimizers.base_optimizer import BaseOptimizer


class Live:
    """What a slot's `value` is: whatever the slot holds when it is used, not when it was taken.

    Keras's variables on TensorFlow do the same. ScheduleFreeAdamW depends on it: it keeps `momentum.value` as the old
    momentum and updates the momentum before using it, so that on TensorFlow its "old" momentum is the new one.
    """

    def __init__(self, slot: Slot) -> None:
        self._slot = slot

    @property
    def dtype(self) -> tf.DType:
        return self._slot.tensor.dtype

    @property
    def shape(self) -> tf.TensorShape:
        return self._slot.tensor.shape

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> tf.Tensor:
        return tf.convert_to_tensor(self._slot.tensor, dtype=dtype, name=name)


class Slot(backend.Variable):
    """A box with Keras's variable interface that holds a tensor, eager or symbolic."""

    def _initialize(self, value: tf.Tensor) -> None:
        self._value = tf.convert_to_tensor(value)

    def _initialize_with_initializer(self, initializer: Callable[..., tf.Tensor]) -> None:
        self._value = initializer(self._shape, dtype=self._dtype)

    @property
    def value(self) -> Live:
        return Live(self)

    @property
    def tensor(self) -> tf.Tensor:
        """What is in the box."""
        assert self._value is not None, f"the optimizer reads {self.path}, which is not in its state"
        return self._value

    def put(self, tensor: tf.Tensor | None) -> None:
        """Put a tensor of the slot's shape and dtype into the box, or empty it."""
        self._value = tensor

    def assign(self, value: Any) -> Slot:
        self._value = self._as_own(value)
        return self

    def assign_add(self, value: Any) -> Slot:
        self._value = tf.add(self.tensor, self._as_own(value))
        return self

    def assign_sub(self, value: Any) -> Slot:
        self._value = tf.subtract(self.tensor, self._as_own(value))
        return self

    def _as_own(self, value: Any) -> tf.Tensor:
        """Return the value as a tensor of the slot's dtype; its shape has to be the slot's."""
        value = tf.cast(tf.convert_to_tensor(value), self._dtype)
        assert value.shape.is_compatible_with(self.shape), f"{self.path}: {value.shape} into {self.shape}"
        return value

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> tf.Tensor:
        return tf.convert_to_tensor(self.tensor, dtype=dtype, name=name)


def parameter_slot(parameter: tf.Tensor, name: str) -> Slot:
    """Return a slot that stands for a model parameter.

    Args:
        parameter: the tensor it holds, of static shape.
        name: of the parameter; Keras excludes variables from weight decay, and from Muon, by name.
    """
    slot = Slot(parameter, dtype=parameter.dtype.name, name=name.replace("/", "_"))
    slot._path = name
    return slot


class FunctionalOptimizer(TFOptimizer):
    """Stands between a Keras optimizer and its TensorFlow base; see `functional`.

    Undoes what the base does for tf.distribute and tf.Variable, and writes the two branches that depend on the
    iteration (gradient accumulation, overwriting by the average) as a choice between values.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        object.__setattr__(self, "slots", [])
        object.__setattr__(self, "rate", None)
        super().__init__(*args, **kwargs)

    def __setattr__(self, name: str, value: Any) -> None:
        # Not Keras's: that one tracks for saving, which costs time and keeps references to tensors.
        if isinstance(value, backend.Variable) and not isinstance(value, Slot):
            # Made past add_variable: iterations, Nadam's product. The learning rate is given at each step.
            value = Slot(value._value, dtype=value._dtype, name=name.lstrip("_"))
            if name != "_learning_rate":
                self.slots.append(value)
        object.__setattr__(self, name, value)

    def _track_variable(self, variable: backend.Variable) -> None:
        pass

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> Slot:
        slot = Slot(initializers.get(initializer), shape=shape, dtype=dtype, trainable=False, name=name)
        self.slots.append(slot)
        return slot

    add_variable_from_reference = BaseOptimizer.add_variable_from_reference
    assign = BaseOptimizer.assign
    assign_add = BaseOptimizer.assign_add
    assign_sub = BaseOptimizer.assign_sub
    _var_key = BaseOptimizer._var_key
    _apply_weight_decay = BaseOptimizer._apply_weight_decay
    _backend_update_step = BaseOptimizer._backend_update_step
    _overwrite_model_variables_with_average_value = BaseOptimizer._overwrite_model_variables_with_average_value

    def _get_current_learning_rate(self) -> Slot:
        return self.rate

    def step(self, gradients: Sequence[tf.Tensor | None]) -> None:
        """Do what Keras's `apply` does, to the slots. Parameters without a gradient (None) stay as they are."""
        pairs = [(g, v) for g, v in zip(gradients, self._trainable_variables, strict=True) if g is not None]
        gradients = [g for g, _ in pairs]
        variables = [v for _, v in pairs]
        if self.loss_scale_factor is not None:
            gradients = [g / self.loss_scale_factor for g in gradients]
        if self.gradient_accumulation_steps:
            self._accumulate(gradients, variables)
        else:
            self._update(gradients, variables)
        if self.use_ema:
            self._update_model_variables_moving_average(self._trainable_variables)
            if self.ema_overwrite_frequency:
                self._overwrite_by_average()

    def _update(self, gradients: Sequence[tf.Tensor], variables: Sequence[Slot]) -> None:
        gradients = self._clip_gradients(gradients)
        self._apply_weight_decay(variables)
        self._backend_update_step(gradients, variables, self.learning_rate)

    def _accumulate(self, gradients: Sequence[tf.Tensor], variables: Sequence[Slot]) -> None:
        """Update with the mean gradient on every n-th step, add to the accumulators on the others."""
        num_steps = self.gradient_accumulation_steps
        is_update = tf.equal((self._iterations.tensor + 1) % num_steps, 0)
        accumulators = [self._accumulated_gradients[self._get_variable_index(v)] for v in variables]
        sums = [g + a.tensor for g, a in zip(gradients, accumulators, strict=True)]
        touched = [slot for slot in (*self._trainable_variables, *self.slots) if slot is not self._iterations]
        before = [slot.tensor for slot in touched]
        self._update([s / num_steps for s in sums], variables)
        for slot, old in zip(touched, before, strict=True):
            if slot.tensor is not old:
                slot.put(tf.where(is_update, slot.tensor, old))
        for accumulator, total in zip(accumulators, sums, strict=True):
            accumulator.put(tf.where(is_update, tf.zeros_like(total), total))

    def _overwrite_by_average(self) -> None:
        is_overwrite = tf.equal((self.iterations + 1) % self.ema_overwrite_frequency, 0)
        for variable, average in zip(self._trainable_variables, self._model_variables_moving_average, strict=True):
            variable.put(tf.where(is_overwrite, average.tensor, variable.tensor))


@cache
def functional(keras_class: type[BaseOptimizer]) -> type[FunctionalOptimizer]:
    """Return the class that runs `keras_class`'s own code on slots.

    The method order is the new class, `keras_class` and its bases, FunctionalOptimizer, TFOptimizer, BaseOptimizer: an
    optimizer's own overrides stay in force.
    """
    return type(f"Functional{keras_class.__name__}", (keras_class, FunctionalOptimizer), {})


@contextmanager
def no_variables() -> Iterator[None]:
    """Inside, `tf.Variable(...)` gives its initial value, a tensor, so that optimizers can be made in any trace."""

    def creator(_: Any, **kwargs: Any) -> tf.Tensor:
        value = kwargs["initial_value"]
        return tf.convert_to_tensor(value() if callable(value) else value, dtype=kwargs.get("dtype"))

    with tf.variable_creator_scope(creator):
        yield


@contextmanager
def floatx_of(parameters: Sequence[tf.Tensor]) -> Iterator[None]:
    """Inside, Keras's default float is the parameters' precision, as it is for who trains in that precision by Keras.

    Muon, for one, makes floats of integers in the default precision and multiplies them with gradients.
    """
    before = keras.config.floatx()
    dtype = parameters[0].dtype.real_dtype if len(parameters) else tf.as_dtype(before)
    keras.config.set_floatx(dtype.name)
    try:
        yield
    finally:
        keras.config.set_floatx(before)
