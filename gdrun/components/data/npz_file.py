"""Arrays of NumPy archives."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gdrun.components.data.dataset import Dataset, dataset, unknown_name
from gdrun.components.data.files import open_data, shown
from gdrun.components.data.labels import encode_labels
from gdrun.errors import DataError
from gdrun.text import safe_text


def npz_data(
    path: str | Path,
    *,
    inputs: Sequence[str] | Mapping[str, str],
    target: str | None = None,
    labels: tuple[str, ...] = (),
    weights: str | None = None,
) -> Dataset:
    """Read arrays of an .npz file in the type they are stored in. Nothing in it is ever unpickled.

    Args:
        path: the file.
        inputs: names of arrays, or input name -> name of array.
        target: name of an array; one of text holds labels, which become 0, 1, ... in sorted order.
        labels: the target's classes, where they are known already (those of the training data).
        weights: name of the array of the examples' weights.
    Raises:
        DataError: for an unreadable file, an unknown array, an array of objects, or a failed check of `dataset`.
    """
    if not isinstance(inputs, Mapping):
        inputs = {name: name for name in inputs}
    with open_data(path) as (file, digest):
        wanted = [*inputs.values(), *(key for key in (target, weights) if key is not None)]
        read = dict(zip(wanted, npz_arrays(file, wanted, path), strict=True))
    arrays = {name: read[key] for name, key in inputs.items()}
    values = None if target is None else read[target]
    counts = None if weights is None else read[weights]
    if values is not None and values.dtype.kind in "US":
        if values.ndim != 1:
            raise DataError(f"{shown(path)}: the labels of array '{target}' have shape {values.shape}, not (N,)")
        values, labels = encode_labels([str(text) for text in values.astype(str)], labels)
    else:
        labels = ()
    if counts is not None:
        if counts.dtype.kind not in "iuf":
            raise DataError(f"{shown(path)}: array '{weights}' does not hold weights (its type is {counts.dtype})")
        counts = counts.astype(np.float64)
    return dataset(arrays, values, labels=labels, files={str(path): digest}, weights=counts)


def npz_arrays(file: BinaryIO, keys: Iterable[str], path: str | Path) -> list[np.ndarray]:
    """Return arrays of an open archive in the type they are stored in, truth values as numbers.

    Raises:
        DataError: as `npz_data`; `path` is what the file is called.
    """
    try:
        archive = np.load(file, allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile):
        raise DataError(f"{shown(path)} is not a NumPy archive (.npz)") from None
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise DataError(f"{shown(path)} holds a single array, not an archive", hint="save it with numpy.savez")
    with archive:
        return [_array(archive, key, path) for key in keys]


def _array(archive: np.lib.npyio.NpzFile, key: str, path: str | Path) -> np.ndarray:
    if key not in archive.files:
        raise unknown_name(f"array in {shown(path)} called", key, archive.files)
    try:
        array = archive[key]
    except (ValueError, EOFError, OSError, zlib.error, zipfile.BadZipFile, MemoryError, NotImplementedError) as error:
        reason = "it holds Python objects" if "allow_pickle" in str(error) else safe_text(error, limit=200)
        raise DataError(f"{shown(path)}: array '{safe_text(key, limit=60)}' cannot be read: {reason}") from None
    return array.astype(np.float64) if array.dtype.kind == "b" else array
