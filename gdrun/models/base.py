"""Base of the kinds of `model:`, and the functions that they build for the objective."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from gdrun.config.name_scopes import ConfigNames, Use
from gdrun.config.section import Section
from gdrun.errors import ConfigPath, Problem
from gdrun.formula.evaluate import Scope
from gdrun.random_streams import RandomNumbers

from .initial import Initial, InitialContext

if TYPE_CHECKING:
    import tensorflow as tf

    from .keras_model import KerasModel
    from .keras_network import KerasNetwork


@dataclass
class BoundModel:
    """A model bound to its state for one evaluation, which puts the new state into `updates`."""

    outputs: Mapping[str, Callable[[Scope], Any]]
    """Predictions, each a function of the scope: "prediction", or named outputs. The scope that it is called with has
    them as its `outputs`."""
    functions: Mapping[str, Callable[..., tf.Tensor]] = field(default_factory=dict)
    """Networks that formulas may call, (scope, x, weights=None) -> y."""
    updates: dict[str, tf.Tensor] = field(default_factory=dict)

    @property
    def alone(self) -> Mapping[str, Callable[[Scope], Any]]:
        """A single named output, under the name "prediction" too."""
        return {"prediction": next(iter(self.outputs.values()))} if len(self.outputs) == 1 else {}

    def __call__(self, scope: Scope) -> Any:
        """Return the prediction, or a dict of named outputs."""
        if "prediction" in self.outputs:
            return scope["prediction"]
        return {name: scope[name] for name in self.outputs}


@dataclass(frozen=True)
class ModelFunction:
    """A model as the objective uses it: parameters by name and inputs in, predictions out.

    Args:
        initial: every parameter by name; those of networks that formulas call have dotted names.
    """

    initial: Mapping[str, Initial]
    started: Mapping[str, np.ndarray] = field(default_factory=dict, kw_only=True)
    """State before training that a file has, in place of what `state` says."""

    @property
    def joined_names(self) -> Mapping[str, tuple[str, ...]]:
        """Networks, lists of them and layers -> the parameters below that are not set to stay, in order."""
        joined: dict[str, tuple[str, ...]] = {}
        for name, value in self.initial.items():
            steps = name.split(".") if value.trainable else ()
            for depth in range(1, len(steps)):
                owner = ".".join(steps[:depth])
                joined[owner] = (*joined.get(owner, ()), name)
        return joined

    @property
    def state(self) -> Mapping[str, np.ndarray]:
        """State beside the parameters, by name, before training."""
        return {}

    @property
    def convolutional(self) -> bool:
        """True for a model that convolves, which loops on the device make slow."""
        return False

    @property
    def joins_inputs(self) -> bool:
        """True for a model that takes its inputs side by side, as `keras_network.joined` puts them."""
        return False

    @property
    def keras_network(self) -> KerasNetwork | KerasModel | None:
        """The layers of a model that is nothing but Keras layers; a Keras model of a plugin."""
        return None

    def bind(self, state: Mapping[str, tf.Tensor], *, inputs: Sequence[str], training: bool) -> BoundModel:
        """Return the model with its state, ready for one evaluation of the inputs of these names."""
        raise NotImplementedError


@dataclass(frozen=True)
class ModelContext:
    """Surroundings that a model depends on besides its own settings.

    Args:
        constants: the config's constants, evaluated.
        inputs: input name -> shape of the training data, its first entry the number of examples; {}: no data.
        seed: of the initial values.
        precision: "float32" or "float64".
        networks: those that the formulas call, built for the shapes that the formulas give them; {}: not built yet.
        random: draws the initial values that are formulas, one after the other; None: each has a stream of its own, so
            that a further parameter changes no other one.
    """

    constants: Mapping[str, np.ndarray]
    inputs: Mapping[str, tuple[int, ...]]
    seed: int
    precision: str
    networks: Mapping[str, KerasNetwork] = field(default_factory=dict)
    random: RandomNumbers | None = None

    @property
    def initial(self) -> InitialContext:
        """Surroundings of the initial values that are formulas."""
        return InitialContext(self.constants, self.random)

    @property
    def num_features(self) -> int:
        """Number of numbers an example."""
        return sum(int(np.prod(shape[1:])) for shape in self.inputs.values())


StartPath = Annotated[str, Field(min_length=1)]
"""Path of a run directory or an .npz file."""


class ModelSection(Section):
    """A kind of model: its settings, its names and what it builds."""

    needs_data: ClassVar[bool] = True
    """True where the model cannot do without inputs."""
    hints: ClassVar[Mapping[str, str]] = {
        "trainable": "freeze parameters or layers by optimizer: {groups: [{parameters: [NAME], frozen: true}]}"
    }

    from_: StartPath | None = Field(default=None, alias="from")
    """A run directory or an .npz file whose parameters the model starts with, relative to the config's folder; null:
    its initial values."""

    def starts(self) -> Mapping[ConfigPath, str]:
        """Return the path that each `from` gives, by its place in `model`."""
        return {} if self.from_ is None else {("from",): self.from_}

    def build(self, context: ModelContext) -> ModelFunction:
        """Return the model with its initial parameters.

        Raises:
            ComponentError: it cannot be built; `within` is the setting at fault.
        """
        raise NotImplementedError

    def parameter_names(self) -> tuple[str, ...] | None:
        """Return the names of the parameters; None where they are only known once it is built."""
        return None

    def parameter_path(self, name: str) -> ConfigPath:
        """Return the place in `model` that the parameter comes from; () where it has none of its own."""
        return ()

    def output_names(self) -> tuple[str, ...]:
        """Return the names of the outputs of a model that has several."""
        return ()

    def output_formulas(self) -> Mapping[str, Any]:
        """Return the formulas of the outputs by name, a single one as "prediction"; {} where there are none."""
        return {}

    def is_lane_setting(self, path: ConfigPath) -> bool:
        """Return whether the setting at `path` below `model` may differ between lanes: an initial value."""
        return False

    @property
    def starts_by_formula(self) -> bool:
        """True where every initial value is a formula of constants."""
        return False

    @property
    def needs_tensorflow(self) -> bool:
        """True where NumPy alone cannot compute its initial values and its outputs."""
        return True

    def networks_called(self) -> Mapping[str, Any]:
        """Return the networks that formulas call; each is built for the shape of its first call."""
        return {}

    @property
    def last_activation(self) -> str | None:
        """The activation of the prediction, "linear" for raw scores; None where the settings do not show it."""
        return None

    @property
    def convolves(self) -> bool:
        """True where the model convolves, as far as the settings show it."""
        return any(network.convolves for network in self.networks_called().values())

    def parameters_in_formulas(self) -> tuple[str, ...] | None:
        """Return the names of the parameters that formulas see; None where they are only known once it is built."""
        return self.parameter_names()

    def given_names(self) -> Mapping[ConfigPath, Sequence[str]]:
        """Return the names that the config itself gives to parts of the model, by their places."""
        return {}

    def network_names(self) -> tuple[str, ...]:
        """Return the names of the networks that formulas can call."""
        return ()

    def uses(self, names: ConfigNames) -> Iterator[Use]:
        """Yield the formulas of the model, with the names that they may use."""
        yield from ()

    def problems(self, used: frozenset[str], reached: frozenset[str] | None, *, trains: bool) -> Iterator[Problem]:
        """Yield the settings that do not go together.

        Args:
            used: all names in formulas of the config.
            reached: the names that the loss may depend on; None where the formulas do not show it.
            trains: whether the optimizer trains parameters.
        """
        yield from ()
