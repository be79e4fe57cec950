"""Kinds of `metrics:`, numbers reported beside the loss, over all examples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

from gdrun.config.custom import CustomSection
from gdrun.config.plugin_calls import bound_function
from gdrun.config.section import Formula, Identifier, Section
from gdrun.errors import ConfigPath
from gdrun.formula.evaluate import Scope, evaluate
from gdrun.formula.parse import parse
from gdrun.losses import METRICS
from gdrun.losses.base import LossSection, one_or_named, one_prediction, scalar
from gdrun.metric_names import HIGHER_IS_BETTER, LOWER_IS_BETTER

if TYPE_CHECKING:
    import tensorflow as tf

    MetricName = str
else:
    MetricName = Literal[(*LOWER_IS_BETTER, *METRICS, *HIGHER_IS_BETTER)]
"""Every named metric."""

MetricFunction: TypeAlias = "Callable[[Scope, Any, tf.Tensor, tf.Tensor | None], tf.Tensor]"
"""(scope, prediction, loss, target) -> scalar."""


class MetricSection(Section):
    """A kind of metric."""

    if TYPE_CHECKING:
        name: str

    compares: ClassVar[bool] = False
    """True where it compares one prediction with a target."""
    error_path: ClassVar[ConfigPath] = ()
    """The place of its mistakes, below the metric."""

    def build(self, loss: LossSection, dtype: tf.DType, owner: str) -> MetricFunction:
        """Return the metric.

        Args:
            loss: the experiment's, which says how predictions are to be read.
            owner: names the draws of its formulas.
        """
        raise NotImplementedError

    def formulas(self) -> dict[str, Any]:
        """Return the formulas of the section by their keys."""
        return {}


class NamedMetric(MetricSection):
    """A metric of `MetricName`, written as its name alone."""

    short = "name"
    written_short = True
    compares = True

    name: MetricName
    """Name of the metric."""

    @classmethod
    def of(cls, name: MetricName) -> NamedMetric:
        """Return the metric that a config gives as its name."""
        return cls(name=name)

    def build(self, loss: LossSection, dtype: tf.DType, owner: str) -> MetricFunction:
        from .named import named_metric

        function = named_metric(self.name, from_logits=loss.predicts_logits, signed=loss.signed)
        return lambda scope, prediction, value, target: function(one_prediction(prediction, dtype), target)  # type: ignore[arg-type]


class FormulaMetric(MetricSection):
    """A metric by formula."""

    error_path = ("formula",)

    name: Identifier
    """Name of the metric in rows and summaries."""
    formula: Formula
    """A scalar of prediction, target, inputs, parameters and constants, over all examples."""

    def build(self, loss: LossSection, dtype: tf.DType, owner: str) -> MetricFunction:
        expression = parse(self.formula)

        def metric(scope: Scope, prediction: Any, value: tf.Tensor, target: tf.Tensor | None) -> tf.Tensor:
            result = evaluate(expression, scope.adding({"loss": value}), owner=f"{owner}.formula")
            return scalar(result, dtype, what="a metric")

        return metric

    def formulas(self) -> dict[str, Any]:
        return {"formula": self.formula}


class CustomMetric(CustomSection, MetricSection):
    """A metric that a plugin computes of target and prediction, over all examples."""

    part = "metric"

    kind: Literal["custom"]
    name: Identifier
    """The name that the plugin registers it under, which is also its name in rows and summaries."""

    def build(self, loss: LossSection, dtype: tf.DType, owner: str) -> MetricFunction:
        from gdrun.losses.custom_functions import custom_metric

        function = custom_metric(*bound_function(self))
        return lambda scope, prediction, loss, target: function(one_or_named(prediction, dtype), target, dtype)


def metric_form(value: Any) -> str:
    """Return the tag of the kind of metric that a value of a config means."""
    if isinstance(value, Mapping):
        return "<custom>" if "kind" in value else "<mapping>"
    return "<scalar>"
