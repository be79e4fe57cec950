"""HTML of runs for notebooks: a small table, and the loss as a line. Every text is escaped."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard

from gdrun.text import exact, human_number, safe_text, short

if TYPE_CHECKING:
    import numpy as np

_MOST_POINTS = 300
_MOST_LINES = 50
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
    return html.escape(safe_text(exact(value) if digits is None else short(value, digits), limit=300))


def progress_html(title: str, share: float, facts: Mapping[str, Any], curve: str) -> str:
    """Return how far a run or sweep is: a bar, values by name, the curve so far."""
    words = ", ".join(f"{name} {short(value, 4)}" for name, value in facts.items() if value is not None)
    bar = f"<progress max='1' value='{min(max(share, 0.0), 1.0):.4f}'></progress>"
    return f"<div><strong>{_cell(title)}</strong> {bar} {_cell(words)}<br>{curve}</div>"


def loss_curve(columns: Mapping[str, Any], of: str = "loss", over: str = "steps") -> str:
    """Return a run's loss, and its validation loss, as SVG lines; "" where there is none to draw.

    Heights are logarithms over a wide range.

    Args:
        of, over: the words for the values and for what they are drawn over.
    """
    steps, losses = columns.get("step"), columns.get("loss")
    if not _is_line(steps) or not _is_line(losses) or not len(steps):
        return ""
    first, last = (human_number(losses[index], digits=3) for index in (0, -1))
    label = f"{of} {first} to {last} over {over} {steps[0]} to {steps[-1]}"
    validation = columns.get("validation_loss")
    return _svg(steps, [losses, *([validation] if _is_line(validation) else [])], label, pale=1)


def sweep_curves(curves: Mapping[str, np.ndarray]) -> str:
    """Return the losses of a sweep's trials as SVG lines, of many trials some; "" where there are none."""
    import numpy as np

    if "loss" not in curves or curves["loss"].ndim != 2 or not curves["loss"].size:
        return ""
    losses = curves["loss"]
    chosen = np.unique(np.linspace(0, len(losses) - 1, min(len(losses), _MOST_LINES)).astype(int))
    label = f"losses of {len(chosen)} of {len(losses)} trials"
    return _svg(curves["step"], list(losses[chosen]), label, pale=0)


def _is_line(values: Any) -> TypeGuard[np.ndarray]:
    return values is not None and values.dtype.kind in "iuf" and values.ndim == 1


def _svg(steps: np.ndarray, lines: Sequence[np.ndarray], label: str, *, pale: int) -> str:
    """Return lines in one frame; those from number `pale` on, where it is not 0, are paler than the first."""
    points = _points(steps, lines)
    if max(map(len, points)) < 2:
        return ""
    paths = "".join(
        f"<polyline points='{' '.join(f'{x:.1f},{y:.1f}' for x, y in line)}' fill='none' stroke='currentColor' "
        f"stroke-width='1.5' opacity='{0.4 if pale and number >= pale else 1 if len(points) <= 2 else 0.5}'/>"
        for number, line in enumerate(points)
    )
    return (
        f"<svg role='img' aria-label='{_cell(label)}' width='{_WIDTH}' height='{_HEIGHT}' "
        f"viewBox='0 0 {_WIDTH} {_HEIGHT}'><title>{_cell(label)}</title>{paths}</svg>"
    )


def _points(steps: np.ndarray, lines: Sequence[np.ndarray]) -> list[list[tuple[float, float]]]:
    import numpy as np

    chosen = np.unique(np.linspace(0, len(steps) - 1, min(len(steps), _MOST_POINTS)).astype(int))
    x, rows = steps[chosen].astype(np.float64), [line[chosen].astype(np.float64) for line in lines]
    finite = np.concatenate([row[np.isfinite(row)] for row in rows])
    if not len(finite):
        return [[] for _ in rows]
    low, high = finite.min(), finite.max()
    if low > 0 and high / low >= _LOGARITHMIC_FROM:
        with np.errstate(invalid="ignore", divide="ignore"):
            rows = [np.log(row) for row in rows]
        low, high = np.log(low), np.log(high)
    # Halved, so that the difference of two huge numbers is finite.
    across, up = x[-1] - x[0] or 1.0, high / 2 - low / 2 or 1.0
    left = 2 + (x - x[0]) / across * (_WIDTH - 4)
    tops = [2 + (high / 2 - row / 2) / up * (_HEIGHT - 4) for row in rows]
    return [
        [(a, b) for a, b in zip(left.tolist(), top.tolist(), strict=True) if math.isfinite(a) and math.isfinite(b)]
        for top in tops
    ]
