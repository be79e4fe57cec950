"""`data:` -> data sets, scaled and split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, assert_never

import numpy as np

import gdrun.data as sections
from gdrun.data import CustomData
from gdrun.data.csv_file import csv_data
from gdrun.data.dataset import Dataset, check_same_form
from gdrun.data.formulas import formula_data
from gdrun.data.generators import generated_data
from gdrun.data.keras_sets import keras_data
from gdrun.data.labels import check_labels, one_hot
from gdrun.data.memory import Memory
from gdrun.data.npz_file import npz_data
from gdrun.data.parquet_file import parquet_data
from gdrun.data.scaling import Scaling, fit_scaling, scale_parts
from gdrun.data.sklearn_sets import sklearn_data
from gdrun.data.split import split
from gdrun.data.values import values_data
from gdrun.data.weights import weights_by_class, weights_by_formula
from gdrun.experiment.experiment import Experiment
from gdrun.formula.parse import parse
from gdrun.random_streams import LegacyState, RandomSource, Streams

from .custom import build_custom_data, check_target
from .located import located
from .mapped import check_mapped


@dataclass(frozen=True)
class Datasets:
    """What the experiment learns from. Values are float64 until the engine casts them."""

    train: Dataset
    validation: Dataset | None
    scaling: Scaling
    files: dict[str, str]
    """Absolute path -> SHA-256 of each file that was read."""
    finish: Callable[[Dataset], Dataset] = lambda data: data
    """Scales and encodes training examples that are taken from a mapped `train`, which holds them as they are read."""


def random_source(experiment: Experiment) -> RandomSource:
    """Return where this experiment's random numbers come from."""
    if experiment.random == "legacy":
        return LegacyState(experiment.seed)
    return Streams(experiment.seed)


def build_data(
    experiment: Experiment, constants: dict[str, np.ndarray], source: RandomSource, directory: Path
) -> Datasets | None:
    """Return the training and validation data, or None where the config has no data.

    Args:
        experiment: the whole config.
        constants: evaluated.
        source: draws, in the order data, split.
        directory: what relative paths are relative to.
    Raises:
        ConfigError: located at the part of `data` that cannot be carried out.
    """
    section = experiment.data
    if section is None:
        return None
    own: dict[int, Streams] = {}
    with located("data"):
        whole = _load(section, constants, source, directory, own)
    if whole.mapped:
        check_mapped(section, whole)
    check_target(experiment, whole)
    files = dict(whole.files)
    train, validation = whole, None
    block = section.validation
    with located("data", "validation"):
        if isinstance(block, float):
            train, validation = split(whole, share=block)
        elif isinstance(block, sections.ValidationSplit):
            train, validation = split(
                whole,
                share=block.share,
                count=block.count,
                last=block.last,
                index=block.index,
                shuffle=block.shuffle,
                random=source.generator("split") if block.shuffle else None,
            )
        elif block is not None:
            # It is looked at as a whole, so it is kept in memory.
            validation = _load(block, constants, source, directory, own, labels=whole.labels, memory="all")
            check_same_form(train, validation)
            files.update(validation.files)
    if section.class_weights is not None:
        # By the labels as they are written, and for training only, as Keras's class_weight.
        with located("data", "class_weights"):
            train = weights_by_class(train, section.class_weights)
    if train.weights is not None and validation is not None and validation.weights is None:
        # Formulas that use the weights find some here, too.
        validation = replace(validation, weights=np.ones(validation.num_examples))
    if train.mapped:
        return _mapped(section, train, validation, files)
    scaling = Scaling()
    if section.scale is not None:
        with located("data", "scale"):
            train, validation, scaling = scale_parts(
                train, validation, inputs=section.scale.inputs, target=section.scale.target, fit=section.scale.fit
            )
    if section.classes is not None:
        with located("data", "classes"):
            train = _encode(train, section.classes)
            validation = None if validation is None else _encode(validation, section.classes)
    return Datasets(train, validation, scaling, files)


def _mapped(
    section: sections.DataSection, train: Dataset, validation: Dataset | None, files: dict[str, str]
) -> Datasets:
    """What is scaled and encoded later, as it is read; the validation data is in memory and is finished now."""
    scaling = Scaling()
    if section.scale is not None:
        with located("data", "scale"):
            scaling = fit_scaling(train, inputs=section.scale.inputs, target=section.scale.target)
    if section.classes is not None:
        assert train.target is not None
        with located("data", "classes"):
            check_labels(train.target, section.classes)

    def finish(data: Dataset) -> Dataset:
        scaled = scaling.apply(data)
        return scaled if section.classes is None else _encode(scaled, section.classes)

    if validation is not None:
        with located("data", "classes"):
            validation = finish(replace(validation.map(np.array), mapped=False))
    return Datasets(train, validation, scaling, files, finish)


def _load(
    section: Any,
    constants: dict[str, np.ndarray],
    source: RandomSource,
    directory: Path,
    own: dict[int, Streams],
    *,
    labels: tuple[str, ...] = (),
    memory: Memory | None = None,
) -> Dataset:
    """The examples of one data block, weighted; `own` has the draws of blocks with a seed."""
    data = _examples(section, constants, source, directory, own, labels=labels, memory=memory)
    if section.example_weights is None or isinstance(section, sections.FileData):
        return data
    formula = parse(section.example_weights)
    return weights_by_formula(data, formula, constants=constants, random=source.generator("data"))


def _examples(
    section: Any,
    constants: dict[str, np.ndarray],
    source: RandomSource,
    directory: Path,
    own: dict[int, Streams],
    *,
    labels: tuple[str, ...] = (),
    memory: Memory | None = None,
) -> Dataset:
    match section:
        case sections.FormulaData():
            return formula_data(
                inputs={name: parse(text) for name, text in section.inputs.items()},
                target=None if section.target is None else parse(section.target),
                noise=None if section.noise is None else parse(section.noise),
                constants=constants,
                random=source.generator("data"),
            )
        case sections.ValuesData():
            return values_data(section.inputs, section.target)
        case sections.SeparatedData():
            return csv_data(
                directory / section.path,
                inputs=section.inputs,
                target=section.target,
                separator=section.separator,
                header=section.header,
                skip=section.skip,
                rows=section.rows,
                labels=labels,
                weights=section.example_weights,
                memory=memory or section.memory,
            )
        case sections.ParquetData():
            return parquet_data(
                directory / section.path,
                inputs=section.inputs,
                target=section.target,
                rows=section.rows,
                labels=labels,
                weights=section.example_weights,
            )
        case sections.NpzData():
            return npz_data(
                directory / section.path,
                inputs=section.inputs,
                target=section.target,
                labels=labels,
                weights=section.example_weights,
                memory=memory or section.memory,
            )
        case sections.SklearnData():
            return sklearn_data(
                section.name,
                inputs=section.inputs,
                rows=section.rows,
                settings=section.settings,
                random=source.generator("data"),
            )
        case sections.KerasData():
            return keras_data(section.name, part=section.part, inputs=section.inputs, rows=section.rows)
        case CustomData():
            return build_custom_data(section, source.generator("data"))
        case sections.GeneratedData():  # type: ignore[misc]  # found on demand
            # A validation block that inherits the seed goes on where the training data ended: it is not the same again.
            draws = source if section.seed is None else own.setdefault(section.seed, Streams(section.seed))
            inherited = set(sections.DataSection.model_fields) | {"kind", "seed"}
            settings = {name: value for name, value in section if name not in inherited}
            return generated_data(section.kind, random=draws.generator("data"), **settings)  # type: ignore[attr-defined]
        case _:
            assert_never(section)


def _encode(data: Dataset, classes: int) -> Dataset:
    assert data.target is not None
    return replace(data, target=one_hot(data.target, classes))
