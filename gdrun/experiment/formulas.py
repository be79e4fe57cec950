"""The one list of an experiment's formulas: their places, the names that they may use, and when they are evaluated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from gdrun.config.name_scopes import MOMENT, ConfigNames, Phase, Use, in_order
from gdrun.data import DataSection
from gdrun.errors import ConfigPath

from .experiment import Experiment, RepeatedDefinition, StateDefinition, is_function

GIVEN_WHILE_RUNNING = ("loss", "gradient_norm", "learning_rate")
"""Names of running values in record and stop formulas; they would hide the same names of the config."""


def names_of(experiment: Experiment) -> ConfigNames:
    """Return the names that an experiment gives to things."""
    data, model = experiment.data, experiment.model
    return ConfigNames(
        constants=tuple(experiment.constants),
        inputs=() if data is None else data.names_of_inputs(),
        has_target=data is not None and data.has_target,
        has_weights=data is not None and data.has_weights,
        definitions=tuple(key for key in experiment.define if not is_function(key)),
        parameters=model.parameter_names(),
        parameters_in_formulas=model.parameters_in_formulas(),
        networks=model.network_names(),
        functions=experiment.functions(),
        outputs=model.output_names(),
    )


def uses(experiment: Experiment) -> Iterator[Use]:
    """Yield every formula of an experiment with the names that it may use and when it is evaluated."""
    return (use for use in _uses(experiment, names_of(experiment)) if use.formula is not None)


def loop_formulas(experiment: Experiment) -> Iterator[Any]:
    """Yield every formula that is evaluated in the compiled loop."""
    return (use.formula for use in uses(experiment) if use.phase == "loop")


def _uses(experiment: Experiment, names: ConfigNames) -> Iterator[Use]:
    yield from in_order(("constants",), experiment.constants, ())
    data = experiment.data
    if data is not None:
        yield from data.uses(("data",), names)
        yield from _derived(data, ("data", "derived"), names)
        if isinstance(data.validation, DataSection) and data.validation.derived != data.derived:
            yield from _derived(data.validation, ("data", "validation", "derived"), names)
        if isinstance(data.validation, DataSection):
            inherited = {(*use.path, str(use.formula)) for use in data.uses(("data", "validation"), names)}
            for use in data.validation.uses(("data", "validation"), names):
                if (*use.path, str(use.formula)) not in inherited:
                    yield use
    yield from experiment.model.uses(names)
    yield from _define(experiment.define, names)
    for key, formula in experiment.objective_loss.formulas().items():
        yield Use.of_examples(("loss", key), formula, names, *names.prediction)
    for position, metric in enumerate(experiment.metrics):
        for key, formula in metric.formulas().items():
            yield Use.of_examples(("metrics", position, key), formula, names, *names.prediction, "loss")
    record = experiment.record
    for name, formula in record.formulas.items():
        yield Use.of_examples(("record", "formulas", name), formula, names, *names.prediction, *GIVEN_WHILE_RUNNING)
    for key in ("after", "batch_means", "example_means"):
        for name, formula in getattr(record, key).items():
            yield Use.of_examples(("record", key, name), formula, names, *names.prediction, "loss")
    if experiment.gradients is not None:
        phase: Phase = "loop" if experiment.gradients.use else "check"
        for name, formula in experiment.gradients.of.items():
            use = Use.of_examples(("gradients", "of", name), formula, names, *names.prediction, "loss")
            yield replace(use, phase=phase)
    schedule = experiment.schedule
    stop: ConfigPath = ("schedule", "stop", "formula")
    yield Use.of_examples(stop, schedule.stop.formula, names, *names.prediction, "loss", "gradient_norm")
    factor = schedule.learning_rate_factor
    for formula in factor.formulas() if factor is not None else ():
        yield Use(
            ("schedule", "learning_rate_factor", "formula"), formula, (*names.constants, *MOMENT), phase="schedule"
        )
    yield from experiment.optimizer.uses(names.constants)


def _derived(data: DataSection, path: ConfigPath, names: ConfigNames) -> Iterator[Use]:
    own = data.input_names()
    if own is not None:
        yield from in_order(path, data.derived, (*names.constants, *own, *(("target",) if data.has_target else ())))


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
        if isinstance(value, StateDefinition):
            known = names.parameters_in_formulas
            kept = tuple(other for other in above if isinstance(define.get(other), StateDefinition))
            first = None if known is None else (*names.constants, *known, *names.networks, *kept)
            functions = tuple(other for other in callables if other in names.functions)
            yield Use(("define", name, "start"), value.start, first, functions, later, phase="start")
            yield Use.of_examples(("define", name, "next"), value.next, names, *names.prediction, "loss")
            continue
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
