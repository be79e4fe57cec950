"""Points at which targets can be differentiated: formulas at given values, a config at its start, a run at a step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gdrun.assembly.unconnected import LOSS, unconnected_reason
from gdrun.derivatives import Evaluate, TargetValues, Watch
from gdrun.errors import FormulaError, UsageError
from gdrun.formula.evaluate import Scope, evaluate
from gdrun.formula.nodes import Expression
from gdrun.formula.tensorflow_functions import is_tensor
from gdrun.formula.tensorflow_ops import TensorFlowOps
from gdrun.formula.unconnected import counts, reason

from .evaluation_point import EvaluationPoint
from .grad_arguments import COUNT, GradFormulas, placed

if TYPE_CHECKING:
    from gdrun.assembly import Built


@dataclass(frozen=True)
class DifferentiablePoint:
    """A point at which targets are differentiated."""

    at: Mapping[str, np.ndarray]
    """Values by name."""
    constants: Mapping[str, str]
    """Names that are not differentiated by, and why."""
    names: tuple[str, ...]
    """Names to report derivatives by; constants are reported too."""
    evaluate_by: Callable[[TensorFlowOps | None], Evaluate]
    """Returns the evaluation by a table of functions, by its own for None."""
    dtype: tf.DType
    explain: Callable[[str, str], str]
    """(target, name) -> why there is no derivative."""

    @property
    def evaluate(self) -> Evaluate:
        """The evaluation."""
        return self.evaluate_by(None)


# --- formulas ---------------------------------------------------------------------------------------------------------


def formula_points(formulas: GradFormulas, dtype: tf.DType) -> Iterator[DifferentiablePoint]:
    """Yield the points of formulas at the values that are given, with arithmetic of `dtype`."""

    def explain(target: str, name: str) -> str:
        definitions = {key: value for key, value in formulas.definitions.items() if key != name}
        return reason(name, formulas.targets[target], definitions)

    for values in formulas.points:
        evaluate_by = partial(_formula_evaluation, formulas, values, dtype)
        yield DifferentiablePoint(values, formulas.constants, formulas.names, evaluate_by, dtype, explain)


def _formula_evaluation(
    formulas: GradFormulas, values: Mapping[str, np.ndarray], dtype: tf.DType, ops: TensorFlowOps | None
) -> Evaluate:
    complex_dtype = tf.complex64 if dtype == tf.float32 else tf.complex128
    tensors: dict[str, Any] = {
        name: value
        if name in formulas.host
        else tf.constant(value, complex_dtype if value.dtype.kind == "c" else dtype)
        for name, value in values.items()
    }
    variables = [name for name in values if name not in formulas.constants and name in formulas.names]
    table = DeepOps(dtype) if ops is None else ops

    def placed_within(what: str, text: str) -> Any:
        return placed(what, text, {name: expression.text for name, expression in formulas.definitions.items()})

    def run(watch: Watch) -> TargetValues:
        for name in variables:
            watch(tensors[name])
        scope = Scope(tensors, definitions=formulas.definitions, ops=table, draws=tf.zeros([2], tf.int32))
        by = {name: tensors[name] for name in variables}
        for name in (name for name in formulas.definitions if name in formulas.names):
            with placed_within(f"--define {name}", formulas.definitions[name].text):
                value = scope[name]
            by[name] = value if tf.is_tensor(value) else tf.constant(value, dtype)
            watch(by[name])
            scope = scope.adding({name: by[name]})
        targets: dict[str, Any] = {}
        for text, expression in formulas.targets.items():
            with placed_within("the formula", text):
                targets[text] = evaluate(expression, scope, owner=text)
        return TargetValues(targets, by)

    return run


_MOST_EXPONENT = 64


class DeepOps(TensorFlowOps):
    """TensorFlow's function table for derivatives of any order; the first ones have the same digits.

    Powers with whole exponents have higher derivatives that end where they should: TensorFlow differentiates x**2 to
    2*x, 2*x**0, and then 2*0*x**-1, which is nan at 0.
    """

    def call(self, function: str, arguments: dict[str, Any]) -> Any:
        if function == "pow" and len(arguments) == 2:
            return self.operate("pow", *arguments.values())
        return super().call(function, arguments)

    def operate(self, function: str, *operands: Any) -> Any:
        if function == "pow":
            base, exponent = operands
            if is_tensor(base) and base.dtype.is_floating and not is_tensor(exponent) and _whole(exponent):
                return whole_power(base, int(np.asarray(exponent)))
        return super().operate(function, *operands)


def whole_power(base: tf.Tensor, exponent: int) -> tf.Tensor:
    """Return base ** exponent; its derivative is exponent * whole_power(base, exponent - 1)."""
    if exponent == 0:
        return tf.ones_like(base)
    if exponent == 1:
        return tf.identity(base)
    if not tf.executing_eagerly():
        # A custom gradient that is traced, as in the loop over a Jacobian's rows, holds tensors of the trace, which an
        # outer tape cannot use. Products have derivatives that end, too.
        return math.prod([base] * exponent, start=tf.ones_like(base))

    @tf.custom_gradient
    def power(x: tf.Tensor) -> Any:
        return tf.pow(x, tf.cast(exponent, x.dtype)), lambda up: up * exponent * whole_power(x, exponent - 1)

    return power(base)


def _whole(exponent: Any) -> bool:
    value = np.asarray(exponent)
    return not value.ndim and value.dtype.kind in "fiu" and float(value) in range(_MOST_EXPONENT + 1)


# --- configs and runs -------------------------------------------------------------------------------------------------


def config_point(
    at: EvaluationPoint,
    targets: Mapping[str, Expression],
    *,
    wrt: Sequence[str] | None = None,
    constant: Sequence[str] = (),
) -> DifferentiablePoint:
    """Return the point of a config at its initial values, or of a run at the parameters of a step.

    Args:
        at: the config's start, or the run's step.
        targets: formulas of the config's names by their texts.
        wrt: names to differentiate by: parameters, inputs, definitions, prediction; None: every trained parameter.
        constant: parameters not to differentiate by.
    """
    built = at.prepared.built
    objective = built.objective
    parameters = dict(zip(objective.trainable_names, at.parameters, strict=True))
    fixed = dict(zip(objective.fixed_names, at.setting.fixed, strict=True))
    constants = dict.fromkeys(fixed, "constant: it is not trained") | dict.fromkeys(objective.constants, "constant")
    _check_names(constant, (*parameters, *fixed), "--constant")
    constants |= dict.fromkeys(constant, "constant")
    others = (*built.named_inputs, *objective.definitions, "prediction", "target")
    _check_names(wrt or (), (*parameters, *constants, *others), "--wrt")
    names = tuple(wrt) if wrt is not None else (*parameters, *fixed)
    for name in counts({**objective.definitions, **targets}) & set(objective.definitions):
        constants[name] = COUNT
    return DifferentiablePoint(
        {name: value.numpy() for name, value in {**parameters, **fixed}.items()}, constants, names,
        lambda ops: _config_evaluation(at, parameters, targets, names, constants, ops), objective.dtype,
        lambda target, name: unconnected_reason(built.experiment, objective, name, targets[target]),
    )  # fmt: skip


def _check_names(names: Sequence[str], allowed: Sequence[str], option: str) -> None:
    for name in names:
        if name not in allowed:
            raise UsageError(f"{option}: there is no {name}", hint=f"names: {', '.join(allowed)}")


def _config_evaluation(
    at: EvaluationPoint,
    parameters: Mapping[str, tf.Tensor],
    targets: Mapping[str, Expression],
    names: Sequence[str],
    constants: Mapping[str, str],
    ops: TensorFlowOps | None,
) -> Evaluate:
    built = at.prepared.built
    objective = built.objective if ops is None else replace(built.objective, ops=ops)
    # Each input by itself, so that a tape can follow it.
    data = built.data._replace(inputs=built.named_inputs)
    by_data = [name for name in names if name in (*data.inputs, "target")]
    free = [name for name in names if name not in constants]
    defined = [name for name in objective.definitions if name in free]
    inner = [*defined, *(name for name in free if name == "prediction")]

    def scope_with(setting: Any) -> Scope:
        return objective.evaluate(at.parameters, at.model_state, setting, data, at.moment, training=True).scope

    def run(watch: Watch) -> TargetValues:
        setting = at.setting
        for name, value in parameters.items():
            if name not in constants:
                watch(value)
        for value in (*data.inputs.values(), *(() if data.target is None else (data.target,))):
            if inner or by_data:
                watch(value)
        for name in defined:
            # A tape follows no value that it was not shown, and a definition may hold no parameter: it is computed
            # first, and everything else of it.
            defined_value = scope_with(setting)[name]
            value = tf.convert_to_tensor(defined_value, objective.dtype if _host(defined_value) else None)
            watch(value)
            setting = setting._replace(constants={**setting.constants, name: value})
        scope = scope_with(setting)
        by = {name: value for name, value in parameters.items() if name in names}
        by |= {name: data.target if name == "target" else data.inputs[name] for name in by_data}
        by |= {name: tf.convert_to_tensor(scope[name]) for name in inner}
        values: dict[str, Any] = {}
        for text, expression in targets.items():
            with placed("the formula", text):
                for used in sorted(expression.names - {"pi"}):
                    if used not in scope:
                        raise FormulaError(f"there is no {used!r} in this config")
                values[text] = evaluate(expression, scope, owner=text)
        return TargetValues(values, {name: by[name] for name in free if name in by})

    return run


def by_hand_notes(built: Built, targets: Mapping[str, Expression], names: Sequence[str]) -> tuple[str, ...]:
    """Return a note on gradients that training takes otherwise."""
    section = built.experiment.gradients
    by_hand = [name for name in names if section is not None and section.use and name in section.of]
    if not by_hand or LOSS not in targets:
        return ()
    return (
        f"training uses the gradient by {', '.join(by_hand)} that `gradients:` writes by hand; these are the tape's",
    )


def _host(value: Any) -> bool:
    """Return whether a value was computed without TensorFlow: of numbers alone."""
    return not tf.is_tensor(value) and not np.iscomplexobj(value)
