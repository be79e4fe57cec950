"""Training data that stays on disk: what cannot be done with it."""

from __future__ import annotations

from gdrun.data.dataset import Dataset
from gdrun.data.sections import DataSection, ValidationSplit
from gdrun.experiment.experiment import Experiment
from gdrun.text import human_bytes, plural

from .located import refuse

_IN_MEMORY = "memory: all keeps them in memory, if there is enough"


def _why(data: Dataset) -> str:
    """What is kept on disk, in words."""
    size = sum(array.nbytes for array in data.arrays().values())
    return f"the {plural(data.num_examples, 'example')} ({human_bytes(size)}) are not kept in memory"


def check_mapped(section: DataSection, data: Dataset) -> None:
    """Refuse what needs all examples at once.

    Raises:
        ConfigError: located at the setting that does.
    """
    block = section.validation
    if isinstance(block, ValidationSplit) and (block.shuffle or block.index is not None):
        raise refuse(
            f"examples cannot be held out from anywhere in the data: {_why(data)}",
            ("data", "validation", "index" if block.index is not None else "shuffle"),
            f"hold out the last ones, or give a file of its own; {_IN_MEMORY}",
        )
    scale = section.scale
    for part in ("inputs", "target") if scale is not None else ():
        method = getattr(scale, part)
        if method == "standardize":
            raise refuse(
                f"a deviation is of all examples at once, and {_why(data)}",
                ("data", "scale", part),
                f"scale by minmax or by a number, or standardize the file itself; {_IN_MEMORY}",
            )
        if method == "minmax" and scale is not None and scale.fit != "train":
            raise refuse(f"only fit: train goes here, since {_why(data)}", ("data", "scale", "fit"), _IN_MEMORY)


def check_schedule(experiment: Experiment, data: Dataset) -> None:
    """Refuse a schedule or metrics that look at all training examples at once.

    Raises:
        ConfigError: located at the setting that does.
    """
    size = experiment.schedule.batch_size
    if size is None or size >= data.num_examples:
        raise refuse(
            f"each step would see all examples at once, and {_why(data)}",
            ("schedule",) if size is None else ("schedule", "batch_size"),
            f"set schedule.batch_size; {_IN_MEMORY}",
            key=size is None,
        )
    assert experiment.data is not None
    if experiment.metrics and experiment.data.validation is None:
        raise refuse(
            f"metrics are of all training examples at once, and {_why(data)}",
            ("metrics",),
            "add data.validation: metrics are of that data then",
            key=True,
        )
