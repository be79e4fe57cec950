"""Losses between prediction and target, each as Keras computes it.

One class here, the function in `functions` that has the name of its kind, and one line in the package's table add one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from gdrun.config.section import Number, PositiveNumber, ShortSection
from gdrun.errors import DataError, Problem
from gdrun.formula.evaluate import Scope

from .base import LossFunction, LossSection, example_weights, lane_setting, one_prediction
from .shapes import check_shapes

if TYPE_CHECKING:
    import tensorflow as tf


class NamedLoss(LossSection):
    """A loss between prediction and target."""

    needs_target = True
    lane_settings = LossSection.lane_settings | {("factor",)}

    reduction: Literal["mean", "sum"] = "mean"
    """Mean or sum over all examples and outputs; cross-entropies give one number an example first, as in Keras."""
    factor: Number = 1.0
    """Multiplies the loss; 0.5 gives the half variants."""
    broadcast: bool = False
    """true: let prediction and target of different shapes broadcast, as numpy does."""

    @property
    def adds_up(self) -> bool:
        return self.reduction == "sum"

    def check_trial(self, scope: Scope, prediction: Any, target: np.ndarray | None) -> None:
        if target is not None and not isinstance(prediction, dict):
            shapes = np.shape(prediction), target.shape
            check_shapes(self.kind, *shapes, takes_labels=self.takes_labels, broadcast=self.broadcast)

    def build(self, dtype: tf.DType) -> LossFunction:
        import tensorflow as tf

        from . import functions

        values = getattr(functions, self.kind)
        settings = {name: value for name, value in self if name not in ("kind", "penalty")}
        varying = [str(path[0]) for path in self.lane_settings if len(path) == 1]

        def loss(scope: Scope, prediction: Any, target: tf.Tensor | None) -> tf.Tensor:
            own = {name: lane_setting(scope, f"loss.{name}", settings[name]) for name in varying}
            function: Any = functions.scalar_loss(values, takes_labels=self.takes_labels, **(settings | own))
            single = one_prediction(prediction, dtype)
            try:
                return function(single, target, example_weights(scope))
            except tf.errors.InvalidArgumentError:
                # The shapes fit, so the remaining cause is a label that no output stands for.
                if target is None or not self.takes_labels:
                    raise
                last = int(single.shape[-1]) - 1
                raise DataError(
                    f"a label is not among 0 to {last}, the classes that the model's outputs stand for",
                    hint="count labels from 0, or give the model more outputs",
                ).at(("data", "target")) from None

        return loss


class SquaredError(ShortSection, NamedLoss):
    """(prediction - target)**2."""

    aliases: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "mse": {"reduction": "mean"},
        "sse": {"reduction": "sum"},
        "half_mse": {"reduction": "mean", "factor": 0.5},
        "half_sse": {"reduction": "sum", "factor": 0.5},
    }

    kind: Literal["squared_error", "mse", "sse", "half_mse", "half_sse"]

    def squares_problems(self) -> Iterator[Problem]:
        if self.factor <= 0:
            yield Problem("minimises squares; factor must be positive", ("loss", "factor"))
        yield from self._penalty_problems()

    def residuals(self, dtype: tf.DType, trainable: Sequence[str]) -> Callable[[Scope, Any, Any], tf.Tensor]:
        import tensorflow as tf

        assert self.factor > 0, "squares_problems says so"
        penalty = self.penalty
        penalized = () if penalty is None or not penalty.l2 else trainable if penalty.of is None else penalty.of

        def residuals(scope: Scope, prediction: Any, target: tf.Tensor | None) -> tf.Tensor:
            prediction = one_prediction(prediction, dtype)
            errors = prediction - tf.cast(target, prediction.dtype)
            weights = example_weights(scope)
            if weights is not None:
                errors = errors * tf.reshape(tf.sqrt(weights), [-1] + [1] * (errors.shape.rank - 1))
            errors = tf.reshape(errors, [-1])
            count = int(errors.shape[0]) if self.reduction == "mean" else 1
            parts = [errors * (self.factor / count) ** 0.5]
            if penalty is not None:
                parts += [penalty.l2**0.5 * tf.reshape(scope[name], [-1]) for name in penalized]
            return tf.concat(parts, axis=0) if penalized else parts[0]

        return residuals


class AbsoluteError(ShortSection, NamedLoss):
    """|prediction - target|."""

    aliases: ClassVar[Mapping[str, Mapping[str, Any]]] = {"mae": {"reduction": "mean"}, "sae": {"reduction": "sum"}}

    kind: Literal["absolute_error", "mae", "sae"]


class Huber(NamedLoss):
    """Half the square up to delta, linear beyond."""

    lane_settings = NamedLoss.lane_settings | {("delta",)}

    kind: Literal["huber"]
    delta: PositiveNumber = 1.0
    """Error at which the square changes to a line."""


class LogCosh(NamedLoss):
    """log(cosh(prediction - target))."""

    kind: Literal["log_cosh"]


class Crossentropy(NamedLoss):
    """A cross-entropy."""

    is_metric = True

    if TYPE_CHECKING:
        from_logits: bool

    @property
    def predicts_logits(self) -> bool:
        return self.from_logits

    def warnings(self, last_activation: str | None) -> tuple[str, ...]:
        if self.from_logits or last_activation != "linear":
            return ()
        mend = f"set from_logits: true, or end in {self.activation}"
        return (f"{self.kind} takes probabilities, the model gives raw scores: {mend}",)


class BinaryCrossentropy(Crossentropy):
    """-target * log(p) - (1 - target) * log(1 - p); probabilities are clipped to [1e-7, 1 - 1e-7], as Keras does."""

    activation = "sigmoid"

    kind: Literal["binary_crossentropy"]
    from_logits: bool = False
    """true: the prediction is a logit; false: a probability."""
    label_smoothing: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    """Squeezes targets towards one half."""


class CategoricalCrossentropy(Crossentropy):
    """-sum(target * log(p)) over the last axis, targets one-hot; Keras's normalisation and clipping."""

    activation = "softmax"

    kind: Literal["categorical_crossentropy"]
    from_logits: bool = False
    """true: the predictions are logits; false: probabilities."""
    label_smoothing: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    """Squeezes targets towards uniform."""


class SparseCategoricalCrossentropy(Crossentropy):
    """-log(p[target]), targets are class labels 0, 1, ..."""

    activation = "softmax"
    takes_labels = True

    kind: Literal["sparse_categorical_crossentropy"]
    from_logits: bool = False
    """true: the predictions are logits; false: probabilities."""


class Hinge(NamedLoss):
    """max(0, 1 - target * prediction); labels 0 and 1 are read as -1 and 1, as in Keras."""

    signed = True

    kind: Literal["hinge"]


class SquaredHinge(NamedLoss):
    """max(0, 1 - target * prediction)**2, labels as in hinge."""

    signed = True

    kind: Literal["squared_hinge"]


class CategoricalHinge(NamedLoss):
    """max(0, 1 + best wrong score - right score), targets one-hot."""

    kind: Literal["categorical_hinge"]


class Poisson(NamedLoss):
    """prediction - target * log(prediction + 1e-7)."""

    kind: Literal["poisson"]


class KlDivergence(NamedLoss):
    """sum(target * log(target / prediction)) over the last axis, both clipped to [1e-7, 1]."""

    kind: Literal["kl_divergence"]
