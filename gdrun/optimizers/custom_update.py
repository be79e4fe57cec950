"""Updates by optimizers of plugins: subclasses of Keras's, or rules of two functions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from gdrun.config.plugin_calls import Caller, type_in_words
from gdrun.plugin import Rule

from .base import State, Update
from .functional_keras import KerasUpdate


def custom_update(make: Callable[[], Any], caller: Caller, specs: Mapping[str, tf.TensorSpec]) -> Update:
    """Return the update that a plugin makes, tried once on the parameters' shapes.

    Args:
        make: returns a Keras optimizer, the class of one, or a gdrun.plugin.Rule.
        specs: shape and dtype of each parameter that is trained, by name.
    Raises:
        PluginError: it is something else, or fails, or changes a shape.
    """
    with caller.calling():
        update = _update_of(make(), caller, tuple(specs))

        def first_update(values: Sequence[tf.Tensor], rate: tf.Tensor) -> Any:
            return update.apply(update.initial_state(values), values, values, rate)

        rate = tf.TensorSpec([], tf.float64)
        tf.function(first_update, autograph=False).get_concrete_function(list(specs.values()), rate)
    return update


def _update_of(made: Any, caller: Caller, names: tuple[str, ...]) -> Update:
    if isinstance(made, Rule):
        return RuleUpdate(made, caller, names)
    if isinstance(made, type) and issubclass(made, keras.optimizers.Optimizer):
        return KerasUpdate(made, parameter_names=names)
    if isinstance(made, keras.optimizers.Optimizer):
        # An instance holds variables, and is made anew from its config, as keras.saving does.
        settings = {name: value for name, value in made.get_config().items() if name not in ("name", "learning_rate")}
        saved = {*settings, "self", "name", "learning_rate"}
        declared = inspect.signature(type(made).__init__).parameters.values()
        lost = [p.name for p in declared if p.kind is p.POSITIONAL_OR_KEYWORD and p.name not in saved]
        if lost:
            raise caller.error(f"gives an optimizer whose get_config leaves out '{lost[0]}'", "add it there")
        return KerasUpdate(type(made), settings=settings, parameter_names=names)
    raise caller.error(
        f"returned {type_in_words(made)}", "a Keras optimizer, its class, or gdrun.plugin.Rule(init, update)"
    )


class RuleUpdate(Update):
    """Updates by a plugin's `Rule`: each parameter by itself, its state the values of a dict, in sorted order."""

    def __init__(self, rule: Rule, caller: Caller, parameter_names: Sequence[str]) -> None:
        self._rule = rule
        self._caller = caller
        self._names = tuple(parameter_names)
        self._keys: list[tuple[str, ...]] = []

    def initial_state(self, parameters: Sequence[tf.Tensor]) -> State:
        """Return every parameter's state, one after the other."""
        self._keys, state = [], []
        for parameter in parameters:
            with self._caller.calling():
                own = self._rule.init(parameter)
                if not isinstance(own, Mapping):
                    raise self._caller.error(
                        f"starts with {type_in_words(own)} as state", "a dict of tensors, {} for none"
                    )
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
            with self._caller.calling():
                result = self._rule.update(dict(zip(keys, own, strict=True)), gradient, parameter, rate)
                if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[0], Mapping):
                    raise self._caller.error(f"updates to {type_in_words(result)}", "return (state, parameter)")
                if set(result[0]) != set(keys):
                    raise self._caller.error(f"began with the state {list(keys)}, and now has {sorted(result[0])}")
                new_state += [
                    self._same(result[0][key], old, f"state '{key}'") for key, old in zip(keys, own, strict=True)
                ]
                moved.append(self._same(result[1], parameter, f"parameter '{name}'"))
        return tuple(new_state), tuple(moved)

    @property
    def state_names(self) -> tuple[str, ...]:
        """parameter/key."""
        return tuple(f"{name}/{key}" for name, keys in zip(self._names, self._keys, strict=True) for key in keys)

    def _same(self, value: Any, old: tf.Tensor, what: str) -> tf.Tensor:
        value = _like(value, old.dtype)
        if value.dtype != old.dtype or value.shape != old.shape:
            raise self._caller.error(
                f"turns {what}, {old.dtype.name} {tuple(old.shape)}, into {value.dtype.name} {tuple(value.shape)}"
            )
        return value


def _like(value: Any, dtype: tf.DType) -> tf.Tensor:
    """Return tensors as they are, numbers and arrays of them in `dtype`."""
    return value if tf.is_tensor(value) else tf.convert_to_tensor(value, dtype)
