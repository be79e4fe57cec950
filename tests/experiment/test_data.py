"""What the text of `data:` shows: weights, files, other libraries' data sets."""

from __future__ import annotations

from importlib import import_module
from typing import get_args

import pytest

from gdrun.data.keras_sets import KerasData
from gdrun.data.sklearn_sets import BUNDLED, GENERATORS, SklearnData
from gdrun.experiment.dump import dump
from gdrun.experiment.loading import load_config
from tests.experiment.texts import line, marked, only, problems

VALUES = "{kind: values, inputs: {x: [1, 2, 3]}, target: [0, 1, 1]"
LINEAR = "{kind: linear}"


@pytest.mark.parametrize(
    ("sections", "place", "message"),
    [
        ({"data": f"{VALUES}, example_weights: 2 * z}}"}, "z", "unknown name 'z'"),
        ({"data": "{kind: sine, example_weights: 2 * z}"}, "z", "unknown name 'z'"),
        ({"data": f"{VALUES}, validation: {{example_weights: z}}}}"}, "z", "unknown name 'z'"),
        ({"data": f"{VALUES}, class_weights: balance}}"}, "balance", "did you mean 'balanced'?"),
        ({"data": f"{VALUES}, class_weights: [1, -2]}}"}, "-2", "must be at least 0"),
        ({"data": f"{VALUES}, class_weights: {{1: a}}}}"}, "a", "expected a number"),
        (
            {"data": "{kind: values, inputs: {x: [1]}, class_weights: balanced}", "loss": "output"},
            "class_weights",
            "no target",
        ),
        (
            {
                "data": f"{VALUES}, example_weights: [1, 2, 3]}}",
                "loss": "{kind: formula, formula: mean(prediction - target)}",
            },
            "formula",
            "the weights of data do not reach a loss of kind formula",
        ),
        ({"constants": "{example_weights: 1}"}, "example_weights", "has a meaning of its own"),
        ({"loss": "{kind: formula, formula: mean(example_weights)}"}, "example_weights", "unknown name"),
        ({"data": f"{VALUES}, scale: 0}}"}, "0", "must be greater than 0"),
        ({"data": f"{VALUES}, scale: standardise}}"}, "standardise", "did you mean"),
        ({"data": "{kind: tsv, path: a.tsv, target: y}"}, "data", "'inputs' is missing"),
        ({"data": "{kind: parquet, path: a, inputs: [x], target: y, sep: 1}"}, "sep", "unknown key 'sep'"),
        ({"data": "{kind: sklearn, name: iriss}", "model": LINEAR}, "iriss", "did you mean 'iris'?"),
        ({"data": "{kind: sklearn, name: iris, settings: {noise: 1}}", "model": LINEAR}, "settings", "has no settings"),
        (
            {"data": "{kind: sklearn, name: make_moons, settings: {nois: 1}}", "model": LINEAR},
            "nois",
            "make_moons has no setting 'nois'",
        ),
        (
            {"data": "{kind: sklearn, name: make_moons, settings: {noise: much}}", "model": LINEAR},
            "much",
            "expected a number, true, false, null or a list of numbers",
        ),
        (
            {"data": "{kind: sklearn, name: make_regression, settings: {coef: true}}", "model": LINEAR},
            "coef",
            "no setting",
        ),
        ({"data": "{kind: keras, name: imdb}", "model": LINEAR}, "imdb", "expected one of"),
        ({"data": "{kind: keras, name: mnist, part: tests}", "model": LINEAR}, "tests", "did you mean 'test'?"),
    ],
)
def test_a_problem_of_data_has_its_place(sections, place, message):
    problem = only(line(**sections))
    assert message in f"{problem.message}; {problem.hint}"
    assert place in marked(problem)


@pytest.mark.parametrize(
    "sections",
    [
        {"data": f"{VALUES}, example_weights: [1, 2, 3]}}"},
        {"data": f"{VALUES}, example_weights: 1 + x * target, class_weights: {{1: 3}}}}"},
        {"data": f"{VALUES}, scale: 255}}"},
        {"data": f"{VALUES}, scale: {{inputs: 2.5, target: minmax}}}}"},
        {
            "data": f"{VALUES}, class_weights: balanced}}",
            "loss": "{kind: formula, formula: mean(example_weights * (prediction - target)**2)}",
        },
        {"data": "{kind: tsv, path: a.tsv, inputs: [x], target: y, example_weights: 2}"},
        {"data": "{kind: parquet, path: a.parquet, inputs: {x: [a, 1]}, target: y, rows: '0:7'}"},
        {"data": "{kind: npz, path: a.npz, inputs: [x], target: y, example_weights: w}"},
        {
            "data": "{kind: sklearn, name: make_blobs, "
            "settings: {centers: [[0, 1], [2, 3]], shuffle: false, n_samples: 9}}",
            "model": LINEAR,
        },
        {"data": "{kind: keras, name: mnist, rows: '0:9', validation: {part: test}, scale: 255}", "model": LINEAR},
        {"data": "{kind: sklearn, name: iris, inputs: {x: [0, 'sepal width (cm)']}}", "model": LINEAR},
    ],
)
def test_data_that_is_right_has_no_problem_and_reads_back_to_itself(sections):
    text = line(**sections)
    assert problems(text) == []
    experiment = load_config(text.encode()).experiment
    assert load_config(dump(experiment).encode()).experiment == experiment


def test_a_validation_block_can_take_away_what_it_would_inherit():
    block = "{inputs: {x: [4]}, target: [1], example_weights: null}"
    data = f"{VALUES}, example_weights: [1, 2, 3], validation: {block}}}"
    experiment = load_config(line(data=data).encode()).experiment
    assert experiment.data.validation.example_weights is None
    assert load_config(dump(experiment).encode()).experiment == experiment


def test_the_names_of_data_sets_are_those_that_can_be_read():
    assert get_args(SklearnData.model_fields["name"].annotation) == (*BUNDLED, *GENERATORS)
    for name in get_args(KerasData.model_fields["name"].annotation):
        assert callable(import_module(f"keras.datasets.{name}").load_data)
