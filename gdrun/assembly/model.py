"""`model:` -> parameters and a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, assert_never

import numpy as np

import gdrun.models as sections
from gdrun.errors import ComponentError, ShapeError
from gdrun.formula import numpy_ops
from gdrun.formula.evaluate import Scope, evaluate
from gdrun.formula.parse import parse
from gdrun.models import convolutions
from gdrun.models import layers as layer_sections
from gdrun.models.functions import FormulaModel, Initial, Model, NetworkModel, PolynomialModel
from gdrun.models.networks import KerasNetwork, initial_weights
from gdrun.models.transforms import raw_value
from gdrun.random_streams import RandomNumbers, integer_seed, stream

from .custom import build_custom_model
from .located import formula_at, located

InputShapes = Mapping[str, tuple[int, ...]]
"""Input name -> shape of the training data, its first entry the number of examples."""


def build_model(
    section: Any,
    *,
    constants: Mapping[str, np.ndarray],
    inputs: InputShapes,
    seed: int,
    precision: str,
    networks: Mapping[str, KerasNetwork] | None = None,
    random: RandomNumbers | None = None,
) -> Model:
    """Return the model with its initial parameters.

    Args:
        section: `model:` of the config.
        constants: evaluated.
        inputs: shapes of the inputs; empty where there is no data.
        seed: of the initial values.
        precision: "float32" or "float64".
        networks: of a formula model, built for the shapes that the formulas give them.
        random: draws the initial values that are formulas, one after the other; None: each has a stream of its own.
    Raises:
        ConfigError: located at the part that cannot be built.
    """
    match section:
        case sections.FormulaModel():
            return _formula_model(section, constants, seed, networks or {}, random)
        case sections.LinearModel():
            with located("model"):
                shape = (None, _num_features(inputs, "linear"))
                return _network_model(build_network(section, input_shape=shape, seed=seed, precision=precision))
        case sections.MlpModel():
            with located("model"):
                width = (None, _num_features(inputs, "mlp"))
                return _network_model(build_network(section, input_shape=width, seed=seed, precision=precision))
        case sections.LayersModel():
            with located("model"):
                sizes, join = _layers_input(section, inputs)
                network = build_network(section, input_shape=sizes, seed=seed, precision=precision)
            return _network_model(network, join=join)
        case sections.PolynomialModel():
            return _polynomial_model(section, inputs)
        case sections.CustomModel():
            return build_custom_model(
                section, constants=constants, inputs=inputs, seed=seed, precision=precision, random=random
            )
        case _:
            assert_never(section)


def build_network(section: Any, *, input_shape: tuple[int | None, ...], seed: int, precision: str) -> KerasNetwork:
    """Return the Keras layers of a `linear`, `mlp` or `layers` section for inputs of one shape."""
    flat = isinstance(section, sections.LinearNetwork)
    return KerasNetwork(_layers(section), input_shape=input_shape, seed=seed, dtype=precision, flat_names=flat)


def _layers(section: Any) -> list[tuple[str, dict[str, Any]]]:
    if isinstance(section, sections.LinearNetwork):
        own = {"use_bias": section.use_bias, "kernel": section.kernel, "bias": section.bias}
        return [("dense", {"units": section.outputs, **own})]
    if isinstance(section, sections.MlpNetwork):
        common = {"use_bias": section.use_bias, "kernel": section.kernel_initializer}
        hidden = [("dense", {"units": units, "activation": section.activation, **common}) for units in section.hidden]
        return [*hidden, ("dense", {"units": section.outputs, "activation": section.output_activation, **common})]
    return [(layer.kind, _settings(layer)) for layer in section.layers]


def _settings(layer: Any) -> dict[str, Any]:
    settings = {name: value for name, value in layer if name != "kind"}
    if isinstance(layer, convolutions.Pooling) and settings["strides"] is None:
        del settings["strides"]
    return settings


def _network_model(network: KerasNetwork, *, join: bool = True) -> NetworkModel:
    return NetworkModel(network, _network_initial(network), join)


def _network_initial(network: KerasNetwork, prefix: str = "") -> dict[str, Initial]:
    return {
        prefix + name: Initial(value, trainable=name not in network.frozen)
        for name, value in network.parameters.items()
    }


def _num_features(inputs: InputShapes, kind: str) -> int:
    if not inputs:
        raise ComponentError(f"a model of kind {kind} needs data", hint="add data, or use kind: formula")
    return sum(int(np.prod(shape[1:])) for shape in inputs.values())


def _layers_input(section: sections.LayersModel, inputs: InputShapes) -> tuple[tuple[int | None, ...], bool]:
    features = _num_features(inputs, "layers")
    own = [shape[1:] for shape in inputs.values()]
    if section.input_shape is not None:
        if int(np.prod(section.input_shape)) != features:
            raise ShapeError(
                f"input_shape {section.input_shape} has {int(np.prod(section.input_shape))} numbers an example, "
                f"the data has {features}"
            )
        return (None, *section.input_shape), True
    if len(own) == 1 and len(own[0]) > 1:
        return (None, *own[0]), False
    return (None, features), True


def _polynomial_model(section: sections.PolynomialModel, inputs: InputShapes) -> PolynomialModel:
    with located("model"):
        if len(inputs) != 1:
            raise ComponentError(f"a polynomial takes one input, the data has {len(inputs)}: {', '.join(inputs)}")
    with located("model", "coefficients"):
        value = initial_weights(section.coefficients, (section.degree + 1,))
    return PolynomialModel({"coefficients": Initial(value)}, section.degree)


def _formula_model(
    section: sections.FormulaModel,
    constants: Mapping[str, np.ndarray],
    seed: int,
    networks: Mapping[str, KerasNetwork],
    random: RandomNumbers | None,
) -> FormulaModel:
    initial: dict[str, Initial] = {}
    for name, parameter in section.parameters.items():
        with located("model", "parameters", name):
            initial[name] = _initial(name, parameter, constants, seed, random)
    for name, network in networks.items():
        initial.update(_network_initial(network, f"{name}."))
    path = ("model", "formula")
    if isinstance(section.formula, Mapping):
        formulas: Any = {name: formula_at(text, (*path, name)) for name, text in section.formula.items()}
    else:
        formulas = formula_at(section.formula, path)
    return FormulaModel(formulas, initial, dict(networks))


def _initial(
    name: str,
    parameter: sections.Parameter,
    constants: Mapping[str, np.ndarray],
    seed: int,
    random: RandomNumbers | None,
) -> Initial:
    shape = parameter.shape
    if parameter.init is not None:
        assert shape is not None
        raw = _drawn(name, parameter.init, shape, constants, seed, random)
    else:
        text = parameter.raw if parameter.raw is not None else parameter.value
        value = _evaluated(text, constants, random or stream(seed, "initial", *_key(name)))
        if shape is not None:
            value = _filled(value, shape)
        raw = value if parameter.raw is not None else raw_value(value, parameter.transform)
    if not np.all(np.isfinite(raw)):
        raise ComponentError("the initial value is not finite")
    return Initial(np.asarray(raw), parameter.trainable, parameter.transform)


def _key(name: str) -> tuple[int, ...]:
    return (integer_seed(0, name),)


def _drawn(
    name: str,
    init: Any,
    shape: tuple[int, ...],
    constants: Mapping[str, np.ndarray],
    seed: int,
    random: RandomNumbers | None,
) -> np.ndarray:
    if isinstance(init, str) and init in layer_sections.INITIALIZERS:
        return initial_weights(init, shape, seed=integer_seed(seed, "initial", *_key(name)))
    value = _evaluated(init, constants, random or stream(seed, "initial", *_key(name)), shape)
    return _filled(value, shape)


def _evaluated(
    text: Any,
    constants: Mapping[str, np.ndarray],
    random: RandomNumbers,
    draw_shape: tuple[int, ...] | None = None,
) -> np.ndarray:
    scope = Scope(constants, ops=numpy_ops.table(random), draw_shape=draw_shape)
    return numpy_ops.number(evaluate(parse(text), scope, owner="initial"))


def _filled(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    try:
        return np.broadcast_to(value, shape).copy()
    except ValueError:
        raise ShapeError(f"a value of shape {value.shape} does not fill a parameter of shape {shape}") from None


def probe_networks(
    section: sections.FormulaModel, *, seed: int, precision: str
) -> tuple[dict[str, KerasNetwork], dict[str, Callable[..., Any]]]:
    """Return an empty table of networks and functions that fill it: each is built for what it is first called with."""
    import tensorflow as tf

    from gdrun.models.functions import call_with

    built: dict[str, KerasNetwork] = {}

    def caller(position: int, name: str, network: Any) -> Callable[..., Any]:
        def run(x: Any) -> Any:
            if name not in built:
                with located("model", "networks", name):
                    built[name] = build_network(
                        network,
                        input_shape=(None, *x.shape[1:]),
                        seed=seed + 7919 * (position + 1),
                        precision=precision,
                    )
            net = built[name]
            values = {key: tf.constant(value) for key, value in net.parameters.items()}
            state = {key: tf.constant(value) for key, value in net.state.items()}
            return net.call(values, state, x, training=False)

        return lambda scope, *arguments: call_with(arguments, run, dtype=precision)[0]

    functions = {
        name: caller(position, name, network) for position, (name, network) in enumerate(section.networks.items())
    }
    return built, functions
