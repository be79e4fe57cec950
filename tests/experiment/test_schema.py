"""The JSON Schema accepts what gdrun accepts, and describes every key."""

from __future__ import annotations

import pytest

from gdrun.config.document import read_document
from gdrun.config.plugins import load_plugins
from gdrun.experiment.experiment import Experiment
from gdrun.experiment.loading import load_config
from gdrun.experiment.reference import describe
from gdrun.experiment.schema import schema
from tests.experiment.texts import LINE, line

from .test_loading import CONFIGS

jsonschema = pytest.importorskip("jsonschema")


@pytest.fixture(scope="module")
def validator():
    made = schema()
    jsonschema.Draft7Validator.check_schema(made)
    return jsonschema.Draft7Validator(made)


def as_json(value):
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    return [as_json(item) for item in value] if isinstance(value, tuple) else value


def read(text: bytes):
    return as_json(read_document(text, "c").plain())


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_shipped_configs_are_valid_as_written_and_as_resolved(path, validator):
    validator.validate(read(path.read_bytes()))
    validator.validate(read(load_config(path).resolved_text().encode()))


@pytest.mark.parametrize(
    "sections",
    [
        {"optimizer": "{kind: sgd, learning_rte: 0.2}"},
        {"optimizer": "sdg"},
        {"schedule": "{steps: -1}"},
        {"seed": "x"},
        {"schedule": ""},
        {"metrics": "[r3]"},
        {"constants": "{2x: 1}"},
        {"data": "{kind: csv, inputs: [x]}"},
    ],
)
def test_mistakes_of_form_are_invalid(sections, validator):
    assert not validator.is_valid(read(line(**sections).encode()))


@pytest.mark.parametrize(
    "sections",
    [
        {"loss": "{kind: half_mse, penalty: {l2: 1}}"},
        {"model": "{kind: layers, layers: [relu, {kind: dense, units: 1e0}]}"},
        {"data": "{kind: values, inputs: {x: [1, 2]}, target: [1, 2], validation: {target: [2, 3]}}"},
        {"model": "{kind: formula, formula: {p: a * x}, parameters: {a: {value: 1}}}"},
    ],
)
def test_short_forms_and_inherited_parts_are_valid(sections, validator):
    validator.validate(read(line(**sections).encode()))


def test_a_config_that_extends_another_may_leave_things_out(validator):
    assert validator.is_valid({"extends": "base.yaml", "optimizer": {"learning_rate": 0.1}})
    assert not validator.is_valid({"optimizer": {"learning_rate": 0.1}})


def test_names_and_options_of_plugins_are_known():
    plugins = load_plugins([CONFIGS[0].parent / "extras" / "quantiles.py"])
    made = jsonschema.Draft7Validator(schema(plugins))
    config = read((CONFIGS[0].parent / "extras" / "quantiles.yaml").read_bytes())
    made.validate(config)
    for loss in ({"name": "pinbal"}, {"name": "pinball", "options": {"levle": 0.9}}):
        assert not made.is_valid(config | {"loss": {"kind": "custom"} | loss})


def test_every_key_says_what_it_means():
    for name, definition in schema()["definitions"].items():
        for key, value in definition.get("properties", {}).items():
            assert key == "kind" or value.get("description"), (name, key)


def test_describe_knows_type_default_and_meaning():
    (found,) = describe("schedule.stop.patience.epochs")
    assert (found.type, found.default, found.meaning) == ("an integer >= 1", None, "Epochs without improvement.")
    assert {one.kind for one in describe("optimizer.momentum")} == {"sgd", "rmsprop", "muon"}
    assert describe("optimizer.nothing") == []
    assert "adam" in describe("optimizer")[0].allowed
    assert [one.path for one in describe(Experiment)][:2] == [("name",), ("description",)]
    convolutions = {"conv1d", "conv2d", "conv2d_transpose", "separable_conv1d", "separable_conv2d"}
    assert {one.kind for one in describe("model.layers.0.filters")} == convolutions


def test_describe_asks_the_config_for_its_kinds():
    root = load_config(LINE.encode()).root
    assert [one.kind for one in describe("optimizer.momentum", root)] == ["sgd"]
