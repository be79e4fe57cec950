"""What the text of a config shows beyond each value's own form: names in formulas, settings that do not go together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from gdrun.config.section import MAX_LISTED_FORMULAS, num_texts, read_formula
from gdrun.config.source import Node
from gdrun.errors import ConfigPath, FormulaError, Problem
from gdrun.formula.parse import Expression, check_names
from gdrun.formula.table import TABLE

from .formula_names import Names, Use, kind, mapping, names_of, uses

MAX_PROBLEMS = 50
"""Suggestions take time, and nobody reads more."""
MAX_UNKNOWN = 10
"""In one formula."""
MAX_FORMULAS = 3000
"""No config that is right otherwise has more."""

_IN_ORDER = {"constants": "constants", "define": "definitions", "data": "inputs", "optimizer": "lines"}
"""What is evaluated in order, in words."""

GIVEN_WHILE_RUNNING = ("loss", "gradient_norm", "learning_rate")
"""What record and stop formulas see; a name of the config's own would be hidden by them."""


def check(root: Node) -> list[Problem]:
    """Return the problems of the config `root`, without places. Works on configs that are wrong elsewhere, too."""
    from .cross_checks import settings_problems

    config = mapping(root.plain())
    names = names_of(config)
    read: list[tuple[Use, Expression]] = []
    for use in islice(uses(config, names), MAX_FORMULAS):
        expression = _read(use.formula)
        if expression is not None:
            read.append((use, expression))
    used = frozenset().union(*(expression.names | expression.functions for _, expression in read))
    found = chain(
        (problem for use, expression in read for problem in _name_problems(use, expression)),
        _hidden_names(names, read),
        _clashes(config),
        _unused(config, names, read, used),
        settings_problems(config, names, {use.path: expression for use, expression in read}),
        _sweep(root, names),
    )
    return list(islice(found, MAX_PROBLEMS))


def _sweep(root: Node, names: Names) -> list[Problem]:
    """What is wrong with a sweep and what is expected of it; only a config that has one imports what knows."""
    expect = root.child("expect")
    if root.child("sweep") is None and (expect is None or expect.child("trials") is None):
        return []
    from .sweep_check import sweep_problems

    return sweep_problems(root, names)


def _read(formula: Any) -> Expression | None:
    """The formula, if it is one that has names; what cannot be read is told by the schema."""
    if not 1 <= num_texts(formula) <= MAX_LISTED_FORMULAS:
        return None
    try:
        return read_formula(formula)
    except FormulaError:
        return None


def _name_problems(use: Use, expression: Expression) -> Iterator[Problem]:
    if use.names is None:
        return
    # Only what is unknown, and not all of it: each suggestion takes time.
    names = tuple(name for name in expression.names_at if name[0] not in use.names and name[0] != "pi")[:MAX_UNKNOWN]
    calls = tuple(call for call in expression.calls_at if call[0] not in TABLE and call[0] not in use.callables)
    if not names and not calls:
        return
    unknown = replace(expression, names_at=names, calls_at=calls[:MAX_UNKNOWN])
    for error in check_names(unknown, use.names, use.callables):
        problem = error.problem(use.path)
        early = next((name for name in use.later if error.message == f"unknown name '{name}'"), None)
        if early is not None:
            itself = early == use.path[-1] or (len(use.path) > 1 and early == use.path[1])
            yield Problem(
                f"'{early}' is defined by itself" if itself else f"'{early}' is not known yet",
                problem.path,
                None if itself else f"{_IN_ORDER[str(use.path[0])]} are evaluated in order; move '{early}' above this",
                problem.offset,
                problem.length,
            )
        else:
            yield problem


def _hidden_names(names: Names, read: list[tuple[Use, Expression]]) -> Iterator[Problem]:
    """A record or stop formula that uses `loss` where the config gives that name to something else."""
    own = {*names.constants, *(names.inputs or ()), *(names.parameters or ()), *names.definitions, *names.outputs}
    for use, expression in read:
        if use.path[0] in ("record", "schedule", "metrics", "gradients"):
            for name, offset, length in expression.names_at:
                if name in own and name in GIVEN_WHILE_RUNNING and not expression.elements:
                    yield Problem(
                        f"'{name}' could be the run's own or the one that this config defines",
                        use.path,
                        "give the config's own another name",
                        offset,
                        length,
                    )


def _given(config: Mapping[str, Any]) -> Iterator[tuple[str, ConfigPath]]:
    """Every name that formulas see, with the place that gives it."""
    data, model = mapping(config.get("data")), mapping(config.get("model"))
    sections: list[tuple[ConfigPath, Any]] = [
        (("constants",), config.get("constants")),
        (("data", "inputs"), data.get("inputs")),
        (("define",), config.get("define")),
    ]
    if kind(model) == "formula":
        sections += [
            (("model", "parameters"), model.get("parameters")),
            (("model", "networks"), model.get("networks")),
            (("model", "formula"), model.get("formula")),
        ]
    for path, section in sections:
        for name in mapping(section):
            yield name, (*path, name)


def _clashes(config: Mapping[str, Any]) -> Iterator[Problem]:
    seen: dict[str, ConfigPath] = {}
    for name, path in _given(config):
        if name in seen:
            there = ".".join(map(str, seen[name]))
            yield Problem(f"the name '{name}' is taken by {there}", path, "give one of them another name", key=True)
        seen.setdefault(name, path)
    for loop, value in mapping(config.get("define")).items():
        for name in mapping(mapping(value).get("define")):
            if name in seen:
                there = ".".join(map(str, seen[name]))
                place = ("define", loop, "define", name)
                yield Problem(
                    f"the name '{name}' is taken by {there}", place, "give one of them another name", key=True
                )


def _unused(
    config: Mapping[str, Any], names: Names, read: list[tuple[Use, Expression]], used: frozenset[str]
) -> Iterator[Problem]:
    """Parameters that the loss cannot depend on, networks that are never called, nothing to train."""
    model = mapping(config.get("model"))
    if kind(model) != "formula":
        return
    parameters = mapping(model.get("parameters"))
    trained = [
        name
        for name, value in parameters.items()
        if not (isinstance(value, Mapping) and value.get("trainable") is False)
    ]
    if not trained and not names.networks:
        place: ConfigPath = ("model", "parameters") if "parameters" in model else ("model",)
        yield Problem("the model has no parameter to train", place, "model.parameters: {a: 1.0}", key=True)
    for name in names.networks:
        if name not in used:
            yield Problem(
                f"network '{name}' is never called", ("model", "networks", name), f"call it: {name}(x)", key=True
            )
    penalty = mapping(mapping(config.get("loss")).get("penalty"))
    if penalty or not any(use.path[:2] == ("model", "formula") for use, _ in read):
        return
    of_loss = [
        expression.names for use, expression in read if use.path[0] in ("define", "loss") or use.path[1] == "formula"
    ]
    reached = frozenset().union(*of_loss)
    for name in trained:
        if name not in reached:
            yield Problem(
                f"parameter '{name}' gets no gradient: the loss does not depend on it",
                ("model", "parameters", name),
                "use it in a formula, or set trainable: false",
                key=True,
            )
