"""Models as pure functions: parameters by name and inputs in, predictions out.

Shape letters: B batch, F features, K outputs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from gdrun.errors import ShapeError
from gdrun.formula.scope import Scope

from .networks import KerasNetwork


class Initial(NamedTuple):
    """A parameter before training."""

    raw: np.ndarray
    """Value before the transform, float64 (or complex128); cast to the run's precision by the engine."""
    trainable: bool = True
    transform: str | None = None


@dataclass
class Call:
    """A model bound to its state for one evaluation. `updates` fills with the new state as the call goes."""

    function: Callable[[Scope, Mapping[str, tf.Tensor]], Any]
    functions: Mapping[str, Callable[..., tf.Tensor]] = field(default_factory=dict)
    """Networks that formulas may call, (scope, x) -> y."""
    updates: dict[str, tf.Tensor] = field(default_factory=dict)

    def __call__(self, scope: Scope, inputs: Mapping[str, tf.Tensor]) -> Any:
        return self.function(scope, inputs)


class Model(Protocol):
    """What the objective asks of a model."""

    initial: Mapping[str, Initial]
    """Every parameter by name."""
    state: Mapping[str, np.ndarray]
    """What the model keeps beside parameters, by name, initially."""

    def bind(self, state: Mapping[str, tf.Tensor], *, training: bool) -> Call:
        """Return the model with its state, ready for one evaluation."""


@dataclass(frozen=True)
class FormulaModel:
    """A prediction by formula, or several named outputs; later outputs may use earlier ones.

    Args:
        formulas: scope -> value, or one for each output.
        initial: every parameter, those of the networks under dotted names.
        networks: by the name that formulas call them by.
    """

    formulas: Mapping[str, Callable[[Scope], Any]] | Callable[[Scope], Any]
    initial: Mapping[str, Initial]
    networks: Mapping[str, KerasNetwork]

    @property
    def state(self) -> Mapping[str, np.ndarray]:
        return {f"{name}.{key}": value for name, net in self.networks.items() for key, value in net.state.items()}

    def bind(self, state: Mapping[str, tf.Tensor], *, training: bool) -> Call:
        updates: dict[str, tf.Tensor] = {}

        def caller(name: str, network: KerasNetwork) -> Callable[..., tf.Tensor]:
            def call(scope: Scope, *arguments: tf.Tensor) -> tf.Tensor:
                prefix = f"{name}."
                current = {key: updates.get(prefix + key, state[prefix + key]) for key in network.state}
                values = {key: scope[prefix + key] for key in network.parameters}
                output, new = network.call(values, current, joined(arguments), training=training)
                updates.update({prefix + key: value for key, value in new.items()})
                return output

            return call

        def predict(scope: Scope, inputs: Mapping[str, tf.Tensor]) -> Any:
            if not isinstance(self.formulas, Mapping):
                return self.formulas(scope)
            outputs: dict[str, tf.Tensor] = {}
            for name, formula in self.formulas.items():
                outputs[name] = formula(scope.adding(outputs) if outputs else scope)
            return outputs

        functions = {name: caller(name, network) for name, network in self.networks.items()}
        return Call(predict, functions, updates)


@dataclass(frozen=True)
class NetworkModel:
    """Keras layers on the inputs, joined to (B, F)."""

    network: KerasNetwork
    initial: Mapping[str, Initial]
    join: bool = True
    """false: the single input goes in as it is."""

    @property
    def state(self) -> Mapping[str, np.ndarray]:
        return self.network.state

    def bind(self, state: Mapping[str, tf.Tensor], *, training: bool) -> Call:
        updates: dict[str, tf.Tensor] = {}

        def predict(scope: Scope, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
            values = {name: scope[name] for name in self.network.parameters}
            x = joined(tuple(inputs.values())) if self.join else next(iter(inputs.values()))
            output, new = self.network.call(values, state, x, training=training)
            updates.update(new)
            return output

        return Call(predict, {}, updates)


@dataclass(frozen=True)
class PolynomialModel:
    """prediction = sum of coefficients[k] * x**k, by Horner's rule."""

    initial: Mapping[str, Initial]
    degree: int
    state: Mapping[str, np.ndarray] = field(default_factory=dict)

    def bind(self, state: Mapping[str, tf.Tensor], *, training: bool) -> Call:
        def predict(scope: Scope, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
            x = next(iter(inputs.values()))
            coefficients = scope["coefficients"]
            result = tf.zeros_like(x) + coefficients[self.degree]
            for power in range(self.degree - 1, -1, -1):
                result = result * x + coefficients[power]
            return result

        return Call(predict)


def joined(inputs: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return inputs of shapes (B,) and (B, F_i) side by side, (B, F).

    Raises:
        ShapeError: if an input has no leading axis of examples.
    """
    columns = []
    for value in inputs:
        if value.shape.rank == 0:
            raise ShapeError("a network needs inputs with a leading axis of examples, not a scalar")
        columns.append(value[:, None] if value.shape.rank == 1 else value)
    if len(columns) == 1:
        return columns[0]
    flat = [tf.reshape(value, [-1, math.prod(value.shape[1:])]) for value in columns]
    return tf.concat(flat, axis=1)
