"""How `gdrun show` tells of convergence."""

from __future__ import annotations

import json

import numpy as np
import pytest

from gdrun.rundir.store import RunStore
from tests.rows import append_rows


@pytest.fixture
def made(tmp_path):
    with RunStore.create(tmp_path / "runs", "made") as store:
        append_rows(store, [{"step": k, "loss": 4 * 0.81**k, "gradient_norm": 4 * 0.9**k} for k in range(60)])
        store.write_parameters({"a": np.float64(1)})
        store.close("completed", steps=59, precision="float64", final={"loss": 4 * 0.81**59})
    return store.directory


def test_the_page_of_a_run_has_what_its_rows_say(gdrun, made):
    result = gdrun("show", str(made))
    assert "convergence\n" in result.out
    assert "the gradient shrinks by 0.9 a step" in result.out


def test_where_the_config_cannot_be_built_the_rows_are_enough(gdrun, made, tensorflow):
    result = gdrun("show", str(made), "--convergence")
    assert result.code == 0
    assert "without the curvature" in result.err
    assert result.out.startswith("completed after 59 steps")


def test_json_is_one_document(gdrun, config, tensorflow):
    run = gdrun("train", config(), "precision=float64").out.strip()
    found = json.loads(gdrun("show", run, "--convergence", "--json").out)["convergence"]
    assert found["curvature"]["limit"] == pytest.approx(8 / 3)
    assert found["curvature"]["predicted_rate"] == pytest.approx(1 - 0.1 * 0.75)
    assert found["linear_rate"]["rate"] == pytest.approx(0.925)
