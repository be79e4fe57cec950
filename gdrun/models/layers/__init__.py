"""Layers. A new one is one class in this package and one line here."""

from typing import Annotated

from pydantic import Field

from gdrun.config.section import BareKind

from .convolutions import (
    AveragePooling1D,
    AveragePooling2D,
    Conv1D,
    Conv2D,
    Conv2DTranspose,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    MaxPooling1D,
    MaxPooling2D,
    SeparableConv1D,
    SeparableConv2D,
    UpSampling2D,
    ZeroPadding2D,
)
from .core import (
    ActivationLayer,
    BatchNormalization,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GaussianNoise,
    LayerNormalization,
    LeakyRelu,
    Masking,
    Rescaling,
    Reshape,
)
from .joining import Add, Concatenate, MultiHeadAttention, Multiply
from .recurrent import Bidirectional, Gru, Lstm, SimpleRnn

Layer = Annotated[
    Dense
    | Conv1D
    | Conv2D
    | Conv2DTranspose
    | SeparableConv1D
    | SeparableConv2D
    | MaxPooling1D
    | MaxPooling2D
    | AveragePooling1D
    | AveragePooling2D
    | GlobalAveragePooling1D
    | GlobalAveragePooling2D
    | GlobalMaxPooling1D
    | GlobalMaxPooling2D
    | UpSampling2D
    | ZeroPadding2D
    | SimpleRnn
    | Gru
    | Lstm
    | Bidirectional
    | MultiHeadAttention
    | Add
    | Multiply
    | Concatenate
    | Flatten
    | Reshape
    | ActivationLayer
    | LeakyRelu
    | Dropout
    | GaussianNoise
    | BatchNormalization
    | LayerNormalization
    | Embedding
    | Masking
    | Rescaling,
    Field(discriminator="kind"),
    BareKind,
]
