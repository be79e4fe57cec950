"""What plugins give, as components: checked for its form, its errors told as the plugin's.

Shape letters: B batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gdrun.components.data.dataset import Dataset, dataset
from gdrun.components.functional_keras import KerasOptimizer, State
from gdrun.components.losses import Reduction, reduce
from gdrun.components.models import Call, Initial
from gdrun.components.optimizers import Optimizer
from gdrun.errors import DataError, GdrunError, PluginError
from gdrun.formula.parse import check_name
from gdrun.formula.scope import Scope
from gdrun.plugin import Model, Rule
from gdrun.text import safe_text

Describe = Callable[[BaseException], str]
"""An error of the plugin's code -> what it says and where."""


@dataclass(frozen=True)
class Caller:
    """Calls a plugin's functions; whatever they raise becomes a PluginError that says whose they are.

    Args:
        what: "loss 'pinball' of pinball.py".
        describe: puts an error into words.
    """

    what: str
    describe: Describe

    @contextmanager
    def running(self) -> Iterator[None]:
        """Tell an error of the block as the plugin's."""
        try:
            yield
        except GdrunError:
            raise
        except Exception as error:
            raise PluginError(f"{self.what} failed: {self.describe(error)}") from error

    def wrong(self, told: str, hint: str | None = None) -> PluginError:
        """Return the error for what the plugin gave."""
        return PluginError(f"{self.what} {told}", hint=hint)


def custom_data(make: Callable[[], Any], caller: Caller) -> Dataset:
    """Return the data set that a plugin makes: {"inputs": {name: array}, "target": array, "weights": array}.

    Raises:
        PluginError: it is something else, or `dataset` refuses it.
    """
    with caller.running():
        given = make()
    form = 'it must return {"inputs": {name: array}, "target": array}; target and weights may be left out'
    if not isinstance(given, Mapping):
        raise caller.wrong(f"returned {_kind(given)}", form)
    if unknown := sorted(map(str, given.keys() - {"inputs", "target", "weights"})):
        raise caller.wrong(f"returned the unknown key '{safe_text(unknown[0], limit=60)}'", form)
    inputs = given.get("inputs")
    if not isinstance(inputs, Mapping) or not inputs:
        raise caller.wrong(f"returned {_kind(inputs)} as inputs", form)
    arrays = {
        _name(name, caller, "an input"): _array(value, f"inputs.{name}", caller) for name, value in inputs.items()
    }
    target, weights = (
        None if given.get(name) is None else _array(given[name], name, caller) for name in ("target", "weights")
    )
    try:
        return dataset(arrays, target, weights=weights)
    except DataError as error:
        raise caller.wrong(f"gives data that does not fit: {error.message}", error.hint) from error


@dataclass(frozen=True)
class CustomModel:
    """A plugin's model: parameters by name, and a function of them and of the inputs.

    Args:
        outputs: names of what it predicts; empty: one prediction.
    """

    initial: Mapping[str, Initial]
    predict: Callable[[dict[str, Any], dict[str, Any]], Any]
    outputs: tuple[str, ...]
    caller: Caller
    state: Mapping[str, np.ndarray] = field(default_factory=dict)
    convolutional: bool = False

    def bind(self, state: Mapping[str, tf.Tensor], *, inputs: Sequence[str], training: bool) -> Call:
        """Return the model, ready for one evaluation."""
        seen: list[tuple[Scope, Any]] = []

        def run(scope: Scope) -> Any:
            # Several outputs of one evaluation come from one call.
            if not seen or seen[-1][0] is not scope:
                values = {name: scope[name] for name in self.initial}
                with self.caller.running():
                    seen[:] = [(scope, self.predict(values, {name: scope[name] for name in inputs}))]
            return seen[-1][1]

        def output(name: str) -> Callable[[Scope], Any]:
            return lambda scope: run(scope)[name]

        return Call({name: output(name) for name in self.outputs} or {"prediction": run})


def custom_model(
    make: Callable[[], Any],
    caller: Caller,
    *,
    inputs: Mapping[str, tuple[int, ...]],
    taken: Sequence[str],
    dtype: tf.DType,
) -> CustomModel:
    """Return the model that a plugin makes; it is traced once, so that what it gives is known.

    Args:
        make: returns a gdrun.plugin.Model, or a pair of parameters and function.
        inputs: shapes, the axis of examples included.
        taken: names that parameters cannot have.
        dtype: of the run.
    Raises:
        PluginError: it is no such thing, or fails, or gives no tensors of the run's precision.
    """
    with caller.running():
        made = make()
    if isinstance(made, tuple) and len(made) == 2:
        made = Model(*made)
    if not isinstance(made, Model) or not isinstance(made.parameters, Mapping) or not callable(made.predict):
        raise caller.wrong(f"returned {_kind(made)}", "it must return gdrun.plugin.Model(parameters, predict)")
    initial = {}
    for name, value in made.parameters.items():
        name = _name(name, caller, "a parameter", dotted=True)
        if name in taken:
            raise caller.wrong(f"has a parameter '{name}', which is the name of something else in the config")
        raw = _array(value, f"parameter '{name}'", caller)
        if raw.dtype.kind not in "biufc" or not np.all(np.isfinite(raw)):
            raise caller.wrong(f"starts the parameter '{name}' at what is no finite number")
        initial[name] = Initial(raw, name not in made.fixed)
    if strangers := sorted(map(str, set(made.fixed) - initial.keys())):
        raise caller.wrong(f"fixes '{safe_text(strangers[0], limit=60)}', which is no parameter of it")
    if not any(value.trainable for value in initial.values()):
        raise caller.wrong("has no parameter to train")
    wide = tf.complex64 if dtype == tf.float32 else tf.complex128
    values = {
        name: tf.TensorSpec(one.raw.shape, wide if one.raw.dtype.kind == "c" else dtype)
        for name, one in initial.items()
    }
    given = {name: tf.TensorSpec(shape, dtype) for name, shape in inputs.items()}
    with caller.running():
        predict = made.predict
        traced = tf.function(lambda a, b: predict(a, b), autograph=False).get_concrete_function(values, given)
    return CustomModel(initial, made.predict, _outputs(traced.structured_outputs, dtype, caller), caller)


def _outputs(result: Any, dtype: tf.DType, caller: Caller) -> tuple[str, ...]:
    """The names of a model's outputs; () for a single prediction."""
    named = result if isinstance(result, Mapping) else {"prediction": result}
    if isinstance(result, Mapping) and not result:
        raise caller.wrong("predicts nothing: its dict of outputs is empty")
    for name, value in named.items():
        which = "its prediction" if named is not result else f"its output '{name}'"
        if not tf.is_tensor(value) and not isinstance(value, tf.TensorSpec):
            raise caller.wrong(f"gives {_kind(value)} as {which}", "a tensor, or a dict of named outputs")
        if value.dtype.is_floating and value.dtype != dtype:
            raise caller.wrong(
                f"gives {which} as {value.dtype.name}, but the run's precision is {dtype.name}",
                "make constants of the parameters' dtype: tf.constant(2.0, x.dtype)",
            )
    return tuple(_name(name, caller, "an output") for name in result) if isinstance(result, Mapping) else ()


def custom_loss(
    function: Callable[[Any, Any], Any], caller: Caller, *, reduction: Reduction
) -> Callable[..., tf.Tensor]:
    """Return (prediction, target, weights) -> scalar, of a plugin's (target, prediction) -> scalar or (B, ...).

    Raises, when it is called:
        PluginError: the function failed or gives something else.
    """

    def loss(prediction: Any, target: tf.Tensor | None, weights: tf.Tensor | None, dtype: tf.DType) -> tf.Tensor:
        value = _tensor(function, target, prediction, caller, dtype)
        if value.shape.rank == 0:
            if weights is not None:
                raise caller.wrong(
                    "gives one number for all examples, so the weights of data do not reach it",
                    "return a number an example: gdrun weighs and averages them",
                )
            return value
        size = None if target is None else target.shape[0]
        if size is not None and value.shape[0] != size:
            raise caller.wrong(
                f"gives shape {tuple(value.shape)} for {size} examples", "a scalar, or a first axis of examples"
            )
        return reduce(value, reduction, weights)

    return loss


def custom_metric(function: Callable[[Any, Any], Any], caller: Caller) -> Callable[..., tf.Tensor]:
    """Return (prediction, target, dtype) -> scalar, of a plugin's (target, prediction) -> scalar."""

    def metric(prediction: Any, target: tf.Tensor | None, dtype: tf.DType) -> tf.Tensor:
        value = _tensor(function, target, prediction, caller, dtype)
        if value.shape.num_elements() != 1:
            raise caller.wrong(f"must give one number, it gives shape {tuple(value.shape)}")
        return tf.reshape(value, [])

    return metric


def _tensor(function: Any, target: Any, prediction: Any, caller: Caller, dtype: tf.DType) -> tf.Tensor:
    with caller.running():
        value = function(target, prediction)
        if value is None:
            raise caller.wrong("returned nothing", "return the value")
        value = tf.convert_to_tensor(value, dtype) if isinstance(value, int | float) else tf.convert_to_tensor(value)
        if value.dtype.is_bool or value.dtype.is_integer:
            value = tf.cast(value, dtype)
    if value.dtype != dtype:
        hint = "make constants of the prediction's dtype: tf.constant(2.0, prediction.dtype)"
        raise caller.wrong(f"gives {value.dtype.name}, but the run's precision is {dtype.name}", hint)
    return value


def custom_optimizer(
    make: Callable[[], Any], caller: Caller, *, parameters: Mapping[str, tuple[tuple[int, ...], tf.DType]]
) -> Optimizer:
    """Return the optimizer that a plugin makes, tried once on the parameters' shapes.

    Args:
        make: returns a Keras optimizer, the class of one, or a gdrun.plugin.Rule.
        parameters: name -> (shape, dtype) of each that is trained.
    Raises:
        PluginError: it is something else, or fails, or changes a shape.
    """
    with caller.running():
        made = make()
        optimizer = _optimizer(made, caller, tuple(parameters))
        specs = [tf.TensorSpec(shape, dtype) for shape, dtype in parameters.values()]
        rate = tf.TensorSpec([], tf.float64)

        def once(values: Sequence[tf.Tensor], rate: tf.Tensor) -> Any:
            return optimizer.apply(optimizer.initial_state(values), values, values, rate)

        tf.function(once, autograph=False).get_concrete_function(specs, rate)
    return optimizer


def _optimizer(made: Any, caller: Caller, names: tuple[str, ...]) -> Optimizer:
    if isinstance(made, Rule):
        return RuleOptimizer(made, caller, names)
    if isinstance(made, type) and issubclass(made, keras.optimizers.Optimizer):
        return KerasOptimizer(made, parameter_names=names)
    if isinstance(made, keras.optimizers.Optimizer):
        import inspect

        settings = {name: value for name, value in made.get_config().items() if name not in ("name", "learning_rate")}
        wanted = inspect.signature(type(made).__init__).parameters.values()
        kept = {*settings, "self", "name", "learning_rate"}
        lost = [one.name for one in wanted if one.kind is one.POSITIONAL_OR_KEYWORD and one.name not in kept]
        if lost:
            raise caller.wrong(f"gives an optimizer whose get_config leaves out '{lost[0]}'", "add it there")
        return KerasOptimizer(type(made), settings=settings, parameter_names=names)
    raise caller.wrong(f"returned {_kind(made)}", "a Keras optimizer, its class, or gdrun.plugin.Rule(init, update)")


class RuleOptimizer:
    """A plugin's `Rule` as an optimizer: each parameter by itself, its state the values of a dict, in sorted order."""

    def __init__(self, rule: Rule, caller: Caller, parameter_names: Sequence[str]) -> None:
        self._rule = rule
        self._caller = caller
        self._names = tuple(parameter_names)
        self._keys: list[tuple[str, ...]] = []

    def initial_state(self, parameters: Sequence[tf.Tensor]) -> State:
        """Return every parameter's state, one after the other."""
        self._keys, state = [], []
        for parameter in parameters:
            with self._caller.running():
                own = self._rule.init(parameter)
                if not isinstance(own, Mapping):
                    raise self._caller.wrong(f"starts with {_kind(own)} as state", "a dict of tensors, {} for none")
                keys = tuple(sorted(own))
                state += [_like(own[key], parameter.dtype) for key in keys]
            self._keys.append(keys)
        return tuple(state)

    def apply(
        self,
        state: State,
        gradients: Sequence[tf.Tensor | None],
        parameters: Sequence[tf.Tensor],
        learning_rate: tf.Tensor,
    ) -> tuple[State, tuple[tf.Tensor, ...]]:
        """Return the state and the parameters after one update; one without a gradient stays as it is."""
        rest, new_state, moved = list(state), [], []
        for name, keys, gradient, parameter in zip(self._names, self._keys, gradients, parameters, strict=True):
            own, rest = rest[: len(keys)], rest[len(keys) :]
            if gradient is None:
                new_state, moved = [*new_state, *own], [*moved, parameter]
                continue
            rate = tf.cast(learning_rate, parameter.dtype)
            with self._caller.running():
                result = self._rule.update(dict(zip(keys, own, strict=True)), gradient, parameter, rate)
                if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[0], Mapping):
                    raise self._caller.wrong(f"updates to {_kind(result)}", "return (state, parameter)")
                if set(result[0]) != set(keys):
                    raise self._caller.wrong(f"began with the state {list(keys)}, and now has {sorted(result[0])}")
                new_state += [
                    self._same(result[0][key], old, f"state '{key}'") for key, old in zip(keys, own, strict=True)
                ]
                moved.append(self._same(result[1], parameter, f"parameter '{name}'"))
        return tuple(new_state), tuple(moved)

    def finalize(self, state: State, parameters: Sequence[tf.Tensor]) -> tuple[tf.Tensor, ...]:
        """Return the parameters as they are."""
        return tuple(parameters)

    @property
    def state_names(self) -> tuple[str, ...]:
        """parameter/key."""
        return tuple(f"{name}/{key}" for name, keys in zip(self._names, self._keys, strict=True) for key in keys)

    def _same(self, value: Any, old: tf.Tensor, what: str) -> tf.Tensor:
        value = _like(value, old.dtype)
        if value.dtype != old.dtype or value.shape != old.shape:
            raise self._caller.wrong(
                f"turns {what}, {old.dtype.name} {tuple(old.shape)}, into {value.dtype.name} {tuple(value.shape)}"
            )
        return value


def _like(value: Any, dtype: tf.DType) -> tf.Tensor:
    """Tensors as they are, numbers and arrays of them in `dtype`."""
    return value if tf.is_tensor(value) else tf.convert_to_tensor(value, dtype)


def _name(name: Any, caller: Caller, what: str, *, dotted: bool = False) -> str:
    if not isinstance(name, str):
        raise caller.wrong(f"calls {what} {_kind(name)}", "names are texts")
    for part in name.split(".") if dotted else (name,):
        problem = check_name(part)
        # Below a dot a name cannot be mistaken for one of the language's.
        if problem is not None and not (dotted and "." in name and part.isidentifier()):
            raise caller.wrong(f"calls {what} '{safe_text(name, limit=60)}': {problem.message}", problem.hint)
    return name


def _array(value: Any, where: str, caller: Caller) -> np.ndarray:
    with caller.running():
        array = np.asarray(value)
    if array.dtype.kind == "O":
        raise caller.wrong(f"gives {_kind(value)} as {where}", "an array of numbers")
    return array.astype(np.float64) if array.dtype.kind in "biuf" else array


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
