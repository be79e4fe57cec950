"""What finished runs say of other inputs: scaling taken back where it was applied, parameters as they ended."""

from __future__ import annotations

import numpy as np
import pytest

from gdrun.formula.names import compared_with
from gdrun.formula.parse import parse
from gdrun.training.predict import evaluate, final_moment, load_trained, predict


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
    moment = final_moment(prepared, run)
    assert (int(moment.step), int(moment.epoch)) == (6, 3)
    np.testing.assert_array_equal(predict(prepared, run, {"x": [7.0]}), [36.0])
    assert evaluate(prepared, run)["loss"] == run.info.final["loss"] == 36.0**2
