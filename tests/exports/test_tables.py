"""CSV and Parquet hold what was recorded, to the last bit."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import gdrun
from gdrun.errors import ResourceError, UsageError
from gdrun.exports.tables import csv_text
from gdrun.rundir.run import Run
from tests.plots.fake_sweeps import write_sweep

RUN = {"step": np.arange(4), "loss": [1.0, 0.1 + 0.2, np.nan, np.inf]}


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_numbers_come_back_bit_for_bit(make_run: Callable[..., Run]) -> None:
    losses = np.random.default_rng(0).normal(size=500).astype(np.float32)
    found = rows(csv_text([make_run({"step": np.arange(500), "loss": losses}, precision="float32")]))
    assert np.array_equal(np.array([row["loss"] for row in found], np.float32), losses)
    assert [int(row["step"]) for row in found] == list(range(500))


def test_a_value_that_is_not_there_is_an_empty_cell_and_nan_is_not(make_run: Callable[..., Run]) -> None:
    run = make_run(RUN)
    with (run.directory / "metrics.jsonl").open("a") as file:
        file.write('{"step":4,"other":1}\n')
    found = rows(csv_text([Run(run.directory)]))
    assert [row["loss"] for row in found] == ["1.0", "0.30000000000000004", "nan", "inf", ""]
    assert [row["other"] for row in found] == [*[""] * 4, "1.0"]


def test_arrays_have_a_column_for_each_number(make_run: Callable[..., Run]) -> None:
    values = np.arange(12.0).reshape(2, 2, 3)
    run = make_run({"step": [0, 1], "parameters.W": values, "parameters.c": np.array([1 + 2j, 3 - 4j])})
    found = rows(csv_text([run]))
    assert float(found[1]["parameters.W[1,2]"]) == values[1, 1, 2]
    assert (found[1]["parameters.c.re"], found[1]["parameters.c.im"]) == ("3.0", "-4.0")


def test_several_runs_are_told_apart_by_their_id(make_run: Callable[..., Run]) -> None:
    one, two = make_run({"step": [0], "loss": [1.0]}), make_run({"step": [0], "accuracy": [0.5]})
    found = rows(csv_text([one, two]))
    assert [row["run"] for row in found] == [one.id, two.id]
    assert [(row["loss"], row["accuracy"]) for row in found] == [("1.0", ""), ("", "0.5")]


def test_a_sweep_has_a_row_a_trial(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "s", {"optimizer.learning_rate": [0.1, 0.9], "optimizer.momentum": [0.0, 0.5]})
    assert csv_text([sweep]) == (sweep.directory / "trials.csv").read_text()


def test_curves_have_a_row_for_each_step_that_a_trial_reached(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "s", {"optimizer.learning_rate": [0.1, 0.9]})
    (path,) = gdrun.export(sweep, "curves", tmp_path / "c.csv")
    found = rows(Path(path).read_text())
    curves, ends = sweep.curves, {row["trial"]: row["steps"] for row in sweep.trials}
    assert ends[1] < curves["step"][-1]  # it diverged
    expected = [
        (trial, step, loss)
        for trial, losses in enumerate(curves["loss"].tolist())
        for step, loss in zip(curves["step"].tolist(), losses, strict=True)
        if step <= ends[trial]
    ]
    assert repr([(int(row["trial"]), int(row["step"]), float(row["loss"])) for row in found]) == repr(expected)
    assert {row["optimizer.learning_rate"] for row in found} == {"0.1", "0.9"}


def test_curves_of_a_run_are_its_rows(make_run: Callable[..., Run]) -> None:
    with pytest.raises(UsageError, match="a run is among them") as caught:
        gdrun.export(make_run(RUN), "curves")
    assert "--to csv" in (caught.value.hint or "")


def test_runs_and_sweeps_do_not_go_into_one_table(tmp_path: Path, make_run: Callable[..., Run]) -> None:
    with pytest.raises(UsageError, match="one table"):
        csv_text([make_run(RUN), write_sweep(tmp_path / "s", {"lr": [0.1, 0.9]})])


def test_a_run_without_rows_is_a_table_without_rows(make_run: Callable[..., Run]) -> None:
    assert rows(csv_text([make_run({})])) == []


def test_parquet_has_types_and_nulls(make_run: Callable[..., Run], tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    (path,) = gdrun.export(make_run(RUN), "parquet", tmp_path / "a.parquet")
    table = parquet.read_table(path)
    assert [str(table.schema.field(name).type) for name in ("step", "loss")] == ["int64", "double"]
    assert table.column("loss").to_pylist() == pytest.approx([1.0, 0.1 + 0.2, np.nan, np.inf], nan_ok=True)


def test_parquet_of_several_sweeps_has_all_their_columns(tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    first = write_sweep(tmp_path / "a", {"optimizer.learning_rate": [0.1, 1]})
    second = write_sweep(tmp_path / "b", {"model.hidden": [[8, 8], "none"]})
    (path,) = gdrun.export([first, second], "parquet", tmp_path / "both.parquet")
    found = parquet.read_table(path).to_pylist()
    assert [row["sweep"] for row in found] == ["a", "a", "b", "b"]
    assert [row["optimizer.learning_rate"] for row in found] == [0.1, 1.0, None, None]
    assert [row["model.hidden"] for row in found] == [None, None, "[8, 8]", "none"]


def test_without_pyarrow_the_extra_is_named(make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ResourceError) as caught:
        gdrun.export(make_run(RUN), "parquet")
    assert caught.value.hint == "pip install 'gdrun[parquet]'"
