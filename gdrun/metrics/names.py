"""Names of metrics, and the direction in which they improve. No TensorFlow, so that configs are checked without it."""

from __future__ import annotations

from typing import Literal, get_args

MetricName = Literal[
    "mse",
    "rmse",
    "mae",
    "max_error",
    "r2",
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "binary_crossentropy",
    "categorical_crossentropy",
    "sparse_categorical_crossentropy",
    "cosine_similarity",
    "precision",
    "recall",
]
"""Every named metric."""

METRIC_NAMES: tuple[MetricName, ...] = get_args(MetricName)

HIGHER_IS_BETTER = frozenset(
    {
        "r2",
        "accuracy",
        "binary_accuracy",
        "categorical_accuracy",
        "sparse_categorical_accuracy",
        "cosine_similarity",
        "precision",
        "recall",
    }
)
"""The metrics that training should raise; every other one, and every loss, should fall."""


def higher_is_better(name: str) -> bool:
    """Return whether the number `name` should rise; "validation_accuracy" is judged as "accuracy"."""
    return name.removeprefix("validation_") in HIGHER_IS_BETTER
