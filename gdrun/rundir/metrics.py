"""metrics.jsonl: a row for each recorded step, one strict JSON object a line, append only.

A row has `step` (an integer; steps increase) and whatever else was recorded then. Numbers are written with the
shortest digits that give the value back **in its own precision**: float32 0.1 is `0.1`, which float64 readers see as
0.1 and which becomes the same float32 again. So `read_metrics(..., precision="float32")` has the run's exact values.

Rows are encoded by column, as the training loop has them, which costs about 1 us a row plus 1 us a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from . import row_arrays, strict_json
from .digits import shortest_texts
from .files import read_file
from .layout import ROW_ARRAYS
from .tail import decode_row, is_row

STEP = "step"


def encode_columns(columns: Mapping[str, Any], present: Mapping[str, np.ndarray] | None = None) -> bytes:
    """Return the lines of rows given by column.

    Args:
        columns: name -> array or list with one entry a row, at least one column; entries of arrays may be arrays
            (a parameter of shape (3, 1) makes a column of shape (rows, 3, 1)).
        present: name -> which rows have the value, bool (rows,); a column that is not named here is in all of them.
    Raises:
        ValueError: the columns are not of one length.
        TypeError: a value has no JSON form.
    """
    counts = {len(values) for values in columns.values()}
    if len(counts) != 1:
        raise ValueError(f"columns of different lengths: {sorted(counts)}")
    count = counts.pop()
    if not count:
        return b""
    partial = {name: there for name, there in (present or {}).items() if name in columns and not there.all()}
    if not partial:
        return "".join(_lines(columns, count)).encode()
    # Rows of the same names are written together, however they alternate.
    patterns, kinds = np.unique(np.stack([*partial.values()]), axis=1, return_inverse=True)
    lines = np.empty(count, object)
    for kind, pattern in enumerate(patterns.T):
        rows = np.flatnonzero(kinds.reshape(-1) == kind)
        absent = {name for name, there in zip(partial, pattern, strict=True) if not there}
        names = [name for name in columns if name not in absent]
        lines[rows] = _lines({name: _entries(columns[name], rows) for name in names}, len(rows))
    return "".join(lines).encode()


def _entries(values: Any, rows: np.ndarray) -> Any:
    return values[rows] if isinstance(values, np.ndarray) else [values[row] for row in rows]


def _lines(columns: Mapping[str, Any], count: int) -> list[str]:
    parts, slots = [], []
    for name, values in columns.items():
        form, texts = _column_texts(values)
        parts.append(strict_json.dumps(name).replace("%", "%%") + ":" + form)
        slots.extend(texts)
    template = "{" + ",".join(parts) + "}\n"
    if not slots:
        return [template % ()] * count
    # One % a row with the places already laid out is the fastest way from numbers to text without a C extension.
    return [*map(template.__mod__, zip(*slots, strict=True))]


def _column_texts(values: Any) -> tuple[str, list[list[str]]]:
    """Return the form of one entry of a column, with %s for its numbers, and the texts for each %s, a list a place."""
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "biufc":
        return "%s", [[strict_json.dumps(value) for value in values]]
    flat = values.reshape(len(values), -1)
    if values.dtype.kind == "c":
        place, pairs = '{"re":%s,"im":%s}', (flat.real, flat.imag)
        parts = [part[:, index] for index in range(flat.shape[1]) for part in pairs]
    else:
        place, parts = "%s", [flat[:, index] for index in range(flat.shape[1])]
    return _nested(place, values.shape[1:]), [shortest_texts(part) for part in parts]


def _nested(place: str, shape: tuple[int, ...]) -> str:
    if not shape:
        return place
    return "[" + ",".join([_nested(place, shape[1:])] * shape[0]) + "]"


@dataclass(frozen=True, repr=False)
class Metrics:
    """The content of a metrics.jsonl.

    Attributes:
        columns: name -> array with one entry a row, in the order in which names first appear; `step` is int64. A
            number that a row does not have is nan there; columns that are no numbers have dtype object.
        missing: name -> bool, one entry a row, of the columns that some rows do not have.
        corrupt_lines: numbers, from 1, of complete lines that are not a row; they are left out of the columns.
        torn: whether the file ends in the middle of a line, as a killed writer leaves it; that line is left out too.
    """

    columns: dict[str, np.ndarray]
    corrupt_lines: tuple[int, ...] = ()
    torn: bool = False
    missing: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def steps(self) -> np.ndarray:
        """The recorded steps, int64."""
        return self.columns.get(STEP, np.zeros(0, np.int64))

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        return f"Metrics({len(self)} rows of {', '.join(self.columns)})"


def read_metrics(source: Path | bytes, *, precision: str = "float64") -> Metrics:
    """Return the metrics in a file, or in the bytes of one; a missing file has no rows.

    Args:
        source: the file, or its content; large arrays are read from the file beside it.
        precision: the run's, "float32" or "float64". float32 gives back the very float32 values (dtype float32),
            except in columns named `..seconds`, which are measured in float64.
    Raises:
        RunDirectoryError: the file cannot be read.
    """
    data = source if isinstance(source, bytes) else b""
    if isinstance(source, Path):
        with suppress(FileNotFoundError):
            data = read_file(source)
    rows, corrupt, torn = decode_rows(data)
    if isinstance(source, Path) and row_arrays.has_references(data):
        arrays = b""
        with suppress(FileNotFoundError):
            arrays = read_file(source.with_name(ROW_ARRAYS))
        # A row whose arrays are not there is no row any more.
        numbers = [number for number in range(1, len(rows) + len(corrupt) + 1) if number not in corrupt]
        filled = [row_arrays.fill_in(row, arrays) for row in rows]
        corrupt = (*corrupt, *(number for number, whole in zip(numbers, filled, strict=True) if not whole))
        rows = [row for row, whole in zip(rows, filled, strict=True) if whole]
    names = dict.fromkeys(name for keys in dict.fromkeys(map(tuple, rows)) for name in keys)
    columns = {name: column_of([row.get(name) for row in rows]) for name in names}
    if precision == "float32":
        columns = {name: _to_float32(name, values) for name, values in columns.items()}
    missing = {name: np.array([name not in row for row in rows]) for name in names}
    return Metrics(columns, corrupt, torn, {name: there for name, there in missing.items() if there.any()})


def decode_rows(data: bytes) -> tuple[list[dict[str, Any]], tuple[int, ...], bool]:
    """Return the rows in the bytes of a metrics.jsonl, the numbers of corrupt lines, and whether the end is torn.

    "nan", "inf", "-inf" are still texts in the rows and complex numbers are still mappings.
    """
    lines = data.split(b"\n")
    torn = lines.pop() != b""
    try:
        # All lines as one JSON array are read four times faster than one by one.
        rows = strict_json.loads(b"[" + b",".join(lines) + b"]")
        if len(rows) == len(lines) and all(map(is_row, rows)):
            return rows, (), torn
    except ValueError:
        pass
    decoded = [decode_row(line) for line in lines]
    corrupt = tuple(number for number, row in enumerate(decoded, start=1) if row is None)
    return [row for row in decoded if row is not None], corrupt, torn


def column_of(values: list[Any]) -> np.ndarray:
    """Return a column of the values that rows of a metrics.jsonl have, None for none, as `read_metrics` gives it."""
    kinds = set(map(type, values))
    if kinds <= {int} and all(-(1 << 63) <= value < 1 << 63 for value in values):
        return np.array(values, np.int64)
    if kinds <= {bool}:
        return np.array(values, np.bool_)
    if kinds <= {int, float, type(None), str}:
        numbers = [_number(value) for value in values]
        return np.array(values, object) if None in numbers else np.array(numbers, np.float64)
    return _compound_column(values)


def _number(value: Any) -> float | None:
    if value is None:
        return np.nan
    if type(value) is str:
        return strict_json.not_finite(value)
    try:
        return float(value)
    except OverflowError:
        return np.inf if value > 0 else -np.inf


def _compound_column(values: list[Any]) -> np.ndarray:
    """Complex numbers and arrays: one array where every row has the same shape, objects otherwise."""
    shaped = [_decoded(value) for value in values]
    try:
        shape = next((np.shape(value) for value in shaped if value is not None), ())
        blank = np.full(shape, np.nan)
        array = np.array([blank if value is None else value for value in shaped])
    except (ValueError, TypeError):
        array = None
    if array is None or array.dtype.kind not in "biufc":
        array = np.empty(len(values), object)
        array[:] = values
    return array


def _decoded(value: Any) -> Any:
    """Return a row's value with the texts and mappings that stand for numbers replaced by them; others as they are."""
    if type(value) is list:
        return [_decoded(item) for item in value]
    if type(value) is str:
        number = strict_json.not_finite(value)
        return value if number is None else number
    if type(value) is dict:
        if value.keys() == {"re", "im"}:
            real, imaginary = _number(value["re"]), _number(value["im"])
            return value if real is None or imaginary is None else complex(real, imaginary)
        if "reason" in value and value.get("value", 0) is None:
            return None
    return value


def _to_float32(name: str, values: np.ndarray) -> np.ndarray:
    if name.endswith("seconds") or values.dtype.kind not in "fc":
        return values
    with np.errstate(over="ignore"):
        return values.astype(np.float32 if values.dtype.kind == "f" else np.complex64)


def offset_after(file: BinaryIO, step: int) -> int:
    """Return how many bytes of a metrics.jsonl hold rows up to `step`: where to cut before step `step` + 1 is recorded.

    Corrupt lines are kept where a row up to `step` follows them; those at the end are what a power cut left.
    """
    offset = last = 0
    for line in file:
        row = decode_row(line)
        if not line.endswith(b"\n") or (row is not None and row[STEP] > step):
            break
        offset += len(line)
        if row is not None:
            last = offset
    return last
