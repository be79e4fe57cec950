"""metrics.jsonl: strict rows out, exact columns back, and what is broken told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gdrun.errors import RunDirectoryError
from gdrun.rundir.metrics import decode_rows, encode_columns, read_metrics
from tests.rows import encode_rows

ROWS = [{"step": 0, "loss": 1.5}, {"step": 1, "loss": 0.1}]


def strict(line: bytes) -> dict:
    def refuse(text: str) -> None:
        raise AssertionError(f"{text} in strict JSON")

    return json.loads(line, parse_constant=refuse)


@given(st.lists(st.floats(width=32), min_size=1, max_size=20))
def test_float32_columns_come_back_bit_for_bit(values: list[float]):
    column = np.array(values, np.float32)
    lines = encode_columns({"step": np.arange(len(values)), "loss": column})
    for line in lines.splitlines():
        strict(line)
    back = read_metrics(lines, precision="float32").columns["loss"]
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, column)


@given(st.lists(st.floats(), min_size=1, max_size=20))
def test_float64_columns_come_back_bit_for_bit(values: list[float]):
    for lines in (
        encode_columns({"step": range(len(values)), "loss": np.array(values)}),
        encode_rows([{"step": step, "loss": value} for step, value in enumerate(values)]),
    ):
        np.testing.assert_array_equal(read_metrics(lines).columns["loss"], values)


def test_the_digits_are_the_shortest_of_the_rows_precision():
    lines = encode_rows([{"step": np.int64(1), "loss": np.float32(0.1), "seconds": 0.30000000000000004}])
    assert lines == b'{"step":1,"loss":0.1,"seconds":0.30000000000000004}\n'
    columns = read_metrics(lines, precision="float32").columns
    assert columns["loss"][0] == np.float32(0.1)
    assert columns["seconds"][0] == 0.30000000000000004


@pytest.mark.parametrize("count", [0, 1, 9])
def test_rows_leave_out_what_they_do_not_have_however_they_alternate(count: int):
    step, whole = np.arange(count), np.linspace(0, 1, count, dtype=np.float32)
    columns = {"step": step, "loss": whole, "mae": whole / 3, "note": ["text"] * count}
    present = {"mae": step % 3 == 2, "note": step > 0, "loss": step >= 0}
    rows = [
        {name: values[row] for name, values in columns.items() if name not in present or present[name][row]}
        for row in range(count)
    ]
    assert encode_columns(columns, present) == encode_rows(rows)


def test_rows_and_columns_give_the_same_bytes():
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {
        "step": np.arange(5),
        "loss": np.array([1.5, np.nan, np.inf, -np.inf, 1e-300]),
        "W": rng.normal(size=(5, 3, 1)).astype(np.float32),
        "z": rng.normal(size=5) + 1j,
        "done": np.array([False] * 4 + [True]),
        '100% of "x"\n': np.arange(5.0),
        "note": ["a", None, {"value": None, "reason": "unused"}, [1, 2], "%s"],
    }
    rows = [{name: values[index] for name, values in columns.items()} for index in range(5)]
    by_row = b"".join(encode_rows([row]) for row in rows)
    assert encode_columns(columns) == encode_rows(rows) == by_row
    assert by_row.count(b"\n") == 5
    assert strict(by_row.splitlines()[1])["loss"] == "nan"
    assert strict(by_row.splitlines()[0])["z"]["im"] == 1.0


def test_arrays_missing_values_and_complex_numbers_come_back_as_arrays():
    rows = [
        {"step": 0, "loss": 1, "W": [[1.0], [2.0]], "z": 1 + 2j, "g": {"value": None, "reason": "unused"}},
        {"step": 1, "loss": 0.5, "W": [[np.nan], [np.inf]], "z": complex(np.nan, 1), "g": 0.5, "accuracy": 0.9},
    ]
    columns = read_metrics(encode_rows(rows)).columns
    assert columns["step"].dtype == np.int64
    np.testing.assert_array_equal(columns["W"], [[[1.0], [2.0]], [[np.nan], [np.inf]]])
    np.testing.assert_array_equal(columns["z"], [1 + 2j, complex(np.nan, 1)])
    np.testing.assert_array_equal(columns["g"], [np.nan, 0.5])
    np.testing.assert_array_equal(columns["accuracy"], [np.nan, 0.9])


def test_columns_that_are_no_numbers_are_objects():
    columns = read_metrics(b'{"step":0,"a":"text","b":[1]}\n{"step":1,"a":1,"b":[1,2]}\n').columns
    assert columns["a"].tolist() == ["text", 1]
    assert columns["b"].tolist() == [[1], [1, 2]]


def test_integers_beyond_64_bits_and_beyond_floats_do_not_crash():
    lines = encode_rows([{"step": 0, "a": 2**70, "b": 1}, {"step": 1, "a": 1, "b": 10**400}])
    columns = read_metrics(lines).columns
    assert columns["a"][0] == 2.0**70
    assert columns["b"][1] == np.inf


def test_no_rows_is_an_empty_table(tmp_path: Path):
    for metrics in (read_metrics(b""), read_metrics(tmp_path / "absent")):
        assert len(metrics) == 0
        assert metrics.steps.dtype == np.int64
        assert not metrics.torn
    assert encode_rows([]) == b""


def test_a_torn_end_is_skipped_and_told_wherever_it_is_cut():
    whole = encode_rows(ROWS)
    first = whole.index(b"\n") + 1
    for size in range(len(whole)):
        metrics = read_metrics(whole[:size])
        assert len(metrics) == (size >= first)
        assert metrics.torn == (size not in (0, first))
        assert metrics.corrupt_lines == ()


@pytest.mark.parametrize(
    "line",
    [b"", b"{}", b"[1]", b"nonsense", b'{"step":1.5}',
     b'{"step":true}', b'{"step":-1}', b'{"step":1,"loss":NaN}', b"\xff",
     b'{"step":1,"step":2}', b'{"step":1},{"step":2}', b'{"step":1}{', b"\0\0\0"],
)  # fmt: skip
def test_a_corrupt_line_is_left_out_and_told(line: bytes):
    lines = encode_rows(ROWS)
    metrics = read_metrics(lines + line + b"\n" + b'{"step":2,"loss":3.0}\n')
    assert metrics.corrupt_lines == (3,)
    assert metrics.steps.tolist() == [0, 1, 2]


def test_every_flipped_bit_is_harmless():
    whole = encode_rows(ROWS)
    for position in range(len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[position] ^= 1 << bit
            read_metrics(bytes(flipped))


def test_100_000_rows_are_read():
    rng = np.random.default_rng(0)
    lines = encode_columns({"step": np.arange(10**5), "loss": rng.normal(size=10**5), "rate": np.full(10**5, 0.1)})
    metrics = read_metrics(lines)
    assert len(metrics) == 10**5
    assert metrics.steps[-1] == 10**5 - 1


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="different lengths"):
        encode_columns({"step": [1, 2], "loss": [1.0]})


def test_an_unreadable_file_is_a_run_directory_error(tmp_path: Path):
    (tmp_path / "metrics.jsonl").mkdir()
    with pytest.raises(RunDirectoryError, match="directory"):
        read_metrics(tmp_path / "metrics.jsonl")


def test_rows_decode_as_they_were_written():
    rows, corrupt, torn = decode_rows(encode_rows([{"step": 0, "loss": np.nan}]))
    assert rows == [{"step": 0, "loss": "nan"}]
    assert (corrupt, torn) == ((), False)
