"""Convolutions, pooling and layers that change an image's size."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, WithJsonSchema

from gdrun.config.section import Count, PositiveInteger
from gdrun.models.initial import InitialWeights

from .base import Activation, KerasLayer, KernelLayer, WeightedLayer


def _sizes(value: Any) -> Any:
    """Return a positive integer or a list of them, one a dimension; refuse anything else."""
    items = value if isinstance(value, (tuple, list)) else (value,)
    for item in items:
        whole = isinstance(item, int) or (isinstance(item, float) and item.is_integer())
        if isinstance(item, bool) or not whole or item < 1:
            raise ValueError("expected a positive integer or a list of them, one a dimension")
    return tuple(int(item) for item in items) if isinstance(value, (tuple, list)) else int(value)


PoolSize = Annotated[
    Any,
    AfterValidator(_sizes),
    WithJsonSchema(
        {
            "title": "a positive integer or a list of them",
            "type": ["integer", "array"],
            "minimum": 1,
            "items": {"type": "integer", "minimum": 1},
        }
    ),
]


class Filters(WeightedLayer):
    """A layer that moves a window over an image or a sequence."""

    convolves = True

    filters: PositiveInteger
    """Number of output channels."""
    kernel_size: PoolSize
    """Size of the window, a number or one a dimension."""
    strides: PoolSize = 1
    """Step of the window."""
    padding: Literal["valid", "same"] = "valid"
    """valid: only whole windows; same: as many outputs as inputs."""
    activation: Activation = "linear"
    """Activation of the output."""


class Convolution(Filters, KernelLayer):
    """A convolution."""


class Conv1D(Convolution):
    """One-dimensional convolution over (steps, channels)."""

    kind: Literal["conv1d"]


class Conv2D(Convolution):
    """Two-dimensional convolution over (rows, columns, channels)."""

    kind: Literal["conv2d"]


class SeparableConvolution(Filters):
    """A convolution of each channel by itself, and then a product over the channels."""

    depth_multiplier: PositiveInteger = 1
    """Outputs of the first part, for each channel."""
    depthwise_kernel: InitialWeights = "glorot_uniform"
    """Initial kernel of the first part: a number fills it, an array is it, a name or formula draws it."""
    pointwise_kernel: InitialWeights = "glorot_uniform"
    """Initial kernel of the product over the channels: likewise."""


class SeparableConv1D(SeparableConvolution):
    """One-dimensional separable convolution over (steps, channels)."""

    kind: Literal["separable_conv1d"]


class SeparableConv2D(SeparableConvolution):
    """Two-dimensional separable convolution over (rows, columns, channels)."""

    kind: Literal["separable_conv2d"]


class Pooling(KerasLayer):
    """A summary of each window."""

    pool_size: PoolSize = 2
    """Size of the window, a number or one a dimension."""
    strides: PoolSize | None = None
    """Step of the window; null: the window's size."""
    padding: Literal["valid", "same"] = "valid"
    """valid: only whole windows; same: the edge too."""

    def keras_settings(self) -> dict[str, Any]:
        # Keras accepts no null here; without the argument it takes its own default, the window's size.
        return {name: value for name, value in super().keras_settings().items() if value is not None}


class MaxPooling1D(Pooling):
    """Largest value of each window."""

    kind: Literal["max_pooling1d"]


class MaxPooling2D(Pooling):
    """Largest value of each window."""

    kind: Literal["max_pooling2d"]


class AveragePooling2D(Pooling):
    """Mean of each window."""

    kind: Literal["average_pooling2d"]


class GlobalAveragePooling2D(KerasLayer):
    """Mean of each channel."""

    kind: Literal["global_average_pooling2d"]


class GlobalMaxPooling2D(KerasLayer):
    """Largest value of each channel."""

    kind: Literal["global_max_pooling2d"]


class Conv2DTranspose(Convolution):
    """Two-dimensional convolution transposed: from a small image to a larger one."""

    kind: Literal["conv2d_transpose"]


class AveragePooling1D(Pooling):
    """Mean of each window."""

    kind: Literal["average_pooling1d"]


class GlobalAveragePooling1D(KerasLayer):
    """Mean of each channel over the steps."""

    kind: Literal["global_average_pooling1d"]


class GlobalMaxPooling1D(KerasLayer):
    """Largest value of each channel over the steps."""

    kind: Literal["global_max_pooling1d"]


class UpSampling2D(KerasLayer):
    """Each pixel repeated."""

    kind: Literal["up_sampling2d"]
    size: PoolSize = 2
    """Number of repetitions, one for both dimensions or one a dimension."""


class ZeroPadding2D(KerasLayer):
    """Zeros around the image."""

    kind: Literal["zero_padding2d"]
    padding: Count = 1
    """Rows and columns of zeros on every side."""
