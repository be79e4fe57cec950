"""Keras's optimizers, with Keras's names, spelling and defaults, and the groups of parameters that they move.

One class here and one line in `KerasKind` add one. Its settings are Keras's; each number among them may differ between
the lanes of a sweep.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import Field, model_validator

from gdrun.config.located import located_within
from gdrun.config.name_scopes import MOMENT, Use
from gdrun.config.section import (
    BareKind,
    Count,
    Formula,
    LaterUnion,
    NonNegative,
    Number,
    PositiveInteger,
    PositiveNumber,
    Section,
    UnitInterval,
    Whole,
    refusal,
)
from gdrun.errors import ComponentError, ConfigPath, Problem
from gdrun.suggest import unknown

from .base import (
    GivenNames,
    LocatedFormula,
    Moved,
    OptimizerSection,
    OtherSections,
    Parameters,
    PointUpdate,
    Update,
)
from .stability_limit import (
    DECAY_LEFT_OUT,
    DIVISOR_ADAPTS,
    DIVISOR_GROWS,
    DIVISOR_OF_FIRST_STEPS,
    StabilityLimit,
)
from .update_rule import UpdateRule

if TYPE_CHECKING:
    import numpy as np

Decay = Annotated[Number, Field(ge=0, lt=1)]

CLIPS = ("clipnorm", "clipvalue", "global_clipnorm")
_NOT_KERAS = ("kind", "learning_rate", "project", "groups")
NOT_IN_LANES: Mapping[str, str] = {
    "project": "is a formula",
    "learning_rate": "is given at each step, and may differ between lanes without help from here",
    "ema_overwrite_frequency": "counts steps: whether the average overwrites decides what the program is",
    "gradient_accumulation_steps": "counts steps: whether gradients are accumulated decides what the program is",
    "loss_scale_factor": "multiplies the loss as well, outside the optimizer",
    "ns_steps": "is the length of a Python loop",
}
"""Numbers that cannot be tensors in Keras's code, and why; switches such as `nesterov` and `centered` cannot either."""


class ParameterGroup(Section):
    """Parameters that are moved in another way than the rest, or not at all."""

    exclusive = (("learning_rate", "frozen", "optimizer"),)

    parameters: Annotated[tuple[str, ...], Field(min_length=1)]
    """Their names; the name of a layer or network stands for all of its parameters."""
    learning_rate: NonNegative | None = None
    """Takes the place of the optimizer's; the schedule's factor multiplies it, too."""
    frozen: bool = False
    """true: they stay as they are, as with trainable: false."""
    optimizer: Annotated[OptimizerSection, LaterUnion(lambda: SINGLE_KIND)] | None = None
    """An optimizer of their own, or an update rule."""
    when: Formula | None = None
    """They are updated at steps where this is true, of step, epoch and constants, as in mod(step, 6) < 5. At others
    they rest, and so does their optimizer's state."""
    project: Formula | None = None
    """Takes the place of the optimizer's."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = [self.learning_rate is not None, self.frozen, self.optimizer is not None]
        acts = self.when is not None or self.project is not None
        if sum(given) > 1 or not (sum(given) or acts):
            raise ValueError("give one of learning_rate, frozen: true, optimizer; or when, or project")
        if self.frozen and acts:
            raise ValueError("frozen parameters have no updates: leave out when and project")
        if isinstance(self.optimizer, KerasOptimizer) and self.optimizer.groups:
            raise ValueError("the optimizer of a group has no groups of its own")
        return self


class KerasOptimizer(OptimizerSection):
    """Settings that every Keras optimizer has, and what follows from them."""

    exclusive = (CLIPS,)
    keras_name: ClassVar[str] = ""
    """Its class in keras.optimizers, where that is called otherwise than this one."""
    counts: ClassVar[bool] = True
    """True where the update reads the number of updates, which is then a part of the state."""
    bounds_gradients: ClassVar[bool] = False
    """True where the update takes a sign, norm or ratio of the gradient, finite where the gradient is not."""

    weight_decay: NonNegative | None = None
    """Decoupled weight decay: each step also subtracts weight_decay * learning_rate * parameter. In float64 too it is
    the float32 value, as in Keras."""
    clipnorm: PositiveNumber | None = None
    """Each parameter's gradient is scaled down to this norm."""
    clipvalue: PositiveNumber | None = None
    """Gradients are clipped to [-clipvalue, clipvalue]."""
    global_clipnorm: PositiveNumber | None = None
    """All gradients together are scaled down to this norm."""
    use_ema: bool = False
    """Keep an exponential moving average of the parameters; it is what remains at the end."""
    ema_momentum: UnitInterval = 0.99
    """Of that average."""
    ema_overwrite_frequency: PositiveInteger | None = None
    """Overwrite the parameters by their average every so many steps; null: only at the end."""
    gradient_accumulation_steps: Annotated[int, Field(ge=2), Whole] | None = None
    """Average gradients over so many steps and update once."""
    loss_scale_factor: PositiveNumber | None = None
    """Multiply the loss by it and divide the gradients, against underflow."""
    project: Formula | None = None
    """A parameter's value after each update, of parameter, learning_rate, step, epoch and constants:
    clip(parameter, 0, 1). The optimizer does not see what it changes."""
    groups: tuple[ParameterGroup, ...] = ()
    """Other settings for some parameters: `{parameters: [b], learning_rate: 0.1}`, `{parameters: [dense1], frozen:
    true}`, `{parameters: [W], optimizer: {kind: ...}}`. Norms that clip are those of each group alone."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.groups and self.loss_scale_factor is not None:
            raise ValueError("loss_scale_factor is for all parameters together, without groups")
        if self.use_ema and (self.project or any(group.project for group in self.groups)):
            hint = "average them in define: {mean_of_w: {start: w, next: 0.99*mean_of_w + 0.01*w, final: true}}"
            raise refusal(Problem("use_ema averages parameters before project", hint=hint))
        if sum(getattr(self, name) is not None for name in CLIPS) > 1:
            raise ValueError("only one of clipnorm, clipvalue, global_clipnorm can be set")
        return self

    @classmethod
    def keras_class(cls) -> type:
        """Return Keras's class."""
        import keras

        return getattr(keras.optimizers, cls.keras_name or cls.__name__)

    @classmethod
    def lane_settings(cls) -> frozenset[str]:
        """Return the settings that Keras's code also takes as tensors: its numbers."""
        numbers = {name for name, f in cls.model_fields.items() if type(f.default) in (int, float, type(None))}
        return frozenset(numbers - NOT_IN_LANES.keys())

    def is_lane_setting(self, path: ConfigPath) -> bool:
        return len(path) == 1 and path[0] in self.lane_settings()

    def is_switch(self, path: ConfigPath) -> bool:
        """Return whether the setting is off by default, or can be null: Keras asks for it once, in Python."""
        field = type(self).model_fields[str(path[-1])]
        return not field.default or type(None) in get_args(field.annotation)

    @property
    def hides_gradients(self) -> bool:
        """True where the update bounds gradients, rests, or accumulates gradients and moves nothing before the last."""
        own = self.bounds_gradients or self.clipvalue is not None or self.gradient_accumulation_steps is not None
        return bool(own or self.project) or any(
            group.when or group.project or (group.optimizer is not None and group.optimizer.hides_gradients)
            for group in self.groups
        )

    def build(self, parameters: Parameters) -> Update | PointUpdate:
        """Return Keras's own update; with groups, one for each, of which those of this section vary with the lane."""
        from .combined import CombinedUpdate, GroupUpdate

        groups: list[GroupUpdate] = []
        for moved in self.moved(parameters.names):
            subset = parameters.subset(moved.indices)
            with located_within(*moved.within):
                own = moved.section is self
                update = self._update(subset) if own else moved.section.build(replace(subset, per_lane={}))
            groups.append(GroupUpdate(moved.indices, update, moved.when, moved.project, moved.within))
        if len(groups) == 1 and groups[0].when is groups[0].project is None:
            return groups[0].update
        return CombinedUpdate(groups, parameters.names, parameters.ops)

    def _update(self, parameters: Parameters) -> Update:
        from .functional_keras import KerasUpdate

        assert parameters.per_lane.keys() <= self.lane_settings(), sorted(parameters.per_lane)
        return KerasUpdate(
            self.keras_class(),
            # Without the learning rate, which the engine gives with each step (`Step._rate`).
            settings={name: value for name, value in self if name not in _NOT_KERAS},
            per_lane=parameters.per_lane,
            counts=self.counts,
            parameter_names=parameters.names,
        )

    def moved(self, names: Sequence[str]) -> list[Moved]:
        """Return the parameters that are in no group first, if there are any."""
        members = [frozenset(_members(group.parameters, names)) for group in self.groups]
        others = tuple(index for index, name in enumerate(names) if not any(name in member for member in members))
        general = None if self.project is None else (("project",), self.project)
        moved = [Moved(others, self, self.rate, project=general)] if others or not self.groups else []
        for position, (group, member) in enumerate(zip(self.groups, members, strict=True)):
            if group.frozen or not member:
                continue
            indices = tuple(index for index, name in enumerate(names) if name in member)
            place: ConfigPath = ("groups", position)
            when = None if group.when is None else ((*place, "when"), group.when)
            project = None if group.project is None else ((*place, "project"), group.project)
            if group.optimizer is None:
                rate = self.rate if group.learning_rate is None else group.learning_rate
                moved.append(Moved(indices, self, rate, (), when, project or general))
            else:
                rate, within = group.optimizer.rate, (*place, "optimizer")
                moved.append(Moved(indices, group.optimizer, rate, within, when, project))
        return moved

    def frozen(self, names: Sequence[str]) -> frozenset[str]:
        for problem in self._group_problems(names):
            raise ComponentError.of(problem)
        return frozenset(name for group in self.groups if group.frozen for name in _members(group.parameters, names))

    def problems(self, experiment: OtherSections, names: GivenNames) -> Iterator[Problem]:
        """Yield parameters of groups that the model does not have, where that shows without building it."""
        for problem in self._group_problems(names.parameters) if names.parameters is not None else ():
            yield replace(problem, path=("optimizer", *problem.path))
        for position, group in enumerate(self.groups):
            own = ("optimizer", "groups", position)
            for problem in group.optimizer.problems(experiment, names) if group.optimizer is not None else ():
                # A rule may leave the learning rate to the others.
                if problem.path[0] == "optimizer":
                    yield replace(problem, path=(*own, *problem.path))
            for rule in ("parameter_change_below", "parameters_unchanged"):
                if group.when is not None and getattr(experiment.schedule.stop, rule):
                    message = f"{rule} would hold at a step at which these parameters rest"
                    yield Problem(message, (*own, "when"), f"leave out schedule.stop.{rule}, or use another rule")

    def uses(self, constants: tuple[str, ...]) -> Iterator[Use]:
        projected = (*constants, "parameter", "learning_rate", *MOMENT)
        yield Use(("optimizer", "project"), self.project, projected)
        for position, group in enumerate(self.groups):
            own = ("optimizer", "groups", position)
            yield Use((*own, "when"), group.when, (*constants, *MOMENT))
            yield Use((*own, "project"), group.project, projected)
            for use in group.optimizer.uses(constants) if group.optimizer is not None else ():
                yield replace(use, path=(*own, *use.path))

    def start_formulas(self) -> tuple[Any, ...]:
        return tuple(
            formula for group in self.groups if group.optimizer for formula in group.optimizer.start_formulas()
        )

    def conditions(self) -> Iterator[LocatedFormula]:
        yield from (
            (("groups", i, "when"), group.when) for i, group in enumerate(self.groups) if group.when is not None
        )

    def _group_problems(self, names: Sequence[str]) -> Iterator[Problem]:
        group_of: dict[str, int] = {}
        for position, group in enumerate(self.groups):
            for place, written in enumerate(group.parameters):
                path = ("groups", position, "parameters", place)
                members = _members((written,), names)
                if not members:
                    yield from unknown("parameter", written, names, path, key=False)
                for name in members:
                    if group_of.setdefault(name, position) != position:
                        yield Problem(f"'{name}' is in two groups", path, "a parameter belongs to one group at most")

    def stability_limit(self, gradient: np.ndarray, second_moment: np.ndarray | None = None) -> StabilityLimit | None:
        """Return the kind's own limit with what the settings of all kinds do to it."""
        limit = self._own_limit(gradient, second_moment)
        if limit is None:
            return None
        caveats = list(limit.caveats)
        if any(getattr(self, name) is not None for name in CLIPS):
            caveats.append("clipping bounds the steps: beyond the limit the run oscillates instead of diverging")
        if self.use_ema and self.ema_overwrite_frequency:
            caveats.append("overwriting parameters by their average damps oscillations")
        if self.project is not None:
            caveats.append("project moves parameters after each step: where it holds them, there is no limit")
        if limit.divides_by is not None and self.weight_decay:
            caveats.append(DECAY_LEFT_OUT)
        added = len(caveats) > len(limit.caveats)
        return replace(limit, caveats=tuple(caveats), exact=limit.exact and not added)

    def _own_limit(self, gradient: np.ndarray, second_moment: np.ndarray | None) -> StabilityLimit | None:
        return None


def _members(written: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the parameters that a group's names stand for: "dense1" is dense1.kernel and dense1.bias."""
    return [name for name in names if any(name == item or name.startswith(f"{item}.") for item in written)]


def _second_moment(gradient: np.ndarray, second_moment: np.ndarray | None) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return a moving mean of squared gradients, and the caveats of a limit that rests on it."""
    if second_moment is None:
        return gradient**2, (DIVISOR_ADAPTS, DIVISOR_OF_FIRST_STEPS)
    return second_moment, (DIVISOR_ADAPTS,)


def _limit_of_moments(
    factor: float, formula: str, epsilon: float, gradient: np.ndarray, second_moment: np.ndarray | None
) -> StabilityLimit:
    moment, caveats = _second_moment(gradient, second_moment)
    return StabilityLimit(factor, formula, moment**0.5 + epsilon, caveats=caveats, exact=False)


class Sgd(KerasOptimizer):
    """Gradient descent: parameter - learning_rate * gradient, with momentum if asked for."""

    keras_name = "SGD"
    counts = False

    kind: Literal["sgd"]
    learning_rate: NonNegative = 0.01
    """Step size."""
    momentum: Decay = 0.0
    """Heavy-ball momentum. In float64 too it is the float32 value, as in Keras."""
    nesterov: bool = False
    """Nesterov's momentum."""

    def _own_limit(self, gradient: np.ndarray, second_moment: np.ndarray | None) -> StabilityLimit:
        beta = self.momentum
        if not beta:
            return StabilityLimit(2.0, "2 / eigenvalue", adds=self.weight_decay or 0.0)
        caveats = (DECAY_LEFT_OUT,) if self.weight_decay else ()
        factor, formula = 2 * (1 + beta), "2 (1 + momentum) / eigenvalue"
        if self.nesterov:
            factor, formula = factor / (1 + 2 * beta), "2 (1 + momentum) / ((1 + 2 momentum) eigenvalue)"
        return StabilityLimit(factor, formula, caveats=caveats, exact=not caveats)

    def contraction(self, learning_rate: float, eigenvalues: np.ndarray) -> float | None:
        """Return max |1 - learning_rate * eigenvalue|, which is plain gradient descent's."""
        if self.momentum or self.weight_decay or self.groups or self.project:
            return None
        return float(abs(1 - learning_rate * eigenvalues).max())


class AdamSettings(KerasOptimizer):
    """Settings that Adam and AdamW share."""

    second_moment = "velocity"

    learning_rate: NonNegative = 0.001
    """Step size."""
    beta_1: Decay = 0.9
    """Decay of the first moment. In float64 too its powers are those of the float32 value, as in Keras."""
    beta_2: Decay = 0.999
    """Decay of the second moment. In float64 too its powers are those of the float32 value, as in Keras."""
    epsilon: NonNegative = 1e-7
    """Added to the root of the second moment."""
    amsgrad: bool = False
    """Use the largest second moment so far."""

    def _own_limit(self, gradient: np.ndarray, second_moment: np.ndarray | None) -> StabilityLimit:
        beta = self.beta_1
        return _limit_of_moments(
            2 * (1 + beta) / (1 - beta),
            "2 (1 + beta_1) / ((1 - beta_1) eigenvalue)",
            self.epsilon,
            gradient,
            second_moment,
        )


class Adam(AdamSettings):
    """Adam, Kingma and Ba 2015."""

    kind: Literal["adam"]


class AdamW(AdamSettings):
    """Adam with decoupled weight decay, Loshchilov and Hutter 2019."""

    kind: Literal["adamw"]
    weight_decay: NonNegative | None = 0.004
    """Decoupled weight decay: each step also subtracts weight_decay * learning_rate * parameter."""


class Adamax(KerasOptimizer):
    """Adam with the infinity norm."""

    kind: Literal["adamax"]
    learning_rate: NonNegative = 0.001
    """Step size."""
    beta_1: Decay = 0.9
    """Decay of the first moment. In float64 too its powers are those of the float32 value, as in Keras."""
    beta_2: Decay = 0.999
    """Decay of the infinity norm."""
    epsilon: NonNegative = 1e-7
    """Added to the norm."""


class Nadam(KerasOptimizer):
    """Adam with Nesterov's momentum, Dozat 2015."""

    second_moment = "velocity"

    kind: Literal["nadam"]
    learning_rate: NonNegative = 0.001
    """Step size."""
    beta_1: Decay = 0.9
    """Decay of the first moment. In float64 too it is the float32 value, as in Keras."""
    beta_2: Decay = 0.999
    """Decay of the second moment. In float64 too it is the float32 value, as in Keras."""
    epsilon: NonNegative = 1e-7
    """Added to the root of the second moment."""

    def _own_limit(self, gradient: np.ndarray, second_moment: np.ndarray | None) -> StabilityLimit:
        beta = self.beta_1
        return _limit_of_moments(
            2 * (1 + beta) / (1 - beta) / (1 + 2 * beta),
            "2 (1 + beta_1) / ((1 - beta_1) (1 + 2 beta_1) eigenvalue)",
            self.epsilon,
            gradient,
            second_moment,
        )


class RMSprop(KerasOptimizer):
    """RMSprop: the gradient over the root of its moving mean square."""

    counts = False
    second_moment = "velocity"

    kind: Literal["rmsprop"]
    learning_rate: NonNegative = 0.001
    """Step size."""
    rho: Decay = 0.9
    """Decay of the mean square."""
    momentum: Decay = 0.0
    """Heavy-ball momentum on the scaled gradient."""
    epsilon: NonNegative = 1e-7
    """Added to the mean square."""
    centered: bool = False
    """Divide by the deviation instead of the root mean square."""

    def _own_limit(self, gradient: np.ndarray, second_moment: np.ndarray | None) -> StabilityLimit | None:
        if self.centered:
            return None
        moment, caveats = _second_moment(gradient, second_moment)
        formula = "2 (1 + momentum) / eigenvalue" if self.momentum else "2 / eigenvalue"
        divisor = (moment + self.epsilon) ** 0.5
        return StabilityLimit(2 * (1 + self.momentum), formula, divisor, caveats=caveats, exact=False)


class Adagrad(KerasOptimizer):
    """Adagrad: the gradient over the root of its accumulated squares."""

    counts = False
    second_moment = "accumulator"

    kind: Literal["adagrad"]
    learning_rate: NonNegative = 0.001
    """Step size."""
    initial_accumulator_value: NonNegative = 0.1
    """Initial value of the accumulated squares."""
    epsilon: NonNegative = 1e-7
    """Added to the accumulated squares."""

    def _own_limit(self, gradient: np.ndarray, second_moment: np.ndarray | None) -> StabilityLimit:
        moment = self.initial_accumulator_value + gradient**2 if second_moment is None else second_moment
        divisor = (moment + self.epsilon) ** 0.5
        return StabilityLimit(2.0, "2 / eigenvalue", divisor, caveats=(DIVISOR_GROWS,), exact=False)


class Adadelta(KerasOptimizer):
    """Adadelta, Zeiler 2012."""

    counts = False

    kind: Literal["adadelta"]
    learning_rate: NonNegative = 0.001
    """Step size; the paper's form is 1.0."""
    rho: Decay = 0.95
    """Decay of both mean squares."""
    epsilon: NonNegative = 1e-7
    """Added to the mean squares."""


class Ftrl(KerasOptimizer):
    """Follow the regularised leader, McMahan et al. 2013."""

    counts = False

    kind: Literal["ftrl"]
    learning_rate: NonNegative = 0.001
    """Step size."""
    learning_rate_power: Annotated[Number, Field(le=0)] = -0.5
    """Power of the accumulated squares that the step size falls with."""
    initial_accumulator_value: NonNegative = 0.1
    """Initial value of the accumulated squares."""
    l1_regularization_strength: NonNegative = 0.0
    """l1 penalty."""
    l2_regularization_strength: NonNegative = 0.0
    """l2 penalty."""
    l2_shrinkage_regularization_strength: NonNegative = 0.0
    """l2 penalty on the gradient's size."""
    beta: NonNegative = 0.0
    """Beta of the paper."""


class Lion(KerasOptimizer):
    """Lion: the sign of an interpolated momentum, Chen et al. 2023."""

    counts = False
    bounds_gradients = True

    kind: Literal["lion"]
    learning_rate: NonNegative = 0.001
    """Step size."""
    beta_1: Decay = 0.9
    """Interpolation between momentum and gradient. In float64 too it is the float32 value, as in Keras."""
    beta_2: Decay = 0.99
    """Decay of the momentum. In float64 too it is the float32 value, as in Keras."""


class Lamb(KerasOptimizer):
    """Lamb: Adam scaled by each parameter's norm, You et al. 2020."""

    kind: Literal["lamb"]
    learning_rate: NonNegative = 0.001
    """Step size."""
    beta_1: Decay = 0.9
    """Decay of the first moment. In float64 too its powers are those of the float32 value, as in Keras."""
    beta_2: Decay = 0.999
    """Decay of the second moment. In float64 too its powers are those of the float32 value, as in Keras."""
    epsilon: NonNegative = 1e-7
    """Added to the root of the second moment."""


class Adafactor(KerasOptimizer):
    """Adafactor, Shazeer and Stern 2018."""

    bounds_gradients = True

    kind: Literal["adafactor"]
    learning_rate: NonNegative = 0.001
    """Step size."""
    beta_2_decay: Number = -0.8
    """Decay rate of beta_2."""
    epsilon_1: NonNegative = 1e-30
    """Added to the squared gradient."""
    epsilon_2: NonNegative = 0.001
    """Smallest scale of a parameter. In float64 too it is the float32 value, as in Keras."""
    clip_threshold: PositiveNumber = 1.0
    """Updates are clipped at this root mean square."""
    relative_step: bool = True
    """Let the step size fall with the step."""


class Muon(KerasOptimizer):
    """Muon: orthogonalised momentum for matrices, Adam for the rest."""

    bounds_gradients = True

    kind: Literal["muon"]
    learning_rate: NonNegative = 0.001
    """Step size."""
    adam_beta_1: Decay = 0.9
    """Of Adam: decay of the first moment. In float64 too its powers are those of the float32 value, as in Keras."""
    adam_beta_2: Decay = 0.999
    """Of Adam: decay of the second moment. In float64 too its powers are those of the float32 value, as in Keras."""
    adam_weight_decay: NonNegative | None = 0.004
    """Weight decay of the parameters that Adam moves."""
    epsilon: NonNegative = 1e-7
    """Of Adam: added to the root of the second moment."""
    weight_decay: NonNegative | None = 0.004
    """Weight decay of the matrices."""
    muon_a: Number = 3.4445
    """First coefficient of the Newton-Schulz step."""
    muon_b: Number = -4.775
    """Second coefficient."""
    muon_c: Number = 2.0315
    """Third coefficient."""
    adam_lr_ratio: NonNegative = 1.0
    """Adam's step size over Muon's."""
    momentum: Decay = 0.95
    """Of the matrices."""
    ns_steps: PositiveInteger = 5
    """Newton-Schulz steps."""
    nesterov: bool = True
    """Nesterov's momentum."""
    rms_rate: NonNegative | None = 0.2
    """Root mean square that a matrix's update is scaled to."""


class ScheduleFreeAdamW(KerasOptimizer):
    """Schedule-free AdamW, Defazio et al. 2024."""

    kind: Literal["schedule_free_adamw"]
    learning_rate: NonNegative = 0.0025
    """Step size."""
    beta_1: Decay = 0.9
    """Interpolation between average and iterate. In float64 too it is the float32 value, as in Keras."""
    beta_2: Decay = 0.999
    """Decay of the second moment. In float64 too it is the float32 value, as in Keras."""
    epsilon: NonNegative = 1e-8
    """Added to the root of the second moment. In float64 too it is the float32 value, as in Keras."""
    warmup_steps: Count = 0
    """Steps over which the rate rises from 0."""


KerasKind = (
    Sgd
    | Adam
    | AdamW
    | Adamax
    | Nadam
    | RMSprop
    | Adagrad
    | Adadelta
    | Ftrl
    | Lion
    | Lamb
    | Adafactor
    | Muon
    | ScheduleFreeAdamW
)
"""Every one of Keras's optimizers."""
SINGLE_KIND = Annotated[KerasKind | UpdateRule, Field(discriminator="kind"), BareKind]
"""The optimizer of a group: one that the parameters have for themselves."""
