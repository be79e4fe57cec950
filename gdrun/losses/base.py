"""Base of the kinds of `loss:`: their settings, their functions and their facts for the rest of the program.

Shape letters: B batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias

import numpy as np

from gdrun.config.section import NonNegative, Section
from gdrun.errors import ComponentError, ConfigPath, Problem, ShapeError
from gdrun.formula.evaluate import Scope
from gdrun.suggest import unknown

if TYPE_CHECKING:
    import tensorflow as tf

LossFunction: TypeAlias = "Callable[[Scope, Any, tf.Tensor | None], tf.Tensor]"
"""(scope, prediction, target) -> scalar."""


class ValuesByName(Protocol):
    """A scope, or a dict of parameters."""

    def __getitem__(self, name: str, /) -> Any: ...
    def __contains__(self, name: object, /) -> bool: ...


class Penalty(Section):
    """Penalty added to the loss: l1 * sum(|w|) + l2 * sum(w**2), as Keras's regularizers."""

    l1: NonNegative = 0.0
    """Weight of the absolute values."""
    l2: NonNegative = 0.0
    """Weight of the squares."""
    of: tuple[str, ...] | None = None
    """Parameters that are penalised; null: every trainable one."""

    def problems(self, names: Sequence[str]) -> Iterator[Problem]:
        """Yield parameters that are not among `names`, all of the model's."""
        for position, name in enumerate(self.of or ()):
            yield from unknown("parameter", name, names, ("of", position), key=False)

    def build(self, trainable: Sequence[str], names: Sequence[str]) -> Callable[[ValuesByName], Any]:
        """Return (values by name) -> l1 * sum(|w|) + l2 * sum(w**2).

        Args:
            trainable: the parameters that are trained. names: all of the model's.
        Raises:
            ComponentError: `of` names a parameter that is not there.
        """
        from .functions import penalty

        for problem in self.problems(names):
            raise ComponentError.of(problem)
        chosen = trainable if self.of is None else self.of

        def weighed(values: ValuesByName) -> Any:
            l1, l2 = (lane_setting(values, f"loss.penalty.{name}", getattr(self, name)) for name in ("l1", "l2"))
            return penalty([values[name] for name in chosen], l1=l1, l2=l2)

        return weighed


class LossSection(Section):
    """A kind of loss.

    Code outside this package uses these members and never asks for the kind.
    """

    if TYPE_CHECKING:
        kind: str

    compares: ClassVar[bool] = True
    """True where it compares one prediction with a target."""
    needs_target: ClassVar[bool] = False
    """True where it cannot be computed without a target, even if a plugin's data has none."""
    weighs_examples: ClassVar[bool] = True
    """True where it applies the weights of examples by itself; formulas have to name them."""
    is_the_models_output: ClassVar[bool] = False
    """True where the objective is the model's own output."""
    is_metric: ClassVar[bool] = False
    """True where its mean is a metric, called as the kind."""
    takes_labels: ClassVar[bool] = False
    """True where targets are class numbers 0, 1, ..., one an example."""
    signed: ClassVar[bool] = False
    """True where predictions are scores for targets -1 and 1."""
    activation: ClassVar[str | None] = None
    """The activation that makes probabilities of logits, for losses of probabilities."""
    error_path: ClassVar[ConfigPath] = ("loss",)
    """The place of its mistakes in the config."""
    lane_settings: ClassVar[frozenset[ConfigPath]] = frozenset({("penalty", "l1"), ("penalty", "l2")})
    """Numbers that may differ between the lanes of a sweep, by their paths below `loss`."""

    penalty: Penalty | None = None
    """Penalty on parameters, added to the loss."""

    def build(self, dtype: tf.DType) -> LossFunction:
        """Return (scope, prediction, target) -> scalar of `dtype`. Raises, when called: ComponentError."""
        raise NotImplementedError

    def check_trial(self, scope: Scope, prediction: Any, target: np.ndarray | None) -> None:
        """Refuse NumPy values of the names in `scope` whose shapes do not fit. Raises: ShapeError, FormulaError."""

    def of_output(self, output: Any) -> Any:
        """Return the objective, a tensor or an array as `output` is; only of a loss that is the model's output."""
        raise NotImplementedError

    def residuals(self, dtype: tf.DType, trainable: Sequence[str]) -> Callable[[Scope, Any, Any], tf.Tensor]:
        """Return (scope, prediction, target) -> real vector whose squares add up to the loss, penalty included.

        Only of a loss without `squares_problems`.
        """
        raise NotImplementedError

    def formulas(self) -> dict[str, Any]:
        """Return the formulas of the section by their keys."""
        return {}

    @property
    def adds_up(self) -> bool:
        """True where the examples are added up, not averaged."""
        return False

    @property
    def predicts_logits(self) -> bool:
        """True where predictions are logits."""
        return False

    @property
    def predicts_sigmoid_logits(self) -> bool:
        """True where a sigmoid makes the probability of class 1 of a prediction."""
        return self.predicts_logits and self.activation == "sigmoid"

    def warnings(self, last_activation: str | None) -> tuple[str, ...]:
        """Return warnings for the user, given the activation that the model ends with; None: not known."""
        return ()

    def squares_problems(self) -> Iterator[Problem]:
        """Yield the reasons why the loss is no sum of squares, worded to follow the name of an optimizer."""
        hint = "loss: mse or sse, with factor: 0.5 for the half variants; kind: newton minimises any loss"
        yield Problem(f"needs squared errors, {self.kind} has none", ("loss", "kind"), hint)
        yield from self._penalty_problems()

    def _penalty_problems(self) -> Iterator[Problem]:
        if self.penalty is not None and self.penalty.l1:
            path = ("loss", "penalty", "l1")
            yield Problem("needs squares; an l1 penalty has none", path, "l2 is possible", key=True)


def lane_setting(scope: ValuesByName, name: str, value: Any) -> Any:
    """Return the setting `value` of the config, or this lane's own value under the dotted `name`."""
    return scope[name] if name in scope else value  # noqa: SIM401 - a Scope has no get


def example_weights(scope: Scope) -> tf.Tensor | None:
    """Return the weight of each example, (B,); None where all have the same."""
    return scope["example_weights"] if "example_weights" in scope else None  # noqa: SIM401 - a Scope has no get


def one_prediction(prediction: Any, dtype: tf.DType) -> tf.Tensor:
    """Return a prediction as one tensor. Raises: ShapeError, where the model has several outputs."""
    import tensorflow as tf

    if isinstance(prediction, Mapping):
        if len(prediction) > 1:
            names = ", ".join(prediction)
            raise ShapeError(
                f"this loss takes one prediction, the model has several outputs: {names}",
                hint="write the loss as a formula of them",
            )
        prediction = next(iter(prediction.values()))
    return tf.convert_to_tensor(prediction, dtype) if not tf.is_tensor(prediction) else prediction


def one_or_named(prediction: Any, dtype: tf.DType) -> Any:
    """Return a prediction in the form that plugins receive: a tensor, or a dict of several outputs."""
    import tensorflow as tf

    if isinstance(prediction, Mapping) and len(prediction) > 1:
        return {name: tf.convert_to_tensor(value) for name, value in prediction.items()}
    return one_prediction(prediction, dtype)


def check_scalar(shape: tuple[int | None, ...], what: str = "the loss") -> None:
    """Refuse a shape of other than one number. Raises: ShapeError."""
    if any(size != 1 for size in shape):
        raise ShapeError(f"{what} must be one number, it has shape {shape}", hint="sum(...) or mean(...) makes it one")


def scalar(value: Any, dtype: tf.DType, what: str = "the loss") -> tf.Tensor:
    """Return `value` as a real scalar tensor. Raises: ShapeError."""
    import tensorflow as tf

    tensor = tf.convert_to_tensor(value, dtype) if isinstance(value, (int, float)) else tf.convert_to_tensor(value)
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        tensor = tf.cast(tensor, dtype)
    check_scalar(tuple(tensor.shape), what)
    if tensor.dtype.is_complex:
        raise ShapeError(f"{what} must be real, it is complex", hint="abs(...) or real(...) makes it real")
    return tf.reshape(tensor, []) if tensor.shape.rank else tensor
