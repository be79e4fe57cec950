"""Initial values of parameters, and the settings that give them. Below the models and the layers, which share them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import AfterValidator, Field, Tag, WithJsonSchema

from gdrun.config.name_scopes import Use
from gdrun.config.section import Number, PositiveNumber, Section, by_form, check_array, check_formula
from gdrun.errors import ConfigPath
from gdrun.formula import numpy_ops
from gdrun.formula.evaluate import Scope, evaluate
from gdrun.formula.parse import parse
from gdrun.random_streams import RandomNumbers, stream

if TYPE_CHECKING:
    import keras

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
"""Keras's initializers by their names there; torch_linear: uniform within 1 / sqrt(inputs of a unit), the kernel's and
the bias's, as PyTorch begins its linear layers and convolutions."""
INITIALIZERS: tuple[str, ...] = Initializer.__args__  # type: ignore[attr-defined]


_KERAS_SPELLINGS = {"deviation": "stddev", "low": "minval", "high": "maxval"}


class InitializerSection(Section):
    """An initializer of Keras with its settings."""

    keras_name: ClassVar[str]
    """Name of its class in keras.initializers."""

    def build(self, seed: int) -> keras.initializers.Initializer:
        """Return Keras's initializer."""
        import keras

        settings = {_KERAS_SPELLINGS.get(name, name): value for name, value in self if name != "kind"}
        return getattr(keras.initializers, self.keras_name)(seed=seed, **settings)


class NormalInitializer(InitializerSection):
    """Normal numbers."""

    keras_name = "RandomNormal"

    kind: Literal["normal"]
    deviation: PositiveNumber = 0.05
    """Standard deviation."""
    mean: Number = 0.0
    """Mean."""


class TruncatedNormalInitializer(NormalInitializer):
    """Normal numbers, those beyond two deviations drawn again."""

    keras_name = "TruncatedNormal"

    kind: Literal["truncated_normal"]  # type: ignore[assignment]


class UniformInitializer(InitializerSection):
    """Uniform numbers."""

    keras_name = "RandomUniform"

    kind: Literal["uniform"]
    low: Number = -0.05
    """Lower end."""
    high: Number = 0.05
    """Upper end."""


class VarianceScaling(InitializerSection):
    """Numbers of mean 0 and variance scale / fan, which glorot, he and lecun are cases of."""

    keras_name = "VarianceScaling"

    kind: Literal["variance_scaling"]
    scale: PositiveNumber = 1.0
    """Factor of the variance."""
    mode: Literal["fan_in", "fan_out", "fan_avg"] = "fan_in"
    """fan: the inputs of a unit, its outputs, or their mean."""
    distribution: Literal["truncated_normal", "untruncated_normal", "uniform"] = "truncated_normal"
    """Distribution of the numbers."""


class OrthogonalInitializer(InitializerSection):
    """An orthogonal matrix, times a factor."""

    keras_name = "Orthogonal"

    kind: Literal["orthogonal"]
    gain: Number = 1.0
    """Factor of the matrix."""


InitializerKind = Annotated[
    NormalInitializer | TruncatedNormalInitializer | UniformInitializer | VarianceScaling | OrthogonalInitializer,
    Field(discriminator="kind"),
]


def _plain_weights(value: Any) -> Any:
    return check_formula(value) if isinstance(value, str) else check_array(value)


InitialWeights = Annotated[
    Annotated[
        Any,
        AfterValidator(_plain_weights),
        WithJsonSchema(
            {
                "title": "a number, nested lists of numbers, the name of an initializer, a formula",
                "anyOf": [{"enum": list(INITIALIZERS)}, {"type": ["number", "array", "string"]}],
            }
        ),
        Tag("<scalar>"),
    ]
    | Annotated[InitializerKind, Tag("<mapping>")],
    by_form("scalar", "mapping"),
]
"""A number that fills the weight, an array that is it, the name of an initializer, one with its settings, `{kind:
normal, deviation: 0.02}`, or a formula of constants, `normal(0, 0.02)`, whose draws have the weight's shape."""


def initial_uses(section: Section, path: ConfigPath, constants: tuple[str, ...]) -> Iterator[Use]:
    """Yield the formulas among the initial weights of a network's or layer's `section` at `path`."""
    for name, value in section:
        if isinstance(value, str) and (name in KERAS_INITIALIZERS or name.endswith("_initializer")):
            yield Use((*path, name), value, (*constants, *INITIALIZERS), phase="start")


KERAS_INITIALIZERS = {
    "kernel": "kernel_initializer",
    "recurrent_kernel": "recurrent_initializer",
    "bias": "bias_initializer",
    "embeddings": "embeddings_initializer",
    "depthwise_kernel": "depthwise_initializer",
    "pointwise_kernel": "pointwise_initializer",
}
"""Setting of layers, and weight in Keras -> name of its initializer in Keras."""


@dataclass(frozen=True)
class InitialContext:
    """Surroundings of initial values that are formulas.

    Args:
        constants: the config's constants, evaluated.
        random: draws them, one after the other; None: each has a stream of its own, so that a further parameter changes
            no other one.
    """

    constants: Mapping[str, np.ndarray] = field(default_factory=dict)
    random: RandomNumbers | None = None

    def value(self, text: Any, seed: int, position: int, draw_shape: tuple[int, ...] | None = None) -> np.ndarray:
        """Return the value of a formula of constants, whose stream of draws is that of `seed` and `position`."""
        random = self.random or stream(seed, "initial", position)
        scope = Scope(self.constants, ops=numpy_ops.table(random), draw_shape=draw_shape)
        return numpy_ops.number(evaluate(parse(text), scope, owner="initial"))


class Initial(NamedTuple):
    """A parameter before training."""

    raw: np.ndarray
    """Value before the transform, float64 (or complex128); cast to the run's precision by the engine."""
    trainable: bool = True
    transform: str | None = None
