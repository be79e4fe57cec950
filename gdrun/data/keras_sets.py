"""Data sets of keras.datasets, from the files that Keras left on disk. Nothing is downloaded."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gdrun.errors import DataError, GdrunError, ResourceError

from .dataset import Dataset
from .files import open_data, path_text
from .library import LibraryData
from .section import LoadContext


class KerasData(LibraryData):
    """A data set of keras.datasets that is on disk already, in $KERAS_HOME/datasets; nothing is downloaded.

    As in Keras, the housing data is shuffled by RandomState(113), and its last fifth is the test part.
    """

    foreign = True

    kind: Literal["keras"]
    name: Literal["mnist", "fashion_mnist", "cifar10", "cifar100", "boston_housing", "california_housing"]
    """Name of the data set in keras.datasets."""
    part: Literal["train", "test"] = "train"
    """The part to read; `validation: {part: test}` holds the other."""

    def examples(self, context: LoadContext) -> Dataset:
        """Return a part of a data set, as Keras's own `load_data` reads it, in the types of its files.

        Images are (N, 28, 28) or (N, 32, 32, 3), houses (N, features), labels and prices (N,).

        Raises:
            ResourceError: a file is not there; the message names it and says how to get it.
            DataError: a file is not what it should be.
        """
        from unittest.mock import patch

        load_data = import_module(f"keras.datasets.{self.name}").load_data
        files: dict[str, str] = {}

        def cached_file(fname: str, *_: Any, cache_subdir: str = "datasets", **__: Any) -> str:
            return str(_cached(self.name, Path(cache_subdir), fname, files))

        try:
            # Keras's reader with a `get_file` that only looks into the cache. Keras's own would download what is
            # missing, and anew what differs from the file of its release; if that fails, it deletes the user's file.
            with patch.dict(load_data.__globals__, get_file=cached_file):
                parts = load_data()
        except GdrunError:
            raise
        except Exception as error:  # a damaged archive, gzip stream or pickle can fail in any way
            folder = path_text(_keras_home() / "datasets")
            raise DataError(
                f"the files of {self.name} in {folder} cannot be read: they are damaged, or something else"
            ) from error
        features, target = parts[0 if self.part == "train" else 1]
        if len(features) != len(target):
            raise DataError(f"{self.name} has {len(features)} examples and {len(target)} labels; its files are damaged")
        # Keras has CIFAR's labels in a column.
        return self.chosen(features, np.reshape(target, -1), what=f"the {self.part} part of {self.name}", files=files)


def _keras_home() -> Path:
    """Return the folder that Keras keeps its files in: $KERAS_HOME, or ~/.keras."""
    return Path(os.environ.get("KERAS_HOME") or Path("~/.keras").expanduser())


def _cached(name: str, folder: Path, file: str, files: dict[str, str]) -> Path:
    """Return the file or unpacked archive that Keras calls `file`; note the hash of what is in it.

    Raises:
        ResourceError: it is not there.
    """
    path = _keras_home() / folder / file
    if not path.exists() and file.endswith("-target"):
        # Older versions of Keras unpacked archives beside each other, newer ones into a folder for each.
        path = path.with_name(file.removesuffix("-target"))
        members, result = path, path.parent
    else:
        members, result = path, path
    if not path.exists():
        missing = _keras_home() / folder / file
        raise ResourceError(
            f"the data set {name} is not on this machine: there is no file {path_text(missing)}",
            hint="gdrun downloads nothing; Keras does, once: "
            f'python -c "import keras; keras.datasets.{name}.load_data()"',
        )
    for member in sorted(members.rglob("*")) if members.is_dir() else [members]:
        if member.is_file():
            with open_data(member) as (_, digest):
                files[str(member)] = digest
    return result
