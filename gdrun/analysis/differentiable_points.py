"""Points at which targets can be differentiated: formulas at given values, a config at its start, a run at a step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from gdrun.assembly.unconnected import LOSS, unconnected_reason
from gdrun.derivatives import Evaluate, TargetValues, Watch
from gdrun.engine.objective import Evaluation, Objective
from gdrun.errors import FormulaError, UsageError
from gdrun.formula.evaluate import Scope, evaluate
from gdrun.formula.nodes import Expression
from gdrun.formula.parse import parse
from gdrun.formula.tensorflow_functions import is_tensor
from gdrun.formula.tensorflow_ops import TensorFlowOps
from gdrun.formula.unconnected import counts, reason
from gdrun.text import safe_text

from .evaluation_point import EvaluationPoint
from .grad_arguments import COUNT, GradFormulas, placed
from .nonfinite import WatchingOps


@dataclass(frozen=True)
class DifferentiablePoint:
    """A point at which targets are differentiated."""

    at: Mapping[str, np.ndarray]
    """Values by name."""
    constants: Mapping[str, str]
    """Names that are not differentiated by, and why."""
    names: tuple[str, ...]
    """Names to report derivatives by; constants are reported too."""
    evaluate: Evaluate
    watching: Callable[[], tuple[Evaluate, WatchingOps]]
    """Returns the same evaluation with a table that remembers its operations."""
    explain: Callable[[str, str], str]
    """(target, name) -> why there is no derivative."""


# --- formulas ---------------------------------------------------------------------------------------------------------


class FormulaPoints:
    """Formulas at the values that are given.

    Args:
        formulas: read and checked.
        dtype: of the arithmetic.
    """

    def __init__(self, formulas: GradFormulas, dtype: tf.DType) -> None:
        self.dtype = dtype
        self.points, self.definitions, self.targets = formulas.points, formulas.definitions, formulas.targets
        self.names, self.constants, self.host = formulas.names, formulas.constants, formulas.host

    def each(self) -> Iterator[DifferentiablePoint]:
        """Yield the points."""
        for values in self.points:
            ops = DeepOps(self.dtype)

            def watching(at: Mapping[str, np.ndarray] = values) -> tuple[Evaluate, WatchingOps]:
                watched = WatchingOps(self.dtype)
                return self._evaluate(at, watched), watched

            yield DifferentiablePoint(
                at=values,
                constants=self.constants,
                names=self.names,
                evaluate=self._evaluate(values, ops),
                watching=watching,
                explain=self._explain,
            )

    def _evaluate(self, values: Mapping[str, np.ndarray], ops: Any) -> Evaluate:
        tensors: dict[str, Any] = {}
        for name, value in values.items():
            if name in self.host:
                tensors[name] = value
            else:
                complex_ = tf.complex64 if self.dtype == tf.float32 else tf.complex128
                tensors[name] = tf.constant(value, complex_ if value.dtype.kind == "c" else self.dtype)
        variables = [name for name in values if name not in self.constants and name in self.names]
        inner = [name for name in self.definitions if name in self.names]

        def run(watch: Watch) -> TargetValues:
            for name in variables:
                watch(tensors[name])
            scope = Scope(tensors, definitions=self.definitions, ops=ops, draws=tf.zeros([2], tf.int32))
            by = {name: tensors[name] for name in variables}
            for name in inner:
                with self._placed(f"--define {name}", self.definitions[name].text):
                    value = scope[name]
                by[name] = value if tf.is_tensor(value) else tf.constant(value, self.dtype)
                watch(by[name])
                scope = scope.adding({name: by[name]})
            targets: dict[str, Any] = {}
            for text, expression in self.targets.items():
                with self._placed("the formula", text):
                    targets[text] = evaluate(expression, scope, owner=text)
            return TargetValues(targets, by)

        return run

    def _placed(self, what: str, text: str) -> Any:
        return placed(what, text, {name: expression.text for name, expression in self.definitions.items()})

    def _explain(self, target: str, name: str) -> str:
        definitions = {key: value for key, value in self.definitions.items() if key != name}
        return reason(name, self.targets[target], definitions)


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


class ConfigPoints:
    """A config at its initial values, or a run at the parameters of a step.

    Args:
        at: the config's start, or the run's step.
        targets: formulas of the config's names by their texts; none: the loss.
        wrt: names to differentiate by: parameters, inputs, definitions, prediction; None: every trained parameter.
        constant: parameters not to differentiate by.
    """

    def __init__(
        self,
        at: EvaluationPoint,
        targets: Mapping[str, Expression],
        *,
        wrt: Sequence[str] | None = None,
        constant: Sequence[str] = (),
    ) -> None:
        self.at = at
        built = self.at.prepared.built
        self.built = built
        self.device = self.at.prepared.device.name
        self.precision = built.experiment.precision
        self.objective = built.objective
        self.targets = dict(targets) or {LOSS: parse(LOSS)}
        self.parameters = dict(zip(self.objective.trainable_names, self.at.parameters, strict=True))
        fixed = dict(zip(self.objective.fixed_names, self.at.setting.fixed, strict=True))
        self.constants = dict.fromkeys(fixed, "constant: it is not trained")
        self.constants |= dict.fromkeys(built.objective.constants, "constant")
        self._check(constant, (*self.parameters, *fixed), "--constant")
        self.constants |= dict.fromkeys(constant, "constant")
        self.data = built.data._replace(inputs=built.named_inputs)
        self.others = (*self.data.inputs, *self.objective.definitions, "prediction", "target")
        if wrt is not None:
            self._check(wrt, (*self.parameters, *self.constants, *self.others), "--wrt")
        self.names = tuple(wrt) if wrt is not None else (*self.parameters, *fixed)
        self.values = {**self.parameters, **fixed}
        for name in counts({**self.objective.definitions, **self.targets}) & set(self.objective.definitions):
            self.constants[name] = COUNT

    @staticmethod
    def _check(names: Sequence[str], allowed: Sequence[str], option: str) -> None:
        for name in names:
            if name not in allowed:
                raise UsageError(f"{option}: there is no {safe_text(name)}", hint=f"names: {', '.join(allowed)}")

    def each(self) -> Iterator[DifferentiablePoint]:
        """Yield the one point there is."""
        yield DifferentiablePoint(
            at={name: value.numpy() for name, value in self.values.items()},
            constants=self.constants,
            names=self.names,
            evaluate=self._evaluate(self.objective),
            watching=self._watching,
            explain=self._explain,
        )

    def _watching(self) -> tuple[Evaluate, WatchingOps]:
        ops = WatchingOps(self.objective.dtype)
        return self._evaluate(replace(self.objective, ops=ops)), ops

    def _evaluate(self, objective: Objective) -> Evaluate:
        data = self.data
        by_data = [name for name in self.names if name in (*data.inputs, "target")]
        free = [name for name in self.names if name not in self.constants]
        defined = [name for name in objective.definitions if name in free]
        inner = [*defined, *(name for name in free if name == "prediction")]

        def run(watch: Watch) -> TargetValues:
            setting = self.at.setting
            for name, value in self.parameters.items():
                if name not in self.constants:
                    watch(value)
            for value in (*data.inputs.values(), *(() if data.target is None else (data.target,))):
                if inner or by_data:
                    watch(value)
            for name in defined:
                # A tape follows no value that it was not shown, and a definition may hold no parameter: it is computed
                # first, and everything else of it.
                scope = self._at(objective, setting).scope
                value = tf.convert_to_tensor(scope[name], objective.dtype if _host(scope[name]) else None)
                watch(value)
                setting = setting._replace(constants={**setting.constants, name: value})
            scope = self._at(objective, setting).scope
            by = {name: value for name, value in self.parameters.items() if name in self.names}
            by |= {name: data.target if name == "target" else data.inputs[name] for name in by_data}
            by |= {name: tf.convert_to_tensor(scope[name]) for name in inner}
            by = {name: value for name, value in by.items() if name not in self.constants}
            targets: dict[str, Any] = {}
            for text, expression in self.targets.items():
                with placed("the formula", text):
                    for used in sorted(expression.names - {"pi"}):
                        if used not in scope:
                            raise FormulaError(f"there is no {used!r} in this config")
                    targets[text] = evaluate(expression, scope, owner=text)
            return TargetValues(targets, {name: by[name] for name in self.names if name in by})

        return run

    def _at(self, objective: Objective, setting: Any) -> Evaluation:
        at = self.at
        return objective.evaluate(at.parameters, at.model_state, setting, self.data, at.moment, training=True)

    def _explain(self, target: str, name: str) -> str:
        return unconnected_reason(self.built.experiment, self.objective, name, self.targets[target])

    def notes(self) -> Iterator[str]:
        """Yield what training does otherwise."""
        section = self.built.experiment.gradients
        by_hand = [name for name in self.names if section is not None and section.use and name in section.of]
        if by_hand and LOSS in self.targets:
            names = ", ".join(by_hand)
            yield f"training uses the gradient by {names} that `gradients:` writes by hand; these are the tape's"


def _host(value: Any) -> bool:
    """Return whether a value was computed without TensorFlow: of numbers alone."""
    return not tf.is_tensor(value) and not np.iscomplexobj(value)
