"""Batches and factors of `schedule:`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from gdrun.config.located import at_config_path, refuse
from gdrun.experiment.experiment import Experiment
from gdrun.formula import numpy_ops
from gdrun.formula.evaluate import Scope, evaluate
from gdrun.formula.parse import parse
from gdrun.formula.table import TABLE
from gdrun.optimizers.base import OptimizerSection
from gdrun.random_streams import RandomSource
from gdrun.schedules.batches import Batches
from gdrun.schedules.sections import Schedule

FactorFunction = Callable[[np.ndarray], np.ndarray]
MOST_TRIED_STEPS = 1_000_000
"""Steps at which conditions of groups are tried; of a longer run nothing is said."""


def build_batches(experiment: Experiment, num_examples: int | None, source: RandomSource) -> Batches | None:
    """Return the order of the examples; None where there is no data."""
    if num_examples is None:
        return None
    schedule = experiment.schedule
    with at_config_path("schedule", "batch_size"):
        return Batches(
            num_examples,
            schedule.batch_size,
            order=schedule.order,
            drop_remainder=schedule.drop_remainder,
            seed=experiment.seeds.batches,
            legacy_random=source.shared("batches"),
        )


def build_factor(
    schedule: Schedule, constants: Mapping[str, np.ndarray], *, steps_per_epoch: int, total_steps: int
) -> FactorFunction | None:
    """Return steps, int64 (S,) -> factors, float64 (S,); None where the rate is constant or follows a metric."""
    section = schedule.learning_rate_factor
    factor = section.build(constants) if section is not None else None
    if factor is None:
        return None
    with at_config_path("schedule", "learning_rate_factor"):
        # Evaluated once here, so that a formula's mistake is raised before a run directory exists.
        factor(np.asarray([0, total_steps], np.int64), steps_per_epoch=steps_per_epoch, total_steps=total_steps)
    return lambda steps: factor(steps, steps_per_epoch=steps_per_epoch, total_steps=total_steps)


def check_conditions(
    optimizer: OptimizerSection, constants: Mapping[str, np.ndarray], steps: np.ndarray, epochs: np.ndarray
) -> None:
    """Refuse a `when` of the optimizer's groups that is no truth value, or true at no step of the run or phase.

    Args:
        steps, epochs: of its updates, (S,); of none, or of too many, only the shape is looked at.
    """
    for place, formula in optimizer.conditions():
        expression, path = parse(formula), ("optimizer", *place)
        if any(TABLE[name].kind == "draw" for name in expression.functions if name in TABLE):
            continue  # what the run draws, only the run knows
        names = {**constants, "step": steps.astype(np.float64), "epoch": epochs.astype(np.float64)}
        with at_config_path(*path):
            value = evaluate(expression, Scope(names, ops=numpy_ops.table()), owner=".".join(map(str, path)))
        if np.shape(value) not in ((), steps.shape):
            raise refuse(f"a condition must be one value, this has shape {np.shape(value)}", path)
        if 0 < len(steps) <= MOST_TRIED_STEPS and not np.any(value):
            hint = f"step goes from {steps[0]} to {steps[-1]}; frozen: true leaves the parameters as they are"
            raise refuse("this is true at no step", path, hint)
