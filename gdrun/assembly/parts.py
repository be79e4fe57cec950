"""Parts of an experiment before there is a program: data, objective, initial state and settings, as tensors.

Trials that run as lanes of one program differ in these alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gdrun.config.located import refuse
from gdrun.engine.objective import Objective
from gdrun.engine.state import Batch, Moment, Setting, TrainState
from gdrun.experiment.experiment import Experiment
from gdrun.experiment.inputs import Datasets, Inputs, read_inputs
from gdrun.schedules.batches import Batches

from .data import as_tensors, side_by_side
from .initial import initial_state
from .objective import as_rows, build_objective, with_own_gradients, without_unreached
from .schedule import build_batches
from .trial_evaluation import EVALUATION_ERRORS


@dataclass(frozen=True)
class Parts:
    """Parts of an experiment that its program is assembled from."""

    experiment: Experiment
    constants: dict[str, np.ndarray]
    datasets: Datasets | None
    data: Batch
    """Training examples; of those that stay on disk, the first batch."""
    validation: Batch | None
    objective: Objective
    state: TrainState
    """The parameters' part; the optimizer's and the rules' are empty."""
    setting: Setting
    batches: Batches | None
    """None where there is no data."""
    files: dict[str, str]
    """As of `Inputs`."""
    warnings: tuple[str, ...]

    @property
    def steps_per_epoch(self) -> int:
        """Number of updates in an epoch."""
        return self.batches.steps_per_epoch if self.batches else 1

    @property
    def mapped(self) -> bool:
        """True where the training examples stay on disk."""
        return self.datasets is not None and self.datasets.train.mapped


def build_parts(experiment: Experiment, *, directory: Path, inputs: Inputs | None = None) -> Parts:
    """Build the parts of `experiment`.

    Args:
        experiment: checked.
        directory: folder that relative data paths count from.
        inputs: its constants and data, which are used up; None: they are read.
    Raises:
        ConfigError: for mistakes that only building shows: data that does not fit, shapes, initial values.
    """
    inputs = inputs or read_inputs(experiment, directory)
    constants, datasets, source = inputs.constants, inputs.datasets, inputs.source
    data, validation = as_tensors(datasets, experiment)
    objective = build_objective(experiment, constants, data, source.shared("initial"), inputs.starts)
    data, validation = as_rows(objective, data), None if validation is None else as_rows(objective, validation)
    state, setting = initial_state(experiment, objective, objective.model.initial)
    objective, warnings = without_unreached(experiment, objective, state, setting, data)
    if len(state.parameters) != len(objective.trainable_names):
        state, setting = initial_state(experiment, objective, objective.model.initial)
    objective = with_own_gradients(experiment, objective, state, setting, data)
    if objective.model.joins_inputs and len(data.inputs) > 1:
        objective = replace(objective, input_shapes={name: tuple(x.shape[1:]) for name, x in data.inputs.items()})
        data, validation = side_by_side(data), None if validation is None else side_by_side(validation)
    _check_outputs(experiment, datasets, objective, state, setting, data)
    batches = build_batches(experiment, datasets.train.num_examples if datasets else None, source)
    size = experiment.schedule.batch_size
    if batches is not None and size is not None and size > batches.num_examples:
        warnings += (f"batch_size is {size:,}: one batch of all {batches.num_examples:,} training examples",)
    return Parts(
        experiment, constants, datasets, data, validation, objective, state, setting, batches, inputs.files, warnings
    )


def released(datasets: Datasets) -> Datasets:
    """Return the data sets without their examples, which are tensors by now; labels, scaling and files stay."""
    empty = datasets.train.map(lambda array: np.empty((0, *array.shape[1:]), array.dtype))
    return replace(datasets, train=empty, validation=None)


def _check_outputs(
    experiment: Experiment,
    datasets: Datasets | None,
    objective: Objective,
    state: TrainState,
    setting: Setting,
    data: Batch,
) -> None:
    """Refuse labels of a sparse cross-entropy without an output, those of validation and of data on disk included."""
    if datasets is None or not experiment.objective_loss.takes_labels:
        return
    largest = [
        (path, int(np.max(part.target)))
        for path, part in ((("data",), datasets.train), (("data", "validation"), datasets.validation))
        if part is not None and part.target is not None
    ]
    try:
        prediction = objective.predict(state.parameters, state.model_state, setting, data.head(1), Moment.at(0))
    except EVALUATION_ERRORS:
        return  # trying the first step reports it, or a whole batch has no such mistake
    if isinstance(prediction, dict) or prediction.shape.rank < 2:
        return
    for path, label in largest:
        if label >= prediction.shape[-1]:
            raise refuse(
                f"the label {label} is not among 0 to {prediction.shape[-1] - 1}, the classes that the model's outputs "
                "stand for",
                path if path != ("data",) else ("data", "target"),
                "count labels from 0, or give the model more outputs",
                key=path != ("data",),
            )
