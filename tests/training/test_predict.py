"""What finished runs say of other inputs: scaling taken back where it was applied, parameters as they ended."""

from __future__ import annotations

import numpy as np
import pytest

from gdrun.errors import DataError, UsageError
from gdrun.formula.name_checks import compared_with
from gdrun.formula.parse import parse
from gdrun.training.predict import evaluate, load_trained, named_examples, predict, read_examples, trained_point


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mean((T - target)**2)", {"T"}),
        ("mean((target - T)**2) + sum(q)", {"T"}),
        ("mean(squared_difference(reshape(target, [-1, 1]), T))", {"T"}),
        ("mean((T[:, 0] - target[:, 0])**2 + (u - target[:, 1])**2)", {"T", "u"}),
        ("mean((2*T - target)**2)", set()),
        ("mean(q - T)", set()),
    ],
)
def test_what_is_subtracted_from_the_target_answers_it(text, expected):
    assert compared_with("target", [parse(text)]) == expected


TWO_OUTPUTS = """
precision: float64
data: {kind: values, inputs: {x: [0.0, 1.0, 2.0]}, target: [10.0, 30.0, 50.0], scale: {target: standardize}}
define: {error: line - target}
model: {kind: formula, formula: {line: a * x + b, slope: 2 * a + 0 * x}, parameters: {a: 1.0, b: 0.0}}
loss: {kind: formula, formula: mean(error**2) + 0 * sum(slope)}
optimizer: {kind: newton}
schedule: {steps: 2}
"""


def test_only_the_output_that_answers_the_target_is_brought_back_to_its_units(lab):
    prepared = lab.prepare(TWO_OUTPUTS)
    run = lab.train(TWO_OUTPUTS)
    out = predict(prepared, run, {"x": [3.0]})
    np.testing.assert_allclose(out["line"], [70.0], rtol=1e-9)
    # In the scaled target's units, which the formulas see: 20 a unit, divided by the deviation.
    np.testing.assert_allclose(out["slope"], [2 * 20 / np.std([10, 30, 50])], rtol=1e-9)


SATURATED = """
data: {kind: values, inputs: {x: [1.0, 2.0]}, target: [1.0, 2.0]}
model:
  kind: formula
  formula: p * x
  parameters: {p: {raw: 5, transform: sigmoid}, q: {raw: 1, transform: exp, trainable: false}}
optimizer: {kind: sgd, learning_rate: 1e6}
schedule: {steps: 1}
"""


def test_a_transform_that_has_reached_its_end_can_be_loaded_again(lab):
    run = lab.train(SATURATED)
    assert run.parameters["p"] == 1.0, "sigmoid in float32 is 1 from 17 on"
    raw = run.arrays("raw.npz")
    assert raw["p"] > 17
    assert raw["q"] == 1.0
    prepared = load_trained(run)
    np.testing.assert_array_equal(predict(prepared, run, {"x": [3.0]}), np.float32(3.0))
    assert evaluate(prepared, run)["loss"] == run.info.final["loss"]


AT_THE_END = """
precision: float64
data: {kind: values, inputs: {x: [1.0, 2.0, 3.0, 4.0]}, target: [0, 0, 0, 0]}
model: {kind: formula, formula: a * x + step + 10 * epoch, parameters: {a: 0.0}}
optimizer: {kind: sgd, learning_rate: 0}
schedule: {epochs: 3, batch_size: 2}
"""


def test_predictions_see_the_step_and_the_epoch_that_the_run_ended_at(lab):
    run = lab.train(AT_THE_END)
    prepared = load_trained(run)
    moment = trained_point(prepared, run).moment
    assert (int(moment.step), int(moment.epoch)) == (6, 3)
    np.testing.assert_array_equal(predict(prepared, run, {"x": [7.0]}), [36.0])
    assert evaluate(prepared, run)["loss"] == run.info.final["loss"] == 36.0**2


PLANE = """
precision: float64
data: {kind: formula, inputs: {X: "normal(0, 1, [9, 2])", t: "normal(0, 1, 9)"}, target: "X @ [2, 3] + t"}
model: {kind: formula, formula: "X @ w + t", parameters: {w: [1.0, 1.0]}}
optimizer: newton
schedule: {steps: 2}
"""


@pytest.fixture(scope="module")
def plane(shared_lab):
    return shared_lab.prepare(PLANE), shared_lab.train(PLANE), shared_lab.folder


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ({"X": "[[5, 2]]", "t": "1"}, [17]),
        ({"X": "[5, 2]", "t": "1"}, [17]),
        ({"X": "[5, 2], [1, 1]", "t": "1, 2"}, [17, 7]),
        ({"X": "[[5, 2], [1, 1]]", "t": "0"}, [16, 5]),
        ({"X": "[1 / 2, sqrt(4)]", "t": "[1, 2]"}, [8, 9]),
    ],
)
def test_examples_are_given_by_name(plane, texts, expected):
    prepared, run, _ = plane
    np.testing.assert_allclose(predict(prepared, run, named_examples(prepared, texts)), expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"X": "[[5, 2, 1]]", "t": "1"}, "X has shape (1, 3)"),
        ({"X": "[5, 2]", "t": "a"}, "unknown name 'a'"),
        ({"y": "3"}, "there is no input 'y'"),
    ],
)
def test_values_that_are_no_examples_are_refused(plane, texts, message):
    with pytest.raises(UsageError) as caught:
        named_examples(plane[0], texts)
    assert message in caught.value.message


@pytest.mark.parametrize("header", ["X1,t,X2", "X0,t,X1"])
def test_the_columns_of_an_input_are_numbered_from_1_or_0(plane, header):
    prepared, run, folder = plane
    path = folder / "more.csv"
    path.write_text(f"{header}\n5,1,2\n1,0,1\n")
    inputs = read_examples(prepared, path, target=False).inputs
    np.testing.assert_allclose(predict(prepared, run, inputs), [17, 5], rtol=1e-9)


def test_a_column_that_is_missing_is_named(plane):
    prepared, _, folder = plane
    (folder / "more.csv").write_text("X1,X3,t\n1,2,3\n")
    with pytest.raises(DataError, match="'X2'"):
        read_examples(prepared, folder / "more.csv", target=False)
