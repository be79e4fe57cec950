"""`gdrun check-grad`: what it prints and ends with."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.usefixtures("tensorflow")
WRONG = "gradients: {of: {a: mean(x)}}\n"


def test_right_gradients_are_exit_0_and_wrong_ones_exit_4(gdrun, config):
    right = gdrun("check-grad", config())
    assert right.code == 0
    assert right.out.startswith("ok ")
    wrong = gdrun("check-grad", config("wrong", WRONG))
    assert wrong.code == 4
    assert "WRONG  a: by hand is wrong" in wrong.out


def test_a_config_that_is_refused_does_not_keep_the_others_from_being_checked(gdrun, config):
    result = gdrun("check-grad", config("bad", "seed: x\n"), config())
    assert result.code == 2
    assert "line.yaml: a: the tape agrees" in result.out
    assert "bad.yaml" in result.err


def test_json_is_one_document(gdrun, config):
    result = gdrun("check-grad", config(), config("wrong", WRONG), "--json")
    found = json.loads(result.out)
    assert [check["ok"] for check in found["configs"]] == [True, False]
    assert found["exit_code"] == result.code == 4
    assert found["configs"][1]["comparisons"][1]["by"] == "hand"
