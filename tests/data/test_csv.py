"""Claims about reading separated values."""

from __future__ import annotations

import hashlib
import os
from functools import partial

import numpy as np
import pytest

from gdrun.data.csv import CsvData
from gdrun.errors import DataError

from .kinds import read

csv_data = partial(read, CsvData)


@pytest.fixture
def write(tmp_path):
    def write_file(content: str | bytes):
        path = tmp_path / "d.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


PLAIN = "a,b,y\n1,2,3\n4,5,6\n7,8,9\n"


def test_columns_by_name_and_position_and_several_under_one_name(write):
    path = write(PLAIN)
    data = csv_data(path, inputs=["a", 1], target="y")
    assert {name: list(array) for name, array in data.arrays().items()} == {
        "inputs.a": [1, 4, 7],
        "inputs.b": [2, 5, 8],
        "target": [3, 6, 9],
    }
    data = csv_data(path, inputs={"x": ["a", 1], "z": "b"}, target=["y", "a"])
    assert np.array_equal(data.inputs["x"], [[1, 2], [4, 5], [7, 8]])
    assert np.array_equal(data.target, [[3, 1], [6, 4], [9, 7]])
    assert data.files == {str(path): hashlib.sha256(PLAIN.encode()).hexdigest()}


@pytest.mark.parametrize(
    ("content", "settings"),
    [
        (b"\xef\xbb\xbf" + PLAIN.encode(), {}),
        (PLAIN.replace("\n", "\r\n"), {}),
        (PLAIN.rstrip("\n"), {}),
        (PLAIN.replace("\n", "\n\n"), {}),
        ('"a","b","y"\n"1","2","3"\n"4", 5 ,6\n7.0,+8,9e0\n', {}),
        (PLAIN.replace(",", "\t"), {"separator": "\t"}),
        (PLAIN.replace(",", ";"), {"separator": ";"}),
        ("# made by a machine\n# twice\n" + PLAIN, {"skip": 2}),
        ("a,b,y\n0,0,0\n1,2,3\n4,5,6\n7,8,9\n0,0,0\n", {"rows": "1:4"}),
        ("a,b,y\n0,0,0\n" + PLAIN[6:], {"rows": "1:"}),
        (PLAIN + "0,0,0\n", {"rows": ":3"}),
    ],
)
def test_forms_of_one_table_read_the_same(write, content, settings):
    data = csv_data(write(content), inputs=["a", "b"], target="y", **settings)
    assert np.array_equal(list(data.arrays().values()), [[1, 4, 7], [2, 5, 8], [3, 6, 9]])


def test_without_a_header_columns_are_called_by_position(write):
    data = csv_data(write("1,2\n3,4\n"), inputs=[1], target=0, header=False)
    assert list(data.inputs["column1"]) == [2, 4]
    assert list(data.target) == [1, 3]


def test_many_rows_equal_numpy(write):
    table = np.random.default_rng(0).normal(size=(9001, 3))
    text = "a,b,c\n" + "\n".join(",".join(map(repr, row)) for row in table.tolist()) + "\n"
    data = csv_data(write(text), inputs={"x": ["c", "a"]}, target="b")
    assert np.array_equal(data.inputs["x"], table[:, [2, 0]])
    assert np.array_equal(data.target, table[:, 1])


def test_a_text_target_becomes_sorted_class_numbers(write):
    path = write("x,kind\n1,rose\n2, iris\n3,rose\n")
    data = csv_data(path, inputs=["x"], target="kind")
    assert data.labels == ("iris", "rose")
    assert list(data.target) == [1, 0, 1]
    data = csv_data(path, inputs=["x"], target="kind", labels=("aster", "iris", "rose"))
    assert list(data.target) == [2, 1, 2]
    with pytest.raises(DataError, match=r"target\[0\] is 'rose', which is not one of: iris"):
        csv_data(path, inputs=["x"], target="kind", labels=("iris",))


@pytest.mark.parametrize(
    ("content", "settings", "message"),
    [
        ("", {}, "d.csv is empty"),
        ("a,b,y\n", {}, "no data rows"),
        ("a,b,y\n1,2,3\n", {"inputs": ["A"]}, r"no column in .* called 'A'"),
        ("a,b,y\n1,2,3\n", {"inputs": [3]}, "no column 3: its 3 columns count from 0 to 2"),
        ("a,b,y\n1,2,3\n", {"header": False}, "read without a header, so no column is called 'a'"),
        ("a,a,y\n1,2,3\n", {}, "has 2 columns 'a'"),
        ("a,b,y\n1,2,3\n", {"inputs": ["a", 0]}, "column 'a' is listed twice"),
        ("a,b,y\n1,2,3\n4,five,6\n", {"inputs": ["b"]}, r"d.csv:3: column 'b' is 'five', not a finite number"),
        ("a,b,y\n1,2,3\n\n\n4,,6\n", {"inputs": ["b"]}, r"d.csv:5: column 'b' is empty"),
        ("a,b,y\nnan,2,3\n", {}, r"d.csv:2: column 'a' is 'nan'"),
        ("a,b,y\n1_0,2,3\n", {}, r"d.csv:2: column 'a' is '1_0'"),
        ("a,b,y\n1,2,3\n1,2\n", {}, r"d.csv:3 has 2 cells, the header has 3"),
        ("a,b,y\n1,2,3\n", {"separator": ";"}, "no column"),
        ("a,b,y\n1,2,one\n1,2,2\n", {}, r"d.csv:3: column 'y' is the number 2, but .* the text 'one'"),
        ("a,b,y\n1,2,1\n1,2,two\n", {}, r"d.csv:3: column 'y' is 'two', not a finite number"),
        ("a,b,y\n1,2,one\n1,2,\n", {}, r"d.csv:3: column 'y' is empty"),
        ('a,b,y\n"1\n",2,x\n"",2,x\n', {}, r"d.csv:4: column 'a' is empty"),
        ("a,b,y\n1,2,3\n", {"rows": "0:2"}, "rows 0:2 goes beyond the end of .* 1 data row$"),
        ("a,b,y\n1,2,3\n", {"rows": "1:"}, "goes beyond"),
        ("a,b,y\n1,2,3\n", {"rows": "1:1"}, "rows 1:1 is empty"),
        ("a,b,y\n1,2,3\n", {"rows": "0:" + "9" * 5000}, "beyond"),
        ("a,b,y\n1,2,3\n", {"skip": 7}, "nothing after line 7"),
        (b"a,b,y\n1,2,\xff\n", {}, "not UTF-8 text: byte 0xff"),
        ('a,b,y\n1,"2"3,4\n', {}, "cannot be read as separated values"),
        (b"a,b,y\n" + b"1" * 200_000 + b",2,3\n", {}, "cannot be read as separated values"),
    ],
)
def test_a_table_that_is_wrong_is_refused_with_file_line_and_column(write, content, settings, message):
    with pytest.raises(DataError, match=message):
        csv_data(write(content), **{"inputs": ["a"], "target": "y", **settings})


def test_a_missing_column_suggests_the_nearest_and_lists_all(write):
    with pytest.raises(DataError) as caught:
        csv_data(write("height,weight,age\n1,2,3\n"), inputs=["hieght"])
    assert caught.value.hint == "did you mean 'height'? there are: height, weight, age"


def test_only_regular_files_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path, message in [
        (tmp_path, "not a regular file"),
        (tmp_path / "none.csv", "no file"),
        (tmp_path / "pipe", "not a regular file"),
        ("/dev/zero", "not a regular file"),
        ("a\0b", "cannot be read"),
    ]:
        with pytest.raises(DataError, match=message):
            csv_data(path, inputs=["a"])


def test_hostile_cells_are_shown_escaped(write):
    with pytest.raises(DataError) as caught:
        csv_data(write("a\n\x1b[31mred\n"), inputs=["a"])
    assert "\x1b" not in caught.value.message


def test_a_range_of_columns_is_an_array(tmp_path):
    path = tmp_path / "wide.csv"
    path.write_text("a,b,c,d,e\n1,2,3,4,5\n6,7,8,9,10\n")
    data = csv_data(path, inputs={"x": "0:3", "y": [0, "3:"]}, target="3:5")
    np.testing.assert_array_equal(data.inputs["x"], [[1, 2, 3], [6, 7, 8]])
    np.testing.assert_array_equal(data.inputs["y"], [[1, 4, 5], [6, 9, 10]])
    np.testing.assert_array_equal(data.target, [[4, 5], [9, 10]])
    single = csv_data(path, inputs=["1:3"], target="a")
    assert list(single.inputs) == ["b", "c"]


def test_a_range_beyond_the_columns_is_refused(tmp_path):
    path = tmp_path / "narrow.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="has no column 2"):
        csv_data(path, inputs={"x": "0:3"})
