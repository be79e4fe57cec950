"""The objective, assembled of `model:`, `loss:`, `define:` and `gradients:`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import tensorflow as tf

from gdrun.config.located import located, refuse
from gdrun.engine.objective import Objective
from gdrun.engine.state import Batch
from gdrun.experiment.experiment import Experiment, RepeatedDefinition, is_function
from gdrun.formula import tensorflow_ops
from gdrun.formula.nodes import Definition, LoopDefinition
from gdrun.formula.parse import parse
from gdrun.models.base import ModelContext, ModelFunction
from gdrun.models.formula import probe_networks
from gdrun.models.initial import Initial
from gdrun.models.keras_network import KerasNetwork
from gdrun.random_streams import RandomNumbers

from .gradients import build_gradients, check_gradients
from .initial import initial_state
from .loss import build_loss, build_residuals
from .trial_evaluation import EVALUATION_ERRORS, broadcast_warning, compares_by_formula, evaluate_once, head, unreached


def _definitions(experiment: Experiment) -> dict[str, Definition]:
    definitions: dict[str, Definition] = {}
    for name, value in experiment.define.items():
        if is_function(name):
            continue
        if not isinstance(value, RepeatedDefinition):
            definitions[name] = parse(value)
            continue
        with located("define", name):
            definitions[name] = LoopDefinition(
                start=parse(value.start),
                repeat=parse(value.repeat),
                while_=None if value.while_ is None else parse(value.while_),
                at_most=value.at_most,
                times=value.times,
                define={inner: parse(text) for inner, text in value.define.items()},
                keep_all=value.keep == "all",
            )
    return definitions


def build_model(
    experiment: Experiment,
    constants: Mapping[str, np.ndarray],
    data: Batch,
    *,
    networks: Mapping[str, KerasNetwork] = MappingProxyType({}),
    random: RandomNumbers | None = None,
) -> ModelFunction:
    """Return the model of the config with its initial parameters; see `ModelContext` for the arguments.

    Raises:
        ConfigError: located at the part of `model` that cannot be built.
    """
    inputs = {name: tuple(value.shape) for name, value in data.inputs.items()}
    context = ModelContext(constants, inputs, experiment.seed, experiment.precision, networks, random)
    with located("model"):
        return experiment.model.build(context)


def build_objective(
    experiment: Experiment,
    constants: dict[str, np.ndarray],
    data: Batch,
    validation: Batch | None,
    dtype: tf.DType,
    random: np.random.RandomState | None = None,
) -> tuple[Objective, Mapping[str, Initial], Batch, Batch | None, tuple[str, ...]]:
    """Return (objective, initial parameters by name, training data, validation data, warnings).

    The data comes back since a network's model reads an (n,) target as (n, 1). `random` draws the initial values that
    are formulas; None: each has a stream of its own.

    Raises:
        ConfigError: located at the part of the model, the loss or the definitions that cannot be built.
    """
    loss = experiment.loss
    assert loss is not None, "with_loss gave one"
    of_squares = experiment.optimizer.needs == "residuals"

    def objective(model: ModelFunction, *, penalized: bool = True, still: tuple[str, ...] = ()) -> Objective:
        initial = model.initial
        with located("optimizer"):
            frozen = {*still, *(experiment.optimizer.frozen(tuple(initial)) if penalized else ())}
        trainable = tuple(name for name, value in initial.items() if value.trainable and name not in frozen)
        with located("loss", "penalty"):
            penalty = loss.penalty.build(trainable, tuple(initial)) if penalized and loss.penalty is not None else None
        return Objective(
            model=model,
            loss=build_loss(loss, dtype),
            penalty=penalty,
            trainable_names=trainable,
            fixed_names=tuple(name for name in initial if name not in trainable),
            transforms={name: value.transform for name, value in initial.items() if value.transform},
            constants=constants,
            definitions=_definitions(experiment),
            functions=experiment.functions(),
            ops=tensorflow_ops.table(dtype),
            dtype=dtype,
            state_names=tuple(model.state),
            residuals=build_residuals(loss, dtype, trainable) if of_squares else None,
        )

    networks = {}
    if experiment.model.networks_called():
        # The model is built twice, so the first one draws from a copy.
        first = build_model(experiment, constants, data, random=_copied(random))
        unbuilt = objective(first, penalized=False)
        networks = _probe(experiment, unbuilt, data, dtype)
    result = objective(build_model(experiment, constants, data, networks=networks, random=random))
    if not result.trainable_names:
        raise refuse(
            "there is no trainable parameter", ("model",), "give the model a parameter, or set trainable: true"
        )
    if (network := result.model.keras_network) is not None:
        width = network.output_shape
        data, validation = _as_rows(data, width), None if validation is None else _as_rows(validation, width)
    warnings: list[str] = []
    if networks or compares_by_formula(experiment):
        state, setting = initial_state(experiment, result, result.model.initial, dtype)
        first_evaluation = evaluate_once(result, state, setting, data, experiment.schedule.batch_size)
        still = unreached(result, first_evaluation[1]) if first_evaluation else ()
        if still:
            result = objective(result.model, still=still)
            warnings.append(f"the loss does not depend on {', '.join(still)}: left as {_it_is(still)}")
        if first_evaluation and compares_by_formula(experiment):
            warning = broadcast_warning(first_evaluation[0])
            warnings += [] if warning is None else [warning]
    by_hand = build_gradients(experiment, result)
    if by_hand is not None:
        state, setting = initial_state(experiment, result, result.model.initial, dtype)
        check_gradients(by_hand, result, state, setting, head(data, experiment.schedule.batch_size))
        if experiment.gradients is not None and experiment.gradients.use:
            result = replace(result, own_gradients=by_hand)
    return result, result.model.initial, data, validation, tuple(warnings)


def _it_is(names: tuple[str, ...]) -> str:
    return "it is" if len(names) == 1 else "they are"


def _copied(random: np.random.RandomState | None) -> np.random.RandomState | None:
    if random is None:
        return None
    copy = np.random.RandomState()
    copy.set_state(random.get_state())
    return copy


def _as_rows(data: Batch, output_shape: tuple[int | None, ...]) -> Batch:
    """Return the data with an (n,) target as (n, 1), where a network's predictions are (n, 1)."""
    if data.target is None or data.target.shape.rank != 1 or len(output_shape) != 2 or output_shape[1] != 1:
        return data
    return data._replace(target=data.target[:, None])


def _probe(experiment: Experiment, objective: Objective, data: Batch, dtype: tf.DType) -> Any:
    """Return the networks that formulas call, each built for the shape of its first call in one evaluation."""
    networks = experiment.model.networks_called()
    built, functions = probe_networks(networks, seed=experiment.seed, precision=experiment.precision)
    state, setting = initial_state(experiment, objective, objective.model.initial, dtype)
    # One example is enough to see the shapes of the calls, unless a formula needs a whole batch.
    for count in (1, experiment.schedule.batch_size):
        try:
            objective.probe(state.parameters, setting, head(data, count), functions)
            break
        except EVALUATION_ERRORS:
            if count != 1:
                raise
    for name in networks:
        if name not in built:
            raise refuse(
                f"network '{name}' is never called", ("model", "networks", name), f"call it: {name}(x)", key=True
            )
    return built
