"""Points at which targets can be differentiated: formulas at given values, a config at its start, a run at a step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from gdrun.assembly.unconnected import LOSS, unconnected_reason
from gdrun.config.source import Source
from gdrun.derivatives import Evaluate, TargetValues, Watch
from gdrun.engine.objective import Evaluation, Objective
from gdrun.errors import ConfigError, FormulaError, Problem, UsageError
from gdrun.formula.evaluate import Scope, evaluate, evaluate_constants
from gdrun.formula.names import check_name, check_names
from gdrun.formula.nodes import Expression
from gdrun.formula.parse import parse
from gdrun.formula.tensorflow_functions import is_tensor
from gdrun.formula.tensorflow_ops import TensorFlowOps
from gdrun.formula.unconnected import counts, reason
from gdrun.text import safe_text

from .evaluation_point import EvaluationPoint, config_or_run, point_of
from .grad_arguments import split_points
from .nonfinite import WatchingOps

COUNT = "a count, a shape or an axis here: an integer, fixed before anything is computed"


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


@contextmanager
def placed(what: str, text: str, definitions: Mapping[str, str] | None = None) -> Iterator[None]:
    """Raise a FormulaError of the block as a ConfigError that shows the text with the place in it."""
    try:
        yield
    except FormulaError as error:
        section = (getattr(error, "section", None) or ()) + (getattr(error, "inside", None) or ())
        if definitions and len(section) > 1 and section[1] in definitions:
            what, text = f"--define {section[1]}", definitions[section[1]]
        source = Source(what, text, is_override=True)
        start = min(error.offset or 0, max(len(text) - 1, 0))
        length = len(text) if error.offset is None else error.length or 1
        place = source.place(start, min(start + length, len(text)))
        raise ConfigError((Problem(error.message, hint=error.hint, place=place),), source=what) from error


# --- formulas ---------------------------------------------------------------------------------------------------------


class Formulas:
    """Targets, definitions and values, read and checked.

    Args:
        targets: formulas.
        values: name -> value at every point, a number, an array or a text; a text may hold several points.
        define: name -> formula of values and definitions above.
        constant: names, or name -> value, that are not differentiated by.
        wrt: names of values or definitions; None: every value that is not constant.
    Raises:
        ConfigError: a formula that cannot be read, an unknown name; placed in its text.
        UsageError: values that do not go together.
    """

    def __init__(
        self,
        targets: Sequence[str],
        values: Mapping[str, Any],
        *,
        define: Mapping[str, Any],
        constant: Mapping[str, Any],
        wrt: Sequence[str] | None,
        dtype: tf.DType,
    ) -> None:
        self.dtype = dtype
        if not targets:
            raise UsageError("there is no formula to differentiate", hint='gdrun grad "x**2" x=3')
        twice = sorted(set(values) & {name for name, value in constant.items() if value is not None})
        if twice:
            raise UsageError(f"{safe_text(twice[0])} has two values")
        self.texts = dict.fromkeys(targets)
        self.points = _points({**values, **{k: v for k, v in constant.items() if v is not None}})
        given = tuple(self.points[0])
        if missing := sorted(name for name, value in constant.items() if value is None and name not in given):
            raise UsageError(f"{safe_text(missing[0])} has no value", hint=f"--constant {safe_text(missing[0])}=1")
        self.definitions: dict[str, Expression] = {}
        for name, text in define.items():
            with placed(f"--define {name}", str(text)):
                _named(name)
                if name in given:
                    raise UsageError(f"{name} has a value and a definition")
                expression = parse(text)
                _known(expression, (*given, *self.definitions))
                self.definitions[name] = expression
        self.targets: dict[str, Expression] = {}
        for text in self.texts:
            with placed("the formula", text):
                self.targets[text] = parse(text)
                _known(self.targets[text], (*given, *self.definitions))
        self.constants = dict.fromkeys(constant, "constant")
        every = (*given, *self.definitions)
        for name in wrt or ():
            if name not in every:
                raise UsageError(
                    f"there is no {safe_text(name)} to differentiate by", hint=f"names: {', '.join(every)}"
                )
        self.names = tuple(wrt) if wrt is not None else given
        everything = {**self.definitions, **self.targets}
        whole = counts(everything) & set(given)
        self.host = {name for name in whole if name not in self.constants}
        for name in self.host:
            self.constants[name] = COUNT

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


def _named(name: str) -> None:
    if (error := check_name(name)) is not None:
        raise error


def _known(expression: Expression, names: Sequence[str]) -> None:
    for error in check_names(expression, names):
        raise error


def _points(values: Mapping[str, Any]) -> list[dict[str, np.ndarray]]:
    """Return the values at each point; names with one value have it at every point."""
    lists: dict[str, list[np.ndarray]] = {}
    for name, value in values.items():
        with placed(name, f"{name}={value}"[:200]):
            _named(name)
        lists[name] = _values(name, value)
    count = max((len(candidates) for candidates in lists.values()), default=1)
    for name, candidates in lists.items():
        if len(candidates) not in (1, count):
            raise UsageError(
                f"{name} has {len(candidates)} values, another name has {count}",
                hint="as many for each, or one; an array stands in brackets: x=[1,2,3]",
            )
    return [
        {name: candidates[0 if len(candidates) == 1 else point] for name, candidates in lists.items()}
        for point in range(count)
    ]


def _values(name: str, value: Any) -> list[np.ndarray]:
    if not isinstance(value, str):
        return [np.asarray(value, np.complex128 if np.iscomplexobj(value) else np.float64)]
    arrays = []
    for piece in split_points(value):
        with placed(f"{name}=", piece):
            expression = parse(piece)
            for used in sorted(expression.names - {"pi"}):
                if used.lower() in ("nan", "inf"):
                    raise FormulaError(f"{used} is no value to differentiate at")
                raise FormulaError(
                    f"a value may not use {used!r}", hint=f"--define {name}={piece} makes a name of a formula"
                )
            arrays.append(evaluate_constants({name: expression})[name])
    return arrays


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
        source: path of a config or run directory, or a run's id.
        overrides: as in `gdrun.train`; for a run, parameters named among them have the given value, the others the
            run's.
        targets: formulas of the config's names; none: the loss.
        wrt: names to differentiate by: parameters, inputs, definitions, prediction; None: every trained parameter.
        constant: parameters not to differentiate by.
        step: of a run; None: the end.
        precision: instead of the config's.
        runs_dir: where run ids are looked up.
    """

    def __init__(
        self,
        source: str | Path,
        overrides: Mapping[str, Any] | Sequence[str] = (),
        *,
        targets: Sequence[str] = (),
        wrt: Sequence[str] | None = None,
        constant: Sequence[str] = (),
        step: int | None = None,
        precision: str | None = None,
        runs_dir: str | Path | None = None,
        device: str | None = None,
    ) -> None:
        self.at: EvaluationPoint = point_of(
            config_or_run(source, runs_dir),
            overrides,
            step=step,
            precision=precision,
            device=device,
            requires_gradients=False,
        )
        built = self.at.prepared.built
        self.built = built
        self.device = self.at.prepared.device.name
        self.precision = built.experiment.precision
        self.objective = built.objective
        self.targets: dict[str, Expression] = {}
        for text in targets or (LOSS,):
            with placed("the formula", text):
                self.targets[text] = parse(text)
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
        data = self.built.data
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
        return objective.evaluate(at.parameters, at.model_state, setting, self.built.data, at.moment, training=True)

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
