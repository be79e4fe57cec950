"""A program that people write by hand, and the config that says the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

Parameters = Mapping[str, tf.Variable]


@dataclass(frozen=True)
class Program:
    """One program, twice.

    Args:
        config: the YAML, without what every program has: graph mode, a row for each step.
        loss: (parameters by name, step) -> scalar, in TensorFlow as one would write it by hand. Names are the config's.
        start: parameter -> initial value before its transform; None: the value that the config draws.
        optimizer: returns Keras's.
        steps: updates. dtype: of all. rtol: of losses and final parameters. transforms: parameter -> function.
        schedule: of the config; default so many steps.
    """

    config: str
    loss: Callable[[Parameters, int], tf.Tensor]
    start: Mapping[str, Any]
    optimizer: Callable[[], Any]
    steps: int
    dtype: str = "float32"
    rtol: float = 2e-5
    transforms: Mapping[str, Callable[[Any], Any]] = field(default_factory=dict)
    schedule: str | None = None

    @property
    def text(self) -> str:
        """The whole config."""
        schedule = self.schedule or f"{{steps: {self.steps}}}"
        head = f"compile: graph\nprecision: {self.dtype}\nrecord: {{every: 1, parameters: true}}\n"
        return f"{head}schedule: {schedule}\n{self.config.strip()}\n"


PROGRAMS: dict[str, Program] = {}


def sgd(rate: float, **settings: Any) -> Callable[[], Any]:
    return lambda: keras.optimizers.SGD(rate, **settings)


def adam(rate: float, **settings: Any) -> Callable[[], Any]:
    return lambda: keras.optimizers.Adam(rate, **settings)


def program(config: str, **arguments: Any) -> Callable[[Callable[..., tf.Tensor]], Callable[..., tf.Tensor]]:
    """Register the decorated loss as a Program under its name."""

    def register(loss: Callable[..., tf.Tensor]) -> Callable[..., tf.Tensor]:
        PROGRAMS[loss.__name__] = Program(config, loss, **arguments)
        return loss

    return register


def constant(values: Any, dtype: str = "float32") -> tf.Tensor:
    return tf.constant(values, dtype)
