"""The shortest decimal digits that give a number back in its own precision, for whole arrays at a time."""

from __future__ import annotations

import numpy as np

_NOT_FINITE = {"nan": '"nan"', "inf": '"inf"', "-inf": '"-inf"'}


def shortest_float64(array: np.ndarray) -> np.ndarray:
    """Return float64 values whose shortest text (`repr`) is the shortest that gives `array` back.

    A float32 holding 0.1 is 0.10000000149011612 in float64; it is replaced by 0.1, which becomes the same float32
    again. float64 comes back as it is.

    Args:
        array: real floating numbers of any shape; not-finite ones are kept.
    Returns:
        float64, the same shape.
    """
    if array.dtype != np.float32:
        return array.astype(np.float64)
    # numpy writes a float32 with the fewest digits that only it has; Python reads texts faster than numpy does.
    return np.array([float(text) for text in array.astype(str).ravel().tolist()]).reshape(array.shape)


def shortest_texts(array: np.ndarray) -> list[str]:
    """Return the JSON text of each element of `array`, flattened in C order; not-finite ones as quoted strings.

    Args:
        array: bool, integer or real floating numbers.
    """
    kind = array.dtype.kind
    if kind in "iu":
        return [str(value) for value in array.ravel().tolist()]
    if kind == "b":
        return ["true" if value else "false" for value in array.ravel().tolist()]
    values = array.ravel()
    if values.size > 1 and (values == values[0]).all() and (np.signbit(values) == np.signbit(values[0])).all():
        return shortest_texts(values[:1]) * values.size  # a learning rate that never changes
    texts = map(repr, values.tolist()) if values.dtype == np.float64 else values.astype(str).tolist()
    # numpy's texts of float32 are those of Python's float but for exponents in place of zeros: 5.990656e+07.
    return [repr(float(text)) if "e" in text else _NOT_FINITE.get(text, text) for text in texts]
