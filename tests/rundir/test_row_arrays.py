"""metrics.bin: large arrays of rows come back bit for bit, and what a kill leaves is survived as in metrics.jsonl."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gdrun.rundir.metrics import read_metrics
from gdrun.rundir.row_arrays import MOST_NUMBERS
from gdrun.rundir.run import Run
from gdrun.rundir.store import RunStore
from gdrun.rundir.verifying import verify
from tests.rows import append_rows

ROWS = 3
DRAW = np.random.default_rng(0)
COLUMNS: dict[str, Any] = {
    "step": np.arange(ROWS),
    "loss": np.arange(ROWS, dtype=np.float32) / 3,
    "parameters.W": DRAW.normal(size=(ROWS, 30, 40)).astype(np.float32),
    "parameters.c": DRAW.normal(size=(ROWS, MOST_NUMBERS + 1)) + 1j,
    "parameters.b": DRAW.normal(size=(ROWS, 4)).astype(np.float32),
}


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    store = RunStore.create(tmp_path, "large", precision="float32")
    store.append_columns(COLUMNS)
    return store


def files(store: RunStore) -> tuple[Path, Path]:
    return store.directory / "metrics.jsonl", store.directory / "metrics.bin"


def assert_rows(store: RunStore, rows: list[int]) -> None:
    columns = read_metrics(files(store)[0], precision="float32").columns
    assert list(columns) == list(COLUMNS)
    for name, values in COLUMNS.items():
        np.testing.assert_array_equal(columns[name], values[rows].astype(columns[name].dtype), err_msg=name)


@pytest.mark.parametrize("by_row", [False, True])
def test_large_arrays_come_back_bit_for_bit(tmp_path: Path, by_row: bool):
    with RunStore.create(tmp_path, "large", precision="float32") as store:
        if by_row:
            append_rows(store, [{name: values[row] for name, values in COLUMNS.items()} for row in range(ROWS)])
        else:
            store.append_columns(COLUMNS)
        assert_rows(store, [0, 1, 2])
        store.close("completed", steps=2)
    assert Run(store.directory).metrics["parameters.W"].dtype == np.float32


def test_a_row_without_a_large_array_refers_to_none(tmp_path: Path):
    store = RunStore.create(tmp_path, "large", precision="float32")
    store.append_columns(COLUMNS, {"parameters.W": np.array([False, True, True])})
    metrics = read_metrics(files(store)[0], precision="float32")
    assert metrics.missing["parameters.W"].tolist() == [True, False, False]
    np.testing.assert_array_equal(metrics.columns["parameters.W"][1:], COLUMNS["parameters.W"][1:])


def test_numpy_reads_the_arrays_in_the_order_of_the_rows(store: RunStore):
    with open(files(store)[1], "rb") as file:
        for row in range(ROWS):
            for name in ("parameters.W", "parameters.c"):
                np.testing.assert_array_equal(np.load(file), COLUMNS[name][row])
        assert not file.read(1)
    assert len(files(store)[0].read_bytes()) < 2000
    store.close("completed")


def test_few_numbers_stay_text_and_make_no_file(tmp_path: Path):
    with RunStore.create(tmp_path, "small") as store:
        store.append_columns({"step": np.arange(2), "W": np.zeros((2, MOST_NUMBERS))})
        assert not files(store)[1].exists()
        store.close("completed")


def test_arrays_that_a_kill_left_without_a_row_are_cut_by_the_next_writer(store: RunStore):
    rows, arrays = files(store)
    whole = arrays.read_bytes()
    store.leave()
    rows.write_bytes(rows.read_bytes()[:-10])  # the last row is torn
    arrays.write_bytes(whole + b"\x93NUMPY half an array")
    assert_rows(store, [0, 1])
    opened = RunStore.open(store.directory)
    assert len(arrays.read_bytes()) == len(whole) * 2 // 3
    opened.append_columns({name: values[2:] for name, values in COLUMNS.items()})
    assert_rows(opened, [0, 1, 2])
    assert arrays.read_bytes() == whole
    opened.close("completed")


def test_rows_that_are_recorded_again_take_their_arrays_with_them(store: RunStore):
    whole = files(store)[1].read_bytes()
    store.cut_rows(after_step=0)
    assert_rows(store, [0])
    store.append_columns({name: values[1:] for name, values in COLUMNS.items()})
    assert files(store)[1].read_bytes() == whole
    store.close("completed")


@pytest.mark.parametrize("left", ["nothing", "a part"])
def test_a_row_whose_arrays_are_lost_is_left_out_and_reported(store: RunStore, left: str):
    store.close("completed", steps=2)
    arrays = files(store)[1]
    if left == "nothing":
        arrays.unlink()
    else:
        arrays.write_bytes(arrays.read_bytes()[:-1])
    table = read_metrics(files(store)[0], precision="float32")
    assert table.corrupt_lines == ((1, 2, 3) if left == "nothing" else (3,))
    assert table.steps.tolist() == ([] if left == "nothing" else [0, 1])
    assert any("3" in str(problem) for problem in verify(Run(store.directory)).problems)
