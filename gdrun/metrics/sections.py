"""Kinds of `metrics:`, numbers reported beside the loss, over all examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from gdrun.config.custom import CustomSection
from gdrun.config.plugin_calls import bound_function
from gdrun.config.section import Formula, Identifier, Section, read_formula
from gdrun.errors import ConfigPath
from gdrun.formula.evaluate import Scope, evaluate
from gdrun.losses.base import LossSection, one_or_named, one_prediction, scalar
from gdrun.metric_names import MetricName

if TYPE_CHECKING:
    import tensorflow as tf

MetricFunction: TypeAlias = "Callable[[Scope, Any, tf.Tensor, tf.Tensor | None], tf.Tensor]"
"""(scope, prediction, loss, target) -> scalar."""


def build_named(name: MetricName, loss: LossSection, dtype: tf.DType) -> MetricFunction:
    """Return a metric by its name, which reads predictions as `loss` does."""
    from .named import named_metric

    function = named_metric(name, from_logits=loss.predicts_logits, signed=loss.signed)
    return lambda scope, prediction, value, target: function(one_prediction(prediction, dtype), target)  # type: ignore[arg-type]


class FormulaMetric(Section):
    """A metric by formula."""

    place: ClassVar[ConfigPath] = ("formula",)
    """The place of its mistakes, below the metric."""

    name: Identifier
    """Name of the metric in rows and summaries."""
    formula: Formula
    """A scalar of prediction, target, inputs, parameters and constants, over all examples."""

    def build(self, dtype: tf.DType, owner: str) -> MetricFunction:
        """Return the metric. `owner` names its draws."""
        expression = read_formula(self.formula)

        def metric(scope: Scope, prediction: Any, loss: tf.Tensor, target: tf.Tensor | None) -> tf.Tensor:
            value = evaluate(expression, scope.adding({"loss": loss}), owner=f"{owner}.formula")
            return scalar(value, dtype, what="a metric")

        return metric

    def formulas(self) -> tuple[Any, ...]:
        """Return the formulas of the metric."""
        return (self.formula,)


class CustomMetric(CustomSection):
    """A metric that a plugin computes of target and prediction, over all examples."""

    place: ClassVar[ConfigPath] = ("name",)

    kind: Literal["custom"]
    name: Identifier
    """The name that the plugin registers it under, which is also its name in rows and summaries."""

    def build(self, dtype: tf.DType, owner: str) -> MetricFunction:
        """Return the metric; its errors are PluginErrors."""
        from .custom_functions import custom_metric

        function = custom_metric(*bound_function(self))
        return lambda scope, prediction, loss, target: function(one_or_named(prediction, dtype), target, dtype)

    def formulas(self) -> tuple[Any, ...]:
        """Return nothing: it is code."""
        return ()


def metric_form(value: Any) -> str:
    """Return the tag of the kind of metric that a value of a config means."""
    if isinstance(value, Section):
        return "<mapping>" if isinstance(value, FormulaMetric) else "<custom>"
    if isinstance(value, Mapping):
        return "<custom>" if "kind" in value else "<mapping>"
    return "<scalar>"
