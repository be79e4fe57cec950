"""Data sets that other libraries know, by name: their settings and the choice of features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from gdrun.config.section import Identifier
from gdrun.errors import DataError

from .columns import Columns, Rows, TableColumns, check_rows, column_names
from .dataset import Dataset, dataset
from .section import DataSection


class LibraryData(DataSection):
    """A data set by its name."""

    inputs: Annotated[dict[Identifier, Columns], Field(min_length=1)] | None = None
    """`{name: column}`, columns by position (from 0), or by name where the data set names them; null: all that there
    is, as `x`."""
    rows: Rows | None = None
    """A half-open range of examples, "0:1500"."""

    def input_names(self) -> tuple[str, ...]:
        return ("x",) if self.inputs is None else tuple(self.inputs)

    def column_names(self, name: str) -> tuple[str, ...]:
        return column_names(self.inputs, name)

    def chosen(
        self,
        features: np.ndarray,
        target: np.ndarray,
        *,
        what: str,
        names: Sequence[str] | None = None,
        files: Mapping[str, str] | None = None,
    ) -> Dataset:
        """Return the chosen rows and columns of features (N, F), or (N, ...) where there are no columns to choose from.

        Args:
            target: (N, ...).
            what: the data set's name in messages.
            names: of the columns; None: they have none.
            files: path -> SHA-256 of each file that was read.
        Raises:
            DataError: a column does not exist, an example is no row of features, or the range goes beyond the examples.
        """
        rows = check_rows(self.rows, what, len(features))
        features, target = features[rows], target[rows]
        if self.inputs is None:
            return dataset({"x": features}, target, files=files)
        if features.ndim != 2:
            raise DataError(
                f"an example of {what} has shape {features.shape[1:]}, which has no columns to choose from",
                hint="leave inputs out: everything is the input x",
                within=("inputs",),
            )
        chosen = TableColumns(what, features.shape[1], names).choose(self.inputs)
        columns = {
            name: features[:, position if isinstance(position, int) else list(position)]
            for name, position in chosen.inputs.items()
        }
        return dataset(columns, target, files=files)
