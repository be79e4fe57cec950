"""Named arrays in one .npz file: numpy's own format, the same bytes for the same arrays, no pickles.

The file is a zip of uncompressed `NAME.npy` members, so `numpy.load(path)` reads it anywhere. `numpy.savez` writes the
same, but takes the names as keyword arguments, so that no array could be called `file`.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import BinaryIO

import numpy as np
from numpy.typing import ArrayLike


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
    # zipfile dates a member that is opened by its name 1980-01-01, so the bytes depend on the arrays alone.
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, value in arrays.items():
            # Not ascontiguousarray, which makes a scalar one-dimensional.
            array = np.asarray(value, order="C")
            if array.dtype.kind not in "biufcUS":
                raise TypeError(f"array '{name}' of {array.dtype} cannot be stored")
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
        for name, text in (texts or {}).items():
            with archive.open(name, "w") as member:
                member.write(text.encode())


def read_arrays(file: BinaryIO) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the arrays and the texts of a file that `write_arrays` or `numpy.savez` wrote.

    Nothing is unpickled, and nothing is decompressed: what is read into memory is bounded by the size of the file.

    Raises:
        ArraysError: the file is not such a file, or is damaged (each member has a checksum).
    """
    arrays: dict[str, np.ndarray] = {}
    texts: dict[str, str] = {}
    try:
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                if info.compress_type != zipfile.ZIP_STORED or name in arrays:
                    raise ArraysError(f"member '{info.filename}' is compressed, or there twice")
                # The whole member, not numpy.load: a damaged header could ask for fewer bytes than there are, and then
                # zipfile never reaches the end, where it compares the checksum.
                data = archive.read(info)
                if name == info.filename:
                    texts[name] = data.decode("utf-8")
                else:
                    arrays[name] = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    # Beside BadZipFile, zipfile and numpy's header reader let out whatever a malformed field leads them to.
    except Exception as error:
        raise ArraysError(str(error) or type(error).__name__) from error
    return arrays, texts
