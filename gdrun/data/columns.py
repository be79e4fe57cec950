"""Columns of a table of features, by name or position, as inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from gdrun.errors import ConfigPath, DataError
from gdrun.text import plural, safe_text

from .dataset import unknown_name

Column = str | int
"""A column by name, or by position counted from 0."""
Columns = Column | Sequence[Column]


def listed(columns: Columns) -> list[Column]:
    """Return the columns as a list, one or several."""
    return [columns] if isinstance(columns, (str, int)) else list(columns)


def find_column(column: Column, names: Sequence[str] | None, width: int, where: str) -> int:
    """Return the position of a column.

    Args:
        names: of the columns, in order; None: they have none.
        width: how many there are.
        where: what the table is called in messages.
    Raises:
        DataError: if there is no such column, or two of that name.
    """
    if isinstance(column, int):
        if not 0 <= column < width:
            raise DataError(
                f"{where} has no column {column}: its {plural(width, 'column')} count from 0 to {width - 1}"
            )
        return column
    if names is None:
        raise DataError(
            f"{where} has no names for its columns, so none is called '{safe_text(column, limit=60)}'",
            hint=f"give positions, 0 to {width - 1}",
        )
    found = [k for k, name in enumerate(names) if name == column]
    if not found:
        raise unknown_name(f"column in {where} called", column, names)
    if len(found) > 1:
        raise DataError(
            f"{where} has {len(found)} columns '{safe_text(column, limit=60)}'",
            hint=f"give the position: {' or '.join(map(str, found))}",
        )
    return found[0]


def named_within(
    place: Callable[[Column], int],
    inputs: Sequence[Column] | Mapping[str, Columns],
    target: Columns | None = None,
    weights: Column | None = None,
) -> None:
    """Refuse columns that are not there, with the part of the config that names them.

    Args:
        place: column -> position; raises for one that does not exist.
        inputs, target, weights: as the config has them.
    """
    given = inputs if isinstance(inputs, Mapping) else dict(enumerate(inputs))
    parts: list[tuple[ConfigPath, Columns | None]] = [(("inputs", key), columns) for key, columns in given.items()]
    for within, columns in [*parts, (("target",), target), (("example_weights",), weights)]:
        for column in () if columns is None else listed(columns):
            try:
                place(column)
            except DataError as error:
                error.within = within
                raise


def chosen_features(
    features: np.ndarray, names: Sequence[str] | None, inputs: Mapping[str, Columns] | None, where: str
) -> dict[str, np.ndarray]:
    """Return the inputs that a data set of features (N, F) gives.

    Args:
        inputs: input name -> a column, (N,), or several, (N, k); None: everything as `x`.
    Raises:
        DataError: if a column does not exist, or an example is no row of features.
    """
    if inputs is None:
        return {"x": features}
    if features.ndim != 2:
        raise DataError(
            f"an example of {where} has shape {features.shape[1:]}, which has no columns to choose from",
            hint="leave inputs out: everything is the input x",
            within=("inputs",),
        )

    def array(columns: Columns) -> np.ndarray:
        places = [find_column(column, names, features.shape[1], where) for column in listed(columns)]
        return features[:, places[0] if isinstance(columns, (str, int)) else places]

    named_within(lambda column: find_column(column, names, features.shape[1], where), inputs)
    return {name: array(columns) for name, columns in inputs.items()}
