"""Arrays of NumPy archives."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, BinaryIO, Literal

import numpy as np
from pydantic import Field, Tag

from gdrun.config.section import Identifier, by_form
from gdrun.errors import DataError
from gdrun.text import safe_text

from .dataset import Dataset, dataset, unknown_name
from .files import FileData, open_data, path_text
from .labels import encode_labels
from .memory import BLOCK_BYTES, Growing, Memory, is_mapped, mapped_array
from .section import named_inputs


class NpzData(FileData):
    """Arrays of a NumPy archive."""

    suffixes = (".npz",)
    kind: Literal["npz"]
    inputs: Annotated[
        Annotated[tuple[str, ...], Field(min_length=1), Tag("<sequence>")]
        | Annotated[dict[Identifier, str], Tag("<mapping>")],
        by_form("sequence", "mapping"),
    ]
    """Names of arrays in the file, or `{name: array}`."""
    target: str | None = None
    """Name of the target's array; one of text holds class labels, numbered in sorted order."""
    example_weights: str | None = None
    """Name of the array that says how much each example counts in the loss, as Keras's sample_weight."""
    memory: Memory = "auto"
    """all: keep the arrays in memory; mapped: read them from the file a window of batches at a time, which changes no
    result; auto: mapped where they would fill a third of the memory that is free."""

    @property
    def has_target(self) -> bool:
        return self.target is not None

    def input_names(self) -> tuple[str, ...] | None:
        return named_inputs(self.inputs)

    def read(self, path: Path, *, labels: tuple[str, ...] = (), memory: Memory | None = None) -> Dataset:
        """Return the arrays in the type they are stored in. Nothing in the file is ever unpickled.

        Compressed arrays that are mapped are read from a copy on disk; labels and weights are kept in memory.

        Raises:
            DataError: the file is unreadable, an array is not there or one of objects, or a failed check of `dataset`.
        """
        inputs = self.inputs if isinstance(self.inputs, Mapping) else {name: name for name in self.inputs}
        memory = memory or self.memory
        with open_data(path) as (file, digest):
            keys = [*inputs.values(), *(key for key in (self.target, self.example_weights) if key is not None)]
            mapped = memory != "all" and is_mapped(memory, _num_bytes(file, keys))
            arrays_of = _mapped_arrays if mapped else npz_arrays
            read = dict(zip(keys, arrays_of(file, keys, path), strict=True))
        target = None if self.target is None else read[self.target]
        weights = None if self.example_weights is None else read[self.example_weights]
        classes: tuple[str, ...] = ()
        if target is not None and target.dtype.kind in "US":
            if target.ndim != 1:
                raise DataError(
                    f"{path_text(path)}: the labels of array '{self.target}' have shape {target.shape}, not (N,)"
                )
            target, classes = encode_labels([str(text) for text in target.astype(str)], labels)
        if weights is not None:
            if weights.dtype.kind not in "iuf":
                raise DataError(
                    f"{path_text(path)}: array '{self.example_weights}' does not hold weights "
                    f"(its type is {weights.dtype})"
                )
            weights = weights.astype(np.float64)
        arrays = {name: read[key] for name, key in inputs.items()}
        return dataset(arrays, target, labels=classes, files={str(path): digest}, weights=weights, mapped=mapped)


def _num_bytes(file: BinaryIO, keys: Iterable[str]) -> int:
    """Return the memory that the arrays would take; 0 where the file is no archive, which reading it refuses."""
    try:
        with zipfile.ZipFile(file) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
    except (zipfile.BadZipFile, EOFError, ValueError):
        sizes = {}
    file.seek(0)
    return sum(sizes.get(f"{key}.npy", 0) for key in keys)


def _mapped_arrays(file: BinaryIO, keys: Iterable[str], path: str | Path) -> list[np.ndarray]:
    """Return arrays whose numbers stay on disk: in the archive itself where it is not compressed, else in a copy."""
    try:
        archive = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, EOFError, ValueError):
        raise DataError(f"{path_text(path)} is not a NumPy archive (.npz)") from None
    with archive:
        names = [name.removesuffix(".npy") for name in archive.namelist()]
        arrays = []
        for key in keys:
            if key not in names:
                raise unknown_name(f"array in {path_text(path)} called", key, names)
            where = f"{path_text(path)}: array '{safe_text(key, limit=60)}'"
            info = archive.getinfo(f"{key}.npy")
            if info.compress_type == zipfile.ZIP_STORED:
                # The entry's own header: 30 bytes, the last four of which give the lengths of two texts after it.
                file.seek(info.header_offset + 26)
                name_length, extra_length = struct.unpack("<HH", file.read(4))
                arrays.append(mapped_array(file, info.header_offset + 30 + name_length + extra_length, where))
            else:
                arrays.append(_unpacked(archive, info, where))
    return arrays


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo, where: str) -> np.ndarray:
    copy = Growing(info.file_size)
    try:
        with archive.open(info) as entry:
            while part := entry.read(BLOCK_BYTES):
                copy.add(np.frombuffer(part, np.uint8))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise DataError(f"{where} cannot be read: {safe_text(error, limit=200)}") from None
    return mapped_array(copy.file, 0, where)


def npz_arrays(file: BinaryIO, keys: Iterable[str], path: str | Path) -> list[np.ndarray]:
    """Return arrays of an open archive in the type they are stored in, truth values as numbers.

    Raises:
        DataError: as `NpzData.read`; `path` is what the file is called.
    """
    with _opened(file, path) as archive:
        return [_array(archive, key, path) for key in keys]


def all_npz_arrays(file: BinaryIO, path: str | Path) -> dict[str, np.ndarray]:
    """Return every array of an open archive by its name; otherwise as `npz_arrays`."""
    with _opened(file, path) as archive:
        return {key: _array(archive, key, path) for key in archive.files}


def _opened(file: BinaryIO, path: str | Path) -> np.lib.npyio.NpzFile:
    try:
        archive = np.load(file, allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile):
        raise DataError(f"{path_text(path)} is not a NumPy archive (.npz)") from None
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise DataError(f"{path_text(path)} holds a single array, not an archive", hint="save it with numpy.savez")
    return archive


def _array(archive: np.lib.npyio.NpzFile, key: str, path: str | Path) -> np.ndarray:
    if key not in archive.files:
        raise unknown_name(f"array in {path_text(path)} called", key, archive.files)
    try:
        array = archive[key]
    except (ValueError, EOFError, OSError, zlib.error, zipfile.BadZipFile, MemoryError, NotImplementedError) as error:
        reason = "it holds Python objects" if "allow_pickle" in str(error) else safe_text(error, limit=200)
        raise DataError(f"{path_text(path)}: array '{safe_text(key, limit=60)}' cannot be read: {reason}") from None
    if not isinstance(array, np.ndarray):
        # What does not begin like an array NumPy gives as bytes.
        raise DataError(f"{path_text(path)}: '{safe_text(key, limit=60)}' in it is not an array")
    return array.astype(np.float64) if array.dtype.kind == "b" else array
