"""Expectations held against runs whose numbers are known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdrun.checking.check import compare
from gdrun.checking.comparison import ExpectationResult, RunValues
from gdrun.experiment.expect import Expect
from gdrun.rundir.run import Run
from gdrun.rundir.store import RunStore
from tests.rows import append_rows

RECORD: dict[str, Any] = {"steps": 10, "final": {"loss": np.float32(0.1), "r2": 0.5}, "stopped_by": "steps"}
PARAMETERS = {
    "a": np.float32(0.26025155),
    "W": np.array([[1, 2], [3, 4]], np.float32),
    "b": np.ones((1, 1), np.float32),
}
ROWS = [
    {"step": 0, "loss": np.float32(1.5), "parameters.a": np.float32(0.0), "gradients.a": np.float32(-2.5)},
    {"step": 5, "loss": np.float32(0.7), "parameters.a": np.float32(0.1), "norm": [1.0, 2.0]},
]


@pytest.fixture
def judge(tmp_path: Path):
    """Hold expectations, given as a config would, against a run: judge(loss=0.1) -> its rows but the status."""

    def rows(
        ended: str = "completed", /, record: dict[str, Any] | None = None, **expectations: Any
    ) -> list[ExpectationResult]:
        values = RunValues.of_run(
            a_run(tmp_path, ended, record), predict=predict, gradients=lambda: {"a": np.float32(0.5)}
        )
        found = list(compare(Expect.model_validate(_tuples(expectations)), values))
        assert found[0].what == "status"
        return found if "status" in expectations else found[1:]

    return rows


def a_run(folder: Path, status: str, record: dict[str, Any] | None) -> Run:
    with RunStore.create(folder, "case", precision="float32") as store:
        append_rows(store, ROWS)
        store.write_parameters(PARAMETERS)
        store.close(status, **(RECORD | (record or {})))
    return Run(store.directory)


def predict(inputs: Any) -> np.ndarray:
    return (2 * np.atleast_1d(inputs["x"]))[:, None].astype(np.float32)


def _tuples(value: Any) -> Any:
    """Lists as the config's reader gives them."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value


def one(rows: list[ExpectationResult]) -> ExpectationResult:
    (row,) = rows
    return row


@pytest.mark.parametrize("status", ["completed", "stopped"])
def test_a_run_that_ended_well_is_expected_when_nothing_is_said(judge, tmp_path, status):
    rows = list(compare(Expect(), RunValues.of_run(a_run(tmp_path, status, None))))
    assert [row.ok for row in rows] == [True]


@pytest.mark.parametrize("status", ["diverged", "interrupted", "failed"])
def test_any_other_end_is_a_miss_when_nothing_is_said(tmp_path, status):
    row = one(list(compare(Expect(), RunValues.of_run(a_run(tmp_path, status, {"why": "because"})))))
    assert (row.ok, row.got, row.note) == (False, status, "because")


def test_a_stated_status_must_be_it(judge):
    assert one(judge("diverged", status="diverged")).ok
    assert not one(judge("completed", status="stopped")).ok


@pytest.mark.parametrize(
    ("expectation", "ok"),
    [
        ({"steps": 10}, True),
        ({"steps": 9}, False),
        ({"stopped_by": "steps"}, True),
        ({"stopped_by": "patience"}, False),
    ],
)
def test_steps_and_the_rule_must_be_equal(judge, expectation, ok):
    assert one(judge(**expectation)).ok is ok


def test_the_step_of_divergence(judge):
    record = {"diverged": {"step": 7, "quantity": "loss"}}
    assert one(judge(record=record, diverged_at=7)).ok
    assert not one(judge(record=record, diverged_at=8)).ok
    assert not one(judge(diverged_at=7)).ok


def test_digits_published_in_float32_are_met_exactly(judge):
    assert one(judge(parameters={"a": 0.26025155})).ok
    assert one(judge(parameters={"a": 0.260251551})).ok, "the same float32"
    assert one(judge(loss=0.1)).ok, "a value that JSON gives back as float64"


def test_the_next_float32_is_a_miss_without_tolerance(judge):
    row = one(judge(parameters={"a": float(np.nextafter(np.float32(0.26025155), np.float32(1)))}))
    assert not row.ok
    assert row.bound == "exact"


@pytest.mark.parametrize(
    ("value", "rtol", "atol", "ok"),
    [
        (2.0, 0.0, 1.75, True),  # |0.25 - 2| = 1.75
        (2.0, 0.0, 1.7499, False),
        (2.0, 0.875, 0.0, True),  # 1.75 = 0.875 * 2: relative to the expected value, not to the one that came out
        (2.0, 0.8749, 0.0, False),
        (2.0, 0.5, 0.75, True),  # both add up
        (2.0, 0.5, 0.7499, False),
    ],
)
def test_the_distance_may_be_atol_plus_rtol_times_the_value(judge, value, rtol, atol, ok):
    record = {"final": {"loss": 0.25}}
    assert one(judge(record=record, loss={"value": value, "rtol": rtol, "atol": atol})).ok is ok
    assert one(judge(record=record, loss=value, rtol=rtol, atol=atol)).ok is ok, "the tolerance of the whole block"


def test_an_own_tolerance_takes_the_place_of_the_block_s(judge):
    record = {"final": {"loss": 0.25}}
    assert not one(judge(record=record, rtol=1.0, loss={"value": 0.3, "rtol": 0.0})).ok


@pytest.mark.parametrize(("bound", "ok"), [({"below": 0.2}, True), ({"above": 0.2}, False)])
def test_bounds(judge, bound, ok):
    assert one(judge(loss=bound)).ok is ok


def test_bounds_are_strict(judge):
    record = {"final": {"loss": 0.25}}
    assert [row.ok for row in judge(record=record, loss={"below": 0.25, "above": 0.25})] == [False, False]


def test_a_bound_holds_for_every_entry(judge):
    assert one(judge(parameters={"W": {"above": 0.5}})).ok
    assert not one(judge(parameters={"W": {"above": 1.5}})).ok


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_what_is_not_finite_meets_no_value(judge, value):
    record = {"final": {"loss": float(value)}}
    assert not one(judge(record=record, loss={"value": 0.0, "atol": 1e300})).ok
    assert not one(judge(record=record, loss={"below": 1e300})).ok


def test_arrays_are_compared_entry_by_entry_and_the_worst_is_named(judge):
    assert one(judge(parameters={"W": [[1, 2], [3, 4]]})).ok
    row = one(judge(parameters={"W": [[1, 2.5], [7, 4]]}))
    assert not row.ok
    assert "2 of 4 numbers are off, most at [1, 0]: 3 for 7, off by 4" in row.note


@pytest.mark.parametrize("wrong", [1, [1, 2], [[1, 2, 3], [4, 5, 6]], [[1], [2]]])
def test_other_shapes_are_a_miss_with_both_shapes(judge, wrong):
    row = one(judge(parameters={"W": wrong}, atol=100.0))
    assert not row.ok
    assert "(2, 2)" in row.note
    assert ("a number" if wrong == 1 else str(np.shape(wrong))) in row.note


def test_a_number_is_enough_for_an_array_of_one(judge):
    assert one(judge(parameters={"b": 1})).ok
    assert one(judge(parameters={"b": [[1]]})).ok
    assert not one(judge(parameters={"a": [0.26025155]})).ok, "but not the other way round"


def test_an_unknown_name_is_a_miss_that_says_what_there_is(judge):
    row = one(judge(parameters={"c": 1}))
    assert not row.ok
    assert "it has a, W, b" in row.note
    assert "it has loss, r2" in one(judge(metrics={"accuracy": {"above": 0.5}})).note


def test_rows_of_the_trace_are_found_by_step(judge):
    rows = judge(trace=[{"step": 0, "loss": 1.5}, {"step": 5, "loss": 0.7, "a": 0.1, "norm": [1, 2]}])
    assert [(row.what, row.ok) for row in rows] == [
        ("trace[step 0].loss", True),
        ("trace[step 5].loss", True),
        ("trace[step 5].a", True),
        ("trace[step 5].norm", True),
    ]


def test_a_trace_may_name_columns_in_full_or_in_short(judge):
    rows = judge(trace=[{"step": 0, "parameters.a": 0, "gradients.a": -2.5}])
    assert all(row.ok for row in rows)


def test_a_row_s_own_tolerance(judge):
    assert one(judge(trace=[{"step": 0, "loss": 1.4, "atol": 0.11}])).ok
    assert not one(judge(trace=[{"step": 0, "loss": 1.4}])).ok


def test_a_step_without_a_row_is_a_miss_that_says_where_the_run_ended(judge):
    row = one(judge(trace=[{"step": 11, "loss": {"above": 1}}]))
    assert (row.ok, row.expected, row.note) == (False, "> 1", "the run ended at step 10")


def test_predictions_may_be_written_flat_or_as_a_column(judge):
    for value in ([10, 5], [[10], [5]]):
        assert one(judge(predictions={"x": [5, 2.5], "value": value})).ok
    assert not one(judge(predictions={"x": [5, 2.5], "value": [10, 6]})).ok
    assert one(judge(predictions={"x": [5, 2.5], "value": [10, 6], "atol": 1.0})).ok


def test_gradients_at_the_final_state(judge):
    assert one(judge(gradients={"a": 0.5})).ok
    assert not one(judge(gradients={"b": 0.5})).ok


def test_names_are_escaped(judge):
    row = one(judge(parameters={"\x1b[2J": 1}))
    assert "\x1b" not in row.what + row.note


@pytest.mark.parametrize(
    ("expectations", "met"),
    [
        ({"parameters": {"W[0, 1]": 2, "W[:, 0]": [1, 3], "W[-1]": [3, 4]}}, True),
        ({"parameters": {"W[0, 1]": 3}}, False),
        ({"parameters": {"sum(W)": 10, "norm(W[0])": {"below": 2.24, "above": 2.23}}}, True),
        ({"trace": [{"step": 5, "norm[1]": 2}]}, True),
        ({"trace": [{"step": 5, "norm[1]": 1}]}, False),
        ({"parameters": {"W[5, 0]": 1}}, False),
        ({"parameters": {"V[0]": 1}}, False),
    ],
)
def test_a_part_of_an_array_or_a_formula_is_expected(judge, expectations, met):
    assert [row.ok for row in judge(**expectations)] == [met] * len(judge(**expectations))
