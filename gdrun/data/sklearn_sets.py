"""Data sets of scikit-learn: those bundled with it, and those that its generators draw. The extra `sklearn`."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from gdrun.errors import DataError
from gdrun.random_streams import RandomNumbers
from gdrun.text import safe_text

from .columns import Columns, chosen_features
from .dataset import Dataset, dataset
from .extras import require
from .files import beyond_rows, row_range

MAX_NUMBERS = 2**27
"""Most numbers that a generated data set may hold."""


def sklearn_data(
    name: str,
    *,
    inputs: Mapping[str, Columns] | None = None,
    rows: str | None = None,
    settings: Mapping[str, Any] | None = None,
    random: RandomNumbers | None = None,
) -> Dataset:
    """Return a data set of scikit-learn, float64.

    Args:
        name: of a bundled data set ("iris"), or of a generator ("make_moons").
        inputs: input name -> a column, (N,), or several, (N, k), by feature name or position; None: all as `x`, (N, F).
        rows: half-open range of examples.
        settings: of a generator, under scikit-learn's names.
        random: draws where the settings give no random_state. A RandomState goes to the generator as it is, so that
            it draws what it draws after `np.random.seed`; a Generator gives it a seed.
    Returns:
        features as inputs; labels (N,), numbers (N,), or rows of numbers (N, K) as target.
    Raises:
        ResourceError: scikit-learn is not installed.
        DataError: for settings that the generator refuses, an unknown column, a range beyond the examples.
    """
    sets = require("sklearn.datasets", extra="sklearn", what=f"the data set {name}")
    names = None
    if name.startswith("make_"):
        features, target = _drawn(getattr(sets, name), name, dict(settings or {}), random)
    else:
        bunch = getattr(sets, f"load_{name}")()
        features, target, names = bunch.data, bunch.target, [str(feature) for feature in bunch.feature_names]
    first, stop = row_range(rows)
    if len(features) < (stop or 0) or len(features) <= first:
        raise beyond_rows(rows, name, len(features))
    chosen = slice(first, stop)
    arrays = chosen_features(np.asarray(features, np.float64)[chosen], names, inputs, name)
    return dataset(arrays, np.asarray(target, np.float64)[chosen])


def _drawn(generator: Any, name: str, settings: dict[str, Any], random: RandomNumbers | None) -> tuple[Any, Any]:
    size, width = settings.get("n_samples", 100), settings.get("n_features", 100)
    if isinstance(size, (int, float)) and isinstance(width, (int, float)) and size * max(width, 1) > MAX_NUMBERS:
        raise DataError(
            f"{size:,} examples of {width:,} features are more than the {MAX_NUMBERS:,} numbers allowed",
            within=("settings", "n_samples"),
        )
    if settings.get("random_state") is None and random is not None:
        is_state = isinstance(random, np.random.RandomState)
        settings["random_state"] = random if is_state else int(random.integers(2**32))  # type: ignore[union-attr]
    settings = {key: list(value) if isinstance(value, tuple) else value for key, value in settings.items()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            features, target = generator(**settings)
    except (ValueError, TypeError, RuntimeWarning, MemoryError) as error:
        raise DataError(
            f"{name} refuses these settings: {safe_text(str(error).splitlines()[0], limit=300)}", within=("settings",)
        ) from None
    return features, target
