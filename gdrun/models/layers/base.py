"""Base of the kinds of layers: their initial weights, and the Keras layers they build."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from gdrun.config.section import Section
from gdrun.models.initial import InitialWeights

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


class KerasLayer(Section):
    """A layer of Keras. Settings keep Keras's spelling and defaults."""

    keras_name: ClassVar[str] = ""
    """Name of its class in keras.layers, where it differs from this one's."""
    takes_seed: ClassVar[bool] = False
    """True where it draws random numbers while it trains."""
    convolves: ClassVar[bool] = False
    """True where it convolves, which is slow in loops on the device."""

    def build(self, *, seed: int, dtype: str) -> keras.layers.Layer:
        """Return Keras's layer, its weights still to be created.

        Args:
            seed: draws initial weights, and what a random layer draws while it trains.
            dtype: "float32" or "float64".
        Raises:
            ComponentError: when the weights are created; an initial value has another shape.
        """
        import keras

        from gdrun.models.keras_initializers import RememberedShape, TorchLinear, keras_initializer

        settings = self.keras_settings()
        for name, (keras_name, offset) in _INITIAL_WEIGHTS.items():
            if name in settings:
                settings[keras_name] = keras_initializer(settings.pop(name), seed + offset, within=(name,))
        bias = settings.get("bias_initializer")
        if isinstance(bias, TorchLinear) and "kernel_initializer" in settings:
            settings["kernel_initializer"] = bias.kernel = RememberedShape(settings["kernel_initializer"])
        if self.takes_seed:
            settings["seed"] = seed
        return getattr(keras.layers, self.keras_name or type(self).__name__)(dtype=dtype, **settings)

    def keras_settings(self) -> dict[str, Any]:
        """Return the arguments of Keras's class, initial weights by this section's names."""
        return {name: value for name, value in self if name not in ("kind", "trainable")}

    @property
    def is_frozen(self) -> bool:
        """True where the optimizer leaves the layer alone."""
        return not dict(self).get("trainable", True)


class WeightedLayer(KerasLayer):
    """A layer with a kernel."""

    use_bias: bool = True
    """false: the layer has no bias."""
    kernel: InitialWeights = "glorot_uniform"
    """Initial kernel: a number fills it, an array is it, a name draws it."""
    bias: InitialWeights = 0.0
    """Initial bias: a number fills it, an array is it, a name draws it."""
    trainable: bool = True
    """false: the optimizer leaves this layer alone."""

    def keras_settings(self) -> dict[str, Any]:
        settings = super().keras_settings()
        if not self.use_bias:
            del settings["bias"]
        return settings


_INITIAL_WEIGHTS: dict[str, tuple[str, int]] = {
    "kernel": ("kernel_initializer", 0),
    "recurrent_kernel": ("recurrent_initializer", 250),
    "bias": ("bias_initializer", 500),
    "embeddings": ("embeddings_initializer", 0),
}
"""Setting -> (its name in Keras, number added to the layer's seed, so that its weights are drawn independently)."""
