"""Pictures of runs as data."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gdrun.errors import UsageError
from gdrun.plots import (
    columns_figure,
    gradient_norm_figure,
    learning_rate_figure,
    loss_figure,
    metrics_figure,
    norms_figure,
    parameters_figure,
    validation_figure,
)
from gdrun.plots.columns import few, named_components


def descent(rate: float = 0.1, count: int = 50) -> list[dict]:
    x = (1 - 2 * rate) ** np.arange(count)
    return [
        {"step": k, "loss": float(x[k] ** 2), "gradient_norm": abs(2 * x[k]), "learning_rate": rate,
         "parameters.x": float(x[k])}
        for k in range(count)
    ]  # fmt: skip


def test_one_run_is_its_loss_over_steps(make_run):
    figure = loss_figure(make_run(descent(), final={"loss": 0.25}))
    (series,) = figure.series
    np.testing.assert_array_equal(series.x, np.arange(50))
    np.testing.assert_allclose(series.y, 0.64 ** np.arange(50), rtol=1e-14)
    assert series.label == ""
    assert figure.y.scale == "log"
    assert figure.title == "line: loss"
    assert figure.subtitle == "49 steps, final loss 0.25"


def test_batches_stay_behind_the_mean_of_their_epochs_and_the_validation_loss(make_run):
    rows = [{"step": k, "loss": 1 / (k + 1)} for k in range(9)]
    for k in (2, 4, 6, 8):
        rows[k] |= {"loss_epoch": 2 / k, "validation_loss": 3 / k}
    batches, epochs, validation = loss_figure(make_run(rows)).series
    assert (batches.weight, epochs.weight, validation.weight) == ("faint", "strong", "strong")
    np.testing.assert_array_equal(epochs.x, [2, 4, 6, 8])
    np.testing.assert_allclose(validation.y, [1.5, 0.75, 0.5, 0.375])
    assert validation.label == "validation"


def test_x_can_be_epochs(make_run):
    figure = loss_figure(make_run(descent(), extra={"steps_per_epoch": 4}), x="epoch")
    np.testing.assert_allclose(figure.series[0].x, np.arange(50) / 4)
    assert figure.x.label == "epoch"
    with pytest.raises(UsageError, match="how many steps"):
        loss_figure(make_run(descent()), x="epoch")


def test_several_runs_are_told_apart_by_what_differs(make_run):
    runs = [make_run(descent(rate), config=f"optimizer: {{kind: sgd, learning_rate: {rate}}}\n") for rate in (0.1, 0.2)]
    figure = loss_figure(runs)
    assert [series.label for series in figure.series] == ["lr 0.1", "lr 0.2"]
    same = [make_run(descent()), make_run(descent())]
    labels = [series.label for series in loss_figure(same).series]
    assert labels == [f"line ({run.id[-4:]})" for run in same]
    other = [make_run(descent()), make_run(descent(), name="other", config="a: 1\n" * 1)]
    assert len({series.label for series in loss_figure(other).series}) == 2


def test_many_runs_are_graded(make_run):
    runs = [make_run(descent(), config=f"optimizer: {{learning_rate: 0.{k}}}\n") for k in range(1, 10)]
    assert loss_figure(runs).graded


def test_divergence_is_a_cross_at_its_step(make_run):
    rows = [{"step": k, "loss": 9.0**k} for k in range(5)] + [{"step": 5, "loss": math.inf}]
    figure = loss_figure(make_run(rows, status="diverged", diverged={"step": 5, "quantity": "loss"}))
    (mark,) = figure.marks
    assert (mark.kind, mark.x, mark.y) == ("diverged", 5.0, None)
    assert "diverged at step 5" in figure.subtitle
    assert math.isinf(figure.series[0].y[-1])


def test_the_best_validation_loss_is_marked(make_run):
    rows = [{"step": k, "loss": 1.0, "validation_loss": abs(k - 3) + 1.0} for k in range(6)]
    figure = loss_figure(make_run(rows, best={"metric": "validation_loss", "step": 3, "value": 1.0}))
    assert [(mark.kind, mark.x, mark.y) for mark in figure.marks] == [("best", 3.0, 1.0)]


def test_zeros_on_a_log_axis_are_marked_and_told(make_run):
    rows = [{"step": k, "loss": 10.0**-k} for k in range(6)] + [{"step": 6, "loss": 0.0}]
    figure = loss_figure(make_run(rows))
    assert figure.y.scale == "log"
    assert [(mark.kind, mark.x, mark.y) for mark in figure.marks] == [("zero", 6.0, None)]
    assert any("▽ is 0" in note for note in figure.notes)


def test_a_run_without_rows_or_columns_is_refused_with_what_there_is(make_run):
    with pytest.raises(UsageError, match="no row"):
        loss_figure(make_run([]))
    run = make_run([{"step": 0, "loss": 1.0}])
    with pytest.raises(UsageError, match="recorded no validation_loss") as caught:
        validation_figure(run)
    assert caught.value.hint == "it recorded: loss"
    with pytest.raises(UsageError, match="no metrics"):
        metrics_figure(run)
    with pytest.raises(UsageError, match="no parameters"):
        parameters_figure(run)


def test_of_several_runs_those_without_rows_are_left_out(make_run):
    assert len(loss_figure([make_run([]), make_run(descent())]).series) == 1


def test_only_nan_and_one_point_are_drawn_as_they_are(make_run):
    figure = loss_figure(make_run([{"step": k, "loss": math.nan} for k in range(3)]))
    assert "no value is finite" in figure.notes
    (series,) = loss_figure(make_run([{"step": 0, "loss": 2.0}])).series
    assert series.style == "both"


def test_rates_and_norms_have_pictures_of_their_own(make_run):
    run = make_run(descent(0.2))
    np.testing.assert_allclose(learning_rate_figure(run).series[0].y, 0.2)
    np.testing.assert_allclose(gradient_norm_figure(run).series[0].y, 2 * 0.6 ** np.arange(50))


def test_complex_and_array_parameters_are_drawn_by_component(make_run):
    rows = [
        {"step": k, "loss": 1.0, "parameters.c": complex(k, -k), "parameters.W": [[k, 2 * k], [3 * k, 4 * k]]}
        for k in range(4)
    ]
    run = make_run(rows)
    figure = parameters_figure(run)
    names = ["c.re", "c.im", "W[0,0]", "W[0,1]", "W[1,0]", "W[1,1]"]
    assert [series.label for series in figure.series] == names
    np.testing.assert_array_equal(figure.series[1].y, [0, -1, -2, -3])
    np.testing.assert_array_equal(figure.series[4].y, [0, 3, 6, 9])
    (only,) = columns_figure(run, ["W[1,0]"]).series
    np.testing.assert_array_equal(only.y, [0, 3, 6, 9])


def test_of_many_numbers_a_few_are_drawn_and_the_note_says_so(make_run):
    rows = [{"step": k, "loss": 1.0, "parameters.W": list(range(30)), "parameters.b": 1.0} for k in range(3)]
    figure = parameters_figure(make_run(rows))
    assert len(figure.series) == 7
    assert "b" in [series.label for series in figure.series]
    assert figure.notes == ("7 of 31 numbers are drawn",)


def test_columns_are_found_by_what_people_call_them_and_misspelt_ones_suggested(make_run):
    run = make_run(descent())
    assert [part.label for part in named_components(run, ["x", "loss"])] == ["x", "loss"]
    assert named_components(run, ["parameters.x"])[0].label == "x"
    with pytest.raises(UsageError, match="no column 'gradient_nrm'") as caught:
        named_components(run, ["gradient_nrm"])
    assert caught.value.hint == "did you mean 'gradient_norm'?"
    with pytest.raises(UsageError, match="no component"):
        named_components(run, ["x[7]"])


def test_few_takes_from_every_column_in_turn(make_run):
    run = make_run([{"step": 0, "parameters.a": [1, 2, 3], "parameters.b": [4, 5, 6]}])
    groups = [named_components(run, ["a"]), named_components(run, ["b"])]
    assert [part.label for part in few(groups, 3)] == ["a[0]", "a[1]", "b[0]"]


def test_a_config_that_cannot_be_read_costs_only_the_labels(make_run):
    runs = [make_run(descent(), config="{[broken"), make_run(descent(), name="b")]
    assert [series.label for series in loss_figure(runs).series] == ["line", "b"]


def seeded(make_run, seed, losses, **fields):
    config = f"optimizer: {{kind: sgd, learning_rate: 0.1}}\nseed: {seed}\n"
    return make_run([{"step": step, "loss": loss} for step, loss in enumerate(losses)], config=config, **fields)


def test_runs_that_differ_in_the_seed_alone_are_a_line_with_a_band(make_run):
    losses = np.random.default_rng(1).uniform(1, 2, size=(5, 9))
    runs = [seeded(make_run, seed, row) for seed, row in enumerate(losses.tolist())]
    (series,) = loss_figure(runs).series
    for line, share in ((series.lower, 0.25), (series.y, 0.5), (series.upper, 0.75)):
        np.testing.assert_array_equal(line, np.quantile(losses, share, axis=0))
    assert series.label == "5 seeds"
    assert len(loss_figure(runs[:2]).series) == 2
    assert len(loss_figure(runs, band=None).series) == 5
    other = make_run(descent(), config="optimizer: {kind: sgd, learning_rate: 0.2}\nseed: 0\n")
    assert [series.label for series in loss_figure([*runs, other]).series] == ["lr 0.1 (5 seeds)", "lr 0.2"]


def test_a_run_that_stopped_keeps_its_loss_and_one_that_goes_on_ends_the_band(make_run):
    runs = [seeded(make_run, seed, [4.0, 3.0, 2.0, 1.0]) for seed in (0, 1)]
    stopped = [seeded(make_run, seed, [4.0, 0.5], status="stopped") for seed in (2, 3, 4)]
    (series,) = loss_figure([*runs, *stopped]).series
    assert series.y.tolist() == [4.0, 0.5, 0.5, 0.5]
    (series,) = loss_figure([*runs, stopped[0]]).series
    assert series.y.tolist() == [4.0, 3.0, 2.0, 1.0]
    (series,) = loss_figure([*runs, seeded(make_run, 5, [4.0, 0.5], status="interrupted")]).series
    assert series.x.tolist() == [0.0, 1.0]
    (series,) = loss_figure([*runs, seeded(make_run, 6, [4.0, 9.0], status="diverged")]).series
    assert series.label == "3 seeds, 1 diverged"
    assert series.y.tolist() == [4.0, 3.0, 2.0, 1.0]


def test_norms_have_a_strong_line_for_gradients_and_a_pale_one_for_weights(make_run):
    names = [f"dense{layer}" for layer in range(1, 13)]
    rows = [
        {"step": step, "loss": 1.0}
        | {f"gradient_norms.{name}": 0.5**step for name in names}
        | {f"weight_norms.{name}": 3.0 + step for name in names}
        for step in range(4)
    ]
    figure = norms_figure(make_run(rows))
    gradient, weights = figure.series[:2]
    assert (gradient.label, gradient.weight, gradient.y.tolist()) == (
        "dense1 gradient",
        "strong",
        [1, 0.5, 0.25, 0.125],
    )
    assert (weights.label, weights.weight, weights.y.tolist()) == ("dense1 weights", "faint", [3, 4, 5, 6])
    assert "7 of 12 layers are drawn" in figure.notes
    assert figure.series[-1].label == "dense12 weights"
    with pytest.raises(UsageError, match="recorded no norms") as error:
        norms_figure(make_run(descent()))
    assert "norms: true" in str(error.value.hint)
