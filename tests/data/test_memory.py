"""Claims about data that stays on disk."""

from __future__ import annotations

import tempfile
from functools import partial

import numpy as np
import pytest

from gdrun.data import memory
from gdrun.data.csv import CsvData
from gdrun.data.npz import NpzData
from gdrun.errors import DataError, ResourceError

from .kinds import read

csv_data, npz_data = partial(read, CsvData), partial(read, NpzData)
RANDOM = np.random.default_rng(0)
ARRAYS = {
    "x": RANDOM.normal(size=(1000, 3)),
    "y": RANDOM.normal(size=1000),
    "columns": np.asfortranarray(RANDOM.normal(size=(1000, 3))),
    "small": RANDOM.integers(0, 9, 1000, dtype=np.int8),
    "flag": RANDOM.uniform(size=1000) > 0.5,
}


def are_equal(one, other):
    assert one.arrays().keys() == other.arrays().keys()
    for where, array in one.arrays().items():
        np.testing.assert_array_equal(array, other.arrays()[where])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_mapped_arrays_are_those_of_the_archive(tmp_path, save):
    save(tmp_path / "d.npz", **ARRAYS)
    settings = {"inputs": ["x", "columns", "small", "flag"], "target": "y", "example_weights": "small"}
    mapped = npz_data(tmp_path / "d.npz", memory="mapped", **settings)
    are_equal(mapped, npz_data(tmp_path / "d.npz", **settings))
    assert mapped.mapped
    assert all(isinstance(array, np.memmap) for array in mapped.inputs.values())
    np.testing.assert_array_equal(mapped.weights, ARRAYS["small"])


def test_mapped_columns_are_those_of_the_file(tmp_path):
    path = tmp_path / "d.csv"
    rows = np.c_[ARRAYS["x"], ARRAYS["y"]]
    np.savetxt(path, rows, delimiter=",", header="a,b,c,y", comments="", fmt="%.17g")
    settings = {"inputs": {"x": ["a", 2, "b"], "z": "a"}, "target": "y", "example_weights": None, "rows": "10:990"}
    mapped = csv_data(path, memory="mapped", **settings)
    are_equal(mapped, csv_data(path, **settings))
    np.testing.assert_array_equal(mapped.inputs["x"], rows[10:990, [0, 2, 1]])
    assert isinstance(mapped.inputs["x"], np.memmap)


def test_labels_of_mapped_columns_stay_labels(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("a,y\n1,dog\n2,cat\n3,dog\n")
    data = csv_data(path, inputs=["a"], target="y", memory="mapped")
    assert (data.labels, list(data.target)) == (("cat", "dog"), [1, 0, 1])


def test_auto_maps_what_would_fill_a_third_of_the_free_memory(tmp_path, monkeypatch):
    np.savez(tmp_path / "d.npz", **ARRAYS)
    settings = {"inputs": ["x"], "target": "y", "memory": "auto"}
    monkeypatch.setattr(memory, "available_bytes", lambda: 3 * 33_000)
    assert not npz_data(tmp_path / "d.npz", **settings).mapped
    monkeypatch.setattr(memory, "available_bytes", lambda: 3 * 32_000)
    assert npz_data(tmp_path / "d.npz", **settings).mapped
    path = tmp_path / "d.csv"
    path.write_text("a,y\n" + "1,2\n" * 1000)
    monkeypatch.setattr(memory, "available_bytes", lambda: 3 * 15_000)
    assert csv_data(path, inputs=["a"], target="y", memory="auto").mapped
    monkeypatch.setattr(memory, "available_bytes", lambda: 3 * 17_000)
    assert not csv_data(path, inputs=["a"], target="y", memory="auto").mapped


def test_blocks_are_bounded_and_cover_every_row_once(monkeypatch):
    monkeypatch.setattr(memory, "BLOCK_BYTES", 1000)
    rows = list(memory.blocks(ARRAYS["x"]))
    assert max(block.stop - block.start for block in rows) == 1000 // 24
    assert [block.start for block in rows[1:]] == [block.stop for block in rows[:-1]]
    assert (rows[0].start, rows[-1].stop) == (0, 1000)
    assert len(list(memory.blocks(np.zeros((5, 1000))))) == 5


def test_a_value_that_is_not_finite_is_found_in_any_block(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "BLOCK_BYTES", 1000)
    x = ARRAYS["x"].copy()
    x[777, 1] = np.inf
    np.savez(tmp_path / "d.npz", x=x)
    for kept in ("all", "mapped"):
        with pytest.raises(DataError, match=r"inputs.x\[777\]\[1\] is inf"):
            npz_data(tmp_path / "d.npz", inputs=["x"], memory=kept)


def test_nothing_is_left_in_the_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    path = tmp_path / "d.csv"
    path.write_text("a,b\n1,2\n3,4\n")
    data = csv_data(path, inputs={"x": ["a", "b"]}, memory="mapped")
    assert list(data.inputs["x"][1]) == [3, 4]
    assert list((tmp_path / "t").iterdir()) == []


def test_a_disk_without_room_is_told(monkeypatch):
    with pytest.raises(ResourceError, match="do not fit") as caught:
        memory.Growing(1 << 60)
    assert "TMPDIR" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: path.write_bytes(b"nothing"), "is not a NumPy archive"),
        (lambda path: np.savez(path, z=np.zeros(3)), "called 'x'"),
        (lambda path: np.savez(path, x=np.array([{}, {}])), "Python objects"),
        (lambda path: np.savez(path, x=np.zeros((0, 2))), "no examples"),
        (lambda path: np.savez(path, x=np.array(["a"])), "does not hold numbers"),
    ],
)
def test_what_cannot_be_mapped_is_refused(tmp_path, write, message):
    write(tmp_path / "d.npz")
    with pytest.raises(DataError, match=message):
        npz_data(tmp_path / "d.npz", inputs=["x"], memory="mapped")
