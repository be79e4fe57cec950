"""Keras models of plugins as pure functions of their weights: functional graphs, subclasses, models from files."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.utils.naming import reset_uids

from gdrun.config.plugin_calls import Caller, checked_name
from gdrun.random_streams import integer_seed


@contextmanager
def making(*, seed: int, dtype: str) -> Iterator[None]:
    """Let Keras make layers of this precision, with weights drawn from this seed and the same names in each process."""
    state, floatx, policy = random.getstate(), keras.config.floatx(), keras.config.dtype_policy()
    # Keras takes the seeds of initializers and of dropout from Python's own generator.
    random.seed(integer_seed(seed, "keras"))
    keras.config.set_floatx(dtype)
    # Keras keeps the policy of the first layer that the process made; floatx does not change it afterwards.
    keras.config.set_dtype_policy(dtype)
    reset_uids()
    try:
        yield
    finally:
        keras.config.set_floatx(floatx)
        keras.config.set_dtype_policy(policy)
        random.setstate(state)


class KerasModel:
    """A Keras model as `call(parameters, state, inputs) -> (output, state)`, its weights named by their paths.

    Args:
        model: built. Its trainable variables become parameters, all others state.
        inputs: names of the config's inputs.
        caller: says what is wrong with it.
        dtype: "float32" or "float64".
    Raises:
        PluginError: it is not built, of another precision or for other inputs, or adds losses of its own.
    """

    def __init__(self, model: keras.Model, inputs: Sequence[str], caller: Caller, dtype: str) -> None:
        self._model = model
        if not model.built:
            raise caller.error("returned a Keras model without weights", "make it of keras.Input, or call it once")
        if model.losses:
            raise caller.error("returned a Keras model with losses of its own", "loss: {kind: ..., penalty: {l2: ...}}")
        self.parameters = _named(model.trainable_variables, caller)
        self.state = _named(model.non_trainable_variables, caller)
        for name, variable in (self.parameters | self.state).items():
            if tf.as_dtype(variable.dtype).is_floating and variable.dtype != dtype:
                raise caller.error(
                    f"has the weight '{name}' as {variable.dtype}, but the run's precision is {dtype}",
                    f"precision: {variable.dtype}",
                )
        self._shapes = {}
        if own := getattr(model, "inputs", None):
            self._shapes = {tensor.name: tuple(tensor.shape[1:]) for tensor in own}
            if len(own) == len(inputs) == 1:
                self._shapes = {inputs[0]: tuple(own[0].shape[1:])}
            elif self._shapes.keys() != set(inputs):
                raise caller.error(
                    f"returned a Keras model of the inputs {', '.join(self._shapes)}, the data has {', '.join(inputs)}",
                    "keras.Input(shape, name=...) names one",
                )
        self.convolutional = any("Conv" in type(layer).__name__ for layer in model._flatten_layers())

    @property
    def output_shape(self) -> tuple[int | None, ...]:
        """Shape of a batch of predictions; () for named outputs, and where Keras does not know it."""
        shape = getattr(self._model, "output_shape", ())
        return (
            shape if isinstance(shape, tuple) and all(size is None or isinstance(size, int) for size in shape) else ()
        )

    def call(
        self,
        parameters: Mapping[str, tf.Tensor],
        state: Mapping[str, tf.Tensor],
        inputs: Mapping[str, tf.Tensor],
        *,
        training: bool,
    ) -> tuple[Any, dict[str, tf.Tensor]]:
        """Return the output, a tensor or a dict of them, and the new state."""
        values = {
            name: tf.reshape(value, [-1, *self._shapes[name]])
            if name in self._shapes and value.shape.rank == 1
            else value
            for name, value in inputs.items()
        }
        output, new = self._model.stateless_call(
            [parameters[name] for name in self.parameters],
            [state[name] for name in self.state],
            values if len(values) > 1 else next(iter(values.values())),
            training=training,
        )
        return output, dict(zip(self.state, new, strict=True))

    def evaluate(self, parameters: Mapping[str, tf.Tensor], inputs: Mapping[str, tf.Tensor]) -> Any:
        """Return the output with the state before training."""
        state = {name: tf.convert_to_tensor(variable) for name, variable in self.state.items()}
        return self.call(parameters, state, inputs, training=False)[0]

    def to_keras(self, parameters: Mapping[str, np.ndarray]) -> keras.Model:
        """Return the model with weights from `parameters`, by name; the state's are among them."""
        for name, variable in (self.parameters | self.state).items():
            if name in parameters:
                variable.assign(parameters[name])
        return self._model


def _named(variables: Sequence[keras.Variable], caller: Caller) -> dict[str, keras.Variable]:
    """Return variables by their paths: dense.kernel, multi_head_attention.query.kernel."""
    named: dict[str, keras.Variable] = {}
    for variable in variables:
        parts = [re.sub(r"\W", "_", part) for part in variable.path.split("/")]
        name = checked_name(".".join(parts), caller, "a weight", dotted=True)
        while name in named:
            name += "_"
        named[name] = variable
    return named
