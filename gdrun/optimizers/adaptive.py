"""Keras's adaptive optimizers, with Keras's names, spelling and defaults."""

from typing import Annotated, Literal

from pydantic import Field

from gdrun.config.section import Count, NonNegative, Number, PositiveInteger, PositiveNumber

from .sections import Decay, KerasOptimizer


class AdamSettings(KerasOptimizer):
    """What Adam and AdamW have."""

    learning_rate: NonNegative = 0.001
    """Step size."""
    beta_1: Decay = 0.9
    """Decay of the first moment."""
    beta_2: Decay = 0.999
    """Decay of the second moment."""
    epsilon: NonNegative = 1e-7
    """Added to the root of the second moment."""
    amsgrad: bool = False
    """Use the largest second moment so far."""


class Adam(AdamSettings):
    """Adam, Kingma and Ba 2015."""

    kind: Literal["adam"]


class AdamW(AdamSettings):
    """Adam with decoupled weight decay, Loshchilov and Hutter 2019."""

    kind: Literal["adamw"]
    weight_decay: NonNegative | None = 0.004
    """Decoupled weight decay: each step also subtracts weight_decay * learning_rate * parameter."""


class Adamax(KerasOptimizer):
    """Adam with the infinity norm."""

    kind: Literal["adamax"]
    learning_rate: NonNegative = 0.001
    """Step size."""
    beta_1: Decay = 0.9
    """Decay of the first moment."""
    beta_2: Decay = 0.999
    """Decay of the infinity norm."""
    epsilon: NonNegative = 1e-7
    """Added to the norm."""


class Nadam(KerasOptimizer):
    """Adam with Nesterov's momentum, Dozat 2015."""

    kind: Literal["nadam"]
    learning_rate: NonNegative = 0.001
    """Step size."""
    beta_1: Decay = 0.9
    """Decay of the first moment."""
    beta_2: Decay = 0.999
    """Decay of the second moment."""
    epsilon: NonNegative = 1e-7
    """Added to the root of the second moment."""


class RmsProp(KerasOptimizer):
    """RMSprop: the gradient over the root of its moving mean square."""

    kind: Literal["rmsprop"]
    learning_rate: NonNegative = 0.001
    """Step size."""
    rho: Decay = 0.9
    """Decay of the mean square."""
    momentum: Decay = 0.0
    """Heavy-ball momentum on the scaled gradient."""
    epsilon: NonNegative = 1e-7
    """Added to the mean square."""
    centered: bool = False
    """Divide by the deviation instead of the root mean square."""


class Adagrad(KerasOptimizer):
    """Adagrad: the gradient over the root of its accumulated squares."""

    kind: Literal["adagrad"]
    learning_rate: NonNegative = 0.001
    """Step size."""
    initial_accumulator_value: NonNegative = 0.1
    """Where the accumulated squares start."""
    epsilon: NonNegative = 1e-7
    """Added to the accumulated squares."""


class Adadelta(KerasOptimizer):
    """Adadelta, Zeiler 2012."""

    kind: Literal["adadelta"]
    learning_rate: NonNegative = 0.001
    """Step size; the paper's form is 1.0."""
    rho: Decay = 0.95
    """Decay of both mean squares."""
    epsilon: NonNegative = 1e-7
    """Added to the mean squares."""


class Ftrl(KerasOptimizer):
    """Follow the regularised leader, McMahan et al. 2013."""

    kind: Literal["ftrl"]
    learning_rate: NonNegative = 0.001
    """Step size."""
    learning_rate_power: Annotated[Number, Field(le=0)] = -0.5
    """How the step size falls with the accumulated squares."""
    initial_accumulator_value: NonNegative = 0.1
    """Where the accumulated squares start."""
    l1_regularization_strength: NonNegative = 0.0
    """l1 penalty."""
    l2_regularization_strength: NonNegative = 0.0
    """l2 penalty."""
    l2_shrinkage_regularization_strength: NonNegative = 0.0
    """l2 penalty on the gradient's size."""
    beta: NonNegative = 0.0
    """Beta of the paper."""


class Lion(KerasOptimizer):
    """Lion: the sign of an interpolated momentum, Chen et al. 2023."""

    kind: Literal["lion"]
    learning_rate: NonNegative = 0.001
    """Step size."""
    beta_1: Decay = 0.9
    """Interpolation between momentum and gradient."""
    beta_2: Decay = 0.99
    """Decay of the momentum."""


class Lamb(KerasOptimizer):
    """Lamb: Adam scaled by each parameter's norm, You et al. 2020."""

    kind: Literal["lamb"]
    learning_rate: NonNegative = 0.001
    """Step size."""
    beta_1: Decay = 0.9
    """Decay of the first moment."""
    beta_2: Decay = 0.999
    """Decay of the second moment."""
    epsilon: NonNegative = 1e-7
    """Added to the root of the second moment."""


class Adafactor(KerasOptimizer):
    """Adafactor, Shazeer and Stern 2018."""

    kind: Literal["adafactor"]
    learning_rate: NonNegative = 0.001
    """Step size."""
    beta_2_decay: Number = -0.8
    """Decay rate of beta_2."""
    epsilon_1: NonNegative = 1e-30
    """Added to the squared gradient."""
    epsilon_2: NonNegative = 0.001
    """Smallest scale of a parameter."""
    clip_threshold: PositiveNumber = 1.0
    """Updates are clipped at this root mean square."""
    relative_step: bool = True
    """Let the step size fall with the step."""


class Muon(KerasOptimizer):
    """Muon: orthogonalised momentum for matrices, Adam for the rest."""

    kind: Literal["muon"]
    learning_rate: NonNegative = 0.001
    """Step size."""
    adam_beta_1: Decay = 0.9
    """Of Adam: decay of the first moment."""
    adam_beta_2: Decay = 0.999
    """Of Adam: decay of the second moment."""
    adam_weight_decay: NonNegative | None = 0.004
    """Weight decay of the parameters that Adam moves."""
    epsilon: NonNegative = 1e-7
    """Of Adam: added to the root of the second moment."""
    weight_decay: NonNegative | None = 0.004
    """Weight decay of the matrices."""
    muon_a: Number = 3.4445
    """First coefficient of the Newton-Schulz step."""
    muon_b: Number = -4.775
    """Second coefficient."""
    muon_c: Number = 2.0315
    """Third coefficient."""
    adam_lr_ratio: NonNegative = 1.0
    """Adam's step size over Muon's."""
    momentum: Decay = 0.95
    """Of the matrices."""
    ns_steps: PositiveInteger = 5
    """Newton-Schulz steps."""
    nesterov: bool = True
    """Nesterov's momentum."""
    rms_rate: NonNegative | None = 0.2
    """Root mean square that a matrix's update is scaled to."""


class ScheduleFreeAdamW(KerasOptimizer):
    """Schedule-free AdamW, Defazio et al. 2024."""

    kind: Literal["schedule_free_adamw"]
    learning_rate: NonNegative = 0.0025
    """Step size."""
    beta_1: Decay = 0.9
    """Interpolation between average and iterate."""
    beta_2: Decay = 0.999
    """Decay of the second moment."""
    epsilon: NonNegative = 1e-8
    """Added to the root of the second moment."""
    warmup_steps: Count = 0
    """Steps over which the rate rises from 0."""
