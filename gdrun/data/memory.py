"""Data that stays on disk: arrays that are read from files as they are needed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from gdrun.errors import DataError, ResourceError
from gdrun.machine import available_bytes
from gdrun.text import human_bytes

Memory = Literal["auto", "all", "mapped"]
"""Where examples are kept: all in memory, on disk and read as they are needed, or the one that fits."""

SHARE = 1 / 3
"""Of the memory that is free: examples are held as read, as cast and as tensors, for a moment all three."""
BLOCK_BYTES = 16 << 20
"""What is looked at in one go of an array that may be larger than memory."""


def is_mapped(memory: Memory, num_bytes: int) -> bool:
    """Return whether examples of so many bytes stay on disk."""
    return memory == "mapped" or (memory == "auto" and num_bytes > SHARE * available_bytes())


def blocks(array: np.ndarray) -> Iterator[slice]:
    """Yield the rows of an array in blocks of about BLOCK_BYTES."""
    row_bytes = max(1, array.nbytes // max(1, len(array)))
    step = max(1, BLOCK_BYTES // row_bytes)
    for first in range(0, len(array), step):
        yield slice(first, min(first + step, len(array)))


class Growing:
    """An array that grows row by row in a temporary file, which is gone when nobody uses it.

    Args:
        num_bytes: about how many it will have; 0 where nobody knows.
    Raises:
        ResourceError: the disk has no room for them; so does `add`.
    """

    def __init__(self, num_bytes: int = 0) -> None:
        folder = tempfile.gettempdir()
        disk = os.statvfs(folder)
        free = disk.f_bavail * disk.f_frsize
        if num_bytes > free:
            raise _no_room(f"{human_bytes(num_bytes)} of examples do not fit, {human_bytes(free)} are free")
        self.file = tempfile.TemporaryFile(prefix="gdrun-", dir=folder)  # noqa: SIM115  # closed with this object
        self._num_rows = 0
        self._like = np.zeros(0)

    def add(self, part: np.ndarray) -> None:
        """Append rows, all of one type and shape."""
        try:
            self.file.write(np.ascontiguousarray(part).data)
        except OSError as error:
            raise _no_room(error.strerror or str(error)) from None
        self._num_rows += len(part)
        self._like = part[:0]

    def array(self) -> np.ndarray:
        """Return the rows, read from the file as they are needed."""
        try:
            self.file.flush()
        except OSError as error:
            raise _no_room(error.strerror or str(error)) from None
        shape = (self._num_rows, *self._like.shape[1:])
        return np.memmap(self.file, dtype=self._like.dtype, mode="r", shape=shape)


def _no_room(reason: str) -> ResourceError:
    hint = "the environment variable TMPDIR names another folder, on a disk"
    return ResourceError(f"examples cannot be kept in {tempfile.gettempdir()}: {reason}", hint=hint)


def side_by_side(columns: list[np.ndarray]) -> np.ndarray:
    """Return columns (N,) on disk as rows (N, k) on disk."""
    result = Growing(sum(column.nbytes for column in columns))
    for rows in blocks(columns[0]):
        result.add(np.stack([column[rows] for column in columns], axis=1))
    return result.array()


def mapped_array(file: Any, offset: int, where: str) -> np.ndarray:
    """Return the array of an .npy file that begins at `offset` of an open file, read from there as it is needed.

    Raises:
        DataError: if there is none, or it holds objects.
    """
    file.seek(offset)
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
    except ValueError:
        raise DataError(f"{where} cannot be read") from None
    if dtype.hasobject:
        raise DataError(f"{where} cannot be read: it holds Python objects")
    if not shape or 0 in shape:
        return np.zeros(shape, dtype)
    return np.memmap(file, dtype=dtype, mode="r", offset=file.tell(), shape=shape, order="F" if fortran else "C")
