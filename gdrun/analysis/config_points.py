"""The names of a config or a run -> the point at which what it computes can be differentiated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tensorflow as tf

from gdrun.derivatives import Evaluate, TargetValues, Watch
from gdrun.errors import FormulaError, UsageError
from gdrun.formula.evaluate import evaluate
from gdrun.formula.nodes import Expression
from gdrun.formula.parse import parse
from gdrun.losses.sections import FormulaLoss
from gdrun.text import safe_text

from .derivatives import NO_WAY
from .formula_points import told
from .nonfinite import WatchingOps
from .point import SUM, Point, total
from .start import At, config_or_run, point_of
from .unconnected import reason

_LOSS = "loss"


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
        self.at: At = point_of(
            config_or_run(source, runs_dir), overrides, step=step, precision=precision, device=device
        )
        built = self.at.prepared.built
        self.built = built
        self.device = self.at.prepared.device.name
        self.precision = built.experiment.precision
        self.objective = built.objective
        self.targets: dict[str, Expression] = {}
        for text in targets or (_LOSS,):
            with told("the formula", text):
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

    @staticmethod
    def _check(names: Sequence[str], known: Sequence[str], option: str) -> None:
        for name in names:
            if name not in known:
                raise UsageError(f"{option}: there is no {safe_text(name)}", hint=f"names: {', '.join(known)}")

    def each(self) -> Iterator[Point]:
        """Yield the one point there is."""
        yield Point(
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
            found: dict[str, Any] = {}
            for text, expression in self.targets.items():
                with told("the formula", text):
                    for used in sorted(expression.names - {"pi"}):
                        if used not in scope:
                            raise FormulaError(f"there is no {used!r} in this config")
                    found[text] = evaluate(expression, scope, owner=text)
            if len(found) > 1:
                found[SUM] = total(list(found.values()), dtype)
            return TargetValues(found, {name: by[name] for name in self.names if name in by})

        return run

    def _explain(self, target: str, name: str) -> str:
        if target == SUM:
            return f"no target depends on {name}, as far as the tape can see"
        experiment = self.built.experiment
        known: dict[str, Any] = {key: value for key, value in self.objective.definitions.items() if key != name}
        outputs = experiment.model.output_formulas()
        if outputs:
            known |= {key: parse(text) for key, text in outputs.items()}
            known.setdefault("prediction", parse(next(iter(outputs))))
        if isinstance(experiment.loss, FormulaLoss):
            known[_LOSS] = parse(experiment.loss.formula)
        else:
            known[_LOSS] = parse("prediction")
        known.pop(name, None)
        why = reason(name, self.targets[target], known)
        if not outputs and "depend" in why:
            return NO_WAY
        return why
