"""Section `record:`, the rows that are written while training."""

from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, Tag, WithJsonSchema, model_validator

from gdrun.config.section import Count, Formula, Identifier, Section, by_form, check_integer


def _interval(value: Any) -> Any:
    value = check_integer(value)
    if value in ("auto", "epoch") or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise ValueError("every is auto, epoch, a number of steps, or a list of steps")


Interval = Annotated[
    Any,
    AfterValidator(_interval),
    WithJsonSchema(
        {
            "title": "auto, epoch or a number of steps",
            "anyOf": [{"enum": ["auto", "epoch"]}, {"type": "integer", "minimum": 1}],
        }
    ),
]


class Record(Section):
    """Rows of metrics.jsonl. Row `step: k` is the state after k updates and what update k + 1 sees."""

    every: Annotated[
        Annotated[Interval, Tag("<scalar>")] | Annotated[tuple[Count, ...], Tag("<sequence>")],
        by_form("scalar", "sequence"),
    ] = "auto"
    """auto: every step up to 512, then 128 an octave; a number of steps, at each of which metrics and validation are
    computed; epoch; or a list of steps. The first and the last state always have a row."""
    parameters: bool | None = None
    """Write the parameters into each row; null: while they are ten numbers or fewer."""
    gradients: bool = False
    """Write the gradients into each row."""
    state: bool = False
    """Write the optimizer's state into each row: momenta, moments, the state of an update rule."""
    norms: bool = False
    """Write the Euclidean norms of the gradients and of the trained weights, layer by layer, into each row."""
    formulas: dict[Identifier, Formula] = Field(default_factory=dict)
    """Further columns, evaluated before update k + 1: of parameters, prediction, target, loss, ..."""
    after: dict[Identifier, Formula] = Field(default_factory=dict)
    """Further columns at the new parameters, on the batch that update k saw."""
    batch_means: dict[Identifier, Formula] = Field(default_factory=dict)
    """Further columns at ends of epochs: the mean over the epoch's updates, each of which counts alike."""
    example_means: dict[Identifier, Formula] = Field(default_factory=dict)
    """The same, each update weighted by its examples, as Keras's `fit` shows loss and metrics that are means."""

    @property
    def means(self) -> dict[str, Any]:
        """The formulas whose means over an epoch are recorded."""
        return self.batch_means | self.example_means

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [*self.formulas, *self.after, *self.batch_means, *self.example_means]
        if twice := [name for name in names if names.count(name) > 1]:
            raise ValueError(f"the column '{twice[0]}' is given twice in record")
        return self
