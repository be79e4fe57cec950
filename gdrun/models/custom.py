"""Models of plugins."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from gdrun.config.custom import CustomSection
from gdrun.config.plugin_calls import Caller, as_array, bound_function, checked_name, type_in_words
from gdrun.formula.evaluate import Scope
from gdrun.plugin import Model
from gdrun.random_streams import stream
from gdrun.text import safe_text

from .base import BoundModel, ModelContext, ModelFunction, ModelSection
from .initial import Initial

if TYPE_CHECKING:
    import tensorflow as tf

    from .keras_model import KerasModel


class CustomModel(CustomSection, ModelSection):
    """A model that a plugin makes."""

    part = "model"
    needs_data = False

    kind: Literal["custom"]

    def build(self, context: ModelContext) -> PluginFunction:
        import tensorflow as tf

        from .keras_model import making

        function, caller = bound_function(self)
        shapes = {name: shape[1:] for name, shape in context.inputs.items()}
        numbers = context.random or stream(context.seed, "initial of a custom model")

        def make() -> Any:
            with making(seed=context.seed, dtype=context.precision):
                return function(shapes, numbers)

        return custom_model(
            make,
            caller,
            inputs=context.inputs,
            taken=(*context.constants, *context.inputs),
            dtype=tf.as_dtype(context.precision),
        )


@dataclass(frozen=True)
class PluginFunction(ModelFunction):
    """A plugin's model: parameters by name, and a function of them and of the inputs.

    Args:
        outputs: names of what it predicts; empty: one prediction.
        network: the Keras model that it is, which has state beside its parameters.
    """

    predict: Callable[[dict[str, Any], dict[str, Any]], Any]
    outputs: tuple[str, ...]
    caller: Caller
    network: KerasModel | None = None

    @property
    def state(self) -> Mapping[str, np.ndarray]:
        return {name: value.numpy() for name, value in self.network.state.items()} if self.network else {}

    @property
    def convolutional(self) -> bool:
        return self.network is not None and self.network.convolutional

    @property
    def keras_network(self) -> KerasModel | None:
        return self.network

    def bind(self, state: Mapping[str, tf.Tensor], *, inputs: Sequence[str], training: bool) -> BoundModel:
        """Return the model, ready for one evaluation."""
        latest: list[tuple[Scope, Any]] = []
        updates: dict[str, tf.Tensor] = {}

        def predict(parameters: dict[str, Any], values: dict[str, Any], varied: bool) -> Any:
            if self.network is None:
                return self.predict(parameters, values)
            output, new = self.network.call(parameters, state, values, training=training)
            if not varied:
                updates.update(new)
            return output

        def run(scope: Scope) -> Any:
            # The plugin computes all outputs in one call, which is made once an evaluation.
            if not latest or latest[-1][0] is not scope:
                values = {name: scope[name] for name in self.initial}
                with self.caller.calling():
                    latest[:] = [(scope, predict(values, {name: scope[name] for name in inputs}, scope.varied))]
            return latest[-1][1]

        def output(name: str) -> Callable[[Scope], Any]:
            return lambda scope: run(scope)[name]

        return BoundModel({name: output(name) for name in self.outputs} or {"prediction": run}, {}, updates)


def custom_model(
    make: Callable[[], Any],
    caller: Caller,
    *,
    inputs: Mapping[str, tuple[int, ...]],
    taken: Sequence[str],
    dtype: tf.DType,
) -> PluginFunction:
    """Return the model that a plugin makes; it is traced once to find its outputs.

    Args:
        make: returns a gdrun.plugin.Model, a pair of parameters and function, or a Keras model.
        inputs: shapes, the axis of examples included.
        taken: names that parameters cannot have.
        dtype: of the run.
    Raises:
        PluginError: it is no model, or fails, or returns no tensors of the run's precision.
    """
    import keras
    import tensorflow as tf

    from .keras_model import KerasModel

    with caller.calling():
        made = make()
    network = KerasModel(made, list(inputs), caller, dtype.name) if isinstance(made, keras.Model) else None
    if network is not None:
        made = Model({name: value.numpy() for name, value in network.parameters.items()}, network.evaluate)
    if isinstance(made, tuple) and len(made) == 2:
        made = Model(*made)
    if not isinstance(made, Model) or not isinstance(made.parameters, Mapping) or not callable(made.predict):
        raise caller.error(
            f"returned {type_in_words(made)}",
            "it must return gdrun.plugin.Model(parameters, predict), or a Keras model",
        )
    initial = {}
    for name, value in made.parameters.items():
        name = checked_name(name, caller, "a parameter", dotted=True)
        if name in taken:
            raise caller.error(f"has a parameter '{name}', which is the name of something else in the config")
        raw = as_array(value, f"parameter '{name}'", caller)
        if raw.dtype.kind not in "biufc" or not np.all(np.isfinite(raw)):
            raise caller.error(f"starts the parameter '{name}' at what is no finite number")
        initial[name] = Initial(raw, name not in made.fixed)
    if unknown := sorted(map(str, set(made.fixed) - initial.keys())):
        raise caller.error(f"fixes '{safe_text(unknown[0], limit=60)}', which is no parameter of it")
    if not any(value.trainable for value in initial.values()):
        raise caller.error("has no parameter to train")
    wide = tf.complex64 if dtype == tf.float32 else tf.complex128
    values = {
        name: tf.TensorSpec(value.raw.shape, wide if value.raw.dtype.kind == "c" else dtype)
        for name, value in initial.items()
    }
    input_specs = {name: tf.TensorSpec(shape, dtype) for name, shape in inputs.items()}
    with caller.calling():
        predict = made.predict
        traced = tf.function(lambda a, b: predict(a, b), autograph=False).get_concrete_function(values, input_specs)
    return PluginFunction(initial, made.predict, _outputs(traced.structured_outputs, dtype, caller), caller, network)


def _outputs(result: Any, dtype: tf.DType, caller: Caller) -> tuple[str, ...]:
    """Return the names of a model's outputs; () for a single prediction."""
    import tensorflow as tf

    named = result if isinstance(result, Mapping) else {"prediction": result}
    if isinstance(result, Mapping) and not result:
        raise caller.error("predicts nothing: its dict of outputs is empty")
    for name, value in named.items():
        which = "its prediction" if named is not result else f"its output '{name}'"
        if not tf.is_tensor(value) and not isinstance(value, tf.TensorSpec):
            raise caller.error(f"gives {type_in_words(value)} as {which}", "a tensor, or a dict of named outputs")
        if value.dtype.is_floating and value.dtype != dtype:
            raise caller.error(
                f"gives {which} as {value.dtype.name}, but the run's precision is {dtype.name}",
                "make constants of the parameters' dtype: tf.constant(2.0, x.dtype)",
            )
    return tuple(checked_name(name, caller, "an output") for name in result) if isinstance(result, Mapping) else ()
