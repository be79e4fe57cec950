"""`optimizer:` -> an update rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, assert_never

import tensorflow as tf

from gdrun.config.custom import CustomOptimizer
from gdrun.config.located import located, refuse
from gdrun.engine.objective import Objective
from gdrun.errors import ConfigPath
from gdrun.experiment.experiment import Experiment
from gdrun.formula.parse import parse
from gdrun.optimizers import sections
from gdrun.optimizers.functional import Optimizer, combined, keras_optimizer
from gdrun.optimizers.levenberg_marquardt import LevenbergMarquardt
from gdrun.optimizers.local_objective import PointOptimizer
from gdrun.optimizers.second_order import GaussNewton, Newton
from gdrun.optimizers.update_rule import UpdateRule
from gdrun.suggest import did_you_mean

from .custom import build_custom_optimizer


def build_optimizer(
    section: Any, objective: Objective, varying: Mapping[str, tf.Tensor] = MappingProxyType({})
) -> Optimizer | PointOptimizer:
    """Return the optimizer of the config for the trainable parameters of `objective`.

    Args:
        varying: settings of `section` that differ between lanes, as scalar tensors; the optimizer is then for the trace
            that they belong to.
    """
    match section:
        case sections.KerasOptimizer():
            return _keras(section, objective.trainable_names, varying)
        case sections.UpdateRule():
            return UpdateRule(
                {name: parse(text) for name, text in section.update.items()},
                state={name: parse(text) for name, text in section.state.items()},
                settings={**section.settings, **{name: tf.cast(n, objective.dtype) for name, n in varying.items()}},
                constants=objective.constants,
                ops=objective.ops,
                parameter_names=objective.trainable_names,
            )
        case sections.Newton():
            return Newton(damping=section.damping)
        case sections.GaussNewton():
            return GaussNewton(damping=section.damping)
        case sections.LevenbergMarquardt():
            return LevenbergMarquardt(initial_damping=section.initial_damping, acceleration=section.acceleration)
        case CustomOptimizer():
            return build_custom_optimizer(section, objective)
        case _:
            assert_never(section)


def _keras(section: Any, names: Sequence[str], varying: Mapping[str, tf.Tensor]) -> Optimizer:
    moved = moved_groups(section, names)
    built = []
    for group in moved:
        settings = {name: value for name, value in group.section if name not in ("kind", "learning_rate", "groups")}
        with located(*group.path):
            mine = tuple(names[index] for index in group.indices)
            own = varying if group.section is section else {}
            built.append(keras_optimizer(group.section.kind, settings=settings, per_lane=own, parameter_names=mine))
    return built[0] if len(built) == 1 else combined([(g.indices, o) for g, o in zip(moved, built, strict=True)])


class Moved(NamedTuple):
    """Parameters that one optimizer moves."""

    indices: tuple[int, ...]
    """Among the trainable parameters."""
    section: Any
    """Of their optimizer, without regard to its own groups."""
    learning_rate: float
    path: ConfigPath


def moved_groups(section: Any, names: Sequence[str]) -> list[Moved]:
    """Return who moves which of the trainable parameters `names`: first those in no group, if there are any."""
    groups = getattr(section, "groups", ())
    members = [frozenset(_members(group.parameters, names)) for group in groups]
    rest = tuple(index for index, name in enumerate(names) if not any(name in member for member in members))
    moved = [Moved(rest, section, section.learning_rate, ("optimizer",))] if rest or not groups else []
    for position, (group, member) in enumerate(zip(groups, members, strict=True)):
        if group.frozen or not member:
            continue
        indices = tuple(index for index, name in enumerate(names) if name in member)
        if group.optimizer is None:
            moved.append(Moved(indices, section, group.learning_rate, ("optimizer",)))
        else:
            path = ("optimizer", "groups", position, "optimizer")
            moved.append(Moved(indices, group.optimizer, group.optimizer.learning_rate, path))
    return moved


def learning_rates(section: Any, names: Sequence[str]) -> float | list[float]:
    """Return the learning rate; where there are several groups, one for each of `moved_groups`."""
    rates = [group.learning_rate for group in moved_groups(section, names)]
    return rates[0] if len(rates) == 1 else rates


def frozen_names(section: Any, names: Sequence[str]) -> frozenset[str]:
    """Return which parameters the groups freeze.

    Args:
        names: of all parameters.
    Raises:
        ConfigError: a group names a parameter that is not there or that another group has.
    """
    taken: dict[str, int] = {}
    for position, group in enumerate(getattr(section, "groups", ())):
        for place, wanted in enumerate(group.parameters):
            path = ("optimizer", "groups", position, "parameters", place)
            found = _members((wanted,), names)
            if not found:
                hint = did_you_mean(wanted, names, allowed="there are")
                raise refuse(f"there is no parameter '{wanted}'", path, hint)
            for name in found:
                if taken.setdefault(name, position) != position:
                    raise refuse(f"'{name}' is in two groups", path, "a parameter belongs to one group at most")
    frozen = [group.frozen for group in getattr(section, "groups", ())]
    return frozenset(name for name, position in taken.items() if frozen[position])


def _members(wanted: Sequence[str], names: Sequence[str]) -> list[str]:
    """The parameters that a group's names stand for: "dense1" is dense1.kernel and dense1.bias."""
    return [name for name in names if any(name == one or name.startswith(f"{one}.") for one in wanted)]


def optimizer_warnings(experiment: Experiment) -> tuple[str, ...]:
    """Return what the user should know about the optimizer."""
    if isinstance(experiment.optimizer, sections.LevenbergMarquardt) and experiment.precision == "float32":
        return ("levenberg_marquardt in float32 ends with few digits; precision: float64 gives it all of them",)
    return ()


def needs_residuals(section: Any) -> bool:
    """Whether the optimizer works on residuals instead of the loss."""
    return isinstance(section, sections.GaussNewton | sections.LevenbergMarquardt)


def hides_gradients(section: Any) -> bool:
    """Whether an infinite gradient may give finite parameters, so that it must be looked for."""
    if not isinstance(section, sections.KerasOptimizer):
        return True
    others = [group.optimizer for group in section.groups if group.optimizer is not None]
    hides = section.kind in ("lion", "muon", "adafactor") or section.clipvalue is not None  # type: ignore[attr-defined]
    # An accumulated gradient moves nothing until the last of its steps.
    hides = hides or section.gradient_accumulation_steps is not None
    return hides or any(map(hides_gradients, others))
