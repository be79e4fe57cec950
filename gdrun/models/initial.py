"""Initial values of parameters, and the settings that give them. Below the models and the layers, which share them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from gdrun.config.section import check_array

Initializer = Literal[
    "zeros",
    "ones",
    "glorot_uniform",
    "glorot_normal",
    "he_uniform",
    "he_normal",
    "lecun_uniform",
    "lecun_normal",
    "random_normal",
    "random_uniform",
    "truncated_normal",
    "orthogonal",
    "identity",
    "torch_linear",
]
INITIALIZERS: tuple[str, ...] = Initializer.__args__  # type: ignore[attr-defined]


def _initial_weights(value: Any) -> Any:
    if isinstance(value, str):
        if value not in INITIALIZERS:
            raise PydanticCustomError(
                "initializer", "unknown initializer '{name}'", {"name": value, "allowed": list(INITIALIZERS)}
            )
        return value
    return check_array(value)


InitialWeights = Annotated[
    Any,
    AfterValidator(_initial_weights),
    WithJsonSchema(
        {
            "title": "a number, nested lists of numbers, or the name of an initializer",
            "anyOf": [{"type": ["number", "array"]}, {"enum": list(INITIALIZERS)}],
        }
    ),
]
"""A number that fills the weight, an array that is it, or the name of a Keras initializer."""


class Initial(NamedTuple):
    """A parameter before training."""

    raw: np.ndarray
    """Value before the transform, float64 (or complex128); cast to the run's precision by the engine."""
    trainable: bool = True
    transform: str | None = None
