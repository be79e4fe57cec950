"""What a sweep's table comes to."""

from __future__ import annotations

import math

import pytest

from gdrun.reporting import sections
from gdrun.sweeping.summary import summarize

from .conftest import RATE


def trial(rate, loss, status="completed", **more):
    return {RATE: rate, "status": status, "loss": loss, **more}


def test_the_best_come_first_and_what_diverged_is_not_among_them(sweep_of):
    rows = [trial(0.1, 0.5), trial(0.2, 0.1), trial(0.4, 1e-9, "diverged"), trial(0.3, math.inf), trial(0.05, 0.7)]
    summary = summarize(sweep_of([RATE], rows), most=2)
    ranked = [(one.trial, one.values, one.value) for one in summary.ranked]
    assert ranked == [(1, {RATE: 0.2}, 0.1), (0, {RATE: 0.1}, 0.5)]


def test_more_is_better_where_the_sweep_says_so(sweep_of):
    rows = [trial(0.1, 1.0, r2=0.5), trial(0.2, 1.0, r2=0.9)]
    summary = summarize(sweep_of([RATE], rows, metric="r2", direction="maximize"))
    assert (summary.metric, summary.ranked[0].trial) == ("r2", 1)


def test_the_best_value_along_the_way_can_be_what_counts(sweep_of):
    rows = [trial(0.1, 0.3, best_loss=0.3), trial(0.2, 0.5, best_loss=0.1)]
    assert summarize(sweep_of([RATE], rows, value="best")).ranked[0].trial == 1


def test_seeds_are_summed_up_by_median_and_middle_half(sweep_of):
    losses = {0.1: [5.0, 1.0, 3.0, 2.0, 4.0], 0.2: [6.0, 6.0, 6.0, 6.0, 6.0]}
    rows = [trial(rate, loss, seed=seed) for rate in losses for seed, loss in enumerate(losses[rate])]
    summary = summarize(sweep_of([RATE, "seed"], rows))
    first = summary.ranked[0]
    assert summary.seeds
    assert (first.values, first.value, first.low, first.high, first.count) == ({RATE: 0.1}, 3.0, 2.0, 4.0, 5)


def test_results_and_parameters_of_seeds_have_medians_over_those_that_did_not_diverge(sweep_of):
    values = {"r2": [0.5, 0.1, 0.3, 0.2, 0.4], "parameters.W[0,1]": [1.0, 9.0, 2.0, 4.0, 3.0]}
    rows = [trial(0.1, 1.0, seed=seed) | {name: of[seed] for name, of in values.items()} for seed in range(5)]
    rows.append(trial(0.1, 1e9, "diverged", seed=5) | dict.fromkeys(values, 1e9))
    summary = summarize(sweep_of([RATE, "seed"], rows))
    assert summary.ranked[0].medians == {
        "loss": (1.0, 1.0, 1.0), "r2": (0.3, 0.2, 0.4), "parameters.W[0,1]": (3.0, 2.0, 4.0)
    }  # fmt: skip
    assert ["parameters.W[0,1]", "3", "2 to 4"] in sections.seed_medians(summary).rows


def test_a_seed_that_diverged_is_the_worst_of_its_setting(sweep_of):
    rows = [trial(0.1, 1.0, seed=0), trial(0.1, 2.0, seed=1), trial(0.1, 1e9, "diverged", seed=2)]
    rows += [trial(0.2, 1e9, "diverged", seed=seed) for seed in range(2)] + [trial(0.2, 0.1, seed=2)]
    summary = summarize(sweep_of([RATE, "seed"], rows))
    assert [(one.value, one.diverged) for one in summary.ranked] == [(2.0, 1)]
    assert sections.seed_medians(summary).rows == [["loss", "1.5", "1 to 2"]]


def test_the_edge_is_between_the_last_stable_rate_and_the_first_that_diverged(sweep_of):
    rows = [trial(rate, 1.0, "completed" if rate < 0.5 else "diverged") for rate in (0.1, 0.4, 0.6, 0.9)]
    (edge,) = summarize(sweep_of([RATE], rows)).edges
    assert (edge.axis, edge.values, edge.largest, edge.smallest) == (RATE, {}, 0.4, 0.6)


def test_there_is_an_edge_for_each_setting_of_the_other_axes(sweep_of):
    rows = [
        {**trial(rate, 1.0, "diverged" if rate > limit else "stopped"), "optimizer.kind": kind}
        for kind, limit in (("sgd", 0.2), ("adam", 9))
        for rate in (0.1, 0.3)
    ]
    edges = summarize(sweep_of([RATE, "optimizer.kind"], rows)).edges
    assert [(edge.values["optimizer.kind"], edge.largest, edge.smallest) for edge in edges] == [
        ("sgd", 0.1, 0.3),
        ("adam", 0.3, None),
    ]


def test_without_divergence_there_is_no_edge(sweep_of):
    summary = summarize(sweep_of([RATE], [trial(0.1, 1.0)]))
    assert summary.edges == ()
    assert sections.seed_medians(summary).rows == []


def test_trials_without_a_row_are_missing(sweep_of):
    rows = [trial(0.1, 1.0), trial(0.2, None, "failed"), trial(0.3, 1.0, "diverged")]
    counts = summarize(sweep_of([RATE], rows, trials={"total": 5})).counts
    assert counts == {"total": 5, "completed": 1, "stopped": 0, "diverged": 1, "failed": 1, "missing": 2}


def test_a_sweep_that_has_only_begun_has_nothing_ranked(sweep_of):
    summary = summarize(sweep_of([RATE], [], status="running", trials={"total": 5}))
    assert (summary.ranked, summary.edges, summary.counts["missing"]) == ((), (), 5)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_axes_that_are_sections_or_lists_are_settings_like_others(sweep_of, count):
    rows = [{"optimizer": {"kind": "sgd", "momentum": 0.1 * n}, "status": "completed", "loss": n} for n in range(count)]
    assert len(summarize(sweep_of(["optimizer"], rows)).ranked) == count
