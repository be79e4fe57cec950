"""Layers of several inputs: sums and products, inputs side by side, attention."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import reduce
from typing import Annotated, Any, Literal

from pydantic import Field

from gdrun.config.section import Integer, Number, PositiveInteger

from .base import KerasLayer, KernelLayer


class JoiningLayer(KerasLayer):
    """A layer of two inputs or more, `inputs: [previous, skip]`."""

    least_inputs = 2
    most_inputs = 256

    def arguments(self, values: Sequence[Any]) -> tuple[Any, ...]:
        return (list(values),)


class Add(JoiningLayer):
    """Sum of the inputs, elementwise."""

    kind: Literal["add"]


class Multiply(JoiningLayer):
    """Product of the inputs, elementwise."""

    kind: Literal["multiply"]


class Concatenate(JoiningLayer):
    """Inputs side by side."""

    kind: Literal["concatenate"]
    axis: Integer = -1
    """The axis along which they are joined; 0 is the examples'."""


class MultiHeadAttention(KernelLayer):
    """Attention: each step of the first input looks at all steps of the second, or of its own. Steps that a mask leaves
    out are not looked at."""

    takes_seed = True
    most_inputs = 3

    kind: Literal["multi_head_attention"]
    num_heads: PositiveInteger
    """Number of heads."""
    key_dim: PositiveInteger
    """Size of a head's queries and keys."""
    value_dim: PositiveInteger | None = None
    """Size of a head's values; null: key_dim."""
    causal: bool = False
    """true: a step looks at itself and those before only."""
    dropout: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    """Share of the looks that is set to zero while training."""

    def keras_settings(self) -> dict[str, Any]:
        return {name: value for name, value in super().keras_settings().items() if name != "causal"}

    def arguments(self, values: Sequence[Any]) -> tuple[Any, ...]:
        return (values[0], values[0]) if len(values) == 1 else tuple(values)

    def call_settings(self) -> dict[str, Any]:
        return {"use_causal_mask": True} if self.causal else {}

    def mask_arguments(self, values: Sequence[Any], masks: Sequence[Any]) -> dict[str, Any]:
        query, *others = self.arguments(masks)
        masks = [mask[:, None, :] for mask in others if mask is not None]
        masks += [] if query is None else [query[:, :, None]]
        return {"attention_mask": reduce(operator.and_, masks)} if masks else {}
