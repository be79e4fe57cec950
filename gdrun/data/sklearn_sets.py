"""Data sets of scikit-learn: those bundled with it, and those that its generators draw. The extra `sklearn`."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, Field, WithJsonSchema

from gdrun.config.messages import got
from gdrun.errors import DataError, Problem
from gdrun.extras import require
from gdrun.random_streams import RandomNumbers
from gdrun.suggest import did_you_mean
from gdrun.text import safe_text

from .dataset import Dataset
from .generators import MAX_NUMBERS
from .library import LibraryData
from .section import LoadContext

BUNDLED = ("iris", "wine", "digits", "breast_cancer", "diabetes", "linnerud")
"""Data sets that come with scikit-learn."""

GENERATORS: Mapping[str, tuple[str, ...]] = {
    name: ("n_samples", "random_state", *settings.split())
    for name, settings in {
        "make_blobs": "n_features centers cluster_std center_box shuffle",
        "make_circles": "shuffle noise factor",
        "make_classification": "n_features n_informative n_redundant n_repeated n_classes n_clusters_per_class weights "
        "flip_y class_sep hypercube shift scale shuffle",
        "make_friedman1": "n_features noise",
        "make_friedman2": "noise",
        "make_friedman3": "noise",
        "make_gaussian_quantiles": "mean cov n_features n_classes shuffle",
        "make_hastie_10_2": "",
        "make_moons": "shuffle noise",
        "make_regression": "n_features n_informative n_targets bias effective_rank tail_strength noise shuffle",
        "make_s_curve": "noise",
        "make_sparse_uncorrelated": "n_features",
        "make_swiss_roll": "noise hole",
    }.items()
}
"""scikit-learn's generators and the settings that may be given: plain ones that do not change what comes back. They are
listed, not read off scikit-learn: a config is checked where it is not installed, too."""


def _plain(value: Any) -> Any:
    """Numbers, true and false, null, and nested lists of numbers."""
    if isinstance(value, (bool, int, float)) or value is None:
        return value
    if isinstance(value, (list, tuple)):
        return tuple(_plain(item) for item in value)
    raise ValueError(f"expected a number, true, false, null or a list of numbers, got {got(value)}")


Plain = Annotated[
    Any,
    AfterValidator(_plain),
    WithJsonSchema(
        {
            "title": "a number, true, false, null or a list of numbers",
            "type": ["number", "boolean", "null", "array"],
        }
    ),
]


class SklearnData(LibraryData):
    """A data set of scikit-learn, bundled with it or drawn by its generators; wants the extra `sklearn`."""

    kind: Literal["sklearn"]
    name: Literal[
        "iris",
        "wine",
        "digits",
        "breast_cancer",
        "diabetes",
        "linnerud",
        "make_blobs",
        "make_circles",
        "make_classification",
        "make_friedman1",
        "make_friedman2",
        "make_friedman3",
        "make_gaussian_quantiles",
        "make_hastie_10_2",
        "make_moons",
        "make_regression",
        "make_s_curve",
        "make_sparse_uncorrelated",
        "make_swiss_roll",
    ]
    """Name of the data set: the load_... or make_... of sklearn.datasets."""
    settings: dict[str, Plain] = Field(default_factory=dict)
    """Of a generator, under scikit-learn's names. Without a random_state, the config's seed draws."""

    def problems(self) -> Iterator[Problem]:
        yield from super().problems()
        path = ("data", "settings")
        if self.name in BUNDLED:
            if self.settings:
                message = f"{self.name} is a data set as it is and has no settings"
                yield Problem(message, path, "settings are for the generators, make_...", key=True)
            return
        known = GENERATORS[self.name]
        for key in self.settings:
            if key not in known:
                near = did_you_mean(key, known, allowed="it has")
                message = f"{self.name} has no setting '{key}' that can be given here"
                yield Problem(message, (*path, key), near, key=True)

    def examples(self, context: LoadContext) -> Dataset:
        """Return features as inputs; labels (N,), numbers (N,), or rows of numbers (N, K) as target; float64.

        Raises:
            ResourceError: scikit-learn is not installed.
            DataError: for settings that the generator refuses, an unknown column, a range beyond the examples.
        """
        sets = require("sklearn.datasets", extra="sklearn", what=f"the data set {self.name}")
        names = None
        if self.name in BUNDLED:
            bunch = getattr(sets, f"load_{self.name}")()
            features, target, names = bunch.data, bunch.target, [str(feature) for feature in bunch.feature_names]
        else:
            features, target = _drawn(getattr(sets, self.name), self.name, dict(self.settings), context.generator())
        features, target = np.asarray(features, np.float64), np.asarray(target, np.float64)
        return self.chosen(features, target, what=self.name, names=names)


def _drawn(generator: Any, name: str, settings: dict[str, Any], random: RandomNumbers) -> tuple[Any, Any]:
    """Return what a generator draws, from `random` where the settings give no random_state.

    A RandomState goes to the generator as it is, so that it draws what it draws after `np.random.seed`; a Generator
    gives it a seed.
    """
    size, width = settings.get("n_samples", 100), settings.get("n_features", 100)
    if isinstance(size, (int, float)) and isinstance(width, (int, float)) and size * max(width, 1) > MAX_NUMBERS:
        raise DataError(
            f"{size:,} examples of {width:,} features are more than the {MAX_NUMBERS:,} numbers allowed",
            within=("settings", "n_samples"),
        )
    if settings.get("random_state") is None:
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
