"""Claims about Keras's data sets on disk. Small files of the same form stand for the real ones."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import struct
from importlib import import_module

import numpy as np
import pytest

from gdrun.data.keras_sets import READERS, keras_data
from gdrun.errors import DataError, ResourceError

RANDOM = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "datasets").mkdir()
    return tmp_path / "datasets"


def images(*shape):
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def write_idx(path, array):
    path.parent.mkdir(exist_ok=True)
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape)
    path.write_bytes(gzip.compress(header + array.tobytes()))


def test_mnist_is_its_archive(folder):
    train, test = images(6, 28, 28), images(3, 28, 28)
    path = folder / "mnist.npz"
    np.savez(path, x_train=train, y_train=np.arange(6, dtype=np.uint8), x_test=test, y_test=np.arange(3))
    data = keras_data("mnist")
    np.testing.assert_array_equal(data.inputs["x"], train)
    assert list(data.target) == [0, 1, 2, 3, 4, 5]
    assert data.files == {str(path): hashlib.sha256(path.read_bytes()).hexdigest()}
    data = keras_data("mnist", part="test", rows="1:")
    np.testing.assert_array_equal(data.inputs["x"], test[1:])
    assert list(data.target) == [1, 2]


def test_fashion_mnist_is_gzipped_idx(folder):
    x, y = images(4, 28, 28), images(4) % 10
    write_idx(folder / "fashion-mnist" / "t10k-images-idx3-ubyte.gz", x)
    write_idx(folder / "fashion-mnist" / "t10k-labels-idx1-ubyte.gz", y)
    data = keras_data("fashion_mnist", part="test")
    np.testing.assert_array_equal(data.inputs["x"], x)
    np.testing.assert_array_equal(data.target, y)


@pytest.mark.parametrize("inner", ["cifar-10-batches-py-target/cifar-10-batches-py", "cifar-10-batches-py"])
def test_cifar10_is_five_pickled_batches_of_planes(folder, inner):
    place = folder / inner
    place.mkdir(parents=True)
    batches = [images(2, 3072) for _ in range(5)]
    for k, batch in enumerate(batches):
        (place / f"data_batch_{k + 1}").write_bytes(pickle.dumps({b"data": batch, b"labels": [k, 9]}, protocol=2))
    data = keras_data("cifar10")
    assert data.inputs["x"].shape == (10, 32, 32, 3)
    assert data.inputs["x"][3, 1, 2, 0] == batches[1][1][34]
    assert data.inputs["x"][3, 1, 2, 2] == batches[1][1][2 * 1024 + 34]
    assert list(data.target[:4]) == [0, 9, 1, 9]
    assert len(data.files) == 5


def test_cifar100_has_fine_labels(folder):
    place = folder / "cifar-100-python"
    place.mkdir()
    content = {b"data": images(2, 3072), b"fine_labels": [77, 3], b"coarse_labels": [1, 2]}
    (place / "test").write_bytes(pickle.dumps(content, protocol=2))
    assert list(keras_data("cifar100", part="test").target) == [77, 3]


def test_a_pickle_cannot_make_anything_run(folder, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "made"), "w"))

    place = folder / "cifar-10-batches-py"
    place.mkdir()
    (place / "test_batch").write_bytes(pickle.dumps({b"data": Evil(), b"labels": [1]}))
    with pytest.raises(DataError, match="damaged"):
        keras_data("cifar10", part="test")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["boston_housing", "california_housing"])
def test_houses_are_shuffled_and_cut_as_keras_does(folder, monkeypatch, name):
    x, y = RANDOM.normal(size=(23, 4)), RANDOM.normal(size=23)
    np.savez(folder / f"{name}.npz", x=x, y=y)
    module = import_module(f"keras.src.datasets.{name}")
    monkeypatch.setattr(module, "get_file", lambda *_, **__: folder / f"{name}.npz")
    parts = module.load_data()
    for part, (features, prices) in zip(("train", "test"), parts, strict=True):
        data = keras_data(name, part=part)
        np.testing.assert_array_equal(data.inputs["x"], features)
        np.testing.assert_array_equal(data.target, prices)
    chosen = keras_data(name, inputs={"rooms": 2})
    np.testing.assert_array_equal(chosen.inputs["rooms"], parts[0][0][:, 2])


@pytest.mark.parametrize("name", sorted(READERS))
def test_what_is_not_on_disk_is_named_and_not_downloaded(folder, name):
    with pytest.raises(ResourceError, match=rf"{name} is not on this machine: there is no file .*datasets") as caught:
        keras_data(name)
    assert f"keras.datasets.{name}.load_data()" in str(caught.value.hint)
    assert caught.value.exit_code == 8


def test_damaged_files_are_refused(folder):
    (folder / "mnist.npz").write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError, match="not a NumPy archive"):
        keras_data("mnist")
    write_idx(folder / "fashion-mnist" / "train-labels-idx1-ubyte.gz", images(4))
    path = folder / "fashion-mnist" / "train-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(DataError, match="damaged"):
        keras_data("fashion_mnist")
    path.write_bytes(gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 9, 1, 2])))
    with pytest.raises(DataError, match="damaged"):
        keras_data("fashion_mnist")


def test_rows_beyond_the_part_are_refused(folder):
    np.savez(folder / "mnist.npz", x_train=images(6, 28, 28), y_train=np.arange(6))
    with pytest.raises(DataError, match="the train part of mnist, which has 6 data rows"):
        keras_data("mnist", rows="0:7")
