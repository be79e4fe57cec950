"""A finished run's model, for programs that are not gdrun: NumPy's archive, a Keras model, a SavedModel."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gdrun.config.plugins import PluginSources
from gdrun.errors import ComponentError, ConfigError, RunDirectoryError, UsageError
from gdrun.rundir.files import refuse_existing
from gdrun.rundir.run import Run
from gdrun.training.predict import load_trained, trained_point
from gdrun.training.prepare import Prepared

Load = Callable[[], Prepared]
"""Builds the run's experiment, which needs TensorFlow."""


def export_model(
    run: Run, output: Path, *, format: str, device: str | None = None, plugins: PluginSources = ()
) -> Path:
    """Write the model of a finished run and return where it is.

    Args:
        run: gives the parameters and the config.
        output: a file, or the folder of a SavedModel; it must not be there yet.
        format: npz: the parameters as they are in the run directory. keras: a .keras file, for models of Keras layers.
            savedmodel: a function of the inputs by name, of any number of examples, in the scale the model was trained
            in; what `scale` did to the data is not part of it.
        device: as in `gdrun.train`.
        plugins: those that the run was trained with.
    Raises:
        UsageError: the output is there already, or the model cannot be written in this format.
        ConfigError: the run's data is not there any more.
        RunDirectoryError: the run has no parameters, or the disk refuses.
    """
    refuse_existing(output, "one")

    def load() -> Prepared:
        return load_trained(run, device=device, plugins=plugins)

    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        FORMATS[format].write(run, output, load)
    except OSError as error:
        raise RunDirectoryError(f"cannot write {output}: {error.strerror or error}") from error
    return output


def _write_npz(run: Run, output: Path, load: Load) -> None:
    run.arrays("parameters.npz")  # raises where they are missing or damaged
    shutil.copyfile(run.directory / "parameters.npz", output)


def _write_keras(run: Run, output: Path, load: Load) -> None:
    network = load().built.objective.model.keras_network
    if network is None:
        raise UsageError(
            "only models of Keras layers (linear, mlp, layers) and plugins' Keras models can be written as one",
            hint="use --model savedmodel or --model npz",
        )
    if output.suffix != ".keras":
        raise UsageError(f"a Keras model's file ends in .keras, {output.name} does not")
    network.to_keras(run.parameters).save(output)


def _write_saved_model(run: Run, output: Path, load: Load) -> None:
    from gdrun.engine.device import import_tensorflow

    prepared = load()
    tf = import_tensorflow()
    built = prepared.built
    parameters, setting, model_state, moment = trained_point(prepared, run)
    inputs = built.named_inputs.items()
    signature = {name: tf.TensorSpec([None, *value.shape[1:]], value.dtype, name=name) for name, value in inputs}
    if not signature:
        raise UsageError("this run has no data: its model is an objective, which predicts nothing")

    class Trained(tf.Module):  # type: ignore[misc, name-defined]
        """The trained model: inputs by name -> {"prediction": ...} or the named outputs."""

        def __init__(self) -> None:
            super().__init__()
            self.trained = [tf.Variable(value) for value in parameters]

        @tf.function(autograph=False)
        def predict(self, **inputs: Any) -> dict[str, Any]:
            """Return the predictions for inputs (n, ...)."""
            batch = built.data._replace(inputs=inputs, target=None)
            values = [variable.read_value() for variable in self.trained]
            output = built.objective.predict(values, model_state, setting, batch, moment)
            return output if isinstance(output, dict) else {"prediction": output}

    module = Trained()
    try:
        concrete = module.predict.get_concrete_function(**signature)
    except (ComponentError, ConfigError, ValueError, TypeError) as error:
        raise UsageError(f"this model works for the number of examples it was trained on only: {error}") from error
    tf.saved_model.save(module, str(output), signatures={"serving_default": concrete})


@dataclass(frozen=True)
class ModelFormat:
    """A format of models: the function that writes one, and the end of its name by default."""

    suffix: str
    write: Callable[[Run, Path, Load], None]


FORMATS = {
    "npz": ModelFormat(".npz", _write_npz),
    "keras": ModelFormat(".keras", _write_keras),
    "savedmodel": ModelFormat("-model", _write_saved_model),
}
"""A line here and a function add a format."""
