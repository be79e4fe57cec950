"""Batches, factors and stopping rules of `schedule:`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gdrun.config.located import located, refuse
from gdrun.engine.metric_rules import Watch
from gdrun.engine.step import Rules
from gdrun.experiment.experiment import Experiment
from gdrun.metric_names import higher_is_better
from gdrun.random_streams import RandomSource
from gdrun.schedules.batches import Batches
from gdrun.schedules.sections import Schedule, Stop

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


def build_factor(
    schedule: Schedule, constants: Mapping[str, np.ndarray], *, steps_per_epoch: int, total_steps: int
) -> FactorFunction | None:
    """Return steps, int64 (S,) -> factors, float64 (S,); None where the rate is constant or follows a metric."""
    section = schedule.learning_rate_factor
    factor = section.build(constants) if section is not None else None
    if factor is None:
        return None
    with located("schedule", "learning_rate_factor"):
        # Evaluated once here, so that a formula's mistake is raised before a run directory exists.
        factor(np.asarray([0, total_steps], np.int64), steps_per_epoch=steps_per_epoch, total_steps=total_steps)
    return lambda steps: factor(steps, steps_per_epoch=steps_per_epoch, total_steps=total_steps)


def build_rules(stop: Stop, formula: Callable[[Any], Any] | None) -> Rules:
    """Return the rules that are tried after every update."""
    return Rules(
        loss_below=stop.loss_below,
        gradient_norm_below=stop.gradient_norm_below,
        parameter_change_below=stop.parameter_change_below,
        parameters_unchanged=stop.parameters_unchanged,
        formula=formula,
        non_finite=stop.non_finite,
    )


def build_patience(schedule: Schedule, watchable: tuple[str, ...]) -> Watch | None:
    """Return the patience rule, if there is one. `watchable` are the metrics that an epoch ends with."""
    rule = schedule.stop.patience
    if rule is None:
        return None
    _check_metric(rule.metric, watchable, ("schedule", "stop", "patience", "metric"))
    higher = higher_is_better(rule.metric) if rule.mode == "auto" else rule.mode == "max"
    return Watch(rule.metric, higher, rule.min_delta, rule.epochs, restore_best=rule.restore_best)


def build_plateau(schedule: Schedule, watchable: tuple[str, ...]) -> Watch | None:
    """Return the plateau factor as a rule, if there is one."""
    section = schedule.plateau
    if section is None:
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
