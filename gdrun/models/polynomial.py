"""The polynomial of one input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gdrun.config.located import located_within
from gdrun.config.section import Array, Count
from gdrun.errors import ComponentError
from gdrun.formula.evaluate import Scope

from .base import BoundModel, ModelContext, ModelFunction, ModelSection
from .initial import Initial

if TYPE_CHECKING:
    import tensorflow as tf


class PolynomialModel(ModelSection):
    """prediction = sum of coefficients[k] * x**k, by Horner's rule, for one input x."""

    kind: Literal["polynomial"]
    degree: Count
    """Highest power."""
    coefficients: Array = 0.0
    """Initial coefficients from the constant upwards, (degree + 1,); a number fills them."""

    def parameter_names(self) -> tuple[str, ...]:
        return ("coefficients",)

    def build(self, context: ModelContext) -> PolynomialFunction:
        from .keras_initializers import initial_weights

        inputs = context.inputs
        if len(inputs) != 1:
            raise ComponentError(f"a polynomial takes one input, the data has {len(inputs)}: {', '.join(inputs)}")
        with located_within("coefficients"):
            value = initial_weights(self.coefficients, (self.degree + 1,))
        return PolynomialFunction({"coefficients": Initial(value)}, self.degree)


@dataclass(frozen=True)
class PolynomialFunction(ModelFunction):
    """prediction = sum of coefficients[k] * x**k, by Horner's rule."""

    degree: int

    def bind(self, state: Mapping[str, tf.Tensor], *, inputs: Sequence[str], training: bool) -> BoundModel:
        import tensorflow as tf

        def predict(scope: Scope) -> tf.Tensor:
            x = scope[inputs[0]]
            coefficients = scope["coefficients"]
            result = tf.zeros_like(x) + coefficients[self.degree]
            for power in range(self.degree - 1, -1, -1):
                result = result * x + coefficients[power]
            return result

        return BoundModel({"prediction": predict})
