"""The commands that train, for real: what only TensorFlow itself can show."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from gdrun.cli.init import KINDS
from gdrun.rundir.run import Run

pytestmark = pytest.mark.usefixtures("tensorflow")

MORE = "expect: {{rtol: 0.1, parameters: {{a: 2}}, predictions: {{{name}: [5, 0], value: [10, 0]}}}}\n"


def test_train_leaves_a_run_directory_that_trains_again_to_the_same_bits(gdrun, config):
    first = gdrun("train", config(), "steps=300").out.strip()
    second = gdrun("train", first).out.strip()
    assert Run(first).parameters == Run(second).parameters
    assert Run(first).parameters["a"] == pytest.approx(2)
    assert (Path(first) / "metrics.jsonl").read_bytes() == (Path(second) / "metrics.jsonl").read_bytes()


def test_a_run_that_blows_up_is_exit_3_and_says_what_and_when(gdrun, config):
    result = gdrun("train", config(), "lr=1000", "steps=1000")
    assert result.code == 3
    assert "line diverged:" in result.err
    assert "step" in result.err
    record = Run(result.out.strip()).info
    assert record.diverged is not None
    assert record.diverged["step"] > 0


def test_check_update_proposes_what_check_then_accepts(gdrun, config, tmp_path):
    proposed = gdrun("check", config(), "--update").out
    assert yaml.safe_load(proposed)["expect"].keys() == {"status", "steps", "loss", "parameters"}
    assert gdrun("check", config("again", proposed), "name=again").code == 0


def test_predictions_are_checked_on_the_trained_model(gdrun, config):
    assert gdrun("check", config("a", MORE.format(name="x")), "steps=300").code == 0
    result = gdrun("check", config("b", MORE.format(name="x")), "steps=1")
    assert result.code == 4
    assert "predictions: expected [10, 0] (rtol 0.1)" in result.err


def test_predictions_in_a_file_print_its_path(gdrun, config):
    run = gdrun("train", config(), "steps=3").out.strip()
    assert gdrun("predict", run, "-o", "p.csv").out == "p.csv\n"
    assert Path("p.csv").read_text().startswith("prediction\n")


LABELLED = """\
data: {{kind: csv, path: pets.csv, inputs: [x], target: pet, classes: 2}}
model: {{kind: formula, formula: "stack([w * x, x - 3], axis=1)", parameters: {{w: 2}}}}
loss: mse
optimizer: {{kind: sgd, learning_rate: 0}}
schedule: {{steps: 1}}
"""


def test_columns_of_a_classifier_have_its_labels(gdrun, config):
    Path("pets.csv").write_text("x,pet\n1,dog\n2,cat\n")
    run = gdrun("train", config(text=LABELLED)).out.strip()
    assert gdrun("predict", run, "x=10,5").out == "prediction.cat,prediction.dog\n20.0,7.0\n10.0,2.0\n"


SOFTMAX = """\
precision: float64
define: {{h: {{start: W, repeat: "softmax(h * W, axis=0)", times: 11}}}}
model: {{kind: formula, formula: "sum(h[0])", parameters: {{W: [[1, 2], [3, 4]]}}}}
optimizer: {{kind: sgd, learning_rate: 0.01}}
schedule: {{steps: 3}}
"""


def test_what_xla_refuses_while_it_compiles_is_an_error_with_its_mend_and_stops_no_other(gdrun, config):
    result = gdrun("train", config("soft", text=SOFTMAX), config())
    assert result.code == 2
    assert "XLA cannot compile this config" in result.err
    assert "bug in gdrun" not in result.err
    assert "line completed" in result.err
    assert gdrun("train", "soft.yaml", "compile=graph").code == 0


def test_predictions_of_inputs_that_the_model_does_not_have_are_refused(gdrun, config):
    result = gdrun("check", config("a", MORE.format(name="z")))
    assert result.code == 2
    assert "a.yaml:7" in result.err


def test_a_dry_run_shows_parameters_memory_and_steps_and_runs_nothing(gdrun, config):
    result = gdrun("train", config(), "--dry-run")
    assert result.code == 0
    assert not Path("runs").exists()
    (plan,) = json.loads(gdrun("train", config(), "--dry-run", "--json").out)["plans"]
    assert plan["parameters"] == [{"name": "a", "shape": [], "size": 1, "trained": True}]
    assert (plan["steps"], plan["num_examples"], plan["data_bytes"]) == (10, 5, 2 * 5 * 8)


def test_a_dry_run_counts_the_epochs_of_each_phase(gdrun, config):
    phases = "phases=[{schedule: {steps: 4, batch_size: 2}}, {schedule: {steps: 6, batch_size: 5}}]"
    (plan,) = json.loads(gdrun("train", config(), phases, "--dry-run", "--json").out)["plans"]
    # Five examples: three updates an epoch, of which the second is begun, then one.
    assert (plan["steps"], plan["epochs"], plan["steps_per_epoch"]) == (10, 8, [3, 1])
    assert "10 (3, then 1 step an epoch)" in gdrun("train", config(), phases, "--dry-run").err


def test_a_smoke_run_takes_a_few_steps_and_keeps_nothing(gdrun, config):
    result = gdrun("train", config(), "steps=1000000", "--smoke")
    assert result.code == 0
    assert "smoke" in result.err
    assert not Path("runs").exists()


def test_every_starter_meets_its_expectations_as_it_is(gdrun):
    for kind in KINDS:
        gdrun("init", kind)
    result = gdrun("check", *(f"{kind}.yaml" for kind in KINDS))
    assert result.code == 0, result.err


def test_predictions_are_written_with_their_shapes(gdrun, config, tmp_path):
    gdrun("train", config())
    result = gdrun("predict", "latest", "x=1,2,3", "-o", str(tmp_path / "out.npz"))
    assert result.out.strip() == str(tmp_path / "out.npz")
    expected = np.load(tmp_path / "out.npz")["prediction"]
    assert expected.shape == (3,)
    gdrun("predict", "latest", "x=1,2,3", "-o", str(tmp_path / "out.json"))
    np.testing.assert_array_equal(
        json.loads((tmp_path / "out.json").read_text())["predictions"]["prediction"], expected
    )
    assert gdrun("predict", "latest", "x=1,2", "-o", str(tmp_path / "out.txt")).code == 2
