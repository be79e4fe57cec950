"""Updates by rules that are written in formulas.

    v:         gamma * v + learning_rate * gradient
    parameter: parameter - v

The lines are evaluated in order, for each parameter by itself; each sees what the lines above it have made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from gdrun.derivatives import curvature, hessian, third
from gdrun.errors import FormulaError
from gdrun.formula.evaluate import Scope, evaluate
from gdrun.formula.failures import inside
from gdrun.formula.nodes import Expression

from .base import LocalObjective, PointUpdate, State

PARAMETER = "parameter"
DERIVATIVES: Mapping[str, Callable[..., tf.Tensor]] = {"curvature": curvature, "hessian": hessian, "third": third}


class FormulaUpdate(PointUpdate):
    """The optimizer of a config's `update`; gdrun.optimizers.update_rule names what its lines may use.

    Its errors are LocatedFormulaErrors inside ("state", NAME) or ("update", NAME).

    Args:
        update: lines by name, in order: the new value of a state variable or of "parameter", which is among them, or
            an intermediate value. Of the derivatives only those that lines use are computed.
        state: initial values by name, of the constants, the settings and `parameter`. A value that broadcasts to the
            parameter's shape takes that shape, any other keeps its own.
        settings: named numbers, or scalar tensors that vary between lanes.
        constants: named constants, for `state`; lines see those of the point.
        ops: function table of formulas.
        parameter_names: one a parameter; they name the state.
    """

    def __init__(
        self,
        update: Mapping[str, Expression],
        *,
        state: Mapping[str, Expression],
        settings: Mapping[str, Any],
        constants: Mapping[str, Any],
        ops: Any,
        parameter_names: Sequence[str],
    ) -> None:
        assert PARAMETER in update
        self._update = update
        self._state = state
        self._settings = settings
        self._constants = constants
        self._ops = ops
        self._names = tuple(parameter_names)
        self._used = frozenset().union(*(line.names for line in update.values()))

    @property
    def state_names(self) -> tuple[str, ...]:
        """parameter/variable, all variables of a parameter together."""
        return tuple(f"{name}/{variable}" for name in self._names for variable in self._state)

    def initial_state(self, parameters: Sequence[tf.Tensor]) -> State:
        """Return the state variables' initial values, in the order of `state_names`."""
        return tuple(value for parameter in parameters for value in self._start(parameter))

    def apply_at(
        self, state: State, point: LocalObjective, learning_rate: tf.Tensor
    ) -> tuple[State, tuple[tf.Tensor, ...]]:
        """Return state and parameters after one update of every parameter, all from the same point."""
        size = len(self._state)
        new_state: list[tf.Tensor] = []
        moved: list[tf.Tensor] = []
        for index in range(len(point.parameters)):
            before = dict(zip(self._state, state[index * size : (index + 1) * size], strict=True))
            after = self._run(index, before, point, learning_rate)
            new_state += [after[name] for name in self._state]
            moved.append(after[PARAMETER])
        return tuple(new_state), tuple(moved)

    def _start(self, parameter: tf.Tensor) -> Iterator[tf.Tensor]:
        names = {**self._constants, **self._settings, PARAMETER: parameter}
        for name, formula in self._state.items():
            with inside("state", name):
                value = _cast(
                    evaluate(formula, Scope(names, ops=self._ops), owner=f"optimizer.state.{name}"), parameter
                )
                fits = _broadcast(value.shape, parameter.shape) == parameter.shape
            yield tf.broadcast_to(value, parameter.shape) if fits else value

    def _run(
        self, index: int, state: Mapping[str, tf.Tensor], point: LocalObjective, learning_rate: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """Return what the state variables and the parameter are after the last line."""
        parameter, real = point.parameters[index], point.loss.dtype
        along = point.loss_along(index)
        kept = {**state, PARAMETER: parameter}
        values: dict[str, Any] = {
            **point.constants,
            **{name: tf.cast(value, real) if tf.is_tensor(value) else value for name, value in self._settings.items()},
            **{name: make(along, parameter) for name, make in DERIVATIVES.items() if name in self._used},
            "gradient": point.gradients[index],
            "loss": point.loss,
            **({"global_gradient_norm": global_norm(point)} if "global_gradient_norm" in self._used else {}),
            "learning_rate": tf.cast(learning_rate, real),
            "step": tf.cast(point.step, real),
            **kept,
        }
        scope = Scope(values, ops=self._ops, draws=point.draws, draw_shape=tuple(parameter.shape))
        for name, line in self._update.items():
            with inside("update", name):
                # The owner names the stream of random numbers: another one for each parameter.
                value = evaluate(line, scope, owner=f"optimizer.update.{name}.{self._names[index]}")
                if name in kept:
                    what = f"parameter '{self._names[index]}'"
                    what = what if name == PARAMETER else f"'{name}' of {what}"
                    value = kept[name] = like(value, kept[name], what)
            scope = scope.adding({name: value})
        return kept


def _cast(value: Any, parameter: tf.Tensor) -> tf.Tensor:
    """Return a formula's value in the parameter's dtype."""
    if not tf.is_tensor(value):
        if np.iscomplexobj(value) and not parameter.dtype.is_complex:
            raise FormulaError(
                "this value is complex, the parameter is real", hint="real(...) or abs(...) makes it real"
            )
        return tf.constant(value, parameter.dtype)
    if value.dtype.is_complex and not parameter.dtype.is_complex:
        raise FormulaError("this value is complex, the parameter is real", hint="real(...) or abs(...) makes it real")
    return tf.cast(value, parameter.dtype)


def _broadcast(shape: tf.TensorShape, other: tf.TensorShape) -> tf.TensorShape | None:
    try:
        return tf.broadcast_static_shape(shape, other)
    except ValueError:
        return None


def like(
    value: Any, old: tf.Tensor, what: str, hint: str = "reshape(...) it, or write the formula entry by entry"
) -> tf.Tensor:
    """Return a formula's value in the dtype and shape of the value that it replaces.

    Raises:
        FormulaError: it is complex and the other is not, or of a shape that does not broadcast; `what` names it.
    """
    value, shape = _cast(value, old), old.shape
    if value.shape == shape:
        return value
    if _broadcast(value.shape, shape) != shape:
        raise FormulaError(
            f"{what} has shape {tuple(shape)}, its new value has shape {tuple(value.shape)}",
            hint=hint,
        )
    return tf.broadcast_to(value, shape)


def global_norm(point: LocalObjective) -> tf.Tensor:
    """Return the Euclidean norm over the gradients of all that the run trains."""
    return point.gradient_norm if point.gradient_norm is not None else tf.linalg.global_norm(point.gradients)
