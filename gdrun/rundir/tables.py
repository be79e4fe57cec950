"""Runs as a table: a list of dicts, for people, JSON and pandas."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gdrun.errors import ResourceError
from gdrun.text import human_number, safe_text

from .differing import differing
from .entry import Entry
from .listing import check_names
from .run import Run

if TYPE_CHECKING:
    import pandas

_COLUMNS = ("id", "name", "status", "kind", "age", "steps", "seconds", "loss")
_MOST_SHOWN = 100


class Table(list[dict[str, Any]]):
    """Rows that all have the same keys, None where a run has no such value."""

    def to_pandas(self) -> pandas.DataFrame:
        """Return the rows as a pandas DataFrame, a column a key.

        Raises:
            ResourceError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise ResourceError("pandas is not installed", hint="pip install pandas") from error
        return pandas.DataFrame.from_records(self, columns=list(self[0]) if self else None)

    def _repr_html_(self) -> str:
        """For notebooks."""
        if not self:
            return "<p>no runs</p>"
        head = "".join(f"<th>{_cell(name)}</th>" for name in self[0])
        body = "".join(
            "<tr>" + "".join(f"<td>{_cell(value)}</td>" for value in row.values()) + "</tr>"
            for row in self[:_MOST_SHOWN]
        )
        rest = f"<p>and {len(self) - _MOST_SHOWN} more</p>" if len(self) > _MOST_SHOWN else ""
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}"


def table(runs: Iterable[Run | Entry | str | Path], columns: Sequence[str] | None = None) -> Table:
    """Return a row for each run.

    Args:
        runs: as `gdrun.runs` gives them, or directories.
        columns: names as in a filter: lr, loss, optimizer.momentum, versions.tensorflow, ... Default: id, name, status,
            kind, age (seconds), steps, seconds, loss, the other final values, and the settings that differ.
    Raises:
        UsageError: no run has a column.
    """
    entries = [_entry(run) for run in runs]
    now = datetime.now(UTC)
    if columns is None:
        finals = dict.fromkeys(name for entry in entries for name in entry.final)
        varied = differing([entry.settings for entry in entries])
        columns = [*_COLUMNS, *(name for name in finals if name not in _COLUMNS), *varied]
        return Table(_row(entry, columns, now) for entry in entries)
    check_names(entries, columns)
    return Table(_row(entry, columns, now) for entry in entries)


def _row(entry: Entry, columns: Sequence[str], now: datetime) -> dict[str, Any]:
    return {name: entry.get(name, now=now) for name in columns}


def _entry(run: Run | Entry | str | Path) -> Entry:
    return run if isinstance(run, Entry) else Entry(run.directory if isinstance(run, Run) else run)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    shown = human_number(value, digits=6) if isinstance(value, int | float) else safe_text(value, limit=200)
    return html.escape(shown)
