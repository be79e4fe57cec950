"""Constants and examples of an experiment: evaluated, loaded, split, weighted and scaled, in NumPy.

TensorFlow is not imported, so that what is wrong with them is said before it starts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gdrun.config.located import at_config_path, refuse
from gdrun.data.dataset import Dataset, check_same_form
from gdrun.data.formula import with_derived
from gdrun.data.labels import check_labels, one_hot
from gdrun.data.scaling import Scaling, fit_scaling, scale_parts
from gdrun.data.section import DataSection, LoadContext
from gdrun.data.split import ValidationSplit
from gdrun.data.weights import weights_by_class
from gdrun.errors import DataError
from gdrun.formula.evaluate import evaluate_constants
from gdrun.formula.parse import parse
from gdrun.random_streams import LegacyState, RandomSource, Streams
from gdrun.text import human_bytes, plural

from .experiment import Experiment
from .start import Start, read_starts


@dataclass(frozen=True)
class Datasets:
    """The examples of an experiment. Values are float64 until the engine casts them."""

    train: Dataset
    validation: Dataset | None
    scaling: Scaling
    files: dict[str, str]
    """Absolute path -> SHA-256 of each file that was read."""
    classes: int | None = None
    """Length of the one-hot rows that labels become."""

    def finish(self, examples: Dataset) -> Dataset:
        """Return examples that are as in a file scaled and encoded; a mapped `train` holds such ones."""
        return _encoded(self.scaling.apply(examples), self.classes)


@dataclass(frozen=True)
class Inputs:
    """Constants and examples that an experiment starts from, before any tensor is made."""

    constants: dict[str, np.ndarray]
    datasets: Datasets | None
    """None where the config has no data."""
    source: RandomSource
    """Has drawn constants, data and split, in this order."""
    starts: tuple[Start, ...] = ()

    @property
    def files(self) -> dict[str, str]:
        """Absolute path -> SHA-256 of each file that was read."""
        return {**(self.datasets.files if self.datasets else {}), **{start.file: start.digest for start in self.starts}}


def read_inputs(experiment: Experiment, directory: Path) -> Inputs:
    """Evaluate the constants and load the data of an experiment.

    Args:
        experiment: checked.
        directory: folder that relative data paths count from.
    Raises:
        ConfigError: located at the constant, or at the part of `data` or `schedule`, that cannot be carried out.
    """
    source = random_source(experiment)
    with at_config_path("constants"):
        constants = evaluate_constants(
            {name: parse(text) for name, text in experiment.constants.items()}, random=source.generator("constants")
        )
    datasets = build_data(experiment, constants, source, directory)
    if datasets is not None:
        if datasets.train.mapped:
            check_schedule(experiment, datasets.train)
        _check_classes(experiment, datasets)
    return Inputs(constants, datasets, source, read_starts(experiment, directory))


def _check_classes(experiment: Experiment, datasets: Datasets) -> None:
    """Refuse labels of a sparse cross-entropy that are not whole numbers from 0, for which XLA gives NaN silently."""
    if not experiment.objective_loss.takes_labels:
        return
    for part in (datasets.train, datasets.validation):
        if part is not None and part.target is not None:
            with at_config_path("data", "target"):
                check_labels(part.target, max(2, int(np.max(part.target, initial=0)) + 1))


def random_source(experiment: Experiment) -> RandomSource:
    """Return the source of the experiment's random numbers."""
    if experiment.random == "legacy":
        return LegacyState(experiment.seeds.data)
    return Streams(experiment.seeds.data)


def build_data(
    experiment: Experiment, constants: dict[str, np.ndarray], source: RandomSource, directory: Path
) -> Datasets | None:
    """Return the training and validation data, or None where the config has no data.

    The order is load, split, weight by class, scale, encode: class weights go by the labels as they are written, and
    only the training part may set the scale, or the validation loss would know the held-out examples.

    Args:
        experiment: the whole config.
        constants: evaluated.
        source: draws, in the order data, split.
        directory: folder that relative paths count from.
    Raises:
        ConfigError: located at the part of `data` that cannot be carried out.
    """
    section = experiment.data
    if section is None:
        return None
    context = LoadContext(directory, constants, source)
    with at_config_path("data"):
        train = section.load(context)
    if train.mapped:
        _check_mapped(section, train)
    _check_target(experiment, section, train)
    files = dict(train.files)
    validation = None
    with at_config_path("data", "validation"):
        match section.validation:
            case None:
                pass
            case float(share):
                train, validation = ValidationSplit(share=share).split(train)
            case ValidationSplit() as part:
                train, validation = part.split(train, source.generator("split") if part.shuffle else None)
            case other:
                # Validation data is evaluated as a whole, so it is kept in memory.
                validation = other.load(replace(context, labels=train.labels, memory="all"))
                check_same_form(train, validation)
                files.update(validation.files)
    with at_config_path("data"):
        train = _with_derived(section, train, context)
    if validation is not None:
        inner = section.validation if isinstance(section.validation, DataSection) else section
        with at_config_path("data", "validation") if inner is not section else at_config_path("data"):
            validation = _with_derived(inner, validation, context)
    if section.class_weights is not None:
        # For training only, as Keras's class_weight.
        with at_config_path("data", "class_weights"):
            train = weights_by_class(train, section.class_weights)
    if train.weights is not None and validation is not None and validation.weights is None:
        # Formulas that use the weights are evaluated on validation data, too.
        validation = replace(validation, weights=np.ones(validation.num_examples))
    if train.mapped:
        return _mapped(section, train, validation, files)
    scaling = Scaling()
    if section.scale is not None:
        with at_config_path("data", "scale"):
            train, validation, scaling = scale_parts(
                train, validation, inputs=section.scale.inputs, target=section.scale.target, fit=section.scale.fit
            )
    with at_config_path("data", "classes"):
        train = _encoded(train, section.classes)
        validation = None if validation is None else _encoded(validation, section.classes)
    return Datasets(train, validation, scaling, files, section.classes)


def _with_derived(section: DataSection, data: Dataset, context: LoadContext) -> Dataset:
    if not section.derived:
        return data
    if data.mapped:
        raise DataError(
            "derived inputs need all examples at once, and this data stays on disk",
            hint="memory: all keeps it in memory",
            within=("derived",),
        )
    formulas = {name: parse(text) for name, text in section.derived.items()}
    return with_derived(data, formulas, constants=context.constants, random=context.generator())


def _mapped(section: DataSection, train: Dataset, validation: Dataset | None, files: dict[str, str]) -> Datasets:
    """Return data that is scaled and encoded as it is read; the validation data is in memory and is finished now."""
    scaling = Scaling()
    if section.scale is not None:
        with at_config_path("data", "scale"):
            scaling = fit_scaling(train, inputs=section.scale.inputs, target=section.scale.target)
    with at_config_path("data", "classes"):
        if section.classes is not None:
            assert train.target is not None
            # Batches are encoded as they are read: check all labels now, and not in the middle of a run.
            check_labels(train.target, section.classes)
        datasets = Datasets(train, None, scaling, files, section.classes)
        if validation is None:
            return datasets
        return replace(datasets, validation=datasets.finish(replace(validation.map(np.array), mapped=False)))


def _encoded(data: Dataset, classes: int | None) -> Dataset:
    if classes is None or data.target is None:
        return data
    return replace(data, target=one_hot(data.target, classes))


def _check_target(experiment: Experiment, section: DataSection, train: Dataset) -> None:
    """Refuse what needs a target where none came though the settings promise one: only a plugin's data can do that."""
    if train.target is not None or not section.has_target:
        return
    missing = f"{section.source_name} gives no target"
    scaled = section.scale is not None and section.scale.target != "none"
    for key, needs in (("classes", section.classes), ("class_weights", section.class_weights), ("scale", scaled)):
        if needs:
            raise refuse(f"{missing}, which {key} is about", ("data", key), key=True)
    if experiment.objective_loss.needs_target:
        raise refuse(
            f"{missing} to compare predictions with", ("loss",), "loss: output minimises the model's own value"
        )
    for position, metric in enumerate(experiment.metrics):
        if metric.compares:
            raise refuse(f"{missing}, which the metric {metric.name} needs", ("metrics", position))


# --- refusals for examples that stay on disk --------------------------------------------------------------------------

_IN_MEMORY = "memory: all keeps them in memory, if there is enough"


def _not_in_memory(data: Dataset) -> str:
    size = sum(array.nbytes for array in data.arrays().values())
    return f"the {plural(data.num_examples, 'example')} ({human_bytes(size)}) are not kept in memory"


def _check_mapped(section: DataSection, data: Dataset) -> None:
    """Refuse settings of `data` that need all examples at once.

    Raises:
        ConfigError: located at that setting.
    """
    block = section.validation
    if isinstance(block, ValidationSplit) and (block.shuffle or block.index is not None):
        raise refuse(
            f"examples cannot be held out from anywhere in the data: {_not_in_memory(data)}",
            ("data", "validation", "index" if block.index is not None else "shuffle"),
            f"hold out the last ones, or give a file of its own; {_IN_MEMORY}",
        )
    scale = section.scale
    for part in ("inputs", "target") if scale is not None else ():
        method = getattr(scale, part)
        if method == "standardize":
            raise refuse(
                f"a deviation is of all examples at once, and {_not_in_memory(data)}",
                ("data", "scale", part),
                f"scale by minmax or by a number, or standardize the file itself; {_IN_MEMORY}",
            )
        if method == "minmax" and scale is not None and scale.fit != "train":
            raise refuse(
                f"only fit: train goes here, since {_not_in_memory(data)}", ("data", "scale", "fit"), _IN_MEMORY
            )


def check_schedule(experiment: Experiment, data: Dataset) -> None:
    """Refuse a schedule or metrics that need all training examples at once, where these stay on disk.

    Raises:
        ConfigError: located at that setting.
    """
    size = experiment.schedule.batch_size
    if size is None or size >= data.num_examples:
        raise refuse(
            f"each step would see all examples at once, and {_not_in_memory(data)}",
            ("schedule",) if size is None else ("schedule", "batch_size"),
            f"set schedule.batch_size; {_IN_MEMORY}",
            key=size is None,
        )
    assert experiment.data is not None
    if experiment.metrics and experiment.data.validation is None:
        raise refuse(
            f"metrics are of all training examples at once, and {_not_in_memory(data)}",
            ("metrics",),
            "add data.validation: metrics are of that data then",
            key=True,
        )
