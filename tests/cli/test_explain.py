"""`gdrun explain`."""

from __future__ import annotations

import json

import pytest
import yaml

from gdrun.experiment.loading import load_config
from gdrun.formula.table import describe_functions


def test_the_resolved_config_is_yaml_that_reads_back_to_the_same(gdrun, config, tmp_path):
    name = config()
    shown = gdrun("explain", name, "lr=0.25").out
    (tmp_path / "again.yaml").write_text(shown)
    assert load_config("again.yaml").experiment == load_config(name, ["lr=0.25"]).experiment


def test_each_value_says_where_it_came_from(gdrun, config, tmp_path):
    config("base")
    (tmp_path / "child.yaml").write_text("extends: base.yaml\nseed: 7\n")
    lines = {
        line.partition(":")[0].strip(): line.partition("#")[2].strip()
        for line in gdrun("explain", "child.yaml", "lr=0.25").out.splitlines()
    }
    assert lines["seed"] == "child.yaml:2"
    assert lines["learning_rate"] == "argument 1"
    assert lines["steps"].endswith("base.yaml:6")
    assert lines["momentum"] == "default"


def test_a_phase_has_of_the_whole_file_what_it_does_not_say_itself(gdrun, config, tmp_path):
    config("base")
    (tmp_path / "phased.yaml").write_text("extends: base.yaml\nphases:\n- {schedule: {steps: 4}}\n- optimizer: adam\n")
    whole = gdrun("explain", "phased.yaml").out
    assert [line.split("# ")[1] for line in whole.splitlines() if "steps:" in line] == ["phased.yaml:3", "base.yaml:6"]
    rates = [line.split("# ")[1] for line in whole.splitlines() if "learning_rate:" in line]
    assert rates == ["base.yaml:5", "default"]
    shown = gdrun("explain", "phased.yaml", "phases.0.optimizer.learning_rate").out
    assert shown.startswith("phases.0.optimizer.learning_rate (kind: sgd)")
    assert "adam" not in shown
    assert "(base.yaml:5)" in shown


def test_a_key_is_explained_with_the_value_it_has(gdrun, config):
    shown = gdrun("explain", config(), "optimizer.learning_rate").out
    assert "optimizer.learning_rate (kind: sgd)" in shown
    assert "default  0.01" in shown
    assert "here     0.1  (line.yaml:5)" in shown


def test_a_bare_name_and_lr_are_found(gdrun, config):
    assert gdrun("explain", config(), "lr").out == gdrun("explain", config(), "learning_rate").out


def test_a_key_without_a_config_is_explained_for_every_kind_that_knows_it(gdrun):
    shown = gdrun("explain", "momentum").out
    assert "optimizer.momentum (kind: sgd)" in shown
    assert "optimizer.momentum (kind: rmsprop)" in shown
    assert len(shown.split("optimizer.momentum (kind: sgd)")) == 2, "and only once"


def test_allowed_words_are_listed(gdrun):
    assert "allowed  auto, xla, graph, eager" in gdrun("explain", "compile").out


def test_a_misspelt_key_is_refused_with_the_one_that_was_meant(gdrun, config):
    result = gdrun("explain", config(), "optimizer.lerning_rate")
    assert result.code == 2
    assert "did you mean 'optimizer.learning_rate'?" in result.err


@pytest.mark.parametrize("arguments", [[], ["lr=0.1"], ["a.yaml", "b.yaml"]])
def test_what_cannot_be_explained_is_refused(gdrun, config, arguments):
    assert gdrun("explain", *arguments).code == 2


def test_a_refused_config_is_told_as_by_validate(gdrun, config):
    name = config("bad", "nonsense: 1\n")
    explained, validated = gdrun("explain", name), gdrun("validate", name)
    assert (explained.code, explained.err) == (2, validated.err)


def test_formulas_lists_every_function(gdrun):
    shown = gdrun("explain", "--formulas").out
    assert all(signature in shown for _, signature, _ in describe_functions())


def test_formulas_can_be_narrowed(gdrun):
    shown = gdrun("explain", "--formulas", "cholesky").out
    assert "cholesky(" in shown
    assert "relu(" not in shown
    assert gdrun("explain", "--formulas", "no_such_function").code == 2


def test_json(gdrun, config):
    document = json.loads(gdrun("explain", config(), "--json").out)
    assert document["config"]["optimizer"]["learning_rate"] == 0.1
    assert document["origins"]["optimizer.learning_rate"] == "line.yaml:5"
    (key,) = json.loads(gdrun("explain", config(), "lr", "--json").out)["keys"]
    assert (key["path"], key["value"], key["origin"]) == (["optimizer", "learning_rate"], 0.1, "line.yaml:5")
    functions = json.loads(gdrun("explain", "--formulas", "--json").out)["functions"]
    assert len(functions) == len(describe_functions())


def test_the_comments_are_comments(gdrun, config):
    assert yaml.safe_load(gdrun("explain", config()).out)["schedule"]["steps"] == 10


OWN_NAMES = """\
data: {kind: formula, inputs: {x: "linspace(0, 1, 5)"}, target: 2 * x, scale: standardize}
model: {kind: formula, formula: a * x + b, parameters: {a: 1, b: {value: 2, trainable: false}}}
loss: half_mse
optimizer: adam
schedule: {steps: 3}
"""


@pytest.mark.parametrize(
    ("key", "shows"),
    [
        ("a", ["model.parameters.a", "here     1  (own.yaml:2)"]),
        ("x", ["data.inputs.x", 'here     "linspace(0, 1, 5)"  (own.yaml:1)']),
        ("model.parameters.b", ["here     {value: 2, trainable: false}  (own.yaml:2)"]),
        ("scale", ["here     {inputs: standardize, target: none, fit: train}  (own.yaml:1)"]),
        ("scale.inputs", ["here     standardize  (own.yaml:1)"]),
        ("loss.factor", ["here     0.5  (own.yaml:3)"]),
        ("loss.broadcast", ["here     false  (default)"]),
        ("optimizer.kind", ["here     adam  (own.yaml:4)"]),
        ("seed", ["an integer >= 0 and < 4294967296"]),
    ],
)
def test_names_of_the_configs_own_and_short_forms_are_explained_as_yaml(gdrun, tmp_path, key, shows):
    (tmp_path / "own.yaml").write_text(OWN_NAMES)
    out = gdrun("explain", "own.yaml", key).out
    assert all(text in out for text in shows), out
