"""Names of the metrics that are functions of their own. Apart from the family, so that reading runs does not load it.

One name here and a function of this name in `gdrun.metrics.functions` add one. Losses whose mean is a metric too say so
in their classes (`LossSection.is_metric`).
"""

from __future__ import annotations

LOWER_IS_BETTER = ("mse", "rmse", "mae", "max_error")
HIGHER_IS_BETTER = (
    "r2",
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "cosine_similarity",
    "precision",
    "recall",
)


def higher_is_better(name: str) -> bool:
    """Return whether training should raise the watched number `name`; every loss should fall.

    "validation_accuracy" is judged as "accuracy".
    """
    return name.removeprefix("validation_") in HIGHER_IS_BETTER
