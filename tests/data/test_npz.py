"""Claims about reading archives."""

from __future__ import annotations

import hashlib
from functools import partial

import numpy as np
import pytest

from gdrun.data.npz import NpzData
from gdrun.errors import DataError

from .kinds import read

npz_data = partial(read, NpzData)


@pytest.fixture
def archive(tmp_path):
    path = tmp_path / "d.npz"
    np.savez(
        path,
        x=np.arange(6, dtype=np.float32).reshape(3, 2),
        n=np.arange(3, dtype=np.uint8),
        flag=np.array([True, False, True]),
        kind=np.array(["b", "a", "b"]),
        short=np.zeros(2),
        objects=np.array([{}, [], 1], dtype=object),
    )
    return path


def test_arrays_keep_their_type_and_the_file_is_hashed(archive):
    data = npz_data(archive, inputs=["x", "n"], target="flag")
    assert [array.dtype.name for array in data.arrays().values()] == ["float32", "uint8", "float64"]
    assert data.files == {str(archive): hashlib.sha256(archive.read_bytes()).hexdigest()}
    assert list(npz_data(archive, inputs={"pixels": "x"}).inputs) == ["pixels"]


def test_a_text_target_becomes_sorted_class_numbers(archive):
    data = npz_data(archive, inputs=["x"], target="kind")
    assert data.labels == ("a", "b")
    assert list(data.target) == [1, 0, 1]


def test_arrays_that_are_wrong_are_refused(archive, tmp_path):
    for settings, message in [
        ({"inputs": ["y"]}, "no array in .* called 'y'"),
        ({"inputs": ["x"], "target": "short"}, "inputs.x has 3 examples, target has 2"),
        ({"inputs": ["objects"]}, "holds Python objects"),
        ({"inputs": ["kind"]}, "does not hold numbers"),
    ]:
        with pytest.raises(DataError, match=message):
            npz_data(archive, **settings)
    np.save(tmp_path / "one.npy", np.zeros(3))
    (tmp_path / "text.npz").write_text("hello")
    (tmp_path / "empty.npz").write_text("")
    (tmp_path / "cut.npz").write_bytes(archive.read_bytes()[:300])
    for name, message in [
        ("one.npy", "single array"),
        ("text.npz", "not a NumPy archive"),
        ("empty.npz", "not a NumPy archive"),
        ("cut.npz", "not a NumPy archive"),
    ]:
        with pytest.raises(DataError, match=message):
            npz_data(tmp_path / name, inputs=["x"])


def test_a_flipped_byte_is_found(archive):
    content = bytearray(archive.read_bytes())
    content[content.index(np.float32(5.0).tobytes())] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(DataError, match="array 'x' cannot be read"):
        npz_data(archive, inputs=["x"])
