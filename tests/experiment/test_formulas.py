"""The list of an experiment's formulas: each is there once, with the time at which it is evaluated. No TensorFlow."""

from __future__ import annotations

from gdrun.experiment.formulas import loop_formulas, uses
from gdrun.experiment.loading import load_config

EVERY = b"""
constants: {c: 2, d: c + 1}
data:
  kind: formula
  inputs: {x: "linspace(0, 1, 4)"}
  target: 2 * x
  noise: normal(0, 0.1)
  example_weights: 1 + x
define:
  twice: 2 * x
  loop: {start: x, repeat: loop + step_size, times: 3, define: {step_size: 0.1 * i}}
model: {kind: formula, formula: a * twice, parameters: {a: c / 2, b: {raw: 0.5, transform: exp}}}
loss: {kind: formula, formula: mean(example_weights * (prediction - target)**2) + 0 * b * loop}
metrics: [mae, {name: bias, formula: mean(prediction - target)}]
gradients: {of: {a: 2 * a}, use: USE}
optimizer:
  kind: formula
  learning_rate: 0.1
  state: {v: 0 * parameter}
  update: {v: gradient, parameter: parameter - learning_rate * v}
schedule:
  steps: 3
  learning_rate_factor: {kind: formula, formula: 1 / (1 + step)}
  stop: {formula: a > 100}
record: {formulas: {square: a**2}, after: {cube: a**3}}
"""
STARTS = {"constants.c", "constants.d", "data.inputs.x", "data.target", "data.noise", "data.example_weights"}
STARTS |= {"model.parameters.a.value", "model.parameters.b.raw", "optimizer.state.v"}
LOOPS = {"define.twice", "define.loop.start", "define.loop.repeat", "define.loop.define.step_size", "model.formula"}
LOOPS |= {"loss.formula", "metrics.1.formula", "optimizer.update.v", "optimizer.update.parameter"}
LOOPS |= {"schedule.stop.formula", "record.formulas.square", "record.after.cube"}


def phases(use: bytes) -> dict[str, str]:
    every = list(uses(load_config(EVERY.replace(b"USE", use)).experiment))
    assert len({item.path for item in every}) == len(every)
    return {".".join(map(str, item.path)): item.phase for item in every}


def test_every_formula_is_listed_with_the_time_at_which_it_is_evaluated():
    expected = dict.fromkeys(STARTS, "start") | dict.fromkeys(LOOPS, "loop")
    expected |= {"schedule.learning_rate_factor.formula": "schedule", "gradients.of.a": "loop"}
    assert phases(b"true") == expected


def test_gradients_that_training_does_not_use_are_no_part_of_the_loop():
    assert phases(b"false")["gradients.of.a"] == "check"
    formulas = list(loop_formulas(load_config(EVERY.replace(b"USE", b"false")).experiment))
    assert "2 * a" not in formulas
    assert "a**2" in formulas
