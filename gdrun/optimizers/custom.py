"""Optimizers of plugins: Keras's own, or rules of two functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from gdrun.config.plugin_calls import Caller, kind_of
from gdrun.plugin import Rule

from .functional import Optimizer
from .functional_keras import KerasOptimizer, State


def custom_optimizer(
    make: Callable[[], Any], caller: Caller, *, parameters: Mapping[str, tuple[tuple[int, ...], tf.DType]]
) -> Optimizer:
    """Return the optimizer that a plugin makes, tried once on the parameters' shapes.

    Args:
        make: returns a Keras optimizer, the class of one, or a gdrun.plugin.Rule.
        parameters: name -> (shape, dtype) of each that is trained.
    Raises:
        PluginError: it is something else, or fails, or changes a shape.
    """
    with caller.running():
        made = make()
        optimizer = _optimizer(made, caller, tuple(parameters))
        specs = [tf.TensorSpec(shape, dtype) for shape, dtype in parameters.values()]
        rate = tf.TensorSpec([], tf.float64)

        def once(values: Sequence[tf.Tensor], rate: tf.Tensor) -> Any:
            return optimizer.apply(optimizer.initial_state(values), values, values, rate)

        tf.function(once, autograph=False).get_concrete_function(specs, rate)
    return optimizer


def _optimizer(made: Any, caller: Caller, names: tuple[str, ...]) -> Optimizer:
    if isinstance(made, Rule):
        return RuleOptimizer(made, caller, names)
    if isinstance(made, type) and issubclass(made, keras.optimizers.Optimizer):
        return KerasOptimizer(made, parameter_names=names)
    if isinstance(made, keras.optimizers.Optimizer):
        settings = {name: value for name, value in made.get_config().items() if name not in ("name", "learning_rate")}
        wanted = inspect.signature(type(made).__init__).parameters.values()
        kept = {*settings, "self", "name", "learning_rate"}
        lost = [one.name for one in wanted if one.kind is one.POSITIONAL_OR_KEYWORD and one.name not in kept]
        if lost:
            raise caller.wrong(f"gives an optimizer whose get_config leaves out '{lost[0]}'", "add it there")
        return KerasOptimizer(type(made), settings=settings, parameter_names=names)
    raise caller.wrong(f"returned {kind_of(made)}", "a Keras optimizer, its class, or gdrun.plugin.Rule(init, update)")


class RuleOptimizer:
    """A plugin's `Rule` as an optimizer: each parameter by itself, its state the values of a dict, in sorted order."""

    def __init__(self, rule: Rule, caller: Caller, parameter_names: Sequence[str]) -> None:
        self._rule = rule
        self._caller = caller
        self._names = tuple(parameter_names)
        self._keys: list[tuple[str, ...]] = []

    def initial_state(self, parameters: Sequence[tf.Tensor]) -> State:
        """Return every parameter's state, one after the other."""
        self._keys, state = [], []
        for parameter in parameters:
            with self._caller.running():
                own = self._rule.init(parameter)
                if not isinstance(own, Mapping):
                    raise self._caller.wrong(f"starts with {kind_of(own)} as state", "a dict of tensors, {} for none")
                keys = tuple(sorted(own))
                state += [_like(own[key], parameter.dtype) for key in keys]
            self._keys.append(keys)
        return tuple(state)

    def apply(
        self,
        state: State,
        gradients: Sequence[tf.Tensor | None],
        parameters: Sequence[tf.Tensor],
        learning_rate: tf.Tensor,
    ) -> tuple[State, tuple[tf.Tensor, ...]]:
        """Return the state and the parameters after one update; one without a gradient stays as it is."""
        rest = list(state)
        new_state: list[tf.Tensor] = []
        moved: list[tf.Tensor] = []
        for name, keys, gradient, parameter in zip(self._names, self._keys, gradients, parameters, strict=True):
            own, rest = rest[: len(keys)], rest[len(keys) :]
            if gradient is None:
                new_state += own
                moved.append(parameter)
                continue
            rate = tf.cast(learning_rate, parameter.dtype)
            with self._caller.running():
                result = self._rule.update(dict(zip(keys, own, strict=True)), gradient, parameter, rate)
                if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[0], Mapping):
                    raise self._caller.wrong(f"updates to {kind_of(result)}", "return (state, parameter)")
                if set(result[0]) != set(keys):
                    raise self._caller.wrong(f"began with the state {list(keys)}, and now has {sorted(result[0])}")
                new_state += [
                    self._same(result[0][key], old, f"state '{key}'") for key, old in zip(keys, own, strict=True)
                ]
                moved.append(self._same(result[1], parameter, f"parameter '{name}'"))
        return tuple(new_state), tuple(moved)

    def finalize(self, state: State, parameters: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        """Return the parameters as they are."""
        return tuple(parameters)

    @property
    def state_names(self) -> tuple[str, ...]:
        """parameter/key."""
        return tuple(f"{name}/{key}" for name, keys in zip(self._names, self._keys, strict=True) for key in keys)

    def _same(self, value: Any, old: tf.Tensor, what: str) -> tf.Tensor:
        value = _like(value, old.dtype)
        if value.dtype != old.dtype or value.shape != old.shape:
            raise self._caller.wrong(
                f"turns {what}, {old.dtype.name} {tuple(old.shape)}, into {value.dtype.name} {tuple(value.shape)}"
            )
        return value


def _like(value: Any, dtype: tf.DType) -> tf.Tensor:
    """Tensors as they are, numbers and arrays of them in `dtype`."""
    return value if tf.is_tensor(value) else tf.convert_to_tensor(value, dtype)
