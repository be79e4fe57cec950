"""Section `expect:`, the expected results that `gdrun check` asserts."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, Tag, model_validator

from gdrun.config.section import Array, Count, Integer, NonNegative, Number, Section, ShortSection, by_form


class Bound(Section):
    """A value with its tolerance, or bounds."""

    value: Array | None = None
    """Expected value: |got - value| <= atol + rtol * |value|."""
    rtol: NonNegative | None = None
    """Relative tolerance; null: the one of `expect`."""
    atol: NonNegative | None = None
    """Absolute tolerance; null: the one of `expect`."""
    below: Number | None = None
    """Every entry must be less than this."""
    above: Number | None = None
    """Every entry must be more than this."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.value is None and self.below is None and self.above is None:
            raise ValueError("give a value, below or above")
        return self


Expected = Annotated[
    Annotated[Array, Tag("<scalar>")] | Annotated[Bound, Tag("<mapping>")], by_form("scalar", "mapping")
]


class TraceRow(ShortSection):
    """Expected values of the row at one step."""

    gathers = "values"

    step: Count
    """The row's step; it is always recorded."""
    values: dict[str, Expected]
    """Column or parameter -> expected value."""
    rtol: NonNegative | None = None
    """Relative tolerance of this row."""
    atol: NonNegative | None = None
    """Absolute tolerance of this row."""


class Predictions(ShortSection):
    """Expected predictions of the trained model."""

    gathers = "inputs"

    inputs: dict[str, Array]
    """Each input by name."""
    value: Array
    """Expected predictions."""
    rtol: NonNegative | None = None
    """Relative tolerance."""
    atol: NonNegative | None = None
    """Absolute tolerance."""


Condition = Annotated[
    Annotated[Any, Tag("<scalar>")] | Annotated[Bound, Tag("<mapping>")], by_form("scalar", "mapping")
]
"""Condition on the value of an axis: a value, to nine digits where it is a number, or bounds."""

TrialsWhere = Annotated[
    Annotated[dict[str, Condition], Tag("<mapping>")] | Annotated[Literal["best"], Tag("<scalar>")],
    by_form("mapping", "scalar"),
]


class ExpectedTrials(Section):
    """Trials of the sweep: what must hold for each of them, or how many of them end in which way."""

    where: TrialsWhere = Field(default_factory=dict)
    """Trials that are meant: axis -> value or bounds; `best`: the best one by the sweep's metric; none: all."""
    values: dict[str, Expected] = Field(default_factory=dict)
    """Axis -> its value, for axes of numbers: `{where: best, values: {lr: {value: 0.3, rtol: 0.1}}}`."""
    count: Count | None = None
    """Expected number of these trials."""
    completed: Count | None = None
    """Expected number of them that complete or are stopped by a rule."""
    diverged: Count | None = None
    """Expected number of them that diverge."""
    status: Literal["completed", "stopped", "diverged"] | None = None
    """Status that each of them ends with; null: any."""
    stopped_by: str | None = None
    """Rule that ends each of them."""
    steps: Count | None = None
    """Updates that each of them makes."""
    diverged_at: Integer | None = None
    """The step whose values are no longer finite, of each of them."""
    loss: Expected | None = None
    """The final loss of each of them."""
    parameters: dict[str, Expected] = Field(default_factory=dict)
    """Final parameters of each of them."""
    metrics: dict[str, Expected] = Field(default_factory=dict)
    """Final metrics of each of them."""
    rtol: NonNegative | None = None
    """Relative tolerance of these values."""
    atol: NonNegative | None = None
    """Absolute tolerance of these values."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.model_fields_set - {"where", "rtol", "atol"}:
            raise ValueError("say what is expected of these trials: a count, a loss, ...")
        return self


class Expect(Section):
    """Expected results, which `gdrun check` asserts. Tolerances are 0 unless given."""

    left_out = True

    rtol: NonNegative = 0.0
    """Relative tolerance of every value that gives none itself."""
    atol: NonNegative = 0.0
    """Absolute tolerance of every value that gives none itself."""
    status: Literal["completed", "stopped", "diverged"] | None = None
    """Status that the run ends with; null: completed or stopped."""
    stopped_by: str | None = None
    """Rule that ends the run: steps, epochs, loss_below, patience, ..."""
    steps: Count | None = None
    """Number of updates that the run makes."""
    diverged_at: Integer | None = None
    """Step whose values are no longer finite."""
    loss: Expected | None = None
    """The loss over the whole training set at the final parameters."""
    parameters: dict[str, Expected] = Field(default_factory=dict)
    """Final parameters, or parts and formulas of them: `W`, `W[0, 1]`, `dense1.kernel[:3]`, `norm(W)`."""
    metrics: dict[str, Expected] = Field(default_factory=dict)
    """Final metrics: r2, validation_loss, validation_accuracy, ..."""
    trace: Annotated[tuple[TraceRow, ...], Field(max_length=4096)] = ()
    """Expected rows: `{step: 100, loss: 0.6188, W: [1.1, 0.2], rtol: 1e-4}`."""
    gradients: dict[str, Expected] = Field(default_factory=dict)
    """Gradients at the final state, by parameter."""
    predictions: Predictions | None = None
    """Predictions of the trained model at given inputs."""
    trials: Annotated[tuple[ExpectedTrials, ...], Field(max_length=256)] = ()
    """Expected trials of the sweep: `{where: {lr: 0.2}, parameters: {x: 0.060466}, rtol: 1e-4}`, `{diverged: 2}`.
    `gdrun check` runs the sweep if there are any."""
