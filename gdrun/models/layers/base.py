"""Base of the kinds of layers: their initial weights, and the Keras layers they build."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from gdrun.config.section import Identifier, Section
from gdrun.errors import ConfigPath, Problem
from gdrun.models.initial import KERAS_INITIALIZERS, InitialContext, InitialWeights
from gdrun.suggest import did_you_mean

if TYPE_CHECKING:
    import keras

Activation = Literal[
    "linear",
    "relu",
    "relu6",
    "sigmoid",
    "hard_sigmoid",
    "tanh",
    "softmax",
    "softplus",
    "softsign",
    "elu",
    "selu",
    "gelu",
    "silu",
    "swish",
    "mish",
    "exponential",
    "leaky_relu",
    "log_softmax",
]


PREVIOUS = "previous"
INPUT = "input"


class KerasLayer(Section):
    """A layer of Keras. Settings keep Keras's spelling and defaults."""

    keras_name: ClassVar[str] = ""
    """Name of its class in keras.layers, where it differs from this one's."""
    takes_seed: ClassVar[bool] = False
    """True where it draws random numbers while it trains."""
    convolves: ClassVar[bool] = False
    """True where it convolves, which is slow in loops on the device."""
    least_inputs: ClassVar[int] = 1
    """Number of layers that it takes the outputs of, at least."""
    most_inputs: ClassVar[int] = 1
    """The same, at most."""

    name: Identifier | None = None
    """Name, by which later layers have it as an input and its parameters are called; null: kind and number, dense1."""
    inputs: Annotated[tuple[str, ...], Field(min_length=1, max_length=256)] | None = None
    """Layers above whose outputs it takes, by name; `previous` is the one before, `input` the network's input. null:
    the one before."""

    def build(self, *, seed: int, dtype: str) -> keras.layers.Layer:
        """Return Keras's layer, its weights still to be created, and then to be given their initial values.

        Args:
            seed: of what a random layer draws while it trains.
            dtype: "float32" or "float64".
        """
        import keras

        settings = self.keras_settings()
        for name, keras_name in KERAS_INITIALIZERS.items():
            if settings.pop(name, None) is not None:
                settings[keras_name] = "zeros"
        if self.takes_seed:
            settings["seed"] = seed
        return getattr(keras.layers, self.keras_name or type(self).__name__)(dtype=dtype, **settings)

    def keras_settings(self) -> dict[str, Any]:
        """Return the arguments of Keras's class, initial weights by this section's names."""
        return {name: value for name, value in self if name not in _OWN_SETTINGS}

    def parts(self, path: ConfigPath) -> Iterator[tuple[KerasLayer, ConfigPath]]:
        """Yield the layers that it consists of, with their places; itself, at `path`."""
        yield self, path

    def arguments(self, values: Sequence[Any]) -> tuple[Any, ...]:
        """Return the arguments of a call of Keras's layer, of its inputs; of its `build`, of their shapes."""
        return tuple(values)

    def call_settings(self) -> dict[str, Any]:
        """Return the settings that are arguments of a call of Keras's layer, and not of its class."""
        return {}

    def mask_arguments(self, values: Sequence[Any], masks: Sequence[Any]) -> dict[str, Any]:
        """Return the arguments of a call that say which steps of its inputs count; `mask` is given without."""
        return {}

    def initial(
        self, weight: str, shape: Sequence[int], *, seed: int, dtype: str, fan_in: int | None, context: InitialContext
    ) -> np.ndarray | None:
        """Return the initial value of a weight by its name in Keras; None for the one that Keras gives it.

        Args:
            seed: of the layer; its weights are drawn independently.
            fan_in: number of inputs of a unit.
        Raises:
            ComponentError: it has another shape.
        """
        if (value := dict(self).get(weight)) is None or weight not in KERAS_INITIALIZERS:
            return None
        from gdrun.config.located import located_within
        from gdrun.models.keras_initializers import initial_weights

        with located_within(weight):
            seed += _SEED_OFFSETS.get(weight, 0)
            return initial_weights(value, shape, seed=seed, dtype=dtype, fan_in=fan_in, context=context)

    @property
    def is_frozen(self) -> bool:
        """True where the optimizer leaves the layer alone."""
        return not dict(self).get("trainable", True)


class WeightedLayer(KerasLayer):
    """A layer with a bias."""

    use_bias: bool = True
    """false: the layer has no bias."""
    bias: InitialWeights = 0.0
    """Initial bias: a number fills it, an array is it, a name or formula draws it."""
    trainable: bool = True
    """false: the optimizer leaves this layer alone."""

    def keras_settings(self) -> dict[str, Any]:
        settings = super().keras_settings()
        if not self.use_bias:
            del settings["bias"]
        return settings


class KernelLayer(WeightedLayer):
    """A layer with a kernel."""

    kernel: InitialWeights = "glorot_uniform"
    """Initial kernel: a number fills it, an array is it, a name or formula draws it."""


_OWN_SETTINGS = frozenset({"kind", "name", "inputs", "trainable"})
"""Settings that are not Keras's."""
_SEED_OFFSETS = {"recurrent_kernel": 250, "pointwise_kernel": 250, "bias": 500}
"""Numbers added to the layer's seed, so that its weights are drawn independently."""


def layer_names(layers: Sequence[KerasLayer]) -> list[str]:
    """Return the name of each layer: its own, or its kind and how many of the kind there were before."""
    counts: Counter[str] = Counter()
    names = []
    for layer in layers:
        kind = dict(layer)["kind"]
        counts[kind] += 1
        names.append(layer.name or f"{kind}{counts[kind]}")
    return names


def layer_sources(layers: Sequence[KerasLayer]) -> list[tuple[int, ...]]:
    """Return which values each layer takes: 0 is the network's input, k the output of layer k, counted from 1."""
    places = {INPUT: 0}
    sources = []
    for position, (layer, name) in enumerate(zip(layers, layer_names(layers), strict=True)):
        inputs = layer.inputs or (PREVIOUS,)
        sources.append(tuple(position if source == PREVIOUS else places[source] for source in inputs))
        places[name] = position + 1
    return sources


def graph_problems(layers: Sequence[KerasLayer], path: ConfigPath) -> Iterator[Problem]:
    """Yield inputs that no layer above gives, outputs that nothing takes and names that are taken."""
    above = [INPUT]
    names = layer_names(layers)
    unused: dict[str, int] = {}
    sound = True
    for position, (layer, name) in enumerate(zip(layers, names, strict=True)):
        place = (*path, position)
        inputs = layer.inputs or (PREVIOUS,)
        kind = dict(layer)["kind"]
        if layer.name is not None and (layer.name in (*above, PREVIOUS) or names.count(layer.name) > 1):
            yield Problem(f"the name '{layer.name}' is taken", (*place, "name"), "give the layer another name")
        if not layer.least_inputs <= len(inputs) <= layer.most_inputs:
            count = (
                f"{layer.least_inputs}" if layer.least_inputs == layer.most_inputs else f"{layer.least_inputs} or more"
            )
            message = f"{kind} takes {count} input{'' if count == '1' else 's'}, not {len(inputs)}"
            example = (
                f"as in inputs: [{PREVIOUS}, {above[0]}]" if layer.least_inputs > 1 else "join them: add, concatenate"
            )
            yield Problem(message, (*place, "inputs") if layer.inputs else place, example)
        for number, source in enumerate(inputs):
            if source != PREVIOUS and source not in above:
                sound = False
                hint = did_you_mean(source, (PREVIOUS, *above), allowed="there are")
                later = f"layer '{source}' comes only below" if source in names else f"there is no layer '{source}'"
                yield Problem(later, (*place, "inputs", number), hint)
            unused.pop(above[-1] if source == PREVIOUS else source, None)
        above.append(name)
        unused[name] = position
    unused.pop(names[-1], None)
    for name, position in unused.items() if sound else ():
        yield Problem(
            f"nothing takes the output of layer {name}", (*path, position), f"name it: inputs: [{PREVIOUS}, {name}]"
        )
