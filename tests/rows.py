"""Rows of a run, as tests write them: a mapping each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gdrun.rundir import strict_json
from gdrun.rundir.store import RunStore


def append_rows(store: RunStore, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append rows that need not all have the same names."""
    names = dict.fromkeys(name for row in rows for name in row)
    if names:
        columns = {name: [row.get(name) for row in rows] for name in names}
        store.append_columns(columns, {name: np.array([name in row for row in rows]) for name in names})


def encode_rows(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return the lines of `rows`, each written by itself."""
    return "".join(strict_json.dumps(row) + "\n" for row in rows).encode()
