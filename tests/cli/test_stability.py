"""`gdrun stability`: what it prints."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.usefixtures("tensorflow")


def test_it_prints_the_curvature_and_the_limit(gdrun, config):
    result = gdrun("stability", config(), "lr=5")
    assert (result.code, result.err) == (0, "")
    assert "largest eigenvalue  0.75 of the Hessian over 1 parameter" in result.out
    assert "2.66667: 2 / 0.75" in result.out
    assert "1.88 times the limit" in result.out


def test_along_a_run_it_is_a_table(gdrun, config):
    run = gdrun("train", config()).out.strip()
    lines = gdrun("stability", run, "--at", "all").out.splitlines()
    assert lines[0].split() == ["step", "loss", "largest", "eigenvalue", "limit", "rate", "/", "limit"]
    assert [line.split()[0] for line in lines[1:12]] == [str(step) for step in range(11)]


def test_json_is_one_document(gdrun, config):
    found = json.loads(gdrun("stability", config(), "--json", "precision=float64").out)
    assert found["points"][0]["prediction"]["limit"] == pytest.approx(8 / 3)
    assert found["edge"] is None


@pytest.mark.parametrize("arguments", [("--at", "end"), ("--at", "q"), ("second.yaml",)])
def test_what_there_is_not_is_exit_2(gdrun, config, arguments):
    assert gdrun("stability", config(), *arguments).code == 2
