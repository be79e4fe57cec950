"""What a finished run says of other inputs, and the slope where it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gdrun.components.data.dataset import dataset
from gdrun.components.transforms import raw_value
from gdrun.errors import RunDirectoryError, ShapeError

if TYPE_CHECKING:
    from gdrun.rundir.run import Run
    from gdrun.training import Prepared


def predict(prepared: Prepared, run: Run, inputs: Mapping[str, Any]) -> np.ndarray | dict[str, np.ndarray]:
    """Return the trained model's predictions, in the units of the config's data.

    Args:
        prepared: the run's experiment, built.
        run: gives the parameters.
        inputs: name -> values, the leading axis counting the examples; a number stands for one example.
    Returns:
        (B, ...) in the run's precision, or one array for each named output. Where the target was scaled, the scaling
        is taken back.
    Raises:
        ShapeError: an input is missing, or there is one too many.
        RunDirectoryError: the run has no such parameters.
    """
    from gdrun.engine.device import import_tensorflow

    tf = import_tensorflow()
    built = prepared.built
    names = tuple(built.data.inputs)
    if set(inputs) != set(names):
        raise ShapeError(f"the model takes the inputs {', '.join(names)}; given are {', '.join(inputs) or 'none'}")
    given = dataset({name: np.atleast_1d(np.asarray(inputs[name], np.float64)) for name in names})
    assert built.datasets is not None
    scaling = built.datasets.scaling
    scaled = scaling.apply(given).cast(prepared.loaded.experiment.precision)
    parameters, fixed, model_state = _state(prepared, run)
    batch = built.data._replace(inputs={name: tf.constant(value) for name, value in scaled.inputs.items()}, target=None)
    setting = built.setting._replace(fixed=fixed)
    moment = built.program.feed.moment(built.windows.at(0), built.state.step)
    with tf.device(prepared.device.name):
        output = built.objective.predict(parameters, model_state, setting, batch, moment)

    def array(value: Any) -> np.ndarray:
        result = value.numpy() if tf.is_tensor(value) else np.asarray(value)
        return result if scaling.target is None else scaling.target.invert(result)

    if isinstance(output, Mapping):
        return {name: array(value) for name, value in output.items()}
    return array(output)


def gradients(prepared: Prepared, run: Run) -> dict[str, np.ndarray]:
    """Return the gradient of the loss over all training data at the run's final parameters, by parameter.

    For a parameter with a transform it is the gradient by the value before the transform, which is what the optimizer
    sees.
    """
    from gdrun.engine.device import import_tensorflow

    tf = import_tensorflow()
    built = prepared.built
    parameters, fixed, model_state = _state(prepared, run)
    setting = built.setting._replace(fixed=fixed)
    with tf.device(prepared.device.name), tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(parameters)
        loss = built.objective.at(parameters, setting, built.data, model_state)
    found = tape.gradient(loss, parameters)
    names = built.objective.trainable_names
    return {name: value.numpy() for name, value in zip(names, found, strict=True) if value is not None}


def _state(prepared: Prepared, run: Run) -> tuple[tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]:
    """The run's (trainable, fixed, model state) as tensors before transforms."""
    from gdrun.engine.device import import_tensorflow

    tf = import_tensorflow()
    objective, template = prepared.built.objective, prepared.built

    def tensor(name: str, like: Any) -> Any:
        if name not in run.parameters:
            raise RunDirectoryError(f"{run.directory} has no parameter '{name}'")
        value = run.parameters[name]
        transform = objective.transforms.get(name)
        raw = value if transform is None else raw_value(np.asarray(value, np.float64), transform)
        return tf.constant(raw, like.dtype)

    trainable = zip(objective.trainable_names, template.state.parameters, strict=True)
    fixed = zip(objective.fixed_names, template.setting.fixed, strict=True)
    kept = zip(objective.state_names, template.state.model_state, strict=True)
    return (
        tuple(tensor(name, like) for name, like in trainable),
        tuple(tensor(name, like) for name, like in fixed),
        tuple(tensor(name, like) if like.dtype.is_floating else like for name, like in kept),
    )
