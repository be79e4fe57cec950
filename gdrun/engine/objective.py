"""Objective that is minimised: parameters and a batch in, a loss out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, NamedTuple

import tensorflow as tf

from gdrun.formula.evaluate import Scope
from gdrun.formula.nodes import FunctionDefinition
from gdrun.losses.base import LossFunction, ValuesByName
from gdrun.models.base import BoundModel, ModelFunction
from gdrun.models.keras_network import joined
from gdrun.models.transforms import transformed
from gdrun.optimizers.base import LocalObjective

from .state import SIDE_BY_SIDE, Batch, Moment, Setting, TrainState


class Evaluation(NamedTuple):
    """The objective at one point."""

    loss: tf.Tensor
    """Real scalar."""
    prediction: Any
    """A tensor (B, ...), or a dict of named outputs."""
    model_state: tuple[tf.Tensor, ...]
    """The model's state after this evaluation."""
    scope: Scope
    """Every name that formulas may use, prediction and target included."""


Residuals = Callable[[Evaluation, tf.Tensor | None], tf.Tensor]
"""(evaluation, target) -> real vector (N,)."""


class KeptValue(NamedTuple):
    """A value of `define` that is kept from step to step. Both functions raise with their place in the config."""

    start: Callable[[Scope], tf.Tensor]
    """(scope without examples) -> the value at step 0."""
    next: Callable[[Scope, tf.Tensor], tf.Tensor]
    """(scope of a step, value there) -> the value at the step that follows, of its shape and dtype."""
    final: str | None = None
    """The parameter, layer or network that ends on the value."""


@dataclass(frozen=True)
class Objective:
    """The loss of a model on a batch, as a pure function of tensors.

    Args:
        model: turns inputs into predictions.
        loss: turns predictions and target into a scalar.
        penalty: (values by name) -> scalar that is added; None: nothing.
        trainable_names, fixed_names: of `TrainState.parameters` and `Setting.fixed`, in their order.
        transforms: parameter -> transform, for those that have one.
        constants: named constants of the program; `Setting.constants` takes precedence.
        definitions: named intermediate values, evaluated where they are used. functions: those that the config defines.
        ops: the op table that formulas are evaluated with.
        residuals: (evaluation, target) -> real vector whose squares add up to the loss; None where the loss is not
            such a sum, or no update needs it.
        kept: values of `define` that are kept from step to step, the last of `state_names`.
        own_gradients: names -> gradients by parameter that take the place of the tape's; None: the tape's are used.
        input_shapes: input -> shape of one example of it, in the order in which SIDE_BY_SIDE holds them.
    """

    model: ModelFunction
    loss: LossFunction
    penalty: Callable[[ValuesByName], tf.Tensor] | None
    trainable_names: tuple[str, ...]
    fixed_names: tuple[str, ...]
    transforms: Mapping[str, str]
    constants: Mapping[str, Any]
    definitions: Mapping[str, Any]
    ops: Any
    dtype: tf.DType = tf.float32
    state_names: tuple[str, ...] = field(default=())
    residuals: Residuals | None = None
    own_gradients: Callable[[Scope], Mapping[str, tf.Tensor]] | None = None
    functions: Mapping[str, FunctionDefinition] = field(default_factory=dict)
    kept: Mapping[str, KeptValue] = field(default_factory=dict)
    input_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def named_inputs(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Return each input of the batch by its name."""
        if SIDE_BY_SIDE not in batch.inputs:
            return batch.inputs
        return {name: self._cut(batch.inputs[SIDE_BY_SIDE], name) for name in self.input_shapes}

    def _cut(self, together: tf.Tensor, name: str) -> tf.Tensor:
        names = list(self.input_shapes)
        sizes = [prod(shape) for shape in self.input_shapes.values()]
        start = sum(sizes[: names.index(name)])
        return tf.reshape(together[:, start : start + prod(self.input_shapes[name])], [-1, *self.input_shapes[name]])

    def _lazy_inputs(self, together: tf.Tensor) -> dict[str, Callable[[Scope], tf.Tensor]]:
        """Return the inputs, by name and as one, as outputs of a scope: cut out where a formula names one."""

        def as_one(scope: Scope) -> tf.Tensor:
            # A derivative by an input gives it a value of its own, which the model is to see.
            if not any(name in scope.values for name in self.input_shapes):
                return together
            return joined([scope[name] for name in self.input_shapes])

        lazy = {name: lambda _, name=name: self._cut(together, name) for name in self.input_shapes}
        return {SIDE_BY_SIDE: as_one, **lazy}

    def raw(self, parameters: Sequence[tf.Tensor], setting: Setting) -> dict[str, tf.Tensor]:
        """Return every parameter by name, before its transform."""
        trained = zip(self.trainable_names, parameters, strict=True)
        return {**dict(trained), **dict(zip(self.fixed_names, setting.fixed, strict=True))}

    def named(self, parameters: Sequence[tf.Tensor], setting: Setting) -> dict[str, tf.Tensor]:
        """Return every parameter by name, each in its own domain (after its transform)."""
        raw = self.raw(parameters, setting)
        return {name: transformed(value, self.transforms.get(name)) for name, value in raw.items()}

    def evaluate(
        self,
        parameters: Sequence[tf.Tensor],
        model_state: Sequence[tf.Tensor],
        setting: Setting,
        batch: Batch,
        moment: Moment,
        *,
        training: bool,
    ) -> Evaluation:
        """Return loss and prediction at `parameters` (before transforms) on `batch`."""
        state, call, scope = self._bound(parameters, model_state, setting, batch, moment, training=training)
        prediction, loss = call(scope), scope.outputs["loss"](scope)
        following = scope.adding({"loss": loss})
        updates = {name: kept.next(following, state[name]) for name, kept in self.kept.items()} if training else {}
        new_state = tuple({**call.updates, **updates}.get(name, state[name]) for name in self.state_names)
        return Evaluation(loss, prediction, new_state, scope)

    def start_kept(self, parameters: Sequence[tf.Tensor], setting: Setting) -> tuple[tf.Tensor, ...]:
        """Return the values at step 0 of `kept`."""
        values = {**self.constants, **setting.constants, **self.named(parameters, setting)}
        draws = tf.stack([setting.seed, 0])
        for name, kept in self.kept.items():
            joined = self.model.joined_names
            scope = Scope(values, functions=self.functions, joined=joined, ops=self.ops, draws=draws)
            values[name] = kept.start(scope)
        return tuple(values[name] for name in self.kept)

    def final_parameters(
        self, parameters: Sequence[tf.Tensor], model_state: Sequence[tf.Tensor]
    ) -> tuple[tf.Tensor, ...]:
        """Return the parameters that training ends on: those that have an average which is `final` on that."""
        values, state = (
            dict(zip(names, tensors, strict=True))
            for names, tensors in ((self.trainable_names, parameters), (self.state_names, model_state))
        )
        scope = Scope(dict(values), joined=self.model.joined_names, ops=self.ops)
        for name, kept in self.kept.items():
            if kept.final is not None:
                own = kept.final in values
                values |= {kept.final: state[name]} if own else scope.split(kept.final, state[name])
        return tuple(values[name] for name in self.trainable_names)

    def predict(
        self,
        parameters: Sequence[tf.Tensor],
        model_state: Sequence[tf.Tensor],
        setting: Setting,
        batch: Batch,
        moment: Moment,
    ) -> Any:
        """Return the prediction alone, the model in inference mode: a tensor, or a dict of named outputs."""
        _, call, scope = self._bound(parameters, model_state, setting, batch, moment, training=False)
        return call(scope)

    def at(
        self,
        parameters: Sequence[tf.Tensor],
        setting: Setting,
        batch: Batch,
        model_state: Sequence[tf.Tensor],
    ) -> tf.Tensor:
        """Return the loss at step 0, the model in training mode."""
        return self.evaluate(parameters, model_state, setting, batch, Moment.at(0), training=True).loss

    def around(
        self,
        state: TrainState,
        setting: Setting,
        batch: Batch,
        moment: Moment,
        evaluation: Evaluation,
        gradients: Sequence[tf.Tensor],
        gradient_norm: tf.Tensor | None,
    ) -> LocalObjective:
        """Return the objective around the state of an update whose loss and gradients are known.

        Other parameters are tried on the same batch, with the same draws and the same state of the model.
        """

        def evaluate(parameters: Sequence[tf.Tensor]) -> Evaluation:
            return self.evaluate(parameters, state.model_state, setting, batch, moment, training=True)

        def residuals_at(parameters: Sequence[tf.Tensor]) -> tf.Tensor:
            assert self.residuals is not None
            return self.residuals(evaluate(parameters), batch.target)

        return LocalObjective(
            parameters=state.parameters,
            loss=evaluation.loss,
            gradients=gradients,
            step=moment.step,
            loss_at=lambda parameters: evaluate(parameters).loss,
            residuals_at=None if self.residuals is None else residuals_at,
            constants={**self.constants, **setting.constants},
            draws=evaluation.scope.draws,
            epoch=moment.epoch,
            gradient_norm=gradient_norm,
        )

    def probe(
        self,
        parameters: Sequence[tf.Tensor],
        setting: Setting,
        batch: Batch,
        functions: Mapping[str, Callable[..., Any]],
        weights: Mapping[str, Callable[[Scope], Any]],
        formulas: Sequence[Callable[[Scope], Any]] = (),
        first: Sequence[Callable[[Scope], Any]] = (),
    ) -> None:
        """Evaluate once with other functions and weights in place of the networks', to see what they are called with.

        Args:
            formulas: are evaluated after the loss.
            first: before all else.
        """
        call = replace(self.model.bind({}, inputs=tuple(batch.inputs), training=False), functions=functions)
        scope = self._scope(self.named(parameters, setting), setting, batch, Moment.at(0), call)
        scope.outputs = {**weights, **scope.outputs}
        for formula in first:
            formula(scope)
        call(scope)
        for formula in (scope.outputs["loss"], *formulas):
            formula(scope)

    def _bound(
        self,
        parameters: Sequence[tf.Tensor],
        model_state: Sequence[tf.Tensor],
        setting: Setting,
        batch: Batch,
        moment: Moment,
        *,
        training: bool,
    ) -> tuple[dict[str, tf.Tensor], BoundModel, Scope]:
        """Return the model's state by name, the model bound to it, and the scope of one evaluation."""
        state = dict(zip(self.state_names, model_state, strict=True))
        call = self.model.bind(state, inputs=tuple(batch.inputs), training=training)
        values = {**self.named(parameters, setting), **{name: state[name] for name in self.kept}}
        return state, call, self._scope(values, setting, batch, moment, call)

    def _scope(
        self,
        values: Mapping[str, tf.Tensor],
        setting: Setting,
        batch: Batch,
        moment: Moment,
        call: BoundModel,
    ) -> Scope:
        inputs = dict(batch.inputs)
        together = inputs.pop(SIDE_BY_SIDE, None)
        names: dict[str, Any] = {
            **self.constants,
            **setting.constants,
            **inputs,
            **values,
            "step": tf.cast(moment.step, self.dtype),
            "epoch": tf.cast(moment.epoch, self.dtype),
        }
        if batch.target is not None:
            names["target"] = batch.target
        if batch.weights is not None:
            names["example_weights"] = batch.weights
        draws = tf.stack([setting.seed, tf.cast(moment.step, tf.int32)])

        def loss(scope: Scope) -> tf.Tensor:
            value = self.loss(scope, call(scope), batch.target)
            return value if self.penalty is None else value + self.penalty(scope)

        return Scope(
            names,
            definitions=self.definitions,
            functions={**self.functions, **call.functions},
            outputs={
                "loss": loss,
                **call.outputs,
                **call.alone,
                **({} if together is None else self._lazy_inputs(together)),
            },
            joined=self.model.joined_names,
            ops=self.ops,
            draws=draws,
        )
