"""Models by formula, with parameters of any shape and networks that the formulas call."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, Tag, model_validator

from gdrun.config.located import at_config_path, formula_at, located_within
from gdrun.config.name_scopes import ConfigNames, Use
from gdrun.config.section import Formula, Identifier, NetworkName, PositiveInteger, ShortSection, by_form
from gdrun.errors import ComponentError, ConfigPath, Problem, ShapeError
from gdrun.formula.evaluate import Scope
from gdrun.formula.nodes import UNROLLED_ROUNDS
from gdrun.random_streams import integer_seed

from .base import BoundModel, ModelContext, ModelFunction, ModelSection
from .initial import INITIALIZERS, Initial, InitialContext
from .networks import Network, entries
from .transforms import raw_value

if TYPE_CHECKING:
    import tensorflow as tf

    from .keras_network import KerasNetwork


class Parameter(ShortSection):
    """A parameter: its initial value, its domain, and whether it is trained."""

    exclusive = (("value", "raw", "init"),)
    short = "value"
    written_short = True

    value: Formula | None = None
    """Initial value in the parameter's own domain: a number, an array, or a formula of constants."""
    raw: Formula | None = None
    """Initial value before `transform`."""
    init: Formula | None = None
    """A draw of the given shape, `normal(0, 0.1)`, or the name of a Keras initializer, `glorot_uniform`."""
    shape: tuple[PositiveInteger, ...] | None = None
    """Shape of the parameter; () is a scalar. A value of fewer dimensions fills it."""
    transform: Literal["exp", "softplus", "sigmoid"] | None = None
    """Keeps the parameter in the transform's range: the optimizer moves the raw value, everything else sees and
    reports the transformed one."""
    trainable: bool = True
    """false: the optimizer leaves it alone."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        given = [name for name in ("value", "raw", "init") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of value, raw, init")
        if self.raw is not None and self.transform is None:
            raise ValueError("raw goes with a transform; without one write value")
        if self.init is not None and self.shape is None:
            raise ValueError("init needs a shape: shape: [] for a number, [3, 1] for an array")
        return self

    def initial(self, name: str, context: ModelContext) -> Initial:
        """Return the parameter before training. Raises: ComponentError, where the value does not fit."""
        key = integer_seed(0, name)
        if self.init is None:
            value = context.initial.value(self.value if self.raw is None else self.raw, context.seed, key)
            value = value if self.shape is None else _filled(value, self.shape)
            raw = value if self.raw is not None else raw_value(value, self.transform)
        elif self.init in INITIALIZERS:
            from .keras_initializers import initial_weights

            assert self.shape is not None
            raw = initial_weights(self.init, self.shape, seed=integer_seed(context.seed, "initial", key))
        else:
            assert self.shape is not None
            raw = _filled(context.initial.value(self.init, context.seed, key, self.shape), self.shape)
        if not np.all(np.isfinite(raw)):
            raise ComponentError("the initial value is not finite")
        return Initial(np.asarray(raw), self.trainable, self.transform)


class FormulaModel(ModelSection):
    """A prediction by formula."""

    needs_data = False
    hints: ClassVar[Mapping[str, str]] = {
        "trainable": "freeze each network or parameter by parameters: {NAME: {trainable: false}}"
    }

    kind: Literal["formula"]
    formula: Annotated[
        Annotated[Formula, Tag("<scalar>")]
        | Annotated[dict[Identifier, Formula], Field(min_length=1), Tag("<mapping>")],
        by_form("scalar", "mapping"),
    ]
    """The prediction, of inputs, parameters, constants and defined values; or several named outputs. Without data it
    is the objective."""
    parameters: dict[Identifier, Parameter] = Field(default_factory=dict)
    """Each parameter: a number, an array, or `{value|raw|init: ..., shape: ..., transform: ..., trainable: ...}`."""
    networks: dict[NetworkName, Network] = Field(default_factory=dict)
    """Networks that the formulas call by name, `net(x)`; with a `count` a list of them, `nets[0](x)`."""

    def build(self, context: ModelContext) -> FormulaFunction:
        initial: dict[str, Initial] = {}
        for name, parameter in self.parameters.items():
            with located_within("parameters", name):
                initial[name] = parameter.initial(name, context)
        for name, network in context.networks.items():
            initial.update(network.initial(f"{name}."))
        path = ("model", "formula")
        paths = {name: (*path, name) if name in self.output_names() else path for name in self.output_formulas()}
        formulas = {name: formula_at(text, paths[name]) for name, text in self.output_formulas().items()}
        return FormulaFunction(initial, formulas, dict(context.networks))

    def parameter_names(self) -> tuple[str, ...] | None:
        return None if self.networks else tuple(self.parameters)

    def output_names(self) -> tuple[str, ...]:
        return tuple(self.formula) if isinstance(self.formula, dict) else ()

    def parameter_path(self, name: str) -> ConfigPath:
        return ("parameters", name) if name in self.parameters else ()

    def output_formulas(self) -> Mapping[str, Any]:
        return self.formula if isinstance(self.formula, Mapping) else {"prediction": self.formula}

    def is_lane_setting(self, path: ConfigPath) -> bool:
        return path[:1] == ("parameters",) and path[2:] in ((), ("value",), ("raw",), ("init",))

    @property
    def starts_by_formula(self) -> bool:
        return not self.networks and self.from_ is None

    @property
    def needs_tensorflow(self) -> bool:
        return bool(self.networks) or any(parameter.init in INITIALIZERS for parameter in self.parameters.values())

    def starts(self) -> Mapping[ConfigPath, str]:
        networks = {("networks", name, "from"): net.from_ for name, net in self.networks.items()}
        return {**super().starts(), **{place: path for place, path in networks.items() if path is not None}}

    def networks_called(self) -> Mapping[str, Any]:
        return self.networks

    def parameters_in_formulas(self) -> tuple[str, ...]:
        return tuple(self.parameters)

    def given_names(self) -> Mapping[ConfigPath, Sequence[str]]:
        return {
            ("model", "parameters"): tuple(self.parameters),
            ("model", "networks"): tuple(self.networks),
            ("model", "formula"): self.output_names(),
        }

    def network_names(self) -> tuple[str, ...]:
        return tuple(self.networks)

    def uses(self, names: ConfigNames) -> Iterator[Use]:
        for name, parameter in self.parameters.items():
            for key, text in (("value", parameter.value), ("raw", parameter.raw), ("init", parameter.init)):
                if not (key == "init" and text in INITIALIZERS):
                    yield Use(("model", "parameters", name, key), text, names.constants, phase="start")
        for name, network in self.networks.items():
            yield from network.initial_uses(("model", "networks", name), names.constants)
        path: ConfigPath = ("model", "formula")
        for name, text in self.output_formulas().items():
            yield Use.of_examples((*path, name) if self.output_names() else path, text, names)

    def problems(self, used: frozenset[str], reached: frozenset[str] | None, *, trains: bool) -> Iterator[Problem]:
        """Yield parameters that the loss cannot depend on, networks that are never called, nothing to train."""
        trained = [name for name, parameter in self.parameters.items() if parameter.trainable and trains]
        if trains and not trained and not any(network.trainable for network in self.networks.values()):
            path: ConfigPath = ("model", "parameters") if "parameters" in self.model_fields_set else ("model",)
            none = not self.parameters and not self.networks
            hint = "model.parameters: {a: 1.0}" if none else "set trainable: true for one of them, or optimizer: none"
            yield Problem("the model has no parameter to train", path, hint, key=True)
        for name, network in self.networks.items():
            yield from network.network_problems(("model", "networks", name))
            if name not in used:
                yield never_called(name, name, network)
        for name in trained:
            if reached is not None and name not in reached:
                message = f"parameter '{name}' gets no gradient: the loss does not depend on it"
                hint = "use it in a formula, or set trainable: false"
                yield Problem(message, ("model", "parameters", name), hint, key=True)


@dataclass(frozen=True)
class FormulaFunction(ModelFunction):
    """A prediction by formula, or several named outputs; later outputs may use earlier ones.

    Args:
        formulas: output -> function of the scope; a single one is called "prediction".
        networks: by the name that formulas call them by.
    """

    formulas: Mapping[str, Callable[[Scope], Any]]
    networks: Mapping[str, KerasNetwork]

    @property
    def state(self) -> Mapping[str, np.ndarray]:
        return {f"{name}.{key}": value for name, net in self.networks.items() for key, value in net.state.items()}

    @property
    def convolutional(self) -> bool:
        return any(network.convolutional for network in self.networks.values())

    def bind(self, state: Mapping[str, tf.Tensor], *, inputs: Sequence[str], training: bool) -> BoundModel:
        from .keras_network import call_with

        updates: dict[str, tf.Tensor] = {}

        def caller(name: str, network: KerasNetwork) -> Callable[..., tf.Tensor]:
            def call(scope: Scope, *arguments: Any, weights: Any = None) -> tf.Tensor:
                if _are_rows(weights):
                    if network.state:
                        raise ShapeError(f"{name} has dropout or batch normalization: it takes one vector of weights")
                    rows = _rows(weights, arguments)
                    # Refused here: vectorized_map wraps our errors in one of its own.
                    scope.split(name, rows[0][0])
                    return _map_rows(lambda row: call(scope, *row[1:], weights=row[0]), rows)
                prefix = f"{name}."
                # A derivative repeats an evaluation with the same state; tensors made inside a loop cannot leave it.
                again = scope.varied or bool(scope.rounds)
                current = {key: state[prefix + key] for key in network.state}
                if not again:
                    current = {key: updates.get(prefix + key, value) for key, value in current.items()}
                others = {} if weights is None else scope.split(name, weights)
                values = {key: others.get(prefix + key, scope[prefix + key]) for key in network.parameters}
                output, new = call_with(
                    arguments,
                    lambda x: network.call(values, current, x, training=training),
                    dtype=network.dtype,
                )
                for key, value in new.items():
                    if not again:
                        updates[prefix + key] = value
                    elif not scope.rounds:
                        updates.setdefault(prefix + key, value)
                return output

            return call

        functions: dict[str, Callable[..., tf.Tensor]] = {}
        for entry, network in self.networks.items():
            name, _, number = entry.partition(".")
            if not number:
                functions[name] = _called(name, [caller(entry, network)], None)
            elif number == "0":
                count = sum(key.startswith(f"{name}.") for key in self.networks)
                networks = [f"{name}.{k}" for k in range(count)]
                callers = [caller(key, self.networks[key]) for key in networks]
                functions[name] = _called(name, callers, partial(self._call_one_of, networks, training))
        return BoundModel(self.formulas, functions, updates)

    def _call_one_of(
        self,
        names: Sequence[str],
        training: bool,
        scope: Scope,
        *arguments: Any,
        index: tf.Tensor,
        weights: Any = None,
    ) -> tf.Tensor:
        """Call the network of a list at an index that only the run knows: with weights looked up among all of them."""
        import tensorflow as tf

        from .keras_network import call_with

        first = self.networks[names[0]]
        if first.state:
            raise ShapeError(
                "networks with dropout or batch normalization are called at an index that is known before the run",
                hint=f"a loop of up to {UNROLLED_ROUNDS} rounds knows its i",
            )
        if any(self.networks[name].input_shape != first.input_shape for name in names):
            raise ShapeError("these networks take inputs of different shapes; the index must be known before the run")
        place = tf.clip_by_value(tf.cast(tf.reshape(index, []), tf.int32), 0, len(names) - 1)
        values = {
            key: tf.gather(tf.stack([scope[f"{name}.{key}"] for name in names]), place) for key in first.parameters
        }
        if weights is not None:
            others = scope.split(names[0], weights)
            values = {key: others.get(f"{names[0]}.{key}", value) for key, value in values.items()}
        return call_with(arguments, lambda x: first.call(values, {}, x, training=training), dtype=first.dtype)[0]


def _are_rows(weights: Any) -> bool:
    """Return True for a table of weights, each row of which calls a network."""
    return weights is not None and len(weights.shape) == 2


def _rows(weights: Any, arguments: Sequence[Any]) -> tuple[tf.Tensor, ...]:
    """Return a table of weights and the arguments, to be taken apart by their rows.

    Raises:
        ShapeError: an argument has not as many rows.
    """
    import tensorflow as tf

    rows, *others = (tf.convert_to_tensor(each) for each in (weights, *arguments))
    for tensor in others:
        if not tensor.shape.rank or tensor.shape[0] != rows.shape[0]:
            raise ShapeError(
                f"weights is a table of {rows.shape[0]} rows, an argument has shape {tuple(tensor.shape)}",
                hint="each row of the weights works on a row of each argument",
            )
    return rows, *others


def _map_rows(function: Callable[[list[tf.Tensor]], tf.Tensor], rows: Sequence[tf.Tensor]) -> tf.Tensor:
    """Return what `tf.vectorized_map` returns, without the function that it makes of its operations under XLA.

    A derivative from outside takes shapes from that function's results, and of a call that has to be known when it
    compiles XLA wants to know all arguments: weights and data became constants, and each chunk compiled anew.
    """
    import tensorflow as tf
    from tensorflow.python.ops.parallel_for import control_flow_ops

    if tf.executing_eagerly():
        return tf.vectorized_map(function, rows)
    return control_flow_ops._pfor_impl(
        lambda index: function([tf.gather(row, index) for row in rows]), rows[0].shape[0] or tf.shape(rows[0])[0], True
    )


def _called(
    name: str, callers: Sequence[Callable[..., Any]], call_one_of: Callable[..., Any] | None
) -> Callable[..., Any]:
    """Return what formulas call by `name`: a network, or one of a list of them.

    Args:
        callers: one a network.
        call_one_of: the same for an index that is a tensor; None: `name` is no list.
    """

    def run(scope: Scope, *arguments: Any, index: Any = None, **options: Any) -> Any:
        if call_one_of is None:
            if index is not None:
                raise ShapeError(f"{name} is one network, not a list of them", hint=f"{name}(x), or give it a count")
            return callers[0](scope, *arguments, **options)
        if index is None:
            raise ShapeError(f"{name} is a list of {len(callers)} networks", hint=f"call one of them: {name}[0](x)")
        if isinstance(index, int):
            if not -len(callers) <= index < len(callers):
                raise ShapeError(f"there is no {name}[{index}]", hint=f"it counts from 0 to {len(callers) - 1}")
            return callers[index](scope, *arguments, **options)
        if not hasattr(index, "dtype") or index.shape.num_elements() != 1:
            raise ShapeError(f"{name}[...] takes one whole number")
        return call_one_of(scope, *arguments, index=index, **options)

    return run


def never_called(name: str, entry: str, network: Network) -> Problem:
    """Return the problem of a network, `entry` of those that `name` stands for, that no formula calls."""
    path = ("model", "networks", name)
    return Problem(f"network '{entry}' is never called", path, network.call_hint(name), key=True)


def _filled(value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    try:
        return np.broadcast_to(value, shape).copy()
    except ValueError:
        raise ShapeError(f"a value of shape {value.shape} does not fill a parameter of shape {shape}") from None


def probe_networks(
    networks: Mapping[str, Network], *, seed: int, precision: str, context: InitialContext
) -> tuple[dict[str, KerasNetwork], dict[str, Callable[..., Any]], dict[str, Callable[[Scope], Any]]]:
    """Return an empty table of networks and functions that fill it: each is built for the shape of its first call.

    What comes third gives a network's weights as a vector; before it is built, a number stands for them.
    """
    import tensorflow as tf

    from .keras_network import call_with

    built: dict[str, KerasNetwork] = {}

    def caller(position: int, name: str, network: Network) -> Callable[..., Any]:
        path = name.partition(".")[0]

        def run(x: Any) -> Any:
            if name not in built:
                with at_config_path("model", "networks", path):
                    # Far apart: each network takes as many seeds as it has layers.
                    own_seed = seed + 7919 * (position + 1)
                    shape = (None, *x.shape[1:])
                    built[name] = network.build_network(shape, seed=own_seed, precision=precision, context=context)
                    if not network.trainable:
                        built[name].frozen.update(built[name].parameters)
            net = built[name]
            values = {key: tf.constant(value) for key, value in net.parameters.items()}
            state = {key: tf.constant(value) for key, value in net.state.items()}
            return net.call(values, state, x, training=False)

        def call(scope: Scope, *arguments: Any, weights: Any = None) -> Any:
            if _are_rows(weights):
                rows, *others = _rows(weights, arguments)
                return tf.stack([call(scope, *[other[0] for other in others])] * len(rows))
            return call_with(arguments, run, dtype=precision)[0]

        return call

    def joined(names: Sequence[str]) -> Callable[[Scope], Any]:
        def weights(scope: Scope) -> Any:
            arrays = [value for name in names if name in built for value in built[name].parameters.values()]
            return (
                tf.concat([tf.constant(np.ravel(array)) for array in arrays], 0) if arrays else tf.zeros([], precision)
            )

        return weights

    functions: dict[str, Callable[..., Any]] = {}
    position = 0
    for name, network in networks.items():
        callers = [caller(position + k, entry, network) for k, entry in enumerate(entries(name, network))]
        position += len(callers)
        functions[name] = _called(name, callers, None if network.count is None else partial(_call_all, callers))
    return built, functions, {name: joined(entries(name, network)) for name, network in networks.items()}


def _call_all(
    callers: Sequence[Callable[..., Any]], scope: Scope, *arguments: Any, index: Any, weights: Any = None
) -> Any:
    """Call every network, to build it, and return the output of the first."""
    first, *_ = [call(scope, *arguments) for call in callers]
    return first
