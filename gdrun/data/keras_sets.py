"""Data sets of keras.datasets, from the files that Keras left on disk. Nothing is downloaded, and Keras not imported.

Shape letters: N examples.
"""

from __future__ import annotations

import gzip
import io
import os
import pickle
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gdrun.errors import DataError, ResourceError

from .columns import Columns, chosen_features
from .dataset import Dataset, dataset
from .files import beyond_rows, open_data, row_range, shown
from .npz_file import npz_arrays

Part = Literal["train", "test"]

TEST_SHARE = 0.2
"""Share of the housing data that Keras makes its test part, after RandomState(113) has shuffled it."""
_SHUFFLE_SEED = 113
_MAX_BYTES = 1 << 30


def keras_data(
    name: str, *, part: Part = "train", inputs: Mapping[str, Columns] | None = None, rows: str | None = None
) -> Dataset:
    """Return a part of a data set of keras.datasets, in the types of its files.

    Args:
        name: a key of READERS.
        part: "train" or "test".
        inputs: input name -> a column, (N,), or several, (N, k), by position; None: everything as `x`: images
            (N, 28, 28) or (N, 32, 32, 3), houses (N, features).
        rows: half-open range of examples.
    Returns:
        inputs; labels (N,) or prices (N,) as target; and the files' hashes.
    Raises:
        ResourceError: a file is not there; the message names it and says how to get it.
        DataError: a file is not what it should be.
    """
    folder = _Folder(name, keras_home() / "datasets")
    features, target = READERS[name](folder, part)
    if len(features) != len(target):
        raise DataError(f"{name} has {len(features)} examples and {len(target)} labels; its files are damaged")
    first, stop = row_range(rows)
    if len(features) < (stop or 0) or len(features) <= first:
        raise beyond_rows(rows, f"the {part} part of {name}", len(features))
    arrays = chosen_features(features[first:stop], None, inputs, name)
    return dataset(arrays, target[first:stop], files=folder.files)


def keras_home() -> Path:
    """Return the folder that Keras keeps its files in: $KERAS_HOME, or ~/.keras."""
    return Path(os.environ.get("KERAS_HOME") or Path("~/.keras").expanduser())


@dataclass
class _Folder:
    """Where a data set's files are; notes the hash of each that is read."""

    name: str
    path: Path
    files: dict[str, str] = field(default_factory=dict)

    def read(self, *places: str) -> bytes:
        """The bytes of the first of `places` that is there."""
        for place in places:
            path = self.path / place
            if path.exists():
                with open_data(path) as (file, digest):
                    self.files[str(path)] = digest
                    return file.read()
        raise ResourceError(
            f"the data set {self.name} is not on this machine: there is no file {shown(self.path / places[0])}",
            hint="gdrun downloads nothing; Keras does, once: "
            f'python -c "import keras; keras.datasets.{self.name}.load_data()"',
        )

    def damaged(self, what: str) -> DataError:
        return DataError(f"{what} of {self.name} cannot be read: it is damaged, or something else")

    def archive(self, place: str, *keys: str) -> list[np.ndarray]:
        """Arrays of an .npz file."""
        return npz_arrays(io.BytesIO(self.read(place)), keys, self.path / place)


def _mnist(folder: _Folder, part: Part) -> tuple[np.ndarray, np.ndarray]:
    features, target = folder.archive("mnist.npz", f"x_{part}", f"y_{part}")
    return features, target


def _fashion_mnist(folder: _Folder, part: Part) -> tuple[np.ndarray, np.ndarray]:
    stem = "train" if part == "train" else "t10k"
    labels = _idx(folder, f"fashion-mnist/{stem}-labels-idx1-ubyte.gz", dimensions=1)
    return _idx(folder, f"fashion-mnist/{stem}-images-idx3-ubyte.gz", dimensions=3), labels


def _idx(folder: _Folder, place: str, *, dimensions: int) -> np.ndarray:
    """The array of a gzipped IDX file of bytes: 0 0 8 dimensions, their sizes as big-endian int32, then the bytes."""
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(folder.read(place))) as file:
            content = file.read(_MAX_BYTES)
    except (OSError, EOFError, zlib.error):
        raise folder.damaged(place) from None
    start = 4 + 4 * dimensions
    shape = tuple(int(size) for size in np.frombuffer(content[4:start], ">i4"))
    if content[:4] != bytes([0, 0, 8, dimensions]) or min(shape) < 0 or len(content) - start != np.prod(shape):
        raise folder.damaged(place)
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _cifar10(folder: _Folder, part: Part) -> tuple[np.ndarray, np.ndarray]:
    names = [f"data_batch_{k}" for k in range(1, 6)] if part == "train" else ["test_batch"]
    batches = [_cifar_batch(folder, "cifar-10", "cifar-10-batches-py", name, b"labels") for name in names]
    return np.concatenate([images for images, _ in batches]), np.concatenate([labels for _, labels in batches])


def _cifar100(folder: _Folder, part: Part) -> tuple[np.ndarray, np.ndarray]:
    return _cifar_batch(folder, "cifar-100", "cifar-100-python", part, b"fine_labels")


def _cifar_batch(folder: _Folder, stem: str, inner: str, name: str, label_key: bytes) -> tuple[np.ndarray, np.ndarray]:
    """The images, (N, 32, 32, 3), and labels of a pickled batch."""
    # Keras unpacks the archive into a folder that older versions did not make.
    content = folder.read(f"{inner}-target/{inner}/{name}", f"{inner}/{name}")
    try:
        batch = _PlainUnpickler(io.BytesIO(content), encoding="bytes").load()
        images = np.asarray(batch[b"data"], np.uint8).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        return np.ascontiguousarray(images), np.asarray(batch[label_key], np.uint8)
    except Exception:  # a pickle of something else can fail in any way
        raise folder.damaged(name) from None


class _PlainUnpickler(pickle.Unpickler):
    """Reads nothing but plain values and arrays of numbers, so that a file cannot make anything run."""

    _ALLOWED = frozenset({"_reconstruct", "ndarray", "dtype", "_frombuffer"})

    def find_class(self, module: str, name: str) -> Any:
        if module in ("numpy", "numpy.core.multiarray", "numpy._core.multiarray") and name in self._ALLOWED:
            return super().find_class(module.replace("numpy.core", "numpy._core"), name)
        if (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} has no business in a data file")


def _houses(place: str) -> Callable[[_Folder, Part], tuple[np.ndarray, np.ndarray]]:
    def read(folder: _Folder, part: Part) -> tuple[np.ndarray, np.ndarray]:
        features, target = folder.archive(place, "x", "y")
        order = np.arange(len(features))
        np.random.RandomState(_SHUFFLE_SEED).shuffle(order)
        cut = int(len(order) * (1 - TEST_SHARE))
        order = order[:cut] if part == "train" else order[cut:]
        return features[order], target[order]

    return read


READERS: dict[str, Callable[[_Folder, Part], tuple[np.ndarray, np.ndarray]]] = {
    "mnist": _mnist,
    "fashion_mnist": _fashion_mnist,
    "cifar10": _cifar10,
    "cifar100": _cifar100,
    "boston_housing": _houses("boston_housing.npz"),
    "california_housing": _houses("california_housing.npz"),
}
"""Every data set by its name."""
