"""Section of the whole file: an experiment."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, Discriminator, Field, Tag, WithJsonSchema, model_validator

from gdrun.config.custom import CustomSection
from gdrun.config.section import Count, Formula, Identifier, PartOf, PositiveInteger, Section, Whole, by_form, refusal
from gdrun.data import Data
from gdrun.errors import ConfigPath, FormulaError, Problem
from gdrun.formula.nodes import FunctionDefinition
from gdrun.formula.parse import check_name, parse_function
from gdrun.losses import Loss, default_loss
from gdrun.losses.base import LossSection
from gdrun.metrics import Metric, MetricName
from gdrun.models import Model
from gdrun.optimizers import Optimizer
from gdrun.schedules.sections import Schedule
from gdrun.suggest import did_you_mean

from .checkpoint import CheckpointSettings
from .expect import Expect
from .gradients import Gradients
from .record import Record
from .sweep import Sweep

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"


Seed = Annotated[int, Field(ge=0, lt=2**32), Whole]


class Seeds(Section):
    """A seed for each source of chance, so that one varies and the others stay."""

    data: Seed = 0
    """Draws constants, data, noise, the split, and the table of a sweep or search."""
    initial: Seed = 0
    """Draws initial values, and what dropout and other random layers draw while training."""
    batches: Seed = 0
    """Draws the order of the examples, and what formulas draw within a step."""


class RepeatedDefinition(Section):
    """A value computed by repetition."""

    start: Formula
    """The first value."""
    repeat: Formula
    """The next value, of the current one (by the definition's own name) and the counter i, from 0."""
    while_: Formula | None = Field(default=None, alias="while")
    """Repeat while this is true."""
    at_most: PositiveInteger | None = None
    """Bound on the repetitions; `while` needs one."""
    times: Count | None = None
    """Number of repetitions, instead of `while`."""
    define: dict[Identifier, Formula] = Field(default_factory=dict)
    """Further names in each round, in order, for `repeat` and `while`."""
    keep: Literal["last", "all"] = "last"
    """last: the value is the last one; all: all of them, the first included, along a new first axis."""

    exclusive = (("while", "times"),)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.while_ is None) == (self.times is None):
            raise ValueError("give times, or while with at_most")
        if (self.while_ is None) != (self.at_most is None):
            raise ValueError("while and at_most go together")
        return self


class StateDefinition(Section):
    """A value that is kept from step to step, as part of the state of training."""

    start: Formula
    """Its value at step 0, of constants, parameters, weights of networks, draws, and values above that are kept."""
    next: Formula
    """Its value at the step that follows, of all that formulas see at this one: before the update, on its batch."""
    final: bool = False
    """true: the parameter, layer or network that `start` names ends on this value, an average of it."""


def is_function(key: str) -> bool:
    """Return whether a key of `define` is the head of a function, f(p), and not the name of a value."""
    return "(" in key


def _definition_key(key: str) -> str:
    problem = None
    try:
        if is_function(key):
            parse_function(key, 0)
        else:
            problem = check_name(key)
    except FormulaError as error:
        problem = error
    if problem is not None:
        raise refusal(Problem(problem.message, hint=problem.hint, key=True))
    return key


DefinitionKey = Annotated[
    str,
    AfterValidator(_definition_key),
    WithJsonSchema(
        {"title": "a name, or f(p, q=2)", "type": "string", "pattern": r"^[A-Za-z][A-Za-z0-9_]{0,63}(\(.*\))?$"}
    ),
]


def _form(value: Any) -> str:
    if isinstance(value, Mapping | Section):
        return "<state>" if "next" in (value if isinstance(value, Mapping) else value.model_fields_set) else "<loop>"
    return "<scalar>"


Definition = Annotated[
    Annotated[Formula, Tag("<scalar>")]
    | Annotated[RepeatedDefinition, Tag("<loop>")]
    | Annotated[StateDefinition, Tag("<state>")],
    Discriminator(_form),
]


PHASE_KEYS = ("define", "model", "loss", "metrics", "optimizer", "gradients", "schedule", "record")
"""Keys that a phase may have; the others are those of the whole file."""

Phase = Annotated[dict[str, Any], PartOf(lambda: Experiment)]


class Experiment(Section):
    """A gradient-descent experiment: data, model, loss, optimizer, schedule."""

    name: Annotated[str, Field(pattern=NAME_PATTERN)] | None = None
    """Name of the run; null: the file's stem."""
    description: str = ""
    """One line that describes the experiment."""
    seed: Annotated[
        Annotated[Seed, Tag("<scalar>")] | Annotated[Seeds, Tag("<mapping>")], by_form("scalar", "mapping")
    ] = 0
    """Determines every draw: data, noise, split, initial values, batches, dropout. A mapping has a seed for each."""
    random: Literal["streams", "legacy"] = "streams"
    """streams: numpy's default_rng, one stream a purpose; legacy: one numpy RandomState(seed), in the order
    constants, data, split, initial values by formula, batches, for the numbers of a notebook with np.random.seed."""
    precision: Literal["float32", "float64"] = "float32"
    """Floating-point type of data, parameters and arithmetic."""
    compile: Literal["auto", "xla", "graph", "eager"] = "auto"
    """auto: xla, or graph where the config is faster so; xla: fused programs; graph: the digits of eager TensorFlow;
    eager: one operation at a time, for debugging."""
    device: Annotated[str, Field(pattern=r"^(auto|cpu|gpu(:\d+)?)$")] = "auto"
    """Device that computes; auto: a GPU if there is one."""
    constants: dict[Identifier, Formula] = Field(default_factory=dict)
    """Named values, evaluated once in float64, usable in every formula."""
    data: Data | None = None
    """Source of the examples; none: the model's formula is the objective."""
    define: dict[DefinitionKey, Definition] = Field(default_factory=dict)
    """Named intermediate values, evaluated where they are used, in model, loss, record, stop; values that are kept from
    step to step; and functions with arguments, `f(p, q=2): p**2 + q`, for the lines below and all other formulas."""
    model: Model
    """The model, which turns inputs into predictions."""
    loss: Loss | None = None
    """The objective that is minimised; null: mse with a target, else the model's output."""
    metrics: Annotated[tuple[Metric, ...], Field(max_length=64)] = ()
    """Numbers that are reported beside the loss, on training and validation data."""
    optimizer: Optimizer
    """The optimizer, which turns gradients into updates of the parameters."""
    gradients: Gradients | None = None
    """Derivatives written by hand, which `gdrun check-grad` checks; null: none."""
    schedule: Schedule
    """Length, batches, learning rates and stopping rules of the training."""
    phases: tuple[Phase, ...] = ()
    """Partial configs that are trained one after the other, each merged over the whole file: its optimizer, schedule,
    loss, record, and what is trainable. Empty: there is one phase."""
    record: Record = Field(default_factory=Record)
    """Rows and columns that are written while training."""
    checkpoint: CheckpointSettings = Field(default_factory=CheckpointSettings)
    """Checkpoints that are saved while training, from which `gdrun resume` continues."""
    expect: Expect = Field(default_factory=Expect)
    """Expected results, which `gdrun check` asserts."""
    sweep: Sweep = Field(default_factory=Sweep)
    """The sweep that `gdrun sweep` makes when its command line names no axis; `train` ignores it."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        for key, value in self.define.items():
            if is_function(key) and isinstance(value, Section):
                message = f"a function of define is one formula, not a loop or a state: '{key}'"
                raise refusal(Problem(message, ("define", key), key=True))
        return self

    def functions(self) -> dict[str, FunctionDefinition]:
        """Return the functions of `define` by the names they are called by."""
        functions = [parse_function(key, value) for key, value in self.define.items() if is_function(key)]
        return {function.name: function for function in functions}

    @property
    def seeds(self) -> Seeds:
        """The seed of each source of chance; one that is given alone is the seed of all."""
        return (
            self.seed if isinstance(self.seed, Seeds) else Seeds(data=self.seed, initial=self.seed, batches=self.seed)
        )

    @property
    def objective_loss(self) -> LossSection:
        """The loss that is minimised: where the config gives none, mse with a target, else the model's output."""
        return self.loss or default_loss(has_target=self.data is not None and self.data.has_target)

    @property
    def metric_names(self) -> list[str]:
        """The names of the metrics, in order."""
        return [metric.name for metric in self.metrics]

    @property
    def computed_names(self) -> tuple[str, ...]:
        """The names of the loss and the metrics, of validation data too, that are computed at the end of a run."""
        names = ("loss", *self.metric_names)
        validated = self.data is not None and self.data.validation is not None
        return (*names, *(f"validation_{name}" for name in names)) if validated else names

    def metric_problems(
        self,
        name: str,
        path: ConfigPath,
        *,
        key: bool = False,
        computed: Sequence[str] | None = None,
        wrong: str = "is not computed",
    ) -> Iterator[Problem]:
        """Yield the problem of a metric that the config asks for at `path` and that is not among `computed`.

        Args:
            computed: None: `computed_names`.
            wrong: the problem in words.
        """
        computed, metric = computed or self.computed_names, name.removeprefix("validation_")
        if name in computed:
            return
        if name != metric and "validation_loss" not in computed:
            hint: str | None = f"add data.validation, or name {computed[0]} here"
        elif metric in get_args(MetricName):
            hint = f"add {metric} to metrics"
        else:
            hint = did_you_mean(name, computed, allowed="it can be")
        yield Problem(f"the metric '{name[:64]}' {wrong}", path, hint, key=key)

    def watch_problems(self, watchable: Sequence[str]) -> Iterator[Problem]:
        """Yield rules that watch a metric which is not among `watchable`, those that an epoch ends with; likewise the
        metric of the best checkpoints, which any row's loss can be."""
        for path, watch in self.schedule.watches():
            is_written = "metric" in watch.model_fields_set
            place = (*path, "metric") if is_written else path
            wrong = "is not known at the end of an epoch"
            yield from self.metric_problems(watch.metric, place, key=not is_written, computed=watchable, wrong=wrong)
        if self.checkpoint.metric is not None:
            computed = ("loss", *(name for name in watchable if name != "loss"))
            place = ("checkpoint", "metric")
            yield from self.metric_problems(self.checkpoint.metric, place, computed=computed, wrong="is not recorded")

    def custom_parts(self) -> Iterator[tuple[ConfigPath, CustomSection]]:
        """Yield every part that a plugin brings, with its place."""
        sections: dict[ConfigPath, object] = {(name,): getattr(self, name) for name in ("data", "model", "loss")}
        sections |= {("data", "validation"): getattr(self.data, "validation", None), ("optimizer",): self.optimizer}
        sections |= {("metrics", position): metric for position, metric in enumerate(self.metrics)}
        yield from ((path, section) for path, section in sections.items() if isinstance(section, CustomSection))
