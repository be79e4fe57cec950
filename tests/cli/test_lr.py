"""`gdrun lr`: what it prints."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("tensorflow")


def test_it_draws_the_curve_and_suggests_a_rate(gdrun, config):
    result = gdrun("lr", config())
    assert (result.code, result.err) == (0, "")
    for part in ("loss after 10 steps", "learning rate", "predicted limit  2.667", "observed edge", "suggestion"):
        assert part in result.out
    assert "\x1b" not in result.out
    assert not Path("runs").exists()


def test_the_figure_shows_the_limit_the_suggestion_and_what_diverged(config, tensorflow):
    from gdrun.analysis.learning_rate import find_learning_rate
    from gdrun.cli.lr import figure

    drawn = figure(find_learning_rate(config(), ["steps=200"]))
    assert [rule.label for rule in drawn.rules] == ["predicted limit", "suggested"]
    assert drawn.regions[0].start == pytest.approx(8 / 3, rel=0.2)
    assert drawn.series[0].x.size > 40


def test_json_is_one_document(gdrun, config):
    found = json.loads(gdrun("lr", config(), "--json", "--range-test").out)
    assert found["range_test"] is True
    assert len(found["rates"]) == len(found["losses"])
    assert found["suggestion"].keys() == {"rate", "reason"}


def test_two_configs_are_one_too_many(gdrun, config):
    assert gdrun("lr", config(), config("b")).code == 2
