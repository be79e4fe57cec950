"""Data of an experiment as tensors, all at once or a window at a time."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from gdrun.config.located import located
from gdrun.data.dataset import Dataset
from gdrun.engine.state import Batch
from gdrun.engine.stream import Stream
from gdrun.experiment.experiment import Experiment
from gdrun.experiment.inputs import Datasets
from gdrun.schedules.batches import Batches


def as_batch(data: Dataset, precision: str) -> Batch:
    """Return examples as tensors of one floating type.

    Raises:
        DataError: a value does not fit into it.
    """
    cast = data.cast(precision)  # type: ignore[arg-type]
    target, weights = (None if value is None else tf.constant(value) for value in (cast.target, cast.weights))
    return Batch({name: tf.constant(value) for name, value in cast.inputs.items()}, target, weights)


def as_tensors(datasets: Datasets | None, experiment: Experiment) -> tuple[Batch, Batch | None]:
    """Return (training data, validation data); of training data that stays on disk, the first batch.

    Raises:
        ConfigError: a value does not fit into the run's precision.
    """
    if datasets is None:
        return Batch({}, None), None
    train, validation, precision = datasets.train, datasets.validation, experiment.precision
    if train.mapped:
        train = datasets.finish(train.take(np.arange(experiment.schedule.batch_size or 1)))
    with located("data"):
        return as_batch(train, precision), None if validation is None else as_batch(validation, precision)


def open_stream(datasets: Datasets, batches: Batches, like: Batch, precision: str, total_steps: int) -> Stream:
    """Return the reader of training data that stays on disk.

    Args:
        batches: the examples of each step.
        like: examples in the shapes that the model takes.
        total_steps: the schedule's length.
    """

    def read(index: np.ndarray) -> Batch:
        with located("data"):
            batch = as_batch(datasets.finish(datasets.train.take(index)), precision)
        if batch.target is not None and like.target is not None and batch.target.shape.rank < like.target.shape.rank:
            batch = batch._replace(target=batch.target[:, None])
        return batch

    return Stream(batches, read, total_steps)
