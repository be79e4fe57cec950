"""Checks between the sections of an experiment, each of which is right by itself.

A section checks its own settings (`problems`, `uses`); the checks here concern several sections. Problems have paths
and no places.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from typing import Any

from gdrun.config.names import MOMENT, ConfigNames, Use, in_order
from gdrun.config.section import MAX_LISTED_FORMULAS, num_texts, read_formula
from gdrun.config.source import Node
from gdrun.data import DataSection
from gdrun.errors import ConfigPath, FormulaError, Problem
from gdrun.formula.nodes import FunctionDefinition, NamedCallNode, walk
from gdrun.formula.parse import Expression, check_names
from gdrun.formula.table import TABLE
from gdrun.suggest import did_you_mean

from .experiment import Experiment, RepeatedDefinition, is_function
from .sweep_check import sweep_problems

MAX_PROBLEMS = 50
"""Suggestions take time, and no reader needs more at once."""
MAX_UNKNOWN = 10
"""Unknown names in one formula."""
MAX_FORMULAS = 3000
"""No config that is right otherwise has more."""

_IN_ORDER = {"constants": "constants", "define": "definitions", "data": "inputs", "optimizer": "lines"}
"""Section -> the word for its entries, which are evaluated in order."""

GIVEN_WHILE_RUNNING = ("loss", "gradient_norm", "learning_rate")
"""Names of running values in record and stop formulas; they would hide the same names of the config."""

_ROW = ("loss", "loss_before", "loss_epoch", "gradient_norm", "learning_rate", "step", "epoch", "seconds")
"""Columns of every row."""


def check(experiment: Experiment, root: Node) -> list[Problem]:
    """Return the problems of `experiment`, which was read from `root`."""
    names = names_of(experiment)
    parsed: list[tuple[Use, Expression]] = []
    for use in islice(uses(experiment, names), MAX_FORMULAS):
        # Formulas that are only numbers have no names.
        if 1 <= num_texts(use.formula) <= MAX_LISTED_FORMULAS:
            parsed.append((use, read_formula(use.formula)))
    of_names = [problem for use, expression in parsed for problem in _call_problems(use, expression, names.functions)]
    of_names += [problem for use, expression in parsed for problem in _name_problems(use, expression, names, root)]
    used, reached = _used_names(experiment, parsed)
    if any(problem.path[0] in ("define", "loss", "model") for problem in of_names):
        reached = None  # a name that is misspelt there may stand for any parameter
    problems = chain(
        of_names,
        _hidden_names(names, parsed),
        _clashes(experiment),
        experiment.model.problems(used, reached),
        _data(experiment),
        _loss(experiment, names, {use.path: expression for use, expression in parsed}),
        _metrics(experiment, names),
        _schedule(experiment),
        experiment.optimizer.problems(experiment, names),
        _parameters(experiment, names),
        _expect(experiment, names, root),
        sweep_problems(experiment, root, names.parameters),
    )
    return list(islice(problems, MAX_PROBLEMS))


def names_of(experiment: Experiment) -> ConfigNames:
    """Return the names that an experiment gives to things."""
    data, model = experiment.data, experiment.model
    return ConfigNames(
        constants=tuple(experiment.constants),
        inputs=() if data is None else data.input_names(),
        has_target=data is not None and data.has_target,
        has_weights=data is not None and data.has_weights,
        definitions=tuple(key for key in experiment.define if not is_function(key)),
        parameters=model.parameter_names(),
        parameters_in_formulas=model.parameters_in_formulas(),
        networks=model.network_names(),
        functions=experiment.functions(),
        outputs=model.output_names(),
    )


def uses(experiment: Experiment, names: ConfigNames) -> Iterator[Use]:
    """Yield every formula of an experiment with the names that it may use."""
    yield from in_order(("constants",), experiment.constants, ())
    data = experiment.data
    if data is not None:
        yield from data.uses(("data",), names)
        if isinstance(data.validation, DataSection):
            inherited = {(*use.path, str(use.formula)) for use in data.uses(("data", "validation"), names)}
            for use in data.validation.uses(("data", "validation"), names):
                if (*use.path, str(use.formula)) not in inherited:
                    yield use
    yield from experiment.model.uses(names)
    yield from _define(experiment.define, names)
    for key, formula in experiment.loss.formulas().items() if experiment.loss is not None else ():
        yield Use.of_examples(("loss", key), formula, names, *names.prediction)
    for position, metric in enumerate(experiment.metrics):
        formula = getattr(metric, "formula", None)
        yield Use.of_examples(("metrics", position, "formula"), formula, names, *names.prediction, "loss")
    record = experiment.record
    for name, formula in record.formulas.items():
        yield Use.of_examples(("record", "formulas", name), formula, names, *names.prediction, *GIVEN_WHILE_RUNNING)
    for name, formula in record.after.items():
        yield Use.of_examples(("record", "after", name), formula, names, *names.prediction, "loss")
    for name, formula in experiment.gradients.of.items() if experiment.gradients is not None else ():
        yield Use.of_examples(("gradients", "of", name), formula, names, *names.prediction, "loss")
    schedule = experiment.schedule
    stop: ConfigPath = ("schedule", "stop", "formula")
    yield Use.of_examples(stop, schedule.stop.formula, names, *names.prediction, "loss", "gradient_norm")
    factor = schedule.learning_rate_factor
    for formula in factor.formulas() if factor is not None else ():
        yield Use(("schedule", "learning_rate_factor", "formula"), formula, (*names.constants, *MOMENT))
    yield from experiment.optimizer.uses(names.constants)


def _define(define: Mapping[str, Any], names: ConfigNames) -> Iterator[Use]:
    everything = tuple(key.partition("(")[0] for key in define)
    by_key = {function.key: function for function in names.functions.values()}
    for position, (name, value) in enumerate(define.items()):
        later, above = everything[position:], everything[:position]
        usual = names.in_formulas
        values = tuple(other for other in above if other not in names.functions)
        visible = None if usual is None else (*usual, *values, *names.prediction)
        callables = (*names.networks, *(other for other in above if other in names.functions))
        if name in by_key:
            for default in by_key[name].defaults.values():
                yield Use(("define", name), default.text, visible, callables, later, key=True)
            visible = None if visible is None else (*visible, *by_key[name].parameters)
        if not isinstance(value, RepeatedDefinition):
            yield Use(("define", name), value, visible, callables, later)
            continue
        yield Use(("define", name, "start"), value.start, visible, callables, later)
        inner = None if visible is None else (*visible, name, "i")
        own = tuple(value.define)
        for place, (key, formula) in enumerate(value.define.items()):
            known = None if inner is None else (*inner, *own[:place])
            yield Use(("define", name, "define", key), formula, known, callables, (*own[place:], *later[1:]))
        inner = None if inner is None else (*inner, *own)
        for key, formula in (("repeat", value.repeat), ("while", value.while_)):
            yield Use(("define", name, key), formula, inner, callables, later[1:])


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
        early = next(
            (name for name in use.later if error.message.startswith("unknown ") and f"'{name}'" in error.message), None
        )
        if early is None:
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
                elif node.keywords:
                    raise FormulaError(
                        f"{node.name} takes no keyword arguments", offset=node.offset, length=node.length
                    )
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
    penalised = experiment.loss is not None and experiment.loss.penalty is not None
    if penalised or not any(use.path[:2] == ("model", "formula") for use, _ in parsed):
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

    loss, outputs, path = experiment.loss, ", ".join(names.outputs), ("loss", "kind")
    if loss is None:
        if names.has_target and len(names.outputs) > 1:
            message = f"this loss takes one prediction, the model has several outputs: {outputs}"
            yield Problem(message, ("model", "formula"), "write the loss as a formula of them", key=True)
        return
    if loss.compares and not names.has_target:
        why = "there is no data" if experiment.data is None else "data has no target"
        hint = "add data.target, or use loss: output, which minimises the model's own value"
        yield Problem(f"{loss.kind} compares predictions with a target, but {why}", path, hint)
    if not loss.weighs_examples and names.has_weights and not is_used("example_weights"):
        message = f"the weights of data do not reach a loss of kind {loss.kind}"
        hint = "formulas see them as example_weights: mean(example_weights * (prediction - target)**2)"
        yield Problem(message, path, hint)
    if loss.compares and len(names.outputs) > 1:
        message = f"this loss takes one prediction, the model has several outputs: {outputs}"
        yield Problem(message, path, "write the loss as a formula of them")
    if loss.is_the_models_output:
        if names.has_target and not experiment.metrics and not is_used("target"):
            message = "loss: output minimises the model's own value; the target of data is not used"
            yield Problem(message, path, "use loss: mse, or take target away")
        if len(names.outputs) > 1:
            message = f"the model has several outputs: {outputs}"
            yield Problem(message, path, "write the loss as a formula of them")


def _metrics(experiment: Experiment, names: ConfigNames) -> Iterator[Problem]:
    seen: set[str] = set()
    for position, metric in enumerate(experiment.metrics):
        path: ConfigPath = ("metrics", position)
        name = metric if isinstance(metric, str) else metric.name
        if isinstance(metric, str) and not names.has_target:
            yield Problem(f"the metric {metric} compares predictions with a target, but there is none", path)
        elif isinstance(metric, str) and len(names.outputs) > 1:
            outputs = ", ".join(names.outputs)
            hint = "write the metric as a formula: {name: ..., formula: ...}"
            message = f"the metric {metric} takes one prediction, the model has several outputs: {outputs}"
            yield Problem(message, path, hint)
        if name in seen:
            yield Problem(f"the metric '{name}' is here twice", path)
        seen.add(name)


def _schedule(experiment: Experiment) -> Iterator[Problem]:
    schedule, data = experiment.schedule, experiment.data
    for key in ("batch_size", "order"):
        if data is None and getattr(schedule, key) is not None:
            yield Problem(f"{key} is about examples, but there is no data", ("schedule", key), key=True)
    validated = data is not None and data.validation is not None
    for path, watch in schedule.watches():
        is_written = "metric" in watch.model_fields_set
        place = (*path, "metric") if is_written else path
        metric, computed = watch.metric, ["loss", *experiment.metric_names]
        watchable = ["loss_epoch", *computed, *(f"validation_{name}" for name in computed if validated)]
        if metric.startswith("validation_") and not validated:
            hint = "add data.validation, or set metric: loss_epoch"
            yield Problem(f"{metric} is watched, but data has no validation", place, hint, key=not is_written)
        elif metric not in watchable:
            near = did_you_mean(metric, watchable, allowed="it can be")
            yield Problem(f"'{metric}' is not known at the end of an epoch", place, near)


def _parameters(experiment: Experiment, names: ConfigNames) -> Iterator[Problem]:
    """Yield names of parameters that the model does not have."""
    if names.parameters is None:
        return
    penalty = experiment.loss.penalty if experiment.loss is not None else None
    for position, name in enumerate(penalty.of or () if penalty is not None else ()):
        yield from _unknown(name, names.parameters, "parameter", ("loss", "penalty", "of", position), key=False)
    for name in experiment.gradients.of if experiment.gradients is not None else ():
        yield from _unknown(name, names.parameters, "parameter", ("gradients", "of", name))
    for section, expected in (("parameters", experiment.expect.parameters), ("gradients", experiment.expect.gradients)):
        for name in expected:
            yield from _unknown_in(name, names.parameters, "parameter", ("expect", section, name))


def _unknown_in(key: str, names: Iterable[str], what: str, path: ConfigPath) -> Iterator[Problem]:
    """Yield the unknown names in a key of `expect`, which is a name or a formula of names, W[0, 1]."""
    names = list(names)
    try:
        used = {key} if key in names else read_formula(key).names - {"pi"}
    except FormulaError as error:
        yield replace(error.problem(path), offset=None, length=None, key=True)
        return
    for name in sorted(used):
        yield from _unknown(name, names, what, path)


def _unknown(name: str, names: Iterable[str], what: str, path: ConfigPath, *, key: bool = True) -> Iterator[Problem]:
    names = list(names)
    if name not in names:
        hint = did_you_mean(name, names, allowed="there are" if len(names) > 1 else "there is")
        yield Problem(f"there is no {what} '{name}'", path, hint, key=key)


def _expect(experiment: Experiment, names: ConfigNames, root: Node) -> Iterator[Problem]:
    expect, record, metrics = experiment.expect, experiment.record, experiment.metric_names
    computed = [*metrics, *(f"validation_{name}" for name in metrics), "loss", "loss_epoch", "validation_loss"]
    for name in expect.metrics:
        if name not in computed:
            hint = did_you_mean(name, computed) or f"add {name} to metrics:"
            yield Problem(f"the metric '{name}' is not computed", ("expect", "metrics", name), hint, key=True)
    if names.parameters is not None:
        columns = [*_ROW, *computed, *names.parameters, *record.formulas, *record.after]
        for position, row in enumerate(expect.trace):
            path: ConfigPath = ("expect", "trace", position)
            node = root.at((*path, "values"))
            for name in row.values:
                if "." not in name:
                    yield from _unknown_in(name, columns, "column", (*path, *(("values",) if node else ()), name))
    if expect.predictions is not None and names.inputs is not None:
        for name in expect.predictions.inputs:
            yield from _unknown(name, names.inputs, "input", ("expect", "predictions", name))
