"""The objective, assembled of `model:`, `loss:`, `define:` and `gradients:`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import tensorflow as tf

from gdrun.config.located import at_config_path, formula_at, refuse
from gdrun.engine.objective import KeptValue, Objective
from gdrun.engine.state import Batch, Setting, TrainState
from gdrun.errors import ConfigError, ConfigPath
from gdrun.experiment.experiment import Experiment, RepeatedDefinition, StateDefinition, is_function
from gdrun.experiment.formulas import loop_formulas
from gdrun.experiment.start import Start, started
from gdrun.formula import tensorflow_ops
from gdrun.formula.evaluate import Scope, evaluate
from gdrun.formula.failures import Unconnected
from gdrun.formula.nodes import Definition, Expression, LoopDefinition, NamedCallNode, walk
from gdrun.formula.parse import parse
from gdrun.models.base import ModelContext, ModelFunction
from gdrun.models.formula import never_called, probe_networks
from gdrun.models.initial import InitialContext
from gdrun.models.keras_network import KerasNetwork
from gdrun.models.networks import entries
from gdrun.optimizers.formula_update import like
from gdrun.random_streams import RandomNumbers

from .gradients import build_gradients, check_gradients, gradient_formulas, parameters_by_hand
from .initial import initial_state
from .loss import build_loss, build_residuals
from .trial_evaluation import EVALUATION_ERRORS, broadcast_warning, compares_by_formula, evaluate_once, unreached


def _definitions(experiment: Experiment, *, probing: bool) -> dict[str, Definition]:
    definitions: dict[str, Definition] = {}
    for name, value in experiment.define.items():
        if is_function(name):
            continue
        if isinstance(value, StateDefinition):
            if probing:  # networks, of whose weights it may be a part, are not there yet
                definitions[name] = parse(value.start)
            continue
        if not isinstance(value, RepeatedDefinition):
            definitions[name] = parse(value)
            continue
        with at_config_path("define", name):
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


def _kept(experiment: Experiment, model: ModelFunction, trainable: tuple[str, ...]) -> dict[str, KeptValue]:
    """Return the values of `define` that are kept from step to step. Raises ConfigError where none can end on one."""
    kept: dict[str, KeptValue] = {}
    dtype = tf.as_dtype(experiment.precision)
    complex_dtype = tf.complex64 if dtype == tf.float32 else tf.complex128
    for name, value in experiment.define.items():
        if not isinstance(value, StateDefinition):
            continue
        path: ConfigPath = ("define", name)
        final = str(value.start) if value.final else None
        if final is not None:
            parts = model.joined_names.get(final, (final,))
            if not set(parts) <= set(trainable):
                hint = "start: w with the name of a parameter, layer or network that is trained"
                raise refuse("what ends on an average is named by its start, and trained", (*path, "final"), hint)
            if any(model.initial[part].transform for part in parts):
                raise refuse(f"'{final}' has a transform: the average is of its value after it", (*path, "final"))
        start, following = (
            formula_at(text, (*path, key)) for key, text in (("start", value.start), ("next", value.next))
        )

        def first(scope: Scope, start: Any = start) -> tf.Tensor:
            tensor = tf.convert_to_tensor(start(scope))
            return tf.cast(tensor, complex_dtype if tensor.dtype.is_complex else dtype)

        def after(scope: Scope, old: tf.Tensor, following: Any = following, name: str = name) -> tf.Tensor:
            length = old.shape[0] if old.shape.rank else None
            hint = "mean(...) makes it one number" if length is None else f"(...)[:{length}] keeps as many each time"
            with at_config_path("define", name, "next"):
                return like(following(scope), old, f"'{name}'", hint)

        kept[name] = KeptValue(first, after, final)
    return kept


class _ProbeOps(tensorflow_ops.TensorFlowOps):
    """The table for weights that are not there yet: no derivative by them is refused."""

    def derive(self, function: str, value: Any, compute: Callable[[Any], Any]) -> Any:
        try:
            return super().derive(function, value, compute)
        except Unconnected:
            return tf.zeros_like(value)


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
    context = ModelContext(constants, inputs, experiment.seeds.initial, experiment.precision, networks, random)
    with at_config_path("model"):
        return experiment.model.build(context)


def build_objective(
    experiment: Experiment,
    constants: Mapping[str, np.ndarray],
    data: Batch,
    random: np.random.RandomState | None = None,
    starts: Sequence[Start] = (),
) -> Objective:
    """Return the objective with the initial parameters of its model.

    Args:
        random: draws the initial values that are formulas; None: each has a stream of its own.
        starts: the arrays that it starts with in place of them.
    Raises:
        ConfigError: located at the part of the model, the loss or the definitions that cannot be built.
    """
    networks = {}
    if experiment.model.networks_called():
        # The model is built twice, so the first one draws from a copy.
        first = build_model(experiment, constants, data, random=_copied(random))
        probing = _objective(experiment, constants, first, probing=True)
        networks = _probe(experiment, probing, data, InitialContext(constants, random))
    model = started(build_model(experiment, constants, data, networks=networks, random=random), starts)
    objective = _objective(experiment, constants, model)
    if not objective.trainable_names and experiment.optimizer.trains:
        hint = "set trainable: true for one of the model's, or optimizer: none"
        if experiment.optimizer.frozen(tuple(model.initial)):
            hint = "leave one out of the frozen groups, or set optimizer: none"
            raise refuse("there is no trainable parameter", ("optimizer", "groups"), hint)
        raise refuse("there is no trainable parameter", ("model",), hint)
    return objective


def _objective(
    experiment: Experiment,
    constants: Mapping[str, np.ndarray],
    model: ModelFunction,
    *,
    probing: bool = False,
    still: tuple[str, ...] = (),
) -> Objective:
    """Return the objective of a model.

    Args:
        probing: without penalty and groups of the optimizer, which may name parameters that are not built yet.
        still: parameters that are not trained, since the loss does not depend on them.
    """
    loss, dtype, initial = experiment.objective_loss, tf.as_dtype(experiment.precision), model.initial
    with at_config_path("optimizer"):
        frozen = {*still, *(() if probing else experiment.optimizer.frozen(tuple(initial)))}
    trainable = tuple(name for name, value in initial.items() if value.trainable and name not in frozen)
    with at_config_path("loss", "penalty"):
        penalty = None if probing or loss.penalty is None else loss.penalty.build(trainable, tuple(initial))
    kept = {} if probing else _kept(experiment, model, trainable)
    return Objective(
        model=model,
        loss=build_loss(loss, dtype),
        penalty=penalty,
        trainable_names=trainable,
        fixed_names=tuple(name for name in initial if name not in trainable),
        transforms={name: value.transform for name, value in initial.items() if value.transform},
        constants=constants,
        definitions=_definitions(experiment, probing=probing),
        functions=experiment.functions(),
        ops=_ProbeOps(dtype) if probing else tensorflow_ops.table(dtype),
        dtype=dtype,
        state_names=(*model.state, *kept),
        kept=kept,
        residuals=build_residuals(loss, dtype, trainable) if experiment.optimizer.needs == "residuals" else None,
    )


def as_rows(objective: Objective, data: Batch) -> Batch:
    """Return the data with an (n,) target as (n, 1), where the model is a network whose predictions are (n, 1)."""
    network = objective.model.keras_network
    if network is None or data.target is None or data.target.shape.rank != 1:
        return data
    shape = network.output_shape
    return data._replace(target=data.target[:, None]) if len(shape) == 2 and shape[1] == 1 else data


def without_unreached(
    experiment: Experiment, objective: Objective, state: TrainState, setting: Setting, data: Batch
) -> tuple[Objective, tuple[str, ...]]:
    """Return the objective without training what the loss does not depend on, and warnings from one evaluation."""
    by_formula = compares_by_formula(experiment)
    if not by_formula and not experiment.model.networks_called():
        return objective, ()
    first_evaluation = evaluate_once(objective, state, setting, data, experiment.schedule.batch_size)
    if first_evaluation is None:
        return objective, ()
    evaluation, gradients = first_evaluation
    warnings = []
    by_hand = parameters_by_hand(experiment, objective)
    if still := tuple(name for name in unreached(objective, gradients) if name not in by_hand):
        it_is = "it is" if len(still) == 1 else "they are"
        warnings.append(f"the loss does not depend on {', '.join(still)}: left as {it_is}")
        objective = _objective(experiment, objective.constants, objective.model, still=still)
    if by_formula and (warning := broadcast_warning(evaluation)):
        warnings.append(warning)
    return objective, tuple(warnings)


def with_own_gradients(
    experiment: Experiment, objective: Objective, state: TrainState, setting: Setting, data: Batch
) -> Objective:
    """Return the objective with the gradients that the config writes by hand, if it trains with them.

    Raises:
        ConfigError: one of them, evaluated once, is not of its parameter's shape, or fails; also where they are not
            used.
    """
    by_hand = build_gradients(experiment, objective)
    if by_hand is None or experiment.gradients is None:
        return objective
    check_gradients(by_hand, objective, state, setting, data.head(experiment.schedule.batch_size))
    return replace(objective, own_gradients=by_hand) if experiment.gradients.use else objective


def _copied(random: np.random.RandomState | None) -> np.random.RandomState | None:
    if random is None:
        return None
    copy = np.random.RandomState()
    copy.set_state(random.get_state())
    return copy


def _probe(experiment: Experiment, objective: Objective, data: Batch, context: InitialContext) -> Any:
    """Return the networks that formulas call, each built for the shape of its first call in one evaluation."""
    networks = experiment.model.networks_called()
    precision = experiment.precision
    seed = experiment.seeds.initial
    built, functions, weights = probe_networks(networks, seed=seed, precision=precision, context=context)
    every = [entry for name, network in networks.items() for entry in entries(name, network)]
    state, setting = initial_state(experiment, objective, objective.model.initial)
    by_hand = tuple(gradient_formulas(experiment).values())
    calls: list[Callable[[Scope], None]] = []
    # One example is enough to see the shapes of the calls, unless a formula needs a whole batch.
    for count in (1, experiment.schedule.batch_size):
        try:
            objective.probe(state.parameters, setting, data.head(count), functions, weights, by_hand, calls)
            break
        except EVALUATION_ERRORS:
            calls = list(_calls(experiment, networks))
            # Once all are built, the first evaluation with them shows what is wrong.
            if count != 1 and len(built) < len(every):
                raise
    for name, network in networks.items():
        if missing := [entry for entry in entries(name, network) if entry not in built]:
            raise ConfigError((never_called(name, missing[0], network),))
    return built


def _calls(experiment: Experiment, networks: Mapping[str, Any]) -> Iterator[Callable[[Scope], None]]:
    """Yield the calls of networks one by one, as far as they can be evaluated, without `weights`: these may be made of
    weights that are not there yet."""
    for text in loop_formulas(experiment):
        expression = parse(text)
        for node in walk(expression.root):
            if isinstance(node, NamedCallNode) and node.name in networks:
                call = replace(expression, root=replace(node, keywords=()), elements=())

                def attempt(scope: Scope, call: Expression = call) -> None:
                    with suppress(*EVALUATION_ERRORS):
                        evaluate(call, scope)

                yield attempt
