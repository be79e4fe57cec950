"""The base of every optimizer's section, and the two forms of an update that a section builds.

    state = update.initial_state(parameters)
    state, parameters = update.apply(state, gradients, parameters, learning_rate)
    reported = update.finalize(state, parameters)

All three take and give tensors only: they work eagerly, in tf.function, under XLA inside a tf.while_loop, and under
tf.vectorized_map. A section is part of a config and imports no TensorFlow; its `build` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Protocol, TypeAlias

from gdrun.config.name_scopes import Use
from gdrun.config.section import Section
from gdrun.errors import ConfigPath, Problem

from .stability_limit import StabilityLimit

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from gdrun.losses.base import LossSection
    from gdrun.schedules.sections import Schedule

State: TypeAlias = "tuple[tf.Tensor, ...]"


class AnyUpdate:
    """An update. Nothing is kept between calls but what shapes and names imply."""

    loss_scale_factor: float | None = None
    """Factor of the loss before it is differentiated, against underflow; the update divides the gradients by it."""

    def initial_state(self, parameters: Sequence[tf.Tensor]) -> State:
        """Return the state before the first update, for parameters of static shapes."""
        return ()

    def finalize(self, state: State, parameters: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        """Return the parameters to report when training ends: as they are, or such as their moving average."""
        return tuple(parameters)

    @property
    def state_names(self) -> tuple[str, ...]:
        """One unique name a state tensor, stable between processes; known once a method above was called."""
        return ()

    def is_undecided(self, state: State) -> tf.Tensor | None:
        """Return whether the last step was rejected and a shorter one may still lower the loss, bool ().

        Parameters that stayed as they are then do not mean that the run has come to rest. None: no step is rejected.
        """
        return None


class Update(AnyUpdate):
    """An update by gradients."""

    def apply(
        self,
        state: State,
        gradients: Sequence[tf.Tensor | None],
        parameters: Sequence[tf.Tensor],
        learning_rate: tf.Tensor,
    ) -> tuple[State, tuple[tf.Tensor, ...]]:
        """Return the state and the parameters after one update.

        Args:
            state: as `initial_state` or `apply` returned it.
            gradients: one a parameter, of its shape; None leaves the parameter as it is.
            parameters: real or complex tensors.
            learning_rate: scalar of any float dtype; it is cast to each parameter's dtype, so give float64 where the
                parameters are float64.
        """
        raise NotImplementedError


class PointUpdate(AnyUpdate):
    """An update that is given the objective around the parameters, for more than its gradient."""

    def apply_at(
        self, state: State, point: LocalObjective, learning_rate: tf.Tensor
    ) -> tuple[State, tuple[tf.Tensor, ...]]:
        """Return the state and the parameters after one update. `learning_rate` is a scalar of any float dtype."""
        raise NotImplementedError


@dataclass(frozen=True)
class LocalObjective:
    """The objective at the parameters of one update, on its batch.

    Args:
        parameters: what is moved, before transforms.
        loss: real scalar. gradients: one a parameter, of its shape.
        step: int64 (), updates done.
        loss_at: parameters -> loss, as differentiable as the objective is.
        residuals_at: parameters -> real vector (N,) whose squares add up to the loss; None where the loss is no sum of
            squares.
        constants: named constants of the config.
        draws: integer (2,), (seed, step), for random numbers; None where there are none to be drawn.
        epoch: int64 (), epochs done; None outside the loop.
        gradient_norm: real scalar, over the gradients of all that the run trains, of which these may be a part; None:
            these are all.
    """

    parameters: Sequence[tf.Tensor]
    loss: tf.Tensor
    gradients: Sequence[tf.Tensor]
    step: tf.Tensor
    loss_at: Callable[[Sequence[tf.Tensor]], tf.Tensor]
    residuals_at: Callable[[Sequence[tf.Tensor]], tf.Tensor] | None = None
    constants: Mapping[str, Any] = field(default_factory=dict)
    draws: tf.Tensor | None = None
    epoch: tf.Tensor | None = None
    gradient_norm: tf.Tensor | None = None

    def subset(self, indices: Sequence[int]) -> LocalObjective:
        """Return the objective as a function of the parameters at `indices` alone."""

        def among_all(values: Sequence[tf.Tensor]) -> list[tf.Tensor]:
            own = dict(zip(indices, values, strict=True))
            return [own.get(index, parameter) for index, parameter in enumerate(self.parameters)]

        return replace(
            self,
            parameters=[self.parameters[index] for index in indices],
            gradients=[self.gradients[index] for index in indices],
            loss_at=lambda values: self.loss_at(among_all(values)),
            # Updates by residuals have no groups.
            residuals_at=None,
        )

    def loss_along(self, index: int) -> Callable[[tf.Tensor], tf.Tensor]:
        """Return the loss as a function of parameter `index` alone."""

        def loss(parameter: tf.Tensor) -> tf.Tensor:
            return self.loss_at([parameter if i == index else other for i, other in enumerate(self.parameters)])

        return loss


@dataclass(frozen=True)
class Parameters:
    """The trained parameters that an update is built for, and what formulas of an update may use.

    Args:
        specs: shape and dtype of each parameter by name, in the order of the tensors.
        dtype: real dtype of the program.
        constants: named constants of the config.
        ops: function table of formulas.
        per_lane: settings of the optimizer that differ between lanes (`is_lane_setting`), by the last key of their
            path, as scalar tensors; the update is then for the trace that they belong to.
    """

    specs: Mapping[str, tf.TensorSpec]
    dtype: tf.DType
    constants: Mapping[str, Any] = field(default_factory=dict)
    ops: Any = None
    per_lane: Mapping[str, tf.Tensor] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """One a parameter."""
        return tuple(self.specs)

    def subset(self, indices: Sequence[int]) -> Parameters:
        """Return the parameters at `indices`."""
        names = self.names
        return replace(self, specs={names[i]: self.specs[names[i]] for i in indices})


LocatedFormula: TypeAlias = tuple[ConfigPath, Any]
"""A formula's place below `optimizer`, and the formula."""


class Moved(NamedTuple):
    """Parameters that one optimizer moves."""

    indices: tuple[int, ...]
    """Among the trained parameters."""
    section: OptimizerSection
    """Of their optimizer, without regard to its own groups."""
    learning_rate: float
    within: ConfigPath = ()
    """The section's place below `optimizer`."""
    when: LocatedFormula | None = None
    """The update is made where it is true; None: always."""
    project: LocatedFormula | None = None
    """The parameter after each update; None: as the update left it."""


class OtherSections(Protocol):
    """The part of a config that optimizers are checked against."""

    @property
    def constants(self) -> Mapping[str, Any]:
        """Named values."""

    @property
    def loss(self) -> LossSection | None:
        """None: mse with a target, else the model's output."""

    @property
    def schedule(self) -> Schedule:
        """The length, the batches and the factor of the learning rate."""


class GivenNames(Protocol):
    """The names of a config that optimizers are checked against."""

    @property
    def parameters(self) -> tuple[str, ...] | None:
        """Of the model; None: only building it shows them."""

    @property
    def has_target(self) -> bool:
        """True where the data has a target."""


class OptimizerSection(Section):
    """An `optimizer:` section, and all that the rest of the program must know of its kind.

    Everything outside this package asks here; nothing asks which kind it is.
    """

    if TYPE_CHECKING:
        kind: str

    needs: ClassVar[Literal["gradient", "hessian", "residuals"]] = "gradient"
    """The most that an update asks of the objective. Hessian: further derivatives, which the tape alone can give;
    residuals: a loss that is a sum of squares. `gradients.use` is for kinds that need no more than the gradient."""
    has_learning_rate: ClassVar[bool] = True
    """False: `learning_rate` is no setting, the update ignores it, and no factor of the schedule acts."""

    hints: ClassVar[Mapping[str, str]] = {"groups": "trainable: false of a parameter, layer or network freezes it"}

    trains: ClassVar[bool] = True
    """False: no parameter is trained, and the model needs none that could be."""

    second_moment: ClassVar[str | None] = None
    """A part of the names of those state tensors that hold the moving mean, or the sum, of squared gradients."""

    @property
    def hides_gradients(self) -> bool:
        """True where an infinite gradient may give finite parameters, so that every update must look for it."""
        return True

    def build(self, parameters: Parameters) -> Update | PointUpdate:
        """Return the update of these parameters.

        Raises:
            ComponentError: the settings or the parameters do not suit the update; located within the section.
        """
        raise NotImplementedError

    def moved(self, names: Sequence[str]) -> list[Moved]:
        """Return which optimizer moves which of the trained parameters `names`, one entry for each learning rate."""
        return [Moved(tuple(range(len(names))), self, self.rate)]

    @property
    def rate(self) -> float:
        """The learning rate; 1 where there is none."""
        return getattr(self, "learning_rate", 1.0)

    def learning_rates(self, names: Sequence[str]) -> float | list[float]:
        """Return the learning rate; where there are several groups, one for each of `moved`."""
        rates = [group.learning_rate for group in self.moved(names)]
        return rates[0] if len(rates) == 1 else rates

    def frozen(self, names: Sequence[str]) -> frozenset[str]:
        """Return which parameters the section excludes from training.

        Args:
            names: of all parameters.
        Raises:
            ComponentError: it names a parameter that is not there, or twice; located within the section.
        """
        return frozenset()

    def conditions(self) -> Iterator[LocatedFormula]:
        """Yield the formulas of step, epoch and constants that say when a group acts."""
        yield from ()

    def is_lane_setting(self, path: ConfigPath) -> bool:
        """Return whether the number at `path` below `optimizer` may differ between lanes: `build` takes it as tensor.

        Learning rates always may; they are given at each step.
        """
        return False

    def is_switch(self, path: ConfigPath) -> bool:
        """Return whether the lane setting at `path` turns something off at 0 or null, which is another program."""
        return False

    def lanes_obstacle(self, compile: str) -> str | None:
        """Return the reason why runs under `compile` are not trained as lanes of one program; None where they are."""
        return None

    def start_formulas(self) -> tuple[Any, ...]:
        """Return the formulas that are evaluated once, for the state before the first update."""
        return ()

    def problems(self, experiment: OtherSections, names: GivenNames) -> Iterator[Problem]:
        """Yield what does not go together within the section or with others, each of which is right by itself."""
        yield from ()

    def warnings(self, precision: str) -> tuple[str, ...]:
        """Return what the user should know before the run starts."""
        return ()

    def stability_limit(self, gradient: np.ndarray, second_moment: np.ndarray | None = None) -> StabilityLimit | None:
        """Return where the optimizer stops being stable on a quadratic, groups left aside; None where it is not known.

        Args:
            gradient: at the point, (P,), from which moments are taken where there are none.
            second_moment: the optimizer's moving mean of squared gradients, (P,).
        """
        return None

    def contraction(self, learning_rate: float, eigenvalues: np.ndarray) -> float | None:
        """Return by how much a step shrinks the distance to the minimum of a quadratic; None where it is not known.

        Args:
            eigenvalues: all of the Hessian's.
        """
        return None

    def uses(self, constants: tuple[str, ...]) -> Iterator[Use]:
        """Yield the formulas of the section, with the names that they may use."""
        yield from ()
