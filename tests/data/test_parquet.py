"""Claims about reading Parquet files."""

from __future__ import annotations

import hashlib
import sys
from functools import partial

import numpy as np
import pytest

from gdrun.data.parquet import ParquetData
from gdrun.errors import DataError, ResourceError

from .kinds import read

parquet_data = partial(read, ParquetData)

pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is an extra")
TABLE = {
    "a": [1, 4, 7, 10],
    "b": [2.0, 5.0, 8.0, 11.0],
    "kind": ["cat", "dog", "ant", "cat"],
    "w": [1.0, 2.0, 0.0, 1.0],
    "gap": [1.0, None, 3.0, None],
    "flag": [True, False, True, True],
}


@pytest.fixture
def path(tmp_path):
    from pyarrow import parquet

    table = pyarrow.table({**TABLE, "code": pyarrow.array(TABLE["kind"]).dictionary_encode()})
    parquet.write_table(table, tmp_path / "d.parquet", row_group_size=2)
    return tmp_path / "d.parquet"


def test_columns_by_name_and_position_and_several_under_one_name(path):
    data = parquet_data(path, inputs=["a", 1], target="flag", example_weights="w")
    assert {name: list(array) for name, array in data.arrays().items()} == {
        "inputs.a": [1, 4, 7, 10],
        "inputs.b": [2, 5, 8, 11],
        "target": [1, 0, 1, 1],
    }
    assert list(data.weights) == [1, 2, 0, 1]
    assert all(array.dtype == np.float64 for array in data.arrays().values())
    data = parquet_data(path, inputs={"x": ["b", "a"]}, target=["a", "w"])
    np.testing.assert_array_equal(data.inputs["x"], [[2, 1], [5, 4], [8, 7], [11, 10]])
    assert data.target.shape == (4, 2)
    assert data.files == {str(path): hashlib.sha256(path.read_bytes()).hexdigest()}


@pytest.mark.parametrize("column", ["kind", "code"])
def test_a_target_of_text_is_labels(path, column):
    data = parquet_data(path, inputs=["a"], target=column)
    assert data.labels == ("ant", "cat", "dog")
    assert list(data.target) == [1, 2, 0, 1]
    again = parquet_data(path, inputs=["a"], target=column, rows="1:2", labels=("dog", "x"))
    assert list(again.target) == [0]


def test_rows_are_a_half_open_range(path):
    assert list(parquet_data(path, inputs=["a"], rows="1:3").inputs["a"]) == [4, 7]
    assert list(parquet_data(path, inputs=["a"], rows="3:").inputs["a"]) == [10]


@pytest.mark.parametrize(
    ("settings", "message", "within"),
    [
        ({"inputs": ["A"]}, "there is no column in .*d.parquet called 'A'", ("inputs", 0)),
        ({"inputs": {"x": 9}}, "has no column 9", ("inputs", "x")),
        ({"inputs": ["a"], "target": "y"}, "called 'y'", ("target",)),
        ({"inputs": ["a"], "example_weights": "y"}, "called 'y'", ("example_weights",)),
        ({"inputs": ["kind"]}, "column 'kind' holds string, not numbers", ()),
        ({"inputs": ["gap"]}, r"2 values are missing in column 'gap', the first in row 1 \(from 0\)", ()),
        ({"inputs": ["gap"], "rows": "2:4"}, "1 value is missing in column 'gap', the first in row 3", ()),
        ({"inputs": ["a"], "rows": "2:9"}, "goes beyond the end of .* 4 data rows", ()),
        ({"inputs": ["a", 0]}, "'a' is listed twice", ()),
    ],
)
def test_what_is_not_there_is_refused_with_its_place(path, settings, message, within):
    with pytest.raises(DataError, match=message) as caught:
        parquet_data(path, **settings)
    assert caught.value.within == within


def test_a_file_that_is_no_parquet_is_refused(tmp_path):
    path = tmp_path / "d.parquet"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        parquet_data(path, inputs=["a"])


def test_without_pyarrow_the_error_says_how_to_install_it(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ResourceError, match="pyarrow, which is not installed") as caught:
        parquet_data(path, inputs=["a"])
    assert caught.value.hint == "pip install 'gdrun[parquet]'"
    assert caught.value.exit_code == 8
