"""The named metrics. No TensorFlow, so that configs can be checked without it.

One name here and a function of this name in `gdrun.metrics.functions` add one; a loss needs no function: its mean is
the metric. Apart from the family, so that reading runs does not load it.
"""

from __future__ import annotations

from typing import Literal, get_args

LowerIsBetter = Literal[
    "mse",
    "rmse",
    "mae",
    "max_error",
    "binary_crossentropy",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
]
HigherIsBetter = Literal[
    "r2",
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "cosine_similarity",
    "precision",
    "recall",
]
MetricName = Literal[LowerIsBetter, HigherIsBetter]
"""Every named metric."""

TAKES_LABELS = frozenset({"sparse_categorical_crossentropy", "sparse_categorical_accuracy"})
"""The metrics whose target is one class number an example; "accuracy" takes both, as the shapes say."""


def higher_is_better(name: str) -> bool:
    """Return whether training should raise the watched number `name`; every loss should fall.

    "validation_accuracy" is judged as "accuracy".
    """
    return name.removeprefix("validation_") in get_args(HigherIsBetter)
