"""HTML of runs for notebooks: a small table, and the loss as a line. Every text is escaped."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gdrun.text import human_number, safe_text

if TYPE_CHECKING:
    import numpy as np

_MOST_POINTS = 300
_MOST_ROWS = 100
_WIDTH, _HEIGHT = 260, 60
_LOGARITHMIC_FROM = 100.0


def run_html(title: str, rows: Mapping[str, Any], curve: str) -> str:
    """Return a run as HTML: its values by name, without those that are None, and the curve of its loss."""
    left = "style='text-align:left'"
    cells = "".join(
        f"<tr><th {left}>{_cell(name)}</th><td {left}>{_cell(value)}</td></tr>"
        for name, value in rows.items()
        if value is not None
    )
    return f"<div><strong>{_cell(title)}</strong><table>{cells}</table>{curve}</div>"


def table_html(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows that all have the same keys as an HTML table; at most a hundred are shown."""
    if not rows:
        return "<p>no runs</p>"
    head = "".join(f"<th>{_cell(name)}</th>" for name in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{_cell(value, digits=6)}</td>" for value in row.values()) + "</tr>"
        for row in rows[:_MOST_ROWS]
    )
    more = f"<p>and {len(rows) - _MOST_ROWS} more</p>" if len(rows) > _MOST_ROWS else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _cell(value: Any, *, digits: int | None = None) -> str:
    return html.escape(safe_text(_text(value, digits), limit=300))


def _text(value: Any, digits: int | None) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(item, digits)}" for name, item in value.items())
    return human_number(value, digits=digits) if isinstance(value, int | float) else str(value)


def loss_curve(columns: Mapping[str, np.ndarray]) -> str:
    """Return a run's loss as an SVG line; "" where there is none to draw. Heights are logarithms over a wide range."""
    losses, steps = columns.get("loss"), columns.get("step")
    if losses is None or steps is None or losses.dtype.kind not in "iuf" or losses.ndim != 1:
        return ""
    points = _points(steps, losses)
    if len(points) < 2:
        return ""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    first, last = (human_number(losses[index], digits=3) for index in (0, -1))
    label = _cell(f"loss {first} to {last} over steps {steps[0]} to {steps[-1]}")
    return (
        f"<svg role='img' aria-label='{label}' width='{_WIDTH}' height='{_HEIGHT}' viewBox='0 0 {_WIDTH} {_HEIGHT}'>"
        f"<title>{label}</title>"
        f"<polyline points='{path}' fill='none' stroke='currentColor' stroke-width='1.5'/></svg>"
    )


def _points(steps: np.ndarray, losses: np.ndarray) -> list[tuple[float, float]]:
    import numpy as np

    chosen = np.unique(np.linspace(0, len(losses) - 1, min(len(losses), _MOST_POINTS)).astype(int))
    x, y = steps[chosen].astype(np.float64), losses[chosen].astype(np.float64)
    finite = np.isfinite(y)
    x, y = x[finite], y[finite]
    if not len(y):
        return []
    if y.min() > 0 and y.max() / y.min() >= _LOGARITHMIC_FROM:
        y = np.log(y)
    # Halved, so that the difference of two huge numbers is finite.
    across, up = x[-1] - x[0] or 1.0, y.max() / 2 - y.min() / 2 or 1.0
    left = 2 + (x - x[0]) / across * (_WIDTH - 4)
    top = 2 + (y.max() / 2 - y / 2) / up * (_HEIGHT - 4)
    return [(a, b) for a, b in zip(left.tolist(), top.tolist(), strict=True) if math.isfinite(a) and math.isfinite(b)]
