"""Points at which targets can be differentiated: formulas at given values, a config at its start, a run at a step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf

from gdrun.derivatives import Evaluate, TargetValues, Watch
from gdrun.errors import FormulaError, UsageError
from gdrun.formula.evaluate import Scope, evaluate
from gdrun.formula.nodes import Expression
from gdrun.formula.parse import parse
from gdrun.formula.tensorflow_functions import is_tensor
from gdrun.formula.tensorflow_ops import TensorFlowOps
from gdrun.text import safe_text

from .evaluation_point import EvaluationPoint
from .grad_formulas import GradFormulas, placed
from .nonfinite import WatchingOps
from .unconnected import NO_WAY, reason

SUM = "sum of targets"
"""Name of the sum of several targets; no formula reads so."""


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


def total(values: Sequence[Any], dtype: tf.DType) -> tf.Tensor:
    """Return the sum of all elements of all values: what a tape differentiates when it is given a list."""
    parts = []
    for value in values:
        tensor = tf.convert_to_tensor(value)
        parts.append(tf.reduce_sum(tf.cast(tf.math.real(tensor) if tensor.dtype.is_complex else tensor, dtype)))
    return tf.add_n(parts)


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
            if len(targets) > 1:
                targets[SUM] = total(list(targets.values()), self.dtype)
            return TargetValues(targets, by)

        return run

    def _placed(self, what: str, text: str) -> Any:
        return placed(what, text, {name: expression.text for name, expression in self.definitions.items()})

    def _explain(self, target: str, name: str) -> str:
        if target == SUM:
            return f"no target depends on {name}, as far as the tape can see"
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

    @tf.custom_gradient
    def power(x: tf.Tensor) -> Any:
        return tf.pow(x, tf.cast(exponent, x.dtype)), lambda up: up * exponent * whole_power(x, exponent - 1)

    return power(base)


def _whole(exponent: Any) -> bool:
    value = np.asarray(exponent)
    return not value.ndim and value.dtype.kind in "fiu" and float(value) in range(_MOST_EXPONENT + 1)


# --- configs and runs -------------------------------------------------------------------------------------------------


_LOSS = "loss"


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
        self.targets = dict(targets) or {_LOSS: parse(_LOSS)}
        self.parameters = dict(zip(self.objective.trainable_names, self.at.parameters, strict=True))
        fixed = dict(zip(self.objective.fixed_names, self.at.setting.fixed, strict=True))
        self.constants = dict.fromkeys(fixed, "constant: it is not trained")
        self.constants |= dict.fromkeys(built.objective.constants, "constant")
        self._check(constant, (*self.parameters, *fixed), "--constant")
        self.constants |= dict.fromkeys(constant, "constant")
        self.others = (*built.data.inputs, *self.objective.definitions, "prediction", "target")
        if wrt is not None:
            self._check(wrt, (*self.parameters, *self.constants, *self.others), "--wrt")
        self.names = tuple(wrt) if wrt is not None else (*self.parameters, *fixed)
        self.values = {**self.parameters, **fixed}

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

    def _evaluate(self, objective: Any) -> Evaluate:
        data, dtype = self.built.data, objective.dtype
        by_data = [name for name in self.names if name in (*data.inputs, "target")]
        inner = [name for name in self.names if name in (*objective.definitions, "prediction")]

        def run(watch: Watch) -> TargetValues:
            for name, value in self.parameters.items():
                if name not in self.constants:
                    watch(value)
            for value in (*data.inputs.values(), *(() if data.target is None else (data.target,))):
                if inner or by_data:
                    watch(value)
            evaluation = objective.evaluate(
                self.at.parameters, self.at.model_state, self.at.setting, data, self.at.moment, training=True
            )
            scope = evaluation.scope
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
            if len(targets) > 1:
                targets[SUM] = total(list(targets.values()), dtype)
            return TargetValues(targets, {name: by[name] for name in self.names if name in by})

        return run

    def _explain(self, target: str, name: str) -> str:
        if target == SUM:
            return f"no target depends on {name}, as far as the tape can see"
        experiment = self.built.experiment
        definitions: dict[str, Any] = {key: value for key, value in self.objective.definitions.items() if key != name}
        outputs = experiment.model.output_formulas()
        if outputs:
            definitions |= {key: parse(text) for key, text in outputs.items()}
            definitions.setdefault("prediction", parse(next(iter(outputs))))
        of_loss = experiment.loss.formulas() if experiment.loss is not None else {}
        definitions[_LOSS] = parse(of_loss.get("formula", "prediction"))
        definitions.pop(name, None)
        why = reason(name, self.targets[target], definitions)
        if not outputs and "depend" in why:
            return NO_WAY
        return why
