"""`schedule:` and `record:` -> lengths, batches, factors, rules and rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, assert_never

import numpy as np

from gdrun.engine.step import Rules
from gdrun.engine.watch import Watch
from gdrun.experiment.experiment import Experiment
from gdrun.formula import numpy_ops
from gdrun.formula.evaluate import Scope, evaluate
from gdrun.formula.parse import parse
from gdrun.metrics.names import higher_is_better
from gdrun.random_streams import RandomSource
from gdrun.schedules import factors as factor_sections
from gdrun.schedules import learning_rate as factors
from gdrun.schedules import sections
from gdrun.schedules.batches import Batches

from .located import located, refuse

FactorFunction = Callable[[np.ndarray], np.ndarray]


def build_batches(experiment: Experiment, num_examples: int | None, source: RandomSource) -> Batches | None:
    """Return the order of the examples; None where there is no data."""
    if num_examples is None:
        return None
    schedule = experiment.schedule
    legacy = source.generator("batches") if experiment.random == "legacy" else None
    with located("schedule", "batch_size"):
        return Batches(
            num_examples,
            schedule.batch_size,
            order=schedule.order,
            drop_remainder=schedule.drop_remainder,
            seed=experiment.seed,
            legacy_random=legacy,  # type: ignore[arg-type]
        )


def total_steps(schedule: sections.Schedule, steps_per_epoch: int) -> int:
    """Return the number of updates that the schedule asks for."""
    if schedule.steps is not None:
        return schedule.steps
    assert schedule.epochs is not None
    return schedule.epochs * steps_per_epoch


def build_factor(
    schedule: sections.Schedule, constants: Mapping[str, np.ndarray], *, steps_per_epoch: int, total_steps: int
) -> FactorFunction | None:
    """Return steps, int64 (S,) -> factors, float64 (S,); None where the rate is constant or follows a metric."""
    section = schedule.learning_rate_factor
    if section is None or isinstance(section, factor_sections.PlateauFactor):
        return None
    with located("schedule", "learning_rate_factor"):
        factor = _factor(section, constants)
        # Once, so that a formula's mistake is told before anything is on disk.
        factor(np.asarray([0, total_steps], np.int64), steps_per_epoch=steps_per_epoch, total_steps=total_steps)
    return lambda steps: factor(steps, steps_per_epoch=steps_per_epoch, total_steps=total_steps)


def _factor(section: Any, constants: Mapping[str, np.ndarray]) -> factors.Factor:
    settings = {name: value for name, value in section if name != "kind"}
    match section:
        case factor_sections.ConstantFactor():
            return factors.Constant(**settings)
        case factor_sections.ExponentialFactor():
            return factors.Exponential(**settings)
        case factor_sections.InverseTimeFactor():
            return factors.InverseTime(**settings)
        case factor_sections.PolynomialFactor():
            return factors.Polynomial(**settings)
        case factor_sections.CosineFactor():
            return factors.Cosine(**settings)
        case factor_sections.PiecewiseFactor():
            return factors.Piecewise(**settings)
        case factor_sections.OneCycleFactor():
            return factors.OneCycle(**settings)
        case factor_sections.FormulaFactor():
            expression = parse(section.formula)

            def by_formula(step: Any, epoch: Any) -> Any:
                scope = Scope({**constants, "step": step, "epoch": epoch}, ops=numpy_ops.table())
                return evaluate(expression, scope, owner="schedule.learning_rate_factor")

            return factors.FromFunction(by_formula)
        case _:
            assert_never(section)


def build_rules(stop: sections.Stop, formula: Callable[[Any], Any] | None) -> Rules:
    """Return the rules that are tried after every update."""
    return Rules(
        loss_below=stop.loss_below,
        gradient_norm_below=stop.gradient_norm_below,
        parameter_change_below=stop.parameter_change_below,
        parameters_unchanged=stop.parameters_unchanged,
        formula=formula,
        non_finite=stop.non_finite,
    )


def build_patience(schedule: sections.Schedule, watchable: tuple[str, ...]) -> Watch | None:
    """Return the patience rule, if there is one. `watchable` are the metrics that an epoch ends with."""
    rule = schedule.stop.patience
    if rule is None:
        return None
    _check_metric(rule.metric, watchable, ("schedule", "stop", "patience", "metric"))
    higher = higher_is_better(rule.metric) if rule.mode == "auto" else rule.mode == "max"
    return Watch(rule.metric, higher, rule.min_delta, rule.epochs, restore_best=rule.restore_best)


def build_plateau(schedule: sections.Schedule, watchable: tuple[str, ...]) -> Watch | None:
    """Return the plateau factor as a rule, if there is one."""
    section = schedule.learning_rate_factor
    if not isinstance(section, factor_sections.PlateauFactor):
        return None
    _check_metric(section.metric, watchable, ("schedule", "learning_rate_factor", "metric"))
    return Watch(
        section.metric,
        higher_is_better(section.metric),
        section.min_delta,
        section.patience,
        factor=section.factor,
        cooldown=section.cooldown,
        floor=section.floor,
    )


def _check_metric(metric: str, watchable: tuple[str, ...], path: tuple[str, ...]) -> None:
    if metric not in watchable:
        hint = f"there are: {', '.join(watchable)}"
        if metric.startswith("validation_") and "validation_loss" not in watchable:
            hint = "add validation to data, or watch one of: " + ", ".join(watchable)
        raise refuse(f"'{metric}' is not known at the end of an epoch", path, hint)
