"""Settings of an optimizer that do not go together, or not with the rest of the config."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gdrun.errors import ConfigPath, Problem
from gdrun.formula.parse import Expression
from gdrun.optimizers.update_rule import RULE_NAMES
from gdrun.suggest import did_you_mean

from .formula_names import Names, kind, mapping

Expressions = Mapping[ConfigPath, Expression]
"""The formulas of a config by place."""


_SQUARES = ("squared_error", "mse", "sse", "half_mse", "half_sse")


def optimizer_problems(config: Mapping[str, Any], names: Names, expressions: Expressions) -> Iterator[Problem]:
    """Yield what does not go together in `optimizer`, without places."""
    which = kind(config.get("optimizer"))
    if which == "formula" and isinstance(config["optimizer"], Mapping):
        yield from _rule_names(config)
        yield from _rule_lines(config, expressions)
    if which in ("gauss_newton", "levenberg_marquardt"):
        yield from _residuals(config, names, which)
    if which == "levenberg_marquardt":
        yield from _trials(config)
    yield from _groups(config, names)


def _groups(config: Mapping[str, Any], names: Names) -> Iterator[Problem]:
    """Groups of parameters that there are not; where layers name them, only building tells."""
    groups = mapping(config.get("optimizer")).get("groups")
    if names.parameters is None:
        return
    for position, group in enumerate(groups if isinstance(groups, list | tuple) else ()):
        wanted = mapping(group).get("parameters")
        for place, name in enumerate(wanted if isinstance(wanted, list | tuple) else ()):
            if isinstance(name, str) and name not in names.parameters:
                hint = did_you_mean(name, names.parameters, allowed="there are")
                yield Problem(
                    f"there is no parameter '{name}'", ("optimizer", "groups", position, "parameters", place), hint
                )


def _residuals(config: Mapping[str, Any], names: Names, which: str) -> Iterator[Problem]:
    """A loss that is no sum of squares."""
    loss = config.get("loss")
    if loss is None and not names.has_target:
        section = config["optimizer"]
        path: ConfigPath = ("optimizer", "kind") if isinstance(section, Mapping) else ("optimizer",)
        yield Problem(
            f"{which} fits a prediction to a target, but there is none", path, "kind: newton minimises any loss"
        )
    if loss is not None and kind(loss) not in (*_SQUARES, None):
        hint = "loss: mse or sse, with factor: 0.5 for the half variants; kind: newton minimises any loss"
        path = ("loss", "kind") if isinstance(loss, Mapping) else ("loss",)
        yield Problem(f"{which} needs squared errors, {kind(loss)} has none", path, hint)
    section = mapping(loss)
    factor = section.get("factor")
    if kind(loss) in _SQUARES and isinstance(factor, int | float) and factor <= 0:
        yield Problem(f"{which} minimises squares; factor must be positive", ("loss", "factor"))
    if mapping(section.get("penalty")).get("l1"):
        yield Problem(
            f"{which} needs squares; an l1 penalty has none", ("loss", "penalty", "l1"), "l2 is possible", key=True
        )


def _trials(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Settings of the schedule that make no sense where each update is a trial."""
    schedule = mapping(config.get("schedule"))
    if schedule.get("batch_size") is not None:
        yield Problem(
            "levenberg_marquardt compares the loss before and after each step; it needs all examples in each update",
            ("schedule", "batch_size"),
            "leave batch_size out",
            key=True,
        )
    if schedule.get("learning_rate_factor") is not None:
        yield Problem(
            "levenberg_marquardt has no learning rate",
            ("schedule", "learning_rate_factor"),
            "its damping adapts",
            key=True,
        )


def _rule_names(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Names of a rule that are taken."""
    rule = mapping(config["optimizer"])
    seen = dict.fromkeys(mapping(config.get("constants")), "a constant of this config")
    seen |= dict.fromkeys(RULE_NAMES, "has a meaning of its own in update rules")
    for section in ("settings", "state", "update"):
        for name in mapping(rule.get(section)):
            what = seen.get(name)
            assigns = section == "update" and (name == "parameter" or name in mapping(rule.get("state")))
            if what is not None and not assigns:
                what = what if what.startswith("has") else f"is {what}"
                yield Problem(f"'{name}' {what}", ("optimizer", section, name), "give it another name", key=True)
            seen.setdefault(name, f"one of {section}")


def _rule_lines(config: Mapping[str, Any], expressions: Expressions) -> Iterator[Problem]:
    """State that never changes, lines that nothing uses, a learning rate that is missing or not used."""
    rule = mapping(config["optimizer"])
    update, state = mapping(rule.get("update")), mapping(rule.get("state"))
    lines = {
        name: expressions[("optimizer", "update", name)]
        for name in update
        if ("optimizer", "update", name) in expressions
    }
    for name in state:
        if name not in update:
            hint = f"add a line: {name}: ...; a number that stays the same belongs to settings"
            yield Problem(f"no line of update gives '{name}' a new value", ("optimizer", "state", name), hint, key=True)
    for position, name in enumerate(update):
        below = list(update)[position + 1 :]
        if name not in ("parameter", *state, *RULE_NAMES) and not any(
            name in lines[line].names for line in below if line in lines
        ):
            hint = f"state: {{{name}: 0}} keeps it for the next update"
            yield Problem(f"no line below uses '{name}'", ("optimizer", "update", name), hint, key=True)
    uses_rate = any("learning_rate" in line.names for line in lines.values())
    if uses_rate and rule.get("learning_rate") is None:
        first = next(name for name, line in lines.items() if "learning_rate" in line.names)
        yield Problem(
            "this line uses learning_rate, which is not given",
            ("optimizer", "update", first),
            "optimizer.learning_rate: 0.1",
        )
    if (
        not uses_rate
        and len(lines) == len(update)
        and mapping(config.get("schedule")).get("learning_rate_factor") is not None
    ):
        yield Problem(
            "the learning rate has a factor, but no line of update uses learning_rate",
            ("schedule", "learning_rate_factor"),
            key=True,
        )
