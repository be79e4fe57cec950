"""Interface for plugins: decorators that register data, models, losses, optimizers and metrics under a name.

    import gdrun.plugin as gd

    @gd.loss("pinball", options=Pinball)
    def pinball(target, prediction, options):
        error = target - prediction
        return tf.maximum(options.level * error, (options.level - 1) * error)

A config names it, `loss: {kind: custom, name: pinball, options: {level: 0.9}}`, and the command line loads it,
`gdrun train line.yaml --plugin pinball.py`. `options` is a pydantic model, and the function is called with an instance
of it; without one, the function is called without `options`, and the config can give none.

| part | the function is called with | and returns |
|---|---|---|
| data | `random` | `{"inputs": {name: array}, "target": array, "weights": array}` |
| model | `shapes, random` | a `Model`, (parameters, predict), or a built Keras model |
| loss | `target, prediction` | a scalar, or a number an example |
| metric | `target, prediction` | a scalar |
| optimizer | nothing | a Keras optimizer, its class, or a `Rule` |

Nothing here imports TensorFlow or pydantic.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from gdrun.errors import PluginError

__all__ = ["Model", "Registration", "Rule", "data", "loss", "metric", "model", "optimizer", "registered"]

Part = Literal["data", "model", "loss", "optimizer", "metric"]

CALLED_WITH: Mapping[Part, tuple[str, ...]] = {
    "data": ("random",),
    "model": ("shapes", "random"),
    "loss": ("target", "prediction"),
    "optimizer": (),
    "metric": ("target", "prediction"),
}
"""Arguments of the function of each part, in this order; then `options` by name, where it has any."""

NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_.-]{0,63}$"

_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Model:
    """A custom model: its parameters and its function.

    Args:
        parameters: name -> initial value, a number or array; each is trained unless it is among `fixed`.
        predict: (parameters, inputs) -> prediction, or a dict of named outputs. Both are dicts of tensors by name; the
            first axis of inputs and predictions counts the examples. It runs inside the compiled loop: use
            TensorFlow's functions, or Keras's `ops`, and keep nothing between calls.
        fixed: names of parameters that are not trained.
    """

    parameters: Mapping[str, Any]
    predict: Callable[[dict[str, Any], dict[str, Any]], Any]
    fixed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rule:
    """An update rule as two functions of tensors, for one parameter at a time.

    Args:
        init: parameter -> its state before the first update: a dict of tensors or numbers, which may be empty.
        update: (state, gradient, parameter, learning_rate) -> (new state, new parameter), of the same shapes.
    """

    init: Callable[[Any], Mapping[str, Any]]
    update: Callable[[Mapping[str, Any], Any, Any, Any], tuple[Mapping[str, Any], Any]]


@dataclass(frozen=True)
class Registration:
    """A function that a plugin has registered under a name."""

    part: Part
    name: str
    function: Callable[..., Any]
    options: Any
    """A pydantic model's class, or None."""
    module: str
    file: str
    line: int

    def __str__(self) -> str:
        return f"{self.part} '{self.name}'"


_REGISTERED: dict[str, list[Registration]] = {}
"""Module -> its registrations, in order."""


def data(name: str, *, options: Any = None) -> Callable[[_Function], _Function]:
    """Give a function that makes examples a name: `data: {kind: custom, name: ...}`.

    The function is called with `random`, a numpy Generator from the config's seed (a RandomState where the config says
    `random: legacy`). It returns a dict of "inputs", a dict of arrays by name, and where there are any "target" and
    "weights", one number an example. The first axis of every array counts the examples.
    """
    return _named("data", name, options)


def model(name: str, *, options: Any = None) -> Callable[[_Function], _Function]:
    """Give a function that makes a model a name: `model: {kind: custom, name: ...}`.

    The function is called with `shapes`, the inputs' shapes by name without the axis of examples, and `random`, a numpy
    Generator for initial values. It returns a `Model`, its `parameters` and `predict` as a pair, or a built
    Keras model.
    """
    return _named("model", name, options)


def loss(name: str, *, options: Any = None) -> Callable[[_Function], _Function]:
    """Give a loss a name: `loss: {kind: custom, name: ...}`.

    The function is called with `target` and `prediction`, tensors (a dict, where the model has named outputs), and
    returns a scalar, or numbers whose first axis counts the examples, which are then averaged or summed.
    """
    return _named("loss", name, options)


def optimizer(name: str, *, options: Any = None) -> Callable[[_Function], _Function]:
    """Give an optimizer a name: `optimizer: {kind: custom, name: ..., learning_rate: ...}`.

    The function returns a Keras optimizer, made or as a class, or a `Rule`. The learning rate is the config's, times
    what its schedule says.
    """
    return _named("optimizer", name, options)


def metric(name: str, *, options: Any = None) -> Callable[[_Function], _Function]:
    """Give a metric a name: `metrics: [{kind: custom, name: ...}]`. The function is a loss's, and returns a scalar."""
    return _named("metric", name, options)


def registered(module: str) -> tuple[Registration, ...]:
    """Return the registrations of `module` and of the modules below it."""
    return tuple(
        registration
        for name, registrations in _REGISTERED.items()
        if name == module or name.startswith(f"{module}.")
        for registration in registrations
    )


def forget(module: str) -> None:
    """Drop the registrations of `module`, which could not be loaded completely."""
    _REGISTERED.pop(module, None)


def _named(part: Part, name: str, options: Any) -> Callable[[_Function], _Function]:
    frame = sys._getframe(2)
    module, file, line = str(frame.f_globals.get("__name__")), frame.f_code.co_filename, frame.f_lineno
    what = f"{part} {name!r}"
    if not isinstance(name, str) or not re.fullmatch(NAME_PATTERN, name):
        raise PluginError(f"{what} cannot be a name", hint="a letter, then letters, digits, . _ -; at most 64")
    if options is not None and not (isinstance(options, type) and hasattr(options, "model_validate_json")):
        raise PluginError(f"the options of {what} are no pydantic model", hint="class Options(pydantic.BaseModel): ...")

    def register(function: _Function) -> _Function:
        if not callable(function):
            raise PluginError(f"{what} is a {type(function).__name__}, not a function")
        _check_signature(what, function, part, has_options=options is not None)
        registration = Registration(part, name, function, options, module, file, line)
        _REGISTERED.setdefault(module, []).append(registration)
        return function

    return register


def _check_signature(what: str, function: Callable[..., Any], part: Part, *, has_options: bool) -> None:
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return  # compiled code has no signature
    named = {"options": None} if has_options else {}
    try:
        signature.bind(*CALLED_WITH[part], **named)
    except TypeError:
        arguments = ", ".join((*CALLED_WITH[part], *named))
        raise PluginError(f"{what} is called with ({arguments}), but its function takes {signature}") from None
