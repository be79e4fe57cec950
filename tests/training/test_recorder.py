"""What a run's record says at its end, where the end is not the schedule's last step."""

from __future__ import annotations

import numpy as np
import pytest

import gdrun
from gdrun.training.signals import Abandoned, StopRequests

LINE = """
precision: float64
data: {kind: values, inputs: {x: [1.0, 2.0, 3.0]}, target: [2.0, 4.0, 6.5]}
model: {kind: formula, formula: a * x, parameters: {a: 0.0}}
optimizer: {kind: sgd, learning_rate: 0.02}
schedule: SCHEDULE
"""
X, Y = np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.5])


def loss(a: float) -> float:
    return float(np.mean((a * X - Y) ** 2))


def test_a_formula_for_the_rate_is_not_asked_for_steps_beyond_the_end(lab):
    schedule = '{steps: 20, learning_rate_factor: {kind: formula, formula: "sqrt(20 - step)"}}'
    run = lab.train(LINE.replace("SCHEDULE", schedule), ["record.every=1"])
    assert run.status == "completed"
    np.testing.assert_allclose(run.metrics["learning_rate"], 0.02 * np.sqrt(20.0 - np.arange(21)), rtol=1e-12)


def test_the_final_loss_is_that_of_the_restored_best_parameters(lab):
    schedule = "{epochs: 30, stop: {patience: {epochs: 3, metric: loss_epoch, restore_best: true}}}"
    schedule = schedule.replace("epochs: 30,", "epochs: 30, batch_size: 1,")
    # The second half of the steps is so long that the loss grows.
    more = ["schedule.learning_rate_factor={kind: piecewise, boundaries: [9], factors: [1, 12]}"]
    run = lab.train(LINE.replace("SCHEDULE", schedule), more)
    assert run.status == "stopped"
    a = float(run.parameters["a"])
    assert run.info.best["step"] < run.info.steps
    np.testing.assert_allclose(run.info.final["loss"], loss(a), rtol=1e-12)
    # What the last row says is about other parameters.
    assert a != float(run.metrics["parameters.a"][-1])
    assert not {"gradient_norm", "learning_rate"} & run.info.final.keys()


def test_a_diverged_runs_last_batch_does_not_pass_for_the_whole_training_set(lab):
    run = lab.train(LINE.replace("SCHEDULE", "{epochs: 200, batch_size: 1, order: sequential}"), ["lr=5"])
    assert run.status == "diverged"
    assert "loss" not in run.info.final
    assert "batch_loss" in run.info.final


def test_a_diverged_run_on_full_batches_has_its_loss(lab):
    run = lab.train(LINE.replace("SCHEDULE", "{steps: 2000}"), ["lr=5"])
    assert run.status == "diverged"
    assert "batch_loss" not in run.info.final
    assert "loss" in run.info.final


def test_a_run_whose_chunk_was_abandoned_has_a_row_of_its_last_state(lab, monkeypatch):
    seen = []

    def call(self, function, *arguments):
        # The chunk after the second one is still running when the patience with it ends.
        if len(seen) == 4:
            self.signal = 2
            raise Abandoned
        seen.append(function)
        return function(*arguments)

    monkeypatch.setattr(StopRequests, "call", call)
    run = lab.train(LINE.replace("SCHEDULE", "{steps: 2000000000}"), ["record.every=1000000000", "lr=1e-6"])
    assert run.status == "interrupted"
    steps = run.info.steps
    assert 0 < steps < 2000000000
    assert run.metrics["step"].tolist() == [0, steps]
    assert run.metrics["parameters.a"][-1] == run.parameters["a"]
    np.testing.assert_allclose(run.metrics["loss"][-1], loss(float(run.parameters["a"])), rtol=1e-12)


def test_a_config_of_the_gallery_is_kept_under_a_name_that_readers_know(tmp_path):
    run = gdrun.train("gallery:pi", ["compile=graph"], runs_dir=tmp_path)
    assert [path.name for path in (run.directory / "source").glob("*.yaml")] == ["gallery_pi.yaml"]
    assert "optimizer.learning_rate" in gdrun.describe_run(run)["written"]


COUNTED = """
precision: float64
data: {kind: formula, inputs: {x: "linspace(-1, 1, 40)"}, target: x**3, validation: {last: 8}}
model: {kind: formula, formula: a * x + b, parameters: {a: 0, b: 0}}
metrics: [mae]
optimizer: {kind: sgd, learning_rate: 0.02}
schedule: {epochs: 10, batch_size: 5, order: shuffled}
record: {every: 20}
"""


def assert_validated_at_each_row(columns):
    assert columns["step"].tolist() == [0, 20, 40, 60, 70]
    x = np.linspace(-1, 1, 40)
    for name, part in (("mae", x[:32]), ("validation_mae", x[32:])):
        errors = np.outer(columns["parameters.a"], part) + columns["parameters.b"][:, None] - part**3
        np.testing.assert_allclose(columns[name], np.abs(errors).mean(axis=1), rtol=1e-12)


@pytest.mark.parametrize("compile", ["xla", "graph", "eager"])
def test_a_number_of_steps_has_rows_and_validation_at_these_steps_alone(lab, compile):
    """7 updates an epoch, so that no row but the first and the last ends one."""
    assert_validated_at_each_row(lab.train(COUNTED, [f"compile={compile}"]).metrics)


def test_trials_of_a_sweep_have_the_rows_and_the_validation_of_a_number_of_steps(lab):
    from gdrun.sweeping.run import sweep

    path = lab.folder / "counted.yaml"
    path.write_text(COUNTED)
    swept = sweep(str(path), ["lr=0.02,0.05", "record.parameters=true", "compile=graph"], runs_dir=lab.runs)
    for trial in range(2):
        curves = {name: values if name == "step" else values[trial] for name, values in swept.curves.items()}
        assert_validated_at_each_row(curves)
