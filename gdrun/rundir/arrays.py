"""Named arrays in one .npz file: numpy's own format, the same bytes for the same arrays, nothing that runs code.

The file is a zip of uncompressed `NAME.npy` members with a fixed time, so `numpy.load(path)` reads it anywhere.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Mapping
from typing import IO, BinaryIO

import numpy as np
from numpy.typing import ArrayLike

_TIME = (1980, 1, 1, 0, 0, 0)
_HEADER_ROOM = 4096
_PIECE = 1 << 20


class ArraysError(ValueError):
    """A file that is not the .npz it should be; the message says in what."""


def write_arrays(file: BinaryIO, arrays: Mapping[str, ArrayLike], *, texts: Mapping[str, str] | None = None) -> None:
    """Write `arrays` as .npz, in their order.

    Args:
        file: seekable, at its start.
        arrays: name -> array of numbers, booleans or texts. Objects have no bytes of their own and are refused.
        texts: member's name -> text, stored beside the arrays (a checkpoint's meta.json).
    Raises:
        TypeError: an array holds Python objects, or a type that .npy would not give back.
    """
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, value in arrays.items():
            # Not ascontiguousarray, which makes a scalar one-dimensional.
            array = np.asarray(value, order="C")
            if array.dtype.kind not in "biufcUS":
                raise TypeError(f"array '{name}' of {array.dtype} cannot be stored")
            info = _member(f"{name}.npy", array.nbytes + _HEADER_ROOM)
            with archive.open(info, "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
        for name, text in (texts or {}).items():
            data = text.encode()
            with archive.open(_member(name, len(data)), "w") as member:
                member.write(data)


def _member(name: str, size: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _TIME)
    info.external_attr = 0o600 << 16
    info.create_system = 3
    info.file_size = size  # tells zipfile whether the member needs the format for more than 2 GiB
    return info


def read_arrays(file: BinaryIO) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the arrays and the texts of a file that `write_arrays` or `numpy.savez` wrote.

    The file may be hostile: nothing is unpickled, nothing is decompressed, and no array is larger than its member.

    Raises:
        ArraysError: the file is not such a file, or is damaged (each member has a checksum).
    """
    arrays: dict[str, np.ndarray] = {}
    texts: dict[str, str] = {}
    try:
        with zipfile.ZipFile(file) as archive:
            # Members may overlap in a crafted zip, so that a small file unfolds into a huge one.
            if sum(info.file_size for info in archive.infolist()) > file.seek(0, os.SEEK_END):
                raise ArraysError("its members are larger than the file")
            for info in archive.infolist():
                if info.compress_type != zipfile.ZIP_STORED:
                    raise ArraysError(f"member '{info.filename}' is compressed")
                with archive.open(info) as member:
                    if not info.filename.endswith(".npy"):
                        texts[info.filename] = member.read().decode("utf-8")
                        continue
                    name = info.filename.removesuffix(".npy")
                    if name in arrays:
                        raise ArraysError(f"array '{name}' is there twice")
                    arrays[name] = _read_array(member, info, name)
    except ArraysError:
        raise
    # Beside BadZipFile, zipfile and numpy's header reader let out whatever a malformed field leads them to.
    except Exception as error:
        raise ArraysError(str(error) or type(error).__name__) from error
    return arrays, texts


_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def _read_array(member: IO[bytes], info: zipfile.ZipInfo, name: str) -> np.ndarray:
    version = np.lib.format.read_magic(member)
    if version not in _HEADERS:
        raise ArraysError(f"array '{name}' has .npy version {version}")
    shape, fortran, dtype = _HEADERS[version](member)
    if dtype.hasobject:
        raise ArraysError(f"array '{name}' holds Python objects")
    size = info.file_size - member.tell()
    if min(shape, default=0) < 0 or size != math.prod(shape) * dtype.itemsize:
        raise ArraysError(f"array '{name}' has {size} bytes for shape {shape} of {dtype}")
    # Piece by piece into its own memory: a large model is never there twice. The last piece has the checksum compared.
    data = bytearray(size)
    rest = memoryview(data)
    while rest:
        piece = member.read(min(len(rest), _PIECE))
        if not piece:
            raise ArraysError(f"array '{name}' ends early")
        rest[: len(piece)] = piece
        rest = rest[len(piece) :]
    return np.ndarray(shape, dtype, data, order="F" if fortran else "C")
