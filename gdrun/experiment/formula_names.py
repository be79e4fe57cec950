"""Which names each formula of a config may use, as far as the text alone tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gdrun.errors import ConfigPath

MOMENT = ("step", "epoch")
FILES = ("csv", "tsv", "npz", "parquet")
"""Kinds of data in files, whose columns and arrays have names."""
WRITTEN_OUT = ("formula", "values", *FILES)
"""Kinds of data that have the inputs and the target that the config gives them."""
LIBRARIES = ("sklearn", "keras")
"""Kinds of data that are the input x, unless the config says otherwise."""


def mapping(value: Any) -> Mapping[str, Any]:
    """Return `value` if it is a mapping, else an empty one: what is wrong with it is told elsewhere."""
    return value if isinstance(value, Mapping) else {}


def kind(value: Any) -> str | None:
    """Return the kind of a section, written as a mapping or as a bare string."""
    written = value.get("kind") if isinstance(value, Mapping) else value
    return written if isinstance(written, str) else None


@dataclass(frozen=True)
class Names:
    """The names that a config gives to things."""

    constants: tuple[str, ...]
    inputs: tuple[str, ...] | None
    """None: only the data file tells."""
    has_target: bool
    definitions: tuple[str, ...]
    parameters: tuple[str, ...] | None
    """Those of the model, networks' included; None: only building tells."""
    networks: tuple[str, ...]
    outputs: tuple[str, ...]
    """Of a model with several."""

    @property
    def prediction(self) -> tuple[str, ...]:
        """What the model's output is called."""
        return (*self.outputs, "prediction") if len(self.outputs) <= 1 else self.outputs

    has_weights: bool = False

    @property
    def target(self) -> tuple[str, ...]:
        """`target` and `example_weights`, where there are any."""
        return (("target",) if self.has_target else ()) + (("example_weights",) if self.has_weights else ())


def names_of(config: Mapping[str, Any]) -> Names:
    """Return the names in a config; what is malformed is left out."""
    model = mapping(config.get("model"))
    formula = model.get("formula") if kind(config.get("model")) == "formula" else None
    return Names(
        constants=tuple(mapping(config.get("constants"))),
        inputs=_inputs(config.get("data")),
        has_target=has_target(config.get("data")),
        definitions=tuple(mapping(config.get("define"))),
        parameters=_parameters(config.get("model")),
        networks=tuple(mapping(model.get("networks"))),
        outputs=tuple(mapping(formula)),
        has_weights=has_weights(config.get("data")),
    )


def has_target(data: Any) -> bool:
    """Return whether a data section gives a target."""
    if data is None:
        return False
    if kind(data) in WRITTEN_OUT:
        return mapping(data).get("target") is not None
    return True


def has_weights(data: Any) -> bool:
    """Return whether a data section says how much its examples count."""
    section = mapping(data)
    by_class = section.get("class_weights") is not None and has_target(data)
    return by_class or section.get("example_weights") is not None


def _inputs(data: Any) -> tuple[str, ...] | None:
    if data is None:
        return ()
    section, which = mapping(data), kind(data)
    if which in LIBRARIES and section.get("inputs") is None:
        return ("x",)
    if which in (*WRITTEN_OUT, *LIBRARIES):
        inputs = section.get("inputs")
        if isinstance(inputs, Mapping):
            return tuple(inputs)
        if isinstance(inputs, list | tuple) and all(isinstance(name, str) for name in inputs):
            return tuple(inputs)
        return None
    if which in ("polynomial", "sine"):
        return ("x",)
    features: Any = (0, 0) if which in ("moons", "circles", "spirals", "xor", "ring") else None
    if which == "linear":
        features = section.get("weights", (1.0,))
    elif which == "blobs":
        centers = section.get("centers", ((0, 0),))
        features = centers[0] if isinstance(centers, list | tuple) and centers else None
    if not isinstance(features, list | tuple):
        return None
    return ("x",) if len(features) == 1 else tuple(f"x{k + 1}" for k in range(len(features)))


def _parameters(model: Any) -> tuple[str, ...] | None:
    section, which = mapping(model), kind(model)
    if which == "formula":
        return None if section.get("networks") else tuple(mapping(section.get("parameters")))
    if which == "linear":
        return ("kernel", "bias") if section.get("use_bias", True) else ("kernel",)
    if which == "polynomial":
        return ("coefficients",)
    return None


@dataclass(frozen=True)
class Use:
    """A formula in a config and the names it may use."""

    path: ConfigPath
    formula: Any
    names: tuple[str, ...] | None
    """None: they are not all known."""
    callables: tuple[str, ...] = ()
    later: tuple[str, ...] = field(default=())
    """Names that are given only below this formula."""


def uses(config: Mapping[str, Any], names: Names) -> Iterator[Use]:
    """Yield every formula of a config with the names it may use."""
    yield from _in_order("constants", mapping(config.get("constants")), ())
    data = mapping(config.get("data"))
    if kind(data) == "formula":
        yield from _data(("data",), data, data, names)
        validation = mapping(data.get("validation"))
        if kind(validation) in (None, "formula"):
            yield from _data(("data", "validation"), validation, data, names)
    yield from _example_weights(config.get("data"), names)
    yield from _initial_values(config.get("model"), names)

    inputs, parameters = names.inputs, names.parameters
    model = mapping(config.get("model"))
    if kind(model) == "formula":
        parameters = tuple(mapping(model.get("parameters")))
    within: tuple[str, ...] | None = None
    if inputs is not None and (parameters is not None or kind(model) in ("mlp", "layers")):
        within = (*names.constants, *inputs, *(parameters or ()), *MOMENT, *names.target)
    yield from _define(mapping(config.get("define")), within, names)

    def use(path: ConfigPath, formula: Any, *more: str) -> Use:
        allowed = None if within is None else (*within, *names.definitions, *more)
        return Use(path, formula, allowed, names.networks)

    if kind(model) == "formula":
        formula = model.get("formula")
        for name, text in formula.items() if isinstance(formula, Mapping) else ((None, formula),):
            yield use(("model", "formula", name) if name else ("model", "formula"), text)
    if kind(config.get("loss")) == "formula":
        yield use(("loss", "formula"), mapping(config["loss"]).get("formula"), *names.prediction)
    for position, metric in enumerate(_items(config.get("metrics"))):
        if isinstance(metric, Mapping):
            yield use(("metrics", position, "formula"), metric.get("formula"), *names.prediction, "loss")
    record = mapping(config.get("record"))
    for name, text in mapping(record.get("formulas")).items():
        seen = (*names.prediction, "loss", "gradient_norm", "learning_rate")
        yield use(("record", "formulas", name), text, *seen)
    for name, text in mapping(record.get("after")).items():
        yield use(("record", "after", name), text, *names.prediction, "loss")
    for name, text in mapping(mapping(config.get("gradients")).get("of")).items():
        yield use(("gradients", "of", name), text, *names.prediction, "loss")
    schedule = mapping(config.get("schedule"))
    stop = mapping(schedule.get("stop")).get("formula")
    yield use(("schedule", "stop", "formula"), stop, *names.prediction, "loss", "gradient_norm")
    factor = mapping(schedule.get("learning_rate_factor"))
    if kind(factor) == "formula":
        path = ("schedule", "learning_rate_factor", "formula")
        yield Use(path, factor.get("formula"), (*names.constants, *MOMENT))
    if kind(config.get("optimizer")) == "formula":
        yield from _update_rule(mapping(config["optimizer"]), names)


def _update_rule(rule: Mapping[str, Any], names: Names) -> Iterator[Use]:
    from gdrun.optimizers.update_rule import RULE_NAMES

    state, update = mapping(rule.get("state")), mapping(rule.get("update"))
    constant = (*names.constants, *mapping(rule.get("settings")))
    for name, text in state.items():
        yield Use(("optimizer", "state", name), text, (*constant, "parameter"))
    for position, (name, text) in enumerate(update.items()):
        above, below = tuple(update)[:position], tuple(update)[position:]
        later = tuple(line for line in below if line not in (*state, "parameter"))
        yield Use(("optimizer", "update", name), text, (*constant, *state, *above, *RULE_NAMES), later=later)


def _items(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list | tuple) else ()


def _in_order(section: str, formulas: Mapping[str, Any], before: tuple[str, ...]) -> Iterator[Use]:
    for position, (name, text) in enumerate(formulas.items()):
        known = tuple(formulas)[:position]
        yield Use((section, name), text, (*before, *known), later=tuple(formulas)[position:])


def _data(path: ConfigPath, block: Mapping[str, Any], data: Mapping[str, Any], names: Names) -> Iterator[Use]:
    inputs = mapping(block.get("inputs"))
    for position, (name, text) in enumerate(inputs.items()):
        known = tuple(inputs)[:position]
        yield Use((*path, "inputs", name), text, (*names.constants, *known), later=tuple(inputs)[position:])
    every = tuple(inputs or mapping(data.get("inputs")))
    for key in ("target", "noise"):
        yield Use((*path, key), block.get(key), (*names.constants, *every))


def _example_weights(data: Any, names: Names) -> Iterator[Use]:
    target = ("target",) if names.has_target else ()
    known = None if names.inputs is None else (*names.constants, *names.inputs, *target)
    blocks: list[tuple[ConfigPath, Any]] = [
        (("data",), data),
        (("data", "validation"), mapping(data).get("validation")),
    ]
    for path, block in blocks:
        if (kind(block) or kind(data)) not in FILES:
            yield Use((*path, "example_weights"), mapping(block).get("example_weights"), known)


def _initial_values(model: Any, names: Names) -> Iterator[Use]:
    if kind(model) != "formula":
        return
    for name, parameter in mapping(mapping(model).get("parameters")).items():
        path = ("model", "parameters", name)
        if not isinstance(parameter, Mapping):
            yield Use(path, parameter, names.constants)
            continue
        for key in ("value", "raw"):
            yield Use((*path, key), parameter.get(key), names.constants)
        if not isinstance(parameter.get("init"), str) or not _is_initializer(parameter["init"]):
            yield Use((*path, "init"), parameter.get("init"), names.constants)


def _is_initializer(name: str) -> bool:
    # The names are in the layers' module, which is slow to import: only a bare name can be one.
    if not name.replace("_", "").isalpha():
        return False
    from gdrun.models.layers.base import INITIALIZERS

    return name in INITIALIZERS


def _define(define: Mapping[str, Any], within: tuple[str, ...] | None, names: Names) -> Iterator[Use]:
    for position, (name, value) in enumerate(define.items()):
        known, later = tuple(define)[:position], tuple(define)[position:]
        allowed = None if within is None else (*within, *known, *names.prediction)
        if not isinstance(value, Mapping):
            yield Use(("define", name), value, allowed, names.networks, later)
            continue
        yield Use(("define", name, "start"), value.get("start"), allowed, names.networks, later)
        inner = None if allowed is None else (*allowed, name, "i")
        own = mapping(value.get("define"))
        for position, (key, text) in enumerate(own.items()):
            above = None if inner is None else (*inner, *tuple(own)[:position])
            below = (*tuple(own)[position:], *later[1:])
            yield Use(("define", name, "define", key), text, above, names.networks, below)
        inner = None if inner is None else (*inner, *own)
        for key in ("repeat", "while"):
            yield Use(("define", name, key), value.get(key), inner, names.networks, later[1:])
