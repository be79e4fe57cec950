"""Data of an experiment as tensors, all at once or a window at a time."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from gdrun.config.located import at_config_path
from gdrun.data.dataset import Dataset
from gdrun.engine.state import SIDE_BY_SIDE, Batch
from gdrun.engine.stream import Stream
from gdrun.experiment.experiment import Experiment
from gdrun.experiment.inputs import Datasets
from gdrun.models.keras_network import joined
from gdrun.schedules.batches import Batches


def as_batch(data: Dataset, precision: str) -> Batch:
    """Return examples as tensors of one floating type.

    Raises:
        DataError: a value does not fit into it.
    """
    cast = data.cast(precision)  # type: ignore[arg-type]
    return Batch(dict(cast.inputs), cast.target, cast.weights).map(tf.constant)


def side_by_side(data: Batch) -> Batch:
    """Return the data with its inputs as one, for a model that joins them: a batch is then one look-up."""
    return data._replace(inputs={SIDE_BY_SIDE: joined(list(data.inputs.values()))})


def to_batch(datasets: Datasets, examples: Dataset, precision: str, *, like: Batch) -> Batch:
    """Return examples that are as in a file as the engine takes them: scaled, encoded, cast and shaped.

    Args:
        like: training examples, in the shapes that the model takes.
    Raises:
        DataError: a label is no class, or a value does not fit into the precision.
    """
    batch = as_batch(datasets.finish(examples), precision)
    target, weights = batch.target, batch.weights
    if target is not None and like.target is not None and target.shape.rank < like.target.shape.rank:
        target = target[:, None]
    if weights is None and like.weights is not None:
        # Formulas may use them: other examples count alike.
        weights = tf.ones([examples.num_examples], like.weights.dtype)
    batch = batch._replace(target=target, weights=weights)
    return side_by_side(batch) if SIDE_BY_SIDE in like.inputs else batch


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
    with at_config_path("data"):
        return as_batch(train, precision), None if validation is None else as_batch(validation, precision)


def open_stream(
    datasets: Datasets, batches: Batches, like: Batch, precision: str, total_steps: int, offset: int
) -> Stream:
    """Return the reader of training data that stays on disk.

    Args:
        batches: the examples of each step.
        like: examples in the shapes that the model takes.
        total_steps, offset: as of `Stream`.
    """

    def read(index: np.ndarray) -> Batch:
        with at_config_path("data"):
            return to_batch(datasets, datasets.train.take(index), precision, like=like)

    return Stream(batches, read, total_steps, offset)
