"""Section `sweep:`, the axes and the search of `gdrun sweep`; every other command ignores it."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from gdrun.config.section import PositiveInteger, Section, ShortSection, Whole, check_integer

Space = Annotated[
    Any,  # `axes` reads it from the tree of values with places, for messages that point into its text
    WithJsonSchema(
        {
            "title": "a space: a list of values, or a text such as log:1e-4:1:50",
            "type": ["array", "string", "number", "boolean", "null", "object"],
        }
    ),
]
"""The values that one key takes."""

Spaces = dict[str, Space]


def _lane_count(value: Any) -> Any:
    value = check_integer(value)
    if value in ("auto", "off") or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise ValueError("lanes is a number of trials from 1, auto, or off")


LaneCount = Annotated[
    Any,
    AfterValidator(_lane_count),
    WithJsonSchema(
        {
            "title": "auto, off or a number of trials",
            "anyOf": [{"enum": ["auto", "off"]}, {"type": "integer", "minimum": 1}],
        }
    ),
]


class Search(ShortSection):
    """Trials that are proposed one batch after the other, by the results before. Needs the extra `search`."""

    short = "kind"

    kind: Literal["tpe", "random", "cmaes", "gp", "qmc"]
    """Optuna's sampler: tpe: a tree of Parzen estimators; random; cmaes: CMA-ES, for numbers only; gp: a Gaussian
    process, for few trials; qmc: a quasi-random sequence."""
    metric: str | None = None
    """Metric that is optimized; null: that of the sweep."""
    batch: PositiveInteger | None = None
    """Trials that are asked for at once and run as lanes; null: 16, or 64 with `prune`; of random and qmc, which learn
    nothing from results, all of them."""
    prune: bool = False
    """Drop the weaker half of a batch's lanes while they train, at total_steps / 2, / 4, ..., as long as 16 are left
    (successive halving)."""


class Sweep(Section):
    """The sweep that `gdrun sweep` makes when its command line names no axis."""

    left_out = True

    over: Spaces = Field(default_factory=dict)
    """Key -> space: a list, lin:0:1:11 and log:1e-4:1:50 (ends included), range:0:5 (half-open), uniform:0:1,
    loguniform:1e-5:1. Several keys make a grid, the first one slowest."""
    zip: Spaces = Field(default_factory=dict)
    """Key -> space, all of one length: the first values together, then the second ones, ..."""
    trials: Annotated[int, Field(ge=1, le=1_000_000), Whole] | None = None
    """Number of points to draw where a space is a distribution, for each point of the grid of the others; of a search,
    number of trials."""
    search: Search | None = None
    """Propose trials by the results of earlier ones, instead of trying all."""
    metric: str = "loss"
    """Metric that trials are ranked by: loss, validation_loss, or a metric such as accuracy."""
    direction: Literal["auto", "minimize", "maximize"] = "auto"
    """auto: maximize for accuracy, precision, recall, r2 and their like, else minimize."""
    lanes: LaneCount = "auto"
    """Trials that train side by side in one program: auto: as many as pay; a number: at most so many, rounded up to a
    multiple of 16; off: one after the other."""
    value: Literal["final", "best"] = "final"
    """Value of the metric that counts for a trial: the one at its end, or the best that was recorded."""
