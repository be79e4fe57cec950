"""The table of a sweep's trials."""

from __future__ import annotations

import numpy as np
import pytest

from gdrun.errors import ConfigError, Problem, UsageError
from gdrun.experiment.loading import load_config
from gdrun.sweeping.plan import plan_trials
from gdrun.sweeping.trials import SweepSpec, representatives
from tests.experiment.texts import LINE, line, marked


def plan(*arguments: str, text: str = LINE, **options):
    return plan_trials(text.encode(), arguments, **options)


def rows(spec):
    return [spec.values(trial) for trial in range(len(spec))]


def refused(*arguments: str, text: str = LINE, **options) -> list[Problem]:
    with pytest.raises(ConfigError) as caught:
        plan(*arguments, text=text, **options)
    return list(caught.value.problems)


def swept(block: str) -> str:
    return LINE + f"sweep: {block}\n"


def test_axes_make_a_grid_the_first_one_slowest():
    spec = plan("lr=0.1,0.2", "seed=range:0:3")
    assert [axis.key for axis in spec.axes] == ["optimizer.learning_rate", "seed"]
    assert rows(spec) == [(0.1, 0), (0.1, 1), (0.1, 2), (0.2, 0), (0.2, 1), (0.2, 2)]


def test_columns_are_the_table_turned():
    spec = plan(text=swept("{over: {lr: [0.1, 0.2], seed: [3, 4]}, zip: {a: [1, 2, 3], schedule.steps: [7, 8, 9]}}"))
    assert len(spec) == 12
    table = rows(spec)
    for axis in range(4):
        assert spec.column(axis).tolist() == [row[axis] for row in table]
    assert {(row[2], row[3]) for row in table} == {(1, 7), (2, 8), (3, 9)}


def test_a_trial_is_the_base_with_its_values():
    spec = plan("lr=0.1,0.2", "a=[1,2,3],[4,5,6]", "steps=7")
    one = spec.load(3).experiment
    assert one.optimizer.learning_rate == 0.2
    assert one.model.parameters["a"].value == (4, 5, 6)
    assert one.schedule.steps == 7
    assert spec.load(3).overrides == ("steps=7", "optimizer.learning_rate=0.2", "model.parameters.a=[4, 5, 6]")
    assert one == load_config(LINE.encode(), spec.load(3).overrides).experiment


def test_a_trial_neither_sweeps_nor_expects():
    text = swept("{over: {lr: [0.1, 0.2]}}") + "expect: {steps: 10}\n"
    one = plan(text=text).load(0).experiment
    assert not {"sweep", "expect"} & one.model_fields_set


def test_one_value_is_a_plain_override():
    spec = plan("lr=0.1,0.2", "momentum=0.5")
    assert [axis.key for axis in spec.axes] == ["optimizer.learning_rate"]
    assert spec.base.experiment.optimizer.momentum == 0.5


def test_without_an_axis_the_rate_goes_from_a_thirtieth_to_thirty_times():
    spec = plan()
    rates = spec.column(0)
    assert len(spec) == 61
    np.testing.assert_allclose(rates[[0, 30, 60]], [0.1 / 30, 0.1, 3.0], rtol=1e-15)
    np.testing.assert_allclose(np.diff(np.log(rates)), np.log(900) / 60, rtol=1e-9)


def test_without_an_axis_and_without_a_rate_it_says_so():
    with pytest.raises(UsageError, match="levenberg_marquardt has no learning rate"):
        plan(text=line(optimizer="levenberg_marquardt"))
    with pytest.raises(UsageError, match="learning rate is 0"):
        plan("lr=0")


def test_axes_of_the_command_line_take_the_place_of_the_files():
    text = swept("{over: {lr: [0.1, 0.2], seed: [3, 4]}}")
    assert [axis.key for axis in plan("steps=5,6", text=text).axes] == ["schedule.steps"]


def test_a_value_of_the_command_line_fixes_an_axis_of_the_file():
    text = swept("{over: {lr: [0.1, 0.2], seed: [3, 4]}}")
    spec = plan("lr=0.7", text=text)
    assert [axis.key for axis in spec.axes] == ["seed"]
    assert spec.load(1).experiment.optimizer.learning_rate == 0.7


def test_a_kind_keeps_what_both_know_and_a_mapping_replaces_its_section():
    base = line(optimizer="{kind: sgd, learning_rate: 0.3, momentum: 0.9}")
    kinds = plan("optimizer.kind=sgd,adam", text=base)
    assert [kinds.load(trial).experiment.optimizer.learning_rate for trial in (0, 1)] == [0.3, 0.3]
    whole = plan("optimizer={kind: sgd, nesterov: true},adam", text=base)
    first, second = (whole.load(trial).experiment.optimizer for trial in (0, 1))
    assert (first.learning_rate, first.momentum, first.nesterov) == (0.01, 0.0, True)
    assert (second.kind, second.learning_rate) == ("adam", 0.001)


def test_an_axis_can_be_of_a_kind_that_another_axis_brings_in():
    spec = plan("optimizer.kind=adam,lamb", "beta_1=0.8,0.9")
    assert spec.load(3).experiment.optimizer.beta_1 == 0.9
    (problem,) = refused("optimizer.kind=adam,sgd", "beta_1=0.8,0.9")
    assert problem.message.startswith("trial 2: unknown key 'beta_1' in optimizer (kind: sgd)")


def test_samples_are_drawn_jointly_for_each_point_of_the_grid():
    spec = plan("lr=loguniform:1e-4:1", "seed=range:0:3", "a=uniform:0:1", trials=5)
    assert len(spec) == 15
    points = [(row[0], row[2]) for row in rows(spec)]
    assert len(set(points)) == 5
    assert all(points.count(point) == 3 for point in points)


def test_samples_follow_from_the_seed_and_more_of_them_begin_alike():
    few, many, other = (
        plan("lr=uniform:0:1", "a=uniform:0:1", trials=5),
        plan("lr=uniform:0:1", "a=uniform:0:1", trials=9),
        plan("lr=uniform:0:1", "a=uniform:0:1", "seed=1", trials=5),
    )
    assert rows(few) == rows(many)[:5]
    assert rows(few) != rows(other)


def test_a_distribution_without_a_number_of_trials_is_refused():
    (problem,) = refused("lr=uniform:0:1")
    assert "how many" in problem.message
    assert marked(problem) == "uniform:0:1"


def test_trials_without_a_distribution_are_refused():
    with pytest.raises(UsageError, match="every space is a list"):
        plan("lr=0.1,0.2", trials=5)


@pytest.mark.parametrize(
    ("arguments", "message", "mark"),
    [
        (["lr=0.1,-1"], "trial 1: must be at least 0, got -1", "-1"),
        (["lr=0.1,-1", "seed=0,1,2"], "trial 3: must be at least 0, got -1", "-1"),
        (["lr=0.1,x"], "trial 1: expected a number, got the text 'x'", "x"),
        (["lr=lin:-1:1:1000"], "must be at least 0, got -1", "lin:-1:1:1000"),
        (["seed=0,0.5"], "trial 1: expected an integer, got 0.5", "0.5"),
        (["optimizer.kind=sgd,sdg"], "trial 1: unknown kind 'sdg' of optimizer", "sdg"),
        (["loss=mse,{kind: formula}"], "trial 1: 'formula' is missing in loss (kind: formula)", "{"),
        (["model.formula=a * x,a * y"], "trial 1: unknown name 'y'", "y"),
        (["lr=0.1,0.1"], "trial 1: 0.1 is here twice", "0.1"),
        (["lrr=0.1,0.2"], "there is no setting 'lrr'", "lrr"),
        (["optimizer.momentm=0.1,0.2"], "unknown key 'momentm' in optimizer (kind: sgd)", "momentm"),
        (["lr=0.1,0.2", "learning_rate=0.3,0.4"], "swept twice", "learning_rate"),
        (["name=a,b"], "name cannot be swept", "name"),
        (["lr=lin:0:1:100000000"], "100,000,000 trials", "lr"),
        (["lr=lin:0:1:2000", "seed=range:0:2000"], "4,000,000 trials", "lr"),
        (["lr=0.1,[1"], "never closed", "["),
        (["lr"], "KEY=SPACE", "lr"),
    ],
)
def test_what_cannot_be_swept_is_refused_at_its_place_before_anything_runs(arguments, message, mark):
    (problem,) = refused(*arguments)
    assert message in problem.message
    assert marked(problem).startswith(mark)


def test_a_list_where_values_are_meant_gets_a_hint():
    (problem,) = refused("lr=[0.1,0.2]")
    assert problem.message == "expected a number, got a list"
    assert problem.hint == "several values are parted by commas, without brackets around them"


def test_all_mistakes_of_a_space_are_told_at_once():
    assert len(refused("lr=-1,0.1,-2", "seed=0,-3")) == 3


def test_a_mistake_in_a_file_has_its_line():
    (problem,) = refused(text=swept("{over: {lr: [0.1, -1]}}"))
    assert problem.place.line == 6
    assert marked(problem) == "-1"


def test_of_a_hundred_thousand_rates_few_are_loaded(monkeypatch):
    loaded, load = [], SweepSpec.load
    monkeypatch.setattr(SweepSpec, "load", lambda spec, trial: loaded.append(trial) or load(spec, trial))
    spec = plan("lr=log:1e-5:1:100000")
    assert len(set(spec.column(0).tolist())) == 100_000
    assert sorted(loaded) == [0, 99_999]


def test_a_list_of_values_from_python_is_a_space():
    spec = plan_trials(LINE.encode(), {"lr": np.array([0.1, 0.2]), "a": [[1, 2, 3]], "seed": 4})
    assert spec.column(0).tolist() == [0.1, 0.2]
    assert spec.base.experiment.seed == 4
    assert spec.base.experiment.model.parameters["a"].value == (1, 2, 3)


def test_more_listed_values_than_a_config_can_hold_are_refused():
    with pytest.raises(ConfigError, match="at most 20,000"):
        plan_trials(LINE.encode(), {"lr": np.linspace(0.1, 1, 30_000)})


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["lr=log:1e-5:1:77"],
        ["optimizer=sgd,adam,{kind: sgd, momentum: 0.5}", "a=[1,2,3],[4,5,6]"],
        ["optimizer.kind=sgd,adam"],
        ["loss=mse,null", "clipnorm=null,1"],
    ],
)
def test_the_config_on_record_gives_the_same_trials(arguments):
    spec = plan(*arguments, text=line(optimizer="{kind: sgd}") if "optimizer.kind=sgd,adam" in arguments else LINE)
    again = plan_trials(spec.config_text().encode())
    assert again.text() == spec.text()
    assert again.config_text() == spec.config_text()
    assert rows(again) == rows(spec)
    for trial in range(len(spec)):
        assert again.load(trial).experiment == spec.load(trial).experiment


def test_drawn_trials_are_the_same_from_the_config_on_record():
    spec = plan("lr=loguniform:1e-5:1", "seed=0,1", trials=7)
    assert rows(plan_trials(spec.config_text().encode())) == rows(spec)


def test_configs_that_differ_in_kind_or_have_an_extreme_value_are_checked_whole():
    spec = plan("loss=mse,mae", "lr=lin:0:1:1000", "optimizer.kind=sgd,adam")
    chosen = representatives(spec)
    combinations = {(values[0], values[2]) for values in map(spec.values, chosen)}
    assert combinations == {(loss, kind) for loss in ("mse", "mae") for kind in ("sgd", "adam")}
    assert {spec.values(trial)[1] for trial in chosen} >= {0.0, 1.0}
    assert len(chosen) < 10


def test_a_search_has_axes_and_a_number_of_trials_but_no_table_yet():
    spec = plan("lr=loguniform:1e-4:1", "optimizer.kind=sgd,adam", search="tpe", trials=20)
    assert (len(spec), spec.blocks, spec.search.kind) == (20, (), "tpe")
    asked = spec.with_rows([(0.01, "adam"), (0.5, "sgd")])
    assert asked.load(1).experiment.optimizer.learning_rate == 0.5
    assert asked.column(1).tolist() == ["adam", "sgd"]


def test_a_search_can_be_turned_off_and_its_spaces_are_checked():
    text = swept("{over: {lr: [0.1, 0.2]}, search: tpe}")
    assert len(plan(text=text, search="none")) == 2
    assert "must be at least 0" in refused("lr=uniform:-1:1", search="tpe")[0].message
    assert "expected one of tpe" in refused(search="tpa")[0].message


def test_trials_are_ranked_by_a_metric_that_is_computed():
    text = line(metrics="[mae, r2]")
    assert not plan(text=text).maximize
    assert plan(text=text, metric="r2").maximize
    assert plan(text=text, metric="mae", maximize=True).maximize
    (problem,) = refused(text=text, metric="accuracy")
    assert problem.message == "the metric 'accuracy' is not computed"


def test_a_metric_that_is_asked_for_counts_more_than_that_of_the_search():
    text = line(metrics="[mae, r2]") + "sweep: {search: {kind: tpe, metric: r2}}\n"
    assert plan(text=text).metric == "r2"
    spec = plan(text=text, metric="mae")
    assert spec.metric == "mae"
    assert plan_trials(spec.config_text().encode()).metric == "mae"


def test_a_loaded_config_is_a_source_too():
    loaded = load_config(swept("{over: {lr: [0.1, 0.2], seed: [0, 1, 2]}}").encode(), ["seed=5"])
    assert len(plan_trials(loaded)) == 2
    assert len(plan_trials(loaded, ["steps=1,2,3"])) == 3
    assert plan_trials(loaded, ["steps=4"]).base.experiment.schedule.steps == 4
