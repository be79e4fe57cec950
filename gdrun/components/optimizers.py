"""Optimizers as pure functions of tensors, Keras's own code behind them.

    state = optimizer.initial_state(parameters)
    state, parameters = optimizer.apply(state, gradients, parameters, learning_rate)
    reported = optimizer.finalize(state, parameters)

All three take and give tensors only: they work eagerly, in tf.function, under XLA inside a tf.while_loop, and under
tf.vectorized_map. With KERAS_BACKEND set to anything but tensorflow nothing here works; whoever starts the program
sees to that before Keras is imported.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import keras
import tensorflow as tf

from ..errors import ComponentError
from .functional_keras import FunctionalOptimizer, Slot, floatx_of, functional, no_variables, parameter_slot
from .hyperparameter import Hyperparameter

State = tuple[tf.Tensor, ...]


class Optimizer(Protocol):
    """What the training step asks of an optimizer. Nothing is kept between calls but what shapes and names imply."""

    def initial_state(self, parameters: Sequence[tf.Tensor]) -> State:
        """Return the state before the first update, for parameters of static shapes."""

    def apply(
        self,
        state: State,
        gradients: Sequence[tf.Tensor | None],
        parameters: Sequence[tf.Tensor],
        learning_rate: tf.Tensor,
    ) -> tuple[State, tuple[tf.Tensor, ...]]:
        """Return the state and the parameters after one update.

        Args:
            state: as `initial_state` or `apply` returned it.
            gradients: one a parameter, of its shape; None leaves the parameter as it is.
            parameters: real or complex tensors.
            learning_rate: scalar of any float dtype; it is cast to each parameter's dtype, so give float64 where the
                parameters are float64.
        """

    def finalize(self, state: State, parameters: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        """Return the parameters to report when training ends, such as their moving average."""

    @property
    def state_names(self) -> tuple[str, ...]:
        """One unique name a state tensor, stable between processes; known once a method above was called."""


class Kind(NamedTuple):
    """A Keras optimizer: its class in keras.optimizers, and whether its update depends on the number of updates."""

    keras_name: str
    counts: bool


OPTIMIZERS: Mapping[str, Kind] = MappingProxyType(
    {
        "sgd": Kind("SGD", counts=False),
        "adam": Kind("Adam", counts=True),
        "adamw": Kind("AdamW", counts=True),
        "adamax": Kind("Adamax", counts=True),
        "nadam": Kind("Nadam", counts=True),
        "rmsprop": Kind("RMSprop", counts=False),
        "adagrad": Kind("Adagrad", counts=False),
        "adadelta": Kind("Adadelta", counts=False),
        "adafactor": Kind("Adafactor", counts=True),
        "ftrl": Kind("Ftrl", counts=False),
        "lion": Kind("Lion", counts=False),
        "lamb": Kind("Lamb", counts=True),
        "muon": Kind("Muon", counts=True),
        "schedule_free_adamw": Kind("ScheduleFreeAdamW", counts=True),
    }
)
"""Names in a config -> Keras's optimizers. LossScaleOptimizer and MultiOptimizer wrap others and are not among them."""

# Constructor arguments that are not settings: given at each step, or of no use here.
_NOT_SETTINGS = ("self", "learning_rate", "name", "args", "kwargs")
# Settings that decide what the program is; a tensor cannot stand in for them.
_STRUCTURAL = ("ema_overwrite_frequency", "gradient_accumulation_steps", "ns_steps")


def keras_settings(name: str) -> dict[str, Any]:
    """Return the settings of a Keras optimizer with their defaults, as its constructor declares them.

    Args:
        name: a key of OPTIMIZERS.
    Returns:
        Keras's spellings -> defaults, without the learning rate.
    """
    signature = inspect.signature(_keras_class(name).__init__)
    return {key: p.default for key, p in signature.parameters.items() if key not in _NOT_SETTINGS}


def keras_learning_rate(name: str) -> float:
    """Return the learning rate that Keras gives the optimizer by default."""
    return inspect.signature(_keras_class(name).__init__).parameters["learning_rate"].default


def lane_settings(name: str) -> frozenset[str]:
    """Return the settings of a Keras optimizer that may be tensors, and so differ between lanes.

    A setting that switches something on when it is given or positive (momentum, weight_decay, clipnorm, ...) has to be
    on in every lane: Keras asks once, in Python.
    """
    numeric = (float, int, type(None))
    return frozenset(
        key
        for key, default in keras_settings(name).items()
        if isinstance(default, numeric)
        and not isinstance(default, bool)
        and key not in (*_STRUCTURAL, "exclude_layers")
    )


def keras_optimizer(
    name: str,
    *,
    settings: Mapping[str, Any] = MappingProxyType({}),
    per_lane: Mapping[str, tf.Tensor] | None = None,
    parameter_names: Sequence[str] | None = None,
    exclude_from_weight_decay: Sequence[str] = (),
) -> KerasOptimizer:
    """Return a Keras optimizer as pure functions.

    Args:
        name: a key of OPTIMIZERS.
        settings: Keras's constructor arguments, without learning_rate; an integer will do for a float.
        per_lane: settings whose values are scalar tensors (float64 keeps Keras's digits), a subset of `lane_settings`.
            They take the place of what `settings` says and count as switched on; the optimizer is then for use inside
            a traced function only, the one that the tensors belong to.
        parameter_names: one a parameter; they name the state, and Muon leaves parameters called embedding, or
            matching its `exclude_layers`, to Adam. Default: "0", "1", ...
        exclude_from_weight_decay: regular expressions; parameters whose name one of them matches do not decay.
    Raises:
        ComponentError: if Keras refuses a setting.
    """
    kind = OPTIMIZERS[name]
    optimizer = KerasOptimizer(
        _keras_class(name),
        settings=settings,
        per_lane=per_lane or {},
        counts=kind.counts,
        parameter_names=parameter_names,
        exclude_from_weight_decay=exclude_from_weight_decay,
    )
    assert optimizer.per_lane.keys() <= lane_settings(name), (name, sorted(optimizer.per_lane))
    return optimizer


class KerasOptimizer:
    """A Keras optimizer class run on slots; see `keras_optimizer`, which makes one by name.

    Args:
        keras_class: a subclass of keras.optimizers.Optimizer, Keras's or a plugin's.
        counts: whether its update reads `iterations`, which is then a part of the state.
        settings, per_lane, parameter_names, exclude_from_weight_decay: as for `keras_optimizer`.
    """

    def __init__(
        self,
        keras_class: type[keras.optimizers.Optimizer],
        *,
        settings: Mapping[str, Any] = MappingProxyType({}),
        per_lane: Mapping[str, tf.Tensor] = MappingProxyType({}),
        counts: bool = True,
        parameter_names: Sequence[str] | None = None,
        exclude_from_weight_decay: Sequence[str] = (),
    ) -> None:
        self._class = functional(keras_class)
        self.settings = _with_floats(keras_class, settings, per_lane)
        self.per_lane = dict(per_lane)
        self._parameter_names = parameter_names
        self._exclude = list(exclude_from_weight_decay)
        self._machine: FunctionalOptimizer | None = None
        self._shapes: list[Any] = []
        machine = self._construct()
        self._counts = bool(counts or machine.use_ema or machine.gradient_accumulation_steps)
        self.loss_scale_factor: float | None = machine.loss_scale_factor
        """What the caller multiplies the loss by before it takes gradients; `apply` divides them by it. None: nothing."""

    @tf.autograph.experimental.do_not_convert
    def initial_state(self, parameters: Sequence[tf.Tensor]) -> State:
        """Return what Keras's variables hold once they are built for these parameters."""
        machine = self._build(parameters, self._lane_values())
        state = tuple(slot.tensor for slot in self._state_slots(machine))
        self._keep(machine, parameters)
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
        machine = self._machine_for(parameters)
        slots = self._state_slots(machine)
        self._fill(machine, state, parameters)
        rate = tf.convert_to_tensor(learning_rate)
        machine.rate = Slot(rate, dtype=rate.dtype.name, name="learning_rate")
        for name, value in self._lane_values().items():
            setattr(machine, name, value)
        try:
            with floatx_of(parameters):
                machine.step(gradients)
            if self._counts:
                machine._iterations.put(machine._iterations.tensor + 1)
            return tuple(s.tensor for s in slots), tuple(v.tensor for v in machine._trainable_variables)
        finally:
            self._empty(machine)

    @tf.autograph.experimental.do_not_convert
    def finalize(self, state: State, parameters: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        """Return the parameters after Keras's `finalize_variable_values`: their average if it keeps one."""
        machine = self._machine_for(parameters)
        self._fill(machine, state, parameters)
        try:
            machine.finalize_variable_values(machine._trainable_variables)
            return tuple(v.tensor for v in machine._trainable_variables)
        finally:
            self._empty(machine)

    @property
    def state_names(self) -> tuple[str, ...]:
        """Keras's names of the state's variables, numbered where two are equal."""
        assert self._machine is not None, "call initial_state first: the state depends on the parameters"
        names: list[str] = []
        for slot in self._state_slots(self._machine):
            number = 1
            while (name := slot.name if number == 1 else f"{slot.name}_{number}") in names:
                number += 1
            names.append(name)
        return tuple(names)

    def _construct(self) -> FunctionalOptimizer:
        """Run Keras's constructor."""
        try:
            with no_variables():
                # The name keeps Keras from counting instances; the learning rate is given at each step.
                return self._class(learning_rate=1.0, name="optimizer", **self.settings)
        except (TypeError, ValueError) as error:
            raise ComponentError(f"{self._class.__name__.removeprefix('Functional')}: {error}") from error

    def _build(self, parameters: Sequence[tf.Tensor], lane_values: Mapping[str, Hyperparameter]) -> FunctionalOptimizer:
        """Make the optimizer and its slots for these parameters; the slots hold their initial values."""
        names = self._parameter_names or [str(i) for i in range(len(parameters))]
        variables = [parameter_slot(p, name) for p, name in zip(parameters, names, strict=True)]
        machine = self._construct()
        for name, value in lane_values.items():
            setattr(machine, name, value)
        if self._exclude:
            machine.exclude_from_weight_decay(var_names=self._exclude)
        with no_variables(), floatx_of(parameters):
            machine.build(variables)
        return machine

    def _machine_for(self, parameters: Sequence[tf.Tensor]) -> FunctionalOptimizer:
        """Return the built optimizer, of these parameters' shapes; its slots are empty."""
        shapes = _shapes(parameters)
        if self._machine is None or shapes != self._shapes:
            # In a graph of its own, since nobody wants the initial values: this may be in the middle of a trace.
            with tf.Graph().as_default():
                stand_ins = [tf.zeros(shape, dtype) for shape, dtype in shapes]
                return self._keep(self._build(stand_ins, {}), parameters)
        return self._machine

    def _keep(self, machine: FunctionalOptimizer, parameters: Sequence[tf.Tensor]) -> FunctionalOptimizer:
        self._empty(machine)
        self._machine, self._shapes = machine, _shapes(parameters)
        return machine

    def _lane_values(self) -> dict[str, Hyperparameter]:
        return {name: Hyperparameter(tensor) for name, tensor in self.per_lane.items()}

    def _state_slots(self, machine: FunctionalOptimizer) -> list[Slot]:
        return [slot for slot in machine.slots if self._counts or slot is not machine._iterations]

    def _fill(self, machine: FunctionalOptimizer, state: State, parameters: Sequence[tf.Tensor]) -> None:
        for slot, tensor in zip(self._state_slots(machine), state, strict=True):
            slot.put(tensor)
        for variable, tensor in zip(machine._trainable_variables, parameters, strict=True):
            variable.put(tensor)

    def _empty(self, machine: FunctionalOptimizer) -> None:
        """Let go of all tensors: they belong to a call, or to a trace that is over."""
        for slot in (*machine.slots, *machine._trainable_variables):
            slot.put(None)
        machine.rate = None
        for name in self.per_lane:
            setattr(machine, name, self.settings[name])


def _shapes(parameters: Sequence[tf.Tensor]) -> list[tuple[tuple[int, ...], tf.DType]]:
    return [(tuple(p.shape), p.dtype) for p in parameters]


def _keras_class(name: str) -> type[keras.optimizers.Optimizer]:
    return getattr(keras.optimizers, OPTIMIZERS[name].keras_name)


def _with_floats(
    keras_class: type[keras.optimizers.Optimizer], settings: Mapping[str, Any], per_lane: Mapping[str, tf.Tensor]
) -> dict[str, Any]:
    """Return settings that Keras's constructor takes: floats where it insists on floats, a number a per-lane setting."""
    parameters = inspect.signature(keras_class.__init__).parameters
    result = dict(settings)
    for name in per_lane:
        if not result.get(name):
            # Stands in for the tensors while Keras checks and builds: valid for all, and on.
            result[name] = 0.5
    for name, value in result.items():
        if type(value) is int and name in parameters and isinstance(parameters[name].default, float):
            result[name] = float(value)
    return result
