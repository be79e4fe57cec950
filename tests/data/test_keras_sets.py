"""Claims about Keras's data sets on disk. Small files of the same form stand for the real ones."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import struct
from importlib import import_module
from typing import get_args

import numpy as np
import pytest

from gdrun.data.keras_sets import KerasData
from gdrun.errors import DataError, ResourceError

from .kinds import examples

RANDOM = np.random.default_rng(0)


def keras_data(name, **settings):
    return examples(KerasData, name=name, **settings)


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
    for part, (features, labels) in {"t10k": (x, y), "train": (x[:2], y[:2])}.items():
        write_idx(folder / "fashion-mnist" / f"{part}-images-idx3-ubyte.gz", features)
        write_idx(folder / "fashion-mnist" / f"{part}-labels-idx1-ubyte.gz", labels)
    data = keras_data("fashion_mnist", part="test")
    np.testing.assert_array_equal(data.inputs["x"], x)
    np.testing.assert_array_equal(data.target, y)


@pytest.mark.parametrize("inner", ["cifar-100-python-target/cifar-100-python", "cifar-100-python"])
def test_cifar_is_its_pickled_planes_with_fine_labels(folder, inner):
    """In the folder of newer versions of Keras, and in that of older ones."""
    place = folder / inner
    place.mkdir(parents=True)
    planes = {part: images(2, 3072) for part in ("train", "test")}
    for part, label in (("train", 5), ("test", 77)):
        content = {b"data": planes[part], b"fine_labels": [label, 3], b"coarse_labels": [1, 2]}
        (place / part).write_bytes(pickle.dumps(content, protocol=4))
    data = keras_data("cifar100", part="test")
    assert list(data.target) == [77, 3]
    assert data.inputs["x"].shape == (2, 32, 32, 3)
    assert data.inputs["x"][1, 1, 2, 0] == planes["test"][1][34]
    assert data.inputs["x"][1, 1, 2, 2] == planes["test"][1][2 * 1024 + 34]
    assert set(data.files) == {str(place / part) for part in ("train", "test")}


def test_a_pickle_cannot_make_anything_run(folder, tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "made"), "w"))

    place = folder / "cifar-100-python"
    place.mkdir()
    for part in ("train", "test"):
        (place / part).write_bytes(pickle.dumps({b"data": Evil(), b"fine_labels": [1]}))
    with pytest.raises(DataError, match="damaged"):
        keras_data("cifar100", part="test")
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


@pytest.mark.parametrize("name", get_args(KerasData.model_fields["name"].annotation))
def test_what_is_not_on_disk_is_named_and_not_downloaded(folder, name):
    with pytest.raises(ResourceError, match=rf"{name} is not on this machine: there is no file .*datasets") as caught:
        keras_data(name)
    assert f"keras.datasets.{name}.load_data()" in str(caught.value.hint)
    assert caught.value.exit_code == 8


def test_damaged_files_are_refused_and_left_alone(folder):
    (folder / "mnist.npz").write_bytes(b"<html>not found</html>")
    with pytest.raises(DataError, match=r"the files of mnist in .*datasets cannot be read: they are damaged"):
        keras_data("mnist")
    assert (folder / "mnist.npz").read_bytes() == b"<html>not found</html>"
    for part in ("t10k", "train"):
        write_idx(folder / "fashion-mnist" / f"{part}-images-idx3-ubyte.gz", images(4, 28, 28))
        write_idx(folder / "fashion-mnist" / f"{part}-labels-idx1-ubyte.gz", images(4))
    path = folder / "fashion-mnist" / "train-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(DataError, match="damaged"):
        keras_data("fashion_mnist")
    path.write_bytes(gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 9, 1, 2])))
    with pytest.raises(DataError, match="damaged"):
        keras_data("fashion_mnist")


def test_rows_beyond_the_part_are_refused(folder):
    x, y = images(6, 28, 28), np.arange(6)
    np.savez(folder / "mnist.npz", x_train=x, y_train=y, x_test=x, y_test=y)
    with pytest.raises(DataError, match="the train part of mnist, which has 6 data rows"):
        keras_data("mnist", rows="0:7")
