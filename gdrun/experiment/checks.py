"""Checks between the sections of an experiment, each of which is right by itself.

A section checks its own settings (`problems`, `uses`); the checks here concern several sections. Problems have paths
and no places.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice

import numpy as np

from gdrun.config.name_scopes import ConfigNames, Use
from gdrun.config.section import MAX_LISTED_FORMULAS, num_texts
from gdrun.config.source import Node
from gdrun.errors import ConfigPath, FormulaError, Problem
from gdrun.formula.nodes import FunctionDefinition, NamedCallNode, walk
from gdrun.formula.parse import Expression, check_names, parse
from gdrun.formula.table import TABLE
from gdrun.suggest import unknown

from .experiment import Experiment, RepeatedDefinition, Seeds
from .formulas import GIVEN_WHILE_RUNNING, names_of, uses
from .sweep_check import sweep_problems

MAX_PROBLEMS = 50
"""Suggestions take time, and no reader needs more at once."""
MAX_UNKNOWN = 10
"""Unknown names in one formula."""
MAX_FORMULAS = 3000
"""No config that is right otherwise has more."""

_IN_ORDER = {"constants": "constants", "define": "definitions", "data": "inputs", "optimizer": "lines"}
"""Section -> the word for its entries, which are evaluated in order."""

_ROW = ("loss", "loss_before", "loss_epoch", "gradient_norm", "learning_rate", "step", "epoch", "seconds")
"""Columns of every row."""


def check(experiment: Experiment, root: Node, *, is_whole: bool = True) -> list[Problem]:
    """Return the problems of `experiment`, which was read from `root`.

    Args:
        is_whole: False for a later phase of one, which is not swept by itself.
    """
    names = names_of(experiment)
    parsed: list[tuple[Use, Expression]] = []
    for use in islice(uses(experiment), MAX_FORMULAS):
        # Formulas that are only numbers have no names.
        if 1 <= num_texts(use.formula) <= MAX_LISTED_FORMULAS:
            parsed.append((use, parse(use.formula)))
    of_names = [problem for use, expression in parsed for problem in _call_problems(use, expression, names.functions)]
    of_names += [problem for use, expression in parsed for problem in _name_problems(use, expression, names, root)]
    used, reached = _used_names(experiment, parsed)
    if any(problem.path[0] in ("define", "loss", "model") for problem in of_names):
        reached = None  # a name that is misspelt there may stand for any parameter
    problems = chain(
        of_names,
        _hidden_names(names, parsed),
        _clashes(experiment),
        _seeds(experiment),
        experiment.model.problems(used, reached, trains=experiment.optimizer.trains),
        _data(experiment),
        _loss(experiment, names, {use.path: expression for use, expression in parsed}),
        _metrics(experiment, names),
        _schedule(experiment),
        experiment.optimizer.problems(experiment, names),
        _rates(experiment, names),
        _parameters(experiment, names),
        _expect(experiment, names, root),
        sweep_problems(experiment, root, names.parameters) if is_whole else (),
    )
    return list(islice(problems, MAX_PROBLEMS))


def _seeds(experiment: Experiment) -> Iterator[Problem]:
    if experiment.random == "legacy" and isinstance(experiment.seed, Seeds):
        why = "random: legacy draws everything from one state, which has one seed"
        yield Problem(why, ("seed",), "give seed one number, or take random: streams")


def _name_problems(use: Use, expression: Expression, known: ConfigNames, root: Node) -> Iterator[Problem]:
    if use.names is None:
        return
    # Only unknown names, and not all of them: each suggestion takes time.
    usual = (*use.names, "pi")
    names = tuple(
        name for name in expression.names_at if name[0] not in usual and not _may_be_of_a_layer(name[0], use, known)
    )[:MAX_UNKNOWN]
    calls = tuple(call for call in expression.calls_at if call[0] not in TABLE and call[0] not in use.callables)
    if not names and not calls:
        return
    unknown = replace(expression, names_at=names, calls_at=calls[:MAX_UNKNOWN])
    for error in check_names(unknown, use.names, use.callables):
        problem = error.problem(use.path)
        if use.key:
            problem = replace(problem, offset=None, length=None, key=True)

        def is_unknown(name: str, message: str = error.message) -> bool:
            return message.startswith("unknown ") and f"'{name}'" in message

        early = next(filter(is_unknown, use.later), None)
        defined = next(filter(is_unknown, (*known.definitions, *known.functions)), None)
        if early is None and defined is not None and use.path[0] in ("constants", "data"):
            message = f"'{defined}' is a line of define, which {use.path[0]} cannot use"
            hint = "they are evaluated once, before the first step; write the formula itself here"
            yield replace(problem, message=message, hint=hint)
        elif early is None:
            yield problem
        elif early in (str(step).partition("(")[0] for step in use.path[1:]):
            yield replace(problem, message=f"'{early}' is defined by itself", hint=None)
        else:
            hint = f"{_IN_ORDER[str(use.path[0])]} are evaluated in order; move '{early}' above this"
            here, there = root.at(use.path), root.at((*use.path[:-1], early))
            if here is not None and there is not None and here.span.source.name != there.span.source.name:
                hint = (
                    f"this line is inherited; in {there.span.source.name} write '{early}' and below it '{use.path[-1]}'"
                )
            yield replace(problem, message=f"'{early}' is not known yet", hint=hint)


def _may_be_of_a_layer(name: str, use: Use, known: ConfigNames) -> bool:
    """Return whether `name` may be a parameter, dense1.kernel, of a model whose parameters only building shows."""
    owner, dot, _ = name.partition(".")
    if not dot or known.parameters is not None or use.path[0] in ("constants", "data", "optimizer"):
        return False
    return owner in known.networks if known.networks else owner not in (use.names or ())


def _call_problems(use: Use, expression: Expression, functions: Mapping[str, FunctionDefinition]) -> Iterator[Problem]:
    """Yield calls of the config's own functions whose arguments do not fit, and networks that are given keywords."""
    for node in walk(expression.root) if functions or use.callables else ():
        if isinstance(node, NamedCallNode) and node.name in use.callables:
            try:
                if node.name in functions:
                    functions[node.name].pair(node)
                elif unknown_keys := [key for key, _ in node.keywords if key != "weights"]:
                    message = f"a network has no argument '{unknown_keys[0]}'"
                    hint = f"{node.name}(x, weights=...) calls it with other weights, a vector"
                    raise FormulaError(message, offset=node.offset, length=node.length, hint=hint)
            except FormulaError as error:
                path, error.offset = expression.locate(error.offset or 0)
                yield error.problem((*use.path, *path))


def _hidden_names(names: ConfigNames, parsed: list[tuple[Use, Expression]]) -> Iterator[Problem]:
    """Yield record and stop formulas that use `loss` where the config gives that name to something else."""
    own = {*names.constants, *(names.inputs or ()), *(names.parameters or ()), *names.definitions, *names.outputs}
    for use, expression in parsed:
        if use.path[0] in ("record", "schedule", "metrics", "gradients"):
            for name, offset, length in expression.names_at:
                if name in own and name in GIVEN_WHILE_RUNNING and not expression.elements:
                    message = f"'{name}' could be the run's own or the one that this config defines"
                    yield Problem(message, use.path, "give the config's own another name", offset, length)


def _clashes(experiment: Experiment) -> Iterator[Problem]:
    """Yield names that are given twice, of all that formulas see."""
    data, model = experiment.data, experiment.model
    sections: list[tuple[ConfigPath, Iterable[str]]] = [
        (("constants",), experiment.constants),
        (("data", "inputs"), (data.input_names() or ()) if data is not None else ()),
        (("data", "derived"), data.derived if data is not None else ()),
        (("define",), experiment.define),
        *model.given_names().items(),
        *(
            (("define", name, "define"), loop.define)
            for name, loop in experiment.define.items()
            if isinstance(loop, RepeatedDefinition)
        ),
    ]
    owner: dict[str, ConfigPath] = {}
    for path, names in sections:
        is_loop = len(path) == 3 and path[0] == "define"
        for key in names:
            name = key.partition("(")[0]
            if name in owner:
                there = ".".join(map(str, owner[name]))
                hint = "give one of them another name"
                yield Problem(f"the name '{name}' is taken by {there}", (*path, key), hint, key=True)
            elif not is_loop:
                # Names within a loop are its own: another loop may have the same.
                owner[name] = (*path, name)


def _used_names(
    experiment: Experiment, parsed: list[tuple[Use, Expression]]
) -> tuple[frozenset[str], frozenset[str] | None]:
    """Return all names in formulas, and those that the loss may depend on; None where the formulas do not show it."""
    used = frozenset().union(*(expression.names | expression.functions for _, expression in parsed))
    if experiment.objective_loss.penalty is not None or not any(
        use.path[:2] == ("model", "formula") for use, _ in parsed
    ):
        return used, None
    of_loss = [
        expression.names for use, expression in parsed if use.path[0] in ("define", "loss") or use.path[1] == "formula"
    ]
    section = experiment.gradients
    by_hand = section.of.keys() if section is not None and section.use else ()
    return used, frozenset(by_hand).union(*of_loss)


def _data(experiment: Experiment) -> Iterator[Problem]:
    data, model = experiment.data, experiment.model
    if data is None:
        if model.needs_data:
            hint = "add data:, or use kind: formula"
            yield Problem(f"a model of kind {model.kind} needs data", ("model", "kind"), hint)
        return
    yield from data.problems()


def _loss(
    experiment: Experiment, names: ConfigNames, expressions: Mapping[ConfigPath, Expression]
) -> Iterator[Problem]:
    def is_used(name: str) -> bool:
        return any(name in expression.names for path, expression in expressions.items() if path[0] != "data")

    loss, outputs = experiment.objective_loss, ", ".join(names.outputs)
    is_default = experiment.loss is None
    path: ConfigPath = ("model", "formula") if is_default else ("loss", "kind")
    if loss.compares and not names.has_target:
        why = "there is no data" if experiment.data is None else "data has no target"
        hint = "add data.target, or use loss: output, which minimises the model's own value"
        yield Problem(f"{loss.kind} compares predictions with a target, but {why}", path, hint)
    if not loss.weighs_examples and names.has_weights and not is_used("example_weights"):
        message = f"the weights of data do not reach a loss of kind {loss.kind}"
        hint = "formulas see them as example_weights: mean(example_weights * (prediction - target)**2)"
        yield Problem(message, path, hint, key=is_default)
    if loss.compares and len(names.outputs) > 1:
        message = f"this loss takes one prediction, the model has several outputs: {outputs}"
        yield Problem(message, path, "write the loss as a formula of them", key=is_default)
    if loss.is_the_models_output:
        if names.has_target and not experiment.metrics and not is_used("target"):
            message = "loss: output minimises the model's own value; the target of data is not used"
            # Some kinds of data always have one.
            is_written = experiment.data is not None and "target" in type(experiment.data).model_fields
            mend = "take target away" if is_written else "let a metric or a formula use it"
            yield Problem(message, path, f"use loss: mse, or {mend}")
        if len(names.outputs) > 1:
            message = f"the model has several outputs: {outputs}"
            yield Problem(message, path, "write the loss as a formula of them", key=is_default)


def _metrics(experiment: Experiment, names: ConfigNames) -> Iterator[Problem]:
    seen: set[str] = set()
    for position, metric in enumerate(experiment.metrics):
        path: ConfigPath = ("metrics", position)
        name = metric.name
        if metric.compares and not names.has_target:
            yield Problem(f"the metric {name} compares predictions with a target, but there is none", path)
        elif metric.compares and len(names.outputs) > 1:
            outputs = ", ".join(names.outputs)
            hint = "write the metric as a formula: {name: ..., formula: ...}"
            message = f"the metric {name} takes one prediction, the model has several outputs: {outputs}"
            yield Problem(message, path, hint)
        if name in seen:
            yield Problem(f"the metric '{name}' is here twice", path)
        seen.add(name)


def _schedule(experiment: Experiment) -> Iterator[Problem]:
    schedule, data = experiment.schedule, experiment.data
    for key in ("batch_size", "order"):
        if data is None and getattr(schedule, key) is not None:
            yield Problem(f"{key} is about examples, but there is no data", ("schedule", key), key=True)
    size, examples = schedule.batch_size, None if data is None else data.num_training_examples()
    watchable = list(experiment.computed_names)
    if size is not None and examples is None:
        watchable.append("loss_epoch")
    elif size is not None and examples is not None:
        # An epoch of one step has no loss of its own.
        watchable[0] = (
            "loss_epoch" if (examples if schedule.drop_remainder else examples + size - 1) // size > 1 else "loss"
        )
    yield from experiment.watch_problems(watchable)


def _rates(experiment: Experiment, names: ConfigNames) -> Iterator[Problem]:
    """Yield learning rates that are 0 or infinite in the run's precision, and not as written."""
    dtype = np.dtype(experiment.precision)
    for moved in experiment.optimizer.moved(names.parameters or ()):
        with np.errstate(over="ignore", under="ignore"):
            rate = np.asarray(moved.learning_rate, np.float64).astype(dtype)
        if moved.learning_rate and not (np.isfinite(rate) and rate):
            became = "infinite" if rate else "0"
            message = f"the learning rate {moved.learning_rate:g} is {became} in {experiment.precision}"
            yield Problem(message, ("optimizer", *moved.within, "learning_rate"), "precision: float64 has such numbers")


def _parameters(experiment: Experiment, names: ConfigNames) -> Iterator[Problem]:
    """Yield names of parameters that the model does not have."""
    if names.parameters is None:
        return
    penalty = experiment.objective_loss.penalty
    for problem in penalty.problems(names.parameters) if penalty is not None else ():
        yield replace(problem, path=("loss", "penalty", *problem.path))
    if experiment.gradients is not None:
        yield from experiment.gradients.problems(names.parameters)
    for section, expected in (("parameters", experiment.expect.parameters), ("gradients", experiment.expect.gradients)):
        for name in expected:
            yield from _unknown_in(name, names.parameters, "parameter", ("expect", section, name))


def _unknown_in(key: str, names: Iterable[str], what: str, path: ConfigPath) -> Iterator[Problem]:
    """Yield the unknown names in a key of `expect`, which is a name or a formula of names, W[0, 1]."""
    names = list(names)
    try:
        used = {key} if key in names else parse(key).names - {"pi"}
    except FormulaError as error:
        yield replace(error.problem(path), offset=None, length=None, key=True)
        return
    for name in sorted(used):
        yield from unknown(what, name, names, path)


def _expect(experiment: Experiment, names: ConfigNames, root: Node) -> Iterator[Problem]:
    expect, record = experiment.expect, experiment.record
    for name in expect.metrics:
        yield from experiment.metric_problems(
            name, ("expect", "metrics", name), key=True, computed=[*experiment.computed_names, "loss_epoch"]
        )
    if names.parameters is not None:
        columns = [*_ROW, *experiment.computed_names, *names.parameters, *record.formulas, *record.after, *record.means]
        for position, row in enumerate(expect.trace):
            path: ConfigPath = ("expect", "trace", position)
            node = root.at((*path, "values"))
            for name in row.values:
                if "." not in name:
                    yield from _unknown_in(name, columns, "column", (*path, *(("values",) if node else ()), name))
    if expect.predictions is not None and names.inputs is not None:
        for name in expect.predictions.inputs:
            yield from unknown("input", name, names.inputs, ("expect", "predictions", name))
