"""Keras's optimizers as pure functions: state in, state out, no variable anywhere.

A Keras optimizer is written against variables: it creates slots for its moments, reads them, and assigns to them and
to the model's variables. `functional(keras_class)` derives a class whose slots are `Slot`s, boxes that hold a tensor
for the duration of one call. The optimizer's own code runs unchanged, so its digits are Keras's; what remains in the
boxes afterwards is the new state. The classes rest on Keras's internals; tests compare every optimizer with eager
Keras, so that a new version cannot change one silently.

Why not Keras's own `Optimizer.stateless_apply`, which has this very signature? The TensorFlow backend raises ValueError
for it: its optimizers assign through tf.distribute, which takes nothing but tf.Variables
(keras/src/backend/tensorflow/optimizer.py). With KERAS_BACKEND set to anything but tensorflow nothing here works; the
program sets it before Keras is imported.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from types import MappingProxyType
from typing import Any

import keras
import tensorflow as tf
from keras import initializers
from keras.src import backend
from keras.src.backend.common.dtypes import BIT64_TO_BIT32_DTYPE
from keras.src.backend.tensorflow.optimizer import TFOptimizer
from keras.src.optimizers.base_optimizer import BaseOptimizer

from gdrun.errors import ComponentError

from .base import State, Update
from .hyperparameter import Hyperparameter


class Live:
    """The `value` of a slot: what the slot holds when the value is used, not when it was taken.

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
        """The content of the box."""
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

    Muon, for one, makes floats of integers in the default precision and multiplies them with gradients. Keras also
    computes with complex128 in complex64, as JAX does; here it keeps the digits.
    """
    before, narrowed = keras.config.floatx(), BIT64_TO_BIT32_DTYPE["complex128"]
    dtype = parameters[0].dtype.real_dtype if len(parameters) else tf.as_dtype(before)
    keras.config.set_floatx(dtype.name)
    BIT64_TO_BIT32_DTYPE["complex128"] = "complex128"
    try:
        yield
    finally:
        keras.config.set_floatx(before)
        BIT64_TO_BIT32_DTYPE["complex128"] = narrowed


class FunctionalOptimizer(TFOptimizer):
    """The class between a Keras optimizer and its TensorFlow base; see `functional`.

    Undoes what the base does for tf.distribute and tf.Variable, and writes the two branches that depend on the
    iteration (gradient accumulation, overwriting by the average) as a choice between values: Keras writes them as
    tf.cond, whose branches assign, and under vectorized_map a condition that differs between lanes is a choice anyway.
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


class KerasUpdate(Update):
    """Updates by a Keras optimizer's class, run on slots.

    Args:
        keras_class: a subclass of keras.optimizers.Optimizer, Keras's or a plugin's.
        settings: Keras's constructor arguments, without learning_rate; an integer will do for a float.
        per_lane: settings whose values are scalar tensors (float64 keeps Keras's digits). They take the place of what
            `settings` says and count as switched on; the update is then for use inside a traced function only, the one
            that the tensors belong to.
        counts: whether the update reads `iterations`, which is then a part of the state.
        parameter_names: one a parameter; they name the state, and Muon leaves parameters called embedding, or
            matching its `exclude_layers`, to Adam. Default: "0", "1", ...
    Raises:
        ComponentError: Keras refuses a setting.
    """

    def __init__(
        self,
        keras_class: type[keras.optimizers.Optimizer],
        *,
        settings: Mapping[str, Any] = MappingProxyType({}),
        per_lane: Mapping[str, tf.Tensor] = MappingProxyType({}),
        counts: bool = True,
        parameter_names: Sequence[str] | None = None,
    ) -> None:
        self._class = functional(keras_class)  # type: ignore[arg-type]  # a class is hashable
        self.settings = _with_floats(keras_class, settings, per_lane)
        self.per_lane = dict(per_lane)
        self._parameter_names = parameter_names
        self._optimizer: FunctionalOptimizer | None = None
        self._shapes: list[Any] = []
        optimizer = self._construct()
        self._counts = bool(counts or optimizer.use_ema or optimizer.gradient_accumulation_steps)
        self.loss_scale_factor = optimizer.loss_scale_factor

    @tf.autograph.experimental.do_not_convert
    def initial_state(self, parameters: Sequence[tf.Tensor]) -> State:
        """Return what Keras's variables hold once they are built for these parameters."""
        # The values of lanes count here, too: accumulators start at initial_accumulator_value.
        optimizer = self._build(parameters, self._lane_values())
        state = tuple(slot.tensor for slot in self._state_slots(optimizer))
        self._keep(optimizer, parameters)
        return state

    @tf.autograph.experimental.do_not_convert
    def apply(
        self,
        state: State,
        gradients: Sequence[tf.Tensor | None],
        parameters: Sequence[tf.Tensor],
        learning_rate: tf.Tensor,
    ) -> tuple[State, tuple[tf.Tensor, ...]]:
        """Return the state and the parameters after Keras's `apply_gradients`."""
        optimizer = self._optimizer_for(parameters)
        slots = self._state_slots(optimizer)
        self._fill(optimizer, state, parameters)
        rate = tf.convert_to_tensor(learning_rate)
        optimizer.rate = Slot(rate, dtype=rate.dtype.name, name="learning_rate")
        for name, value in self._lane_values().items():
            setattr(optimizer, name, value)
        try:
            with floatx_of(parameters):
                optimizer.step(gradients)
            if self._counts:
                optimizer._iterations.put(optimizer._iterations.tensor + 1)
            return tuple(s.tensor for s in slots), tuple(v.tensor for v in optimizer._trainable_variables)
        finally:
            self._empty(optimizer)

    @tf.autograph.experimental.do_not_convert
    def finalize(self, state: State, parameters: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        """Return the parameters after Keras's `finalize_variable_values`: their average if it keeps one."""
        optimizer = self._optimizer_for(parameters)
        self._fill(optimizer, state, parameters)
        try:
            optimizer.finalize_variable_values(optimizer._trainable_variables)
            return tuple(v.tensor for v in optimizer._trainable_variables)
        finally:
            self._empty(optimizer)

    @property
    def state_names(self) -> tuple[str, ...]:
        """Keras's names of the state's variables, numbered where two are equal."""
        assert self._optimizer is not None, "call initial_state first: the state depends on the parameters"
        names: list[str] = []
        for slot in self._state_slots(self._optimizer):
            number = 1
            while (name := slot.name if number == 1 else f"{slot.name}_{number}") in names:
                number += 1
            names.append(name)
        return tuple(names)

    def _construct(self) -> FunctionalOptimizer:
        """Run Keras's constructor."""
        try:
            with no_variables():
                # A name of our own: for others Keras counts instances, and a state's names would depend on how many
                # optimizers the process has made. The learning rate is given at each step.
                return self._class(learning_rate=1.0, name="optimizer", **self.settings)
        except (TypeError, ValueError) as error:
            raise ComponentError(f"{self._class.__name__.removeprefix('Functional')}: {error}") from error

    def _build(self, parameters: Sequence[tf.Tensor], lane_values: Mapping[str, Hyperparameter]) -> FunctionalOptimizer:
        """Make the optimizer and its slots for these parameters; the slots hold their initial values."""
        names = self._parameter_names or [str(i) for i in range(len(parameters))]
        variables = [parameter_slot(p, name) for p, name in zip(parameters, names, strict=True)]
        optimizer = self._construct()
        for name, value in lane_values.items():
            setattr(optimizer, name, value)
        with no_variables(), floatx_of(parameters):
            optimizer.build(variables)
        return optimizer

    def _optimizer_for(self, parameters: Sequence[tf.Tensor]) -> FunctionalOptimizer:
        """Return the built optimizer, of these parameters' shapes; its slots are empty."""
        shapes = _shapes(parameters)
        if self._optimizer is None or shapes != self._shapes:
            # In a graph of its own, which is thrown away with the initial values: this may be in the middle of a trace,
            # to which they would add operations.
            with tf.Graph().as_default():
                stand_ins = [tf.zeros(shape, dtype) for shape, dtype in shapes]
                return self._keep(self._build(stand_ins, {}), parameters)
        return self._optimizer

    def _keep(self, optimizer: FunctionalOptimizer, parameters: Sequence[tf.Tensor]) -> FunctionalOptimizer:
        self._empty(optimizer)
        self._optimizer, self._shapes = optimizer, _shapes(parameters)
        return optimizer

    def _lane_values(self) -> dict[str, Hyperparameter]:
        return {name: Hyperparameter(tensor) for name, tensor in self.per_lane.items()}

    def _state_slots(self, optimizer: FunctionalOptimizer) -> list[Slot]:
        return [slot for slot in optimizer.slots if self._counts or slot is not optimizer._iterations]

    def _fill(self, optimizer: FunctionalOptimizer, state: State, parameters: Sequence[tf.Tensor]) -> None:
        for slot, tensor in zip(self._state_slots(optimizer), state, strict=True):
            slot.put(tensor)
        for variable, tensor in zip(optimizer._trainable_variables, parameters, strict=True):
            variable.put(tensor)

    def _empty(self, optimizer: FunctionalOptimizer) -> None:
        """Let go of all tensors: they belong to a call, or to a trace that is over."""
        for slot in (*optimizer.slots, *optimizer._trainable_variables):
            slot.put(None)
        optimizer.rate = None
        for name in self.per_lane:
            setattr(optimizer, name, self.settings[name])


def _shapes(parameters: Sequence[tf.Tensor]) -> list[tuple[tuple[int, ...], tf.DType]]:
    return [(tuple(p.shape), p.dtype) for p in parameters]


def _with_floats(
    keras_class: type[keras.optimizers.Optimizer], settings: Mapping[str, Any], per_lane: Mapping[str, tf.Tensor]
) -> dict[str, Any]:
    """Return settings that Keras's constructor takes: floats where it wants them, numbers for per-lane settings."""
    parameters = inspect.signature(keras_class.__init__).parameters
    result = dict(settings)
    for name in per_lane:
        if not result.get(name):
            # Stands in for the tensors while Keras checks and builds: valid, and on.
            result[name] = parameters[name].default or 0.5
    for name, value in result.items():
        if type(value) is int and name in parameters and isinstance(parameters[name].default, float):
            result[name] = float(value)
    return result
