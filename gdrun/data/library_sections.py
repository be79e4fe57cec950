"""Data sets that other libraries know: scikit-learn's and Keras's."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from gdrun.config.messages import got
from gdrun.config.section import Identifier
from gdrun.errors import Problem
from gdrun.suggest import did_you_mean

from .file_sections import Columns, Rows
from .sections import DataSection

BUNDLED = ("iris", "wine", "digits", "breast_cancer", "diabetes", "linnerud")
"""Data sets that come with scikit-learn."""

_SAMPLED = ("n_samples", "random_state")
GENERATORS = {
    "make_blobs": (*_SAMPLED, "n_features", "centers", "cluster_std", "center_box", "shuffle"),
    "make_circles": (*_SAMPLED, "shuffle", "noise", "factor"),
    "make_classification": (
        *_SAMPLED,
        "n_features",
        "n_informative",
        "n_redundant",
        "n_repeated",
        "n_classes",
        "n_clusters_per_class",
        "weights",
        "flip_y",
        "class_sep",
        "hypercube",
        "shift",
        "scale",
        "shuffle",
    ),
    "make_friedman1": (*_SAMPLED, "n_features", "noise"),
    "make_friedman2": (*_SAMPLED, "noise"),
    "make_friedman3": (*_SAMPLED, "noise"),
    "make_gaussian_quantiles": (*_SAMPLED, "mean", "cov", "n_features", "n_classes", "shuffle"),
    "make_hastie_10_2": _SAMPLED,
    "make_moons": (*_SAMPLED, "shuffle", "noise"),
    "make_regression": (
        *_SAMPLED,
        "n_features",
        "n_informative",
        "n_targets",
        "bias",
        "effective_rank",
        "tail_strength",
        "noise",
        "shuffle",
    ),
    "make_s_curve": (*_SAMPLED, "noise"),
    "make_sparse_uncorrelated": (*_SAMPLED, "n_features"),
    "make_swiss_roll": (*_SAMPLED, "noise", "hole"),
}
"""scikit-learn's generators and the settings that may be given: plain ones that do not change what comes back."""


def _plain(value: Any) -> Any:
    """Numbers, true and false, null, and nested lists of numbers."""
    if isinstance(value, (bool, int, float)) or value is None:
        return value
    if isinstance(value, (list, tuple)):
        return tuple(_plain(item) for item in value)
    raise PydanticCustomError(
        "plain", "expected a number, true, false, null or a list of numbers, got {got}", {"got": got(value)}
    )


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


def settings_problems(section: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is wrong with a sklearn section's settings, without places."""
    settings, name = section.get("settings"), section.get("name")
    if not isinstance(settings, Mapping) or not isinstance(name, str):
        return
    known = GENERATORS.get(name)
    if name in BUNDLED and settings:
        told = f"{name} is a data set as it is and has no settings"
        yield Problem(told, ("data", "settings"), "settings are for the generators, make_...", key=True)
    for key in settings if known is not None else ():
        assert known is not None
        if key not in known:
            near = did_you_mean(key, known, allowed="it has")
            yield Problem(
                f"{name} has no setting '{key}' that can be given here", ("data", "settings", key), near, key=True
            )


class NamedData(DataSection):
    """A data set by its name."""

    inputs: Annotated[dict[Identifier, Columns], Field(min_length=1)] | None = None
    """`{name: column}`, columns by position (from 0), or by name where the data set names them; null: all that there
    is, as `x`."""
    rows: Rows | None = None
    """A half-open range of examples, "0:1500"."""

    def input_names(self) -> tuple[str, ...]:
        return ("x",) if self.inputs is None else tuple(self.inputs)


class SklearnData(NamedData):
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
    """Which: the load_... or make_... of sklearn.datasets."""
    settings: dict[str, Plain] = Field(default_factory=dict)
    """Of a generator, under scikit-learn's names. Without a random_state, the config's seed draws."""


class KerasData(NamedData):
    """A data set of keras.datasets that is on disk already, in $KERAS_HOME/datasets; nothing is downloaded.

    As in Keras, the housing data is shuffled by RandomState(113), and its last fifth is the test part.
    """

    kind: Literal["keras"]
    name: Literal["mnist", "fashion_mnist", "cifar10", "cifar100", "boston_housing", "california_housing"]
    """Which."""
    part: Literal["train", "test"] = "train"
    """Which part; `validation: {part: test}` holds the other."""
