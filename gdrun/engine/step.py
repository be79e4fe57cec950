"""One training step, and the record of a state, as pure functions of tensors.

    update(state, setting, batch, moment) -> state
    observe(state, setting, batch, moment) -> record

`update` never depends on what is recorded, so that recording more changes no bit of the trajectory; `observe` computes
what a row needs anew. `update_and_observe` gives both from one evaluation, for programs that make every update by it.
All are written for one lane; `lanes` maps them over many.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import tensorflow as tf

from gdrun.errors import ComponentError
from gdrun.optimizers.base import PointUpdate, Update
from gdrun.schedules.factors import PlateauFactor
from gdrun.schedules.sections import Stop

from .metric_rules import Record, apply_patience, apply_plateau
from .objective import Evaluation, Objective
from .state import Batch, Mean, Moment, Reason, Setting, TrainState


class NoGradientError(ComponentError):
    """The tape finds no way from the loss back to the parameter `name`."""

    def __init__(self, name: str, why: str = "the tape finds no way back to it") -> None:
        super().__init__(f"parameter '{name}' gets no gradient: {why}", hint="set trainable: false, or change that")
        self.name = name


@dataclass(frozen=True)
class Recorded:
    """Content of a record beside loss, gradient norm and learning rate."""

    parameters: bool = True
    gradients: bool = False
    state: bool = False
    """The optimizer's state."""
    norms: bool = False
    """Of gradients and weights, layer by layer."""
    formulas: Mapping[str, Callable[..., tf.Tensor]] = field(default_factory=dict)
    """Name -> (scope) -> value, before the update that comes next."""
    after: Mapping[str, Callable[..., tf.Tensor]] = field(default_factory=dict)
    """Name -> (scope) -> value, on the batch of the update that came last."""
    batch_means: Mapping[str, Callable[..., tf.Tensor]] = field(default_factory=dict)
    """Name -> (scope) -> float64 (), whose mean over the epoch's updates is recorded."""
    example_means: Mapping[str, Callable[..., tf.Tensor]] = field(default_factory=dict)
    """The same, weighted by examples."""

    @property
    def means(self) -> tuple[str, ...]:
        """Names of what `TrainState.epoch_means` holds, in order."""
        return (*self.batch_means, *self.example_means)


OF_EVALUATION = ("loss", "gradient_norm", "learning_rate", "reason")
"""The part of a record that `update_and_observe` returns."""

Guard = Literal["each", "late"]


@dataclass(frozen=True)
class Step:
    """The step of one experiment.

    Args:
        objective: parameters and batch -> loss.
        optimizer: gradients, or the point they belong to, -> parameters.
        stop: the rules that end the run; patience is applied once an epoch, as plateau is.
        stop_formula: the one of `stop`, (scope) -> bool ().
        recorded: what rows hold.
        guard: "each" keeps the last finite state by a select in every update; "late" keeps whatever came out
            and only remembers that something did, for states so large that the select costs time: `loop` then goes
            back. With lanes the guard is "each".
        check_gradient: check for gradients that are not finite in every update. Where they always show in the next
            parameters ("late" only), that is a pass over all of them for nothing.
        plateau: the factor of the learning rate, where it follows a metric.
        requires_gradients: refuse a parameter without a gradient; else its gradient is 0.
        optimizer_with: settings of the optimizer that differ between lanes, by name -> the optimizer that has them;
            for the trace that the tensors belong to.
    """

    objective: Objective
    optimizer: Update | PointUpdate
    stop: Stop = field(default_factory=Stop)
    stop_formula: Callable[..., tf.Tensor] | None = None
    recorded: Recorded = Recorded()
    guard: Guard = "each"
    check_gradient: bool = True
    plateau: PlateauFactor | None = None
    requires_gradients: bool = True
    optimizer_with: Callable[[Mapping[str, tf.Tensor]], Update | PointUpdate] | None = None

    def update(self, state: TrainState, setting: Setting, batch: Batch, moment: Moment) -> TrainState:
        """Return the state after one update, or the state as it is, no longer active, where a rule fires."""
        return self._advance(state, setting, batch, moment)[0]

    def update_and_observe(
        self, state: TrainState, setting: Setting, batch: Batch, moment: Moment
    ) -> tuple[TrainState, Record]:
        """Return the state of `update`, and of the record of `state` the part that takes an evaluation.

        For steps whose `update_evaluates_rows`; `observe_state` gives the rest of the record.
        """
        new, evaluation, gradients, reason = self._advance(state, setting, batch, moment)
        return new, self._observe_evaluation(state, setting, moment, evaluation, gradients, reason)

    @property
    def update_evaluates_rows(self) -> bool:
        """True where an update evaluates all that a row needs of an evaluation, and no rule needs it before."""
        recorded, rules = self.recorded, [rule for rule in (self.stop.patience, self.plateau) if rule is not None]
        more = (
            recorded.formulas
            or recorded.after
            or recorded.gradients
            or recorded.norms
            or self.optimizer.loss_scale_factor is not None
        )
        return not more and all(rule.metric != "loss" for rule in rules)

    def _advance(
        self, state: TrainState, setting: Setting, batch: Batch, moment: Moment
    ) -> tuple[TrainState, Evaluation, tuple[tf.Tensor, ...], tf.Tensor]:
        """Return (the state after one update; loss and gradients at `state`; the Reason not to update there)."""
        optimizer = self._optimizer(setting)
        scale = optimizer.loss_scale_factor
        evaluation, gradients = self._differentiate(state, setting, batch, moment, scale=scale)
        check_gradient = self.guard == "each" or self.check_gradient
        # Before the update: a rule that holds at these parameters ends the run at the row that is about them.
        before = reason = self._reason_before_update(
            evaluation, gradients, moment, check_gradient=check_gradient, scale=scale
        )
        rate = self._rate(state, setting, moment)
        if isinstance(optimizer, PointUpdate):
            norm = gradient_norm(gradients) if gradients else None
            point = self.objective.around(state, setting, batch, moment, evaluation, gradients, norm)
            memory, parameters = optimizer.apply_at(state.optimizer, point, rate)
        else:
            memory, parameters = optimizer.apply(state.optimizer, gradients, state.parameters, rate)
        after = self._reason_after_update(state.parameters, parameters)
        if (undecided := optimizer.is_undecided(memory)) is not None:
            # A step that was tried and rejected leaves the parameters alone, and says nothing about having arrived.
            after = tf.where(undecided, int(Reason.NONE), after)
        blocked = reason != Reason.NONE
        new = state._replace(
            step=state.step + 1,
            parameters=tuple(parameters),
            model_state=evaluation.model_state,
            optimizer=tuple(memory),
            last_loss=tf.cast(evaluation.loss, tf.float64),
            epoch_loss=_add_epoch_loss(state, evaluation, batch, moment),
            epoch_means=self._add_means(state, evaluation, batch, moment),
        )
        if self.guard == "each":
            diverged = self._not_finite(parameters)
            if diverged is not None:
                reason = tf.where(blocked, reason, tf.where(diverged, int(Reason.PARAMETERS_NOT_FINITE), 0))
            active = state.active
            keep = tf.logical_or(reason != Reason.NONE, tf.logical_not(active))
            # A select, not a mask: 0 * nan is nan.
            new = tf.nest.map_structure(lambda old, fresh: tf.where(keep, old, fresh), state, new)
            reason = tf.where(active, tf.where(reason != Reason.NONE, reason, after), state.reason)
        else:
            reason = tf.where(blocked, reason, after)
        return new._replace(reason=reason), evaluation, gradients, before

    def observe(self, state: TrainState, setting: Setting, batch: Batch, moment: Moment) -> Record:
        """Return what row `step` holds, as tensors: loss, gradient_norm, learning_rate, and what `recorded` names.

        `reason` says which rule of the kind that looks at loss and gradient holds here.
        """
        evaluation, gradients = self._differentiate(state, setting, batch, moment)
        reason = self._reason_before_update(evaluation, gradients, moment, check_gradient=True)
        record = self.observe_state(state, setting)
        record |= self._observe_evaluation(state, setting, moment, evaluation, gradients, reason)
        if self.recorded.gradients:
            record["gradients"] = dict(zip(self.objective.trainable_names, gradients, strict=True))
        if self.recorded.norms:
            names, weights = self.objective.trainable_names, self.objective.named(state.parameters, setting)
            record["gradient_norms"] = layer_norms(names, gradients)
            record["weight_norms"] = layer_norms(names, [weights[name] for name in names])
        scope = evaluation.scope.adding(
            {
                "loss": evaluation.loss,
                "gradient_norm": record["gradient_norm"],
                "learning_rate": tf.cast(record["learning_rate"], evaluation.loss.dtype),
            }
        )
        for name, formula in self.recorded.formulas.items():
            record[name] = formula(scope)
        return record

    def observe_state(self, state: TrainState, setting: Setting) -> Record:
        """Return the part of `observe` that needs no evaluation; "loss" and the like hold their places in it."""
        nothing = tf.zeros([], self.objective.dtype)
        record: Record = {"step": state.step, "loss": nothing, "gradient_norm": nothing}
        record |= {"learning_rate": nothing, "loss_before": state.last_loss, "reason": state.reason}
        if state.epoch_loss:
            record["loss_epoch"] = state.epoch_loss[0] / state.epoch_loss[1]
        means = zip(self.recorded.means, state.epoch_means, strict=True)
        record |= {name: total / weight for name, (total, weight) in means}
        if self.recorded.parameters:
            record["parameters"] = dict(self.objective.named(state.parameters, setting))
        if self.recorded.state:
            record["state"] = dict(zip(self.optimizer.state_names, state.optimizer, strict=True))
        return record

    def _observe_evaluation(
        self,
        state: TrainState,
        setting: Setting,
        moment: Moment,
        evaluation: Evaluation,
        gradients: Sequence[tf.Tensor],
        reason: tf.Tensor,
    ) -> Record:
        return {
            "loss": evaluation.loss,
            "gradient_norm": gradient_norm(gradients) if gradients else tf.zeros_like(evaluation.loss),
            "learning_rate": _first(self._rate(state, setting, moment)),
            "reason": reason,
        }

    def observe_after(self, state: TrainState, setting: Setting, batch: Batch, moment: Moment) -> Record:
        """Return the `after` formulas: the state's parameters on the batch that the last update saw."""
        evaluation = self.objective.evaluate(state.parameters, state.model_state, setting, batch, moment, training=True)
        scope = evaluation.scope.adding({"loss": evaluation.loss})
        return {name: formula(scope) for name, formula in self.recorded.after.items()}

    def _add_means(self, state: TrainState, evaluation: Evaluation, batch: Batch, moment: Moment) -> tuple[Mean, ...]:
        if not state.epoch_means:
            return ()
        recorded, scope = self.recorded, evaluation.scope.adding({"loss": evaluation.loss})
        weights = [1] * len(recorded.batch_means) + [batch.num_examples] * len(recorded.example_means)
        formulas = (*recorded.batch_means.values(), *recorded.example_means.values())
        return tuple(
            _added(mean, formula(scope), weight, moment)
            for mean, formula, weight in zip(state.epoch_means, formulas, weights, strict=True)
        )

    def end_epoch(self, state: TrainState, record: Record, is_epoch_end: tf.Tensor) -> TrainState:
        """Return the state after the rules that are applied once an epoch, to `record`."""
        if self.stop.patience is not None:
            state = apply_patience(self.stop.patience, state, record, is_epoch_end)
        if self.plateau is not None:
            state = apply_plateau(self.plateau, state, record, is_epoch_end)
        return state

    def _differentiate(
        self, state: TrainState, setting: Setting, batch: Batch, moment: Moment, *, scale: float | None = None
    ) -> tuple[Evaluation, tuple[tf.Tensor, ...]]:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(state.parameters)
            evaluation = self.objective.evaluate(
                state.parameters, state.model_state, setting, batch, moment, training=True
            )
            target = evaluation.loss if scale is None else evaluation.loss * scale
        gradients = list(tape.gradient(target, state.parameters))
        own = self.objective.own_gradients(evaluation.scope) if self.objective.own_gradients is not None else {}
        for index, name in enumerate(self.objective.trainable_names):
            if name in own:
                gradients[index] = own[name] if scale is None else own[name] * scale
            elif gradients[index] is None:
                if self.requires_gradients:
                    raise NoGradientError(name)
                gradients[index] = tf.zeros_like(state.parameters[index])
        # What a parameter is looked up in, by rows, has its gradient by rows.
        return evaluation, tuple(tf.convert_to_tensor(gradient) for gradient in gradients)

    def _optimizer(self, setting: Setting) -> Update | PointUpdate:
        if not setting.optimizer:
            return self.optimizer
        assert self.optimizer_with is not None
        return self.optimizer_with(setting.optimizer)

    def _rate(self, state: TrainState, setting: Setting, moment: Moment) -> tf.Tensor:
        """Return the learning rate of the next update: the config's, times the schedule's factor, times the plateau's.

        Float64, () or one for each group of parameters; the optimizer casts it to its parameters' dtype.
        """
        rate = setting.learning_rate
        if moment.factor is not None:
            rate = rate * moment.factor
        if self.plateau is not None:
            rate = rate * state.plateau.factor  # type: ignore[union-attr]
        return rate

    def _reason_before_update(
        self,
        evaluation: Evaluation,
        gradients: Sequence[tf.Tensor],
        moment: Moment,
        *,
        check_gradient: bool,
        scale: float | None = None,
    ) -> tf.Tensor:
        """Return the Reason not to make the update that comes next; of several the most serious."""
        stop, loss = self.stop, evaluation.loss
        reason = tf.constant(Reason.NONE, tf.int32)
        norm: tf.Tensor = None
        if stop.gradient_norm_below is not None or self.stop_formula is not None:
            norm = gradient_norm(gradients) if gradients else tf.zeros_like(loss)
            norm = norm if scale is None else norm / scale
        if self.stop_formula is not None:
            scope = evaluation.scope.adding({"loss": loss, "gradient_norm": norm})
            reason = tf.where(self.stop_formula(scope), int(Reason.FORMULA), reason)
        if stop.gradient_norm_below is not None:
            below = norm < tf.cast(stop.gradient_norm_below, norm.dtype)
            reason = tf.where(below, int(Reason.GRADIENT_NORM_BELOW), reason)
        if stop.loss_below is not None:
            reason = tf.where(loss < tf.cast(stop.loss_below, loss.dtype), int(Reason.LOSS_BELOW), reason)
        if stop.non_finite:
            if check_gradient:
                reason = tf.where(all_finite(gradients), reason, int(Reason.GRADIENT_NOT_FINITE))
            reason = tf.where(all_finite([loss]), reason, int(Reason.LOSS_NOT_FINITE))
        return reason

    def _reason_after_update(self, old: Sequence[tf.Tensor], new: Sequence[tf.Tensor]) -> tf.Tensor:
        """Return the Reason to stop after an update has been made."""
        reason = tf.constant(Reason.NONE, tf.int32)
        if self.stop.parameter_change_below is not None:
            changes = [tf.reduce_max(tf.abs(b - a)) for a, b in zip(old, new, strict=True) if a.shape.num_elements()]
            bound = tf.cast(self.stop.parameter_change_below, changes[0].dtype)
            still = tf.reduce_all(tf.stack([change < bound for change in changes]))
            reason = tf.where(still, int(Reason.PARAMETER_CHANGE_BELOW), reason)
        if self.stop.parameters_unchanged:
            same = tf.reduce_all(tf.stack([tf.reduce_all(a == b) for a, b in zip(old, new, strict=True)]))
            reason = tf.where(same, int(Reason.PARAMETERS_UNCHANGED), reason)
        return reason

    def _not_finite(self, parameters: Sequence[tf.Tensor]) -> tf.Tensor | None:
        return tf.logical_not(all_finite(parameters)) if self.stop.non_finite else None


def _first(rates: tf.Tensor) -> tf.Tensor:
    """Return the rate to show where groups of parameters have their own."""
    return rates if rates.shape.rank == 0 else rates[0]


def all_finite(values: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return whether every entry of every tensor is finite, bool (). Complex entries count by both parts."""
    parts = [] if values else [tf.constant(True)]
    for value in values:
        real = [tf.math.real(value), tf.math.imag(value)] if value.dtype.is_complex else [value]
        finite = [tf.math.is_finite(part) for part in real if part.dtype.is_floating]
        parts += [part if part.shape.rank == 0 else tf.reduce_all(part) for part in finite]
    result = parts[0]
    for part in parts[1:]:
        result = tf.logical_and(result, part)
    return result


def layer_norms(names: Sequence[str], values: Sequence[tf.Tensor]) -> dict[str, tf.Tensor]:
    """Return layer -> Euclidean norm of its parameters' values: dense1 for dense1.kernel and dense1.bias.

    A parameter whose name has no dot is a layer of its own.
    """
    layers: dict[str, list[tf.Tensor]] = {}
    for name, value in zip(names, values, strict=True):
        layers.setdefault(name.rpartition(".")[0] or name, []).append(value)
    return {layer: gradient_norm(parts) for layer, parts in layers.items()}


def gradient_norm(gradients: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return the Euclidean norm over all gradients together, a real scalar."""
    squares = [tf.math.real(g * tf.math.conj(g)) if g.dtype.is_complex else g * g for g in gradients]
    squares = [square if square.shape.rank == 0 else tf.reduce_sum(square) for square in squares]
    return tf.sqrt(tf.add_n(squares) if len(squares) > 1 else squares[0])


def _add_epoch_loss(state: TrainState, evaluation: Evaluation, batch: Batch, moment: Moment) -> tuple[tf.Tensor, ...]:
    loss = tf.cast(evaluation.loss, tf.float64)
    return _added(state.epoch_loss, loss, batch.num_examples, moment) if state.epoch_loss else ()


def _added(mean: Sequence[tf.Tensor], value: tf.Tensor, weight: int, moment: Moment) -> Mean:
    """Return the sum and the weight of a mean over an epoch, with those of one more update."""
    total, weights = (tf.where(moment.position == 0, tf.zeros([], tf.float64), part) for part in mean)
    return total + value * weight, weights + weight
