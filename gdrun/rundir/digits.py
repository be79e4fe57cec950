"""The shortest decimal digits that give a number back in its own precision, for whole arrays at a time."""

from __future__ import annotations

import json

import numpy as np

_POWERS_OF_TEN = 10.0 ** np.arange(23)
"""10**22 is the largest power of ten that float64 holds exactly."""

_SURE_DIGITS = 6
_ENOUGH_DIGITS = 9
"""Any 6 digits survive float32, and 9 tell any two float32 apart (C's FLT_DIG and FLT_DECIMAL_DIG)."""


def shortest_float64(array: np.ndarray) -> np.ndarray:
    """Return float64 values whose shortest text (`repr`) is the shortest that gives `array` back.

    A float32 holding 0.1 is 0.10000000149011612 in float64; it is replaced by 0.1, which becomes the same float32
    again. float64 comes back as it is.

    For d digits the candidate is the decimal m / 10**k with a whole m below 10**d. With m and 10**k exact in float64,
    one division rounds it correctly, so its repr has those digits and no more; the fewest d that round-trips wins.

    Args:
        array: real floating numbers of any shape; not-finite ones are kept.
    Returns:
        float64, the same shape.
    """
    values = array.astype(np.float64)
    if array.dtype != np.float32:
        return values
    magnitude = np.abs(values)
    open_ = np.isfinite(magnitude) & (magnitude > 0)
    exponent = np.floor(np.log10(np.where(open_, magnitude, 1.0))).astype(np.int64)
    # Outside these the power of ten is not exact; few values are there, and numpy's own text serves them one by one.
    rare = open_ & ((exponent <= _ENOUGH_DIGITS - 1 - 22) | (exponent >= 22))
    open_ &= ~rare
    for digits in range(_SURE_DIGITS, _ENOUGH_DIGITS + 1):
        shift = digits - 1 - exponent
        up = _POWERS_OF_TEN[np.clip(shift, 0, 22)]
        down = _POWERS_OF_TEN[np.clip(-shift, 0, 22)]
        candidate = np.copysign(np.rint(magnitude * up / down) / up * down, values)
        good = open_ & (candidate.astype(np.float32) == array)
        values[good] = candidate[good]
        open_ &= ~good
    rare |= open_
    if rare.any():
        values[rare] = [float(str(value)) for value in array[rare]]
    return values


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
    values = shortest_float64(values)
    # One call for the whole list is several times faster than one repr a number.
    texts = json.dumps(values.tolist())[1:-1].split(", ") if values.size else []
    if not np.isfinite(values).all():
        texts = [_NOT_FINITE.get(text, text) for text in texts]
    return texts


_NOT_FINITE = {"NaN": '"nan"', "Infinity": '"inf"', "-Infinity": '"-inf"'}
