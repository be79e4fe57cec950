""".npz files: numpy reads them, the same arrays give the same bytes, hostile ones are refused."""

from __future__ import annotations

import io
import warnings
import zipfile

import numpy as np
import pytest

from gdrun.rundir.arrays import ArraysError, read_arrays, write_arrays

ARRAYS = {
    "dense1.kernel": np.arange(6, dtype=np.float32).reshape(2, 3),
    "file": np.float64(np.pi),  # a name that numpy.savez cannot take
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "strided": np.arange(10)[::2],
    "empty": np.zeros((0, 3)),
    "labels": np.array(["a", "bc"]),
    "complex": np.array([1j]),
    "flag": np.array(True),
}


def written(arrays: dict, **options) -> bytes:
    file = io.BytesIO()
    write_arrays(file, arrays, **options)
    return file.getvalue()


def test_numpy_reads_what_was_written_and_so_do_we():
    data = written(ARRAYS)
    ours, texts = read_arrays(io.BytesIO(data))
    assert texts == {}
    assert list(ours) == list(ARRAYS)
    with np.load(io.BytesIO(data), allow_pickle=False) as numpys:
        for name, array in ARRAYS.items():
            for read in (numpys[name], ours[name]):
                assert read.dtype == np.asarray(array).dtype
                assert read.shape == np.asarray(array).shape
                np.testing.assert_array_equal(read, array)
    ours["dense1.kernel"][0, 0] = 5  # and it may be written to


def test_what_numpy_wrote_is_read():
    file = io.BytesIO()
    np.savez(file, a=np.arange(3), b=np.asfortranarray(np.ones((2, 2))))
    arrays, _ = read_arrays(file)
    assert arrays["a"].tolist() == [0, 1, 2]


def test_the_same_arrays_give_the_same_bytes_and_texts_go_beside_them():
    assert written(ARRAYS) == written(ARRAYS)
    data = written({"a": np.zeros(1)}, texts={"meta.json": "{}"})
    assert read_arrays(io.BytesIO(data))[1] == {"meta.json": "{}"}


@pytest.mark.parametrize("value", [np.array([{}], object), np.zeros(2, [("x", "f4")]), np.array([None])])
def test_objects_are_not_written(value: np.ndarray):
    with pytest.raises(TypeError):
        written({"a": value})


def zipped(content: bytes, *, compress: int = zipfile.ZIP_STORED, names: tuple[str, ...] = ("a.npy",)) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compress) as archive:
        for name in names:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # zipfile warns of a name that is there twice
                archive.writestr(name, content)
    return file


def npy(header: str, data: bytes = b"") -> bytes:
    text = header.encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def pickled() -> bytes:
    file = io.BytesIO()
    np.save(file, np.array([print], object), allow_pickle=True)
    return file.getvalue()


@pytest.mark.parametrize(
    "file",
    [
        io.BytesIO(b""),
        io.BytesIO(b"not a zip"),
        zipped(b""),
        zipped(b"nonsense"),
        zipped(pickled()),
        zipped(npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }\n")),
        zipped(npy("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }\n", b"x" * 8)),
        zipped(npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", b"x" * 8)),
        zipped(npy("__import__('os').system('true')\n")),
        zipped(npy("(" * 5000)),
        zipped(npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }\n", b"x" * 8), names=("a.npy", "a.npy")),
        zipped(npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1,), }\n", b"12345678"), compress=8),
        zipped(npy("{'descr': '<f8', 'fortran_order': False, 'shape': (99,), }\n", b"\0" * 792), compress=8),
    ],
)
def test_a_hostile_file_is_refused(file: io.BytesIO):
    with pytest.raises(ArraysError):
        read_arrays(file)


def test_every_cut_is_refused_and_no_flipped_bit_changes_a_value_silently():
    data = written({"a": np.arange(4.0), "b": np.float32(1)})
    for size in range(len(data)):
        with pytest.raises(ArraysError):
            read_arrays(io.BytesIO(data[:size]))
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position % 8
        try:
            arrays, _ = read_arrays(io.BytesIO(bytes(flipped)))
        except ArraysError:
            continue
        for name, expected in {"a": np.arange(4.0), "b": np.float32(1)}.items():
            if name in arrays:  # a flipped bit in a member's name renames it
                np.testing.assert_array_equal(arrays[name], expected)
