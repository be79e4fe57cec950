"""Rows and columns of runs in Python, as pandas data frames where pandas is installed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gdrun.errors import ResourceError

if TYPE_CHECKING:
    import numpy as np
    import pandas


class RowTable(list[dict[str, Any]]):
    """Rows that all have the same keys, None where there is no such value."""

    def to_pandas(self) -> pandas.DataFrame:
        """Return the rows as a pandas DataFrame, a column a key.

        Raises:
            ResourceError: pandas is not installed.
        """
        return _pandas().DataFrame.from_records(self, columns=list(self[0]) if self else None)

    def _repr_html_(self) -> str:
        """For notebooks."""
        from .notebook import table_html

        return table_html(self)


class ColumnTable(dict[str, "np.ndarray"]):
    """Recorded columns by name, each (rows, ...)."""

    def to_pandas(self) -> pandas.DataFrame:
        """Return the columns as a pandas DataFrame with the steps as its index: a column a number, "W[0,1]", "c.re".

        Raises:
            ResourceError: pandas is not installed.
        """
        from .column_parts import column_parts

        pandas = _pandas()
        parts: dict[str, Any] = {}
        for name, values in self.items():
            parts |= dict(column_parts(name, values)) if values.dtype.kind in "biufc" else {name: list(values)}
        frame = pandas.DataFrame(parts)
        return frame.set_index("step") if "step" in parts else frame


def _pandas() -> Any:
    try:
        import pandas
    except ImportError as error:
        raise ResourceError("pandas is not installed", hint="pip install 'gdrun[pandas]'") from error
    return pandas
