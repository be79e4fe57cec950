"""Reasons why a formula of an experiment has no derivative by one of its names."""

from __future__ import annotations

from typing import Any

from gdrun.engine.objective import Objective
from gdrun.experiment.experiment import Experiment
from gdrun.formula.nodes import Expression
from gdrun.formula.parse import parse
from gdrun.formula.unconnected import NO_WAY, reason

LOSS = "loss"


def unconnected_reason(
    experiment: Experiment, objective: Objective, name: str, target: Expression | None = None
) -> str:
    """Return why `target`, default the loss, has no derivative by `name`, in words."""
    definitions: dict[str, Any] = dict(objective.definitions)
    outputs = experiment.model.output_formulas()
    if outputs:
        definitions |= {output: parse(text) for output, text in outputs.items()}
        definitions.setdefault("prediction", parse(next(iter(outputs))))
    definitions[LOSS] = parse(next(iter(experiment.objective_loss.formulas().values()), "prediction"))
    definitions.pop(name, None)
    why = reason(name, parse(LOSS) if target is None else target, definitions)
    # A network's prediction depends on names that no formula says.
    return why if outputs or "depend" not in why else NO_WAY
