"""Parts of kind custom: a config's section and what a plugin has registered -> components."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from gdrun.config.custom import CustomSection
from gdrun.config.plugins import describe_failure
from gdrun.data import CustomData
from gdrun.data.custom import Caller, custom_data, custom_loss, custom_metric
from gdrun.data.dataset import Dataset
from gdrun.engine.step import Moment
from gdrun.experiment.experiment import Experiment
from gdrun.losses import CustomLoss, CustomMetric
from gdrun.losses.sections import NamedLoss
from gdrun.models import CustomModel as CustomModelSection
from gdrun.models.custom import CustomModel, custom_model
from gdrun.random_streams import RandomNumbers, stream

from .located import located, refuse

if TYPE_CHECKING:
    from .initial_tensors import Parts


def build_custom_data(section: CustomData, random: Any) -> Dataset:
    """Return the examples that a plugin makes. Raises: ConfigError, at the section's name."""
    make, caller = _bound(section)
    with located("data", "name"):
        return custom_data(lambda: make(random), caller)


def check_target(experiment: Experiment, train: Dataset) -> None:
    """Refuse what needs a target where a plugin's data gives none. Raises: ConfigError, at what needs it."""
    section = experiment.data
    if not isinstance(section, CustomData) or train.target is not None:
        return
    told = f"{section.entry} gives no target"
    scaled = section.scale is not None and section.scale.target != "none"
    for key, needs in (("classes", section.classes), ("class_weights", section.class_weights), ("scale", scaled)):
        if needs:
            raise refuse(f"{told}, which {key} is about", ("data", key), key=True)
    if experiment.loss is None or isinstance(experiment.loss, NamedLoss):
        raise refuse(f"{told} to compare predictions with", ("loss",), "loss: output minimises the model's own value")
    for position, metric in enumerate(experiment.metrics):
        if isinstance(metric, str):
            raise refuse(f"{told}, which the metric {metric} needs", ("metrics", position))


def build_custom_model(
    section: CustomModelSection,
    *,
    constants: Mapping[str, Any],
    inputs: Mapping[str, tuple[int, ...]],
    seed: int,
    precision: str,
    random: RandomNumbers | None,
) -> CustomModel:
    """Return a plugin's model. Raises: ConfigError, at the section's name."""
    make, caller = _bound(section)
    shapes = {name: shape[1:] for name, shape in inputs.items()}
    numbers = random or stream(seed, "initial of a custom model")
    with located("model", "name"):
        return custom_model(
            lambda: make(shapes, numbers),
            caller,
            inputs=inputs,
            taken=(*constants, *inputs),
            dtype=tf.as_dtype(precision),
        )


def build_custom_loss(section: CustomLoss) -> Callable[..., tf.Tensor]:
    """Return (prediction, target, weights, dtype) -> scalar; its errors are PluginErrors."""
    function, caller = _bound(section)
    return custom_loss(function, caller, reduction=section.reduction)


def build_custom_metric(section: CustomMetric) -> Callable[..., tf.Tensor]:
    """Return (prediction, target, dtype) -> scalar; its errors are PluginErrors."""
    return custom_metric(*_bound(section))


def _bound(section: CustomSection) -> tuple[Callable[..., Any], Caller]:
    """The registered function with its options, and who calls it."""
    entry = section.entry
    options = entry.options(section.options)
    file = entry.registration.file
    return lambda *arguments: entry.call(*arguments, options=options), Caller(
        str(entry), lambda error: describe_failure(error, file)
    )


def is_custom(experiment: Experiment) -> bool:
    """Return whether a plugin's code runs in the loop."""
    parts = (experiment.model, experiment.loss, experiment.optimizer, *experiment.metrics)
    return any(isinstance(part, CustomSection) for part in parts)


def operation_without_xla(parts: Parts, optimizer: Any, metrics: Mapping[str, Any]) -> str | None:
    """Return the name of an operation in a plugin's code that XLA has no kernel for, or None.

    Nothing is run: a step is traced and translated.
    """
    if not is_custom(parts.experiment):
        return None
    objective, state, start = parts.objective, parts.state, tf.constant(0, tf.int64)

    def step() -> list[tf.Tensor]:
        moment = Moment(start, start, None, None)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(state.parameters)
            evaluation = objective.evaluate(
                state.parameters, state.model_state, parts.setting, parts.data, moment, training=True
            )
        found: list[Any] = [metric(evaluation, parts.data.target) for metric in metrics.values()]
        gradients = tape.gradient(evaluation.loss, state.parameters)
        if hasattr(optimizer, "apply"):
            memory, rate = optimizer.initial_state(state.parameters), tf.constant(0.0, tf.float64)
            found.append(optimizer.apply(memory, gradients, state.parameters, rate))
        return [value for value in tf.nest.flatten([found, gradients, evaluation.loss]) if value is not None]

    try:
        tf.function(step, autograph=False, jit_compile=True).experimental_get_compiler_ir()(stage="hlo")
    except (ValueError, tf.errors.OpError) as error:
        text = str(error)
        if "unsupported operations" in text:
            return text.partition("No registered '")[2].partition("'")[0] or "an operation"
        # Something else, which looking at the first step will tell better.
    return None
