"""Targets that are classes: text to numbers, numbers to one-hot rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gdrun.errors import DataError
from gdrun.text import plural, safe_text


def encode_labels(texts: Sequence[str], labels: tuple[str, ...] = ()) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return class numbers and the classes.

    Args:
        texts: one label an example.
        labels: the classes in the order of their numbers; empty: those that occur, sorted.
    Returns:
        (float64 (N,), classes): number k stands for classes[k].
    Raises:
        DataError: if a text is not among `labels`; the message gives its position.
    """
    classes = labels or tuple(sorted(set(texts)))
    number = {label: k for k, label in enumerate(classes)}
    for position, text in enumerate(texts):
        if text not in number:
            known = ", ".join(safe_text(label, limit=40) for label in classes[:20])
            raise DataError(f"target[{position}] is '{safe_text(text, limit=40)}', which is not one of: {known}")
    return np.array([number[text] for text in texts], dtype=np.float64), classes


def check_labels(target: np.ndarray, classes: int) -> None:
    """Refuse class numbers that are not 0, 1, ..., classes - 1.

    Raises:
        DataError: with the position and value of the first wrong one.
    """
    wrong = ~((target >= 0) & (target < classes) & (target == np.floor(target)))
    if wrong.any():
        place = tuple(int(i) for i in np.unravel_index(int(np.argmax(wrong)), target.shape))
        where = "".join(f"[{i}]" for i in place)
        raise DataError(
            f"target{where} is {target[place]:g}, but the labels of {plural(classes, 'class', 'classes')} "
            f"are the integers 0 to {classes - 1}"
        )


def one_hot(target: np.ndarray, classes: int) -> np.ndarray:
    """Return rows that are 1 at the label and 0 elsewhere, float64 (N, classes).

    Args:
        target: class numbers, (N,) or (N, 1).
        classes: how many there are.
    Raises:
        DataError: if the target has another shape or holds something that is not a class number.
    """
    if target.ndim != 1 and not (target.ndim == 2 and target.shape[1] == 1):
        raise DataError(
            f"classes: {classes} wants one label an example, but the target has shape {target.shape}",
            hint="leave classes out if the target is one-hot already",
        )
    check_labels(target, classes)
    rows = np.zeros((len(target), classes))
    rows[np.arange(len(target)), target.reshape(-1).astype(np.int64)] = 1
    return rows
