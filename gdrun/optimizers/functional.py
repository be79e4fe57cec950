"""Optimizers as pure functions of tensors, Keras's own code behind them.

    state = optimizer.initial_state(parameters)
    state, parameters = optimizer.apply(state, gradients, parameters, learning_rate)
    reported = optimizer.finalize(state, parameters)

All three take and give tensors only: they work eagerly, in tf.function, under XLA inside a tf.while_loop, and under
tf.vectorized_map. With KERAS_BACKEND set to anything but tensorflow nothing here works; whoever starts the program
sees to that before Keras is imported.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import keras
import tensorflow as tf

from gdrun.errors import ResourceError

from .functional_keras import KerasOptimizer, State


class Optimizer(Protocol):
    """What the training step asks of an optimizer. Nothing is kept between calls but what shapes and names imply."""

    def initial_state(self, parameters: Sequence[tf.Tensor]) -> State:
        """Return the state before the first update, for parameters of static shapes."""

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

    def finalize(self, state: State, parameters: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        """Return the parameters to report when training ends, such as their moving average."""

    @property
    def state_names(self) -> tuple[str, ...]:
        """One unique name a state tensor, stable between processes; known once a method above was called."""


class Kind(NamedTuple):
    """A Keras optimizer: its class in keras.optimizers, and whether its update depends on the number of updates."""

    keras_name: str
    counts: bool


OPTIMIZERS: Mapping[str, Kind] = MappingProxyType(
    {
        "sgd": Kind("SGD", counts=False),
        "adam": Kind("Adam", counts=True),
        "adamw": Kind("AdamW", counts=True),
        "adamax": Kind("Adamax", counts=True),
        "nadam": Kind("Nadam", counts=True),
        "rmsprop": Kind("RMSprop", counts=False),
        "adagrad": Kind("Adagrad", counts=False),
        "adadelta": Kind("Adadelta", counts=False),
        "adafactor": Kind("Adafactor", counts=True),
        "ftrl": Kind("Ftrl", counts=False),
        "lion": Kind("Lion", counts=False),
        "lamb": Kind("Lamb", counts=True),
        "muon": Kind("Muon", counts=True),
        "schedule_free_adamw": Kind("ScheduleFreeAdamW", counts=True),
    }
)
"""Names in a config -> Keras's optimizers. LossScaleOptimizer and MultiOptimizer wrap others and are not among them."""

# Constructor arguments that are not settings: given at each step, or of no use here.
_NOT_SETTINGS = ("self", "learning_rate", "name", "args", "kwargs")
# Settings that are, or default to, no number; that decide what the program is; that the caller uses, too.
_NOT_IN_LANES = (
    "exclude_layers",
    "ema_overwrite_frequency",
    "gradient_accumulation_steps",
    "ns_steps",
    "loss_scale_factor",
)


def keras_settings(name: str) -> dict[str, Any]:
    """Return the settings of a Keras optimizer with their defaults, as its constructor declares them.

    Args:
        name: a key of OPTIMIZERS.
    Returns:
        Keras's spellings -> defaults, without the learning rate.
    """
    signature = inspect.signature(_keras_class(name).__init__)
    return {key: p.default for key, p in signature.parameters.items() if key not in _NOT_SETTINGS}


def keras_learning_rate(name: str) -> float:
    """Return the learning rate that Keras gives the optimizer by default."""
    return inspect.signature(_keras_class(name).__init__).parameters["learning_rate"].default


def lane_settings(name: str) -> frozenset[str]:
    """Return the settings of a Keras optimizer that may be tensors, and so differ between lanes.

    A setting that switches something on when it is given or positive (momentum, weight_decay, clipnorm, ...) has to be
    on in every lane: Keras asks once, in Python.
    """
    return frozenset(
        key
        for key, default in keras_settings(name).items()
        if key not in _NOT_IN_LANES and not isinstance(default, bool) and isinstance(default, (float, int, type(None)))
    )


def keras_optimizer(
    name: str,
    *,
    settings: Mapping[str, Any] = MappingProxyType({}),
    per_lane: Mapping[str, tf.Tensor] | None = None,
    parameter_names: Sequence[str] | None = None,
    exclude_from_weight_decay: Sequence[str] = (),
) -> KerasOptimizer:
    """Return a Keras optimizer as pure functions.

    Args:
        name: a key of OPTIMIZERS.
        settings: Keras's constructor arguments, without learning_rate; an integer will do for a float.
        per_lane: settings whose values are scalar tensors (float64 keeps Keras's digits), a subset of `lane_settings`.
            They take the place of what `settings` says and count as switched on; the optimizer is then for use inside
            a traced function only, the one that the tensors belong to.
        parameter_names: one a parameter; they name the state, and Muon leaves parameters called embedding, or
            matching its `exclude_layers`, to Adam. Default: "0", "1", ...
        exclude_from_weight_decay: regular expressions; parameters whose name one of them matches do not decay.
    Raises:
        ComponentError: if Keras refuses a setting.
        ResourceError: if the installed Keras is too old to have the optimizer.
    """
    kind = OPTIMIZERS[name]
    optimizer = KerasOptimizer(
        _keras_class(name),
        settings=settings,
        per_lane=per_lane or {},
        counts=kind.counts,
        parameter_names=parameter_names,
        exclude_from_weight_decay=exclude_from_weight_decay,
    )
    assert optimizer.per_lane.keys() <= lane_settings(name), (name, sorted(optimizer.per_lane))
    return optimizer


def _keras_class(name: str) -> type[keras.optimizers.Optimizer]:
    keras_name = OPTIMIZERS[name].keras_name
    if not hasattr(keras.optimizers, keras_name):
        raise ResourceError(f"Keras {keras.__version__} has no {keras_name}", hint="install a newer Keras")
    return getattr(keras.optimizers, keras_name)


def combined(groups: Sequence[tuple[Sequence[int], Optimizer]]) -> CombinedOptimizer:
    """Return the optimizer that moves each group of parameters by an optimizer of its own.

    Args:
        groups: for each group the indices of its parameters, in the order that its optimizer sees them, and the
            optimizer. Parameters in no group are frozen. A global_clipnorm counts the gradients of its group only.
    """
    return CombinedOptimizer(groups)


class CombinedOptimizer:
    """Several optimizers, each for its own parameters; see `combined`.

    `apply` takes one learning rate for all groups, or one a group: a tensor (number of groups,) or a sequence of
    scalars.
    """

    def __init__(self, groups: Sequence[tuple[Sequence[int], Optimizer]]) -> None:
        self._groups = [(tuple(indices), optimizer) for indices, optimizer in groups]
        members = [i for indices, _ in self._groups for i in indices]
        assert len(members) == len(set(members)), f"a parameter is in two groups: {members}"
        self._sizes: list[int] | None = None

    def initial_state(self, parameters: Sequence[tf.Tensor]) -> State:
        """Return the groups' states, one after the other."""
        states = [optimizer.initial_state(_pick(parameters, indices)) for indices, optimizer in self._groups]
        self._sizes = [len(state) for state in states]
        return tuple(tensor for state in states for tensor in state)

    def apply(
        self,
        state: State,
        gradients: Sequence[tf.Tensor | None],
        parameters: Sequence[tf.Tensor],
        learning_rate: tf.Tensor | Sequence[tf.Tensor],
    ) -> tuple[State, tuple[tf.Tensor, ...]]:
        """Return the state and the parameters after each group's update."""
        new_state: list[tf.Tensor] = []
        new_parameters = list(parameters)
        rates = self._rates(learning_rate)
        for (indices, optimizer), part, rate in zip(self._groups, self._parts(state, parameters), rates, strict=True):
            part, moved = optimizer.apply(part, _pick(gradients, indices), _pick(parameters, indices), rate)
            new_state.extend(part)
            for i, parameter in zip(indices, moved, strict=True):
                new_parameters[i] = parameter
        return tuple(new_state), tuple(new_parameters)

    def finalize(self, state: State, parameters: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        """Return the parameters that each group reports."""
        reported = list(parameters)
        for (indices, optimizer), part in zip(self._groups, self._parts(state, parameters), strict=True):
            for i, parameter in zip(indices, optimizer.finalize(part, _pick(parameters, indices)), strict=True):
                reported[i] = parameter
        return tuple(reported)

    @property
    def state_names(self) -> tuple[str, ...]:
        """The groups' names behind the number of the group."""
        return tuple(f"{n}/{name}" for n, (_, optimizer) in enumerate(self._groups) for name in optimizer.state_names)

    def _rates(self, learning_rate: tf.Tensor | Sequence[tf.Tensor]) -> Sequence[tf.Tensor]:
        if isinstance(learning_rate, (tuple, list)):
            return learning_rate
        rates = tf.convert_to_tensor(learning_rate)
        return [rates] * len(self._groups) if rates.shape.rank == 0 else tf.unstack(rates, len(self._groups))

    def _parts(self, state: State, parameters: Sequence[tf.Tensor]) -> list[State]:
        """Cut the state into the groups' states."""
        if self._sizes is None:
            self._sizes = [_state_size(optimizer, _pick(parameters, indices)) for indices, optimizer in self._groups]
        ends = list(itertools.accumulate(self._sizes))
        assert ends[-1] == len(state), (ends, len(state))
        return [tuple(state[end - size : end]) for size, end in zip(self._sizes, ends, strict=True)]


def _pick(values: Sequence[Any], indices: Sequence[int]) -> list[Any]:
    return [values[i] for i in indices]


def _state_size(optimizer: Optimizer, parameters: Sequence[tf.Tensor]) -> int:
    """Count the optimizer's state tensors without computing them: this may be in the middle of a trace."""
    specs = [tf.TensorSpec(p.shape, p.dtype) for p in parameters]
    traced = tf.function(optimizer.initial_state, autograph=False).get_concrete_function(specs)
    return len(traced.structured_outputs)
