"""Losses without a fixed form: a formula, and the model's own output."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gdrun.config.section import Formula
from gdrun.formula.evaluate import Scope, evaluate
from gdrun.formula.parse import parse

from .base import LossFunction, LossSection, check_scalar, scalar

if TYPE_CHECKING:
    import tensorflow as tf


_OUTPUT = "the model's output, which is the objective,"


class FormulaLoss(LossSection):
    """A scalar by formula of prediction, target, inputs, parameters, constants and defined values."""

    compares = False
    weighs_examples = False
    error_path = ("loss", "formula")

    kind: Literal["formula"]
    formula: Formula
    """The loss, for example 0.5 * sum((prediction - target)**2)."""

    def formulas(self) -> dict[str, Any]:
        return {"formula": self.formula}

    def check_trial(self, scope: Scope, prediction: Any, target: np.ndarray | None) -> None:
        check_scalar(np.shape(evaluate(parse(self.formula), scope, owner="loss.formula")))

    def build(self, dtype: tf.DType) -> LossFunction:
        expression = parse(self.formula)

        def loss(scope: Scope, prediction: Any, target: tf.Tensor | None) -> tf.Tensor:
            return scalar(evaluate(expression, scope, owner="loss.formula"), dtype)

        return loss


class OutputLoss(LossSection):
    """The model's own output is the objective; it must be a scalar."""

    is_the_models_output = True
    compares = False
    weighs_examples = False
    error_path = ("model", "formula")

    kind: Literal["output"]
    maximize: bool = False
    """true: maximize the output instead of minimizing it."""

    def check_trial(self, scope: Scope, prediction: Any, target: np.ndarray | None) -> None:
        if not isinstance(prediction, dict):
            check_scalar(np.shape(prediction), _OUTPUT)

    def build(self, dtype: tf.DType) -> LossFunction:
        def loss(scope: Scope, prediction: Any, target: tf.Tensor | None) -> tf.Tensor:
            value = scalar(prediction, dtype, what=_OUTPUT)
            return self.of_output(value)

        return loss

    def of_output(self, output: Any) -> Any:
        return -output if self.maximize else output
