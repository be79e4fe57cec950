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
from gdrun.formula.evaluate import Scope

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

    outputs: Mapping[str, Callable[[Scope], Any]]
    """What it predicts, each by a function of the names: "prediction", or named outputs. The scope that it is called
    with holds them as its `outputs`."""
    functions: Mapping[str, Callable[..., tf.Tensor]] = field(default_factory=dict)
    """Networks that formulas may call, (scope, x) -> y."""
    updates: dict[str, tf.Tensor] = field(default_factory=dict)

    @property
    def alone(self) -> Mapping[str, Callable[[Scope], Any]]:
        """A single named output, under the name "prediction" too."""
        return {"prediction": next(iter(self.outputs.values()))} if len(self.outputs) == 1 else {}

    def __call__(self, scope: Scope) -> Any:
        """Return the prediction, or a dict of named outputs."""
        if "prediction" in self.outputs:
            return scope["prediction"]
        return {name: scope[name] for name in self.outputs}


class Model(Protocol):
    """What the objective asks of a model."""

    @property
    def initial(self) -> Mapping[str, Initial]:
        """Every parameter by name."""

    @property
    def state(self) -> Mapping[str, np.ndarray]:
        """What the model keeps beside parameters, by name, initially."""

    @property
    def convolutional(self) -> bool:
        """Whether it convolves, which loops on the device make slow."""

    def bind(self, state: Mapping[str, tf.Tensor], *, inputs: Sequence[str], training: bool) -> Call:
        """Return the model with its state, ready for one evaluation of the inputs of these names."""


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

    @property
    def convolutional(self) -> bool:
        return any(network.convolutional for network in self.networks.values())

    def bind(self, state: Mapping[str, tf.Tensor], *, inputs: Sequence[str], training: bool) -> Call:
        updates: dict[str, tf.Tensor] = {}

        def caller(name: str, network: KerasNetwork) -> Callable[..., tf.Tensor]:
            def call(scope: Scope, *arguments: Any) -> tf.Tensor:
                prefix = f"{name}."
                # A derivative evaluates again what was evaluated, with the same state; what happens inside a loop
                # cannot leave it.
                again = scope.varied or bool(scope.rounds)
                current = {key: state[prefix + key] for key in network.state}
                if not again:
                    current = {key: updates.get(prefix + key, value) for key, value in current.items()}
                values = {key: scope[prefix + key] for key in network.parameters}
                output, new = call_with(
                    arguments,
                    lambda x: network.call(values, current, x, training=training),
                    dtype=network.dtype,
                )
                for key, value in new.items():
                    if not again:
                        updates[prefix + key] = value
                    elif not scope.rounds:
                        updates.setdefault(prefix + key, value)
                return output

            return call

        outputs = self.formulas if isinstance(self.formulas, Mapping) else {"prediction": self.formulas}
        functions = {name: caller(name, network) for name, network in self.networks.items()}
        return Call(outputs, functions, updates)


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

    @property
    def convolutional(self) -> bool:
        return self.network.convolutional

    def bind(self, state: Mapping[str, tf.Tensor], *, inputs: Sequence[str], training: bool) -> Call:
        updates: dict[str, tf.Tensor] = {}

        def predict(scope: Scope) -> tf.Tensor:
            values = {name: scope[name] for name in self.network.parameters}
            given = tuple(scope[name] for name in inputs)
            output, new = self.network.call(values, state, joined(given) if self.join else given[0], training=training)
            if not scope.varied:
                updates.update(new)
            return output

        return Call({"prediction": predict}, {}, updates)


@dataclass(frozen=True)
class PolynomialModel:
    """prediction = sum of coefficients[k] * x**k, by Horner's rule."""

    initial: Mapping[str, Initial]
    degree: int
    state: Mapping[str, np.ndarray] = field(default_factory=dict)
    convolutional: bool = False

    def bind(self, state: Mapping[str, tf.Tensor], *, inputs: Sequence[str], training: bool) -> Call:
        def predict(scope: Scope) -> tf.Tensor:
            x = scope[inputs[0]]
            coefficients = scope["coefficients"]
            result = tf.zeros_like(x) + coefficients[self.degree]
            for power in range(self.degree - 1, -1, -1):
                result = result * x + coefficients[power]
            return result

        return Call({"prediction": predict})


def joined(inputs: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return inputs of shapes (B,) and (B, F_i) side by side, (B, F)."""
    columns = [value[:, None] if value.shape.rank == 1 else value for value in inputs]
    if len(columns) == 1:
        return columns[0]
    flat = [tf.reshape(value, [-1, math.prod(value.shape[1:])]) for value in columns]
    return tf.concat(flat, axis=1)


def call_with(
    arguments: Sequence[Any], network: Callable[[tf.Tensor], tuple[tf.Tensor, Any]], *, dtype: str
) -> tuple[tf.Tensor, Any]:
    """Call a network as formulas do: vectors in, a vector out; numbers in, a number out.

    Args:
        arguments: tensors or host values of shapes (), (B,) and (B, ...), joined to rows; numbers are repeated.
        network: (B, ...) -> ((B, K), anything).
        dtype: of the network.
    Returns:
        The output, (B, K), and what came with it. Where all arguments are vectors and K is 1, (B,); where all are
        numbers, (), or (K,) for K other than 1.
    Raises:
        ShapeError: if the arguments have different lengths, or there is none.
    """
    if not arguments:
        raise ShapeError("a network needs something to work on", hint="call it with inputs: net(x)")
    tensors = [tf.cast(argument, dtype) for argument in arguments]
    rank = max(tensor.shape.rank for tensor in tensors)
    longs = [tensor for tensor in tensors if tensor.shape.rank]
    lengths = sorted({tensor.shape[0] for tensor in longs if tensor.shape[0] is not None})
    if len(lengths) > 1:
        shown = " and ".join(map(str, lengths))
        raise ShapeError(f"the arguments have different numbers of examples: {shown}")
    like = longs[0] if longs else tf.zeros([1], dtype)
    ones = tf.ones_like(tf.reshape(like, [-1, math.prod(like.shape[1:])])[:, 0])
    rows = [tensor if tensor.shape.rank else tensor * ones for tensor in tensors]
    output, more = network(joined(rows))
    if rank < 2 and output.shape.rank == 2 and output.shape[1] == 1:
        output = output[:, 0]
    return (output if rank else output[0]), more
